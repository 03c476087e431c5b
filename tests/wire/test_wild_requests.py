"""What people reported of requests, over each transport: the body that a server gets is one it takes."""

from __future__ import annotations

import pytest

from llmstream import EventType, LLMClient
from llmstream.messages import ReasoningPart, ToolCall
from llmstream.providers.config import TRANSPORTS
from llmstream.tools import run_tools
from tests.loopback import APIS, Loopback, answer
from tests.wire.vendor_rules import findings
from tests.wire.wild.request_cases import CASES, RequestCase


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reference)
async def test_the_server_gets_what_it_takes(case: RequestCase, transport: str) -> None:
    provider = case.model.partition(":")[0]
    format = APIS.get(provider, "openai-chat")
    async with (
        Loopback(answer(format)) as server,
        LLMClient(
            case.model,
            api_key="k",
            base_url=server.url(provider),
            transport=transport,
            allow_insecure_http=True,
        ) as client,
    ):
        events = [event async for event in client.chat_completion(case.messages, **case.options)]
        assert events[-1].type == EventType.MESSAGE_COMPLETE
        start = events[0].start
        assert start is not None
        assert bool(start.warnings) is case.warned, start.warnings
        (request,) = server.requests
        assert case.holds(request.body), request.body
        assert findings(request.body, format, provider) == []


async def test_the_reasoning_that_led_to_a_call_goes_back_with_it() -> None:
    """crush#2696, kimi-cli#2141."""

    def get(a: int) -> str:
        return str(42 * a)

    call = ToolCall("a", "get", '{"a":1}', {"a": 1})
    first = answer("openai-chat", ReasoningPart("I need it."), call)
    async with (
        Loopback(first, answer("openai-chat")) as server,
        LLMClient(
            "deepseek:deepseek-v4-flash",
            api_key="k",
            base_url=server.url("deepseek"),
            allow_insecure_http=True,
        ) as client,
    ):
        asked = run_tools(client, [{"role": "user", "content": "hi"}], [get])
        assert [event async for event in asked][-1].type == EventType.MESSAGE_COMPLETE
        _, second = server.requests
        assert second.body["messages"][1]["reasoning_content"] == "I need it."
        assert second.body["messages"][2]["content"] == "42"
