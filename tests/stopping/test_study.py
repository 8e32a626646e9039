"""Decisions that read the study's other runs: which runs are read, and that their numbers are those of ``lcx.predict``."""

import json

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.stopping import EarlyStopper
from lcx.stopping.intake import Reports
from lcx.stopping.study import MOST, as_history, study_of

HORIZON = 40
STEPS = np.arange(1.0, HORIZON + 1)


def curve(end: float, late: float = 0.2) -> np.ndarray:
    """An accuracy that jumps by ``late`` in the last quarter, when its learning rate falls."""
    return end - late - 0.4 * STEPS**-0.6 + late / (1 + np.exp((30 - STEPS) / 0.8))


RUNS = {"a": curve(0.9), "b": curve(0.86), "c": curve(0.8), "d": curve(0.93)}


def fed(stopper: EarlyStopper, points: dict[str, int]) -> EarlyStopper:
    """The stopper after so many values of each run, in this order."""
    for name, n in points.items():
        for step, value in zip(STEPS[:n], RUNS[name][:n], strict=True):
            stopper.update(step, value, run=name, best=float("nan"))
    return stopper


def pairs(points: dict[str, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(STEPS[:n], RUNS[name][:n]) for name, n in points.items()]


def expected(n: int, others: list, best: float) -> float:
    answer = lcx.predict(RUNS["d"][:n], horizon=HORIZON, mode="max", bounds=(0, 1), others=others)
    return float(answer.prob_better(best).max())


def test_a_decision_reads_the_other_runs_finished_running_and_stopped_as_predict_does():
    seen = {"a": HORIZON, "b": 20, "c": 11}
    stopper = fed(EarlyStopper(HORIZON, "max", bounds=(0, 1)), seen | {"d": 5})
    best = RUNS["a"].max()
    verdict = stopper.update(6, RUNS["d"][5], run="d")
    assert verdict.probability == pytest.approx(expected(6, pairs(seen), best), abs=1e-6)
    alone = fed(EarlyStopper(HORIZON, "max", bounds=(0, 1), others=False), seen | {"d": 5})
    assert alone.update(6, RUNS["d"][5], run="d").probability == pytest.approx(expected(6, [], best), abs=1e-6)
    near, far = (abs(one.predicted_value("d") - RUNS["d"][-1]) for one in (stopper, alone))
    assert near < 0.8 * far, "the finished run shows the late jump"


def test_ignored_runs_are_not_read_and_an_earlier_study_is():
    stopper = fed(EarlyStopper(HORIZON, "max", bounds=(0, 1), history=pairs({"b": HORIZON})), {"a": HORIZON, "c": HORIZON, "d": 9})
    stopper.ignore("a")
    verdict = stopper.update(10, RUNS["d"][9], run="d")
    assert verdict.probability == pytest.approx(expected(10, pairs({"b": HORIZON, "c": HORIZON}), RUNS["c"].max()), abs=1e-6)


def test_many_decided_at_once_are_each_of_the_others_and_not_of_itself():
    points = {"a": HORIZON, "b": 20, "c": 11, "d": 9}
    one, many = (fed(EarlyStopper(HORIZON, "max", bounds=(0, 1)), points) for _ in range(2))
    together = many.update_many({"c": (12, RUNS["c"][11]), "d": (10, RUNS["d"][9])})
    one.update(12, RUNS["c"][11], run="c", best=float("nan"))
    assert together["d"].probability == pytest.approx(one.update(10, RUNS["d"][9], run="d").probability, abs=1e-6)


def test_a_state_keeps_what_is_read():
    history = pd.DataFrame({"run": "x", "metric": "accuracy", "step": STEPS, "value": RUNS["b"]})
    stopper = fed(EarlyStopper(HORIZON, "max", bounds=(0, 1), history=history), {"a": HORIZON, "d": 9})
    again = EarlyStopper.from_state(json.loads(json.dumps(stopper.state())))
    assert again.update(10, RUNS["d"][9], run="d") == stopper.update(10, RUNS["d"][9], run="d")
    later = EarlyStopper(HORIZON, "max", bounds=(0, 1), history=stopper.state())
    assert [run.read[-1] for run in later._history] == [(HORIZON, RUNS["a"][-1]), (10, RUNS["d"][9])]
    stopper.ignore("a")
    assert [run.read[-1][0] for run in EarlyStopper(HORIZON, "max", bounds=(0, 1), history=stopper.state())._history] == [10]
    named = EarlyStopper(HORIZON, "max", bounds=(0, 1), history={"a": pairs({"a": HORIZON})[0], "runs": pairs({"b": 9})[0]})
    assert [run.read[-1] for run in named._history] == [(HORIZON, RUNS["a"][-1]), (9, RUNS["b"][8])]
    alone = EarlyStopper.from_state(EarlyStopper(HORIZON, "max", others=False).state())
    assert alone.others is False


def test_a_model_without_a_reader_reads_each_run_alone():
    read, unread = (
        fed(EarlyStopper(HORIZON, "max", bounds=(0, 1), model="parametric", others=x), {"a": HORIZON, "d": 9}) for x in (True, False)
    )
    assert read.update(10, RUNS["d"][9], run="d") == unread.update(10, RUNS["d"][9], run="d")


def test_of_very_many_runs_the_last_that_have_gone_further_are_read():
    known = as_history([([1.0, 5.0 + i], [0.1, 0.2]) for i in range(2 * MOST)], (None, None))
    asked = Reports()
    asked.add(50.5, 0.3, (None, None))
    study = study_of([asked], [*known, asked])
    assert study is not None
    assert [steps[-1] for steps, _ in study.runs] == [5.0 + i for i in range(MOST, 2 * MOST)]
    assert study.own == [-1]
    assert study_of([asked], [asked, known[0]]) is None


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([[1.0, 2.0, 3.0]], "pairs"),
        ([([1.0, 2.0], [0.5])], "pairs"),
        (["abc"], "pairs"),
        (pd.DataFrame({"run": "x", "metric": ["a", "b"], "step": 1.0, "value": 1.0}), "one metric"),
    ],
)
def test_a_wrong_history_is_refused_at_once(history, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopper(HORIZON, "max", history=history)
