"""Writers of pieces: how a piece of a body leaves without a coroutine, where the server can do that.

A `send` offers it by a method `write_piece` of the object that it belongs to. Whoever comes between an app and its
server with a `send` of his own sees all messages, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from starlette.types import Send

WritePiece: TypeAlias = Callable[[bytes], bool]
"""Writes a piece at once; False: it has to be sent."""


def piece_writer(send: Send) -> WritePiece | None:
    """What the owner of `send` offers; None: nothing."""
    owner = getattr(send, "__self__", send)
    found: WritePiece | None = getattr(owner, "write_piece", None)
    return found
