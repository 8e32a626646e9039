"""Other runs that mislead: a reader learns when to look away if it is shown some that are of no use."""

import numpy as np

from lcx.pretraining.sources import Run, Source

OWN_MAP, ONE_MAP = 0.35, 0.25  # share of the misled, by kind; the rest are told another study as it is
WHOLE = 0.7  # of the targets told another study, for how many all of the others are of it


def mislead(
    others: list[Run], me: Run, source: Source, study: list[Run], sources: list[Source], most: int, rng: np.random.Generator
) -> list[Run]:
    """The others of a target, of which some or all are replaced. All values, given and returned, are such that larger is better.

    Either each by a run of any study, laid by a map of its own into the range of the target; or all by runs of one study, laid there by one
    map, so that they agree with one another; or by runs of another study of the same kind of metric, as they are, their steps
    stretched to the target's where they are of another source.

    Args:
        others: runs of the target's study, one or more.
        me: the target as it is in its study.
        source: the target's.
        study: the target's.
        sources: where the alien runs come from.
        most: as many runs of another study at most.
        rng: of the draws.
    """
    kind, size = rng.random(), np.ptp(me.values) or 1.0
    share = 1.0 if rng.random() < WHOLE else rng.choice([0.3, 0.6])

    def laid(run: Run, spread: float, middle: float) -> Run:
        values = (run.values - run.values[0]) * size / (np.ptp(run.values) or 1.0)
        return Run(run.steps / run.steps[-1] * me.steps[-1], me.values[0] + size * middle + spread * values)

    if kind < OWN_MAP:
        share = rng.choice([0.3, 0.6, 1.0])
        theirs = [laid(_signed(*_any(sources, rng)), np.exp(rng.normal(0, 0.7)), rng.normal(0, 0.3)) for _ in others]
    else:
        count = int(np.exp(rng.uniform(0, np.log(most + 1)))) if share == 1 else len(others)
        if kind < OWN_MAP + ONE_MAP:
            strange, _ = _any(sources, rng)
            runs = [_signed(strange, run) for run in strange.studies[rng.integers(len(strange.studies))]]
            spread, middle = np.exp(rng.normal(0, 0.7)), rng.normal(0, 0.5)
            theirs = [laid(runs[i], spread, middle) for i in rng.permutation(len(runs))[:count]]
        else:
            runs = _alien(me, source, study, sources, rng)
            theirs = [runs[i] for i in rng.permutation(len(runs))[:count]]
        if share == 1:
            return theirs
    replaced = rng.random(len(others)) < share
    return [theirs[i] if i < len(theirs) and replaced[i] else other for i, other in enumerate(others)]


def _any(sources: list[Source], rng: np.random.Generator) -> tuple[Source, Run]:
    source = sources[rng.integers(len(sources))]
    study = source.studies[rng.integers(len(source.studies))]
    return source, study[rng.integers(len(study))]


def _signed(source: Source, run: Run) -> Run:
    return Run(run.steps, source.sign * run.values)


def _alien(me: Run, source: Source, study: list[Run], sources: list[Source], rng: np.random.Generator) -> list[Run]:
    """The runs of another study with the same direction and bounds, of the target's own source or of another."""
    alike = [x for x in sources if x is not source and (x.sign, x.bounds) == (source.sign, source.bounds)]
    near = len(source.studies) > 1 and (rng.random() < 0.5 or not alike)
    if not near and not alike:
        return []
    strange = source if near else alike[rng.integers(len(alike))]
    studies = [x for x in strange.studies if x is not study]
    runs = studies[rng.integers(len(studies))]
    stretch = 1.0 if near else me.steps[-1] / max(run.steps[-1] for run in runs)
    return [_signed(strange, Run(stretch * run.steps, run.values)) for run in runs]
