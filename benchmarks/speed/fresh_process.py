"""What is measured in a fresh process: the time of ``import lcx`` and the memory of a call; part of benchmarks/speed/speed.py."""

import subprocess
import sys
from typing import Any

import numpy as np
from tqdm.auto import tqdm

import lcx
from benchmarks.intervals import spread
from benchmarks.processes import memory
from benchmarks.provenance import ROOT
from benchmarks.speed.asked import MODEL, curves, predict
from benchmarks.timing import Timer, compare, interleave, required


def imports(quick: bool) -> dict[str, Any]:
    """``import lcx`` against ``import torch``, each in a fresh process; the interpreter's own start is not counted."""
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    timers: dict[str, Timer] = {name: lambda name=name: float(python(code.format(name))) for name in ("torch", "lcx")}
    interleave(timers, 1)  # fills the file cache and compiles
    part = compare(interleave(timers, 3 if quick else 11), [("lcx", "torch")])
    return part | {"required": required(part, "lcx / torch", 1.5)}


def peak(quick: bool) -> dict[str, Any]:
    """Resident memory at its peak that one call adds to a fresh process with lcx and the model loaded, MiB."""
    code = "from benchmarks.speed.fresh_process import print_peak; print_peak({})"
    found = {}
    for n in tqdm((1, 64, 1000) if quick else (1, 64, 1000, 10_000), leave=False):
        rounds = np.array([python(code.format(n)).split() for _ in range(1 if quick else 5)], dtype=float)
        found[f"lcx, {n}"] = {"before": spread(rounds[:, 0]), "added": spread(rounds[:, 1])}
    return {"mebibytes": found}


def print_peak(n: int) -> None:
    """Prints the peak before a call on ``n`` curves and what the call adds to it, MiB."""
    values = curves(n)
    lcx.load(MODEL, "cpu")
    before = memory("VmHWM")
    predict(values)
    print(before, memory("VmHWM") - before)


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
