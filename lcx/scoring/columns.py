"""Columns of many curves: a dict of arrays, a pandas DataFrame, or an Arrow Table or RecordBatch, read and written alike."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lcx.arrays import as_floats


class Lists(NamedTuple):
    """A column with a list of numbers per row.

    Attributes:
        flat: the numbers of all rows, one row after another; NaN is missing.
        counts: how many belong to each row.
    """

    flat: Float[np.ndarray, "T"]
    counts: Int[np.ndarray, "N"]

    def padded(self, rows: Int[np.ndarray, "M"], width: int | None = None) -> Float[np.ndarray, "M L"]:
        """Some rows as a matrix, as wide as the longest or as said, NaN on the right of short ones."""
        counts, starts = self.counts[rows, None], (self.counts.cumsum() - self.counts)[rows, None]
        place = np.arange(max(1, counts.max(initial=0)) if width is None else width)
        if not len(self.flat):
            return np.full((len(rows), len(place)), np.nan)
        return np.where(place < counts, self.flat[np.minimum(starts + place, len(self.flat) - 1)], np.nan)


def kind_of(batch: Any) -> str:
    """Which of "dict", "pandas" and "pyarrow" a batch is.

    Raises:
        TypeError: it is none of these.
    """
    package = type(batch).__module__.partition(".")[0]
    if isinstance(batch, Mapping):
        return "dict"
    if package in ("pandas", "pyarrow") and type(batch).__name__ in ("DataFrame", "Table", "RecordBatch"):
        return package
    raise TypeError(f"expected a dict of arrays, a pandas DataFrame or an Arrow Table or RecordBatch, got {type(batch)}; convert it first")


def names_of(batch: Any, single: Iterable[str] = ()) -> list[Any]:
    """Names of the columns.

    Raises:
        ValueError: two columns bear the same of the names ``single``.
    """
    names = list(batch.schema.names if kind_of(batch) == "pyarrow" else batch)
    if twice := [name for name in single if names.count(name) > 1]:
        raise ValueError(f"expected one column {twice[0]!r}, got {names.count(twice[0])} in {names}; drop or rename the others")
    return names


def rows_of(batch: Any) -> int:
    """Number of rows.

    Raises:
        ValueError: columns of a dict that differ in length.
    """
    if kind_of(batch) != "dict":
        return len(batch) if kind_of(batch) == "pandas" else batch.num_rows
    lengths = {str(name): len(column) for name, column in batch.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"expected columns of the same length, got {lengths}; give each one entry per curve")
    return next(iter(lengths.values()), 0)


def read_lists(batch: Any, name: str, errors: list[str]) -> Lists:
    """A column with a list of numbers per row; None, NaN or an empty list is no number. What cannot be read is empty and in ``errors``."""
    column = batch[name]
    if kind_of(batch) == "pyarrow":
        found = _arrow_lists(column)
        if found is not None:
            return found
        column = column.to_pylist()
    if isinstance(column, np.ndarray) and column.ndim == 2 and column.dtype.kind in "fiu":
        return Lists(column.astype(np.float64).ravel(), np.full(len(column), column.shape[1]))
    rows = list(column)
    try:
        counts, flat = [len(row) for row in rows], np.concatenate([*rows, []])
        if flat.dtype.kind not in "fiu" or not all(getattr(row, "ndim", 1) == 1 for row in rows):
            raise TypeError
    except (TypeError, ValueError):  # some row is no list of numbers: each by itself
        parts = [_one_list(row, name, i, errors) for i, row in enumerate(rows)]
        counts, flat = [len(part) for part in parts], np.concatenate([*parts, []])
    return Lists(flat.astype(np.float64), np.array(counts, dtype=np.int64))


def read_numbers(batch: Any, name: str, errors: list[str]) -> Float[np.ndarray, "N"]:
    """A column with a number per row; NaN where it is missing, or cannot be read and is in ``errors``."""
    column = batch[name]
    if kind_of(batch) == "pyarrow":
        column = column.to_pylist() if _not_numbers(column.type) else column.to_numpy(zero_copy_only=False)
    if kind_of(batch) == "pandas" and column.dtype.kind in "fiu":
        return column.to_numpy(np.float64, na_value=np.nan)
    try:
        return as_floats(np.asarray(column), name).reshape(len(column))
    except (TypeError, ValueError):
        found = np.full(len(column), np.nan)
        for i, entry in enumerate(column):
            try:
                found[i] = np.nan if _missing(entry) else as_floats(np.asarray(entry), name).reshape(())
            except (TypeError, ValueError):
                errors[i] = errors[i] or f"Expected {name} as a number; got {entry!r}. Give a plain number; a missing one is null."
        return found


def read_words(batch: Any, name: str) -> list[str | None]:
    """A column with a word per row; None where it is missing."""
    column = batch[name]
    entries = column.to_pylist() if kind_of(batch) == "pyarrow" else list(column)
    return [None if _missing(entry) else str(entry) for entry in entries]


def like(batch: Any, kept: list[str], columns: dict[str, Any]) -> Any:
    """A batch of the same kind with the ``kept`` columns of the given one and new ones: numbers, words or :class:`Lists`."""
    if kind_of(batch) == "pyarrow":
        made = {name: batch[name] for name in kept} | {name: _to_arrow(column) for name, column in columns.items()}
        return type(batch).from_arrays(list(made.values()), names=list(made))
    plain = {name: _to_objects(column) for name, column in columns.items()}
    if kind_of(batch) == "dict":
        return {name: batch[name] for name in kept} | plain
    frame = batch[kept].copy()
    for name, column in plain.items():
        frame[name] = column.astype(str) if isinstance(columns[name], list) else column
    return frame


def _missing(entry: Any) -> bool:
    return entry is None or type(entry).__name__ == "NAType" or (isinstance(entry, (float, np.floating)) and bool(entry != entry))


def _one_list(row: Any, name: str, i: int, errors: list[str]) -> np.ndarray:
    if _missing(row):
        return np.empty(0)
    try:
        numbers = as_floats(row, name)
    except TypeError as error:
        errors[i] = errors[i] or str(error)
        return np.empty(0)
    if numbers.ndim != 1:
        errors[i] = errors[i] or f"Expected {name} as a list of numbers; got {row!r}. Give one list per curve."
        return np.empty(0)
    return numbers


def _not_numbers(kind: Any) -> bool:
    import pyarrow as pa  # pyright: ignore[reportMissingImports]

    return not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _arrow_lists(column: Any) -> Lists | None:
    """None for a column that holds no lists of numbers."""
    import pyarrow as pa  # pyright: ignore[reportMissingImports]
    import pyarrow.compute as pc  # pyright: ignore[reportMissingImports]

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    listed = pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type)
    if not listed or _not_numbers(array.type.value_type):
        return None
    counts = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)  # pyright: ignore[reportAttributeAccessIssue]
    return Lists(array.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False), counts.astype(np.int64))


def _to_arrow(column: Any) -> Any:
    import pyarrow as pa  # pyright: ignore[reportMissingImports]

    if isinstance(column, Lists):
        offsets = np.concatenate([[0], column.counts.cumsum()]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(column.flat, from_pandas=True))
    return pa.array(column, from_pandas=True)


def _to_objects(column: Any) -> np.ndarray:
    if not isinstance(column, Lists):
        return np.array(column, dtype=object) if isinstance(column, list) else column
    found = np.empty(len(column.counts), dtype=object)
    for i, end in enumerate(column.counts.cumsum()):
        found[i] = column.flat[end - column.counts[i] : end]
    return found
