"""The study's other runs: from a user's to those that the network reads."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.curves import Curves, Scale, as_curves, direction

LONGEST = 256  # points of another run that are read: of more, so many evenly spaced ones
_LARGEST, _LATEST = 1e150, 1e300  # sizes of values and steps that squares and integrals stay finite with


class Others(NamedTuple):
    """The other runs of each target.

    Values of the target's chart and model steps are turned into these runs' units by ``origin + size * value`` and ``span * step``, so that
    many targets can share one set of runs.

    Attributes:
        values, steps: (G, K, M) float64, G one per target or 1 for all; larger is better; NaN where padded, on the right.
        origin, size, span: (B,) float64, size and span > 0.
        own: (B,) which of the runs is the target itself, and not read; -1 where none is.
    """

    values: Float[Tensor, "G K M"]
    steps: Float[Tensor, "G K M"]
    origin: Float[Tensor, "B"]
    size: Float[Tensor, "B"]
    span: Float[Tensor, "B"]
    own: Int[Tensor, "B"]

    @classmethod
    def in_chart(cls, values: Float[Tensor, "B K M"], steps: Float[Tensor, "B K M"]) -> "Others":
        """Runs that are given in the target's own chart and model steps already."""
        one = torch.ones(len(values), dtype=torch.float64, device=values.device)
        return cls(values.double(), steps.double(), 0 * one, one, one, torch.full_like(one, -1, dtype=torch.long))

    def rows(self, which: slice | Tensor) -> "Others":
        """The other runs of some of the targets."""
        runs = (self.values, self.steps) if len(self.values) == 1 else (self.values[which], self.steps[which])
        return Others(*runs, *(x[which] for x in self[2:]))

    def to(self, device: torch.device) -> "Others":
        """The same on another device."""
        return Others(*(x.to(device) for x in self))


class Study(NamedTuple):
    """Runs of a study to which the targets themselves may belong; taken wherever ``others`` are.

    Attributes:
        runs: (steps, values) of each run, as in a list of others.
        own: of each target, which of the runs it is itself, and not read; -1 where it is none of them.
    """

    runs: list[tuple[Any, Any]]
    own: list[int]


def as_others(others: Any, curves: Curves, scale: Scale, *, mode: str, bounds: Any) -> Others | None:
    """Checks a user's other runs.

    Args:
        others: pairs (steps, values), steps None for 1, 2, ...; or ``Curves``; or "batch": each curve's others are the rest of ``curves``;
            or a :class:`Study`.
        curves: the targets, user's units.
        scale: from the targets' charts to the user's values, of a general model.
        mode: "max" or "min".
        bounds: closed limits (lower, upper) of the metric.

    Returns:
        The runs, shared by all targets; None if there are none.

    Raises:
        TypeError: something is not numbers. ValueError: neither pairs nor ``Curves`` nor "batch", or a run breaks a rule of ``as_curves``.
    """
    if others is None or (not isinstance(others, (str, Curves)) and not len(others)):
        return None
    own = torch.full((len(curves),), -1)
    if isinstance(others, Study):
        own, others = torch.tensor(others.own), others.runs
        if not others:
            return None
    if isinstance(others, str):
        if others != "batch":
            raise ValueError(f"Expected others as (steps, values) pairs, Curves or 'batch'; got {others!r}. Leave it out for none.")
        if len(curves) == 1:
            return None
        runs, own = curves, torch.arange(len(curves))
    else:
        runs = as_curves(*_columns(others), horizon=_LATEST, bounds=bounds, finished=True)[0]
    values, steps = (_thinned(x, runs.counts) for x in (runs.values, runs.steps))
    sign = direction(mode)
    values = (sign * values.double()).clamp(-_LARGEST, _LARGEST)
    origin, size = (sign * x.double() for x in (scale.worst, scale.slope))
    return Others(values[None], steps.double()[None], origin, size, curves.horizon.double() / 100, own)


def _columns(others: Any) -> tuple[list[Any], list[Any]]:
    """Values and steps of each run."""
    if isinstance(others, Curves):
        rows = [(steps[:n], values[:n]) for steps, values, n in zip(others.steps, others.values, others.counts.tolist(), strict=True)]
        return [values.numpy(force=True) for _, values in rows], [steps.numpy(force=True) for steps, _ in rows]
    pairs = list(others)
    for i, pair in enumerate(pairs):
        if isinstance(pair, (str, bytes)) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise ValueError(f"Expected each of the others as a pair (steps, values); got {type(pair).__name__} as number {i}. Pair them.")
    values = [pair[1] for pair in pairs]
    return values, [np.arange(1, len(y) + 1) if t is None else t for (t, _), y in zip(pairs, values, strict=True)]


def _thinned(x: Float[Tensor, "K M"], counts: Int[Tensor, "K"]) -> Float[Tensor, "K N"]:
    """At most ``LONGEST`` points of each run, evenly spread, the first and last among them."""
    if x.shape[1] <= LONGEST:
        return x
    index = torch.arange(LONGEST)
    even = (index * ((counts - 1) / (LONGEST - 1))[:, None]).round().long()
    return x.gather(1, torch.where(counts[:, None] > LONGEST, even, index))
