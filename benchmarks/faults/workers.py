"""The same questions to many threads and processes at once: every answer must be that of one alone; run by benchmarks/faults/faults.py."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.provenance import ROOT

LEVELS = (0.05, 0.5, 0.95)
HORIZON = 50
Answers = list[np.ndarray]


def questions(n: int, model: str) -> list[dict[str, Any]]:
    """Noisy curves of 2 to 40 points of all shapes, some of them in small batches."""
    rng, asked = np.random.default_rng(0), []
    for i in range(n):
        t = np.arange(1, rng.integers(3, 41))
        values = [1 - a * t**-b + 0.02 * rng.standard_normal(len(t)) for a, b in rng.uniform(0.1, 1, (1 + 2 * (i % 4 == 0), 2))]
        asked.append(
            {"values": values if len(values) > 1 else values[0], "horizon": HORIZON, "mode": "max", "model": model, "device": "cpu"}
        )
    return asked


def answered(asked: list[dict[str, Any]]) -> Answers:
    """Quantiles, and a few paths of each third question, in order."""
    answers = [lcx.predict(**question) for question in asked]
    return [x for i, a in enumerate(answers) for x in ([a.quantile(LEVELS)] if i % 3 else [a.quantile(LEVELS), a.sample(3, seed=i)])]


def decided(names: list[str], stopper: lcx.EarlyStopper | None = None) -> list[lcx.Verdict]:
    """The verdicts of a stopper on several runs, one report after another; the value to beat is told, so that order does not matter."""
    stopper = stopper or new_stopper()
    verdicts = []
    for name in names:
        rng = np.random.default_rng(int(name))
        for step in range(1, 9):
            verdicts.append(stopper.update(step, rng.uniform(0.2, 0.9) * (1 - 0.8**step), best=0.85, run=name))
    return verdicts


def new_stopper() -> lcx.EarlyStopper:
    """A stopper of the default model. What others report first, as threads happen to run, must not count: each run is read alone."""
    return lcx.EarlyStopper(HORIZON, "max", bounds=(0, 1), others=False)


def furthest(one: Answers, other: Answers) -> float:
    """Largest difference between two lists of answers."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def unequal(one: list[lcx.Verdict], other: list[lcx.Verdict]) -> int:
    """Number of verdicts that differ; as text, since a probability may be NaN."""
    return sum(repr(a) != repr(b) for a, b in zip(one, other, strict=True))


def of_threads(n: int, threads: int = 16) -> dict[str, Any]:
    """So many threads with one extrapolator and one stopper among them, and each thread with all questions."""
    out: dict[str, Any] = {"threads": threads, "questions": n}
    for model in ("general", "parametric"):
        asked = questions(n, model)
        alone = answered(asked)
        with ThreadPoolExecutor(threads) as pool:
            together = list(pool.map(lambda _, asked=asked: answered(asked), range(threads)))
        out[f"furthest, {model}"] = max(furthest(alone, answers) for answers in together)
    names = [str(i) for i in range(threads)]
    shared = new_stopper()
    with ThreadPoolExecutor(threads) as pool:
        verdicts = list(pool.map(lambda name: decided([name], shared), names))
    alone = [decided([name]) for name in names]
    out["verdicts that differ"] = sum(unequal(one, other) for one, other in zip(alone, verdicts, strict=True))
    curves = {run["run"]: (run["steps"], run["values"]) for run in shared.state()["runs"]}
    single = new_stopper()
    decided(names, single)
    out["curves that differ"] = sum(curves[run["run"]] != (run["steps"], run["values"]) for run in single.state()["runs"])
    return out


def of_processes(n: int, method: str, threads: int) -> dict[str, Any]:
    """Four processes, started by one that has predicted with so many threads of torch; that one is a new process too."""
    command = [sys.executable, "-m", "benchmarks.faults.workers", str(n), method, str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"expected answers, got exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _of_processes(n: int, method: str, threads: int, processes: int = 4, patience: float = 300.0) -> dict[str, Any]:
    torch.set_num_threads(threads)
    asked, names = questions(n, "general"), ["0", "1"]
    torch.randn(2048, 2048, generator=torch.Generator().manual_seed(0)).exp()  # has started all threads
    work: Callable[[], Any] = partial(_work, asked, names, threads)
    alone, verdicts = work()
    with ProcessPoolExecutor(processes, multiprocessing.get_context(method)) as pool:
        futures = [pool.submit(work) for _ in range(processes)]
        _, late = wait(futures, timeout=patience)
        for process in list((pool._processes or {}).values()) if late else []:
            os.kill(process.pid or 0, signal.SIGKILL)
    results = [] if late else [future.result() for future in futures]
    return {
        "method": method,
        "threads": threads,
        "processes": processes,
        "hung": len(late),
        "furthest": max((furthest(alone, answers) for answers, _ in results), default=None),
        "verdicts that differ": sum(unequal(verdicts, other) for _, other in results),
    }


def _work(asked: list[dict[str, Any]], names: list[str], threads: int) -> tuple[Answers, list[lcx.Verdict]]:
    torch.set_num_threads(threads)
    return answered(asked), decided(names)


if __name__ == "__main__":
    print(json.dumps(_of_processes(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
