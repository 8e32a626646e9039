"""The reports of a training loop about one run. Odd values and steps are set aside with a sentence that says so; they raise no error."""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from lcx.curves import as_curves

_LARGEST = 1e100  # larger values count as not finite, because their differences could overflow
_LOOKED_AT = 32  # most steps predicted per decision; enough, because predictives change slowly from step to step


@dataclass
class Reports:
    """The curve of one run, in the user's units."""

    steps: list[float] = field(default_factory=list)  # strictly increasing
    values: list[float] = field(default_factory=list)  # as reported, NaN where not finite
    read: list[tuple[float, float]] = field(default_factory=list)  # (step, value) where finite and inside the bounds
    lowest: float = math.inf  # of the values read
    highest: float = -math.inf
    lost: int = 0  # values not finite since the last finite one
    agreed: int = 0  # consecutive decisions to stop
    horizon: float | None = None  # last step of this run; None: that of all runs
    ignored: bool = False  # whether its values count for no other run
    at_risk: bool = False  # whether a decision could have stopped it

    def add(self, step: float, value: float, bounds: tuple[float | None, float | None]) -> str | None:
        """Takes one report. Returns a sentence if its value cannot be read, else None."""
        if self.steps and step <= self.steps[-1]:
            what = "was reported before" if step in self.steps else f"is not after the last, {self.steps[-1]:g}"
            return f"step {step:g} {what}: this report is ignored"
        self.steps.append(step)
        self.values.append(value)
        if math.isnan(value):
            self.lost += 1
            return f"no finite value at step {step:g}, {self.lost} in a row"
        self.lost = 0
        lower, upper = bounds
        if (lower is not None and value < lower) or (upper is not None and value > upper):
            return f"the value {value:.6g} at step {step:g} lies outside the bounds {bounds} and is not read; correct the one or the other"
        self.read.append((step, value))
        self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)
        return None

    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` needs, as JSON can hold it."""
        own = {name: x for name, x in (("horizon", self.horizon), ("ignored", self.ignored), ("at_risk", self.at_risk)) if x}
        return {"steps": self.steps[:], "values": [None if math.isnan(y) else y for y in self.values], "agreed": self.agreed} | own

    @classmethod
    def from_state(cls, kept: Mapping[str, Any], bounds: tuple[float | None, float | None]) -> "Reports":
        """The curve of which :meth:`state` gave ``kept``."""
        horizon = as_horizon(kept["horizon"]) if kept.get("horizon") is not None else None
        ignored, at_risk = bool(kept.get("ignored")), bool(kept.get("at_risk"))
        reports = cls(agreed=int(kept["agreed"]), horizon=horizon, ignored=ignored, at_risk=at_risk)
        for step, value in zip(kept["steps"], kept["values"], strict=True):
            reports.add(as_step(step), as_value(value), bounds)
        return reports

    def best(self, mode: str) -> float:
        """The best value read, user's unit; if there is none that counts, -inf (mode "min": inf), which every value beats."""
        if self.ignored:
            return -math.inf if mode == "max" else math.inf
        return self.highest if mode == "max" else self.lowest

    def upto(self, horizon: float) -> list[tuple[float, float]]:
        """What was read up to a step."""
        return [(step, value) for step, value in self.read if step <= horizon]

    def finished(self, horizon: float) -> bool:
        """Whether it counts as a run that has reached its horizon; ``horizon`` is that of all runs."""
        return not self.ignored and bool(self.steps) and self.steps[-1] >= (self.horizon or horizon)

    def left(self, horizon: float, most_lost: int | None) -> float:
        """Steps left up to its horizon; 0 after as many values in a row that are not finite as stop a run (None: as many as may be)."""
        gone = most_lost is not None and self.lost >= most_lost
        return 0.0 if gone else max((self.horizon or horizon) - self.steps[-1], 0.0)

    def ahead(self, horizon: float) -> Float[np.ndarray, "A"]:
        """The steps to predict: each whole step after the last one read up to the horizon, or 32 evenly spaced ones if these are fewer."""
        last = self.read[-1][0]
        left = horizon - last
        n = int(left) if left == int(left) < _LOOKED_AT and last == int(last) else _LOOKED_AT
        steps = np.unique(np.append(last + left * np.arange(1, n) / n, horizon))
        return steps[(steps > last) & (steps <= horizon)]


def as_number(x: Any, name: str) -> float:
    """A number of any type, or a tensor with one element, as float; infinite if it is too large for a float.

    Raises:
        TypeError: it is not a number.
    """
    try:
        if isinstance(x, (str, bytes)):
            raise TypeError
        return float(x.detach() if hasattr(x, "detach") else x)  # torch warns of tensors with gradients
    except OverflowError:
        return math.inf if operator.gt(x, 0) else -math.inf
    except (TypeError, ValueError, RuntimeError):  # also arrays and tensors of several elements
        raise TypeError(f"expected {name} as one number, got {x!r}; give a plain number") from None


def as_step(step: Any) -> float:
    """A finite step > 0.

    Raises:
        TypeError, ValueError: it is not a finite number > 0.
    """
    number = as_number(step, "step")
    if not (0 < number < math.inf):
        raise ValueError(f"expected a finite step > 0, got {number}; add 1 to a counter that starts at zero")
    return number


def as_horizon(horizon: Any) -> float:
    """The last step of a run.

    Raises:
        TypeError, ValueError: it is not a finite number > 0.
    """
    number = as_number(horizon, "horizon")
    if not 0 < number < math.inf:
        raise ValueError(f"expected a finite horizon > 0, got {number}; give the last step of a full run")
    return number


def as_mode(mode: Any) -> str:
    """The direction of a metric.

    Raises:
        ValueError: it is neither "max" nor "min".
    """
    if mode not in ("max", "min"):
        raise ValueError(f"expected mode 'max' or 'min', got {mode!r}; write 'max' if larger is better, else 'min'")
    return mode


def from_one(step: float, horizon: float, *, zero: bool) -> tuple[float, float]:
    """Step and horizon of a counter that starts at zero (``zero``) as those of one that starts at 1.

    The horizon is a number of steps and stays what it is, unless the counter itself runs up to it: then there is one report more.
    """
    return (step + 1, step + 1 if step == horizon else horizon) if zero else (step, horizon)


def as_count(x: Any, name: str, least: int = 1) -> int:
    """A whole number, also one written as a float.

    Raises:
        TypeError, ValueError: it is not a whole number, or less than ``least``.
    """
    number = as_number(x, name)
    if not (number.is_integer() and number >= least):
        raise ValueError(f"expected {name} as a whole number >= {least}, got {number:g}; write {least} for the least")
    return int(number)


def as_value(value: Any) -> float:
    """A value of the metric; NaN if it is missing (None, or the missing value of pandas or NumPy) or not finite.

    Raises:
        TypeError: it is not a number.
    """
    missing = value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType")  # the latter without loading pandas
    number = math.nan if missing else as_number(value, "value")
    return number if abs(number) <= _LARGEST else math.nan


def as_share(x: Any, name: str) -> float:
    """A share from 0 to 1.

    Raises:
        TypeError, ValueError: it is not such a number.
    """
    if not 0 <= (number := as_number(x, name)) <= 1:
        raise ValueError(f"expected {name} from 0 to 1, a share, got {number:g}; write 0.1 for 10 %")
    return number


def as_values(values: Float[np.ndarray, "N"]) -> list[float]:
    """What :func:`as_value` makes of each of many floats."""
    return np.where(np.abs(values) <= _LARGEST, values, math.nan).tolist()


def as_run(run: Any) -> str | int | None:
    """The name of a run, as JSON can hold it.

    Raises:
        TypeError: it is not a string, a whole number or None.
    """
    if run is None or isinstance(run, str):
        return run
    try:
        return operator.index(run)
    except TypeError:
        raise TypeError(f"expected run as a string, a whole number or None, got {run!r}; write str(run)") from None


def as_rule(rule: Any) -> Any:
    """A rule, or None for the default.

    Raises:
        TypeError: it cannot be called, or is the class of a rule rather than a rule.
    """
    if rule is None or (callable(rule) and not isinstance(rule, type)):
        return rule
    raise TypeError(f"expected rule as a rule of lcx.stopping or another callable, got {rule!r}; write lcx.stopping.never_better(), say")


def as_bounds(bounds: Any) -> tuple[float | None, float | None]:
    """Bounds as ``lcx.predict`` takes them, with the same errors."""
    pair = list(bounds) if np.iterable(bounds) else []
    inside = next((bound for bound in pair if bound is not None), 0.0)
    as_curves([inside], [1], horizon=2, bounds=bounds)
    lower, upper = (None if bound is None else float(bound) for bound in pair)
    return lower, upper
