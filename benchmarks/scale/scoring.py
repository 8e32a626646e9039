"""Curves per second and peak memory of ``lcx score``: ``python benchmarks/scale/scoring.py [--counts 10000 100000] [--repeats 3]``.

Curves of 40 points, each the first 40 of a draw of the parametric prior cut to [0, 1]; 20 query steps, five quantiles at each, mean,
standard deviation and P(better than 0.9). The command runs in processes of its own, start and reading included. Wall time on a machine
that does other work says little, so CPU time is recorded too: curves per second of CPU time, of all processes together. Writes
benchmarks/scale/results/scoring.json, a row per model, number of curves and of workers; rows not asked for keep their earlier figures.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # pyright: ignore[reportMissingImports]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
from tqdm.auto import tqdm

import lcx
from benchmarks.processes import family, memory
from benchmarks.provenance import ROOT, provenance, read_result, write_result

POINTS, HORIZON, AT = 40, 100, 20
REQUIRED = 2000  # curves per second on two cores, parametric model
_CHUNK = 1 << 14


def write_curves(path: Path, count: int) -> None:
    """A Parquet file of curves, in one row group: the hardest case for bounded memory."""
    schema = pa.schema({"run": pa.string(), "values": pa.list_(pa.float64())})
    with pq.ParquetWriter(path, schema) as writer:
        tables = []
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            values = lcx.sample_prior(size, seed=start).values[:, :POINTS].double().clamp(0, 1).numpy()
            lists = pa.ListArray.from_arrays(pa.array(np.arange(0, size * POINTS + 1, POINTS, dtype=np.int32)), pa.array(values.ravel()))
            tables.append(pa.table({"run": [f"run-{start + i}" for i in range(size)], "values": lists}))
        writer.write_table(pa.concat_tables(tables), row_group_size=count)


def command(source: Path, out: Path, model: str, workers: int, more: tuple[str, ...] = ()) -> list[str]:
    """The command measured."""
    options = f"--horizon {HORIZON} --mode max --lower 0 --upper 1 --best 0.9 --at {AT} --device cpu --model {model} --workers {workers}"
    return [sys.executable, "-m", "lcx.cli.app", "score", str(source), str(out), *options.split(), *more]


def measure(source: Path, model: str, workers: int, count: int) -> dict[str, float]:
    """Wall and CPU seconds of one run, and the peak of resident memory of its largest process and of all together, MiB."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with subprocess.Popen(
            command(source, Path(folder), model, workers), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            peaks: dict[int, float] = {}
            while True:
                ended, status, used = os.wait4(run.pid, os.WNOHANG)  # counts the workers too, for their parent waits for them
                if ended:
                    break
                for pid in family(run.pid):
                    peaks[pid] = max(peaks.get(pid, 0.0), memory("VmHWM", pid))
                time.sleep(0.1)
            run.returncode = os.waitstatus_to_exitcode(status)
            wall, cpu = time.perf_counter() - start, used.ru_utime + used.ru_stime
            assert run.stdout is not None
            assert run.stderr is not None
            if run.returncode or f"{count} curves" not in run.stdout.read().decode():
                raise RuntimeError(f"expected {count} curves scored, got exit code {run.returncode}: {run.stderr.read().decode()[-2000:]}")
        rows = sum(pq.read_metadata(path).num_rows for path in Path(folder).glob("*.parquet"))
        assert rows == count, f"{rows} rows of {count}"
    return {"seconds": wall, "cpu_seconds": cpu, "largest": max(peaks.values()), "together": sum(peaks.values()), "load": load}


def row(runs: list[dict[str, float]], model: str, count: int, workers: int) -> dict[str, Any]:
    """Medians over the repeats."""
    middle = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    return {
        "model": model,
        "curves": count,
        "workers": workers,
        "repeats": len(runs),
        "curves_per_second": round(count / middle["seconds"], 1),
        "curves_per_second_best": round(max(count / run["seconds"] for run in runs), 1),
        "curves_per_cpu_second": round(count / middle["cpu_seconds"], 1),
        "curves_per_cpu_second_best": round(max(count / run["cpu_seconds"] for run in runs), 1),
        "mebibytes_largest_process": round(middle["largest"]),
        "mebibytes_together": round(middle["together"]),
        "load_average": round(middle["load"], 2),
    }


def main() -> None:
    """Measures row by row and writes each as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--models", nargs="+", default=["parametric", "general"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    origin = provenance()
    folder = Path(tempfile.mkdtemp())
    try:
        tasks = [(count, model) for count in options.counts for model in options.models]
        for count, model in tqdm(tasks):
            source = folder / f"{count}.parquet"
            if not source.exists():
                write_curves(source, count)
            runs = [measure(source, model, options.workers, count) for _ in range(options.repeats)]
            found = {**row(runs, model, count, options.workers), **origin}
            key = ("model", "curves", "workers")
            kept = [one for one in (read_result("scale/scoring") or {"rows": []})["rows"] if any(one[k] != found[k] for k in key)]
            rows = sorted([*kept, found], key=lambda one: [one[k] for k in key])
            write_result("scale/scoring", {**origin, "required": REQUIRED, "points": POINTS, "at": AT, "rows": rows})
            tqdm.write(f"{model}, {count}: {found}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
