"""Makes the tables of benchmarks/README.md and the model cards from results/*.json: ``python benchmarks/tables.py``."""

from typing import Any

from benchmarks import cards, door_tables, mcmc_tables
from benchmarks.early_stop_tables import early_stop
from benchmarks.provenance import ROOT, read_result
from benchmarks.real_tables import leave_out, real_curves
from benchmarks.scoring_tables import scoring
from lcx.extrapolator import models_folder
from lcx.files import write_text

MARK = "<!-- tables -->"


def main() -> None:
    """Rewrites everything below the mark, and the model cards."""
    on_real = [real_curves(origin), leave_out(origin), early_stop(origin)]
    own = [*on_real, beside_parametric(), log_scores(), calibration(), speed(), scoring(origin)]
    against = [make(origin) for make in (mcmc_tables.gap, mcmc_tables.speed, mcmc_tables.checks, mcmc_tables.sbc)]
    doors = [make(origin) for make in (door_tables.ranks, door_tables.onnx, door_tables.page)]
    parts = [table for table in own + doors + against if table]
    page = ROOT / "benchmarks" / "README.md"
    write_text(page.read_text().split(MARK)[0] + MARK + "\n\n" + "\n\n".join(parts) + "\n", page)
    print(page)
    for card in (cards.general, cards.parametric):
        folder = models_folder() / card.__name__
        write_text(card(folder), folder / "README.md")
        print(folder / "README.md")


def origin(result: dict[str, Any]) -> str:
    """One line of provenance."""
    return f"`{result['command']}`, {result['date']}, commit {result['commit']}, {result['device']}, torch {result['torch']}."


def beside_parametric() -> str | None:
    """The general model on the parametric prior's own curves, and its speed; how like real curves its prior is."""
    result, fit = read_result("general"), read_result("prior_fit")
    if result is None or fit is None:
        return None
    ratio = result["latency"]["ratio"]
    return "\n".join(
        [
            "## The general model on the parametric prior",
            "",
            f"{result['curves']:,} fresh curves of the parametric prior; the general model gets neither bounds nor unit. Log score of all",
            "later points in nats per point; ± is the standard error of the paired difference.",
            "",
            "| cut-off | `general` | `parametric` | difference |",
            "|---|---|---|---|",
            *(
                f"| {cut} % | {row['general']:.3f} | {row['parametric']:.3f} | {row['difference'][0]:+.3f} ± {row['difference'][1]:.3f} |"
                for cut, row in result["scores"].items()
            ),
            "",
            f"One curve of 40 points and 60 steps on one thread takes {ratio['median']:.2f} {ratio['quartiles']} times as long as with the",
            "parametric model (median and quartiles of ratios within rounds).",
            "",
            origin(result),
            "",
            "## The prior of the general model beside real curves",
            "",
            "Quantiles 10/25/50/75/90 % of scale-free statistics, larger being better (`benchmarks/prior_fit.py`, `summary`); every source",
            f"one vote. A classifier tells the two apart with an AUC of {fit['auc']:.2f}.",
            "",
            "| statistic | real | prior |",
            "|---|---|---|",
            *(f"| {name} | {quantiles(row['real'])} | {quantiles(row['prior'])} |" for name, row in fit["statistics"].items()),
            "",
            "![48 real curves beside 48 draws](results/prior_fit.png)",
            "",
            origin(fit),
        ]
    )


def quantiles(values: list[float]) -> str:
    """Numbers of two decimals."""
    return " / ".join(f"{x:.2f}" for x in values)


def log_scores() -> str | None:
    """Log score beside P3's, and what training cost."""
    result = read_result("log_score")
    if result is None:
        return None
    cost = result["training"]
    rows = [f"| {c} % | {s['log_score']:.4f} ± {s['standard_error']:.4f} | {s['P3']} |" for c, s in result["scores"].items()]
    return "\n".join(
        [
            "## Log score on the parametric prior",
            "",
            f"Mean log score in nats per point of all points after the cut-off, {result['curves']:,} fresh curves, higher is better;",
            "± is the standard error, with each curve's score under its own truth as control variate. P3: LC-PFN's largest model as",
            "published.",
            "",
            "| cut-off | lcx `parametric` | LC-PFN P3 |",
            "|---|---|---|",
            *rows,
            "",
            "| training | lcx `parametric` | LC-PFN P3 | ratio |",
            "|---|---|---|---|",
            f"| parameters | {cost['parameters']:,} | {cost['P3_parameters']:,.0f} | {cost['P3_parameters'] / cost['parameters']:.0f} |",
            f"| curves | {cost['curves']:,} | {cost['P3_curves']:,.0f} | {cost['P3_curves'] / cost['curves']:.1f} |",
            f"| multiply-adds | {cost['multiply_adds']:.2g} | {cost['P3_multiply_adds']:.2g} "
            f"| {cost['P3_multiply_adds'] / cost['multiply_adds']:.0f} |",
            f"| wall time | {cost['hours']:.2f} h, 2 CPU cores (shared) | about 8 h, RTX 2080 | |",
            "",
            origin(result),
        ]
    )


def calibration() -> str | None:
    """Coverage and PIT per cut-off with the negative control."""
    result = read_result("calibration")
    if result is None:
        return None
    rows = []
    for cutoff, row in result["cutoffs"].items():
        for name in ("model", "scale_x_1.5"):
            cover = row[name]["coverage"]
            rows.append(
                f"| {cutoff} % | {name.replace('_', ' ')} | " + " | ".join(f"{100 * cover[q]:.1f}" for q in ("0.5", "0.8", "0.95")) + " | "
            )
            low, high = min(row[name]["histogram"]), max(row[name]["histogram"])
            rows[-1] += f"{low:.2f}–{high:.2f}, {'inside' if row[name]['inside_band'] else 'outside'} |"
    low, high = result["band"]
    paths = result["paths"]
    return "\n".join(
        [
            "## Calibration",
            "",
            f"{result['curves']:,} fresh curves per cut-off, one later step each. Coverage of central intervals in per cent; PIT",
            f"histogram of {result['bins']} bins relative to uniform against the simultaneous 99 % band {low:.2f}–{high:.2f}.",
            "The second row of each pair is the negative control, the same model with its scales multiplied by 1.5.",
            "",
            "| cut-off | | 50 % | 80 % | 95 % | PIT |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "![PIT histograms](results/calibration.png)",
            "",
            f"Sampled paths against marginal quantiles ({paths['curves']} curves cut at 20, {paths['paths']:,} paths each): share of",
            "draws below the quantile.",
            "",
            "| step | " + " | ".join(f"{level}" for level in paths["levels"]) + " |",
            "|---" * (len(paths["levels"]) + 1) + "|",
            *(
                f"| {step:.0f} | " + " | ".join(f"{b:.3f}" for b in below) + " |"
                for step, below in zip(paths["at"], paths["share_below"], strict=True)
            ),
            "",
            origin(result),
        ]
    )


def speed() -> str | None:
    """Every section of speed.json: medians, ratios, thresholds."""
    result = read_result("speed")
    if result is None:
        return None
    lines = ["## Speed", "", "Medians over interleaved rounds; brackets hold the quartiles. Ratios are formed within rounds."]
    for name, section in result.items():
        if not isinstance(section, dict):
            continue
        lines += ["", f"### {name}", ""]
        if "seconds" in section:
            lines += ["| timed | seconds |", "|---|---|"]
            lines += [f"| {what} | {_spread(x)} |" for what, x in section["seconds"].items()]
        if "ratios" in section:
            required = section.get("required", {})
            lines += ["", "| ratio | value | required |", "|---|---|---|"]
            limits = {what: required.get(what, {}).get("required", "") for what in section["ratios"]}
            lines += [f"| {what} | {_spread(x)} | {limits[what]} |" for what, x in section["ratios"].items()]
        if "curves_per_second" in section:
            lines += ["", "Curves per second: " + ", ".join(f"{k} {v:,}" for k, v in section["curves_per_second"].items()) + "."]
        if "networks" in section:
            lines += ["", "| network | parameters | multiply-adds of a pass |", "|---|---|---|"]
            lines += [f"| {k} | {v['parameters']:,} | {v['multiply_adds']:,} |" for k, v in section["networks"].items()]
        if "mebibytes" in section:
            lines += ["", "| batch | MiB before | MiB added at the peak |", "|---|---|---|"]
            lines += [f"| {k} | {_spread(v['before'])} | {_spread(v['added'])} |" for k, v in section["mebibytes"].items()]
        lines += ["", origin(section)]
    return "\n".join(lines)


def _spread(x: dict[str, Any]) -> str:
    low, high = x["quartiles"]
    return f"{x['median']:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    main()
