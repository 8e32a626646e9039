"""CSV logs: a plain table, Lightning's metrics.csv, Keras' CSVLogger, ultralytics' results.csv, a long table, tables with tabs or blanks.

An empty cell or "NA" means that the metric was not logged in that row; "nan" is a value. A file may have a second header in the middle, for
example after a restart that logs other metrics; it holds for the rows below it. Lines that start with # are comments.
"""

import csv
import io
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.cells import MISSING, as_column
from lcx.readers.encodings import read_text
from lcx.readers.panel import unfold
from lcx.readers.sheet import Sheet, to_table
from lcx.readers.table import COUNTERS, RUNS, TIMES

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path, *, step: str | None = None) -> "pd.DataFrame":
    """Reads the runs of a CSV file, separated by commas, semicolons, tabs or blanks.

    A column "run" names the runs, or each column is a run, as a panel of W&B exports them. If there are columns "metric" and "value", each
    row is a point of that metric; else every column of numbers is a metric. What counts as step, and how runs are told apart: see
    :func:`lcx.readers.sheet.to_table`. Numbers may have a decimal comma or a percent sign, which is dropped. A counter may be "3/40".

    Args:
        path: the file.
        step: column of the steps; default: recognised by its name.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not text, or has no header, a row longer than its header, or no numbers.
    """
    path = Path(path)
    text = read_text(path)
    text = re.sub(r"(?m)^[ \t]*#.*$", "", _named(text)) if "#" in text else text
    header = text.lstrip().partition("\n")[0]
    bare = re.fullmatch(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*", header) is not None
    if bare:  # nothing but values, one in a line
        text, header = f"value\n{text.lstrip()}", "value"
    separator = max(",;\t|", key=header.count)
    separator = separator if separator in header else " "
    table, lines = _quick(text, separator), None
    if table is None:
        table, lines = _slow(text, separator, path)
    low = {name.lower(): name for name in reversed(list(table.columns))}
    words = {name: table[low[name]].astype(str).to_numpy(object) for name in (*RUNS, "metric") if name in low}
    used = {low[name] for name in words if name != "metric" or "value" in low}
    numbers = {name: column for name in table if name not in used and (column := as_column(table[name], comma=separator != ","))}
    if "value" not in low:
        words.pop("metric", None)
    if all(name.lower() in (*COUNTERS, *TIMES) for name in numbers):
        shown = ", ".join(f"{name!r} ({table[name].iloc[0]!r}, ...)" for name in list(table)[:8] if name not in numbers)
        raise ValueError(
            f"expected a column of numbers in {path}, got {'only words in ' + shown if shown else 'only steps and times'}; "
            "log a metric, and name the columns in the first line"
        )
    sheet = Sheet(numbers, words, len(table), lambda row: (lines[row] if lines else _line(text, row)) - bare)
    return to_table(unfold(sheet, list(table.columns)), path, step)


def _named(text: str) -> str:
    """The text, where the last comment before the first row is its header if that has no other, as ``numpy.savetxt`` writes it."""
    start = re.match(r"(?:[ \t]*#.*\n|[ \t]*\n)*[ \t]*#[ \t]*(.+)\n(.*)", text)
    if not start:
        return text
    cells = re.split(r"[,;\t ]+", start[1].strip())
    below = re.split(r"[,;\t ]+", start[2].strip())
    named = len(cells) == len(below) and all(map(_is_name, cells)) and not any(map(_is_name, below))
    return text[: start.start(1)].replace("#", " ") + text[start.start(1) :] if named else text


def _quick(text: str, separator: str) -> "pd.DataFrame | None":
    """The table by the parser of pandas; None if the file has several headers, or rows that do not fit to the one."""
    import pandas as pd

    header = _distinct(_cells(text.lstrip().partition("\n")[0], separator))
    if not all(_is_name(name) or not name for name in header):
        return None
    words: Any = {name: str for name in header if name.lower() in RUNS}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text),
                sep=r"\s+" if separator == " " else separator,
                skipinitialspace=True,
                index_col=False,
                keep_default_na=False,
                na_values=list(MISSING),
                names=header,
                header=0,
                dtype=words,
                low_memory=False,
            )
    except (ValueError, pd.errors.ParserWarning):  # among them pandas.errors.ParserError; the warning is of cells that would be lost
        return None
    odd = [name for name in table if table[name].dtype.kind not in "fiub"]
    again = any(table[name].astype(str).str.strip().isin(header).any() for name in odd)
    return None if again or table.empty else table


def _slow(text: str, separator: str, path: Path) -> "tuple[pd.DataFrame, list[int]]":
    """The table of a file that may have several headers, and the line of each row."""
    import pandas as pd

    blocks = _blocks(text, separator, path)
    names: dict[str, str] = {}
    for name in (name for header, _ in blocks for name in header):
        names.setdefault(name.lower(), name)
    parts = [
        pd.DataFrame([cells for _, cells in rows], columns=[names[name.lower()] for name in header], dtype=object)
        for header, rows in blocks
    ]
    table = pd.concat(parts, ignore_index=True)
    return table, [number for _, rows in blocks for number, _ in rows]


def _blocks(text: str, separator: str, path: Path) -> list[tuple[list[str], list[tuple[int, list[str]]]]]:
    """The headers, each with the rows below it, padded to the length of the header, and their lines."""
    blocks: list[tuple[list[str], list[tuple[int, list[str]]]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = _cells(line, separator)
        if not any(cells):
            continue
        again = not blocks or {cell.lower() for cell in cells} & {cell.lower() for cell in blocks[0][0]}
        if again and all(_is_name(cell) or not (cell or blocks) for cell in cells):  # the first header may name an index column ""
            blocks.append((_distinct(cells), []))
        elif not blocks:
            raise ValueError(f"expected a header with names of columns in {path}, got {line[:40]!r} in line {number}; name the columns")
        elif len(cells) > len(blocks[-1][0]):
            raise ValueError(
                f"expected {len(blocks[-1][0])} cells as in the header of {path}, got {len(cells)} in line {number}: {line[:60]!r}; "
                "put the header of the new columns above that line"
            )
        else:
            blocks[-1][1].append((number, cells + [""] * (len(blocks[-1][0]) - len(cells))))
    blocks = [block for block in blocks if block[1]]
    if not blocks:
        raise ValueError(f"expected CSV with a header and numbers below it, got none in {path}; export it again")
    return blocks


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line.replace("\r", " ")], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:  # quotes that do not end
        return [cell.strip() for cell in line.split(separator)]


def _distinct(header: list[str]) -> list[str]:
    """The names, with a number after one that was there before."""
    low = [name.lower() for name in header]
    return [name if low.index(name.lower()) == at else f"{name} ({low[: at + 1].count(name.lower())})" for at, name in enumerate(header)]


def _line(text: str, row: int) -> int:
    """The line in which a row stands; the header is the first that is not empty."""
    filled = [number for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return filled[row + 1]


def _is_name(cell: str) -> bool:
    """Whether a cell is a name: neither empty, nor a number, nor a sign for a missing value."""
    if cell in MISSING:
        return False
    try:
        float(cell)
    except ValueError:
        return not re.fullmatch(r"[+-]?[\d.,]+\s*%?|\d+/\d+", cell)
    return False
