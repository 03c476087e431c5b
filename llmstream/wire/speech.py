"""Speech in an answer: base64 in pieces, each of which is whole."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from llmstream.messages import File

STREAMED = "audio/pcm"
"""What OpenAI streams; a whole answer has the type that was asked for, which its bytes tell."""


class Speech:
    """The speech of one answer."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._pieces: list[bytes] = []

    def add(self, data: Any, id: Any = None) -> None:
        """The next piece. Raises ValueError for what isn't base64."""
        if isinstance(id, str):
            self._id = id
        if not data:
            return
        try:
            self._pieces.append(b64decode(data))
        except binascii.Error:
            raise ValueError("audio that isn't base64") from None

    @property
    def is_empty(self) -> bool:
        """Whether none has come."""
        return not self._pieces

    def take(self) -> File | None:
        """All of it as one file; None if there was none."""
        if not self._pieces:
            return None
        file = File(self._id, data=b"".join(self._pieces))
        file.media_type = file.media_type or STREAMED
        self._pieces = []
        return file
