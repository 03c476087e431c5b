"""StreamEvent.encode: an event as the bytes of its words, which is what Starlette's StreamingResponse asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ConnectionFailedError, ErrorInfo, LLMError, RateLimitError
from llmstream.events.types import EventType, RefusalDelta, Retry, StreamEvent, TextDelta, error, text_delta, words
from tests import strategies

CHARSETS = ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "ascii"]
STATEFUL = ["utf-7", "iso2022_jp", "shift_jis", "gb18030", "hz"]
texts = st.text(st.characters(exclude_categories=()), min_size=1)
"""Half surrogate pairs too, as a model's JSON may hold them."""


@given(st.lists(texts), st.sampled_from(CHARSETS + STATEFUL))
def test_the_bytes_of_all_pieces_are_the_text_in_this_charset(pieces, charset):
    """In one piece, with "?" for what the charset lacks, and without a mark in its middle."""
    read = b"".join(text_delta(piece).encode(charset) for piece in pieces).decode(charset)
    assert read == "".join(piece.encode(charset, "replace").decode(charset) for piece in pieces)
    assert read.count("?") >= sum(piece.count("?") for piece in pieces)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_half_a_surrogate_pair_is_a_question_mark(charset):
    assert text_delta("a\ud83d").encode(charset).decode(charset) == "a?"


@given(strategies.events, st.sampled_from(CHARSETS))
def test_an_event_has_the_bytes_of_its_words_or_raises(event, charset):
    """All of them: events without words are empty, and none adds a mark of its own."""
    if event.type is EventType.ERROR or (event.retry is not None and event.retry.discard):
        with pytest.raises(LLMError):
            event.encode(charset)
        return
    assert bool(event.encode(charset)) is bool(words(event))
    if event.type not in (EventType.TEXT_DELTA, EventType.REFUSAL_DELTA):
        assert event.encode(charset) == b""


def test_a_batch_s_event_has_the_text_and_the_refusal():
    event = StreamEvent(EventType.MESSAGE_COMPLETE, TextDelta("So: "), refusal_delta=RefusalDelta("no."))
    assert event.encode() == event.encode("utf-8") == b"So: no."


def test_an_error_is_raised_as_what_it_is():
    with pytest.raises(RateLimitError, match="slow down") as caught:
        error(ErrorInfo("rate_limit", "slow down", retry_after=4.0)).encode()
    assert caught.value.info.retry_after == 4.0
    with pytest.raises(LLMError, match="odd"):
        StreamEvent(EventType.ERROR, error="odd").encode()


def test_only_a_retry_that_discards_is_raised():
    assert StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "reset", "connection")).encode() == b""
    with pytest.raises(ConnectionFailedError, match="reset; the text so far is void") as caught:
        StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "reset", "connection", discard=True)).encode()
    assert caught.value.info.code == "discarded"


@pytest.mark.parametrize("charset", ["no-such-charset", "hex"])
def test_a_charset_that_is_none_is_the_caller_s_mistake(charset):
    with pytest.raises(LookupError):
        text_delta("a").encode(charset)
