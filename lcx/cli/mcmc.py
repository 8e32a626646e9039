"""``lcx mcmc PATH``: the reference for ``lcx predict``, by sampling, with diagnostics."""

import math
import sys
import time
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lcx.cli import options

if TYPE_CHECKING:
    from lcx.extrapolation import Extrapolation
    from lcx.reference import MCMCInfo


def mcmc(
    path: options.AnyLog,
    metric: options.OneMetric = None,
    run: options.Run = None,
    horizon: options.Horizon = None,
    mode: options.Mode = None,
    step_column: options.StepColumn = None,
    upto: options.Upto = None,
    at: options.At = None,
    lower: options.Lower = None,
    upper: options.Upper = None,
    best: options.Best = None,
    plot: options.Plot = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    sampler: Annotated[
        str, typer.Option(help="smc, nuts, emcee, or with the settings of the LC-PFN paper emcee-M1, emcee-M2, emcee-M3.")
    ] = "smc",
    draws: Annotated[int, typer.Option(help="Draws per chain. smc has no chains and returns four times as many.")] = 1000,
    warmup: Annotated[int, typer.Option(help="Transitions before the first draw (nuts, emcee).")] = 1000,
    chains: Annotated[int, typer.Option(help="Number of chains (nuts) or of ensembles (emcee).")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    seconds: Annotated[float, typer.Option(help="Wall time after which smc gives up on its gate.")] = 60,
    strict: Annotated[bool, typer.Option(help="Fail if the draws have not converged.")] = True,
    compare: Annotated[bool, typer.Option("--compare", help="Add the answer of the parametric PFN to the table and the picture.")] = False,
    format: options.Format = None,
    device: options.Device = None,
) -> None:
    """Predict one curve by MCMC, the slow reference.

    The answer is the posterior under the prior of the model "parametric". It takes seconds, lcx predict takes milliseconds. What the log
    tells need not be typed, as with lcx predict.

    \b
      lcx mcmc curve.csv --horizon 100 --mode max --lower 0 --upper 1 --compare --plot both.png
    """
    from lcx.cli.answer import form_of, print_answer
    from lcx.cli.inference import told
    from lcx.cli.one_curve import Asked

    form = form_of(as_json, as_csv)
    asked = Asked(path, "mcmc", run, metric, step_column, format, upto, mode, horizon, lower, upper)
    curve = asked.one()
    question = curve.question(at)
    how: dict[str, Any] = {"sampler": sampler, "draws": draws, "warmup": warmup, "chains": chains, "seed": seed}
    how |= {"seconds": seconds, "strict": strict}
    answer, info = _sample(question, how, device)
    found = _diagnostics(info)
    facts, lines, pfn = {"run": curve.run, **curve.asked.facts(), "diagnostics": found}, (_line(found),), None
    if compare:
        pfn, seconds = _pfn(question, device)
        facts, lines = {**facts, "pfn_seconds": seconds}, (*lines, f"PFN: one pass, {1000 * seconds:.0f} ms")
    notes = asked.notes + curve.notes
    said = told([curve.asked])
    print_answer(answer, curve.asked.metric, form, best=best, plot=plot, pfn=pfn, facts=facts, lines=lines, notes=notes, told=said)


def _sample(question: dict[str, Any], how: dict[str, Any], device: str | None) -> "tuple[Extrapolation, MCMCInfo]":
    from lcx.reference import NotConverged, mcmc

    try:
        with warnings.catch_warnings():
            # What has not converged is among the answer's warnings too, which are printed.
            warnings.filterwarnings("ignore", "expected a converged", RuntimeWarning)
            return mcmc(**question, **how, progress=sys.stderr.isatty(), device=device)
    except NotConverged as error:
        raise ValueError(str(error)) from error


def _pfn(question: dict[str, Any], device: str | None) -> "tuple[Extrapolation, float]":
    """The answer of the parametric model, which knows the same prior, and the seconds it took."""
    from lcx.extrapolator import load

    extrapolator, begin = load("parametric", device), time.perf_counter()
    return extrapolator(**question), time.perf_counter() - begin


def _diagnostics(info: "MCMCInfo") -> dict[str, Any]:
    """The worst of each diagnostic; None where the sampler has none, since JSON knows no NaN."""
    worst = {
        "rhat": info.rhat.max(),
        "ess_bulk": info.ess_bulk.min(),
        "ess_tail": info.ess_tail.min(),
        "divergences": info.divergences,
    }
    numbers = {name: float(x) if math.isfinite(x) else None for name, x in worst.items()}
    return {"sampler": info.sampler, "draws": info.draws.shape[0] * info.draws.shape[1], **numbers, "seconds": info.seconds}


def _line(found: dict[str, Any]) -> str:
    shown = {
        "R-hat at most {:.3f}": found["rhat"],
        "bulk ESS at least {:,.0f}": found["ess_bulk"],
        "tail ESS at least {:,.0f}": found["ess_tail"],
        "{:.1%} divergent": found["divergences"],
        "{:.1f} s": found["seconds"],
    }
    parts = [f"{found['draws']:,} draws", *(text.format(x) for text, x in shown.items() if x is not None)]
    return f"{found['sampler']}: {', '.join(parts)}"
