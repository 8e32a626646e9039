"""SQLite databases of other tools, opened for reading alone."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from lcx.readers.hyperparameters import left_out

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


def rows_if_any(database: Any, query: str) -> list[tuple[Any, ...]]:
    """The rows of hyperparameters; none, with a warning, if SQLite cannot read them."""
    import sqlite3

    try:
        return database.execute(query).fetchall()
    except sqlite3.Error as error:
        left_out(database.execute("PRAGMA database_list").fetchone()[2], error)
        return []
