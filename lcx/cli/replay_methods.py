"""The methods that ``lcx replay`` compares, in the recorded order of the runs and in shuffled ones."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from tqdm.auto import tqdm

from lcx.replay import (
    Chances,
    Comparison,
    Method,
    Order,
    Task,
    asha,
    chosen,
    freeze_thaw,
    mean_regret,
    median_rule,
    no_stopping,
    patience,
    predicted,
    speed_up,
    studied,
    top_after_first,
    unit_of_regret,
)
from lcx.replay import replay as replay_once
from lcx.replay.comparison import GRID

REFERENCE, PAUSING, CHOSEN = "no stopping", "lcx freeze-thaw", ", runs chosen"


def compare(
    task: Task,
    model: str,
    chances: Chances | None,
    deltas: list[float],
    waits: list[int],
    *,
    min_points: int,
    confirm: int,
    orders: int,
    seed: int,
    progress: bool,
) -> tuple[dict[str, Comparison], dict[str, Comparison]]:
    """Each method's comparison by name: in the recorded order, and over ``orders`` shuffled ones (none: empty).

    If the task has hyperparameters, they choose the runs of more methods, which begin as the order says.

    Args:
        task: the finished runs.
        model: name or folder of the model.
        chances: its predictions of each run alone; None: its forecasts read the runs seen by then.
        deltas: limits of the lcx rule.
        waits: points of patience.
        min_points: of a run before the first verdict of the lcx rule.
        confirm: verdicts of that rule needed in a row.
        orders: shuffled orders.
        seed: of the shuffling.
        progress: show a bar.
    """
    if chances is None:
        own: dict[str, Method] = {f"lcx {x:g}": studied(x, model, min_points, confirm) for x in deltas}
    else:
        own = {f"lcx {x:g}": predicted(x, min_points=min_points, confirm=confirm) for x in deltas}
    own[PAUSING] = freeze_thaw(model=model, others=chances is None)
    if task.hyperparameters is not None and not lacking(task):
        choosing: dict[str, Method] = {name + CHOSEN: chosen(method, model) for name, method in own.items() if name != PAUSING}
        pausing = freeze_thaw(model=model, others=chances is None, choose=True)
        own |= {REFERENCE + CHOSEN: chosen(no_stopping())} | choosing | {PAUSING + CHOSEN: pausing}
    methods, rng = _methods(len(task), waits) | own, np.random.default_rng(seed)
    recorded = _compare(task, methods, [range(len(task))], chances)
    shuffles = [rng.permutation(len(task)).tolist() for _ in range(orders)]
    return recorded, _compare(task, methods, shuffles, chances, progress=progress) if orders else {}


def lacking(task: Task) -> list[str]:
    """What to install, if the task has hyperparameters and nothing is installed that learns from them."""
    said = "no runs are chosen by their hyperparameters, which needs scikit-learn: pip install 'lcx[hpo]'"
    return [said] if task.hyperparameters is not None and find_spec("sklearn") is None else []


def _methods(runs: int, waits: list[int]) -> dict[str, Method]:
    k = max(1, round(runs / 10))
    others: dict[str, Method] = {REFERENCE: no_stopping(), **{f"patience {k}": patience(k) for k in waits}}
    return others | {"median rule": median_rule(), "ASHA": asha(), f"top {k} after 1": top_after_first(k)}


def _compare(
    task: Task, methods: dict[str, Method], orders: Sequence[Order], chances: Chances | None, *, progress: bool = False
) -> dict[str, Comparison]:
    """As ``lcx.replay.compare``, but each method ends when it has no run left to train, instead of spending a budget."""
    costs, listed = task.cost.sum() * np.arange(1, GRID + 1) / GRID, tqdm(methods.items(), "replay", disable=not progress)
    done = {name: [replay_once(task, method, order=order, chances=chances) for order in orders] for name, method in listed}
    slow, compared = mean_regret(task, done[REFERENCE], costs), {}
    for name, outcomes in done.items():
        regret = mean_regret(task, outcomes, costs)
        saved = 1 - float(np.mean([one.total for one in outcomes])) / task.cost.sum()
        compared[name] = Comparison(outcomes, costs, regret, unit_of_regret(task), speed_up(slow, regret), saved)
    return compared
