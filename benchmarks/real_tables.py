"""The sections on real curves of benchmarks/README.md, from results/real_curves.json and leave_out.json."""

from collections.abc import Callable
from typing import Any

from benchmarks.baselines import SIMPLE
from benchmarks.provenance import ROOT, read_result
from benchmarks.real_summary import CUTS
from lcx.extrapolator import models_folder

WORSE = 1.10  # ratios above it are marked
PICTURE = "results/real_curves/overview.png"


def real_curves(origin: Callable[[dict[str, Any]], str], every: bool = False) -> str | None:
    """Means over sources of all methods, then each model against the best simple baseline; unshipped models only if ``every``."""
    result = read_result("real_curves")
    if result is None:
        return None
    shipped = {f"lcx:{path.parent.name}" for path in models_folder().glob("*/config.json")}
    methods = {name: one for name, one in result["methods"].items() if every or not name.startswith("lcx:") or name in shipped}
    cuts = list(next(iter(methods.values()))["mean"])
    lines = [
        "## Real curves",
        "",
        "Every method is asked for all later points of each curve, from its first 10, 20, 40 or 80 % of points. CRPS and absolute error",
        "of the median in units of the curve's width (2-98 % quantile range of its values), capped at 5 per curve; mean over curves, then",
        "over sources. Brackets hold 95 % bootstrap intervals over curves within sources. Methods with fewer curves saw the first of them.",
        "",
        "| CRPS | curves | " + " | ".join(f"{cut} %" for cut in cuts) + " |",
        "|---" * (len(cuts) + 2) + "|",
    ]
    for name, one in methods.items():
        cells = (one["mean"][cut]["crps"] for cut in cuts)
        lines.append(f"| {name} | {sum(one['curves'].values())} | " + " | ".join(f"{m:.3f} [{a:.3f}, {b:.3f}]" for m, a, b in cells) + " |")
    lines += ["", *other_scores(methods, cuts)]
    for name in methods:
        if name in result["against"]:
            lines += ["", *against(name, methods[name], result["against"][name], cuts)]
    if (ROOT / "benchmarks" / PICTURE).exists():
        lines += ["", f"![Fan charts of one curve per source; four per source lie beside it]({PICTURE})"]
    return "\n".join([*lines, "", origin(result)])


def other_scores(methods: dict[str, Any], cuts: list[str]) -> list[str]:
    """Absolute errors, log score, coverage."""
    lines = [
        "Absolute error of the median over all later points and at the last one; log score, the mean log density of y / width with no",
        "component's sd below 1e-4 widths and no curve below -10; coverage of central 50/80/90 % intervals, in per cent.",
        "",
        "| error, final error, log score, coverage | " + " | ".join(f"{cut} %" for cut in cuts) + " |",
        "|---" * (len(cuts) + 1) + "|",
    ]
    for name, one in methods.items():
        cells = []
        for cut in cuts:
            row = one["mean"][cut]
            cells.append(f"{row['error'][0]:.3f}, {row['final'][0]:.3f}, {row['log_score'][0]:.2f}, {coverage(row)}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def against(name: str, one: dict[str, Any], rows: dict[str, Any], cuts: list[str]) -> list[str]:
    """One model against the best simple baseline per source, and against every rival over all sources."""
    lines = [
        f"### {name} against its rivals",
        "",
        "Per source against the best there of last value (L), random walk (R) and best of three least-squares fits (B): the model's CRPS,",
        "the baseline's, their ratio, and the model's coverage of central 50/80/90 % intervals. Below, over all sources and on the curves",
        "that both answered for, the ratio of the means and the difference, model - rival, with its 95 % interval; the best of the three",
        f"simple baselines is marked *. **Bold** ratios exceed {WORSE:.2f}. Choosing the best afterwards favours the baselines.",
        "",
        "| source | " + " | ".join(f"{cut} %" for cut in cuts) + " |",
        "|---" * (len(cuts) + 1) + "|",
    ]
    for source, row in one["sources"].items():
        cells = []
        for cut in cuts:
            cell = rows[cut].get("sources", {}).get(source)
            versus = f" / {cell['crps']:.3f} {cell['rival'][0].upper()} = {marked(cell['ratio'])}" if cell else ""
            cells.append(f"{row[cut]['crps']:.3f}{versus}, {coverage(row[cut])}")
        lines.append(f"| {source} | " + " | ".join(cells) + " |")
    lines += ["", "| rival | " + " | ".join(f"{cut} %" for cut in cuts) + " |", "|---" * (len(cuts) + 1) + "|"]
    for rival in rows[cuts[0]]["rivals"]:
        lines.append(f"| {rival} | " + " | ".join(versus_rival(rows[cut], rival) for cut in cuts) + " |")
    return lines


def versus_rival(row: dict[str, Any], rival: str) -> str:
    """Ratio and difference of the means over sources."""
    mean, low, high = row["rivals"][rival]["difference"]
    return f"{marked(row['rivals'][rival]['ratio'])}{'*' * (rival == row.get('simple'))}, {mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def coverage(row: dict[str, Any]) -> str:
    """Coverage in per cent, 50/80/90 % intervals."""
    return "/".join(f"{100 * share:.0f}" for share in row["covered"])


def marked(ratio: float) -> str:
    """A ratio, bold where the model is clearly worse."""
    return f"**{ratio:.2f}**" if ratio > WORSE else f"{ratio:.2f}"


def leave_out(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """CRPS on domains that the prior never saw, beside the same training with every domain in; None without results."""
    result = read_result("leave_out")
    if result is None:
        return None
    seen = result["curves seen"]
    lines = [
        "## Domains that the prior never saw",
        "",
        "`benchmarks/leave_out.py`: laws and kinds of the prior fitted without a domain, a model trained on it from scratch for",
        f"{result['minutes']:g} minutes ({min(seen.values()):,} to {max(seen.values()):,} curves, far fewer than the shipped model's),",
        "then scored there. Per cut-off: CRPS",
        "left out / CRPS of the same steps with all domains in / best simple baseline, and coverage of 90 % intervals left out.",
        "",
        "| source | domain | " + " | ".join(f"{cut} %" for cut in CUTS) + " |",
        "|---" * (len(CUTS) + 2) + "|",
    ]
    stored = read_result("real_curves") or {"methods": {}}
    simple = {name: one["sources"] for name, one in stored["methods"].items() if name in SIMPLE}
    best: dict[str, list[float]] = {}
    for source, row in result["sources"].items():
        least = [min(one[source][cut]["crps"] for one in simple.values()) for cut in CUTS]
        best[source] = least
        lines.append(f"| {source} | {row['domain']} | " + " | ".join(_left(row, least, i) for i in range(len(CUTS))) + " |")
    mean = {key: result["mean"][key] for key in ("left out", "all in")}
    least = [sum(x) / len(best) for x in zip(*best.values(), strict=True)]
    lines.append("| mean | | " + " | ".join(_left(mean, least, i) for i in range(len(CUTS))) + " |")
    return "\n".join([*lines, "", origin(result)])


def _left(row: dict[str, Any], least: list[float], i: int) -> str:
    out, all_in = row["left out"], row["all in"]
    return f"{out['crps'][i]:.3f} / {all_in['crps'][i]:.3f} / {least[i]:.3f}, {100 * out['covered'][i]:.0f}"
