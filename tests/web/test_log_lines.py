"""Whatever providers, models and clients say, in whichever field: no line of any log holds a command of a terminal."""

from __future__ import annotations

import copy
import io
import json
import logging
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import quote

import pytest
import websockets
from hypothesis import example, given
from hypothesis import strategies as st

from llmstream import LLMClient, RetryPolicy
from llmstream.messages import ToolCall, Usage
from llmstream.observe import LogObserver
from llmstream.web import Access, AuditLog, create_app
from tests.example_counts import examples
from tests.loopback import Loopback, pieces
from tests.web.dialects.test_encoders import BODIES
from tests.web.serving import Client, serving

KEY = "llmstream-canary-log-lines"
HOSTILE = "a\r\nforged: all fine\x1b]52;c;aGk=\x07\x9b31m\x7f\x00\u2028\u202e\x85"
hostile = st.just(HOSTILE) | st.text(
    st.characters(max_codepoint=0x9F) | st.sampled_from("\u2028\u2029\u202e\ufeff\ud800"),
    min_size=1,
    max_size=20,
)
FORMATS = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
}
CALL = ToolCall("c1", "look_up", '{"a": 1}', {"a": 1})
HEADERS = (
    *("x-request-id", "user-agent", "origin", "referer", "accept", "last-event-id"),
    *("x-forwarded-for", "content-type", "anthropic-version", "anthropic-beta", "x-session-token"),
    *("authorization", "x-api-key", "content-encoding", "cookie", "host"),
)
ERRORS = [
    {"error": {"message": "m", "code": "c", "type": "t", "param": "p", "status": "s"}},
    {"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"},
    {"detail": "d", "message": "m", "error": "e", "code": "c"},
    [{"error": {"message": "m", "status": "s"}}],
]


def variants(value: Any, text: str) -> Iterator[Any]:
    """The value with this text in place of one of its texts or names, for each of them."""
    places = [((), value)]
    while places:
        path, found = places.pop()
        if isinstance(found, str):
            yield with_text(value, path, text)
        children = found.items() if isinstance(found, dict) else ()
        children = enumerate(found) if isinstance(found, list) else children
        places += [((*path, key), child) for key, child in children]
        if isinstance(found, dict):
            yield with_text(value, (*path, text), 1)


def with_text(value: Any, path: tuple[Any, ...], text: Any) -> Any:
    if not path:
        return text
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = text
    return changed


def frames(format: str) -> list[tuple[str, Any]]:
    """The frames of an answer with words and a call: what stands before their data, and that."""
    answer = b"".join(pieces(format, "Hello", CALL, Usage(input_tokens=7, output_tokens=3)))
    found = []
    for frame in answer.decode().strip().split("\n\n"):
        before, _, data = frame.rpartition("data: ")
        found.append((before, json.loads(data) if data.startswith("{") else data))
    return found


def answers(format: str, text: str) -> Iterator[bytes]:
    """Answers with this text in one of their places."""
    told = frames(format)
    for at, (_, data) in enumerate(told):
        if isinstance(data, dict):
            for other in variants(data, text):
                changed = [
                    (before, other if place == at else each)
                    for place, (before, each) in enumerate(told)
                ]
                yield b"".join(frame(*each) for each in changed)
    for body in ERRORS:
        for other in variants(body, text):
            yield frame("", other)


def frame(before: str, data: Any) -> bytes:
    said = data if isinstance(data, str) else json.dumps(data)
    return f"{before}data: {said}\n\n".encode()


def in_header(text: str) -> str:
    """As much of a text as a header can hold."""
    return "".join(each for each in text if each not in "\r\n\x00" and ord(each) < 256) or "x"


@contextmanager
def everything_logged(*more: io.StringIO) -> Iterator[list[str]]:
    """All that is logged while the block runs, as the plainest of handlers writes it, and what `more` were given."""
    written: list[str] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    loggers = [logging.getLogger("llmstream"), logging.getLogger("uvicorn")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)
        for text in (stream, *more):
            written += text.getvalue().split("\n")


def check(lines: list[str], text: str, least: int) -> None:
    assert len(lines) > least
    if text is HOSTILE:
        assert sum("\\x1b" in line for line in lines) > 5
    for line in lines:
        assert line.isprintable(), ascii(line)
        assert not line.startswith("forged")


@asynccontextmanager
async def ready(provider: str, url: str):
    """An app before this provider, and the two forms of its audit."""
    audits = io.StringIO(), io.StringIO()
    client = LLMClient(
        f"{provider}:m",
        api_key="llmstream-canary-upstream",
        base_url=url,
        retry=RetryPolicy(max_attempts=2, base_delay=0.001, max_delay=0.001),
        observers=[LogObserver()],
    )
    observers = [AuditLog(audits[0]), AuditLog(audits[1], as_json=True)]
    app = create_app(
        client, models={"m": f"{provider}:m"}, access=Access(keys=[KEY]), observers=observers
    )
    # It closes its connections, which other tests would pay for.
    async with client:
        with everything_logged(*audits) as lines:
            yield app, lines


async def ask(port: int, path: str, body: Any, method: str = "POST", **headers: str) -> None:
    """Ask, and wait for the end of the answer, whichever it is."""
    data = json.dumps(body).encode()
    named = {"content_type": "application/json", "authorization": f"Bearer {KEY}", **headers}
    client = await Client.ask(port, path, method, data, **named)
    await client.reader.read()
    client.leave()


@pytest.mark.parametrize(
    "provider",
    [
        "openai",
        *(pytest.param(each, marks=pytest.mark.slow) for each in FORMATS if each != "openai"),
    ],
)
@given(text=hostile)
@example(text=HOSTILE)
@examples(4)
async def test_what_a_provider_or_a_model_says_in_any_field(provider, text) -> None:
    said: list[bytes] = []

    async def answer(request, reply) -> None:
        whole = said[0]
        if whole.startswith(b"!"):
            head = f"HTTP/1.1 400 {in_header(text)}\r\ncontent-length: {len(whole) - 1}\r\n".encode(
                "latin-1"
            )
            named = b"".join(
                b"%s: %s\r\n" % (name, in_header(text).encode("latin-1"))
                for name in (b"x-request-id", b"request-id", b"retry-after", b"x-ratelimit-a")
            )
            await reply.raw(head + named + b"\r\n" + whole[1:])
            return
        await reply.head(x_request_id=in_header("ok"))
        await reply.send(whole)
        await reply.end()

    async with (
        Loopback(answer) as loopback,
        ready(provider, loopback.url(provider)) as (app, lines),
        serving(app, log_level="debug") as port,
    ):
        refusals = [b"!" + json.dumps(v).encode() for e in ERRORS for v in variants(e, text)]
        asked = [*answers(FORMATS[provider], text), *refusals]
        for each in asked:
            said[:] = [each]
            await ask(port, "/chat", {"prompt": "hi", "stream": True})
    check(lines, text, len(asked) // 4)


@given(text=hostile)
@example(text=HOSTILE)
@examples(4)
async def test_what_a_client_says_in_any_field(text) -> None:
    async def answer(request, reply) -> None:
        await reply.whole(400, {"error": {"message": "no"}})

    bodies = {each().path: {**BODIES[each], "tools": [TOOL]} for each in BODIES}
    bodies["/chat"] = {
        "messages": [{"role": "user", "content": "hi"}],
        "model": "m",
        "tools": [TOOL],
    }
    bodies["/streaming_chat"] = {"request": "hi"}
    bodies["/chat"]["messages"] = [*bodies["/chat"]["messages"], *HISTORY]
    async with (
        Loopback(answer) as loopback,
        ready("openai", loopback.url("openai")) as (app, lines),
        serving(app, log_level="debug") as port,
    ):
        for path, body in bodies.items():
            for other in variants(body, text):
                await ask(port, path, other)
        for name in HEADERS:
            headers = {name.replace("-", "_"): in_header(text)}
            await ask(port, "/chat", {"prompt": "hi"}, **headers)
        for path in (
            quote(text.encode("utf-8", "replace")),
            "chat?" + quote(text.encode("utf-8", "replace")),
        ):
            await ask(port, f"/{path}", {"prompt": "hi"})
            await ask(port, f"/v1/models/{path}", {}, "GET")
            await ask(port, f"/api/chat/stream-http?query={path}&token={path}", {}, "GET")
        await ask(port, "/chat", {"prompt": "hi"}, in_method(text))
    check(lines, text, 20)


SOCKET = {
    "type": "response.create",
    "model": "m",
    "instructions": "i",
    "tools": [
        {"type": "function", "name": "t", "description": "d", "parameters": {"type": "object"}}
    ],
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {
            "role": "user",
            "content": [
                {
                    "type": "input_file",
                    "filename": "f.pdf",
                    "file_data": "data:application/pdf;base64,JVBERg==",
                }
            ],
        },
    ],
}
ENDS = {"error", "response.completed", "response.failed", "response.incomplete"}


@given(text=hostile)
@example(text=HOSTILE)
@examples(4)
async def test_what_a_client_says_over_a_websocket(text) -> None:
    """In the head, in messages of Responses and of conversations, and in the reason for which it goes."""

    async def answer(request, reply) -> None:
        await reply.whole(400, {"error": {"message": "no"}})

    async with (
        Loopback(answer) as loopback,
        ready("openai", loopback.url("openai")) as (app, lines),
        serving(app, log_level="debug") as port,
    ):
        url = f"ws://127.0.0.1:{port}"
        said = [json.dumps(each) for each in variants(SOCKET, text)]
        for message in (*said, json.dumps(text), as_utf8(text)):
            await converse(f"{url}/v1/responses", message, text)
        told = {"query": "hi", "session_id": "s", "conversation_id": "c", "token": "t"}
        for message in (*map(json.dumps, variants(told, text)), json.dumps(text)):
            await converse(f"{url}/api/chat/stream", message, text)
        for path in ("v1/responses?token=", "api/chat/stream?session_id=", ""):
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(f"{url}/{path}{quote(as_utf8(text))}")
    check(lines, text, len(said))
    assert not any(KEY in line for line in lines)


async def converse(url: str, message: str, text: str) -> None:
    """Send one message and wait for the end of its answer, or of the connection. Then go, with this as the reason."""
    headers = {"authorization": f"Bearer {KEY}", "user-agent": "w"}
    protocols = [websockets.Subprotocol(f"a{len(text)}")]
    async with websockets.connect(
        url, additional_headers=headers, subprotocols=protocols
    ) as socket:
        with suppress(websockets.ConnectionClosed):
            await socket.send(message)
            while json.loads(await socket.recv()).get("type") not in ENDS:
                pass
        await socket.close(4000, as_utf8(text)[:20])


def as_utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


HISTORY = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "result"},
    {
        "role": "user",
        "content": [
            {
                "type": "file",
                "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            },
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ],
    },
]
TOOL = {
    "type": "function",
    "function": {"name": "t", "description": "d", "parameters": {"type": "object"}},
}


def in_method(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isalpha()) or "GET"
