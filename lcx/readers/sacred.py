"""Sacred: the folder that its FileStorageObserver writes for each run."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.budget import horizons
from lcx.readers.encodings import json_of
from lcx.readers.hyperparameters import in_file, told_by
from lcx.readers.table import long_table, number, run_name

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the run of a metrics.json; state and horizon are in run.json and config.json beside it.

    Args:
        path: metrics.json, {"loss": {"steps": [...], "values": [...], "timestamps": [...]}}, or its folder.

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"]`` such as "COMPLETED", ``attrs["horizon"]`` if the
        configuration has an entry such as epochs or max_steps in the unit of the steps, and the configuration as
        ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`).

    Raises:
        ValueError: it is not such a file, or there are no numbers in it.
    """
    import pandas as pd

    file = Path(path) / "metrics.json" if Path(path).is_dir() else Path(path)
    run, metrics = run_name(file), _json(file)
    points = []
    for name, logged in metrics.items():
        columns = [logged.get(key) for key in ("steps", "values")] if isinstance(logged, dict) else [None]
        if not all(isinstance(column, list) for column in columns) or len({len(column or []) for column in columns}) > 1:
            raise ValueError(
                f"expected lists 'steps' and 'values' of one length in {file}, got other for {name!r}; give Sacred's metrics.json"
            )
        times = [_seconds(time) for time in logged.get("timestamps") or [None] * len(logged["steps"])]
        values = [number(value.get("value") if isinstance(value, dict) else value) for value in logged["values"]]  # NumPy's are objects
        points += [(run, name, *point) for point in zip(logged["steps"], values, times, strict=False) if point[1] is not None]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"])
    config = {run: in_file(file.with_name("config.json"))}
    attrs: dict[str, Any] = {"horizon": horizons(frame, config), "hyperparameters": told_by(config)}
    if isinstance(status := _json(file.with_name("run.json")).get("status"), str):
        attrs["state"] = {run: status}
    return long_table(frame, file, attrs=attrs)


def is_log(folder: Path) -> bool:
    """Whether a folder is that of a run of Sacred."""
    return (folder / "metrics.json").is_file() and (folder / "run.json").is_file()


def _json(file: Path) -> dict[str, Any]:
    """A JSON object; an empty one if there is no such file."""
    if not file.is_file():
        return {}
    try:
        read = json_of(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"expected JSON in {file}, got {error}; let Sacred finish writing, or copy it again") from error
    if not isinstance(read, dict):
        raise ValueError(f"expected a JSON object in {file}, got a {type(read).__name__}; give the folder of a run of Sacred")
    return read


def _seconds(time: object) -> float | None:
    """Seconds since 1970 of a time as Sacred writes it, in UTC."""
    try:
        return datetime.fromisoformat(f"{time}+00:00").timestamp()
    except ValueError:
        return None
