"""Refreshes the printed outputs and the figures in README.md, and examples/fan_chart.png: ``python scripts/readme.py``."""

import contextlib
import io
import re
import subprocess

from benchmarks.provenance import ROOT
from benchmarks.readme_figures import with_figures
from lcx.files import write_text


def main() -> None:
    """Runs every Python block with a text block after it, and the console block."""
    page = ROOT / "README.md"
    names: dict = {}

    def printed(match: re.Match) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(match[1], names)
        return f"```python\n{match[1]}```\n\n```text\n{out.getvalue()}```"

    def shell(match: re.Match) -> str:
        out = subprocess.run(match[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return f"```console\n$ {match[1]}\n{out}```"

    with contextlib.chdir(ROOT):
        text = re.sub(r"```python\n(.*?)```\n\n```text\n(.*?)```", printed, page.read_text(), flags=re.DOTALL)
        text = re.sub(r"```console\n\$ (.*?)\n(.*?)```", shell, text, flags=re.DOTALL)
        text = with_figures(text)
        shown = re.search(r"```console\n\$ (.*?)\n", text)
        assert shown, "README.md has a console block"
        every_step = re.sub(r" --at \S+", "", shown[1])
        subprocess.run(f"{every_step} --plot examples/fan_chart.png", shell=True, check=True, stdout=subprocess.DEVNULL)
    write_text(text, page)


if __name__ == "__main__":
    main()
