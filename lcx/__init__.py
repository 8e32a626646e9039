"""lcx: from the first part of a training curve, the posterior predictive of the rest, in one forward pass.

>>> import lcx
>>> answer = lcx.predict([0.31, 0.42, 0.48], horizon=20, mode="max", bounds=(0, 1))
>>> answer.quantile([0.05, 0.5, 0.95])
"""

from typing import TYPE_CHECKING, Any

from lcx.curves import Curves as Curves
from lcx.extrapolate import Extrapolator as Extrapolator
from lcx.extrapolate import load as load
from lcx.extrapolate import predict as predict
from lcx.extrapolation import Extrapolation as Extrapolation
from lcx.predictive import Predictive as Predictive
from lcx.priors import sample_prior as sample_prior

if TYPE_CHECKING:
    from lcx.batch import BatchScorer as BatchScorer
    from lcx.diagnostics import MCMCInfo as MCMCInfo
    from lcx.diagnostics import NotConverged as NotConverged
    from lcx.posterior import mcmc as mcmc
    from lcx.stopper import EarlyStopper as EarlyStopper
    from lcx.stopping import Verdict as Verdict

__all__ = [
    "BatchScorer",
    "Curves",
    "EarlyStopper",
    "Extrapolation",
    "Extrapolator",
    "MCMCInfo",
    "NotConverged",
    "Predictive",
    "Verdict",
    "load",
    "mcmc",
    "predict",
    "sample_prior",
]

_LAZY = {
    "BatchScorer": "lcx.batch",
    "mcmc": "lcx.posterior",
    "MCMCInfo": "lcx.diagnostics",
    "NotConverged": "lcx.diagnostics",
    "EarlyStopper": "lcx.stopper",
    "Verdict": "lcx.stopping",
}


def __getattr__(name: str) -> Any:
    """Loads what most users never need on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'lcx' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
