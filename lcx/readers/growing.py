"""Files that grow: what was parsed of one is kept, and when lines have been added only these are parsed.

The bytes that were parsed are kept too and compared, so that a file that was rewritten, cut or mended in any place is read whole.
"""

from collections.abc import Callable
from typing import Any


class Growing:
    """What was parsed of a file.

    Attributes:
        done: its bytes, as far as its last line that has ended.
        parsed: what they were parsed to; None if nothing is kept.
    """

    def __init__(self) -> None:
        self.done, self.parsed = b"", None


def follow(growing: Growing, data: bytes, start: Callable[[str], Any], extend: Callable[[Any, str], Any]) -> Any:
    """What a file is parsed to, of which only the lines are parsed that were added since the last call.

    Args:
        growing: what the last call has kept; changed.
        data: the file as it is now.
        start: parses whole lines; None if they cannot be parsed line by line.
        extend: what was parsed, which it must not change, and the text that follows: whole lines, or at last one that has not ended.
            Gives what the text as a whole would be parsed to; None if that is not certain.

    Returns:
        What the whole file is parsed to; None if it must be read as a whole.
    """
    end, before = data.rfind(b"\n") + 1, len(growing.done)
    parsed = None
    if growing.parsed is not None and data.startswith(growing.done):
        new = _plain(data[before:end])
        parsed = None if new is None else extend(growing.parsed, new) if new else growing.parsed
    if parsed is None:
        text = _plain(data[:end])
        parsed = start(text) if text else None
    growing.done, growing.parsed = (b"", None) if parsed is None else (data[:end], parsed)
    half = _plain(data[end:])
    return None if parsed is None or half is None else extend(parsed, half) if half else parsed


def _plain(data: bytes) -> str | None:
    """The text of these bytes if it needs no more of the file to be decoded; None if it may be in another encoding than UTF-8."""
    if b"\0" in data or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
