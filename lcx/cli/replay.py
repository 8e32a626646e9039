"""``lcx replay PATH --metric loss``: what stopping rules would have done on finished runs."""

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options
from lcx.cli.many_runs import read_runs, rounded_down


def replay(
    path: options.Logs,
    metric: options.Metric = None,
    mode: options.Mode = None,
    horizon: Annotated[float | None, typer.Option(help="Last step of a full run. Default: as logged, or that of the longest run.")] = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    delta: Annotated[list[float] | None, typer.Option(help="Replay the lcx rule with this limit; may be repeated. Default: 0.05.")] = None,
    rate: Annotated[
        float | None,
        typer.Option("--false-stops", help="Find and replay the limit that stops at most this share of the runs that become the best."),
    ] = None,
    wait: Annotated[
        list[int] | None,
        typer.Option("--patience", help="Replay stopping after this many values without improvement; may be repeated. Default: 5."),
    ] = None,
    min_points: options.MinPoints = 2,
    confirm: Annotated[int, typer.Option(help="Stop by the lcx rule after this many verdicts to stop in a row.")] = 1,
    orders: Annotated[int, typer.Option(help="Number of shuffled orders to replay, beside the recorded order.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of the shuffled orders.")] = 0,
    earlier: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Log of an earlier study with the same hyperparameters; may be repeated."),
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Use also runs that end before the horizon.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw regret against compute to this file (PNG, PDF, SVG).")] = None,
    alone: options.Alone = False,
    as_json: options.AsJson = False,
    format: options.Format = None,
    model: options.Model = "default",
) -> None:
    """Replay finished runs under several stopping rules.

    Print what each rule saves, and which good runs it stops. A replay goes through the runs one after the other, each up to the step at
    which the rule stops it: first in the order in which they were recorded (by their first time stamps, or by name if there are none),
    then in shuffled orders. Forecasts read the other runs as far as they had been trained by then. If the log has hyperparameters that
    differ between runs, the methods "runs chosen" begin the runs that these promise most of, instead of those next in the order; the
    logs of earlier studies tell them where to begin.

    \b
      lcx replay runs/ --metric val_loss
    """
    deltas, waits = delta or [0.05], wait or [5]
    _check(deltas, waits, rate, {"min-points": min_points, "confirm": confirm}, orders)
    from lcx.cli.finished_runs import finished_runs, knowing
    from lcx.cli.inference import listed, told
    from lcx.cli.one_curve import Asked
    from lcx.cli.replay_answer import named_in, print_answer
    from lcx.cli.replay_methods import compare, lacking
    from lcx.extrapolator import load
    from lcx.replay import delta_for, delta_in_study, forecast

    table, notes = read_runs(path, format)
    question = Asked(path, "replay", metric=metric, mode=mode, horizon=horizon, lower=lower, upper=upper).about(table, longest=True)
    about = {"mode": question.mode, "horizon": horizon, "bounds": question.bounds}
    task, more = finished_runs(table, question.metric, **about, unfinished=unfinished)
    task, studies, theirs = knowing(task, earlier or [], question.metric, format)
    bars, how = sys.stderr.isatty(), {"min_points": min_points, "confirm": confirm}
    chances = None if not alone and load(model, "cpu").reads_others else forecast(task, model, progress=bars)
    found = None
    if rate is not None:
        in_study = chances is None
        limit = delta_in_study(task, model, rate, min_points=min_points) if in_study else delta_for(task, chances, rate, **how)
        found = (rate, *limit)
    recorded, shuffled = compare(task, model, chances, _limits(deltas, found), waits, orders=orders, seed=seed, progress=bars, **how)
    asked = {"metric": question.metric, "earlier": earlier or [], **how, "orders": orders, "seed": seed, **question.facts()}
    said = told([question]) + ([f"hyperparameters in the log: {listed(names)}"] if (names := named_in(task)) else [])
    said, notes = said + studies, notes + more + theirs + lacking(task)
    print_answer(task, asked, recorded, shuffled, found, told=said, warnings=notes, plot=plot, as_json=as_json)


def _check(deltas: list[float], waits: list[int], rate: float | None, counts: dict[str, int], orders: int) -> None:
    if not all(math.isfinite(x) and x < 1 for x in deltas) or min(*waits, *counts.values(), orders + 1) < 1:
        came = f"delta {deltas}, patience {waits}, {', '.join(f'{name} {n}' for name, n in counts.items())}, orders {orders}"
        raise ValueError(f"expected delta < 1, patience, min-points and confirm >= 1, orders >= 0, got {came}; correct them")
    if rate is not None and not 0 < rate < 1:
        raise ValueError(f"expected false-stops inside (0, 1), got {rate}; write 0.05 for 5 %")


def _limits(deltas: list[float], found: tuple[float, float, float] | None) -> list[float]:
    """The limits of the lcx rule: those asked for, and the one found for a rate of false stops, if there is one."""
    own = [] if found is None or found[1] <= 0 else [rounded_down(found[1])]
    return [*deltas, *(x for x in own if x not in deltas)]
