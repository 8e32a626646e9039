"""Cells of a table as people and tools write them: numbers with a decimal comma or a percent sign, "3/40", signs for a missing value."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

MISSING = ("", "NA", "N/A", "n/a", "na", "<NA>", "None", "none", "null", "NULL", "-", "--", "?")
_DECIMAL_COMMA = r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?"
_THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"


class Column(NamedTuple):
    """A column of a log.

    Attributes:
        values: a number for each row; NaN where there is none.
        logged: whether there is a number, or a "nan" that was logged, in each row.
        total: the largest y of cells such as "x/y", None without any.
        bad: rows and cells that are neither a number nor a sign for a missing value.
    """

    values: "np.ndarray"
    logged: "np.ndarray"
    total: float | None = None
    bad: tuple[tuple[int, str], ...] = ()


def as_column(cells: Any, *, comma: bool = True) -> Column | None:
    """A column of cells as numbers; None for a column of text, in which fewer than half of the cells are numbers.

    Args:
        cells: a Series of numbers or strings; missing values are cells in which nothing was logged.
        comma: whether "1,234" is 1.234; if not, it is 1234, as in a file whose cells are separated by commas.
    """
    import numpy as np

    if cells.dtype.kind in "fiu":
        values = cells.to_numpy(np.float64)
        return Column(values, ~np.isnan(values))
    if cells.dtype.kind == "b":
        return None
    there = ~(cells.isna() | cells.isin(MISSING)).to_numpy(bool)
    values, total = np.full(len(cells), np.nan), None
    values[there], plain = _plain(cells[there])
    if not plain.all():
        odd = np.flatnonzero(there)[~plain]
        values[odd], total = _written(cells.iloc[odd], comma)
        bad = odd[np.isnan(values[odd])]
    else:
        bad = np.zeros(0, int)
    if 2 * len(bad) > there.sum() or not there.any():
        return None
    there[bad] = False
    return Column(values, there, total, tuple((int(row), str(cells.iloc[row])) for row in bad))


def _plain(cells: Any) -> "tuple[np.ndarray, np.ndarray]":
    """The numbers that Python reads, and which cells are such."""
    import numpy as np
    import pandas as pd

    numbers: Any = pd.to_numeric(cells, errors="coerce")
    values = numbers.to_numpy(np.float64)
    missing = np.isnan(values)
    if missing.any():
        missing[missing] = ~cells[missing].astype(str).str.fullmatch(r"\s*[+-]?nan\s*", case=False).to_numpy(bool)
    return values, ~missing


def _written(cells: Any, comma: bool) -> "tuple[np.ndarray, float | None]":
    """Numbers as people write them, NaN for other text; and the largest number of which one is a part."""
    import pandas as pd

    text = cells.astype(str).str.strip().str.replace(r"\s*%$", "", regex=True)
    part = text.str.extract(r"^\[?\s*(\d+(?:\.\d+)?)\s*/\s*(\d+)\s*\]?$")
    text = text.where(part[0].isna(), part[0])
    grouped = text.str.fullmatch(_THOUSANDS) & (not comma)
    text = text.where(~grouped, text.str.replace(",", ""))
    decimal = text.str.fullmatch(_DECIMAL_COMMA)
    text = text.where(~decimal, text.str.replace(".", "").str.replace(",", "."))
    totals: Any = pd.to_numeric(part[1])
    numbers: Any = pd.to_numeric(text, errors="coerce")
    return numbers.to_numpy(float), float(totals.max()) if totals.notna().any() else None
