"""Which points of a curve the models read, in which units, and what they say of what is left out."""

import numpy as np
import pytest
import torch

from lcx.curves import Scale, as_curves
from lcx.pfn.tokens import AVERAGED, GENERAL_TOKENS, MOST_TOKENS, GeneralTokens, Tokens, model_steps

NO_BOUNDS = (None, None)


def curves(values, steps=None, horizon=1000.0):
    return as_curves(values, steps, horizon=horizon, finished=True)[0]


def parametric(values, steps=None, horizon=1000.0, worst=0.0, best=1.0, **options) -> Tokens:
    packed = curves(values, steps, horizon)
    ends = (torch.full((len(packed),), x, dtype=torch.float64) for x in (worst, best))
    return Tokens(packed, Scale(*ends), **options)


def general(values, steps=None, horizon=1000.0, mode="max", bounds=NO_BOUNDS) -> GeneralTokens:
    return GeneralTokens(curves(values, steps, horizon), mode=mode, bounds=bounds)


def test_model_steps_are_hundredths_of_the_horizon_of_each_curve_however_far():
    packed = curves([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [5.0, 10.0]], [4.0, 10.0])
    assert model_steps(packed.steps, packed).tolist() == [[25.0, 50.0], [50.0, 100.0]]
    far = curves([1.0, 2.0], [1e307, 2e307], 4e307)
    assert model_steps(far.steps, far)[0].tolist() == pytest.approx([25.0, 50.0])


# ----------------------------------------------------------------------------------------------------------------- parametric


def test_the_parametric_model_reads_the_unit_scale_and_not_what_comes_before_1_percent():
    read = parametric([[7.0, 2.0, 3.0, 4.0], [5.0, 1.0]], [[5.0, 10.0, 20.0, 40.0], [100.0, 200.0]], worst=1.0, best=3.0)
    assert read.values.dtype == torch.float32
    assert read.values[0, :3].tolist() == [0.5, 1.0, 1.5]
    assert read.steps[0, :3].tolist() == [1.0, 2.0, 4.0]
    assert read.values[1, :2].tolist() == [2.0, 0.0]
    assert read.values[1, 2:].isnan().all()
    assert read.counts.tolist() == [3, 2]
    assert read.origin[0, :3].tolist() == [1, 2, 3]
    assert read.token_at(torch.tensor([1, 2, 4])).tolist() == [[-1, 0, 2], [0, 1, 1]]
    assert read.notes(NO_BOUNDS, (0, 1)) == ["curve 0: points before 1 % of the horizon are not read"]


def test_of_a_curve_that_has_hardly_begun_the_last_point_is_read_as_if_at_1_percent():
    read = parametric([0.25, 0.5, 0.75], [1.0, 2.0, 3.0])
    assert read.values.tolist() == [[0.75]]
    assert read.steps.tolist() == [[1.0]]
    assert read.origin.tolist() == [[2]]
    assert read.notes(NO_BOUNDS, (0, 1)) == ["curve 0: all points lie before 1 % of the horizon: only the last is read, as if at 1 %"]


def test_of_many_points_evenly_spaced_ones_are_read_the_first_and_last_among_them():
    n = 3 * (MOST_TOKENS - 1) + 1
    read = parametric([np.arange(n) / n, np.arange(7.0) / 7], [np.arange(n) + 10.0, np.arange(7) + 10.0])
    assert read.counts.tolist() == [MOST_TOKENS, 7]
    assert read.origin[0].tolist() == list(range(0, n, 3))
    torch.testing.assert_close(read.steps[0], 0.1 * (10 + torch.arange(0, n, 3).float()))
    assert read.origin[1, :7].tolist() == list(range(7))
    assert read.notes(NO_BOUNDS, (0, 1)) == ["curve 0: of more than 100 points, 100 evenly spaced ones are read"]
    exactly = parametric(np.arange(MOST_TOKENS) / n, np.arange(MOST_TOKENS) + 10.0)
    assert exactly.notes(NO_BOUNDS, (0, 1)) == []
    both = parametric(np.arange(n) / n, np.arange(n) + 1.0)  # the first nine come before 1 %
    assert both.origin[0, 0] == 9
    assert both.origin[0, -1] == n - 1
    assert both.counts.tolist() == [MOST_TOKENS]


def test_values_beyond_what_the_network_can_tell_apart_are_cut_off_but_not_for_a_likelihood():
    values = [0.5, 1e12, -1e12]
    assert parametric(values, [10.0, 20.0, 30.0]).values[0].tolist() == [0.5, 1e9, -1e9]
    free = parametric(values, [10.0, 20.0, 30.0], furthest=np.inf)
    assert free.values[0].tolist() == pytest.approx(values)


def test_a_guessed_scale_and_values_far_off_it_are_said():
    guessed = "no unit and no two bounds given: the metric's scale is guessed from the observed values (see lcx.curves.as_scale)"
    far = "the values lie far outside the scale (worst, best)"
    steps = [10.0, 20.0]
    assert parametric([0.2, 0.4], steps).notes((0, None), None) == [guessed]
    assert parametric([0.2, 0.4], steps).notes((0, 1), None) == []
    assert parametric([1.4, 1.45], steps).notes((0, 1), None) == []
    assert parametric([1.6, 1.7], steps).notes((0, 1), None) == [f"curve 0: {far}"]
    assert parametric([[-0.6, -0.7]] * 7, steps).notes((0, 1), None) == [f"curve 0, 1, 2, 3, 4, ...: {far}"]


# -------------------------------------------------------------------------------------------------------------------- general


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_in_the_general_chart_the_last_value_is_0_the_range_1_and_larger_is_better(mode, sign):
    read = general([[3.0, 5.0, 7.0], [2.0, 1.0]], mode=mode)
    assert read.values[0].tolist() == [-1.0 * sign, -0.5 * sign, 0.0]
    assert read.values[1, :2].tolist() == [1.0 * sign, 0.0]
    assert read.values[1, 2:].isnan().all()
    assert read.scale.to_user(read.values[:, :2].double())[0].tolist() == [3.0, 5.0]
    assert read.counts.tolist() == [3, 2]
    assert read.noise is None
    assert read.notes(NO_BOUNDS, None) == []


def test_bounds_in_the_chart_and_the_scale_assumed_while_all_values_are_equal():
    """Width of the bounds, else the distance from the one bound, else |first value|, but at least 1; in ranges of the curve (4)."""
    for bounds, lower, upper, fallback in (
        ((0.0, 10.0), -5 / 4, 5 / 4, 10 / 4),
        ((0.0, None), -5 / 4, np.inf, 1 / 4),
        ((None, 10.0), -np.inf, 5 / 4, 9 / 4),
        (NO_BOUNDS, -np.inf, np.inf, 1 / 4),
        ((1.0, None), -1.0, np.inf, 1 / 4),  # the first value is at the bound
    ):
        frame = general([1.0, 5.0], bounds=bounds).frame
        assert [x.item() for x in frame] == pytest.approx([lower, upper, fallback])
        turned = general([1.0, 5.0], bounds=bounds, mode="min").frame
        assert [x.item() for x in turned] == pytest.approx([-upper, -lower, fallback])
    assert general([-20.0, -18.0]).frame.fallback.item() == pytest.approx(20 / 2)
    flat = general([7.0, 7.0])
    assert flat.values.tolist() == [[0.0, 0.0]]
    assert flat.frame.fallback.item() == pytest.approx(7)


@pytest.mark.parametrize("values", [[0.0, -1.5e300], [1.5e300, 1.5e300]])
def test_ranges_beyond_what_floats_hold_are_refused(values):
    with pytest.raises(ValueError, match=r"Expected values up to 1e\+300 in size with a finite range; got .* in curve 0. Rescale"):
        general(values)


def test_up_to_512_points_are_read_and_of_more_128_averages():
    n = GENERAL_TOKENS
    assert general(np.arange(n) * 1.0).counts.tolist() == [n]
    long = general([np.arange(n + 1) * 1.0, np.arange(9.0)], horizon=2000.0)
    assert long.counts.tolist() == [AVERAGED, 9]
    assert long.notes(NO_BOUNDS, None) == ["curve 0: more than 512 points are read as 128 averages"]
    assert long.origin[0, -1] == n
    assert long.origin[1, :9].tolist() == list(range(9))
    assert (long.origin[0].diff() > 0).all()
    assert long.token_at(torch.tensor([n + 1])).tolist() == [[AVERAGED - 1], [8]]


def test_averages_are_means_of_values_and_of_steps_over_blocks_that_grow():
    """Of a straight line they lie on the line; the blocks hold every point once, the first of them one point."""
    n = 4096
    read = general(np.arange(1.0, n + 1), horizon=float(n))
    line = read.scale.to_user(read.values.double())[0].numpy()
    at = read.steps[0].double().numpy() * n / 100
    np.testing.assert_allclose(line, at, rtol=1e-4, atol=1e-3 * n)
    blocks = np.diff(np.concatenate([[-1], read.origin[0].numpy()]))
    assert blocks.sum() == n
    assert blocks[0] == 1
    assert (blocks[1:17] <= blocks[16:32].max()).all()
    assert blocks[-50:].max() - blocks[-50:].min() <= 1
    ends = read.origin[0].numpy() + 1
    np.testing.assert_allclose(at, ends - (blocks - 1) / 2, rtol=1e-4)
    assert read.noise is not None
    assert read.noise.max() < 1e-3, "a straight line has no noise"


def test_noise_is_what_single_values_differ_from_their_average_by():
    """Of white noise around a line: its standard deviation, within 5 standard errors of that of a quarter of 8,192 points."""
    n = 8192
    noisy = np.arange(n) / n + 0.01 * np.random.default_rng(0).standard_normal(n)
    read = general(noisy, horizon=float(n))
    assert read.noise is not None
    size = 0.01 / np.ptp(noisy)
    assert read.noise[0, -1].item() == pytest.approx(size, rel=5 / (2 * n / 4) ** 0.5)
    assert read.noise[0, 100].item() == pytest.approx(size, rel=0.1)
    changing = np.where(np.arange(n) < n / 2, 1.0, 0.1) * noisy
    later = general(changing, horizon=float(n)).noise
    assert later is not None
    assert later[0, -1] < 0.2 * later[0, 60], "only the latest quarter counts"
    short = general([noisy, noisy[:40]], horizon=float(n)).noise
    assert short is not None
    assert short[1, :40].max() == 0, "what is not averaged has none"
    # Over 200 curves the mean square has a standard error of 0.11 at most, also where blocks begin to have more than two points.
    many = np.random.default_rng(1).standard_normal((200, n))
    early = general(many, horizon=float(n)).noise
    assert early is not None
    square = (early.numpy() * np.ptp(many, 1)[:, None]) ** 2
    blocks = np.arange(square.shape[1])[square.max(0) > 0]
    assert len(blocks) > 110
    np.testing.assert_allclose(square[:, blocks].mean(0), 1, atol=0.5)  # 5 standard errors
