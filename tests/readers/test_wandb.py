"""Weights & Biases: files of runs as it writes them, with its record format, and the server through a made-up Api."""

import json
import math
import struct
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from lcx.cli import app
from lcx.readers import read, recognise, wandb

# The fields that are read of the records, with their numbers: {message: {field: (number, type)}}; "*" is repeated.
FIELDS = {
    "Item": {"key": (1, "string"), "nested_key": (2, "*string"), "value_json": (16, "string")},
    "Step": {"num": (1, "int64")},
    "History": {"item": (1, "*Item"), "step": (2, "Step")},
    "Config": {"update": (1, "*Item")},
    "Run": {"run_id": (1, "string"), "config": (4, "Config"), "display_name": (8, "string")},
    "Exit": {"exit_code": (1, "int32")},
    "Record": {"num": (1, "int64"), "history": (2, "History"), "config": (5, "Config"), "run": (17, "Run"), "exit": (18, "Exit")},
}


@pytest.fixture(scope="module")
def record():
    """The class of the records, made from :data:`FIELDS`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="w.proto", package="w", syntax="proto3")
    for message, fields in FIELDS.items():
        new = file.message_type.add(name=message)
        for name, (position, kind) in fields.items():
            field = new.field.add(name=name, number=position, label=3 if kind.startswith("*") else 1)
            plain = kind.lstrip("*")
            if plain in FIELDS:
                field.type, field.type_name = 11, f".w.{plain}"
            else:
                field.type = {"string": 9, "int64": 3, "int32": 5}[plain]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("w.Record"))


@pytest.fixture
def package(monkeypatch, record):
    for name in ("wandb", "wandb.proto"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())
    monkeypatch.setitem(sys.modules, "wandb.proto.wandb_internal_pb2", SimpleNamespace(Record=record))
    return record


def items(row):
    return [{"key": key, "value_json": json.dumps(value)} for key, value in row.items()]


def store(path, records):
    """A .wandb file: its header, then each record whole or in parts that end with a block of 32 kB."""
    data = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for record in records:
        rest, first = record.SerializeToString(), True
        while rest is not None:
            left = (1 << 15) - len(data) % (1 << 15)
            if left < 7:
                data += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :] or None
            kind = bytes([(1 if rest is None else 2) if first else (4 if rest is None else 3)])
            data += struct.pack("<IH", zlib.crc32(kind + part), len(part)) + kind + part
            first = False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fox(record, steps, **more):
    """The records of a run: the run, rows of its history, and perhaps its end."""
    config = {"update": [*items({"_wandb": {"x": 1}, "trainer": {"max_steps": 100}}), {"nested_key": ["a", "b"], "value_json": "{"}]}
    yield record(run={"run_id": "x1", "display_name": "swift-fox", "config": config})
    for step in steps:
        row = {"loss": "NaN" if step == 1 else 1 / (step + 1), "_timestamp": 1.7e9 + step, "note": "word" * 300, "system/gpu": 1}
        yield record(history={"item": items(row), "step": {"num": step}})
    yield record(**more) if more else record(num=1)


def test_offline_runs_are_read_with_the_packages_own_records(tmp_path, package, curve):
    folder = tmp_path / "wandb"
    store(folder / "offline-run-20260102_030405-x1" / "run-x1.wandb", fox(package, range(60)))
    store(folder / "run-20260103_030405-x1" / "run-x1.wandb", fox(package, range(60, 80), exit={"exit_code": 0}))  # resumed
    store(folder / "run-20260102_090000-x2" / "run-x2.wandb", [package(history={"item": items({"_step": 3, "acc": 0.5})})])
    (folder / "latest-run").symlink_to("run-20260102_090000-x2")
    assert recognise(folder) == recognise(folder / "run-20260103_030405-x1") == "wandb"
    table = read(folder)
    assert list(table["run"].unique()) == ["swift-fox", "x2"]
    expected = {step + 1: 1 / (step + 1) for step in range(80)} | {2: math.nan}
    np.testing.assert_equal(curve(table, "loss", "swift-fox"), expected)
    assert curve(table, "acc", "x2") == {3: 0.5}
    assert set(table["metric"]) == {"loss", "acc"}
    assert table["time"].max() == 1.7e9 + 79
    told = {"swift-fox": {"trainer.max_steps": 100}}  # nothing of the summary, and nothing that W&B adds
    assert table.attrs == {"state": {"swift-fox": "finished"}, "horizon": {"swift-fox": 100}, "hyperparameters": told}
    assert set(read(tmp_path)["run"]) == {"wandb/swift-fox", "wandb/x2"}
    one = read(folder / "run-20260103_030405-x1")
    assert read(folder / "run-20260103_030405-x1" / "run-x1.wandb").equals(one)
    assert list(one["step"]) == list(range(60, 80))


def test_an_offline_run_alone_is_predicted(tmp_path, package, monkeypatch, capsys):
    run = store(tmp_path / "wandb" / "offline-run-20260102_030405-x1" / "run-x1.wandb", fox(package, range(2, 60))).parent
    monkeypatch.setattr(sys, "argv", ["lcx", "predict", str(run), "--at", "100", "--device", "cpu"])
    with pytest.raises(SystemExit):
        app.main()
    shown = capsys.readouterr()
    told = ["horizon 100 from the log (--horizon)", "smaller is better, by the name loss (--mode)"]
    assert shown.err.splitlines()[:2] == told
    assert shown.out.startswith("loss: 58 points up to step ")


@pytest.mark.parametrize(("key", "shift"), [("train/global_step", 0), ("trainer/global_step", 1)])
def test_the_step_of_a_trainer_is_the_step(tmp_path, package, curve, key, shift):
    rows = [{"loss": 2.0, key: 49}, {"only": "text"}, {"val": 3.0, key: 49}, {"loss": 1.0, key: 99}]
    history = [package(history={"item": items(row), "step": {"num": step}}) for step, row in enumerate(rows)]
    table = read(store(tmp_path / "run-a.wandb", history))
    assert curve(table, "loss") == {49 + shift: 2.0, 99 + shift: 1.0}
    assert curve(table, "val") == {49 + shift: 3.0}


def test_a_file_that_is_being_written_or_is_damaged(tmp_path, package):
    file = store(tmp_path / "run-x1.wandb", fox(package, range(20)))
    whole = file.read_bytes()
    file.write_bytes(whole[:-700])
    assert 15 < len(read(file)) < 20
    for damaged in (whole[:13] + b"\x09" + whole[14:], whole[:14] + b"\xff" * 30 + whole[44:]):
        file.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=r"expected a file of W&B in .*run-x1.wandb, got one where .*; copy it again, or wandb sync"
        ) as refused:
            read(file)
        assert "\n" not in str(refused.value)


def test_without_the_package_it_is_told_what_to_do(tmp_path, package, monkeypatch):
    folder = tmp_path / "wandb"
    store(folder / "offline-run-1-x1" / "run-x1.wandb", fox(package, [1, 2]))
    monkeypatch.setitem(sys.modules, "wandb.proto.wandb_internal_pb2", None)
    with pytest.raises(ImportError, match=r"pip install 'lcx\[wandb\]', or upload them with wandb sync"):
        read(folder)
    (tmp_path / "log.csv").write_text("epoch,acc\n1,0.5\n")
    with pytest.warns(UserWarning, match=r"left out: .*wandb sync"):
        assert set(read(tmp_path)["run"]) == {"log.csv"}


def test_a_summary_says_that_it_has_no_curve_and_where_there_is_one(tmp_path, package):
    run = tmp_path / "wandb" / "run-1-x1"
    (run / "files").mkdir(parents=True)
    summary = run / "files" / "wandb-summary.json"
    summary.write_text('{"_step": 99, "acc": 0.3}')
    for path in (summary, run, tmp_path / "wandb", tmp_path):
        with pytest.raises(ValueError, match=r"in which there is no curve; give its run-ID.wandb, or the run on the server"):
            read(path)
    store(run / "run-x1.wandb", fox(package, [1, 2]))
    with pytest.raises(ValueError, match=r"in which there is no curve; give .*run-x1.wandb"):
        read(summary)
    assert set(read(tmp_path)["run"]) == {"wandb/swift-fox"}


class Failed(Exception):
    """The package's error that the others of it are derived from."""


class FakeApi:
    """What the reader uses of ``wandb.Api``: histories with sparse rows, counters and things that are no numbers."""

    def __init__(self):
        rows = [
            {"_step": 0, "_timestamp": 10.0, "loss": 2.0, "epoch": 0, "image": {"_type": "image-file"}},
            {"_step": 1, "_timestamp": 11.0, "loss": "NaN", "system/gpu": 1.0},
            {"_step": 2, "_timestamp": 12.0, "val_acc": 0.5, "loss": None, "best": True},
        ]
        names = {"x1": "swift-fox", "x2": "swift-fox", "x3": "calm-owl"}
        about = {"state": "finished", "config": {"max_steps": 9}, "scan_history": lambda: iter(rows)}
        self.all = {i: SimpleNamespace(id=i, name=n, **about) for i, n in names.items()}

    def runs(self, path):
        assert path == "me/project"
        return iter(self.all.values())

    def run(self, path):
        if path.endswith("gone"):
            raise Failed("Could not find\n run")
        return self.all[path.split("/")[-1]]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=FakeApi))
    monkeypatch.setitem(sys.modules, "wandb.errors", SimpleNamespace(Error=Failed))


@pytest.mark.usefixtures("server")
def test_the_server_gives_the_whole_history(curve):
    table = wandb.read("me/project", FakeApi())
    assert list(table["run"].unique()) == ["calm-owl", "swift-fox (x1)", "swift-fox (x2)"]
    assert set(table["metric"]) == {"loss", "val_acc"}
    np.testing.assert_equal(curve(table, "loss", "calm-owl"), {1: 2.0, 2: math.nan})
    assert curve(table, "val_acc", "calm-owl") == {3: 0.5}
    assert list(table["time"][:3]) == [10, 11, 12]
    assert table.attrs["state"]["swift-fox (x1)"] == "finished"
    assert table.attrs["horizon"]["calm-owl"] == 9
    assert set(read("me/project/x3", "wandb")["run"]) == {"calm-owl"}


@pytest.mark.usefixtures("server")
def test_what_the_server_refuses_is_told_in_one_line():
    with pytest.raises(
        ValueError, match="expected runs of W&B at me/project/gone, got 'Could not find run'; correct the path, or wandb login"
    ):
        read("me/project/gone", "wandb")
    with pytest.raises(ValueError, match="'me'"):
        wandb.read("me", FakeApi())
