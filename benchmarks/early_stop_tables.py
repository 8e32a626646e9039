"""The section on early stopping of benchmarks/README.md, from results/early_stop.json."""

from collections.abc import Callable
from typing import Any

from benchmarks.provenance import ROOT, read_result

PICTURES = ("early_stop.png", "early_stop_tasks.png")


def early_stop(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """Means over tasks, speed-ups per task, the calibrated rate, what a decision costs."""
    result = read_result("early_stop")
    if result is None:
        return None
    tasks = result["tasks"]
    lines = [
        "## Early stopping",
        "",
        f"{len(tasks)} tasks (`benchmarks/early_stop_tasks.py`), {result['orders']} random orders each, a budget of",
        f"{result['budget']} horizons, runs one at a time and not resumable, except under successive halving, Hyperband, top k after 1 and",
        "freeze-thaw, which pause runs and resume them at no cost.",
        "Speed-up: by how many times sooner the mean regret over orders is where no stopping ends; below 1",
        "where it is not within the budget. Regret: (best - best so far) / (best - median over runs of their bests), at most 1. False",
        "stops: share of the runs that would",
        "have become the best that were stopped before. Definitions: `lcx/replay/comparison.py`. Means over tasks; brackets hold 95 %",
        "bootstrap intervals over tasks within families.",
        "",
        "| method | speed-up | slowest task | regret, mean over the budget | at 1/4 | at 1/2 | at the end | false stops |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["mean"].items():
        cells = [spread(row["speed_up"], 2), f"{row['slowest']:.2f}", spread(row["regret_mean"], 3)]
        cells += [f"{row[key][0]:.3f}" for key in ("regret_quarter", "regret_half", "regret_end")]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row['false_rate'][0]:.3f} |")
    lines += ["", *per_task(tasks, "speed_up", "Speed-up", 2), "", *per_task(tasks, "regret_mean", "Mean regret", 3)]
    lines += ["", *(f"![Regret against the budget]({path})" for path in pictures()), "", *rate(result), "", *cost(result)]
    return "\n".join([*lines, "", origin(result)])


def pictures() -> list[str]:
    """Those that were drawn."""
    return [f"results/{name}" for name in PICTURES if (ROOT / "benchmarks" / "results" / name).exists()]


def per_task(tasks: dict[str, Any], key: str, title: str, digits: int) -> list[str]:
    """One number per task and method, tasks by rows."""
    methods = list(next(iter(tasks.values()))["methods"])
    lines = [f"| {title} | runs | " + " | ".join(methods) + " |", "|---" * (len(methods) + 2) + "|"]
    for name, one in tasks.items():
        lines.append(f"| {name} | {one['runs']} | " + " | ".join(f"{one['methods'][m][key]:.{digits}f}" for m in methods) + " |")
    return lines


def rate(result: dict[str, Any]) -> list[str]:
    """Rates of false stops asked for and achieved."""
    told = result["false_stops"]
    lines = [
        "The limit set by `calibrated_delta` on the runs that became best of some tasks, tried on others",
        "(`benchmarks/early_stop_rate.py`); mean over tasks, beside the 95 % binomial limits for as many different runs.",
        "",
        "| asked for | calibrated on | achieved | limits | runs |",
        "|---|---|---|---|---|",
    ]
    for asked, schemes in told["rates"].items():
        for scheme, row in schemes.items():
            low, high = row["limits"]
            lines.append(f"| {asked} | {scheme} | {row['achieved']:.3f} | {max(low, 0):.3f}-{high:.3f} | {row['distinct_runs']} |")
    return lines


def cost(result: dict[str, Any]) -> list[str]:
    """Milliseconds per decision."""
    lines = [
        "Milliseconds per decision on one CPU thread, median (wall time / processor time): one run alone, and per run when 100 report",
        "together (`EarlyStopper.update_many`); 10 to 90 of 100 epochs seen.",
        "",
        "| model | one run | each of 100 |",
        "|---|---|---|",
    ]
    for model, row in result["cost"].items():
        cells = (f"{1e3 * row[name]['wall']:.2f} / {1e3 * row[name]['cpu']:.2f}" for name in ("one", "hundred"))
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return lines


def spread(x: list[float], digits: int) -> str:
    """Mean and interval."""
    return f"{x[0]:.{digits}f} [{x[1]:.{digits}f}, {x[2]:.{digits}f}]"
