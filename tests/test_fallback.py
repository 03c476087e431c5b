"""Fallbacks as a policy: which failures lead to another model, and what a Fallback has of its own."""

from __future__ import annotations

import re
import textwrap
import traceback
from pathlib import Path
from random import Random
from typing import Any

import pytest

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    Fallback,
    FinishReason,
    LLMClient,
    RetryPolicy,
    StreamEvent,
    Timeouts,
    ToolCall,
    Usage,
)
from llmstream.events.types import reasoning_delta, refusal_delta
from llmstream.fallback import CAUSES, DEFAULT_FALLBACK_ON
from llmstream.limits import LocalLimiter, Rate
from llmstream.messages import RefusalPart
from llmstream.observe import ObservedCall, Observer
from llmstream.providers import ProviderTraits, register
from llmstream.retry import RetryBudget
from llmstream.testing import FaultServer, ScriptedProvider, VirtualClock
from llmstream.testing.reply import Reply
from llmstream.tools import run_tools
from llmstream.wire.formats import FORMATS
from tests.grammar_check import check_stream

HI = [{"role": "user", "content": "hi"}]
KEY = "sk-any-key-of-a-fallback"
FILTERED = [FinishReason.CONTENT_FILTER, Usage(7, 0)]
DENIED = ErrorInfo("authentication", "wrong key", status_code=401)
ONCE = RetryPolicy(max_attempts=1, budget=None)


class Scripted(ScriptedProvider):
    """One with a name of its own, that keeps the calls it got."""

    def __init__(self, name: str, *attempts: Any) -> None:
        super().__init__(*attempts)
        self.name = name
        self.traits = ProviderTraits(default_model=f"{name}-1")
        self.calls: list[Any] = []

    async def stream(self, request, call):
        self.calls.append(call)
        async for event in super().stream(request, call):
            yield event


def client_of(provider: Any, **options: Any) -> LLMClient:
    known = {"clock": VirtualClock(), "rng": Random(0), "retry": RetryPolicy(budget=None)}
    return LLMClient(provider=provider, **{**known, **options})


async def collect(client: LLMClient, **options: Any) -> list[StreamEvent]:
    return [event async for event in client.chat_completion(HI, **options)]


def retries(events: list[StreamEvent]) -> list[tuple[str | None, str, bool]]:
    return [(e.retry.provider, e.retry.kind, e.retry.fallback) for e in events if e.retry]


# --- each cause, in each format -------------------------------------------------------------------------------


def refusal_in(format: str) -> list[Any]:
    """A refusal: OpenAI's formats have words of it, apart from the text."""
    words = [RefusalPart("I won't.")] if format.startswith("openai") else []
    return [*words, FinishReason.REFUSAL, Usage(7, 3)]


async def refuses(reply: Reply) -> None:
    await reply.stream(*reply.script(*refusal_in(reply.format.name)))


async def is_filtered(reply: Reply) -> None:
    await reply.stream(*reply.script(*FILTERED))


async def refuses_in_the_middle(reply: Reply) -> None:
    await reply.stream(*reply.script("Well, ", *refusal_in(reply.format.name)))


async def is_filtered_in_the_middle(reply: Reply) -> None:
    await reply.stream(*reply.script("Well, ", *FILTERED))


async def filters_the_prompt(reply: Reply) -> None:
    await reply.whole(400, reply.error_body("content_filter", "moderation", code="content_filter"))


WORD_FOR_A_REFUSAL = {"openai-chat", "openai-responses", "anthropic-messages", "ollama-native"}
"""Formats that tell a refusal from a filter."""
PLAYS: dict[str, Any] = {
    "refusal": refuses,
    "content_filter": is_filtered,
    "filtered prompt": filters_the_prompt,
    "context_length": "status-400-context-length",
    "invalid_request": "status-400",
}


def cause_in(format: str, play: str) -> str:
    """The word of `fallback_on` for what a format can say of it."""
    if play == "content_filter" and format == "anthropic-messages":
        return "refusal"  # the only word that it has
    if play == "refusal" and format not in WORD_FOR_A_REFUSAL:
        return "content_filter"
    return "content_filter" if play == "filtered prompt" else play


WITHOUT_WORDS = {"cohere-v2", "gemini-interactions"}
IN_THE_CORE = {
    ("openai-chat", "refusal"),
    ("anthropic-messages", "refusal"),
    ("gemini-generate", "content_filter"),
    ("openai-responses", "context_length"),
}
CASES = [
    pytest.param(format, play, marks=() if (format, play) in IN_THE_CORE else pytest.mark.slow)
    for format in FORMATS
    for play in PLAYS
    # Some have neither word: an answer that they filter is an error.
    if format not in WITHOUT_WORDS or play not in ("refusal", "content_filter")
]
ENDS = {"refusal": FinishReason.REFUSAL, "content_filter": FinishReason.CONTENT_FILTER}


@pytest.mark.parametrize(("format", "play"), CASES)
async def test_a_fallback_is_asked_exactly_where_it_is_asked_for(format: str, play: str) -> None:
    cause = cause_in(format, play)
    async with FaultServer(PLAYS[play]) as server:
        for streaming in (True, False):
            events, second = await ask_both(server, format, {cause}, stream=streaming)
            last = events[-1]
            assert last.text_delta is None if streaming else last.text == "Hello"
            assert second.requests
            if streaming:
                assert check_stream(events).message.text == "Hello"
                assert retries(events) == [("b", cause, True)]
            if play in ENDS:
                assert [each.estimated for each in last.usage.attempts] == [False, True]

            events, second = await ask_both(server, format, CAUSES - {cause}, stream=streaming)
            last = events[-1]
            assert not second.requests
            assert not retries(events)
            if play in ENDS:
                assert last.finish_reason is ENDS[cause]
            else:
                assert last.error_info.kind == cause


async def ask_both(
    server: FaultServer, format: str, fallback_on: Any, **options: Any
) -> tuple[list[StreamEvent], Scripted]:
    provider, second = FORMATS[format].provider, Scripted("b", ["Hello"])
    client = LLMClient(
        f"{provider}:m-1",
        api_key=KEY,
        base_url=server.url(provider),
        retry=ONCE,
        fallbacks=[second],
        fallback_on=fallback_on,
        on_interrupt="restart",
    )
    async with client:
        return await collect(client, **options), second


@pytest.mark.slow
@pytest.mark.parametrize("play", [refuses_in_the_middle, is_filtered_in_the_middle])
@pytest.mark.parametrize("format", FORMATS)
async def test_no_fallback_is_asked_after_text_was_shown(format: str, play: Any) -> None:
    async with FaultServer(play) as server:
        events, second = await ask_both(server, format, CAUSES)
    assert check_stream(events).message.text == "Well, "
    assert not second.requests


async def test_no_scripted_fallback_is_asked_after_text_was_shown() -> None:
    for end in (FinishReason.REFUSAL, FinishReason.CONTENT_FILTER):
        first, second = Scripted("a", ["Well, ", end]), Scripted("b")
        asked = client_of(first, fallbacks=[second], fallback_on=CAUSES, on_interrupt="restart")
        assert check_stream(await collect(asked)).message.text == "Well, "
        assert not second.requests


# --- a refusal -------------------------------------------------------------------------------------------------

REFUSED = [refusal_delta("I "), refusal_delta("won't."), FinishReason.REFUSAL, Usage(7, 3)]


async def test_the_words_of_a_refusal_aren_t_shown_where_another_answers() -> None:
    first, second = Scripted("a", REFUSED), Scripted("b", ["Hello", Usage(5, 1)])
    events = await collect(client_of(first, fallbacks=[second], fallback_on={"refusal"}))
    last = check_stream(events)
    assert [e.type for e in events] == ["retry", "message_start", "text_delta", "message_complete"]
    assert events[0].retry.reason == "content_filter: the model refused to answer (a, refusal)"
    assert (events[0].retry.attempt, events[0].retry.delay, events[0].retry.discard) == (
        1,
        0,
        False,
    )
    assert (last.usage.input_tokens, last.usage.output_tokens) == (5, 1)
    assert [each.output_tokens for each in last.usage.attempts] == [3, 1]


async def test_the_last_one_s_refusal_is_the_answer() -> None:
    first, second = Scripted("a", REFUSED), Scripted("b", REFUSED)
    for streaming in (True, False):
        client = client_of(first, fallbacks=[second], fallback_on={"refusal"})
        events = await collect(client, stream=streaming)
        last = events[-1]
        assert last.finish_reason is FinishReason.REFUSAL
        assert last.message.refusal == "I won't."
        assert last.start.provider == "b"
        assert [each.output_tokens for each in last.usage.attempts] == [3, 3]
        first, second = Scripted("a", REFUSED), Scripted("b", REFUSED)


async def test_a_refusal_by_its_words_alone_is_one() -> None:
    first = Scripted("a", [refusal_delta("No."), FinishReason.STOP])
    client = client_of(first, fallbacks=[Scripted("b", ["Hello"])], fallback_on={"refusal"})
    assert check_stream(await collect(client)).message.text == "Hello"


@pytest.mark.parametrize("field", ["refusal_delta", "usage"])
async def test_an_event_of_a_wrong_type_is_an_error_here_too(field: str) -> None:
    done = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.REFUSAL)
    wrong = refusal_delta("No.") if field == "refusal_delta" else done
    setattr(wrong, field, "No.")
    first, second = Scripted("a", [wrong, done]), Scripted("b", [wrong, done])
    client = client_of(first, fallbacks=[second], fallback_on={"refusal"})
    assert "wrong type" in check_stream(await collect(client)).error


async def test_an_empty_piece_of_a_refusal_is_none() -> None:
    first = Scripted("a", [refusal_delta(""), FinishReason.STOP])
    client = client_of(first, fallbacks=[Scripted("b", ["Hello"])], fallback_on={"refusal"})
    assert check_stream(await collect(client)).start.provider == "a"


async def test_an_answer_that_goes_on_after_a_refusal_is_whole_and_in_its_order() -> None:
    first = Scripted("a", [refusal_delta("No. "), "But: ", FinishReason.REFUSAL])
    client = client_of(first, fallbacks=[Scripted("b", ["Hello"])], fallback_on={"refusal"})
    events = await collect(client)
    assert [e.type for e in events] == [
        "message_start",
        "refusal_delta",
        "text_delta",
        "message_complete",
    ]
    check_stream(events)


async def test_reasoning_that_was_shown_is_a_first_piece() -> None:
    first = Scripted("a", [reasoning_delta("Hm."), *REFUSED])
    client = client_of(first, fallbacks=[Scripted("b", ["Hello"])], fallback_on={"refusal"})
    assert check_stream(await collect(client)).finish_reason is FinishReason.REFUSAL
    first = Scripted("a", [reasoning_delta("Hm."), *REFUSED])
    client = client_of(first, fallbacks=[Scripted("b", ["Hello"])], fallback_on={"refusal"})
    assert (await collect(client, stream=False))[0].text == "Hello"


async def test_a_refusal_that_breaks_off_is_a_failure_like_others() -> None:
    first = Scripted("a", [refusal_delta("I w"), ErrorInfo("server")], ["Hello"])
    client = client_of(first, fallbacks=[Scripted("b")], fallback_on={"refusal"})
    events = await collect(client)
    assert check_stream(events).message.text == "Hello"
    assert retries(events) == [("a", "server", False)]


async def test_all_that_became_of_a_refused_call_is_told_when_all_fail() -> None:
    first, second = Scripted("a", REFUSED), Scripted("b", [DENIED])
    client = client_of(first, fallbacks=[second], fallback_on={"refusal"})
    failed = check_stream(await collect(client))
    assert failed.error_info.message == "the model refused to answer; then b: authentication"
    assert (failed.error_info.kind, failed.error_info.code) == ("content_filter", "refusal")
    assert [each.output_tokens for each in failed.usage.attempts] == [3]


async def test_a_refusal_in_the_middle_of_the_list_is_told_as_one() -> None:
    first, last = Scripted("a", [DENIED]), Scripted("c", [ErrorInfo("quota")])
    client = client_of(
        first,
        fallbacks=[Scripted("b", REFUSED), last],
        fallback_on=DEFAULT_FALLBACK_ON | {"refusal"},
    )
    failed = check_stream(await collect(client))
    assert failed.error_info.message == "wrong key; then b: refusal; c: quota"


async def test_a_middleware_sees_the_fallback_and_a_loop_of_tools_goes_on() -> None:
    async def through(request: Any, call: Any, next: Any) -> Any:
        async for event in next(request):
            yield event

    def look() -> str:
        """Look."""
        return "rain"

    call = ToolCall("c1", "look", "{}", input={})
    first, second = Scripted("a", [call], REFUSED), Scripted("b", ["Rain."])
    client = client_of(first, fallbacks=[second], fallback_on={"refusal"}, middleware=[through])
    events = [event async for event in run_tools(client, HI, [look])]
    assert retries(events) == [("b", "refusal", True)]
    assert events[-1].message.text == "Rain."


async def test_a_retry_that_discards_makes_room_for_a_fallback_again() -> None:
    cut = ErrorInfo("truncated", "cut")
    for policy, words in (("restart", "Hello"), ("continue", "half")):
        first = Scripted("a", ["half", cut], [FinishReason.REFUSAL])
        second = Scripted("b", ["Hello"])
        client = client_of(first, fallbacks=[second], fallback_on={"refusal"}, on_interrupt=policy)
        events = await collect(client)
        assert check_stream(events, going_on=True).message.text == words


async def test_an_observer_is_told_of_the_declined_attempt() -> None:
    ended: list[ObservedCall] = []

    class Recorder(Observer):
        def end(self, call: ObservedCall) -> None:
            ended.append(call)

    first, second = Scripted("a", REFUSED), Scripted("b", ["Hello"])
    client = client_of(first, fallbacks=[second], fallback_on={"refusal"}, observers=[Recorder()])
    await collect(client)
    (call,) = ended
    told = [(each.provider, each.outcome, each.error and each.error.code) for each in call.attempts]
    assert told == [("a", "error", "refusal"), ("b", "complete", None)]
    assert call.attempts[0].usage.output_tokens == 3
    assert call.outcome == "complete"


async def test_a_limiter_learns_what_a_declined_attempt_used() -> None:
    rate = Rate(output_tokens=3, per=60)
    first, second = Scripted("a", REFUSED, ["late"]), Scripted("b", ["Hello"])
    clock = VirtualClock()
    client = client_of(
        first, fallbacks=[second], fallback_on={"refusal"}, limiter=LocalLimiter(rate), clock=clock
    )
    await collect(client, max_tokens=3)
    assert clock.now == 0
    await collect(client, max_tokens=3, fallbacks=())
    assert clock.now > 50


# --- errors --------------------------------------------------------------------------------------------------


async def test_each_kind_of_error_falls_back_where_it_is_wanted_and_by_default() -> None:
    for kind in CAUSES - {"refusal"}:
        for wanted in ({kind}, CAUSES - {kind}, DEFAULT_FALLBACK_ON):
            failed: Any = ErrorInfo(kind, retryable=False)
            first, second = Scripted("a", [failed]), Scripted("b", ["Hello"])
            events = await collect(client_of(first, fallbacks=[second], fallback_on=wanted))
            answered = check_stream(events).type is EventType.MESSAGE_COMPLETE
            assert (kind, answered) == (kind, kind in wanted)
            assert len(second.requests) == answered


async def test_what_isn_t_wanted_is_still_tried_again_at_the_same() -> None:
    down = ErrorInfo("server")
    first, second = Scripted("a", [down], [down], ["Hello"]), Scripted("b")
    events = await collect(client_of(first, fallbacks=[second], fallback_on=()))
    assert retries(events) == [("a", "server", False), ("a", "server", False)]


async def test_a_pause_is_sat_out_where_a_rate_limit_is_no_reason_to_leave() -> None:
    limited = ErrorInfo("rate_limit", retry_after=4)
    for wanted, answers in (({"rate_limit"}, "b"), ({"server"}, "a")):
        first, second = Scripted("a", [limited], ["Hello"]), Scripted("b", ["Hello"])
        client = client_of(first, fallbacks=[second], fallback_on=wanted)
        assert check_stream(await collect(client)).start.provider == answers


async def test_an_error_of_a_filter_after_text_isn_t_begun_again_elsewhere() -> None:
    for streaming, words in ((True, None), (False, "Hello")):
        first = Scripted("a", ["half", ErrorInfo("content_filter")])
        client = client_of(
            first,
            fallbacks=[Scripted("b", ["Hello"])],
            fallback_on=CAUSES,
            on_interrupt="restart",
        )
        last = (await collect(client, stream=streaming))[-1]
        assert (last.message.text if last.message else None) == words


# --- what a Fallback has of its own ----------------------------------------------------------------------------


async def test_it_is_asked_at_its_address_with_its_key_and_headers() -> None:
    fallback = {"api_key": KEY, "headers": {"X-Team": "7"}}
    async with FaultServer("ok") as server:
        there = Fallback("anthropic:c-1", base_url=server.url("anthropic"), **fallback)
        client = client_of(Scripted("a", *[[DENIED]] * 3), fallbacks=[there])
        async with client:
            await collect(client, headers={"X-Mine": "1"})
            await collect(client, fallbacks=[there])
            again = Fallback("anthropic:c-1", base_url=server.url("anthropic"), **fallback)
            await collect(client, fallbacks=[again])
        assert server.connections == 1
        for received in server.requests:
            sent = received.headers
            assert (sent["authorization"], sent["x-team"], received.model) == (
                f"Bearer {KEY}",
                "7",
                "c-1",
            )
            assert "x-mine" not in sent


async def test_its_clocks_and_policy_are_its_own_alone() -> None:
    down = ErrorInfo("server")
    made: list[Scripted] = []

    def make(config: Any) -> Scripted:
        made.append(Scripted(config.name, *[[down]] * 9))
        return made[-1]

    register("test-b", make)
    register("test-c", make)
    own = Fallback(
        "test-b:m", timeouts=Timeouts(first_token=7), retry=RetryPolicy(max_attempts=2, budget=None)
    )
    first = Scripted("a", [down])
    client = client_of(first, retry=ONCE, timeouts=Timeouts(idle=9), fallbacks=[own, "test-c:m"])
    events = await collect(client, timeouts=Timeouts(first_token=5, total=60))
    assert [
        (e.retry.provider, e.retry.attempt, e.retry.max_attempts) for e in events if e.retry
    ] == [
        ("test-b", 1, 2),
        ("test-b", 2, 2),
        ("test-c", 1, 1),
    ]
    clocks = [
        (call.timeouts.first_token, call.timeouts.idle, call.timeouts.total)
        for provider in (first, *made)
        for call in provider.calls
    ]
    assert clocks == [(5, 9, 60), (7, 9, 60), (7, 9, 60), (5, 9, 60)]


async def test_its_retries_draw_on_its_own_budget() -> None:
    register("test-d", lambda config: Scripted(config.name, *[[ErrorInfo("server")]] * 9))
    policy = RetryPolicy(budget=RetryBudget(burst=0, ratio=0))
    client = client_of(Scripted("a", [DENIED]), fallbacks=[Fallback("test-d:m", retry=policy)])
    events = await collect(client)
    assert retries(events) == [("test-d", "authentication", True)]


async def test_connections_of_ever_new_fallbacks_are_bounded() -> None:
    first = Scripted("a", *[["Hi"]] * 70)
    async with client_of(first) as client:
        for number in range(70):
            there = Fallback("openai:m", base_url="http://localhost:1/v1", api_key=f"{KEY}{number}")
            await collect(client, fallbacks=[there])
        assert len(client._providers._endpoints) == 64


def test_nothing_shows_its_key() -> None:
    there = Fallback(
        "openai:m", base_url="https://h.example/v1", api_key=KEY, headers={"X-Key": KEY}
    )
    assert repr(there) == (
        "Fallback('openai:m', base_url='https://h.example/v1', api_key=[secret], "
        "headers=[headers X-Key])"
    )
    client = client_of(Scripted("a"), fallbacks=[there])
    assert KEY not in f"{client!r} {vars(client)!r} {vars(client._providers)!r}"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "openai:m", "timeout": 5}, "did you mean 'timeouts'"),
        ({"model": "openai:m", "key": KEY}, "Fallback has no 'key'"),
        ({"model": None}, "needs a model string"),
        ({"model": ""}, "needs a model string"),
        ({"model": ["openai:m"]}, "not list"),
        ({"model": "openai:m", "retry": 3}, "retry must be a RetryPolicy"),
        ({"model": "openai:m", "timeouts": 3}, "timeouts must be a Timeouts"),
        ({"model": "openai:m", "timeouts": Timeouts(total=3)}, "whole call's clock"),
        ({"model": "openai:m", "timeouts": Timeouts(total=None)}, "whole call's clock"),
        ({"model": "openai:m", "headers": [KEY]}, "headers must map"),
        ({"model": "openai:m", "headers": {"Host": KEY}}, "the transport's to set"),
        ({"model": "openai:m", "headers": {"X-Key": f"{KEY}\n"}}, "can't be sent"),
        ({"model": "openai:m", "base_url": f"https://u:{KEY}@h/v1"}, "must not hold a user name"),
    ],
)
def test_a_wrong_fallback_is_named_without_its_secrets(wrong: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError, ConfigurationError), match=words) as raised:
        Fallback(**{"api_key": KEY, **wrong})
    assert KEY not in shown_of(raised.value)


def shown_of(problem: BaseException) -> str:
    """What a report of an exception shows, with the locals of our frames."""
    told = traceback.TracebackException.from_exception(problem, capture_locals=True)
    ours = [frame for frame in told.stack if "tests/" not in frame.filename]
    return " ".join([str(problem), *(f"{frame} {frame.locals}" for frame in ours)])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([{"model": "openai:m", "api_key": KEY}], r"write Fallback\(model"),
        ({"model": "openai:m", "api_key": KEY}, "must be a list"),
        (Fallback("openai:m", api_key=KEY), "must be a list"),
        ([("openai:m", KEY)], "a Fallback or a Provider object"),
        ([client_of(Scripted("a"))], "give its model, or its provider"),
        ([Fallback("llama:m", api_key=KEY)], "unknown provider 'llama'"),
        ([Fallback("simulator", api_key=KEY)], "takes none"),
        ([Fallback("openai:m", api_key=" ")], "api_key is empty"),
        ([Fallback("openai:m", api_key=f"{KEY}\n")], "holds a line break"),
        ([Fallback("openai:m", api_key=KEY, base_url="ftp://h")], "must begin with https"),
    ],
)
async def test_a_wrong_list_is_named_without_its_secrets(wrong: Any, words: str) -> None:
    with pytest.raises((TypeError, ConfigurationError), match=words) as of_the_client:
        client_of(Scripted("a"), fallbacks=wrong)
    with pytest.raises((TypeError, ConfigurationError), match=words) as of_the_call:
        await collect(client_of(Scripted("a")), fallbacks=wrong)
    for problem in (of_the_client.value, of_the_call.value):
        is_ours = isinstance(wrong, list) and isinstance(wrong[0], Fallback)
        # What was given in another form may be shown where it stands.
        assert KEY not in (shown_of(problem) if is_ours else str(problem))


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ("refusal", TypeError, "a set of error kinds"),
        (None, TypeError, "a set of error kinds"),
        ({"refusal": True}, TypeError, "a set of error kinds"),
        (["refusals"], ValueError, "did you mean 'refusal'"),
        (["ratelimit"], ValueError, "did you mean 'rate_limit'"),
        ([500], ValueError, "500 isn't a cause"),
        ([["refusal"]], ValueError, "list isn't a cause"),
    ],
)
def test_a_wrong_cause_is_named(wrong: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        client_of(Scripted("a"), fallback_on=wrong)


async def test_a_call_is_told_whose_causes_are() -> None:
    with pytest.raises(TypeError, match=r"write fallback_on=.* of LLMClient"):
        await collect(client_of(Scripted("a")), fallback_on={"refusal"})


def test_causes_may_be_given_as_finish_reasons_and_in_any_collection() -> None:
    for given in ((FinishReason.REFUSAL, "quota"), [*DEFAULT_FALLBACK_ON], frozenset(CAUSES), ()):
        client_of(Scripted("a"), fallback_on=given)
    assert CAUSES - {"invalid_request", "content_filter", "refusal"} == DEFAULT_FALLBACK_ON


# --- the page ------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[1] / "docs" / "fallbacks.md").read_text("utf-8")


async def test_the_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(f"async def run():\n{textwrap.indent(program, '    ')}", names)  # our own page
    await names["run"]()
    assert "hi" in capsys.readouterr().out


def test_the_page_names_every_cause_and_its_default() -> None:
    rows = re.findall(r"^\| (`[^|]*) \| (yes|no) \|", PAGE, re.M)
    told = {cause: default for names, default in rows for cause in re.findall(r"`(\w+)`", names)}
    assert told == {cause: "yes" if cause in DEFAULT_FALLBACK_ON else "no" for cause in CAUSES}


def test_the_table_of_kinds_has_the_same_defaults() -> None:
    page = (Path(__file__).parents[1] / "docs" / "promises.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (yes|no) \|$", page.partition("## What is tried")[2], re.M
    )
    told = {kind for kind, default in rows if default == "yes"}
    assert len(rows) == len(CAUSES) - 1
    assert told == DEFAULT_FALLBACK_ON
