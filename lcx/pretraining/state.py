"""What changes while a model is trained, saved and restored as one file."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lcx.config import PFNConfig, PretrainConfig
from lcx.pfn.checkpoint import STATE, load, write_tensors
from lcx.pfn.model import PFN
from lcx.pretraining.muon import Muon
from lcx.pretraining.processes import Ranks

_READER = 2.0  # times the rates of the rest: it starts at random beside trained weights
_INNER = ("blocks", "decoder", *(f"reader.{name}" for name in ("looks", "run_up", "run_down", "again_up", "again_down", "pair")))


class Run:
    """Weights, optimizers, step count and seconds trained."""

    def __init__(self, config: PretrainConfig, device: torch.device) -> None:
        self.step, self.seconds, self.curves = 0, 0.0, 0
        self.model, self.curves_before, self.seconds_before = PFN(config.model), 0, 0.0
        self.model.initialise(torch.Generator().manual_seed(config.seed))
        self.model.to(device)
        if config.trained == "reader":
            for name, p in self.model.named_parameters():
                p.requires_grad_(name.startswith("reader"))
        named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        inner = [n for n, p in named.items() if p.dim() == 2 and n.startswith(_INNER)]
        muon, adam = (_groups({n: named[n] for n in names}) for names in (inner, [n for n in named if n not in inner]))
        self.optimizers = [
            Muon(muon, lr=config.muon_rate),
            torch.optim.AdamW(adam, lr=config.adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]

    def start_from(self, folder: Path) -> None:
        """Takes the weights of a model and counts what it says it has seen. One of the two may lack the reader, or its copies."""
        model, about = load(folder, torch.device("cpu"))
        mine, its = self.model.config, model.config
        if len({mine.reader, its.reader} - {0}) > 1 or _without_reader(mine) != _without_reader(its):
            raise ValueError(f"expected to start from {mine}, got {its} in {folder}; ask for that size")
        own = self.model.state_dict()
        self.model.load_state_dict(own | {name: x for name, x in model.state_dict().items() if name in own})
        self.curves_before, self.seconds_before = about.get("curves_seen", 0), about.get("seconds", 0.0)

    def set_rates(self, config: PretrainConfig, progress: float) -> None:
        """Warm-up, then a cosine to zero at ``progress`` 1."""
        factor = min(1.0, (self.step + 1) / config.warmup) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        for optimizer, rate in zip(self.optimizers, (config.muon_rate, config.adam_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor * group["times"]

    def take_step(self, value: Tensor, clip: float, curves: int, together: Ranks) -> None:
        """One step of every optimizer on the gradient of ``value``, averaged over processes."""
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
        """Writes the state, atomically."""
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
        """Takes what :meth:`tensors` gave."""
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


def _without_reader(config: PFNConfig) -> PFNConfig:
    return replace(config, reader=0, copies=False)


def _groups(named: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Parameters for an optimizer, the reader's apart."""
    parts = {
        1.0: [p for n, p in named.items() if not n.startswith("reader")],
        _READER: [p for n, p in named.items() if n.startswith("reader")],
    }
    return [{"params": part, "times": times} for times, part in parts.items() if part]
