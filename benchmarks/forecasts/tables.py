"""The sections on real curves of benchmarks/README.md, from results/real_curves.json and leave_out.json."""

from typing import Any

from benchmarks.forecasts.baselines import SIMPLE
from benchmarks.forecasts.summary import CUTS
from benchmarks.markdown import per_cent, table, with_interval
from benchmarks.provenance import BENCHMARKS, origin, read_result
from lcx.extrapolator import models_folder

WORSE = 1.10  # ratios above it are marked
PICTURE = "forecasts/results/real_curves/overview.png"


def real_curves(every: bool = False) -> str | None:
    """Means over sources of all methods, then each model against the best simple baseline; unshipped models only if ``every``."""
    result = read_result("forecasts/real_curves")
    if result is None:
        return None
    shipped = {f"lcx:{path.parent.name}" for path in models_folder().glob("*/config.json")}
    methods = {name: one for name, one in result["methods"].items() if every or not name.startswith("lcx:") or name in shipped}
    cuts = list(next(iter(methods.values()))["mean"])
    crps = {name: [with_interval(one["mean"][cut]["crps"], ".3f") for cut in cuts] for name, one in methods.items()}
    lines = [
        "## Real curves",
        "",
        "Every method is asked for all later points of each curve, from its first 10, 20, 40 or 80 % of points. CRPS and absolute error",
        "of the median in units of the curve's width (2-98 % quantile range of its values), capped at 5 per curve; mean over curves, then",
        "over sources. Brackets hold 95 % bootstrap intervals over curves within sources. Methods with fewer curves saw the first of them.",
        "",
        *table(head("CRPS | curves", cuts), ([name, sum(methods[name]["curves"].values()), *cells] for name, cells in crps.items())),
        "",
        *other_scores(methods, cuts),
    ]
    for name in methods:
        if name in result["against"]:
            lines += ["", *against(name, methods[name], result["against"][name], cuts)]
    if (BENCHMARKS / PICTURE).exists():
        lines += ["", f"![Fan charts of one curve per source; four per source lie beside it]({PICTURE})"]
    return "\n".join([*lines, "", origin(result)])


def head(first: str, cuts: list[str]) -> str:
    """The head of a table with a column per cut-off."""
    return f"| {first} | " + " | ".join(f"{cut} %" for cut in cuts) + " |"


def other_scores(methods: dict[str, Any], cuts: list[str]) -> list[str]:
    """Absolute errors, log score, coverage."""

    def cell(row: dict[str, Any]) -> str:
        return f"{row['error'][0]:.3f}, {row['final'][0]:.3f}, {row['log_score'][0]:.2f}, {per_cent(row['covered'])}"

    return [
        "Absolute error of the median over all later points and at the last one; log score, the mean log density of y / width with no",
        "component's sd below 1e-4 widths and no curve below -10; coverage of central 50/80/90 % intervals, in per cent.",
        "",
        *table(
            head("error, final error, log score, coverage", cuts),
            ([name, *(cell(one["mean"][cut]) for cut in cuts)] for name, one in methods.items()),
        ),
    ]


def against(name: str, one: dict[str, Any], rows: dict[str, Any], cuts: list[str]) -> list[str]:
    """One model against the best simple baseline per source, and against every rival over all sources."""

    def cell(source: str, row: dict[str, Any], cut: str) -> str:
        least = rows[cut].get("sources", {}).get(source)
        versus = f" / {least['crps']:.3f} {least['rival'][0].upper()} = {marked(least['ratio'])}" if least else ""
        return f"{row[cut]['crps']:.3f}{versus}, {per_cent(row[cut]['covered'])}"

    return [
        f"### {name} against its rivals",
        "",
        "Per source against the best there of last value (L), random walk (R) and best of three least-squares fits (B): the model's CRPS,",
        "the baseline's, their ratio, and the model's coverage of central 50/80/90 % intervals. Below, over all sources and on the curves",
        "that both answered for, the ratio of the means and the difference, model - rival, with its 95 % interval; the best of the three",
        f"simple baselines is marked *. **Bold** ratios exceed {WORSE:.2f}. Choosing the best afterwards favours the baselines.",
        "",
        *table(head("source", cuts), ([source, *(cell(source, row, cut) for cut in cuts)] for source, row in one["sources"].items())),
        "",
        *table(head("rival", cuts), ([rival, *(versus_rival(rows[cut], rival) for cut in cuts)] for rival in rows[cuts[0]]["rivals"])),
    ]


def versus_rival(row: dict[str, Any], rival: str) -> str:
    """Ratio and difference of the means over sources."""
    best = "*" * (rival == row.get("simple"))
    return f"{marked(row['rivals'][rival]['ratio'])}{best}, {with_interval(row['rivals'][rival]['difference'], '+.3f')}"


def marked(ratio: float) -> str:
    """A ratio, bold where the model is clearly worse."""
    return f"**{ratio:.2f}**" if ratio > WORSE else f"{ratio:.2f}"


def leave_out() -> str | None:
    """CRPS on domains that the prior never saw, beside the same training with every domain in; None without results."""
    result = read_result("forecasts/leave_out")
    if result is None:
        return None
    seen = result["curves seen"]
    stored = read_result("forecasts/real_curves") or {"methods": {}}
    simple = [one["sources"] for name, one in stored["methods"].items() if name in SIMPLE]
    best = {source: [min(one[source][cut]["crps"] for one in simple) for cut in CUTS] for source in result["sources"]}
    mean = {key: result["mean"][key] for key in ("left out", "all in")}
    least = [sum(x) / len(best) for x in zip(*best.values(), strict=True)]
    lines = [
        "## Domains that the prior never saw",
        "",
        "`benchmarks/forecasts/leave_out.py`: laws and kinds of the prior fitted without a domain, a model trained on it from scratch for",
        f"{result['minutes']:g} minutes ({min(seen.values()):,} to {max(seen.values()):,} curves, far fewer than the shipped model's),",
        "then scored there. Per cut-off: CRPS",
        "left out / CRPS of the same steps with all domains in / best simple baseline, and coverage of 90 % intervals left out.",
        "",
        *table(
            head("source | domain", list(CUTS)),
            ([source, row["domain"], *left_out(row, best[source])] for source, row in result["sources"].items()),
        ),
        "| mean | | " + " | ".join(left_out(mean, least)) + " |",
        "",
        origin(result),
    ]
    return "\n".join(lines)


def left_out(row: dict[str, Any], least: list[float]) -> list[str]:
    """Per cut-off: CRPS left out, with all in and of the best baseline; coverage left out."""
    out, all_in = row["left out"], row["all in"]
    columns = zip(out["crps"], all_in["crps"], least, out["covered"], strict=True)
    return [f"{one:.3f} / {other:.3f} / {simple:.3f}, {100 * covered:.0f}" for one, other, simple, covered in columns]
