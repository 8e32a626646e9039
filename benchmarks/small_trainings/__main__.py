"""Makes sources of real learning curves by training very many very small models on the CPU; interrupted, it goes on where it was.

python -m benchmarks.small_trainings --folder OUT [--studies 40] [--only nets]
"""

import argparse
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.small_trainings.control import returns
from benchmarks.small_trainings.ensembles import sizes, staged
from benchmarks.small_trainings.fits import fits
from benchmarks.small_trainings.networks import classifiers, regressions
from benchmarks.small_trainings.studies import Study, keep, kept, save
from benchmarks.small_trainings.text import characters

Maker = Callable[[np.random.Generator, int, int], dict[str, Study] | Study]
# Of each kind: what makes a study, and the metric and direction of the sources it gives.
KINDS: dict[str, tuple[Maker, dict[str, tuple[str, str]]]] = {
    "nets": (
        classifiers,
        {
            "small_nets_valid_loss": ("validation loss (cross-entropy) of small perceptrons", "min"),
            "small_nets_valid_accuracy": ("validation accuracy of small perceptrons", "max"),
        },
    ),
    "regressions": (regressions, {"small_regressions_loss": ("mean squared error (loss) of small regressions and autoencoders", "min")}),
    "fits": (fits, {"small_fits_loss": ("training loss of quadratics, factorisations and test functions", "min")}),
    "control": (returns, {"small_control_return": ("mean episode return of small reinforcement learners", "max")}),
    "rounds": (
        staged,
        {
            "small_rounds_valid_loss": ("validation loss of boosting, forests and linear models over rounds", "min"),
            "small_rounds_valid_accuracy": ("validation accuracy of boosting, forests and linear models over rounds", "max"),
        },
    ),
    "sizes": (sizes, {"small_sizes_valid_accuracy": ("validation accuracy over the training-set size", "max")}),
    "text": (characters, {"small_text_loss": ("loss (cross-entropy) of small next-character models", "min")}),
}


def main() -> None:
    """Trains and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files are written")
    parser.add_argument("--studies", type=int, default=40, help="of each source; default 40")
    parser.add_argument("--only", nargs="*", choices=sorted(KINDS), default=sorted(KINDS), help="kinds of training; default all")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for kind in options.only:
        start = time.process_time()
        for name, counts in make(kind, options.studies, options.seed, options.folder).items():
            print(f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
        print(f"{kind}: {time.process_time() - start:.0f} s of CPU", flush=True)


def make(kind: str, studies: int, seed: int, folder: Path) -> dict[str, dict[str, int]]:
    """Trains the studies of one kind, those that the folder does not have yet, and writes its sources.

    Study i depends on kind, seed and i alone.
    """
    maker, sources = KINDS[kind]
    found: dict[str, list[Study]] = {name: [] for name in sources}
    for index in tqdm(range(studies), desc=kind, leave=False):
        part = folder / "parts" / f"{kind}-{seed}-{index}.npz"
        if not part.is_file():
            rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
            with np.errstate(all="ignore"):
                made = maker(rng, index, int(rng.integers(16, 41)))
            keep(dict.fromkeys(sources, made) if isinstance(made, Study) else made, part)
        for name, study in kept(part).items():
            found[name].append(study)
    return {name: save(name, *sources[name], found[name], folder) for name in sources}


if __name__ == "__main__":
    main()
