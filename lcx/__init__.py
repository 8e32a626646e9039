"""lcx: from the first part of a training curve, the posterior predictive of the rest, in one forward pass.

>>> import lcx
>>> answer = lcx.predict([0.31, 0.42, 0.48], horizon=20, mode="max", bounds=(0, 1))
>>> answer.quantile([0.05, 0.5, 0.95])
"""

from typing import TYPE_CHECKING, Any

from lcx.curves import Curves as Curves
from lcx.extrapolation import Extrapolation as Extrapolation
from lcx.extrapolator import Extrapolator as Extrapolator
from lcx.extrapolator import load as load
from lcx.extrapolator import predict as predict
from lcx.predictive import Predictive as Predictive
from lcx.priors import sample_prior as sample_prior

if TYPE_CHECKING:
    from lcx.reference import MCMCInfo as MCMCInfo
    from lcx.reference import NotConverged as NotConverged
    from lcx.reference import mcmc as mcmc
    from lcx.scoring import BatchScorer as BatchScorer
    from lcx.stopping import EarlyStopper as EarlyStopper
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
    "BatchScorer": "lcx.scoring",
    "mcmc": "lcx.reference",
    "MCMCInfo": "lcx.reference",
    "NotConverged": "lcx.reference",
    "EarlyStopper": "lcx.stopping",
    "Verdict": "lcx.stopping",
}


def __getattr__(name: str) -> Any:
    """Loads what most users never need on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'lcx' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
