"""Simulation-based calibration of the PFN and of MCMC on prior draws: ``python benchmarks/mcmc/sbc.py``.

A curve is drawn from the prior and cut at 10, 20, 40 or 80 of 100 points; each method answers with 199 paths through five later steps.
If its posterior is right, what came true ranks uniformly among them: at the next step, at the last one, and in distance to a random
reference point in the space of whole paths (another prior curve; in the spirit of TARP). For MCMC also the mean curve's end and
sigma, which the PFN does not speak of. Ranks are held against a simultaneous 99 % band. Controls: the law that made the data must
pass, the same method with paths drawn together or apart by half must fail.

Source: Talts et al., "Validating Bayesian inference algorithms with simulation-based calibration" (arXiv 1804.06788); Lemos et al.,
"Sampling-based accuracy testing of posterior estimators for general inference" (ICML 2023). Writes results/sbc.json and sbc.png.
"""

import argparse
import warnings
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.intervals import histogram
from benchmarks.mcmc.references import CUTOFFS, QUESTION
from benchmarks.provenance import provenance, results_of, write_result
from lcx.priors.parametric import PARAMETRIC

PATHS, BINS, SEED = 199, 10, 2**62 + 5


def main() -> None:
    """Ranks, tables, picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pfn-curves", type=int, default=2000)
    parser.add_argument("--mcmc-curves", type=int, default=400)
    parser.add_argument("--particles", type=int, default=1024)
    options = parser.parse_args()
    ranks = {
        **pfn(options.pfn_curves),
        **{f"SMC: {name}": x for name, x in mcmc(options.mcmc_curves, options.particles).items()},
    }
    rows = {name: summary(x) for name, x in ranks.items()}
    write_result("mcmc/sbc", {**provenance(), "paths": PATHS, "bins": BINS, "particles": options.particles, "rows": rows})
    for name, row in rows.items():
        print(f"{name:<45} n {row['n']:>5}  {'inside' if row['inside'] else 'OUTSIDE'}  {row['lowest']:.2f}..{row['highest']:.2f}")
    draw(rows)


def drawn(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Parameters, mean curves and noisy values of ``n`` prior curves, float64."""
    generator = torch.Generator().manual_seed(seed)
    theta = PARAMETRIC.parameters(PARAMETRIC.draw(n, generator)).double()
    theta = theta[torch.randperm(n, generator=generator)]
    mean = PARAMETRIC.mean_curve(theta, torch.arange(1.0, 101.0).double())
    return theta, mean, mean + PARAMETRIC.sigma(theta)[:, None] * torch.randn(mean.shape, generator=generator).double()


def steps_after(cutoff: int) -> np.ndarray:
    """Five steps, the next and the last among them."""
    return np.linspace(cutoff + 1, 100, 5).round()


def ranks_of(paths: np.ndarray, truth: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Ranks, jittered into (0, 1), of ``truth`` (B, A) among ``paths`` (B, n, A)."""
    width = paths.std(1)

    def far(x: np.ndarray) -> np.ndarray:  # in posterior sds, so that every step counts alike; any fixed metric is valid
        return np.square((x - reference[:, None]) / width[:, None]).sum(-1)

    quantities = {
        "next step": (paths[..., 0], truth[:, 0]),
        "last step": (paths[..., -1], truth[:, -1]),
        "whole path (TARP)": (far(paths), far(truth[:, None])[:, 0]),
    }
    return {name: rank(some, one, rng) for name, (some, one) in quantities.items()}


def rank(some: np.ndarray, one: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rank of each ``one`` (B,) among its ``some`` (B, n), jittered into (0, 1)."""
    return ((some < one[:, None]).sum(1) + rng.random(len(one))) / (some.shape[1] + 1)


def pfn(n: int) -> dict[str, np.ndarray]:
    """The PFN and the controls, a quarter of ``n`` curves per cut-off."""
    extrapolator, rng, parts = lcx.load("parametric", "cpu"), np.random.default_rng(0), []
    for i, cutoff in enumerate(tqdm(CUTOFFS, desc="PFN")):
        theta, mean, values = drawn(n // len(CUTOFFS), SEED + i)
        reference = drawn(n // len(CUTOFFS), SEED + 100 + i)[2]
        at = steps_after(cutoff)
        index = at.astype(int) - 1
        truth, other = values[:, index].numpy(), reference[:, index].numpy()
        paths = np.concatenate([extrapolator(v[:, :cutoff].numpy(), **QUESTION, at=at).sample(PATHS, seed=i) for v in values.split(500)])
        sigma, center = PARAMETRIC.sigma(theta).numpy()[:, None, None], mean[:, None, index].numpy()
        oracle = center + sigma * rng.standard_normal(paths.shape)
        middle = paths.mean(1, keepdims=True)
        cases = {"PFN": paths, "control: the law of the data": oracle}
        cases |= {f"control: PFN, paths x {x}": middle + x * (paths - middle) for x in (0.67, 1.5)}
        parts.append({f"{case}: {k}": v for case, p in cases.items() for k, v in ranks_of(p, truth, other, rng).items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mcmc(n: int, particles: int) -> dict[str, np.ndarray]:
    """SMC, a quarter of ``n`` curves per cut-off."""
    rng, rows = np.random.default_rng(1), []
    torch.set_num_threads(1)
    for i, cutoff in enumerate(CUTOFFS):
        theta, mean, values = drawn(n // len(CUTOFFS), SEED + 200 + i)
        reference, at = drawn(n // len(CUTOFFS), SEED + 300 + i)[2], steps_after(cutoff)
        index = at.astype(int) - 1
        for j in tqdm(range(len(values)), desc=f"SMC, cut-off {cutoff}"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # few particles: calibration is the question, not precision
                how = {"sampler": "smc", "draws": particles // 4, "seed": 1000 * i + j, "strict": False}
                answer, info = lcx.mcmc(values[j, :cutoff].numpy(), **QUESTION, at=at, **how)
            found = ranks_of(answer.sample(PATHS)[None], values[j : j + 1, index].numpy(), reference[j : j + 1, index].numpy(), rng)
            latent = info.predictions[0, :: particles // PATHS][:PATHS]
            found["mean curve at the end"] = rank(latent[None, :, -2], mean[j : j + 1, -1].numpy(), rng)
            found["sigma"] = rank(latent[None, :, -1], theta[j : j + 1, -1].numpy(), rng)
            rows.append(found)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def summary(ranks: np.ndarray) -> dict[str, Any]:
    """Histogram relative to uniform, and whether it lies inside the simultaneous band."""
    found = histogram(ranks, BINS)
    counts = found["histogram"]
    extremes = {"lowest": float(counts.min()), "highest": float(counts.max())}
    return {"n": len(ranks), "inside": found["inside"], "band": found["band"], **extremes, "histogram": counts.tolist()}


def draw(rows: dict[str, Any]) -> None:
    """One small histogram per row, controls in grey, what lies outside its band in red."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(-(-len(rows) // 3), 3, figsize=(10, 2 * -(-len(rows) // 3)), sharex=True, layout="constrained")
    edges = np.linspace(0, 1, BINS + 1)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax, (name, row) in zip(axes.flat, rows.items(), strict=False):
        colour = "#c0392b" if not row["inside"] else "#999999" if name.startswith("control") else "#2a6fbb"
        ax.axhspan(*row["band"], color="#e8e8e8", lw=0)
        ax.stairs(row["histogram"], edges, fill=True, color=colour, alpha=0.75)
        ax.axhline(1, color="#1b1b1b", lw=0.6)
        ax.set_title(name, fontsize=8)
        ax.set_ylim(0, max(1.6, 1.1 * row["highest"]))
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("rank of what came true", fontsize=9)
    figure.savefig(results_of("mcmc") / "sbc.png", dpi=110)


if __name__ == "__main__":
    main()
