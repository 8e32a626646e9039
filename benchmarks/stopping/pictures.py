"""Regret against the budget, the mean over tasks and every task by itself: part of benchmarks/stopping/early_stop.py."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Methods worth a line; the tables hold the others.
RIVALS = {
    "no stopping": ("#1b1b1b", "-"),
    "patience 5": ("#8c8c8c", (0, (5, 1.5))),
    "median rule": ("#a08a3c", "-"),
    "ASHA, eta 3": ("#2a6fbb", "-"),
    "successive halving": ("#2a6fbb", (0, (5, 1.5))),
    "Hyperband": ("#7fb0de", "-"),
    "top 10 after 1": ("#3a8f5c", "-"),
}
OWN = ("#c0392b", "#f0861a", "#8e44ad", "#c98bb9", "#000000")


def draw(tasks: dict[str, Any], own: list[str], folder: Path) -> None:
    """Writes early_stop.png, the mean over tasks, and early_stop_tasks.png, in which the lines of ``own`` are the same."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8.5, 4.8), layout="constrained")
    names = [name for name in next(iter(tasks.values()))["methods"] if name in RIVALS or name in own]
    mean = {name: np.mean([one["methods"][name]["regret"] for one in tasks.values()], 0) for name in names}
    lines(ax, mean, own)
    ax.set_xlabel("budget spent, horizons")
    ax.set_ylabel(f"regret, mean over {len(tasks)} tasks")
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(folder / "early_stop.png", dpi=110)
    plt.close(figure)
    columns = 4
    figure, axes = plt.subplots(-(-len(tasks) // columns), columns, figsize=(15, 2.5 * -(-len(tasks) // columns)), layout="constrained")
    for ax in list(axes.flat)[len(tasks) :]:
        ax.axis("off")
    for ax, (name, one) in zip(axes.flat, tasks.items(), strict=False):
        lines(ax, {method: np.array(one["methods"][method]["regret"]) for method in names}, own)
        ax.set_title(f"{name.replace('_valid', '').replace('_text_loss', '')[:44]}, {one['runs']} runs", fontsize=7.5)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    figure.supylabel("regret against the budget spent in horizons", fontsize=9)
    figure.savefig(folder / "early_stop_tasks.png", dpi=80)
    plt.close(figure)


def lines(ax: "Axes", regrets: dict[str, np.ndarray], own: list[str]) -> None:
    """One line per method."""
    for name, regret in regrets.items():
        spent = 20 * np.arange(1, len(regret) + 1) / len(regret)
        if name in RIVALS:
            colour, dash = RIVALS[name]
            ax.plot(spent, regret, color=colour, ls=dash, lw=1.2, label=name)
        else:
            ax.plot(spent, regret, color=OWN[own.index(name)], lw=2.2, zorder=3, label=name)
    ax.set_xlim(0, 20)
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
