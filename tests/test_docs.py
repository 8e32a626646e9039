"""The documentation is true: its blocks print what it says, nothing escapes execution, its pages, pictures and links exist."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from blocks import CONSOLE, PYTHON, run_console, run_python

from benchmarks.docs_figures import with_figures
from lcx.cli import app
from lcx.config import PFNConfig, PretrainConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
QUICK = ("index.md",)  # run by default


# 63 s (early-stopping), 18 (own-prior), 15 (how-it-works), 5 (scaling-laws), the others 2 at most
@pytest.mark.parametrize("page", [page if page in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in PAGES])
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of arviz 0.23, on import
def test_blocks_print_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    """In a folder with the examples, into which they may write."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    text = (DOCS / page).read_text()
    run_python(text)
    run_console(text, monkeypatch, capsys)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_that_it_is_not_code_of_ours(page):
    """Python and console blocks are all found by what runs them; other blocks are output, shell for the reader, or files shown."""
    text = (DOCS / page).read_text()
    fences = re.findall(r"^( *)```(\S*)", text, re.MULTILINE)
    opened = [(indent, language) for indent, language in fences[::2]]
    assert all(language in ("python", "text", "console", "sh", "json", "bash", "ini", "yaml") for _, language in opened), opened
    shown = text.count("--8<--")  # whole files, which have tests of their own
    assert sum(language == "python" for _, language in opened) == len(PYTHON.findall(text)) + shown
    assert sum(language == "console" for _, language in opened) == len(CONSOLE.findall(text))


def test_every_page_is_in_the_navigation():
    named = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(named) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_pictures_and_files_shown_exist(page):
    text = (DOCS / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert target.startswith("https://") or (DOCS / target).is_file(), target
    for target in re.findall(r'--8<-- "([^"]+)"', text):
        assert (ROOT / target).is_file(), target
    pictures = set(re.findall(r"pictures/[\w-]+\.png", "".join((DOCS / each).read_text() for each in PAGES)))
    assert pictures == {path.relative_to(DOCS).as_posix() for path in (DOCS / "pictures").glob("*.png")}


@pytest.mark.parametrize(
    ("page", "count"), [("trust.md", 3), ("early-stopping.md", 2), ("pretraining-at-scale.md", 2), ("scaling-laws.md", 1)]
)
def test_figures_are_those_of_the_results(page, count):
    text = (DOCS / page).read_text()
    assert with_figures(text) == text
    assert text.count("<!-- end -->") == count


def test_the_tree_names_every_folder_and_module_beside_them():
    text = (DOCS / "where-to-find-what.md").read_text()
    for path in [*(ROOT / "lcx").glob("*.py"), *(path.parent for path in (ROOT / "lcx").glob("*/__init__.py"))]:
        assert re.search(rf"^  {re.escape(path.name)}/? +\S", text, re.MULTILINE), path.name


def test_every_adapter_and_its_example_are_shown():
    text = (DOCS / "integrations.md").read_text()
    for path in (ROOT / "examples" / "integrations").glob("*.py"):
        assert f'--8<-- "examples/integrations/{path.name}"' in text, path.name


def test_every_command_is_described():
    text = (DOCS / "command-line.md").read_text()
    for name in typer.main.get_command(app.app).commands:
        assert f"lcx {name}" in text, name


@pytest.mark.parametrize("page", [DOCS / page for page in PAGES] + [ROOT / "README.md"], ids=lambda page: page.name)
def test_options_in_shell_blocks_exist(page):
    """Those of lcx, and of scripts/pretrain.py; what is run compares more."""
    commands: dict[str, set[str]] = {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in typer.main.get_command(app.app).commands.items()
    }
    names = [field.name.replace("_", "-") for config in (PretrainConfig, PFNConfig) for field in fields(config)]
    commands["pretrain"] = {
        f"--{name}" for name in (*names, "folder", "resume", "minutes", "device", "metric", "mode", "lower", "upper", "format")
    }
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").replace("scripts/pretrain.py", "\nlcx pretrain").splitlines():
            if line.startswith("lcx "):
                _, name, *words = line.split()
                assert {word.split("=")[0] for word in words if re.match("--?[a-z]", word)} <= commands[name], line


def test_every_public_name_and_adapter_is_in_the_reference():
    import lcx

    text = (DOCS / "api.md").read_text()
    for name in lcx.__all__:
        assert re.search(rf"^::: lcx\.{name}$", text, re.MULTILINE), name
    for path in (ROOT / "lcx" / "integrations").glob("*.py"):
        for name in re.findall(r"^class (LCX\w+)", path.read_text(), re.MULTILINE):
            assert f"\n::: lcx.integrations.{path.stem}.{name}\n" in text, (path.stem, name)


def test_the_citation_and_the_changelog_know_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version} - " in (ROOT / "CHANGELOG.md").read_text()
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
