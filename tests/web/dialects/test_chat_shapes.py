"""Shapes of other APIs in chat completions' requests, as Cursor and OpenAI's own clients post them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.messages import ImagePart, Message, TextPart, ToolCall, ToolChoice, ToolResult
from llmstream.web.dialects import OpenAIChat

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PNG}"
HI = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {}}


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


def parse(**body: Any) -> Any:
    return OpenAIChat().parse({"model": "m", **body}).request


CHOICES = {
    "auto": ({"type": "auto"}, ToolChoice("auto")),
    "none": ({"type": "none"}, ToolChoice("none")),
    "Anthropic's any": ({"type": "any"}, ToolChoice("required")),
    "Anthropic's tool": ({"type": "tool", "name": "w"}, ToolChoice("tool", "w")),
    "Responses' function": ({"type": "function", "name": "w"}, ToolChoice("tool", "w")),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_may_be_an_object(name) -> None:
    given_choice, wanted = CHOICES[name]
    assert parse(messages=[HI], tools=[tool("w")], tool_choice=given_choice).tool_choice == wanted


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("nested", [True, False])
def test_allowed_tools_narrow_the_tools(mode, nested) -> None:
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "b"}}]}
    choice = {"type": "allowed_tools", **({"allowed_tools": allowed} if nested else allowed)}
    request = parse(messages=[HI], tools=[tool("a"), tool("b")], tool_choice=choice)
    assert [each.name for each in request.tools] == ["b"]
    assert request.tool_choice == ToolChoice(mode)


def test_an_allowed_tool_that_doesn_t_exist_is_named() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("absent")]}}
    with pytest.raises(ValueError, match="absent"):
        parse(messages=[HI], tools=[tool("a")], tool_choice=choice)


TOOLS = {
    "OpenAI's": tool("w"),
    "flat": {"type": "function", "name": "w", "parameters": SCHEMA},
    "Anthropic's": {"name": "w", "input_schema": SCHEMA},
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_come_in_three_shapes(name) -> None:
    (given_tool,) = parse(messages=[HI], tools=[TOOLS[name]]).tools
    assert (given_tool.name, given_tool.parameters) == ("w", SCHEMA)


def test_anthropic_s_calls_and_results_are_messages() -> None:
    use = {"type": "tool_use", "id": "c", "name": "w", "input": {"a": "ü"}}
    result = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "text", "text": "sun"}],
    }
    text = {"type": "text", "text": "go on"}
    request = parse(
        messages=[
            HI,
            {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, use]},
            {"role": "user", "content": [result, text]},
        ]
    )
    _, answer, tools, user = request.messages
    assert answer.parts == [TextPart("Let me look."), ToolCall("c", "w", '{"a":"ü"}', {"a": "ü"})]
    assert (tools.role, tools.parts) == ("tool", [ToolResult("c", "sun")])
    assert user == Message("user", [TextPart("go on")])


def test_a_call_without_words_and_a_result_alone() -> None:
    use = {"type": "tool_use", "id": "c", "name": "w", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c"}
    turns = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    _, answer, tools = parse(messages=[HI, *turns]).messages
    assert ([part.type for part in answer.parts], tools.role) == (["tool_call"], "tool")


IMAGES = {
    "Responses'": {"type": "input_image", "image_url": URL},
    "Anthropic's": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    },
    "OpenAI's": {"type": "image_url", "image_url": {"url": URL}},
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("role", ["user", "tool"])
def test_images_come_in_three_shapes_also_from_tools(name, role) -> None:
    words = {"type": "input_text", "text": "see"}
    call = {"id": "c", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    shown = {"role": role, "content": [words, IMAGES[name]]}
    if role == "tool":
        shown["tool_call_id"] = "c"
    *_, last = parse(messages=[HI, {"role": "assistant", "tool_calls": [call]}, shown]).messages
    parts = last.parts[0].content if role == "tool" else last.parts
    text, image = parts
    assert text == TextPart("see")
    assert isinstance(image, ImagePart)
    assert (image.data, image.media_type) == (PNG, "image/png")


@pytest.mark.parametrize("given_input", ["hi", [{"role": "user", "content": "hi"}]])
def test_a_responses_request_is_read_as_one(given_input) -> None:
    request = parse(
        input=given_input,
        tools=[{"type": "function", "name": "w", "parameters": SCHEMA}],
        reasoning={"effort": "low"},
        max_output_tokens=5,
    )
    assert request.messages == [Message("user", [TextPart("hi")])]
    assert (request.tools[0].name, request.reasoning_effort, request.max_tokens) == ("w", "low", 5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "content", "tools", "name", "input", "source", "allowed_tools"]
            ),
            inner | st.sampled_from(["tool_use", "tool_result", "image", "allowed_tools", "auto"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": JSON})), JSON, JSON)
def test_whatever_is_wrong_is_told_as_such(messages, tools, choice) -> None:
    with suppress(TypeError, ValueError):
        parse(messages=messages, tools=tools, tool_choice=choice)
