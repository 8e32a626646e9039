"""The README is true: its Python and console blocks print what it says, and its tree names every file of the package."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from lcx.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def same(printed: str, said: str) -> None:
    """Equal words; numbers equal to 1 %, or 2 in the third decimal, since other CPUs round otherwise."""
    assert NUMBER.sub("#", " ".join(printed.split())) == NUMBER.sub("#", " ".join(said.split()))
    for got, want in zip(NUMBER.findall(printed), NUMBER.findall(said), strict=True):
        assert float(got) == pytest.approx(float(want), rel=0.01, abs=2e-3)


def test_python_blocks_print_what_the_readme_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    names: dict = {}
    for code, said in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        same(printed.getvalue(), said)


def test_the_console_block_prints_what_the_readme_says(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    command, said = re.search(r"```console\n\$ (.*?)\n(.*?)```", README, re.DOTALL).groups()
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit):
        app.main()
    same(capsys.readouterr().out, said)


def test_the_tree_names_every_module():
    tree = README[README.index("## Files") :]
    for path in (ROOT / "lcx").glob("*.py"):
        assert re.search(rf"^  {re.escape(path.name)} +\S", tree, re.MULTILINE), path.name
