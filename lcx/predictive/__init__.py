"""The law of an answer: a mixture of normals, warped or inside bounds, and every question to it."""

from lcx.predictive.law import Predictive
from lcx.predictive.outside import mass_outside
from lcx.predictive.warp import AsinhWarp

__all__ = [
    "AsinhWarp",
    "Predictive",
    "mass_outside",
]
