"""``lcx runs PATH``: the runs and metrics in a log or a folder of logs."""

import sys
from typing import Annotated, Any

import typer

from lcx.cli import options
from lcx.cli.many_runs import json_line, read_runs
from lcx.readers.table import is_hidden


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
    rows = _rows(listed)
    if as_json:
        print(json_line({"runs": rows, "hidden": hidden, "warnings": notes}))
    else:
        print(_text(rows))
        if hidden:
            print(f"{len(hidden)} settings, times or counters not listed: {', '.join(hidden[:5])}{', ...' * (len(hidden) > 5)} (--all)")


def _rows(table: Any) -> list[dict[str, Any]]:
    """A row per metric of each run; whether the lowest or the highest value is the best is never guessed."""
    key, attrs = ["run", "metric"], table.attrs
    table.attrs = {}  # which pandas copies for each group
    listed = table.groupby(key).agg(points=("value", "size"), first_step=("step", "first"), last_step=("step", "last"))
    listed["last"] = table.drop_duplicates(key, keep="last").set_index(key)["value"]
    listed[["lowest", "highest"]] = table.groupby(key)["value"].agg(["min", "max"])
    rows = listed.reset_index().to_dict("records")
    told = {what: attrs.get(what, {}) for what in ("horizon", "state", "mode")}
    return [row | {what: of[row["run"]] for what, of in told.items() if row["run"] in of} for row in rows]


def _text(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    table: Any = pd.DataFrame(rows).rename(columns={"first_step": "from step", "last_step": "to step"})
    for what in {"horizon", "state", "mode"} & set(table.columns):  # some runs may lack them
        table[what] = [f"{x:g}" if isinstance(x, float) else x for x in table[what].astype(object).where(table[what].notna(), "")]
    count = table["run"].nunique()
    shown = table.to_string(index=False, float_format=lambda x: f"{x:.5g}", na_rep="nan", justify="right")
    return f"{count} run{'s' if count > 1 else ''}\n{shown}"
