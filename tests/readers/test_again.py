"""Logs that are read again: only what has changed, and the same answer."""

import sqlite3
import warnings
from contextlib import closing
from random import Random

import pytest

from lcx.readers import Kept, csv_table, jsonl, mlflow, read, recognition, text_log


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


_TABLE = "step,loss,note\n" + "".join(f"{i},{3 / i:.3f},{'start' if i == 1 else ''}\n" for i in range(1, 9))
_OBJECTS = "".join(f'{{"step": {i}, "train": {{"loss": {3 / i:.3f}}}, "split": "a"}}\n' for i in range(1, 9))
_PRINTED = "loading é\n" + "".join(f"step {i}/40: train loss {3 / i:.3f}\nval loss {4 / i:.3f}\n" for i in range(1, 9))
_GROWN = {
    "plain.csv": _TABLE,
    "comments.csv": "# seed 1\n" + _TABLE.replace("\n4", "\n# saved\n\n4").replace("\n", "\r\n"),
    "quoted.csv": 'step,note,loss\n1,"a\nb",3\n2,"c ""d""\n7,8,9",2\n3,"",1.5\n4,e"f,1\n',
    "blanks.log": "# step loss\n" + "".join(f"{i} {3 / i:.3f}\n" for i in range(1, 6)),
    "values.csv": "3\n2.5\n2\n1.75\n",
    "numbers.csv": "step,loss,tokens\n1,3,1700000000000000001\n2,2,1700000000000000003\n3,1.5,\n4,1,5e3\n",
    "words.csv": "run,step,loss,done\n1,1,3,True\n1,2,nan,True\n2,1,inf,False\n2,2,oops,\n02,3,1,1\n",
    "restarted.csv": "epoch,loss\n0,3\n1,2\n2,1\n0,4\n1,3\n2,2\n",
    "headers.csv": "epoch,loss\n1,3\n2,2\nepoch,loss,acc\n3,1,0.5\n4,0.5,0.75\n",
    "longer.csv": "step,loss\n1,3\n2,2\n3,1,9\n4,0.5\n",
    "bytes.csv": "step,loss,note\n1,3,\n2,2,déjà\n3,1,é\n".encode("cp1252"),
    "utf16.csv": "\ufeffstep,loss\n1,3\n2,2\n3,1\n".encode("utf-16-le"),
    "nested.jsonl": '{"config": {"lr": 1}}\n' + _OBJECTS.replace("\n", "\n\n", 2),
    "mixed.jsonl": '{"run": 1, "step": 0, "x": 1}\n{"run": 1, "step": 1, "x": null, "y": 5}\n{"run": "b", "step": 1, "x": "2", "z": NaN}\n'
    '{"run": "b", "step": 2, "x": "NaN", "y": "w", "metrics": {"z": 1}}\n{"run": "b", "step": 3, "x": true, "y": 2}\n',
    "metric.jsonl": '{"step": 1, "metric": "a"}\n{"step": 1, "metric": "b", "value": 1}\n{"step": 2, "metric": "b", "value": 2, "c": 1}\n',
    "restarted.jsonl": "".join(f'{{"epoch": {i % 4}, "loss": {i}.5}}\n' for i in range(12)),
    "list.json": '[{"step": 1, "loss": 2},\n {"step": 2, "loss": 1}]\n',
    "wrong.jsonl": '{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n[3]\n{"step": 3, "loss": 1}\n',
    "printed.txt": _PRINTED,
    "table.txt": "-------\n| rollout/ | |\n|  ep_rew_mean | 20.5 |\n| time/ | |\n|  total_timesteps | 100 |\n-------\n"
    "| rollout/ | |\n|  ep_rew_mean | 21.5 |\n| time/ | |\n|  total_timesteps | 200 |\n",
    "bar.txt": "Epoch 1/3\n" + "".join(f"\r{i}/4 [==] - loss: {3 / i:.2f}\x1b[0m" for i in (1, 2, 3, 4)) + "\nEpoch 2/3\n4/4 - loss: 0.5\n",
}


def _answer(path, **more):
    """The table, its attributes, the warnings, or the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            table = read(path, **more)
        except ValueError as error:
            return str(error)
    return table.to_dict("list"), {str(dtype) for dtype in table.dtypes}, table.attrs, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", _GROWN)
def test_a_log_that_grows_at_any_byte_is_read_as_if_it_were_new(name, tmp_path):
    data, random, path = _GROWN[name], Random(name), tmp_path / name
    data = data if isinstance(data, bytes) else data.encode()
    for _ in range(4):
        kept = Kept()
        for end in sorted({*(random.randrange(1, len(data)) for _ in range(random.choice((2, 8)))), len(data)}):
            path.write_bytes(data[:end])
            assert repr(_answer(path, kept=kept)) == repr(_answer(path)), (end, data[:end])


@pytest.fixture
def parsed(monkeypatch):
    """The lengths of the texts that were parsed as a table, JSON lines or a text log; not those from which the format is told."""
    lengths = []
    monkeypatch.setattr(recognition, "is_log", lambda text: True)
    for module, name in ((csv_table, "_quick"), (jsonl, "_objects"), (text_log, "rows")):
        before = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda text, *more, before=before: (isinstance(text, str) and lengths.append(len(text)), before(text, *more))[1]
        )
    return lengths


@pytest.mark.parametrize(
    ("name", "row"), [("a.csv", "{},1,\n"), ("a.jsonl", '{{"step": {}, "train": {{"loss": 1}}}}\n'), ("a.txt", "step {}: train loss 1\n")]
)
def test_of_a_log_that_has_grown_only_the_new_lines_are_parsed(name, row, write, parsed):
    before = {"a.csv": _TABLE, "a.jsonl": _OBJECTS, "a.txt": _PRINTED}[name]
    kept, path = Kept(), write(name, before + row.format(9)[:3])  # half a line
    read(path, kept=kept)
    for step in (9, 10, 11):
        parsed.clear()
        with path.open("a") as opened:
            opened.write(row.format(step)[3 * (step == 9) :])
        table = read(path, "text" if name == "a.txt" else None, kept=kept)
        assert 0 < sum(parsed) < 80, parsed
        assert table["step"].max() == step


@pytest.mark.parametrize("name", ["plain.csv", "nested.jsonl", "printed.txt"])
def test_a_log_that_was_rewritten_is_read_whole(name, write):
    text, kept = _GROWN[name], Kept()
    for changed in (text, text.replace("3.000", "2.000") + text[-40:], text[:60], text[:60] + text[60:90].replace("1", "7"), text):
        path = write(name, changed)
        assert repr(_answer(path, kept=kept)) == repr(_answer(path))
