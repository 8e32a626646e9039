"""Does ``EarlyStopper(false_stops=...)`` keep the rate on studies of other families, and does it help to let some runs end?

``python -m benchmarks.stopping.shares --data DIR --model benchmarks/left_out/general``. Every run of a task, in random orders, is taken
to have been trained to its end; those that become the best give the scores of ``lcx.stopping.false_stops``. A rate is set on all families
but one, each weighing as much as any other, and tried on the runs of that one which come after the first ``WHOLE``: with the share of the
other families, and sharpened by the first ``WHOLE`` runs, as if these had never been at risk. Interrupted, it goes on where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.provenance import digest_of_weights, provenance, read_result, write_result
from benchmarks.stopping import tables
from benchmarks.stopping.tasks import family, tasks
from lcx.replay.task import Task
from lcx.stopping.false_stops import ORDERS, RATES, in_shares, scores_of, sharpened

NAME, SEED = "stopping/false_stops", 1
ASKED = (0.05, 0.1, 0.2)
WHOLE, LONGEST = 20, 60  # runs taken never to have been at risk, and all of an order: few become the best later
GRID = (np.arange(1000) + 0.5) / 1000


def main() -> None:
    """Scores what is left, writes the rates and shows them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--model", required=True, help="name or folder")
    parser.add_argument("--orders", type=int, default=24, help="of the runs of each task; default 24")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, about = lcx.load(options.model, "cpu"), provenance() | {"weights": digest_of_weights(options.model)}
    kept = read_result(NAME) or {}
    scores: dict[str, list[Any]] = kept.get("scores", {}) if kept.get("weights") == about["weights"] else {}
    for name, task in tqdm(tasks(options.data).items(), desc="tasks", unit="task"):
        for order in range(len(scores.setdefault(name, [])), options.orders):
            scores[name].append(scored(model, task, order))
        write_result(NAME, {**about, "orders": options.orders, "scores": scores}, indent=None)
    write_result(NAME, {**about, "orders": options.orders, **rates(scores), "scores": scores}, indent=None)
    print("\n".join(tables.shares()))


def scored(model: lcx.Extrapolator, task: Task, order: int) -> dict[str, Any]:
    """Of one order: places and scores, in shares, of the runs that become the best, and those of random orders of its first runs."""
    generator = np.random.default_rng([SEED, order])
    runs = [int(run) for run in generator.permutation(len(task))[:LONGEST] if np.isfinite(task.peaks[run, -1])]
    curves = [(task.steps[run][seen], task.values[run][seen]) for run in runs for seen in [np.isfinite(task.values[run])]]
    about = {"horizon": float(task.horizon.max()), "mode": task.mode, "bounds": task.bounds}
    chances, before = scores_of(model, curves, **about)
    own = []
    for _ in range(ORDERS):
        own.append(in_shares(*scores_of(model, [curves[i] for i in generator.permutation(min(WHOLE, len(curves)))], **about)))
    found = in_shares(chances, before)
    return {
        "before": before.tolist(),
        "scores": _kept(found),
        "whole": [_kept(one) for one in own],
        "runs": [runs[i] for i in before],
    }


def rates(scores: dict[str, list[Any]]) -> dict[str, Any]:
    """The usual shares, and for each rate asked for what is achieved on each family."""
    members = {which: [row for name, rows in scores.items() if family(name) == which for row in rows] for which in map(family, scores)}
    pooled = {which: np.concatenate([_read(row["scores"]) for row in rows]) for which, rows in members.items()}
    out: dict[str, Any] = {"shares": dict(zip(map(str, RATES), shares(list(pooled.values()), RATES), strict=True)), "rates": {}}
    for asked in ASKED:
        found = {}
        for which, rows in members.items():
            usual = shares([x for other, x in pooled.items() if other != which], RATES)
            late = [_read(row["scores"])[np.array(row["before"]) >= WHOLE] for row in rows]
            limits = [sharpened(asked, [_read(one) for one in row["whole"]], usual) for row in rows]
            plain = float(np.interp(np.log(asked), np.log(RATES), np.log(usual)))
            found[which] = {
                "usual": float((np.concatenate(late) <= np.exp(plain)).mean()),
                "sharpened": float(np.concatenate([x <= limit for x, limit in zip(late, limits, strict=True)]).mean()),
                "all": float((pooled[which] <= np.exp(plain)).mean()),
                "bests": sum(map(len, late)),
            }
        out["rates"][str(asked)] = found
    return out


def shares(families: list[np.ndarray], asked: tuple[float, ...]) -> list[float]:
    """Quantiles of scores, each family of scores weighing as much as any other."""
    pooled = np.concatenate([np.quantile(scores, GRID, method="inverted_cdf") for scores in families])
    return [float(f"{np.quantile(pooled, rate, method='lower'):.4g}") for rate in asked]


def _kept(scores: np.ndarray) -> list[float | None]:
    return [float(f"{x:.4g}") if np.isfinite(x) else None for x in scores]  # JSON has no infinity


def _read(kept: list[float | None]) -> np.ndarray:
    return np.array([np.inf if x is None else x for x in kept])


if __name__ == "__main__":
    main()
