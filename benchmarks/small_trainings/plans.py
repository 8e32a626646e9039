"""What the runs of a study share and in what they differ, and at which steps they are evaluated."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NARROW, LADDER, FEW, WIDE = "narrow", "ladder", "few", "wide"
KINDS = (NARROW, LADDER, FEW, WIDE)
CHANCES = (0.25, 0.2, 0.25, 0.3)


class Plan:
    """Settings of the runs of one study.

    A narrow study repeats one configuration with other seeds; a ladder varies the rate alone, over a grid; "few" varies the rate and
    another setting or two; a wide one varies most. A setting that does not vary is drawn once, nearer to what people choose.

    Args:
        rng: source of every choice.
        runs: of the study.
        kind: one of ``KINDS``; default drawn.
    """

    def __init__(self, rng: np.random.Generator, runs: int, kind: str | None = None):
        self.rng, self.runs = rng, runs
        self.kind = kind or str(rng.choice(KINDS, p=CHANCES))
        self.share = {NARROW: 0.0, LADDER: 0.0, FEW: 0.2, WIDE: 0.7}[self.kind]

    def varies(self) -> bool:
        """Whether the next setting differs between the runs."""
        return self.rng.random() < self.share

    def pick(self, choices: Sequence, chances: Sequence[float] | None = None) -> np.ndarray:
        """One of the choices for each run, (runs,)."""
        drawn = self.rng.choice(np.array(choices), self.runs if self.varies() else 1, p=chances)
        return np.broadcast_to(drawn, self.runs)

    def log(self, low: float, high: float) -> Float[np.ndarray, "R"]:
        """Log-uniform numbers."""
        return self._log(low, high, self.varies())

    def rate(self, low: float, high: float) -> Float[np.ndarray, "R"]:
        """Learning rates: they vary in every study but a narrow one, in a ladder over few levels, several runs at each."""
        values = self._log(low, high, self.kind != NARROW)
        if self.kind != LADDER:
            return values
        levels = np.geomspace(low, high, int(self.rng.integers(5, 13)))
        return levels[np.arange(self.runs) % len(levels)]

    def _log(self, low: float, high: float, varied: bool) -> Float[np.ndarray, "R"]:
        ends = np.log(low), np.log(high)
        if varied:
            return np.exp(self.rng.uniform(*ends, self.runs))
        inner = ends[0] + 0.3 * (ends[1] - ends[0]), ends[0] + 0.75 * (ends[1] - ends[0])
        return np.full(self.runs, np.exp(self.rng.uniform(*inner)))


class Grid(NamedTuple):
    """When runs are evaluated."""

    steps: Int[np.ndarray, "P"]  # optimizer steps, rising; 0 is before training
    told: Float[np.ndarray, "P"]  # the same in the unit that is reported: steps, epochs or samples


def grid(rng: np.random.Generator, last: int, most: int = 128) -> Grid:
    """Evaluations up to ``last``: every k steps, told as steps, epochs or samples, or on a geometric grid; a fifth of them few."""
    points = int(rng.integers(10, 21)) if rng.random() < 0.2 else int(np.exp(rng.uniform(np.log(20), np.log(most + 0.99))))
    points = min(points, last)
    if rng.random() < 0.25:
        steps = np.unique(np.geomspace(1, last, points).round().astype(int))
        return Grid(steps, steps.astype(float))
    every = max(1, last // points)
    steps = every * np.arange(1, points + 1)
    unit = rng.choice([1.0, 1 / every, 32.0], p=[0.45, 0.45, 0.1])
    if rng.random() < 0.4:
        steps = np.concatenate([[0], steps[:-1]])
    return Grid(steps, np.round(steps * unit, 6))
