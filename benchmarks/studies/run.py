"""Forecasts with a study's other runs: ``python -m benchmarks.studies.run --data DIR --model NAME_OR_FOLDER --rivals empirical``.

Settings, which others are told: questions.py. Cut-offs and scores: those of single curves (benchmarks/curves.py, benchmarks/scores.py). The
scores of each model and rival go to results/<name>.json in this folder, source by source, so that the command may be interrupted and given
again; a source that is there is not run again, unless model, rival, seed or curves differ. Then the tables are printed.
"""

import argparse
import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import CUTOFFS, load_all
from benchmarks.provenance import digest_of_weights, labelled, provenance, read_result, write_result
from benchmarks.scores import rounded, score
from benchmarks.studies import tables
from benchmarks.studies.ask import ask_rival, ask_with_others
from benchmarks.studies.questions import SETTINGS, Target, targets
from benchmarks.studies.rivals import GP, RIVALS
from lcx.extrapolation import Extrapolation

SCORES = ("crps", "error", "log_score", "covered")
GP_CURVES, GP_SETTINGS = 10, ("10",)  # a fit takes seconds
Ask = Callable[[list[Target], float, str], Extrapolation]


def main() -> None:
    """Runs what is named, then shows what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--model", nargs="*", default=[], help="models to run, names or folders; default none")
    parser.add_argument("--rivals", nargs="*", default=[], choices=[*RIVALS], help="rivals to run; default none")
    parser.add_argument("--sources", nargs="*", help="sources to forecast; default all in the folder")
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=SETTINGS, help="default all; a model without reader: 0")
    parser.add_argument("--curves", type=int, default=40, help="targets per source; default 40")
    parser.add_argument("--seed", type=int, default=0, help="of targets and others; default 0")
    parser.add_argument("--tag", default="", help="names the data where there are several: results/<name>-<tag>.json")
    parser.add_argument("--device", default=None, help="where models compute; default CUDA if there is one")
    parser.add_argument("--threads", type=int, default=1, help="of the processor; default 1")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sources = load_all(options.data)
    chosen = options.sources or list(sources)
    if unknown := set(chosen) - set(sources):
        parser.error(f"expected --sources out of {list(sources)}, got {sorted(unknown)}; choose among these")
    asked = {source: targets(sources, source, options.curves, options.seed) for source in chosen}
    names = []
    for label, model in labelled(options.model).items():
        extrapolator = lcx.load(model, options.device)
        settings = [x for x in options.settings if x == "0" or extrapolator.model.reader is not None]
        about = {**origin(options, extrapolator.device), "model": f"lcx {label}", "weights": digest_of_weights(model)}
        names.append(stored_name(label, options.tag))
        measure(names[-1], partial(ask_with_others, extrapolator), asked, settings, about)
    for rival in options.rivals:
        some, settings = asked, options.settings
        if rival == GP:
            some, settings = {source: every[:GP_CURVES] for source, every in asked.items()}, [x for x in GP_SETTINGS if x in settings]
        names.append(stored_name(rival, options.tag))
        measure(names[-1], partial(ask_rival, RIVALS[rival]), some, settings, {**origin(options), "model": rival, "code": code(rival)})
    for name in names:
        print(tables.of_result(name))


def origin(options: argparse.Namespace, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Where a result comes from; of models' folders in the command only the last part is kept."""
    about = provenance(device)
    words = (Path(word).name if word in options.model else word for word in about["command"].split())
    return {**about, "command": " ".join(words), "seed": options.seed, "tag": options.tag}


def code(rival: str) -> str:
    """Tells whether a rival has changed: the SHA-256 of its module."""
    return hashlib.sha256(Path(inspect.getfile(RIVALS[rival])).read_bytes()).hexdigest()


def stored_name(method: str, tag: str) -> str:
    """The file of a method's result."""
    return f"{method}-{tag}" if tag else method


def measure(name: str, ask: Ask, asked: dict[str, list[Target]], settings: list[str], about: dict[str, Any]) -> None:
    """Scores of one method, written after every source."""
    result = {**about, "sources": kept(read_result(f"studies/{name}"), about, asked, settings)}
    todo = {source: some for source, some in asked.items() if some and source not in result["sources"]}
    with tqdm(total=len(todo) * len(settings) * len(CUTOFFS), desc=name, unit="cell") as bar:
        for source, some in todo.items():
            bar.set_postfix_str(source)
            cells: dict[str, dict[str, Any]] = {setting: {} for setting in settings}
            for setting in settings:
                for share in CUTOFFS:
                    found = score(ask(some, share, setting), [target.curve for target in some], share)
                    cells[setting][f"{100 * share:.0f}"] = {key: rounded(found[key]) for key in SCORES}
                    bar.update()
            others = {setting: [len(target.others(setting)) for target in some] for setting in settings}
            studies = [target.curve.group for target in some]
            result["sources"][source] = {"widths": widths(some), "studies": studies, "others": others, "scores": cells}
            write_result(f"studies/{name}", result, indent=None)


def kept(stored: dict[str, Any] | None, about: dict[str, Any], asked: dict[str, list[Target]], settings: list[str]) -> dict[str, Any]:
    """Sources that were measured before and need not be again: of the same weights, code and seed, at these settings, on these curves."""
    if stored is None or any(stored.get(key) != about.get(key) for key in ("model", "weights", "code", "seed")):
        return {}
    return {
        source: row
        for source, row in stored["sources"].items()
        if source not in asked or (set(settings) <= set(row["scores"]) and row["widths"] == widths(asked[source]))
    }


def widths(some: list[Target]) -> list[float]:
    """They tell whether two methods saw the same curves."""
    return rounded(np.array([target.curve.width for target in some]))


if __name__ == "__main__":
    main()
