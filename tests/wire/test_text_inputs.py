"""A call whose input is a text, in the format whose inputs are objects: custom tools, other vendors' tools."""

from __future__ import annotations

import json
import re

import pytest

from llmstream.events.types import EventType, Start, StreamEvent, ToolCallDelta
from llmstream.messages import ToolCall
from llmstream.wire.anthropic_messages.encode import MessagesEncoder


@pytest.mark.parametrize("executed_by", ["caller", "provider"])
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('*** Begin\n"Patch" \\ é🙂', {"input": '*** Begin\n"Patch" \\ é🙂'}),
        ("generate", {"input": "generate"}),
        ('"x"', {"input": '"x"'}),
        ("[1]", {"input": "[1]"}),
        ("null", {"input": "null"}),
        ('  {"a": 1}', {"a": 1}),
        ("", {}),
    ],
)
def test_an_input_that_is_a_text_becomes_an_object(text, read, executed_by):
    """Anthropic's own clients raise for `partial_json` that isn't JSON."""
    call = ToolCall("t", "patch", text, executed_by=executed_by)
    deltas = [ToolCallDelta(0, "t", "patch"), *(ToolCallDelta(0, arguments=each) for each in text)]
    told = [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas]
    for announced in ([], told if executed_by == "caller" else []):
        events = [
            StreamEvent(EventType.MESSAGE_START, start=Start()),
            *announced,
            StreamEvent(EventType.TOOL_CALL, tool_call=call),
        ]
        data = b"".join(map(MessagesEncoder().feed, events)).decode()
        frames = [json.loads(line) for line in re.findall("(?m)^data: (.*)", data)]
        pieces = [frame["delta"]["partial_json"] for frame in frames if "delta" in frame]
        whole = frames[1]["content_block"]["input"]
        assert (json.loads("".join(pieces)) if pieces else whole) == read
        assert frames[-1]["type"] == "content_block_stop"
