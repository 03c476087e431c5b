"""Delays, wherever vendors put them: headers, the body's fields, its words, and resets of used-up limits."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from llmstream.wire.error_body import parse_error
from llmstream.wire.retry_delay import parse_retry_after

NOON = "Mon, 30 Nov 2026 12:00:00 GMT"
SECONDS = 1_796_040_000
"""The same, since 1970."""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0.3", 0.3),
        ("0.3s", 0.3),
        ("300ms", 0.3),
        ("1m30s", 90),
        ("1m 30s", 90),
        ("2 seconds", 2),
        ("5 minutes", 300),
        ("1h", 3600),
        ("250 milliseconds", 0.25),
        ("Mon, 30 Nov 2026 12:00:30 GMT", 30),
        ("2026-11-30T12:00:30Z", 30),
        ("2026-11-30T13:00:30+01:00", 30),
        (str(SECONDS + 30), 30),
        (str((SECONDS + 30) * 1000), 30),
        ("2026-11-30T11:00:00Z", None),
        (str(SECONDS - 30), None),
        ("0", None),
        ("0s", None),
        ("-5", None),
        ("-5s", None),
        ("inf", None),
        ("nan", None),
        ("1e400", None),
        ("9" * 400, None),
        ("soon", None),
        ("3 wishes", None),
        ("3s or so", None),
        ("", None),
    ],
)
def test_retry_after_has_many_forms(value: str, seconds: float | None) -> None:
    assert parse_retry_after({"retry-after": value, "date": NOON}) == (
        None if seconds is None else pytest.approx(seconds)
    )


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"details": [{"@type": "google.rpc.RetryInfo", "retryDelay": "7s"}]}},
        [{"error": {"details": [{"x": 1}, {"retryDelay": "7.0s"}]}}],
        {"error": {"metadata": {"retry_after_seconds": 7}}},
        {"error": {"metadata": {"retry_after_seconds": "7"}}},
        {"error": {"metadata": {"headers": {"Retry-After": "7"}}}},
        {"error": {"metadata": {"headers": {"retry-after-ms": 7000}}}},
        {"error": {"metadata": {"raw": '{"error": {"details": [{"retryDelay": "7s"}]}}'}}},
        {"error": {"retry_after": 7}},
        {"error": {"retryAfter": "7s"}},
        {"error": {"retry_after_ms": 7000}},
        {"error": {"resets_in_seconds": 7}},
        {"error": {"details": [{"retryDelay": {"seconds": 7}}]}},
        {"error": {"message": "Please try your request again in 7 seconds"}},
        {"error": {"message": "Rate limited; available again in 7s"}},
        {"error": "Model m is loading", "estimated_time": 7.0},
        {"detail": {"retry_after": 7}},
        {"message": "Rate limit reached, please try again in 7s"},
        {"error": {"message": "Rate limit: Please retry in 7.0s."}},
        {"error": {"message": "Too many requests. Please wait 7 seconds"}},
        {"error": {"message": "Too many requests, retry after 7000ms"}},
        {"error": {"message": "Your rate limit resets in 7s"}},
        {"error": {"message": "Slow down. Try again in about 7 seconds."}},
    ],
)
def test_the_body_may_name_it(body) -> None:
    assert parse_error(body, status=429).retry_after == pytest.approx(7)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-reset": str((SECONDS + 7) * 1000)},
        {"x-ratelimit-reset": str(SECONDS + 7)},
        {"x-ratelimit-reset": "7"},
        {"x-ratelimit-reset": "7s"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str((SECONDS + 7) * 1000)},
        {"x-rate-limit-reset": "7"},
        {"ratelimit-reset": "7"},
        {"ratelimit": '"api";r=0;t=7'},
        {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7s"},
        {"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "7.0"},
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-renewalperiod-requests": "60",
            "x-ratelimit-reset-requests": "7000",
        },
        {
            "ratelimitbysize-query-cost": "32018",
            "ratelimitbysize-remaining": "32017",
            "ratelimitbysize-reset": "7",
        },
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-30T12:00:07Z",
        },
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "7s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "20ms",
            "x-ratelimit-remaining-images": "9",
            "x-ratelimit-reset-images": "1h",
        },
    ],
)
def test_the_reset_of_a_used_up_limit_is_a_delay(headers: dict[str, str]) -> None:
    """For rate limits alone: a failure of the server has another reason. OpenRouter puts them in the body, too."""
    headers = {**headers, "date": NOON}
    assert parse_error("", status=429, headers=headers).retry_after == pytest.approx(7)
    as_sent = CIMultiDict((name.title(), value) for name, value in headers.items())
    assert parse_error("", status=429, headers=as_sent).retry_after == pytest.approx(7)
    assert parse_error("", status=500, headers=headers).retry_after is None
    assert parse_error("", status=401, headers=headers).retry_after is None
    shown = {name.title(): value for name, value in headers.items()}
    body = {"error": {"message": "m", "code": 429, "metadata": {"headers": shown}}}
    told = parse_error(body, status=429, headers={"date": NOON}).retry_after
    assert told == pytest.approx(7)


def test_words_may_be_more_exact_than_fields() -> None:
    for words, delay in (("48.9s", 48.9), ("47.2s", 48), ("49s", 48), ("2m", 48)):
        body = google("Please retry in " + words, "48s")
        assert parse_error(body, status=429).retry_after == pytest.approx(delay)


def google(message: str, delay: str) -> dict[str, object]:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return {"error": {"code": 429, "message": message, "details": details}}


def test_a_limit_that_has_enough_left_isnt_waited_for() -> None:
    headers = {
        "ratelimitbysize-query-cost": "32018",
        "ratelimitbysize-remaining": "32018",
        "ratelimitbysize-reset": "7",
    }
    assert parse_error("", status=429, headers=headers).retry_after is None


def test_a_delay_goes_before_a_reset() -> None:
    headers = {"retry-after": "3", "x-ratelimit-reset": "60"}
    assert parse_error("", status=429, headers=headers).retry_after == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "12", "x-ratelimit-reset": "60"},
        {"x-ratelimit-reset-tokens": "7s"},
        {"x-ratelimit-remaining-tokens": "3", "x-ratelimit-reset-tokens": "7s"},
        {"x-ratelimit-reset": "0"},
        {"x-ratelimit-reset": "tomorrow"},
        {"x-ratelimit-reset": str((SECONDS - 7) * 1000)},
        {"ratelimit": '"api";r=499;t=70'},
        {"x-ratelimit-limit": "7"},
    ],
)
def test_other_headers_are_no_delay(headers: dict[str, str]) -> None:
    headers = {**headers, "date": NOON}
    assert parse_error("", status=429, headers=headers).retry_after is None


@pytest.mark.parametrize("odd", [None, True, [], {}, "x", [[[[[[[[7]]]]]]]], float("nan"), -1])
def test_odd_values_are_no_delay(odd) -> None:
    body = {"error": {"retry_after": odd, "metadata": {"headers": odd, "raw": odd}}}
    assert parse_error(body, status=429).retry_after is None
    assert parse_error({"error": {"metadata": odd, "details": odd}}, status=429).retry_after is None
