"""Files written atomically: whole or not at all, whatever fails in between."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_text(text: str, path: Path, *, name: tuple[str, str] | None = None) -> None:
    """Writes a text file atomically; ``name`` as in :func:`write_atomically`."""
    write_atomically(path, lambda temporary: Path(temporary).write_text(text), name=name)


def write_atomically(path: Path, write: Callable[[str], Any], *, name: tuple[str, str] | None = None) -> None:
    """Lets ``write`` fill a temporary file, which then takes the place of ``path``; if it fails, nothing changes.

    Args:
        path: the file.
        write: called with the path of the temporary file, which is there and empty.
        name: how the name of the temporary file, in the same folder, begins and ends; default as that of ``path``, with .part before the
            ending, by which libraries tell the format.
    """
    prefix, suffix = name or (path.name, ".part" + path.suffix)
    # In the same folder, so that the final rename never crosses a file system.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb+") as written:  # on the disk before it has its name, should the machine fail
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
