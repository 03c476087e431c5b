"""`llmstream serve` as a program of its own, before a FaultServer: the model that a client names is the scenario."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from llmstream import ErrorInfo, Usage
from llmstream.messages import FinishReason, ReasoningPart, ToolCall
from llmstream.providers.simulator_script import ScriptItem
from llmstream.testing import FaultServer, Reply
from tests.patience import PATIENCE
from tests.web.dialects.node import node

TEXT = "Hello, wörld\u2028 \r\n\n🙂"
CALLS = [
    ToolCall(f"call-{city}", "weather", f'{{"city":"{city}"}}', {"city": city})
    for city in ("Paris", "Rome")
]
SCENARIOS: dict[str, Sequence[ScriptItem]] = {
    "text": [TEXT, Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2)],
    "tools": ["Let me look.", *CALLS],
    "one-call": [CALLS[0]],
    "reasoning": [ReasoningPart("Hm, thinking", "c2ln"), "Yes."],
    "length": ["Half", FinishReason.LENGTH],
    "json": ['{"city": ', '"Paris"}', Usage(input_tokens=7, output_tokens=3)],
    "empty-answer": [],
    "midway": ["Half an ", ErrorInfo("overloaded", "secret capacity")],
}
AGENT: list[Sequence[ScriptItem]] = [
    ["Let me do that.", ToolCall("call-1", "exec_command", '{"cmd":"echo it ran > proof.txt"}')],
    ["It is done.", Usage(input_tokens=30, output_tokens=4)],
]
"""The answers to an agent, one after the other: a command to run, and the end."""
MODELS = [*SCENARIOS, "refused", "stall", "after", "agent"]


@dataclass
class Upstream:
    """The provider that the served program asks. "after" answers once the client of "stall" has left."""

    provider: str
    """Its name, such as "openai" or "gemini"."""
    agent: list[Sequence[ScriptItem]] = field(default_factory=lambda: AGENT)
    server: FaultServer = field(init=False)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.server = FaultServer(self._play)

    async def _play(self, reply: Reply) -> None:
        assert reply.request is not None
        scenario = reply.request.model
        if scenario == "refused":
            await reply.whole(
                429, reply.error_body("rate_limit_error", "secret limit"), {"retry-after": "0"}
            )
        elif scenario == "stall":
            self.left.clear()
            await reply.head()
            await reply.send(b"".join(reply.script("Half an ")[:-2]))
            try:
                await reply.hang()
            finally:
                self.left.set()
        elif scenario == "after":
            async with asyncio.timeout(PATIENCE):
                await self.left.wait()
            await reply.stream(*reply.script("After."))
        elif scenario == "agent":
            step = (len(self.bodies(scenario)) - 1) % len(self.agent)
            await reply.stream(*reply.script(*self.agent[step]))
        else:
            await reply.stream(*reply.script(*SCENARIOS[scenario]))

    def bodies(self, scenario: str) -> list[dict[str, Any]]:
        """What was asked of this model."""
        return [request.body for request in self.server.requests if request.model == scenario]


@dataclass
class Served:
    """The running program."""

    url: str
    upstream: Upstream

    @property
    def provider(self) -> str:
        return self.upstream.provider

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def model(self, scenario: str) -> str:
        return f"{self.provider}:{scenario}"

    async def play(self, script: str, *scenarios: str, **environment: str) -> dict[str, Any]:
        """What a client written in JavaScript saw."""
        provider = f"{self.provider}:"
        return json.loads(
            await node(script, self.url, *scenarios, PROVIDER=provider, **environment)
        )


@asynccontextmanager
async def served(
    provider: str = "openai", agent: list[Sequence[ScriptItem]] = AGENT, **environment: str
) -> AsyncIterator[Served]:
    upstream = Upstream(provider, agent)
    async with upstream.server as server:
        options = ["--model", f"{provider}:text", "--base-url", server.url(provider), "--port", "0"]
        for scenario in MODELS:
            options += ["--allow-model", f"{provider}:{scenario}"]
        vendors = ("OPENAI", "ANTHROPIC", "GEMINI", "COHERE")
        keys = {f"{vendor}_API_KEY": "k" for vendor in vendors}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "llmstream", "serve", *options),
            env={**os.environ, **keys, **environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            line = await asyncio.wait_for(process.stderr.readline(), 30)
            found = re.search(rb"http://127\.0\.0\.1:\d+", line)
            assert found, line
            yield Served(found[0].decode(), upstream)
        finally:
            process.terminate()
            await process.wait()
