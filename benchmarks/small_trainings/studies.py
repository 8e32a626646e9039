"""Studies of really trained models, kept in the format of real curves."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks.convert import Source, write
from lcx.files import write_atomically
from lcx.pretraining.sources import LARGEST, SHORTEST

LIVELY = 0.5  # share of runs of a study that have points enough and more than one value


class Study(NamedTuple):
    """Runs of one task."""

    name: str
    steps: Float[np.ndarray, "P"]  # rising
    values: Float[np.ndarray, "R P"]  # NaN where a run had diverged


def runs_of(study: Study) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steps and values of each run that has points enough; none if too few of the runs move at all.

    A value that is not finite or beyond ``LARGEST`` is missing. A run equal to an earlier one is left out.
    """
    values = np.where(np.isfinite(study.values) & (np.abs(study.values) <= LARGEST), study.values, np.nan).astype(np.float32)
    kept, lively, known = [], 0, set()
    for row in values:
        seen = row[np.isfinite(row)]
        if len(seen) < SHORTEST or row.tobytes() in known:
            continue
        known.add(row.tobytes())
        lively += len(np.unique(seen)) > 2
        kept.append((study.steps, row.astype(float)))
    return kept if lively >= LIVELY * len(values) else []


def keep(studies: dict[str, Study], path: Path) -> None:
    """Writes the studies of one training, by source, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{source}/{field}": np.asarray(value) for source, study in studies.items() for field, value in study._asdict().items()}
    write_atomically(path, lambda new: np.savez_compressed(new, allow_pickle=False, **arrays))


def kept(path: Path) -> dict[str, Study]:
    """What :func:`keep` wrote."""
    with np.load(path, allow_pickle=False) as data:
        sources = dict.fromkeys(key.split("/")[0] for key in data)
        return {source: Study(str(data[f"{source}/name"]), data[f"{source}/steps"], data[f"{source}/values"]) for source in sources}


def save(name: str, metric: str, direction: str, studies: list[Study], folder: Path) -> dict[str, int]:
    """Writes <folder>/<name>.npz and .json.

    Returns:
        Numbers of studies, runs and points, and of studies left out.
    """
    found = [(study.name, runs) for study in studies if (runs := runs_of(study))]
    curves, groups = [run for _, runs in found for run in runs], [name for name, runs in found for _ in runs]
    about = {
        "metric": metric,
        "direction": direction,
        "step_meaning": "optimizer step, epoch, samples, rounds or environment steps; each study has its own unit and grid",
        "source": "trained by python -m benchmarks.small_trainings of lcx",
        "licence": "MIT, as lcx",
        "preprocessing": "none; NaN where not finite or beyond 1e9",
    }
    write(Source(curves, groups, about), folder / name)
    points = sum(int(np.isfinite(values).sum()) for _, values in curves)
    return {"studies": len(found), "runs": len(curves), "points": points, "studies left out": len(studies) - len(found)}
