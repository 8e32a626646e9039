"""Tensors that depend on sizes and devices alone, made once: masks, and constants of the features."""

from collections.abc import Callable
from functools import cache, wraps
from typing import TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor

Made = TypeVar("Made")


def kept(make: Callable[..., Made]) -> Callable[..., Made]:
    """Keeps what a function makes, by its arguments. What is made may not be edited.

    While a graph is traced it is made anew, as a part of the graph. It is no inference tensor, so that training may use it too.
    """

    @cache
    def made(*given: object) -> Made:
        with torch.inference_mode(False), torch.no_grad():
            return make(*given)

    @wraps(make)
    def get(*given: object) -> Made:
        return make(*given) if torch.compiler.is_compiling() else made(*given)

    return get


def later_and_itself(length: int, device: torch.device) -> tuple[Bool[Tensor, "L L"], Bool[Tensor, "L L"]]:
    """Of each token (row), which ones come later, and which one it is."""
    size = length if torch.compiler.is_compiling() else max(64, 1 << (length - 1).bit_length())
    later, itself = _masks(size, device)
    return later[:length, :length], itself[:length, :length]


@kept
def _masks(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    whole = torch.ones(size, size, dtype=torch.bool, device=device)
    return whole.triu(1), torch.eye(size, dtype=torch.bool, device=device)
