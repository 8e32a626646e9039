"""Pictures of the PFN against MCMC: ``python benchmarks/mcmc/pictures.py``, from results/pfn_vs_mcmc.json and mcmc_speed.json.

results/score_against_time.png: how far each method's log score is from gold's, against its seconds per curve, a panel per cut-off.
results/pfn_and_mcmc.png: fan charts of SMC with the PFN's bands on top, six benchmark curves, sampled anew.
"""

import warnings
from typing import Any

import torch

import lcx
from benchmarks.mcmc.references import CUTOFFS, QUESTION, curves
from benchmarks.provenance import read_result, results_of

FOLDER = results_of("mcmc")
FANS = ((0, 10), (2, 20), (4, 20), (11, 40), (13, 40), (19, 80))  # curve, cut-off; at (2, 20) the PFN is among its worst
LADDERS = {
    "SMC, 64 to 4,000 particles": [f"smc-{n}" for n in (64, 128, 256, 512, 1024)] + ["smc"],
    "emcee M1, M2, M3": ["emcee-M1", "emcee-M2", "emcee-M3"],
}


def main() -> None:
    """Draws both."""
    score_against_time(read_result("mcmc/pfn_vs_mcmc") or {}, read_result("mcmc/mcmc_speed") or {})
    fans()


def score_against_time(result: dict[str, Any], speed: dict[str, Any]) -> None:
    """Log score less gold's, on the contexts all MCMC methods answered."""
    import matplotlib.pyplot as plt

    methods, pfn = result["methods"], speed["seconds"]["PFN, one curve"]["median"]
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), sharey=True, layout="constrained")
    for ax, cutoff in zip(axes, map(str, CUTOFFS), strict=True):
        ax.axhline(0, color="#1b1b1b", lw=0.8, ls=":")
        for (label, names), colour in zip(LADDERS.items(), ("#2a6fbb", "#c0392b"), strict=True):
            rows = sorted(
                (methods[m][cutoff]["seconds"], methods[m][cutoff]["this_minus_gold"]) for m in names if cutoff in methods.get(m, {})
            )
            if not rows:
                continue
            gap = [g for _, g in rows]
            bars = [[g[0] - g[1] for g in gap], [g[2] - g[0] for g in gap]]
            ax.errorbar([s for s, _ in rows], [g[0] for g in gap], bars, color=colour, marker="o", ms=4, lw=1, capsize=2, label=label)
        ours = methods["smc"][cutoff]
        mean = ours["pfn_minus_this"][0] + ours["this_minus_gold"][0]
        ax.plot(pfn, mean, marker="*", ms=13, color="#e08e0b", ls="", label="PFN, one pass")
        ax.set_xscale("log")
        ax.set_title(f"cut-off {cutoff} %", fontsize=9)
        ax.set_xlabel("seconds per curve, one thread")
        ax.grid(alpha=0.25, lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("log score less gold's, nats per point")
    axes[0].set_ylim(-0.5, 0.1)
    axes[-1].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(FOLDER / "score_against_time.png", dpi=110)


def fans() -> None:
    """SMC as a fan, the PFN as lines, and how the curve went on."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    torch.set_num_threads(1)
    for ax, (curve, cutoff) in zip(axes.flat, FANS, strict=True):
        values = curves()[curve]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            answer, _ = lcx.mcmc(values[:cutoff], **QUESTION, sampler="smc", strict=False)
        answer.plot(ax, label="SMC ")
        lcx.predict(values[:cutoff], **QUESTION, model="parametric").overlay(ax, "PFN ")
        ax.plot(range(cutoff + 1, 101), values[cutoff:], ".", color="#1b1b1b", ms=2.5, alpha=0.5, label="what came")
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, values[cutoff:].min()), max(high, values[cutoff:].max()))
        ax.set_title(f"curve {curve}, cut at {cutoff}", fontsize=9)
        if ax is axes.flat[0]:
            ax.legend(frameon=False, fontsize=7, ncols=2)
        else:
            ax.get_legend().remove()
    figure.savefig(FOLDER / "pfn_and_mcmc.png", dpi=100)


if __name__ == "__main__":
    main()
