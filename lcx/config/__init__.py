"""Settings and their defaults: the size of a network, a pretraining run, the levels of an exported graph. Loads no torch."""

from lcx.config.levels import LEVELS
from lcx.config.network import PFNConfig
from lcx.config.pretraining import PretrainConfig

__all__ = [
    "LEVELS",
    "PFNConfig",
    "PretrainConfig",
]
