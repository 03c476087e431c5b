"""Claude at Amazon and Google through the SDK's own client classes: what it wraps is unwrapped, and whole."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy
from llmstream.messages import ReasoningPart, ToolCall, Usage
from llmstream.wire.formats import find_format
from llmstream.wire.framing.event_stream import ChunkStream
from tests.loopback import CutError, Handler, Loopback, Reply, Request, answer, pieces

QUESTION = [{"role": "user", "content": "hi"}]
ONCE = RetryPolicy(max_attempts=1)
CALL = ToolCall("toolu_1", "weather", '{"city": "Zürich"}')
SCRIPT = (ReasoningPart("Hm.", "c2ln"), "Grüße 🙂", CALL, Usage(7, 3))
AMAZON = ChunkStream()
SSE = find_format("anthropic-messages").framing


def chunks(*script: Any) -> list[bytes]:
    """The events of Messages, each in a message of Amazon's."""
    events = SSE.split(b"".join(pieces("anthropic-messages", *script)))
    return [AMAZON.frame(SSE.unframe(event)) for event in events]


def playing(*messages: bytes, cut: bool = False) -> Handler:
    async def handler(request: Request, reply: Reply) -> None:
        await reply.head(content_type=AMAZON.content_type)
        for message in messages:
            await reply.send(message[:9])
            await reply.send(message[9:])
        if cut:
            raise CutError
        await reply.end()

    return handler


async def asked(handler: Handler, **options: Any) -> tuple[Any, Request]:
    """The last event of a call through the SDK's client for Bedrock, and what it sent."""
    import anthropic

    made = {"aws_region": "eu-west-1", "api_key": "bedrock-key-1", **options}
    async with (
        Loopback(handler) as server,
        anthropic.AsyncAnthropicBedrock(base_url=server.url("anthropic"), **made) as sdk,
    ):
        client = LLMClient("anthropic:anthropic.claude-x-v1:0", sdk_client=sdk, retry=ONCE)
        events = [event async for event in client.chat_completion(QUESTION)]
        return events[-1], server.requests[0]


async def test_claude_at_amazon_is_read() -> None:
    last, request = await asked(playing(*chunks(*SCRIPT)))
    assert request.path.endswith("/invoke-with-response-stream")
    assert request.headers["authorization"] == "Bearer bedrock-key-1"
    assert last.type is EventType.MESSAGE_COMPLETE
    message = last.message
    assert (message.text, message.reasoning) == ("Grüße 🙂", "Hm.")
    assert message.parts[0].signature == "c2ln"
    assert [(call.id, call.input) for call in message.tool_calls] == [
        ("toolu_1", {"city": "Zürich"})
    ]
    assert (last.usage.input_tokens, last.usage.output_tokens) == (7, 3)


async def test_a_cut_answer_is_truncated() -> None:
    messages = chunks("one two three")
    last, _ = await asked(playing(*messages[:-1]))
    assert last.error_info.kind == "truncated"
    last, _ = await asked(playing(*messages[:4], cut=True))
    assert last.error_info.kind == "truncated"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("throttlingException", "rate_limit"), ("modelStreamErrorException", "server")],
)
async def test_an_exception_of_amazons_ends_the_answer(name: str, kind: str) -> None:
    failure = AMAZON.exception(b'{"message":"sorry"}', name)
    last, _ = await asked(playing(*chunks("one two three")[:4], failure))
    assert (last.error_info.kind, last.error_info.code) == (kind, name)
    assert last.error_info.partial.text.startswith("one")


async def test_a_chunk_that_isnt_base64_is_a_protocol_error() -> None:
    broken = AMAZON.reframe(chunks("one")[0], b'{"bytes":"***"}')
    last, _ = await asked(playing(*chunks("one two")[:3], broken))
    assert last.error_info.kind == "protocol"


async def test_claude_at_google_comes_as_server_sent_events() -> None:
    import anthropic

    options: Any = {"region": "eu", "project_id": "p", "access_token": "google-token-1"}
    async with (
        Loopback(answer("anthropic-messages", *SCRIPT)) as server,
        anthropic.AsyncAnthropicVertex(base_url=server.url("anthropic"), **options) as sdk,
    ):
        client = LLMClient("anthropic:claude-x", sdk_client=sdk, retry=ONCE)
        message = await client.complete(QUESTION)
        request = server.requests[0]
    assert message.text == "Grüße 🙂"
    assert request.path.endswith("models/claude-x:streamRawPredict")
    assert request.headers["authorization"] == "Bearer google-token-1"
