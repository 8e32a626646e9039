"""Curves of one source, and the two files that they become: ``<name>.npz`` and ``<name>.json`` (benchmarks/curves.py says what is in them).

``chosen.json`` says which part of each public source the model `general` saw: its studies, which of their runs where it saw a random
sample, and a digest of the result. The rest of a source stays unread by any fit or training.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHORTEST = 4  # points; benchmarks leave out more


class Source(NamedTuple):
    """Curves of one source, before padding."""

    curves: list[tuple[np.ndarray, np.ndarray]]  # steps and values of each
    groups: list[str]  # the study of each curve: its task
    about: dict[str, str]  # metric, direction, step_meaning, source, licence, preprocessing

    def take(self, kept: list[int]) -> "Source":
        """The curves of these positions."""
        return Source([self.curves[i] for i in kept], [self.groups[i] for i in kept], self.about)


class Chosen(NamedTuple):
    """The part of a source that was seen, a row of ``chosen.json``."""

    groups: list[str]
    runs: int  # of these groups, with at least SHORTEST points
    sample: str | None  # which of these runs, a bit each, hexadecimal; None for all of them
    digest: str  # of the files' arrays, see :func:`digest`


@cache
def chosen_parts() -> dict[str, Chosen]:
    """What ``chosen.json`` holds, by name of the source."""
    rows = json.loads((Path(__file__).parent / "chosen.json").read_text())
    return {name: Chosen(**row) for name, row in rows.items()}


def long_enough(source: Source) -> Source:
    """The curves of at least four points.

    Raises:
        ValueError: there is none.
    """
    kept = [i for i, (_, values) in enumerate(source.curves) if len(values) >= SHORTEST]
    if not kept:
        raise ValueError(f"expected curves of at least {SHORTEST} points, got none of {len(source.curves)}; check the input")
    return source.take(kept)


def chosen(source: Source, part: Chosen) -> Source:
    """The curves that were seen, out of all of a source in the order of its files.

    Raises:
        ValueError: the source has more or fewer runs in these studies than the version of it that was seen.
    """
    source = long_enough(source)
    wanted = set(part.groups)
    source = source.take([i for i, group in enumerate(source.groups) if group in wanted])
    if len(source.curves) != part.runs:
        raise ValueError(
            f"expected {part.runs} runs in the {len(wanted)} studies that were seen, got {len(source.curves)}; "
            "check out the commit that benchmarks/SOURCES.md names"
        )
    if part.sample is None:
        return source
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(part.sample), np.uint8), count=part.runs)
    return source.take(np.flatnonzero(bits).tolist())


def arrays(source: Source) -> dict[str, np.ndarray]:
    """The arrays of ``<name>.npz``: rows padded with NaN on the right; one row of steps if every curve begins on the longest one's.

    Infinite values become NaN, that is missing.
    """
    source = long_enough(source)
    steps, values = np.full((2, len(source.curves), max(len(t) for t, _ in source.curves)), np.nan)
    for row, (t, y) in enumerate(source.curves):
        steps[row, : len(t)], values[row, : len(y)] = t, np.where(np.isfinite(y), y, np.nan)
    longest = max((t for t, _ in source.curves), key=len)
    shared = all(np.array_equal(t, longest[: len(t)]) for t, _ in source.curves)
    return {"values": values, "steps": longest if shared else steps, "group": np.array(source.groups)}


def digest(data: dict[str, np.ndarray]) -> str:
    """The SHA-256 of groups, and of steps and values as float32 where there is a value, which padding does not change."""
    values = np.asarray(data["values"], "<f4")
    known = np.isfinite(values)
    steps = np.broadcast_to(np.asarray(data["steps"], "<f4"), values.shape)
    found = hashlib.sha256("\n".join(map(str, data["group"])).encode())
    for part in (known.sum(1, dtype="<i8"), steps[known], values[known]):
        found.update(part.tobytes())
    return found.hexdigest()


def write(source: Source, path: Path, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Writes <path>.npz and <path>.json, curves shorter than four points left out, and returns the arrays."""
    data = arrays(source)
    data |= {name: data[name].astype(dtype) for name in ("values", "steps")}
    sizes = {"n_curves": len(data["values"]), "n_steps": data["values"].shape[1], "n_groups": len(set(data["group"]))}
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not with_suffix, which would cut a name at its last dot.
    np.savez_compressed(f"{path}.npz", **data)  # pyright: ignore[reportArgumentType]
    Path(f"{path}.json").write_text(json.dumps({"name": path.name, **source.about, **sizes}, indent=1) + "\n")
    return data
