"""The PFN against MCMC on the same prior: ``python benchmarks/mcmc/pfn_vs_mcmc.py --curves 40 --methods smc emcee-M1 emcee-M2 emcee-M3``.

Curves of the parametric prior, cut at 10/20/40/80 of 100 points; every method answers the same contexts (benchmarks/mcmc/references.py).
Each answer is stored in runs/pfn_vs_mcmc as it finishes, so the command may be interrupted and given again, and methods may be
added later; ``--processes`` contexts are worked on at once. The PFN is scored anew on each call, on ``--pfn-curves`` curves.

Writes benchmarks/mcmc/results/pfn_vs_mcmc.json, a summary of all that is stored, and after the method gold gold.json, its every row.
"""

import argparse
import multiprocessing
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.mcmc.references import CUTOFFS, LEVELS, METHODS, SEED, answer, asked, curves, pfn_rows
from benchmarks.provenance import ROOT, provenance, read_result, write_result
from benchmarks.rows import append, appended, stored

STORE = ROOT / "runs" / "pfn_vs_mcmc"
Key = tuple[int, int]  # curve, cut-off


def main() -> None:
    """Runs what is missing, then summarises all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=40, help="curves answered by MCMC; default 40")
    parser.add_argument("--cutoffs", type=int, nargs="*", default=CUTOFFS, choices=CUTOFFS)
    parser.add_argument("--methods", nargs="*", default=[], choices=sorted(METHODS), help="default none: only summarise")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--pfn-curves", type=int, default=10_000)
    parser.add_argument("--model", default="parametric")
    options = parser.parse_args()
    for method in options.methods:
        run(method, options.curves, options.cutoffs, options.processes)
    torch.set_num_threads(options.processes)
    pfn = index(pfn_rows(options.pfn_curves, options.model))
    found = {method: rows for method in METHODS if (rows := index(load(method)))}
    committed = read_result("mcmc/gold") or {"rows": [], "fingerprint": fingerprint()}
    if abs(committed["fingerprint"] - fingerprint()) > 1e-3:
        raise ValueError(
            f"expected curves whose sum is {committed['fingerprint']}, got {fingerprint()}; run --curves 200 --methods gold anew"
        )
    gold = found.get("gold") or index(committed["rows"])
    result: dict[str, Any] = {**provenance(), "seed": SEED, "pfn_curves": options.pfn_curves}
    result |= {"pfn": by_cutoff(pfn), "gap": gap(pfn, gold), "methods": {m: summary(rows, pfn, gold) for m, rows in found.items()}}
    write_result("mcmc/pfn_vs_mcmc", result)
    if "gold" in options.methods:  # so that the file keeps the command that made it
        about = {
            "seed": SEED,
            "fingerprint": fingerprint(),
            "levels": LEVELS,
            "steps": {c: asked(c).tolist() for c in CUTOFFS},
        }
        write_result("mcmc/gold", {**provenance(), **about, "arguments": METHODS["gold"], "rows": list(gold.values())}, indent=None)
    show(result)


def run(method: str, n: int, cutoffs: list[int], processes: int) -> None:
    """Answers the contexts of ``n`` curves that are not stored yet, ``processes`` at once."""
    contexts, known = [(curve, cutoff) for curve in range(n) for cutoff in cutoffs], index(load(method))
    with appended(STORE / f"{method}.jsonl") as out:
        for row in answers(method, contexts, set(known), processes):
            append(row, out)


def answers(method: str, contexts: list[Key], known: set[Key], processes: int) -> Iterator[dict[str, Any]]:
    """Answers to the contexts that are not ``known``, as they are found, ``processes`` at once."""
    jobs = [context for context in contexts if context not in known]
    # Spawned, since forked torch may hang; one thread each, since the contexts keep all cores busy.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, context, _prepare) as pool,
        tqdm(total=len(contexts), initial=len(contexts) - len(jobs), desc=method, unit="context") as bar,
    ):
        futures = [pool.submit(answer, method, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """In a worker: one thread, and an end when the parent is gone, even by SIGKILL."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def fingerprint() -> float:
    """Tells whether this machine draws the same curves."""
    return float(curves()[:200].sum())


def load(method: str) -> list[dict[str, Any]]:
    """Stored rows."""
    return stored(STORE / f"{method}.jsonl")


def index(rows: list[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Rows by (curve, cut-off), in order."""
    return dict(sorted(((row["curve"], row["cutoff"]), row) for row in rows))


def by_cutoff(rows: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    """Means per cut-off of what every row has."""
    grouped: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for (_, cutoff), row in rows.items():
        grouped[cutoff].append(row)
    return {
        str(cutoff): {
            "curves": len(some),
            "log_score": float(np.mean([row["log_score"] for row in some])),
            "crps": float(np.mean([row["crps"] for row in some])),
            "covered": np.mean([row["covered"] for row in some], 0).tolist(),
        }
        for cutoff, some in sorted(grouped.items())
    }


def summary(rows: dict[Key, dict[str, Any]], pfn: dict[Key, dict[str, Any]], gold: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    """A method beside the PFN and gold on the contexts that both have."""
    out = by_cutoff(rows)
    for cutoff, part in out.items():
        keys = [key for key in rows if key[1] == int(cutoff)]
        part["seconds"] = float(np.median([rows[key]["seconds"] for key in keys]))
        part["converged"] = float(np.mean([rows[key]["converged"] for key in keys]))
        part["ess"] = float(np.median([rows[key]["ess"] for key in keys]))
        part["pfn_minus_this"] = paired(pfn, rows, keys)
        shared = [key for key in keys if key in gold]
        if shared:
            part["this_minus_gold"] = paired(rows, gold, shared)
            part["quantile_distance"] = float(np.mean([distance(rows[key], gold[key]) for key in shared]))
            part["pfn_quantile_distance"] = float(np.mean([distance(pfn[key], gold[key]) for key in shared]))
    return out


def paired(a: dict[Key, dict[str, Any]], b: dict[Key, dict[str, Any]], keys: list[Key]) -> list[float]:
    """Mean difference of log scores a - b and its 95 % interval (normal), nats per point."""
    difference = np.array([a[key]["log_score"] - b[key]["log_score"] for key in keys])
    half = 1.96 * difference.std(ddof=1) / len(keys) ** 0.5 if len(keys) > 1 else float("nan")
    return [float(difference.mean()), float(difference.mean() - half), float(difference.mean() + half)]


def gap(pfn: dict[Key, dict[str, Any]], gold: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    """PFN - gold per cut-off, with gold's own Monte-Carlo error from its two runs."""
    out = {}
    for cutoff in CUTOFFS:
        keys = [key for key in gold if key[1] == cutoff]
        if len(keys) < 2:
            continue
        runs = np.array([gold[key]["log_score_of_runs"] for key in keys])
        evidence = np.array([gold[key]["log_evidence_of_runs"] for key in keys])
        pooled = np.array([gold[key]["log_score"] for key in keys])
        out[str(cutoff)] = {
            "curves": len(keys),
            "pfn_minus_gold": paired(pfn, gold, keys),
            "gold": float(pooled.mean()),
            "pfn": float(np.mean([pfn[key]["log_score"] for key in keys])),
            "quantile_distance": float(np.mean([distance(pfn[key], gold[key]) for key in keys])),
            # Jensen: a run's log score is too low by about half the variance of its density, the pool's by half of that.
            "gold_bias": float((pooled - runs.mean(1)).mean()),
            "gold_run_sd": float((runs[:, 0] - runs[:, 1]).std() / 2**0.5),
            "log_evidence_run_sd": float((evidence[:, 0] - evidence[:, 1]).std() / 2**0.5),
        }
    return out


def distance(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Mean absolute difference of quantiles, in units of b's 90 % interval at the step."""
    x, y = np.array(a["quantiles"]), np.array(b["quantiles"])
    return float((np.abs(x - y).mean(1) / (y[:, -1] - y[:, 0])).mean())


def show(result: dict[str, Any]) -> None:
    """Prints one line per method and cut-off."""
    for cutoff, row in result["gap"].items():
        mean, low, high = row["pfn_minus_gold"]
        print(f"PFN - gold at {cutoff:>2} %: {mean:+.4f} [{low:+.4f}, {high:+.4f}] on {row['curves']} curves, gold {row['gold']:.4f}")
    for method, rows in result["methods"].items():
        for cutoff, row in rows.items():
            print(
                f"{method:<11}{cutoff:>3} %  log score {row['log_score']:.4f}  PFN - this {row['pfn_minus_this'][0]:+.4f}  "
                f"{row['seconds']:.1f} s  converged {row['converged']:.0%} of {row['curves']}"
            )


if __name__ == "__main__":
    main()
