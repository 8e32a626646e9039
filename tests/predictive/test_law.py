"""One law behind every answer: density, cdf, quantiles, moments, CRPS and samples are checked against each other,
against quadrature that knows nothing of them, and against scipy, scoringrules and torch.distributions.
"""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scoringrules
import torch
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import jaxtyped
from scipy import optimize, stats
from torch import Tensor

from lcx.predictive import AsinhWarp, Predictive, quadrature, quantiles
from lcx.predictive import law as module
from lcx.predictive.mixture import Mixture

INF, NAN = math.inf, math.nan
FALSE_ALARM = 1e-6  # of each Kolmogorov-Smirnov test below; generators are fixed, so one that passes always passes


def tensor(x: object) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


WEIGHTS = tensor([[0.5, 0.3, 0.2], [0.05, 0.9, 0.05], [0.6, 0.399, 0.001], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])
LOC = tensor([[0.2, 0.5, 0.9], [0.3, 0.31, 0.35], [0.4, 0.6, 0.0], [0.1, 0.9, 0.91], [0.5, 0.5, 0.5]])
SCALE = tensor([[0.2, 0.1, 0.3], [0.5, 0.01, 0.1], [0.05, 0.2, 4.0], [0.01, 0.01, 0.02], [1.0, 1e-2, 1e-4]])
WARP = AsinhWarp(tensor([0.5, 0.4, 0.5, 0.5, 0.4]), tensor(0.2))
BOUNDS = {
    "free": (None, None),
    "from 0": (tensor(0.0), None),
    "to 1": (None, tensor(1.0)),
    "in [0, 1]": (tensor(0.0), tensor(1.0)),
    "mixed": (tensor([-INF, 0.0, 0.1, -INF, 0.5]), tensor([0.7, INF, 0.2, INF, 0.6])),
}
LAWS = {
    f"{name}, {'warped' if warp else 'plain'}": Predictive(
        WEIGHTS.log() + 3.0, LOC, SCALE.clamp(max=1.5 if warp else INF), lower, upper, warp
    )
    for name, (lower, upper) in BOUNDS.items()
    for warp in (None, WARP)
}
LEVELS = tensor([1e-9, 1e-6, 1e-3, 0.05, 0.25, 0.5, 0.8, 0.95, 1 - 1e-3, 1 - 1e-6, 1 - 1e-9])[:, None]
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())


def limits(law: Predictive) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of each point, infinite where there is none."""
    lower = torch.full(law.batch_shape, -INF, dtype=torch.float64) if law.lower is None else law.lower
    upper = torch.full(law.batch_shape, INF, dtype=torch.float64) if law.upper is None else law.upper
    return lower.expand(law.batch_shape), upper.expand(law.batch_shape)


def integrate(law: Predictive, f: Callable[[Tensor], Tensor], *breaks: Tensor) -> Tensor:
    """∫ f(y) dy for each point: Gauss-Legendre with 40 nodes between breaks at and around every component."""
    spots = (law.loc[..., None] + law.scale[..., None] * torch.linspace(-16, 16, 33).double()).flatten(-2)
    if law.warp is not None:
        spots = AsinhWarp(law.warp.center[..., None], law.warp.scale[..., None]).inverse(spots)
    spots = torch.cat([spots, *(b.expand(law.batch_shape)[..., None] for b in breaks)], -1)
    lower, upper = limits(law)
    spots = spots.clamp(lower[..., None], upper[..., None]).sort(-1).values
    nodes, weights = (tensor(x) for x in np.polynomial.legendre.leggauss(40))
    half = (spots[..., 1:] - spots[..., :-1]) / 2
    y = (spots[..., :-1] + half)[..., None] + half[..., None] * nodes
    axes_first = y.movedim((-2, -1), (0, 1))
    return ((f(axes_first).movedim((0, 1), (-2, -1)) * weights).sum(-1) * half).sum(-1)


def slack(law: Predictive, y: Tensor, p: Tensor) -> Tensor:
    """What |cdf(icdf(p)) - p| may be: relative below, absolute above, where 1 - p has no more digits; besides, the
    rounding of y, of the mass that the bounds cut off, and of logarithms where a component lies far outside the bounds.
    """
    lower, upper = (x if law.warp is None else law.warp.forward(x) for x in limits(law))
    outside = (law.loc.clamp(lower[..., None], upper[..., None]) - law.loc) / law.scale
    far = 1e-15 * outside.square().amax(-1)
    free = Predictive(law.logits, law.loc, law.scale)
    cut = 2e-15 / (free.cdf(upper) - free.cdf(lower)).clamp(min=2e-4)
    rounding = 1e-15 * (y.abs() + 1) * law.log_prob(y).exp() + cut
    return torch.where(p < 0.5, (1e-9 + far) * p, 1e-12 + far) + rounding


def one(law: Predictive, i: int) -> Predictive:
    """Point i of the batch as a law without batch."""
    lower, upper = limits(law)
    warp = law.warp and AsinhWarp(law.warp.center.expand(5)[i], law.warp.scale.expand(5)[i])
    return Predictive(law.logits[i], law.loc[i], law.scale[i], lower[i], upper[i], warp)


def count_nodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """List that from now on gets the number of arguments of each evaluation of a cdf by quadrature: the cost, without a clock."""
    nodes, tail = [], Mixture.tail

    def counted(law: Mixture, u: Tensor, upper: Tensor | None = None) -> Tensor:
        nodes.append(u.numel())
        return tail(law, u, upper)

    monkeypatch.setattr(Mixture, "tail", counted)
    return nodes


def normal(loc: float, scale: float, lower: float = -INF, upper: float = INF) -> Predictive:
    return Predictive(tensor([0.0]), tensor([loc]), tensor([scale]), tensor(lower), tensor(upper))


def test_the_fields_training_relies_on():
    assert [f.name for f in fields(Predictive)] == ["logits", "loc", "scale", "lower", "upper", "warp"]
    assert LAWS["free, plain"].batch_shape == (5,)


@every_law
def test_density_integrates_to_one(law):
    torch.testing.assert_close(integrate(law, lambda y: law.log_prob(y).exp()), tensor([1.0] * 5), rtol=0, atol=1e-9)


@every_law
def test_density_is_the_slope_of_the_cdf(law):
    y = law.icdf(LEVELS[2:-2]).requires_grad_()
    (slope,) = torch.autograd.grad(law.cdf(y).sum(), y)
    torch.testing.assert_close(slope, law.log_prob(y).exp().detach(), rtol=1e-8, atol=1e-12)


@every_law
def test_icdf_inverts_cdf_from_either_side(law):
    y = law.icdf(LEVELS)
    assert (y.diff(dim=0) > 0).all()
    assert ((law.cdf(y) - LEVELS).abs() <= slack(law, y, LEVELS)).all()
    inner = law.icdf(LEVELS[3:8])
    dense = law.log_prob(inner) > -5  # in a gap every y has the same p
    torch.testing.assert_close(law.icdf(law.cdf(inner))[dense], inner[dense], rtol=1e-11, atol=1e-13)


@every_law
def test_icdf_takes_few_steps(law, monkeypatch):
    steps, halley = [], quantiles._halley

    def counted(*given: Any) -> tuple[Tensor, Tensor]:
        steps.append(given)
        return halley(*given)

    monkeypatch.setattr(quantiles, "_halley", counted)
    law.icdf(LEVELS)
    assert 3 <= len(steps) < 40  # in two searches, one for points of which the bounds leave little; bisection takes 50 in each


def test_quantiles_far_out_against_roots_of_scipys_tails():
    law = LAWS["free, plain"]
    for i in range(5):
        w, m, s = (x[i].numpy() for x in (WEIGHTS, LOC, SCALE))

        def root(tail: Callable[[np.ndarray], np.ndarray], p: float, w=w, m=m, s=s) -> float:
            ends = (m - 8 * s).min(), (m + 8 * s).max()
            solution = optimize.root_scalar(lambda y: math.log(w @ tail((y - m) / s)) - math.log(p), bracket=ends, xtol=1e-14)
            return solution.root

        for p in (1e-9, 1e-6, 1e-3):
            assert law.icdf(p)[i].item() == pytest.approx(root(stats.norm.cdf, p), rel=1e-11, abs=1e-12)
            q = 1 - (1 - p)  # what is left of p in the float 1 - p
            assert law.icdf(1 - p)[i].item() == pytest.approx(root(stats.norm.sf, q), rel=1e-11, abs=1e-12)


def test_quantiles_beyond_the_reach_of_1_minus_p():
    deep = tensor([1e-300, 1e-100, 1e-30])
    torch.testing.assert_close(normal(2.0, 3.0).icdf(deep), 2 + 3 * tensor(stats.norm.ppf(deep.numpy())), rtol=1e-13, atol=0)


positive = st.floats(-9.2, 0.0).map(math.exp)  # scales apart by up to 1e4


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    parts=st.lists(st.tuples(st.floats(-4, 4), st.floats(-1, 1), positive), min_size=1, max_size=6),
    warped=st.booleans(),
    cut=st.sampled_from([(None, None), (0.0, None), (None, 0.25), (-0.5, 0.5)]),
)
def test_icdf_inverts_cdf_of_any_mixture(parts, warped, cut):
    logits, loc, scale = tensor(parts).unbind(-1)
    lower, upper = (None if x is None else tensor(x) for x in cut)
    law = Predictive(logits, loc, scale, lower, upper, AsinhWarp(tensor(0.1), tensor(0.3)) if warped else None)
    levels = LEVELS[:, 0]
    y = law.icdf(levels)
    assert (y.diff() >= 0).all()
    assert ((law.cdf(y) - levels).abs() <= slack(law, y, levels)).all()


@every_law
def test_mean_and_variance_against_quadrature_of_the_density(law):
    mean = integrate(law, lambda y: y * law.log_prob(y).exp())
    variance = integrate(law, lambda y: (y - mean).square() * law.log_prob(y).exp())
    torch.testing.assert_close(law.mean, mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(law.variance, variance, rtol=1e-6, atol=0)


@every_law
def test_crps_against_quadrature_of_its_definition(law):
    (lower, upper), (mean, variance) = limits(law), law.moments()
    for y in (mean, law.icdf(0.01), law.icdf(0.999), torch.full((5,), 0.55).double(), law.icdf(0.5)):
        y = y.clamp(lower, upper)
        reference = integrate(law, lambda x, y=y: (law.cdf(x) - (x >= y).double()).square(), y)
        assert ((law.crps(y) - reference).abs() <= 1e-6 * variance.sqrt()).all()


@every_law
def test_excess_against_quadrature_of_the_density(law):
    (lower, upper), (mean, variance) = limits(law), law.moments()
    for y in (mean, law.icdf(0.01), law.icdf(0.999), torch.full((5,), 0.55).double()):
        y = y.clamp(lower, upper)
        excess = {above: law.excess(y, above) for above in (True, False)}
        for above, sign in ((True, 1), (False, -1)):
            reference = integrate(law, lambda x, y=y, s=sign: (s * (x - y)).clamp(min=0) * law.log_prob(x).exp(), y)
            assert ((excess[above] - reference).abs() <= 1e-6 * variance.sqrt()).all()
        torch.testing.assert_close(excess[True] - excess[False], mean - y, rtol=0, atol=1e-6)


def test_excess_far_out_keeps_its_digits():
    law = Predictive(tensor([0.0]), tensor([0.0]), tensor([1.0]))  # phi(30) - 30 Q(30) is about phi(30) / 30²
    assert law.excess(tensor(30.0), True).item() == pytest.approx(stats.norm.pdf(30) / 900 * (1 - 3 / 900), rel=1e-4)


def test_crps_against_scoringrules():
    law, y = LAWS["free, plain"], tensor([0.3, -2.0, 0.55, 7.0, 0.50003])
    mixture = scoringrules.crps_mixnorm(y.numpy(), LOC.numpy(), SCALE.numpy(), WEIGHTS.numpy())
    torch.testing.assert_close(law.crps(y), tensor(mixture), rtol=1e-12, atol=1e-14)
    single = scoringrules.crps_normal(y.numpy(), LOC[:, 0].numpy(), SCALE[:, 0].numpy())
    alone = Predictive(torch.zeros(5, 1).double(), LOC[:, :1], SCALE[:, :1])
    torch.testing.assert_close(alone.crps(y), tensor(single), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("y", [-30.0, 0.1, 0.3, 0.5, 0.50003, 0.9, 30.0])
def test_crps_by_quadrature_equals_the_closed_form(y):
    law = LAWS["free, plain"]
    # The same law with each component written 67 times has 201 components, too many for the closed form.
    many = law._map(lambda x: x.repeat(1, 67), lambda x: x)
    difference = (many.crps(tensor(y)) - law.crps(tensor(y))).abs()
    assert (difference <= 1e-6 * law.variance.sqrt()).all()
    assert (difference > 0).any()  # else both went the same way


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    parts=st.lists(st.tuples(st.floats(-9, 0), st.floats(-1, 1), positive), min_size=1, max_size=6),
    y=st.floats(-3, 3),
    at_a_component=st.booleans(),
)
def test_crps_by_quadrature_equals_the_closed_form_of_any_mixture(parts, y, at_a_component):
    logits, loc, scale = tensor(parts).unbind(-1)
    law = Predictive(logits, loc, scale)
    many = law._map(lambda x: x.repeat(201), lambda x: x)
    value = loc[0] + y * scale[0] if at_a_component else tensor(y)
    assert (many.crps(value) - law.crps(value)).abs() <= 1e-6 * law.variance.sqrt()


def test_crps_of_a_value_outside_the_bounds_adds_the_distance():
    law = LAWS["in [0, 1], warped"]
    torch.testing.assert_close(law.crps(tensor(-3.0)), law.crps(tensor(0.0)) + 3, rtol=1e-9, atol=0)
    torch.testing.assert_close(law.crps(tensor(5.0)), law.crps(tensor(1.0)) + 4, rtol=1e-9, atol=0)


def test_closed_crps_serves_up_to_200_components(monkeypatch):
    monkeypatch.setattr(module, "integral", lambda law, warp, split, kernel: split + NAN)
    laws = [normal(0.0, 1.0)._map(lambda x, n=n: x.repeat(n), lambda x: x) for n in (1, 200, 201)]
    assert [law.crps(tensor(0.5)).isnan().item() for law in laws] == [False, False, True]


def test_a_thousand_draws():
    generator = torch.Generator().manual_seed(1)
    loc = torch.randn(3, 1000, generator=generator, dtype=torch.float64)
    law = Predictive(torch.zeros_like(loc), loc, torch.full_like(loc, 0.05))
    y = tensor([0.1, 3.5, -1.0])
    torch.testing.assert_close(law.cdf(law.icdf(LEVELS)), LEVELS.expand(-1, 3), rtol=1e-9, atol=5e-16)
    torch.testing.assert_close(law.variance, loc.var(-1, correction=0) + 0.05**2, rtol=1e-12, atol=0)
    weights = np.full((3, 1000), 1e-3)
    exact = scoringrules.crps_mixnorm(y.numpy(), loc.numpy(), law.scale.numpy(), weights)
    assert ((law.crps(y) - tensor(exact)).abs() <= 1e-6 * law.variance.sqrt()).all()


@every_law
def test_samples_follow_the_cdf(law):
    """Kolmogorov-Smirnov on 60,000 draws: a false alarm in 1e-6 of the seeds for each of the 5 points."""
    draws = law.sample(60_000, torch.Generator().manual_seed(3))
    assert draws.shape == (60_000, 5)
    for i, u in enumerate(law.cdf(draws).T):
        assert stats.kstest(u.numpy(), "uniform").pvalue > FALSE_ALARM, i


@pytest.mark.parametrize("kind", ["free, plain", "free, warped", "in [0, 1], plain"])
def test_samples_of_a_law_a_tenth_wider_do_not(kind):
    """Negative control: the same test rejects the same law with scale x 1.1 at the first point."""
    law = LAWS[kind]
    wider = Predictive(law.logits, law.loc, law.scale * 1.1, law.lower, law.upper, law.warp)
    draws = wider.sample(60_000, torch.Generator().manual_seed(3))
    assert stats.kstest(law.cdf(draws)[:, 0].numpy(), "uniform").pvalue < FALSE_ALARM


def test_points_are_sampled_independently_and_reproducibly():
    law = LAWS["free, plain"]
    draws = law.sample(4000, torch.Generator().manual_seed(5))
    assert draws.equal(law.sample(4000, torch.Generator().manual_seed(5)))
    assert not draws.equal(law.sample(4000, torch.Generator().manual_seed(6)))
    # 10 correlations of 4000 pairs: |r| > 0.09 is 5.7 standard errors, a false alarm in 1e-7 of the seeds.
    ranks = law.cdf(draws).argsort(0).argsort(0).double()
    assert (torch.corrcoef(ranks.T) - torch.eye(5)).abs().max() < 0.09


@pytest.mark.parametrize("kind", [name for name in LAWS if not name.startswith("free")])
def test_no_mass_outside_the_bounds(kind):
    law = LAWS[kind]
    lower, upper = limits(law)
    beyond = torch.stack([lower - 1e-9, upper + 1e-9])
    outside = beyond.isfinite()
    assert (law.log_prob(beyond)[outside] == -INF).all()
    assert outside.any()
    assert (law.cdf(torch.stack([lower, lower - 1])) == 0).all()
    assert (law.cdf(torch.stack([upper, upper + 1])) == 1).all()
    inside = torch.cat([law.sample(1000, torch.Generator().manual_seed(0)), law.icdf(LEVELS), law.mean[None]])
    assert ((inside >= lower) & (inside <= upper)).all()
    assert law.log_prob(torch.where(lower.isfinite(), lower, upper))[(lower.isfinite() | upper.isfinite())].isfinite().all()


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-INF, 1.0)])
@pytest.mark.parametrize("sigmas", [8.0, 40.0, 300.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_bounds_that_cut_off_nearly_everything(sigmas, bounds, mirrored):
    """A normal centred `sigmas` scales beyond its bound, against its density by distance from that bound, in logs."""
    scale = 0.1
    sign = -1.0 if mirrored else 1.0
    lower, upper = (-bounds[1], -bounds[0]) if mirrored else bounds
    law = normal(sign * (1.0 + sigmas * scale), scale, lower, upper)

    at_bound = stats.norm.logpdf(sigmas) - stats.norm.logcdf(-sigmas) - math.log(scale)

    def log_density(x: np.ndarray) -> np.ndarray:  # what lies beyond the other bound is less than 1e-40 of it
        return at_bound - (x / scale) ** 2 / 2 - x / scale * sigmas

    width = scale / sigmas
    distance = np.array([0.0, 0.01, 0.5, 1.0, 3.0, 20.0]) * width
    y = sign * (1 - tensor(distance))
    torch.testing.assert_close(law.log_prob(y), tensor(log_density(distance)), rtol=0, atol=1e-9)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    x = (nodes + 1) * 25 * width
    density = np.exp(log_density(x)) * weights * 25 * width
    assert torch.exp(law.log_prob(sign * (1 - tensor(x)))) @ tensor(weights * 25 * width) == pytest.approx(1, abs=1e-9)
    assert law.mean.item() == pytest.approx(sign * (1 - density @ x), rel=1e-10)
    assert law.variance.item() == pytest.approx(density @ x**2 - (density @ x) ** 2, rel=1e-7)
    half = stats.norm.logcdf(-sigmas) - math.log(2)
    median = optimize.root_scalar(lambda x: stats.norm.logcdf(-sigmas - x / scale) - half, bracket=(0, 1), xtol=1e-14)
    assert law.icdf(0.5).item() == pytest.approx(sign * (1 - median.root), rel=1e-12)
    for answer in (law.cdf(y), law.icdf(LEVELS), law.crps(y), law.sample(9, torch.Generator().manual_seed(0))):
        assert answer.isfinite().all()


def test_bounds_between_two_far_lumps():
    """Half the mass 30 scales below [0, 1], half above: by symmetry the law in between is even about 1/2."""
    law = Predictive(tensor([0.0, 0.0]), tensor([-3.0, 4.0]), tensor([0.1, 0.1]), tensor(0.0), tensor(1.0))
    assert law.icdf(0.25).item() == pytest.approx(1 - law.icdf(0.75).item(), rel=1e-9)
    assert law.mean.item() == pytest.approx(0.5, abs=1e-9)
    assert law.variance.item() == pytest.approx(0.25, rel=0.02)  # nearly all of it at the two bounds
    assert law.cdf(tensor(0.5)).item() == pytest.approx(0.5, abs=1e-9)


def test_a_scale_far_wider_than_the_bounds_is_uniform():
    law = normal(7.0, 1e6, 2.0, 4.0)
    torch.testing.assert_close(law.icdf(LEVELS), 2 + 2 * LEVELS, rtol=1e-8, atol=0)
    assert law.log_prob(tensor(3.0)).item() == pytest.approx(-math.log(2), abs=1e-8)
    assert law.mean.item() == pytest.approx(3, rel=1e-8)
    assert law.variance.item() == pytest.approx(4 / 12, rel=1e-7)


def test_a_curve_that_is_all_but_constant(monkeypatch):
    """Scales at the rounding of y: the quadratures end, and soon, as no halving of panels gets below it."""
    nodes = count_nodes(monkeypatch)
    law = Predictive(torch.zeros(2).double(), tensor([0.9, 0.9]), tensor([1e-13, 2e-15]), tensor(0.0), tensor(1.0))
    assert law.mean.item() == pytest.approx(0.9, rel=1e-14)
    assert 0 < law.variance.item() < 1e-25
    assert law.crps(tensor(0.5)).item() == pytest.approx(0.4, rel=1e-12)
    assert 0 < sum(nodes) < 3000


def test_moments_of_a_heavy_tail():
    """With a scale of 3 on the warped scale the variance lies 6 scales out: a bound that cuts nothing changes nothing."""
    parts = tensor([0.0]), tensor([4.0]), tensor([3.0])
    warp = AsinhWarp(tensor(0.5), tensor(0.2))
    free, bounded = Predictive(*parts, warp=warp), Predictive(*parts, lower=tensor(-1e12), warp=warp)
    assert bounded.mean.item() == pytest.approx(free.mean.item(), rel=1e-9)
    assert bounded.variance.item() == pytest.approx(free.variance.item(), rel=1e-9)


@every_law
def test_a_batch_is_a_loop(law):
    points = [one(law, i) for i in range(5)]
    y = law.icdf(tensor([[0.1], [0.7]])) + 0.001
    lower, upper = limits(law)
    y = y.clamp(lower, upper)
    for method in ("log_prob", "cdf", "crps"):
        loop = torch.stack([getattr(point, method)(y[:, i]) for i, point in enumerate(points)], -1)
        torch.testing.assert_close(getattr(law, method)(y), loop, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(law.icdf(LEVELS), torch.stack([p.icdf(LEVELS[:, 0]) for p in points], -1), rtol=1e-12, atol=1e-14)
    for moment, loop in zip(law.moments(), zip(*(point.moments() for point in points), strict=True), strict=True):
        torch.testing.assert_close(moment, torch.stack(loop), rtol=1e-7, atol=0)


@pytest.mark.parametrize("kind", ["free, plain", "mixed, warped"])
def test_split_keeps_every_point_in_order(kind):
    law = LAWS[kind]
    square = law._map(lambda x: x.expand(2, -1, -1), lambda x: x)
    pieces = square.split(3)
    assert [piece.batch_shape for piece in pieces] == [(3,), (3,), (3,), (1,)]
    torch.testing.assert_close(torch.cat([piece.icdf(0.3) for piece in pieces]), law.icdf(0.3).repeat(2), rtol=1e-12, atol=0)


def test_levels_and_values_may_lead_the_batch():
    law = LAWS["mixed, warped"]
    wide = Predictive(law.logits[None], law.loc[None], law.scale[None], law.lower, law.upper, law.warp)
    assert law.icdf(LEVELS).shape == (11, 5)
    assert law.icdf(0.5).equal(law.icdf(tensor([0.5] * 5)))
    assert wide.icdf(LEVELS[:, None]).shape == (11, 1, 5)
    assert wide.crps(torch.full((2, 3, 5), 0.5).double()).shape == (2, 3, 5)
    assert wide.cdf(torch.full((4, 1, 1), 0.5).double()).shape == (4, 1, 5)
    assert wide.sample(7, torch.Generator().manual_seed(0)).shape == (7, 1, 5)


@every_law
def test_nan_stays_where_it_is(law):
    y = law.icdf(0.4)
    hole = torch.tensor([False, True, False, False, False])
    for method in ("log_prob", "cdf", "crps"):
        whole, holed = getattr(law, method)(y), getattr(law, method)(y.masked_fill(hole, NAN))
        assert holed.isnan().equal(hole)
        torch.testing.assert_close(holed[~hole], whole[~hole], rtol=1e-9, atol=1e-12)
    bad = Predictive(law.logits, law.loc.masked_fill(hole[:, None], NAN), law.scale, law.lower, law.upper, law.warp)
    draws = bad.sample(50, torch.Generator().manual_seed(0))
    for answer in (bad.icdf(0.9), *bad.moments(), bad.crps(y), bad.log_prob(y), bad.cdf(y), draws[7]):
        assert answer.isnan().equal(hole)


@every_law
def test_infinite_values(law):
    for y in (tensor(-INF), tensor(INF)):
        assert (law.log_prob(y) == -INF).all()
        torch.testing.assert_close(law.cdf(y), (y > 0).double().expand(5), rtol=1e-15, atol=0)
        assert (law.crps(y) == INF).all()


def test_infinite_bounds_are_no_bounds():
    free, infinite = LAWS["free, plain"], Predictive(WEIGHTS.log(), LOC, SCALE, tensor(-INF), tensor([INF] * 5))
    y = tensor(0.4)
    for a, b in zip(
        *([x.log_prob(y), x.cdf(y), x.icdf(LEVELS), x.mean, x.variance, x.crps(y)] for x in (free, infinite)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=0)


def test_warp_goes_there_and_back_with_its_slope():
    y = tensor([-1e6, -3.0, 0.0, 0.5, 0.50001, 1.0, 1e6]).requires_grad_()
    warp = AsinhWarp(tensor(0.5), tensor(0.1))
    u = warp.forward(y)
    torch.testing.assert_close(warp.inverse(u), y, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(u.sum(), y)
    torch.testing.assert_close(warp.log_slope(y), slope.log(), rtol=1e-12, atol=1e-12)


def test_training_path_in_float32():
    """log_prob of an unbounded law: torch.distributions' value, float32 in and out, finite gradients."""
    generator = torch.Generator().manual_seed(2)
    logits, loc, log_scale = (torch.randn(50, 4, 6, generator=generator) for _ in range(3))
    y = torch.randn(50, 4, generator=generator) * 30  # far beyond every component as well
    leaves = [x.requires_grad_() for x in (logits, loc, log_scale)]
    out = Predictive(logits, loc, log_scale.exp()).log_prob(y)
    assert out.dtype == torch.float32
    out.mean().backward()
    assert all(x.grad is not None and x.grad.isfinite().all() and x.grad.abs().max() > 0 for x in leaves)
    weights, normals = torch.distributions.Categorical(logits=logits), torch.distributions.Normal(loc, log_scale.exp())
    reference = torch.distributions.MixtureSameFamily(weights, normals).log_prob(y)
    torch.testing.assert_close(out, reference, rtol=1e-5, atol=1e-5)
    exact = Predictive(logits, loc, log_scale.exp()).double().log_prob(y.double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-5)


def test_training_path_compiles_to_one_graph():
    """In a process of its own, as the checks of annotations that run in this one cannot be traced."""
    program = """
import torch
from lcx.predictive import Predictive
parts = [x.exp() for x in torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(0))]
y = torch.linspace(-3, 3, 8)
graph = torch.compile(lambda a, b, c, v: Predictive(a, b, c).log_prob(v), fullgraph=True, backend="eager")
torch.testing.assert_close(graph(*parts, y), Predictive(*parts).log_prob(y))
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@every_law
def test_float32_is_a_rounded_float64(law):
    single = law._map(Tensor.float, Tensor.float)
    y = law.icdf(0.3)
    for method in ("log_prob", "cdf", "crps"):
        out = getattr(single, method)(y.float())
        assert out.dtype == torch.float32
        torch.testing.assert_close(out.double()[:4], getattr(single.double(), method)(y.float().double())[:4], rtol=1e-3, atol=1e-3)
    for out, exact in ((single.icdf(0.9), single.double().icdf(0.9)), (single.mean, single.double().mean)):
        assert out.dtype == torch.float32
        torch.testing.assert_close(out.double(), exact, rtol=1e-4, atol=1e-5)
    double = single.double()
    both = [
        double.logits,
        double.loc,
        double.scale,
        double.lower,
        double.upper,
        *vars(double.warp or AsinhWarp(y, y)).values(),
    ]
    assert all(x is None or x.dtype == torch.float64 for x in both)


@pytest.mark.parametrize("kind", ["free, warped", "mixed, plain"])
def test_chunks_change_nothing(kind, monkeypatch):
    law, y = LAWS[kind], LAWS[kind].icdf(0.2)
    crps, mean = law.crps(y), law.mean
    draws = law.sample(100, torch.Generator().manual_seed(4))
    monkeypatch.setattr(quadrature, "CHUNK", 100)
    torch.testing.assert_close(law.crps(y), crps, rtol=1e-12, atol=0)
    torch.testing.assert_close(law.mean, mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(law.sample(100, torch.Generator().manual_seed(4)), draws, rtol=1e-12, atol=0)


def test_shapes_are_as_annotated():
    """The annotations, checked at run time; and that a batch that does not fit is refused."""
    Checked = jaxtyped(typechecker=beartype)(Predictive)
    law = LAWS["mixed, warped"]
    Checked(law.logits, law.loc, law.scale, law.lower, law.upper, law.warp)
    with pytest.raises(Exception, match="scale"):
        Checked(law.logits, law.loc, law.scale[:, :2])
    for name, given_ in (
        ("log_prob", tensor([0.5] * 5)),
        ("cdf", tensor([0.5] * 5)),
        ("icdf", LEVELS),
        ("crps", LEVELS),
    ):
        jaxtyped(typechecker=beartype)(getattr(Predictive, name))(law, given_)
