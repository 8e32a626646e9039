"""Pictures of studies: ``python -m benchmarks.studies.pictures --data DIR --model NAME_OR_FOLDER``.

told.png: real runs forecast alone and with 1, 3 and 10 other runs of their study, beside what came, a run a row; name a folder of sources
that the model has not seen. studies.png: twelve studies of the prior beside twelve real ones.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import lcx
from benchmarks.curves import RealCurve, load_all
from benchmarks.provenance import results_of
from benchmarks.scores import question
from benchmarks.studies.questions import Run, Target, studies_of, targets
from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS
from lcx.priors.studies import draw_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOLD, SHARE = ("0", "1", "3", "10"), 0.2
RUNS, SHOWN = 8, 12  # runs of a study, studies of each kind
ROWS = 3  # of told.png by default: a target of each of the first sources
Study = tuple[str, list[Run]]  # name and runs
GREY, RED = "#9a9a9a", "#c0392b"


def main() -> None:
    """Draws both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--model", default="default", help="name or folder of a model with a reader; default the recommended one")
    parser.add_argument(
        "--runs", nargs="*", help="rows of told.png, each source:number of the target; default one of each of three sources"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the studies drawn")
    options = parser.parse_args()
    sources, folder = load_all(options.data), results_of("studies")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for run in options.runs or [f"{source}:0" for source in list(sources)[:ROWS]]:
        source, _, number = run.partition(":")
        rows.append(targets(sources, source, int(number) + 1)[int(number)])
    told(lcx.load(options.model), rows, folder / "told.png")
    side_by_side(of_the_prior(options.seed), real(sources, options.seed), folder / "studies.png")


def told(model: lcx.Extrapolator, rows: list[Target], path: Path) -> None:
    """Fan charts, a target a row; the others that are told in grey behind."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(rows), len(TOLD), figsize=(15, 3.1 * len(rows) + 0.5), layout="constrained", squeeze=False, sharey="row"
    )
    for row, target in zip(axes, rows, strict=True):
        for ax, setting in zip(row, TOLD, strict=True):
            panel(ax, model, target, setting)
        row[0].set_ylabel(f"{target.curve.group.replace('_', ' ')[:34]}\n({target.curve.source.replace('_', ' ')})", fontsize=9)
    for ax, setting in zip(axes[0], TOLD, strict=True):
        ax.set_title({"0": "alone", "1": "with 1 other run"}.get(setting, f"with {setting} other runs"), fontsize=11)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique), frameon=False, fontsize=10)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def panel(ax: "Axes", model: lcx.Extrapolator, target: Target, setting: str) -> None:
    """One answer; the vertical range holds what came, the 80 % band of the answer without others and half of the other runs, as far as
    these do not dwarf the run.
    """
    from matplotlib.ticker import EngFormatter, MaxNLocator

    curve, cut, others = target.curve, target.curve.cut(SHARE), target.others(setting)
    asked = question([curve], SHARE)
    alone, answer = model(**asked), model(**asked, others=others)
    answer.plot(ax, curve=0, metric="")
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    for i, (steps, values) in enumerate(others):
        ax.plot(steps, values, color=GREY, lw=0.8, alpha=0.8, zorder=1.5, label="other runs" if i == 0 else None)
    ax.plot(curve.steps[cut:], curve.values[cut:], color=RED, lw=1.2, zorder=4, label="what came")
    seen = np.append(curve.values[cut:], np.quantile(curve.values, [0.1, 0.9]))
    low, high = seen.min(), seen.max()
    room = high - low
    theirs = [values[steps > curve.steps[cut - 1]] for steps, values in target.others(TOLD[-1])]
    half = np.quantile(np.concatenate([*theirs, curve.values[cut:]]), [0.25, 0.75])
    low = min(low, max(min(half[0], np.nanmin(alone.quantile(0.1))), low - 1.2 * room))
    high = max(high, min(max(half[1], np.nanmax(alone.quantile(0.9))), high + 1.2 * room))
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    ax.set_xlabel("")
    ax.tick_params(labelsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def of_the_prior(seed: int) -> list[Study]:
    """Studies as a model is trained on: steps and values of each run."""
    generator, prior = torch.Generator().manual_seed(seed), PRIORS["general"]
    if not isinstance(prior, GeneralPrior):
        raise TypeError(f"expected the general prior, got {type(prior).__name__}; studies are drawn of it alone")
    latents, places = draw_study(prior, SHOWN, RUNS, generator)
    lengths = torch.randint(20, 101, (SHOWN, 1), generator=generator).expand(-1, RUNS).flatten()
    drawn = prior.simulate(latents, lengths, generator)
    values = drawn.observe(drawn.base, drawn.sd, generator)
    values = places.put(values, values[:, :1])
    runs = [(t[~t.isnan()].numpy(), y[~t.isnan()].numpy()) for t, y in zip(drawn.steps, values, strict=True)]
    return [("", runs[i : i + RUNS]) for i in range(0, len(runs), RUNS)]


def real(sources: dict[str, list[RealCurve]], seed: int) -> list[Study]:
    """Studies of the sources in turn, larger being better."""
    generator = np.random.default_rng(seed)
    pools = {name: [runs for runs in studies_of(curves).values() if len(runs) >= RUNS] for name, curves in sources.items()}
    names = [name for name in pools if pools[name]]
    chosen = []
    for i in range(SHOWN):
        pool = pools[names[i % len(names)]]
        runs: list[RealCurve] = pool[generator.integers(len(pool))]
        few = [runs[k] for k in generator.permutation(len(runs))[:RUNS]]
        chosen.append((few[0].source, [(run.steps, run.values if run.mode == "max" else -run.values) for run in few]))
    return chosen


def side_by_side(prior: list[Study], real: list[Study], path: Path) -> None:
    """Studies of the prior in the left four columns, real ones in the right four."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(18, 7), layout="constrained")
    halves = np.array(figure.subfigures(1, 2, wspace=0.04)).ravel()
    titles = ("studies of the prior", "real studies (losses with their sign changed)")
    for half, studies, title in zip(halves, (prior, real), titles, strict=True):
        half.suptitle(title, fontsize=12)
        for ax, study in zip(half.subplots(3, 4).flat, studies, strict=True):
            one_study(ax, *study)
    figure.savefig(path, dpi=70)
    plt.close(figure)


def one_study(ax: "Axes", name: str, runs: list[Run]) -> None:
    """Its runs; steps on a logarithmic axis where half of them lie in the first fifth."""
    from matplotlib import colormaps

    end = max(steps[-1] for steps, _ in runs)
    for k, (steps, values) in enumerate(runs):
        ax.plot(steps / end, values, lw=1, color=colormaps["turbo"](0.05 + 0.9 * k / (RUNS - 1)))
    later = np.concatenate([values[len(values) // 8 :] for _, values in runs])
    low, high = np.quantile(later, [0.03, 0.97])  # lest a first value or a divergence dwarf the rest
    room = 0.1 * (high - low) or 1.0
    ax.set_ylim(low - room, high + room)
    if np.median([steps[len(steps) // 2] / steps[-1] for steps, _ in runs]) < 0.2:
        ax.set_xscale("log")
        ax.set_xlabel("log step", fontsize=7, labelpad=1)
        ax.minorticks_off()
    ax.set_title(name.replace("_", " "), fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
