"""Faults of the frames: server-sent events as odd as the standard allows, and JSON that no provider should send.

It is a long file because it is one catalogue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise

from llmstream.messages import ToolCall
from llmstream.testing.faults.catalogue import fault
from llmstream.testing.reply import Reply

_CALL = ToolCall("call-1", "weather", '{"city": "Paris", "unit": "celsius"}')


async def _between(reply: Reply, *frames: bytes) -> None:
    """A proper answer with `frames` after its third word."""
    await reply.stream(reply.words(0, 3), *frames, reply.words(3), *reply.ending)


def _text_member(reply: Reply) -> str:
    return reply.format.samples.text_member


def _edited(reply: Reply, change: Callable[[bytes], bytes]) -> list[bytes]:
    """The frames of a proper answer, with their data changed."""
    return [reply.edited(frame, change) for frame in reply.frames]


# --- server-sent events, as the standard has them --------------------------------------------------------------


@fault("complete")
async def ok(reply: Reply) -> None:
    """No fault at all: a proper answer."""
    await reply.stream()


@fault("complete", group="lines")
async def crlf(reply: Reply) -> None:
    """Lines end in CR LF."""
    await reply.stream(*(frame.replace(b"\n", b"\r\n") for frame in reply.frames))


@fault("complete", group="lines")
async def crlf_split(reply: Reply) -> None:
    """Lines end in CR LF, and chunks between the two."""
    await reply.stream(
        *re.findall(rb".*?\r|.+", b"".join(reply.frames).replace(b"\n", b"\r\n"), re.S)
    )


@fault("complete", group="sse")
async def cr(reply: Reply) -> None:
    """Lines end in CR."""
    await reply.stream(*(frame.replace(b"\n", b"\r") for frame in reply.frames))


@fault("complete", group="lines")
async def byte_order_mark(reply: Reply) -> None:
    """A byte order mark at the start."""
    await reply.stream(b"\xef\xbb\xbf", *reply.frames)


@fault("complete", group="lines")
async def byte_order_mark_split(reply: Reply) -> None:
    """A byte order mark in two chunks."""
    await reply.stream(b"\xef", b"\xbb\xbf" + reply.frames[0], *reply.frames[1:])


@fault("complete")
async def characters_split(reply: Reply) -> None:
    """Chunks end inside characters."""
    data = b"".join(reply.frames)
    cuts = [0, *(at + 1 for at, byte in enumerate(data) if byte >= 0xC0), len(data)]
    await reply.stream(*(data[start:end] for start, end in pairwise(cuts)))


@fault("complete", text="a\u2028b\u0085c\x0bd")
async def odd_line_separators(reply: Reply) -> None:
    """Unicode's line separators inside the text, which end no line here."""
    await reply.stream(*reply.script("a\u2028b\u0085c\x0bd"))


@fault("complete", group="sse")
async def id_and_retry_only(reply: Reply) -> None:
    """Frames that have only an id, or only a retry time."""
    await reply.stream(
        b"id: 1\n\n", b"retry: 3000\n\n", *(b"id: 2\n\n" + frame for frame in reply.frames)
    )


@fault("complete", group="sse")
async def empty_frames(reply: Reply) -> None:
    """Blank lines, and an event name without data."""
    await _between(reply, b"\n\n\n", b"event: nothing\n\n")


@fault("complete", group="sse")
async def comments(reply: Reply) -> None:
    """Comments between frames and inside them."""
    await reply.stream(
        *(b": hello\n\n:\n" + frame[:-1] + b": inside\n\n" for frame in reply.frames)
    )


@fault("complete", group="sse")
async def data_over_several_lines(reply: Reply) -> None:
    """JSON over several `data:` lines."""
    await reply.stream(
        *(
            re.sub(rb"(?m)^data: \{(.*)\}$", rb"data: {\ndata:  \1\ndata: }", frame)
            for frame in reply.frames
        )
    )


@fault("complete", group="sse")
async def no_space_after_the_colon(reply: Reply) -> None:
    """`data:{…}`."""
    await reply.stream(*(frame.replace(b": ", b":", 1) for frame in reply.frames))


@fault("complete", group="sse")
async def fields_unknown(reply: Reply) -> None:
    """Fields that the standard does not know."""
    await reply.stream(*(b"time: 12\nfoo\n" + frame for frame in reply.frames))


@fault("complete", group="sse")
async def event_names_missing(reply: Reply) -> None:
    """No `event:` lines: the JSON says what it is."""
    await reply.stream(*(re.sub(rb"(?m)^event: .*\n", b"", frame) for frame in reply.frames))


@fault("complete", group="sse")
async def event_names_wrong(reply: Reply) -> None:
    """Every event is called `message`: the JSON says what it is."""
    await reply.stream(
        *(b"event: message\n" + re.sub(rb"(?m)^event: .*\n", b"", frame) for frame in reply.frames)
    )


# --- what APIs do, or may do tomorrow -------------------------------------------------------------------------


@fault("complete")
async def pings(reply: Reply) -> None:
    """Keep-alive events among the words."""
    ping = reply.framing.frame(b'{"type": "ping"}', "ping")
    await _between(reply, ping, reply.framing.keep_alive)


@fault("complete")
async def unknown_events(reply: Reply) -> None:
    """Events of tomorrow."""
    await _between(
        reply,
        reply.framing.frame(b'{"type": "novelty", "value": [1, 2]}', "novelty"),
        reply.data_frame('{"type": "response.novelty.delta", "delta": "x"}'),
        reply.data_frame('{"object": "novelty"}'),
    )


@fault("complete")
async def unknown_fields(reply: Reply) -> None:
    """Fields of tomorrow in every event."""
    await reply.stream(*(_with_more(reply, frame) for frame in reply.frames))


def _with_more(reply: Reply, frame: bytes) -> bytes:
    data = reply.framing.unframe(frame)
    if not data.startswith(b"{"):
        return frame
    more = {"novelty": {"deep": [None]}, "obfuscation": "xY"}
    return reply.data_frame(json.dumps(json.loads(data) | more))


@fault("complete")
async def unknown_parts(reply: Reply) -> None:
    """A content part of tomorrow inside a proper answer."""
    payloads = reply.format.samples.unknown
    added = b"".join(reply.data_frame(json.dumps(payload)) for payload in payloads)
    await reply.stream(reply.opening, added, reply.words()[len(reply.opening) :], *reply.ending)


@fault("complete")
async def opening_missing(reply: Reply) -> None:
    """The answer begins with its first word."""
    opening = reply.format.samples.opening
    frames = [frame for frame in reply.frames if opening not in frame]
    await reply.stream(*frames)


@fault("complete")
async def opening_twice(reply: Reply) -> None:
    """The answer opens twice."""
    await reply.stream(reply.opening, *reply.frames)


@fault("complete")
async def usage_absurd(reply: Reply) -> None:
    """Token counts that are negative, text, fractions, lists or far too large."""
    counts = iter(
        [
            b"-5",
            b'"many"',
            b"1.5",
            b"[]",
            b"1e300",
            b"99999999999999999999999",
            b"true",
            b"{}",
            b"null",
        ]
        * 9
    )
    absurd = re.compile(rb'(?<=okens":)\d+')
    frames = _edited(reply, lambda data: absurd.sub(lambda _: next(counts), data))
    await reply.stream(*frames)


@fault("complete")
async def finish_reason_unknown(reply: Reply) -> None:
    """A finish reason of tomorrow."""
    word = re.compile(rb'"(stop|end_turn)"')
    await reply.stream(*_edited(reply, lambda data: word.sub(b'"bored"', data)))


@fault("complete")
async def empty_deltas(reply: Reply) -> None:
    """Pieces of no characters among the words."""
    text = re.compile(rf'("{_text_member(reply)}":)"[^"]*"'.encode())
    frames = [reply.opening]
    for word in range(8):
        frame = reply.words(0, 1)[len(reply.opening) :] if not word else reply.words(word, word + 1)
        last = reply.framing.split(frame)[-1]
        empty = reply.edited(last, lambda data: text.sub(rb'\1""', data))
        frames += [frame, empty, empty]
    await reply.stream(*frames, *reply.ending)


@fault("complete", text="")
async def tool_call(reply: Reply) -> None:
    """A tool call in place of text."""
    await reply.stream(*reply.script(_CALL))


@fault("truncated", shown=True)
async def tool_call_cut(reply: Reply) -> None:
    """A tool call cut inside its arguments, then a proper end of the body."""
    frames = reply.script(_CALL)
    first = next(at for at, frame in enumerate(frames) if b"city" in frame)
    await reply.stream(*frames[: first + 1])


@fault("complete", text="")
async def tool_call_of_bad_json(reply: Reply) -> None:
    """A tool call whose arguments are no JSON, properly ended."""
    await reply.stream(*reply.script(ToolCall("call-1", "weather", '{"city": Paris')))


# --- errors inside the stream ---------------------------------------------------------------------------------


@fault("overloaded")
async def error_first(reply: Reply) -> None:
    """200, then an error before any word: it may be asked again."""
    await reply.stream(reply.error_frame())


@fault("overloaded")
async def error_after_the_opening(reply: Reply) -> None:
    """The answer opens, then an error."""
    await reply.stream(reply.opening, reply.error_frame())


@fault("overloaded", words=3)
async def error_after_words(reply: Reply) -> None:
    """Three words, then an error."""
    await reply.stream(reply.words(0, 3), reply.error_frame())


@fault("overloaded", words=3)
async def error_then_open(reply: Reply) -> None:
    """Three words, an error, and a connection that stays open."""
    await reply.head()
    await reply.send(reply.words(0, 3) + reply.error_frame())
    await reply.hang()


@fault("server", words=3, group="sse")
async def error_as_text(reply: Reply) -> None:
    """Three words, then `event: error` with plain text."""
    await reply.stream(reply.words(0, 3), b"event: error\ndata: something broke\n\n")


@fault("server", words=3)
async def error_as_string(reply: Reply) -> None:
    """Three words, then `{"error": "something broke"}`."""
    await reply.stream(reply.words(0, 3), reply.data_frame('{"error": "something broke"}'))


@fault("server", words=3)
async def error_as_bare_json(reply: Reply) -> None:
    """Three words, then an error as a line of JSON that is no event."""
    await reply.stream(reply.words(0, 3), b'{"error": {"message": "something broke"}}\n')


@fault("authentication", words=3)
async def error_echoes_the_key(reply: Reply) -> None:
    """Three words, then an error that repeats the caller's key."""
    headers = reply.request.headers if reply.request is not None else {}
    key = headers.get("authorization") or headers.get("x-api-key")
    await reply.stream(reply.words(0, 3), reply.error_frame("authentication", f"bad key {key}"))


def _fourth(reply: Reply, old: bytes, new: bytes) -> bytes:
    """The frame of the fourth word, with other bytes in its data."""
    return reply.edited(reply.words(3, 4), lambda data: data.replace(old, new))


# --- JSON that can't be right ---------------------------------------------------------------------------------


@fault("protocol", words=3)
async def json_bad(reply: Reply) -> None:
    """Three words, then an event that is no JSON."""
    await _between(reply, reply.data_frame('{"choices": [}'))


@fault("protocol", words=3)
async def json_list(reply: Reply) -> None:
    """Three words, then an event that is a list."""
    await _between(reply, reply.data_frame("[1, 2]"))


@fault("protocol", words=3)
async def json_number(reply: Reply) -> None:
    """Three words, then an event that is a number."""
    await _between(reply, reply.data_frame("42"))


@fault("protocol", words=3)
async def json_empty(reply: Reply) -> None:
    """Three words, then two objects in one event."""
    await _between(reply, reply.data_frame("{} {}"))


@fault("protocol", words=3)
async def bad_utf_8(reply: Reply) -> None:
    """Three words, then an event with bytes that are no UTF-8."""
    await _between(reply, _fourth(reply, b"vier", b"\xff\xfe"))


@fault("protocol", words=3)
async def nul_in_json(reply: Reply) -> None:
    """Three words, then an event with a raw NUL in a string."""
    await _between(reply, _fourth(reply, b"vier", b"v\0er"))


@fault(("complete", "protocol"), words=3)
async def nul_between_frames(reply: Reply) -> None:
    """NUL bytes on a line of their own."""
    await _between(reply, b"\0\0\0\n\n")


@fault("complete", text="a\0b")
async def nul_escaped(reply: Reply) -> None:
    r"""Text with `\u0000` in it."""
    await reply.stream(*reply.script("a\0b"))


@fault(("complete", "protocol"), words=3, text=None)
async def lone_surrogate(reply: Reply) -> None:
    r"""A word with half a character: `\ud83d`."""
    await reply.stream(
        reply.words(0, 3),
        _fourth(reply, b"vier", b"\\ud83d"),
        reply.words(4),
        *reply.ending,
    )


@fault("protocol", words=3)
async def text_of_another_type(reply: Reply) -> None:
    """Three words, then a word that is a number."""
    member = _text_member(reply)
    word, number = f'"{member}":" vier"'.encode(), f'"{member}":4'.encode()
    await _between(reply, _fourth(reply, word, number))


@fault("protocol", words=3)
async def structure_of_another_type(reply: Reply) -> None:
    """Three words, then an event whose objects are numbers."""
    broken = json.dumps(reply.format.samples.broken)
    await _between(reply, reply.data_frame(broken))


@fault("complete")
async def duplicate_keys(reply: Reply) -> None:
    """Every object names its keys twice."""
    whole = re.compile(rb"(?m)\{(.+)\}$")
    await reply.stream(*_edited(reply, lambda data: whole.sub(rb"{\1,\1}", data)))


@fault(("complete", "protocol"), words=3)
async def deep_nesting(reply: Reply) -> None:
    """An event ten thousand brackets deep."""
    await _between(
        reply, reply.data_frame('{"type": "x", "deep": ' + "[" * 10_000 + "]" * 10_000 + "}")
    )


@fault(("complete", "protocol"), words=3)
async def numbers_beyond_measure(reply: Reply) -> None:
    """An event with an integer of 5,000 digits, `NaN` and `1e999`."""
    await _between(
        reply, reply.data_frame('{"type": "x", "index": ' + "9" * 5000 + ', "a": 1e999, "b": NaN}')
    )
