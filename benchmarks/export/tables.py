"""The sections of benchmarks/README.md on the exported model and on the page in the browser."""

from typing import Any

from benchmarks.markdown import table
from benchmarks.provenance import origin, read_result


def exported() -> str | None:
    """Agreement with torch, latency, number formats."""
    result = read_result("export/onnx")
    if result is None:
        return None
    formats = result["formats"]
    smaller = ((name, formats[name]) for name in ("float32", "float16", "int8"))
    lines = [
        "## The exported model",
        "",
        "Quantiles in onnxruntime beside torch on random questions: the largest |difference| / max(1, |quantile|) in model units, and of",
        "P(better). Latency: one curve of 40 points, 60 steps, 9 quantiles, from the user's numbers on, one thread, medians (ms), and the",
        "median and quartiles of ratios within rounds.",
        "",
        *table(
            "| model | MB | questions | largest | within 1e-5 | P(better) | torch | onnx | onnx / torch |",
            (of_model(name, result[name]) for name in ("general", "parametric")),
        ),
        *with_others(result.get("with_others", {})),
        "",
        f"Smaller numbers, `general`, {formats['curves']:,} curves of its prior; shipped only if the log score loses at most",
        f"{formats['limit']} nats per point:",
        "",
        *table(
            "| weights | MB | log score lost |",
            ([name, row["megabytes"], f"{row['lost'][0]:.4f} ± {row['lost'][1]:.4f}"] for name, row in smaller),
        ),
        "",
        f"onnxruntime {result['onnxruntime']}. {origin(result)}",
    ]
    return "\n".join(lines)


def with_others(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The same of `general` beside other runs."""
    if not rows:
        return []
    cells = ([k, f"{x['questions']:,}", f"{x['largest']:.1e}", f"{x['share_within_1e-5']:.1%}"] for k, x in rows.items())
    return ["", "`general` beside other runs:", "", *table("| others | questions | largest | within 1e-5 |", cells)]


def of_model(name: str, row: dict[str, Any]) -> list[Any]:
    """The cells of one model."""
    agreed, seconds, ratio = row["agreement"], row["latency"]["median_seconds"], row["latency"]["onnx / torch"]
    return [
        f"`{name}`",
        row["megabytes"],
        f"{agreed['questions']:,}",
        f"{agreed['largest']:.1e}",
        f"{agreed['share_within_1e-5']:.1%}",
        f"{agreed['largest_of_probability']:.1e}",
        f"{1e3 * seconds['torch']:.1f}",
        f"{1e3 * seconds['onnx']:.1f}",
        f"{ratio['median']} {ratio['quartiles']}",
    ]


def page() -> str | None:
    """Size and speed of the page in the browser."""
    result = read_result("export/page")
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
        "![The page](export/results/page.png)",
        "",
        origin(result),
    ]
    return "\n".join(lines)
