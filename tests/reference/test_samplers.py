"""NUTS, emcee and SMC against a posterior known in closed form; presets, shapes, seeds, refusals of each sampler.

Every statistical test fixes its seed, so that it passes always or never; the false-alarm rate it states is the chance that a fresh
seed would fail a correct sampler.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import lcx
from lcx.priors.parametric import PARAMETRIC, LogNormal, Prior, Term, Uniform
from lcx.reference import ensemble

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of arviz 0.23, on import
EVERY = ("smc", "emcee", "nuts")
BY_DEFAULT = ("smc", "emcee", pytest.param("nuts", marks=pytest.mark.slow))  # up to 13 s


def line(t: torch.Tensor, c: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return c + a * t / 100


def prior_of(noise: LogNormal, weight: Uniform, c: Uniform = Uniform(0, 1), a: Uniform = Uniform(0, 1)) -> Prior:  # noqa: B008
    return Prior("line", (Term(line, weight, {"c": c, "a": a}, ("c", "a")),), noise)


AT = np.array([85.0, 92.0, 100.0])


def known(sd: float) -> Prior:
    """Weight and sigma are constants but for a millionth: (c, a) is uniform on the half c + a <= 1 of the unit square, where curves
    are admissible."""
    return prior_of(LogNormal(math.log(sd), 1e-6), Uniform(0.999999, 1.000001))


# Four noisy points: the posterior fills the triangle, its edges included.
WIDELY = {"values": np.array([0.25, 0.5, 0.375, 0.5]), "steps": np.array([10.0, 25.0, 40.0, 60.0]), "prior": known(0.2)}
# 32 points: the posterior is the normal law of least squares, 6 sd and more within the triangle.
STEPS = np.arange(2.0, 82.0, 2.5)
VALUES = (0.3 + 0.4 * STEPS / 100 + 0.05 * np.random.default_rng(1).standard_normal(32)).astype(np.float32).astype(float)
CLOSELY = {"values": VALUES, "steps": STEPS, "prior": known(0.05)}
# The same under more noise: wide, and hardly cut off by the edges, where NUTS is slow.
BROADLY = CLOSELY | {"prior": known(0.2)}


def by_quadrature(values, steps, sd: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and sd of the mean curve at AT, and log evidence, by midpoints of 1000 x 1000 cells; those on the edge count half."""
    grid = (np.arange(1000) + 0.5) / 1000
    c, a = np.meshgrid(grid, grid, indexing="ij")
    inside = np.where(np.abs(c + a - 1) < 1e-9, 0.5, c + a < 1)
    fit = sum(-0.5 * ((y - c - a * t / 100) / sd) ** 2 for y, t in zip(values, steps, strict=True))
    density = inside * np.exp(fit)
    log_evidence = math.log(density.sum() / inside.sum()) - len(values) * math.log(sd * math.sqrt(2 * math.pi))
    curves, density = c[..., None] + a[..., None] * AT / 100, density[..., None] / density.sum()
    mean = (density * curves).sum((0, 1))
    return mean, np.sqrt((density * (curves - mean) ** 2).sum((0, 1))), log_evidence


def by_least_squares(values, steps, sd: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The same in closed form; the flat prior density is 2 on the triangle."""
    x, ahead = (np.stack([np.ones_like(t), t / 100], 1) for t in (steps, AT))
    gram = x.T @ x
    best, covariance = np.linalg.solve(gram, x.T @ values), sd**2 * np.linalg.inv(gram)
    assert min(*best / np.sqrt(np.diag(covariance)), (1 - best.sum()) / math.sqrt(covariance.sum())) > 6
    fit = -0.5 * ((values - x @ best) ** 2).sum() / sd**2 - len(values) * math.log(sd * math.sqrt(2 * math.pi))
    volume = 0.5 * math.log(np.linalg.det(2 * math.pi * covariance))
    return ahead @ best, np.sqrt(np.einsum("ai,ij,aj->a", ahead, covariance, ahead)), fit + volume + math.log(2)


def ask(values, steps, **options):
    return lcx.mcmc(values, steps, **({"horizon": 100, "mode": "max", "at": AT, "unit": (0, 1)} | options))


# Free weight and noise, and few points: the posterior is wide, which NUTS walks in few leapfrogs.
WIDE = prior_of(LogNormal(-2, 0.3), Uniform(0.5, 1))
TINY = {
    "smc": {"sampler": "smc", "draws": 10},
    "emcee": {"sampler": "emcee", "draws": 8, "warmup": 2, "chains": 1},
    "nuts": {"sampler": "nuts", "draws": 8, "warmup": 8, "chains": 2},
}


def tiny(sampler, values=(0.25, 0.5), steps=(20.0, 60.0), **options):
    with pytest.warns(RuntimeWarning, match=f"expected a converged {sampler} posterior"):
        return ask(values, steps, **({"prior": WIDE, "strict": False} | TINY[sampler] | options))


# ------------------------------------------------------------------------------------------------------------ closed form


SMC, EMCEE = {"sampler": "smc", "draws": 1000}, {"sampler": "emcee", "draws": 500, "warmup": 200, "chains": 1}
NUTS = {"sampler": "nuts", "draws": 250, "warmup": 100, "chains": 2}
BRIEF_NUTS = NUTS | {"draws": 120, "warmup": 60}


def assert_exact(case, truth, sd, options):
    answer, info = ask(**case, **options, strict=False)
    mean, spread, _ = truth
    ess = np.minimum(info.ess_bulk, info.ess_tail)[: len(AT)]
    assert (ess > (50 if options is BRIEF_NUTS else 100)).all()
    assert (np.abs(answer.mean - mean) < 5 * spread / np.sqrt(ess)).all()
    ratio = (answer.std**2 - sd**2) / spread**2  # the noise is part of the answer
    assert (np.abs(ratio - 1) < 5 * np.sqrt(2 / ess)).all()
    np.testing.assert_allclose(info.draws[..., info.names.index("sigma")], sd, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")  # the runs are short
@pytest.mark.parametrize(
    ("case", "options"),
    [
        (WIDELY, SMC),
        (WIDELY, EMCEE),
        pytest.param(BROADLY, BRIEF_NUTS, marks=pytest.mark.slow),  # 30 s
        pytest.param(WIDELY, NUTS, marks=pytest.mark.slow),  # 20 s
    ],
    ids=[*EVERY, "nuts up to the edges"],
)
def test_a_wide_posterior_of_a_line_is_that_of_quadrature(case, options):
    """Six numbers within 5 standard errors that follow from the reported ESS: false alarm 4e-6 where that is honest."""
    assert_exact(case, by_quadrature(case["values"], case["steps"], 0.2), 0.2, options)


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
@pytest.mark.parametrize("options", [SMC, pytest.param(NUTS, marks=pytest.mark.slow)], ids=["smc", "nuts"])  # 100 s
def test_a_narrow_posterior_of_a_line_is_that_of_least_squares(options):
    """Error as above. Not emcee: of its 100 walkers a few are still in the prior's corners after 3000 steps, as R-hat reports."""
    assert_exact(CLOSELY, by_least_squares(VALUES, STEPS, 0.05), 0.05, options)


def test_least_squares_and_quadrature_agree():
    for one, other in zip(by_least_squares(VALUES, STEPS, 0.05), by_quadrature(VALUES, STEPS, 0.05), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")  # 256 particles each
@pytest.mark.parametrize(
    ("case", "sd", "exact"),
    [pytest.param(CLOSELY, 0.05, by_least_squares, marks=pytest.mark.slow), (WIDELY, 0.2, by_quadrature)],  # 23 s
)
def test_repeated_smc_gives_the_evidence_and_honest_standard_errors(case, sd, exact):
    """40 runs: evidence within 5 of their standard errors (false alarm 2e-5); the mean squares of the three errors in units of
    the reported standard error are chi-square_40 / 40, within 0.4..1.95 but for 1e-3."""
    mean, spread, log_evidence = exact(case["values"], case["steps"], sd)
    runs = [ask(**case, sampler="smc", draws=64, strict=False, seed=seed)[1] for seed in range(40)]
    ratio = np.exp(np.array([info.log_evidence for info in runs]) - log_evidence)
    error = ratio.std(ddof=1) / np.sqrt(40)
    assert error < 0.1  # a forgotten acceptance share would be a ratio of 0.5
    assert abs(ratio.mean() - 1) < 5 * error
    means, ess = np.array([(info.predictions[0, :, : len(AT)].mean(0), info.ess_bulk[: len(AT)]) for info in runs]).swapaxes(0, 1)
    z = (means - mean) / (spread / np.sqrt(ess))
    assert (((z**2).mean(0) > 0.4) & ((z**2).mean(0) < 1.95)).all()


@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
def test_particles_that_join_those_of_too_few_ancestors_leave_posterior_and_evidence_right(monkeypatch):
    """Every number of ancestors is too few here, and time is for two more temperings. Error of the six numbers as above; the log
    evidence of one tempering has a standard deviation of 0.002 over seeds: false alarm below 1e-6. A sum would be off by 1.1."""
    looks = iter([0.0] * 5)  # for the deadline, and two for each tempering
    monkeypatch.setattr("lcx.reference.smc.time", SimpleNamespace(monotonic=lambda: next(looks, np.inf)))
    monkeypatch.setattr("lcx.reference.smc.FAMILIES", 10**9)
    monkeypatch.setattr("lcx.reference.smc._AIM", np.inf)
    truth = by_quadrature(WIDELY["values"], WIDELY["steps"], 0.2)
    assert_exact(WIDELY, truth, 0.2, joined := {"sampler": "smc", "draws": 250})
    looks = iter([0.0] * 5)
    assert ask(**WIDELY, **joined, strict=False)[1].log_evidence == pytest.approx(truth[2], abs=0.02)
    assert next(looks, None) is None


# ---------------------------------------------------------------------------------------------------- emcee: what is a chain


def test_presets_are_those_of_the_lc_pfn_paper():
    """(steps in all, of which burn-in, thinning) of M1 to M3, Adriaensen et al. (2023), Section 4.1."""
    assert ensemble.PRESETS == {"emcee-M1": (2000, 500, 1), "emcee-M2": (4000, 100, 100), "emcee-M3": (4000, 500, 1)}


@pytest.mark.parametrize(("sampler", "count", "of"), [("emcee", 200, 8), ("emcee-M2", 100, 5)])
def test_walkers_count_as_chains_and_a_preset_goes_by_its_own_settings(sampler, count, of, monkeypatch):
    monkeypatch.setitem(ensemble.PRESETS, "emcee-M2", ensemble.Preset(40, 10, 6))
    with pytest.warns(RuntimeWarning, match="expected a converged"):
        _, info = ask([0.25, 0.5], [20, 60], prior=WIDE, sampler=sampler, draws=8, warmup=3, chains=2, strict=False)
    assert info.sampler == sampler
    assert info.draws.shape == (count, of, 4)
    assert info.predictions.shape == (count, of, len(AT) + 1)
    assert np.isnan(info.divergences)
    assert np.isnan(info.log_evidence)
    assert 0 < info.acceptance < 1


def test_warm_up_of_emcee_is_dropped():
    _, all_steps = tiny("emcee", warmup=0, draws=10)
    _, late = tiny("emcee", warmup=4, draws=6)
    np.testing.assert_array_equal(late.draws, all_steps.draws[:, 4:])


# ----------------------------------------------------------------------------------------------------- what all have in common


@pytest.mark.parametrize("sampler", BY_DEFAULT)
def test_the_seed_decides_alone_and_nothing_global_is_touched(sampler):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    answer, info = tiny(sampler, seed=3)
    again, info_again = tiny(sampler, seed=3)
    _, other = tiny(sampler, seed=4)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    np.testing.assert_array_equal(info.draws, info_again.draws)
    np.testing.assert_array_equal(answer.quantile([0.1, 0.9]), again.quantile([0.1, 0.9]))
    np.testing.assert_array_equal(answer.sample(3, seed=1), again.sample(3, seed=1))
    assert not np.isin(info.draws, other.draws).any()


@pytest.mark.parametrize("sampler", BY_DEFAULT)
def test_chains_start_and_stay_apart(sampler):
    _, info = tiny(sampler)
    assert len(np.unique(info.draws[:, -1, -1])) == len(info.draws)
    assert info.draws.dtype == np.float64
    assert np.isfinite(info.draws).all()


@pytest.mark.parametrize("sampler", BY_DEFAULT)
def test_draws_stay_within_the_laws_and_the_kept_are_admissible(sampler):
    """A posterior at the edge of the admissible set, c + a = 1."""
    answer, info = tiny(sampler, (0.9, 1.0), (30.0, 60.0))
    theta = torch.from_numpy(info.draws)
    assert ((theta[..., 0] >= 0.5) & (theta[..., :3] <= 1 + 1e-9).all(-1) & (theta[..., 1:] >= 0).all(-1)).all()
    admissible = WIDE.violation(theta) <= 1e-9
    assert admissible.double().mean().item() == pytest.approx(info.kept)
    assert info.kept == 1 or sampler == "nuts"
    curves = info.predictions[..., : len(AT)][admissible.numpy()].reshape(-1, len(AT))
    np.testing.assert_allclose(answer.mean, curves.mean(0), rtol=1e-9)


@pytest.mark.parametrize("sampler", BY_DEFAULT)
def test_a_context_with_zero_density_is_refused(sampler):
    with pytest.raises(
        ValueError, match=r"expected a context to which the prior 'parametric' gives positive density, got .* curve 0.*give"
    ):
        ask([1e200, 2e200], [1, 2], prior=PARAMETRIC, sampler=sampler)


@pytest.mark.parametrize("sampler", [pytest.param("smc", marks=pytest.mark.slow), "emcee"])  # 23 s
def test_percentages_read_on_the_scale_0_to_1_give_finite_answers_and_a_note(sampler):
    answer, _ = tiny(sampler, (31.0, 42.0, 48.0), (1, 2, 3), prior=PARAMETRIC)
    assert np.isfinite(answer.quantile([0.05, 0.5, 0.95])).all()
    assert "curve 0: the values lie far outside the scale (worst, best)" in answer.warnings


@pytest.mark.parametrize("sampler", BY_DEFAULT)
def test_a_prior_that_admits_nothing_is_refused(sampler):
    falling = prior_of(LogNormal(-3, 0.5), Uniform(0, 1), a=Uniform(-2, 1e-9))
    with pytest.raises(RuntimeError, match="expected prior 'line' to admit at least 1 in 10,000 proposals"):
        ask(VALUES, STEPS, prior=falling, sampler=sampler)


def test_smc_refuses_a_prior_without_linear_amplitudes_and_emcee_takes_it():
    term = Term(line, Uniform(0.5, 1), {"c": Uniform(0, 1), "a": Uniform(0, 1)})
    with pytest.raises(ValueError, match=r"expected prior 'plain' of families with linear parameters.*line; declare Term.linear, or use"):
        ask(VALUES, STEPS, prior=Prior("plain", (term,), LogNormal(-3, 0.5)), sampler="smc")
    answer, _ = tiny("emcee", prior=Prior("plain", (term,), LogNormal(-3, 0.5)))
    assert np.isfinite(answer.mean).all()


def test_nuts_reports_divergences_and_acceptance():
    _, info = tiny("nuts", [(0.25, 0.5)] * 2)
    assert info.draws.shape == (2, 2, 8, 4)
    assert info.divergences.shape == info.acceptance.shape == info.kept.shape == (2,)
    assert ((info.divergences >= 0) & (info.divergences <= 1)).all()
    assert ((info.acceptance > 0) & (info.acceptance <= 1)).all()


# ------------------------------------------------------------------------------------------------- two samplers, the real prior


@pytest.mark.slow  # 3 minutes
@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
def test_a_long_run_of_emcee_agrees_with_smc():
    """Means and sds of the curve at three steps within 5 combined standard errors of the reported ESS: false alarm 4e-6."""
    y = [0.3, 0.5, 0.35, 0.55, 0.4, 0.65, 0.5, 0.7, 0.5, 0.65]
    options = {"prior": PARAMETRIC, "at": [20, 50, 100], "strict": False}
    runs = []
    for how in ({"sampler": "smc", "draws": 1000}, {"sampler": "emcee", "draws": 6000, "warmup": 2000, "chains": 1}):
        _, info = ask(y, np.arange(1, 11), **options, **how)
        curves = info.predictions[..., :3].reshape(-1, 3)
        runs.append((curves.mean(0), curves.std(0), np.minimum(info.ess_bulk, info.ess_tail)[:3]))
    (m1, s1, n1), (m2, s2, n2) = runs
    assert (np.minimum(n1, n2) > 200).all()
    assert (np.abs(m1 - m2) < 5 * np.sqrt(s1**2 / n1 + s2**2 / n2)).all()
    assert (np.abs(np.log(s1 / s2)) < 5 * np.sqrt(0.5 / n1 + 0.5 / n2)).all()
