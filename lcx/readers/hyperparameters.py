"""The hyperparameters of runs: what a run was told before it began, as its tool wrote it down; never a metric or a summary.

They are ``table.attrs["hyperparameters"]`` = {run: {name: value}} of what :func:`lcx.readers.read` gives. Curves come first: what cannot be
read here is left out with a warning, and never a reason to read no curve.
"""

import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.settings import FILES, leaves, settings_in
from lcx.readers.table import number

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COLUMNS = "config/"  # begins the names of columns that hold the configuration of the run in every row
BESIDE = ("csv", "huggingface", "jsonl", "sb3", "tensorboard", "text")  # formats whose hyperparameters may stand in a file beside the log
_LONGEST = 100  # characters; a longer text is a description or code
_WORDS = {"true": True, "false": False, "": None, "none": None, "null": None, "~": None}


class Hyperparameters(dict[str, Any]):
    """{name: value} of a run. Copies of a table share it, since pandas copies ``attrs`` in every step: do not change it."""

    def __deepcopy__(self, memo: object) -> "Hyperparameters":
        return self


def hyperparameters(told: dict[Any, Any]) -> Hyperparameters:
    """The hyperparameters in what a tool wrote down.

    Names in nested objects are joined by ".", also where the tool joined them by "/". Values are numbers, truth values and texts: a text
    that is a number, such as "0.1" of MLflow, is that number, and "True" and "false" are truth values. A list is a text, "[64, 64]".
    Left out are None, "None", "null" and NaN, which say that nothing was given, texts of more than 100 characters or several lines, and
    what W&B itself adds.

    >>> hyperparameters({"lr": "1e-3", "amp": "True", "model": {"sizes": [64, 64], "norm": None}, "optimizer": "adam"})
    {'lr': 0.001, 'amp': True, 'model.sizes': '[64, 64]', 'optimizer': 'adam'}
    """
    named = ((name.replace("/", "."), _value(value)) for name, value in leaves(told).items())
    return Hyperparameters({name: value for name, value in named if value is not None and name.partition(".")[0] != "_wandb"})


def told_by(runs: Mapping[str, dict[Any, Any]]) -> dict[str, Hyperparameters]:
    """Those of each run that has any."""
    return {run: found for run, told in runs.items() if (found := hyperparameters(told))}


def of_rows(columns: Mapping[str, list[Any]], run: "np.ndarray", runs: int) -> list[Hyperparameters]:
    """Those of each run in columns such as "config/lr". One that changes during a run is left out: it was not known before.

    Args:
        columns: name and cells; None or NaN where nothing was written.
        run: the run, 0, 1, ..., of each row.
        runs: number of runs.
    """
    found: list[dict[str, Any]] = [{} for _ in range(runs)]
    codes = run.tolist()
    for column, cells in columns.items():
        name, changed = column.removeprefix(COLUMNS), set()
        for code, cell in zip(codes, cells, strict=True):
            if cell is not None and cell == cell and found[code].setdefault(name, cell) != cell:
                changed.add(code)
        for code in changed:
            del found[code][name]
    return [hyperparameters(told) for told in found]


def in_file(file: Path) -> dict[str, Any]:
    """Names and values in a JSON or YAML file; none, with a warning, if it cannot be read."""
    try:
        return settings_in(file) if os.path.isfile(file) else {}
    except (ValueError, OSError) as error:
        left_out(file, error)
        return {}


def left_out(source: object, reason: object) -> None:
    """Warns that hyperparameters cannot be read."""
    warnings.warn(f"{source}: hyperparameters are left out: {' '.join(str(reason).split())[:200]}", stacklevel=3)


def beside(read: Callable[..., "pd.DataFrame"], path: str | Path, **more: Any) -> "pd.DataFrame":
    """The table of a log, with the hyperparameters in the files beside it if the log itself has none.

    These are hparams.yaml of Lightning, params.json of Ray Tune, args.yaml of YOLO, .hydra/config.yaml and the others of
    :data:`lcx.readers.settings.FILES`; if there are several, the first that has a name counts. They are those of every run of the log.

    Args:
        read: reads the log.
        path: file or folder.
        more: for ``read``.
    """
    table = read(path, **more)
    own = table.attrs.pop("hyperparameters", None)
    if own is None:
        folder = os.fspath(path) if os.path.isdir(path) else os.path.dirname(path)
        files = [file for name in FILES if os.path.isfile(file := os.path.join(folder, name))]
        told = hyperparameters({name: value for file in reversed(files) for name, value in in_file(Path(file)).items()})
        own = dict.fromkeys(table["run"].unique(), told) if told else {}
    if own := {run: told for run, told in own.items() if told}:
        table.attrs["hyperparameters"] = own
    return table


def _value(told: Any) -> float | bool | str | None:
    if told is None or isinstance(told, (bool, int, float)):
        return None if told != told else told
    text = str(told).strip()
    if text.lower() in _WORDS or len(text) > _LONGEST or "\n" in text:
        return _WORDS.get(text.lower())
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return float(text)
    odd = number(text)
    return text if odd is None else None if odd != odd else odd
