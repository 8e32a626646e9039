"""What the commands about one curve share: their options, the file read, and the answer as a table, JSON, CSV or picture."""

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lcx.extrapolation import Extrapolation
from lcx.files import write_atomically
from lcx.readers.table import COUNTERS, TIMES

if TYPE_CHECKING:
    import pandas as pd

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

_ROWS = 12
_TITLES = {"mean": "mean", "0.05": "5 %", "0.25": "25 %", "0.5": "median", "0.75": "75 %", "0.95": "95 %", "better": "P(better)"}
_PFN = {f"pfn_{level}": f"PFN {_TITLES[level]}" for level in ("0.05", "0.5", "0.95")}


def form_of(as_json: bool, as_csv: bool) -> str:
    """The form of the output: "json", "csv" or "table".

    Raises:
        ValueError: both were asked for.
    """
    if as_json and as_csv:
        raise ValueError("expected one of --json and --csv, got both; drop one")
    return "json" if as_json else "csv" if as_csv else "table"


def read_question(
    source: str, column: str | None, step_column: str | None, upto: float | None, at: str | None
) -> tuple[str, dict[str, Any]]:
    """Name of the metric; values, steps and ``at`` as :func:`lcx.predict` and :func:`lcx.mcmc` take them."""
    metric, steps, values = read_curve(source, column, step_column)
    if upto is not None:
        steps = np.arange(1.0, len(values) + 1) if steps is None else steps
        values, steps = values[steps <= upto], steps[steps <= upto]
    return metric, {"values": values, "steps": steps, "at": None if at is None else _numbers(at)}


def read_curve(source: str, column: str | None, step_column: str | None) -> tuple[str, np.ndarray | None, np.ndarray]:
    """One curve from a CSV or JSON file, or from standard input for "-".

    CSV is separated by commas, semicolons or tabs. JSON is a list of numbers, {"values": [...], "steps": [...]}, records with one key
    per column, also one record per line, or a trainer_state.json. The step column is the first there is of step, ..., epoch, ...; other
    counters and clocks are not taken for the metric unless asked for. One that starts at 0 is zero-based: 1 is added.

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
    counters = [name for known in COUNTERS for name in numeric if name.lower() == known]
    step_column = step_column or next(iter(counters), None)
    metrics = [name for name in numeric if name not in (step_column, *counters) and name.lower() not in TIMES]
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
            return pd.DataFrame(_columns(text))
        separator = max(",;\t", key=text.partition("\n")[0].count)
        table = pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True)
    except (ValueError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"expected CSV with a header or JSON in {source}, got {error}; see lcx predict --help") from error
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _columns(text: str) -> Any:
    """What JSON holds, as pandas takes it."""
    try:
        data: Any = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        data = [json.loads(line) for line in lines]
    if isinstance(data, list) and not any(isinstance(row, dict) for row in data):
        return {"metric": data}
    if isinstance(data, dict) and isinstance(data.get("log_history"), list):  # the last row of a finished training is a summary
        return [row for row in data["log_history"] if isinstance(row, dict) and "train_runtime" not in row]
    if isinstance(data, dict) and "values" in data:
        return {"step": data["steps"], "metric": data["values"]} if data.get("steps") else {"metric": data["values"]}
    return data


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"expected --at as numbers separated by commas, got {text!r}; write for example --at 50,100") from error


def report(
    answer: Extrapolation,
    metric: str,
    form: str,
    *,
    best: float | None,
    plot: Path | None,
    pfn: Extrapolation | None = None,
    facts: dict[str, Any] | None = None,
    lines: tuple[str, ...] = (),
) -> None:
    """Writes the picture, then prints the warnings and the answer.

    Args:
        answer: of one curve.
        metric: its name.
        form: "json", "csv" or "table".
        best: value to beat.
        plot: where the picture goes.
        pfn: the PFN's answer to the same question, set beside that of MCMC.
        facts: more keys for JSON.
        lines: more lines for the table.
    """
    table = answer.to_frame().drop(columns="run")
    if best is not None:
        table["better"] = answer.prob_better(best)
    warnings = answer.warnings
    if pfn is not None:
        table[list(_PFN)] = pfn.to_frame()[[name.removeprefix("pfn_") for name in _PFN]]
        warnings = warnings + [f"PFN: {sentence}" for sentence in pfn.warnings if sentence not in warnings]
    if plot is not None:
        _draw(answer, pfn, plot, best, metric)
    for sentence in warnings:
        print(f"warning: {sentence}", file=sys.stderr)
    if form == "json":
        about = {"metric": metric, "mode": answer.mode, "horizon": answer.curves.horizon.item(), "warnings": warnings, **(facts or {})}
        print(json.dumps({**about, "at": table.to_dict("records")}))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        print("\n".join([_text(table, metric, answer), *lines, *([f"fan chart: {plot}"] if plot else [])]))


def _draw(answer: Extrapolation, pfn: Extrapolation | None, plot: Path, best: float | None, metric: str) -> None:
    axes = answer.plot(best=best, metric=metric, label="" if pfn is None else "MCMC ")
    if pfn is not None:
        pfn.overlay(axes, "PFN ")
    figure: Any = axes.figure
    write_atomically(plot, lambda path: figure.savefig(path, dpi=150))


def _text(table: "pd.DataFrame", metric: str, answer: Extrapolation) -> str:
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(_ROWS, len(table))).round().astype(int))]
    seen = answer.curves
    count = int(seen.counts[0])
    head = f"{metric}: {count} points up to step {seen.last_step[0]:g}, last {seen.values[0, count - 1]:.4g}; horizon {seen.horizon[0]:g}"
    shown = rows.rename(columns=_TITLES | _PFN).to_string(index=False, float_format=lambda x: f"{x:.4g}", justify="right")
    return head + "\n" + shown
