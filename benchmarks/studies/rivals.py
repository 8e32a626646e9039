"""An empirical predictive of a study: the target goes on as its other runs went on from here.

At each query it is a mixture of normals, one for each other run that has reached the query step, at the target's last value plus that run's
increment from the cut-off's step to the query's, read off the run by linear interpolation. A run weighs exp(-(d / h)² / 2), d the root
mean square distance between its increments up to the cut-off and the target's, h the third smallest d. Its sd is made of d / 2, of the
noise of the target (of its last ten changes), and of Silverman's bandwidth of the weighted increments. Where no run has reached the query,
the answer is a random walk from the target's last value.

Source: ours, after kernel density estimation; LC-PFN and ifBO compare with no such rival.
"""

import numpy as np

from benchmarks.curves import RealCurve
from benchmarks.studies.ask import Law, Rival
from benchmarks.studies.gaussian_process import gaussian_process
from benchmarks.studies.questions import Run

GP = "gaussian-process"
NEAREST = 3  # the rank of the distance that is the kernel's width
APART = 0.5  # share of the distance in the sd: of 0.1 to 1 the best in CRPS and log score together, with 1, 3 and 10 others of 7 sources
RECENT = 10  # changes of the target that tell its noise


def empirical(curve: RealCurve, cut: int, others: list[Run]) -> Law:
    """See the top of this file."""
    steps, values, ahead = curve.steps[:cut], curve.values[:cut], curve.steps[cut:]
    changes = np.diff(values)[-RECENT:]
    walk = np.sqrt(np.mean(changes**2) * (1 + np.arange(len(ahead))))
    noise = np.sqrt(np.mean((changes - changes.mean()) ** 2) / 2)
    if not others:
        return Law(*(x[:, None] for x in (np.ones(len(ahead)), np.full(len(ahead), values[-1]), walk)))
    moves = np.stack([increments(run, steps[-1], ahead) for run in others], 1)
    apart = np.array([distance(run, steps, values) for run in others])
    width = np.sort(apart)[min(NEAREST, len(apart)) - 1]
    near = np.exp(-0.5 * (apart / max(width, 1e-12 * curve.width)) ** 2) if width > 0 else (apart == 0).astype(float)
    known = ~np.isnan(moves)
    weight, moves = known * near, np.where(known, moves, 0.0)
    share = weight / np.maximum(weight.sum(1, keepdims=True), 1e-300)
    mean = (share * moves).sum(1, keepdims=True)
    spread = np.sqrt((share * (moves - mean) ** 2).sum(1, keepdims=True))
    effective = 1 / np.maximum((share**2).sum(1, keepdims=True), 1e-300)
    band = 1.06 * spread * np.maximum(effective, 1.0) ** -0.2
    scale = np.sqrt(band**2 + (APART * apart) ** 2 + noise**2)
    unknown = 1.0 - known.any(1)
    return Law(np.column_stack([weight, unknown]), values[-1] + np.column_stack([moves, 0 * walk]), np.column_stack([scale, walk]))


def increments(run: Run, now: float, ahead: np.ndarray) -> np.ndarray:
    """What a run did from a step to later ones; NaN where it has not been yet, or began later."""
    steps, values = run
    if now < steps[0] * 0.999:
        return np.full(len(ahead), np.nan)
    found = np.interp(ahead, steps, values) - np.interp(now, steps, values)
    return np.where(ahead <= steps[-1] * 1.001, found, np.nan)


def distance(run: Run, steps: np.ndarray, values: np.ndarray) -> float:
    """Root mean square difference of the increments to the last point, over the points that both have."""
    both = (steps >= run[0][0]) & (steps <= run[0][-1])
    if both.sum() < 2:
        return float(np.ptp(values))
    apart = values - np.interp(steps, *run)
    return float(np.sqrt(np.mean((apart - apart[both][-1])[both] ** 2)))


RIVALS: dict[str, Rival] = {"empirical": empirical, GP: gaussian_process}
