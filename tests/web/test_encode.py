"""Events to bytes, and back by parsers that know nothing of us."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import (
    EventType,
    RefusalDelta,
    Retry,
    Status,
    StreamEvent,
    TextDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import Message, RefusalPart, TextPart
from llmstream.web.encode import AbortedError, JsonEncoder, NdjsonEncoder, SseEncoder, TextEncoder
from tests import strategies as some
from tests.web.serving import frames

SEPARATORS = "\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x00\ufeff"
texts = st.text(st.characters() | st.sampled_from(SEPARATORS), min_size=1)


def lines_of_the_standard(data: bytes) -> list[str]:
    """Data of each frame, by the letter of WHATWG HTML 9.2.6; a second opinion beside our own parser."""
    found, current = [], []
    for line in data.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if current:
                found.append("\n".join(current))
            current = []
        elif line.startswith("data:"):
            current.append(line.removeprefix("data:").removeprefix(" "))
    return found


@given(st.lists(texts, min_size=1))
def test_any_text_comes_back_from_sse(pieces) -> None:
    encoder = SseEncoder()
    data = b"".join(encoder.feed(text_delta(piece)) + encoder.keep_alive for piece in pieces)
    said = [json.loads(frame)["text_delta"]["content"] for frame in lines_of_the_standard(data)]
    assert said == pieces
    parsed = frames(data)
    assert [json.loads(frame.data)["text_delta"]["content"] for frame in parsed] == pieces
    assert [frame.id for frame in parsed] == [str(n + 1) for n in range(len(pieces))]


@given(st.lists(texts, min_size=1))
def test_any_text_comes_back_from_ndjson(pieces) -> None:
    encoder = NdjsonEncoder()
    data = b"".join(encoder.feed(text_delta(piece)) for piece in pieces)
    assert [json.loads(line)["text_delta"]["content"] for line in data.split(b"\n")[:-1]] == pieces


@given(st.lists(texts, min_size=1))
def test_any_text_comes_back_to_a_reader_that_cuts_lines_as_python_does(pieces) -> None:
    """str.splitlines, and so httpx2's iter_lines, knows ends of a line that neither JSON nor the standard does."""
    for encoder, head in (SseEncoder(), "data: "), (NdjsonEncoder(), "{"):
        events = [each for piece in pieces for each in (text_delta(piece), refusal_delta(piece))]
        lines = b"".join(encoder.feed(event) for event in events).decode().splitlines()
        read = [
            StreamEvent.from_dict(json.loads(line.removeprefix("data: ")))
            for line in lines
            if line[:6].startswith(head)
        ]
        assert read == events


@given(st.lists(some.some, min_size=1))
def test_text_is_the_words_and_nothing_else(pieces) -> None:
    encoder = TextEncoder()
    assert b"".join(encoder.feed(text_delta(piece)) for piece in pieces).decode() == "".join(pieces)


@given(some.events)
def test_every_event_comes_back_from_sse_and_ndjson(event) -> None:
    event = replace(event, raw=None)
    sse, line = SseEncoder().feed(event), NdjsonEncoder().feed(event)
    if event.status is not None and event.status.kind == "opaque":
        assert sse == line == b""
        return
    (frame,) = frames(sse)
    assert StreamEvent.from_dict(json.loads(frame.data)) == StreamEvent.from_dict(json.loads(line)) == event
    assert frame.id == ("1-end" if event.type in TERMINAL else "1")


def test_the_first_frame_says_when_to_ask_again() -> None:
    encoder = SseEncoder(reconnect=1.5)
    assert encoder.feed(opaque("openai-responses", item={})) == b""
    assert encoder.feed(text_delta("a")).startswith(b"retry: 1500\nid: 1\n")
    assert encoder.feed(text_delta("b")).startswith(b"id: 2\n")


def test_text_can_neither_fail_nor_take_words_back() -> None:
    again = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "r", "server", discard=True))
    encoder = TextEncoder()
    assert encoder.feed(again) == b""
    assert encoder.feed(refusal_delta("I can't.")) == b"I can't."
    with pytest.raises(AbortedError):
        encoder.feed(again)
    with pytest.raises(AbortedError):
        TextEncoder().feed(error(ErrorInfo("server")))


ROUND = [text_delta("A "), StreamEvent(EventType.STATUS, status=Status("step"))]
AGAIN = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "r", "server", discard=True))
LAST = [text_delta("C"), StreamEvent(EventType.MESSAGE_COMPLETE)]


@pytest.mark.parametrize("void", [reasoning_delta("hm"), text_delta("B ")])
def test_a_round_that_begins_anew_voids_nothing_of_those_before_it(void) -> None:
    events = [*ROUND, void, AGAIN, void, AGAIN, *LAST]
    whole, document = TextEncoder(whole=True), JsonEncoder()
    assert b"".join(whole.feed(event) for event in events) == b"A C"
    assert json.loads(b"".join(document.feed(event) for event in events))["text_delta"] == {"content": "A C"}


def test_text_can_go_on_where_only_what_it_never_says_began_anew() -> None:
    encoder = TextEncoder()
    assert b"".join(encoder.feed(event) for event in [*ROUND, reasoning_delta("hm"), AGAIN, *LAST]) == b"A C"
    encoder = TextEncoder()
    assert b"".join(encoder.feed(event) for event in [*ROUND, text_delta("B ")]) == b"A B "
    with pytest.raises(AbortedError):
        encoder.feed(AGAIN)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_refusal_has_its_words_in_text_and_json_whatever_mode_they_came_in(kept, whole) -> None:
    message = Message("assistant", [TextPart("So: "), RefusalPart("no.")]) if kept else None
    last = StreamEvent(EventType.MESSAGE_COMPLETE, message=message)
    batch = replace(last, text_delta=TextDelta("So: "), refusal_delta=RefusalDelta("no."))
    for events in [text_delta("So: "), refusal_delta("n"), refusal_delta("o."), last], [batch]:
        text, document = TextEncoder(whole=whole), JsonEncoder()
        assert b"".join(text.feed(event) for event in events) == b"So: no."
        said = b"".join(document.feed(event) for event in events)
        assert StreamEvent.from_dict(json.loads(said)) == batch


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("batch", [True, False])
def test_json_is_one_document_with_the_whole_text_whatever_came(kept, batch) -> None:
    encoder = JsonEncoder()
    again = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "r", "server", discard=True))
    pieces = [] if batch else [text_delta("void"), again, text_delta("who"), text_delta("le")]
    assert b"".join(encoder.feed(piece) for piece in pieces) == b""
    message = Message("assistant", "whole") if kept else None
    last = StreamEvent(EventType.MESSAGE_COMPLETE, message=message)
    if batch:
        last.text_delta = text_delta("whole").text_delta
    document = StreamEvent.from_dict(json.loads(encoder.feed(last)))
    assert document.text == "whole"
    assert document.message == message
