"""What the commands about many runs share: reading the log with its warnings, and writing numbers and rows as text."""

import json
import math
import re
import warnings
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context
from typing import Any

from lcx.readers import Kept, read


def read_runs(path: str, format: str | None, step: str | None = None, kept: Kept | None = None) -> tuple[Any, list[str]]:
    """The long table of ``lcx.readers.read``, and its warnings as sentences. What is in ``kept`` and has not changed is not read again.

    Raises:
        ValueError, OSError, ImportError: as ``read``.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table = read(path, format, step=step, kept=kept)
    said = [" ".join(str(warning.message).split()) for warning in caught if warning.category is UserWarning]
    return table, list(dict.fromkeys(said))


def json_line(answer: Any) -> str:
    """One line of JSON, with null for numbers that are not finite."""
    return json.dumps(_finite(answer))


def _finite(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(name): _finite(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_finite(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def as_columns(rows: list[list[str]], left: set[int]) -> str:
    """Rows of cells as aligned text; the columns in ``left`` start, the others end, below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def as_text(number: float, digits: int = 4) -> str:
    """A number in ``digits`` significant digits; empty where there is none."""
    return "" if math.isnan(number) else f"{number:.{digits}g}"


def rounded_down(x: float, digits: int = 4) -> float:
    """The largest number of so many significant digits that is not above a positive one: a limit must not be rounded up."""
    return float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal(repr(float(x))))


def by_name(warnings: Sequence[str], names: Sequence[str]) -> list[str]:
    """The warnings of an answer, with the names of the curves instead of their numbers, and options instead of arguments."""
    named = (re.sub(r"^curve ([\d, ]*\d)", lambda m: ", ".join(names[int(i)] for i in m[1].split(", ")), text) for text in warnings)
    return [re.sub(r"bounds=\((\S+), (\S+)\)", lambda m: _bounds(m[1], m[2]), text) for text in named]


def _bounds(lower: str, upper: str) -> str:
    return " ".join(f"--{name} {edge}" for name, edge in (("lower", lower), ("upper", upper)) if edge != "None")


def limit_in(table: Any, metric: str, delta: float, false_stops: float | None) -> float:
    """``delta``, or the usual limit for a rate of false stops among the runs that have a value.

    Raises:
        ValueError: there is no limit for that rate.
    """
    from lcx.stopping.false_stops import Rate

    begun = table.loc[(table["metric"] == metric) & table["value"].notna(), "run"].nunique()
    return delta if false_stops is None else Rate(false_stops).usual.limit(begun)
