"""``lcx runs``: what a log or a folder of logs holds."""

import json
import math
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lcx.readers import FORMATS, read

if TYPE_CHECKING:
    import pandas as pd


def runs(
    path: Annotated[str, typer.Argument(help="Log file or folder; for some formats an address, such as entity/project of wandb.")],
    format: Annotated[str | None, typer.Option(help=f"{', '.join(FORMATS)}; default: recognised.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lists the runs of a log: their metrics, number of points, steps, and last, lowest and highest values."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table: Any = read(path, format)
    sentences = [str(warning.message) for warning in caught if warning.category is UserWarning]
    for sentence in sentences:
        print(f"warning: {' '.join(sentence.split())}", file=sys.stderr)
    rows = [_row(str(run), str(metric), curve, table.attrs) for (run, metric), curve in table.groupby(["run", "metric"])]
    if as_json:
        finite = [{name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()} for row in rows]
        print(json.dumps({"runs": finite, "warnings": sentences}))
    else:
        print(_text(rows))


def _row(run: str, metric: str, curve: "pd.DataFrame", attrs: dict[str, Any]) -> dict[str, Any]:
    """One metric of one run; whether the lowest or the highest value is the best is never guessed."""
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
        **{what: of[run] for what, of in attrs.items() if run in of},
    }


def _text(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    table: Any = pd.DataFrame(rows).rename(columns={"first_step": "from step", "last_step": "to step"})
    for what in {"horizon", "state", "mode"} & set(table.columns):  # some runs may lack them
        table[what] = [f"{x:g}" if isinstance(x, float) else x for x in table[what].astype(object).where(table[what].notna(), "")]
    count = table["run"].nunique()
    shown = table.to_string(index=False, float_format=lambda x: f"{x:.5g}", na_rep="nan", justify="right")
    return f"{count} run{'s' if count > 1 else ''}\n{shown}"
