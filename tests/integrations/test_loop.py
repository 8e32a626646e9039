"""The plain PyTorch loop of the examples: it stops what is hopeless, and goes on after an interruption."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

import lcx

pytestmark = pytest.mark.slow  # 2 s
EXAMPLE = Path(__file__).parents[2] / "examples" / "integrations" / "pytorch_loop.py"


def run(monkeypatch, capsys, folder):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(folder)])
    runpy.run_path(str(EXAMPLE))
    return capsys.readouterr().out.splitlines()


def test_the_hopeless_run_is_stopped_and_an_interrupted_loop_ends_like_one_that_was_not(monkeypatch, capsys, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    poor, good = run(monkeypatch, capsys, whole)
    assert "P(better than 0.15) is at most" in poor
    assert good.endswith("trained to the end")

    save, saved = torch.save, []

    def crash_after_three(state, path):
        save(state, path)
        saved.append(path)
        if len(saved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", crash_after_three)
        with pytest.raises(KeyboardInterrupt):
            run(monkeypatch, capsys, cut)
    assert run(monkeypatch, capsys, cut) == [poor, good]
    assert run(monkeypatch, capsys, cut) == [poor, good], "what was finished is trained again"
    for name in ("rate 0.001.pt", "rate 1.0.pt"):
        first, second = (torch.load(folder / name) for folder in (whole, cut))
        assert first["stopper"] == second["stopper"]
        assert torch.equal(first["weights"], second["weights"])
        assert lcx.EarlyStopper.from_state(second["stopper"]).state() == second["stopper"]
