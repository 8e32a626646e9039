"""What the samplers return: each is a function of (prior, values, steps, ...) -> :class:`Draws`."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.priors.parametric import Prior


@dataclass(frozen=True)
class Draws:
    """What a sampler returns for B curves, on the CPU in float64.

    Attributes:
        theta: parameters in the order of ``Prior.laws``. Chains are those of NUTS, the walkers of emcee; SMC has one.
        admissible: whether the draw's mean curve is; the others are dropped from the answer.
        acceptance: share of proposals accepted, mean over chains (NUTS: of transitions that moved; SMC: in the last sweep).
        divergences: share of divergent transitions (NUTS).
        log_evidence: log density of the context under the prior, nats (SMC).
        origin: the prior draw each particle descends from (SMC).
    """

    theta: Float[Tensor, "B chains draws dim"]
    admissible: Bool[Tensor, "B chains draws"]
    acceptance: Float[Tensor, "B"]
    divergences: Float[Tensor, "B"] | None = None
    log_evidence: Float[Tensor, "B"] | None = None
    origin: Int[Tensor, "B draws"] | None = None


def check_density(prior: Prior, log_likelihood: Float[Tensor, "B N"], values: Float[Tensor, "B T"]) -> None:
    """Refuses curves to which every one of N prior draws gives zero density.

    Raises:
        ValueError: there is one.
    """
    for row in (~(log_likelihood > -torch.inf)).all(1).nonzero().flatten().tolist():
        largest = values[row].abs().nan_to_num(0).max().item()
        raise ValueError(
            f"expected a context to which the prior {prior.name!r} gives positive density, got values up to {largest:.3g} in curve {row}, "
            "on the scale where the worst is 0 and the best is 1; give a unit or bounds that fit the values"
        )
