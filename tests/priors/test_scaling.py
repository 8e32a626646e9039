"""The prior "scaling": the shape of each ingredient by exact cases, and what the model is told of a curve."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency

from lcx.priors.general import GeneralPrior
from lcx.priors.laws import Normal, Share
from lcx.priors.named import sample_prior
from lcx.priors.parametric import LogNormal
from lcx.priors.scaling import SCALING, ScalingPrior

NEVER, ALWAYS = Share(0.0), Share(1.0)
PLAIN = {
    **SCALING,
    **{name: NEVER for name, law in SCALING.items() if isinstance(law, Share)},
    "exact": ALWAYS,
    "wander": LogNormal(-40, 0.1),
}


def fixed(x):
    return Normal(x, 0.0)


def curves(n=400, length=41, seed=0, **changed):
    """Log loss over log step, the last of both 0, of curves that have nothing but what is ``changed``; and what was simulated."""
    prior = ScalingPrior(laws={**PLAIN, "reach": fixed(4.0), "slope": fixed(0.5), **changed})
    generator = torch.Generator().manual_seed(seed)
    drawn = prior.simulate(prior.draw(n, generator), torch.full((n,), length), generator)
    loss = torch.where(drawn.upper == 0, (-drawn.base).clamp(min=1e-30).log(), -drawn.base).double().numpy()
    return np.log(drawn.steps.double().numpy() / 100), loss - loss[:, -1:], drawn


@pytest.mark.parametrize("logarithm", [NEVER, ALWAYS])
def test_a_plain_curve_is_a_power_law_on_either_grid(logarithm):
    x, loss, _ = curves(logarithm=logarithm)
    assert np.allclose(x, np.linspace(-4, 0, 41), atol=1e-5)
    assert np.allclose(loss, -0.5 * x, atol=1e-4)
    x, loss, _ = curves(logarithm=logarithm, even=ALWAYS)
    assert np.allclose(np.exp(x), np.linspace(1 / 41, 1, 41), atol=1e-5)
    assert np.allclose(loss, -0.5 * x, atol=1e-4)


def test_uneven_gaps_keep_the_ends():
    x, loss, _ = curves(uneven=ALWAYS)
    assert np.allclose(x[:, [0, -1]], [-4, 0], atol=1e-5)
    assert np.diff(x, axis=1).std(1).min() > 0.02
    assert np.allclose(loss, -0.5 * x, atol=1e-4)


def test_a_floor_is_added_and_a_sharp_one_ends_the_fall_at_once():
    x, loss, _ = curves(floor=ALWAYS, floor_size=fixed(3.0))
    assert np.allclose(np.exp(loss), (3 + np.exp(-0.5 * x)) / 4, atol=1e-4)
    x, loss, _ = curves(floor=ALWAYS, floor_size=fixed(3.0), sharp=ALWAYS, sharpness=fixed(50.0))
    assert np.allclose(np.exp(loss), np.maximum(1, np.exp(-0.5 * x) / 3), rtol=0.02)


def test_a_plateau_is_where_the_curve_begins():
    """From a level far below what the power law has at the first step, to the power law."""
    x, loss, _ = curves(plateau=ALWAYS, plateau_height=fixed(-1.0), plateau_steeper=fixed(2.0), plateau_sharp=fixed(30.0))
    assert np.allclose(loss, np.minimum(-x, 3), atol=0.03)


@pytest.mark.parametrize("name", ["break_1", "break_2"])
def test_a_break_changes_the_exponent_where_it_says(name):
    changed = {name: ALWAYS, f"{name}_at": fixed(0.25), f"{name}_ratio": fixed(3.0), f"{name}_width": fixed(0.01)}
    x, loss, _ = curves(**changed)
    assert np.allclose(loss, np.where(x > -3, -1.5 * x, 4.5 - 0.5 * (x + 3)), atol=0.02)
    x, loss, _ = curves(**changed, turns=ALWAYS)
    assert (loss[:, -1] > loss.min(1)).all() == (name == "break_1")


def test_a_hump_stands_where_it_says():
    x, loss, _ = curves(hump=ALWAYS, hump_size=fixed(0.7), hump_at=fixed(0.5), hump_width=fixed(0.3))
    assert np.allclose(loss, -0.5 * x + 0.7 * np.exp(-(((x + 2) / 0.3) ** 2) / 2), atol=1e-3)


def test_noise_and_wandering_are_in_log_loss():
    """Standard deviations of 400 curves of 41 points, the noise 2 % at the first step and e times less at the last: within 10 %."""
    for logarithm in (NEVER, ALWAYS):
        _, _, drawn = curves(exact=NEVER, noise=fixed(0.02 * math.exp(-0.5)), noise_early=fixed(1.0), logarithm=logarithm)
        values = drawn.observe(drawn.base, drawn.sd, torch.Generator().manual_seed(1))
        off = (values / drawn.base).log() if logarithm == NEVER else values - drawn.base
        assert off[:, 0].std().item() == pytest.approx(0.02, rel=0.1)
        assert off[:, -1].std().item() == pytest.approx(0.02 / math.e, rel=0.1)
    x, loss, _ = curves(n=4000, wander=fixed(0.05), wander_length=fixed(0.1))
    residual = loss + 0.5 * x  # of which the last is taken off, so its variance is doubled far from there
    assert residual[:, 0].std() == pytest.approx(0.05 * math.sqrt(2), rel=0.1)


def test_no_fall_is_deeper_than_a_thousandfold_by_the_power_law():
    _, loss, _ = curves(slope=fixed(30.0))
    assert np.allclose(loss[:, 0], 7, atol=1e-3)


def test_zero_is_told_of_a_loss_and_nothing_of_its_logarithm():
    _, _, drawn = curves(logarithm=NEVER, told_zero=ALWAYS, told_top=ALWAYS, room=fixed(0.5), offset=fixed(2.0))
    assert (drawn.frame.upper == 0).all()
    assert torch.allclose(drawn.frame.lower, torch.tensor(-1.5))
    assert torch.allclose(drawn.frame.fallback, torch.tensor(1.5))
    _, _, drawn = curves(logarithm=ALWAYS, told_zero=ALWAYS, told_top=ALWAYS, offset=fixed(2.0))
    assert drawn.frame.upper.isinf().all()
    assert drawn.frame.lower.isinf().all()
    assert torch.allclose(drawn.frame.fallback, torch.tensor(4.0), rtol=1e-4)


def test_sample_prior_gives_curves_on_their_grids():
    found = sample_prior(300, "scaling", seed=0)
    steps = found.steps
    assert found.values.isfinite().all()
    assert torch.allclose(steps[:, -1], torch.tensor(100.0))
    assert (steps.diff(dim=1) > 0).all()


def test_ordinary_curves_are_those_of_the_general_prior():
    """Told apart by rounded values, which no law has; chi-squared test against the general prior's share at 1e-4."""
    general, generator = GeneralPrior(), torch.Generator().manual_seed(5)
    rounded = int((general.simulate(general.draw(8000, generator), torch.full((8000,), 10), generator).grid > 0).sum())
    counts = {chance: int((curves(n=8000, length=10, ordinary=Share(chance))[2].grid > 0).sum()) for chance in (0.0, 0.5, 1.0)}
    assert counts[0.0] == 0
    assert chi2_contingency([[counts[1.0], 8000 - counts[1.0]], [rounded, 8000 - rounded]]).pvalue > 1e-4
    assert binomtest(counts[0.5], 8000, rounded / 16_000).pvalue > 1e-4
