"""Scores: log score, CRPS, PIT and coverage on known laws; the band of a PIT histogram; the paired log score.

Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail correct code.
"""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lcx.predictive import AsinhWarp, Predictive
from lcx.scores import covered, crps, log_score, paired_log_score, pit, pit_band

WEIGHT, LOC, SCALE = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.4, 2.0]), np.array([0.3, 1.0, 0.2])
Y = np.array([-3.0, -1.0, 0.0, 0.7, 2.1, 6.0])


def tensor(x) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


def mixture(batch: int = 1) -> Predictive:
    return Predictive(*(tensor(x).expand(batch, -1) for x in (np.log(WEIGHT), LOC, SCALE)))


def normal(loc, scale) -> Predictive:
    loc, scale = torch.broadcast_tensors(tensor(loc), tensor(scale))
    return Predictive(torch.zeros_like(loc)[..., None], loc[..., None], scale[..., None])


def draws(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --------------------------------------------------------------------------------------------------------------- one per point


def test_log_score():
    want = np.log((WEIGHT * stats.norm.pdf(Y[:, None], LOC, SCALE)).sum(1))
    np.testing.assert_allclose(log_score(mixture(6), tensor(Y)).numpy(), want, rtol=1e-12)


def test_log_score_counts_the_warp_and_prefers_the_truth():
    """Units of y: the density integrates to 1 whatever the scale of u; the true law wins on its own draws (gap is 0.06 nats)."""
    warped = Predictive(*(tensor(x) for x in (np.log(WEIGHT), LOC, SCALE)), warp=AsinhWarp(tensor(0.5), tensor(2.0)))
    grid = 0.5 + 2 * torch.sinh(torch.linspace(-9, 9, 20_001, dtype=torch.float64))
    assert torch.trapezoid(log_score(warped, grid).exp(), grid).item() == pytest.approx(1, abs=1e-5)
    y = draws(20_000, 1)
    assert log_score(normal(0, 1), y).mean() > max(log_score(normal(*law), y).mean() for law in ((0.35, 1), (0, 1.35), (0, 0.75)))


def test_pit():
    want = (WEIGHT * stats.norm.cdf(Y[:, None], LOC, SCALE)).sum(1)
    np.testing.assert_allclose(pit(mixture(6), tensor(Y)).numpy(), want, rtol=1e-12)


def test_pit_of_the_truth_is_uniform_and_of_another_law_is_not():
    """K-S on 5,000 values; false alarm 0.001."""
    y = mixture(5000).sample(1, torch.Generator().manual_seed(2))[0]
    assert stats.kstest(pit(mixture(5000), y).numpy(), "uniform").pvalue > 0.001
    wide = Predictive(*(tensor(x).expand(5000, -1) for x in (np.log(WEIGHT), LOC, 1.5 * SCALE)))
    assert stats.kstest(pit(wide, y).numpy(), "uniform").pvalue < 0.001


def test_crps_of_a_normal():
    """Gneiting & Raftery 2007, equation (5)."""
    z = (Y - 0.3) / 1.7
    want = 1.7 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    np.testing.assert_allclose(crps(normal(0.3, 1.7), tensor(Y)).numpy(), want, rtol=1e-10)


@pytest.mark.parametrize("score", [log_score, crps, pit])
def test_scores_keep_the_batch_and_pass_nan_on(score):
    predictive = normal(np.zeros((3, 4)), 1.0)
    y = draws(12, 3).reshape(3, 4)
    y[1, 2] = math.nan
    got = score(predictive, y)
    assert got.shape == (3, 4)
    assert torch.equal(got.isnan(), y.isnan())
    assert got[2, 1].item() == pytest.approx(score(normal(0, 1), y[2, 1]).item(), rel=1e-12)


def test_covered():
    values = tensor([0.0, 0.0999, 0.1001, 0.5, 0.8999, 0.9001, 1.0])
    assert covered(values, 0.8).tolist() == [False, False, True, True, True, False, False]
    assert covered(values, 1.0).all()
    assert covered(tensor([[0.5, 0.2]]), 0.5).tolist() == [[True, False]]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_of_the_truth(level):
    """Binomial at 4 standard errors on 20,000 draws: false alarm 6e-5 each; a scale 10 % off is noticed."""
    y = draws(20_000, 4)
    error = math.sqrt(level * (1 - level) / 20_000)
    assert abs(covered(pit(normal(0, 1), y), level).double().mean().item() - level) < 4 * error
    for scale in (0.9, 1.1):
        assert abs(covered(pit(normal(0, scale), y), level).double().mean().item() - level) > 4 * error


# ------------------------------------------------------------------------------------------------------------------- PIT band


def inside(counts: np.ndarray, confidence: float) -> np.ndarray:
    """Whether each histogram, one a row, lies in its band."""
    n, bins = counts.sum(1)[0], counts.shape[1]
    low, high = pit_band(int(n), bins, confidence)
    relative = counts / n * bins
    return ((relative >= low) & (relative <= high)).all(1)


@pytest.mark.parametrize(("n", "bins"), [(2000, 10), (2000, 20), (20_000, 20)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_uniform_pits_stay_inside_the_band(n, bins, confidence):
    """Share of 40,000 histograms outside; standard error 0.0005 at 0.99 and 0.0015 at 0.9, false alarm < 1e-4 each.

    The normal limit costs most where bins are smallest: 100 values expected in each of 20 bins miss a 99 % band in 1.3 %.
    """
    counts = np.random.default_rng(5).multinomial(n, np.full(bins, 1 / bins), size=40_000)
    missed = 1 - inside(counts, confidence).mean()
    assert 0.75 * (1 - confidence) < missed < 1.5 * (1 - confidence)


@pytest.mark.parametrize("scale", [1.3, 0.8])
def test_pits_of_a_wrong_scale_leave_the_band(scale):
    """Negative control: predictives 30 % too wide or 20 % too narrow, 500 histograms of 2,000 values each."""
    values = stats.norm.cdf(np.random.default_rng(6).normal(size=(500, 2000)) / scale)
    counts = np.stack([np.histogram(row, bins=10, range=(0, 1))[0] for row in values])
    assert inside(counts, 0.99).mean() < 0.01


def test_band_by_hand():
    """100 values in 2 bins: each share is within z * sqrt(0.25 / 100) of a half, z the 1 - 0.01 / 4 quantile; times 2 bins."""
    half = 2 * stats.norm.ppf(1 - 0.01 / 4) * math.sqrt(0.25 / 100)
    assert pit_band(100, 2) == pytest.approx((1 - half, 1 + half), rel=1e-9)
    low, high = pit_band(400, 2)
    assert high - low == pytest.approx(half, rel=1e-9)  # a quarter of the variance
    assert pit_band(100, 2, 0.9)[1] < pit_band(100, 2, 0.99)[1] < pit_band(100, 2, 0.999)[1]


# ----------------------------------------------------------------------------------------------------------- paired log score


def test_paired_log_score_by_hand():
    """Gaps 0.5, 1, 1.5: mean 1, standard deviation 0.5."""
    mean, error = paired_log_score(tensor([1.0, 2.0, 3.0]), tensor([0.5, 1.0, 1.5]), 2.0)
    assert mean == pytest.approx(3.0, rel=1e-12)
    assert error == pytest.approx(0.5 / math.sqrt(3), rel=1e-12)


def test_paired_log_score_of_the_truth_is_its_expectation():
    own = draws(50, 7)
    assert paired_log_score(own, own, -0.7) == (pytest.approx(-0.7), 0.0)


def simulated(seed: int, curves: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of a predictive 20 % too wide and of the truth, on curves whose sigma varies as in the prior."""
    noise, sigma = draws(curves * 20, seed).reshape(curves, 20), torch.exp(-4 + draws(curves, seed + 10_000))[:, None]
    y = sigma * noise
    return log_score(normal(0, 1.2 * sigma.numpy()), y).mean(1), log_score(normal(0, sigma.numpy()), y).mean(1)


EXPECTED = 4 - 0.5 * math.log(2 * math.pi * math.e)
TRUTH = EXPECTED - math.log(1.2) + 0.5 * (1 - 1 / 1.44)


def test_pairing_makes_the_error_small_and_honest():
    """Over 300 sets of curves: unbiased, spread as reported (within 15 %; false alarm 3e-4), a tenth of the unpaired error."""
    results = [paired_log_score(*simulated(seed), EXPECTED) for seed in range(300)]
    means, errors = np.array(results).T
    spread = means.std(ddof=1)
    assert abs(means.mean() - TRUTH) < 4 * spread / math.sqrt(300)
    assert errors.mean() == pytest.approx(spread, rel=0.15)
    score, _ = simulated(0)
    assert errors.max() < 0.1 * score.std().item() / math.sqrt(len(score))
