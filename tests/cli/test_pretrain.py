"""``lcx pretrain`` on logs of one's own runs: what is trained on, which model is kept, and how it goes on from a model."""

import json

import numpy as np
import pytest

from lcx.cli.pretrain import _as_before, main
from lcx.config import PretrainConfig
from lcx.extrapolator import Extrapolator, load
from lcx.pfn.checkpoint import STATE, WEIGHTS, save
from lcx.pretraining import loop
from lcx.pretraining.held_out import HeldOut, Scores
from lcx.pretraining.sources import load_sources
from tests.pretraining.test_logs import small_model, write_studies

SHORT = ["--curves", "16", "--batch", "8", "--share", "1", "--validation-curves", "2", "--device", "cpu"]


@pytest.fixture
def place(tmp_path):
    """Logs in five studies, and a model to start from."""
    write_studies(tmp_path / "logs")
    save(small_model(), tmp_path / "start", {"pretraining": {"prior": "general", "studies": 0.25, "muon_rate": 1e-3, "seed": 7}})
    return tmp_path


def options(place, *more, real="logs"):
    logs = ["--real", str(place / real), "--start", str(place / "start"), "--folder", str(place / "mine")]
    return [*logs, "--metric", "loss", "--mode", "min", "--lower", "0", *SHORT, *more]


def told_scores(monkeypatch, *levels):
    """The scores that the next models get."""
    rest = iter(levels)
    monkeypatch.setattr(HeldOut, "scores", lambda *_: Scores(*np.full((2, 4, 4, 2), next(rest))))


def test_what_is_held_out_is_never_trained_on(place, monkeypatch, capsys):
    drawn_from, plain = [], loop.draw_mixture

    def watched(prior, config, sources, *more):
        drawn_from.append(sources)
        return plain(prior, config, sources, *more)

    monkeypatch.setattr(loop, "draw_mixture", watched)
    told_scores(monkeypatch, 0.3, 0.2)
    main(options(place), "lcx pretrain")
    (held,) = load_sources(place / "mine" / "held_out")
    away = {run.values.tobytes() for study in held.studies for run in study}
    seen = {run.values.tobytes() for sources in drawn_from for source in sources for study in source.studies for run in study}
    assert (len(away), len(seen), len(away & seen)) == (4, 16, 0)
    assert "16 runs in 4 studies to train on; 4 runs held out (study" in capsys.readouterr().out


def test_a_better_model_is_kept_with_its_scores(place, monkeypatch, capsys):
    told_scores(monkeypatch, 0.3, 0.2)
    main(options(place), "lcx pretrain")
    assert "CRPS fell by 33.3 %" in capsys.readouterr().out
    about = load(place / "mine", "cpu").about
    assert about["held_out"]["before"]["10 %, 0 others"]["crps_over_range"] == pytest.approx(0.3)
    assert about["held_out"]["after"]["80 %, 10 others"]["crps_over_range"] == pytest.approx(0.2)


def test_a_model_that_is_not_better_is_not_kept_and_may_be_trained_on(place, monkeypatch, capsys):
    told_scores(monkeypatch, 0.3, 0.3, 0.3, 0.2)
    main(options(place), "lcx pretrain")
    assert f"no model was written. Go on using {place / 'start'}" in capsys.readouterr().out
    assert (place / "mine" / STATE).exists()
    assert not (place / "mine" / WEIGHTS).exists()
    assert not (place / "mine" / "config.json").exists()
    (place / "logs").rename(place / "gone")  # converted once
    main(options(place, "--resume"), "lcx pretrain")
    assert (place / "mine" / WEIGHTS).exists()


def test_without_patches_the_scores_are_those_of_the_models(place, capsys):
    main(options(place), "lcx pretrain")
    said = capsys.readouterr().out
    assert "On the 4 runs held out" in said
    assert ("CRPS fell by" in said) == (place / "mine" / WEIGHTS).exists()


def test_size_and_training_default_to_those_of_the_model_it_starts_from(place, monkeypatch):
    told_scores(monkeypatch, 0.3, 0.3)
    main(options(place, "--warmup", "3"), "lcx pretrain")
    asked = json.loads((place / "mine" / "pretraining.json").read_text())
    assert asked["model"] == {name: getattr(small_model().config, name) for name in asked["model"]}
    assert [asked[n] for n in ("prior", "studies", "muon_rate", "seed", "warmup")] == ["general", 0.25, 1e-3, 8, 3]
    assert asked["adam_rate"] == PretrainConfig.adam_rate
    assert asked["real"] == str(place / "mine" / "real")


def test_where_the_reader_alone_was_trained_last_options_default_to_the_stage_before():
    before = {"prior": "general", "pretraining": {"studies": 0.6, "muon_rate": 0.0015, "seed": 41}}
    last = {
        "prior": "general",
        "pretraining": {"studies": 1.0, "trained": "reader", "muon_rate": 0.003, "seed": 101},
        "started_from": before,
    }
    start = Extrapolator(small_model(), last)
    assert _as_before(start) == {"prior": "general", "studies": 0.6, "muon_rate": 0.0015, "seed": 102}


def test_a_shipped_model_is_a_start_by_name(tmp_path):
    few = ["--curves", "8", "--batch", "8", "--validation-curves", "2", "--device", "cpu"]
    main(["--start", "parametric", "--folder", str(tmp_path), *few], "lcx pretrain")
    assert load(tmp_path, "cpu").model.config == load("parametric", "cpu").model.config


def test_without_the_reader_go_its_copies(tmp_path):
    few = ["--curves", "8", "--batch", "8", "--validation-curves", "2", "--studies", "0", "--device", "cpu"]
    main(["--start", "general", "--folder", str(tmp_path), "--reader", "0", *few], "lcx pretrain")
    found = load(tmp_path, "cpu").model.config
    assert (load("general", "cpu").model.config.copies, found.reader, found.copies) == (True, 0, False)


def test_a_start_without_a_reader_is_given_one(place, monkeypatch):
    save(small_model(reader=0), place / "start", {"prior": "general"})
    with pytest.raises(ValueError, match="write reader=64"):
        main(options(place), "lcx pretrain")
    told_scores(monkeypatch, 0.3, 0.2)
    main(options(place, "--reader", "8"), "lcx pretrain")
    assert load(place / "mine", "cpu").model.config.reader == 8


def test_options_about_logs_beside_files_that_are_ready_are_refused(place):
    (place / "ready").mkdir()
    (place / "ready" / "a.npz").touch()
    with pytest.raises(ValueError, match=r"expected --metric beside --real and logs of runs, got --metric with .*npz files; leave it out"):
        main(options(place, real="ready"), "lcx pretrain")


def test_a_run_in_the_folder_is_not_overwritten(place, monkeypatch):
    told_scores(monkeypatch, 0.3, 0.2, 0.3)
    main(options(place), "lcx pretrain")
    before = (place / "mine" / "real" / "runs.npz").read_bytes()
    write_studies(place / "logs", studies=7)
    with pytest.raises(ValueError, match="resume that run, or name another folder"):
        main(options(place), "lcx pretrain")
    assert (place / "mine" / "real" / "runs.npz").read_bytes() == before
