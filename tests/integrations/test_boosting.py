"""The XGBoost and LightGBM callbacks in real trainings: past the best, hopeless beside others, cross-validation, dart, continued."""

import copy
import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest

from lcx.integrations.boosting import Training, past_its_best
from lcx.stopping.rules import reaches

pytestmark = pytest.mark.slow  # 10 s
sklearn = pytest.importorskip("sklearn")
ROUNDS = 200
EXAMPLES = Path(__file__).parents[2] / "examples" / "integrations"


@pytest.fixture(scope="module")
def diabetes():
    """Boosting with these overfits after some 10 rounds."""
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import train_test_split

    return train_test_split(*load_diabetes(return_X_y=True), random_state=0)


@pytest.fixture
def xgboost():
    return pytest.importorskip("xgboost")


@pytest.fixture
def lightgbm():
    return pytest.importorskip("lightgbm")


def train_xgboost(xgboost, data, callbacks=(), **options):
    settings = {"objective": "reg:squarederror", "max_depth": 4, "eta": options.pop("eta", 0.1), "nthread": 1, "seed": 0}
    sets = [(xgboost.DMatrix(data[0], data[2]), "train"), (xgboost.DMatrix(data[1], data[3]), "valid")]
    rounds, values = options.pop("rounds", ROUNDS), {}
    model = xgboost.train(
        settings, sets[0][0], rounds, evals=sets, verbose_eval=False, callbacks=list(callbacks), evals_result=values, **options
    )
    return model, values["valid"]["rmse"]


def train_lightgbm(lightgbm, data, callbacks=(), **options):
    settings = {"objective": "l2", "verbose": -1, "num_threads": 1, "seed": 0, "learning_rate": 0.1} | options.pop("settings", {})
    train, values = lightgbm.Dataset(data[0], data[2]), {}
    valid = lightgbm.Dataset(data[1], data[3], reference=train)
    called = [*callbacks, lightgbm.record_evaluation(values)]
    model = lightgbm.train(settings, train, ROUNDS, valid_sets=[train, valid], valid_names=["t", "v"], callbacks=called, **options)
    return model, values["v"]["l2"]


def test_xgboost_past_its_best_keeps_the_best_round(xgboost, diabetes):
    from lcx.integrations.xgboost import LCXCallback

    _, full = train_xgboost(xgboost, diabetes)
    callback = LCXCallback(ROUNDS, "min", bounds=(0, None), metric="rmse", data="valid")
    for _ in range(2):  # a callback may be used again
        model, values = train_xgboost(xgboost, diabetes, [callback])
        assert len(values) < ROUNDS / 2
        assert values == full[: len(values)]
        assert model.best_iteration == np.argmin(full)
        assert model.best_score == min(full)
        assert "better than its own best" in callback.verdict.reason
        assert callback.predicted_value == pytest.approx(full[-1], rel=0.1)
    fresh = LCXCallback(ROUNDS, "min", bounds=(0, None))
    estimator = xgboost.XGBRegressor(n_estimators=ROUNDS, learning_rate=0.1, max_depth=4, n_jobs=1, callbacks=[fresh])
    estimator.fit(diabetes[0], diabetes[2], eval_set=[(diabetes[1], diabetes[3])], verbose=False)
    assert estimator.best_iteration < 50
    np.testing.assert_array_equal(
        estimator.predict(diabetes[1]), estimator.predict(diabetes[1], iteration_range=(0, estimator.best_iteration + 1))
    )


def test_xgboost_maximises_when_told_to(xgboost, diabetes):
    from lcx.integrations.xgboost import LCXCallback

    binary = [*diabetes[:2], *(y > 140 for y in diabetes[2:])]
    sets = [xgboost.DMatrix(binary[0], binary[2]), xgboost.DMatrix(binary[1], binary[3])]
    settings, values = {"objective": "binary:logistic", "eval_metric": "auc", "eta": 0.3, "nthread": 1}, {}
    callback = LCXCallback(ROUNDS, "max", bounds=(0, 1))
    model = xgboost.train(settings, sets[0], ROUNDS, evals=[(sets[1], "v")], verbose_eval=False, callbacks=[callback], evals_result=values)
    assert len(values["v"]["auc"]) < ROUNDS
    assert model.best_score == max(values["v"]["auc"])


def test_xgboost_cross_validation_ends_at_the_best_round(xgboost, diabetes):
    from lcx.integrations.xgboost import LCXCallback

    table = xgboost.cv(
        {"objective": "reg:squarederror", "max_depth": 4, "eta": 0.1, "nthread": 1},
        xgboost.DMatrix(diabetes[0], diabetes[2]),
        ROUNDS,
        nfold=3,
        seed=0,
        callbacks=[LCXCallback(ROUNDS, "min")],
    )
    assert len(table) < ROUNDS / 2
    assert table["test-rmse-mean"].idxmin() == len(table) - 1


def test_xgboost_stops_what_is_hopeless_beside_other_trainings(xgboost, diabetes, tmp_path):
    from lcx.integrations.xgboost import LCXCallback

    lengths = {}
    for eta in (0.1, 0.001, 0.15):
        callback = LCXCallback(60, "min", every=3, shared=tmp_path, run=f"eta {eta}", min_points=4, bounds=(0, None), delta=0.01)
        lengths[eta] = len(train_xgboost(xgboost, diabetes, [callback], eta=eta, rounds=60)[1])
        if eta == 0.001:
            assert "P(better than" in callback.verdict.reason
            assert callback.predicted_value == pytest.approx(75, abs=8)
    assert lengths[0.1] == 60
    assert lengths[0.001] < 30
    target = LCXCallback(ROUNDS, "min", rule=reaches(10.0), every=1)
    assert len(train_xgboost(xgboost, diabetes, [target])[1]) < ROUNDS


def test_xgboost_counts_the_rounds_of_a_continued_training(xgboost, diabetes):
    from lcx.integrations.xgboost import LCXCallback

    first, _ = train_xgboost(xgboost, diabetes, rounds=7, eta=0.05)
    callback = LCXCallback(40, "min", every=1, best=100.0, bounds=(0, None))
    model, values = train_xgboost(xgboost, diabetes, [callback], rounds=33, xgb_model=first, eta=0.05)
    assert callback.verdict.reason == "the horizon 40 is reached"
    assert callback.predicted_value == values[-1]
    assert model.best_iteration == 7 + np.argmin(values)


def test_xgboost_says_what_cannot_be_watched(xgboost, diabetes):
    from lcx.integrations.xgboost import LCXCallback

    for options, words in (({"data": "test"}, "data set test"), ({"metric": "auc"}, "metric auc")):
        with pytest.raises(ValueError, match=words):
            train_xgboost(xgboost, diabetes, [LCXCallback(9, "min", **options)])
    for arguments, options in (((9, "up"), {}), ((0, "min"), {}), ((9, "min"), {"every": 0}), ((9, "min"), {"delta": 2.0})):
        with pytest.raises(ValueError, match="xpected"):
            LCXCallback(*arguments, **options)


def test_lightgbm_past_its_best_keeps_the_best_round(lightgbm, diabetes):
    from lcx.integrations.lightgbm import LCXCallback

    _, full = train_lightgbm(lightgbm, diabetes)
    callback = LCXCallback(bounds=(0, None))
    for _ in range(2):
        model, values = train_lightgbm(lightgbm, diabetes, [callback])
        assert len(values) < ROUNDS
        assert values == full[: len(values)]
        assert model.best_iteration == np.argmin(full) + 1
        assert model.best_score["v"]["l2"] == min(full)
        assert "better than its own best" in callback.verdict.reason
        assert callback.predicted_value == pytest.approx(full[-1], rel=0.15)
    estimator = lightgbm.LGBMRegressor(n_estimators=ROUNDS, n_jobs=1, verbose=-1, random_state=0)
    estimator.fit(diabetes[0], diabetes[2], eval_X=diabetes[1], eval_y=diabetes[3], callbacks=[callback])
    assert estimator.best_iteration_ == model.best_iteration


def test_lightgbm_knows_the_direction_and_a_full_training_has_its_best_round(lightgbm, diabetes):
    from lcx.integrations.lightgbm import LCXCallback

    binary = [*diabetes[:2], *(y > 140 for y in diabetes[2:])]
    train = lightgbm.Dataset(binary[0], binary[2])
    valid, values = lightgbm.Dataset(binary[1], binary[3], reference=train), {}
    settings = {"objective": "binary", "metric": ["binary_logloss", "auc"], "verbose": -1, "num_threads": 1, "seed": 0}
    callback = LCXCallback(metric="auc", best=0.5, every=5)
    called = [callback, lightgbm.record_evaluation(values)]
    model = lightgbm.train(settings, train, 40, valid_sets=[valid], callbacks=called)
    aucs = values["valid_0"]["auc"]
    assert len(aucs) == 40, "each of them beats 0.5"
    assert model.best_iteration == np.argmax(aucs) + 1
    assert model.best_score["valid_0"]["auc"] == max(aucs)
    assert callback.predicted_value == aucs[-1]


def test_lightgbm_cross_validation_dart_and_what_cannot_be_watched(lightgbm, diabetes, caplog):
    from lcx.integrations.lightgbm import LCXCallback

    settings = {"objective": "l2", "verbose": -1, "num_threads": 1, "seed": 0}
    for also_training in (False, True):
        table = lightgbm.cv(
            settings,
            lightgbm.Dataset(diabetes[0], diabetes[2]),
            ROUNDS,
            nfold=3,
            stratified=False,
            seed=0,
            callbacks=[LCXCallback()],
            eval_train_metric=also_training,
        )
        values = table["valid l2-mean"]
        assert len(values) < ROUNDS / 2
        assert np.argmin(values) == len(values) - 1
    model, values = train_lightgbm(lightgbm, diabetes, [LCXCallback()], settings={"boosting": "dart"})
    assert len(values) == ROUNDS
    assert model.best_iteration in (0, -1)
    assert "dart" in caplog.text
    for options in ({"data": "test"}, {"metric": "auc"}):
        with pytest.raises(ValueError, match="got \\['t l2', 'v l2'\\]"):
            train_lightgbm(lightgbm, diabetes, [LCXCallback(**options)])


def test_xgboost_stops_nothing_with_the_booster_dart(xgboost, diabetes, caplog):
    from lcx.integrations.xgboost import LCXCallback

    data = xgboost.DMatrix(diabetes[0], diabetes[2])
    settings, values = {"booster": "dart", "max_depth": 4, "eta": 0.3, "nthread": 1, "rate_drop": 0.1}, {}
    callback = LCXCallback(60, "min", every=1)
    valid = xgboost.DMatrix(diabetes[1], diabetes[3])
    xgboost.train(settings, data, 60, evals=[(valid, "v")], verbose_eval=False, callbacks=[callback], evals_result=values)
    assert len(values["v"]["rmse"]) == 60
    assert "dart" in caplog.text
    assert len(xgboost.cv(settings, data, 30, nfold=3, seed=0, callbacks=[LCXCallback(30, "min", every=1)])) == 30


def test_copies_of_a_callback_as_clones_of_an_estimator_have_them_keep_apart(xgboost, lightgbm, diabetes, tmp_path):
    from lcx.integrations.lightgbm import LCXCallback as Light
    from lcx.integrations.xgboost import LCXCallback as Extreme

    clone = pytest.importorskip("sklearn.base").clone
    folders = {"x": tmp_path / "x", "l": tmp_path / "l"}
    shared = {"run": "search", "bounds": (0, None), "min_points": 4, "every": 3, "delta": 0.01}
    extreme = xgboost.XGBRegressor(n_estimators=60, max_depth=4, n_jobs=1)
    extreme.set_params(callbacks=[Extreme(60, "min", shared=folders["x"], **shared)])
    for rate in (0.1, 0.001):
        fitted = clone(extreme).set_params(learning_rate=rate)
        fitted.fit(diabetes[0], diabetes[2], eval_set=[(diabetes[1], diabetes[3])], verbose=False)
        assert (len(fitted.evals_result()["validation_0"]["rmse"]) < 60) is (rate == 0.001)
    callback = Light(shared=folders["l"], **shared)
    for rate in (0.1, 0.001):
        _, values = train_lightgbm(lightgbm, diabetes, [copy.deepcopy(callback)], settings={"learning_rate": rate})
        assert (len(values) < ROUNDS) is (rate == 0.001)
    for folder in folders.values():
        assert sorted(path.name for path in folder.iterdir()) == ["search-2.jsonl", "search.jsonl"]


def test_time_as_the_resource_of_boosting(lightgbm, diabetes, monkeypatch):
    from lcx.integrations import one_run
    from lcx.integrations.lightgbm import LCXCallback

    clock = itertools.count(0, 0.25)  # each look at the clock takes a quarter of a second
    monkeypatch.setattr(one_run.time, "monotonic", lambda: next(clock))
    callback = LCXCallback(resource="time", horizon=100, bounds=(0, None))
    assert len(train_lightgbm(lightgbm, diabetes, [callback])[1]) < ROUNDS
    assert "better than its own best" in callback.verdict.reason
    with pytest.raises(ValueError, match="expected resource"):
        LCXCallback(resource="time")


def test_the_last_round_is_read_so_that_others_see_the_end():
    training = Training("loss", "min", 101, every=10, best=0.0)
    for step in range(1, 102):
        training.report(step, 1 / step)
    assert training.verdict.reason == "the horizon 101 is reached"


def test_rounds_without_a_value_and_the_rounds_read():
    training = Training("loss", "min", 100, stop_on_divergence=2)
    assert not training.report(1, math.nan)
    assert training.best_round == 0
    assert math.isnan(training.predicted_value())
    assert not training.report(2, math.nan)
    assert training.report(4, math.nan), "every other round is read, and two in a row diverge"
    assert past_its_best() == past_its_best(0.05)
    with pytest.raises(ValueError, match="delta"):
        past_its_best(1.0)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_the_examples_stop_early_and_say_what_was_saved(name, capsys, request):
    request.getfixturevalue(name)
    runpy.run_path(str(EXAMPLES / f"{name}_rounds.py"))
    said = capsys.readouterr().out
    assert "better than its own best" in said
    assert "of 300 rounds" in said
