"""The prior-data fitted network (PFN): from observed points to the predictive of any later step; and its files on disk."""

from lcx.config import PFNConfig
from lcx.pfn.checkpoint import load, read_config, save
from lcx.pfn.model import PFN

__all__ = [
    "PFN",
    "PFNConfig",
    "load",
    "read_config",
    "save",
]
