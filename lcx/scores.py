"""Scores of a predictive, given what was observed, one value per point: log score, CRPS, PIT, coverage."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lcx.predictive import Predictive


def log_score(predictive: Predictive, y: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Log density at the observation, nats per unit of y; higher is better (Good 1952)."""
    return predictive.log_prob(y)


def crps(predictive: Predictive, y: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Continuous ranked probability score, units of y; lower is better (Gneiting & Raftery 2007, JASA 102)."""
    return predictive.crps(y)


def pit(predictive: Predictive, y: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Probability integral transform, the cdf at the observation: uniform on (0, 1) if calibrated (Dawid 1984)."""
    return predictive.cdf(y)


def covered(pit_values: Float[Tensor, "*batch"], level: float) -> Bool[Tensor, "*batch"]:
    """Whether the central interval of probability ``level`` contains the observation with this PIT; the mean is the coverage."""
    return (pit_values - 0.5).abs() <= level / 2


def pit_band(n: int, bins: int, confidence: float = 0.99) -> tuple[float, float]:
    """Simultaneous band for the histogram of ``n`` independent uniform PIT values.

    Args:
        n: number of values.
        bins: number of equal bins.
        confidence: probability that all bins lie inside the band if the predictive is calibrated.

    Returns:
        Lowest and highest relative frequency times ``bins`` (1 is uniform): Bonferroni over the two sides of each bin, with the normal
        approximation of the binomial.

    Source: ours; Bonferroni costs little here since bins are nearly independent.
    """
    share = 1 / bins
    z = torch.special.ndtri(torch.tensor(1 - (1 - confidence) / (2 * bins), dtype=torch.float64)).item()
    half = z * (share * (1 - share) / n) ** 0.5 * bins
    return 1 - half, 1 + half


def paired_log_score(score: Float[Tensor, "n"], own: Float[Tensor, "n"], expected: float) -> tuple[float, float]:
    """Mean log score of ``n`` curves and its standard error; the score of each curve under its own truth is the control variate.

    The difference between the two varies far less from curve to curve than the score, which mostly depends on the sigma of the curve.

    Args:
        score: log score of each curve, nats per point.
        own: log score of the same points under the mean and sigma that made them.
        expected: the exact expectation of ``own`` under the prior.

    Source: control variates, e.g. Owen, "Monte Carlo theory, methods and examples" (2013), Section 8.9, coefficient fixed at 1.
    """
    gap = score - own
    return gap.mean().item() + expected, gap.std().item() / len(gap) ** 0.5
