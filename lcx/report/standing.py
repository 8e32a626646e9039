"""What is known of one run of a log, and the word for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lcx.stopping.intake import Reports, as_value

FINISHED = ("finished", "complete", "completed")  # as MLflow and W&B, Optuna, Sacred say it
ENDED = ("failed", "fail", "killed", "crashed", "pruned", "interrupted", "timeout", "died", "preempted")


@dataclass
class Standing:
    """One run. Numbers are in the user's units, and NaN if nothing was seen or predicted."""

    run: str
    step: float  # the last one reported
    horizon: float
    last: float  # value at the last step
    best: float  # best value so far
    state: str = "running"  # "finished" at the horizon or if the log says so; else what the log says of a run that ended early
    final: float = math.nan  # median of the prediction at the horizon; of a finished run its last value
    low: float = math.nan  # 5 % quantile there
    high: float = math.nan  # 95 %
    to_beat: float = math.nan  # the best value of the other runs; of a run that could be resumed, that of all runs
    probability: float = math.nan  # the largest P(better than to_beat) over the later steps
    stop: bool = False
    reason: str = ""  # a plain sentence
    holder: str = ""  # the run that has the value to beat
    ends_best: float = math.nan  # P(its final value is the best of all)
    resume: bool = False  # whether a run that ended early is worth going on with; it has no final value all the same

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.state != "running":
            return "resume" if self.resume else self.state
        return "stop" if self.stop else "go on" if self.final == self.final else "wait"


def counted(runs: Sequence[Standing]) -> str:
    """How many are to stop and to resume, in words."""
    again = sum(run.resume for run in runs)
    return f"{sum(run.stop for run in runs)} to stop" + (f", {again} to resume" if again else "")


def settle(run: Standing, logged: str, said: str | None, points: int, min_points: int) -> None:
    """Fills in what needs no prediction. Runs that still have no reason are to be predicted."""
    if run.step >= run.horizon or logged.lower() in FINISHED:
        run.state = "finished"
        run.final = as_value(run.last)
        run.reason = f"step {run.step:g} lies beyond the horizon" if run.step > run.horizon else "finished"
    elif logged.lower() in ENDED:
        run.state = logged.lower()
        run.reason = f"ended at step {run.step:g}"
    elif said is not None:
        run.reason = said
    elif points < min_points:
        run.reason = f"{points} value(s) so far, {min_points} needed"


def could_go_on(run: Standing, known: Reports, min_points: int) -> bool:
    """Whether a run ended early, has enough values, and its last one could be read."""
    return run.state in ENDED and len(known.read) >= min_points and known.read[-1][0] == run.step
