"""lcx and least squares on scaling laws: ``python -m benchmarks.scaling_laws.run --data DIR --laws all --model general``.

``DIR`` holds the two files that split.py names. Every method learns from a curve's training points and answers for the others, the last of
which is the horizon. Per curve: RMSLE, the root mean square of log(median / loss), as that paper's notebook has it; log score, the mean
log density of log loss, no less than -10; share inside the central 90 % interval; seconds of the processor, one curve at a time. A
domain's figures are means over its curves. Each method's scores are stored when it ends; stored ones of other methods stay.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import norm
from tqdm.auto import tqdm

import lcx
from benchmarks.provenance import digest_of_weights, labelled, provenance, read_result, write_result
from benchmarks.scaling_laws import tables
from benchmarks.scaling_laws.laws import LAWS, Law, fitted
from benchmarks.scaling_laws.split import Scaling, load

NAME, FLOOR, LEVEL = "scaling_laws/split", -10.0, 0.9
SD_FLOOR = 1e-6  # of the fits: a law through all points is not infinitely sure
# At each later point: log of the median, log density of log loss, whether the interval covers.
Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    """Runs what is named, then shows all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the two files")
    parser.add_argument("--laws", nargs="*", default=[], choices=["all", *LAWS], help="forms to fit; default none")
    parser.add_argument("--model", nargs="*", default=[], help="models to run, names or folders; default none")
    options = parser.parse_args()
    torch.set_num_threads(1)
    curves = load(options.data)
    methods: dict[str, tuple[Callable[[Scaling], Answer], dict[str, Any]]] = {}
    for name in LAWS if "all" in options.laws else options.laws:
        methods[name] = partial(ask_law, LAWS[name]), {}
    for label, name in labelled(options.model).items():
        model = lcx.load(name, "cpu")
        for way, ask in {"": ask_model, ", log loss": ask_in_logs}.items():
            methods[f"lcx {label}{way}"] = partial(ask, model), {"weights": digest_of_weights(name)}
    for name, (ask, about) in methods.items():
        found = {**provenance(), **about, "curves": measure(name, ask, curves)}
        write_result(NAME, {"methods": {**(read_result(NAME) or {"methods": {}})["methods"], name: found}})
    print(tables.scaling_laws())


def measure(name: str, ask: Callable[[Scaling], Answer], curves: list[Scaling]) -> list[dict[str, Any]]:
    """A row of scores per curve."""
    ask(curves[0])  # what is loaded on first use is not timed
    rows = []
    for curve in tqdm(curves, desc=name, unit="curve"):
        start = time.process_time()
        answer = ask(curve)
        rows.append({"domain": curve.domain, "curve": curve.name, **score(answer, curve), "seconds": round(time.process_time() - start, 5)})
    return rows


def ask_law(law: Law, curve: Scaling) -> Answer:
    """A fit's answer: log loss is normal around it."""
    median, sd = fitted(law, curve.steps, curve.values, curve.later_steps)
    off = (np.log(curve.later_values) - median) / max(sd, SD_FLOOR)
    return median, norm.logpdf(off) - np.log(max(sd, SD_FLOOR)), np.abs(off) <= norm.ppf((1 + LEVEL) / 2)


def ask_model(model: lcx.Extrapolator, curve: Scaling) -> Answer:
    """A model's answer, asked as a user would."""
    ahead, later = curve.later_steps, curve.later_values
    answer = model(curve.values, curve.steps, horizon=ahead[-1], mode="min", at=ahead, bounds=(0, None))
    return np.log(answer.median), answer.log_prob(later) + np.log(later), np.abs(answer.cdf(later) - 0.5) <= LEVEL / 2


def ask_in_logs(model: lcx.Extrapolator, curve: Scaling) -> Answer:
    """A model's answer about the logarithm of the loss."""
    later = np.log(curve.later_values)
    answer = model(np.log(curve.values), curve.steps, horizon=curve.later_steps[-1], mode="min", at=curve.later_steps)
    return answer.median, answer.log_prob(later), np.abs(answer.cdf(later) - 0.5) <= LEVEL / 2


def score(answer: Answer, curve: Scaling) -> dict[str, float]:
    """RMSLE, log score and coverage, four significant digits."""
    median, density, inside = answer
    rmsle = np.sqrt(np.mean((median - np.log(curve.later_values)) ** 2))
    found = {"rmsle": rmsle, "log_score": max(float(np.mean(density)), FLOOR), "covered": np.mean(inside)}
    return {key: float(f"{x:.4g}") for key, x in found.items()}


if __name__ == "__main__":
    main()
