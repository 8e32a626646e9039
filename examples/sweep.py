"""Measure a random search for `lcx watch` and `lcx replay`: 16 perceptrons on the digits, 60 epochs each, into sweep.jsonl, and what was
drawn into sweep_settings.json.

    python examples/sweep.py    # some 15 s on one CPU core

Learning rate, momentum, width, batch size and weight decay are drawn at random, with the first seed; nothing was chosen by its outcome.
Keys: run, step (epoch), loss (validation cross-entropy, nats).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from make_curves import Run, load_digits, train
from tqdm.auto import tqdm

RUNS = 16


def draw(rng: np.random.Generator) -> dict[str, float]:
    """The settings of one run."""
    return {
        "lr": 10 ** rng.uniform(-2.5, -0.3),
        "momentum": rng.choice([0.0, 0.9]),
        "weight_decay": 10 ** rng.uniform(-5, -2),
        "batch": int(rng.choice([20, 50, 100])),
        "width": int(rng.choice([8, 16, 32, 64])),
    }


def main() -> None:
    """Trains all runs and writes the file next to this script."""
    torch.set_num_threads(1)
    rng, curves = np.random.default_rng(0), []
    settings = pd.DataFrame([draw(rng) for _ in range(RUNS)], index=pd.Index([f"run {i:02d}" for i in range(RUNS)], name="run"))
    settings.to_json(Path(__file__).with_name("sweep_settings.json"), orient="index", indent=1, double_precision=8)
    for i, chosen in enumerate(tqdm(settings.to_dict("records"))):
        width = int(chosen.pop("width"))
        curve = train(Run(load_digits, "loss", 400, 500, (width, width), epochs=60, seed=i, **chosen))  # pyright: ignore[reportArgumentType]
        curves.append(curve.assign(run=f"run {i:02d}", loss=curve["loss"].round(5)))
    whole = pd.concat(curves)[["run", "step", "loss"]]
    whole.to_json(Path(__file__).with_name("sweep.jsonl"), orient="records", lines=True)


if __name__ == "__main__":
    main()
