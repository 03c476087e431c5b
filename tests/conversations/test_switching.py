"""A conversation that goes from one provider's format to another's, in any order, with all that messages may hold."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from llmstream import EventType, LLMClient, StreamEvent
from llmstream.conversations import ConversationClient, MemoryStore
from llmstream.messages import ImagePart, ReasoningPart, ToolCall, ToolResult
from llmstream.providers import ProviderTraits
from llmstream.testing import ScriptedProvider
from llmstream.tools import FunctionTool, tool
from llmstream.wire import FORMATS, decoder
from tests.conversations.sdk_types import RENDERERS, accepted
from tests.conversations.talk import begin
from tests.corpus.answers import Answer
from tests.loopback import APIS, Loopback, answer
from tests.recordings import Recording, all_answers

# --- over real bytes ----------------------------------------------------------------------------------------

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@tool
async def weather(city: str) -> str:
    """The weather."""
    return f"sun in {city}"


ORDERS = list(itertools.permutations(APIS, 3))
"""Three turns: each format follows each other one, and has been two turns before it."""
SOME = ORDERS[:: len(ORDERS) // 6]
"""Six of them, which begin with various formats; the others are in the lane `slow`."""


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order, id="-".join(order), marks=[] if order in SOME else pytest.mark.slow)
        for order in ORDERS
    ],
)
async def test_each_turn_may_be_anothers(order, store):
    """An image, reasoning with a signature, a tool call and its result, in each format: every next one takes it all."""
    for number, name in enumerate(order):
        call = ToolCall(f"call_{number}", "weather", '{"city": "Rome"}', input={"city": "Rome"})
        script = answer(
            APIS[name], ReasoningPart(f"hm {number}", f"sig-{number}"), "Let me see. ", call
        )
        async with (
            Loopback(script, answer(APIS[name], f"Answer {number}.")) as server,
            LLMClient(f"{name}:m-1", api_key="k", base_url=server.url(name)) as model,
        ):
            client = ConversationClient(model, store=store, tools=[weather])
            if number == 0:
                conversation = await begin(client, system="Be brief.")
            else:
                conversation = await client.conversation(conversation._context)
            image = {"type": "image", "data": PIXEL, "media_type": "image/png"}
            told = await conversation.chat(f"Question {number}?", attachments=[image])
            assert told.message_content == f"Answer {number}."
            check_body(server.requests[-1].body, name, number, order)
    assert [message.role for message in await conversation.history()] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ] * 3


def check_body(body: Any, name: str, number: int, order: tuple[str, ...]) -> None:
    """All earlier turns are in it, with their images, calls and results; signatures only of its own format.

    Ollama and Cohere sign nothing.
    """
    text = json.dumps(body)
    for turn in range(number + 1):
        assert f"Question {turn}?" in text
        assert f"call_{turn}" in text
    for turn in range(number):
        assert f"Answer {turn}." in text
    assert text.count(PIXEL) == number + 1
    assert text.count("sun in Rome") == number + 1
    for turn in range(number + 1):
        is_own = order[turn] == name
        assert (f"hm {turn}" in text) == is_own
        assert (f"sig-{turn}" in text) == (is_own and name not in ("ollama", "cohere"))


# --- recordings ---------------------------------------------------------------------------------------------


class Player:
    """Plays the recordings it is given; asked for more, it says that it is done."""

    name = "player"
    traits = ProviderTraits(default_model="m")

    def __init__(self) -> None:
        self.recorded: list[list[StreamEvent]] = []
        self.requests: list[Any] = []

    async def stream(self, request, call):
        self.requests.append(request)
        events = self.recorded.pop(0) if self.recorded else None
        async for event in ScriptedProvider(events or ["Done."]).stream(request, call):
            yield event

    async def aclose(self) -> None:
        """Nothing."""


def events_of(recording: Recording | Answer) -> list[StreamEvent]:
    made = decoder(recording.format)
    return [*made.feed(recording.body), *made.finish()]


def stand_ins(events: list[StreamEvent]) -> list[FunctionTool]:
    """A tool for each that the recorded model calls."""
    names = {
        event.tool_call.name
        for event in events
        if event.tool_call and event.tool_call.executed_by == "caller"
    }
    return [
        tool(lambda **given: given, name=name, parameters={"type": "object"})
        for name in sorted(names)
    ]


def mixed() -> list[Any]:
    """Every answer of the corpus and every recording, once: one of each format to a conversation, while they last."""
    found = {}
    for format in FORMATS:
        whole = [each.values[0] for each in all_answers(format, below=60_000)]
        found[format] = [
            each for each in whole if events_of(each)[-1].type is EventType.MESSAGE_COMPLETE
        ]
    rows = itertools.zip_longest(*found.values())
    return [
        pytest.param([each for each in row if each is not None], id=f"{number}")
        for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize("row", mixed())
async def test_recorded_answers_go_on_in_every_format(row):
    """What real models said, called and signed, in one conversation: each SDK's request types take what is sent."""
    player = Player()
    model, store = LLMClient(provider=player), MemoryStore()
    conversation = await begin(ConversationClient(model, store=store), system="Be brief.")
    for recording in row:
        player.recorded = [events_of(recording)]
        cited = sum(event.source is not None for event in player.recorded[0])
        client = ConversationClient(model, store=store, tools=stand_ins(player.recorded[0]))
        conversation = await client.conversation(conversation._context)
        told = await conversation.chat(
            "And?", attachments=[ImagePart(url="https://example.com/a.png", detail="low")]
        )
        assert len(told.sources) == cited
    await conversation.chat("So?")
    request = player.requests[-1]
    for format in RENDERERS:
        body = accepted(format, request)
        assert "So?" in json.dumps(body)
    parts = [part for message in request.messages for part in message.parts]
    calls = [
        part.id for part in parts if isinstance(part, ToolCall) and part.executed_by == "caller"
    ]
    results = [
        part.tool_call_id
        for part in parts
        if isinstance(part, ToolResult) and part.executed_by == "caller"
    ]
    assert sorted(calls) == sorted(results), "each call has its result"
