"""The fan chart shows what it is given: points, median, three bands inside each other, the value to beat."""

import numpy as np
import pytest

import lcx

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

VALUES = 0.9 - 0.6 * np.arange(1, 21) ** -0.7


@pytest.fixture
def axes():
    import matplotlib.pyplot as plt

    yield plt.subplots()[1]
    plt.close("all")


def test_points_median_bands_and_best_are_drawn(axes):
    answer = lcx.predict(VALUES, horizon=100, mode="max", bounds=(0, 1), device="cpu")
    assert answer.plot(axes, best=0.95, metric="accuracy") is axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["observed"].get_ydata(), VALUES)
    np.testing.assert_allclose(lines["median"].get_ydata(), answer.median)
    assert lines["to beat 0.95"].get_ydata()[0] == 0.95
    assert axes.get_ylabel() == "accuracy"
    assert axes.get_xlim()[1] == 100
    for band, low, high in zip(axes.collections, (0.025, 0.1, 0.25), (0.975, 0.9, 0.75), strict=True):
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.min() == pytest.approx(answer.quantile(low).min())
        assert edges.max() == pytest.approx(answer.quantile(high).max())
    low, high = axes.get_ylim()
    assert low < VALUES.min() < 0.95 < high


def test_one_curve_of_a_batch_is_drawn_and_a_wrong_one_refused(axes):
    answer = lcx.predict([VALUES, VALUES[:5]], horizon=100, mode="max", bounds=(0, 1), device="cpu")
    answer.plot(axes, curve=1)
    assert len({line.get_label(): line for line in axes.lines}["observed"].get_ydata()) == 5
    with pytest.raises(ValueError, match="curve=2"):
        answer.plot(axes, curve=2)


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"lcx\[plot\]"):
        lcx.predict(VALUES, horizon=100, mode="max", device="cpu").plot()


def test_another_answer_is_laid_over_as_lines_within_the_limits(axes):
    below = lcx.predict(VALUES, horizon=100, mode="max", bounds=(0, 1), device="cpu")
    above = lcx.predict(VALUES - 0.2, horizon=100, mode="max", bounds=(0, 1), device="cpu")
    below.plot(axes, label="MCMC ")
    above.overlay(axes, "PFN ")
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"MCMC 95 %", "MCMC 80 %", "MCMC 50 %", "MCMC median", "PFN median", "PFN 50/80/95 %", "observed"} == set(shown)
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["MCMC median"], below.median)
    np.testing.assert_allclose(drawn["PFN median"], above.median)
    dashed = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(np.transpose(dashed), above.quantile([0.025, 0.1, 0.25, 0.75, 0.9, 0.975]))
    low, high = axes.get_ylim()
    assert low <= above.quantile(0.1).min() < above.quantile(0.9).max() <= high
    with pytest.raises(ValueError, match="curve=1"):
        above.overlay(axes, "PFN ", curve=1)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([100, 200, 500, 1000, 2000, 5000], True),
        (2.0 ** np.arange(5, 20), True),
        (np.exp(np.random.default_rng(0).uniform(10, 20, 30)), True),
        (np.arange(1, 101), False),
        (np.arange(1000, 51000, 1000), False),
        (np.random.default_rng(0).uniform(1, 100, 40), False),
        ([100, 200], False),
        ([100, 110, 121, 133], False),  # the same factor, but over too small a range to matter
    ],
)
def test_steps_that_grow_by_a_factor_are_told_from_even_ones(steps, expected):
    assert lcx.plots.geometric(np.sort(np.asarray(steps, dtype=float))) is expected


SIZES = 100.0 * 2 ** np.arange(8)


def test_axes_are_logarithmic_where_sizes_double_and_the_error_falls(axes):
    lcx.predict(2 * SIZES**-0.4, SIZES, horizon=10 * SIZES[-1], mode="min", bounds=(0, None), device="cpu").plot(axes)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert (left < SIZES[0], right) == (True, 10 * SIZES[-1])
    assert 0 < low < 2 * SIZES[-1] ** -0.4 < 2 * SIZES[0] ** -0.4 < high


def test_numbers_on_a_logarithmic_axis_leave_room_for_each_other(axes):
    for decades, ticks in ((1.5, [20, 50, 100, 200, 500]), (6, 10.0 ** np.arange(1, 9))):
        sizes = np.geomspace(10**1.1, 10 ** (1.1 + decades), 12)
        lcx.predict(sizes**-0.4, sizes, horizon=2 * sizes[-1], mode="min", device="cpu").plot(axes)
        shown = [x for x in axes.get_xticks() if axes.get_xlim()[0] <= x <= axes.get_xlim()[1]]
        np.testing.assert_allclose(shown, [x for x in ticks if x <= 2 * sizes[-1]])


@pytest.mark.parametrize(("values", "mode"), [(1 - SIZES**-0.3, "max"), (0.5 + SIZES**-0.3, "min"), (SIZES**-0.3 - 0.2, "min")])
def test_only_the_steps_are_logarithmic_if_the_metric_rises_hardly_falls_or_is_not_positive(axes, values, mode):
    lcx.predict(values, SIZES, horizon=10 * SIZES[-1], mode=mode, device="cpu").plot(axes)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
