"""ContextPolicy: what is sent of a long conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMError, Message
from llmstream.conversations import ContextPolicy, ContextTooLongError, estimate_tokens
from llmstream.messages import ROLES, File, ImagePart, TextPart, ToolCall, ToolResult
from tests.strategies import messages as any_messages


def one_each(message: Message) -> int:
    return 1


def text(role, words):
    return Message(role, [TextPart(words)])


@st.composite
def histories(draw):
    """Messages in any order, with calls, and results that come at once, late, or never."""
    messages = []
    calls = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["user", "assistant", "system", "call", "result"]))
        if kind == "call":
            calls.append(f"c-{number}")
            messages.append(Message("assistant", [ToolCall(calls[-1], "f", "{}")]))
        elif kind == "result" and calls:
            messages.append(Message("tool", [ToolResult(draw(st.sampled_from(calls)), "r")]))
        else:
            messages.append(
                text("user" if kind == "result" else kind, "x" * draw(st.integers(1, 9)))
            )
    return messages


def ids(messages, kind):
    name = "id" if kind is ToolCall else "tool_call_id"
    return {
        getattr(part, name)
        for message in messages
        for part in message.parts
        if isinstance(part, kind)
    }


def cost(messages):
    return sum(len(message.text) or 5 for message in messages)


def count(message):
    return cost([message])


@given(histories(), st.integers(1, 80))
def test_what_is_sent_obeys_the_rules(messages, budget):
    """Within the budget; all system messages; the newest turn; no call without its result; nothing reordered."""
    policy = ContextPolicy(max_tokens=budget, count=count)
    system = [message for message in messages if message.role == "system"]
    newest = max(
        (i for i, message in enumerate(messages) if message.role == "user"), default=len(messages)
    )
    try:
        kept = policy.trim(messages)
    except ContextTooLongError:
        # what has to be sent, with all that is tied to it by results, was too long
        assert cost(messages) > budget
        return
    assert cost(kept) <= budget
    identities = [id(message) for message in kept]
    assert identities == [id(message) for message in messages if id(message) in set(identities)]
    assert all(id(message) in identities for message in [*system, *messages[newest:]])
    # A result is only there with its call, and a call that was answered only with its results.
    assert ids(kept, ToolResult) <= ids(kept, ToolCall)
    assert ids(kept, ToolCall) & ids(messages, ToolResult) <= ids(kept, ToolResult)
    others = [message for message in messages if message.role != "system"]
    sent = [message for message in kept if message.role != "system"]
    assert not sent or [id(m) for m in others[-len(sent) :]] == [id(m) for m in sent], (
        "there is no gap"
    )


@given(histories())
def test_what_fits_is_sent_whole(messages):
    """With no budget, or one that is just enough."""
    assert ContextPolicy().trim(messages) == messages
    assert ContextPolicy(max_tokens=cost(messages), count=count).trim(messages) == messages


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(10, 40))
def test_no_turn_is_left_out_that_would_have_fitted(sizes, budget):
    """The next older turn would have been too much."""
    messages = [text("user", "x" * size) for size in sizes]
    kept = ContextPolicy(max_tokens=budget, count=count).trim(messages)
    if len(kept) < len(messages):
        assert cost(kept) + cost([messages[-len(kept) - 1]]) > budget


def test_the_newest_turn_alone_can_be_too_long():
    """Then nothing is left out silently: the error says how much and what to do."""
    with pytest.raises(ContextTooLongError, match=r"about 3 tokens.*the 2 of") as raised:
        ContextPolicy(2, one_each).trim(
            [text("system", "s"), text("user", "a"), text("user", "b"), text("assistant", "c")]
        )
    assert not isinstance(raised.value, LLMError), "no provider was asked"


def test_a_late_result_keeps_its_turn():
    """A result that comes turns later ties those turns together."""
    messages = [
        text("user", "one"),
        Message("assistant", [ToolCall("c", "f", "{}")]),
        text("user", "two"),
        Message("tool", [ToolResult("c", "r")]),
        text("user", "three"),
    ]
    assert ContextPolicy(1, one_each).trim(messages) == messages[-1:]
    assert ContextPolicy(4, one_each).trim(messages) == messages[-1:]
    assert ContextPolicy(5, one_each).trim(messages) == messages


def test_messages_without_a_turn_are_sent_as_they_are():
    """System messages alone, and no messages at all, have no newest turn."""
    system = [text("system", "Be brief."), text("developer", "In French.")]
    for messages in ([], system):
        assert ContextPolicy(max_tokens=100).trim(messages) == messages


def test_turns_that_were_tied_together_stay_so():
    """A later result may refer to any of them."""
    messages = [
        text("user", "one"),
        Message("assistant", [ToolCall("a", "f", "{}")]),
        text("user", "two"),
        Message("assistant", [ToolCall("b", "f", "{}")]),
        text("user", "three"),
        Message("tool", [ToolResult("a", "r")]),
        text("user", "four"),
        Message("tool", [ToolResult("b", "r")]),
    ]
    assert ContextPolicy(8, one_each).trim(messages) == messages
    with pytest.raises(ContextTooLongError):
        ContextPolicy(7, one_each).trim(messages)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "9"])
def test_a_budget_is_a_number_of_tokens(limit):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="max_tokens"):
        ContextPolicy(max_tokens=limit)


@given(any_messages)
def test_any_message_can_be_estimated(message):
    """Never nothing; more text is never fewer tokens."""
    assert message.role in ROLES
    before = estimate_tokens(message)
    assert before >= 4
    message.parts.append(TextPart("more"))
    assert estimate_tokens(message) > before


def test_other_scripts_count_the_same_in_every_part():
    """By their bytes, where a letter has three."""
    text = "请问今天天气如何" * 10
    spoken = estimate_tokens(Message("user", [TextPart(text)]))
    told = estimate_tokens(Message("tool", [ToolResult("c", text)]))
    assert spoken <= told <= spoken + 30


def test_what_things_are_estimated_at():
    """The documented figures."""
    assert estimate_tokens(text("user", "x" * 300)) == 104
    assert estimate_tokens(text("user", "税" * 100)) == 104
    assert (
        estimate_tokens(Message("user", [ImagePart(data="A" * 100_000, media_type="image/png")]))
        == 1604
    )
    for kind in ("text/plain", "text/csv; charset=utf-8"):
        # 300 characters of base64 are 225 bytes of text
        assert estimate_tokens(Message("user", [File(data="A" * 300, media_type=kind)])) == 79
