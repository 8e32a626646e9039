"""``kill -9`` of ``lcx score`` at random moments, and resuming: ``python benchmarks/faults/kills_of_scoring.py [--kills 20]``.

The command and its workers are killed after a random number of parts, 0 to all, and a random part of the time one takes; then it is run
again in the same folder, and killed again if its next moment lies ahead, else left to come to its end. After every kill, files that bear
a part's name but are not a whole part are counted. Whenever a run comes to its end, the folder is compared with that of a run without
kills: curves lost, curves twice, answers that differ, files left over. Writes benchmarks/faults/results/faults_scoring.json.
"""

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # pyright: ignore[reportMissingImports]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
from tqdm.auto import tqdm

from benchmarks.provenance import ROOT, provenance, write_result
from benchmarks.scale.scoring import command, write_curves
from lcx.scoring.shards import MANIFEST

COUNTED: list[str] = ["kills", "kills_of_the_parent_only", "resumed_to_the_end", "half_files", "lost", "twice", "changed", "left_over"]
PATIENCE = 600  # seconds without a new part, or without an end, that count as a hang


def trials(folder: Path, kills: int, curves: int, rows: int, seed: int, workers: int = 1) -> dict[str, Any]:
    """Kills so many runs in ``folder`` and counts what went wrong.

    Args:
        folder: an empty one.
        kills: how many.
        curves: in the input.
        rows: per part.
        seed: of the moments.
        workers: processes per run; of more than one, every second kill hits the parent only.
    """
    rng, source, reference, out = random.Random(seed), folder / "curves.parquet", folder / "reference", folder / "out"
    write_curves(source, curves)
    subprocess.run(ask(source, reference, rows, 1), cwd=ROOT, check=True, capture_output=True)
    whole = pd.read_parquet(reference)
    parts = len(list(reference.glob("part-*.parquet")))
    count = dict.fromkeys(
        ("kills", "kills_of_the_parent_only", "resumed_to_the_end", "half_files", "lost", "twice", "changed", "left_over"), 0
    )
    with tqdm(total=kills) as bar:
        while count["kills"] < kills:
            only_parent = workers > 1 and count["kills"] % 2 == 1
            if killed(source, out, rows, workers, rng, parts, only_parent):
                count["kills"] += 1
                count["kills_of_the_parent_only"] += only_parent
                count["half_files"] += half_files(out)
                bar.update()
            else:
                tally(count, out, whole, parts)
    subprocess.run(ask(source, out, rows, workers), cwd=ROOT, check=True, capture_output=True, timeout=10 * PATIENCE)
    tally(count, out, whole, parts)
    return {**count, "curves": curves, "parts": parts, "workers": workers, "seed": seed}


def ask(source: Path, out: Path, rows: int, workers: int) -> list[str]:
    """The command that is killed."""
    return command(source, out, "parametric", workers, ("--rows", str(rows)))


def killed(source: Path, out: Path, rows: int, workers: int, rng: random.Random, parts: int, only_parent: bool) -> bool:
    """Runs the command until a random moment; False if it came to its end before, as it does where the moment has passed already."""
    there, wanted, share = done(out), rng.randrange(parts + 1), rng.random()
    if wanted < there:
        subprocess.run(ask(source, out, rows, workers), cwd=ROOT, check=True, capture_output=True, timeout=10 * PATIENCE)
        return False
    run = subprocess.Popen(
        ask(source, out, rows, workers), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    start = last = time.monotonic()
    seen, pace = there, 3.0  # seconds that a part, or the start, may take; refined below
    while run.poll() is None and seen < wanted:
        now = done(out)
        if now > seen:
            seen, pace, last = now, max(0.01, (time.monotonic() - last) / (now - seen)), time.monotonic()
        if time.monotonic() - last > PATIENCE:
            raise TimeoutError(f"expected a part within {PATIENCE} s, got none since {time.monotonic() - start:.0f} s after the start")
        time.sleep(0.002)
    time.sleep(share * pace)
    if run.poll() is not None:
        return False
    if only_parent:
        os.kill(run.pid, signal.SIGKILL)
    else:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    return True


def done(out: Path) -> int:
    """Number of files with a part's name."""
    return len(list(out.glob("part-*.parquet"))) if out.exists() else 0


def half_files(out: Path) -> int:
    """Files with a part's name that are no whole Parquet files."""
    half = 0
    for path in out.glob("part-*.parquet"):
        try:
            pq.read_table(path)
        except (pa.ArrowInvalid, OSError):
            half += 1
    return half


def tally(count: dict[Any, int], out: Path, whole: pd.DataFrame, parts: int) -> None:
    """Compares a finished folder with one made without kills, and clears it."""
    waited = time.monotonic()
    while (names := sorted(path.name for path in out.iterdir())) != [MANIFEST, *(f"part-{i:06d}.parquet" for i in range(parts))]:
        if time.monotonic() - waited > 60:  # workers whose parent was killed end after their part
            break
        time.sleep(0.1)
    got = pd.read_parquet(out)
    times = got["row"].value_counts().reindex(whole["row"], fill_value=0)
    both = got.drop_duplicates("row").set_index("row").reindex(whole["row"])
    same = np.isclose(both["mean"].to_numpy(), whole["mean"].to_numpy(), rtol=1e-6) & (both["run"].to_numpy() == whole["run"].to_numpy())
    count["resumed_to_the_end"] += 1
    count["lost"] += int((times == 0).sum())
    count["twice"] += int((times > 1).sum())
    count["changed"] += int((~same).sum())
    count["left_over"] += len(names) - parts - 1
    for path in out.iterdir():
        path.unlink()


def main() -> None:
    """Kills runs of one and of two workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--curves", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=64)
    options = parser.parse_args()
    origin, found = provenance(), {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            found[f"{workers} workers"] = trials(Path(folder), options.kills, options.curves, options.rows, seed=workers, workers=workers)
        write_result("faults/faults_scoring", {**origin, **found})
        print(found[f"{workers} workers"])


if __name__ == "__main__":
    main()
