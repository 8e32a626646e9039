"""The section on studies of benchmarks/README.md, from results/*.json and results/speed.json."""

import json
from typing import Any

from benchmarks.markdown import per_cent, table, with_interval, with_quartiles
from benchmarks.provenance import BENCHMARKS, known_result, origin, read_result, results_of
from benchmarks.studies.summary import CUTS, beside, cells, change, changes, overall, settings_of

WORSE = 0.03  # of the CRPS without others; sources that others make worse by more are bold
PICTURES = {"told": "Real runs forecast alone and with 1, 3 and 10 others", "studies": "Studies of the prior beside real ones"}
BESIDE = ("3", "10", "30", "running")  # settings at which rivals are shown


def studies() -> str | None:
    """Every stored model with its rivals; None without results."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results_of("studies").glob("*.json"))}
    found = {name: result for name, result in found.items() if result.get("sources")}
    models = {name: result for name, result in found.items() if "weights" in result}
    if not models:
        return None
    lines = [
        "## Forecasts that read the study's other runs",
        "",
        "The same targets, spread over the studies of each source, with no others; with 1, 3, 10 and 30 finished other runs (fewer where",
        "the study has fewer); with 10 as a running study has them (40 % finished, 30 % stopped anywhere, 30 % paused at 10 to 50 %);",
        "and with 10 runs of an alien study, which must not hurt. CRPS, error of the median, log score and coverage as for single curves,",
        "means over targets, then over sources; brackets hold 95 % bootstrap intervals over targets within sources.",
    ]
    for name, result in models.items():
        rivals = {other: one for other, one in found.items() if other not in models and one["tag"] == result["tag"]}
        lines += ["", of_result(name), *against(result, rivals)]
    pictures = [f"studies/results/{name}.png" for name in PICTURES]
    lines += [
        text
        for path, what in zip(pictures, PICTURES.values(), strict=True)
        if (BENCHMARKS / path).exists()
        for text in ("", f"![{what}]({path})")
    ]
    speed = read_result("studies/speed")
    return "\n".join([*lines, *([] if speed is None else of_speed(speed))])


def of_result(name: str) -> str:
    """A method's tables."""
    result = known_result(f"studies/{name}")
    told = settings_of(result)
    lines = [f"### {result['model']}{', ' + result['tag'] if result['tag'] else ''}", ""]
    lines += table(head("CRPS, others"), ([setting, *(mean(result, setting, cut) for cut in CUTS)] for setting in told))
    lines += ["", "Error of the median, log score, coverage of central 50/80/90 % intervals:", ""]
    lines += table(head("others"), ([setting, *(other_scores(result, setting, cut) for cut in CUTS)] for setting in told))
    if "0" in told and len(told) > 1:
        rest = [setting for setting in told if setting != "0"]
        lines += [
            "",
            f"Change of CRPS from that without others, in per cent; the source that fares worst, bold above {100 * WORSE:.0f}:",
            "",
        ]
        lines += table(head("others"), ([setting, *(gain(result, setting, cut) for cut in CUTS)] for setting in rest))
        lines += [
            "",
            f"Per source: CRPS without others; its change in per cent with {', '.join(rest)}; coverage of 90 % without and with each:",
            "",
        ]
        lines += table(head("source, targets, studies"), (by_source(result, source, told) for source in result["sources"]))
    return "\n".join([*lines, "", origin(result)])


def head(first: str) -> str:
    """The head of a table with a column per cut-off."""
    return f"| {first} | " + " | ".join(f"{cut} %" for cut in CUTS) + " |"


def mean(result: dict[str, Any], setting: str, cut: str) -> str:
    """Mean CRPS."""
    return with_interval(overall(result, setting, cut)["crps"], ".3f")


def other_scores(result: dict[str, Any], setting: str, cut: str) -> str:
    """The rest of the scores."""
    row = overall(result, setting, cut)
    return f"{row['error'][0]:.3f}, {row['log_score'][0]:.2f}, {per_cent(row['covered'])}"


def gain(result: dict[str, Any], setting: str, cut: str) -> str:
    """Change of the mean, and the largest of a source."""
    by_name = changes(result, setting, cut)
    worst = max(by_name, key=lambda name: by_name[name])
    each = f"{worst} {marked(by_name[worst])}"
    return f"{with_interval([100 * x for x in change(result, setting, cut)], '+.1f')}; {each}"


def marked(ratio: float) -> str:
    """A change in per cent, bold where others hurt."""
    return f"**{100 * ratio:+.0f}**" if ratio > WORSE else f"{100 * ratio:+.0f}"


def by_source(result: dict[str, Any], source: str, told: list[str]) -> list[str]:
    """A row of the table of sources."""
    row = result["sources"][source]
    out = [f"{source}, {len(row['widths'])}, {len(set(row['studies']))}"]
    for cut in CUTS:
        ratios = "/".join(marked(changes(result, setting, cut)[source]) for setting in told if setting != "0")
        covered = per_cent(cells(result, setting, cut, "covered")[source][:, -1].mean() for setting in told)
        out.append(f"{cells(result, '0', cut)[source].mean():.3f}: {ratios}; {covered}")
    return out


def against(model: dict[str, Any], rivals: dict[str, Any]) -> list[str]:
    """Rivals beside a model, on the targets that both answered for."""
    rows = []
    for rival in rivals.values():
        for setting in BESIDE:
            pairs = [pair for cut in CUTS if (pair := beside(model, rival, setting, cut))]
            if pairs:
                sources = len(rival["sources"].keys() & model["sources"].keys())
                rows.append([rival["model"], setting, sources, *(f"{theirs:.3f} / {ours:.3f}" for theirs, ours in pairs)])
    if not rows:
        return []
    return ["", "CRPS of rivals / of the model, on the same targets:", "", *table(head("rival | others | sources"), rows)]


def of_speed(speed: dict[str, Any]) -> list[str]:
    """Times with and without others."""
    lines = ["", "### Time with others", "", "Medians over interleaved rounds, quartiles in brackets; ratios are formed within rounds.", ""]
    lines += table("| timed, one thread | seconds |", ([what, with_quartiles(x)] for what, x in speed["seconds"].items()))
    lines += ["", *table("| ratio | times |", ([what, with_quartiles(x)] for what, x in speed["ratios"].items()))]
    return [*lines, "", origin(speed)]
