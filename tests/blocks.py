"""Runs the code blocks of a page and compares what they print with what the page says."""

import contextlib
import io
import re
import shlex
import sys

import pytest

from lcx.cli import app

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
PYTHON = re.compile(r"^```python\n(?!--8<--)(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n\$ (.*?)(?<!\\)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def same(printed: str, said: str) -> None:
    """Equal words; numbers equal to 1 %, or 2 in the third decimal, since other CPUs round otherwise."""
    assert NUMBER.sub("#", " ".join(printed.split())) == NUMBER.sub("#", " ".join(said.split()))
    for got, want in zip(NUMBER.findall(printed), NUMBER.findall(said), strict=True):
        assert float(got) == pytest.approx(float(want), rel=0.01, abs=2e-3)


def run_python(page: str) -> int:
    """Runs the Python blocks in turn, in one namespace; gives how many ran.

    A block prints what the text block after it says, or nothing if there is none.
    """
    names: dict = {"__name__": "__main__"}
    count = 0
    for code, said in PYTHON.findall(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "block", "exec"), names)
        same(printed.getvalue(), said)
        count += 1
    return count


def run_console(page: str, monkeypatch, capsys) -> int:
    """Runs the console blocks, each one command of lcx and what it prints, notes first; gives how many."""
    blocks = CONSOLE.findall(page)
    for command, said in blocks:
        monkeypatch.setattr(sys, "argv", shlex.split(command.replace("\\\n", " ")))
        assert sys.argv[0] == "lcx"
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            app.main()
        shown = capsys.readouterr()
        assert not stopped.value.code, shown.err
        same(shown.err + shown.out, said)
    return len(blocks)
