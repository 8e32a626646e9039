"""Refreshes the printed outputs and the figures in README.md, and examples/fan_chart.png: ``python scripts/readme.py``."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

from benchmarks.provenance import read_result
from lcx.files import write_text

ROOT = Path(__file__).resolve().parents[1]


def figures() -> str:
    """The main figures out of benchmarks/results, each with its command, date, commit and device."""
    score, speed, calibration = (read_result(name) for name in ("log_score", "speed", "calibration"))
    if not (score and speed and calibration):
        raise FileNotFoundError("expected results of log_score, speed and calibration, got some missing; run make bench")
    cost, single, batch = score["training"], speed["single"], speed["batch"]

    def ratio(section: dict, rival: str, ours: str) -> str:
        return f"{float(format(section['ratios'][f'{rival} / {ours}']['median'], '.2g')):,.0f}"

    alone, many = single["seconds"]["lcx, threads=1"]["median"], batch["seconds_per_curve"]["lcx, 1000"]
    lines = [
        *on_real_curves(),
        *early_stopping(),
        "The model `parametric` on fresh curves of the prior of LC-PFN:",
        "",
        "| | lcx `parametric` | LC-PFN P3 |",
        "|---|---|---|",
    ]
    for cutoff, s in score["scores"].items():
        lines.append(f"| log score at {cutoff} %, nats per point | {s['log_score']:.3f} ± {s['standard_error']:.3f} | {s['P3']} |")
    lines += [
        f"| parameters | {cost['parameters']:,} | {cost['P3_parameters']:,.0f} |",
        f"| training curves | {cost['curves']:,} | {cost['P3_curves']:,.0f} |",
        f"| training time | {60 * cost['hours']:.0f} min on 2 shared CPU cores | about 8 h on one RTX 2080 |",
        "",
        f"`predict` for one curve of 40 points and 60 steps takes {1000 * alone:.1f} ms on one CPU thread, and {1000 * many:.2f} ms per",
        "curve in a batch of 1,000 on two. How many times as long others take, medians of ratios within one run:",
        "",
        "| | one curve, 1 thread | per curve in a batch of 1,000 |",
        "|---|---|---|",
    ]
    for rival in ("P3-size transformer", "emcee M1, Prior.log_joint per walker", "emcee M1, lean NumPy density per walker"):
        one = f"{rival}, threads=1" if rival.startswith("P3") else rival
        lines.append(f"| {rival} | {ratio(single, one, 'lcx, threads=1')} | {ratio(batch, f'{rival}, 1000', 'lcx, 1000')} |")
    levels = ("0.5", "0.8", "0.95")
    off = [abs(row["model"]["coverage"][q] - float(q)) for row in calibration["cutoffs"].values() for q in levels]
    lines += [
        "",
        f"Prior draws are {ratio(speed['prior'], 'lcpfn', 'lcx')} times as fast as those of lcpfn 0.1.3. Central 50, 80 and 95 %",
        f"intervals are off by {100 * max(off):.1f} points of coverage at most, on {calibration['curves']:,} fresh curves per cut-off.",
        "",
    ]
    lines += against_mcmc()
    for what, r in (("Log score", score), ("Speed", single), ("Calibration", calibration)):
        lines.append(f"- {what}: `{r['command']}`, {r['date']}, commit {r['commit']}, {r['device']}.")
    return "\n".join(lines)


def on_real_curves() -> list[str]:
    """The default model on real curves beside simple extrapolation."""
    result = read_result("real_curves")
    if not result:
        raise FileNotFoundError("expected results of real_curves, got none; run benchmarks/real_curves.py")
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
    left = read_result("leave_out")
    out, all_in = (", ".join(f"{x:.3f}" for x in left["mean"][key]["crps"]) if left else "" for key in ("left out", "all in"))
    covered = ", ".join(f"{100 * general['mean'][cut]['covered'][-1]:.0f}" for cut in cuts)
    return [
        *lines,
        "",
        f"90 % intervals of `general` hold {covered} % of the later points. Its prior was fitted to summary statistics of curves of these",
        "sources, so this is no test on unseen ones; no real curve was trained on. With a whole domain left out of that fit, and a short",
        f"training, its curves score {out} instead of {all_in}: of domains",
        "that no part of the prior was fitted to, trust forecasts from the first tenth less. All rivals: benchmarks/README.md.",
        "",
        f"- `{general['command']}`, {general['date']}, commit {general['commit']}, {general['device']}.",
        "",
    ]


def early_stopping() -> list[str]:
    """Regret of stopping rules on real tasks."""
    result = read_result("early_stop")
    if not result:
        raise FileNotFoundError("expected results of early_stop, got none; run benchmarks/early_stop.py")
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
        f"Early stopping on {len(result['tasks'])} real tasks of 172 to 1,000 runs, {result['orders']} random orders each, a budget of",
        f"{result['budget']} full runs. Regret: what the best run so far lacks, in units of what the median run lacks.",
        "",
        "| | regret, mean over the budget | at the end | speed-up over no stopping, mean | slowest task | false stops |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {row['regret_mean'][0]:.3f} | {row['regret_end'][0]:.3f} | {row['speed_up'][0]:.2f} | {row['slowest']:.2f} | "
            f"{100 * row['false_rate'][0]:.0f} % |"
            for name, row in rows.items()
        ),
        "",
        "False stops are in per cent of the runs that would have become the best. Asked for 5, 10 or 20 %, the calibrated limit",
        "(`lcx.stopping.calibrated_delta`) gave "
        + ", ".join(f"{100 * schemes['other families']['achieved']:.1f}" for schemes in result["false_stops"]["rates"].values())
        + " % on families of tasks it was not set on.",
        "`led`, a limit that follows the leading run (`lcx.stopping.leading`), and freeze-thaw, which says what to train next where runs",
        "can be paused (`EarlyStopper.next_run`), had their forms and constants chosen on these tasks. Successive halving, Hyperband, top",
        "10 after 1 and freeze-thaw resume runs at no cost; with the others a stopped run is gone. A run never resumed counts as stopped.",
        "",
        f"- `{result['command']}`, {result['date']}, commit {result['commit']}, {result['device']}.",
        "",
    ]


def against_mcmc() -> list[str]:
    """The PFN beside the gold reference, emcee at the paper's longest setting, and the time both take."""
    result, speed = read_result("pfn_vs_mcmc"), read_result("mcmc_speed")
    if not (result and speed):
        raise FileNotFoundError("expected results of pfn_vs_mcmc and mcmc_speed, got some missing; run make bench-mcmc")
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
        text = re.sub(r"<!-- figures -->.*<!-- end -->", f"<!-- figures -->\n{figures()}\n<!-- end -->", text, flags=re.DOTALL)
        command = re.search(r"```console\n\$ (.*?)\n", text)
        assert command, "README.md has a console block"
        subprocess.run(f"{command[1]} --plot examples/fan_chart.png", shell=True, check=True, stdout=subprocess.DEVNULL)
    write_text(text, page)


if __name__ == "__main__":
    main()
