"""The prior "general": its laws, its curves, and that what the model is told of them is in units of the curves alone.

Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail correct code.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, kstest

from lcx.pfn.features import general_tokens
from lcx.pretraining.batches import LENGTHS, PretrainConfig, draw_batches, general_batch
from lcx.priors.general import GeneralPrior, wander
from lcx.priors.laws import LAWS, Normal, Share
from lcx.priors.named import PRIORS, sample_prior
from lcx.priors.parametric import LogNormal, Uniform
from lcx.priors.scaling import SCALING

PRIOR = PRIORS["general"]
assert isinstance(PRIOR, GeneralPrior)
CONFIG = PretrainConfig(prior="general", batch=16)


def drawn(n, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return PRIOR.simulate(PRIOR.draw(n, generator), torch.full((n,), length), generator), generator


@pytest.mark.parametrize("laws", [LAWS, SCALING], ids=["general", "scaling"])
def test_each_ingredient_follows_its_law(laws):
    """K-S or binomial test at 1e-5 for each of some fifty plain laws, 10,000 draws: false-alarm rate 5e-4 in all."""
    plain = GeneralPrior(laws=laws, kinds=())
    values = plain.parameters(plain.draw(10_000, torch.Generator().manual_seed(1)))
    for name, law in plain.laws.items():
        x = values[name].squeeze(1).double().numpy()
        if isinstance(law, Share):
            p = binomtest(int(x.sum()), len(x), law.chance).pvalue
        elif isinstance(law, Uniform):
            p = kstest(x, "uniform", (law.low, law.high - law.low)).pvalue
        else:
            p = kstest((np.log(x) if isinstance(law, LogNormal) else x), "norm", (law.mean, law.sd)).pvalue
        assert p > 1e-5, name


@pytest.mark.parametrize("crossed", [0.0, 0.5, 1.0])
def test_kinds_come_in_their_shares_whole_or_part_by_part(crossed):
    """Binomial tests at 1e-4: of each law's share, and of both laws of one kind or of two, which only crossed parts can give."""
    laws = {name: Normal(0, 1) for name in ("a", "b", "walk", "walk_size")}
    kinds = ((0.2, {"a": Normal(50, 1), "walk": Normal(50, 1)}), (0.3, {"b": Normal(50, 1), "walk_size": Normal(50, 1)}))
    prior = GeneralPrior(laws=laws, kinds=kinds, crossed=crossed)
    values = prior.parameters(prior.draw(10_000, torch.Generator().manual_seed(2)))
    a, b, walk, size = (values[name] > 25 for name in laws)
    assert not (a & b).any()
    assert not (walk & size).any()
    shares = {0.2: (a, walk), 0.3: (b, size), (1 - crossed) * 0.2 + crossed * 0.04: (a & walk,), crossed * 0.06: (a & size, b & walk)}
    for share, found in shares.items():
        for one in found:
            assert binomtest(int(one.sum()), 10_000, share).pvalue > 1e-4


@pytest.mark.parametrize("length", [4, 17, 128])
def test_curves_are_finite_on_increasing_steps_that_end_at_the_horizon(length):
    simulated, generator = drawn(3000, length)
    values = simulated.observe(simulated.base, simulated.sd, generator)
    assert values.isfinite().all()
    assert (simulated.sd >= 0).all()
    assert (simulated.steps > 0).all()
    assert (simulated.steps.diff(dim=1) > 0).all()
    torch.testing.assert_close(simulated.steps[:, -1], torch.full((3000,), 100.0))
    assert (values <= simulated.upper).all()
    assert (values >= simulated.lower).all()
    assert (simulated.frame.lower < simulated.frame.upper).all()
    assert (simulated.frame.fallback > 0).all()


def test_ragged_curves_are_padded_with_missing_steps():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([5, 9, 30])
    simulated = PRIOR.simulate(PRIOR.draw(3, generator), lengths, generator)
    assert (~simulated.steps.isnan()).sum(1).tolist() == lengths.tolist()


@pytest.mark.parametrize("rough", [True, False])
def test_wandering_is_a_process_of_unit_variance_and_the_named_correlation(rough):
    """Correlations at three lags over 20,000 curves, standard error 0.007: false-alarm rate below 1e-4 at 0.04."""
    n, length = 20_000, 0.3
    place = torch.tensor([0.0, 0.1, 0.3, 0.9]).expand(n, -1)
    x = wander(place, torch.full((n, 1), length), torch.full((n, 1), rough), torch.Generator().manual_seed(4))
    covariance = (x.T @ x / n)[0]
    lags = place[0] / length
    expected = torch.exp(-lags) if rough else torch.exp(-0.5 * lags**2)
    torch.testing.assert_close(covariance, expected, atol=0.04, rtol=0)


def test_noise_is_redrawn_with_the_stated_spread():
    """Targets are fresh noise around the same base: mean and sd over 4,000 redraws of plain noise, five standard errors."""
    simulated, generator = drawn(400, 40)
    plain = ~simulated.heavy[:, 0] & (simulated.spike[:, 0] == 0) & (simulated.grid[:, 0] == 0)
    plain &= simulated.upper[:, 0].isinf() & simulated.lower[:, 0].isinf() & (simulated.sd[:, 20] > 1e-3)
    base, sd = (x[plain][:, 20:21].expand(-1, 4000) for x in (simulated.base, simulated.sd))
    part = simulated._replace(**{name: getattr(simulated, name)[plain] for name in ("heavy", "spike", "grid", "lower", "upper")})
    z = (part.observe(base, sd, generator) - base) / sd
    assert len(z) > 20
    assert z.mean(1).abs().max() < 5 / 4000**0.5
    assert (z.std(1) - 1).abs().max() < 5 / 8000**0.5


def test_batches_are_a_function_of_configuration_and_block():
    one, again, other = (draw_batches(PRIOR, CONFIG, block, torch.device("cpu")) for block in (3, 3, 4))
    for a, b in zip(one, again, strict=True):
        assert torch.equal(a.values.nan_to_num(7), b.values.nan_to_num(7))
        assert torch.equal(a.targets, b.targets)
    assert not torch.equal(one[0].targets, other[0].targets[: len(one[0].targets)])


@pytest.mark.parametrize("longest", LENGTHS)
def test_pairs_are_later_points_of_their_own_curve(longest):
    batch = general_batch(PRIOR, CONFIG, longest, torch.Generator().manual_seed(5))
    counts = (~batch.values.isnan()).sum(1, keepdim=True)
    assert (batch.tokens >= 0).all()
    assert (batch.tokens < counts - 1).all()
    assert (batch.queries > batch.steps.gather(1, batch.tokens)).all()
    assert (batch.queries[..., None] == batch.steps[:, None]).any(-1).all()
    assert batch.targets.isfinite().all()
    seen = ~batch.values.isnan()
    assert (batch.values[:, 0] == 0).all()
    top, bottom = batch.values.nan_to_num(-math.inf).amax(1), batch.values.nan_to_num(math.inf).amin(1)
    assert (((top - bottom - 1).abs() < 1e-4) | (top == bottom)).all()
    tokens, unit, gap = general_tokens(batch.values.nan_to_num(), batch.steps.nan_to_num(100), seen, batch.frame)
    assert tokens.isfinite().all()
    assert (unit > 0).all()
    assert (gap > 0).all()


def test_sample_prior_gives_a_hundred_points():
    curves = sample_prior(50, "general", seed=3)
    assert curves.values.shape == (50, 100)
    assert torch.equal(curves.values, sample_prior(50, "general", seed=3).values)
    assert curves.values.isfinite().all()
