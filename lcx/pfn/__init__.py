"""The prior-data fitted network: observed points in, predictive of any later step out; and its files."""

from lcx.pfn.checkpoint import load, read_config, save
from lcx.pfn.model import PFN, PFNConfig

__all__ = [
    "PFN",
    "PFNConfig",
    "load",
    "read_config",
    "save",
]
