"""Bodies that were compressed on the way, decoded as they arrive (RFC 9110, section 8.4.1)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

MOST = 1024 * 1024
"""Bytes that a decoder hands out at a time, so that a small input can't fill the memory."""


class Decode(Protocol):
    """Decodes one body, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode these bytes. Raises ValueError for bytes that aren't of this encoding."""
        ...

    def finish(self) -> None:
        """Check that the body is complete. Raises ValueError if something is missing."""
        ...


class _Zlib:
    """gzip, and deflate with or without its header."""

    def __init__(self, wbits: int, otherwise: int | None = None) -> None:
        self._decoder = zlib.decompressobj(wbits)
        self._otherwise = otherwise

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self._decoder.decompress(data, MOST)
        except zlib.error as problem:
            if self._otherwise is None:
                raise ValueError(str(problem)) from problem
            self._decoder, self._otherwise = zlib.decompressobj(self._otherwise), None
            yield from self.feed(data)
            return
        self._otherwise = None
        while piece:
            yield piece
            piece = self._decoder.decompress(self._decoder.unconsumed_tail, MOST)

    def finish(self) -> None:
        self._decoder.flush()


class _Brotli:
    def __init__(self) -> None:
        module: Any = importlib.import_module(str(_installed("brotli", "brotlicffi")))
        self._decoder = module.Decompressor()
        self._errors: tuple[type[Exception], ...] = (module.error,)
        self._decompress = getattr(self._decoder, "decompress", None) or self._decoder.process

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while piece := self._decompress(data, output_buffer_limit=MOST // 2):
                yield piece
                data = b""
        except self._errors as problem:
            raise ValueError(str(problem)) from problem

    def finish(self) -> None:
        """A body that was cut lacks the provider's own end, too."""


class _Zstandard:
    def __init__(self) -> None:
        self._module: Any = importlib.import_module(str(_installed(*_ZSTD)))
        self._decoder = self._module.ZstdDecompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data or not self._decoder.needs_input:
                if self._decoder.eof:
                    data = self._decoder.unused_data + data
                    if not data:
                        return
                    self._decoder = self._module.ZstdDecompressor()
                if piece := self._decoder.decompress(data, MOST):
                    yield piece
                data = b""
        except self._module.ZstdError as problem:
            raise ValueError(str(problem)) from problem

    def finish(self) -> None:
        """A body that was cut lacks the provider's own end, too."""


_ZSTD = ("compression.zstd",) if sys.version_info >= (3, 14) else ("backports.zstd",)


def _installed(*names: str) -> str | None:
    for name in names:
        try:
            if importlib.util.find_spec(name) is not None:
                return name
        except ModuleNotFoundError:  # its package isn't there either
            continue
    return None


def _decoders() -> dict[str, Callable[[], Decode]]:
    found: dict[str, Callable[[], Decode]] = {
        "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
        "deflate": lambda: _Zlib(zlib.MAX_WBITS, -zlib.MAX_WBITS),
    }
    if _installed("brotli", "brotlicffi"):
        found["br"] = _Brotli
    if _installed(*_ZSTD):
        found["zstd"] = _Zstandard
    return found


DECODERS = _decoders()
ACCEPTED = ", ".join(DECODERS)
"""For the header Accept-Encoding."""


def decoded(body: AsyncIterator[bytes], encoding: str | None) -> AsyncIterator[bytes]:
    """The content of a body, by its Content-Encoding. As it is where it has none, or one that isn't known."""
    if not encoding:
        return body
    names = [name.strip().lower() for name in encoding.split(",")]
    for name in reversed([name for name in names if name in DECODERS]):
        body = _Decoded(body, DECODERS[name]())
    return body


class _Decoded:
    def __init__(self, body: AsyncIterator[bytes], decoder: Decode) -> None:
        self._body = body
        self._decoder = decoder
        self._pieces: Iterator[bytes] = iter(())

    def __aiter__(self) -> _Decoded:
        return self

    async def __anext__(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            try:
                data = await self._body.__anext__()
            except StopAsyncIteration:
                self._decoder.finish()
                raise
            self._pieces = self._decoder.feed(data)

    async def aclose(self) -> None:
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
