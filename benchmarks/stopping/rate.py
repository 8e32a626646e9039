"""Does a limit calibrated on some tasks keep its false-stop rate on others, and what does a decision cost? Part of early_stop.py.

``lcx.replay.false_stops.becoming_best`` gives the scores of the runs that become the best in random orders, and
``lcx.stopping.calibrated_delta`` turns those of some tasks into a limit; on another task, the share of scores at or below it would
have been stopped falsely.
"""

from time import perf_counter, process_time
from typing import Any

import numpy as np

import lcx
from benchmarks.stopping.tasks import family
from lcx.replay.chances import Chances
from lcx.replay.false_stops import becoming_best
from lcx.replay.task import Task
from lcx.stopping.rules import calibrated_delta

RATES = (0.05, 0.1, 0.2)
ORDERS, SEED = 40, 1
ROUNDS = 30


def held_out(told: dict[str, tuple[Task, Chances]]) -> dict[str, Any]:
    """For each rate asked for, the rate on each task with the limit from tasks of other families, and from all other tasks."""
    scores, runs = {}, {}
    for name, (task, chances) in told.items():
        scores[name], runs[name] = becoming_best(task, chances, orders=ORDERS, seed=SEED)
    out: dict[str, Any] = {"pairs": {name: len(x) for name, x in scores.items()}, "runs": runs, "rates": {}}
    for rate in RATES:
        for scheme, near in (("other families", True), ("other tasks", False)):
            rows = {}
            for name, own in scores.items():
                others = [x for other, x in scores.items() if other != name and not (near and family(other) == family(name))]
                if not (len(own) and others):
                    continue
                pooled = np.concatenate(others)
                delta, bound = calibrated_delta(pooled, np.ones(len(pooled), dtype=bool), rate)
                rows[name] = {"delta": delta, "bound": bound, "achieved": float((own <= delta).mean())}
            achieved, distinct = np.array([row["achieved"] for row in rows.values()]), sum(runs[name] for name in rows)
            error = 1.96 * np.sqrt(rate * (1 - rate) / distinct)
            mean = {"achieved": float(achieved.mean()), "distinct_runs": distinct, "limits": [rate - error, rate + error]}
            out["rates"].setdefault(f"{rate:g}", {})[scheme] = mean | {"tasks": rows}
    return out


def cost(models: list[str]) -> dict[str, Any]:
    """Seconds per decision, medians of rounds: one run alone, and each of 100 that report together; 10 to 90 of 100 epochs seen."""
    out: dict[str, Any] = {}
    for model in models:
        generator = np.random.default_rng(SEED)
        alone, many = (lcx.EarlyStopper(100, "min", bounds=(0, None), model=model) for _ in range(2))
        curves = 0.3 + generator.uniform(0.5, 1, (100, 1)) * np.arange(1, 101) ** -generator.uniform(0.2, 1, (100, 1))
        curves = curves + 0.01 * generator.normal(size=curves.shape) ** 2
        alone.update(100, 0.4, run="earlier")
        wall: dict[str, list[float]] = {"one": [], "hundred": []}
        cpu: dict[str, list[float]] = {"one": [], "hundred": []}
        for step in range(1, 91):
            together = {run: (step, y) for run, y in enumerate(curves[:, step - 1].tolist())} if step % 3 == 0 else {}
            for name, stopper, reports in (("one", alone, {0: (step, curves[0, step - 1])}), ("hundred", many, together)):
                begun, used = perf_counter(), process_time()
                stopper.update_many(reports)
                if step >= 10 and reports:
                    wall[name].append((perf_counter() - begun) / len(reports))
                    cpu[name].append((process_time() - used) / len(reports))
        out[model] = {name: {"wall": float(np.median(wall[name])), "cpu": float(np.median(cpu[name]))} for name in wall}
    return out
