"""From a user's partial curves to the posterior predictive of the rest: ``predict``, ``load``, ``Extrapolator``."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lcx.checkpoint import load as load_checkpoint
from lcx.curves import Curves, Scale, as_curves, as_queries, as_scale
from lcx.extrapolation import Extrapolation
from lcx.model import PFN, Context
from lcx.predictive import Predictive

DEFAULT = "parametric"
_MOST_TOKENS = 100  # the model is trained on curves of at most this many points
_CHUNK = 1 << 13  # tokens or queries per pass: activations of this size stay in a CPU's cache


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
        unit: (worst, best), the values the model sees as 0 and 1; default the bounds, else a guess (``lcx.curves.as_scale``).
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
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    name = DEFAULT if name_or_path == "default" else str(name_or_path)
    shipped = models_folder()
    folder = shipped / name if (shipped / name / "config.json").exists() else Path(name)
    if not folder.is_dir():
        names = sorted(p.parent.name for p in shipped.glob("*/config.json"))
        raise ValueError(f"expected a model name out of {names} or a model folder, got {str(name_or_path)!r}; check the spelling")
    return _load(folder.resolve(), device)


@lru_cache(maxsize=8)
def _load(folder: Path, device: torch.device) -> "Extrapolator":
    return Extrapolator(*load_checkpoint(folder, device))


def models_folder() -> Path:
    """Where the shipped models lie: beside this file in a wheel, beside the package in a source tree."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "models"


class Extrapolator:
    """A loaded model; called with :func:`predict`'s arguments except ``model`` and ``device``.

    The parametric model sees t = 100 * step / horizon and (value - worst) / (best - worst). Its prior knows curves from t = 1 on:
    earlier points are left out (if there are no others, the last one stands in at t = 1). Of more than 100 points, 100
    evenly spaced ones with the last among them are read.
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
        scale = as_scale(curves, mode=mode, bounds=bounds, unit=unit)
        view = _View(curves, scale)
        ahead = _model_steps(queries, curves)
        last = (view.counts - 1)[:, None].expand(ahead.shape)
        return Extrapolation(
            steps_ahead=queries,
            predictive=_to_user(self._decode(view, last, ahead), scale, bounds),
            mode=mode,
            one=one,
            curves=curves,
            paths=lambda n, generator: self._paths(view, ahead, scale, bounds, n, generator),
            notes=lambda: view.notes(scale, bounds, unit) + self._surprises(view),
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
            values, steps, horizon, mode, bounds, unit: as in :func:`predict`; the horizon may equal the last step here.
            cutoffs: numbers of context points, strictly increasing, the same for all curves; default 1, 2, ... up to one point
                less than the longest curve has.
            at: steps to predict, as in :func:`predict` but after the step of the first cut-off; default the observed
                steps of each curve and those after them as in :func:`predict`.

        Returns:
            The extrapolation, shape (C, A) for one curve and (B, C, A) for many, C cut-offs; NaN where a step is not after the
            cut-off's last point, or the curve has no more points than the cut-off.

        Raises:
            ValueError, TypeError: as :func:`predict`; a cut-off outside 1..points, or before 1 % of the horizon.
        """
        curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds, finished=True)
        scale = as_scale(curves, mode=mode, bounds=bounds, unit=unit)
        view = _View(curves, scale)
        cuts = _cutoffs(cutoffs, curves)
        cut_steps = curves.steps.gather(1, (cuts.clamp(max=curves.steps.shape[1]) - 1).expand(len(curves), -1))
        queries = as_queries(at, curves.first(int(cuts[0, 0]))) if at is not None else _all_steps(curves)
        queries = queries[:, None, :].expand(-1, cuts.shape[1], -1)
        live = (cuts < curves.counts[:, None])[..., None] & (queries > cut_steps[..., None])
        queries = torch.where(live, queries, torch.nan)
        tokens = view.token_at(cuts)
        ahead = _model_steps(queries, curves)
        flat = self._decode(view, tokens[..., None].expand(ahead.shape).flatten(1), ahead.flatten(1))
        return Extrapolation(
            steps_ahead=queries,
            predictive=_to_user(flat.reshape(ahead.shape), scale, bounds),
            mode=mode,
            one=one,
            curves=curves,
            paths=None,
            notes=lambda: view.notes(scale, bounds, unit) + self._surprises(view),
        )

    @torch.inference_mode()
    def _decode(self, view: "_View", tokens: Int[Tensor, "B P"], ahead: Float[Tensor, "B P"]) -> Predictive:
        """Predictives in model units, a chunk of curves at a time."""
        size = max(1, _CHUNK // max(*view.values.shape[1:], *ahead.shape[1:]))
        parts = []
        for chunk in zip(*(x.split(size) for x in (view.values, view.steps, tokens, ahead)), strict=True):
            values, steps, last, queries = (x.to(self.device) for x in chunk)
            parts.append(self.model.decode(self.model.encode(values, steps), last, queries.nan_to_num(100.0)).to("cpu"))
        return parts[0] if len(parts) == 1 else Predictive.cat(parts)
