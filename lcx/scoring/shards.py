"""Scores Parquet files of any size part by part: bounded memory, whole parts only, and a run that was killed goes on where it was."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm.auto import tqdm

from lcx.extrapolator import load
from lcx.files import write_atomically, write_text
from lcx.scoring.parts import Part, empty, files_of, footer, plan, tables
from lcx.scoring.scorer import READ, BatchScorer

MANIFEST = "_lcx.json"  # readers of a folder of Parquet files skip names that start with an underscore or a dot
_MARK, _ERRORS = b"lcx", b"lcx_errors"


class Summary(NamedTuple):
    """What came of a shard.

    Attributes:
        rows, errors: curves, and those of them with an error.
        parts, found: parts, and those of them that were there before.
        missing: parts of all shards that are not there yet.
    """

    rows: int
    errors: int
    parts: int
    found: int
    missing: int


def score(
    source: Path,
    folder: Path,
    scorer: BatchScorer,
    *,
    shard: tuple[int, int] = (0, 1),
    rows: int = 1 << 12,
    workers: int = 1,
    progress: bool = True,
) -> Summary:
    """Scores Parquet files, a row per curve, into parts of ``rows`` rows in ``folder``; may be killed and called again at any time.

    Parts hold the columns that :class:`BatchScorer` writes, and ``row``, the number of the curve over all input files from 0. A part
    appears whole or not at all. Parts that are there are kept, whichever shard or number of shards wrote them.

    Args:
        source: a Parquet file, or a folder with some, read in the order of their names.
        folder: of the output; is created if missing.
        scorer: what to ask of every batch.
        shard: (i, n), the i-th of n equal runs of parts, i from 0: processes that share nothing but the folder take one each.
        rows: curves per part; so much work is lost at most when a process is killed.
        workers: processes; more than one share the cores between them.
        progress: show a bar.

    Raises:
        ValueError: no rows, an i outside 0..n-1, an input that is not Parquet or lacks a column, or the folder is that of the input, or
            holds answers to another input or other settings, or parts of something else.
        OSError: an input that cannot be read; a worker that was killed.
    """
    i, n = shard
    if not 0 <= i < n or rows < 1 or workers < 1:
        raise ValueError(f"expected shard i/n with i in 0..n-1, rows and workers >= 1, got {i}/{n}, {rows}, {workers}; count from 0")
    parts = plan(source, rows)
    mine = parts[len(parts) * i // n : len(parts) * (i + 1) // n]
    _check(mine, scorer)
    folder.mkdir(parents=True, exist_ok=True)
    mark = _claim(folder, source, scorer, rows)
    errors = {part: found for part in mine if (found := _finished(folder, part, mark)) is not None}
    left = [part for part in mine if part not in errors]
    _sweep(folder, left)
    bar = tqdm(
        total=sum(p.stop - p.start for p in mine), unit="curves", disable=not progress, initial=sum(p.stop - p.start for p in errors)
    )
    found = len(errors)
    with bar:
        for part, wrong in _all(left, folder, scorer, mark, workers):
            errors[part] = wrong
            bar.update(part.stop - part.start)
    missing = sum(not (folder / part.name).exists() for part in parts)
    return Summary(bar.total, sum(errors.values()), len(mine), found, missing)


def _check(parts: list[Part], scorer: BatchScorer) -> None:
    """Refuses here, not in a worker, files of which no row could be scored."""
    for path in dict.fromkeys(part.source for part in parts):
        try:
            scorer(empty(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _all(parts: list[Part], folder: Path, scorer: BatchScorer, mark: str, workers: int) -> Iterator[tuple[Part, int]]:
    """Each part as it is finished, with its number of errors."""
    if workers == 1 or len(parts) < 2:
        yield from _some(parts, folder, scorer, mark)
        return
    context = get_context("spawn")  # forking a process with threads may hang
    runs = [parts[len(parts) * k // workers : len(parts) * (k + 1) // workers] for k in range(workers)]
    threads = max(1, torch.get_num_threads() // workers)
    processes = [context.Process(target=_work, args=(threads, run, folder, scorer, mark), daemon=True) for run in runs if run]
    for process in processes:
        process.start()
    try:
        while any(runs):
            codes = [process.exitcode for process in processes]
            if failed := next((code for code in codes if code), None):
                raise ChildProcessError(f"expected workers to end well, got exit code {failed} (-9: out of memory?); run it again to go on")
            # Workers tell nothing: a part is finished once it is there. Each makes its own in order, so only its next is looked for.
            for run in runs:
                while run and (None not in codes or (folder / run[0].name).exists()):
                    part = run.pop(0)
                    yield part, _finished(folder, part, mark) or 0
            time.sleep(0.1)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(threads: int, parts: list[Part], folder: Path, scorer: BatchScorer, mark: str) -> None:
    """What a worker runs; it ends with its parent, lest it writes beside a second run."""
    torch.set_num_threads(threads)
    parent = parent_process()
    for _ in _some(parts, folder, scorer, mark):
        if parent is not None and not parent.is_alive():
            return


def _some(parts: list[Part], folder: Path, scorer: BatchScorer, mark: str) -> Iterator[tuple[Part, int]]:
    import pyarrow as pa  # pyright: ignore[reportMissingImports]

    for part, table in tables(parts, [*READ, *scorer.keep]):
        answers = scorer(table)
        wrong = sum(error != "" for error in answers["error"].to_pylist())
        answers = answers.add_column(0, "row", pa.array(range(part.first, part.first + len(answers))))
        answers = answers.replace_schema_metadata({_MARK: mark, _ERRORS: str(wrong)})
        write_atomically(folder / part.name, partial(_write, answers), name=(f".{part.name}.", ""))
        yield part, wrong


def _write(answers: Any, path: str) -> None:
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

    with open(path, "wb") as opened:  # by Python, whose errors have a number
        pq.write_table(answers, opened)


def _claim(folder: Path, source: Path, scorer: BatchScorer, rows: int) -> str:
    """Writes down what the folder is for, or checks it; gives the mark that every part carries."""
    digest = hashlib.sha256()
    for weight in load(scorer.model, "cpu").model.state_dict().values():
        digest.update(weight.numpy().tobytes())
    files = [{"name": path.name, "bytes": path.stat().st_size, "footer": footer(path)} for path in files_of(source)]
    asked = {key: value for key, value in asdict(scorer).items() if key not in ("model", "device")}
    manifest = {"lcx": version("lcx"), "weights": digest.hexdigest(), "rows_per_part": rows, **asked, "input": files}
    text, path = json.dumps(manifest, indent=2) + "\n", folder / MANIFEST
    foreign = next(folder.glob("part-*.parquet"), None)  # looked for first: another shard writes the manifest, then parts
    if not path.exists():
        if foreign or (source.is_dir() and source.samefile(folder)):
            came = f"the folder of the input, {folder}" if foreign is None else f"{foreign}, which this command did not make"
            raise ValueError(f"expected a folder of its own for the answers, got {came}; give another folder")
        write_text(text, path)
    try:
        there = dict(json.loads(path.read_text()))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"expected what this command wrote in {path}, got something else ({error}); give another folder") from error
    if there != json.loads(text):
        name = next(key for key in {**there, **manifest} if there.get(key) != json.loads(text).get(key))
        raise ValueError(
            f"expected {folder} empty or begun with the same input and settings, got another {name!r}: {there.get(name)!r}, now "
            f"{manifest.get(name)!r}; give another folder"
        )
    return hashlib.sha256(text.encode()).hexdigest()


def _finished(folder: Path, part: Part, mark: str) -> int | None:
    """Number of errors in a part that is there, whole and of this mark; None if it is not."""
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]

    try:
        about = pq.read_metadata(folder / part.name)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:  # Arrow's own errors, of a damaged file, are of these kinds, with no number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return None
    notes = about.metadata or {}
    whole = notes.get(_MARK) == mark.encode() and about.num_rows == part.stop - part.start
    return int(notes[_ERRORS]) if whole else None


def _sweep(folder: Path, parts: list[Part]) -> None:
    """Removes what killed processes left of parts about to be made, and what bears their names but is not whole or foreign."""
    for part in parts:
        (folder / part.name).unlink(missing_ok=True)
    names = {part.name for part in parts}
    for path in folder.glob(".part-*.parquet.*"):
        if path.name[1:].rpartition(".")[0] in names:
            path.unlink(missing_ok=True)
