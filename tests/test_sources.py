"""Converters of public sources: each reads small files made in its source's layout, and keeps to the part that a model saw."""

import json
import sys
import zipfile

import numpy as np
import pytest

from benchmarks import convert, tables
from benchmarks.curves import bounds_of, load_all
from benchmarks.provenance import ROOT
from benchmarks.small_trainings.__main__ import KINDS
from benchmarks.sources import catalogue, language, optimizers, returns, tabular
from benchmarks.sources.files import Chosen, Source, chosen, chosen_parts, digest, write


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))


def values_of(source):
    return [values.tolist() for _, values in source.curves]


def steps_of(source):
    return [steps.tolist() for steps, _ in source.curves]


def test_converters_round_trip(tmp_path, monkeypatch, capsys):
    y = np.round(1 / np.arange(1.0, 13.0), 6)
    rows = [f"{d},knn,{2**i},{s},0,{v + s / 4}" for d in (6, 11) for i, v in enumerate(y) for s in (-1, 1)]
    header = "openmlid,learner,size_train,outer_seed,inner_seed,score_valid"
    (tmp_path / "database-logloss.csv").write_text("\n".join([header, *rows]))
    (tmp_path / "task.json").write_text(json.dumps([{"valid": {"loss": [*y, float("inf")]}}, {"valid": {"loss": y[:3].tolist()}}]))
    # Out of order, and step 3 logged twice after a restart.
    table = [f"{run},{i + 1},{v}" for run in "ab" for i, v in reversed(list(enumerate(y)))]
    (tmp_path / "runs.csv").write_text("\n".join(["run,step,value", "a,3,7", *table]))
    for command in (
        ["lcdb", tmp_path / "database-logloss.csv", tmp_path / "out" / "lcdb1.0"],
        ["taskset", tmp_path, tmp_path / "out" / "taskset", "--pattern", "task*.json"],
        ["table", tmp_path / "runs.csv", tmp_path / "out" / "table", "--metric", "accuracy", "--direction", "max"],
    ):
        monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, command)])
        convert.main()
    assert "2 curves of 2 groups" in capsys.readouterr().out
    sources = load_all(tmp_path / "out")
    assert {name: len(curves) for name, curves in sources.items()} == {"lcdb1.0": 2, "taskset": 1, "table": 2}
    for name, steps in {"lcdb1.0": 2.0 ** np.arange(12), "taskset": np.arange(1.0, 13.0), "table": np.arange(1.0, 13.0)}.items():
        for curve in sources[name]:
            np.testing.assert_allclose(curve.values, y, atol=1e-6)
            np.testing.assert_array_equal(curve.steps, steps)
    modes = {name: (curves[0].mode, curves[0].bounds) for name, curves in sources.items()}
    assert modes == {"lcdb1.0": ("min", (0.0, None)), "taskset": ("min", (0.0, None)), "table": ("max", (0.0, 1.0))}
    assert {curve.group for curve in sources["lcdb1.0"]} == {"openml6", "openml11"}
    with pytest.raises(ValueError, match="database-"):
        tabular.lcdb(tmp_path / "runs.csv")
    with pytest.raises(ValueError, match="at least 4 points"):
        write(Source([(np.ones(3), np.ones(3))], ["g"], {}), tmp_path / "none")


def test_deepobs_is_read_by_test_problem(tmp_path):
    for problem, optimizer in (("mnist_vae", "AdamOptimizer"), ("mnist_vae", "MomentumOptimizer"), ("cifar10_3c3d", "AdamOptimizer")):
        run = {"test_losses": [3, 2, 1.5, float("nan"), 1e31]} | (
            {"test_accuracies": [0.1, 0.2, 0.3, 0.4, 0.5]} if "3c3d" in problem else {}
        )
        path = tmp_path / problem / optimizer / "num_epochs__4" / "random_seed__42__2019.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(run))
    losses, accuracies = (optimizers.deepobs(tmp_path, metric) for metric in ("test_losses", "test_accuracies"))
    assert losses.groups == ["cifar10_3c3d", "mnist_vae", "mnist_vae"]
    assert [losses.about["direction"], accuracies.about["direction"]] == ["min", "max"]
    np.testing.assert_array_equal(losses.curves[0][1], [3, 2, 1.5, np.nan, np.nan])
    ((steps, values),) = accuracies.curves
    np.testing.assert_array_equal(steps, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(values, [0.1, 0.2, 0.3, 0.4, 0.5])
    with pytest.raises(ValueError, match=r"expected test_losses in .*got none in .*clone it"):
        optimizers.deepobs(tmp_path / "none", "test_losses")


def test_algoperf_leaves_out_what_a_restart_repeats_and_joins_frameworks(tmp_path):
    def log(workload, trial, columns, *rows):
        put(tmp_path / "previous_leaderboards" / "v" / workload / trial / "eval_measurements.csv", "\n".join([columns, *rows]))

    image = "global_step,score,validation/loss,validation/accuracy"
    log("imagenet_vit_jax", "trial_1", image, "1,0,6.9,0.1", "90,0,5,0.2", "200,0,9,0.9", "90,0,4,0.3", "150,0,3,0.4")
    log("imagenet_vit_pytorch", "trial_1", image, "1,0,7,", "80,0,inf,0.5")
    log("librispeech_conformer_jax", "trial_1", "global_step,validation/ctc_loss,validation/wer", "1,30,1.4", "70,5,0.9")
    log("wmt_jax", "trial_1", "global_step,validation/loss,validation/bleu", "1,9,3")
    loss, score, wer = (optimizers.algoperf(tmp_path, metric) for metric in ("loss", "score", "wer"))
    assert loss.groups == ["imagenet_vit", "imagenet_vit", "librispeech_conformer"]
    assert steps_of(loss) == [[1, 90, 150], [1, 80], [1, 70]]
    assert values_of(loss) == [[6.9, 4, 3], [7, np.inf], [30, 5]]
    np.testing.assert_array_equal(score.curves[1][1], [np.nan, 0.5])
    assert (values_of(wer), wer.groups) == ([[1.4, 0.9]], ["librispeech_conformer"])
    assert [bounds_of(source.about["metric"]) for source in (loss, score, wer)] == [(0, None), (0, 1), (0, None)]
    with pytest.raises(ValueError, match="got none in"):
        optimizers.algoperf(tmp_path / "none", "loss")


def test_dopamine_begins_a_run_where_the_agent_changes_or_the_iteration_falls(tmp_path):
    records = [("DQN", 0, 1), ("DQN", 1, 2), ("DQN", 0, 3), ("DQN", 1, 4), ("C51", 2, 5), ("C51", 3, 6)]
    data = tmp_path / "baselines" / "atari" / "data"
    put(data / "pong.json", [{"Iteration": i, "Value": v, "Agent": agent} for agent, i, v in records])
    put(data / "pong_CNN.json", [{"Iteration": 0, "Value": 7, "Agent": "DQN"}])
    put(data / "pong.vg.json", {"mark": "line"})
    source = returns.dopamine(tmp_path)
    assert (source.groups, values_of(source)) == (["pong"] * 3, [[1, 2], [3, 4], [5, 6]])
    assert steps_of(source) == [[0, 1], [0, 1], [2, 3]]
    assert bounds_of(source.about["metric"]) == (None, None)
    with pytest.raises(ValueError, match="got none in"):
        returns.dopamine(tmp_path / "none")


def test_arlbench_keeps_runs_that_end_in_no_number(tmp_path):
    for environment, seed, rows in (("ppo_Ant-v4", "0", "100,1.5\n200,-inf\n300,"), ("dqn_Acrobot-v1", "9", "50,-500")):
        put(tmp_path / "results" / "sobol" / environment / seed / "12" / "evaluation.csv", "steps,returns\n" + rows)
    source = returns.arlbench(tmp_path)
    assert (source.groups, steps_of(source)) == (["dqn_Acrobot-v1", "ppo_Ant-v4"], [[50], [100, 200, 300]])
    np.testing.assert_array_equal(source.curves[1][1], [1.5, np.nan, np.nan])
    with pytest.raises(ValueError, match="earlier commit"):
        returns.arlbench(tmp_path / "none")


def nanogpt(losses, spacing=125):
    return "import torch\n" + "\n".join(f"step:{i * spacing}/1500 val_loss:{loss} train_time:9ms" for i, loss in enumerate(losses))


def test_modded_nanogpt_splits_logs_and_counts_a_repeated_run_once(tmp_path):
    one, other = [10.8, 6, 5, 4, 3.5], [10.9, 7, 5, 4, 3.6]
    records = tmp_path / "records"
    put(records / "track_1_short" / "a_Muon" / "x.txt", nanogpt(one) + "\n" + nanogpt(other) + "\n" + nanogpt([9, 8]))
    put(records / "track_1_short" / "b_Copied" / "deep" / "x.log", nanogpt(one))
    put(records / "track_2_medium" / "c" / "main.log", "\n".join(f"s:{i} tel:{5 - i}\ns:{i} trl:9" for i in range(5)))
    put(records / "track_3_optimization" / "results" / "d_soap" / "runs" / "1.txt", nanogpt([1, 2, 3, 4, 5]))
    put(records / "track_3_optimization" / "results" / "e.txt", nanogpt([1, 2, 3, 4, 6]))
    put(records / "track_3_optimization" / "README.md", nanogpt([5, 4, 3, 2, 1]))
    source = language.modded_nanogpt(tmp_path)
    assert source.groups == ["track_1_short/a_Muon", "track_1_short/a_Muon", "track_2_medium/c", "track_3/d_soap", "track_3"]
    assert values_of(source) == [one, other, [5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [1, 2, 3, 4, 6]]
    assert steps_of(source)[0] == [0, 125, 250, 375, 500]
    with pytest.raises(ValueError, match="got none in"):
        language.modded_nanogpt(tmp_path / "none")


def test_nasbench_nlp_is_read_in_the_order_of_its_archive(tmp_path):
    (tmp_path / "train_logs_wikitext-2").mkdir()
    with zipfile.ZipFile(tmp_path / "train_logs_wikitext-2" / "logs.zip", "w") as archive:
        archive.writestr("log_2.json", '{"val_losses": [6.0, 5.5, NaN], "test_losses": [1]}')
        archive.writestr("log_1.json", '{"val_losses": [5.0]}')
        archive.writestr("README", "")
    source = language.nasbench_nlp(tmp_path)
    np.testing.assert_array_equal(source.curves[0], [[1, 2, 3], [6, 5.5, np.nan]])
    assert (len(source.curves), values_of(source)[1]) == (2, [5])


def test_pythia_has_a_run_per_model_and_leaves_changed_data_out(tmp_path):
    evals = tmp_path / "evals" / "pythia-v1"
    for folder, step, accuracy in (("1b/zero-shot", 1000, 0.3), ("1b/zero-shot", 512, 0.2), ("1b-big", 3, 0.4), ("1b/baseline", 7, 0.9)):
        name = f"{folder.split('/')[0]}_step{step}.json"
        put(evals / f"pythia-{folder}" / name, {"results": {"wsc": {"acc": accuracy}, "arc": {"acc": 0.5}, "wiki": {"ppl": 9}}})
    source = language.pythia(tmp_path)
    assert source.groups == ["arc", "wsc", "arc", "wsc"]
    assert values_of(source) == [[0.5, 0.5], [0.2, 0.3], [0.5], [0.4]]
    assert steps_of(source) == [[512, 1000], [512, 1000], [3], [3]]
    with pytest.raises(ValueError, match="got none in"):
        language.pythia(tmp_path / "none")


def source_of(*lengths, groups="ab"):
    curves = [(np.arange(1.0, n + 1), np.arange(n) / 7) for n in lengths]
    return Source(curves, [groups[i % len(groups)] for i in range(len(lengths))], {"metric": "accuracy", "direction": "max"})


def test_the_part_that_was_seen_is_its_studies_and_a_sample_of_their_runs():
    source = source_of(4, 9, 5, 9, 2, 9, 6)  # the fifth is short; of "a" remain 4, 5 and 6 points
    some = chosen(source, Chosen(["a"], 3, "a0", ""))  # bits 101
    assert [len(values) for _, values in some.curves] == [4, 6]
    assert [len(values) for _, values in chosen(source, Chosen(["a"], 3, None, "")).curves] == [4, 5, 6]
    with pytest.raises(ValueError, match=r"expected 5 runs in the 1 studies .* got 3; check out"):
        chosen(source, Chosen(["a"], 5, None, ""))


def test_the_digest_is_that_of_the_curves_and_not_of_their_padding(tmp_path):
    source = source_of(5, 6)
    one = write(source, tmp_path / "one", dtype="float32")
    assert (one["values"].dtype, one["steps"].shape) == (np.float32, (6,))
    padded = {
        "values": np.pad(one["values"], ((0, 0), (0, 3)), constant_values=np.nan),
        "steps": np.broadcast_to(np.arange(1.0, 10), (2, 9)),
        "group": one["group"],
    }
    assert digest(padded) == digest(one)
    for name, place in (("values", (0, 2)), ("steps", 3), ("group", 1)):
        changed = {key: array.copy() for key, array in one.items()}
        changed[name][place] = "c" if name == "group" else 0.5
        assert digest(changed) != digest(one), name
    uneven = [*source.curves, (np.array([1.0, 2, 3, 7]), np.ones(4))]
    assert write(Source(uneven, ["a"] * 3, source.about), tmp_path / "uneven")["steps"].shape == (3, 6)


def test_the_command_says_whether_the_curves_are_those_that_were_seen(tmp_path, monkeypatch, capsys):
    name = "nasbench_nlp_wikitext2_val_loss"
    source = source_of(5, 4, 6)
    part = Chosen(["a"], 2, None, digest(write(source.take([0, 2]), tmp_path / "known", dtype="float32")))
    monkeypatch.setitem(chosen_parts(), name, part)
    monkeypatch.setitem(catalogue.READERS, name, lambda raw: source)
    monkeypatch.setattr(sys, "argv", ["convert", name, "--raw", str(tmp_path), "--folder", str(tmp_path / "out")])
    convert.main()
    printed = capsys.readouterr().out
    assert "2 curves of 1 groups" in printed
    assert "The values are those" in printed
    assert [len(curves) for curves in load_all(tmp_path / "out").values()] == [0]  # too short for the benchmark, but read
    source.curves[0][1][0] = 3
    convert.main()
    assert "The values differ" in capsys.readouterr().out


def test_every_source_that_the_shipped_model_saw_can_be_obtained():
    config = json.loads((ROOT / "models" / "general" / "config.json").read_text())
    seen = [source["name"] for source in config["real"]]
    card = (ROOT / "models" / "general" / "README.md").read_text()
    page = tables.pages()[ROOT / "benchmarks" / "SOURCES.md"]
    assert "benchmarks/SOURCES.md" in card
    assert len(seen) > 0
    parser = convert.parser()
    made = {name for _, sources in KINDS.values() for name in sources}  # by training small models oneself
    assert made <= set(seen)
    assert "python -m benchmarks.small_trainings" in page
    for name in seen:
        assert f"| {name} |" in card
    for name in (name for name in seen if name not in made):
        assert set(chosen_parts()[name].groups)
        (command,) = (line for line in page.splitlines() if line.startswith(f"python -m benchmarks.convert {name} "))
        assert parser.parse_args(command.split()[3:]).kind == name
    rows = [line.split(" | ")[0][2:] for line in card.splitlines() if line.startswith("| ") and ("github" in line or "PyPI" in line)]
    assert rows == [name for name in seen if name not in made]


def test_every_origin_is_named_with_its_licence_and_a_version():
    for origin in catalogue.ORIGINS:
        assert "checkout " in origin.obtain or "==" in origin.obtain, origin.title
        assert origin.licence.startswith(("Apache-2.0", "BSD-3-Clause", "MIT")), origin.title
    assert sorted(catalogue.READERS) == sorted(chosen_parts())
