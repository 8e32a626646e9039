"""Logs of one's own runs as real curves to train on, some of them held out.

What :mod:`lcx.readers` can read becomes two folders in the format of :mod:`lcx.pretraining.sources`: one to train on, one held out.
A run's study is the folder that its log lies in, or the log itself if that holds several runs. Where no folder or log has two runs, as with
a folder for each run, all runs are one study. Of several studies a fifth is held out, of one a fifth of its runs. Runs that are there twice
count once, so none is on both sides.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lcx.files import write_atomically, write_text
from lcx.pretraining.sources import LARGEST, SHORTEST, Run
from lcx.readers import read

TRAINED, HELD_OUT = "real", "held_out"  # folders within that of the training run
NAME = "runs"  # of the files in each
_SHARE = 0.2  # of studies, or of runs, that is held out
_FEWEST, _STUDY = 5, 3  # runs that are needed, and runs of a study that can be held out as a whole


class Log(NamedTuple):
    """A run to train on or to hold out: name of its study, steps and values."""

    study: str
    run: Run


def convert_logs(
    path: Path, folder: Path, *, metric: str | None, mode: str | None, bounds: tuple[float | None, float | None], format: str | None = None
) -> list[str]:
    """Writes ``folder/real`` and ``folder/held_out``; gives what is to be said about runs that were left out.

    Args:
        path: log, or folder of logs.
        folder: of the training run.
        metric: which metric of the logs; None: the only one.
        mode: "max" if larger is better, "min" if smaller is; None: as the logs say.
        bounds: lower and upper limit of the metric, None where there is none.
        format: one of ``lcx.readers.FORMATS``; None: recognised.

    Raises:
        ValueError: no such metric, no direction, values outside the bounds, or too few runs.
        FileNotFoundError, ImportError: as :func:`lcx.readers.read`.
    """
    table = read(path, format)
    metric = _metric(table, metric, path)
    about = {"metric": metric, "direction": _mode(table, mode, path), "bounds": list(bounds), "source": str(path)}
    logs, notes = _usable(table[table["metric"] == metric], bounds, path)
    held = _held_out([log.study for log in logs], np.random.default_rng(0))
    # The held-out ones first: where there are files to train on, the rest has been written.
    _write([log for log, out in zip(logs, held, strict=True) if out], about, folder / HELD_OUT)
    _write([log for log, out in zip(logs, held, strict=True) if not out], about, folder / TRAINED)
    return notes


def _metric(table: Any, asked: str | None, path: Path) -> str:
    names = sorted(table["metric"].unique())
    if asked in names or (asked is None and len(names) == 1):
        return asked or names[0]
    came = "none named" if asked is None else repr(asked)
    raise ValueError(f"expected a metric out of {', '.join(names)} for the logs in {path}, got {came}; name it with --metric")


def _mode(table: Any, asked: str | None, path: Path) -> str:
    told = set(table.attrs.get("mode", {}).values())
    mode = asked or (told.pop() if len(told) == 1 else None)
    if mode not in ("min", "max"):
        raise ValueError(f"expected the direction of the metric in {path}, got {mode}; write --mode max or --mode min")
    return mode


def _usable(rows: Any, bounds: tuple[float | None, float | None], path: Path) -> tuple[list[Log], list[str]]:
    """The runs that can be learnt from, with their studies, and how many are left out for what reason."""
    lower, upper = (end if end is not None else sign * np.inf for end, sign in zip(bounds, (-1, 1), strict=True))
    logs, left, known = list[Log](), Counter[str](), set[bytes]()
    for name, points in rows.groupby("run", sort=True):
        steps, values = points["step"].to_numpy(float), points["value"].to_numpy(float)
        seen = np.isfinite(values)
        steps, values = steps[seen], values[seen]
        if len(values) and not lower <= values.min() <= values.max() <= upper:
            far = values.min() if values.min() < lower else values.max()
            raise ValueError(f"expected values within {lower:g} and {upper:g}, got {far:g} in {name}; correct --lower or --upper")
        digest = hashlib.blake2b(steps.tobytes() + values.tobytes()).digest()
        if len(values) < SHORTEST:
            left[f"with fewer than {SHORTEST} values"] += 1
        elif np.abs(values).max() > LARGEST:
            left[f"with values beyond {LARGEST:g}"] += 1
        elif digest in known:
            left["there twice"] += 1
        else:
            known.add(digest)
            logs.append(Log(str(name).rpartition("/")[0], Run(steps, values)))
    notes = [f"{count} run(s) {reason} left out" for reason, count in left.items()]
    if len(logs) < _FEWEST:
        came = f"{len(logs)} ({'; '.join(notes)})" if notes else str(len(logs))
        raise ValueError(f"expected {_FEWEST} or more runs to train on and to hold out in {path}, got {came}; give the folder of more runs")
    sizes = Counter(log.study for log in logs)
    return (logs if max(sizes.values()) > 1 else [Log("", log.run) for log in logs]), notes


def _held_out(studies: list[str], rng: np.random.Generator) -> list[bool]:
    """Which runs are held out, from the study of each."""
    sizes = Counter(studies)
    large = sorted(name for name, size in sizes.items() if size >= _STUDY)
    if len(sizes) > 1 and large:
        count = min(len(large), len(sizes) - 1, max(1, round(_SHARE * len(sizes))))
        chosen = {large[i] for i in rng.permutation(len(large))[:count]}
        return [name in chosen for name in studies]
    count = max(2, round(_SHARE * len(studies)))
    places = set(rng.permutation(len(studies))[:count].tolist())
    return [i in places for i in range(len(studies))]


def _write(logs: list[Log], about: dict[str, Any], folder: Path) -> None:
    """The two files of the format, the one that is looked for last."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.full((len(logs), max(len(log.run.values) for log in logs)), np.nan)
    steps = values.copy()
    for row, log in enumerate(logs):
        steps[row, : len(log.run.steps)], values[row, : len(log.run.values)] = log.run
    group = np.array([log.study or "." for log in logs])
    write_text(json.dumps(about, indent=2) + "\n", folder / f"{NAME}.json")
    write_atomically(folder / f"{NAME}.npz", lambda path: np.savez_compressed(path, values=values, steps=steps, group=group))
