"""Finds observed points that the model considered all but impossible; ``Extrapolation.warnings`` reports them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lcx.pfn.tokens import GeneralTokens, Tokens
from lcx.predictive import Predictive

_SURPRISE = 1e-5  # chance that a curve of the prior is reported as surprising, were the model exact


def surprises(read: Tokens | GeneralTokens, decode: Callable[[Any, Tensor, Tensor], Predictive]) -> list[str]:
    """Curves that the model, predicting each point from those before, held all but impossible.

    Under the prior the normal scores of these predictions are independent N(0, 1). A single extreme one is a jump; a sum over
    the last points that is extreme is a trend the prior does not know, such as divergence.
    """
    count = read.values.shape[1] - 1
    if count < 1:
        return []
    before = torch.minimum(torch.arange(count), (read.counts[:, None] - 2).clamp(min=0))  # in padding the last: no longer curve is encoded
    law = decode(read, before, read.steps[:, 1:]).double()
    below = law.cdf(read.values[:, 1:].double()).clamp(1e-300, 1 - 1e-16)
    score = torch.special.ndtri(below).nan_to_num(0.0)
    length = (~below.isnan()).flip(1).cumsum(1).clamp(min=1).flip(1)
    trend = score.flip(1).cumsum(1).flip(1) / length.sqrt()
    limit = -torch.special.ndtri(torch.tensor(_SURPRISE / (4 * count), dtype=torch.float64))
    sentences = []
    for what, statistic in (("jumps at point", score), ("drifts away from the prediction since point", trend)):
        largest = statistic.abs().max(1)
        for i in (largest.values > limit).nonzero().flatten().tolist():
            point = int(read.origin[i, largest.indices[i] + 1]) + 1
            sentences.append(f"curve {i}: {what} {point} as no curve of the prior does; the bands may be misplaced or too narrow")
    return sentences
