"""Training batches of studies of the general prior."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lcx.config import PretrainConfig
from lcx.pfn.features import Frame
from lcx.pfn.others import Others
from lcx.pretraining.batches import FEWEST, LENGTHS, Batch, range_of
from lcx.priors.general import GeneralPrior
from lcx.priors.studies import Places, draw_study

RUNS, LONGEST = (3, 6, 12), (16, 32, 64, 128)  # runs of a study and most points of a run, drawn per batch
MISLED = 0.35  # of the curves, for how many some or all of the others are of another study
_PAIRS = 48  # (cut-off, query) pairs per curve at most: with others a pair costs more


def study_batch(prior: GeneralPrior, config: PretrainConfig, longest: int, runs: int, generator: torch.Generator) -> Batch:
    """As ``general_batch``, of curves that come in studies of ``runs`` and may read some of the rest of theirs."""
    studies, device = max(1, config.batch * 64 // longest // runs), generator.device
    n = studies * runs

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    fewest = FEWEST if longest == min(LENGTHS) else longest // 2
    lengths = (fewest + uniform(studies, 1) * (longest + 1 - fewest)).long().clamp(max=longest).expand(-1, runs)
    varied = (lengths * torch.exp(0.3 * torch.randn(studies, runs, generator=generator, device=device))).long().clamp(FEWEST, longest)
    lengths = torch.where(uniform(studies, 1) < 0.2, varied, lengths).flatten()
    latents, places = draw_study(prior, studies, runs, generator)
    drawn = prior.simulate(latents, lengths, generator)
    curve, padding = drawn.observe(drawn.base, drawn.sd, generator), drawn.steps.isnan()
    first = curve[:, :1]
    values = places.put(curve, first)
    origin, width = values[:, :1], range_of(values, padding)
    pairs = (n, min(config.pairs, _PAIRS, max(1, 3 * longest // 4)))
    tokens = (uniform(*pairs) ** config.cutoff_power * (lengths[:, None] - 1)).long().clamp(max=lengths[:, None] - 2)
    ahead = tokens + 1 + (uniform(*pairs) * (lengths[:, None] - 1 - tokens)).long()
    ahead = torch.minimum(ahead, lengths[:, None] - 1)
    base, sd = (x.gather(1, ahead)[..., None].expand(-1, -1, config.targets) for x in (drawn.base, drawn.sd))
    targets = (places.put(drawn.observe(base, sd, generator), first) - origin[..., None]) / width[..., None]
    frame = _frame(drawn.frame, places, first, studies, origin, width)
    rest = (torch.arange(runs, device=device)[:, None] + torch.arange(1, runs, device=device)) % runs
    rest = (torch.arange(0, n, runs, device=device)[:, None, None] + rest).flatten(0, 1)
    theirs = (values.masked_fill(padding, torch.nan)[rest].double() - origin[..., None]) / width[..., None]
    kept = uniform(n, runs - 1, 1) < torch.where(uniform(n, 1, 1) < 0.5, 1.0, uniform(n, 1, 1))
    kept &= uniform(n, 1, 1) > 0.15  # some are asked without others
    theirs, at = _misled(theirs.masked_fill(~kept, torch.nan), drawn.steps[rest].double(), runs, generator)
    others = unfinished(theirs, at, generator)
    values = ((values - origin) / width).masked_fill(padding, torch.nan)
    return Batch(values, drawn.steps, tokens, drawn.steps.gather(1, ahead), targets, frame, others)


def _frame(frame: Frame, places: Places, first: Tensor, studies: int, origin: Tensor, width: Tensor) -> Frame:
    """What is told of each run, in its chart: where a bound is told, the one that no run of the study passes."""
    ends = []
    for bound, side in ((frame.lower, -1.0), (frame.upper, 1.0)):
        told = places.put(bound[:, None], first)
        farthest = (side * told).masked_fill(~told.isfinite(), -math.inf).view(studies, -1).amax(1, keepdim=True)
        ends.append(torch.where(told.isfinite(), (side * farthest).expand(-1, len(told) // studies).reshape(-1, 1), told))
    both = ends[0].isfinite() & ends[1].isfinite()
    fallback = torch.where(both, ends[1] - ends[0], places.rise * frame.fallback[:, None])
    lower, upper = (((x - origin) / width)[:, 0] for x in ends)
    return Frame(lower, upper, (fallback / width)[:, 0])


def _misled(values: Tensor, steps: Tensor, runs: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For some targets, some or all of the others replaced by runs of the next study, stretched and moved at random.

    For half of these targets each run by itself; for the rest all in the same way, so that the alien runs agree with one another.
    """
    n, k, _ = values.shape
    like = {"generator": generator, "device": generator.device}
    whose = torch.arange(n, device=values.device).roll(runs)
    alike = torch.rand(n, 1, 1, **like) < 0.5

    def drawn(one: float, each: float) -> Tensor:
        return torch.where(alike, one * torch.randn(n, 1, 1, **like), each * torch.randn(n, k, 1, **like))

    far = torch.exp(torch.where(alike, 1.5 * torch.randn(n, 1, 1, **like), 0.0))  # some live on another scale altogether
    alien = values[whose] * torch.exp(drawn(1.5, 0.7)) + far * drawn(0.5, 0.3)
    share = torch.where(alike & (torch.rand(n, 1, 1, **like) < 0.7), 1.0, 0.3 + 0.7 * torch.rand(n, 1, 1, **like))
    chosen = (torch.rand(n, 1, 1, **like) < MISLED) & (torch.rand(n, k, 1, **like) < share)
    chosen &= (~values.isnan()).any(-1, keepdim=True)
    return torch.where(chosen, alien, values), torch.where(chosen, steps[whose], steps)


def unfinished(values: Float[Tensor, "B K M"], steps: Float[Tensor, "B K M"], generator: torch.Generator) -> Others:
    """Other runs as a running study has them: for some targets, some of them end early, stopped anywhere or paused at 10 to 50 %."""
    b, k, _ = values.shape
    like = {"generator": generator, "device": generator.device}
    running = torch.rand(b, 1, 1, **like) < 0.45
    whole = torch.rand(b, k, 1, **like) < torch.rand(b, 1, 1, **like)
    share = torch.rand(b, k, 1, **like)
    share = torch.where(torch.rand(b, k, 1, **like) < 0.4, 0.1 + 0.4 * share, share)
    last = steps.nan_to_num(0.0).amax(-1, keepdim=True)
    values = values.masked_fill(running & ~whole & (steps > share * last), torch.nan)
    return Others.in_chart(values, steps.masked_fill(values.isnan(), torch.nan))
