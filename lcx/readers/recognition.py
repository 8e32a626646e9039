"""The format of a text file, told from its beginning: logs, as against configurations and data sets."""

import json
import re
from itertools import pairwise
from typing import Any

from lcx.readers.jsonl import flat
from lcx.readers.table import COUNTERS
from lcx.readers.text_log import is_log

_SETTINGS = ("epochs", "steps", "iterations", "total_timesteps", "tokens", "samples", "size")  # counters, but alone a setting


def recognise_text(text: str, end: str = "") -> str | None:
    """The format of a file that begins and ends so; None if it is no log."""
    text = text.lstrip()
    if text.startswith("#{") and '"t_start"' in text.partition("\n")[0]:
        return "sb3"
    if text[:1] in ("{", "[") and (found := _recognise_json(text)):
        return found
    first = next((line for line in text.splitlines() if line.strip() and not re.match(r"#\W*$|#[{]", line)), "").lstrip("# ")
    columns = {cell.strip().strip('"').lower() for separator in ",;\t" for cell in first.split(separator)}
    if columns & set(COUNTERS):
        return "csv"
    return "text" if is_log(text) or is_log(end) else None


def plain(text: str) -> str | None:
    """The format of a file that says nothing of steps: JSON, or a table with names above numbers; None if it is neither."""
    if text.lstrip()[:1] in ("{", "["):
        return "jsonl"
    rows = [re.split(r"[,;\t ]+", line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("#")][:2]
    return "csv" if len(rows) == 2 and any(re.fullmatch(r'"?[+-]?[\d.]+(e[+-]?\d+)?%?"?', cell, re.I) for cell in rows[1]) else None


def _recognise_json(text: str) -> str | None:
    """The format of a JSON file that begins so; None if it is none.

    A log has a counter in one of its first lines or objects, or consists of lists of numbers of one length; a configuration or a data set
    does not.
    """
    if '"log_history"' in text:
        return "huggingface"
    if re.match(r'\{\s*"[^"]*"\s*:\s*\{\s*"(steps|timestamps|values)"\s*:\s*\[', text):  # {"loss": {"steps": [
        return "sacred"
    rows = list(_rows(text))
    if any("op_code" in row for row in rows):
        return "optuna"
    counters = set(COUNTERS) - set(_SETTINGS if len(rows) == 1 else ())
    if any(name.lower() in counters for row in rows for name in row):
        return "jsonl"
    return "jsonl" if any(map(_are_lists, rows)) else None


def _rows(text: str, most: int = 50) -> Any:
    """The first objects of JSON lines, of a list, or the only one, flattened; also of a file that is cut here."""
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(most):
        if at < 0:
            return
        try:
            row, end = decoder.raw_decode(text, at)
        except ValueError:
            at = text.find("\n{", at + 1) + 1 or -1
            continue
        if isinstance(row, dict):
            yield flat(row)
            for rows in row.values():
                if isinstance(rows, list):
                    yield from (flat(inner) for inner in rows[:most] if isinstance(inner, dict))
        at = text.find("{", end)


def _are_lists(row: dict[str, Any]) -> bool:
    """Whether these are lists of numbers of one length, at least two long."""
    lists = list(row.values())
    if not lists or not all(isinstance(of, list) and len(of) > 1 for of in lists):
        return False
    same = all(len(a) == len(b) for a, b in pairwise(lists))
    return same and all(isinstance(x, (int, float, type(None))) and not isinstance(x, bool) for of in lists for x in of)
