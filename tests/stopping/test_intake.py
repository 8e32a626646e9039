"""What a loop reports: odd values and steps are set aside with a sentence, and the curve keeps what counts."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from lcx.stopping.intake import Reports, as_bounds, as_count, as_horizon, as_number, as_rule, as_run, as_step, as_value, from_one
from lcx.stopping.rules import never_better

FREE = (None, None)


def reported(*pairs, bounds=FREE) -> tuple[Reports, list[str | None]]:
    reports = Reports()
    return reports, [reports.add(step, value, bounds) for step, value in pairs]


def test_values_count_from_their_step_on_and_odd_ones_are_set_aside():
    reports, said = reported((1, 0.2), (2, math.nan), (3, math.nan), (5, 0.9), (5, 0.4), (4, 0.4), (2.5, 0.1), (6, 0.5), bounds=(0, 1))
    assert said == [
        None,
        "no finite value at step 2, 1 in a row",
        "no finite value at step 3, 2 in a row",
        None,
        "step 5 was reported before: this report is ignored",
        "step 4 is not after the last, 5: this report is ignored",
        "step 2.5 is not after the last, 5: this report is ignored",
        None,
    ]
    assert reports.steps == [1, 2, 3, 5, 6]
    assert reports.read == [(1, 0.2), (5, 0.9), (6, 0.5)]
    assert (reports.lost, reports.lowest, reports.highest) == (0, 0.2, 0.9)
    assert (reports.best("max"), reports.best("min")) == (0.9, 0.2)


def test_a_value_outside_the_bounds_is_not_read_and_one_at_a_bound_is():
    reports, said = reported((1, 0.0), (2, 1.0), (3, 1.25), (4, -0.5), bounds=(0, 1))
    assert said[:2] == [None, None]
    for sentence, value, step in ((said[2], "1.25", 3), (said[3], "-0.5", 4)):
        assert sentence == f"the value {value} at step {step} lies outside the bounds (0, 1) and is not read; correct the one or the other"
    assert reports.read == [(1, 0.0), (2, 1.0)]


def test_an_ignored_run_has_no_best_value_and_no_run_has_one_before_it_reports():
    reports, _ = reported((1, 0.5))
    reports.ignored = True
    for nothing in (reports, Reports()):
        assert (nothing.best("max"), nothing.best("min")) == (-math.inf, math.inf)
        assert not nothing.finished(1)


def test_a_run_has_finished_at_its_own_horizon_or_that_of_all():
    reports, _ = reported((5, 0.5))
    assert reports.finished(5)
    assert reports.finished(4)
    assert not reports.finished(6)
    reports.horizon = 7
    assert not reports.finished(5)


@pytest.mark.parametrize(
    ("last", "horizon", "ahead"),
    [(3, 6, [4, 5, 6]), (3, 4, [4]), (1, 32, list(range(2, 33))), (5, 5, [])],
)
def test_few_whole_steps_ahead_are_all_looked_at(last, horizon, ahead):
    assert reported((last, 0.5))[0].ahead(horizon).tolist() == ahead


@pytest.mark.parametrize(("last", "horizon"), [(1, 33), (10, 1000), (0.5, 4), (2, 4.5)])
def test_of_other_steps_ahead_32_even_ones_up_to_the_horizon(last, horizon):
    ahead = reported((last, 0.5))[0].ahead(horizon)
    assert len(ahead) == 32
    assert ahead[-1] == horizon
    np.testing.assert_allclose(np.diff(ahead, prepend=last), (horizon - last) / 32)


def test_a_curve_comes_back_from_its_state():
    reports, _ = reported((1, 0.2), (2, math.nan), (3, 0.4))
    reports.agreed, reports.horizon, reports.ignored = 2, 9.0, True
    again = Reports.from_state(reports.state(), FREE)
    assert (again.steps, again.read, again.agreed, again.horizon, again.ignored) == ([1, 2, 3], reports.read, 2, 9.0, True)
    assert math.isnan(again.values[1])
    assert reported((1, 0.2))[0].state() == {"steps": [1], "values": [0.2], "agreed": 0}


def test_a_counter_from_zero_becomes_one_from_one():
    assert from_one(3, 10, zero=False) == (3, 10)
    assert from_one(10, 10, zero=False) == (10, 10)
    assert from_one(0, 10, zero=True) == (1, 10)
    assert from_one(9, 10, zero=True) == (10, 10)
    assert from_one(10, 10, zero=True) == (11, 11)


@pytest.mark.parametrize("one", [3, 3.0, np.float32(3), Fraction(3), torch.tensor([3.0], requires_grad=True), True + 2])
def test_numbers_of_any_type(one):
    assert as_number(one, "x") == 3.0
    assert as_step(one) == as_horizon(one) == as_value(one) == 3.0


def test_numbers_beyond_floats_are_infinite_and_texts_are_none():
    assert (as_number(10**400, "x"), as_number(-(10**400), "x")) == (math.inf, -math.inf)
    for wrong in ("3", b"3", [3.0, 4.0], None, torch.ones(2), object()):
        with pytest.raises(TypeError, match=r"expected x as one number, got .*; give a plain number"):
            as_number(wrong, "x")


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan])
def test_steps_and_horizons_are_finite_and_above_0(wrong):
    with pytest.raises(ValueError, match="expected a finite step > 0"):
        as_step(wrong)
    with pytest.raises(ValueError, match="expected a finite horizon > 0"):
        as_horizon(wrong)


@pytest.mark.parametrize("missing", [None, np.ma.masked, pd.NA, pd.NaT, math.nan, math.inf, -math.inf, 2e100, -2e100])
def test_values_that_are_missing_or_not_finite_are_nan(missing):
    assert math.isnan(as_value(missing))
    assert as_value(1e100) == 1e100


def test_counts_runs_rules_and_bounds():
    assert as_count(3.0, "n") == as_count(np.int64(3), "n") == 3
    assert as_count(0, "n", least=0) == 0
    for wrong in (0, 2.5, -1):
        with pytest.raises(ValueError, match="expected n as a whole number >= 1, got"):
            as_count(wrong, "n")
    assert (as_run("a"), as_run(None), as_run(np.int64(4))) == ("a", None, 4)
    with pytest.raises(TypeError, match=r"expected run as a string, a whole number or None, got 1\.5"):
        as_run(1.5)
    rule = never_better()
    assert as_rule(rule) is rule
    assert as_rule(None) is None
    for wrong in (never_better, 3):
        with pytest.raises(TypeError, match=r"expected rule as a rule of lcx\.stopping or another callable"):
            as_rule(wrong)
    assert as_bounds((0, None)) == (0.0, None)
    assert as_bounds([None, np.float32(1)]) == (None, 1.0)
    for wrong in ((1, 0), 3, (0, 1, 2)):
        with pytest.raises((TypeError, ValueError)):
            as_bounds(wrong)
