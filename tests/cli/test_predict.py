"""lcx predict on any log: what it tells is inferred and said with its option, what it does not tell is asked for in one message."""

import io
import json

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.readers import read

EPOCHS = np.arange(1, 21)
RISE = 0.9 - 0.6 * EPOCHS**-0.7
FALL = 0.2 + 1.5 * EPOCHS**-0.8


def table(folder, name, columns, **beside):
    """A CSV log and files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(folder / name, index=False)
    for file, text in beside.items():
        (folder / file.replace("_", ".")).write_text(text)
    return folder / name


def yolo(folder):
    columns = {"epoch": EPOCHS, "time": 9.5 * EPOCHS, "train/box_loss": FALL, "metrics/mAP50(B)": RISE, "metrics/mAP50-95(B)": RISE / 2}
    return table(folder / "train", "results.csv", columns | {"lr/pg0": 0.01 / EPOCHS}, args_yaml="model: yolov8n.pt\nepochs: 100\n")


def huggingface(folder):
    rows = [{"step": 10 * e, "epoch": e, "eval_loss": y, "eval_accuracy": a} for e, y, a in zip(EPOCHS.tolist(), FALL, RISE, strict=True)]
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"max_steps": 600, "global_step": 200, "log_history": rows}))
    return path


def keras(folder):
    return table(
        folder, "log.csv", {"epoch": EPOCHS - 1, "accuracy": RISE, "loss": FALL, "val_accuracy": RISE - 0.02, "val_loss": FALL + 0.1}
    )


def lightning(folder):
    train = pd.DataFrame({"epoch": EPOCHS - 1, "step": 50 * EPOCHS - 1, "train_loss": FALL})
    rows = pd.concat([train, train[["epoch", "step"]].assign(val_acc=RISE)]).sort_values("step", kind="stable")
    return table(folder / "version_0", "metrics.csv", rows, hparams_yaml="lr: 0.1\nmax_epochs: 30\n")


def stable_baselines(folder):
    steps = 2048 * EPOCHS
    columns = {"time/total_timesteps": steps, "time/fps": 900, "rollout/ep_rew_mean": 200 * RISE, "rollout/ep_len_mean": 200 * RISE}
    return table(folder, "progress.csv", columns | {"train/value_loss": FALL, "train/learning_rate": 3e-4})


def mlflow(folder):
    run = folder / "mlruns" / "0" / "0123456789abcdef0123456789abcdef"
    for name, values in {"val_acc": RISE, "val_loss": FALL}.items():
        (run / "metrics").mkdir(parents=True, exist_ok=True)
        lines = [f"{1700000000000 + 1000 * e} {y} {e}\n" for e, y in zip(EPOCHS, values, strict=True)]
        (run / "metrics" / name).write_text("".join(lines))
    (run / "params").mkdir()
    (run / "params" / "epochs").write_text("60")
    about = {"artifact_uri": "''", "end_time": "null", "experiment_id": "'0'", "lifecycle_stage": "active", "run_id": run.name}
    about |= {"run_name": "calm-owl", "run_uuid": run.name, "start_time": 1, "status": 1, "user_id": "me"}
    (run / "meta.yaml").write_text("".join(f"{name}: {value}\n" for name, value in about.items()))
    (run.parent / "meta.yaml").write_text("artifact_location: ''\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    return folder / "mlruns"


def nanogpt(folder):
    lines = [f"step:{125 * e}/4875 val_loss:{y:.4f} train_time:{900 * e}ms" for e, y in zip(EPOCHS.tolist(), FALL + 3, strict=True)]
    (folder / "log.txt").write_text("import torch\n" + "\n".join(lines) + "\n")
    return folder / "log.txt"


@pytest.mark.parametrize(
    ("writer", "horizon", "modes", "told"),
    [
        (
            yolo,
            100,
            {"train/box_loss": "min", "metrics/mAP50(B)": "max", "metrics/mAP50-95(B)": "max"},
            ["horizon 100 from args.yaml (--horizon)", "smaller is better, by the name train/box_loss (--mode)"],
        ),
        (huggingface, 600, {"eval_loss": "min", "eval_accuracy": "max"}, ["horizon 600 from the log (--horizon)"]),
        (
            lightning,
            1500,
            {"train_loss": "min", "val_acc": "max"},
            ["horizon 1500 from hparams.yaml (--horizon)", "bounds 0 to 1, by name and values: val_acc (--lower, --upper)"],
        ),
        (mlflow, 60, {"val_loss": "min", "val_acc": "max"}, ["horizon 60 from the log (--horizon)"]),
        (nanogpt, 4875, {"val_loss": "min"}, ["horizon 4875 from the log (--horizon)", "smaller is better, by the name val_loss (--mode)"]),
    ],
)
def test_a_log_alone_is_answered(run, tmp_path, writer, horizon, modes, told):
    code, out, err = run("predict", writer(tmp_path), "--json", "--device", "cpu")
    assert code == 0, err
    answer = json.loads(out)
    rows = answer.get("answers", [answer])
    assert {row["metric"]: row["mode"] for row in rows} == modes
    assert {row["horizon"] for row in rows} == {horizon}
    assert {tuple(row["bounds"]) for row in rows} <= {(0, None), (0, 1)}
    assert set(told) <= set(err.splitlines())


@pytest.mark.parametrize(
    ("writer", "options", "message"),
    [
        (keras, [], "lcx: expected the last step of the run, which log.csv does not tell; type: lcx predict PATH --horizon N"),
        (
            stable_baselines,
            [],
            "lcx: expected the last step of the run, which progress.csv does not tell; type: lcx predict PATH --horizon N",
        ),
        (
            stable_baselines,
            ["--metric", "ep_len_mean"],
            "lcx: expected the last step of the run and whether larger rollout/ep_len_mean is better, which progress.csv does not tell; "
            "type: lcx predict PATH --metric rollout/ep_len_mean --horizon N --mode max, or --mode min",
        ),
    ],
)
def test_what_a_log_does_not_tell_is_asked_for_in_one_message(run, tmp_path, writer, options, message):
    path = writer(tmp_path)
    code, out, err = run("predict", path, *options, "--device", "cpu")
    assert (code, out, err) == (2, "", message.replace("PATH", str(path)) + "\n")


def test_what_lacks_a_horizon_is_named_and_so_is_standard_input(run, tmp_path):
    yolo(tmp_path)
    keras(tmp_path)
    code, _, err = run("predict", tmp_path, "--metric", "loss", "--device", "cpu")
    assert code == 2
    assert "expected the last step of the run, which" in err
    table(tmp_path / "other", "results.csv", {"epoch": EPOCHS, "loss": FALL}, args_yaml="epochs: 90\n")
    table(tmp_path / "third", "results.csv", {"epoch": EPOCHS[:5], "loss": FALL[:5]})
    code, out, err = run("predict", tmp_path, "--metric", "loss", "--csv", "--device", "cpu")
    assert code == 0, err
    assert list(pd.read_csv(io.StringIO(out))["run"]) == ["other"]
    assert "warning: not forecast: log.csv, third, whose last step is not told; give it with --horizon" in err
    assert "expected the last step of 2 runs, which" in run("watch", tmp_path, "--metric", "loss", "--once")[2]
    assert "names of columns in standard input, got" in run("predict", "-", "--horizon", "9", stdin="1,2\n3,4\n")[2]


def test_what_was_asked_for_is_enough_and_names_that_do_not_tell_are_left_out(run, tmp_path):
    path = stable_baselines(tmp_path)
    code, out, err = run("predict", path, "--horizon", "1e5", "--device", "cpu")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["metric", "rollout/ep_rew_mean", "train/value_loss"]
    assert "not forecast: rollout/ep_len_mean, whose names do not tell whether larger is better; choose with --metric and --mode" in err
    code, out, err = run("predict", path, "--horizon", "1e5", "--metric", "ep_len", "--mode", "max", "--device", "cpu")
    assert code == 0, err
    assert out.startswith("rollout/ep_len_mean: 20 points up to step 40960")


def test_the_rows_are_what_predict_answers_each_run_with_the_others(run, tmp_path):
    values = {f"run{i}": 0.9 - (0.5 + 0.1 * i) * EPOCHS ** -(0.4 + 0.1 * i) for i in range(4)}
    for i, (name, y) in enumerate(values.items()):
        stop = 20 if i < 2 else 8  # two have ended
        table(tmp_path, f"{name}.csv", {"epoch": EPOCHS[:stop], "val_acc": y[:stop]})
    code, out, err = run("predict", tmp_path, "--json", "--best", "0.8", "--device", "cpu")
    assert code == 0, err
    answer = json.loads(out)
    assert "horizon 20 from the end of 2 runs (--horizon)" in err
    assert "each run reads the others (--alone)" in err
    rows = {row["run"]: row for row in answer["answers"]}
    assert {name: row["state"] for name, row in rows.items()} == {f"run{i}.csv": "finished" if i < 2 else "running" for i in range(4)}
    assert rows["run0.csv"]["final"] == pytest.approx(values["run0"][-1])
    others = [(EPOCHS[: 20 if i < 2 else 8], y[: 20 if i < 2 else 8]) for i, y in enumerate(values.values()) if i != 2]
    question = {"horizon": 20, "mode": "max", "bounds": (0, 1), "at": [20], "device": "cpu"}
    mine = lcx.predict(values["run2"][:8], **question, others=others)
    row = rows["run2.csv"]
    np.testing.assert_allclose([row["0.05"], row["final"], row["0.95"]], mine.quantile([0.05, 0.5, 0.95])[0], rtol=1e-5)
    np.testing.assert_allclose(row["better"], mine.prob_better(0.8)[0], rtol=1e-5)
    one = json.loads(run("predict", tmp_path, "--run", "run2", "--json", "--device", "cpu", "--at", "20")[1])
    assert (one["run"], one["others"]) == ("run2.csv", 3)
    np.testing.assert_allclose(one["at"][0]["0.5"], row["final"], rtol=1e-5)
    alone = json.loads(run("predict", tmp_path, "--run", "run2", "--json", "--device", "cpu", "--alone")[1])
    np.testing.assert_allclose(alone["at"][-1]["mean"], lcx.predict(values["run2"][:8], **question).mean[0], rtol=1e-5)
    assert alone["others"] == 0
    cut = pd.read_csv(io.StringIO(run("predict", tmp_path, "--upto", "5", "--csv", "--device", "cpu", "--alone")[1]))
    assert (cut["step"].tolist(), cut["horizon"].tolist(), set(cut["state"])) == ([5] * 4, [20] * 4, {"running"})


def test_a_name_means_the_one_column_it_can(run, tmp_path):
    path = yolo(tmp_path)
    for spelled in ("mAP50-95", "map50-95(b)", "metrics/mAP50-95(B)"):
        code, out, err = run("predict", path, "--column", spelled, "--at", "100", "--device", "cpu")
        assert code == 0, err
        assert out.startswith("metrics/mAP50-95(B): 20 points up to step 20")
    assert run("predict", path, "--metric", "mAP50", "--device", "cpu")[1].startswith("metrics/mAP50(B): ")
    code, _, err = run("predict", path, "--metric", "mAP", "--device", "cpu")
    assert (code, err.count("\n")) == (2, 1)
    assert "may be metrics/mAP50(B), metrics/mAP50-95(B)" in err


def test_what_the_user_says_is_not_inferred(run, tmp_path):
    path = yolo(tmp_path)
    options = ["--metric", "mAP50-95", "--horizon", "40", "--mode", "min", "--lower", "-1", "--json", "--device", "cpu"]
    code, out, err = run("predict", path, *options)
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["horizon"], answer["mode"], answer["bounds"], answer["inferred"]) == (40, "min", [-1, None], {})
    inferred = json.loads(run("predict", path, "--metric", "mAP50-95", "--json", "--device", "cpu")[1])["inferred"]
    assert inferred == {"mode": "name", "bounds": "name and values", "horizon": "args.yaml"}


def test_several_curves_for_one_picture_are_refused_with_the_command_to_type(run, tmp_path):
    path = keras(tmp_path)
    code, out, err = run("predict", path, "--horizon", "50", "--plot", tmp_path / "fan.png", "--device", "cpu")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.endswith(f"type: lcx predict {path} --metric val_accuracy\n")
    code, _, err = run("mcmc", path, "--horizon", "50")
    assert err.endswith(
        f"got 1 run(s) with accuracy, loss, val_accuracy, val_loss in log.csv; type: lcx mcmc {path} --metric val_accuracy\n"
    )


def test_a_finished_run_is_said_to_be_finished(run, tmp_path):
    path = table(tmp_path / "a", "results.csv", {"epoch": EPOCHS, "val_loss": FALL}, args_yaml="epochs: 20\n")
    code, out, err = run("predict", path, "--device", "cpu")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"ends before its horizon 20, from args.yaml, got a with val_loss {FALL[-1]:.4g} at step 20" in err
    code, out, err = run("predict", path, "--upto", "10", "--device", "cpu")
    assert code == 0, err
    assert out.startswith("val_loss: 10 points up to step 10")


def test_infinite_values_are_named_and_not_read(run, tmp_path):
    path = table(tmp_path, "log.csv", {"epoch": EPOCHS, "val_loss": np.where(EPOCHS == 4, np.inf, FALL)})
    code, out, err = run("predict", path, "--horizon", "50", "--device", "cpu")
    assert code == 0, err
    assert "warning: val_loss of log.csv: 1 infinite value not read" in err
    assert out.startswith("val_loss: 19 points up to step 20")


def test_a_step_column_of_ones_own(run, tmp_path):
    path = table(tmp_path, "log.csv", {"epoch": EPOCHS, "updates_done": 7 * EPOCHS, "val_loss": FALL})
    assert (
        "val_loss: 20 points up to step 140"
        in run("predict", path, "--step-column", "updates_done", "--metric", "val_loss", "--horizon", "200", "--device", "cpu")[1]
    )
    assert list(read(path, step="updates_done")["step"][:3]) == [7, 14, 21]
    with pytest.raises(ValueError, match="expected a column of numbers out of epoch, updates_done, val_loss"):
        read(path, step="batches")
    with pytest.raises(ValueError, match="format huggingface"):
        read(huggingface(tmp_path), step="updates")


SIZES = 100 * 2 ** np.arange(6)
SMALL, LARGE = 0.25 + 8 * SIZES**-0.75, 8 * SIZES**-0.4  # the large model is worse up to size 3200 and better from some 5,000 on


def test_times_is_a_horizon_of_so_many_times_the_last_step_seen(run, tmp_path):
    path = table(tmp_path, "sizes.csv", {"size": SIZES, "error": LARGE})
    code, out, err = run("predict", path, "--times", "10", "--json", "--device", "cpu")
    assert code == 0, err
    answer = json.loads(out)
    steps = [row["step"] for row in answer["at"]]
    assert (answer["horizon"], steps[-1], len(steps)) == (32000, 32000, 10)
    np.testing.assert_allclose(np.diff(np.log([3200, *steps])), np.log(10) / 10, atol=0.01)
    for model, said in {
        "scaling": answer,
        "general": json.loads(run("predict", path, "--times", "10", "--model", "general", "--json")[1]),
    }.items():
        mine = lcx.predict(LARGE, SIZES, horizon=32000, mode="min", bounds=(0, None), at=steps, model=model, device="cpu")
        np.testing.assert_allclose([row["0.5"] for row in said["at"]], mine.median, rtol=1e-5)
    cut = json.loads(run("predict", path, "--times", "2.5", "--upto", "800", "--at", "900,2000", "--json", "--device", "cpu")[1])
    assert (cut["horizon"], [row["step"] for row in cut["at"]]) == (2000, [900, 2000])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--times", "10", "--horizon", "9e4"], "expected one of --horizon and --times, got 90000 and 10; drop one"),
        (["--times", "1"], "expected --times above 1, got 1; write 10 for up to ten times the last step"),
        (["--times", "inf"], "expected --times above 1, got inf; write 10 for up to ten times the last step"),
    ],
)
def test_times_that_cannot_be_meant_are_refused(run, tmp_path, options, message):
    path = table(tmp_path, "sizes.csv", {"size": SIZES, "error": LARGE})
    assert run("predict", path, *options, "--device", "cpu") == (2, "", f"lcx: {message}\n")


def test_two_runs_are_compared_at_the_same_multiple_of_the_longest(run, tmp_path):
    runs = np.repeat(["small", "large", "bad"], 6)
    path = table(tmp_path, "sizes.csv", {"run": runs, "size": np.tile(SIZES, 3), "error": np.concatenate([SMALL, LARGE, LARGE + 0.5])})
    code, out, err = run("predict", path, "--times", "10", "--json", "--device", "cpu")
    assert code == 0, err
    answer = json.loads(out)
    assert {row["horizon"] for row in answer["answers"]} == {32000}
    ahead = answer["ahead"]
    assert (ahead["run"], ahead["other"], ahead["step"]) == ("large", "small", 32000)
    ask = {"horizon": 32000, "mode": "min", "bounds": (0, None), "at": [32000], "model": "scaling", "device": "cpu"}
    mine = lcx.prob_ahead(lcx.predict(LARGE, SIZES, **ask), lcx.predict(SMALL, SIZES, **ask))
    assert ahead["ahead"] == pytest.approx(mine[0], abs=1e-3)
    assert 0.5 < ahead["crosses"] <= 1
    assert 3200 < ahead["0.05"] <= ahead["0.5"] <= ahead["0.95"] <= 32000
    shown = run("predict", path, "--times", "10", "--device", "cpu")[1].splitlines()
    assert shown[-1].startswith(f"large is ahead of small at step 32000 with probability {ahead['ahead']:.2g}; they change places before")
    assert "ahead" not in json.loads(run("predict", path, "--horizon", "32000", "--alone", "--json", "--device", "cpu")[1])
