"""Priors over learning curves: laws of parametric curves, of curves as they are logged, and those known by name."""

from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS, sample_prior
from lcx.priors.parametric import PARAMETRIC, LogNormal, Prior, Term, Uniform

__all__ = [
    "PARAMETRIC",
    "PRIORS",
    "GeneralPrior",
    "LogNormal",
    "Prior",
    "Term",
    "Uniform",
    "sample_prior",
]
