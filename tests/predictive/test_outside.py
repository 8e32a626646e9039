"""Mass where the values so far say that such a metric cannot go: told with its share and the bounds that would forbid it."""

import numpy as np
import pytest
import torch

import lcx
from lcx.predictive import Predictive, mass_outside

RISING = 0.9 - 0.6 * np.arange(1, 31) ** -0.5


def normal(*locs, scale=0.1):
    """A standard law per curve: Normal(loc, scale²)."""
    loc = torch.tensor(locs, dtype=torch.float64)[:, None]
    return Predictive(torch.zeros_like(loc), loc, torch.full_like(loc, scale))


@pytest.mark.parametrize(
    ("loc", "values", "mode", "words"),
    [
        (1.0126, [0.5, 0.9], "max", "55 % of the mass at the last step lies outside [0, 1], where no value lies"),
        (0.85, [0.5, 0.9], "max", "7 % of the mass at the last step lies outside [0, 1]"),
        (0.8, [0.5, 0.9], "max", None),  # 2 % above 1
        (1.1, [0.5, 0.9], "min", None),  # a loss below 1 may rise
        (0.0, [0.5, 0.9], "min", "50 % of the mass at the last step lies below 0, where no value lies: "),
        (0.0, [0.5, 0.9], "max", "50 % of the mass at the last step lies outside [0, 1]"),
        (100.0, [50.0, 99.0], "max", "50 % of the mass at the last step lies outside [0, 100]"),
        (100.0, [50.0, 101.0], "max", None),
        (0.0, [0.1, 101.0], "max", "50 % of the mass at the last step lies below 0"),
        (5.0, [-0.1, 0.9], "max", None),
        (-5.0, [-0.1, 0.9], "min", None),
    ],
)
def test_the_share_of_the_mass_outside_the_range_of_the_values(loc, values, mode, words):
    said = mass_outside(normal(loc), torch.tensor([[*values, torch.nan]], dtype=torch.float64), mode)
    assert [words in sentence for sentence in said] == ([] if words is None else [True])


def test_curves_with_the_same_range_share_a_sentence():
    values = torch.tensor([[0.5], [0.6], [20.0], [0.7]], dtype=torch.float64)
    first, second = mass_outside(normal(1.0, 0.5, 100.0, 1.1), values, "max")
    assert first.startswith("curve 0, 3: 50 to 84 % of the mass")
    assert first.endswith("if the metric cannot go there, give bounds=(0, 1)")
    assert second.startswith("curve 2: 50 % of the mass")


def test_an_answer_warns_unless_the_bounds_are_given():
    question = {"horizon": 200, "mode": "max", "device": "cpu"}
    early = 0.97 - 0.9 * np.exp(-np.arange(1, 8) / 6)
    free, bounded = lcx.predict(early, **question), lcx.predict(early, **question, bounds=(0, 1))
    share = 1 - free.cdf(1.0)[-1] + free.cdf(0.0)[-1]
    assert share > 0.05
    assert [s for s in free.warnings if s.startswith(f"curve 0: {100 * share:.0f} % of the mass") and "bounds=(0, 1)" in s]
    assert bounded.warnings == []
    assert lcx.load(device="cpu").backtest(early, horizon=200, mode="max").warnings == []
    both = lcx.predict([early, early[:3]], at=[[20, 200], [20]], **question)
    assert len([s for s in both.warnings if s.startswith("curve 0, 1: ") and "bounds=(0, 1)" in s]) == 1
