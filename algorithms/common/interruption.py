"""SIGTERM: stop at the next safe point instead of at once."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupted(Exception):
    """The process was asked to stop, and has left a checkpoint."""


class StopRequest:
    """
    Remembers that SIGTERM arrived.

    A second SIGTERM ends the process at once: the last whole checkpoint is on disk anyway.
    """

    def __init__(self) -> None:
        self._arrived = False

    def watch(self) -> None:
        """Take over SIGTERM from here on."""
        signal.signal(signal.SIGTERM, self._remember)

    def arrived(self) -> bool:
        """Whether to stop at the next safe point."""
        return self._arrived

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a signal handler's)
        self._arrived = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
