"""Numbers as users give them (lists, arrays, tensors; one row or many) as padded float64. Errors name the argument and the place."""

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class Numbers(NamedTuple):
    """Rows of numbers, and their name in error messages."""

    numbers: np.ndarray  # (rows, length) float64, NaN on the right of short rows
    name: str
    one: bool  # one curve, or a row that serves all: messages name no curve
    flat: bool = False  # a flat array was given
    lengths: np.ndarray = np.empty((0, 1))  # (rows, 1) as given

    def refuse(self, bad: Any, rule: str, advice: str, **beside: np.ndarray) -> None:
        """Raises an error in three parts about the first True of `bad`, (rows, length or 1); it quotes the numbers `beside` that place."""
        if bad.any():
            row, i = divmod(int(bad.argmax()), bad.shape[1])
            came = self.name + (f"[{i}]" if self.numbers.shape[1] > 1 else "") + f" = {self.numbers[row, i]}"
            came += "" if self.one else f" in curve {row}"
            quoted = (f"{key} {np.broadcast_to(array, bad.shape)[row, i]}" for key, array in beside.items())
            raise ValueError(f"Expected {rule}; got {', '.join((came, *quoted)).replace('_', ' ')}. {advice}")


def as_rows(data: Any, name: str) -> Numbers:
    """Numbers from a user, one row per curve."""
    first = data[0] if isinstance(data, (list, tuple)) and data else None
    nested = getattr(first, "ndim", isinstance(first, (list, tuple)))
    parts = [as_floats(row, name, f" in curve {i}") for i, row in enumerate(data)] if nested else [as_floats(data, name)]
    flat = not nested and parts[0].ndim == 1
    parts = list(parts[0]) if not nested and parts[0].ndim == 2 else parts
    shapes = [part.shape for part in parts if part.ndim != 1]
    if shapes or not sum(part.size for part in parts):
        came = f"shape {shapes[0]}" if shapes else "an empty one"
        raise ValueError(f"Expected {name} 1-D, 2-D or a list of 1-D, not empty; got {came}. Give each curve a row.")
    lengths = np.array([[part.size] for part in parts])
    numbers = np.full((len(parts), lengths.max()), np.nan)
    numbers[np.arange(numbers.shape[1]) < lengths] = np.concatenate(parts)
    return Numbers(numbers, name, flat, flat, lengths)


def as_step_rows(data: Any, name: str, curves: Numbers) -> Numbers:
    """Finite steps > 0, strictly increasing up to the padding: one row per curve, or a flat row that serves all."""
    given, count = as_rows(data, name), len(curves.numbers)
    numbers, later = given.numbers, given.numbers[:, 1:]
    if not given.flat and len(numbers) != count:
        raise ValueError(f"Expected {name} for {count} curve(s); got {len(numbers)}. Give one each, or one for all.")
    wrong = np.isinf(numbers) | (numbers <= 0)
    wrong[:, 0] |= np.isnan(numbers[:, 0])
    given.refuse(wrong, f"finite {name} > 0", "Correct it; zero-based counters need 1 added.")
    wrong, advice = ~(later > numbers[:, :-1]) & ~np.isnan(later), "Sort, keep one of each; NaN only at the end."
    given.refuse(wrong, f"{name} strictly increasing", advice, followed_by=later)
    return given._replace(numbers=np.array(np.broadcast_to(numbers, (count, numbers.shape[1]))), one=curves.one)


def as_floats(data: Any, name: str, place: str = "") -> np.ndarray:
    """An array of float64, which may share memory with `data`. None in a list, as in JSON logs, becomes NaN."""
    try:
        if isinstance(data, Tensor):  # numpy has no bfloat16, and refuses tensors with gradients or on other devices
            data = (data.detach().cpu().double() if data.is_floating_point() else data.cpu()).numpy()
        array = np.ma.filled(data.astype(float), np.nan) if isinstance(data, np.ma.MaskedArray) else np.asarray(data)
        if array.dtype.kind == "O" and array.ndim and not any(isinstance(x, (str, bytes, bool)) for x in array.flat):
            array = array.astype(float)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # ragged, or an entry that is not a number: named below
        array = np.empty(0, dtype=object)
    if array.dtype.kind in "fiu":
        return array.astype(np.float64, copy=False)
    entries = data if isinstance(data, (list, tuple)) else array.ravel().tolist()
    odd = [i for i, x in enumerate(entries) if not isinstance(x, (Real, type(None))) or isinstance(x, bool)]
    came = (f"{name}[{odd[0]}] = {entries[odd[0]]!r}" if odd else f"{name} = {data!r}") + place
    raise TypeError(f"Expected {name} as real numbers; got {came}. Give plain numbers; a missing value is NaN.")


def as_pair(pair: Any, name: str, sign: int = 1) -> tuple[float, float]:
    """Bounds (lower, upper), infinite where None; or unit (worst, best), finite, rising if sign is 1 and falling if it is -1."""
    ends, unit = as_floats(pair, name), name == "unit"
    if ends.shape == (2,) and all(math.isfinite(y) or (x is None and not unit) for x, y in zip(pair, ends, strict=True)):
        low, high = np.where(np.isnan(ends), (-math.inf, math.inf), ends)
        if sign * low < sign * high:
            return float(low), float(high)
    rule = f"(worst, best), worst {'<>'[sign < 0]} best for this mode" if unit else "(lower, upper), lower < upper"
    raise ValueError(
        f"Expected {name} as {rule}; got {pair!r}: {name} reversed, equal, not finite or no pair. Write {(0, 1)[::sign]}, say."
    )
