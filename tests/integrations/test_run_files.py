"""The folder that runs share: names of copies, files that are foreign, cut, gone or written anew, and what is resumed from them."""

import copy
import json
import logging
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import lcx
from lcx.integrations import one_run as module
from lcx.integrations.one_run import OneRun
from lcx.readers import read

GOOD = 0.95 - 0.6 * np.arange(1, 13) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 13) ** -0.7


def one_run(folder, metric="acc", mode="max", **options):
    return OneRun(metric, mode, **({"shared": folder, "bounds": (0, 1), "model": "parametric", "min_points": 4} | options))


def train(run, curve, done=0, **options):
    """The number of the last step, at most 12."""
    run.begin(12, done=done, **options)
    for step, value in enumerate(curve, 1):
        if step > done and run.report(step, value).stop:
            return step
    return len(curve)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def values(folder, name, metric="acc"):
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    return [row[metric] for row in rows if "step" in row]


@pytest.mark.parametrize("again", [lambda run: run, copy.deepcopy], ids=["used again", "copied"])
def test_each_training_with_one_callback_has_a_file_of_its_own_and_the_poor_ones_are_stopped(tmp_path, again, caplog):
    run = one_run(tmp_path, run="search")
    with caplog.at_level(logging.WARNING, "lcx"):
        assert [train(again(run), curve) for curve in (GOOD, POOR, GOOD + 0.02, POOR)] == [12, 4, 12, 4]
    assert names(tmp_path) == ["search-2.jsonl", "search-3.jsonl", "search-4.jsonl", "search.jsonl"]
    assert values(tmp_path, "search") == pytest.approx(GOOD)
    said = [text for text in caplog.messages if "already" in text]
    assert said == [
        f"a run 'search' is in {tmp_path} already, so this one is 'search-2'; give each training a name of its own, or leave run= out"
    ]


def test_without_a_name_each_training_has_one_and_a_function_may_give_it(tmp_path):
    run = one_run(tmp_path)
    assert [train(run, curve) for curve in (GOOD, POOR)] == [12, 4]
    assert len(names(tmp_path)) == 2
    trials = iter(("a", 7, None))
    run = one_run(tmp_path / "named", run=lambda: next(trials))
    for _ in range(3):
        train(run, GOOD[:2])
    assert names(tmp_path / "named")[1:] == ["7.jsonl", "a.jsonl"]


TRIAL = """
import sys
from lcx.integrations.one_run import OneRun
for _ in range(20):
    run = OneRun("acc", "max", shared=sys.argv[1], run="search", model="parametric", min_points=9)
    run.begin(4, done=0)
    for step in range(1, 5):
        run.report(step, float(sys.argv[2]))
"""


def test_processes_at_once_lose_no_curve(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", TRIAL, str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen([*command, value], env=environment, stderr=subprocess.PIPE, text=True) for value in ("0.25", "0.75")]
    for process in both:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
    curves = [values(tmp_path, name.removesuffix(".jsonl")) for name in names(tmp_path)]
    assert sorted(curves) == [[0.25] * 4] * 20 + [[0.75] * 4] * 20


def test_a_copy_that_is_resumed_keeps_its_file(tmp_path):
    train(one_run(tmp_path, run="search"), GOOD)
    cut = one_run(tmp_path, run="search")
    train(cut, GOOD[:3] + 0.01)
    checkpoint = json.loads(json.dumps(cut.kept()))
    cut.report(4, 0.123)  # after the checkpoint
    train(one_run(tmp_path, run="search"), GOOD, done=3, kept=checkpoint)
    assert names(tmp_path) == ["search-2.jsonl", "search.jsonl"]
    assert values(tmp_path, "search-2") == pytest.approx([*(GOOD[:3] + 0.01), *GOOD[3:]])
    train(cut, POOR, done=2)
    assert values(tmp_path, "search-2")[:3] == pytest.approx([*(GOOD[:2] + 0.01), POOR[2]])
    train(one_run(tmp_path, run="search"), POOR, done=12)
    assert names(tmp_path) == ["search-2.jsonl", "search.jsonl"]


def test_two_metrics_under_one_name_keep_apart_and_each_is_resumed(tmp_path):
    accuracy, loss = one_run(tmp_path, run="a"), one_run(tmp_path, "loss", "min", run="a")
    for run in (accuracy, loss):
        run.begin(12, done=0)
    for step in range(1, 6):
        accuracy.report(step, GOOD[step - 1])
        loss.report(step, 1 - GOOD[step - 1])
    assert names(tmp_path) == ["a-2.jsonl", "a.jsonl"]
    assert values(tmp_path, "a") == pytest.approx(GOOD[:5])
    assert values(tmp_path, "a-2", "loss") == pytest.approx(1 - GOOD[:5])
    again = one_run(tmp_path, "loss", "min", run="a")
    again.begin(12, done=5)
    assert (again.run, len(again.points)) == ("a-2", 5)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00 binary",
        b"not json\n",
        b"[1, 2]\n3\n",
        b"[" * 5000,
        b'{"step": "x", "acc": 0.9}\n{"step": 1, "acc": "high"}\n{"step": -1, "acc": 0.9}\n{"step": null, "acc": null}\n',
        b'{"lcx": 3}\n{"lcx": {"horizon": "x", "resource": "steps"}}\n',
        b"",
    ],
)
def test_a_foreign_file_ends_no_training_and_is_said_once(tmp_path, content, caplog):
    train(one_run(tmp_path, run="good"), GOOD)
    (tmp_path / "foreign.jsonl").write_bytes(content)
    (tmp_path / "folder.jsonl").mkdir()
    with caplog.at_level(logging.WARNING, "lcx"):
        assert train(one_run(tmp_path, run="poor"), POOR) == 4
    about = [text for text in caplog.messages if "foreign.jsonl" in text]
    assert len(about) == bool(content)
    assert len([text for text in caplog.messages if "folder.jsonl" in text]) == 1


def test_a_line_that_was_cut_is_left_out_also_of_the_run_s_own_file(tmp_path, caplog):
    train(one_run(tmp_path, run="good"), GOOD)
    path = tmp_path / "good.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING, "lcx"):
        assert train(one_run(tmp_path, run="poor"), POOR) == 4
        train(one_run(tmp_path, run="good"), GOOD, done=11)
    assert values(tmp_path, "good") == pytest.approx(GOOD)
    assert [text for text in caplog.messages if "left out" in text] == []


@pytest.mark.parametrize("name", ["x" * 300, "lr=" + "é" * 200, "a/../b", " .", "学習率" * 30])
def test_a_name_of_any_length_makes_a_file(tmp_path, name):
    train(one_run(tmp_path, run=name), GOOD)
    train(one_run(tmp_path, run=name + "2"), GOOD)
    assert len(names(tmp_path)) == 2
    again = one_run(tmp_path, run=name)
    again.begin(12, done=12)
    assert (again.run, len(again.points)) == (name, 12)


def test_opposite_modes_are_said_once_and_do_not_count(tmp_path, caplog):
    train(one_run(tmp_path, run="good"), GOOD)
    with caplog.at_level(logging.WARNING, "lcx"):
        assert train(one_run(tmp_path, mode="min", run="wrong"), POOR) == 12
    assert [text for text in caplog.messages if "mode" in text] == [
        f"{tmp_path / 'good.jsonl'} has mode 'max' and this run 'min', so it is left out; correct the one or the other"
    ]


def test_a_file_written_anew_within_a_tick_of_the_clock_is_read_again(tmp_path):
    other, run = tmp_path / "other.jsonl", one_run(tmp_path, run="a", min_points=1)
    run.begin(12, done=0)
    now = time.time_ns()
    for step, best in enumerate((0.61, 0.72, 0.43), 1):  # of one length
        other.write_text(json.dumps({"step": 1, "acc": best}) + "\n")
        os.utime(other, ns=(now, now))
        assert f"better than {best})" in run.report(step, 0.3).reason
    other.unlink()
    assert run.report(4, 0.3).reason == "there is no other run to beat yet"


def test_a_curve_that_cannot_be_written_ends_no_training(tmp_path, caplog):
    run = one_run(tmp_path, run="a")
    run.begin(12, done=0)
    run.report(1, 0.3)
    (tmp_path / "a.jsonl").unlink()
    with caplog.at_level(logging.WARNING, "lcx"):
        for step in range(2, 6):
            run.report(step, 0.3)
    assert len([text for text in caplog.messages if "cannot be written" in text]) == 1


def test_ignored_runs_do_not_count_and_finished_ones_are_waited_for(tmp_path):
    train(one_run(tmp_path, run="wrong"), [0.999] * 12)
    assert train(one_run(tmp_path, run="a", ignore=["wrong"]), GOOD) == 12
    assert train(one_run(tmp_path, run="b"), GOOD) == 4
    assert train(one_run(tmp_path, run="c", min_finished=2), POOR) == 4
    assert train(one_run(tmp_path, run="d", min_finished=2, ignore=["wrong"]), POOR) == 12


def test_a_run_with_another_horizon_is_finished_at_its_own(tmp_path):
    short = one_run(tmp_path, run="short")
    short.begin(6, done=0)
    for step in range(1, 7):
        short.report(step, GOOD[step - 1])
    assert train(one_run(tmp_path, run="long", min_finished=1), POOR) < 12
    assert read(tmp_path)["run"].nunique() == 2


def test_a_training_that_goes_on_beyond_its_horizon_is_told_once(caplog):
    run = OneRun("acc", "max", best=0.9, bounds=(0, 1), model="parametric")
    with caplog.at_level(logging.WARNING, "lcx"):
        for epoch in range(5):
            run.begin(epoch + 1, done=epoch)
            assert not run.report(epoch + 1, 0.3).stop
    assert len(caplog.messages) == 1
    assert "beyond step 1, its last step so far" in caplog.text
    assert "give horizon=" in caplog.text
    caplog.clear()
    run = OneRun("acc", "max", best=0.9, bounds=(0, 1), model="parametric", horizon=5)
    for epoch in range(5):
        run.begin(epoch + 1, done=epoch)
        stopped = run.report(epoch + 1, 0.3).stop
        if stopped:
            break
    assert (stopped, [text for text in caplog.messages if "beyond" in text]) == (True, [])


def test_with_time_as_the_resource_the_seconds_trained_count_and_pauses_do_not(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])

    def report(run, seconds, value):
        clock[0] += seconds
        return run.report(len(run.points) + 1, value)

    run = one_run(tmp_path, run="a", resource="time", horizon=60)
    run.begin(12, done=0)
    for value in GOOD[:6]:
        report(run, 10, value)
    assert report(run, 0.5, 0.9).reason.startswith("step 60.5 lies beyond the horizon 60")
    slow = one_run(tmp_path, run="b", resource="time", horizon=60, min_finished=1, log_forecast=True)
    slow.begin(12, done=0)
    for value in POOR[:3]:
        report(slow, 9, value)
    kept = json.loads(json.dumps(slow.kept()))
    clock[0] += 5000.0
    again = one_run(tmp_path, run="b", resource="time", horizon=60, log_forecast=True)
    again.begin(12, done=3, kept=kept)
    verdict = report(again, 9, POOR[3])
    alone = lcx.predict(POOR[:4], [9, 18, 27, 36], horizon=60, mode="max", bounds=(0, 1), model="parametric", device="cpu")
    assert verdict.stop
    assert again.forecast()["acc_predicted"] == pytest.approx(alone.median[-1], rel=1e-6)
    assert train(one_run(tmp_path, run="c"), POOR) == 4, "steps are there too"


def test_a_backup_holds_the_run_and_its_name(tmp_path):
    options = {"run": "search", "backup": tmp_path / "backup" / "curve.jsonl"}
    train(one_run(tmp_path / "runs", run="search"), GOOD)
    train(one_run(tmp_path / "runs", **options), POOR[:3])
    again = one_run(tmp_path / "runs", **options)
    assert train(again, POOR, done=3) == 4
    assert (again.run, len(again.points)) == ("search-2", 4)
    assert not math.isnan(again.forecast()["acc_predicted"])
