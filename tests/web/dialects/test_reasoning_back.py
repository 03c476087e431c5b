"""Reasoning goes back to the provider that signed it: through our gateway, asked by our own client, twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream import LLMClient, Message, TextPart
from llmstream.messages import ReasoningPart
from llmstream.web import create_app
from llmstream.wire.formats import FORMATS, format_of
from tests.loopback import Handler, Loopback, Reply, Request, answer
from tests.web.serving import serving

CLIENTS = ("openai", "openai-responses")
SIGNING = [
    row.provider for row in FORMATS.values() if row.name not in ("ollama-native", "cohere-v2")
]
"""Providers that sign their reasoning."""
HI = Message("user", [TextPart("hi")])


def chunks(*deltas: dict[str, Any]) -> Handler:
    """An answer in the words of chat completions."""
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"})

    async def handler(_request: Request, reply: Reply) -> None:
        await reply.head()
        for choice in choices:
            frame = json.dumps({"id": "c", "model": "m", "choices": [choice]})
            await reply.send(f"data: {frame}\n\n".encode())
        await reply.send(b"data: [DONE]\n\n")
        await reply.end()

    return handler


async def sent_back(client: str, upstream: str, first: Handler, *, stream: bool) -> Any:
    """The assistant's message as the provider gets it back, after our client has asked our gateway twice."""
    async with Loopback(first, answer(format_of(upstream).name)) as server:
        behind = LLMClient(f"{upstream}:m", api_key="k", base_url=server.url(upstream))
        async with behind, serving(create_app(behind, models={"m": f"{upstream}:m"})) as port:
            url = f"http://127.0.0.1:{port}{format_of(client).base_path}"
            async with LLMClient(f"{client}:m", api_key="k", base_url=url) as asking:
                if stream:
                    async with asking.stream([HI]) as events:
                        said = await events.message()
                else:
                    said = await asking.complete([HI])
                await asking.complete([HI, said, HI])
        body = server.requests[1].body
    turns = next(body[name] for name in ("input", "messages", "contents") if name in body)
    return turns[1:-1]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("upstream", SIGNING)
@pytest.mark.parametrize("client", CLIENTS)
async def test_what_a_provider_signed_comes_back_to_it(client, upstream, stream):
    format = format_of(upstream).name
    thought = ReasoningPart("Hm.", "c2lnbmVk", id="rs_1", format=format)
    script = answer(format, thought, "Yes.")
    back = json.dumps(await sent_back(client, upstream, script, stream=stream))
    assert back.count("c2lnbmVk") == 1
    assert back.count("Hm.") == 1


SUMMARY = {"type": "reasoning.summary", "summary": "Hm.", "format": "f", "index": 0}
SIGNED = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "ZW5j", "id": "r", "index": 1}
UNKNOWN = {"type": "reasoning.new", "words": ["x"], "index": 2}
BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "ZW5j"}
OF_CHAT: dict[str, list[dict[str, Any]]] = {
    "nobody signed": [{"reasoning_details": [SUMMARY]}],
    "signed and encrypted": [
        {"reasoning": "Hm.", "reasoning_details": [SIGNED]},
        {"reasoning_details": [ENCRYPTED]},
    ],
    "a type nobody knows": [{"reasoning_details": [SIGNED]}, {"reasoning_details": [UNKNOWN]}],
    "two that are signed, both without a number": [
        {"reasoning_details": [{"type": "reasoning.text", "text": "A", "signature": "YQ=="}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "B", "signature": "Yg=="}]},
    ],
    "LiteLLM's": [{"reasoning_content": "Hm.", "thinking_blocks": [BLOCK, HIDDEN]}],
    "Copilot's": [{"reasoning_text": "Hm."}, {"reasoning_opaque": "b3Bh"}],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("deltas", OF_CHAT.values(), ids=list(OF_CHAT))
@pytest.mark.parametrize("client", CLIENTS)
async def test_what_chat_hosts_want_back_comes_back_as_it_was(client, deltas, stream):
    (back,) = await sent_back(client, "openai", chunks(*deltas), stream=stream)
    told: dict[str, Any] = {}
    for delta in deltas:
        for name in delta.keys() & {"reasoning_details", "thinking_blocks"}:
            told[name] = [*told.get(name, ()), *delta[name]]
        if "reasoning_opaque" in delta:
            told["reasoning_opaque"] = delta["reasoning_opaque"]
    assert back == {"role": "assistant", "content": "Yes.", **told}
