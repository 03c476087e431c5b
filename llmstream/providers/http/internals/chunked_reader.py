"""Chunked bodies over httpx2, a read at a time.

Servers send each event as an HTTP chunk of its own. h11 hands out the chunks one by one, through
six generators, which is most of what a chunk costs over httpx2. This reader replaces h11's and
returns what a read brought in one piece. It leaves the last chunk, and whatever isn't a plain one,
to h11's own reader (RFC 9112, section 7.1).
"""

from __future__ import annotations

import re
from typing import Any

import h11

_HEADER = re.compile(rb"0*([1-9A-Fa-f][0-9A-Fa-f]{0,14})\r\n")
_END = b"\r\n"


class ChunkedReader:
    """In place of h11's reader `inner`; up to about `most` bytes at a time."""

    def __init__(self, inner: Any, most: int) -> None:
        self._inner = inner
        self._most = most
        self._left = 0  # bytes of a chunk that have not come, with the CR LF that ends it
        self._handed_over = False
        self.read_eof = inner.read_eof

    def __call__(self, buffer: Any) -> h11.Event | None:
        """The part of the body that h11's buffer holds; None: nothing yet."""
        if not self._handed_over:
            pieces, used = self._split(bytes(buffer))
            if used:
                buffer.maybe_extract_at_most(used)
            if pieces:
                return h11.Data(data=b"".join(pieces))
        if not self._handed_over:  # still: more bytes are needed
            return None
        event: h11.Event | None = self._inner(buffer)
        return event

    def _split(self, data: bytes) -> tuple[list[bytes], int]:
        """The chunks' contents, and how many bytes that took."""
        pieces: list[bytes] = []
        at, left = 0, self._left
        stop = min(self._most, len(data))
        while at < stop:
            if not left:
                header = _HEADER.match(data, at)
                if header is None:
                    self._handed_over = _END in data[at:]
                    break
                at = header.end()
                left = int(header[1], 16) + 2
            end = at + left
            if data[end - 2 : end] != _END:
                at, left = _take_part(data, at, left, pieces)
                break
            if left > 2:
                pieces.append(data[at : end - 2])
            at, left = end, 0
        self._left = left
        return pieces, at


def _take_part(data: bytes, at: int, left: int, pieces: list[bytes]) -> tuple[int, int]:
    """Take what has come of a chunk that isn't whole. Where to go on, and what is left of it.

    Raises RemoteProtocolError for a chunk that is longer than its size, once all before it is out.
    """
    piece = data[at : at + left - 2]
    if piece:
        pieces.append(piece)
        at += len(piece)
        left -= len(piece)
    is_content_whole = left == 2
    if is_content_whole and data[at : at + 2] not in (b"", b"\r") and not pieces:
        raise h11.RemoteProtocolError("a chunk is longer than its size")
    return at, left
