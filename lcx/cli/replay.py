"""``lcx replay PATH --metric loss --mode min``: what stopping early would have saved, and lost, on finished runs."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from tqdm.auto import tqdm

from lcx.cli import many_runs as cli
from lcx.cli import one_curve as curve
from lcx.files import write_atomically
from lcx.replay.chances import Chances, forecast
from lcx.replay.comparison import GRID, Comparison, mean_regret, speed_up, unit_of_regret
from lcx.replay.false_stops import delta_for
from lcx.replay.methods import Method, Order, asha, freeze_thaw, median_rule, no_stopping, patience, predicted, top_after_first
from lcx.replay.outcome import Outcome
from lcx.replay.outcome import replay as replay_once
from lcx.replay.task import Task, task_from_table

_REFERENCE, _PAUSING = "no stopping", "lcx freeze-thaw"
_SHOWN = 5  # false stops told per method


def replay(
    path: cli.Logs,
    metric: cli.Metric,
    mode: curve.Mode,
    horizon: Annotated[float | None, typer.Option(help="Last step of a full run; default: the log's, else the longest run's.")] = None,
    lower: curve.Lower = None,
    upper: curve.Upper = None,
    delta: Annotated[list[float] | None, typer.Option(help="Limit of the lcx rule, 0.05 by default; give it again for another.")] = None,
    rate: Annotated[
        float | None, typer.Option("--false-stops", help="Also the limit that stops at most this share of the runs that become best.")
    ] = None,
    wait: Annotated[
        list[int] | None, typer.Option("--patience", help="Points of patience, 5 by default; give it again for another.")
    ] = None,
    min_points: cli.MinPoints = 2,
    confirm: Annotated[int, typer.Option(help="Verdicts of the lcx rule to stop needed in a row.")] = 1,
    orders: Annotated[int, typer.Option(help="Shuffled orders of the runs beside the recorded one.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the shuffling.")] = 0,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Use runs that end before the horizon, as far as they go.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write regret against compute here (PNG, PDF, SVG).")] = None,
    as_json: curve.AsJson = False,
    format: cli.Format = None,
    model: cli.Model = "default",
) -> None:
    """Replays finished runs, one after the other, under several stopping rules: compute saved, good runs lost.

    The recorded order is that of the first time stamps; without any, that of the names. Seconds since a run's start are none.
    """
    deltas, waits = delta or [0.05], wait or [5]
    if not all(math.isfinite(x) and x < 1 for x in deltas) or min(*waits, min_points, confirm, orders + 1) < 1:
        came = f"delta {deltas}, patience {waits}, min-points {min_points}, confirm {confirm}, orders {orders}"
        raise ValueError(f"expected delta < 1, patience, min-points and confirm >= 1, orders >= 0, got {came}; correct them")
    if rate is not None and not 0 < rate < 1:
        raise ValueError(f"expected false-stops inside (0, 1), got {rate}; write 0.05 for 5 %")
    table, notes = cli.read_runs(path, format)
    task, more = _finished(table, metric, mode=mode, horizon=horizon, bounds=(lower, upper), unfinished=unfinished)
    bars = sys.stderr.isatty()
    chances = forecast(task, model, progress=bars)
    limit, bound = (None, None) if rate is None else delta_for(task, chances, rate, min_points=min_points, confirm=confirm)
    found = [] if limit is None or limit < 0 else [float(f"{limit:.4g}")]
    deltas = [*deltas, *(x for x in found if x not in deltas)]
    methods = _methods(len(task), waits, {f"lcx {x:g}": predicted(x, min_points=min_points, confirm=confirm) for x in deltas})
    rng = np.random.default_rng(seed)
    recorded = _compare(task, methods, [range(len(task))], chances)
    shuffled = (
        _compare(task, methods, [rng.permutation(len(task)).tolist() for _ in range(orders)], chances, progress=bars) if orders else {}
    )
    if plot is not None:
        _draw(shuffled or recorded, plot)
    for note in notes + more:
        print(f"warning: {note}", file=sys.stderr)
    if as_json:
        about = {"metric": metric, **_about(task), "min_points": min_points, "confirm": confirm, "orders": orders, "seed": seed}
        about |= {} if rate is None else {"false_stops": {"asked": rate, "delta": limit, "bound": bound}}
        each = {name: {"recorded": _recorded(task, one), "shuffled": _shuffled(task, shuffled.get(name))} for name, one in recorded.items()}
        print(cli.as_json({**about, "warnings": notes + more, "methods": each}))
    else:
        told = [] if rate is None else [_limit(rate, limit, bound)]
        print("\n".join([*_text(task, metric, recorded, shuffled), *told, *([f"regret against compute: {plot}"] if plot else [])]))


def _limit(rate: float, delta: float | None, bound: float | None) -> str:
    if delta is None or delta < 0:
        return f"too few of these runs became the best to promise false stops of {rate:.3g}; give more runs, or a higher rate"
    return f"delta {delta:.4g} stops at most {bound:.3g} of the runs that would become best, of runs like these ({rate:.3g} asked for)"


def _methods(runs: int, waits: list[int], own: dict[str, Method]) -> dict[str, Method]:
    k = max(1, round(runs / 10))
    others: dict[str, Method] = {_REFERENCE: no_stopping(), **{f"patience {k}": patience(k) for k in waits}}
    return others | {"median rule": median_rule(), "ASHA": asha(), f"top {k} after 1": top_after_first(k)} | own | {_PAUSING: freeze_thaw()}


def _finished(table: Any, metric: str, *, horizon: float | None, unfinished: bool, **question: Any) -> tuple[Task, list[str]]:
    """The finished runs, and what is to be said of the others.

    A run has finished if its next value, a step as long as the last one later, would lie beyond the horizon.
    """
    rows = table[table["metric"] == metric]
    runs = {run: steps.to_numpy(float) for run, steps in rows.groupby("run", sort=False)["step"]}
    logged, longest = table.attrs.get("horizon", {}), max((steps[-1] for steps in runs.values()), default=0.0)
    ends = {run: logged.get(run, longest) if horizon is None else horizon for run in runs}
    short = [run for run, s in runs.items() if s[-1] < ends[run] and (len(s) < 2 or 2 * s[-1] - s[-2] <= ends[run])]
    notes, without = [], table["run"].nunique() - len(runs)
    if without and runs:
        notes.append(f"{without} run(s) without {metric} left out")
    if short:
        named = ", ".join(f"{run} (step {runs[run][-1]:g} of {ends[run]:g})" for run in short[:5]) + (", ..." if len(short) > 5 else "")
        notes.append(
            f"{len(short)} run(s) end before the horizon and are {'used as far as they go' if unfinished else 'left out'}: {named}"
        )
    kept = len(runs) - (0 if unfinished else len(short))
    if runs and kept < 3:
        came, more = (f" ({notes[-1]})", ", correct the horizon, or use --unfinished") if kept < len(runs) else ("", "")
        raise ValueError(f"expected 3 or more finished runs of {metric}, got {kept}{came}; give the folder of more runs{more}")
    return task_from_table(table if unfinished else table[~table["run"].isin(short)], metric, horizon=horizon, **question), notes


def _compare(
    task: Task, methods: dict[str, Method], orders: Sequence[Order], chances: Chances, *, progress: bool = False
) -> dict[str, Comparison]:
    """As ``lcx.replay.compare``, but each method ends when it has no run left to train, instead of spending a budget."""
    costs, listed = task.cost.sum() * np.arange(1, GRID + 1) / GRID, tqdm(methods.items(), "replay", disable=not progress)
    done = {name: [replay_once(task, method, order=order, chances=chances) for order in orders] for name, method in listed}
    slow, compared = mean_regret(task, done[_REFERENCE], costs), {}
    for name, outcomes in done.items():
        regret = mean_regret(task, outcomes, costs)
        saved = 1 - float(np.mean([one.total for one in outcomes])) / task.cost.sum()
        compared[name] = Comparison(outcomes, costs, regret, unit_of_regret(task), speed_up(slow, regret), saved)
    return compared


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
    """Means over the shuffled orders, the regret over compute, and the runs falsely stopped."""
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
    from lcx.plots import regret_chart

    first = compared[_REFERENCE]
    axes = regret_chart(first.costs, {name: one.regret for name, one in compared.items()})
    count = len(first.outcomes)
    axes.set_ylabel(f"regret, mean of {count} orders" if count > 1 else "regret, recorded order")
    figure: Any = axes.figure
    write_atomically(plot, lambda path: figure.savefig(path, dpi=150))


def _text(task: Task, metric: str, recorded: dict[str, Comparison], shuffled: dict[str, Comparison]) -> list[str]:
    about = _about(task)
    head = f"{metric} ({task.mode}): {len(task)} runs, {about['steps']:g} steps in all; best {task.best:.4g}, of {about['best_run']}"
    rows = [["recorded order", "stopped", "false stops", "saved", "best found", "steps to the best"]]
    for name, one in recorded.items():
        row = _recorded(task, one)
        reached = f"{row['steps_to_best']:g}" if math.isfinite(row["steps_to_best"]) else "never"
        counts = [f"{row['stopped']}", f"{row['false_stops']}", f"{row['saved']:.0%}"]
        rows.append([name, *counts, cli.as_text(row["best"]), reached])
    lines = [head, cli.as_columns(rows, {0}), *_why("", {name: one.outcomes[0].explained(task) for name, one in recorded.items()})]
    if not shuffled:
        return lines
    count = len(shuffled[_REFERENCE].outcomes)
    rows = [[f"{count} shuffled orders", "stopped", "false stops", "saved", "best found", "speed-up", "regret at 1/4", "1/2", "end"]]
    answers = {name: _shuffled(task, one) or {} for name, one in shuffled.items()}
    for name, row in answers.items():
        counts = [f"{row['stopped']:.1f}", f"{row['false_stops']:.2f}", f"{row['saved']:.0%}", f"{row['found_best']:.0%}"]
        rows.append([name, *counts, f"{row['speed_up']:.2f}", *(f"{row['regret_' + at]:.3f}" for at in ("quarter", "half", "end"))])
    why = _why(f" of {count}", {name: row["why"] for name, row in answers.items()})
    return [
        *lines,
        "",
        cli.as_columns(rows, {0}),
        *why,
        f"regret 1 is {about['regret_unit']:.4g}: the median run's best value behind the best",
    ]


def _why(of: str, told: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The lcx rule's false stops, a line each; runs that are paused for good are no verdicts of it."""
    lines = []
    for name, rows in told.items():
        if name.startswith("lcx") and name != _PAUSING:
            times = [f" in {row['orders']}{of} orders, first:" if of else ":" for row in rows]
            lines += [f"false stop, {name}{when} {row['reason']}" for when, row in zip(times, rows[:_SHOWN], strict=False)]
            lines += [f"and of {len(rows) - _SHOWN} more runs"] if len(rows) > _SHOWN else []
    return lines
