"""Refreshes the printed outputs and the figures on the pages of docs/: ``python scripts/docs.py [PAGE ...]``.

Runs every Python and console block of a page in a temporary folder with the examples, as tests/test_docs.py does. Figures come from
benchmarks/, as those of the README; the pictures from scripts/docs_pictures.py.
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

from benchmarks.provenance import ROOT, known_result, source
from benchmarks.scale.tables import ranks_table
from lcx.files import write_text

BLOCK = re.compile(
    r"^```python\n(?!--8<--)(?P<code>.*?)^```(?:\n\n```text\n.*?^```)?"  # a file shown is not ours to run
    r"|^```console\n\$ (?P<command>.*?)(?<!\\)\n.*?^```",
    re.DOTALL | re.MULTILINE,
)


def with_figures(page: str) -> str:
    """The page with the figures that the benchmarks have now, between its marks."""
    found = {
        "real curves": on_real_curves,
        "early stopping": early_stopping,
        "calibration": calibration,
        "mcmc": against_mcmc,
        "ranks": ranks,
        "cost": cost,
    }
    marked = re.compile(r"<!-- (real curves|early stopping|calibration|mcmc|ranks|cost) -->\n.*?<!-- end -->", re.DOTALL)
    return marked.sub(lambda mark: "\n".join([f"<!-- {mark[1]} -->", *found[mark[1]](), "<!-- end -->"]), page)


def on_real_curves() -> list[str]:
    """The default model on real curves beside simple extrapolation."""
    result = known_result("forecasts/real_curves")
    methods = result["methods"]
    names = {
        "lcx:general": "lcx `general`",
        "lcx:parametric": "lcx `parametric`",
        "last-value": "last value",
        "pow3": "power law by least squares",
        "ensemble": "ensemble of five least-squares fits",
        "ets": "exponential smoothing (ETS)",
    }
    general = methods["lcx:general"]
    cuts = list(general["mean"])
    lines = [
        f"Real curves, {sum(general['curves'].values())} of {len(general['sources'])} sources: CRPS over all later points in units of each",
        "curve's range, mean over sources, seen up to 10, 20, 40 and 80 % of its points; lower is better.",
        "",
        "| | " + " | ".join(f"{cut} %" for cut in cuts) + " |",
        "|---" * (len(cuts) + 1) + "|",
    ]
    for name, label in names.items():
        if name in methods:
            lines.append(f"| {label} | " + " | ".join(f"{methods[name]['mean'][cut]['crps'][0]:.3f}" for cut in cuts) + " |")
    left = known_result("forecasts/leave_out")
    out, all_in = (", ".join(f"{x:.3f}" for x in left["mean"][key]["crps"]) for key in ("left out", "all in"))
    covered = ", ".join(f"{100 * general['mean'][cut]['covered'][-1]:.0f}" for cut in cuts)
    return [
        *lines,
        "",
        f"The 90 % intervals of `general` contain {covered} % of the later points. No real curve was trained on, but the prior was",
        "fitted to summary statistics of curves of these sources, so this is no test on unseen sources. When a whole domain was left out",
        f"of that fit, its curves scored {out} instead of {all_in}",
        "(both after a short training): in a domain that the prior was not fitted to, trust forecasts from the first tenth less.",
        "All rivals: `benchmarks/README.md`.",
        "",
        f"- {source(general)}.",
    ]


def early_stopping() -> list[str]:
    """Regret of stopping rules on real tasks."""
    result = known_result("stopping/early_stop")
    names = (
        "no stopping",
        "patience 5",
        "median rule",
        "ASHA, eta 3",
        "successive halving",
        "Hyperband",
        "top 10 after 1",
        "lcx:general 0.05",
        "lcx:general 0.01",
        "lcx:general led",
        "lcx:general freeze-thaw",
    )
    rows = {name: result["mean"][name] for name in names}
    return [
        f"{len(result['tasks'])} real tasks of 172 to 1,000 runs, {result['orders']} random orders of each, a budget of {result['budget']}",
        "full runs.",
        "Regret is how far the best run so far is behind the best of the task, in units of how far the median run is behind it.",
        "",
        "| | regret, mean over the budget | at the end | speed-up over no stopping, mean | slowest task | false stops |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {row['regret_mean'][0]:.3f} | {row['regret_end'][0]:.3f} | {row['speed_up'][0]:.2f} | {row['slowest']:.2f} | "
            f"{100 * row['false_rate'][0]:.0f} % |"
            for name, row in rows.items()
        ),
        "",
        "False stops are in per cent of the runs that would have become the best so far. Asked for 5, 10 or 20 %, the calibrated limit",
        "(`lcx.stopping.calibrated_delta`) gave "
        + ", ".join(f"{100 * schemes['other families']['achieved']:.1f}" for schemes in result["false_stops"]["rates"].values())
        + " % on families of tasks that it was not set on.",
        "The form and the constants of `led` (a limit that follows the leading run) and of freeze-thaw (pausing and resuming) were chosen",
        "on these tasks. Successive halving, Hyperband, top 10 after 1 and freeze-thaw resume runs at no cost; the others cannot resume.",
        "A run that is paused and never resumed counts as stopped.",
        "",
        f"- {source(result)}.",
    ]


def against_mcmc() -> list[str]:
    """The PFN beside the gold reference, emcee at the paper's longest setting, and the time both take."""
    result, speed = known_result("mcmc/pfn_vs_mcmc"), known_result("mcmc/mcmc_speed")
    lines = ["| the same posterior by sampling | 10 % | 20 % | 40 % | 80 % |", "|---|---|---|---|---|"]
    gaps = [row["pfn_minus_gold"] for row in result["gap"].values()]
    lines.append("| PFN - gold, nats per point | " + " | ".join(f"{m:+.3f} [{low:+.3f}, {high:+.3f}]" for m, low, high in gaps) + " |")
    rivals = [row["pfn_minus_this"] for row in result["methods"]["emcee-M3"].values()]
    lines.append("| PFN - emcee M3 | " + " | ".join(f"{m:+.3f} [{low:+.3f}, {high:+.3f}]" for m, low, high in rivals) + " |")
    first, other = result["gap"]["10"]["curves"], result["methods"]["emcee-M3"]["10"]["curves"]
    passed = sum(row["converged"] for row in result["methods"]["emcee-M3"].values()) / 4
    times = speed["ratios"]["PFN, one curve"]
    names = {"emcee-M1, a density call per walker": "emcee M1 with a density call per walker", "lcx.mcmc smc": "SMC"}
    text = ", ".join(f"{label} {float(format(times[name]['median'], '.2g')):,.0f}" for name, label in names.items())
    lines += [
        "",
        f"Gold: two runs of tempered SMC on {first} fresh curves; emcee M3: {other} of them, {100 * passed:.0f} % of its runs converged.",
        f"95 % intervals over curves. Time, in units of the PFN's for one curve (one thread, same run): {text}.",
        "",
        f"- MCMC: `make bench-mcmc`, {result['date']}, commit {result['commit']}, {result['device']}.",
    ]
    return lines


def calibration() -> list[str]:
    """Coverage of the parametric model on fresh draws of its prior."""
    result = known_result("synthetic/calibration")
    lines = ["| | 50 % intervals | 80 % | 95 % | PIT in its 99 % band |", "|---|---|---|---|---|"]
    for cutoff, rows in result["cutoffs"].items():
        for name, label in (("model", f"{cutoff} % seen"), ("scale_x_1.5", "the same, scales × 1.5")):
            held = " | ".join(f"{100 * share:.1f}" for share in rows[name]["coverage"].values())
            lines.append(f"| {label} | {held} | {'yes' if rows[name]['inside_band'] else 'no'} |")
    origin = f"- {source(result)}."
    return [*lines, "", f"{result['curves']:,} fresh curves per cut-off, one later step each.", "", origin]


def ranks() -> list[str]:
    """Pretraining by two processes beside one."""
    result = known_result("scale/ranks")
    return [*ranks_table(result), "", f"- {source(result)}."]


def cost() -> list[str]:
    """What 10^9 curves of each prior take on such processors."""
    result = known_result("scale/ranks")
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
