"""Readers: files as the real tools write them, the traps of each format, folders, and what is refused."""

import json
import math
import sys

import numpy as np
import pandas as pd
import pytest

from lcx.cli import app
from lcx.readers import csv_table, huggingface, jsonl, mlflow, optuna, read, recognise, tensorboard, wandb

LIGHTNING = """epoch,step,train_loss,val_acc
0,49,0.9,
0,99,0.8,
0,99,,0.5
1,149,0.7,
1,199,0.6,
1,199,,0.6
"""
KERAS = "epoch,accuracy,loss,val_accuracy\n0,0.5,0.9,NA\n1,0.6,0.8,0.55\n2,nan,nan,NA\n"
ULTRALYTICS = (
    "                  epoch,         train/box_loss,   metrics/mAP50-95(B)\n"
    "                      1,                 1.5012,               0.10123\n"
    "                      2,                 1.2034,               0.20456\n"
)
STATE = {
    "epoch": 2.0,
    "global_step": 20,
    "log_history": [
        {"epoch": 0.0, "eval_loss": 2.5, "eval_runtime": 1.0, "step": 0},
        {"epoch": 1.0, "grad_norm": 1.5, "learning_rate": 5e-5, "loss": 2.0, "step": 10},
        {"epoch": 1.0, "eval_loss": 2.1, "eval_runtime": 1.0, "eval_samples_per_second": 9.0, "step": 10},
        {"epoch": 2.0, "grad_norm": 1.1, "learning_rate": 2e-5, "loss": math.nan, "step": 20},
        {"epoch": 2.0, "eval_loss": 1.9, "eval_runtime": 1.0, "eval_samples_per_second": 9.0, "step": 20},
        {"epoch": 2.0, "step": 20, "total_flos": 1e9, "train_loss": 2.0, "train_runtime": 9.0, "train_steps_per_second": 2.0},
    ],
    "max_steps": 60,
}


def curve(table, metric, run=None):
    rows = table[(table["metric"] == metric) & (True if run is None else table["run"] == run)]
    return dict(zip(rows["step"], rows["value"], strict=True))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def events(folder, suffix, points, *, start=0.0):
    """An event file by PyTorch's writer: (tag, step, value) in this order."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), filename_suffix=suffix) as writer:
        for position, (tag, step, value) in enumerate(points):
            writer.add_scalar(tag, value, step, walltime=start + position)
    return folder


def test_a_plain_csv_is_a_sorted_long_table(tmp_path):
    table = read(write(tmp_path / "plain.csv", "note,Epoch,acc,loss\na,3,0.3,7\nb,1,0.1,9\nc,2,0.2,inf\n"))
    assert list(table.columns) == ["run", "metric", "step", "value"]
    assert list(table["run"].unique()) == ["plain.csv"]
    assert list(table["metric"]) == ["acc"] * 3 + ["loss"] * 3
    assert list(table["step"]) == [1, 2, 3] * 2
    assert curve(table, "loss") == {1: 9, 2: math.inf, 3: 7}
    assert table["step"].dtype == table["value"].dtype == np.float64


def test_what_pandas_excel_and_tensorboards_page_export(tmp_path):
    frame = pd.DataFrame({"step": [1, 2], "acc": [0.1, 0.2]})
    frame.to_csv(tmp_path / "index.csv")
    assert curve(read(tmp_path / "index.csv"), "acc") == {1: 0.1, 2: 0.2}
    frame.to_csv(tmp_path / "excel.csv", sep=";", encoding="utf-8-sig", index=False)
    assert curve(read(tmp_path / "excel.csv"), "acc") == {1: 0.1, 2: 0.2}
    page = read(write(tmp_path / "page.csv", "Wall time,Step,Value\n1700000000.5,0,0.1\n1700000001.5,10,0.2\n"))
    assert curve(page, "Value") == {1: 0.1, 11: 0.2}
    assert list(page["time"]) == [1700000000.5, 1700000001.5]


def test_lightnings_sparse_zero_based_rows(tmp_path):
    table = read(write(tmp_path / "version_3" / "metrics.csv", LIGHTNING))
    assert set(table["run"]) == {"version_3"}
    assert set(table["metric"]) == {"train_loss", "val_acc"}
    assert curve(table, "train_loss") == {50: 0.9, 100: 0.8, 150: 0.7, 200: 0.6}
    assert curve(table, "val_acc") == {100: 0.5, 200: 0.6}


def test_keras_na_is_not_logged_and_nan_is(tmp_path):
    table = read(write(tmp_path / "log.csv", KERAS))
    assert curve(table, "val_accuracy") == {2: 0.55}
    np.testing.assert_equal(curve(table, "accuracy"), {1: 0.5, 2: 0.6, 3: math.nan})


def test_ultralytics_padded_headers_and_seconds(tmp_path):
    table = read(write(tmp_path / "train2" / "results.csv", ULTRALYTICS))
    assert set(table["run"]) == {"train2"}
    assert curve(table, "metrics/mAP50-95(B)") == {1: 0.10123, 2: 0.20456}
    table = read(write(tmp_path / "train3" / "results.csv", "epoch,time,lr/pg0\n1,10.5,0.1\n2,20.25,0.2\n"))
    assert list(table["time"]) == [10.5, 20.25]
    assert set(table["metric"]) == {"lr/pg0"}


def test_a_long_csv_of_several_runs(tmp_path):
    table = read(write(tmp_path / "long.csv", "run,step,value\nb,0,1\nb,1,2\na,1,3\na,2,4\n"))
    assert curve(table, "value", "a") == {2: 3, 3: 4}  # one log, one counter: zero-based in run b, so in a
    assert curve(table, "value", "b") == {1: 1, 2: 2}
    table = read(write(tmp_path / "longer.csv", "run,metric,step,value\n7,loss,1,1\n7,acc,1,2\n7,loss,2,nan\n"))
    np.testing.assert_equal(curve(table, "loss", "7"), {1: 1.0, 2: math.nan})
    assert curve(table, "acc", "7") == {1: 2}


def test_a_restart_overwrites_and_may_change_the_header(tmp_path):
    text = "epoch,acc\n1,0.1\n2,0.2\n3,0.3\nepoch,acc,f1\n3,0.35,0.6\n4,0.4\n"
    with pytest.warns(UserWarning, match=r"log\.csv: a value is followed by another .* which counts: acc at step 3 in line 4$"):
        table = read(write(tmp_path / "log.csv", text))
    assert curve(table, "acc") == {1: 0.1, 2: 0.2, 3: 0.35, 4: 0.4}
    assert curve(table, "f1") == {3: 0.6}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got none"),
        ("epoch,acc\n", "none"),
        ("1,2\n3,4\n", "line 1"),
        ("epoch,acc\n1,2\n1,2,3\n", "line 3"),
        ("epoch,note\n1,a\n", "only words in 'note' ('a'"),
    ],
)
def test_csv_that_is_no_log_is_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match="expected") as refused:
        csv_table.read(write(tmp_path / "log.csv", text))
    assert words in str(refused.value)


def test_hugging_face_state_train_and_evaluation_apart(tmp_path):
    table = read(write(tmp_path / "out" / "trainer_state.json", json.dumps(STATE, indent=2)))
    assert set(table["metric"]) == {"loss", "eval_loss", "grad_norm", "learning_rate"}
    np.testing.assert_equal(curve(table, "loss"), {10: 2.0, 20: math.nan})
    assert curve(table, "eval_loss") == {10: 2.1, 20: 1.9}  # the one at step 0 was before the first update
    assert table.attrs == {"horizon": {"out": 60.0}}


def test_hugging_face_checkpoints_are_one_run(tmp_path):
    for step in (10, 20, 9):
        state = {**STATE, "global_step": step, "log_history": [{"loss": float(step), "step": step}]}
        write(tmp_path / "out" / f"checkpoint-{step}" / "trainer_state.json", json.dumps(state, indent=2))
    table = read(tmp_path)
    assert list(table["run"]) == ["out"]
    assert curve(table, "loss") == {20: 20.0}
    assert table.attrs == {"horizon": {"out": 60.0}}
    assert set(read(tmp_path / "out" / "checkpoint-9")["value"]) == {9.0}
    with pytest.raises(ValueError, match="log_history"):
        huggingface.read(write(tmp_path / "x.json", "[1]"))
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="checkpoints"):
        huggingface.read(tmp_path / "none")


def test_tensorboard_keeps_every_scalar_of_every_file(tmp_path):
    events(tmp_path / "run", ".0", [("loss", step, 1 / (step + 1)) for step in range(11_000)])
    events(tmp_path / "run", ".1", [("loss", step, 7.0) for step in (10_998, 10_999, 11_000)] + [("acc", 5, math.nan)], start=1e6)
    with pytest.warns(
        UserWarning, match=r"run: 2 values are followed by another of the same step in run, which counts: loss at step 10999, "
    ):
        table = read(tmp_path)
    loss = table[table["metric"] == "loss"]
    assert set(table["run"]) == {"run"}
    assert len(loss) == 11_001  # not the 10,000 that are kept by default
    assert list(loss["step"][:2]) == [1, 2]
    assert list(loss["value"][-4:]) == pytest.approx([1 / 10_998, 7, 7, 7])
    assert list(loss["time"][-3:]) == [1e6, 1e6 + 1, 1e6 + 2]
    np.testing.assert_equal(curve(table, "acc"), {6: math.nan})


def test_tensorboard_scalars_of_tf2_are_tensors(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    for step in range(25):  # more than the 10 tensors that are kept by default
        for tag, plugin, content in (
            ("epoch_loss", "scalars", np.float32(step)),
            ("note", "text", "words"),
            ("pair", "scalars", [1.0, 2.0]),
        ):
            about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
            value = Summary.Value(tag=tag, metadata=about, tensor=make_tensor_proto(content))
            writer.add_event(Event(step=step, wall_time=step, summary=Summary(value=[value])))
    writer.close()
    table = read(tmp_path)
    assert set(table["metric"]) == {"epoch_loss"}
    assert curve(table, "epoch_loss") == {step + 1: step for step in range(25)}


def test_a_lone_value_at_step_0_does_not_shift_curves(tmp_path):
    table = read(events(tmp_path / "run", "", [("hp_metric", 0, -1.0), *(("loss", step, 1.0) for step in (1, 2, 3))]))
    assert set(table["metric"]) == {"loss"}
    assert list(table["step"]) == [1, 2, 3]


def test_tensorboard_cut_short_and_junk(tmp_path):
    events(tmp_path / "run", "", [("loss", step, 1.0) for step in range(1, 9)])
    (file,) = (tmp_path / "run").iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    assert len(read(file)) == 7
    file.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="expected metrics"):
        read(file)


def test_jsonl_lines_nested_with_null_and_cut_short(tmp_path):
    lines = [
        {"config": {"lr": 0.1}},
        {"epoch": 0, "loss": 2.0, "val": {"acc": 0.1}, "time": 1.5},
        {"epoch": 1, "loss": None, "val": {"acc": "NaN"}},
    ]
    text = "\n".join(map(json.dumps, [*lines, {"epoch": 2, "metrics": {"loss": 1.0}, "note": "3"}])) + '\n{"epoch": 3, "lo'
    table = read(write(tmp_path / "log.jsonl", text))
    assert curve(table, "loss") == {1: 2.0, 3: 1.0}
    np.testing.assert_equal(curve(table, "val/acc"), {1: 0.1, 2: math.nan})
    assert set(table["metric"]) == {"loss", "val/acc"}
    assert table["time"].iloc[0] == 1.5


def test_a_counter_that_starts_over_in_every_epoch_is_not_the_step(tmp_path):
    """As OpenMMLab logs: the batch within the epoch; the rows of the validation have the epoch too."""
    rows = [
        row
        for epoch in (1, 2, 3)
        for row in (*({"epoch": epoch, "iter": i, "loss": epoch + 1 / i} for i in (50, 100)), {"epoch": epoch, "iter": 40, "mAP": epoch})
    ]
    with pytest.warns(UserWarning, match=r"3 values are followed by another .*: loss at step 1 in line 1, loss at step 2 in line 4, "):
        table = read(write(tmp_path / "log.json", "".join(json.dumps({"mode": "x"} | row) + "\n" for row in rows)))
    assert curve(table, "loss") == {1: 1.01, 2: 2.01, 3: 3.01}
    assert curve(table, "mAP") == {1: 1, 2: 2, 3: 3}
    pd.DataFrame(rows).to_csv(tmp_path / "log.csv", index=False)
    with pytest.warns(UserWarning, match="3 values are followed by another"):
        assert curve(read(tmp_path / "log.csv"), "loss") == {1: 1.01, 2: 2.01, 3: 3.01}
    text = "run,epoch,step,loss\na,1,10,1\na,2,20,2\nb,1,10,3\nb,2,20,4\nb,1,15,5\n"  # another run, and a restart
    assert curve(read(write(tmp_path / "runs.csv", text)), "loss", "b") == {10: 3, 15: 5, 20: 4}


def test_jsonl_of_several_runs(tmp_path):
    rows = [{"run": run, "step": step, "acc": step / 10} for run in "ba" for step in (1, 2, 2)]
    rows += [{"run": "c", "metric": "f1", "step": 4, "value": 0.5}]
    table = read(write(tmp_path / "log.json", "\n".join(map(json.dumps, rows))))
    assert list(table["run"]) == ["a", "a", "b", "b", "c"]
    assert curve(table, "f1", "c") == {4: 0.5}


@pytest.mark.parametrize(
    ("text", "words"), [('{"a": 1}\n{"b"\n{"a": 2}', "line 2"), ('{"step": 1}\n3', "line 2"), ('{"acc": 1}', "epoch"), ("", "epoch")]
)
def test_jsonl_that_is_no_log_is_refused(tmp_path, text, words):
    with pytest.raises(ValueError, match="expected") as refused:
        jsonl.read(write(tmp_path / "log.jsonl", text))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("package", "reader", "path"),
    [
        ("tensorboard", tensorboard, "x"),
        ("mlflow", mlflow, "http://x"),
        ("wandb", wandb, "me/project"),
        ("optuna", optuna, "postgresql://x/y"),
    ],
)
def test_a_missing_package_names_the_extra(monkeypatch, package, reader, path):
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"pip install 'lcx\[{package}\]'"):
        reader.read(path)


@pytest.fixture
def folder(tmp_path):
    """Logs of several tools, and files that are none."""
    write(tmp_path / "a" / "version_0" / "metrics.csv", LIGHTNING)
    write(tmp_path / "a" / "version_0" / "hparams.yaml", "lr: 0.1\n")
    events(tmp_path / "a" / "version_0", "", [("train_loss", 49, 0.9)])
    write(tmp_path / "keras.csv", KERAS)
    write(tmp_path / "long.csv", "run,step,value\nx,1,1\ny,1,2\n")
    write(tmp_path / "hf" / "trainer_state.json", json.dumps(STATE))
    write(tmp_path / "hf" / "config.json", '{"hidden": 3}')
    write(tmp_path / ".hidden" / "log.csv", KERAS)
    write(tmp_path / "people.csv", "name,age\nx,3\n")
    events(tmp_path / "tb" / "fold_0", "", [("loss", 1, 1.0)])
    (tmp_path / "model.ckpt").write_bytes(bytes(range(256)))
    return tmp_path


def test_a_folder_is_walked_and_runs_are_named_by_their_path(folder):
    with pytest.warns(UserWarning, match=r"^left out: people\.csv \(no column counts the steps\)$"):
        table = read(folder)
    assert list(table["run"].unique()) == ["a/version_0", "hf", "keras.csv", "long.csv/x", "long.csv/y", "tb/fold_0"]
    assert table.attrs["horizon"] == {"hf": 60.0}
    assert table.attrs["counter"] == {"a/version_0": "step", "keras.csv": "epoch", "long.csv/x": "step", "long.csv/y": "step"}
    assert table.attrs["steps_per_epoch"] == {"a/version_0": 100.0}
    assert curve(table, "train_loss", "a/version_0")[50] == 0.9
    assert table.equals(table.sort_values(["run", "metric", "step"], ignore_index=True))
    assert set(read(folder, "tensorboard")["run"]) == {"a/version_0", "tb/fold_0"}
    assert set(read(folder / "a" / "version_0")["run"]) == {"version_0"}


def test_what_two_files_of_a_tool_tell_is_one_run(tmp_path):
    """Ray writes each result into two files, and Weights & Biases the last values of a run beside what is to be synced."""
    results = [{"acc": 0.1 * epoch, "epoch": epoch, "training_iteration": epoch + 1} for epoch in range(3)]
    for trial in ("t1", "t2"):
        (tmp_path / trial).mkdir()
        pd.DataFrame(results).to_csv(tmp_path / trial / "progress.csv", index=False)
        write(tmp_path / trial / "result.json", "".join(json.dumps(result) + "\n" for result in results))
    write(tmp_path / "wandb" / "run-1" / "files" / "wandb-summary.json", '{"_step": 99, "acc": 0.3}')
    with pytest.warns(UserWarning, match="no curve"):
        table = read(tmp_path)
    assert list(table["run"].unique()) == ["t1", "t2"]
    assert list(table["metric"].unique()) == ["acc"]
    assert set(read(tmp_path, "jsonl")["run"]) == {"t1/result.json", "t2/result.json"}
    for result in results:
        del result["epoch"]
    assert curve(read(write(tmp_path / "result.json", json.dumps(results[2]))), "acc") == {3: 0.2}


def test_a_log_that_cannot_be_read_is_left_out_with_a_warning(folder):
    write(folder / "broken.csv", "epoch,acc\n1,2,3\n")
    with pytest.warns(UserWarning, match=r"left out: .*broken\.csv"):
        table = read(folder)
    assert "keras.csv" in set(table["run"])
    write(folder / "alone" / "broken.csv", "epoch,acc\n1,2,3\n")
    with pytest.raises(ValueError, match="line 2"):
        read(folder / "alone")


def test_what_is_no_log_is_refused(tmp_path):
    (tmp_path / "junk").write_bytes(bytes(range(256)))
    write(tmp_path / "prose.txt", "no log at all\n")
    write(tmp_path / "empty.csv", "")
    for name in ("junk", "prose.txt", "empty.csv"):
        assert recognise(tmp_path / name) is None
        with pytest.raises(ValueError, match="expected a log in one of the formats"):
            read(tmp_path / name)
    with pytest.raises(ValueError, match="text file"):
        read(tmp_path / "junk", "csv")
    with pytest.raises(ValueError, match="got none"):
        read(tmp_path)
    with pytest.raises(ValueError, match="'parquet'"):
        read(tmp_path, "parquet")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read(tmp_path / "nothing")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs ``lcx runs`` in this process: exit code, standard output, standard error."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lcx", "runs", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            app.main()
        shown = capsys.readouterr()
        return stopped.value.code or 0, shown.out, shown.err

    return command


def test_the_command_lists_runs(run, folder):
    write(folder / "broken.csv", "epoch,acc\n1,2,3\n")
    code, out, err = run(folder, "--json")
    answer = json.loads(out)
    rows = {(row["run"], row["metric"]): row for row in answer["runs"]}
    assert code == 0
    assert len(answer["warnings"]) == 1
    assert "line 2" in answer["warnings"][0]
    assert answer["warnings"][0].endswith("; people.csv (no column counts the steps)")
    assert err.startswith("warning: left out: ")
    expected = {"points": 3, "first_step": 1, "last_step": 3, "last": None, "lowest": 0.5, "highest": 0.6}
    assert rows["keras.csv", "accuracy"].items() >= expected.items()
    assert rows["hf", "loss"]["horizon"] == 60
    lines = run(folder)[1].splitlines()
    assert lines[0] == "6 runs"
    assert ["keras.csv", "accuracy", "3", "1", "3", "nan", "0.5", "0.6"] in [line.split() for line in lines]
    assert run(folder / "keras.csv", "--format", "csv")[1].startswith("1 run\n")


def test_the_command_refuses_in_one_line(run, tmp_path):
    for arguments in ([tmp_path], [tmp_path / "none"], [tmp_path, "--format", "parquet"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("lcx: expected ")
        assert len(err.strip().splitlines()) == 1
