"""Server-sent events: bytes to frames, whatever the chunks."""

from __future__ import annotations

import base64
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream.wire.framing.framer import Frame
from llmstream.wire.framing.sse import SSEFramer
from tests.recordings import bytewise, listed, random_cuts, two_way, unbase64


def parse(pieces, **options):
    """All frames, and the last event id and reconnection time before an unfinished frame was handed over."""
    parser = SSEFramer(**options)
    frames = [frame for piece in pieces for frame in parser.feed(piece)]
    state = (parser.id, parser.retry)
    return [*frames, *parser.finish()], state


def standard(frames):
    """What a strict reader sees: (event, data, id) of every frame that the standard dispatches."""
    return [
        (frame.event or "message", frame.data.decode("utf-8", "replace"), frame.id)
        for frame in frames
        if frame.terminated and not frame.stray
    ]


def reference(data):
    """The WHATWG algorithm, slowly: (events, last event id, reconnection time)."""
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _ = re.split("\r\n|\n|\r", text)
    events, kind, buffer, id_buffer, last_id, retry = [], "", [], "", "", None
    for line in lines:
        if line == "":
            last_id = id_buffer
            if buffer:
                events.append((kind or "message", "\n".join(buffer), last_id))
            kind, buffer = "", []
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            buffer.append(value)
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, last_id, retry


# --- the recorded conformance cases --------------------------------------------------------------------------


def case_input(case):
    if "generate" in case:
        return b"data: " + b"a" * 300_000 + b"\n\n"
    return base64.b64decode(case["input_b64"])


def chunkings(case):
    data = case_input(case)
    yield [data]
    yield [data[i : i + 4096] for i in range(0, len(data), 4096)]
    if len(data) < 5000:
        yield bytewise(data)
        yield from two_way(data)
    yield from (unbase64(pieces) for pieces in case.get("splits_b64", ()))


@pytest.mark.parametrize("case", listed("sse-conformance.json", "cases"))
def test_a_conformance_case_holds_in_every_chunking(case):
    """Every case of the standard's test suite gives its events, id and retry whole and however it is cut."""
    if "generate" in case:
        expected = [("message", "a" * 300_000, "")]
    else:
        expected = [(event["event"], event["data"], event["id"]) for event in case["events"]]
    for pieces in chunkings(case):
        frames, state = parse(pieces)
        assert standard(frames) == expected
        assert state == (case["last_event_id"], case["retry"])


@pytest.mark.parametrize("case", listed("sse-conformance.json", "lenient"))
def test_a_lenient_case_gives_the_same_frames_in_every_chunking(case):
    """What the standard drops is handed over, marked, and the same however it is cut."""
    data = case["input"].encode()
    whole, _ = parse([data])
    assert whole
    assert all(parse(pieces)[0] == whole for pieces in [bytewise(data), *two_way(data)])
    assert [frame.stray for frame in whole] == [
        not re.match("data|event|id|retry|:", line)
        for line in data.decode().splitlines()
        if line and line[:5] != "event"
    ]


# --- our own cases -------------------------------------------------------------------------------------------

CASES = [
    (b"data: a\n\n", [("message", "a", "")]),
    (b"data:a\n\n", [("message", "a", "")]),
    (b"data:  a\n\n", [("message", " a", "")]),
    (b"data\n\n", [("message", "", "")]),
    (b"data: a\ndata\ndata: b\n\n", [("message", "a\n\nb", "")]),
    (
        b"data: a\r\n\r\ndata: b\r\rdata: c\n\n",
        [("message", "a", ""), ("message", "b", ""), ("message", "c", "")],
    ),
    (b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
    (b"event: e\ndata: a\n\ndata: b\n\n", [("e", "a", ""), ("message", "b", "")]),
    (b"event: e\n\ndata: b\n\n", [("message", "b", "")]),
    (b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
    (b"id: 1\n\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")]),
    (b"id: 1\0\ndata: a\n\n", [("message", "a", "")]),
    (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    (
        b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n",
        [("message", "a", ""), ("message", "c", "")],
    ),
    (b": hello\n\ndata: a\n:\n: x\ndata: b\n\n", [("message", "a\nb", "")]),
    (b"Data: a\n data: b\ndata : c\nfoo: d\ndata: e\n\n", [("message", "e", "")]),
    ("data: \u2028\u0085\x0b\x1c\n\n".encode(), [("message", "\u2028\u0085\x0b\x1c", "")]),
    ("data: é€😀\n\n".encode(), [("message", "é€😀", "")]),
    (b"data: a\xffb\n\n", [("message", "a\ufffdb", "")]),
    (b"event: \xff\nid: \xff\ndata: a\n\n", [("\ufffd", "a", "\ufffd")]),
    (b"data: a\n", []),
    (b"\n\n\n", []),
    (b"", []),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_the_standard_holds_in_every_chunking(data, expected):
    """Fields, line ends, ids, byte order marks and comments are read as the standard says, however they are cut."""
    assert reference(data)[0] == expected
    with_empty_pieces = [piece for byte in bytewise(data) for piece in (byte, b"")]
    for pieces in [[data], bytewise(data), with_empty_pieces, *two_way(data)]:
        assert standard(parse(pieces)[0]) == expected


@pytest.mark.parametrize(
    ("line", "retry"),
    [
        (b"retry: 250", 250),
        (b"retry:0", 0),
        (b"retry: 1.5", None),
        (b"retry: -1", None),
        (b"retry", None),
        (b"retry: " + b"9" * 18, 10**18 - 1),
        (b"retry: " + b"9" * 19, None),
    ],
)
def test_retry_is_digits_only(line, retry):
    """A reconnection time is taken from digits alone, and no more of them than a 64-bit number has."""
    assert parse([line + b"\n"])[1] == ("", retry)


def test_an_endless_retry_number_does_no_harm():
    """A reconnection time of a million digits is ignored instead of computed."""
    assert parse([b"retry: " + b"9" * 1_000_000 + b"\n\n"])[1] == ("", None)


def test_the_last_frame_without_its_blank_line_is_handed_over_marked():
    """An unterminated last frame comes out of `finish`, marked, with or without its line end."""
    for tail in (b"data: b", b"data: b\n", b"data: b\r", b"data: b\r\n"):
        frames, _ = parse([b"data: a\n\n" + tail])
        assert frames == [Frame("", b"a"), Frame("", b"b", terminated=False)]


def test_lines_of_no_field_are_handed_over_in_their_place():
    """Bare JSON, HTML and `error:` lines come out as stray frames between the others."""
    frames, _ = parse(
        [b'event: e\nid: 7\ndata: a\n\nerror: {"x": 1}\n<html>\ndata: b\n\n{"error": 1}']
    )
    assert frames == [
        Frame("e", b"a", "7"),
        Frame("", b'error: {"x": 1}', "7", stray=True),
        Frame("", b"<html>", "7", stray=True),
        Frame("", b"b", "7"),
        Frame("", b'{"error": 1}', "7", stray=True),
    ]


def test_the_beginning_of_a_byte_order_mark_is_no_byte_order_mark():
    """A body that is only a byte order mark is empty; one that is a part of it is a line of no field."""
    assert parse([b"\xef\xbb\xbf"])[0] == []
    for part in (b"\xef", b"\xef\xbb"):
        for pieces in two_way(part):
            assert parse(pieces)[0] == [Frame("", part, stray=True)]


# --- properties ----------------------------------------------------------------------------------------------

grains = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: e",
        b"id: 7",
        b"id",
        b"retry: 5",
        b":",
        b": c",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"x",
        b"\xef\xbb\xbf",
        b"\xe2\x82",
        b"\xac",
        b"\0",
        b"{}",
        b"error: y",
    ]
)
bodies = st.lists(grains | st.binary(max_size=3), max_size=25).map(b"".join)


@given(bodies, st.lists(st.floats(0, 1), max_size=6))
@example(b"data: a\r\n\r\ndata: b\n\n", [0.5])
def test_any_bytes_in_any_chunks_give_the_standards_events(data, cuts):
    """Whatever the bytes and their cuts: the same frames as whole, and the reference parser's events among them."""
    whole, state = parse([data])
    events, *expected_state = reference(data)
    assert standard(whole) == events
    assert state == tuple(expected_state)
    places = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    for chunks in (pieces, bytewise(data), random_cuts(data, len(data))):
        assert parse(chunks) == (whole, state)


# --- bounds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [b"data: " + b"x" * 90 + b"\n", b"x" * 90, b": " + b"x" * 90, b"event: " + b"x" * 90],
    ids=["data lines", "no line end", "a comment", "an event name"],
)
def test_an_unfinished_frame_is_bounded(piece):
    """A frame that never ends is refused once it exceeds the limit, and nothing after it is taken."""
    parser = SSEFramer(max_frame=1000)
    assert not any(parser.feed(piece) for _ in range(20))
    assert parser.oversized
    assert parser.feed(b"\n\ndata: a\n\n") == parser.finish() == []


def test_an_unfinished_line_counts_together_with_the_lines_before_it():
    """The limit is the frame's, not each line's: no more than `max_frame` bytes are ever held."""
    parser = SSEFramer(max_frame=100)
    parser.feed(b"data: " + b"x" * 80 + b"\ndata: xxxxxxxx")
    assert not parser.oversized
    parser.feed(b"x")
    assert parser.oversized


@pytest.mark.parametrize(
    "head", [b"data: ", b"event: e\ndata: ", b": c\ndata: ", b"data: a\r\ndata: "]
)
def test_one_large_frame_is_refused_in_any_pieces(head):
    """A frame over the limit is refused, whole or in pieces, and those before it are handed over."""
    for size, refused in ((900, False), (1100, True)):
        body = b"data: before\n\n" + head + b"x" * size + b"\n\n"
        for pieces in ([body], bytewise(body), random_cuts(body, size)):
            parser = SSEFramer(max_frame=1000)
            frames = [frame for piece in pieces for frame in parser.feed(piece)]
            assert parser.oversized == refused
            assert frames[0] == Frame("", b"before")
            assert len(frames) == (1 if refused else 2)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    "lines", [[b"data: %s"], [b"data: a", b"data: %s"], [b"event: e", b"data: %s"], [b"x%s"]]
)
def test_the_limit_is_exact(lines, end):
    """`max_frame` counts the bytes of the data lines, or of one other line, without line ends: so many pass."""
    rest = sum(len(line) for line in lines if not line.startswith(b"event")) - 2
    for size, refused in ((100, False), (101, True)):
        body = b"data: before" + end * 2 + end.join(lines) % (b"x" * (size - rest)) + end * 2
        for pieces in ([body], bytewise(body), *two_way(body)):
            parser = SSEFramer(max_frame=100)
            frames = [frame for piece in pieces for frame in parser.feed(piece)]
            assert (parser.oversized, len(frames)) == (refused, 1 if refused else 2)


def test_frames_that_end_never_add_up_to_the_limit():
    """The limit is one frame's: any number of small ones pass."""
    frames, _ = parse([b"data: " + b"x" * 90 + b"\n\n"] * 200, max_frame=100)
    assert len(frames) == 200


def test_a_long_line_in_small_pieces_is_joined_once():
    """4 MB in 64-byte drips: joining at every piece would copy 130 GB and never end within the test's time."""
    drip, count = b"x" * 64, 65536
    parser = SSEFramer()
    parser.feed(b"data: ")
    assert not any(parser.feed(drip) for _ in range(count))
    (frame,) = parser.feed(b"\n\n")
    assert len(frame.data) == len(drip) * count


def test_many_data_lines_are_joined_once():
    """A frame of 100,000 data lines is put together once, at its blank line."""
    (frame,), _ = parse([b"data: x\n"] * 100_000 + [b"\n"])
    assert frame.data.count(b"\n") == 99_999
