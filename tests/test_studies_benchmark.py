"""The benchmark of forecasts with other runs: which are told, how answers are joined and stored."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import provenance
from benchmarks.curves import RealCurve
from benchmarks.scores import score
from benchmarks.studies import run, tables
from benchmarks.studies.ask import ask_rival
from benchmarks.studies.questions import SETTINGS, TOLD, targets
from benchmarks.studies.rivals import empirical
from benchmarks.studies.summary import beside, change

BOUNDS = (0.0, None)


def study(source, group, runs, seed, points=20, spacing=1.0):
    generator = np.random.default_rng(seed)
    steps = spacing * np.arange(1.0, points + 1)
    heights = 1 + generator.random((runs, 1)) * steps**-0.5 + 0.01 * generator.normal(size=(runs, points))
    return [RealCurve(source, group, "min", BOUNDS, values, steps, float(np.ptp(values))) for values in heights]


def sources():
    big, small = study("a", "big", 40, 0), study("a", "small", 3, 1)
    other = study("b", "elsewhere", 12, 2, points=30, spacing=50.0)
    returns = [replace(curve, source="c", mode="max", bounds=(None, None)) for curve in study("c", "returns", 12, 3)]
    return {"a": [*big, big[0], *small], "b": other, "c": returns}


def same(run, curve):
    return len(run[1]) == len(curve.values) and (run[1] == curve.values).all()


def test_no_target_is_among_its_others_and_no_other_is_told_twice():
    asked = targets(sources(), "a", 50)
    assert len(asked) == 43  # the curve that is there twice counts once
    for target in asked:
        for setting in SETTINGS:
            told = target.others(setting)
            assert not any(same(each, target.curve) for each in told)
            assert len({each[1].tobytes() for each in told}) == len(told)
            assert all(len(steps) == len(values) >= 2 for steps, values in told)


def test_settings_nest_and_targets_alternate_between_studies():
    asked = targets(sources(), "a", 8)
    assert sorted(target.curve.group for target in asked[:6]) == ["big"] * 3 + ["small"] * 3
    for target in asked:
        most = target.others("30")
        assert len(most) == (30 if target.curve.group == "big" else 2)
        for count in (0, 1, 3, 10):
            told = target.others(str(count))
            assert [each[1] is other[1] for each, other in zip(told, most, strict=False)] == [True] * min(count, len(most))
            assert len(told) == min(count, len(most))
    for few, more in zip(targets(sources(), "a", 3), asked, strict=False):
        assert same((few.curve.steps, few.curve.values), more.curve)
        for setting in SETTINGS:
            for one, other in zip(few.others(setting), more.others(setting), strict=True):
                np.testing.assert_array_equal(one, other)


def test_running_others_are_beginnings_of_the_finished_ones():
    ends = []
    for target in targets(sources(), "a", 43):
        for (steps, values), (_, whole) in zip(target.running, target.finished[:TOLD], strict=True):
            np.testing.assert_array_equal(values, whole[: len(values)])
            ends.append(len(steps) / len(whole))
    ends = np.array(ends)
    assert 0.35 < (ends == 1).mean() < 0.5
    assert 0.4 < ((ends >= 0.1) & (ends <= 0.5)).mean() < 0.6  # the paused ones, and nearly half of the stopped


def test_aliens_are_of_another_study_of_the_same_kind():
    found = sources()
    here = {name: {curve.values.tobytes() for curve in curves} for name, curves in found.items()}
    for number, target in enumerate(targets(found, "a", 6)):
        whose = here["a"] if number % 2 == 0 else here["b"]
        assert target.aliens
        assert {values.tobytes() for _, values in target.aliens} <= whose
        own = {curve.values.tobytes() for curve in found["a"] if curve.group == target.curve.group}
        assert not {values.tobytes() for _, values in target.aliens} & own
        assert max(steps[-1] for steps, _ in target.aliens) == pytest.approx(20)  # stretched to the target's horizon
    assert targets(found, "c", 1)[0].aliens == []  # the only study of returns


def test_the_empirical_rival_follows_a_run_like_the_target_and_ignores_one_unlike_it():
    curve = study("a", "big", 1, 0)[0]
    like, unlike = curve.values + 3.0, curve.values + 5 * np.sin(curve.steps)
    told = [*[(curve.steps, like + i) for i in range(3)], *[(curve.steps, unlike + i) for i in range(3)]]
    law = empirical(curve, 8, told)
    share = law.weight / law.weight.sum(1, keepdims=True)
    np.testing.assert_allclose((share * law.loc).sum(1), curve.values[8:], atol=1e-6)
    short = empirical(curve, 8, [(curve.steps[:12], like[:12])])
    assert (short.weight[:4, 0] > 0).all()
    assert (short.weight[4:, 0] == 0).all()
    assert (short.weight[:, 1] > 0).all()  # the walk, as without others
    alone = empirical(curve, 8, [])
    np.testing.assert_allclose(short.scale[:, 1], alone.scale[:, 0])
    np.testing.assert_array_equal(alone.loc, np.full((12, 1), curve.values[7]))


def test_joined_answers_score_as_each_alone():
    found = sources()
    asked = targets(found, "a", 4) + targets(found, "b", 2)
    together = score(ask_rival(empirical, asked, 0.2, "3"), [target.curve for target in asked], 0.2)
    for i, target in enumerate(asked):
        alone = score(ask_rival(empirical, [target], 0.2, "3"), [target.curve], 0.2)
        for name, x in together.items():
            np.testing.assert_allclose(x[i], alone[name][0], rtol=1e-9, err_msg=name)


def test_results_are_stored_source_by_source_and_summarised(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "BENCHMARKS", tmp_path)
    found = sources()
    asked = {name: targets(found, name, 4) for name in ("a", "b")}
    calls = []

    def ask(some, share, setting):
        calls.append(some[0].curve.source)
        return ask_rival(empirical, some, share, setting)

    about = {**dict.fromkeys(("date", "commit", "device", "torch", "command"), "x"), "seed": 0, "tag": "", "model": "lcx m", "weights": "w"}
    run.measure("m", ask, {"a": asked["a"]}, ["0", "3"], about)
    run.measure("m", ask, asked, ["0", "3"], about)
    assert calls == ["a"] * 8 + ["b"] * 8  # the first source is not run again
    stored = json.loads((tmp_path / "studies" / "results" / "m.json").read_text())
    few = {**stored, "sources": {"a": {**stored["sources"]["a"], "widths": stored["sources"]["a"]["widths"][:2]}}}
    theirs, ours = beside(stored, few, "3", "10")
    crps = stored["sources"]["a"]["scores"]["3"]["10"]["crps"]
    assert ours == pytest.approx(np.mean(crps[:2]))
    assert theirs == pytest.approx(ours)
    row = [[np.mean(one["scores"][k]["10"]["crps"]) for one in stored["sources"].values()] for k in ("3", "0")]
    assert change(stored, "3", "10")[0] == pytest.approx(np.mean(row[0]) / np.mean(row[1]) - 1, abs=1e-4)
    assert f"| a, 4, 2 | {row[1][0]:.3f}: " in tables.studies()
    run.measure("m", ask, asked, ["0", "3"], {**about, "weights": "others"})
    assert calls[16:] == ["a"] * 8 + ["b"] * 8


def test_paths_of_models_are_left_out_of_the_command(monkeypatch):
    monkeypatch.setattr(run, "provenance", lambda device: {"command": "python x.py --model /some/place/mine --curves 3"})
    options = argparse.Namespace(model=["/some/place/mine"], seed=0, tag="")
    assert run.origin(options)["command"] == "python x.py --model mine --curves 3"
