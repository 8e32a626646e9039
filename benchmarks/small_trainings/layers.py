"""Networks of many runs in one tensor: the weights of a run are a row, a layer is a batched product."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "gelu": functional.gelu, "sigmoid": torch.sigmoid}


class Shapes:
    """Cuts rows of weights into the parts of a network.

    Args:
        parts: shape of each part; the first of two axes is the fan-in, a part of one axis starts at zero.
    """

    def __init__(self, parts: Sequence[tuple[int, ...]]):
        self.parts = list(parts)
        self.sizes = [int(np.prod(part)) for part in self.parts]

    def start(self, gains: Float[np.ndarray, "R"], seed: int) -> Float[Tensor, "R P"]:
        """Normal weights with sd gain / √fan-in; each run's from a seed of its own."""
        rows = []
        for run, gain in enumerate(gains):
            draw = torch.Generator().manual_seed(seed + run)
            rows.append(
                torch.cat(
                    [
                        (torch.randn(p, generator=draw) * float(gain) / p[0] ** 0.5 if len(p) > 1 else torch.zeros(p)).flatten()
                        for p in self.parts
                    ]
                )
            )
        return torch.stack(rows)

    def cut(self, weights: Float[Tensor, "R P"]) -> list[Tensor]:
        """Each part of every run, (R, *shape)."""
        return [x.reshape(len(x), *part) for x, part in zip(weights.split(self.sizes, dim=1), self.parts, strict=True)]


def stack(inputs: int, widths: Sequence[int], outputs: int) -> Shapes:
    """A multilayer perceptron."""
    ends = [inputs, *widths, outputs]
    return Shapes([part for a, b in pairwise(ends) for part in ((a, b), (b,))])


def forward(
    parts: Sequence[Tensor], x: Float[Tensor, "R B I"], activation: str, alive: Float[Tensor, "R 1 H"] | None = None
) -> Float[Tensor, "R B O"]:
    """The perceptron's outputs; ``alive`` is 0 for hidden units that a narrower run lacks."""
    for layer in range(0, len(parts), 2):
        x = torch.baddbmm(parts[layer + 1][:, None], x, parts[layer])
        if layer + 2 < len(parts):
            x = ACTIVATIONS[activation](x)
            x = x if alive is None else x * alive
    return x
