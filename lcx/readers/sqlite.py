"""SQLite databases of other tools, opened for reading alone."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

Read = TypeVar("Read")


def read_database(file: Path, rows: Callable[[Any], Read], tool: str, advice: str) -> Read:
    """What ``rows`` makes of a connection to the database.

    Raises:
        ValueError: SQLite cannot read it; the message names the tool and gives the advice.
    """
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return rows(database)
    except sqlite3.Error as error:
        raise ValueError(f"expected a database of {tool}, got {file}, where SQLite says {str(error)!r}; {advice}") from error
