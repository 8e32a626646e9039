"""Real curves on disk: sources, each of studies, each of runs.

The folder holds ``<name>.npz`` files: ``values`` (n, length), NaN where missing; ``steps`` (length,) or (n, length); ``group`` (n,), the
study of each run. Beside each lies ``<name>.json`` with ``direction`` ("min" or "max"), ``metric`` and, if known, ``bounds``, a pair, null
for none. ``benchmarks/convert.py`` makes such files from public sources, :mod:`lcx.pretraining.logs` from one's own logs.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

LONGEST, SHORTEST, LARGEST = 128, 6, 1e9  # points of a curve, thinned to that, or left out below; and the largest value that is taken


class Run(NamedTuple):
    """Steps > 0, rising, and values, user's units."""

    steps: Float[np.ndarray, "M"]
    values: Float[np.ndarray, "M"]

    def thin(self, points: int) -> "Run":
        """At most ``points`` of them, evenly spread, the first and last among them."""
        kept = np.unique(np.linspace(0, len(self.steps) - 1, min(points, len(self.steps))).round().astype(int))
        return Run(self.steps[kept], self.values[kept])


@dataclass(frozen=True)
class Source:
    """Studies of one origin: lists of runs that share task, metric and step unit."""

    name: str
    sign: int  # 1 if larger is better, else -1
    bounds: tuple[float, float]  # hard limits of the metric, user's unit; infinite where there is none
    studies: list[list[Run]]
    names: list[str]  # of the studies
    origin: str = ""  # where the curves come from, and under which licence, as the file beside them says
    licence: str = ""

    def facts(self) -> dict[str, str | int]:
        """What a model's card says of the source."""
        runs = sum(map(len, self.studies))
        return {"name": self.name, "runs": runs, "studies": len(self.studies), "origin": self.origin, "licence": self.licence}


def bounds_of(metric: str) -> tuple[float, float]:
    """Hard limits that a user would name for a metric, by its description."""
    text = metric.lower()
    if "return" in text or "reward" in text:
        return -np.inf, np.inf
    return 0.0, np.inf if any(word in text for word in ("loss", "entropy", "error", "perplexity")) else 1.0


def load_sources(folder: Path) -> list[Source]:
    """Every source in a folder; a curve that is there twice counts once.

    Raises:
        ValueError: there is no source, or a file lacks what the format asks for.
    """
    paths = sorted(folder.glob("*.npz"))
    sources = [source for path in paths if (source := load_source(path)).studies]
    if not sources:
        raise ValueError(f"expected <name>.npz files of learning curves in {folder}, got {len(paths)} with a usable one; name their folder")
    return sources


def load_source(path: Path) -> Source:
    """The studies in one file; runs with fewer than ``SHORTEST`` points or a value beyond ``LARGEST`` are left out.

    Raises:
        ValueError: the file or the ``.json`` beside it lacks what the format asks for.
    """
    try:
        about = json.loads(path.with_suffix(".json").read_text())
        metric, sign = about["metric"], {"max": 1, "min": -1}[about["direction"]]
        with np.load(path, allow_pickle=False) as data:
            values, steps, groups = data["values"].astype(float), data["steps"].astype(float), data["group"]
    except (OSError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(
            f"expected values, steps and group in {path}, direction and metric in its .json, got {error!r}; see the format"
        ) from error
    studies: dict[str, list[Run]] = {}
    known: set[bytes] = set()
    for y, t, group in zip(values, np.broadcast_to(steps, values.shape), groups, strict=True):
        seen = np.isfinite(y) & np.isfinite(t)
        t, first = np.unique(t[seen], return_index=True)
        y = y[seen][first]
        if len(y) < SHORTEST or np.abs(y).max() > LARGEST:
            continue
        digest = hashlib.blake2b(t.tobytes() + y.tobytes()).digest()
        if digest not in known:
            known.add(digest)
            t = t - t[0] + (t[1] - t[0]) if t[0] <= 0 else t  # a counter from zero
            studies.setdefault(str(group), []).append(Run(t, y).thin(LONGEST))
    lower, upper = about.get("bounds") or bounds_of(metric)
    bounds = -np.inf if lower is None else float(lower), np.inf if upper is None else float(upper)
    told = str(about.get("source", "")), str(about.get("licence", ""))
    return Source(path.stem, sign, bounds, list(studies.values()), list(studies), *told)
