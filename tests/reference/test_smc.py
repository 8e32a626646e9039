"""SMC on the real prior against importance sampling, the amplitudes it moves in, and the genealogy its ESS is read from.

Every statistical test fixes its seed, so that it passes always or never; the false-alarm rate it states is the chance that a fresh
seed would fail correct code.
"""

import numpy as np
import pytest
import torch
from scipy import stats

import lcx
from lcx.priors.families import pow3
from lcx.priors.parametric import PARAMETRIC, LogNormal, Prior, Term, Uniform
from lcx.reference.amplitudes import Amplitudes
from lcx.reference.diagnostics import lineage_ess
from lcx.reference.target import Target

AT = [20, 50, 100]
NOISY = [0.3, 0.5, 0.35, 0.55, 0.4, 0.65, 0.5, 0.7, 0.5, 0.65]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------------------- importance sampling


@pytest.fixture(scope="module")
def drawn():
    return PARAMETRIC.parameters(PARAMETRIC.draw(400_000, seeded(1)).double())


def estimate(log_weight: np.ndarray, mean: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log evidence, means, sds) and their standard errors, from weighted estimates of two moments by delta method."""
    n, w = len(log_weight), np.exp(log_weight - log_weight.max())
    w = w / w.sum()
    m, s2 = w @ mean, w @ square - (w @ mean) ** 2
    influence = np.concatenate([(w * n - 1)[:, None] / n, w[:, None] * (mean - m)], 1)
    spread = w[:, None] * (square - 2 * m * mean + m**2 - s2) / (2 * np.sqrt(s2))
    error = np.sqrt(n / (n - 1) * (np.concatenate([influence, spread], 1) ** 2).sum(0))
    log_evidence = log_weight.max() + np.log(np.exp(log_weight - log_weight.max()).mean())
    return np.concatenate([[log_evidence], m, np.sqrt(s2)]), error


@pytest.mark.slow  # 2 x 150 s
@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")  # 400 particles each, pooled here
@pytest.mark.parametrize(
    "steps", [range(1, 11), [1.5, 2.25, 3.7, 4.1, 6.6, 7.3, 9.9, 12.4, 14.5, 17.2]], ids=["whole steps", "fractional steps"]
)
def test_smc_agrees_with_importance_sampling(steps, drawn):
    """Log evidence, means and sds of the curve at three steps: 20 runs pooled by their evidence, which leaves no bias of few
    particles, against 400,000 weighted prior draws. Each of the 7 within 5 combined standard errors: false alarm 2e-4 (a tail
    of 5 as of Student's law with 19 degrees, which is the worst case)."""
    t, y = (torch.tensor(x).float().double() for x in (list(steps), NOISY))
    law = torch.distributions.Normal(PARAMETRIC.mean_curve(drawn, t), PARAMETRIC.sigma(drawn)[:, None])
    log_weight, curves = law.log_prob(y).sum(1).numpy(), PARAMETRIC.mean_curve(drawn, torch.tensor(AT).double()).numpy()
    weight = np.exp(log_weight - log_weight.max())
    assert weight.sum() ** 2 / (weight**2).sum() > 1000
    want, want_error = estimate(log_weight, curves, curves**2)
    options = {"horizon": 100, "mode": "max", "unit": (0, 1), "at": AT, "sampler": "smc", "draws": 100, "strict": False}
    runs = [lcx.mcmc(NOISY, list(steps), **options, seed=seed)[1] for seed in range(20)]
    curves = np.array([info.predictions[0, :, :3] for info in runs])
    got, error = estimate(np.array([info.log_evidence for info in runs]), curves.mean(1), (curves**2).mean(1))
    assert (error < [0.2, *[0.01] * 6]).all()
    assert (np.abs(got - want) < 5 * np.hypot(error, want_error)).all()


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
def test_what_is_not_admissible_in_the_first_pool_gets_no_weight(monkeypatch):
    """From plain proposals, of which a fifth is admissible, the same posterior, and the evidence less the logarithm of their share.
    Its sd over seeds is below 0.2 a run with 400 particles; false alarm of 1 (and of 0.03 of a mean, sd 0.005) below 1e-3."""
    options = {"horizon": 100, "mode": "max", "unit": (0, 1), "at": AT, "sampler": "smc", "draws": 100, "strict": False}
    screened = lcx.mcmc(NOISY, **options)[1]

    def proposed(prior, n, generator):
        z = torch.randn(n, prior.dim, generator=generator)
        return z, prior.parameters(z)

    monkeypatch.setattr(Prior, "draw_screened", proposed)
    plain = lcx.mcmc(NOISY, **options)[1]
    assert (PARAMETRIC.violation(torch.from_numpy(plain.draws)) < 1e-9).all()
    assert abs(screened.log_evidence - plain.log_evidence + np.log(0.205)) < 1
    np.testing.assert_allclose(plain.predictions[0].mean(0)[:3], screened.predictions[0].mean(0)[:3], atol=0.03)


# ------------------------------------------------------------------------------------------------- going on until the gate passes

SMOOTH = 0.82 - 0.5 * np.arange(1.0, 21.0) ** -0.6 + 0.02 * np.random.default_rng(0).standard_normal(20)
POW3 = Prior("pow3", PARAMETRIC.terms[:1], PARAMETRIC.noise)  # quick, and with seed 8 short of the gate after tempering


def until_the_gate(values=SMOOTH, **options):
    given = {"horizon": 100, "mode": "max", "unit": (0, 1), "sampler": "smc", "draws": 250, "prior": POW3, "seed": 8}
    return lcx.mcmc(values, **(given | options))[1]


@pytest.fixture
def clock(monkeypatch):
    """Says that it is 0 until it has been asked ``left`` times more, and then that it is late."""

    class Clock:
        left = 0

        def monotonic(self) -> float:
            self.left -= 1
            return 0.0 if self.left >= 0 else np.inf

    monkeypatch.setattr("lcx.reference.smc.time", clock := Clock())
    return clock


def test_a_smooth_curve_of_twenty_points_passes_the_gate():
    """After tempering it has an ESS of 50 of 800. Two seconds of one core."""
    assert until_the_gate(prior=PARAMETRIC, draws=200, seed=0).problems() == []


def test_a_spent_budget_refuses_with_the_diagnostics():
    with pytest.raises(lcx.NotConverged, match=r"expected a converged smc posterior, got curve 0: ESS \d+ < 400; take more") as caught:
        until_the_gate(seconds=0)
    info = caught.value.info
    assert info.draws.shape == (1, 1000, 5)
    assert np.isfinite(info.log_evidence)
    assert 0 < min(info.ess_bulk.min(), info.ess_tail.min()) < 400


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
def test_particles_go_on_from_where_they_stand_and_time_decides_nothing_but_the_end(clock):
    """The log evidence, summed over the stages of tempering, is the same to the bit: no stage is run again. Of two curves the one
    that had converged keeps its draws, and a run that is cut short leaves those of a run that passes as they are."""
    known = []
    for looks in (4, 10_000):  # the first look is for the deadline
        clock.left = looks
        known.append(until_the_gate([SMOOTH, 0.5 + 0.1 * SMOOTH], seed=4, strict=False))
    cut, passed = known
    np.testing.assert_array_equal(cut.log_evidence, passed.log_evidence)
    assert [problem[:8] for problem in cut.problems()] == ["curve 1:"]
    assert passed.problems() == []
    np.testing.assert_array_equal(cut.draws[0], passed.draws[0])
    assert (cut.draws[1] != passed.draws[1]).any()


# ----------------------------------------------------------------------------------------------------------------- amplitudes


@pytest.fixture(scope="module")
def proposals():
    """Prior latents, not restricted to admissible curves: every parameter has its own law."""
    return torch.randn(20_000, 13, generator=seeded(2), dtype=torch.float64)


@pytest.fixture(scope="module")
def amplitudes():
    return Amplitudes(PARAMETRIC)


@pytest.mark.parametrize("shape", [(7,), (500, 7)], ids=["shared steps", "own steps"])
def test_eta_times_design_is_the_mean_curve(shape, amplitudes, proposals):
    z = proposals[:500]
    t = 1 + 99 * torch.rand(shape, generator=seeded(3), dtype=torch.float64)
    eta, rest = amplitudes.split(z)
    design = amplitudes.design(rest, t.expand(500, 7))
    f = (eta[:, None] @ design).squeeze(1)
    torch.testing.assert_close(f, PARAMETRIC.mean_curve(PARAMETRIC.parameters(z), t), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(amplitudes.sigma(rest), PARAMETRIC.sigma(PARAMETRIC.parameters(z)))


@pytest.mark.parametrize("terms", [(0, 1, 2), (0,), (1,), (2,), (2, 1, 0)])
def test_few_columns_tell_the_whole_design(terms, proposals):
    """Of the six rows two depend on ``rest``: the power of pow3, and the exponential of janoschek, of which both its rows are made."""
    prior = Prior("some", tuple(PARAMETRIC.terms[k] for k in terms), PARAMETRIC.noise)
    amplitudes = Amplitudes(prior)
    assert len(amplitudes.moving) == sum(k != 2 for k in terms)
    rest, t = proposals[:300, : len(amplitudes.rest)], 1 + 99 * torch.rand(9, generator=seeded(20), dtype=torch.float64)
    shares = [amplitudes.signs[:, k, None] * x[:, None] for k, x in enumerate(amplitudes.columns(rest, t))]
    torch.testing.assert_close(sum(shares, amplitudes.still(t).expand(300, -1, -1)), amplitudes.design(rest, t.expand(300, -1)))


def rising(t: torch.Tensor, a: torch.Tensor, b: torch.Tensor, kappa: torch.Tensor) -> torch.Tensor:
    return a * t**-kappa + b * t ** (-2 * kappa)


def test_rows_that_do_not_sum_to_what_stands_still_are_columns_of_their_own(proposals):
    term = Term(rising, Uniform(0, 1), {"a": Uniform(0, 1), "b": Uniform(0, 1), "kappa": LogNormal(0, 1)}, ("a", "b"))
    amplitudes = Amplitudes(Prior("odd", (PARAMETRIC.terms[2], term), PARAMETRIC.noise))
    assert amplitudes.moving == [2, 3]
    assert amplitudes.signs.tolist() == [[0, 0], [0, 0], [1, 0], [0, 1]]
    rest, t = proposals[:50, :2], torch.arange(1.0, 8.0, dtype=torch.float64)
    torch.testing.assert_close(torch.stack(amplitudes.columns(rest, t), 1), amplitudes.design(rest, t.expand(50, -1))[:, 2:])


# -------------------------------------------------------------------------------------------------------- the tempered target


@pytest.mark.parametrize("steps", [[1, 2, 3, 4, 5, 6, 20], [1.5, 2.25, 3.7, 4.1, 6.6, 7.3, 9.9]], ids=["whole steps", "fractional steps"])
def test_the_conditional_of_amplitudes_is_that_by_dense_algebra(steps, amplitudes, proposals):
    """Two curves with different gaps and temperatures; and from (rest, eta) to (rest, noise) and back."""
    generator = seeded(21)
    values, heat = torch.rand(2, 7, generator=generator, dtype=torch.float64), torch.tensor([1.0, 0.3], dtype=torch.float64)
    values[0, 1] = values[1, 4] = torch.nan
    eta, rest = (x.reshape(2, 400, -1) for x in amplitudes.split(proposals[:800]))
    t = torch.tensor(steps, dtype=torch.float64).expand(2, -1)
    target = Target.of(amplitudes, values, t, eta)
    state = target.particles(rest, heat, eta, noisy=False)
    seen, sigma = ~values.isnan(), amplitudes.sigma(rest)
    design = amplitudes.design(rest, t[:, None]) * seen[:, None, None]
    pull = (heat[:, None] / sigma**2)[..., None, None]
    precision = pull * (design @ design.mT) + target.precision
    linear = pull * (design @ values.nan_to_num()[:, None, :, None]) + (target.precision @ target.center)[:, None]
    noise = torch.linalg.cholesky(precision).mT @ (eta[..., None] - torch.linalg.solve(precision, linear))
    torch.testing.assert_close(state.noise, noise.squeeze(-1), rtol=1e-6, atol=1e-6)
    theta = amplitudes.join(eta, rest, generator)
    likelihood = PARAMETRIC.log_likelihood(theta, values[:, None], t[:, None])
    torch.testing.assert_close(state.log_likelihood, likelihood, rtol=1e-9, atol=1e-9)
    assert torch.equal(state.score > -torch.inf, PARAMETRIC.violation(theta) == 0)
    score = heat[:, None] * likelihood + amplitudes.log_prior(eta, rest) - torch.logdet(precision) / 2 + (noise**2).sum((-1, -2)) / 2
    inside = state.score > -torch.inf
    torch.testing.assert_close(state.score[inside], score[inside], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(target.particles(rest, heat, state.noise, noisy=True).eta, eta, rtol=1e-6, atol=1e-6)


def test_joining_what_was_split_keeps_the_curve_and_every_law(amplitudes, proposals):
    t = torch.arange(1.0, 101.0, dtype=torch.float64)
    theta = amplitudes.join(*amplitudes.split(proposals), seeded(4))
    before = PARAMETRIC.parameters(proposals)
    torch.testing.assert_close(PARAMETRIC.mean_curve(theta, t), PARAMETRIC.mean_curve(before, t), rtol=1e-9, atol=1e-9)
    for i, (name, law) in enumerate(PARAMETRIC.laws.items()):
        if isinstance(law, Uniform):
            assert ((theta[:, i] >= law.low - 1e-9) & (theta[:, i] <= law.high + 1e-9)).all(), name
        else:
            torch.testing.assert_close(theta[:, i], before[:, i])


def test_weights_drawn_anew_follow_the_prior(amplitudes, proposals):
    """(weight, parameter) -> eta -> (weight, parameter) leaves the prior as it is. K-S of 8 uniform marginals and chi-square of
    the 5 pairs (weight, parameter) on 25 equal cells, Bonferroni: false alarm 0.001 for all together."""
    before = PARAMETRIC.parameters(proposals)
    theta = amplitudes.join(*amplitudes.split(proposals), seeded(5))
    names, p_values = list(PARAMETRIC.laws), []

    def unit(name: str) -> np.ndarray:
        law = PARAMETRIC.laws[name]
        return ((theta[:, names.index(name)] - law.low) / (law.high - law.low)).numpy()

    for family, linear in (("pow3", ("c", "a")), ("janoschek", ("a", "beta")), ("ilog2", ("c", "a"))):
        weight, column = unit(f"{family}.weight"), names.index(f"{family}.weight")
        assert stats.spearmanr(weight, before[:, column]).statistic < 0.95  # drawn anew indeed
        p_values.append(stats.kstest(weight, "uniform").pvalue)
        for name in linear:
            pair = unit(f"{family}.{name}")
            cells = np.histogram2d(weight, pair, bins=5, range=[(0, 1), (0, 1)])[0]
            p_values += [stats.kstest(pair, "uniform").pvalue, stats.chisquare(cells.ravel()).pvalue]
    assert min(p_values) > 0.001 / len(p_values)


def test_density_of_two_amplitudes_is_that_of_prior_draws(amplitudes):
    """Chi-square on 8 x 8 cells of (w c, w a) away from 0, where the density is unbounded; expected shares by midpoints of
    40 x 40 per cell: false alarm 0.001."""
    pow3_alone = Amplitudes(Prior("pow3", PARAMETRIC.terms[:1], PARAMETRIC.noise))
    edges = [np.linspace(0.1, 1.25, 9), np.linspace(-0.6, 0.6, 9)]
    middles = [torch.from_numpy(low + (high - low) * (np.arange(320) + 0.5) / 320) for low, high in ((0.1, 1.25), (-0.6, 0.6))]
    eta = torch.stack(torch.meshgrid(*middles, indexing="ij"), -1)
    density = torch.exp(pow3_alone.log_prior(eta, torch.zeros(320, 320, 2, dtype=torch.float64))).numpy()
    share = density.reshape(8, 40, 8, 40).sum((1, 3)).ravel()
    w, c, a = np.random.default_rng(6).uniform([0, 0, -0.6], [1, 1.25, 0.6], (100_000, 3)).T
    count = np.histogram2d(w * c, w * a, bins=edges)[0].ravel()
    want = count.sum() * share / share.sum()
    assert want.min() > 10
    assert stats.chisquare(count, want).pvalue > 0.001


def scaled(t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return c * t / (t + 1)


def test_density_of_one_amplitude_is_that_of_prior_draws():
    """K-S of w c, w ~ U(0.2, 0.8), c ~ U(0, 1.5), with the cdf of the density summed on a grid: false alarm 0.001."""
    term = Term(scaled, Uniform(0.2, 0.8), {"c": Uniform(0, 1.5)}, ("c",))
    amplitudes = Amplitudes(Prior("one", (term,), LogNormal(-4, 1)))
    grid = torch.linspace(0, 1.2, 100_001, dtype=torch.float64)
    density = torch.exp(amplitudes.log_prior(grid[:, None], torch.zeros(100_001, 1, dtype=torch.float64))).numpy()
    assert np.isfinite(density).all()
    cdf = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2))
    w, c = np.random.default_rng(7).uniform([0.2, 0], [0.8, 1.5], (10_000, 2)).T
    assert stats.kstest(w * c, lambda x: np.interp(x, grid.numpy(), cdf / cdf[-1])).pvalue > 0.001
    theta = amplitudes.join(torch.from_numpy(w * c)[:, None], torch.zeros(10_000, 1, dtype=torch.float64), seeded(8)).numpy()
    assert stats.kstest(theta[:, 0], stats.uniform(0.2, 0.6).cdf).pvalue > 0.001
    assert stats.kstest(theta[:, 1], stats.uniform(0, 1.5).cdf).pvalue > 0.001


def test_amplitudes_that_no_weight_explains_have_zero_density(amplitudes):
    rest = torch.zeros(1, 5, dtype=torch.float64)
    inside = torch.tensor([[0.5, 0.1, 0.5, 0.2, 0.4, -0.1]], dtype=torch.float64)
    assert torch.isfinite(amplitudes.log_prior(inside, rest)).all()
    for i, beyond in ((0, 1.3), (0, -0.1), (1, 0.7), (1, -0.7), (3, -0.01), (5, 0.6)):
        outside = inside.clone()
        outside[0, i] = beyond
        assert amplitudes.log_prior(outside, rest).item() == -np.inf


@pytest.mark.parametrize(
    "term",
    [
        Term(scaled, Uniform(0, 1), {"c": Uniform(0, 1)}),
        Term(scaled, LogNormal(0, 1), {"c": Uniform(0, 1)}, ("c",)),
        Term(scaled, Uniform(-1, 1), {"c": Uniform(0, 1)}, ("c",)),
        Term(scaled, Uniform(0, 1), {"c": Uniform(0.1, 1)}, ("c",)),
        Term(pow3, Uniform(0, 1), {"c": Uniform(0, 1), "a": LogNormal(0, 1), "alpha": LogNormal(0, 1)}, ("c", "a")),
    ],
    ids=["not declared", "weight not uniform", "negative weight", "law without 0", "amplitude not uniform"],
)
def test_a_prior_without_such_amplitudes_is_refused(term):
    with pytest.raises(ValueError, match=rf"expected prior 'odd' of families .* got another law in {term.family.__name__}; declare"):
        Amplitudes(Prior("odd", (term,), LogNormal(-4, 1)))


# ------------------------------------------------------------------------------------------------------------------ genealogy


def test_particles_of_their_own_origins_count_in_full():
    x = torch.randn(1000, 2, generator=seeded(9), dtype=torch.float64)
    bulk, tail = lineage_ess(x, torch.randperm(1000, generator=seeded(10)))
    np.testing.assert_allclose(bulk, 1000, rtol=1e-9)
    np.testing.assert_allclose(tail, 1000, rtol=1e-9)


@pytest.mark.parametrize("copies", [2, 10])
def test_copies_of_a_particle_count_once(copies):
    x = torch.randn(1000 // copies, 2, generator=seeded(11), dtype=torch.float64).repeat(copies, 1)
    bulk, tail = lineage_ess(x, torch.arange(1000 // copies).repeat(copies))
    np.testing.assert_allclose(bulk, 1000 / copies, rtol=0.02)  # ranks of equals differ a little
    np.testing.assert_allclose(tail, 1000 / copies, rtol=1e-9)


def test_offspring_that_have_moved_far_apart_count_in_full_again():
    """Families of 10 independent particles: the ESS is N but for the scatter of 100 squared sums, sd 14 %; 5 sd, 1e-6."""
    x = torch.randn(1000, 1, generator=seeded(12), dtype=torch.float64)
    bulk, tail = lineage_ess(x, torch.arange(100).repeat(10))
    assert 1000 / 1.7 < bulk[0] < 1000 / 0.3
    assert 1000 / 1.7 < tail[0] < 1000 / 0.3
