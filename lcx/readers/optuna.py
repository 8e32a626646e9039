"""Optuna: the intermediate values of the trials of a study, or of all studies in a storage.

SQLite files and journals are read as they lie, without optuna; only other storages need the package.
"""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lcx.readers.encodings import json_of
from lcx.readers.hyperparameters import left_out, told_by
from lcx.readers.sqlite import read_database, rows_if_any
from lcx.readers.table import long_table

if TYPE_CHECKING:
    import pandas as pd

_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")  # as a journal numbers them
_MODES = {"MINIMIZE": "min", "MAXIMIZE": "max", "1": "min", "2": "max"}
_WORDS = {"INF_POS": float("inf"), "INF_NEG": -float("inf"), "NAN": float("nan")}


class _Trial(NamedTuple):
    number: int
    state: str
    values: dict[int, float]
    params: dict[str, Any]


class _Study(NamedTuple):
    """A study: the names of its objectives, if it has any, and their directions, "min" or "max"."""

    name: str
    metrics: list[str]
    modes: list[str]
    trials: list[_Trial]


def read(path: Any) -> "pd.DataFrame":
    """Reads one run per trial that reported values, named "study/trial number".

    The metric has the metric name of the study, or the name "value". If any trial of a study reports at step 0, 1 is added to the steps of
    all its trials. If a step was reported twice, Optuna itself keeps the first value. Completed trials without intermediate values are left
    out with a warning: one final value is no curve.

    Args:
        path: a Study, a storage URL such as "sqlite:///study.db", an SQLite file, or the file of a JournalStorage.

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "PRUNED", ...}``, the parameters of the trials,
        but no attributes, as ``attrs["hyperparameters"]`` (:mod:`lcx.readers.hyperparameters`), and
        ``attrs["mode"] = {run: "max" or "min"}`` for studies with one objective.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: no trial has reported values, or the storage cannot be read.
        ImportError: optuna is not installed, and the storage is neither an SQLite file nor a journal.
    """
    import pandas as pd

    studies = [_of_study(path)] if hasattr(path, "get_trials") else _studies(path)
    points, state, mode, params, without = [], {}, {}, {}, []
    for study in studies:
        first = any(0 in trial.values for trial in study.trials)
        for trial in study.trials:
            run = f"{study.name}/{trial.number}"
            state[run], params[run] = trial.state, trial.params
            if study.modes in (["min"], ["max"]):
                mode[run] = study.modes[0]
            points += [(run, (study.metrics or ["value"])[0], step + first, value) for step, value in trial.values.items()]
        bare = sum(trial.state == "COMPLETE" and not trial.values for trial in study.trials)
        if bare:
            without.append(f"{bare} of {len(study.trials)} trials of study {study.name!r}")
    name = f"study {path.study_name!r}" if hasattr(path, "get_trials") else str(path)
    if not points:
        came = ", ".join(without) or f"none in {len(studies)} studies"
        raise ValueError(
            f"expected intermediate values in {name}, got {came} with a final value alone, which is no curve; "
            "call trial.report(value, step) as the training goes"
        )
    for one in without:
        warnings.warn(f"left out: {one} in {name}, which have no intermediate values; a final value alone is no curve", stacklevel=2)
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value"])
    return long_table(frame, name, zero_based="never", attrs={"state": state, "mode": mode, "hyperparameters": told_by(params)})


def _of_study(study: Any) -> _Study:
    trials = [_Trial(one.number, one.state.name, one.intermediate_values, one.params) for one in study.get_trials(deepcopy=False)]
    return _Study(study.study_name, study.metric_names or [], [_MODES.get(of.name, "") for of in study.directions], trials)


def _studies(path: str | Path) -> list[_Study]:
    address = str(path)
    file = Path(address.removeprefix("sqlite:///"))
    if "://" in address and not address.startswith("sqlite:///"):
        return _of_storage(address)
    if not file.is_file():  # Optuna would create it
        raise FileNotFoundError(f"expected a storage of Optuna, got {file}, which does not exist; give a URL or a file")
    with file.open("rb") as opened:
        journal = opened.read(1) == b"{"
    return _of_journal(file) if journal else read_database(file, _rows, "Optuna", "close what writes, or optuna storage upgrade")


def _rows(database: Any) -> list[_Study]:
    studies, trials, numbers = {}, {}, {}
    for study, name in database.execute("SELECT study_id, study_name FROM studies ORDER BY study_id"):
        studies[study] = _Study(name, [], [], [])
    for study, direction in database.execute("SELECT study_id, direction FROM study_directions ORDER BY study_id, objective"):
        studies[study].modes.append(_MODES.get(direction, ""))
    for study, names in database.execute("SELECT study_id, value_json FROM study_system_attributes WHERE key = 'study:metric_names'"):
        studies[study].metrics.extend(json_of(names))
    for trial, study, state in database.execute("SELECT trial_id, study_id, state FROM trials ORDER BY trial_id"):
        numbers[study] = numbers.get(study, -1) + 1
        trials[trial] = _Trial(numbers[study], state, {}, {})
        studies[study].trials.append(trials[trial])
    for trial, name, value, about in rows_if_any(database, "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params"):
        if trial in trials:
            trials[trial].params[name] = _param(name, value, about)
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(trial_intermediate_values)")}
    kind = "intermediate_value_type" if "intermediate_value_type" in columns else "'FINITE'"  # before Optuna 3
    for trial, step, value, word in database.execute(f"SELECT trial_id, step, intermediate_value, {kind} FROM trial_intermediate_values"):
        trials[trial].values[step] = _WORDS.get(word, float("nan") if value is None else value)
    return list(studies.values())


def _of_journal(file: Path) -> list[_Study]:
    """The studies after all operations of a journal. Studies and trials have numbers in the order in which they were created."""
    studies: dict[int, _Study] = {}
    trials: list[tuple[int, int]] = []  # study, and place in it
    created = 0
    lines = file.read_text("utf-8", errors="replace").splitlines()
    for position, line in enumerate(lines, 1):
        try:
            told = json_of(line)
            kind = told["op_code"]
            if kind == 0 and told["study_name"] not in {study.name for study in studies.values()}:
                studies[created] = _Study(told["study_name"], [], [_MODES.get(str(of), "") for of in told["directions"]], [])
                created += 1
            elif kind == 1:
                studies.pop(told["study_id"], None)
            elif kind == 3 and (names := told["system_attr"].get("study:metric_names")):
                studies[told["study_id"]].metrics[:] = names
            elif kind == 4:
                of = studies[told["study_id"]].trials
                trials.append((told["study_id"], len(of)))
                values = {int(step): _value(value) for step, value in (told.get("intermediate_values") or {}).items()}
                about = told.get("distributions") or {}
                params = {name: _param(name, value, about.get(name)) for name, value in (told.get("params") or {}).items()}
                of.append(_Trial(len(of), _STATES[told.get("state", 0)], values, params))
            elif kind in (5, 6, 7):
                study, place = trials[told["trial_id"]]
                of = studies[study].trials if study in studies else [_Trial(0, "", {}, {})] * (place + 1)  # of a study that was deleted
                if kind == 6:
                    of[place] = of[place]._replace(state=_STATES[told["state"]])
                elif kind == 5:
                    name, value = told["param_name"], told["param_value_internal"]
                    of[place].params[name] = _param(name, value, told.get("distribution"))
                else:
                    of[place].values.setdefault(told["step"], _value(told["intermediate_value"]))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            if position == len(lines):  # it is being written
                break
            raise ValueError(
                f"expected an operation of Optuna in every line of {file}, got {line[:40]!r} in line {position}; mend that line"
            ) from error
    return list(studies.values())


def _param(name: str, value: Any, about: Any) -> Any:
    """A parameter from the number that Optuna stores for it; None, with a warning, if its distribution cannot be read."""
    try:
        whole, choices = _distribution(str(about))
        return choices[int(value)] if choices is not None else int(value) if whole else float(value)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        left_out(f"parameter {name!r}", f"{type(error).__name__} in {about!r:.80}")
        return None


@lru_cache(maxsize=256)
def _distribution(about: str) -> tuple[bool, list[Any] | None]:
    """Whether it is one of whole numbers, and its choices if it is one of these."""
    told = json_of(about)
    return told["name"].startswith("Int"), told["attributes"].get("choices")


def _value(logged: Any) -> float:
    return float("nan") if logged is None else float(logged)


def _of_storage(address: str) -> list[_Study]:
    try:
        import optuna  # pyright: ignore[reportMissingImports]
        from sqlalchemy.exc import SQLAlchemyError  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("expected the package optuna to read its studies, got none; pip install 'lcx[optuna]'") from error
    try:
        names = optuna.study.get_all_study_names(address)
        return [_of_study(optuna.load_study(study_name=name, storage=address)) for name in names]
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError) as error:  # of a driver of the database
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"expected a storage of Optuna at {address}, got {said!r}; check the address, and that it runs") from error
