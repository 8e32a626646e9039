"""Which runs are forecast, and which others are told.

Targets are spread over the studies of a source (its groups). At every setting and cut-off they are the same:

- "0", "1", "3", "10", "30": so many other finished runs of the study, drawn at random, the smaller sets inside the larger ones; fewer where
  the study has fewer.
- "running": ten others as a running study has them: 40 % finished, 30 % stopped anywhere, 30 % paused at 10 to 50 % of their points.
- "alien": ten runs of another study with the same direction and bounds, which must not hurt: for every second target a study of the same
  source, for the rest one of another source, its steps stretched to the target's horizon.

A curve that is in a study twice counts once, so that no target is among its own others.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from benchmarks.curves import RealCurve

COUNTS = (0, 1, 3, 10, 30)
TOLD = 10  # others of the settings that are not counts
SETTINGS = (*map(str, COUNTS), "running", "alien")
FINISHED, STOPPED, EARLIEST, PAUSED = 0.4, 0.3, 0.05, (0.1, 0.5)
Run = tuple[np.ndarray, np.ndarray]  # steps and values


@dataclass(frozen=True)
class Target:
    """A run to be forecast, and what may be told with it."""

    curve: RealCurve
    finished: list[Run]
    running: list[Run]
    aliens: list[Run]

    def others(self, setting: str) -> list[Run]:
        """The other runs of a setting."""
        if setting == "running":
            return self.running
        return self.aliens if setting == "alien" else self.finished[: int(setting)]


def studies_of(curves: list[RealCurve]) -> dict[str, list[RealCurve]]:
    """Runs by study, in the order given; a curve that is there twice counts once."""
    studies: dict[str, dict[bytes, RealCurve]] = {}
    for curve in curves:
        studies.setdefault(curve.group, {}).setdefault(curve.steps.tobytes() + curve.values.tobytes(), curve)
    return {name: list(studies[name].values()) for name in sorted(studies)}


def targets(sources: dict[str, list[RealCurve]], source: str, most: int, seed: int = 0) -> list[Target]:
    """Targets of a source, ``most`` of them, in turn from each of its studies; fewer asked for are the first of more.

    Args:
        sources: all curves of all sources, the alien ones among them.
        source: whose runs are forecast.
        most: how many.
        seed: of targets, others, ends of the running ones.
    """
    found = {name: studies_of(curves) for name, curves in sources.items()}
    pools = {name: list(runs) for name, runs in found[source].items() if len(runs) > 1}
    order = np.random.default_rng([seed, crc32(source.encode())]).permutation(sorted(pools))
    turns = [(name, i) for i in range(max(map(len, pools.values()), default=0)) for name in order if i < len(pools[name])]
    chosen = []
    for number, (name, i) in enumerate(turns[:most]):
        generator = np.random.default_rng([seed, crc32(source.encode()), number])
        curve = pools[name][i]
        rest = shuffled(pools[name][:i] + pools[name][i + 1 :], generator)
        finished = [(run.steps, run.values) for run in rest[: max(COUNTS)]]
        running = [unfinished(run, generator) for run in finished[:TOLD]]
        chosen.append(Target(curve, finished, running, aliens(found, curve, number % 2 == 0, generator)))
    return chosen


def unfinished(run: Run, generator: np.random.Generator) -> Run:
    """A run as it may stand while its study is running, of at least two points."""
    steps, values = run
    kind, share = generator.random(), generator.random()
    if kind < FINISHED:
        return run
    low, high = (EARLIEST, 1.0) if kind < FINISHED + STOPPED else PAUSED
    kept = max(2, round((low + share * (high - low)) * len(steps)))
    return steps[:kept], values[:kept]


def aliens(found: dict[str, dict[str, list[RealCurve]]], curve: RealCurve, near: bool, generator: np.random.Generator) -> list[Run]:
    """Runs of another study, of the same source if ``near``, where there is one; none if no study has this direction and bounds."""

    def elsewhere(source: str) -> list[list[RealCurve]]:
        return [runs for name, runs in found[source].items() if (source, name) != (curve.source, curve.group)]

    alike = [name for name, studies in found.items() if kind(next(iter(studies.values()))[0]) == kind(curve) and name != curve.source]
    here, there = elsewhere(curve.source), elsewhere(alike[generator.integers(len(alike))]) if alike else []
    studies = (here or there) if near else (there or here)
    if not studies:
        return []
    runs = shuffled(studies[generator.integers(len(studies))], generator)[:TOLD]
    stretch = 1.0 if studies is here else curve.steps[-1] / max(run.steps[-1] for run in runs)
    return [(stretch * run.steps, run.values) for run in runs]


def kind(curve: RealCurve) -> tuple[str, tuple[float | None, float | None]]:
    """What sort of metric it is: direction and bounds tell losses, rates and returns apart."""
    return curve.mode, curve.bounds


def shuffled(runs: list, generator: np.random.Generator) -> list:
    """The same in another order."""
    return [runs[i] for i in generator.permutation(len(runs))]
