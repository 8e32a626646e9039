"""Means, intervals and comparisons of what benchmarks/forecasts/real_curves.py has stored."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import CUTOFFS
from benchmarks.forecasts.baselines import RIVALS, SIMPLE
from benchmarks.intervals import mean_of_groups
from benchmarks.scores import LEVELS, METRICS

RESAMPLES = 2000
CUTS = tuple(f"{100 * share:.0f}" for share in CUTOFFS)
Stored = dict[str, Any]
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]  # by source or rival: scores of a model and of a rival on the same curves


def summary(folder: Path) -> dict[str, Any]:
    """Everything in real_curves.json, from the files of a folder.

    Intervals are 95 % bootstrap intervals over curves within sources, the sources being fixed. ``against`` compares each model with the
    rivals on the curves that both answered for; ``simple`` there names the simple baseline with the lowest mean CRPS over sources, chosen
    afterwards, which favours the baselines.
    """
    stored = load(folder)
    methods = {name: means(one) for name, one in stored.items()}
    out: dict[str, Any] = {"levels": LEVELS, "resamples": RESAMPLES, "methods": methods}
    rivals = {name: one for name, one in stored.items() if not name.startswith("lcx:")}
    out["against"] = {name: against(one, rivals) for name, one in stored.items() if name not in rivals}
    return out


def load(folder: Path) -> dict[str, Stored]:
    """Stored methods by name, rivals in their order, then models."""
    stored = {one["method"]: one for path in sorted(folder.glob("*.json")) if "scores" in (one := json.loads(path.read_text()))}
    return {name: stored[name] for name in (*RIVALS, *sorted(set(stored) - set(RIVALS))) if name in stored}


def means(one: Stored) -> dict[str, Any]:
    """A method's means over sources with intervals, and per source."""
    out: dict[str, Any] = {key: one[key] for key in ("command", "date", "commit", "device")}
    out["curves"] = {source: len(widths) for source, widths in one["widths"].items()}
    out["mean"], out["sources"] = {}, {source: {} for source in one["scores"]}
    for cut in CUTS:
        cells = {source: cuts[cut] for source, cuts in one["scores"].items()}
        out["mean"][cut] = {metric: mean_of_groups([np.array(cell[metric]) for cell in cells.values()], RESAMPLES) for metric in METRICS}
        covered = {source: np.mean(cell["covered"], 0) for source, cell in cells.items()}
        out["mean"][cut]["covered"] = np.mean(list(covered.values()), 0).round(4).tolist()
        for source, cell in cells.items():
            out["sources"][source][cut] = {metric: round(float(np.mean(cell[metric])), 4) for metric in METRICS}
            out["sources"][source][cut]["covered"] = covered[source].round(4).tolist()
    return out


def against(model: Stored, rivals: dict[str, Stored]) -> dict[str, Any]:
    """CRPS of a model beside each rival's over all sources, and beside the best simple baseline's in each source, per cut-off."""
    out = {}
    for cut in CUTS:
        pairs = {name: paired(model, rival, cut) for name, rival in rivals.items()}
        rows = {name: overall(pair) for name, pair in pairs.items()}
        out[cut] = {"rivals": rows}
        simple = [name for name in SIMPLE if name in pairs]
        if simple:
            out[cut]["simple"] = min(simple, key=lambda name: rows[name]["crps"])
            out[cut]["sources"] = {source: in_source({name: pairs[name][source] for name in simple}) for source in pairs[simple[0]]}
    return out


def overall(pairs: Pairs) -> dict[str, Any]:
    """A rival's mean over sources, the model's in units of it, and the difference model - rival with its interval."""
    ours, theirs = (float(np.mean([pair[i].mean() for pair in pairs.values()])) for i in (0, 1))
    return {
        "crps": round(theirs, 4),
        "ratio": round(ours / theirs, 4),
        "difference": mean_of_groups([a - b for a, b in pairs.values()], RESAMPLES),
    }


def in_source(pairs: Pairs) -> dict[str, Any]:
    """The rival with the lowest mean in one source, and the model's mean in units of it."""
    best = min(pairs, key=lambda name: pairs[name][1].mean())
    ours, theirs = (float(x.mean()) for x in pairs[best])
    return {"rival": best, "crps": round(theirs, 4), "ratio": round(ours / theirs, 4)}


def paired(a: Stored, b: Stored, cut: str) -> Pairs:
    """CRPS of two methods on the curves of each source that both have."""
    out = {}
    for source in a["scores"]:
        if source not in b["scores"]:
            continue
        n = min(len(one["widths"][source]) for one in (a, b))
        if a["widths"][source][:n] != b["widths"][source][:n]:
            raise ValueError(f"expected {a['method']} and {b['method']} scored on the same curves of {source}, got others; run both anew")
        out[source] = (np.array(a["scores"][source][cut]["crps"][:n]), np.array(b["scores"][source][cut]["crps"][:n]))
    return out
