"""The form of a method in a replay: it says which run to train next, and up to which of its points.

A method is a callable ``method(task, order, *, budget, chances) -> iterator of Leg``. It may look at the values of a run only up to the
point to which it has trained the run. What a run has reached is its best value so far.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Leg(NamedTuple):
    """Train ``run`` up to its first ``points`` points; ``chance`` is the probability behind a decision to stop there, if there was one."""

    run: int
    points: int
    chance: float = math.nan


Method = Callable[..., Iterator[Leg]]
Order = Sequence[int] | Int[np.ndarray, "n"]  # of run indices
