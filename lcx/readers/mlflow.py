"""MLflow: its folder of files (mlruns), its SQLite database (mlflow.db), or the address of a tracking server.

Folder and database are read as they lie, without mlflow; only a server needs the package.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.budget import horizons
from lcx.readers.encodings import json_of
from lcx.readers.hyperparameters import left_out, told_by
from lcx.readers.sqlite import read_database, rows_if_any
from lcx.readers.table import distinct, long_table

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = sys.float_info.max  # what the database stores for infinity
_STATES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}  # as meta.yaml numbers them


class _Run(NamedTuple):
    """A run: its metrics as {name: [(milliseconds since 1970, value, step), ...]}."""

    id: str
    name: str
    experiment: str
    state: str
    params: dict[str, str]
    metrics: dict[str, list[tuple[float, float, float]]]


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the runs of every experiment, without deleted runs and without system metrics.

    If there are several experiments, runs are named "experiment/run". If a metric was logged several times and always at step 0, which
    is the default of MLflow, its steps are 1, 2, ... in the order of time.

    Args:
        path: mlruns, the folder of an experiment or of a run, an SQLite file, or a tracking URI such as "http://localhost:5000".

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "FINISHED", ...}``, ``attrs["horizon"]``
        of the runs with a parameter such as max_steps or epochs in the unit of their steps, and the parameters as
        ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`).

    Raises:
        FileNotFoundError: the file or folder does not exist.
        ValueError: there are no metrics, or the files, the database or the server cannot be read.
        ImportError: mlflow is not installed, and a server was asked for.
    """
    import pandas as pd

    address = str(path)
    where = Path(address.removeprefix("sqlite:///").removeprefix("file://"))
    if where.is_dir():
        runs = list(_of_folder(where))
    elif "://" in address and not address.startswith(("sqlite:///", "file://")):
        runs = _of_server(address)
    elif where.is_file():
        runs = read_database(where, _rows, "MLflow", "close what writes to it, or copy it again")
    else:
        raise FileNotFoundError(
            f"expected a folder or an SQLite file of MLflow, got {where}, which does not exist; give mlruns or a database"
        )
    several = len({run.experiment for run in runs if run.metrics}) > 1
    names = distinct({run.id: f"{run.experiment}/{run.name}" if several else run.name for run in runs})
    points = [
        (names[run.id], key, *point)
        for run in runs
        for key, logged in run.metrics.items()
        if not key.startswith("system/")
        for point in _in_order(logged, first=1 - _counts_from_zero(run))
    ]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"])
    state = {names[run.id]: run.state for run in runs}
    params = {names[run.id]: run.params for run in runs}
    attrs = {"state": state, "horizon": horizons(frame, params), "hyperparameters": told_by(params)}
    return long_table(frame, path, attrs=attrs)


def is_log(folder: Path) -> bool:
    """Whether a folder is mlruns, or that of an experiment or of a run."""
    with os.scandir(folder) as entries:
        below = [Path(entry.path) for entry in entries if entry.is_dir()]
    return any(_is_run(at) or "experiment_id" in _meta(at) for at in (folder, *below))


def _counts_from_zero(run: _Run) -> bool:
    """Whether a metric of the run has a step 0, and others."""
    return any(min(steps) == 0 < max(steps) for logged in run.metrics.values() if (steps := [step for _, _, step in logged]))


def _in_order(logged: list[tuple[float, float, float]], first: int) -> list[tuple[float, float, float]]:
    """Steps, values, times (seconds) of one metric in the order of its times; steps from ``first`` if none was given."""
    logged = sorted(logged, key=lambda point: point[0])
    unnumbered = len(logged) > 1 and not any(step for _, _, step in logged)
    return [
        (position if unnumbered else step, value if abs(value) != _LARGEST else value * 2, time / 1000)
        for position, (time, value, step) in enumerate(logged, first)
    ]


def _of_folder(folder: Path) -> Iterator[_Run]:
    found = [folder] if _is_run(folder) else sorted(at for pattern in ("*", "*/*") for at in folder.glob(pattern) if _is_run(at))
    for at in found:
        meta, above = _meta(at), _meta(at.parent)
        if "deleted" in (meta.get("lifecycle_stage"), above.get("lifecycle_stage")):
            continue
        tag = at / "tags" / "mlflow.runName"
        name = tag.read_text("utf-8") if tag.is_file() else meta.get("run_name") or at.name
        params = dict(_params(at / "params"))
        metrics = {file.relative_to(at / "metrics").as_posix(): _points(file) for file in _files(at / "metrics")}
        state = meta.get("status", "UNKNOWN")
        yield _Run(at.name, name, above.get("name") or at.parent.name, _STATES.get(state, state), params, metrics)


def _is_run(folder: Path) -> bool:
    """Whether it holds metrics of a run, not of a model; meta.yaml may have been lost."""
    if not (folder / "metrics").is_dir() or ".trash" in folder.parts:
        return False
    meta = _meta(folder)
    return bool(meta.keys() & {"run_id", "run_uuid"}) or (not meta and (folder / "tags").is_dir())


def _files(folder: Path) -> list[Path]:
    """The files below a folder; names with a slash are in subfolders."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))


def _params(folder: Path) -> Iterator[tuple[str, str]]:
    for file in _files(folder):
        try:
            yield file.relative_to(folder).as_posix(), file.read_text("utf-8")
        except (ValueError, OSError) as error:
            left_out(file, error)


def _meta(folder: Path) -> dict[str, str]:
    """The entries of meta.yaml, which has one "name: value" a line; none if there is no such file."""
    file = folder / "meta.yaml"
    lines = file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []
    entries = (line.partition(": ")[::2] for line in lines if ": " in line)
    return {key: _unquoted(value.strip()) for key, value in entries}


def _unquoted(value: str) -> str:
    if value.startswith("'"):
        return value[1:-1].replace("''", "'")
    try:
        return str(json_of(value)) if value.startswith('"') else value
    except ValueError:
        return value


def _points(file: Path) -> list[tuple[float, float, float]]:
    points = []
    lines = file.read_text("utf-8", errors="replace").splitlines(keepends=True)
    for position, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            time, value, *step = map(float, line.split())
        except ValueError as error:
            if position == len(lines) and not line.endswith("\n"):  # it is being written
                break
            raise ValueError(
                f"expected 'timestamp value step' in every line of {file}, got {line[:40].strip()!r} in line {position}; mend that line"
            ) from error
        points.append((time, value, step[0] if step else 0.0))
    return points


def _rows(database: Any) -> list[_Run]:
    runs = {}
    for run, name, experiment, state in database.execute(
        "SELECT runs.run_uuid, coalesce(tags.value, nullif(runs.name, ''), runs.run_uuid), experiments.name, runs.status "
        "FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id "
        "LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'mlflow.runName' "
        "WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active' ORDER BY runs.start_time"
    ):
        runs[run] = _Run(run, name, experiment, state, {}, {})
    for run, key, value in rows_if_any(database, "SELECT run_uuid, key, value FROM params"):
        if run in runs:
            runs[run].params[key] = value
    for run, key, time, value, step, is_nan in database.execute("SELECT run_uuid, key, timestamp, value, step, is_nan FROM metrics"):
        if run in runs:
            runs[run].metrics.setdefault(key, []).append((time, float("nan") if is_nan else value, step))
    return list(runs.values())


def _of_server(address: str) -> list[_Run]:
    try:
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("expected the package mlflow to read from a server, got none; pip install 'lcx[mlflow]'") from error
    try:
        client = MlflowClient(tracking_uri=address)
        experiments = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
        return [
            _Run(
                run.info.run_id,
                run.info.run_name or run.info.run_id,
                experiments[run.info.experiment_id],
                run.info.status,
                run.data.params,
                {
                    key: [(point.timestamp, point.value, point.step) for point in client.get_metric_history(run.info.run_id, key)]
                    for key in run.data.metrics
                },
            )
            for run in _pages(client, list(experiments))
        ]
    except MlflowException as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"expected a tracking server of MLflow at {address}, got {said!r}; check the address, and that it runs") from error


def _pages(client: Any, experiments: list[str]) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(experiments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
