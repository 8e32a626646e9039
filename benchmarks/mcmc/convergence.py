"""How often MCMC passes its gate, and at what cost: ``python benchmarks/mcmc/convergence.py --methods smc-gate --curves 400``.

Curves of the parametric prior, cut at 10/20/40/80 of 100 points, as in benchmarks/mcmc/pfn_vs_mcmc.py, whose store of answers is shared:
each is kept as it finishes, so the command may be interrupted and given again, and without ``--methods`` it only summarises. With
``--hardest`` the contexts of which gold has the lowest ESS come first, and have a line of their own.

A context passes if R-hat (not of SMC), ESS and divergences keep the limits of ``lcx.mcmc`` within ``LIMIT`` seconds of processor time:
wall time says little on a shared machine. Writes benchmarks/mcmc/results/convergence.json.
"""

import argparse
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.mcmc.pfn_vs_mcmc import distance, index, load, paired, run, work
from benchmarks.mcmc.references import CUTOFFS, METHODS
from benchmarks.provenance import provenance, read_result, write_result

LIMIT = 60  # the default of lcx.mcmc(seconds=)
Row = dict[str, Any]


def main() -> None:
    """Runs what is missing, then summarises all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=400)
    parser.add_argument("--cutoffs", type=int, nargs="*", default=CUTOFFS, choices=CUTOFFS)
    parser.add_argument("--methods", nargs="*", default=[], choices=sorted(METHODS))
    parser.add_argument("--hardest", type=int, default=0, help="of gold's 800 contexts")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    gold = index((read_result("mcmc/gold") or {"rows": []})["rows"])
    hardest = sorted(gold, key=lambda key: gold[key]["ess"])[: options.hardest]
    for method in options.methods:
        work(method, hardest, options.processes)
        run(method, options.curves, options.cutoffs, options.processes)
    methods = (read_result("mcmc/convergence") or {"methods": {}})["methods"]  # of those whose answers are not stored here
    stored = {method: [row for row in load(method) if "cpu" in row] for method in METHODS}
    for method, rows in stored.items():
        groups = {f"{c} %": [row for row in rows if row["cutoff"] == c and row["curve"] < options.curves] for c in CUTOFFS}
        groups[f"hardest {len(hardest)} of {len(gold)}"] = [row for row in rows if (row["curve"], row["cutoff"]) in hardest]
        methods |= {method: found} if (found := {name: summary(some, gold) for name, some in groups.items() if some}) else {}
    write_result("mcmc/convergence", {**provenance(), "limit": LIMIT, "methods": methods})
    for method, groups in methods.items():
        for group, row in groups.items():
            print(f"{method:<11}{group}: {row['passed']} of {row['contexts']}  cpu {row['cpu']}  ess {row['ess']}")


def summary(rows: list[Row], gold: dict[tuple[int, int], Row]) -> dict[str, Any]:
    """How many pass, with the exact 95 % interval of Clopper and Pearson; seconds and ESS; and the distance from gold."""
    passed = sum(row["converged"] and row["cpu"] <= LIMIT for row in rows)
    interval = stats.binomtest(passed, len(rows)).proportion_ci()
    out = {
        "contexts": len(rows),
        "passed": passed,
        "interval": [round(float(x), 4) for x in interval],
        "cpu": [round(float(x), 1) for x in np.quantile([row["cpu"] for row in rows], [0.5, 0.95, 1])],
        "ess": [round(float(x)) for x in np.quantile([row["ess"] for row in rows], [0, 0.5])],
    }
    known = index(rows)
    shared = [key for key in known if key in gold]
    if shared:
        out["this_minus_gold"] = [round(x, 5) for x in paired(known, gold, shared)]
        out["quantile_distance"] = round(float(np.mean([distance(known[key], gold[key]) for key in shared])), 4)
    return out


if __name__ == "__main__":
    main()
