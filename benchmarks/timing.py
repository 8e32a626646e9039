"""Times things turn by turn, so that all meet the same changes of the machine's pace, and compares them within rounds."""

import time
from collections.abc import Callable
from typing import Any

import torch
from tqdm.auto import tqdm

from benchmarks.intervals import spread

ALL = torch.get_num_threads()
Timer = Callable[[], float]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of one call, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def timer(call: Callable[[], Any], calls: int = 1, threads: int = ALL, warm: bool = True) -> Timer:
    """A function that gives the mean seconds of ``calls`` calls, after one that is not counted if ``warm``."""

    def run() -> float:
        torch.set_num_threads(threads)
        if warm:
            call()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls

    return run


def interleave(timers: dict[str, Timer], rounds: int, slow: tuple[str, ...] = ()) -> dict[str, list[float]]:
    """Seconds by round; in turns, so that all meet the same changes of pace. ``slow`` ones stop after three rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    turns = [name for i in range(rounds) for name in timers if i < 3 or name not in slow]
    with tqdm(turns, leave=False) as bar:
        for name in bar:
            bar.set_postfix_str(name)
            seconds[name].append(timers[name]())
    torch.set_num_threads(ALL)
    return seconds


def compare(seconds: dict[str, list[float]], pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The figures of a timing: seconds, and ratios formed within the rounds that both of a pair took part in."""
    ratios = {f"{a} / {b}": spread([x / y for x, y in zip(seconds[a], seconds[b], strict=False)]) for a, b in pairs}
    return {"seconds": {name: spread(values) for name, values in seconds.items()}, "ratios": ratios}


def required(part: dict[str, Any], ratio: str, limit: float, at_least: bool = False) -> dict[str, Any]:
    """A ratio whose median must be at least, or else below, ``limit``."""
    value = part["ratios"][ratio]["median"]
    met = value >= limit if at_least else value < limit
    return {ratio: {"value": value, "required": f"{'>=' if at_least else '<'} {limit:g}", "met": met}}
