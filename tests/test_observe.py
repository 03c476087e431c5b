"""Observers: each call is told once, in order, however it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
from contextlib import aclosing, suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    FinishReason,
    LLMClient,
    RetryPolicy,
    StreamEvent,
    Timeouts,
    Usage,
)
from llmstream.messages import ToolCall
from llmstream.observe import METHODS, LogObserver, ObservedAttempt, ObservedCall, Observer
from llmstream.providers import ProviderTraits
from llmstream.providers.config import TRANSPORTS
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from llmstream.wire.formats import FORMATS
from tests.loopback import APIS, CutError, Handler, Loopback, Reply, Request, pieces
from tests.patience import PATIENCE

HI = [{"role": "user", "content": "hi"}]
DOWN = ErrorInfo("server", "down", status_code=500)
CUT = ErrorInfo("truncated", "cut")
CALL = ToolCall("c1", "look", "{}", input={})
HANG = object()
"""In a script: nothing comes any more."""


class Recorder(Observer):
    """Writes down what it is told, and holds it against the order that is promised."""

    def __init__(self) -> None:
        self.calls: list[ObservedCall] = []
        self.told: list[str] = []
        self.ended = asyncio.Event()

    def begin(self, call: ObservedCall) -> None:
        self.calls.append(call)
        self.told.append("begin")

    def attempt_begin(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        assert attempt is call.attempts[-1]
        assert attempt.outcome is None
        self.told.append("attempt_begin")

    def first_piece(self, call: ObservedCall) -> None:
        assert call.start is not None
        self.told.append("first_piece")

    def attempt_end(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        assert attempt is call.attempts[-1]
        assert attempt.outcome is not None
        self.told.append("attempt_end")

    def end(self, call: ObservedCall) -> None:
        assert call.outcome is not None
        self.told.append("end")
        self.ended.set()

    @property
    def call(self) -> ObservedCall:
        (call,) = self.calls
        return call

    def check(self) -> ObservedCall:
        """Assert the order, and give the call."""
        words = " ".join(self.told)
        attempt = r"(attempt_begin (first_piece )?attempt_end )"
        assert re.fullmatch(rf"begin {attempt}*(first_piece )?end", words), words
        assert self.told.count("first_piece") <= 1
        call = self.call
        assert [each.number for each in call.attempts] == [*range(1, len(call.attempts) + 1)]
        times = [call.began]
        for each in call.attempts:
            times += [each.began, each.first_piece or each.began, each.ended]
        assert [*times, call.ended] == sorted([*times, call.ended])
        return call


class Hanging:
    """A provider whose scripts may hang, and whose closing may, too."""

    def __init__(self, name: str, *attempts: list[Any], slow_close: bool = False) -> None:
        self.name = name
        self.traits = ProviderTraits(default_model=f"{name}-1")
        self._attempts = [*attempts]
        self._slow_close = slow_close
        self.hangs = asyncio.Event()
        self.closing = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream(self, request, call):
        script = self._attempts.pop(0) if self._attempts else [DOWN]
        scripted = ScriptedProvider([item for item in script if item is not HANG])
        until = script.index(HANG) if HANG in script else None
        try:
            seen = 0
            async with aclosing(scripted.stream(request, call)) as events:
                async for event in events:
                    if event.type is not EventType.MESSAGE_START:
                        if seen == until:
                            break
                        seen += 1
                    yield event
            if until is not None:
                self.hangs.set()
                await self.closed.wait()
                yield (
                    await anext(
                        ScriptedProvider(
                            [ErrorInfo("connection", "closed", code="closed", retryable=False)]
                        ).stream(request, call)
                    )
                )
        finally:
            if self._slow_close and until is not None:
                self.closing.set()
                self.hangs.set()
                await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed.set()


def client_of(provider: Any, *observers: Any, **options: Any) -> LLMClient:
    options = {
        "clock": VirtualClock(),
        "rng": Random(0),
        "retry": RetryPolicy(budget=None),
        **options,
    }
    return LLMClient(provider=provider, observers=observers, **options)


async def collect(client: LLMClient, **options: Any) -> list[Any]:
    return [event async for event in client.chat_completion(HI, **options)]


# --- what is told ----------------------------------------------------------------------------------------


async def test_a_whole_call_is_told_with_ids_usage_and_clocks():
    clock, seen = VirtualClock(), Recorder()
    usage = Usage(input_tokens=3, output_tokens=2)
    late = ErrorInfo("overloaded", "busy", retry_after=4)
    client = client_of(
        ScriptedProvider([late], ["Hel", "lo", usage]), seen, clock=clock, rng=Random(1)
    )
    events = await collect(client)
    call = seen.check()
    assert seen.told[1:3] == ["attempt_begin", "attempt_end"]
    assert (call.outcome, call.finish_reason, call.usage) == ("complete", "stop", usage)
    assert (call.provider, call.model, call.streaming) == ("scripted", "script", True)
    assert call.message is events[-1].message
    assert call.start == events[-1].start
    failed, answered = call.attempts
    assert (failed.outcome, failed.error.kind, failed.first_piece) == ("error", "overloaded", None)
    assert (answered.outcome, answered.usage, answered.start.id) == ("complete", usage, "script-2")
    assert call.began == failed.began == 0
    assert call.first_piece == answered.first_piece == answered.began == clock.now > 4
    assert call.request.messages[0].text == "hi"
    assert len(call.id) == 32


async def test_calls_have_ids_of_their_own():
    seen = Recorder()
    client = client_of(ScriptedProvider(["a"], ["b"]), seen)
    await collect(client)
    await collect(client, stream=False)
    first, second = seen.calls
    assert first.id != second.id
    assert (first.streaming, second.streaming) == (True, False)
    assert second.first_piece is not None  # it is the wire's, in batch mode too


async def test_fallbacks_are_attempts_of_the_same_call():
    seen = Recorder()
    denied = ErrorInfo("authentication", "no", status_code=401)
    other = ScriptedProvider(["B"])
    other.name = "other"
    await collect(client_of(ScriptedProvider([denied]), seen, fallbacks=[other]))
    call = seen.check()
    assert [each.provider for each in call.attempts] == ["scripted", "other"]
    assert [each.outcome for each in call.attempts] == ["error", "complete"]
    assert (call.provider, call.start.provider) == ("scripted", "other")


async def test_the_end_is_told_before_the_terminal_event_leaves():
    for stream in (True, False):
        seen = Recorder()
        events = client_of(ScriptedProvider(["a"]), seen).chat_completion(HI, stream=stream)
        async for event in events:
            assert ("end" in seen.told) == (event.type is EventType.MESSAGE_COMPLETE)
            if event.type is EventType.MESSAGE_COMPLETE:
                break
        seen.check()
        await events.aclose()
        seen.check()


async def test_an_answer_without_a_piece_has_no_first_piece():
    seen = Recorder()
    await collect(client_of(ScriptedProvider([FinishReason.STOP]), seen))
    assert seen.check().first_piece is None
    assert seen.call.outcome == "complete"


async def test_an_answer_that_goes_on_has_one_first_piece_and_two_attempts():
    seen = Recorder()
    provider = ScriptedProvider(["one ", CUT], ["two"])
    await collect(client_of(provider, seen, on_interrupt="continue"))
    call = seen.check()
    assert call.message.text == "one two"
    assert [each.first_piece is not None for each in call.attempts] == [True, True]


async def test_each_attempt_has_its_own_usage_and_the_call_the_event_s():
    first, second = Usage(3, 2), Usage(5, 1)
    cut = StreamEvent(EventType.ERROR, error="cut", error_info=CUT, usage=first)
    for script, stream in ((["one ", cut], True), ([cut], True), (["one ", cut], False)):
        seen = Recorder()
        provider = ScriptedProvider(script, ["two", second])
        events = await collect(client_of(provider, seen, on_interrupt="continue"), stream=stream)
        assert [each.usage for each in seen.check().attempts] == [first, second]
        assert seen.call.usage is events[-1].usage
        assert seen.call.usage.attempts == (first, second)


async def test_an_attempt_that_reported_nothing_has_an_estimate():
    seen = Recorder()
    provider = ScriptedProvider(["one ", CUT], ["two", Usage(5, 1)])
    await collect(client_of(provider, seen, on_interrupt="continue"))
    cut, last = (each.usage for each in seen.check().attempts)
    assert (cut.output_tokens, cut.estimated) == (2, True)
    assert last == Usage(5, 1)
    assert seen.call.usage.estimated


class Attempts(Observer):
    """Writes down the begin and end of attempts, which may overlap."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def attempt_begin(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        self.told.append(f"begin {attempt.number}")

    def attempt_end(self, call: ObservedCall, attempt: ObservedAttempt) -> None:
        self.told.append(f"end {attempt.number}: {attempt.outcome}")

    def end(self, call: ObservedCall) -> None:
        self.told.append(f"end: {call.outcome}")


async def test_attempts_of_a_middleware_that_asks_twice_at_a_time_overlap_and_all_end():
    async def racing(request, call, next):
        winner, loser = next(request), next(request)
        begun = [asyncio.ensure_future(anext(each)) for each in (winner, loser)]
        await asyncio.wait(begun)
        yield begun[0].result()
        async for event in winner:
            yield event

    seen = Attempts()
    await collect(client_of(ScriptedProvider(["a"], ["b"]), seen, middleware=[racing]))
    assert seen.told == ["begin 1", "begin 2", "end 1: complete", "end 2: stopped", "end: complete"]


async def test_an_attempt_that_a_middleware_leaves_ends_there():
    async def choosy(request, call, next):
        async with aclosing(next(request)) as events:
            await anext(events)
        async for event in next(request):
            yield event

    seen = Attempts()
    await collect(client_of(ScriptedProvider(["a"], ["b"]), seen, middleware=[choosy]))
    assert seen.told == ["begin 1", "end 1: stopped", "begin 2", "end 2: complete", "end: complete"]


async def test_wrong_arguments_never_begin_or_end_in_an_error():
    seen = Recorder()
    client = client_of(ScriptedProvider(["a"]), seen)
    with pytest.raises(TypeError):
        await collect(client, temperature="hot")
    assert seen.told == []

    class Refusing(ScriptedProvider):
        async def stream(self, request, call):
            raise ConfigurationError("strict: no seed here")
            yield

    with pytest.raises(ConfigurationError):
        await collect(client_of(Refusing(), seen))
    call = seen.check()
    assert (call.outcome, call.error.kind) == ("error", "invalid_request")
    assert call.attempts[0].outcome == "error"


class OddError(BaseException):
    """As test frameworks and other loops' cancellations are."""


class Broken(Observer):
    """Raises in each of its methods."""

    def __init__(self, problem: type[BaseException]) -> None:
        self.problem = problem

    def begin(self, call, *_):
        raise self.problem

    attempt_begin = first_piece = attempt_end = end = begin


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("middleware", [0, 1])
@pytest.mark.parametrize(
    "problem",
    [RuntimeError, asyncio.CancelledError, GeneratorExit, StopAsyncIteration, OddError],
)
async def test_an_observer_that_raises_disturbs_nobody(problem, middleware, stream, caplog):
    async def passing(request, call, next):
        async for event in next(request):
            yield event

    seen = Recorder()
    observers = Broken(problem), seen, Broken(problem)
    provider = ScriptedProvider([ErrorInfo("overloaded")], ["a"])
    client = client_of(provider, *observers, middleware=[passing] * middleware)
    events = await collect(client, stream=stream)
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    seen.check()
    for method, often in {"begin": 2, "attempt_begin": 4, "attempt_end": 4, "end": 2}.items():
        assert caplog.text.count(f"the observer Broken raised in {method}\n") == often


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("value", ["complete", None])
@pytest.mark.parametrize("method", METHODS)
async def test_an_observer_that_writes_on_the_records_disturbs_nobody(method, value, stream):
    def write(self, call, attempt=None):
        for record in filter(None, [call, attempt]):
            record.outcome = record.first_piece = record.ended = value
        call.attempts = value

    writing = type("Writing", (Observer,), {method: write})()
    told = []
    counting = Broken(OddError)
    for name in METHODS:
        setattr(counting, name, lambda *_, name=name: told.append(name))
    provider = ScriptedProvider([ErrorInfo("overloaded")], ["a"])
    events = await collect(client_of(provider, writing, counting), stream=stream)
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    attempt = ["attempt_begin", "attempt_end"]
    assert told == ["begin", *attempt, "attempt_begin", "first_piece", "attempt_end", "end"]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_process_is_not_held_up_by_an_observer(problem):
    class Ending(Observer):
        def end(self, call):
            raise problem

    with pytest.raises(problem):
        asyncio.run(collect(client_of(ScriptedProvider(["a"]), Ending())))


async def test_a_method_that_turns_out_to_be_async_is_named_in_the_log(caplog):
    async def later(*_):
        raise AssertionError

    class Hidden(Observer):
        def end(self, call):
            return later()

    events = await collect(client_of(ScriptedProvider(["a"]), Hidden()))
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert "the observer Hidden has an async end, which isn't awaited" in caplog.text


@pytest.mark.parametrize(
    ("observers", "words"),
    [
        (LogObserver(), "must be a list"),
        ("log", "must be a list"),
        (None, "must be a list"),
        ([LogObserver], "it is a class"),
        ([print], "it lacks begin, attempt_begin, first_piece, attempt_end, end"),
        ([None], "it lacks begin"),
    ],
)
def test_what_is_no_observer_is_a_type_error(observers, words):
    with pytest.raises(TypeError, match=words):
        LLMClient("simulator", observers=observers)


def test_an_observer_is_called_and_not_awaited():
    class Awaited(Observer):
        async def end(self, call):
            pass

    class Yielding(Observer):
        def end(self, call):
            yield

    for observer in (Awaited(), Yielding()):
        with pytest.raises(TypeError, match="end: an observer is called, not awaited"):
            LLMClient("simulator", observers=[observer])


def test_any_object_with_the_methods_is_an_observer():
    told = []

    class Plain:
        def __getattr__(self, name):
            if name not in METHODS:
                raise AttributeError(name)
            return lambda *_: told.append(name)

    asyncio.run(collect(client_of(ScriptedProvider(["a"]), Plain())))
    assert told == ["begin", "attempt_begin", "first_piece", "attempt_end", "end"]


# --- every ending -----------------------------------------------------------------------------------------

ENDINGS = ("read", "break", "drop", "cancel", "double cancel", "client closed")
items = st.sampled_from(["a", "b", CALL, DOWN, CUT, ErrorInfo("authentication", "no")])
scripts = st.lists(st.lists(items, max_size=3), min_size=1, max_size=4)


@given(
    scripts=scripts,
    fallbacks=st.lists(scripts, max_size=2),
    ending=st.sampled_from(ENDINGS),
    after=st.integers(0, 4),
    hang=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    on_interrupt=st.sampled_from(["error", "restart", "continue"]),
    stream=st.booleans(),
    middleware=st.integers(0, 2),
)
def test_each_ending_of_each_call_is_told_once_and_in_order(  # noqa: PLR0917  # a call has as many sides
    scripts, fallbacks, ending, after, hang, on_interrupt, stream, middleware
):
    if ending in ("cancel", "double cancel", "client closed"):
        number, place = hang
        script = scripts[min(number, len(scripts) - 1)]
        script.insert(place, HANG)

    async def passing(request, call, next):
        async for event in next(request):
            yield event

    async def story() -> None:
        seen = [Recorder(), Recorder()]
        slow = ending == "double cancel"
        first, *others = (
            Hanging(f"p{number}", *each, slow_close=slow)
            for number, each in enumerate([scripts, *fallbacks])
        )
        client = client_of(
            first,
            *seen,
            fallbacks=others,
            on_interrupt=on_interrupt,
            middleware=[passing] * middleware,
        )
        events: list[Any] = []
        await end(ending, client, first, events, after=after, stream=stream, seen=seen[0])
        await asyncio.wait_for(seen[0].ended.wait(), PATIENCE)
        call = seen[0].check()
        assert seen[1].told == seen[0].told
        assert seen[1].call is call
        came_to_its_end = bool(events) and events[-1].type in (
            EventType.MESSAGE_COMPLETE,
            EventType.ERROR,
        )
        if came_to_its_end:
            expected = "complete" if events[-1].type is EventType.MESSAGE_COMPLETE else "error"
            assert call.outcome == expected
            assert call.usage == events[-1].usage
            assert call.error == events[-1].error_info
            if call.error is not None and not middleware:
                assert call.error.attempts == len(call.attempts)
        else:
            assert call.outcome == ("cancelled" if "cancel" in ending else "stopped")

    asyncio.run(story())


async def end(ending, client, provider, events, *, after, stream, seen) -> None:
    """Begin a call, and let it end in this way."""
    source = client.chat_completion(HI, stream=stream)
    if ending == "read":
        events += [event async for event in source]
    elif ending in ("break", "drop"):
        events += [await anext(source)]
        while len(events) <= after:
            event = await anext(source, None)
            if event is None:
                break
            events.append(event)
        if ending == "break":
            await source.aclose()
        del source
        gc.collect(0)
    else:
        reading = asyncio.create_task(read(source, events))
        del source
        await first(reading, provider.hangs.wait())
        if ending == "client closed":
            await client.aclose()
        else:
            reading.cancel()
        if ending == "double cancel":
            await first(reading, provider.closing.wait())
            reading.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(reading, PATIENCE)


async def read(source, events) -> None:
    async for event in source:
        events.append(event)  # what came is looked at meanwhile


async def first(reading, other) -> None:
    """Wait until one of them is over."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait({reading, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def test_a_call_that_is_dropped_when_its_loop_is_closed_ends_too():
    seen = None

    async def begin():
        nonlocal seen
        seen = Recorder()
        events = client_of(ScriptedProvider(["a", "b"]), seen).chat_completion(HI)
        await anext(events)
        return events

    loop = asyncio.new_event_loop()
    events = loop.run_until_complete(begin())
    loop.close()
    assert "end" not in seen.told
    del events
    gc.collect()
    assert seen.check().outcome == "stopped"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_over_real_connections_too(transport):
    seen = Recorder()
    async with FaultServer("status-529", "ok", "stall") as server:
        client = LLMClient(
            "openai:m-1",
            api_key="k",
            base_url=server.url("openai"),
            transport=transport,
            observers=[seen],
            retry=RetryPolicy(base_delay=0.0),
        )
        async with client:
            await client.complete(HI)
            assert seen.check().attempts[0].error.status_code == 529
            assert seen.call.usage.output_tokens
            assert seen.call.start.id
            seen.calls, seen.told = [], []
            async with client.stream(HI, timeouts=Timeouts(idle=None)) as stream:
                async for event in stream:
                    if event.text:
                        break
            assert seen.check().outcome == "stopped"
            await server.left(PATIENCE)


def answered(provider: str, how: str) -> Handler:
    """The same words as a stream, as one JSON document, or cut."""
    format = FORMATS[APIS[provider]]
    name = "request-id" if provider == "anthropic" else "X-Request-Id"

    async def handler(request: Request, reply: Reply) -> None:
        if how == "document":
            await reply.whole(200, format.samples.document("hello"), **{name: "req-1"})
            return
        await reply.head(**{name: "req-1"})
        sent = pieces(format.name, "hello ", "there", Usage(1, 2))
        for data in sent[:3] if how == "cut" else sent:
            await reply.send(data)
        if how == "cut":
            raise CutError
        await reply.end()

    return handler


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("how", ["stream", "document", "cut"])
@pytest.mark.parametrize("provider", [*APIS])
async def test_the_provider_s_id_of_the_request_is_known(provider, how, stream, transport, caplog):
    """However the answer comes, and also when its reader leaves early."""
    caplog.set_level(logging.INFO, logger="llmstream.calls")
    seen = Recorder()
    async with (
        Loopback(answered(provider, how)) as server,
        LLMClient(
            f"{provider}:m-1",
            api_key="k",
            base_url=server.url(provider),
            transport=transport,
            observers=[seen, LogObserver()],
            retry=RetryPolicy(max_attempts=1),
        ) as client,
    ):
        last = (await collect(client, stream=stream))[-1]
        if stream:
            async with client.stream(HI) as left:
                async for event in left:
                    if event.text:
                        break
    assert last.type == ("error" if how == "cut" else "message_complete")
    assert last.start is None or last.start.request_id == "req-1"
    for call in seen.calls:
        assert call.request_id == call.attempts[0].request_id == "req-1"
    lines = [record.getMessage() for record in caplog.records if record.name == "llmstream.calls"]
    assert len(lines) == len(seen.calls)
    assert all(" request=req-1 " in line for line in lines)


# --- the log ----------------------------------------------------------------------------------------------


async def log_line(caplog, *attempts: Any, model: str = "script", **options: Any) -> str:
    caplog.set_level(logging.INFO, logger="llmstream.calls")
    client = client_of(ScriptedProvider(*attempts), LogObserver(), model=model, **options)
    await collect(client)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "llmstream.calls"]
    pattern = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z call=[0-9a-f]{32} "
    found = re.match(pattern, line)
    assert found
    return line[found.end() :]


async def test_the_log_has_a_line_for_a_whole_call(caplog):
    attempts = [ErrorInfo("overloaded", retry_after=2)], ["secret", Usage(3, 2)]
    line = await log_line(caplog, *attempts, rng=Random(1))
    assert re.fullmatch(
        r"model=script provider=scripted status=complete finish=stop input=3 output=2 "
        r"first_ms=2\d{3} ms=2\d{3} answer=script-2 attempts=2",
        line,
    ), line


async def test_the_log_has_a_line_for_a_failure(caplog):
    limit = ErrorInfo("rate_limit", "secret", status_code=429, retryable=False, request_id="req_1")
    line = await log_line(caplog, [limit])
    assert line == (
        "model=script provider=scripted status=error error=rate_limit http=429 ms=0 "
        "request=req_1 attempts=1"
    )


async def test_no_foreign_word_forges_a_field_or_a_line_of_the_log(caplog):
    odd = 'x status=complete\n"ms=1\x1b[31m' + "é" * 5000
    failed = ErrorInfo("server", odd, retryable=False, request_id=odd)
    line = await log_line(caplog, [failed], model=odd)
    assert line.count("status=") == line.count(" ms=") == 1
    assert "status=error" in line
    assert line.isascii()
    assert line.isprintable()
    assert line.endswith("attempts=1")
    assert len(line) < 500


async def test_the_log_is_silent_below_its_level(caplog):
    caplog.set_level(logging.WARNING, logger="llmstream.calls")
    await collect(client_of(ScriptedProvider(["a"]), LogObserver()))
    assert not caplog.records
    await collect(client_of(ScriptedProvider(["a"]), LogObserver(logging.WARNING)))
    assert len(caplog.records) == 1


async def test_no_repr_of_a_record_shows_content(caplog):
    seen = Recorder()
    provider = ScriptedProvider(["private answer", ErrorInfo("server", "private words")])
    client = client_of(provider, seen)
    [_ async for _ in client.chat_completion([{"role": "user", "content": "private question"}])]
    assert "private" not in repr(seen.call)
    assert "script-1" in repr(seen.call)


# --- what it costs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_observers_cost_nothing_per_event(stream):
    """Of the functions that run for an answer, those of the observers run as often for ten times the pieces."""

    async def count(pieces: int) -> int:
        ran = 0

        def profile(frame, event, argument):
            nonlocal ran
            ran += event == "call" and frame.f_code.co_filename.endswith("observe.py")

        client = client_of(ScriptedProvider(["word "] * pieces), Recorder(), LogObserver())
        sys.setprofile(profile)
        try:
            await collect(client, stream=stream)
        finally:
            sys.setprofile(None)
        return ran

    assert await count(10) == await count(100) > 10
