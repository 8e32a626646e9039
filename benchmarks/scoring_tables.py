"""The section on scoring many curves of benchmarks/README.md, from results/scoring.json and results/faults_scoring.json."""

from collections.abc import Callable
from typing import Any

from benchmarks.provenance import read_result


def scoring(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """Curves per second and peak memory by model and number of curves."""
    result = read_result("scoring")
    if result is None:
        return None
    lines = [
        "## Scoring many curves",
        "",
        f"`lcx score` on Parquet files of curves of {result['points']} points with bounds (0, 1): mean, standard deviation and P(better)",
        f"at the horizon, five quantiles at each of {result['at']} steps; start and reading included. Medians, best in brackets.",
        "CPU: curves per second of CPU time, all processes together; two cores would give twice that at most. Memory: the peak of the",
        "largest process and the sum of all peaks, MiB. Load: of the machine before the run; above 2 the two cores were shared.",
        "",
        "| model | curves | workers | curves/s | curves/s of CPU | MiB, largest / all | load | repeats |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        rate, cpu = (f"{row[name]:,.0f} ({row[f'{name}_best']:,.0f})" for name in ("curves_per_second", "curves_per_cpu_second"))
        memory = f"{row['mebibytes_largest_process']} / {row['mebibytes_together']}"
        cells = (f"`{row['model']}`", f"{row['curves']:,}", row["workers"], rate, cpu, memory, f"{row['load_average']:.1f}", row["repeats"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join([*lines, "", origin(result)])


def faults(origin: Callable[[dict[str, Any]], str]) -> str | None:
    """What ``kill -9`` did to scoring, for the page on reliability."""
    result = read_result("faults_scoring")
    if result is None:
        return None
    rows = [one for one in result.values() if isinstance(one, dict)]
    lines = [
        "| workers | kills (of the parent only) | runs to the end | half files | curves lost | twice | changed | files left over |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        kills = f"{one['kills']} ({one['kills_of_the_parent_only']})"
        counts = (one[name] for name in ("resumed_to_the_end", "half_files", "lost", "twice", "changed", "left_over"))
        lines.append("| " + " | ".join(map(str, (one["workers"], kills, *counts))) + " |")
    return "\n".join([*lines, "", origin(result)])
