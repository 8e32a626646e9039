"""The settings of a run, in the small files that training tools write beside its log: how long it was planned to be."""

import re
from pathlib import Path
from typing import Any

from lcx.readers.encodings import json_of

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
        file = folder / name
        try:
            text = file.read_text(encoding="utf-8") if file.is_file() and file.stat().st_size < _LARGEST else ""
            settings = _json(json_of(text)) if text and file.suffix == ".json" else _yaml(text)
        except ValueError:  # neither text nor JSON
            continue
        if settings:
            found[name] = settings
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


def _json(data: Any, prefix: str = "") -> dict[str, float]:
    found = {}
    for name, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, dict):
            found |= _json(value, prefix if name == "value" else f"{prefix}{name}/")
        elif (number := _number(str(value))) is not None and not isinstance(value, bool):
            found[(prefix + name).removesuffix("/value")] = number
    return found


def _yaml(text: str) -> dict[str, float]:
    """The numbers of plain YAML: a name and a number on each line, nested by indentation. Other lines tell nothing."""
    found, above = {}, []
    for line in text.splitlines():
        match = re.match(r"""( *)["']?([\w./-]+)["']?\s*:(?:\s+(.*))?$""", line)
        if match is None:
            continue
        value = (match[3] or "").partition(" #")[0].strip().strip("'\"")
        while above and above[-1][0] >= len(match[1]):
            above.pop()
        above.append((len(match[1]), match[2]))
        if (number := _number(value)) is not None:
            found["/".join(name for _, name in above).removesuffix("/value")] = number
    return found


def _number(text: str) -> float | None:
    return float(text.replace("_", "")) if re.fullmatch(r"[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?", text) else None
