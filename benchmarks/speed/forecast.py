"""What a user waits for: a forecast of the default model, all in: ``python benchmarks/speed/forecast.py``.

All in is the call of ``lcx.predict``, five quantiles, the mean and P(better than best) of what it gives. One thing is varied at a time:
points, steps, curves, bounds, threads. Beside it, in the same rounds: one pass of a transformer of the size of LC-PFN's largest, P3
(Adriaensen et al., NeurIPS 2023, arXiv 2310.20447), over the same points and steps, the network alone. What the time is spent on is
measured in calls of their own, in which the network's two halves are wrapped in a clock. Writes benchmarks/speed/results/forecast.json.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.intervals import spread
from benchmarks.provenance import provenance, write_result
from benchmarks.speed.rivals import PaperTransformer
from benchmarks.timing import ALL, compare, interleave, required
from lcx.pfn.model import PFN

LEVELS, BEST = [0.05, 0.25, 0.5, 0.75, 0.95], 0.9
QUESTIONS: tuple[Callable[[lcx.Extrapolation], Any], ...] = (lambda x: x.quantile(LEVELS), lambda x: x.mean, lambda x: x.prob_better(BEST))
PARTS = ("encode", "decode", "quantiles", "moments", "chance", "rest")
MOST_OF_P3 = 120  # curves x (points + steps)² in units of 100² up to which it is timed: minutes a pass beyond
P3 = "P3-size transformer"


@dataclass(frozen=True)
class Case:
    """What is asked; the defaults are the case that the others are varied from."""

    points: int = 40
    steps: int = 60
    curves: int = 1
    bounds: bool = True
    threads: int = 1
    device: str = "cpu"

    def __str__(self) -> str:
        words = [f"{n:,} {name}{'s' * (n > 1)}" for name, n in (("curve", self.curves), ("point", self.points), ("step", self.steps))]
        others = ["" if self.bounds else "no bounds", f"{self.threads} threads" if self.threads > 1 else "", self.device]
        return ", ".join([*words, *(word for word in others if word and word != "cpu")])


BASE = Case()


def cases(largest: int, quick: bool) -> list[Case]:
    """The base, and what differs from it in one respect; two threads and no bounds also in batches."""
    if quick:
        return [BASE, replace(BASE, points=1000), replace(BASE, steps=1), replace(BASE, curves=64), replace(BASE, bounds=False)]
    varied = [replace(BASE, points=n) for n in (10, 100, 1000, 10_000, 100_000)] + [replace(BASE, steps=n) for n in (1, 512)]
    batches = [n for n in dict.fromkeys((64, 1000, largest)) if n <= largest]
    varied += [replace(BASE, curves=n) for n in batches] + [replace(BASE, bounds=False)]
    varied += [replace(BASE, threads=2), replace(BASE, curves=1000, threads=2), replace(BASE, curves=1000, bounds=False)]
    if torch.cuda.is_available():
        varied += [replace(BASE, device="cuda", curves=n) for n in (1, *batches)]
    return [BASE, *varied]


def values_of(case: Case) -> np.ndarray:
    """Accuracies that rise towards a level of 0.6 to 0.95 at several rates, with noise, (curves, points)."""
    draw = np.random.default_rng(0)
    level, rate = draw.uniform(0.6, 0.95, (case.curves, 1)), draw.uniform(0.3, 1.2, (case.curves, 1))
    progress = np.linspace(1, 40, case.points)  # points are 0.4 of a run, however many there are
    noise = 0.01 * draw.normal(size=(case.curves, case.points))
    return np.clip(level - 0.6 * progress**-rate + noise, 0, 1)


def asker(case: Case) -> Callable[[], lcx.Extrapolation]:
    """The bare call."""
    values, last = values_of(case), case.points
    horizon = last + 1.5 * last
    at = np.linspace(last, horizon, case.steps + 1)[1:]
    bounds = (0, 1) if case.bounds else (None, None)
    given = values[0] if case.curves == 1 else values
    return lambda: lcx.predict(given, horizon=horizon, mode="max", bounds=bounds, at=at, device=case.device)


def all_in(case: Case) -> Callable[[], None]:
    """The call and the questions to its answer."""
    ask = asker(case)

    def run() -> None:
        answer = ask()
        for question in QUESTIONS:
            question(answer)

    return run


def rival(case: Case) -> Callable[[], Any]:
    """One pass of the network of P3's size."""
    network, context = PaperTransformer().eval(), torch.from_numpy(values_of(case)).float()
    steps = torch.linspace(1, 100, case.points + case.steps).expand(case.curves, -1)
    return torch.inference_mode()(lambda: network(steps, context))


def clocked(call: Callable[[], Any], case: Case, clock: Callable[[], float], least: float = 0.02) -> Callable[[], float]:
    """Seconds of a call, the mean of as many as take ``least`` together; the very first, which loads and allocates, is not counted."""
    warm = False

    def run() -> float:
        nonlocal warm
        torch.set_num_threads(case.threads)
        if not warm:
            call()
        warm, start, calls = True, clock(), 0
        while not calls or clock() - start < least:
            call()
            calls += 1
        return (clock() - start) / calls

    return run


@contextmanager
def network_clock(clock: Callable[[], float]) -> Iterator[dict[str, float]]:
    """Seconds spent in the network's halves meanwhile."""
    spent, halves = {"encode": 0.0, "decode": 0.0}, {name: getattr(PFN, name) for name in ("encode", "decode")}

    def wrapped(name: str) -> Callable[..., Any]:
        def half(*given: Any, **named: Any) -> Any:
            start = clock()
            result = halves[name](*given, **named)
            spent[name] += clock() - start
            return result

        return half

    for name in halves:
        setattr(PFN, name, wrapped(name))
    try:
        yield spent
    finally:
        for name, half in halves.items():
            setattr(PFN, name, half)


def parts(case: Case, clock: Callable[[], float], rounds: int) -> np.ndarray:
    """Seconds of each of PARTS in rounds of one call each, (rounds, parts)."""
    ask, found = asker(case), []
    torch.set_num_threads(case.threads)
    all_in(case)()
    with network_clock(clock) as spent:
        for _ in range(rounds):
            spent.update(encode=0.0, decode=0.0)
            times = [clock()]
            answer = ask()
            for question in QUESTIONS:
                times.append(clock())
                question(answer)
            call, *questions = np.diff([*times, clock()]).tolist()
            found.append([*spent.values(), *questions, call - sum(spent.values())])
    torch.set_num_threads(ALL)
    return np.array(found)


def breakdown(case: Case, clock: Callable[[], float], rounds: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of each part."""
    return {name: spread(1e3 * column) for name, column in zip(PARTS, parts(case, clock, rounds).T, strict=True)}


def questions_by_network(case: Case, clock: Callable[[], float], rounds: int) -> dict[str, Any]:
    """What the questions take, by what the network does, call by call."""
    encode, decode, *questions, _ = parts(case, clock, rounds).T
    return spread(sum(questions) / (encode + decode))


def forecasts(options: argparse.Namespace, clock: Callable[[], float]) -> dict[str, Any]:
    """Every case, and P3's pass beside those that it can be asked."""
    chosen, rounds = cases(options.largest, options.quick), 3 if options.quick else 9
    most = 100**2 * (1 if options.quick else MOST_OF_P3)
    timers, pairs, slow = {}, [], [str(case) for case in chosen if case.curves > 1000]
    for case in chosen:
        timers[str(case)] = clocked(all_in(case), case, clock)
        if case.device == "cpu" and case.curves * (case.points + case.steps) ** 2 <= most:
            timers[f"{P3}, {case}"] = clocked(rival(case), case, clock)
            pairs.append((f"{P3}, {case}", str(case)))
            slow += [f"{P3}, {case}"] if case.curves > 1 or case.points + case.steps > 200 else []
    pairs += [(str(replace(case, bounds=False)), str(case)) for case in chosen if case.bounds and replace(case, bounds=False) in chosen]
    part = compare(interleave(timers, rounds, tuple(slow)), pairs)
    part["curves_per_second"] = {str(case): round(case.curves / part["seconds"][str(case)]["median"]) for case in chosen}
    shown = [case for case in chosen if case.curves <= 1000]
    part["milliseconds"] = {str(case): breakdown(case, clock, 3 * rounds if case.curves <= 64 else 3) for case in shown}
    after = f"questions / network, {BASE}"
    part["ratios"][after] = questions_by_network(BASE, clock, 3 * rounds)
    return part | {"required": required(part, f"{P3}, {BASE} / {BASE}", 15, at_least=True) | required(part, after, 0.5)}


def show(part: dict[str, Any]) -> None:
    """Prints the figures."""
    for name, x in part["seconds"].items():
        print(f"  {name:<70} {1e3 * x['median']:>10.4g} ms ({1e3 * x['quartiles'][0]:.4g}..{1e3 * x['quartiles'][1]:.4g})")
    for name, x in part["ratios"].items():
        print(f"  {name:<110} {x['median']:>8.4g} x")
    for name, parts in part["milliseconds"].items():
        print(f"  {name:<44} " + ", ".join(f"{what} {x['median']:.3g}" for what, x in parts.items()) + " ms")
    for name, x in part["required"].items():
        print(f"  {'met' if x['met'] else 'MISSED'}: {name} is {x['value']}, required {x['required']}")


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke test: fewer cases and rounds")
    parser.add_argument("--largest", type=int, default=1000, help="curves of the largest batch, 1000 or more; 100000 takes half an hour")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds, not wall seconds: for a machine with other work")
    parser.add_argument("--result", default="forecast", help="name of the JSON file in benchmarks/speed/results")
    options = parser.parse_args()
    origin = provenance() | {"gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None, "quick": options.quick}
    load = round(os.getloadavg()[0], 2)  # other work on the machine shows here
    part = forecasts(options, time.process_time if options.cpu else time.perf_counter)
    found = {**origin, "clock": "CPU" if options.cpu else "wall", "load_average": load, **part}
    write_result(f"speed/{options.result}", found)
    show(found)


if __name__ == "__main__":
    main()
