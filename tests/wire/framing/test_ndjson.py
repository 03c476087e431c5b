"""Newline-delimited JSON: each line is a frame, in whatever pieces it comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.wire.framing.framer import Frame
from llmstream.wire.framing.ndjson import NDJSON, NDJSONFramer

lines = st.lists(
    st.sampled_from(
        [b"", b"{}", b'{"a": 1}', b'{"a": "\xe4\xb8\x96"}', b"  {} \r", b"nonsense", b"{", b"\r"]
    ),
    max_size=6,
)


def frames_of(*pieces: bytes, max_frame: int = 1000) -> list[Frame]:
    framer = NDJSONFramer(max_frame=max_frame)
    found = [frame for piece in pieces for frame in framer.feed(piece)]
    return [frame for frame in found if isinstance(frame, Frame)] + framer.finish()


def data(*pieces: bytes) -> list[bytes]:
    return [frame.data for frame in frames_of(*pieces)]


@given(lines, st.sampled_from([b"", b"\n"]), st.lists(st.integers(0, 60), max_size=5))
def test_any_split_gives_the_same_frames(lines: list[bytes], end: bytes, cuts: list[int]) -> None:
    body = b"\n".join(lines) + end
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    assert frames_of(*pieces) == frames_of(body)
    assert frames_of(*(body[at : at + 1] for at in range(len(body)))) == frames_of(body)


def test_lines_are_frames() -> None:
    assert data(b'{"a":1}\n{"b":2}\r\n\n {"c":3}\n') == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert data(b"\xef\xbb\xbf{}\n{}\n") == [b"{}", b"{}"]
    assert data(b"\xef", b"\xbb\xbf{}\n") == [b"{}"]
    assert data(b"\n\r\n \n") == []


def test_a_last_line_without_its_end_says_so() -> None:
    frames = frames_of(b'{"a":1}\n{"b":')
    assert [(frame.data, frame.terminated, frame.stray) for frame in frames] == [
        (b'{"a":1}', True, False),
        (b'{"b":', False, False),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>\n<p>{}\n</html>\n",
        b'{\n "a": {}\n}\n',
        b'[\n{"a": 1}\n]',
        b'{"error": "x"}',
        b"null",
    ],
)
def test_what_is_not_lines_of_objects_is_stray(body: bytes) -> None:
    frames = frames_of(body)
    assert frames
    assert all(frame.stray for frame in frames)
    assert b"".join(frame.data for frame in frames) == b"".join(body.split(b"\n")).replace(
        b' "a"', b'"a"'
    )


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_a_line_is_bounded(size: int) -> None:
    framer = NDJSONFramer(max_frame=100)
    body = b"{}\n" + b"x" * 101 + b"\n{}\n"
    found = []
    for at in range(0, len(body), size):
        found += framer.feed(body[at : at + size])
    assert [frame.data for frame in found if isinstance(frame, Frame)] == [b"{}"]
    assert framer.oversized
    assert framer.feed(b"{}\n") == framer.finish() == []


def test_a_line_as_long_as_allowed_is_taken() -> None:
    framer = NDJSONFramer(max_frame=100)
    assert len(framer.feed(b"{" + b" " * 98 + b"}\n")) == 1
    assert not framer.oversized


def test_what_is_framed_is_cut_again() -> None:
    framing = NDJSON()
    body = framing.frame(b'{"a":1}') + framing.keep_alive + framing.frame(b'{"b":2}', "ignored")
    assert framing.split(body) == [b'{"a":1}\n', b'{"b":2}\n']
    assert [framing.unframe(frame) for frame in framing.split(body)] == data(body)
