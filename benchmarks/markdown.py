"""Tables of the pages that ``python benchmarks/tables.py`` writes."""

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: str, rows: Iterable[Iterable[Any]]) -> list[str]:
    """The lines of a table: its head as written, ``"| a | b |"``, the rule below it, a line per row of cells."""
    return [head, "|---" * (head.count("|") - 1) + "|", *map(line, rows)]


def line(cells: Iterable[Any]) -> str:
    """One row."""
    return "| " + " | ".join(map(str, cells)) + " |"


def with_interval(x: Sequence[float], form: str) -> str:
    """A mean and its interval in brackets, each in the same format: ``with_interval([1, 0, 2], "+.3f")``."""
    mean, low, high = (format(one, form) for one in x)
    return f"{mean} [{low}, {high}]"


def with_quartiles(x: dict[str, Any], form: str = ".3g") -> str:
    """Median and quartiles of what :func:`benchmarks.intervals.spread` gives."""
    return with_interval([x["median"], *x["quartiles"]], form)


def per_cent(shares: Iterable[float]) -> str:
    """Shares in whole per cent, such as the coverage of several intervals: 50/81/90."""
    return "/".join(f"{100 * share:.0f}" for share in shares)
