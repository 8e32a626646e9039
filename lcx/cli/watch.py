"""``lcx watch PATH --metric loss``: a live table of running experiments, with predictions and verdicts."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lcx.cli import options
from lcx.cli.many_runs import json_line, limit_in, read_runs
from lcx.readers import Kept

if TYPE_CHECKING:
    from lcx.cli.inference import Inferred
    from lcx.report import Standing


def watch(
    path: options.Logs,
    metric: options.Metric = None,
    mode: options.Mode = None,
    horizon: options.Horizon = None,
    upto: options.Upto = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    delta: options.Delta = 0.05,
    false_stops: options.FalseStops = None,
    min_points: options.MinPoints = 2,
    alone: options.Alone = False,
    every: Annotated[float, typer.Option(help="Read the logs again after this many seconds.")] = 10.0,
    refreshes: Annotated[int | None, typer.Option(help="End after reading the logs this many times. Default: Ctrl-C ends it.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Read the logs once, print, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON each time.")] = False,
    format: options.Format = None,
    model: options.Model = "default",
    device: options.Device = None,
) -> None:
    """Watch running experiments, and see which to stop and which to resume.

    Read the logs in PATH every few seconds and print a row per run: verdict, chance to beat the best of the others, last and best value,
    and the predicted final value with a 90 % interval. Runs that the log says ended early (killed, failed, pruned) are to resume if they
    would have a chance to beat the best of all. What the log tells need not be typed, as with lcx predict.

    \b
      lcx watch runs/ --metric val_loss
      lcx watch runs/ --metric loss --mode min --lower 0 --horizon 100
    """
    if not every > 0 or (refreshes is not None and refreshes < 1):
        raise ValueError(f"expected --every > 0 and --refreshes >= 1, got {every:g} and {refreshes}; use --once for one look")
    from lcx.cli.one_curve import Asked
    from lcx.report import standings
    from lcx.stopping.threads import one_thread

    looks = 1 if once else refreshes
    asked = Asked(path, "watch", metric=metric, mode=mode, horizon=horizon, lower=lower, upper=upper)
    rule: Any = {"delta": delta, "min_points": min_points}
    table, seen, notes, runs, question, kept = None, None, [], [], None, Kept()
    with one_thread(), suppress(KeyboardInterrupt), _screen(plain=as_json, once=looks == 1) as (show, width):
        for look in count(1):
            try:
                table, notes = _read_on(path, format, table, notes, kept)
                seen = table if upto is None else table[table["step"] <= upto]
                if seen.empty:
                    raise ValueError(f"expected points up to step {upto:g}, got none before step {table['step'].min():g}; raise --upto")
                question = asked.about(seen, table)
                rule["delta"] = limit_in(seen, question.metric, delta, false_stops)
                about: Any = {"mode": question.mode, "horizon": horizon, "bounds": question.bounds}
                runs = standings(seen, question.metric, **about, **rule, others=not alone, model=model, device=device)
            except (ValueError, OSError) as error:  # a file half written or just replaced: seen again at the next look
                if look == 1 or question is None:
                    raise
                notes = [f"not read this time: {' '.join(str(error).split())}"]
            show(_json(runs, notes, question, rule) if as_json else _text(runs, notes, question, seen, width))
            if look == looks:
                return
            time.sleep(every)


def _read_on(path: str, format: str | None, before: Any, notes: list[str], kept: Kept) -> tuple[Any, list[str]]:
    """The log as it is now. Where a file newly cannot be read, perhaps half written, runs that are missing stay as they were."""
    import pandas as pd

    table, said = read_runs(path, format, kept=kept)
    if before is None or not set(said) - set(notes):
        return table, said
    missing = before[~before["run"].isin(table["run"].unique())]
    whole: Any = pd.concat([table, missing], ignore_index=True)
    whole.attrs = {what: before.attrs.get(what, {}) | table.attrs.get(what, {}) for what in {*before.attrs, *table.attrs}}
    return whole, said


@contextmanager
def _screen(plain: bool, once: bool) -> Iterator[tuple[Callable[[str], None], int | None]]:
    """A function that shows a text, and how wide it may be.

    On a terminal it is shown in colours, and in place of the last one unless there is but one; elsewhere below it, without colours and as
    wide as it is.
    """
    if plain or not sys.stdout.isatty() or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):  # as rich tells them
        yield lambda text: print(text, flush=True), None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()

    def coloured(text: str) -> Text:
        shown = Text(text, no_wrap=True, overflow="ellipsis")
        for verdict, style in (("stop", "red"), ("go on", "green"), ("resume", "yellow"), ("finished", "dim")):
            shown.highlight_regex(rf"(?m)^.*  {verdict}  .*$", style)
        return shown

    if once:
        yield lambda text: console.print(coloured(text)), console.width
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda text: live.update(coloured(f"{time.strftime('%H:%M:%S')}  {text}"), refresh=True), console.width


def _json(runs: "list[Standing]", notes: list[str], asked: "Inferred", rule: dict[str, Any]) -> str:
    about = {"metric": asked.metric, "mode": asked.mode, **rule, **asked.facts()}
    return json_line({**about, "runs": [asdict(run) for run in runs], "warnings": notes})


def _text(runs: "list[Standing]", notes: list[str], asked: "Inferred", table: Any, width: int | None) -> str:
    from lcx.cli.inference import told
    from lcx.cli.watch_table import watch_table
    from lcx.report import counted

    going = [run for run in runs if run.state == "running"]
    counts = f"{len(runs)} run{'s' * (len(runs) > 1)}, {len(going)} running, {counted(runs)}"
    left, kept = (sum(run.horizon - run.step for run in some) for some in (going, [run for run in going if not run.stop]))
    counts += f"; {left:,g} steps left" if going else ""
    counts += f", {kept:,g} of them in runs not to stop" if kept < left else ""
    rows = table[table["metric"] == asked.metric]
    rows.attrs = {}  # which pandas copies for each group
    curves = {str(run): values.to_numpy(float) for run, values in rows.groupby("run", sort=False)["value"]}
    said = [*told([asked]), *(f"warning: {note}" for note in notes)]
    return "\n".join([f"{asked.metric} ({asked.mode}): {counts}", watch_table(runs, curves, width), *said])
