"""From the first part of a curve to the posterior predictive of the rest: ``predict``, ``load``, ``Extrapolator``."""

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from lcx.curves import Curves, as_curves, as_scale
from lcx.extrapolation import Extrapolation
from lcx.pfn.checkpoint import as_device
from lcx.pfn.checkpoint import load as load_checkpoint
from lcx.pfn.decoding import decode, draw_paths, to_user
from lcx.pfn.model import PFN
from lcx.pfn.others import Others, as_others
from lcx.pfn.queries import as_cutoffs, as_queries, queries_after, tokens_before
from lcx.pfn.surprise import surprises
from lcx.pfn.tokens import GeneralTokens, Tokens, model_steps
from lcx.predictive import Predictive

DEFAULT = "general"


def predict(
    values: Any,
    steps: Any = None,
    *,
    horizon: Any,
    mode: str,
    at: Any = None,
    bounds: Any = (None, None),
    unit: Any = None,
    others: Any = None,
    model: str | Path = "default",
    device: str | torch.device | None = None,
) -> Extrapolation:
    """Predicts the rest of one or many learning curves: the posterior predictive of each later step.

    Args:
        values: metric so far, user's unit: one curve (1-D) or many (list of 1-D, or 2-D padded with NaN); NaN is a missing value.
        steps: step of each value (epoch, iteration, tokens, sample size), > 0, strictly increasing; default 1, 2, ...
        horizon: last step of the run, its budget: one number or one per curve, beyond the last step that has a value.
        mode: "max" if larger is better, "min" if smaller is.
        at: steps to predict, after the last step that has a value, up to the horizon; default every integer step there, or 512 evenly
            spaced ones if there are more.
        bounds: limits (lower, upper) that the metric cannot pass, None where there is none; the predictive has no mass outside them.
        unit: (worst, best), the values the parametric model sees as 0 and 1; default the bounds, else a guess
            (``lcx.curves.as_scale``). The general model takes none.
        others: the other runs of the same study (same task, metric, direction and step unit), finished or not, that the forecast
            learns from: a list of (steps, values) pairs, ``Curves``, or "batch", by which each of many curves reads all the rest. They
            are the same for all curves, their order does not matter, and the curve asked about must not be one of them. None or an empty
            list: the curve alone.
        model: name of a shipped model or folder of a saved one.
        device: where to compute; default CUDA if there is one.

    Returns:
        The extrapolation. Its results have shape (A,) for one curve and (B, A) for B curves, A the number of steps ``at``.

    Raises:
        ValueError, TypeError: an argument breaks a rule above; the message says which value, and what to do.
    """
    return load(model, device)(values, steps, horizon=horizon, mode=mode, at=at, bounds=bounds, unit=unit, others=others)


def load(name_or_path: str | Path = "default", device: str | torch.device | None = None) -> "Extrapolator":
    """Loads a model for many predictions. Loaded models are cached per path and device.

    Args:
        name_or_path: name of a shipped model ("default" is the recommended one), or the folder of a model.
        device: where to compute; default CUDA if there is one.

    Raises:
        ValueError: there is no such model, or the folder is damaged or not that of a model.
    """
    device = as_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return _load(model_folder(str(name_or_path)), device)


@lru_cache(maxsize=64)
def model_folder(name_or_path: str) -> Path:
    """The folder of a shipped model of that name, or else the folder of a saved one.

    Raises:
        ValueError: there is neither.
    """
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
    """The folder of the shipped models: beside this file in a wheel, beside the package in a source tree."""
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "models"


class Extrapolator:
    """A loaded model. Call it with the arguments of :func:`predict` except ``model`` and ``device``.

    Both models read a step as t = 100 * step / horizon.

    The general model reads the metric in units of what was observed up to each point. If a curve has more than 512 points, it reads 128
    averages over as many points each, and adds their noise to what it predicts. The parametric model reads (value - worst) / (best -
    worst). Its prior begins at t = 1, so earlier points are not read; if there are no others, the last one is read as if it were at t = 1.
    If a curve has more than 100 points,
    it reads 100 evenly spaced ones, the last among them.
    """

    def __init__(self, model: PFN, about: dict[str, Any]) -> None:
        self.model, self.about = model, about

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.head.weight.device

    @property
    def reads_others(self) -> bool:
        """Whether the model can read the other runs of a study."""
        return self.model.reader is not None

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
        others: Any = None,
    ) -> Extrapolation:
        """See :func:`predict`."""
        curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds)
        queries = as_queries(at, curves)
        read = self._read(curves, mode, bounds, unit)
        ahead = model_steps(queries, curves).clamp(min=read.first_step).float()
        last, known = (read.counts - 1)[:, None], self._others(others, curves, read, mode, bounds)
        predictive = to_user(decode(self.model, read, last, ahead, known), read.scale, bounds)
        return Extrapolation(
            steps_ahead=queries,
            predictive=predictive,
            mode=mode,
            one=one,
            curves=curves,
            paths=lambda n, generator: draw_paths(self.model, read, ahead, predictive, n, generator, known),
            notes=lambda: read.notes(bounds, unit) + surprises(read, partial(decode, self.model)),
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
        others: Any = None,
    ) -> Extrapolation:
        """Predicts each curve from earlier cut-offs, all from one encoding.

        The parametric model takes its scale from the whole curve, unless ``unit`` or two bounds give it. Which points of a long curve are
        read (see the class) also depends on the whole curve.

        Args:
            values: as in :func:`predict`.
            steps: as in :func:`predict`.
            cutoffs: numbers of observed points, strictly increasing, the same for all curves; default 1, 2, ... up to one less than
                the longest curve has.
            at: steps to predict, after the step of the first cut-off; default the steps of each curve, and after them those of
                :func:`predict`.
            horizon: as in :func:`predict`, but here it may equal the last step.
            mode: as in :func:`predict`.
            bounds: as in :func:`predict`.
            unit: as in :func:`predict`.
            others: as in :func:`predict`; read at every cut-off for what they did later than it.

        Returns:
            The extrapolation. Its results have shape (C, A) for one curve and (B, C, A) for many, C the number of cut-offs. They are NaN
            at steps up to the last point of the cut-off, and for curves with no more points than the cut-off.

        Raises:
            ValueError, TypeError: as in :func:`predict`; or a cut-off is outside 1..points, or before 1 % of the horizon.
        """
        curves, one = as_curves(values, steps, horizon=horizon, bounds=bounds, finished=True)
        read, cuts = self._read(curves, mode, bounds, unit), as_cutoffs(cutoffs, curves)
        queries = queries_after(cuts, at, curves)
        last = tokens_before(read, cuts, queries)
        ahead = model_steps(queries, curves).clamp(min=read.first_step).float()
        known = self._others(others, curves, read, mode, bounds)
        tokens = last[..., None].expand(ahead.shape).flatten(1)
        pairs = decode(self.model, read, tokens, ahead.flatten(1), known)
        logits, loc, spread = (x.unflatten(1, ahead.shape[1:]) for x in (pairs.logits, pairs.loc, pairs.scale))
        return Extrapolation(
            steps_ahead=queries,
            predictive=to_user(Predictive(logits, loc, spread), read.scale, bounds),
            mode=mode,
            one=one,
            curves=curves,
            paths=None,
            notes=lambda: read.notes(bounds, unit) + surprises(read, partial(decode, self.model)),
        )

    def _read(self, curves: Curves, mode: str, bounds: Any, unit: Any) -> Tokens | GeneralTokens:
        """The curves as this model sees them."""
        if not self.model.general:
            return Tokens(curves, as_scale(curves, mode=mode, bounds=bounds, unit=unit))
        if unit is not None:
            raise ValueError(f"Expected no unit for a general model, which scales by itself; got {unit!r}. Leave it out.")
        return GeneralTokens(curves, mode=mode, bounds=bounds)

    def _others(self, others: Any, curves: Curves, read: Tokens | GeneralTokens, mode: str, bounds: Any) -> Others | None:
        """The other runs as the model reads them."""
        known = as_others(others, curves, read.scale, mode=mode, bounds=bounds)
        if known is not None and not self.reads_others:
            raise ValueError(
                f"Expected no others for a model that reads one curve; got {len(known.values[0])} runs. Use the model general."
            )
        return known
