"""``lcx score curves.parquet out/ --horizon 100 --mode max --shard 3/64``: the ends of millions of curves, as Parquet."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lcx.cli import options

if TYPE_CHECKING:
    from lcx.scoring import Summary


def score(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="Parquet file, or folder of such files: a row per curve, columns values, steps, horizon, ..."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the output.")],
    shard: Annotated[str, typer.Option(help="Score only share i of n, written i/n; i counts from 0.")] = "0/1",
    horizon: Annotated[float | None, typer.Option(help="Last step of the runs. Default: the column horizon.")] = None,
    mode: Annotated[str | None, typer.Option(help="max if larger is better, min if smaller is better. Default: the column mode.")] = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: options.Best = None,
    quantiles: Annotated[str, typer.Option(help="Levels of the quantiles beside the median, separated by commas.")] = "0.05,0.25,0.75,0.95",
    at: Annotated[int, typer.Option(help="Number of steps to predict, evenly spaced up to the horizon; 0: only the horizon.")] = 0,
    keep: Annotated[str, typer.Option(help="Columns of the input to copy to the output, separated by commas.")] = "run",
    model: options.Model = "default",
    device: options.Device = None,
    rows: Annotated[int, typer.Option(help="Number of curves per part of the output.")] = 1 << 12,
    workers: Annotated[int, typer.Option(help="Number of processes, at most one per core; each loads the model.")] = 1,
) -> None:
    """Predict the end of every curve in Parquet files.

    The output has the columns of lcx.BatchScorer, and row, the number of the curve in the input. It is written in parts. After an
    interruption, run the same command again: parts that exist are kept.

    \b
      lcx score curves.parquet out/ --horizon 100 --mode max
      lcx score curves.parquet out/ --horizon 100 --mode max --shard $SLURM_ARRAY_TASK_ID/64
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
    _tell(done, out, time.perf_counter() - start)


def _tell(done: "Summary", out: Path, seconds: float) -> None:
    if done.errors:
        print(f"warning: {done.errors} of {done.rows} curves have no answer; column error tells why", file=sys.stderr)
    others = f", {done.missing} parts of other shards are missing" if done.missing else ""
    print(f"{out}: {done.rows} curves in {done.parts} parts, {done.found} of which were there, {seconds:.1f} s{others}")


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
