"""Training with several processes started by ``torchrun``: each has its own curves, all have the same weights.

One explicit all-reduce of a flat buffer averages the gradients. DistributedDataParallel needs the ``forward`` of a module, but the loss is
a function: it encodes once, decodes many pairs and may be compiled. Its advantage, communication during the backward pass, is worth
nothing at 2 MB of gradients.
"""

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

_PATIENCE = timedelta(minutes=10)  # with a rank that is alive and silent; rank 0 validates meanwhile


@dataclass(frozen=True)
class Ranks:
    """The processes of a training run as one of them sees them; alone, every method gives back what it got.

    Attributes:
        rank: of this process; rank 0 logs, validates and writes.
        size: number of processes.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def average_gradients(self, model: nn.Module) -> None:
        """Puts the mean over all ranks in place of each gradient; the same bits on every rank."""
        if self.size == 1:
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def largest(self, *numbers: float) -> tuple[float, ...]:
        """The largest of each number over all ranks, on which all can act alike."""
        if self.size == 1:
            return numbers
        shared = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(shared, distributed.ReduceOp.MAX)
        return tuple(shared.tolist())

    def mean(self, number: Tensor) -> Tensor:
        """The mean over all ranks."""
        if self.size > 1:
            number = number.clone()
            distributed.all_reduce(number)
            number /= self.size
        return number

    def from_first(self, what: Any) -> Any:
        """What rank 0 gave, on every rank; what others give does not matter."""
        if self.size == 1:
            return what
        shared = [what]
        distributed.broadcast_object_list(shared, src=0, device=self.device)
        return shared[0]

    def check_equal(self, model: nn.Module) -> None:
        """Makes sure that the weights did not come apart, as they could on devices of different kinds.

        Raises:
            RuntimeError: they did.
        """
        bits = sum(int(p.detach().view(torch.int32).long().sum()) for p in model.parameters()) % 2**52  # whole in float64
        low, high = self.largest(-bits, bits)
        if high != -low:
            raise RuntimeError("expected the same weights on every rank, got different ones; resume on devices of one kind")


def launched() -> bool:
    """Whether ``torchrun`` started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def ranks(device: torch.device | str | None) -> Ranks:
    """This process among those ``torchrun`` started (gloo on CPUs, NCCL on GPUs, one each); alone without it.

    Args:
        device: default CUDA if there is one; of several GPUs each process of a machine takes its own.
    """
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if not launched() or os.environ["WORLD_SIZE"] == "1":
        return Ranks(0, 1, chosen)
    on_gpu = chosen.type == "cuda"
    if on_gpu:
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():  # once a process: a second group would wait forever on the addresses of the first
        distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), chosen)
