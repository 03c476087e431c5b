"""A conversation with images, files, tools and reasoning goes through every pair of formats, and says the same."""

from __future__ import annotations

import base64
import json
from itertools import product
from typing import Any

import pytest

from llmstream import File, ImagePart, Message, TextPart, ToolCall, ToolResult
from llmstream.arguments import build_request
from llmstream.messages import ChatRequest, ReasoningPart, Tool
from llmstream.wire.formats import FORMATS
from tests import inputs_page

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
PDF = b"%PDF-1.7\n" + bytes(range(40))
DATA = {"image": base64.b64encode(PNG).decode(), "pdf": base64.b64encode(PDF).decode()}
WORDS = ("Look at these.", "I call.", "It is ten.", "And in words?", "Notes of today.")
SIGNING = ("anthropic-messages", "openai-responses", "gemini-generate", "bedrock-converse")


def conversation(format: str | None = None) -> list[Message]:
    """It has all that a format may lack. `format` is the one that signed the reasoning, if any did."""
    thought = ReasoningPart("I think.", "c2lnbmVk", "rs_1", format) if format else None
    return [
        Message("system", [TextPart("Be brief.")]),
        Message(
            "user",
            [
                TextPart(WORDS[0]),
                ImagePart(data=PNG),
                File(name="a.pdf", data=PDF),
                File(name="notes.txt", data=WORDS[4].encode()),
            ],
        ),
        Message(
            "assistant",
            [
                *([thought] if thought else []),
                TextPart(WORDS[1]),
                ToolCall("call12345", "clock", '{"zone":"UTC"}', {"zone": "UTC"}),
            ],
        ),
        Message("tool", [ToolResult("call12345", "10:00")]),
        Message("assistant", [TextPart(WORDS[2])]),
        Message("user", [TextPart(WORDS[3])]),
    ]


def sent_and_read(format: str, request: ChatRequest) -> ChatRequest:
    """What a server of this format reads of a request."""
    row = FORMATS[format]
    body = json.loads(json.dumps(row.render_request(request).body))
    body.setdefault("model", request.model)
    return row.parse_request(body)


def ask(messages: list[Message]) -> ChatRequest:
    tool = Tool("clock", description="Tells the time.")
    return build_request(messages, model="claude-opus-5", tools=[tool])


def said(request: ChatRequest) -> str:
    """All words, wherever they stand."""
    return json.dumps([message.to_dict() for message in request.messages], ensure_ascii=False)


def takes(format: str, kind: Any) -> bool:
    rule = inputs_page.FORMATS[format].kinds.get(kind)
    return rule is not None and rule.form("data") is not None


SPOKEN = [name for name, row in FORMATS.items() if row.render and row.parse]


@pytest.mark.parametrize(("first", "second"), [*product(SPOKEN, SPOKEN)])
def test_what_both_formats_have_arrives(first: str, second: str) -> None:
    """Words, calls and results always; an image or a PDF if both take one as data; a text file's words too."""
    read = sent_and_read(second, sent_and_read(first, ask(conversation())))
    whole = said(read)
    for words in WORDS[:4]:
        assert words in whole
    notes = base64.b64encode(WORDS[4].encode()).decode()
    beside = json.dumps(read.format_options)
    if first == "cohere-v2" != second:
        # Its documents stand beside the messages, where it cites them. No other format has them there.
        once = sent_and_read(first, ask(conversation()))
        warnings = FORMATS[second].render_request(once).warnings
        assert any("documents" in warning for warning in warnings)
    else:
        assert WORDS[4] in whole or notes in whole or WORDS[4] in beside
    calls = [call for message in read.messages for call in message.tool_calls]
    assert [(call.name, call.input) for call in calls] == [("clock", {"zone": "UTC"})]
    results = [part for m in read.messages for part in m.parts if isinstance(part, ToolResult)]
    assert [result.tool_call_id for result in results] == [calls[0].id]
    assert "10:00" in json.dumps(results[0].content)
    for kind, data in DATA.items():
        assert (data in whole) is (takes(first, kind) and takes(second, kind)), kind
    assert [tool.name for tool in read.tools if isinstance(tool, Tool)] == ["clock"]


@pytest.mark.parametrize("format", SPOKEN)
def test_a_second_time_changes_nothing(format: str) -> None:
    """What a format read of its own body renders to the same messages again."""
    once = sent_and_read(format, ask(conversation()))
    assert sent_and_read(format, once).messages == once.messages


@pytest.mark.parametrize("format", SIGNING)
def test_signed_reasoning_goes_back_to_its_own_format(format: str) -> None:
    read = sent_and_read(format, ask(conversation(format)))
    thoughts = [part for m in read.messages for part in m.parts if isinstance(part, ReasoningPart)]
    assert [(part.text, part.signature) for part in thoughts] == [("I think.", "c2lnbmVk")]
    other = next(name for name in SIGNING if name != format)
    assert "c2lnbmVk" not in said(sent_and_read(other, ask(conversation(format))))
