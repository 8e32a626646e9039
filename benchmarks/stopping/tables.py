"""The section on early stopping of benchmarks/README.md, from results/early_stop.json."""

from typing import Any

import numpy as np

from benchmarks.markdown import table, with_interval
from benchmarks.provenance import origin, read_result, results_of

EARLIER = [
    "As in the section before, and the other tasks of the family, but for those of the same workload, are known as earlier studies",
    "(`lcx.stopping.with_earlier_studies`). All tasks of TaskSet have the same 1,000 settings, the workloads of AlgoPerf",
    "mostly the same submissions.",
]
PICTURES = ("early_stop.png", "early_stop_tasks.png")


def early_stop() -> str | None:
    """Means over tasks, speed-ups per task, the calibrated rate, what a decision costs."""
    result = read_result("stopping/early_stop")
    if result is None:
        return None
    tasks = result["tasks"]
    lines = [
        "## Early stopping",
        "",
        f"{len(tasks)} tasks (`benchmarks/stopping/tasks.py`), {result['orders']} random orders each, a budget of",
        f"{result['budget']} horizons, runs one at a time and not resumable, except under successive halving, Hyperband, top k after 1 and",
        "freeze-thaw, which pause runs and resume them at no cost.",
        "Speed-up: by how many times sooner the mean regret over orders is where no stopping ends; below 1",
        "where it is not within the budget. Regret: (best - best so far) / (best - median over runs of their bests), at most 1. False",
        "stops: share of the runs that would",
        "have become the best that were stopped before. Definitions: `lcx/replay/comparison.py`. Means over tasks; brackets hold 95 %",
        "bootstrap intervals over tasks within families. Forecasts of methods named `study` read the runs seen by then.",
        *([result["note"]] if result.get("note") else []),
        "",
        *table(
            "| method | speed-up | slowest task | regret, mean over the budget | at 1/4 | at 1/2 | at the end | false stops |",
            ([name, *mean(row)] for name, row in result["mean"].items()),
        ),
        "",
        beaten(tasks),
        "",
        *per_task(tasks, "speed_up", "Speed-up", 2),
        "",
        *per_task(tasks, "regret_mean", "Mean regret", 3),
        "",
        *(f"![Regret against the budget](stopping/results/{name})" for name in PICTURES if (results_of("stopping") / name).exists()),
    ]
    return "\n".join([*lines, "", *rate(result), "", *shares(), "", *cost(result), "", *origins(result)])


def early_stop_studies() -> str | None:
    """Means over the further tasks, by family."""
    result = read_result("stopping/early_stop_studies")
    if result is None:
        return None
    tasks, families = result["tasks"], list(dict.fromkeys(one["family"] for one in result["tasks"].values()))
    sizes = " and ".join(f"{sum(one['family'] == name for one in tasks.values())} of {name}" for name in families)

    def of(name: str, method: str, key: str) -> float:
        return float(np.mean([one["methods"][method][key] for one in tasks.values() if one["family"] == name]))

    return "\n".join(
        [
            "### Tasks chosen later",
            "",
            f"{len(tasks)} more tasks, {sizes}, the latter by submission and workload, never looked at while a rule was made:",
            f"{result['orders']} random orders each, a budget of {result['budget']} horizons. Mean regret over",
            "the budget and speed-up, by family.",
            *([result["note"]] if result.get("note") else []),
            "",
            *table(
                "| method | " + " | ".join(f"{name}: regret | speed-up" for name in families) + " |",
                (
                    [
                        method,
                        *(
                            f"{of(name, method, key):.{digits}f}"
                            for name in families
                            for key, digits in (("regret_mean", 3), ("speed_up", 2))
                        ),
                    ]
                    for method in result["mean"]
                ),
            ),
            "",
            *origins(result),
        ]
    )


def earlier() -> str | None:
    """The same, where earlier studies are known."""
    return choosing("earlier")


def choosing(what: str = "choosing") -> str | None:
    """What methods gain that choose by hyperparameters which run begins."""
    result, before = read_result(f"stopping/{what}"), read_result("stopping/early_stop")
    if result is None or before is None:
        return None
    own = next(name for name in result["mean"] if name.endswith("study freeze-thaw"))
    plain = [name for name in before["mean"] if "lcx:" not in name]
    regrets = {
        name: {method: row["regret_mean"] for method, row in (result["tasks"].get(name) or one["methods"]).items()}
        for name, one in before["tasks"].items()
    }
    against = {f"{name} without": [one["methods"][name]["regret_mean"] for one in before["tasks"].values()] for name in plain}
    against |= {f"{name} with them": [row[name] for row in regrets.values()] for name in result["mean"] if "lcx:" not in name}
    count = {name: sum(row[own] < x for row, x in zip(regrets.values(), rows, strict=True)) for name, rows in against.items()}
    fewest = sorted(count, key=count.__getitem__)[:5]
    return "\n".join(
        [
            "### Runs chosen by their hyperparameters" + (", earlier studies known" if what == "earlier" else ""),
            "",
            *(EARLIER if what == "earlier" else []),
            f"The {len(before['tasks'])} tasks above, {result['orders']} orders. Each method begins the run with the largest expected",
            "improvement by its hyperparameters (`lcx.stopping.hyperparameters`); of what it stopped, lcx goes by the forecast, the others",
            f"by the best value. {len(result['tasks'])} tasks have hyperparameters, those of {' and '.join(result['families'])};",
            "on the rest a method is what it was. Beside it the mean regret with runs begun in a random order, from the table above.",
            "",
            *table(
                "| method | random order: regret | chosen: speed-up | slowest task | regret, mean over the budget | at 1/4 | at 1/2 "
                "| at the end | false stops |",
                ([name, f"{before['mean'][name]['regret_mean'][0]:.3f}", *mean(row)] for name, row in result["mean"].items()),
            ),
            "",
            f"Tasks of {len(regrets)} on which {own} with hyperparameters has the lower regret: at least {count[fewest[0]]} against each "
            f"of {len(count)} methods without lcx ({', '.join(f'{name} {count[name]}' for name in fewest)}).",
            "",
            *table(
                "| Chosen: regret (speed-up) | " + " | ".join(result["mean"]) + " |",
                (
                    [name, *(f"{row[method]['regret_mean']:.3f} ({row[method]['speed_up']:.2f})" for method in result["mean"])]
                    for name, row in result["tasks"].items()
                ),
            ),
            "",
            origin(result),
        ]
    )


def origins(result: dict[str, Any]) -> list[str]:
    """Where the rows come from."""
    again = result.get("again")
    return [origin(result)] if again is None else [f"{origin(result)[:-1]}; the rows of methods named `study` and costs: {origin(again)}"]


def beaten(tasks: dict[str, Any], own: str = "study freeze-thaw") -> str:
    """On how many tasks one of our methods has a lower regret than each method without lcx, and than the best of them."""
    rows = [{name: row["regret_mean"] for name, row in one["methods"].items()} for one in tasks.values()]
    name = next(method for method in rows[0] if method.endswith(own))
    others = [method for method in rows[0] if "lcx:" not in method]
    count = {method: sum(row[name] < row[method] for row in rows) for method in others}
    best = sum(row[name] < min(row[method] for method in others) for row in rows)
    told = ", ".join(f"{method} {n}" for method, n in count.items())
    return (
        f"Tasks of {len(tasks)} on which {name} has the lower regret, against each method by itself: {told}. Against the best of "
        f"these {len(others)} on each task, chosen afterwards: {best}."
    )


def mean(row: dict[str, Any]) -> list[str]:
    """A method's means over tasks."""
    regrets = [f"{row[key][0]:.3f}" for key in ("regret_quarter", "regret_half", "regret_end")]
    asked = [with_interval(row["speed_up"], ".2f"), f"{row['slowest']:.2f}", with_interval(row["regret_mean"], ".3f")]
    return [*asked, *regrets, f"{row['false_rate'][0]:.3f}"]


def per_task(tasks: dict[str, Any], key: str, title: str, digits: int) -> list[str]:
    """One number per task and method, tasks by rows."""
    methods = list(next(iter(tasks.values()))["methods"])
    rows = ([name, one["runs"], *(f"{one['methods'][m][key]:.{digits}f}" for m in methods)] for name, one in tasks.items())
    return table(f"| {title} | runs | " + " | ".join(methods) + " |", rows)


def rate(result: dict[str, Any]) -> list[str]:
    """Rates of false stops asked for and achieved."""
    rows = []
    for asked, schemes in result["false_stops"]["rates"].items():
        for scheme, row in schemes.items():
            low, high = row["limits"]
            rows.append([asked, scheme, f"{row['achieved']:.3f}", f"{max(low, 0):.3f}-{high:.3f}", row["distinct_runs"]])
    return [
        "The limit set by `calibrated_delta` on the runs that became best of some tasks, tried on others",
        "(`benchmarks/stopping/rate.py`); mean over tasks, beside the 95 % binomial limits for as many different runs.",
        "",
        *table("| asked for | calibrated on | achieved | limits | runs |", rows),
    ]


def shares() -> list[str]:
    """Rates of false stops asked for and achieved with the study in view, by families."""
    if (told := read_result("stopping/false_stops")) is None or "rates" not in told:
        return []
    rows = [
        [f"{float(asked):.0%}", which, f"{row['bests']:.0f}", *(f"{row[key]:.1%}" for key in ("all", "usual", "sharpened"))]
        for asked, found in told["rates"].items()
        for which, row in [*found.items(), ("mean", means_of(list(found.values())))]
    ]
    usual = ", ".join(f"{float(rate):.0%}: {share:.4g}" for rate, share in told["shares"].items())
    return [
        f"`EarlyStopper(false_stops=...)`, {told['orders']} orders a task, set on the other families alone: the share stopped of all",
        "runs that become the best, of those after the first 20, and of the same, sharpened by those 20, as if never at risk.",
        f"The shares of 1 / number of runs in `lcx.stopping.false_stops`, from all families alike: {usual}.",
        "",
        *table("| asked for | family | bests after 20 | all | after 20 | sharpened |", rows),
        "",
        origin(told),
    ]


def means_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over families; numbers of runs are summed."""
    return {key: float((sum if key == "bests" else np.mean)([row[key] for row in rows])) for key in rows[0]}


def cost(result: dict[str, Any]) -> list[str]:
    """Milliseconds per decision."""
    rows = (
        [model, *(f"{1e3 * row[name]['wall']:.2f} / {1e3 * row[name]['cpu']:.2f}" for name in ("one", "hundred"))]
        for model, row in result["cost"].items()
    )
    return [
        "Milliseconds per decision on one CPU thread, median (wall time / processor time): one run alone, and per run when 100 report",
        "together (`EarlyStopper.update_many`); 10 to 90 of 100 epochs seen.",
        "",
        *table("| model | one run | each of 100 |", rows),
    ]
