"""From curves as a model reads them to predictives of later steps, and to paths through them."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.curves import Scale
from lcx.pfn.features import Frame
from lcx.pfn.forks import mind_forks
from lcx.pfn.model import PFN
from lcx.pfn.others import Others
from lcx.pfn.tokens import GeneralTokens, Tokens
from lcx.predictive import Predictive

_CHUNK = 1 << 13  # tokens or queries per pass
_CPU_CHUNK = 1 << 10  # the same on a CPU, in whose cache activations of this size stay


@torch.inference_mode()
def decode(
    model: PFN, read: Tokens | GeneralTokens, last: Int[Tensor, "B #P"], ahead: Float[Tensor, "B P"], others: Others | None = None
) -> Predictive:
    """Predictives in model units, batch shape (B, P), float32 on the CPU, computed a chunk of curves at a time.

    Args:
        model: the network.
        read: the curves.
        last: token of each cut-off.
        ahead: model steps to predict.
        others: the study's other runs.
    """
    mind_forks()
    device = model.head.weight.device
    size = max(1, (_CPU_CHUNK if device.type == "cpu" else _CHUNK) // max(read.values.shape[1], ahead.shape[1]))
    laws = []
    for at in range(0, len(last), size):
        rows = slice(at, at + size)
        values, steps, tokens, queries = (x[rows].to(device) for x in (read.values, read.steps, last, ahead))
        only = tokens[:, 0] if tokens.shape[1] == 1 else None
        context = model.encode(values, steps, frame=_frame(read, rows, device), only=only)
        laws.append(model.decode(context, tokens, queries, None if others is None else others.rows(rows).to(device)))
    logits, loc, scale = (torch.cat([getattr(law, name).cpu() for law in laws]) for name in ("logits", "loc", "scale"))
    return Predictive(logits, loc, scale)


@torch.inference_mode()
def draw_paths(
    model: PFN,
    read: Tokens | GeneralTokens,
    ahead: Float[Tensor, "B A"],
    bounds: Any,
    n: int,
    generator: torch.Generator,
    others: Others | None = None,
) -> Float[Tensor, "B n A"]:
    """Joint draws in user units: each drawn value is appended as if observed, thinned to what the model can read.

    Args:
        model: the network.
        read: the curves.
        ahead: model steps of the paths.
        bounds: hard limits of the metric, user's unit.
        n: paths per curve.
        generator: of the draws.
        others: the study's other runs.
    """
    mind_forks()
    device = model.head.weight.device
    room = max(read.most - read.values.shape[1], read.most // 3)
    fed_back = set(np.linspace(0, ahead.shape[1] - 1, min(room, ahead.shape[1])).round().astype(int).tolist())
    curves_at_once = max(1, _CHUNK // n)
    paths = []
    for start in range(0, len(ahead), curves_at_once):
        rows = torch.arange(start, min(start + curves_at_once, len(ahead))).repeat_interleave(n)
        values, steps, queries = (x[rows].to(device) for x in (read.values, read.steps, ahead))
        part = Scale(read.scale.worst[rows], read.scale.best[rows])
        context = model.encode(values, steps, cache=True, frame=_frame(read, rows, device))
        known, draws = None if others is None else others.rows(rows).to(device), []
        for i in range(ahead.shape[1]):
            law = model.decode(context, context.last[:, None], queries[:, i : i + 1], known)
            draws.append(to_user(law, part, bounds).sample(1, generator)[0])
            if i in fed_back:
                value = part.to_model(draws[-1]).squeeze(1).to(values)
                context = model.append(context, value, queries[:, i])
        paths.append(torch.cat(draws, 1).unflatten(0, (-1, n)))
    return torch.cat(paths)


def _frame(read: Tokens | GeneralTokens, rows: Any, device: torch.device) -> Frame | None:
    return None if read.frame is None else Frame(*(x[rows].to(device) for x in read.frame))


def to_user(law: Predictive, scale: Scale, bounds: Any) -> Predictive:
    """A predictive in model units, batch shape (B, ...), as float64 on the CPU in user units inside the bounds."""
    logits, loc, spread = (x.cpu().double() for x in (law.logits, law.loc, law.scale))
    slope, worst = (x.reshape(-1, *[1] * (loc.dim() - 1)) for x in (scale.slope, scale.worst))
    lower, upper = (None if bound is None else torch.tensor(float(bound), dtype=torch.float64) for bound in bounds)
    return Predictive(logits, worst + slope * loc, slope.abs() * spread, lower, upper)
