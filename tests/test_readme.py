"""The README is true: its blocks print what it says, its figures are those measured, its links exist."""

import re
from pathlib import Path

from blocks import run_console, run_python

from benchmarks.readme_figures import figures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_python_blocks_print_what_the_readme_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert run_python(README) >= 2


def test_the_console_block_prints_what_the_readme_says(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert run_console(README, monkeypatch, capsys) >= 1


def test_the_tree_names_every_folder():
    tree = README[README.index("## Files") :]
    for path in (ROOT / "lcx").glob("*/__init__.py"):
        assert re.search(rf"^  {path.parent.name}/ +\S", tree, re.MULTILINE), path.parent.name


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", README):
        assert (ROOT / target).is_file(), target


def test_figures_are_those_of_the_results():
    assert README.split("<!-- figures -->\n")[1].split("\n<!-- end -->")[0] == figures()
    assert figures().count("\n") - 1 <= 10


def test_it_is_short():
    assert len(README.splitlines()) <= 150
