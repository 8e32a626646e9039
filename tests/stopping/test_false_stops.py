"""The limit for a wanted rate of false stops, with the study in view."""

import numpy as np
import pytest

import lcx
from lcx.stopping.false_stops import LIMITS, RATES, limit_for, scores_of, usual_limit

STEPS = np.arange(1.0, 21)


def rising(end, start=0.3, rate=0.8):
    return STEPS, end - (end - start) * STEPS**-rate


def test_the_usual_limit_rises_with_the_rate_and_is_that_of_the_rates_known():
    rates = np.geomspace(RATES[0], RATES[-1], 50)
    limits = [usual_limit(rate) for rate in rates]
    assert (np.diff(limits) >= 0).all()
    assert [usual_limit(rate) for rate in RATES] == pytest.approx(list(LIMITS))
    for wrong in (0.0, 0.6, -1, float("nan")):
        with pytest.raises(ValueError, match="rate of false stops"):
            usual_limit(wrong)


def test_a_score_is_the_smallest_chance_while_the_run_was_behind_and_reads_the_runs_before_it():
    model, runs = lcx.load("general", "cpu"), [rising(0.7), rising(0.6), rising(0.9, rate=0.5)]
    asked = {"horizon": 20, "mode": "max", "bounds": (0, 1)}
    (score,) = scores_of(model, runs, **asked)
    best = runs[0][1][-1]
    behind = [n for n in range(2, 20) if runs[2][1][:n].max() < best]
    at = 20 * np.arange(1, 7) / 6
    chances = [float(np.max(model(runs[2][1][:n], STEPS[:n], at=at[at > n], others=runs[:2], **asked).prob_better(best))) for n in behind]
    assert score == pytest.approx(min(chances), abs=1e-3)  # looks are spaced geometrically
    upside_down = [(steps, -values) for steps, values in runs]
    assert scores_of(model, upside_down, horizon=20, mode="min", bounds=(-1, 0)) == pytest.approx([score], abs=1e-6)


def test_what_passes_the_best_at_once_cannot_be_stopped_falsely():
    runs = [(STEPS, np.full(20, 0.1)), (STEPS, np.full(20, 0.5) + 0.001 * STEPS)]
    assert scores_of(lcx.load("general", "cpu"), runs, horizon=20, mode="max", bounds=(None, None)).tolist() == [np.inf]


def test_an_earlier_study_that_is_large_enough_gives_the_limit():
    generator = np.random.default_rng(0)
    runs = [rising(end, rate=rate) for end, rate in zip(generator.uniform(0.6, 0.9, 12), generator.uniform(0.4, 1.2, 12), strict=True)]
    asked = {"horizon": 20, "mode": "max", "bounds": (0, 1), "orders": 3}
    own = limit_for(0.2, runs, **asked)
    model = lcx.load("general", "cpu")
    order = np.random.default_rng(0)
    scores = np.concatenate(
        [scores_of(model, [runs[i] for i in order.permutation(12)], horizon=20, mode="max", bounds=(0, 1)) for _ in range(3)]
    )
    assert (scores <= own).mean() <= 0.2
    assert own != usual_limit(0.2)
    assert limit_for(0.05, runs, **asked) == usual_limit(0.05), "12 runs are too few"
    assert limit_for(0.05) == usual_limit(0.05)
    with pytest.raises(ValueError, match="horizon and mode"):
        limit_for(0.05, runs)
