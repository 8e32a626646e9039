"""Text logs: what nanoGPT, llm.c, Megatron, OpenMMLab, PaddleOCR, nnU-Net, fairseq, Keras and one's own loops print line by line."""

import math
from collections import defaultdict
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.encodings import text_of
from lcx.readers.growing import Growing, follow
from lcx.readers.objects import sheet
from lcx.readers.sheet import to_table
from lcx.readers.table import is_hidden
from lcx.readers.text_lines import Row, rows, whole

if TYPE_CHECKING:
    import pandas as pd

_ALIKE = ("iter", "iters", "iteration", "it", "itr", "step", "steps", "global_step")
_BEFORE = 3  # lines above the first of them that may belong to it, such as an evaluation at the start


class _Lines(NamedTuple):
    """Rows, the number of the lines that they were read from, and the lines that follow, of a table that has not ended."""

    rows: list[Row]
    count: int
    open: str


def read(path: str | Path, *, growing: Growing | None = None) -> "pd.DataFrame":
    """Reads the run of a text log.

    A line gives names with numbers, in any order: "step 250: train loss 1.9, val loss 2.1". A line without a counter belongs to the last
    counter before it. "Epoch [2][50/100]" is step 1.5; "iter 5/200" is step 5 and 200 the horizon. Of several values at a step the last
    one counts, as of a progress bar. A metric has values at two steps at least, unless the log has but one step. A name that stands in
    lines of training and of validation is told apart by "train/", "valid/" and the like. What is called "best" is not read.

    Args:
        path: the file.
        growing: what was read of it before; of the lines only those added since are then parsed.

    Returns:
        The table of :func:`lcx.readers.table.long_table`.

    Raises:
        ValueError: it is not text, or has no lines with a step and a number.
    """
    path = Path(path)
    data = path.read_bytes()
    known = None if growing is None else follow(growing, data, lambda text: _extended(_Lines([], 0, ""), text), _extended)
    found = rows(text_of(data, path)) if known is None else chain(known.rows, rows(known.open, known.count + 1))
    records, lines = _records(list(found))
    if not records:
        raise ValueError(f"expected lines such as 'step 10: loss 0.5' in {path}, got none with a step and a number; export the log as CSV")
    return to_table(sheet(records, lines), path)


def _extended(known: _Lines, text: str) -> _Lines:
    """These rows and those of the text that follows."""
    text = known.open + text
    end = whole(text) if text.endswith("\n") else len(text)
    return _Lines([*known.rows, *rows(text[:end], known.count + 1)], known.count + text.count("\n", 0, end), text[end:])


def is_log(text: str) -> bool:
    """Whether a text that begins or ends so is a log: two steps at least, with a metric that is no time and no setting."""
    records, _ = _records(list(rows(text)))
    seen = defaultdict(set)
    for record in records:
        for name, value in record.items():
            if isinstance(value, float) and not is_hidden(name):
                seen[name].add(tuple(count for count in record.values() if isinstance(count, str)))
    return any(len(steps) > 1 for steps in seen.values())


def _records(found: list[Row]) -> tuple[list[dict[str, Any]], list[int]]:
    """A record per step, in the order of the log, and the line of each."""
    found = _of_epochs(_one_name(_begun(found)))
    sections = defaultdict(set)
    for row in found:
        for section, name in row.metrics:
            sections[name].add(section)
    first_epoch = min((_count(row.counters["epoch"]) for row in found if "epoch" in row.counters), default=1)
    first_part = min((row.inner[0] for row in found if row.inner), default=1)
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    carried: dict[str, str] = {}
    for row in found:
        counters = row.counters
        if not counters and row.inner is None:
            counters = carried
        carried = carried | row.counters if row.counters else carried
        if "epoch" in carried and row.inner is not None:
            counters = counters | {"epoch": _within(carried["epoch"], row.inner, first_epoch == 0, first_part == 0)}
        elif "epoch" in counters and first_epoch == 0:
            counters = counters | {"epoch": _later(counters["epoch"])}
        if not counters or not row.metrics:
            continue
        named = {
            f"{section}/{name}" if section and len(sections[name]) > 1 and not name.lower().startswith(section) else name: value
            for (section, name), value in row.metrics.items()
        }
        if records and all(records[-1].get(name) == count for name, count in counters.items()):
            records[-1] |= named
        else:
            records.append(counters | named)
            lines.append(row.line)
    return _curves(records), lines


def _begun(found: list[Row]) -> list[Row]:
    """The rows from where the commonest kind of line that counts begins: before it stand source code, settings and the like."""
    counts = defaultdict(set)
    for row in found:
        if row.kind:
            counts[row.kind].add(tuple(row.counters.values()))
    commonest = max(counts, key=lambda kind: len(counts[kind]), default="")
    first = next((row.line for row in found if row.kind == commonest), 0)
    return [row for row in found if row.line >= first - _BEFORE]


def _of_epochs(found: list[Row]) -> list[Row]:
    """The rows where "Epoch 2, step 50/100" either counts within the epoch, or goes on over all of them: then it is no part of one."""
    parts = [(_count(row.counters["epoch"]), row.inner[0]) for row in found if row.inner and "epoch" in row.counters]
    goes_on = len({epoch for epoch, _ in parts}) > 1 and all(a < b or (a == b and now == then) for (now, a), (then, b) in pairwise(parts))
    if goes_on:
        return [row._replace(inner=None) for row in found]
    return [
        row._replace(
            counters={name: count for name, count in row.counters.items() if "epoch" in name or count != "{}/{}".format(*row.inner)}
        )
        if row.inner
        else row
        for row in found
    ]


def _one_name(found: list[Row]) -> list[Row]:
    """The rows with one name for counters that never stand in one line, such as "iter" and "step": they count the same."""
    lines = defaultdict(set)
    for position, row in enumerate(found):
        for name in row.counters:
            if name in _ALIKE:
                lines[name].add(position)
    known: list[str] = []
    same: dict[str, str] = {}
    for name in sorted(lines, key=lambda name: -len(lines[name])):
        known.append(name)
        same[name] = next((other for other in known if not lines[other] & lines[name]), name)
    return [row._replace(counters={same.get(name, name): count for name, count in row.counters.items()}) for row in found]


def _curves(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without the metrics that have a value in only one of several."""
    count: dict[str, int] = defaultdict(int)
    for record in records:
        for name in record:
            count[name] += 1
    least = min(2, max(count.values(), default=0))
    return [{name: value for name, value in record.items() if count[name] >= least} for record in records]


def _count(counter: str) -> float:
    return float(counter.partition("/")[0])


def _later(counter: str) -> str:
    """A counter from 0, counted from 1."""
    count, slash, total = counter.partition("/")
    return f"{float(count) + 1:.10g}{slash}{total}"


def _within(epoch: str, inner: tuple[int, int], from_0: bool, parts_from_0: bool) -> str:
    """How many epochs are over."""
    count, slash, total = epoch.partition("/")
    part = (inner[0] + parts_from_0) / max(inner[1], 1)
    return f"{math.floor(float(count)) - (not from_0) + min(part, 1):.10g}{slash}{total}"
