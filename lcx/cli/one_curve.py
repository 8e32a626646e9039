"""The question about one curve of a log, as ``lcx predict`` and ``lcx mcmc`` ask it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lcx.cli.choice import best_metric, listed, metric_of, metrics_of, one_of, typed
from lcx.cli.forecasts import Curve, curves_of, others_of
from lcx.cli.inference import Inferred, infer
from lcx.cli.many_runs import read_runs


@dataclass
class Asked:
    """What the user asks of a log.

    Attributes:
        path: the log.
        command: "predict" or "mcmc", for messages.
        run, metric, step, format: the user's choices, None for none.
        upto: points after this step are ignored.
        mode, horizon, lower, upper: the user's, None to infer them.
        times: the horizon is so many times the last step seen of the runs asked for; None if it is not told in this way.
    """

    path: str
    command: str
    run: str | None = None
    metric: str | None = None
    step: str | None = None
    format: str | None = None
    upto: float | None = None
    mode: str | None = None
    horizon: float | None = None
    lower: float | None = None
    upper: float | None = None
    times: float | None = None
    notes: list[str] = field(default_factory=list)

    def read(self) -> tuple[Any, list[str], list[Inferred]]:
        """The long table, the runs asked for, and the questions about their metrics, completed as far as the log tells.

        Raises:
            ValueError, OSError, ImportError: the log cannot be read, or there is no such run or metric, or no point is left; or both
                a horizon and a multiple of the last step were given, or one that is not above 1.
        """
        if self.times is not None and self.horizon is not None:
            raise ValueError(f"expected one of --horizon and --times, got {self.horizon:g} and {self.times:g}; drop one")
        if self.times is not None and not 1 < self.times < math.inf:
            raise ValueError(f"expected --times above 1, got {self.times:g}; write 10 for up to ten times the last step")
        whole, self.notes = read_runs(self.path, self.format, self.step)
        names = list(dict.fromkeys(map(str, whole["run"])))
        runs = names if self.run is None else [one_of(self.run, names, "run")]
        mine = whole["run"].isin(runs)
        metrics = metrics_of(whole[mine]) if self.metric is None else [metric_of(whole[mine], self.metric, self.command, self.path)]
        table = whole if self.upto is None else whole[~mine | (whole["step"] <= self.upto)]
        seen = table[table["run"].isin(runs) & table["metric"].isin(metrics)]
        if seen.empty:
            first = whole["step"][mine & whole["metric"].isin(metrics)].min()
            raise ValueError(f"expected points up to step {self.upto:g}, got none before step {first:g}; raise --upto")
        table.attrs = whole.attrs
        questions = []
        for metric in (metric for metric in metrics if metric in set(seen["metric"])):
            told = {"mode": self.mode, "horizon": self.horizon, "lower": self.lower, "upper": self.upper}
            if self.times is not None:
                mine = seen[(seen["metric"] == metric) & np.isfinite(seen["value"])]
                told["horizon"] = self.times * (mine["step"].max() if len(mine) else 1.0)
            questions.append(infer(table, self.path, metric, **told, whole=whole))
        return table, runs, questions

    def complete(self, asked: Inferred, runs: Sequence[str]) -> Inferred:
        """The question, if nothing is missing in it.

        Raises:
            ValueError: its direction or the horizon of a run is not known; the message says which, and what to type.
        """
        way, lacking = asked.mode is None, [run for run in runs if run not in asked.horizons]
        if not way and not lacking:
            return asked
        which = "the run" if len(runs) == 1 else lacking[0] if len(lacking) == 1 else f"{len(lacking)} runs" if lacking else ""
        missing = [f"the last step of {which}"] * bool(lacking) + [f"whether larger {asked.metric} is better"] * way
        more = {
            "run": self.run,
            "metric": self.metric and asked.metric,
            "horizon": "N" if lacking else None,
            "mode": "max" if way else None,
        }
        command = typed(self.command, self.path, **more) + (", or --mode min" if way else "")
        raise ValueError(f"expected {' and '.join(missing)}, which {shown(self.path)} does not tell; type: {command}")

    def about(self, table: Any, whole: Any = None, *, longest: bool = False) -> Inferred:
        """The question about all runs of a log that have the metric; the horizons are in ``table.attrs`` afterwards.

        Args:
            table: the long table, perhaps cut off.
            whole: before it was cut off.
            longest: the longest run tells the horizon of runs whose log does not.

        Raises:
            ValueError: as in :meth:`complete`, or the metric is not known.
        """
        metric = metric_of(table, self.metric, self.command, self.path)
        told = {"mode": self.mode, "horizon": self.horizon, "lower": self.lower, "upper": self.upper}
        asked = infer(table, self.path, metric, **told, whole=whole, longest=longest)
        self.complete(asked, list(map(str, table["run"][table["metric"] == metric].unique())))
        table.attrs = {**table.attrs, "horizon": {**table.attrs.get("horizon", {}), **asked.horizons}}
        return asked

    def one(self) -> "OneCurve":
        """The only curve that can be meant.

        Raises:
            ValueError: there are several, or as in :meth:`read` and :meth:`complete`.
        """
        table, runs, questions = self.read()
        self.refuse_many(runs, questions)
        return OneCurve.of(table, runs[0], self.complete(questions[0], runs))

    def refuse_many(self, runs: Sequence[str], questions: Sequence[Inferred]) -> None:
        """Raises ValueError if there are several curves to choose from; the message says which, and what to type."""
        names = [one.metric for one in questions]
        if len(runs) > 1 or len(names) > 1:
            run = runs[0] if len(runs) > 1 else self.run
            command = typed(self.command, self.path, run=run, metric=best_metric(names) if len(names) > 1 else self.metric)
            raise ValueError(f"expected one curve, got {len(runs)} run(s) with {listed(names)} in {shown(self.path)}; type: {command}")


def shown(path: str) -> str:
    """A path as a message names it."""
    return "standard input" if path == "-" else Path(path).name or path


@dataclass
class OneCurve:
    """One curve and its question.

    Attributes:
        run: its name.
        asked: metric, direction, bounds and horizon.
        curve: steps and values, user's units; finite.
        others: the other runs of the log with this metric.
        notes: sentences about values that are not read.
    """

    run: str
    asked: Inferred
    curve: Curve
    others: list[Curve]
    notes: list[str]

    @classmethod
    def of(cls, table: Any, run: str, asked: Inferred) -> "OneCurve":
        """The curve in a long table.

        Raises:
            ValueError: no value is finite, or the run has reached its horizon.
        """
        curves, notes = curves_of(table, asked.metric)
        if run not in curves:
            raise ValueError(f"expected a finite value of {asked.metric} in {run}, got none; choose another with --metric")
        steps, values = curves[run]
        mine = [note for note in notes if note.startswith(f"{asked.metric} of {run}:")]
        if steps[-1] >= asked.horizons[run]:
            source = f", from {asked.by['horizon']}" if "horizon" in asked.by else ""
            raise ValueError(
                f"expected a run that ends before its horizon {asked.horizons[run]:g}{source}, got {run} with {asked.metric} "
                f"{values[-1]:.4g} at step {steps[-1]:g}; give a larger --horizon, or with --upto a step to look back from"
            )
        return cls(run, asked, curves[run], others_of(curves, run, asked, table.attrs.get("counter", {})), mine)

    def question(self, at: str | None, by_factor: bool = False) -> dict[str, Any]:
        """The arguments of ``lcx.predict`` and ``lcx.mcmc``, without others.

        Args:
            at: steps to predict as the user wrote them; default those of ``lcx.predict``.
            by_factor: by default instead ten steps, each the same multiple of the one before.
        """
        steps, values = self.curve
        horizon = self.asked.horizons[self.run]
        ask = {"horizon": horizon, "mode": self.asked.mode, "bounds": self.asked.bounds}
        chosen = _numbers(at) if at is not None else growing(float(steps[-1]), horizon) if by_factor else None
        return {"values": values, "steps": steps, "at": chosen, **ask}


def growing(last: float, horizon: float, count: int = 10) -> list[float]:
    """Steps after ``last`` up to the horizon, each about the same multiple of the one before, in three significant digits but the last."""
    inner = [float(f"{step:.3g}") for step in np.geomspace(last, horizon, count + 1)[1:-1]]
    return [*sorted({step for step in inner if last < step < horizon}), horizon]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"expected --at as numbers separated by commas, got {text!r}; write for example --at 50,100") from error
