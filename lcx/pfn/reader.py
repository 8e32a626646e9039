"""The reader: what the study's other runs did between a cut-off and a query, as one vector and one shift for the decoder.

Every other run becomes one token (:mod:`lcx.pfn.moves`). The (cut-off, query) pair looks at these tokens twice, and in between each run
learns how far it is from the mean of the first look. A head also tells mean and spread of the moves of the runs that it attends to, as
numbers; they are taken on the asinh scale, on which one run that went astray weighs little.

The answer has three parts: a vector, added to the decoder's input; weights, of a sum below 1, for those mean moves; and copies. The mean
moves draw the locations of the mixture along, on the asinh scale on which the decoder places them: there a small weight on a huge move does
little. Copies are components of their own, two for each run that is looked at: one where that run was at the query, one where its move
from the cut-off leads from here. Each has the spacing of such places as its unit. So where runs end within a thousandth of one another the
forecast can say so, although the target's own points, of a much wider range, could never tell. Where no run is known the vector and the
weights are zero, copies have no weight, and the other components are those of the curve alone, to the bit.

Source: ours; what was tried is in benchmarks/LOG.md. Attention over runs that share a study is in the line of ifBO (Rakotoarison et al.,
ICML 2024, arXiv 2404.16795), which reads the points of all runs as one context. Components at the places of observed ones are a kernel
density estimate; that a network weighs them is in the line of pointer networks (Vinyals et al., NeurIPS 2015, arXiv 1506.03134).

Shape letters: B targets, P pairs, N runs looked at, D width of the PFN, W of the reader, H heads.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from lcx.pfn.blocks import linear, normed
from lcx.pfn.moves import FEATURES, MOVES, Described

_HEADS = 4
_COPIED = [0, 3]  # of the moves, those that lead to copies
_RARE = 6.0  # log weight at the start of all that is no copy, beside one copy
_PULLED = [0, 1, 3]  # of the moves, those that may draw locations along: the one in proportion to ranges may be off by a large factor
_RESERVE = 4.0  # log weight at the start of drawing nothing along
NOTHING = -1e4  # log weight of a run that is not known
_CLOSEST = 1e-3  # least spread of moves: about what float32 tells apart
NEAREST = 1e-4  # least spacing of copies, and least scale: below it lie values that are repeated
_RESOLUTIONS = ((10.0, 0.25), (0.03, 1.0))  # of a mean move in units of change: scale inside asinh, and after


class Copies(NamedTuple):
    """Components of the mixture, two for each run that a pair looks at.

    Attributes:
        weight: logarithm, beside that of all other components together; ``NOTHING`` where the run is not known.
        place: from the last value, in units of change.
        wide: standard deviation, in units of change.
    """

    weight: Float[Tensor, "B P C"]
    place: Float[Tensor, "B P C"]
    wide: Float[Tensor, "B P C"]


class Read(NamedTuple):
    """What the reader says of each pair.

    Attributes:
        added: to be added to the decoder's input.
        weights, moves: of the mean moves that draw locations along; these in units of change.
        copies: None of a reader without.
    """

    added: Float[Tensor, "B P D"]
    weights: Float[Tensor, "B P J"]
    moves: Float[Tensor, "B P J"]
    copies: Copies | None


class _Look(nn.Module):
    """A pair looks at its runs: attention whose heads also tell the mean and spread of moves, then an MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.run_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.q, self.kv = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.level = nn.Linear((len(_RESOLUTIONS) + 2) * MOVES * _HEADS, width, bias=False)
        self.up, self.down = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)

    def forward(
        self, x: Float[Tensor, "B P W"], runs: Float[Tensor, "B P N W"], moves: Float[Tensor, "B P N 4"], known: Bool[Tensor, "B P N"]
    ) -> tuple[Float[Tensor, "B P W"], Float[Tensor, "B P H 4"], Float[Tensor, "B P H 4"]]:
        """The pair after its look; mean and spread of the ``moves``, given on the asinh scale, that each head attends to."""
        b, p, n, w = runs.shape
        q = linear(self.q, normed(self.norm, x)).view(b, p, _HEADS, 1, -1)
        keys, told = linear(self.kv, normed(self.run_norm, runs)).view(b, p, n, 2, _HEADS, -1).permute(3, 0, 1, 4, 2, 5)
        scores = (q @ keys.transpose(-1, -2)).squeeze(-2) * (w // _HEADS) ** -0.5
        weights = scores.masked_fill(~known[:, :, None], -1e9).softmax(-1)
        with torch.autocast(x.device.type, enabled=False):  # in bf16 the means would lose their digits
            weights = weights.to(moves.dtype)
            mean = weights @ moves
            # Not a difference of squares: where a head looks at one run, or runs move alike, that would be nothing but rounding.
            apart = moves[:, :, None] - mean[..., None, :]
            spread = (weights[..., None] * apart.square()).sum(-2).clamp(min=_CLOSEST**2).sqrt()
        level = [mean, *(torch.asinh(scale * torch.sinh(mean)) * after for scale, after in _RESOLUTIONS), torch.log(spread) / 3]
        x = x + linear(self.out, (weights[..., None, :] @ told).flatten(2)) + linear(self.level, torch.cat(level, -1).flatten(2))
        return x + linear(self.down, functional.relu(linear(self.up, normed(self.mlp_norm, x))).square()), mean, spread


class Reader(nn.Module):
    """See the top of this file.

    Args:
        width: width of the PFN.
        query: features of a query.
        inner: width of the reader.
        copies: whether it makes copies.
    """

    def __init__(self, width: int, query: int, inner: int, copies: bool) -> None:
        super().__init__()
        self.copies = copies
        self.run, self.state, self.query = nn.Linear(FEATURES, inner), nn.Linear(width, inner), nn.Linear(query, inner)
        self.run_up, self.run_down = nn.Linear(inner, 2 * inner), nn.Linear(2 * inner, inner)
        self.looks = nn.ModuleList(_Look(inner) for _ in range(2))
        self.apart, self.pair = nn.Linear(2 * MOVES * _HEADS, inner), nn.Linear(inner, inner)
        self.again_norm = nn.LayerNorm(inner)
        self.again_up, self.again_down = nn.Linear(inner, 2 * inner), nn.Linear(2 * inner, inner)
        if copies:
            self.spaced, self.copy_norm = nn.Linear(len(_COPIED), inner), nn.LayerNorm(inner)
            self.copy = nn.Linear(inner, 2 * len(_COPIED))
        self.last_norm, self.last, self.gate = nn.LayerNorm(inner), nn.Linear(inner, width), nn.Linear(inner, len(_PULLED) * _HEADS)

    def forward(self, told: Described, state: Float[Tensor, "B #P D"], asked: Float[Tensor, "B P Q"]) -> Read:
        """Reads the runs.

        Args:
            told: the runs as the pairs see them.
            state: state of the target at the cut-off.
            asked: features of the query.
        """
        moves, known = torch.asinh(told.moves), told.known
        x = linear(self.state, state) + linear(self.query, asked)
        runs = linear(self.run, told.features) + x[:, :, None]
        runs = runs + linear(self.run_down, functional.relu(linear(self.run_up, runs)).square())
        x, mean, spread = self.looks[0](x, runs, moves, known)
        apart = moves[:, :, :, None] - mean[:, :, None]
        apart = torch.cat([apart, (apart / (spread[:, :, None] + 1e-3)).clamp(-8, 8) / 2], -1).flatten(3)
        runs = runs + linear(self.apart, apart) + linear(self.pair, x)[:, :, None]
        places = told.moves[..., _COPIED]
        spacing, copies = _spacing(places, known) if self.copies else None, None
        if spacing is not None:
            runs = runs + linear(self.spaced, torch.log(spacing) / 3)
        runs = runs + linear(self.again_down, functional.relu(linear(self.again_up, normed(self.again_norm, runs))).square())
        x, mean, _ = self.looks[1](x, runs, moves, known)
        if spacing is not None:
            weight, wide = linear(self.copy, normed(self.copy_norm, runs + x[:, :, None])).to(moves.dtype).chunk(2, -1)
            weight = (weight - _RARE).masked_fill(~known[..., None], NOTHING)
            copies = Copies(weight.flatten(2), places.flatten(2), (spacing * torch.exp(wide.clamp(-5, 5))).flatten(2))
        x, some = normed(self.last_norm, x), known.any(-1)[..., None]
        weights = linear(self.gate, x).to(moves.dtype)
        weights = torch.cat([weights, torch.full_like(weights[..., :1], _RESERVE)], -1).softmax(-1)[..., :-1]
        return Read(linear(self.last, x) * some, weights * some, torch.sinh(mean[..., _PULLED]).flatten(2), copies)


def _spacing(places: Float[Tensor, "B P N J"], known: Bool[Tensor, "B P N"]) -> Float[Tensor, "B P N J"]:
    """From each place to the second nearest of the others, the last value, 0, among them; with one run, to that."""
    apart = (places[:, :, :, None] - places[:, :, None]).abs()
    other = known[:, :, None] & ~torch.eye(places.shape[2], dtype=torch.bool, device=places.device)
    apart = torch.cat([apart.masked_fill(~other[..., None], torch.inf), places.abs()[:, :, :, None]], 3)
    first, second = apart.sort(3).values[:, :, :, :2].unbind(3)
    return torch.where(second.isfinite(), second, first).clamp(min=NEAREST)
