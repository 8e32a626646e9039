"""benchmarks/RELIABILITY.md from what is stored in results/."""

from typing import Any

from benchmarks import markdown
from benchmarks.provenance import command, read_result

HEAD = """# Reliability

Written by `python benchmarks/tables.py`; do not edit. Every number was counted by the command below it.

A silent failure is an answer against the rules: NaN or infinite or unordered quantiles, a value outside the bounds, a step nobody
asked for, a damaged file taken for a whole one, a point or curve lost or counted twice, two answers to one question.
"""


def page() -> str:
    """The page from what is stored."""
    found = read_result("faults/faults") or {}
    parts = [HEAD.rstrip(), _commands(), *_mutants(), *(section(found[name]) for name, section in SECTIONS.items() if name in found)]
    scoring = read_result("faults/faults_scoring")
    parts += [_scoring(scoring)] if scoring else []
    return "\n\n".join(parts) + "\n"


def _origin(part: dict[str, Any]) -> str:
    spent = f"{part['cpu_seconds']:g} CPU seconds in {part['seconds']:g} s, load {part['load']:g}" if "cpu_seconds" in part else ""
    about = [part["date"], f"commit {part['commit']}", part["device"], f"torch {part['torch']}", f"Python {part['python']}", spent]
    return f"{', '.join(x for x in about if x)}: `{command(part)}`"


def _table(head: list[str], rows: list[list[Any]]) -> str:
    return "\n".join(markdown.table(markdown.line(head), rows))


def _commands() -> str:
    """What each command of the tests proves, and what it takes, from results/commands.json, which is written by hand."""
    stored = read_result("faults/commands") or {"commands": {}}
    rows = [[f"`{name}`", what["proves"], what["time"], what["measured"]] for name, what in stored["commands"].items()]
    return f"## Tests\n\n{_table(['command', 'proves', 'time on two idle cores', 'measured'], rows)}"


def _mutants() -> list[str]:
    """Of small faults in each folder, the share that its own tests notice; nothing before any was tried."""
    stored = {folder: row for folder, row in (read_result("faults/mutants") or {}).items() if row["tried"]}
    if not stored:
        return []
    reasons = read_result("faults/harmless_mutants") or {}
    rows = []
    for folder, row in sorted(stored.items()):
        counted = row["tried"] - row["harmless"]
        low, high = (f"{100 * x:.0f}" for x in row["interval"])
        share = f"{100 * row['noticed'] / max(counted, 1):.0f} % ({low} to {high})"
        rows.append(
            [f"`{folder}`", row["population"], row["tried"], row["harmless"], f"{row['noticed']} of {counted}", share, row["commit"]]
        )
    text = """## Small faults that the tests of the same folder notice

One operator, comparison, constant, argument or result of a function is changed; the fast tests of the folder should then fail. Of all such
faults (population) a random sample is tried. Texts, errors that are raised, defaults of arguments and constants of modules are left alone.
Harmless are survivors that change nothing anyone relies on, for a reason below the table; other survivors are listed in
results/mutants.json. `lcx` is the front door: curves, scores, extrapolator, extrapolation. In brackets the 95 % interval
(Clopper and Pearson)."""
    head = ["folder", "population", "tried", "harmless", "noticed", "share", "commit"]
    last = max(stored.values(), key=lambda row: row["date"])
    told = [f"- `{file}`: {_told(change)}: {why}" for file, known in reasons.items() for change, why in known.items()]
    origin = f"{last['date']}, {last['device']}: `make test-mutants FOLDER=lcx/stopping`, say"
    return [f"{text}\n\n{_table(head, rows)}\n\n{origin}", *(["Harmless:\n\n" + "\n".join(told)] if told else [])]


def _told(change: str) -> str:
    before, after = (" ".join(line[2:] for line in change.splitlines() if line[0] == mark) for mark in "-+")
    return f"`{before}` as `{after}`"


def _fuzz(part: dict[str, Any]) -> str:
    kinds = sorted({outcome for outcomes in part["doors"].values() for outcome in outcomes}, key=lambda x: (x[0].isupper(), x))
    rows = [[door, *(outcomes.get(kind, 0) for kind in kinds)] for door, outcomes in part["doors"].items()]
    text = f"""## Odd and extreme input

Values, steps, horizons, bounds, modes and settings of all magnitudes and types, damaged logs, damaged models and arguments of the command
line, made by hypothesis ({part["examples"]:,} examples per door, of a stopper with up to 10 reports each). Every example was answered by
the rules or refused with the error its documentation names; any other outcome ends the command. Rules: quantiles finite, rising with the
level and inside the bounds, means and (where squares do not overflow: below 1e150) standard deviations finite, steps in order up to the
horizon; the general model follows y -> a y + b and a change of direction; tables of
readers have finite steps > 0, none twice; the command line ends with 0 or 2, never a traceback, and its JSON is strict; a damaged
model is refused or is the same network."""
    return f"{text}\n\n{_table(['door', *kinds], rows)}\n\n{_origin(part)}"


def _models(part: dict[str, Any]) -> str:
    rows = []
    for name, kind in part["kinds"].items():
        if "cases" in kind:
            cost = [f"{kind['cpu']:.2f}", f"{kind['seconds']:.2f}", f"{kind['megabytes']:.0f}"]
            rows.append([name, kind["cases"], kind["refused"], kind["same"], len(kind["wrong"]), *cost])
    failed = "; ".join(x for kind in part["kinds"].values() for x in kind["wrong"])
    text = """## Damaged and hostile models

The general model saved anew, then one thing wrong with it. "Same" are files in which nothing that matters to the network was hit (a fact
about its training, the name of the checksum). Memory is the growth of resident memory during the call; the process was held to 200 MB."""
    head = ["damage", "cases", "refused", "same network", "anything else", "CPU s at most", "s at most", "MB at most"]
    return f"{text}\n\n{_table(head, rows)}\n\n{f'Anything else: {failed}' + chr(10) * 2 if failed else ''}{_origin(part)}"


def _kills(part: dict[str, Any]) -> str:
    names = {"pretraining": "pretraining", "benchmark": "benchmarks/mcmc/pfn_vs_mcmc.py"}
    lines = [f"- {names[key]}: " + ", ".join(f"{name.replace('_', ' ')} {x}" for name, x in part[key].items()) for key in names]
    text = """## kill -9

The process is killed at random moments, looked at, and started again in the same folder. Of pretraining a state was written after every
step; in use it is every two minutes, so that is what is lost at most. Files with `.part` in their names are what a kill in the middle of
writing leaves (`left over`); they are never read and may be deleted."""
    return f"{text}\n\n" + "\n".join(lines) + f"\n\n{_origin(part)}"


def _workers(part: dict[str, Any]) -> str:
    threads = part["threads"]
    far = max(threads["furthest, general"], threads["furthest, parametric"])
    rows = [
        [p["method"], p["threads"], p["processes"], p["hung"], "-" if p["furthest"] is None else p["furthest"], p["verdicts that differ"]]
        for p in part["processes"]
    ]
    text = f"""## Threads and processes

{threads["threads"]} threads with one model, each with all of {threads["questions"]} questions (quantiles and sample paths): the largest
difference to one thread alone is {far:g}, in the metric's unit. With one `EarlyStopper` among them
{threads["verdicts that differ"]} verdicts and {threads["curves that differ"]} curves differ.
Four processes after the parent has predicted:"""
    head = ["start method", "torch threads", "processes", "hung", "largest difference", "verdicts that differ"]
    return f"{text}\n\n{_table(head, rows)}\n\n{_origin(part)}"


def _scoring(part: dict[str, Any]) -> str:
    lines = [
        f"- {name}: " + ", ".join(f"{key.replace('_', ' ')} {x}" for key, x in row.items())
        for name, row in part.items()
        if isinstance(row, dict)
    ]
    return "## kill -9 of `lcx score`\n\n" + "\n".join(lines) + f"\n\n{_origin(part)}"


SECTIONS = {"fuzz": _fuzz, "models": _models, "kills": _kills, "workers": _workers}
