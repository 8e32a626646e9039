"""Which formats of logs there are, how each is told from its content, and which module reads it.

A folder may be a log as a whole, as mlruns of MLflow is: it is told by the files in it.
"""

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers import catboost, dvclive, mlflow, sacred, wandb
from lcx.readers.encodings import decode
from lcx.readers.hyperparameters import BESIDE, beside
from lcx.readers.recognition import plain, recognise_text, why_not
from lcx.readers.table import long_table, run_name

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("catboost", "csv", "dvclive", "huggingface", "jsonl", "mlflow", "optuna", "sacred", "sb3", "tensorboard", "text", "wandb")
_FOLDERS = (catboost, dvclive, sacred, wandb, mlflow)  # what they write is told by a whole folder
_NAMES = {"catboost_training.json": "catboost", "wandb-summary.json": "wandb"}
_MODULES = {"csv": "csv_table", "text": "text_log"}  # where it is not the name of the format
_DATA = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")  # endings of files that are no printed lines
_HEAD = 1 << 16


_OWN: dict[str, tuple[Callable[[Path], bool], Callable[[Path], "pd.DataFrame"]]] = {}


def register(name: str, recognises: Callable[[Path], bool], read: Callable[[Path], "pd.DataFrame"]) -> None:
    """Makes a format of one's own known to :func:`lcx.readers.read`, for this process; it is asked before all others.

    Args:
        name: of the format, for the argument ``format``. A name given again replaces the format of before.
        recognises: whether a file is of this format; called with every file that is named, and with every log-like file of a folder.
        read: reads such a file: columns metric, step (> 0) and value, perhaps run and time (seconds).

    Raises:
        ValueError: the name is that of a format of lcx.
    """
    if name in FORMATS:
        raise ValueError(f"expected a new name of a format, got {name!r}, which lcx reads itself; choose another name")
    _OWN[name] = (recognises, read)


def names() -> tuple[str, ...]:
    """The names of all formats, those of one's own first."""
    return (*_OWN, *FORMATS)


def reader(format: str) -> Callable[[Any], "pd.DataFrame"]:
    """What reads a log of this format, from its path."""
    if format in _OWN:
        return partial(_read_own, _OWN[format][1])
    read = import_module(f"lcx.readers.{_MODULES.get(format, format)}").read
    return partial(beside, read) if format in BESIDE else read


def _read_own(read: Callable[[Path], "pd.DataFrame"], path: Path) -> "pd.DataFrame":
    table = read(path)
    missing = {"metric", "step", "value"} - set(table.columns)
    if missing:
        came = ", ".join(map(str, table.columns))
        raise ValueError(f"expected columns metric, step and value of what was registered for {path}, got {came}; add {', '.join(missing)}")
    whole = table if "run" in table else table.assign(run=run_name(path))
    return long_table(whole, path, zero_based="never", attrs=table.attrs)


def recognise(path: str | Path) -> str | None:
    """The format of a log, or None if it is none of :data:`FORMATS` and none of one's own.

    A file is recognised from its name and its first 64 kB; a folder from what lies in it, if it is a log as a whole.
    """
    path = Path(path)
    if path.is_dir():
        return _recognise_folder(path)
    for name, (recognises, _) in reversed(_OWN.items()):
        if recognises(path):
            return name
    if "tfevents" in path.name:
        return None if path.name.endswith(".profile-empty") else "tensorboard"
    if path.name in _NAMES:
        return _NAMES[path.name]
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(size - _HEAD, min(size, _HEAD)))  # a text log may begin with the source of the program
        tail = opened.read()
    if head.startswith(b"SQLite format 3\0"):
        return _recognise_database(path)
    if head.startswith(b":W&B"):
        return "wandb"
    if head.startswith(b"PK") and b"timesteps.npy" in head:
        return "sb3"
    text = decode(head)
    if text is None:
        return None
    found = recognise_text(text, decode(tail) or "")
    return None if found == "text" and path.suffix.lower() in _DATA else found  # a vocabulary has words with numbers too


def _recognise_folder(folder: Path) -> str | None:
    return next((module.__name__.rpartition(".")[2] for module in _FOLDERS if module.is_log(folder)), None)


def recognise_plain(path: Path) -> str | None:
    """The format of a file that says nothing of steps, as far as its content tells."""
    with path.open("rb") as opened:
        return plain(decode(opened.read(_HEAD)) or "")


def reason_against(path: Path) -> str | None:
    """Why a file that is not recognised is no log; None if it is plainly another thing."""
    with path.open("rb") as opened:
        return why_not(path.suffix.lower(), decode(opened.read(_HEAD)))


def _recognise_database(path: Path) -> str | None:
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError:
        return None
    return "optuna" if "trial_intermediate_values" in tables else "mlflow" if {"experiments", "runs", "metrics"} <= tables else None
