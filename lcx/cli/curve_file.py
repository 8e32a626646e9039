"""Reads one curve from a CSV or JSON file, or from standard input, as the arguments of a prediction."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lcx.readers.table import COUNTERS, TIMES


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


def _table(text: str, source: str) -> pd.DataFrame:
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
