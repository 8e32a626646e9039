"""Averages the weights of two models of one training: ``python scripts/average.py runs/stage4 runs/stage6 --folder runs/mean``.

What it writes has the configuration of the second and can be trained on (``scripts/pretrain.py --start``) or shipped. The second may have a
reader that the first lacks; it is taken as it is.
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
    earlier, later = one.state_dict(), other.state_dict()
    if strange := [name for name in earlier.keys() ^ later.keys() if not (name in later and name.startswith("reader"))]:
        raise SystemExit(f"expected two models of one size, got {strange[0]!r} in one of them only; name stages of one training")
    other.load_state_dict({name: p.lerp(earlier[name], 0.5) if name in earlier else p for name, p in later.items()})
    del about["model"]
    save(other, options.folder, about | {"averaged_with": str(options.first)})


if __name__ == "__main__":
    main()
