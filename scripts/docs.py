"""Refreshes the printed outputs and the figures on the pages of docs/: ``python scripts/docs.py [PAGE ...]``.

Runs every Python and console block of a page in a temporary folder with the examples, as tests/test_docs.py does. Figures come from
benchmarks/results, as those of the README; the pictures from scripts/docs_pictures.py.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.door_tables import ranks_table
from benchmarks.provenance import read_result
from lcx.files import write_text
from scripts.readme import against_mcmc, on_real_curves

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^```python\n(?!--8<--)(?P<code>.*?)^```(?:\n\n```text\n.*?^```)?"  # a file shown is not ours to run
    r"|^```console\n\$ (?P<command>.*?)(?<!\\)\n.*?^```",
    re.DOTALL | re.MULTILINE,
)


def with_figures(page: str) -> str:
    """The page with the figures that benchmarks/results has now, between its marks."""
    found = {"real curves": on_real_curves, "calibration": calibration, "mcmc": against_mcmc, "ranks": ranks, "cost": cost}
    marked = re.compile(r"<!-- (real curves|calibration|mcmc|ranks|cost) -->\n.*?<!-- end -->", re.DOTALL)
    return marked.sub(lambda mark: "\n".join([f"<!-- {mark[1]} -->", *found[mark[1]](), "<!-- end -->"]), page)


def calibration() -> list[str]:
    """Coverage of the parametric model on fresh draws of its prior."""
    result = read_result("calibration")
    if result is None:
        raise FileNotFoundError("expected results of calibration, got none; run benchmarks/calibration.py")
    lines = ["| | 50 % intervals | 80 % | 95 % | PIT in its 99 % band |", "|---|---|---|---|---|"]
    for cutoff, rows in result["cutoffs"].items():
        for name, label in (("model", f"{cutoff} % seen"), ("scale_x_1.5", "the same, scales × 1.5")):
            held = " | ".join(f"{100 * share:.1f}" for share in rows[name]["coverage"].values())
            lines.append(f"| {label} | {held} | {'yes' if rows[name]['inside_band'] else 'no'} |")
    origin = f"- `{result['command']}`, {result['date']}, commit {result['commit']}, {result['device']}."
    return [*lines, "", f"{result['curves']:,} fresh curves per cut-off, one later step each.", "", origin]


def ranks() -> list[str]:
    """Pretraining by two processes beside one."""
    result = read_result("ranks")
    if result is None:
        raise FileNotFoundError("expected results of ranks, got none; run benchmarks/ranks.py")
    return [*ranks_table(result), "", f"- `{result['command']}`, {result['date']}, commit {result['commit']}, {result['device']}."]


def cost() -> list[str]:
    """What 10^9 curves of each prior take on such processors."""
    result = read_result("ranks")
    if result is None:
        raise FileNotFoundError("expected results of ranks, got none; run benchmarks/ranks.py")
    last = {row["prior"]: row for row in result["rows"]}  # of each prior the largest batch
    told = [f"{1e9 * row['alone']['seconds'] / 86400:,.0f} core days of the prior `{prior}`" for prior, row in last.items()]
    return [f"On these CPUs, at {result['rows'][-1]['batch']} curves a step, 10^9 curves take {' and '.join(told)}."]


def refreshed(page: str) -> str:
    """The page with what its blocks print now."""
    names: dict = {"__name__": "__main__"}

    def printed(match: re.Match) -> str:
        if match["command"]:
            command = match["command"]
            out = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env=_environment()).stdout
            return f"```console\n$ {command}\n{out.rstrip()}\n```"
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
