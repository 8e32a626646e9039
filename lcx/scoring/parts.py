"""Parquet files with a curve per row, cut into parts of so many rows and streamed part by part in bounded memory."""

import hashlib
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

_BATCH = 1 << 11  # rows read at once


class Part(NamedTuple):
    """Rows of one input file that become one file of the output.

    Attributes:
        name: file in the output folder.
        source: input file.
        start, stop: its rows, from 0.
        first: number of its first row over all input files.
    """

    name: str
    source: Path
    start: int
    stop: int
    first: int


def plan(source: Path, rows: int) -> list[Part]:
    """All parts, the same for every shard.

    Raises:
        ValueError: no Parquet files, or no rows in them, or a file that is none. OSError: no such path.
    """
    parts, first = [], 0
    for path in files_of(source):
        count = _open(path).metadata.num_rows
        for start in range(0, count, rows):
            parts.append(Part(f"part-{len(parts):06d}.parquet", path, start, min(start + rows, count), first + start))
        first += count
    if not parts:
        raise ValueError(f"expected at least one curve, got none in {source}; give Parquet files with a row per curve")
    return parts


def files_of(source: Path) -> list[Path]:
    """The file, or those of the folder in the order of their names, without those that begin with an underscore or a dot.

    Raises:
        ValueError: there are none.
    """
    files = sorted(path for path in source.glob("*.parquet") if path.name[0] not in "_.") if source.is_dir() else [source]
    if not files:
        raise ValueError(f"expected Parquet files in {source}, got none named *.parquet; give the file or its folder")
    return files


def tables(parts: list[Part], wanted: list[str]) -> Iterator[tuple[Part, Any]]:
    """The rows of each part, as ordered by the plan; a file is read once, a batch at a time, without row groups nobody asks for."""
    import pyarrow as pa  # pyright: ignore[reportMissingImports]

    for path, some in groupby(list(parts), lambda part: part.source):
        todo, position, file = list(some), 0, _open(path)
        columns, held = [name for name in dict.fromkeys(wanted) if name in file.schema_arrow.names], []
        for group in range(file.num_row_groups):
            end = position + file.metadata.row_group(group).num_rows
            if not todo or todo[0].start >= end:
                position = end
                continue
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=columns):
                while todo and todo[0].start < position + len(batch):
                    part = todo[0]
                    held.append(batch.slice(max(0, part.start - position), part.stop - max(position, part.start)))
                    if part.stop > position + len(batch):
                        break
                    yield todo.pop(0), pa.Table.from_batches(held)
                    held = []
                position += len(batch)
                if not todo:
                    break


def empty(path: Path) -> Any:
    """An Arrow Table with the columns of a file and no rows."""
    return _open(path).schema_arrow.empty_table()


def footer(path: Path) -> str:
    """SHA-256 of a Parquet file's footer, which holds the size, place and statistics of every column chunk."""
    with path.open("rb") as opened:
        opened.seek(-8, os.SEEK_END)
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(-8 - length, os.SEEK_END)
        return hashlib.sha256(opened.read(length)).hexdigest()


def _open(path: Path) -> Any:
    try:
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("expected the package pyarrow to read Parquet, got none; pip install 'lcx[score]'") from error
    try:
        # Streamed: pre-buffering would hold whole row groups.
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (ValueError, OSError) as error:  # Arrow's own errors are of these kinds, with no number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"expected a Parquet file, got {path} ({error}); restore it or leave it out") from error
