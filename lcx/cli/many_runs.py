"""What the commands about many runs share: their options, and the log read with what is to be said about it."""

import json
import math
import warnings
from typing import Annotated, Any

import typer

from lcx.readers import FORMATS, read

Logs = Annotated[str, typer.Argument(help="Log file or folder; for some formats an address, such as entity/project of wandb.")]
Metric = Annotated[str, typer.Option(help="Metric to compare the runs by; lcx runs PATH lists those there are.")]
Format = Annotated[str | None, typer.Option(help=f"{', '.join(FORMATS)}; default: recognised.")]
Delta = Annotated[float, typer.Option(help="Stop a run whose probability of becoming better than the best of the others is at most this.")]
MinPoints = Annotated[int, typer.Option(help="Values of a run needed before the first verdict.")]
Model = Annotated[str, typer.Option(help="Model name or folder.")]


def read_runs(path: str, format: str | None) -> tuple[Any, list[str]]:
    """The long table of ``lcx.readers.read``, and its warnings as sentences.

    Raises:
        ValueError, OSError, ImportError: as ``read``.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table = read(path, format)
    said = [" ".join(str(warning.message).split()) for warning in caught if warning.category is UserWarning]
    return table, list(dict.fromkeys(said))


def as_json(answer: Any) -> str:
    """One line of JSON, with null for numbers that are not finite."""
    return json.dumps(_finite(answer))


def _finite(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(name): _finite(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_finite(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def as_columns(rows: list[list[str]], left: set[int]) -> str:
    """Rows of cells as aligned text; the columns in ``left`` start, the others end, below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[cell.ljust(w) if i in left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def as_text(number: float, digits: int = 4) -> str:
    """A number in ``digits`` significant digits; empty where there is none."""
    return "" if math.isnan(number) else f"{number:.{digits}g}"
