"""The general model beside the parametric one on the latter's ground: ``python benchmarks/synthetic/general.py``.

Log score on fresh curves of the parametric prior, which the general model gets without bounds or unit, and the time of one answer, the two
models timed in turn within each round. Writes benchmarks/synthetic/results/general.json.
"""

import argparse
from itertools import cycle
from typing import Any

import numpy as np

import lcx
from benchmarks.provenance import provenance, write_result
from benchmarks.timing import Timer, compare, interleave, timer
from lcx.pretraining.objective import CUTOFFS

SEED = 2**62 + 5
WARM = 5  # rounds that are not counted


def main() -> None:
    """Measures both and prints them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="general")
    parser.add_argument("--curves", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    general, parametric = lcx.load(options.model, "cpu"), lcx.load("parametric", "cpu")
    values = lcx.sample_prior(options.curves, seed=SEED).values.double().numpy()
    scores = {str(cutoff): gap(general, parametric, values, cutoff) for cutoff in CUTOFFS}
    timed = latency(general, parametric, values, options.rounds)
    write_result(
        "synthetic/general", {**provenance(), "model": options.model, "curves": options.curves, "scores": scores, "latency": timed}
    )
    for cutoff, row in scores.items():
        print(f"{cutoff:>3} %  general {row['general']:.3f}, parametric {row['parametric']:.3f}, difference {row['difference']}")
    print(timed)


def gap(general: lcx.Extrapolator, parametric: lcx.Extrapolator, values: np.ndarray, cutoff: int) -> dict[str, Any]:
    """Mean log score of all later points, nats per point, and the paired difference with its standard error."""
    question = {"horizon": 100, "mode": "max", "at": np.arange(cutoff + 1.0, 101)}
    later, parts = values[:, cutoff:], []
    for start in range(0, len(values), 250):
        seen, truth = values[start : start + 250, :cutoff], later[start : start + 250]
        answers = general(seen, **question), parametric(seen, unit=(0, 1), **question)
        parts.append(np.stack([answer.log_prob(truth).mean(1) for answer in answers], 1))
    one, other = np.concatenate(parts).T
    error = (one - other).std() / len(one) ** 0.5
    return {
        "general": round(float(one.mean()), 4),
        "parametric": round(float(other.mean()), 4),
        "difference": [round(float((one - other).mean()), 4), round(float(error), 4)],
    }


def latency(general: lcx.Extrapolator, parametric: lcx.Extrapolator, values: np.ndarray, rounds: int) -> dict[str, Any]:
    """Median seconds of one curve of 40 points and 60 steps on one thread, and the median and quartiles of the ratio within rounds."""

    def answers(model: lcx.Extrapolator) -> Timer:
        curves = cycle(values[:, :40])
        return timer(lambda: model(next(curves), horizon=100, mode="max", bounds=(-10, 10)), threads=1, warm=False)

    seconds = interleave({"general": answers(general), "parametric": answers(parametric)}, rounds + WARM)
    part = compare({name: several[WARM:] for name, several in seconds.items()}, [("general", "parametric")])
    return {"seconds": {name: x["median"] for name, x in part["seconds"].items()}, "ratio": part["ratios"]["general / parametric"]}


if __name__ == "__main__":
    main()
