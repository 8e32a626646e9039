"""On how many threads a decision is made."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from lcx.pfn.forks import mind_forks

MOST = 1 << 10  # points and steps of all curves, up to which a second thread gains little; beside busy processes it has to be waited for


@contextmanager
def one_thread() -> Iterator[None]:
    """Predictions use one thread meanwhile; afterwards the caller's number is as it was.

    Beside trainings, where runs are watched, a second thread spends more time on waiting than it takes from the first.
    """
    mind_forks()  # or the number of a process's parent would come back after a prediction has lowered it for good
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def few_threads(size: int) -> AbstractContextManager[None]:
    """Predictions of at most :data:`MOST` points and steps use one thread meanwhile."""
    return nullcontext() if size > MOST else one_thread()
