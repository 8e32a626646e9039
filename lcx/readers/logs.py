"""Reads training logs: one long table of runs from a file, a folder or standard input.

>>> from lcx.readers import read
>>> runs = read("lightning_logs")  # columns run, metric, step, value, perhaps time
"""

import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers import sb3, tensorboard
from lcx.readers.formats import names, reader, recognise, recognise_plain
from lcx.readers.table import FIXED_NAMES, place, run_name

if TYPE_CHECKING:
    import pandas as pd

_ENDINGS = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson", ".db", ".sqlite", ".sqlite3", ".npz", ".wandb")


def read(path: str | Path, format: str | None = None) -> "pd.DataFrame":
    """Reads the runs of a log, or of every log in a folder and its subfolders.

    A run in a folder is named by its path from that folder: the path of its file, or of the folder of its file if the tool fixes the name
    of the file (TensorBoard, Hugging Face, metrics.csv, results.csv, progress.csv). If a log has several runs, their names are added.

    What one training wrote into several files is one run: TensorBoard's train/ and validation/, the checkpoints of Hugging Face, the
    environments of Stable-Baselines3 (0.monitor.csv, 1.monitor.csv, ...). What repeats another log of the same run is not read: event files
    beside it or below a Trainer's folder, Ray's result.json, OpenMMLab's second file, LLaMA-Factory's trainer_log.jsonl or the checkpoints
    beside it. Hidden folders are not read. A log that cannot be read is left out with a warning.

    A table or JSON that is named itself is read even if no column counts the steps: its rows are then steps 1, 2, .... In a folder it is
    no log.

    Args:
        path: file or folder, or "-" for standard input; for "mlflow", "optuna" and "wandb" also an address (see their readers).
        format: one of ``lcx.readers.FORMATS``, or the name given to :func:`lcx.readers.register`; default: recognised from the content. In
            a folder, only logs of this format are read.

    Returns:
        A table with a row per point: run and metric (str), step (> 0), value (float, may be NaN), and time (seconds) if a log has it,
        sorted by run, metric and step. ``attrs`` may hold horizon, state and mode, each {run: value}.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the format is unknown, or there is nothing to read.
        ImportError: the package of the format is not installed.
    """
    if format is not None and format not in names():
        raise ValueError(f"expected a format out of {', '.join(names())}, got {format!r}; choose one or leave it out")
    if str(path) == "-":
        return _read_input(format)
    where = Path(path)
    if format in ("mlflow", "optuna", "wandb") and not where.exists():
        return reader(format)(str(path))
    if not where.exists():
        raise FileNotFoundError(f"expected a file or folder, got {path}, which does not exist; correct the path or name the format")
    found = recognise(where)
    if where.is_dir() and (found is None or format not in (None, found)):
        return _read_folder(where, format)
    found = format or found or recognise_plain(where)
    if found is None:
        with where.open("rb") as opened:
            start = opened.read(24)
        raise ValueError(
            f"expected a log in one of the formats {', '.join(names())}, got {where}, which starts with {start!r}; "
            "name its format or export it as CSV with a step column"
        )
    return reader(found)(where)


def _read_input(format: str | None) -> "pd.DataFrame":
    """The runs in standard input, which is text, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stdin")
        path.write_text(sys.stdin.read(), "utf-8")
        return read(path, format)


def _read_folder(root: Path, format: str | None) -> "pd.DataFrame":
    import pandas as pd

    tables, attrs, faults = [], {}, []
    for where, (found, path) in _logs(root, format).items():
        name = where.resolve().name if where == root else where.relative_to(root).as_posix()
        try:
            table: Any = reader(found)(path)
        except (ValueError, ImportError) as error:
            faults.append(error)
            continue
        called = {run: _within(name, run, run_name(path)) for run in table["run"].unique()}
        for what, of in table.attrs.items():
            attrs.setdefault(what, {}).update({called[run]: value for run, value in of.items()})
        table.attrs = {}
        tables.append(table.assign(run=table["run"].map(called)))
    if not tables:
        missing = next((error for error in faults if isinstance(error, ImportError)), None)
        if missing is not None:
            raise missing
        came = f"{len(faults)} that cannot be read ({faults[0]})" if faults else "none"
        raise ValueError(f"expected logs in one of the formats {', '.join(names())} in {root}, got {came}; give the folder of the runs")
    for reason in dict.fromkeys(map(str, faults)):  # a missing package is named once, not for each of its files
        warnings.warn(f"left out: {reason}", stacklevel=3)
    table = pd.concat(tables, ignore_index=True).sort_values(["run", "metric", "step"], ignore_index=True)
    table.attrs = attrs
    return table


def _within(name: str, run: str, own: str) -> str:
    """The name of a run of a log: the log's name if the log has but one; a second training in the same file has a number after that."""
    second = re.match(r" \(\d+\)$", run[len(own) :]) if run.startswith(own) else None
    return name if run == own else name + second[0] if second else f"{name}/{run}"


def _logs(root: Path, format: str | None) -> dict[Path, tuple[str, Path]]:
    """For each log in a folder and its subfolders, keyed by the file or folder that names it: the format, and what to read."""
    logs: dict[Path, tuple[str, Path]] = {}
    known: set[tuple[str, Path]] = set()
    for at, below, files in os.walk(root):
        folder = Path(at)
        below[:] = sorted(name for name in below if not name.startswith("."))
        if (whole := recognise(folder)) is not None and format in (None, whole):
            logs[_free(place(folder), folder, root, logs)] = (whole, folder)
            below.clear()
            continue
        for path in sorted((folder / file for file in files), key=lambda file: ("tfevents" in file.name, file.name)):
            if not ("tfevents" in path.name or path.suffix.lower() in _ENDINGS) or _repeats(path, logs, known):
                continue
            found = recognise(path)
            if found is None or format not in (None, found):
                continue
            log = _whole(path, found, root)
            if (found, log) in known or (found == "tensorboard" and place(log) in logs):
                continue
            known.add((found, log))
            logs[_free(place(log), path, root, logs)] = (found, log)
    return logs


def _whole(path: Path, found: str, root: Path) -> Path:
    """What is to be read: a file, or the folder of all the files that the tool wrote in this training."""
    if found == "huggingface" and path.name in FIXED_NAMES:
        return path.parent if path.parent == root else place(path)
    if found == "tensorboard":
        return path.parent if path.parent == root else tensorboard.training(path.parent)
    return path.parent if found == "sb3" and path in sb3.numbered(path.parent) else path


def _repeats(path: Path, logs: dict[Path, tuple[str, Path]], known: set[tuple[str, Path]]) -> bool:
    """Whether a file tells again what another log of the same training tells."""
    folder = path.parent
    if "tfevents" in path.name:  # the Trainer of Hugging Face writes them into runs/
        return any(at.name == "runs" and ("huggingface", at.parent) in known for at in folder.parents)
    if path.name == "result.json":
        return logs.get(folder) == ("csv", path.with_name("progress.csv"))
    if path.name == "trainer_state.json":
        return logs.get(place(path), ("", path))[1].name == "trainer_log.jsonl"
    if path.name == "trainer_log.jsonl":
        return path.with_name("trainer_state.json").is_file()
    return folder.name == "vis_data" and path.name != "scalars.json" and path.with_name("scalars.json").is_file()


def _free(where: Path, path: Path, root: Path, logs: dict[Path, tuple[str, Path]]) -> Path:
    """What names a log: its place, or its own path if another log has that name already or the place lies above the root."""
    return path if where in logs or not where.is_relative_to(root) else where
