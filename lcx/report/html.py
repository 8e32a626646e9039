"""A self-contained HTML page about the runs of a log: predicted final values, which run ends best, which to stop."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from lcx.extrapolation import Extrapolation
from lcx.extrapolator import load
from lcx.report.leaderboard import Standing, standings
from lcx.report.svg import fan, interval
from lcx.stopping.intake import Reports, as_value

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_STYLE = """
:root{color-scheme:light dark;--fg:#1b1b1b;--bg:#fff;--quiet:#666;--line:#d8d8d8;--wide:#dbe7f5;--half:#a9c6e8;--blue:#2a6fbb;
--stop:#b3261e}
@media(prefers-color-scheme:dark){:root{--fg:#e8e8e8;--bg:#15171a;--quiet:#9a9a9a;--line:#3a3d42;--wide:#1e3147;--half:#30547f;
--blue:#86b8f0;--stop:#ff8a80}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1240px;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}h1,li,th[scope=row],figcaption,p{overflow-wrap:anywhere}
ul{padding-left:1.2rem;margin:.3rem 0}.quiet{color:var(--quiet)}.stop{color:var(--stop);font-weight:600}.on{color:var(--blue)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600}th[scope=row],th:nth-child(2),th:nth-child(3),td:nth-child(3){text-align:left}
th[scope=row]{white-space:normal;min-width:9rem}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:6px;padding:.6rem}figcaption,figure p{font-size:.85rem;margin:.2rem 0}
svg{display:block;width:100%;height:auto}svg.bar{width:160px}svg text{font-size:10px;fill:var(--quiet)}
svg *{fill:none;stroke-width:1.4}.wide{fill:var(--wide)}.half{fill:var(--half)}.median{stroke:var(--blue)}.seen{stroke:var(--fg)}
.dots{stroke:var(--fg);stroke-width:3.2;stroke-linecap:round}.beat{stroke:var(--stop);stroke-dasharray:4 3;stroke-width:1}
.axes{stroke:var(--line);stroke-width:1}.bar path{stroke:var(--half);stroke-width:6;stroke-linecap:round}.bar circle{fill:var(--blue)}
"""
DRAWS = 10_000  # standard error of a probability: 0.005 at most
_HOW = f"""
<li>A chart shows the values so far, then the median and its 50 and 90 % bands, on a vertical scale of its own, at whose
edges values far outside are cut off. The dashed line is the value to beat.
<li>Runs are ranked by their final value: the predicted median at the horizon, or the last value of a finished run. The bars share
one scale, that of the better half of the runs.
<li>P(ends best) counts {DRAWS:,} joint draws of the final values (standard error at most 0.5 %). Running runs are drawn from their
predictives, independently given what was seen; finished ones are fixed. Runs without a final value do not compete.
<li>To stop are runs whose probability of being better than the value to beat is at most DELTA at every later step, unless their own
best value is as good.
"""


@dataclass
class _Row:
    """One run; arrays in the user's units."""

    run: Standing
    steps: Float[np.ndarray, "n"]
    values: Float[np.ndarray, "n"]
    ahead: Float[np.ndarray, "A"]  # steps predicted; none if it was not
    bands: Float[np.ndarray, "A L"]  # quantiles at LEVELS
    chance: float = math.nan  # P(ends best)


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
) -> tuple[str, list[Standing]]:
    """Returns an HTML page about the runs of a log, and the standings it shows.

    P(a run ends best) is the share of draws of all final values in which the final value of the run is the best; ties are shared evenly.
    Final values of running runs are drawn from their predictives, independently of each other; those of finished runs, and ``best``, are
    fixed.

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

    Returns:
        The HTML, and the runs, the best final value first.

    Raises:
        ValueError: there is no such metric, no horizon, or an argument breaks a rule above.
    """
    if best is not None and not math.isfinite(best):
        raise ValueError(f"expected best as a finite number, got {best}; leave it out to compare the runs with each other")
    question: Any = {"mode": mode, "bounds": bounds, "model": model, "device": device}
    runs = standings(table, metric, horizon=horizon, delta=delta, min_points=min_points, **question)
    rows, answer = _predicted(table[table["metric"] == metric], runs, **question)
    if best is not None:
        _against(rows, answer, best, delta)
    beaten = _chances(rows, answer, mode, best)
    said = [] if answer is None else _by_name(answer.warnings, [row.run.run for row in rows if len(row.ahead)])
    about = {"metric": metric, "mode": mode, "best": best, "beaten": beaten, "model": str(model), "delta": delta}
    return _page(rows, about, [*notes, *said]), runs


def _by_name(sentences: list[str], names: list[str]) -> list[str]:
    """Warnings that begin with the name of a run instead of the number of its curve."""
    return [re.sub(r"^curve (\d+)", lambda m: names[int(m[1])], sentence) for sentence in sentences]


def _predicted(table: Any, runs: list[Standing], *, mode: str, bounds: Any, model: Any, device: Any) -> tuple[list[_Row], Any]:
    """A row per run, with the fan of those that the standings have predicted, and their extrapolation (None if there are none)."""
    curves, known = {str(run): curve for run, curve in table.groupby("run", sort=False)}, []
    for run in runs:
        known.append(Reports())
        for step, value in zip(*(curves[run.run][name].to_numpy(float) for name in ("step", "value")), strict=True):
            known[-1].add(step, as_value(value), bounds)
    read = [np.array(reports.read).reshape(-1, 2).T for reports in known]
    asked = [i for i, run in enumerate(runs) if run.state == "running" and not math.isnan(run.final)]
    ahead = {i: known[i].ahead(runs[i].horizon) for i in asked}
    answer, bands = None, {}
    if asked:
        (values, steps), at = ([read[i][column] for i in asked] for column in (1, 0)), list(ahead.values())
        answer = load(model, device)(values, steps, at=at, horizon=[runs[i].horizon for i in asked], mode=mode, bounds=bounds)
        bands = {i: fan[: len(ahead[i])] for i, fan in zip(asked, answer.quantile(LEVELS), strict=True)}
    nothing = np.empty(0), np.empty((0, len(LEVELS)))
    return [_Row(run, read[i][0], read[i][1], ahead.get(i, nothing[0]), bands.get(i, nothing[1])) for i, run in enumerate(runs)], answer


def _against(rows: list[_Row], answer: Extrapolation | None, best: float, delta: float) -> None:
    """Judges every run against ``best`` instead of the others."""
    chances = iter([] if answer is None else answer.prob_better(best))
    for row in rows:
        run, run.to_beat, run.stop = row.run, best, False
        if len(row.ahead):
            chance = next(chances)
            i = int(np.nanargmax(chance))
            run.probability = float(chance[i])
            run.reason = f"P(better than {best:.5g}) is at most {run.probability:.2g}, at step {row.ahead[i]:g}"
            holds = answer is not None and (run.best >= best if answer.mode == "max" else run.best <= best)
            run.stop = run.probability <= delta and not holds


def _chances(rows: list[_Row], answer: Extrapolation | None, mode: str, best: float | None) -> float:
    """Fills in P(ends best), and gives the probability that no run beats ``best``."""
    running = [row for row in rows if len(row.ahead)]
    fixed = [row for row in rows if not len(row.ahead) and not math.isnan(row.run.final)]
    draws = [torch.tensor([row.run.final for row in fixed] + ([] if best is None else [best]), dtype=torch.float64).expand(DRAWS, -1)]
    if answer is not None:
        generator, laws = torch.Generator().manual_seed(0), answer.predictive.split(answer.steps_ahead.shape[1])
        draws = [law.split(len(row.ahead))[0].split(1)[-1].sample(DRAWS, generator) for row, law in zip(running, laws, strict=True)] + draws
    ends = torch.cat(draws, 1)
    if not ends.shape[1]:
        return math.nan
    top = ends == (ends.amax(1, keepdim=True) if mode == "max" else ends.amin(1, keepdim=True))
    shares = (top.double() / top.sum(1, keepdim=True)).mean(0).tolist()
    for row, share in zip([*running, *fixed], shares[: len(running) + len(fixed)], strict=True):
        row.chance = share
    return math.nan if best is None else shares[-1]


def _page(rows: list[_Row], about: dict[str, Any], notes: list[str]) -> str:
    """The whole page."""
    states = [row.run.state for row in rows]
    stops = [row.run for row in rows if row.run.stop]
    better = "larger" if about["mode"] == "max" else "smaller"
    counts = f"{len(rows)} run{'s' * (len(rows) > 1)}: {states.count('running')} running, {states.count('finished')} finished, "
    beaten = "" if about["best"] is None else f"<p>P(no run ends better than {about['best']:.5g}): {_percent(about['beaten'])}.</p>"
    said = "".join(f"<li>{_text(note)}</li>" for note in notes)
    return "".join(
        [
            f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{_text(about['metric'])}: {len(rows)} runs</title>",
            "<meta name=viewport content='width=device-width,initial-scale=1'>",
            "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<style>{_STYLE}</style></head><body><h1>{_text(about['metric'])}</h1>",
            f"<p>{better.capitalize()} is better. {counts}{len(stops)} to stop.</p>{beaten}",
            "<h2>What to stop</h2>",
            "<p>Nothing.</p>" if not stops else "<ul>",
            *(f"<li><b>{_text(run.run)}</b> at step {run.step:g} of {run.horizon:g}: {_text(run.reason)}</li>" for run in stops),
            "</ul>" if stops else "",
            f"<h2>Ranking</h2>{_best_first(rows)}<h2>Runs</h2><div class=charts>{''.join(map(_figure, rows))}</div>",
            f"<h2>Warnings</h2><ul>{said}</ul>" if said else "",
            "<h2>How to read this</h2><ul>",
            _HOW.replace("DELTA", f"{about['delta']:g}"),
            f"</ul><p class=quiet>Made {datetime.now().astimezone():%Y-%m-%d %H:%M %Z} by lcx {version('lcx')}, model ",
            f"{_text(about['model'])}.</p></body></html>",
        ]
    )


def _best_first(rows: list[_Row]) -> str:
    ends = np.array([[row.run.low, row.run.final, row.run.high] for row in rows])
    upper = ends[: len(rows) // 2 + 1]  # runs far behind would dwarf the differences of those ahead
    known = upper[~np.isnan(upper)]
    limits = (float(np.quantile(known, 0.05)), float(np.quantile(known, 0.95))) if len(known) else (0.0, 1.0)
    names = ("", "run", "verdict", "step", "last", "best", "final", "90 % interval", "", "P(ends best)")
    body = []
    for i, row in enumerate(rows, 1):
        run = row.run
        cells = [f"{run.step:g}/{run.horizon:g}", *map(_number, (run.last, run.best, run.final))]
        cells += [f"{_number(run.low)} – {_number(run.high)}" if run.low == run.low else ""]
        cells += ["" if math.isnan(run.final) else interval(run.low, run.final, run.high, limits), _percent(row.chance)]
        title = f"<th scope=row>{_text(run.run)}</th><td class={_kind(run)}>{_text(_verdict(run))}</td>"
        body.append(f"<tr><td>{'' if math.isnan(run.final) else i}</td>{title}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th scope=col>{name}</th>" for name in names)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"


def _figure(row: _Row) -> str:
    run = row.run
    said = f"<span class={_kind(run)}>{_text(_verdict(run))}</span>"
    final = f"{_number(run.final)}" + (f" ({_number(run.low)} – {_number(run.high)})" if run.low == run.low else "")
    ends = "" if math.isnan(run.final) else f", final {final}, ends best {_percent(row.chance)}"
    drawn = fan((row.steps, row.values), row.ahead, row.bands, horizon=run.horizon, to_beat=run.to_beat)
    return f"<figure><figcaption><b>{_text(run.run)}</b> {said}{ends}</figcaption>{drawn}<p class=quiet>{_text(run.reason)}</p></figure>"


def _verdict(run: Standing) -> str:
    return run.state if run.state != "running" else "stop" if run.stop else "go on" if run.final == run.final else "wait"


def _kind(run: Standing) -> str:
    return "stop" if run.stop else "quiet" if run.state != "running" else "on"


def _text(words: Any) -> str:
    """Words from outside, harmless in HTML."""
    return escape(str(words).encode(errors="replace").decode())


def _number(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.4g}"


def _percent(p: float) -> str:
    return "" if math.isnan(p) else f"{100 * p:.0f} %" if p > 0.01 or p == 0 else f"{100 * p:.2g} %"
