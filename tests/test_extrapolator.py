"""predict, load, Extrapolator, Extrapolation: shapes, units, directions, bad input, and agreement of the ways to ask."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lcx
from lcx.pfn.tokens import MOST_TOKENS

RISING = 0.9 - 0.6 * np.arange(1, 31) ** -0.7
EXAMPLES = Path(__file__).parents[1] / "examples"


def predict(values=RISING, steps=None, **options):
    return lcx.predict(
        values, steps, **({"horizon": 100, "mode": "max", "bounds": (0, 1), "model": "parametric", "device": "cpu"} | options)
    )


def test_one_curve_many_curves_and_a_list_of_one_have_the_documented_shapes():
    one, two = predict(horizon=40), predict([RISING, RISING[:20]], horizon=40)
    assert one.at.shape == one.mean.shape == one.median.shape == one.std.shape == (10,)
    assert one.quantile([0.1, 0.9]).shape == (10, 2)
    assert one.quantile(0.1).shape == (10,)
    assert one.sample(3).shape == (3, 10)
    assert two.mean.shape == (2, 20)
    assert two.quantile([0.1, 0.5, 0.9]).shape == (2, 20, 3)
    assert two.sample(2).shape == (2, 2, 20)
    assert predict([RISING], horizon=40).mean.shape == (1, 10)
    for answer in (one.at, one.mean, one.quantile(0.5), one.sample(2), one.log_prob(0.5), one.crps(0.5), one.cdf(0.5)):
        assert answer.dtype == np.float64


def test_a_ragged_batch_equals_its_curves_alone_and_is_nan_padded():
    curves = [RISING, RISING[:7], RISING[:1]]
    batch = predict(curves, horizon=40)
    levels, crps, paths = batch.quantile([0.05, 0.95]), batch.crps(0.5), batch.sample(2)
    for i, curve in enumerate(curves):
        alone, n = predict(curve, horizon=40), 40 - len(curve)
        np.testing.assert_array_equal(batch.at[i, :n], alone.at)
        assert np.isnan(batch.at[i, n:]).all()
        np.testing.assert_allclose(levels[i, :n], alone.quantile([0.05, 0.95]), atol=1e-5)
        assert np.isnan(levels[i, n:]).all()
        assert np.isnan(crps[i, n:]).all()
        assert np.isnan(paths[i, :, n:]).all()


def test_parts_that_bound_memory_change_nothing(monkeypatch):
    whole = predict([RISING, RISING[:7]])
    monkeypatch.setattr("lcx.extrapolation._CHUNK", 200)
    parts = predict([RISING, RISING[:7]])
    for ask in (lambda x: x.quantile([0.05, 0.5, 0.95]), lambda x: x.mean, lambda x: x.std, lambda x: x.cdf(0.8), lambda x: x.crps(0.8)):
        np.testing.assert_allclose(ask(parts), ask(whole), rtol=1e-9)


def test_thousands_of_ragged_curves_in_one_call():
    lengths = np.random.default_rng(0).integers(1, 60, size=2000)
    batch = predict([RISING[:1].repeat(n) * np.linspace(0.8, 1, n) for n in lengths], at=[70, 100])
    assert batch.mean.shape == (2000, 2)
    assert np.isfinite(batch.mean).all()


def test_log_prob_cdf_and_quantile_are_of_one_law_in_user_units():
    answer = predict(100 * RISING, bounds=(0, 100), at=[50])
    grid = np.linspace(0, 100, 200_001)
    density = np.exp(np.array([answer.log_prob(y)[0] for y in grid[::200]]))
    assert np.trapezoid(density, grid[::200]) == pytest.approx(1, abs=1e-3)
    for q in (0.01, 0.5, 0.99):
        assert answer.cdf(answer.quantile(q))[0] == pytest.approx(q, abs=1e-9)


@pytest.mark.parametrize("bounds", [(0, 1), (None, None)])
def test_scaling_the_metric_scales_the_answer_and_flipping_it_flips_the_answer(bounds):
    """y -> a y + b with a > 0 and mapped bounds; y -> -y with the other mode: float32 rounding of the input only."""

    def mapped(a, b):
        return tuple(None if bound is None else a * bound + b for bound in bounds)

    plain = predict(bounds=bounds)
    scaled = predict(20 * RISING - 5, bounds=mapped(20, -5))
    flipped = predict(-RISING, bounds=mapped(-1, 0)[::-1], mode="min")
    np.testing.assert_allclose(scaled.quantile([0.05, 0.5, 0.95]), 20 * plain.quantile([0.05, 0.5, 0.95]) - 5, atol=2e-4)
    np.testing.assert_allclose(flipped.quantile([0.05, 0.5, 0.95]), -plain.quantile([0.95, 0.5, 0.05]), atol=1e-5)
    np.testing.assert_allclose(flipped.prob_better(-0.8), plain.prob_better(0.8), atol=1e-5)


def test_read_only_arrays_as_pandas_gives_them_are_taken():
    frozen = np.array([0.5, 0.6])
    frozen.flags.writeable = False
    answer = predict(pd.Series(RISING), at=[50, 60])
    np.testing.assert_array_equal(answer.cdf(frozen), answer.cdf([0.5, 0.6]))
    np.testing.assert_array_equal(predict(frozen).median, predict([0.5, 0.6]).median)


def test_prob_better_follows_the_mode_and_quantiles_rise_in_either():
    up, down = predict(), predict(1 - RISING, mode="min")
    assert (up.prob_better(0.05) > 0.99).all()
    assert (up.prob_better(0.9999) < 0.5).all()
    assert (down.prob_better(0.9) > 0.99).all()
    for answer in (up, down):
        assert (np.diff(answer.quantile([0.1, 0.5, 0.9]), axis=-1) > 0).all()


def test_expected_improvement_follows_the_mode():
    some = {"at": [31, 60, 100]}
    up, down = predict(**some), predict(1 - RISING, mode="min", **some)
    np.testing.assert_allclose(up.expected_improvement(0.05), up.mean - 0.05, rtol=1e-3)  # it is sure to be better
    np.testing.assert_allclose(down.expected_improvement(0.95), 0.95 - down.mean, rtol=1e-3)
    drawn = up.predictive.sample(4000, torch.Generator().manual_seed(0))[:, 0].numpy()
    np.testing.assert_allclose(up.expected_improvement(0.8), np.maximum(drawn - 0.8, 0).mean(0), rtol=0.15)  # 6 standard errors
    assert predict([RISING, RISING], **some).expected_improvement(0.8).shape == (2, 3)


def test_the_predictive_puts_no_mass_outside_the_bounds():
    high = 1 - 0.05 * np.arange(1, 11) ** -1.0
    answer = predict(high)
    assert answer.quantile(1 - 1e-9).max() <= 1
    assert (answer.cdf(1.0) == 1).all()
    assert answer.sample(50).max() <= 1
    assert predict(high, bounds=(None, None), unit=(0, 1)).quantile(0.999).max() > 1


def test_steps_in_any_unit_give_the_same_answer():
    steps = np.arange(1, 31)
    plain, tokens = predict(), predict(RISING, 5e6 * steps, horizon=5e8, at=5e6 * np.arange(31, 101))
    np.testing.assert_allclose(tokens.median, plain.median, atol=1e-6)
    np.testing.assert_allclose(tokens.at, 5e6 * plain.at)


def test_missing_points_inside_are_left_out_together_with_their_step():
    holes, kept = RISING.copy(), np.delete(np.arange(30), [3, 17])
    holes[[3, 17]] = np.nan
    np.testing.assert_allclose(predict(holes).median, predict(RISING[kept], kept + 1).median, atol=1e-6)


@pytest.mark.parametrize("values", [[0.4], [0.4, np.nan], [0.4, 0.41], [0.4, 0.4, 0.4]])
@pytest.mark.parametrize("bounds", [(0, 1), (0, None), (None, None)])
def test_one_two_or_equal_points_give_wide_finite_answers(values, bounds):
    answer = predict(values, bounds=bounds, horizon=50)
    levels = answer.quantile([0.05, 0.95])
    assert np.isfinite(levels).all()
    assert (levels[:, 1] - levels[:, 0] > 1e-3).all()
    assert np.isfinite(answer.mean).all()
    assert np.isfinite(answer.std).all()


def test_points_before_one_percent_of_the_horizon_are_left_out_and_said_so():
    long = predict(RISING, horizon=600)
    np.testing.assert_allclose(long.median, predict(RISING[5:], np.arange(6, 31), horizon=600).median, atol=1e-6)
    assert any("before 1 %" in sentence for sentence in long.warnings)
    begun = predict(RISING[:3], horizon=1000)
    assert np.isfinite(begun.quantile([0.05, 0.95])).all()
    assert any("only the last is read" in sentence for sentence in begun.warnings)


def test_longer_curves_are_thinned_to_what_the_model_reads_and_keep_the_last_point():
    steps = np.arange(1, 501)
    values = 0.9 - 0.6 * steps**-0.5
    answer = predict(values, horizon=1000)
    assert answer.at.shape == (500,)
    kept = 9 + np.round(np.linspace(0, 490, MOST_TOKENS)).astype(int)
    np.testing.assert_allclose(answer.median, predict(values[kept], steps[kept], horizon=1000, at=answer.at).median, atol=1e-5)
    assert any("evenly spaced" in sentence for sentence in answer.warnings)


def test_a_curve_of_the_prior_raises_no_warning_and_a_diverging_one_does():
    curves = lcx.sample_prior(200, seed=3)
    answer = lcx.predict(curves.values[:, :50].numpy(), horizon=100, mode="max", unit=(0, 1), model="parametric", device="cpu")
    # Each of 200 prior curves is reported with a chance of about 1e-5 by design, and leaves (-0.5, 1.5) about as rarely.
    # They know no bounds, so some have mass above 1.
    assert [sentence for sentence in answer.warnings if "of the mass" not in sentence] == []
    diverging = pd.read_csv(EXAMPLES / "diverging_loss.csv")["loss"].to_numpy()[:40]
    notes = lcx.predict(diverging, horizon=60, mode="min", bounds=(0, None), model="parametric", device="cpu").warnings
    assert any("drifts away" in sentence for sentence in notes)
    jump = curves.values[0, :50].numpy().copy()
    jump[40] += 5
    assert any("jumps at point 41" in sentence for sentence in predict(jump, bounds=(None, None), unit=(0, 1)).warnings)


def test_sampled_paths_have_the_predicted_marginals_and_are_joint():
    """K-S of 2,000 paths at every step, false-alarm rate 1e-4 each."""
    from scipy.stats import kstest

    curves = lcx.sample_prior(1, seed=11)
    answer = lcx.predict(
        curves.values[0, :20].numpy(), horizon=100, mode="max", unit=(0, 1), at=[21, 22, 60, 100], model="parametric", device="cpu"
    )
    paths = answer.sample(2000, seed=5)
    levels = np.stack([answer.cdf(path) for path in paths])
    assert all(kstest(column, "uniform").pvalue > 1e-4 for column in levels.T)
    residual = paths - answer.median
    assert np.corrcoef(residual[:, 2], residual[:, 3])[0, 1] > 0.1, "later steps of one path must go together"
    few = answer.sample(20, seed=5)
    np.testing.assert_array_equal(few, answer.sample(20, seed=5))
    assert not np.array_equal(few, answer.sample(20, seed=6))


def test_backtest_equals_predicting_from_each_prefix():
    cuts = [1, 5, 20]
    back = lcx.load("parametric", "cpu").backtest(RISING, cutoffs=cuts, horizon=100, mode="max", bounds=(0, 1))
    assert back.mean.shape == (3, 99)
    for i, n in enumerate(cuts):
        alone = predict(RISING[:n])
        later = ~np.isnan(back.at[i])
        np.testing.assert_array_equal(back.at[i][later], alone.at)
        np.testing.assert_allclose(back.quantile([0.05, 0.5])[i][later], alone.quantile([0.05, 0.5]), atol=1e-5)


def test_backtest_of_a_finished_ragged_batch():
    extrapolator = lcx.load("parametric", "cpu")
    back = extrapolator.backtest([RISING, RISING[:12]], horizon=30, mode="max", bounds=(0, 1))
    assert back.mean.shape[:2] == (2, 29)
    assert np.isfinite(back.mean[0, 0]).any()
    assert np.isnan(back.mean[1, 12:]).all(), "the second curve has only 12 points"
    frame = back.to_frame()
    assert list(frame.columns) == ["run", "cutoff", "step", "mean", "0.05", "0.25", "0.5", "0.75", "0.95"]
    assert (frame["step"] > frame["cutoff"]).all()
    with pytest.raises(ValueError, match="back-test"):
        back.sample(2)
    for bad in ([0], [31], [3, 3], [2.5], []):
        with pytest.raises(ValueError, match="cutoffs"):
            extrapolator.backtest(RISING, cutoffs=bad, horizon=30, mode="max", bounds=(0, 1))
    with pytest.raises(ValueError, match="1 % of the horizon"):
        extrapolator.backtest(RISING, cutoffs=[2], horizon=600, mode="max", bounds=(0, 1))


def test_to_frame_is_long_and_without_padding():
    frame = predict([RISING, RISING[:28]]).to_frame()
    assert list(frame.columns) == ["run", "step", "mean", "0.05", "0.25", "0.5", "0.75", "0.95"]
    assert frame.groupby("run").size().tolist() == [70, 72]
    assert frame.notna().all().all()


def test_inputs_are_never_edited():
    values, steps, at = RISING.copy(), np.arange(1.0, 31.0), np.array([50.0, 100.0])
    predict(values, steps, at=at)
    np.testing.assert_array_equal(values, RISING)
    np.testing.assert_array_equal(steps, np.arange(1.0, 31.0))
    np.testing.assert_array_equal(at, [50.0, 100.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": []}, "values"),
        ({"values": [np.nan, np.nan]}, "finite"),
        ({"values": [0.1, np.inf]}, "finite"),
        ({"values": ["0.1", "high"]}, "numbers"),
        ({"steps": np.arange(30, 0, -1)}, "increasing"),
        ({"steps": [1, 1, *range(3, 31)]}, "increasing"),
        ({"steps": np.arange(30)}, "> 0"),
        ({"steps": np.arange(1, 31) * 10}, "horizon"),
        ({"horizon": 30}, "horizon"),
        ({"horizon": 7}, "horizon"),
        ({"at": []}, "at"),
        ({"at": [60, 50]}, "increasing"),
        ({"at": [20]}, "at"),
        ({"at": [101]}, "at"),
        ({"values": [0.5, 1.2]}, "bounds"),
        ({"bounds": (1, 0)}, "reversed"),
        ({"mode": "maximum"}, "mode"),
        ({"values": [RISING, RISING], "horizon": [100, 100, 100]}, "horizon"),
        ({"model": "parametrik"}, "parametric"),
        ({"unit": (1, 1)}, "unit"),
    ],
)
def test_bad_input_says_what_was_expected_what_came_and_what_to_do(change, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        predict(**change)
    message = str(caught.value)
    assert message.lower().startswith("expected")
    assert "got" in message


@pytest.mark.parametrize("q", [0, 1, -0.1, 1.5, np.nan, [0.5, 1.0], [[0.5]]])
def test_quantile_levels_outside_0_1_are_refused(q):
    with pytest.raises(ValueError, match="levels"):
        predict().quantile(q)


def test_load_is_cached_takes_a_folder_and_refuses_damaged_models(tmp_path):
    from lcx.extrapolator import models_folder

    folder = models_folder() / "parametric"
    assert lcx.load("parametric", "cpu") is lcx.load(folder, "cpu")
    assert lcx.load("general", "cpu") is lcx.load("default", "cpu")
    copy = tmp_path / "model"
    copy.mkdir()
    weights = (folder / "model.safetensors").read_bytes()
    config = json.loads((folder / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="safetensors"):
        lcx.load(copy, "cpu")
    (copy / "model.safetensors").write_bytes(weights)
    assert np.isfinite(lcx.load(copy, "cpu")(RISING, horizon=100, mode="max").mean).all()


def test_shipped_models_are_small_and_match_their_cards():
    import hashlib

    from lcx.extrapolator import models_folder

    for folder in (p.parent for p in models_folder().glob("*/config.json")):
        weights = (folder / "model.safetensors").read_bytes()
        model = lcx.load(folder, "cpu").model
        assert sum(p.numel() for p in model.parameters()) <= 5_000_000
        assert len(weights) <= 16 * 2**20
        assert hashlib.sha256(weights).hexdigest() in (folder / "README.md").read_text()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_gives_the_cpu_s_answer():
    np.testing.assert_allclose(predict(device="cuda").quantile([0.05, 0.95]), predict().quantile([0.05, 0.95]), atol=1e-3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_answers_as_its_parent_does():
    """Its parent's threads are not there, and OpenMP would wait for them for ever."""
    code = """
import os, signal, torch, lcx
torch.set_num_threads(2)
curves = lcx.sample_prior(256, seed=1).values[:, :30].double().clamp(0, 1).numpy()
ask = lambda n: lcx.predict(curves[:n], horizon=100, mode="max", bounds=(0, 1), at=[50, 100], device="cpu")
median = ask(256).median
if (child := os.fork()) == 0:
    signal.alarm(120)
    os._exit(0 if abs(ask(256).median - median).max() < 1e-5 and ask(8).sample(2).shape == (8, 2, 2) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n", done.stderr


def test_the_largest_numbers_are_answered_or_refused():
    """Found by fuzzing: quantiles closer than float64 can tell apart, and overflow."""
    far = predict([0.0, 0.0, 0.0, 1e60], [1, 2, 3, 4], horizon=5, mode="min", bounds=(None, None), at=[5]).quantile(
        [1e-6, 0.001, 0.5, 0.75, 0.999]
    )
    assert (np.diff(far) >= 0).all()
    assert np.isfinite(predict([1e300], horizon=2, bounds=(None, None), model="general").quantile([0.001, 0.999])).all()
    with pytest.raises(ValueError, match=r"Expected values up to 1e\+300 in size.*got \[1.7e\+308\].*Rescale"):
        predict([1.7e308], horizon=2, bounds=(None, None), model="general")
    tiny = predict([0.0, 5e-324], horizon=3, bounds=(0, None))  # a range of which float64 holds no part: as if equal
    assert np.isfinite(tiny.mean).all()
    assert np.isfinite(tiny.quantile([0.001, 0.999])).all()
