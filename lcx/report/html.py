"""A self-contained HTML page about the runs of a log: predicted final values, which run ends best, which to stop and which to resume."""

import base64
import hashlib
import math
import re
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lcx.curves import direction
from lcx.extrapolator import load
from lcx.report.leaderboard import DRAWS, Look, look
from lcx.report.rows import LEVELS, Row, chart, overall, percent, ranking, text
from lcx.report.standing import Standing, counted

if TYPE_CHECKING:
    import pandas as pd

_STYLE, _SCRIPT = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "sort.js"))
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'"
_ENDS_BEST = "P(ends best) is the chance that the final value of a run is the best of all runs here."
_HOW = f"""
<li>A chart shows the values so far, then the median and its 50 and 90 % bands, on a vertical scale of its own, at whose
edges values far outside are cut off. The dashed line is the value to beat.
<li>Runs are ranked by their final value: the predicted median at the horizon, or the last value of a finished run. All bars of the
ranking share one scale; a triangle marks what lies beyond it.
<li>P(ends best) counts {DRAWS:,} joint draws of the final values (standard error at most 0.5 %). Running runs are drawn from their
predictives, independently given what was seen; finished ones are fixed. Runs without a final value do not compete.
<li>To stop are runs whose probability of being better than the value to beat is at most DELTA at every later step, unless their own
best value is as good.
<li>To resume are runs that ended before their horizon and whose probability of being better than the best value of all runs, had they
gone on, is above DELTA at a later step.
"""


def report_html(
    table: "pd.DataFrame",
    metric: str,
    *,
    mode: str,
    horizon: float | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    best: float | None = None,
    delta: float = 0.05,
    min_points: int = 2,
    model: str | Path = "default",
    device: str | None = None,
    notes: tuple[str, ...] = (),
    others: bool = True,
    source: str = "",
) -> tuple[str, list[Standing]]:
    """Returns an HTML page about the runs of a log, and the standings it shows.

    Where forecasts read the other runs, the page shows those of each run alone too, once a box is ticked.

    Args:
        table: as for :func:`lcx.report.standings`.
        metric: name of the metric.
        mode: "max" if larger is better, "min" if smaller is.
        horizon: last step of every run, user's unit; default as for :func:`lcx.report.standings`.
        bounds: limits (lower, upper) that the metric cannot pass.
        best: value that every run has to beat, user's unit; default for each run the best value of the others.
        delta: limit of the stopping rule, < 1.
        min_points: values needed before the first prediction, >= 1.
        model: name of a shipped model, or the folder of a model.
        device: where to compute; default CUDA if there is one.
        notes: sentences to show, such as warnings of the reader.
        others: as for :func:`lcx.report.standings`.
        source: where the log lies, for the title.

    Returns:
        The HTML, and the runs, the best final value first.

    Raises:
        ValueError: there is no such metric, no horizon, or an argument breaks a rule above.
    """
    if best is not None and not math.isfinite(best):
        raise ValueError(f"expected best as a finite number, got {best}; leave it out to compare the runs with each other")
    question: Any = {"mode": mode, "horizon": horizon, "bounds": bounds, "delta": delta, "min_points": min_points, "others": others}
    seen = look(table, metric, **question, model=load(model, device), best=best)
    rows = _rows(seen, both=others and seen.model.reads_others)
    said = [] if seen.answer is None else _by_name(seen.answer.warnings, [seen.runs[i].run for i in seen.asked])
    about = {"metric": metric, "mode": mode, "best": best, "unbeaten": seen.unbeaten, "model": str(model), "delta": delta, "source": source}
    about["read"] = others and seen.model.reads_others and len(seen.runs) > 1
    return _page(rows, about, [*notes, *said]), [row.run for row in rows]


def _by_name(sentences: list[str], names: list[str]) -> list[str]:
    """Warnings that begin with the names of runs instead of the numbers of their curves."""
    return [
        re.sub(r"^curve (\d+(?:, \d+)*)", lambda m: ", ".join(names[int(i)] for i in m[1].split(", ")), sentence) for sentence in sentences
    ]


def _rows(seen: Look, *, both: bool) -> list[Row]:
    """A row per run in the order of their ranks, with the fans of those that are predicted; ``both``: also as each run alone."""
    rows = {}
    for run, reports in zip(seen.runs, seen.known, strict=True):
        steps, values = np.array(reports.read).reshape(-1, 2).T
        rows[run.run] = Row(run, steps, values)
    if seen.answer is not None:
        bands, at = seen.answer.quantile(LEVELS), seen.answer.at
        alone = seen.extrapolated(seen.asked, others=False).quantile((0.05, 0.5, 0.95)) if both and len(seen.runs) > 1 else None
        for k, i in enumerate(seen.asked):
            row, real = rows[seen.runs[i].run], ~np.isnan(at[k])
            row.ahead, row.bands = at[k][real], bands[k][real]
            row.alone = None if alone is None else alone[k][real]
    if seen.resumed is not None:
        for i, ahead, bands in zip(seen.over, seen.resumed.at, seen.resumed.quantile(LEVELS), strict=True):
            if seen.runs[i].resume:
                row, real = rows[seen.runs[i].run], ~np.isnan(ahead)
                row.ahead, row.bands = ahead[real], bands[real]
    return [rows[run.run] for run in seen.ranked]


def _page(rows: list[Row], about: dict[str, Any], notes: list[str]) -> str:
    """The whole page."""
    metric, source, both = text(about["metric"]), text(about["source"]), any(row.alone is not None for row in rows)
    title = f"{metric}: {len(rows)} run{'s' * (len(rows) > 1)}" + (f" of {source}" if source else "")
    box = "<input type=checkbox id=alone> <label for=alone>Show also what each run alone would tell (dotted, and in the ranking)</label>"
    said = "".join(f"<li>{text(note)}</li>" for note in notes)
    now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    read = "Each forecast reads the other runs that have gone further." if about["read"] else "Each forecast reads its own run alone."
    return "".join(
        [
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>",
            "<meta name=viewport content='width=device-width,initial-scale=1'>",
            f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
            f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>",
            f"<p class=quiet>{now}, lcx {version('lcx')}, model {text(about['model'])}. {read}</p>",
            *_summary(rows, about),
            f"<h2>Ranking</h2><p>{_ENDS_BEST}</p>",
            box if both else "",
            f"{ranking(rows, about['mode'])}{_stops(rows)}",
            f"<h2>All runs</h2>{overall(rows, about['mode'])}",
            f"<h2>Each run</h2><div class=charts>{''.join(chart(row, i) for i, row in enumerate(rows, 1))}</div>",
            f"<h2>Warnings</h2><ul>{said}</ul>" if said else "",
            f"<h2>How to read this</h2><ul>{_HOW.replace('DELTA', format(about['delta'], 'g'))}</ul>",
            f"</main><script>{_SCRIPT}</script></body></html>",
        ]
    )


def _summary(rows: list[Row], about: dict[str, Any]) -> list[str]:
    """Counts, compute left, and the chances of the first."""
    runs = [row.run for row in rows]
    running = [run for run in runs if run.state == "running"]
    finished = sum(run.state == "finished" for run in runs)
    left, kept = (sum(run.horizon - run.step for run in some) for some in (running, [run for run in running if not run.stop]))
    better = "Larger" if direction(about["mode"]) > 0 else "Smaller"
    ended = f", {len(runs) - len(running) - finished} ended" if len(runs) > len(running) + finished else ""
    said = [f"<p>{better} is better. {len(running)} running, {finished} finished{ended}; <b>{counted(runs)}</b>."]
    if running:
        said.append(f" {left:,g} steps are left in the running runs, {kept:,g} of them in those not to stop.")
    first = max((run for run in runs if not math.isnan(run.ends_best)), key=lambda run: run.ends_best, default=None)
    if first is not None:
        said.append(f" Likeliest to end best: <b>{text(first.run)}</b>, {percent(first.ends_best)}.")
    said.append("</p>")
    if about["best"] is not None:
        said.append(f"<p>P(no run ends better than {about['best']:.5g}): {percent(about['unbeaten'])}.</p>")
    return said


def _stops(rows: list[Row]) -> str:
    """The runs to stop, and those to resume, and why, folded up."""
    runs = [row.run for row in rows]
    stops, again = [run for run in runs if run.stop], sorted((run for run in runs if run.resume), key=lambda run: -run.probability)
    return (_why(stops, "stop") or "<p>Nothing to stop.</p>") + _why(again, "resume")


def _why(runs: list[Standing], what: str) -> str:
    why = {run.run: run.reason.removeprefix(f"ended at step {run.step:g}; ") for run in runs}
    items = (f"<li><b>{text(run.run)}</b> at step {run.step:g} of {run.horizon:g}: {text(why[run.run])}</li>" for run in runs)
    return f"<details><summary>{len(runs)} to {what}, and why</summary><ul>{''.join(items)}</ul></details>" if runs else ""
