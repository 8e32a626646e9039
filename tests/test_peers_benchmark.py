"""The benchmark beside other packages: laws out of deciles, mixtures, what is asked, stored and shown; installed peers on curves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from benchmarks import provenance
from benchmarks.curves import RealCurve
from benchmarks.forecasts.baselines import Answer
from benchmarks.peers import run, tables
from benchmarks.peers.catalogue import ALONE, PEERS, Peer, alone
from benchmarks.peers.empirical_gp import empirical_gp
from benchmarks.peers.gaussian_process import fill, gaussian_process, laid_out
from benchmarks.peers.time_series import cells
from benchmarks.studies.ask import Law
from benchmarks.studies.questions import Target
from lcx.predictive import Predictive

STEPS, SINGLE = np.arange(1.0, 31.0), ("fracast", "deephyper")


def runs(count, seed=0):
    """Losses that fall alike, each in units of its own, with little noise."""
    generator = np.random.default_rng(seed)
    heights = 0.5 + generator.random((count, 1)) + STEPS**-0.7
    return heights + 0.005 * generator.normal(size=(count, 30))


def target(seed=0, mode="min"):
    values, *others = runs(11, seed)
    curve = RealCurve("a", "g", mode, (0.0, None), values, STEPS, float(np.ptp(values)))
    told = [(STEPS, other) for other in others]
    return Target(curve, told, told, told)


def flat(values, steps, ahead, mode, bounds):
    return Answer(np.full((len(ahead), 1), values[-1]), np.full((len(ahead), 1), 0.3))


def sure_of(value, sd=1e-3):
    return Peer({"p": lambda curve, cut, others: Law(*(np.full((30 - cut, 1), x) for x in (1.0, value, sd)))})


def test_deciles_of_a_normal_become_a_law_much_like_it():
    loc, scale = cells((5 + 2 * norm.ppf(np.arange(0.1, 0.95, 0.1)))[None])
    law = Predictive(torch.zeros(1, 10).double(), torch.from_numpy(loc), torch.from_numpy(scale))
    levels = torch.tensor([0.05, 0.3, 0.5, 0.95]).double()
    np.testing.assert_allclose(law.mean, 5, atol=1e-9)
    np.testing.assert_allclose(law.cdf(torch.from_numpy(5 + 2 * norm.ppf(levels))[:, None])[:, 0], levels, atol=0.012)
    np.testing.assert_allclose(law.variance.sqrt(), 2, rtol=0.02)


def test_a_half_lies_between_and_that_of_equal_laws_is_the_same(extrapolator):
    asked, share = target(), 0.2
    peer = Peer({"p": alone(flat)}, half="p")
    found = run.beside(peer, {"m": extrapolator}, asked, share)
    assert min(found["p"]["crps"], found["m"]["crps"]) < found["half m"]["crps"] < max(found["p"]["crps"], found["m"]["crps"])
    assert found["half m"]["seconds"] == found["m"]["seconds"] + found["p"]["seconds"]
    ours = run.ask_with_others(extrapolator, [asked], share, "0")
    same = run.mixed(ours, replace(ours, predictive=ours.predictive.double()))
    np.testing.assert_allclose(same.quantile([0.1, 0.9]), ours.quantile([0.1, 0.9]), rtol=1e-6)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_chance_is_scored_in_the_direction_of_the_metric(mode):
    """A target that ends below all others is best of losses and worst of scores."""
    asked = target(mode=mode)
    low = min(values[-1] for _, values in asked.finished) - 0.2
    asked = replace(asked, curve=replace(asked.curve, values=np.append(asked.curve.values[:-1], low)))
    for end, right in ((low, True), (9.0, False)):
        found = run.beside(sure_of(end), {}, asked, 0.4)["p"]
        assert found["brier"] == pytest.approx(0.0 if right else 1.0, abs=1e-6)


def test_what_is_stored_is_shown_and_short_curves_are_left_out(tmp_path, monkeypatch, extrapolator):
    monkeypatch.setattr(provenance, "BENCHMARKS", tmp_path)
    asked = {"a": [target(seed) for seed in range(2)]}
    peer = Peer({"flat": alone(flat)}, least=5)
    about = {**dict.fromkeys(("date", "commit", "device", "torch", "command"), "x"), "seed": 0, "model": "fracast", "code": "c"}
    about |= {"weights": {"general": "w"}, "setting": ALONE, "versions": {"other": "1.2"}}
    run.measure("fracast", peer, {"general": extrapolator}, asked, about)
    path = tmp_path / "peers" / "results" / "fracast.json"
    scores = json.loads(path.read_text())["sources"]["a"]["scores"]
    counts = {name: [len(cut["crps"]) for cut in cuts.values()] for name, cuts in scores.items()}
    assert counts == {"flat": [0, 2, 2, 2], "general": [0, 2, 2, 2]}
    first = np.mean(scores["general"]["20"]["crps"]) / np.mean(scores["flat"]["20"]["crps"])
    page = tables.peers() or ""
    assert f"| flat | 2, 1 |  | **{first:.2f} [" in page
    assert "other 1.2." in page
    before = path.stat().st_mtime_ns
    run.measure("fracast", peer, {"general": extrapolator}, asked, about)  # nothing left to do
    assert path.stat().st_mtime_ns == before


def scored(crps, log_score):
    return {cut: {"crps": crps, "log_score": log_score} for cut in tables.CUTS}


def test_a_peer_is_ahead_only_where_the_interval_over_curves_says_so():
    """Lucky has the best mean by one curve, steady is better on each, single was asked about one."""
    ours = scored([1.0, 1.1, 0.9, 1.0], [0.0] * 4)
    steady, lucky = scored([0.8, 0.9, 0.7, 0.8], [0.5, 0.6, 0.4, 0.5]), scored([0.1, 1.2, 0.9, 0.8], [3.0, -0.5, 0.2, -0.3])
    asked = {"steady": {"a": {"ours": ours, "theirs": steady}}, "lucky": {"a": {"ours": ours, "theirs": lucky}}}
    asked["single"] = {"a": {"ours": scored([1.0], [0.0]), "theirs": scored([0.1], [9.0])}}
    ((source, *cells),) = tables.by_source(asked)
    assert source == "a"
    assert all(cell.startswith("**1.25 [") and cell.endswith("** steady") and "; **-0.50 [" in cell for cell in cells)
    assert tables.exceptions(ALONE, asked) == ["", f"- a: {tables.NONE}"]
    del asked["steady"]
    ((_, *cells),) = tables.by_source(asked)
    assert all(cell.startswith("1.33 [") and cell.endswith("] lucky") and "*" not in cell for cell in cells)
    assert tables.exceptions(ALONE, asked) == []


def test_every_source_where_a_peer_is_ahead_has_a_reason():
    page = tables.peers()
    assert page is not None
    assert f": {tables.NONE}" not in page


def test_runs_are_laid_out_on_the_targets_grid_in_one_unit():
    asked = target()
    laid = laid_out(asked.curve, 12, asked.finished)
    assert laid.grid[laid.seen] == 12
    assert laid.grid[-1] == 30
    assert laid.y[0, laid.seen] == 0
    assert np.isnan(laid.y[0, laid.seen + 1 :]).all()
    law = laid.law(laid.y[1], np.ones(len(laid.grid)))
    np.testing.assert_allclose(law.loc[:, 0], np.interp(STEPS[12:], laid.grid, laid.y[1] * laid.unit + asked.curve.values[11]), atol=0.01)
    np.testing.assert_allclose(law.scale, laid.unit)
    np.testing.assert_array_equal(fill(np.array([np.nan, 2, np.nan, 4, np.nan])), [2, 2, 3, 4, 4])


@pytest.mark.parametrize("name", ["latent-kronecker-gp", "empirical-gp"])
def test_gaussian_processes_learn_from_others(name):
    pytest.importorskip("botorch.models.latent_kronecker_gp" if name.startswith("latent") else "botorch.models.empirical_gps")
    asked = target(3)
    law = {"latent-kronecker-gp": gaussian_process, "empirical-gp": empirical_gp}[name](asked.curve, 6, asked.finished)
    assert np.abs(law.loc[:, 0] - asked.curve.values[6:]).max() < 0.1
    assert (law.scale > 0).all()


@pytest.mark.parametrize(("package", "answer"), [(name, answer) for name in SINGLE for answer in PEERS[name].answers.values()])
def test_single_curve_peers_answer_near_a_flat_end(package, answer):
    pytest.importorskip(package)
    curve = target(4).curve
    law = answer(curve, 24, [])
    assert law.loc.shape[0] == 6
    assert np.abs(np.median(law.loc, 1) - curve.values[24:]).max() < 0.3
