"""Early stopping on finished runs of real tasks: ``python benchmarks/stopping/early_stop.py --data DIR``.

The experiment of Adriaensen et al. (NeurIPS 2023): the runs of a task come in a random order, one at a time, until 20 times the horizon is
spent; a method may stop a run, which is never resumed (successive halving, Hyperband and top-k-after-1 may, at no cost). Every task
(benchmarks/stopping/tasks.py) and 40 orders. Regret, speed-up and false stops are defined at the top of ``lcx/replay/comparison.py``.
Means are over tasks, intervals are 95 % bootstrap intervals over tasks drawn within families, since tasks of one family
resemble each other.

Every cut-off of every run is predicted once and kept in runs/early_stop/, by a hash of the model's weights and of the task. So is what
was replayed of a task, by the commit, so that the command may be interrupted and goes on. ``--model`` names the models, the default one
first. Results go to benchmarks/stopping/results/early_stop.json, pictures beside it. With ``--hparams DIR`` the further tasks are
replayed instead, for half of the budget, since tuning studies are small: results/early_stop_studies.json. ``--again`` replays the rules
that read the study alone, with the orders stored, and puts their rows in place of those stored: after a change of the reader the others
are what they were.
"""

import argparse
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.intervals import resamples, with_limits
from benchmarks.provenance import ROOT, digest_of_weights, known_result, labelled, provenance, results_of, write_result
from benchmarks.stopping import pictures, rate, tables
from benchmarks.stopping.peers import peers
from benchmarks.stopping.tasks import family, studies, tasks
from lcx.extrapolator import load
from lcx.files import write_atomically, write_text
from lcx.replay.chances import Chances, forecast
from lcx.replay.comparison import Comparison, compare
from lcx.replay.methods import (
    Method,
    asha,
    first_points,
    freeze_thaw,
    hyperband,
    led,
    median_rule,
    no_stopping,
    patience,
    predicted,
    studied,
    successive_halving,
    top_after_first,
)
from lcx.replay.task import Task

ORDERS, BUDGET, SMALL = 40, 20, 10  # of each task; in horizons, and those of the further tasks
KEPT = ROOT / "runs" / "early_stop"
RESAMPLES, SEED = 10_000, 0
SHOWN_RULES = ("0.05", "freeze-thaw", "study 0.05", "study freeze-thaw")  # lines of the pictures
SHOWN = 100  # costs at which the mean regret is written
RIVALS: dict[str, Method] = {
    "no stopping": no_stopping(),
    **{f"patience {k}": patience(k) for k in (1, 5, 10, 20)},
    "median rule": median_rule(),
    "successive halving": successive_halving(),
    "ASHA, eta 3": asha(3),
    "ASHA, eta 4": asha(4),
    "best 10 % after 1": first_points(0.1),
    "Hyperband": hyperband(),
    **{f"top {k} after 1": top_after_first(k) for k in (1, 5, 10)},
}


def label(model: str) -> str:
    """A model's name, also of a folder."""
    return Path(model).name


def rules(model: str) -> dict[str, Method]:
    """The rules that ask a model, by name."""
    limits: dict[str, Method] = {f"lcx:{label(model)} {delta:g}": predicted(delta) for delta in (0.05, 0.01, 0.001)}
    return limits | {f"lcx:{label(model)} led": led(), f"lcx:{label(model)} freeze-thaw": freeze_thaw(model=model, others=False)}


def study_rules(model: str) -> dict[str, Method]:
    """The same with forecasts that read the study."""
    return {f"lcx:{label(model)} study 0.05": studied(0.05, model), f"lcx:{label(model)} study freeze-thaw": freeze_thaw(model=model)}


def main() -> None:
    """Predicts what is not kept yet, replays everything, writes results and pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--model", nargs="*", default=["general", "parametric"], help="names or folders; default general parametric")
    parser.add_argument("--runs", type=int, help="most runs per task, drawn at random; default all. For trying things out")
    parser.add_argument("--note", default="", help="what the table says of the models, such as what they were trained on")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"of the runs of each task; default {ORDERS}")
    parser.add_argument("--hparams", type=Path, help="folder of .npz files of hyperparameters, for the further tasks")
    parser.add_argument("--again", action="store_true", help="replay the rules that read the study alone; the other rows stay as stored")
    parser.add_argument("--workers", type=int, default=1, help="processes; default 1")
    options = parser.parse_args()
    labelled(options.model)  # refuses two of one name
    about, more = provenance(), options.hparams is not None
    name, budget = ("stopping/early_stop_studies", SMALL) if more else ("stopping/early_stop", BUDGET)
    found = studies(options.data, options.hparams, options.runs) if more else tasks(options.data, most=options.runs)
    stored = known_result(name) if options.again else {}
    orders = stored.get("orders", options.orders)
    key = f"{about['commit']}-{options.runs or 'all'}{'-again' * options.again}"
    results = all_replayed(found, options.model, orders, budget, key, options.workers, options.again)
    settings: dict[str, Any] = {"orders": orders, "budget": budget, "models": {model: digest(model) for model in options.model}}
    settings["note"] = options.note
    if options.again:
        results = {task: in_place(stored["tasks"][task], row) for task, row in results.items()}
        settings = stored | {"models": settings["models"], "note": options.note or stored["note"], "again": about}
    methods = list(next(iter(results.values()))["methods"])
    means = {method: over_tasks({task: one["methods"][method] for task, one in results.items()}) for method in methods}
    settings["mean"] = means
    if more:
        write_result(name, {**about, **settings, "tasks": results}, indent=None)
        print(tables.early_stop_studies())
        return
    if not options.again:
        settings["false_stops"] = rate.held_out({task: (runs, kept(task, runs, options.model[0])) for task, runs in found.items()})
    settings["cost"] = rate.cost(options.model)
    write_result(name, {**about, **settings, "tasks": results}, indent=None)
    pictures.draw(results, [f"lcx:{label(options.model[0])} {rule}" for rule in SHOWN_RULES], results_of("stopping"))
    print(tables.early_stop())


def in_place(stored: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A task as stored, with the rows of some methods replaced.

    Raises:
        ValueError: the task, the budget or a method is another one.
    """
    same = ("family", "runs", "points", "budget", "best")
    if any(stored[key] != new[key] for key in same) or not new["methods"].keys() <= stored["methods"].keys():
        raise ValueError(f"expected the task and methods that are stored, got others with {new['methods'].keys()}; leave out --again")
    return stored | {"methods": stored["methods"] | new["methods"]}


def all_replayed(
    found: dict[str, Task], models: list[str], orders: int, budget: int, key: str, workers: int, again: bool
) -> dict[str, Any]:
    """All methods on all tasks, by name; what was done by the same commit is read."""
    folder = KEPT / f"{key}-{orders}-{budget}-{'-'.join(map(digest, models))}"
    paths = {name: folder / f"{name.replace('/', '__')}.json" for name in found}
    left = [name for name, path in paths.items() if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        work = pool.map(partial(replayed, models=models, orders=orders, horizons=budget, again=again), left, [found[name] for name in left])
        for name, row in zip(left, tqdm(work, desc="tasks", unit="task", total=len(left)), strict=True):
            write_text(json.dumps(row), paths[name])
    return {name: json.loads(path.read_text()) for name, path in paths.items()}


def replayed(name: str, task: Task, models: list[str], orders: int, horizons: int, again: bool) -> dict[str, Any]:
    """All methods on one task; ``again``: those that read the study."""
    budget = horizons * float(np.median(task.horizon))
    compared = {} if again else compare(task, RIVALS | peers(models[0]), orders=orders, seed=SEED, budget=budget)
    for model in models:
        if not again:
            compared |= compare(task, rules(model), orders=orders, seed=SEED, budget=budget, chances=kept(name, task, model))
        if load(model, "cpu").reads_others:
            compared |= compare(task, study_rules(model), orders=orders, seed=SEED, budget=budget)
    return {
        "family": family(name),
        "runs": len(task),
        "points": int(task.counts.sum()),
        "budget": budget,
        "best": task.best,
        "unit": next(iter(compared.values())).unit,
        "methods": {method: rounded(one.row()) | {"regret": thinned(one)} for method, one in compared.items()},
    }


def kept(name: str, task: Task, model: str) -> Chances:
    """What a model says about a task, from its file or predicted now."""
    path = KEPT / digest(model) / f"{name.replace('/', '__')}-{digest_of(task)}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        chances = forecast(task, model, progress=True)
        write_atomically(path, lambda temporary: chances.save(Path(temporary)))
    return Chances.load(path)


def digest(model: str) -> str:
    """The first letters of the SHA-256 of a model's weights."""
    return digest_of_weights(model)[:12]


def digest_of(task: Task) -> str:
    """The same of a task."""
    told = repr((task.mode, task.bounds, task.names)).encode()
    return hashlib.sha256(told + b"".join(x.tobytes() for x in (task.values, task.steps, task.horizon))).hexdigest()[:12]


def over_tasks(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Means over tasks with 95 % bootstrap intervals over tasks within families; of speed-ups also the smallest."""
    families = [family(name) for name in rows]
    members = [np.array([i for i, one in enumerate(families) if one == which]) for which in dict.fromkeys(families)]
    chosen = zip(members, resamples(map(len, members), RESAMPLES, SEED), strict=True)
    drawn = np.concatenate([group[indices] for group, indices in chosen], axis=1)
    out: dict[str, Any] = {}
    for key in next(iter(rows.values())):
        if key == "regret":
            continue
        numbers = np.array([row[key] for row in rows.values()], dtype=float)
        out[key] = with_limits(float(np.nanmean(numbers)), np.nanmean(numbers[drawn], 1))
    out["slowest"] = min(float(row["speed_up"]) for row in rows.values())
    would = sum(row["would_be_best"] for row in rows.values())
    out["pooled_false_rate"] = round(sum(row["false_stops"] for row in rows.values()) / would, 4)
    return out


def rounded(row: dict[str, float]) -> dict[str, float]:
    """Numbers of four significant digits."""
    return {name: float(f"{x:.4g}") for name, x in row.items()}


def thinned(one: Comparison) -> list[float]:
    """The mean regret at evenly spaced costs."""
    step = len(one.regret) // SHOWN
    return [round(float(x), 4) for x in one.regret[step - 1 :: step]]


if __name__ == "__main__":
    torch.set_num_threads(1)  # the runs of a batch are many, and the machine may be shared
    main()
