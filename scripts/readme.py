"""Refreshes the printed outputs in README.md and examples/fan_chart.png: ``python scripts/readme.py``."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

from lcx.checkpoint import write_text

ROOT = Path(__file__).resolve().parents[1]


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
        command = re.search(r"```console\n\$ (.*?)\n", text)
        assert command, "README.md has a console block"
        subprocess.run(f"{command[1]} --plot examples/fan_chart.png", shell=True, check=True, stdout=subprocess.DEVNULL)
    write_text(text, page)


if __name__ == "__main__":
    main()
