"""Writes files atomically: whole or not at all, whatever fails in between."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_text(text: str, path: Path, *, name: tuple[str, str] | None = None) -> None:
    """Writes a text file atomically; ``name`` as in :func:`write_atomically`."""
    write_atomically(path, lambda temporary: Path(temporary).write_text(text), name=name)


def write_atomically(path: Path, write: Callable[[str], Any], *, name: tuple[str, str] | None = None) -> None:
    """Lets ``write`` fill a temporary file, which then replaces ``path``. If ``write`` fails, ``path`` stays as it was.

    Args:
        path: the file.
        write: called with the path of the temporary file, which exists and is empty.
        name: beginning and ending of the name of the temporary file, which lies in the same folder. Default: those of ``path``, with .part
            before the suffix, because libraries tell the format by the suffix.
    """
    prefix, suffix = name or (path.name, ".part" + path.suffix)
    # In the same folder, so that the final rename never crosses a file system.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb+") as written:  # flushed to the disk before it gets its name, in case the machine fails
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
