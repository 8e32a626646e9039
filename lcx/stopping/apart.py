"""One prediction of many runs, taken apart into an extrapolation of each run."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lcx.curves import Curves
from lcx.extrapolation import Extrapolation


def one_by_one(batch: Extrapolation, targets: Sequence[float], again: Callable[[int], Extrapolation]) -> list[Extrapolation]:
    """The extrapolation of each run, P(better than its target) worked out already, of all runs at once.

    Args:
        batch: of several runs, steps padded on the right.
        targets: value to beat of each run, user's unit.
        again: predicts a run anew, for sample paths and warnings, which are computed only when asked for.
    """
    steps, curves, parts = batch.steps_ahead, batch.curves, []
    chances = batch.prob_better(np.array(targets)[:, None])
    for i, law in enumerate(batch.predictive.split(steps.shape[1])):
        ahead, seen, row = int((~steps[i].isnan()).sum()), int(curves.counts[i]), slice(i, i + 1)
        part = Extrapolation(
            steps_ahead=steps[row, :ahead],
            predictive=law.split(ahead)[0],
            mode=batch.mode,
            one=True,
            curves=Curves(curves.values[row, :seen], curves.steps[row, :seen], curves.horizon[row]),
            paths=lambda n, generator, i=i: _paths(again(i), n, generator),
            notes=lambda i=i: again(i).warnings,
        )
        part.known_chances[float(targets[i])] = chances[i, :ahead]
        parts.append(part)
    return parts


def _paths(extrapolation: Extrapolation, n: int, generator: torch.Generator) -> torch.Tensor:
    assert extrapolation.paths is not None
    return extrapolation.paths(n, generator)
