"""Faults around the one attempt a provider makes: what aborts a read, what an error body may do, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import Iterator
from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, Timeouts
from llmstream.providers import answer_reader
from llmstream.providers.config import TRANSPORTS
from llmstream.providers.http import error_response
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import FaultServer, VirtualClock
from tests.loopback import APIS, BY_SDK, CutError, Loopback, answer, pieces, refuse
from tests.patience import PATIENCE

QUESTION = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-1234567890"
ONCE = RetryPolicy(max_attempts=1)

api = pytest.mark.parametrize("provider", list(APIS))


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
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
    options = {"retry": ONCE, "api_key": KEY, **options}
    return LLMClient(f"{provider}:m-1", base_url=server.url(provider), **options)


async def last(client: LLMClient, **options: Any) -> Any:
    return [event async for event in client.chat_completion(QUESTION, **options)][-1]


def stalling(provider: str, *, after: int = 3) -> Any:
    async def handler(request: Any, reply: Any) -> None:
        await reply.head()
        for data in pieces(APIS[provider], "one two three four")[:after]:
            await reply.send(data)
        await reply.client_left()
        raise CutError

    return handler


# --- aborting a read ------------------------------------------------------------------------------------------


def test_clocks_and_leaving_work_on_uvloop_too() -> None:
    """Its sockets refuse what the ones of asyncio allow."""
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def run() -> None:
        async with Loopback(stalling("openai")) as server, connect(server, "openai") as client:
            event = await last(client, timeouts=Timeouts(idle=0.1))
            assert (event.error_info.kind, event.error_info.code) == ("timeout", "idle")
            async with client.stream(QUESTION) as stream:
                async for event in stream:
                    if event.text:
                        break
            async with asyncio.timeout(PATIENCE):
                while server.open:
                    await asyncio.sleep(0.001)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def test_clocks_work_over_a_transport_without_a_socket() -> None:
    import httpx2
    import openai

    class Stalls(httpx2.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> Any:
            yield pieces("openai-chat", "one two")[1]
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            self.closed = True

    body = Stalls()
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=body))
    async with openai.AsyncOpenAI(
        api_key="k", http_client=httpx2.AsyncClient(transport=transport)
    ) as sdk:
        client = LLMClient("openai:m", sdk_client=sdk, retry=ONCE)
        event = await last(client, timeouts=Timeouts(idle=0.05))
    assert (event.error_info.kind, event.error_info.code) == ("timeout", "idle")
    assert body.closed


async def test_reasoning_signed_in_the_same_read_counts_as_a_piece() -> None:
    """The clock of the first token does not end an answer that has begun."""

    async def thinking(request: Any, reply: Any) -> None:
        from llmstream.messages import ReasoningPart

        await reply.head()
        await reply.send(b"".join(pieces("anthropic-messages", ReasoningPart("Hm.", "signed"))[:3]))
        await reply.client_left()
        raise CutError

    async with Loopback(thinking) as server, connect(server, "anthropic") as client:
        event = await last(client, timeouts=Timeouts(first_token=2.0, idle=0.2))
    assert event.error_info.code == "idle"
    assert event.error_info.partial.reasoning == "Hm."


async def test_keep_alives_after_the_finish_reason_do_not_keep_the_answer_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_reader, "FINISH_SILENCE", 0.1)

    async def pinging(request: Any, reply: Any) -> None:
        await reply.head()
        for data in pieces("openai-chat", "one two"):
            await reply.send(data.replace(b"data: [DONE]\n\n", b": no end\n\n"))
        while True:
            await reply.send(b": ping\n\n")
            await asyncio.sleep(0.02)

    async with Loopback(pinging) as server, connect(server, "openai") as client:
        event = await last(client)
    assert (event.type, event.message.text) == (EventType.MESSAGE_COMPLETE, "one two")


@pytest.mark.parametrize(
    ("timeouts", "code"), [(Timeouts(first_token=0.5), "first_token"), (Timeouts(total=3), "total")]
)
async def test_clocks_run_on_the_simulator_in_virtual_time(timeouts: Timeouts, code: str) -> None:
    clock = VirtualClock()
    client = LLMClient(
        provider=SimulatorProvider(pace=1.0), clock=clock, retry=ONCE, timeouts=timeouts
    )
    event = await last(client)
    assert (event.error_info.kind, event.error_info.code) == ("timeout", code)
    assert clock.now < 10


# --- cancellation ---------------------------------------------------------------------------------------------


@api
async def test_cancelling_at_any_moment_leaves_no_connection_open(provider: str) -> None:
    chance = random.Random(7)
    async with Loopback(stalling(provider)) as server, connect(server, provider) as client:
        for _ in range(60):
            task = asyncio.create_task(last(client))
            await asyncio.sleep(chance.uniform(0, 0.012))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(PATIENCE):
            while server.open:
                await asyncio.sleep(0.001)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@api
async def test_a_clock_stays_an_error_in_a_task_that_once_swallowed_a_cancellation(
    provider: str,
) -> None:
    async def mute(request: Any, reply: Any) -> None:
        await reply.client_left()
        raise CutError

    async def careless(client: LLMClient) -> Any:
        with contextlib.suppress(asyncio.CancelledError):  # and no uncancel()
            await asyncio.sleep(10)
        return await last(client, timeouts=Timeouts(first_token=0.05))

    async with Loopback(mute) as server, connect(server, provider) as client:
        task = asyncio.create_task(careless(client))
        await asyncio.sleep(0)
        task.cancel()
        assert (await task).error_info.kind == "timeout"


# --- bodies of HTTP errors ------------------------------------------------------------------------------------


@api
async def test_an_endless_error_body_is_read_only_so_far(provider: str) -> None:
    sent = 0

    async def endless(request: Any, reply: Any) -> None:
        nonlocal sent
        await reply.head(500)
        while True:
            await reply.send(b"x" * 65536)
            sent += 65536

    async with Loopback(endless) as server, connect(server, provider) as client:
        event = await last(client)
    assert (event.error_info.kind, event.error_info.status_code) == ("server", 500)
    assert sent < 16 * 1024 * 1024


@api
async def test_a_stalling_or_cut_error_body_still_tells_its_status(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_response, "ERROR_BODY_SECONDS", 0.1)

    async def stalls(request: Any, reply: Any) -> None:
        await reply.head(429, retry_after="9000")
        await reply.send(b'{"error": ')
        await reply.client_left()
        raise CutError

    async def cuts(request: Any, reply: Any) -> None:
        await reply.head(401)
        await reply.send(b'{"error": ')
        raise CutError

    async with (
        Loopback(stalls, cuts) as server,
        connect(server, provider, retry=RetryPolicy()) as client,
    ):
        first, second = await last(client), await last(client)
    assert (first.error_info.kind, first.error_info.retry_after) == ("rate_limit", 9000)
    assert (second.error_info.kind, second.error_info.status_code) == ("authentication", 401)
    assert len(server.requests) == 2


@api
async def test_a_connection_goes_back_to_the_pool_after_an_error(provider: str) -> None:
    retry = RetryPolicy(base_delay=0)
    failing = refuse(500, {"error": {"message": "sorry"}})
    async with (
        Loopback(failing, failing, answer(APIS[provider])) as server,
        connect(server, provider, retry=retry) as client,
    ):
        assert (await last(client)).type is EventType.MESSAGE_COMPLETE
    assert [request.connection for request in server.requests] == [1, 1, 1]


# --- keys -----------------------------------------------------------------------------------------------------


def echoing(text: str) -> Any:
    return refuse(400, {"error": {"message": text, "type": "invalid_request_error"}})


@api
@pytest.mark.parametrize("text", [f"no: {KEY}", "x" * 990 + KEY], ids=["whole", "cut off"])
async def test_a_key_that_the_provider_echoes_does_not_come_through(
    provider: str, text: str
) -> None:
    async with Loopback(echoing(text)) as server, connect(server, provider) as client:
        event = await last(client)
    assert "[key]" in event.error
    assert "canary" not in repr(event)


@pytest.mark.parametrize("provider", BY_SDK)
async def test_nor_does_one_in_a_header_or_in_the_users_own_client(provider: str) -> None:
    import anthropic
    import openai

    async with Loopback(echoing(f"no: {KEY}")) as server:
        async with connect(
            server, provider, api_key="other-key-123", headers={"X-Api-Key-2": KEY}
        ) as client:
            assert "canary" not in repr(await last(client))
        if provider not in BY_SDK:
            return
        make: Any = anthropic.AsyncAnthropic if provider == "anthropic" else openai.AsyncOpenAI
        async with make(api_key=KEY, base_url=server.url(provider)) as sdk:
            client = LLMClient(f"{provider}:m", sdk_client=sdk, retry=ONCE)
            assert "canary" not in repr(await last(client))


async def test_nor_one_that_was_given_with_the_call() -> None:
    async with (
        Loopback(echoing(f"no: {KEY}")) as server,
        connect(server, "openai", api_key="other-key-123") as client,
    ):
        event = await last(client, headers={"Authorization": f"Bearer {KEY}"})
    assert "[key]" in event.error
    assert "canary" not in repr(event)


async def test_nor_one_that_comes_back_inside_the_stream() -> None:
    async def echo(request: Any, reply: Any) -> None:
        await reply.head()
        await reply.send(b'data: {"error": {"message": "bad key %s"}}\n\n' % KEY.encode())
        await reply.end()

    async with Loopback(echo) as server, connect(server, "openai") as client:
        event = await last(client)
    assert "[key]" in event.error
    assert "canary" not in repr(event)


# --- memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["ok", "stall", "closed-between-chunks", "reset-mid-answer", "status-500", "refused"]
)
async def test_a_failure_leaves_nothing_to_the_garbage_collector(fault: str) -> None:
    """An exception that somebody keeps, keeps every frame that it came through, unless its traceback is let go."""
    async with FaultServer(fault) as server:
        url = server.url("openai")
        async with LLMClient("openai:m", api_key=KEY, base_url=url, retry=ONCE) as client:
            for _ in range(3):
                await last(client, timeouts=Timeouts(idle=0.05))
            gc.collect()
            await last(client, timeouts=Timeouts(idle=0.05))
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                gc.collect()
                left = [
                    kind
                    for kind in map(type, gc.garbage)
                    if kind.__module__.startswith("llmstream.providers")
                ]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
    assert left == []
