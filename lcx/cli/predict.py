"""``lcx predict curve.csv --horizon 100 --mode max``: quantiles of the rest of a curve, as a table, JSON, CSV or picture."""

from lcx.cli import options


def predict(
    curve: options.CurveFile,
    horizon: options.Horizon,
    mode: options.Mode,
    column: options.Column = None,
    step_column: options.StepColumn = None,
    upto: options.Upto = None,
    at: options.At = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: options.Best = None,
    plot: options.Plot = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    model: options.Model = "default",
    device: options.Device = None,
) -> None:
    """Predict the rest of one learning curve.

    Print the mean and quantiles of the metric at later steps, at most 12 of them as a table, all of them with --json or --csv.

    \b
      lcx predict curve.csv --horizon 100 --mode max --lower 0 --upper 1 --best 0.93
    """
    from lcx.cli.answer import form_of, print_answer
    from lcx.cli.curve_file import read_question
    from lcx.extrapolator import predict as predict_curve

    form = form_of(as_json, as_csv)
    metric, question = read_question(curve, column, step_column, upto, at)
    answer = predict_curve(**question, horizon=horizon, mode=mode, bounds=(lower, upper), model=model, device=device)
    print_answer(answer, metric, form, best=best, plot=plot)
