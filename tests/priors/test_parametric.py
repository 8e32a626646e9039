"""The prior: laws of the latents, the rejection rule, the law of the draws, the noise, log_joint.

Every statistical test fixes its generator, so that it passes always or never; the false-alarm rate it states is the chance that a
fresh seed would fail a correct prior.
"""

import inspect
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from lcx.priors.families import ilog2, janoschek, mmf, pow3, weibull
from lcx.priors.named import PRIORS, sample_prior
from lcx.priors.parametric import PARAMETRIC, LogNormal, Prior, Term, Uniform

STEPS = np.arange(1.0, 101.0)

# The law of every parameter, from the table in LC-PFN (arXiv 2310.20447, Section 4.1) as scipy's distributions.
LAWS = {
    "pow3.weight": stats.uniform(0, 1),
    "pow3.c": stats.uniform(0, 1.25),
    "pow3.a": stats.uniform(-0.6, 1.2),
    "pow3.alpha": stats.lognorm(s=2, scale=1),
    "janoschek.weight": stats.uniform(0, 1),
    "janoschek.a": stats.uniform(0, 1),
    "janoschek.beta": stats.uniform(0, 2),
    "janoschek.kappa": stats.lognorm(s=1, scale=math.exp(-2)),
    "janoschek.delta": stats.lognorm(s=0.5, scale=1),
    "ilog2.weight": stats.uniform(0, 1),
    "ilog2.c": stats.uniform(0, 1),
    "ilog2.a": stats.uniform(-0.5, 1),
    "sigma": stats.lognorm(s=1, scale=math.exp(-4)),
}


def line(t: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a + b * t


# theta = (weight, a, b, sigma): curves and violations that can be computed by hand.
LINE = Prior("line", (Term(line, Uniform(0, 1), {"a": Uniform(0, 1), "b": Uniform(-0.01, 0.01)}),), LogNormal(-3, 0.5))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def curve_by_numpy(theta: np.ndarray, t: np.ndarray = STEPS) -> np.ndarray:
    """The mean curve in float64, written out from the paper."""
    w1, c1, a1, alpha, w2, a2, beta, kappa, delta, w3, c3, a3, _ = np.asarray(theta, dtype=np.float64).T[:, :, None]
    power = c1 - a1 * t**-alpha
    saturation = a2 - (a2 - beta) * np.exp(-kappa * t**delta)
    return w1 * power + w2 * saturation + w3 * (c3 - a3 / np.log(t + 1))


def margin(f: np.ndarray) -> np.ndarray:
    """Distance of each curve to the nearest of the rules f(100) > f(1) and 0 <= f <= 1; positive where all hold."""
    return np.minimum(f[:, -1] - f[:, 0], np.minimum(f.min(1), 1 - f.max(1)))


@pytest.fixture(scope="module")
def unrestricted():
    return PARAMETRIC.parameters(torch.randn(200_000, 13, generator=seeded(1)))


@pytest.fixture(scope="module")
def drawn():
    return PARAMETRIC.parameters(PARAMETRIC.draw(12_000, seeded(2)))


# ---------------------------------------------------------------------------------------------------------------- parameters


def test_names_and_order_of_the_parameters():
    assert list(PARAMETRIC.laws) == list(LAWS)
    assert PARAMETRIC.dim == 13


@pytest.mark.parametrize("name", LAWS)
def test_marginal_of_each_latent(name, unrestricted):
    """K-S on 10,000 unrestricted draws; Bonferroni over the 13: false alarm 0.001 for all together."""
    values = unrestricted[:10_000, list(LAWS).index(name)].double().numpy()
    assert stats.kstest(values, LAWS[name].cdf).pvalue > 0.001 / 13


def test_the_marginal_test_notices_a_wrong_law(unrestricted):
    """Negative control: the same K-S test rejects laws whose spread is 20 % off."""
    sigma, beta = unrestricted[:10_000, -1].double().numpy(), unrestricted[:10_000, 6].double().numpy()
    assert stats.kstest(sigma, stats.lognorm(s=1.2, scale=math.exp(-4)).cdf).pvalue < 0.001 / 13
    assert stats.kstest(beta, stats.uniform(0, 2.4).cdf).pvalue < 0.001 / 13


def test_each_parameter_rises_with_its_own_latent_alone(generator):
    z = torch.randn(13, generator=generator, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(PARAMETRIC.parameters, z)
    assert torch.equal(jacobian, jacobian.diag().diag())
    assert (jacobian.diag() > 0).all()


def test_parameters_keep_their_batch(generator):
    z = torch.randn(3, 4, 13, generator=generator)
    theta = PARAMETRIC.parameters(z)
    assert theta.shape == (3, 4, 13)
    torch.testing.assert_close(theta[2, 1], PARAMETRIC.parameters(z[2, 1]))


# ---------------------------------------------------------------------------------------------------------------- mean curve


def test_mean_curve(unrestricted):
    theta = unrestricted[:500].double()
    f = PARAMETRIC.mean_curve(theta, torch.from_numpy(STEPS)).numpy()
    np.testing.assert_allclose(f, curve_by_numpy(theta.numpy()), rtol=1e-10, atol=1e-12)


def test_mean_curve_on_steps_of_each_curve(unrestricted, generator):
    theta = unrestricted[:20].double()
    steps = 1 + 99 * torch.rand(20, 7, generator=generator, dtype=torch.float64)
    f = PARAMETRIC.mean_curve(theta, steps)
    looped = np.stack([curve_by_numpy(row[None], t)[0] for row, t in zip(theta.numpy(), steps.numpy(), strict=True)])
    np.testing.assert_allclose(f.numpy(), looped, rtol=1e-10, atol=1e-12)


def test_parameters_reach_the_argument_of_their_name(unrestricted):
    """The order in which a term lists its parameters must not matter."""
    laws = PARAMETRIC.terms[0].parameters
    straight = Prior("straight", (Term(pow3, Uniform(0, 1), laws),), LogNormal(-4, 1))
    turned = Prior("turned", (Term(pow3, Uniform(0, 1), dict(reversed(laws.items()))),), LogNormal(-4, 1))
    weight, c, a, alpha, sigma = unrestricted[:50, [0, 1, 2, 3, 12]].unbind(-1)
    f = straight.mean_curve(torch.stack([weight, c, a, alpha, sigma], -1), torch.arange(1.0, 101.0))
    g = turned.mean_curve(torch.stack([weight, alpha, a, c, sigma], -1), torch.arange(1.0, 101.0))
    torch.testing.assert_close(g, f)


def test_every_argument_of_every_term_has_a_law():
    for term in PARAMETRIC.terms:
        assert set(term.parameters) == set(inspect.signature(term.family).parameters) - {"t"}


# ------------------------------------------------------------------------------------------------------ violation, acceptance


@pytest.mark.parametrize(
    ("weight", "a", "b", "want"),
    [
        (1.0, 0.2, 0.005, 0.0),
        (1.0, 0.5, 0.0, 0.0),  # flat: only curves that fall are refused by the penalty
        (1.0, 0.5, -0.001, 0.099),  # falls from 0.499 to 0.4
        (1.0, 0.5, 0.01, sum(0.01 * t - 0.5 for t in range(51, 101))),  # above 1 from t = 51 on
        (1.0, -0.1, 0.002, sum(0.1 - 0.002 * t for t in range(1, 50))),  # below 0 up to t = 49
        (0.5, 0.4, -0.01, 0.5 * sum(0.01 * t - 0.4 for t in range(41, 101)) + 0.5 * 0.99),  # negative, and falls
        (1.0, math.nan, 0.0, math.inf),
        (1.0, math.inf, 0.0, math.inf),
        (1.0, -math.inf, 0.0, math.inf),
    ],
)
def test_violation_by_hand(weight, a, b, want):
    got = LINE.violation(torch.tensor([weight, a, b, 0.1], dtype=torch.float64)).item()
    assert got == pytest.approx(want, rel=1e-12, abs=1e-15)


def test_acceptance_rate(unrestricted):
    """20.5 % of 1M proposals (printed with three digits) against 200k: 4 standard errors plus rounding, false alarm < 1e-4."""
    rate = (PARAMETRIC.violation(unrestricted) == 0).double().mean().item()
    error = math.sqrt(0.205 * 0.795 * (1 / 200_000 + 1 / 1_000_000))
    assert abs(rate - 0.205) < 4 * error + 0.0005


def test_violation_is_zero_exactly_where_the_rule_accepts(unrestricted):
    """Float32 may only differ from NumPy's float64 for curves within 1e-5 of a rule, of which there are few."""
    theta = unrestricted[:40_000]
    distance = margin(curve_by_numpy(theta.numpy()))
    admitted = (PARAMETRIC.violation(theta) == 0).numpy()
    differ = admitted != (distance > 0)
    assert (np.abs(distance[differ]) < 1e-5).all()
    assert differ.sum() <= 4
    assert 0.19 < admitted.mean() < 0.22


def test_all_draws_are_admissible(drawn):
    """The sampler evaluates fewer steps first, so that rounding may differ for a curve that touches a rule to float32's last digit."""
    distance = margin(curve_by_numpy(drawn.numpy()))
    assert distance.min() > -1e-6
    assert (distance <= 0).sum() <= 2
    assert (PARAMETRIC.violation(drawn) > 0).sum() <= 2


def test_screened_draws_are_those_draws_and_a_few_that_break_a_rule_between_eight_steps():
    z, theta = PARAMETRIC.draw_screened(12_000, seeded(3))
    torch.testing.assert_close(theta, PARAMETRIC.parameters(z))
    kept = PARAMETRIC.admissible(theta)
    assert 1 <= (~kept).sum() <= 24
    assert (kept != (PARAMETRIC.violation(theta) == 0)).sum() == 0
    plain = set(map(tuple, PARAMETRIC.draw(12_000, seeded(3)).tolist()))
    assert sum(tuple(row) not in plain for row in z[kept].tolist()) <= 2  # rounding may differ where a curve touches a rule


def test_draws_are_all_admissible_proposals_in_order(monkeypatch):
    """Of the latents it proposes the sampler keeps exactly the admissible ones: the early test at a few steps loses none."""
    proposed, plain = [], Prior.parameters

    def recording(self, z):
        proposed.append(z.clone())
        return plain(self, z)

    monkeypatch.setattr(Prior, "parameters", recording)
    z = PARAMETRIC.draw(12_000, seeded(3))
    monkeypatch.undo()
    proposals = torch.cat(proposed)
    theta = PARAMETRIC.parameters(proposals)
    violation = PARAMETRIC.violation(theta)
    clear = torch.from_numpy(np.abs(margin(curve_by_numpy(theta.numpy()))) > 1e-6)
    want = proposals[(violation == 0) & clear]
    razor = proposals[~clear]
    got = z[~(z[:, None, 0] == razor[:, 0]).any(1)]
    assert len(razor) <= 10
    assert len(z) == 12_000
    assert torch.equal(got, want[: len(got)])


# ------------------------------------------------------------------------------------------------------------ law of the draws

FUNCTIONALS = {
    "f(1)": lambda f, theta: f[:, 0],
    "f(2)": lambda f, theta: f[:, 1],
    "f(10)": lambda f, theta: f[:, 9],
    "f(50)": lambda f, theta: f[:, 49],
    "f(100)": lambda f, theta: f[:, 99],
    "rise": lambda f, theta: f[:, 99] - f[:, 0],
    "alpha": lambda f, theta: theta[:, 3],
    "kappa": lambda f, theta: theta[:, 7],
    "sigma": lambda f, theta: theta[:, 12],
}


@pytest.fixture(scope="module")
def naive():
    """Rejection as in the paper's words, all NumPy and scipy."""
    rng = np.random.default_rng(4)
    theta = np.stack([law.rvs(60_000, random_state=rng) for law in LAWS.values()], -1)
    f = curve_by_numpy(theta)
    keep = (f[:, -1] > f[:, 0]) & (f >= 0).all(1) & (f <= 1).all(1)
    return f[keep], theta[keep]


def p_values(theta: torch.Tensor, naive: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    f = curve_by_numpy(theta.numpy())
    return {name: stats.ks_2samp(value(f, theta.numpy()), value(*naive)).pvalue for name, value in FUNCTIONALS.items()}


def test_draws_follow_the_law_of_naive_rejection(drawn, naive):
    """Two-sample K-S of 12,000 against about 12,300 curves; Bonferroni over the functionals: false alarm 0.001 for all together."""
    assert min(p_values(drawn, naive).values()) > 0.001 / len(FUNCTIONALS)


@pytest.mark.parametrize(
    ("changed", "shows_in"),
    [
        (replace(PARAMETRIC, noise=LogNormal(-4, 1.15)), "sigma"),
        (replace(PARAMETRIC, noise=LogNormal(-3.9, 1)), "sigma"),
        (
            replace(
                PARAMETRIC,
                terms=(
                    Term(pow3, Uniform(0, 1), {"c": Uniform(0, 1.0), "a": Uniform(-0.6, 0.6), "alpha": LogNormal(0, 2)}),
                    *PARAMETRIC.terms[1:],
                ),
            ),
            "f(100)",
        ),
    ],
    ids=["noise sd", "noise mean", "pow3.c"],
)
def test_a_changed_prior_is_rejected(changed, shows_in, naive):
    """Negative control of the test above."""
    theta = changed.parameters(changed.draw(12_000, seeded(2)))
    assert p_values(theta, naive)[shows_in] < 0.001 / len(FUNCTIONALS)


def test_acceptance_does_not_look_at_the_noise(drawn):
    """Sigma of admissible curves still follows its law and is uncorrelated with the curve; false alarm 0.001 for each."""
    sigma = drawn[:, -1].double().numpy()
    assert stats.kstest(sigma, LAWS["sigma"].cdf).pvalue > 0.001
    assert stats.spearmanr(sigma, curve_by_numpy(drawn.numpy())[:, -1]).pvalue > 0.001


# ------------------------------------------------------------------------------------------------------------------- sampling


def test_noise_is_standard_normal():
    """(y - f) / sigma of 1,000 curves: K-S, independence of neighbours and spread per curve; false alarm 0.001 each."""
    theta = PARAMETRIC.parameters(PARAMETRIC.draw(1000, seeded(5)))  # the same first proposals as sample's
    curves = PARAMETRIC.sample(1000, seeded(5))
    f = PARAMETRIC.mean_curve(theta, torch.from_numpy(STEPS).float())
    noise = ((curves.values - f) / PARAMETRIC.sigma(theta)[:, None]).double().numpy()
    clear = theta[:, -1].numpy() > 1e-3  # below that float32 rounds the noise
    noise = noise[clear]
    assert clear.sum() > 950
    assert stats.kstest(noise.ravel(), stats.norm.cdf).pvalue > 0.001
    for a, b in ((noise[:, 1:], noise[:, :-1]), (noise[1:], noise[:-1])):
        assert abs((a * b).mean()) * math.sqrt(a.size) < stats.norm.isf(0.0005)
    chi_square = stats.chi2(100).cdf((noise**2).sum(1))
    assert stats.kstest(chi_square, stats.uniform.cdf).pvalue > 0.001


def test_shape_and_grid_of_a_sample(generator):
    curves = PARAMETRIC.sample(50, generator)
    assert curves.values.dtype == torch.float32
    assert torch.equal(curves.steps, torch.arange(1.0, 101.0).expand(50, 100))
    assert torch.equal(curves.horizon, torch.full((50,), 100.0))
    assert curves.values.isfinite().all()
    assert ((curves.values < 0) | (curves.values > 1)).any()  # noisy values may leave [0, 1]


@pytest.mark.parametrize("own", [False, True], ids=["one grid", "a grid per curve"])
def test_sample_on_given_steps(own):
    """Without noise the values must be those of the default grid, in a sample that takes several chunks of proposals."""
    clean = replace(PARAMETRIC, noise=LogNormal(-60, 0.1))
    full = clean.sample(5000, seeded(6)).values
    shape = (5000, 100) if own else (100,)
    steps = torch.randint(1, 101, shape, generator=seeded(7)).sort(-1).values
    curves = clean.sample(5000, seeded(6), steps=steps.float())
    assert torch.equal(curves.steps, steps.float().expand(5000, 100))
    torch.testing.assert_close(curves.values, full.gather(1, steps.expand(5000, 100) - 1), rtol=0, atol=1e-6)


def test_reproducible_by_generator():
    z = PARAMETRIC.draw(3000, seeded(8))
    assert torch.equal(z, PARAMETRIC.draw(3000, seeded(8)))
    assert not torch.equal(z, PARAMETRIC.draw(3000, seeded(9)))
    going_on = seeded(8)
    PARAMETRIC.draw(3000, going_on)
    assert not torch.equal(z, PARAMETRIC.draw(3000, going_on))
    curves, again = PARAMETRIC.sample(3000, seeded(8)), PARAMETRIC.sample(3000, seeded(8))
    assert torch.equal(curves.values, again.values)


def test_draws_are_distinct():
    z = PARAMETRIC.draw(5000, seeded(10))
    assert z.shape == (5000, 13)
    assert len(z[:, 0].unique()) > 4990


def test_sample_prior_is_the_named_prior_at_a_seed():
    curves = sample_prior(300, seed=11)
    assert torch.equal(curves.values, PARAMETRIC.sample(300, seeded(11)).values)
    assert torch.equal(curves.values, sample_prior(300, "parametric", seed=11, device="cpu").values)
    assert not torch.equal(curves.values, sample_prior(300, seed=12).values)
    assert len(sample_prior(1, seed=0)) == 1


def test_sample_prior_refuses():
    with pytest.raises(ValueError, match=r"expected prior to be one of \['general', 'parametric', 'scaling'\], got 'flat'; choose"):
        sample_prior(3, "flat", seed=0)
    with pytest.raises(ValueError, match=r"expected n >= 1 curves, got 0; ask"):
        sample_prior(0, seed=0)


def test_a_prior_that_admits_nothing_says_so_soon():
    falling = Prior("falling", (Term(line, Uniform(0, 1), {"a": Uniform(0, 1), "b": Uniform(-2, -1)}),), LogNormal(-4, 1))
    start = time.process_time()
    with pytest.raises(RuntimeError, match="expected prior 'falling' to admit at least 1 in 10,000 proposals, got 0 of"):
        falling.draw(1, seeded(0))
    assert time.process_time() - start < 20


def test_a_narrow_prior_is_still_drawn_from():
    """About 1 in 300 proposals: the first chunks hold fewer than are asked for."""
    narrow = Prior("narrow", (Term(line, Uniform(0, 1), {"a": Uniform(0.9, 300), "b": Uniform(0, 1e-9)}),), LogNormal(-4, 1))
    theta = narrow.parameters(narrow.draw(500, seeded(0)))
    assert theta.shape == (500, 4)
    assert (narrow.violation(theta) == 0).all()


def test_another_mixture_takes_one_line(generator):
    shape = {"a": Uniform(0, 1), "beta": Uniform(0, 0.5), "kappa": LogNormal(-2, 1), "delta": LogNormal(0, 0.5)}
    other = Prior("other", (Term(mmf, Uniform(0, 1), shape), Term(weibull, Uniform(0, 1), shape)), LogNormal(-5, 0.5))
    assert list(other.laws)[:6] == ["mmf.weight", "mmf.a", "mmf.beta", "mmf.kappa", "mmf.delta", "weibull.weight"]
    assert other.dim == 11
    curves = other.sample(2000, generator)
    assert curves.values.shape == (2000, 100)
    assert curves.values.mean(0)[-1] > curves.values.mean(0)[0] + 0.05
    z = other.draw(10, generator).double().requires_grad_()
    score = other.log_joint(z, curves.values[:10].double(), curves.steps[:10].double(), penalty=100.0)
    assert torch.autograd.grad(score.sum(), z)[0].isfinite().all()


# ------------------------------------------------------------------------------------------------------------------ log_joint


@pytest.fixture(scope="module")
def data():
    curves = PARAMETRIC.sample(40, seeded(13))
    return curves.values[:, :30].double(), curves.steps[:, :30].double()


@pytest.fixture(scope="module")
def inside():
    return PARAMETRIC.draw(40, seeded(14)).double()


def outside(n: int) -> torch.Tensor:
    """Latents of inadmissible curves."""
    z = torch.randn(20 * n, 13, generator=seeded(15), dtype=torch.float64)
    return z[PARAMETRIC.violation(PARAMETRIC.parameters(z)) > 1e-3][:n]


def log_joint_by_scipy(z: np.ndarray, values: np.ndarray, steps: np.ndarray) -> float:
    """Sum by hand, from the laws' own quantiles; no admissible set."""
    theta = np.array([law.ppf(stats.norm.cdf(x)) for law, x in zip(LAWS.values(), z, strict=True)])
    f = curve_by_numpy(theta[None], steps)[0]
    return stats.norm.logpdf(z).sum() + stats.norm.logpdf(values, f, theta[-1]).sum()


def test_log_joint_by_hand(data, inside):
    ours = PARAMETRIC.log_joint(inside, *data)
    for i in range(40):
        assert ours[i].item() == pytest.approx(log_joint_by_scipy(inside[i].numpy(), *(x[i].numpy() for x in data)), rel=1e-9)


def test_log_joint_equals_a_pyro_trace(data, inside):
    import pyro
    from pyro.distributions import Normal

    def model(values, steps):
        z = torch.stack([pyro.sample(name, Normal(steps.new_zeros(()), 1.0)) for name in PARAMETRIC.laws])
        theta = PARAMETRIC.parameters(z)
        with pyro.plate("points", len(values)):
            pyro.sample("y", Normal(PARAMETRIC.mean_curve(theta, steps), PARAMETRIC.sigma(theta)), obs=values)

    for z, values, steps in zip(inside[:10], data[0], data[1], strict=False):
        given = pyro.condition(model, data=dict(zip(PARAMETRIC.laws, z, strict=True)))
        trace = pyro.poutine.trace(given).get_trace(values, steps)
        assert PARAMETRIC.log_joint(z, values, steps).item() == pytest.approx(trace.log_prob_sum().item(), rel=1e-12)


def test_log_joint_broadcasts(data, inside):
    values, steps = data
    square = PARAMETRIC.log_joint(inside[:5, None], values[:3], steps[:3])
    assert square.shape == (5, 3)
    assert square[4, 2].item() == pytest.approx(PARAMETRIC.log_joint(inside[4], values[2], steps[2]).item(), rel=1e-12)


def test_missing_observations_count_for_nothing(data, inside):
    values, steps = data[0].clone(), data[1].clone()
    values[:, [0, 7, 20]], steps[:, [3, 20, 29]] = torch.nan, torch.nan
    keep = [i for i in range(30) if i not in (0, 3, 7, 20, 29)]
    with_gaps = PARAMETRIC.log_joint(inside, values, steps)
    torch.testing.assert_close(with_gaps, PARAMETRIC.log_joint(inside, data[0][:, keep], data[1][:, keep]), rtol=1e-12, atol=0)
    z = inside.clone().requires_grad_()
    assert torch.autograd.grad(PARAMETRIC.log_joint(z, values, steps).sum(), z)[0].isfinite().all()


def test_without_observations_it_is_the_prior(inside):
    nothing = torch.full((40, 4), torch.nan, dtype=torch.float64)
    want = torch.from_numpy(stats.norm.logpdf(inside.numpy()).sum(1))
    torch.testing.assert_close(PARAMETRIC.log_joint(inside, nothing, nothing), want, rtol=1e-12, atol=0)


def test_penalty_is_zero_inside_and_linear_outside(data, inside):
    z = outside(40)
    violation = PARAMETRIC.violation(PARAMETRIC.parameters(z))
    assert torch.equal(PARAMETRIC.log_joint(inside, *data, penalty=1000.0), PARAMETRIC.log_joint(inside, *data))
    free = PARAMETRIC.log_joint(z, *data, penalty=0.0)
    for i in range(40):
        assert free[i].item() == pytest.approx(log_joint_by_scipy(z[i].numpy(), *(x[i].numpy() for x in data)), rel=1e-9)
    for penalty in (1.0, 50.0, 1000.0):
        torch.testing.assert_close(free - PARAMETRIC.log_joint(z, *data, penalty=penalty), penalty * violation, rtol=1e-6, atol=1e-6)


def test_hard_wall(data):
    assert (PARAMETRIC.log_joint(outside(40), *data) == -math.inf).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("penalty", [100.0, math.inf])
@pytest.mark.parametrize("far", [False, True], ids=["draws", "corners"])
def test_gradients_are_finite(data, dtype, penalty, far):
    """At prior draws and at latents of -4 or 4 each, both beyond where a sampler starts or stays."""
    z = 4.0 * torch.randint(0, 2, (400, 13), generator=seeded(16)).mul(2).sub(1) if far else torch.randn(400, 13, generator=seeded(17))
    z = z.to(dtype).requires_grad_()
    values, steps = (x[0].to(dtype) for x in data)
    score = PARAMETRIC.log_joint(z, values, steps, penalty)
    gradient = torch.autograd.grad(score[score.isfinite()].sum(), z)[0]
    if math.isfinite(penalty):
        assert score.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[score.isfinite()].abs().amax(1).min() > 0


def test_gradient_of_log_joint_equals_finite_differences(data):
    """Inside and outside, where the penalty is smooth but for kinks that a step of 1e-6 does not meet at these latents."""
    z = torch.cat([PARAMETRIC.draw(3, seeded(18)).double(), outside(3)]).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: PARAMETRIC.log_joint(z, data[0][0], data[1][0], 100.0), z, rtol=1e-3, atol=1e-2)


def test_the_penalty_leads_back(data):
    """From outside, small steps along the gradient of the penalty lower the violation: there is no flat part."""
    z = outside(200).requires_grad_()
    violation = PARAMETRIC.violation(PARAMETRIC.parameters(z))
    gradient = torch.autograd.grad(violation.sum(), z)[0]
    with torch.no_grad():
        moved = PARAMETRIC.violation(PARAMETRIC.parameters(z - 1e-5 * gradient / gradient.norm(dim=1, keepdim=True)))
    assert (moved < violation).all()


def test_families_of_the_parametric_prior():
    assert [term.family for term in PARAMETRIC.terms] == [pow3, janoschek, ilog2]
    assert PRIORS["parametric"] == PARAMETRIC
