"""Freeze-thaw: which run to train next, or whether to begin a new one, if runs can be paused and resumed.

On two turns out of three, the run goes on that has the highest chance of beating the best value so far, divided by the steps it still
needs. A new run takes part in this comparison: its chance to be the best of n + 1 runs is 1 / (n + 1), and it is assumed to need as many
steps as the runs begun have taken on average; a share of that counts. These turns finish runs that are nearly done, and begin many runs
while few are known. Every third turn is patient: however far its end, the run goes on whose expected improvement over the best value is
largest, and the next time the run whose chance is highest. The first finds a run that may become far better, the second one that is
nearly as good. TURNS, STRETCH and SHARE were chosen on tasks of the early-stopping benchmark.

Source: pausing by predicted curves is Swersky, Snoek and Adams, "Freeze-Thaw Bayesian Optimization", 2014, arXiv 1406.3896; the two
kinds of turns and the comparison are ours.
"""

import math
from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from lcx.extrapolation import Extrapolation
from lcx.stopping.intake import Reports

TURNS = ("rate", "rate", "gain", "rate", "rate", "chance")  # what the choice goes by, turn after turn
SHARE = 0.5  # of what a new run promises
STRETCH = 2  # a run goes on to this many times its last step, so that the run changes seldom


class Turn(NamedTuple):
    """What to train next.

    Attributes:
        new: whether to begin a new run. Train it to its first report.
        run: the run to continue; if ``new``, None, or the run to begin where hyperparameters told it.
        step: train it until it reports at this step or a later one, user's step unit; NaN if ``new``.
        reason: a sentence with the numbers behind the choice.
    """

    new: bool
    run: str | int | None
    step: float
    reason: str

    def naming(self, run: str | int | None) -> "Turn":
        """The turn, if it is a new run that was chosen by its hyperparameters."""
        return self._replace(run=run, reason=f"{self.reason}; by hyperparameters {run!r} is next")


def goal(turn: int) -> str:
    """What a turn, counted from 0, goes by: "rate", the chance per step left; "gain", the expected improvement; "chance"."""
    return TURNS[turn % len(TURNS)]


def choose(
    chance: Float[np.ndarray, "n"],
    gain: Float[np.ndarray, "n"],
    left: Float[np.ndarray, "n"],
    spent: float,
    *,
    by: str,
    more: bool,
    delta: float,
    share: float = SHARE,
) -> int | None:
    """The index of the run to continue, of n runs; n if a new run should begin; None if no run is worth training.

    Args:
        chance: (n,) the largest P(better than the best value so far, also of the run itself) over the later steps of each run; NaN if not
            known: such a run goes first.
        gain: (n,) the largest expected improvement over that value at one of these steps, user's unit; NaN where the chance is.
        left: (n,) remaining steps of each run up to its horizon, user's unit; 0 for a run that must not go on.
        spent: steps taken by all runs together.
        by: as :func:`goal` says; by "rate" a new run is in the comparison.
        more: whether there are new runs to begin.
        delta: runs with at most this chance are not continued.
        share: of the promise of a new run, that it counts for.
    """
    n, known = len(chance), np.where(np.isnan(chance), 1.0, chance)
    open_ = (left > 0) & (known > delta)
    if not open_.any():
        return n if more else None
    worth = {"rate": known / np.where(open_, left, 1.0), "gain": np.where(np.isnan(gain), math.inf, gain), "chance": known}[by]
    worth = np.where(open_, worth, -1.0)
    top = int(worth.argmax())
    return n if more and by == "rate" and worth[top] < share * n / (n + 1) / spent else top


def told(
    i: int,
    names: list[Any],
    at: Float[np.ndarray, "n"],
    chance: Float[np.ndarray, "n"],
    gain: Float[np.ndarray, "n"],
    best: float,
    horizon: float,
    by: str,
) -> Turn:
    """The choice ``i`` of :func:`choose`, with its reason in words; ``at`` are the last steps of the runs."""
    n = len(names)
    if i == n:
        said = f"a new run is the best with chance 1/{n + 1}, and runs took {at.mean():.3g} steps so far" if n else "no run was begun yet"
        return Turn(True, None, math.nan, said)
    if math.isnan(chance[i]):
        said = "nothing is known of it yet"
    elif by == "gain":
        said = f"the expected improvement over {best:.6g} is {gain[i]:.3g}, the largest of {n} runs"
    else:
        per = "the highest chance" if by == "chance" else f"the most for its {horizon - at[i]:.3g} steps left"
        said = f"P(better than {best:.6g}) is {chance[i]:.2g}, {per} of {n} runs"
    return Turn(False, names[i], float(min(horizon, STRETCH * at[i])), said)


def next_turn(
    runs: Mapping[str | int | None, Reports],
    forecast: Callable[[list[Reports]], Extrapolation],
    *,
    horizon: float,
    mode: str,
    most_lost: int | None,
    delta: float,
    turn: int,
    more: bool,
    without: Container[str | int | None],
) -> Turn | None:
    """What to train next of the runs that have reported; None if nothing is worth training.

    Args:
        runs: by name.
        forecast: one extrapolation of some runs up to their horizons.
        horizon: of runs without one of their own.
        mode: "max" or "min".
        most_lost: values in a row that are not finite, after which a run is over; None: it goes on.
        delta: as in :func:`choose`.
        turn: turns before this one.
        more: as in :func:`choose`.
        without: names of runs that cannot go on.
    """
    names, known = list(runs), list(runs.values())
    at, (chance, gain) = np.array([run.steps[-1] for run in known]), np.full((2, len(known)), np.nan)
    left = np.array([0.0 if name in without else run.left(horizon, most_lost) for name, run in runs.items()])
    best = (max if mode == "max" else min)((run.best(mode) for run in known), default=math.nan)
    ends = [*(run.horizon or horizon for run in known), horizon]
    if asked := [i for i, run in enumerate(known) if left[i] > 0 and run.read]:
        answer = forecast([known[i] for i in asked])
        chance[asked], gain[asked] = (np.nanmax(x, 1) for x in (answer.prob_better(best), answer.expected_improvement(best)))
    by = goal(turn)
    i = choose(chance, gain, left, float(at.sum()), by=by, more=more, delta=delta)
    return None if i is None else told(i, names, at, chance, gain, best, ends[i], by)
