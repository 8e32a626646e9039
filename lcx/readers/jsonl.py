"""JSONL logs: one object per line, with a step and metrics, perhaps a run; or with run, metric, step and value."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import COUNTERS, TIMES, long_table, number, run_name, steady

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the runs of a JSONL file.

    Nested objects are flattened, their names joined by "/". The step is the counter (step, epoch, ...) that most lines have, unless it
    starts again in every epoch. Lines without it, such as a configuration at the top, are left out. null means that a metric was not
    logged; NaN or "NaN" is a value. If a crash cut the last line short, that line is left out.

    Args:
        path: the file.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: a line is not a JSON object, or no line has a step and a number.
    """
    import pandas as pd

    path = Path(path)
    lines = _objects(path)
    count = Counter(name for line in lines for name in line if name.lower() in COUNTERS)
    if not count:
        raise ValueError(f"expected a key named step, epoch, iteration or the like in {path}, got none; log the step in every line")
    counters = sorted(count, key=lambda name: (-count[name], COUNTERS.index(name.lower())))
    names = [run_name(path) if line.get("run") is None else str(line["run"]) for line in lines]
    told = pd.DataFrame([[number(line.get(name)) for name in counters] for line in lines], columns=counters, dtype=float)
    step, points = steady(told, names), []
    for run, line in zip(names, lines, strict=True):
        at = number(line.get(step))
        if at is None:
            continue
        time = next((x for name in TIMES if (x := number(line.get(name))) is not None), None)
        metrics = {line["metric"]: line["value"]} if {"metric", "value"} <= set(line) else line
        points += [
            (run, name, at, value, time)
            for name, logged in metrics.items()
            if name != "run" and name.lower() not in TIMES and (value := number(logged)) is not None
        ]
    return long_table(pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"]), path, zero_based="log")


def _objects(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected a text file of JSONL, got binary data in {path}; export the log as JSONL or CSV") from error
    objects = []
    for position, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if position == len(lines) and objects:
                break
            raise ValueError(
                f"expected one JSON object per line in {path}, got {line[:40]!r} in line {position}; mend that line"
            ) from error
        if not isinstance(row, dict):
            raise ValueError(f"expected one JSON object per line in {path}, got {line[:40]!r} in line {position}; write {{'step': 1, ...}}")
        objects.append(flat(row))
    return objects


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, with names joined by "/"; the name "metrics" is not repeated in them."""
    names: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            names |= flat(value, prefix if name == "metrics" else f"{prefix}{name}/")
        else:
            names[prefix + name] = value
    return names
