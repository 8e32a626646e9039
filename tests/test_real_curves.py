"""The benchmark on real curves: rivals on exact curves, files in and out, scores by hand."""

import json
import sys
from math import log, pi, sqrt
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.curves import CUTOFFS, RealCurve, bounds_of, load_all, load_source
from benchmarks.forecasts import tables
from benchmarks.forecasts.baselines import FAMILIES, RIVALS, best_fit, ensemble, ets, fit, last_value, random_walk, theta
from benchmarks.forecasts.real_curves import ask_rival
from benchmarks.forecasts.summary import summary
from benchmarks.intervals import mean_of_groups
from benchmarks.peers.deephyper import deephyper
from benchmarks.scores import METRICS, ask_model, score

FREE = (None, None)
STEPS = np.arange(3.0, 303.0, 3.0)


def m4_steps(y):
    """Steps at which a curve of M4 passes through y: (y - 0.1) / (0.9 - y)^1.5 = 40 t^-0.8, solved for t."""
    return ((y - 0.1) / (0.9 - y) ** 1.5 / 40) ** (-1 / 0.8)


EXACT = {
    "pow3": (STEPS, 0.9 - 0.5 * STEPS**-0.4),
    "pow4": (STEPS, 5 + 30 * (STEPS + 20) ** -0.8),
    "mmf": (STEPS, (0.2 * 50 + 0.8 * STEPS**1.3) / (50 + STEPS**1.3)),
    "janoschek": (STEPS, 0.9 - 0.7 * np.exp(-0.02 * STEPS**0.9)),
    "m4": (m4_steps(np.linspace(0.85, 0.15, 100)), np.linspace(0.85, 0.15, 100)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_least_squares_recovers_a_noise_free_curve_at_the_horizon(family):
    steps, values = EXACT[family]
    answer = fit(family, values[:40], steps[:40], steps[40:], "max", FREE)
    # Large numbers and the other direction change nothing: values are scaled to the observed range.
    other = fit(family, 1e6 - 1e3 * values[:40], steps[:40], steps[40:], "min", FREE)
    # M4's five parameters are told apart less well by 40 points than the others' three or four.
    tolerance = 1e-3 if family == "m4" else 1e-6
    np.testing.assert_allclose(answer.loc[:, 0], values[40:], atol=tolerance)
    np.testing.assert_allclose(other.loc[:, 0], 1e6 - 1e3 * values[40:], atol=2e3 * tolerance)
    assert answer.scale.max() < tolerance


def test_residual_noise_counts_degrees_of_freedom_and_the_best_of_three_is_the_least_noisy():
    noise = 0.02 * np.random.default_rng(0).normal(size=100)
    values = EXACT["pow3"][1] + noise
    found = fit("pow3", values[:80], STEPS[:80], STEPS[80:], "max", FREE)
    assert found.scale[0, 0] == pytest.approx(0.02, rel=0.25)
    assert np.ptp(found.scale) == 0
    each = [fit(family, values[:80], STEPS[:80], STEPS[80:], "max", FREE).scale[0, 0] for family in ("pow3", "pow4", "mmf")]
    assert best_fit(values[:80], STEPS[:80], STEPS[80:], "max", FREE).scale[0, 0] == min(each)


def test_the_ensemble_mixes_all_fits():
    values = EXACT["mmf"][1] + 0.01 * np.random.default_rng(1).normal(size=100)
    answer = ensemble(values[:30], STEPS[:30], STEPS[30:], "max", FREE)
    for k, family in enumerate(FAMILIES):
        alone = fit(family, values[:30], STEPS[:30], STEPS[30:], "max", FREE)
        np.testing.assert_array_equal(answer.loc[:, k], alone.loc[:, 0])
        np.testing.assert_array_equal(answer.scale[:, k], alone.scale[:, 0])


@pytest.mark.parametrize("name", sorted(set(RIVALS) - {"random-walk"}))
@pytest.mark.parametrize("values", [[1.0, 2.0], [3.0] * 8])
def test_what_cannot_be_fitted_is_the_last_value(name, values):
    if name in ("theta", "ets"):
        pytest.importorskip("statsmodels")
    values = np.array(values)
    answer = RIVALS[name](values, np.arange(1.0, len(values) + 1), np.array([20.0, 30.0]), "max", FREE)
    assert (answer.loc == values[-1]).all()
    assert (answer.scale == 0).all()


def test_last_value_and_random_walk():
    values, steps, ahead = np.array([1.0, 4.0, 2.0, 2.5]), np.array([1.0, 2.0, 4.0, 8.0]), np.array([9.0, 10.0, 40.0])
    np.testing.assert_array_equal(last_value(values, steps, ahead, "min", FREE).loc, [[2.5]] * 3)
    walk = random_walk(values, steps, ahead, "min", FREE)
    np.testing.assert_array_equal(walk.loc, [[2.5]] * 3)
    np.testing.assert_allclose(walk.scale[:, 0], sqrt((9 + 4 + 0.25) / 3) * np.sqrt([1, 2, 3]))


def test_locations_stay_within_the_bounds():
    values = 0.5 + 0.04 * np.arange(10.0)
    for name in ("pow3", "mmf", "ensemble"):
        answer = RIVALS[name](values, np.arange(1.0, 11.0), np.array([11.0, 1000.0]), "max", (0.0, 1.0))
        assert answer.loc.min() >= 0
        assert answer.loc.max() <= 1


def test_theta_and_ets_are_equivariant_and_widen():
    pytest.importorskip("statsmodels")
    values = np.cumsum(np.random.default_rng(2).normal(size=40)) + 0.2 * np.arange(40)
    for rival in (theta, ets):
        for n in (8, 40):
            answer = rival(values[:n], STEPS[:n], STEPS[n : n + 20], "max", FREE)
            other = rival(5e3 - 1e3 * values[:n], STEPS[:n], STEPS[n : n + 20], "min", FREE)
            assert answer.loc.shape == answer.scale.shape == (20, 1)
            assert (np.diff(answer.scale[:, 0]) >= 0).all()
            # Optimisers start elsewhere on the mirrored curve.
            np.testing.assert_allclose(other.loc, 5e3 - 1e3 * answer.loc, atol=1e3 * np.ptp(values) * 0.05)


def test_deephypers_draws_become_a_mixture(monkeypatch):
    class Regressor:
        mcmc_num_samples = 200

        def __init__(self, **options):
            assert options["batch_size"] == 4

        def fit(self, steps, values):
            np.testing.assert_allclose(steps, [1, 2, 3, 4])
            self.y_max_, self.y_min_ = 3.0, 1.0
            self.mcmc_ = SimpleNamespace(get_samples=lambda: {"sigma": np.linspace(0, 1, 200)})

        def predict_posterior_samples(self, steps):
            np.testing.assert_allclose(steps, [5, 10])
            draws = np.arange(200.0)[:, None] / 100 + np.array([0, 1])
            draws[2, 0] = np.inf
            return draws

    module = ModuleType("deephyper.stopper.lce")
    module.BayesianLearningCurveRegressor = Regressor
    for name in ("deephyper", "deephyper.stopper"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "deephyper.stopper.lce", module)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(clear_caches=lambda: None))
    answer = deephyper(np.array([1.0, 2.0, 3.0, 2.5]), np.array([10.0, 20, 30, 40]), np.array([50.0, 100.0]), "max", (None, 2.0))
    assert answer.loc.shape == answer.scale.shape == (2, 100)
    assert answer.loc[0, 1] == 2.0  # an infinite draw is the last value, clipped into the bounds
    np.testing.assert_allclose(answer.loc[0, 2:], np.minimum(np.arange(4, 200, 2) / 100, 2))
    np.testing.assert_allclose(answer.scale[1], 2 * np.linspace(0, 1, 200)[::2])


def test_bounds_are_told_by_the_metric():
    assert bounds_of("validation accuracy") == (0.0, 1.0)
    assert bounds_of("validation log loss") == bounds_of("word ERROR rate") == bounds_of("Perplexity") == (0.0, None)
    assert bounds_of("mean episode return") == FREE


def save(folder, name, values, steps, metric="validation loss", direction="min"):
    np.savez(folder / f"{name}.npz", values=values, steps=steps, group=np.array(["g"] * len(values)))
    (folder / f"{name}.json").write_text(json.dumps({"metric": metric, "direction": direction}))
    return folder / f"{name}.npz"


def test_sources_are_read_as_documented(tmp_path):
    values, steps = np.full((6, 300), np.nan), np.full((6, 300), np.nan)
    steps[:] = np.arange(300) * 5.0  # from zero
    values[0, :9] = np.arange(9)  # short
    values[1, :20] = 1.5  # constant
    values[2, :20] = np.arange(20) * 1e9  # too large
    values[3] = np.arange(300) / 300
    values[4, :13] = [0, np.nan, *range(2, 13)]
    values[5, :11], steps[5, :11] = np.arange(11), np.geomspace(1, 100, 11)
    curves, left = load_source(save(tmp_path, "a", values, steps))
    assert left == {"short": 1, "large": 1, "constant": 1}
    long, holed, spread = sorted(curves, key=lambda curve: -len(curve.values))
    assert len(long.values) == 128
    assert (long.values[0], long.values[-1]) == (0, 299 / 300)
    assert (long.steps[0], long.steps[-1]) == (5, 1500)  # shifted by the first spacing
    np.testing.assert_array_equal(holed.steps, np.array([0, *range(2, 13)]) * 5 + 10)
    np.testing.assert_allclose(spread.steps, np.geomspace(1, 100, 11))
    assert holed.width == pytest.approx(np.subtract(*np.quantile([0, *range(2, 13)], [0.98, 0.02])))
    assert (long.mode, long.bounds, long.source, long.group) == ("min", (0.0, None), "a", "g")
    assert [holed.cut(share) for share in CUTOFFS] == [2, 2, 5, 10]
    assert [len(some) for some in load_all(tmp_path, most=2).values()] == [2]
    np.testing.assert_array_equal(load_all(tmp_path, most=2)["a"][1].values, curves[1].values)
    with pytest.raises(FileNotFoundError, match="--data"):
        load_all(tmp_path / "none")


def curve(values, width, mode="max"):
    return RealCurve("s", "g", mode, FREE, np.array(values, dtype=float), np.arange(1.0, len(values) + 1), width)


CURVES = [curve([0, 1, 1, 3, 5], 2.0), curve([0, 0, 100, 100, 0, 0, 0], 1.0)]


def test_scores_of_the_last_value_by_hand():
    scores = score(ask_rival(last_value, CURVES, 0.2, None), CURVES, 0.2)
    # Errors 0, 2, 4 of width 2; 100, 100, 0, 0, 0 of width 1, capped.
    np.testing.assert_allclose(scores["crps"], [1, 5], atol=1e-8)
    np.testing.assert_allclose(scores["error"], [1, 5])
    np.testing.assert_allclose(scores["final"], [2, 0])
    np.testing.assert_allclose(scores["covered"], [[1 / 3] * 3, [0.6] * 3])
    np.testing.assert_array_equal(scores["log_score"], -10)
    # Certain and right: the floor under the sd keeps the score finite.
    right = [curve([1, 1, 1, 1, 1], 2.0)]
    assert score(ask_rival(last_value, right, 0.4, None), right, 0.4)["log_score"][0] == pytest.approx(-log(1e-4) - 0.5 * log(2 * pi))


def test_scores_of_the_random_walk_by_hand():
    scores = score(ask_rival(random_walk, CURVES[:1], 0.2, None), CURVES[:1], 0.2)
    sd, z = np.sqrt([1, 2, 3]), np.array([0, 2, 4]) / np.sqrt([1, 2, 3])  # z is 0, 1.41, 2.31; intervals reach 0.67, 1.28, 1.64
    np.testing.assert_allclose(scores["covered"], [[1 / 3, 1 / 3, 2 / 3]])
    assert scores["log_score"][0] == pytest.approx(np.mean(-0.5 * z**2 - np.log(sd / 2) - 0.5 * log(2 * pi)))
    scoringrules = pytest.importorskip("scoringrules")
    assert scores["crps"][0] == pytest.approx(np.mean(scoringrules.crps_normal(np.array([1.0, 3, 5]), 1.0, sd)) / 2)


def test_an_answer_that_is_no_number_is_refused():
    answer = ask_rival(random_walk, CURVES, 0.2, None)
    answer.predictive.loc[1, 2] = np.nan
    with pytest.raises(ValueError, match="curve 1, later point 2"):
        score(answer, CURVES, 0.2)


def test_a_model_is_asked_as_a_user_would(extrapolator):
    curves = [curve(0.9 - 0.5 * np.arange(1, n + 1) ** -0.7, 0.4) for n in (12, 20)]
    answer = ask_model(extrapolator, curves, 0.4, None)
    assert answer.at.shape == (2, 12)
    assert np.isnan(answer.at[0]).sum() == 5
    scores = score(answer, curves, 0.4)
    assert all(np.isfinite(x).all() for x in scores.values())
    assert (scores["error"] < 0.5).all()


def stored(method, crps):
    """A method's file with the given CRPS per source and curve, the same at every cut-off."""
    about = dict.fromkeys(("command", "date", "commit", "device", "torch"), "x")
    cell = {source: dict.fromkeys(METRICS, each) | {"covered": [[0.5, 0.75, 1.0]] * len(each)} for source, each in crps.items()}
    cuts = {source: {f"{100 * share:.0f}": one for share in CUTOFFS} for source, one in cell.items()}
    return {**about, "method": method, "widths": {source: [1.0] * len(each) for source, each in crps.items()}, "scores": cuts}


def test_summary_and_table(tmp_path, monkeypatch):
    files = [
        stored("last-value", {"a": [1.0, 3.0], "b": [1.0]}),
        stored("random-walk", {"a": [1.0, 1.0], "b": [4.0]}),
        stored("lcx:mine", {"a": [1.0, 1.5], "b": [0.5], "c": [9.0]}),
        stored("ets", {"a": [2.0]}),
    ]
    for one in files:
        (tmp_path / f"{one['method'].replace(':', '-')}.json").write_text(json.dumps(one))
    result = summary(tmp_path)
    assert list(result["methods"]) == ["last-value", "random-walk", "ets", "lcx:mine"]
    assert result["methods"]["last-value"]["mean"]["10"]["crps"] == pytest.approx([1.5, 1.0, 2.0])  # curves of a drawn, b fixed
    assert result["methods"]["last-value"]["mean"]["10"]["covered"] == [0.5, 0.75, 1.0]
    row = result["against"]["lcx:mine"]["40"]
    assert row["simple"] == "last-value"
    assert row["sources"] == {
        "a": {"rival": "random-walk", "crps": 1.0, "ratio": 1.25},
        "b": {"rival": "last-value", "crps": 1.0, "ratio": 0.5},
    }
    assert row["rivals"]["last-value"] == {"crps": 1.5, "ratio": round(0.875 / 1.5, 4), "difference": pytest.approx([-0.625, -1, -0.25])}
    assert row["rivals"]["ets"]["ratio"] == 0.5  # on the one curve both have
    monkeypatch.setattr(tables, "read_result", lambda name: {**files[0], **result})
    shown = tables.real_curves(every=True)
    assert "| a | 1.250 / 1.000 R = **1.25**, 50/75/100 |" in shown
    assert "| last-value | 0.58*, -0.625 [-1.000, -0.250] |" in shown
    assert "lcx:mine" not in tables.real_curves()
    files[0]["widths"]["a"][0] = 2.0
    (tmp_path / "last-value.json").write_text(json.dumps(files[0]))
    with pytest.raises(ValueError, match="run both anew"):
        summary(tmp_path)


def test_intervals_draw_curves_within_sources():
    low = [np.zeros(50), np.full(30, 2.0)]
    assert mean_of_groups(low) == [1, 1, 1]
    mean, below, above = mean_of_groups([np.random.default_rng(0).normal(size=400), np.ones(5)])
    # Half of a mean of 400 has a standard error of 1/40.
    assert above - below == pytest.approx(2 * 1.96 / 40, rel=0.15)
    assert below < mean < above
