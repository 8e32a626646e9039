"""How many times as long MCMC takes: ``python benchmarks/mcmc/speed.py``, on an idle machine, one thread for all.

Each round takes one benchmark curve cut at 40 points and times, one after the other: ``lcx.predict`` (median of 50 calls), the same per
curve in a batch of 1,000, emcee at M1 as the LC-PFN paper ran it (``Prior.log_joint`` once per walker; 100 of its 2,000 steps, in
proportion), and ``lcx.mcmc`` with emcee-M1 (all walkers at once) and SMC. Ratios are formed within rounds. Writes
benchmarks/mcmc/results/mcmc_speed.json.
"""

import argparse
import statistics
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

import lcx
from benchmarks.intervals import spread
from benchmarks.mcmc.references import QUESTION, curves
from benchmarks.provenance import provenance, write_result
from benchmarks.speed.rivals import emcee_timer, log_joint
from benchmarks.timing import timed

CUTOFF, BATCH = 40, 1000


def main() -> None:
    """Times all methods in turn, round after round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    extrapolator, seconds, converged = lcx.load("parametric", "cpu"), defaultdict(list), defaultdict(list)
    many = curves()[:BATCH, :CUTOFF]
    for curve in tqdm(range(options.rounds), desc="round"):
        one = curves()[curve, :CUTOFF]
        singles = [timed(lambda one=one: extrapolator(one, **QUESTION))[0] for _ in range(50)]
        seconds["PFN, one curve"].append(statistics.median(singles))
        seconds["PFN, per curve in a batch of 1,000"].append(timed(lambda: extrapolator(many, **QUESTION))[0] / BATCH)
        seconds["emcee-M1, a density call per walker"].append(emcee_timer(one, log_joint, 100)())
        for sampler in ("emcee-M1", "smc"):
            spent, (_, info) = timed(lambda one=one, sampler=sampler: mcmc(one, sampler))
            seconds[f"lcx.mcmc {sampler}"].append(spent)
            converged[f"lcx.mcmc {sampler}"].append(not info.problems())
    methods = [name for name in seconds if not name.startswith("PFN")]
    ratios = {
        pfn: {name: spread(np.array(seconds[name]) / np.array(seconds[pfn])) for name in methods} for pfn in seconds if pfn not in methods
    }
    result = {**provenance(), "rounds": options.rounds, "cutoff": CUTOFF, "seconds": {name: spread(x) for name, x in seconds.items()}}
    write_result("mcmc/mcmc_speed", result | {"ratios": ratios, "converged": {name: float(np.mean(x)) for name, x in converged.items()}})
    for name, x in result["seconds"].items():
        print(f"{name:<40}{x['median']:.4g} s  ", {pfn: f"{ratios[pfn][name]['median']:,.0f}" for pfn in ratios if name in ratios[pfn]})


def mcmc(values: np.ndarray, sampler: str) -> Any:
    """One answer, converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return lcx.mcmc(values, **QUESTION, sampler=sampler, strict=False)


if __name__ == "__main__":
    main()
