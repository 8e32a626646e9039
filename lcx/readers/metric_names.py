"""What the name of a metric says: whether larger is better, and with its values, which limits it cannot pass.

The words and their kinds are in ``metric_names.json``, which the page in the browser reads too. The rules:

1. The parts of a name between slashes are asked in turn, the last first: "rollout/ep_rew_mean", then "rollout".
2. A part is cut into words of letters and digits. A word is known as it stands; else without digits at its end ("map50"); else by a known
   word of four or more letters at its end ("valloss"); else by its pieces between small and capital letters ("AverageEpRet").
3. A part that ends like scikit-learn's scores, losses with the sign turned ("neg_mean_squared_error"), is negated: larger is better, and 0
   is the upper limit. "neg_loss" is not, since the loss of negative examples is called so too.
4. Else a part with an unclear word tells nothing: "loss_scale", "reward_std", "negative_accuracy". No further part is asked.
5. Of several known words, a deciding one tells ("dice_loss", "top5_err"); else the last ("l1_accuracy").

>>> direction_of("metrics/mAP50-95(B)"), direction_of("valid/loss_total"), direction_of("neg_log_loss"), direction_of("ep_len_mean")
('max', 'min', 'max', None)
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

Bounds = tuple[float | None, float | None]


def direction_of(metric: str) -> str | None:
    """Returns "max" if by its name larger is better, "min" if smaller is, None if the name does not tell."""
    kind = _kind(metric)
    return None if kind is None else kind["mode"]


def bounds_of(metric: str, values: Iterable[float]) -> Bounds:
    """Returns the limits (lower, upper) of a metric, None where there is none.

    They are the first range of its kind that holds all values: accuracies and the like lie in [0, 1], else in [0, 100]; losses and errors
    have 0 below unless a value is negative, negated ones 0 above unless one is positive; rewards have no limits, nor has a metric whose
    name tells nothing.

    Args:
        metric: its name.
        values: all that were logged, user's unit, of one run or of several; those that are not finite do not count.
    """
    kind, finite = _kind(metric), [value for value in values if isfinite(value)]
    for lower, upper in kind["ranges"] if kind and finite else ():
        if (lower is None or lower <= min(finite)) and (upper is None or max(finite) <= upper):
            return lower, upper
    return None, None


def _kind(metric: str) -> dict[str, Any] | None:
    """The kind of a metric: its direction, and the ranges it may have."""
    names = _names()
    for part in reversed(metric.split("/")):
        if re.search(names["negated"]["name"], part.lower(), re.ASCII):
            return names["negated"]
        words = [known for word in re.findall(r"[A-Za-z0-9]+", part) for known in _known(word)]
        if any(word in names["unclear"] for word in words):
            return None
        kinds = [word for word in words if word in names["kind"]]
        if kinds:
            return names["kind"][next((word for word in kinds if word in names["deciding"]), kinds[-1])]
    return None


def _known(word: str) -> list[str]:
    """The words of the list that a word of a name holds."""
    known, low = _names()["known"], word.lower()
    for spelling in (low, re.sub(r"[0-9]+$", "", low)):
        if spelling in known:
            return [spelling]
    ending = max((one for one in known if len(one) > 3 and low.endswith(one)), key=len, default=None)
    if ending is not None:
        return [ending]
    pieces = [piece.lower() for piece in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*", word)]
    return [piece for piece in pieces if piece in known]


@lru_cache(maxsize=1)
def _names() -> dict[str, Any]:
    names = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    names["kind"] = {word: kind for kind in names["kinds"].values() for word in kind["words"]}
    names["known"] = {*names["kind"], *names["unclear"]}
    return names
