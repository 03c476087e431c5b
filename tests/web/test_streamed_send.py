"""What an app sends reaches its client in the bytes that uvicorn's own protocol would write."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmstream.events.types import EventType, Start, StreamEvent, text_delta
from llmstream.web import EventStreamResponse
from llmstream.web.piece_writer import piece_writer
from llmstream.web.protocol_httptools import _IS_KNOWN_CYCLE, BoundedHttptools
from tests.web.serving import serving

PLAIN = [(b"content-type", b"text/event-stream"), (b"X-Request-Id", b"r-1")]


def head(headers: list[Any], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: Any, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


END = body(b"", more=False)
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "pieces": [head(PLAIN), body(b"one"), body(b"x" * 70_000), END],
    "no words": [head(PLAIN), END],
    "an empty piece": [head(PLAIN), body(b""), body(b"one"), body(b"two", more=False)],
    "no headers": [{"type": "http.response.start", "status": 200}, body(b"one"), END],
    "lists for headers": [head([[b"a", b"b"], [b"a", b"c"]]), body(b"one"), END],
    "bytearrays for headers": [head([(b"a", bytearray(b"b"))]), body(b"one"), END],
    "headers in a tuple": [head(((b"a", b"b"),)), body(b"one"), END],
    "headers in words": [head([("a", "b")]), body(b"one"), END],
    "no pairs": [head([(b"a",)]), body(b"one"), END],
    "an odd value": [head([(b"a", b"\xff\t b")]), body(b"one"), END],
    "a length": [head([(b"content-length", b"3")]), body(b"one"), END],
    "a wrong length": [head([(b"Content-Length", b"9")]), body(b"one"), END],
    "chunks of its own": [head([(b"Transfer-Encoding", b"chunked")]), body(b"one"), END],
    "a close": [head([(b"connection", b"close")]), body(b"one"), END],
    "an error": [head(PLAIN, 503), body(b"one"), END],
    "no content": [head(PLAIN, 204), END],
    "an unknown status": [head(PLAIN, 599), body(b"one"), END],
    "a memoryview": [head(PLAIN), body(memoryview(b"one")), END],
    "a bytearray": [head(PLAIN), body(bytearray(b"one")), END],
    "a bad name": [head([(b"a b", b"c")]), body(b"one"), END],
    "a bad value": [head([(b"a", b"b\r\nc: d")]), body(b"one"), END],
    "two heads": [head(PLAIN), head(PLAIN), END],
    "no head": [body(b"one"), END],
    "no end": [head(PLAIN), body(b"one")],
    "more after the end": [head(PLAIN), body(b"one"), END, body(b"two")],
    "no type": [head(PLAIN), {**body(b"one"), "type": "http.odd"}, END],
}
REFUSED = {"a bad name", "a bad value", "headers in words", "no pairs"}
"""Answers whose heads uvicorn doesn't send."""
REQUESTS = {
    "GET": b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\nhost: h\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    "100": b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
    b"connection: close\r\n\r\nhi",
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The answer whose name stands in the path."""
    for message in ANSWERS[scope["path"][1:].replace("_", " ")]:
        await send({**message})


async def once(scope: Any, receive: Any, send: Any) -> None:
    """Headers that can be read once, of which uvicorn has to read all."""
    headers = [(b"content-length", b"3"), (b"a", b"b")]
    await send(head(iter(headers)))
    await send(body(b"one", more=False))


async def heard(port: int, request: bytes) -> bytes:
    """All that a client hears, without what can't be the same twice."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    data = await reader.read()
    writer.close()
    return re.sub(rb"date: [^\r]*", b"date: now", data)


async def answers(http: type, request: bytes, **options: Any) -> dict[str, bytes]:
    """What a client hears of each answer, by name."""
    found = {}
    async with serving(app, http=http, **options) as port, asyncio.timeout(20):
        for name in ANSWERS:
            path = f" /{name.replace(' ', '_')} ".encode()
            found[name] = await heard(port, request.replace(b" / ", path))
    return found


def test_it_is_in_use() -> None:
    """uvicorn may change inside; then this fails, and answers only cost more."""
    assert _IS_KNOWN_CYCLE


@pytest.mark.parametrize("access_log", [False, True])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_an_answer_is_what_uvicorn_would_write(request_: bytes, *, access_log: bool) -> None:
    ours = await answers(BoundedHttptools, request_, access_log=access_log)
    assert ours == await answers(HttpToolsProtocol, request_, access_log=access_log)
    assert {name for name, data in ours.items() if not data} == REFUSED


async def test_headers_that_can_be_read_once_are_sent() -> None:
    async with serving(once, http=BoundedHttptools) as port, asyncio.timeout(20):
        data = await heard(port, REQUESTS["GET"])
    assert b"\r\ncontent-length: 3\r\na: b\r\n" in data
    assert data.endswith(b"\r\n\r\none")


async def test_answers_on_one_connection_follow_each_other() -> None:
    request = b"GET /pieces HTTP/1.1\r\nhost: h\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with serving(app, http=BoundedHttptools) as port, asyncio.timeout(20):
        data = await heard(port, request * 2 + last)
    assert data.count(b"3\r\none\r\n11170\r\nxxx") == 3
    assert data.count(b"xxx\r\n0\r\n\r\n") == 3


async def words(scope: Any, receive: Any, send: Any) -> None:
    """An answer of several pieces, as the web layer sends it."""

    async def events() -> AsyncIterator[StreamEvent]:
        yield StreamEvent(EventType.MESSAGE_START, start=Start())
        for word in ("One, ", "two, ", "three."):
            await asyncio.sleep(0)
            yield text_delta(word)
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    await EventStreamResponse(events())(scope, receive, send)


class Watching:
    """A middleware of the user's, which sees what leaves."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watch(message: dict[str, Any]) -> None:
            self.seen.append(message)
            await send(message)

        await words(scope, receive, watch)


async def test_pieces_go_past_send_unless_somebody_stands_between() -> None:
    heads: list[Any] = []

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        heads.append(piece_writer(send))
        await words(scope, receive, send)

    watching, found = Watching(), []
    for each in (plain, watching):
        async with serving(each, http=BoundedHttptools) as port, asyncio.timeout(20):
            data = await heard(port, REQUESTS["GET"])
            found.append(re.sub(rb"[0-9a-f]{16}", b"id", data))
    assert found[0] == found[1]
    assert found[0].count(b"text_delta") == 2 * 3  # each event's name and its type
    assert heads[0] is not None
    sent = b"".join(message.get("body", b"") for message in watching.seen)
    assert sent.count(b"text_delta") == 2 * 3
