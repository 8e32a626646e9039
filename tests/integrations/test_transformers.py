"""The callback of the transformers Trainer, end to end with a tiny model made from a config, resumed, and in two processes."""

import json
import logging
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from lcx.integrations.transformers import LCXCallback  # noqa: E402
from lcx.stopping.rules import reaches  # noqa: E402

# 55 s
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::transformers"), pytest.mark.filterwarnings("ignore:::torch")]
GOOD = 0.95 - 0.6 * np.arange(1, 41) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 41) ** -0.7
EXAMPLE = Path(__file__).parents[2] / "examples" / "integrations" / "transformers_callback.py"


@pytest.fixture(autouse=True)
def _torch_globals_unchanged():
    """The Trainer draws from torch's global generator."""
    with torch.random.fork_rng():
        yield


class Watch(transformers.TrainerCallback):
    """Notes the verdict before each epoch and at the end; stands for a crash at the start of an epoch."""

    def __init__(self, crash_at=None):
        self.crash_at, self.seen = crash_at, []

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.seen.append(self.of().verdict)
        if state.epoch == self.crash_at:
            raise ZeroDivisionError

    def on_train_end(self, args, state, control, **kwargs):
        self.seen.append(self.of().verdict)


def callback_for(metric="accuracy", mode="max", **options):
    return LCXCallback(metric, mode, **({"best": 0.75, "bounds": (0, 1), "model": "parametric", "min_points": 4} | options))


def trainer_for(folder, curve, *callbacks, sets=None, **options):
    """Trains a model with two weights for 20 epochs of 2 steps; its accuracy in each epoch is given."""
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4, max_position_embeddings=4
    )
    model = transformers.BertForSequenceClassification(config)
    data = [{"input_ids": [2, i % 9], "labels": i % 2} for i in range(8)]
    quiet = {"report_to": [], "disable_tqdm": True, "logging_strategy": "no", "use_cpu": True, "log_level": "error"}
    plan = {"num_train_epochs": 20, "per_device_train_batch_size": 4, "eval_strategy": "epoch", "save_strategy": "no"}
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(str(folder), **(plan | quiet | options)),
        train_dataset=data,
        eval_dataset=data if sets is None else dict.fromkeys(sets, data),
        compute_metrics=lambda _: {"accuracy": float(curve[max(0, round(trainer.state.epoch or 0) - 1)])},
        callbacks=list(callbacks),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def ours(trainer):
    return next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, LCXCallback))


def test_the_example_stops_the_hopeless_run_and_not_the_promising_one(capsys):
    runpy.run_path(str(EXAMPLE))
    poor, good = (line for line in capsys.readouterr().out.splitlines() if line.startswith("learning rate"))
    assert poor.startswith("learning rate 1e-05: P(better than 0.3) is at most")
    assert good == "learning rate 0.005: trained to the end"


def test_the_decision_needs_neither_saving_nor_the_best_model(tmp_path):
    for curve, epochs in ((POOR, 4), (GOOD, 20)):
        callback = callback_for()
        trainer = trainer_for(tmp_path, curve, callback)
        trainer.train()
        assert trainer.state.epoch == epochs
        assert callback.stopped_step == (8 if epochs == 4 else 0)
        assert (callback.stopping_reason_message == callback.verdict.reason) is (epochs == 4)
        verdict = callback.verdict
        trainer.evaluate()
        assert callback.verdict is verdict


@pytest.mark.parametrize("restore", [False, True])
def test_a_run_resumed_from_a_checkpoint_decides_like_one_never_interrupted(tmp_path, restore):
    def training(name, crash_at=None):
        watch = Watch(crash_at)
        plan = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 6}
        plan |= {"restore_callback_states_from_checkpoint": restore}
        trainer = trainer_for(tmp_path / name, POOR, callback_for(confirm=3), watch, **plan)
        watch.of = lambda: ours(trainer)
        return trainer, watch

    whole, seen = training("whole")
    whole.train()
    assert whole.state.global_step == 12
    cut, before = training("cut", crash_at=4)
    with pytest.raises(ZeroDivisionError):
        cut.train()
    assert before.seen == seen.seen[:5]  # of the four verdicts in it the checkpoint, at step 6, has three
    saved = json.loads((tmp_path / "cut" / "checkpoint-6" / "trainer_state.json").read_text())
    assert saved["stateful_callbacks"]["LCXCallback"]["args"]["best"] == 0.75
    resumed, after = training("cut")
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 12
    assert after.seen[1:] == seen.seen[4:]
    assert len(after.seen) == 4
    assert ours(resumed).stopping_reason_message == ours(whole).stopping_reason_message


def test_what_a_checkpoint_keeps_is_json_and_makes_the_same_callback():
    callback = callback_for(best=np.float32(0.5), bounds=(np.float64(0), None), shared=Path("runs"), run="a")
    kept = json.loads(json.dumps(callback.state()))
    assert kept["args"]["best"] == 0.5
    assert LCXCallback.from_state(kept).state() == kept
    with pytest.raises(ValueError, match="restore_callback_states_from_checkpoint"):
        LCXCallback.from_state(json.loads(json.dumps(callback_for(rule=reaches(0.9)).state())))


def test_metric_and_direction_come_from_the_arguments_of_the_trainer(tmp_path):
    options = {"best": 0.75, "bounds": (0, 1), "model": "parametric", "min_points": 4}
    for metric in ("accuracy", "eval_accuracy"):
        trainer = trainer_for(tmp_path, POOR, LCXCallback(**options), metric_for_best_model=metric, greater_is_better=True)
        trainer.train()
        assert trainer.state.epoch == 4
    trainer = trainer_for(tmp_path, POOR, LCXCallback(**options), metric_for_best_model="accuracy", greater_is_better=False)
    trainer.train()
    assert ours(trainer).stopped_step == 0
    with pytest.raises(ValueError, match="expected a metric"):
        trainer_for(tmp_path, POOR, LCXCallback(**options)).train()
    with pytest.raises(ValueError, match="expected mode"):
        trainer_for(tmp_path, POOR, LCXCallback("loss", **options), metric_for_best_model="accuracy", greater_is_better=True).train()


def test_evaluations_before_the_first_step_and_of_other_sets_are_left_out(tmp_path, caplog):
    trainer = trainer_for(tmp_path, POOR, callback_for("two_accuracy"), sets=("one", "two"), eval_on_start=True)
    trainer.evaluate()
    trainer.train()
    assert trainer.state.epoch == 4
    assert [text for text in caplog.messages if "no metric" in text] == []
    caplog.clear()
    with caplog.at_level(logging.WARNING, "lcx"):
        trainer_for(tmp_path, POOR, callback_for("acuracy")).train()
    assert len(caplog.messages) == 1
    assert "no metric 'eval_acuracy' was logged" in caplog.text


def test_a_second_training_with_the_same_callback_is_a_new_run(tmp_path):
    callback = callback_for()
    trainer_for(tmp_path, POOR, callback).train()
    trainer = trainer_for(tmp_path, GOOD, callback)
    trainer.train()
    assert trainer.state.epoch == 20
    assert callback.stopping_reason_message is None


def test_the_trainings_of_a_search_have_files_of_their_own_and_a_resumed_one_keeps_its_own(tmp_path):
    callback = callback_for(shared=tmp_path / "runs", run="search", best=None)
    for curve, epochs in ((GOOD, 20), (POOR, 4)):
        trainer = trainer_for(tmp_path / "out", curve, callback)
        trainer.train()
        assert trainer.state.epoch == epochs
    watch, plan = Watch(crash_at=2), {"save_strategy": "epoch"}
    cut = trainer_for(tmp_path / "cut", POOR, callback, watch, **plan)
    watch.of = lambda: ours(cut)
    with pytest.raises(ZeroDivisionError):
        cut.train()
    fresh = callback_for(shared=tmp_path / "runs", run="search", best=None)
    resumed = trainer_for(tmp_path / "cut", POOR, fresh, **plan)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.epoch == 4
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["search-2.jsonl", "search-3.jsonl", "search.jsonl"]
    rows = (tmp_path / "runs" / "search-3.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows[1:]] == [2, 4, 6, 8]


def test_time_as_the_resource_goes_through_a_checkpoint(tmp_path):
    def callback():
        return callback_for(resource="time", horizon=1e6, best=0.0)

    trainer_for(tmp_path, GOOD, callback(), num_train_epochs=2, save_strategy="epoch").train()
    resumed = trainer_for(tmp_path, GOOD, callback(), num_train_epochs=3, save_strategy="epoch")
    resumed.train(resume_from_checkpoint=True)
    times = ours(resumed).state()["attributes"]["kept"]
    assert times is None, "the run has ended"
    saved = json.loads((tmp_path / "checkpoint-6" / "trainer_state.json").read_text())["stateful_callbacks"]["LCXCallback"]
    kept = (saved[-1] if isinstance(saved, list) else saved)["attributes"]["kept"]
    assert [step for step, _ in kept["points"]] == [2, 4, 6]
    assert 0 < kept["times"][0] < kept["times"][1] < kept["times"][2] < 1e4


def test_what_is_predicted_goes_to_the_log_history(tmp_path):
    trainer = trainer_for(tmp_path, POOR, callback_for(log_forecast=True, best=None), num_train_epochs=6)
    trainer.train()
    shown = [row for row in trainer.state.log_history if "eval_accuracy_predicted" in row]
    assert [row["step"] for row in shown] == [2, 4, 6, 8, 10, 12]
    assert all(
        row["eval_accuracy_predicted_0.05"] < row["eval_accuracy_predicted"] < row["eval_accuracy_predicted_0.95"] for row in shown[3:5]
    )


TWO_RANKS = """
import sys
sys.path.insert(0, sys.argv[1])
from test_transformers import GOOD, POOR, callback_for, trainer_for
import os
rank = int(os.environ["RANK"])
callback = callback_for()
trainer = trainer_for(sys.argv[2], (POOR, GOOD)[rank], callback)
trainer.train()
open(f"{sys.argv[2]}/{rank}", "w").write(f"{trainer.args.world_size} {trainer.state.epoch} {callback.stopping_reason_message}")
"""


def test_two_processes_stop_at_the_same_step(tmp_path):
    script = tmp_path / "two_ranks.py"
    script.write_text(TWO_RANKS)
    command = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*command, script, Path(__file__).parent, tmp_path], env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=1200, check=True)
    zero, one = ((tmp_path / rank).read_text() for rank in "01")
    assert zero == one
    assert zero.startswith("2 4.0 P(better than 0.75) is at most")
