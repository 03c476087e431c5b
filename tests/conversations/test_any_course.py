"""Whatever course a conversation takes: its history is whole, in order, never doubled, and can be sent."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMClient, LLMError, RetryPolicy
from llmstream.conversations import ConversationClient, TurnError
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.conversations.sdk_types import RENDERERS, accepted
from tests.conversations.talk import CUT, begin
from tests.example_counts import examples

OUTCOMES = {
    "whole": ["an ", "answer"],
    "cut": ["half an ", CUT],
    "nothing": [CUT],
    "left": ["one ", "two ", "three"],
    "left at once": ["one ", "two"],
}
steps = st.tuples(
    st.sampled_from(["q1", "q2"]),
    st.sampled_from([None, "t1", "t2"]),
    st.sampled_from(sorted(OUTCOMES)),
    st.booleans(),
)


async def take(conversation, step):
    """One turn with its outcome: True if it was acknowledged."""
    query, turn_id, outcome, stream = step
    try:
        if not stream and "left" not in outcome:
            await conversation.chat(query, turn_id=turn_id)
            return True
        async with aclosing(conversation.chat_stream(query, turn_id=turn_id)) as chunks:
            async for chunk in chunks:
                if chunk.is_complete:
                    return True
                if "left" in outcome and (chunk.content or outcome == "left at once"):
                    return False
    except (LLMError, TurnError):
        return False
    raise AssertionError("a stream ended silently")


async def follow(course):
    provider = ScriptedProvider(*[OUTCOMES[outcome] for _, _, outcome, _ in course])
    model = LLMClient(provider=provider, clock=VirtualClock(), retry=RetryPolicy(max_attempts=1))
    conversation = await begin(ConversationClient(model))
    before = []
    for step in course:
        asked = len(provider.requests)
        provider._attempts[asked:] = [OUTCOMES[step[2]]]
        done = await take(conversation, step)
        turns = await conversation.turns()
        check_turns(before, turns, asked_model=len(provider.requests) > asked)
        if (
            step[1] is None
            and before
            and before[-1].state == "partial"
            and before[-1].question.text == step[0]
        ):
            assert len(turns) == len(before), "asked the same again, said twice"
        if done:
            assert any(turn.state == "complete" and turn.question.text == step[0] for turn in turns)
        if len(provider.requests) > asked:
            check_request(provider.requests[-1], step[0], turns)
        before = turns
    copy = await conversation.fork()
    assert (await copy.export())["turns"] == (await conversation.export())["turns"]


def check_turns(before, turns, *, asked_model):
    """What was complete stays as it is; at most one turn more, and only for a question to the model."""
    assert len({turn.id for turn in turns}) == len(turns)
    assert len(before) <= len(turns) <= len(before) + asked_model
    for old, new in zip(before, turns, strict=False):
        assert old.id == new.id
        assert old == new or old.state == "partial"
    assert all(turn.state != "open" and turn.question.role == "user" for turn in turns)


def check_request(request, query, turns):
    """Each question that is sent has its answer, in order; the new one comes last, once."""
    sent = [message.text for message in request.messages if message.role == "user"]
    assert sent[-1] == query
    asked = [turn.question.text for turn in turns if turn.answered]
    assert sent[:-1] == asked[: len(sent) - 1]
    roles = [message.role for message in request.messages]
    assert roles == ["user", "assistant"] * (len(sent) - 1) + ["user"]
    for format in RENDERERS:
        accepted(format, request)


@examples(60)
@given(st.lists(steps, max_size=6))
def test_any_course(course):
    """Answers, cuts, readers that leave, ids given twice or not at all."""
    asyncio.run(follow(course))


async def test_the_outcomes_are_what_they_say():
    """So that the property above sees all of them."""
    states = {}
    for outcome, script in OUTCOMES.items():
        model = LLMClient(
            provider=ScriptedProvider(script),
            clock=VirtualClock(),
            retry=RetryPolicy(max_attempts=1),
        )
        conversation = await begin(ConversationClient(model))
        acknowledged = await take(conversation, ("q", None, outcome, True))
        (turn,) = await conversation.turns()
        states[outcome] = (acknowledged, turn.state, turn.messages[-1].text)
    assert states == {
        "whole": (True, "complete", "an answer"),
        "cut": (False, "partial", "half an "),
        "nothing": (False, "partial", "q"),
        "left": (False, "partial", "one "),
        "left at once": (False, "partial", "q"),
    }
