"""The Lightning callback, end to end with both packages, in two processes, resumed; and when it must not decide."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pl = pytest.importorskip("lightning.pytorch")
other = pytest.importorskip("pytorch_lightning")

from lcx.integrations.lightning import LCXCallback  # noqa: E402
from lcx.stopping.rules import not_better_at_horizon  # noqa: E402

pytestmark = [
    pytest.mark.slow,  # 40 s
    pytest.mark.filterwarnings("ignore:::lightning"),  # about loaders and loggers, and what it calls
    pytest.mark.filterwarnings("ignore:::pytorch_lightning"),
]
GOOD = 0.95 - 0.6 * np.arange(1, 41) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 41) ** -0.7
EXAMPLE = Path(__file__).parents[2] / "examples" / "integrations" / "lightning_callback.py"


@pytest.fixture(autouse=True)
def _torch_globals_unchanged():
    """The frameworks draw from torch's global generator."""
    with torch.random.fork_rng():
        yield


def module_of(package):
    class Logged(package.LightningModule):
        """Logs a given curve as its accuracy, one value per validation."""

        def __init__(self, curve, name="acc"):
            super().__init__()
            self.curve, self.logged, self.weight = [float(y) for y in curve], name, torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch, index):
            return (self.weight * batch).mean()

        def validation_step(self, batch, index):
            self.log(self.logged, self.curve[self.trainer.current_epoch])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

        def train_dataloader(self):
            return torch.utils.data.DataLoader(torch.ones(8, 1), 2)

        val_dataloader = train_dataloader

    return Logged


Logged = module_of(pl)


class Watch(pl.Callback):
    """Notes each verdict of the callback before it; stands for a crash at the start of an epoch."""

    def __init__(self, callback, crash_at=None):
        self.callback, self.crash_at, self.seen = callback, crash_at, []

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.crash_at:
            raise ZeroDivisionError

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append(self.callback.verdict)


def callback_for(monitor="acc", mode="max", **options):
    return LCXCallback(monitor, mode, **({"best": 0.75, "bounds": (0, 1), "model": "parametric", "min_points": 4} | options))


def trainer_with(*callbacks, package=pl, **options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return package.Trainer(**({"accelerator": "cpu", "max_epochs": 20, "callbacks": list(callbacks)} | quiet | options))


def run_python(code, *arguments, timeout=1200):
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True).stdout


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_the_example_runs_with_either_package_imported(package):
    code = EXAMPLE.read_text().replace("lightning.pytorch", package)
    first, poor, last, bases = run_python(f"{code}\nprint(LCXCallback.__bases__)").splitlines()
    assert first == "rate 1.0: 30 epochs: trained to the end"
    assert poor.startswith("rate 0.001: 4 epochs: P(better than 0.1")
    assert last == "rate 3.0: 30 epochs: trained to the end"
    assert bases == f"(<class '{package}.callbacks.callback.Callback'>,)"


@pytest.mark.parametrize("package", [pl, other])
def test_a_hopeless_run_is_stopped_and_a_promising_one_is_not(package):
    assert isinstance(callback_for(), package.Callback)  # of both, as both are imported
    for curve, epochs in ((POOR, 4), (GOOD, 20)):
        callback = callback_for()
        trainer = trainer_with(callback, package=package)
        trainer.fit(module_of(package)(curve))
        assert trainer.current_epoch == epochs
        assert callback.stopped_epoch == (3 if epochs == 4 else 0)
        assert (callback.stopping_reason_message == callback.verdict.reason) is (epochs == 4)
        assert len(callback.state_dict()["points"]) == epochs


TWO_RANKS = """
import os, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch, lightning.pytorch as pl
from test_lightning import GOOD, POOR, Logged, callback_for, trainer_with

rank = int(os.environ.get("LOCAL_RANK", 0))
callback = callback_for(rule=None)
trainer = trainer_with(callback, strategy="ddp", devices=2)
trainer.fit(Logged((POOR, GOOD)[rank]))
open(f"{sys.argv[2]}/{rank}", "w").write(f"{trainer.current_epoch} {callback.stopped_epoch} {callback.stopping_reason_message}")
"""


def test_two_processes_stop_at_the_same_epoch_though_they_log_different_values(tmp_path):
    script = tmp_path / "two_ranks.py"
    script.write_text(TWO_RANKS)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", script, Path(__file__).parent, tmp_path]
    subprocess.run(command, env=environment, timeout=1200, check=True, capture_output=True)
    zero, one = ((tmp_path / rank).read_text() for rank in "01")
    assert zero == one
    assert zero.startswith("4 3 P(better than 0.75) is at most")


@pytest.mark.parametrize("confirm", [1, 3])
def test_a_run_resumed_from_a_checkpoint_decides_like_one_never_interrupted(tmp_path, confirm):
    whole = callback_for(confirm=confirm)
    watch = Watch(whole)
    trainer = trainer_with(whole, watch)
    trainer.fit(Logged(POOR))
    assert trainer.current_epoch == 3 + confirm
    cut = 2 + confirm
    keep = pl.callbacks.ModelCheckpoint(tmp_path, save_last=True)
    callback = callback_for(confirm=confirm)
    trainer = trainer_with(callback, Watch(callback, crash_at=cut), keep, enable_checkpointing=True)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Logged(POOR))
    callback = callback_for(confirm=confirm)
    again = Watch(callback)
    trainer = trainer_with(callback, again)
    trainer.fit(Logged(POOR), ckpt_path=tmp_path / "last.ckpt")
    assert again.seen == watch.seen[cut:]
    assert trainer.current_epoch == 3 + confirm
    assert callback.state_dict()["points"] == whole.state_dict()["points"]


def test_a_second_fit_is_a_new_run():
    callback = callback_for()
    trainer_with(callback).fit(Logged(POOR))
    trainer_with(callback).fit(Logged(GOOD))
    assert callback.stopping_reason_message is None
    assert np.array(callback.state_dict()["points"])[:, 1] == pytest.approx(GOOD[:20])


def test_nothing_is_decided_in_checks_validations_and_dry_runs():
    callback = callback_for()
    trainer = trainer_with(callback, fast_dev_run=True)
    trainer.fit(Logged(POOR))
    trainer.validate(Logged(POOR))
    assert callback.verdict is None
    trainer_with(callback, max_epochs=1, num_sanity_val_steps=2).fit(Logged(POOR))
    assert callback.state_dict()["points"] == [[1.0, pytest.approx(POOR[0])]]


def test_min_epochs_and_min_steps_are_kept_and_a_verdict_before_them_may_be_revoked():
    callback = callback_for()
    trainer = trainer_with(callback, min_epochs=7)
    trainer.fit(Logged(POOR))
    assert (trainer.current_epoch, callback.stopped_epoch) == (7, 6)
    trainer = trainer_with(callback, min_steps=35)
    trainer.fit(Logged(POOR))
    assert trainer.current_epoch == 9
    trainer = trainer_with(callback, min_epochs=10)
    trainer.fit(Logged([*POOR[:6], *GOOD[6:]]))
    assert (trainer.current_epoch, callback.stopped_epoch) == (20, 0)


def test_steps_are_epochs_or_their_parts_or_optimizer_steps():
    for options, steps in (
        ({"check_val_every_n_epoch": 2, "max_epochs": 6}, [2, 4, 6]),
        ({"val_check_interval": 0.5, "max_epochs": 2}, [0.5, 1, 1.5, 2]),
        ({"max_epochs": -1, "max_steps": 8}, [4, 8]),
        ({"max_epochs": 3, "max_steps": 1000}, [4, 8, 12]),
        ({"max_epochs": 3, "max_steps": 1000, "accumulate_grad_batches": 2}, [2, 4, 6]),
    ):
        callback = callback_for(min_points=1, best=0.0)
        trainer_with(callback, **options).fit(Logged(GOOD))
        assert [step for step, _ in callback.state_dict()["points"]] == steps
        assert callback.verdict.reason == f"the horizon {steps[-1]} is reached"


class TwoOptimizers(Logged):
    """Each batch is a step of both optimizers, as of the two networks of a GAN."""

    automatic_optimization = False

    def training_step(self, batch, index):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward((self.weight * batch).mean())
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(self.parameters(), 0.1) for _ in range(2)]


def test_with_several_optimizers_the_horizon_is_in_their_steps(tmp_path):
    for options, last in (({"max_epochs": 6, "max_steps": 1000}, 48), ({"max_epochs": 20, "max_steps": 48}, 48), ({"max_steps": 48}, 48)):
        module = TwoOptimizers(GOOD)
        module.automatic_optimization = False
        callback = callback_for(min_points=1, best=0.0, log_forecast=True)
        trainer_with(callback, **({"max_epochs": -1} | options)).fit(module)
        assert [step for step, _ in callback.state_dict()["points"]] == [8, 16, 24, 32, 40, 48]
        assert callback.verdict.reason == f"the horizon {last} is reached"
    module = TwoOptimizers(GOOD)
    module.automatic_optimization = False
    callback = callback_for(shared=tmp_path, best=None)
    trainer_with(callback, max_epochs=6, max_steps=1000).fit(module)
    late = callback_for(shared=tmp_path, best=None, min_finished=1)
    module = TwoOptimizers(POOR)
    module.automatic_optimization = False
    trainer = trainer_with(late, max_epochs=6, max_steps=1000)
    trainer.fit(module)
    assert trainer.current_epoch == 4, "the first has finished, at its 48th step"


def test_a_checkpoint_made_between_validation_and_the_end_of_the_epoch_is_resumed_with_the_value_of_that_validation(tmp_path):
    keep = pl.callbacks.ModelCheckpoint(tmp_path, save_on_train_epoch_end=False, save_top_k=-1, filename="{epoch}")
    trainer_with(callback_for(best=0.1), keep, max_epochs=3, enable_checkpointing=True).fit(Logged(GOOD))
    callback = callback_for(best=0.1)
    trainer_with(callback, max_epochs=5).fit(Logged(GOOD), ckpt_path=tmp_path / "epoch=1.ckpt")
    assert callback.state_dict()["points"] == [[float(i), pytest.approx(GOOD[i - 1])] for i in range(1, 6)]


def test_copies_of_a_callback_write_files_of_their_own_and_a_resumed_one_keeps_its_own(tmp_path):
    def callback():
        return callback_for(best=None, shared=tmp_path / "runs", run="search")

    trainer_with(callback(), max_epochs=5).fit(Logged(GOOD))
    keep = pl.callbacks.ModelCheckpoint(tmp_path, save_last=True)
    trainer_with(callback(), keep, max_epochs=3, enable_checkpointing=True).fit(Logged(GOOD))
    trainer_with(callback(), max_epochs=5).fit(Logged(GOOD), ckpt_path=tmp_path / "last.ckpt")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["search-2.jsonl", "search.jsonl"]


def test_a_missing_metric_is_only_said_if_not_strict(caplog):
    callback = callback_for(strict=False)
    trainer = trainer_with(callback, max_epochs=4)
    trainer.fit(Logged(GOOD, name="loss"))
    assert (trainer.current_epoch, callback.verdict) == (4, None)
    assert len([text for text in caplog.messages if "no metric 'acc' was logged" in text]) == 1


def test_endless_training_needs_a_horizon():
    with pytest.raises(ValueError, match="horizon="):
        trainer_with(callback_for(), max_epochs=-1).fit(Logged(GOOD))
    callback = callback_for(horizon=20)
    trainer = trainer_with(callback, max_epochs=-1)
    trainer.fit(Logged(POOR))
    assert trainer.current_epoch == 4


def test_a_metric_that_is_not_logged_is_an_error():
    with pytest.raises(ValueError, match=r"expected a metric 'acc', got none .* loss"):
        trainer_with(callback_for()).fit(Logged(POOR, name="loss"))


def test_what_is_predicted_goes_to_the_loggers(tmp_path):
    callback = callback_for(log_forecast=True, best=None)
    trainer_with(callback, max_epochs=6, logger=pl.loggers.CSVLogger(tmp_path)).fit(Logged(POOR))
    table = np.genfromtxt(next(tmp_path.rglob("metrics.csv")), delimiter=",", names=True, deletechars="")
    median, low, high = (table[f"acc_predicted{level}"] for level in ("", "_0.05", "_0.95"))
    known = ~np.isnan(median)
    assert known.sum() == 2  # after epochs 4 and 5: four values are needed, and the sixth is the last
    assert (low < median)[known].all()
    assert (median < high)[known].all()


def test_callbacks_on_two_metrics_and_a_rule_of_one_s_own_keep_apart():
    one, two = callback_for(), callback_for("loss", "min", rule=not_better_at_horizon(0.01), best=0.1)
    assert one.state_key != two.state_key
