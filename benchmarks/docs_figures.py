"""The figures on the pages of docs/, between their marks."""

import re

from benchmarks.markdown import table, with_interval
from benchmarks.provenance import known_result, source
from benchmarks.scale.tables import ranks_table
from benchmarks.scaling_laws import tables as scaling_laws
from benchmarks.stopping.tables import means_of


def with_figures(page: str) -> str:
    """The page with the figures that the benchmarks have now, between its marks."""
    found = {
        "real curves": on_real_curves,
        "early stopping": early_stopping,
        "false stops": false_stops,
        "calibration": calibration,
        "mcmc": against_mcmc,
        "ranks": ranks,
        "cost": cost,
        "scaling laws": scaling_laws.on_page,
    }
    marked = re.compile(
        r"<!-- (real curves|early stopping|false stops|calibration|mcmc|ranks|cost|scaling laws) -->\n.*?<!-- end -->", re.DOTALL
    )
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
    rows = ([label, *(f"{methods[name]['mean'][cut]['crps'][0]:.3f}" for cut in cuts)] for name, label in names.items() if name in methods)
    lines = [
        f"Real curves, {sum(general['curves'].values())} of {len(general['sources'])} sources: CRPS over all later points in units of each",
        "curve's range, mean over sources, seen up to 10, 20, 40 and 80 % of its points; lower is better.",
        "",
        *table("| | " + " | ".join(f"{cut} %" for cut in cuts) + " |", rows),
    ]
    left = known_result("forecasts/leave_out")
    out, all_in = (", ".join(f"{x:.3f}" for x in left["mean"][key]["crps"]) for key in ("left out", "all in"))
    covered = ", ".join(f"{100 * general['mean'][cut]['covered'][-1]:.0f}" for cut in cuts)
    return [
        *lines,
        "",
        f"The 90 % intervals of `general` contain {covered} % of the later points. All this is the model of version 0.1, trained on no",
        "real curve; a newer one stands in `benchmarks/README.md`. Its prior was fitted to summary statistics of curves of these",
        "sources, so this is no test on unseen ones. When a whole domain was left out",
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
        "Optuna MedianPruner",
        "Optuna HyperbandPruner",
        "Ray Tune ASHAScheduler",
        "Syne Tune ASHA",
        "ifBO's acquisition on lcx:general",
        "lcx:general 0.05",
        "lcx:general freeze-thaw",
        "lcx:general study 0.05",
        "lcx:general study freeze-thaw",
    )

    chosen, earlier = known_result("stopping/choosing"), known_result("stopping/earlier")
    named = ("no stopping", "Optuna HyperbandPruner", "Ray Tune ASHAScheduler", "lcx:general study 0.05", "lcx:general study freeze-thaw")

    def cells(name: str, row: dict) -> list[str]:
        regrets = [f"{row[key][0]:.3f}" for key in ("regret_mean", "regret_end")]
        return [name, *regrets, f"{row['speed_up'][0]:.2f}", f"{row['slowest']:.2f}", f"{100 * row['false_rate'][0]:.0f} %"]

    return [
        f"{len(result['tasks'])} real tasks of 172 to 1,000 runs, {result['orders']} random orders of each, a budget of {result['budget']}",
        "full runs.",
        "Regret is how far the best run so far is behind the best of the task, in units of how far the median run is behind it.",
        "",
        *table(
            "| | regret, mean over the budget | at the end | speed-up over no stopping, mean | slowest task | false stops |",
            [
                *(cells(name, result["mean"][name]) for name in names),
                *(cells(f"{name}, runs chosen", chosen["mean"][name]) for name in named if name in chosen["mean"]),
                *(cells(f"{name}, runs chosen, earlier studies", earlier["mean"][name]) for name in named if name in earlier["mean"]),
            ],
        ),
        "",
        "Methods named `study` read the runs seen by then, as `EarlyStopper` does; the others read each run alone.",
        *([result["note"]] if result["note"] else []),
        f"`runs chosen`: each run begun is chosen by its hyperparameters, which {len(chosen['tasks'])} of the tasks have;",
        "`earlier studies`: the other tasks of the family, but for those of the same workload, are known as such"
        + (
            f"; these rows are of the first {earlier['orders']} orders, which were easier." if earlier["orders"] < result["orders"] else "."
        ),
        "False stops are in per cent of the runs that would have become the best so far.",
        "The form and the constants of freeze-thaw (pausing and resuming) were chosen on some of",
        "these tasks. Successive halving, Hyperband, top 10 after 1 and freeze-thaw resume runs at no cost; the others cannot resume.",
        "A run that is paused and never resumed counts as stopped.",
        "",
        f"- {source(result)}; `runs chosen`: {source(chosen)}; `earlier studies`: {source(earlier)}.",
    ]


def false_stops() -> list[str]:
    """Rates of false stops asked for and achieved, means over families."""
    told = known_result("stopping/false_stops")
    families = [list(found.values()) for found in told["rates"].values()]
    asked, means = ", ".join(f"{100 * float(rate):.0f}" for rate in told["rates"]), list(map(means_of, families))
    found = {key: ", ".join(f"{100 * row[key]:.0f}" for row in means) for key in ("all", "usual", "sharpened")}
    worst = {key: ", ".join(f"{100 * max(row[key] for row in rows):.0f}" for rows in families) for key in ("usual", "sharpened")}
    return [
        f"Asked for {asked} %, limits set on the other families of tasks stop {found['all']} % of the runs that become the best, in",
        f"the mean over families; after the first 20 runs {found['usual']} %, and {found['sharpened']} % if these 20 sharpen them.",
        f"On the worst family, returns of reinforcement learning: {worst['usual']} % after 20 runs, sharpened {worst['sharpened']} %.",
        "",
        f"- {source(told)}.",
    ]


def against_mcmc() -> list[str]:
    """The PFN beside the gold reference, emcee at the paper's longest setting, and the time both take."""
    result, speed = known_result("mcmc/pfn_vs_mcmc"), known_result("mcmc/mcmc_speed")
    rows = [
        ["PFN - gold, nats per point", *(with_interval(row["pfn_minus_gold"], "+.3f") for row in result["gap"].values())],
        ["PFN - emcee M3", *(with_interval(row["pfn_minus_this"], "+.3f") for row in result["methods"]["emcee-M3"].values())],
    ]
    first, other = result["gap"]["10"]["curves"], result["methods"]["emcee-M3"]["10"]["curves"]
    passed = sum(row["converged"] for row in result["methods"]["emcee-M3"].values()) / 4
    times = speed["ratios"]["PFN, one curve"]
    names = {"emcee-M1, a density call per walker": "emcee M1 with a density call per walker", "lcx.mcmc smc": "SMC"}
    text = ", ".join(f"{label} {float(format(times[name]['median'], '.2g')):,.0f}" for name, label in names.items())
    return [
        *table("| the same posterior by sampling | 10 % | 20 % | 40 % | 80 % |", rows),
        "",
        f"Gold: two runs of tempered SMC on {first} fresh curves; emcee M3: {other} of them, {100 * passed:.0f} % of its runs converged.",
        f"95 % intervals over curves. Time, in units of the PFN's for one curve (one thread, same run): {text}.",
        "",
        f"- MCMC: `make bench-mcmc`, {result['date']}, commit {result['commit']}, {result['device']}.",
    ]


def calibration() -> list[str]:
    """Coverage of the parametric model on fresh draws of its prior."""
    result = known_result("synthetic/calibration")
    lines = []
    for cutoff, rows in result["cutoffs"].items():
        for name, label in (("model", f"{cutoff} % seen"), ("scale_x_1.5", "the same, scales × 1.5")):
            held = (f"{100 * share:.1f}" for share in rows[name]["coverage"].values())
            lines.append([label, *held, "yes" if rows[name]["inside_band"] else "no"])
    told = f"{result['curves']:,} fresh curves per cut-off, one later step each."
    return [*table("| | 50 % intervals | 80 % | 95 % | PIT in its 99 % band |", lines), "", told, "", f"- {source(result)}."]


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
