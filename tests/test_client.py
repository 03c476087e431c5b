"""LLMClient: one call, retried and announced, held to the grammar."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import logging
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    LLMError,
    Message,
    RetryPolicy,
    Status,
    StreamEvent,
    TextDelta,
    Timeouts,
    Usage,
)
from llmstream.errors import AuthenticationError, TruncatedError
from llmstream.events.types import RefusalDelta, Start, error, reasoning_delta, text_delta
from llmstream.messages import ChatRequest, FinishReason, RefusalPart, Source, ToolCall
from llmstream.providers import ProviderTraits
from llmstream.testing import ScriptedProvider, VirtualClock
from tests import strategies
from tests.grammar_check import check_stream

HI = [{"role": "user", "content": "what's up?"}]
RATE_LIMIT = ErrorInfo("rate_limit", "slow down", retry_after=4.0)
DONE = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


@dataclass
class Playing:
    """A provider made of one function, to do what ScriptedProvider never would."""

    play: Any
    name: str = "playing"
    traits: ClassVar = ProviderTraits(default_model="m")
    closed: list[str] = field(default_factory=list)

    async def stream(self, request, call):
        try:
            async for event in self.play(request, call):
                yield event
        finally:
            self.closed.append(request.model)

    async def aclose(self):
        self.closed.append("provider")


def client_of(*attempts, **options):
    """A client of a script, on a clock that doesn't wait."""
    options = {"clock": VirtualClock(), "rng": Random(0), **options}
    return LLMClient(provider=ScriptedProvider(*attempts), **options)


async def collect(client, **options):
    return [event async for event in client.chat_completion(HI, **options)]


def types(events):
    return [str(event.type) for event in events]


# --- the promised shape --------------------------------------------------------------------------------------


def test_chat_completion_is_an_async_generator():
    """The call is an async generator function, as promised."""
    assert inspect.isasyncgenfunction(LLMClient.chat_completion)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_users_own_loop_works(stream):
    """The documented loop prints the text, the reason and the usage, in stream and in batch mode."""
    client = client_of(["Hel", "lo", Usage(3, 2)])
    shown = []
    async for event in client.chat_completion(messages=HI, stream=stream):
        if event.type == EventType.TEXT_DELTA:
            shown.append(event.text_delta.content)
        elif event.type == EventType.MESSAGE_COMPLETE:
            if event.text_delta:
                shown.append(event.text_delta.content)
            shown += [event.finish_reason, event.usage]
        elif event.type == EventType.ERROR:
            shown.append(event.error)
    assert shown == (["Hel", "lo"] if stream else ["Hello"]) + ["stop", Usage(3, 2)]


async def test_a_stream_is_deltas_and_one_end():
    """MESSAGE_START, the deltas, MESSAGE_COMPLETE with the message and no text_delta."""
    events = await collect(client_of(["a", "b"]))
    last = check_stream(events)
    assert types(events) == ["message_start", "text_delta", "text_delta", "message_complete"]
    assert events[0].start == last.start == Start("script-1", "script", "scripted")
    assert (last.text_delta, last.message.text, last.message.provider) == (None, "ab", "scripted")


async def test_batch_is_one_event():
    """`stream=False` gives exactly MESSAGE_COMPLETE, with the whole text, which may be None."""
    (last,) = await collect(client_of(["a", "b"]), stream=False)
    assert (last.type, last.text_delta, last.text) == (
        EventType.MESSAGE_COMPLETE,
        TextDelta("ab"),
        "ab",
    )
    (last,) = await collect(client_of([ToolCall("1", "f", "{}", input={})]), stream=False)
    assert (last.text_delta, last.text) == (None, "")
    assert last.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("keep_message", [True, False])
async def test_a_refusal_has_its_words_in_batch_mode_too(keep_message):
    """They are not text: `text_delta` has none of them."""
    client = client_of(
        ["So: ", RefusalPart("I'd rather "), RefusalPart("not.")], keep_message=keep_message
    )
    (last,) = await collect(client, stream=False)
    assert (last.text, last.refusal_delta) == ("So: ", RefusalDelta("I'd rather not."))
    streamed = await collect(client_of([RefusalPart("no")]))
    assert streamed[-1].refusal_delta is None


async def test_batch_may_be_an_error():
    """`stream=False` gives exactly ERROR when it fails."""
    (last,) = await collect(client_of([ErrorInfo("quota", "no money")]), stream=False)
    assert last.type is EventType.ERROR
    assert last.error == str(last.error_info) == "quota: no money (scripted)"


scripts = st.lists(
    strategies.pieces
    | strategies.status_events
    | st.builds(ErrorInfo, st.sampled_from(["server", "quota"])),
    max_size=6,
)


@given(st.lists(scripts, min_size=1, max_size=3), st.booleans())
def test_whatever_the_script_the_stream_is_legal(attempts, keep_message):
    """Any attempts make a legal stream; where nothing was retried, batch mode gives an equal message or error."""

    async def both():
        streamed = await collect(client_of(*attempts, keep_message=keep_message))
        return streamed, await collect(
            client_of(*attempts, keep_message=keep_message), stream=False
        )

    streamed, batch = asyncio.run(both())
    last = check_stream(streamed, keep_message=keep_message)
    assert len(batch) == 1
    if not any(event.retry for event in streamed) and last.type is EventType.MESSAGE_COMPLETE:
        text = "".join(event.text for event in streamed)
        assert batch[0].message == last.message
        assert batch[0].finish_reason == last.finish_reason
        assert batch[0].text == text


@given(st.lists(scripts, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, 60.0]))
def test_batches_are_the_events_that_the_call_yields(attempts, stream, total):
    """In either mode, with retries and with the clock that the client keeps itself."""

    async def both():
        request, timeouts = ChatRequest([Message("user", "what's up?")], ""), Timeouts(total=total)
        clients = [client_of(*attempts, timeouts=timeouts) for _ in range(2)]
        batches = [batch async for batch in clients[0].batches(request, stream)]
        return batches, await collect(clients[1], stream=stream)

    batches, events = asyncio.run(both())
    assert all(batches)
    assert [event for batch in batches for event in batch] == events


async def test_complete_gives_the_message():
    """`complete` is the whole answer, with its parts and properties."""
    source = Source(url="https://a.example")
    message = await client_of(["a", source, "b", Usage(1, 2)]).complete(HI)
    assert isinstance(message, Message)
    assert (message.text, message.sources, message.finish_reason, message.usage) == (
        "ab",
        [source],
        "stop",
        Usage(1, 2),
    )


async def test_complete_raises_the_matching_error():
    """`complete` raises what an ERROR would have said, with what had come."""
    with pytest.raises(AuthenticationError, match="no such key") as caught:
        await client_of([ErrorInfo("authentication", "no such key")]).complete(HI)
    assert caught.value.info.kind == "authentication"
    with pytest.raises(TruncatedError) as caught:
        await client_of(["a", ErrorInfo("truncated")], retry=RetryPolicy(max_attempts=1)).complete(
            HI
        )
    assert caught.value.info.partial.text == "a"


async def test_stream_gives_events_text_or_message():
    """`client.stream` can be iterated, or asked for text, or for the message."""
    async with client_of(["a", "b"]).stream(HI) as stream:
        assert types([event async for event in stream])[-1] == "message_complete"
    async with client_of([reasoning_delta("hm"), "a", "b"]).stream(HI) as stream:
        assert [text async for text in stream.text()] == ["a", "b"]
    async with client_of(["a", "b"]).stream(HI) as stream:
        assert (await stream.message()).text == "ab"


async def test_stream_text_raises_after_the_text():
    """`stream.text()` hands over what came before it raises."""
    async with client_of(["a", ErrorInfo("server", "down")]).stream(HI) as stream:
        texts = stream.text()
        assert await anext(texts) == "a"
        with pytest.raises(LLMError, match="down"):
            await anext(texts)


async def test_the_answer_can_be_appended_and_sent_back():
    """MESSAGE_COMPLETE.message goes into the history as it is."""
    client = client_of(["a"], ["b"])
    answer = await client.complete(HI)
    await client.complete([*HI, answer, {"role": "user", "content": "and?"}])
    assert [message.text for message in client._provider.requests[1].messages] == [
        "what's up?",
        "a",
        "and?",
    ]


async def test_options_reach_the_provider():
    """Every option arrives parsed, in the provider's request."""
    client = client_of(["a"])
    await client.complete(
        HI,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        tool_choice="required",
        parallel_tool_calls=False,
        response_format={"type": "json_object"},
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        stop="x",
        seed=1,
        reasoning_effort="low",
        metadata={"k": "v"},
        provider_options={"scripted": {"x": 1}},
    )
    (request,) = client._provider.requests
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.tool_choice.mode == "required"
    assert request.response_format.schema is None
    assert (request.temperature, request.top_p, request.max_tokens, request.stop) == (
        0.5,
        0.9,
        7,
        ["x"],
    )
    assert (request.seed, request.reasoning_effort, request.parallel_tool_calls) == (
        1,
        "low",
        False,
    )
    assert (request.metadata, request.provider_options) == ({"k": "v"}, {"scripted": {"x": 1}})


async def test_a_call_may_name_another_model():
    """`model=` per call: a bare name, or one with this provider's own."""
    client = client_of(["a"], ["b"], ["c"], model="first")
    for model in (None, "second", "org:third"):
        await client.complete(HI, model=model)
    assert [request.model for request in client._provider.requests] == [
        "first",
        "second",
        "org:third",
    ]


async def test_a_call_may_go_to_another_provider():
    """`model="simulator:…"` leaves this client's provider for that call alone."""
    client = client_of(["a"])
    events = await collect(client, model="simulator:echo")
    assert events[-1].start.provider == "simulator"
    assert client._provider.requests == []
    assert (await client.complete(HI)).text == "a"


# --- retries -------------------------------------------------------------------------------------------------


async def test_a_failure_before_the_first_piece_is_retried():
    """One RETRY announces the attempt and the wait, which is the server's and passes on the clock."""
    clock = VirtualClock()
    events = await collect(client_of([RATE_LIMIT], ["a"], clock=clock))
    assert types(events) == ["retry", "message_start", "text_delta", "message_complete"]
    retry = events[0].retry
    assert (retry.attempt, retry.max_attempts, retry.kind, retry.discard) == (
        2,
        3,
        "rate_limit",
        False,
    )
    assert (retry.provider, retry.model) == ("scripted", "script")
    assert "slow down" in retry.reason
    assert 4.0 <= retry.delay <= 4.4
    assert clock.sleeps == [retry.delay]
    assert clock.now == retry.delay


async def test_the_retry_is_announced_before_the_wait():
    """A consumer that gets RETRY sees it while the wait is still to come."""
    clock = VirtualClock()
    async with contextlib.aclosing(
        client_of([RATE_LIMIT], ["a"], clock=clock).chat_completion(HI)
    ) as events:
        first = await anext(events)
        assert first.type is EventType.RETRY
        assert clock.sleeps == []


async def test_several_failures_are_several_retries():
    """Each attempt is announced once, with its number."""
    events = await collect(client_of([ErrorInfo("server")], [ErrorInfo("overloaded")], ["a"]))
    assert [(e.retry.attempt, e.retry.kind) for e in events if e.retry] == [
        (2, "server"),
        (3, "overloaded"),
    ]
    assert check_stream(events).message.text == "a"


async def test_the_last_attempt_fails_for_good():
    """After `max_attempts` the ERROR says how many there were; no wait follows."""
    clock = VirtualClock()
    events = await collect(client_of(*[[ErrorInfo("server", "down")]] * 5, clock=clock))
    assert types(events) == ["retry", "retry", "error"]
    assert events[-1].error_info.attempts == 3
    assert len(clock.sleeps) == 2


async def test_one_attempt_means_no_retry():
    """`max_attempts=1` hands the first failure over."""
    events = await collect(client_of([RATE_LIMIT], ["a"], retry=RetryPolicy(max_attempts=1)))
    assert types(events) == ["error"]
    assert events[0].error_info.attempts == 1


@pytest.mark.parametrize(
    "kind", ["authentication", "permission", "invalid_request", "quota", "content_filter"]
)
async def test_what_waiting_cant_cure_is_not_retried(kind):
    """Such errors come at once."""
    client = client_of([ErrorInfo(kind)], ["a"])
    assert types(await collect(client)) == ["error"]
    assert len(client._provider.requests) == 1


async def test_a_delay_beyond_the_limit_is_not_waited_for():
    """A server that asks for an hour gets no second try; the error says what it asked."""
    (last,) = await collect(client_of([ErrorInfo("rate_limit", retry_after=3600.0)], ["a"]))
    assert last.error_info.retry_after == 3600.0


async def test_nothing_is_retried_after_the_first_piece():
    """Once the consumer has seen text, a failure is an ERROR, with what had come."""
    client = client_of(["a", ErrorInfo("server", "down")], ["b"])
    events = await collect(client)
    assert types(events) == ["message_start", "text_delta", "error"]
    assert events[-1].error_info.partial.text == "a"
    assert len(client._provider.requests) == 1


async def test_status_does_not_prevent_a_retry():
    """STATUS passes at once and commits nothing."""
    status = StreamEvent(EventType.STATUS, status=Status("queued", "third in line"))
    events = await collect(client_of([status, RATE_LIMIT], ["a"]))
    assert types(events) == ["status", "retry", "message_start", "text_delta", "message_complete"]


async def test_batch_retries_after_pieces_too(caplog):
    """Nothing has left the generator, so every retryable failure is retried; RETRY and STATUS go to the log."""
    caplog.set_level(logging.INFO, "llmstream")
    status = StreamEvent(EventType.STATUS, status=Status("queued", "third in line"))
    (last,) = await collect(
        client_of([status, "half of", ErrorInfo("truncated")], ["whole"]), stream=False
    )
    assert last.text == last.message.text == "whole"
    assert "attempt 2 of 3" in caplog.text
    assert "third in line" in caplog.text
    assert "half of" not in caplog.text


async def test_all_billed_attempts_are_in_the_usage():
    """A failed attempt that was billed is listed beside the one that answered."""
    failed = error(ErrorInfo("server"))
    failed.usage = Usage(10)
    events = await collect(client_of([failed], ["a", Usage(10, 5)]))
    attempts = (Usage(10, 0, estimated=True), Usage(10, 5))
    assert events[-1].usage == Usage(10, 5, attempts=attempts)


async def test_the_total_clock_ends_the_retries():
    """A wait that would outlast `total` is not begun."""
    options = {"timeouts": Timeouts(total=3.0)}
    assert types(await collect(client_of([RATE_LIMIT], ["a"], **options))) == ["error"]
    assert types(await collect(client_of([RATE_LIMIT], ["a"]), **options)) == ["error"]


async def test_an_expired_total_is_not_retried():
    """A timeout of the whole call is final; another clock's is not."""
    assert types(await collect(client_of([ErrorInfo("timeout", code="total")], ["a"]))) == ["error"]
    assert (
        types(await collect(client_of([ErrorInfo("timeout", code="first_token")], ["a"])))[0]
        == "retry"
    )


async def test_the_same_rng_gives_the_same_delays():
    """With `rng` and `clock` given, a run can be repeated exactly."""
    runs = [await collect(client_of([ErrorInfo("server")], ["a"], rng=Random(7))) for _ in range(2)]
    assert runs[0] == runs[1]


# --- providers that misbehave ----------------------------------------------------------------------------------


async def raising(request, call):
    yield text_delta("a")
    raise RuntimeError("secret detail")


async def raising_at_once(request, call):
    raise RuntimeError("secret detail")
    yield


async def cancelling(request, call):
    """As one that waits for a task which somebody cancelled."""
    yield text_delta("a")
    raise asyncio.CancelledError


async def silent(request, call):
    return
    yield


async def unended(request, call):
    yield text_delta("a")


async def talkative(request, call):
    yield text_delta("a")
    yield DONE
    yield text_delta("b")
    yield DONE


async def valueless(request, call):
    yield StreamEvent(EventType.TEXT_DELTA)


@pytest.mark.parametrize(
    ("play", "kind", "text"),
    [
        (raising, "internal", "a"),
        (raising_at_once, "internal", ""),
        (cancelling, "internal", "a"),
        (silent, "truncated", ""),
        (unended, "truncated", "a"),
        (talkative, None, "a"),
        (valueless, "internal", ""),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_misbehaving_provider_gives_a_legal_stream(play, kind, text, stream):
    """A provider that raises, says nothing, stops or goes on: an event says so, no exception leaves."""
    provider = Playing(play)
    client = LLMClient(provider=provider, retry=RetryPolicy(max_attempts=1))
    events = await collect(client, stream=stream)
    last = events[-1]
    if stream:
        assert check_stream(events) is last
    assert (last.error_info.kind if last.error_info else None) == kind
    whole = last.message or last.error_info.partial
    assert (whole.text if whole else "") == text
    assert "secret" not in repr(events)
    assert provider.closed == ["m"]


async def test_a_wrong_argument_found_by_the_provider_is_raised():
    """What a provider refuses before its first event is the caller's mistake; after it, it is an event."""

    async def refusing(request, call):
        raise ConfigurationError("strict: seed is not supported")
        yield

    async def late(request, call):
        yield text_delta("a")
        raise ValueError

    with pytest.raises(ConfigurationError, match="seed"):
        await collect(LLMClient(provider=Playing(refusing)))
    assert types(await collect(LLMClient(provider=Playing(late))))[-1] == "error"


async def test_cancellation_is_no_event():
    """Cancelling the task ends the call at once, closes the provider, and is never swallowed."""
    entered = asyncio.Event()

    async def waiting(request, call):
        yield text_delta("a")
        entered.set()
        await asyncio.Event().wait()

    provider = Playing(waiting)
    got = []

    async def consume():
        async for event in LLMClient(provider=provider).chat_completion(HI):
            got.append(event)  # noqa: PERF401  # what came before the cancellation

    task = asyncio.create_task(consume())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert types(got) == ["message_start", "text_delta"]
    assert provider.closed == ["m"]


# --- leaving early -------------------------------------------------------------------------------------------


async def test_closing_closes_the_provider():
    """`aclose` on the generator, or leaving `client.stream`, closes the provider's generator at once."""
    client = client_of(["a", "b"], ["a", "b"])
    events = client.chat_completion(HI)
    await anext(events)
    await events.aclose()
    assert client._provider.closed == 1
    async with client.stream(HI) as stream:
        async for _ in stream:
            break
    assert client._provider.closed == 2


async def test_breaking_out_closes_the_provider_soon():
    """A plain `break` drops the generator; the loop closes it in its next turns."""
    client = client_of(["a", "b"])
    async for _ in client.chat_completion(HI):
        break
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
    assert client._provider.closed == 1


async def test_leaving_by_exception_closes_the_provider():
    """`client.stream` closes however its block is left."""
    client = client_of(["a", "b"])
    with contextlib.suppress(KeyError):
        async with client.stream(HI) as stream:
            async for _ in stream:
                raise KeyError
    assert client._provider.closed == 1


async def test_a_finished_call_leaves_nothing_to_close():
    """An answer read to its end was not closed early."""
    client = client_of(["a"])
    await collect(client)
    assert client._provider.closed == 0


async def test_closing_the_client_closes_its_providers():
    """`aclose`, or the end of the block, closes the provider; twice is harmless."""
    provider = Playing(unended)
    async with LLMClient(provider=provider) as client:
        pass
    await client.aclose()
    assert provider.closed == ["provider", "provider"]


# --- options of the client -------------------------------------------------------------------------------------


async def test_without_keep_message_nothing_is_kept():
    """`keep_message=False`: message and partial stay None, in both modes; batch still has its text."""
    options = {"keep_message": False, "retry": RetryPolicy(max_attempts=1)}
    assert (await collect(client_of(["a"], **options)))[-1].message is None
    assert (await collect(client_of(["a", ErrorInfo("server")], **options)))[
        -1
    ].error_info.partial is None
    (last,) = await collect(client_of(["a"], **options), stream=False)
    assert (last.message, last.text) == (None, "a")
    with pytest.raises(ConfigurationError, match="keep_message"):
        await client_of(["a"], **options).complete(HI)


async def test_include_raw_and_strict_reach_the_provider():
    """What the client is told about frames, strictness and clocks is in the provider's Call."""
    seen = []

    async def watching(request, call):
        seen.append(call)
        yield text_delta("a")
        yield DONE

    timeouts = Timeouts(idle=1.0)
    client = LLMClient(provider=Playing(watching), include_raw=True, strict=True, timeouts=timeouts)
    await collect(client, headers={"x-trace": "1"})
    assert (seen[0].include_raw, seen[0].strict, seen[0].timeouts) == (
        True,
        True,
        timeouts.resolved(),
    )
    assert seen[0].headers == {"x-trace": "1"}


def test_a_provider_object_has_its_own_client_or_none():
    """`get_client` is a ConfigurationError where there is no vendor's SDK."""
    with pytest.raises(ConfigurationError, match="scripted"):
        client_of(["a"]).get_client()


def test_repr_names_provider_and_model():
    """`repr` says whom it talks to, and no key."""
    assert repr(client_of(model="m")) == "LLMClient(scripted:m)"
    assert "k-secret" not in repr(LLMClient("openai:m", api_key="k-secret"))


async def test_calls_may_run_side_by_side():
    """Two calls of one client don't disturb each other."""
    client = client_of(*[["a", "b"]] * 20)
    results = await asyncio.gather(*(client.complete(HI) for _ in range(20)))
    assert [message.text for message in results] == ["ab"] * 20


def test_a_client_works_in_one_loop_after_another():
    """`asyncio.run` may be called again with the same client."""
    client = client_of(["a"], ["b"])
    assert asyncio.run(client.complete(HI)).text == "a"
    assert asyncio.run(client.complete(HI)).text == "b"


class Odd(ScriptedProvider):
    """A third party's provider that keeps to nothing."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def stream(self, request, call):
        return self.act()


async def yields_none():
    yield None


async def yields_a_number_for_text():
    yield StreamEvent(EventType.TEXT_DELTA, TextDelta(5))


async def fails_to_read_json():
    json.loads("<html>")
    yield StreamEvent(EventType.MESSAGE_COMPLETE)


def raises_at_once():
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    "act", [yields_none, yields_a_number_for_text, fails_to_read_json, raises_at_once]
)
async def test_whatever_a_third_partys_provider_does_is_an_event(act):
    """Its bugs are ERROR(internal), never exceptions at the consumer."""
    events = [event async for event in LLMClient(provider=Odd(act)).chat_completion(HI)]
    assert [event.error_info.kind for event in events] == ["internal"]


async def test_an_error_counts_every_billed_attempt():
    """The usage of an attempt that failed is in the last ERROR too, although the last attempt reported none."""
    busy = StreamEvent(EventType.ERROR, usage=Usage(5, 1), error_info=ErrorInfo("overloaded"))
    provider = ScriptedProvider([busy], [ErrorInfo("authentication")])
    client = LLMClient(provider=provider, clock=VirtualClock())
    last = [event async for event in client.chat_completion(HI)][-1]
    assert last.usage.attempts == (Usage(5, 1),)


async def test_text_that_turned_void_is_never_followed_by_the_new_one():
    """With `on_interrupt="restart"` `stream.text()` raises: what it gave can't be taken back."""
    client = client_of(["half", ErrorInfo("truncated")], ["whole"], on_interrupt="restart")
    shown = []
    async with client.stream(HI) as stream:
        with pytest.raises(TruncatedError) as caught:
            shown += [piece async for piece in stream.text()]
    assert caught.value.info.code == "discarded"


def test_a_loop_of_another_library_is_said():
    """As trio's, where nothing of asyncio runs."""
    client = LLMClient(provider=ScriptedProvider(["hi"]))
    events = client.chat_completion([{"role": "user", "content": "hi"}])
    with pytest.raises(TypeError, match="runs on asyncio"):
        anext(events).__await__().send(None)
