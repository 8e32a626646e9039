"""``lcx pretrain`` from a bare source tree: needs only torch, numpy, safetensors, jaxtyping and tqdm.

The shipped parametric model: see models/parametric/README.md for its command.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lcx.cli.pretrain import main

if __name__ == "__main__":
    main(sys.argv[1:], "scripts/pretrain.py")
