"""Optuna: the intermediate values of the trials of a study, or of all studies in a storage."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import long_table

if TYPE_CHECKING:
    import pandas as pd


def read(path: Any) -> "pd.DataFrame":
    """Reads one run per trial that reported values, named "study/trial number".

    The metric has the metric name of the study, or the name "value". If any trial of a study reports at step 0, 1 is added to the steps of
    all its trials. If a step was reported twice, Optuna itself keeps the first value.

    Args:
        path: a Study, a storage URL such as "sqlite:///study.db", an SQLite file, or the file of a JournalStorage.

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "PRUNED", ...}`` and
        ``attrs["mode"] = {run: "max" or "min"}`` for studies with one objective.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: no trial has reported values.
        ImportError: optuna is not installed.
    """
    import pandas as pd

    points, state, mode = [], {}, {}
    for study in [path] if hasattr(path, "get_trials") else _studies(path):
        names = study.metric_names or ["value"]
        trials = study.get_trials(deepcopy=False)
        first = any(0 in trial.intermediate_values for trial in trials)
        for trial in trials:
            run = f"{study.study_name}/{trial.number}"
            state[run] = trial.state.name
            if len(study.directions) == 1:
                mode[run] = "max" if study.direction.name == "MAXIMIZE" else "min"
            points += [(run, names[0], step + first, value) for step, value in trial.intermediate_values.items()]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value"])
    return long_table(frame, _name(path), zero_based="never", attrs={"state": state, "mode": mode})


def _studies(path: str | Path) -> list[Any]:
    try:
        import optuna  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("expected the package optuna to read its studies, got none; pip install 'lcx[optuna]'") from error
    address = str(path)
    file = Path(address.removeprefix("sqlite:///"))
    storage: Any = address
    if "://" not in address or address.startswith("sqlite:///"):
        if not file.is_file():  # Optuna would create it
            raise FileNotFoundError(f"expected a storage of Optuna, got {file}, which does not exist; give a URL or a file")
        with file.open("rb") as opened:
            journal = opened.read(1) == b"{"
        if journal:
            from optuna.storages import JournalStorage  # pyright: ignore[reportMissingImports]
            from optuna.storages.journal import JournalFileBackend  # pyright: ignore[reportMissingImports]

            storage = JournalStorage(JournalFileBackend(str(file)))
        else:
            storage = f"sqlite:///{file.resolve()}"
    return [optuna.load_study(study_name=name, storage=storage) for name in optuna.study.get_all_study_names(storage)]


def _name(path: Any) -> str:
    return f"study {path.study_name!r}" if hasattr(path, "study_name") else str(path)
