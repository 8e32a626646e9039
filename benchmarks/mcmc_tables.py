"""Tables of the PFN against MCMC for benchmarks/README.md, from results/*.json."""

from collections.abc import Callable
from typing import Any

from benchmarks.provenance import read_result
from benchmarks.references import METHODS

SHOWN = ("gold", "smc", "emcee-M1", "emcee-M2", "emcee-M3", "emcee-long", "nuts")
LADDER = ("smc-64", "smc-128", "smc-256", "smc-512", "smc-1024", "smc")


def gap(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """PFN minus gold, and every method on the contexts it answered."""
    result = read_result("pfn_vs_mcmc")
    if result is None:
        return None
    lines = [
        "## The PFN against MCMC on the same prior",
        "",
        f"Gold is two independent runs of tempered SMC ({4 * METHODS['gold']['draws']:,} particles each), pooled.",
        "Difference of log scores, PFN - gold, in nats per point with 95 % intervals over curves",
        "(negative: gold is better); the distance of quantiles (5 to 95 %) from gold's in units of",
        "gold's 90 % interval; and gold's own Monte-Carlo error: standard deviation of one run's log score and log evidence.",
        "",
        "| cut-off | curves | gold | PFN | PFN - gold | quantile distance | sd of a run: log score | log evidence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cutoff, row in result["gap"].items():
        mean, low, high = row["pfn_minus_gold"]
        lines.append(
            f"| {cutoff} % | {row['curves']} | {row['gold']:.4f} | {row['pfn']:.4f} | {mean:+.4f} [{low:+.4f}, {high:+.4f}] | "
            f"{row['quantile_distance']:.3f} | {row['gold_run_sd']:.3f} | {row['log_evidence_run_sd']:.2f} |"
        )
    lines += [
        "",
        f"The PFN alone on {result['pfn_curves']:,} curves: "
        + "; ".join(f"{c} %: {r['log_score']:.4f}" for c, r in result["pfn"].items())
        + ".",
        "",
        "Every method against the PFN on the same contexts. Coverage of central 50/80/95 % intervals over all later points; CRPS at",
        "eight of them; converged: share of contexts that pass the gates of `lcx.mcmc`; seconds: median, one thread, busy machine.",
        "",
        "| method | cut-off | curves | log score | PFN - this | CRPS | coverage | quantile distance | seconds | converged |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in (*SHOWN, *(m for m in LADDER if m not in SHOWN)):
        for cutoff, row in result["methods"].get(method, {}).items():
            mean, low, high = row["pfn_minus_this"]
            cover = "/".join(f"{100 * c:.0f}" for c in row["covered"])
            apart = f"{row['quantile_distance']:.3f}" if "quantile_distance" in row and method != "gold" else ""
            lines.append(
                f"| {method} | {cutoff} % | {row['curves']} | {row['log_score']:.3f} | {mean:+.3f} [{low:+.3f}, {high:+.3f}] | "
                f"{row['crps']:.5f} | {cover} | {apart} | {row['seconds']:.1f} | {100 * row['converged']:.0f} % |"
            )
    lines += ["", "Time to equal the PFN's mean log score:", "", "| cut-off | SMC | emcee |", "|---|---|---|"]
    for cutoff in result["gap"]:
        lines.append(f"| {cutoff} % | {equal(result, LADDER, cutoff)} | {equal(result, SHOWN[2:6], cutoff)} |")
    lines += [
        "",
        "![Log score against time](results/score_against_time.png)",
        "",
        "![Fan charts](results/pfn_and_mcmc.png)",
        "",
        origin(result),
    ]
    return "\n".join(lines)


def equal(result: dict[str, Any], ladder: tuple[str, ...], cutoff: str) -> str:
    """The first of a ladder of settings that scores at least what the PFN does on the same contexts."""
    rows = [(m, result["methods"][m][cutoff]) for m in ladder if cutoff in result["methods"].get(m, {})]
    for method, row in rows:
        if row["pfn_minus_this"][0] <= 0:
            return f"{method}: {row['seconds']:.1f} s"
    return f"not reached in {max(row['seconds'] for _, row in rows):.0f} s" if rows else "not run"


def speed(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """Seconds and ratios of medians."""
    result = read_result("mcmc_speed")
    if result is None:
        return None
    lines = [
        "### Speed against MCMC",
        "",
        f"Same curves cut at {result['cutoff']} points, same run, one thread, {result['rounds']} rounds; medians, quartiles in brackets.",
        "Ratios are formed within rounds.",
        "",
        "| | seconds | times the PFN, one curve | times the PFN per curve in a batch of 1,000 | converged |",
        "|---|---|---|---|---|",
    ]
    one, many = result["ratios"]["PFN, one curve"], result["ratios"]["PFN, per curve in a batch of 1,000"]
    for name, x in result["seconds"].items():
        ratios = [f"{r[name]['median']:,.0f}" if name in r else "" for r in (one, many)]
        share = f"{100 * result['converged'][name]:.0f} %" if name in result["converged"] else ""
        low, high = x["quartiles"]
        lines.append(f"| {name} | {x['median']:.3g} [{low:.3g}, {high:.3g}] | {' | '.join(ratios)} | {share} |")
    return "\n".join([*lines, "", origin(result)])


def checks(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """Gold against importance sampling and nested sampling."""
    result = read_result("gold_check")
    if result is None:
        return None
    lines = [
        "### Is gold right?",
        "",
        "Against importance sampling from 4 million prior draws (contexts of 10 points, effective sample size above 1,000) and against",
        "nested sampling by dynesty. Differences, this - gold, with the standard error over contexts.",
        "",
        "| | contexts | log evidence | log score | quantile distance | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, label in (("importance", "importance sampling"), ("nested", "dynesty, 500 live points")):
        row = result[name]["summary"]
        cells = [f"{row[f'log_{k}_difference'][0]:+.3f} ± {row[f'log_{k}_difference'][1]:.3f}" for k in ("evidence", "score")]
        lines.append(
            f"| {label} | {row['contexts']} | {' | '.join(cells)} | {row['quantile_distance']:.3f} | {row['median_seconds']:.0f} |"
        )
    return "\n".join([*lines, "", origin(result)])


def sbc(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """Simulation-based calibration."""
    result = read_result("sbc")
    if result is None:
        return None
    lines = [
        "### Calibration by simulation",
        "",
        f"Ranks of what came true among {result['paths']} paths, on fresh prior curves cut at 10, 20, 40 or 80: {result['bins']} bins",
        "relative to uniform against the simultaneous 99 % band. TARP: distance of whole paths to a random reference point.",
        "",
        "| | curves | lowest–highest bin | band | verdict |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        low, high = row["band"]
        verdict = "inside" if row["inside"] else "outside"
        lines.append(f"| {name} | {row['n']:,} | {row['lowest']:.2f}–{row['highest']:.2f} | {low:.2f}–{high:.2f} | {verdict} |")
    return "\n".join([*lines, "", "![Ranks](results/sbc.png)", "", origin(result)])
