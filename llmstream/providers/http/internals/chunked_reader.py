"""Chunked bodies over httpx2, a read at a time.

Servers send each event as an HTTP chunk of its own, and h11 hands them out one by one, through six generators: most of
what a chunk costs over httpx2. This reader stands in h11's place and gives what a read brought in one piece. The last
chunk, and whatever is no plain one, is left to h11's own (RFC 9112, section 7.1).
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
        """What h11's buffer holds of the body; None: nothing yet."""
        if not self._handed_over:
            pieces, used = self._split(bytes(buffer))
            if used:
                buffer.maybe_extract_at_most(used)
            if pieces:
                return h11.Data(data=b"".join(pieces))
        event: h11.Event | None = self._inner(buffer) if self._handed_over else None
        return event

    def _split(self, data: bytes) -> tuple[list[bytes], int]:
        """The chunks' contents, and how many bytes that took."""
        pieces: list[bytes] = []
        at, left, stop = 0, self._left, min(self._most, len(data))
        while at < stop:
            if not left:
                header = _HEADER.match(data, at)
                if header is None:
                    self._handed_over = _END in data[at:]
                    break
                at = header.end()
                left = int(header[1], 16) + 2
            end = at + left
            if data[end - 2 : end] == _END:  # the usual case: all of it is here
                if left > 2:
                    pieces.append(data[at : end - 2])
                at, left = end, 0
                continue
            if left > 2 and (piece := data[at : end - 2]):
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
            if data[at : at + 2] not in (b"", b"\r") and left <= 2:
                if pieces:
                    break  # they came before it
                raise h11.RemoteProtocolError("a chunk is longer than its size")
            break
        self._left = left
        return pieces, at
