"""Weights & Biases: the folder wandb of this machine, as offline runs leave it, or the runs of a project, through the public Api."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.budget import horizons
from lcx.readers.encodings import json_of
from lcx.readers.hyperparameters import told_by
from lcx.readers.jsonl import flat
from lcx.readers.table import distinct, long_table, number

if TYPE_CHECKING:
    import pandas as pd

_LIGHTNING = "trainer/global_step"  # counts from 0
_TRAINERS = (_LIGHTNING, "train/global_step")  # the step of Lightning and of Hugging Face, in every row that they log
_BLOCK, _HEADER = 1 << 15, 7  # bytes, of a .wandb file


class _Run(NamedTuple):
    """A run: rows of its history, {name: value}, and its settings."""

    id: str
    name: str
    state: str | None
    rows: list[dict[str, Any]]
    config: dict[str, Any]


def read(path: str | Path, api: Any = None, *, step: str | None = None) -> "pd.DataFrame":
    """Reads every row of the history of runs, those of this machine or those of a project.

    Args:
        path: folder wandb, that of a run in it, a file run-ID.wandb; or "entity/project", "entity/project/run id".
        api: a ``wandb.Api`` for the latter; default a new one, with the login of this machine.
        step: key of the step; default: the global step of Lightning or Hugging Face if it is in every row, else "_step", which counts calls
            of ``wandb.log``.

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "finished", ...}``, ``attrs["horizon"]`` of the
        runs with a setting such as max_steps or epochs in the unit of their steps, and the config, never the summary, as
        ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`). Left out are keys that start with "_" or "system/",
        values that are not numbers, and rows without the step. Folders of one run id are one run.

    Raises:
        ValueError: the path has another form, there are no numbers, or there is only a summary, which holds last values.
        ImportError: wandb is not installed.
    """
    import pandas as pd

    where = Path(path)
    runs = _of_folder(where) if where.exists() else _of_server(str(path), api)
    names = distinct({run.id: run.name for run in runs})
    points = [(names[run.id], *point) for run in runs for point in _points(run.rows, step)]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"])
    state = {names[run.id]: run.state for run in runs if run.state}
    horizon = horizons(frame, {names[run.id]: flat(run.config) for run in runs})
    told = told_by({names[run.id]: run.config for run in runs})
    return long_table(frame, path, attrs={"state": state, "horizon": horizon, "hyperparameters": told})


def is_log(folder: Path) -> bool:
    """Whether a folder is wandb, or that of a run in it."""
    return next(folder.glob("*.wandb"), None) is not None or any(
        next(at.glob("*.wandb"), None) or (at / "files" / "wandb-summary.json").is_file() for at in _run_folders(folder)
    )


def _points(rows: list[dict[str, Any]], step: str | None) -> Iterator[tuple[str, float, float, float | None]]:
    """Metric, step, value and time of what was logged."""
    logged = [row for row in rows if any(number(value) is not None for key, value in row.items() if not _is_inner(key))]
    key = step or next((name for name in _TRAINERS if logged and all(name in row for row in logged)), "_step")
    for row in logged:
        if (at := number(row.get(key))) is None:
            continue
        for name, value in row.items():
            if name != key and not _is_inner(name) and (told := number(value)) is not None:
                yield name, at + (key == _LIGHTNING), told, number(row.get("_timestamp"))


def _is_inner(key: str) -> bool:
    return key.startswith(("_", "system/"))


def _run_folders(folder: Path) -> list[Path]:
    return sorted(at for pattern in ("run-*", "offline-run-*") for at in folder.glob(pattern) if at.is_dir() and not at.is_symlink())


def _of_folder(path: Path) -> list[_Run]:
    """The runs in a folder. A run that was resumed has several folders, and these are in the order of time."""
    if path.name == "wandb-summary.json":
        raise ValueError(_only_summary(path.parent.parent if path.parent.name == "files" else path.parent))
    folders = [path, *_run_folders(path)] if path.is_dir() else []
    files = sorted((file for at in folders for file in at.glob("*.wandb")), key=lambda file: file.parent.name.removeprefix("offline-"))
    if path.is_dir() and not files:
        raise ValueError(_only_summary(path))
    runs: dict[str, _Run] = {}
    for file in files or [path]:
        run = _of_file(file)
        before = runs.get(run.id)
        runs[run.id] = run if before is None else run._replace(rows=before.rows + run.rows, config=before.config | run.config)
    return list(runs.values())


def _only_summary(folder: Path) -> str:
    file = next(folder.glob("*.wandb"), None)
    advice = f"give {file}" if file else "give its run-ID.wandb, or the run on the server as 'entity/project/run id' with the format wandb"
    return f"expected the history of a run of W&B in {folder}, got a summary of last values, in which there is no curve; {advice}"


def _of_file(file: Path) -> _Run:
    try:
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record  # pyright: ignore
    except ImportError as error:
        raise ImportError(
            "expected the package wandb to read .wandb files, got none; pip install 'lcx[wandb]', or upload them with wandb sync"
        ) from error
    folder = file.parent
    run_id, name, state, rows, config = file.stem.removeprefix("run-"), "", None, [], {}
    try:
        for data in _records(file.read_bytes()):
            record = Record.FromString(data)
            if record.HasField("history"):
                rows.append(_items(record.history.item) | ({"_step": record.history.step.num} if record.history.HasField("step") else {}))
            elif record.HasField("run"):
                run_id, name = record.run.run_id or run_id, record.run.display_name or name
                config |= _items(record.run.config.update)
            elif record.HasField("config"):
                config |= _items(record.config.update)
            elif record.HasField("exit"):
                state = "failed" if record.exit.exit_code else "finished"
    except (DecodeError, ValueError, struct.error) as error:
        raise ValueError(f"expected a file of W&B in {file}, got one where {error}; copy it again, or wandb sync {folder}") from error
    return _Run(run_id, name or run_id, state, rows, config)


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: 7 bytes, then blocks of 32 kB as in a log of LevelDB. What is cut at the end is being written."""
    if data[:4] != b":W&B":
        raise ValueError(f"it begins with {data[:4]!r}")
    at, parts = _HEADER, []
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:  # zeros, up to the next block
            at += left
            continue
        check, size, kind = struct.unpack_from("<IHB", data, at)  # kind: 1 whole, 2 first part, 3 middle, 4 last
        start, at = at + _HEADER, at + _HEADER + size
        if at > len(data):
            return
        if zlib.crc32(data[start - 1 : at]) != check:
            raise ValueError(f"the record at byte {start - _HEADER} does not fit its checksum")
        if (kind in (1, 2)) == bool(parts):
            raise ValueError(f"a record of kind {kind} is out of place at byte {start - _HEADER}")
        parts.append(data[start:at])
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def _items(items: Any) -> dict[str, Any]:
    """Names and values of a record; the parts of a nested name are joined by "/"."""
    values = {}
    for item in items:
        with suppress(ValueError):  # a value that is no JSON is none
            values["/".join(item.nested_key) or item.key] = json_of(item.value_json)
    return values


def _of_server(path: str, api: Any) -> list[_Run]:
    depth = len(path.strip("/").split("/"))
    if depth not in (2, 3):
        raise ValueError(
            f"expected 'entity/project', 'entity/project/run id' or a folder, got {path!r}; copy it from the address of the run's page"
        )
    try:
        from wandb import Api  # pyright: ignore
        from wandb.errors import Error  # pyright: ignore
    except ImportError as error:
        raise ImportError("expected the package wandb to read its runs, got none; pip install 'lcx[wandb]'") from error
    try:
        api = Api() if api is None else api
        runs = list(api.runs(path)) if depth == 2 else [api.run(path)]
        # Without keys: with keys it drops the rows that lack any of them; run.history() samples 500 of them.
        return [_Run(run.id, run.name or run.id, run.state, list(run.scan_history()), dict(run.config)) for run in runs]
    except (Error, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"expected runs of W&B at {path}, got {said!r}; correct the path, or wandb login") from error
