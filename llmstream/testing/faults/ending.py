"""Faults of the ending: cuts, silence, and everything that may stand before or after the provider's own end."""

from __future__ import annotations

import asyncio

from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import ANSWER, Reply


async def _begin(reply: Reply, words: int = 3) -> None:
    await reply.head()
    await reply.send(reply.words(0, words))


async def _finish(reply: Reply) -> None:
    """All but the provider's own end; a finish reason has come then."""
    await _begin(reply, 8)
    for frame in reply.reason:
        await reply.send(frame)


async def _ping_for_ever(reply: Reply) -> None:
    while True:
        await reply.send(reply.framing.keep_alive)
        await asyncio.sleep(0.01)


# --- cuts -----------------------------------------------------------------------------------------------------


@fault("truncated")
async def empty_body(reply: Reply) -> None:
    """200 and a body of no bytes."""
    await reply.whole(200, b"", reply.content_type)


@fault("truncated")
async def empty_chunked_body(reply: Reply) -> None:
    """200 and chunks that end before the first."""
    await reply.head()
    await reply.end()


@fault("truncated")
async def only_comments(reply: Reply) -> None:
    """Keep-alives, then a proper end of the body."""
    await reply.stream(reply.framing.keep_alive, reply.framing.keep_alive)


@fault("truncated")
async def opening_only(reply: Reply) -> None:
    """The answer opens, and the body ends properly before the first word."""
    await reply.stream(reply.opening)


@fault("truncated", words=3)
async def clean_end_without_an_end(reply: Reply) -> None:
    """Three words, then a proper end of the body: what a polite proxy does to a cut answer."""
    await reply.stream(reply.words(0, 3))


@fault("truncated", words=8)
async def all_words_without_an_end(reply: Reply) -> None:
    """Every word, but neither finish reason nor end."""
    await reply.stream(reply.words())


@fault("truncated", words=3)
async def closed_body_cut(reply: Reply) -> None:
    """Three words of a body that ends by closing; it is closed."""
    await reply.head(headers={"connection": "close"}, chunked=False)
    await reply.raw(reply.words(0, 3))
    await reply.fin()


@fault("truncated", words=3)
async def http_10_cut(reply: Reply) -> None:
    """Three words of an HTTP/1.0 answer, then it is closed."""
    await reply.head(chunked=False, version="1.0")
    await reply.raw(reply.words(0, 3))
    await reply.fin()


@fault("truncated", words=3)
async def closed_between_chunks(reply: Reply) -> None:
    """Three words, then FIN where a chunk should be."""
    await _begin(reply)
    await reply.fin()


@fault("truncated", words=3)
async def closed_inside_a_chunk(reply: Reply) -> None:
    """Three words, then FIN inside a chunk."""
    await _begin(reply)
    await reply.raw(b"400\r\ndata: {")
    await reply.fin()


@fault("truncated", words=3)
async def reset_mid_answer(reply: Reply) -> None:
    """Three words, then RST."""
    await _begin(reply)
    await reply.reset()


@fault("truncated", words=3)
async def cut_inside_a_frame(reply: Reply) -> None:
    """Three words and half a frame, then a proper end of the body."""
    frame = reply.words(3, 4)
    await reply.stream(reply.words(0, 3), frame[: len(frame) // 2])


@fault("truncated", words=3)
async def cut_inside_a_character(reply: Reply) -> None:
    """Three words and a frame cut between the bytes of one character, then a proper end of the body."""
    frame = reply.words(4, 5)
    await reply.stream(reply.words(0, 3), frame[: frame.index("ü".encode()) + 1])


@fault("truncated", words=3)
async def cut_inside_a_field_name(reply: Reply) -> None:
    """Three words and `da`, then a proper end of the body."""
    await reply.stream(reply.words(0, 3), b"da")


@fault("truncated")
async def json_document_cut(reply: Reply) -> None:
    """A whole JSON document in place of a stream, but half of it is missing."""
    document = repr(reply.document()).replace("'", '"').encode()
    await reply.whole(200, document[: len(document) // 2])


# --- silence --------------------------------------------------------------------------------------------------


@fault("timeout", clock="first_token")
async def head_then_silence(reply: Reply) -> None:
    """200, and never a byte of the body."""
    await reply.head()
    await reply.hang()


@fault("timeout", clock="first_token")
async def opening_then_silence(reply: Reply) -> None:
    """The answer opens, and no word ever comes."""
    await reply.head()
    await reply.send(reply.opening)
    await reply.hang()


@fault("timeout", clock="first_token")
async def pings_only(reply: Reply) -> None:
    """Keep-alives, and never a word."""
    await reply.head()
    await _ping_for_ever(reply)


@fault("timeout", clock="idle", words=3)
async def stall(reply: Reply) -> None:
    """Three words, then silence."""
    await _begin(reply)
    await reply.hang()


@fault("timeout", clock="progress", words=3)
async def pings_after_words(reply: Reply) -> None:
    """Three words, then nothing but keep-alives."""
    await _begin(reply)
    await _ping_for_ever(reply)


@fault("timeout", clock="progress", words=3)
async def slow_loris(reply: Reply) -> None:
    """Three words, then one byte every 10 ms, and never a whole frame."""
    await _begin(reply)
    await reply.send(b"data: ")
    while True:
        await reply.send(b" ")
        await asyncio.sleep(0.01)


@fault("timeout", clock="total", text=None, shown=True)
async def endless_answer(reply: Reply) -> None:
    """Words without end."""
    await reply.head()
    await reply.send(reply.opening)
    word = reply.words(0, 1)
    while True:
        await reply.send(word)
        await asyncio.sleep(0.001)


# --- after the finish reason, before the provider's own end ---------------------------------------------------


@fault("truncated", after_reason="complete", words=8)
async def finish_then_end_of_body(reply: Reply) -> None:
    """All but the provider's own end, then a proper end of the body."""
    await _finish(reply)
    await reply.end()


@fault("truncated", after_reason="complete", words=8)
async def finish_then_fin(reply: Reply) -> None:
    """All but the provider's own end, then FIN where a chunk should be."""
    await _finish(reply)
    await reply.fin()


@fault("truncated", after_reason="complete", words=8)
async def finish_then_reset(reply: Reply) -> None:
    """All but the provider's own end, then RST."""
    await _finish(reply)
    await reply.reset()


@fault("timeout", after_reason="complete", words=8, clock="idle")
async def finish_then_silence(reply: Reply) -> None:
    """All but the provider's own end, then silence."""
    await _finish(reply)
    await reply.hang()


@fault("timeout", after_reason="complete", words=8, clock="progress")
async def finish_then_pings(reply: Reply) -> None:
    """All but the provider's own end, then keep-alives for ever."""
    await _finish(reply)
    await _ping_for_ever(reply)


@fault("overloaded", words=8)
async def finish_then_error(reply: Reply) -> None:
    """All but the provider's own end, then an error: it wins."""
    await _finish(reply)
    await reply.send(reply.error_frame())
    await reply.end()


@fault("complete", group="done")
async def done_without_a_reason(reply: Reply) -> None:
    """Every word and `[DONE]`, but no finish reason."""
    await reply.stream(reply.words(), reply.ending[-1])


@fault("truncated", group="done")
async def done_without_words(reply: Reply) -> None:
    """`[DONE]` and nothing before it."""
    await reply.stream(reply.ending[-1])


@fault("complete", group="done", text=f"{ANSWER} nine")
async def text_after_the_reason(reply: Reply) -> None:
    """A finish reason, then another word, then the end: the word belongs to the answer."""
    more = next(frame for frame in reply.script(" nine") if b"nine" in frame)
    await reply.stream(reply.words(), *reply.ending[:-1], more, reply.ending[-1])


# --- after the provider's own end -----------------------------------------------------------------------------


async def _whole(reply: Reply) -> None:
    await reply.head()
    await reply.send(b"".join(reply.frames))


@fault("complete")
async def end_stays_open(reply: Reply) -> None:
    """A whole answer in a body that never ends."""
    await _whole(reply)
    await reply.hang()


@fault("complete")
async def end_then_fin(reply: Reply) -> None:
    """A whole answer, then FIN where the last chunk should be."""
    await _whole(reply)
    await reply.fin()


@fault("complete")
async def end_then_reset(reply: Reply) -> None:
    """A whole answer, then RST."""
    await _whole(reply)
    await reply.reset()


@fault("complete")
async def end_then_bad_chunk(reply: Reply) -> None:
    """A whole answer, then a chunk that is none."""
    await _whole(reply)
    await reply.pause()
    await reply.raw(b"what is this\r\n")
    await reply.hang()


@fault("complete")
async def end_then_bad_chunk_at_once(reply: Reply) -> None:
    """A whole answer and a chunk that is none, in one packet."""
    data = b"".join(reply.frames)
    label = reply.framing.content_type.encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % label
    await reply.raw(b"%s%x\r\n%s\r\nwhat is this\r\n" % (head, len(data), data))
    await reply.hang()


@fault("complete", group="own_end")
async def end_then_words(reply: Reply) -> None:
    """Words after the provider's own end."""
    await reply.stream(*reply.frames, reply.words(0, 3))


@fault("complete")
async def end_then_usage(reply: Reply) -> None:
    """More usage after the provider's own end."""
    await reply.stream(*reply.frames, *reply.ending[:-1])


@fault("complete")
async def end_twice(reply: Reply) -> None:
    """The provider's own end comes twice."""
    await reply.stream(*reply.frames, reply.ending[-1])


@fault("complete", group="own_end")
async def end_then_error(reply: Reply) -> None:
    """An error after the provider's own end."""
    await reply.stream(*reply.frames, reply.error_frame())


@fault("complete", group="own_end")
async def end_then_another_answer(reply: Reply) -> None:
    """Two answers in one body."""
    await reply.stream(*reply.frames, *reply.frames)


@fault("complete")
async def end_then_floods(reply: Reply) -> None:
    """A whole answer, and then bytes without end."""
    await _whole(reply)
    while True:
        await reply.send(reply.framing.keep_alive * 10_000)


@fault("complete")
async def end_without_a_blank_line(reply: Reply) -> None:
    """The last frame lacks its blank line."""
    await reply.stream(b"".join(reply.frames).rstrip(b"\n"))


@fault("complete")
async def end_without_a_newline_and_open(reply: Reply) -> None:
    """The provider's own end without its blank line, then FIN."""
    await reply.head()
    await reply.send(b"".join(reply.frames).rstrip(b"\n"))
    await reply.fin()
