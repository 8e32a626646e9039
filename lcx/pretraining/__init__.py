"""Training a PFN on a prior, from a source tree with torch, numpy, safetensors, jaxtyping and tqdm alone."""

from lcx.config import PretrainConfig
from lcx.pretraining.loop import pretrain
from lcx.pretraining.objective import validate

__all__ = [
    "PretrainConfig",
    "pretrain",
    "validate",
]
