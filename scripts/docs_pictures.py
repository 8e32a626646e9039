"""Draws the pictures of docs/: ``python scripts/docs_pictures.py [NAME ...] [--data DIR]``.

start, prior, cutoffs, other_runs, pfn_and_mcmc: from the shipped models and examples. scaling: from classifiers trained for it.
calibration, coverage: from benchmarks/. report: the head of ``lcx report examples/sweep.jsonl``, by headless Chromium. failures: of each
source in DIR (benchmarks/curves.py) the one of 80 curves that the default model gets most wrong, seen up to 40 %; only with ``--data``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import ShuffleSplit, learning_curve
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier

import lcx
from benchmarks.curves import load_all
from benchmarks.forecasts.pictures import panel
from benchmarks.provenance import ROOT, known_result
from benchmarks.scores import ask_model, score
from lcx.files import write_atomically
from lcx.readers import read

BLUE, DARK, RED = "#2a6fbb", "#1b1b1b", "#c0392b"
SHARE = 0.4  # cut-off of the failures


def accuracy() -> np.ndarray:
    """The demonstration curve."""
    return pd.read_csv(ROOT / "examples" / "digits_accuracy.csv")["accuracy"].to_numpy()


def start() -> Figure:
    """The fan chart of the first page."""
    values = [0.16, 0.31, 0.45, 0.56, 0.63, 0.68, 0.72, 0.75, 0.77, 0.79]
    figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    lcx.predict(values, horizon=50, mode="max", bounds=(0, 1), device="cpu").plot(ax, best=0.9, metric="accuracy")
    return figure


def prior() -> Figure:
    """Draws of the parametric prior in one panel, 12 of each of the others in panels of their own."""
    figure = plt.figure(figsize=(11, 3.6), layout="constrained")
    parts: Any = figure.subfigures(1, 3, width_ratios=[1, 1.2, 1.2])
    ax = parts[0].subplots()
    curves = lcx.sample_prior(25, "parametric", seed=1)
    ax.plot(curves.steps.T, curves.values.T, lw=0.8, color=BLUE, alpha=0.5)
    ax.set(xlabel="step", ylabel="metric", ylim=(-0.1, 1.1))
    parts[0].suptitle("parametric")
    for part, name, scale in ((parts[1], "general", "linear"), (parts[2], "scaling", "log")):
        curves = lcx.sample_prior(12, name, seed=4)
        for ax, values, steps in zip(part.subplots(3, 4).flat, curves.values.numpy(), curves.steps.numpy(), strict=True):
            seen = np.isfinite(values)
            ax.plot(steps[seen], values[seen], lw=0.9, marker=".", ms=2, color=BLUE)
            ax.set(xscale=scale, xticks=[], yticks=[])
            ax.minorticks_off()
        part.suptitle(f"{name}, each in its own units" + (", log steps" if scale == "log" else ""))
    return figure


def cutoffs() -> Figure:
    """One run at four cut-offs, with what came."""
    values = accuracy()
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained", sharey=True)
    for ax, cut in zip(axes, (5, 15, 30, 60), strict=True):
        lcx.predict(values[:cut], horizon=100, mode="max", bounds=(0, 1), device="cpu").plot(ax, metric="accuracy" if cut == 5 else "")
        ax.plot(np.arange(cut + 1, 101), values[cut:], color=RED, lw=1, label="what came")
        ax.set(title=f"{cut} epochs seen", ylim=(0, 1.02))
        ax.legend().remove()
    axes[0].legend(frameon=False, fontsize="small")
    return figure


def other_runs() -> Figure:
    """One run of the sweep after 6 of 60 epochs, alone and with 1, 3 and 10 others, and how it went on."""
    runs = {
        str(name): (run["step"].to_numpy(), run["value"].to_numpy()) for name, run in read(ROOT / "examples" / "sweep.jsonl").groupby("run")
    }
    steps, loss = runs.pop("run 14")
    others = [runs[name] for name in np.random.default_rng(1).permutation(sorted(runs))]
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.3), layout="constrained", sharey=True)
    for ax, count in zip(axes, (0, 1, 3, 10), strict=True):
        asked: Any = {"horizon": 60, "mode": "min", "bounds": (0, None), "device": "cpu", "others": others[:count]}
        lcx.predict(loss[:6], steps[:6], **asked).plot(ax, metric="loss" if count == 0 else "")
        for t, y in others[:count]:
            ax.plot(t, y, color="#8c8c8c", lw=0.8, alpha=0.7, zorder=2)
        ax.plot(steps[5:], loss[5:], color=RED, lw=1.2, label="what came")
        ax.set(title="alone" if count == 0 else f"with {count} other run{'s' * (count > 1)}", ylim=(0, 2.5))
        if legend := ax.get_legend():
            legend.remove()
    axes[-1].legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="upper right")
    return figure


def scaling() -> Figure:
    """Errors of two classifiers of digits on up to 80 examples, as docs/scaling-laws.md measures them, forecast to 800, and what came."""
    sizes = np.array([20, 24, 28, 34, 40, 48, 57, 68, 80, 113, 160, 226, 320, 453, 640, 800])
    folds = ShuffleSplit(20, test_size=500, random_state=0)
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    classifiers = {"nearest neighbours": KNeighborsClassifier(5), "naive Bayes": MultinomialNB()}
    for ax, (name, classifier) in zip(axes, classifiers.items(), strict=True):
        found: Any = learning_curve(classifier, *load_digits(return_X_y=True), train_sizes=sizes, cv=folds)
        error, seen = 1 - found[2].mean(1), sizes <= 80
        ask: Any = {"horizon": 800, "mode": "min", "bounds": (0, None), "at": np.geomspace(82, 800, 60), "model": "scaling"}
        lcx.predict(error[seen], sizes[seen], **ask).plot(ax, metric="error")
        ax.plot(sizes[~seen], error[~seen], ".-", color=RED, lw=1, label="what came")
        ax.set(title=name, xlabel="training examples")
        ax.legend(frameon=False, fontsize="small", loc="lower left")
    return figure


def pfn_and_mcmc() -> Figure:
    """MCMC's fan with the network's lines over it, on the parametric prior."""
    question: dict[str, Any] = {"horizon": 100, "mode": "max", "bounds": (0, 1)}
    reference, _ = lcx.mcmc(accuracy()[:20], **question, sampler="smc", seed=0)
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    reference.plot(ax, metric="accuracy", label="MCMC ")
    lcx.predict(accuracy()[:20], **question, model="parametric", device="cpu").overlay(ax, "PFN ")
    return figure


def calibration() -> Figure:
    """PIT histograms of the parametric model and of the same with scales x 1.5, on fresh draws."""
    result = known_result("synthetic/calibration")
    figure, axes = plt.subplots(1, len(result["cutoffs"]), figsize=(11, 2.8), sharey=True, layout="constrained")
    edges = np.linspace(0, 1, result["bins"] + 1)
    for ax, (cutoff, row) in zip(axes, result["cutoffs"].items(), strict=True):
        ax.axhspan(*result["band"], color=DARK, alpha=0.12, lw=0, label="99 % band")
        ax.stairs(row["scale_x_1.5"]["histogram"], edges, baseline=None, color=RED, lw=1, ls="--", label="scale × 1.5")
        ax.stairs(row["model"]["histogram"], edges, baseline=None, color=BLUE, lw=1.6, label="parametric")
        ax.set(title=f"{cutoff} % seen", xlabel="PIT", xlim=(0, 1), ylim=(0, 1.6))
    axes[0].set_ylabel("relative frequency")
    axes[-1].legend(frameon=False, fontsize="small", loc="lower center")
    return figure


def coverage() -> Figure:
    """Share of later points of real curves inside the 90 % intervals of the general model, per source."""
    method = known_result("forecasts/real_curves")["methods"]["lcx:general"]
    figure, ax = plt.subplots(figsize=(8.6, 3.8), layout="constrained")
    cuts = list(method["mean"])
    for place, cut in enumerate(cuts):
        at = np.arange(len(method["sources"])) + 0.16 * (place - 1.5)
        held = [100 * source[cut]["covered"][-1] for source in method["sources"].values()]
        ax.plot(at, held, "o", ms=5, color=plt.get_cmap("Blues")(0.35 + 0.2 * place), label=f"{cut} % seen")
    ax.axhline(90, color=DARK, lw=0.8, ls=":")
    ax.set_xticks(
        range(len(method["sources"])), [name.replace("_", " ") for name in method["sources"]], rotation=30, ha="right", fontsize=8
    )
    ax.set(ylabel="inside 90 % intervals, %", ylim=(50, 101))
    ax.legend(frameon=False, fontsize="small", ncols=4, loc="lower right")
    return figure


def failures(data: Path) -> Figure:
    """Of each source the curve of 80 with the largest CRPS in units of its range."""
    model, worst = lcx.load(device="cpu"), []
    for curves in load_all(data, 80).values():
        answer = ask_model(model, curves, SHARE, None)
        crps = score(answer, curves, SHARE)["crps"]
        i = int(crps.argmax())
        worst.append((crps[i], answer, i, curves[i]))
    figure, axes = plt.subplots(-(-len(worst) // 4), 4, figsize=(14, 2.7 * -(-len(worst) // 4)), layout="constrained")
    for ax, (crps, answer, i, curve) in zip(axes.flat, sorted(worst, key=lambda row: -row[0]), strict=False):
        panel(ax, answer, i, curve, SHARE)
        if ax.get_xscale() == "linear":
            ax.locator_params(axis="x", nbins=4)
        ax.set_title(f"{curve.source.replace('_', ' ')}: CRPS {crps:.2f}", fontsize=8)
    for ax in axes.flat[len(worst) :]:
        ax.remove()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", frameon=False, fontsize=9)
    return figure


def report(path: Path) -> None:
    """A screenshot of the head of a report on a search in full swing: four runs finished, the others cut at 3, 6, 9, ... epochs."""
    sweep = pd.read_json(ROOT / "examples" / "sweep.jsonl", lines=True)
    order = {run: i for i, run in enumerate(sweep["run"].unique())}
    seen = sweep["run"].map(lambda run: 60 if order[run] < 4 else 3 * (order[run] - 3))
    with tempfile.TemporaryDirectory() as folder:
        log, page = Path(folder, "sweep.jsonl"), Path(folder, "report.html")
        sweep[sweep["step"] <= seen].to_json(log, orient="records", lines=True)
        asked = ["report", log.name, "--metric", "loss", "--mode", "min", "--lower", "0", "--horizon", "60", "-o", str(page)]
        subprocess.run([sys.executable, "-m", "lcx.cli.app", *asked], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        shot = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1180,1310", f"--screenshot={path}"]
        subprocess.run(["chromium", *shot, page.as_uri()], check=True, capture_output=True)


PICTURES = {draw.__name__: draw for draw in (start, prior, cutoffs, other_runs, scaling, pfn_and_mcmc, calibration, coverage)}


def main() -> None:
    """Draws what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="default all; failures only with --data")
    parser.add_argument("--data", type=Path, help="folder of real curves")
    options = parser.parse_args()
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    for name in options.names or [*PICTURES, "report", *(["failures"] if options.data else [])]:
        if name == "report":
            report(folder / "report.png")
            continue
        figure: Any = failures(options.data) if name == "failures" else PICTURES[name]()
        write_atomically(folder / f"{name}.png", lambda path, figure=figure: figure.savefig(path, dpi=90))
        plt.close(figure)
        print(name)


if __name__ == "__main__":
    main()
