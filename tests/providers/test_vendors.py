"""The three APIs end to end: the official SDK clients against a loopback server, real bytes both ways."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import pytest

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    RetryPolicy,
    StreamEvent,
    Timeouts,
    ToolCall,
)
from llmstream.clock import LoopClock
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import VirtualClock
from llmstream.wire.formats import find_format
from tests.lanes import every_provider
from tests.loopback import (
    APIS,
    BY_SDK,
    CutError,
    Loopback,
    Reply,
    Request,
    answer,
    cut,
    error_frame,
    pieces,
    refuse,
)
from tests.patience import PATIENCE

QUESTION = [{"role": "user", "content": "hi"}]
ERRORS: dict[str, Any] = {
    "openai": {
        "error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
    },
    "openai-responses": {
        "error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
    },
    "anthropic": {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}},
    "bedrock": {"__type": "ThrottlingException", "message": "slow down"},
    "gemini-interactions": {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
    "gemini": {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}},
    "ollama": {"error": "slow down"},
    "cohere": {"message": "slow down"},
}

api = pytest.mark.parametrize("provider", every_provider())


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What closes, closes without the cyclic garbage collector."""
    gc.collect()
    gc.freeze()  # what is imported by now need not be looked through before every test
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True, params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs over each transport."""
    monkeypatch.setenv("LLMSTREAM_TRANSPORT", request.param)
    return str(request.param)


def connect(server: Loopback, provider: str, **options: Any) -> LLMClient:
    retry = options.pop("retry", RetryPolicy(base_delay=0.001))
    return LLMClient(
        f"{provider}:m-1",
        api_key="sk-loopback-key",
        base_url=server.url(provider),
        retry=retry,
        rng=Random(1),
        **options,
    )


async def collect(events: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    return [event async for event in events]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events)


@api
async def test_text_arrives_in_pieces_and_ends_with_usage(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server, connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION))
    assert text_of(events) == "Hello, world!"
    assert [e.type for e in events].count(EventType.TEXT_DELTA) > 1
    start, end = events[0].start, events[-1]
    assert start is not None
    assert (start.provider, start.model) == (provider, "m-1")
    assert end.type is EventType.MESSAGE_COMPLETE
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens) == (7, 3)
    assert end.message is not None
    assert end.message.text == "Hello, world!"
    asked = server.requests[0]
    if provider == "bedrock":  # both stand in its path
        assert asked.path == "/model/m-1/converse-stream"
        return
    if provider == "gemini":  # likewise
        assert asked.path == "/v1beta/models/m-1:streamGenerateContent?alt=sse"
        return
    assert asked.body["stream"] is True
    assert asked.body["model"] == "m-1"


@api
async def test_batch_mode_gives_one_event_with_the_whole_text(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server, connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION, stream=False))
    assert [e.type for e in events] == [EventType.MESSAGE_COMPLETE]
    assert events[0].text == "Hello, world!"


@api
async def test_a_whole_json_document_is_an_answer_too(provider: str) -> None:
    documents: dict[str, Any] = {
        "openai": {
            "id": "c",
            "model": "m-1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hello"},
                    "finish_reason": "stop",
                }
            ],
        },
        "bedrock": {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
            "stopReason": "end_turn",
        },
        "cohere": {
            "id": "c",
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        },
        "gemini-interactions": {
            "id": "i",
            "object": "interaction",
            "status": "completed",
            "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hello"}]}],
        },
        "ollama": {
            "model": "m-1",
            "message": {"role": "assistant", "content": "Hello"},
            "done": True,
            "done_reason": "stop",
        },
        "openai-responses": {
            "id": "r",
            "object": "response",
            "model": "m-1",
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "id": "x",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
                }
            ],
        },
        "gemini": {
            "responseId": "c",
            "modelVersion": "m-1",
            "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        },
        "anthropic": {
            "id": "a",
            "type": "message",
            "role": "assistant",
            "model": "m-1",
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    }
    async with (
        Loopback(refuse(200, documents[provider])) as server,
        connect(server, provider) as client,
    ):
        assert (await client.complete(QUESTION)).text == "Hello"


@api
async def test_tool_calls_come_whole_with_their_arguments(provider: str) -> None:
    call = ToolCall("call_7", "weather", '{"city": "Oslo"}', input={"city": "Oslo"})
    tool = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
    async with (
        Loopback(answer(APIS[provider], call)) as server,
        connect(server, provider) as client,
    ):
        events = await collect(client.chat_completion(QUESTION, tools=[tool]))
    calls = [e.tool_call for e in events if e.tool_call]
    assert [(c.id, c.name, c.input, c.complete) for c in calls] == [
        ("call_7", "weather", {"city": "Oslo"}, True)
    ]
    assert events[-1].finish_reason == "tool_calls"
    place = "toolConfig" if provider == "bedrock" else "tools"
    assert "weather" in json.dumps(server.requests[0].body[place])


@api
async def test_429_then_success_is_one_retry_event_and_two_requests(provider: str) -> None:
    clock = VirtualClock()
    limited = refuse(429, ERRORS[provider], retry_after="4")
    async with (
        Loopback(limited, answer(APIS[provider])) as server,
        connect(server, provider, clock=clock, timeouts=Timeouts(first_token=None)) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    retries = [e.retry for e in events if e.retry]
    assert len(retries) == 1
    assert len(server.requests) == 2
    assert (retries[0].attempt, retries[0].kind, retries[0].discard) == (2, "rate_limit", False)
    assert 4 <= retries[0].delay <= 5
    assert clock.sleeps == [retries[0].delay]
    assert text_of(events) == "Hello, world!"


@api
async def test_the_retry_is_announced_before_the_wait(provider: str) -> None:
    limited = refuse(429, ERRORS[provider], retry_after="30")
    async with Loopback(limited) as server, connect(server, provider) as client:
        async with client.stream(QUESTION) as stream:
            async for event in stream:
                assert event.type is EventType.RETRY
                break
        assert len(server.requests) == 1


@api
@pytest.mark.parametrize(
    ("status", "kind"), [(529, "overloaded"), (500, "server"), (503, "overloaded")]
)
async def test_overload_and_server_errors_are_retried_and_then_told(
    provider: str, status: int, kind: str
) -> None:
    async with Loopback(refuse(status, b"")) as server, connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION))
    assert [e.type for e in events] == [EventType.RETRY, EventType.RETRY, EventType.ERROR]
    info = events[-1].error_info
    assert info is not None
    assert (info.kind, info.status_code, info.attempts, len(server.requests)) == (
        kind,
        status,
        3,
        3,
    )


@api
async def test_a_refused_key_is_not_retried_and_never_shown(provider: str) -> None:
    async with (
        Loopback(
            refuse(401, {"error": {"message": "Incorrect API key: sk-loopback-key"}})
        ) as server,
        connect(server, provider) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert [e.type for e in events] == [EventType.ERROR]
    assert events[0].error_info is not None
    assert events[0].error_info.kind == "authentication"
    assert len(server.requests) == 1
    assert "sk-loopback-key" not in repr(events) + repr(client)


@api
async def test_connection_refused_is_an_error_of_that_kind(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server:
        pass
    async with connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION))
    assert [e.type for e in events] == [EventType.RETRY, EventType.RETRY, EventType.ERROR]
    assert events[-1].error_info is not None
    assert events[-1].error_info.kind == "connection"
    assert f"127.0.0.1:{server.port}" in (events[-1].error or "")


@api
async def test_a_cut_in_the_middle_is_truncated_with_the_text_so_far(provider: str) -> None:
    count = len(pieces(APIS[provider], "one two three four five"))
    async with (
        Loopback(cut(APIS[provider], count - 4)) as server,
        connect(server, provider) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].type is EventType.ERROR
    info = events[-1].error_info
    assert info is not None
    assert info.kind == "truncated"
    shown = text_of(events)
    assert shown
    assert "one two three four five".startswith(shown)
    assert info.partial is not None
    assert info.partial.text == shown
    assert len(server.requests) == 1


@api
async def test_a_clean_end_without_the_providers_own_end_is_truncated_too(provider: str) -> None:
    async def polite(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "one two three")[:-4]:
            await reply.send(data)
        await reply.end()

    async with Loopback(polite) as server, connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].error_info is not None
    assert events[-1].error_info.kind == "truncated"


@api
async def test_an_error_frame_under_200_before_the_first_piece_is_retried(provider: str) -> None:
    overloaded = error_frame(APIS[provider], ErrorInfo("overloaded", "busy"))
    async with (
        Loopback(overloaded, answer(APIS[provider])) as server,
        connect(server, provider) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert [e.retry.kind for e in events if e.retry] == ["overloaded"]
    assert text_of(events) == "Hello, world!"
    assert len(server.requests) == 2


@api
async def test_an_error_frame_after_text_ends_the_stream_with_what_came(provider: str) -> None:
    items = ("one two ", ErrorInfo("overloaded", "busy"))
    async with (
        Loopback(answer(APIS[provider], *items)) as server,
        connect(server, provider) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert text_of(events) == "one two "
    info = events[-1].error_info
    assert info is not None
    assert (info.kind, info.status_code, len(server.requests)) == ("overloaded", None, 1)


def endless(format: str, left: list[float]) -> Any:
    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(format, "one two three four")[:-2]:
            await reply.send(data)
        left.append(await reply.client_left())
        raise CutError

    return handler


async def leave_by_block(client: LLMClient) -> None:
    async with client.stream(QUESTION) as stream:
        async for event in stream:
            if event.text:
                break


async def leave_by_aclose(client: LLMClient) -> None:
    events = client.chat_completion(QUESTION)
    async for event in events:
        if event.text:
            break
    await events.aclose()


async def leave_by_dropping(client: LLMClient) -> None:
    async for event in client.chat_completion(QUESTION):
        if event.text:
            break


async def leave_by_cancelling(client: LLMClient) -> None:
    shown = asyncio.Event()

    async def consume() -> None:
        async for event in client.chat_completion(QUESTION):
            if event.text:
                shown.set()

    task = asyncio.create_task(consume())
    await shown.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_cancelling_twice(client: LLMClient) -> None:
    """The second cancellation falls into the cleaning up after the first."""
    shown = asyncio.Event()

    async def consume() -> None:
        async with client.stream(QUESTION) as stream:
            async for event in stream:
                if event.text:
                    shown.set()

    task = asyncio.create_task(consume())
    await shown.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_an_exception(client: LLMClient) -> None:
    async def fail() -> None:
        async with client.stream(QUESTION) as stream:
            async for event in stream:
                if event.text:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


WAYS_TO_LEAVE = [
    leave_by_block,
    leave_by_aclose,
    leave_by_dropping,
    leave_by_cancelling,
    leave_by_cancelling_twice,
    leave_by_an_exception,
]


@api
@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_leaving_early_closes_the_socket_at_once(provider: str, leave: Any) -> None:
    took = []
    left: list[float] = []
    async with (
        Loopback(endless(APIS[provider], left)) as server,
        connect(server, provider) as client,
    ):
        for _ in range(20):
            await leave(client)
            began = time.monotonic()
            while server.open:
                await asyncio.sleep(0)
                assert time.monotonic() - began < PATIENCE, "the server still sees the connection"
            took.append(time.monotonic() - began)
    assert len(left) == 20
    assert statistics.median(took) < 0.05
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@api
async def test_three_calls_reuse_one_connection(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server, connect(server, provider) as client:
        for _ in range(3):
            assert (await client.complete(QUESTION)).text == "Hello, world!"
    assert [request.connection for request in server.requests] == [1, 1, 1]


@api
async def test_a_kept_alive_connection_that_died_is_replaced_at_once_and_uncounted(
    provider: str,
) -> None:
    async def dying(request: Request, reply: Reply) -> None:
        await answer(APIS[provider])(request, reply)
        await reply.reader.readuntil(b"\r\n\r\n")  # the next request comes in, and finds nobody
        raise CutError

    async with (
        Loopback(dying, answer(APIS[provider])) as server,
        connect(server, provider, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        await client.complete(QUESTION)
        events = await collect(client.chat_completion(QUESTION))
    assert text_of(events) == "Hello, world!"
    assert not [e for e in events if e.retry]
    assert [request.connection for request in server.requests] == [1, 2]


@api
async def test_a_new_connection_that_dies_is_not_replayed(provider: str) -> None:
    async def dead(request: Request, reply: Reply) -> None:
        raise CutError

    async with (
        Loopback(dead) as server,
        connect(server, provider, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].error_info is not None
    assert events[-1].error_info.kind == "connection"
    assert len(server.requests) == 1


@api
async def test_redirects_are_not_followed(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as sink:
        moved = refuse(307, b"", location=f"http://127.0.0.1:{sink.port}/v1")
        async with Loopback(moved) as server, connect(server, provider) as client:
            events = await collect(client.chat_completion(QUESTION))
        assert sink.requests == []
    assert events[-1].error_info is not None
    assert (events[-1].error_info.kind, len(server.requests)) == ("redirect", 1)


@api
@pytest.mark.parametrize(
    ("clock", "timeouts"),
    [
        ("first_token", Timeouts(first_token=0.1)),
        ("idle", Timeouts(idle=0.1)),
        pytest.param("total", Timeouts(total=1.0), marks=pytest.mark.slow),  # a second for each
    ],
)
async def test_a_silent_server_runs_into_the_clock_that_watches_it(
    provider: str, clock: str, timeouts: Timeouts
) -> None:
    async def silent(request: Request, reply: Reply) -> None:
        await reply.head()
        if clock != "first_token":
            for data in pieces(APIS[provider], "one two three four")[:-4]:
                await reply.send(data)
        await reply.client_left()
        raise CutError

    retry = RetryPolicy(max_attempts=1)
    async with (
        Loopback(answer(APIS[provider]), silent) as server,
        connect(server, provider, retry=retry) as client,
    ):
        await client.complete(QUESTION)  # what the first call imports counts on no clock
        events = await collect(client.chat_completion(QUESTION, timeouts=timeouts))
    info = events[-1].error_info
    assert info is not None
    assert (info.kind, info.code) == ("timeout", clock)
    assert bool(text_of(events)) == (clock != "first_token")


@api
async def test_no_headers_is_a_first_token_timeout(provider: str) -> None:
    async def mute(request: Request, reply: Reply) -> None:
        await reply.client_left()
        raise CutError

    retry = RetryPolicy(max_attempts=1)
    timeouts = Timeouts(first_token=0.1)
    async with (
        Loopback(mute) as server,
        connect(server, provider, timeouts=timeouts, retry=retry) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].error_info is not None
    assert (events[-1].error_info.kind, events[-1].error_info.code) == ("timeout", "first_token")


@api
async def test_keep_alives_alone_are_no_progress(provider: str) -> None:
    async def pinging(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "one two three four")[:-4]:
            await reply.send(data)
        while True:
            await reply.send(find_format(APIS[provider]).framing.keep_alive)
            await asyncio.sleep(0.02)

    retry = RetryPolicy(max_attempts=1)
    timeouts = Timeouts(progress=0.15)
    async with (
        Loopback(pinging) as server,
        connect(server, provider, timeouts=timeouts, retry=retry) as client,
    ):
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].error_info is not None
    assert (events[-1].error_info.kind, events[-1].error_info.code) == ("timeout", "progress")


class JumpingClock(LoopClock):
    """The loop's clock, put forward by whoever holds an event: a wait that takes no time."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@api
async def test_a_consumer_may_take_its_time(provider: str) -> None:
    """The clocks run only while we wait for the provider."""
    clock, held = JumpingClock(), asyncio.Event()

    async def in_step(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "one two three four"):
            await reply.send(data)
            if b'"one' in data:
                await held.wait()
                await asyncio.sleep(0.02)  # so that the next read has to wait
        await reply.end()

    timeouts = Timeouts(idle=5.0, progress=5.0, total=5.0)
    async with Loopback(in_step) as server, connect(server, provider, clock=clock) as client:
        events = []
        async for event in client.chat_completion(QUESTION, timeouts=timeouts):
            clock.ahead += 60
            if event.text:
                held.set()
            events.append(event)
    assert events[-1].type is EventType.MESSAGE_COMPLETE


@api
async def test_a_server_that_keeps_the_body_open_after_the_end_does_not_hold_us(
    provider: str,
) -> None:
    async def lingering(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "done"):
            await reply.send(data)
        await reply.client_left()
        raise CutError

    async with Loopback(lingering) as server, connect(server, provider) as client:
        events = await collect(client.chat_completion(QUESTION))
    assert events[-1].type is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("provider", BY_SDK)
async def test_a_users_own_sdk_client_is_used_once_per_attempt_and_stays_open(
    provider: str,
) -> None:
    import anthropic
    import openai

    async with Loopback(refuse(500, b"")) as server:
        make: Any = anthropic.AsyncAnthropic if provider == "anthropic" else openai.AsyncOpenAI
        sdk = make(api_key="k", base_url=server.url(provider), max_retries=5)
        async with LLMClient(
            f"{provider}:m", sdk_client=sdk, retry=RetryPolicy(max_attempts=2, base_delay=0)
        ) as client:
            events = await collect(client.chat_completion(QUESTION))
            assert type(client.get_client()) is type(sdk)
        assert events[-1].type is EventType.ERROR
        assert len(server.requests) == 2
        assert not sdk.is_closed()
        await sdk.close()


@pytest.mark.parametrize(("provider", "wrong"), [("openai", "OpenAI"), ("anthropic", "Anthropic")])
def test_an_sdk_client_of_another_kind_is_refused(provider: str, wrong: str) -> None:
    import anthropic
    import openai

    blocking = getattr(openai if provider == "openai" else anthropic, wrong)(api_key="k")
    with (
        blocking,
        pytest.raises(ConfigurationError, match=f"async client of the {provider} package"),
    ):
        LLMClient(f"{provider}:m", sdk_client=blocking)
    other = anthropic.AsyncAnthropic if provider == "openai" else openai.AsyncOpenAI
    with pytest.raises(ConfigurationError, match=f"async client of the {provider} package"):
        LLMClient(f"{provider}:m", sdk_client=other(api_key="k"))


async def test_azure_works_through_its_own_client() -> None:
    import openai

    async with Loopback(answer("openai-chat")) as server:
        sdk = openai.AsyncAzureOpenAI(
            api_key="k", azure_endpoint=f"http://127.0.0.1:{server.port}", api_version="2024-10-21"
        )
        async with LLMClient("openai:gpt-4o", sdk_client=sdk) as client:
            assert (await client.complete(QUESTION)).text == "Hello, world!"
        await sdk.close()
    assert (
        server.requests[0].path
        == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    )
    assert server.requests[0].headers["api-key"] == "k"


@api
async def test_headers_and_provider_options_reach_the_wire(provider: str) -> None:
    async with (
        Loopback(answer(APIS[provider])) as server,
        connect(server, provider, headers={"X-Team": "blue"}) as client,
    ):
        await client.complete(
            QUESTION, headers={"X-Call": "9"}, provider_options={provider: {"service_tier": "flex"}}
        )
    request = server.requests[0]
    assert (request.headers["x-team"], request.headers["x-call"]) == ("blue", "9")
    assert request.body["service_tier"] == "flex"


@api
def test_a_client_at_module_level_works_across_asyncio_run_calls(provider: str) -> None:
    """And leaves no socket open behind it, although nobody closes it (warnings are errors here)."""
    made: list[LLMClient] = []

    async def once() -> str:
        async with Loopback(answer(APIS[provider])) as server:
            if not made:
                made.append(connect(server, provider))
                return (await made[0].complete(QUESTION)).text
            return (await made[0].complete(QUESTION, timeouts=Timeouts(first_token=1))).text

    async def refused() -> str | None:
        events = await collect(made[0].chat_completion(QUESTION))
        return events[-1].error_info.kind if events[-1].error_info else None

    assert asyncio.run(once()) == "Hello, world!"
    assert asyncio.run(refused()) == "connection"


@pytest.mark.parametrize("provider", ["openai-responses", "anthropic"])
async def test_a_dropped_option_is_named_or_refused(provider: str) -> None:
    async with Loopback(answer(APIS[provider])) as server:
        async with connect(server, provider) as client:
            events = await collect(client.chat_completion(QUESTION, seed=7))
        assert events[0].start is not None
        assert any(warning.startswith("seed") for warning in events[0].start.warnings)
        async with connect(server, provider, strict=True) as client:
            with pytest.raises(ConfigurationError, match="seed"):
                await collect(client.chat_completion(QUESTION, seed=7))
    assert len(server.requests) == 1
