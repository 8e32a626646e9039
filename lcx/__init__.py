"""lcx: from the first part of a training curve, the posterior predictive of the rest, in one forward pass.

>>> import lcx
>>> answer = lcx.predict([0.31, 0.42, 0.48], horizon=20, mode="max", bounds=(0, 1))
>>> answer.quantile([0.05, 0.5, 0.95])
"""

from lcx.curves import Curves as Curves
from lcx.extrapolate import Extrapolator as Extrapolator
from lcx.extrapolate import load as load
from lcx.extrapolate import predict as predict
from lcx.extrapolation import Extrapolation as Extrapolation
from lcx.predictive import Predictive as Predictive
from lcx.prior import sample_prior as sample_prior

__all__ = ["Curves", "Extrapolation", "Extrapolator", "Predictive", "load", "predict", "sample_prior"]
