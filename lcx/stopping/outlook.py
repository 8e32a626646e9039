"""Questions about an unfinished run: will it beat a value, or another run? When does it reach a target? What improvement is expected?

Every function takes the extrapolation of one curve. "The end" is the last predicted step, normally the horizon. A value to beat of -inf
(mode "min": +inf) is beaten by every value.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive

_LEVELS = (np.arange(512) + 0.5) / 512  # midpoints of a quadrature over quantiles; its error is at most 1/1024, for a step function


def largest_prob_better(extrapolation: Extrapolation, best: float) -> tuple[float, float]:
    """The largest P(y_t better than ``best``) over the predicted steps, and its step; NaN and the last step if ``best`` is NaN."""
    _one(extrapolation)
    chances, at = extrapolation.prob_better(best), extrapolation.at
    known = ~np.isnan(chances)
    if not known.any():
        return math.nan, float(np.nanmax(at))
    i = int(np.nanargmax(chances))
    return float(chances[i]), float(at[i])


def prob_better_at_end(extrapolation: Extrapolation, best: float) -> tuple[float, float]:
    """P(y better than ``best``) at the end, and the last step; NaN if ``best`` is NaN."""
    law, step = _end(extrapolation)
    below = law.cdf(_number(best)).item()
    return (1 - below if extrapolation.mode == "max" else below), step


def prob_ever_better(extrapolation: Extrapolation, best: float, paths: int = 200, seed: int = 0) -> float:
    """P(y_t better than ``best`` at one or more predicted steps), from sample paths; NaN if ``best`` is NaN."""
    hit = better(_sampled(extrapolation, paths, seed), best, extrapolation.mode)
    return math.nan if math.isnan(best) else float(hit.any(-1).mean())


def expected_improvement(extrapolation: Extrapolation, best: float) -> float:
    """E[max(y - best, 0)] (mode "min": best - y) at the end, user's unit.

    It is P(better) times the mean improvement given better, the mean over 512 quantiles of that tail. So its relative error is small even
    if the improvement is.
    """
    law, _ = _end(extrapolation)
    sign = 1 if extrapolation.mode == "max" else -1
    chance, _ = prob_better_at_end(extrapolation, best)
    if math.isnan(chance) or math.isinf(best):
        return math.nan if math.isnan(chance) else (math.inf if chance > 0 else 0.0)
    if chance < 1e-12:  # levels would round to 1
        return 0.0
    levels = torch.from_numpy(chance * _LEVELS)
    values = law.icdf(1 - levels if sign > 0 else levels)
    return max(0.0, chance * (sign * (values - best)).mean().item())


def prob_above(a: Extrapolation, b: Extrapolation) -> float:
    """P(run A ends better than run B), each at its own end. The two are taken as independent given their observed points.

    The chance is the mean over quantiles of A of P(B is worse), averaged with the same from the side of B, so that
    prob_above(a, b) + prob_above(b, a) = 1.

    Args:
        a: extrapolation of one curve.
        b: extrapolation of another curve, with the same metric and mode.

    Raises:
        ValueError: one of them is not about a single curve, or their modes differ.
    """
    if a.mode != b.mode:
        raise ValueError(f"expected two extrapolations of the same mode, got {a.mode!r} and {b.mode!r}; compare like with like")
    (law, _), (other, _), levels = _end(a), _end(b), torch.from_numpy(_LEVELS)
    above = 0.5 * (other.cdf(law.icdf(levels)).mean() + 1 - law.cdf(other.icdf(levels)).mean()).item()
    return above if a.mode == "max" else 1 - above


def when_reached(extrapolation: Extrapolation, target: float, paths: int = 400, seed: int = 0) -> Float[np.ndarray, "A"]:
    """P(``target`` is reached at or before each step ``at``), from sample paths: the distribution of the step that first reaches it.

    Args:
        extrapolation: of one curve.
        target: value of the metric, user's unit; an equal or better value reaches it.
        paths: number of sample paths.
        seed: of the sample paths.

    Returns:
        Shape (A,), never falling; all 1 if an observed value has reached the target. 1 minus the last entry is P(not reached by the end).

    Raises:
        ValueError: the extrapolation is not about a single curve or is a back-test, or ``paths`` < 1.
    """
    if reached(extrapolation, target):
        return np.ones(len(extrapolation.at))
    missed = better(np.float64(target), _sampled(extrapolation, paths, seed), extrapolation.mode)
    return np.maximum.accumulate(~missed, axis=-1).mean(0)


def compute_left(extrapolation: Extrapolation, target: float, cost: float = 1.0, paths: int = 400, seed: int = 0) -> float:
    """Expected cost until ``target`` or the end is reached, whichever comes first; 0 if the target has been reached.

    cost * sum_k (t_k - t_{k-1}) P(not reached by t_{k-1}), with t_0 the last observed step and t_1, t_2, ... the predicted steps.

    Args:
        extrapolation: as in :func:`when_reached`.
        target: as in :func:`when_reached`.
        cost: cost of one step, any unit.
        paths: as in :func:`when_reached`.
        seed: as in :func:`when_reached`.
    """
    done = when_reached(extrapolation, target, paths, seed)
    gaps = np.diff(extrapolation.at, prepend=extrapolation.curves.last_step.item())
    open_before = 1 - np.concatenate([[float(reached(extrapolation, target))], done[:-1]])
    return float(cost * np.nansum(gaps * open_before))


def reached(extrapolation: Extrapolation, target: float) -> bool:
    """Whether an observed value is at least as good as ``target``."""
    return not better(target, own_best(extrapolation), extrapolation.mode)


def own_best(extrapolation: Extrapolation) -> float:
    """The best value observed in this run, user's unit."""
    _one(extrapolation)
    values = extrapolation.curves.values.numpy()
    return float(np.nanmax(values) if extrapolation.mode == "max" else np.nanmin(values))


def better(a: Any, b: Any, mode: str) -> Any:
    """Whether a is strictly better than b; False if either is NaN."""
    return a > b if mode == "max" else a < b


def _one(extrapolation: Extrapolation) -> None:
    if not extrapolation.one or extrapolation.steps_ahead.dim() != 2:
        shape = tuple(extrapolation.steps_ahead.shape)
        raise ValueError(f"expected the extrapolation of one curve, got a batch or a back-test of shape {shape}; predict one curve")


def _end(extrapolation: Extrapolation) -> tuple[Predictive, float]:
    """The predictive at the last predicted step, batch shape (1,), and that step."""
    _one(extrapolation)
    at = extrapolation.at
    last = int(np.nanargmax(at))
    return extrapolation.predictive.split(last + 1)[0].split(1)[-1], float(at[last])


def _sampled(extrapolation: Extrapolation, paths: int, seed: int) -> Float[np.ndarray, "n A"]:
    _one(extrapolation)
    return extrapolation.sample(paths, seed)


def _number(x: float) -> Float[torch.Tensor, "1"]:
    return torch.tensor([x], dtype=torch.float64)
