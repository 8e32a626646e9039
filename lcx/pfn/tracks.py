"""Other runs as functions of the step: their value, its mean around a step, its range and its travel so far."""

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

WINDOW = 0.08  # half the width, relative to the step, of the means that smooth the runs' noise
_TINY = 1e-12


class Tracks:
    """Runs, piecewise linear between their points and constant beyond their ends.

    Shape letters: G groups of runs, one per target or one for all targets; K runs of a group, M points of a run; B targets, S steps.

    Args:
        values, steps: (G, K, M) float64, NaN where padded, on the right; steps increase. A run may have no point at all.
    """

    def __init__(self, values: Float[Tensor, "G K M"], steps: Float[Tensor, "G K M"]) -> None:
        self.groups, self.runs, _ = values.shape
        values, steps = values.flatten(0, 1), steps.flatten(0, 1)
        seen = ~(values.isnan() | steps.isnan())
        self.count = seen.sum(-1, keepdim=True)
        self.end = (self.count - 1).clamp(min=0)
        values = values.masked_fill(~seen, 0.0)
        self.steps = steps.masked_fill(~seen, torch.inf)
        self.values = torch.where(seen, values, values.gather(1, self.end))
        self.first_step, self.last_step = self.steps[:, :1], self.steps.gather(1, self.end).masked_fill(self.count == 0, -1.0)

    @cached_property
    def integral(self) -> Tensor:
        """Integral of each run up to each point."""
        rise = self.values.diff(dim=-1, prepend=self.values[:, :1])
        gap = self.steps.diff(dim=-1, prepend=self.steps[:, :1]).nan_to_num(0.0, 0.0, 0.0)
        return (gap * (self.values - rise / 2)).cumsum(-1)

    @cached_property
    def travel(self) -> Tensor:
        """Sum of the sizes of all changes up to each point."""
        return self.values.diff(dim=-1, prepend=self.values[:, :1]).abs().cumsum(-1)

    @cached_property
    def extremes(self) -> tuple[Tensor, Tensor]:
        """Highest and lowest value up to each point."""
        return self.values.cummax(-1).values, self.values.cummin(-1).values

    def locate(self, at: Float[Tensor, "B K S"]) -> "Place":
        """The runs at the steps ``at``."""
        return Place(self, at)

    def per_run(self, x: Float[Tensor, "GK 1"]) -> Float[Tensor, "G K 1"]:
        """A number per run, one group a row."""
        return x.view(self.groups, self.runs, 1)

    def smooth(self, at: Float[Tensor, "B K S"]) -> Float[Tensor, "B K S"]:
        """Mean of each run over the part it has of the steps within 8 % of ``at``; its value where it has none of them."""
        first, last = self.per_run(self.first_step), self.per_run(self.last_step)
        low = torch.minimum(torch.maximum(at * (1 - WINDOW), first), last)
        high = torch.maximum(torch.minimum(at * (1 + WINDOW), last), low)
        ends, span = self.locate(torch.cat([low, high], -1)), high - low
        (start, stop), value = ends.area.unflatten(-1, (2, at.shape[-1])).unbind(-2), ends.value[..., : at.shape[-1]]
        wide = span > 1e-9 * high.abs()
        return torch.where(wide, (stop - start) / torch.where(wide, span, 1.0), value)

    def only(self, runs: Int[Tensor, "B N"]) -> "Tracks":
        """The runs with these numbers, a group per target."""
        base = torch.zeros(runs.shape[0], 1, dtype=torch.long, device=runs.device)
        base = base if self.groups == 1 else base + self.runs * torch.arange(runs.shape[0], device=runs.device)[:, None]
        rows = (base + runs).flatten()
        padding = torch.arange(self.steps.shape[1], device=rows.device) >= self.count[rows]
        values, steps = (x[rows].masked_fill(padding, torch.nan).unflatten(0, runs.shape) for x in (self.values, self.steps))
        return Tracks(values, steps)


class Place:
    """Steps among the points of each run; every answer is (B, K, S)."""

    def __init__(self, tracks: Tracks, at: Float[Tensor, "B K S"]) -> None:
        self.tracks, self.shape = tracks, at.shape
        rows = self._rows(at)
        right = torch.searchsorted(tracks.steps, rows, right=True)
        self.left = (torch.minimum(right, tracks.count - 1) - 1).clamp(min=0)
        after = torch.minimum(self.left + 1, tracks.end)
        step = tracks.steps.gather(1, self.left)
        self.gap = (tracks.steps.gather(1, after) - step).nan_to_num(0.0, 0.0, 0.0)
        self.share = ((rows - step) / self.gap.clamp(min=_TINY)).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
        self.before = tracks.values.gather(1, self.left)
        self.rise = tracks.values.gather(1, after) - self.before

    def _rows(self, at: Tensor) -> Tensor:
        """Steps per run, whatever group asks."""
        shared = self.tracks.groups == 1
        return (at.movedim(0, 1).flatten(1) if shared else at.flatten(0, 1)).contiguous()

    def _back(self, x: Tensor) -> Tensor:
        b, k, s = self.shape
        return x.view(k, b, s).movedim(1, 0) if self.tracks.groups == 1 else x.view(b, k, s)

    @property
    def value(self) -> Tensor:
        """Value at the steps."""
        return self._back(self.before + self.share * self.rise)

    @property
    def area(self) -> Tensor:
        """Integral up to the steps."""
        own = self.gap * self.share * (self.before + 0.5 * self.share * self.rise)
        return self._back(self.tracks.integral.gather(1, self.left) + own)

    @property
    def travel(self) -> Tensor:
        """Sum of the sizes of all changes up to the steps."""
        return self._back(self.tracks.travel.gather(1, self.left) + self.share * self.rise.abs())

    @property
    def range(self) -> Tensor:
        """Highest less lowest value up to the steps."""
        here = self.before + self.share * self.rise
        high, low = (x.gather(1, self.left) for x in self.tracks.extremes)
        return self._back(torch.maximum(high, here) - torch.minimum(low, here))
