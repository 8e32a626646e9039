"""The format of a text file, told from its beginning: logs, as against configurations and data sets."""

import json
import re
from itertools import islice, pairwise
from typing import Any

from lcx.readers.jsonl import flat
from lcx.readers.metric_names import direction_of
from lcx.readers.table import COUNTERS, RUNS
from lcx.readers.text_log import is_log

_SETTINGS = ("epochs", "steps", "iterations", "total_timesteps", "tokens", "samples", "size")  # counters, if their numbers rise


def recognise_text(text: str, end: str = "") -> str | None:
    """The format of a file that begins and ends so; None if it is no log."""
    text = text.lstrip()
    if text.startswith("#{") and '"t_start"' in text.partition("\n")[0]:
        return "sb3"
    if text[:1] in ("{", "[") and (found := _recognise_json(text)):
        return found
    if _is_table(text):
        return "csv"
    return "text" if is_log(text) or is_log(end) else None


def _is_table(text: str) -> bool:
    """Whether a table with a counter begins so. Names that a data set may have too count only if their numbers rise."""
    lines = list(islice((line for line in text.splitlines() if line.strip() and not re.match(r"#\W*$|#[{]", line)), 100))
    header = lines[0].lstrip("# ") if lines else ""
    separator = max(",;\t|", key=header.count)
    names = [cell.strip().strip('"').lower() for cell in header.split(separator)]
    if set(names) & (set(COUNTERS) - set(_SETTINGS)):
        return True
    rows = [line.split(separator) for line in lines[1:]]
    several = bool(set(names) & set(RUNS))
    return any(several or _rise([row[at] for row in rows if at < len(row)]) for at, name in enumerate(names) if name in _SETTINGS)


def _rise(cells: list[Any]) -> bool:
    """Whether these are numbers that rise."""
    try:
        numbers = [float(str(cell).strip(' "').partition("/")[0]) for cell in cells]
    except ValueError:
        return False
    return len(numbers) > 1 and numbers[0] < numbers[-1] and all(a <= b for a, b in pairwise(numbers))


def why_not(ending: str, text: str | None) -> str | None:
    """Why a file that begins so is no log; None if it is plainly another thing, such as a configuration or prose.

    Args:
        ending: of the file's name.
        text: its beginning, None if it is no text.
    """
    if text is None:
        return "no text" if ending in (".csv", ".tsv", ".jsonl", ".ndjson", ".log") else None
    if ending in (".csv", ".tsv"):
        return "no column counts the steps" if text.strip() else "empty"
    if ending in (".jsonl", ".ndjson") or (ending == ".json" and re.match(r"\s*\[\s*[\[{\d.-]", text)):
        return "no key counts the steps" if text.strip() else "empty"
    return "no lines with a step and a number" if ending == ".log" else None


def plain(text: str) -> str | None:
    """The format of a file that says nothing of steps: JSON, or a table with names above numbers; None if it is neither."""
    if re.match(r"\s*(\{|\[\s*([\[{\"\]]|null|NaN|[\d.eE+-]+\s*[,\]]))", text):
        return "jsonl"
    rows = [re.split(r"[,;\t| ]+", line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("#")][:2]
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
    names = {name for row in rows for name in row}
    if {name.lower() for name in names} & (set(COUNTERS) - set(_SETTINGS)):
        return "jsonl"
    if any(_rise([row[name] for row in rows if name in row]) for name in names if name.lower() in _SETTINGS):
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
    """Whether these are lists of numbers of one length, at least two long, and one has the name of a metric."""
    lists = list(row.values())
    if not any(direction_of(name) for name in row) or not all(isinstance(of, list) and len(of) > 1 for of in lists):
        return False
    same = all(len(a) == len(b) for a, b in pairwise(lists))
    return same and all(isinstance(x, (int, float, type(None))) and not isinstance(x, bool) for of in lists for x in of)
