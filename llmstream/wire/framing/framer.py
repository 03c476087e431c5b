"""The protocols of framing: a Framer cuts the bytes of a body into frames, a Framing knows both directions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

MAX_FRAME = 8 * 1024 * 1024
"""Bytes. Large enough for an image in base64, small enough for 500 streams in one process."""


@dataclass(slots=True)
class Frame:
    """One frame: its name (empty: none given), its data, and the last event id at that time."""

    event: str
    data: bytes
    id: str = ""
    terminated: bool = True
    """False for the last frame of a body, if its end is missing."""
    stray: bool = False
    """Not a frame: `data` is a line that the framing doesn't know. Gateways put their errors there."""


@dataclass(slots=True)
class BrokenFrame(Frame):
    """A stray frame that can't be read, nor what follows it: `flaw` says why."""

    flaw: str = ""


class Framer(Protocol):
    """Cuts one body into frames. Linear in the input, and bounded."""

    @property
    def oversized(self) -> bool:
        """A frame exceeded the limit: the framer ignores whatever follows."""
        ...

    def feed(self, data: bytes) -> Iterable[Frame | str]:
        """The frames that `data` completes, to be taken before the next call.

        A str is a frame that the framer knew to mean this text and nothing else, from what `learn` told it.
        """
        ...

    def finish(self) -> list[Frame]:
        """The body is over: the frame whose end is missing, if there is one."""
        ...

    def learn(self, frame: Frame, text: str) -> None:
        """Tell the framer that `frame`, the last one taken, meant `text` and nothing else."""
        ...


class Framing(Protocol):
    """How the answers of a format are framed. It has no state: one object serves all streams."""

    @property
    def content_type(self) -> str:
        """The media type of such a body."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """Bytes that mean nothing between two frames."""
        ...

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> Framer:
        """A framer for one body. Without `shortcuts` it returns every frame as a Frame, never as its text."""
        ...

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one frame. `data` is one line; framings without names ignore `event`."""
        ...

    def unframe(self, frame: bytes) -> bytes:
        """The data of one frame as `split` returns it; empty if it has none."""
        ...

    def split(self, body: bytes) -> list[bytes]:
        """The frames of a body, each with its end."""
        ...
