"""Logs that are read again: only what has changed, and the same answer."""

import sqlite3
from contextlib import closing

import pytest

from lcx.readers import Kept, csv_table, mlflow, read


@pytest.fixture
def reads(monkeypatch):
    """The paths that readers were asked to read, in their order."""
    asked = []
    for module in (csv_table, mlflow):
        before = module.read
        monkeypatch.setattr(module, "read", lambda path, before=before, **more: (asked.append(path.name), before(path, **more))[1])
    return asked


def test_only_what_has_changed_is_read_again(write, tmp_path, reads):
    for name in "ab":
        write(f"{name}.csv", "epoch,loss\n1,2\n2,1\n")
    write("mlruns/0/meta.yaml", "experiment_id: '0'\n")
    write("mlruns/0/x/meta.yaml", "run_id: x\n")
    write("mlruns/0/x/metrics/loss", "1 3 1\n")
    write("mlruns/0/x/params/max_steps", "9")
    kept = Kept()
    first = read(tmp_path, kept=kept)
    assert read(tmp_path, kept=kept).equals(first)
    again = read(tmp_path, kept=kept)
    assert again.attrs == first.attrs
    assert again.attrs["horizon"] == {"mlruns/x": 9}
    assert sorted(reads) == ["a.csv", "b.csv", "mlruns"]
    write("b.csv", "epoch,loss\n1,2\n2,1\n3,0.5\n")
    write("mlruns/0/x/metrics/acc", "1 0.5 1\n")
    table = read(tmp_path, kept=kept)
    assert sorted(reads[3:]) == ["b.csv", "mlruns"]
    assert table.equals(read(tmp_path))
    assert len(table) == len(first) + 2
    (tmp_path / "a.csv").unlink()
    assert "a.csv" not in set(read(tmp_path, kept=kept)["run"])


def test_warnings_are_told_again_and_errors_are_tried_again(write, tmp_path, reads):
    file = write("log.csv", "epoch,loss\n1,2\n2,1\n1,9\n2,8\n")  # a second training
    kept = Kept()
    for _ in range(2):
        with pytest.warns(UserWarning, match="log.csv"):
            read(file, kept=kept)
    assert reads == ["log.csv"]
    write("log.csv", "epoch,loss\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="expected"):
            read(file, "csv", kept=kept)
    assert len(reads) == 3


def test_what_a_database_has_not_yet_taken_over_counts(tmp_path, reads):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as at:
        at.executescript(
            """
            PRAGMA journal_mode=WAL;
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, experiment_id INTEGER, status TEXT, lifecycle_stage TEXT, start_time INTEGER);
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan BOOLEAN);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            INSERT INTO experiments VALUES (1, 'x', 'active');
            INSERT INTO runs VALUES ('a', 'fox', 1, 'RUNNING', 'active', 1);
            INSERT INTO metrics VALUES ('loss', 1.0, 1000, 'a', 1, 0);
            PRAGMA wal_checkpoint(TRUNCATE);
            """
        )
        kept = Kept()
        assert len(read(tmp_path, kept=kept)) == 1
        at.execute("INSERT INTO metrics VALUES ('loss', 0.5, 2000, 'a', 2, 0)")
        at.commit()
        assert len(read(tmp_path, kept=kept)) == 2
    assert len(reads) == 2
