"""``lcx predict curve.csv --horizon 100 --mode max``: quantiles of the rest of a curve, as a table, JSON, CSV or picture."""

from typing import Annotated

import typer

from lcx.cli import one_curve as cli
from lcx.extrapolator import predict as predict_curve


def predict(
    curve: cli.CurveFile,
    horizon: cli.Horizon,
    mode: cli.Mode,
    column: cli.Column = None,
    step_column: cli.StepColumn = None,
    upto: cli.Upto = None,
    at: cli.At = None,
    lower: cli.Lower = None,
    upper: cli.Upper = None,
    best: cli.Best = None,
    plot: cli.Plot = None,
    as_json: cli.AsJson = False,
    as_csv: cli.AsCsv = False,
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "default",
    device: cli.Device = None,
) -> None:
    """Extrapolates one partial learning curve."""
    form = cli.form_of(as_json, as_csv)
    metric, question = cli.read_question(curve, column, step_column, upto, at)
    answer = predict_curve(**question, horizon=horizon, mode=mode, bounds=(lower, upper), model=model, device=device)
    cli.report(answer, metric, form, best=best, plot=plot)
