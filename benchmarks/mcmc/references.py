"""What the PFN is held against: MCMC methods by name, and how an answer to a context is scored."""

import math
import time
import warnings
from functools import cache
from typing import Any

import numpy as np
import torch

import lcx
from lcx.predictive import Predictive
from lcx.priors.parametric import PARAMETRIC
from lcx.scores import covered

SEED = 2**62 + 3  # of the curves; no model is trained or validated on them
CUTOFFS = (10, 20, 40, 80)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
QUESTION: dict[str, Any] = {"horizon": 100, "mode": "max", "unit": (0, 1)}
# Arguments of lcx.mcmc. "gold" pools two independent runs of SMC; "smc-256" has 256 particles. Those end with the tempering, "smc-gate"
# goes on until its gate passes: for 20 minutes at most, since a busy machine gives a process a fraction of the wall time.
METHODS: dict[str, dict[str, Any]] = {
    "gold": {"sampler": "smc", "draws": 384, "seconds": 0},
    "smc": {"sampler": "smc", "seconds": 0},
    "smc-gate": {"sampler": "smc", "seconds": 1200},
    **{f"smc-{n}": {"sampler": "smc", "draws": n // 4, "seconds": 0} for n in (64, 128, 256, 512, 1024)},
    **{f"emcee-M{i}": {"sampler": f"emcee-M{i}"} for i in (1, 2, 3)},
    "emcee-long": {"sampler": "emcee", "warmup": 5000, "draws": 15_000, "chains": 1},
    "nuts": {"sampler": "nuts", "warmup": 100, "draws": 150, "chains": 2},
}


@cache
def curves() -> np.ndarray:
    """The 10,000 curves of the benchmark, (10000, 100), on the [0, 1] scale."""
    return PARAMETRIC.sample(10_000, torch.Generator().manual_seed(SEED)).values.double().numpy()


def asked(cutoff: int) -> np.ndarray:
    """Eight of the later steps, evenly spaced, at which quantiles and CRPS are compared."""
    return np.linspace(cutoff + 1, 100, 8).round()


def answer(method: str, curve: int, cutoff: int) -> dict[str, Any]:
    """One row of results: a method's answer to one context, scored on all later points."""
    context, arguments = curves()[curve, :cutoff], METHODS[method]
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether a run converged is recorded instead
        runs = [
            lcx.mcmc(context, **QUESTION, **arguments, seed=seed, strict=False)
            for seed in ((2 * curve, 2 * curve + 1) if method == "gold" else (curve,))
        ]
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        infos = [info for _, info in runs]
    row = {"method": method, "curve": curve, "cutoff": cutoff, "seconds": round(seconds, 3), "cpu": round(cpu, 3)}
    laws = [Predictive(p.logits[0], p.loc[0], p.scale[0]) for p in (extrapolation.predictive for extrapolation, _ in runs)]
    row |= score_law(pool(laws), curve, cutoff)
    if method == "gold":
        row["log_score_of_runs"] = [score_law(law, curve, cutoff)["log_score"] for law in laws]
        row["log_evidence_of_runs"] = [round(float(info.log_evidence), 4) for info in infos]
    worst = infos[0].rhat.max()
    return row | {
        "ess": round(sum(float(min(info.ess_bulk.min(), info.ess_tail.min())) for info in infos), 1),
        "rhat": None if math.isnan(worst) else round(float(worst), 4),
        "divergences": None if np.isnan(infos[0].divergences) else round(float(infos[0].divergences), 4),
        "kept": round(float(infos[0].kept), 4),
        "acceptance": round(float(infos[0].acceptance), 4),
        "converged": not any(info.problems() for info in infos),
    }


def pool(laws: list[Predictive]) -> Predictive:
    """The equally weighted mixture of several answers to one question."""
    return Predictive(*(torch.cat(x, -1) for x in zip(*((p.logits, p.loc, p.scale) for p in laws), strict=True)))  # type: ignore


def score_law(law: Predictive, curve: int, cutoff: int) -> dict[str, Any]:
    """Log score and coverage over all later points, CRPS and quantiles at eight of them; ``law`` has batch shape (later points,)."""
    truth = torch.from_numpy(curves()[curve, cutoff:])
    at = torch.from_numpy(asked(cutoff)).long() - cutoff - 1
    some, pit = Predictive(law.logits[at], law.loc[at], law.scale[at]), law.cdf(truth)
    return {
        "log_score": round(law.log_prob(truth).mean().item(), 5),
        "crps": round(some.crps(truth[at]).mean().item(), 7),
        "covered": [round(covered(pit, level).double().mean().item(), 4) for level in (0.5, 0.8, 0.95)],
        "quantiles": torch.stack([some.icdf(level) for level in LEVELS], -1).round(decimals=6).tolist(),
    }


def pfn_rows(n: int, model: str = "parametric") -> list[dict[str, Any]]:
    """The PFN's rows for the first ``n`` curves and every cut-off, scored in batches."""
    extrapolator, rows = lcx.load(model, "cpu"), []
    for cutoff in CUTOFFS:
        at = asked(cutoff).astype(int) - cutoff - 1
        for start in range(0, n, 200):
            values = curves()[start : min(start + 200, n)]
            full = extrapolator(values[:, :cutoff], **QUESTION)
            some = extrapolator(values[:, :cutoff], **QUESTION, at=asked(cutoff))
            log_score, pit = full.log_prob(values[:, cutoff:]).mean(1), full.cdf(values[:, cutoff:])
            crps, quantiles = some.crps(values[:, cutoff:][:, at]).mean(1), some.quantile(LEVELS)
            for i in range(len(values)):
                rows.append(
                    {
                        "method": "pfn",
                        "curve": start + i,
                        "cutoff": cutoff,
                        "log_score": float(log_score[i]),
                        "crps": float(crps[i]),
                        "covered": [float((np.abs(pit[i] - 0.5) <= level / 2).mean()) for level in (0.5, 0.8, 0.95)],
                        "quantiles": quantiles[i].tolist(),
                    }
                )
    return rows
