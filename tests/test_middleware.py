"""Middleware: around a whole call, and inside the guard, so that it can't break the stream."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial as bound
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    Message,
    RetryPolicy,
    Start,
    Status,
    StreamEvent,
    Timeouts,
    Usage,
)
from llmstream.errors import QuotaError
from llmstream.events.types import TextDelta, text_delta
from llmstream.messages import TextPart, ToolCall
from llmstream.providers import ProviderTraits
from llmstream.providers.config import TRANSPORTS
from llmstream.streams import coalesce, map_text
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from tests import strategies
from tests.grammar_check import check_stream
from tests.patience import PATIENCE

HI = [{"role": "user", "content": "hi"}]
DOWN = ErrorInfo("server", "down", status_code=500)
CUT = ErrorInfo("truncated", "cut")
CALL = ToolCall("c1", "look", "{}", input={})
both = pytest.mark.parametrize("stream", [True, False])


async def passing(request, call, next):
    async for event in next(request):
        yield event


async def shouting(request, call, next):
    async for event in next(request):
        if event.type is EventType.TEXT_DELTA:
            yield replace(event, text_delta=TextDelta(event.text.upper()))
        else:
            yield event


def client_of(provider: Any, *middleware: Any, **options: Any) -> LLMClient:
    options = {
        "clock": VirtualClock(),
        "rng": Random(0),
        "retry": RetryPolicy(budget=None),
        **options,
    }
    return LLMClient(provider=provider, middleware=middleware, **options)


async def collect(client: LLMClient, **options: Any) -> list[Any]:
    return [event async for event in client.chat_completion(HI, **options)]


async def last_of(client: LLMClient, *, stream: bool = True, **options: Any) -> Any:
    """The terminal event, of a stream that is legal."""
    events = await collect(client, stream=stream, **options)
    if stream:
        return check_stream(events)
    (event,) = events
    return event


# --- whatever it does, the stream is legal ----------------------------------------------------------------

items = st.sampled_from(["a", "b", CALL, Usage(3, 4), DOWN, CUT, ErrorInfo("authentication", "no")])
scripts = st.lists(st.lists(items, max_size=4), min_size=1, max_size=4)


@given(
    scripts=scripts,
    stream=st.booleans(),
    on_interrupt=st.sampled_from(["error", "restart", "continue"]),
    keep_message=st.booleans(),
)
def test_one_that_changes_nothing_changes_nothing(scripts, stream, on_interrupt, keep_message):
    def events_through(*middleware: Any) -> list[Any]:
        client = client_of(
            ScriptedProvider(*copy.deepcopy(scripts)),
            *middleware,
            on_interrupt=on_interrupt,
            keep_message=keep_message,
        )
        return asyncio.run(collect(client, stream=stream))

    plain = events_through()
    assert events_through(passing) == plain
    assert events_through(passing, passing) == plain


odd = st.sampled_from([None, "text", b"bytes", 7, {"type": "text_delta"}, StreamEvent("nonsense")])


@given(
    yielded=st.lists(strategies.events | strategies.bare_events | odd, max_size=8),
    asks=st.booleans(),
    stream=st.booleans(),
    keep_message=st.booleans(),
)
def test_whatever_it_yields_the_stream_is_legal(yielded, asks, stream, keep_message):
    async def odd(request, call, next):
        for event in copy.deepcopy(yielded):
            yield event
        if asks:
            async for event in next(request):
                yield event

    client = client_of(ScriptedProvider(["a", CUT], ["b"]), odd, keep_message=keep_message)
    events = asyncio.run(collect(client, stream=stream))
    rounds: list[list[Any]] = [[]]
    for event in events:
        if event.ends_round:
            rounds.append([])
        else:
            rounds[-1].append(event)
    if stream:
        check_stream(rounds[-1], keep_message=keep_message, going_on=True)
    else:
        assert len(events) == 1
        assert events[0].type in (EventType.MESSAGE_COMPLETE, EventType.ERROR)


# --- what it may do ---------------------------------------------------------------------------------------


@both
async def test_it_may_rewrite_events_and_the_message_is_made_of_them(stream):
    last = await last_of(client_of(ScriptedProvider(["Hel", "lo"]), shouting), stream=stream)
    assert last.message.text == "HELLO"
    assert last.text == ("" if stream else "HELLO")


@both
async def test_what_it_took_out_is_in_no_partial_answer(stream):
    async def silent(request, call, next):
        async for event in next(request):
            if event.type is not EventType.TEXT_DELTA:
                yield event

    for middleware, partial in ((shouting, "PRIVATE"), (silent, None)):
        once = RetryPolicy(max_attempts=1)
        client = client_of(ScriptedProvider(["private", CUT]), middleware, retry=once)
        last = await last_of(client, stream=stream)
        assert last.error_info.kind == "truncated"
        found = last.error_info.partial
        assert (found and found.text) == partial


@both
async def test_it_may_change_the_request(stream):
    async def polite(request, call, next):
        more = Message("system", [TextPart("Be polite.")])
        changed = replace(request, messages=[more, *request.messages], temperature=0.5)
        async for event in next(changed):
            yield event

    provider = ScriptedProvider([DOWN], ["yes"])
    await last_of(client_of(provider, polite, polite), stream=stream)
    for request in provider.requests:
        assert [message.role for message in request.messages] == ["system", "system", "user"]
        assert (request.temperature, request.model) == (0.5, "script")


async def test_it_may_answer_by_itself():
    async def cached(request, call, next):
        yield StreamEvent(EventType.MESSAGE_START, start=Start("m1", "cached"))
        yield text_delta("from the cache")
        yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason="stop", usage=Usage(1, 2))

    provider = ScriptedProvider()
    last = await last_of(client_of(provider, cached))
    assert (last.message.text, last.start.model, last.usage) == (
        "from the cache",
        "cached",
        Usage(1, 2),
    )
    assert provider.requests == []


@both
async def test_one_event_with_a_message_is_an_answer(stream):
    message = Message("assistant", [TextPart("kept"), CALL])

    async def cached(request, call, next):
        yield StreamEvent(EventType.MESSAGE_COMPLETE, message=message, finish_reason="tool_calls")

    last = await last_of(client_of(ScriptedProvider(), cached), stream=stream)
    assert last.message.parts == message.parts


async def test_it_may_ask_again_and_attempts_are_counted_on():
    async def patient(request, call, next):
        for _ in range(2):
            async for event in next(request):
                if event.type is not EventType.ERROR:
                    yield event
                if event.type is EventType.MESSAGE_COMPLETE:
                    return

    provider = ScriptedProvider([DOWN], [DOWN], [DOWN], [DOWN], ["there"])
    events = await collect(client_of(provider, patient))
    assert check_stream(events).message.text == "there"
    assert [event.retry.attempt for event in events if event.retry] == [2, 3, 4]


async def test_it_runs_once_per_call_with_retries_inside_the_first_outermost():
    seen = []

    def named(name):
        async def middleware(request, call, next):
            seen.append(f"{name} begins")
            async for event in next(request):
                yield event
            seen.append(f"{name} ends")

        return middleware

    provider = ScriptedProvider([DOWN], ["yes"], [DOWN], ["again"])
    client = client_of(provider, named("outer"), named("inner"))
    for stream in (True, False):
        seen.clear()
        await last_of(client, stream=stream)
        assert seen == ["outer begins", "inner begins", "inner ends", "outer ends"]


@both
async def test_the_call_is_the_one_that_every_attempt_gets(stream):
    calls = []

    class Provider(ScriptedProvider):
        def stream(self, request, call):
            calls.append(call)
            return super().stream(request, call)

    async def tagging(request, call, next):
        calls.append(call)
        call.headers = {**call.headers, "X-Trace": "7"}
        async for event in next(request):
            yield event

    client = client_of(Provider([DOWN], ["yes"]), tagging)
    await last_of(client, stream=stream, headers={"X-Tenant": "1"})
    assert len({id(call) for call in calls}) == 1
    assert len(calls) == 3
    assert dict(calls[0].headers) == {"X-Tenant": "1", "X-Trace": "7"}


@pytest.mark.parametrize(
    "middleware",
    [
        lambda request, call, ask: map_text(ask(request), str.upper),
        lambda request, call, ask: coalesce(map_text(ask(request), str.upper), by="sentence"),
    ],
)
@both
async def test_an_operator_will_do(middleware, stream):
    last = await last_of(client_of(ScriptedProvider(["one ", "two."]), middleware), stream=stream)
    assert last.message.text == "ONE TWO."


async def test_a_bound_method_and_an_object_will_do():
    class Cache:
        def __init__(self):
            self.asked = 0

        async def method(self, request, call, next):
            self.asked += 1
            async for event in next(request):
                yield event

        def __call__(self, request, call, next):
            return self.method(request, call, next)

    cache = Cache()
    await last_of(client_of(ScriptedProvider(["a"]), cache, cache.method))
    assert cache.asked == 2


async def test_in_batch_mode_a_tool_call_that_nobody_saw_is_taken_back():
    seen = []

    async def looking(request, call, next):
        async for event in next(request):
            seen.append(event.type.name)
            yield event

    provider = ScriptedProvider([CALL, CUT], ["b"])
    last = await last_of(client_of(provider, looking), stream=False)
    assert last.message.parts == [TextPart("b")]
    assert "RETRY" in seen


# --- where a request may go -------------------------------------------------------------------------------


class Named(ScriptedProvider):
    def __init__(self, name: str, *attempts: Any) -> None:
        super().__init__(*attempts)
        self.name = name
        self.traits = ProviderTraits(default_model=f"{name}-1")
        self.headers: list[dict[str, str]] = []

    async def stream(self, request, call):
        self.headers.append(dict(call.headers))
        async for event in super().stream(request, call):
            yield event


async def test_another_model_may_be_asked_which_gets_no_headers_of_the_first():
    async def routing(request, call, next):
        assert request.model == "a-1"
        async for event in next(replace(request, model=model)):
            yield event

    own = Named("a", ["A"])
    client = client_of(own, routing)
    model = "a-2"
    await last_of(client, headers={"X-Tenant": "7"})
    assert (own.requests[0].model, own.headers) == ("a-2", [{"X-Tenant": "7"}])
    model = "simulator"
    last = await last_of(client, headers={"X-Tenant": "7"})
    assert "You said: hi" in last.message.text
    assert last.start.provider == "simulator"
    await client.aclose()


async def test_a_call_s_own_model_at_another_provider_is_named_in_full():
    seen = []

    async def looking(request, call, next):
        seen.append(request.model)
        async for event in next(replace(request, seed=1)):
            yield event

    own = Named("a", ["A"])
    client = client_of(own, looking)
    last = await last_of(client, model="simulator:echo")
    assert last.start.provider == "simulator"
    await last_of(client, model="a-3")
    assert seen == ["simulator:echo", "a-3"]
    assert own.requests[0].model == "a-3"
    await client.aclose()


@pytest.mark.parametrize(
    ("change", "problem", "words"),
    [
        (lambda request: replace(request, temperature="hot"), TypeError, "temperature"),
        (lambda request: replace(request, top_k=-7), ValueError, "top_k"),
        (lambda request: replace(request, messages=[]), ValueError, "messages is empty"),
        (lambda request: replace(request, model=7), TypeError, "model"),
        (lambda request: request.messages, TypeError, "next takes a ChatRequest, not list"),
        (lambda request: None, TypeError, "next takes a ChatRequest, not NoneType"),
    ],
)
@both
async def test_a_change_that_is_wrong_is_found_before_anything_is_asked(
    change, problem, words, stream
):
    async def wrong(request, call, next):
        async for event in next(change(request)):
            yield event

    provider = ScriptedProvider(["a"])
    with pytest.raises(problem, match=words):
        await collect(client_of(provider, wrong), stream=stream)
    assert provider.requests == []


@pytest.mark.parametrize("headers", [{"X-A\nX-B": "c"}, {"X-A": "b\r\nc"}, {"X-A": 7}, 7])
async def test_headers_that_it_sets_are_checked_too(headers):
    async def tagging(request, call, next):
        call.headers = headers
        async for event in next(request):
            yield event

    provider = ScriptedProvider(["a"])
    with pytest.raises((TypeError, ConfigurationError)):
        await collect(client_of(provider, tagging))
    assert provider.requests == []


async def test_a_dict_among_the_messages_is_read_as_a_caller_s_is():
    async def adding(request, call, next):
        more = {"role": "user", "content": "and this"}
        async for event in next(replace(request, messages=[*request.messages, more])):
            yield event

    provider = ScriptedProvider(["a"])
    await last_of(client_of(provider, adding))
    assert provider.requests[0].messages[1].text == "and this"


# --- what goes wrong in it --------------------------------------------------------------------------------


class OddError(BaseException):
    """As test frameworks and other loops' cancellations are."""


def raising(problem: BaseException, *, after: int = 0):
    async def middleware(request, call, next):
        seen = 0
        async for event in next(request):
            if seen == after:
                raise problem
            seen += 1
            yield event
        raise problem

    return middleware


@both
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (RuntimeError("secret words"), "internal: the middleware raised RuntimeError"),
        (ValueError("secret words"), "internal: the middleware raised ValueError"),
        (StopAsyncIteration(), "internal: the middleware raised RuntimeError"),
        (asyncio.CancelledError(), "internal: the middleware raised CancelledError"),
        (OddError(), "internal: the middleware raised OddError"),
        (ConfigurationError("no key"), "invalid_request: no key"),
        (QuotaError(ErrorInfo("quota", "spent")), "quota: spent"),
    ],
)
async def test_what_it_raises_is_an_error(problem, told, after, stream, caplog):
    kind, words = told.split(": ")
    provider = ScriptedProvider(["a", "b", "c"])
    last = await last_of(client_of(provider, raising(problem, after=after)), stream=stream)
    assert last.error_info.kind == kind
    assert words in last.error
    assert "secret" not in last.error
    if kind == "internal":
        assert "llmstream.middleware" in [record.name for record in caplog.records]
    assert provider.closed == 1


@pytest.mark.parametrize(
    "problem", [TypeError("no"), ValueError("no"), ConfigurationError("no")], ids=repr
)
async def test_it_may_refuse_arguments_before_anything_was_asked(problem):
    async def refusing(request, call, next):
        raise problem
        yield

    provider = ScriptedProvider(["a"])
    with pytest.raises(type(problem)):
        await collect(client_of(provider, refusing))
    assert provider.requests == []


@both
async def test_what_the_provider_refuses_is_raised_through_it(stream):
    class Refusing(ScriptedProvider):
        async def stream(self, request, call):
            raise ConfigurationError("strict: no seed here")
            yield

    with pytest.raises(ConfigurationError, match="no seed here"):
        await collect(client_of(Refusing(), passing, passing), stream=stream)


@both
async def test_one_that_stops_early_is_a_truncated_answer(stream):
    async def early(request, call, next):
        async for event in next(request):
            if event.type is EventType.MESSAGE_COMPLETE:
                return
            yield event

    last = await last_of(client_of(ScriptedProvider(["a", "b"]), early), stream=stream)
    assert last.error_info.kind == "truncated"
    assert last.error_info.partial.text == "ab"


async def coroutine(request, call, next):
    return [event async for event in next(request)]


@pytest.mark.parametrize(
    "given",
    [passing, "passing", None, [None], [passing, 7], [coroutine], [bound(coroutine)], [int]],
)
def test_what_is_no_middleware_is_a_type_error(given):
    with pytest.raises(TypeError, match="middleware must be a"):
        LLMClient("simulator", middleware=given)


class Awaited:
    async def __call__(self, request, call, next):
        return await coroutine(request, call, next)


@pytest.mark.parametrize(
    "middleware",
    [
        Awaited(),
        lambda *_: [],
        lambda *_: None,
        lambda *_: text_delta("hi"),
    ],
)
async def test_one_that_returns_no_events_is_a_type_error(middleware):
    with pytest.raises(TypeError, match=r"a middleware must be an async generator: .* returned a"):
        await collect(client_of(ScriptedProvider(["a"]), middleware))


# --- its end ----------------------------------------------------------------------------------------------


@both
async def test_what_stands_after_its_last_event_runs_before_the_caller_sees_the_end(stream):
    kept = []

    async def keeping(request, call, next):
        events = []
        async for event in next(request):
            events.append(event)
            yield event
        await asyncio.sleep(0)
        kept.append(events)

    client = client_of(ScriptedProvider(["a"]), keeping, keeping)
    async with (
        client.stream(HI)
        if stream
        else aclosing(client.chat_completion(HI, stream=False)) as events
    ):
        async for event in events:
            if event.type is EventType.MESSAGE_COMPLETE:
                assert len(kept) == 2
                break


@pytest.mark.parametrize(
    "problem", [RuntimeError("late"), ValueError("late"), asyncio.CancelledError(), OddError()]
)
async def test_what_it_raises_after_the_answer_changes_nothing(problem, caplog):
    async def late(request, call, next):
        async for event in next(request):
            yield event
        raise problem

    last = await last_of(client_of(ScriptedProvider(["a"]), late))
    assert last.message.text == "a"
    assert f"the middleware raised {type(problem).__name__} after the answer" in caplog.text


async def test_one_that_never_stops_is_closed_after_the_answer():
    async def endless(request, call, next):
        async for event in next(request):
            yield event
        while True:
            yield text_delta("more")

    assert (await last_of(client_of(ScriptedProvider(["a"]), endless))).message.text == "a"


def closing(name: str, seen: list[str]):
    async def middleware(request, call, next):
        try:
            async for event in next(request):
                yield event
        finally:
            await asyncio.sleep(0)
            seen.append(name)

    return middleware


class Endless(ScriptedProvider):
    """Says a word, and then nothing."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.hangs = asyncio.Event()
        self.seen = seen

    async def stream(self, request, call):
        try:
            yield text_delta("word")
            self.hangs.set()
            await asyncio.Event().wait()
        finally:
            self.seen.append("provider")


@both
@pytest.mark.parametrize("ending", ["close", "cancel", "drop"])
async def test_however_the_caller_leaves_all_are_closed_outermost_first(ending, stream):
    seen: list[str] = []
    provider = Endless(seen)
    client = client_of(provider, closing("outer", seen), closing("inner", seen))

    async def read():
        async for _ in client.chat_completion(HI, stream=stream):
            pass

    if ending == "cancel" or not stream:
        reading = asyncio.create_task(read())
        await asyncio.wait_for(provider.hangs.wait(), PATIENCE)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        assert [*sorted(seen)] == ["inner", "outer", "provider"]
        return
    events = client.chat_completion(HI)
    while not (await anext(events)).text:
        pass
    if ending == "close":
        await events.aclose()
    else:
        del events
        async with asyncio.timeout(PATIENCE):
            while len(seen) < 3:
                await asyncio.sleep(0)
    assert seen == ["outer", "inner", "provider"]


@pytest.mark.parametrize("problem", [RuntimeError("closing"), asyncio.CancelledError(), OddError()])
async def test_one_that_raises_when_it_is_closed_keeps_none_open(problem, caplog):
    seen: list[str] = []

    async def broken(request, call, next):
        try:
            async for event in next(request):
                yield event
        finally:
            raise problem

    async def stubborn(request, call, next):
        try:
            async for event in next(request):
                yield event
        except GeneratorExit:
            yield text_delta("no")

    client = client_of(Endless(seen), broken, stubborn, closing("inner", seen))
    events = client.chat_completion(HI)
    while not (await anext(events)).text:
        pass
    await events.aclose()
    assert seen == ["inner", "provider"]
    assert caplog.text.count("the middleware raised while it was closed") == 2


async def test_closing_the_client_ends_a_call_before_it_asks():
    provider, may_go, waits = ScriptedProvider(["never"]), asyncio.Event(), asyncio.Event()

    async def waiting(request, call, next):
        waits.set()
        await may_go.wait()
        async for event in next(request):
            yield event

    client = client_of(provider, waiting)
    reading = asyncio.create_task(collect(client))
    await asyncio.wait_for(waits.wait(), PATIENCE)
    await client.aclose()
    may_go.set()
    events = await asyncio.wait_for(reading, PATIENCE)
    assert check_stream(events).error_info.code == "closed"
    assert provider.requests == []


async def test_closing_the_client_ends_a_call_that_a_middleware_answers():
    async def cached(request, call, next):
        while True:
            yield text_delta("word ")

    client = client_of(ScriptedProvider(), cached)
    events = client.chat_completion(HI)
    first = [await anext(events), await anext(events)]
    await client.aclose()
    last = check_stream([*first, *[event async for event in events]])
    assert last.error_info.code == "closed"
    assert last.error_info.partial.text == "word "


async def test_the_total_clock_counts_neither_the_caller_s_time_nor_the_middleware_s():
    clock = VirtualClock()

    async def slow(request, call, next):
        async for event in next(request):
            clock.now += 5
            yield event

    client = client_of(ScriptedProvider(["one ", "two"]), slow, clock=clock)
    events = []
    async for event in client.chat_completion(HI, timeouts=Timeouts(total=1)):
        events.append(event)
        clock.now += 5
    assert check_stream(events).message.text == "one two"


async def test_the_total_clock_ends_what_stands_still_beneath_it():
    class Slow(ScriptedProvider):
        async def stream(self, request, call):
            yield text_delta("word")
            await call.clock.sleep(60)

    last = await last_of(client_of(Slow(), passing, timeouts=Timeouts(total=1)))
    assert (last.error_info.kind, last.error_info.code) == ("timeout", "total")


async def test_a_status_in_batch_mode_is_in_the_log(caplog):
    caplog.set_level(logging.INFO, logger="llmstream.client")
    status = StreamEvent(EventType.STATUS, status=Status("routed", "to the cache"))

    async def telling(request, call, next):
        yield status
        async for event in next(request):
            yield event

    await last_of(client_of(ScriptedProvider(["a"]), telling), stream=False)
    assert re.search("status: routed to the cache", caplog.text)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_over_real_connections_too(transport):
    async with FaultServer("status-529", "ok", "stall") as server:
        client = LLMClient(
            "openai:m-1",
            api_key="k",
            base_url=server.url("openai"),
            transport=transport,
            middleware=[shouting, passing],
            retry=RetryPolicy(base_delay=0.0),
        )
        async with client:
            text = (await client.complete(HI)).text
            assert text == text.upper() != ""
            async with client.stream(HI) as stream:
                async for event in stream:
                    if event.text:
                        break
            await server.left(PATIENCE)
            assert server.played == 3
