"""Dispatcher: whatever a handler does becomes one legal stream, and others go on."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import aclosing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    LLMError,
    RetryPolicy,
    StreamEvent,
    Usage,
)
from llmstream.events.types import Retry, Start, Status, TextDelta, ToolCallDelta, text_delta
from llmstream.messages import FinishReason, Message, ReasoningPart, Source, TextPart, ToolCall
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes, rules
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import run_tools
from tests import strategies as values
from tests.grammar_check import check_stream
from tests.patience import PATIENCE
from tests.router.routes import AllowedValues, read
from tests.test_tools import check_steps

BILLING, SUPPORT, NOT_DEFINED = AllowedValues
HI = [{"role": "user", "content": "hi"}]
SECRET = "my number is 1234"


async def stream_of(handler, text="hi", **options):
    dispatcher = Dispatcher(AllowedValues, **options)
    dispatcher.handler(BILLING)(handler)
    return await dispatcher.dispatch(BILLING, text)


async def answer_of(handler, **options):
    events = await read(await stream_of(handler, **options))
    check_stream(events, going_on=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return events


async def error_of(handler, **options):
    return (await answer_of(handler, **options))[-1].error_info


def client_of(*attempts, **options):
    return LLMClient(provider=ScriptedProvider(*attempts), clock=VirtualClock(), **options)


# --- the ways to answer -------------------------------------------------------------------------------------


async def test_text_becomes_an_answer():
    async def handler(request):
        yield f"You said {request}"
        yield ""
        yield "."

    events = await answer_of(handler)
    assert [event.type.name for event in events] == [
        "MESSAGE_START",
        "TEXT_DELTA",
        "TEXT_DELTA",
        "MESSAGE_COMPLETE",
    ]
    assert events[-1].message.text == "You said hi."
    assert events[-1].finish_reason is FinishReason.STOP


async def whole_text(request):
    return "hello"


async def deltas(request):
    yield text_delta("hel")
    yield "lo"


async def open_stream(request):
    return client_of(["hel", "lo"]).stream(HI)


@pytest.mark.parametrize(
    "handler",
    [
        whole_text,
        deltas,
        open_stream,
        lambda request: "hello",
        lambda request: whole_text(request + request),
        lambda request: client_of(["hel", "lo"]).chat_completion(HI),
        lambda request: client_of(["hel", "lo"]).chat_completion(HI, stream=False),
        lambda request: client_of(["hel", "lo"]).stream(HI).text(),
    ],
)
async def test_handlers_may_be_of_any_kind(handler):
    assert (await answer_of(handler))[-1].message.text == "hello"


async def test_a_client_s_stream_stays_as_it_is():
    items = [
        ReasoningPart("hm", "sig"),
        "a ",
        Source(title="s"),
        "b",
        ToolCall("c", "f", "{}", input={}),
        Usage(3, 4),
    ]
    provider = ScriptedProvider([ErrorInfo("overloaded")], items)
    client = LLMClient(provider=provider, retry=RetryPolicy(), clock=VirtualClock())
    own = ScriptedProvider([ErrorInfo("overloaded")], items)
    expected = await read(
        LLMClient(provider=own, retry=RetryPolicy(), clock=VirtualClock()).chat_completion(HI)
    )
    got = await answer_of(lambda request: client.chat_completion(HI))
    assert [replace(event, retry=None) for event in got] == [
        replace(event, retry=None) for event in expected
    ]


@pytest.mark.parametrize("on_interrupt", ["restart", "continue"])
async def test_an_interrupted_answer_stays_one(on_interrupt):
    """RETRY passes, what it discards is discarded, and the bill is the client's."""

    def make():
        cut = [
            "Once ",
            "upon ",
            StreamEvent(EventType.ERROR, error_info=ErrorInfo("truncated"), usage=Usage(3, 2)),
        ]
        return client_of(cut, ["a time.", Usage(5, 1)], on_interrupt=on_interrupt)

    expected = await read(make().chat_completion(HI))
    assert any(event.retry is not None for event in expected)
    got = await answer_of(lambda request: make().chat_completion(HI))
    assert got[-1] == expected[-1]
    assert [event.type for event in got] == [event.type for event in expected]


async def test_several_rounds_of_tools_stay_what_they_are():
    async def weather(city: str) -> str:
        return f"{city}: sun"

    called = [ToolCall("c1", "weather", '{"city": "Rome"}', input={"city": "Rome"}), Usage(3, 1)]
    client = client_of(["Let me see. ", *called], ["Sun.", Usage(5, 1)])
    dispatched = await read(await stream_of(lambda request: run_tools(client, HI, [weather])))
    last = check_steps(dispatched)
    assert last.message.text == "Sun."
    assert last.usage.attempts == (Usage(3, 1), Usage(5, 1))
    assert len(last.messages) == 3


@given(st.lists(values.parts, max_size=5), values.or_none(values.usages))
def test_a_whole_answer_is_taken_apart_without_loss(parts, usage):
    """What `stream=False` gives, with every kind of part, as deltas."""
    parts = [part for part in parts if getattr(part, "text", "x") and part.type != "image"]
    for part in parts:
        if isinstance(part, ReasoningPart) and part.format is None:
            part.signature = part.id = None
    message = Message("assistant", parts, usage=usage)

    async def handler(request):
        yield StreamEvent(
            EventType.MESSAGE_COMPLETE, start=Start("i", "m"), message=message, usage=usage
        )

    async def run():
        return await read(await stream_of(handler))

    events = asyncio.run(run())
    if not parts:
        assert [event.type.name for event in events] == ["MESSAGE_START", "MESSAGE_COMPLETE"]
    last = check_stream(events)
    joined = "".join(part.text for part in parts if isinstance(part, TextPart))
    assert last.message.text == joined
    assert last.start == Start("i", "m")
    kinds = [part for part in last.message.parts if not isinstance(part, TextPart)]
    assert [part for part in kinds if part.type not in ("refusal", "reasoning")] == [
        part for part in parts if part.type not in ("text", "refusal", "reasoning")
    ]


async def test_a_failed_batch_keeps_what_had_come():
    client = client_of(["Once ", ErrorInfo("truncated")], retry=RetryPolicy(max_attempts=1))
    info = await error_of_batch(client)
    assert (info.kind, info.partial.text) == ("truncated", "Once ")


async def test_an_error_that_a_handler_raises_keeps_what_had_come():
    client = client_of(["Once ", ErrorInfo("truncated")], retry=RetryPolicy(max_attempts=1))
    info = (await read(await stream_of(lambda request: client.complete(HI))))[-1].error_info
    assert (info.kind, info.partial.text) == ("truncated", "Once ")


async def test_after_a_retry_that_discards_the_handler_s_own_text_may_be_the_answer():
    async def handler(request):
        yield StreamEvent(EventType.MESSAGE_START, start=Start("i"))
        yield "lost"
        yield StreamEvent(EventType.RETRY, retry=Retry(2, 3, 0.0, "cut", "truncated", discard=True))
        yield "Ask me later."

    assert (await answer_of(handler))[-1].message.text == "Ask me later."


async def error_of_batch(client):
    return (await read(await stream_of(lambda request: client.chat_completion(HI, stream=False))))[
        -1
    ].error_info


async def test_endless_answers_keep_no_message():
    events = await read(await stream_of(deltas, keep_message=False))
    check_stream(events, keep_message=False)


# --- what can go wrong --------------------------------------------------------------------------------------


async def test_a_handler_that_raises_is_an_error_without_its_words(caplog):
    async def handler(request):
        yield "Your "
        raise KeyError(SECRET)

    with caplog.at_level(logging.DEBUG):
        info = await error_of(handler)
    assert (info.kind, info.code, info.retryable) == ("internal", "raised", False)
    assert info.message == "the handler for 'billing' raised KeyError"
    assert info.partial.text == "Your "
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == (
        "llmstream.router",
        "the handler for 'billing' raised KeyError",
    )
    assert f"  KeyError: '{SECRET}'" in record.exc_text


async def raise_at_once(request):
    raise OSError(SECRET)


async def cancel_itself(request):
    raise asyncio.CancelledError
    yield


async def return_nothing(request):
    return
    yield


async def only_a_status(request):
    yield StreamEvent(EventType.STATUS, status=Status("progress", "looking"))


async def begin_without_end(request):
    async for event in client_of(["a", "b"]).chat_completion(HI):
        if event.type is not EventType.MESSAGE_COMPLETE:
            yield event


def in_a_thread(request):
    return next(iter(()))


async def leave(request):
    sys.exit(2)


async def leave_midway(request):
    yield "Bye"
    sys.exit(2)


@pytest.mark.parametrize(
    ("handler", "kind", "told"),
    [
        (raise_at_once, "internal", "raised OSError"),
        (cancel_itself, "internal", "raised CancelledError"),
        (in_a_thread, "internal", "raised RuntimeError"),
        (sys.exit, "internal", "raised RuntimeError"),
        (leave, "internal", "raised SystemExit"),
        (leave_midway, "internal", "raised SystemExit"),
        (return_nothing, "internal", "ended without an answer"),
        (only_a_status, "internal", "ended without an answer"),
        (begin_without_end, "truncated", "stopped in the middle of an answer"),
        (lambda request: None, "internal", "gave NoneType: give text or StreamEvents"),
        (lambda request: b"hello", "internal", "gave bytes: give text or StreamEvents"),
        (lambda request: ["hello"], "internal", "gave list: give text or StreamEvents"),
        (
            lambda request: client_of([ErrorInfo("quota", "no money")]).complete(HI),
            "quota",
            "no money",
        ),
    ],
)
async def test_what_goes_wrong_is_said(handler, kind, told):
    info = await error_of(handler)
    assert info.kind == kind
    assert told in info.message


@pytest.mark.parametrize(
    ("nonsense", "told"),
    [
        (3, "gave int: give text or StreamEvents"),
        (None, "gave NoneType"),
        (b"bytes", "gave bytes"),
        ({"type": "text_delta"}, "gave dict"),
        (StreamEvent("text_delta"), "whose type is no EventType"),
        (StreamEvent(EventType.TEXT_DELTA), "a text_delta event without its value"),
        (StreamEvent(EventType.TEXT_DELTA, "text"), "of a wrong type"),
        (StreamEvent(EventType.TEXT_DELTA, TextDelta(5)), "content is no string"),
        (StreamEvent(EventType.STATUS), "a status event without its value"),
        (StreamEvent(EventType.RETRY), "gave a RETRY without its value"),
        (StreamEvent(EventType.MESSAGE_COMPLETE, message="hello"), None),
        (StreamEvent(EventType.ERROR, error_info="oops"), "error_info is of a wrong type"),
    ],
)
@pytest.mark.parametrize("before", [[], ["text"]])
async def test_nonsense_is_an_error_that_names_it(nonsense, told, before):
    closed = []

    async def handler(request):
        try:
            for item in before:
                yield item
            yield nonsense
            yield "never"
        finally:
            closed.append(True)

    events = await answer_of(handler)
    assert closed == [True]
    if told is not None:
        assert events[-1].error_info.kind == "internal"
        assert told in events[-1].error_info.message
        assert (events[-1].error_info.partial is not None) == bool(before)


ODD_ERROR = ErrorInfo("internal")
ODD_ERROR.kind, ODD_ERROR.retryable = {}, None  # type: ignore[assignment]  # what a handler may do


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (
            StreamEvent(
                EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "c", "f", arguments=5)
            ),
            "no string",
        ),
        (StreamEvent(EventType.ERROR, error_info=ODD_ERROR), "wrong type"),
        (
            StreamEvent(EventType.MESSAGE_COMPLETE, start=5, text_delta=TextDelta("a")),
            "start is of a wrong type",
        ),
    ],
)
async def test_events_that_cannot_be_added_up_still_end_in_an_error(odd, told):
    async def handler(request):
        yield odd
        raise KeyError

    (event,) = await read(await stream_of(handler))
    assert event.error_info.kind == "internal"
    assert told in event.error_info.message


async def test_what_comes_after_the_end_is_not_read():
    async def handler(request):
        async for event in client_of(["a"]).chat_completion(HI):
            yield event
        raise AssertionError

    assert (await answer_of(handler))[-1].type is EventType.MESSAGE_COMPLETE


async def test_a_cleanup_that_raises_changes_nothing(caplog):
    async def handler(request):
        try:
            async for event in client_of(["a"]).chat_completion(HI):
                yield event
        finally:
            raise OSError(SECRET)

    assert (await answer_of(handler))[-1].type is EventType.MESSAGE_COMPLETE
    assert "the handler for 'billing' raised OSError" in caplog.text


# --- time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "code"), [([], "first_token"), (["a", "b"], "idle")])
async def test_a_handler_that_hangs_is_stopped(before, code):
    clock = VirtualClock()
    ended = []

    async def handler(request):
        for item in before:
            yield item
        try:
            await clock.sleep(1000)
        finally:
            ended.append(clock.now)

    info = await error_of(handler, timeout=30, clock=clock)
    assert (info.kind, info.code, info.message) == (
        "timeout",
        code,
        "the handler for 'billing' gave nothing for 30 s",
    )
    assert (info.partial.text if info.partial else "") == "".join(before)
    assert ended == [30]


@pytest.mark.parametrize("odd", [OSError, "more"])
async def test_one_that_makes_something_of_being_stopped_ends_all_the_same(odd):
    clock = VirtualClock()

    async def handler(request):
        yield "a"
        while True:
            try:
                await clock.sleep(1000)
            except asyncio.CancelledError:
                if odd is OSError:
                    raise OSError from None
            yield odd

    info = await error_of(handler, timeout=30, clock=clock)
    assert (info.kind, info.partial.text) == ("timeout", "a")


async def test_a_thread_that_hangs_is_left_behind():
    go_on = threading.Event()
    clock = VirtualClock()
    reading = asyncio.ensure_future(
        read(await stream_of(lambda request: go_on.wait(PATIENCE), timeout=30, clock=clock))
    )
    await clock.sleep(31)
    assert (await reading)[-1].error_info.code == "first_token"
    go_on.set()


async def test_only_silence_counts_and_only_while_somebody_waits():
    clock = VirtualClock()

    async def handler(request):
        for _ in range(5):
            await clock.sleep(20)
            yield "a"

    texts = []
    async with aclosing(await stream_of(handler, timeout=30, clock=clock)) as events:
        async for event in events:
            texts.append(event.text)
            await clock.sleep(100)
    assert "".join(texts) == "aaaaa"
    assert event.type is EventType.MESSAGE_COMPLETE


async def test_what_comes_at_the_last_moment_counts():
    ready = asyncio.Event()

    class LastMoment(VirtualClock):
        def call_later(self, seconds, callback):
            return super().call_later(
                seconds, lambda: (ready.set(), callback())
            )  # in one step of the loop

    async def handler(request):
        yield "a"
        await ready.wait()
        yield "b"

    clock = LastMoment()
    reading = asyncio.ensure_future(read(await stream_of(handler, timeout=30, clock=clock)))
    await clock.sleep(31)
    events = await reading
    assert (events[-1].type, events[-1].message.text) == (EventType.MESSAGE_COMPLETE, "ab")


async def test_no_limit_is_no_limit():
    clock = VirtualClock()

    async def handler(request):
        await clock.sleep(10**6)
        yield "a"

    assert (await answer_of(handler, timeout=None, clock=clock))[-1].message.text == "a"


# --- closing ------------------------------------------------------------------------------------------------


async def test_closing_closes_the_handler_at_once():
    state = []

    async def handler(request):
        try:
            state.append("begun")
            yield "a"
            await asyncio.Event().wait()
        finally:
            state.append("closed")

    events = await stream_of(handler)
    assert state == []
    assert (await anext(events)).type is EventType.MESSAGE_START
    assert state == ["begun"]
    await events.aclose()
    assert state == ["begun", "closed"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_a_stream_closes_the_provider_s():
    provider = ScriptedProvider(["a"] * 200)
    client = LLMClient(provider=provider)
    events = await stream_of(lambda request: client.chat_completion(HI))
    await anext(events)
    await events.aclose()
    assert provider.closed == 1


async def test_a_stream_that_is_never_read_never_begins():
    begun = []
    events = await stream_of(begun.append)
    await events.aclose()
    assert not begun


async def test_cancelling_who_reads_closes_the_handler():
    state = []

    async def handler(request):
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            state.append("closed")

    reading = asyncio.ensure_future(read(await stream_of(handler)))
    for _ in range(10):
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert state == ["closed"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_handler_is_never_far_ahead():
    made = []

    async def handler(request):
        for number in range(1000):
            made.append(number)
            yield "a"

    events = await stream_of(handler)
    for _ in range(10):
        await anext(events)
    assert len(made) <= 10 + 16
    await events.aclose()


async def test_a_handler_runs_in_one_task():
    """So that its own timeouts, which belong to a task, work across its yields."""

    async def handler(request):
        async with asyncio.timeout(60), asyncio.TaskGroup():
            yield "a"
            await asyncio.sleep(0)
            yield "b"

    assert (await answer_of(handler))[-1].message.text == "ab"


# --- any behaviour ------------------------------------------------------------------------------------------

plain = st.text(max_size=5)
nonsense = st.sampled_from([None, 3, b"x", object(), StreamEvent("odd")])
bare_failures = values.event(
    EventType.ERROR, error_info=values.errors.map(lambda info: replace(info, partial=None))
)
bare_completes = values.completes.map(lambda event: replace(event, message=None, messages=None))
anything = st.one_of(
    plain, plain, nonsense, values.pieces, values.status_events, values.bare_events, bare_failures, bare_completes,
    values.event(EventType.MESSAGE_START, start=values.starts), values.event(EventType.RETRY, retry=values.retries),
)  # fmt: skip
endings = st.sampled_from(["return", "raise", "llm", "cancel", "hang"])


@given(st.lists(anything, max_size=8), endings)
def test_any_handler_gives_a_legal_stream(items, ending):
    clock = VirtualClock()

    async def handler(request):
        for item in items:
            yield item
        if ending == "raise":
            raise ValueError(SECRET)
        if ending == "llm":
            raise LLMError(ErrorInfo("server"))
        if ending == "cancel":
            raise asyncio.CancelledError
        if ending == "hang":
            await clock.sleep(1000)

    events = asyncio.run(answer_of(handler, clock=clock))
    assert sum(event.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR) for event in events) == 1
    assert SECRET not in repr(events)


# --- registering --------------------------------------------------------------------------------------------


def test_what_cannot_be_a_handler_is_refused_where_it_is_registered():
    dispatcher = Dispatcher(AllowedValues)

    def blocking(request):
        yield "a"

    for handler, told in (
        (blocking, "blocking would block the event loop: make it an async generator"),
        ("billing", "a handler must be a function"),
        (lambda: "", "must take one argument"),
        (lambda a, b: "", "must take one argument"),
    ):
        with pytest.raises(TypeError, match=told):
            dispatcher.handler(BILLING)(handler)
    dispatcher.handler(BILLING, SUPPORT)(deltas)
    with pytest.raises(ConfigurationError, match="SUPPORT has a handler already"):
        dispatcher.handler(SUPPORT)(deltas)
    with pytest.raises(ConfigurationError, match="no route of AllowedValues"):
        dispatcher.handler("sales")
    with pytest.raises(ConfigurationError, match="handler needs a route"):
        dispatcher.handler()
    with pytest.raises(ValueError, match="timeout"):
        Dispatcher(AllowedValues, timeout=-1)


async def test_a_route_without_handler_raises_before_there_is_a_stream():
    dispatcher = Dispatcher(AllowedValues)
    with pytest.raises(ConfigurationError, match="no handler for BILLING"):
        await dispatcher.dispatch(BILLING, "hi")
    with pytest.raises(ConfigurationError, match="no route of AllowedValues"):
        await dispatcher.dispatch("sales", "hi")


# --- with a router ------------------------------------------------------------------------------------------

TABLE = {BILLING: ["invoice"], SUPPORT: ["broken"]}


def routing_of(*strategies, **handlers):
    dispatcher = Dispatcher(AllowedValues)
    for route in AllowedValues:
        if route.value in handlers or route is not NOT_DEFINED:
            dispatcher.handler(route)(handlers.get(route.value, whole_text))
    return RouterWithDispatcher(AllowedValues, strategies or [rules(TABLE)], dispatcher)


async def test_a_request_is_classified_dispatched_and_streamed():
    events = await read(await routing_of().route_request("my invoice"))
    status = events[0].status
    assert (status.kind, status.message) == ("routed", "billing, by rules")
    assert status.data == {"route": "billing", "by": "rules"}
    assert check_stream(events).message.text == "hello"
    assert [StreamEvent.from_dict(event.to_dict()) for event in events] == events


async def test_the_status_says_what_failed():
    async def broken(text):
        raise OSError(SECRET)

    events = await read(await routing_of(broken).route_request("x"))
    assert events[0].status.data == {
        "route": "not_defined",
        "by": "default",
        "failed": ["broken: OSError"],
    }


async def test_a_request_of_no_route_is_told_what_can_be_asked():
    last = (await read(await routing_of().route_request("what is love?")))[-1]
    assert "- Invoices, payments and refunds\n- Something does not work" in last.message.text
    last = (await read(await routing_of(not_defined=deltas).route_request("what is love?")))[-1]
    assert last.message.text == "hello"


async def test_an_empty_request_is_refused_before_there_is_a_stream():
    with pytest.raises(ValueError, match="the request is empty"):
        await routing_of().route_request(" ")


async def test_a_failing_route_leaves_the_others_alone():
    async def fails(request):
        yield "a"
        raise OSError

    router = routing_of(billing=fails)
    texts = ["invoice", "broken", "else"] * 10
    answers = await asyncio.gather(*[read(await router.route_request(text)) for text in texts])
    ends = [events[-1].type.name for events in answers]
    assert ends == ["ERROR", "MESSAGE_COMPLETE", "MESSAGE_COMPLETE"] * 10


def test_every_route_needs_a_handler_and_all_are_of_one_kind():
    dispatcher = Dispatcher(AllowedValues)
    dispatcher.handler(SUPPORT)(deltas)
    with pytest.raises(ConfigurationError, match="no handler for BILLING: register one"):
        RouterWithDispatcher(AllowedValues, [rules(TABLE)], dispatcher)

    class Others(Routes):
        NOT_DEFINED = "not_defined"

    with pytest.raises(
        ConfigurationError, match="the dispatcher is for AllowedValues, not for Others"
    ):
        RouterWithDispatcher(Others, [rules(TABLE)], dispatcher)


async def test_a_subclass_that_classifies_by_itself_is_heard():
    """As in programs that write their own `classify`, async or not."""

    class ByLength(RouterWithDispatcher):
        def classify(self, text):
            return BILLING if len(text) > 3 else "support"

    class ByLengthLater(RouterWithDispatcher):
        async def classify(self, text):
            return BILLING if len(text) > 3 else NOT_DEFINED

    class Odd(RouterWithDispatcher):
        def classify(self, text):
            return 3

    dispatcher = Dispatcher(AllowedValues)

    @dispatcher.handler(BILLING, SUPPORT, NOT_DEFINED)
    async def answer(text):
        yield text

    def made(kind):
        return kind(AllowedValues, [rules({SUPPORT: ["x"]})], dispatcher)

    for kind, route in ((ByLength, "billing"), (ByLengthLater, "billing")):
        events = [event async for event in await made(kind).route_request(user_request="long")]
        assert events[0].status.data == {"route": route, "by": "classify"}
        assert "".join(event.text for event in events) == "long"
    with pytest.raises(ValueError, match="empty"):
        await made(ByLength).route_request("  ")
    with pytest.raises(ConfigurationError, match="no route"):
        await made(Odd).route_request("long")


async def test_a_coroutine_that_nobody_awaited_is_told_what_to_write():
    dispatcher = Dispatcher(AllowedValues)

    async def classify():
        return BILLING

    with pytest.raises(ConfigurationError, match="await what classifies"):
        await dispatcher.dispatch(classify(), "hi")
