"""Error bodies: every provider's shape, read and classified in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import RETRYABLE
from llmstream.wire.error_body import MAX_MESSAGE, is_error, parse_error, parse_retry_after
from tests import strategies
from tests.recordings import listed


@pytest.mark.parametrize("case", listed("errors/http-errors.json"))
def test_a_recorded_error_is_classified(case):
    """Every recorded HTTP error has its kind, its status, a message, and is retried only where that may help."""
    info = parse_error(case["body"], status=case["status"], headers=case["headers"], provider=case["provider"])
    assert info.kind == case["expect_kind"]
    assert info.status_code == case["status"]
    assert info.provider == case["provider"]
    assert info.message
    if case["expect_kind"] not in RETRYABLE:
        assert not info.retryable


def openai(message="m", **fields):
    return {"error": {"message": message, **fields}}


def google(code, status, message="m", details=()):
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, openai(type="invalid_request_error", code="invalid_api_key"), "authentication", "invalid_api_key"),
        (429, openai(type="insufficient_quota", code="insufficient_quota"), "quota", "insufficient_quota"),
        (429, openai(type="requests", code="rate_limit_exceeded"), "rate_limit", "rate_limit_exceeded"),
        (404, openai(code="model_not_found"), "not_found", "model_not_found"),
        (400, openai(code="context_length_exceeded"), "context_length", "context_length_exceeded"),
        (400, openai("too big: exceeds the context window"), "context_length", None),
        (400, openai("no such field", type="invalid_request_error"), "invalid_request", "invalid_request_error"),
        (400, openai("x", code="content_filter"), "content_filter", "content_filter"),
        (400, openai("no sense", code="tool_use_failed"), "tool_use_failed", "tool_use_failed"),
        (500, openai("oops", type="server_error"), "server", "server_error"),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            "overloaded",
            "overloaded_error",
        ),
        (500, {"type": "error", "error": {"type": "api_error", "message": "m"}}, "server", "api_error"),
        (403, {"type": "error", "error": {"type": "permission_error"}}, "permission", "permission_error"),
        (
            400,
            google(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
            "authentication",
            "API_KEY_INVALID",
        ),
        (429, google(429, "RESOURCE_EXHAUSTED"), "rate_limit", "RESOURCE_EXHAUSTED"),
        (503, google(503, "UNAVAILABLE"), "overloaded", "UNAVAILABLE"),
        (404, {"message": "model 'x' not found"}, "not_found", None),
        (400, {"message": "Invalid model: x", "type": "invalid_model", "code": "1500"}, "not_found", "invalid_model"),
        (422, {"detail": "field required"}, "invalid_request", None),
        (400, {"code": "Client error", "error": "Incorrect API key provided"}, "authentication", None),
        (400, {"error": "plain text"}, "invalid_request", None),
        (402, {"error": "no money"}, "quota", None),
        (408, "", "timeout", None),
        (409, "", "server", None),
        (413, "", "context_length", None),
        (302, "", "redirect", None),
        (502, "<html><title>Bad gateway</title></html>", "server", None),
        (503, "", "overloaded", None),
        (418, None, "invalid_request", None),
    ],
)
def test_a_body_and_a_status_make_a_kind(status, body, kind, code):
    """A precise code decides, then words of the message, then the status."""
    info = parse_error(body, status=status)
    assert (info.kind, info.status_code) == (kind, status)
    if code is not None:
        assert info.code == code


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (openai("m", type="overloaded_error"), "overloaded"),
        (openai("m", code=429), "rate_limit"),
        (openai("m", status_code=400, code="tool_use_failed"), "tool_use_failed"),
        (openai("m"), "server"),
        ({"error": "text"}, "server"),
        ("text", "server"),
        (None, "server"),
    ],
)
def test_an_error_inside_a_stream_has_no_status(body, kind):
    """Without an HTTP status the body alone decides, and `status_code` stays None even where the body names one."""
    info = parse_error(body)
    assert (info.kind, info.status_code) == (kind, None)


def test_the_message_is_the_providers_own():
    """The message is found in every shape, an HTML page's text included."""
    assert parse_error(openai("slow down")).message == "slow down"
    assert parse_error({"error": "slow down"}).message == "slow down"
    assert parse_error({"detail": "slow down"}).message == "slow down"
    assert parse_error("slow\n  down").message == "slow down"
    page = "<html><style>b{}</style><script>x()</script><h1>502 Bad</h1> <p>gateway"
    assert parse_error(page, status=502).message == "502 Bad gateway"
    assert parse_error("", status=502).message == "HTTP 502 without a body"


def test_a_message_is_bounded():
    """A provider's text is cut, however long."""
    assert len(parse_error("x" * 1_000_000).message) == MAX_MESSAGE
    assert len(parse_error("<p>" * 1_000_000).message) <= MAX_MESSAGE


def test_the_request_id_comes_from_header_or_body():
    """Either header name, or Anthropic's field."""
    assert parse_error({}, status=500, headers={"x-request-id": "a"}).request_id == "a"
    assert parse_error({}, status=500, headers={"request-id": "b"}).request_id == "b"
    assert parse_error({"request_id": "c"}, status=500).request_id == "c"
    assert parse_error({"request_id": 7}, status=500).request_id is None


def test_the_server_may_say_whether_to_retry():
    """`x-should-retry` overrides the kind's usual answer, both ways."""
    assert not parse_error({}, status=500, headers={"x-should-retry": "false"}).retryable
    assert parse_error({}, status=400, headers={"x-should-retry": "true"}).retryable


def test_bedrock_names_the_error_in_a_header():
    """`x-amzn-errortype` is a code like any other."""
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal"}
    info = parse_error({"message": "m"}, status=400, headers=headers)
    assert (info.kind, info.code) == ("rate_limit", "ThrottlingException")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 1970 10:00:30 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, None),
        ({"retry-after": "Sat, 99 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_retry_after_in_every_form(headers, seconds):
    """Milliseconds, seconds, dates against the response's own clock; anything unusable counts as none."""
    assert parse_retry_after(headers) == seconds


def test_googles_delay_is_in_the_body():
    """`retryDelay` in the details is the wait; an unreadable one is none."""
    body = google(429, "RESOURCE_EXHAUSTED", details=[{"@type": "x"}, {"retryDelay": "48.5s"}])
    assert parse_retry_after({}, body) == 48.5
    assert parse_error(body, status=429).retry_after == 48.5
    for odd in ("48", "s", 48, None):
        assert parse_retry_after({}, google(429, "X", details=[{"retryDelay": odd}])) is None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": {"message": "m"}}, True),
        ({"error": "m"}, True),
        ({"object": "error", "message": "m"}, True),
        ({"type": "error"}, True),
        ({"detail": "m"}, True),
        ({"error": None, "choices": []}, False),
        ({"choices": []}, False),
        ({}, False),
    ],
)
def test_an_error_is_told_from_a_chunk(payload, expected):
    """The shapes of an error are known; a null `error` beside a chunk is none."""
    assert is_error(payload) is expected


shapes = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("message", "code", "type", "detail", "details", "status", "error_type", "request_id", "status_code"),
        strategies.json_values,
    ),
)


@given(
    strategies.json_values | shapes | st.fixed_dictionaries({"error": shapes | strategies.json_values}),
    st.none() | st.integers(300, 599),
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date", "x-should-retry", "x-amzn-errortype"]),
        strategies.text,
    ),
)
def test_any_body_is_some_error(body, status, headers):
    """Whatever JSON comes with whatever headers: an ErrorInfo with a known kind and usable values, no exception."""
    info = parse_error(body, status=status, headers=headers)
    assert info.kind in strategies.KINDS
    assert info.message
    assert len(info.message) <= MAX_MESSAGE
    assert info.status_code == status
    assert info.retry_after is None or info.retry_after > 0
    assert info.code is None or isinstance(info.code, str)
