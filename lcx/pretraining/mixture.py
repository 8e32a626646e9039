"""What a model of the general prior is trained on, mixed: single curves of the prior, studies of the prior, real studies."""

import torch

from lcx.config import PretrainConfig
from lcx.pfn.features import Frame
from lcx.pretraining.batches import BLOCK, LENGTHS, SHARES, Batch, draw_batches, general_batch, stream
from lcx.pretraining.real import real_batch
from lcx.pretraining.sources import Source
from lcx.pretraining.studies import LONGEST, RUNS, study_batch
from lcx.priors.general import GeneralPrior
from lcx.priors.parametric import Prior


def draw_mixture(
    prior: Prior | GeneralPrior,
    config: PretrainConfig,
    sources: list[Source],
    block: int,
    device: torch.device,
    rank: int = 0,
    ranks: int = 1,
) -> list[Batch]:
    """As :func:`lcx.pretraining.batches.draw_batches`, of every kind in its share; a function of its arguments alone.

    All processes draw the same kinds of batches, and curves of their own.
    """
    if not sources and not config.studies:
        return draw_batches(prior, config, block, device, rank, ranks)
    if not isinstance(prior, GeneralPrior):
        raise ValueError(f"expected the general prior beside real curves or studies, got {config.prior!r}; write prior='general'")
    together = torch.Generator().manual_seed(stream(config.seed, block, -1, ranks))
    own = torch.Generator(device).manual_seed(stream(config.seed, block, rank, ranks))
    batches = []
    for i in range(BLOCK):
        real, study = (torch.rand(2, generator=together) < torch.tensor([config.share, config.studies])).tolist()
        size, length = (int(torch.randint(n, (1,), generator=together)) for n in (len(RUNS), len(LONGEST)))
        single = int(torch.multinomial(torch.tensor(SHARES), 1, generator=together))
        if sources and real:
            batches.append(_on(device, real_batch(sources, config, stream(config.seed, BLOCK * block + i, rank, ranks) % 2**63)))
        elif study:
            batches.append(study_batch(prior, config, LONGEST[length], RUNS[size], own))
        else:
            batches.append(general_batch(prior, config, LENGTHS[single], own))
    return batches


def _on(device: torch.device, batch: Batch) -> Batch:
    frame, others = batch.frame, batch.others
    assert frame is not None
    assert others is not None
    lower, upper, fallback = (x.to(device) for x in frame)
    values, steps, tokens, queries, targets = (x.to(device) for x in batch[:5])
    return Batch(values, steps, tokens, queries, targets, Frame(lower, upper, fallback), others.to(device))
