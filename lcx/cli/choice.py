"""Which run and which metric of a log is meant."""

import re
from collections.abc import Sequence
from shlex import quote
from typing import Any

from lcx.readers.metric_names import direction_of
from lcx.readers.table import is_hidden

_LISTED = 20
_HELD_OUT = re.compile(r"val|eval|test|dev|metrics/", re.IGNORECASE)


def one_of(asked: str, names: Sequence[str], what: str) -> str:
    """The one name that ``asked`` can mean: itself, or what differs from it only in case, in what stands before its last slash, in a mark
    such as "(B)" at its end, or in all but a part.

    Raises:
        ValueError: there is none, or there are several.
    """
    ways = [lambda name: name, str.lower, lambda name: name.lower().rsplit("/", 1)[-1]]
    ways.append(lambda name: re.sub(r"\(\w*\)$", "", name.lower().rsplit("/", 1)[-1]))
    found: list[str] = []
    for way in ways:
        found = [name for name in names if way(name) == way(asked)]
        if found:
            break
    found = found or [name for name in names if asked.lower() in name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"expected the name of one {what}, got {asked!r}, which may be {listed(found)}; give its whole name")
    raise ValueError(f"expected a {what} out of {listed(names)}, got {asked!r}; choose one")


def metrics_of(table: Any) -> list[str]:
    """The metrics of a log that are not hidden; all if all are."""
    names = sorted(map(str, table["metric"].unique()))
    return [name for name in names if not is_hidden(name)] or names


def metric_of(table: Any, asked: str | None, command: str, path: str) -> str:
    """The metric that the user asked for, or the only one.

    Raises:
        ValueError: there is no such metric, or none was named and there are several.
    """
    if asked is not None:
        return one_of(asked, list(map(str, table["metric"].unique())), "metric")
    names = metrics_of(table)
    if len(names) > 1:
        raise ValueError(f"expected one metric of {path}, got {listed(names)}; type: {typed(command, path, metric=best_metric(names))}")
    return names[0]


def best_metric(names: Sequence[str]) -> str:
    """The metric that a user most likely means: one on held-out data, whose direction is known."""
    return max(names, key=lambda name: (direction_of(name) is not None) + 2 * bool(_HELD_OUT.search(name)))


def listed(names: Sequence[str]) -> str:
    """Names, at most 20 of them."""
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def typed(command: str, path: str, **options: str | None) -> str:
    """The command to type next."""
    return " ".join([f"lcx {command}", quote(path), *(f"--{name} {quote(value)}" for name, value in options.items() if value is not None)])
