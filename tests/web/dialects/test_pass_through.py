"""A gateway hands on what it lists, between a client and a provider of the same format; it names the rest.

The upstream is a server on loopback that answers in its own format and remembers what it was sent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmstream import LLMClient, RetryPolicy
from llmstream.testing import ScriptedProvider
from llmstream.web import create_app
from llmstream.wire.pass_through import (
    PASSED,
    RATE_LIMITS,
    REQUEST_HEADERS,
    SAMPLING,
    rate_limits_of,
)
from tests.loopback import Loopback, Reply, Request, pieces
from tests.web.serving import fetch, serving

HI = [{"role": "user", "content": "hi"}]
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "ollama-native": "/api/chat",
    "gemini-generate": "/v1beta/models/m:generateContent",
}
MODELS = {
    "openai-chat": "openai:m-1",
    "openai-responses": "openai-responses:m-1",
    "anthropic-messages": "anthropic:claude-sonnet-4-5",
    "ollama-native": "ollama:m-1",
    "gemini-generate": "gemini:m-1",
}
LIMITS = {
    "anthropic-ratelimit-requests-remaining": "41",
    "x-ratelimit-remaining-tokens": "999",
    "x-internal-secret": "s",
}
VALUES: dict[str, Any] = {
    "min_tokens": 5,
    "thinking_budget": 1000,
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "output_config": {"task_budget": {"type": "tokens", "total": 9}},
    "reasoning": {"exclude": True},
    "store": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "include": ["file_search_call.results", "reasoning.encrypted_content"],
    "max_tool_calls": 3,
    "text": {"something": 1},
    "tool_choice": {"type": "web_search"},
    "truncation": "auto",
    "generationConfig.thinkingConfig": {"thinkingBudget": 100},
    "generationConfig.imageConfig": {"aspectRatio": "1:1"},
    "generationConfig.speechConfig": {"languageCode": "en"},
    "generationConfig.responseModalities": ["TEXT"],
    "safetySettings": [{"category": "c", "threshold": "t"}],
    "toolConfig.functionCallingConfig": {"mode": "VALIDATED"},
}
"""Members that have a shape of their own."""


def upstream(format: str) -> Loopback:
    """Answers in this format, with rate limits in its head."""

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head(**LIMITS, x_request_id="theirs")
        for data in pieces(format, "Hello."):
            await reply.send(data)
        await reply.end()

    return Loopback(handler)


class Gateway:
    """`create_app` over one upstream: what a client of one format gets, and what the upstream saw."""

    def __init__(self, to: str, model: str | None = None, **options: Any) -> None:
        self.to, self.model, self.options = to, model or MODELS[to], options
        self.upstream = upstream(to)

    async def ask(self, format: str, body: dict[str, Any], **headers: str) -> tuple[Any, ...]:
        """Status, headers, body of the answer, and the request that the upstream saw, if any."""
        async with self.upstream as server:
            url = server.url(self.model.partition(":")[0])
            retry = RetryPolicy(max_attempts=1)
            async with LLMClient(
                self.model, api_key="sk-own", base_url=url, retry=retry, **self.options
            ) as client:
                app = create_app(client, models={"m": self.model}, hosted_tools=["web_search"])
                async with serving(app) as port:
                    data = json.dumps({"model": "m", **body}).encode()
                    head = {"content_type": "application/json", **headers}
                    status, got, answer = await fetch(port, PATHS[format], "POST", data, **head)
            seen = server.requests[-1] if server.requests else None
        return status, {k.lower(): v for k, v in got.items()}, answer, seen


def named(headers: dict[str, str]) -> list[str]:
    """What the header names."""
    told = headers.get("x-llmstream-warnings", "")
    return sorted({each.partition(":")[0] for each in told.split(" | ")} - {""})


ASKED: dict[str, dict[str, Any]] = {
    "openai-chat": {"messages": HI},
    "openai-responses": {"input": "hi", "store": False},
    "anthropic-messages": {"messages": HI, "max_tokens": 64000},
    "ollama-native": {"messages": HI},
    "gemini-generate": {"contents": "hi"},
}


def listed_members(format: str) -> dict[str, Any]:
    """All members that are handed on, those within an object in it."""
    members: dict[str, Any] = {}
    for name in PASSED[format]:
        holder, _, inner = name.rpartition(".")
        place = members.setdefault(holder, {}) if holder else members
        place[inner] = VALUES.get(name, f"value of {name}")
    return members


def body_of(format: str, **members: Any) -> dict[str, Any]:
    return {**ASKED[format], **members}


modes = pytest.mark.parametrize("stream", [True, False])
LATER = ("ollama-native", "gemini-generate")
"""Formats that the core tries with the members that they hand on; the rest of their grid is slow."""
formats = pytest.mark.parametrize(
    "format",
    [pytest.param(each, marks=pytest.mark.slow if each in LATER else ()) for each in PATHS],
)


@modes
@pytest.mark.parametrize("format", PATHS)
async def test_listed_members_reach_a_provider_of_the_same_format(format, stream):
    members = listed_members(format)
    tools = {"tools": [{"type": "web_search"}]} if "tool_choice" in members else {}
    status, headers, _, seen = await Gateway(format).ask(
        format, body_of(format, stream=stream, **members, **tools)
    )
    assert (status, named(headers)) == (200, [])
    assert {name: seen.body.get(name) for name in members} == members


@modes
@formats
async def test_another_format_gets_none_of_them_and_each_is_named(format, stream):
    other = next(each for each in PATHS if each != format)
    members = listed_members(format)
    status, headers, _, seen = await Gateway(other).ask(
        format, body_of(format, stream=stream, **members)
    )
    assert status == 200
    assert {name.partition(".")[0] for name in named(headers)} >= members.keys()
    assert "value of" not in json.dumps(seen.body)


@modes
@formats
async def test_a_provider_of_no_format_gets_none_of_them_either(format, stream):
    client = LLMClient(provider=ScriptedProvider(["Hello."]))
    members = listed_members(format)
    body = {"model": "scripted:script", **body_of(format, stream=stream, **members)}
    models = dict.fromkeys(("m", "scripted:script"), "scripted:script")
    app = create_app(client, models=models, hosted_tools=["web_search"])
    async with serving(app) as port:
        data = json.dumps(body).encode()
        status, headers, _ = await fetch(
            port, PATHS[format], "POST", data, content_type="application/json"
        )
    told = named({name.lower(): value for name, value in headers.items()})
    assert status == 200
    assert {name.partition(".")[0] for name in told} == members.keys()


@modes
@formats
async def test_a_member_that_isn_t_listed_is_named(format, stream):
    names = ("fallbacks", "models", "container", "something-new")
    members = {name: ["x"] for name in names}
    status, headers, _, seen = await Gateway(format).ask(
        format, body_of(format, stream=stream, **members)
    )
    assert (status, named(headers)) == (200, sorted(members))
    assert not members.keys() & seen.body.keys()


@modes
async def test_under_strict_what_the_provider_would_leave_out_is_a_400_that_names_it(stream):
    body = {"messages": HI, "stream": stream, "temperature": 0.5}
    gateway = Gateway("openai-chat", "openai:gpt-5", strict=True)
    status, _, answer, seen = await gateway.ask("openai-chat", body)
    assert (status, seen) == (400, None)
    assert b"strict: temperature: this model takes none" in answer


@formats
async def test_under_strict_it_is_a_400(format):
    body = body_of(format, novelty=1)
    status, _, answer, seen = await Gateway(format, strict=True).ask(format, body)
    assert (status, seen) == (400, None)
    assert b"novelty" in answer


@modes
async def test_under_strict_a_client_that_says_nothing_of_store_is_answered(stream):
    gateway = Gateway("openai-responses", strict=True)
    status, headers, _, seen = await gateway.ask(
        "openai-responses", {"input": "hi", "stream": stream}
    )
    assert (status, named(headers), seen.body["store"]) == (200, ["store"], False)
    body = {"input": "hi", "stream": stream, "store": True}
    status, _, answer, seen = await Gateway("openai-responses", strict=True).ask(
        "openai-responses", body
    )
    assert (status, seen, b"strict: store" in answer) == (400, None, True)


@formats
async def test_a_member_that_is_null_says_nothing(format):
    status, headers, _, _ = await Gateway(format).ask(format, body_of(format, novelty=None))
    assert (status, named(headers)) == (200, [])


@modes
async def test_what_the_provider_leaves_out_is_named_as_well(stream):
    body = {"messages": HI, "stream": stream, "temperature": 0.5, "novelty": 1}
    status, headers, _, seen = await Gateway("openai-chat", "openai:gpt-5").ask("openai-chat", body)
    assert (status, named(headers)) == (200, ["novelty", "temperature"])
    assert "temperature" not in seen.body


async def test_a_member_s_name_can_t_break_the_head():
    names = ["a\r\nset-cookie: x=1", "ü", "x" * 5000, "\x00", "\u2028"]
    members = {f"{name}{number}": 1 for number in range(30) for name in names}
    status, headers, _, _ = await Gateway("openai-chat").ask(
        "openai-chat", {"messages": HI, **members}
    )
    assert status == 200
    assert "set-cookie" not in headers
    told = headers["x-llmstream-warnings"]
    assert told.isascii()
    assert told.isprintable()
    assert len(told) < 3600


# --- headers ----------------------------------------------------------------------------------------------------


@modes
async def test_a_client_s_version_and_betas_go_on_unchanged(stream):
    head = {"anthropic_version": "2023-06-01", "anthropic_beta": "context-1m-2025-08-07,x-1"}
    body = body_of("anthropic-messages", stream=stream, temperature=1)
    for model in ("anthropic:claude-sonnet-4-5", "anthropic:claude-opus-4-8"):
        gateway = Gateway("anthropic-messages", model)
        status, headers, _, seen = await gateway.ask("anthropic-messages", body, **head)
        assert (status, named(headers)) == (200, [])
        assert seen.headers["anthropic-version"] == head["anthropic_version"]
        assert seen.headers["anthropic-beta"] == head["anthropic_beta"]
        assert seen.body["temperature"] == 1
        assert "sk-own" in " ".join(seen.headers.values())


async def test_without_a_version_of_the_client_s_the_one_that_fits_goes_out():
    body = body_of("anthropic-messages", temperature=0.5)
    _, headers, _, seen = await Gateway("anthropic-messages").ask("anthropic-messages", body)
    assert (seen.headers["anthropic-version"], named(headers)) == ("2023-06-01", [])


async def test_betas_for_a_provider_of_another_format_are_named():
    head = {"anthropic_version": "2023-06-01", "anthropic_beta": "context-1m-2025-08-07"}
    status, headers, _, seen = await Gateway("openai-chat").ask(
        "anthropic-messages", body_of("anthropic-messages"), **head
    )
    assert (status, named(headers)) == (200, ["anthropic-beta"])
    assert not {"anthropic-version", "anthropic-beta"} & seen.headers.keys()


@modes
@formats
async def test_the_provider_s_rate_limits_come_back(format, stream):
    _, headers, _, _ = await Gateway(format).ask(format, body_of(format, stream=stream))
    back = {name for name in LIMITS if name in headers}
    assert back == {name for name in LIMITS if name.startswith(RATE_LIMITS.get(format, "none"))}
    other = "openai-chat" if format == "anthropic-messages" else "anthropic-messages"
    _, headers, _, _ = await Gateway(other).ask(format, body_of(format, stream=stream))
    assert not {name for name in headers if name.startswith(RATE_LIMITS[other])}


@modes
@formats
async def test_the_rate_limits_of_a_refusal_come_back_too(format, stream):
    async def refused(request: Request, reply: Reply) -> None:
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "secret"}}
        await reply.whole(429, body, retry_after="7", **LIMITS)

    gateway = Gateway(format)
    gateway.upstream = Loopback(refused)
    body = body_of(format, stream=stream, novelty=1)
    status, headers, answer, _ = await gateway.ask(format, body)
    assert (status, headers["retry-after"], named(headers)) == (429, "7", ["novelty"])
    back = {name for name in LIMITS if name in headers}
    assert back == {name for name in LIMITS if name.startswith(RATE_LIMITS.get(format, "none"))}
    assert b"secret" not in answer


async def test_the_app_s_own_endpoints_keep_them_back():
    async with (
        upstream("openai-chat") as server,
        LLMClient("openai:m-1", api_key="k", base_url=server.url("openai")) as client,
    ):
        last = await anext(client.chat_completion(HI, stream=False))
        assert last.start is not None
        known = {name: value for name, value in LIMITS.items() if "ratelimit" in name}
        assert last.start.rate_limits == known
        assert last.start.request_id == "theirs"
        async with serving(create_app(client)) as port:
            data = json.dumps({"messages": HI, "stream": True}).encode()
            _, headers, answer = await fetch(
                port, "/chat", "POST", data, content_type="application/json"
            )
    assert not [name for name in headers if "ratelimit" in name.lower()]
    assert b"ratelimit" not in answer
    assert b"theirs" not in answer


def test_rate_limits_from_elsewhere_are_bounded():
    many = {f"X-RateLimit-{n}": "1" for n in range(100)}
    assert len(rate_limits_of({**many, "x-ratelimit-long": "9" * 999})) <= 32
    assert rate_limits_of({"x-ratelimit-a": "\xff", "x-ratelimit-b": "1\r\n"}) == {}


# --- the documentation ------------------------------------------------------------------------------------------


def test_the_documentation_has_both_lists():
    page = (Path(__file__).parents[3] / "docs" / "serving.md").read_text("utf-8")
    for format, members in PASSED.items():
        (line,) = re.findall(rf"\| `{format}` \| (`[^|]*`) \|\n", page)
        assert set(re.findall(r"`([^`]+)`", line)) == members, format
        sent, back = re.findall(rf"\| `{format}` \| ([^|]*) \| ([^|]*) \|\n", page)[0]
        assert set(re.findall(r"`([^`]+)`", sent)) == set(REQUEST_HEADERS.get(format, ()))
        limits = RATE_LIMITS.get(format)
        assert back == ("none" if limits is None else f"`{limits}*`")


def test_ways_to_sample_are_only_for_chat_completions():
    assert PASSED["openai-chat"] > SAMPLING
    assert not SAMPLING & PASSED["anthropic-messages"]
