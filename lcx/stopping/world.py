"""One decision per distributed world: all ranks of a training stop at the same step."""

from typing import Any

from torch import distributed

from lcx.stopping.rules import Verdict


def decide_on_rank_zero(verdict: Verdict | None) -> Verdict:
    """The verdict of rank 0 on every rank of a distributed training, so that all stop at the same step.

    Every rank calls it at the same steps; on ranks other than 0 what is given does not matter. Without torch.distributed, or
    before ``init_process_group``, it gives back what it got.

        verdict = decide_on_rank_zero(stopper.update(step, value) if rank == 0 else None)

    Args:
        verdict: on rank 0 the verdict.

    Raises:
        ValueError: no verdict was given on rank 0.
    """
    shared: list[Any] = [verdict]
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast_object_list(shared, src=0)
    if shared[0] is None:
        raise ValueError("expected a verdict on rank 0, got None; call update there, and pass None on the other ranks only")
    return shared[0]
