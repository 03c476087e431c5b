"""Fallbacks, the retry budget, and going on after an answer was cut."""

from __future__ import annotations

import asyncio
from dataclasses import replace
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
    RetryPolicy,
    StreamEvent,
    Timeouts,
    Usage,
)
from llmstream.errors import ADAPTED
from llmstream.events.types import ToolCallDelta, error, opaque, reasoning_delta, text_delta
from llmstream.messages import ReasoningPart, TextPart, ToolCall
from llmstream.providers import ProviderTraits
from llmstream.retry import RetryBudget
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.grammar_check import check_stream

HI = [{"role": "user", "content": "count to six"}]
CUT = ErrorInfo("truncated", "cut")
DOWN = ErrorInfo("server", "down", status_code=500)
DENIED = ErrorInfo("authentication", "wrong key", status_code=401)
CALL = ToolCall("c1", "look", "{}", input={})


class Scripted(ScriptedProvider):
    """One with a name of its own, for tests with several."""

    def __init__(self, name: str, *attempts: Any, prefill: bool = False) -> None:
        super().__init__(*attempts)
        self.name = name
        self.traits = ProviderTraits(default_model=f"{name}-1", prefill=prefill)
        self.headers: list[dict[str, str]] = []

    async def stream(self, request, call):
        self.headers.append(dict(call.headers))
        async for event in super().stream(request, call):
            yield event


def client_of(provider: Any, **options: Any) -> LLMClient:
    options = {
        "clock": VirtualClock(),
        "rng": Random(0),
        "retry": RetryPolicy(budget=None),
        **options,
    }
    return LLMClient(provider=provider, **options)


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    return [event async for event in client.chat_completion(HI, **options)]


def retries(events: list[StreamEvent]) -> list[tuple[str | None, int, bool]]:
    return [(e.retry.provider, e.retry.attempt, e.retry.discard) for e in events if e.retry]


def shown(events: list[StreamEvent]) -> str:
    """What a page shows that honours RETRY."""
    text = ""
    for event in events:
        text = "" if event.retry and event.retry.discard else text + event.text
    return text


# --- fallbacks -----------------------------------------------------------------------------------------------


async def test_a_fallback_answers_when_the_attempts_are_spent() -> None:
    first, second = Scripted("a", [DOWN], [DOWN], [DOWN]), Scripted("b", ["Hello"])
    events = await collect(client_of(first, fallbacks=[second]))
    last = check_stream(events)
    assert retries(events) == [("a", 2, False), ("a", 3, False), ("b", 1, False)]
    assert [e.retry.delay for e in events if e.retry][-1] == 0
    assert last.start is not None
    assert (last.start.provider, last.start.model) == ("b", "b-1")
    assert second.requests[0].model == "b-1"


@pytest.mark.parametrize(
    "kind", ["authentication", "permission", "not_found", "quota", "context_length", "redirect"]
)
async def test_what_waiting_can_t_cure_another_provider_may(kind: Any) -> None:
    first, second = Scripted("a", [ErrorInfo(kind)]), Scripted("b", ["Hello"])
    events = await collect(client_of(first, fallbacks=[second]))
    assert check_stream(events).type is EventType.MESSAGE_COMPLETE
    assert len(first.requests) == 1


@pytest.mark.parametrize("kind", ["invalid_request", "content_filter"])
async def test_a_faulty_request_is_taken_to_nobody_else(kind: Any) -> None:
    first, second = Scripted("a", [ErrorInfo(kind)]), Scripted("b", ["Hello"])
    events = await collect(client_of(first, fallbacks=[second]))
    assert check_stream(events).error_info.kind == kind
    assert not second.requests


async def test_when_all_fail_the_first_error_is_kept() -> None:
    providers = [
        Scripted("a", [DENIED]),
        Scripted("b", [DOWN]),
        Scripted("c", [ErrorInfo("quota")]),
    ]
    once = RetryPolicy(max_attempts=1, budget=None)
    events = await collect(client_of(providers[0], fallbacks=providers[1:], retry=once))
    info = check_stream(events).error_info
    assert (info.kind, info.provider, info.status_code, info.attempts) == (
        "authentication",
        "a",
        401,
        3,
    )
    assert info.message == "wrong key; then b: server; c: quota"


async def test_batch_falls_back_without_a_trace() -> None:
    first, second = Scripted("a", ["half", DENIED]), Scripted("b", ["Hello"])
    events = await collect(client_of(first, fallbacks=[second]), stream=False)
    assert [e.type for e in events] == [EventType.MESSAGE_COMPLETE]
    assert events[0].text == "Hello"


async def test_nothing_falls_back_after_text_was_shown() -> None:
    first, second = Scripted("a", ["half", CUT]), Scripted("b", ["Hello"])
    events = await collect(client_of(first, fallbacks=[second]))
    assert check_stream(events).error_info.partial.text == "half"
    assert not second.requests


async def test_a_call_may_have_its_own_fallbacks_or_none() -> None:
    first, second, third = (
        Scripted("a", [DENIED], [DENIED]),
        Scripted("b", ["B"]),
        Scripted("c", ["C"]),
    )
    client = client_of(first, fallbacks=[second])
    assert shown(await collect(client, fallbacks=[third])) == "C"
    assert check_stream(await collect(client, fallbacks=())).type is EventType.ERROR


async def test_headers_of_a_call_go_to_its_own_provider_alone() -> None:
    first, second = Scripted("a", [DENIED]), Scripted("b", ["B"])
    await collect(client_of(first, fallbacks=[second]), headers={"X-Tenant": "7"})
    assert (first.headers, second.headers) == ([{"X-Tenant": "7"}], [{}])


async def test_fallbacks_may_be_model_strings() -> None:
    client = client_of(Scripted("a", [DENIED]), fallbacks=["simulator"])
    assert "You said: count to six" in shown(await collect(client))
    await client.aclose()


def test_a_fallback_that_can_t_be_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        client_of(Scripted("a"), fallbacks=["anthropic"])
    with pytest.raises(ConfigurationError, match="llama"):
        client_of(Scripted("a"), fallbacks=["llama"])
    for wrong in ("anthropic", [3]):
        with pytest.raises(TypeError, match="fallback"):
            client_of(Scripted("a"), fallbacks=wrong)


async def test_closing_the_client_closes_its_fallbacks() -> None:
    closed = []

    class Closing(Scripted):
        async def aclose(self) -> None:
            closed.append(self.name)

    twice = Closing("b")
    await client_of(Closing("a"), fallbacks=[twice, twice]).aclose()
    assert closed == ["a", "b"]


async def test_the_total_clock_ends_the_fallbacks_too() -> None:
    late = ErrorInfo("overloaded", retry_after=9)
    first, second = (
        Scripted("a", [late], [ErrorInfo("timeout", "no end within 10 s", code="total")]),
        Scripted("b"),
    )
    events = await collect(client_of(first, fallbacks=[second]), timeouts=Timeouts(total=10))
    assert check_stream(events).error_info.code == "total"
    assert not second.requests


# --- the budget ----------------------------------------------------------------------------------------------


def account(provider: Scripted, name: object) -> Scripted:
    provider.traits = replace(provider.traits, budget_key=name)
    return provider


async def test_a_spent_budget_ends_a_call_at_once() -> None:
    budget = RetryBudget(burst=1, ratio=0)
    clock = VirtualClock()
    client = client_of(Scripted("a", *[[DOWN]] * 9), retry=RetryPolicy(budget=budget), clock=clock)
    assert len(retries(await collect(client))) == 1
    waited = clock.now
    assert retries(await collect(client)) == []
    assert clock.now == waited


@pytest.mark.parametrize("key", [["not", "hashable"], None, ""])
async def test_a_key_that_is_of_no_use_leaves_a_provider_a_budget_of_its_own(key: object) -> None:
    first, second = (account(Scripted(name, [DOWN], [name]), key) for name in "ab")
    policy = RetryPolicy(budget=RetryBudget(burst=1, ratio=0))
    assert [
        shown(await collect(client_of(provider, retry=policy))) for provider in (first, second)
    ] == ["a", "b"]


async def test_a_provider_whose_budget_is_empty_is_passed_over_until_it_has_filled() -> None:
    budget, clock = RetryBudget(burst=1, ratio=0.5), VirtualClock()
    first = account(Scripted("a", [DOWN], [DOWN], [DOWN], ["A is back"], ["A"]), "endpoint a")
    second = account(Scripted("b", *[["B"]] * 9), "endpoint b")
    client = client_of(first, fallbacks=[second], retry=RetryPolicy(budget=budget), clock=clock)
    assert shown(await collect(client)) == "B"
    asked = len(first.requests)
    events = await collect(client)
    assert shown(events) == "B"
    assert len(first.requests) == asked
    assert check_stream(events).type is EventType.MESSAGE_COMPLETE
    assert [(e.retry.provider, e.retry.delay, e.retry.kind) for e in events if e.retry] == [
        ("b", 0.0, "overloaded")
    ]
    await clock.sleep(budget.quiet + 1)
    assert shown(await collect(client)) == "A is back"


async def test_the_last_that_could_answer_is_always_asked() -> None:
    budget = RetryBudget(burst=1, ratio=0)
    first, second = (
        account(Scripted("a", [DOWN], [DOWN], [DOWN]), "a"),
        account(Scripted("b", [DOWN], [DOWN], ["B"]), "b"),
    )
    client = client_of(first, fallbacks=[second], retry=RetryPolicy(budget=budget))
    await collect(client)
    assert shown(await collect(client)) == "B"


# --- after the commit point ----------------------------------------------------------------------------------


async def test_restart_says_that_what_was_shown_is_void() -> None:
    provider = Scripted("a", ["one ", "two", CUT], ["un ", "deux"])
    events = await collect(client_of(provider, on_interrupt="restart"))
    assert check_stream(events).message.text == "un deux"
    assert retries(events) == [("a", 2, True)]
    assert shown(events) == "un deux"
    assert provider.requests[0] == provider.requests[1]


@pytest.mark.parametrize("prefill", [True, False])
async def test_continue_gives_the_text_of_a_run_without_the_cut(*, prefill: bool) -> None:
    provider = Scripted("a", ["one two ", "thr", CUT], ["ee four", " five"], prefill=prefill)
    events = await collect(client_of(provider, on_interrupt="continue"))
    last = check_stream(events, going_on=True)
    assert last.message.parts == [TextPart("one two three four five")]
    assert shown(events) == last.message.text
    assert retries(events) == [("a", 2, False)]
    assert [e.type for e in events].count(EventType.MESSAGE_START) == 2
    roles = [message.role for message in provider.requests[1].messages]
    assert roles == ["user", "assistant"] + ["user"] * (not prefill)


async def test_a_repetition_is_not_shown_again() -> None:
    provider = Scripted("a", ["and number two thr", CUT], ["number two ", "thr", "ee"])
    events = await collect(client_of(provider, on_interrupt="continue"))
    assert check_stream(events, going_on=True).message.text == "and number two three"
    assert shown(events) == "and number two three"


async def test_an_answer_begun_anew_and_cut_again_is_not_shown_twice() -> None:
    provider = Scripted("a", ["Once upon a time there was", CUT], ["Once upon a", CUT], [" king."])
    events = await collect(
        client_of(provider, on_interrupt="continue", retry=RetryPolicy(max_attempts=9, budget=None))
    )
    assert check_stream(events, going_on=True).message.text == "Once upon a time there was king."


async def test_opaque_data_of_an_attempt_that_showed_nothing_goes_with_it() -> None:
    provider = Scripted(
        "a", ["Hello", CUT], [opaque("anthropic-messages", signature="s"), CUT], [" world"]
    )
    events = await collect(
        client_of(provider, on_interrupt="continue", retry=RetryPolicy(max_attempts=9, budget=None))
    )
    assert check_stream(events, going_on=True).message.parts == [TextPart("Hello world")]


async def test_fallbacks_at_the_same_endpoint_draw_on_its_budget() -> None:
    budget, sent = RetryBudget(burst=2), []
    for _ in range(100):
        providers = [account(Scripted(name, *[[DOWN]] * 3), "one endpoint") for name in "ab"]
        client = client_of(providers[0], fallbacks=providers[1:], retry=RetryPolicy(budget=budget))
        await collect(client)
        sent += [request for provider in providers for request in provider.requests]
    assert len(sent) <= 1.2 * 100 + budget.burst


async def test_headers_go_along_to_another_model_of_the_same_provider() -> None:
    provider = Scripted("a", [DENIED], ["B"])
    await collect(client_of(provider, fallbacks=[provider]), headers={"X-Tenant": "7"})
    assert provider.headers == [{"X-Tenant": "7"}] * 2


async def test_what_a_fallback_refuses_to_send_is_told() -> None:
    class Refusing(Scripted):
        async def stream(self, request, call):
            raise ConfigurationError("strict: no seed here")
            yield

    last = check_stream(
        await collect(client_of(Scripted("a", [DENIED]), fallbacks=[Refusing("b")]))
    )
    assert "b: invalid_request" in last.error


async def test_total_does_not_count_the_time_that_the_consumer_holds_an_event() -> None:
    clock = VirtualClock()
    provider = Scripted("a", ["one ", "two"])
    client = LLMClient(provider=provider, timeouts=Timeouts(total=1), clock=clock)
    events = []
    async for event in client.chat_completion(HI):
        events.append(event)
        clock.now += 5
    assert check_stream(events).message.text == "one two"


async def test_a_continuation_of_nothing_but_a_repetition_is_whole() -> None:
    provider = Scripted("a", ["one two", CUT], ["two"])
    events = await collect(client_of(provider, on_interrupt="continue"))
    assert check_stream(events, going_on=True).message.text == "one two"


async def test_what_was_held_of_a_continuation_is_shown_before_it_is_cut() -> None:
    provider = Scripted("a", ["one two on", CUT], ["one", CUT], [" three"])
    events = await collect(client_of(provider, on_interrupt="continue"))
    assert check_stream(events, going_on=True).message.text == shown(events)


async def test_it_goes_on_twice_at_most_and_then_keeps_what_came() -> None:
    provider = Scripted("a", ["one", CUT], [" two", CUT], [" three", CUT], [" four"])
    policy = RetryPolicy(max_attempts=9, budget=None)
    events = await collect(client_of(provider, on_interrupt="continue", retry=policy))
    last = check_stream(events, going_on=True)
    assert last.error_info.partial.text == "one two three"
    assert "continued 2 times already" in last.error
    assert len(provider.requests) == 3


async def test_a_retry_within_a_continuation_is_no_other_continuation() -> None:
    provider = Scripted("a", ["one", CUT], [DOWN], [" two", CUT], [DOWN], [" three"])
    policy = RetryPolicy(max_attempts=9, budget=None)
    events = await collect(client_of(provider, on_interrupt="continue", retry=policy))
    assert check_stream(events, going_on=True).message.text == "one two three"


async def test_reasoning_that_was_shown_stays_and_is_not_sent() -> None:
    provider = Scripted("a", [reasoning_delta("hm"), "one", CUT], [reasoning_delta("so"), " two"])
    events = await collect(client_of(provider, on_interrupt="continue"))
    last = check_stream(events, going_on=True)
    parts = [ReasoningPart("hm"), TextPart("one"), ReasoningPart("so"), TextPart(" two")]
    assert last.message.parts == parts
    assert provider.requests[1].messages[1].parts == [TextPart("one")]


async def test_reasoning_cut_before_any_text_is_not_mixed_with_the_next() -> None:
    provider = Scripted("a", [reasoning_delta("hm"), CUT], [reasoning_delta("so"), "one"])
    events = await collect(client_of(provider, on_interrupt="continue"))
    parts = check_stream(events, going_on=True).message.parts
    assert parts == [ReasoningPart("hm"), ReasoningPart("so"), TextPart("one")]
    assert provider.requests[0] == provider.requests[1]


async def test_an_unfinished_tool_call_is_left_out() -> None:
    begun = StreamEvent(
        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "c1", "look", '{"a')
    )
    provider = Scripted(
        "a", ["one", begun, CUT], [StreamEvent(EventType.TOOL_CALL, tool_call=CALL)]
    )
    events = await collect(client_of(provider, on_interrupt="continue"))
    assert check_stream(events, going_on=True).message.parts == [TextPart("one"), CALL]
    assert provider.requests[1].messages[1].parts == [TextPart("one")]


@pytest.mark.parametrize("policy", ["restart", "continue"])
async def test_once_a_tool_call_was_handed_out_a_cut_is_an_error(policy: Any) -> None:
    provider = Scripted(
        "a", ["one", StreamEvent(EventType.TOOL_CALL, tool_call=CALL), CUT], ["never"]
    )
    events = await collect(client_of(provider, on_interrupt=policy))
    last = check_stream(events)
    assert last.error_info.kind == "truncated"
    assert "tool call was handed out" in last.error
    assert len(provider.requests) == 1


async def test_with_a_response_format_an_answer_is_not_continued() -> None:
    provider = Scripted("a", ['{"a": ', CUT], ["never"])
    client = client_of(provider, on_interrupt="continue")
    last = check_stream(await collect(client, response_format="json"))
    assert "response_format" in last.error


async def test_what_is_not_worth_retrying_is_not_continued() -> None:
    provider = Scripted("a", ["one", DENIED], ["never"])
    last = check_stream(await collect(client_of(provider, on_interrupt="continue")))
    assert last.error_info.kind == "authentication"


async def test_a_fallback_goes_on_where_the_first_stopped() -> None:
    first, second = Scripted("a", ["one two", CUT]), Scripted("b", [" three"], prefill=True)
    once = RetryPolicy(max_attempts=1, budget=None)
    events = await collect(
        client_of(first, fallbacks=[second], on_interrupt="continue", retry=once)
    )
    last = check_stream(events, going_on=True)
    assert last.message.text == "one two three"
    assert [e.start.provider for e in events if e.type is EventType.MESSAGE_START] == ["a", "b"]
    assert second.requests[0].messages[-1].role == "assistant"


async def test_a_lesson_about_prefill_changes_how_it_is_asked() -> None:
    adapted = error(ErrorInfo("invalid_request", "no prefill here", retryable=True, code=ADAPTED))

    class Learning(Scripted):
        async def stream(self, request, call):
            async for event in super().stream(request, call):
                if event.error_info and event.error_info.code == ADAPTED:
                    self.traits = replace(self.traits, prefill=False)
                yield event

    provider = Learning("a", ["one", CUT], [adapted], [" two"], prefill=True)
    events = await collect(
        client_of(provider, on_interrupt="continue", retry=RetryPolicy(max_attempts=2, budget=None))
    )
    assert check_stream(events, going_on=True).message.text == "one two"
    assert [request.messages[-1].role for request in provider.requests] == [
        "user",
        "assistant",
        "user",
    ]


async def test_usage_of_what_is_in_the_message_is_summed_and_the_rest_listed() -> None:
    def failing(usage: Usage) -> StreamEvent:
        event = error(CUT)
        event.usage = usage
        return event

    provider = Scripted(
        "a", [failing(Usage(5, 0))], ["one", failing(Usage(5, 1))], [" two", Usage(6, 2)]
    )
    events = await collect(client_of(provider, on_interrupt="continue"))
    usage = check_stream(events, going_on=True).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (11, 3, False)
    assert [(each.input_tokens, each.output_tokens) for each in usage.attempts] == [
        (5, 0),
        (5, 1),
        (6, 2),
    ]


async def test_usage_is_an_estimate_when_the_part_that_was_cut_reported_none() -> None:
    """Each part is counted for itself."""
    provider = Scripted("a", ["one", CUT], [" two", CUT], [" three", Usage(6, 2)])
    usage = check_stream(
        await collect(client_of(provider, on_interrupt="continue")), going_on=True
    ).usage
    cut, cut_again, _ = usage.attempts
    assert [each.output_tokens for each in usage.attempts] == [1, 2, 2]
    assert [each.estimated for each in usage.attempts] == [True, True, False]
    assert cut_again.input_tokens > cut.input_tokens  # "one" was sent along
    assert (usage.output_tokens, usage.estimated) == (5, True)


async def test_without_keep_message_nothing_is_continued_but_may_be_restarted() -> None:
    provider = Scripted("a", ["one", CUT], ["un"])
    events = await collect(client_of(provider, on_interrupt="continue", keep_message=False))
    assert "keep_message" in check_stream(events, keep_message=False).error
    provider = Scripted("a", ["one", CUT], ["un"])
    events = await collect(client_of(provider, on_interrupt="restart", keep_message=False))
    assert shown(events) == "un"


def test_on_interrupt_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="error, restart, continue"):
        client_of(Scripted("a"), on_interrupt="resume")


PIECE = st.sampled_from(["one ", "two ", "three", reasoning_delta("hm"), CUT, DOWN, DENIED])


@given(
    script=st.lists(st.lists(PIECE, max_size=4), min_size=1, max_size=6),
    policy=st.sampled_from(["error", "restart", "continue"]),
    prefill=st.booleans(),
)
def test_whatever_fails_when_the_stream_is_legal(
    *, script: Any, policy: Any, prefill: bool
) -> None:
    first, second = Scripted("a", *script[::2], prefill=prefill), Scripted("b", *script[1::2])
    events = asyncio.run(collect(client_of(first, fallbacks=[second], on_interrupt=policy)))
    last = check_stream(events, going_on=policy == "continue")
    if policy == "error":
        assert not [e for e in events if e.retry and e.retry.discard]
    if last.message is not None:
        assert last.message.text == shown(events)


# --- the total clock of providers that don't look at it --------------------------------------------------------


async def test_total_ends_a_third_party_s_stall_without_cancelling_the_consumer() -> None:
    closed = []

    class Stalling(Scripted):
        async def stream(self, request, call):
            try:
                yield text_delta("one")
                await asyncio.Event().wait()
            finally:
                closed.append(True)

    client = LLMClient(provider=Stalling("a"), timeouts=Timeouts(total=0.05))
    events = await collect(client)
    last = check_stream(events)
    assert (last.error_info.kind, last.error_info.code) == ("timeout", "total")
    assert last.error_info.partial.text == "one"
    assert closed == [True]
    assert asyncio.current_task().cancelling() == 0
