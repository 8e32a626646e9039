"""Optuna: studies of the package, its SQLite files and journals read without it, and studies that have no curves."""

import json
import math
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from lcx.readers import optuna, read, recognise


def a_study(storage=None):
    package = pytest.importorskip("optuna")
    package.logging.set_verbosity(package.logging.WARNING)
    study = package.create_study(storage=storage, study_name="tune", direction="maximize", sampler=package.samplers.RandomSampler(seed=0))

    def objective(trial):
        trial.suggest_float("lr", 1e-4, 1e-1, log=True), trial.suggest_int("layers", 1, 4)
        trial.suggest_categorical("optimizer", ["adam", "sgd"]), trial.suggest_categorical("amp", [True, False])
        trial.set_user_attr("score", trial.number)
        for step in range(trial.number + 1):
            trial.report(math.nan if step == 1 else step / 10, step)
        if trial.number == 1:
            raise package.TrialPruned
        return 1.0

    study.optimize(objective, n_trials=3)
    return study


def test_a_study_of_the_package(tmp_path, curve):
    table = optuna.read(a_study())
    assert list(table["run"].unique()) == ["tune/0", "tune/1", "tune/2"]
    np.testing.assert_equal(curve(table, "value", "tune/2"), {1: 0.0, 2: math.nan, 3: 0.2})
    assert table.attrs["state"] == {"tune/0": "COMPLETE", "tune/1": "PRUNED", "tune/2": "COMPLETE"}
    assert table.attrs["mode"]["tune/0"] == "max"
    for told in table.attrs["hyperparameters"].values():
        assert {name: type(value) for name, value in told.items()} == {"lr": float, "layers": int, "optimizer": str, "amp": bool}
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read(f"sqlite:///{tmp_path}/none.db", "optuna")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow  # 2 s
def test_storages_that_the_package_wrote(tmp_path):
    storages = pytest.importorskip("optuna").storages
    a_study(f"sqlite:///{tmp_path}/study.db")
    a_study(storages.JournalStorage(storages.journal.JournalFileBackend(f"{tmp_path}/journal.log")))
    whole = optuna.read(a_study())
    pd.testing.assert_frame_equal(read(tmp_path / "study.db"), whole)
    assert read(tmp_path / "study.db").attrs["hyperparameters"] == whole.attrs["hyperparameters"]
    assert read(tmp_path / "journal.log").attrs["hyperparameters"] == whole.attrs["hyperparameters"]
    pd.testing.assert_frame_equal(read(tmp_path / "study.db"), read(tmp_path / "journal.log"))
    pd.testing.assert_frame_equal(read(tmp_path / "study.db"), read(f"sqlite:///{tmp_path}/study.db", "optuna"))
    both = read(tmp_path)
    assert {"journal.log/tune/2", "study.db/tune/2"} <= set(both["run"])
    assert both.attrs["state"]["study.db/tune/1"] == "PRUNED"


def distribution(kind, **attributes):
    """As Optuna writes it into its storages."""
    return json.dumps({"name": f"{kind}Distribution", "attributes": attributes})


# Name, the number that is stored, and its distribution; the last is of a release to come, or damaged.
PARAMS = [
    ("x", 0.5, distribution("Float", step=None, low=0.0, high=1.0, log=False)),
    ("layers", 3.0, distribution("IntUniform", step=1, low=1, high=8)),
    ("optimizer", 1.0, distribution("Categorical", choices=["sgd", "adam", None])),
    ("decay", 2.0, distribution("Categorical", choices=[0.1, 0.2, None])),
    ("odd", 7.0, distribution("Categorical", choices=["a"])),
]


def database(file, *, values=True, types=True):
    """The tables that are read, of a study with intermediate values and one without, in the columns that Optuna gives them."""
    kind = ", intermediate_value_type TEXT" if types else ""
    with closing(sqlite3.connect(file)) as at:
        at.executescript(
            f"""
            CREATE TABLE studies (study_id INTEGER, study_name TEXT);
            CREATE TABLE study_directions (study_id INTEGER, direction TEXT, objective INTEGER);
            CREATE TABLE study_system_attributes (study_id INTEGER, key TEXT, value_json TEXT);
            CREATE TABLE trials (trial_id INTEGER, number INTEGER, study_id INTEGER, state TEXT);
            CREATE TABLE trial_params (trial_id INTEGER, param_name TEXT, param_value FLOAT, distribution_json TEXT);
            CREATE TABLE trial_intermediate_values (trial_id INTEGER, step INTEGER, intermediate_value FLOAT{kind});
            INSERT INTO studies VALUES (1, 'tune'), (2, 'plain');
            INSERT INTO study_directions VALUES (1, 'MAXIMIZE', 0), (2, 'MINIMIZE', 0);
            INSERT INTO study_system_attributes VALUES (1, 'study:metric_names', '["accuracy"]');
            INSERT INTO trials VALUES (1, 0, 1, 'COMPLETE'), (2, 0, 2, 'COMPLETE'), (3, 1, 1, 'PRUNED'), (4, 1, 2, 'RUNNING');
            """
        )
        rows = [(1, 0, 0.5, "FINITE"), (1, 1, None, "NAN"), (1, 2, None if types else math.inf, "INF_POS"), (3, 0, 0.4, "FINITE")]
        at.executemany("INSERT INTO trial_params VALUES (?, ?, ?, ?)", [(1, *row) for row in PARAMS])
        for row in rows if values else ():
            at.execute(f"INSERT INTO trial_intermediate_values VALUES ({', '.join('????' if types else '???')})", row[: 4 if types else 3])
        at.commit()
    return file


GIVEN = {"params": {"x": 0.5}, "distributions": {"x": PARAMS[0][2]}}
JOURNAL = [
    {"op_code": 0, "study_name": "gone", "directions": [1]},
    {"op_code": 0, "study_name": "tune", "directions": [2]},
    {"op_code": 0, "study_name": "tune", "directions": [2]},  # by a worker that came too late: it is none
    {"op_code": 0, "study_name": "plain", "directions": [1]},
    {"op_code": 3, "study_id": 1, "system_attr": {"study:metric_names": ["accuracy"]}},
    {"op_code": 4, "study_id": 0},
    {"op_code": 4, "study_id": 1},
    *({"op_code": 5, "trial_id": 1, "param_name": name, "param_value_internal": x, "distribution": about} for name, x, about in PARAMS),
    {"op_code": 7, "trial_id": 1, "step": 0, "intermediate_value": 0.5},
    {"op_code": 4, "study_id": 2, "state": 1, "values": [1.0]},
    {"op_code": 7, "trial_id": 1, "step": 1, "intermediate_value": math.nan},
    {"op_code": 1, "study_id": 0},
    {"op_code": 7, "trial_id": 0, "step": 1, "intermediate_value": 7.0},
    {"op_code": 7, "trial_id": 1, "step": 2, "intermediate_value": math.inf},
    {"op_code": 6, "trial_id": 1, "state": 1, "values": [1.0]},
    {
        "op_code": 4,
        "study_id": 1,
        "state": 2,
        "intermediate_values": {"0": 0.4},
        "params": {"x": 0.5},
        "distributions": {"x": PARAMS[0][2]},
    },
    {"op_code": 4, "study_id": 2},
]


@pytest.fixture(params=["new", "old", "journal"])
def storage(request, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    if request.param != "journal":
        return database(tmp_path / "study.db", types=request.param == "new")
    (tmp_path / "journal.log").write_text("".join(json.dumps(row) + "\n" for row in JOURNAL) + '{"op_code": 7, "tri')
    return tmp_path / "journal.log"


def test_storages_need_no_optuna_and_say_which_studies_have_no_curves(storage, curve):
    assert recognise(storage) == "optuna"
    with (
        pytest.warns(UserWarning, match="left out: 1 of 2 trials of study 'plain' in .*, which have no intermediate values"),
        pytest.warns(UserWarning, match="parameter 'odd': hyperparameters are left out: IndexError in"),
    ):
        table = read(storage)
    assert list(table["run"].unique()) == ["tune/0", "tune/1"]
    np.testing.assert_equal(curve(table, "accuracy", "tune/0"), {1: 0.5, 2: math.nan, 3: math.inf})
    assert curve(table, "accuracy", "tune/1") == {1: 0.4}
    told = table.attrs.pop("hyperparameters")
    assert told["tune/0"] == {"x": 0.5, "layers": 3, "optimizer": "adam"}
    assert told.get("tune/1", {"x": 0.5}) == {"x": 0.5}
    assert table.attrs == {"state": {"tune/0": "COMPLETE", "tune/1": "PRUNED"}, "mode": {"tune/0": "max", "tune/1": "max"}}


def test_a_study_of_final_values_alone_is_refused_at_once(tmp_path):
    words = "expected intermediate values in .*, got 1 of 2 trials of study 'tune', 1 of 2 trials of study 'plain' with a final value alone"
    with pytest.raises(ValueError, match=words):
        read(database(tmp_path / "study.db", values=False))


def test_what_is_none_is_refused_in_one_line(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as at:
        at.execute("CREATE TABLE cats (name TEXT)")
    with pytest.raises(ValueError, match="no such table: studies"):
        read(tmp_path / "other.db", "optuna")
    lines = [JOURNAL[0], {"op_code": 4, "study_id": 9}, {"op_code": 1, "study_id": 0}]
    (tmp_path / "journal.log").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match="in line 2; mend"):
        read(tmp_path / "journal.log")


def test_another_storage_is_read_by_the_package_and_its_errors_are_one_line():
    pytest.importorskip("optuna")
    pytest.importorskip("sqlalchemy")
    with pytest.raises(ValueError, match=r"expected a storage of Optuna at nothing://x, got .*; check the address") as refused:
        read("nothing://x", "optuna")
    assert "\n" not in str(refused.value)
