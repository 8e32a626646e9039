"""Which of two curves is ahead, from their two answers: at each step, and where they change places."""

import numpy as np
import torch

from lcx.curves import direction
from lcx.extrapolation import Extrapolation

_LEVELS = 200  # quantiles of the one law at which the cdf of the other is averaged
_CHUNK = 1 << 21  # components evaluated at once


def prob_ahead(one: Extrapolation, other: Extrapolation) -> np.ndarray:
    """P(``one`` is better than ``other``) at each step, of two curves that are independent given what was seen of both.

    It is the mean, over quantiles at even levels of the narrower law, of the chance that the other law is worse. With noise in the
    metric it is about noisy values, as everything else that an answer says.

    Args:
        one: an answer about one curve, about many, which are compared row by row, or a back-test.
        other: one about the same steps, of the same shape and direction.

    Returns:
        Chances, in the shape of ``one.at``, to about 1e-4; with the two exchanged, what is missing to 1.

    Raises:
        ValueError: the answers are about different steps or directions.
    """
    _refuse_different(one, other)
    below = np.where(one.std <= other.std, 1 - _share_below(other, one), _share_below(one, other))
    return below if one.mode == "min" else 1 - below


def crossing_steps(one: Extrapolation, other: Extrapolation, n: int = 1000, seed: int = 0) -> np.ndarray:
    """Where the two curves change places for the last time, in each of ``n`` pairs of sampled paths.

    It is the first of the steps ``at`` from which on the curve that is better at the last step is better throughout; NaN in pairs of
    which one is better at all steps. Paths have the noise of the metric, so curves close to each other change places late and often.

    Args:
        one: an answer about one curve or many, not a back-test.
        other: one about the same steps, as in :func:`prob_ahead`.
        n: pairs of paths.
        seed: of the paths.

    Returns:
        Steps, user's unit, (n,) for one curve and (B, n) for B. ``np.isnan(steps).mean(-1)`` is the chance that nothing changes,
        ``np.nanquantile(steps, [0.05, 0.5, 0.95], -1)`` says where it does.

    Raises:
        ValueError: the answers are about different steps or directions, n < 1, or they are back-tests.
    """
    _refuse_different(one, other)
    gap = direction(one.mode) * (one.sample(n, seed) - other.sample(n, seed + 1))
    steps = np.broadcast_to(one.at[..., None, :], gap.shape)
    real = ~np.isnan(steps)
    last = real.sum(-1, keepdims=True) - 1
    leads = gap > 0
    behind = (leads != np.take_along_axis(leads, last, -1)) & real
    after = behind.shape[-1] - np.argmax(behind[..., ::-1], -1)  # one beyond the last step at which the later winner is behind
    found = np.take_along_axis(steps, np.minimum(after, behind.shape[-1] - 1)[..., None], -1)[..., 0]
    return np.where(behind.any(-1), found, np.nan)


def _share_below(one: Extrapolation, other: Extrapolation) -> np.ndarray:
    """P(one < other), by quantiles of the other."""
    law, size = one.predictive, max(1, _CHUNK // one.predictive.loc.numel())
    points = torch.from_numpy(np.moveaxis(other.quantile((np.arange(_LEVELS) + 0.5) / _LEVELS), -1, 0).copy())
    points = points[:, None] if one.one else points
    share = torch.cat([law.cdf(some) for some in points.split(size)]).mean(0).numpy()
    return share[0] if one.one else share


def _refuse_different(one: Extrapolation, other: Extrapolation) -> None:
    if one.mode != other.mode:
        raise ValueError(f"expected two answers of one mode, got {one.mode!r} and {other.mode!r}; compare the same metric")
    if one.at.shape != other.at.shape or not np.array_equal(one.at, other.at, equal_nan=True):
        raise ValueError(
            f"expected two answers at the same steps, got shapes {one.at.shape} and {other.at.shape} with last steps "
            f"{np.nanmax(one.at):g} and {np.nanmax(other.at):g}; ask for both with one `at`"
        )
