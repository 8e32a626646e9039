"""Reads logs of training runs, whatever tool wrote them, as one long table."""

from lcx.readers.formats import FORMATS, read, recognise

__all__ = [
    "FORMATS",
    "read",
    "recognise",
]
