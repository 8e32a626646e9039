"""What lcx is asked when its speed is measured."""

import numpy as np
import torch

import lcx
from benchmarks.speed.rivals import HORIZON

MODEL, CUTOFF = "parametric", 40


def curves(n: int) -> np.ndarray:
    """The first 40 points of ``n`` prior draws, (n, 40)."""
    return lcx.sample_prior(n, seed=1).values[:, :CUTOFF].double().numpy()


def predict(values: np.ndarray, device: str = "cpu", levels: list[float] | None = None) -> None:
    """60 queries a curve, every step from 41 to 100, in the model's own units; then quantiles, if asked for."""
    answer = lcx.predict(values, horizon=HORIZON, mode="max", unit=(0, 1), model=MODEL, device=device)
    if levels:
        answer.quantile(levels)
    if device == "cuda":
        torch.cuda.synchronize()
