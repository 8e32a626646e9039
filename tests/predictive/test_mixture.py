"""Closed forms inside bounds: against mixtures of scipy's truncnorm, against sums of positive terms, and in limits known on paper."""

import math

import numpy as np
import pytest
import scoringrules
import torch
from scipy import stats
from torch import Tensor

from lcx.predictive import Predictive, mixture, tails
from lcx.predictive.tails import Cut

BOUNDS = [(0.0, 1.0), (0.0, None), (None, 1.0)]


def tensor(x: object) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def bounded(logits: np.ndarray, loc: np.ndarray, scale: np.ndarray, bounds: tuple[float | None, float | None]) -> Predictive:
    """A law from arrays."""
    lower, upper = (None if x is None else tensor(x) for x in bounds)
    return Predictive(torch.from_numpy(logits), torch.from_numpy(loc), torch.from_numpy(scale), lower, upper)


def random_laws(n: int, bounds: tuple[float | None, float | None], seed: int) -> Predictive:
    """Mixtures inside, across and far beyond the bounds, narrow and very wide."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(3, n, 5, generator=generator, dtype=torch.float64)
    place = torch.linspace(-1, 2, n, dtype=torch.float64)[torch.randperm(n, generator=generator)][:, None]
    spread = 10 ** torch.linspace(-6, 3, n, dtype=torch.float64)[:, None]
    lower, upper = (None if x is None else tensor(x) for x in bounds)
    return Predictive(2 * noise[0], place + spread * noise[1], spread * torch.exp(2 * noise[2]), lower, upper)


def cut(law: Predictive) -> Cut:
    """The same law as `tails` takes it."""
    lower, upper = (torch.full(law.batch_shape, math.inf if x is None else x.item()).double() for x in (law.lower, law.upper))
    return Cut(torch.log_softmax(law.logits, -1), law.loc, law.scale, -lower if law.lower is None else lower, upper)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_moments_and_cdf_against_mixtures_of_scipys_truncnorm(bounds):
    generator = np.random.default_rng(0)
    weight, loc = generator.dirichlet(np.ones(4), 200), generator.uniform(-0.3, 1.3, (200, 4))
    scale = 10 ** generator.uniform(-2, 0, (200, 4))
    low, high = -np.inf if bounds[0] is None else bounds[0], np.inf if bounds[1] is None else bounds[1]
    parts = stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
    share = weight * (stats.norm.cdf((high - loc) / scale) - stats.norm.cdf((low - loc) / scale))
    share /= share.sum(1, keepdims=True)
    mean = (share * parts.mean()).sum(1)
    variance = (share * (parts.var() + (parts.mean() - mean[:, None]) ** 2)).sum(1)
    law = bounded(np.log(weight), loc, scale, bounds)
    y = generator.uniform(0, 1, 200)
    torch.testing.assert_close(law.mean, torch.from_numpy(mean), rtol=0, atol=1e-9)
    torch.testing.assert_close(law.variance.sqrt(), torch.from_numpy(np.sqrt(variance)), rtol=0, atol=1e-9)
    torch.testing.assert_close(law.cdf(torch.from_numpy(y)), torch.from_numpy((share * parts.cdf(y[:, None])).sum(1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_closed_forms_and_sums_of_positive_terms_agree(bounds, monkeypatch):
    law = random_laws(400, bounds, seed=1)
    y = torch.rand(400, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mean, variance = tails.moments(cut(law))
    sd = variance.sqrt()
    assert ((law.mean - mean).abs() <= 1e-9 * (1e-3 * sd + 1)).all()
    assert ((law.variance.sqrt() - sd).abs() <= 1e-9 * sd).all()
    torch.testing.assert_close(law.cdf(y), tails.share(cut(law), y), rtol=1e-9, atol=2e-12)
    density = law.log_prob(y)
    levels = tensor([1e-9, 1e-3, 0.3, 0.5, 0.97, 1 - 1e-9])[:, None]
    closed = law.icdf(levels)
    monkeypatch.setattr(mixture, "_LEAST", 2.0)  # every law is left to sums
    summed = law.icdf(levels)
    torch.testing.assert_close(law.log_prob(y), density, rtol=1e-9, atol=1e-9)
    unclear = (law.cdf(summed) - law.cdf(closed)).abs() <= 1e-12  # in a gap every y has the same level
    assert (((summed - closed).abs() <= 1e-9 * (1 + closed.abs())) | unclear).all()


def test_few_laws_are_left_to_sums(monkeypatch):
    """Of a forecast's laws, most of whose mass the bounds leave, none: the sums are dear."""
    monkeypatch.setattr(mixture, "Cut", None)  # what the sums would take
    generator = np.random.default_rng(0)
    logits = np.log(generator.dirichlet(np.ones(16), 500))
    loc, scale = generator.uniform(0.1, 1.2, (500, 16)), 10 ** generator.uniform(-4, 0, (500, 16))
    law = bounded(logits, loc, scale, (0.0, 1.0))
    assert all(x.isfinite().all() for x in (law.variance, law.cdf(tensor(0.5)), law.icdf(0.01), law.log_prob(tensor(0.5))))


def test_moments_of_a_component_far_wider_than_the_bounds():
    """Uniform to the first order in 1 / scale², whatever the scale: the closed form's terms are 1e24 times its result."""
    for scale in (1e3, 1e6, 1e12):
        law = Predictive(tensor([0.0]), tensor([0.3]), tensor([scale]), tensor(0.0), tensor(1.0))
        assert law.mean.item() == pytest.approx(0.5 + (0.3 - 0.5) / 12 / scale**2, abs=1e-12)
        assert law.variance.item() == pytest.approx(1 / 12, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-3])
def test_point_masses_inside_bounds_keep_their_spread(scale):
    law = Predictive(tensor([0.0, 0.0]), tensor([0.25, 0.75]), tensor([scale, scale]), tensor(0.0), tensor(1.0))
    assert law.mean.item() == pytest.approx(0.5, abs=1e-15)
    assert law.variance.item() == pytest.approx(0.0625 + scale**2, rel=1e-13)
    alone = Predictive(tensor([0.0]), tensor([0.25]), tensor([scale]), tensor(0.0), tensor(1.0))
    assert alone.variance.item() == pytest.approx(scale**2, rel=1e-9)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_crps_of_one_cut_normal_against_scoringrules(bounds):
    generator = np.random.default_rng(1)
    loc, scale = generator.uniform(0, 1, 100), 10 ** generator.uniform(-1.5, 0.5, 100)
    y = np.clip(loc + scale * generator.normal(size=100), 0, 1)
    low, high = -np.inf if bounds[0] is None else bounds[0], np.inf if bounds[1] is None else bounds[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        want = scoringrules.crps_tnormal(y, loc, scale, low, high)
    law = bounded(np.zeros((100, 1)), loc[:, None], scale[:, None], bounds)
    torch.testing.assert_close(law.crps(torch.from_numpy(y)), torch.from_numpy(want), rtol=0, atol=1e-9)


def test_gradients_of_a_bounded_density():
    """The bounds' share follows the parameters: d log_prob against differences."""
    parts = [tensor(x).requires_grad_() for x in ([0.0, 1.0], [0.4, -0.2], [0.3, 0.5])]

    def score(logits: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        return Predictive(logits, loc, scale, tensor(0.0), tensor(1.0)).log_prob(tensor(0.35))

    assert torch.autograd.gradcheck(score, parts)
