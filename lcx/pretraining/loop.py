"""Pretraining a PFN on a prior: draw curves, encode each once, score many (cut-off, query) pairs, step; resumable bit for bit.

Runs from a source tree with torch, numpy, safetensors, jaxtyping and tqdm alone.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lcx.config import PretrainConfig
from lcx.pfn.checkpoint import METRICS, STATE, begin_run, forget_after, load, read_tensors, save, write_tensors
from lcx.pfn.model import PFN
from lcx.pretraining.batches import BLOCK
from lcx.pretraining.mixture import draw_mixture
from lcx.pretraining.muon import Muon
from lcx.pretraining.objective import loss, validate
from lcx.pretraining.processes import Ranks, ranks
from lcx.pretraining.real import load_sources
from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS
from lcx.priors.parametric import Prior

_SAVE_EVERY = 120  # seconds
_READER = 2.0  # times the rates of the rest: it starts at random beside trained weights
_INNER = ("blocks", "decoder", *(f"reader.{name}" for name in ("looks", "run_up", "run_down", "again_up", "again_down", "pair")))


class _Run:
    """What changes while training: weights, optimizers, step count, seconds trained; saved and restored as one file."""

    def __init__(self, config: PretrainConfig, device: torch.device) -> None:
        self.step, self.seconds, self.curves = 0, 0.0, 0
        self.model, self.curves_before, self.seconds_before = PFN(config.model), 0, 0.0
        self.model.initialise(torch.Generator().manual_seed(config.seed))
        self.model.to(device)
        named = dict(self.model.named_parameters())
        inner = [n for n, p in named.items() if p.dim() == 2 and n.startswith(_INNER)]
        muon, adam = (_groups({n: named[n] for n in names}) for names in (inner, [n for n in named if n not in inner]))
        self.optimizers = [
            Muon(muon, lr=config.muon_rate),
            torch.optim.AdamW(adam, lr=config.adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]

    def start_from(self, folder: Path) -> None:
        """Takes the weights of a model, which may lack the reader, and counts what it says it has seen."""
        model, about = load(folder, torch.device("cpu"))
        if self.model.config not in (model.config, replace(model.config, reader=self.model.config.reader)):
            raise ValueError(f"expected to start from {self.model.config}, got {model.config} in {folder}; ask for that size")
        self.model.load_state_dict(self.model.state_dict() | model.state_dict())
        self.curves_before, self.seconds_before = about.get("curves_seen", 0), about.get("seconds", 0.0)

    def set_rates(self, config: PretrainConfig, progress: float) -> None:
        factor = min(1.0, (self.step + 1) / config.warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        for optimizer, rate in zip(self.optimizers, (config.muon_rate, config.adam_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor * group["times"]

    def take_step(self, value: Tensor, clip: float, curves: int, together: Ranks) -> None:
        value.backward()
        together.average_gradients(self.model)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        for optimizer in self.optimizers:
            if norm.isfinite():  # one curve that overflows must not end a run
                optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.curves += curves * together.size

    def save(self, folder: Path) -> None:
        write_tensors(self.tensors(), folder / STATE)

    def tensors(self) -> dict[str, Tensor]:
        """Everything to go on from."""
        tensors = {f"model/{name}": p for name, p in self.model.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer/{i}/{j}/{name}": x for name, x in slots.items()}
        tensors["progress"] = torch.tensor([self.step, self.seconds, self.curves_before, self.seconds_before, self.curves]).double()
        return {name: x.detach().cpu().contiguous() for name, x in tensors.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        step, self.seconds, before, self.seconds_before, seen = tensors["progress"].tolist()
        self.step, self.curves_before, self.curves = int(step), int(before), int(seen)
        self.model.load_state_dict({n.removeprefix("model/"): x for n, x in tensors.items() if n.startswith("model/")})
        for i, optimizer in enumerate(self.optimizers):
            slots: dict[int, dict[str, Tensor]] = {}
            for name, x in tensors.items():
                if name.startswith(f"optimizer/{i}/"):
                    _, _, j, slot = name.split("/")
                    slots.setdefault(int(j), {})[slot] = x
            optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def _groups(named: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Parameters for an optimizer, the reader's apart."""
    parts = {
        1.0: [p for n, p in named.items() if not n.startswith("reader")],
        _READER: [p for n, p in named.items() if n.startswith("reader")],
    }
    return [{"params": part, "times": times} for times, part in parts.items() if part]


def pretrain(
    config: PretrainConfig,
    folder: Path,
    *,
    device: torch.device | str | None = None,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains a PFN and leaves the model in ``folder``; SIGINT and SIGTERM, in the main thread, save the state and return.

    Args:
        config: all hyperparameters.
        folder: receives the model (``model.safetensors``, ``config.json``), ``state.safetensors`` to resume from, ``metrics.jsonl``.
        device: default CUDA if there is one. The processes of ``torchrun``, which train one model together, take a GPU each.
        resume: continue from ``folder``; bit for bit as if never interrupted, if by as many processes and without ``minutes``.
        minutes: wall-clock budget over all parts; the schedule follows the clock where it is ahead of the curves.
        progress: show a progress bar.

    Returns:
        The facts written to ``config.json``: curves seen and seconds (with those of the model it started from), validation scores.

    Raises:
        ValueError: nothing to resume, the state belongs to another configuration, a run or model in ``folder`` would be lost, or there is
            no such prior.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"expected minutes > 0, got {minutes}; leave it out for no limit but the curves")
    return _train(config, folder, ranks(device), resume, minutes, progress)


def _begin(config: PretrainConfig, folder: Path, together: Ranks, resume: bool) -> _Run:
    """The run as rank 0 makes or finds it, on every rank."""
    if config.batch % together.size:
        raise ValueError(f"expected a batch that {together.size} ranks can share alike, got {config.batch}; give a multiple of the ranks")
    if config.prior not in PRIORS:
        raise ValueError(f"expected a prior out of {sorted(PRIORS)}, got {config.prior!r}; check the spelling, or add it to PRIORS")
    run = _Run(config, together.device)
    if together.first:
        folder.mkdir(parents=True, exist_ok=True)
        begin_run(folder, asdict(config), resume)
        if resume:
            run.restore(read_tensors(folder / STATE))
            forget_after(folder, run.step)
        elif config.start is not None:
            run.start_from(Path(config.start))
    if together.size > 1:
        run.restore(together.from_first(run.tensors()))
    return run


def _train(config: PretrainConfig, folder: Path, together: Ranks, resume: bool, minutes: float | None, progress: bool) -> dict[str, Any]:
    """See :func:`pretrain`. All ranks take the same turns: what they decide upon, they agreed upon."""
    run, device = _begin(config, folder, together, resume), together.device
    prior = PRIORS[config.prior]
    sources = load_sources(Path(config.real)) if config.real else []
    on_gpu = device.type == "cuda"
    autocast = config.precision == "bf16" if config.precision else on_gpu
    compiled = on_gpu and not isinstance(prior, GeneralPrior) if config.compile is None else config.compile
    scored = torch.compile(loss) if compiled else loss
    total, recent, saved = config.steps, [], time.monotonic()
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
            if together.first and time.monotonic() - saved > _SAVE_EVERY:
                run.save(folder)
                saved = time.monotonic()
        if together.first:
            run.save(folder)
    return together.from_first(_finish(run, config, prior, folder) if together.first else None)


def _finish(run: _Run, config: PretrainConfig, prior: Prior | GeneralPrior, folder: Path) -> dict[str, Any]:
    """Leaves the model; what goes into ``config.json`` beside the size of the network."""
    scores = validate(run.model, prior, config.validation_curves)
    about = {
        "prior": config.prior,
        "pretraining": asdict(config),
        "curves_seen": run.curves_before + run.curves,
        "seconds": round(run.seconds_before + run.seconds, 1),
        "device": str(next(run.model.parameters()).device),
        "validation": {str(cutoff): {"log_score": mean, "standard_error": error} for cutoff, (mean, error) in scores.items()},
    }
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
