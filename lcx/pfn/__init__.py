"""The prior-data fitted network: observed points in, predictive of any later step out; and its files."""

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
