"""Encoded curves and their key/value cache, which :meth:`lcx.pfn.model.PFN.decode` reads and ``append`` extends."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from lcx.pfn.features import Frame


class Cache:
    """Keys and values of every layer in buffers with room at the end, so that appending one token copies nothing.

    Contexts of different length may share the buffers; the one that ends where the written part ends may write on, any other
    (a second branch from the same point) gets a copy.
    """

    def __init__(self, layers: list[tuple[Tensor, Tensor]], room: int = 0) -> None:
        self.used = layers[0][0].shape[2]
        self.layers = [(_with_room(k, room), _with_room(v, room)) for k, v in layers]

    def for_append(self, length: int) -> "Cache":
        """This cache if a token may be written at ``length``, else a copy of the first ``length`` tokens with as much room again."""
        if length == self.used and length < self.layers[0][0].shape[2]:
            return self
        return Cache([(k[:, :, :length], v[:, :, :length]) for k, v in self.layers], room=max(length, 16))


def _with_room(x: Float[Tensor, "B H L Dh"], room: int) -> Float[Tensor, "B H longer Dh"]:
    return x if room == 0 else functional.pad(x, (0, 0, 0, room))


def pick(x: Shaped[Tensor, "B *rest"], at: Int[Tensor, "B"], axis: int) -> Tensor:
    """Of each curve the entry ``at`` along an axis, which stays, of length 1."""
    index = at.reshape(-1, *[1] * (x.dim() - 1)).expand(*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return x.gather(axis, index)


@dataclass(frozen=True)
class Context:
    """Encoded curves: what :meth:`lcx.pfn.model.PFN.decode` reads and :meth:`lcx.pfn.model.PFN.append` extends.

    Attributes:
        states: (B, L, D) summary of the points up to and including each token; encoded for one token only, all are that one's.
        values, steps: (B, L) the tokens, model units; 0 and 100 where not ``seen``.
        seen: (B, L) False where a token is padding.
        units, gaps: (B, L) unit of change and spacing of steps at each token; 1 in the parametric chart.
        frame: bounds and fallback scale in the chart of the values; None in the parametric chart.
        cache: keys and values of the attention layers; None if not asked for.
    """

    states: Float[Tensor, "B L D"]
    values: Float[Tensor, "B L"]
    steps: Float[Tensor, "B L"]
    seen: Bool[Tensor, "B L"]
    units: Float[Tensor, "B L"]
    gaps: Float[Tensor, "B L"]
    frame: Frame | None = None
    cache: Cache | None = None

    @property
    def last(self) -> Int[Tensor, "B"]:
        """Index of each curve's last seen token."""
        length = self.seen.shape[1]
        return length - 1 - self.seen.flip(1).int().argmax(1)

    def repeat(self, n: int) -> "Context":
        """Each curve ``n`` times, one after another."""

        def longer(x: Tensor) -> Tensor:
            return x.repeat_interleave(n, 0)

        states, values, steps, seen, units, gaps = map(longer, (self.states, self.values, self.steps, self.seen, self.units, self.gaps))
        frame = None if self.frame is None else Frame(*map(longer, self.frame))
        cache = None if self.cache is None else Cache([(longer(k), longer(v)) for k, v in self.cache.layers])
        return Context(states, values, steps, seen, units, gaps, frame, cache)
