"""guard, transform and map_text: what leaves, and that the message says the same."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import ErrorInfo, EventType, Message, Status, StreamEvent
from llmstream.events.types import opaque, reasoning_delta, refusal_delta, text_delta
from llmstream.messages import ReasoningPart, Source, TextPart
from llmstream.streams import guard, map_text, transform
from tests.grammar_check import check_stream
from tests.streams.sources import (
    CALL,
    Feed,
    Pairs,
    answer,
    answered,
    answers,
    is_text,
    pauses,
    rounds,
)

PATTERNS = [
    re.compile(r"\bsk-\w{2,6}\b"),
    re.compile(r"\d{3}"),
    re.compile(r"(?<=a)b{1,4}"),
    re.compile(r"x|ab|sk(?=-)"),
    re.compile(r"$|\b"),
]
HOLD = 10


def redactor(pattern):
    return lambda text: [(*match.span(), "[secret]") for match in pattern.finditer(text)]


def stopper(pattern):
    return lambda text: [(*match.span(), None) for match in pattern.finditer(text)]


def run(flow):
    async def read():
        return [event async for event in flow]

    return asyncio.run(read())


def said(events):
    return "".join(event.text for event in events)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern)
@given(
    st.lists(
        st.text("absk-12 x", min_size=1, max_size=8) | st.sampled_from(["sk-ab12", "bbb"]),
        max_size=12,
    )
)
def test_a_redactor_finds_what_is_cut_anywhere(pattern, deltas):
    """The same text as if it had seen the whole at once; the message says the same; no more than `hold` is kept."""
    events = answer([text_delta(delta) for delta in deltas])
    feed = Feed(events)
    got = run(guard(feed, redactor(pattern), hold=HOLD))
    if pattern.pattern != r"$|\b":  # the window's end looks like the text's, to `$`
        assert said(got) == pattern.sub("[secret]", "".join(deltas))
    check_stream(got)
    assert feed.closed


@given(answers, pauses, st.sampled_from(PATTERNS))
def test_a_redacted_stream_is_legal(events, pauses, pattern):
    """With retries, other pieces, in stream and in batch mode: deltas and message agree, and none leaks."""
    got = run(guard(Feed(events, pauses), redactor(pattern), hold=HOLD))
    last = got[-1]
    if len(events) > 1 and (last.message or (last.error_info and last.error_info.partial)):
        check_stream(got, going_on=True)
    if last.message is not None and last.text:
        assert last.text == last.message.text
    assert [e.type for e in got if not is_text(e)] == [
        e.type for e in events if not is_text(e)
    ] or any(event.retry or event.type is EventType.MESSAGE_START for event in events)


@given(answers, pauses)
def test_a_stop_is_the_end(events, pauses):
    """Nothing of what was forbidden leaves; what had left is the partial; the source is closed before the ERROR."""
    forbidden = re.compile("a|sk-")
    feed = Feed(events, pauses)

    async def read():
        got = []
        async for event in guard(feed, stopper(forbidden), hold=3):
            got.append(event)
            if event.error_info is not None and event.error_info.code == "guard":
                assert feed.closed == 1
        return got

    got = asyncio.run(read())
    for event in got:
        for delta in (event.text_delta, event.reasoning_delta, event.refusal_delta):
            assert delta is None or not forbidden.search(delta.content)
    info = got[-1].error_info
    if info is not None and info.code == "guard":
        assert info.kind == "content_filter"
        assert not info.retryable
        if len(got) > 1:
            check_stream(
                got,
                going_on=True,
                keep_message=info.partial is not None or not any(map(is_text, got)),
            )


async def test_a_stop_says_what_had_left():
    """The text before the forbidden words leaves, not more."""
    events = [*map(text_delta, ["All is well. ", "The code", "word is ", "sesame", " and more"])]
    start = StreamEvent(EventType.MESSAGE_START)
    got = [e async for e in guard(Feed([start, *events]), stopper(re.compile("codeword")), hold=12)]
    assert said(got) == "All is well. The "
    assert got[-1].error == "content_filter: the guard stopped the answer (guard)"
    assert got[-1].error_info.partial == Message("assistant", [TextPart("All is well. The ")])


@given(
    st.lists(st.text("abk-12 x", min_size=1, max_size=8), max_size=12),
    st.permutations(["b+", "1", "k-a?", "x x"]),
)
def test_several_patterns_in_any_order(deltas, patterns):
    """The matches of one after those of another, as a list of patterns gives them: none is passed over."""

    def check(text):
        return [
            (*match.span(), "*") for pattern in patterns for match in re.finditer(pattern, text)
        ]

    feed = Feed(answer([text_delta(delta) for delta in deltas]))
    got = said(run(guard(feed, check, hold=100)))
    assert got == re.sub("|".join(patterns), "*", "".join(deltas))


@pytest.mark.parametrize("edit", [(2, 1, ""), (-1, 1, ""), (0, 9, ""), (9, 9, None)])
def test_an_edit_outside_the_text_is_refused(edit):
    """ValueError, before it doubles or swallows text; what had left is there, and the source is closed."""
    feed, got = Feed(answer(["ab "])), []

    async def read():
        async for event in guard(feed, lambda text: [edit], hold=0):
            got.append(event)  # noqa: PERF401  # what came before counts

    with pytest.raises(ValueError, match="the check gave an edit from"):
        asyncio.run(read())
    assert (said(got), feed.closed) == ("", 1)


def test_in_batch_mode_nothing_leaves_of_a_stopped_answer():
    """One event: the ERROR."""
    (last,) = run(
        guard(Feed(answer(["a codeword"], stream=False)), stopper(re.compile("code")), hold=9)
    )
    assert (last.error_info.code, last.error_info.partial) == ("guard", None)
    (last,) = run(
        guard(Feed(answer(["a codeword"], stream=False)), redactor(re.compile("code")), hold=9)
    )
    assert last.text == last.message.text == "a [secret]word"


@pytest.mark.parametrize("keep_message", [True, False])
def test_the_refusal_of_a_batch_is_redacted_too(keep_message):
    """By `guard`, which looks at refusals; `transform` leaves them as they are."""
    events = answer(
        [text_delta("code"), refusal_delta("a code"), refusal_delta("word")], stream=False
    )
    (last,) = run(
        guard(Feed(events), redactor(re.compile("code")), hold=9, keep_message=keep_message)
    )
    assert (last.text, last.refusal_delta.content) == ("[secret]", "a [secret]word")
    (last,) = run(map_text(Feed(events), str.upper, keep_message=keep_message))
    assert (last.text, last.refusal_delta.content) == ("CODE", "a codeword")


def test_the_partial_of_a_batch_error_is_redacted_too():
    """What failed on the way says no secrets either."""
    events = answer(["a codeword", ErrorInfo("quota")], stream=False)
    (last,) = run(guard(Feed(events), redactor(re.compile("code")), hold=9))
    assert last.error_info.partial.text == "a [secret]word"


def test_a_notice_or_a_retry_does_not_let_half_a_secret_out():
    """STATUS and a RETRY that goes on pass ahead of what is held; MESSAGE_START waits for it."""
    note = StreamEvent(EventType.STATUS, status=Status("queued"))
    cut = ["sk-", note, "a", ErrorInfo("server")]
    events = answer([*map(_delta, cut)], [text_delta("b12 end")], on_interrupt="continue")
    got = run(guard(Feed(events), redactor(PATTERNS[0]), hold=HOLD))
    assert said(got) == "[secret] end" == got[-1].message.text
    check_stream(got, going_on=True)
    assert [event.type.name for event in got][:3] == ["STATUS", "RETRY", "MESSAGE_START"]


def _delta(item):
    return text_delta(item) if isinstance(item, str) else item


def test_all_that_people_read_is_checked():
    """Reasoning and refusals too; changed reasoning loses its signature, unchanged keeps it."""
    signed = opaque("anthropic-messages", signature="s")
    script = [
        reasoning_delta("code"),
        signed,
        text_delta("code"),
        refusal_delta("code"),
        reasoning_delta("ok"),
        signed,
    ]
    got = run(guard(Feed(answer(script)), redactor(re.compile("code")), hold=9))
    check_stream(got)
    assert [getattr(part, "text", "") for part in got[-1].message.parts] == [
        *["[secret]"] * 3,
        "ok",
    ]
    assert [p.signature for p in got[-1].message.parts if isinstance(p, ReasoningPart)] == [
        None,
        "s",
    ]
    (last,) = run(guard(Feed(answer(script, stream=False)), redactor(re.compile("code")), hold=9))
    assert [p.signature for p in last.message.parts if isinstance(p, ReasoningPart)] == [None, "s"]


@pytest.mark.parametrize("word", ["code", "nothing of this"])
def test_phases_that_come_late_fit_the_text_that_left(word):
    """They name places in the text: where it was changed they are left out."""
    late = opaque("openai-responses", phases=[["commentary", 9, 5], ["final_answer", 5, 0]])
    script = [text_delta("code"), text_delta(" done"), late]
    got = run(guard(Feed(answer(script)), redactor(re.compile(word)), hold=20))
    check_stream(got)
    phases = [part.provider_data and part.provider_data["phase"] for part in got[-1].message.parts]
    assert phases == ([None] if word == "code" else ["commentary", "final_answer"])


def test_frames_and_the_messages_of_other_rounds_are_rewritten_too():
    """`raw` would tell; `messages` are sent on."""
    events = answer(["code"])
    done = events[-1]
    events = [
        StreamEvent(e.type, e.text_delta, start=e.start, raw={"text": "code"}) for e in events[:-1]
    ]
    asked = Message("user", [TextPart("code")])
    done.messages = [Message("assistant", [TextPart("the code")]), asked, done.message]
    got = run(guard(Feed([*events, done]), redactor(re.compile("code")), hold=9))
    assert [event.raw for event in got] == [None] * 3
    assert [message.text for message in got[-1].messages] == ["the [secret]", "code", "[secret]"]
    assert done.message.text == "code", "the source's own event stays as it is"


@given(st.text("ab", max_size=300), st.integers(0, 20))
def test_no_more_than_hold_is_held(text, hold):
    """What came and did not leave."""

    async def read():
        feed = Feed([text_delta(character) for character in text])
        left = 0
        async for event in guard(feed, lambda text: (), hold=hold):
            left += len(event.text)
            assert feed.read - left <= hold
        assert left == len(text)

    asyncio.run(read())


def test_what_the_check_raises_reaches_the_consumer():
    """And the source is closed."""
    feed = Feed(answer(["a"]))
    with pytest.raises(ZeroDivisionError):
        run(guard(feed, lambda text: 1 / 0, hold=0))
    assert feed.closed
    with pytest.raises(ValueError, match="hold"):
        guard(feed, lambda text: (), hold=-1)


# --- transform and map_text ----------------------------------------------------------------------------------


@given(answers)
def test_mapped_deltas_add_up_to_the_message(events):
    """Only the answer's text is changed, in both modes; a delta that comes out empty is no delta."""
    got = run(map_text(Feed(events), lambda text: text.replace("a", "").upper()))
    if len(events) > 1 and (got[-1].message or (got[-1].error_info and got[-1].error_info.partial)):
        check_stream(got, going_on=True)
    assert said(got) == said(events).replace("a", "").upper() or any(
        event.retry for event in events
    )
    if got[-1].message is not None and got[-1].message.parts != events[-1].message.parts:
        assert "a" not in got[-1].message.text


def test_other_pieces_end_a_run():
    """What was kept back leaves before them."""
    source = StreamEvent(EventType.SOURCE, source=Source("1"))
    events = answer([text_delta("abc"), source, text_delta("d")])
    got = run(transform(Feed(events), Pairs))
    assert [event.text or event.type.name for event in got] == [
        *("MESSAGE_START", "ab", "c", "SOURCE", "d", "MESSAGE_COMPLETE")
    ]


def test_without_the_message_nothing_is_kept():
    """`keep_message=False` as at the client: for endless streams."""
    got = run(map_text(Feed(answer(["a"])), str.upper, keep_message=False))
    assert (said(got), got[-1].message) == ("A", None)
    got = run(map_text(Feed(answer(["a"], keep_message=False)), str.upper))
    assert (said(got), got[-1].message) == ("A", None)
    (last,) = run(map_text(Feed(answer(["a"], stream=False, keep_message=False)), str.upper))
    assert (last.text, last.message) == ("A", None)


def test_the_messages_of_a_run_of_tools_stay_apart():
    """STATUS(kind="step") stands for the end of one message."""
    step = StreamEvent(EventType.STATUS, status=Status("step"))
    start, delta, done = answer(["b"])
    events = [start, text_delta("abc"), step, start, delta, done]
    got = run(transform(Feed(events), Pairs))
    assert [event.text or event.type.name for event in got] == [
        *("MESSAGE_START", "ab", "c", "STATUS", "MESSAGE_START", "b", "MESSAGE_COMPLETE")
    ]
    assert got[-1].message.text == "b"


async def test_the_message_of_a_step_is_rewritten_too():
    """It says what its deltas said: no secret, and nothing of what the tools gave, which follows it."""
    events = await rounds(["my key is sk-", "ab12, ", CALL], ["done"])
    got = [event async for event in guard(Feed(events), redactor(PATTERNS[0]), hold=HOLD)]
    assert not any("sk-" in str(event.to_dict()) for event in got)
    (step,) = [event for event in got if event.status is not None]
    assert step.message.parts == [TextPart("my key is [secret], "), CALL]
    assert [message.text for message in got[-1].messages] == ["my key is [secret], ", "", "done"]
    got = [event async for event in map_text(Feed(events), str, keep_message=False)]
    assert [
        event.message for event in got if event.status is not None or event.message is not None
    ] == [None]


async def test_a_round_of_which_nothing_left_has_its_start():
    """A step stands for MESSAGE_COMPLETE, with which the MESSAGE_START of an empty answer leaves."""
    start, done = await answered([])
    step = StreamEvent(EventType.STATUS, status=Status("step"), message=done.message)
    events = [start, step, *await answered(["a"])]
    assert [event async for event in transform(Feed(events), Pairs)] == events


async def test_a_source_without_end_gives_what_was_held():
    """Nothing is lost, and no end invented."""
    flow = transform(Feed([StreamEvent(EventType.MESSAGE_START), text_delta("abc")]), Pairs)
    assert [event.text async for event in flow] == ["", "ab", "c"]
