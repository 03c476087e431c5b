"""Which form an answer takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.web.negotiation import (
    FORMS,
    MEDIA_TYPES,
    Choice,
    Form,
    NotAcceptableError,
    ResponseMode,
    negotiate,
)

STREAM, BATCH = ResponseMode.STREAM, ResponseMode.BATCH
SSE, JSON = Choice(STREAM, Form.SSE), Choice(BATCH, Form.JSON)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ({}, SSE),
        ({"default": BATCH}, JSON),
        ({"accept": "*/*"}, SSE),
        ({"accept": BROWSER, "default": BATCH}, JSON),
        ({"accept": "text/event-stream", "default": BATCH}, SSE),
        ({"accept": "application/json"}, JSON),
        ({"accept": "Application/JSON;q=0.9, text/event-stream;q=0.8"}, JSON),
        ({"accept": "application/jsonl"}, Choice(STREAM, Form.NDJSON)),
        ({"accept": "text/*;q=0.5, text/event-stream;q=0"}, Choice(STREAM, Form.TEXT)),
        ({"accept": "*/*, text/event-stream;q=0.1"}, Choice(STREAM, Form.NDJSON)),
        ({"accept": "text/plain", "flag": False}, Choice(BATCH, Form.TEXT)),
        ({"accept": "application/json", "flag": True}, SSE),  # OpenAI's SDK
        ({"accept": "text/event-stream", "flag": False}, JSON),
        ({"flag": True, "default": BATCH}, SSE),
        ({"flag": True, "stream": "false"}, JSON),
        ({"stream": "0", "mode": "stream"}, SSE),
        ({"stream": ""}, SSE),  # ?stream
        ({"mode": "batch", "accept": "text/event-stream"}, JSON),
        ({"capabilities": ["ndjson", "json"]}, Choice(STREAM, Form.NDJSON)),
        ({"capabilities": ["json"]}, JSON),
        ({"http_version": "1.0", "accept": "text/plain"}, Choice(BATCH, Form.TEXT)),
        ({"accept": "text/event-stream;q=high, application/json"}, JSON),
        ({"accept": "nonsense"}, SSE),
    ],
)
def test_what_the_client_said_decides_in_this_order(said, choice) -> None:
    assert negotiate(**said) == choice


@pytest.mark.parametrize(
    "said",
    [
        {"accept": "image/png"},
        {"accept": "*/*;q=0"},
        {"accept": "image/png", "flag": True},
        {"mode": "telepathy"},
        {"capabilities": []},
        {"capabilities": ["json"], "flag": True},
        {"accept": "text/plain", "http_version": "1.0", "mode": "stream", "capabilities": ["text"]},
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(said) -> None:
    with pytest.raises(NotAcceptableError) as raised:
        negotiate(**said)
    for form in FORMS:
        assert MEDIA_TYPES[form][0] in raised.value.offer
        assert MEDIA_TYPES[form][0] in str(raised.value)


@pytest.mark.parametrize(
    "said",
    [
        {"stream": "maybe"},
        {"flag": "false"},
        {"flag": 0},
        {"flag": []},
        {"flag": "", "accept": "text/plain"},
    ],
)
def test_a_flag_that_is_neither_true_nor_false_is_a_mistake(said) -> None:
    with pytest.raises(ValueError, match="true or false") as raised:
        negotiate(**said)
    assert not isinstance(raised.value, NotAcceptableError)


@given(
    st.text()
    | st.lists(
        st.sampled_from(["text/*", "*/*", "a/b", ";q=0.5", ";q=", ",", "application/json"])
    ).map("".join)
)
def test_any_accept_gives_a_choice_or_a_refusal(accept) -> None:
    try:
        choice = negotiate(accept=accept)
    except NotAcceptableError:
        return
    assert choice.form in FORMS
