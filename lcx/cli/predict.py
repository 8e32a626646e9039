"""``lcx predict PATH``: the rest of a curve, or the ends of all curves of a log."""

from lcx.cli import options


def predict(
    path: options.AnyLog,
    metric: options.OneMetric = None,
    run: options.Run = None,
    horizon: options.Horizon = None,
    times: options.Times = None,
    mode: options.Mode = None,
    step_column: options.StepColumn = None,
    upto: options.Upto = None,
    at: options.At = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: options.Best = None,
    alone: options.Alone = False,
    plot: options.Plot = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    format: options.Format = None,
    model: options.ModelOrNone = None,
    device: options.Device = None,
) -> None:
    """Predict the rest of a learning curve, or of all in a log.

    What the log tells need not be typed: the last step of the run, from the log or the settings beside it; whether larger is better, from
    the metric's name; its bounds, from name and values. Each is printed with the option that overrides it.

    Of one curve, print the mean and quantiles at later steps, at most 12 of them as a table, all of them with --json or --csv. Of several
    runs or metrics, print a row for each, with the forecast at the horizon.

    With --times the model "scaling" answers, which knows scaling laws and reads each curve alone; else the default one.

    \b
      lcx predict runs/train/results.csv
      lcx predict runs/ --metric val_loss --horizon 100
      lcx predict curve.csv --horizon 100 --mode max --lower 0 --upper 1 --best 0.93
      lcx predict sizes.csv --times 10
    """
    from lcx.cli.answer import form_of
    from lcx.cli.one_curve import Asked, OneCurve
    from lcx.cli.predicted import predict_many, predict_one

    form = form_of(as_json, as_csv)
    asked = Asked(path, "predict", run, metric, step_column, format, upto, mode, horizon, lower, upper, times)
    table, runs, questions = asked.read()
    model = model or ("default" if times is None else "scaling")
    how = {"form": form, "best": best, "alone": alone, "model": model, "device": device}
    if len(runs) == len(questions) == 1:
        curve = OneCurve.of(table, runs[0], asked.complete(questions[0], runs))
        predict_one(curve, asked, at=at, plot=plot, **how)
        return
    if at is not None or plot is not None:
        asked.refuse_many(runs, questions)
    predict_many(table, runs, questions, asked, **how)
