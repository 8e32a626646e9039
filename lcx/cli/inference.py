"""What a log tells of a metric and need not be typed: its direction, its bounds, the last step of each run. And how it is told."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from lcx.readers.metric_names import Bounds, bounds_of, direction_of
from lcx.readers.settings import planned_end, settings_beside

_FINISHED = ("finished", "complete", "completed")
_INNER = ("csv", "events", "eval", "log", "logs", "tb", "tensorboard", "train", "val", "validation", "vis_data")  # folders inside a run's


@dataclass(frozen=True)
class Inferred:
    """The question about one metric, completed.

    Attributes:
        metric: its name.
        mode: "max" or "min"; None if neither the user, the log nor the name tells it.
        bounds: limits (lower, upper), user's unit.
        horizons: last step of each run that has one, user's unit.
        by: where each of "mode", "bounds" and "horizon" comes from, if not from the user.
    """

    metric: str
    mode: str | None
    bounds: Bounds
    horizons: dict[str, float]
    by: dict[str, str]

    def facts(self) -> dict[str, Any]:
        """Keys for JSON."""
        return {"bounds": list(self.bounds), "inferred": self.by}


def infer(
    table: Any,
    path: str,
    metric: str,
    *,
    mode: str | None = None,
    horizon: float | None = None,
    lower: float | None = None,
    upper: float | None = None,
    whole: Any = None,
    longest: bool = False,
) -> Inferred:
    """Completes what the user did not say about a metric of a log.

    Args:
        table: of ``lcx.readers.read``.
        path: what was read.
        metric: a metric of the table.
        mode: the user's, None to infer it.
        horizon: the user's.
        lower: the user's, -inf for none; if either bound is given, the other is not inferred.
        upper: the user's, inf for none.
        whole: the table before points were cut off, which tells where runs end; default the same.
        longest: a single longest run tells the horizon too.
    """
    rows, by = table[table["metric"] == metric], {}
    if mode is None:
        logged = {way for run, way in table.attrs.get("mode", {}).items() if run in set(rows["run"])}
        mode = logged.pop() if len(logged) == 1 else direction_of(metric)
        by |= {} if mode is None else {"mode": "name" if direction_of(metric) == mode else "log"}
    if lower is None and upper is None:
        bounds = bounds_of(metric, rows["value"])
        by |= {} if bounds == (None, None) else {"bounds": "name and values"}
    else:
        bounds = (None if lower in (None, -inf) else lower, None if upper in (None, inf) else upper)
    ends = (table if whole is None else whole)[lambda t: t["metric"] == metric].groupby("run", sort=False)["step"].max()
    last = {str(run): float(step) for run, step in ends.items()}
    if horizon is not None:
        return Inferred(metric, mode, bounds, dict.fromkeys(last, float(horizon)), by)
    found = _horizons(table.attrs, path, last, longest)
    sources = sorted({source for _, source in found.values()})
    by |= {"horizon": ", ".join(sources)} if sources else {}
    return Inferred(metric, mode, bounds, {run: end for run, (end, _) in found.items()}, by)


def _horizons(attrs: dict[str, Any], path: str, last: dict[str, float], alone: bool) -> dict[str, tuple[float, str]]:
    """Last step of each run, and where it stands: in the log, in the settings beside it, or as the end of other runs."""
    found = {run: (float(end), "the log") for run, end in attrs.get("horizon", {}).items() if run in last}
    seen: dict[Path, dict[str, dict[str, float]]] = {}
    for run in last.keys() - found.keys():
        folder = _folder(path, run)
        if folder not in seen:
            seen[folder] = _settings(folder)
        counter, epoch = (attrs.get(what, {}).get(run) for what in ("counter", "steps_per_epoch"))
        for file, settings in seen[folder].items():
            planned = planned_end(settings, counter, epoch)
            if planned is not None and planned[0] >= last[run]:
                found[run] = (planned[0], file)
                break
    states = {run: str(state).lower() for run, state in attrs.get("state", {}).items()}
    units = attrs.get("counter", {})
    for unit in {units.get(run) for run in last}:
        found |= _where_others_end({run: step for run, step in last.items() if units.get(run) == unit}, found, states, alone)
    return found


def _where_others_end(
    last: dict[str, float], found: dict[str, tuple[float, str]], states: dict[str, str], alone: bool
) -> dict[str, tuple[float, str]]:
    """The horizon of the runs, of one unit of steps, that have none yet, if the ends of others tell it."""
    ended = [step for run, step in last.items() if states.get(run) in _FINISHED]
    going = {run for run in last if states.get(run) == "running" or (run in found and last[run] < found[run][0])}
    done = {run: step for run, step in last.items() if alone or run not in going}
    end = max(ended or done.values(), default=0.0)
    together = sum(step == end for step in done.values())
    source = "the longest finished run" if ended else f"the end of {together} runs" if together > 1 else "the longest run"
    if not (ended or together > 1 or alone):
        return {}
    return {run: (max(end, last[run]), source) for run in last.keys() - found.keys()}


def _folder(path: str, run: str) -> Path:
    """The folder of a run's log."""
    root = Path(path)
    where = root if root.is_file() or run == root.resolve().name else root / run
    while not where.exists() and where != root and where != where.parent:
        where = where.parent
    return where if where.is_dir() else where.parent


def _settings(folder: Path) -> dict[str, dict[str, float]]:
    """The settings in a folder; of a folder inside that of a run, also those there."""
    found = settings_beside(folder) if folder.is_dir() else {}
    return found or (settings_beside(folder.resolve().parent) if folder.resolve().name in _INNER else {})


def told(questions: Iterable[Inferred]) -> list[str]:
    """What was inferred, a line each, with the option that overrides it."""
    questions, lines = list(questions), []
    ends = {end for one in questions if "horizon" in one.by for end in one.horizons.values()}
    if ends:
        shown = f"horizon {min(ends):g}" if len(ends) == 1 else f"horizons {min(ends):g} to {max(ends):g}"
        sources = dict.fromkeys(source for one in questions if "horizon" in one.by for source in one.by["horizon"].split(", "))
        lines.append(f"{shown} from {', '.join(sources)} (--horizon)")
    for mode, way in (("max", "larger is better"), ("min", "smaller is better")):
        for source in ("log", "name"):
            names = [one.metric for one in questions if one.mode == mode and one.by.get("mode") == source]
            if names:
                lines.append(f"{way}, {_named(names) if source == 'name' else 'as the log says'} (--mode)")
    for bounds in dict.fromkeys(one.bounds for one in questions if "bounds" in one.by):
        names = [one.metric for one in questions if one.bounds == bounds and "bounds" in one.by]
        of = f": {listed(names)}" if len(questions) > 1 else ""
        lines.append(f"{_limits(*bounds)}, by name and values{of} (--lower, --upper)")
    return lines


def _named(names: list[str]) -> str:
    return f"by the name {names[0]}" if len(names) == 1 else f"by the names {listed(names)}"


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _limits(lower: float | None, upper: float | None) -> str:
    if lower is None or upper is None:
        return f"not below {lower:g}" if upper is None else f"not above {upper:g}"
    return f"bounds {lower:g} to {upper:g}"
