"""AG-UI's own client and types against the gateway; and what its messages become."""

from __future__ import annotations

from typing import Any

import pytest
from ag_ui.core import Event, RunAgentInput
from pydantic import TypeAdapter

from llmstream.messages import (
    File,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llmstream.web.dialects import AgUi
from llmstream.web.dialects.ag_ui_messages import parse_messages
from tests.web.dialects.gateway import TOLD
from tests.web.dialects.node import Played, play

pytestmark = pytest.mark.sdk

EVENT = TypeAdapter(Event)
WHOLE = (
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
BROKEN = {"midway": "overloaded", "cut": "cut before", "restart": "interrupted"}


@pytest.fixture(scope="module")
def agent() -> Played:
    return play("agui.mjs", *WHOLE, *BROKEN, "refused", "stall", "converse")


def kinds_of(seen: dict[str, Any]) -> list[str]:
    return [event["type"] for event in seen["events"]]


def custom(seen: dict[str, Any], name: str) -> Any:
    (value,) = (
        event["value"]
        for event in seen["events"]
        if event["type"] == "CUSTOM" and event["name"] == name
    )
    return value


def test_every_event_is_one_of_the_protocol(agent: Played) -> None:
    for name in (*WHOLE, *BROKEN):
        for event in agent.seen[name]["events"]:
            EVENT.validate_python(event)


def test_text_and_usage(agent: Played) -> None:
    seen = agent.seen["text"]
    assert seen["messages"][-1]["content"] == "Hello, wörld\u2028 \r\n\n🙂"
    finished = seen["events"][-1]
    assert (finished["type"], finished["threadId"], finished["runId"]) == (
        "RUN_FINISHED",
        "t-1",
        "r-text",
    )
    (usage,) = finished["usage"]
    assert (usage["inputTokens"], usage["outputTokens"], usage["cachedInputTokens"]) == (7, 3, 2)
    assert agent.seen["length"]["result"]["result"] == {"finishReason": "length"}


def test_tool_calls_wait_for_the_app(agent: Played) -> None:
    seen = agent.seen["tools"]
    (call,) = seen["messages"][-1]["toolCalls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert seen["events"][-1]["outcome"] == {"type": "success", "pendingToolCallIds": ["call-1"]}


def test_a_call_that_was_cut_is_answered_so_that_no_app_runs_it(agent: Played) -> None:
    seen = agent.seen["cut-call"]
    assert seen["messages"][-1]["role"] == "tool"
    assert "was not run" in seen["messages"][-1]["content"]
    assert "pendingToolCallIds" not in seen["events"][-1]["outcome"]


def test_tools_that_the_server_runs_are_steps(agent: Played) -> None:
    seen = agent.seen["steps"]
    assert [message["role"] for message in seen["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert seen["messages"][2]["content"] == "sunny in Paris"
    assert kinds_of(seen).count("STEP_STARTED") == kinds_of(seen).count("STEP_FINISHED") == 2
    assert seen["events"][-1]["usage"][0]["inputTokens"] == 27


def test_sources_progress_and_retries_are_told(agent: Played) -> None:
    assert custom(agent.seen["sources"], "source")["url"] == "https://example.org/a"
    assert custom(agent.seen["progress"], "status") == {
        "kind": "progress",
        "message": TOLD,
        "data": {"done": 1},
    }
    assert custom(agent.seen["retry"], "retry")["kind"] == "overloaded"
    assert agent.seen["retry"]["messages"][-1]["content"] == "Hello"
    assert agent.seen["slow"]["messages"][-1]["content"] == "Half an hour."
    assert agent.seen["refusal"]["messages"][-1]["content"] == "I can't help with that."


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_off_is_an_error_and_never_finishes(agent: Played, name: str) -> None:
    seen = agent.seen[name]
    assert seen["events"][-1]["type"] == "RUN_ERROR"
    assert BROKEN[name] in seen["events"][-1]["message"]
    assert "RUN_FINISHED" not in kinds_of(seen)
    assert "TEXT_MESSAGE_END" not in kinds_of(seen)
    assert seen["messages"][-1]["content"] == "Half an "


def test_http_errors_and_leaving(agent: Played) -> None:
    error = agent.seen["refused"]["error"]
    assert error["status"] == 429
    assert "Too many requests just now." in error["message"]
    assert agent.seen["stall"]["events"][-1]["code"] == "abort"
    assert agent.stall_closed


def test_a_conversation_comes_back_as_it_was(agent: Played) -> None:
    assert [message["role"] for message in agent.seen["converse"]["messages"]] == [
        "user",
        "assistant",
        "tool",
        "reasoning",
        "assistant",
        "user",
        "assistant",
    ]
    last = agent.asks[-1]
    call = ToolCall("call-1", "weather", '{"city":"Paris"}', {"city": "Paris"})
    assert [(message.role, message.parts) for message in last.messages] == [
        ("system", [TextPart("Context of the application:\nThe page: home")]),
        ("user", [TextPart("hi")]),
        ("assistant", [TextPart("Let me look."), call]),
        ("tool", [ToolResult("call-1", "blue")]),
        (
            "assistant",
            [ReasoningPart("Hm, thinking", "c2ln", format="anthropic-messages"), TextPart("Yes.")],
        ),
        ("user", [TextPart("and now?")]),
    ]
    assert last.options["tools"][0].name == "weather"


# --- what its messages become: nothing here needs node ------------------------------------------------------

HI = {"id": "1", "role": "user", "content": "hi"}


def run(**more: Any) -> dict[str, Any]:
    return {"threadId": "t", "runId": "r", "messages": [HI], "tools": [], "context": [], **more}


def test_media_parts() -> None:
    sources = (
        {"type": "image", "source": {"type": "url", "value": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "data", "value": "aGk=", "mimeType": "image/png"}},
        {"type": "document", "source": {"type": "file", "value": "file-1"}},
        {"type": "audio", "source": {"type": "data", "value": "aGk=", "mimeType": "audio/mpeg"}},
    )
    body = run(
        messages=[{"id": "1", "role": "user", "content": [{"type": "text", "text": "x"}, *sources]}]
    )
    RunAgentInput.model_validate(body)
    assert AgUi().parse(body).request.messages[0].parts == [
        TextPart("x"),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(data="aGk=", media_type="image/png"),
        File(id="file-1"),
        File(media_type="audio/mpeg", data="aGk="),
    ]


def test_calls_that_nobody_answered_and_activities_are_left_out() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    given = [
        HI,
        {"id": "2", "role": "assistant", "toolCalls": [call]},
        {"id": "3", "role": "activity", "activityType": "PLAN", "content": {}},
        {"id": "4", "role": "assistant", "content": "Done."},
    ]
    assert parse_messages(given) == [
        Message("user", [TextPart("hi")]),
        Message("assistant", [TextPart("Done.")]),
    ]


def test_a_failed_tool_is_told_so() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    answer = {"id": "3", "role": "tool", "toolCallId": "c", "content": "", "error": "no"}
    parsed = parse_messages([HI, {"id": "2", "role": "assistant", "toolCalls": [call]}, answer])
    assert parsed[-1].parts == [ToolResult("c", "no", is_error=True)]


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(
    ("binary", "part"),
    [
        ({"mimeType": "image/png", "data": PNG}, ImagePart(data=PNG, media_type="image/png")),
        (
            {"mimeType": "image/png", "url": "https://a.example/b.png"},
            ImagePart(url="https://a.example/b.png", media_type="image/png"),
        ),
        (
            {"mimeType": "application/pdf", "data": "JVBERi0=", "filename": "a.pdf"},
            File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        ),
        ({"mimeType": "text/plain", "data": "aGk="}, File(data="aGk=", media_type="text/plain")),
        ({"mimeType": "audio/wav", "id": "f-1"}, File(id="f-1", media_type="audio/wav")),
        ({"mimeType": "IMAGE/PNG", "id": "f-1"}, File(id="f-1", media_type="IMAGE/PNG")),
    ],
)
def test_media_as_clients_before_1_0_send_them(binary, part):
    content = [{"type": "text", "text": "What is it?"}, {"type": "binary", **binary}]
    (message,) = parse_messages([{"role": "user", "content": content}])
    assert message.parts[1] == part


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "the body"),
        ({"runId": "r"}, "threadId"),
        ({"threadId": "t"}, "runId"),
        (run(messages=[]), "messages"),
        (run(messages=None), "messages"),
        (run(messages=[{"role": "nobody"}]), "messages[0].role"),
        (run(messages=[{"role": "user", "content": 3}]), "messages[0].content"),
        (
            run(messages=[{"role": "user", "content": [{"type": "hologram"}]}]),
            "messages[0].content[0].type",
        ),
        (
            run(messages=[{"role": "user", "content": [{"type": "binary"}]}]),
            "messages[0].content[0].mimeType",
        ),
        (
            run(
                messages=[
                    {"role": "user", "content": [{"type": "binary", "mimeType": "image/png"}]}
                ]
            ),
            "messages[0].content[0]",
        ),
        (run(messages=[{"role": "tool", "content": "x"}]), "messages[0].toolCallId"),
        (
            run(messages=[{"role": "assistant", "toolCalls": [{}]}]),
            "messages[0].toolCalls[0].function",
        ),
        (run(tools=[{"description": "x"}]), "tools[0]"),
        (run(context=[{}]), "context[0].description"),
        (run(forwardedProps={"model": 3}), "forwardedProps.model"),
        (run(resume=[{"interruptId": "i", "status": "resolved"}]), "resume"),
    ],
)
def test_a_wrong_body_names_the_place(body: Any, place: str) -> None:
    with pytest.raises((TypeError, ValueError), match="^" + place.replace("[", r"\[")):
        AgUi().parse(body)


def test_there_is_no_document() -> None:
    ask = AgUi().parse(run(forwardedProps={"model": "m"}))
    assert (ask.model, ask.stream) == ("m", True)
    with pytest.raises(TypeError, match="streams"):
        AgUi().document(ask, None)
