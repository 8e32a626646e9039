"""Studies of the general prior: runs that belong together, each of which alone follows the prior's own law.

The latents of two runs of a study are correlated, z_run = sqrt(r) z_study + sqrt(1 - r) z_own, with r by ingredient: runs of one task share
grid, schedule, form and kind of noise, while accidents differ, and where a run lies and how far it goes.

Source: ours. ifBO (arXiv 2404.16795) draws runs of a study that share first value and limit only.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.priors.general import GeneralPrior
from lcx.priors.laws import PARTS

# Groups of ingredients, by what they say of a curve.
GROUPS: dict[str, tuple[str, ...]] = {
    "grid": ("geometric", "first", "uneven", "dense", "untrained", "untrained_at", "told_upper", "told_lower"),
    "bounds": ("has_upper", "room_above", "has_lower", "room_below", "flat_room", "cut_off", "offset", "walk_told"),
    "schedule": ("anneal", "anneal_start", "anneal_end"),
    "form": ("parametric", "link", "power", "heavy", "rounded", "round_to", "flat", "falls", "slow", "spikes", "transient", "walk",
             "turn_back", "turn", "constant"),
    "noise": ("noise", "flat_noise", "noise_early", "noise_rise", "correlated", "correlation", "wander_rough", "wander_length", "wander",
              "walk_size", "walk_growth", "walk_calm", "spike_chance", "spike_size"),
    "rise": ("level", "tau", "tau_place", "shape", "steep", "second", "tau_2", "stretch", "anneal_size", "transient_tau", "transient_size",
             "turn_at", "turn_size", "constant_until"),
    "accidents": ("decline", "decline_start", "decline_size", "decline_shape", "decline_ends", "jump", "jump_at", "jump_size", "jump_tau",
                  "diverge", "diverge_at", "diverge_size", "diverge_tau", "recovers", "recover_tau"),
}  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """How alike the runs of a study are. Correlations and sizes are those of a study of middling likeness.

    Source: ours, fitted to statistics of real studies by ``benchmarks/synthetic/study_fit.py`` and rounded; ``grid``, ``bounds`` and
    ``schedule`` leave no trace in those and were chosen by hand. The fit hardly tells a looseness of 1.1 from one of 2: the upper half of
    that range was taken, so that both near-copies and runs that are hardly alike are drawn (benchmarks/LOG.md, 2026-11-29).
    """

    kind: float = 0.999  # correlation, between two runs, of which kind of curve it is, and whether parts are crossed
    grid: float = 0.999  # and of the latents of each group
    bounds: float = 0.98
    schedule: float = 0.98
    form: float = 0.99
    noise: float = 0.975
    rise: float = 0.99
    accidents: float = 0.9
    looseness: float = 1.8  # sd of the logarithm of the power of every correlation in a study
    unrelated: float = 0.05  # share of studies whose runs have grid, bounds and kind in common, and nothing else
    start: float = 0.06  # spread of starts, in rises
    start_sd: float = 1.2  # sd of its logarithm between studies of the same looseness
    size: float = 0.12  # spread of the logarithm of rises
    size_sd: float = 1.2
    fan_in: float = 0.3  # share of studies in which rises that differ set the starts apart rather than the ends


LIKENESS = Likeness()
_LARGEST = 7.0  # logarithm of a rise at most


class Places(NamedTuple):
    """Where the runs of studies lie beside one another, (n, 1) each: run = start + rise * (curve - its first value)."""

    start: Float[Tensor, "n 1"]
    rise: Float[Tensor, "n 1"]

    def put(self, curve: Tensor, first: Tensor) -> Tensor:
        """Values (n, ...) of curves on the common scale of their study."""
        start, rise, first = (x.reshape(-1, *[1] * (curve.dim() - 1)) for x in (self.start, self.rise, first))
        return start + rise * (curve - first)


def draw_study(
    prior: GeneralPrior, studies: int, runs: int, generator: torch.Generator, like: Likeness = LIKENESS
) -> tuple[Float[Tensor, "n dim"], Places]:
    """Latents and places of ``studies`` * ``runs`` curves, those of a study one after another; each latent is N(0, 1).

    Each study draws how loose it is: r becomes r**looseness, and the spreads of starts and rises grow with its root, so that some studies
    hold runs that are nearly copies of one another and others hold runs that are hardly alike.

    Raises:
        ValueError: the prior has an ingredient of which :data:`GROUPS` does not say how alike the runs of a study are in it.
    """
    where = {"generator": generator, "device": generator.device}
    group = {name: key for key, names in GROUPS.items() for name in names}
    if strange := [name for name in prior.laws if name not in group]:
        raise ValueError(
            f"expected ingredients that lcx.priors.studies.GROUPS names, for studies, got {strange[0]!r} of the prior {prior.name!r}; "
            "train on single curves (studies=0), or add it to a group"
        )
    usual = torch.tensor([like.kind] * (3 + len(PARTS)) + [getattr(like, group[name]) for name in prior.laws], device=generator.device)
    kept = torch.tensor([True] * (3 + len(PARTS)) + [group[name] in ("grid", "bounds") for name in prior.laws], device=generator.device)
    looseness = torch.exp(like.looseness * torch.randn(studies, 1, 1, **where))
    r = torch.where((torch.rand(studies, 1, 1, **where) < like.unrelated) & ~kept, 0.0, usual**looseness)
    shared, own = torch.randn(studies, 1, prior.dim, **where), torch.randn(studies, runs, prior.dim, **where)

    def differing(size: float, sd: float) -> Tensor:
        spread = size * looseness[..., 0].sqrt() * torch.exp(sd * torch.randn(studies, 1, **where))
        return spread * torch.randn(studies, runs, **where)

    start, rise = differing(like.start, like.start_sd), torch.exp(differing(like.size, like.size_sd).clamp(-_LARGEST, _LARGEST))
    start = start + (torch.rand(studies, 1, **where) < like.fan_in) * (1 - rise)
    return (r.sqrt() * shared + (1 - r).sqrt() * own).flatten(0, 1), Places(start.reshape(-1, 1), rise.reshape(-1, 1))
