"""Stopping early: rules and their combinations, a stopper for any training loop, and other questions about the rest of a run."""

from lcx.stopping.false_stops import FalseStops
from lcx.stopping.freeze_thaw import Turn
from lcx.stopping.hyperparameters import with_earlier_studies
from lcx.stopping.leading import below_leader
from lcx.stopping.rules import (
    Rule,
    Verdict,
    after,
    all_of,
    any_of,
    calibrated_delta,
    ever_better,
    every,
    never_better,
    not_better_at_horizon,
    not_worth_it,
    reaches,
    spare_incumbent,
)
from lcx.stopping.stopper import EarlyStopper
from lcx.stopping.world import decide_on_rank_zero

__all__ = [
    "EarlyStopper",
    "FalseStops",
    "Rule",
    "Turn",
    "Verdict",
    "after",
    "all_of",
    "any_of",
    "below_leader",
    "calibrated_delta",
    "decide_on_rank_zero",
    "ever_better",
    "every",
    "never_better",
    "not_better_at_horizon",
    "not_worth_it",
    "reaches",
    "spare_incumbent",
    "with_earlier_studies",
]
