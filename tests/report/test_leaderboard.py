"""Standings: verdicts and final values are those of EarlyStopper and predict, with and without the other runs; one call of the model."""

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.report import standings
from lcx.stopping.stopper import Reports

HORIZON = 40
STEPS = np.arange(1, HORIZON + 1)


def rise(top, points):
    """A run that climbs from 0.1 to ``top`` within some 20 steps."""
    rng = np.random.default_rng(round(1000 * top))
    return 0.1 + (top - 0.1) * (1 - np.exp(-STEPS[:points] / 6)) + 0.002 * rng.standard_normal(points)


RUNS = {"hopeless": rise(0.4, 30), "winner": rise(0.95, 25), "crashed": rise(0.6, 33), "done": rise(0.8, HORIZON), "young": rise(0.7, 1)}


def by_name(runs=RUNS, states=None, **question):
    rows = [(run, "acc", float(step), y) for run, values in runs.items() for step, y in enumerate(values, 1)]
    table = pd.DataFrame(rows, columns=["run", "metric", "step", "value"])
    table.attrs = {"state": states or {"crashed": "failed"}}
    question = {"mode": "max", "horizon": HORIZON, "bounds": (0, 1), "device": "cpu"} | question
    return {run.run: run for run in standings(table, "acc", **question)}


@pytest.mark.parametrize("others", [True, False])
def test_verdicts_are_those_of_the_early_stopper_and_finals_those_of_predict(others):
    rows, stopper = by_name(others=others), lcx.EarlyStopper(HORIZON, "max", bounds=(0, 1), others=others)
    for name, values in RUNS.items():
        stopper._runs[name] = reports = Reports()
        for step, y in enumerate(values[:-1] if name != "crashed" else values, 1):
            reports.add(step, y, (0, 1))
    verdicts = stopper.update_many({name: (len(values), values[-1]) for name, values in RUNS.items() if name != "crashed"})
    for name, verdict in verdicts.items():
        assert rows[name].stop == verdict.stop, name
        np.testing.assert_allclose(rows[name].probability, verdict.probability, rtol=1e-5)
    assert {name for name, row in rows.items() if row.stop} == {"hopeless"}
    known = [(STEPS[: len(RUNS[name])], RUNS[name]) for name in ("hopeless", "crashed", "done")]
    question = {"horizon": HORIZON, "mode": "max", "bounds": (0, 1), "at": [HORIZON], "device": "cpu"}
    answer = lcx.predict(RUNS["winner"], others=known if others else None, **question)
    mine = [rows["winner"].low, rows["winner"].final, rows["winner"].high]
    np.testing.assert_allclose(mine, answer.quantile([0.05, 0.5, 0.95])[0], rtol=1e-5)


def test_a_model_without_a_reader_reads_each_run_alone():
    rows = by_name(model="parametric")
    answer = lcx.predict(RUNS["winner"], horizon=HORIZON, mode="max", bounds=(0, 1), at=[HORIZON], model="parametric", device="cpu")
    assert rows["winner"].final == pytest.approx(answer.median[0], rel=1e-5)


def test_the_others_move_the_forecast_and_the_chances_add_up():
    rows, alone = by_name(), by_name(others=False)
    assert rows["winner"].final != pytest.approx(alone["winner"].final, abs=1e-4)
    assert sum(row.ends_best for row in rows.values() if row.ends_best == row.ends_best) == pytest.approx(1)
    assert np.isnan(rows["young"].ends_best)
    assert np.isnan(rows["crashed"].ends_best)
    assert (rows["winner"].holder, rows["hopeless"].holder) == ("done", "winner")


ENDED = {
    "promising": rise(0.95, 20),
    "hopeless": rise(0.4, 30),
    "done": rise(0.8, HORIZON),
    "diverged": [*rise(0.9, 20), np.nan],
    "young": rise(0.97, 1),
    "whole": rise(0.7, 30),
}
STATES = {"promising": "killed", "hopeless": "PRUNED", "diverged": "failed", "young": "CRASHED", "whole": "COMPLETED"}


@pytest.mark.parametrize("others", [True, False])
def test_runs_that_ended_early_are_to_resume_if_they_could_beat_the_best_of_all(others):
    rows = by_name(ENDED, STATES, others=others)
    assert {name: row.verdict for name, row in rows.items()} == {
        "promising": "resume",
        "hopeless": "pruned",
        "done": "finished",
        "diverged": "failed",
        "young": "crashed",
        "whole": "finished",
    }
    best = max(np.nanmax(values) for values in ENDED.values())
    known = [(STEPS[: len(y)], y) for name, y in ENDED.items() if len(y) > 20 and name != "diverged"]
    question = {"horizon": HORIZON, "mode": "max", "bounds": (0, 1), "device": "cpu", "others": known if others else None}
    chance = lcx.predict(ENDED["promising"], **question).prob_better(best).max()
    np.testing.assert_allclose(rows["promising"].probability, chance, rtol=1e-4)
    assert rows["promising"].reason == f"ended at step 20; resumed, {chance:.2g} to beat {best:.4g}, its own best"
    assert rows["hopeless"].reason.endswith(f" to beat {best:.4g} of promising")
    assert [rows[name].reason for name in ("diverged", "young")] == ["ended at step 21", "ended at step 1"]
    assert np.isnan([rows[name].final for name in ("promising", "hopeless")]).all()  # nothing is known to come of them
    assert by_name(ENDED, STATES, delta=0.9999)["promising"].verdict == "killed"


@pytest.mark.parametrize("state", ["FAILED", "KILLED", "crashed", "preempted", "PRUNED", "FAIL", "INTERRUPTED", "TIMEOUT"])
def test_a_run_has_ended_whatever_the_log_calls_it(state):
    row = by_name({"one": rise(0.9, 20), "done": rise(0.8, HORIZON)}, {"one": state})["one"]
    assert (row.state, row.verdict) == (state.lower(), "resume")


@pytest.mark.parametrize("state", ["FINISHED", "finished", "COMPLETE", "COMPLETED"])
def test_a_run_has_finished_whatever_the_log_calls_it(state):
    assert by_name({"one": rise(0.9, 20)}, {"one": state})["one"].verdict == "finished"
