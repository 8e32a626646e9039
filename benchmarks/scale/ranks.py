"""Cost of a training curve by one process and by several together: ``torchrun --nproc_per_node=2 benchmarks/scale/ranks.py``.

The steps are those of ``lcx pretrain`` (drawing included) with the shipped size of network. In turn all ranks train together and rank 0
trains alone, at the same number of curves per step, while the others wait; medians over the turns. On a machine that others use too the
clock says little, so CPU seconds (of all ranks together) stand beside it: what is above 1 there is work that the ranks repeat. Writes
benchmarks/scale/results/ranks.json; docs/pretraining-at-scale.md says what it means for many machines.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from benchmarks.provenance import provenance, write_result
from lcx.pfn.model import PFNConfig
from lcx.pretraining.batches import BLOCK, PretrainConfig, draw_batches
from lcx.pretraining.objective import loss
from lcx.pretraining.processes import Ranks, ranks
from lcx.pretraining.state import Run
from lcx.priors.named import PRIORS


def main() -> None:
    """Every prior and batch, then the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--priors", nargs="*", default=["parametric", "general"])
    parser.add_argument("--batches", nargs="*", type=int, default=[64, 256], help="curves per step, of all ranks together")
    parser.add_argument("--steps", type=int, default=32, help="per turn; whole blocks of 32 keep the drawing's share")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    together = ranks("cpu")
    rows = [compare(prior, batch, options, together) for prior in options.priors for batch in options.batches]
    result = {**provenance(), "ranks": together.size, "steps": options.steps, "turns": options.turns, "rows": rows}
    result["command"] = f"torchrun --nproc_per_node={together.size} {result['command'].removeprefix('python ')}"
    if together.first:
        write_result("scale/ranks", {**result, "load": round(os.getloadavg()[1], 1)})


def compare(prior: str, batch: int, options: argparse.Namespace, together: Ranks) -> dict[str, Any]:
    """Medians over turns: seconds a curve, by the clock and of CPU, alone and together; and what a step spends on what is not shared."""
    config = PretrainConfig(prior=prior, batch=batch, model=PFNConfig(width=96, layers=4, chart=prior))
    run, alone = Run(config, together.device), Ranks(0, 1, together.device)
    taken: dict[str, list[tuple[float, float]]] = {"together": [], "alone": []}
    for turn in range(options.turns + 1):  # the first is to warm up
        for name, who in (("together", together), ("alone", alone)):
            together.largest(0.0)  # all begin at once
            clock, cpu, before = time.perf_counter(), time.process_time(), run.curves
            if who is together or together.first:
                train(run, config, who, turn, options.steps)
            cpu = time.process_time() - cpu
            together.largest(0.0)
            clock = time.perf_counter() - clock
            total = together.mean(torch.tensor(cpu, dtype=torch.float64)).item() * together.size
            curves = together.largest(run.curves - before)[0]
            if turn:
                taken[name].append((clock / curves, total / curves))
    row: dict[str, Any] = {"prior": prior, "batch": batch}
    for name, some in taken.items():
        row[name] = {"seconds": statistics.median(x for x, _ in some), "cpu_seconds": statistics.median(x for _, x in some)}
    clock, cpu = (row["together"][x] / row["alone"][x] for x in ("seconds", "cpu_seconds"))
    row |= {"clock_against_an_equal_share": clock * together.size, "cpu_against_alone": cpu, **apart(run, together)}
    if together.first:
        print(row, flush=True)
    return row


def train(run: Run, config: PretrainConfig, who: Ranks, block: int, steps: int) -> None:
    """So many steps as pretraining takes them."""
    for step in range(steps):
        who.largest(0.0, 0.0)
        if step % BLOCK == 0:
            batches = draw_batches(PRIORS[config.prior], config, block, who.device, who.rank, who.size)
        batch = batches[step % BLOCK]
        run.take_step(loss(run.model, batch, config.relative), config.clip, len(batch.values), who)


def apart(run: Run, together: Ranks, times: int = 20) -> dict[str, float]:
    """CPU milliseconds a step of what every rank repeats or adds: the optimizers, and averaging the gradients."""
    for p in run.model.parameters():
        p.grad = torch.full_like(p, 1e-4)
    parts: dict[str, Any] = {
        "optimizer_ms": lambda: [optimizer.step() for optimizer in run.optimizers],
        "average_ms": lambda: together.average_gradients(run.model),
    }
    out = {}
    for name, part in parts.items():
        begun = time.process_time()
        for _ in range(times):
            part()
        out[name] = (time.process_time() - begun) / times * 1e3
    return out


if __name__ == "__main__":
    main()
