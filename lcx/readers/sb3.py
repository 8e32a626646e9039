"""Stable-Baselines3: monitor.csv, a row per episode of training, and evaluations.npz, a row per evaluation.

Its progress.csv is a plain table.
"""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from lcx.readers.encodings import json_of
from lcx.readers.table import long_table, run_name

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"r": "return", "l": "episode_length"}
_EVALUATIONS = {"results": "eval/mean_reward", "ep_lengths": "eval/mean_ep_length", "successes": "eval/success_rate"}


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the run of a monitor.csv or an evaluations.npz.

    Of each training episode: its return, its length, and what else was monitored, at the number of steps of the environment by its end.
    Of each evaluation: the mean over its episodes, at the number of steps of the training, named as SB3's logger names it.

    Args:
        path: monitor.csv or NAME.monitor.csv, an evaluations.npz, or a folder with 0.monitor.csv, 1.monitor.csv, ... of the environments
            that one training ran side by side: their episodes count together, in the order of time, as in SB3's ``load_results``.

    Returns:
        The table of :func:`lcx.readers.table.long_table`; time is in seconds since 1970 where the file tells it.

    Raises:
        ValueError: it is neither file, it is cut or damaged, or it holds pickled objects, which are never loaded.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _evaluations(path)
    return _monitors(path, numbered(path) if path.is_dir() else [path])


def numbered(folder: Path) -> list[Path]:
    """The monitors of environments that ran side by side."""
    return sorted(file for file in folder.glob("*.monitor.csv") if file.name.split(".")[0].isdigit())


def _monitors(path: Path, files: list[Path]) -> "pd.DataFrame":
    import pandas as pd

    episodes = [episode for file in files for episode in _episodes(file)]
    frame = pd.DataFrame(episodes).sort_values("t", kind="stable") if episodes else pd.DataFrame(columns=["r", "l", "t"])
    frame = frame.assign(run=run_name(path), step=frame["l"].cumsum(), time=frame["t"])
    long = frame.melt(["run", "step", "time"], [name for name in frame if name not in ("run", "step", "time", "t")], "metric").dropna()
    return long_table(long.assign(metric=long["metric"].replace(_NAMES)), path, zero_based="never")


def _episodes(file: Path) -> list[dict[str, float]]:
    """The rows of a monitor, whose first line tells when it began."""
    first, _, rest = file.read_text("utf-8").partition("\n")
    try:
        start = float(json_of(first.removeprefix("#"))["t_start"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'expected #{{"t_start": ...}} in the first line of {file}, got {first[:40]!r}; give SB3\'s monitor.csv'
        ) from error
    header, *rows = list(csv.reader(io.StringIO(rest))) or [[]]
    if not {"r", "l", "t"} <= set(header):
        raise ValueError(f"expected columns r, l and t in {file}, got {', '.join(header) or 'none'}; give SB3's monitor.csv")
    episodes = []
    for position, row in enumerate(rows, 3):
        try:
            cells = dict(zip(header, row, strict=True))
            episodes.append({name: value for name, cell in cells.items() if (value := _number(cell)) is not None})
            episodes[-1] |= {name: float(cells[name]) for name in ("r", "l")} | {"t": start + float(cells["t"])}
        except ValueError as error:
            if position == len(rows) + 2:  # it is being written
                return episodes
            raise ValueError(f"expected numbers under {header} in {file}, got {row} in line {position}; mend that line") from error
    return episodes


def _number(cell: str) -> float | None:
    """A cell as a number, also True and False; None if it is neither."""
    try:
        return {"True": 1.0, "False": 0.0}[cell] if cell in ("True", "False") else float(cell)
    except ValueError:
        return None


def _evaluations(path: Path) -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("timesteps", *_EVALUATIONS) if name in file}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f"expected the evaluations of SB3 in {path}, got a file where {error}; copy it again from the training") from error
    steps = arrays.get("timesteps")
    shapes = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "biuf"}
    if (
        steps is None
        or not steps.size
        or {"timesteps", "results"} - set(shapes)
        or any(len(array) != len(steps) for array in arrays.values())
    ):
        raise ValueError(
            f"expected numbers in timesteps and results, of one length, in {path}, got {shapes or 'none'}; give SB3's own file"
        )
    parts = [
        pd.DataFrame({"run": run_name(path), "metric": name, "step": steps, "value": arrays[key].reshape(len(steps), -1).mean(axis=1)})
        for key, name in _EVALUATIONS.items()
        if key in arrays
    ]
    return long_table(pd.concat(parts), path, zero_based="never")
