"""Refreshes the printed outputs and the figures on the pages of docs/: ``python scripts/docs.py [PAGE ...]``.

Runs every Python and console block of a page in a temporary folder with the examples, as tests/test_docs.py does. Figures come
from benchmarks/docs_figures.py; the pictures from scripts/docs_pictures.py.
"""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.docs_figures import with_figures
from benchmarks.provenance import ROOT
from lcx.files import write_text

BLOCK = re.compile(
    r"^```python\n(?!--8<--)(?P<code>.*?)^```(?:\n\n```text\n.*?^```)?"  # a file shown is not ours to run
    r"|^```console\n\$ (?P<command>.*?)(?<!\\)\n.*?^```",
    re.DOTALL | re.MULTILINE,
)


def refreshed(page: str) -> str:
    """The page with what its blocks print now."""
    names: dict = {"__name__": "__main__"}

    def printed(match: re.Match) -> str:
        if match["command"]:
            command = match["command"]
            ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env=_environment())
            return f"```console\n$ {command}\n{(ran.stderr + ran.stdout).rstrip()}\n```"
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(match["code"], "block", "exec"), names)
        output = f"\n\n```text\n{shown.getvalue().rstrip()}\n```" if shown.getvalue() else ""
        return f"```python\n{match['code']}```{output}"

    return BLOCK.sub(printed, page)


def _environment() -> dict[str, str]:
    return os.environ | {"COLUMNS": "200", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def main() -> None:
    """Refreshes the pages named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="default all of docs/")
    pages = parser.parse_args().pages or sorted((ROOT / "docs").glob("*.md"))
    for page in (page.resolve() for page in pages):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("examples").symlink_to(ROOT / "examples")
            write_text(with_figures(refreshed(page.read_text())), page)
        print(page.name)


if __name__ == "__main__":
    main()
