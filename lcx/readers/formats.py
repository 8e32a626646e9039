"""Reads training logs: one long table of runs from a file or a folder.

>>> from lcx.readers import read
>>> runs = read("lightning_logs")  # columns run, metric, step, value, perhaps time
"""

import json
import os
import warnings
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.jsonl import flat
from lcx.readers.table import COUNTERS, FIXED_NAMES, run_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "read", "recognise"]

FORMATS = ("csv", "huggingface", "jsonl", "mlflow", "optuna", "tensorboard", "wandb")
_ENDINGS = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson", ".db", ".sqlite", ".sqlite3")
_HEAD = 1 << 16


def read(path: str | Path, format: str | None = None) -> "pd.DataFrame":
    """Reads the runs of a log, or of every log in a folder and its subfolders.

    A run in a folder is named by its path from that folder: the path of its file, or of the folder of its file if the tool fixes the name
    of the file (TensorBoard, Hugging Face, metrics.csv, results.csv, progress.csv). If a log has several runs, their names are added.

    Not read are: event files beside another log of the same run, Ray's result.json beside its progress.csv, the summaries of W&B, and
    hidden folders. A log that cannot be read is left out with a warning.

    Args:
        path: file or folder; for "mlflow", "optuna" and "wandb" also an address (see their readers).
        format: one of :data:`FORMATS`; default: recognised from the content. In a folder, only logs of this format are read.

    Returns:
        A table with a row per point: run and metric (str), step (> 0), value (float, may be NaN), and time (seconds) if a log has it,
        sorted by run, metric and step. ``attrs`` may hold horizon, state and mode, each {run: value}.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the format is unknown, or there is nothing to read.
        ImportError: the package of the format is not installed.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"expected a format out of {', '.join(FORMATS)}, got {format!r}; choose one or leave it out")
    if format == "wandb" or (format in ("mlflow", "optuna") and not Path(path).exists()):
        return _reader(format)(str(path))
    where = Path(path)
    if where.is_dir():
        return _read_folder(where, format)
    if not where.exists():
        raise FileNotFoundError(f"expected a file or folder, got {path}, which does not exist; correct the path or name the format")
    found = format or recognise(where)
    if found is None:
        with where.open("rb") as opened:
            start = opened.read(24)
        raise ValueError(
            f"expected a log in one of the formats {', '.join(FORMATS)}, got {where}, which starts with {start!r}; "
            "name its format or export it as CSV with a step column"
        )
    return _reader(found)(where)


def recognise(path: str | Path) -> str | None:
    """The format of a file, recognised from its name and its first 64 kB; None if it is none of :data:`FORMATS`."""
    path = Path(path)
    if "tfevents" in path.name:
        return None if path.name.endswith(".profile-empty") else "tensorboard"
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
    if head.startswith(b"SQLite format 3\0"):
        return _recognise_database(path)
    text = head.decode("utf-8-sig", errors="ignore").lstrip()
    if b"\0" in head or len(text.encode()) < 0.9 * len(head.strip()):
        return None
    if text.startswith("{"):
        return _recognise_json(text)
    first = text.partition("\n")[0]
    names = {cell.strip().strip('"').lower() for separator in ",;\t" for cell in first.split(separator)}
    return "csv" if names & set(COUNTERS) else None


def _recognise_json(text: str) -> str | None:
    """The format of a JSON file. A log in JSONL has a counter in one of its first lines; a configuration or a data set has not."""
    if '"log_history"' in text:
        return "huggingface"
    for line in text.splitlines()[:50]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "op_code" in row:
            return "optuna"
        if isinstance(row, dict) and any(name.lower() in COUNTERS for name in flat(row)):
            return "jsonl"
    return None


def _recognise_database(path: Path) -> str | None:
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError:
        return None
    return "optuna" if "trial_intermediate_values" in tables else "mlflow" if {"experiments", "runs", "metrics"} <= tables else None


def _read_folder(root: Path, format: str | None) -> "pd.DataFrame":
    import pandas as pd

    tables, attrs, reasons = [], {}, []
    for place, (found, path) in _logs(root, format).items():
        name = place.resolve().name if place == root else place.relative_to(root).as_posix()
        try:
            table: Any = _reader(found)(path)
        except ValueError as error:
            reasons.append(str(error))
            continue
        names = {run: name if run == run_name(path) else f"{name}/{run}" for run in table["run"].unique()}
        for what, of in table.attrs.items():
            attrs.setdefault(what, {}).update({names[run]: value for run, value in of.items()})
        table.attrs = {}
        tables.append(table.assign(run=table["run"].map(names)))
    if not tables:
        came = f"{len(reasons)} that cannot be read ({reasons[0]})" if reasons else "none"
        raise ValueError(f"expected logs in one of the formats {', '.join(FORMATS)} in {root}, got {came}; give the folder of the runs")
    for reason in reasons:
        warnings.warn(f"left out: {reason}", stacklevel=3)
    table = pd.concat(tables, ignore_index=True).sort_values(["run", "metric", "step"], ignore_index=True)
    table.attrs = attrs
    return table


def _logs(root: Path, format: str | None) -> dict[Path, tuple[str, Path]]:
    """For each run in a folder and its subfolders, keyed by the file or folder that names it: the format, and what to read."""
    logs: dict[Path, tuple[str, Path]] = {}
    for folder, below, files in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for path in sorted((Path(folder, file) for file in files), key=lambda file: ("tfevents" in file.name, file.name)):
            if not ("tfevents" in path.name or path.suffix.lower() in _ENDINGS) or path.name == "wandb-summary.json":
                continue
            beside = ("csv", path.with_name("progress.csv"))
            if path.name == "result.json" and logs.get(path.parent) == beside:  # Ray writes the same into both
                continue
            found = recognise(path)
            if found is None or format not in (None, found):
                continue
            if found == "huggingface" and path.name in FIXED_NAMES:
                inner = path.parent.name.startswith("checkpoint-") and path.parent != root
                place = path.parent.parent if inner else path.parent
                logs[place] = (found, place)
            elif found == "tensorboard":
                logs.setdefault(path.parent, (found, path.parent))
            else:
                place = path.parent if path.name in FIXED_NAMES and path.parent not in logs else path
                logs[place] = (found, path)
    return logs


def _reader(format: str) -> Callable[[Any], "pd.DataFrame"]:
    return import_module(f"lcx.readers.{'csv_table' if format == 'csv' else format}").read
