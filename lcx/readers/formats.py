"""Which formats of logs there are, how each is told from its content, and which module reads it.

A folder may be a log as a whole, as that of MLflow is: it is told by the files in it.
"""

import json
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.jsonl import flat
from lcx.readers.mlflow import is_store
from lcx.readers.table import COUNTERS

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("csv", "huggingface", "jsonl", "mlflow", "optuna", "tensorboard", "wandb")
_HEAD = 1 << 16


def reader(format: str) -> Callable[[Any], "pd.DataFrame"]:
    """What reads a log of this format, from its path."""
    return import_module(f"lcx.readers.{'csv_table' if format == 'csv' else format}").read


def recognise(path: str | Path) -> str | None:
    """The format of a log, or None if it is none of :data:`FORMATS`.

    A file is recognised from its name and its first 64 kB; a folder from what lies in it, if it is a log as a whole.
    """
    path = Path(path)
    if path.is_dir():
        return _recognise_folder(path)
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


def _recognise_folder(folder: Path) -> str | None:
    return "mlflow" if is_store(folder) else None


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
