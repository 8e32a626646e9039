"""The eleven parametric families of learning curves of Domhan et al. (2015), each as one function of the step.

Every family maps a step ``t`` > 0 (model's unit, 1..100 in the LC-PFN prior) and its parameters to the noise-free metric. Arguments
broadcast: parameters of shape (..., 1) and steps of shape (..., length) give curves of shape (..., length). A prior is a list of
these with a law for each argument (lcx/priors/parametric.py).

Source of all: Domhan, Springenberg, Hutter, "Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves", IJCAI 2015, Table 1, where most are quoted from the growth-curve literature. Names are those
of the table; powers are written as exp(exponent * log t), capped, so that values and gradients stay finite where t**exponent overflows.
"""

import torch
from torch import Tensor


def _exp(x: Tensor) -> Tensor:
    # e^80 saturates every family and is finite in float32: an infinity would turn gradients into NaN (0 * inf).
    return torch.exp(x.clamp(max=80))


def _power(t: Tensor, exponent: Tensor) -> Tensor:
    return _exp(exponent * torch.log(t))


def pow3(t: Tensor, c: Tensor, a: Tensor, alpha: Tensor) -> Tensor:
    """c - a t^-alpha: power law to the asymptote c (Domhan et al. 2015, Table 1)."""
    return c - a * _power(t, -alpha)


def pow4(t: Tensor, c: Tensor, a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    """c - (a t + b)^-alpha: power law with shifted, scaled step; a t + b must be positive (Domhan et al. 2015, Table 1)."""
    return c - _power(a * t + b, -alpha)


def exp4(t: Tensor, c: Tensor, a: Tensor, b: Tensor, alpha: Tensor) -> Tensor:
    """c - exp(-a t^alpha + b): stretched exponential to the asymptote c (Domhan et al. 2015, Table 1)."""
    return c - _exp(b - a * _power(t, alpha))


def log_log_linear(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """log(a log t + b); a log t + b must be positive (Domhan et al. 2015, Table 1)."""
    return torch.log(a * torch.log(t) + b)


def log_power(t: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a / (1 + (t / e^b)^c): logistic in log t with ceiling a; rises for c < 0 (Domhan et al. 2015, Table 1)."""
    return a / (1 + _exp(c * (torch.log(t) - b)))


def vapor_pressure(t: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """exp(a + b / t + c log t): the vapour-pressure model (Domhan et al. 2015, Table 1)."""
    return _exp(a + b / t + c * torch.log(t))


def weibull(t: Tensor, a: Tensor, beta: Tensor, kappa: Tensor, delta: Tensor) -> Tensor:
    """a - (a - beta) exp(-(kappa t)^delta): from beta to the asymptote a (Domhan et al. 2015, Table 1)."""
    return a - (a - beta) * torch.exp(-_power(kappa * t, delta))


def mmf(t: Tensor, a: Tensor, beta: Tensor, kappa: Tensor, delta: Tensor) -> Tensor:
    """a - (a - beta) / (1 + (kappa t)^delta): Morgan-Mercer-Flodin, from beta to a (Domhan et al. 2015, Table 1)."""
    return a - (a - beta) / (1 + _power(kappa * t, delta))


def janoschek(t: Tensor, a: Tensor, beta: Tensor, kappa: Tensor, delta: Tensor) -> Tensor:
    """a - (a - beta) exp(-kappa t^delta): Weibull with the rate outside the power (Domhan et al. 2015, Table 1)."""
    return a - (a - beta) * torch.exp(-kappa * _power(t, delta))


def ilog2(t: Tensor, c: Tensor, a: Tensor) -> Tensor:
    """c - a / log(t + 1): logarithmic approach to c (Domhan et al. 2015, Table 1; t + 1 as in LC-PFN, where t starts at 1)."""
    return c - a / torch.log(t + 1)


def hill3(t: Tensor, ymax: Tensor, eta: Tensor, kappa: Tensor) -> Tensor:
    """ymax t^eta / (kappa^eta + t^eta): Hill's saturation curve, half of ymax at t = kappa (Domhan et al. 2015, Table 1)."""
    return ymax / (1 + _exp(eta * (torch.log(kappa) - torch.log(t))))
