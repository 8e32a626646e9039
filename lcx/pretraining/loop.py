"""Pretraining a PFN on a prior: draw curves, encode each once, score many (cut-off, query) pairs, step; resumable bit for bit.

Runs from a source tree with torch, numpy, safetensors, jaxtyping and tqdm alone.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from lcx.config import PretrainConfig
from lcx.extrapolator import model_folder
from lcx.pfn.checkpoint import METRICS, STATE, begin_run, forget_after, read_tensors, save
from lcx.pfn.model import PFN
from lcx.pretraining.batches import BLOCK
from lcx.pretraining.mixture import draw_mixture
from lcx.pretraining.objective import loss, validate
from lcx.pretraining.processes import Ranks, ranks
from lcx.pretraining.sources import Source, load_sources
from lcx.pretraining.state import Run
from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS
from lcx.priors.parametric import Prior

Judge = Callable[[PFN], dict[str, Any] | None]
_FIRST_SAVE, _SAVE_EVERY = 8, 30  # seconds


def pretrain(
    config: PretrainConfig,
    folder: Path,
    *,
    device: torch.device | str | None = None,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool = True,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """Trains a PFN and leaves the model in ``folder``; SIGINT and SIGTERM, in the main thread, save the state and return.

    Args:
        config: all hyperparameters.
        folder: receives the model (``model.safetensors``, ``config.json``), ``state.safetensors`` to resume from, ``metrics.jsonl``.
        device: default CUDA if there is one. The processes of ``torchrun``, which train one model together, take a GPU each.
        resume: continue from ``folder``; bit for bit as if never interrupted, if by as many processes and without ``minutes``.
        minutes: wall-clock budget over all parts; the schedule follows the clock where it is ahead of the curves.
        progress: show a progress bar.
        judge: is called with the trained network, by one process; gives facts to add to ``config.json``, or None for a network that is not
            to be saved as a model. The state to resume from is saved in either case.

    Returns:
        The facts written to ``config.json``: curves seen and seconds (with those of the model it started from), validation scores.

    Raises:
        ValueError: nothing to resume, the state belongs to another configuration, a run or model in ``folder`` would be lost, or there is
            no such prior.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"expected minutes > 0, got {minutes}; leave it out for no limit but the curves")
    return _train(config, folder, ranks(device), resume, minutes, progress, judge)


def _begin(config: PretrainConfig, folder: Path, together: Ranks, resume: bool) -> Run:
    """The run as rank 0 makes or finds it, on every rank."""
    if config.batch % together.size:
        raise ValueError(f"expected a batch that {together.size} ranks can share alike, got {config.batch}; give a multiple of the ranks")
    if config.prior not in PRIORS:
        raise ValueError(f"expected a prior out of {sorted(PRIORS)}, got {config.prior!r}; check the spelling, or add it to PRIORS")
    run = Run(config, together.device)
    if together.first:
        folder.mkdir(parents=True, exist_ok=True)
        begin_run(folder, asdict(config), resume)
        if resume:
            run.restore(read_tensors(folder / STATE))
            forget_after(folder, run.step)
        elif config.start is not None:
            run.start_from(model_folder(config.start))
    if together.size > 1:
        run.restore(together.from_first(run.tensors()))
    return run


def _train(
    config: PretrainConfig, folder: Path, together: Ranks, resume: bool, minutes: float | None, progress: bool, judge: Judge | None
) -> dict[str, Any]:
    """See :func:`pretrain`. All ranks take the same turns: what they decide upon, they agreed upon."""
    run, device = _begin(config, folder, together, resume), together.device
    prior = PRIORS[config.prior]
    sources = load_sources(Path(config.real)) if config.real else []
    on_gpu = device.type == "cuda"
    autocast = config.precision == "bf16" if config.precision else on_gpu
    compiled = on_gpu and not isinstance(prior, GeneralPrior) if config.compile is None else config.compile
    scored = torch.compile(loss) if compiled else loss
    total, recent, due = config.steps, [], time.monotonic() + min(_FIRST_SAVE, _SAVE_EVERY)
    bar = tqdm(total=total, initial=run.step, disable=not (progress and together.first), unit="step")
    with _signals() as stopped, _scalars(folder, together.first) as write, bar:
        while True:
            ended, run.seconds = together.largest(len(stopped), run.seconds)
            done = max(run.step / total, run.seconds / (60 * minutes) if minutes is not None else 0.0)
            if ended or done >= 1:
                break
            tick = time.monotonic()
            if run.step % BLOCK == 0 or not recent:
                batches = draw_mixture(prior, config, sources, run.step // BLOCK, device, together.rank, together.size)
            run.set_rates(config, done)
            batch = batches[run.step % BLOCK]
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                value = scored(run.model, batch, config.relative)
            run.take_step(value, config.clip, len(batch.values), together)
            recent = [*recent[-199:], value.detach()]
            bar.update()
            if run.step % 50 == 0:
                train = -together.mean(torch.stack(recent).mean()).item()
                bar.total = max(run.step, round(run.step / done)) if done else total  # with a clock, the steps it will leave room for
                bar.set_postfix(log_score=f"{train:.3f}", curves_s=f"{run.curves / max(run.seconds, 1e-9):.0f}")
                write({"train/log_score": train}, run.step)
            run.seconds += time.monotonic() - tick
            if run.step % config.validate_every == 0:
                together.check_equal(run.model)
                if together.first:
                    scores = validate(run.model, prior, config.validation_curves)
                    write({f"validation/{cutoff}": mean for cutoff, (mean, _) in scores.items()}, run.step)
                    line = "  ".join(f"{cutoff} %: {mean:.4f} ({error:.4f})" for cutoff, (mean, error) in scores.items())
                    bar.write(f"{run.curves:>10,} curves, {run.seconds / 60:5.1f} min: {line}")
            if together.first and time.monotonic() > due:
                run.save(folder)
                due = time.monotonic() + _SAVE_EVERY
        if together.first:
            run.save(folder)
    return together.from_first(_finish(run, config, prior, sources, folder, judge) if together.first else None)


def _finish(
    run: Run, config: PretrainConfig, prior: Prior | GeneralPrior, sources: list[Source], folder: Path, judge: Judge | None
) -> dict[str, Any]:
    """Leaves the model, if it is to be kept; what goes into ``config.json`` beside the size of the network."""
    scores = validate(run.model, prior, config.validation_curves)
    about = {
        "prior": config.prior,
        "pretraining": asdict(config),
        "curves_seen": run.curves_before + run.curves,
        "seconds": round(run.seconds_before + run.seconds, 1),
        "device": str(next(run.model.parameters()).device),
        "validation": {str(cutoff): {"log_score": mean, "standard_error": error} for cutoff, (mean, error) in scores.items()},
    }
    if sources:
        about["real"] = [source.facts() for source in sources]
    verdict = {} if judge is None else judge(run.model)
    if verdict is not None:
        about |= verdict
        save(run.model, folder, about)
    return about


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives, in threads for ever; the previous handlers come back afterwards."""
    received: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    previous = {s: signal.signal(s, lambda number, _: received.append(number)) for s in signals}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _scalars(folder: Path, first: bool) -> Iterator[Any]:
    """A function (scalars, step) that appends to ``metrics.jsonl`` and, where tensorboard is installed, to its event file; on rank 0."""
    if not first:
        yield lambda scalars, step: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        board = None
    else:
        board = SummaryWriter(str(folder / "tensorboard"))

    def write(scalars: dict[str, float], step: int) -> None:
        with (folder / METRICS).open("a") as lines:
            lines.write(json.dumps({"step": step, **scalars}) + "\n")
        if board:
            for name, value in scalars.items():
                board.add_scalar(name, value, step)

    try:
        yield write
    finally:
        if board:
            board.close()
