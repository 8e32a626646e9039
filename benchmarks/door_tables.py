"""The sections on pretraining by several processes, ONNX and the browser page of benchmarks/README.md, from their results."""

from collections.abc import Callable
from typing import Any

from benchmarks.provenance import read_result

Origin = Callable[[dict[str, Any]], str]


def ranks(origin: Origin) -> str | None:
    """What a training curve costs, by one process and by several."""
    result = read_result("ranks")
    if result is None:
        return None
    return "\n".join(["## Pretraining by several processes", "", *ranks_table(result), "", origin(result)])


def ranks_table(result: dict[str, Any]) -> list[str]:
    """The table, which the page of the documentation shows too."""
    lines = [
        f"`torchrun` with {result['ranks']} gloo processes of one thread each, beside one process at the same number of curves per",
        f"step; medians over {result['turns']} turns of {result['steps']} steps, drawing included. Share: wall time per curve, times the",
        "processes, over that of one process; 1 is ideal. CPU: of all processes together over that of one process. Optimizer: ms a step.",
        "",
        "| prior | curves per step | one process, ms a curve | together, ms a curve | share | CPU | optimizer |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        wall = (f"{1e3 * row[name]['seconds']:.2f}" for name in ("alone", "together"))
        ratios = (f"{row[name]:.2f}" for name in ("clock_against_an_equal_share", "cpu_against_alone"))
        lines.append("| " + " | ".join([row["prior"], str(row["batch"]), *wall, *ratios, f"{row['optimizer_ms']:.0f}"]) + " |")
    return lines


def onnx(origin: Origin) -> str | None:
    """Agreement with torch, latency, number formats."""
    result = read_result("onnx")
    if result is None:
        return None
    lines = [
        "## The exported model",
        "",
        "Quantiles in onnxruntime beside torch on random questions: the largest |difference| / max(1, |quantile|) in model units, and of",
        "P(better). Latency: one curve of 40 points, 60 steps, 9 quantiles, from the user's numbers on, one thread, medians (ms), and the",
        "median and quartiles of ratios within rounds.",
        "",
        "| model | MB | questions | largest | within 1e-5 | P(better) | torch | onnx | onnx / torch |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ("general", "parametric"):
        row, agreed = result[name], result[name]["agreement"]
        seconds, ratio = row["latency"]["median_seconds"], row["latency"]["onnx / torch"]
        cells = [
            f"`{name}`",
            row["megabytes"],
            f"{agreed['questions']:,}",
            f"{agreed['largest']:.1e}",
            f"{agreed['share_within_1e-5']:.1%}",
        ]
        cells += [f"{agreed['largest_of_probability']:.1e}", f"{1e3 * seconds['torch']:.1f}", f"{1e3 * seconds['onnx']:.1f}"]
        lines.append("| " + " | ".join(map(str, [*cells, f"{ratio['median']} {ratio['quartiles']}"])) + " |")
    formats = result["formats"]
    lines += ["", f"Smaller numbers, `general`, {formats['curves']:,} curves of its prior; shipped only if the log score loses at most"]
    lines += [f"{formats['limit']} nats per point:", "", "| weights | MB | log score lost |", "|---|---|---|"]
    for name in ("float32", "float16", "int8"):
        row = formats[name]
        lines.append(f"| {name} | {row['megabytes']} | {row['lost'][0]:.4f} ± {row['lost'][1]:.4f} |")
    return "\n".join([*lines, "", f"onnxruntime {result['onnxruntime']}. {origin(result)}"])


def page(origin: Origin) -> str | None:
    """Size and speed of the page in the browser."""
    result = read_result("page")
    if result is None:
        return None
    first, later = result["first_prediction_seconds"], result["next_prediction_seconds"]
    lines = [
        "## The page in the browser",
        "",
        f"One file of {result['megabytes']} MB ({result['megabytes_gzip']} MB compressed). From opening it, data in its address, to the",
        f"chart: median {first['median']:.2f} s of {len(first['all'])} new browsers ({min(first['all']):.2f} to {max(first['all']):.2f};",
        f"at most {first['required']} asked for). A later prediction: {1e3 * later['median']:.0f} ms. {result['browser']}, headless.",
        "",
        "![The page](results/page.png)",
    ]
    return "\n".join([*lines, "", origin(result)])
