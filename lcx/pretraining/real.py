"""Real curves in training: batches in which every source, and every study of a source, has one vote.

The curves are varied: earlier horizons, thinner grids, bounds told or not, runs between two runs. For some curves the others mislead, and
some of the others end early. Real curves stay a share beside the prior, as in Real-TabPFN (arXiv 2507.03971)
and Chronos-2: a model trained on real curves alone lost to least squares (LCDB 1.1).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lcx.config import PretrainConfig
from lcx.pfn.features import Frame
from lcx.pretraining.batches import Batch
from lcx.pretraining.misled import mislead
from lcx.pretraining.sources import Run, Source
from lcx.pretraining.studies import MISLED, unfinished

RUNS, PAIRS = 48, 40  # of a batch of 64 curves; (cut-off, query) pairs of each
MOST_OTHERS = 30
# Shares of curves that are varied, by kind.
MIXED, SHORTENED, THINNED, TOLD, ALONE = 0.15, 0.4, 0.3, 0.6, 0.1


class _Target(NamedTuple):
    """One run of a batch in its chart: first value 0, range 1, larger is better; its others, each (steps, values), in the same."""

    values: np.ndarray
    steps: np.ndarray
    ends: tuple[float, float, float]  # lower and upper bound as told, fallback scale
    others: list[Run]


def real_batch(sources: list[Source], config: PretrainConfig, seed: int) -> Batch:
    """Runs of real studies with others to read; a function of its arguments alone."""
    rng, rows = np.random.default_rng(seed), list[_Target]()
    while len(rows) < max(1, RUNS * config.batch // 64):
        source = sources[rng.integers(len(sources))]
        runs = source.studies[rng.integers(len(source.studies))]
        if (target := _target(source, runs, sources, rng)) is not None:
            rows.append(target)
    lengths = np.array([[len(row.values)] for row in rows])
    shape = len(rows), min(config.pairs, PAIRS)
    tokens = np.minimum((rng.random(shape) ** config.cutoff_power * (lengths - 1)).astype(int), lengths - 2)
    ahead = np.minimum(tokens + 1 + (rng.random(shape) * (lengths - 1 - tokens)).astype(int), lengths - 1)
    values, steps = (_padded([[x] for x in column]).squeeze(1).float() for column in ([r.values for r in rows], [r.steps for r in rows]))
    tokens, ahead = torch.from_numpy(tokens), torch.from_numpy(ahead)
    lower, upper, fallback = torch.tensor([row.ends for row in rows]).float().unbind(1)
    theirs, at = _padded([[run.values for run in row.others] for row in rows]), _padded([[run.steps for run in row.others] for row in rows])
    others = unfinished(theirs, at, torch.Generator().manual_seed(seed))
    return Batch(values, steps, tokens, steps.gather(1, ahead), values.gather(1, ahead)[..., None], Frame(lower, upper, fallback), others)


def _target(source: Source, runs: list[Run], sources: list[Source], rng: np.random.Generator) -> _Target | None:
    """One run of a study, varied, and some of the rest; None if too little is left of it."""
    me = int(rng.integers(len(runs)))
    run, away = runs[me], {me}
    two = int(rng.integers(len(runs)))
    if rng.random() < MIXED and two != me and runs[two].steps[-1] >= 0.9 * run.steps[-1]:
        weight = rng.uniform(0.2, 0.8)
        run, away = Run(run.steps, weight * run.values + (1 - weight) * np.interp(run.steps, *runs[two])), {me, two}
    if rng.random() < SHORTENED and len(run.steps) > 8:
        points = int(rng.integers(8, len(run.steps) + 1))
        run = Run(run.steps[:points], run.values[:points])
    if rng.random() < THINNED and len(run.steps) > 12:
        run = run.thin(int(rng.integers(8, len(run.steps) + 1)))
    if len(run.steps) < 4:
        return None
    lower, upper = source.bounds if rng.random() < TOLD else (-np.inf, np.inf)
    lower = -np.inf if run.values.min() < lower else lower
    upper = np.inf if run.values.max() > upper else upper
    low, high = (lower, upper) if source.sign > 0 else (-upper, -lower)
    z = source.sign * run.values
    start, width, span = z[0], np.ptp(z) or 1.0, 100 / run.steps[-1]
    near = min(abs(low - start), abs(high - start))
    fallback = high - low if np.isfinite(high - low) else near if np.isfinite(near) and near > 0 else max(abs(start), 1.0)
    others = [Run(a, source.sign * b) for a, b in _others(runs, away, rng)]
    if others and rng.random() < MISLED:
        others = mislead(others, Run(runs[me].steps, source.sign * runs[me].values), source, runs, sources, MOST_OTHERS, rng)
    if rng.random() < 0.2:  # on thinner grids
        others = [other.thin(max(4, len(other.steps) // int(rng.integers(2, 5)))) for other in others]
    others = [Run(span * a, np.clip((b - start) / width, -1e9, 1e9)) for a, b in others]
    return _Target(
        (z - start) / width, span * run.steps, ((low - start) / width, (high - start) / width, max(fallback / width, 1e-6)), others
    )


def _others(runs: list[Run], away: set[int], rng: np.random.Generator) -> list[Run]:
    """None, or between 1 and ``MOST_OTHERS`` of the runs, few more often than many."""
    if rng.random() < ALONE:
        return []
    count = int(np.exp(rng.uniform(0, np.log(MOST_OTHERS + 1))))
    return [runs[i] for i in rng.permutation(len(runs))[: count + len(away)] if i not in away][:count]


def _padded(rows: list[list[np.ndarray]]) -> Float[Tensor, "B K M"]:
    """Ragged rows of runs, NaN where padded."""
    most, longest = max(1, *map(len, rows)), max([len(x) for row in rows for x in row] + [1])
    out = np.full((len(rows), most, longest), np.nan)
    for i, row in enumerate(rows):
        for k, x in enumerate(row):
            out[i, k, : len(x)] = x
    return torch.from_numpy(out)
