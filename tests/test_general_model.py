"""The general model as users meet it: equivariance, any scale, any length, divergence, bounds, and calibration on its own prior."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lcx
import lcx.curves
from lcx.pfn.features import Frame
from lcx.pfn.tokens import AVERAGED, GeneralTokens
from lcx.predictive import Predictive
from lcx.pretraining.batches import PretrainConfig, general_batch
from lcx.pretraining.objective import relative_weight
from lcx.priors.named import PRIORS

EXAMPLES = Path(__file__).parents[1] / "examples"
RISING = 0.9 - 0.6 * np.arange(1, 31) ** -0.7
LEVELS = [0.05, 0.5, 0.95]


@pytest.fixture(scope="module")
def general():
    return lcx.load("general", "cpu")


def ask(general, values=RISING, steps=None, **options):
    return general(values, steps, **({"horizon": 100, "mode": "max", "at": [31, 60, 100]} | options))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-50, 50, width=16), min_size=3, max_size=30, unique=True),
    st.sampled_from([1e-8, 1e-3, 0.3, 1.0, 7.0, 1e6, 1e12]),
    st.floats(-30, 30),
    st.sampled_from([(None, None), (-60.0, None), (None, 60.0), (-60.0, 60.0)]),
)
def test_any_affine_map_of_the_metric_maps_the_answer(general, values, a, b, bounds):
    """y -> a (y + b), bounds mapped too; up to the rounding of the values themselves."""
    plain = ask(general, values, bounds=bounds).quantile(LEVELS)
    mapped = ask(general, [a * (y + b) for y in values], bounds=tuple(None if x is None else a * (x + b) for x in bounds)).quantile(LEVELS)
    scale = np.abs(plain - plain[:, 1:2]).max() + np.ptp(values)
    np.testing.assert_allclose((mapped / a - b) / scale, plain / scale, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-50, 50, width=16), min_size=1, max_size=20), st.sampled_from([(None, None), (-60.0, None), (-60.0, 60.0)]))
def test_flipping_the_metric_flips_the_answer(general, values, bounds):
    plain = ask(general, values, bounds=bounds)
    flipped = ask(general, [-y for y in values], mode="min", bounds=tuple(None if x is None else -x for x in bounds[::-1]))
    np.testing.assert_allclose(flipped.quantile(LEVELS), -plain.quantile(LEVELS[::-1]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(flipped.prob_better(-0.8), plain.prob_better(0.8), atol=1e-6)


def test_steps_in_any_unit_give_the_same_answer(general):
    tokens = general(RISING, 5e6 * np.arange(1, 31), horizon=5e8, mode="max", at=5e6 * np.array([31, 60, 100]))
    np.testing.assert_allclose(tokens.median, ask(general).median, atol=1e-5)


def test_a_back_test_equals_predicting_from_each_prefix(general):
    """The chart is laid by the whole curve, the answer is not: only rounding differs."""
    values = np.concatenate([[500.0], 2 + 3 * np.arange(1, 40) ** -0.5])
    back = general.backtest(values, cutoffs=[2, 5, 20], horizon=60, mode="min", bounds=(0, None), at=[41, 60])
    for i, n in enumerate([2, 5, 20]):
        alone = general(values[:n], horizon=60, mode="min", bounds=(0, None), at=[41, 60])
        np.testing.assert_allclose(back.quantile(LEVELS)[i], alone.quantile(LEVELS), rtol=2e-3)


def test_no_mass_outside_the_bounds(general):
    high = 1 - 0.05 * np.arange(1, 11) ** -1.0
    answer = ask(general, high, bounds=(0, 1))
    assert answer.quantile(1 - 1e-9).max() <= 1
    assert (answer.cdf(1.0) == 1).all()
    assert answer.sample(50).max() <= 1


@pytest.mark.parametrize("values", [[0.4], [0.4, np.nan], [0.4, 0.4, 0.4], [-200.0] * 12])
@pytest.mark.parametrize("bounds", [(None, None), (-1000, None), (-1000, 1)])
def test_one_or_equal_points_give_wide_finite_answers(general, values, bounds):
    levels = ask(general, values, bounds=bounds).quantile(LEVELS)
    assert np.isfinite(levels).all()
    assert (levels[:, 2] - levels[:, 0] > 1e-3).all()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "values",
    [
        [3.0, 2.5, 2.2, 1e18],
        [1e18, 2.5, 2.2, 2.1],
        [2.5, 2.2, 1e9, 2.1, 2.0, np.nan, np.nan],
        [1e300, 1.0, 1e-300],
        [1e-12, 2e-12, 2.5e-12],
        [1e9, 1e9 + 1e-6, 1e9 + 2e-6],
    ],
)
def test_divergence_and_extreme_scales_give_finite_ordered_answers(general, values, mode):
    answer = ask(general, values, mode=mode)
    levels = answer.quantile([0.01, *LEVELS, 0.99])
    assert np.isfinite(levels).all()
    assert (np.diff(levels, axis=1) > 0).all()
    assert isinstance(answer.warnings, list)
    with pytest.raises(ValueError, match="finite"):
        ask(general, [*values[:-1], math.inf], mode=mode)


def test_a_jump_back_to_usual_values_is_not_forgotten(general):
    """After a spike of 1e4 and a return, the median stays near the return, though the range seen is 1e4."""
    answer = ask(general, [2.5, 2.2, 1e4, *np.linspace(2.1, 2.0, 12)], mode="min")
    assert (np.abs(answer.median - 2.0) < 1).all()


def test_a_range_that_overflows_is_refused(general):
    with pytest.raises(ValueError, match="finite range"):
        ask(general, [-1.7e308, 1.7e308])


def test_up_to_512_points_are_read_exactly_and_longer_curves_as_averages():
    steps = np.arange(1, 2001)
    values = 1 - steps**-0.5 + 0.01 * np.random.default_rng(0).normal(size=2000)
    curves, _ = lcx.curves.as_curves([values, values[:512], [0.1, 0.2]], horizon=3000)
    read = GeneralTokens(curves, mode="max", bounds=(None, None))
    assert read.counts.tolist() == [AVERAGED, 512, 2]
    assert read.thinned.tolist() == [True, False, False]
    ends = read.origin[0, :AVERAGED].numpy()
    assert (ends[0], ends[-1]) == (0, 1999), "the first point stands for itself, and none is left out"
    blocks = np.split(np.arange(2000), ends[:-1] + 1)
    means = np.array([values[block].mean() for block in blocks])
    np.testing.assert_allclose(read.scale.to_user(read.values.double())[0, :AVERAGED], means, atol=1e-6)
    np.testing.assert_allclose(read.steps[0, :AVERAGED], [(block + 1).mean() / 30 for block in blocks], rtol=1e-6)
    user = read.noise.double().numpy() * read.scale.slope.abs().numpy()[:, None]
    assert user[0, AVERAGED - 1] == pytest.approx(0.01, rel=0.15)  # 5 standard errors of some 500 values
    assert (user[1, :512] == 0).all()
    assert any("more than 512 points are read as 128 averages" in sentence for sentence in read.notes((None, None), None))


def test_averages_make_no_difference_to_the_short_curves_of_a_batch(general):
    long, short = 1 - np.arange(1, 1501) ** -0.5, [0.1, 0.3, 0.4]
    asked = {"horizon": 3000, "mode": "max", "at": [2000, 3000]}
    both, alone = general([long, short], **asked), general(short, **asked)
    np.testing.assert_allclose(both.median[1], alone.median, rtol=1e-6)


def test_of_long_noisy_curves_many_points_tell_more_and_the_intervals_hold(general):
    """Loss with noise of 0.1 around a power law, up to half of the run; single values at the end, of which 80 to 97 % should be inside."""
    generator, widths, inside = np.random.default_rng(0), {}, []
    for count in (500, 20_000):
        steps = np.arange(1, 2 * count + 1)
        for _ in range(15):
            level, rate = generator.uniform(1, 3), generator.uniform(0.3, 0.8)
            values = level + 3 * (1000 * steps / steps[-1]) ** -rate + 0.1 * generator.normal(size=len(steps))
            low, high = general(values[:count], horizon=2 * count, mode="min", at=[2 * count]).quantile([0.05, 0.95])[0]
            widths.setdefault(count, []).append(high - low)
            inside += ((values[-200:] > low) & (values[-200:] < high)).tolist() if count > 500 else []
    assert np.median(widths[20_000]) < 0.95 * np.median(widths[500])
    assert np.median(widths[20_000]) > 2 * 1.64 * 0.1, "a single value is as noisy as those seen"
    assert 0.8 < np.mean(inside) < 0.995


def test_every_cut_off_of_a_long_curve_has_an_answer(general):
    values = 1 - np.arange(1, 1201) ** -0.5
    answer = general.backtest(values, horizon=1200, mode="max", at=[1200], cutoffs=[1, 2, 30, 600, 1199])
    assert np.isfinite(answer.median).all()
    assert (np.abs(answer.median[3:, 0] - values[-1]) < 0.02).all()


def test_a_unit_is_refused(general):
    with pytest.raises(ValueError, match="no unit"):
        ask(general, unit=(0, 1))


def ask_smooth(general):
    """The hard case for paths: what is drawn is noisier than what was seen, and reading it led the draws astray."""
    return ask(general, 0.3 + 0.6 * np.exp(-np.arange(1, 31) / 12), at=np.arange(31, 101, 3), mode="min", bounds=(0, None))


def test_paths_of_a_smooth_curve_follow_the_forecast_of_every_step_and_stay_together(general):
    """Shares below quantiles at 24 steps within 5 standard errors, false-alarm rate below 1e-3."""
    answer = ask_smooth(general)
    paths = answer.sample(1000)
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.abs((paths <= answer.quantile(level)).mean(0) - level).max() < 5 * (level * (1 - level) / 1000) ** 0.5
    ranks = paths.argsort(0).argsort(0)
    assert np.corrcoef(ranks[:, -1], ranks[:, -2])[0, 1] > 0.1
    assert np.corrcoef(ranks[:, -1], ranks[:, 10])[0, 1] > 0.1


def test_a_single_path_follows_the_forecast_too_and_is_joint(general):
    """Of 60 single paths: share below the median within 5 standard errors, and its values belong together."""
    answer = ask(general, 0.3 + 0.6 * np.exp(-np.arange(1, 31) / 12), at=[98, 99, 100], mode="min", bounds=(0, None))
    paths = np.concatenate([answer.sample(1, seed=seed) for seed in range(60)])
    assert np.abs((paths <= answer.median).mean(0) - 0.5).max() < 5 * 0.5 / 60**0.5
    assert np.corrcoef(paths.T)[0, 2] > 0.3


@pytest.fixture(scope="module")
def fresh(general):
    """1,600 curves of the prior, with the states after each of their points."""
    batch = general_batch(PRIORS["general"], PretrainConfig(batch=1600, pairs=1, targets=1), 64, torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return batch, general.model.encode(batch.values, batch.steps, frame=batch.frame)


@pytest.mark.parametrize("cutoff", [2, 6, 12, 24, 48])
def test_calibrated_and_sharp_on_its_own_prior(general, fresh, cutoff):
    """Coverage of 80 % intervals for the last point of fresh curves: within 0.01, room for approximation, and 3 standard errors.

    Curves count by the weights of the training (``PretrainConfig.relative``), and the error is that of their effective number: an exact
    model fails at one of five points once in 70 seeds. The negative controls, scales x 4 and / 2, fail the same test, and a scale x 2
    shows on the same curves. The mean log score beats that of the law of another curve.
    """
    batch, context = fresh
    counts = (~batch.steps.isnan()).sum(1)
    kept = counts > cutoff + 1
    query = counts[:, None] - 1
    with torch.inference_mode():
        law = general.model.decode(context, torch.full_like(query, cutoff - 1), batch.steps.gather(1, query)).double()
    truth = batch.values.gather(1, query).double()
    power = general.about["pretraining"]["relative"]
    weight = relative_weight(context.units[:, cutoff - 1], power)[kept].double()

    def share(factor: float) -> float:
        lower, upper = (x[:, None].double() for x in batch.frame[:2])
        below = Predictive(law.logits, law.loc, factor * law.scale, lower, upper).cdf(truth)[kept, 0]
        return (((below - 0.5).abs() <= 0.4) * weight).sum().item() / weight.sum().item()

    assert int(kept.sum()) > 500
    room = 0.01 + 3 * (0.8 * 0.2 * weight.square().sum().item()) ** 0.5 / weight.sum().item()
    assert abs(share(1.0) - 0.8) < room
    assert share(4.0) > 0.8 + room
    assert share(2.0) > share(1.0) + 0.03
    assert share(0.5) < 0.8 - room
    moved = Predictive(law.logits.roll(1, 0), law.loc.roll(1, 0), law.scale.roll(1, 0))
    own, other = (((x.log_prob(truth)[kept, 0].clamp(min=-20) * weight).sum() / weight.sum()).item() for x in (law, moved))
    assert own > other + 0.3


def test_where_the_runs_of_a_study_end_alike_two_points_and_ten_other_runs_tell_the_end_as_closely(general):
    """A loss falls from 3 to 0.1, and its ends differ by 3 %: a thirtieth of what two points alone could tell."""
    rng, t, held, widths = np.random.default_rng(0), np.arange(1.0, 21), [], []
    asked = {"horizon": 20, "mode": "min", "bounds": (0, None), "at": [20]}
    for _ in range(100):
        end, start, power = 0.1 + 0.003 * rng.normal(size=(11, 1)), 3 + 0.4 * rng.normal(size=(11, 1)), 1.2 + 0.1 * rng.normal(size=(11, 1))
        runs = end + (start - end) * t**-power * (1 - ((t - 1) / 19) ** 2) + 0.0005 * rng.normal(size=(11, 20))
        told = general(runs[0, :2], t[:2], **asked, others=[(t, run) for run in runs[1:]]), general(runs[0, :2], t[:2], **asked)
        (low, high), alone = (answer.quantile([0.05, 0.95])[0] for answer in told)
        held.append(low <= runs[0, -1] <= high)
        widths.append((high - low, alone[1] - alone[0]))
    assert np.mean(held) >= 0.83  # of 100, 2.3 standard errors below
    with_others, without = np.median(widths, 0) / (3.29 * 0.003)  # in widths of the law of the ends
    assert with_others < 4
    assert without > 50


def test_the_examples_are_inside_the_bands(general):
    """Of eight real example curves cut at 30 % the last value lies inside the 98 % interval of six at least.

    Three of them were chosen as hard cases: a divergence that has hardly begun, a slow start, an overfitting run at its best.
    """
    inside = []
    for path in sorted(EXAMPLES.glob("*.csv")):
        table = pd.read_csv(path)
        metric = table.columns[1]
        mode, bounds = ("max", (0, 1)) if "accuracy" in metric else ("min", (0, None))
        steps = table.iloc[:, 0].to_numpy(float)
        steps = steps + (1 if steps[0] == 0 else 0)
        n = max(3, int(0.3 * len(table)))
        answer = general(table[metric][:n], steps[:n], horizon=steps[-1], mode=mode, bounds=bounds, at=[steps[-1]])
        low, high = answer.quantile([0.01, 0.99])[0]
        inside.append(low <= table[metric].iloc[-1] <= high)
    assert sum(inside) >= len(inside) - 2


def test_frame_in_the_chart_of_the_tokens():
    curves, _ = lcx.curves.as_curves([[1.0, 3.0], [2.0, 2.0]], horizon=9, bounds=(0, 10))
    read = GeneralTokens(curves, mode="min", bounds=(0, 10))
    assert isinstance(read.frame, Frame)
    torch.testing.assert_close(read.values, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(read.frame.upper, torch.tensor([1.5, 2.0]))
    torch.testing.assert_close(read.frame.lower, torch.tensor([-3.5, -8.0]))
    torch.testing.assert_close(read.frame.fallback, torch.tensor([5.0, 10.0]))
