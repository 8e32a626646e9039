"""Finds predictions with much mass where the metric, by its values so far, may be unable to go."""

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.predictive.law import Predictive

_RANGES = {"max": ((0, 1), (0, 100), (0, None)), "min": ((0, None),)}  # a loss below 1 may rise above it, an accuracy may not
_MOST = 0.05


def mass_outside(law: Predictive, values: Float[Tensor, "B L"], mode: str) -> list[str]:
    """Sentences about curves with more than 5 % of their mass outside the narrowest usual range that holds all their values.

    The ranges are [0, 1], [0, 100] and [0, inf) if larger is better, else [0, inf). Bounds that were given leave no mass outside.

    Args:
        law: predictive of one step of each curve, user's unit, batch shape (B,).
        values: the observed ones, user's unit, NaN-padded.
        mode: "max" or "min".
    """
    lowest, highest = values.nan_to_num(torch.inf).amin(1), values.nan_to_num(-torch.inf).amax(1)
    told, sentences = lowest > highest, []  # of a curve without values nothing is told
    for lower, upper in _RANGES[mode]:
        inside = (lowest >= lower) & (highest <= (torch.inf if upper is None else upper)) & ~told
        told = told | inside
        mass = law.cdf(torch.full_like(lowest, lower, dtype=torch.float64))
        if upper is not None:
            mass = mass + 1 - law.cdf(torch.full_like(lowest, upper, dtype=torch.float64))
        if rows := (inside & (mass > _MOST)).nonzero().flatten().tolist():
            shares = sorted({round(100 * mass[i].item()) for i in (min(rows, key=mass.__getitem__), max(rows, key=mass.__getitem__))})
            named = f"curve {', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''}"
            where = f"outside [{lower}, {upper}]" if upper is not None else f"below {lower}"
            sentences.append(
                f"{named}: {' to '.join(map(str, shares))} % of the mass at the last step lies {where}, where no value lies: "
                f"if the metric cannot go there, give bounds=({lower}, {upper})"
            )
    return sentences
