"""Shipped weights answer as recorded, in float64 on purpose: any change of weights, features or decoder shows here.

Covers the numbers, not their quality (see test_calibration). Regenerate on purpose with ``python scripts/golden.py``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lcx.extrapolator import models_folder
from lcx.pfn.checkpoint import load

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from golden import golden  # noqa: E402


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "golden").glob("*.json")), ids=lambda p: p.stem)
def test_answers_are_the_recorded_ones(path):
    import torch

    recorded, got = json.loads(path.read_text()), golden(load(models_folder() / path.stem, torch.device("cpu"))[0])
    for token, quantiles in recorded["quantiles"].items():
        np.testing.assert_allclose(got["quantiles"][token], quantiles, rtol=1e-6, atol=1e-8)
