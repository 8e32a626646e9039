"""CatBoost: the folder catboost_info, in which one training writes its errors on the learning set and on each test set."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import long_table, number, run_name

if TYPE_CHECKING:
    import pandas as pd

_ERRORS = "_error.tsv"


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the training as one run, with metrics such as "learn/RMSE" and "test/RMSE", "test1/RMSE" for each test set.

    Args:
        path: the folder with learn_error.tsv, test_error.tsv, time_left.tsv and catboost_training.json; or that last file. All but one of
            the errors may lack.

    Returns:
        The table of :func:`lcx.readers.table.long_table`; steps are iterations from 1, time is in seconds since the start. ``attrs`` has
        the number of iterations as horizon and, if all metrics have the same, the direction as mode.

    Raises:
        ValueError: there are no errors in the folder, or a cell of them is not a number.
    """
    import pandas as pd

    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    run = run_name(folder)
    passed = {iteration: row["Passed"] / 1000 for iteration, row in _rows(folder / "time_left.tsv").items() if "Passed" in row}
    points = [
        (run, name, iteration + 1, value, passed.get(iteration))
        for file in sorted(folder.glob(f"*{_ERRORS}"))
        for iteration, row in _rows(file).items()
        for name, value in _named(file, row).items()
    ]
    about = folder / "catboost_training.json"
    told = about.read_text("utf-8", errors="replace") if about.is_file() else ""
    count, best = re.search(r'"iteration_count"\s*:\s*(\d+)', told), set(re.findall(r'"best_value"\s*:\s*"(\w+)"', told))
    attrs: dict[str, Any] = {"horizon": {run: float(count[1])}} if count else {}
    if best in ({"Min"}, {"Max"}):
        attrs["mode"] = {run: best.pop().lower()}
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"])
    return long_table(frame, folder, zero_based="never", attrs=attrs)


def is_log(folder: Path) -> bool:
    """Whether a folder is what CatBoost writes."""
    return (folder / f"learn{_ERRORS}").is_file() or (folder / f"test{_ERRORS}").is_file()


def _named(file: Path, row: dict[str, float]) -> dict[str, float]:
    """The row with the data set before each metric. Of several test sets all but the last have their number behind it: RMSE:0, RMSE."""
    kind = file.name.removesuffix(_ERRORS)
    parts = [(name.rpartition(":") if re.search(r":\d+$", name) else (name, "", "")) for name in row]
    last = max((int(position) for _, _, position in parts if position), default=-1) + 1
    sets = [int(position) if position else last for _, _, position in parts]
    return {f"{kind}{of or ''}/{name}": value for of, (name, _, _), value in zip(sets, parts, row.values(), strict=True)}


def _rows(file: Path) -> dict[int, dict[str, float]]:
    """The cells of a file by iteration; none if there is no such file. A training that went on has iterations twice: the last count."""
    lines = file.read_text("utf-8").splitlines() if file.is_file() else [""]
    header = lines[0].split("\t")[1:]
    rows = {}
    for position, line in enumerate(lines[1:], 2):
        try:
            iteration, *cells = line.split("\t")
            values = [float(cell) if (odd := number(cell)) is None else odd for cell in cells]
            rows[int(iteration)] = dict(zip(header, values, strict=True))
        except ValueError as error:
            if position == len(lines):  # it is being written
                break
            raise ValueError(
                f"expected numbers under {lines[0]!r} in {file}, got {line[:40]!r} in line {position}; mend that line"
            ) from error
    return rows
