"""From a user's partial curves to the posterior predictive of the rest: ``predict``, ``load``, ``Extrapolator``."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lcx.curves import Curves, Scale, as_curves, as_queries, as_scale
from lcx.extrapolation import Extrapolation
from lcx.pfn.checkpoint import as_device
from lcx.pfn.checkpoint import load as load_checkpoint
from lcx.pfn.features import Frame
from lcx.pfn.forks import mind_forks
from lcx.pfn.model import PFN
from lcx.pfn.surprise import surprises
from lcx.pfn.tokens import GeneralTokens, Tokens, as_cutoffs, model_steps, queries_after
from lcx.predictive import Predictive

DEFAULT = "general"
_CHUNK = 1 << 13  # tokens or queries per pass
_CPU_CHUNK = 1 << 10  # the same on a CPU, in whose cache activations of this size stay


def predict(
    values: Any,
    steps: Any = None,
    *,
    horizon: Any,
    mode: str,
    at: Any = None,
    bounds: Any = (None, None),
    unit: Any = None,
    model: str | Path = "default",
    device: str | torch.device | None = None,
) -> Extrapolation:
    """Posterior predictive of the rest of one or many partial learning curves.

    Args:
        values: metric so far, user's unit: one curve (1-D) or many (list of 1-D, or 2-D padded with NaN); NaN is missing.
        steps: step of each value (epoch, iteration, tokens, sample size), > 0, strictly increasing; default 1, 2, ...
        horizon: last step of the run (its budget), one number or one per curve, beyond the last finite step.
        mode: "max" if larger is better, "min" if smaller is.
        at: steps to predict, within (last finite step, horizon]; default every integer step of it, or 512 evenly spaced ones.
        bounds: known hard limits (lower, upper) of the metric; no predictive mass lies outside them.
        unit: (worst, best), the values the parametric model sees as 0 and 1; default the bounds, else a guess
            (``lcx.curves.as_scale``). The general model takes none.
        model: name of a shipped model or folder of a saved one.
        device: where to compute; default CUDA if there is one.

    Returns:
        The extrapolation, shape (A,) for one curve and (B, A) for many, A steps ``at``.

    Raises:
        ValueError, TypeError: input breaks a rule above; the message says which value and what to do.
    """
    return load(model, device)(values, steps, horizon=horizon, mode=mode, at=at, bounds=bounds, unit=unit)


def load(name_or_path: str | Path = "default", device: str | torch.device | None = None) -> "Extrapolator":
    """A model ready to extrapolate; cached per path and device.

    Args:
        name_or_path: name of a shipped model ("default" is the recommended one) or the folder of a saved one.
        device: where to compute; default CUDA if there is one.

    Raises:
        ValueError: unknown name, or a damaged or foreign model folder.
    """
    device = as_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return _load(_folder(str(name_or_path)), device)


@lru_cache(maxsize=64)
def _folder(name_or_path: str) -> Path:
    shipped = models_folder()
    folder = shipped / (DEFAULT if name_or_path == "default" else name_or_path)
    folder = folder if (folder / "config.json").exists() else Path(name_or_path)
    if not folder.is_dir():
        names = sorted(p.parent.name for p in shipped.glob("*/config.json"))
        raise ValueError(f"expected a model out of {names} or a model's folder, got {name_or_path!r}; check the spelling")
    return folder.resolve()


@lru_cache(maxsize=8)
def _load(folder: Path, device: torch.device) -> "Extrapolator":
    return Extrapolator(*load_checkpoint(folder, device))


def models_folder() -> Path:
    """Where the shipped models lie: beside this file in a wheel, beside the package in a source tree."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "models"


class Extrapolator:
    """A loaded model; called with :func:`predict`'s arguments except ``model`` and ``device``.

    Both models see t = 100 * step / horizon. The general one sees the metric in units of what was observed up to each point, and at
    most 512 points: of more, the last 128 and 384 spread evenly before them. The parametric one sees
    (value - worst) / (best - worst). Its prior knows curves from t = 1 on: earlier points are left out (if there are no others, the last
    one stands in at t = 1). Of more than 100 points, 100 evenly spaced ones with the last among them are read.
    """

    def __init__(self, model: PFN, about: dict[str, Any]) -> None:
        self.model, self.about = model, about

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.head.weight.device

    def __call__(
        self,
        values: Any,
        steps: Any = None,
        *,
        horizon: Any,
        mode: str,
        at: Any = None,
        bounds: Any = (None, None),
        unit: Any = None,
    ) -> Extrapolation:
        """See :func:`predict`."""
        curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds)
        queries = as_queries(at, curves)
        read = self._read(curves, mode, bounds, unit)
        ahead = model_steps(queries, curves).clamp(min=read.first_step).float()
        last = (read.counts - 1)[:, None]
        return Extrapolation(
            steps_ahead=queries,
            predictive=to_user(self._decode(read, last, ahead), read.scale, bounds),
            mode=mode,
            one=one,
            curves=curves,
            paths=lambda n, generator: self._paths(read, ahead, bounds, n, generator),
            notes=lambda: read.notes(bounds, unit) + surprises(read, self._decode),
        )

    def backtest(
        self,
        values: Any,
        steps: Any = None,
        *,
        cutoffs: Any = None,
        horizon: Any,
        mode: str,
        at: Any = None,
        bounds: Any = (None, None),
        unit: Any = None,
    ) -> Extrapolation:
        """What would have been predicted at earlier cut-offs of each curve, all from one encoding.

        The scale is that of the whole curve, unless given by ``unit`` or two bounds; thinning likewise (class docstring).

        Args:
            values: as in :func:`predict`.
            steps: as in :func:`predict`.
            cutoffs: numbers of context points, strictly increasing, the same for all curves; default 1, 2, ... up to one point
                less than the longest curve has.
            at: steps to predict, as in :func:`predict` but after the step of the first cut-off; default the observed
                steps of each curve and those after them as in :func:`predict`.
            horizon: as in :func:`predict`, but it may equal the last step here.
            mode: as in :func:`predict`.
            bounds: as in :func:`predict`.
            unit: as in :func:`predict`.

        Returns:
            The extrapolation, shape (C, A) for one curve and (B, C, A) for many, C cut-offs; NaN where a step is not after the
            cut-off's last point, or the curve has no more points than the cut-off.

        Raises:
            ValueError, TypeError: as :func:`predict`; a cut-off outside 1..points, or before 1 % of the horizon.
        """
        curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds, finished=True)
        read, cuts = self._read(curves, mode, bounds, unit), as_cutoffs(cutoffs, curves)
        queries = queries_after(cuts, at, curves)
        last = read.token_at(cuts)
        if ((last < 0) & ~queries.isnan().all(-1)).any():
            cut = int(cuts[(last < 0).any(0)].max())
            raise ValueError(f"expected cut-offs from 1 % of the horizon on, got {cut} points before it; leave the early cut-offs out")
        ahead = model_steps(queries, curves).clamp(min=read.first_step).float()
        pairs = self._decode(read, last.clamp(min=0)[..., None].expand(ahead.shape).flatten(1), ahead.flatten(1))
        logits, loc, spread = (x.unflatten(1, ahead.shape[1:]) for x in (pairs.logits, pairs.loc, pairs.scale))
        return Extrapolation(
            steps_ahead=queries,
            predictive=to_user(Predictive(logits, loc, spread), read.scale, bounds),
            mode=mode,
            one=one,
            curves=curves,
            paths=None,
            notes=lambda: read.notes(bounds, unit) + surprises(read, self._decode),
        )

    def _read(self, curves: Curves, mode: str, bounds: Any, unit: Any) -> Tokens | GeneralTokens:
        """The curves as this model sees them."""
        if not self.model.general:
            return Tokens(curves, as_scale(curves, mode=mode, bounds=bounds, unit=unit))
        if unit is not None:
            raise ValueError(f"Expected no unit for a general model, which scales by itself; got {unit!r}. Leave it out.")
        return GeneralTokens(curves, mode=mode, bounds=bounds)

    @torch.inference_mode()
    def _decode(self, read: Tokens | GeneralTokens, last: Int[Tensor, "B #P"], ahead: Float[Tensor, "B P"]) -> Predictive:
        """Predictives in model units, batch shape (B, P), float32 on the CPU, computed a chunk of curves at a time."""
        mind_forks()
        size = max(1, (_CPU_CHUNK if self.device.type == "cpu" else _CHUNK) // max(read.values.shape[1], ahead.shape[1]))
        laws = []
        for at in range(0, len(last), size):
            rows = slice(at, at + size)
            values, steps, tokens, queries = (x[rows].to(self.device) for x in (read.values, read.steps, last, ahead))
            only = tokens[:, 0] if tokens.shape[1] == 1 else None
            context = self.model.encode(values, steps, frame=self._frame(read, rows), only=only)
            laws.append(self.model.decode(context, tokens, queries))
        logits, loc, scale = (torch.cat([getattr(law, name).cpu() for law in laws]) for name in ("logits", "loc", "scale"))
        return Predictive(logits, loc, scale)

    def _frame(self, read: Tokens | GeneralTokens, rows: Any) -> Frame | None:
        return None if read.frame is None else Frame(*(x[rows].to(self.device) for x in read.frame))

    @torch.inference_mode()
    def _paths(
        self, read: Tokens | GeneralTokens, ahead: Float[Tensor, "B A"], bounds: Any, n: int, generator: torch.Generator
    ) -> Float[Tensor, "B n A"]:
        """Joint draws in user units: each drawn value is appended as if observed, thinned to what the model can read."""
        mind_forks()
        room = max(read.most - read.values.shape[1], read.most // 3)
        fed_back = set(np.linspace(0, ahead.shape[1] - 1, min(room, ahead.shape[1])).round().astype(int).tolist())
        curves_at_once = max(1, _CHUNK // n)
        paths = []
        for start in range(0, len(ahead), curves_at_once):
            rows = torch.arange(start, min(start + curves_at_once, len(ahead))).repeat_interleave(n)
            values, steps, queries = (x[rows].to(self.device) for x in (read.values, read.steps, ahead))
            part = Scale(read.scale.worst[rows], read.scale.best[rows])
            context = self.model.encode(values, steps, cache=True, frame=self._frame(read, rows))
            draws = []
            for i in range(ahead.shape[1]):
                law = self.model.decode(context, context.last[:, None], queries[:, i : i + 1])
                draws.append(to_user(law, part, bounds).sample(1, generator)[0])
                if i in fed_back:
                    value = part.to_model(draws[-1]).squeeze(1).to(values)
                    context = self.model.append(context, value, queries[:, i])
            paths.append(torch.cat(draws, 1).unflatten(0, (-1, n)))
        return torch.cat(paths)


def to_user(law: Predictive, scale: Scale, bounds: Any) -> Predictive:
    """A predictive in model units, batch shape (B, ...), as float64 on the CPU in user units inside the bounds."""
    logits, loc, spread = (x.cpu().double() for x in (law.logits, law.loc, law.scale))
    slope, worst = (x.reshape(-1, *[1] * (loc.dim() - 1)) for x in (scale.slope, scale.worst))
    lower, upper = (None if bound is None else torch.tensor(float(bound), dtype=torch.float64) for bound in bounds)
    return Predictive(logits, worst + slope * loc, slope.abs() * spread, lower, upper)
