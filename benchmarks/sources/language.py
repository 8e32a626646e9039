"""Sources of language models: modded-nanogpt, NAS-Bench-NLP and Pythia."""

import json
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.sources.files import Source

# "step:250/3000 val_loss:4.61", or as llm.c writes it in main.log: "s:250 tel:4.61".
NANOGPT_LINES = re.compile(r"step:(\d+)/\d+ val_loss:([-+.\w]+)"), re.compile(r"s:(\d+) tel:([-+.\w]+)")
FEWEST_STEPS = 5  # of a speed run; what is shorter was broken off


def modded_nanogpt(folder: Path) -> Source:
    """Logs of the modded-nanogpt speed runs: validation loss on FineWeb; a record, that is a folder, is a study.

    A log holds several runs where the step falls back. A run that several records repeat counts for the first of them.

    Args:
        folder: a clone, records/<track>/<record>/**/*.txt or *.log; track 3 has its records in track_3_optimization/results.
    """
    curves, groups, seen = [], [], set()
    records = folder / "records"
    for path in sorted((p for p in records.rglob("*") if p.suffix in {".txt", ".log"}), key=str):
        for steps, values in _nanogpt_runs(path.read_text(errors="replace")):
            key = steps.tobytes() + values.tobytes()
            if len(steps) >= FEWEST_STEPS and key not in seen:
                seen.add(key)
                curves.append((steps, values))
                groups.append(_record_of(path.relative_to(records)))
    if not curves:
        raise ValueError(f"expected logs in records/<track>/<record>/, got none in {folder}; clone it anew")
    about = {
        "metric": "validation loss (cross-entropy on FineWeb)",
        "direction": "min",
        "step_meaning": "optimizer step, the first before training",
        "source": "github KellerJordan/modded-nanogpt records/**/*.{txt,log}",
        "licence": "MIT",
        "preprocessing": f"runs of at least {FEWEST_STEPS} evaluations, each once",
    }
    return Source(curves, groups, about)


def _nanogpt_runs(text: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steps and validation losses of each run in a log."""
    found = next((rows for line in NANOGPT_LINES if (rows := line.findall(text))), [])
    points = np.array([(float(step), float(value)) for step, value in found]).reshape(-1, 2)
    ends = np.flatnonzero(np.diff(points[:, 0]) <= 0) + 1
    return [(run[:, 0], run[:, 1]) for run in np.split(points, ends)]


def _record_of(path: Path) -> str:
    """The study of a log, by its path below records/."""
    track, *rest = path.parts
    if track == "track_3_optimization":
        return f"track_3/{rest[1]}" if len(rest) > 2 else "track_3"
    return f"{track}/{rest[0]}"


def nasbench_nlp(folder: Path) -> Source:
    """NAS-Bench-NLP (Klyuchnikov et al. 2022): recurrent cells trained on WikiText-2, in the order of the archive.

    Args:
        folder: a clone, train_logs_wikitext-2/logs.zip. The many more logs of Penn Treebank are not read.
    """
    curves = []
    with zipfile.ZipFile(folder / "train_logs_wikitext-2" / "logs.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                values = np.array(json.loads(archive.read(name))["val_losses"], dtype=float)
                curves.append((np.arange(1.0, len(values) + 1), values))
    about = {
        "metric": "validation loss (cross-entropy on WikiText-2)",
        "direction": "min",
        "step_meaning": "epoch",
        "source": "github fmsnew/nas-bench-nlp-release train_logs_wikitext-2/logs.zip",
        "licence": "Apache-2.0",
        "preprocessing": "as stored",
    }
    return Source(curves, ["wikitext-2"] * len(curves), about)


def pythia(folder: Path) -> Source:
    """Pythia (Biderman et al. 2023): accuracy of its checkpoints on tasks of lm-eval; a task is a study, a model its run.

    Args:
        folder: a clone, evals/pythia-v1/<model>[/<shots>]/*_step<step>.json. Models that were trained on with changed data
            (baseline, intervention) are left out.
    """
    found: dict[tuple[Path, str], dict[int, float]] = defaultdict(dict)
    for path in sorted(folder.glob("evals/pythia-v1/**/*.json")):
        step = re.search(r"_step(\d+)$", path.stem)
        if step is None or path.parent.name in {"baseline", "intervention"}:
            continue
        for task, scores in sorted(json.loads(path.read_text())["results"].items()):
            if "acc" in scores:
                found[path.parent, task][int(step[1])] = scores["acc"]
    if not found:
        raise ValueError(f"expected evals/pythia-v1/**/*_step<step>.json, got none in {folder}; clone it anew")
    curves = [tuple(np.array(sorted(scores.items()), dtype=float).T) for scores in found.values()]
    about = {
        "metric": "accuracy of checkpoints on tasks of lm-eval, zero-shot or five-shot",
        "direction": "max",
        "step_meaning": "training step of the checkpoint",
        "source": "github EleutherAI/pythia evals/pythia-v1/**/*.json",
        "licence": "Apache-2.0",
        "preprocessing": "field acc of each task",
    }
    return Source([(steps, values) for steps, values in curves], [task for _, task in found], about)
