"""Which run begins next: hyperparameters as numbers, the expected improvement, and a stopper that names the run."""

import json
import math
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

import lcx
from lcx.stopping.hyperparameters import (
    EXPECTED,
    FEWEST,
    LEVELS,
    expected_improvement,
    expected_of,
    next_new,
    table_of,
    with_earlier_studies,
)
from lcx.stopping.study import ends_of

STEPS = np.arange(1, 13)


def sure(ends):
    """Runs whose ends are known."""
    return np.repeat(np.asarray(ends, dtype=float)[:, None], len(LEVELS), 1)


def study(runs, seed):
    """Hyperparameters of some runs and how they end: best at a learning rate of 0.01 with the first optimizer."""
    rng = np.random.default_rng(seed)
    rows = [{"lr": 10 ** rng.uniform(-4, 0), "optimizer": ["adam", "sgd"][i % 2], "seed": int(rng.integers(9))} for i in range(runs)]
    ends = [0.9 - 0.1 * (math.log10(row["lr"]) + 2) ** 2 - 0.2 * (row["optimizer"] == "sgd") for row in rows]
    return rows, np.array(ends)


# ---------------------------------------------------------------------------------------------------------------- the table


def test_numbers_are_places_among_the_runs_and_the_rest_is_categories():
    rows = [{"lr": 1e-4, "name": "a", "big": True}, {"lr": 1, "name": "b", "big": False}, {"lr": 1e-2, "name": "a", "big": True}]
    assert table_of(rows).tolist() == [[0, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 1], [0, 0.5, 1, 0, 1, 0]]


def test_the_scale_of_a_number_is_of_no_matter():
    rows, _ = study(20, 0)
    logarithms = [row | {"lr": math.log10(row["lr"])} for row in rows]
    assert np.array_equal(table_of(rows), table_of(logarithms))


@pytest.mark.parametrize("gone", [{}, *({"lr": x} for x in (None, math.nan, np.float32("nan"), pd.NA, pd.NaT, torch.tensor(math.nan)))])
def test_a_missing_number_is_the_middle_and_said_to_be_missing(gone):
    assert table_of([{"lr": 1.0}, gone, {"lr": 3.0}])[:, 1:].tolist() == [[0, 0], [0.5, 1], [1, 0]]


def test_a_number_may_be_too_large_for_a_float():
    assert table_of([{"seed": 10**400}, {"seed": 3}, {"seed": np.int64(7)}])[:, 1].tolist() == [1, 0, 0.5]


@pytest.mark.parametrize("number", [torch.tensor(2.0), np.array(2), np.float32(2), Decimal(2), Fraction(2)])
def test_a_number_of_any_type_is_a_number(number):
    assert table_of([{"lr": 1.0}, {"lr": number}, {"lr": 3}])[:, 1:].tolist() == [[0], [0.5], [1]]


def test_texts_that_no_two_runs_share_are_no_columns():
    """A name of each run, say, would be as many columns as runs."""
    rows = [{"name": f"run {i}", "lr": i} for i in range(5000)]
    assert table_of(rows).shape == (5000, 2)


def test_runs_without_hyperparameters_are_alike():
    assert table_of([{}, {}]).tolist() == [[0], [0]]
    assert table_of([{"lr": 2}, {"lr": 2}])[:, 1].tolist() == [0.5, 0.5]


def test_a_row_that_is_no_mapping_is_refused():
    for row in (0.1, None):
        with pytest.raises(TypeError, match=rf"expected the hyperparameters of a run as \{{name: value\}}, got {row}; write"):
            table_of([{"lr": 1}, row])


# ---------------------------------------------------------------------------------------------------------------- the promise


def test_nothing_is_promised_until_five_runs_have_begun():
    rows, ends = study(20, 0)
    assert not expected_improvement(table_of(rows), np.arange(FEWEST - 1), sure(ends[: FEWEST - 1])).any()
    assert expected_improvement(table_of(rows), np.arange(FEWEST), sure(ends[:FEWEST])).all()


def test_the_run_chosen_is_among_the_best_of_those_not_begun():
    """Mean place of the run chosen, of 40 studies: at random 0.5 with a standard error of 0.046. Below 0.3 by chance: p < 1e-5."""
    places = []
    for seed in range(40):
        rows, ends = study(60, seed)
        left = np.arange(20, 60)
        chosen = left[expected_improvement(table_of(rows), np.arange(20), sure(ends[:20]))[left].argmax()]
        places.append((ends[left] > ends[chosen]).mean())
    assert np.mean(places) < 0.3


def test_what_ends_are_worth_is_their_place_so_that_a_diverged_run_is_only_a_bad_one():
    rows, ends = study(30, 1)
    table, begun = table_of(rows), np.arange(10)
    ends[ends.argmin()] = ends[:10].min() - 1
    usual = expected_improvement(table, begun, sure(ends[:10]))
    worst = np.where(ends[:10] == ends[:10].min(), -math.inf, ends[:10])
    assert np.array_equal(expected_improvement(table, begun, sure(worst)), usual)
    assert np.array_equal(expected_improvement(table, begun, sure(np.exp(5 * ends[:10]))), usual)


def test_the_same_question_has_the_same_answer_and_the_first_of_equal_runs_is_named():
    rows, ends = study(12, 2)
    named = {f"run {i}": row for i, row in enumerate(rows)} | {"twin": rows[-1]}
    begun = {f"run {i}": row for i, row in enumerate(sure(ends[:11]))}
    assert next_new(named, begun, begun) == "run 11"
    assert next_new(named, [*begun, "run 11"], begun) == "twin"
    assert next_new(named, named, begun) is None
    assert next_new({"new": {}} | named, {}, {}) == "new"


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    rows, ends = study(10, 0)
    with pytest.raises(ImportError, match=r"expected scikit-learn.*got none; pip install 'lcx\[hpo\]'"):
        expected_improvement(table_of(rows), np.arange(8), sure(ends[:8]))


# ---------------------------------------------------------------------------------------------------------------- earlier studies


def earlier(studies, runs=60, flip=1):
    """Runs of some earlier studies with their final values, whose unit differs from study to study."""
    told = []
    for seed in range(100, 100 + studies):
        rows, ends = study(runs, seed)
        told.append(list(zip(rows, 1000.0 ** (seed % 2) * flip * ends, strict=True)))
    return told


def test_earlier_studies_rank_the_runs_whatever_the_unit_of_their_metric():
    rows, ends = study(60, 0)
    expected = expected_of(list(with_earlier_studies(dict(enumerate(rows)), earlier(2), "max").values()))
    assert np.corrcoef(expected, ends)[0, 1] > 0.8
    other = [[(row, -value) for row, value in runs] for runs in earlier(2)]
    assert np.allclose(expected_of(list(with_earlier_studies(dict(enumerate(rows)), other, "min").values())), expected)


def test_the_first_run_is_the_one_that_earlier_studies_expect_most_of():
    """Places among 40 runs of the first run begun, in 20 studies: at random their mean is 0.5 with a standard error of 0.065."""
    places = []
    for seed in range(20):
        rows, ends = study(40, seed)
        first = next_new(with_earlier_studies(dict(enumerate(rows)), earlier(2), "max"), [], {})
        places.append((ends > ends[first]).mean())
    assert np.mean(places) < 0.2


@pytest.mark.parametrize(("flip", "least"), [(1, 0.95), (-1, 0.75)])
def test_a_study_finds_its_best_runs_soon_after_like_ones_and_all_the_same_after_opposite_ones(flip, least):
    """Share of all runs that the best of the first 12 is better than: of a random dozen of 60 it is 0.92, of the worst dozen 0.2."""
    reached = []
    for seed in range(4):
        rows, ends = study(60, seed)
        named, begun = with_earlier_studies(dict(enumerate(rows)), earlier(2, flip=flip), "max"), {}
        for _ in range(12):
            run = next_new(named, begun, begun)
            begun[run] = sure(ends[[run]])[0]
        reached.append((ends < ends[list(begun)].max()).mean())
    assert np.mean(reached) > least


def test_what_came_of_the_runs_begun_says_how_much_earlier_studies_are_worth():
    """Of two runs that are alike but for what was expected of them, the one expected to be better promises more if that held so far."""
    table, expected = np.zeros((12, 1)), np.append(np.linspace(-1, 1, 10), [-0.5, 0.5])
    held, failed = (expected_improvement(table, np.arange(10), sure(sign * expected[:10]), expected) for sign in (1, -1))
    assert held[11] > 1.5 * held[10]
    assert failed[11] == pytest.approx(failed[10])


def test_a_run_without_an_expectation_is_in_the_middle_and_none_at_all_changes_nothing():
    assert expected_of([{"lr": 1}, {EXPECTED: 2.0}]).tolist() == [0, 2]
    assert expected_of([{"lr": 1}, {}]) is None
    assert table_of([{"lr": 1, EXPECTED: 3.0}, {"lr": 2}]).tolist() == table_of([{"lr": 1}, {"lr": 2}]).tolist()


def test_a_diverged_earlier_run_is_the_worst():
    rows = [{"lr": x} for x in (1, 2, 3, 4, 5, 6)]
    for worst in (None, math.nan, np.float32("nan")):
        told = with_earlier_studies(dict(enumerate(rows)), [[(row, i) for i, row in enumerate(rows[:-1])] + [(rows[-1], worst)]] * 3, "max")
        assert min(told, key=lambda run: told[run][EXPECTED]) in (0, 5)
        assert told[4][EXPECTED] > told[5][EXPECTED]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ([], ValueError, "expected runs of earlier studies as .* pairs, got none; give each run as a pair"),
        ([[]], ValueError, "got none"),
        ([[{"lr": 1}]], ValueError, "got {'lr': 1}; give"),
        ([[({"lr": 1}, 0.5), "ab"]], ValueError, "got 'ab'"),
        ([[({"lr": 1}, "0.5")]], TypeError, "expected final value as one number"),
        ([3], TypeError, r"expected earlier studies as lists of runs, got \[3\]; give a list for each study"),
        ([[(0.1, 0.5)]], TypeError, "expected the hyperparameters of a run as"),
    ],
)
def test_earlier_runs_that_are_no_pairs_are_refused(given, error, said):
    with pytest.raises(error, match=said):
        with_earlier_studies({"a": {"lr": 1}}, given, "max")


@pytest.mark.parametrize(("mode", "end"), [("max", math.inf), ("min", -math.inf), ("max", None), ("min", math.nan)])
def test_an_earlier_run_that_diverged_is_the_worst_whatever_its_sign(mode, end):
    rows = [{"lr": x} for x in (0.1, 0.11, 0.12, 0.9, 0.91, 0.92)]
    told = with_earlier_studies(dict(enumerate(rows)), [list(zip(rows, [0.5, 0.6, 0.7, end, end, end], strict=True))], mode)
    assert told[0][EXPECTED] > told[5][EXPECTED]


def test_a_stopper_begins_where_earlier_studies_did_best():
    rows, ends = study(40, 3)
    named = with_earlier_studies(dict(enumerate(rows)), earlier(2), "max")
    asked = stopper()
    for _ in range(4):
        run = asked.next_new(named)
        for step, value in zip(STEPS, (ends[run] - 0.3 * STEPS**-0.7), strict=True):
            asked.update(step, value, run=run)
    assert max(asked._runs[run].best("max") for run in asked._runs) > np.sort(ends)[-6] - 0.3 * STEPS[-1] ** -0.7
    assert next(iter(asked._runs)) == max(named, key=lambda run: named[run][EXPECTED])


# ---------------------------------------------------------------------------------------------------------------- the stopper


def stopper(**options):
    return lcx.EarlyStopper(12, "max", bounds=(0, 1), model="parametric", **options)


def test_a_stopper_names_the_run_to_begin():
    rows, ends = study(40, 3)
    curves = ends[:, None] - 0.3 * STEPS**-0.7
    asked, named = stopper(), dict(enumerate(rows))
    order = []
    for _ in range(15):
        run = asked.next_new(named)
        order.append(run)
        for step, value in zip(STEPS, curves[run], strict=True):
            asked.update(step, value, run=run)
    assert order[:FEWEST] == [0, 1, 2, 3, 4]
    assert np.sort(ends[order[FEWEST:]])[-6:].mean() > np.sort(ends)[-10]
    later = lcx.EarlyStopper.from_state(json.loads(json.dumps(asked.state())))
    assert later.next_new(named) == asked.next_new(named)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_stopped_run_counts_by_its_forecast_a_finished_one_by_its_best_an_ignored_one_not_at_all(mode):
    sign = 1 if mode == "max" else -1
    asked = lcx.EarlyStopper(12, mode)
    curve = sign * (0.9 - 0.6 * STEPS**-0.7)
    for name, seen in (("stopped", 6), ("finished", 12), ("ignored", 6), ("fallen", 3)):
        for step, value in zip(STEPS[:seen], curve if name != "fallen" else sign * np.array([0.9, 0.3, 0.1]), strict=False):
            asked.update(step, value, run=name)
    asked.update(1, math.nan, run="diverged")
    asked.ignore("ignored")
    ends = ends_of(asked._runs, asked._predict, horizon=12, mode=mode)
    assert list(ends) == ["stopped", "finished", "fallen", "diverged"]
    assert (ends["finished"] == sign * curve[-1]).all()
    assert (ends["diverged"] == -math.inf).all()
    assert (ends["fallen"] >= 0.9).all()
    assert (np.diff(ends["stopped"]) >= 0).all()
    assert sign * curve[5] < ends["stopped"][10] < 0.9
    told = asked._predict([asked._runs["stopped"]]).quantile(LEVELS)[0, -1][::sign]
    assert np.allclose(ends["stopped"], np.maximum(sign * told, sign * curve[5]))


def test_a_forecast_teaches_the_less_the_wider_it_is():
    """What the run next to it promises: a wide forecast is averaged with its neighbours, an end that is known stands for itself."""
    table = np.arange(12.0)[:, None] / 11
    for_sure, wide = sure([0.1, 0.2, 0.3, 0.4, 0.5, 0.7]), sure([0.1, 0.2, 0.3, 0.4, 0.5, 0.7])
    wide[5] = np.linspace(0.2, 1.2, 20)
    known, hoped = (expected_improvement(table, np.array([0, 1, 2, 3, 4, 10]), ends)[11] for ends in (for_sure, wide))
    assert hoped < 0.5 * known


def test_the_next_run_is_named_if_it_is_a_new_one():
    asked = stopper()
    turn = asked.next_run(hyperparameters={"a": {"x": 1}, "b": {"x": 2}})
    assert (*turn[:2], turn.reason) == (True, "a", "no run was begun yet; by hyperparameters 'a' is next")
    asked.update(1, 0.1, run="a")
    assert asked.next_run(hyperparameters={"a": {"x": 1}})[:2] == (False, "a")  # there is no other
    with pytest.raises(TypeError, match=r"expected hyperparameters as {run: {name: value}}, got .*; give each run a name"):
        asked.next_run(hyperparameters=[{"x": 1}])
    with pytest.raises(TypeError, match="expected run as a string"):
        asked.next_new({1.5: {}})
