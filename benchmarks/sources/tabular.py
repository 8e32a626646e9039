"""Sources that are tables: LCDB's databases, and anyone's table of run, step and value."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.sources.files import Source

LCDB_METRICS = {"accuracy": "accuracy", "auc": "area under the ROC curve", "f1": "F1 score", "logloss": "log loss"}


def lcdb(path: Path) -> Source:
    """LCDB (Mohr et al. 2022): per data set and learner the mean of ``score_valid`` over seeds at each training-set size.

    Args:
        path: ``database-accuracy.csv``, ``-auc``, ``-f1`` or ``-logloss`` out of the sdist of the PyPI package lcdb 0.1.0.
    """
    kind = path.stem.rpartition("-")[2]
    if kind not in LCDB_METRICS:
        raise ValueError(
            f"expected database-<metric>.csv with a metric out of {sorted(LCDB_METRICS)}, got {path.name}; keep LCDB's file names"
        )
    keys = ["openmlid", "learner", "size_train"]
    # In single precision: so the means of the curves that were seen were taken, and the digest of these is to the bit.
    rows = pd.read_csv(path, usecols=[*keys, "score_valid"], dtype={"score_valid": "float32"})
    means = pd.DataFrame(rows.groupby(keys, sort=True)["score_valid"].mean()).dropna().reset_index()
    curves, groups = [], []
    for _, curve in means.groupby(["openmlid", "learner"], sort=True):
        curves.append((curve["size_train"].to_numpy(float), curve["score_valid"].to_numpy(float)))
        groups.append(f"openml{curve['openmlid'].iloc[0]}")
    about = {
        "metric": f"validation {LCDB_METRICS[kind]}, mean over the stored seeds",
        "direction": "min" if kind == "logloss" else "max",
        "step_meaning": "training-set size",
        "source": f"PyPI lcdb 0.1.0 sdist, lcdb/{path.name}",
        "licence": "MIT",
        "preprocessing": "mean of score_valid over outer and inner seeds at each size",
    }
    return Source(curves, groups, about)


def table(path: Path, metric: str, direction: str, columns: Sequence[str] = ("run", "step", "value"), group: str | None = None) -> Source:
    """A long table, one row per point in any order; of rows with the same run and step the last counts, as after a restart.

    Args:
        path: a .csv file with a header.
        metric: what the values are, in words.
        direction: "min" or "max".
        columns: names of the columns for run, step and value.
        group: name of the column for a run's task, if there is one.
    """
    run, step, value = columns
    rows = pd.read_csv(path).dropna(subset=[run, step, value]).drop_duplicates([run, step], keep="last").sort_values(step, kind="stable")
    curves, groups = [], []
    for _, curve in rows.groupby(run, sort=False):
        curves.append((curve[step].to_numpy(float), curve[value].to_numpy(float)))
        groups.append("" if group is None else str(curve[group].iloc[0]))
    return Source(curves, groups, {"metric": metric, "direction": direction, "step_meaning": step, "source": path.name})
