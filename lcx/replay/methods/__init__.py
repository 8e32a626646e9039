"""Methods of early stopping to replay."""

from lcx.replay.methods.by_chance import led, predicted
from lcx.replay.methods.by_study import studied
from lcx.replay.methods.choosing import chosen
from lcx.replay.methods.legs import Leg, Method, Order
from lcx.replay.methods.pausing import freeze_thaw
from lcx.replay.methods.plain import asha, first_points, hyperband, median_rule, no_stopping, patience, successive_halving, top_after_first

__all__ = [
    "Leg",
    "Method",
    "Order",
    "asha",
    "chosen",
    "first_points",
    "freeze_thaw",
    "hyperband",
    "led",
    "median_rule",
    "no_stopping",
    "patience",
    "predicted",
    "studied",
    "successive_halving",
    "top_after_first",
]
