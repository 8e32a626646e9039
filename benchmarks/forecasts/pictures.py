"""Fan charts of real curves, per source four curves at four cut-offs, and an overview: ``--pictures`` of real_curves.py."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.curves import CUTOFFS, RealCurve
from lcx.extrapolation import Extrapolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4  # curves of a source
AT_A_GLANCE = (0.2, 0.4)  # cut-offs of the overview
Ask = Callable[[list[RealCurve], float], Extrapolation]


def draw(ask: Ask, name: str, sources: dict[str, list[RealCurve]], folder: Path) -> None:
    """Writes <source>.png for every source, and overview.png."""
    for source, curves in sources.items():
        of_source(ask, name, source, curves[:SHOWN], folder)
    overview(ask, name, sources, folder)


def of_source(ask: Ask, name: str, source: str, curves: list[RealCurve], folder: Path) -> None:
    """Curves by rows, cut-offs by columns."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(curves), len(CUTOFFS), figsize=(15, 2.7 * len(curves) + 0.6), layout="constrained", squeeze=False)
    for column, share in zip(axes.T, CUTOFFS, strict=True):
        answer = ask(curves, share)
        for i, ax in enumerate(column):
            panel(ax, answer, i, curves[i], share)
            ax.set_title(f"{curves[i].group[:36].rstrip('_')}, {100 * share:.0f} % seen", fontsize=8)
    finish(figure, axes, f"{source}, {name}", folder / f"{source}.png")


def overview(ask: Ask, name: str, sources: dict[str, list[RealCurve]], folder: Path) -> None:
    """The first curve of every source at two cut-offs, side by side."""
    import matplotlib.pyplot as plt

    columns = 3 * len(AT_A_GLANCE)
    rows = -(-len(sources) * len(AT_A_GLANCE) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(18, 2.7 * rows + 0.6), layout="constrained", squeeze=False)
    panels = iter(axes.flat)
    for source, curves in sources.items():
        for share in AT_A_GLANCE:
            ax = next(panels)
            panel(ax, ask(curves[:1], share), 0, curves[0], share)
            ax.set_title(f"{source}, {100 * share:.0f} % seen", fontsize=8)
    for ax in panels:
        ax.remove()
    finish(figure, axes, name, folder / "overview.png")


def panel(ax: "Axes", answer: Extrapolation, i: int, curve: RealCurve, share: float) -> None:
    """One fan chart with what came on top; steps on a logarithmic axis where half of them lie in the first fifth.

    The vertical range follows the bulk of the points, lest a first value dwarf the rest; the median and the 80 % band as far as they do not
    dwarf the curve.
    """
    cut = curve.cut(share)
    answer.plot(ax, curve=i, metric="")
    ax.plot(curve.steps[cut:], curve.values[cut:], "-", color="#c0392b", lw=0.9, marker=".", ms=2.5, label="what came")
    points = np.append(curve.values[cut:], np.quantile(curve.values, [0.02, 0.98]))
    low, high = points.min(), points.max()
    wide = high - low
    for level, room in ((0.1, 0.6), (0.5, 2.0), (0.9, 0.6)):
        quantile = answer.quantile(level)[i]
        low = min(low, max(np.nanmin(quantile), points.min() - room * wide))
        high = max(high, min(np.nanmax(quantile), points.max() + room * wide))
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    if curve.steps[len(curve.steps) // 2] < 0.2 * curve.steps[-1]:
        from matplotlib.ticker import NullFormatter

        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())  # labels of a narrow range would run into each other
        ax.set_xlim(curve.steps[0] / 1.1, curve.steps[-1])
    ax.set_xlabel("")
    ax.tick_params(labelsize=7)
    ax.xaxis.get_offset_text().set_fontsize(7)
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()


def finish(figure: "Figure", axes: np.ndarray, title: str, path: Path) -> None:
    """One legend for all panels, then the file."""
    import matplotlib.pyplot as plt

    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=75)
    plt.close(figure)
