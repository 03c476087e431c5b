"""aimock, a mock server that others wrote: LLMClient before it on each API that both speak."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from llmstream import LLMClient, LLMError, Message, RetryPolicy
from llmstream.messages import FinishReason, ToolResult
from llmstream.testing import VirtualClock
from llmstream.wire.formats import FORMATS, Format

pytestmark = [pytest.mark.sdk, pytest.mark.asyncio(loop_scope="module")]
PROGRAM = Path(__file__).parents[1] / "web/dialects/npm/node_modules/.bin/llmock"
TEXT = "Hello, wörld 🙂 from a server of others, in a few chunks."
TOOL: dict[str, Any] = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CITIES = [{"city": "Paris"}, {"city": "Rome"}]


def _fixture(asked: str, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    match = {"userMessage": asked, **more.pop("match", {})}
    return {"match": match, "response": answer, **more}


def _failure(status: int, kind: str) -> dict[str, Any]:
    return {"error": {"message": "Not now", "type": kind}, "status": status}


CALLS = [{"name": "weather", "arguments": json.dumps(city)} for city in CITIES]
FIXTURES = [
    _fixture("weather", {"content": "It is sunny."}, match={"hasToolResult": True}),
    _fixture("weather", {"toolCalls": CALLS}),
    _fixture("think", {"content": "Yes.", "reasoning": "Hm, thinking"}),
    _fixture("limit", _failure(429, "rate_limit_error")),
    _fixture("busy", _failure(529, "overloaded_error")),
    _fixture("cut", {"content": TEXT}, truncateAfterChunks=2),
    _fixture("text", {"content": TEXT}),
]
formats = pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
modes = pytest.mark.parametrize("stream", [True, False])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The running program's."""
    if shutil.which("node") is None or not PROGRAM.exists():
        pytest.skip("aimock is not installed: npm ci --prefix tests/web/dialects/npm")
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), "--port", "0", "--fixtures", str(fixtures), "--strict"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        found = None
        while found is None:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, "it ended"
            found = re.search(rb"listening on http://127\.0\.0\.1:(\d+)", line)
        yield int(found[1])
    finally:
        process.terminate()
        await process.wait()


async def ask(port: int, row: Format, history: list[Any], *, stream: bool) -> Message:
    """The answer of either mode."""
    client = LLMClient(
        f"{row.provider}:m-1",
        api_key="k",
        base_url=f"http://127.0.0.1:{port}{row.base_path}",
        retry=RetryPolicy(max_attempts=1),
        clock=VirtualClock(),  # a server that said "later" makes the next request wait
    )
    options: dict[str, Any] = {"tools": [TOOL]} if history[0]["content"] == "weather" else {}
    async with client:
        if not stream:
            return await client.complete(history, **options)
        async with client.stream(history, **options) as answer:
            return await answer.message()


def question(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@modes
@formats
async def test_text(port: int, row: Format, stream: bool) -> None:  # noqa: FBT001
    message = await ask(port, row, question("text"), stream=stream)
    assert (message.text, message.finish_reason) == (TEXT, FinishReason.STOP)
    assert message.usage is not None


@modes
@formats
async def test_tools_and_their_results(port: int, row: Format, stream: bool) -> None:  # noqa: FBT001
    history = question("weather")
    message = await ask(port, row, history, stream=stream)
    assert [call.input for call in message.tool_calls] == CITIES
    assert message.finish_reason is FinishReason.TOOL_CALLS
    results = [ToolResult(call.id, "sunny") for call in message.tool_calls]
    history += [message, Message("tool", [*results])]
    assert (await ask(port, row, history, stream=stream)).text == "It is sunny."


@modes
@formats
async def test_reasoning(port: int, row: Format, stream: bool) -> None:  # noqa: FBT001
    message = await ask(port, row, question("think"), stream=stream)
    if row.name == "cohere-v2":  # it has it stand in the text
        assert message.text == "Hm, thinkingYes."
    elif row.name in ("ollama-native", "gemini-interactions"):  # it leaves it out
        assert (message.reasoning, message.text) == ("", "Yes.")
    else:
        assert (message.reasoning, message.text) == ("Hm, thinking", "Yes.")


@modes
@formats
@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ("limit", {"rate_limit"}),
        ("busy", {"overloaded"}),
        ("cut", {"connection", "truncated"}),
    ],
)
async def test_failures(port: int, row: Format, stream: bool, asked: str, kinds: set[str]) -> None:  # noqa: FBT001
    with pytest.raises(LLMError) as failed:
        await ask(port, row, question(asked), stream=stream)
    assert failed.value.info.kind in kinds
