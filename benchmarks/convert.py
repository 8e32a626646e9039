"""Makes the .npz and .json files that benchmarks/forecasts/real_curves.py reads from public sources, or from anyone's table.

    pip download --no-deps --no-binary :all: lcdb==0.1.0 && tar xzf lcdb-0.1.0.tar.gz
    python benchmarks/convert.py lcdb lcdb-0.1.0/lcdb/database-accuracy.csv DIR/lcdb10_accuracy_mean
    git clone https://github.com/releaunifreiburg/DPL
    python benchmarks/convert.py taskset DPL/data/taskset DIR/taskset_text_valid_loss --pattern 'FixedTextRNN*.json'
    python benchmarks/convert.py table runs.csv DIR/mine --metric "validation accuracy" --direction max

The metric's name matters: benchmarks/curves.py tells from it the bounds a user would name.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

LCDB_METRICS = {"accuracy": "accuracy", "auc": "area under the ROC curve", "f1": "F1 score", "logloss": "log loss"}
SHORTEST = 4  # points; benchmarks leave out more


class Source(NamedTuple):
    """Curves of one source, before padding."""

    curves: list[tuple[np.ndarray, np.ndarray]]  # steps and values of each
    groups: list[str]  # the task of each curve
    about: dict[str, str]  # metric, direction, step_meaning, source


def main() -> None:
    """Reads a source and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, what in (
        ("lcdb", "a database-<metric>.csv"),
        ("taskset", "a folder of .json files"),
        ("table", "a .csv of run, step, value"),
    ):
        one = kinds.add_parser(kind, help=what)
        one.add_argument("input", type=Path, help=what)
        one.add_argument("output", type=Path, help="path of the two files, without their endings")
        if kind == "taskset":
            one.add_argument("--pattern", default="*.json", help="which of the folder's files")
        if kind == "table":
            one.add_argument("--metric", required=True, help="what the values are, in words")
            one.add_argument("--direction", required=True, choices=["min", "max"])
            one.add_argument("--columns", nargs=3, default=["run", "step", "value"], metavar=("RUN", "STEP", "VALUE"))
            one.add_argument("--group", default=None, help="column that names the task of a run; default none")
    options = parser.parse_args()
    if options.kind == "lcdb":
        source = lcdb(options.input)
    elif options.kind == "taskset":
        source = taskset(options.input, options.pattern)
    else:
        source = table(options.input, options.metric, options.direction, options.columns, options.group)
    write(source, options.output)
    print(f"{len(source.curves)} curves of {len(set(source.groups))} groups: {options.output}.npz, {options.output}.json")


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
    rows = pd.read_csv(path, usecols=[*keys, "score_valid"])
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
    }
    return Source(curves, groups, about)


def taskset(folder: Path, pattern: str = "*.json") -> Source:
    """TaskSet (Metz et al. 2020) as in DPL's repository: per file a list of runs with ``run["valid"]["loss"]``; no step column.

    Args:
        folder: ``data/taskset`` of github.com/releaunifreiburg/DPL.
        pattern: which of its files; a file is a group.
    """
    curves, groups = [], []
    for path in sorted(folder.glob(pattern)):
        for run in json.loads(path.read_text()):
            values = np.array(run["valid"]["loss"], dtype=float)
            curves.append((np.arange(len(values), dtype=float), values))
            groups.append(path.stem)
    about = {
        "metric": "validation loss",
        "direction": "min",
        "step_meaning": "evaluation from 0 on, every 200 of 10,000 iterations",
        "source": f"github releaunifreiburg/DPL data/taskset/{pattern}",
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


def write(source: Source, path: Path) -> None:
    """Writes <path>.npz and <path>.json: rows padded with NaN on the right, curves shorter than four points left out.

    Infinite values become NaN, that is missing.
    """
    kept = [i for i, (_, values) in enumerate(source.curves) if len(values) >= SHORTEST]
    if not kept:
        raise ValueError(f"expected curves of at least {SHORTEST} points, got none of {len(source.curves)}; check the input")
    steps, values = np.full((2, len(kept), max(len(source.curves[i][0]) for i in kept)), np.nan)
    for row, i in enumerate(kept):
        t, y = source.curves[i]
        steps[row, : len(t)], values[row, : len(y)] = t, np.where(np.isfinite(y), y, np.nan)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not with_suffix, which would cut a name at its last dot.
    np.savez_compressed(f"{path}.npz", values=values, steps=steps, group=np.array([source.groups[i] for i in kept]))
    Path(f"{path}.json").write_text(json.dumps({"name": path.name, **source.about, "n_curves": len(kept)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
