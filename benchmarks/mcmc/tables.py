"""Tables of the PFN against MCMC for benchmarks/README.md, from the results of this folder."""

from typing import Any

from benchmarks.markdown import per_cent, table, with_interval, with_quartiles
from benchmarks.mcmc.references import METHODS
from benchmarks.provenance import origin, read_result

SHOWN = ("gold", "smc", "emcee-M1", "emcee-M2", "emcee-M3", "emcee-long", "nuts")
LADDER = ("smc-64", "smc-128", "smc-256", "smc-512", "smc-1024", "smc")
EMCEE = SHOWN[2:6]


def gap() -> str | None:
    """PFN minus gold, and every method on the contexts it answered."""
    result = read_result("mcmc/pfn_vs_mcmc")
    if result is None:
        return None
    alone = "; ".join(f"{c} %: {r['log_score']:.4f}" for c, r in result["pfn"].items())
    equal_rows = ([f"{cutoff} %", equal(result, LADDER, cutoff), equal(result, EMCEE, cutoff)] for cutoff in result["gap"])
    return "\n".join(
        [
            "## The PFN against MCMC on the same prior",
            "",
            f"Gold is two independent runs of tempered SMC ({4 * METHODS['gold']['draws']:,} particles each), pooled.",
            "Difference of log scores, PFN - gold, in nats per point with 95 % intervals over curves",
            "(negative: gold is better); the distance of quantiles (5 to 95 %) from gold's in units of",
            "gold's 90 % interval; and gold's own Monte-Carlo error: standard deviation of one run's log score and log evidence.",
            "",
            *table(
                "| cut-off | curves | gold | PFN | PFN - gold | quantile distance | sd of a run: log score | log evidence |",
                ([f"{cutoff} %", *beside_gold(row)] for cutoff, row in result["gap"].items()),
            ),
            "",
            f"The PFN alone on {result['pfn_curves']:,} curves: {alone}.",
            "",
            "Every method against the PFN on the same contexts. Coverage of central 50/80/95 % intervals over all later points; CRPS at",
            "eight of them; converged: share of contexts that pass the gates of `lcx.mcmc`; seconds: median, one thread, busy machine.",
            "",
            *table(
                "| method | cut-off | curves | log score | PFN - this | CRPS | coverage | quantile distance | seconds | converged |",
                by_method(result["methods"]),
            ),
            "",
            "Time to equal the PFN's mean log score:",
            "",
            *table("| cut-off | SMC | emcee |", equal_rows),
            "",
            "![Log score against time](mcmc/results/score_against_time.png)",
            "",
            "![Fan charts](mcmc/results/pfn_and_mcmc.png)",
            "",
            origin(result),
        ]
    )


def convergence() -> str | None:
    """How often a sampler passes its gate."""
    result = read_result("mcmc/convergence")
    if result is None:
        return None
    rows = (
        [
            method,
            name,
            row["contexts"],
            f"{row['passed']} [{row['interval'][0]:.0%}, {row['interval'][1]:.0%}]",
            " / ".join(f"{x:.1f}" for x in row["cpu"]),
            " / ".join(map(str, row["ess"])),
            f"{row['quantile_distance']:.3f}" if "quantile_distance" in row else "",
        ]
        for method, groups in result["methods"].items()
        for name, row in groups.items()
    )
    return "\n".join(
        [
            "### Does it converge",
            "",
            f"Contexts in which the gates of `lcx.mcmc` are passed within {result['limit']} s of processor time (exact 95 %",
            "interval of the rate); seconds: median, 95 %, most; ESS: least and median; distance of quantiles from gold's. Curves of the",
            "parametric prior.",
            "",
            *table("| method | seen | contexts | passed | seconds | ESS | quantile distance |", rows),
            "",
            origin(result),
            *emcee_alone(),
        ]
    )


def emcee_alone() -> list[str]:
    """What emcee needs for its gate on one context, once it has passed it."""
    result = read_result("mcmc/emcee_gate")
    if result is None or not result["passed"]:
        return []
    return [
        "",
        f"emcee, {result['walkers']} walkers on curve {result['curve']} of these at {result['cutoff']} points: {result['steps']:,} steps",
        f"pass the gate (R-hat {result['rhat']:.3f}, ESS {result['ess']:,}) in {result['cpu']:,.0f} s of the processor; log score",
        f"{result['log_score']:.3f}, gold {result['gold_log_score']:.3f}; quantile distance {result['quantile_distance']:.3f}.",
        origin(result),
    ]


def beside_gold(row: dict[str, Any]) -> list[Any]:
    """The PFN and gold at one cut-off."""
    scores = [f"{row['gold']:.4f}", f"{row['pfn']:.4f}", with_interval(row["pfn_minus_gold"], "+.4f")]
    return [row["curves"], *scores, f"{row['quantile_distance']:.3f}", f"{row['gold_run_sd']:.3f}", f"{row['log_evidence_run_sd']:.2f}"]


def by_method(methods: dict[str, Any]) -> list[list[Any]]:
    """Every method at every cut-off beside the PFN."""
    rows = []
    for method in (*SHOWN, *(m for m in LADDER if m not in SHOWN)):
        for cutoff, row in methods.get(method, {}).items():
            apart = f"{row['quantile_distance']:.3f}" if "quantile_distance" in row and method != "gold" else ""
            scores = [f"{row['log_score']:.3f}", with_interval(row["pfn_minus_this"], "+.3f"), f"{row['crps']:.5f}"]
            cells = [per_cent(row["covered"]), apart, f"{row['seconds']:.1f}", f"{100 * row['converged']:.0f} %"]
            rows.append([method, f"{cutoff} %", row["curves"], *scores, *cells])
    return rows


def equal(result: dict[str, Any], ladder: tuple[str, ...], cutoff: str) -> str:
    """The first of a ladder of settings that scores at least what the PFN does on the same contexts."""
    rows = [(m, result["methods"][m][cutoff]) for m in ladder if cutoff in result["methods"].get(m, {})]
    for method, row in rows:
        if row["pfn_minus_this"][0] <= 0:
            return f"{method}: {row['seconds']:.1f} s"
    return f"not reached in {max(row['seconds'] for _, row in rows):.0f} s" if rows else "not run"


def speed() -> str | None:
    """Seconds and ratios of medians."""
    result = read_result("mcmc/mcmc_speed")
    if result is None:
        return None
    one, many = result["ratios"]["PFN, one curve"], result["ratios"]["PFN, per curve in a batch of 1,000"]
    rows = []
    for name, seconds in result["seconds"].items():
        ratios = [f"{r[name]['median']:,.0f}" if name in r else "" for r in (one, many)]
        share = f"{100 * result['converged'][name]:.0f} %" if name in result["converged"] else ""
        rows.append([name, with_quartiles(seconds), *ratios, share])
    lines = [
        "### Speed against MCMC",
        "",
        f"Same curves cut at {result['cutoff']} points, same run, one thread, {result['rounds']} rounds; medians, quartiles in brackets.",
        "Ratios are formed within rounds.",
        "",
        *table("| | seconds | times the PFN, one curve | times the PFN per curve in a batch of 1,000 | converged |", rows),
        "",
        origin(result),
    ]
    return "\n".join(lines)


def checks() -> str | None:
    """Gold against importance sampling and nested sampling."""
    result = read_result("mcmc/gold_check")
    if result is None:
        return None
    rows = []
    for name, label in (("importance", "importance sampling"), ("nested", "dynesty, 500 live points")):
        row = result[name]["summary"]
        cells = [f"{row[f'log_{k}_difference'][0]:+.3f} ± {row[f'log_{k}_difference'][1]:.3f}" for k in ("evidence", "score")]
        rows.append([label, row["contexts"], *cells, f"{row['quantile_distance']:.3f}", f"{row['median_seconds']:.0f}"])
    return "\n".join(
        [
            "### Is gold right?",
            "",
            "Against importance sampling from 4 million prior draws (contexts of 10 points, effective sample size above 1,000) and against",
            "nested sampling by dynesty. Differences, this - gold, with the standard error over contexts.",
            "",
            *table("| | contexts | log evidence | log score | quantile distance | seconds |", rows),
            "",
            origin(result),
        ]
    )


def sbc() -> str | None:
    """Simulation-based calibration."""
    result = read_result("mcmc/sbc")
    if result is None:
        return None
    rows = []
    for name, row in result["rows"].items():
        low, high = row["band"]
        bins, band = f"{row['lowest']:.2f}–{row['highest']:.2f}", f"{low:.2f}–{high:.2f}"
        rows.append([name, f"{row['n']:,}", bins, band, "inside" if row["inside"] else "outside"])
    return "\n".join(
        [
            "### Calibration by simulation",
            "",
            f"Ranks of what came true among {result['paths']} paths, on fresh prior curves cut at 10, 20, 40 or 80: {result['bins']} bins",
            "relative to uniform against the simultaneous 99 % band. TARP: distance of whole paths to a random reference point.",
            "",
            *table("| | curves | lowest–highest bin | band | verdict |", rows),
            "",
            "![Ranks](mcmc/results/sbc.png)",
            "",
            origin(result),
        ]
    )
