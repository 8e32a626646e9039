"""A model as one ONNX graph: ``export`` writes it (extra ``onnx``; torch 2.11, whose exporter has loops), ``feed`` makes its inputs.

The graph computes what :class:`lcx.extrapolator.Extrapolator` does, from the user's numbers to quantiles and P(better than best). It does
not check its inputs, and does not choose points if a curve has more than the model can read; :func:`feed` does both. The network computes
in float32, everything else in float64.

Inputs, for B curves, L points, A steps to predict:

- ``values``, ``steps`` (B, L), user's units, NaN where missing or padded; ``at`` (B, A), NaN where padded;
- ``horizon``, ``lower``, ``upper`` (infinite if there is none), ``best`` (NaN if there is none), each (B,);
- ``noise`` (B,): what a single value differs by from the averages that were read of a long curve, standard deviation, user's unit; else 0;
- general model: ``sign`` (B,), 1 if larger is better and -1 if smaller is; and the study's other runs, which all curves share and which
  need one sign: ``other_values``, ``other_steps`` (K, M), user's units, NaN where padded on the right, at most 256 points a run, K and
  M >= 1; ``own`` (B,), which of them is the curve itself and not read, -1 where none is. If there are no others, one that is all NaN;
- parametric model: ``worst`` and ``top`` (B,), the values that it reads as 0 and 1.

Outputs, in the user's units: ``quantiles`` (B, A, Q) at the levels in the metadata of the graph, ``better`` (B, A), and ``logits``,
``loc``, ``scale`` (B, A, K) of the mixture before truncation to the bounds.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lcx.config import LEVELS
from lcx.curves import as_curves, as_scale, direction
from lcx.export.onnx_math import Mixture, WrittenOut, as_levels, cdf, hypot, icdf
from lcx.extrapolator import load
from lcx.files import write_atomically
from lcx.pfn.features import Frame
from lcx.pfn.model import PFN
from lcx.pfn.moves import MOST
from lcx.pfn.others import Others, as_others
from lcx.pfn.queries import as_queries
from lcx.pfn.tokens import GeneralTokens, Tokens

_SHARED = ("values", "steps", "at", "horizon", "noise", "lower", "upper", "best")
_SIZES = {name: ["curves", "points"] for name in ("values", "steps")} | {"at": ["curves", "asked"]}
_SIZES |= {name: ["others", "points_of_others"] for name in ("other_values", "other_steps")}


def export(path: str | Path, model: str | Path = "default", levels: tuple[float, ...] = LEVELS) -> None:
    """Writes a model as an ONNX file, atomically; every size (curves, points, steps to predict) may vary.

    Args:
        path: the file.
        model: name of a shipped model, or the folder of a model.
        levels: of the quantiles, each inside (0, 1).

    Raises:
        ImportError: onnx or onnxscript is missing; install lcx[onnx].
        ValueError: a level outside (0, 1), or an unknown model.
    """
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"expected the packages onnx and onnxscript, got {error}; install them with: pip install 'lcx[onnx]'") from error
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"expected quantile levels inside (0, 1), got {levels}; write 0.95 for 95 %")
    extrapolator = load(model, "cpu")
    graph = Graph(extrapolator.model, levels).eval()
    others = [([1, 2, 3, 4, 5], [0.1, 0.2, 0.3, 0.4, 0.5])] * 6 if extrapolator.model.reader else None
    example = feed([[0.1, 0.3, 0.4], [0.1, 0.2]], horizon=9, mode="max", at=[5, 6, 7, 9], others=others, model=model)
    sizes = {name: dict.fromkeys(range(x.ndim), torch.export.Dim.DYNAMIC) for name, x in example.items()}
    program = torch.export.export(graph, (), {k: torch.from_numpy(x) for k, x in example.items()}, dynamic_shapes=sizes, strict=False)
    outputs = ["quantiles", "better", "logits", "loc", "scale"]
    exported = torch.onnx.export(program, dynamo=True, external_data=False, verbose=False, output_names=outputs, optimize=False)
    assert exported is not None
    inputs = exported.model.graph.inputs
    names = {value.shape[i]: size for value in inputs for i, size in enumerate(_SIZES.get(value.name, ["curves"]))}
    exported.rename_axes(names)
    _tidy(exported.model)
    about = {"levels": json.dumps(levels), "chart": extrapolator.model.config.chart, "commit": str(extrapolator.about.get("commit"))}
    exported.model.metadata_props.update(about)
    write_atomically(Path(path), lambda temporary: exported.save(temporary, external_data=False))


def _tidy(model: Any) -> None:
    """Leaves out what a graph can do without: nodes twice there or unused, sums of constants, stack traces, larger than the graph itself.

    The exporter's own way to do so takes several times as long as the export: it asks for the shape of every value.
    """
    import onnx_ir as ir  # pyright: ignore[reportMissingImports]
    from onnx_ir.passes import Sequential, common  # pyright: ignore[reportMissingImports]
    from onnxscript.optimizer import fold_constants  # pyright: ignore[reportMissingImports]

    simpler = Sequential(
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.IdentityEliminationPass(),
        common.CommonSubexpressionEliminationPass(),
    )
    simpler(model)
    fold_constants(model)
    for node in model.graph.all_nodes():
        if _takes_all(node):
            ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0])
    simpler(model)
    for node in model.graph.all_nodes():
        node.metadata_props.clear()


def _takes_all(node: Any) -> bool:
    """Whether a node is a slice from the start to the largest number there is, as indexing by ":" becomes."""
    if node.op_type != "Slice" or any(value.const_value is None for value in node.inputs[1:]):
        return False
    start, end, *more = (value.const_value.numpy() for value in node.inputs[1:])  # axes and steps
    return bool((start == 0).all() and (end == np.iinfo(np.int64).max).all() and all((step == 1).all() for step in more[1:]))


def feed(
    values: Any,
    steps: Any = None,
    *,
    horizon: Any,
    mode: str,
    at: Any = None,
    bounds: Any = (None, None),
    unit: Any = None,
    others: Any = None,
    best: float = math.nan,
    model: str | Path = "default",
) -> dict[str, np.ndarray]:
    """The graph's inputs for the arguments of :func:`lcx.predict`, checked as there; always with a batch axis.

    Args:
        values: as in :func:`lcx.predict`.
        steps: as in :func:`lcx.predict`.
        horizon: as in :func:`lcx.predict`.
        mode: as in :func:`lcx.predict`.
        at: as in :func:`lcx.predict`.
        bounds: as in :func:`lcx.predict`.
        unit: as in :func:`lcx.predict`; for the parametric model only.
        others: as in :func:`lcx.predict`; for a model that reads other runs only.
        best: value to beat, user's unit; NaN for none.
        model: which model the graph was made of.
    """
    curves, _ = as_curves(values, steps, horizon=horizon, bounds=bounds)
    queries, network, count = as_queries(at, curves), load(model, "cpu").model, len(curves)
    read: Any = (
        GeneralTokens(curves, mode=mode, bounds=bounds)
        if network.general
        else Tokens(curves, as_scale(curves, mode=mode, bounds=bounds, unit=unit))
    )
    padding, noise = torch.arange(read.origin.shape[1]) >= read.counts[:, None], torch.zeros(count)
    picked = [x.gather(1, read.origin).masked_fill(padding, torch.nan) for x in (curves.values, curves.steps)]
    if read.noise is not None:
        averages = read.scale.to_user(read.exact[0]), read.exact[1] * curves.horizon[:, None] / 100
        picked = [torch.where(read.thinned[:, None], x, y) for x, y in zip(averages, picked, strict=True)]
        noise = read.noise.gather(1, read.counts[:, None] - 1)[:, 0] * read.scale.slope.abs()
    ends = [side * math.inf if bound is None else float(bound) for bound, side in zip(bounds, (-1, 1), strict=True)]
    if network.general:
        given = {"sign": torch.full((count,), float(direction(mode)))}
    else:
        given = {"worst": read.scale.worst, "top": read.scale.best}
    known = as_others(others, curves, read.scale, mode=mode, bounds=bounds)
    if network.reader is not None:
        none = torch.full((1, 1), torch.nan)
        runs = (none, none, torch.full((count,), -1)) if known is None else (direction(mode) * known.values[0], known.steps[0], known.own)
        given |= dict(zip(("other_values", "other_steps", "own"), runs, strict=True))
    elif known is not None:
        raise ValueError(f"Expected no others for a model that reads one curve; got {len(known.values[0])} runs. Use the model general.")
    shared = [*picked, queries, curves.horizon, noise, *(torch.full((count,), float(x), dtype=torch.float64) for x in (*ends, best))]
    return {name: x.double().numpy() for name, x in zip((*_SHARED, *given), (*shared, *given.values()), strict=True)}


class Graph(nn.Module):
    """What is exported: see the top of this file for inputs and outputs."""

    levels: Tensor

    def __init__(self, model: PFN, levels: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("levels", as_levels(levels))

    def forward(
        self,
        values: Float[Tensor, "B L"],
        steps: Float[Tensor, "B L"],
        at: Float[Tensor, "B A"],
        horizon: Float[Tensor, "B"],
        noise: Float[Tensor, "B"],
        lower: Float[Tensor, "B"],
        upper: Float[Tensor, "B"],
        best: Float[Tensor, "B"],
        sign: Float[Tensor, "B"] | None = None,
        worst: Float[Tensor, "B"] | None = None,
        top: Float[Tensor, "B"] | None = None,
        other_values: Float[Tensor, "K M"] | None = None,
        other_steps: Float[Tensor, "K M"] | None = None,
        own: Float[Tensor, "B"] | None = None,
    ) -> tuple[Tensor, ...]:
        """Quantiles, P(better than best), and the mixture."""
        with WrittenOut():
            seen, t = ~(values.isnan() | steps.isnan()), 100 * steps / horizon[:, None]
            last = torch.where(seen, torch.arange(values.shape[1]), 0).amax(1, keepdim=True)
            if worst is not None and top is not None:
                base, slope, frame, first_step = worst, top - worst, None, Tokens.first_step
                # Points before 1 % of the horizon are not read, but for the last one if there are no others.
                seen = seen & ((t >= first_step) | (torch.arange(values.shape[1]) == last))
                sign = torch.sign(slope)
            else:
                assert sign is not None
                base, slope, frame = _general_chart(values, seen, last, lower, upper, sign)
                first_step = GeneralTokens.first_step
            chart = torch.where(seen, (values - base[:, None]) / slope[:, None], torch.nan).float()
            ahead = (100 * at / horizon[:, None]).clamp(min=first_step).float()
            context = self.model.encode(chart, t.clamp(min=first_step).float(), frame=frame, only=last[:, 0])
            others = None
            if other_values is not None and other_steps is not None and own is not None:
                # Empty runs are not read, and with them there are always more than the network looks at closely: no size decides anything.
                other_values, other_steps = (functional.pad(x, (0, 1, 0, 2 * MOST), value=math.nan) for x in (other_values, other_steps))
                runs = (sign[0] * other_values)[None], other_steps[None]
                others = Others(*runs, sign * base, sign * slope, horizon / 100, own.long())
            law = self.model.decode(context, last, ahead, others)
        logits, loc, scale = law.logits.double(), law.loc.double(), law.scale.double()
        loc, scale = base[:, None, None] + slope[:, None, None] * loc, hypot(slope.abs()[:, None, None] * scale, noise[:, None, None])
        law = Mixture(logits, loc, scale, lower[:, None, None], upper[:, None, None])
        larger = (sign > 0)[:, None, None]
        better = cdf(law, torch.where(larger, -1.0, 1.0) * best[:, None, None], mirror=larger).squeeze(-1)
        return torch.where(at.isnan()[..., None], torch.nan, icdf(law, self.levels)), better, logits, loc, scale


def _general_chart(values: Tensor, seen: Tensor, last: Tensor, lower: Tensor, upper: Tensor, sign: Tensor) -> tuple[Tensor, Tensor, Frame]:
    """Where the chart is 0, user's units per chart unit, and the frame, as :class:`lcx.pfn.tokens.GeneralTokens` makes them."""
    width = torch.where(seen, values, -math.inf).amax(1) - torch.where(seen, values, math.inf).amin(1)
    width = torch.where(width > 0, width, 1.0)
    base = values.gather(1, last).squeeze(1)
    first = values.gather(1, seen.int().argmax(1, keepdim=True)).squeeze(1)
    below, above = torch.where(sign > 0, base - lower, upper - base), torch.where(sign > 0, upper - base, base - lower)
    near, room = torch.minimum((lower - first).abs(), (upper - first).abs()), upper - lower
    near = torch.where((near < math.inf) & (near > 0), near, first.abs().clamp(min=1))
    fallback = torch.where(room < math.inf, room, near)
    return base, sign * width, Frame(*((x / width).float() for x in (-below, above, fallback)))
