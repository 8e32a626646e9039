"""The 92 curves of Alabdulmohsin, Neyshabur and Zhai, "Revisiting Neural Scaling Laws in Language and Vision" (NeurIPS 2022).

``benchmark.vision.csv`` and ``benchmark.lang.csv`` of github.com/google-research/google-research, folder
revisiting_neural_scaling_laws/data, Apache-2.0; columns Domain, Task, Model, Seen Examples, Loss, Training (1: fitted on, 0: extrapolated
to). Rows that stand there several times, and values of one curve at the same number of examples, count once, as their mean.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DOMAINS = {"IC": "image classification", "NMT": "translation", "LM": "language modelling", "BB": "BIG-Bench"}
FILES = ("benchmark.vision.csv", "benchmark.lang.csv")
COLUMNS = ["Domain", "Task", "Model", "Seen Examples", "Loss", "Training"]


@dataclass(frozen=True)
class Scaling:
    """A loss over the number of examples seen: steps and values (n,) to learn from, and (A,) beyond them."""

    domain: str
    name: str
    steps: np.ndarray
    values: np.ndarray
    later_steps: np.ndarray
    later_values: np.ndarray


def load(folder: Path) -> list[Scaling]:
    """Every curve, in the order of the files.

    Raises:
        FileNotFoundError, ValueError: a file or a column is missing.
    """
    tables = []
    for file in FILES:
        if not (folder / file).is_file():
            raise FileNotFoundError(f"expected {', '.join(FILES)} in {folder}, got no {file}; benchmarks/scaling_laws/split.py says where")
        tables.append(pd.read_csv(folder / file))
        if missing := set(COLUMNS) - set(tables[-1]):
            raise ValueError(f"expected columns {COLUMNS} in {file}, got none named {sorted(missing)}; take the file as published")
    groups: Any = pd.concat(tables).groupby(["Domain", "Task", "Model"], sort=False)
    return [_curve(str(domain), f"{task}, {model}", rows) for (domain, task, model), rows in groups]


def _curve(domain: str, name: str, rows: pd.DataFrame) -> Scaling:
    size, loss, seen = (np.asarray(rows[column], dtype=float) for column in ("Seen Examples", "Loss", "Training"))
    return Scaling(domain, name, *(x for kind in (1, 0) for x in _means(size[seen == kind], loss[seen == kind])))


def _means(size: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps, place = np.unique(size, return_inverse=True)
    return steps, np.bincount(place, loss) / np.bincount(place)
