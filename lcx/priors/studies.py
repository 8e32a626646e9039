"""Studies of the general prior: runs that belong together, each of which alone follows the prior's own law.

The latents of two runs of a study are correlated, z_run = sqrt(r) z_study + sqrt(1 - r) z_own, with r by ingredient: runs of one task share
grid, schedule and kind of noise, while speed, size and accidents differ.

Source: ours. ifBO (arXiv 2404.16795) draws runs of a study that share first value and limit only.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.priors.general import GeneralPrior
from lcx.priors.laws import PARTS

# Correlation of a latent between two runs of a study of middling likeness; chosen by hand (benchmarks/LOG.md).
KIND = 0.995  # which kind of curve it is, and whether parts are crossed
SHARED: dict[float, tuple[str, ...]] = {
    0.999: ("geometric", "first", "uneven", "dense", "untrained", "untrained_at", "told_upper", "told_lower"),
    0.98: ("has_upper", "room_above", "has_lower", "room_below", "flat_room", "cut_off", "offset", "anneal", "anneal_start", "anneal_end",
           "parametric", "link", "power", "walk_told"),
    0.95: ("heavy", "rounded", "round_to", "flat", "falls", "slow", "spikes", "transient", "walk", "turn_back"),
    0.85: ("noise", "flat_noise", "noise_early", "noise_rise", "correlated", "correlation", "wander_rough", "wander_length", "walk_size",
           "walk_growth", "walk_calm", "turn", "turn_at", "transient_tau", "decline", "constant", "spike_chance", "spike_size", "level"),
    0.7: ("tau", "tau_place", "shape", "steep", "second", "tau_2", "stretch", "anneal_size", "transient_size", "decline_start",
          "decline_size", "decline_shape", "decline_ends", "turn_size", "wander", "constant_until"),
    0.4: ("jump", "jump_at", "jump_size", "jump_tau", "diverge", "diverge_at", "diverge_size", "diverge_tau", "recovers", "recover_tau"),
}  # fmt: skip
LOOSENESS = (-0.5, 1.7)  # log-normal
UNRELATED = 0.1  # share of studies whose runs have grid and bounds in common, and nothing else
START, RISE = (0.08, 1.0), (0.3, 0.7)  # spread of starts, in rises, and of the log of rises: median at looseness 1, sd of its logarithm


class Places(NamedTuple):
    """Where the runs of studies lie beside one another, (n, 1) each: run = start + rise * (curve - its first value)."""

    start: Float[Tensor, "n 1"]
    rise: Float[Tensor, "n 1"]

    def put(self, curve: Tensor, first: Tensor) -> Tensor:
        """Values (n, ...) of curves on the common scale of their study."""
        start, rise, first = (x.reshape(-1, *[1] * (curve.dim() - 1)) for x in (self.start, self.rise, first))
        return start + rise * (curve - first)


def draw_study(prior: GeneralPrior, studies: int, runs: int, generator: torch.Generator) -> tuple[Float[Tensor, "n dim"], Places]:
    """Latents and places of ``studies`` * ``runs`` curves, those of a study one after another; each latent is N(0, 1).

    Each study draws how loose it is: r becomes r**looseness, and the spreads of starts and rises grow with its root, so that some studies
    hold runs that are nearly copies of one another and others hold runs that are hardly alike.
    """
    like = {"generator": generator, "device": generator.device}
    named = {name: r for r, names in SHARED.items() for name in names}
    usual = torch.tensor([KIND] * (3 + len(PARTS)) + [named[name] for name in prior.laws], device=generator.device)
    looseness = torch.exp(LOOSENESS[0] + LOOSENESS[1] * torch.randn(studies, 1, 1, **like))
    r = usual**looseness
    r = torch.where((torch.rand(studies, 1, 1, **like) < UNRELATED) & (usual < 0.97), 0.0, r)
    shared, own = torch.randn(studies, 1, prior.dim, **like), torch.randn(studies, runs, prior.dim, **like)

    def differing(size: float, sd: float) -> Tensor:
        spread = size * looseness[..., 0].sqrt() * torch.exp(sd * torch.randn(studies, 1, **like))
        return (spread * torch.randn(studies, runs, **like)).reshape(-1, 1)

    places = Places(differing(*START), torch.exp(differing(*RISE)))
    return (r.sqrt() * shared + (1 - r).sqrt() * own).flatten(0, 1), places
