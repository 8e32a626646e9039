"""``lcx export model.onnx``: a model as one ONNX graph, for onnxruntime in any language."""

from pathlib import Path
from typing import Annotated

import typer

from lcx.cli import options
from lcx.config import LEVELS


def export(
    path: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    model: options.Model = "default",
    levels: Annotated[str, typer.Option(help="Levels of the quantiles, separated by commas.")] = ",".join(map(str, LEVELS)),
) -> None:
    """Writes a model as ONNX: user's numbers in, quantiles out (see lcx/export/onnx.py for both)."""
    from lcx.export import export as export_model

    try:
        chosen = tuple(float(part) for part in levels.split(","))
    except ValueError as error:
        raise ValueError(f"expected --levels as numbers separated by commas, got {levels!r}; write for example 0.05,0.5,0.95") from error
    export_model(path, model, chosen)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
