"""JSON logs: an object per line, a list of objects, lists of numbers by name, or one list of numbers."""

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.cells import Column, as_column
from lcx.readers.encodings import read_text
from lcx.readers.sheet import Sheet, to_table
from lcx.readers.table import COUNTERS, RUNS

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path, *, step: str | None = None) -> "pd.DataFrame":
    """Reads the runs of a JSON or JSONL file.

    Nested objects are flattened, their names joined by "/". What counts as step, and how runs are told apart: see
    :func:`lcx.readers.sheet.to_table`. Objects without the step, such as a configuration at the top, are left out. null means that a
    metric was not logged; NaN or "NaN" is a value. If a crash cut the last line short, that line is left out.

    A file may be a single value, over as many lines as it likes: a list of objects, an object with lists of numbers such as
    {"loss": [...], "steps": [...]}, an object with one list of objects among other things, or a list of numbers, a metric "value".

    Args:
        path: the file.
        step: column of the steps; default: recognised by its name.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not JSON, a line is not an object, or there are no numbers.
    """
    path = Path(path)
    text = read_text(path)
    try:
        rows = _rows(json.loads(text))
        lines = None
    except ValueError:
        rows, lines = _objects(text, path)
    if not rows:
        raise ValueError(
            f"expected lists of numbers, or objects with a step, epoch or the like, in {path}, got {text[:40]!r}; "
            'write {"step": 1, "loss": 0.5} in every line'
        )
    if any(type(value) is dict for value in chain.from_iterable(row.values() for row in rows)):
        rows = [flat(row) for row in rows]
    return to_table(sheet(rows, lines), path, step)


def sheet(rows: list[dict[str, Any]], lines: list[int] | None) -> Sheet:
    """The sheet of flat objects; ``lines`` are the lines of the file in which they stand, None if they have none of their own."""
    import numpy as np

    names = list(dict.fromkeys(chain.from_iterable(rows)))
    low = {name.lower(): name for name in reversed(names)}
    words = {name: [row.get(low[name]) for row in rows] for name in (*RUNS, "metric") if name in low}
    if "value" not in low:
        words.pop("metric", None)
    used = {low[name] for name in words}
    columns = {name: _column([row.get(name) for row in rows]) for name in names if name not in used}
    numbers = {name: column for name, column in columns.items() if column is not None}
    return Sheet(
        numbers,
        {name: np.array(["" if word is None else str(word) for word in of], object) for name, of in words.items()},
        len(rows),
        (lambda row: row + 1) if lines is None else lines.__getitem__,
    )


def _column(cells: list[Any]) -> Column | None:
    """The numbers of a key; None if it has none. Words in a column of numbers were not logged as numbers, and are no fault."""
    import numpy as np

    kinds = set(map(type, cells))
    if kinds <= {int, float}:
        return Column(np.array(cells, np.float64), np.ones(len(cells), bool))
    if kinds <= {int, float, type(None)}:
        logged = np.fromiter((cell is not None for cell in cells), bool, len(cells))
        return Column(np.array(cells, np.float64), logged)
    import pandas as pd

    column = as_column(pd.Series([str(cell) if type(cell) in (int, float, str) else None for cell in cells], dtype=object))
    lone = column is not None and sum(column.logged) == 1 and not kinds & {int, float} and not np.isnan(column.values).all()
    return None if lone else column  # a single word that reads like a number is a note


def _rows(data: Any) -> list[dict[str, Any]] | None:
    """The objects in a JSON value; None if there are none."""
    if isinstance(data, dict):
        lists = flat(data)
        records = {name: of for name, of in lists.items() if isinstance(of, list) and of and all(isinstance(row, dict) for row in of)}
        if len(records) == 1:
            return next(iter(records.values()))
        numbers = {name: of for name, of in lists.items() if isinstance(of, list) and any(map(_is_number, of))}
        if not numbers:
            return [data] if any(name.lower() in COUNTERS for name in lists) else None
        length = max(map(len, numbers.values()))
        return [{name: of[at] for name, of in numbers.items() if at < len(of)} for at in range(length)]
    if isinstance(data, list) and any(isinstance(row, dict) for row in data):
        return [row for row in data if isinstance(row, dict)]
    if isinstance(data, list) and any(map(_is_number, data)):
        return [{"value": value} for value in data]
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _objects(text: str, path: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """The objects of the lines, and the line of each."""
    lines = text.splitlines()
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    try:
        objects = json.loads(f"[{','.join(lines[number - 1] for number in filled)}]")
        if len(objects) == len(filled) and set(map(type, objects)) <= {dict}:
            return objects, filled
    except ValueError:
        pass
    objects = []
    for number in filled:
        line = lines[number - 1]
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines) and objects:
                break
            raise ValueError(f"expected one JSON object per line in {path}, got {line[:40]!r} in line {number}; mend that line") from error
        if not isinstance(row, dict):
            raise ValueError(f"expected one JSON object per line in {path}, got {line[:40]!r} in line {number}; write {{'step': 1, ...}}")
        objects.append(row)
    return objects, filled


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, with names joined by "/"; the name "metrics" is not repeated in them."""
    names: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            names |= flat(value, prefix if name == "metrics" else f"{prefix}{name}/")
        else:
            names[prefix + name] = value
    return names
