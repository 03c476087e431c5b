"""Readiness of several workers, in memory that they share."""

from __future__ import annotations

import mmap
import struct
import time
from typing import Final

BEAT: Final = 1.0
"""Seconds between two signs of life."""
SILENCE: Final = 5.0
"""Seconds without one after which a worker doesn't count as one that answers."""
_TIME = struct.Struct("d")


class Readiness:
    """Make it before the workers are forked: each writes when it was last alive, and any reads what all wrote.

    `time.monotonic` is one clock for all processes of a machine.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._memory = mmap.mmap(-1, count * _TIME.size)

    def beat(self, index: int) -> None:
        """Note that a worker answers."""
        self._write(index, time.monotonic())

    def clear(self, index: int) -> None:
        """Note that it doesn't: it begins, ends, or is dead."""
        self._write(index, 0.0)

    def missing(self) -> str | None:
        """How many workers don't answer, None where all do."""
        now = time.monotonic()
        times = _TIME.iter_unpack(self._memory[: self._count * _TIME.size])
        alive = sum(beat > 0 and now - beat < SILENCE for (beat,) in times)
        return None if alive == self._count else f"{alive} of {self._count} workers answer"

    def _write(self, index: int, value: float) -> None:
        _TIME.pack_into(self._memory, index * _TIME.size, value)
