"""R-hat and effective sample sizes of the predictions of MCMC, and the limits that they must keep."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

FAMILIES = 30  # of fewer, the spread between families says too little: their number stands for the ESS
_RHAT, ENOUGH, _DIVERGENT = 1.01, 400, 0.01  # gates: Vehtari et al., Bayesian Analysis 16 (2021), Section 4; divergences ours


class NotConverged(RuntimeError):
    """The draws of a sampler have not converged; ``info`` has the diagnostics and the draws."""

    def __init__(self, message: str, info: "MCMCInfo") -> None:
        super().__init__(message)
        self.info = info


@dataclass(frozen=True, eq=False)
class MCMCInfo:
    """Draws and diagnostics of a sampled posterior, as NumPy arrays; \\*S is () for one curve and (B,) for many.

    Many parameters give the same curve, so R-hat and ESS are not those of parameters but of W predictions: the mean curve at several
    later steps, and sigma.

    Attributes:
        sampler: its name.
        names: of the parameters, in the order of the last axis of ``draws``.
        draws: (\\*S, chains, draws, dim) parameters, model units. Walkers of emcee count as chains; SMC has one.
        watched: (\\*S, W - 1) steps whose predictions are diagnosed, user's unit.
        predictions: (\\*S, chains, draws, W) mean curve at these steps, then sigma, user's unit.
        rhat: (\\*S, W) rank-normalised split R-hat; NaN for SMC.
        ess_bulk, ess_tail: (\\*S, W) effective sample sizes; with SMC from the genealogy of its particles.
        divergences: (\\*S) share of divergent transitions; NaN unless NUTS.
        kept: (\\*S) share of admissible draws; the answer uses no others.
        acceptance: (\\*S) share of proposals accepted (NUTS: of transitions that moved).
        log_evidence: (\\*S) log density of the context in model units, nats; NaN unless SMC.
        seconds: wall time of sampling, all curves.
    """

    sampler: str
    names: tuple[str, ...]
    draws: np.ndarray
    watched: np.ndarray
    predictions: np.ndarray
    rhat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    divergences: np.ndarray
    kept: np.ndarray
    acceptance: np.ndarray
    log_evidence: np.ndarray
    seconds: float

    def problems(self) -> list[str]:
        """A sentence for each limit that is not kept, per curve; empty if the draws have converged."""
        rhat, bulk, tail = (np.atleast_2d(x) for x in (self.rhat, self.ess_bulk, self.ess_tail))
        divergences, evidence, kept = (np.atleast_1d(x) for x in (self.divergences, self.log_evidence, self.kept))
        sentences = []
        for i in range(len(rhat)):
            ess, found = np.minimum(bulk[i], tail[i]).min(), []
            if self.sampler != "smc" and not rhat[i].max() <= _RHAT:
                found.append(f"R-hat {rhat[i].max():.3f} > {_RHAT}")
            if not ess >= ENOUGH:
                found.append(f"ESS {ess:.0f} < {ENOUGH}")
            if divergences[i] > _DIVERGENT:
                found.append(f"{divergences[i]:.1%} of transitions diverge (> {_DIVERGENT:.0%})")
            if self.sampler == "smc" and math.isnan(evidence[i]):
                found.append("the tempering stopped short of the posterior")
            if kept[i] == 0:
                found.append("no draw is admissible")
            if found:
                sentences.append(f"curve {i}: {', '.join(found)}")
        return sentences

    def to_arviz(self, curve: int = 0) -> Any:
        """The draws of one curve as ArviZ InferenceData: groups posterior (parameters) and predictions (mean_curve, by step)."""
        az = arviz()
        at = (curve,) if self.draws.ndim == 4 else ()
        draws, predictions = self.draws[at], self.predictions[at]
        return az.from_dict(
            posterior={name: draws[..., i] for i, name in enumerate(self.names)},
            predictions={"mean_curve": predictions[..., :-1]},
            dims={"mean_curve": ["step"]},
            pred_dims={"mean_curve": ["step"]},
            coords={"step": self.watched[at]},
            attrs={"sampler": self.sampler, "inference_library": {"nuts": "pyro", "smc": "lcx"}.get(self.sampler, "emcee")},
        )


def arviz() -> Any:
    """ArviZ, imported on first use, without the notice of its coming changes.

    Raises:
        ImportError: it is missing; install lcx[mcmc].
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            import arviz as az
    except ImportError as error:
        raise ImportError("expected the package arviz for diagnostics, got none; pip install 'lcx[mcmc]'") from error
    return az


def chain_diagnostics(x: Float[np.ndarray, "chains draws W"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R-hat, bulk and tail ESS of each quantity, by ArviZ (Vehtari et al. 2021)."""
    az = arviz()
    columns = np.moveaxis(x, -1, 0)
    with np.errstate(all="ignore"):  # a chain that never moved gives NaN, which no gate lets pass
        rhat = [az.rhat(c, method="rank") for c in columns]
        bulk, tail = ([az.ess(c, method=method) for c in columns] for method in ("bulk", "tail"))
    return np.array(rhat, dtype=float), np.array(bulk, dtype=float), np.array(tail, dtype=float)


def lineage_ess(x: Float[Tensor, "N W"], origin: Int[Tensor, "N"]) -> tuple[np.ndarray, np.ndarray]:
    """Bulk and tail effective sample size of SMC particles from one run, by who descends from whom.

    Particles of one origin may be alike, those of two origins are all but independent: the variance of a mean is the sum over
    origins of the squared sum of deviations, over N². It is at most N. Bulk: of normal scores of ranks; tail: the smaller of those of the
    indicators of the 5 % and the 95 % quantile, as for chains.

    Source: Lee & Whiteley, "Variance estimation in the particle filter", Biometrika 105 (2018), Equation 2.
    """
    families, member = origin.unique(return_inverse=True)

    def ess(y: Tensor) -> np.ndarray:
        y = y - y.mean(0)
        sums = y.new_zeros(len(families), y.shape[1]).index_add(0, member, y)
        most = len(y) if len(families) >= FAMILIES else len(families)
        return (len(y) * (y**2).sum(0) / (sums**2).sum(0)).clamp(max=most).numpy()

    place = x.argsort(0).argsort(0).double()
    levels = torch.tensor([0.05, 0.95], dtype=x.dtype)
    tails = (x[:, None] <= torch.quantile(x, levels, dim=0)).double()
    return ess(torch.special.ndtri((place + 0.625) / (len(x) + 0.25))), ess(tails.flatten(1)).reshape(2, -1).min(0)
