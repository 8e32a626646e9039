"""The door for user data: what it accepts, what it refuses and in which words, the query grid, the scale."""

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import jaxtyped
from torch import Tensor

from lcx.curves import Curves, Scale, as_curves, as_scale
from lcx.pfn.queries import as_queries

NAN, INF = math.nan, math.inf
FREE = (None, None)
ONE = [0.1, 0.2, 0.3]
MANY = [[0.1, 0.2, 0.3], [0.4, 0.5]]


def pack(values: Any, steps: Any = None, horizon: Any = 50, bounds: Any = FREE) -> Curves:
    return as_curves(values, steps, horizon=horizon, bounds=bounds)[0]


def table(tensor: Tensor) -> list:
    """Nested list with None for NaN, so that == works."""
    return [[None if math.isnan(x) else x for x in row] for row in tensor.tolist()]


def all_doors(values=ONE, steps=None, horizon: Any = 50, bounds=FREE, at=None, mode="max", unit=None) -> None:
    curves = pack(values, steps, horizon, bounds)
    as_queries(at, curves)
    as_scale(curves, mode=mode, bounds=bounds, unit=unit)


NOT_NUMBERS = [
    ({"values": None}, "got values = None. Give plain numbers"),
    ({"values": "0.5"}, "got values[0] = '0.5'"),
    ({"values": [0.1, "0.2"]}, "got values[1] = '0.2'"),
    ({"values": [0.1, None, "0.2"]}, "got values[2] = '0.2'"),
    ({"values": [[0.1], ["True"]]}, "got values[0] = 'True' in curve 1"),
    ({"values": pd.Series(["0.1"])}, "got values[0] = '0.1'"),
    ({"values": [True, False]}, "got values[0] = True"),
    ({"values": [None, True]}, "got values[1] = True"),
    ({"values": [0.1, 1j]}, "got values[1] = 1j"),
    ({"values": torch.tensor([1j])}, "got values[0] = 1j"),
    ({"values": [0.1, [0.2]]}, "got values[1] = [0.2]"),
    ({"values": {"a": 1}}, "got values[0] = {'a': 1}"),
    ({"values": [10**400]}, "got values = [1000"),
    ({"steps": ["1", "2", "3"]}, "Expected steps as real numbers; got steps[0] = '1'"),
    ({"horizon": None}, "got horizon = None"),
    ({"horizon": "50"}, "got horizon[0] = '50'"),
    ({"bounds": ("0", None)}, "got bounds[0] = '0'"),
    ({"bounds": None}, "got bounds = None"),
    ({"at": "4"}, "got at[0] = '4'"),
    ({"at": True}, "got at[0] = True"),
    ({"unit": "01"}, "got unit[0] = '01'"),
]
BROKEN_RULES = [
    ({"values": [0.1, INF]}, "Expected finite values; got values[1] = inf. Write NaN"),
    ({"values": [[0.1], [0.2, -INF]]}, "got values[1] = -inf in curve 1."),
    ({"values": []}, "not empty; got an empty one. Give each curve"),
    ({"values": np.empty((0, 3))}, "not empty; got an empty one."),
    ({"values": [NAN]}, "Expected at least one finite value per curve; got finite values = 0. Leave out"),
    ({"values": [[0.1], [NAN, None]]}, "got finite values = 0 in curve 1."),
    ({"values": [[0.1], []]}, "got finite values = 0 in curve 1."),
    ({"values": 0.5}, "Expected values 1-D, 2-D or a list of 1-D, not empty; got shape ()."),
    ({"values": [[0.1], 0.2]}, "got shape ()."),
    ({"values": np.ones((2, 3, 4))}, "got shape (2, 3, 4)."),
    ({"values": [[[0.1]], [[0.2]]]}, "got shape (1, 1)."),
    ({"steps": [1, 2]}, "as many steps as values; got number of values = 3, number of steps 2. Give missing values"),
    ({"steps": [1, 2, 3, 4]}, "got number of values = 3, number of steps 4."),
    ({"values": MANY, "steps": [1, 2]}, "got number of values = 3 in curve 0, number of steps 2."),
    ({"values": MANY, "steps": [[1, 2, 3], [1, 2, 3]]}, "got number of values = 2 in curve 1, number of steps 3."),
    ({"values": MANY, "steps": [[1, 2, 3], [1]]}, "got number of values = 2 in curve 1, number of steps 1."),
    ({"values": MANY, "steps": [[1, 2, 3]]}, "Expected steps for 2 curve(s); got 1. Give one each"),
    ({"steps": 3}, "Expected steps 1-D, 2-D or a list of 1-D, not empty; got shape ()."),
    ({"steps": [1, 1, 2]}, "Expected steps strictly increasing; got steps[0] = 1.0, followed by 1.0. Sort"),
    ({"values": MANY, "steps": [[1, 2, 3], [5, 4]]}, "got steps[0] = 5.0 in curve 1, followed by 4.0."),
    ({"values": MANY, "steps": [1, 3, 2]}, "got steps[1] = 3.0, followed by 2.0."),
    ({"steps": [0, 1, 2]}, "Expected finite steps > 0; got steps[0] = 0.0. Correct it; zero-based"),
    ({"steps": [-1, 1, 2]}, "got steps[0] = -1.0."),
    ({"steps": [1, 2, INF]}, "got steps[2] = inf."),
    ({"values": [0.1, NAN, 0.3], "steps": [1, NAN, 3]}, "steps[1] = nan, followed by 3.0. Sort, keep one of each; NaN"),
    ({"values": [NAN, 0.2, 0.3], "steps": [NAN, 2, 3]}, "got steps[0] = nan."),
    ({"steps": [1, 2, NAN]}, "Expected a step for each finite value; got values[2] = 0.3, step nan. Give it"),
    ({"values": MANY, "steps": [[1, 2, 3], [1, NAN]]}, "got values[1] = 0.5 in curve 1, step nan."),
    ({"horizon": 2}, "Expected no steps at or beyond the horizon; got horizon = 2.0, last step 3.0. Raise it or cut"),
    ({"horizon": 3}, "got horizon = 3.0, last step 3.0."),
    ({"values": MANY, "horizon": [9, 1]}, "got horizon = 1.0 in curve 1, last step 2.0."),
    ({"values": MANY, "horizon": [9, 9, 9]}, "Expected horizon for 2 curve(s); got 3. Give one each"),
    ({"values": MANY, "horizon": [9]}, "Expected horizon for 2 curve(s); got 1."),
    ({"values": MANY, "horizon": [9, NAN]}, "Expected finite horizon > 0; got horizon = nan in curve 1."),
    ({"horizon": INF}, "got horizon = inf."),
    ({"horizon": -1}, "Expected finite horizon > 0; got horizon = -1.0."),
    ({"horizon": [[50]]}, "Expected horizon 1-D"),
    ({"bounds": (1, 0)}, "(lower, upper), lower < upper; got (1, 0): bounds reversed, equal, not finite or no pair."),
    ({"bounds": (1, 1)}, "got (1, 1): bounds reversed"),
    ({"bounds": (0, INF)}, "got (0, inf): bounds"),
    ({"bounds": (NAN, 1)}, "got (nan, 1): bounds"),
    ({"bounds": (0, 1, 2)}, "got (0, 1, 2): bounds"),
    ({"bounds": 1}, "got 1: bounds"),
    ({"bounds": (0.15, 1)}, "Expected values within (0.15, 1); got values[0] = 0.1. Correct it or widen the bounds."),
    ({"values": MANY, "bounds": (None, 0.45)}, "got values[1] = 0.5 in curve 1."),
    ({"at": []}, "Expected at 1-D, 2-D or a list of 1-D, not empty; got an empty one."),
    ({"values": MANY, "at": [[4], []]}, "Expected finite at > 0; got at = nan in curve 1."),
    ({"at": [4, NAN]}, "Expected finite `at`; got at[1] = nan. Remove the entry: a flat array needs no padding."),
    ({"values": MANY, "at": [[4, NAN, 5], [4]]}, "got at[1] = nan in curve 0, followed by 5.0."),
    ({"at": [4, INF]}, "Expected finite at > 0; got at[1] = inf."),
    ({"values": MANY, "at": [[4], [4, 4]]}, "got at[0] = 4.0 in curve 1, followed by 4.0. Sort"),
    (
        {"values": MANY, "at": [3, 4]},
        "after the last observed step, up to the horizon; got at[0] = 3.0 in curve 0, last",
    ),
    ({"at": [4, 51]}, "got at[1] = 51.0, last step 3.0, horizon 50.0. Remove the step or raise the horizon."),
    ({"values": MANY, "at": [[4]]}, "Expected at for 2 curve(s); got 1."),
    ({"mode": "Max"}, "Expected mode 'max' or 'min'; got 'Max'. Write 'max' if larger is better"),
    ({"mode": ""}, "got ''. Write 'max'"),
    ({"unit": (1, 0)}, "worst < best for this mode; got (1, 0): unit reversed"),
    ({"unit": (0, 1), "mode": "min"}, "worst > best for this mode; got (0, 1): unit reversed"),
    ({"unit": (0, None)}, "got (0, None): unit"),
    ({"unit": (0, INF)}, "got (0, inf): unit"),
    (
        {"unit": (-1e308, 1e308)},
        "scale and values up to 1e+300 in size; got worst = -1e+308, best 1e+308. Rescale",
    ),
]


@pytest.mark.parametrize(
    ("error", "given", "words"),
    [(TypeError, *case) for case in NOT_NUMBERS] + [(ValueError, *case) for case in BROKEN_RULES],
)
def test_bad_input_is_refused_with_what_was_expected_what_came_and_what_to_do(error, given, words):
    with pytest.raises(error, match=re.escape(words)) as caught:
        all_doors(**given)
    assert re.fullmatch(r"Expected .+; got .+\. [A-Z].+\.", str(caught.value), re.DOTALL)


@pytest.mark.parametrize(
    ("values", "one"),
    [
        (ONE, True),
        (tuple(ONE), True),
        (np.array(ONE), True),
        (np.array(ONE, dtype=object), True),
        (pd.Series(ONE, index=[7, 8, 9]), True),
        (pd.Series([0.1, 0.2, 0.3], dtype="Float64"), True),
        (torch.tensor(ONE, dtype=torch.float64, requires_grad=True), True),
        ([torch.tensor(x, dtype=torch.float64) for x in ONE], True),
        ([Decimal("0.1"), 0.2, Decimal("0.3")], True),
        ([ONE], False),
        ((ONE,), False),
        ([pd.Series(ONE)], False),
        ([torch.tensor(ONE, dtype=torch.float64)], False),
        (np.array([ONE]), False),
        (torch.tensor([ONE], dtype=torch.float64), False),
        (pd.DataFrame([ONE]), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_spelling_of_one_curve_gives_the_same_batch(values, one):
    curves, flag = as_curves(values, horizon=50)
    assert flag is one
    assert table(curves.values) == [ONE]
    assert table(curves.steps) == [[1, 2, 3]]
    assert curves.horizon.tolist() == [50]
    assert {curves.values.dtype, curves.steps.dtype, curves.horizon.dtype} == {torch.float64}


def test_integers_low_precision_and_masks_are_numbers():
    assert table(pack(range(1, 4)).values) == [[1, 2, 3]]
    assert table(pack(np.array([1, 2], dtype=np.int32)).values) == [[1, 2]]
    assert table(pack(torch.tensor([0.5, 0.25], dtype=torch.bfloat16)).values) == [[0.5, 0.25]]
    assert table(pack(np.ma.masked_array([5, 6, 7], mask=[False, True, False])).values) == [[5, 7]]
    assert table(pack(pd.Series([0.5, None, 0.7], dtype="Float64")).steps) == [[1, 3]]


def test_ragged_is_padded_is_one_by_one():
    values, steps = [[0.1, NAN, 0.3, 0.2], [0.4], [NAN, 0.5, None]], [[2, 3, 5, 7], [1], [4, 6, 8]]
    ragged = pack(values, steps, [9, 10, 11])
    assert table(ragged.values) == [[0.1, 0.3, 0.2], [0.4, None, None], [0.5, None, None]]
    assert table(ragged.steps) == [[2, 5, 7], [1, None, None], [6, None, None]]
    assert ragged.counts.tolist() == [3, 1, 1]
    assert ragged.last_step.tolist() == [7, 1, 6]
    padded = np.array([[0.1, NAN, 0.3, 0.2, NAN], [0.4] + 4 * [NAN], [NAN, 0.5, NAN, NAN, NAN]])
    padded_steps = np.array([[2, 3, 5, 7, 9], [1] + 4 * [NAN], [4, 6, 8, NAN, NAN]])
    padded = pack(padded, padded_steps, np.array([9, 10, 11]))
    for field in ("values", "steps", "horizon"):
        torch.testing.assert_close(getattr(padded, field), getattr(ragged, field), rtol=0, atol=0, equal_nan=True)
    for i, horizon in enumerate((9, 10, 11)):
        alone, one = as_curves(values[i], steps[i], horizon=horizon)
        assert one
        assert alone.horizon.tolist() == [horizon]
        for field in ("values", "steps"):
            assert getattr(alone, field)[0].tolist() == getattr(ragged, field)[i, : ragged.counts[i]].tolist()


def test_missing_points_are_squeezed_out_with_their_steps():
    assert table(pack([0.1, NAN, 0.3, None]).steps) == [[1, 3]]
    assert table(pack([NAN, 0.2, 0.3], [10, 20, 30]).steps) == [[20, 30]]
    assert table(pack([0.1, 0.2, NAN], [1, 2, NAN]).steps) == [[1, 2]]
    assert table(pack([0.1, 0.2, NAN], [1, 2, 60]).steps) == [[1, 2]]  # a missing value beyond the horizon is no matter
    assert pack([[0.1, NAN], [NAN, 0.2]]).values.shape == (2, 1)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.6], [[0.5], [0.5, 0.6]]])
def test_one_or_two_points_are_enough(values):
    curves = pack(values)
    scale = as_scale(curves, mode="max", bounds=(None, None), unit=None)
    assert scale.slope.gt(0).all()
    assert as_queries(None, curves).shape[1] == 50 - int(curves.counts.min())


def test_flat_steps_serve_all_curves_by_their_first_entries():
    expected = [[3, 6, 9], [3, 6, None]]
    assert table(pack(MANY, [3, 6, 9]).steps) == expected
    assert table(pack(MANY, np.array([3, 6, 9, 60])).steps) == expected
    assert table(pack([[0.1, 0.2], [0.4, 0.5]], [3, 6]).steps) == [[3, 6], [3, 6]]  # flat, though as long as the batch
    assert table(pack(MANY, [[3, 6, 9], [1, 2]]).steps) == [[3, 6, 9], [1, 2, None]]
    assert table(pack(ONE, [[3, 6, 9]]).steps) == [[3, 6, 9]]


def test_horizons_and_closed_bounds():
    assert pack(MANY, horizon=[4, 2.5]).horizon.tolist() == [4, 2.5]
    assert pack(ONE, horizon=[4]).horizon.tolist() == [4]
    assert pack(ONE, horizon=torch.tensor(4)).horizon.tolist() == [4]
    for bounds in ((0.1, 0.3), [0.1, None], (None, 0.3), np.array([0.1, 0.3])):
        assert len(pack(ONE, bounds=bounds)) == 1


def test_a_finished_run_may_have_reached_its_horizon_but_not_passed_it():
    assert as_curves(ONE, horizon=3, finished=True)[0].last_step.tolist() == [3]
    with pytest.raises(ValueError, match=re.escape("horizon = 2.5, last step 3.0")):
        as_curves(ONE, horizon=2.5, finished=True)


def test_inputs_are_neither_edited_nor_shared():
    values, steps, horizon = np.array([[0.1, NAN, 0.3], [0.4, 0.5, NAN]]), np.array([1.0, 2, 3]), np.array([8.0, 9])
    at = np.array([[4.0, 8], [3, NAN]])
    inputs = (values, steps, horizon, at)
    before = [array.copy() for array in inputs]
    for array in inputs:
        array.flags.writeable = False  # an edit would raise; torch would warn if it shared the memory
    curves = pack(values, steps, horizon, bounds=(0, 1))
    queries = as_queries(at, curves)
    kept = [table(tensor) for tensor in (curves.values, curves.steps, queries)]
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)
        array.flags.writeable = True
        array[...] = -1
    assert [table(tensor) for tensor in (curves.values, curves.steps, queries)] == kept
    assert curves.horizon.tolist() == [8, 9]


def test_curves_move_and_measure():
    curves = pack(MANY).to(torch.float32).to("cpu")
    assert {curves.values.dtype, curves.steps.dtype, curves.horizon.dtype} == {torch.float32}
    assert len(curves) == 2
    assert curves.counts.tolist() == [3, 2]
    assert curves.last_step.tolist() == [3, 2]


def test_default_grid_is_every_integer_step_then_the_horizon():
    assert table(as_queries(None, pack(MANY, horizon=[6, 4.5]))) == [[4, 5, 6], [3, 4, 4.5]]
    assert table(as_queries(None, pack(MANY, horizon=[6, 2.25]))) == [[4, 5, 6], [2.25, None, None]]
    assert table(as_queries(None, pack(ONE, [0.1, 0.2, 0.35], horizon=2))) == [[1, 2]]
    assert table(as_queries(None, pack([0.5], [2.5], horizon=2.75))) == [[2.75]]
    assert table(as_queries(None, pack(ONE, [1e9, 2e9, 3e9], horizon=3e9 + 2))) == [[3e9 + 1, 3e9 + 2]]


@pytest.mark.parametrize(("horizon", "even"), [(515, False), (514.5, False), (516, True), (515.5, True), (3e9, True)])
def test_default_grid_has_at_most_512_steps(horizon, even):
    grid = as_queries(None, pack(ONE, horizon=horizon))
    assert grid.shape == (1, 512)
    assert grid[0, -1] == horizon
    if even:
        expected = torch.linspace(3, horizon, 513, dtype=torch.float64)[1:]
        torch.testing.assert_close(grid[0], expected, rtol=1e-12, atol=0)
    else:
        assert grid[0, :-1].tolist() == list(range(4, 515))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (4, [[4], [4]]),
        (np.float32(4.5), [[4.5], [4.5]]),
        (torch.tensor(5), [[5], [5]]),
        ([4, 6], [[4, 6], [4, 6]]),  # flat, though as long as the batch
        ([[4], [3]], [[4], [3]]),
        ([[4, 5, 6.5], np.array([2.5])], [[4, 5, 6.5], [2.5, None, None]]),
        (np.array([[4, NAN], [3, 7]]), [[4, None], [3, 7]]),
    ],
)
def test_queries_are_for_all_curves_or_one_row_each(at, expected):
    curves = pack(MANY, horizon=7)
    queries = as_queries(at, curves)
    assert table(queries) == expected
    assert table(as_queries(queries, curves)) == expected


def test_queries_take_dtype_from_the_curves():
    curves = pack([0.5], [0.1], 0.3).to(torch.float32)  # 0.3 as float32 is a little above 0.3
    for at in (None, 0.3, curves.horizon.double()):
        queries = as_queries(at, curves)
        assert queries.dtype == torch.float32
        assert queries.tolist() == [curves.horizon.tolist()]


@pytest.mark.parametrize(
    ("values", "mode", "bounds", "unit", "expected"),
    [
        ([0.4, 0.6, 0.5], "max", (0, 1), (0.2, 0.7), (0.2, 0.7)),
        ([0.4, 0.6, 0.5], "min", (0, 1), (9, -1), (9, -1)),
        ([0.4, 0.6, 0.5], "max", (0, 2), None, (0, 2)),
        ([0.4, 0.4], "min", (0, 2), None, (2, 0)),
        ([3, 1, 4], "min", (-1, None), None, (3, -1)),
        ([3, 1, 4], "max", (None, 9), None, (3, 9)),
        ([3, 1, 4], "min", (None, 9), None, (3, -1)),
        ([3, 1, 4], "max", (0, None), None, (3, 5)),
        ([1, 3, 4], "min", (None, None), None, (1, 0)),  # nothing better than the first
        ([-7, -8], "max", (None, None), None, (-7, 0)),
        ([0.25], "max", (None, None), None, (0.25, 1.25)),
        ([6, 6], "min", (0, None), None, (6, 0)),
        ([0.5], "min", (0, None), None, (1, 0)),
        ([0, 4], "min", (0, None), None, (1, 0)),  # the first at the bound
        ([-5, -5], "min", (-50, None), None, (-5, -50)),
    ],
)
def test_the_table_of_scales(values, mode, bounds, unit, expected):
    for dtype in (torch.float64, torch.float32):
        curves = pack([values, [*values, NAN]], bounds=bounds).to(dtype)
        scale = as_scale(curves, mode=mode, bounds=bounds, unit=unit)
        assert scale.worst.dtype == scale.best.dtype == dtype
        for end, number in zip((scale.worst, scale.best), expected, strict=True):
            torch.testing.assert_close(end, torch.full((2,), number, dtype=dtype))


number = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.lists(number, min_size=1, max_size=5), min_size=1, max_size=4), st.sampled_from(["max", "min"]),
       st.booleans(), st.booleans())  # fmt: skip
def test_every_scale_is_an_invertible_map_in_the_direction_of_mode(values, mode, below, above):
    bounds = (-1e6 if below else None, 1e6 if above else None)
    curves = pack(values, bounds=bounds)
    scale = as_scale(curves, mode=mode, bounds=bounds, unit=None)
    assert scale.slope.isfinite().all()
    assert (scale.slope > 0 if mode == "max" else scale.slope < 0).all()
    torch.testing.assert_close(scale.to_model(scale.worst), torch.zeros(len(curves), dtype=torch.float64))
    torch.testing.assert_close(scale.to_model(scale.best), torch.ones(len(curves), dtype=torch.float64))
    back = scale.to_user(scale.to_model(curves.values))
    torch.testing.assert_close(back, curves.values, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_scales_map_any_shape_by_curve_and_annotations_hold():
    checked = jaxtyped(typechecker=beartype)
    curves, _ = checked(as_curves)(MANY, horizon=9)
    queries, scale = checked(as_queries)(None, curves), Scale(torch.tensor([1.0, 9.0]), torch.tensor([3.0, 5.0]))
    assert queries.shape == (2, 7)
    assert checked(as_scale)(curves, mode="max", bounds=(0, 1), unit=None).slope.tolist() == [1, 1]
    cube = torch.stack([torch.full((2, 3), 2.0), torch.full((2, 3), 6.0)])
    assert checked(Scale.to_model)(scale, cube).equal(torch.stack([torch.full((2, 3), 0.5), torch.full((2, 3), 0.75)]))
    assert checked(Scale.to_user)(scale, checked(Scale.to_model)(scale, cube)).equal(cube)
    assert scale.slope.tolist() == [2, -4]
