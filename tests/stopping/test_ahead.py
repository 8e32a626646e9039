"""Which of two curves is ahead: exact cases, symmetry, bounds, padding, and where curves change places."""

import math

import numpy as np
import pytest
import torch

import lcx
from lcx.curves import as_curves
from lcx.predictive import Predictive


def answer(loc, scale, at=None, mode="min", lower=None, paths=None):
    """One curve seen up to step 1, with normal laws at later steps."""
    loc, scale = (torch.tensor(x, dtype=torch.float64)[None, :, None] for x in (loc, scale))
    at = torch.arange(2.0, 2 + loc.shape[1], dtype=torch.float64)[None] if at is None else torch.tensor([at], dtype=torch.float64)
    curves, one = as_curves([1.0], horizon=float(at.nan_to_num().max()))
    bound = None if lower is None else torch.tensor(lower, dtype=torch.float64)
    return lcx.Extrapolation(at, Predictive(torch.zeros_like(loc), loc, scale, bound), mode, one, curves, paths, list)


def phi(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


def test_the_chance_of_two_normals_is_exact_and_turns_with_order_and_direction():
    loc, scale = np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, 1e-9])
    one, other = answer(loc, scale), answer(loc + np.array([0.5, -2.0, 1.0]), [0.7, 1e-9, 5.0])
    exact = [phi(0.5 / math.hypot(1, 0.7)), phi(-2 / 2), phi(1 / 5)]
    np.testing.assert_allclose(lcx.prob_ahead(one, other), exact, atol=1e-4)
    np.testing.assert_allclose(lcx.prob_ahead(other, one), 1 - np.array(exact), atol=1e-4)
    np.testing.assert_allclose(lcx.prob_ahead(answer(loc, scale, mode="max"), answer(loc, scale, mode="max")), 0.5, atol=1e-6)
    up, down = answer([0.0], [1.0], mode="max"), answer([0.5], [0.7], mode="max")
    assert lcx.prob_ahead(up, down)[0] == pytest.approx(1 - exact[0], abs=1e-4)


def test_bounds_count():
    """Halves of normals with equal edges: the one twice as wide is worse with probability 2 atan(2) / pi."""
    chance = lcx.prob_ahead(answer([0.0], [1.0], lower=0.0), answer([0.0], [2.0], lower=0.0))
    assert chance[0] == pytest.approx(2 * math.atan(2) / math.pi, abs=1e-4)


def test_curves_of_a_model_row_by_row_and_padding_stays():
    values = [[0.9, 0.7, 0.6, 0.55], [0.8, 0.7, 0.65, 0.62]]
    ask = {"horizon": [10, 10], "mode": "min", "at": [[6, 8, 10], [7, 10]], "device": "cpu"}
    one, other = lcx.predict(values, **ask), lcx.predict(values[::-1], **ask)
    chances = lcx.prob_ahead(one, other)
    np.testing.assert_array_equal(np.isnan(chances), [[False] * 3, [False, False, True]])
    alone = [lcx.predict(y, horizon=10, mode="min", at=[7, 10], device="cpu") for y in values]
    np.testing.assert_allclose(lcx.prob_ahead(alone[1], alone[0]), chances[1, :2], rtol=1e-4)
    crossing = lcx.crossing_steps(one, other, 200)
    assert crossing.shape == (2, 200)
    assert set(crossing[1][~np.isnan(crossing[1])]) <= {10.0}  # the only step with one before it


def test_the_last_change_of_places_in_each_pair_of_paths():
    paths = torch.tensor([[[1.0, 1, 1, 1], [1, 3, 1, 1], [3, 3, 3, 1], [3, 1, 3, 3], [1, 1, 1, 3]]])
    one = answer([0.0] * 4, [1.0] * 4, at=[2, 4, 8, 16], paths=lambda n, generator: paths.double())
    other = answer([0.0] * 4, [1.0] * 4, at=[2, 4, 8, 16], paths=lambda n, generator: torch.full((1, 5, 4), 2.0).double())
    np.testing.assert_array_equal(lcx.crossing_steps(one, other, 5), [np.nan, 8, 16, 8, 16])
    np.testing.assert_array_equal(lcx.crossing_steps(other, one, 5), [np.nan, 8, 16, 8, 16])


def test_different_questions_are_refused():
    one = answer([0.0], [1.0])
    with pytest.raises(ValueError, match="one mode, got 'min' and 'max'"):
        lcx.prob_ahead(one, answer([0.0], [1.0], mode="max"))
    with pytest.raises(ValueError, match="same steps, got shapes"):
        lcx.crossing_steps(one, answer([0.0], [1.0], at=[3]))
