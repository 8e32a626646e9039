"""PyTorch Lightning: a callback that stops a hopeless run, for both packages, ``lightning`` and ``pytorch_lightning``."""

import math
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lcx.integrations.one_run import OneRun
from lcx.stopping.rules import Verdict


def _callback_classes() -> list[Any]:
    """The Callback classes of the packages imported, else of those installed. Each package has its own, and either may come later."""
    packages = {"lightning.pytorch": "lightning", "pytorch_lightning": "pytorch_lightning"}
    found = [name for name in packages if name in sys.modules] or [name for name, top in packages.items() if find_spec(top) is not None]
    if not found:
        raise ImportError("expected the package lightning or pytorch_lightning, got neither; pip install 'lcx[lightning]'")
    return [import_module(name).Callback for name in found]


class LCXCallback(*_callback_classes()):
    """Stops the training if it is unlikely to beat the value to beat.

    Steps are epochs and the horizon is ``max_epochs``; a validation within an epoch counts as a fraction of it. If the Trainer has
    ``max_steps``, steps are those of all optimizers, as it counts them, and the horizon is ``max_steps``, or if ``max_epochs`` ends the
    training earlier, the steps that these take at the rate so far. With neither (-1), give ``horizon`` in epochs. Sanity checks and
    fast_dev_run are ignored, and no training is stopped before ``min_epochs`` and ``min_steps``. In distributed training rank 0 decides
    for all, from its own value: log the metric with ``sync_dist=True``. Checkpoints keep the curve. With ``ddp_spawn``, only checkpoints
    come back from the spawned processes, not this object.

        Trainer(max_epochs=50, callbacks=[LCXCallback("val_acc", "max", best=0.91, bounds=(0, 1))])

    Args:
        monitor: name of a metric that the module logs in a step or at the end of the validation; on_train_epoch_end comes too late.
        mode: "max" if larger is better, "min" if smaller is.
        strict: raise an error if the metric was not logged; else warn, and go on without a decision.
        check_on_train_epoch_end: decide at the end of the training epoch, not of the validation; default: as in Lightning's EarlyStopping.
        options: see :class:`lcx.integrations.one_run.OneRun`. Predictions of ``log_forecast`` also go to the loggers of the Trainer.

    Attributes:
        verdict: the last verdict, with its reason; None before the first.
        stopped_epoch: epoch (from 0) at which the training was stopped; 0 if it was not.
        stopping_reason_message: the reason; None if it was not.
    """

    def __init__(
        self, monitor: str, mode: str, *, strict: bool = True, check_on_train_epoch_end: bool | None = None, **options: Any
    ) -> None:
        super().__init__()
        self.monitor, self.mode, self.strict, self.check_on_train_epoch_end = monitor, mode, strict, check_on_train_epoch_end
        self.verdict: Verdict | None = None
        self.stopped_epoch, self.stopping_reason_message = 0, None
        self._run, self._loaded = OneRun(monitor, mode, **options), None
        self._validated: tuple[float, Any] | None = None  # step and value of a validation that is decided on at the end of the epoch
        self._resumed_at = -1  # optimizer steps done when the training was resumed

    @property
    def state_key(self) -> str:
        """Tells callbacks on different metrics apart in a checkpoint."""
        return self._generate_state_key(monitor=self.monitor, mode=self.mode)

    def state_dict(self) -> dict[str, Any]:
        """The curve, with the last validation: a checkpoint may be made before the end of its epoch, and validates no more when resumed."""
        kept = self._run.kept()
        if self._validated is not None and self._validated[0] > max((step for step, _ in kept["points"]), default=0):
            kept["points"].append(list(self._validated))
            kept["times"].append(self._run.seconds)
        return kept

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the curve of the training that is about to be resumed."""
        self._loaded = state_dict

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Starts the run, or resumes it."""
        if not trainer.fast_dev_run:
            self.verdict, self.stopped_epoch, self.stopping_reason_message = None, 0, None
            self._run.begin(_clock(trainer)[1], done=0 if self._loaded is None else math.inf, kept=self._loaded)
            self._resumed_at = -1 if self._loaded is None else trainer.global_step
            self._loaded = self._validated = None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Decides after a validation."""
        if not self._at_epoch_end(trainer):
            self._decide(trainer)
        elif trainer.state.fn == "fit" and not trainer.sanity_checking and self.monitor in trainer.callback_metrics:
            self._validated = _clock(trainer)[0], trainer.callback_metrics[self.monitor].item()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Decides after an epoch."""
        if self._at_epoch_end(trainer):
            self._decide(trainer)

    def _at_epoch_end(self, trainer: Any) -> bool:
        if self.check_on_train_epoch_end is not None:
            return self.check_on_train_epoch_end
        return trainer.val_check_interval == 1.0 and trainer.check_val_every_n_epoch == 1

    def _decide(self, trainer: Any) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or trainer.fast_dev_run:
            return
        value, (step, last) = trainer.callback_metrics.get(self.monitor), _clock(trainer)
        if value is None and trainer.global_step == self._resumed_at:
            return  # resumed from a checkpoint made between validation and end of an epoch: nothing is new
        if value is None and trainer.is_global_zero and self.strict:
            raise ValueError(
                f"expected a metric {self.monitor!r}, got none of that name; log it, but not in on_train_epoch_end, which comes later, "
                f"or monitor one of those logged: {', '.join(trainer.callback_metrics) or 'none'}; strict=False goes on without it"
            )
        if not self.strict and trainer.strategy.broadcast(value is None):  # as on rank 0, which decides
            return self._run.missing(step, trainer.callback_metrics)
        known = math.nan if value is None else value.item()
        self.verdict = self._run.report(step, known, horizon=last if trainer.max_steps != -1 else None)
        if self._run.log_forecast:
            for logger in trainer.loggers:
                logger.log_metrics(self._run.forecast(), step=trainer.global_step)
        done = trainer.current_epoch + 1 >= (trainer.min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)
        if trainer.strategy.reduce_boolean_decision(self.verdict.stop and done, all=False):
            trainer.should_stop = True
            self.stopped_epoch, self.stopping_reason_message = trainer.current_epoch, self.verdict.reason


def _clock(trainer: Any) -> tuple[float, float | None]:
    """Steps done, and the last step: epochs, or if their number is limited, steps of all optimizers."""
    batches = trainer.num_training_batches  # infinite where the data has no length: there the end of an epoch is all that is known
    epochs = trainer.current_epoch + (trainer.fit_loop.epoch_loop.batch_progress.current.ready / batches if math.isfinite(batches) else 1)
    if trainer.max_steps == -1:
        return epochs, trainer.max_epochs
    steps, last = trainer.global_step, trainer.max_steps
    if trainer.max_epochs == -1 or not steps * epochs:
        return steps, last
    return steps, min(last, round(steps / epochs * trainer.max_epochs))  # an epoch has as many steps as optimizers take in it
