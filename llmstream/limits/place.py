"""The base of the places in all queues of this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from llmstream.limits.protocols import Wait

EARLY: Final = 1e-6
"""Seconds by which a timer may fire too soon."""
_LOOKS: Final = 200
"""How often in a second all who wait together look whether they may go; each once in a second at most."""


def next_look(now: float, waiting: int) -> float:
    """When one of so many who wait looks again whether it may go sooner."""
    return now + max(1.0, waiting / _LOOKS)


class LocalPlace:
    """A place in a queue, whose wait is announced once."""

    __slots__ = ("__weakref__", "_told", "look", "on_change", "wait")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.look = math.inf
        self.on_change: Callable[[], None] | None = None
        self._told = False

    @property
    def renewed(self) -> bool:
        """Whether the caller must still be told."""
        return not self._told

    def announced(self) -> None:
        """The caller knows the seconds."""
        self._told = True

    def wake(self) -> None:
        """Let it look now."""
        if self.on_change is not None:
            self.on_change()
