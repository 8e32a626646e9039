"""``kill -9`` at random moments of pretraining and of a benchmark, and resuming; run by benchmarks/faults/faults.py.

Pretraining is killed again and again in one folder, which is resumed each time; a state is written after every step, so that many kills
fall into writing, and a quarter of the kills come after the last step, while the model is made and written. After each kill every file
is read. At the end the state must be that of a run that nobody disturbed, bit for bit. The benchmark, benchmarks/mcmc/pfn_vs_mcmc.py,
stores each answer as it comes; at the end every answer must be there once, as without kills.
"""

import json
import multiprocessing
import os
import random
import signal
import struct
import time
from dataclasses import replace
from mmap import mmap
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from benchmarks.mcmc import pfn_vs_mcmc
from benchmarks.processes import cpu_seconds, of_session
from lcx.pfn.checkpoint import CONFIG, STATE, WEIGHTS, load, read_tensors
from lcx.pfn.model import PFNConfig
from lcx.pretraining import loop as pretraining
from lcx.pretraining.batches import PretrainConfig
from lcx.pretraining.loop import pretrain

CONFIG_OF_THE_RUN = PretrainConfig(
    model=PFNConfig(width=16, layers=1, heads=2, expansion=2, decoder_layers=1, components=4),
    curves=8 * 600,
    batch=8,
    pairs=8,
    targets=2,
    validation_curves=200,
    validate_every=10**9,
)
PATIENCE = 3600.0  # seconds without an end that count as a hang; the machine may be shared by many


def of_pretraining(folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kills so many runs and counts what went wrong."""
    rng, done, config = random.Random(seed), mmap(-1, 8), CONFIG_OF_THE_RUN
    begun = time.process_time() + sum(os.times()[2:4])
    finish(started(folder / "whole", config, done))
    cost = time.process_time() + sum(os.times()[2:4]) - begun  # CPU seconds of a run without kills
    found = {"kills": 0, "kills_after_the_last_step": 0, "half_files": 0, "most_steps_lost": 0, "left_over": 0}
    out = folder / "killed"
    done[:] = bytes(8)
    for kill in tqdm(range(kills), desc="pretraining", unit="kill"):
        late = kill >= 0.75 * kills
        child = started(out, config, done)
        if late:
            wait(child, lambda: steps(done) == config.steps)
            wait_cpu(child, rng.uniform(0, 0.3))
        else:
            wait_cpu(child, rng.uniform(0, 1.3 * cost / (0.75 * kills)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        found["kills"] += os.WIFSIGNALED(status)
        found["kills_after_the_last_step"] += late and os.WIFSIGNALED(status)
        found["half_files"] += len(half_files(out))
        saved = int(read_tensors(out / STATE)["progress"][0]) if (out / STATE).exists() else 0
        found["most_steps_lost"] = max(found["most_steps_lost"], steps(done) - saved)
        done[:] = struct.pack("q", saved)
    finish(started(out, config, done))
    found["left_over"] = sum(".part" in path.name for path in out.iterdir())
    states = [read_tensors(where / STATE) for where in (folder / "whole", out)]
    for state in states:
        state["progress"] = state["progress"][[0, 2, 4]]  # without the seconds
    models = [load(where, torch.device("cpu"))[0].state_dict() for where in (folder / "whole", out)]
    differ = [name for a, b in (states, models) for name in a if not torch.equal(a[name], b[name])]
    return {**found, "steps": config.steps, "steps_per_save": 1, "tensors_that_differ_at_the_end": len(differ)}


def started(folder: Path, config: PretrainConfig, done: mmap) -> int:
    """Process id of a child that trains in ``folder``, resuming what is there, and tells its steps in ``done``."""
    child = os.fork()  # of a process with one thread, to save the time of the imports
    if child:
        return child
    plain = pretraining.Run.take_step

    def watched(run: pretraining.Run, *rest: Any) -> None:
        plain(run, *rest)
        done[:] = struct.pack("q", run.step)

    pretraining.Run.take_step = watched  # type: ignore
    pretraining._SAVE_EVERY = -1
    pretrain(replace(config), folder, device="cpu", resume=(folder / STATE).exists(), progress=False)
    os._exit(0)


def steps(done: mmap) -> int:
    """Steps that a child told it has finished."""
    return struct.unpack("q", done[:8])[0]


def finish(child: int) -> None:
    """Waits for a child's good end."""
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"expected a run to its end, got status {status}; see its error above")


def wait(child: int, happened: Any) -> None:
    """Waits until something is so or the child has ended."""
    begun = time.monotonic()
    while not happened() and cpu_seconds(child) is not None:
        if time.monotonic() - begun > PATIENCE:
            raise TimeoutError(f"expected an end within {PATIENCE} s, got none")
        time.sleep(0.002)


def wait_cpu(child: int, seconds: float) -> None:
    """Waits until the child has used so much CPU time from now: moments that do not depend on who else uses the machine."""
    begun = cpu_seconds(child) or 0.0
    wait(child, lambda: (cpu_seconds(child) or 0.0) - begun >= seconds)


def half_files(folder: Path) -> list[str]:
    """Files of a run under their own names that cannot be read whole."""
    half = []
    for path in folder.iterdir() if folder.exists() else []:
        if ".part" in path.name or path.is_dir():
            continue
        try:
            if path.name in (STATE, WEIGHTS):
                read_tensors(path, json.loads((folder / "pretraining.json").read_text())["model"] if path.name == WEIGHTS else None)
            elif path.name in (CONFIG, "pretraining.json"):
                json.loads(path.read_text())
            else:
                assert path.read_bytes().endswith(b"\n"), path
                [json.loads(line) for line in path.read_text().splitlines()]
        except (ValueError, AssertionError) as error:
            half.append(f"{path.name}: {error}")
    return half


def of_a_benchmark(folder: Path, kills: int, seed: int = 0, method: str = "smc-64", curves: int = 24) -> dict[str, Any]:
    """Kills the benchmark against MCMC, every second time the parent only, and counts what is stored."""
    rng, whole, store = random.Random(seed), folder / "whole" / f"{method}.jsonl", folder / "killed" / f"{method}.jsonl"
    pfn_vs_mcmc.fingerprint()  # draws the curves, once for all
    finish(benchmark(whole, curves))
    found = {"kills": 0, "kills_of_the_parent_only": 0, "resumed_to_the_end": 0, "half_lines": 0, "workers_left": 0, "lost": 0}
    found |= {"twice": 0, "changed": 0}
    with tqdm(total=kills, desc="benchmark", unit="kill") as bar:
        while found["kills"] < kills:
            child, there = benchmark(store, curves), lines(store)
            wanted = there + rng.randrange(0, 4)
            wait(child, lambda wanted=wanted: lines(store) >= wanted)
            time.sleep(rng.uniform(0, 0.5))
            alone = found["kills"] % 2 == 1
            (os.kill if alone else os.killpg)(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            found["kills"] += os.WIFSIGNALED(status)
            found["kills_of_the_parent_only"] += alone and os.WIFSIGNALED(status)
            bar.update(os.WIFSIGNALED(status))
            found["workers_left"] += left(child)
            found["half_lines"] += store.exists() and not (store.read_bytes() or b"\n").endswith(b"\n")
            if not os.WIFSIGNALED(status):
                compare(found, whole, store)
    finish(benchmark(store, curves))
    compare(found, whole, store)
    return {**found, "answers": lines(whole)}


def benchmark(store: Path, curves: int) -> int:
    """Process id of a child that answers what ``store`` lacks, with one worker; forked too, to save the time of the imports."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    fork = multiprocessing.get_context("fork")
    pfn_vs_mcmc.multiprocessing.get_context = lambda method: fork  # type: ignore
    pfn_vs_mcmc.STORE = store.parent
    pfn_vs_mcmc.run(store.stem, curves, [20], 1)
    os._exit(0)


def compare(found: dict[str, int], whole: Path, store: Path) -> None:
    """Counts how a store differs from that of a run without kills, and clears it."""
    want, got = (pfn_vs_mcmc.index(stored(path)) for path in (whole, store))
    found["resumed_to_the_end"] += 1
    found["lost"] += len(want.keys() - got.keys())
    found["twice"] += len(stored(store)) - len(got)
    found["changed"] += sum({**got[key], "seconds": 0} != {**want[key], "seconds": 0} for key in got)
    store.unlink()


def stored(path: Path) -> list[dict[str, Any]]:
    """Rows of a store."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines(path: Path) -> int:
    """Whole lines of a store."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def left(session: int, patience: float = 60.0) -> int:
    """Processes of a killed benchmark that are still there a minute later; they are ended."""
    begun = time.monotonic()
    while members := of_session(session):
        if time.monotonic() - begun > patience:
            os.killpg(session, signal.SIGKILL)
            return len(members)
        time.sleep(0.2)
    return 0
