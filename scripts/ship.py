"""Ships a trained model: ``python scripts/ship.py runs/parametric --commit COMMIT [--minutes M]``.

Copies weights and configuration from the folder of a run to models/<prior>, adding where they come from, and refreshes the recorded
answers of the tests. Measure it afterwards (``make bench``), then refresh the README (``python scripts/readme.py``).
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.provenance import provenance
from lcx.extrapolator import model_folder
from lcx.pfn.checkpoint import load, read_config, save

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Copies the model and regenerates the golden file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--commit", required=True, help="commit whose code trained the run")
    parser.add_argument("--minutes", type=float, help="the wall-clock budget it was given")
    options = parser.parse_args()
    model, about = load(options.run, torch.device("cpu"))
    del about["model"]
    about |= {"commit": options.commit, "minutes": options.minutes, "hardware": provenance(about["device"])["device"]}
    if start := about["pretraining"].get("start"):
        before = read_config(model_folder(start))
        kept = ("commit", "minutes", "stopped_after", "hardware", "curves_seen", "averaged_with", "remark", "pretraining", "started_from")
        about["started_from"] = {name: before[name] for name in kept if name in before}
    save(model, ROOT / "models" / about["prior"], about)
    subprocess.run([sys.executable, str(ROOT / "scripts" / "golden.py")], check=True)


if __name__ == "__main__":
    main()
