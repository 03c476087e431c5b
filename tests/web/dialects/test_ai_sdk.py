"""The AI SDK, versions 6 and 7, against the gateway; and what its messages become."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream.messages import (
    File,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.web.dialects import AiSdk
from llmstream.web.dialects.ai_sdk_messages import parse_ui_messages
from tests.web.dialects.gateway import TOLD
from tests.web.dialects.node import Played, play

pytestmark = pytest.mark.sdk

READ = (
    "text",
    "tools",
    "cut-call",
    "reasoning",
    "sources",
    "refusal",
    "length",
    "progress",
    "retry",
    "steps",
    "slow",
)
BROKEN = ("midway", "cut", "restart", "restart|hold", "stall")
CHATS = ("refused|chat", "midway|chat", "restart|chat", "progress|chat", "converse")


@pytest.fixture(scope="module", params=["ai-v6", "ai-v7"])
def sdk(request: pytest.FixtureRequest) -> tuple[str, Played]:
    return request.param, play("ai.mjs", *READ, *BROKEN, *CHATS, AI=request.param)


def parts_of(seen: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    return [part for part in seen["message"]["parts"] if part["type"] in kinds]


def test_text_grows_and_ends_with_usage(sdk) -> None:
    seen = sdk[1].seen["text"]
    assert seen["error"] is None
    (text,) = parts_of(seen, "text")
    assert (text["text"], text["state"]) == ("Hello, wörld\u2028 \r\n\n🙂", "done")
    assert seen["snapshots"] > 2
    assert seen["message"]["metadata"] == {
        "model": "text",
        "finishReason": "stop",
        "usage": {
            "inputTokens": 7,
            "outputTokens": 3,
            "totalTokens": 10,
            "reasoningTokens": 1,
            "cachedInputTokens": 2,
        },
    }
    assert seen["chunks"][-1]["finishReason"] == "stop"


def test_tools_reasoning_sources_and_refusals(sdk) -> None:
    seen = sdk[1].seen
    (tool,) = parts_of(seen["tools"], "tool-weather")
    assert (tool["state"], tool["input"]) == ("input-available", {"city": "Paris"})
    assert sum(chunk["type"] == "tool-input-delta" for chunk in seen["tools"]["chunks"]) > 1
    (cut,) = parts_of(seen["cut-call"], "tool-weather")
    assert cut["state"] == "output-error"
    (thought,) = parts_of(seen["reasoning"], "reasoning")
    assert (thought["text"], thought["state"]) == ("Hm, thinking", "done")
    (source,) = parts_of(seen["sources"], "source-url")
    assert (source["url"], source["title"]) == ("https://example.org/a", "A page")
    assert source["providerMetadata"]["llmstream"]["excerpt"] == "Paris is"
    (refusal,) = parts_of(seen["refusal"], "text")
    assert refusal["text"] == "I can't help with that."
    assert seen["length"]["chunks"][-1]["finishReason"] == "length"


def test_tools_that_the_server_runs_are_steps_of_one_message(sdk) -> None:
    seen = sdk[1].seen["steps"]
    kinds = [part["type"] for part in seen["message"]["parts"]]
    assert kinds == ["step-start", "text", "tool-weather", "step-start", "text"]
    (tool,) = parts_of(seen, "tool-weather")
    assert (tool["state"], tool["output"]) == ("output-available", "sunny in Paris")


def test_progress_and_retries_are_told_in_passing(sdk) -> None:
    seen = sdk[1].seen
    (told,) = seen["progress|chat"]["data"]
    assert told["data"] == {"kind": "progress", "message": TOLD, "data": {"done": 1}}
    assert [part["type"] for part in seen["progress|chat"]["messages"][-1]["parts"]] == [
        "step-start",
        "text",
    ]
    (retry,) = (chunk for chunk in seen["retry"]["chunks"] if chunk["type"] == "data-retry")
    assert (retry["data"]["attempt"], retry["data"]["kind"]) == (2, "overloaded")
    assert parts_of(seen["retry"], "text")[0]["text"] == "Hello"
    assert parts_of(seen["slow"], "text")[0]["text"] == "Half an hour."


@pytest.mark.parametrize("name", ["midway", "cut", "restart|hold"])
def test_an_answer_that_breaks_off_is_an_error_and_never_finishes(sdk, name: str) -> None:
    seen = sdk[1].seen[name]
    kinds = [chunk["type"] for chunk in seen["chunks"]]
    assert kinds[-1] == "error"
    assert "finish" not in kinds
    assert parts_of(seen, "text")[0]["state"] == "streaming"
    expected = {"midway": "overloaded", "cut": "cut before", "restart|hold": "interrupted"}[name]
    assert expected in seen["error"]["message"]


def test_an_answer_that_begins_anew_drops_what_was_shown_or_fails(sdk) -> None:
    version, played = sdk
    for name in ("restart", "restart|chat"):
        seen = played.seen[name]
        message = seen["message"] if "message" in seen else seen["messages"][-1]
        texts = [part["text"] for part in message["parts"] if part["type"] == "text"]
        if version == "ai-v7":
            assert (texts, seen.get("error")) == (["A whole answer"], None)
        else:  # it has no word for it, and says so
            assert texts == ["Half an "]
            assert "reset-step" in seen["error"]["message"]


def test_errors_reach_the_chat(sdk) -> None:
    refused, midway = sdk[1].seen["refused|chat"], sdk[1].seen["midway|chat"]
    assert refused["status"] == midway["status"] == "error"
    assert "Too many requests just now." in refused["error"]["message"]
    assert midway["error"]["message"].startswith("The model is overloaded just now.")


def test_leaving_stops_the_model(sdk) -> None:
    assert "aborted" in sdk[1].seen["stall"]["error"]["message"]
    assert sdk[1].stall_closed


def test_a_conversation_with_a_tool_of_the_app_goes_on_in_one_message(sdk) -> None:
    seen = sdk[1].seen["converse"]
    assert [message["role"] for message in seen["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert [part["type"] for part in seen["messages"][1]["parts"]] == [
        "step-start",
        "text",
        "tool-weather",
        "step-start",
        "reasoning",
        "text",
    ]
    last = sdk[1].asks[-1]
    call = ToolCall("call-1", "weather", '{"city": "Paris"}', {"city": "Paris"})
    assert [(message.role, message.parts) for message in last.messages] == [
        ("user", [TextPart("hi")]),
        ("assistant", [TextPart("Let me look."), call]),
        ("tool", [ToolResult("call-1", {"sky": "blue"})]),
        (
            "assistant",
            [ReasoningPart("Hm, thinking", "c2ln", format="anthropic-messages"), TextPart("Yes.")],
        ),
        ("user", [TextPart("and now?")]),
    ]


# --- what its messages become: nothing here needs node ------------------------------------------------------


HI = {"id": "u", "role": "user", "parts": [{"type": "text", "text": "hi"}]}


def said(*parts: dict[str, Any], role: str = "assistant") -> list[Message]:
    return parse_ui_messages([{"id": "m", "role": role, "parts": list(parts)}])


def test_files_and_images() -> None:
    files = (
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,aGk="},
        {"type": "file", "mediaType": "image/png", "url": "https://example.org/a.png"},
        {
            "type": "file",
            "mediaType": "application/pdf",
            "url": "data:application/pdf;base64,aGk=",
            "filename": "a",
        },
    )
    assert said(*files, role="user")[0].parts == [
        ImagePart(data="aGk=", media_type="image/png"),
        ImagePart(url="https://example.org/a.png", media_type="image/png"),
        File(name="a", media_type="application/pdf", data="aGk="),
    ]


def test_calls_that_nobody_answered_are_left_out() -> None:
    call = {"type": "tool-t", "toolCallId": "c", "input": {}}
    for state in ("input-streaming", "input-available", "approval-requested"):
        assert said({"type": "text", "text": "x"}, {**call, "state": state}) == [
            Message("assistant", [TextPart("x")])
        ]


def test_failed_and_denied_calls_are_told_to_the_model() -> None:
    call = {"type": "dynamic-tool", "toolName": "t", "toolCallId": "c", "input": {"a": 1}}
    for extra, content in (
        ({"state": "output-error", "errorText": "no"}, "no"),
        ({"state": "output-denied"}, "The user did not allow this call; it was not run."),
        (
            {"state": "approval-responded", "approval": {"approved": False}},
            "The user did not allow this call; it was not run.",
        ),
    ):
        assistant, tool = said({**call, **extra})
        assert assistant.tool_calls[0].name == "t"
        assert tool.parts == [ToolResult("c", content, is_error=True)]


def test_what_the_provider_ran_and_wants_back_stays_with_the_answer() -> None:
    kept = {"llmstream": {"format": "f", "item": {"type": "x"}}}
    call = {
        "type": "tool-t",
        "toolCallId": "c",
        "input": {},
        "state": "output-available",
        "output": 1,
    }
    (message,) = said(
        {"type": "reasoning", "text": "", "providerMetadata": kept},
        {**call, "providerExecuted": True},
    )
    assert message.parts[0] == ProviderPart("f", {"type": "x"})
    assert [part.executed_by for part in message.parts[1:]] == ["provider", "provider"]


def test_what_the_user_threw_in_stands_between_the_steps() -> None:
    steering = {
        "type": "steering-message",
        "id": "s",
        "parts": [{"type": "text", "text": "faster"}],
    }
    roles = [
        message.role
        for message in said({"type": "text", "text": "a"}, steering, {"type": "text", "text": "b"})
    ]
    assert roles == ["assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "the body"),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"role": "tool", "parts": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages[0].parts"),
        (
            {"messages": [{"role": "user", "parts": [{"type": "text"}]}]},
            "messages[0].parts[0].text",
        ),
        (
            {"messages": [{"role": "user", "parts": [{"type": "file", "url": 1}]}]},
            "messages[0].parts[0]",
        ),
        (
            {"messages": [{"role": "assistant", "parts": [{"type": "tool-t"}]}]},
            "messages[0].parts[0].toolCallId",
        ),
        ({"model": 3, "messages": []}, "model"),
        ({"resetStep": "no", "messages": []}, "resetStep"),
        ({"system": 3, "messages": [HI]}, "system"),
        ({"tools": [3], "messages": [HI]}, "tools"),
        ({"tools": {"t": 3}, "messages": [HI]}, "tools.t"),
        (
            {"messages": [{"role": "user", "parts": [{"type": "text", "text": "\ud83d"}]}]},
            "messages[0]",
        ),
    ],
)
def test_a_wrong_body_names_the_place(body: Any, place: str) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + place.replace("[", r"\[")):
        AiSdk().parse(body)


def test_the_app_may_say_more() -> None:
    body = {
        "model": "m",
        "system": "Be brief.",
        "tools": {"t": {"description": "d", "parameters": {"type": "object"}}},
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}],
    }
    ask = AiSdk().parse(body)
    assert (ask.model, ask.stream) == ("m", True)
    assert [message.role for message in ask.request.messages] == ["system", "user"]
    assert ask.request.tools[0].name == "t"
    with pytest.raises(TypeError, match="streams"):
        AiSdk().document(ask, None)
