"""What every callback of a trainer does for its run: stopper, value to beat, predicted final value. Loads no framework."""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist

from lcx.extrapolation import Extrapolation
from lcx.integrations.run_files import RESOURCES, Row, RunFolder, append, as_name, as_row, line, new_name, read, write
from lcx.stopping.intake import as_number, as_rule
from lcx.stopping.notices import Notices
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
        run: name of this run in the folder, or a function without arguments that gives it, called once per training. Default: each
            training gets a name of its own. If a name is taken, as by an earlier training with a copy of this callback, the run is called
            name-2, name-3, .... A run that is resumed keeps its file: by its checkpoint, or else by its name.
        ignore: names of other runs in the folder that do not count.
        horizon: last step of a full run; default: that of the framework.
        resource: what the horizon limits: "steps", or "time", the seconds trained so far without interruptions; then give ``horizon``.
        rule: as in ``EarlyStopper``; default: its rule, with ``delta``.
        delta: limit of the default rule, a probability < 1.
        log_forecast: after each report, log the predicted value at the horizon: its median and 90 % interval.
        backup: a file of this run alone, from which its curve comes when it is resumed.
        options: bounds, model, min_points, confirm, stop_on_divergence, min_finished of ``EarlyStopper``; the last needs ``shared``.

    Raises:
        ValueError, TypeError: there is nothing to beat, or an argument is wrong.
    """

    def __init__(
        self,
        metric: str,
        mode: str,
        *,
        best: Any = None,
        shared: str | Path | None = None,
        run: Any = None,
        ignore: Iterable[str] = (),
        horizon: Any = None,
        resource: str = "steps",
        rule: Any = None,
        delta: Any = 0.05,
        log_forecast: bool = False,
        backup: Path | None = None,
        **options: Any,
    ) -> None:
        if best is None and shared is None and rule is None and not log_forecast:
            raise ValueError(
                f"expected best, shared or rule, got none; a run by itself has nothing to beat, so give best= the {metric} to beat, say"
            )
        if shared is None and options.get("min_finished"):
            raise ValueError("expected shared= with min_finished, got none; give the folder in which the other runs keep their curves")
        if wrong := {"false_stops", "control"} & set(options):
            raise ValueError(f"expected delta or rule, got {min(wrong)}; give it to EarlyStopper, Optuna or Ray Tune, which know all runs")
        if resource not in RESOURCES or (resource == "time" and horizon is None):
            came = f"{resource!r} and horizon {horizon}"
            raise ValueError(f"expected resource 'steps', or 'time' with a horizon in seconds, got {came}; give both or neither")
        self.metric, self.mode, self.horizon, self.log_forecast = metric, mode, horizon, log_forecast
        self.best = None if best is None else as_number(best, "best")
        if self.best is not None and not math.isfinite(self.best):
            raise ValueError(f"expected a finite best, got {self.best}; give the value to beat, or leave it out")
        self.extrapolation: Extrapolation | None = None  # of the last report; None where nothing was predicted
        self._judge: Rule = as_rule(rule) or spare_incumbent(never_better(delta))
        self._skips = rule is not None  # a rule such as ``every`` may skip reports
        self._options, self._missed = options, None  # the first step without the metric; infinite when that was said
        self._shared, self._asked, self._ignored = None if shared is None else Path(shared), as_name(run), frozenset(ignore)
        self._timed, self._backup, self._notices = resource == "time", backup, Notices()
        self._rows: list[Row] = []
        self.run: str | None = None  # the name in the folder, once the run has one
        self._folder: RunFolder | None = None
        self._stopper = self._new_stopper(1.0 if horizon is None else horizon)  # refuses a wrong argument before the training starts
        self._started, self._written = time.monotonic(), False
        self._last: float | None = None  # horizon of the training before

    def begin(self, horizon: Any = None, *, done: float = math.inf, kept: Mapping[str, Any] | None = None) -> None:
        """Starts the run, or resumes it.

        Args:
            horizon: last step according to the framework; None, negative or infinite if it does not know.
            done: steps done before; 0 for a new run. Later points of a resumed run are dropped, because they will be measured again.
            kept: what :meth:`kept` gave of a resumed run, or its points at least; default: from its file, else from this object.

        Raises:
            ValueError: neither the user nor the framework gave a horizon.
        """
        last = self.horizon if self.horizon is not None else horizon
        if last is None or not 0 < last < math.inf:
            raise ValueError(f"expected the last step of a full run, got {last} from the trainer; give horizon=, or limit the training")
        about = {"metric": self.metric, "mode": self.mode, "horizon": float(last), "resource": RESOURCES[self._timed]}
        self._folder = None if self._shared is None else RunFolder(self._shared, about, self._ignored)
        kept = self._found(resumed=done > 0, kept=kept)
        self.run, before = kept.get("run"), kept.get("horizon")
        self._last, self._written = last, False
        points = kept.get("points", [])
        times = kept.get("times") or [None] * len(points)
        self._rows = [as_row(step, at, value) for (step, value), at in zip(points, times, strict=True) if step <= done]
        if before is not None and self.horizon is None and self._rows and before <= self._rows[-1].step and before < last:
            said = "the training goes on beyond step %g, its last step so far, so nothing could be stopped; give horizon=, the last of all"
            self._notices.warn("grown", said, before)
        self._started = time.monotonic() - ((self._rows[-1].time if self._rows else None) or 0.0)
        known = [point for row in self._rows if (point := (self._at(row), row.value))[0]]
        last_ones = len(known) if self._stopper.confirm > 1 and self._skips else self._stopper.confirm
        again = max(0, len(known) - last_ones)  # the last ones are decided on again, to count those in a row
        past = {"run": None, "steps": [s for s, _ in known[:again]], "values": [y for _, y in known[:again]], "agreed": 0}
        self._stopper = EarlyStopper.from_state(self._new_stopper(last).state() | {"runs": [past]}, rule=self._ask)
        self.extrapolation = None
        for step, value in known[again:]:
            self._stopper.update(step, value, best=self._to_beat())

    def report(self, step: Any, value: Any, *, horizon: Any = None) -> Verdict:
        """The verdict after one report. All ranks call it; the value of rank 0 counts, and every rank gets the same verdict.

        Args:
            step: steps done, whatever the resource.
            value: metric.
            horizon: last step from now on, if the framework knows better than at the start.
        """
        first = not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
        verdict = decide_on_rank_zero(self._decide(step, value, horizon) if first else None)
        # Warnings, since nothing milder is seen where nobody has set up logging.
        if first and self.log_forecast and self.extrapolation is not None:
            median, low, high = self.forecast().values()
            unit, last = "second" if self._timed else "step", self.extrapolation.at[-1]
            said = f"{self.metric} {value:.5g} at step {step:g}, predicted {median:.5g} at {unit} {last:g}"
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
        elif self._missed < step and not self._rows:
            log.warning("no metric %r was logged, so nothing can be stopped; logged were: %s", self.metric, ", ".join(logged) or "none")
            self._missed = math.inf

    @property
    def seconds(self) -> float:
        """Seconds trained so far."""
        return time.monotonic() - self._started

    @property
    def points(self) -> list[list[Any]]:
        """[step, value] of each report, value None if it was not finite."""
        return [[row.step, row.value] for row in self._rows]

    def kept(self) -> dict[str, Any]:
        """What :meth:`begin` needs to resume the run, as JSON can hold it."""
        return {"points": self.points, "times": [row.time for row in self._rows], "run": self.run, "horizon": self._last}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"extrapolation": None}  # it holds functions, and trainers that spawn processes pickle their callbacks

    def _new_stopper(self, horizon: Any) -> EarlyStopper:
        return EarlyStopper(horizon, self.mode, rule=self._ask, **self._options)

    def _ask(self, extrapolation: Extrapolation, best: float) -> Verdict:
        self.extrapolation = extrapolation
        return self._judge(extrapolation, best)

    def _at(self, row: Row) -> float | None:
        return row.time if self._timed else row.step

    def _found(self, *, resumed: bool, kept: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """What is known of the run that begins now: nothing of a new one."""
        if not resumed or kept is not None:
            return kept or {}
        path = self._backup
        if path is None and self._folder is not None:
            name = self.run or (self._folder.find(self._asked) if isinstance(self._asked, str) else None)
            path = None if name is None else self._folder.path(name)
        if path is None or not path.is_file():
            return self.kept()
        about, rows = read(path, self.metric)
        name = about.get("run", self.run) if self._backup else name
        return {"points": [(row.step, row.value) for row in rows], "times": [row.time for row in rows], "run": name} | {
            "horizon": about.get("horizon")
        }

    def _decide(self, step: Any, value: Any, horizon: Any) -> Verdict:
        self.extrapolation = None
        row, last = as_row(step, self.seconds, value), horizon if self.horizon is None else None
        verdict = self._stopper.update(self._at(row), row.value, best=self._to_beat(), horizon=last)
        if not self._rows or row.step > self._rows[-1].step:
            self._rows.append(row)
            try:
                self._write(row, last)
            except OSError as error:
                self._notices.warn("unwritten", "the curve of the run cannot be written (%s), so other runs do not see it", error)
        return verdict

    def _write(self, row: Row, horizon: float | None) -> None:
        """Adds the row to the files of the run; writes them anew the first time, and if the horizon is another one."""
        anew = not self._written or horizon not in (None, self._last)
        self._last = self._last if horizon is None else horizon
        if self._folder is not None and self.run is None:
            asked = as_name(self._asked()) if callable(self._asked) else self._asked
            self.run = self._folder.claim(str(asked or new_name()))
        about = {"run": self.run, "metric": self.metric, "mode": self.mode, "horizon": self._last, "resource": RESOURCES[self._timed]}
        shared = None if self._folder is None or self.run is None else self._folder.path(self.run)
        for path in (shared, self._backup):
            if path is not None and anew:
                write(path, about, self._rows)
            elif path is not None:
                append(path, line(row, self.metric))
        self._written = True

    def _to_beat(self) -> float | None:
        """The value to beat: the best of ``best`` and of the other runs, which the stopper knows; None if that is theirs."""
        if self._folder is not None:
            own = None if self.run is None else self._folder.path(self.run)
            self._folder.bring(self._stopper, own)
        if self.best is None:
            return None
        return (max if self.mode == "max" else min)(self.best, self._stopper.to_beat([None])[0])
