"""A request is read once, whichever endpoint it came to: counted in the calls that the interpreter makes."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest

from llmstream import ChatRequest, LLMClient, ToolCall, arguments, message_reader, tool_reader
from llmstream.conversations import ChatContext, ConversationClient, SessionContext
from llmstream.options import Option
from llmstream.testing import FaultServer, ScriptedProvider
from llmstream.web import create_app
from tests.web.serving import fetch, serving

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": "The weather.", "parameters": SCHEMA}
HISTORY = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": [{"type": "text", "text": "and?"}]},
]
PARTS = [{"role": each["role"], "parts": [{"type": "text", "text": "hi"}]} for each in HISTORY]
RUN = {
    "threadId": "t",
    "runId": "r",
    "messages": [{"id": str(n), **m} for n, m in enumerate(HISTORY)],
}
BODIES: dict[str, dict[str, Any]] = {
    "/chat": {"messages": HISTORY, "temperature": 0.5, "tools": [FUNCTION]},
    "/v1/chat/completions": {
        "model": "scripted:m",
        "messages": HISTORY,
        "temperature": 0.5,
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    "/v1/responses": {
        "model": "scripted:m",
        "input": [
            {"role": "user", "content": "hi"},
            *HISTORY[1:2],
            {"role": "user", "content": "?"},
        ],
        "temperature": 0.5,
        "tools": [{"type": "function", **FUNCTION}],
    },
    "/v1/messages": {
        "model": "scripted:m",
        "messages": HISTORY,
        "max_tokens": 9,
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
    },
    "/api/chat": {"messages": PARTS, "tools": {"weather": {"parameters": SCHEMA}}},
    "/agui": {**RUN, "tools": [FUNCTION]},
}
READING = {
    arguments.build_request.__code__: "request",
    message_reader._parse_plain.__code__: "message",
    tool_reader._parse_tool.__code__: "tool",
    Option.check.__code__: "option",
}


def weather(city: str = "Bern") -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often the functions that read a request are called in this thread, which the server runs in, too."""
    calls: Counter[str] = Counter()

    def heed(frame: FrameType, event: str, _: Any) -> None:
        code: CodeType = frame.f_code
        if event == "call" and code in READING:
            calls[READING[code]] += 1

    before = sys.getprofile()
    sys.setprofile(heed)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def client_of(*answers: list[str]) -> LLMClient:
    provider = ScriptedProvider(*(answers or (["Yes."],)))
    return LLMClient(provider=provider, model="m")


async def post(port: int, path: str, body: dict[str, Any], **headers: str) -> tuple[int, bytes]:
    data = json.dumps(body).encode()
    status, _, answer = await fetch(
        port, path, "POST", data, content_type="application/json", **headers
    )
    return status, answer


@pytest.mark.parametrize("stream", [False, True], ids=["batch", "stream"])
@pytest.mark.parametrize("path", BODIES)
async def test_every_message_tool_and_option_is_read_once(path: str, stream: bool) -> None:  # noqa: FBT001
    body = BODIES[path] | ({"stream": stream} if path not in ("/api/chat", "/agui") else {})
    async with serving(create_app(client_of())) as port:
        with counted() as calls:
            status, answer = await post(port, path, body)
    assert (status, b"Yes." in answer) == (200, True)
    options = sum(name in body for name in ("temperature", "max_tokens"))
    read = {"request": 1, "message": len(HISTORY), "tool": 1, "option": options}
    assert calls == Counter(read)


async def test_a_request_that_goes_out_over_http_is_not_read_again() -> None:
    """Neither the client nor a provider that renders it looks at it a second time; nor does a retry."""
    async with FaultServer() as upstream:
        client = LLMClient("openai:m", api_key="k", base_url=upstream.url("openai"))
        async with client, serving(create_app(client)) as port:
            body = {**BODIES["/v1/chat/completions"], "model": "openai:m"}
            with counted() as calls:
                status, _ = await post(port, "/v1/chat/completions", body)
    assert status == 200
    assert (calls["request"], calls["message"], calls["tool"]) == (1, len(HISTORY), 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/chat", {"prompt": "hi"}), ("/streaming_chat", {"request": "hi"})],
)
async def test_so_is_a_prompt(path: str, body: dict[str, str]) -> None:
    async with serving(create_app(client_of())) as port:
        with counted() as calls:
            status, answer = await post(port, path, body)
    assert (status, b"Yes." in answer) == (200, True)
    assert (calls["request"], calls["message"]) == (1, 1)


async def test_a_conversation_makes_one_request_of_each_turn() -> None:
    async with serving(create_app(client_of(["Yes."], ["No."], ["Or."]))) as port:
        status, answer = await post(port, "/api/chat/session", {})
        assert status == 201
        own = json.loads(answer)
        with counted() as calls:
            status, answer = await post(port, "/chat", {**own, "prompt": "hi", "seed": 1})
            assert (status, b"Yes." in answer) == (200, True)
            assert calls["request"] == 1
            messages = [{"role": "user", "content": "and?"}]
            status, answer = await post(port, "/chat", {**own, "messages": messages})
            assert (status, b"No." in answer) == (200, True)
            assert calls["request"] == 2
            query = f"session_id={own['session_id']}&conversation_id={own['conversation_id']}"
            status, _, answer = await fetch(
                port,
                f"/api/chat/stream-http?{query}&query=or",
                x_session_token=own["token"],
            )
            assert (status, b"Or." in answer) == (200, True)
            assert calls["request"] == 3


async def test_a_loop_of_tools_reads_its_arguments_in_the_first_round() -> None:
    """And so does a turn of a conversation with tools, whatever number of rounds it takes."""
    call = ToolCall("c1", "weather", '{"city": "Bern"}', {"city": "Bern"})
    again = ToolCall("c2", "weather", "{}", {})
    client = client_of([call], [again], ["Sunny."])
    async with ConversationClient(client, tools=[weather]) as conversations:
        context = SessionContext(instance_id="i", user_id="u", project_id="p")
        session = await conversations.session(context)
        opened = ChatContext(session_id=session.session_id, token=session.token)
        conversation = await conversations.start_conversation(opened)
        with counted() as calls:
            answer = await conversation.chat("hi", tool_choice="required")
    assert answer.message_content.endswith("Sunny.")
    assert (calls["request"], calls["message"], calls["tool"]) == (1, 1, 1)
    requests = client._provider.requests
    assert [len(request.messages) for request in requests] == [1, 3, 5]
    assert [request.tool_choice is None for request in requests] == [False, True, True]


async def test_a_request_of_somebodys_own_is_checked_once_and_then_taken() -> None:
    """A ChatRequest made by hand may hold anything; one that was checked isn't looked at again."""
    client = client_of(["a"], ["b"])
    with counted() as calls:
        await client.complete(ChatRequest([{"role": "user", "content": "hi"}], ""))
        assert calls["request"] == 1
        await client.complete(arguments.build_request(HISTORY, "", temperature=0.5))
        assert calls["request"] == 2
    first, second = client._provider.requests
    assert (first.model, first.messages[0].text) == ("m", "hi")
    assert (second.model, second.temperature, len(second.messages)) == ("m", 0.5, 3)
    with pytest.raises(TypeError, match="temperature must be a number"):
        await client.complete(ChatRequest(list(HISTORY), "", temperature="hot"))
    with pytest.raises(TypeError, match="seed: a ChatRequest has its own; set it there"):
        await client.complete(ChatRequest(list(HISTORY), ""), seed=1)
    with pytest.raises(TypeError, match="model: a ChatRequest has its own"):
        await client.complete(ChatRequest(list(HISTORY), ""), model="x")
