"""One readable scale for the values of many runs: logarithmic where they span decades, and cut where a few lie far from the rest."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_DECADES = {"min": 10, "max": 1000}  # largest by smallest value from which a scale is logarithmic; an accuracy from 0.05 to 1 is not
_FAR = 4  # times the distance from the best to the middle value, beyond which values are cut


@dataclass(frozen=True)
class Scale:
    """From values to [0, 1]."""

    low: float
    high: float
    log: bool = False

    def share(self, y: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The place of values: 0 at ``low``, 1 at ``high``; NaN of NaN."""
        low, high, y = (self._bent(np.asarray(x, dtype=float)) for x in (self.low, self.high, y))
        return np.asarray((y - low) / (high - low))

    def holding(self, low: float, high: float) -> "Scale":
        """The scale, wide enough for two values; of a logarithmic one those > 0."""
        more = [y for y in (low, high) if y > 0 or not self.log]
        return Scale(float(min(self.low, *more, self.high)), float(max(self.high, *more, self.low)), self.log)

    def ticks(self) -> list[float]:
        """Round values inside, some two to six."""
        if self.log:
            least, most = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [m * 10.0**e for e in range(least, most + 1) for m in ((1, 2, 5) if self.high < 1000 * self.low else (1,))]
            found = [y for y in found if self.low <= y <= self.high]
            return found[:: math.ceil(len(found) / 6)] if found else [self.low, self.high]
        rough = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough)
        return [i * step for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]

    def _bent(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(np.maximum(y, 1e-300))) if self.log else y


def fitted(middles: Float[np.ndarray, "n"], more: Float[np.ndarray, "*m"], mode: str) -> Scale:
    """The scale of some runs.

    Args:
        middles: a value of each run, such as its predicted final one.
        more: values shown too, such as the ends of intervals; as many of them as lie within reach of the middles are inside.
        mode: "max" or "min".
    """
    middles, more = middles[np.isfinite(middles)], np.ravel(more)
    more = more[np.isfinite(more)]
    if not len(middles):
        return Scale(0.0, 1.0)
    log = middles.min() > 0 and middles.max() >= _DECADES[mode] * middles.min()
    bent = np.log(middles) if log else middles
    more = np.log(more[more > 0]) if log else more
    middle, best = float(np.median(bent)), float(bent.max() if mode == "max" else bent.min())
    reach = _FAR * abs(best - middle) or float(np.abs(more - middle).max(initial=0)) or 0.05 * max(abs(middle), 1e-6)
    values = np.concatenate([bent, more])
    low, high = max(values.min(), middle - reach), min(values.max(), middle + reach)
    room = 0.02 * (high - low) or reach
    low, high = float(low - room), float(high + room)
    return Scale(math.exp(low), math.exp(high), True) if log else Scale(low, high)
