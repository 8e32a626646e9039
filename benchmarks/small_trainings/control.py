"""Returns of reinforcement learning in tiny environments: noise, steps, plateaus and collapses."""

import numpy as np

from benchmarks.small_trainings.agents import bandits, evolution, gradients, temporal
from benchmarks.small_trainings.plans import Plan, grid
from benchmarks.small_trainings.studies import Study
from benchmarks.small_trainings.worlds import WORLDS, world

LEARNERS = ("cells", "gradients", "cells", "features", "bandit", "cells", "evolution")
PLACES = {
    "cells": WORLDS,
    "features": ("cart-pole", "mountain-car", "pendulum"),
    "gradients": ("cart-pole", "chain", "maze", "cart-pole", "rooms"),
    "evolution": ("pendulum", "mountain-car", "cart-pole"),
}
LAST = {"cells": (2500, 12_000), "features": (2500, 8000), "gradients": (30, 120), "evolution": (12, 40), "bandit": (300, 3000)}


def returns(rng: np.random.Generator, index: int, runs: int) -> Study:
    """A study of one learner in one environment: mean return of the episodes since the last evaluation."""
    plan, learner, turn = Plan(rng, runs), LEARNERS[index % len(LEARNERS)], index // len(LEARNERS)
    low, high = LAST[learner]
    last = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    if learner == "bandit":
        when = grid(rng, last)
        kept = when.steps > 0  # there is no reward before the first step
        return Study(f"{index}-bandit-{plan.kind}", when.told[kept], bandits(plan, when.steps[kept]))
    name = PLACES[learner][(index if learner == "cells" else turn) % len(PLACES[learner])]
    place = world(name, rng)
    online = learner in ("cells", "features")
    when = grid(rng, last, most=max(20, min(128, 2 * last // place.limit)) if online else 128)
    kept = when.steps >= (place.limit if online else 1)  # before that, few episodes are over
    steps, told = when.steps[kept], when.told[kept]
    if learner == "gradients":
        values = gradients(plan, place, steps)
    elif learner == "evolution":
        values = evolution(plan, place, steps)
    else:
        values = temporal(plan, place, steps, int(rng.choice([16, 48])) if learner == "features" else 0)
    return Study(f"{index}-{name}-{learner}-{plan.kind}", told, values)
