"""The reference: posteriors by sampling a prior's own density, with diagnostics that refuse what has not converged."""

from lcx.reference.diagnostics import MCMCInfo, NotConverged
from lcx.reference.posterior import SAMPLERS, mcmc

__all__ = [
    "SAMPLERS",
    "MCMCInfo",
    "NotConverged",
    "mcmc",
]
