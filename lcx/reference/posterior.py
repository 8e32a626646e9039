"""The reference: posteriors by MCMC on the density of a prior, as an :class:`Extrapolation` with diagnostics."""

import math
import time
import warnings
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.curves import Scale, as_curves, as_scale
from lcx.extrapolation import Extrapolation
from lcx.pfn.checkpoint import as_device
from lcx.pfn.decoding import to_user
from lcx.pfn.queries import as_queries
from lcx.pfn.tokens import Tokens, model_steps
from lcx.predictive import Predictive
from lcx.priors.named import PRIORS
from lcx.priors.parametric import Prior
from lcx.reference.diagnostics import MCMCInfo, NotConverged, arviz, chain_diagnostics, lineage_ess
from lcx.reference.draws import Draws

SAMPLERS = ("nuts", "emcee", "emcee-M1", "emcee-M2", "emcee-M3", "smc")
_WATCHED = 5  # query steps whose predictions are diagnosed
_COMPONENTS = 4000  # most draws in a predictive; of more, evenly spaced ones are taken


def mcmc(
    values: Any,
    steps: Any = None,
    *,
    horizon: Any,
    mode: str,
    at: Any = None,
    bounds: Any = (None, None),
    unit: Any = None,
    prior: str | Prior = "parametric",
    sampler: str = "nuts",
    draws: int = 1000,
    warmup: int = 1000,
    chains: int = 4,
    seed: int = 0,
    seconds: float = 60,
    strict: bool = True,
    progress: bool = False,
    device: str | torch.device | None = None,
) -> tuple[Extrapolation, MCMCInfo]:
    """Predicts the rest of learning curves by sampling the posterior, which ``lcx.predict`` approximates in one pass.

    The answer is exact in the limit of many draws. Values, steps, scale and the choice of points are those of ``lcx.predict`` with the
    model "parametric", so both answer the same question.

    Args:
        values: metric so far, as in :func:`lcx.predict`, with at least two finite values per curve.
        steps: as in :func:`lcx.predict`.
        horizon: as in :func:`lcx.predict`.
        mode: as in :func:`lcx.predict`.
        at: as in :func:`lcx.predict`.
        bounds: as in :func:`lcx.predict`.
        unit: (worst, best), the values that the prior knows as 0 and 1; default as in :func:`lcx.predict`.
        prior: name of the prior, or a :class:`lcx.priors.Prior`; it must have a tractable likelihood.
        sampler: "nuts" (Pyro), "emcee" (ensembles of 100 walkers), "emcee-M1", "-M2" or "-M3" (one ensemble at the settings of
            the LC-PFN paper), or "smc" (tempered, vectorised over curves). "smc" converges most often, "nuts" hardly ever under the
            prior "parametric": see benchmarks/README.md and LOG.md.
        draws: draws kept per chain (emcee: per walker). SMC has no chains and returns 4 * draws particles.
        warmup: transitions before the first draw kept (ignored by SMC and by the settings of the paper).
        chains: number of chains, or of ensembles with emcee (ignored by SMC and by the settings of the paper).
        seed: of the random numbers.
        seconds: wall time per curve, > 0 or 0, for which SMC goes on moving particles that do not pass the gate; it ends as soon as they
            do. Tempering, some seconds, is never cut short, and fewer than 800 particles (200 draws) are never moved on. The other
            samplers ignore it.
        strict: raise an error if the draws have not converged; else warn, and add the sentences to ``Extrapolation.warnings``.
        progress: show a progress bar.
        device: where to compute; default CPU (SMC gains from a GPU).

    Returns:
        The extrapolation, at each step a mixture with one component per draw (at most 4000); and the diagnostics.

    Raises:
        ValueError, TypeError: an argument breaks a rule above, or the density of the observed points under the prior is zero.
        NotConverged: R-hat of a prediction > 1.01, ESS < 400, more than 1 % of divergences (SMC: ESS only), or no draw is admissible.
        RuntimeError: the prior admits no curves.
        ImportError: the sampler's package is missing; install lcx[mcmc].
    """
    law = _prior(prior)
    _check(sampler, draws, warmup, chains, seconds)
    curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds)
    if short := (curves.counts < 2).nonzero().flatten().tolist():
        raise ValueError(f"expected at least 2 observed points per curve, got 1 in curve {short[0]}; use lcx.predict for so little")
    queries, scale = as_queries(at, curves), as_scale(curves, mode=mode, bounds=bounds, unit=unit)
    read, ahead = Tokens(curves, scale, furthest=torch.inf), model_steps(queries, curves).clamp(min=1)
    if sampler != "smc":
        arviz()  # if it is missing, now is the time to say so
    begin = time.perf_counter()
    watched = _watched(queries)
    how = (sampler, draws, warmup, chains, seed, seconds, progress, as_device(device or "cpu"))
    drawn = _sample(law, read, ahead.gather(1, watched), *how)
    info = _diagnose(law, drawn, queries, ahead, watched, scale, sampler, one, time.perf_counter() - begin)
    theta, weight = _components(drawn)
    predictive = Predictive(weight[:, None].expand(-1, ahead.shape[1], -1), *_normals(law, theta, ahead))
    problems = info.problems()
    if problems and (strict or not drawn.admissible.flatten(1).any(1).all()):
        raise NotConverged(_unconverged(sampler, problems), info)
    if problems:
        warnings.warn(_unconverged(sampler, problems), RuntimeWarning, stacklevel=2)
    answer = Extrapolation(
        steps_ahead=queries,
        predictive=to_user(predictive, scale, bounds),
        mode=mode,
        one=one,
        curves=curves,
        paths=lambda n, generator: _paths(law, theta, weight, ahead, scale, bounds, n, generator),
        notes=lambda: read.notes(bounds, unit) + problems,
    )
    return answer, info


def _check(sampler: Any, draws: Any, warmup: Any, chains: Any, seconds: Any) -> None:
    """Refuses a sampler that there is not, a number of draws that is none, and a time that is none."""
    if sampler not in SAMPLERS:
        raise ValueError(f"expected sampler to be one of {SAMPLERS}, got {sampler!r}; choose one of these names")
    for name, count, least in (("draws", draws, 4), ("warmup", warmup, 0), ("chains", chains, 1)):
        if isinstance(count, bool) or not isinstance(count, Integral) or count < least:
            raise ValueError(f"expected {name} as a whole number >= {least}, got {count!r}; give one")
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not float(seconds) >= 0:
        raise ValueError(f"expected seconds as a number >= 0, got {seconds!r}; give one")


def _unconverged(sampler: str, problems: list[str]) -> str:
    more = "draws or seconds" if sampler == "smc" else "draws or warm-up, or sampler='smc'"
    return f"expected a converged {sampler} posterior, got {'; '.join(problems[:5])}; take more {more}"


def _prior(prior: str | Prior) -> Prior:
    named = PRIORS.get(prior) if isinstance(prior, str) else prior
    if named is None:
        raise ValueError(f"expected prior to be one of {sorted(PRIORS)}, got {prior!r}; choose one of these names")
    if not hasattr(named, "log_joint"):
        name = getattr(named, "name", named)
        raise ValueError(f"expected a prior with a tractable likelihood for MCMC, got {name!r}; use prior='parametric', or lcx.predict")
    return cast(Prior, named)


def _sample(
    prior: Prior,
    read: Tokens,
    watched: Tensor,
    sampler: str,
    draws: int,
    warmup: int,
    chains: int,
    seed: int,
    seconds: float,
    progress: bool,
    device: torch.device,
) -> Draws:
    from lcx.reference.ensemble import PRESETS, Preset, ensemble
    from lcx.reference.nuts import nuts
    from lcx.reference.smc import smc

    values, steps = read.values.to(device).double(), read.steps.to(device).double()
    run: dict[str, Any] = {"generator": torch.Generator(device).manual_seed(seed), "progress": progress}
    if sampler == "smc":
        return smc(prior, values, steps, watched.to(values), particles=4 * draws, seconds=float(seconds), **run)
    if sampler == "nuts":
        return nuts(prior, values, steps, draws=draws, warmup=warmup, chains=chains, **run)
    preset = PRESETS.get(sampler)
    return ensemble(prior, values, steps, preset=preset or Preset(warmup + draws, warmup, 1), ensembles=1 if preset else chains, **run)


def _normals(prior: Prior, theta: Float[Tensor, "B S dim"], ahead: Float[Tensor, "B A"]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each step's observation under each draw, (B, A, S), model units."""
    mean = prior.mean_curve(theta, torch.nan_to_num(ahead, nan=100.0)[:, None]).transpose(1, 2)
    return mean, prior.sigma(theta)[:, None].expand(mean.shape)


def _components(drawn: Draws) -> tuple[Float[Tensor, "B S dim"], Float[Tensor, "B S"]]:
    """At most 4000 evenly spaced draws, and their log weights: 0, or -inf where inadmissible."""
    theta, admissible = drawn.theta.flatten(1, 2), drawn.admissible.flatten(1)
    kept = torch.linspace(0, theta.shape[1] - 1, min(_COMPONENTS, theta.shape[1])).round().long()
    return theta[:, kept], torch.where(admissible[:, kept], 0.0, -math.inf).double()


def _paths(
    prior: Prior, theta: Tensor, weight: Tensor, ahead: Tensor, scale: Scale, bounds: Any, n: int, generator: torch.Generator
) -> Float[Tensor, "B n A"]:
    """Whole paths: a draw each, its mean curve, and noise that is redrawn where it leaves the bounds.

    The predictive conditions on the bounds step by step, whole paths cannot: where bounds cut deep, the two differ a little.
    """
    chosen = torch.multinomial(weight.exp(), n, replacement=True, generator=generator)
    mean, sigma = _normals(prior, theta.gather(1, chosen[..., None].expand(-1, -1, theta.shape[-1])), ahead)
    law = Predictive(torch.zeros_like(mean)[..., None], mean[..., None], sigma[..., None])
    return to_user(law, scale, bounds).sample(1, generator)[0].transpose(1, 2)


def _watched(queries: Float[Tensor, "B A"]) -> Int[Tensor, "B W"]:
    """Indices of the query steps whose predictions are diagnosed, the first and the last among them."""
    counts = (~queries.isnan()).sum(1, keepdim=True)
    return ((counts - 1) * torch.linspace(0, 1, min(_WATCHED, queries.shape[1]))).round().long()


def _diagnose(
    prior: Prior, drawn: Draws, queries: Tensor, ahead: Tensor, watched: Tensor, scale: Scale, sampler: str, one: bool, seconds: float
) -> MCMCInfo:
    mean, sigma = _normals(prior, drawn.theta.flatten(1, 2), ahead.gather(1, watched))
    predictions = torch.cat([scale.to_user(mean), (scale.slope.abs()[:, None] * sigma[:, 0])[:, None]], 1)
    predictions = predictions.transpose(1, 2).unflatten(1, drawn.theta.shape[1:3])
    if drawn.origin is not None:
        pairs = zip(predictions.squeeze(1), drawn.origin, strict=True)
        bulk, tail = (np.array(x) for x in zip(*(lineage_ess(x, origin) for x, origin in pairs), strict=True))
        rhat = np.full_like(bulk, np.nan)
    else:
        rhat, bulk, tail = (np.array(x) for x in zip(*map(chain_diagnostics, predictions.numpy()), strict=True))
    absent = torch.full((len(queries),), math.nan, dtype=torch.float64)
    parts = {
        "draws": drawn.theta,
        "watched": queries.gather(1, watched),
        "predictions": predictions,
        "rhat": rhat,
        "ess_bulk": bulk,
        "ess_tail": tail,
        "divergences": absent if drawn.divergences is None else drawn.divergences,
        "kept": drawn.admissible.double().flatten(1).mean(1),
        "acceptance": drawn.acceptance,
        "log_evidence": absent if drawn.log_evidence is None else drawn.log_evidence,
    }
    arrays = {name: np.asarray(np.asarray(x)[0] if one else x) for name, x in parts.items()}
    return MCMCInfo(sampler=sampler, names=tuple(prior.laws), seconds=seconds, **arrays)
