"""Trains a PFN on a prior. Needs only torch, numpy, safetensors, jaxtyping and tqdm, so it runs from a bare source tree."""

from lcx.config import PretrainConfig
from lcx.pretraining.loop import pretrain
from lcx.pretraining.objective import validate

__all__ = [
    "PretrainConfig",
    "pretrain",
    "validate",
]
