"""Small faults put into the code of one folder, and whether its own tests notice: ``make test-mutants FOLDER=lcx/stopping``.

A random sample of the faults of benchmarks/faults/changes.py is tried. The folder's fast tests run once, to see which of them reach which
function; then, in a fork for each fault, the function's code is exchanged and those tests are run, the quickest first, until one fails.
Nothing is written but the verdicts, so it may be interrupted at any time, and the same command goes on. What survives is printed and stored
with its difference; a reason why one does not matter is written by hand into results/harmless_mutants.json.

Why no package: benchmarks/LOG.md, "Small faults".
"""

import argparse
import ast
import gc
import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from scipy.stats import beta
from tqdm import tqdm

from benchmarks.faults import tables
from benchmarks.faults.changes import Change, changes, with_function
from benchmarks.provenance import BENCHMARKS, ROOT, provenance, read_result, write_result
from lcx.files import write_text

# The front door's modules, and their tests, which lie beside the folders.
FRONT, FRONT_TESTS = ("curves", "scores", "extrapolator", "extrapolation"), ("curves", "scores", "extrapolator", "plots")
OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is loaded already


def main() -> None:
    """Tries a sample of a folder's faults and stores the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="lcx/stopping, say; lcx for the modules at the front door")
    parser.add_argument("--mutants", type=int, default=40, help="so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--again", action="store_true", help="try anew those that survived, as after a new test")
    options = parser.parse_args()
    os.chdir(ROOT)
    folder = options.folder.strip("/")
    files = [f"lcx/{x}.py" for x in FRONT] if folder == "lcx" else sorted(str(x.relative_to(ROOT)) for x in (ROOT / folder).rglob("*.py"))
    tests = [f"tests/test_{x}.py" for x in FRONT_TESTS] if folder == "lcx" else [folder.replace("lcx", "tests", 1)]
    everything = [change for file in files for change in changes(file, ROOT)]
    drawn = random.Random(options.seed).sample(everything, min(options.mutants, len(everything)))
    chosen = [x for x in drawn if x.lines]  # two equal arguments may have been exchanged
    store = Store(ROOT / "runs" / "mutants" / f"{folder.replace('/', '-')}.json")
    pending = [x for x in chosen if (known := store.verdicts.get(key(x))) is None or (options.again and known == "survived")]
    print(f"{folder}: {len(everything)} faults, {len(chosen)} drawn, {len(pending)} to try")
    try:
        if pending:
            reached, seconds = reach(tests, files)
            for change in tqdm(pending):
                chosen_tests = sorted(reached.get(f"{change.file}:{change.function}", ()), key=lambda test: seconds[test])
                store.add(key(change), verdict(change, chosen_tests, sum(seconds[test] for test in chosen_tests)))
    finally:
        report(folder, len(everything), [(change, store.verdicts.get(key(change))) for change in chosen])


def key(change: Change) -> str:
    """A name of a fault that changes with the function."""
    told = change.file + change.function + ast.dump(change.before) + ast.dump(change.after)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


class Store:
    """Verdicts on disk, each written as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verdicts: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, verdict: str) -> None:
        """One more."""
        self.verdicts[name] = verdict
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(self.verdicts, indent=0), self.path)


class Reach:
    """Plugin of pytest: which functions of some files each test calls, and the CPU seconds it takes.

    What a fixture calls counts for every test of the file, since the fixture may be shared.
    """

    def __init__(self, files: list[str]) -> None:
        self.names = {str(ROOT / file): file for file in files}
        self.now: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.called: dict[str, set[str]] = {}
        self.shared: dict[str, set[str]] = {}

    def trace(self, frame: FrameType, event: str, argument: Any) -> None:
        """Notes a call; what it defines inside of itself counts as itself."""
        file = self.names.get(frame.f_code.co_filename)
        if file is not None:
            self.now.add(f"{file}:{frame.f_code.co_qualname.partition('.<locals>')[0]}")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Times a test."""
        begun = time.process_time()
        sys.settrace(self.trace)
        yield
        sys.settrace(None)
        self.seconds[item.nodeid] = time.process_time() - begun

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: Any) -> Any:
        """What fixtures call."""
        self.now = self.shared.setdefault(item.nodeid.partition("::")[0], set())
        yield
        self.now = self.called.setdefault(item.nodeid, set())

    def tests(self) -> dict[str, list[str]]:
        """Tests by the function they reach."""
        found: dict[str, list[str]] = {}
        for test, called in self.called.items():
            for function in called | self.shared[test.partition("::")[0]]:
                found.setdefault(function, []).append(test)
        return found


def reach(tests: list[str], files: list[str]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Runs the tests without a fault, in this process, so that forks find everything loaded."""
    watcher = Reach(files)
    if code := pytest.main([*OPTIONS, *tests], plugins=[watcher]):
        raise SystemExit(f"expected tests that pass without a fault, got exit code {code}; mend them first")
    return watcher.tests(), watcher.seconds


def verdict(change: Change, tests: list[str], seconds: float) -> str:
    """Whether the fault is noticed, survived, or left out, since the function's code cannot be exchanged."""
    if not tests:
        return "survived"
    sys.stdout.flush()
    child = os.fork()
    if not child:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        limit = int(10 + 4 * seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))  # an endless loop is a fault that is noticed
        signal.alarm(6 * limit)  # and so are threads that wait for one another
        exchanged = exchange(change)
        os._exit(int(pytest.main([*OPTIONS, *tests])) if exchanged else 99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "survived", 99: "left out"}.get(code, "noticed")


def exchange(change: Change) -> bool:
    """Gives the function that is loaded the code with the fault, and forgets what caches hold; whether that was possible."""
    path = str(ROOT / change.file)
    code = _code(compile(with_function(change, ROOT), path, "exec"), change.function)
    for cached in (x for x in gc.get_objects() if isinstance(x, _lru_cache_wrapper) and x.__module__.startswith("lcx.")):
        cached.cache_clear()
    loaded = [
        x
        for x in gc.get_objects()
        if isinstance(x, FunctionType) and x.__code__.co_filename == path and x.__code__.co_qualname == change.function
    ]
    same = [x for x in loaded if x.__code__.co_freevars == code.co_freevars]
    for function in same:
        function.__code__ = code
    return bool(same)


def _code(code: CodeType, name: str) -> CodeType:
    """The code of a function inside of that of its module."""
    inner = {x.co_qualname: x for x in code.co_consts if isinstance(x, CodeType)}
    if name in inner:
        return inner[name]
    return _code(next(x for qualified, x in inner.items() if name.startswith(f"{qualified}.")), name)


def report(folder: str, population: int, tried: list[tuple[Change, str | None]]) -> None:
    """Writes the folder's row and prints the survivors."""
    reasons = read_result("faults/harmless_mutants") or {}
    done = [(change, found) for change, found in tried if found in ("noticed", "survived")]
    survivors = [(change.file, change.lines) for change, found in done if found == "survived"]
    harmless = [(file, lines) for file, lines in survivors if lines in reasons.get(file, {})]
    left = [pair for pair in survivors if pair not in harmless]
    counted = len(done) - len(harmless)
    row = {
        **provenance(),
        "population": population,
        "tried": len(done),
        "harmless": len(harmless),
        "noticed": counted - len(left),
        "interval": interval(counted - len(left), counted),
        "survivors": [{"file": file, "change": lines} for file, lines in left],
    }
    for file, lines in left:
        print(f"survived in {file}:\n{lines}")
    print(f"{folder}: {row['noticed']} of {counted} noticed, 95 % interval {row['interval']}; {len(tried) - len(done)} not tried")
    write_result("faults/mutants", {**(read_result("faults/mutants") or {}), folder: row})
    write_text(tables.page(), BENCHMARKS / "RELIABILITY.md")


def interval(noticed: int, of: int) -> list[float]:
    """Clopper and Pearson's 95 % interval of a share."""
    low = beta.ppf(0.025, noticed, of - noticed + 1) if noticed else 0.0
    high = beta.ppf(0.975, noticed + 1, of - noticed) if noticed < of else 1.0
    return [round(float(x), 3) for x in (low, high)]


if __name__ == "__main__":
    main()
