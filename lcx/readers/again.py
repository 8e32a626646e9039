"""Reads logs again and again, as a watch does: one that has not changed since is not read, but told again."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_TOGETHER = ("catboost", "sacred")  # formats of which a file is read together with those beside it


class Kept:
    """What was read of logs, each with the sizes and the times of change of its files, for :func:`lcx.readers.read`."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str | None, Path], tuple[Any, pd.DataFrame, list[Warning]]] = {}

    def read(self, read: Callable[[Path], "pd.DataFrame"], path: Path, format: str, step: str | None) -> "pd.DataFrame":
        """The table of a log, read if a file of it has changed, appeared or gone, and kept otherwise; with the same warnings.

        Args:
            read: what reads a log of this format, by this step column.
            path: file or folder.
            format: one of ``lcx.readers.FORMATS``, or one of one's own.
            step: column of the steps, if one is named.

        Raises:
            ValueError, ImportError: as ``read``; it is asked again the next time.
        """
        stamp, key = _stamp(path.parent if format in _TOGETHER and path.is_file() else path), (format, step, path)
        if key not in self._tables or self._tables[key][0] != stamp:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                table = read(path)
            self._tables[key] = (stamp, table, [warning.message for warning in caught if isinstance(warning.message, Warning)])
        _, table, said = self._tables[key]
        for message in said:
            warnings.warn(message, stacklevel=4)
        return table.copy(deep=False)


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of the file, also of the log that SQLite writes beside its own; of a folder, those of all its files."""
    files = [path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal"))]
    if path.is_dir():
        files = [Path(at, name) for at, _, names in os.walk(path) for name in names]
    return sorted((str(file), (about := file.stat()).st_size, about.st_mtime_ns) for file in files if file.is_file())
