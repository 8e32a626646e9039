"""Replays of hand-made runs whose outcome under each method is known; what forecast keeps is what the model says."""

import json
import math
from itertools import islice

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.replay.chances import Chances, forecast, targets_of
from lcx.replay.comparison import compare, mean_regret, speed_up, standard_methods
from lcx.replay.false_stops import becoming_best, delta_for, delta_in_study
from lcx.replay.methods import (
    Leg,
    asha,
    chosen,
    first_points,
    freeze_thaw,
    hyperband,
    led,
    median_rule,
    no_stopping,
    patience,
    predicted,
    studied,
    successive_halving,
    top_after_first,
)
from lcx.replay.outcome import replay
from lcx.replay.task import Task, after_earlier, as_task, task_from_table
from lcx.stopping import hyperparameters, with_earlier_studies
from lcx.stopping.leading import below_leader

RISING = [0.1, 0.2, 0.3, 0.4]
METHODS = {**standard_methods(), "one rung": first_points(0.25), "own": predicted(0.2, own=True, confirm=2), "end": predicted(0.1, "end")}
METHODS |= {"led": led(0.8, 0.5)}


def trained(task, method, **options):
    return replay(task, method, **options).points.tolist()


def spoken(task, table):
    """Chances that do not depend on the target: one row of numbers per run."""
    told = np.full((*task.values.shape, 2), np.nan, dtype=np.float32)
    for run, row in enumerate(table):
        told[run, : len(row)] = np.array(row)[:, None]
    return Chances(np.sort([-1e9, 1e9])[:: task.sign], told, told, task.sign)


def random_task(seed, mode="max", n=12, length=9):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=rng.integers(2, length + 1)).cumsum() for _ in range(n)]
    values[3][1] = np.nan
    return as_task(values if mode == "max" else [-y for y in values], mode=mode, horizon=length)


def random_chances(task, seed=0):
    """Chances that fall with the target, drawn per cut-off."""
    rng = np.random.default_rng(seed)
    targets = task.sign * np.linspace(-9, 9, 30)
    told = np.sort(rng.uniform(size=(*task.values.shape, len(targets))), axis=-1)[..., ::-1].astype(np.float32)
    told[np.arange(task.values.shape[1]) >= (task.counts - 1)[:, None]] = np.nan
    return Chances(targets, told, told, task.sign)


def test_a_task_leaves_out_what_is_missing_and_ends_runs_at_their_last_value():
    task = as_task([[0.2, np.nan, 0.4, np.inf], [None, None], [0.1, 0.2, 7.0]], mode="max", horizon=[4, 4, 5], bounds=(0, 1), names="abc")
    np.testing.assert_array_equal(task.values, [[0.2, 0.4], [np.nan, np.nan], [0.1, 0.2]])
    np.testing.assert_array_equal(task.steps, [[1, 3], [1, np.nan], [1, 2]])
    assert task.counts.tolist() == [2, 1, 2]
    assert task.cost.tolist() == [3, 1, 2]
    assert task.best == 0.4
    assert task.names == ("a", "b", "c")
    assert as_task([[3.0, 2.0], [5.0, 4.0]], mode="min").best == 2.0
    assert as_task([[0.1, 0.2, 0.9], [0.3, 0.4, 0.5]], mode="max").best == 0.9
    assert as_task([RISING, RISING], [10, 20, 30, 40], mode="max").horizon.tolist() == [40, 40]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"values": []}, "one or more runs"),
        ({"values": [RISING, []]}, "leave empty runs out"),
        ({"steps": [[1, 2, 3]]}, "as many steps as values"),
        ({"steps": [0, 1, 2, 3]}, "count from 1"),
        ({"steps": [[1, 3, 2, 4]]}, "strictly increasing"),
        ({"horizon": 3}, "step 4 of horizon 3 in run 0"),
        ({"names": ["a", "b"]}, "one name per run, got 2 for 1 runs"),
        ({"mode": "up"}, "'max' or 'min'"),
    ],
)
def test_a_task_refuses_what_it_cannot_replay(given, said):
    with pytest.raises(ValueError, match=said):
        as_task(**{"values": [RISING], "mode": "max"} | given)


def test_a_table_of_runs_becomes_a_task_in_the_order_in_which_they_began():
    rows = [("late", "acc", t, t / 10, 1.7e9 + 100 + t) for t in (1, 2, 3)] + [("early", "acc", t, t / 20, 1.7e9 + t) for t in (1, 2)]
    table = pd.DataFrame([*rows, ("early", "loss", 1, 9.0, 1.7e9)], columns=["run", "metric", "step", "value", "time"])
    task = task_from_table(table, "acc", mode="max")
    assert task.names == ("early", "late")
    assert task.horizon.tolist() == [3, 3]
    table.attrs = {"horizon": {"late": 8}}
    assert task_from_table(table, "acc", mode="max").horizon.tolist() == [3, 8]
    since_the_start = table.assign(time=table["time"] - 1.7e9)  # of each run: a slow first epoch is no late beginning
    for other in (table.drop(columns="time"), since_the_start, table.assign(time=table["time"].where(table["run"] == "early"))):
        assert task_from_table(other, "acc", mode="max").names == ("late", "early")
    with pytest.raises(ValueError, match=r"out of \['acc', 'loss'\], got 'auc'"):
        task_from_table(table, "auc", mode="max")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, None),
        ({}, None),
        ({"b": {}}, None),
        ({"a": {"lr": 1, "opt": "x"}, "b": {"lr": 1, "opt": "x"}, "c": {"lr": 1, "opt": "x"}}, None),  # the same
        ({"a": {"name": "fox"}, "b": {"name": "owl"}, "c": {"name": "hen"}}, None),  # names of the runs
        ({"b": {"note": "resumed"}}, None),  # of one run alone
        ({"a": {"lr": 1, "seed": 0}, "b": {"lr": 2, "seed": 0}, "other": {"lr": 3}}, [{"lr": 1, "seed": 0}, {"lr": 2, "seed": 0}, {}]),
        ({"a": {"opt": "x", "amp": True}, "b": {"opt": "y", "amp": True}, "c": {"opt": "x", "amp": True}}, [{"opt": x} for x in "xyx"]),
    ],
)
def test_a_task_has_the_hyperparameters_of_the_log_that_tell_its_runs_apart(told, expected):
    table = pd.DataFrame([(run, "acc", t, t / 10) for run in "abc" for t in (1, 2)], columns=["run", "metric", "step", "value"])
    table.attrs = {} if told is None else {"hyperparameters": told}
    found = task_from_table(table, "acc", mode="max").hyperparameters
    assert (found and list(found)) == expected


def test_the_hyperparameters_of_a_task_are_in_the_order_of_its_runs():
    rows = [(run, "acc", t, 0.5, 1.7e9 + 10 * when + t) for when, run in enumerate("cab") for t in (1, 2)]
    table = pd.DataFrame(rows, columns=["run", "metric", "step", "value", "time"]).sort_values("run")
    table.attrs = {"hyperparameters": {run: {"lr": i} for i, run in enumerate("abc")}}
    task = task_from_table(table, "acc", mode="max")
    assert (task.names, task.hyperparameters) == (("c", "a", "b"), ({"lr": 2}, {"lr": 0}, {"lr": 1}))


def test_no_stopping_spends_what_the_runs_cost_and_the_budget_cuts_the_last():
    task = as_task([[0.1, 0.5, 0.3], [0.6], [0.2, 0.4, 0.7, 0.8]], mode="max")
    whole = replay(task, no_stopping())
    assert whole.total == 8
    assert whole.spent.tolist() == [3, 1, 4]
    assert whole.cost.tolist() == [1, 2, 4, 7, 8]
    assert whole.best.tolist() == [0.1, 0.5, 0.6, 0.7, 0.8]
    assert not whole.stopped.any()
    np.testing.assert_array_equal(whole.best_at([0.5, 1, 3.9, 7, 99]), [np.nan, 0.1, 0.5, 0.7, 0.8])
    assert whole.cost_of(0.55, "max") == 4
    assert whole.cost_of(0.9, "max") == math.inf
    cut = replay(task, no_stopping(), order=[2, 0, 1], budget=6)
    assert cut.points.tolist() == [2, 0, 4]
    assert cut.total == 6
    assert not cut.stopped.any()
    assert cut.would_be_best.tolist() == [False, False, True]


def test_a_run_stopped_with_the_last_step_of_the_budget_was_stopped_and_not_cut_off():
    task = as_task([[0.5, 0.6], [0.3, 0.2, 0.9]], mode="max")
    told = replay(task, patience(1), budget=4)
    assert (told.points.tolist(), told.total) == ([2, 2], 4)
    assert told.stopped.tolist() == told.false_stop.tolist() == [False, True]
    assert not replay(task, patience(1), budget=3).stopped.any()


def test_steps_are_the_cost_whatever_their_spacing():
    task = as_task([RISING, RISING], [[5, 20, 30, 45], [1, 2, 3, 50]], mode="max")
    assert replay(task, no_stopping()).total == 95
    cut = replay(task, no_stopping(), budget=60)  # the second run's next point, at 45 + 50, is not reached
    assert cut.points.tolist() == [4, 3]
    assert (cut.total, cut.spent.tolist()) == (60, [45, 3])


def test_patience_waits_for_a_better_value_than_the_best_before():
    curves = [[0.1, 0.3, 0.3, 0.2, 0.4], [0.5, 0.4, 0.6, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]]
    task = as_task(curves, mode="max")
    assert trained(task, patience(1)) == [3, 2, 5]
    assert trained(task, patience(2)) == [4, 5, 5]
    assert trained(task, patience(9)) == [5, 5, 5]
    assert trained(as_task([[1 - y for y in curve] for curve in curves], mode="min"), patience(1)) == [3, 2, 5]


def test_the_median_rule_compares_the_best_value_with_mean_values_of_enough_runs():
    task = as_task([[0.4, 0.6], [0.2, 0.6], [0.35, 0.35, 0.9], [0.5, 0.2, 0.2], [0.1, 0.9, 0.9]], mode="max")
    # Means of the first two at steps 1 and 2: 0.4, 0.5 and 0.2, 0.4. At step 2 the third shows 0.35 < 0.45.
    assert trained(task, median_rule(2)) == [2, 2, 2, 3, 1]
    assert trained(task, median_rule(9)) == [2, 2, 3, 3, 3]


def test_asha_asks_for_the_best_share_at_each_rung():
    curves = [[0.5, 0.5, 0.5, 0.5], [0.4, 0.9, 0.9, 0.9], [0.6, 0.6, 0.6, 0.6], [0.55, 0.8, 0.8, 0.8], [0.7, 0.7, 0.1, 0.1]]
    task = as_task(curves, mode="max")
    # Rung 1, eta 2: the second has one better of one before (limit 1/2), the third none of two, the fourth one of three, the fifth none.
    # Rung 2: 0.5, then 0.6, then 0.8, then 0.7 with one better of three.
    assert trained(task, asha(2)) == [4, 1, 4, 4, 4]
    assert trained(task, asha(2), order=[2, 0, 1, 3, 4]) == [1, 1, 4, 4, 4]
    assert trained(task, first_points(0.2)) == [4, 4, 4, 4, 4]  # the first four of five go on anyway
    assert trained(task, first_points(0.2), order=[4, 0, 1, 2, 3]) == [4, 4, 4, 1, 4]


def test_successive_halving_pauses_and_resumes():
    curves = [[0.4, 0.4, 0.4, 0.4], [0.3, 0.9, 0.9, 0.9], [0.2, 0.2, 0.2, 1.0], [0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.5, 0.6]]
    outcome = replay(as_task(curves, mode="max"), successive_halving(2))
    # Rungs 1 and 2: four runs to 1, two to 2, one to 4; then the fifth alone.
    assert outcome.points.tolist() == [2, 4, 1, 1, 4]
    assert outcome.total == 4 + 2 + 2 + 4
    assert outcome.cost[outcome.best == 0.9].tolist() == [6]
    assert outcome.false_stop.tolist() == [False, False, True, False, False]


def test_hyperband_goes_through_its_brackets():
    task = as_task(np.tile(RISING, (20, 1)) + np.arange(20)[:, None], mode="max")
    legs = list(hyperband(2)(task, np.arange(20), budget=math.inf, chances=None))
    first = {leg.run: leg.points for leg in reversed(legs)}
    # eta 2, rungs 1 and 2: brackets of 4 runs from step 1, ceil(3/2 * 2) = 3 from step 2, ceil(3/1 * 1) = 3 from the end; then again.
    assert [first[run] for run in range(20)] == [1] * 4 + [2] * 3 + [4] * 3 + [1] * 4 + [2] * 3 + [4] * 3
    assert {leg.run for leg in legs if leg.points == 4} >= {3, 6, 7, 8, 9, 13, 16, 17, 18, 19}


def test_top_after_first_begins_as_many_as_leave_room_for_whole_runs():
    task = as_task(np.array([[0.3, 0.4, 0.5, 0.6], [0.5, 0.5, 0.5, 0.5], [0.4, 0.6, 0.7, 0.8], [0.9, 0.9, 0.9, 1.0]]), mode="max")
    assert trained(task, top_after_first(1), budget=7) == [1, 4, 1, 0]
    assert trained(task, top_after_first(2), budget=12) == [1, 4, 3, 4]  # all begun: what is left goes to the next best, as far as it lasts
    assert trained(task, top_after_first(1)) == [1, 1, 1, 4]
    assert replay(task, top_after_first(1)).total == 7


def test_predicted_stops_at_its_limit_but_neither_the_best_run_nor_too_soon():
    task = as_task([[0.5, 0.6, 0.6, 0.6], [0.1, 0.2, 0.3, 0.4], [0.2, 0.8, 0.3, 0.9]], mode="max")
    chances = spoken(task, [[0, 0, 0], [0.0, 0.04, 0.0], [0.04, 0.0, 0.04]])
    for given, points in [
        ({}, [4, 2, 4]),  # the third shows 0.8, the best, when it would be stopped
        ({"delta": 0.03}, [4, 3, 4]),
        ({"min_points": 1}, [4, 1, 1]),
        ({"min_points": 3}, [4, 3, 4]),
        ({"confirm": 2}, [4, 3, 4]),
        ({"confirm": 2, "min_points": 1}, [4, 2, 4]),
        ({"own": True}, [2, 2, 2]),
        ({"delta": -1}, [4, 4, 4]),
    ]:
        assert trained(task, predicted(**given), chances=chances) == points, given
    with pytest.raises(ValueError, match="expected chances"):
        replay(task, predicted())


def test_predicted_beats_what_other_runs_have_shown_by_then():
    task = as_task([[3.0, 2.0, 1.0], [3.0, 2.5, 2.0]], mode="min")
    table = np.full((2, 3, 3), np.nan, dtype=np.float32)
    table[:, :2] = [0.9, 0.5, 0.02]  # against 2.5, 2.0 and 1.0
    chances = Chances(np.array([2.5, 2.0, 1.0]), table, table / 2, -1)
    assert chances.of(0, 2.25)[:2] == pytest.approx([0.7, 0.7])
    assert chances.of(0, np.array([9.0, 1.5])) == pytest.approx([0.9, 0.26])
    assert chances.of(0, 0.5, "end")[:2] == pytest.approx([0.01, 0.01])
    assert chances.of(0, math.inf).tolist() == [1, 1, 1]
    assert trained(task, predicted(0.05), chances=chances) == [3, 2]
    outcome = replay(task, predicted(0.05), order=[1, 0], chances=chances)
    assert outcome.points.tolist() == [3, 3]  # 2.0 is to be beaten, with a chance of 0.5
    assert outcome.chance.tolist() == pytest.approx([math.nan, math.nan], nan_ok=True)


def test_false_stops_are_runs_that_would_have_become_the_best():
    task = as_task([[0.5, 0.6, 0.6], [0.1, 0.2, 0.9], [0.1, 0.2, 0.3], [0.7, 0.1, 0.65]], mode="max", names=["a", "b", "c", "d"])
    chances = spoken(task, [[1, 1], [0, 0.01], [0, 0.02], [0, 0]])
    outcome = replay(task, predicted(0.05), chances=chances)
    assert outcome.stopped.tolist() == [False, True, True, False]
    assert outcome.false_stop.tolist() == [False, True, False, False]
    assert outcome.would_be_best.tolist() == [True, True, False, True]
    (row,) = outcome.explained(task)
    assert row["reason"] == "b was stopped at step 2 with a chance of 0.01 to beat 0.6; it reached 0.9 at step 3"
    assert {k: row[k] for k in ("run", "step", "to_beat", "peak", "peak_step")} == {
        "run": "b", "step": 2.0, "to_beat": 0.6, "peak": 0.9, "peak_step": 3.0,
    }  # fmt: skip
    # Stopped while it holds the best value itself: its later value must beat its own.
    assert not replay(task, predicted(0.05, own=True), order=[3], chances=chances).false_stop.any()
    told = compare(task, {"lcx": predicted(0.05)}, orders=[range(4)], chances=chances)["lcx"]
    assert told.false_rate == pytest.approx(1 / 3)
    assert told.saved == pytest.approx(2 / 12)
    assert told.row()["stopped"] == 2


def test_a_run_without_values_costs_its_first_step_and_is_never_best():
    task = as_task([[np.nan, np.nan, np.nan], [0.1, 0.2, 0.3], [0.1, np.nan, 0.4]], mode="max")
    chances = random_chances(task)
    for name, method in METHODS.items():
        outcome = replay(task, method, chances=chances)
        assert outcome.spent[0] == 1, name
        assert not outcome.would_be_best[0], name
        assert not outcome.false_stop[0], name
    assert np.isfinite(compare(task, {"none": no_stopping()}, orders=3)["none"].regret).all()


@pytest.mark.parametrize("name", METHODS)
def test_modes_mirror_each_other(name):
    up, down = random_task(1), random_task(1, mode="min")
    a, b = (replay(task, METHODS[name], budget=40, chances=random_chances(task)) for task in (up, down))
    for field in ("points", "spent", "stopped", "false_stop", "would_be_best", "cost", "total"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    np.testing.assert_array_equal(a.best, -b.best)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_method_looks_beyond_what_it_has_trained(name, seed):
    task, budget = random_task(seed), 45
    chances, order = random_chances(task), np.random.default_rng(seed).permutation(len(task))
    first = replay(task, METHODS[name], order=order, budget=budget, chances=chances)
    unseen = np.arange(task.values.shape[1]) >= first.points[:, None]
    changed = Task(task.names, np.where(unseen & ~np.isnan(task.values), 50.0, task.values), task.steps, task.horizon, task.mode)
    again = replay(changed, METHODS[name], order=order, budget=budget, chances=chances)
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.best, again.best)
    assert first.total == pytest.approx(first.spent.sum()) or first.total == budget
    assert first.total <= budget


def test_speed_up_is_the_ratio_of_steps_to_the_regret_that_no_stopping_ends_with():
    slow = np.array([1.0, 0.8, 0.6, 0.5, 0.4, 0.4, 0.2, 0.2])
    assert speed_up(slow, slow) == 1
    assert speed_up(slow, np.array([0.6, 0.1, 0, 0, 0, 0, 0, 0])) == pytest.approx(7 / 2)
    assert speed_up(slow, np.full(8, 0.45)) == pytest.approx(5 / 8)  # never there; no stopping is at 0.45 or better after 5 of 8


def test_regret_is_in_units_of_best_minus_median_and_at_most_one():
    task = as_task([[0.0, 0.2], [0.0, 0.6], [-9.0, 1.0], [0.3, 0.4], [0.1, 0.5]], mode="max")  # best 1, median 0.5
    outcomes = [replay(task, no_stopping(), order=order) for order in ([1, 2, 0, 3, 4], [2, 1, 0, 3, 4])]
    regret = mean_regret(task, outcomes, np.array([0.5, 1, 2, 4]))
    assert regret == pytest.approx([1, 1, (0.8 + 0) / 2, 0])
    two = compare(task, {"none": no_stopping(), "patience": patience(1)}, orders=7, budget=6)
    assert two["none"].unit == pytest.approx(0.5)
    assert two["none"].speed_up == 1
    assert two["none"].row()["begun"] == 3
    again = compare(task, {"patience": patience(1)}, orders=7, budget=6)
    np.testing.assert_array_equal(two["patience"].regret, again["patience"].regret)
    late = compare(as_task([[0.1, 0.2, 0.9]], mode="max"), {"none": no_stopping()}, orders=1)["none"]  # of which the last step is part
    assert (late.costs[-1], late.regret[-1], late.regret[-2]) == (3, 0, pytest.approx(0.7))


def noisy_runs(n=5, length=14):
    rng, t = np.random.default_rng(3), np.arange(1, length + 1)
    return [0.9 - rng.uniform(0.1, 0.5) * t**-0.7 + 0.01 * rng.normal(size=length) for _ in range(n)]


@pytest.mark.parametrize("model", ["general", "parametric"])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_forecast_keeps_what_the_model_says_of_each_prefix(model, mode):
    runs = noisy_runs()
    runs[1] = runs[1][:9]
    runs[2][4] = np.nan
    runs.append(runs[0][:2])
    runs = runs if mode == "max" else [1 - y for y in runs]
    bounds = (0, 1) if mode == "max" else (0, None)
    task = as_task(runs, mode=mode, horizon=14, bounds=bounds)
    targets = np.array([0.6, 0.75, 0.85, 0.9]) if mode == "max" else np.array([0.4, 0.25, 0.15, 0.1])
    chances = forecast(task, model, targets=targets[::-1])
    np.testing.assert_array_equal(chances.targets, targets)
    extrapolator = lcx.load(model, "cpu")
    # In a pass the parametric model's scale after a single value is that of the whole run, as forecast says.
    for run, cut in [(0, 1 if model == "general" else 2), (0, 6), (1, 8), (2, 4), (3, 13)] + [(5, 1)] * (model == "general"):
        y, t = task.values[run, :cut], task.steps[run, :cut]
        ahead = np.union1d(task.steps[run, : task.counts[run]], 14)
        answer = extrapolator(y, t, horizon=14, mode=mode, bounds=bounds, at=ahead[ahead > t[-1]])
        for i, target in enumerate(targets):
            assert chances.ever[run, cut - 1, i] == pytest.approx(answer.prob_better(target).max(), abs=2e-4)
            assert chances.end[run, cut - 1, i] == pytest.approx(answer.prob_better(target)[-1], abs=2e-4)
    assert np.isnan(chances.ever[1, 8:]).all()
    assert not np.isnan(chances.ever[1, :8]).any()
    assert not np.isnan(chances.ever[5, 0]).any()


def test_forecast_does_not_depend_on_what_else_is_in_the_task():
    runs, targets = noisy_runs(6), np.array([0.5, 0.8])
    together = forecast(as_task(runs, mode="max", horizon=14), targets=targets)
    alone = forecast(as_task(runs[4:5], mode="max", horizon=14), targets=targets)
    np.testing.assert_allclose(alone.ever[0], together.ever[4], atol=1e-5)
    # One that explodes is asked prefix by prefix; what it said before does not change by what came after.
    wild = np.concatenate([runs[4][:9], [-1e6, -1e12, 1e15]])
    odd = forecast(as_task([*runs[:4], wild], mode="max", horizon=14), targets=targets)
    np.testing.assert_allclose(odd.ever[4, :8], together.ever[4, :8], atol=2e-4)
    assert np.isfinite(odd.ever[4, :11]).all()


def test_chances_are_kept_for_values_that_could_be_the_best_and_in_files(tmp_path):
    task = random_task(5)
    shown = np.unique(task.peaks[np.isfinite(task.peaks) & ~np.isnan(task.steps)])
    np.testing.assert_array_equal(targets_of(task), shown)
    many = targets_of(as_task(np.random.default_rng(0).normal(size=(400, 3)), mode="min"))
    assert 100 < len(many) <= 128
    assert (np.diff(many) < 0).all()
    chances = random_chances(task)
    chances.save(tmp_path / "kept.npz")
    again = Chances.load(tmp_path / "kept.npz")
    np.testing.assert_array_equal(again.ever, chances.ever)
    assert again.sign == 1


@pytest.mark.parametrize(("method", "others"), [(predicted(0.05), False), (studied(0.05), True)], ids=["alone", "study"])
def test_runs_are_stopped_where_the_early_stopper_does(method, others):
    curves = [0.95 - 0.6 * np.arange(1, 13) ** -0.7, 0.6 - 0.3 * np.arange(1, 13) ** -0.7, 0.5 - 0.3 * np.arange(1, 13) ** -0.7]
    task = as_task(curves, mode="max", horizon=12, bounds=(0, 1))
    outcome = replay(task, method, chances=forecast(task))
    stopper, points = lcx.EarlyStopper(12, "max", bounds=(0, 1), others=False), []
    for run, values in enumerate(curves):
        verdicts = (stopper.update(step, value, run=run).stop for step, value in enumerate(values, 1))
        points.append(next((step for step, stop in enumerate(verdicts, 1) if stop), 12))
    assert outcome.points.tolist() == points
    assert points[0] == 12
    assert max(points[1:]) < 12


def test_a_run_with_a_single_look_is_asked_about_before_its_end_too():
    """Beside a run that rose and fell at last, another one is most likely to be better some steps on, not at the end."""
    t = np.arange(1.0, 13)
    runs = [np.array([0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.9, 0.9, 0.9, 0.5, 0.2, 0.1]), np.array([0.5, 0.7, 0.7])]
    _, leg = studied(0.9)(as_task(runs, mode="max", horizon=12, bounds=(0, 1)), [0, 1])
    known = {"horizon": 12, "mode": "max", "bounds": (0, 1), "others": [(t, runs[0])], "at": np.linspace(2.1, 12, 100)}
    chance = lcx.load("general", "cpu")(runs[1][:2], **known).prob_better(runs[0].max())
    assert leg.points == 2
    assert chance[-1] + 0.05 < leg.chance <= chance.max()


def test_a_method_is_any_callable():
    task = as_task([RISING, RISING], mode="max")
    outcome = replay(task, lambda task, order, **_: (Leg(run, 2) for run in order))
    assert outcome.points.tolist() == [2, 2]
    assert outcome.stopped.all()
    assert outcome.false_stop.all()


def test_led_goes_by_the_worst_moment_of_the_leader_against_the_runner_up():
    curves = [[0.3, 0.4, 0.6, 0.6, 0.6], [0.2, 0.3, 0.4, 0.7, 0.7], [0.1] * 5, [0.1] * 5, [0.1] * 5]
    task = as_task(curves, mode="max")
    chances = spoken(
        task, [[0.9, 0.5, 0.4, 0.4], [0.8, 0.6, 0.3, 0.9], [0.5, 0.31, 0.19, 0.09], [0.5, 0.2, 0.2, 0.2], [0.2, 0.4, 0.12, 0.4]]
    )
    # The first leads with 0.9, 0.5 until it has what it has: half the smallest so far is 0.45, 0.25, 0.25, 0.25, against which the second
    # holds. Then that one leads, with 0.8, 0.6, 0.3 to beat 0.6, later ones count no more: 0.4, 0.3, 0.15, 0.15.
    assert trained(task, led(0.5, 0.5), chances=chances) == [5, 5, 4, 2, 3]
    assert trained(task, led(0.5, 0.1), chances=chances) == [5, 5, 4, 5, 5]
    assert trained(task, led(0.5, 0.5, min_points=1), chances=chances) == [5, 5, 4, 2, 1]
    with pytest.raises(ValueError, match="expected chances"):
        replay(task, led())


@pytest.mark.parametrize("method", [led(0.5, 0.5), predicted(0.25)], ids=["led", "predicted"])
def test_a_chance_exactly_at_its_limit_stops(method):
    task = as_task([[0.3, 0.4, 0.6, 0.6], [0.1] * 4], mode="max")
    for chance, points in ((0.25, 2), (np.nextafter(np.float32(0.25), np.float32(1)), 4)):
        # What the leading run needs at worst has a chance of 0.5, half of which is the limit.
        chances = spoken(task, [[0.9, 0.5, 0.5], [0.6, chance, 0.6]])
        assert trained(task, method, chances=chances) == [4, points]


def test_freeze_thaw_goes_back_to_a_run_it_left():
    class spoken_to(freeze_thaw):
        def _ask(self, model, task, run, points, best):
            chance = [[0.3, 0.4, 0.4, 0.4], [0.9, 0.1, 0.02, 0.02], [0.01] * 4][run][points[run] - 1]
            return (chance, [2.0, 3.0, 9.0][run]), np.zeros(20)

    task = as_task([[0.2, 0.3, 0.4, 0.5, 0.9], [0.1, 0.6, 0.6, 0.6, 0.6], [0.1] * 5], mode="max")
    legs = list(spoken_to(share=1.0)(task, [0, 1, 2]))
    # Begin 0, then 1 (1/2 after 1 step a run, against 0.3 over 4); 1 has the larger gain; begin 2 (1/3 after 1.5); 0 by chance per step,
    # by chance, by chance per step; at last 1, until its chance of 0.02 is too small.
    assert [(leg.run, leg.points) for leg in legs] == [(0, 1), (1, 1), (1, 2), (2, 1), (0, 2), (0, 4), (0, 5), (1, 4)]
    assert math.isnan(legs[0].chance)
    assert legs[2].chance == 0.9


def test_next_run_of_an_early_stopper_is_the_replay_s_freeze_thaw():
    t = np.arange(1, 13)
    curves = [0.62 - 0.3 * t**-0.7, 0.9 - 0.6 * t**-0.7, 0.8 - 0.7 * t**-0.9, 0.35 + 0.0 * t, 0.85 - 0.5 * t**-0.7]
    task = as_task(curves, mode="max", horizon=12, bounds=(0, 1))
    legs = [(leg.run, leg.points) for leg in freeze_thaw(others=False)(task, range(5))]
    stopper, points, done = lcx.EarlyStopper(12, "max", bounds=(0, 1), others=False), [0] * 5, []
    while turn := stopper.next_run(more=0 in points):
        run = points.index(0) if turn.new else turn.run
        while points[run] == 0 or points[run] < turn.step:
            points[run] += 1
            stopper.update(points[run], curves[run][points[run] - 1], run=run)
        done.append((run, points[run]))
        stopper = lcx.EarlyStopper.from_state(json.loads(json.dumps(stopper.state())))
    assert done == legs
    assert points[1] == 12
    assert points[3] < 12
    assert len({run for run, _ in done[:5]}) > 1


@pytest.mark.parametrize(
    "method",
    [studied(0.3), freeze_thaw(0.01), chosen(studied(0.3), "default"), chosen(asha()), freeze_thaw(0.01, choose=True)],
    ids=["studied", "freeze-thaw", "studied chosen", "ASHA chosen", "freeze-thaw chosen"],
)
def test_what_had_not_been_trained_by_then_changes_no_decision(method, monkeypatch):
    monkeypatch.setattr(hyperparameters, "TREES", 10)
    generator, t = np.random.default_rng(0), np.arange(1, 13)
    curves = generator.uniform(0.5, 0.9, (8, 1)) - 0.5 * t ** -generator.uniform(0.5, 1, (8, 1)) + 0.01 * generator.normal(size=(8, 12))
    order, settings = [3, 1, 0, 5, 7, 2, 4, 6], [{"x": x} for x in generator.uniform(size=8)]
    legs, seen = [leg[:2] for leg in method(as_task(curves, mode="max", hyperparameters=settings), order)], np.zeros(8, dtype=int)
    assert len({run for run, _ in legs}) == 8
    assert any(points < 12 for _, points in legs)
    for i, (run, points) in enumerate(legs):
        seen[run] = max(seen[run], points)
        if i % 7 == 3:
            other = np.where(t > seen[:, None], generator.uniform(0, 1, curves.shape), curves)
            again = islice(method(as_task(other, mode="max", hyperparameters=settings), order), i + 1)
            assert [leg[:2] for leg in again] == legs[: i + 1]


def settled(runs, seed, **options):
    """Runs that end by their x, best at 0.7, in a random order."""
    generator, t = np.random.default_rng(seed), np.arange(1, 9)
    x = generator.uniform(size=runs)
    curves = 0.9 - (x[:, None] - 0.7) ** 2 - 0.5 / t + 0.01 * generator.normal(size=(runs, 8))
    return as_task(curves, mode="max", hyperparameters=[{"x": one} for one in x], **options)


@pytest.mark.parametrize("method", [no_stopping(), patience(2), asha(), median_rule(1), predicted(0.3), led()])
def test_any_method_that_goes_through_the_order_once_may_choose_what_begins(method, monkeypatch):
    """Where runs six to twelve end, less the same in a random order: in ten studies above 0 by 3 times its error; by chance 0.1 %."""
    monkeypatch.setattr(hyperparameters, "TREES", 10)  # which takes a tenth of the time
    gained = []
    for seed in range(10):
        task = settled(60, seed)
        chances = spoken(task, [[0.5 + 0.1 * (i % 3)] * 8 for i in range(60)])
        plain, by_x = (list(islice(one(task, range(60), chances=chances), 12)) for one in (method, chosen(method)))
        assert [leg[:2] for leg in by_x[:5]] == [leg[:2] for leg in plain[:5]]
        assert len({leg.run for leg in by_x}) == 12
        there, here = (np.mean([task.peaks[leg.run, -1] for leg in legs[5:]]) for legs in (plain, by_x))
        gained.append(here - there)
    assert np.mean(gained) > 3 * np.std(gained) / math.sqrt(10)


def test_without_hyperparameters_the_order_is_kept():
    curves = settled(7, 0).values
    bare, same = as_task(curves, mode="max"), as_task(curves, mode="max", hyperparameters=[{"x": 1}] * 7)
    for method, choosing in ((studied(0.3), chosen(studied(0.3), "default")), (freeze_thaw(), freeze_thaw(choose=True))):
        legs = [leg[:2] for leg in islice(method(bare, range(7)), 9)]
        assert [leg[:2] for leg in islice(choosing(bare, range(7)), 9)] == legs
        assert [leg[:2] for leg in islice(choosing(same, range(7)), 9)] == legs


def test_what_earlier_studies_expect_tells_which_run_begins_first():
    """A run with the highest expectation begins, whatever the order; where that was wrong the next is one from elsewhere before long."""
    task = settled(40, 0)
    x = np.array([row["x"] for row in task.hyperparameters])
    for promised in (0.7, 0.1):
        rows = [row | {hyperparameters.EXPECTED: 1 - 4 * abs(row["x"] - promised)} for row in task.hyperparameters]
        told = as_task(task.values, mode="max", hyperparameters=rows)
        for method in (chosen(no_stopping()), freeze_thaw(choose=True)):
            begun = list(dict.fromkeys(leg.run for leg in islice(method(told, range(40)), 30)))
            assert begun[0] == abs(x - promised).argmin()
        assert np.abs(x[[leg.run for leg in islice(chosen(no_stopping())(told, range(40)), 20)]] - 0.7).min() < 0.05


@pytest.mark.parametrize("mode", ["min", "max"])
def test_earlier_tasks_tell_what_their_runs_reached(mode):
    """A task tells the best value of each run, in its own direction and unit; a run without a value counts as the worst."""
    pytest.importorskip("sklearn")
    rows, sign = [{"lr": x} for x in (0.1, 0.2, 0.3, 0.4, 0.5)], 1 if mode == "max" else -1
    ends = sign * np.array([0.0, 1.0, 2.0, 3.0, np.nan])
    past = as_task(1000 * ends[:, None] + sign * np.array([0.0, 5.0, 2.0]), mode=mode, hyperparameters=rows)
    task = as_task(ends[:2, None], mode=mode, hyperparameters=[{"lr": 0.11, "wd": 1}, {"lr": 0.41}])
    told = after_earlier(task, [past, past])
    pairs = list(zip(rows, [*(1000 * ends[:4] + 5 * sign), None], strict=True))
    assert told.hyperparameters == tuple(with_earlier_studies(dict(enumerate(task.hyperparameters)), [pairs, pairs], mode).values())
    assert (told.names, told.mode) == (task.names, mode)
    np.testing.assert_array_equal(told.values, task.values)


def test_tasks_that_tell_nothing_are_refused():
    bare, task, other = (as_task([[0.1], [0.2]], mode="max", hyperparameters=rows) for rows in (None, [{"lr": 1}] * 2, [{"rate": 1}] * 2))
    with pytest.raises(ValueError, match="expected a task with hyperparameters, got one without; earlier"):
        after_earlier(bare, [task])
    with pytest.raises(ValueError, match="expected earlier tasks with hyperparameters, got none in number 1; leave it out"):
        after_earlier(task, [task, bare])
    with pytest.raises(ValueError, match="expected earlier runs with hyperparameters of this study, lr, got rate; give these"):
        after_earlier(task, [other])


def test_as_many_hyperparameters_as_runs_are_expected():
    with pytest.raises(ValueError, match=r"expected the hyperparameters of each of 2 runs, got 1; write \{\} where"):
        as_task([[0.1], [0.2]], mode="max", hyperparameters=[{"lr": 1}])
    with pytest.raises(TypeError, match=r"expected the hyperparameters of a run as \{name: value\}, got None; write"):
        as_task([[0.1], [0.2]], mode="max", hyperparameters=[{"lr": 1}, None])


def test_next_run_leaves_alone_what_cannot_go_on():
    stopper = lcx.EarlyStopper(12, "min", stop_on_divergence=2)
    assert stopper.next_run() == (True, None, pytest.approx(math.nan, nan_ok=True), "no run was begun yet")
    assert stopper.next_run(more=False) is None
    stopper.update_many({"a": (1, 0.9), "b": (1, 0.8), "c": (1, math.nan)})
    assert stopper.next_run(more=False)[:3] == (False, "c", 2)  # of which nothing is known
    assert stopper.next_run(more=False, without=["c"]).run in ("a", "b")
    assert stopper.next_run(more=False, without=["c", "a"]).run == "b"
    stopper.update(2, math.nan, run="c")
    assert stopper.next_run(more=False).run in ("a", "b")
    stopper.update(12, 0.01, run="a")
    assert stopper.next_run(more=False, without=["b"]) is None
    with pytest.raises(TypeError, match="expected run as a string"):
        stopper.next_run(without=[1.5])


def test_below_leader_has_the_limits_of_the_replay_s_method():
    t, extrapolator = np.arange(1, 13), lcx.load("general", "cpu")
    leader, runner_up, poor = 0.9 - 0.5 * t**-0.7, 0.9 - 0.6 * t**-0.7, 0.7 - 0.5 * t**-0.7
    task = as_task([leader, runner_up, poor], mode="max", horizon=12, bounds=(0, 1))
    given = {"horizon": 12, "mode": "max", "bounds": (0, 1)}
    rule = below_leader.of(extrapolator.backtest(leader, **given), runner_up.max())
    assert rule.steps == tuple(range(1, 12))
    assert (np.diff(rule.limits) <= 0).all()
    assert max(rule.limits) <= 0.25
    told = [rule(extrapolator(poor[:k], **given), leader.max()) for k in range(2, 12)]
    points = 2 + next(i for i, verdict in enumerate(told) if verdict.stop)
    targets = np.sort([leader.max(), runner_up.max(), *poor])
    assert trained(task, led(), order=[1, 0, 2], chances=forecast(task, targets=targets))[2] == points
    assert told[points - 2].reason.endswith("by the leading run")
    assert math.isnan(below_leader((5.0,), (0.1,))(extrapolator(poor[:3], **given), 0.9).probability)
    with pytest.raises(ValueError, match="back-test of one curve at all its cut-offs"):
        below_leader.of(extrapolator.backtest(leader, cutoffs=[2, 5], **given), 0.5)
    told = extrapolator.backtest(leader, at=[4.0, 8.0], **given)  # nothing is predicted after step 8, as nothing was learned
    assert below_leader.of(told, 0.8).limits[7:] == pytest.approx([below_leader.of(told, 0.8).limits[6]] * 4)
    for wrong in ({"runner_up": -math.inf}, {"runner_up": 0.8, "share": 0.0}, {"runner_up": 0.8, "most": 5.0}):
        with pytest.raises(ValueError, match="expected a finite runner_up, share > 0"):
            below_leader.of(told, **wrong)


def test_below_leader_is_the_rule_of_an_early_stopper_that_learns_from_each_run():
    curves = {
        "a": 0.8 - 0.5 * np.arange(1, 13) ** -0.7,
        "b": 0.9 - 0.6 * np.arange(1, 13) ** -0.7,
        "c": 0.6 - 0.4 * np.arange(1, 13) ** -0.7,
    }
    given, trained_so_far = {"horizon": 12, "mode": "max", "bounds": (0, 1)}, {}
    stopper = lcx.EarlyStopper(**given)
    for run, curve in curves.items():
        for step, value in enumerate(curve, 1):
            verdict = stopper.update(step, value, run=run)
            trained_so_far.setdefault(run, []).append(value)
            if verdict.stop:
                break
        leader, *others = sorted(trained_so_far.values(), key=max, reverse=True)
        stopper.rule = below_leader.of(lcx.load().backtest(leader, **given), max(map(max, others), default=max(leader)))
    assert [len(values) for values in trained_so_far.values()][:2] == [12, 12]
    assert len(trained_so_far["c"]) < 12
    assert verdict.reason.endswith("by the leading run")


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("confirm", [1, 2])
def test_the_limit_for_a_rate_keeps_it_in_the_orders_it_was_set_on_and_the_next_score_does_not(mode, confirm):
    task = random_task(5, mode, n=60)
    chances, looks = random_chances(task, 5), {"orders": 30, "confirm": confirm}
    scores, runs = becoming_best(task, chances, **looks)
    assert 5 < runs < 60
    delta, bound = delta_for(task, chances, 0.2, **looks)
    generator = np.random.default_rng(1)
    orders = [generator.permutation(60).tolist() for _ in range(30)]

    def falsely_stopped(limit):
        # The limit of a target that never falls behind: the rule may lose a run, and later ones then have less to beat.
        outcomes = [replay(task, predicted(limit, confirm=confirm), order=order, chances=chances) for order in orders]
        return sum(o.false_stop.sum() for o in outcomes) / sum(o.would_be_best.sum() for o in outcomes)

    assert (scores <= delta).mean() <= bound <= 0.2
    assert (scores <= np.sort(scores)[int(0.2 * (len(scores) + 1))]).mean() > bound
    assert falsely_stopped(delta) < 0.3 < falsely_stopped(0.9)
    assert delta_for(task, chances, 1e-4, **looks) == (-1.0, 0.0)


def test_the_limit_in_a_study_is_that_of_its_mirror_image_and_rises_with_the_rate():
    runs, asked = noisy_runs(6), {"model": "general", "orders": 3}
    up = as_task(runs, mode="max", horizon=14, bounds=(0, 1))
    down = as_task([1 - y for y in runs], mode="min", horizon=14, bounds=(0, 1))
    delta, bound = delta_in_study(up, rate=0.3, **asked)
    assert 0 < bound <= 0.3
    assert 0 < delta < 1
    assert delta_in_study(down, rate=0.3, **asked) == pytest.approx((delta, bound), rel=1e-3)
    assert delta_in_study(up, rate=0.7, **asked)[0] > delta
    assert delta_in_study(up, rate=1e-3, **asked) == (-1.0, 0.0)


def test_names_of_standard_methods_are_those_that_stored_tables_use():
    assert list(standard_methods()) == [
        *("no stopping", "patience 1", "patience 5", "patience 10", "patience 20", "median rule", "successive halving", "ASHA"),
        *("Hyperband", "top 1 after 1", "top 10 after 1", "lcx 0.05", "lcx 0.01", "lcx 0.001", "lcx freeze-thaw"),
    ]


def test_what_a_run_explodes_to_later_changes_no_earlier_decision():
    """The model reads a run in one pass, in float32: a later value of 1e10 would leave the earlier ones no digits."""
    steps = np.arange(1, 41.0)
    best, close = 0.3 + 0.4 * steps**-0.5, 0.32 + 0.4 * steps**-0.5 + np.random.default_rng(0).normal(0, 0.005, 40)
    stopped = {replay(as_task([best, close], mode="min"), studied(0.05)).points[1]}
    for value in (1e3, 1e8, 1e30):
        close[30:] = value
        stopped.add(replay(as_task([best, close], mode="min"), studied(0.05)).points[1])
    assert max(stopped) - min(stopped) <= 1  # a chance near the limit moves by the float32 of one pass or another
    assert max(stopped) < 15
