"""Scale-free statistics of real curves and of prior draws, by which benchmarks/synthetic/prior_fit.py holds one beside the other."""

import math

import numpy as np
import torch

from benchmarks.curves import CUTOFFS, RealCurve
from lcx.priors.general import GeneralPrior

GIVEN = ("points",)  # drawn from the real curves


def summary(y: np.ndarray, t: np.ndarray, room: np.ndarray) -> dict[str, np.ndarray]:
    """Scale-free statistics of m finished curves of n points each, larger being better; each (m,).

    Args:
        y: (m, n) values.
        t: (m, n) steps.
        room: (m, 2) distances to the bounds above the best and below the worst value, infinite where there is none.
    """
    n, d = y.shape[1], np.diff(y)
    low, high = np.quantile(y, [0.02, 0.98], axis=1)
    width, size, bend = high - low, np.abs(d).mean(1) + 1e-12, np.abs(np.diff(d))
    top, bottom, end = y.max(1), y.min(1), y[:, -max(1, n // 10) :].mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        above, below = np.log10(np.maximum(room / width[:, None], 1e-3)).T
    out = {
        "points": np.full(len(y), math.log(n)),
        "log-steps": np.log(t[:, -1] / t[:, 0]) / math.log(n),
        "second step": np.log(t[:, 1] / t[:, 0]),
        "noise": np.log10(np.median(bend, 1) / width + 1e-6),
        "late noise": np.log10(np.median(bend[:, -max(3, n // 3) :], 1) / width + 1e-6),
        "autocorrelation": (d[:, 1:] * d[:, :-1]).sum(1) / ((d * d).sum(1) + 1e-30),
        "ups": (d > 0).mean(1),
        "repeats": (d == 0).mean(1),
        "place of best": y.argmax(1) / (n - 1),
        "place of 90 %": (y >= (bottom + 0.9 * (top - bottom))[:, None]).argmax(1) / n,
        "fall from best": (top - end) / width,
        "net": (end - y[:, 0]) / width,
        "largest change": np.log10(np.abs(d).max(1) / width + 1e-6),
        "place of largest change": np.abs(d).argmax(1) / (n - 1),
        "peakedness": np.log10((d**4).mean(1) / ((d**2).mean(1) ** 2 + 1e-30) + 1e-6),
        "room above": np.where(np.isfinite(above), above, np.nan),
        "room below": np.where(np.isfinite(below), below, np.nan),
        "whole range": np.log10((top - bottom) / width),
    }
    for share in CUTOFFS:
        k = max(2, round(share * n))
        here = y[:, k - 1]
        recent = np.abs(d[:, max(0, k - 6) : k - 1]).mean(1)
        safe = np.maximum(recent, 1e-3 * size)
        name = f" at {100 * share:.0f} %"
        out |= {
            "still to gain" + name: np.clip((end - here) / width, -3, 3),
            "gain in recent changes" + name: np.arcsinh((end - here) / safe),
            "later distance" + name: np.minimum(np.abs(y[:, k:] - here[:, None]).mean(1) / width, 3),
            "recent change" + name: np.log10(recent / width + 1e-4),
            "range so far" + name: np.log10(np.ptp(y[:, :k], axis=1) / width + 1e-4),
            "below best so far" + name: np.arcsinh((y[:, :k].max(1) - here) / safe),
        }
    return out


def real_rows(sources: dict[str, list[RealCurve]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Statistics of real curves and their weights, every source one vote."""
    rows, weights = [], []
    for curves in sources.values():
        for curve in curves:
            sign = 1 if curve.mode == "max" else -1
            y, bounds = sign * curve.values, curve.bounds[::sign]
            ends = [math.inf if b is None else abs(sign * b - e) for b, e in zip(bounds, (y.min(), y.max()), strict=True)]
            rows.append(summary(y[None], curve.steps[None], np.array([ends[::-1]])))
            weights.append(1 / len(curves))
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}, np.array(weights) / sum(weights)


def prior_rows(prior: GeneralPrior, lengths: np.ndarray, draws: int, seed: int) -> tuple[dict[str, np.ndarray], torch.Tensor]:
    """Statistics of prior draws with numbers of points out of ``lengths``, and their latents; draws without any range are left out."""
    generator = torch.Generator().manual_seed(seed)
    rows, latents = [], []
    for n in np.quantile(lengths, np.linspace(0.02, 0.98, 25)).round().astype(int):
        z = prior.draw(draws // 25, generator)
        drawn = prior.simulate(z, torch.full((len(z),), int(n)), generator)
        y, t = drawn.observe(drawn.base, drawn.sd, generator).double().numpy(), drawn.steps.double().numpy()
        kept = np.subtract(*np.quantile(y, [0.98, 0.02], axis=1)) > 0
        room = np.stack([drawn.upper[:, 0].numpy() - y.max(1), y.min(1) - drawn.lower[:, 0].numpy()], 1)
        rows.append(summary(y[kept], t[kept], room[kept]))
        latents.append(z[kept])
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}, torch.cat(latents)


def table(rows: dict[str, np.ndarray], skip: tuple[str, ...] = ()) -> np.ndarray:
    """Statistics as a matrix."""
    return np.stack([x for name, x in rows.items() if name not in skip], 1)
