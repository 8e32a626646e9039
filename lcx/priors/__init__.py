"""Priors over learning curves: parametric curves, curves as they are logged, and the priors by name."""

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
