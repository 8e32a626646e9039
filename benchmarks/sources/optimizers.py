"""Sources that compare optimizers: TaskSet, DeepOBS and AlgoPerf."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sources.files import Source

DIVERGED = 1e30  # DeepOBS's values beyond count as missing; no single-precision loss means anything there
DEEPOBS_METRICS = {"test_losses": ("test loss", "min"), "test_accuracies": ("test accuracy", "max")}
# AlgoPerf: metric in words, direction, and the column of each kind of workload.
ALGOPERF_METRICS = {
    "loss": (
        "validation loss (cross-entropy of ImageNet, CTC loss of LibriSpeech)",
        "min",
        {"imagenet": "validation/loss", "librispeech": "validation/ctc_loss"},
    ),
    "score": ("validation accuracy (ImageNet)", "max", {"imagenet": "validation/accuracy"}),
    "wer": ("validation word error rate (LibriSpeech)", "min", {"librispeech": "validation/wer"}),
}


def taskset(folder: Path, pattern: str = "*.json") -> Source:
    """TaskSet (Metz et al. 2020) as in DPL's repository: per file a list of runs with ``run["valid"]["loss"]``; no step column.

    Args:
        folder: ``data/taskset`` of github.com/releaunifreiburg/DPL.
        pattern: which of its files; a file is a group.
    """
    curves, groups = [], []
    for path in sorted(folder.glob(pattern)):
        for run in json.loads(path.read_text()):
            values = np.array(run["valid"]["loss"], dtype=float)
            curves.append((np.arange(len(values), dtype=float), values))
            groups.append(path.stem)
    about = {
        "metric": "validation loss",
        "direction": "min",
        "step_meaning": "evaluation from 0 on, every 200 of 10,000 iterations",
        "source": f"github releaunifreiburg/DPL data/taskset/{pattern}",
        "licence": "Apache-2.0",
        "preprocessing": "as stored",
    }
    return Source(curves, groups, about)


def deepobs(folder: Path, metric: str) -> Source:
    """DeepOBS's baselines (Schneider et al. 2019): 3 optimizers, 36 learning rates each, and more seeds at the best of these.

    Args:
        folder: a clone, <problem>/<optimizer>/<settings>/random_seed__*.json; of each epoch a value, the first before training.
        metric: a key of ``DEEPOBS_METRICS``; runs whose test problem does not log it are left out.
    """
    curves, groups = [], []
    for path in sorted(folder.glob("*/*/*/random_seed__*.json")):
        values = np.array(json.loads(path.read_text()).get(metric) or [], dtype=float)
        if len(values):
            curves.append((np.arange(1.0, len(values) + 1), np.where(np.abs(values) > DIVERGED, np.nan, values)))
            groups.append(path.parts[-4])
    if not curves:
        raise ValueError(f"expected {metric} in <problem>/<optimizer>/<settings>/random_seed__*.json, got none in {folder}; clone it anew")
    words, direction = DEEPOBS_METRICS[metric]
    about = {
        "metric": words,
        "direction": direction,
        "step_meaning": "epoch; 1 is before training",
        "source": f"github fsschneider/DeepOBS_Baselines, {metric}",
        "licence": "MIT",
        "preprocessing": f"values beyond {DIVERGED:g} count as missing",
    }
    return Source(curves, groups, about)


def algoperf(folder: Path, metric: str) -> Source:
    """Submissions to the AlgoPerf leaderboards v0.5 and v0.6 (Dahl et al. 2023): ImageNet and LibriSpeech workloads.

    Evaluations are at fixed intervals of wall time, so steps differ per curve. The same workload in JAX and in PyTorch is one study.

    Args:
        folder: a clone, previous_leaderboards/**/<workload>_<framework>/trial_*/eval_measurements.csv.
        metric: a key of ``ALGOPERF_METRICS``.
    """
    words, direction, columns = ALGOPERF_METRICS[metric]
    curves, groups = [], []
    for path in sorted(folder.glob("previous_leaderboards/**/eval_measurements.csv")):
        workload = re.sub("_(jax|pytorch)$", "", path.parts[-3])
        column = columns.get(workload.split("_")[0])
        if column is None:
            continue
        rows = pd.read_csv(path)
        if column in rows:
            steps = rows["global_step"].to_numpy(float)
            kept = steps < np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], np.inf)
            curves.append((steps[kept], rows[column].to_numpy(float)[kept]))
            groups.append(workload)
    if not curves:
        wanted = sorted(set(columns.values()))
        raise ValueError(f"expected previous_leaderboards/**/eval_measurements.csv with {wanted}, got none in {folder}; name the clone")
    about = {
        "metric": words,
        "direction": direction,
        "step_meaning": "optimizer step",
        "source": "github mlcommons/submissions_algorithms previous_leaderboards/**/eval_measurements.csv",
        "licence": "Apache-2.0",
        "preprocessing": "of a run that was restarted, rows before a later row of the same or an earlier step are left out",
    }
    return Source(curves, groups, about)
