"""The options that several commands share, with their help. Importing them loads nothing but typer."""

from pathlib import Path
from typing import Annotated

import typer

from lcx.readers import FORMATS

# About one curve.
AnyLog = Annotated[str, typer.Argument(metavar="PATH", help="Log file or folder of logs; - reads standard input.")]
Horizon = Annotated[float | None, typer.Option(help="Last step of the run. Default: as the log or settings beside it tell.")]
Times = Annotated[float | None, typer.Option(help="Instead of --horizon: predict up to so many times the last step seen, such as 10.")]
Mode = Annotated[str | None, typer.Option(help="max if larger is better, min if smaller is. Default: by the metric's name.")]
OneMetric = Annotated[str | None, typer.Option("--metric", "--column", help="Metric, or a part of its name. Default: all.")]
Run = Annotated[str | None, typer.Option(help="Run, or a part of its name. Default: all.")]
StepColumn = Annotated[str | None, typer.Option(help="Column of the steps. Default: step, epoch or a similar name; without one, 1, 2, ...")]
Alone = Annotated[bool, typer.Option("--alone", help="Do not read the other runs of the log.")]
Upto = Annotated[float | None, typer.Option(help="Ignore points after this step.")]
At = Annotated[str | None, typer.Option(help="Steps to predict, separated by commas. Default: every step up to the horizon.")]
Lower = Annotated[
    float | None, typer.Option(help="Value below which the metric cannot fall; -inf for none. Default: by its name and values.")
]
Upper = Annotated[
    float | None, typer.Option(help="Value above which the metric cannot rise; inf for none. Default: by its name and values.")
]
Best = Annotated[float | None, typer.Option(help="Value to beat. Adds P(better), the chance to beat it.")]
Plot = Annotated[Path | None, typer.Option(help="Write a fan chart to this file (PNG, PDF, SVG).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Device = Annotated[str | None, typer.Option(help="Device to compute on: cpu, cuda, ... Default: cuda if there is one.")]
# About many runs.
Logs = Annotated[
    str, typer.Argument(metavar="PATH", help="Log file or folder of logs; for some formats an address, such as ENTITY/PROJECT of wandb.")
]
Metric = Annotated[
    str | None, typer.Option(help="Metric by which runs are compared, or a part of its name; lcx runs PATH lists the metrics.")
]
Format = Annotated[str | None, typer.Option(help=f"Log format: {', '.join(FORMATS)}. Default: recognised from the files.")]
Delta = Annotated[float, typer.Option(help="Stop a run if its chance to beat the best of the others is at most this.")]
FalseStops = Annotated[
    float | None,
    typer.Option(help="Instead of --delta: stop about this share of the runs that would become the best, 0.01 to 0.5; as in EarlyStopper."),
]
MinPoints = Annotated[int, typer.Option(help="Give no verdict on a run with fewer values.")]
_NAME = "Name of a shipped model, or the folder of a model."
Model = Annotated[str, typer.Option(help=_NAME)]
ModelOrNone = Annotated[str | None, typer.Option(help=f"{_NAME} [default: scaling with --times, else general]")]
