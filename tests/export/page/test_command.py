"""``lcx page`` opens the page, or writes a copy of it, or says how to get it."""

import sys

import pytest

from lcx.cli import app, page


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command with the page at a place of the test's own: exit code, output, errors, addresses opened."""
    opened: list[str] = []
    monkeypatch.setattr(page, "PAGE", tmp_path / "lcx.html")
    monkeypatch.setattr(page.webbrowser, "open", opened.append)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lcx", "page", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            app.main()
        shown = capsys.readouterr()
        return stopped.value.code or 0, shown.out, shown.err, opened

    return command


def test_it_opens_the_file_and_prints_its_address(run, tmp_path):
    (tmp_path / "lcx.html").write_text("page")
    address = (tmp_path / "lcx.html").as_uri()
    assert run() == (0, address + "\n", "", [address])


def test_it_writes_a_copy(run, tmp_path):
    (tmp_path / "lcx.html").write_text("page")
    assert run("--save", tmp_path / "copy.html")[0] == 0
    assert (tmp_path / "copy.html").read_text() == "page"


def test_without_the_page_it_says_how_to_build_it(run):
    code, out, err, opened = run()
    assert (code, out, opened) == (2, "", [])
    assert "make page" in err
    assert len(err.strip().splitlines()) == 1
