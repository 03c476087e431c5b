"""Heads that are slow, odd or no HTTP."""

from __future__ import annotations

import asyncio

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import Reply

GARBLED = ("protocol", "connection")
"""Two true names for what is not HTTP: the answer can't be read, so there was none."""


@fault((*GARBLED, "wrong_body"))
async def status_101(reply: Reply) -> None:
    """101: another protocol, which nobody asked for."""
    await reply.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    await reply.fin()


@fault("timeout", clock="first_token")
async def no_head(reply: Reply) -> None:
    """The request is taken, and nothing ever comes."""
    await reply.hang()


@fault("timeout", clock="first_token")
async def slow_head(reply: Reply) -> None:
    """Headers, one byte every 10 ms."""
    await reply.raw(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while True:
        await reply.raw(b"x")
        await asyncio.sleep(0.01)


@fault("connection")
async def head_cut(reply: Reply) -> None:
    """The connection is closed inside the headers."""
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev")
    await reply.fin()


@fault("complete")
async def interim_answers(reply: Reply) -> None:
    """100 and 103 before the 200."""
    await reply.raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await reply.stream()


@fault("timeout", clock="first_token")
async def interim_answers_endless(reply: Reply) -> None:
    """102 again and again, and never an answer."""
    while True:
        await reply.raw(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0.01)


@fault("complete")
async def no_reason_phrase(reply: Reply) -> None:
    """A status line that ends after the number."""
    label = reply.framing.content_type.encode()
    await reply.raw(b"HTTP/1.1 200 \r\ncontent-type: %s\r\nconnection: close\r\n\r\n" % label)
    await reply.raw(b"".join(reply.frames))
    await reply.fin()


@fault(GARBLED)
async def status_line_garbage(reply: Reply) -> None:
    """Another protocol's greeting in place of a status line."""
    await reply.raw(b"SSH-2.0-OpenSSH_9.2\r\n")
    await reply.fin()


@fault(GARBLED)
async def http_09(reply: Reply) -> None:
    """A body without any head."""
    await reply.raw(b"".join(reply.frames))
    await reply.fin()


@fault(GARBLED)
async def http_2(reply: Reply) -> None:
    """HTTP/2 frames, though nobody agreed on that."""
    await reply.raw(
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00"
    )
    await reply.fin()


@fault(GARBLED)
async def header_without_colon(reply: Reply) -> None:
    """A header line that is none."""
    await reply.raw(b"HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n")
    await reply.fin()


@fault((*GARBLED, "complete"))
async def header_with_nul(reply: Reply) -> None:
    """A NUL byte in a header's value."""
    await reply.raw(
        b"HTTP/1.1 200 OK\r\nx-odd: a\0b\r\nconnection: close\r\n\r\n" + b"".join(reply.frames)
    )
    await reply.fin()


@fault((*GARBLED, "complete"))
async def header_of_a_megabyte(reply: Reply) -> None:
    """One header of 1 MB."""
    await reply.head(headers={"x-long": "x" * 1_000_000, "connection": "close"}, chunked=False)
    await reply.raw(b"".join(reply.frames))
    await reply.fin()


@fault((*GARBLED, "complete"))
async def headers_by_the_thousand(reply: Reply) -> None:
    """10,000 headers."""
    await reply.head(
        headers={f"x-{n}": "x" for n in range(10_000)} | {"connection": "close"}, chunked=False
    )
    await reply.raw(b"".join(reply.frames))
    await reply.fin()
