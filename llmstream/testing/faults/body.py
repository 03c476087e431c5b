"""Faults of the transfer: the body's length, its chunks, its coding, its size."""

from __future__ import annotations

import asyncio
import gzip
import zlib

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.faults.head import GARBLED
from llmstream.testing.reply import Reply
from llmstream.wire.framing.event_stream import EventStream

BROKEN = ("truncated", "protocol")
"""Two true names for a body whose transfer breaks: cut there, or not readable."""
_JUNK = bytes(range(128, 256))


def _all(reply: Reply) -> bytes:
    return b"".join(reply.frames)


def _begun(reply: Reply) -> bytes:
    """How a frame begins; a message says its size, which is 30 MB here."""
    if isinstance(reply.framing, EventStream):
        return reply.framing.begin(30_000_000)
    return reply.data_frame("x").partition(b"x")[0]


# --- length ---------------------------------------------------------------------------------------------------


@fault("complete")
async def content_length(reply: Reply) -> None:
    """A whole answer of announced length."""
    await reply.whole(200, _all(reply), reply.content_type)


@fault("truncated", words=3)
async def content_length_too_short(reply: Reply) -> None:
    """A length that ends after three words; the rest follows as junk on the connection."""
    shown = reply.words(0, 3)
    await reply.whole(200, shown, {**reply.content_type, "connection": "close"})
    await reply.pause()
    await reply.raw(_all(reply)[len(shown) :])
    await reply.fin()


@fault("truncated", words=3)
async def content_length_too_short_at_once(reply: Reply) -> None:
    """A length that ends after three words; the rest comes in the same packet."""
    shown = len(reply.words(0, 3))
    await reply.whole(200, _all(reply), {**reply.content_type, "content-length": str(shown)})


@fault("complete")
async def content_length_too_long(reply: Reply) -> None:
    """A whole answer, but more bytes were announced; they never come."""
    await reply.whole(200, _all(reply), {**reply.content_type, "content-length": "99999"})
    await reply.hang()


@fault("truncated", words=3)
async def content_length_cut(reply: Reply) -> None:
    """Three words of an announced length, then FIN."""
    await reply.whole(200, reply.words(0, 3), {**reply.content_type, "content-length": "99999"})
    await reply.fin()


@fault(GARBLED)
async def content_lengths_that_differ(reply: Reply) -> None:
    """Two `Content-Length` headers that contradict each other."""
    await reply.raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 5000\r\n\r\n" + _all(reply)
    )
    await reply.fin()


@fault(GARBLED)
async def content_length_negative(reply: Reply) -> None:
    """`Content-Length: -1`."""
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n" + _all(reply))
    await reply.fin()


@fault(("complete", *GARBLED))
async def content_length_beside_chunks(reply: Reply) -> None:
    """A length and chunks: the chunks count."""
    await reply.stream(headers={"content-length": "10"})


@fault((*GARBLED, "wrong_body", "truncated"))
async def transfer_encoding_unknown(reply: Reply) -> None:
    """`Transfer-Encoding: rot13`."""
    await reply.head(headers={"transfer-encoding": "rot13"}, chunked=False)
    await reply.raw(_JUNK)
    await reply.fin()


# --- chunks ---------------------------------------------------------------------------------------------------


@fault("complete")
async def one_byte_at_a_time(reply: Reply) -> None:
    """Every byte in a chunk of its own."""
    await reply.head()
    for byte in _all(reply):
        await reply.send(bytes([byte]))
    await reply.end()


@fault("complete")
async def one_byte_per_packet(reply: Reply) -> None:
    """A chunked body whose bytes, framing included, leave one by one."""
    await reply.head()
    for byte in b"%x\r\n%s\r\n0\r\n\r\n" % (len(_all(reply)), _all(reply)):
        await reply.raw(bytes([byte]))
        await asyncio.sleep(0)


@fault("complete")
async def all_at_once(reply: Reply) -> None:
    """The whole answer in one chunk."""
    await reply.stream(_all(reply))


@fault("complete")
async def chunk_extensions(reply: Reply) -> None:
    """Chunks with extensions and capital digits."""
    await reply.head()
    for frame in reply.frames:
        await reply.raw(b"%X;name=value;flag\r\n%s\r\n" % (len(frame), frame))
    await reply.end()


@fault("complete")
async def trailers(reply: Reply) -> None:
    """Header fields after the last chunk."""
    await reply.head(headers={"trailer": "x-checksum"})
    await reply.send(_all(reply))
    await reply.raw(b"0\r\nx-checksum: 1\r\nx-more: 2\r\n\r\n")


@fault("complete")
async def trailers_endless(reply: Reply) -> None:
    """A whole answer, and trailers without end."""
    await reply.head()
    await reply.send(_all(reply))
    await reply.raw(b"0\r\n")
    while True:
        await reply.raw(b"x-more: 1\r\n")
        await asyncio.sleep(0.001)


@fault(BROKEN, words=3)
async def chunk_size_bad(reply: Reply) -> None:
    """Three words, then a chunk size that is no number."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.pause()
    await reply.raw(b"zz\r\n" + reply.words(3, 4))
    await reply.hang()


@fault(BROKEN, words=3)
async def chunk_size_bad_at_once(reply: Reply) -> None:
    """Three words and a chunk size that is no number, in one packet."""
    await reply.head()
    words = reply.words(0, 3)
    await reply.raw(b"%x\r\n%s\r\nzz\r\n" % (len(words), words))
    await reply.hang()


@fault(BROKEN, words=3)
async def chunk_size_huge(reply: Reply) -> None:
    """Three words, then a chunk of 2**80 bytes."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.pause()
    await reply.raw(b"100000000000000000000\r\n")
    await reply.fin()


@fault(BROKEN, words=3)
async def chunk_size_negative(reply: Reply) -> None:
    """Three words, then a chunk of -5 bytes."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.pause()
    await reply.raw(b"-5\r\nabcde\r\n")
    await reply.fin()


@fault(BROKEN, words=3)
async def chunk_longer_than_it_says(reply: Reply) -> None:
    """Three words, then a chunk with more bytes than announced."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.pause()
    await reply.raw(b"2\r\n: ping, and more\r\n")
    await reply.fin()


@fault("complete")
async def two_answers_glued(reply: Reply) -> None:
    """A second HTTP answer behind the first, which the next call must not take for its own."""
    other = b"".join(reply.script("not what you asked"))
    glued = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(other), other)
    await reply.whole(200, _all(reply), reply.content_type)
    await reply.pause()
    await reply.raw(glued)


@fault("complete")
async def two_answers_glued_at_once(reply: Reply) -> None:
    """Two HTTP answers to one request, in one packet."""
    other = b"".join(reply.script("not what you asked"))
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s"
    await reply.raw(whole % (len(_all(reply)), _all(reply)) + whole % (len(other), other))


# --- codings --------------------------------------------------------------------------------------------------


async def _gzip(reply: Reply, *pieces: bytes) -> None:
    """Compressed pieces, each flushed so that it can be read at once, without gzip's end."""
    await reply.head(headers={"content-encoding": "gzip"})
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        await reply.send(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH))


@fault("complete")
async def gzip_coded(reply: Reply) -> None:
    """A compressed answer."""
    await reply.stream(gzip.compress(_all(reply)), headers={"content-encoding": "gzip"})


@fault("complete")
async def gzip_without_its_end(reply: Reply) -> None:
    """A whole answer; only gzip's own end is missing."""
    await _gzip(reply, *reply.frames)
    await reply.end()


@fault("truncated", words=3)
async def gzip_cut(reply: Reply) -> None:
    """Three compressed words, then a proper end of the body."""
    await _gzip(reply, reply.words(0, 3))
    await reply.end()


@fault(BROKEN, words=3)
async def gzip_broken(reply: Reply) -> None:
    """Three compressed words, then bytes that are no gzip."""
    await _gzip(reply, reply.words(0, 3))
    await reply.pause()
    await reply.send(_JUNK)
    await reply.end()


@fault((*BROKEN, "wrong_body"))
async def gzip_in_name_only(reply: Reply) -> None:
    """`Content-Encoding: gzip` over plain text."""
    await reply.stream(_all(reply), headers={"content-encoding": "gzip"})


@fault("frame_too_large", alone=True)
async def gzip_bomb(reply: Reply) -> None:
    """64 MB of one frame in 64 kB of gzip."""
    packer = zlib.compressobj(wbits=31)
    await reply.head(headers={"content-encoding": "gzip"})
    await reply.send(packer.compress(_begun(reply)) + packer.flush(zlib.Z_SYNC_FLUSH))
    for _ in range(64):
        await reply.send(packer.compress(b"x" * 1_000_000) + packer.flush(zlib.Z_SYNC_FLUSH))
    await reply.end()


@fault("complete")
async def deflate_coded(reply: Reply) -> None:
    """An answer in `deflate`."""
    await reply.stream(zlib.compress(_all(reply)), headers={"content-encoding": "deflate"})


@fault((*BROKEN, "wrong_body"))
async def brotli_that_is_none(reply: Reply) -> None:
    """`Content-Encoding: br` over junk."""
    await reply.stream(_JUNK, headers={"content-encoding": "br"})


@fault("complete")
async def identity_coded(reply: Reply) -> None:
    """`Content-Encoding: identity`."""
    await reply.stream(headers={"content-encoding": "identity"})


@fault(("complete", "wrong_body", *BROKEN))
async def coding_unknown(reply: Reply) -> None:
    """`Content-Encoding: x-none` over plain text."""
    await reply.stream(headers={"content-encoding": "x-none"})


# --- size -----------------------------------------------------------------------------------------------------


@fault("complete", alone=True)
async def frames_by_the_thousand(reply: Reply) -> None:
    """A proper answer among 5,000 events that mean nothing."""
    events = reply.framing.frame(b'{"type": "ping"}', "ping") * 5000
    await reply.stream(reply.words(0, 3), events, reply.words(3), *reply.ending)


@fault("complete", alone=True)
async def large_frame(reply: Reply) -> None:
    """An event of 4 MB that means nothing, in a proper answer."""
    frame = reply.data_frame(
        b'{"type": "x.y", "choices": [], "filler": "' + b"x" * 4_000_000 + b'"}'
    )
    await reply.stream(reply.words(0, 3), frame, reply.words(3), *reply.ending)


@fault("frame_too_large", words=3, alone=True)
async def line_without_end(reply: Reply) -> None:
    """Three words, then one line that never ends."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    await reply.send(_begun(reply))
    while True:
        await reply.send(b"x" * 65536)


@fault("frame_too_large", words=3, alone=True, group="sse")
async def frame_without_end(reply: Reply) -> None:
    """Three words, then one frame of ever more `data:` lines."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    while True:
        await reply.send((b"data: " + b"x" * 1000 + b"\n") * 64)


@fault("frame_too_large", words=3, alone=True, group="sse")
async def page_without_end(reply: Reply) -> None:
    """Three words, then lines without end that belong to no event."""
    await reply.head()
    await reply.send(reply.words(0, 3))
    while True:
        await reply.send((b"x" * 1000 + b"\n") * 64)
