"""Rules on hand-made extrapolations, the questions behind them, and EarlyStopper: verdicts, state, odd reports, threads."""

import json
import math
import pickle
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import lcx
from lcx.curves import Curves
from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive
from lcx.stopping.intake import Reports
from lcx.stopping.outlook import compute_left, expected_improvement, prob_above, when_reached
from lcx.stopping.rules import (
    Verdict,
    after,
    all_of,
    any_of,
    calibrated_delta,
    ever_better,
    every,
    never_better,
    not_better_at_horizon,
    not_worth_it,
    reaches,
    spare_incumbent,
)
from lcx.stopping.world import decide_on_rank_zero

GOOD = 0.95 - 0.6 * np.arange(1, 41) ** -0.7
POOR = 0.6 - 0.3 * np.arange(1, 41) ** -0.7
RULES = [never_better, not_better_at_horizon, ever_better]


def normal_cdf(z):
    return 0.5 * math.erfc(-z / math.sqrt(2))


def made(loc, sd=0.1, *, mode="max", seen=(0.2, 0.3), bounds=(None, None)):
    """A run with the values ``seen`` at steps 1, 2, ..., whose later steps are independent normals about ``loc``."""
    loc = torch.tensor([loc], dtype=torch.float64)
    sd, first, last = torch.full_like(loc, sd), len(seen) + 1, len(seen) + loc.shape[1]
    steps = torch.arange(1, last + 1, dtype=torch.float64)[None]
    limits = (None if b is None else torch.tensor(float(b), dtype=torch.float64) for b in bounds)
    return Extrapolation(
        steps_ahead=steps[:, first - 1 :],
        predictive=Predictive(torch.zeros(*loc.shape, 1, dtype=torch.float64), loc[..., None], sd[..., None], *limits),
        mode=mode,
        one=True,
        curves=Curves(torch.tensor([seen], dtype=torch.float64), steps[:, : first - 1], steps[:, -1]),
        paths=lambda n, generator: loc + sd * torch.randn(1, n, loc.shape[1], generator=generator, dtype=torch.float64),
        notes=list,
    )


def stopper(**options):
    return lcx.EarlyStopper(**({"horizon": 40, "mode": "max", "bounds": (0, 1), "model": "parametric"} | options))


def feed(target, values, run, **options):
    verdicts = [target.update(step, value, run=run, **options) for step, value in enumerate(values, 1)]
    return verdicts[-1]


@pytest.mark.parametrize(
    ("rule", "extrapolation", "best", "stop", "probability"),
    [
        (never_better(0.05), made([0.4, 0.5, 0.4]), 0.7, True, normal_cdf(-2)),
        (never_better(0.02), made([0.4, 0.5, 0.4]), 0.7, False, normal_cdf(-2)),
        (never_better(0.05), made([0.4, 0.6, 0.4]), 0.7, False, normal_cdf(-1)),
        (never_better(0.05), made([0.4, 0.6, 0.4], mode="min"), 0.3, False, normal_cdf(-1)),
        (never_better(0.05), made([0.6, 0.5, 0.8], mode="min"), 0.3, True, normal_cdf(-2)),
        (never_better(0.05), made([0.5], bounds=(0, 1)), 1.0, True, 0.0),
        (never_better(0.05), made([0.5]), -math.inf, False, 1.0),
        (never_better(0.05), made([0.5], mode="min"), math.inf, False, 1.0),
        (never_better(0.05), made([0.5]), math.nan, False, math.nan),
        (never_better(-1.0), made([0.5], bounds=(0, 1)), 1.0, False, 0.0),
        (not_better_at_horizon(0.05), made([0.4, 0.6, 0.5]), 0.7, True, normal_cdf(-2)),
        (not_better_at_horizon(0.05), made([0.4, 0.4, 0.6]), 0.7, False, normal_cdf(-1)),
        (not_better_at_horizon(0.05), made([0.5]), math.nan, False, math.nan),
        (ever_better(0.05), made([0.2, 0.2]), 0.9, True, 0.0),
        (ever_better(0.05), made([0.2, 0.9]), 0.2, False, 1.0),
        (ever_better(0.05), made([0.2]), math.nan, False, math.nan),
        (not_worth_it(0.001), made([0.4, 0.5]), 0.7, True, normal_cdf(-2)),
        (not_worth_it(0.0001), made([0.4, 0.5]), 0.7, False, normal_cdf(-2)),
        (not_worth_it(0.0001, cost=10), made([0.4, 0.5]), 0.7, True, normal_cdf(-2)),
        (not_worth_it(9.0), made([0.4, 0.5]), -math.inf, False, 1.0),
        (not_worth_it(0.0), made([0.4, 0.5]), math.inf, True, 0.0),
        (not_worth_it(0.0), made([0.4, 0.5], mode="min"), -math.inf, True, 0.0),
        (not_worth_it(9.0), made([0.4, 0.5]), math.nan, False, math.nan),
        (reaches(0.7, 0.05), made([0.4, 0.5]), -math.inf, True, normal_cdf(-2)),
        (reaches(0.7, 0.05), made([0.4, 0.6]), 0.99, False, normal_cdf(-1)),
        (reaches(0.7, 0.05), made([0.4], seen=(0.2, 0.7, 0.5)), 0.99, False, 1.0),
        (after(3, never_better()), made([0.4]), 0.9, False, math.nan),
        (after(2, never_better()), made([0.6]), 0.9, True, normal_cdf(-3)),
        (every(3, never_better()), made([0.4]), 0.9, False, math.nan),
        (every(2, never_better()), made([0.6]), 0.9, True, normal_cdf(-3)),
        (spare_incumbent(never_better()), made([0.6], seen=(0.2, 0.9, 0.3)), 0.9, False, normal_cdf(-3)),
        (spare_incumbent(never_better()), made([0.6], seen=(0.2, 0.8, 0.3)), 0.9, True, normal_cdf(-3)),
        (spare_incumbent(never_better()), made([0.6], seen=(0.3, 0.2), mode="min"), 0.2, False, normal_cdf(-4)),
        (any_of(reaches(0.8), never_better()), made([0.6]), 0.7, True, normal_cdf(-2)),
        (any_of(never_better(), reaches(0.8)), made([0.6]), 0.5, True, normal_cdf(-2)),
        (any_of(never_better(), reaches(0.6)), made([0.6]), 0.5, False, normal_cdf(1)),
        (all_of(never_better(), reaches(0.6)), made([0.6]), 0.9, False, 0.5),
        (all_of(never_better(), reaches(0.8)), made([0.6]), 0.9, True, normal_cdf(-2)),
    ],
)
def test_verdicts_of_rules(rule, extrapolation, best, stop, probability):
    verdict = rule(extrapolation, best)
    assert verdict.stop is stop
    assert verdict.probability == pytest.approx(probability, abs=1e-9, nan_ok=True)
    assert len(verdict.reason) > 10
    assert pickle.loads(pickle.dumps(rule)) == rule


def test_reasons_quote_the_numbers():
    verdict = never_better(0.05)(made([0.4, 0.5, 0.4]), 0.7)
    assert verdict.reason == "P(better than 0.7) is at most 0.0228, at step 4; the limit is 0.05"
    spared = spare_incumbent(never_better())(made([0.6], seen=(0.9, 0.3)), 0.9)
    assert "this run holds the best value, 0.9; but for that: P(better than 0.9)" in spared.reason


@pytest.mark.parametrize("make", RULES)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_larger_delta_never_stops_less_and_a_harder_best_never_either(make, mode):
    rng = np.random.default_rng(3)
    sign = 1 if mode == "max" else -1
    for _ in range(10):
        extrapolation = made(rng.normal(0.5, 0.2, 4).tolist(), mode=mode)
        bests = sign * np.sort(sign * rng.normal(0.5, 0.3, 5))
        stops = np.array([[make(delta)(extrapolation, best).stop for delta in (-1.0, 0.001, 0.05, 0.3, 0.9)] for best in bests])
        assert (np.diff(stops.astype(int), axis=0) >= 0).all()
        assert (np.diff(stops.astype(int), axis=1) >= 0).all()
        assert not stops[:, 0].any()


def test_never_better_stops_whenever_ever_better_does():
    rng = np.random.default_rng(4)
    for _ in range(30):
        extrapolation = made(rng.normal(0.5, 0.1, 6).tolist())
        ever = ever_better(0.05, paths=400)(extrapolation, 0.75)
        assert never_better(0.05)(extrapolation, 0.75).probability <= ever.probability + 0.07  # four standard errors at worst


def test_the_incumbent_is_never_stopped_whatever_is_predicted():
    rng = np.random.default_rng(5)
    for mode, sign in (("max", 1), ("min", -1)):
        for _ in range(20):
            seen = rng.normal(0.5, 0.2, 3).tolist()
            extrapolation = made((rng.normal(0.5, 0.2, 4) - sign).tolist(), mode=mode, seen=seen)
            own = max(seen) if sign > 0 else min(seen)
            assert never_better()(extrapolation, own).stop
            assert not spare_incumbent(never_better())(extrapolation, own).stop
            assert spare_incumbent(never_better())(extrapolation, own + 0.01 * sign).stop


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: never_better(1.0), "delta"),
        (lambda: ever_better(math.nan), "delta"),
        (lambda: reaches(0.5, delta=5.0), "delta"),
        (lambda: not_worth_it(-1.0), "threshold"),
        (lambda: every(0, never_better()), "k"),
        (lambda: calibrated_delta([0.1], [True, False], 0.1), "length"),
        (lambda: calibrated_delta([0.1], [True], 1.0), "rate"),
        (lambda: prob_above(made([1.0]), made([1.0], mode="min")), "mode"),
        (lambda: stopper(mode="up"), "mode"),
        (lambda: stopper(horizon=-1), "horizon"),
        (lambda: stopper(horizon="x"), "horizon"),
        (lambda: stopper(bounds=(1, 0)), "bounds"),
        (lambda: stopper(bounds=0), "bounds"),
        (lambda: stopper(model="parametrik"), "model"),
        (lambda: stopper(delta=1.5), "delta"),
        (lambda: stopper(confirm=0), "confirm"),
        (lambda: stopper().update(0, 0.5), "step"),
        (lambda: stopper().update(math.nan, 0.5), "step"),
        (lambda: stopper().update(1, "0.5"), "value"),
        (lambda: stopper().update(1, np.ones(2)), "value"),
        (lambda: stopper().update(1, 0.5, run=(1, 2)), "run"),
        (lambda: stopper().predicted_value("who"), "run"),
        (lambda: decide_on_rank_zero(None), "verdict"),
    ],
)
def test_bad_arguments_say_what_was_expected_what_came_and_what_to_do(make, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        make()
    assert str(caught.value).lower().startswith("expected")
    assert "got" in str(caught.value)


def test_questions_need_one_curve():
    batch = lcx.predict([GOOD[:9], GOOD[:5]], horizon=40, mode="max", bounds=(0, 1), model="parametric", device="cpu")
    for ask in (lambda: never_better()(batch, 0.5), lambda: prob_above(batch, batch), lambda: when_reached(batch, 0.5)):
        with pytest.raises(ValueError, match="one curve"):
            ask()


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("widths", [(0.1, 0.1), (0.1, 0.4), (0.001, 0.3)])
def test_prob_above_of_two_normals(mode, widths):
    a, b = (made([0.1, loc], sd, mode=mode) for loc, sd in zip((0.5, 0.6), widths, strict=True))
    exact = normal_cdf((-0.1 if mode == "max" else 0.1) / math.hypot(*widths))
    assert prob_above(a, b) == pytest.approx(exact, abs=1e-3)
    assert prob_above(a, b) + prob_above(b, a) == pytest.approx(1, abs=1e-12)
    assert prob_above(a, a) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("z", [-4.0, -1.0, 0.0, 2.0])
def test_expected_improvement_of_a_normal(z):
    exact = 0.1 * (math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) + z * normal_cdf(z))
    assert expected_improvement(made([0.5]), 0.5 - 0.1 * z) == pytest.approx(exact, rel=2e-3)
    assert expected_improvement(made([0.5], mode="min"), 0.5 + 0.1 * z) == pytest.approx(exact, rel=2e-3)
    assert expected_improvement(made([0.5]), 9.0) == 0


@pytest.mark.parametrize("mode", ["max", "min"])
def test_when_a_target_is_reached_and_what_that_leaves(mode):
    """Independent steps: 1 - prod P(missed). 4,000 paths: each tolerance is five standard errors, false-alarm rate below 1e-5."""
    sign, loc = (1, [0.3, 0.4, 0.5, 0.6]) if mode == "max" else (-1, [-0.3, -0.4, -0.5, -0.6])
    run = made(loc, mode=mode, seen=(0.1 * sign, 0.2 * sign))
    missed = np.cumprod([normal_cdf((0.2 - 0.1 * i) / 0.1) for i in range(4)])
    reached = when_reached(run, 0.5 * sign, paths=4000)
    assert reached.shape == (4,)
    assert (np.diff(reached) >= 0).all()
    np.testing.assert_allclose(reached, 1 - missed, atol=5 * 0.5 / 4000**0.5)
    assert compute_left(run, 0.5 * sign, 2.0, paths=4000) == pytest.approx(2 * (1 + missed[:3].sum()), abs=0.25)
    assert compute_left(run, 9.0 * sign, 2.0) == pytest.approx(8)
    assert compute_left(run, 0.2 * sign) == 0
    assert (when_reached(run, 0.2 * sign) == 1).all()


def looked_at_again_and_again(rng, runs, looks=20):
    """Smallest P(ends above 1 | points so far) over the looks of Brownian runs, and whether they ended above 1."""
    steps = np.arange(1, looks) / looks
    path = np.cumsum(rng.normal(size=(runs, looks)) / looks**0.5, axis=1)
    chance = torch.special.ndtr(torch.from_numpy((path[:, :-1] - 1) / np.sqrt(1 - steps))).numpy()
    return chance.min(1), path[:, -1] > 1


def test_the_calibrated_delta_keeps_its_rate_over_repeated_looks():
    """1,000 groups of 39 runs to calibrate and one to test: stops are Binomial(1000, 4/40) exactly; false-alarm rate 1e-4."""
    scores, best = looked_at_again_and_again(np.random.default_rng(11), 270_000)
    groups = scores[best][:40_000].reshape(1000, 40)
    stopped = 0
    for group in groups:
        delta, bound = calibrated_delta(group[:39], np.ones(39, dtype=bool), 0.1)
        assert bound == pytest.approx(0.1)
        stopped += group[39] <= delta
    assert abs(stopped - 100) <= 3.9 * (1000 * 0.1 * 0.9) ** 0.5
    assert (scores[best] <= 0.5).mean() > 0.3, "a limit of 50 % would stop many, so calibration had something to do"


def test_calibrated_delta_counts_runs_that_became_best_alone():
    scores, best = np.array([0.5, 0.001, 0.3, 0.4, np.nan]), np.array([True, False, True, True, True])
    assert calibrated_delta(scores, best, 0.2) == (math.nextafter(0.3, 0), 0.2)
    assert calibrated_delta(scores, best, 0.45) == (math.nextafter(0.4, 0), 0.4)
    assert calibrated_delta(scores, best, 0.19) == (-1.0, 0.0)
    assert calibrated_delta(scores, best, 0.99)[0] < 1
    assert calibrated_delta([0.0] * 9, [True] * 9, 0.1)[0] < 0, "runs with score 0 must not be stopped either"


def test_a_poor_run_is_stopped_a_good_one_not_and_the_first_has_none_to_beat():
    it = stopper()
    first = feed(it, GOOD[:20], "good")
    assert first == Verdict(False, 1.0, "there is no other run to beat yet")
    poor = feed(it, POOR[:10], "poor")
    assert poor.stop
    assert poor.probability <= 0.05
    assert f"better than {GOOD[:20].max():.6g}" in poor.reason
    assert not it.update(21, GOOD[20], run="good").stop
    assert it.predicted_value("poor") == pytest.approx(0.57, abs=0.06)
    assert not stopper(delta=-1.0).update(1, 0.1, best=0.9).stop


def test_the_probability_is_that_of_the_library_s_own_prediction():
    it = stopper(rule=never_better())
    verdict = feed(it, GOOD[:20], 7, best=0.9)
    answer = lcx.predict(GOOD[:20], horizon=40, mode="max", bounds=(0, 1), model="parametric", device="cpu")
    assert verdict.probability == pytest.approx(answer.prob_better(0.9).max(), abs=1e-5)
    assert it.predicted_value(7) == pytest.approx(answer.median[-1], abs=1e-5)


def test_direction_min_mirrors_max():
    up, down = stopper(bounds=(0, 1)), stopper(mode="min", bounds=(0, 1))
    for values in (GOOD[:12], POOR[:12]):
        best, worst = feed(up, values, str(values[0])), feed(down, 1 - values, str(values[0]))
        assert best.stop == worst.stop
        assert best.probability == pytest.approx(worst.probability, abs=1e-4)


def test_a_run_s_own_values_are_not_what_it_has_to_beat_and_best_replaces_the_incumbent_for_one_call():
    it = stopper(rule=never_better())
    feed(it, POOR[:10], "a")
    assert it.update(11, POOR[10], run="b").reason.startswith("1 value(s) so far")
    assert f"better than {POOR[10]:.6g}" in it.update(11, POOR[10], run="a").reason
    assert "better than 0.9" in it.update(12, POOR[11], run="a", best=0.9).reason
    assert f"better than {POOR[10]:.6g}" in it.update(13, POOR[12], run="a", best=None).reason
    for odd in (math.nan, math.inf, -math.inf):
        it.update(14, POOR[13], run="b")
        verdict = it.update(15 + len(str(odd)), POOR[14], run="b", best=odd)
        assert not verdict.stop
        assert "the value to beat is" in verdict.reason or "ignored" in verdict.reason
    assert not feed(stopper(), POOR[:10], None, best=POOR[:10].max()).stop, "best may be the run's own"


@pytest.mark.parametrize(
    ("step", "value", "words"),
    [
        (11, math.nan, "no finite value at step 11, 1 in a row"),
        (11, math.inf, "no finite value"),
        (11, -math.inf, "no finite value"),
        (11, None, "no finite value"),
        (11, 1e300, "no finite value"),
        (11, 1.2, "outside the bounds"),
        (10, 0.3, "step 10 was reported before"),
        (9.5, 0.3, "step 9.5 is not after the last, 10"),
        (40, 0.3, "the horizon 40 is reached"),
        (41, 0.3, "beyond the horizon 40"),
        (40, math.nan, "no finite value"),
    ],
)
def test_odd_reports_never_raise_never_stop_and_say_why(step, value, words):
    it = stopper()
    assert feed(it, POOR[:10], "run", best=0.9).stop
    odd = it.update(step, value, run="run", best=0.9)
    assert not odd.stop
    assert math.isnan(odd.probability)
    assert words in odd.reason
    assert math.isfinite(it.predicted_value("run"))
    if step < 40:
        assert it.update(12, POOR[11], run="run", best=0.9).stop, "the next sound report decides as ever"
        plain = stopper()
        feed(plain, POOR[:10], "run")
        plain.update(12, POOR[11], run="run")
        assert plain.predicted_value("run") == pytest.approx(it.predicted_value("run"), abs=1e-9)


def test_divergence_stops_only_when_asked_and_only_in_a_row():
    assert not feed(stopper(), [0.3, *[math.nan] * 20], 0).stop
    it = stopper(stop_on_divergence=2)
    assert not feed(it, [math.nan, 0.3, math.inf, 0.3, math.nan], 0).stop
    verdict = it.update(6, -math.inf, run=0)
    assert verdict.stop
    assert verdict.reason == "no finite value at step 6, 2 in a row; the limit is 2"
    assert not it.update(40, math.nan, run=0).stop, "at the horizon nothing stops"


def test_a_run_without_a_value_has_no_prediction_and_one_at_the_horizon_its_last_value():
    it = stopper()
    it.update(3, math.nan)
    with pytest.raises(ValueError, match="run"):
        it.predicted_value()
    it.update(40, 0.7)
    assert it.predicted_value() == 0.7


def test_confirm_needs_so_many_decisions_in_a_row():
    it = stopper(confirm=3, min_points=5)
    verdicts = [it.update(step, value, best=0.9) for step, value in enumerate(POOR[:8], 1)]
    assert [v.stop for v in verdicts] == [False] * 6 + [True] * 2
    assert "4 value(s) so far, 5 needed" in verdicts[3].reason
    assert "decision 2 of 3" in verdicts[5].reason
    assert not it.update(9, POOR[8], best=0.1).stop
    assert "decision 1 of 3" in it.update(10, POOR[9], best=0.9).reason


def test_points_at_which_a_rule_is_not_asked_do_not_count_for_confirm():
    it = stopper(rule=every(5, never_better()), confirm=2)
    stops = [it.update(step, value, best=0.9).stop for step, value in enumerate(POOR[:12], 1)]
    assert stops.index(True) == 9, "at the second look, after 10 points"


def test_the_rule_may_be_set_anew():
    it = stopper()
    feed(it, GOOD[:20], "first")
    it.rule = reaches(0.99)
    assert it.update(21, GOOD[20], run="first").reason.startswith("P(target 0.99 reached)")
    it.rule = None
    assert "better than" in it.update(3, 0.3, run="second").reason or feed(it, POOR[3:9], "third").stop


def test_a_state_through_json_or_pickle_gives_the_same_later_verdicts():
    kept = stopper(confirm=2, stop_on_divergence=3)
    feed(kept, GOOD[:10], "good")
    feed(kept, [math.nan, *POOR[1:6], 7.0, POOR[7]], 5)
    feed(kept, [0.2, math.inf, math.nan], None)
    copies = [lcx.EarlyStopper.from_state(json.loads(json.dumps(kept.state(), allow_nan=False))), pickle.loads(pickle.dumps(kept))]
    assert len(pickle.dumps(kept)) < 5000, "no model in it"
    for step, value, run in [(9, POOR[8], 5), (10, POOR[9], 5), (10, 0.9, "good"), (11, 0.5, "good"), (4, math.nan, None)]:
        verdict = kept.update(step, value, run=run)
        for copy in copies:
            assert copy.update(step, value, run=run) == verdict or math.isnan(verdict.probability)
            assert copy.state() == kept.state()
    assert verdict.stop, "three values in a row are not finite, over the interruption"


def test_a_rule_of_one_s_own_is_pickled_but_must_be_handed_to_from_state():
    it = stopper(rule=any_of(reaches(0.9), never_better(0.2)))
    feed(it, POOR[:3], 0)
    assert pickle.loads(pickle.dumps(it)).rule == it.rule
    assert lcx.EarlyStopper.from_state(it.state(), it.rule).update(4, POOR[3], run=0).stop
    with pytest.raises(ValueError, match="reaches"):
        lcx.EarlyStopper.from_state(it.state())
    with pytest.raises(ValueError, match="rule"):
        lcx.EarlyStopper.from_state(stopper().state(), never_better())


@pytest.mark.parametrize("rule", [None, after(20, ever_better(0.05, paths=20))])
def test_a_batch_of_runs_equals_one_at_a_time(rule):
    together, apart = (stopper(rule=rule) for _ in range(2))
    curves = {"a": GOOD, 2: POOR, None: 0.5 * GOOD + 0.5 * POOR}
    for i, (run, curve) in enumerate(curves.items()):
        feed(together, curve[: 6 + 4 * i], run, best=0.9)
        feed(apart, curve[: 6 + 4 * i], run, best=0.9)
    reports = {run: (20 + 5 * i, curve[20]) for i, (run, curve) in enumerate(curves.items())} | {"new": (1, 0.1), "bad": (2, math.nan)}
    many = together.update_many(reports, best=0.85)
    assert list(many) == list(reports)
    for run, (step, value) in reports.items():
        one = apart.update(step, value, run=run, best=0.85)
        assert many[run].stop == one.stop
        assert many[run].probability == pytest.approx(one.probability, abs=1e-5, nan_ok=True)
    assert together.state() == apart.state()
    assert together.update_many({}) == {}
    kept = together.update_many({"a": (30, 0.93), 2: (31, 0.55)})
    assert "better than 0.93" in kept[2].reason, "all reports are taken in before the first decision"


def test_eight_threads_report_eight_runs():
    shared, alone = stopper(), stopper()
    curves = {run: POOR + 0.04 * run for run in range(8)}

    def train(run):
        return [shared.update(step, value, run=run, best=0.8) for step, value in enumerate(curves[run][:6], 1)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(train, curves))
    for run, curve in curves.items():
        last = feed(alone, curve[:6], run, best=0.8)
        assert answers[run][-1].stop == last.stop
        assert answers[run][-1].probability == pytest.approx(last.probability, abs=1e-6)
    runs = sorted(shared.state()["runs"], key=lambda entry: entry["run"])
    assert runs == alone.state()["runs"]


def test_few_steps_are_looked_at_and_the_horizon_is_the_last():
    def ahead(step, horizon):
        return Reports(read=[(step, 0.5)]).ahead(horizon)

    np.testing.assert_array_equal(ahead(10, 15), [11, 12, 13, 14, 15])
    for step, horizon in ((10, 1000), (0.5, 2.5), (5e6, 1e9), (math.nextafter(40, 0), 40), (3, 3.5)):
        steps = ahead(step, horizon)
        assert 1 <= len(steps) <= 32
        assert steps[-1] == horizon
        assert (np.diff(steps, prepend=step) > 0).all()
    assert not stopper().update(39.999999999999993, 0.5).stop
    tight = stopper(min_points=1)
    tight.update(1, 0.2, run="other")
    assert tight.update(math.nextafter(40, 0), 0.5).reason


def test_the_example_stops_some_runs_and_finishes_the_best(capsys):
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "early_stopping.py"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert 1 <= sum("P(better than" in line for line in lines) <= 4
    assert "the horizon 60 is reached" in min(lines, key=lambda line: float(line.split("loss ")[1].split(",")[0]))


def test_without_a_distributed_world_the_verdict_is_one_s_own():
    verdict = Verdict(True, 0.01, "because")
    assert decide_on_rank_zero(verdict) is verdict


@pytest.mark.slow  # 5 s
def test_two_processes_get_the_verdict_of_rank_zero(tmp_path):
    code = (
        "import sys, torch.distributed as dist\n"
        "from lcx.stopping import Verdict, decide_on_rank_zero\n"
        "rank = int(sys.argv[1]); dist.init_process_group('gloo', init_method='file://' + sys.argv[2], rank=rank, world_size=2)\n"
        "print(decide_on_rank_zero(Verdict(True, 0.25, 'from zero') if rank == 0 else None)); dist.destroy_process_group()"
    )
    command = [sys.executable, "-c", code]
    ranks = [subprocess.Popen([*command, str(rank), str(tmp_path / "meet")], stdout=subprocess.PIPE, text=True) for rank in (0, 1)]
    said = [process.communicate(timeout=300)[0].strip() for process in ranks]
    assert said == ["Verdict(stop=True, probability=0.25, reason='from zero')"] * 2
