"""Reads logs again and again, as a watch does: one that has not changed is told again, of one that has grown the new lines are parsed."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.growing import Growing
from lcx.readers.hyperparameters import BESIDE
from lcx.readers.settings import FILES

if TYPE_CHECKING:
    import pandas as pd

_BY_LINES = ("csv", "jsonl", "text")  # formats to which programs add lines
_TOGETHER = ("catboost", "sacred")  # formats of which a file is read together with those beside it


class Kept:
    """What was read of logs, each with the sizes and the times of change of its files, for :func:`lcx.readers.read`.

    A table, JSON lines or a text log that has grown is read as before, but only the lines that were added are parsed; the answer is that of
    the whole file.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str | None, Path], tuple[Any, pd.DataFrame, list[Warning]]] = {}
        self._growing: dict[tuple[str, str | None, Path], Growing] = {}

    def read(self, read: Callable[..., "pd.DataFrame"], path: Path, format: str, step: str | None) -> "pd.DataFrame":
        """The table of a log, read if a file of it has changed, appeared or gone, and kept otherwise; with the same warnings.

        Args:
            read: what reads a log of this format, by this step column.
            path: file or folder.
            format: one of ``lcx.readers.FORMATS``, or one of one's own.
            step: column of the steps, if one is named.

        Raises:
            ValueError, ImportError: as ``read``; it is asked again the next time.
        """
        beside = [os.path.join(path.parent, name) for name in FILES] if format in BESIDE else []
        stamp, key = _stamp(path.parent if format in _TOGETHER and path.is_file() else path, beside), (format, step, path)
        if key not in self._tables or self._tables[key][0] != stamp:
            more = {"growing": self._growing.setdefault(key, Growing())} if format in _BY_LINES else {}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                table = read(path, **more)
            self._tables[key] = (stamp, table, [warning.message for warning in caught if isinstance(warning.message, Warning)])
        _, table, said = self._tables[key]
        for message in said:
            warnings.warn(message, stacklevel=4)
        return table.copy(deep=False)


def _stamp(path: Path, beside: list[str]) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the file, also of the log that SQLite writes beside its own, and of the files ``beside`` that there
    are; of a folder, those of all its files.
    """
    files = [str(path), *(f"{path}{end}" for end in ("-wal", "-journal")), *beside]
    if path.is_dir():
        files = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]
    return sorted((file, (about := os.stat(file)).st_size, about.st_mtime_ns) for file in files if os.path.isfile(file))
