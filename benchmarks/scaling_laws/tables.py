"""The section on scaling laws of benchmarks/README.md, from results/split.json."""

from typing import Any

import numpy as np

from benchmarks.intervals import mean_of_groups
from benchmarks.markdown import table
from benchmarks.provenance import known_result, origin, read_result, source
from benchmarks.scaling_laws.split import DOMAINS

ORDER = ("M1", "M2", "M3", "M4", "BNSL")
LCX = ("lcx general", "lcx general, log loss", "lcx scaling", "lcx scaling, log loss")


def scaling_laws() -> str | None:
    """A row per method, a column per domain; None without results."""
    result = read_result("scaling_laws/split")
    if result is None:
        return None
    methods = result["methods"]
    names = sorted(methods, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    counts = {domain: sum(row["domain"] == domain for row in methods[names[0]]["curves"]) for domain in DOMAINS}
    domains = " | ".join(f"{what}, {counts[domain]} curves" for domain, what in DOMAINS.items())
    lines = [
        "## Scaling laws",
        "",
        "Losses over the number of examples seen, extrapolated to about twice as many: the split of Alabdulmohsin, Neyshabur and Zhai",
        "(NeurIPS 2022), none of it seen in training. RMSLE of the median (root mean square of log(median / loss) over the points beyond",
        "those fitted on, mean over curves, 95 % bootstrap interval over curves); log score (mean log density of the log of the loss, no",
        "curve below -10); share inside the 90 % interval, in per cent. Translation has one later point a curve, so its shares are of 5.",
        "lcx is asked about the loss, not below 0, and about its logarithm, without bounds.",
        "M1 to M4 and BNSL (a broken power law of one break): least squares of log loss from several starts, with the residuals' sd.",
        "Of NSL-PFN (Lee et al., ICML 2025) its authors report an RMSLE of 0.028 on images and 0.019 on language.",
        "",
        *table(
            f"| RMSLE; log score; covered | {domains} | ms a curve |",
            ([name, *(cell(methods[name], domain) for domain in DOMAINS), f"{seconds(methods[name]):.3g}"] for name in names),
        ),
    ]
    for text in dict.fromkeys(origin(methods[name]) for name in names):
        lines += ["", text]
    return "\n".join(lines)


def on_page() -> list[str]:
    """RMSLE and coverage of lcx and of the forms that fit best, for docs/."""
    result = known_result("scaling_laws/split")
    names = [name for name in ("M2", "M3", "M4", "BNSL", *LCX) if name in result["methods"]]
    sources = dict.fromkeys(source(result["methods"][name]) for name in names)
    return [
        *table(
            f"| RMSLE, inside 90 % intervals | {' | '.join(DOMAINS.values())} |",
            ([name, *(cell(result["methods"][name], domain, short=True) for domain in DOMAINS)] for name in names),
        ),
        "",
        *(f"- {text}." for text in sources),
    ]


def cell(method: dict[str, Any], domain: str, *, short: bool = False) -> str:
    """A domain's means; if ``short``, without interval and log score."""
    rows = [row for row in method["curves"] if row["domain"] == domain]
    mean, low, high = mean_of_groups([np.array([row["rmsle"] for row in rows])])
    log_score, covered = (np.mean([row[key] for row in rows]) for key in ("log_score", "covered"))
    if short:
        return f"{mean:.4f}, {100 * covered:.0f} %"
    return f"{mean:.4f} [{low:.4f}, {high:.4f}]; {log_score:.2f}; {100 * covered:.0f}"


def seconds(method: dict[str, Any]) -> float:
    """Median over curves, in thousandths."""
    return 1000 * float(np.median([row["seconds"] for row in method["curves"]]))
