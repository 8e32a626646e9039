"""``lcx score curves.parquet out/ --horizon 100 --mode max --shard 3/64``: the ends of millions of curves, as Parquet."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options


def score(
    source: Annotated[Path, typer.Argument(help="Parquet file, or folder of some: a row per curve, columns values, steps, horizon, ...")],
    out: Annotated[Path, typer.Argument(help="Folder of the answers.")],
    shard: Annotated[str, typer.Option(help="i/n: score only the i-th of n equal shares, i from 0.")] = "0/1",
    horizon: Annotated[float | None, typer.Option(help="Last step of the runs, where no column horizon tells it.")] = None,
    mode: Annotated[str | None, typer.Option(help="max or min, where no column mode tells it.")] = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: options.Best = None,
    quantiles: Annotated[str, typer.Option(help="Levels beside the median, separated by commas.")] = "0.05,0.25,0.75,0.95",
    at: Annotated[int, typer.Option(help="Number of steps to predict up to the horizon; 0: only the horizon.")] = 0,
    keep: Annotated[str, typer.Option(help="Columns to hand on, separated by commas.")] = "run",
    model: options.Model = "default",
    device: options.Device = None,
    rows: Annotated[int, typer.Option(help="Curves per part of the output.")] = 1 << 12,
    workers: Annotated[int, typer.Option(help="Processes, each with the model in memory; best one per core.")] = 1,
) -> None:
    """Predicts the end of every curve in Parquet files, in parts; run it again to go on after an interruption.

    The columns are those of lcx.BatchScorer, and row, the number of the curve in the input. Parts are written whole or not at all, and are
    not made twice. In a Slurm array of 64 tasks numbered from 0: lcx score in.parquet out/ --shard $SLURM_ARRAY_TASK_ID/64 ...
    """
    from lcx.scoring import BatchScorer
    from lcx.scoring import score as score_files

    scorer = BatchScorer(
        model=model,
        device=device,
        horizon=horizon,
        mode=mode,
        bounds=(lower, upper),
        best=best,
        quantiles=_levels(quantiles),
        at=at,
        keep=tuple(name.strip() for name in keep.split(",") if name.strip()),
    )
    start = time.perf_counter()
    done = score_files(source, out, scorer, shard=_shard(shard), rows=rows, workers=workers)
    if done.errors:
        print(f"warning: {done.errors} of {done.rows} curves have no answer; column error tells why", file=sys.stderr)
    others = f", {done.missing} parts of other shards are missing" if done.missing else ""
    print(f"{out}: {done.rows} curves in {done.parts} parts, {done.found} of which were there, {time.perf_counter() - start:.1f} s{others}")


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(level) for level in text.split(",") if level.strip())
    except ValueError as error:
        raise ValueError(f"expected --quantiles as numbers separated by commas, got {text!r}; write 0.05,0.95, say") from error


def _shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    try:
        return int(i), int(n)
    except ValueError as error:
        raise ValueError(f"expected --shard as i/n, got {text!r}; write 0/64 for the first of 64 shares") from error
