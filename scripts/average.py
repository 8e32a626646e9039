"""Averages the weights of two models of one training: ``python scripts/average.py runs/stage4 runs/stage6 --folder runs/mean``.

What it writes has the configuration of the second and can be trained on (``scripts/pretrain.py --start``) or shipped.
"""

import argparse
from pathlib import Path

import torch

from lcx.pfn.checkpoint import load, save


def main() -> None:
    """Loads both, averages, saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="where the mean goes")
    options = parser.parse_args()
    (one, _), (other, about) = (load(folder, torch.device("cpu")) for folder in (options.first, options.second))
    with torch.no_grad():
        for mean, p in zip(one.parameters(), other.parameters(), strict=True):
            mean.lerp_(p, 0.5)
    del about["model"]
    save(one, options.folder, about | {"averaged_with": str(options.first)})


if __name__ == "__main__":
    main()
