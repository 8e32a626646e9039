"""Means, gains and intervals of what benchmarks/studies/run.py has stored."""

from typing import Any

import numpy as np

from benchmarks.curves import CUTOFFS
from benchmarks.intervals import mean_of_groups, ratio_of_groups

CUTS = tuple(f"{100 * share:.0f}" for share in CUTOFFS)
RESAMPLES = 2000
Stored = dict[str, Any]


def settings_of(result: Stored) -> list[str]:
    """Settings that every source has, in the order measured."""
    rows = list(result["sources"].values())
    return [setting for setting in rows[0]["scores"] if all(setting in row["scores"] for row in rows)] if rows else []


def cells(result: Stored, setting: str, cut: str, score: str = "crps") -> dict[str, np.ndarray]:
    """A score of every target, by source."""
    return {source: np.array(row["scores"][setting][cut][score]) for source, row in result["sources"].items()}


def overall(result: Stored, setting: str, cut: str) -> dict[str, Any]:
    """Means over targets, then sources, with 95 % bootstrap intervals over targets within sources; coverage without."""
    scores = {
        score: mean_of_groups(list(cells(result, setting, cut, score).values()), RESAMPLES) for score in ("crps", "error", "log_score")
    }
    covered = [x.mean(0) for x in cells(result, setting, cut, "covered").values()]
    return {**scores, "covered": np.mean(covered, 0).round(4).tolist()}


def change(result: Stored, setting: str, cut: str) -> list[float]:
    """Mean CRPS over sources relative to that without others, less 1, and its 95 % interval: the same targets drawn for both."""
    told, alone = (list(cells(result, each, cut).values()) for each in (setting, "0"))
    return [x - 1 for x in ratio_of_groups(told, alone, RESAMPLES)]


def changes(result: Stored, setting: str, cut: str) -> dict[str, float]:
    """The same, source by source."""
    told, alone = cells(result, setting, cut), cells(result, "0", cut)
    return {source: float(told[source].mean() / alone[source].mean() - 1) for source in told}


def beside(model: Stored, rival: Stored, setting: str, cut: str) -> tuple[float, float] | None:
    """Mean CRPS over the sources both have, of the rival and of the model, on the targets both answered for; None if there are none.

    Raises:
        ValueError: they were not asked about the same curves.
    """
    pairs = []
    for source, row in rival["sources"].items():
        known = model["sources"].get(source)
        if known is None or setting not in known["scores"] or setting not in row["scores"]:
            continue
        n = min(len(row["widths"]), len(known["widths"]))
        if row["widths"][:n] != known["widths"][:n]:
            raise ValueError(f"expected {rival['model']} and {model['model']} on the same curves of {source}, got others; run both anew")
        pairs.append([np.mean(each["scores"][setting][cut]["crps"][:n]) for each in (row, known)])
    return tuple(np.mean(pairs, 0)) if pairs else None
