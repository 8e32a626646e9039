"""The loss that pretraining minimises, over (cut-off, query) pairs, and the log scores on held-out curves that it reports."""

import math

import torch
from torch import Tensor

from lcx.config import PretrainConfig
from lcx.pfn.context import Context
from lcx.pfn.model import PFN
from lcx.predictive import Predictive
from lcx.pretraining.batches import LENGTH, Batch, general_batch
from lcx.priors.general import GeneralPrior
from lcx.priors.parametric import Prior
from lcx.scores import log_score, paired_log_score

CUTOFFS = (10, 20, 40, 80)
# Training blocks count up from seed * 2**20. CPU generators read 32 bits of a seed, so these are the last block of seed 4,095.
_VALIDATION_SEED = 2**32 - 1
_ALONE = 0.4  # weight of the forecasts that read no other run, where both are made of one encoding


def loss(model: PFN, batch: Batch, power: float = 0.5) -> Tensor:
    """Mean negative log score over pairs and targets, nats; of the general prior weighted, see ``PretrainConfig.relative``."""
    if batch.frame is not None:
        context = model.encode(batch.values, batch.steps, frame=batch.frame)
        value = _general_loss(model, context, batch, power)
        if batch.others is None or not model.head.weight.requires_grad:  # where the reader alone is trained, the rest cannot change
            return value
        alone = _general_loss(model, context, batch._replace(others=None), power)
        return (1 - _ALONE) * value + _ALONE * alone
    predictive = model.decode(model.encode(batch.values, batch.steps), batch.tokens, batch.queries)
    logits, loc, scale = (x.unsqueeze(-2) for x in (predictive.logits, predictive.loc, predictive.scale))
    return -Predictive(logits, loc, scale).log_prob(batch.targets).mean()


def _general_loss(model: PFN, context: Context, batch: Batch, power: float) -> Tensor:
    score, unit = _scores(model, context, batch)
    weight = relative_weight(unit, power)
    return (surprise(-score) * (weight / weight.mean())[..., None]).mean()


def relative_weight(unit: Tensor, power: float) -> Tensor:
    """Weight of a pair whose unit of change at the cut-off is ``unit`` in ranges of the whole curve."""
    return unit.clamp(1e-4, 1) ** power


def general_scores(model: PFN, batch: Batch) -> tuple[Tensor, Tensor]:
    """Log score of each target of the general prior under the law inside the told bounds, and the unit of change at each cut-off.

    Returns:
        Score (B, P, M), nats per unit of change; unit (B, P), ranges of the curve.
    """
    return _scores(model, model.encode(batch.values, batch.steps, frame=batch.frame), batch)


def _scores(model: PFN, context: Context, batch: Batch) -> tuple[Tensor, Tensor]:
    assert batch.frame is not None
    law = model.decode(context, batch.tokens, batch.queries, batch.others)
    logits, loc, scale = (x.unsqueeze(-2) for x in (law.logits, law.loc, law.scale))
    score = Predictive(logits, loc, scale).log_prob(batch.targets)
    below, above = (0.5 * (1 + torch.erf((b[:, None, None].clamp(-1e9, 1e9) - law.loc) / law.scale * 0.5**0.5)) for b in batch.frame[:2])
    inside = (torch.softmax(law.logits, -1) * (above - below)).sum(-1).clamp(min=1e-4)
    unit = context.units.gather(1, batch.tokens)
    return score + (torch.log(unit) - torch.log(inside)).unsqueeze(-1), unit


def surprise(loss: Tensor) -> Tensor:
    """A loss whose growth is logarithmic beyond 20 nats: no divergence that nobody could foresee may drown a batch."""
    far = (loss - 20).clamp(min=0)
    return loss.clamp(max=20) + torch.log1p(far)


@torch.no_grad()
def validate(model: PFN, prior: Prior | GeneralPrior, n: int, seed: int = _VALIDATION_SEED) -> dict[int, tuple[float, float]]:
    """Log score of all points after each cut-off on ``n`` fresh curves of 100 steps.

    Returns:
        Cut-off -> (mean, standard error), nats per point, with the truth as control variate: its expected log score is
        -E[log sigma] - log(2 pi e) / 2, since acceptance does not look at sigma.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    if isinstance(prior, GeneralPrior):
        return _validate_general(model, prior, n, generator)
    expected = -prior.noise.mean - 0.5 * math.log(2 * math.pi * math.e)
    scored: dict[int, list[tuple[Tensor, Tensor]]] = {cutoff: [] for cutoff in CUTOFFS}
    chunk = 128 if device.type == "cpu" else 10_000  # small enough for a CPU to reuse its memory instead of mapping it anew
    for start in range(0, n, chunk):
        theta = prior.parameters(prior.draw(min(chunk, n - start), generator))
        steps = torch.arange(1.0, LENGTH + 1, device=device).expand(len(theta), -1)
        noise = torch.randn(steps.shape, generator=generator, device=device)
        sigma = prior.sigma(theta)[:, None]
        values = prior.mean_curve(theta, steps) + sigma * noise
        own = -0.5 * noise**2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
        context = model.encode(values, steps)
        for cutoff in CUTOFFS:
            token = torch.tensor([[cutoff - 1]], device=device)
            score = log_score(model.decode(context, token, steps[:, cutoff:]), values[:, cutoff:])
            scored[cutoff].append((score.mean(1), own[:, cutoff:].mean(1)))
    joined = {cutoff: torch.stack([torch.cat(part) for part in zip(*parts, strict=True)]) for cutoff, parts in scored.items()}
    return {cutoff: paired_log_score(score, own, expected) for cutoff, (score, own) in joined.items()}


def _validate_general(model: PFN, prior: GeneralPrior, n: int, generator: torch.Generator) -> dict[int, tuple[float, float]]:
    """As ``validate``, on curves of 32 to 64 points; nats per unit of change at the cut-off, capped as the loss is."""
    scored: dict[int, list[Tensor]] = {cutoff: [] for cutoff in CUTOFFS}
    for _ in range(0, n, 64):
        batch = general_batch(prior, PretrainConfig(batch=64, pairs=1, targets=1), 64, generator)
        lengths = (~batch.steps.isnan()).sum(1, keepdim=True)
        for cutoff in CUTOFFS:
            tokens = (lengths * cutoff // 100).clamp(min=2) - 1
            later = tokens + 1 + torch.arange(int((lengths - tokens).max()) - 1, device=lengths.device)
            live, later = later < lengths, torch.minimum(later, lengths - 1)
            pairs = batch._replace(tokens=tokens.expand_as(later), queries=batch.steps.gather(1, later))
            score = -surprise(-general_scores(model, pairs._replace(targets=batch.values.gather(1, later)[..., None]))[0])[..., 0]
            scored[cutoff].append(torch.where(live, score, 0.0).sum(1) / live.sum(1))
    joined = {cutoff: torch.cat(parts) for cutoff, parts in scored.items()}
    return {cutoff: (x.mean().item(), x.std().item() / len(x) ** 0.5) for cutoff, x in joined.items()}
