"""The options that several commands share, each with its help; typer alone is loaded for them."""

from pathlib import Path
from typing import Annotated

import typer

from lcx.readers import FORMATS

# About one curve.
CurveFile = Annotated[str, typer.Argument(help="CSV or JSON file with one curve; - reads standard input.")]
Horizon = Annotated[float, typer.Option(help="Last step of the run.")]
Mode = Annotated[str, typer.Option(help="max if larger is better, min if smaller is.")]
Column = Annotated[str | None, typer.Option(help="Metric column; default the only one there is.")]
StepColumn = Annotated[str | None, typer.Option(help="Step column; default step, epoch, ...; else 1, 2, ...")]
Upto = Annotated[float | None, typer.Option(help="Use only the points up to this step.")]
At = Annotated[str | None, typer.Option(help="Steps to predict, separated by commas.")]
Lower = Annotated[float | None, typer.Option(help="Known lower bound of the metric.")]
Upper = Annotated[float | None, typer.Option(help="Known upper bound of the metric.")]
Best = Annotated[float | None, typer.Option(help="Value to beat: adds P(better).")]
Plot = Annotated[Path | None, typer.Option(help="Write a fan chart here (PNG, PDF, SVG).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ...")]
# About many runs.
Logs = Annotated[str, typer.Argument(help="Log file or folder; for some formats an address, such as entity/project of wandb.")]
Metric = Annotated[str, typer.Option(help="Metric to compare the runs by; lcx runs PATH lists those there are.")]
Format = Annotated[str | None, typer.Option(help=f"{', '.join(FORMATS)}; default: recognised.")]
Delta = Annotated[float, typer.Option(help="Stop a run whose probability of becoming better than the best of the others is at most this.")]
MinPoints = Annotated[int, typer.Option(help="Values of a run needed before the first verdict.")]
Model = Annotated[str, typer.Option(help="Model name or folder.")]
