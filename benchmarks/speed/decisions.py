"""What a decision of ``EarlyStopper`` takes: ``python benchmarks/speed/decisions.py``.

Beside the bare call of the network (one encoding, one decoding); with the forecast reading 100 other runs and without; with 10,000 runs in
one stopper; and beside two busy processes, which are let run and held by turns, so that both meet the same machine. Curves of 100 epochs,
40 seen. Writes benchmarks/speed/results/decisions.json.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.provenance import provenance, write_result
from benchmarks.timing import compare, interleave, required

HORIZON, SEEN, CALLS = 100, 40, 5
BARE, ONE, BUSY = "the network's bare call", "a decision, one run and one to beat", "a decision beside two busy processes"
UNREAD = "a decision that does not read it"
KNOWN, ALONE, MANY = "a decision for one of 100 runs, 100 finished", "the same, each run read alone", "the same with 10,000 runs finished"


def curves(n: int) -> np.ndarray:
    """Losses that fall towards different levels, with noise, (n, 100)."""
    draw, steps = np.random.default_rng(0), np.arange(1, HORIZON + 1)
    return 0.3 + draw.uniform(0.5, 1, (n, 1)) * steps ** -draw.uniform(0.2, 1, (n, 1)) + 0.01 * draw.normal(size=(n, HORIZON)) ** 2


def stopper(finished: int, running: int, **options: Any) -> Callable[[], Any]:
    """The next decision about the first of the running runs, again and again."""
    found = lcx.EarlyStopper(HORIZON, "min", bounds=(0, None), **options)
    for i, curve in enumerate(curves(finished + running)):
        for step in range(1, (HORIZON if i < finished else SEEN) + 1):
            found.update(step, curve[step - 1], run=i, best=np.nan)
    state = found._runs[finished]

    def decide() -> None:
        del state.steps[SEEN - 1 :], state.values[SEEN - 1 :], state.read[SEEN - 1 :]
        if np.isnan(found.update(SEEN, curves(1)[0, SEEN - 1], run=finished).probability):
            raise RuntimeError("expected a decision by a forecast, got none")

    return decide


def bare() -> Callable[[], Any]:
    """One encoding and one decoding of such a curve, at as many steps as a decision looks at."""
    model, steps = lcx.load("general", "cpu"), torch.arange(1.0, SEEN + 1)[None]
    curve, _ = lcx.curves.as_curves(curves(1)[0, :SEEN], None, horizon=HORIZON)
    read, ahead = model._read(curve, "min", (0, None), None), torch.linspace(SEEN, HORIZON, 33)[None, 1:]
    only = torch.tensor([SEEN - 1])

    @torch.inference_mode()
    def call() -> None:
        model.model.decode(model.model.encode(read.values, steps, frame=read.frame, only=only), only[None], ahead)

    return call


@contextmanager
def busy_processes(n: int) -> Iterator[Callable[[bool], None]]:
    """Processes that compute, held until they are told to go on."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]

    def let(go_on: bool) -> None:
        for one in running:
            os.kill(one.pid, signal.SIGCONT if go_on else signal.SIGSTOP)

    let(False)
    try:
        yield let
    finally:
        for one in running:
            one.kill()
            one.wait()


def timed(
    call: Callable[[], Any], threads: int, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> Any:
    """A timer of the median of some calls; wall seconds."""

    def run() -> float:
        torch.set_num_threads(threads)
        before()
        call()
        found = []
        for _ in range(CALLS):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
        after()
        return float(np.median(found))

    return run


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="default 15")
    options = parser.parse_args()
    origin, load, one = provenance(), round(os.getloadavg()[0], 2), stopper(1, 1)
    with busy_processes(2) as let:
        timers = {
            BARE: timed(bare(), 1),
            ONE: timed(one, 2),
            UNREAD: timed(stopper(1, 1, others=False), 2),
            BUSY: timed(one, 2, lambda: let(True), lambda: let(False)),
            KNOWN: timed(stopper(100, 100), 2),
            ALONE: timed(stopper(100, 100, others=False), 2),
            MANY: timed(stopper(10_000, 1), 2),
        }
        part = compare(interleave(timers, options.rounds), [(ONE, BARE), (UNREAD, BARE), (BUSY, ONE), (KNOWN, ALONE), (MANY, KNOWN)])
    part["required"] = {}
    for a, b, limit in ((UNREAD, BARE, 4), (BUSY, ONE, 2), (KNOWN, ALONE, 3)):
        part["required"] |= required(part, f"{a} / {b}", limit)
    write_result("speed/decisions", {**origin, "clock": "wall", "load_average": load, **part})
    for name, x in (part["seconds"] | part["ratios"]).items():
        print(f"{name:<110} {x['median']:.4g}")


if __name__ == "__main__":
    main()
