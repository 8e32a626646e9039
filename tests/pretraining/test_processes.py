"""Pretraining by several processes: own curves, one model, one end; the slow tests start real processes with torchrun."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lcx.pfn.checkpoint import STATE, load, read_tensors
from lcx.pfn.model import PFN, PFNConfig
from lcx.pretraining import batches as batches_module
from lcx.pretraining import loop as pretraining
from lcx.pretraining import processes
from lcx.pretraining.batches import PretrainConfig, draw_batches
from lcx.pretraining.loop import pretrain
from lcx.pretraining.processes import Ranks, launched, ranks
from lcx.priors.named import PRIORS
from lcx.priors.parametric import PARAMETRIC

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
TINY = PretrainConfig(
    model=PFNConfig(width=16, layers=1, heads=2, expansion=2, decoder_layers=1, components=4),
    curves=16 * 150,
    batch=16,
    pairs=8,
    targets=2,
    warmup=20,
    validation_curves=200,
    validate_every=50,
)


def drawn(prior: str, rank: int, size: int, block: int = 0, seed: int = 0) -> list[Tensor]:
    config = replace(TINY, prior=prior, seed=seed)
    return [batch.values for batch in draw_batches(PRIORS[prior], config, block, CPU, rank, size)]


# --------------------------------------------------------------------------------------------------------- curves of each rank


@pytest.mark.parametrize("prior", ["parametric", "general"])
def test_ranks_share_a_batch_and_draw_curves_of_their_own(prior, monkeypatch):
    """No two of ranks, blocks, seeds and numbers of ranks share a curve; but some of the general prior are constant, and so alike."""
    monkeypatch.setattr(batches_module, "BLOCK", 6)  # fewer than there are, to save time
    places = [(0, 1, 0, 0), (0, 2, 0, 0), (1, 2, 0, 0), (0, 2, 1, 0), (1, 2, 1, 0), (1, 4, 0, 0), (1, 2, 0, 1)]
    batches = {place: drawn(prior, *place) for place in places}
    seen = [{tuple(row) for x in part for row in x[:, :6].nan_to_num().tolist()} for part in batches.values()]
    for i, mine in enumerate(seen):
        for other in seen[:i]:
            assert len(mine & other) <= 3
            assert len(mine) > 12
    whole = [len(x) for x in batches[0, 1, 0, 0]]
    assert [2 * len(x) for x in batches[0, 2, 0, 0]] == [2 * len(x) for x in batches[1, 2, 0, 0]] == [n - n % 2 for n in whole]
    assert len(whole) == 6
    again = drawn(prior, 1, 2)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(again, batches[1, 2, 0, 0], strict=True))


def test_ranks_take_turns_with_curves_of_one_length(monkeypatch):
    """Of the general prior: the longest of the curves costs a step its time, so no rank waits for another."""
    monkeypatch.setattr(batches_module, "BLOCK", 8)
    lengths = [[x.shape[1] for x in drawn("general", rank, size)] for rank, size in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_array_equal(np.ceil(np.log2(lengths[1:])), np.ceil(np.log2([lengths[0]] * 2)))


def test_a_batch_that_ranks_cannot_share_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a batch that 3 ranks can share alike, got 16; give"):
        pretraining._begin(TINY, tmp_path, Ranks(0, 3, CPU), resume=False)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------------- one alone


def test_alone_everything_stays_as_it_is():
    alone, model = Ranks(0, 1, CPU), PFN(TINY.model)
    before = torch.arange(16.0)
    model.state_norm.weight.grad = before.clone()
    alone.average_gradients(model)
    alone.check_equal(model)
    assert torch.equal(model.state_norm.weight.grad, before)
    assert alone.largest(1, 0.1) == (1, 0.1)
    assert alone.from_first(before) is alone.mean(before) is before


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # as other launchers set it
    assert not launched()
    assert ranks("cpu") == Ranks(0, 1, CPU)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert ranks("cpu") == Ranks(0, 1, CPU)


@pytest.mark.parametrize("begun", [False, True])
def test_a_process_of_several_joins_their_group_once(monkeypatch, begun):
    joined, last = [], []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = {"is_initialized": lambda: begun, "get_rank": lambda: 1, "get_world_size": lambda: 2}
    for name, answer in (told | {"init_process_group": lambda kind, **_: joined.append(kind)}).items():
        monkeypatch.setattr(processes.distributed, name, answer)
    monkeypatch.setattr(processes.atexit, "register", last.append)
    assert ranks("cpu") == Ranks(1, 2, CPU)
    assert joined == ([] if begun else ["gloo"])
    assert len(last) == len(joined)


# ------------------------------------------------------------------------------------------------------------- two, for real

WORKER = """
import json, os, signal, sys
from pathlib import Path
from lcx.pretraining import loop as pretraining
from lcx.pretraining.batches import PretrainConfig
from lcx.pfn.model import PFN, PFNConfig

folder, event, steps, resume, seeds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "resume", json.loads(sys.argv[5])
rank, weights, plain = os.environ["RANK"], [], pretraining.Run.take_step

def watched(self, *rest):
    plain(self, *rest)
    weights.append([float(p.detach().double().sum()) for p in self.model.parameters()])
    if self.step == steps and event.endswith(rank):
        os.kill(os.getpid(), signal.SIGKILL if event.startswith("kill") else signal.SIGTERM)

pretraining.Run.take_step = watched
pretraining._SAVE_EVERY = 0  # after every step
for seed in seeds:
    config = {config}
    about = pretraining.pretrain(config, folder / str(seed), device="cpu", resume=resume, progress=False)
    assert about["curves_seen"] > 0
    (folder / f"rank{{rank}}.json").write_text(json.dumps(weights))
"""


def torchrun(folder: Path, event: str = "none", step: int = -1, *, resume: bool = False, seeds=(0,)) -> subprocess.CompletedProcess:
    """The worker above by two processes: ``event`` is "kill" or "term" with the rank it comes to, after a step."""
    script = folder / "worker.py"
    config = repr(TINY).replace("seed=0", "seed=seed")
    script.write_text(WORKER.format(config=config))
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(script),
        str(folder),
        event,
        str(step),
    ]
    command += ["resume" if resume else "new", json.dumps(seeds)]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=900)


def alone(folder: Path, monkeypatch, seed: int = 0, stop_after: int | None = None, **options) -> dict:
    """The same by one process, stopped by a signal after a step."""
    if stop_after:
        plain = pretraining.Run.take_step

        def watched(self, *rest):
            plain(self, *rest)
            if self.step == stop_after:
                os.kill(os.getpid(), 15)

        monkeypatch.setattr(pretraining.Run, "take_step", watched)
    about = pretrain(replace(TINY, seed=seed), folder / str(seed), device="cpu", progress=False, **options)
    monkeypatch.undo()
    return about


def metrics(folder: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def steps_saved(folder: Path) -> int:
    return int(read_tensors(folder / STATE)["progress"][0])


@pytest.mark.slow  # 66 s on busy cores, as below
def test_two_ranks_train_one_model_as_well_as_one_process(tmp_path, monkeypatch):
    """Equal weights after every step, bit for bit; losses as those of one process, seed by seed.

    Differences of 4 seeds, at 3 steps each in train and validation: below 4 standard errors of their own, false alarm 0.03 a comparison
    (t with 3 degrees of freedom), and below 0.1 nats in any case; networks of different seeds lie about as far apart.
    """
    seeds = (0, 1, 2, 3)
    (tmp_path / "two").mkdir()
    done = torchrun(tmp_path / "two", seeds=seeds)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / "two" / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert len(first) == len(seeds) * TINY.steps
    assert first[0] != first[1]
    for seed in seeds:
        alone(tmp_path / "one", monkeypatch, seed)
        assert load(tmp_path / "two" / str(seed), CPU)[1]["curves_seen"] == TINY.curves
    for name in ("train/log_score", "validation/10", "validation/80"):
        two, one = (np.array([metrics(tmp_path / who / str(seed), name) for seed in seeds]) for who in ("two", "one"))
        assert two.shape == one.shape == (4, 3)
        difference = (two - one).mean(0)
        assert (np.abs(difference) < np.maximum(0.05, 4 * (two - one).std(0, ddof=1) / 2)).all(), (name, two, one)
        assert (np.abs(difference) < 0.1).all(), (name, two, one)
        assert (two[:, -1] > two[:, 0]).all()


@pytest.mark.slow  # 2 x 21 s
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_rank_stops_all_and_one_process_goes_on(tmp_path, monkeypatch, rank):
    done = torchrun(tmp_path, f"term{rank}", 40)
    assert done.returncode == 0, done.stderr[-2000:]
    assert steps_saved(tmp_path / "0") == 40
    assert len(json.loads((tmp_path / f"rank{1 - rank}.json").read_text())) == 40
    assert load(tmp_path / "0", CPU)[1]["curves_seen"] == 40 * TINY.batch
    about = alone(tmp_path, monkeypatch, resume=True)
    assert about["curves_seen"] == TINY.curves
    assert metrics(tmp_path / "0", "validation/80")[-1] > metrics(tmp_path / "0", "validation/80")[0] - 0.1


@pytest.mark.slow  # 27 s
def test_two_ranks_go_on_where_one_process_stopped(tmp_path, monkeypatch):
    about = alone(tmp_path, monkeypatch, stop_after=60)
    assert about["curves_seen"] == 60 * TINY.batch
    before = read_tensors(tmp_path / "0" / STATE)["model/head.weight"]
    done = torchrun(tmp_path, resume=True)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert len(first) == TINY.steps - 60
    assert load(tmp_path / "0", CPU)[1]["curves_seen"] == TINY.curves
    assert not torch.equal(before, read_tensors(tmp_path / "0" / STATE)["model/head.weight"])
    assert PARAMETRIC is PRIORS[TINY.prior]


@pytest.mark.slow  # 2 x 11 s
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_rank_ends_the_job_and_leaves_a_whole_state(tmp_path, monkeypatch, rank):
    """Killed after step 30; a state is written after every step, so at most the last is lost."""
    begun = time.monotonic()
    done = torchrun(tmp_path, f"kill{rank}", 30)
    assert done.returncode != 0
    assert "SIGKILL" in done.stderr or "-9" in done.stderr
    assert time.monotonic() - begun < 600
    assert steps_saved(tmp_path / "0") in (29, 30)
    assert not (tmp_path / "0" / "model.safetensors").exists()  # only a finished or stopped run leaves a model
    about = alone(tmp_path, monkeypatch, resume=True)
    assert about["curves_seen"] == TINY.curves
    assert steps_saved(tmp_path / "0") == TINY.steps


@pytest.mark.slow  # 19 s
def test_the_script_by_torchrun_prints_once_and_refuses_as_one_process_does(tmp_path):
    options = ["--width", "16", "--layers", "1", "--expansion", "2", "--decoder-layers", "1", "--components", "4", "--pairs", "8"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(ROOT / "scripts" / "pretrain.py")]
    command += [
        "--folder",
        str(tmp_path / "run"),
        "--curves",
        "640",
        "--batch",
        "32",
        "--validation-curves",
        "50",
        "--device",
        "cpu",
        *options,
    ]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("640 curves in") == 1
    again = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert again.returncode != 0
    assert "resume that run" in again.stderr
