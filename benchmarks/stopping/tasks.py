"""The tasks of the early stopping benchmark: groups of real learning curves (see benchmarks/curves.py) as tuners meet them.

Evaluations before training (TaskSet's index 0, AlgoPerf's step 1) are left out and cost nothing, so that the first step is the first after
training began. Nothing else is: diverging, constant and crashed runs are part of the game. A run ends at its last finite value.

* taskset_text_valid_loss: 6 tasks of 1,000 configurations, 50 evaluations.
* algoperf_*: one task per workload and metric. A step is one evaluation, since these come at fixed intervals of wall time. Runs under the
  self-tuning rules, which have three times the budget, are left out; a run may end early, having reached its target.
* nasbench_nlp_wikitext2_val_loss: 1 task of 172 architectures, 50 epochs.
* arlbench_sobol_return: one task per environment, 10 evaluations; a step is one of them.

Further tasks (``studies``), chosen later and never looked at while a rule was made:

* deepobs_test_loss: one task per problem, 135 runs of three optimizers.
* algoperf_*, once more, by tuning study: one task per submission and workload with 20 runs or more.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.curves import bounds_of
from lcx.replay.task import Task, after_earlier, as_task

# Evaluations of a whole run under the external tuning rules, the one before training left out.
ALGOPERF = {
    "imagenet_resnet": 123,
    "imagenet_resnet_large_bn_init": 123,
    "imagenet_vit": 184,
    "librispeech_conformer": 42,
    "librispeech_conformer_layernorm": 42,
    "librispeech_deepspeech": 38,
}
DEEPOBS = {  # epochs
    "cifar100_allcnnc": 350,
    "cifar10_3c3d": 100,
    "fmnist_2c2d": 100,
    "fmnist_vae": 100,
    "mnist_vae": 50,
    "quadratic_deep": 100,
    "svhn_wrn164": 160,
    "tolstoi_char_rnn": 200,
}
HORIZONS = {"taskset_text_valid_loss": 50, "nasbench_nlp_wikitext2_val_loss": 50, "arlbench_sobol_return": 10}
SOURCES = (*HORIZONS, "algoperf_valid_loss", "algoperf_valid_score", "algoperf_valid_wer")
LEAST = 20  # runs of a tuning study
OVERTIME = 1.15  # of the budget: some runs end a few evaluations late, those of three times the budget far beyond


def tasks(folder: Path, hparams: Path | None = None, most: int | None = None, seed: int = 0) -> dict[str, Task]:
    """Every task by name, ``family/group``.

    Args:
        folder: of .npz and .json files of learning curves.
        hparams: of .npz files beside some of them: hyperparameters of the runs of TaskSet and AlgoPerf. The latter's submission, which is
            the training algorithm, is one of them. None: no task has any.
        most: runs per task, drawn at random.
        seed: of that.

    Raises:
        FileNotFoundError: a source is missing from the folder.
    """
    return {name: task for source in SOURCES for name, task in _tasks(folder / f"{source}.npz", hparams, most, seed).items()}


def studies(folder: Path, hparams: Path, most: int | None = None, seed: int = 0) -> dict[str, Task]:
    """The further tasks by name.

    Args:
        folder: of .npz and .json files of learning curves.
        hparams: of .npz files beside them, whose column ``study`` names the tuning study of each run.
        most: runs per task, drawn at random.
        seed: of that.
    """
    found = _tasks(folder / "deepobs_test_loss.npz", hparams, most, seed)
    for source in SOURCES[-3:]:
        several = _tasks(folder / f"{source}.npz", hparams, most, seed, by_submission=True)
        found |= {name: task for name, task in several.items() if len(task) >= LEAST}
    return found


def earlier_known(found: dict[str, Task]) -> dict[str, Task]:
    """The tasks with hyperparameters, which now tell too what the others of their family expect, as if these were earlier studies.

    Tasks of the same workload by another metric are the same runs, and not read.
    """
    told = {}
    for name, task in found.items():
        rest = [one for other, one in found.items() if family(other) == family(name) and other.split("/")[1] != name.split("/")[1]]
        earlier = [one for one in rest if one.hyperparameters]
        if task.hyperparameters and earlier:
            told[name] = after_earlier(task, earlier)
    return told


def family(name: str) -> str:
    """The family of a task, the part of its source's name before the metric: tasks of one family resemble each other."""
    return name.split("/")[0].split("_")[0]


def _settings(path: Path) -> list[dict[str, object]]:
    """The hyperparameters of each run of a source."""
    with np.load(path, allow_pickle=False) as data:
        names, rows, studies = data["names"].tolist(), data["hparams"].tolist(), data["study"].tolist()
    submissions = [{"submission": study.split("/")[-2]} if "/" in study else {} for study in studies]
    return [dict(zip(names, row, strict=True)) | more for row, more in zip(rows, submissions, strict=True)]


def _tasks(path: Path, hparams: Path | None, most: int | None, seed: int, by_submission: bool = False) -> dict[str, Task]:
    source, about = path.stem, json.loads(path.with_suffix(".json").read_text())
    with np.load(path, allow_pickle=False) as data:
        values, groups = data["values"].astype(float), data["group"]
    if not source.startswith(("nasbench", "arlbench")):
        values = values[:, 1:]
    beside = None if hparams is None else hparams / path.name
    settings = _settings(beside) if beside and beside.exists() else None
    own, found = np.array([row["submission"] if by_submission else "" for row in settings or [{}] * len(groups)]), {}
    for group, name in sorted(set(zip(groups.tolist(), own.tolist(), strict=True))):
        horizon = HORIZONS.get(source) or ALGOPERF.get(group) or DEEPOBS[group]
        runs = ((groups == group) & (own == name)).nonzero()[0]
        ends = np.where(np.isfinite(values[runs]), np.arange(1, values.shape[1] + 1), 1).max(1)
        runs, ends = runs[ends <= OVERTIME * horizon], ends[ends <= OVERTIME * horizon]
        if not len(runs):
            continue
        if most is not None and len(runs) > most:
            chosen = np.sort(np.random.default_rng(seed).choice(len(runs), most, replace=False))
            runs, ends = runs[chosen], ends[chosen]
        short = "/".join(filter(None, (str(group).removeprefix("FixedTextRNNClassification_imdb_"), name)))
        found[f"{source}/{short}"] = as_task(
            values[runs][:, : ends.max()],
            mode=about["direction"],
            horizon=np.maximum(horizon, ends),
            bounds=bounds_of(about["metric"]),
            names=runs,
            hyperparameters=settings and [settings[run] for run in runs],
        )
    return found
