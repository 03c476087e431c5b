"""SyncLLMClient: the same answers without an event loop, from any thread, after forks, at the interpreter's end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    LLMError,
    StreamEvent,
    SyncLLMClient,
    Timeouts,
    Usage,
)
from llmstream.client_arguments import ClientSettings
from llmstream.loop_thread import current_loop
from llmstream.streams import text
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.tools import run_tools
from tests.forks import fork, main, run_program, wait
from tests.patience import PATIENCE

HI = [{"role": "user", "content": "hi"}]
FAILED = ErrorInfo("server", "it fell over", retryable=False)


def scripted(*attempts, **settings) -> SyncLLMClient:
    return SyncLLMClient("m", provider=ScriptedProvider(*attempts), **settings)


def events_of_both(*attempts, **options) -> tuple[list[StreamEvent], list[StreamEvent]]:
    async def asked() -> list[StreamEvent]:
        client = LLMClient("m", provider=ScriptedProvider(*attempts))
        return [event async for event in client.chat_completion(HI, **options)]

    with scripted(*attempts) as client:
        return [*client.chat_completion(HI, **options)], asyncio.run(asked())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("attempts", [(["a", "b", Usage(1, 2)],), (["a", FAILED],), ([],)])
def test_the_events_are_those_of_the_async_client(attempts, stream) -> None:
    blocking, awaited = events_of_both(*attempts, stream=stream, temperature=0.5)
    assert blocking == awaited


def test_its_settings_are_those_of_the_async_client() -> None:
    ours = ClientSettings.__annotations__
    parameters = inspect.signature(LLMClient).parameters
    assert [*ours] == [name for name in parameters if name not in ("model", "unknown")]


def test_a_stream_gives_text_and_message_and_closes() -> None:
    with scripted(["a", "b"], ["c"], ["d", FAILED], ["e"]) as client:
        with client.stream(HI) as stream:
            assert [*stream.text()] == ["a", "b"]
            assert stream.message().text == "ab"
        with client.stream(HI, max_tokens=5) as stream:
            assert next(stream).type is EventType.MESSAGE_START
        with pytest.raises(ConfigurationError, match="closed before its end"):
            stream.message()
        with client.stream(HI) as stream:
            words = stream.text()
            assert next(words) == "d"
            with pytest.raises(LLMError, match="it fell over"):
                next(words)
        assert client.complete(HI).text == "e"


def test_wrong_arguments_are_refused_as_by_the_async_client() -> None:
    with scripted(["a"]) as client:
        with pytest.raises(TypeError, match="temprature"):
            next(client.chat_completion(HI, temprature=1))  # type: ignore[call-arg]  # that is the test
        with pytest.raises(ValueError, match="max_tokens"):
            client.complete(HI, max_tokens="many")  # type: ignore[arg-type]  # likewise
    with pytest.raises(TypeError, match="modell"):
        SyncLLMClient(modell="m")  # type: ignore[call-arg]  # likewise


def test_no_key_is_in_the_frames_of_a_traceback() -> None:
    key = "sk-canary-of-the-sync-client"
    for settings in ({"api_key": key}, {"headers": {"x": key}}, {"base_url": f"https://u:{key}@h"}):
        try:
            SyncLLMClient("openai:m", retry="no", **settings)  # type: ignore[arg-type]  # that is the test
        except (TypeError, ConfigurationError) as problem:
            frames = [frame for frame, _ in traceback.walk_tb(problem.__traceback__)]
            shown = [repr(frame.f_locals) for frame in frames[1:]]
            assert len(shown) > 1
            assert not any(key in each for each in shown)
        else:
            pytest.fail("retry='no' was taken")


def test_what_has_no_method_runs_on_the_client_below() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    call = StreamEvent.from_dict(
        {"type": "tool_call", "tool_call": {"id": "c", "name": "add", "arguments": '{"a":1,"b":2}'}}
    )
    with scripted([call.tool_call], ["three"], ["x", "y"]) as client:
        events = [*client.iterate(run_tools(client.async_client, HI, [add]))]
        assert events[-1].type is EventType.MESSAGE_COMPLETE
        assert "".join(event.text for event in events) == "three"
        asked = client.async_client.chat_completion(HI)
        assert [*client.iterate(text(asked))] == ["x", "y"]
        assert client.run(asyncio.sleep(0, "done")) == "done"


def test_any_number_of_threads_share_a_client_and_its_connections() -> None:
    with (
        running_server() as server,
        SyncLLMClient("openai:m", api_key="k" * 20, base_url=server.url) as client,
        ThreadPoolExecutor(32) as threads,
    ):
        answers = [*threads.map(lambda _: client.complete(HI), range(200))]
        assert len({answer.text for answer in answers}) == 1
        assert server.requests == 200


class running_server:  # noqa: N801  # reads as a function
    """A FaultServer in the shared loop."""

    def __init__(self, *attempts, **settings) -> None:
        self._server = FaultServer(*attempts, **settings)

    def __enter__(self):
        current_loop().run(self._server.__aenter__())
        return self

    def __exit__(self, *exception) -> None:
        current_loop().run(self._server.__aexit__(None, None, None))

    @property
    def url(self) -> str:
        return self._server.url("openai")

    @property
    def requests(self) -> int:
        return len(self._server.requests)

    def wait_until_left(self) -> None:
        current_loop().run(self._server.left(PATIENCE))


@pytest.mark.parametrize("way", ["close", "drop", "break out of a block", "an exception"])
def test_a_stream_that_isn_t_read_to_its_end_closes_its_connection(way) -> None:
    with (
        running_server("stall") as server,
        SyncLLMClient("openai:m", api_key="k" * 20, base_url=server.url) as client,
    ):
        if way in ("close", "drop"):
            events = client.chat_completion(HI)
            next(events)
            if way == "close":
                events.close()
            del events
            gc.collect()
        elif way == "break out of a block":
            with client.stream(HI) as stream:
                for _ in stream:
                    break
        else:
            with suppress(KeyError), client.stream(HI) as stream:
                next(stream)
                raise KeyError
        server.wait_until_left()


def test_a_generator_that_the_collector_finds_in_the_loop_s_own_thread_holds_nothing_up() -> None:
    with (
        running_server("stall") as server,
        SyncLLMClient("openai:m", api_key="k" * 20, base_url=server.url) as client,
    ):
        events = client.chat_completion(HI)
        next(events)
        held = [events]
        held.append(held)  # a cycle, so that it is the collector that ends it
        del events, held

        async def collect() -> int:
            return gc.collect()

        assert current_loop().run(collect()) > 0
        server.wait_until_left()


def test_close_ends_what_runs_in_other_threads() -> None:
    with running_server("stall") as server:
        client = SyncLLMClient("openai:m", api_key="k" * 20, base_url=server.url)
        began = threading.Event()
        ends: list[StreamEvent] = []

        def read() -> None:
            for event in client.chat_completion(HI):
                began.set()
                ends.append(event)

        thread = threading.Thread(target=read)
        thread.start()
        assert began.wait(PATIENCE)
        client.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert ends[-1].type is EventType.ERROR
    assert ends[-1].error_info is not None
    assert ends[-1].error_info.code == "closed"


def test_it_works_beside_a_running_loop_as_in_a_notebook() -> None:
    async def cell() -> str:
        return scripted(["a"]).complete(HI).text

    assert asyncio.run(cell()) == "a"


def test_in_a_callback_of_its_own_loop_it_says_what_to_do() -> None:
    client = scripted(["a"])

    async def called_back() -> None:
        client.complete(HI)

    with pytest.raises(ConfigurationError, match="await an LLMClient"):
        client.run(called_back())


def test_context_variables_are_the_caller_s() -> None:
    who = contextvars.ContextVar("who", default="nobody")

    async def ask() -> str:
        return who.get()

    with scripted() as client:
        who.set("ann")
        assert client.run(ask()) == "ann"


def test_the_consumer_s_own_time_counts_for_no_clock() -> None:
    with scripted(["a", "b", "c"], timeouts=Timeouts(total=0.3)) as client:
        events = client.chat_completion(HI)
        next(events)
        time.sleep(0.4)  # what the consumer does is what is tried
        assert [*events][-1].type is EventType.MESSAGE_COMPLETE


def test_it_can_t_be_pickled_nor_does_its_repr_tell_a_key() -> None:
    assert repr(scripted()) == "SyncLLMClient(scripted:m)"


# Programs, each in a process of its own


def interrupted() -> None:
    """Ctrl-C while it waits ends the wait, closes the connection, and the client goes on."""
    with (
        running_server("stall", "ok") as server,
        SyncLLMClient("openai:m", api_key="k" * 20, base_url=server.url) as client,
    ):
        seen = []
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        try:
            for event in client.chat_completion(HI):
                seen.append(event)
                if len(seen) == 1:
                    timer.start()
        except KeyboardInterrupt:
            seen.append(None)
        assert seen[-1] is None
        server.wait_until_left()
        assert client.complete(HI).text


def forked() -> None:
    client = scripted(*[["a"]] * 9)
    begun = client.chat_completion(HI)
    next(begun)

    def child() -> None:
        assert client.complete(HI).text == "a"
        with pytest.raises(ConfigurationError, match="before a fork"):
            list(begun)

    wait(*[fork(child) for _ in range(3)])
    assert [*begun][-1].type is EventType.MESSAGE_COMPLETE
    assert client.complete(HI).text == "a"


def left_open(url: str, transport: str, way: str) -> None:
    """The interpreter ends in the middle of an answer."""
    client = SyncLLMClient("openai:m", api_key="k" * 20, base_url=url, transport=transport)
    events = client.chat_completion(HI)
    next(events)
    globals()["kept"] = [client, events]
    if way == "waiting":
        threading.Thread(target=list, args=(events,), daemon=True).start()
        time.sleep(0.1)  # until it waits; both orders are right
    elif way == "at exit":
        import atexit

        atexit.register(events.close)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_a_child_goes_on_with_connections_of_its_own() -> None:
    await run_program(forked)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
async def test_ctrl_c_ends_a_wait_and_the_client_goes_on() -> None:
    await run_program(interrupted)


@pytest.mark.parametrize("transport", ["httpx2", pytest.param("aiohttp", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "way",
    ["open", *(pytest.param(way, marks=pytest.mark.slow) for way in ("waiting", "at exit"))],
)
async def test_the_interpreter_ends_without_a_word(way, transport) -> None:
    async with FaultServer("stall") as server:
        await run_program(left_open, server.url("openai"), transport, way)
        await server.left(PATIENCE)


if __name__ == "__main__":
    main(globals())
