"""Freeze-thaw: where runs can be paused and resumed, which of them to train next, or whether to begin a new one.

On two turns of three what counts is the chance of beating the best value so far per step still to train, and a new run stands in the
contest: of n + 1 runs it is the best with chance 1 / (n + 1), known after as many steps as the runs begun have taken on average. On the
third the run with the highest chance goes on, however far its end. The first kind finishes what is nearly done, and looks at many runs
while few are known; the second keeps faith with what looks best. How often, and how far a run goes on at a time, was chosen on the tasks
of benchmarks/early_stop.py.

Source: pausing by predicted curves is Swersky, Snoek and Adams, "Freeze-Thaw Bayesian Optimization", 2014, arXiv 1406.3896; the two
kinds of turns are ours.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

EVERY = 3  # so many turns have one patient one
STRETCH = 2  # a run goes on to this times its last step, so that runs change seldom


class Turn(NamedTuple):
    """What to train next.

    Attributes:
        new: whether to begin a new run.
        run: else which to go on with; None with ``new``.
        step: train it until it reports at this step or a later one, user's step unit; NaN with ``new``: to its first report.
        reason: a plain sentence.
    """

    new: bool
    run: str | int | None
    step: float
    reason: str


def is_patient(turn: int) -> bool:
    """Whether the turn, counted from 0, goes by the chance alone."""
    return turn % EVERY == EVERY - 1


def choose(
    chance: Float[np.ndarray, "n"], left: Float[np.ndarray, "n"], spent: float, *, patient: bool, more: bool, delta: float
) -> int | None:
    """Which of n runs to go on with; n, if a new one is to be begun; None if nothing is worth training.

    Args:
        chance: of each run, P(better than the best value so far, its own included), the largest over its later steps; NaN where not
            known: such a run goes on first.
        left: steps each still has to its horizon, user's unit; 0 if it is to be left alone.
        spent: steps taken by all runs together.
        patient: which turn it is: by the chance alone, or by the chance per step with new runs in the contest.
        more: whether there are new runs to begin.
        delta: runs of at most this chance are left alone.
    """
    n, known = len(chance), np.where(np.isnan(chance), 1.0, chance)
    open_ = (left > 0) & (known > delta)
    if not open_.any():
        return n if more else None
    worth = np.where(open_, known if patient else known / np.where(open_, left, 1.0), -1.0)
    top = int(worth.argmax())
    return n if more and not patient and worth[top] < n / (n + 1) / spent else top


def told(
    i: int, names: list[Any], at: Float[np.ndarray, "n"], chance: Float[np.ndarray, "n"], best: float, horizon: float, patient: bool
) -> Turn:
    """The choice ``i`` of :func:`choose` among runs of these names, last steps and chances, in words."""
    n = len(names)
    if i == n:
        said = f"a new run is the best with chance 1/{n + 1}, and runs took {at.mean():.3g} steps so far" if n else "no run was begun yet"
        return Turn(True, None, math.nan, said)
    if math.isnan(chance[i]):
        said = "nothing is known of it yet"
    else:
        per = "the highest chance" if patient else f"the most for its {horizon - at[i]:.3g} steps left"
        said = f"P(better than {best:.6g}) is {chance[i]:.2g}, {per} of {n} runs"
    return Turn(False, names[i], float(min(horizon, STRETCH * at[i])), said)
