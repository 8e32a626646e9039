"""Lines of a text log as rows: names and numbers in whatever order and with whatever signs a tool prints them.

>>> list(rows("step:125/4875 val_loss:4.4 train_time:20ms"))[0].counters
{'step': '125/4875'}
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from lcx.readers.table import COUNTERS

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)(?:(?=ms)|(?![A-Za-z_]))"
_WORD = r"[A-Za-z_][\w.@/#%-]*(?:\([A-Za-z_ ]+\))?"
_PAIR = re.compile(
    rf"(?<![\w.])(?P<name>{_WORD}(?: +{_WORD})*)[\"']?(?P<sign>\s*[:=]\s*|\s+|(?=\[))[\"']?\[?\s*(?P<value>{_NUMBER})"
    r"(?:\s*/\s*(?P<total>\d+))?(?:[a-z]+(?:/[a-z]+)?)?(?=[\s,;:|)\]}\"'(%]|$)(?!:\d\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[ T_]|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?")
_LIST = re.compile(r"\[([^\[\]]*\d\s*,[^\[\]]*\d[^\[\]]*)\]")
_INNER = re.compile(r"[\]:,\s]*\[?\s*(?:(?:batch|step|iter(?:ation)?)\s*[:=]?\s*\[?\s*)?(\d+)\s*/\s*(\d+)(?=[\]\s,:(]|$)", re.IGNORECASE)
_BAR = re.compile(r"(\d+)/(\d+) \[\d+:\d\d")  # of tqdm
_SECTION = re.compile(
    r"(?:^|\||\(|[-:] )\s*(?P<name>train_inner|train|valid|val|test|eval|cur)(?:ing|idation|uation)?(?= on '|\s*[|:)]| set| epoch| metric)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"\s*[\w.]+(?:\s*:\s*\w+)?\s+=\s")  # source code or a list of settings
_SUMMARY = re.compile(r"train_runtime|best metric|@\[", re.IGNORECASE)  # the last: tables of COCO
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SECTIONS = ("train", "training", "val", "valid", "validation", "test", "testing", "eval", "evaluation")
_COUNTERS = {*COUNTERS, "update", "updates", "it", "itr"} - {"tokens", "samples", "size"}
_NO_NAMES = {
    "to",
    "from",
    "at",
    "in",
    "of",
    "than",
    "after",
    "is",
    "was",
    "for",
    "with",
    "by",
    "and",
    "over",
    "v",
    "took",
    "across",
    "cuda",
    "rank",
    "port",
}


class Row(NamedTuple):
    """A line with numbers.

    Attributes:
        line: its number, from 1.
        kind: what stands before its counter, without digits; "" if it counts nothing.
        counters: {name: "3" or "3/40"}; empty if the line counts nothing.
        inner: the part of the epoch that is over, (3, 40), if the line says so.
        metrics: {(section, name): number}; the section is train, valid, ... if the line says so, else "".
    """

    line: int
    kind: str
    counters: dict[str, str]
    inner: tuple[int, int] | None
    metrics: dict[tuple[str, str], float]


def rows(text: str) -> Iterator[Row]:
    """The lines that hold names with numbers. A carriage return ends a line, as a progress bar prints it."""
    if "\x08" in text or "\x1b" in text:
        text = re.sub("\x08+", "\r", _COLOURS.sub("", text))
    for number, line in enumerate(text.split("\n"), 1):
        for part in line.split("\r"):
            if any(letter.isdigit() for letter in part) and not _SUMMARY.search(part):
                row = _row(number, part)
                if row is not None:
                    yield row


def _row(number: int, text: str) -> Row | None:
    text = _DATE.sub(" ", text).replace("\t", "  ")
    if "np.float" in text:
        text = re.sub(r"np\.float\d+\(([^)]*)\)", r"\1", text)
    text = _LIST.sub(_mean, text)
    counters: dict[str, str] = {}
    metrics: dict[tuple[str, str], float] = {}
    inner, kind_of_line = None, ""
    told = _SECTION.search(text)
    section = told["name"].lower().replace("cur", "eval") if told else ""
    pairs = list(_PAIR.finditer(text))
    if len(pairs) == 1 and _ASSIGNED.match(text):
        return None
    for pair in pairs:
        name, blank = _name(pair["name"]), not pair["sign"].strip()
        last, _, kind = re.sub("^(train|valid|eval)_", "", name.split(" ")[-1].lower()).partition("(")
        if last in _COUNTERS or (last == "s" and pair.start() == 0 and not blank):
            if kind[:3] in ("val", "tes") and "epoch" not in last:
                continue  # counts the batches of a validation
            part = "epoch" in last and (_INNER.match(text, pair.end()) or _BAR.search(text, pair.end()))
            if part:
                inner = int(part[1]), int(part[2])
            kind_of_line = kind_of_line or re.sub(r"[\d\s]+", " ", text[: pair.start("value")])
            counters["step" if last == "s" else last] = pair["value"] + (f"/{pair['total']}" if pair["total"] else "")
        elif last in ("batch", "minibatch") and pair["total"]:
            inner = int(float(pair["value"])), int(pair["total"])
        elif not _is_prose(name, blank):
            first = name.split(" ")[0].lower()
            section = first if first in _SECTIONS else section  # "Test Loss: 0.2 Acc: 0.9"
            metrics[section, name] = float(pair["value"]) / (float(pair["total"] or 1) or 1)
    return Row(number, kind_of_line, counters, inner, metrics) if counters or metrics else None


def _mean(numbers: re.Match[str]) -> str:
    """The mean of a list of numbers, one for each class for example."""
    try:
        parts = [float(part) for part in numbers[1].split(",")]
    except ValueError:
        return numbers[0]
    return f"{sum(parts) / len(parts):.10g}"


def _name(words: str) -> str:
    """The name without what stands before it in the sentence: of "INFO epoch" the last word, where that counts."""
    parts = words.split()
    return parts[-1] if parts[-1].partition("(")[0].lower() in _COUNTERS else " ".join(parts)


def _is_prose(name: str, blank: bool) -> bool:
    words = name.lower().split(" ")
    return words[-1] in _NO_NAMES or len(words) > (2 if blank else 4) or "best" in words[:2]
