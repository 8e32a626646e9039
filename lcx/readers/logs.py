"""Reads training logs: one long table of runs from a file, a folder or standard input.

>>> from lcx.readers import read
>>> runs = read("lightning_logs")  # columns run, metric, step, value, perhaps time
"""

import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.again import Kept
from lcx.readers.folders import logs_in, told_otherwise
from lcx.readers.formats import names, reader, recognise, recognise_plain
from lcx.readers.table import run_name

if TYPE_CHECKING:
    import pandas as pd

_MOST = 5  # files that a warning names for one reason


def read(path: str | Path, format: str | None = None, *, step: str | None = None, kept: Kept | None = None) -> "pd.DataFrame":
    """Reads the runs of a log, or of every log in a folder and its subfolders.

    A run in a folder is named by its path from that folder: the path of its file, or of the folder of its file if the tool fixes the name
    of the file (TensorBoard, Hugging Face, metrics.csv, results.csv, progress.csv). If a log has several runs, their names are added.

    What one training wrote into several files is one run: TensorBoard's train/ and validation/, the checkpoints of Hugging Face, the
    environments of Stable-Baselines3 (0.monitor.csv, 1.monitor.csv, ...). What repeats another log of the same run is not read: event files
    beside it or below a Trainer's folder, Ray's result.json, OpenMMLab's second file, LLaMA-Factory's trainer_log.jsonl or the checkpoints
    beside it. Hidden folders are not read. Left out, and named in one warning with the reasons, are logs that cannot be read, tables and
    JSON that count no steps, and the text log beside another log of the same run.

    A table or JSON that is named itself is read even if no column counts the steps: its rows are then steps 1, 2, .... In a folder it is
    no log.

    Args:
        path: file or folder, or "-" for standard input; for "mlflow", "optuna" and "wandb" also an address (see their readers).
        format: one of ``lcx.readers.FORMATS``, or the name given to :func:`lcx.readers.register`; default: recognised from the content. In
            a folder, only logs of this format are read.
        step: column of the steps, of tables and JSON; default: recognised by its name.
        kept: what was read before, for a program that reads the same logs again: of these only the changed ones are read.

    Returns:
        A table with a row per point: run and metric (str), step (> 0), value (float, may be NaN), and time (seconds) if a log has it,
        sorted by run, metric and step. ``attrs`` may hold horizon, state, mode, counter (the column of the steps), steps_per_epoch and
        hyperparameters (:mod:`lcx.readers.hyperparameters`), each {run: value}.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the format is unknown, or there is nothing to read.
        ImportError: the package of the format is not installed.
    """
    if format is not None and format not in names():
        raise ValueError(f"expected a format out of {', '.join(names())}, got {format!r}; choose one or leave it out")
    if str(path) == "-":
        return _read_input(format, step)
    where = Path(path)
    if format in ("mlflow", "optuna", "wandb") and not where.exists():
        return _reader(format, step)(str(path))
    if not where.exists():
        raise FileNotFoundError(f"expected a file or folder, got {path}, which does not exist; correct the path or name the format")
    found = recognise(where)
    if where.is_dir() and (found is None or format not in (None, found)):
        return _read_folder(where, format, step, kept or Kept())
    found = format or found or recognise_plain(where)
    if found is None:
        with where.open("rb") as opened:
            start = opened.read(24)
        raise ValueError(
            f"expected a log in one of the formats {', '.join(names())}, got {where}, which starts with {start!r}; "
            "name its format or export it as CSV with a step column"
        )
    return (kept or Kept()).read(_reader(found, step), where, found, step)


def _reader(format: str, step: str | None) -> Callable[[Any], "pd.DataFrame"]:
    """What reads a log of this format, by the column ``step`` if one is named."""
    found: Any = reader(format)
    if step is None:
        return found
    if format not in ("csv", "jsonl"):
        raise ValueError(f"expected a table or JSON to have a step column {step!r}, got a log in the format {format}; leave the column out")
    return partial(found, step=step)


def _read_input(format: str | None, step: str | None) -> "pd.DataFrame":
    """The runs in standard input, which is text, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stdin")
        piped = getattr(sys.stdin, "buffer", None)  # bytes, since a shell may pipe UTF-16
        path.write_bytes(sys.stdin.read().encode() if piped is None else piped.read())
        try:
            return read(path, format, step=step)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "standard input")) from error


def _read_folder(root: Path, format: str | None, step: str | None, kept: Kept) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    tables, codes, runs, attrs, faults = [], [], [], {}, []
    logs, left = logs_in(root, format)
    readable: dict[Path, tuple[str, Path]] = {}
    for where, (found, path) in logs.items():
        if found == "text" and format is None and told_otherwise(path, readable):
            left[path] = "text beside another log of the run"
            continue
        name = where.resolve().name if where == root else where.relative_to(root).as_posix()
        try:
            table: Any = kept.read(_reader(found, step), path, found, step)
        except (ValueError, ImportError) as error:
            faults.append(error)
            continue
        code, own = pd.factorize(table["run"])
        called = {run: _within(name, run, run_name(path)) for run in own}
        codes.append(code + len(runs))
        runs += called.values()
        for what, of in table.attrs.items():
            attrs.setdefault(what, {}).update({called[run]: value for run, value in of.items()})
        table.attrs = {}
        tables.append(table)
        readable[where] = found, path
    if not tables:
        missing = next((error for error in faults if isinstance(error, ImportError)), None)
        if missing is not None:
            raise missing
        came = f"{len(faults)} that cannot be read ({faults[0]})" if faults else f"none, but {_named(left, root)}" if left else "none"
        raise ValueError(f"expected logs in one of the formats {', '.join(names())} in {root}, got {came}; give the folder of the runs")
    said = list(dict.fromkeys(map(str, faults)))  # a missing package is named once, not for each of its files
    if said or left:
        more = [f"{len(said) - _MOST} more that cannot be read"] if len(said) > _MOST else []
        parts = [*said[:_MOST], *more, *([_named(left, root)] if left else [])]
        warnings.warn(f"left out: {'; '.join(parts)}", stacklevel=3)
    table = pd.concat(tables, ignore_index=True)
    table["run"] = pd.Series(runs, dtype=str).take(np.concatenate(codes)).array  # once for all: strings of a table each take longer
    table = table.sort_values(["run", "metric", "step"], ignore_index=True)
    table.attrs = attrs
    return table


def _named(left: dict[Path, str], root: Path) -> str:
    """Files that are no logs, by the reason."""
    parts = []
    for reason in dict.fromkeys(left.values()):
        files = [path.relative_to(root).as_posix() for path, why in left.items() if why == reason]
        parts.append(", ".join(files[:_MOST]) + (f" and {len(files) - _MOST} more" if len(files) > _MOST else "") + f" ({reason})")
    return ", ".join(parts)


def _within(name: str, run: str, own: str) -> str:
    """The name of a run of a log: the log's name if the log has but one; a second training in the same file has a number after that."""
    second = re.match(r" \(\d+\)$", run[len(own) :]) if run.startswith(own) else None
    return name if run == own else name + second[0] if second else f"{name}/{run}"
