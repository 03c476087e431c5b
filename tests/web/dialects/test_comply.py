"""PyPI's `llm-comply` against the app: requests of its own, answers judged by the vendors' published schemas."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import pytest

from llmstream import LLMClient, StreamEvent, Usage
from llmstream.messages import ChatRequest, ReasoningPart, ToolCall
from llmstream.providers import ProviderTraits
from llmstream.providers.provider import Call
from llmstream.providers.simulator_script import ScriptItem
from llmstream.testing import ScriptedProvider
from llmstream.web import create_app
from tests.web.serving import serving

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_comply") is None, reason="llm-comply isn't installed"
    ),
]

CALL = ToolCall("call_1", "get_weather", '{"location":"Paris"}', {"location": "Paris"})
THOUGHT = ReasoningPart("Hm.", "c2ln", format="anthropic-messages")
FORMATS = {"openai-chat": "gpt-5", "open-responses": "gpt-5", "anthropic": "claude-opus-4-1"}
"""What it calls the format, and a model of which it knows that it reasons."""


class Answering:
    """A provider that calls the tool that it is given, and thinks if it is asked to."""

    name = "answering"
    traits: ClassVar = ProviderTraits(default_model="gpt-5")

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        script: list[ScriptItem] = [THOUGHT] if request.reasoning_effort else []
        script += [CALL] if request.tools else ["Hello there, you."]
        async for event in ScriptedProvider([*script, Usage(7, 3, 2, 0, 1)]).stream(request, call):
            yield event

    async def aclose(self) -> None:
        """Nothing is held."""


async def run(format: str, model: str, port: int) -> dict[str, Any]:
    """What it reports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "llm_comply.cli", "--json", "--format", format, "-k", "k", "-m", model),
        *("-u", f"http://127.0.0.1:{port}/v1"),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    report: dict[str, Any] = json.loads(told)
    return report


@pytest.mark.parametrize("format", FORMATS)
async def test_all_that_it_asks_is_answered_as_the_schemas_say(format: str) -> None:
    model = FORMATS[format]
    app = create_app(LLMClient(provider=Answering()), models={model: f"answering:{model}"})
    async with serving(app) as port:
        report = await run(format, model, port)
    wrong = [result for result in report["results"] if result["status"] != "passed"]
    assert report["results"]
    assert wrong == []
