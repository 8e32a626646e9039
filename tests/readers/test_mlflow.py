"""MLflow: its files as it writes them, its database read with and without the package, and what a server may say."""

import logging
import math
import sqlite3
import sys
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from lcx.readers import mlflow, read, recognise


def curve(table, metric, run):
    rows = table[(table["metric"] == metric) & (table["run"] == run)]
    return dict(zip(rows["step"], rows["value"], strict=True))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def store(root):
    """Two experiments as the file store writes them: meta.yaml, a file for each metric, parameter and tag."""
    for experiment, name in (("0", "Default"), ("7", "'it''s: 7'")):
        write(root / experiment / "meta.yaml", f"artifact_location: file:///x\nexperiment_id: '{experiment}'\nname: {name}\n")
    runs = {"0/aaa": ("fox", 3), "0/bbb": ("owl", 1), "7/ccc": ("fox", 5)}
    for run, (name, status) in runs.items():
        meta = f"lifecycle_stage: active\nrun_id: {run[2:]}\nrun_name: {name}\nstatus: {status}\ntags: []\n"
        write(root / run / "meta.yaml", meta)
        write(root / run / "tags" / "mlflow.runName", name)
        write(root / run / "metrics" / "val" / "loss", "1700000000500 2.5 0\n1700000001500 nan 1\n1700000002500 1.5 2\n")
        write(root / run / "metrics" / "acc", "1700000000000 0.5 0\n1700000001000 0.6 1\n1700000002000 inf 1\n")
        write(root / run / "metrics" / "system" / "cpu", "1700000000000 99 0\n")
        write(root / run / "artifacts" / "table.csv", "epoch,acc\n1,0.5\n")
    write(root / "0/aaa/params/epochs", "10")
    write(root / "0/bbb/params/epochs", "2")  # fewer than there are steps: they are no epochs
    write(root / "0/bbb/params/max_steps", "500")
    write(root / "7/ccc/params/max_steps", "-1")
    write(root / ".trash" / "0" / "ddd" / "metrics" / "acc", "1 1 1\n")
    write(root / "0/eee/meta.yaml", "lifecycle_stage: deleted\nrun_id: eee\n")
    write(root / "0/eee/metrics/acc", "1 1 1\n")
    write(root / "0/models/m-1/meta.yaml", "model_id: m-1\n")
    write(root / "0/models/m-1/metrics/acc", "1 1 1\n")
    return root


@pytest.mark.filterwarnings("ignore:.*followed by another of the same step in .*(fox|owl)")
def test_the_folder_needs_no_mlflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    table = read(store(tmp_path / "mlruns"))
    assert list(table["run"].unique()) == ["Default/fox", "Default/owl", "it's: 7/fox"]
    np.testing.assert_equal(curve(table, "val/loss", "Default/fox"), {1: 2.5, 2: math.nan, 3: 1.5})
    assert curve(table, "acc", "it's: 7/fox") == {1: 0.5, 2: math.inf}  # of what was logged twice at a step the last
    assert set(table["metric"]) == {"acc", "val/loss"}
    assert table["time"].max() == 1700000002.5
    assert table.attrs["state"] == {"Default/fox": "FINISHED", "Default/owl": "RUNNING", "it's: 7/fox": "KILLED"}
    assert table.attrs["horizon"] == {"Default/fox": 10, "Default/owl": 500}


@pytest.mark.filterwarnings("ignore:.*followed by another of the same step in .*(fox|owl)")
def test_each_of_its_folders_will_do(tmp_path):
    root = store(tmp_path / "work" / "mlruns")
    assert {recognise(folder) for folder in (root, root / "0", root / "0" / "aaa")} == {"mlflow"}
    assert recognise(tmp_path / "work") is None
    assert set(read(root / "0")["run"]) == {"fox", "owl"}
    assert set(read(root / "7" / "ccc")["run"]) == {"fox"}
    write(tmp_path / "work" / "log.csv", "epoch,acc\n1,0.5\n")
    table = read(tmp_path / "work")
    assert set(table["run"]) == {"log.csv", "mlruns/Default/fox", "mlruns/Default/owl", "mlruns/it's: 7/fox"}
    assert table.attrs["horizon"]["mlruns/Default/fox"] == 10
    assert set(read(tmp_path / "work", "csv")["run"]) >= {"log.csv"}
    for meta in (*root.glob("*/meta.yaml"), *root.glob("[07]/[abc]*/meta.yaml")):  # as where only metrics were kept
        meta.unlink()
    assert set(read(root)["run"]) == {"0/fox", "0/owl", "7/fox"}


@pytest.mark.filterwarnings("ignore:.*followed by another of the same step in .*(fox|owl)")
def test_a_line_that_is_being_written_waits_and_a_broken_one_is_named(tmp_path):
    root = store(tmp_path / "mlruns") / "0" / "aaa"
    file = root / "metrics" / "acc"
    write(file, file.read_text() + "17000")
    assert curve(read(root), "acc", "fox") == {1: 0.5, 2: math.inf}
    write(file, "1 2 3\n1700000000 half 4\n")
    with pytest.raises(ValueError, match=r"expected 'timestamp value step' .*acc, got '1700000000 half 4' in line 2; mend"):
        read(root)


def test_epochs_are_a_horizon_only_where_steps_are_epochs(tmp_path):
    root = tmp_path / "mlruns" / "0" / "abc"
    write(root / "meta.yaml", "run_id: abc\n")
    write(root / "params" / "num_train_epochs", "3.0")
    write(root / "metrics" / "loss", "1 3 1\n2 2 2\n")
    assert read(root).attrs["horizon"] == {"abc": 3}
    write(root / "metrics" / "epoch", "1 0.01 1\n2 0.02 2\n")  # the steps are updates
    assert "horizon" not in read(root).attrs
    write(root / "params" / "trainer" / "max_steps", "300")
    assert read(root).attrs["horizon"] == {"abc": 300}
    write(root / "params" / "total_steps", "200")  # which of the two?
    assert "horizon" not in read(root).attrs


def test_steps_that_were_never_given_begin_as_those_of_the_run(tmp_path):
    root = tmp_path / "mlruns" / "0" / "abc"
    write(root / "meta.yaml", "run_id: abc\n")
    write(root / "metrics" / "acc", "3 0.3 0\n1 0.1 0\n2 0.2 0\n")
    assert curve(read(root), "acc", "abc") == {1: 0.1, 2: 0.2, 3: 0.3}
    for first in (0, 1):
        write(root / "metrics" / "loss", f"1 2 {first}\n2 1 {first + 1}\n")
        assert curve(read(root), "acc", "abc") == {1: 0.1, 2: 0.2, 3: 0.3}
        assert curve(read(root), "loss", "abc") == {1: 2, 2: 1}


def database(file):
    """The tables that the reader uses, in the columns that MLflow gives them."""
    with closing(sqlite3.connect(file)) as at:
        at.executescript(
            """
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, experiment_id INTEGER, status TEXT, lifecycle_stage TEXT, start_time INTEGER);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan BOOLEAN);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            INSERT INTO experiments VALUES (1, 'x', 'active'), (2, 'gone', 'deleted');
            INSERT INTO runs VALUES ('a', '', 1, 'FINISHED', 'active', 1), ('b', 'owl', 1, 'RUNNING', 'active', 2),
                ('c', 'no', 1, 'FAILED', 'deleted', 3), ('d', 'no', 2, 'FAILED', 'active', 4), ('e', 'owl', 1, 'FAILED', 'active', 4);
            INSERT INTO tags VALUES ('mlflow.runName', 'fox', 'a');
            INSERT INTO params VALUES ('max_epochs', '9', 'a'), ('lr', '0.1', 'a');
            INSERT INTO metrics VALUES ('loss', 1.0, 1000, 'a', 0, 0), ('loss', 0, 2000, 'a', 1, 1),
                ('loss', 1.7976931348623157e308, 3000, 'a', 2, 0), ('acc', 0.2, 9000, 'b', 0, 0), ('acc', 0.1, 8000, 'b', 0, 0),
                ('loss', 1, 1, 'c', 1, 0), ('loss', 1, 1, 'd', 1, 0), ('system/cpu', 1, 1, 'a', 1, 0), ('acc', 0.7, 1, 'e', 4, 0);
            """
        )
    return file


def test_the_database_needs_no_mlflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    table = read(database(tmp_path / "mlflow.db"))
    assert list(table["run"].unique()) == ["fox", "owl (b)", "owl (e)"]
    np.testing.assert_equal(curve(table, "loss", "fox"), {1: 1.0, 2: math.nan, 3: math.inf})
    assert curve(table, "acc", "owl (b)") == {1: 0.1, 2: 0.2}  # always step 0: counted in the order of time
    state, told = {"fox": "FINISHED", "owl (b)": "RUNNING", "owl (e)": "FAILED"}, {"fox": {"lr": 0.1, "max_epochs": 9}}
    assert table.attrs == {"state": state, "horizon": {"fox": 9}, "hyperparameters": told}
    assert mlflow.read(f"sqlite:///{tmp_path}/mlflow.db").equals(table)
    with pytest.raises(FileNotFoundError, match="does not exist; give mlruns"):
        mlflow.read("none.db")


def test_a_database_of_something_else_is_refused_in_one_line(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as at:
        at.execute("CREATE TABLE cats (name TEXT)")
    write(tmp_path / "junk.db", "SQLite format 3\0 and then nothing of the kind")
    for file, words in ((tmp_path / "other.db", "no such table: runs"), (tmp_path / "junk.db", "SQLite says")):
        with pytest.raises(ValueError, match=words) as refused:
            read(file, "mlflow")
        assert "\n" not in str(refused.value)


@pytest.mark.slow  # loads mlflow, where it is installed
@pytest.mark.filterwarnings("ignore")
def test_a_database_that_mlflow_wrote(tmp_path):
    package = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    client = package.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    run = client.create_run(client.create_experiment("x"), run_name="fox").info.run_id
    for step, value in ((0, 1.0), (1, math.nan), (2, math.inf), (1, 5.0)):
        client.log_metric(run, "loss", value, timestamp=1000 * (step + 10 * (value == 5)), step=step)
    for position in range(3):
        client.log_metric(run, "unnumbered", position / 10, timestamp=position)
    client.log_metric(run, "system/cpu", 1.0)
    client.log_param(run, "max_steps", 40)
    client.set_terminated(run)
    table = read(tmp_path / "mlflow.db")
    assert curve(table, "loss", "fox") == {1: 1.0, 2: 5.0, 3: math.inf}
    assert list(curve(table, "unnumbered", "fox").values()) == [0.0, 0.1, 0.2]
    assert set(table["metric"]) == {"loss", "unnumbered"}
    assert table.attrs == {"state": {"fox": "FINISHED"}, "horizon": {"fox": 40}}


class MlflowException(Exception):
    """What the package raises, for a server that does not answer too."""


@pytest.fixture
def server(monkeypatch):
    """Two pages of runs, as ``MlflowClient`` gives them; an address that does not answer."""

    class Page(list):
        token = None

    point = lambda step, value, time: SimpleNamespace(step=step, value=value, timestamp=1000 * time)  # noqa: E731
    histories = {"loss": [point(1, 3.0, 2), point(2, 4.0, 3), point(1, 2.0, 1)], "acc": [point(0, 0.2, 2), point(0, 0.1, 1)]}
    about = {i: SimpleNamespace(run_id=i, run_name="fox", status="FINISHED", experiment_id="0") for i in "ab"}
    runs = {i: SimpleNamespace(info=info, data=SimpleNamespace(metrics=histories, params={})) for i, info in about.items()}

    class Client:
        def __init__(self, tracking_uri):
            if tracking_uri != "http://host":
                raise MlflowException("API request failed:\n  Max retries exceeded")

        def search_experiments(self):
            return [SimpleNamespace(experiment_id="0", name="x")]

        def search_runs(self, experiments, page_token):
            page = Page([runs["b" if page_token else "a"]])
            page.token = None if page_token else "more"
            return page

        def get_metric_history(self, run_id, key):
            return histories[key] if key != "loss" else [*histories[key], point(3, sys.float_info.max, 4)]

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mlflow.tracking", SimpleNamespace(MlflowClient=Client))
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", SimpleNamespace(MlflowException=MlflowException))


@pytest.mark.usefixtures("server")
def test_a_server_pages_repeated_steps_and_steps_never_given():
    with pytest.warns(UserWarning, match="http://host: a value is followed by another of the same step in fox") as said:
        table = read("http://host", "mlflow")
    assert len(said) == 2  # one for each run
    assert list(table["run"].unique()) == ["fox (a)", "fox (b)"]
    assert curve(table, "loss", "fox (a)") == {1: 3.0, 2: 4.0, 3: math.inf}
    assert curve(table, "acc", "fox (b)") == {1: 0.1, 2: 0.2}


@pytest.mark.usefixtures("server")
def test_a_server_that_does_not_answer_is_told_in_one_line():
    with pytest.raises(ValueError, match="expected a tracking server of MLflow at http://nobody, got 'API request failed: Max retries"):
        read("http://nobody", "mlflow")
