"""Regenerates tests/golden/*.json: ``python scripts/golden.py``.

Each file holds what a shipped model answers in float64 for a few fixed curves, so that any change of weights, features or decoder
shows. It says nothing about whether the answers are good; regenerate it whenever weights change on purpose.
"""

import json
from pathlib import Path
from typing import Any

import torch

import lcx
from lcx.extrapolator import models_folder
from lcx.files import write_text
from lcx.pfn.features import Frame
from lcx.pfn.model import PFN
from lcx.pfn.others import Others

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
QUERIES = (1.0, 30.0, 70.5)  # steps after the last point
LEVELS = (1e-6, 0.05, 0.5, 0.95, 1 - 1e-6)


@torch.inference_mode()
def golden(model: PFN) -> dict[str, Any]:
    """Quantiles (curve, query, level) of three curves at two cut-offs, float64, model units; ``model`` is converted."""
    model = model.double()
    t = torch.arange(1.0, 21.0, dtype=torch.float64)
    values = torch.stack([0.9 - 0.7 * t**-0.6, 0.5 + 0.02 * torch.sin(3 * t), torch.where(t % 4 == 2, torch.nan, 0.2 + 0.01 * t)])
    ends = torch.tensor([[0.0, 1.0, 1.0], [-torch.inf, torch.inf, 1.0], [0.0, torch.inf, 0.2]], dtype=torch.float64)
    lower, upper, fallback = ends.unbind(1)
    context = model.encode(values, t.expand_as(values), frame=Frame(lower, upper, fallback))
    others = {"": None} if model.reader is None else {"": None, " with others": _others(t)}
    rows = {}
    for token in (4, 19):
        queries = (t[token] + torch.tensor(QUERIES, dtype=torch.float64)).expand(3, -1)
        for said, runs in others.items():
            law = model.decode(context, torch.full((3, 1), token), queries, runs)
            rows[f"{token}{said}"] = torch.stack([law.icdf(level) for level in LEVELS], -1).tolist()
    return {"queries": QUERIES, "levels": LEVELS, "quantiles": rows}


def _others(t: torch.Tensor) -> Others:
    """Two other runs for each curve, one of which ends early."""
    whole = torch.cat([t, 20 + 5 * t])
    runs = torch.stack([0.95 - 0.6 * whole**-0.5, torch.where(whole < 60, 0.3 + 0.01 * whole, torch.nan)])
    steps = torch.where(runs.isnan(), torch.nan, whole)
    return Others.in_chart(runs.expand(3, -1, -1), steps.expand(3, -1, -1))


def main() -> None:
    """Writes one file per shipped model."""
    for config in models_folder().glob("*/config.json"):
        name = config.parent.name
        write_text(json.dumps(golden(lcx.load(name, "cpu").model)) + "\n", GOLDEN / f"{name}.json")
        print(f"tests/golden/{name}.json")


if __name__ == "__main__":
    main()
