"""The README's figures measured again on this machine, as far as five minutes on two cores go: ``make bench-small``.

Lines 7 to 10 need nothing but this repository; lines 1 to 3 need the five sources that the model has not seen (``--data DIR``). Lines 4 to
6 need a model trained without their tasks, and hours. Fewer curves are drawn than for the recorded figures, which stand beside, so the last
digit may differ: of 2,000 curves a log score has a standard error of 0.02 at 10 % and 0.002 at 80 %, a coverage one of 0.5 %. Seconds are
the processor's; of another machine they say little, and one pass of LC-PFN's network is timed in the same rounds. Nothing is stored.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import lcx
from benchmarks.curves import load_all
from benchmarks.markdown import table
from benchmarks.mcmc.pfn_vs_mcmc import CUTOFFS, fingerprint, gap, index, pfn_rows
from benchmarks.provenance import known_result, provenance
from benchmarks.readme_figures import recorded, rows
from benchmarks.scores import rounded, score
from benchmarks.speed.forecast import BASE, MOST_OF_P3, P3, all_in, clocked, rival
from benchmarks.studies.ask import ask_rival, ask_with_others
from benchmarks.studies.questions import Target, targets
from benchmarks.studies.rivals import empirical
from benchmarks.synthetic.calibration import SEED, pit_values, summary
from benchmarks.synthetic.log_score import scores_of
from benchmarks.timing import compare, interleave

CURVES, GOLD, ROUNDS = 2000, 200, 5  # of lines 8 and 9; of line 7, all that there are; of line 10
Part = Callable[[dict[str, Any]], dict[str, Any]]  # what is recorded -> the same of what is measured now


def main() -> None:
    """Measures, then prints each figure beside the recorded one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder of the unseen sources' .npz and .json files; default none: lines 1 to 3 are left out"
    )
    parser.add_argument("--curves", type=int, default=10, help="targets per source of lines 1 to 3; default 10")
    options = parser.parse_args()
    begun, then = time.monotonic(), recorded()
    now, lines = dict(then), [7, 8, 9, 10]
    for name, part in {"log_score": log_score, "calibration": calibration, "pfn_vs_mcmc": posterior, "forecast": speed}.items():
        now[name] = {**then[name], **part(then[name])}
    if options.data:
        lines = [1, 2, 3, *lines]
        now |= studies(options.data, options.curves, then)
    print("\n".join(shown(rows(now), rows(then), lines)))
    here = provenance()
    print(f"\nHere: {here['date']}, {here['commit']}, {here['device']}, torch {here['torch']}, {time.monotonic() - begun:.0f} s.")


def shown(now: list[list[str]], then: list[list[str]], lines: list[int]) -> list[str]:
    """A table of the figures measured now beside the recorded ones; the rest with the command that would measure them."""
    cells = []
    for number, (new, old) in enumerate(zip(now, then, strict=True), 1):
        what, ours, beside, how = old
        again = f"{new[1]}; beside it {new[2]}" if number in lines else f"not here: {how.partition(', ')[0]}"
        cells.append([what, f"{ours}; beside it {beside}", again])
    return table("| | recorded | here |", cells)


def log_score(recorded: dict[str, Any]) -> dict[str, Any]:
    """Line 9."""
    return {"scores": scores_of(lcx.load("parametric", "cpu"), CURVES)}


def calibration(recorded: dict[str, Any]) -> dict[str, Any]:
    """Line 8."""
    model = lcx.load("parametric", "cpu")
    return {"cutoffs": {str(c): {"model": summary(pit_values(model, 5 * CURVES, c, SEED + i))} for i, c in enumerate(CUTOFFS)}}


def posterior(recorded: dict[str, Any]) -> dict[str, Any]:
    """Line 7: the network now, the exact posterior from what is stored; as recorded where this machine draws other curves."""
    gold = known_result("mcmc/gold")
    if abs(gold["fingerprint"] - fingerprint()) > 1e-3:
        print("Line 7 is the recorded one: the generator of this machine draws other curves than those of the stored posteriors.")
        return {}
    return {"gap": gap(index(pfn_rows(GOLD)), index(gold["rows"]))}


def speed(recorded: dict[str, Any]) -> dict[str, Any]:
    """Line 10."""
    cases = [BASE, replace(BASE, points=1000), replace(BASE, curves=64), replace(BASE, curves=1000)]
    rivals = {str(case): f"{P3}, {case}" for case in cases if case.points < 1000 and case.curves <= MOST_OF_P3}
    timers = {str(case): clocked(all_in(case), case, time.process_time) for case in cases}
    timers |= {rivals[str(case)]: clocked(rival(case), case, time.process_time) for case in cases if str(case) in rivals}
    return compare(interleave(timers, ROUNDS), [(slow, quick) for quick, slow in rivals.items()])


def studies(data: Path, most: int, then: dict[str, Any]) -> dict[str, Any]:
    """Lines 1 to 3, but for the model of 0.1, which is recorded."""
    sources, model = load_all(data), lcx.load("general", "cpu")
    asked = {source: targets(sources, source, most) for source in sources}

    def told(ask: Callable[[list[Target], float, str], lcx.Extrapolation]) -> dict[str, Any]:
        return {
            "sources": {source: {"widths": some, "scores": {s: cells(ask, some, s) for s in ("0", "10")}} for source, some in asked.items()}
        }

    new = {"general-unseen": told(lambda *x: ask_with_others(model, *x)), "empirical-unseen": told(lambda *x: ask_rival(empirical, *x))}
    return {name: {**then[name], **one} for name, one in new.items()}


def cells(ask: Callable[[list[Target], float, str], lcx.Extrapolation], some: list[Target], setting: str) -> dict[str, Any]:
    """Scores per cut-off."""
    out = {}
    for cutoff in CUTOFFS:
        found = score(ask(some, cutoff / 100, setting), [target.curve for target in some], cutoff / 100)
        out[str(cutoff)] = {key: rounded(found[key]) for key in ("crps", "error", "log_score", "covered")}
    return out


if __name__ == "__main__":
    torch.set_num_threads(min(2, torch.get_num_threads()))
    main()
