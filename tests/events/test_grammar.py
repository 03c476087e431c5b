"""The guard: whatever a provider yields, what leaves is a legal stream."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import Guard
from llmstream.events.types import (
    EventType,
    Retry,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    error,
    opaque,
    text_delta,
)
from llmstream.messages import FinishReason, Usage
from tests import strategies
from tests.example_counts import examples
from tests.grammar_check import check_stream

DONE = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)


def run(*attempts, **options):
    """What leaves when each attempt but the last is followed by a retry, as the client does it."""
    guard = Guard(**options)
    left = []
    for number, attempt in enumerate(attempts, 1):
        for event in attempt:
            left += guard.feed(event)
        left += guard.end()
        if left[-1].type is not EventType.ERROR or number == len(attempts):
            break
        left[-1] = guard.retry(Retry(number + 1, len(attempts), 0.5, "again", "server"))
    return left


def types(events):
    return [str(event.type) for event in events]


events = st.lists(strategies.events | strategies.bare_events, max_size=8)


@examples(400)
@given(st.lists(events, min_size=1, max_size=3), st.booleans())
def test_any_events_leave_as_a_legal_stream(attempts, keep_message):
    """Legal or not, in any order, over any attempts: what leaves follows the grammar and adds up."""
    check_stream(
        run(*copy.deepcopy(attempts), keep_message=keep_message), keep_message=keep_message
    )


def is_opaque(event):
    return event.status is not None and event.status.kind == "opaque"


@given(st.lists(strategies.pieces | strategies.status_events, max_size=8), strategies.completes)
def test_a_legal_stream_passes_unchanged(pieces, last):
    """Pieces and STATUS of a proper answer leave as they are; only MESSAGE_START is added, and the end rewritten."""
    left = run([StreamEvent(EventType.MESSAGE_START, start=Start("id", "m")), *pieces, last])
    passed = [event for event in left[:-1] if event.type is not EventType.MESSAGE_START]
    for opaque_ones in (
        False,
        True,
    ):  # those wait for the commit point; other STATUS passes them there
        assert [e for e in passed if is_opaque(e) is opaque_ones] == [
            e for e in pieces if is_opaque(e) is opaque_ones
        ]
    assert left[-1].usage == last.usage
    assert left[-1].raw_finish_reason == last.raw_finish_reason
    assert left[-1].start == Start("id", "m")


def test_message_start_is_held_back_until_the_first_piece():
    """An early MESSAGE_START waits; STATUS passes ahead of it."""
    guard = Guard()
    status = StreamEvent(EventType.STATUS, status=Status("queued", "third in line"))
    assert not guard.feed(StreamEvent(EventType.MESSAGE_START, start=Start("id")))
    assert list(guard.feed(status)) == [status]
    assert not guard.committed
    assert types(guard.feed(text_delta("a"))) == ["message_start", "text_delta"]
    assert guard.committed
    assert types(guard.feed(text_delta("b"))) == ["text_delta"]


def test_an_empty_answer_still_starts():
    """MESSAGE_START comes with the MESSAGE_COMPLETE of an answer without pieces."""
    assert types(run([DONE])) == ["message_start", "message_complete"]


def test_a_piece_without_start_gets_one():
    """A provider that forgets MESSAGE_START is given an empty one."""
    assert run([text_delta("a"), DONE])[0] == StreamEvent(EventType.MESSAGE_START, start=Start())


def test_no_end_is_truncated_with_everything_before_it():
    """A provider that just stops gives ERROR(truncated), after the text and with it."""
    *_, piece, last = run([text_delta("a")])
    assert piece == text_delta("a")
    assert last.error_info.kind == "truncated"
    assert last.error_info.partial.text == "a"


def test_nothing_leaves_after_the_end():
    """What follows a terminal event is dropped."""
    assert types(
        run([text_delta("a"), DONE, text_delta("b"), DONE, error(ErrorInfo("server"))])
    ) == [
        "message_start",
        "text_delta",
        "message_complete",
    ]


def test_empty_deltas_are_dropped():
    """An empty delta neither leaves nor commits."""
    guard = Guard()
    assert not guard.feed(StreamEvent(EventType.TEXT_DELTA, TextDelta("")))
    assert not guard.committed


@pytest.mark.parametrize(
    "kind", [kind for kind in EventType if kind not in ("message_start", "retry")]
)
def test_an_event_without_its_value_is_an_error_or_legal(kind):
    """An event that lacks what its type promises never reaches the consumer."""
    last = check_stream(run([StreamEvent(kind)]))
    if kind is not EventType.MESSAGE_COMPLETE:
        assert last.error_info.kind == "internal"


def test_a_retry_before_the_first_piece_leaves_only_its_notice():
    """Nothing was shown, so nothing is to be discarded."""
    left = run([error(ErrorInfo("rate_limit"))], [text_delta("a"), DONE])
    assert types(left) == ["retry", "message_start", "text_delta", "message_complete"]
    assert not left[0].retry.discard


def test_a_retry_after_the_first_piece_discards():
    """What was shown is not in the message; the consumer is told to drop it."""
    left = run([text_delta("a")], [text_delta("b"), DONE])
    assert types(left) == [
        "message_start",
        "text_delta",
        "retry",
        "message_start",
        "text_delta",
        "message_complete",
    ]
    assert left[2].retry.discard
    assert left[-1].message.text == "b"


def test_a_providers_own_retry_is_not_passed_on():
    """RETRY is the client's to announce."""
    own = StreamEvent(EventType.RETRY, retry=Retry(2, 3, 1.0, "x", "server"))
    assert types(run([own, text_delta("a"), DONE])) == [
        "message_start",
        "text_delta",
        "message_complete",
    ]


def test_all_billed_attempts_are_listed():
    """`usage` is the last attempt's; `usage.attempts` has every one that was billed."""
    failed = error(ErrorInfo("server"))
    failed.usage = Usage(10, 1)
    done = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=Usage(10, 5)
    )
    left = run([text_delta("a"), failed], [text_delta("b"), done])
    assert left[-1].usage == Usage(10, 5, attempts=(Usage(10, 1), Usage(10, 5)))
    assert left[-1].message.usage == left[-1].usage


def test_one_attempt_lists_no_attempts():
    """`usage.attempts` stays empty when there was only one."""
    done = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=Usage(10, 5)
    )
    assert run([done])[-1].usage == Usage(10, 5)


def test_without_keep_message_nothing_is_kept():
    """`keep_message=False` leaves both `message` and `partial` None."""
    assert run([text_delta("a"), DONE], keep_message=False)[-1].message is None
    assert run([text_delta("a")], keep_message=False)[-1].error_info.partial is None


def test_warnings_stand_on_start_and_complete():
    """The client's warnings come before the provider's, on MESSAGE_START and MESSAGE_COMPLETE."""
    start = StreamEvent(EventType.MESSAGE_START, start=Start(warnings=("seed dropped",)))
    left = run([start, text_delta("a"), DONE], warnings=("only a simulator",))
    assert left[0].start.warnings == left[-1].start.warnings == ("only a simulator", "seed dropped")


def test_an_opaque_status_that_says_no_format_is_harmless():
    """What can't be sent back to anybody is passed on and kept out of the message."""
    odd = StreamEvent(EventType.STATUS, status=Status("opaque", data={"item": {}}))
    last = check_stream(run([odd, text_delta("a"), DONE]))
    assert last.message.text == "a"


def test_an_opaque_status_waits_for_the_first_piece():
    """A signature belongs to the message: it leaves with MESSAGE_START, and is dropped with a failed attempt."""
    signed = opaque("openai-chat", signature="s")
    failed = [signed, error(ErrorInfo("server"))]
    left = run(failed, [signed, text_delta("a"), DONE])
    assert types(left) == ["retry", "status", "message_start", "text_delta", "message_complete"]
    assert not left[0].retry.discard


def test_what_never_left_is_not_in_the_partial_answer():
    """A signature that was still held back when the attempt failed goes with it."""
    (last,) = run([opaque("openai-chat", item={"x": 1})])
    assert last.error_info.partial is None


@pytest.mark.parametrize(
    "field",
    ["text_delta", "tool_call", "tool_call_delta", "start", "status", "usage", "error_info"],
)
def test_a_field_of_a_wrong_type_is_an_error(field):
    kind = {"start": "message_start", "usage": "message_complete", "error_info": "error"}.get(
        field, field
    )
    (last,) = run([StreamEvent(EventType(kind), **{field: {"a": 1}})])
    assert last.error_info.kind == "internal"


@pytest.mark.parametrize(
    "odd",
    [
        StreamEvent(EventType.TEXT_DELTA, text_delta="a string"),
        StreamEvent(EventType.TEXT_DELTA, text_delta=TextDelta(5)),
        StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "id", "name", 5)),
        StreamEvent(EventType.REASONING_DELTA, reasoning_delta=TextDelta("x")),
    ],
)
@pytest.mark.parametrize("before", [[], [text_delta("a")]])
def test_a_third_party_s_odd_event_is_an_error_before_and_after_the_commit_point(odd, before):
    """What came before it stays."""
    last = run([*before, odd])[-1]
    assert (last.type, last.error_info.kind) == (EventType.ERROR, "internal")
    assert (last.error_info.partial is not None) == bool(before)


@pytest.mark.parametrize(
    ("given_reason", "reason"),
    [
        ("length", FinishReason.LENGTH),
        ("no such reason", FinishReason.OTHER),
        (7, FinishReason.OTHER),
        ("", FinishReason.UNKNOWN),
        (None, FinishReason.UNKNOWN),
    ],
)
def test_a_finish_reason_is_always_one_of_the_closed_list(given_reason, reason):
    last = check_stream(run([StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=given_reason)]))
    assert last.finish_reason is reason
