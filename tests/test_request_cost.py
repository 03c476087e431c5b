"""What a request and a piece cost the client, in steps of Python's interpreter: a count that no other work changes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import llmstream
from llmstream import EventType, LLMClient

PACKAGE = str(Path(llmstream.__file__).parent)
BOUNDS = {"httpx2": (11_800, 850), "aiohttp": (10_400, 780)}
"""Steps in the package's own code for an answer of one piece, and for each further piece that comes alone: a twentieth
above what they were when this was measured last, in Python 3.11. A request over aiohttp goes past its session, whose
steps weren't counted here."""
MORE = 10
QUESTION = [{"role": "user", "content": "hi"}]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
    """One frame of an answer, as an HTTP chunk of its own."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    frame = b"data: %s\n\n" % json.dumps({**head, "choices": [choice], "usage": None}).encode()
    return b"%x\r\n%s\r\n" % (len(frame), frame)


BEGIN = HEAD + chunk({"role": "assistant", "content": ""}) + chunk({"content": " word"})
PIECE = chunk({"content": " another"})
END = chunk({}, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


@asynccontextmanager
async def server(wanted: asyncio.Event, pieces: int) -> AsyncIterator[str]:
    """A chat API whose next piece comes when it is wanted."""

    running: list[asyncio.Task[Any]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.append(task)
        while not reader.at_eof():
            with suppress(asyncio.IncompleteReadError):  # the client has left
                await answer_one(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(size))
        writer.write(BEGIN)
        for _ in range(1, pieces):
            await wanted.wait()
            wanted.clear()
            writer.write(PIECE)
        await wanted.wait()
        wanted.clear()
        writer.write(END)

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()
        await asyncio.gather(*running)


class Steps:
    """How many steps the package took."""

    count = 0


@contextmanager
def counted() -> Iterator[Steps]:
    """Count the steps of this thread in the block."""
    steps, before = Steps(), sys.gettrace()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        steps.count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)


async def steps_of(transport: str, pieces: int) -> int:
    """The steps of one answer, on a warm connection."""
    wanted = asyncio.Event()
    async with server(wanted, pieces) as url:
        client = LLMClient("openai:m", api_key="k", base_url=url, transport=transport)
        async with client:

            async def ask() -> int:
                texts = 0
                async for event in client.chat_completion(QUESTION):
                    if event.type == EventType.TEXT_DELTA:
                        texts += 1
                        wanted.set()
                return texts

            for _ in range(2):
                assert await ask() == pieces
            with counted() as steps:
                # Only frames that begin in the block are counted.
                assert await asyncio.create_task(ask()) == pieces
    return steps.count


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else traces")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a newer Python takes other steps")
@pytest.mark.parametrize("transport", BOUNDS)
async def test_a_request_and_a_piece_cost_no_more_than_they_did(transport: str) -> None:
    one, several = await steps_of(transport, 1), await steps_of(transport, 1 + MORE)
    of_request, of_piece = BOUNDS[transport]
    assert one <= of_request
    assert (several - one) / MORE <= of_piece
