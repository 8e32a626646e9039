"""The scale of many runs: logarithmic over decades, cut where a few lie far off, round ticks; and the bars drawn on it."""

import math
import re

import numpy as np
import pytest

from lcx.report.scale import Scale, fitted
from lcx.report.svg import BAR, interval, ruler

NONE = np.empty(0)


def test_losses_over_decades_are_logarithmic_and_accuracies_are_not():
    losses = np.array([0.12, 0.2, 0.5, 1.0, 2.3])
    scale = fitted(losses, NONE, "min")
    assert scale.log
    places = scale.share(losses)
    assert places[0] > 0
    assert places[-1] < 1
    assert np.diff(places).min() > 0.15
    assert not fitted(np.array([0.05, 0.9, 0.95, 0.99]), NONE, "max").log
    assert not fitted(np.array([-0.1, 0.2, 5.0]), NONE, "min").log


def test_the_slow_half_of_a_sweep_is_told_apart():
    """Ranks 9 to 16 of a finished sweep have a place each."""
    finals = np.array([0.12, 0.13, 0.14, 0.15, 0.24, 0.36, 0.38, 0.43, 0.55, 0.59, 0.66, 1.32, 1.84, 1.93, 2.22, 2.26])
    places = fitted(finals, NONE, "min").share(finals)
    assert places.min() > 0
    assert places.max() < 1
    assert np.diff(places)[8:].min() > 0.005


def test_one_run_far_off_does_not_dwarf_the_rest_and_is_marked():
    finals = np.array([0.8, 0.81, 0.82, 0.83, 0.85, -1e9])
    scale = fitted(finals, NONE, "max")
    assert np.ptp(scale.share(finals[:5])) > 0.2
    assert scale.share(finals)[-1] < 0
    bar = interval(-1e9, -1e9, -1e9, scale)
    assert "cut" in bar
    assert "circle" not in bar
    assert "reach" not in bar
    whole = interval(0.81, 0.82, 0.83, scale)
    assert "cut" not in whole
    assert len(re.findall("cut", interval(-1e9, 0.82, 1e9, scale))) == 2
    for x in re.findall(r"[\d.]+(?=,)|(?<=H)[\d.]+", bar + whole):
        assert 0 <= float(x) <= BAR


@pytest.mark.parametrize(
    "scale", [Scale(0.117, 5.6, True), Scale(1e-6, 3.0, True), Scale(0.2, 0.83), Scale(-3e5, 2e6), Scale(1.01, 1.05, True)]
)
def test_ticks_are_round_and_inside(scale):
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 6
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    assert ruler(scale).count("<text") >= 2
    if scale.high / scale.low > 2 or scale.low < 0:
        assert all(float(f"{tick:.1g}") == pytest.approx(tick, abs=1e-12) for tick in ticks)


def test_nothing_known_and_equal_values_have_a_scale():
    for finals in (NONE, np.array([math.nan]), np.array([0.3, 0.3]), np.array([0.0, 0.0])):
        scale = fitted(finals, NONE, "min")
        assert scale.low < scale.high
        assert scale.ticks()
