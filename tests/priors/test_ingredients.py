"""Each ingredient of the prior "general" does to a curve what its name says: one is switched on, the rest is still.

Most cases are exact. Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail
correct code.
"""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from lcx.priors.general import GeneralPrior, Simulated
from lcx.priors.laws import LAWS, Law, Normal, Share
from lcx.priors.parametric import PARAMETRIC, LogNormal, Uniform

LENGTH = 100


def fixed(law: Law, value: float) -> Law:
    """A law like ``law`` that always gives ``value``."""
    if isinstance(law, Share):
        return Share(float(value))
    if isinstance(law, Uniform):
        return Uniform(value, value)
    return LogNormal(math.log(value), 0) if isinstance(law, LogNormal) else Normal(value, 0)


def usual(law: Law) -> float:
    return law.low if isinstance(law, Uniform) else math.exp(law.mean) if isinstance(law, LogNormal) else law.mean


# Nothing but a smooth rise on an even grid: no noise, no accidents, no bounds.
NONE = 1e-30
STILL = {name: 0.0 if isinstance(law, Share) else usual(law) for name, law in LAWS.items()} | {
    "tau": 0.2, "shape": 1.0, "second": -1.0, "link": 0.2, "level": 0.0, "noise": NONE, "flat_noise": NONE, "noise_early": 0.0,
    "noise_rise": NONE, "wander": NONE, "correlated": NONE, "walk_growth": 0.0,
}  # fmt: skip


def drawn(n: int = 1, length: int = LENGTH, seed: int = 0, **changed: float) -> Simulated:
    """Curves of which every ingredient has one value."""
    laws = {name: fixed(law, (STILL | changed)[name]) for name, law in LAWS.items()}
    generator = torch.Generator().manual_seed(seed)
    prior = GeneralPrior(laws=laws, kinds=())
    return prior.simulate(prior.draw(n, generator), torch.full((n,), length), generator)


def base(**changed: float) -> Tensor:
    """One curve, float64."""
    return drawn(**changed).base[0].double()


def observed(simulated: Simulated, seed: int = 1) -> Tensor:
    return simulated.observe(simulated.base, simulated.sd, torch.Generator().manual_seed(seed))


def share_is(found: Tensor, share: float, level: float = 1e-5) -> bool:
    return stats.binomtest(int(found.sum()), found.numel(), share).pvalue > level


def close(a: Tensor | float, b: Tensor | float, within: float = 1e-4) -> bool:
    return torch.allclose(torch.as_tensor(a).double(), torch.as_tensor(b).double(), rtol=0, atol=within)


# What must be on for an ingredient to show.
NEEDS = {
    "first": {"geometric": 1, "first": 1e-3},
    "tau_place": {"geometric": 1},
    "untrained_at": {"untrained": 1},
    "steep": {"slow": 1},
    "tau_2": {"second": 0.5},
    "stretch": {"link": 0.7},
    "level": {"link": 0.9},
    **{f"transient_{x}": {"transient": 1} for x in ("size", "tau")},
    **{f"decline_{x}": {"decline": 1} for x in ("start", "size", "shape", "ends")},
    **{f"jump_{x}": {"jump": 1} for x in ("at", "size", "tau")},
    **{f"anneal_{x}": {"anneal": 1} for x in ("start", "end", "size")},
    **{f"diverge_{x}": {"diverge": 1} for x in ("at", "size", "tau")},
    "recovers": {"diverge": 1},
    "recover_tau": {"diverge": 1, "recovers": 1},
    **{f"walk_{x}": {"walk": 1} for x in ("size", "growth", "calm")},
    "walk_told": {"walk": 1, "has_upper": 1, "told_upper": 1},
    **{f"turn_{x}": {"turn": 1} for x in ("at", "size", "back")},
    **{f"wander_{x}": {"wander": 0.1} for x in ("length", "rough")},
    "flat_noise": {"flat": 1},
    **{x: {"noise": 0.1} for x in ("noise_early", "correlated", "heavy")},
    "correlation": {"noise": 0.1, "correlated": 1.0},
    "spikes": {"spike_chance": 0.5},
    **{x: {"spikes": 1, "spike_chance": 0.5} for x in ("spike_chance", "spike_size")},
    "constant": {"noise": 0.1},
    "constant_until": {"constant": 1},
    "round_to": {"rounded": 1},
    "has_upper": {"told_upper": 1},
    "has_lower": {"told_lower": 1},
    "told_upper": {"has_upper": 1},
    "told_lower": {"has_lower": 1},
    "room_above": {"has_upper": 1, "told_upper": 1},
    "room_below": {"has_lower": 1, "told_lower": 1},
    "flat_room": {"has_upper": 1, "told_upper": 1, "flat": 1, "flat_noise": 0.1},
    "cut_off": {"has_upper": 1},
}


@pytest.mark.parametrize("name", LAWS)
def test_every_ingredient_shows_in_a_curve_or_in_what_is_told_of_it(name):
    """With the same random numbers: off and on, or at two values."""
    needs = NEEDS.get(name, {})
    value = (STILL | needs)[name]
    other = 1 - value if isinstance(LAWS[name], Share) else {"second": 0.5, "link": 0.9, "turn_at": 0.9}.get(name, 2 * value + 0.05)
    one, two = (drawn(seed=3, **(needs | {name: x})) for x in (value, other))
    both = [(one.steps, two.steps), (observed(one), observed(two)), *zip(one.frame, two.frame, strict=True)]
    assert any(not torch.equal(a, b) for a, b in both)


# ----------------------------------------------------------------------------------------------------------------------- grid


def test_an_even_grid_a_geometric_one_and_a_dense_one():
    assert close(drawn().steps[0], torch.arange(1.0, 101.0))
    log_steps = drawn(geometric=1, first=1e-3).steps[0].log()
    assert close(log_steps.diff(), math.log(1000) / 99)
    assert close(log_steps[0].exp(), 0.1)
    assert drawn(geometric=1, first=0.5).steps[0, 0] <= 1.001  # never later than on an even grid
    dense = drawn(dense=1).steps[0]
    assert (dense < 20).sum() > 45  # of 100 points
    assert (dense.diff().diff() > 0).all()


def test_gaps_of_an_uneven_grid_vary_and_its_ends_stay():
    steps = drawn(uneven=1, n=50).steps
    gaps = steps.diff(dim=1)
    assert 0.5 < (gaps.std(1) / gaps.mean(1)).median() < 1.5
    assert (gaps.amin(1) / gaps.amax(1)).median() == pytest.approx(1 / 400, rel=0.2)
    assert close(steps[:, -1], 100.0)


def test_an_untrained_first_point_comes_earlier_than_its_place_and_the_rest_stays():
    steps = drawn(untrained=1, untrained_at=0.01).steps[0]
    assert close(steps[0], 0.01)
    assert torch.equal(steps[1:], drawn().steps[0, 1:])
    assert torch.equal(drawn(untrained=1, geometric=1, untrained_at=0.01).steps, drawn(geometric=1).steps)


# ----------------------------------------------------------------------------------------------------------------------- rise


@pytest.mark.parametrize("form", [{}, {"power": 1}, {"slow": 1}, {"second": 0.4}, {"link": 0.7}, {"link": 0.9}, {"geometric": 1}])
def test_whatever_its_form_a_rise_goes_from_0_to_1_or_the_other_way_round_or_not_at_all(form):
    rise = base(**form)
    assert close(rise[[0, -1]], torch.tensor([0.0, 1.0]), 1e-5)
    assert (rise.diff() > -1e-6).all()
    assert close(base(**form, falls=1), -rise, 1e-6)
    assert not base(**form, flat=1).any()


def crossing(rise: Tensor, level: float) -> float:
    """The share of the run at which a rise reaches a level, by linear interpolation."""
    after = int((rise >= level).int().argmax())
    low, high = rise[after - 1].item(), rise[after].item()
    return (after + (level - low) / (high - low)) / len(rise)


def test_the_time_constant_and_the_exponent_of_a_stretched_exponential():
    """1 - exp(-x) is at one half at x = log 2; with an exponent, 90 and 50 % are reached at times whose ratio is its root."""
    for tau in (0.02, 0.05):
        assert crossing(base(tau=tau, length=4000), 0.5) == pytest.approx(tau * math.log(2), rel=0.02)
    for shape in (0.7, 1.0, 2.0):
        rise = base(tau=0.05, shape=shape, length=4000)
        assert crossing(rise, 0.9) / crossing(rise, 0.5) == pytest.approx((math.log(10) / math.log(2)) ** (1 / shape), rel=0.1)


@pytest.mark.parametrize("shape", [0.5, 1.5])
def test_a_power_law_is_straight_in_logarithms(shape):
    """Far beyond the time constant the changes fall with the step to the power of -(1 + exponent)."""
    changes = base(power=1, tau=1e-3, shape=shape, length=1000).diff()
    assert math.log(changes[899] / changes[89]) / math.log(10) == pytest.approx(-(1 + shape), abs=0.03)


@pytest.mark.parametrize("steep", [2.0, 4.0])
def test_a_slow_start_is_a_hill_curve(steep):
    """Half-way at a tenth of the time constant; its log odds rise with the logarithm of the step at the named rate."""
    rise = base(slow=1, tau=0.5, steep=steep, length=4000)
    assert crossing(rise, 0.5) == pytest.approx(0.05, rel=0.05)
    assert 2 * math.log(3) / math.log(crossing(rise, 0.75) / crossing(rise, 0.25)) == pytest.approx(steep, rel=0.05)
    assert rise.diff().argmax() > 40


def test_a_second_rise_has_its_weight_and_its_time_constant():
    rise = base(tau=1e-4, second=0.4, tau_2=0.1, length=1000, untrained=1, untrained_at=1e-5)
    assert close(rise[1], 0.6, 0.02)
    assert crossing(rise, 0.8) == pytest.approx(0.1 * math.log(2), rel=0.1)


def test_links_bend_a_rise():
    """Slope of the link at the beginning against the end: exponential e**stretch, logistic by where it starts; linear 1."""
    linear = base(tau=5.0)

    def slopes(**options):
        slope = base(tau=5.0, **options).diff() / linear.diff()
        return (slope[0] / slope[-1]).item(), (slope[49] / slope[0]).item()

    assert slopes(link=0.7, stretch=2.0)[0] == pytest.approx(math.exp(2), rel=0.05)
    first, middle = slopes(link=0.9, stretch=4.0)
    assert first == pytest.approx(1, rel=0.05)
    assert middle > 2
    assert slopes(link=0.9, stretch=2.0, level=3.0)[0] > 4
    assert slopes(link=0.9, stretch=2.0, level=-3.0)[0] < 1 / 4


def test_the_rise_on_a_geometric_grid_lies_where_it_is_placed():
    """The time constant is at the first step for a place of 0, at the last for 1."""
    at = {place: int((base(geometric=1, first=1e-4, tau_place=place, length=200) > 0.5).int().argmax()) for place in (0.1, 0.5, 0.9)}
    assert at[0.1] < 30
    assert 80 < at[0.5] < 110
    assert at[0.9] > 150


# ----------------------------------------------------------------------------------------------------------------- what is added


def test_a_transient_is_a_first_drop_that_fades_in_points():
    fall = base(flat=1, transient=1, transient_size=3.0, transient_tau=2.0)
    assert close(fall[[0, 2, 6]], torch.tensor([-3.0, -3 / math.e, -3 / math.e**3]))


def test_a_decline_begins_where_it_should_and_goes_down_by_its_size():
    plain = {"flat": 1, "decline": 1, "decline_start": 0.5, "decline_size": 2.0, "decline_shape": 1.0}
    fall = base(**plain)
    assert not fall[:50].any()
    assert close(fall[[74, 99]], torch.tensor([-1.0, -2.0]))
    assert close(base(**(plain | {"decline_shape": 2.0}))[[74, 99]], torch.tensor([-0.5, -2.0]))
    ends = base(**plain, decline_ends=1)
    assert not ends[:50].any()
    assert -2 <= ends[99] < -1.9
    assert ends[84:].diff().abs().max() < 0.2 * ends[50:60].diff().abs().max()


@pytest.mark.parametrize("size", [0.7, -0.7])
def test_a_jump_comes_at_its_place_with_its_size(size):
    jump = base(flat=1, jump=1, jump_at=0.5, jump_size=size, jump_tau=0.1)
    assert not jump[:50].any()
    assert close(jump[59], size * (1 - 1 / math.e))
    assert close(jump[99], size, 0.01)
    soon = base(flat=1, jump=1, jump_at=-0.3, jump_size=size, jump_tau=0.1)  # the earliest place is at 2 %
    assert not soon[:2].any()
    assert close(soon[2], size * (1 - math.exp(-0.1)))


def test_annealing_adds_a_rise_between_its_ends():
    rise = base(flat=1, anneal=1, anneal_start=0.5, anneal_end=0.8, anneal_size=0.3)
    assert not rise[:50].any()
    assert (rise[49:80].diff() > 0).all()
    assert close(rise[79:], 0.3)


def test_a_divergence_falls_by_its_size_and_stays_down_or_recovers():
    falls = {"flat": 1, "diverge": 1, "diverge_at": 0.3, "diverge_size": 5.0, "diverge_tau": 0.01}
    gone = base(**falls)
    assert not gone[:30].any()
    assert close(gone[30], -5 * (1 - 1 / math.e))
    assert (gone.diff() <= 0).all()
    assert close(gone[60:], -5.0)
    back = base(**falls, recovers=1, recover_tau=0.1)
    assert close(back[39], -5 / math.e, 0.01)
    assert close(back[99], -5 * math.exp(-7), 0.01)
    assert back.min() < -3.5


def test_a_walk_has_heavy_tailed_changes_of_its_size_and_growth():
    """Medians of 400 x 400 changes, of which those of a curve hang together: standard error about 3 %, at 15 %."""
    walk = {"flat": 0, "walk": 1, "walk_calm": NONE, "length": 400, "n": 400}
    changes = drawn(**walk, walk_size=2.0).base.diff(dim=1).abs() * 20
    assert changes.median() / stats.t(2).ppf(0.75) == pytest.approx(2, rel=0.15)
    ratio = (changes / changes.median(1, keepdim=True).values).flatten()
    assert (ratio > 12).double().mean() > 0.005  # of normal changes 1e-15
    grown = drawn(**walk, walk_growth=3.0).base.diff(dim=1).abs()
    assert math.log(grown[:, 360:].median() / grown[:, :40].median()) == pytest.approx(0.9 * 3, abs=0.25)
    assert drawn(**walk).base[:, 200].sign().mean().abs() < 5 / 400**0.5
    small = drawn(**(walk | {"flat": 1, "flat_noise": 0.01}), walk_size=2.0).base.diff(dim=1).abs() * 20
    assert small.median() / changes.median() == pytest.approx(0.03, rel=0.01)


def test_the_rest_of_a_walking_curve_is_calm():
    calm = drawn(walk=1, walk_size=NONE, walk_calm=0.25, noise=0.1)
    assert close(calm.base, 0.25 * drawn().base)
    assert close(calm.sd, 0.25 * 0.1)


@pytest.mark.parametrize(("back", "sign"), [(0, 1), (1, -1)])
@pytest.mark.parametrize(("place", "point"), [(0.0, 2), (1.0, 20), (0.5, 6)])
def test_after_a_turn_all_changes_and_noise_are_another_size_or_turned_round(back, sign, place, point):
    plain, turned = drawn(noise=0.1), drawn(noise=0.1, turn=1, turn_at=place, turn_size=3.0, turn_back=back)
    before, after = plain.base[0], turned.base[0]
    assert torch.equal(after[:point], before[:point])
    assert close(after[point:] - after[point - 1], 3 * sign * (before[point:] - before[point - 1]))
    assert close(turned.sd[0, :point], 0.1)
    assert close(turned.sd[0, point:], 0.3)


def test_wandering_has_its_size_and_its_length_in_shares_of_the_run():
    """Over 4,000 curves; 5 standard errors of a standard deviation and of correlations."""
    for rough, expected in ((0, math.exp(-0.5)), (1, math.exp(-1))):
        slow = drawn(n=4000, length=10, wander=0.3, wander_length=0.2, wander_rough=rough).base - drawn(length=10).base
        assert slow[:, 5].std() == pytest.approx(0.3, rel=5 / 8000**0.5)
        assert torch.corrcoef(slow[:, [5, 7]].T)[0, 1] == pytest.approx(expected, abs=5 / 4000**0.5)
    level = drawn(n=4000, length=10, flat=1, flat_noise=0.01, wander=0.3).base[:, 5].std()
    assert level == pytest.approx(0.3 * 10 * 0.01, rel=5 / 8000**0.5)


# ---------------------------------------------------------------------------------------------------------------------- noise


def test_noise_has_its_size_more_early_and_more_while_there_is_much_to_rise():
    assert close(drawn(noise=0.1).sd, 0.1)
    assert close(drawn(flat=1, flat_noise=0.3, noise=0.1, noise_rise=2.0).sd, 0.3)
    early = drawn(noise=0.1, noise_early=1.0).sd[0].log()
    assert close(early[0] - early[-1], 0.99)
    assert close(early[49], math.log(0.1))
    rising = drawn(noise_rise=0.2, tau=0.2)
    assert close(rising.sd, 0.2 * (1 - rising.base))


def test_correlated_noise_has_its_size_and_its_length_in_points():
    """Over 4,000 curves, 5 standard errors; two points of the rough process at a distance of its length have correlation 1 / e."""
    slow = drawn(n=4000, length=12, noise=0.1, correlated=2.0, correlation=4.0).base - drawn(length=12).base
    assert slow[:, 5].std() == pytest.approx(0.2, rel=5 / 8000**0.5)
    assert torch.corrcoef(slow[:, [5, 9]].T)[0, 1] == pytest.approx(1 / math.e, abs=5 / 4000**0.5)


def test_heavy_tails_are_those_of_three_degrees_of_freedom_at_the_same_spread():
    """K-S of 20,000 values at 1e-5, the scale from their own quartiles; their standard deviation is that of the plain ones within 15 %."""
    z = ((observed(drawn(n=200, noise=0.1, heavy=1)) - drawn().base) / 0.1).flatten().double()
    scale = (z.quantile(0.75) - z.quantile(0.25)).item() / (2 * stats.t(3).ppf(0.75))
    assert stats.kstest((z / scale).numpy(), stats.t(3).cdf).pvalue > 1e-5
    assert z[z.abs() < 20].std() == pytest.approx(1, rel=0.15)
    plain = (observed(drawn(n=200, noise=0.1)) - drawn().base) / 0.1
    assert stats.kstest(plain.flatten().numpy(), "norm").pvalue > 1e-5


def test_spikes_come_at_their_rate_mostly_downwards_and_of_exponential_size():
    """Binomial at 1e-5; sizes by K-S at 1e-5."""
    z = (observed(drawn(n=400, spikes=1, spike_chance=0.1, spike_size=2.0)) - drawn().base).flatten()
    hit = z.abs() > 1e-5
    assert share_is(hit, 0.1)
    down, up = -z[hit & (z < 0)], z[hit & (z > 0)]
    assert share_is(torch.cat([torch.ones_like(down), torch.zeros_like(up)]), 0.8)
    assert stats.kstest(down.numpy(), stats.expon(scale=2.0).cdf).pvalue > 1e-5
    assert stats.kstest(up.numpy(), stats.expon(scale=1.0).cdf).pvalue > 1e-5
    flat = observed(drawn(n=400, flat=1, flat_noise=1e-4, spikes=1, spike_chance=1.0, spike_size=2.0))
    assert -flat[flat < 0].mean() == pytest.approx(2 * 5e-4, rel=0.05)


def test_a_constant_start_repeats_one_value_and_then_joins_the_curve():
    curve = drawn(constant=1, constant_until=0.305, noise=0.1)
    values = observed(curve)[0]
    assert len(values[:30].unique()) == 1
    assert torch.equal(curve.base[0, 30:], drawn().base[0, 30:])
    assert close(curve.base[0, :30], drawn().base[0, 30])
    assert not curve.sd[0, :30].any()
    assert close(curve.sd[0, 30:], 0.1)


def test_rounding_leaves_multiples_of_a_share_of_the_range():
    curve = drawn(rounded=1, round_to=0.05, noise=0.1)
    values, step = observed(curve)[0].double(), curve.grid.item()
    assert step == pytest.approx(0.05 * ((curve.base + 2 * curve.sd).max() - (curve.base - 2 * curve.sd).min()).item())
    assert close(values / step, (values / step).round(), 1e-3)
    assert 5 < len((values / step).round().unique()) < 40


# --------------------------------------------------------------------------------------------------------------------- bounds

LIMITED = {"has_upper": 1, "has_lower": 1, "room_above": 0.25, "room_below": 0.5, "told_upper": 1, "told_lower": 1}


def test_bounds_lie_in_their_distance_from_the_curve_and_are_told():
    limited = drawn(**LIMITED)
    for told, is_so in ((limited.frame.upper, 1.25), (limited.frame.lower, -0.5), (limited.frame.fallback, 1.75)):
        assert close(told, is_so)
    assert close(limited.upper, 1.25)
    assert close(limited.lower, -0.5)
    noisy = drawn(**LIMITED, flat=1, flat_noise=0.1, flat_room=3.0)  # two standard deviations of noise to each side
    assert close(noisy.upper, 0.2 + 3 * 0.25 * 0.4)
    assert close(noisy.lower, -0.2 - 3 * 0.5 * 0.4)


def test_bounds_that_are_not_there_or_not_told():
    free = drawn(offset=2.0)
    assert (free.upper.item(), free.lower.item(), free.frame.upper.item(), free.frame.lower.item()) == (math.inf, -math.inf) * 2
    assert close(free.frame.fallback, 2.0)
    for hidden in ({"told_upper": 0, "told_lower": 0}, {"walk": 1, "walk_size": NONE, "walk_calm": 1.0}):
        quiet = drawn(**(LIMITED | hidden), offset=2.0)
        assert close(quiet.upper, 1.25)
        assert close(quiet.lower, -0.5)
        assert quiet.frame.upper.isinf().all()
        assert quiet.frame.lower.isinf().all()
        assert close(quiet.frame.fallback, 2.0)
    said = drawn(**LIMITED, walk=1, walk_size=NONE, walk_calm=1.0, walk_told=1)
    assert close(said.frame.upper, 1.25)
    one = drawn(**(LIMITED | {"told_lower": 0}), offset=2.0)
    assert close(one.frame.upper, 1.25)
    assert one.frame.lower.isinf().all()
    assert close(one.frame.fallback, 2.0)


def test_a_bound_that_is_reached_cuts_the_curve_off():
    cut = drawn(**LIMITED, cut_off=1)
    values = observed(cut)[0]
    assert (values == cut.upper.item()).sum() > 2
    assert (values == cut.lower.item()).any()
    assert close(cut.upper, 0.98)
    assert close(cut.lower, 0.02)
    flat = drawn(**LIMITED, cut_off=1, flat=1)
    assert flat.lower < 0 < flat.upper, "of a curve without a range nothing is cut off"


# ----------------------------------------------------------------------------------------------------------------- parametric


def test_some_curves_are_those_of_the_parametric_prior():
    """Two-sample K-S of three steps with fresh draws of that prior at 1e-4; on an even grid, with nothing else but bounds."""
    odd = {"geometric": 1, "heavy": 1, "spikes": 1, "rounded": 1, "wander": 1.0, "diverge": 1, "flat": 1, "noise": 1.0}
    curves = drawn(n=2000, parametric=1, **odd)
    assert close(curves.steps, torch.arange(1.0, 101.0).expand(2000, -1))
    assert not curves.heavy.any()
    assert not curves.spike[:, 0].any()
    assert not curves.grid.any()
    assert close(curves.sd, curves.sd[:, :1].expand(-1, 100), 1e-7)
    fresh = PARAMETRIC.sample(2000, torch.Generator().manual_seed(9)).values
    for step in (0, 9, 99):
        assert stats.ks_2samp(observed(curves)[:, step].numpy(), fresh[:, step].numpy()).pvalue > 1e-4
