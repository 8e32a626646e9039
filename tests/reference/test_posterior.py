"""lcx.mcmc: the answer is an Extrapolation like any other, its diagnostics and gates, bad input.

Every statistical test fixes its seed, so that it passes always or never; the false-alarm rate it states is the chance that a fresh
seed would fail correct code.
"""

import inspect
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import lcx
from lcx.priors.named import PRIORS
from lcx.priors.parametric import LogNormal, Prior, Term, Uniform
from lcx.reference.diagnostics import MCMCInfo, NotConverged

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of arviz 0.23, on import


def line(t: torch.Tensor, c: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return c + a * t / 100


LINE = Prior("line", (Term(line, Uniform(0.5, 1), {"c": Uniform(0, 1), "a": Uniform(0, 1)}, ("c", "a")),), LogNormal(-3, 0.5))
# Binary fractions, so that 1 - y and 8 y - 4 are exact and the samplers see the very same numbers.
VALUES = np.array([26, 30, 29, 33, 35, 38, 36, 41]) / 64
STEPS = np.arange(10.0, 90.0, 10.0)
LEVELS = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])


def ask(values=VALUES, steps=STEPS, **options):
    given = {"horizon": 100, "mode": "max", "unit": (0, 1), "at": [82, 90, 100], "prior": LINE, "sampler": "smc", "draws": 250}
    return lcx.mcmc(values, steps, **(given | options))


# --------------------------------------------------------------------------------------------------- shapes, units, directions


def test_one_curve_a_list_of_one_and_many_have_the_documented_shapes():
    one, info = ask()
    assert one.at.shape == one.mean.shape == one.std.shape == (3,)
    assert one.quantile([0.1, 0.9]).shape == (3, 2)
    assert one.sample(5).shape == (5, 3)
    assert info.draws.shape == (1, 1000, 4)
    assert info.predictions.shape == (1, 1000, 4)
    assert info.watched.shape == (3,)
    assert info.rhat.shape == info.ess_bulk.shape == info.ess_tail.shape == (4,)
    assert np.shape(info.kept) == np.shape(info.acceptance) == np.shape(info.divergences) == np.shape(info.log_evidence) == ()
    assert ask([VALUES])[0].mean.shape == (1, 3)
    two, info = ask([VALUES, VALUES + 0.125])
    assert two.mean.shape == (2, 3)
    assert two.quantile([0.1, 0.5, 0.9]).shape == (2, 3, 3)
    assert two.sample(5).shape == (2, 5, 3)
    assert info.draws.shape == (2, 1, 1000, 4)
    assert info.predictions.shape == (2, 1, 1000, 4)
    assert info.watched.shape == (2, 3)
    assert info.rhat.shape == info.ess_bulk.shape == info.ess_tail.shape == (2, 4)
    assert info.kept.shape == info.acceptance.shape == info.divergences.shape == info.log_evidence.shape == (2,)
    assert info.names == ("line.weight", "line.c", "line.a", "sigma")


def test_a_ragged_batch_is_nan_padded_and_each_row_is_its_own_curve():
    """Means within 5 standard errors of the curves alone (two ESS of 400 each): false alarm 1e-6."""
    curves = [VALUES, VALUES[:4] + 0.25]
    batch, info = ask(curves, at=None)
    assert batch.mean.shape == (2, 60)
    assert np.isnan(batch.at[0, 20:]).all()
    for answer in (batch.mean, batch.quantile(0.5), batch.log_prob(0.5), *batch.sample(2).transpose(1, 0, 2)):
        assert np.isnan(answer[0, 20:]).all()
        assert np.isfinite(answer[0, :20]).all()
        assert np.isfinite(answer[1]).all()
    np.testing.assert_array_equal(info.watched[:, [0, 1, -1]], [[81, 86, 100], [41, 56, 100]])
    for i, curve in enumerate(curves):
        alone, _ = ask(curve, STEPS[: len(curve)], at=None)
        n = len(alone.mean)
        np.testing.assert_array_equal(batch.at[i, :n], alone.at)
        assert (np.abs(batch.mean[i, :n] - alone.mean) < 5 * alone.std * np.sqrt(2 / 400)).all()


@pytest.mark.parametrize("sampler", ["smc", "emcee"])
@pytest.mark.filterwarnings("ignore:expected a converged:RuntimeWarning")
def test_a_falling_metric_gives_the_mirror_image_and_a_scaled_one_the_scaled_answer(sampler):
    options = {"sampler": sampler, "draws": 50, "warmup": 10, "chains": 1, "strict": False}
    plain, info = ask(**options)
    mirrored, info_mirrored = ask(1 - VALUES, mode="min", unit=(1, 0), **options)
    scaled, info_scaled = ask(8 * VALUES - 4, unit=(-4, 4), **options)
    np.testing.assert_allclose(mirrored.quantile(LEVELS), 1 - plain.quantile(LEVELS)[:, ::-1], rtol=1e-9)
    np.testing.assert_allclose(scaled.quantile(LEVELS), 8 * plain.quantile(LEVELS) - 4, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mirrored.prob_better(0.4), plain.prob_better(0.6), rtol=1e-9)
    for other, curve in ((info_mirrored, 1 - info.predictions[..., :3]), (info_scaled, 8 * info.predictions[..., :3] - 4)):
        np.testing.assert_array_equal(other.draws, info.draws)
        np.testing.assert_array_equal(other.log_evidence, info.log_evidence)
        np.testing.assert_allclose(other.predictions[..., :3], curve, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(info_scaled.predictions[..., 3], 8 * info.predictions[..., 3])


def test_the_same_points_are_read_as_by_predict():
    """Points before 1 % of the horizon are left out, missing ones too, and steps are relative to the horizon."""
    plain, info = ask()
    odd = np.concatenate([[9.0, -7.0], VALUES[:3], [np.nan], VALUES[3:]])
    steps = 20 * np.concatenate([[0.2, 0.7], STEPS[:3], [35], STEPS[3:]])
    same, info_same = ask(odd, steps, horizon=2000, at=[1640, 1800, 2000])
    np.testing.assert_array_equal(info_same.draws, info.draws)
    np.testing.assert_array_equal(same.quantile(LEVELS), plain.quantile(LEVELS))
    assert same.warnings == ["curve 0: points before 1 % of the horizon are not read"]
    assert plain.warnings == []


def test_seeds_decide():
    plain, again, other = (ask(seed=seed, draws=400)[0].quantile(LEVELS) for seed in (1, 1, 2))
    np.testing.assert_array_equal(plain, again)
    assert (plain != other).all()


# ---------------------------------------------------------------------------------------- the predictive, bounds, sample paths


def test_the_answer_is_the_mixture_of_the_draws():
    """More than 4000 draws are thinned evenly to 4000, which changes the mean by less than 0.05 sd."""
    for draws in (100, 1250):
        answer, info = ask(draws=draws, strict=False) if draws > 1000 else ask_loosely(draws=draws)
        curves, sigma = info.predictions[0, :, :3], info.predictions[0, :, 3:]
        assert answer.predictive.loc.shape == (1, 3, min(4 * draws, 4000))
        tolerance = 1e-9 if draws == 100 else 0.05 * answer.std
        assert (np.abs(answer.mean - curves.mean(0)) < tolerance).all()
        np.testing.assert_allclose(answer.cdf(0.65), stats.norm.cdf((0.65 - curves) / sigma).mean(0), atol=1e-9 if draws == 100 else 0.02)


def ask_loosely(*given, **options):
    with pytest.warns(RuntimeWarning, match="expected a converged"):
        return ask(*given, **options, strict=False)


def assert_marginals(answer, n=20_000):
    """Shares of paths below quantiles: 5 binomial standard errors; 21 of them, false alarm 1e-5."""
    paths = answer.sample(n, seed=5)
    for level in LEVELS:
        share = (paths <= answer.quantile(level)).mean(0)
        assert (np.abs(share - level) < 5 * np.sqrt(level * (1 - level) / n)).all(), (level, share)


def test_paths_have_the_quantiles_of_the_answer_and_hang_together():
    """Covariance of two steps of a path is that of the mean curves, 5 standard errors: false alarm 1e-6."""
    answer, info = ask()
    assert_marginals(answer)
    paths, curves = answer.sample(20_000, seed=6), info.predictions[0, :, :3]
    between, within = np.cov(paths[:, [0, 2]].T), np.cov(curves[:, [0, 2]].T, ddof=0)
    error = np.sqrt((between[0, 0] * between[1, 1] + between[0, 1] ** 2) / 20_000)
    assert within[0, 1] > 10 * error  # there is something to see
    assert abs(between[0, 1] - within[0, 1]) < 5 * error
    np.testing.assert_array_equal(paths, answer.sample(20_000, seed=6))


HIGH = VALUES + 22 / 64  # up to 0.98


def test_paths_of_each_curve_of_a_batch_are_in_its_own_unit():
    """Scales are guessed curve by curve; shares below the median of each, 5 binomial standard errors at 9 places: false alarm 5e-6."""
    curves = [VALUES, 1000 + 64 * VALUES, 1 - VALUES]
    answer, _ = ask_loosely(curves, unit=None, draws=10)
    paths = answer.sample(2000, seed=1)
    assert paths.shape == (3, 2000, 3)
    assert (np.abs((paths <= answer.median[:, None]).mean(1) - 0.5) < 5 * 0.5 / 2000**0.5).all()


def test_bounds_hold_for_mass_quantiles_mean_and_paths():
    bounded, free = ask(HIGH, bounds=(0, 1))[0], ask(HIGH)[0]
    assert (free.sample(2000) > 1).any()
    assert (free.cdf(1.0) < 0.98).all()
    np.testing.assert_allclose(bounded.cdf(1.0), 1)
    np.testing.assert_allclose(bounded.cdf(0.0), 0, atol=1e-12)
    assert (bounded.quantile([1e-6, 1 - 1e-6]) <= 1).all()
    assert (bounded.mean < free.mean).all()
    assert ((bounded.sample(2000) >= 0) & (bounded.sample(2000) <= 1)).all()
    assert (bounded.log_prob(1.01) == -np.inf).all()
    np.testing.assert_array_equal(ask(HIGH, bounds=(0, 1), unit=None)[0].mean, bounded.mean)  # both bounds are the unit


# ------------------------------------------------------------------------------------------------------------ diagnostics, gates


def diagnostics(**changed) -> MCMCInfo:
    nan = np.full(2, np.nan)
    good = MCMCInfo(
        sampler="nuts",
        names=("c", "sigma"),
        draws=np.zeros((2, 4, 100, 2)),
        watched=np.array([[90.0, 100.0]] * 2),
        predictions=np.zeros((2, 4, 100, 3)),
        rhat=np.full((2, 3), 1.005),
        ess_bulk=np.full((2, 3), 900.0),
        ess_tail=np.full((2, 3), 800.0),
        divergences=np.array([0.0, 0.01]),
        kept=np.ones(2),
        acceptance=np.full(2, 0.8),
        log_evidence=nan,
        seconds=1.0,
    )
    return replace(good, **changed)


def second(value: float) -> np.ndarray:
    """Good numbers of curve 0, one bad number of curve 1."""
    array = np.full((2, 3), 1.001 if value < 2 or np.isnan(value) else 1000.0)
    array[1, 2] = value
    return array


@pytest.mark.parametrize(
    ("changed", "sentences"),
    [
        ({}, []),
        ({"rhat": second(1.02)}, ["curve 1: R-hat 1.020 > 1.01"]),
        ({"rhat": second(np.nan)}, ["curve 1: R-hat nan > 1.01"]),
        ({"ess_bulk": second(399.0)}, ["curve 1: ESS 399 < 400"]),
        ({"ess_tail": second(12.0)}, ["curve 1: ESS 12 < 400"]),
        ({"divergences": np.array([0.025, 0.0])}, ["curve 0: 2.5% of transitions diverge (> 1%)"]),
        ({"kept": np.array([0.0, 0.2])}, ["curve 0: no draw is admissible"]),
        ({"rhat": second(1.5), "ess_tail": second(12.0)}, ["curve 1: R-hat 1.500 > 1.01, ESS 12 < 400"]),
        ({"sampler": "smc", "rhat": np.full((2, 3), np.nan), "log_evidence": np.array([3.0, -7.0])}, []),
        (
            {"sampler": "smc", "rhat": np.full((2, 3), np.nan), "log_evidence": np.array([3.0, np.nan])},
            ["curve 1: the tempering stopped short of the posterior"],
        ),
    ],
)
def test_problems_name_the_curve_and_the_gate_that_fails(changed, sentences):
    assert diagnostics(**changed).problems() == sentences


def test_not_converged_is_raised_with_the_draws_or_else_warned_of_and_noted():
    with pytest.raises(NotConverged, match=r"expected a converged smc posterior, got curve 0: ESS \d+ < 400; take more draws") as caught:
        ask(draws=20)
    info = caught.value.info
    assert info.draws.shape == (1, 80, 4)
    assert len(info.problems()) == 1
    answer, again = ask_loosely(draws=20, unit=None)
    guessed, *problems = answer.warnings
    assert guessed.startswith("no unit and no two bounds given")
    assert problems == again.problems()
    assert isinstance(caught.value, RuntimeError)
    assert lcx.NotConverged is NotConverged


def test_chains_that_disagree_are_noticed():
    """Walkers that have hardly moved since their starts have a large R-hat."""
    with pytest.raises(NotConverged, match=r"expected a converged emcee posterior, got curve 0: R-hat [1-9]"):
        ask(sampler="emcee", draws=8, warmup=0, chains=1)


@pytest.mark.parametrize(("values", "curve"), [(VALUES, 0), ([VALUES, VALUES + 0.125], 1)], ids=["one", "of two"])
def test_draws_go_to_arviz(values, curve):
    _, info = ask_loosely(values, sampler="emcee", draws=100, warmup=0, chains=1)
    data = info.to_arviz(curve)
    draws, predictions = (x[curve] if len(values) == 2 else x for x in (info.draws, info.predictions))
    assert set(data.groups()) == {"posterior", "predictions"}
    assert set(data.posterior.data_vars) == {"line.weight", "line.c", "line.a", "sigma"}
    assert data.posterior["line.c"].dims == ("chain", "draw")
    np.testing.assert_array_equal(data.posterior["line.c"], draws[..., 1])
    assert data.predictions["mean_curve"].dims == ("chain", "draw", "step")
    assert data.predictions["mean_curve"].shape == (100, 100, 3)
    np.testing.assert_array_equal(data.predictions["mean_curve"].sel(step=90), predictions[..., 1])
    assert data.attrs["sampler"] == "emcee"


# ---------------------------------------------------------------------------------------------------------------------- input


class Black:
    """A prior of samples alone."""

    name = "black box"

    def sample(self, n, generator, steps=None):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "gibbs"}, r"expected sampler to be one of \('nuts', 'emcee', .*\), got 'gibbs'; choose one of these names"),
        ({"prior": "flat"}, r"expected prior to be one of \[.*'parametric'.*\], got 'flat'; choose one of these names"),
        ({"prior": "black box"}, r"expected a prior with a tractable likelihood for MCMC, got 'black box'; use prior='parametric'"),
        ({"values": VALUES[:1], "steps": STEPS[:1]}, r"expected at least 2 observed points per curve, got 1 in curve 0; use lcx.predict"),
        ({"values": [VALUES, VALUES[:1]]}, r"expected at least 2 observed points per curve, got 1 in curve 1; use lcx.predict"),
        ({"draws": 3}, r"expected draws as a whole number >= 4, got 3; give one"),
        ({"draws": 100.0}, r"expected draws as a whole number >= 4, got 100.0; give one"),
        ({"draws": True}, r"expected draws as a whole number >= 4, got True; give one"),
        ({"warmup": -1}, r"expected warmup as a whole number >= 0, got -1; give one"),
        ({"chains": 0}, r"expected chains as a whole number >= 1, got 0; give one"),
        ({"chains": "4"}, r"expected chains as a whole number >= 1, got '4'; give one"),
        ({"seconds": -1}, r"expected seconds as a number >= 0, got -1; give one"),
        ({"seconds": float("nan")}, r"expected seconds as a number >= 0, got nan; give one"),
        ({"at": [80]}, r"Expected `at` after the last observed step"),
        ({"mode": "up"}, r"Expected mode 'max' or 'min'; got 'up'"),
    ],
)
def test_bad_input_is_refused_in_three_parts(options, message, monkeypatch):
    monkeypatch.setitem(PRIORS, "black box", Black())
    monkeypatch.setattr(lcx, "mcmc", inspect.unwrap(lcx.mcmc))  # as users call it, without the tests' own check of types
    with pytest.raises(ValueError, match=message):
        ask(**options)


@pytest.mark.parametrize(("package", "sampler"), [("emcee", "emcee"), ("arviz", "emcee")])
def test_a_missing_package_is_named(package, sampler, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"expected the package {package} .*pip install 'lcx\[mcmc\]'"):
        ask(sampler=sampler, draws=4, warmup=0, chains=1)


def test_progress_is_shown_on_demand_alone(capsys):
    ask()
    assert capsys.readouterr().err == ""
    ask([VALUES, VALUES], progress=True)
    assert "2/2" in capsys.readouterr().err
