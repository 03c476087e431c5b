"""`run_tools` against servers that enforce what vendors are documented to refuse, for every row that can call tools."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from llmstream import EventType, LLMClient, Message, RetryPolicy, StreamEvent
from llmstream.errors import ConfigurationError
from llmstream.events.types import ReasoningDelta
from llmstream.messages import (
    File,
    ImagePart,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.providers.compatible import VENDORS
from llmstream.tools.loop import run_rounds
from tests.loopback import Handler, Loopback, Reply, Request, answer, refuse
from tests.wire.any_history import TARGETS, Target
from tests.wire.vendor_rules import findings
from tests.wire.vendor_types import check_types

WITHOUT_TOOLS = {name for name, row in VENDORS.items() if "tools" in row.variant.unsupported}
CALLING = [target for target in TARGETS if target.name not in WITHOUT_TOOLS]

BEFORE = [
    Message("system", [TextPart("Be brief.", "1h")]),
    Message("user", [TextPart("See"), ImagePart("https://a.example/x.png", cache="5m")]),
    Message(
        "assistant",
        [
            ReasoningPart("Hm.", "signed by elsewhere", format="elsewhere"),
            ProviderPart("elsewhere", {"type": "sealed"}),
            TextPart("Let me see. "),
            ToolCall("functions.get:0", "get", '{"a": 1}', {"a": 1}),
            ToolCall("functions.get:0", "get", '{"a": ', None, complete=False),
        ],
    ),
    Message("tool", [ToolResult("functions.get:0", [TextPart("a"), TextPart("b")])]),
    Message("user", [File(data="YSxi", media_type="text/csv", name="t.csv")]),
    Message("developer", [TextPart("Now rhyme.")]),
]
"""What others made: two calls of one id, of which one was cut and never answered."""


def thought(text: str) -> StreamEvent:
    return StreamEvent(EventType.REASONING_DELTA, reasoning_delta=ReasoningDelta(text))


ANSWERS: tuple[tuple[Any, ...], ...] = (
    (thought("I need it."), ToolCall("functions.get:0", "get", '{"a":1}', {"a": 1})),
    (
        ToolCall("functions.get:0", "get", '{"a":2}', {"a": 2}),
        ToolCall("x" * 70, "get", '{"a": "oops', None, complete=False),
    ),
    (thought("Once more."), ToolCall("b|c", "get", '{"a":3}', {"a": 3})),
    ("Done.",),
)
"""Three rounds of calls, under ids that others refuse, and the answer."""


def strict_host(target: Target) -> Handler:
    """A server that refuses what the target's vendor does."""
    asked = 0

    async def handler(request: Request, reply: Reply) -> None:
        nonlocal asked
        names = {target.name, f"{target.name} {target.model}"}
        wrong = [each for name in names for each in findings(request.body, target.format, name)]
        check_types(request.body, target.format)
        if wrong:
            error = {"type": "invalid_request_error", "message": "; ".join(wrong)}
            await refuse(400, {"error": error})(request, reply)
            return
        items, asked = ANSWERS[asked], asked + 1
        await answer(target.format, *items)(request, reply)

    return handler


@pytest.mark.parametrize("target", CALLING, ids=[f"{t.name}:{t.model}" for t in CALLING])
async def test_three_rounds_break_no_rule(target: Target) -> None:
    given = []

    def get(a: int) -> str:
        """Get it."""
        given.append(a)
        return "42"

    once = RetryPolicy(max_attempts=1)
    async with Loopback(strict_host(target)) as server:
        url = server.url(target.name)
        async with LLMClient(
            f"{target.name}:{target.model}", api_key="sk-loopback", base_url=url, retry=once
        ) as client:
            rounds = run_rounds(client, BEFORE, [get], {}, stream=True, max_rounds=9, confirm=None)
            events = [event async for event in rounds]
    assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
    assert given == [1, 2, 3]
    assert len(server.requests) == len(ANSWERS)
    names = ("messages", "contents", "input")
    sent = [next(filter(None, map(each.body.get, names))) for each in server.requests]
    for earlier, later in pairwise(sent):
        assert later[: len(earlier)] == earlier


@pytest.mark.parametrize("name", ["openai", "openai-responses", "anthropic", "mistral"])
async def test_under_strict_a_loss_raises_before_any_network(name: str) -> None:
    (target, *_) = (each for each in TARGETS if each.name == name)
    async with Loopback(strict_host(target)) as server:
        options: Any = {"api_key": "sk-loopback", "base_url": server.url(name), "strict": True}
        async with LLMClient(f"{name}:{target.model}", **options) as client:
            with pytest.raises(ConfigurationError, match="another provider signed it"):
                await client.complete(BEFORE)
    assert not server.requests
