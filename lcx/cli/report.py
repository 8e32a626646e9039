"""``lcx report runs/ --metric loss``: an HTML page about a folder of runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options


def report(
    path: options.Logs,
    metric: options.Metric = None,
    mode: options.Mode = None,
    horizon: options.Horizon = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: Annotated[float | None, typer.Option(help="Value to beat. Default: the best of the other runs.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    delta: options.Delta = 0.05,
    false_stops: options.FalseStops = None,
    min_points: options.MinPoints = 2,
    alone: options.Alone = False,
    format: options.Format = None,
    model: options.Model = "default",
    device: options.Device = None,
) -> None:
    """Write an HTML page about many runs.

    The page has the predicted final values, a ranking, a fan chart per run, and which runs to stop or resume. What the log tells need
    not be typed, as with lcx predict.

    \b
      lcx report runs/ --metric val_loss
      lcx report runs/ --metric loss --mode min --lower 0 --horizon 100
    """
    from lcx.cli.inference import told
    from lcx.cli.many_runs import limit_in, read_runs
    from lcx.cli.one_curve import Asked
    from lcx.files import write_atomically
    from lcx.report import counted, report_html
    from lcx.stopping.threads import one_thread

    table, notes = read_runs(path, format)
    asked = Asked(path, "report", metric=metric, mode=mode, horizon=horizon, lower=lower, upper=upper).about(table)
    question = {"mode": asked.mode, "horizon": horizon, "bounds": asked.bounds, "best": best, "min_points": min_points}
    question["delta"] = limit_in(table, asked.metric, delta, false_stops)
    lines = told([asked])
    about = {"model": model, "device": device, "others": not alone, "source": path, "notes": (*lines, *notes)}
    with one_thread():
        page, runs = report_html(table, asked.metric, **question, **about)
    write_atomically(output, lambda temporary: Path(temporary).write_text(page, encoding="utf-8"))
    for line in lines:
        print(line, file=sys.stderr)
    print(f"{output}: {len(runs)} run{'s' * (len(runs) > 1)}, {counted(runs)}")
