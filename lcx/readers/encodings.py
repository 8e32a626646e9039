"""The text of a log, in whatever encoding a tool wrote it, and the JSON in it."""

import codecs
import json
from pathlib import Path
from typing import Any


def decode(data: bytes) -> str | None:
    """The text of these bytes; None if they are no text."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if b"\0" in data:
        for encoding, low in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):  # written without a mark
            if len(data) > 3 and not low.strip(b"\0"):
                return data.decode(encoding, errors="replace")
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(data) - 4:  # a file cut within a letter
            return data[: error.start].decode("utf-8")
    text = data.decode("cp1252", errors="replace")
    odd = sum(not (letter.isprintable() or letter.isspace()) for letter in text)
    return None if "�" in text or odd > 0.01 * len(text) else text


def text_of(data: bytes, path: Path) -> str:
    """The text of the file with these bytes, in UTF-8, UTF-16 or, as older programs of Windows write, in CP1252.

    Raises:
        ValueError: it is not text.
    """
    text = decode(data)
    if text is None:
        raise ValueError(f"expected a text file, got binary data in {path}, which starts with {data[:16]!r}; export it as CSV or JSONL")
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")  # as Macs once ended lines


def json_of(text: str) -> Any:
    """What ``json.loads`` gives.

    Raises:
        ValueError: it is not JSON, or is nested so deeply that no log is.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("expected JSON of a few levels, got hundreds; give the log itself") from None
