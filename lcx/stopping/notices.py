"""Warnings that the user must not miss, each given once. Logging, because a warning must never end a training."""

import logging
from collections.abc import Hashable

log = logging.getLogger("lcx")


class Notices:
    """Gives each warning once, at the first time that it is due."""

    def __init__(self) -> None:
        self._given: set[Hashable] = set()

    def warn(self, about: Hashable, text: str, *details: object) -> None:
        """Logs a warning unless there was one about the same matter.

        Args:
            about: the matter.
            text: with a % for each of ``details``.
            details: what to fill in.
        """
        if about not in self._given:
            self._given.add(about)
            log.warning(text, *details)
