"""DeepOBS's baselines (Schneider et al. 2019) as files of real curves.

git clone https://github.com/fsschneider/DeepOBS_Baselines
python benchmarks/deepobs.py DeepOBS_Baselines DIR/deepobs_test_loss
python benchmarks/deepobs.py DeepOBS_Baselines DIR/deepobs_test_accuracy --metric test_accuracies
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.convert import Source, write

DIVERGED = 1e30  # values beyond count as missing; no single-precision loss means anything there
METRICS = {"test_losses": ("test loss", "min"), "test_accuracies": ("test accuracy", "max")}


def main() -> None:
    """Reads a clone of the repository and writes the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, help="the repository")
    parser.add_argument("output", type=Path, help="path of the two files, without their endings")
    parser.add_argument("--metric", choices=sorted(METRICS), default="test_losses", help="default test_losses")
    options = parser.parse_args()
    source = deepobs(options.input, options.metric)
    write(source, options.output)
    print(f"{len(source.curves)} curves of {len(set(source.groups))} groups: {options.output}.npz, {options.output}.json")


def deepobs(folder: Path, metric: str) -> Source:
    """Runs of every test problem that logs the metric: 3 optimizers, 36 learning rates, and more seeds at the best of these.

    Args:
        folder: a clone, <problem>/<optimizer>/<settings>/random_seed__*.json; of each epoch a value, the first before training.
        metric: a key of ``METRICS``.
    """
    curves, groups = [], []
    for path in sorted(folder.glob("*/*/*/random_seed__*.json")):
        values = np.array(json.loads(path.read_text()).get(metric) or [], dtype=float)
        if len(values):
            curves.append((np.arange(1.0, len(values) + 1), np.where(np.abs(values) > DIVERGED, np.nan, values)))
            groups.append(path.parts[-4])
    if not curves:
        raise ValueError(f"expected {metric} in <problem>/<optimizer>/<settings>/random_seed__*.json, got none in {folder}; clone it anew")
    words, direction = METRICS[metric]
    about = {
        "metric": words,
        "direction": direction,
        "step_meaning": "epoch; 1 is before training",
        "source": f"github fsschneider/DeepOBS_Baselines, {metric}",
        "licence": "MIT",
    }
    return Source(curves, groups, about)


if __name__ == "__main__":
    main()
