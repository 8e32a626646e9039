"""Pretraining a PFN on a prior: draw curves, encode each once, score many (cut-off, query) pairs, step; resumable bit for bit.

Runs from a source tree with torch, numpy, safetensors, jaxtyping and tqdm alone.
"""

import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lcx.batches import BLOCK, LENGTH, Batch, PretrainConfig, draw_batches, general_batch
from lcx.checkpoint import load, read_tensors, save, write_tensors, write_text
from lcx.general import GeneralPrior
from lcx.model import PFN
from lcx.muon import Muon
from lcx.predictive import Predictive
from lcx.prior import Prior
from lcx.priors import PRIORS
from lcx.scores import log_score, paired_log_score

STATE = "state.safetensors"
CUTOFFS = (10, 20, 40, 80)
_VALIDATION_SEED = 2**62  # training blocks count up from seed * 2**20, so no validation curve is ever trained on


def loss(model: PFN, batch: Batch, power: float = 0.5) -> Tensor:
    """Mean negative log score over pairs and targets, nats; of the general prior weighted, see ``PretrainConfig.relative``."""
    if batch.frame is not None:
        score, unit = general_scores(model, batch)
        weight = relative_weight(unit, power)
        return (surprise(-score) * (weight / weight.mean())[..., None]).mean()
    predictive = model.decode(model.encode(batch.values, batch.steps), batch.tokens, batch.queries)
    logits, loc, scale = (x.unsqueeze(-2) for x in (predictive.logits, predictive.loc, predictive.scale))
    return -Predictive(logits, loc, scale).log_prob(batch.targets).mean()


def relative_weight(unit: Tensor, power: float) -> Tensor:
    """Weight of a pair whose unit of change at the cut-off is ``unit`` in ranges of the whole curve."""
    return unit.clamp(1e-4, 1) ** power


def general_scores(model: PFN, batch: Batch) -> tuple[Tensor, Tensor]:
    """Log score of each target of the general prior under the law inside the told bounds, and the unit of change at each cut-off.

    Returns:
        Score (B, P, M), nats per unit of change; unit (B, P), ranges of the curve.
    """
    assert batch.frame is not None
    context = model.encode(batch.values, batch.steps, frame=batch.frame)
    law = model.decode(context, batch.tokens, batch.queries)
    logits, loc, scale = (x.unsqueeze(-2) for x in (law.logits, law.loc, law.scale))
    score = Predictive(logits, loc, scale).log_prob(batch.targets)
    below, above = (0.5 * (1 + torch.erf((b[:, None, None].clamp(-1e9, 1e9) - law.loc) / law.scale * 0.5**0.5)) for b in batch.frame[:2])
    inside = (torch.softmax(law.logits, -1) * (above - below)).sum(-1).clamp(min=1e-4)
    unit = context.units.gather(1, batch.tokens)
    return score + (torch.log(unit) - torch.log(inside)).unsqueeze(-1), unit


def surprise(loss: Tensor) -> Tensor:
    """A loss whose growth is logarithmic beyond 20 nats: no divergence that nobody could foresee may drown a batch."""
    far = (loss - 20).clamp(min=0)
    return loss.clamp(max=20) + torch.log1p(far)


@torch.no_grad()
def validate(model: PFN, prior: Prior | GeneralPrior, n: int, seed: int = _VALIDATION_SEED) -> dict[int, tuple[float, float]]:
    """Log score of all points after each cut-off on ``n`` fresh curves of 100 steps.

    Returns:
        Cut-off -> (mean, standard error), nats per point, with the truth as control variate: its expected log score is
        -E[log sigma] - log(2 pi e) / 2, since acceptance does not look at sigma.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    if isinstance(prior, GeneralPrior):
        return _validate_general(model, prior, n, generator)
    expected = -prior.noise.mean - 0.5 * math.log(2 * math.pi * math.e)
    scored: dict[int, list[tuple[Tensor, Tensor]]] = {cutoff: [] for cutoff in CUTOFFS}
    chunk = 128 if device.type == "cpu" else 10_000  # small enough for a CPU to reuse its memory instead of mapping it anew
    for start in range(0, n, chunk):
        theta = prior.parameters(prior.draw(min(chunk, n - start), generator))
        steps = torch.arange(1.0, LENGTH + 1, device=device).expand(len(theta), -1)
        noise = torch.randn(steps.shape, generator=generator, device=device)
        sigma = prior.sigma(theta)[:, None]
        values = prior.mean_curve(theta, steps) + sigma * noise
        own = -0.5 * noise**2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
        context = model.encode(values, steps)
        for cutoff in CUTOFFS:
            token = torch.tensor([[cutoff - 1]], device=device)
            score = log_score(model.decode(context, token, steps[:, cutoff:]), values[:, cutoff:])
            scored[cutoff].append((score.mean(1), own[:, cutoff:].mean(1)))
    joined = {cutoff: torch.stack([torch.cat(part) for part in zip(*parts, strict=True)]) for cutoff, parts in scored.items()}
    return {cutoff: paired_log_score(score, own, expected) for cutoff, (score, own) in joined.items()}


def _validate_general(model: PFN, prior: GeneralPrior, n: int, generator: torch.Generator) -> dict[int, tuple[float, float]]:
    """As ``validate``, on curves of 32 to 64 points; nats per unit of change at the cut-off, capped as the loss is."""
    scored: dict[int, list[Tensor]] = {cutoff: [] for cutoff in CUTOFFS}
    for _ in range(0, n, 64):
        batch = general_batch(prior, PretrainConfig(batch=64, pairs=1, targets=1), 64, generator)
        lengths = (~batch.steps.isnan()).sum(1, keepdim=True)
        for cutoff in CUTOFFS:
            tokens = (lengths * cutoff // 100).clamp(min=2) - 1
            later = tokens + 1 + torch.arange(int((lengths - tokens).max()) - 1, device=lengths.device)
            live, later = later < lengths, torch.minimum(later, lengths - 1)
            pairs = batch._replace(tokens=tokens.expand_as(later), queries=batch.steps.gather(1, later))
            score = -surprise(-general_scores(model, pairs._replace(targets=batch.values.gather(1, later)[..., None]))[0])[..., 0]
            scored[cutoff].append(torch.where(live, score, 0.0).sum(1) / live.sum(1))
    joined = {cutoff: torch.cat(parts) for cutoff, parts in scored.items()}
    return {cutoff: (x.mean().item(), x.std().item() / len(x) ** 0.5) for cutoff, x in joined.items()}


class _Run:
    """What changes while training: weights, optimizers, step count, seconds trained; saved and restored as one file."""

    def __init__(self, config: PretrainConfig, device: torch.device) -> None:
        self.step, self.seconds, self.curves = 0, 0.0, 0
        self.model, self.curves_before, self.seconds_before = PFN(config.model), 0, 0.0
        self.model.initialise(torch.Generator().manual_seed(config.seed))
        self.model.to(device)
        inner = [n for n, p in self.model.named_parameters() if p.dim() == 2 and n.startswith(("blocks", "decoder"))]
        parameters = dict(self.model.named_parameters())
        muon = [parameters.pop(n) for n in inner]
        self.optimizers = [
            Muon(muon, lr=config.muon_rate),
            torch.optim.AdamW(parameters.values(), lr=config.adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]

    def start_from(self, folder: Path) -> None:
        """Takes the weights of a model, and counts what it has seen."""
        model, about = load(folder, torch.device("cpu"))
        if model.config != self.model.config:
            raise ValueError(f"expected to start from {self.model.config}, got {model.config} in {folder}; ask for that size")
        self.model.load_state_dict(model.state_dict())
        self.curves_before, self.seconds_before = about["curves_seen"], about["seconds"]

    def set_rates(self, config: PretrainConfig, progress: float) -> None:
        factor = min(1.0, (self.step + 1) / config.warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        for optimizer, rate in zip(self.optimizers, (config.muon_rate, config.adam_rate), strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor

    def take_step(self, value: Tensor, clip: float, curves: int) -> None:
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        for optimizer in self.optimizers:
            if norm.isfinite():  # one curve that overflows must not end a run
                optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        self.curves += curves

    def save(self, folder: Path) -> None:
        tensors = {f"model/{name}": p for name, p in self.model.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, slots in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer/{i}/{j}/{name}": x for name, x in slots.items()}
        tensors["progress"] = torch.tensor([self.step, self.seconds, self.curves_before, self.seconds_before, self.curves]).double()
        write_tensors({name: x.detach().cpu().contiguous() for name, x in tensors.items()}, folder / STATE)

    def restore(self, folder: Path) -> None:
        tensors = read_tensors(folder / STATE)
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


def pretrain(
    config: PretrainConfig,
    folder: Path,
    *,
    device: torch.device | str | None = None,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains a PFN and leaves the model in ``folder``; SIGINT and SIGTERM save the state and return.

    Args:
        config: all hyperparameters.
        folder: receives the model (``model.safetensors``, ``config.json``), ``state.safetensors`` to resume from, ``metrics.jsonl``.
        device: default CUDA if there is one.
        resume: continue from ``folder``; bit for bit as if never interrupted, if on the same device and without ``minutes``.
        minutes: wall-clock budget over all parts; the schedule follows the clock where it is ahead of the curves.
        progress: show a progress bar.

    Returns:
        The facts written to ``config.json``: curves seen and seconds (with those of the model it started from), validation scores.

    Raises:
        ValueError: nothing to resume, the state belongs to another configuration, or a run in ``folder`` would be lost.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"expected minutes > 0, got {minutes}; leave it out for no limit but the curves")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    prior, run = PRIORS[config.prior], _Run(config, device)
    folder.mkdir(parents=True, exist_ok=True)
    _check_configuration(config, folder, resume)
    if resume:
        run.restore(folder)
    elif config.start is not None:
        run.start_from(Path(config.start))
    on_gpu = device.type == "cuda"
    autocast = config.precision == "bf16" if config.precision else on_gpu
    scored = torch.compile(loss) if (on_gpu if config.compile is None else config.compile) else loss
    total, recent, saved = config.steps, [], time.monotonic()
    with _signals() as stopped, _scalars(folder) as write, tqdm(total=total, initial=run.step, disable=not progress, unit="step") as bar:
        while not stopped and (done := max(run.step / total, run.seconds / (60 * minutes) if minutes is not None else 0.0)) < 1:
            tick = time.monotonic()
            if run.step % BLOCK == 0 or not recent:
                batches = draw_batches(prior, config, run.step // BLOCK, device)
            run.set_rates(config, done)
            batch = batches[run.step % BLOCK]
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                value = scored(run.model, batch, config.relative)
            run.take_step(value, config.clip, len(batch.values))
            recent = [*recent[-199:], value.detach()]
            bar.update()
            if run.step % 50 == 0:
                train = -torch.stack(recent).mean().item()
                bar.total = max(run.step, round(run.step / done)) if done else total  # with a clock, the steps it will leave room for
                bar.set_postfix(log_score=f"{train:.3f}", curves_s=f"{run.curves / max(run.seconds, 1e-9):.0f}")
                write({"train/log_score": train}, run.step)
            run.seconds += time.monotonic() - tick
            if run.step % config.validate_every == 0:
                scores = validate(run.model, prior, config.validation_curves)
                write({f"validation/{cutoff}": mean for cutoff, (mean, _) in scores.items()}, run.step)
                line = "  ".join(f"{cutoff} %: {mean:.4f} ({error:.4f})" for cutoff, (mean, error) in scores.items())
                bar.write(f"{run.curves:>10,} curves, {run.seconds / 60:5.1f} min: {line}")
            if time.monotonic() - saved > 120:
                run.save(folder)
                saved = time.monotonic()
        run.save(folder)
    about = _facts(run, config, prior)
    save(run.model, folder, about)
    return about


def _facts(run: _Run, config: PretrainConfig, prior: Prior) -> dict[str, Any]:
    """What goes into ``config.json`` beside the size of the network."""
    scores = validate(run.model, prior, config.validation_curves)
    return {
        "prior": config.prior,
        "pretraining": asdict(config),
        "curves_seen": run.curves_before + run.curves,
        "seconds": round(run.seconds_before + run.seconds, 1),
        "device": str(next(run.model.parameters()).device),
        "validation": {str(cutoff): {"log_score": mean, "standard_error": error} for cutoff, (mean, error) in scores.items()},
    }


def _check_configuration(config: PretrainConfig, folder: Path, resume: bool) -> None:
    path, asked = folder / "pretraining.json", json.loads(json.dumps(asdict(config)))
    if not resume:
        if (folder / STATE).exists():
            raise ValueError(f"expected a folder without a run, got {folder} with {STATE}; resume that run, or name another folder")
        write_text(json.dumps(asked, indent=2) + "\n", path)
        (folder / "metrics.jsonl").unlink(missing_ok=True)
        return
    if not path.exists() or not (folder / STATE).exists():
        raise ValueError(f"expected a saved run in {folder}, found none; start without resume, or name the folder of the run")
    begun = json.loads(path.read_text())
    if begun != asked:
        name = next(n for n in (*begun, *asked) if begun.get(n) != asked.get(n))
        came = f"{name}={asked.get(name)!r} instead of {begun.get(name)!r}"
        raise ValueError(f"expected the configuration this run began with, got {came}; resume with the same options or start anew")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives; the previous handlers come back afterwards."""
    received: list[int] = []
    previous = {s: signal.signal(s, lambda number, _: received.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _scalars(folder: Path) -> Iterator[Any]:
    """A function (scalars, step) that appends to ``metrics.jsonl`` and, where tensorboard is installed, to its event file."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        board = None
    else:
        board = SummaryWriter(str(folder / "tensorboard"))

    def write(scalars: dict[str, float], step: int) -> None:
        with (folder / "metrics.jsonl").open("a") as lines:
            lines.write(json.dumps({"step": step, **scalars}) + "\n")
        if board:
            for name, value in scalars.items():
                board.add_scalar(name, value, step)

    try:
        yield write
    finally:
        if board:
            board.close()
