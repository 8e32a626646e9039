"""Lines of a text log as rows: names and numbers in whatever order and with whatever signs a tool prints them.

>>> list(rows("step:125/4875 val_loss:4.4 train_time:20ms"))[0].counters
{'step': '125/4875'}
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lcx.readers.table import COUNTERS

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)(?:(?=ms)|(?![A-Za-z_]))"
_WORD = r"[A-Za-z_][\w.@/#%-]*(?:'s(?= )|\([A-Za-z_ ]+\))?"
_PAIR = re.compile(
    rf"(?<![\w.])(?P<name>{_WORD}(?: +{_WORD})*)[\"']?(?P<sign>\s*[:=]\s*|\s+|(?=\[))[\"']?\[?\s*(?P<value>{_NUMBER})"
    r"(?:\s*/\s*(?P<total>\d+))?(?:[a-z]+(?:/[a-z]+)?)?(?=[\s,;:|)\]}\"'(%]|\.?(?:\s|$))(?!:\d\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[ T_]|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?")
_LIST = re.compile(r"\[([^\[\]]*\d\s*,[^\[\]]*\d[^\[\]]*)\]")
_INNER = re.compile(r"[\]:,|\s-]*\[?\s*(?:(?:batch|step|iter(?:ation)?)\s*[:=]?\s*\[?\s*)?(\d+)\s*/\s*(\d+)(?=[\]\s,:(]|$)", re.IGNORECASE)
_ROUND = re.compile(r"\s*(?:\[(\d+)\]|(\d+):)\s+(?=[A-Za-z_])")  # of XGBoost, LightGBM and CatBoost
_CELLS = re.compile(r"\|( *[\w/]+) *\| *([^|\s]*) *\|\s*$")  # a name and a number
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


def rows(text: str, first: int = 1) -> Iterator[Row]:
    """The lines that hold names with numbers. A carriage return ends a line, as a progress bar prints it.

    Lines of two cells such as "| ep_rew_mean | 20.5 |" are one row together, as Stable-Baselines3 and SpinningUp print them. Its cells are
    one when another line follows.

    Args:
        text: the lines.
        first: the number of the first of them.
    """
    text = _plain(text)
    group, cells = "", {}
    for number, line in enumerate(text.split("\n"), first):
        if pair := _CELLS.match(line):
            if not pair[2]:
                group = pair[1]
            elif (value := _number(pair[2])) is not None:
                cells[group + pair[1] if pair[1].startswith(" ") else pair[1]] = value, pair[2]
            continue
        if cells:
            yield _table(number - 1, cells)
            group, cells = "", {}
        for part in line.split("\r"):
            if any(letter.isdigit() for letter in part) and not _SUMMARY.search(part):
                row = _row(number, part)
                if row is not None:
                    yield row


def whole(text: str) -> int:
    """How many letters of lines that have ended belong to rows that have ended too: more cells may join those at the end of a table."""
    end = len(text)
    while end and _CELLS.match(_plain(text[(start := text.rfind("\n", 0, end - 1) + 1) : end - 1])):
        end = start
    return end


def _plain(text: str) -> str:
    """The text without colours, and with carriage returns for what was gone back."""
    return re.sub("\x08+", "\r", _COLOURS.sub("", text)) if "\x08" in text or "\x1b" in text else text


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _table(number: int, cells: dict[str, tuple[float, str]]) -> Row:
    """The row of a table of two columns that ends in this line."""
    told = {name.replace(" ", ""): cell for name, cell in cells.items()}
    counters = {name.lower(): text for name, (_, text) in told.items() if name.lower() in _COUNTERS}
    return Row(number, "table", counters, None, {("", name): value for name, (value, _) in told.items() if name.lower() not in counters})


def _row(number: int, text: str) -> Row | None:
    text = _DATE.sub(" ", text).replace("\t", "  ")
    if "np.float" in text:
        text = re.sub(r"np\.float\d+\(([^)]*)\)", r"\1", text)
    text = _LIST.sub(_mean, text) if "," in text and "[" in text else text
    counters: dict[str, str] = {}
    metrics: dict[tuple[str, str], float] = {}
    inner, kind_of_line = None, ""
    told = _SECTION.search(text)
    section = told["name"].lower().replace("cur", "eval") if told else "val" if text.lstrip().startswith("* ") else ""
    if begins := _ROUND.match(text):
        kind_of_line, counters["iteration"] = "round", begins[1] or begins[2]
    pairs = list(_PAIR.finditer(text))
    if len(pairs) == 1 and _ASSIGNED.match(text):
        return None
    for pair in pairs:
        blank = not pair["sign"].strip()
        name, last, kind, part, prose = _name(pair["name"], blank)
        if name.lower() == "train" and _INNER.match(text, pair.end()):  # of timm: "Train: 3 [50/100 (50%)]"
            last = "epoch"
        if last in _COUNTERS or (last == "s" and pair.start() == 0 and not blank):
            if kind[:3] in ("val", "tes") and "epoch" not in last:
                continue  # counts the batches of a validation
            over = (_INNER.match(text, pair.end()) or _BAR.search(text, pair.end())) if "epoch" in last else None
            if over:
                inner = int(over[1]), int(over[2])
            kind_of_line = kind_of_line or re.sub(r"[\d\s]+", " ", text[: pair.start("value")])
            counters["step" if last == "s" else last] = pair["value"] + (f"/{pair['total']}" if pair["total"] else "")
        elif last in ("batch", "minibatch") and pair["total"]:
            inner = int(float(pair["value"])), int(pair["total"])
        elif not prose:
            section = part or section  # "Test Loss: 0.2 Acc: 0.9"
            metrics[section, name] = float(pair["value"]) / (float(pair["total"] or 1) or 1)
    return Row(number, kind_of_line, counters, inner, metrics) if counters or metrics else None


def _mean(numbers: re.Match[str]) -> str:
    """The mean of a list of numbers, one for each class for example."""
    try:
        parts = [float(part) for part in numbers[1].split(",")]
    except ValueError:
        return numbers[0]
    return f"{sum(parts) / len(parts):.10g}"


@lru_cache(maxsize=4096)
def _name(words: str, blank: bool) -> tuple[str, str, str, str, bool]:
    """What the words before a number say; ``blank`` if nothing but blanks stands between.

    Returns:
        The name, without what stands before it in the sentence if it counts ("INFO epoch"); its last word without what is in brackets
        after it; that; the section, if it begins with one; whether the words are prose.
    """
    parts = words.split()
    if parts[-1].lower() in ("is", "was") and len(parts) > 1:  # "val loss is 0.5"
        parts, blank = parts[:-1], False
    last, _, kind = re.sub("^(train|valid|eval)_", "", parts[-1].lower()).partition("(")
    name = parts[-1] if last in _COUNTERS else " ".join(parts)
    low = [part.lower() for part in parts]
    prose = low[-1] in _NO_NAMES or len(parts) > (2 if blank else 4) or "best" in low[:2]
    return name, last, kind, low[0] if low[0] in _SECTIONS else "", prose
