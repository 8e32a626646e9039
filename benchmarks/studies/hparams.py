"""Whether hyperparameters would help: ``python -m benchmarks.studies.hparams --data DIR --hparams DIR --model NAME_OR_FOLDER``.

The model is told no hyperparameters. Here they choose the ten other runs that it is told: at random, or the ten nearest in
hyperparameters, each scaled by its standard deviation over the study, out of at most ``POOL`` others of the tuning study. Same targets,
CRPS at 10/20/40/80 % of the points. Written to results/hparams.json in this folder.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import CUTOFFS, RealCurve, load_source
from benchmarks.provenance import provenance, write_result
from benchmarks.scores import score
from benchmarks.studies.ask import ask_with_others
from benchmarks.studies.questions import Run, Target

POOL, TOLD = 60, 10
CHOICES = ("alone", "random", "nearest")


def main() -> None:
    """Asks, scores, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--hparams", type=Path, required=True, help="folder of .npz files of their hyperparameters")
    parser.add_argument("--sources", nargs="*", help="default all with hyperparameters")
    parser.add_argument("--model", default="default", help="name or folder of a model with a reader")
    parser.add_argument("--curves", type=int, default=40, help="targets per source; default 40")
    options = parser.parse_args()
    model, rows = lcx.load(options.model, "cpu"), {}
    names = options.sources or sorted(path.stem for path in options.hparams.glob("*.npz"))
    with tqdm(total=len(names) * len(CHOICES) * len(CUTOFFS), unit="cell") as bar:
        for name in names:
            told = choices(options.data / f"{name}.npz", options.hparams / f"{name}.npz", options.curves)
            for choice, targets in told.items():
                cells = []
                for share in CUTOFFS:
                    answer = ask_with_others(model, targets, share, "0" if choice == "alone" else str(TOLD))
                    cells.append(float(np.mean(score(answer, [x.curve for x in targets], share)["crps"])))
                    bar.update()
                rows[f"{name}, {choice}"] = np.round(cells, 4).tolist()
    for choice in CHOICES:
        rows[f"mean, {choice}"] = np.mean([rows[f"{name}, {choice}"] for name in names], 0).round(4).tolist()
    about = {**provenance("cpu"), "model": Path(options.model).name, "curves": options.curves, "pool": POOL}
    write_result("studies/hparams", {**about, "rows": rows})
    for name, row in rows.items():
        print(f"{name:45} " + " ".join(f"{x:.3f}" for x in row))


def choices(path: Path, hparams: Path, most: int, seed: int = 0) -> dict[str, list[Target]]:
    """The same targets with others chosen in each way."""
    with np.load(hparams, allow_pickle=False) as data:
        settings, study = data["hparams"].astype(float), data["study"].astype(str)
    generator, studies = np.random.default_rng(seed), dict[tuple[str, str], list[RealCurve]]()
    for curve in load_source(path)[0]:
        studies.setdefault((curve.group, str(study[curve.row])), []).append(curve)
    pools = [curves for curves in studies.values() if len(curves) > 2 * TOLD]
    told: dict[str, list[Target]] = {choice: [] for choice in CHOICES}
    for number in range(most):
        curves = pools[number % len(pools)]
        chosen = [curves[i] for i in generator.permutation(len(curves))[: POOL + 1]]
        target, rest = chosen[0], chosen[1:]
        known = np.nan_to_num(settings[[curve.row for curve in chosen]])
        distance = np.sqrt((((known[1:] - known[0]) / np.maximum(known.std(0), 1e-9)) ** 2).sum(1))
        nearest = [rest[i] for i in np.argsort(distance, kind="stable")[:TOLD]]
        for choice, others in {"alone": [], "random": rest[:TOLD], "nearest": nearest}.items():
            told[choice].append(Target(target, list(map(_run, others)), [], []))
    return told


def _run(curve: RealCurve) -> Run:
    return curve.steps, curve.values


if __name__ == "__main__":
    main()
