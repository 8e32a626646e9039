"""What lcx does with odd input, damaged files, SIGKILL, threads and processes: ``python benchmarks/faults/faults.py [--parts ...]``.

Each part is stored in benchmarks/faults/results/faults.json when it ends, with its date, commit, device and command, and
benchmarks/RELIABILITY.md is written from all that are stored. An answer against the rules ends the part with an error.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults import kills, models, tables, workers
from benchmarks.provenance import BENCHMARKS, provenance, read_result, write_result
from lcx.files import write_text


def odd_input(options: argparse.Namespace) -> dict[str, Any]:
    """Examples per door, by outcome."""
    from hypothesis import HealthCheck, Phase, settings

    from benchmarks.faults import fuzz, fuzz_files

    phases = [Phase.generate, Phase.target, Phase.shrink]
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
    many = settings(max_examples=options.examples, database=None, deadline=None, suppress_health_check=checks, phases=phases)
    with tempfile.TemporaryDirectory() as name:
        folders = iter([Path(name, part) for part in ("logs", "curves", "model")])
        doors: list[Callable[[], None]] = [fuzz.predict, fuzz.backtest, fuzz.equivariance, fuzz.stopper]
        for door in (fuzz_files.reader, fuzz_files.command_line, fuzz_files.checkpoint):
            folder = next(folders)
            folder.mkdir()
            doors.append(door(folder))
        for door in doors:
            many(door)()
    outcomes: dict[str, Counter[str]] = {}
    for (door, outcome), count in sorted(fuzz.TALLY.items()):
        outcomes.setdefault(door, Counter())[outcome] += count
    return {"examples": options.examples, "doors": outcomes}


def damaged_models(options: argparse.Namespace) -> dict[str, Any]:
    """Damaged and hostile models, per kind of damage."""
    return {"kinds": models.run(options.flips, options.cuts)}


def sigkill(options: argparse.Namespace) -> dict[str, Any]:
    """SIGKILL of pretraining and of a benchmark."""
    with tempfile.TemporaryDirectory() as name:
        found = {"pretraining": kills.of_pretraining(Path(name), options.kills)}
    with tempfile.TemporaryDirectory() as name:
        return found | {"benchmark": kills.of_a_benchmark(Path(name), options.kills)}


def threads_and_processes(options: argparse.Namespace) -> dict[str, Any]:
    """Threads, then processes by each method that Python has, after one and after two threads of torch."""
    processes = [
        workers.of_processes(options.questions, method, threads) for method in ("spawn", "forkserver", "fork") for threads in (1, 2)
    ]
    return {"threads": workers.of_threads(options.questions), "processes": processes}


PARTS = {"fuzz": odd_input, "models": damaged_models, "kills": sigkill, "workers": threads_and_processes}


def main() -> None:
    """Runs the parts named, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS), help="default all; none: only the page")
    parser.add_argument("--examples", type=int, default=1000, help="per door")
    parser.add_argument("--flips", type=int, default=200, help="single bits per file")
    parser.add_argument("--cuts", type=int, default=50, help="truncations per file")
    parser.add_argument("--kills", type=int, default=20, help="each of pretraining and the benchmark")
    parser.add_argument("--questions", type=int, default=24, help="per thread and process")
    options = parser.parse_args()
    for name in options.parts:
        begun, cpu, origin = time.perf_counter(), _cpu(), provenance()
        found = PARTS[name](options)
        spent = {
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(_cpu() - cpu, 1),
            "load": round(os.getloadavg()[1], 1),
        }
        write_result("faults/faults", {**(read_result("faults/faults") or {}), name: {**origin, **spent, **found}})
    write_text(tables.page(), BENCHMARKS / "RELIABILITY.md")


def _cpu() -> float:
    """CPU seconds of this process and those it waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
