"""The parts of the page that show runs: the ranking, the chart of all runs, and a chart of each."""

import math
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from lcx.report.scale import fitted
from lcx.report.standing import Standing
from lcx.report.svg import fan, interval, overview, ruler

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_BANDED = 6  # runs with a band in the chart of all


@dataclass
class Row:
    """One run; arrays in the user's units."""

    run: Standing
    steps: Float[np.ndarray, "n"]
    values: Float[np.ndarray, "n"]
    ahead: Float[np.ndarray, "A"] = field(default_factory=lambda: np.empty(0))  # steps predicted; none if it was not
    bands: Float[np.ndarray, "A L"] = field(default_factory=lambda: np.empty((0, len(LEVELS))))  # quantiles at LEVELS
    alone: Float[np.ndarray, "A 3"] | None = None  # 5, 50 and 95 % of the forecast that reads no other run


def ranking(rows: list[Row], mode: str) -> str:
    """The table, the best final value first."""
    ends = np.array([[row.run.low, row.run.final, row.run.high] for row in rows]).reshape(-1, 3)
    scale, both = fitted(ends[:, 1], ends[:, [0, 2]], mode), any(row.alone is not None for row in rows)
    names = ["", "run", "verdict", "P(ends best)", "final", ruler(scale), "90 % interval", "best", "last", "step"]
    body = []
    for i, row in enumerate(rows, 1):
        run = row.run
        bar = "" if math.isnan(run.final) else interval(run.low, run.final, run.high, scale)
        cells = [_cell(percent(run.ends_best), run.ends_best), _cell(number(run.final), run.final), f"<td>{bar}</td>"]
        cells += [_cell(_between(run.low, run.high), run.high - run.low), *(_cell(number(x), x) for x in (run.best, run.last))]
        cells.append(_cell(f"{run.step:g}/{run.horizon:g}", run.step))
        if both:
            ended = [math.nan] * 3 if row.alone is None else row.alone[-1].tolist()
            said = "" if math.isnan(ended[1]) else f"{number(ended[1])} ({_between(ended[0], ended[2])})"
            cells.append(_cell(said, ended[1], " class=alone"))
        title = f"<th scope=row><a href='#r{i}'>{text(run.run)}</a></th><td class={kind(run)}>{text(run.verdict)}</td>"
        place = "" if math.isnan(run.final) else i
        body.append(f"<tr{' class=lead' if i == 1 and place else ''}><td>{place}</td>{title}{''.join(cells)}</tr>")
    head = "".join(f"<th scope=col>{name}</th>" for name in names) + ("<th scope=col class=alone>final, alone</th>" if both else "")
    return (
        "<div class=scroll tabindex=0 role=region aria-label=Ranking><table class=sorted>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def overall(rows: list[Row], mode: str) -> str:
    """One chart of all runs."""
    shown = [row for row in rows if len(row.values)]
    if not shown:
        return "<p>No values.</p>"
    finals = np.array([row.run.final if row.run.final == row.run.final else row.values[-1] for row in shown])
    early = np.concatenate([row.values[len(row.values) // 20 :] for row in shown])
    bands = [row.bands[:, [0, 4]].ravel() for row in shown[:_BANDED]]
    scale = fitted(finals, np.concatenate(bands), mode).holding(*np.quantile(early, [0.05, 0.95]))
    lines = []
    for i, row in enumerate(shown):
        lead = i == 0 and row.run.final == row.run.final
        kinds = "first" if lead else "cut" if row.run.stop else "ahead" if len(row.ahead) else "done"
        lines.append((row.steps, row.values, row.ahead, row.bands, kinds))
    end = max(max(row.run.horizon, row.run.step) for row in shown)
    drawn = overview(lines, scale, end=end, name=text(shown[0].run.run), banded=_BANDED)
    log = " The vertical scale is logarithmic." if scale.log else ""
    blue = "of the runs that go on" + (" or should be resumed" if any(row.run.resume for row in shown) else "")
    said = f"Grey: values so far. Blue: medians {blue}, red: of those to stop; 90 % bands of the first {_BANDED}.{log}"
    return f"<figure><figcaption>{said} Bold: <b>{text(shown[0].run.run)}</b>, the first of the ranking.</figcaption>{drawn}</figure>"


def chart(row: Row, i: int) -> str:
    """The chart of the run of rank ``i``, with its verdict and the reason."""
    run, word = row.run, text(row.run.verdict.capitalize())
    final = f": {number(run.final)}" + (f" ({_between(run.low, run.high)})" if run.low == run.low else "")
    ends = "" if math.isnan(run.final) else f"{final}, ends best {percent(run.ends_best).replace(' ', '&nbsp;')}"
    drawn = fan((row.steps, row.values), row.ahead, row.bands, row.alone, horizon=run.horizon, to_beat=run.to_beat)
    why = "" if run.reason == run.state else f": {text(run.reason)}"
    return (
        f"<figure id=r{i}><figcaption><b>{text(run.run)}</b>{ends}</figcaption>{drawn}"
        f"<p><span class={kind(run)}>{word}</span>{why}.</p></figure>"
    )


def kind(run: Standing) -> str:
    """The class of its verdict in the style."""
    return "stop" if run.stop else "on" if run.resume or run.state == "running" else "quiet"


def text(words: Any) -> str:
    """Words from outside, harmless in HTML."""
    return escape(str(words).encode(errors="replace").decode())


def number(x: float) -> str:
    """Four digits; empty where there is none."""
    return "" if math.isnan(x) else f"{x:.4g}"


def percent(p: float) -> str:
    """A probability; empty where there is none."""
    return "" if math.isnan(p) else f"{100 * p:.0f} %" if p > 0.01 or p == 0 else f"{100 * p:.2g} %"


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:.4g} – {high:.4g}"


def _cell(said: str, key: float, more: str = "") -> str:
    """A cell with the number by which it is sorted."""
    return f"<td{more}{'' if math.isnan(key) else f' data-v={key:.6g}'}>{said}</td>"
