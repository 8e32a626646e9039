"""What a stopper is told besides the curves: odd arguments, a horizon per run, runs to wait for, runs that do not count."""

import json
import logging
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.stopping.rules import never_better

GOOD = 0.95 - 0.6 * np.arange(1, 41) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 41) ** -0.7


def stopper(**options):
    return lcx.EarlyStopper(**({"horizon": 20, "mode": "max", "bounds": (0, 1), "model": "parametric"} | options))


def feed(target, values, run, **options):
    """The verdict at the first stop, else at the end, and its step."""
    for step, value in enumerate(values, 1):
        verdict = target.update(step, value, run=run, **options)
        if verdict.stop:
            break
    return verdict, step


@pytest.mark.parametrize("name", ["min_points", "confirm", "stop_on_divergence", "min_finished"])
@pytest.mark.parametrize("count", [2.5, "3", pd.NA, math.nan, math.inf, 10**400, -1, [2], never_better])
def test_a_count_that_is_not_a_whole_number_is_refused_at_once(name, count):
    with pytest.raises((TypeError, ValueError), match=f"expected {name} as"):
        stopper(**{name: count})


@pytest.mark.parametrize("count", [3, 3.0, np.int64(3), np.float32(3)])
def test_a_whole_number_of_any_type_is_a_count(count):
    assert stopper(min_points=count).min_points == 3


@pytest.mark.parametrize("rule", ["never_better", 0.05, never_better, {"delta": 0.05}])
def test_a_rule_that_is_none_is_refused_at_once(rule):
    with pytest.raises(TypeError, match="expected rule as a rule of lcx"):
        stopper(rule=rule)


@pytest.mark.parametrize(
    ("name", "odd"), [("horizon", "20"), ("horizon", pd.NA), ("horizon", 10**400), ("delta", "0.05"), ("delta", pd.NA)]
)
def test_a_number_that_is_none_is_refused_with_its_name(name, odd):
    with pytest.raises((TypeError, ValueError), match=f"expected a? ?(finite )?{name}"):
        stopper(**{name: odd})


@pytest.mark.parametrize(
    "odd", [None, pd.NA, pd.NaT, np.ma.masked, math.nan, -math.inf, 10**400, -(10**400), Decimal("1e400"), Fraction(10**400)]
)
def test_a_value_that_is_missing_or_too_large_is_a_missing_value(odd):
    asked = stopper(stop_on_divergence=2)
    assert asked.update(1, odd).reason == "no finite value at step 1, 1 in a row"
    assert asked.update(2, odd).stop


@pytest.mark.parametrize("odd", [None, pd.NA, "3", 10**400, math.nan])
def test_a_step_that_is_no_number_is_refused(odd):
    with pytest.raises((TypeError, ValueError), match=r"expected (a finite )?step"):
        stopper().update(odd, 0.5)


def test_a_state_is_json_whatever_the_types_of_the_settings():
    numpy = {"horizon": np.int64(20), "delta": np.float32(0.25), "bounds": np.array([0, 1]), "min_points": np.int64(3)}
    numpy |= {"confirm": np.uint8(2), "stop_on_divergence": np.int16(4), "min_finished": np.int64(1)}
    asked = stopper(**numpy)
    asked.update(np.int32(1), np.float32(0.5), run=np.int64(7), horizon=np.float32(9))
    asked.update(1, pd.NA, run="b")
    asked.ignore(7)
    kept = json.loads(json.dumps(asked.state()))
    assert lcx.EarlyStopper.from_state(kept).state() == asked.state() == kept
    assert kept["settings"]["delta"] == 0.25


def test_a_run_may_have_a_horizon_of_its_own():
    asked = stopper(min_points=4)
    feed(asked, GOOD[:10], "short", horizon=10)
    assert asked.predicted_value("short") == GOOD[9]
    assert asked.update(11, 0.9, run="short").reason.startswith("step 11 lies beyond the horizon 10")
    verdict, step = feed(asked, GOOD[:30], "long", horizon=40)
    assert (verdict.stop, step) == (False, 30)
    alone = lcx.predict(GOOD[:30], horizon=40, mode="max", bounds=(0, 1), model="parametric", device="cpu")
    assert asked.predicted_value("long") == pytest.approx(alone.median[-1], abs=1e-6)
    both = asked.update_many({"a": (20, 0.5), "b": (20, 0.5)}, horizons={"b": 30})
    assert both["a"].reason == "the horizon 20 is reached"
    assert "1 value(s) so far" in both["b"].reason
    again = lcx.EarlyStopper.from_state(json.loads(json.dumps(asked.state())))
    assert again.update(40, 0.95, run="long").reason == "the horizon 40 is reached"
    for odd in (0, -1, math.inf, "9"):
        with pytest.raises((ValueError, TypeError), match="horizon"):
            asked.update(31, 0.9, run="long", horizon=odd)


def test_a_turn_ends_at_the_horizon_of_its_run():
    asked = stopper()
    feed(asked, GOOD[:8], "a", horizon=9)
    turn = asked.next_run(more=False)
    assert (turn.run, turn.step) == ("a", 9)
    asked.update(9, GOOD[8], run="a")
    assert asked.next_run(more=False) is None


def test_a_step_beyond_the_horizon_is_said_once(caplog):
    asked = stopper()
    with caplog.at_level(logging.WARNING, "lcx"):
        for step in (20, 100, 200):
            asked.update(step, 0.5, run="a")
            asked.update(step, 0.5, run="b")
    assert caplog.messages == ["step 100 lies beyond the horizon 20, where nothing is stopped; give the horizon in the unit of the steps"]


def test_nothing_is_stopped_before_enough_runs_have_finished():
    asked = stopper(min_points=4, min_finished=2)
    feed(asked, GOOD[:20], "first")
    verdict, step = feed(asked, POOR[:20], "second")
    assert (verdict.stop, step) == (False, 20)
    verdict, step = feed(asked, POOR[:20], "third")
    assert (verdict.stop, step) == (True, 4)
    asked.ignore("second")
    assert feed(asked, POOR[:20], "fourth")[1] == 20, "a run that is ignored counts as finished"
    again = lcx.EarlyStopper.from_state(json.loads(json.dumps(stopper(min_finished=1).state())))
    feed(again, POOR[:5], "a", best=0.9)
    assert again.update(6, POOR[5], run="a", best=0.9).reason == "0 run(s) have reached their horizon, 1 needed first"
    assert stopper(min_finished=1, stop_on_divergence=1).update(1, None).stop, "what has diverged is stopped all the same"


def test_an_anomalous_run_is_ignored_or_forgotten():
    asked = stopper(min_points=4)
    feed(asked, [0.999] * 20, "wrong")
    assert feed(asked, GOOD[:20], "a")[1] == 4
    asked.ignore("wrong")
    assert feed(asked, GOOD[:20], "b")[1] == 20
    assert "P(better than 0.876" in feed(asked, POOR[:20], "c")[0].reason
    asked.ignore("wrong", ignored=False)
    assert feed(asked, GOOD[:20], "d")[1] == 4
    asked.forget("wrong")
    assert [kept["run"] for kept in asked.state()["runs"]] == ["a", "b", "c", "d"]
    assert feed(asked, GOOD[:20], "e")[1] == 20
    asked.update(1, 0.5, run="wrong")
    for method in (asked.forget, asked.ignore):
        with pytest.raises(ValueError, match="expected a run that has reported, got 'worng'"):
            method("worng")


def test_an_ignored_run_is_judged_by_the_others():
    asked = stopper(min_points=4)
    feed(asked, GOOD[:20], "a")
    asked.update(1, POOR[0], run="b")
    asked.ignore("b")
    verdict, step = None, 1
    for step in range(2, 20):
        verdict = asked.update(step, POOR[step - 1], run="b")
        if verdict.stop:
            break
    assert (verdict.stop, step) == (True, 4)
