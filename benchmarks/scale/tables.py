"""The sections of benchmarks/README.md on scoring many curves and on pretraining by several processes."""

from typing import Any

from benchmarks.markdown import table
from benchmarks.provenance import origin, read_result


def scoring() -> str | None:
    """Curves per second and peak memory by model and number of curves."""
    result = read_result("scale/scoring")
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
        *table(
            "| model | curves | workers | curves/s | curves/s of CPU | MiB, largest / all | load | repeats |",
            map(of_run, result["rows"]),
        ),
        "",
        origin(result),
    ]
    return "\n".join(lines)


def of_run(row: dict[str, Any]) -> list[Any]:
    """The cells of one model, number of curves and of workers."""
    rate, cpu = (f"{row[name]:,.0f} ({row[f'{name}_best']:,.0f})" for name in ("curves_per_second", "curves_per_cpu_second"))
    memory = f"{row['mebibytes_largest_process']} / {row['mebibytes_together']}"
    return [f"`{row['model']}`", f"{row['curves']:,}", row["workers"], rate, cpu, memory, f"{row['load_average']:.1f}", row["repeats"]]


def ranks() -> str | None:
    """What a training curve costs, by one process and by several."""
    result = read_result("scale/ranks")
    if result is None:
        return None
    return "\n".join(["## Pretraining by several processes", "", *ranks_table(result), "", origin(result)])


def ranks_table(result: dict[str, Any]) -> list[str]:
    """The table, which the page of the documentation shows too."""

    def cells(row: dict[str, Any]) -> list[Any]:
        wall = (f"{1e3 * row[name]['seconds']:.2f}" for name in ("alone", "together"))
        ratios = (f"{row[name]:.2f}" for name in ("clock_against_an_equal_share", "cpu_against_alone"))
        return [row["prior"], row["batch"], *wall, *ratios, f"{row['optimizer_ms']:.0f}"]

    return [
        f"`torchrun` with {result['ranks']} gloo processes of one thread each, beside one process at the same number of curves per",
        f"step; medians over {result['turns']} turns of {result['steps']} steps, drawing included. Share: wall time per curve, times the",
        "processes, over that of one process; 1 is ideal. CPU: of all processes together over that of one process. Optimizer: ms a step.",
        "",
        *table(
            "| prior | curves per step | one process, ms a curve | together, ms a curve | share | CPU | optimizer |",
            map(cells, result["rows"]),
        ),
    ]
