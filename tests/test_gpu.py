"""The same answers on CPU and GPU; left out without a GPU.

Both compute in float32, so results differ by rounding alone: tolerances are those by which two kinds of CPU differ.
"""

import numpy as np
import pandas as pd
import pytest
import torch

import lcx

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
LEVELS = [0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999]


@pytest.fixture(scope="module")
def curves(request):
    root = request.config.rootpath / "examples"
    names = {"digits_accuracy": "accuracy", "noisy_accuracy": "accuracy", "slow_starter_accuracy": "accuracy"}
    return [pd.read_csv(root / f"{file}.csv")[column].to_numpy()[: 10 + 15 * i] for i, (file, column) in enumerate(names.items())]


@pytest.mark.parametrize("model", ["general", "parametric"])
def test_predict_agrees(model, curves):
    asked = {"horizon": 120, "mode": "max", "bounds": (0, 1), "model": model}
    here, there = (lcx.predict(curves, **asked, device=device) for device in ("cpu", "cuda"))
    assert lcx.load(model, "cuda").device.type == "cuda"
    spread = here.std[..., None]
    assert np.nanmax(np.abs(there.quantile(LEVELS) - here.quantile(LEVELS)) / spread) < 2e-3
    np.testing.assert_allclose(there.mean, here.mean, atol=1e-3)
    np.testing.assert_allclose(there.prob_better(0.9), here.prob_better(0.9), atol=1e-3)
    np.testing.assert_allclose(there.log_prob(here.median), here.log_prob(here.median), atol=5e-3)
    assert there.warnings == here.warnings


@pytest.mark.parametrize("model", ["general", "parametric"])
def test_backtest_and_default_device_agree(model, curves):
    asked = {"horizon": 120, "mode": "max", "bounds": (0, 1), "cutoffs": [2, 5, 9]}
    here, there = (lcx.load(model, device).backtest(curves, **asked) for device in ("cpu", None))
    assert np.array_equal(np.isnan(here.median), np.isnan(there.median))
    assert np.nanmax(np.abs(there.median - here.median) / here.std) < 2e-3


def test_paths_have_the_same_law(curves):
    """Shares of 4,000 paths below the quantiles of 4,000 on the CPU, 5 standard errors: false alarm 4e-6."""
    asked = {"horizon": 60, "mode": "max", "bounds": (0, 1), "at": [50, 60]}
    here, there = (lcx.predict(curves[0], **asked, device=device).sample(4000, seed=i) for i, device in enumerate(("cpu", "cuda")))
    for level in (0.1, 0.5, 0.9):
        share = (there <= np.quantile(here, level, axis=0)).mean(0)
        assert (np.abs(share - level) < 5 * np.sqrt(2 * level * (1 - level) / 4000)).all()


def test_prior_draws_of_the_gpu_have_the_same_law():
    """Mean curve of 50,000 parametric draws on either device within 5 standard errors at six steps: false alarm 4e-6."""
    here, there = (lcx.sample_prior(50_000, seed=3, device=device).values.cpu().double() for device in ("cpu", "cuda"))
    steps = [0, 4, 19, 49, 79, 99]
    here, there = (x[:, steps].clamp(-1, 2) for x in (here, there))
    error = (here.var(0) / len(here) + there.var(0) / len(there)).sqrt()
    assert ((here.mean(0) - there.mean(0)).abs() < 5 * error).all()
