"""What a PFN is trained on: batches of curves with (cut-off, query) pairs to score, drawn from a prior."""

import hashlib
import math
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.config import PretrainConfig
from lcx.pfn.features import Frame
from lcx.pfn.others import Others
from lcx.priors.general import GeneralPrior
from lcx.priors.parametric import Prior

BLOCK = 32  # batches drawn at once, so that the sampler works on full chunks
LENGTH = 100  # tokens of a training curve of the parametric prior
# Of the general prior: most points of a curve in a batch, and how often such batches come.
LENGTHS, SHARES = (16, 32, 64, 128, 512), (0.25, 0.2, 0.3, 0.22, 0.03)
FEWEST = 4


class Batch(NamedTuple):
    """Curves with pairs to score: context (B, L), pairs (B, P), targets (B, P, M); model units, NaN where padded.

    ``frame`` is what is known of each curve of the general prior beside its points, ``others`` the other runs of its study.
    """

    values: Float[Tensor, "B L"]
    steps: Float[Tensor, "B L"]
    tokens: Int[Tensor, "B P"]
    queries: Float[Tensor, "B P"]
    targets: Float[Tensor, "B P M"]
    frame: Frame | None = None
    others: Others | None = None


def draw_steps(n: int, irregular: float, generator: torch.Generator) -> Float[Tensor, "n 100"]:
    """Model steps of ``n`` curves, increasing from >= 1, NaN-padded: 1..100, or for the share ``irregular`` one of three grids.

    Evenly spaced from 100 / L to 100 with L points; L random steps; dense from 1 on with spacing below 1, as long runs begin.
    """
    index = torch.arange(1.0, LENGTH + 1, device=generator.device).expand(n, -1)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator, device=generator.device)

    count = (2 + uniform(1) * (LENGTH - 1)).floor()
    even = LENGTH * index / count  # in this order, the last of them is exactly 100
    scattered = 1 + (LENGTH - 1) * torch.where(index <= count, uniform(LENGTH), math.inf).sort(dim=1).values ** (1 + 2 * uniform(1))
    dense = 1 + 20 ** -uniform(1) * (index - 1)
    kind = (uniform(1) * 3).floor()
    other = torch.where(kind == 0, even, torch.where(kind == 1, scattered, dense))
    steps = torch.where(uniform(1) < irregular, other, index)
    return torch.where(steps <= LENGTH + 1e-3, steps.clamp(max=LENGTH), torch.nan)


def draw_batches(
    prior: Prior | GeneralPrior, config: PretrainConfig, block: int, device: torch.device, rank: int = 0, ranks: int = 1
) -> list[Batch]:
    """``BLOCK`` batches, a function of the arguments alone, so that resuming needs no generator state.

    Of several ranks each draws ``batch`` / ``ranks`` curves a step of its own, of the general prior of the same longest length, lest the
    others wait for the one with the longest curves.
    """
    config = replace(config, batch=config.batch // ranks)
    generator = torch.Generator(device).manual_seed(config.seed * 2**20 + block)
    own = generator if ranks == 1 else torch.Generator(device).manual_seed(stream(config.seed, block, rank, ranks))
    if isinstance(prior, GeneralPrior):
        shares = torch.tensor(SHARES, device=device)
        kinds = torch.multinomial(shares, BLOCK, replacement=True, generator=generator)
        return [general_batch(prior, config, LENGTHS[kind], own) for kind in kinds.tolist()]
    generator = own
    n = config.batch * BLOCK
    shape = (n, config.pairs)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    theta = prior.parameters(prior.draw(n, generator))
    theta = theta[torch.randperm(n, generator=generator, device=device)]
    sigma = prior.sigma(theta)[:, None]
    steps = draw_steps(n, config.irregular, generator)
    mean = prior.mean_curve(theta, steps)
    values = mean + sigma * torch.randn(mean.shape, generator=generator, device=device)
    cuts = (steps < LENGTH).sum(1, keepdim=True)
    tokens = (uniform(*shape) ** config.cutoff_power * cuts).long().clamp(max=cuts - 1)
    at = steps.gather(1, tokens)
    queries = at + (LENGTH - at) * (1 - uniform(*shape))
    regular = (steps[:, :1] == 1) & (steps[:, 1:2] == 2)
    queries = torch.where(regular, queries.ceil(), queries)
    strata = torch.arange(config.targets, device=device)
    noise = torch.special.ndtri(((strata + uniform(*shape, config.targets)) / config.targets).clamp(1e-6, 1 - 1e-6))
    targets = prior.mean_curve(theta, queries)[..., None] + sigma[..., None] * noise
    return [Batch(*parts) for parts in zip(*(x.split(config.batch) for x in (values, steps, tokens, queries, targets)), strict=True)]


def stream(seed: int, block: int, rank: int, ranks: int) -> int:
    """Seed of one process's block; hashed, since of a seed a CPU's generator reads the lowest 32 bits alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {block} {rank} {ranks}".encode(), digest_size=8).digest())


def general_batch(prior: GeneralPrior, config: PretrainConfig, longest: int, generator: torch.Generator) -> Batch:
    """Curves of half to all of ``longest`` points, the first value 0 and the range 1; the pairs are their own later points."""
    n, device = max(1, config.batch * 64 // longest), generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    fewest = FEWEST if longest == min(LENGTHS) else longest // 2
    lengths = (fewest + uniform(n) * (longest + 1 - fewest)).long().clamp(max=longest)
    drawn = prior.simulate(prior.draw(n, generator), lengths, generator)
    values = drawn.observe(drawn.base, drawn.sd, generator)
    padding = drawn.steps.isnan()
    origin, width = values[:, :1], range_of(values, padding)
    pairs = (n, min(config.pairs, max(1, 3 * longest // 4)))
    tokens = (uniform(*pairs) ** config.cutoff_power * (lengths[:, None] - 1)).long().clamp(max=lengths[:, None] - 2)
    ahead = tokens + 1 + (uniform(*pairs) * (lengths[:, None] - 1 - tokens)).long()
    ahead = torch.minimum(ahead, lengths[:, None] - 1)
    base, sd = (x.gather(1, ahead)[..., None].expand(-1, -1, config.targets) for x in (drawn.base, drawn.sd))
    targets = (drawn.observe(base, sd, generator) - origin[..., None]) / width[..., None]
    lower, upper, fallback = drawn.frame
    frame = Frame((lower - origin[:, 0]) / width[:, 0], (upper - origin[:, 0]) / width[:, 0], fallback / width[:, 0])
    values = ((values - origin) / width).masked_fill(padding, torch.nan)
    return Batch(values, drawn.steps, tokens, drawn.steps.gather(1, ahead), targets, frame)


def range_of(values: Float[Tensor, "n L"], padding: Tensor) -> Float[Tensor, "n 1"]:
    """Range of each curve, 1 where it has none."""
    top, bottom = values.masked_fill(padding, -math.inf).amax(1), values.masked_fill(padding, math.inf).amin(1)
    return torch.where(top > bottom, top - bottom, 1.0)[:, None]
