"""JSON of any shape that holds a curve."""

import io
import json
import math
import sys

import numpy as np
import pytest

from lcx.readers import read


@pytest.mark.parametrize(
    ("data", "metric", "points"),
    [
        ([0.5, 0.4, 0.3], "value", {1: 0.5, 2: 0.4, 3: 0.3}),
        ({"loss": [0.5, None, 0.3]}, "loss", {1: 0.5, 3: 0.3}),
        ({"values": [0.5, 0.4], "steps": [10, 20]}, "values", {10: 0.5, 20: 0.4}),
        ({"values": [0.5, 0.4], "steps": None}, "values", {1: 0.5, 2: 0.4}),
        ({"train": {"rmse": [0.5, 0.4]}, "eval": {"rmse": [0.6, 0.5]}}, "eval/rmse", {1: 0.6, 2: 0.5}),
        ([{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.4}], "loss", {1: 0.5, 2: 0.4}),
        ([{"loss": 0.5}, {"loss": 0.4}], "loss", {1: 0.5, 2: 0.4}),
        ({"lr": 0.1, "history": [{"step": 5, "loss": 0.5}, {"step": 10, "loss": 0.4}]}, "loss", {5: 0.5, 10: 0.4}),
    ],
)
@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "pretty"])
def test_json_of_any_shape(log, curve, data, metric, points, indent):
    assert curve(log("curve.json", json.dumps(data, indent=indent)), metric) == points


def test_lists_of_several_lengths_begin_at_step_1(log, curve):
    table = log("curve.json", '{"loss": [3, 2, 1], "val_loss": [4, 3]}')
    assert curve(table, "loss") == {1: 3, 2: 2, 3: 1}
    assert curve(table, "val_loss") == {1: 4, 2: 3}


def test_words_in_json_are_numbers_only_if_a_whole_key_is(log, curve):
    table = log("log.jsonl", '{"step": 1, "loss": "5.1", "note": "3"}\n{"step": 2, "loss": "4.9"}\n{"step": 3, "loss": "nan"}\n')
    assert set(table["metric"]) == {"loss"}
    np.testing.assert_equal(curve(table, "loss"), {1: 5.1, 2: 4.9, 3: math.nan})


def test_a_column_of_planned_steps_is_the_horizon(log):
    rows = [{"current_steps": step, "total_steps": 30, "loss": 1 / step} for step in (10, 20)]
    table = log("out/trainer_log.jsonl", "\n".join(map(json.dumps, rows)))
    assert table.attrs["horizon"] == {"out": 30.0}
    assert list(table["step"].unique()) == [10, 20]


def test_standard_input(monkeypatch, curve):
    for text, format in (("loss\n3\n2\n", None), ("[3, 2]", None), ('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}', "jsonl")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        table = read("-", format)
        assert list(table["run"].unique()) == ["stdin"]
        assert list(table["value"]) == [3, 2]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("loss\n3\n2\n".encode("utf-16"))))  # as PowerShell pipes
    assert list(read("-")["value"]) == [3, 2]


@pytest.mark.parametrize("text", ['{"lr": 0.1}', "[]", '"words"', '{"layers": ["a"]}', "3"])
def test_json_without_a_curve_is_refused(log, text):
    with pytest.raises(ValueError, match=r"expected .* in .*x\.json"):
        log("x.json", text)


def test_which_json_in_a_folder_is_a_log(tmp_path):
    """A configuration, a vocabulary and a data set are none."""
    files = {
        "history.json": {"loss": [3, 2], "val_loss": [4, 3]},
        "records.json": [{"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}],
        "config.json": {"epochs": 10, "lr": 0.1, "layers": [64, 64]},
        "vocab.json": {"a": 1, "b": 2},
        "people.json": [{"name": "x", "age": 3}, {"name": "y", "age": 4}],
        "numbers.json": [1, 2, 3],
        "vectors.json": {"drama": [0.1, 0.2], "crime": [0.3, 0.4]},
    }
    for name, data in files.items():
        (tmp_path / name).write_text(json.dumps(data, indent=1))
    with pytest.warns(UserWarning, match=r"^left out: numbers\.json, people\.json \(no key counts the steps\)$"):
        assert set(read(tmp_path)["run"]) == {"history.json", "records.json"}


def test_a_second_training_in_a_jsonl_is_a_second_run_and_a_resumed_one_goes_on(log, curve):
    rows = [{"step": step, "loss": 9 - step} for step in (1, 2, 3, 2, 3, 4)]
    with pytest.warns(UserWarning, match="a value is followed by another") as said:
        table = log("log.jsonl", "\n".join(json.dumps(row | {"loss": row["loss"] + (at == 4)}) for at, row in enumerate(rows)))
    assert "loss at step 3 in line 3" in str(said[0].message)
    assert curve(table, "loss") == {1: 8, 2: 7, 3: 7, 4: 5}
    rows = [{"step": step, "loss": 9 - step, "acc": step} for step in (5, 10, 5, 10, 5)]
    with pytest.warns(UserWarning, match=r"start again in line 3, 5; read as further runs log\.jsonl \(2\) to log\.jsonl \(3\)$"):
        table = log("log.jsonl", "\n".join(map(json.dumps, rows)))
    assert {run: curve(table, "acc", run) for run in table["run"].unique()} == {
        "log.jsonl": {5: 5, 10: 10},
        "log.jsonl (2)": {5: 5, 10: 10},
        "log.jsonl (3)": {5: 5},
    }


@pytest.mark.parametrize("name", ["log.jsonl", "trainer_state.json"])
@pytest.mark.parametrize(
    "lines", [["[" * 5000], ['{"step": 1, "loss": 0.5}', "[" * 5000 + "]" * 5000, '{"step": 2, "loss": 0.4}']], ids=["one", "line"]
)
def test_what_is_nested_hundreds_deep_is_no_log_and_ends_no_program(tmp_path, name, lines):
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(ValueError, match="expected"):
        read(tmp_path / name)
