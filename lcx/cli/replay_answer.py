"""The answer of a replay, as a table, JSON or picture."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lcx.cli.many_runs import as_columns, as_text, json_line, rounded_down
from lcx.cli.replay_methods import PAUSING, REFERENCE
from lcx.files import write_atomically
from lcx.replay import Comparison, Outcome, Task, unit_of_regret
from lcx.stopping.hyperparameters import EXPECTED

_SHOWN = 5  # false stops told per method
Found = tuple[float, float, float]


def print_answer(
    task: Task,
    asked: dict[str, Any],
    recorded: dict[str, Comparison],
    shuffled: dict[str, Comparison],
    found: Found | None,
    *,
    told: list[str],
    warnings: list[str],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Draws the picture, then prints the warnings and the answer.

    Args:
        task: the finished runs.
        asked: metric and options, for JSON.
        recorded: each method's comparison in the recorded order.
        shuffled: that over shuffled orders, if there are any.
        found: rate of false stops asked for, and what ``lcx.replay.delta_for`` gave for it.
        told: what was inferred, a line each.
        warnings: sentences.
        plot: where the picture goes, if one is asked for.
        as_json: print JSON instead of a table.
    """
    if plot is not None:
        _draw(shuffled or recorded, plot)
    for sentence in [*told, *(f"warning: {sentence}" for sentence in warnings)]:
        print(sentence, file=sys.stderr)
    if as_json:
        about = {"metric": asked["metric"], **_about(task), **asked}
        about["hyperparameters"] = named_in(task)
        about |= {} if found is None else {"false_stops": dict(zip(("asked", "delta", "bound"), found, strict=True))}
        each = {name: {"recorded": _recorded(task, one), "shuffled": _shuffled(task, shuffled.get(name))} for name, one in recorded.items()}
        print(json_line({**about, "warnings": warnings, "methods": each}))
    else:
        lines = _text(task, asked["metric"], recorded, shuffled, found)
        print("\n".join([*lines, *([f"regret against compute: {plot}"] if plot else [])]))


def named_in(task: Task) -> list[str]:
    """The names of the hyperparameters that tell the runs apart."""
    return list(dict.fromkeys(name for row in task.hyperparameters or () for name in row if name != EXPECTED))


def _about(task: Task) -> dict[str, Any]:
    best = int(task.peaks[:, -1].argmax())
    about = {"mode": task.mode, "horizon": float(task.horizon.max()), "runs": list(task.names), "steps": float(task.cost.sum())}
    return about | {"best": task.best, "best_run": task.names[best], "regret_unit": unit_of_regret(task)}


def _recorded(task: Task, compared: Comparison) -> dict[str, Any]:
    """What a method did in the recorded order, run by run."""
    (one,) = compared.outcomes
    runs = [
        {
            "run": task.names[i],
            "steps": float(one.spent[i]),
            "stopped": bool(one.stopped[i]),
            "false_stop": bool(one.false_stop[i]),
            "probability": float(one.chance[i]),
            "to_beat": float(one.to_beat[i]),
        }
        for i in range(len(task))
    ]
    counts = {"stopped": int(one.stopped.sum()), "false_stops": int(one.false_stop.sum()), "saved": compared.saved}
    found = {"best": float(one.best[-1]) if len(one.best) else math.nan, "steps_to_best": one.cost_of(task.best, task.mode)}
    return {**counts, **found, "runs": runs, "why": one.explained(task)}


def _shuffled(task: Task, compared: Comparison | None) -> dict[str, Any] | None:
    """Means over the shuffled orders, the regret against compute, and the runs falsely stopped."""
    if compared is None:
        return None
    found = float(np.mean([math.isfinite(one.cost_of(task.best, task.mode)) for one in compared.outcomes]))
    thin = slice(9, None, 10)
    curves = {"costs": compared.costs[thin].tolist(), "regret": compared.regret[thin].round(6).tolist()}
    return {**compared.row(), "found_best": found, **curves, "why": _often(task, compared.outcomes)}


def _often(task: Task, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """For each run that was ever falsely stopped: in how many orders, and the first of these stops."""
    seen: dict[str, dict[str, Any]] = {}
    for one in outcomes:
        for row in one.explained(task):
            seen.setdefault(row["run"], {"orders": 0, **row})["orders"] += 1
    return sorted(seen.values(), key=lambda row: -row["orders"])


def _draw(compared: dict[str, Comparison], plot: Path) -> None:
    """Writes regret against compute to a picture."""
    from lcx.plots import regret_chart

    first = compared[REFERENCE]
    axes = regret_chart(first.costs, {name: one.regret for name, one in compared.items()})
    count = len(first.outcomes)
    axes.set_ylabel(f"regret, mean of {count} orders" if count > 1 else "regret, recorded order")
    figure: Any = axes.figure
    write_atomically(plot, lambda path: figure.savefig(path, dpi=150))


def _text(task: Task, metric: str, recorded: dict[str, Comparison], shuffled: dict[str, Comparison], found: Found | None) -> list[str]:
    """The lines of the table, and the sentences below it."""
    said = [] if found is None else [_limit(*found)]
    about = _about(task)
    head = f"{metric} ({task.mode}): {len(task)} runs, {about['steps']:g} steps in all; best {task.best:.4g}, of {about['best_run']}"
    rows = [["recorded order", "stopped", "false stops", "saved", "best found", "steps to the best"]]
    for name, one in recorded.items():
        row = _recorded(task, one)
        reached = f"{row['steps_to_best']:g}" if math.isfinite(row["steps_to_best"]) else "never"
        counts = [f"{row['stopped']}", f"{row['false_stops']}", f"{row['saved']:.0%}"]
        rows.append([name, *counts, as_text(row["best"]), reached])
    lines = [head, as_columns(rows, {0}), *_why("", {name: one.outcomes[0].explained(task) for name, one in recorded.items()})]
    if not shuffled:
        return [*lines, *said]
    count = len(shuffled[REFERENCE].outcomes)
    rows = [[f"{count} shuffled orders", "stopped", "false stops", "saved", "best found", "speed-up", "regret at 1/4", "1/2", "end"]]
    answers = {name: _shuffled(task, one) or {} for name, one in shuffled.items()}
    for name, row in answers.items():
        counts = [f"{row['stopped']:.1f}", f"{row['false_stops']:.2f}", f"{row['saved']:.0%}", f"{row['found_best']:.0%}"]
        rows.append([name, *counts, f"{row['speed_up']:.2f}", *(f"{row['regret_' + at]:.3f}" for at in ("quarter", "half", "end"))])
    why = _why(f" of {count}", {name: row["why"] for name, row in answers.items()})
    return [
        *lines,
        "",
        as_columns(rows, {0}),
        *why,
        f"a regret of 1 is {about['regret_unit']:.4g}: how far the best value of the median run is behind the best of all",
        *said,
    ]


def _limit(rate: float, delta: float | None, bound: float | None) -> str:
    if delta is None or delta <= 0:
        return f"too few of these runs became the best to promise false stops of {rate:.3g}; give more runs, or a higher rate"
    said = f"delta {rounded_down(delta):g} stops at most {bound:.3g} of the runs that would become the best"
    return f"{said}, if new runs are like these (asked for: {rate:.3g})"


def _why(of: str, told: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The false stops of the lcx rule, a line each. Runs that freeze-thaw never resumes are left out: no verdict stopped them."""
    lines = []
    for name, rows in told.items():
        if name.startswith("lcx") and not name.startswith(PAUSING):
            times = [f" in {row['orders']}{of} orders, first:" if of else ":" for row in rows]
            lines += [f"false stop, {name}{when} {row['reason']}" for when, row in zip(times, rows[:_SHOWN], strict=False)]
            lines += [f"and of {len(rows) - _SHOWN} more runs"] if len(rows) > _SHOWN else []
    return lines
