"""AWS event streams: each message is a frame, in whatever pieces it comes, and its checksums count."""

from __future__ import annotations

import json
from itertools import pairwise
from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.wire.framing.event_stream import (
    ChunkStream,
    EventStream,
    EventStreamFramer,
    StreamMessage,
    encode_message,
)
from llmstream.wire.framing.framer import BrokenFrame, Frame
from llmstream.wire.framing.sse import SSEFramer
from llmstream.wire.framing.text_frames import TextTemplate

FRAMING = EventStream("text", ("p",))
HELLO = FRAMING.frame(b'{"delta":{"text":"Hello"}}', "contentBlockDelta")
STOP = FRAMING.frame(b"{}", "messageStop")
THROTTLED = FRAMING.exception(b'{"message":"slow down"}', "throttlingException")

headers = st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=20), st.text(max_size=20), max_size=4
)
messages = st.lists(st.builds(StreamMessage, headers, st.binary(max_size=40)), max_size=5)


def frames_of(*pieces: bytes, max_frame: int = 10_000) -> list[Frame | str]:
    framer = EventStreamFramer(max_frame=max_frame)
    found = [frame for piece in pieces for frame in framer.feed(piece)]
    return [*found, *framer.finish()]


def told(*pieces: bytes) -> list[tuple[str, bytes]]:
    frames = [frame for frame in frames_of(*pieces) if isinstance(frame, Frame)]
    return [(frame.event, frame.data) for frame in frames]


@given(messages, st.binary(max_size=20), st.lists(st.integers(0, 300), max_size=5))
def test_any_split_gives_the_same_frames(
    said: list[StreamMessage], junk: bytes, cuts: list[int]
) -> None:
    body = b"".join(map(encode_message, said)) + junk
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    assert frames_of(*pieces) == frames_of(body)
    assert frames_of(*(body[at : at + 1] for at in range(len(body)))) == frames_of(body)


@given(messages)
def test_a_body_is_cut_into_its_messages(said: list[StreamMessage]) -> None:
    made = [encode_message(message) for message in said]
    assert FRAMING.split(b"".join(made)) == made
    assert [FRAMING.unframe(frame) for frame in made] == [message.payload for message in said]


def test_a_message_is_named_by_its_event() -> None:
    assert told(HELLO + STOP) == [
        ("contentBlockDelta", b'{"delta":{"text":"Hello"}}'),
        ("messageStop", b"{}"),
    ]


@pytest.mark.parametrize(
    ("headers", "payload", "wanted"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"slow"}',
            {"__type": "throttlingException", "message": "slow"},
        ),
        (
            {":message-type": "error", ":error-code": "500", ":error-message": "broke"},
            b"",
            {"__type": "500", "message": "broke"},
        ),
        (
            {":message-type": "exception", ":exception-type": "xException"},
            b"no JSON",
            {"__type": "xException", "message": "no JSON"},
        ),
        (
            {":message-type": "exception", ":exception-type": "xException"},
            b'["a"]',
            {"__type": "xException", "message": "['a']"},
        ),
        ({":message-type": "exception"}, b"{}", {"__type": "exception", "message": ""}),
    ],
)
def test_an_exception_is_an_error_that_says_its_class(
    headers: dict[str, str], payload: bytes, wanted: dict[str, str]
) -> None:
    ((event, data),) = told(encode_message(StreamMessage(headers, payload)))
    assert (event, json.loads(data)) == ("error", wanted)


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_changed_byte_is_found_wherever_it_is(size: int) -> None:
    """Every byte is under a checksum; one that makes the message too long to come leaves it unread."""
    body = HELLO + STOP
    for at in range(len(HELLO)):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        pieces = [changed[i : i + size] for i in range(0, len(changed), size)]
        (broken,) = frames_of(*pieces)
        assert isinstance(broken, BrokenFrame)
        assert "checksum" in broken.flaw


def test_a_message_that_is_shorter_than_its_headers_is_broken() -> None:
    lengths = pack(">II", 16, 9)
    (broken,) = frames_of(lengths + pack(">I", crc32(lengths)) + b"x" * 20)
    assert isinstance(broken, BrokenFrame)


@pytest.mark.parametrize(
    "raw", [b"\x05ab", b"\x01a\x07\xff\xff", b"\x01a\x07\x00\x01\xff", b"\x01a"]
)
def test_headers_that_cant_be_read_break_the_body(raw: bytes) -> None:
    lengths = pack(">II", 16 + len(raw), len(raw))
    message = lengths + pack(">I", crc32(lengths)) + raw
    (broken,) = frames_of(message + pack(">I", crc32(message)) + STOP)
    assert isinstance(broken, BrokenFrame)
    assert "headers" in broken.flaw


def test_headers_of_every_type_are_stepped_over() -> None:
    values = [b"\0", b"\1", b"\2x", b"\3xx", b"\4xxxx", b"\5" + b"x" * 8, b"\6\0\2xx"]
    values += [b"\x08" + b"x" * 8, b"\x09" + b"x" * 16]
    raw = b"".join(b"\x01a" + value for value in values)
    raw += b"\x0b:event-type\x07\x00\x04ping"
    lengths = pack(">II", 16 + len(raw), len(raw))
    message = lengths + pack(">I", crc32(lengths)) + raw
    assert told(message + pack(">I", crc32(message))) == [("ping", b"")]


def test_a_message_that_was_cut_is_nothing() -> None:
    for size in range(len(STOP)):
        assert told(HELLO + STOP[:size]) == told(HELLO)


@pytest.mark.parametrize(
    "text", [b'{"message": "x"}', b"<html>\n</html>\n", b"\n\n[]", b"event: a\ndata: {}\n\ndata: 1"]
)
def test_text_in_place_of_messages_is_cut_as_server_sent_events(text: bytes) -> None:
    alone = SSEFramer()
    wanted = [*alone.feed(text), *alone.finish()]
    assert frames_of(text) == wanted
    assert frames_of(HELLO + text) == frames_of(HELLO) + wanted


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_a_message_is_bounded(size: int) -> None:
    framer = EventStreamFramer(max_frame=100)
    body = STOP + FRAMING.frame(b"x" * 101) + STOP
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    found = [frame for piece in pieces for frame in framer.feed(piece)]
    assert framer.oversized
    assert [frame.event for frame in found if isinstance(frame, Frame)] == ["messageStop"]
    assert framer.finish() == []


def test_text_is_bounded() -> None:
    framer = EventStreamFramer(max_frame=100)
    assert [list(framer.feed(b"x" * 50)) for _ in range(3)] == [[], [], []]
    assert framer.oversized


def test_frames_of_text_are_learned() -> None:
    """From the second on they are their text, whatever their padding, until an event of another name."""

    def delta(text: str, padding: str = "abc") -> bytes:
        payload = f'{{"contentBlockIndex":0,"delta":{{"text":"{text}"}},"p":"{padding}"}}'
        return FRAMING.frame(payload.encode(), "contentBlockDelta")

    framer = EventStreamFramer(template=TextTemplate("text", ("p",)))
    body = delta("a") + delta("b", "x") + delta('c\\"') + delta("d") + STOP + delta("e")
    found = []
    for frame in framer.feed(body):
        found.append(frame if isinstance(frame, str) else frame.event)
        if isinstance(frame, Frame) and b'"a"' in frame.data:
            framer.learn(frame, "a")
    named = "contentBlockDelta"
    assert found == [named, "b", named, "d", "messageStop", named]


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 60))
def test_what_amazon_wraps_is_unwrapped(events: list[bytes], size: int) -> None:
    """In pieces of any size; an exception among the chunks stays one."""
    framing = ChunkStream()
    body = b"".join(map(framing.frame, events)) + THROTTLED
    framer = framing.framer()
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    found = [frame for piece in pieces for frame in framer.feed(piece)]
    *unwrapped, failure = [(frame.event, frame.data) for frame in found if isinstance(frame, Frame)]
    assert unwrapped == [("", event) for event in events]
    assert failure[0] == "error"
    assert [framing.unframe(frame) for frame in framing.split(body)][:-1] == events


@pytest.mark.sdk
@given(st.lists(st.text(max_size=20), max_size=5), st.integers(1, 50))
def test_botocore_reads_our_messages(texts: list[str], size: int) -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    body = b"".join(FRAMING.frame(text.encode(), "chunk") for text in texts) + THROTTLED
    buffer = eventstream.EventStreamBuffer()
    found = []
    for at in range(0, len(body), size):
        buffer.add_data(body[at : at + size])
        found += list(buffer)
    assert [message.payload.decode() for message in found[:-1]] == texts
    assert {message.headers[":event-type"] for message in found[:-1]} <= {"chunk"}
    assert found[-1].headers[":exception-type"] == "throttlingException"
