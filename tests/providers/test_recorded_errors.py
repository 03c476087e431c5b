"""Every recorded HTTP error and every sample of rate-limit headers, end to end through the client."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy
from llmstream.errors import RETRYABLE, ErrorInfo
from llmstream.events.types import Start
from llmstream.limits.headers import parse_rate_limits
from llmstream.providers.config import TRANSPORTS
from tests.loopback import APIS, Handler, Loopback, Reply, Request, pieces, refuse
from tests.recordings import listed

HI = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
ROWS = {
    "azure-ai": "azure",
    "chatgpt": "openai-responses",
    "openai /responses": "openai-responses",
}
"""Recorded names whose row has another one."""
FIRM: dict[str, list[tuple[str | None, bool, float | None]]] = {
    "bedrock": [
        *[(None, False, None)] * 5,
        *[("ValidationException", False, None)] * 2,
        ("UnrecognizedClientException", False, None),
    ],
    "cohere": [("TOO_MANY_TOKENS", False, None), (None, False, None), (None, False, None)],
    "gemini": [
        *[("API_KEY_INVALID", False, None)] * 2,
        ("PERMISSION_DENIED", False, None),
        *[("NOT_FOUND", False, None)] * 4,
        ("RESOURCE_EXHAUSTED", True, 48.939935699),
    ],
    "mistral": [("invalid_model", False, None), (None, False, None)],
    "ollama-cloud": [("invalid_request_error", False, None), ("api_error", False, None)],
    "vertex": [*[("INVALID_ARGUMENT", False, None)] * 2, ("NOT_FOUND", False, None)],
}
"""The code, whether it is retried, and the delay, as a reader of the recordings finds them; in their order."""
RECORDED = [
    entry.values[0] for entry in listed("errors/http-errors.json") if entry.values[0] is not None
]
SAMPLES = [
    entry.values[0]
    for entry in listed("errors/ratelimit-headers.json")
    if entry.values[0] is not None
]
HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "api.x.ai": "xai",
    "azure (ai services)": "azure",
    "azure (openai)": "azure",
    "router.huggingface.co": "huggingface",
}
"""The row of each host that headers were recorded of."""
KNOWN: dict[str, list[set[str]]] = {
    "anthropic": [{"requests", "tokens", "input_tokens", "output_tokens"}] * 2,
    "groq": [{"requests", "tokens"}],
    "mistral": [{"tokens"}, set()],
    "openai": [{"requests", "tokens"}] * 2,
    "xai": [set()],
    "azure": [{"requests", "tokens"}, {"requests", "tokens"}, set()],
    "huggingface": [set(), {"requests"}, set()],
}
"""The limits that a limiter can read there. Who says neither a reset nor a period says too little."""
OF_ANOTHER_KIND = {"retry-after", "x-max-retry-attempts-reached"}
COHERE = {
    "x-endpoint-monthly-call-limit": "1000",
    "x-trial-endpoint-call-limit": "20",
    "x-trial-endpoint-call-remaining": "19",
}
"""As several programs logged them of api.cohere.com in 2026."""
each_transport = pytest.mark.parametrize(
    "transport",
    [TRANSPORTS[0], *(pytest.param(each, marks=pytest.mark.slow) for each in TRANSPORTS[1:])],
)


def row_of(case: dict[str, Any]) -> str:
    name = case["provider"]
    family = f"{name} /responses" if case["path"].endswith("/responses") else name
    return ROWS.get(family) or ROWS.get(name, name)


def grouped(cases: list[dict[str, Any]], name: Any) -> list[Any]:
    """The cases of each row, as parameters; one to be skipped if there are none."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        rows.setdefault(name(case), []).append(case)
    found = [pytest.param(row, mine, id=row) for row, mine in rows.items()]
    return found or [pytest.param(None, None, marks=pytest.mark.skip(reason="no recordings"))]


def wall_time(headers: dict[str, str]) -> float:
    """Ten seconds before the first limit is whole again, where the headers tell the time."""
    resets = [
        value for name, value in headers.items() if name.startswith("anthropic") and "reset" in name
    ]
    return min((datetime.fromisoformat(reset).timestamp() - 10 for reset in resets), default=0.0)


def client_of(row: str, server: Loopback, key: str = "k-1", **options: Any) -> LLMClient:
    url = server.url(row)
    return LLMClient(f"{row}:m-1", api_key=key, base_url=url, retry=ONCE, **options)


def as_arguments(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}


async def failures(
    row: str, handlers: list[Handler], transport: str
) -> tuple[list[ErrorInfo], list[str]]:
    """What each of these answers becomes, and the words of its ERROR."""
    infos, words = [], []
    async with Loopback(*handlers) as server:
        for number in range(len(handlers)):
            # Each with a key of its own, or a delay that one names would hold up the next.
            async with client_of(
                row, server, f"key-of-caller-{number}", transport=transport
            ) as client:
                *_, last = [event async for event in client.chat_completion(HI)]
            infos.append(last.error_info)
            words.append(last.error)
    assert len(server.requests) == len(handlers)
    return infos, words


def words_in(body: Any) -> set[str]:
    """All texts of a body, wherever they stand."""
    if isinstance(body, dict):
        return {word for value in body.values() for word in words_in(value)}
    if isinstance(body, list):
        return {word for value in body for word in words_in(value)}
    return {body} if isinstance(body, str) else set()


@each_transport
@pytest.mark.parametrize(("row", "cases"), grouped(RECORDED, row_of))
async def test_a_recorded_error_is_told_as_it_is(
    row: str, cases: list[dict[str, Any]], transport: str
) -> None:
    """Its kind, status, code, message, whether it is retried and when, and nothing of our own."""
    refusals = [
        refuse(case["status"], case["body"], **as_arguments(case["headers"])) for case in cases
    ]
    infos, words = await failures(row, refusals, transport)
    for case, info, shown in zip(cases, infos, words, strict=True):
        where = case["source"]
        assert (info.kind, info.status_code) == (case["expect_kind"], case["status"]), where
        assert (info.provider, info.partial) == (row, None), where
        assert info.retryable == (info.kind in RETRYABLE), where
        body = case["body"]
        # The member that is wrong may follow, and what the host was told by whom it asked.
        said = {" ".join(text.split()).rstrip(".") for text in words_in(body)}
        message = " ".join(info.message.split())
        assert any(len(text) > 10 and message.startswith(text) for text in said), where
        assert info.message in shown, where
        everything = json.dumps(body) + json.dumps(case["headers"])
        assert info.code is None or info.code in everything, where
    if row in FIRM:
        assert [(info.code, info.retryable, info.retry_after) for info in infos] == FIRM[row]


def with_limits(format: str, status: int, headers: dict[str, str]) -> Handler:
    async def handler(request: Request, reply: Reply) -> None:
        if status != 200:
            await reply.whole(status, {"message": "slow down"}, **as_arguments(headers))
            return
        await reply.head(**as_arguments(headers))
        for data in pieces(format, "hi"):
            await reply.send(data)
        await reply.end()

    return handler


async def started(row: str, samples: list[dict[str, str]], transport: str) -> list[Start]:
    """How answers begin that have these headers."""
    format = APIS.get(row, "openai-chat")
    answers = [with_limits(format, 200, headers) for headers in samples]
    async with Loopback(*answers) as server, client_of(row, server, transport=transport) as client:
        found = []
        for _ in samples:
            last = await anext(client.chat_completion(HI, stream=False))
            assert last.start is not None, last.error
            found.append(last.start)
    return found


@each_transport
@pytest.mark.parametrize(("row", "cases"), grouped(SAMPLES, lambda case: HOSTS[case["host"]]))
async def test_recorded_rate_limits_arrive_and_are_understood(
    row: str, cases: list[dict[str, Any]], transport: str
) -> None:
    samples = [case["headers"] for case in cases]
    limits = [
        {name: value for name, value in sample.items() if name not in OF_ANOTHER_KIND}
        for sample in samples
    ]
    starts = await started(row, samples, transport)
    assert [start.rate_limits for start in starts] == limits
    read = [parse_rate_limits(start.rate_limits, wall_time(start.rate_limits)) for start in starts]
    assert [set(limits) for limits in read] == KNOWN[row]
    assert all(left.full_in <= 60 for limits in read for left in limits.values())
    refusals = [with_limits("", 429, sample) for sample in samples]
    infos, _ = await failures(row, refusals, transport)
    assert [(info.kind, info.rate_limits) for info in infos] == [
        ("rate_limit", found) for found in limits
    ]
    # None of them is used up; who names a delay beside them means it.
    delays = [
        float(sample["retry-after"]) if "retry-after" in sample else None for sample in samples
    ]
    assert [info.retry_after for info in infos] == delays


@each_transport
async def test_what_a_trial_key_of_coheres_has_left_is_understood(transport: str) -> None:
    (start,) = await started("cohere", [COHERE], transport)
    assert start.rate_limits == COHERE
    assert parse_rate_limits(start.rate_limits, 0.0)["requests"].remaining == 19
    monthly = "You are using a Trial key, which is limited to 1000 API calls / month. Upgrade"
    minutely = "You are using a Trial key, which is limited to 20 API calls / minute. Upgrade"
    refusals = [refuse(429, {"id": "x", "message": message}) for message in (monthly, minutely)]
    infos, _ = await failures("cohere", refusals, transport)
    assert [(info.kind, info.retryable) for info in infos] == [
        ("quota", False),
        ("rate_limit", True),
    ]
