"""The settings of a run, in the small files that training tools write beside its log: how long it was planned to be."""

import re
from pathlib import Path
from typing import Any

from lcx.readers.encodings import json_of
from lcx.readers.plain_yaml import entries

FILES = ("args.yaml", "args.yml", "hparams.yaml", "config.yaml", "config.yml", "opt.yaml", "hyp.yaml", ".hydra/config.yaml")
FILES += ("args.json", "hparams.json", "config.json", "params.json", "training_args.json")
STEPS = ("max_steps", "total_steps", "num_steps", "max_iters", "max_iter", "total_iters", "num_iterations", "max_iterations", "iterations")
STEPS += ("total_timesteps", "n_timesteps", "train_steps", "num_train_steps", "max_train_steps", "num_training_steps")
EPOCHS = ("epochs", "num_epochs", "max_epochs", "n_epochs", "num_train_epochs", "max_epoch", "total_epochs", "nb_epoch", "nepochs")
_ABOVE = {"trainer", "train", "training", "train_cfg", "args", "hparams", "params", "config"}  # what such a setting may stand in
_LARGEST = 1 << 20  # a larger file holds data


def settings_beside(folder: Path) -> dict[str, dict[str, float]]:
    """The numbers in the files of :data:`FILES` in a folder: {file: {name: number}}. Names in nested objects are joined by "/"."""
    found = {}
    for name in FILES:
        try:
            told = settings_in(folder / name)
        except ValueError:  # neither text nor JSON
            continue
        if numbers := {key: number for key, value in told.items() if (number := _number(value)) is not None}:
            found[name] = numbers
    return found


def settings_in(file: Path) -> dict[str, Any]:
    """Names and values in a file of settings, JSON or plain YAML (values as text); nested names are joined by "/".

    There are none if there is no such file, or it is so large that it holds data.

    Raises:
        ValueError: it is neither text nor JSON.
        OSError: it cannot be opened.
    """
    if not file.is_file() or file.stat().st_size >= _LARGEST:
        return {}
    text = file.read_text(encoding="utf-8")
    if "\0" in text:
        raise ValueError("expected text, got binary data; write it again")
    told = leaves(json_of(text)) if file.suffix == ".json" else entries(text)
    return {name.removesuffix("/value"): value for name, value in told.items()}  # as W&B writes its config.yaml


def leaves(told: Any) -> dict[str, Any]:
    """Names and values of an object in which others may be nested, however deeply; their names are joined by "/"."""
    found, left = {}, [("", told)] if isinstance(told, dict) else []
    while left:
        above, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{above}/{name}" if above else str(name), inner) for name, inner in reversed(value.items())]
        else:
            found[above] = value
    return found


def planned_end(settings: dict[str, float], counter: str | None, epoch: float | None = None) -> tuple[float, str] | None:
    """The last step that the settings of a run plan, and the name of the setting.

    A number of epochs tells it if the steps are epochs, or if it is known how many steps an epoch has; a number of steps if they are not.

    Args:
        settings: {name: number}.
        counter: name of what counts the steps; None if it has none, "row" if the rows of the log are counted.
        epoch: steps in an epoch, if the log has both.

    Returns:
        None if no setting tells it in the unit of the steps, or several do and disagree.
    """
    if counter == "row":
        return None
    in_epochs = counter is not None and "epoch" in counter.lower()
    units = {EPOCHS: 1.0} if in_epochs else {STEPS: 1.0} | ({EPOCHS: epoch} if epoch else {})
    for names, unit in units.items():
        told = {value * unit: name for name, value in settings.items() if value > 0 and stands_for(name) in names}
        if len(told) == 1:
            return next(iter(told.items()))
        if told:
            return None
    return None


def stands_for(name: str) -> str | None:
    """The setting that a nested name is, such as "trainer/max_epochs"; None if it stands in something else, such as a scheduler."""
    *above, last = re.split(r"[/.]", name.lower().replace("-", "_"))
    return last if set(above) <= _ABOVE else None


def _number(value: object) -> float | None:
    """A setting as a number; None if it is none, or is negative, which stands for no limit."""
    text = "" if isinstance(value, bool) else str(value)
    return float(text.replace("_", "")) if re.fullmatch(r"[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?", text) else None
