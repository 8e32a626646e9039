"""Freeze-thaw and the leader's limit as functions of hand-made chances: which run goes on, and how low a chance may be."""

import math

import numpy as np
import pytest
import torch

import lcx
from lcx.curves import Curves
from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive
from lcx.stopping.freeze_thaw import choose, goal, told
from lcx.stopping.leading import below_leader, limits_of
from lcx.stopping.rules import not_worth_it

NAN = math.nan


def chosen(chance, left, spent=10.0, by="rate", more=False, delta=0.05, **options):
    gain = np.where(np.isnan(chance), NAN, [9.0, 3.0][: len(chance)])
    given = {"by": by, "more": more, "delta": delta} | options
    return choose(np.array(chance), gain, np.array(left, dtype=float), spent, **given)


# ---------------------------------------------------------------------------------------------------------------- freeze-thaw


def test_every_third_turn_is_patient_and_goes_by_the_gain_or_by_the_chance_in_turn():
    assert [goal(turn) for turn in range(7)] == ["rate", "rate", "gain", "rate", "rate", "chance", "rate"]


@pytest.mark.parametrize(
    ("chance", "left", "options", "choice"),
    [
        ([0.2, 0.4], [10, 30], {}, 0),  # 0.02 a step against 0.013
        ([0.2, 0.4], [10, 30], {"by": "chance"}, 1),
        ([0.2, 0.4], [10, 30], {"by": "gain"}, 0),  # of which the first has more
        ([0.04, 0.4], [10, 30], {"by": "gain"}, 1),  # but none at most delta
        ([0.2, 0.4], [10, 20], {}, 0),  # equal: the first
        ([0.2, 0.9], [10, 0], {}, 0),  # one that must not go on
        ([0.2, 0.9], [10, 0], {"by": "chance"}, 0),
        ([0.2, 0.9], [0, 10], {"by": "gain"}, 1),
        ([0.05, 0.04], [10, 10], {}, None),  # at most delta
        ([0.05, 0.06], [1, 10], {}, 1),
        ([0.05, 0.04], [10, 10], {"more": True}, 2),
        ([], [], {"more": True}, 0),
        ([], [], {}, None),
        ([0.9, NAN], [10, 10], {"by": "chance"}, 1),  # unknown goes first
        ([0.9, NAN], [10, 10], {"by": "gain"}, 1),
        ([0.1, NAN], [1, 20], {}, 0),  # at the price of its steps: 0.1 against 1 / 20
        # A new run: chance 1 / 3, of which half counts, on 5 steps a run so far: 0.0333 a step.
        ([0.3, 0.2], [10, 10], {"more": True}, 2),
        ([0.34, 0.2], [10, 10], {"more": True}, 0),
        ([0.3, 0.2], [10, 10], {"more": True, "by": "chance"}, 0),  # on a patient turn none begins
        ([0.3, 0.2], [10, 10], {"more": True, "by": "gain"}, 0),
        ([0.3, 0.2], [10, 10], {"more": True, "spent": 20.0}, 0),
        ([0.3, 0.2], [10, 10], {"more": True, "share": 0.4}, 0),
    ],
)
def test_the_run_goes_on_that_has_the_most_for_its_steps_or_the_largest_gain_or_chance(chance, left, options, choice):
    assert chosen(chance, left, **options) == choice


def test_a_choice_is_told_with_its_numbers():
    seen = ["a", 7], np.array([4.0, 8.0]), np.array([0.25, NAN]), np.array([0.0125, NAN]), 0.5
    first = told(0, *seen, 20.0, "rate")
    assert (first.new, first.run, first.step) == (False, "a", 8.0)
    assert first.reason == "P(better than 0.5) is 0.25, the most for its 16 steps left of 2 runs"
    assert told(0, *seen, 20.0, "chance").reason == "P(better than 0.5) is 0.25, the highest chance of 2 runs"
    assert told(0, *seen, 20.0, "gain").reason == "the expected improvement over 0.5 is 0.0125, the largest of 2 runs"
    unknown = told(1, *seen, 12.0, "rate")
    assert (unknown.run, unknown.step, unknown.reason) == (7, 12.0, "nothing is known of it yet")
    new = told(2, *seen, 20.0, "rate")
    assert (new.new, new.run, new.reason) == (True, None, "a new run is the best with chance 1/3, and runs took 6 steps so far")
    assert math.isnan(new.step)
    assert told(0, [], np.array([]), np.array([]), np.array([]), 0.5, 20.0, "rate").reason == "no run was begun yet"


def test_a_stopper_passes_over_runs_that_must_not_go_on():
    stopper = lcx.EarlyStopper(20, "max", bounds=(0, 1), model="parametric")
    for step in range(1, 6):
        stopper.update_many({"a": (step, 0.9 - 0.6 * step**-0.7), "b": (step, 0.85 - 0.6 * step**-0.7)})
    assert stopper.next_run(more=False, without=["a"]).run == "b"
    assert stopper.next_run(more=False, without=["b"]).run == "a"
    assert stopper.next_run(more=False, without=["a", "b"]) is None
    assert stopper.next_run(more=True, without=["a", "b"]).new


def test_a_threshold_of_0_is_one_and_one_below_it_or_a_cost_of_0_are_refused():
    assert not_worth_it(0.0).threshold == 0
    for wrong in ({"threshold": -1e-9}, {"threshold": 0.0, "cost": 0.0}, {"threshold": NAN}):
        with pytest.raises(ValueError, match="expected threshold >= 0 and cost > 0"):
            not_worth_it(**wrong)


# ------------------------------------------------------------------------------------------------------------ the leading run


@pytest.mark.parametrize(
    ("chance", "peaks", "limits"),
    [
        ([0.8, 0.2, 0.4], [0.1, 0.2, 0.3], [0.25, 0.1, 0.1]),  # half of the smallest so far, at most 0.25
        ([0.4, NAN, 0.3], [0.1, 0.2, 0.3], [0.2, 0.2, 0.15]),  # what is not known counts for nothing
        ([0.4, 0.01, 0.02], [0.1, 0.5, 0.6], [0.2, 0.2, 0.2]),  # nor what came after it had won
        ([NAN, NAN], [0.1, 0.2], [0.25, 0.25]),
    ],
)
def test_limits_are_a_share_of_the_smallest_chance_that_the_leader_had_had(chance, peaks, limits):
    assert limits_of(np.array(chance), np.array(peaks), 0.5, 0.5, 0.25).tolist() == pytest.approx(limits)


def run(loc, seen, mode="max", sd=0.1):
    """A run seen at steps 1, 2, ... whose later steps are normal about ``loc``."""
    loc = torch.tensor([loc], dtype=torch.float64)
    steps = torch.arange(1.0, len(seen) + loc.shape[1] + 1, dtype=torch.float64)[None]
    law = Predictive(torch.zeros(*loc.shape, 1, dtype=torch.float64), loc[..., None], torch.full_like(loc, sd)[..., None])
    curves = Curves(torch.tensor([seen], dtype=torch.float64), steps[:, : len(seen)], steps[:, -1])
    return Extrapolation(steps[:, len(seen) :], law, mode, True, curves, None, list)


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_a_run_stops_where_its_chance_is_at_most_the_leaders_limit_for_its_step(mode, sign):
    """Two standard deviations below what it must beat: 0.0228; the value to beat is its own best where that is better."""
    rule = below_leader((1.0, 3.0), (0.2, 0.02))
    early, late = (run([sign * 0.5], [sign * 0.1] * n, mode) for n in (2, 3))
    assert rule(early, sign * 0.7).stop
    assert not rule(late, sign * 0.7).stop
    for found in (rule(early, sign * 0.7), rule(late, sign * 0.7)):
        assert found.probability == pytest.approx(0.02275, abs=1e-4)
    assert "; the limit is 0.2, by the leading run" in rule(early, sign * 0.7).reason
    assert "; the limit is 0.02, by the leading run" in rule(late, sign * 0.7).reason
    own = rule(run([sign * 0.5], [sign * 0.8, sign * 0.1], mode), sign * 0.4)
    assert own.probability == pytest.approx(0.00135, abs=1e-4)
    unasked = below_leader((3.0,), (0.2,))(early, sign * 0.7)
    assert not unasked.stop
    assert unasked.reason == "the leading run was not looked at before step 3, now at 2"


def backtest(locs, values, mode="max"):
    """A leader of as many cut-offs as ``locs`` has rows, each predicting the last step as normal about its number."""
    points, loc = len(values), torch.tensor(locs, dtype=torch.float64)[None, :, None]
    steps = torch.arange(1.0, points + 1, dtype=torch.float64)[None]
    law = Predictive(torch.zeros(*loc.shape, 1, dtype=torch.float64), loc[..., None], torch.full_like(loc, 0.1)[..., None])
    ahead = steps[:, -1:].expand(1, len(locs))[..., None]
    return Extrapolation(ahead, law, mode, True, Curves(torch.tensor([values], dtype=torch.float64), steps, steps[:, -1]), None, list)


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_the_limits_of_a_leader_come_from_its_back_test(mode, sign):
    """Chances of beating 0.5: a half, 0.0228, and 0.16 once it has won, which counts no more."""
    leader = backtest([sign * 0.5, sign * 0.3, sign * 0.4], [sign * y for y in (0.1, 0.2, 0.6, 0.7)], mode)
    rule = below_leader.of(leader, sign * 0.5)
    assert rule.steps == (1.0, 2.0, 3.0)
    assert rule.limits == pytest.approx((0.25, 0.5 * 0.02275, 0.5 * 0.02275), abs=1e-4)
    assert below_leader.of(leader, sign * 0.5, share=1.0, most=0.9).limits[0] == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [{"runner_up": math.inf}, {"runner_up": 0.5, "share": 0.0}, {"runner_up": 0.5, "most": 1.0}])
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="expected a finite runner_up, share > 0, 0 <= most < 1, got"):
        below_leader.of(backtest([0.5], [0.1, 0.2]), **wrong)
    with pytest.raises(ValueError, match="expected a back-test of one curve at all its cut-offs"):
        below_leader.of(backtest([0.5], [0.1, 0.2, 0.3]), 0.5)
    with pytest.raises(ValueError, match="expected a back-test"):
        below_leader.of(run([0.5], [0.1, 0.2]), 0.5)
