"""Small fan charts, one chart of all runs, and interval bars as text: inline SVG for pages; colours come from the page's style."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from lcx.report.scale import Scale

WIDTH, HEIGHT, LEFT, FOOT = 300, 150, 46, 16  # of a chart, in its own units; room for labels on the left and below
BAR = 170  # width of a bar
_MOST = 120  # observed points drawn
_DOTTED = 40  # up to so many are drawn as dots too
_BROAD, _TALL = 700, 300  # of the chart of all runs
_FEW = 48  # points of a run drawn there


def fan(
    observed: tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]],
    ahead: Float[np.ndarray, "A"],
    bands: Float[np.ndarray, "A 5"],
    alone: Float[np.ndarray, "A 3"] | None = None,
    *,
    horizon: float,
    to_beat: float,
) -> str:
    """A fan chart: observed values, then the median inside its 50 and 90 % bands.

    Args:
        observed: steps and values seen, user's units, any number.
        ahead: steps predicted; none for observed values alone.
        bands: quantiles at 5, 25, 50, 75 and 95 %.
        alone: quantiles at 5, 50 and 95 % of the forecast that reads no other run, drawn as lines; None for none.
        horizon: last step of the run.
        to_beat: value of the dashed line, user's unit; NaN for none.

    Returns:
        An SVG element.
    """
    steps, values = _thinned(*observed, _MOST)
    low, high = _limits(values, bands, to_beat)
    begin, end = min([0.0, *steps[:1]]), max([horizon, *steps[-1:]])

    def points(t: np.ndarray, y: np.ndarray) -> list[str]:
        x = LEFT + (WIDTH - LEFT - 4) * (t - begin) / (end - begin)
        down = (HEIGHT - FOOT) * (1 - (np.clip(y, low, high) - low) / (high - low))
        return _pairs(x, down)

    edge, parts = np.array([begin, end]), []
    if len(ahead):
        for i, name in ((0, "wide"), (1, "half")):
            around = points(np.append(ahead, ahead[::-1]), np.append(bands[:, i], bands[::-1, -1 - i]))
            parts.append(f'<polygon class="{name}" points="{" ".join(around)}"/>')
        parts.append(f'<polyline class="median" points="{" ".join(points(ahead, bands[:, 2]))}"/>')
        for line in () if alone is None else alone.T:
            parts.append(f'<polyline class="alone" points="{" ".join(points(ahead, line))}"/>')
    if low <= to_beat <= high:
        parts.append(f'<polyline class="beat" points="{" ".join(points(edge, np.full(2, to_beat)))}"/>')
    seen = points(steps, values)
    parts.append(f'<polyline class="seen" points="{" ".join(seen)}"/>')
    if len(seen) <= _DOTTED:
        parts.append(f'<path class="dots" d="{"".join(f"M{point}h0" for point in seen)}"/>')
    parts += _axes((low, high), (begin, end))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def overview(
    runs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]],
    scale: Scale,
    *,
    end: float,
    name: str,
    banded: int,
) -> str:
    """All runs in one chart: values so far and medians, with 90 % bands of the first few.

    Args:
        runs: steps and values seen, steps predicted, quantiles as for :func:`fan`, and classes of the lines; the leader first.
        scale: of the values; what lies outside is cut off at the edge.
        end: last step of the longest run.
        name: of the leader, as text of the page.
        banded: number of runs that get a band.
    """
    right, floor = _BROAD - 8, _TALL - 22

    def points(t: np.ndarray, y: np.ndarray) -> str:
        share = scale.share(y).clip(0, 1)
        return " ".join(_pairs(60 + (right - 60) * t / end, floor - (floor - 8) * share))

    parts = [
        f'<polygon class="wide" points="{points(np.append(ahead, ahead[::-1]), np.append(bands[:, 0], bands[::-1, 4]))}"/>'
        for _, _, ahead, bands, _ in runs[:banded]
        if len(ahead)
    ]
    for steps, values, ahead, bands, kind in reversed(runs):  # the leader on top
        t, y = _thinned(steps, values, _FEW)
        parts.append(f'<polyline class="seen {kind}" points="{points(t, y)}"/>')
        if len(ahead):
            parts.append(f'<polyline class="median {kind}" points="{points(np.append(t[-1:], ahead), np.append(y[-1:], bands[:, 2]))}"/>')
    for tick in scale.ticks():
        at = floor - (floor - 8) * float(scale.share(np.array(tick)))
        parts.append(f'<text x="54" y="{at + 3:.0f}" text-anchor="end">{tick:.4g}</text><path class="axes" d="M56,{at:.1f}h4"/>')
    parts.append(f'<path class="axes" d="M60,8V{floor}H{right}"/><text x="60" y="{_TALL - 6}">0</text>')
    parts.append(f'<text x="{right}" y="{_TALL - 6}" text-anchor="end">{end:g}</text>')
    if runs:
        last = np.append(runs[0][1][-1:], runs[0][3][-1:, 2])[-1:]
        at = floor - (floor - 8) * float(scale.share(last).clip(0, 1)[0]) if len(last) else 20
        parts.append(f'<text class="name" x="{right - 4}" y="{max(18, at - 7):.0f}" text-anchor="end">{name}</text>')
    return f'<svg class="all" viewBox="0 0 {_BROAD} {_TALL}" aria-hidden="true">{"".join(parts)}</svg>'


def _axes(values: tuple[float, float], steps: tuple[float, float]) -> list[str]:
    """Both axes, with a number at either end."""
    floor = HEIGHT - FOOT
    labels = [
        (LEFT - 4, 9, "end", values[1]),
        (LEFT - 4, floor, "end", values[0]),
        (LEFT, HEIGHT - 4, "start", steps[0]),
        (WIDTH - 4, HEIGHT - 4, "end", steps[1]),
    ]
    texts = [f'<text x="{x}" y="{y}" text-anchor="{anchor}">{number:.3g}</text>' for x, y, anchor, number in labels]
    return [f'<path class="axes" d="M{LEFT},0V{floor}H{WIDTH - 4}"/>', *texts]


def interval(low: float, middle: float, high: float, scale: Scale) -> str:
    """A bar from ``low`` to ``high`` with a dot at ``middle``, and a triangle at an end where it is cut. NaN ends give the dot alone."""
    x = 10 + (BAR - 20) * scale.share(np.array([low, middle, high]))
    a, b, c = np.where(np.isnan(x), x[1], x)
    parts = []
    if c >= 10 and a <= BAR - 10:
        parts.append(f'<path class="reach" d="M{max(a, 10):.1f},8H{min(c, BAR - 10):.1f}"/>')
    if 9 <= b <= BAR - 9:
        parts.append(f'<circle cx="{b:.1f}" cy="8" r="3.5"/>')
    if a < 9:
        parts.append('<path class="cut" d="M6,4L1,8L6,12z"/>')
    if c > BAR - 9:
        parts.append(f'<path class="cut" d="M{BAR - 6},4l5,4l-5,4z"/>')
    return f'<svg class="bar" viewBox="0 0 {BAR} 16" aria-hidden="true">{"".join(parts)}</svg>'


def ruler(scale: Scale) -> str:
    """The numbers above a column of bars."""
    ticks, parts, free = scale.ticks(), [], -99.0
    for tick, share in zip(ticks, scale.share(np.array(ticks)), strict=True):
        x, room = 10 + (BAR - 20) * float(share), 6 * len(f"{tick:.3g}")
        if x - room / 2 > free:
            parts.append(f'<text x="{min(max(x, room / 2), BAR - room / 2):.1f}" y="9" text-anchor="middle">{tick:.3g}</text>')
            parts.append(f'<path class="axes" d="M{x:.1f},12v4"/>')
            free = x + room / 2
    return f'<svg class="bar" viewBox="0 0 {BAR} 16" aria-hidden="true">{"".join(parts)}</svg>'


def _pairs(x: np.ndarray, y: np.ndarray) -> list[str]:
    return [f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def _thinned(steps: np.ndarray, values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Of many points the lowest and the highest of each of ``most`` / 2 stretches, so that spikes stay."""
    if len(values) <= most:
        return steps, values
    edges = np.linspace(0, len(values), most // 2 + 1).astype(int)
    kept = {a + int(end(values[a:b])) for a, b in pairwise(edges) for end in (np.argmin, np.argmax)}
    kept = sorted({0, *kept, len(values) - 1})
    return steps[kept], values[kept]


def _limits(values: np.ndarray, bands: np.ndarray, to_beat: float) -> tuple[float, float]:
    """The vertical range: bulk of the values, median and inner band; other values, outer band and line as far as they fit beside."""
    core = np.concatenate([np.quantile(values, [0.1, 0.9]) if len(values) else [], values[-1:], bands[:, 1:4].ravel()])
    if not len(core):
        return 0.0, 1.0
    low, high = core.min(), core.max()
    room = 0.5 * (high - low) or 0.05 * max(abs(high), 1e-6)
    more = np.concatenate([values, bands[:, 0], bands[:, 4], [] if np.isnan(to_beat) else [to_beat]])
    low, high = max(low - room, min(low, more.min())), min(high + room, max(high, more.max()))
    margin = 0.04 * (high - low) or room
    return float(low - margin), float(high + margin)
