"""Folders of logs: what is read, what names a run, and what is said about the rest."""

import json
import sys

import pandas as pd
import pytest

from lcx.readers import formats, read, register


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_missing_package_leaves_out_its_logs_alone_and_is_named_once(tmp_path, monkeypatch):
    for name in ["tensorboard", *(name for name in sys.modules if name.startswith("tensorboard."))]:
        monkeypatch.setitem(sys.modules, name, None)
    write(tmp_path / "keras.csv", "epoch,loss\n0,2\n1,1\n")
    for run in "ab":
        write(tmp_path / "tb" / run / "events.out.tfevents.1", "")
    with pytest.warns(UserWarning, match=r"left out: .*pip install 'lcx\[tensorboard\]'") as said:
        table = read(tmp_path)
    assert len(said) == 1
    assert list(table["value"]) == [2, 1]
    with pytest.raises(ImportError, match="pip install"):
        read(tmp_path / "tb")


def events(folder, *points):
    """An event file by PyTorch's writer: (tag, step, value)."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for tag, step, value in points:
            writer.add_scalar(tag, value, step)


def test_the_folders_of_keras_callback_are_one_run(tmp_path, curve):
    for part in ("train", "validation"):
        events(tmp_path / "fit" / "a" / part, *(("epoch_loss", step, len(part) + step) for step in range(2)))
    events(tmp_path / "lone" / "train", ("loss", 1, 1.0))
    events(tmp_path / "estimator", ("loss", 1, 3.0), ("loss", 2, 2.0))
    events(tmp_path / "estimator" / "eval", ("loss", 2, 4.0))
    table = read(tmp_path)
    assert list(table["run"].unique()) == ["estimator", "fit/a", "lone/train"]
    assert curve(table, "train/epoch_loss", "fit/a") == {1: 5, 2: 6}
    assert curve(table, "validation/epoch_loss", "fit/a") == {1: 10, 2: 11}
    assert curve(table, "loss", "estimator") == {1: 3, 2: 2}
    assert curve(table, "eval/loss", "estimator") == {2: 4}
    assert set(read(tmp_path / "fit" / "a")["metric"]) == {"train/epoch_loss", "validation/epoch_loss"}
    assert set(read(tmp_path / "fit" / "a" / "train")["metric"]) == {"epoch_loss"}


def test_the_folders_of_add_scalars_are_metrics_of_the_run(tmp_path, curve):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "runs" / "a")) as writer:
        for step in (1, 2):
            writer.add_scalar("lr", 0.1, step)
            writer.add_scalars("Loss/all", {"train": 1 / step, "val_1": 2 / step}, step)
    events(tmp_path / "runs" / "a" / "loss_again", ("acc", 1, 1.0))  # a run below another
    for where in (tmp_path, tmp_path / "runs" / "a"):
        table = read(where)
        run = table["run"][table["metric"] == "lr"].iloc[0]
        assert set(table["metric"][table["run"] == run]) == {"lr", "Loss/all/train", "Loss/all/val_1"}
        assert curve(table, "Loss/all/val_1", run) == {1: 2, 2: 1}
    assert set(read(tmp_path)["run"]) == {"runs/a", "runs/a/loss_again"}


def test_what_a_trainer_of_hugging_face_leaves_is_one_run(tmp_path, curve):
    for name, last in (("out/checkpoint-5", 5), ("out/checkpoint-10", 10), ("out", 10), ("out/last-checkpoint", 5)):
        history = [{"loss": 10.0 - step, "step": step} for step in range(1, last + 1)]
        state = f'{{"global_step": {last}, "log_history": {json.dumps(history)}, "max_steps": 20}}'
        write(tmp_path / name / "trainer_state.json", state)
    log = "".join(f'{{"current_steps": {step}, "total_steps": 20, "loss": 1.0}}\n' for step in range(1, 11))
    write(tmp_path / "out" / "trainer_log.jsonl", log)
    events(tmp_path / "out" / "runs" / "Jan01_host", ("train/loss", 1, 9.0))
    write(tmp_path / "out" / "metrics.csv", "epoch,acc\n1,0.5\n")
    table = read(tmp_path)
    assert list(table["run"].unique()) == ["out", "out/trainer_state.json"]  # metrics.csv is another log
    assert curve(table, "loss", "out/trainer_state.json") == {step: 10.0 - step for step in range(1, 11)}


def test_the_epochs_of_a_trainer_are_a_horizon_in_steps(tmp_path):
    state = {"epoch": 0.5, "global_step": 50, "num_train_epochs": 3, "max_steps": 0, "log_history": [{"loss": 1.0, "step": 50}]}
    write(tmp_path / "out" / "trainer_state.json", json.dumps(state))
    assert read(tmp_path).attrs == {"horizon": {"out": 300}}
    write(tmp_path / "out" / "trainer_state.json", json.dumps({**state, "max_steps": 200}))
    assert read(tmp_path).attrs == {"horizon": {"out": 200}}


def test_a_trainer_that_is_running_has_its_longest_history_in_its_log(tmp_path, curve):
    state = {"global_step": 2, "log_history": [{"loss": 1.0, "step": 2}], "max_steps": 9}
    write(tmp_path / "out" / "checkpoint-2" / "trainer_state.json", json.dumps(state))
    write(tmp_path / "out" / "trainer_log.jsonl", "".join(f'{{"current_steps": {i}, "total_steps": 9, "loss": {9 - i}}}\n' for i in (2, 4)))
    table = read(tmp_path)
    assert set(table["run"]) == {"out"}
    assert curve(table, "loss") == {2: 7, 4: 5}
    assert table.attrs["horizon"] == {"out": 9}


@pytest.mark.parametrize(
    ("name", "logged", "metric"),
    [
        ("history.json", {"loss": [0.9, 0.5], "val_loss": [1.0, 0.6]}, "loss"),  # Keras
        ("evals_result.json", {"validation_0": {"logloss": [0.9, 0.5]}, "validation_1": {"logloss": [1, 1]}}, "validation_0/logloss"),
    ],
)
def test_lists_of_values_per_epoch_or_round(tmp_path, curve, name, logged, metric):
    write(tmp_path / name, json.dumps(logged))
    for path in (tmp_path, tmp_path / name):
        assert curve(read(path), metric) == {1: 0.9, 2: 0.5}


def test_the_second_file_of_openmmlab_is_not_another_run(tmp_path):
    for name in ("scalars.json", "20260102_030405.json"):
        write(tmp_path / "20260102_030405" / "vis_data" / name, '{"loss": 2.0, "step": 50}\n{"loss": 1.0, "step": 100}\n')
    write(tmp_path / "20260102_030405" / "vis_data" / "config.py", "x = 1\n")
    table = read(tmp_path)
    assert list(table["run"]) == ["20260102_030405"] * 2
    assert set(read(tmp_path / "20260102_030405" / "vis_data" / "scalars.json")["run"]) == {"20260102_030405"}


def test_a_folder_of_mixed_files_says_what_was_left_out_and_why(tmp_path):
    write(tmp_path / "a.csv", "epoch,loss\n1,3\n2,2\n")
    write(tmp_path / "b.log", "epoch 1: loss 3\nepoch 2: loss 2\n")
    write(tmp_path / "models.csv", "model,epochs,acc\nx,100,0.5\ny,50,0.6\n")  # settings of finished models, not steps
    write(tmp_path / "sizes.csv", "size,acc\n20,0.5\n10,0.6\n")
    write(tmp_path / "index.csv", ",age\n0,3\n1,4\n")
    write(tmp_path / "data.jsonl", '{"text": "x", "tokens": 9}\n{"text": "y", "tokens": 5}\n')
    write(tmp_path / "build.log", "Step 1/9 : FROM x\n")
    write(tmp_path / "empty.csv", "")
    write(tmp_path / "tokenizer.json", '{"vocab": {\n"step": 45, "loss": 3,\n"epoch": 46, "acc": 4,\n"step": 47, "loss": 5}}')
    for name in "cdefgh":
        write(tmp_path / "broken" / f"{name}.csv", "epoch,acc\n1,2,3\n")
    for name, text in {"config.json": '{"epochs": 9, "lr": 0.1}', "notes.txt": "all went well\n", "args.yaml": "lr: 1\n"}.items():
        write(tmp_path / name, text)
    with pytest.warns(UserWarning, match="left out: ") as said:
        table = read(tmp_path)
    assert sorted(table["run"].unique()) == ["a.csv", "b.log"]
    (text,) = (str(warning.message) for warning in said)
    assert text.count("expected 2 cells") == 5
    assert text.endswith(
        "; 1 more that cannot be read; build.log (no lines with a step and a number), data.jsonl (no key counts the steps), "
        "empty.csv (empty), index.csv, models.csv, sizes.csv (no column counts the steps)"
    )
    assert not [name for name in ("config.json", "notes.txt", "args.yaml") if name in text]


def test_the_text_log_beside_another_log_of_the_run_is_not_a_second_run(tmp_path):
    text = "iter: 1 loss: 3.0\niter: 2 loss: 2.0\n"
    rows = '{"iteration": 1, "loss": 3.0}\n{"iteration": 2, "loss": 2.0}\n'
    write(tmp_path / "detectron" / "log.txt", text)
    write(tmp_path / "detectron" / "metrics.json", rows)
    write(tmp_path / "mm" / "20230101.log", text)
    write(tmp_path / "mm" / "20230101.log.json", rows)
    with pytest.warns(UserWarning, match=r"detectron/log\.txt, mm/20230101\.log \(text beside another log of the run\)"):
        table = read(tmp_path)
    assert len(table) == 4
    assert set(read(tmp_path, "text")["run"]) == {"detectron/log.txt", "mm/20230101.log"}
    write(tmp_path / "detectron" / "metrics.json", '{"iteration": 1}\n')  # has no metric: so the text is what there is
    with pytest.warns(UserWarning, match=r"^left out: expected .*metrics\.json.*mm/20230101\.log \("):
        assert set(read(tmp_path)["run"]) == {"detectron/log.txt", "mm/20230101.log.json"}


def test_a_format_of_ones_own_comes_first_and_has_no_name_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_OWN", {})
    write(tmp_path / "x.csv", "epoch,loss\n1,3\n")
    register("mine", lambda path: path.suffix == ".csv", lambda path: pd.DataFrame({"metric": "m", "step": [0, 5], "value": [1, 2]}))
    table = read(tmp_path)
    assert table.to_dict("list") == {"run": ["x.csv"], "metric": ["m"], "step": [5], "value": [2]}
    assert list(read(tmp_path / "x.csv", "csv")["value"]) == [3]
    register("mine", lambda path: True, lambda path: pd.DataFrame({"value": [1]}))
    with pytest.raises(ValueError, match=r"expected columns metric, step and value .*add"):
        read(tmp_path / "x.csv", "mine")
    with pytest.raises(ValueError, match="'csv', which lcx reads itself"):
        register("csv", lambda path: True, lambda path: pd.DataFrame())
