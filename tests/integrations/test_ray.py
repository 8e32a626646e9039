"""The stopper and the scheduler of Ray Tune: odd results by hand, and real experiments, restored ones too."""

import gc
import math
import pickle
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import lcx

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own, of many kinds; 3 min
ray = pytest.importorskip("ray")
tune = pytest.importorskip("ray.tune")

from lcx.integrations.ray import LCXScheduler, LCXStopper  # noqa: E402

HORIZON = 20
ENDS = (0.9, 0.55, 0.95, 0.5)
OPTIONS = {"bounds": (0, 1), "model": "parametric", "min_points": 4}


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Ray does not wait for its processes
        ray.shutdown()
        gc.collect()


def curve(end):
    return end - 0.5 * np.arange(1, HORIZON + 1) ** -0.8


def result(step, value, **more):
    return {"training_iteration": step, "accuracy": value} | more


def trainable():
    """A function of a function is sent to Ray's workers as it is; they cannot import this file."""

    def train(config):
        for i in range(1, HORIZON + 1):
            if config["mended"] and config["end"] < 0.6 and i == 3 and not Path(config["mended"]).exists():
                raise RuntimeError("broken on purpose")
            tune.report({"accuracy": config["end"] - 0.5 * i**-0.8})

    return train


def lengths(results):
    return {found.config["end"]: found.metrics["training_iteration"] for found in results}


def tuner(folder, *, stop=None, scheduler=None, mended=None):
    return tune.Tuner(
        trainable(),
        param_space={"end": tune.grid_search(list(ENDS)), "mended": mended},
        run_config=tune.RunConfig(stop=stop, storage_path=str(folder), name="e", verbose=0),
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", scheduler=scheduler, max_concurrent_trials=1, reuse_actors=True),
    )


def test_the_same_decisions_as_an_early_stopper_fed_by_hand_whatever_the_results_look_like():
    stop, by_hand = LCXStopper(HORIZON, "max", "eval/accuracy", time_attr="epoch", **OPTIONS), lcx.EarlyStopper(HORIZON, "max", **OPTIONS)
    for step in range(1, HORIZON):
        for end in ENDS:
            value = math.nan if step == 2 else curve(end)[step - 1]
            verdict = by_hand.update(step, value, run=str(end))
            nested = step % 2
            seen = {"epoch": step - 1, **({"eval": {"accuracy": value}} if nested else {"eval/accuracy": value})}
            assert stop(str(end), seen) is verdict.stop
            assert not stop(str(end), seen), "Ray repeats the last result of a function that has returned"
            if verdict.stop:
                assert stop.reasons[str(end)] == verdict.reason
                assert stop.predicted_value(str(end)) == pytest.approx(by_hand.predicted_value(str(end)))
        if step == 8:
            assert len(pickle.dumps(stop)) < 8000, "no model in it"
            stop = pickle.loads(pickle.dumps(stop))
    assert {"0.55", "0.5"} <= set(stop.reasons) <= {"0.55", "0.5", "0.9"}
    assert not stop.stop_all()


def test_results_without_the_metric_are_passed_over_and_said_once(caplog):
    stop = LCXStopper(HORIZON, "max", "accuracy", **OPTIONS)
    for missing in ({"training_iteration": 1}, {"accuracy": 0.3}, {"training_iteration": 2, "accuracy": None}, {}):
        assert not stop("a", missing)
    assert stop.stopper.state()["runs"] == []
    assert caplog.text.count("missing from a result") == 1


def test_each_trial_may_have_a_horizon_of_its_own_and_its_resource_may_be_time(caplog):
    stop = LCXStopper(lambda seen: seen["config"]["epochs"], "max", "accuracy", min_finished=1, **OPTIONS)
    for step, value in enumerate(curve(0.9)[:10], 1):
        assert not stop("good", result(step, value, config={"epochs": 10}))
    stopped = [step for step, value in enumerate(curve(0.5), 1) if stop("poor", result(step, value, config={"epochs": 20}))]
    assert stopped[0] == 4
    late = LCXStopper(60, "max", "accuracy", time_attr="time_total_s", **OPTIONS)
    for step, value in enumerate(curve(0.9), 1):
        late("good", result(step, value, time_total_s=3.5 * step))
    assert "lies beyond the horizon 60" in caplog.text
    assert next(step for step, value in enumerate(curve(0.5)[:8], 1) if late("poor", result(step, value, time_total_s=7.0 * step))) == 4


@pytest.mark.parametrize("steps", [range(HORIZON), range(HORIZON + 1), range(1, HORIZON + 1)])
def test_every_value_counts_whether_steps_end_at_the_horizon_or_one_before_it(steps):
    stop = LCXStopper(HORIZON, "max", "accuracy", **OPTIONS)
    verdicts = [stop.report("a", result(step, 0.5 + 0.01 * step), ask=False) for step in steps]
    assert "horizon" in verdicts[-1].reason
    assert stop.predicted_value("a") == 0.5 + 0.01 * steps[-1]


def test_every_asks_seldom_but_reads_all():
    seldom, often = (LCXStopper(HORIZON, "max", "accuracy", every=every, **OPTIONS) for every in (5, 1))
    stopped = {}
    for name, stop in (("seldom", seldom), ("often", often)):
        stop("good", result(1, 0.9))
        stopped[name] = [step for step, value in enumerate(curve(0.5), 1) if stop("poor", result(step, value))]
    assert stopped["seldom"] == [5, 10, 15]
    assert set(stopped["seldom"]) <= set(stopped["often"])
    assert seldom.predicted_value("poor") == often.predicted_value("poor")


def test_wrong_arguments_are_refused_at_once():
    for make in (
        lambda: LCXStopper(HORIZON, "up", "accuracy"),
        lambda: LCXStopper(HORIZON, "max", "accuracy", every=0),
        lambda: LCXScheduler(-1),
        lambda: LCXScheduler(HORIZON).on_trial_result(None, None, {}),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()
    assert not LCXScheduler(HORIZON, "accuracy", "max").set_search_properties("accuracy", None)
    assert not LCXScheduler(HORIZON).set_search_properties(None, "max")


def test_a_stopper_in_a_real_experiment(cluster, tmp_path):
    stop = LCXStopper(HORIZON, "max", "accuracy", **OPTIONS)
    found = lengths(tuner(tmp_path, stop=stop).fit())
    assert found[0.9] == found[0.95] == HORIZON
    assert max(found[0.55], found[0.5]) < HORIZON
    assert len(stop.reasons) == 2
    for trial, reason in stop.reasons.items():
        assert "P(better than" in reason
        assert 0.3 < stop.predicted_value(trial) < 0.7


def test_a_scheduler_in_a_real_experiment(cluster, tmp_path):
    scheduler = LCXScheduler(HORIZON, **OPTIONS)
    found = lengths(tuner(tmp_path, scheduler=scheduler).fit())
    assert found[0.9] == found[0.95] == HORIZON
    assert max(found[0.55], found[0.5]) < HORIZON
    assert scheduler.debug_string().startswith("Using LCXScheduler: 2 trials stopped; the last: ")
    assert len(scheduler.stop.reasons) == 2


@pytest.mark.parametrize("kind", ["stop", "scheduler"])
def test_a_restored_experiment_knows_the_trials_that_ended_before(cluster, tmp_path, kind):
    made = LCXStopper(HORIZON, "max", "accuracy", **OPTIONS) if kind == "stop" else LCXScheduler(HORIZON, **OPTIONS)
    results = tuner(tmp_path, mended=str(tmp_path / "mended"), **{kind: made}).fit()
    assert len(results.errors) == 2
    (tmp_path / "mended").touch()
    assert tune.Tuner.can_restore(str(tmp_path / "e"))
    again = tune.Tuner.restore(str(tmp_path / "e"), trainable(), restart_errored=True).fit()
    assert not again.errors
    found = lengths(again)
    assert found[0.9] == found[0.95] == HORIZON
    assert max(found[0.55], found[0.5]) < HORIZON, "no other trial has run since"


def test_the_example_stops_trials_and_says_what_was_saved(cluster, capsys):
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "integrations" / "ray_tune.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "P(better than" in said
    assert "epochs" in said
