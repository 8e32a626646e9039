"""Commands run in this process."""

import io
import sys

import pytest

from lcx.cli import app


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command: exit code, standard output, standard error."""

    def command(*arguments, stdin=None):
        monkeypatch.setattr(sys, "argv", ["lcx", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as stopped:  # typer always exits
            app.main()
        shown = capsys.readouterr()
        return stopped.value.code or 0, shown.out, shown.err

    return command
