"""lcx runs hides what cannot be forecast unless asked; every command ends in one line on bad input, and well where a pipe is closed."""

import json
import subprocess
import sys
import time

import pandas as pd
import pytest


@pytest.fixture
def log(tmp_path):
    frame = pd.DataFrame({"epoch": range(1, 4), "val_loss": [3.0, 2.0, 1.0], "lr": 0.1, "epoch_time": 9.5, "train/learning_rate": 0.1})
    frame.to_csv(tmp_path / "log.csv", index=False)
    return tmp_path / "log.csv"


def test_settings_times_and_counters_are_listed_if_asked_for(run, log):
    _, out, _ = run("runs", log)
    assert [line.split()[1] for line in out.splitlines()[2:-1]] == ["val_loss"]
    assert out.splitlines()[-1] == "3 settings, times or counters not listed: epoch_time, lr, train/learning_rate (--all)"
    _, out, _ = run("runs", log, "--all")
    assert [line.split()[1] for line in out.splitlines()[2:]] == ["epoch_time", "lr", "train/learning_rate", "val_loss"]
    answer = json.loads(run("runs", log, "--json")[1])
    assert [row["metric"] for row in answer["runs"]] == ["val_loss"]
    assert answer["hidden"] == ["epoch_time", "lr", "train/learning_rate"]
    pd.DataFrame({"epoch": [1, 2], "lr": [0.1, 0.2]}).to_csv(log, index=False)
    assert "lr" in run("runs", log)[1]  # there is nothing else


def test_many_runs_are_listed_at_once(run, tmp_path):
    """A second for 4,000 runs; 70 s where each group of a table gets a copy of what is known of all runs."""
    pd.DataFrame({"run": [f"run {i}" for i in range(4000)] * 2, "step": 1, "loss": 1.0}).to_csv(tmp_path / "log.csv", index=False)
    begin = time.process_time()
    _, out, _ = run("runs", tmp_path / "log.csv")
    assert out.startswith("4000 runs\n")
    assert time.process_time() - begin < 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs"], "lcx: Missing argument 'PATH'; see lcx runs --help"),
        (["runs", "x", "--nothing"], "lcx: No such option: --nothing; see lcx runs --help"),
        (["predict", "x", "--horizon", "many"], "lcx: Invalid value for '--horizon': "),
        (["forecast"], "lcx: No such command 'forecast'; see lcx --help"),
    ],
)
def test_wrong_options_are_told_in_one_line(run, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n"), err[: len(words)]) == (2, "", 1, words)


def test_no_arguments_print_the_help(run):
    code, out, err = run()
    assert code == 2
    assert "predict" in out + err


@pytest.mark.parametrize("rows", [3, 300])  # closed when the output is flushed at the end, or while it is written
def test_a_closed_pipe_is_no_error(tmp_path, rows):
    frame = pd.DataFrame({"run": [f"run {i} {'x' * 400}" for i in range(rows)], "step": 1, "loss": 1.0})
    frame.to_csv(tmp_path / "log.csv", index=False)
    command = f"{sys.executable} -m lcx.cli.app runs {tmp_path / 'log.csv'} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
