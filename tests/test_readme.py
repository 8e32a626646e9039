"""The README is true: its Python and console blocks print what it says, and its tree names every file of the package."""

import re
from pathlib import Path

import pytest
from blocks import run_console, run_python

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("without", ["lcx.mcmc(", pytest.param(None, marks=pytest.mark.slow)], ids=["but MCMC", "all"])
def test_python_blocks_print_what_the_readme_says(without, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run_python(README, without) >= 2


def test_the_console_block_prints_what_the_readme_says(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert run_console(README, monkeypatch, capsys) >= 1


def test_the_tree_names_every_module():
    tree = README[README.index("## Files") :]
    for path in (ROOT / "lcx").glob("*.py"):
        assert re.search(rf"^  {re.escape(path.name)} +\S", tree, re.MULTILINE), path.name
