"""From curves as a model reads them to predictives of later steps, and to paths through them."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from lcx.curves import Scale
from lcx.pfn.features import Frame
from lcx.pfn.forks import mind_forks
from lcx.pfn.model import PFN
from lcx.pfn.others import Others
from lcx.pfn.tokens import GeneralTokens, Tokens
from lcx.predictive import Predictive

_CHUNK = 1 << 13  # tokens or queries per pass
_ENOUGH = 50  # paths of a curve are drawn at least: their ranks say how its values belong together
_CPU_CHUNK = 1 << 11  # the same on a CPU, in whose cache activations of this size stay


@torch.inference_mode()
def decode(
    model: PFN, read: Tokens | GeneralTokens, last: Int[Tensor, "B #P"], ahead: Float[Tensor, "B P"], others: Others | None = None
) -> Predictive:
    """Predictives in model units, batch shape (B, P), float32 on the CPU, computed a chunk of curves of about the same length at a time.

    They are NaN where a query is; of those at the end of a curve's row nothing is computed.

    Args:
        model: the network.
        read: the curves.
        last: token of each cut-off.
        ahead: model steps to predict; NaN is padding.
        others: the study's other runs.
    """
    mind_forks()
    device = model.head.weight.device
    asked = (~ahead.isnan() * torch.arange(1, ahead.shape[1] + 1)).amax(1)
    laws, parts = [], _parts(last.amax(1) + 1, asked, _CPU_CHUNK if device.type == "cpu" else _CHUNK)
    for rows, length, width in parts:
        values, steps = (x[rows, :length].to(device) for x in (read.values, read.steps))
        tokens, queries = last[rows, :width].to(device), ahead[rows, :width].to(device)
        only = tokens[:, 0] if tokens.shape[1] == 1 else None
        context = model.encode(values, steps, frame=_frame(read, rows, device), only=only)
        law = model.decode(context, tokens, queries, None if others is None else others.rows(rows).to(device))
        scale = law.scale if read.noise is None else torch.hypot(law.scale, read.noise[rows].to(device).gather(1, tokens)[..., None])
        laws.append([pad(x, (0, 0, 0, ahead.shape[1] - width), value=torch.nan).cpu() for x in (law.logits, law.loc, scale)])
    back = None if len(parts) == 1 else torch.cat([rows for rows, *_ in parts]).argsort()
    logits, loc, scale = (x[0] if back is None else torch.cat(x)[back] for x in zip(*laws, strict=True))
    return Predictive(logits, loc, scale)


def _parts(lengths: Int[Tensor, "B"], queries: Int[Tensor, "B"], most: int) -> list[tuple[Any, int, int]]:
    """The rows of each pass, the longest of their curves and most of their queries, the longest curves first: short ones need no padding.

    Args:
        lengths: tokens of each curve that are read.
        queries: of each curve.
        most: tokens or queries of a pass, unless one curve has more.
    """
    longest, width = int(lengths.max()), int(queries.max())
    if len(lengths) * max(longest, width) <= most or len(lengths) == 1:
        return [(slice(None), longest, width)]
    order, parts = lengths.argsort(descending=True, stable=True), []
    while len(order):
        size = max(1, most // max(int(lengths[order[0]]), int(queries[order].max())))
        rows, order = order[:size], order[size:]
        parts.append((rows, int(lengths[rows].max()), int(queries[rows].max())))
    return parts


@torch.inference_mode()
def draw_paths(
    model: PFN,
    read: Tokens | GeneralTokens,
    ahead: Float[Tensor, "B A"],
    forecast: Predictive,
    n: int,
    generator: torch.Generator,
    others: Others | None = None,
) -> Float[Tensor, "B n A"]:
    """Joint draws in user units, whose values at each step follow the forecast of that step.

    The network draws value after value and reads each drawn one as if observed, thinned to what it can read. Of these draws only the
    ranks at each step are kept: the k-th smallest becomes the k-th smallest of as many draws from the forecast. So small faults that add
    up over many steps do no harm, and a path's values still belong together.

    Source: ensemble copula coupling (Schefzik, Thorarinsdottir and Gneiting, Statistical Science 28, 2013).

    Args:
        model: the network.
        read: the curves.
        ahead: model steps of the paths.
        forecast: the predictive at these steps, batch shape (B, A), user's unit.
        n: paths per curve.
        generator: of the draws.
        others: the study's other runs.
    """
    mind_forks()
    device, drawn = model.head.weight.device, max(n, _ENOUGH)
    room = max(read.most - read.values.shape[1], read.most // 3)
    fed_back = set(np.linspace(0, ahead.shape[1] - 1, min(room, ahead.shape[1])).round().astype(int).tolist())
    curves_at_once = max(1, _CHUNK // drawn)
    bounds, paths = (forecast.lower, forecast.upper), []
    for start, laws in zip(range(0, len(ahead), curves_at_once), forecast.split(curves_at_once * ahead.shape[1]), strict=True):
        each = torch.arange(start, min(start + curves_at_once, len(ahead)))
        values, steps = (x[each].to(device) for x in (read.values, read.steps))
        context = model.encode(values, steps, cache=True, frame=_frame(read, each, device)).repeat(drawn)
        rows = each.repeat_interleave(drawn)
        queries, part = ahead[rows].to(device), Scale(read.scale.worst[rows], read.scale.best[rows])
        known, draws = None if others is None else others.rows(rows).to(device), []
        for i in range(ahead.shape[1]):
            law = model.decode(context, context.last[:, None], queries[:, i : i + 1], known)
            draws.append(to_user(law, part, bounds).sample(1, generator)[0])
            if i in fed_back:
                context = model.append(context, part.to_model(draws[-1]).squeeze(1).to(values), queries[:, i])
        rank = torch.cat(draws, 1).unflatten(0, (-1, drawn)).argsort(1).argsort(1)
        marginal = laws.sample(drawn, generator).unflatten(1, (-1, ahead.shape[1])).movedim(0, 1).sort(1).values
        paths.append(marginal.gather(1, rank)[:, :n])
    return torch.cat(paths)


def _frame(read: Tokens | GeneralTokens, rows: Any, device: torch.device) -> Frame | None:
    return None if read.frame is None else Frame(*(x[rows].to(device) for x in read.frame))


def to_user(law: Predictive, scale: Scale, bounds: Any) -> Predictive:
    """A predictive in model units, batch shape (B, ...), as float64 on the CPU in user units inside the bounds."""
    logits, loc, spread = (x.cpu().double() for x in (law.logits, law.loc, law.scale))
    slope, worst = (x.reshape(-1, *[1] * (loc.dim() - 1)) for x in (scale.slope, scale.worst))
    lower, upper = (None if bound is None else torch.tensor(float(bound), dtype=torch.float64) for bound in bounds)
    return Predictive(logits, worst + slope * loc, slope.abs() * spread, lower, upper)
