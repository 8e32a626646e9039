"""lcx beside other packages on the same questions: ``python -m benchmarks.peers.run --data DIR --peers all --model general``.

Targets and others are those of benchmarks/studies/questions.py, cut-offs and scores those of benchmarks/scores.py. Every peer is asked one
target at a time, and each model right after it with the same others. Timed is the call with three quantiles of the answer, in seconds of
the processor. One question more: will the last value be better than the best last one of ten others; its score is the squared error of the
chance (Brier). A model of some folder is asked only about the sources that it was not trained on.

The scores of each peer go to results/<peer>.json in this folder, source by source, so that the command may be interrupted and given again;
what is there is not run again, unless weights, the peer's modules or curves differ. Then the tables are printed.
"""

import argparse
import hashlib
import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import CUTOFFS, load_all
from benchmarks.peers import tables
from benchmarks.peers.catalogue import PEERS, TOLD, Peer
from benchmarks.peers.tables import SHIPPED, half
from benchmarks.provenance import digest_of_weights, labelled, provenance, read_result, write_result
from benchmarks.scores import rounded, score
from benchmarks.studies.ask import ask_rival, ask_with_others
from benchmarks.studies.questions import Target, targets
from benchmarks.studies.run import kept, widths
from lcx.extrapolation import Extrapolation

LEVELS = [0.05, 0.5, 0.95]
SCORES = ("crps", "log_score", "covered", "brier", "seconds")


def main() -> None:
    """Runs what is named, then shows all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--peers", nargs="*", default=[], choices=["all", *PEERS], help="default none")
    parser.add_argument("--model", nargs="*", default=["general"], help="models beside them, names or folders; default general")
    parser.add_argument("--curves", type=int, help="targets per source; default each peer's own number")
    options = parser.parse_args()
    torch.set_num_threads(1)
    named = labelled(options.model)
    sources, models = load_all(options.data), {name: lcx.load(model, "cpu") for name, model in named.items()}
    about = {**provenance(), "weights": {name: digest_of_weights(model) for name, model in named.items()}, "seed": 0}
    about["command"] = " ".join(Path(word).name if word in options.model else word for word in about["command"].split())
    for name in PEERS if "all" in options.peers else options.peers:
        peer = PEERS[name]
        asked = {source: targets(sources, source, options.curves or peer.curves) for source in sources if source.startswith(peer.sources)}
        versions = {package: version(package) for package in peer.packages}
        measure(name, peer, models, asked, {**about, "model": name, "code": code(peer), "setting": peer.setting, "versions": versions})
    print(tables.peers())


def code(peer: Peer) -> str:
    """Tells whether a peer has changed: the SHA-256 of the modules that answer for it."""
    files = {Path(inspect.getfile(inspect.unwrap(answer))) for answer in peer.answers.values()}
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


def untrained(models: dict[str, lcx.Extrapolator], source: str) -> dict[str, lcx.Extrapolator]:
    """The shipped model, and of the others those that were not trained on a source."""
    seen = {name: {real["name"] for real in model.about.get("real", [])} for name, model in models.items() if name != SHIPPED}
    return {name: model for name, model in models.items() if source not in seen.get(name, ())}


def measure(name: str, peer: Peer, models: dict[str, lcx.Extrapolator], asked: dict[str, list[Target]], about: dict[str, Any]) -> None:
    """Scores of a peer, of models beside it and of halves, written after every source."""
    result = {**about, "sources": kept(read_result(f"peers/{name}"), about, asked, [*peer.answers])}
    todo = {source: some for source, some in asked.items() if some and source not in result["sources"]}
    with tqdm(total=len(CUTOFFS) * sum(map(len, todo.values())), desc=name, unit="forecast") as bar:
        for source, some in todo.items():
            bar.set_postfix_str(source)
            beside_it, cells = untrained(models, source), dict[str, dict[str, Any]]()
            for share in CUTOFFS:
                rows = []
                for target in some:
                    if target.curve.cut(share) >= peer.least:
                        rows.append(beside(peer, beside_it, target, share))
                    bar.update()
                for method in methods(peer, beside_it):
                    found = {key: np.array([row[method][key] for row in rows]) for key in SCORES}
                    cells.setdefault(method, {})[f"{100 * share:.0f}"] = {key: rounded(x) for key, x in found.items()}
            studies = [target.curve.group for target in some]
            result["sources"][source] = {"widths": widths(some), "studies": studies, "scores": cells}
            write_result(f"peers/{name}", result, indent=None)


def methods(peer: Peer, models: dict[str, lcx.Extrapolator]) -> list[str]:
    """What is scored: the peer's answers, the models', and halves."""
    return [*peer.answers, *models, *(half(model) for model in models if peer.half)]


def beside(peer: Peer, models: dict[str, lcx.Extrapolator], target: Target, share: float) -> dict[str, dict[str, Any]]:
    """The scores of every answer to one target."""
    answers = {name: timed(partial(ask_rival, answer, [target], share, peer.setting)) for name, answer in peer.answers.items()}
    answers |= {name: timed(partial(ask_with_others, model, [target], share, peer.setting)) for name, model in models.items()}
    if peer.half:
        for model in models:
            (ours, some), (theirs, more) = answers[model], answers[peer.half]
            answers[half(model)] = mixed(ours, theirs), some + more
    return {name: scored(answer, target, share, seconds) for name, (answer, seconds) in answers.items()}


def timed(ask: Callable[[], Extrapolation]) -> tuple[Extrapolation, float]:
    """An answer, and the processor's seconds for it and its quantiles."""
    start = time.process_time()
    answer = ask()
    answer.quantile(LEVELS)
    return answer, time.process_time() - start


def mixed(ours: Extrapolation, theirs: Extrapolation) -> Extrapolation:
    """The equal mixture of two laws without a warp, within the bounds of the first."""
    a, b = ours.predictive, theirs.predictive
    logits = torch.cat([a.logits.double().log_softmax(-1), b.logits.log_softmax(-1)], -1)
    loc, scale = (torch.cat([x.double(), y], -1) for x, y in ((a.loc, b.loc), (a.scale, b.scale)))
    return replace(ours, predictive=replace(a, logits=logits, loc=loc, scale=scale))


def scored(answer: Extrapolation, target: Target, share: float, seconds: float) -> dict[str, Any]:
    """Every score of one answer."""
    found = score(answer, [target.curve], share)
    sign = 1.0 if target.curve.mode == "max" else -1.0
    best = sign * max(sign * values[-1] for _, values in target.others(TOLD))
    chance, came_true = answer.prob_better(best)[0, -1], sign * (target.curve.values[-1] - best) > 0
    return {**{key: found[key][0] for key in SCORES[:3]}, "brier": (chance - came_true) ** 2, "seconds": seconds}


if __name__ == "__main__":
    main()
