"""The limit for a wanted rate of false stops, with the study in view, and the runs that are never stopped."""

import json
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest

import lcx
from lcx.stopping.false_stops import (
    ORDERS,
    RATES,
    SHARES,
    WEIGHT,
    FalseStops,
    in_control,
    in_passes,
    in_shares,
    scores_of,
    sharpened,
    usual_share,
)
from lcx.stopping.rules import Verdict

LAST = 8
STEPS = np.arange(1.0, LAST + 1)


def rising(end, start=0.3, rate=0.8):
    return STEPS, end - (end - start) * STEPS**-rate


def study(n, seed=0):
    generator = np.random.default_rng(seed)
    return [rising(end, rate=rate) for end, rate in zip(generator.uniform(0.6, 0.9, n), generator.uniform(0.4, 1.2, n), strict=True)]


def train(stopper, runs, names=None):
    """Trains runs one after another, each until it is stopped; returns how many steps each took."""
    trained = {}
    for name, (steps, values) in zip(names or range(len(runs)), runs, strict=True):
        for i, (step, value) in enumerate(zip(steps, values, strict=True), 1):
            trained[name] = i
            if stopper.update(step, value, run=name).stop:
                break
    return trained


def test_the_usual_share_rises_with_the_rate_and_is_that_of_the_rates_known():
    rates = np.geomspace(RATES[0], RATES[-1], 50)
    assert (np.diff([usual_share(rate) for rate in rates]) >= 0).all()
    assert [usual_share(rate) for rate in RATES] == pytest.approx(list(SHARES))
    for wrong in (0.0, 0.6, -1, float("nan")):
        with pytest.raises(ValueError, match="rate of false stops"):
            usual_share(wrong)


def test_a_score_is_the_smallest_chance_while_the_run_was_behind_and_reads_the_runs_before_it():
    model, runs = lcx.load("general", "cpu"), [rising(0.7), rising(0.6), rising(0.9, rate=0.5)]
    asked = {"horizon": LAST, "mode": "max", "bounds": (0, 1)}
    (score,), (before,) = scores_of(model, runs, **asked)
    best = runs[0][1][-1]
    behind = [n for n in range(2, LAST) if runs[2][1][:n].max() < best]
    at = LAST * np.arange(1, 7) / 6
    chances = [float(np.max(model(runs[2][1][:n], STEPS[:n], at=at[at > n], others=runs[:2], **asked).prob_better(best))) for n in behind]
    assert score == pytest.approx(min(chances), abs=1e-3)  # looks are spaced geometrically
    assert before == 2
    assert in_shares(np.array([score]), np.array([before])) == pytest.approx(3 * score)  # it is the best of three runs
    upside_down = [(steps, -values) for steps, values in runs]
    assert scores_of(model, upside_down, horizon=LAST, mode="min", bounds=(-1, 0))[0] == pytest.approx([score], abs=1e-6)


def test_what_passes_the_best_at_once_cannot_be_stopped_falsely():
    runs = [(STEPS, np.full(LAST, 0.1)), (STEPS, np.full(LAST, 0.5) + 0.001 * STEPS)]
    assert scores_of(lcx.load("general", "cpu"), runs, horizon=LAST, mode="max", bounds=(None, None))[0].tolist() == [np.inf]


def test_what_passes_the_best_with_its_last_value_has_a_score_and_what_ties_it_has_none():
    best, late = (STEPS, np.full(LAST, 0.5)), np.linspace(0.3, 0.49, LAST)
    for end, scored in ((0.51, 1), (0.5, 0)):
        runs = [best, (STEPS, np.append(late[:-1], end))]
        scores, before = scores_of(lcx.load("general", "cpu"), runs, horizon=LAST, mode="max", bounds=(0, 1))
        assert before.tolist() == [1] * scored
        assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_few_runs_of_a_study_hardly_move_its_share_and_many_decide_it(rate):
    own = np.random.default_rng(1).uniform(0, 1, 4000)
    assert sharpened(rate, [own]) == pytest.approx(rate, rel=0.05)  # the quantile of uniform scores
    assert sharpened(rate, [np.empty(0)]) == pytest.approx(usual_share(rate), rel=0.03)
    low, high = sharpened(rate, [np.array([1e-6])]), sharpened(rate, [np.array([np.inf])])
    assert low < usual_share(rate) < high
    # A low score among few takes the weight of one of WEIGHT + 1 runs from the rate, as if that much less were asked.
    assert low == pytest.approx(usual_share(max((rate * (WEIGHT + 1) - 1) / WEIGHT, RATES[0])), rel=0.05) or low <= 1e-6
    assert sharpened(rate, [own[:20]] * ORDERS) == sharpened(rate, [own[:20]])  # orders share their runs


def test_the_limit_falls_with_the_number_of_runs_that_have_begun():
    stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), false_stops=0.2)
    for n, run in enumerate(study(6), 1):
        stopper.update(1, run[1][0], run=n)
        verdict = stopper.update(2, run[1][1], run=n)
        assert n == 1 or f"the limit is {usual_share(0.2) / n:g}" in verdict.reason
    stopper.ignore(1)
    assert f"the limit is {usual_share(0.2) / 5:g}" in stopper.update(3, 0.4, run=2).reason
    assert FalseStops(0.5, 4.0, 0.0, 0).limit(1) < 1


def test_control_runs_are_never_stopped_and_say_why_they_would_have_been():
    runs = [rising(0.9), *[rising(0.4)] * 12]
    stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), control=0.3)
    trained = train(stopper, runs)
    spared = {name for name in range(1, 13) if in_control(name, 0.3)}
    assert {name for name, steps in trained.items() if steps == LAST and name} == spared
    assert 0 < len(spared) < 12
    mate = next(iter(spared))
    assert stopper.forget(mate) is None
    for step in (1, 2, 3):
        verdict = stopper.update(step, runs[mate][1][step - 1], run=mate)
    assert not verdict.stop
    assert "no rule stops" in verdict.reason
    assert verdict.probability < 0.05


def test_the_share_of_control_runs_is_the_one_asked_for_whatever_the_names():
    """Binomial tests of 4,000 names at 1e-5."""
    for names in (range(4000), [f"run {i}" for i in range(4000)]):
        assert binomtest(sum(in_control(name, 0.1) for name in names), 4000, 0.1).pvalue > 1e-5
    assert not any(in_control(name, 0.0) for name in range(100))
    assert all(in_control(name, 1.0) for name in range(100))


def test_runs_never_at_risk_show_the_rate_and_sharpen_the_limit():
    """Controls, runs that ended before any could be stopped, and history; stopped runs and those that might have been do not count."""
    runs = study(6)
    told = []
    for control, first, history in ((1.0, 0, None), (0.0, 6, None), (0.0, 0, runs)):
        stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), false_stops=0.2, control=control, min_finished=first, history=history)
        train(stopper, [] if history else runs)
        told.append(stopper.false_stop_rate())
        assert told[-1].runs == 6
        assert told[-1].asked == 0.2
    assert told[0] == told[1] == told[2]
    model, order = lcx.load("general", "cpu"), np.random.default_rng(0)
    asked = {"horizon": LAST, "mode": "max", "bounds": (0, 1)}
    own = [in_shares(*scores_of(model, [runs[i] for i in order.permutation(6)], **asked)) for _ in range(ORDERS)]
    assert told[0].share == pytest.approx(sharpened(0.2, own))
    assert told[0].seen == pytest.approx(np.mean(np.concatenate(own) <= told[0].share))
    judged = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), false_stops=0.2)
    train(judged, runs)
    assert judged.false_stop_rate().runs <= 1  # the first had nothing to beat
    assert np.isnan(lcx.EarlyStopper(LAST, "max", false_stops=0.2).false_stop_rate().seen)


def test_forecasts_that_read_no_others_have_scores_of_their_own():
    runs, asked = [rising(0.7), rising(0.6), rising(0.9, rate=0.5)], {"horizon": LAST, "mode": "max", "bounds": (0, 1)}
    general, parametric = lcx.load("general", "cpu"), lcx.load("parametric", "cpu")
    (alone,), _ = scores_of(general, runs, others=False, **asked)
    assert alone != scores_of(general, runs, **asked)[0]
    # A run that begins the study has no others to read.
    assert alone == pytest.approx(scores_of(general, [rising(0.7), rising(0.9, rate=0.5)], others=False, **asked)[0][0])
    assert scores_of(parametric, runs, **asked)[0] == scores_of(parametric, runs, others=False, **asked)[0]
    stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), control=1.0, false_stops=0.2, model="parametric")
    train(stopper, runs[1:])
    assert stopper.false_stop_rate().runs == 2


def test_runs_finished_by_freeze_thaw_are_no_sample():
    stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), false_stops=0.2, control=1.0)
    train(stopper, study(3))
    assert stopper.false_stop_rate().runs == 3
    stopper.next_run()
    assert stopper.false_stop_rate() == (0.2, usual_share(0.2), pytest.approx(np.nan, nan_ok=True), 0)


def test_a_stopper_restored_from_its_state_keeps_rate_control_and_who_was_at_risk():
    stopper = lcx.EarlyStopper(LAST, "max", bounds=(0, 1), false_stops=0.1, control=0.4)
    train(stopper, study(5))
    again = lcx.EarlyStopper.from_state(json.loads(json.dumps(stopper.state())))
    assert again.false_stop_rate() == stopper.false_stop_rate()
    assert 0 < again.false_stop_rate().runs < 5
    assert again.update(1, 0.3, run="new") == stopper.update(1, 0.3, run="new")
    assert again.update(2, 0.31, run="new") == stopper.update(2, 0.31, run="new")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"false_stops": 0.7}, "from 0.01 to 0.5"),
        ({"false_stops": 0.1, "rule": lcx.stopping.never_better()}, "got both"),
        ({"control": 1.5}, "control from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        lcx.EarlyStopper(LAST, "max", **settings)


def test_a_stopper_with_a_limit_has_no_rate_to_tell():
    with pytest.raises(ValueError, match="give EarlyStopper false_stops"):
        lcx.EarlyStopper(LAST, "max").false_stop_rate()


def test_a_finished_run_beyond_the_horizon_is_read_up_to_it():
    stopper = lcx.EarlyStopper(10, "min", false_stops=0.1, min_finished=2)
    for run in range(6):
        end = 0.6 - 0.02 * run
        for step in range(1, 16):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of steps beyond the horizon
                stopper.update(step, end if step < 13 else end - 0.2, run=run)
    assert stopper.false_stop_rate().runs >= 2


def test_points_that_a_later_explosion_would_leave_no_digits_are_read_in_a_pass_of_their_own():
    values, cuts = np.array([1.0, 1.0, 1.1, 1.2, 1e3, 1e8, 1e8, 2e8]), np.arange(1, 9)
    assert [group.tolist() for group in in_passes(values, cuts)] == [[1, 2, 3, 4, 5], [6, 7, 8]]
    assert [group.tolist() for group in in_passes(values[:5], cuts[:5])] == [[1, 2, 3, 4, 5]]
    assert in_passes(values, cuts[:0]) == []


def test_each_run_may_have_a_horizon_of_its_own():
    runs, model = study(6, 2), lcx.load("general", "cpu")
    asked = {"mode": "max", "bounds": (0, 1)}
    same = scores_of(model, runs, horizon=np.full(6, float(LAST)), **asked)[0]
    np.testing.assert_array_equal(same, scores_of(model, runs, horizon=float(LAST), **asked)[0])
    assert not np.array_equal(same, scores_of(model, runs, horizon=LAST * np.arange(1.0, 7), **asked)[0])


def test_only_a_reason_about_an_infinite_value_to_beat_is_put_in_other_words():
    told = lcx.EarlyStopper(LAST, "max", rule=lambda *_: Verdict(False, 0.4, "inference says go on"))
    control = lcx.EarlyStopper(LAST, "max", control=1.0)
    for stopper, said in (
        (told, "inference says go on"),
        (control, "one of the runs that no rule stops; but for that: there is no other run to beat yet"),
    ):
        stopper.update(1, 0.5, run="a")
        assert stopper.update(2, 0.6, run="a").reason == said
