"""Hugging Face: trainer_state.json, which the Trainer writes into its output folder and into every checkpoint."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.encodings import json_of
from lcx.readers.hyperparameters import told_by
from lcx.readers.table import long_table, number, run_name

if TYPE_CHECKING:
    import pandas as pd

_SPEED = ("_runtime", "_per_second", "_compilation_time")


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the run of one Trainer: training and evaluation metrics, without timings and without the summary in the last row.

    Args:
        path: a trainer_state.json, or the output folder. In a folder, the state with the most steps is read, also from a checkpoint.

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["horizon"]``: max_steps, else num_train_epochs at the steps that an
        epoch had so far. Steps count finished updates; an evaluation before the first is left out. What a hyperparameter search gave the
        run (trial_params) is ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`).

    Raises:
        ValueError: there is no such file in the folder, or no log_history in the file.
    """
    import pandas as pd

    path = Path(path)
    state_file = _furthest(path) if path.is_dir() else path
    try:
        state = json_of(state_file.read_text())
    except ValueError as error:
        raise ValueError(f"expected JSON in {state_file}, got {error}; copy the file again from its checkpoint") from error
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise ValueError(f"expected a log_history in {state_file}, got none; give the trainer_state.json of a Trainer")
    run = run_name(path)
    points = [
        (run, name, row["step"], value)
        for row in state["log_history"]
        if "step" in row and "train_runtime" not in row
        for name, logged in row.items()
        if not name.endswith(_SPEED) and name != "total_flos" and (value := number(logged)) is not None
    ]
    horizon = {run: end} if (end := _planned(state)) > 0 else {}
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value"])
    tried = told_by({run: trial} if isinstance(trial := state.get("trial_params"), dict) else {})
    return long_table(frame, state_file, zero_based="never", attrs={"horizon": horizon, "hyperparameters": tried})


def _planned(state: dict[str, Any]) -> float:
    """The step at which the training was to end; 0 if the state does not tell it."""
    steps, epochs, step, epoch = (number(state.get(name)) or 0.0 for name in ("max_steps", "num_train_epochs", "global_step", "epoch"))
    return steps if steps > 0 else float(round(epochs * step / epoch)) if epoch > 0 else 0.0


def _furthest(folder: Path) -> Path:
    files = [*folder.glob("*checkpoint*/trainer_state.json"), *folder.glob("trainer_state.json")]
    if not files:
        raise ValueError(f"expected a trainer_state.json in {folder} or its checkpoints, got none; give the Trainer's output folder")
    return max(files, key=_progress)


def _progress(file: Path) -> int:
    """The global_step, which stands before the long log_history."""
    with file.open(encoding="utf-8", errors="replace") as opened:
        found = re.search(r'"global_step":\s*(\d+)', opened.read(4096))
    return int(found[1]) if found else -1
