"""Sampling options at Anthropic: which model takes them, and under which version of the API, end to end.

The server refuses them as Anthropic does, in its words.
"""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.providers.config import TRANSPORTS
from tests.loopback import Loopback, Reply, Request, answer, refuse

QUESTION = [{"role": "user", "content": "hi"}]
OLD, NEW = "2023-06-01", "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
SAMPLED = [
    "claude-2.1",
    "claude-instant-1.2",
    "claude-3-opus-20240229",
    "claude-3-5-sonnet-latest",
    "claude-3-7-sonnet-20250219",
    "claude-sonnet-4-20250514",
    "claude-opus-4-1@20250805",
    "claude-haiku-4-5",
    "anthropic/claude-sonnet-4.5",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "claude-opus-4-6",
]
EXCLUSIVE = SAMPLED[SAMPLED.index("claude-opus-4-1@20250805") :]
UNSAMPLED = [
    "claude-opus-4-7",
    "claude-opus-4.8",
    "claude-sonnet-5",
    "claude-opus-5-5",
    "claude-fable-5-1",
    "claude-x",
]

over = pytest.mark.parametrize("transport", TRANSPORTS)


async def claude(request: Request, reply: Reply) -> None:
    """Anthropic's rules."""
    body, version = request.body, request.headers["anthropic-version"]
    problem = next(
        (p for name in SAMPLING if name in body and (p := _problem(name, body, version))), None
    )
    if problem is None:
        await answer("anthropic-messages")(request, reply)
        return
    error = {"type": "invalid_request_error", "message": problem}
    await refuse(400, {"type": "error", "error": error})(request, reply)


def _problem(name: str, body: dict[str, Any], version: str) -> str | None:
    if version >= NEW:
        return f"{name}: Extra inputs are not permitted"
    if body["model"] in UNSAMPLED and body[name] != 1:
        return f"`{name}` is deprecated for this model."
    if body["model"] in EXCLUSIVE and {"temperature", "top_p"} <= body.keys():
        return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive") and (name, body[name]) != (
        "temperature",
        1,
    ):
        return f"`{name}` may only be set to 1 when thinking is enabled or in adaptive mode."
    return None


def connect(server: Loopback, model: str, **options: Any) -> LLMClient:
    if "sdk_client" not in options:
        options = {"api_key": "sk-loopback-key", "base_url": server.url("anthropic"), **options}
    return LLMClient(f"anthropic:{model}", retry=RetryPolicy(max_attempts=1), **options)


async def ask(client: LLMClient, **options: Any) -> StreamEvent:
    """The end of an answer that came at once."""
    events: list[StreamEvent] = [
        event async for event in client.chat_completion(QUESTION, **options)
    ]
    assert not [event for event in events if event.retry]
    assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
    return events[-1]


def dropped(end: StreamEvent) -> list[str]:
    assert end.start is not None
    return [warning.partition(":")[0] for warning in end.start.warnings]


def sent(request: Request) -> tuple[Any, ...]:
    """The version and the sampling options of a request."""
    return (
        request.headers["anthropic-version"],
        *((n, request.body[n]) for n in SAMPLING if n in request.body),
    )


@pytest.mark.parametrize("model", SAMPLED)
async def test_a_claude_up_to_4_6_keeps_them_under_the_older_version(model: str) -> None:
    async with Loopback(claude) as server, connect(server, model, strict=True) as client:
        await ask(client, temperature=0.2)
        await ask(client, top_p=0.9)
        await ask(client, temperature=0.2, reasoning_effort="none")
        await ask(client)
    assert [sent(request) for request in server.requests] == [
        (OLD, ("temperature", 0.2)),
        (OLD, ("top_p", 0.9)),
        (OLD, ("temperature", 0.2)),
        (NEW,),
    ]


@pytest.mark.parametrize("model", SAMPLED)
async def test_temperature_goes_alone_where_the_two_exclude_each_other(model: str) -> None:
    own: dict[str, Any] = {"provider_options": {"anthropic": {"top_p": 0.5}}}
    async with Loopback(claude) as server, connect(server, model) as client:
        warned = [
            dropped(await ask(client, temperature=0.2, top_p=0.9)),
            dropped(await ask(client, temperature=0.2, **own)),
        ]
    both = [
        (OLD, ("temperature", 0.2), ("top_p", 0.9)),
        (OLD, ("temperature", 0.2), ("top_p", 0.5)),
    ]
    one = [(OLD, ("temperature", 0.2)), (OLD, ("top_p", 0.5))]
    exclusive = model in EXCLUSIVE
    assert warned == ([["top_p"], ["temperature"]] if exclusive else [[], []])
    assert [sent(request) for request in server.requests] == (one if exclusive else both)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", UNSAMPLED)
async def test_a_later_claude_gets_none_and_the_start_says_so(model: str, *, stream: bool) -> None:
    async with Loopback(claude) as server:
        async with connect(server, model) as client:
            assert dropped(await ask(client, temperature=0.2, top_p=0.9, stream=stream)) == [
                "temperature",
                "top_p",
            ]
            assert dropped(await ask(client, temperature=1, stream=stream)) == ["temperature"]
        async with connect(server, model, strict=True) as client:
            with pytest.raises(
                ConfigurationError, match=r"temperature: Claude takes none from 4\.7 on"
            ):
                await ask(client, temperature=0.2, stream=stream)
    assert [sent(request) for request in server.requests] == [(NEW,), (NEW,)]


@pytest.mark.parametrize(
    "thinking",
    [
        {"reasoning_effort": "low"},
        {
            "provider_options": {
                "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}}
            }
        },
    ],
    ids=["effort", "provider_options"],
)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6"])
async def test_one_that_reasons_gets_none_but_a_temperature_of_one(
    model: str, thinking: dict[str, Any]
) -> None:
    async with Loopback(claude) as server, connect(server, model) as client:
        assert "temperature" in dropped(await ask(client, temperature=0.2, **thinking))
        assert {"temperature", "top_p"} <= {
            *dropped(await ask(client, temperature=0.2, top_p=0.9, **thinking))
        }
        assert "temperature" not in dropped(await ask(client, temperature=1, **thinking))
    assert [sent(request) for request in server.requests] == [
        (NEW,),
        (NEW,),
        (OLD, ("temperature", 1)),
    ]


@over
@pytest.mark.parametrize("held", [False, True], ids=["ours", "held by the user too"])
async def test_each_request_goes_out_under_its_own_version(transport: str, *, held: bool) -> None:
    """The first is the SDK's own, the others are copies of it, until somebody holds the SDK's client."""
    asked: list[dict[str, Any]] = [{"temperature": 0.2}, {}, {"temperature": 0.3}, {}]
    async with Loopback(claude) as server:
        for order in (asked, asked[1:]):
            async with connect(server, "claude-opus-4-6", transport=transport) as client:
                if held:
                    client.get_client()
                for options in order:
                    await ask(client, **options)
    versions = [request.headers["anthropic-version"] for request in server.requests]
    assert versions == [OLD, NEW, OLD, NEW, NEW, OLD, NEW]


@pytest.mark.parametrize("called", ["anthropic-version", "Anthropic-Version"])
@pytest.mark.parametrize("where", ["client", "call", "environment", "sdk_client"])
@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_version_of_the_caller_s_own_decides(
    where: str, version: str, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anthropic

    own, options, each = {called: version}, {}, {}
    async with Loopback(claude) as server:
        if where == "client":
            options = {"headers": own}
        elif where == "call":
            each = {"headers": own}
        elif where == "environment":
            monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"{called}: {version}")
        else:
            url = server.url("anthropic")
            options = {
                "sdk_client": anthropic.AsyncAnthropic(
                    api_key="k", base_url=url, default_headers=own
                )
            }
        for model in ("claude-opus-4-6", "claude-opus-5-5"):
            async with connect(server, model, **options) as client:
                warned = [dropped(await ask(client, temperature=0.2, **each)) for _ in range(2)]
            takes = model == "claude-opus-4-6" and version == OLD
            assert warned == [[] if takes else ["temperature"]] * 2
    kept = [(OLD, ("temperature", 0.2))] if version == OLD else [(NEW,)]
    assert [sent(request) for request in server.requests] == kept * 2 + [(version,)] * 2


async def test_a_client_of_the_user_s_own_sends_the_version_that_fits() -> None:
    import anthropic

    async with Loopback(claude) as server:
        url = server.url("anthropic")
        async with anthropic.AsyncAnthropic(api_key="sk-loopback-key", base_url=url) as sdk:
            async with connect(server, "claude-opus-4-6", sdk_client=sdk) as client:
                await ask(client, temperature=0.2)
                await ask(client)
                await ask(client, temperature=0.2, headers={"X-Own": "1"})
            async with connect(server, "claude-opus-5-5", sdk_client=sdk) as client:
                assert dropped(await ask(client, temperature=0.2)) == ["temperature"]
    warm = (OLD, ("temperature", 0.2))
    assert [sent(request) for request in server.requests] == [warm, (NEW,), warm, (NEW,)]
    assert server.requests[2].headers["x-own"] == "1"


async def test_google_s_client_has_the_version_in_the_body() -> None:
    import anthropic

    options: Any = {"region": "eu", "project_id": "p", "access_token": "t-loopback"}
    own = {"provider_options": {"anthropic": {"anthropic_version": NEW}}}
    async with (
        Loopback(answer("anthropic-messages")) as server,
        anthropic.AsyncAnthropicVertex(base_url=server.url("anthropic"), **options) as sdk,
    ):
        async with connect(server, "claude-opus-4-6", sdk_client=sdk) as client:
            assert dropped(await ask(client, temperature=0.2)) == []
            assert dropped(await ask(client)) == []
            assert dropped(await ask(client, temperature=0.2, **own)) == ["temperature"]
        async with connect(server, "claude-opus-5-5", sdk_client=sdk) as client:
            assert dropped(await ask(client, temperature=0.2)) == ["temperature"]
    assert not any("anthropic-version" in request.headers for request in server.requests)
    said = [
        (request.body["anthropic_version"], request.body.get("temperature"))
        for request in server.requests
    ]
    assert said == [("vertex-2023-10-16", 0.2), (NEW, None), (NEW, None), (NEW, None)]


async def test_amazon_s_client_has_the_version_in_the_body() -> None:
    import anthropic

    options: Any = {"aws_region": "eu-west-1", "api_key": "t-loopback"}
    async with (
        Loopback(refuse(400, {"message": "no"})) as server,
        anthropic.AsyncAnthropicBedrock(base_url=server.url("anthropic"), **options) as sdk,
    ):
        for model, asked in (
            ("claude-opus-4-6", 0.2),
            ("claude-opus-4-6", None),
            ("claude-opus-5-5", 0.2),
        ):
            async with connect(server, model, sdk_client=sdk) as client:
                [_ async for _ in client.chat_completion(QUESTION, temperature=asked)]
    assert not any("anthropic-version" in request.headers for request in server.requests)
    said = [
        (request.body["anthropic_version"], request.body.get("temperature"))
        for request in server.requests
    ]
    assert said == [("bedrock-2023-05-31", 0.2), (NEW, None), (NEW, None)]


@pytest.mark.parametrize("model", ["deepseek-v4-flash", "MiniMax-M2.7", "kimi-k3", "m-1"])
async def test_models_of_others_keep_them(model: str) -> None:
    async with Loopback(claude) as server, connect(server, model, strict=True) as client:
        await ask(client, temperature=0.2, top_p=0.9)
    assert sent(server.requests[0]) == (OLD, ("temperature", 0.2), ("top_p", 0.9))


async def test_provider_options_are_the_caller_s_own_wish() -> None:
    async with (
        Loopback(claude) as server,
        connect(server, "claude-opus-4-6", strict=True) as client,
    ):
        await ask(client, provider_options={"anthropic": {"temperature": 0.2, "top_k": 5}})
        await ask(client, temperature=0.9, provider_options={"anthropic": {"temperature": 0.2}})
        await ask(client)
    options = [(OLD, ("temperature", 0.2), ("top_k", 5)), (OLD, ("temperature", 0.2)), (NEW,)]
    assert [sent(request) for request in server.requests] == options


@pytest.mark.parametrize("name", SAMPLING)
async def test_what_is_refused_all_the_same_is_learned(name: str) -> None:
    """Here because the caller's own options hold it; so it is where a name doesn't say which Claude it means."""
    wish: dict[str, Any] = {"provider_options": {"anthropic": {name: 0.5}}}
    async with Loopback(claude) as server, connect(server, "claude-opus-5-5") as client:
        events = [event async for event in client.chat_completion(QUESTION, **wish)]
        assert [event.retry.reason for event in events if event.retry]
        assert events[-1].type is EventType.MESSAGE_COMPLETE
        assert dropped(await ask(client, **wish)) == [name]
    assert [name in request.body for request in server.requests] == [True, False, False]
    assert [request.headers["anthropic-version"] for request in server.requests] == [OLD, NEW, NEW]
