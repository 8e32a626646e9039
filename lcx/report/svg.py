"""Small fan charts and interval bars as text: inline SVG for pages, a few kB each; colours come from the page's style."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

WIDTH, HEIGHT, LEFT, FOOT = 300, 150, 46, 16  # of a chart, in its own units; room for labels on the left and below
BAR = 160  # width of a bar
_MOST = 120  # observed points drawn
_DOTTED = 40  # up to so many are drawn as dots too


def fan(
    observed: tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]],
    ahead: Float[np.ndarray, "A"],
    bands: Float[np.ndarray, "A 5"],
    *,
    horizon: float,
    to_beat: float,
) -> str:
    """A fan chart: observed values, then the median inside its 50 and 90 % bands.

    Args:
        observed: steps and values seen, user's units, any number.
        ahead: steps predicted; none for observed values alone.
        bands: quantiles at 5, 25, 50, 75 and 95 %.
        horizon: last step of the run.
        to_beat: value of the dashed line, user's unit; NaN for none.

    Returns:
        An SVG element.
    """
    steps, values = _thinned(*observed)
    low, high = _limits(values, bands, to_beat)
    begin, end = min([0.0, *steps[:1]]), max([horizon, *steps[-1:]])

    def points(t: np.ndarray, y: np.ndarray) -> list[str]:
        x = LEFT + (WIDTH - LEFT - 4) * (t - begin) / (end - begin)
        down = (HEIGHT - FOOT) * (1 - (np.clip(y, low, high) - low) / (high - low))
        return [f"{a:.1f},{b:.1f}" for a, b in zip(x, down, strict=True)]

    edge, parts = np.array([begin, end]), []
    if len(ahead):
        for i, name in ((0, "wide"), (1, "half")):
            around = points(np.append(ahead, ahead[::-1]), np.append(bands[:, i], bands[::-1, -1 - i]))
            parts.append(f'<polygon class="{name}" points="{" ".join(around)}"/>')
        parts.append(f'<polyline class="median" points="{" ".join(points(ahead, bands[:, 2]))}"/>')
    if low <= to_beat <= high:
        parts.append(f'<polyline class="beat" points="{" ".join(points(edge, np.full(2, to_beat)))}"/>')
    seen = points(steps, values)
    parts.append(f'<polyline class="seen" points="{" ".join(seen)}"/>')
    if len(seen) <= _DOTTED:
        parts.append(f'<path class="dots" d="{"".join(f"M{point}h0" for point in seen)}"/>')
    parts += _axes((low, high), (begin, end))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


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


def interval(low: float, middle: float, high: float, limits: tuple[float, float]) -> str:
    """A bar from ``low`` to ``high`` with a dot at ``middle``; what lies beyond ``limits`` is cut off. NaN ends give the dot alone."""
    x = (BAR - 12) * (np.array([low, middle, high]) - limits[0]) / ((limits[1] - limits[0]) or 1) + 6
    a, b, c = np.clip(np.where(np.isnan(x), x[1], x), 0, BAR)
    dot = f'<circle cx="{b:.1f}" cy="8" r="3.5"/>' if 0 < b < BAR else ""
    return f'<svg class="bar" viewBox="0 0 {BAR} 16" aria-hidden="true"><path d="M{a:.1f},8H{c:.1f}"/>{dot}</svg>'


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of many points the lowest and the highest of each of 60 stretches, so that spikes stay."""
    if len(values) <= _MOST:
        return steps, values
    edges = np.linspace(0, len(values), _MOST // 2 + 1).astype(int)
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
