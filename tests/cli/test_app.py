"""The command line: tables, JSON, CSV, pictures, standard input; one line and exit code 2 on bad input; nothing half written."""

import io
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lcx
from lcx.pfn import checkpoint

CURVE = Path(__file__).parents[2] / "examples" / "digits_accuracy.csv"
BASE = ["predict", str(CURVE), "--upto", "20", "--horizon", "100", "--mode", "max", "--lower", "0", "--upper", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def expected():
    values = pd.read_csv(CURVE)["accuracy"].to_numpy()[:20]
    return lcx.predict(values, horizon=100, mode="max", bounds=(0, 1), device="cpu")


def test_json_and_csv_hold_what_predict_answers(run, expected):
    code, out, _ = run(*BASE, "--json", "--best", "0.9")
    answer = json.loads(out)
    assert code == 0
    assert answer["metric"] == "accuracy"
    np.testing.assert_allclose([row["0.5"] for row in answer["at"]], expected.median, atol=1e-6)
    np.testing.assert_allclose([row["better"] for row in answer["at"]], expected.prob_better(0.9), atol=1e-6)
    code, out, _ = run(*BASE, "--csv")
    table = pd.read_csv(io.StringIO(out))
    assert list(table.columns) == ["step", "mean", "0.05", "0.25", "0.5", "0.75", "0.95"]
    np.testing.assert_allclose(table["0.95"], expected.quantile(0.95), atol=1e-6)


def test_the_table_shows_the_last_step_and_the_picture_is_written(run, expected, tmp_path):
    code, out, _ = run(*BASE, "--plot", tmp_path / "fan.png")
    assert code == 0
    assert out.splitlines()[-2].split()[0] == "100"
    assert f"{expected.median[-1]:.4g}" in out
    assert (tmp_path / "fan.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "text",
    [
        "0.3\n0.4\n0.5\n",
        "[0.3, 0.4, 0.5]",
        '{"values": [0.3, 0.4, 0.5], "steps": [1, 2, 3]}',
        '[{"epoch": 0, "acc": 0.3}, {"epoch": 1, "acc": 0.4}, {"epoch": 2, "acc": 0.5}]',
        "epoch, acc\n1, 0.3\n2, 0.4\n3, 0.5\n",
        "acc,note\n0.3,a\n0.4,b\n0.5,c\n",
        "epoch;acc\n0;0.3\n1;0.4\n2;0.5\n",
        "iterations\tacc\n1\t0.3\n2\t0.4\n3\t0.5\n",
        "epoch,step,time,acc\n0,1,7.5,0.3\n0,2,8.5,0.4\n0,3,9.5,0.5\n",
        '{"step": 1, "acc": 0.3}\n{"step": 2, "acc": 0.4}\n{"step": 3, "acc": 0.5}\n',
        '{"max_steps": 10, "log_history": [{"step": 1, "epoch": 0.1, "acc": 0.3}, {"step": 2, "acc": 0.4}, {"step": 3, "acc": 0.5},'
        ' {"step": 3, "train_runtime": 9.0, "train_loss": 1.0}]}',
    ],
)
def test_csv_json_and_standard_input_are_read(run, text):
    text = "acc\n" + text if text.startswith("0.3") else text
    free = ["--lower", "-inf", "--upper", "inf"]  # whatever the name of the metric
    options = ["--horizon", "10", "--mode", "max", "--at", "5,10", "--json", "--device", "cpu"]
    code, out, err = run("predict", "-", *options, *free, stdin=text)
    assert code == 0, err
    alone = lcx.predict([0.3, 0.4, 0.5], horizon=10, mode="max", at=[5, 10], device="cpu")
    np.testing.assert_allclose([row["mean"] for row in json.loads(out)["at"]], alone.mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "missing.csv", "--horizon", "9", "--mode", "max"], "missing.csv"),
        (["predict", "BINARY", "--horizon", "9", "--mode", "max"], "binary"),
        (["predict", "PROSE", "--horizon", "9", "--mode", "max"], "prose"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "max", "--column", "loss"], "loss"),
        (["predict", str(CURVE.with_name("digits_loss.csv")), "--horizon", "200", "--at", "150"], "--metric loss"),
        (["predict", str(CURVE), "--horizon", "50", "--mode", "max"], "horizon"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "most"], "mode"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "max", "--at", "150,x"], "--at"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "max", "--model", "none"], "model"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "max", "--json", "--csv"], "one of"),
        (["predict", str(CURVE), "--horizon", "200", "--mode", "max", "--plot", "no/such/folder.png"], "no/such"),
    ],
)
def test_bad_input_prints_one_line_and_exits_with_2(run, tmp_path, arguments, words):
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    (tmp_path / "prose").write_text("this is no table\nat all\n")
    files = {"BINARY": tmp_path / "binary", "PROSE": tmp_path / "prose"}
    code, out, err = run(*(files.get(a, a) for a in arguments))
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


MCMC = ["mcmc", *BASE[1:], "--upto", "5", "--at", "30,60,100", "--draws", "10", "--no-strict", "--seconds", "0"]  # tempering alone


def test_mcmc_prints_the_table_and_its_diagnostics(run):
    code, out, err = run(*MCMC)
    *_, last, line = out.splitlines()
    assert code == 0, err
    assert last.split()[0] == "100"
    assert line.startswith("smc: 40 draws, bulk ESS at least ")
    assert line.endswith(" s")
    with_json = json.loads(run(*MCMC, "--json", "--best", "0.9")[1])
    assert {"sampler": "smc", "draws": 40, "rhat": None, "divergences": None}.items() <= with_json["diagnostics"].items()
    assert f"{with_json['at'][-1]['0.5']:.4g}" in last.split()
    assert with_json["horizon"] == 100


def test_compare_sets_the_parametric_pfn_beside_mcmc_in_table_and_picture(run, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib.figure import Figure

    saved, savefig = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (saved.append(figure), savefig(figure, *a, **k)))
    code, out, err = run(*MCMC, "--compare", "--plot", tmp_path / "both.png")
    lines = out.splitlines()
    assert code == 0, err
    assert lines[1].endswith("95 %  PFN 5 %  PFN median  PFN 95 %")
    values = pd.read_csv(CURVE)["accuracy"].to_numpy()[:5]
    same = lcx.predict(values, horizon=100, mode="max", bounds=(0, 1), at=[100], model="parametric", device="cpu")
    quantiles = same.quantile([0.05, 0.5, 0.95])[0]
    np.testing.assert_allclose([float(x) for x in lines[4].split()[-3:]], quantiles, rtol=1e-3)
    assert lines[6].startswith("PFN: one pass, ")
    assert (tmp_path / "both.png").read_bytes()[:4] == b"\x89PNG"
    drawn = {line.get_label(): line.get_ydata() for line in saved[0].axes[0].lines}
    assert f"{drawn['MCMC median'][-1]:.4g}" in lines[4].split()
    assert drawn["PFN median"][-1] == pytest.approx(quantiles[1], rel=1e-4)
    assert len(saved[0].axes) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--draws", "4", "--strict"], "ESS"),
        (["--draws", "3"], "draws"),
        (["--sampler", "gibbs"], "gibbs"),
        (["--json", "--csv"], "one of"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_mcmc_refuses_in_one_line(run, arguments, words):
    code, out, err = run(*MCMC, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("lcx: ")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_mcmc_that_has_not_converged_warns_once_and_answers(run):
    code, out, err = run(*MCMC, "--draws", "4")
    assert code == 0
    assert out.splitlines()[-1].startswith("smc: 16 draws")
    assert [line.startswith("warning: accuracy: ESS") for line in err.splitlines()] == [True]


def test_info_names_the_models(run):
    code, out, _ = run("info", "--json")
    assert code == 0
    assert json.loads(out)["models"]["parametric"]["parameters"] <= 2_000_000
    assert "parametric" in run("info")[1]


def test_pretrain_is_the_same_program_as_the_script(tmp_path, monkeypatch, capsys):
    options = ["--curves", "64", "--batch", "8", "--width", "8", "--layers", "1", "--heads", "1"]
    options += ["--validation-curves", "50", "--device", "cpu"]
    command = [sys.executable, "-m", "lcx.cli.app", "pretrain", *options, "--folder", str(tmp_path / "command")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    script = Path(__file__).parents[2] / "scripts" / "pretrain.py"
    monkeypatch.setattr(sys, "argv", [str(script), *options, "--folder", str(tmp_path / "script")])
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which the script adds
    runpy.run_path(str(script), run_name="__main__")
    assert "64 curves" in done.stdout
    assert "64 curves" in capsys.readouterr().out
    one, other = (checkpoint.read_tensors(tmp_path / name / "model.safetensors") for name in ("command", "script"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    sys.argv += ["--resume", "--batch", "4"]
    with pytest.raises(ValueError, match="resume with the same options"):
        runpy.run_path(str(script), run_name="__main__")
