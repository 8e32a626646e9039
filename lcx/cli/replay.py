"""``lcx replay PATH --metric loss --mode min``: what stopping early would have saved, and lost, on finished runs."""

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options
from lcx.cli.many_runs import json_line, read_runs


def replay(
    path: options.Logs,
    metric: options.Metric,
    mode: options.Mode,
    horizon: Annotated[float | None, typer.Option(help="Last step of a full run; default: the log's, else the longest run's.")] = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    delta: Annotated[list[float] | None, typer.Option(help="Limit of the lcx rule, 0.05 by default; give it again for another.")] = None,
    rate: Annotated[
        float | None, typer.Option("--false-stops", help="Also the limit that stops at most this share of the runs that become best.")
    ] = None,
    wait: Annotated[
        list[int] | None, typer.Option("--patience", help="Points of patience, 5 by default; give it again for another.")
    ] = None,
    min_points: options.MinPoints = 2,
    confirm: Annotated[int, typer.Option(help="Verdicts of the lcx rule to stop needed in a row.")] = 1,
    orders: Annotated[int, typer.Option(help="Shuffled orders of the runs beside the recorded one.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the shuffling.")] = 0,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Use runs that end before the horizon, as far as they go.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write regret against compute here (PNG, PDF, SVG).")] = None,
    as_json: options.AsJson = False,
    format: options.Format = None,
    model: options.Model = "default",
) -> None:
    """Replays finished runs, one after the other, under several stopping rules: compute saved, good runs lost.

    The recorded order is that of the first time stamps; without any, that of the names. Seconds since a run's start are none.
    """
    deltas, waits = delta or [0.05], wait or [5]
    _check(deltas, waits, rate, {"min-points": min_points, "confirm": confirm}, orders)
    from lcx.cli.finished_runs import finished_runs
    from lcx.cli.replay_answer import as_facts, as_table, draw
    from lcx.cli.replay_methods import compare
    from lcx.replay import delta_for, forecast

    table, notes = read_runs(path, format)
    task, more = finished_runs(table, metric, mode=mode, horizon=horizon, bounds=(lower, upper), unfinished=unfinished)
    bars, how = sys.stderr.isatty(), {"min_points": min_points, "confirm": confirm}
    chances = forecast(task, model, progress=bars)
    found = None if rate is None else (rate, *delta_for(task, chances, rate, **how))
    recorded, shuffled = compare(task, chances, _limits(deltas, found), waits, orders=orders, seed=seed, progress=bars, **how)
    if plot is not None:
        draw(shuffled or recorded, plot)
    for note in notes + more:
        print(f"warning: {note}", file=sys.stderr)
    if as_json:
        asked = {"metric": metric, **how, "orders": orders, "seed": seed}
        print(json_line(as_facts(task, asked, recorded, shuffled, found, notes + more)))
    else:
        print("\n".join([*as_table(task, metric, recorded, shuffled, found), *([f"regret against compute: {plot}"] if plot else [])]))


def _check(deltas: list[float], waits: list[int], rate: float | None, counts: dict[str, int], orders: int) -> None:
    if not all(math.isfinite(x) and x < 1 for x in deltas) or min(*waits, *counts.values(), orders + 1) < 1:
        came = f"delta {deltas}, patience {waits}, {', '.join(f'{name} {n}' for name, n in counts.items())}, orders {orders}"
        raise ValueError(f"expected delta < 1, patience, min-points and confirm >= 1, orders >= 0, got {came}; correct them")
    if rate is not None and not 0 < rate < 1:
        raise ValueError(f"expected false-stops inside (0, 1), got {rate}; write 0.05 for 5 %")


def _limits(deltas: list[float], found: tuple[float, float, float] | None) -> list[float]:
    """The limits of the lcx rule: those asked for, and the one found for a rate of false stops, if there is one."""
    own = [] if found is None or found[1] < 0 else [float(f"{found[1]:.4g}")]
    return [*deltas, *(x for x in own if x not in deltas)]
