"""How fast lcx is, as ratios of two things timed turn by turn in one run: ``python benchmarks/speed/speed.py [--only ...]``.

The rivals: the prior's sampler in lcpfn 0.1.3; a transformer of the size of LC-PFN's largest, P3, with random weights
(they do not change the time of a pass); emcee at the paper's setting M1 (100 walkers, 2,000 steps, 500 of them warm-up,
thin 1) on the posterior of lcx's own prior, of which only the sampling is timed, not the predictive made of its draws.
P3, M1: Adriaensen et al., NeurIPS 2023 (arXiv 2310.20447). Writes benchmarks/speed/results/speed.json; sections not asked for
keep their earlier figures.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import lcx
from benchmarks.provenance import provenance, read_result, write_result
from benchmarks.speed.asked import CUTOFF, MODEL, curves, predict
from benchmarks.speed.fresh_process import imports, peak
from benchmarks.speed.rivals import HORIZON, STEPS, PaperTransformer, emcee_timer, lcpfn_prior, lean_density, log_joint, paper_pass
from benchmarks.timing import ALL, Timer, compare, interleave, required, timer
from lcx.priors.parametric import PARAMETRIC

CUDA = torch.cuda.is_available()
P3 = "P3-size transformer"
# One density call per walker, as the paper ran it, for the prior's own density and for one written for speed alone; the
# third is called once for all walkers.
SAME = "emcee M1, Prior.log_joint per walker"
LEAN = "emcee M1, lean NumPy density per walker"
VECTORISED = "emcee M1, vectorised lean density"


def prior(quick: bool) -> dict[str, Any]:
    """Prior draws on one CPU thread (and on the GPU), seconds per curve."""
    size, generator = 200 if quick else 4000, torch.Generator().manual_seed(3)
    counts = {"lcx": 50 * size, "lcpfn": size, "lcx on cuda": 500 * size}
    calls: dict[str, Callable[[], Any]] = {"lcx": lambda: PARAMETRIC.sample(counts["lcx"], generator)}
    if theirs := lcpfn_prior():
        calls["lcpfn"] = lambda: theirs.generate_prior_dataset(counts["lcpfn"], theirs.sample_from_prior, seed=3)
    if CUDA:
        gpu = torch.Generator("cuda").manual_seed(3)
        calls["lcx on cuda"] = lambda: (PARAMETRIC.sample(counts["lcx on cuda"], gpu), torch.cuda.synchronize())
    seconds = interleave({name: timer(call, threads=1) for name, call in calls.items()}, 3 if quick else 9)
    per_curve = {name: [x / counts[name] for x in values] for name, values in seconds.items()}
    part = compare(per_curve, [("lcpfn", name) for name in calls if theirs and name != "lcpfn"])
    part["curves_per_second"] = {name: round(1 / x["median"]) for name, x in part["seconds"].items()}
    return part | ({"required": required(part, "lcpfn / lcx", 30, at_least=True)} if theirs else {})


def single(quick: bool) -> dict[str, Any]:
    """One curve of 40 points, 60 queries, the whole call of ``lcx.predict``."""
    values, calls, steps = curves(1), 5 if quick else 50, 20 if quick else STEPS
    timers, pairs, slow = {}, [], (SAME, LEAN, VECTORISED)
    for threads in (1, 2):
        bare, full, rival = (f"{name}, threads={threads}" for name in ("lcx", "lcx + quantiles", P3))
        timers[bare] = timer(partial(predict, values[0]), calls, threads)
        timers[full] = timer(partial(predict, values[0], levels=[0.05, 0.5, 0.95]), calls, threads)
        timers[rival] = timer(paper_pass(values), max(1, calls // 5), threads)
        pairs += [(rival, bare), (rival, full)]
    timers |= emcee_timers(values[0], steps)
    pairs += [(name, f"{ours}, threads=1") for name in slow for ours in ("lcx", "lcx + quantiles")]
    part = compare(interleave(timers, 3 if quick else 9, slow), pairs)
    limits = {
        **required(part, f"{P3}, threads=1 / lcx, threads=1", 15, at_least=True),
        **required(part, f"{P3}, threads=2 / lcx, threads=2", 15, at_least=True),
        **required(part, f"{SAME} / lcx, threads=1", 10_000, at_least=True),
    }
    return part | {"required": limits, "networks": networks(values), "emcee_steps": steps, "scaled": quick}


def emcee_timers(values: np.ndarray, steps: int) -> dict[str, Timer]:
    """The three ways to run M1 on the posterior of one curve."""
    return {
        SAME: emcee_timer(values, log_joint, steps),
        LEAN: emcee_timer(values, lean_density, steps),
        VECTORISED: emcee_timer(values, lean_density, steps, vectorised=True),
    }


def networks(values: np.ndarray) -> dict[str, Any]:
    """Parameters, and multiply-adds of one forward pass over 40 points and 60 queries, of both networks."""
    ours, rival = lcx.load(MODEL, "cpu").model, PaperTransformer().eval()
    context, steps = torch.from_numpy(values).float(), torch.arange(1.0, HORIZON + 1)[None]
    tokens = torch.full((1, HORIZON - CUTOFF), CUTOFF - 1)
    passes = {
        "lcx": (ours, lambda: ours.decode(ours.encode(context, steps[:, :CUTOFF]), tokens, steps[:, CUTOFF:])),
        P3: (rival, lambda: rival(steps, context)),
    }
    counts = {}
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not look inside fused layers and kernels
    for name, (network, call) in passes.items():
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            call()
        parameters = sum(p.numel() for p in network.parameters())
        counts[name] = {"parameters": parameters, "multiply_adds": counter.get_total_flops() // 2}
    torch.backends.mha.set_fastpath_enabled(True)
    return counts


def batch(quick: bool) -> dict[str, Any]:
    """Batches of curves on all threads, seconds per call; emcee needs as many runs as there are curves, timed on a tenth of M1."""
    sizes, paper_sizes = ((1, 64, 1000), (1, 64)) if quick else ((1, 64, 1000, 10_000), (1, 64, 1000))
    many, steps, one = curves(sizes[-1]), STEPS // (100 if quick else 10), "lcx with threads=1, 1000"
    timers = {f"lcx, {n}": timer(partial(predict, many[:n]), max(1, 100 // n)) for n in sizes}
    if CUDA:
        timers |= {f"lcx on cuda, {n}": timer(partial(predict, many[:n], "cuda"), max(1, 100 // n)) for n in sizes}
    timers[one] = timer(partial(predict, many[:1000]), threads=1)
    timers |= {f"{P3}, {n}": timer(paper_pass(many[:n]), 5 if n == 1 else 1, warm=n < 1000) for n in paper_sizes}
    emcees = emcee_timers(many[0], steps)
    seconds = interleave(timers | emcees, 3 if quick else 7, slow=(*emcees, f"{P3}, 1000"))
    for name in emcees:
        seconds[f"{name}, 1000"] = [1000 * x for x in seconds.pop(name)]
    pairs = [(f"{P3}, {n}", f"lcx, {n}") for n in paper_sizes]
    pairs += [(f"{name}, 1000", ours) for name in emcees for ours in ("lcx, 1000", one)]
    part = compare(seconds, pairs + [(f"lcx, {n}", f"lcx on cuda, {n}") for n in sizes if CUDA])
    per_curve = {name: x["median"] / int(name.split(", ")[-1]) for name, x in part["seconds"].items()}
    part["seconds_per_curve"] = {name: float(f"{x:.4g}") for name, x in per_curve.items()}
    limit = required(part, f"{SAME}, 1000 / lcx, 1000", 100_000, at_least=True)
    return part | {"required": limit, "emcee_steps": steps, "scaled": True}


def append(quick: bool) -> dict[str, Any]:
    """256 curves: one more point after 99, against encoding all 100 points anew."""
    model, drawn = lcx.load(MODEL, "cpu").model, lcx.sample_prior(256, seed=4)
    values, steps = drawn.values, drawn.steps

    @torch.inference_mode()
    def one_append(encoded: int, threads: int) -> float:
        torch.set_num_threads(threads)
        context = model.encode(values[:, :encoded], steps[:, :encoded], cache=True)
        for i in range(encoded, 99):
            context = model.append(context, values[:, i], steps[:, i])
        start = time.perf_counter()
        model.append(context, values[:, 99], steps[:, 99])
        return time.perf_counter() - start

    encode, timers, pairs = torch.inference_mode()(lambda: model.encode(values, steps)), {}, []
    for threads in dict.fromkeys((1, ALL)):
        first, later, anew = (f"{name}, threads={threads}" for name in ("first append", "later append", "encode"))
        # The first append after an encoding moves the cache to a buffer with room, later ones write into that room.
        timers |= {first: partial(one_append, 99, threads), later: partial(one_append, 98, threads)}
        timers[anew] = timer(encode, threads=threads)
        pairs += [(first, anew), (later, anew)]
    part = compare(interleave(timers, 3 if quick else 21), pairs)
    limits = [required(part, ratio, 0.2) for ratio in part["ratios"]]
    return part | {"required": {name: limit for x in limits for name, limit in x.items()}}


def show(name: str, part: dict[str, Any]) -> None:
    """Prints a section."""
    print(f"\n{name}: median (quartiles)" + (", emcee's time scaled from a short run" if part.get("scaled") else ""))
    for key, unit in (("seconds", "s"), ("ratios", "x")):
        for label, x in part.get(key, {}).items():
            print(f"  {label:<76} {x['median']:>10.4g} {unit} ({x['quartiles'][0]:.4g}..{x['quartiles'][1]:.4g})")
    for label, x in part.get("mebibytes", {}).items():
        print(f"  {label:<76} {x['added']['median']:>10.4g} MiB on top of {x['before']['median']:.4g}")
    for key in sorted({"curves_per_second", "seconds_per_curve", "networks"} & part.keys()):
        print(f"  {key}: {json.dumps(part[key])}")
    for label, x in part.get("required", {}).items():
        print(f"  {'met' if x['met'] else 'MISSED'}: {label} is {x['value']}, required {x['required']}")


def main() -> None:
    """Measures the chosen sections and writes each as soon as it is finished."""
    sections = {"prior": prior, "single": single, "batch": batch, "append": append, "import": imports, "peak": peak}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(sections), help="sections to measure, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a smoke test: few repeats, emcee's time scaled")
    parser.add_argument("--result", default="speed", help="name of the JSON file in benchmarks/speed/results")
    options = parser.parse_args()
    stored = f"speed/{options.result}"
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(sections):
        parser.error(f"expected --only out of {list(sections)}, got {sorted(unknown)}; choose among these")
    origin = provenance() | {"gpu": torch.cuda.get_device_name() if CUDA else None, "quick": options.quick}
    for name in chosen:
        load = round(os.getloadavg()[0], 2)  # other work on the machine shows here
        part = {**origin, "load_average": load, **sections[name](options.quick)}
        write_result(stored, {**(read_result(stored) or {}), name: part})
        show(name, part)


if __name__ == "__main__":
    main()
