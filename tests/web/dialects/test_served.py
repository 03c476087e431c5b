"""Every client against a running `llmstream serve`."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anthropic
import openai

from tests.web.dialects.node import node, require_node

MODEL = "simulator:echo"
SAID = "You said: hi"
HI = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    command = (sys.executable, "-m", "llmstream", "serve", "--model", "simulator", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        while True:
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, "the server ended"
            if found := re.search(rb"http://127\.0\.0\.1:\d+", line):
                break
        yield found[0].decode()
    finally:
        process.terminate()
        await process.wait()


async def test_the_python_clients_are_answered() -> None:
    async with served() as url:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as chat:
            answer = await chat.chat.completions.create(model=MODEL, messages=HI)
            assert SAID in (answer.choices[0].message.content or "")
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as messages:
            said = await messages.messages.create(model=MODEL, max_tokens=100, messages=HI)
            assert SAID in said.to_json()


async def test_the_javascript_clients_are_answered() -> None:
    require_node()
    async with served() as url:
        for script, package in (("openai", ""), ("anthropic", ""), ("agui", ""), ("ai", "ai-v6"), ("ai", "ai-v7")):
            seen = json.loads(await node(f"{script}.mjs", url, MODEL, AI=package))[MODEL]
            assert seen["error"] is None
            assert SAID in (seen.get("text") or json.dumps(seen.get("message") or seen.get("messages")))
