"""The long table that every reader returns, which columns count steps, and the names of runs."""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pandas as pd

COLUMNS = ("run", "metric", "step", "value")
COUNTERS = ("step", "steps", "global_step", "_step", "iteration", "iterations", "iter", "training_iteration", "current_steps")
COUNTERS += ("total_timesteps", "time/total_timesteps", "timesteps", "totalenvinteracts", "misc/total_timesteps", "num_updates")
COUNTERS += ("epoch", "epochs", "episode", "episodes", "round", "trainer/global_step", "train/global_step", "train/epoch")
COUNTERS += ("tokens", "samples", "size")
TIMES = ("time", "wall_time", "wall time", "timestamp", "_timestamp", "elapsed", "_runtime", "time/time_elapsed", "time_total_s")
RUNS = ("run", "run_id", "run_name")  # columns that name the run of a row
FIXED_NAMES = ("metrics.csv", "results.csv", "progress.csv", "metrics.json", "scalars.json", "monitor.csv", "evaluations.npz")
FIXED_NAMES += ("trainer_state.json", "trainer_log.jsonl", "catboost_training.json")
FIXED_FOLDERS = ("catboost_info", "dvclive", "vis_data")
_MOST = 5  # runs of which repeated steps are named
_SETTINGS = "lr lrs momentum seed config hparams hyperparameters clip_range batch_size weight_decay learning_rate loss_scale pid"
_CLOCKS = "time times timers runtime timestamp elapsed eta seconds sec secs duration per_second per_sec fps wps wpb ups ips mfu tok_s"
_COUNTS = "step steps epoch epochs iter iters iteration iterations timesteps episodes num counters"
_COUNTS += " batch_id batch_idx updates nupdates n_updates consumed_samples samples tokens size total_flos"
_MACHINE = "perf ram cpu gpu memory mem gb mb reader_cost batch_cost"
_HIDDEN = re.compile("_(" + "|".join(" ".join((_SETTINGS, _CLOCKS, _COUNTS, _MACHINE)).split()) + ")_")
_MEASURED = re.compile("_(loss|losses|acc|accuracy|error|reward|return|score|ret|rew)_")  # as train/loss_step and train/loss_epoch are


def is_hidden(metric: str) -> bool:
    """Whether a metric is a learning rate or other setting, a time, a counter or a figure of the machine.

    The table has it; a list of what can be forecast need not show it.

    >>> [name for name in ("val_loss", "lr-Adam", "time/fps", "loss_epoch", "num_updates") if is_hidden(name)]
    ['lr-Adam', 'time/fps', 'num_updates']
    """
    words = f"_{re.sub('[^a-z0-9]+', '_', metric.lower())}_"
    return bool(_HIDDEN.search(words)) and not _MEASURED.search(words.replace("_loss_scale_", "_"))


class Coded(NamedTuple):
    """A column of names: all there are, and which of them each row has. One of pandas costs more than the rows of a small log."""

    codes: "np.ndarray"
    names: list[str]


def long_table(
    frame: Any,
    source: object,
    *,
    zero_based: str = "run",
    attrs: "Mapping[Any, Any] | None" = None,
    line: "Callable[[int], int] | None" = None,
) -> "pd.DataFrame":
    """The table that every reader returns, from points in the order in which they were logged.

    Counters are not metrics and are left out. So are points at steps <= 0, which were measured before the first step. If a step was logged
    more than once, for example after a restart, the last value is kept, and it is said if it is another one.

    Args:
        frame: columns run, metric, step, value and perhaps time: a DataFrame, or a dictionary of arrays and :class:`Coded`.
        source: where the points came from, for the error message.
        zero_based: whether 1 is added to steps that start at 0: "run", to those of that run; "log", to those of the whole log; "never".
        attrs: more about the runs, {what: {run: value}}; kept for the runs of the table.
        line: gives the line of the log in which a point (0, 1, ...) stands, for this warning; without it there is one for each run.

    Returns:
        run and metric (str), step (> 0) and value (may be NaN), sorted by run, metric and step. If the log has times, time in seconds:
        since 1970 if the log has a clock, else since the start of the run.

    Raises:
        ValueError: no point is left.
    """
    import numpy as np
    import pandas as pd

    (run, runs), (metric, metrics) = _coded(frame["run"]), _coded(frame["metric"])
    step, code = np.asarray(frame["step"], float), run * np.int64(max(len(metrics), 1)) + metric
    counts = np.array([name.lower() in COUNTERS for name in metrics], bool)
    kept = np.flatnonzero(np.isfinite(step) & ~counts[metric])
    step, code = step[kept], code[kept]
    if zero_based != "never" and len(step):
        step = step + _starts_at_zero(step, code, np.zeros_like(code) if zero_based == "log" else run[kept])
    order = np.flatnonzero(step > 0)
    if ((np.diff(code[order]) < 0) | (np.diff(code[order]) == 0) & (np.diff(step[order]) <= 0)).any():
        order = order[np.lexsort((step[order], code[order]))]
    code, step, kept = code[order], step[order], kept[order]
    if not len(kept):
        raise ValueError(f"expected metrics with a step > 0, got none in {source}; log at least one value per step")
    again = np.append((code[1:] == code[:-1]) & (step[1:] == step[:-1]), False)
    value = np.asarray(frame["value"], float)[kept]
    if again.any():
        lost = np.flatnonzero(again)
        lost = lost[(value[lost] != value[lost + 1]) & ~np.isnan(value[lost] + value[lost + 1])]  # those that are not the same

        def named(at: int) -> str:
            return f"{metrics[metric[kept[at]]]} at step {step[at]:g}" + (f" in line {line(kept[at])}" if line else "")

        _say_lost(lost, run[kept[lost]], runs if line is None else None, named, source)
    last = kept[~again]
    of = {"run": (runs, run), "metric": (metrics, metric)}
    columns = {name: pd.Series(names, dtype=str).array.take(code[last]) for name, (names, code) in of.items()}
    table = pd.DataFrame({**columns, "step": step[~again], "value": value[~again]})
    if "time" in frame and pd.notna(frame["time"]).any():
        table["time"] = np.asarray(frame["time"])[last]
    there = {runs[each] for each in np.flatnonzero(np.bincount(run[last]))}
    table.attrs = {what: kept for what, of in (attrs or {}).items() if (kept := {run: x for run, x in of.items() if run in there})}
    return table


def _coded(names: Any) -> "tuple[np.ndarray, list[str]]":
    """The names that there are, sorted, and which of them each row has."""
    import numpy as np
    import pandas as pd

    if not isinstance(names, Coded):
        known = names.array if isinstance(names.dtype, pd.CategoricalDtype) else pd.Categorical(names.astype(str))
        names = Coded(known.codes, [str(name) for name in known.categories])
    order = sorted(range(len(names.names)), key=names.names.__getitem__)
    rank = np.empty(len(order) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1
    return rank[names.codes], [names.names[each] for each in order]


def _say_lost(lost: "np.ndarray", run: "np.ndarray", runs: list[str] | None, named: "Callable[[int], str]", source: object) -> None:
    """Says which values are replaced by those after them.

    Args:
        lost: positions of these values.
        run: of each of them.
        runs: their names, for a warning for each run, of the first ones; None for one of all.
        named: describes the value at a position.
        source: the log.
    """
    import numpy as np

    several = [lost] if runs is None else [lost[run == each] for each in np.unique(run)]
    for positions in several[:_MOST] if len(lost) else []:
        shown = ", ".join(map(named, positions[:3].tolist())) + (", ..." if len(positions) > 3 else "")
        count = "a value is" if len(positions) == 1 else f"{len(positions)} values are"
        of = "" if runs is None else f" in {runs[run[lost == positions[0]][0]]}"
        more = f"; so in {len(several) - _MOST} more runs" if positions is several[:_MOST][-1] and len(several) > _MOST else ""
        warnings.warn(f"{source}: {count} followed by another of the same step{of}, which counts: {shown}{more}", stacklevel=5)


def steady(counters: "pd.DataFrame", run: Any) -> str:
    """The first of these columns that does not start again in every epoch, as the number of a batch may do; the first if all do.

    Args:
        counters: numbers in the order in which they were logged, the preferred column first; NaN where nothing was logged.
        run: the run of each row.
    """
    highest: Any = counters.groupby(run, sort=False).cummax().groupby(run, sort=False).ffill().groupby(run, sort=False).shift()
    epochs = [name for name in counters.columns if name.lower() in ("epoch", "epochs")]
    new_epoch = (counters[epochs] > highest[epochs]).any(axis=1)
    return next((name for name in counters.columns if not ((counters[name] < highest[name]) & new_epoch).any()), counters.columns[0])


def _starts_at_zero(step: "np.ndarray", code: "np.ndarray", group: "np.ndarray") -> "np.ndarray":
    """Whether the counter of the group of each point starts at 0. A single value at step 0 beside whole curves is a summary, and ignored.

    Args:
        step: of each point.
        code: of the run and metric of each point.
        group: of what shares a counter, a run or the whole log, for each point.
    """
    import numpy as np
    import pandas as pd

    if not (step == 0).any():
        return np.zeros(len(step), bool)
    steps: Any = pd.Series(step).groupby(code).agg(["min", "max"])
    several = np.isin(code, steps.index[steps["min"] != steps["max"]])
    tells = several | ~np.isin(group, np.unique(group[several]))
    return np.isin(group, np.unique(group[(step == 0) & tells]))


def place(path: Path) -> Path:
    """What names the run of a log: its file or folder, or the folder above it if the tool fixes the name."""
    if not path.is_dir() and path.name not in FIXED_NAMES and "tfevents" not in path.name:
        return path
    folder = path if path.is_dir() else path.parent
    checkpoint = path.name == "trainer_state.json" and "checkpoint" in folder.name
    return folder.parent if checkpoint or folder.name in FIXED_FOLDERS else folder


def run_name(path: Path) -> str:
    """The name of the run in a single log: that of its place."""
    return place(path.resolve()).name


def distinct(names: dict[str, str]) -> dict[str, str]:
    """Names by id. If several runs share a name, their ids are added."""
    count = Counter(names.values())
    return {key: name if count[name] == 1 else f"{name} ({key})" for key, name in names.items()}


def number(value: object) -> float | None:
    """A logged value as a number, also "NaN" and "Infinity" written as text; None if it is not a number."""
    if isinstance(value, str):
        return float(value) if value.lower().lstrip("+-") in ("nan", "inf", "infinity") else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
