"""The benchmarks' pages say what the stored results say, and the commands on them can be given; interrupted stores go on."""

import re
from pathlib import Path

import pytest

from benchmarks import rows, tables
from benchmarks.provenance import ROOT, command


@pytest.fixture(scope="module")
def pages():
    return tables.pages()


def test_pages_are_those_of_the_results(pages):
    """``python benchmarks/tables.py`` would change nothing."""
    assert [path.relative_to(ROOT).as_posix() for path, text in pages.items() if path.read_text() != text] == []


def test_commands_on_the_pages_name_scripts_and_options_that_exist(pages):
    printed = re.findall(r"`(?:python|torchrun [^`]*?) (benchmarks/[^`]*)`", "\n".join(pages.values()))
    printed += re.findall(r"python (benchmarks/.*)", (ROOT / "Makefile").read_text())
    assert len(printed) > 30
    for line in printed:
        script, *options = line.split()
        source = (ROOT / script).read_text()
        for option in (word for word in options if word.startswith("--")):
            assert f'"{option}"' in source, line


def test_scripts_and_modules_named_on_the_pages_exist(pages):
    for path in re.findall(r"benchmarks/[\w/]+\.py", "\n".join(pages.values())):
        assert (ROOT / path).is_file(), path
    for picture in re.findall(r"\]\(([\w/.-]+\.png)\)", pages[ROOT / "benchmarks" / "README.md"]):
        assert (ROOT / "benchmarks" / picture).is_file(), picture


def test_old_commands_are_told_with_the_paths_of_today():
    told = command({"command": "torchrun --nproc_per_node=2 benchmarks/ranks.py --turns 2"})
    assert told == "torchrun --nproc_per_node=2 benchmarks/scale/ranks.py --turns 2"
    assert command({"command": told}) == told


def test_rows_cut_short_by_an_interruption_are_left_out_and_written_over(tmp_path: Path):
    path = tmp_path / "new" / "rows.jsonl"
    assert rows.stored(path) == []
    with rows.appended(path) as out:
        rows.append({"curve": 1}, out)
    with path.open("a") as out:
        out.write('{"curve": 2, "sco')
    with rows.appended(path) as out:
        rows.append({"curve": 2}, out)
    assert rows.stored(path) == [{"curve": 1}, {"curve": 2}]
