"""``lcx predict curve.csv --horizon 100 --mode max``: quantiles of the rest of a curve, as a table, JSON, CSV or picture."""

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lcx.checkpoint import write_atomically
from lcx.extrapolate import predict as predict_curve
from lcx.extrapolation import Extrapolation

if TYPE_CHECKING:
    import pandas as pd

_STEP_NAMES = ("step", "steps", "global_step", "epoch", "epochs", "iteration", "iter", "tokens", "size")
_ROWS = 12


def predict(
    curve: Annotated[str, typer.Argument(help="CSV or JSON file with one curve; - reads standard input.")],
    horizon: Annotated[float, typer.Option(help="Last step of the run.")],
    mode: Annotated[str, typer.Option(help="max if larger is better, min if smaller is.")],
    column: Annotated[str | None, typer.Option(help="Metric column; default the only one there is.")] = None,
    step_column: Annotated[str | None, typer.Option(help="Step column; default step, epoch, ...; else 1, 2, ...")] = None,
    upto: Annotated[float | None, typer.Option(help="Use only the points up to this step.")] = None,
    at: Annotated[str | None, typer.Option(help="Steps to predict, separated by commas.")] = None,
    lower: Annotated[float | None, typer.Option(help="Known lower bound of the metric.")] = None,
    upper: Annotated[float | None, typer.Option(help="Known upper bound of the metric.")] = None,
    best: Annotated[float | None, typer.Option(help="Value to beat: adds P(better).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a fan chart here (PNG, PDF, SVG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "default",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
) -> None:
    """Extrapolates one partial learning curve."""
    if as_json and as_csv:
        raise ValueError("expected one of --json and --csv, got both; drop one")
    metric, steps, values = read_curve(curve, column, step_column)
    if upto is not None:
        steps = np.arange(1.0, len(values) + 1) if steps is None else steps
        values, steps = values[steps <= upto], steps[steps <= upto]
    answer = predict_curve(
        values,
        steps,
        horizon=horizon,
        mode=mode,
        at=None if at is None else _numbers(at),
        bounds=(lower, upper),
        model=model,
        device=device,
    )
    table = answer.to_frame().drop(columns="run")
    if best is not None:
        table["better"] = answer.prob_better(best)
    if plot is not None:
        figure: Any = answer.plot(best=best, metric=metric).figure
        write_atomically(plot, lambda path: figure.savefig(path, dpi=150))
    for sentence in answer.warnings:
        print(f"warning: {sentence}", file=sys.stderr)
    if as_json:
        print(json.dumps({"metric": metric, "mode": mode, "horizon": horizon, "warnings": answer.warnings, "at": table.to_dict("records")}))
    elif as_csv:
        print(table.to_csv(index=False), end="")
    else:
        print(_text(table, metric, answer, plot))


def read_curve(source: str, column: str | None, step_column: str | None) -> tuple[str, np.ndarray | None, np.ndarray]:
    """One curve from a CSV or JSON file, or from standard input for "-".

    JSON is a list of numbers, {"values": [...], "steps": [...]}, or records with one key per column. A step column that starts
    at 0 is taken for a zero-based counter: 1 is added.

    Returns:
        Name of the metric, steps (None: 1, 2, ...), values.

    Raises:
        ValueError: neither CSV nor JSON, no such column, or several to choose from.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected a text file of CSV or JSON, got binary data in {source}; export the curve as CSV") from error
    table = _table(text, source)
    numeric = [str(name) for name in table.columns if table[name].dtype.kind in "fiu"]
    step_column = step_column or next((n for n in numeric if n.lower() in _STEP_NAMES), None)
    metrics = [name for name in numeric if name != step_column]
    column = column or (metrics[0] if len(metrics) == 1 else None)
    for name in (column, step_column):
        if (name is None and name is column) or (name is not None and name not in numeric):
            came = f"none named {name!r}" if name else (f"{len(metrics)} to choose from" if metrics else "none")
            raise ValueError(f"expected a numeric column out of {numeric} in {source}, got {came}; name it with --column or --step-column")
    table = table.dropna(subset=[column])
    steps = None if step_column is None else table[step_column].to_numpy(np.float64)
    if steps is not None and len(steps) and steps[0] == 0:
        steps = steps + 1
    return str(column), steps, table[column].to_numpy(np.float64)


def _table(text: str, source: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        if text.lstrip()[:1] in ("[", "{"):
            data: Any = json.loads(text)
            if isinstance(data, list) and not any(isinstance(row, dict) for row in data):
                data = {"metric": data}
            if isinstance(data, dict) and "values" in data:
                data = {"step": data["steps"], "metric": data["values"]} if data.get("steps") else {"metric": data["values"]}
            return pd.DataFrame(data)
        table = pd.read_csv(io.StringIO(text), skipinitialspace=True)
    except (ValueError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"expected CSV with a header or JSON in {source}, got {error}; see lcx predict --help") from error
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"expected --at as numbers separated by commas, got {text!r}; write for example --at 50,100") from error


def _text(table: "pd.DataFrame", metric: str, answer: Extrapolation, plot: Path | None) -> str:
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(_ROWS, len(table))).round().astype(int))]
    seen = answer.curves
    count = int(seen.counts[0])
    head = f"{metric}: {count} points up to step {seen.last_step[0]:g}, last {seen.values[0, count - 1]:.4g}; horizon {seen.horizon[0]:g}"
    columns = {"mean": "mean", "0.05": "5 %", "0.25": "25 %", "0.5": "median", "0.75": "75 %", "0.95": "95 %", "better": "P(better)"}
    shown = rows.rename(columns=columns).to_string(index=False, float_format=lambda x: f"{x:.4g}", justify="right")
    return head + "\n" + shown + (f"\nfan chart: {plot}" if plot else "")
