"""Keras 3: a callback that stops a hopeless run."""

import math
from pathlib import Path
from typing import Any

try:
    import keras  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as error:
    if error.name != "keras":  # the backend is missing, and Keras says so
        raise
    raise ImportError("expected the package keras, got none; pip install 'lcx[keras]'") from error

from lcx.integrations.one_run import OneRun
from lcx.integrations.run_files import file_name
from lcx.stopping.outlook import better
from lcx.stopping.rules import Verdict


class LCXCallback(keras.callbacks.Callback):  # pyright: ignore
    """Stops ``fit`` if the run is unlikely to beat the value to beat.

    Steps are epochs, counted from 1, and the horizon is ``epochs`` of ``fit``. Each ``fit`` from epoch 0 is a new run. With
    ``initial_epoch`` the run continues: the earlier curve is that of this object, or in another process that in ``backup_dir`` or the
    shared folder. If you call ``fit`` for a few epochs at a time, give ``horizon``, the last epoch of all of them.

        model.fit(..., epochs=50, callbacks=[LCXCallback("val_accuracy", "max", best=0.91, bounds=(0, 1))])

    Args:
        monitor: name of a metric in the logs.
        mode: "max" if larger is better, "min" if smaller is.
        restore_best_weights: at the end of ``fit``, whether stopped or not, restore the weights of the epoch with the best value.
        backup_dir: the folder of Keras' ``BackupAndRestore``: the curve is kept beside its backup, and comes back with it after a crash.
        options: see :class:`lcx.integrations.one_run.OneRun`. Predictions of ``log_forecast`` are added to the logs,
            so the progress bar and the history show them.

    Attributes:
        verdict: the last verdict, with its reason; None before the first.
        stopped_epoch: epoch (from 0) at which the training was stopped; 0 if it was not.
        stopping_reason_message: the reason; None if it was not.
    """

    def __init__(
        self, monitor: str, mode: str, *, restore_best_weights: bool = False, backup_dir: str | Path | None = None, **options: Any
    ) -> None:
        super().__init__()
        self.monitor, self.mode, self.restore_best_weights = monitor, mode, restore_best_weights
        # Named by the metric: several callbacks may use the folder.
        backup = None if backup_dir is None else Path(backup_dir) / f"lcx {file_name(monitor)}"
        self._run = OneRun(monitor, mode, backup=backup, **options)
        self._reset()

    def _reset(self) -> None:
        self.verdict: Verdict | None = None
        self.stopped_epoch, self.stopping_reason_message = 0, None
        self._begun, self._best, self._best_weights = False, math.inf if self.mode == "min" else -math.inf, None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets the last ``fit``."""
        self._reset()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts or resumes the run, because the first epoch is known only here."""
        if not self._begun:
            self._run.begin(self.params["epochs"], done=epoch)
            self._begun = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Decides after an epoch."""
        logs = {} if logs is None else logs
        value = logs.get(self.monitor)
        if value is None:
            self._run.missing(epoch + 1, logs)
        else:
            self.verdict = self._run.report(epoch + 1, value)
            if self.verdict.stop:
                self.model.stop_training = True
                self.stopped_epoch, self.stopping_reason_message = epoch, self.verdict.reason
            if self.restore_best_weights and better(value, self._best, self.mode):
                self._best, self._best_weights = value, self.model.get_weights()
        if self._run.log_forecast:
            logs.update(self._run.forecast())

    def on_train_end(self, logs: Any = None) -> None:
        """Sets the best weights, if asked to."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
