"""``lcx pretrain`` and ``scripts/pretrain.py``: trains a model; every field of the configurations is an option.

Written with argparse, so that the script runs from a bare source tree on a GPU machine without typer. By several processes together:
``torchrun --nproc_per_node=N scripts/pretrain.py ...`` (docs/pretraining-at-scale.md).
"""

import argparse
import inspect
import os
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

from lcx.config import PFNConfig, PretrainConfig


def main(arguments: list[str], program: str) -> None:
    """Reads the options, trains, prints the validation scores."""
    parser = argparse.ArgumentParser(
        prog=program, description="Train a PFN on a prior. You may interrupt it at any time and continue with --resume."
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder for the model, the state to resume from, and the metrics")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument("--minutes", type=float, help="end after this time, with the learning rate decayed by then")
    parser.add_argument("--device", help="cpu, cuda, ...; default: cuda if there is one")
    training, size = _add_options(parser, PretrainConfig), _add_options(parser, PFNConfig)
    given = vars(parser.parse_args(arguments))
    from lcx.pretraining.loop import pretrain
    from lcx.pretraining.processes import launched

    config = PretrainConfig(**{n: given[n] for n in training}, model=PFNConfig(**{n: given[n] for n in size}))
    about = pretrain(config, given["folder"], device=given["device"], resume=given["resume"], minutes=given["minutes"])
    if launched() and os.environ["RANK"] != "0":
        return
    print(f"{about['curves_seen']:,} curves in {about['seconds'] / 60:.1f} min; validation log score, nats per point:")
    for cutoff, score in about["validation"].items():
        print(f"{cutoff:>3} %  {score['log_score']:.4f} ± {score['standard_error']:.4f}")


def _add_options(parser: argparse.ArgumentParser, config: type) -> list[str]:
    plain, meaning = [f for f in fields(config) if f.default is not MISSING], _meanings(config)
    for f in plain:
        kind: Any = next(t for t in (get_args(f.type) or (f.type,)) if t is not type(None))
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument(
            "--" + f.name.replace("_", "-"), default=f.default, help=f"{meaning.get(f.name, '')} (default {f.default})", **how
        )
    return [f.name for f in plain]


def _meanings(config: type) -> dict[str, str]:
    """The Attributes of a docstring, as argparse takes help texts: its percent signs doubled."""
    section = (inspect.getdoc(config) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", section, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".").replace("%", "%%") for name, text in found}
