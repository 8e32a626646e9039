"""Objects of JSON, one after the other, as columns to which further objects can be added."""

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.cells import Column, as_column
from lcx.readers.hyperparameters import COLUMNS
from lcx.readers.sheet import Sheet
from lcx.readers.table import RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_WORDS = (*RUNS, "metric")
_PLAIN = {int, float, type(None)}


class Objects(NamedTuple):
    """Flat objects.

    Attributes:
        columns: of each key, in the order in which they came. Where nothing but numbers and null was logged, the numbers; else what was
            logged, None where the key is missing.
        rows: number of objects.
        lines: the line of the file of each; None if they have none of their own.
        text_lines: number of lines that were read.
    """

    columns: "Mapping[str, Column | list[Any]]" = MappingProxyType({})
    rows: int = 0
    lines: "np.ndarray | None" = None
    text_lines: int = 0

    def extended(self, objects: list[dict[str, Any]], lines: list[int] | None, text_lines: int = 0) -> "Objects | None":
        """These objects and further ones; None if a column of numbers would no longer be one, since what was logged is not kept.

        Args:
            objects: flat.
            lines: of these.
            text_lines: number of lines in all.
        """
        import numpy as np

        columns, more = {}, len(objects)
        for name in dict.fromkeys(chain(self.columns, chain.from_iterable(objects))):
            logged = [row.get(name) for row in objects]
            before, new = self.columns.get(name), None if name.lower() in _WORDS else _numbers(logged)
            if not self.rows:
                columns[name] = new or logged
            elif isinstance(before, list) or (before is None and new is None):
                columns[name] = (before or [None] * self.rows) + logged
            elif new is None:
                return None
            else:
                numbers = before or Column(np.full(self.rows, np.nan), np.zeros(self.rows, bool))
                columns[name] = Column(np.append(numbers.values, new.values), np.append(numbers.logged, new.logged))
        at = None if lines is None else np.append(np.zeros(0, int) if self.lines is None else self.lines, np.array(lines[:more], int))
        return Objects(columns, self.rows + more, at, text_lines)

    def sheet(self) -> Sheet:
        """Their numbers, and the words that name the run and the metric of each."""
        import numpy as np

        low = {name.lower(): name for name in reversed(list(self.columns))}
        words = {name: self.columns[low[name]] for name in _WORDS if name in low}
        if "value" not in low:
            words.pop("metric", None)
        config = {name: of if isinstance(of, list) else of.values.tolist() for name, of in self.columns.items() if name.startswith(COLUMNS)}
        used = {*config, *(low[name] for name in words)}
        columns = {name: _column(cells) if isinstance(cells, list) else cells for name, cells in self.columns.items() if name not in used}
        lines = self.lines
        return Sheet(
            {name: column for name, column in columns.items() if column is not None},
            {name: np.array(["" if word is None else str(word) for word in of], object) for name, of in words.items()},
            self.rows,
            (lambda row: row + 1) if lines is None else (lambda row: int(lines[row])),
            config,
        )


def sheet(objects: list[dict[str, Any]], lines: list[int] | None) -> Sheet:
    """The sheet of flat objects; ``lines`` are the lines of the file in which they stand, None if they have none of their own."""
    whole: Any = Objects().extended(objects, lines)
    return whole.sheet()


def _numbers(cells: list[Any]) -> Column | None:
    """The numbers of a key where nothing but numbers and null was logged; None otherwise."""
    import numpy as np

    kinds = set(map(type, cells))
    if not kinds <= _PLAIN:
        return None
    logged = np.fromiter((cell is not None for cell in cells), bool, len(cells)) if type(None) in kinds else np.ones(len(cells), bool)
    return Column(np.array(cells, np.float64), logged)


def _column(cells: list[Any]) -> Column | None:
    """The numbers of a key; None if it has none. Words in a column of numbers were not logged as numbers, and are no fault."""
    if (plain := _numbers(cells)) is not None:
        return plain
    import numpy as np
    import pandas as pd

    kinds = set(map(type, cells))
    column = as_column(pd.Series([str(cell) if type(cell) in (int, float, str) else None for cell in cells], dtype=object))
    lone = column is not None and sum(column.logged) == 1 and not kinds & {int, float} and not np.isnan(column.values).all()
    return None if lone else column  # a single word that reads like a number is a note
