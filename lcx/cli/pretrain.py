"""``lcx pretrain`` and ``scripts/pretrain.py``: trains a model; every field of the configurations is an option.

Written with argparse, so that the script runs from a bare source tree on a GPU machine without typer. By several processes together:
``torchrun --nproc_per_node=N scripts/pretrain.py ...`` (docs/pretraining-at-scale.md).
"""

import argparse
import inspect
import os
import re
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lcx.config import PFNConfig, PretrainConfig
from lcx.readers import FORMATS

if TYPE_CHECKING:
    from lcx.cli.own_runs import OwnRuns
    from lcx.extrapolator import Extrapolator

AS_BEFORE = ("prior", "studies", "muon_rate", "adam_rate", "warmup")  # taken from the training of the model that --start names


def main(arguments: list[str], program: str) -> None:
    """Reads the options, trains, prints the validation scores."""
    training, size = ([f.name for f in fields(config) if f.default is not MISSING] for config in (PretrainConfig, PFNConfig))
    given = vars(_parser(program).parse_args(arguments))
    from lcx.extrapolator import load
    from lcx.pretraining.loop import pretrain
    from lcx.pretraining.processes import launched

    start = load(given["start"], given["device"]) if given.get("start") else None
    sizes, asked = ({n: given[n] for n in names if n in given} for names in (size, training))
    model = PFNConfig(**sizes) if start is None else replace(start.model.config, **_no_copies_without_reader(sizes))
    config = PretrainConfig(**_as_before(start) | asked, model=model)
    first = not launched() or os.environ["RANK"] == "0"
    config, own = _own_runs(config, given, start, first)
    how = {"device": given["device"], "resume": given["resume"], "minutes": given["minutes"]}
    about = pretrain(config, given["folder"], **how, judge=own.judge if own and first else None)
    if not first:
        return
    print(f"{about['curves_seen']:,} curves in {about['seconds'] / 60:.1f} min; validation log score, nats per point:")
    for cutoff, score in about["validation"].items():
        print(f"{cutoff:>3} %  {score['log_score']:.4f} ± {score['standard_error']:.4f}")
    if own:
        print("\n".join(["", *own.outcome(given["start"], given["folder"])]))


def _own_runs(
    config: PretrainConfig, given: dict[str, Any], start: "Extrapolator | None", first: bool
) -> tuple[PretrainConfig, "OwnRuns | None"]:
    """What to do with ``--real``, if it is logs: they are converted once, by the first process, and the files are trained on."""
    told = [f"--{name}" for name in ("metric", "mode", "lower", "upper", "format") if given[name] is not None]
    if not config.real or any(Path(config.real).glob("*.npz")):
        if told:
            came = f"{told[0]} with {config.real}, which holds .npz files" if config.real else f"{told[0]} without --real"
            raise ValueError(f"expected {told[0]} beside --real and logs of runs, got {came}; leave it out, or name the folder of the logs")
        return config, None
    from lcx.cli.own_runs import OwnRuns
    from lcx.pretraining.logs import TRAINED

    bounds = given["lower"], given["upper"]
    question = {"metric": given["metric"], "mode": given["mode"], "bounds": bounds, "format": given["format"]}
    own = OwnRuns(Path(config.real), given["folder"], question, start, given["resume"]) if first else None
    return replace(config, real=str(given["folder"] / TRAINED)), own


def _no_copies_without_reader(sizes: dict[str, Any]) -> dict[str, Any]:
    """With ``--reader 0`` go the copies, which are the reader's."""
    return {"copies": False} | sizes if sizes.get("reader") == 0 else sizes


def _as_before(start: "Extrapolator | None") -> dict[str, Any]:
    """Defaults for going on from a model: how all of its weights were trained last, on curves with another seed."""
    if start is None:
        return {}
    last = before = _trained(start.about)
    stage: Any = start.about
    while before.get("trained") == "reader" and isinstance(stage := stage.get("started_from"), dict):
        before = _trained(stage)
    seed = last.get("seed", PretrainConfig.seed)
    studies = {} if start.model.reader is not None else {"studies": PretrainConfig.studies}
    told = {"prior": start.about["prior"]} if "prior" in start.about else {}
    told |= {n: before[n] for n in AS_BEFORE if n in before}
    return told | studies | {"seed": seed + 1 if isinstance(seed, int) else PretrainConfig.seed}


def _trained(about: Any) -> dict[str, Any]:
    """What a config says of the options of its training; nothing if it says something else."""
    options = about.get("pretraining", {})
    return options if isinstance(options, dict) else {}


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Train a PFN on a prior. You may interrupt it at any time and continue with --resume.",
        epilog=f"With --start, these options default to those of that model: its size, {', '.join(AS_BEFORE)}; and the seed is another. "
        f"Example: {program} --folder mine --start general --real runs/ --metric val_loss --mode min --minutes 10",
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for the model, the state to resume from, and the metrics")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument("--minutes", type=float, help="end after this time, with the learning rate decayed by then")
    parser.add_argument("--device", help="cpu, cuda, ...; default: cuda if there is one")
    for config in (PretrainConfig, PFNConfig):
        _add_options(parser, config)
    logs = parser.add_argument_group(
        "logs of your own runs",
        "--real takes a log or a folder of logs too. A fifth of the studies, or of the runs if there is one study, is held out, and the "
        "model is kept only if it forecasts these better than the model it started from. A study is the runs whose logs lie in one folder, "
        "or in one file with several runs; where no two runs lie together, all runs are one study.",
    )
    logs.add_argument("--metric", help="metric to learn; lcx runs PATH lists the metrics (default: the only one)")
    logs.add_argument("--mode", choices=("max", "min"), help="max if larger is better, min if smaller is better")
    logs.add_argument("--lower", type=float, help="value below which the metric cannot fall")
    logs.add_argument("--upper", type=float, help="value above which the metric cannot rise")
    logs.add_argument("--format", choices=FORMATS, help="format of the logs (default: recognised from the files)")
    return parser


def _add_options(parser: argparse.ArgumentParser, config: type) -> None:
    """An option for each plain field; one that is not given is left out of what the parser returns."""
    meaning = _meanings(config)
    for f in (f for f in fields(config) if f.default is not MISSING):
        kind: Any = next(t for t in (get_args(f.type) or (f.type,)) if t is not type(None))
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        told = f"{meaning.get(f.name, '')} (default {f.default})"
        parser.add_argument("--" + f.name.replace("_", "-"), default=argparse.SUPPRESS, help=told, **how)


def _meanings(config: type) -> dict[str, str]:
    """The Attributes of a docstring, as argparse takes help texts: its percent signs doubled."""
    section = (inspect.getdoc(config) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", section, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".").replace("%", "%%") for name, text in found}
