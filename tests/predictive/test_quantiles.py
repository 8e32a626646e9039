"""Quantiles against scipy's brentq on random mixtures, extreme ones among them, and their order in the level."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root_scalar
from scipy.special import ndtr
from torch import Tensor

from lcx.predictive import Predictive

K = 6
UNIT = 1e-9  # of the user's unit, in which all that matters lies: what a quantile may be off
SMALLEST = 1e-250  # mass within the bounds that the reference, which takes no logarithms, can work with
BOUNDS = [(None, None), (0.0, 1.0), (0.0, None), (None, 1.0)]


def random_laws(n: int, seed: int) -> tuple[Predictive, Tensor]:
    """n mixtures about the unit interval and a level for each: overlapping and far apart, wide and all but point masses,
    weights down to 1e-9, levels from 1e-9 to 1 - 1e-9.
    """
    draw = np.random.default_rng(seed)
    spread = 10 ** draw.uniform(-9, 0, (n, 1))
    loc = draw.uniform(-0.3, 1.3, (n, 1)) + spread * draw.normal(size=(n, K))
    scale = 10 ** draw.uniform(-1, 1, (n, K)) * spread * 10 ** (draw.uniform(-6, 0, (n, K)) * draw.integers(0, 2, (n, 1)))
    logits = -np.log(10) * draw.uniform(0, 9, (n, K)) * draw.integers(0, 2, (n, 1))
    tail = 10 ** draw.uniform(-9, np.log10(0.5), n)
    levels = np.where(draw.integers(0, 2, n) == 1, tail, 1 - tail)
    return Predictive(torch.from_numpy(logits), torch.from_numpy(loc), torch.from_numpy(scale)), torch.from_numpy(levels)


def reference(weight: np.ndarray, loc: np.ndarray, scale: np.ndarray, low: float, high: float, p: float) -> tuple[float, float, float]:
    """The p-quantile between the bounds by brentq, what rounding leaves open of it, and the mass within the bounds.

    From the nearer tail, each component's mass from the nearer bound on, as differences of its smaller tails.
    """
    if p > 0.5:
        y, open_, inside = reference(weight, -loc, scale, -high, -low, 1 - p)
        return -y, open_, inside
    alpha, beta = (low - loc) / scale, (high - loc) / scale
    side = np.where(alpha > 0, -1.0, 1.0)
    before = ndtr(side * alpha)

    def mass(y: float) -> float:
        return float(weight @ (side * (ndtr(side * (y - loc) / scale) - before)))

    inside = float(weight @ (side * (ndtr(side * beta) - before)))
    if inside < SMALLEST:
        return np.nan, np.inf, inside
    ends = max(low, (loc - 40 * scale).min()), min(high, (loc + 40 * scale).max())
    limits = {"xtol": 1e-300, "rtol": 4 * np.finfo(float).eps, "maxiter": 500}
    y = root_scalar(lambda y: mass(y) - p * inside, method="brentq", bracket=ends, **limits).root
    density = float(weight @ (np.exp(-0.5 * ((y - loc) / scale) ** 2) / scale)) / np.sqrt(2 * np.pi)
    rounding = 4e-16 * float(weight @ (before * (alpha < 0))) + 4e-15 * p * inside
    return y, rounding / max(density, 1e-300) + 1e-15 * (1 + abs(y)), inside


def check(n: int, seed: int) -> None:
    """Quantiles of n random laws inside each kind of bounds, each law at a level of its own."""
    law, levels = random_laws(n, seed)
    weight, loc, scale = (x.numpy() for x in (torch.softmax(law.logits, -1), law.loc, law.scale))
    for part, (lower, upper) in zip(np.array_split(np.arange(n), len(BOUNDS)), BOUNDS, strict=True):
        ends = tuple(None if x is None else torch.tensor(x, dtype=torch.float64) for x in (lower, upper))
        found = Predictive(law.logits[part], law.loc[part], law.scale[part], ends[0], ends[1]).icdf(levels[part]).numpy()
        low, high = -np.inf if lower is None else lower, np.inf if upper is None else upper
        known = 0
        for i, y in zip(part, found, strict=True):
            want, open_, inside = reference(weight[i], loc[i], scale[i], low, high, levels[i].item())
            if open_ < UNIT / 10:  # elsewhere, as between lumps far apart, the level alone does not tell
                known += 1
                assert abs(y - want) <= UNIT, (i, seed, inside, y, want)
        assert known > 0.6 * len(part)


def test_quantiles_against_brentq():
    check(4000, seed=0)


@pytest.mark.slow  # 4 x 60 s
@pytest.mark.parametrize("seed", range(1, 5))
def test_hundreds_of_thousands_of_quantiles_against_brentq(seed):
    check(100_000, seed)


def test_components_too_narrow_to_be_seen_from_afar_are_not_missed():
    """A normal law with two spikes of scales from 1e-2 to 1e-10 in it: y -> cdf -> quantile leads back to y, in and about a spike."""
    random = np.random.default_rng(0)
    loc, scale, weight = random.uniform(size=(10_000, 3)), 10 ** random.uniform(-10, -2, (10_000, 3)), random.uniform(0.02, 1, (10_000, 3))
    loc[:, 0], scale[:, 0] = 0, 1
    law = Predictive(*map(torch.from_numpy, (np.log(weight), loc, scale)))
    y = torch.from_numpy(loc[:, 1] + 3 * scale[:, 1] * random.normal(size=10_000))
    assert (law.icdf(law.cdf(y)) - y).abs().max() < UNIT


positive = st.floats(-14, 1).map(lambda x: 10.0**x)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    parts=st.lists(st.tuples(st.floats(-30, 0), st.floats(-1, 2), positive), min_size=1, max_size=5),
    levels=st.lists(st.floats(1e-9, 1 - 1e-9), min_size=2, max_size=30),
    gap=st.floats(0, 1e-12),
    cut=st.sampled_from(BOUNDS),
)
def test_quantiles_rise_with_the_level(parts, levels, gap, cut):
    """In any order of the levels, those a rounding apart among them, of laws with point masses and far apart."""
    logits, loc, scale = torch.tensor(parts, dtype=torch.float64).unbind(-1)
    lower, upper = (None if x is None else torch.tensor(x, dtype=torch.float64) for x in cut)
    law = Predictive(logits, loc, scale, lower, upper)
    p = torch.tensor([*levels, *(min(level + gap, 1 - 1e-9) for level in levels)], dtype=torch.float64)
    y = law.icdf(p)
    assert y.isfinite().all()
    assert (y[p.argsort()].diff() >= 0).all()


@pytest.mark.parametrize("level", [1e-9, 1e-6, 0.3])
def test_both_tails_are_mirror_images(level):
    """A law and its mirror image, at p and 1 - p: the same digits but for those that 1 - p has lost."""
    law, _ = random_laws(400, seed=3)
    image = Predictive(law.logits, -law.loc, law.scale)
    p = 1 - (1 - level)  # what is left of it in 1 - p
    torch.testing.assert_close(law.icdf(p), -image.icdf(1 - p), rtol=1e-13, atol=0)
