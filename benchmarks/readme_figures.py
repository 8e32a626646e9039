"""The ten figures in README.md, between their marks."""

import re

from benchmarks.markdown import table
from benchmarks.provenance import command, known_result
from benchmarks.studies.summary import CUTS, overall

STUDIES = ("studies/general-unseen", "studies/general-0.1-unseen", "studies/empirical-unseen")
OTHERS = (
    "stopping/early_stop",
    "stopping/choosing",
    "stopping/earlier",
    "mcmc/pfn_vs_mcmc",
    "synthetic/calibration",
    "synthetic/log_score",
    "speed/forecast",
)


def figures() -> str:
    """The ten main figures out of benchmarks/, each with its command, date, commit and device."""
    found = recorded()
    return "\n".join(table("| | lcx | beside it | measured by |", rows(found)))


def recorded() -> dict[str, dict]:
    """The stored results that the figures are read from, by the name of their files."""
    return {name.partition("/")[2]: known_result(name) for name in (*STUDIES, *OTHERS)}


def rows(found: dict[str, dict]) -> list[list[str]]:
    """A row per figure: what it is, lcx's, what is beside it, how it was measured."""
    return [*forecasts(found), *stopping(found), *reference(found), time(found["forecast"])]


def _row(what: str, ours: str, theirs: str, result: dict) -> list[str]:
    """One line of the table of figures."""
    return [what, ours, theirs, f"`{command(result)}`, {result['date']}, {result['commit']}, {result['device']}"]


def forecasts(found: dict) -> list[list[str]]:
    """What forecasts of real curves are worth, of sources that no part of the model has seen."""
    ours, before, others = (found[name] for name in ("general-unseen", "general-0.1-unseen", "empirical-unseen"))
    alone, told, earlier, increments = (
        " / ".join(f"{overall(result, setting, cut)['crps'][0]:.3f}" for cut in CUTS)
        for result, setting in ((ours, "0"), (ours, "10"), (before, "0"), (others, "10"))
    )
    covered = (" / ".join(f"{100 * overall(ours, setting, cut)['covered'][-1]:.0f}" for cut in CUTS) for setting in ("0", "10"))
    curves, sources = sum(len(row["widths"]) for row in ours["sources"].values()), len(ours["sources"])
    return [
        _row(
            f"1. Error (CRPS) on {curves} curves of {sources} sources that the model has not seen", alone, f"model of 0.1 {earlier}", ours
        ),
        _row("2. The same curves with 10 other runs of their study", told, f"the others' increments alone {increments}", ours),
        _row("3. Later points inside 90 % intervals, in %: alone; with 10 others", "; ".join(covered), "90 would be exact", ours),
    ]


def stopping(found: dict) -> list[list[str]]:
    """What stopping early is worth."""
    result, mean = found["early_stop"].get("again", found["early_stop"]), found["early_stop"]["mean"]
    lcx, paused, none, wait, asha = (
        mean[name]
        for name in ("lcx:general study 0.05", "lcx:general study freeze-thaw", "no stopping", "patience 5", "Ray Tune ASHAScheduler")
    )
    chosen = found["choosing"]["mean"]
    told, search = chosen["lcx:general study freeze-thaw"], chosen["Ray Tune ASHAScheduler"]
    after, both_known = (found["earlier"]["mean"][name] for name in ("lcx:general study 0.05", "no stopping"))
    tasks = len(found["early_stop"]["tasks"])
    rivals = (("no stopping", none), ("patience", wait), ("ASHA", asha), ("ASHA with them", search), ("no stopping with both", both_known))
    both = f"`{command(result)}`; `{command(found['choosing'])}`, with `--earlier` {found['earlier']['commit']}"
    measured = f"{both}, {found['choosing']['date']}, {found['choosing']['commit']}, {found['choosing']['device']}"
    fewer = f", in {n} of the {result['orders']} orders" if (n := found["earlier"]["orders"]) < result.get("orders", n) else ""
    what = f"at a limit of 5 %; pausing; pausing with hyperparameters known; the limit with these and earlier studies{fewer}"
    return [
        [
            f"4. Regret of early stopping on {tasks} real tasks, mean over the budget: {what}",
            "; ".join(f"{of['regret_mean'][0]:.2f}" for of in (lcx, paused, told, after)),
            ", ".join(f"{name} {of['regret_mean'][0]:.2f}" for name, of in rivals),
            measured,
        ],
        [
            "5. Speed-up over no stopping (on the slowest task): likewise",
            "; ".join(f"{of['speed_up'][0]:.1f} ({of['slowest']:.2f})" for of in (lcx, paused, told, after)),
            ", ".join(f"{name} {of['speed_up'][0]:.1f} ({of['slowest']:.2f})" for name, of in rivals[1:]),
            measured,
        ],
        _row(
            "6. Would-be best runs that are stopped at a limit of 5 %, in %",
            f"{100 * lcx['false_rate'][0]:.0f}",
            ", ".join(f"{name} {100 * of['false_rate'][0]:.0f}" for name, of in rivals[1:3]),
            result,
        ),
    ]


def reference(found: dict) -> list[list[str]]:
    """The model `parametric` beside the posterior it stands for, and beside LC-PFN."""
    gap, held, score = (found[name] for name in ("pfn_vs_mcmc", "calibration", "log_score"))
    off = max(abs(at["model"]["coverage"][q] - float(q)) for at in held["cutoffs"].values() for q in ("0.5", "0.8", "0.95"))
    ours, theirs = (" / ".join(f"{at[name]:.3f}" for at in score["scores"].values()) for name in ("log_score", "P3"))
    short = " / ".join(f"{at['pfn_minus_gold'][0]:+.3f}" for at in gap["gap"].values())
    return [
        _row(
            "7. Log score less that of the exact posterior, nats per point", short, "0 would be exact", gap | {"command": "make bench-mcmc"}
        ),
        _row("8. Coverage of its intervals is off by at most, in points of %", f"{100 * off:.1f}", "0 would be exact", held),
        _row(f"9. Log score, {score['training']['parameters']:,} parameters", ours, f"LC-PFN, 26.8 million: {theirs}", score),
    ]


def time(result: dict) -> list[str]:
    """What a forecast takes, all in, and how that grows."""
    one, long = "1 curve, 40 points, 60 steps", "1 curve, 1,000 points, 60 steps"
    some, many = "64 curves, 40 points, 60 steps", "1,000 curves, 40 points, 60 steps"
    took = {case: 1e3 * result["seconds"][case]["median"] for case in (one, long, many)}
    times = [f"{result['ratios'][f'P3-size transformer, {case} / {case}']['median']:.0f}" for case in (one, some)]
    return _row(
        "10. A forecast all in: one curve; with 1,000 points; a curve of a batch of 1,000",
        f"{took[one]:.1f} ms; {took[long]:.0f} ms; {took[many] / 1000:.1f} ms",
        f"one pass of LC-PFN's network {times[0]} times as long for one curve, {times[1]} times for 64",
        result,
    )


def with_figures(page: str) -> str:
    """The page with the figures that the benchmarks have now, between its marks."""
    return re.sub(r"<!-- figures -->.*<!-- end -->", lambda _: f"<!-- figures -->\n{figures()}\n<!-- end -->", page, flags=re.DOTALL)
