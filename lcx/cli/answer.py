"""The answer about one curve, as a table, JSON, CSV or picture."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lcx.cli.many_runs import by_name
from lcx.extrapolation import Extrapolation
from lcx.files import write_atomically

_ROWS = 12
_TITLES = {"mean": "mean", "0.05": "5 %", "0.25": "25 %", "0.5": "median", "0.75": "75 %", "0.95": "95 %", "better": "P(better)"}
_PFN = {f"pfn_{level}": f"PFN {_TITLES[level]}" for level in ("0.05", "0.5", "0.95")}


def form_of(as_json: bool, as_csv: bool) -> str:
    """The form of the output: "json", "csv" or "table".

    Raises:
        ValueError: both were asked for.
    """
    if as_json and as_csv:
        raise ValueError("expected one of --json and --csv, got both; drop one")
    return "json" if as_json else "csv" if as_csv else "table"


def print_answer(
    answer: Extrapolation,
    metric: str,
    form: str,
    *,
    best: float | None,
    plot: Path | None,
    pfn: Extrapolation | None = None,
    facts: dict[str, Any] | None = None,
    lines: tuple[str, ...] = (),
    notes: Sequence[str] = (),
    told: Sequence[str] = (),
) -> None:
    """Writes the picture, then prints the warnings and the answer.

    Args:
        answer: of one curve.
        metric: its name.
        form: "json", "csv" or "table".
        best: value to beat.
        plot: where the picture goes.
        pfn: the PFN's answer to the same question, set beside that of MCMC.
        facts: more keys for JSON.
        lines: more lines for the table.
        notes: more warnings, which come first.
        told: what was inferred, to be printed with the warnings.
    """
    table = answer.to_frame().drop(columns="run")
    if best is not None:
        table["better"] = answer.prob_better(best)
    warnings = [*notes, *by_name(answer.warnings, [metric])]
    if pfn is not None:
        table[list(_PFN)] = pfn.to_frame()[[name.removeprefix("pfn_") for name in _PFN]]
        warnings += [f"PFN: {sentence}" for sentence in by_name(pfn.warnings, [metric]) if sentence not in warnings]
    if plot is not None:
        _draw(answer, pfn, plot, best, metric)
    for sentence in [*told, *(f"warning: {sentence}" for sentence in warnings)]:
        print(sentence, file=sys.stderr)
    if form == "json":
        about = {"metric": metric, "mode": answer.mode, "horizon": answer.curves.horizon.item(), "warnings": warnings, **(facts or {})}
        print(json.dumps({**about, "at": table.to_dict("records")}))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        print("\n".join([_text(table, metric, answer), *lines, *([f"fan chart: {plot}"] if plot else [])]))


def _draw(answer: Extrapolation, pfn: Extrapolation | None, plot: Path, best: float | None, metric: str) -> None:
    axes = answer.plot(best=best, metric=metric, label="" if pfn is None else "MCMC ")
    if pfn is not None:
        pfn.overlay(axes, "PFN ")
    figure: Any = axes.figure
    write_atomically(plot, lambda path: figure.savefig(path, dpi=150))


def _text(table: pd.DataFrame, metric: str, answer: Extrapolation) -> str:
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(_ROWS, len(table))).round().astype(int))]
    seen = answer.curves
    count = int(seen.counts[0])
    head = f"{metric}: {count} points up to step {seen.last_step[0]:g}, last {seen.values[0, count - 1]:.4g}; horizon {seen.horizon[0]:g}"
    shown = rows.rename(columns=_TITLES | _PFN).to_string(index=False, float_format=lambda x: f"{x:.4g}", justify="right")
    return head + "\n" + shown
