"""DVCLive: a folder with a file per metric, which are one run."""

from pathlib import Path
from typing import TYPE_CHECKING

from lcx.readers.hyperparameters import in_file, told_by
from lcx.readers.table import long_table, run_name

if TYPE_CHECKING:
    import pandas as pd

_PLACES = ("plots/metrics", "plots/scalars", "scalars")  # of the metrics; the later ones in older versions


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the run: plots/metrics/train/loss.tsv is the metric "train/loss".

    Args:
        path: the folder that DVCLive writes, by default dvclive. Its metrics.json holds only last values and is not read.

    Returns:
        The table of :func:`lcx.readers.table.long_table`; steps count from 1. Time is there if the files have timestamps. What
        ``Live.log_params`` wrote into params.yaml is ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`).

    Raises:
        ValueError: there are no metrics, or a file has no columns "step" and value, or a cell that is not a number.
    """
    import pandas as pd

    folder = Path(path)
    run, points = run_name(folder), []
    metrics = _metrics(folder)
    for file in sorted(metrics.rglob("*.tsv")) if metrics else []:
        name = file.relative_to(metrics).with_suffix("").as_posix() if metrics else file.stem
        points += [(run, name, *point) for point in _points(file)]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"])
    return long_table(frame, folder, attrs={"hyperparameters": told_by({run: in_file(folder / "params.yaml")})})


def is_log(folder: Path) -> bool:
    """Whether a folder is what DVCLive writes."""
    return _metrics(folder) is not None


def _metrics(folder: Path) -> Path | None:
    return next((at for place in _PLACES if (at := folder / place).is_dir() and next(at.rglob("*.tsv"), None)), None)


def _points(file: Path) -> list[tuple[float, float, float | None]]:
    """Steps, values, times (seconds) of one metric; its column has the last part of the name, and others may tell the time."""
    header, *rows = [line.split("\t") for line in file.read_text("utf-8").splitlines() if line] or [[]]
    if "step" not in header:
        raise ValueError(f"expected a column 'step' in {file}, got {', '.join(header) or 'none'}; write it with DVCLive")
    step, time = header.index("step"), header.index("timestamp") if "timestamp" in header else None
    value = next((i for i in reversed(range(len(header))) if i not in (step, time)), None)
    points = []
    for position, row in enumerate(rows, 2):
        try:
            points.append((float(row[step]), float(row[value or 0]), None if time is None else float(row[time]) / 1000))
        except (ValueError, IndexError) as error:
            if position == len(rows) + 1:  # it is being written
                break
            raise ValueError(f"expected numbers under {header} in {file}, got {row} in line {position}; mend that line") from error
    return points
