"""The sections of benchmarks/README.md on curves drawn from the priors, from the results of this folder."""

from collections.abc import Iterator
from typing import Any

from benchmarks.markdown import table
from benchmarks.provenance import origin, read_result


def beside_parametric() -> str | None:
    """The general model on the parametric prior's own curves, and its speed."""
    result = read_result("synthetic/general")
    if result is None:
        return None
    ratio = result["latency"]["ratio"]
    rows = (
        [f"{cut} %", f"{row['general']:.3f}", f"{row['parametric']:.3f}", f"{row['difference'][0]:+.3f} ± {row['difference'][1]:.3f}"]
        for cut, row in result["scores"].items()
    )
    return "\n".join(
        [
            "## The general model on the parametric prior",
            "",
            f"{result['curves']:,} fresh curves of the parametric prior; the general model gets neither bounds nor unit. Log score of all",
            "later points in nats per point; ± is the standard error of the paired difference.",
            "",
            *table("| cut-off | `general` | `parametric` | difference |", rows),
            "",
            f"One curve of 40 points and 60 steps on one thread takes {ratio['median']:.2f} {ratio['quartiles']} times as long as with the",
            "parametric model (median and quartiles of ratios within rounds).",
            "",
            origin(result),
        ]
    )


def prior_fit() -> str | None:
    """How like real curves the prior of the general model is."""
    result = read_result("synthetic/prior_fit")
    if result is None:
        return None
    lines = [
        "## The prior of the general model beside real curves",
        "",
        "Quantiles 10/25/50/75/90 % of scale-free statistics, larger being better",
        "(`benchmarks/synthetic/statistics_of_curves.py`); every source one vote.",
        f"A classifier tells the two apart with an AUC of {result['auc']:.2f}.",
        "",
        *table("| statistic | real | prior |", _quantiles(result)),
        "",
        "![48 real curves beside 48 draws](synthetic/results/prior_fit.png)",
        "",
        origin(result),
    ]
    return "\n".join(lines)


def study_fit() -> str | None:
    """How like real studies those of the prior are."""
    result = read_result("synthetic/study_fit")
    if result is None:
        return None
    lines = [
        "## Studies of the prior beside real ones",
        "",
        "Quantiles 10/25/50/75/90 % over studies of how alike eight runs of a study are, larger being better, in the median range of a run",
        "(`benchmarks/synthetic/statistics_of_studies.py`); logarithms are to base 10 where a name begins with log. Every source has one",
        "vote, shared among its studies.",
        "",
        *table("| statistic | real | prior |", _quantiles(result)),
        "",
        origin(result),
    ]
    return "\n".join(lines)


def _quantiles(result: dict[str, Any]) -> Iterator[list[str]]:
    """Rows of a table of statistics, real and of the prior."""
    for name, row in result["statistics"].items():
        yield [name, *("none" if row[side] is None else " / ".join(f"{x:.2f}" for x in row[side]) for side in ("real", "prior"))]


def log_score() -> str | None:
    """Log score beside P3's, and what training cost."""
    result = read_result("synthetic/log_score")
    if result is None:
        return None
    cost = result["training"]
    scores = ([f"{c} %", f"{s['log_score']:.4f} ± {s['standard_error']:.4f}", s["P3"]] for c, s in result["scores"].items())

    def beside(label: str, key: str, form: str, theirs: str, digits: int) -> list[str]:
        ours, other = cost[key], cost[f"P3_{key}"]
        return [label, format(ours, form), format(other, theirs), f"{other / ours:.{digits}f}"]

    costs = [
        beside("parameters", "parameters", ",", ",.0f", 0),
        beside("curves", "curves", ",", ",.0f", 1),
        beside("multiply-adds", "multiply_adds", ".2g", ".2g", 0),
    ]
    return "\n".join(
        [
            "## Log score on the parametric prior",
            "",
            f"Mean log score in nats per point of all points after the cut-off, {result['curves']:,} fresh curves, higher is better;",
            "± is the standard error, with each curve's score under its own truth as control variate. P3: LC-PFN's largest model as",
            "published.",
            "",
            *table("| cut-off | lcx `parametric` | LC-PFN P3 |", scores),
            "",
            *table("| training | lcx `parametric` | LC-PFN P3 | ratio |", costs),
            f"| wall time | {cost['hours']:.2f} h, 2 CPU cores (shared) | about 8 h, RTX 2080 | |",
            "",
            origin(result),
        ]
    )


def calibration() -> str | None:
    """Coverage and PIT per cut-off with the negative control."""
    result = read_result("synthetic/calibration")
    if result is None:
        return None
    rows = [of_cutoff(cutoff, name, row[name]) for cutoff, row in result["cutoffs"].items() for name in ("model", "scale_x_1.5")]
    low, high = result["band"]
    paths = result["paths"]
    below = ([f"{step:.0f}", *(f"{b:.3f}" for b in shares)] for step, shares in zip(paths["at"], paths["share_below"], strict=True))
    return "\n".join(
        [
            "## Calibration",
            "",
            f"{result['curves']:,} fresh curves per cut-off, one later step each. Coverage of central intervals in per cent; PIT",
            f"histogram of {result['bins']} bins relative to uniform against the simultaneous 99 % band {low:.2f}–{high:.2f}.",
            "The second row of each pair is the negative control, the same model with its scales multiplied by 1.5.",
            "",
            *table("| cut-off | | 50 % | 80 % | 95 % | PIT |", rows),
            "",
            "![PIT histograms](synthetic/results/calibration.png)",
            "",
            f"Sampled paths against marginal quantiles ({paths['curves']} curves cut at 20, {paths['paths']:,} paths each): share of",
            "draws below the quantile.",
            "",
            *table("| step | " + " | ".join(f"{level}" for level in paths["levels"]) + " |", below),
            "",
            origin(result),
        ]
    )


def of_cutoff(cutoff: str, name: str, row: dict[str, Any]) -> list[str]:
    """Coverage and PIT of the model or of its control."""
    covered = [f"{100 * row['coverage'][level]:.1f}" for level in ("0.5", "0.8", "0.95")]
    low, high = min(row["histogram"]), max(row["histogram"])
    return [f"{cutoff} %", name.replace("_", " "), *covered, f"{low:.2f}–{high:.2f}, {'inside' if row['inside_band'] else 'outside'}"]
