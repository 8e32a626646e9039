"""Reads logs of training runs, whatever tool wrote them, as one long table."""

from lcx.readers.again import Kept
from lcx.readers.formats import FORMATS, recognise, register
from lcx.readers.logs import read

__all__ = [
    "FORMATS",
    "Kept",
    "read",
    "recognise",
    "register",
]
