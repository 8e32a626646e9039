"""JSON logs: an object per line, a list of objects, lists of numbers by name, or one list of numbers."""

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.encodings import json_of, text_of
from lcx.readers.growing import Growing, follow
from lcx.readers.objects import Objects, sheet
from lcx.readers.sheet import to_table
from lcx.readers.table import COUNTERS

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path, *, step: str | None = None, growing: Growing | None = None) -> "pd.DataFrame":
    """Reads the runs of a JSON or JSONL file.

    Nested objects are flattened, their names joined by "/". What counts as step, and how runs are told apart: see
    :func:`lcx.readers.sheet.to_table`. Objects without the step, such as a configuration at the top, are left out. null means that a
    metric was not logged; NaN or "NaN" is a value. If a crash cut the last line short, that line is left out.

    A file may be a single value, over as many lines as it likes: a list of objects, an object with lists of numbers such as
    {"loss": [...], "steps": [...]}, an object with one list of objects among other things, or a list of numbers, a metric "value".

    Args:
        path: the file.
        step: column of the steps; default: recognised by its name.
        growing: what was read of it before; of an object per line only the lines added since are then parsed.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not JSON, a line is not an object, or there are no numbers.
    """
    path = Path(path)
    data = path.read_bytes()
    grown = None if growing is None else follow(growing, data, partial(_started, path=path), partial(_extended, path=path))
    if grown is not None:
        return to_table(grown.sheet(), path, step)
    text = text_of(data, path)
    try:
        rows = _rows(json_of(text))
        lines = None
    except ValueError:
        rows, lines = _objects(text, path)
    if not rows:
        raise ValueError(
            f"expected lists of numbers, or objects with a step, epoch or the like, in {path}, got {text[:40]!r}; "
            'write {"step": 1, "loss": 0.5} in every line'
        )
    return to_table(sheet(_flat(rows), lines), path, step)


def _started(text: str, path: Path) -> Objects | None:
    """The objects of lines; None if there is but one, which may be the beginning of another kind of JSON."""
    objects = _extended(Objects(), text, path)
    return objects if objects is not None and objects.rows > 1 else None


def _extended(before: Objects, text: str, path: Path) -> Objects | None:
    """These objects with those of further lines, of which the last counts only if it has ended or is one; None if a line is none."""
    try:
        rows, lines = _objects(text, path, before.text_lines)
    except ValueError:
        return None
    if len(rows) < len(lines) and text.endswith("\n"):
        return None
    return before.extended(_flat(rows), lines[: len(rows)], before.text_lines + len(text.splitlines()))


def _flat(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    nested = any(type(value) is dict for value in chain.from_iterable(map(dict.values, rows)))
    return [flat(row) for row in rows] if nested else rows


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


def _objects(text: str, path: Path, above: int = 0) -> tuple[list[dict[str, Any]], list[int]]:
    """The objects of the lines, and the number of each line that is not empty; the last one may be cut short.

    Args:
        text: the lines.
        path: the log.
        above: the number of lines above the text; if there are any, they hold objects.
    """
    lines = text.splitlines()
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    try:
        objects = json_of(f"[{','.join(lines[number - 1] for number in filled)}]")
        if len(objects) == len(filled) and set(map(type, objects)) <= {dict}:
            return objects, [above + number for number in filled] if above else filled
    except ValueError:
        pass
    objects = []
    for number in filled:
        line = lines[number - 1]
        try:
            row = json_of(line)
        except ValueError as error:
            if number == len(lines) and (objects or above):
                break
            raise ValueError(f"expected one JSON object per line in {path}, got {line[:40]!r} in line {number}; mend that line") from error
        if not isinstance(row, dict):
            raise ValueError(f"expected one JSON object per line in {path}, got {line[:40]!r} in line {number}; write {{'step': 1, ...}}")
        objects.append(row)
    return objects, [above + number for number in filled]


def flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, with names joined by "/"; the name "metrics" is not repeated in them."""
    names: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            names |= flat(value, prefix if name == "metrics" else f"{prefix}{name}/")
        else:
            names[prefix + name] = value
    return names
