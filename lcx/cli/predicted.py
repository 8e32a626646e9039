"""What ``lcx predict`` prints: the rest of one curve, or a row for each of many."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lcx.cli.answer import print_answer
from lcx.cli.choice import best_metric, listed, typed
from lcx.cli.forecasts import Row, forecasts
from lcx.cli.inference import Inferred, told
from lcx.cli.lead import as_sentence, lead
from lcx.cli.many_runs import as_columns, as_text, json_line
from lcx.cli.one_curve import Asked, OneCurve, shown
from lcx.extrapolator import load

_MOST = 40  # rows of several runs times several metrics
_COLUMNS = {"run": "run", "metric": "metric", "mode": "mode", "step": "step", "horizon": "horizon", "last": "last"}
_COLUMNS |= {"final": "final", "low": "5 %", "high": "95 %", "better": "P(better)"}


def predict_one(
    curve: OneCurve, asked: Asked, *, at: str | None, plot: Path | None, form: str, best: float | None, alone: bool, model: str, device: Any
) -> None:
    """Forecasts one curve and prints the answer."""
    extrapolator = load(model, device)
    others = [] if alone or extrapolator.model.reader is None else curve.others
    lines = told([curve.asked])
    if others:
        lines.append(f"reads {len(others)} other run{'s' * (len(others) > 1)} of {shown(asked.path)} too (--alone)")
    answer = extrapolator(**curve.question(at, by_factor=asked.times is not None), others=others or None)
    facts = {"run": curve.run, **curve.asked.facts(), "others": len(others)}
    print_answer(answer, curve.asked.metric, form, best=best, plot=plot, facts=facts, notes=asked.notes + curve.notes, told=lines)


def predict_many(
    table: Any,
    runs: Sequence[str],
    questions: Sequence[Inferred],
    asked: Asked,
    *,
    form: str,
    best: float | None,
    alone: bool,
    model: str,
    device: Any,
) -> None:
    """Forecasts several runs or metrics at their horizons and prints a row for each.

    Raises:
        ValueError: there are too many to choose from, or what is missing is not known of any metric.
    """
    names = [one.metric for one in questions]
    if len(runs) > 1 and len(names) > 1 and len(runs) * len(names) > _MOST:
        command = typed("predict", asked.path, metric=best_metric(names))
        raise ValueError(f"expected one metric of {len(runs)} runs in {shown(asked.path)}, got {listed(names)}; type: {command}")
    having = {one.metric: [run for run in runs if run in set(table["run"][table["metric"] == one.metric])] for one in questions}
    known = [one for one in questions if one.mode is not None and any(run in one.horizons for run in having[one.metric])]
    known = known or [asked.complete(one, having[one.metric]) for one in sorted(questions, key=lambda one: one.mode is None)]
    extrapolator = load(model, device)
    alone = alone or extrapolator.model.reader is None
    rows, notes = forecasts(table, runs, known, extrapolator, best=best, alone=alone)
    lines, notes = told(known), asked.notes + notes
    if not alone and table["run"].nunique() > 1:
        lines.append("each run reads the others (--alone)")
    if left := [one.metric for one in questions if one.mode is None]:
        notes.append(f"not forecast: {listed(left)}, whose names do not tell whether larger is better; choose with --metric and --mode")
    endless = [run for one in questions if one.mode is not None for run in having[one.metric] if run not in one.horizons]
    if endless := list(dict.fromkeys(endless)):
        notes.append(f"not forecast: {listed(endless)}, whose last step is not told; give it with --horizon")
    for line in [*lines, *(f"warning: {note}" for note in notes)]:
        print(line, file=sys.stderr)
    compared = asked.times is not None and len(known) == 1 and form != "csv"  # sampling paths takes half a second
    first = lead(table, rows, known[0], extrapolator, alone=alone) if compared else None
    if form == "json":
        facts = {one.metric: one.facts() for one in known}
        answers = [_record(row, best) | facts[row.metric] for row in rows]
        print(json_line({"answers": answers, "warnings": notes, "told": lines} | ({"ahead": first} if first else {})))
        return
    print(_printed(rows, runs, known, form, best))
    if first is not None:
        print(as_sentence(first))


def _printed(rows: list[Row], runs: Any, known: Any, form: str, best: float | None) -> str:
    if form == "csv":
        return pd.DataFrame([_record(row, best) for row in rows]).to_csv(index=False).rstrip("\n")
    names = [name for name in _COLUMNS if (name != "run" or len(runs) > 1) and (name != "metric" or len(known) > 1)]
    names = [name for name in names if name != "better" or best is not None]
    cells = [[_COLUMNS[name] for name in names]]
    for row in rows:
        found = {name: getattr(row, name) for name in names}
        cells.append([x if isinstance(x, str) else f"{x:g}" if name in ("step", "horizon") else as_text(x) for name, x in found.items()])
        if row.state != "running":
            cells[-1][-1 - (best is not None)] = row.state
    return as_columns(cells, {i for i, name in enumerate(names) if name in ("run", "metric", "mode")})


def _record(row: Row, best: float | None) -> dict[str, Any]:
    record = {name: getattr(row, name) for name in ("run", "metric", "mode", "state", "step", "last", "horizon", "final")}
    record |= {"0.05": row.low, "0.5": row.final if row.state == "running" else math.nan, "0.95": row.high}
    return record if best is None else record | {"better": row.better}
