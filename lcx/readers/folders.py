"""Which logs there are in a folder and its subfolders, what names each, and which files are one training."""

import os
from pathlib import Path

from lcx.readers import sb3, tensorboard
from lcx.readers.formats import reason_against, recognise
from lcx.readers.table import FIXED_NAMES, place

_ENDINGS = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson", ".db", ".sqlite", ".sqlite3", ".npz", ".wandb")
_WHOLE = ("metrics.json", "metrics.jsonl", "scalars.json")  # of a run that has a folder of its own


def logs_in(root: Path, format: str | None) -> tuple[dict[Path, tuple[str, Path]], dict[Path, str]]:
    """The logs in a folder and its subfolders, and the files that look like logs and are none.

    Returns:
        For each log, keyed by the file or folder that names it: the format, and what to read; text logs last. For each other file: why it
        is none.
    """
    logs: dict[Path, tuple[str, Path]] = {}
    left: dict[Path, str] = {}
    known: set[tuple[str, Path]] = set()
    for at, below, files in os.walk(root):
        folder = Path(at)
        below[:] = sorted(name for name in below if not name.startswith("."))
        if (whole := recognise(folder)) is not None and format in (None, whole):
            logs[_free(place(folder), folder, root, logs)] = (whole, folder)
            below.clear()
            continue
        for path in sorted((folder / file for file in files), key=_order):
            if not ("tfevents" in path.name or path.suffix.lower() in _ENDINGS) or _repeats(path, logs, known):
                continue
            found = recognise(path)
            if found is None and format is None and (reason := reason_against(path)) is not None:
                left[path] = reason
            if found is None or format not in (None, found):
                continue
            log = _whole(path, found, root)
            if (found, log) in known or (found == "tensorboard" and place(log) in logs):
                continue
            known.add((found, log))
            logs[_free(place(log), path, root, logs)] = (found, log)
    return dict(sorted(logs.items(), key=lambda log: log[1][0] == "text")), left


def told_otherwise(path: Path, logs: dict[Path, tuple[str, Path]]) -> bool:
    """Whether a tool that prints a text log writes the same into one of these, which names the whole folder or this file."""
    for where, (found, log) in logs.items():
        folder = log if log.is_dir() else log.parent
        whole = where.is_dir() or log.name in _WHOLE
        if found != "text" and ((whole and path.parent in (folder, folder.parent)) or log.name.startswith(f"{path.name}.")):
            return True
    return False


def _order(path: Path) -> tuple[bool, bool, str]:
    """The main log of a folder first, which has its name: before what tells the same or less."""
    return "tfevents" in path.name, path.name.endswith(("monitor.csv", ".npz")), path.name


def _whole(path: Path, found: str, root: Path) -> Path:
    """What is to be read: a file, or the folder of all the files that the tool wrote in this training."""
    if found == "huggingface" and path.name in FIXED_NAMES:
        return path.parent if path.parent == root else place(path)
    if found == "tensorboard":
        return path.parent if path.parent == root else tensorboard.training(path.parent)
    return path.parent if found == "sb3" and path in sb3.numbered(path.parent) else path


def _repeats(path: Path, logs: dict[Path, tuple[str, Path]], known: set[tuple[str, Path]]) -> bool:
    """Whether a file tells again what another log of the same training tells."""
    folder = path.parent
    if "tfevents" in path.name:  # the Trainer of Hugging Face writes them into runs/
        return any(at.name == "runs" and ("huggingface", at.parent) in known for at in folder.parents)
    if path.name == "result.json":
        return logs.get(folder) == ("csv", path.with_name("progress.csv"))
    if path.name == "trainer_state.json":
        return logs.get(place(path), ("", path))[1].name == "trainer_log.jsonl"
    if path.name == "trainer_log.jsonl":
        return path.with_name("trainer_state.json").is_file()
    return folder.name == "vis_data" and path.name != "scalars.json" and path.with_name("scalars.json").is_file()


def _free(where: Path, path: Path, root: Path, logs: dict[Path, tuple[str, Path]]) -> Path:
    """What names a log: its place, or its own path if another log has that name already or the place lies above the root."""
    return path if where in logs or not where.is_relative_to(root) else where
