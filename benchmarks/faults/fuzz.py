"""Hostile and extreme input for predict, backtest and EarlyStopper; run by tests/test_fuzz.py and benchmarks/faults/faults.py.

A door either answers or refuses with one of its documented errors. Whatever it answers has finite quantiles in order, inside the bounds,
at the steps asked for. Files are in benchmarks/faults/fuzz_files.py.
"""

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import lcx

LEVELS = (0.001, 0.05, 0.5, 0.95, 0.999)
DOCUMENTED = (ValueError, TypeError)
SLOWEST = 30.0  # CPU seconds an example may take; a hang in disguise
TALLY: Counter[tuple[str, str]] = Counter()

MAGNITUDES = (1.0, 1.0, 1.0, 100.0, 1e-3, 1e6, 1e-12, 1e30, 1e-30, 1e-44, 1e60, 1e150, 1e300, 1.7e308, 5e-324)
ODD_NUMBERS = (0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1e-310, 1e308, -1.7e308, 2.0**53, 1e39, -1e-39, 2**70, 10**400, -1)
plain = st.floats(0, 1) | st.floats(-3, 3) | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 0.5])
odd = (
    st.none()
    | st.booleans()
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.sampled_from(ODD_NUMBERS)
    | st.floats()
    | st.lists(st.sampled_from(ODD_NUMBERS) | st.none() | plain | st.text(max_size=1), max_size=4)
    | st.lists(st.lists(plain, max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=2), plain, max_size=2)
    | st.sampled_from(
        [object(), 1j, float, np.float32(0.5), np.array(3), np.zeros((0,)), np.zeros((2, 2, 2)), torch.ones(2, 2), pd.Series([1.0])]
    )
)


def attempt(door: str, call: Callable[[], Any], errors: tuple[type[Exception], ...] = DOCUMENTED) -> Any:
    """The answer, or None where one of the documented errors came, itself and no subclass."""
    begun = time.process_time()
    try:
        answer = call()
    except errors as error:
        kind = type(error).__name__.replace("TypeCheckError", "TypeError")  # the tests' type checker may be faster
        if kind not in [documented.__name__ for documented in errors]:
            raise
        TALLY[door, kind] += 1
        answer = None
    else:
        TALLY[door, "answered"] += 1
    assert time.process_time() - begun < SLOWEST
    return answer


# ----------------------------------------------------------------------------------------------------------- predict, backtest


@st.composite
def curves(draw: Callable[..., Any]) -> dict[str, Any]:
    """A question by the rules: values of one magnitude, steps, horizon, perhaps bounds and ``at``."""
    many, size = draw(st.sampled_from([0, 0, 0, 1, 2, 3])), draw(st.sampled_from(MAGNITUDES))
    rows = [draw(st.lists(plain, min_size=1, max_size=12)) for _ in range(max(many, 1))]
    if draw(st.integers(0, 9)) == 0:
        rows[0] = (rows[0] * 700)[: draw(st.integers(90, 700))]
    offset = draw(st.sampled_from([0.0, 0.0, 0.0, 1.0, -7.0, 1e3, 1e9]))
    rows = [[size * (y + offset) for y in row] for row in rows]
    longest = max(map(len, rows))
    unit = draw(st.sampled_from([1.0, 1.0, 0.25, 1000.0, 1e-9, 1e12, 1e200, 1e-200]))
    gaps = draw(st.lists(st.integers(1, 5) | st.floats(1e-3, 10), min_size=longest, max_size=longest))
    steps = (unit * np.cumsum(gaps)).tolist()
    horizon = steps[-1] + unit * draw(st.sampled_from([1, 3, 50, 2000, 1e-6, 1e6]))
    assume(horizon > steps[-1] and math.isfinite(horizon) and steps[0] > 0)
    asked: dict[str, Any] = {"values": rows if many else rows[0], "steps": steps, "horizon": horizon}
    asked |= {"mode": draw(st.sampled_from(["max", "min"]))}
    if draw(st.booleans()):
        low, high = min(map(min, rows)), max(map(max, rows))
        far = draw(st.sampled_from([0.0, 1.0, 1e9]))
        ends = low - far * abs(low), high + far * max(abs(high), size)
        asked["bounds"] = draw(st.sampled_from([ends, (ends[0], None), (None, ends[1])]))
        assume(ends[0] < ends[1])
    if draw(st.integers(0, 3)) == 0:
        asked["at"] = [steps[-1] + share * (horizon - steps[-1]) for share in (1e-9, 0.5, 1)]
    return asked


@st.composite
def questions(draw: Callable[..., Any]) -> dict[str, Any]:
    """As ``curves``, half of the time with arguments replaced, numbers spoilt or the container changed."""
    asked = draw(curves())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from(["values", "steps", "horizon", "mode", "at", "bounds", "unit", "one value", "container"]))
        if name == "one value":
            row = asked["values"]
            if isinstance(row, list) and row and not isinstance(row[0], list):
                i = draw(st.integers(0, len(row) - 1))
                asked["values"] = [*row[:i], draw(st.sampled_from(ODD_NUMBERS) | odd), *row[i + 1 :]]
        elif name == "container":
            kind = draw(st.sampled_from([np.array, tuple, torch.tensor, pd.Series, iter, lambda x: np.array(x, dtype=np.float32)]))
            with contextlib.suppress(ValueError, TypeError, OverflowError, RuntimeError, Warning):
                asked["values"] = kind(asked["values"])
        else:
            asked[name] = draw(odd)
    return asked


def check_answer(answer: lcx.Extrapolation, bounds: Any) -> None:
    """What holds of every answer."""
    at, quantiles = answer.at, answer.quantile(LEVELS)
    padded = np.isnan(at)
    assert quantiles.shape == (*at.shape, len(LEVELS))
    assert np.array_equal(np.isnan(quantiles), np.broadcast_to(padded[..., None], quantiles.shape)), "NaN in quantiles"
    assert np.isfinite(quantiles[~padded]).all(), "infinite quantiles"
    assert (np.diff(quantiles[~padded], axis=-1) >= 0).all(), "quantiles out of order"
    lower, upper = bounds
    assert lower is None or (quantiles[~padded] >= float(lower)).all()
    assert upper is None or (quantiles[~padded] <= float(upper)).all()
    assert np.isfinite(answer.mean[~padded]).all()
    assert np.abs(quantiles[~padded]).max(initial=0) > 1e150 or np.isfinite(answer.std[~padded]).all()  # beyond, squares overflow
    below = answer.cdf(answer.median)
    assert ((below >= 0) & (below <= 1))[~padded].all()
    assert not np.isnan(answer.log_prob(answer.median)[~padded]).any()
    assert all(isinstance(note, str) for note in answer.warnings)


def check_steps(answer: lcx.Extrapolation, horizon: Any) -> None:
    """Steps to predict rise, after the last observed one, up to the horizon."""
    at, last = np.atleast_2d(answer.at), answer.curves.last_step.numpy()
    rises = np.diff(at, axis=1)
    assert (rises[~np.isnan(rises)] > 0).all()
    assert (at[:, 0] > last).all()
    assert (np.nanmax(at, 1) <= answer.curves.horizon.numpy()).all()


@given(questions(), st.sampled_from(["general", "general", "parametric"]))
def predict(asked: dict[str, Any], model: str) -> None:
    """Any question to ``lcx.predict``."""
    answer = attempt("predict", lambda: lcx.predict(**asked, model=model, device="cpu"))
    if answer is not None:
        check_answer(answer, asked.get("bounds", (None, None)))
        check_steps(answer, asked["horizon"])


@given(questions(), st.none() | st.lists(st.integers(-1, 13), max_size=3) | odd, st.sampled_from(["general", "parametric", "scaling"]))
def backtest(asked: dict[str, Any], cutoffs: Any, model: str) -> None:
    """Any question to ``Extrapolator.backtest``."""
    answer = attempt("backtest", lambda: lcx.load(model, "cpu").backtest(**asked, cutoffs=cutoffs))
    if answer is not None:
        check_answer(answer, asked.get("bounds", (None, None)))


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=20), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3), st.booleans())
def equivariance(values: list[float], slope: float, shift: float, bounded: bool) -> None:
    """The general model follows y -> a y + b with its bounds, and y -> -y with the mode reversed."""
    y = np.round(np.array(values), 3)
    assume(len(set(y)) > 1)
    bounds = (-1.0, 1.5) if bounded else (None, None)
    asked = {"horizon": 40, "at": [21, 30, 40], "model": "general", "device": "cpu"}
    base = lcx.predict(y, mode="max", bounds=bounds, **asked).quantile(LEVELS)
    mapped = tuple(slope * (bound + shift) for bound in (-1.0, 1.5)) if bounded else bounds
    moved = lcx.predict(slope * (y + shift), mode="max", bounds=mapped, **asked).quantile(LEVELS) / slope - shift
    turned = -lcx.predict(-y, mode="min", bounds=(-1.5, 1.0) if bounded else bounds, **asked).quantile(LEVELS)[:, ::-1]
    scale = np.ptp(base) + np.ptp(y)
    assert np.abs(turned - base).max() <= 1e-4 * scale
    assert np.abs(moved - base).max() <= 1e-2 * scale  # digits of float32, and of y after a shift of 10^3
    TALLY["equivariance", "answered"] += 1


# --------------------------------------------------------------------------------------------------------------- EarlyStopper

settings_of_a_stopper = st.fixed_dictionaries(
    {"horizon": st.sampled_from([10, 20.5, 1e6]) | odd, "mode": st.sampled_from(["max", "max", "min"]) | odd},
    optional={
        "delta": st.floats(-1, 1) | odd,
        "bounds": st.sampled_from([(0, 1), (None, 2.0), (-1, None)]) | odd,
        "min_points": st.integers(1, 3) | odd,
        "confirm": st.integers(1, 2) | odd,
        "stop_on_divergence": st.integers(1, 2) | odd,
        "model": st.sampled_from(["general", "parametric", "scaling"]) | odd,
    },
)
reports = st.lists(
    st.tuples(st.integers(1, 12) | st.floats(0.1, 30) | odd, plain | odd, st.none() | plain | odd, st.sampled_from(["a", 1, None]) | odd),
    max_size=10,
)


@given(settings_of_a_stopper, reports, st.data())
def stopper(settings: dict[str, Any], told: list[tuple[Any, Any, Any, Any]], data: Any) -> None:
    """Any settings and reports to ``EarlyStopper``; then from its state, whole and spoilt."""
    early = attempt("EarlyStopper", lambda: lcx.EarlyStopper(**settings))
    if early is None:
        return
    for step, value, best, run in told:
        verdict = attempt("EarlyStopper.update", lambda: early.update(step, value, best=best, run=run))  # noqa: B023
        if verdict is not None:
            assert type(verdict.stop) is bool
            assert math.isnan(verdict.probability) or 0 <= verdict.probability <= 1
            assert verdict.reason
            assert not (verdict.stop and math.isnan(verdict.probability)) or early.stop_on_divergence is not None
    state = json.loads(json.dumps(early.state(), allow_nan=False))
    assert json.dumps(lcx.EarlyStopper.from_state(state).state()) == json.dumps(state)
    place = data.draw(st.sampled_from(["settings", "rule", "runs", "horizon", "steps", "values", "agreed", "run"]))
    target = state if place in state else state["settings"] if place == "horizon" else next(iter(state["runs"]), state)
    if data.draw(st.booleans()):
        target[place] = data.draw(odd)
    else:
        target.pop(place, None)
    attempt("EarlyStopper.from_state", lambda: lcx.EarlyStopper.from_state(state))
