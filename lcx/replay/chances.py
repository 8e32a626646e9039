"""P(better than a target) at every cut-off of every finished run: predicted once, then available for any target."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from tqdm.auto import tqdm

from lcx.extrapolator import Extrapolator, load
from lcx.predictive import Predictive
from lcx.replay.task import Task
from lcx.stopping.false_stops import LOST

TARGETS = 128  # values to beat that chances are kept for; between them they are interpolated
LOOKED_AT = 16  # most later steps predicted per cut-off
_PAIRS = 1 << 15  # (cut-off, step) pairs predicted at once: bounds memory at some 100 MB


@dataclass(frozen=True, eq=False)
class Chances:
    """What a model predicted at every cut-off of the runs of a task; NaN at the last point of a run and where it cannot predict.

    Attributes:
        targets: (T,) values to beat, user's unit, from the worst to the best.
        ever: (n, L, T) the largest P(y_t better than the target) over the later steps t; probabilities, float32.
        end: (n, L, T) P(y better than the target) at the horizon.
        sign: 1 for mode "max", -1 for "min".
    """

    targets: Float[np.ndarray, "T"]
    ever: Float[np.ndarray, "n L T"]
    end: Float[np.ndarray, "n L T"]
    sign: int

    def of(self, run: int, target: float | Float[np.ndarray, "C"], what: str = "ever") -> Float[np.ndarray, "C"]:
        """P(better than ``target``) at each cut-off of a run, linear between the targets kept; 1 if there is nothing to beat.

        If ``target`` is an array, its i-th entry belongs to the cut-off after i + 1 points.

        Args:
            run: index of the run.
            target: value to beat, user's unit, one or one per cut-off; -inf (mode "min": inf) is beaten by every value.
            what: "ever" or "end".
        """
        table, goal = (self.ever if what == "ever" else self.end)[run], self.sign * np.asarray(target, dtype=np.float64)
        table = table[: len(goal)] if goal.ndim else table
        rows, (left, right, share) = np.arange(len(table)), self._between(goal)
        chance = (1 - share) * table[rows, left] + share * table[rows, right]
        return np.where(np.isneginf(goal), 1.0, chance)

    def at(self, runs: Int[np.ndarray, "m"], points: Int[np.ndarray, "m"], target: float) -> Float[np.ndarray, "m"]:
        """P(better than ``target``) as in :meth:`of`, "ever", of several runs, each after a number of points.

        Args:
            runs: indices of the runs.
            points: number of points seen of each run, >= 1.
            target: value to beat, user's unit; -inf (mode "min": inf) is beaten by every value.
        """
        goal = np.float64(self.sign * target)
        left, right, share = self._between(goal)
        chance = (1 - share) * self.ever[runs, points - 1, left] + share * self.ever[runs, points - 1, right]
        return np.where(np.isneginf(goal), 1.0, chance)

    def _between(self, goal: Any) -> tuple[Any, Any, Any]:
        """Of goals, larger being better: the places of the kept targets on both sides, and the share of the way to the second."""
        kept = self.sign * self.targets
        place = np.interp(goal, kept, np.arange(len(kept)))
        left = np.floor(place).astype(int)
        return left, np.ceil(place).astype(int), place - left

    def save(self, path: Path) -> None:
        """Writes the file ``path`` (.npz)."""
        np.savez_compressed(path, targets=self.targets, ever=self.ever, end=self.end, sign=self.sign)

    @classmethod
    def load(cls, path: Path) -> "Chances":
        """Reads what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["targets"], kept["ever"], kept["end"], int(kept["sign"]))


def forecast(
    task: Task, model: str | Path = "default", *, targets: Float[np.ndarray, "T"] | None = None, progress: bool = False
) -> Chances:
    """Predicts every cut-off of every run of a task.

    Each prediction uses only the points up to its cut-off. It is made at 16 steps, evenly spaced up to the horizon of the run, or at each
    point if there are fewer. One pass predicts all cut-offs of a run (``Extrapolator.backtest``). If later values are far larger than
    earlier ones, or if the scale of the parametric model would depend on them, each cut-off takes a call of its own. The parametric model
    does not predict before 1 % of the horizon; as long as all values are equal, its scale in a pass is that of the whole run.

    Args:
        task: finished runs.
        model: name of a shipped model, or the folder of a model; it runs on the CPU.
        targets: values for which chances are kept, user's unit; default :func:`targets_of` the task.
        progress: show a progress bar.
    """
    extrapolator = load(model, "cpu")
    goals = task.sign * np.sort(task.sign * (targets_of(task) if targets is None else np.asarray(targets)))
    ever, end = (np.full((*task.values.shape, len(goals)), np.nan, dtype=np.float32) for _ in range(2))
    whole = _in_one_pass(task) & (extrapolator.model.general or task.bounds[task.sign > 0] is not None)
    with tqdm(total=int((task.counts - 1).sum()), desc="forecast", unit="cut-off", disable=not progress) as bar:
        for asked, which in ((_passes, whole), (_calls, ~whole)):
            for runs, cuts, steps, law in asked(extrapolator, task, (which & (task.counts > 1)).nonzero()[0]):
                chance = _prob_better(law, steps, goals, task)
                last = steps.nan_to_num(-1).argmax(1).numpy()
                ever[runs, cuts - 1], end[runs, cuts - 1] = chance.max(1), chance[np.arange(len(last)), last]
                bar.update(len(runs))
    return Chances(goals, ever, end, task.sign)


def targets_of(task: Task) -> Float[np.ndarray, "T"]:
    """At most ``TARGETS`` values that could be the best so far: the best values of all run prefixes, the better ones more densely."""
    shown = np.unique(task.peaks[np.isfinite(task.peaks) & ~np.isnan(task.steps)])[::-1]
    if not shown.size:
        return np.zeros(1)
    most = TARGETS // 2
    places = np.union1d(np.arange(1, most + 1), np.geomspace(most, max(most, len(shown)), most).round().astype(int))
    return task.sign * shown[places[places <= len(shown)] - 1][::-1]


# Runs (P,), cut-offs (P,), and what was predicted there, batch shape (P,).
_Answers = Iterator[tuple[Int[np.ndarray, "P"], Int[np.ndarray, "P"], Float[torch.Tensor, "P A"], Predictive]]


def _passes(extrapolator: Extrapolator, task: Task, runs: Int[np.ndarray, "R"]) -> _Answers:
    """One pass per run, several runs at once."""
    several = max(1, _PAIRS // (LOOKED_AT * task.values.shape[1]))
    for some in (runs[i : i + several] for i in range(0, len(runs), several)):
        early = (task.steps[some] < 0.01 * task.horizon[some, None]).sum(1).max()
        first = 1 if extrapolator.model.general else 1 + int(early)
        some = some[task.counts[some] > first]
        if not len(some):
            continue
        longest = int(task.counts[some].max())
        cuts, ahead = np.arange(first, longest), [_ahead(task, run, first) for run in some.tolist()]
        at = np.full((len(some), max(map(len, ahead))), np.nan)
        for row, steps in zip(at, ahead, strict=True):
            row[: len(steps)] = steps
        answer = extrapolator.backtest(
            task.values[some, :longest],
            task.steps[some, :longest],
            cutoffs=cuts,
            at=at,
            horizon=task.horizon[some],
            mode=task.mode,
            bounds=task.bounds,
        )
        asked = cuts < task.counts[some][:, None]
        row, cut = asked.nonzero()
        law, which = answer.predictive, torch.from_numpy(asked)
        yield some[row], cuts[cut], answer.steps_ahead[which], Predictive(law.logits[which], law.loc[which], law.scale[which])


def _calls(extrapolator: Extrapolator, task: Task, runs: Int[np.ndarray, "R"]) -> _Answers:
    """One call per run, every prefix a curve of its own."""
    for run in runs.tolist():
        cuts = np.arange(1, int(task.counts[run]))
        values, steps = ([table[run, :cut] for cut in cuts] for table in (task.values, task.steps))
        at = [_ahead(task, run, cut) for cut in cuts.tolist()]
        answer = extrapolator(values, steps, horizon=task.horizon[run], mode=task.mode, at=at, bounds=task.bounds)
        yield np.full(len(cuts), run), cuts, answer.steps_ahead, answer.predictive


def _ahead(task: Task, run: int, cut: int) -> Float[np.ndarray, "A"]:
    """The steps looked at after the first ``cut`` points of a run: the same ones whatever the cut-off, less those gone by."""
    own, horizon = task.steps[run, : task.counts[run]], task.horizon[run]
    steps = np.union1d(own, horizon) if len(own) < LOOKED_AT else horizon * np.arange(1, LOOKED_AT + 1) / LOOKED_AT
    return steps[steps > own[cut - 1]]


def _in_one_pass(task: Task) -> Bool[np.ndarray, "n"]:
    """Whether a run's later range leaves its earlier points their digits in float32, in which the model reads a whole curve."""
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.maximum.accumulate(task.values, 1) - np.minimum.accumulate(task.values, 1)  # NaN from the padding on
        narrow = np.where(width > 0, width, np.inf).min(1)
        return ~(np.nan_to_num(width).max(1) > LOST * narrow)


def _prob_better(
    law: Predictive, steps: Float[torch.Tensor, "P A"], goals: Float[np.ndarray, "T"], task: Task
) -> Float[np.ndarray, "P A T"]:
    """P(y better than each goal), -inf where padded; a sum over components keeps temporaries small, which ``Predictive.cdf`` would not."""
    known = ~steps.isnan()
    weight, loc, slope = torch.softmax(law.logits[known], -1), law.loc[known], -task.sign * math.sqrt(0.5) / law.scale[known]

    def beyond(y: Float[torch.Tensor, "Y"]) -> Float[torch.Tensor, "Q Y"]:
        total = torch.zeros(len(loc), len(y))
        for w, m, z in zip(weight.float().T, loc.T, slope.T, strict=True):
            total += 0.5 * w[:, None] * torch.erfc(((m[:, None] - y) * z[:, None]).float())
        return total

    low, high = (limit if bound is None else bound for bound, limit in zip(task.bounds, (-math.inf, math.inf), strict=True))
    far, near = beyond(torch.tensor([low, high][:: -task.sign], dtype=torch.float64)).split(1, -1)
    chance = np.full((*known.shape, len(goals)), -np.inf, dtype=np.float32)
    chance[known.numpy()] = ((beyond(torch.from_numpy(goals)) - far) / (near - far)).clamp(0, 1).numpy()
    return chance
