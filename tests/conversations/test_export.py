"""Imports that may come from anywhere: what they say is taken, or refused in words."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import LLMError
from llmstream.conversations import Document, ImportFormatError
from llmstream.conversations.export import parse_export, render_export
from llmstream.conversations.history import TurnPlace, build_messages
from llmstream.conversations.records import ConversationRecord, Owner, Turn
from llmstream.conversations.stores.protocol import render
from llmstream.messages import (
    ChatRequest,
    Message,
    ReasoningPart,
    Source,
    TextPart,
    ToolCall,
    Usage,
)
from llmstream.tools import tool
from tests.conversations.sdk_types import RENDERERS
from tests.conversations.talk import CUT, begin, enter, read, scripted
from tests.example_counts import examples
from tests.strategies import json_values


@tool
async def weather(city: str) -> str:
    """The weather."""
    return city


async def test_a_failed_question_in_other_words_can_be_retried(export):
    """Its text before its image, in two pieces: it is the same question."""
    image = {"type": "image", "url": "https://example.com/a.png"}
    parts = [{"type": "text", "text": "two"}, image, {"type": "text", "text": "?"}]
    turns = [{**export["turns"][1], "messages": [{"role": "user", "parts": parts}]}]
    provider, client = scripted(["an answer"])
    given_document = {**export, "turns": turns}
    conversation = await client.import_conversation(await enter(client), given_document, system="S")
    assert (await read(conversation.retry()))[-1].is_complete
    assert [part.type for part in provider.requests[0].messages[1].parts] == [
        "text",
        "image",
        "text",
    ]
    assert len(await conversation.turns()) == 1


async def an_export():
    """With everything in it."""
    call = ToolCall("c", "weather", '{"city": "x"}', input={"city": "x"})
    answers = (
        [ReasoningPart("hm", "sig"), call],
        ["whole", Source(url="u"), Usage(1, 2)],
        ["half", CUT],
    )
    _, client = scripted(*answers, tools=[weather])
    conversation = await begin(client, title="T", system="S")
    image = {"type": "image", "url": "https://example.com/a.png"}
    await conversation.chat("one?", context=[Document(content="d", score=0.5)], attachments=[image])
    with pytest.raises(LLMError):
        await conversation.chat("two?")
    return await conversation.export()


def places(value, at=()):
    """The way to every value inside."""
    yield at
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, (*at, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*at, index))


@pytest.fixture(scope="module")
def export():
    import asyncio

    return asyncio.run(an_export())


ODD = ["system", "tool", "open", -1, 10**400, float("nan"), b"", [[]], {"type": "text"}]


def test_what_was_exported_is_taken(export):
    """So that the tests below refuse what they change, and nothing else."""
    title, turns = parse_export(export)
    assert title == "T"
    assert [turn.to_dict() for turn in turns] == export["turns"]


@examples(300)
@given(data=st.data())
def test_any_one_wrong_value_is_refused_or_harmless(export, data):
    """Wherever it is: ImportFormatError, or a conversation that can be stored, exported and sent in every format."""
    changed = copy.deepcopy(export)
    way = data.draw(st.sampled_from([place for place in places(export) if place]))
    inner = changed
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = data.draw(json_values | st.sampled_from(ODD))
    try:
        title, turns = parse_export(changed)
    except ImportFormatError:
        return
    record = ConversationRecord("c", Owner("i", "u", "p"), title)
    assert parse_export(json.dumps(render_export(record, turns)))[1] == turns
    assert [Turn.from_dict(json.loads(render(turn))) for turn in turns] == turns
    asked = build_messages(
        record.system, TurnPlace(Turn("t", [Message("user", [TextPart("so?")])]), turns)
    )
    for renderer in RENDERERS.values():
        json.dumps(renderer(ChatRequest(asked, "m")).body)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version 2.*upgrade"),
        ({"version": None}, "version None"),
        ({"format": "other"}, "not an exported conversation"),
        ({"title": 5}, "title"),
        ({"turns": None}, "turns"),
        ({"turns": [5]}, r"turns\[0\]"),
    ],
)
def test_what_is_wrong_is_named(export, change, told):
    """The version, or the place."""
    with pytest.raises(ImportFormatError, match=told):
        parse_export({**export, **change})


NAN = '{"format": "llmstream.conversation", "version": 1, "turns": [], "metadata": {"a": NaN}}'


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "5", "[" * 100_000, NAN])
def test_text_that_is_no_export_is_refused(text):
    """Whatever it is."""
    with pytest.raises(ImportFormatError):
        parse_export(text)


def test_no_system_message_hides_among_the_turns(export):
    """Nor does a turn begin with an answer, nor share its id with another."""
    turns = copy.deepcopy(export["turns"])
    turns[0]["messages"][1]["role"] = "system"
    with pytest.raises(ImportFormatError, match="user's message"):
        parse_export({**export, "turns": turns})
    del turns[0]["messages"][0]
    with pytest.raises(ImportFormatError, match="user's message"):
        parse_export({**export, "turns": turns})
    with pytest.raises(ImportFormatError, match="one id"):
        parse_export({**export, "turns": [export["turns"][0]] * 2})
