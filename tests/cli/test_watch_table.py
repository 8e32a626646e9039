"""The table of lcx watch: every column where there is room, the needful ones in 80 letters, a sketch of each curve."""

import math
import sys

import numpy as np
import pytest

from lcx.cli import app
from lcx.cli.watch_table import sketch, watch_table
from lcx.report import Standing

REASON = "P(better than 0.13517) is at most 0.036, at step 80"


def runs(name="run"):
    first = Standing(f"{name} 01", 60, 80, 0.1563, 0.1563, "running", 0.1542, 0.1368, 0.1591, 0.13517, 0.036, True, REASON)
    other = Standing(f"{name} 02", 80, 80, 0.1352, 0.1352, "finished", 0.1352, reason="finished")
    return [first, other]


def test_a_wide_table_has_everything():
    header, first, other = watch_table(runs(), {"run 01": [3.0, 2.0, 1.0], "run 02": [1.0]}).splitlines()
    assert header.split() == ["run", "verdict", "P(better)", "step", "last", "best", "final", "5", "%", "95", "%", "curve", "reason"]
    assert first.split()[:8] == ["run", "01", "stop", "0.036", "60/80", "0.1563", "0.1563", "0.1542"]
    assert first.endswith(f"█▅▁    {REASON}")
    assert other.split()[2] == "finished"


@pytest.mark.parametrize("name", ["run", "a/very/long/path/of/a/run/of/some/sweep"])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_no_line_is_wider_than_the_terminal(name, width):
    lines = watch_table(runs(name), {f"{name} 01": range(99)}, width).splitlines()
    assert max(map(len, lines)) <= width
    assert "01" in lines[1]  # what tells runs apart stays
    assert "stop" in lines[1]
    assert "02" in lines[2]
    assert ("reason" in lines[0]) == (width >= 120) or name != "run"


def test_80_letters_show_what_a_decision_needs():
    header, first, _ = watch_table(runs(), {"run 01": range(99)}, 80).splitlines()
    assert header.split() == ["run", "verdict", "P(better)", "step", "last", "final", "5", "%", "95", "%", "curve"]
    assert first.endswith("▁▂▃▄▅▆▇█")


def test_a_sketch_goes_from_the_lowest_to_the_highest_value():
    assert sketch([1, 2, 3, 4]) == "▁▃▆█"
    assert sketch(np.linspace(5, -2, 800)) == "█▇▆▅▄▃▂▁"
    assert sketch([7, 7]) == "▅▅"
    assert sketch([math.nan, 1, math.inf, 2]) == "▁█"
    assert sketch([math.nan]) == ""


def test_colours_only_on_a_terminal(tmp_path, monkeypatch, capsys):
    (tmp_path / "log.csv").write_text("epoch,loss\n" + "".join(f"{e},{1 / e}\n" for e in range(1, 10)))
    shown = []
    for terminal in (True, False):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "argv", ["lcx", "watch", str(tmp_path / "log.csv"), "--horizon", "20", "--once", "--device", "cpu"])
        with pytest.raises(SystemExit):
            app.main()
        shown.append(capsys.readouterr().out)
    assert "\x1b[32m" in shown[0]
    assert "\x1b" not in shown[1]
    assert "there is no other run to beat yet" in shown[1]
