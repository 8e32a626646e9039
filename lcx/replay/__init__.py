"""Replays the finished runs of a task: what stopping early would have saved, and which good runs it would have stopped."""

from lcx.replay.chances import Chances, forecast
from lcx.replay.comparison import Comparison, compare, mean_regret, speed_up, standard_methods, unit_of_regret
from lcx.replay.false_stops import becoming_best, delta_for, delta_in_study
from lcx.replay.methods import (
    Leg,
    Method,
    Order,
    asha,
    chosen,
    first_points,
    freeze_thaw,
    hyperband,
    led,
    median_rule,
    no_stopping,
    patience,
    predicted,
    studied,
    successive_halving,
    top_after_first,
)
from lcx.replay.outcome import Outcome, replay
from lcx.replay.task import Task, after_earlier, as_task, task_from_table

__all__ = [
    "Chances",
    "Comparison",
    "Leg",
    "Method",
    "Order",
    "Outcome",
    "Task",
    "after_earlier",
    "as_task",
    "asha",
    "becoming_best",
    "chosen",
    "compare",
    "delta_for",
    "delta_in_study",
    "first_points",
    "forecast",
    "freeze_thaw",
    "hyperband",
    "led",
    "mean_regret",
    "median_rule",
    "no_stopping",
    "patience",
    "predicted",
    "replay",
    "speed_up",
    "standard_methods",
    "studied",
    "successive_halving",
    "task_from_table",
    "top_after_first",
    "unit_of_regret",
]
