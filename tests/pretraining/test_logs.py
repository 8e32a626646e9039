"""Logs of one's own runs in training: what is held out, what that is worth before and after, and what is refused."""

import json
from itertools import product

import numpy as np
import pytest
import torch

from lcx.config import PFNConfig
from lcx.extrapolator import Extrapolator
from lcx.pfn.model import PFN
from lcx.pretraining.held_out import CUTOFFS, OTHERS, HeldOut
from lcx.pretraining.logs import HELD_OUT, NAME, TRAINED, convert_logs
from lcx.pretraining.sources import load_sources

LOSS = {"metric": "loss", "mode": "min", "bounds": (0, None)}


def write_log(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("step,loss,accuracy\n" + "".join(f"{i},{y:.6f},{1 / (1 + y):.6f}\n" for i, y in enumerate(values, 1)))


def losses(seed, points=12):
    rng = np.random.default_rng(seed)
    return rng.uniform(1, 3) * np.arange(1, points + 1) ** -rng.uniform(0.2, 0.8) + 0.01 * rng.random(points)


def write_studies(root, studies=5, runs=4):
    for s in range(studies):
        for r in range(runs):
            write_log(root / f"study{s}" / f"run{r}.csv", losses(100 * s + r))


def by_study(folder):
    (source,) = load_sources(folder)
    return {name: {run.values.tobytes() for run in study} for name, study in zip(source.names, source.studies, strict=True)}


def small_model(reader=8):
    model = PFN(PFNConfig(width=8, layers=1, heads=1, decoder_layers=1, components=2, chart="general", reader=reader))
    model.initialise(torch.Generator().manual_seed(0))
    return model


def test_a_fifth_of_the_studies_is_held_out_and_a_copied_run_is_on_one_side_alone(tmp_path):
    logs = tmp_path / "logs"
    write_studies(logs)
    for s in range(5):
        (logs / f"study{s}" / "copy.csv").write_text((logs / f"study{(s + 1) % 5}" / "run0.csv").read_text())
    notes = convert_logs(logs, tmp_path, **LOSS)
    assert notes == ["5 run(s) there twice left out"]
    trained, held = by_study(tmp_path / TRAINED), by_study(tmp_path / HELD_OUT)
    assert (len(trained), len(held)) == (4, 1)
    assert not set(trained) & set(held)
    assert not set.union(*trained.values()) & set.union(*held.values())
    assert sum(map(len, (*trained.values(), *held.values()))) == 20
    about = json.loads((tmp_path / TRAINED / f"{NAME}.json").read_text())
    assert (about["metric"], about["direction"], about["bounds"]) == ("loss", "min", [0, None])
    (name,) = held
    assert HeldOut(tmp_path).told() == [f"loss: 16 runs in 4 studies to train on; 4 runs held out ({name})"]


def in_folders_of_their_own(logs):
    for r in range(10):
        write_log(logs / f"run{r}" / "metrics.csv", losses(r))


def in_one_file(logs):
    logs.mkdir()
    rows = [json.dumps({"run": f"run{r}", "step": i, "loss": y}) for r in range(10) for i, y in enumerate(losses(r), 1)]
    (logs / "sweep.jsonl").write_text("\n".join(rows))


@pytest.mark.parametrize("write", [in_folders_of_their_own, in_one_file])
def test_of_one_study_a_fifth_of_the_runs_is_held_out_and_reads_the_rest(tmp_path, write):
    write(tmp_path / "logs")
    convert_logs(tmp_path / "logs", tmp_path, **LOSS)
    (trained,), (held,) = by_study(tmp_path / TRAINED).values(), by_study(tmp_path / HELD_OUT).values()
    assert (len(trained), len(held), len(trained & held)) == (8, 2, 0)
    out = HeldOut(tmp_path)
    assert {run.values.tobytes() for run in out._rest(0, 0)} == trained | held - {out.held.studies[0][0].values.tobytes()}
    assert "8 runs in 1 study to train on; 2 runs held out (of the same study)" in out.told()[0]


def test_scores_are_those_of_forecasts_of_the_later_points(tmp_path):
    write_studies(tmp_path / "logs")
    convert_logs(tmp_path / "logs", tmp_path, **LOSS)
    out, model = HeldOut(tmp_path), Extrapolator(small_model(), {})
    scores = out.scores(model, progress=False)
    assert scores.crps.shape == scores.inside.shape == (4, len(CUTOFFS), len(OTHERS))
    study, number = out.targets[0]
    run = out.held.studies[study][number]
    others = [(other.steps, other.values) for other in out._rest(study, number)]
    # At 10 and 40 % of 12 points, two at least; of a study of four, all the rest are read, in any order.
    for (at, cut), (place, known) in product([(0, 2), (2, 5)], enumerate(([], others))):
        seen = {"horizon": run.steps[-1], "at": run.steps[cut:], "mode": "min", "bounds": (0, None), "others": known}
        answer = model(run.values[:cut], run.steps[:cut], **seen)
        width = np.ptp(np.quantile(run.values, [0.02, 0.98]))
        assert scores.crps[0, at, place] == pytest.approx(answer.crps(run.values[cut:]).mean() / width, rel=1e-4)
        assert scores.inside[0, at, place] == (np.abs(answer.cdf(run.values[cut:]) - 0.5) <= 0.45).mean()


def test_a_model_without_a_reader_is_scored_beside_others_as_alone(tmp_path):
    write_studies(tmp_path / "logs")
    convert_logs(tmp_path / "logs", tmp_path, **LOSS)
    scores = HeldOut(tmp_path).scores(Extrapolator(small_model(reader=0), {}), progress=False)
    assert (scores.crps[..., 0] == scores.crps[..., 1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": None}, "expected a metric out of accuracy, loss .*got none named; name it with --metric"),
        ({"metric": "lost"}, "expected a metric out of accuracy, loss .*got 'lost'; name it"),
        ({"mode": None}, "expected the direction .*got None; write --mode"),
        ({"bounds": (1.5, None)}, "expected values within 1.5 and inf, got .* in study0/run0.csv; correct --lower"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path, change, message):
    write_studies(tmp_path / "logs", studies=1, runs=5)
    with pytest.raises(ValueError, match=message):
        convert_logs(tmp_path / "logs", tmp_path, **LOSS | change)
    assert not (tmp_path / TRAINED).exists()


def test_too_few_usable_runs_are_refused_with_the_reason(tmp_path):
    write_studies(tmp_path / "logs", studies=1, runs=4)
    write_log(tmp_path / "logs" / "study0" / "short.csv", losses(9, points=5))
    with pytest.raises(ValueError, match=r"expected 5 or more runs .*got 4 \(1 run.* fewer than 6 values left out\); give the"):
        convert_logs(tmp_path / "logs", tmp_path, **LOSS)
