"""How alike the runs of a study are: scale-free statistics of real studies and of studies of the prior, for study_fit.py."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata

from lcx.pretraining.sources import Run, Source
from lcx.priors.general import GeneralPrior
from lcx.priors.studies import LIKENESS, Likeness, draw_study

RUNS, FEWEST, PLACES = 8, 6, 32  # runs looked at of a study, fewest of them, common steps
_SMALL = 1e-3  # of the unit of a study: what differs by less is alike


class Look(NamedTuple):
    """Runs of a study, larger being better, in its unit: the median range of a run, 2 to 98 % of its values."""

    values: Float[np.ndarray, "runs places"]  # at common steps
    noise: Float[np.ndarray, "runs"]  # median size of second differences


def look(runs: list[Run]) -> Look | None:
    """Runs that get far enough, side by side; None if they are fewer than ``FEWEST``, or if most do not change at all."""
    end = sorted(run.steps[-1] for run in runs)[len(runs) // 5]
    runs = [run for run in runs if run.steps[-1] >= 0.95 * end]
    begin = sorted(run.steps[0] for run in runs)[-1 - len(runs) // 5]
    pooled = np.sort(np.concatenate([run.steps[(run.steps >= begin) & (run.steps <= end)] for run in runs]))
    if len(runs) < FEWEST or len(pooled) < FEWEST:
        return None
    at = pooled[np.linspace(0, len(pooled) - 1, PLACES).round().astype(int)]
    y = np.stack([np.interp(at, run.steps, run.values) for run in runs])
    ordered = np.sort(y, axis=1)
    unit = float(np.median(ordered[:, -2] - ordered[:, 1]))
    noise = np.array([np.median(np.abs(np.diff(run.values, 2))) for run in runs])
    return Look(y / unit, noise / unit) if unit > 0 else None


def statistics(looks: list[Look]) -> dict[str, Float[np.ndarray, "studies"]]:
    """Statistics of studies of one number of runs each.

    Spreads are interquartile ranges / 1.35, so that one diverged run says little, as a standard deviation would not.
    """
    y, noise = np.stack([x.values for x in looks]), np.stack([x.noise for x in looks])
    ordered = np.sort(y, axis=2)
    width = np.maximum(ordered[..., -2] - ordered[..., 1], _SMALL)
    start, last = y[..., 0], y[..., -3:].mean(2)
    shape = np.clip((y - ordered[..., :1]) / width[..., None], 0, 1.5)
    half = (shape >= 0.5 * shape.max(2, keepdims=True)).argmax(2) / (PLACES - 1)
    one, other = np.triu_indices(y.shape[1], 1)
    wild = shape - shape.mean(2, keepdims=True)
    wild /= np.sqrt((wild**2).sum(2, keepdims=True)) + 1e-12
    alike = (wild[:, one] * wild[:, other]).sum(2)
    apart = np.sqrt(np.median((y[:, one] - y[:, other]) ** 2, axis=2))
    out = {
        "log spread of starts": _log(_spread(start)),
        "log spread of ends": _log(_spread(last)),
        "spread of log ranges": _spread(np.log(width)),
        "spread of log noise": _spread(np.log(noise + _SMALL / 10)),
        "spread of places of half": _spread(half),
        "likeness of shapes": np.median(alike, 1),
        "least likeness of shapes": np.quantile(alike, 0.1, axis=1),
        "log distance of runs": _log(np.median(apart, 1)),
        "log distance of the farthest": _log(np.quantile(apart, 0.9, axis=1)),
        "runs that hardly move": (width < 0.1).mean(1),
        "runs that move far": (width > 3).mean(1),
        "runs that fall by half": ((ordered[..., -1] - last) > 0.5 * width).mean(1),
        "start with end": _order(start, last),
        "start with rise": _order(start, last - start),
    }
    for share in (0.1, 0.4):
        here = y[..., round(share * PLACES)]
        to_come = last - here
        left = np.median(np.abs(to_come - np.median(to_come, 1, keepdims=True)), 1)
        out[f"order kept from {share:.0%}"] = _order(here, last)
        out[f"log change untold by others at {share:.0%}"] = _log(left / (np.median(np.abs(to_come), 1) + _SMALL))
    return out


def _log(x: np.ndarray) -> np.ndarray:
    return np.log10(x + _SMALL)


def _spread(x: np.ndarray) -> np.ndarray:
    return np.subtract(*np.quantile(x, [0.75, 0.25], axis=1)) / 1.35


def _order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rank correlation over runs; 0 where one of them is constant."""
    a, b = (rankdata(z, axis=1) - (z.shape[1] + 1) / 2 for z in (x, y))
    return (a * b).sum(1) / np.maximum(np.sqrt((a**2).sum(1) * (b**2).sum(1)), 1e-9)


def _table(looks: list[Look | None]) -> tuple[list[str], Float[np.ndarray, "studies statistics"]]:
    """Names of the statistics, and their values, a study a row."""
    by_runs: dict[int, list[Look]] = {}
    for found in looks:
        if found is not None:
            by_runs.setdefault(len(found.noise), []).append(found)
    parts = [statistics(same) for same in by_runs.values()]
    return list(parts[0]), np.concatenate([np.stack(list(part.values()), 1) for part in parts])


def of_source(source: Source, looks: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray, list[int]]:
    """Names of statistics, their values for ``looks`` looks at ``RUNS`` runs of the source's studies in turn, and numbers of points."""
    studies = [runs for runs in source.studies if len(runs) >= FEWEST]
    seen, points = [], []
    for runs in [studies[i] for _ in range(looks) for i in rng.permutation(len(studies))][:looks]:
        few = [runs[i] for i in rng.permutation(len(runs))[:RUNS]]
        seen.append(look([Run(run.steps, source.sign * run.values) for run in few]))
        points.append(round(float(np.median([len(run.steps) for run in few]))))
    return *_table(seen), points


def of_prior(points: np.ndarray, studies: int, seed: int, like: Likeness = LIKENESS) -> Float[np.ndarray, "studies statistics"]:
    """Statistics of studies of the prior whose numbers of points are spread as ``points``; those in which nothing changes are left out."""
    generator, looks, prior = torch.Generator().manual_seed(seed), list[Look | None](), GeneralPrior()
    groups = 8  # of studies with one number of points each
    for length in np.quantile(points, (np.arange(groups) + 0.5) / groups).round().astype(int):
        latents, places = draw_study(prior, studies // groups, RUNS, generator, like)
        drawn = prior.simulate(latents, torch.full((len(latents),), int(length)), generator)
        values = drawn.observe(drawn.base, drawn.sd, generator)
        runs = [*map(Run, drawn.steps.double().numpy(), places.put(values, values[:, :1]).double().numpy())]
        looks += [look(runs[i : i + RUNS]) for i in range(0, len(runs), RUNS)]
    return _table(looks)[1]
