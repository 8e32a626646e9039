"""Processor time of reading large logs: python -m benchmarks.speed.logs [--rows 1000000].

For ``lcx runs`` each file is read in a process of its own; what is counted is its whole time on the processor, its start included. Then
what ``lcx watch`` does with a log that has grown by ten lines: ``read`` against reading it whole, in turns in one process, medians.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lcx.readers import Kept, read


def lines(kind: str, rows: int) -> Iterator[str]:
    """The lines of a log of this kind: a loss in every row, a learning rate, and in one of the CSVs a sparse validation loss."""
    loss = 2 + np.random.default_rng(0).random(rows)
    if kind == "jsonl":
        yield from (json.dumps({"step": step, "loss": round(value, 6), "lr": 0.001}) for step, value in enumerate(loss.tolist(), 1))
        return
    wide = kind == "wide.csv"
    yield "step,loss,val_loss,lr" if wide else "step,loss"
    for step, value in enumerate(loss.tolist(), 1):
        rest = f",{value + 0.1:.6f},0.001" if step % 100 == 0 else ",,0.001"
        yield f"{step},{value:.6f}{rest if wide else ''}"


def seconds(path: Path) -> float:
    """Seconds of processor time that ``lcx runs`` takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "from lcx.cli.app import main; main()", "runs", str(path)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def grown(path: Path, kind: str, rows: int, repeats: int = 5) -> tuple[float, float]:
    """Seconds of processor time of reading the file whole, and of reading it after ten more lines when it was read before."""
    kept, whole, again = Kept(), [], []
    read(path, kept=kept)
    more = iter(list(lines(kind, rows + 10 * repeats))[-10 * repeats :])
    for _ in range(repeats):
        with path.open("a") as opened:
            opened.writelines(f"{next(more)}\n" for _ in range(10))
        start = time.process_time()
        table = read(path, kept=kept)
        again.append(time.process_time() - start)
        start = time.process_time()
        same = read(path)
        whole.append(time.process_time() - start)
        assert table.equals(same)
    return statistics.median(whole), statistics.median(again)


def main() -> None:
    """Prints a line for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("csv", "wide.csv", "jsonl"):
            path = Path(folder, f"log.{kind}")
            path.write_text("\n".join(lines(kind, rows)) + "\n")
            print(f"{path.name} with {rows} rows: {seconds(path):.2f} s")
            whole, again = grown(path, kind, rows)
            print(
                f"  with ten more: {whole:.2f} s whole, {again:.2f} s when it was read before, {whole / again:.0f} times as fast",
                flush=True,
            )


if __name__ == "__main__":
    main()
