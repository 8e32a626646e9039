"""``lcx pretrain`` and ``scripts/pretrain.py``: trains a model; every field of the configurations is an option.

Written with argparse, so that the script runs from a bare source tree on a GPU machine without typer. By several processes together:
``torchrun --nproc_per_node=N scripts/pretrain.py ...`` (docs/pretraining-at-scale.md).
"""

import argparse
import os
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, get_args

from lcx.config import PFNConfig, PretrainConfig


def main(arguments: list[str], program: str) -> None:
    """Reads the options, trains, prints the validation scores."""
    parser = argparse.ArgumentParser(prog=program, description="Pretrains a PFN on a prior; interrupt and --resume at any time.")
    parser.add_argument("--folder", type=Path, required=True, help="where model, state and metrics go")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder")
    parser.add_argument("--minutes", type=float, help="wall-clock budget; the schedule follows the clock")
    parser.add_argument("--device", help="cpu, cuda, ...; default CUDA if there is one")
    training, size = _add_options(parser, PretrainConfig), _add_options(parser, PFNConfig)
    given = vars(parser.parse_args(arguments))
    from lcx.pretraining.loop import pretrain
    from lcx.pretraining.processes import launched

    config = replace(PretrainConfig(**{n: given[n] for n in training}), model=PFNConfig(**{n: given[n] for n in size}))
    about = pretrain(config, given["folder"], device=given["device"], resume=given["resume"], minutes=given["minutes"])
    if launched() and os.environ["RANK"] != "0":
        return
    print(f"{about['curves_seen']:,} curves in {about['seconds'] / 60:.1f} min; validation log score, nats per point:")
    for cutoff, score in about["validation"].items():
        print(f"{cutoff:>3} %  {score['log_score']:.4f} ± {score['standard_error']:.4f}")


def _add_options(parser: argparse.ArgumentParser, config: type) -> list[str]:
    plain = [f for f in fields(config) if f.default is not MISSING]
    for f in plain:
        kind: Any = next(t for t in (get_args(f.type) or (f.type,)) if t is not type(None))
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument("--" + f.name.replace("_", "-"), default=f.default, help=f"default {f.default}", **how)
    return [f.name for f in plain]
