"""Error bodies: every provider's shape, read and classified in one place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import RETRYABLE
from llmstream.wire.error_body import (
    MAX_CODE,
    MAX_MESSAGE,
    is_error,
    parse_error,
    redact,
)
from llmstream.wire.retry_delay import parse_retry_after
from tests import strategies
from tests.recordings import listed


@pytest.mark.parametrize("case", listed("errors/http-errors.json"))
def test_a_recorded_error_is_classified(case):
    """Every recorded HTTP error has its kind, its status, a message, and is retried only where that may help."""
    info = parse_error(
        case["body"], status=case["status"], headers=case["headers"], provider=case["provider"]
    )
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
        (
            401,
            openai(type="invalid_request_error", code="invalid_api_key"),
            "authentication",
            "invalid_api_key",
        ),
        (
            429,
            openai(type="insufficient_quota", code="insufficient_quota"),
            "quota",
            "insufficient_quota",
        ),
        (
            429,
            openai(type="requests", code="rate_limit_exceeded"),
            "rate_limit",
            "rate_limit_exceeded",
        ),
        (404, openai(code="model_not_found"), "not_found", "model_not_found"),
        (400, openai(code="context_length_exceeded"), "context_length", "context_length_exceeded"),
        (400, openai("too big: exceeds the context window"), "context_length", None),
        (
            400,
            openai("no such field", type="invalid_request_error"),
            "invalid_request",
            "invalid_request_error",
        ),
        (400, openai("x", code="content_filter"), "content_filter", "content_filter"),
        (400, openai("no sense", code="tool_use_failed"), "tool_use_failed", "tool_use_failed"),
        (500, openai("oops", type="server_error"), "server", "server_error"),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            "overloaded",
            "overloaded_error",
        ),
        (
            500,
            {"type": "error", "error": {"type": "api_error", "message": "m"}},
            "server",
            "api_error",
        ),
        (
            403,
            {"type": "error", "error": {"type": "permission_error"}},
            "permission",
            "permission_error",
        ),
        (403, "", "permission", None),
        (529, "", "overloaded", None),
        (400, "The security token included in the request is invalid.", "authentication", None),
        (500, "Overloaded", "overloaded", None),
        (400, "Rate limit reached for m", "rate_limit", None),
        (
            400,
            google(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
            "authentication",
            "API_KEY_INVALID",
        ),
        (429, google(429, "RESOURCE_EXHAUSTED"), "rate_limit", "RESOURCE_EXHAUSTED"),
        (503, google(503, "UNAVAILABLE"), "overloaded", "UNAVAILABLE"),
        (404, {"message": "model 'x' not found"}, "not_found", None),
        (
            400,
            {"message": "Invalid model: x", "type": "invalid_model", "code": "1500"},
            "not_found",
            "invalid_model",
        ),
        (422, {"detail": "field required"}, "invalid_request", None),
        (
            400,
            {"code": "Client error", "error": "Incorrect API key provided"},
            "authentication",
            None,
        ),
        (400, {"error": "plain text"}, "invalid_request", None),
        (402, {"error": "no money"}, "quota", None),
        (408, "", "timeout", None),
        (409, "", "server", None),
        (413, "", "context_length", None),
        (101, "", "protocol", None),
        (300, "", "redirect", None),
        (302, "", "redirect", None),
        (399, "", "redirect", None),
        (401, "rate limit: the model was not found", "authentication", None),
        (402, "rate limit: the model was not found", "quota", None),
        (404, "rate limit exceeded", "not_found", None),
        (429, "the model was not found", "rate_limit", None),
        (502, "<html><title>Bad gateway</title></html>", "server", None),
        (503, "", "overloaded", None),
        (418, None, "invalid_request", None),
    ],
)
def test_a_body_and_a_status_make_a_kind(status, body, kind, code):
    """A precise code decides, then words of the message, then the status."""
    info = parse_error(body, status=status, provider="p")
    assert (info.kind, info.status_code, info.provider) == (kind, status, "p")
    if code is not None:
        assert info.code == code


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (openai("m", type="overloaded_error"), "overloaded"),
        (openai("m", code=429), "rate_limit"),
        (openai("m", status_code=400, code="tool_use_failed"), "tool_use_failed"),
        (openai("m", status_code=429), "rate_limit"),
        (openai("m", code="429"), "rate_limit"),
        (openai("m", type="invalid_request_error"), "invalid_request"),
        (openai("m", code=200), "server"),
        (openai("m", code=302), "server"),
        (openai("m", code=1), "server"),
        (openai("m", code=4291), "server"),
        (openai("m", code="42x"), "server"),
        (openai("m", code="4\u00b2\u00b2"), "server"),  # digits, but no number
        (openai("m"), "server"),
        ({"detail": "Not authenticated"}, "authentication"),
        (
            {"error_code": 110, "error_msg": "Access token invalid or no longer valid"},
            "authentication",
        ),
        ({"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}}}, "server"),
        ({"event": "error", "data": {"message": "m", "code": "rate_limit_exceeded"}}, "rate_limit"),
        ({"error": "text"}, "server"),
        ("text", "server"),
        (None, "server"),
    ],
)
def test_an_error_inside_a_stream_has_no_status(body, kind):
    """Without an HTTP status the body alone decides, and `status_code` stays None even where the body names one."""
    info = parse_error(body)
    assert (info.kind, info.status_code) == (kind, None)


CODES = {
    "authentication": (
        *("authentication_error", "invalid_api_key", "API_KEY_INVALID", "UNAUTHENTICATED"),
        "UnrecognizedClientException",
    ),
    "permission": ("permission_error", "PERMISSION_DENIED", "AccessDeniedException"),
    "not_found": (
        *(
            "not_found_error",
            "model_not_found",
            "invalid_model",
            "DeploymentNotFound",
            "ResourceNotFoundException",
        ),
        "NOT_FOUND",
    ),
    "context_length": (
        "context_length_exceeded",
        "exceed_context_size_error",
        "too_many_tokens",
        "request_too_large",
    ),
    "content_filter": ("content_filter", "content_policy_violation"),
    "quota": (
        "insufficient_quota",
        "enforced_spend_limit_reached",
        "billing_error",
        "billing_hard_limit_reached",
    ),
    "rate_limit": (
        "rate_limit_error",
        "rate_limit_exceeded",
        "RESOURCE_EXHAUSTED",
        "ThrottlingException",
    ),
    "overloaded": (
        "overloaded_error",
        "service_unavailable",
        "ServiceUnavailableException",
        "UNAVAILABLE",
    ),
    "server": (
        "internal_error",
        "InternalServerException",
        "ModelStreamErrorException",
        "timeout_error",
    ),
    "tool_use_failed": ("tool_use_failed",),
}
"""What the providers' documentation calls them."""


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind, codes in CODES.items() for code in codes]
)
def test_a_providers_code_decides(kind, code):
    """The documented codes and types have their kind, in a stream and against the status and the words."""
    for field in ("code", "type", "status"):
        assert parse_error(openai("m", **{field: code})).kind == kind
        assert (
            parse_error(openai("rate limit: overloaded", **{field: code}), status=418).kind == kind
        )


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("invalid_request_error", "invalid_request"),
        ("INVALID_ARGUMENT", "invalid_request"),
        ("ValidationException", "invalid_request"),
        ("api_error", "server"),
        ("server_error", "server"),
    ],
)
def test_a_vague_type_decides_only_where_nothing_else_does(type, kind):
    """Words of the message and the status know better than these types."""
    assert parse_error(openai("m", type=type)).kind == kind
    assert parse_error(openai("the prompt is too long", type=type)).kind == "context_length"
    assert parse_error(openai("m", type=type), status=403).kind == "permission"


def test_the_message_is_the_providers_own():
    """The message is found in every shape, an HTML page's text included."""
    assert parse_error(openai("slow down")).message == "slow down"
    assert parse_error({"error": "slow down"}).message == "slow down"
    assert parse_error({"detail": "slow down"}).message == "slow down"
    assert parse_error("slow\n  down").message == "slow down"
    page = "<html><style>b{}</style><script>x()</script><h1>502 Bad</h1> <p>gateway"
    assert parse_error(page, status=502).message == "502 Bad gateway"
    page = "\n <HTML><SCRIPT>x()\ny()</SCRIPT><P\nclass=a>asleep"
    assert parse_error(page, status=502).message == "asleep"
    assert parse_error({"detail": [{"loc": ["body"], "msg": "field required"}]}).message == (
        "[{'loc': ['body'], 'msg': 'field required'}]"
    )
    assert parse_error({"reason": "asleep"}).message == "{'reason': 'asleep'}"


@pytest.mark.parametrize(
    "body",
    [
        {"fault": {"faultstring": "Spike", "detail": {"errorcode": "policies.ratelimit.Spike"}}},
        {"message": "Spike", "error": {"code": 5}},
        {"error": {"message": "Spike", "data": {"a": "b"}}},
    ],
)
def test_the_words_may_stand_around_the_error(body):
    assert parse_error(body).message == "Spike"


@pytest.mark.parametrize("nothing", ["", None, {}, [], {"error": {}}])
def test_an_error_without_words_says_so(nothing):
    """Where the provider says nothing, the message is ours, and names the status if there is one."""
    assert parse_error(nothing, status=502).message == "HTTP 502 without a body"
    assert parse_error(nothing).message == "the provider reported an error"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "error", "message": "m"}, None),
        ({"message": "m", "error_type": "invalid_model"}, "invalid_model"),
        (openai(type="t", code=429), "t"),
        (openai(type="t", code="c"), "c"),
        (
            google(400, "INVALID_ARGUMENT", details=[5, {"reason": "API_KEY_INVALID"}]),
            "API_KEY_INVALID",
        ),
    ],
)
def test_the_code_is_the_providers_most_specific_word(body, code):
    """Reasons before codes, codes before types; neither a number nor the word "error" is one."""
    assert parse_error(body).code == code


def test_spent_money_is_told_from_a_rate_limit():
    """A 429 whose details name a spend limit is `quota`: waiting doesn't help."""
    body = openai(
        "m", type="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}
    )
    info = parse_error(body, status=429)
    assert (info.kind, info.retryable) == ("quota", False)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 501, 502, 503, 504, 529])
def test_what_may_pass_is_retried(status):
    """Timeouts, locks, rate limits and the server's own failures, whatever the body."""
    assert parse_error("", status=status).retryable is True
    assert parse_error(openai("m", type="api_error"), status=status).retryable is True


@pytest.mark.parametrize(
    "status", [301, 400, 401, 402, 403, 404, 405, 410, 413, 418, 422, 424, 451, 499]
)
def test_what_stays_is_not_retried(status):
    """Other refusals are final, also where the body calls them the server's fault."""
    assert parse_error("", status=status).retryable is False
    assert parse_error(openai("m", code="internal_error"), status=status).retryable is False


def test_a_message_is_bounded():
    """A provider's text is cut, however long."""
    assert len(parse_error("x" * 1_000_000).message) == MAX_MESSAGE
    assert len(parse_error("<p>" * 1_000_000).message) <= MAX_MESSAGE
    assert len(str(parse_error(openai("x" * 5000, code="y" * 5000)))) < MAX_MESSAGE + MAX_CODE + 20


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
    info = parse_error({"message": "m", "code": "c"}, status=400, headers=headers)
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
        (
            {
                "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT",
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 09:00:00 GMT",
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
            },
            None,
        ),
        ({"retry-after": "Sat, 21 Nov 1970 10:00:30 GMT"}, None),
        (
            {"retry-after": "Sat, 21 Nov 2026 10:00:30", "date": "Sat, 21 Nov 2026 10:00:00 GMT"},
            None,
        ),
        ({"retry-after": "Sat, 99 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_retry_after_in_every_form(headers, seconds):
    """Milliseconds, seconds, dates against the response's own clock; anything unusable counts as none."""
    assert parse_retry_after(headers) == seconds


def test_a_date_without_the_servers_own_is_read_against_this_clock():
    """A response without `date` leaves only our clock to compare with."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < parse_retry_after({"retry-after": date}) <= 3600


def test_googles_delay_is_in_the_body():
    """`retryDelay` in the details is the wait; an unreadable one is none."""
    body = google(429, "RESOURCE_EXHAUSTED", details=["x", {"@type": "x"}, {"retryDelay": "48.5s"}])
    assert parse_retry_after({}, body) == 48.5
    assert parse_error(body, status=429).retry_after == 48.5
    for odd in ("s", "48 pieces", [48], None):
        assert parse_retry_after({}, google(429, "X", details=[{"retryDelay": odd}])) is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("Limit 30000, Used 29800. Please try again in 1.2s. Visit https://x.example/limits", 1.2),
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 6m0s.", 360),
        ("please TRY AGAIN IN 1h30m", 5400),
        ("Retry after 1 hour 2 minutes 3 seconds", 3723),
        ("try again in 0s", None),
        ("try again in 5 small steps", None),
        ("retry in a moment", None),
        ("it took 5s", None),
        ("country in 5s", None),
    ],
)
def test_a_delay_told_in_words(told, seconds):
    """What an error inside a stream has: no headers."""
    for code in ("rate_limit_exceeded", "overloaded_error"):
        assert parse_error({"error": {"message": told, "code": code}}).retry_after == seconds
    headers = {"retry-after": "7"}
    assert parse_error({"error": {"message": told}}, status=429, headers=headers).retry_after == 7
    assert (
        parse_error(
            {"error": {"message": told, "code": "insufficient_quota"}}, status=429
        ).retry_after
        is None
    )


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": {"message": "m"}}, True),
        ({"error": "m"}, True),
        ({"object": "error", "message": "m"}, True),
        ({"type": "error"}, True),
        ({"detail": "m"}, True),
        ({"event": "error", "data": {"message": "m"}}, True),
        ({"Response": {"Error": {"Code": "AuthFailure", "Message": "m"}}}, True),
        ({"errorMessage": "m", "errorType": "Sandbox.Timedout"}, True),
        ({"err_code": 5, "err_msg": "m"}, True),
        ({"response": {"error": None}}, False),
        ({"status": "completed"}, False),
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
        (
            "message",
            "code",
            "type",
            "detail",
            "details",
            "status",
            "error_type",
            "request_id",
            "status_code",
            "msg",
            "errors",
            "base_resp",
            "metadata",
            "innererror",
            "response",
            "retry_after",
        ),
        strategies.json_values,
    ),
)


@given(
    strategies.json_values
    | shapes
    | st.fixed_dictionaries({"error": shapes | strategies.json_values}),
    st.none() | st.integers(300, 599),
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "date",
                "x-should-retry",
                "x-amzn-errortype",
                "x-ratelimit-reset",
                "x-ratelimit-remaining",
                "ratelimit",
            ]
        ),
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


@given(shapes | st.fixed_dictionaries({"error": shapes}))
def test_any_object_is_told_from_an_error_without_an_exception(body):
    """And the same bytes say the same: parsed, as text, in a list, as server-sent events."""
    assert is_error(body) in (True, False)
    text = json.dumps(body)
    kinds = {parse_error(form).kind for form in (body, [body], text, f"data: {text}\n\n")}
    assert len(kinds) == 1


# --- keys ----------------------------------------------------------------------------------------------------

KEY = "sk-canary-0123456789"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"wrong key {KEY}: see {KEY}", "wrong key [key]: see [key]"),
        (f"{KEY}", "[key]"),
        (f"wrong key {KEY[:-1]}", "wrong key [key]"),
        (f"wrong key {KEY[:4]}", "wrong key [key]"),
        (f"wrong key '{KEY[:9]}'", "wrong key '[key]'"),
        (f'wrong key "{KEY[:9]}…"', 'wrong key "[key]…"'),
        (f"wrong key {KEY} and {KEY[:5]}", "wrong key [key] and [key]"),
        (f"wrong key {KEY[:3]}", f"wrong key {KEY[:3]}"),  # too short to say anything
        ("X wrong key X", "X wrong key X"),
        ("", ""),
    ],
)
def test_a_key_that_comes_back_is_not_shown(text, shown):
    """The caller's key is taken out wherever it stands, and at the end also where it was cut off."""
    assert redact(text, [KEY]) == shown


def test_every_key_that_comes_back_is_not_shown():
    """Several secrets are taken out each; without any the text stays as it is."""
    assert (
        redact("a secret-1 b secret-2 c secr", ["secret-1", "secret-2"])
        == "a [key] b [key] c [key]"
    )
    assert redact("a secret-1", []) == "a secret-1"


@given(
    st.lists(
        st.sampled_from([KEY, KEY[:-1], KEY[:7], KEY[4:], "-other-key-1", " ", "'", "…", "x"]),
        max_size=8,
    )
)
def test_no_key_survives_in_any_text(words):
    """Whatever text is made of keys and parts of them: none stays, nor at its end the beginning of one."""
    text = redact("".join(words), [KEY, "-other-key-1"])
    assert KEY not in text
    assert "-other-key-1" not in text
    assert not any(text.rstrip("'\"…").endswith(KEY[:size]) for size in range(4, len(KEY)))
