"""The finished runs of a log, as the task of a replay, and of the logs of earlier studies."""

from collections.abc import Sequence
from typing import Any

from lcx.cli.many_runs import read_runs
from lcx.cli.one_curve import shown
from lcx.replay import Task, after_earlier, task_from_table


def finished_runs(table: Any, metric: str, *, horizon: float | None, unfinished: bool, **question: Any) -> tuple[Task, list[str]]:
    """The finished runs, and sentences about the others.

    A run has finished if its next value, a step as long as the last one later, would lie beyond the horizon.
    """
    rows = table[table["metric"] == metric]
    rows.attrs = {}  # which pandas copies for each group
    runs = {run: steps.to_numpy(float) for run, steps in rows.groupby("run", sort=False)["step"]}
    logged, longest = table.attrs.get("horizon", {}), max((steps[-1] for steps in runs.values()), default=0.0)
    ends = {run: logged.get(run, longest) if horizon is None else horizon for run in runs}
    short = [run for run, s in runs.items() if s[-1] < ends[run] and (len(s) < 2 or 2 * s[-1] - s[-2] <= ends[run])]
    notes, without = [], table["run"].nunique() - len(runs)
    if without and runs:
        notes.append(f"{without} run(s) without {metric} left out")
    if short:
        named = ", ".join(f"{run} (step {runs[run][-1]:g} of {ends[run]:g})" for run in short[:5]) + (", ..." if len(short) > 5 else "")
        notes.append(
            f"{len(short)} run(s) end before the horizon and are {'used as far as they go' if unfinished else 'left out'}: {named}"
        )
    kept = len(runs) - (0 if unfinished else len(short))
    if runs and kept < 3:
        came, more = (f" ({notes[-1]})", ", correct the horizon, or use --unfinished") if kept < len(runs) else ("", "")
        raise ValueError(f"expected 3 or more finished runs of {metric}, got {kept}{came}; give the folder of more runs{more}")
    return task_from_table(table if unfinished else table[~table["run"].isin(short)], metric, horizon=horizon, **question), notes


def knowing(task: Task, earlier: Sequence[str], metric: str, format: str | None) -> tuple[Task, list[str], list[str]]:
    """The task once the logs of earlier studies are known, what they hold, a line each, and warnings.

    Args:
        task: the task.
        earlier: paths of logs. Their finished runs count, by the same metric, or by their only one.
        metric: that of the task.
        format: of the logs; None: recognised.

    Raises:
        ValueError: a log or the task has no hyperparameters that differ between runs, or they have none in common, or there are too few
            finished runs. OSError, ImportError: as ``read``.
    """
    if earlier and task.hyperparameters is None:
        raise ValueError("expected hyperparameters that differ between runs beside --earlier, got none in the log; leave --earlier out")
    told, said, notes = [], [], []
    for path in earlier:
        table, warnings = read_runs(path, format)
        metrics = table["metric"].unique().tolist()
        name = metric if metric in metrics or len(metrics) != 1 else metrics[0]
        try:
            one, more = finished_runs(table, name, horizon=None, unfinished=False, mode=task.mode)
        except ValueError as error:
            raise ValueError(f"{shown(path)}: {error}") from error
        if one.hyperparameters is None:
            raise ValueError(f"expected hyperparameters that differ between runs in {shown(path)}, got none; leave this --earlier out")
        told.append(one)
        said.append(f"earlier study: {len(one)} runs of {shown(path)} by {name}")
        notes += [f"{shown(path)}: {sentence}" for sentence in (*warnings, *more)]
    return (after_earlier(task, told) if told else task), said, notes
