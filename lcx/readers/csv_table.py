"""CSV logs: a plain table with a step column, Lightning's metrics.csv, Keras' CSVLogger, ultralytics' results.csv, a long table.

An empty cell or "NA" means that the metric was not logged in that row; "nan" is a value. A file may have a second header in the middle, for
example after a restart that logs other metrics; it holds for the rows below it.
"""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import COUNTERS, TIMES, long_table, run_name, steady

if TYPE_CHECKING:
    import pandas as pd


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the runs of a CSV file, separated by commas, semicolons or tabs.

    A column "run" names the runs. If there are columns "metric" and "value", each row is a point of that metric; else every numeric column
    is a metric. The steps are in the first existing column of step, steps, global_step, ..., epoch, ..., unless it starts again in every
    epoch. They count from zero if one of them is 0. In a metrics.csv with columns epoch and step, as Lightning writes it, they count from
    zero if the epoch does.

    Args:
        path: the file.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not text, or has no header, no step column, a row longer than its header, or no numbers.
    """
    import pandas as pd

    path = Path(path)
    blocks = _blocks(path)
    columns: dict[str, str] = {}
    for name in (name for header, _ in blocks for name in header):
        columns.setdefault(name.lower(), name)
    counters = [columns[name] for name in COUNTERS if name in columns]
    if not counters:
        shown = ", ".join(columns.values())
        raise ValueError(f"expected a column named step, epoch, iteration or the like in {path}, got {shown}; rename or add one")
    table: Any = pd.concat([pd.DataFrame(dict(zip(header, zip(*rows, strict=True), strict=True))) for header, rows in blocks])
    table = table.reset_index(drop=True)
    about = pd.DataFrame({"run": table[columns["run"]] if "run" in columns else run_name(path)}, table.index)
    step = steady(pd.DataFrame({name: _numbers(table[name]) for name in counters}), about["run"])
    about["step"] = _numbers(table[step])
    if path.name == "metrics.csv" and {"epoch", "step"} <= set(columns) and _numbers(table[columns["epoch"]]).min() == 0:
        about["step"] += about["step"].min() > 0
    time = next((columns[name] for name in TIMES if name in columns), None)
    if time is not None:
        about["time"] = _numbers(table[time])
    if {"metric", "value"} <= set(columns):
        parts = [_logged(about.assign(metric=table[columns["metric"]]), table[columns["value"]])]
    else:
        metrics = [name for name in table.columns if name not in ("", step, time, columns.get("run"))]
        parts = [_logged(about.assign(metric=name), table[name]) for name in metrics]
    points = pd.concat(parts or [about.iloc[:0].assign(metric="", value=0.0)], ignore_index=True)
    return long_table(points, path, zero_based="log")


def _numbers(cells: Any) -> Any:
    """A column of text as numbers; NaN where a cell is not a number."""
    import pandas as pd

    return pd.to_numeric(cells, errors="coerce")


def _logged(about: Any, cells: Any) -> Any:
    """The rows in which a metric was logged."""
    values = _numbers(cells)
    return about.assign(value=values)[values.notna() | cells.str.match(r"(?i)[+-]?nan\b").fillna(False).astype(bool)]


def _blocks(path: Path) -> list[tuple[list[str], list[list[str]]]]:
    """The headers, each with the rows below it, padded to the length of the header."""
    try:
        text = path.read_text("utf-8-sig")
        separator = max(",;\t", key=text[: text.find("\n")].count)
        rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"expected a text file of CSV, got {path}, where {error}; export the log as CSV") from error
    blocks: list[tuple[list[str], list[list[str]]]] = []
    for position, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if all(_is_name(cell) or not (cell or blocks) for cell in cells):  # the first header may name an index column ""
            blocks.append((cells, []))
        elif not blocks:
            raise ValueError(f"expected a header with names of columns in {path}, got numbers in row {position}; name the columns")
        elif len(cells) > len(blocks[-1][0]):
            raise ValueError(
                f"expected {len(blocks[-1][0])} cells as in the header of {path}, got {len(cells)} in row {position}; "
                "put the header of the new columns above that row"
            )
        else:
            blocks[-1][1].append(cells + [""] * (len(blocks[-1][0]) - len(cells)))
    blocks = [block for block in blocks if block[1]]
    if not blocks:
        raise ValueError(f"expected CSV with a header and numbers below it, got {path} with {len(rows)} rows and none; export it again")
    return blocks


def _is_name(cell: str) -> bool:
    """Whether a cell is a name: neither empty, nor a number, nor a sign for a missing value."""
    if cell.lower() in ("", "na", "n/a", "none", "null"):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False
