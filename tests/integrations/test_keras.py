"""The Keras 3 callback, end to end on the torch backend."""

import copy
import logging
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

from lcx.integrations.keras import LCXCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::keras")]  # 5 s
GOOD = 0.95 - 0.6 * np.arange(1, 41) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 41) ** -0.7
EXAMPLE = Path(__file__).parents[2] / "examples" / "integrations" / "keras_callback.py"


@pytest.fixture(autouse=True)
def _torch_globals_unchanged():
    """Keras draws from torch's global generator."""
    with torch.random.fork_rng():
        yield


class Given(keras.callbacks.Callback):
    """Sets the model's one weight to the epoch (from 1) and logs a given curve as its accuracy."""

    def __init__(self, curve, name="acc"):
        super().__init__()
        self.curve, self.name = curve, name

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), epoch + 1.0)])
        logs[self.name] = float(self.curve[epoch])


def callback_for(**options):
    return LCXCallback("acc", "max", **({"best": 0.75, "bounds": (0, 1), "model": "parametric", "min_points": 4} | options))


def fit(callback, curve, *others, name="acc", **options):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    callbacks = [Given(curve, name), callback, *others]
    model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=callbacks, **({"epochs": 20} | options))
    return model


def test_the_example_stops_the_hopeless_run_and_not_the_promising_one(capsys):
    runpy.run_path(str(EXAMPLE))
    poor, good = capsys.readouterr().out.splitlines()
    assert poor.startswith("rate 0.001: 4 epochs: P(better than 0.15) is at most")
    assert good == "rate 1.0: 30 epochs: trained to the end"


def test_a_callback_used_again_starts_anew_and_epochs_count_from_one():
    callback = callback_for()
    model = fit(callback, POOR)
    assert len(model.history.epoch) == 4
    assert (callback.stopped_epoch, callback.stopping_reason_message) == (3, callback.verdict.reason)
    model = fit(callback, GOOD)
    assert len(model.history.epoch) == 20
    assert (callback.stopped_epoch, callback.stopping_reason_message) == (0, None)
    assert callback.verdict.reason == "the horizon 20 is reached"


def test_initial_epoch_goes_on_with_the_curve_of_this_object_or_of_the_folder(tmp_path):
    whole = callback_for(confirm=3)
    assert len(fit(whole, POOR).history.epoch) == 6
    callback = callback_for(confirm=3)
    fit(callback, POOR, epochs=5)  # the horizon of this fit, so nothing is stopped
    assert len(fit(callback, POOR, initial_epoch=4).history.epoch) == 2
    assert callback.verdict == whole.verdict
    shared = {"best": None, "shared": tmp_path, "confirm": 3}
    assert len(fit(callback_for(run="good", **shared), GOOD).history.epoch) == 20
    fit(callback_for(run="poor", **shared), POOR, epochs=5)
    resumed = callback_for(run="poor", **shared)
    assert len(fit(resumed, POOR, initial_epoch=4).history.epoch) == 2
    assert "P(better than 0.87" in resumed.stopping_reason_message


class Crash(keras.callbacks.Callback):
    """Stands for a crash within an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            raise ZeroDivisionError


def test_the_curve_from_before_a_crash_comes_back_with_the_backup(tmp_path):
    backup = str(tmp_path / "backup")
    with pytest.raises(ZeroDivisionError):
        fit(callback_for(backup_dir=backup), POOR, keras.callbacks.BackupAndRestore(backup), Crash())
    callback = callback_for(backup_dir=backup)
    model = fit(callback, POOR, keras.callbacks.BackupAndRestore(backup))
    assert model.history.epoch == [3], "four values are needed, and three come from the backup"
    assert callback.stopping_reason_message is not None
    assert not (tmp_path / "backup").exists()


def test_one_fit_per_epoch_is_told_to_give_a_horizon_and_with_it_is_stopped(caplog):
    def epochs(callback):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.compile("sgd", "mse")
        for epoch in range(20):
            model.stop_training = False
            model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=[Given(POOR), callback], initial_epoch=epoch, epochs=epoch + 1)
            if callback.stopping_reason_message:
                break
        return epoch + 1

    assert epochs(callback_for()) == 20
    assert len([text for text in caplog.messages if "give horizon=" in text]) == 1
    caplog.clear()
    assert epochs(callback_for(horizon=20)) == 4
    assert "give horizon=" not in caplog.text


def test_copies_of_one_callback_as_a_search_makes_them_stop_the_poor_trials(tmp_path):
    callback = callback_for(best=None, shared=tmp_path, run="search")
    assert [len(fit(copy.deepcopy(callback), curve).history.epoch) for curve in (GOOD, POOR, POOR)] == [20, 4, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search-2.jsonl", "search-3.jsonl", "search.jsonl"]


def test_the_best_weights_are_restored_only_if_asked_for():
    curve = [0.3, 0.5, np.nan, 0.4, 0.35]
    for restore, weight in ((False, 5.0), (True, 2.0)):
        model = fit(callback_for(restore_best_weights=restore, best=0.0), curve, epochs=5)
        assert float(model.get_weights()[0][0, 0]) == weight


def test_the_direction_is_never_guessed():
    with pytest.raises(TypeError, match="mode"):
        LCXCallback("acc", best=0.75)
    with pytest.raises(ValueError, match="auto"):
        LCXCallback("acc", "auto", best=0.75)


def test_what_is_predicted_is_in_the_history_and_a_missing_metric_is_said_once(tmp_path, caplog):
    table = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = fit(callback_for(log_forecast=True, best=None), POOR, table, epochs=6).history.history
    median, low, high = (np.array(history[f"acc_predicted{level}"]) for level in ("", "_0.05", "_0.95"))
    assert np.isfinite(median).tolist() == [False] * 3 + [True, True, False]
    assert (low < median)[3:5].all()
    assert (median < high)[3:5].all()
    assert "acc_predicted_0.95" in (tmp_path / "log.csv").read_text().splitlines()[0]
    with caplog.at_level(logging.WARNING, "lcx"):
        caplog.clear()
        fit(callback_for(), POOR, name="accuracy", epochs=4)
    assert len(caplog.messages) == 1
    assert "no metric 'acc' was logged" in caplog.text
