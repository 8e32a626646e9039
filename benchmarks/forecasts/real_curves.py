"""lcx and its rivals on real curves: ``python benchmarks/forecasts/real_curves.py --data DIR --methods last-value --model general``.

Each curve (benchmarks/curves.py; benchmarks/convert.py makes such files) is cut at 10, 20, 40 and 80 % of its points, and every method
answers for all its later points; benchmarks/scores.py says how an answer is scored. Reported are means over curves, then over sources.

Methods given are run, those stored by earlier calls are not; then all that are stored are summarised. A method's scores go to
results/real_curves/<method>.json in this folder when it ends, so the command may be interrupted; the summary to results/real_curves.json.
``--pictures`` draws fan charts of the first model there.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import CUTOFFS, RealCurve, load_all
from benchmarks.forecasts import pictures, tables
from benchmarks.forecasts.baselines import RIVALS, Rival
from benchmarks.forecasts.summary import summary
from benchmarks.peers.deephyper import deephyper
from benchmarks.provenance import provenance, results_of, write_result
from benchmarks.scores import ask_model, question, rounded, score
from lcx.curves import as_curves
from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive

STORE = results_of("forecasts") / "real_curves"
POINT = 1e-9  # sd in widths of what stands for a point mass
METHODS: dict[str, Rival] = {**RIVALS, "deephyper": deephyper}
Method = Callable[[list[RealCurve], float, tqdm], Extrapolation]


def main() -> None:
    """Runs what is named, then summarises all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--curves", type=int, default=80, help="curves per source, drawn at random; default 80")
    parser.add_argument("--methods", nargs="*", default=[], choices=["all", *METHODS], help="default none; all: but deephyper")
    parser.add_argument("--model", nargs="*", default=[], help="models to run, names or folders; default none")
    parser.add_argument("--device", default=None, help="where models compute; default CUDA if there is one")
    parser.add_argument("--pictures", action="store_true", help="draw the first model's fan charts")
    options = parser.parse_args()
    sources = load_all(options.data, options.curves)
    STORE.mkdir(parents=True, exist_ok=True)
    for name in RIVALS if "all" in options.methods else options.methods:
        about = provenance()
        store(name, run(name, partial(ask_rival, METHODS[name]), sources), sources, about)
    for name in options.model:
        model = lcx.load(name, options.device)
        about = provenance(model.device)
        store(f"lcx:{name}", run(f"lcx:{name}", partial(ask_model, model), sources), sources, about)
    write_result("forecasts/real_curves", {**provenance(), **summary(STORE)})
    print(tables.real_curves(every=True))
    if options.pictures:
        name = (options.model or ["default"])[0]
        pictures.draw(partial(ask_model, lcx.load(name, options.device), bar=None), f"lcx {name}", sources, STORE)


def run(name: str, method: Method, sources: dict[str, list[RealCurve]]) -> dict[str, Any]:
    """Scores per source, cut-off (in per cent) and curve."""
    out: dict[str, Any] = {}
    with tqdm(total=len(CUTOFFS) * sum(map(len, sources.values())), desc=name, unit="curve") as bar:
        for source, curves in sources.items():
            cuts = {share: score(method(curves, share, bar), curves, share) for share in CUTOFFS}
            out[source] = {f"{100 * share:.0f}": {key: rounded(x) for key, x in cut.items()} for share, cut in cuts.items()}
    return out


def store(name: str, scores: dict[str, Any], sources: dict[str, list[RealCurve]], about: dict[str, Any]) -> None:
    """Writes a method's file. The widths tell whether two methods saw the same curves."""
    widths = {source: rounded(np.array([curve.width for curve in curves])) for source, curves in sources.items()}
    write_result(f"forecasts/real_curves/{file_name(name)}", {**about, "method": name, "widths": widths, "scores": scores}, indent=None)


def file_name(method: str) -> str:
    """A method's name as a file's."""
    return method.replace(":", "-").replace("/", "-")


def ask_rival(rival: Rival, curves: list[RealCurve], share: float, bar: tqdm | None) -> Extrapolation:
    """A rival's answers, curve by curve, as the same kind of object; scales of zero become 1e-9 widths."""
    asked = question(curves, share)
    values, steps, ahead = asked["values"], asked["steps"], asked["at"]
    answers = []
    for y, t, later in zip(values, steps, ahead, strict=True):
        answers.append(rival(y, t, later, asked["mode"], asked["bounds"]))
        if bar is not None:
            bar.update()
    shape = len(curves), max(map(len, ahead)), answers[0].loc.shape[1]
    loc, scale, at = torch.zeros(shape).double(), torch.ones(shape).double(), torch.full(shape[:2], torch.nan).double()
    for i, (answer, curve) in enumerate(zip(answers, curves, strict=True)):
        rows = slice(len(ahead[i]))
        loc[i, rows] = torch.from_numpy(answer.loc)
        scale[i, rows] = torch.from_numpy(np.maximum(answer.scale, POINT * curve.width))
        at[i, rows] = torch.from_numpy(ahead[i])
    observed, _ = as_curves(values, steps, horizon=asked["horizon"], bounds=asked["bounds"])
    return Extrapolation(at, Predictive(torch.zeros_like(loc), loc, scale), asked["mode"], False, observed, None, list)


if __name__ == "__main__":
    main()
