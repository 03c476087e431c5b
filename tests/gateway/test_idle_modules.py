"""What a server loads before anybody needs it, and what the first requests bring."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from llmstream.testing import FaultServer
from tests.gateway.programs import Program, program
from tests.web.serving import fetch

NOT_IDLE = {
    "anthropic": "made for `get_client()`",
    "fractions": "checks of JSON schemas",
    "httpx2": "the other transport",
    "llmstream.conversations.client": "the first conversation",
    "llmstream.gateway.config_file": "--config",
    "llmstream.gateway.supervisor": "--workers",
    "llmstream.router": "`/streaming_chat`, or facts of a model in a file",
    "llmstream.streams": "operators",
    "llmstream.structured": "answers of a type",
    "llmstream.tools": "tools that Python runs",
    "llmstream.web.openapi": "`/openapi.json`",
    "openai": "made for `get_client()`",
    "pydantic": "conversations, `/chat` and the OpenAPI document",
    "pydantic_core": "the same",
    "redis": "stores in Redis",
    "sqlite3": "--conversations",
}
"""Modules that an idle server hasn't imported, by what they are for."""
NEEDED = {"aiohttp", "llmstream.web.app", "uvicorn"}
"""Modules that it must have imported: its first request would wait for them."""
CHECK = """
import sys
from llmstream.cli import main
main(["serve", "--check", "--model", "openai:m"])
print(*sys.modules)
"""
BODY = json.dumps({"model": "openai:m", "messages": [{"role": "user", "content": "hi"}]}).encode()


def unasked(modules: set[str]) -> dict[str, str]:
    """The modules among these that nobody asked for."""
    return {name: use for name, use in NOT_IDLE.items() if name in modules}


def test_a_server_that_is_about_to_start_has_loaded_nothing_that_nobody_asked_for() -> None:
    environment = {**os.environ, "OPENAI_API_KEY": "k", "LLMSTREAM_TRANSPORT": "aiohttp"}
    command = [sys.executable, "-c", CHECK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert modules >= NEEDED
    assert unasked(modules) == {}


async def imported(server: Program, marker: str) -> set[str]:
    """The names of all modules so far: the audit's line for the path `marker` follows theirs."""
    await fetch(server.port, marker)
    await server.said(f" path={marker} ")
    return {line.split("'")[1] for line in server.lines if line.startswith("import '")}


@pytest.mark.slow
async def test_an_idle_server_has_loaded_nothing_that_nobody_asked_for() -> None:
    async with FaultServer() as upstream:
        environment = {
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": upstream.url("openai"),
            "LLMSTREAM_TRANSPORT": "aiohttp",
            "PYTHONVERBOSE": "1",  # lines on stderr for each module
        }
        async with program("--model", "openai:m", "--audit", "-", **environment) as server:
            port = server.port
            for path in ("/healthz", "/readyz", "/", "/api/tags"):
                assert (await fetch(port, path))[0] == 200
            assert (await fetch(port, "/v1/chat/completions", "POST", BODY))[0] == 200
            idle = await imported(server, "/api/version")
            assert idle >= NEEDED
            assert unasked(idle) == {}

            first = await asyncio.gather(*(fetch(port, *each) for each in FIRST_USES))
            assert [status for status, *_ in first] == [200, 200, 200, 201, 201]
            used = unasked(await imported(server, "/v1/models"))
            assert used.keys() >= {"pydantic", "llmstream.router", "llmstream.web.openapi"}
            server.send(signal.SIGTERM)
            assert await server.ended() == 0


FIRST_USES = [
    ("/chat", "POST", b'{"prompt": "hi"}'),
    ("/streaming_chat", "POST", b'{"request": "hi"}'),
    ("/openapi.json",),
    ("/api/chat/session", "POST"),
    ("/api/chat/session", "POST"),
]
