"""Rows of a long benchmark in a file of JSON lines, each stored as it is found, so that the command may be interrupted and given again."""

import json
from pathlib import Path
from typing import Any, TextIO


def stored(path: Path) -> list[dict[str, Any]]:
    """What is there already; a line cut short by an interruption is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def appended(path: Path) -> TextIO:
    """The file to add rows to, below what an interruption may have cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and not (path.read_bytes() or b"\n").endswith(b"\n")
    out = path.open("a")
    out.write("\n" if cut else "")
    return out


def append(row: dict[str, Any], out: TextIO) -> None:
    """Adds a row and hands it to the operating system."""
    out.write(json.dumps(row) + "\n")
    out.flush()
