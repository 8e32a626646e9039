"""How long a run was planned to be, from the files beside its log, in the unit of its steps."""

import json

import pytest

from lcx.readers.settings import planned_end, settings_beside

YOLO = "task: detect\nmode: train\nmodel: yolov8n.pt\ndata: coco8.yaml\nepochs: 100 # of training\nbatch: 16\npatience: '50'\nlr0: 0.01\n"
WANDB = "wandb_version: 1\n\nepochs:\n  desc: null\n  value: 27\n_wandb:\n  value:\n    python_version: 3.11\n    t:\n      1:\n      - 5\n"
HYDRA = "trainer:\n  max_epochs: 30\n  max_steps: -1\nscheduler:\n  max_iters: 77\nmodel:\n  num_steps: 4\nbatch_size: 64\n"


def planned(folder, *question):
    return {file: planned_end(settings, *question) for file, settings in settings_beside(folder).items()}


@pytest.mark.parametrize(
    ("name", "text", "counter", "expected"),
    [
        ("args.yaml", YOLO, "epoch", (100, "epochs")),
        ("args.yaml", YOLO, "step", None),
        ("args.yaml", YOLO, None, None),
        ("config.yaml", WANDB, "epoch", (27, "epochs")),
        (".hydra/config.yaml", HYDRA, "epoch", (30, "trainer/max_epochs")),
        (".hydra/config.yaml", HYDRA, "step", None),  # -1 is no limit, and the others are no length of the training
        ("hparams.yaml", "max_steps: 1e4\nlr: 0.1\n", "step", (1e4, "max_steps")),
        ("hparams.yaml", "total_timesteps: 1_000_000\n", "time/total_timesteps", (1e6, "total_timesteps")),
        ("config.yaml", "epochs: 5\nmax_epochs: 9\n", "epoch", None),  # which one?
        ("config.yaml", "epochs: 9\ntrain:\n  epochs: 9\n", "epoch", (9, "train/epochs")),
        ("config.json", json.dumps({"train": {"num_epochs": 12}, "seed": 1, "amp": True}), "epochs", (12, "train/num_epochs")),
        ("params.json", json.dumps({"max_iters": "300"}), "iter", (300, "max_iters")),
    ],
)
def test_the_last_step_that_settings_plan(tmp_path, name, text, counter, expected):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert planned(tmp_path, counter) == {name: expected}


def test_epochs_are_steps_where_it_is_known_how_many(tmp_path):
    (tmp_path / "hparams.yaml").write_text("max_epochs: 30\nlr: 0.1\n")
    assert planned(tmp_path, "step", 50.0) == {"hparams.yaml": (1500, "max_epochs")}


def test_files_that_hold_no_settings_tell_nothing(tmp_path):
    (tmp_path / "config.json").write_text("[1, 2")
    (tmp_path / "params.json").write_text("[1, 2]")
    (tmp_path / "args.yaml").write_bytes(bytes(range(128, 256)))
    (tmp_path / "hparams.yaml").write_text("{}\n")
    (tmp_path / "opt.yaml").mkdir()
    assert settings_beside(tmp_path) == {}
