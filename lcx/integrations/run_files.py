"""The folder in which the runs of a study keep their curves for each other: names, files, and what other runs have written.

A run has a file of its own, in JSON Lines: first a line about the run, then one per report, appended. ``lcx runs`` reads the folder too.
Other files may lie there. What cannot be read is left out with a warning, because a training must not end for it.
"""

import json
import math
import time
from collections.abc import Callable, Container, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import quote

from lcx.files import write_text
from lcx.stopping.intake import as_horizon, as_run, as_step, as_value
from lcx.stopping.notices import Notices
from lcx.stopping.stopper import EarlyStopper

RESOURCES = ("steps", "time")
_LONGEST = 150  # characters in the name of a file before a digest takes the place of the rest; file systems take 255 bytes
_SETTLED = 2 * 10**9  # nanoseconds: a file changed less than this before it was read may change again without a new time
_NOTICES = Notices()  # of this process: copies of a callback know nothing of each other


class Row(NamedTuple):
    """One report of a run."""

    step: float
    time: float | None  # seconds trained so far; None if unknown
    value: float | None  # None if not finite


def as_name(run: Any) -> str | Callable[[], Any] | None:
    """A name for a run, a function that gives one, or None.

    Raises:
        TypeError, ValueError: it is neither, or empty.
    """
    if callable(run) or run is None:
        return run
    if not (name := str(as_run(run))):
        raise ValueError("expected run as a name, got an empty one; leave it out, and each training gets a name of its own")
    return name


def new_name() -> str:
    """A name that no other run has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{token_hex(3)}"


def file_name(run: str) -> str:
    """The name of the file of a run."""
    quoted = quote(run, safe=" =,+")
    if len(quoted) > _LONGEST:
        quoted = f"{quoted[:_LONGEST]}~{sha256(run.encode()).hexdigest()[:12]}"
    return f"{quoted}.jsonl"


def as_row(step: Any, seconds: Any, value: Any) -> Row:
    """A report of any types of numbers.

    Raises:
        TypeError, ValueError: one of them is not a number, or the step not > 0.
    """
    numbers = (None if math.isnan(number := as_value(x)) else number for x in (seconds, value))
    return Row(as_step(step), *numbers)


def line(row: Row, metric: str) -> str:
    """The line of a report."""
    value = math.nan if row.value is None else row.value
    return json.dumps({"step": row.step, "time": row.time, metric: value}) + "\n"


def write(path: Path, about: dict[str, Any], rows: list[Row]) -> None:
    """Writes the file of a run anew, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"lcx": about}) + "\n" + "".join(line(row, about["metric"]) for row in rows)
    write_text(text, path, name=("lcx", ".partial"))  # others read *.jsonl meanwhile


def append(path: Path, text: str) -> None:
    """Adds lines to the file of a run.

    Raises:
        OSError: the file is gone, perhaps because the run is to be forgotten, or cannot be written.
    """
    with path.open("r+") as file:
        file.seek(0, 2)
        file.write(text)


def read(path: Path, metric: str) -> tuple[dict[str, Any], list[Row]]:
    """What the file says about its run, and the reports that have the metric. Warns once of a file with lines that cannot be read.

    Raises:
        OSError: the file cannot be read at all.
    """
    about, rows, odd, data = {}, [], 0, path.read_bytes()
    lines = data.splitlines()
    for position, text in enumerate(lines, 1):
        try:
            found = json.loads(text)
            if "lcx" in found:
                about = found["lcx"] | {"horizon": as_horizon(found["lcx"]["horizon"])}
            elif {"step", metric} <= found.keys():
                rows.append(as_row(found["step"], found.get("time"), found[metric]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # A last line that only begins is being written, or was cut by a crash.
            odd += position < len(lines) or data.endswith(b"\n") or not text.startswith(b"{")
    if odd:
        _NOTICES.warn(path, "%s: left out %d line(s) that are no report of a run; keep other files elsewhere", path, odd)
    return about, rows


class RunFolder:
    """The folder as one run sees it.

    Args:
        folder: the folder; it need not exist.
        about: of this run: metric, mode, horizon, resource.
        ignore: names of other runs that are not read.
    """

    def __init__(self, folder: Path, about: dict[str, Any], ignore: Container[str]) -> None:
        self.folder, self.about, self.ignore = folder, about, ignore
        self._read: dict[Path, tuple[int, ...] | None] = {}  # when and how large each file was; None: to be read again
        self._fed: dict[str, list[tuple[float, float | None]]] = {}  # the curves of the other runs that the stopper has

    def path(self, run: str) -> Path:
        """The file of a run."""
        return self.folder / file_name(run)

    def find(self, run: str) -> str | None:
        """The name under which a run of this name and metric has written; None if it has not."""
        for name in _numbered(run):
            if not self.path(name).exists():
                return None
            if not self.path(name).is_file():
                continue
            about, rows = read(self.path(name), self.about["metric"])
            if about.get("metric", self.about["metric"] if rows else None) == self.about["metric"]:
                return name

    def claim(self, run: str) -> str:
        """Makes the file of a new run. If the name is taken, the run is called name-2, name-3, ..., which is said once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in _numbered(run):
            try:
                with self.path(name).open("x") as file:  # of several processes, one gets it
                    file.write(json.dumps({"lcx": {"run": name} | self.about}) + "\n")
            except FileExistsError:
                continue
            if name != run:
                said = "a run %r is in %s already, so this one is %r; give each training a name of its own, or leave run= out"
                _NOTICES.warn((self.folder, run), said, run, self.folder, name)
            return name
        raise AssertionError("the numbers never end")

    def bring(self, stopper: EarlyStopper, own: Path | None) -> None:
        """Brings the other runs that the stopper knows up to date; their names there are those of their files."""
        found = {path.stem: path for path in sorted(self.folder.glob("*.jsonl")) if path != own}
        for name, path in found.items():
            try:
                seen = path.stat()
                key = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
                if self._read.get(path) == key:
                    continue
                about, rows = read(path, self.about["metric"])
            except OSError as error:  # removed meanwhile, a folder, not ours to read
                _NOTICES.warn(path, "%s is left out, because it cannot be read: %s", path, error)
                continue
            self._read[path] = key if time.time_ns() - seen.st_mtime_ns > _SETTLED else None
            self._feed(stopper, name, about, rows if self._counts(name, path, about) else [])
        for name in self._fed.keys() - found:
            self._feed(stopper, name, {}, [])

    def _counts(self, name: str, path: Path, about: dict[str, Any]) -> bool:
        mode = about.get("mode", self.about["mode"])
        if about.get("metric", self.about["metric"]) == self.about["metric"] and mode != self.about["mode"]:
            said = "%s has mode %r and this run %r, so it is left out; correct the one or the other"
            _NOTICES.warn((path, mode), said, path, mode, self.about["mode"])
            return False
        return name not in self.ignore and str(about.get("run")) not in self.ignore

    def _feed(self, stopper: EarlyStopper, name: str, about: dict[str, Any], rows: list[Row]) -> None:
        """Gives the stopper what is new of a run; all of it if it was written anew."""
        timed = self.about["resource"] == "time"
        points = [(row.time if timed else row.step, row.value) for row in rows]
        points = [(at, value) for at, value in points if at]  # neither unknown nor before the first step
        before = self._fed.get(name, [])
        if points[: len(before)] != before:
            stopper.forget(name)
            before = []
        told = about.get("horizon") if about.get("resource") == self.about["resource"] else None
        last = max(told or stopper.horizon, *(at for at, _ in points[-1:]), 0.0)
        for at, value in points[len(before) :]:
            stopper.update(at, value, best=math.nan, run=name, horizon=last)  # NaN as the best: nothing to ask
        self._fed[name] = points


def _numbered(run: str) -> Iterator[str]:
    yield run
    yield from (f"{run}-{k}" for k in count(2))
