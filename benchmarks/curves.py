"""Real learning curves as a user would give them: folders of ``<name>.npz`` and ``<name>.json`` files to lists of curves.

``<name>.npz`` holds ``values`` (n, length), NaN where missing; ``steps`` (length,) or (n, length); ``group`` (n,), the task of each
curve. ``<name>.json`` holds ``direction`` ("min" or "max") and ``metric``. ``benchmarks/convert.py`` makes such files from the public
sources of benchmarks/SOURCES.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LONGEST, SHORTEST, LARGEST = 128, 10, 1e9
CUTOFFS = (0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class RealCurve:
    """One finished run: values (n,), steps (n,) > 0 rising, the last of them its horizon; as scored, thinned to ``LONGEST`` points."""

    source: str
    group: str
    mode: str
    bounds: tuple[float | None, float | None]
    values: np.ndarray
    steps: np.ndarray
    width: float  # 2-98 % quantile range of all its values: the unit of scores
    row: int = -1  # in its source's file

    def cut(self, share: float) -> int:
        """Number of context points at a share of the curve, at least 2."""
        return max(2, round(share * len(self.values)))


def bounds_of(metric: str) -> tuple[float | None, float | None]:
    """Hard limits that a user would name for a metric, by what it is: accuracies and the like (0, 1), losses and error rates (0, None)."""
    text = metric.lower()
    if "return" in text:
        return (None, None)
    if any(word in text for word in ("loss", "entropy", "error", "perplexity")):
        return (0.0, None)
    return (0.0, 1.0)


def load_source(path: Path, most: int | None = None, seed: int = 0) -> tuple[list[RealCurve], dict[str, int]]:
    """Curves of one source, ``most`` of them drawn at random, and how many were left out for which reason.

    A first step <= 0 (a counter from zero) is shifted to the first spacing; of points at one step the first counts; a bound that the
    source's values pass is none. Left out: fewer than ``SHORTEST`` points, a value beyond
    ``LARGEST``, or a 2-98 % range of zero, which leaves relative scores undefined.
    """
    about = json.loads(path.with_suffix(".json").read_text())
    with np.load(path, allow_pickle=False) as data:
        values, steps, groups = data["values"].astype(float), data["steps"].astype(float), data["group"]
    steps = np.broadcast_to(steps, values.shape)
    lower, upper = bounds_of(about["metric"])
    known = values[np.isfinite(values)]
    bounds = (lower if lower is None or known.min() >= lower else None), (upper if upper is None or known.max() <= upper else None)
    curves, left = [], {"short": 0, "large": 0, "constant": 0}
    for i in np.random.default_rng(seed).permutation(len(values)):
        if most is not None and len(curves) == most:
            break
        seen = np.isfinite(values[i]) & np.isfinite(steps[i])
        t, first = np.unique(steps[i][seen], return_index=True)
        y = values[i][seen][first]
        if len(y) < SHORTEST:
            left["short"] += 1
            continue
        if np.abs(y).max() > LARGEST:
            left["large"] += 1
            continue
        if t[0] <= 0:
            t = t - t[0] + (t[1] - t[0])
        if len(y) > LONGEST:
            kept = np.linspace(0, len(y) - 1, LONGEST).round().astype(int)
            y, t = y[kept], t[kept]
        low, high = np.quantile(y, [0.02, 0.98])
        if high == low:
            left["constant"] += 1
            continue
        curves.append(RealCurve(path.stem, str(groups[i]), about["direction"], bounds, y, t, float(high - low), int(i)))
    return curves, left


def load_all(folder: Path, most: int | None = None, seed: int = 0) -> dict[str, list[RealCurve]]:
    """Every source in a folder, by name."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise FileNotFoundError(f"expected .npz files of learning curves in {folder}, got none; name the folder with --data")
    return {path.stem: load_source(path, most, seed)[0] for path in paths}
