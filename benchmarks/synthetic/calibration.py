"""Calibration of a shipped model on fresh curves of its prior: ``python benchmarks/synthetic/calibration.py``.

Per cut-off 10/20/40/80 of 100: 20,000 curves, one query step each, drawn uniformly after the cut-off. PIT histogram with a simultaneous
99 % band, coverage of central 50/80/95 % intervals, a negative control (the same model with scales x 1.5), and paths: the share of sampled
paths below each marginal quantile. Writes benchmarks/synthetic/results/calibration.json and calibration.png.
"""

import argparse
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.intervals import histogram
from benchmarks.provenance import provenance, results_of, write_result
from lcx.pretraining.objective import CUTOFFS
from lcx.priors.named import PRIORS
from lcx.scores import covered, pit, pit_band

SEED = 2**62 + 2
BINS, LEVELS = 20, (0.5, 0.8, 0.95)
PATH_CURVES, PATHS, PATH_LEVELS = 40, 2000, (0.05, 0.25, 0.5, 0.75, 0.95)


def main() -> None:
    """Measures, writes the JSON and the picture, prints one line per cut-off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="parametric")
    parser.add_argument("--curves", type=int, default=20_000)
    options = parser.parse_args()
    extrapolator = lcx.load(options.model, "cpu")
    low, high = pit_band(options.curves, BINS)
    result: dict[str, Any] = {**provenance(), "curves": options.curves, "bins": BINS, "band": [low, high], "cutoffs": {}}
    values = {}
    for i, cutoff in enumerate(CUTOFFS):
        right, wrong = (pit_values(extrapolator, options.curves, cutoff, SEED + i, widen) for widen in (1.0, 1.5))
        values[cutoff] = right
        row = {"model": summary(right), "scale_x_1.5": summary(wrong)}
        result["cutoffs"][str(cutoff)] = row
        print(
            cutoff, row["model"]["coverage"], "inside band:", row["model"]["inside_band"], "| control:", row["scale_x_1.5"]["inside_band"]
        )
    result["paths"] = path_marginals(extrapolator)
    print("paths:", result["paths"])
    write_result("synthetic/calibration", result)
    draw(values, low, high)


@torch.inference_mode()
def pit_values(extrapolator: lcx.Extrapolator, n: int, cutoff: int, seed: int, widen: float = 1.0) -> torch.Tensor:
    """PIT of one uniformly drawn later point of each of ``n`` fresh curves; ``widen`` multiplies the scales (negative control)."""
    prior = PRIORS[extrapolator.about["prior"]]
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, n, 1000):
        curves = prior.sample(min(1000, n - start), generator)
        query = torch.randint(cutoff, 100, (len(curves), 1), generator=generator)
        context = extrapolator.model.encode(curves.values[:, :cutoff], curves.steps[:, :cutoff])
        predictive = extrapolator.model.decode(context, torch.full_like(query, cutoff - 1), curves.steps.gather(1, query)).double()
        predictive = type(predictive)(predictive.logits, predictive.loc, widen * predictive.scale)
        parts.append(pit(predictive, curves.values.gather(1, query).double()).squeeze(1))
    return torch.cat(parts)


def summary(values: torch.Tensor) -> dict[str, Any]:
    """Histogram relative to uniform, whether it lies inside the band, and coverages."""
    found = histogram(values.numpy(), BINS)
    return {
        "inside_band": found["inside"],
        "histogram": found["histogram"].round(4).tolist(),
        "coverage": {str(level): round(covered(values, level).double().mean().item(), 4) for level in LEVELS},
    }


def path_marginals(extrapolator: lcx.Extrapolator) -> dict[str, Any]:
    """Share of sampled paths below the marginal quantiles, over curves cut at 20 and all later steps, against the levels.

    The spread is the standard error over curves, since paths of one curve share its steps' errors.
    """
    curves = lcx.sample_prior(PATH_CURVES, seed=7)
    answer = extrapolator(curves.values[:, :20].numpy(), horizon=100, mode="max", unit=(0, 1), at=[21, 25, 40, 60, 80, 100])
    quantiles = answer.quantile(PATH_LEVELS)
    paths = answer.sample(PATHS, seed=1)
    below = (paths[..., None] <= quantiles[:, None]).mean(1)
    error = below.std(0) / np.sqrt(PATH_CURVES)
    return {
        "curves": PATH_CURVES,
        "paths": PATHS,
        "at": answer.at[0].tolist(),
        "levels": list(PATH_LEVELS),
        "share_below": np.round(below.mean(0), 4).tolist(),
        "standard_error_over_curves": np.round(error, 4).tolist(),
        "monte_carlo_error": [round((q * (1 - q) / PATHS / PATH_CURVES) ** 0.5, 4) for q in PATH_LEVELS],
        "largest_difference": round(float(np.abs(below.mean(0) - np.array(PATH_LEVELS)).max()), 4),
    }


def draw(values: dict[int, torch.Tensor], low: float, high: float) -> None:
    """PIT histograms with the band, one panel per cut-off."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(values), figsize=(11, 2.8), sharey=True, layout="constrained")
    for ax, (cutoff, pits) in zip(axes, values.items(), strict=True):
        ax.axhspan(low, high, color="#1b1b1b", alpha=0.12, lw=0, label="99 % band of a calibrated model")
        ax.stairs(histogram(pits.numpy(), BINS)["histogram"], np.linspace(0, 1, BINS + 1), color="#2a6fbb", lw=1.6)
        ax.set(title=f"cut-off {cutoff} %", xlabel="PIT", xlim=(0, 1), ylim=(0.7, 1.3))
    axes[0].set_ylabel("relative frequency")
    axes[0].legend(frameon=False, fontsize="small", loc="lower left")
    figure.savefig(results_of("synthetic") / "calibration.png", dpi=130)


if __name__ == "__main__":
    main()
