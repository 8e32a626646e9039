"""On how many threads a decision is made."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lcx.pfn.forks import mind_forks

MOST = 1 << 10  # points and steps of all curves, up to which a second thread gains little; beside busy processes it has to be waited for


@contextmanager
def few_threads(size: int) -> Iterator[None]:
    """Predictions of at most :data:`MOST` points and steps use one thread meanwhile; afterwards the caller's number is as it was."""
    mind_forks()  # or the number of a process's parent would come back after a prediction has lowered it for good
    before = torch.get_num_threads()
    if size > MOST or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
