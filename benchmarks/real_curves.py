"""lcx and its rivals on real curves: ``python benchmarks/real_curves.py --data DIR --methods last-value random-walk --model parametric``.

Each curve (benchmarks/real_data.py; benchmarks/convert.py makes such files) is cut at 10, 20, 40 and 80 % of its points, at least two, and
every method answers for all its later points. Per curve: CRPS and absolute error of the median, both means over the later points divided
by the curve's width (2-98 % quantile range) and capped at 5; log score, mean log density of y / width, with every component's sd no less
than 1e-4 widths and the curve's mean no less than -10, so that certain answers keep finite scores; share of later points inside the
central 50, 80 and 90 % intervals; absolute error of the final value. Reported are means over curves, then over sources.

Methods given are run, those stored by earlier calls are not; then all that are stored are summarised. A method's scores go to
benchmarks/results/real_curves/<method>.json when it ends, so the command may be interrupted; the summary to real_curves.json beside it.
``--pictures`` draws fan charts of the first model there.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm.auto import tqdm

import lcx
from benchmarks import real_pictures, real_tables
from benchmarks.baselines import RIVALS, Rival
from benchmarks.peers import deephyper
from benchmarks.provenance import ROOT, provenance, write_result
from benchmarks.real_data import CUTOFFS, RealCurve, load_all
from benchmarks.real_summary import LEVELS, summary
from benchmarks.tables import origin
from lcx.curves import as_curves
from lcx.extrapolation import Extrapolation
from lcx.predictive import Predictive

STORE = ROOT / "benchmarks" / "results" / "real_curves"
CAP, FLOOR, SD_FLOOR = 5.0, -10.0, 1e-4
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
    write_result("real_curves", {**provenance(), **summary(STORE)})
    print(real_tables.real_curves(origin, every=True))
    if options.pictures:
        name = (options.model or ["default"])[0]
        real_pictures.draw(partial(ask_model, lcx.load(name, options.device), bar=None), f"lcx {name}", sources, STORE)


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
    write_result(f"real_curves/{file_name(name)}", {**about, "method": name, "widths": widths, "scores": scores}, indent=None)


def file_name(method: str) -> str:
    """A method's name as a file's."""
    return method.replace(":", "-").replace("/", "-")


def rounded(x: np.ndarray) -> Any:
    """Nested lists of four significant digits."""
    return [rounded(row) for row in x] if x.ndim > 1 else [float(f"{value:.4g}") for value in x]


def question(curves: list[RealCurve], share: float) -> dict[str, Any]:
    """A source's curves cut at a share, as a user would ask for the rest."""
    cuts = [curve.cut(share) for curve in curves]
    return {
        "values": [curve.values[:k] for curve, k in zip(curves, cuts, strict=True)],
        "steps": [curve.steps[:k] for curve, k in zip(curves, cuts, strict=True)],
        "at": [curve.steps[k:] for curve, k in zip(curves, cuts, strict=True)],
        "horizon": [curve.steps[-1] for curve in curves],
        "mode": curves[0].mode,
        "bounds": curves[0].bounds,
    }


def ask_model(model: lcx.Extrapolator, curves: list[RealCurve], share: float, bar: tqdm | None) -> Extrapolation:
    """A model's answer, all curves in one call."""
    answer = model(**question(curves, share))
    if bar is not None:
        bar.update(len(curves))
    return answer


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


def score(answer: Extrapolation, curves: list[RealCurve], share: float) -> dict[str, np.ndarray]:
    """Scores per curve (B,), coverage (B, levels); see the top of this file."""
    later, width = truth(curves, share), np.array([[curve.width] for curve in curves])
    crps, median, below = answer.crps(later), answer.median, answer.cdf(later)
    for name, x in {"CRPS": crps, "median": median, "cdf": below}.items():
        if (np.isnan(x) & ~np.isnan(later)).any():
            where = np.argwhere(np.isnan(x) & ~np.isnan(later))[0]
            raise ValueError(f"expected a number at every later point, got {name} NaN for curve {where[0]}, later point {where[1]}")
    error = np.abs(median - later) / width
    last = (~np.isnan(later)).sum(1) - 1
    inside = np.stack([np.where(np.isnan(later), np.nan, np.abs(below - 0.5) <= level / 2) for level in LEVELS], -1)
    return {
        "crps": capped(crps / width),
        "error": capped(error),
        "log_score": np.maximum(np.nanmean(log_density(answer, later, width), 1), FLOOR),
        "covered": np.nanmean(inside, 1),
        "final": np.minimum(np.take_along_axis(error, last[:, None], 1)[:, 0], CAP),
    }


def capped(x: Float[np.ndarray, "B A"]) -> Float[np.ndarray, "B"]:
    """Mean over a curve's later points, no more than the cap: one curve in a thousand leaves the numbers a prior could know of."""
    return np.minimum(np.nanmean(x, 1), CAP)


def log_density(answer: Extrapolation, later: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Log density of y / width, (B, A), with the floor under every component's sd."""
    law = answer.predictive
    least = torch.from_numpy(SD_FLOOR * width)[..., None]
    if law.warp is not None:  # a sd of u is one of y times du/dy
        spread = replace(law.warp, center=law.warp.center[..., None], scale=law.warp.scale[..., None])
        least = least * torch.exp(spread.log_slope(spread.inverse(law.loc)))
    floored = replace(answer, predictive=replace(law, scale=torch.maximum(law.scale, least)))
    return floored.log_prob(later) + np.log(width)


def truth(curves: list[RealCurve], share: float) -> Float[np.ndarray, "B A"]:
    """What came after the cut, NaN padded."""
    rest = [curve.values[curve.cut(share) :] for curve in curves]
    out = np.full((len(rest), max(map(len, rest))), np.nan)
    for row, values in zip(out, rest, strict=True):
        row[: len(values)] = values
    return out


if __name__ == "__main__":
    main()
