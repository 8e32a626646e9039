"""The public sources of real curves that the model `general` was trained on: where each is had and what reads it.

``python -m benchmarks.convert NAME --raw DIR --folder OUT`` turns one into the files that the model saw; ``page`` is the text of
benchmarks/SOURCES.md.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.sources import language, optimizers, returns, tabular
from benchmarks.sources.files import Source, chosen_parts


class Origin(NamedTuple):
    """A repository or archive that holds one source or several."""

    title: str
    obtain: str  # the command that makes the folder
    raw: str  # that folder
    licence: str  # of the data, and where it says so
    readers: dict[str, Callable[[Path], Source]]  # by name of the source


def clone(repository: str, commit: str) -> tuple[str, str]:
    """The command that obtains a repository as it was, and the folder that it makes."""
    folder = repository.split("/")[1]
    return f"git clone https://github.com/{repository} && git -C {folder} checkout {commit}", folder


ORIGINS = (
    Origin(
        "AlgoPerf: submissions to the training-algorithms benchmark",
        *clone("mlcommons/submissions_algorithms", "12c8e4ea93dc41a1ff6abc3debba9accd8ac1e3a"),
        "Apache-2.0 (LICENSE.md)",
        {f"algoperf_valid_{metric}": partial(optimizers.algoperf, metric=metric) for metric in ("loss", "score", "wer")},
    ),
    Origin(
        "ARLBench: Sobol landscapes of DQN and PPO",
        *clone("automl/arlbench", "fd8ef571f04f7e4905b70017a19851908df40aa4"),
        'BSD-3-Clause style ("BSD License", LICENSE)',
        {"arlbench_sobol_return": returns.arlbench},
    ),
    Origin(
        "DeepOBS: baselines of optimizers",
        *clone("fsschneider/DeepOBS_Baselines", "3da285abf9786e823aaef6d0fc0c9c98ef5d6d83"),
        "MIT (LICENSE)",
        {
            "deepobs_test_accuracy": partial(optimizers.deepobs, metric="test_accuracies"),
            "deepobs_test_loss": partial(optimizers.deepobs, metric="test_losses"),
        },
    ),
    Origin(
        "Dopamine: Atari baselines",
        *clone("google/dopamine", "5873f5494ee0c2d7c016d0ab2ad530354fec59d0"),
        "Apache-2.0 (LICENSE)",
        {"dopamine_atari_return": returns.dopamine},
    ),
    Origin(
        "LCDB: learning curves over training-set size",
        "pip download --no-deps --no-binary :all: lcdb==0.1.0 && tar xzf lcdb-0.1.0.tar.gz",
        "lcdb-0.1.0",
        "MIT (LICENSE.txt in the archive)",
        {
            f"lcdb10_{metric}_mean": lambda raw, metric=metric: tabular.lcdb(raw / "lcdb" / f"database-{metric}.csv")
            for metric in ("accuracy", "logloss")
        },
    ),
    Origin(
        "modded-nanogpt: speed runs of a language model",
        *clone("KellerJordan/modded-nanogpt", "f411b3d346aa52d3504324ca93c230fd84c6c07f"),
        "MIT (LICENSE)",
        {"modded_nanogpt_val_loss": language.modded_nanogpt},
    ),
    Origin(
        "NAS-Bench-NLP: recurrent cells",
        *clone("fmsnew/nas-bench-nlp-release", "a6d90a3b19e3966b1d009c0970b3761aa46707d1"),
        "Apache-2.0 (LICENSE)",
        {"nasbench_nlp_wikitext2_val_loss": language.nasbench_nlp},
    ),
    Origin(
        "Pythia: checkpoints on lm-eval tasks",
        *clone("EleutherAI/pythia", "a19eecb807ec2c79a39ebf18108816e6ffffc1d5"),
        "Apache-2.0 (LICENSE)",
        {"pythia_eval_accuracy": language.pythia},
    ),
    Origin(
        "TaskSet: text classification, as in DPL's repository",
        *clone("releaunifreiburg/DPL", "de44b74030a7d4bb37467add431e6fac19cd357a"),
        "Apache-2.0 (LICENSE; TaskSet itself, in google-research, has the same)",
        {"taskset_text_valid_loss": lambda raw: optimizers.taskset(raw / "data" / "taskset")},
    ),
)
READERS = {name: read for origin in ORIGINS for name, read in origin.readers.items()}
HEAD = """# Sources of real curves

The model `general` was trained on runs of the public sources below, and the numbers of its prior were fitted to them
([its card](../models/general/README.md) counts what it saw). Neither the curves nor the sources are part of this repository. For each:
the command that obtains it, the licence it is published under, and the commands that turn it into the files that
`lcx pretrain --real FOLDER` and `benchmarks/forecasts/real_curves.py --data FOLDER` read.

Of some sources a part was seen: `sources/chosen.json` lists the studies, and the runs where a random sample was drawn. The command keeps to
that part, and says whether its values, steps and studies are those that the model saw, to the bit of float32. On {checked} it said
so of every source, run on the commits and the archive named here.
"""
CHECKED = "2026-11-29"


SMALL = """\
## Trainings of small models

Nine more sources, `small_...`, are trained by a command of this repository: perceptrons, regressions, boosting, reinforcement
learners and others, 22,000 runs in some CPU minutes. The numbers depend on seed and command, and in the last digits on the processor.

```
python -m benchmarks.small_trainings --folder real_curves --studies 100
```"""


def page() -> str:
    """benchmarks/SOURCES.md."""
    parts = chosen_parts()
    sections = []
    for origin in ORIGINS:
        names = [(name, parts[name]) for name in origin.readers]
        counts = (f"`{name}`: {_runs(part.runs, part.sample)} in {len(part.groups)} studies." for name, part in names)
        commands = (f"python -m benchmarks.convert {name} --raw {origin.raw} --folder real_curves" for name, _ in names)
        sections.append(
            "\n".join([f"## {origin.title}", "", *counts, f"Licence: {origin.licence}.", "", "```", origin.obtain, *commands, "```"])
        )
    return HEAD.format(checked=CHECKED) + "\n" + "\n\n".join([*sections, SMALL]) + "\n"


def _runs(runs: int, sample: str | None) -> str:
    if sample is None:
        return f"{runs:,} runs"
    return f"{int(sample, 16).bit_count():,} of {runs:,} runs"
