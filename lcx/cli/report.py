"""``lcx report runs/ --metric loss --mode min``: one HTML page about a folder of runs."""

from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import many_runs as cli
from lcx.cli import one_curve as curve
from lcx.files import write_atomically
from lcx.report.html import report_html


def report(
    path: cli.Logs,
    metric: cli.Metric,
    mode: curve.Mode,
    horizon: Annotated[float | None, typer.Option(help="Last step of every run; default: what the log says.")] = None,
    lower: curve.Lower = None,
    upper: curve.Upper = None,
    best: Annotated[float | None, typer.Option(help="Value to beat; default: the best of the other runs.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = Path("report.html"),
    delta: cli.Delta = 0.05,
    min_points: cli.MinPoints = 2,
    format: cli.Format = None,
    model: cli.Model = "default",
    device: curve.Device = None,
) -> None:
    """Writes one HTML page about many runs: predicted finals, fan charts, which ends best, and what to stop."""
    table, notes = cli.read_runs(path, format)
    question = {"mode": mode, "horizon": horizon, "bounds": (lower, upper), "best": best, "delta": delta, "min_points": min_points}
    page, runs = report_html(table, metric, **question, model=model, device=device, notes=tuple(notes))
    write_atomically(output, lambda temporary: Path(temporary).write_text(page, encoding="utf-8"))
    print(f"{output}: {len(runs)} run{'s' * (len(runs) > 1)}, {sum(run.stop for run in runs)} to stop")
