"""How sure a figure is: bootstrap intervals of means, quartiles of timings, bands of histograms."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lcx.scores import pit_band

SEED = 0


def resamples(sizes: Iterable[int], times: int, seed: int = SEED) -> list[np.ndarray]:
    """Members drawn with replacement within groups of fixed sizes: for each group indices (times, size)."""
    generator = np.random.default_rng(seed)
    return [generator.integers(size, size=(times, size)) for size in sizes]


def with_limits(mean: float, drawn: np.ndarray, digits: int = 4) -> list[float]:
    """A mean and its 95 % bootstrap interval, from the means of the resamples."""
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return [round(float(x), digits) for x in (mean, low, high)]


def mean_of_groups(values: Sequence[np.ndarray], times: int = 2000, seed: int = SEED) -> list[float]:
    """Mean over groups of means over their members, and its 95 % bootstrap interval over members; the groups are fixed."""
    drawn = [x[chosen].mean(1) for x, chosen in zip(values, resamples(map(len, values), times, seed), strict=True)]
    return with_limits(float(np.mean([x.mean() for x in values])), np.mean(drawn, 0))


def ratio_of_groups(values: Sequence[np.ndarray], of: Sequence[np.ndarray], times: int = 2000, seed: int = SEED) -> list[float]:
    """Mean of ``values`` over groups of means, in units of that of ``of``, and its 95 % bootstrap interval: the same members for both."""
    chosen = resamples(map(len, values), times, seed)
    above, below = (np.mean([x[i].mean(1) for x, i in zip(each, chosen, strict=True)], 0) for each in (values, of))
    return with_limits(float(np.mean([x.mean() for x in values]) / np.mean([x.mean() for x in of])), above / below)


def spread(values: Any) -> dict[str, Any]:
    """Median and quartiles over the rounds of a timing, four significant digits."""
    low, median, high = (float(f"{x:.4g}") for x in np.percentile(values, [25, 50, 75]))
    return {"median": median, "quartiles": [low, high], "rounds": len(values)}


def histogram(values: Any, bins: int) -> dict[str, Any]:
    """Counts of values in (0, 1) relative to uniform, and whether they lie inside the simultaneous 99 % band of uniform values."""
    counts = np.histogram(values, bins, (0, 1))[0] * bins / len(values)
    low, high = pit_band(len(values), bins)
    return {"histogram": counts, "band": [low, high], "inside": bool(((counts >= low) & (counts <= high)).all())}
