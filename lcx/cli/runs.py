"""``lcx runs PATH``: the runs and metrics in a log or a folder of logs."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lcx.cli import options
from lcx.cli.many_runs import json_line, read_runs
from lcx.readers.table import is_hidden

if TYPE_CHECKING:
    import pandas as pd


def runs(
    path: options.Logs,
    format: options.Format = None,
    all_metrics: Annotated[bool, typer.Option("--all", help="List learning rates, times, counters and the like too.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """List the runs and metrics in a log or a folder of logs.

    Print a row per metric of each run: number of points, first and last step, and the last, lowest and highest value. Learning rates,
    times, counters and other settings are not listed unless --all is given.

    \b
      lcx runs lightning_logs/
    """
    table, notes = read_runs(path, format)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    names = {str(name) for name in table["metric"].unique()}
    shown = names if all_metrics else {name for name in names if not is_hidden(name)} or names
    hidden = sorted(names - shown)
    listed = table[table["metric"].isin(shown)]
    rows = [_row(str(run), str(metric), curve, table.attrs) for (run, metric), curve in listed.groupby(["run", "metric"])]
    if as_json:
        print(json_line({"runs": rows, "hidden": hidden, "warnings": notes}))
    else:
        print(_text(rows))
        if hidden:
            print(f"{len(hidden)} settings, times or counters not listed: {', '.join(hidden[:5])}{', ...' * (len(hidden) > 5)} (--all)")


def _row(run: str, metric: str, curve: "pd.DataFrame", attrs: dict[str, Any]) -> dict[str, Any]:
    """One metric of one run; whether the lowest or the highest value is the best is never guessed."""
    import numpy as np

    steps, values = curve["step"].to_numpy(float), curve["value"].to_numpy(float)
    return {
        "run": run,
        "metric": metric,
        "points": len(curve),
        "first_step": steps[0].item(),
        "last_step": steps[-1].item(),
        "last": values[-1].item(),
        "lowest": np.fmin.reduce(values).item(),
        "highest": np.fmax.reduce(values).item(),
        **{what: of[run] for what in ("horizon", "state", "mode") if run in (of := attrs.get(what, {}))},
    }


def _text(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    table: Any = pd.DataFrame(rows).rename(columns={"first_step": "from step", "last_step": "to step"})
    for what in {"horizon", "state", "mode"} & set(table.columns):  # some runs may lack them
        table[what] = [f"{x:g}" if isinstance(x, float) else x for x in table[what].astype(object).where(table[what].notna(), "")]
    count = table["run"].nunique()
    shown = table.to_string(index=False, float_format=lambda x: f"{x:.5g}", na_rep="nan", justify="right")
    return f"{count} run{'s' if count > 1 else ''}\n{shown}"
