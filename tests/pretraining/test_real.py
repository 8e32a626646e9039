"""Real curves in training: what is read from a folder, and what batches are made of."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from lcx.config import PFNConfig, PretrainConfig
from lcx.pfn.checkpoint import load
from lcx.pretraining import mixture, pretrain, real, state
from lcx.pretraining.batches import BLOCK, Batch
from lcx.pretraining.mixture import draw_mixture
from lcx.pretraining.real import real_batch
from lcx.pretraining.sources import bounds_of, load_sources
from lcx.priors import PRIORS

CONFIG = PretrainConfig(
    prior="general", model=PFNConfig(width=16, layers=1, chart="general", reader=16), real="folder", studies=0.5, batch=16, curves=100
)


def write(folder, name, values, groups, direction="min", metric="validation loss", steps=None, **more):
    steps = np.arange(1.0, values.shape[1] + 1) if steps is None else steps
    np.savez(folder / f"{name}.npz", values=values.astype(np.float32), steps=steps, group=np.array(groups))
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "direction": direction, "metric": metric, **more}))


def losses(n, length=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 3, (n, 1)) * np.arange(1, length + 1) ** -0.5 + 0.01 * rng.random((n, length))


@pytest.fixture
def folder(tmp_path):
    values = losses(6)
    values[4] = values[3]  # there twice
    values[5, 3:] = np.nan  # too short
    write(tmp_path, "a", values, ["x", "x", "y", "y", "y", "y"])
    write(tmp_path, "b", 1 - losses(5, seed=1) / 4, ["z"] * 5, "max", "accuracy", np.arange(0.0, 30))
    return tmp_path


def test_studies_are_read_by_group_and_a_run_that_is_there_twice_once(folder):
    a, b = load_sources(folder)
    assert [len(study) for study in a.studies] == [2, 2]
    assert (a.sign, b.sign, a.bounds, b.bounds) == (-1, 1, (0, np.inf), (0, 1))
    assert b.studies[0][0].steps[0] == 1  # a counter from zero


def test_bounds_in_the_file_go_before_those_of_the_metrics_name(tmp_path):
    write(tmp_path, "a", losses(2), ["x", "x"], bounds=[None, 7])
    assert load_sources(tmp_path)[0].bounds == (-np.inf, 7)
    assert bounds_of("mean episode return") == (-np.inf, np.inf)


def test_a_folder_without_curves_or_with_a_broken_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="name their folder"):
        load_sources(tmp_path)
    write(tmp_path, "a", losses(2), ["x", "x"], direction="down")
    with pytest.raises(ValueError, match="direction"):
        load_sources(tmp_path)


def test_every_source_and_every_study_of_it_has_one_vote(tmp_path, monkeypatch):
    write(tmp_path, "big", losses(40), ["one"] * 38 + ["two"] * 2)
    write(tmp_path, "small", losses(2, seed=1), ["x"] * 2)
    drawn, plain = [], real._target

    def watched(source, runs, sources, rng):
        drawn.append((source.name, len(runs)))
        return plain(source, runs, sources, rng)

    monkeypatch.setattr(real, "_target", watched)
    sources = load_sources(tmp_path)
    for seed in range(40):
        real_batch(sources, CONFIG, seed)
    share = {key: drawn.count(key) / len(drawn) for key in set(drawn)}
    # 480 draws, 5 standard errors.
    assert share[("small", 2)] == pytest.approx(0.5, abs=0.12)
    assert share[("big", 2)] == pytest.approx(0.25, abs=0.1)


def test_targets_are_the_curves_own_later_points_and_a_run_is_not_among_its_others(folder):
    sources = load_sources(folder)
    for seed in range(20):
        batch = real_batch(sources, CONFIG, seed)
        assert (batch.queries > batch.steps.gather(1, batch.tokens)).all()
        at = (batch.steps[:, None] == batch.queries[..., None]).int().argmax(-1)
        assert batch.values.gather(1, at).equal(batch.targets[..., 0])
        assert batch.values.nan_to_num(0).amax(1).sub(batch.values.nan_to_num(0).amin(1)).allclose(torch.ones(len(batch.values)))
        for own, own_steps, others, steps in zip(batch.values, batch.steps, batch.others.values, batch.others.steps, strict=True):
            for other, its_steps in zip(others, steps, strict=True):
                count = int((~other.isnan()).sum())
                both = min(count, int((~own.isnan()).sum()))
                if both >= 4 and np.allclose(its_steps[:both], own_steps[:both]):
                    assert not np.allclose(other[:both], own[:both], atol=1e-6)


def test_known_bounds_are_told_to_some_and_never_passed(folder):
    batches = [real_batch(load_sources(folder), CONFIG, seed) for seed in range(20)]
    told = torch.cat([(batch.frame.lower.isfinite() | batch.frame.upper.isfinite()) for batch in batches]).float().mean()
    assert told == pytest.approx(real.TOLD, abs=0.15)  # 240 curves, 4.7 standard errors
    for batch in batches:
        assert (batch.values.nan_to_num(0.5) <= batch.frame.upper[:, None] + 1e-5).all()
        assert (batch.values.nan_to_num(0.5) >= batch.frame.lower[:, None] - 1e-5).all()


def test_short_runs_are_shortened_by_a_point_and_cut_off_after_every_point_but_the_last(tmp_path):
    """Of 9 points, 8 at least of which are left: 600 pairs of each, each of the cut-offs with a chance above 1/20."""
    write(tmp_path, "a", losses(4, length=9), ["x"] * 4)
    sources, cuts = load_sources(tmp_path), {}
    for seed in range(20):
        batch = real_batch(sources, replace(CONFIG, batch=64, cutoff_power=1.0), seed)
        for count, tokens in zip((~batch.values.isnan()).sum(1).tolist(), batch.tokens.tolist(), strict=True):
            cuts.setdefault(count, set()).update(tokens)
    assert cuts == {8: set(range(7)), 9: set(range(8))}


def test_some_are_asked_alone_and_some_others_have_not_finished(folder):
    batches = [real_batch(load_sources(folder), CONFIG, seed) for seed in range(40)]
    alone = torch.cat([batch.others.values.isnan().all(2).all(1) for batch in batches]).float().mean()
    assert 0.1 < alone < 0.5
    ends = torch.cat([batch.others.steps.nan_to_num(0).amax(2).flatten() for batch in batches])
    ends = ends[ends > 0]
    assert 0.05 < (ends < 50).float().mean() < 0.6


def test_a_mixture_is_a_function_of_its_arguments(folder):
    sources, prior = load_sources(folder), PRIORS["general"]
    one, two = (draw_mixture(prior, replace(CONFIG, batch=4), sources, 3, torch.device("cpu")) for _ in range(2))
    assert len(one) == len(two) == BLOCK
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a.values, b.values, equal_nan=True)
        torch.testing.assert_close(a.targets, b.targets, equal_nan=True)


def test_a_mixture_has_its_shares(folder, monkeypatch):
    """Of 60 blocks, 1,920 batches; each share within 5 standard errors."""
    kinds = {kind: Batch(*torch.zeros(5, 0, 0)) for kind in ("real", "study", "general")}
    for kind, batch in kinds.items():
        monkeypatch.setattr(mixture, f"{kind}_batch", lambda *_, batch=batch: batch)
    monkeypatch.setattr(mixture, "_on", lambda device, batch: batch)

    def shares(config, sources):
        drawn = [batch for block in range(60) for batch in draw_mixture(PRIORS["general"], config, sources, block, torch.device("cpu"))]
        return [sum(one is batch for one in drawn) / len(drawn) for batch in kinds.values()]

    found = shares(replace(CONFIG, share=0.3, studies=0.4), load_sources(folder))
    assert found == pytest.approx([0.3, 0.28, 0.42], abs=0.057)
    assert shares(replace(CONFIG, studies=1.0), []) == [0, 1, 0]


def test_a_training_on_real_curves_and_studies_resumes_bit_for_bit_and_says_what_it_saw(folder, tmp_path, monkeypatch):
    config = replace(CONFIG, real=str(folder), curves=16 * 8, validation_curves=2, validate_every=1000, warmup=2)
    about = pretrain(config, tmp_path / "whole", device="cpu", progress=False)
    assert [(source["name"], source["runs"], source["studies"]) for source in about["real"]] == [("a", 4, 2), ("b", 5, 1)]
    plain = state.Run.take_step

    def interrupted(run, *rest):
        plain(run, *rest)
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(state.Run, "take_step", interrupted)
    pretrain(config, tmp_path / "parts", device="cpu", progress=False)
    monkeypatch.undo()
    pretrain(config, tmp_path / "parts", device="cpu", resume=True, progress=False)
    one, two = (load(tmp_path / name, torch.device("cpu"))[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_reader_is_added_to_a_model_that_lacks_one_and_left_out_where_none_is_asked_for(folder, tmp_path):
    size = replace(CONFIG.model, reader=0)
    first = PretrainConfig(prior="general", model=size, batch=16, curves=16, validation_curves=2, warmup=1)
    pretrain(first, tmp_path / "first", device="cpu", progress=False)
    second = replace(CONFIG, real=str(folder), start=str(tmp_path / "first"), curves=32, muon_rate=0.0, adam_rate=0.0, validation_curves=2)
    pretrain(second, tmp_path / "second", device="cpu", progress=False)
    before, after = (load(tmp_path / name, torch.device("cpu"))[0].state_dict() for name in ("first", "second"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(name.startswith("reader") for name in after)
    third = replace(first, start=str(tmp_path / "second"), curves=16, muon_rate=0.0, adam_rate=0.0)
    pretrain(third, tmp_path / "third", device="cpu", progress=False)
    alone = load(tmp_path / "third", torch.device("cpu"))[0].state_dict()
    assert alone.keys() == before.keys()
    assert all(torch.equal(before[name], alone[name]) for name in before)
    fourth = replace(second, model=replace(CONFIG.model, copies=True), start=str(tmp_path / "second"))
    pretrain(fourth, tmp_path / "copies", device="cpu", progress=False)
    copying = load(tmp_path / "copies", torch.device("cpu"))[0].state_dict()
    assert all(torch.equal(after[name], copying[name]) for name in after)
    assert copying.keys() - after.keys() >= {"reader.copy.weight", "reader.spaced.weight"}
    with pytest.raises(ValueError, match="expected to start from"):
        pretrain(replace(third, model=replace(size, reader=32), start=str(tmp_path / "second")), tmp_path / "fourth", device="cpu")


def test_where_the_reader_alone_is_trained_forecasts_of_single_curves_stay_as_they_were_to_the_bit(folder, tmp_path):
    first = replace(CONFIG, real=None, curves=16, validation_curves=2, warmup=1)
    pretrain(first, tmp_path / "first", device="cpu", progress=False)
    second = replace(first, real=str(folder), start=str(tmp_path / "first"), trained="reader", studies=1.0, curves=64, seed=1)
    pretrain(second, tmp_path / "second", device="cpu", progress=False)
    before, after = (load(tmp_path / name, torch.device("cpu"))[0].state_dict() for name in ("first", "second"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("reader") for name in changed)
    for wrong in ({"studies": 0.5}, {"trained": "head"}):
        with pytest.raises(ValueError, match="expected"):
            replace(second, **wrong)
