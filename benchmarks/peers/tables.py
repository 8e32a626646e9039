"""The section on other packages of benchmarks/README.md, from results/<peer>.json."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.intervals import mean_of_groups, ratio_of_groups
from benchmarks.markdown import per_cent, table, with_interval
from benchmarks.peers.catalogue import ALONE, PEERS, TOLD
from benchmarks.peers.reasons import NONE, REASONS
from benchmarks.provenance import origin, results_of
from benchmarks.studies.summary import CUTS

SHIPPED = "general"  # of the models the shipped one has seen every source, any other none that it is shown with
OURS, THEIRS = "ours", "theirs"
SCORES = ("crps", "log_score")  # of the tables by source
FEWEST = 4  # curves of a source for an interval over them
Stored = dict[str, Any]
Peers = dict[str, dict[str, Any]]  # by source: scores of lcx and of a peer, by cut-off
QUESTIONS = {ALONE: "Alone", TOLD: "With ten other finished runs of the study"}


def peers() -> str | None:
    """A table per question and model with every peer, and the sources where a peer is ahead; None without results."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results_of("peers").glob("*.json"))}
    found = {name: found[name] for name in PEERS if name in found}
    if not found:
        return None
    lines = [
        "## Other packages on the same questions",
        "",
        "Every peer and lcx are asked for the same later points of the same curves, with the same ten others where they read any;",
        "targets are spread over the studies of each source. CRPS and log score as for single curves above. Ratios: lcx's mean CRPS in",
        "units of the peer's, below 1 where lcx is better. Differences of the log score: lcx - peer. Covered: share inside 90 % intervals,",
        "lcx/peer, in per cent. Means over curves, then sources; brackets hold 95 % bootstrap intervals over curves of a source. Half",
        "lcx: the equal mixture of both laws. Brier: squared error of the chance that the last value beats the best last one of ten",
        "others. Seconds: of the processor per forecast, medians. Slow peers are asked about fewer curves; fracast needs 8 points,",
        "DeepHyper's models 4, the empirical GP studies on a grid. ARLBench's runs have ten points, so 10 and 20 % are the same two. By",
        "source: of the peers asked about four curves or more there, the nearest, with 95 % bootstrap intervals over curves; bold where",
        "the interval leaves out equality and the peer is ahead, and then the reason is given below. The nearest is chosen afterwards out",
        "of up to six, so an interval flatters it. LOG.md says which runs put it ahead in other cells. The numbers of the twin's prior",
        "were fitted to summary statistics of all sources.",
    ]
    for setting, title in QUESTIONS.items():
        some = {name: one for name, one in found.items() if one["setting"] == setting}
        for model in sorted({model for one in some.values() for model in one["weights"]}, key=lambda model: model != SHIPPED):
            rows = {peer: source for one in some.values() for peer, source in of_model(one, model).items()}
            lines += ["", *of_question(f"### {title}: {told(model)}", rows), *exceptions(setting, rows)]
    lines += [text for text in dict.fromkeys(origin_of(one) for one in found.values()) for text in ("", text)]
    return "\n".join(lines)


def told(model: str) -> str:
    """What a model has seen of the sources."""
    return "`general`, trained on all these sources" if model == SHIPPED else f"`{model}`, a twin trained on none of these sources"


def half(model: str) -> str:
    """What the equal mixture of a model and a peer is called."""
    return f"half {model}"


def of_model(one: Stored, model: str) -> dict[str, Peers]:
    """Scores of each answer of a peer by source, where the model was asked too; the half is one more."""
    sources = {source: row["scores"] for source, row in one["sources"].items() if model in row["scores"]}
    names = {name: None for row in sources.values() for name in row if name not in one["weights"] and not name.startswith("half ")}
    found = {name: {source: {THEIRS: row[name], OURS: row[model]} for source, row in sources.items()} for name in names}
    if all(half(model) in row for row in sources.values()) and sources:
        name = f"half lcx, half {next(iter(names))}"
        found[name] = {source: {THEIRS: row[half(model)], OURS: row[model]} for source, row in sources.items()}
    return found


def of_question(title: str, rows: dict[str, Peers]) -> list[str]:
    """The tables of a question and model."""
    by_cut = {crps: "CRPS, lcx / peer | curves, sources", log_score: "log score, lcx - peer; covered"}
    first, second = (
        table(head(what), ([name, *[size(one)][: cell is crps], *(cell(one, cut) for cut in CUTS)] for name, one in rows.items()))
        for cell, what in by_cut.items()
    )
    third = table("| | Brier, lcx / peer | seconds, lcx / peer | peer's, lcx's = 1 |", ([name, *rest(one)] for name, one in rows.items()))
    return [title, "", *first, "", *second, "", *third, "", *table(head("nearest peer by source: CRPS; log score"), by_source(rows))]


def head(first: str) -> str:
    """The head of a table with a column per cut-off."""
    return f"| {first} | " + " | ".join(f"{cut} %" for cut in CUTS) + " |"


def size(one: Peers) -> str:
    """On how many curves and sources a peer was asked at the last cut-off, where none is too short."""
    return f"{sum(len(row[THEIRS][CUTS[-1]]['crps']) for row in one.values())}, {len(one)}"


def scores(one: Peers, whose: str, cut: str, score: str) -> list[np.ndarray]:
    """A score of every target, source by source; sources without one are left out."""
    return [x for row in one.values() if len(x := np.array(row[whose][cut][score]))]


def crps(one: Peers, cut: str) -> str:
    """Ratio of mean CRPS, and both."""
    ours, theirs = (scores(one, whose, cut, "crps") for whose in (OURS, THEIRS))
    if not ours:
        return ""
    values = " / ".join(f"{np.mean([x.mean() for x in each]):.3f}" for each in (ours, theirs))
    return f"**{_told(ours, ratio_of_groups(ours, theirs), '.2f')}**; {values}"


def log_score(one: Peers, cut: str) -> str:
    """Difference of log scores, and both coverages."""
    ours, theirs = (scores(one, whose, cut, "log_score") for whose in (OURS, THEIRS))
    if not ours:
        return ""
    held = per_cent(float(np.mean([x[:, -1].mean() for x in scores(one, whose, cut, "covered")])) for whose in (OURS, THEIRS))
    return f"{_told(ours, mean_of_groups([a - b for a, b in zip(ours, theirs, strict=True)]), '+.2f')}; {held}"


def rest(one: Peers) -> Iterable[str]:
    """The chance and the time, over all curves and cut-offs."""

    def every(whose: str, score: str) -> np.ndarray:
        return np.concatenate([x for cut in CUTS for x in scores(one, whose, cut, score)])

    yield " / ".join(f"{every(whose, 'brier').mean():.3f}" for whose in (OURS, THEIRS))
    times = [every(whose, "seconds") for whose in (OURS, THEIRS)]
    yield " / ".join(f"{np.median(x):.2g}" for x in times)
    yield f"{np.median(times[1] / times[0]):.3g}"


def by_source(rows: dict[str, Peers]) -> Iterable[list[str]]:
    """Per source and cut-off the peer that comes nearest to lcx in CRPS, and the one in log score; bold where it is ahead beyond chance."""
    for source, asked in of_sources(rows).items():
        yield [source, *(nearest(asked, cut) for cut in CUTS)]


def of_sources(rows: dict[str, Peers]) -> dict[str, Peers]:
    """Scores by source, then peer: of the peers, halves aside, that were asked about enough curves there."""
    alone = {name: one for name, one in rows.items() if not name.startswith("half ")}
    sources = dict.fromkeys(source for one in alone.values() for source in one)
    found = {source: {name: one[source] for name, one in alone.items() if enough(one.get(source))} for source in sources}
    return {source: asked for source, asked in found.items() if asked}


def enough(row: dict[str, Any] | None) -> bool:
    """Whether a peer was asked about as many curves of a source as an interval over curves takes."""
    return row is not None and len(row[THEIRS][CUTS[-1]]["crps"]) >= FEWEST


def nearest(asked: Peers, cut: str) -> str:
    """A cell of it, from the scores of each peer that was asked there."""
    return "; ".join(f"{bold(with_interval(found, form), ahead)} {name}" for ahead, found, form, name in near(asked, cut))


def near(asked: Peers, cut: str) -> Iterator[tuple[bool, list[float], str, str]]:
    """By CRPS, then by log score: is a peer ahead beyond chance, by how much, in which form, and who. Those surely ahead come first."""
    some = {name: row for name, row in asked.items() if row[THEIRS][cut]["crps"]}
    if not some:
        return
    pairs = {name: [[np.array(row[whose][cut][score]) for whose in (OURS, THEIRS)] for score in SCORES] for name, row in some.items()}
    ratios = {name: ratio_of_groups([ours], [theirs]) for name, ((ours, theirs), _) in pairs.items()}
    gains = {name: mean_of_groups([ours - theirs]) for name, (_, (ours, theirs)) in pairs.items()}
    name = max(ratios, key=lambda name: (ratios[name][1] > 1, ratios[name][0]))
    yield ratios[name][1] > 1, ratios[name], ".2f", name
    name = min(gains, key=lambda name: (gains[name][2] >= 0, gains[name][0]))
    yield gains[name][2] < 0, gains[name], "+.2f", name


def bold(text: str, ahead: bool) -> str:
    """Bold where a peer is ahead."""
    return f"**{text}**" if ahead else text


def exceptions(setting: str, rows: dict[str, Peers]) -> list[str]:
    """The sources where a peer is ahead beyond chance, each with the reason."""
    found = [source for source, asked in of_sources(rows).items() if any(ahead for cut in CUTS for ahead, *_ in near(asked, cut))]
    return ["", *(f"- {source}: {REASONS[setting].get(source, NONE)}" for source in found)] if found else []


def origin_of(one: Stored) -> str:
    """Provenance, with the versions of the peer's packages."""
    versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
    return origin(one) + (f" {versions}." if versions else "")


def _told(values: list[np.ndarray], found: list[float], form: str) -> str:
    """A mean with its interval, which one curve a source does not give."""
    return with_interval(found, form) if max(map(len, values)) > 1 else format(found[0], form)
