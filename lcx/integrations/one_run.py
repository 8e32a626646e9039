"""What every callback of a trainer does for its run: stopper, value to beat, predicted final value. Loads no framework."""

import json
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch.distributed as dist

from lcx.extrapolation import Extrapolation
from lcx.files import write_text
from lcx.stopping.intake import Reports, as_number, as_value
from lcx.stopping.rules import Rule, Verdict, never_better, spare_incumbent
from lcx.stopping.stopper import EarlyStopper
from lcx.stopping.world import decide_on_rank_zero

log = logging.getLogger("lcx")


class OneRun:
    """An ``EarlyStopper`` for one run. Every callback of a trainer has one.

    A single run has no other run to beat, so give one of ``best``, ``shared``, or a ``rule`` that needs no other run, such as
    ``lcx.stopping.reaches(0.9)``. In distributed training all ranks call :meth:`report` and get the verdict of rank 0.

    Args:
        metric: name of the metric, as the framework logs it.
        mode: "max" if larger is better, "min" if smaller is.
        best: value to beat, user's unit, for example that of an earlier run. With ``shared``, the run has to beat this and the other runs.
        shared: folder in which the runs of a study keep their curves for each other, whether they run at the same time or not. Each run
            writes a JSON Lines file of its own; ``lcx runs`` and the other commands can read the folder.
        run: name of this run in the folder; use the same name when it is resumed. Needed with ``shared``.
        horizon: last step of a full run; default: that of the framework.
        rule: as in ``EarlyStopper``; default: its rule, with ``delta``.
        delta: limit of the default rule, a probability < 1.
        log_forecast: after each report, log the predicted value at the horizon: its median and 90 % interval.
        options: bounds, model, min_points, confirm, stop_on_divergence of ``EarlyStopper``.

    Raises:
        ValueError, TypeError: there is nothing to beat, ``shared`` is given without ``run``, or ``EarlyStopper`` refuses an argument.
    """

    def __init__(
        self,
        metric: str,
        mode: str,
        *,
        best: Any = None,
        shared: str | Path | None = None,
        run: str | None = None,
        horizon: Any = None,
        rule: Rule | None = None,
        delta: float = 0.05,
        log_forecast: bool = False,
        **options: Any,
    ) -> None:
        if best is None and shared is None and rule is None and not log_forecast:
            raise ValueError(
                f"expected best, shared or rule, got none; a run by itself has nothing to beat, so give best= the {metric} to beat, say"
            )
        if shared is not None and not run:
            raise ValueError(f"expected run= with shared={str(shared)!r}, got {run!r}; name this run, the same name when it is resumed")
        self.metric, self.mode, self.horizon, self.log_forecast = metric, mode, horizon, log_forecast
        self.best = None if best is None else as_number(best, "best")
        if self.best is not None and not math.isfinite(self.best):
            raise ValueError(f"expected a finite best, got {self.best}; give the value to beat, or leave it out")
        self.extrapolation: Extrapolation | None = None  # of the last report; None where nothing was predicted
        self._judge = spare_incumbent(never_better(delta)) if rule is None else rule
        self._skips = rule is not None  # a rule such as ``every`` may skip reports
        self._options, self._missed = options, None  # the first step without the metric; infinite when that was said
        self._file = None if shared is None else Path(shared) / f"{quote(str(run), safe=' =,+')}.jsonl"
        self._bests: dict[Path, tuple[int, float]] = {}  # of the other runs' files: when written, best value
        self._stopper = self._new_stopper(1.0 if horizon is None else horizon)  # refuses a wrong argument before the training starts

    def begin(self, horizon: Any = None, *, done: float = math.inf, points: Iterable[Any] | None = None) -> None:
        """Starts the run, or resumes it.

        Args:
            horizon: last step according to the framework; None, negative or infinite if it does not know.
            done: steps done before. Later points of a resumed run are dropped, because they will be measured again.
            points: (step, value) of a resumed run; default: from its file in the shared folder, else those reported to this object.

        Raises:
            ValueError: neither the user nor the framework gave a horizon.
        """
        last = self.horizon if self.horizon is not None else horizon
        if last is None or not 0 < last < math.inf:
            raise ValueError(f"expected the last step of a full run, got {last} from the trainer; give horizon=, or limit the training")
        if points is None:
            points = _points(self._file, self.metric) if self._file is not None and self._file.exists() else self.points
        known = [(step, value) for step, value in points if step <= done]
        last_ones = len(known) if self._stopper.confirm > 1 and self._skips else self._stopper.confirm
        again = max(0, len(known) - last_ones)  # the last ones are decided on again, to count those in a row
        state = self._new_stopper(last).state()
        past = {"run": None, "steps": [s for s, _ in known[:again]], "values": [y for _, y in known[:again]], "agreed": 0}
        self._stopper = EarlyStopper.from_state(state | {"runs": [past]}, rule=self._ask)
        self.extrapolation = None
        for step, value in known[again:]:
            self._stopper.update(step, value, best=self._to_beat())

    def report(self, step: Any, value: Any) -> Verdict:
        """The verdict after one report. All ranks call it; the value of rank 0 counts, and every rank gets the same verdict."""
        first = not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
        verdict = decide_on_rank_zero(self._decide(step, value) if first else None)
        # Warnings, since nothing milder is seen where nobody has set up logging.
        if first and self.log_forecast and self.extrapolation is not None:
            median, low, high = self.forecast().values()
            said = f"{self.metric} {value:.5g} at step {step:g}, predicted {median:.5g} at step {self._stopper.horizon:g}"
            log.warning("%s, 90 %% interval %.5g to %.5g", said, low, high)
        if first and verdict.stop:
            log.warning("lcx stops the run at step %g: %s", step, verdict.reason)
        return verdict

    def forecast(self) -> dict[str, float]:
        """The predicted value at the horizon after the last report: median, 5 % and 95 % quantile, user's unit; NaN if there is none."""
        levels = {"": 0.5, "_0.05": 0.05, "_0.95": 0.95}
        values = [math.nan] * 3 if self.extrapolation is None else self.extrapolation.quantile(list(levels.values()))[-1].tolist()
        return {f"{self.metric}_predicted{name}": value for name, value in zip(levels, values, strict=True)}

    def missing(self, step: float, logged: Iterable[str]) -> None:
        """Takes note that the metric was not logged at a step. Warns once, at the second such step of a run that has never logged it."""
        if self._missed is None:
            self._missed = step
        elif self._missed < step and not self.points:
            log.warning("no metric %r was logged, so nothing can be stopped; logged were: %s", self.metric, ", ".join(logged) or "none")
            self._missed = math.inf

    @property
    def points(self) -> list[list[Any]]:
        """[step, value] of each report, value None if it was not finite. This is all that is needed to resume the run."""
        return [[s, y] for run in self._stopper.state()["runs"] for s, y in zip(run["steps"], run["values"], strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"extrapolation": None}  # it holds functions, and trainers that spawn processes pickle their callbacks

    def _new_stopper(self, horizon: Any) -> EarlyStopper:
        return EarlyStopper(horizon, self.mode, rule=self._ask, **self._options)

    def _ask(self, extrapolation: Extrapolation, best: float) -> Verdict:
        self.extrapolation = extrapolation
        return self._judge(extrapolation, best)

    def _decide(self, step: Any, value: Any) -> Verdict:
        self.extrapolation = None
        verdict = self._stopper.update(step, value, best=self._to_beat())
        if self._file is not None:
            lines = [json.dumps({"step": s, self.metric: math.nan if y is None else y}) + "\n" for s, y in self.points]
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text("".join(lines), self._file, name=(self._file.stem, ".partial"))  # others read *.jsonl meanwhile
        return verdict

    def _to_beat(self) -> float | None:
        """The value to beat: the best of ``best`` and of the other runs; None if there is neither."""
        bests = [] if self.best is None else [self.best]
        for path in self._file.parent.glob("*.jsonl") if self._file is not None else ():
            if path != self._file:
                written = path.stat().st_mtime_ns
                if path not in self._bests or self._bests[path][0] != written:
                    self._bests[path] = written, self._best_of(path)
                bests.append(self._bests[path][1])
        target = (max if self.mode == "max" else min)(bests, default=math.nan)
        return target if math.isfinite(target) else None

    def _best_of(self, path: Path) -> float:
        curve = Reports()
        for step, value in _points(path, self.metric):
            curve.add(step, as_value(value), self._stopper.bounds)
        return curve.best(self.mode)


def _points(path: Path, metric: str) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["step"], row[metric]) for row in rows if {"step", metric} <= row.keys()]
