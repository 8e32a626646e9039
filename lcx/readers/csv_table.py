"""CSV logs: a plain table, Lightning's metrics.csv, Keras' CSVLogger, ultralytics' results.csv, a long table, tables with tabs or blanks.

An empty cell or "NA" means that the metric was not logged in that row; "nan" is a value. A file may have a second header in the middle, for
example after a restart that logs other metrics; it holds for the rows below it. Lines that start with # are comments.
"""

import csv
import io
import re
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.cells import MISSING, as_column
from lcx.readers.encodings import text_of
from lcx.readers.growing import Growing, follow
from lcx.readers.hyperparameters import COLUMNS
from lcx.readers.panel import unfold
from lcx.readers.sheet import Sheet, to_table
from lcx.readers.table import COUNTERS, RUNS, TIMES

if TYPE_CHECKING:
    import pandas as pd

_COMMENT = re.compile(r"(?m)^[ \t]*#.*$")


class _Cells(NamedTuple):
    """The cells of a table, its header, what separates them, and whether the file itself has no header."""

    table: Any
    header: str
    separator: str
    bare: bool


def read(path: str | Path, *, step: str | None = None, growing: Growing | None = None) -> "pd.DataFrame":
    """Reads the runs of a CSV file, separated by commas, semicolons, tabs or blanks.

    A column "run" names the runs, or each column is a run, as a panel of W&B exports them. If there are columns "metric" and "value", each
    row is a point of that metric; else every column of numbers is a metric. What counts as step, and how runs are told apart: see
    :func:`lcx.readers.sheet.to_table`. Numbers may have a decimal comma or a percent sign, which is dropped. A counter may be "3/40".

    Args:
        path: the file.
        step: column of the steps; default: recognised by its name.
        growing: what was read of it before; only the lines added since are then parsed, unless it has a second header.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not text, or has no header, a row longer than its header, or no numbers.
    """
    path = Path(path)
    data = path.read_bytes()
    cells = None if growing is None else follow(growing, data, lambda text: _split(*_begun(text)), _extended)
    places, lines = cache(lambda: _filled(_begun(text_of(data, path))[0])), None
    if cells is None:
        text, header, bare = _begun(text_of(data, path))
        cells = _split(text, header, bare)
        if cells is None:
            table, lines = _slow(text, _separator(header), path)
            cells = _Cells(table, header, _separator(header), bare)
    table, _, separator, bare = cells
    low = {name.lower(): name for name in reversed(list(table.columns))}
    words = {name: table[low[name]].astype(str).to_numpy(object) for name in (*RUNS, "metric") if name in low}
    config = {name: table[name].tolist() for name in table if name.startswith(COLUMNS)}
    used = {*config, *(low[name] for name in words if name != "metric" or "value" in low)}
    numbers = {name: column for name in table if name not in used and (column := as_column(table[name], comma=separator != ","))}
    if "value" not in low:
        words.pop("metric", None)
    if all(name.lower() in (*COUNTERS, *TIMES) for name in numbers):
        shown = ", ".join(f"{name!r} ({table[name].iloc[0]!r}, ...)" for name in list(table)[:8] if name not in numbers)
        raise ValueError(
            f"expected a column of numbers in {path}, got {'only words in ' + shown if shown else 'only steps and times'}; "
            "log a metric, and name the columns in the first line"
        )
    sheet = Sheet(numbers, words, len(table), lambda row: (lines[row] if lines else places()[row + 1]) - bare, config)
    return to_table(unfold(sheet, list(table.columns)), path, step)


def _begun(text: str) -> tuple[str, str, bool]:
    """The text without comments, its header, and whether the file itself has none: nothing but values, one in a line."""
    text = _COMMENT.sub("", _named(text)) if "#" in text else text
    header = text.lstrip().partition("\n")[0]
    bare = re.fullmatch(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*", header) is not None
    return (f"value\n{text.lstrip()}", "value", True) if bare else (text, header, False)


def _separator(header: str) -> str:
    separator = max(",;\t|", key=header.count)
    return separator if separator in header else " "


def _split(text: str, header: str, bare: bool) -> _Cells | None:
    table = _quick(text, _separator(header))
    return None if table is None else _Cells(table, header, _separator(header), bare)


def _extended(cells: _Cells, text: str) -> _Cells | None:
    """The cells and those of further lines; None where a column as a whole would not be read as its parts are."""
    text = _COMMENT.sub("", text) if "#" in text else text
    if not text.strip():
        return cells
    if cells.header.count('"') % 2:  # a name with a line break
        return None
    table = cells.table
    words = [name for name in table if table[name].dtype.kind not in "fiub"]
    new = _quick(f"{cells.header}\n{text}", cells.separator, words)
    if new is None or not all(_alike(table[name], new[name]) for name in table):
        return None
    import pandas as pd

    return cells._replace(table=pd.concat([table, new], ignore_index=True))


def _alike(above: Any, below: Any) -> bool:
    """Whether the parts of a column are read as the whole is: a whole number among others is read as such only where it is exact."""
    import pandas as pd

    def is_text(part: Any) -> bool:
        return isinstance(part.dtype, pd.StringDtype) or pd.api.types.infer_dtype(part, skipna=True) in ("string", "empty")

    kinds = above.dtype.kind + below.dtype.kind
    if not set(kinds) <= set("fiu"):
        return kinds == "bb" or (not set(kinds) & set("fiub") and is_text(above) and is_text(below))
    whole = [part for part in (above, below) if part.dtype.kind != "f"]
    return kinds[0] == kinds[1] or all(abs(part).max() < 2**53 for part in whole)


def _named(text: str) -> str:
    """The text, where the last comment before the first row is its header if that has no other, as ``numpy.savetxt`` writes it."""
    start = re.match(r"(?:[ \t]*#.*\n|[ \t]*\n)*[ \t]*#[ \t]*(.+)\n(.*)", text)
    if not start:
        return text
    cells = re.split(r"[,;\t ]+", start[1].strip())
    below = re.split(r"[,;\t ]+", start[2].strip())
    named = len(cells) == len(below) and all(map(_is_name, cells)) and not any(map(_is_name, below))
    return text[: start.start(1)].replace("#", " ") + text[start.start(1) :] if named else text


def _quick(text: str, separator: str, words: Sequence[str] = ()) -> "pd.DataFrame | None":
    """The table by the parser of pandas; None if the file has several headers, or rows that do not fit to the one.

    Args:
        text: header and rows.
        separator: of the cells.
        words: columns that are text whatever their cells; so are those that name the runs.
    """
    import pandas as pd

    header = _distinct(_cells(text.lstrip().partition("\n")[0], separator))
    if not all(_is_name(name) or not name for name in header):
        return None
    as_words: Any = {name: str for name in header if name.lower() in RUNS or name in words}
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
                dtype=as_words,
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


def _filled(text: str) -> list[int]:
    """The lines that are not empty: that of the header, then of each row."""
    return [number for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _is_name(cell: str) -> bool:
    """Whether a cell is a name: neither empty, nor a number, nor a sign for a missing value."""
    if cell in MISSING:
        return False
    try:
        float(cell)
    except ValueError:
        return not re.fullmatch(r"[+-]?[\d.,]+\s*%?|\d+/\d+", cell)
    return False
