"""The sections on speed of benchmarks/README.md, from results/forecast.json and results/speed.json."""

from typing import Any

from benchmarks.markdown import table, with_quartiles
from benchmarks.provenance import origin, read_result

P3 = "P3-size transformer"
ALL_IN = """\
The call of `lcx.predict` with the default model, five quantiles, the mean and P(better than best), in medians of CLOCK time; beside it one
pass of a transformer of the size of LC-PFN's largest over the same points and steps, by rounds, quartiles in brackets. On the right, in
milliseconds of calls of their own: the network's two halves, the three questions, and the rest of the call."""


def forecast() -> str | None:
    """What a forecast takes, all in, by what is asked."""
    result = read_result("speed/forecast")
    if result is None:
        return None
    lines = ["## A forecast, all in", "", ALL_IN.replace("CLOCK", result["clock"]), ""]
    rows, parts = [], list(next(iter(result["milliseconds"].values())))
    for case, x in result["seconds"].items():
        if not case.startswith(P3):
            ratio = result["ratios"].get(f"{P3}, {case} / {case}")
            spent = result["milliseconds"].get(case)
            cells = [f"{spent[part]['median']:.2g}" if spent else "" for part in parts]
            rows.append([case, f"{1e3 * x['median']:.3g}", with_quartiles(ratio) if ratio else "", *cells])
    lines += table(f"| asked | ms | P3's pass / all in | {' | '.join(parts)} |", rows)
    limits = result["required"].items()
    lines += ["", *table("| ratio | value | required |", ([what, x["value"], x["required"]] for what, x in limits)), "", origin(result)]
    return "\n".join(lines)


def decisions() -> str | None:
    """What a decision of EarlyStopper takes."""
    result = read_result("speed/decisions")
    if result is None:
        return None
    said = "Wall time of `EarlyStopper.update`, medians over interleaved rounds with quartiles; curves of 100 epochs, 40 seen."
    return "\n".join(["## A decision to stop", "", said, "", *of_section(result), "", origin(result)])


def speed() -> str | None:
    """Every section of speed.json: medians, ratios, thresholds."""
    result = read_result("speed/speed")
    if result is None:
        return None
    lines = ["## Speed", "", "Medians over interleaved rounds; brackets hold the quartiles. Ratios are formed within rounds."]
    for name, section in result.items():
        if isinstance(section, dict):
            lines += ["", f"### {name}", "", *of_section(section), "", origin(section)]
    return "\n".join(lines)


def of_section(section: dict[str, Any]) -> list[str]:
    """The tables of what a section has."""
    lines: list[str] = []
    if "seconds" in section:
        lines += table("| timed | seconds |", ([what, with_quartiles(x)] for what, x in section["seconds"].items()))
    if "ratios" in section:
        limits = {what: row["required"] for what, row in section.get("required", {}).items()}
        rows = ([what, with_quartiles(x), limits.get(what, "")] for what, x in section["ratios"].items())
        lines += ["", *table("| ratio | value | required |", rows)]
    if "curves_per_second" in section:
        lines += ["", "Curves per second: " + ", ".join(f"{k} {v:,}" for k, v in section["curves_per_second"].items()) + "."]
    if "networks" in section:
        rows = ([k, f"{v['parameters']:,}", f"{v['multiply_adds']:,}"] for k, v in section["networks"].items())
        lines += ["", *table("| network | parameters | multiply-adds of a pass |", rows)]
    if "mebibytes" in section:
        rows = ([k, with_quartiles(v["before"]), with_quartiles(v["added"])] for k, v in section["mebibytes"].items())
        lines += ["", *table("| batch | MiB before | MiB added at the peak |", rows)]
    return lines
