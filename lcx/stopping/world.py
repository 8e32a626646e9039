"""One decision for all ranks of a distributed training."""

from typing import Any

from torch import distributed

from lcx.stopping.rules import Verdict


def decide_on_rank_zero(verdict: Verdict | None) -> Verdict:
    """Returns the verdict of rank 0 on every rank of a distributed training, so that all ranks stop at the same step.

    Call it on every rank at the same steps:

        verdict = decide_on_rank_zero(stopper.update(step, value) if rank == 0 else None)

    Without torch.distributed, or before ``init_process_group``, it returns its argument.

    Args:
        verdict: the verdict on rank 0; ignored on the other ranks.

    Raises:
        ValueError: there was no verdict on rank 0.
    """
    shared: list[Any] = [verdict]
    if distributed.is_available() and distributed.is_initialized():
        distributed.broadcast_object_list(shared, src=0)
    if shared[0] is None:
        raise ValueError("expected a verdict on rank 0, got None; call update there, and pass None on the other ranks only")
    return shared[0]
