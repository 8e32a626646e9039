"""What hyperparameters are worth to early stopping: ``python -m benchmarks.stopping.choosing --data DIR --hparams DIR --model MODEL``.

The tasks and orders of benchmarks/stopping/early_stop.py; here a method knows the hyperparameters of all runs and chooses by them which one
begins next (``lcx.stopping.hyperparameters``), where the tasks have any: TaskSet and AlgoPerf. On the other tasks a method is what it was,
so its rows are those of early_stop.json, whose first orders these are. Packages' schedulers get the same choice as ours.
With ``--earlier`` the other tasks of a family, but for those of the same workload, count as earlier studies of the same hyperparameters.
Results go to benchmarks/stopping/results/choosing.json, or to earlier.json. What was replayed of a task is kept by the commit, so the
command goes on.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.provenance import known_result, provenance, write_result
from benchmarks.stopping import tables
from benchmarks.stopping.early_stop import BUDGET, KEPT, SEED, digest, label, over_tasks, rounded
from benchmarks.stopping.peers import peers
from benchmarks.stopping.tasks import earlier_known, family, tasks
from lcx.files import write_text
from lcx.replay.comparison import compare
from lcx.replay.methods import Method, chosen, freeze_thaw, no_stopping, studied
from lcx.replay.task import Task

PACKAGES = ("Optuna HyperbandPruner", "Ray Tune ASHAScheduler")  # those of the lowest regret and of the largest speed-up


def methods(model: str) -> dict[str, Method]:
    """Methods by their name in early_stop.json, which here choose what begins."""
    plain: dict[str, Method] = {"no stopping": no_stopping()} | {name: x for name, x in peers(model).items() if name in PACKAGES}
    study = f"lcx:{label(model)} study"
    ours: dict[str, Method] = {
        f"{study} 0.05": chosen(studied(0.05, model), model),
        f"{study} freeze-thaw": freeze_thaw(model=model, choose=True),
    }
    return {name: chosen(method) for name, method in plain.items()} | ours


def main() -> None:
    """Replays what is left, writes the results and shows them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--hparams", type=Path, required=True, help="folder of .npz files of hyperparameters")
    parser.add_argument("--model", required=True, help="name or folder, that of early_stop.json")
    parser.add_argument("--earlier", action="store_true", help="the other tasks of the family are known as earlier studies")
    parser.add_argument("--workers", type=int, default=1, help="processes; default 1")
    options = parser.parse_args()
    before, about = known_result("stopping/early_stop"), provenance()
    if options.model not in before["models"] or before["models"][options.model] != digest(options.model):
        raise ValueError(f"expected the model of early_stop.json, {before['models']}, got {options.model}; replay its rules there first")
    found = {name: task for name, task in tasks(options.data, options.hparams).items() if task.hyperparameters is not None}
    what, found = ("earlier", earlier_known(found)) if options.earlier else ("choosing", found)
    folder = KEPT / f"{what}-{about['commit']}-{before['orders']}-{digest(options.model)}"
    paths = {name: folder / f"{name.replace('/', '__')}.json" for name in found}
    left = [name for name, path in paths.items() if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        work = pool.map(partial(replayed, model=options.model, orders=before["orders"]), [found[name] for name in left])
        for name, row in zip(left, tqdm(work, desc="tasks", unit="task", total=len(left)), strict=True):
            write_text(json.dumps(row), paths[name])
    results = {name: json.loads(path.read_text()) for name, path in paths.items()}
    mean = {}
    for method in next(iter(results.values())):
        whole = {name: (results[name] if name in results else one["methods"])[method] for name, one in before["tasks"].items()}
        mean[method] = over_tasks({name: {key: x for key, x in row.items() if key != "regret"} for name, row in whole.items()})
    settings = {"orders": before["orders"], "budget": BUDGET, "families": sorted(set(map(family, results))), "mean": mean}
    write_result(f"stopping/{what}", {**about, **settings, "tasks": results}, indent=None)
    print(tables.choosing(what))


def replayed(task: Task, model: str, orders: int) -> dict[str, Any]:
    """The rows of all methods on one task."""
    budget = BUDGET * float(np.median(task.horizon))
    return {name: rounded(one.row()) for name, one in compare(task, methods(model), orders=orders, seed=SEED, budget=budget).items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
