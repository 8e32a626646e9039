"""The reference: posteriors by sampling, with diagnostics that refuse an answer which has not converged."""

from lcx.reference.diagnostics import MCMCInfo, NotConverged
from lcx.reference.posterior import SAMPLERS, mcmc

__all__ = [
    "SAMPLERS",
    "MCMCInfo",
    "NotConverged",
    "mcmc",
]
