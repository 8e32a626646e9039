"""``Extrapolation``: the predicted rest of one or many curves, computed by a PFN or by MCMC."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lcx.curves import Curves
from lcx.predictive import Predictive, mass_outside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_FRAME_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_BAND_LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)  # 95, 80 and 50 % bands and the median
_KEPT = 1 << 16  # components of all laws up to which what they work out for one question is kept for the next
_CHUNK = 1 << 19  # components evaluated at once: bounds memory at some 100 MB


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Posterior predictive of one or many curves at later steps, in the user's units. Results are NumPy arrays of float64.

    Below, (\\*S, A) stands for (A,) for one curve and (B, A) for many; a back-test has an axis of cut-offs C before A. Results are NaN
    where ``at`` is NaN, which is padding.

    Attributes:
        steps_ahead: (B, [C,] A) predicted steps, user's unit; NaN is padding.
        predictive: the distribution at each step, user's units, float64, batch shape (B, [C,] A).
        mode: "max" if larger is better, "min" if smaller is.
        one: whether one curve was given; results then have no batch axis.
        curves: the observed points.
        paths: (n, generator) -> (B, n, A) joint draws at the predicted steps, user's units; None for a back-test.
        notes: () -> sentences about input that the prior of the model cannot produce.
    """

    steps_ahead: Float[Tensor, "*batch A"]
    predictive: Predictive
    mode: str
    one: bool
    curves: Curves
    paths: Callable[[int, torch.Generator], Tensor] | None
    notes: Callable[[], list[str]]

    @property
    def at(self) -> np.ndarray:
        """Predicted steps, user's unit, (\\*S, A)."""
        return self._out(self.steps_ahead.clone())

    @cached_property
    def mean(self) -> np.ndarray:
        """Posterior mean of the noisy metric, user's unit, (\\*S, A)."""
        return self._moments[0]

    @cached_property
    def std(self) -> np.ndarray:
        """Posterior standard deviation of the noisy metric, user's unit, (\\*S, A)."""
        return self._moments[1]

    @cached_property
    def median(self) -> np.ndarray:
        """Posterior median of the noisy metric, user's unit, (\\*S, A)."""
        return self.quantile(0.5)

    @cached_property
    def warnings(self) -> list[str]:
        """Sentences about points that were not read, input that the prior of the model cannot produce, and mass where no value lies."""
        notes = self.notes()
        return notes + [sentence for sentence in self._mass_outside() if sentence not in notes]

    def quantile(self, q: Any) -> np.ndarray:
        """Quantiles of the noisy metric, user's unit.

        Args:
            q: level or levels, each in (0, 1).

        Returns:
            (\\*S, A) for a single level, else (\\*S, A, levels); a higher level gives a larger value, whatever the mode.

        Raises:
            ValueError: a level is not inside (0, 1).
        """
        levels = np.asarray(q, dtype=np.float64)
        bad = ~((levels > 0) & (levels < 1))
        if bad.any() or levels.ndim > 1:
            came = levels[bad].flat[0] if bad.any() else f"shape {levels.shape}"
            raise ValueError(f"expected quantile levels inside (0, 1), a number or 1-D, got {came}; write 0.95 for 95 %")
        asked = torch.from_numpy(levels.reshape(-1, 1))
        found = self._evaluate(lambda p: p.icdf(asked), len(asked))
        return found[..., 0] if levels.ndim == 0 else found

    def log_prob(self, y: Any) -> np.ndarray:
        """Log density of the noisy observation ``y``, nats per user unit, (\\*S, A). ``y`` is broadcast to this shape; NaN gives NaN."""
        return self._evaluate(lambda p, y: p.log_prob(y), 0, y)

    def cdf(self, y: Any) -> np.ndarray:
        """P(observation <= y), (\\*S, A). ``y`` is broadcast to this shape; NaN gives NaN."""
        return self._evaluate(lambda p, y: p.cdf(y), 0, y)

    def crps(self, y: Any) -> np.ndarray:
        """Continuous ranked probability score of ``y``, user's unit, (\\*S, A). Lower is better; NaN gives NaN."""
        return self._evaluate(lambda p, y: p.crps(y), 0, y)

    def prob_better(self, best: Any) -> np.ndarray:
        """P(observation better than ``best``) at each step, (\\*S, A). ``best`` is broadcast to it; ``mode`` says what is better."""
        if isinstance(best, float) and best in self.known_chances:
            return self.known_chances[best].copy()
        below = self.cdf(best)
        return 1 - below if self.mode == "max" else below

    def expected_improvement(self, best: Any) -> np.ndarray:
        """E[how much better than ``best`` the observation is, or 0] at each step, user's unit, (\\*S, A); see :meth:`prob_better`."""
        return self._evaluate(lambda p, y: p.excess(y, self.mode == "max"), 0, best)

    @cached_property
    def known_chances(self) -> dict[float, np.ndarray]:
        """Answers of :meth:`prob_better` by the value to beat, filled in by whoever has asked for many curves at once."""
        return {}

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draws ``n`` whole curves through all steps ``at``, user's unit, (n, A) or (B, n, A).

        The values of a curve belong together, so use them for questions about several steps ("ever better than best?"). At each step they
        follow the predictive of that step. Which belong together, a PFN says by drawing one step after the other and reading each drawn
        value as if observed; if there are more steps than it can read, it reads evenly spaced ones. At least 50 curves are drawn, so few
        cost as much as 50. With MCMC, each curve is the mean curve of one draw plus new noise.

        Raises:
            ValueError: ``n`` < 1, or this is a back-test.
        """
        if self.paths is None or n < 1:
            came = f"n={n}" if n < 1 else "a back-test"
            raise ValueError(f"expected n >= 1 paths of a prediction, got {came}; ask for at least one, from predict")
        draws = self.paths(n, torch.Generator().manual_seed(seed))
        draws = draws.masked_fill(self.steps_ahead.isnan()[:, None, :], torch.nan)
        return self._out(draws)

    def to_frame(self) -> "pd.DataFrame":
        """Table with a row per step: columns run, step, mean, "0.05", "0.25", "0.5", "0.75", "0.95", and cutoff for a back-test."""
        import pandas as pd

        shape = self.steps_ahead.shape
        axes = ("run", "cutoff")[: len(shape) - 1]
        index = np.indices(shape)
        columns = {name: index[i].ravel() for i, name in enumerate(axes)}
        if "cutoff" in columns:
            columns["cutoff"] = columns["cutoff"] + 1
        quantiles = self.quantile(_FRAME_LEVELS).reshape(-1, len(_FRAME_LEVELS))
        columns |= {"step": self.steps_ahead.numpy().ravel(), "mean": self.mean.ravel()}
        columns |= {str(level): quantiles[:, i] for i, level in enumerate(_FRAME_LEVELS)}
        return pd.DataFrame(columns).dropna(subset="step").reset_index(drop=True)

    def plot(
        self, ax: "Axes | None" = None, *, curve: int = 0, best: float | None = None, metric: str = "metric", label: str = ""
    ) -> "Axes":
        """Draws a fan chart of one curve: observed points, median, bands of 50, 80 and 95 %, and the value to beat if given.

        Where the observed steps grow by about the same factor, axes are logarithmic (``lcx.plots.fan_chart``).

        Args:
            ax: axes to draw on; default new ones.
            curve: index of the curve in a batch.
            best: value to beat, user's unit.
            metric: label of the vertical axis.
            label: put before the entries of the legend, to tell this answer from another one on the same axes.

        Raises:
            ImportError: matplotlib is missing; install lcx[plot].
            ValueError: this is a back-test, or there is no such curve.
        """
        from lcx.plots import fan_chart

        ahead, bands = self._bands(curve)
        seen = ~self.curves.values[curve].isnan()
        observed = (self.curves.steps[curve][seen].numpy(), self.curves.values[curve][seen].numpy())
        horizon = self.curves.horizon[curve].item()
        more = {"horizon": horizon, "best": best, "metric": metric, "label": label, "falls": self.mode == "min"}
        return fan_chart(observed, ahead, bands, **more, ax=ax)

    def overlay(self, ax: "Axes", label: str, *, curve: int = 0) -> None:
        """Draws median and edges of the bands as lines over the fan chart of another answer for the same curve.

        Args:
            ax: axes on which :meth:`plot` of the other answer has drawn.
            label: put before the entries of the legend.
            curve: index of the curve in a batch.

        Raises:
            ValueError: this is a back-test, or there is no such curve.
        """
        from lcx.plots import overlay

        overlay(ax, *self._bands(curve), label)

    def _bands(self, curve: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps (A,) and quantiles (A, 7) of the bands of one curve, without padding."""
        if self.steps_ahead.dim() != 2 or not -len(self.curves) <= curve < len(self.curves):
            came = f"curve={curve} of {len(self.curves)}" if self.steps_ahead.dim() == 2 else "a back-test"
            raise ValueError(f"expected one curve of a prediction to plot, got {came}; choose curve within the batch")
        valid = ~self.steps_ahead[curve].isnan()
        bands = self.quantile(_BAND_LEVELS).reshape(*self.steps_ahead.shape, -1)[curve][valid.numpy()]
        return self.steps_ahead[curve][valid].numpy(), bands

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, user's unit, (\\*S, A) each."""
        both = self._evaluate(lambda p: torch.stack(p.moments()), 2)
        return both[..., 0], np.sqrt(both[..., 1])

    def _out(self, x: Tensor) -> np.ndarray:
        return (x[0] if self.one else x).numpy()

    def _evaluate(self, question: Callable[..., Tensor], answers: int = 0, *given: Any) -> np.ndarray:
        """``question`` of the predictive, in chunks that bound memory; NaN at padding.

        Its ``answers`` at each point, which lead the points there, go to a last axis; 0: one answer and no such axis.
        """
        shape, real = self.steps_ahead.shape, self._real
        # Copied, because pandas returns read-only arrays and torch warns of them.
        given = tuple(torch.from_numpy(np.array(y, dtype=np.float64)).expand(shape) for y in given)
        given = tuple(y.reshape(-1) if real is None else y[real] for y in given)
        law = self._few or self._in_a_row()
        size = max(1, _CHUNK // (max(1, answers) * law.loc.shape[-1]))
        if len(law.loc) <= size:
            answer = question(law, *given)
        else:
            pieces = zip(law.split(size), *(y.split(size) for y in given), strict=True)
            answer = torch.cat([question(*piece) for piece in pieces], -1)
        shape, answer = (*shape, answers) if answers else shape, answer.T if answers else answer
        if real is not None:
            return self._out(torch.full(shape, torch.nan, dtype=torch.float64).index_put((real,), answer))
        return self._out(answer.reshape(shape))

    def _mass_outside(self) -> list[str]:
        """Sentences about mass at the last step beyond the usual limits of such a metric; of a back-test none."""
        if self.steps_ahead.dim() > 2:
            return []
        real = ~self.steps_ahead.isnan()
        last = torch.arange(real.shape[1]) == real.sum(1, keepdim=True) - 1
        return mass_outside(self.predictive.at(last), self.curves.values, self.mode)

    @cached_property
    def _real(self) -> Tensor | None:
        """Where there is no padding; None if there is none."""
        padded = self.steps_ahead.isnan()
        return ~padded if padded.any() else None

    @cached_property
    def _few(self) -> Predictive | None:
        """The laws of all steps, if they are few: kept, for a law keeps what it has worked out."""
        return self._in_a_row() if self.predictive.loc.numel() <= _KEPT else None

    def _in_a_row(self) -> Predictive:
        return self.predictive.flat() if self._real is None else self.predictive.at(self._real)
