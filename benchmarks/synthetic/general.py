"""The general model beside the parametric one on the latter's ground: ``python benchmarks/synthetic/general.py``.

Log score on fresh curves of the parametric prior, which the general model gets without bounds or unit, and the time of one answer, the two
models timed in turn within each round. Writes benchmarks/synthetic/results/general.json.
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.intervals import spread
from benchmarks.provenance import provenance, write_result
from lcx.pretraining.objective import CUTOFFS

SEED = 2**62 + 5


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
    latency = timed(general, parametric, values, options.rounds)
    write_result(
        "synthetic/general", {**provenance(), "model": options.model, "curves": options.curves, "scores": scores, "latency": latency}
    )
    for cutoff, row in scores.items():
        print(f"{cutoff:>3} %  general {row['general']:.3f}, parametric {row['parametric']:.3f}, difference {row['difference']}")
    print(latency)


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


def timed(general: lcx.Extrapolator, parametric: lcx.Extrapolator, values: np.ndarray, rounds: int) -> dict[str, Any]:
    """Median seconds of one curve of 40 points and 60 steps on one thread, and the median and quartiles of the ratio within rounds."""
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for i in range(rounds + 5):
        row = []
        for model in (general, parametric):
            begin = time.perf_counter()
            model(values[i % len(values), :40], horizon=100, mode="max", bounds=(-10, 10))
            row.append(time.perf_counter() - begin)
        seconds.append(row)
    torch.set_num_threads(threads)
    one, other = zip(*seconds[5:], strict=True)
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return {
        "seconds": {"general": statistics.median(one), "parametric": statistics.median(other)},
        "ratio": spread(ratios),
    }


if __name__ == "__main__":
    main()
