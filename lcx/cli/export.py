"""``lcx export model.onnx``: a model as one ONNX graph, for onnxruntime in any language."""

from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options
from lcx.config import LEVELS


def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="ONNX file to write.")],
    model: options.Model = "default",
    levels: Annotated[str, typer.Option(help="Levels of the quantiles that the graph returns, separated by commas.")] = ",".join(
        map(str, LEVELS)
    ),
) -> None:
    """Write a model as an ONNX graph.

    The graph runs in onnxruntime, from any language. It takes values and steps and returns quantiles; docs/api.md describes its inputs and
    outputs.

    \b
      lcx export model.onnx --levels 0.05,0.5,0.95
    """
    from lcx.export import export as export_model

    try:
        chosen = tuple(float(part) for part in levels.split(","))
    except ValueError as error:
        raise ValueError(f"expected --levels as numbers separated by commas, got {levels!r}; write for example 0.05,0.5,0.95") from error
    export_model(path, model, chosen)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
