"""Members that no name here stands for: they go back to their own format, and a warning names them elsewhere."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from llmstream.arguments import build_request
from llmstream.messages import ChatRequest, Message
from llmstream.providers.compatible import VENDORS
from llmstream.wire.anthropic_messages.request import parse_request as parse_messages
from llmstream.wire.anthropic_messages.request import render_request as render_messages
from llmstream.wire.fitting.rules import SystemPlace
from llmstream.wire.openai_chat.request import render_request as render_chat
from llmstream.wire.openai_responses.request import ResponsesVariant
from llmstream.wire.openai_responses.request import parse_request as parse_responses
from llmstream.wire.openai_responses.request import render_request as render_responses

NAMES = ["novel", "format", "members", "message_members", "item", "blocks", "provider_data"]
"""A new one, and those under which we keep things ourselves."""
TEXT = {"type": "input_text", "text": "a"}
SAID = {"type": "output_text", "text": "a"}
REFUSED = {"type": "refusal", "refusal": "no"}
IMAGE = {"type": "input_image", "image_url": "https://a.b/c.png"}
PDF = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,YQ=="}
ASKED = {"type": "message", "role": "user", "content": "q"}
ANSWERED = {"type": "message", "role": "assistant", "content": "ok"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "1"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"}
STEP = {"type": "summary_text", "text": "s"}


def user(*content: Any, **beside: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content), **beside}


def assistant(*content: Any, **beside: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(content), **beside}


def items_with(place: str, more: dict[str, Any]) -> list[dict[str, Any]]:
    """Responses' items of a conversation in which the block at a place has more members."""
    opened = {
        "a text": [user({**TEXT, **more}, TEXT)],
        "a picture": [user({**IMAGE, **more})],
        "a file": [user({**PDF, **more})],
        "a user's message": [user(TEXT, TEXT, **more)],
        "a user's message of pictures": [user(IMAGE, **more)],
        "a user's message of files": [user(PDF, **more)],
        "a system message": [{**user(TEXT, TEXT, **more), "role": "system"}],
        "a developer's message": [{**user(TEXT, TEXT, **more), "role": "developer"}],
    }
    if place in opened:
        return [*opened[place], ANSWERED]
    answered = {
        "an answer's text": [assistant({**SAID, **more})],
        "an answer": [assistant(SAID, SAID, **more)],
        "a refusal": [assistant({**REFUSED, **more})],
        "an answer that refuses": [assistant(REFUSED, **more)],
        "the second answer": [ANSWERED, assistant(SAID, SAID, **more)],
        "reasoning": [{**THOUGHT, **more}, ANSWERED],
        "a summary": [{**THOUGHT, "summary": [STEP, {**STEP, **more}]}, ANSWERED],
        "a reasoning text": [
            {**THOUGHT, "content": [{"type": "reasoning_text", "text": "t", **more}]},
            ANSWERED,
        ],
    }
    if place in answered:
        return [ASKED, *answered[place]]
    called = {
        "a call": [{**CALL, **more}, RESULT],
        "a result": [CALL, {**RESULT, **more}],
        "a text in a result": [CALL, {**RESULT, "output": [{**TEXT, **more}]}],
        "a picture in a result": [CALL, {**RESULT, "output": [TEXT, {**IMAGE, **more}]}],
        "a file in a result": [CALL, {**RESULT, "output": [TEXT, {**PDF, **more}]}],
    }
    return [ASKED, *called[place]]


PLACES = [
    "a text",
    "a picture",
    "a file",
    "a user's message",
    "a user's message of pictures",
    "a user's message of files",
    "a system message",
    "a developer's message",
    "an answer's text",
    "an answer",
    "a refusal",
    "an answer that refuses",
    "the second answer",
    "reasoning",
    "a summary",
    "a reasoning text",
    "a call",
    "a result",
    "a text in a result",
    "a picture in a result",
    "a file in a result",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_a_member_of_responses_goes_back_and_is_named_elsewhere(place: str, name: str) -> None:
    items = items_with(place, {name: {"a": [1]}})
    request = parse_responses({"model": "m", "input": deepcopy(items)})
    stored = [Message.from_dict(message.to_dict()) for message in request.messages]
    for each in (request, ChatRequest(stored, "m")):
        rendered = render_responses(each)
        assert rendered.body["input"] == items
        assert rendered.warnings == []
    for render in (render_chat, render_messages):
        warnings = render(request).warnings
        assert any(name in warning for warning in warnings), warnings


BLOCKS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": "a"},
    "image": {"type": "image", "source": {"type": "url", "url": "https://a.b/c.png"}},
    "thinking": {"type": "thinking", "thinking": "t", "signature": "s"},
    "tool_use": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    "tool_result": {"type": "tool_result", "tool_use_id": "c", "content": "1"},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [*BLOCKS, "text in a result", "image in a result"])
def test_a_member_of_messages_goes_back_and_is_named_elsewhere(kind: str, name: str) -> None:
    more = {name: {"a": [1]}}
    blocks = {each: dict(block) for each, block in BLOCKS.items()}
    if kind in blocks:
        blocks[kind] |= more
    else:
        inside = {**BLOCKS[kind.partition(" ")[0]], **more}
        blocks["tool_result"]["content"] = [inside]
    messages = [
        {"role": "user", "content": [blocks["text"], blocks["image"]]},
        {"role": "assistant", "content": [blocks["thinking"], blocks["tool_use"]]},
        {"role": "user", "content": [blocks["tool_result"]]},
    ]
    body = {"model": "claude-opus-5", "max_tokens": 9, "messages": messages}
    request = parse_messages(deepcopy(body))
    rendered = render_messages(request)
    assert rendered.body["messages"] == messages
    assert rendered.warnings == []
    for render in (render_chat, render_responses):
        warnings = render(request).warnings
        assert any(name in warning for warning in warnings), warnings


@pytest.mark.parametrize("name", NAMES)
def test_a_member_of_a_tool_goes_back_and_is_named_elsewhere(name: str) -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}, name: {"a": 1}}
    messages = [{"role": "user", "content": "q"}]
    body = {"model": "claude-opus-5", "max_tokens": 9, "messages": messages, "tools": [tool]}
    request = parse_messages(body)
    assert render_messages(request).body["tools"] == [tool]
    assert any(name in warning for warning in render_chat(request).warnings)


@pytest.mark.parametrize("render", [render_chat, render_messages, render_responses])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_what_stands_beside_a_blank_text_is_named(render: Any, role: str) -> None:
    blocks = [{"type": "text", "text": "", "novel": 1}, BLOCKS["text"]]
    turns = [{"role": "user", "content": "q"}, {"role": role, "content": blocks}]
    request = parse_messages({"model": "m", "max_tokens": 9, "messages": turns})
    assert any("novel" in warning for warning in render(request).warnings)


@pytest.mark.parametrize("render", [render_chat, render_messages, render_responses])
@pytest.mark.parametrize("content", [[], [{**SAID, "text": ""}], [IMAGE]])
def test_what_stands_beside_an_answer_without_words_is_named(render: Any, content: Any) -> None:
    items = [ASKED, assistant(*content, novel=1), ANSWERED]
    warnings = render(parse_responses({"model": "m", "input": items})).warnings
    assert any("novel" in warning for warning in warnings), warnings


def test_what_stands_beside_a_user_s_message_without_content_goes_back() -> None:
    request = parse_responses({"model": "m", "input": [user(novel=1), ASKED]})
    rendered = render_responses(request)
    assert rendered.body["input"][0] == {**user(novel=1), "content": ""}
    assert any("novel" in warning for warning in render_chat(request).warnings)


@pytest.mark.parametrize("render", [render_messages, render_chat])
def test_a_mark_on_a_blank_text_is_named(render: Any) -> None:
    blank = {"type": "text", "text": " ", "cache_control": {"type": "ephemeral"}}
    if render is render_chat:
        blank["text"] = ""
    turns = [{"role": "user", "content": [BLOCKS["text"], blank]}]
    request = parse_messages({"model": "m", "max_tokens": 9, "messages": turns})
    assert any("cache" in warning for warning in render(request).warnings)


def test_reasoning_that_nobody_signed_is_named_in_its_own_format() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [STEP]}
    items = [ASKED, thought, ANSWERED]
    rendered = render_responses(parse_responses({"model": "gpt-5", "input": items}))
    assert rendered.body["input"] == [ASKED, ANSWERED]
    assert [warning.partition(":")[0] for warning in rendered.warnings] == ["reasoning"]
    blocks = [{"type": "thinking", "thinking": "t", "signature": ""}, BLOCKS["text"]]
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": blocks}]
    request = parse_messages({"model": "claude-opus-5", "max_tokens": 9, "messages": turns})
    warnings = render_messages(request).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["reasoning"]


@pytest.mark.parametrize("signature", ["", None])
def test_thinking_that_a_client_keeps_goes_back_to_the_host_that_wants_it(signature: Any) -> None:
    """A gateway hands on what DeepSeek reasoned, as thinking that nobody signed."""
    thought = {"type": "thinking", "thinking": "t", "signature": signature}
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [thought, BLOCKS["tool_use"]]},
        {"role": "user", "content": [BLOCKS["tool_result"]]},
    ]
    request = parse_messages({"model": "deepseek-v4-pro", "max_tokens": 9, "messages": turns})
    items = [ASKED, {"type": "reasoning", "id": "rs_1", "summary": [], "content": []}, CALL, RESULT]
    items[1] |= {"content": [{"type": "reasoning_text", "text": "t"}]}
    codex = parse_responses({"model": "deepseek-v4-pro", "input": items})
    for each in (request, codex):
        rendered = render_chat(each, VENDORS["deepseek"].variant)
        assert rendered.body["messages"][1]["reasoning_content"] == "t"
        assert rendered.warnings == []


MARKS = [
    {"cache": "5m"},
    {"cache_control": {"type": "ephemeral"}},
    {"prompt_cache_breakpoint": {"mode": "explicit"}},
]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "part", [TEXT, IMAGE, PDF, {"type": "input_audio", "data": "YQ=="}, {**IMAGE, "novel": 1}]
)
def test_a_mark_in_any_word_stays_on_its_part(part: Any, mark: Any) -> None:
    request = parse_responses({"model": "gpt-5.6", "input": [user({**part, **mark}, TEXT)]})
    marking = render_responses(request, ResponsesVariant(cache_marks=True)).body
    sent, _ = marking["input"][0]["content"]
    assert sent == {**part, "prompt_cache_breakpoint": {"mode": "explicit"}}
    plain = render_responses(request).body
    assert plain["input"][0]["content"][0] == part


@pytest.mark.parametrize("source", [{"type": "text", "media_type": "text/plain", "data": "d"}])
@pytest.mark.parametrize("beside", [{"context": "c"}, {"citations": {"enabled": True}}])
def test_a_document_s_mark_goes_along_to_another_format(source: Any, beside: Any) -> None:
    document = {"type": "document", "source": source, **beside}
    document |= {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    turns = [{"role": "user", "content": [document, BLOCKS["text"]]}]
    request = parse_messages({"model": "gpt-5.6", "max_tokens": 9, "messages": turns})
    body = render_responses(request, ResponsesVariant(cache_marks=True)).body
    marked = [part for part in body["input"][0]["content"] if "prompt_cache_breakpoint" in part]
    assert len(marked) == 1
    assert marked[0]["text"].endswith("d")


def test_system_messages_that_become_one_name_what_they_lose() -> None:
    first = {**user({**TEXT, "newer": 1}), "role": "system"}
    second = {**user(TEXT, novel=1), "role": "system"}
    request = parse_responses({"model": "m", "input": [first, second, ASKED]})
    front = ResponsesVariant(system=SystemPlace.FRONT)
    rendered = render_responses(request, front)
    assert rendered.body["input"][0] == {"type": "message", "role": "system", "content": "a\n\na"}
    assert any("newer, novel" in warning for warning in rendered.warnings)


THINKING = [
    {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
    {"type": "redacted_thinking", "data": "xyz"},
]
SEALED = [
    ("thinking_blocks", THINKING),
    ("reasoning_details", [{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]),
    ("reasoning_details", [{"type": "reasoning.encrypted", "data": "x", "id": "i", "index": 0}]),
    ("reasoning_opaque", "opaque"),
]


@pytest.mark.parametrize(("name", "seal"), SEALED)
@pytest.mark.parametrize("text", [{"reasoning_content": "Hm."}, {"reasoning_text": "Hm."}, {}])
def test_what_a_host_of_chat_completions_sealed_goes_back_to_one_that_takes_it(
    name: str, seal: Any, text: Any
) -> None:
    answer = {"role": "assistant", "content": "a", **text, name: seal}
    asked = [{"role": "user", "content": "q"}, answer, {"role": "user", "content": "and?"}]
    request = build_request(asked, "m")
    stored = [Message.from_dict(message.to_dict()) for message in request.messages]
    for each in (request, ChatRequest(stored, "m")):
        rendered = render_chat(each, VENDORS["openrouter"].variant)
        assert rendered.body["messages"][1][name] == seal
        assert {"reasoning_details", "thinking_blocks"} & rendered.body["messages"][1].keys() <= {
            name
        }
        assert rendered.warnings == []
    for host in ("mistral", "groq", "openai"):
        variant = VENDORS[host].variant if host in VENDORS else None
        refused = render_chat(request, *([variant] if variant else []))
        assert refused.body["messages"][1] == {"role": "assistant", "content": "a"}
        assert [warning.partition(":")[0] for warning in refused.warnings] == ["reasoning"]
