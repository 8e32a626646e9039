"""One run behind a trainer's callback: what it has to beat, the folder that runs share, resuming, the forecast."""

import importlib
import importlib.util
import json
import logging
import math
import pickle
import sys

import numpy as np
import pytest

import lcx
from lcx.integrations.one_run import OneRun
from lcx.readers import read
from lcx.stopping.rules import every, never_better, reaches

GOOD = 0.95 - 0.6 * np.arange(1, 13) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 13) ** -0.7


def one_run(**options):
    return OneRun("acc", "max", **({"bounds": (0, 1), "model": "parametric"} | options))


def train(run, curve, done=0, points=None):
    """Verdicts until the first stop."""
    run.begin(12, done=done, kept=None if points is None else {"points": points})
    verdicts = []
    for step, value in enumerate(curve, 1):
        if step > done:
            verdicts.append(run.report(step, value))
            if verdicts[-1].stop:
                break
    return verdicts


def test_a_run_with_nothing_to_beat_is_refused():
    with pytest.raises(ValueError, match=r"^expected best, shared or rule, got none"):
        one_run()
    with pytest.raises(ValueError, match=r"^expected shared= with min_finished"):
        one_run(best=0.9, min_finished=1)
    with pytest.raises(ValueError, match=r"got false_stops; give it to EarlyStopper"):
        one_run(best=0.9, false_stops=0.1)
    assert not train(one_run(log_forecast=True), POOR)[-1].stop


def test_wrong_arguments_are_refused_before_the_training_starts():
    with pytest.raises(ValueError, match="mode"):
        OneRun("acc", "auto", best=0.9)
    with pytest.raises(ValueError, match="min_points"):
        one_run(best=0.9, min_points=0)
    with pytest.raises(TypeError, match="best"):
        one_run(best="high")
    with pytest.raises(ValueError, match="finite best"):
        one_run(best=math.nan)
    with pytest.raises(TypeError, match="expected rule"):
        one_run(rule="never_better")
    with pytest.raises(ValueError, match="expected resource"):
        one_run(best=0.9, resource="time")
    for odd in ("", 2.5):
        with pytest.raises((TypeError, ValueError), match="expected run"):
            one_run(shared="runs", run=odd)


@pytest.mark.parametrize("horizon", [None, -1, math.inf])
def test_an_infinite_training_needs_a_horizon(horizon):
    with pytest.raises(ValueError, match=r"^expected the last step .* give horizon="):
        one_run(best=0.9).begin(horizon, done=0)
    run = one_run(best=0.9, horizon=12)
    run.begin(horizon, done=0)
    assert run.report(12, 0.5).reason == "the horizon 12 is reached"


def test_a_run_is_judged_by_the_value_to_beat():
    assert len(train(one_run(best=0.75), POOR)) < 10
    assert len(train(one_run(best=0.75), GOOD)) == 12
    assert len(train(one_run(rule=reaches(0.75)), POOR)) < 10


def test_runs_share_a_folder(tmp_path):
    first = train(one_run(shared=tmp_path, run="a/1"), GOOD)
    assert len(first) == 12
    assert first[3].reason == "there is no other run to beat yet"
    assert len(train(one_run(shared=tmp_path, run="b"), POOR)) < 10
    assert len(train(one_run(shared=tmp_path, run="c", best=0.85), POOR)) < 10, "the better of best and the other runs counts"
    table = read(tmp_path)
    assert sorted(table["run"].unique()) == ["a%2F1.jsonl", "b.jsonl", "c.jsonl"]
    assert table[table["run"] == "a%2F1.jsonl"]["value"].tolist() == pytest.approx(GOOD)
    assert table["metric"].unique().tolist() == ["acc"]
    assert list(tmp_path.glob("*.partial")) == []


def test_runs_at_once_see_each_other_and_odd_values_of_others_do_not_count(tmp_path):
    late = one_run(shared=tmp_path, run="late")
    late.begin(12, done=0)
    assert late.report(1, 0.5).reason == "1 value(s) so far, 2 needed"
    assert late.report(2, 0.5).reason == "there is no other run to beat yet"
    (tmp_path / "other.jsonl").write_text("".join(json.dumps({"step": i, "acc": y}) + "\n" for i, y in enumerate((0.6, math.nan, 7.0), 1)))
    assert "than 0.6)" in late.report(3, 0.5).reason
    (tmp_path / "other.jsonl").write_text('{"step": 1, "acc": 0.75}\n{"step": 2, "loss": 3.0}\n')
    assert "than 0.75)" in late.report(4, 0.5).reason


@pytest.mark.parametrize("confirm", [1, 3])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(tmp_path, confirm):
    curve = POOR.copy()
    curve[1] = math.nan
    whole = train(one_run(best=0.7, confirm=confirm, min_points=4), curve)
    assert confirm < len(whole) < 12
    cut = len(whole) - 1
    given = train(one_run(best=0.7, confirm=confirm, min_points=4), curve, done=cut, points=list(enumerate(curve[:cut], 1)))
    assert given == whole[cut:]
    options = {"shared": tmp_path, "run": "a", "best": 0.7, "confirm": confirm, "min_points": 4}
    assert train(one_run(**options), curve[: cut + 1]) == whole[: cut + 1]  # killed after a step that its checkpoint lacks
    assert train(one_run(**options), curve, done=cut) == whole[cut:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]


def test_a_resumed_run_counts_the_decisions_of_a_rule_that_is_not_asked_at_every_point():
    options = {"best": 0.9, "confirm": 2, "rule": every(4, never_better())}
    whole = train(one_run(**options), POOR)
    assert [len(whole), whole[-1].stop] == [8, True]
    assert train(one_run(**options), POOR, done=7, points=list(enumerate(POOR[:7], 1))) == whole[7:]


def test_forecast_is_that_of_predict_and_is_logged(caplog):
    run = one_run(log_forecast=True)
    with caplog.at_level(logging.WARNING, "lcx"):
        train(run, GOOD[:5])
    answer = lcx.predict(GOOD[:5], horizon=12, mode="max", bounds=(0, 1), model="parametric", device="cpu")
    shown = run.forecast()
    assert list(shown) == ["acc_predicted", "acc_predicted_0.05", "acc_predicted_0.95"]
    assert list(shown.values()) == pytest.approx(answer.quantile([0.5, 0.05, 0.95])[-1], rel=1e-6)
    last = caplog.messages[-1]
    assert len(caplog.messages) == 4  # none after the first report: two values are needed
    assert f"predicted {shown['acc_predicted']:.5g} at step 12, 90 % interval" in last
    run.begin(12, done=0)
    assert all(math.isnan(x) for x in run.forecast().values())


def test_stopping_is_logged_with_its_reason_and_a_missing_metric_once(caplog):
    with caplog.at_level(logging.WARNING, "lcx"):
        run = one_run(best=0.85)
        verdicts = train(run, POOR)
        run.missing(13, ["loss"])
        assert caplog.messages == [f"lcx stops the run at step {len(verdicts)}: {verdicts[-1].reason}"]
        run = one_run(best=0.85)
        for step in (1, 1, 2, 3):
            assert len(caplog.messages) == 1 + (step > 2)
            run.missing(step, ["loss"])
    assert caplog.messages[1:] == ["no metric 'acc' was logged, so nothing can be stopped; logged were: loss"]


def test_a_run_can_be_pickled_with_its_curve():
    run = one_run(best=0.85)
    run.begin(12, done=0)
    run.report(1, GOOD[0])
    run.report(2, GOOD[1])
    again = pickle.loads(pickle.dumps(run))
    assert again.points == run.points
    assert again.report(3, GOOD[2]) == run.report(3, GOOD[2])


@pytest.mark.parametrize("framework", ["lightning", "transformers", "keras"])
def test_without_its_framework_an_adapter_names_the_extra_to_install(monkeypatch, framework):
    adapter, find = f"lcx.integrations.{framework}", importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if "lightning" in name else find(name, *more))
    for name in ("lightning.pytorch", "pytorch_lightning", adapter):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if framework != "lightning":
        monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ImportError, match=rf"^expected the package {framework}.*pip install 'lcx\[{framework}\]'"):
        importlib.import_module(adapter)
