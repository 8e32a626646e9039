"""The section on speed of benchmarks/README.md, from results/speed.json."""

from typing import Any

from benchmarks.markdown import table, with_quartiles
from benchmarks.provenance import origin, read_result


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
