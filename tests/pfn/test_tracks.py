"""Other runs as functions of the step, against NumPy."""

import math

import numpy as np
import torch

from lcx.pfn.tracks import WINDOW, Tracks

STEPS = np.array([1.0, 2.0, 4.0, 10.0])
VALUES = np.array([0.0, 3.0, 1.0, 2.0])


def runs(*pairs, longest=6):
    """One group of runs, NaN-padded."""
    values, steps = (np.full((1, len(pairs), longest), np.nan) for _ in range(2))
    for k, (t, y) in enumerate(pairs):
        steps[0, k, : len(t)], values[0, k, : len(y)] = t, y
    return Tracks(torch.from_numpy(values), torch.from_numpy(steps))


def ask(at, *pairs):
    at = torch.tensor(at, dtype=torch.float64)
    return runs(*pairs).locate(at.expand(1, len(pairs), -1)), at.numpy()


def test_values_are_linear_between_points_and_constant_beyond():
    place, at = ask([0.5, 1.0, 1.5, 3.0, 10.0, 99.0], (STEPS, VALUES), (STEPS[:1], VALUES[1:2]))
    np.testing.assert_allclose(place.value[0, 0], np.interp(at, STEPS, VALUES), atol=1e-14)
    np.testing.assert_allclose(place.value[0, 1], 3.0)


def test_a_step_without_a_value_is_no_point():
    steps, values = (torch.tensor([[[*x, math.nan]]]) for x in (STEPS, VALUES))
    place = Tracks(values, steps.nan_to_num(99.0)).locate(torch.tensor([[[3.0, 50.0, 200.0]]], dtype=torch.float64))
    np.testing.assert_allclose(place.value[0, 0], [2.0, 2.0, 2.0])


def test_integral_travel_and_range_follow_the_line():
    place, at = ask([1.0, 1.5, 3.0, 7.0, 10.0], (STEPS, VALUES))
    fine = [np.linspace(1, end, 20_001) for end in at]
    lines = [np.interp(t, STEPS, VALUES) for t in fine]
    np.testing.assert_allclose(place.area[0, 0], [np.trapezoid(y, t) for y, t in zip(lines, fine, strict=True)], atol=1e-5)
    np.testing.assert_allclose(place.travel[0, 0], [np.abs(np.diff(y)).sum() for y in lines], atol=2e-3)
    np.testing.assert_allclose(place.range[0, 0], [np.ptp(y) for y in lines], atol=1e-3)


def test_smoothing_is_the_mean_over_the_window_that_a_run_has():
    at = torch.tensor([[[2.0, 5.0, 10.0, 40.0]]], dtype=torch.float64)
    smooth = runs((STEPS, VALUES)).smooth(at)[0, 0].numpy()
    for t, mean in zip(at[0, 0].tolist()[:3], smooth[:3], strict=True):
        window = np.linspace(max(t * (1 - WINDOW), 1), min(t * (1 + WINDOW), 10), 20_001)
        np.testing.assert_allclose(mean, np.interp(window, STEPS, VALUES).mean(), atol=1e-3)
    assert smooth[3] == 2.0


def test_a_shared_group_answers_each_target_as_its_own_group_would():
    pairs = (STEPS, VALUES), (STEPS + 1, VALUES[::-1]), ([], [])
    at = torch.rand(5, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 12
    shared, own = runs(*pairs).locate(at), [runs(*pairs).locate(at[i : i + 1]) for i in range(5)]
    for name in ("value", "area", "travel", "range"):
        assert getattr(shared, name).equal(torch.cat([getattr(place, name) for place in own]))


def test_some_of_the_runs_are_those_runs():
    pairs = (STEPS, VALUES), (STEPS + 1, VALUES[::-1]), (STEPS[:2], VALUES[:2])
    some = runs(*pairs).only(torch.tensor([[2, 0], [1, 1]]))
    at = torch.rand(2, 2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 12
    assert some.locate(at).value[0, 0].equal(runs(*pairs).locate(at[:1, :1].expand(1, 3, -1)).value[0, 2])
    assert some.locate(at).value.shape == (2, 2, 7)
