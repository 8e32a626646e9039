"""Methods of early stopping to replay."""

from lcx.replay.methods.by_chance import freeze_thaw, led, predicted
from lcx.replay.methods.by_study import studied, studied_freeze_thaw
from lcx.replay.methods.legs import Leg, Method, Order
from lcx.replay.methods.plain import asha, first_points, hyperband, median_rule, no_stopping, patience, successive_halving, top_after_first

__all__ = [
    "Leg",
    "Method",
    "Order",
    "asha",
    "first_points",
    "freeze_thaw",
    "hyperband",
    "led",
    "median_rule",
    "no_stopping",
    "patience",
    "predicted",
    "studied",
    "studied_freeze_thaw",
    "successive_halving",
    "top_after_first",
]
