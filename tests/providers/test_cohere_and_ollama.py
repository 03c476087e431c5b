"""Cohere's and Ollama's own APIs end to end: their errors, and what only they have, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent
from llmstream.messages import File, Message, TextPart
from llmstream.providers.config import TRANSPORTS
from tests.loopback import APIS, Loopback, answer, refuse

HI = [{"role": "user", "content": "hi"}]
REFUSED: list[tuple[str, int, dict[str, Any], str]] = [
    # https://github.com/ollama/ollama/blob/main/server/routes.go, docs.ollama.com/cloud
    ("ollama", 404, {"error": "model 'qwen9' not found"}, "not_found"),
    ("ollama", 400, {"error": "model is required"}, "invalid_request"),
    ("ollama", 400, {"error": '"gemma3:1b" does not support tools'}, "invalid_request"),
    ("ollama", 401, {"error": "unauthorized", "signin_url": "https://a"}, "authentication"),
    ("ollama", 429, {"error": "you have reached your weekly usage limit"}, "quota"),
    ("ollama", 500, {"error": "model runner has unexpectedly stopped"}, "server"),
    ("ollama", 502, {"error": "upstream error"}, "server"),
    ("ollama", 503, {"error": "server busy, please try again"}, "overloaded"),
    # docs.cohere.com/reference/errors
    (
        "cohere",
        400,
        {"id": "x", "message": "invalid request: p must be below 1"},
        "invalid_request",
    ),
    ("cohere", 401, {"id": "x", "message": "invalid api token"}, "authentication"),
    ("cohere", 404, {"id": "x", "message": "model 'x' not found"}, "not_found"),
    ("cohere", 422, {"id": "x", "message": "tools[0]: missing name"}, "invalid_request"),
    ("cohere", 429, {"id": "x", "message": "You are using a Trial key"}, "rate_limit"),
    ("cohere", 499, {"id": "x", "message": "request cancelled"}, "invalid_request"),
    ("cohere", 503, {"id": "x", "message": "the service is unavailable"}, "overloaded"),
]


async def ask(server: Loopback, provider: str, **options: Any) -> StreamEvent:
    transport = options.pop("transport", "httpx2")
    messages = options.pop("messages", HI)
    async with LLMClient(
        f"{provider}:m",
        api_key="k",
        base_url=server.url(provider),
        transport=transport,
        retry=RetryPolicy(max_attempts=1),
    ) as client:
        return [event async for event in client.chat_completion(messages, **options)][-1]


@pytest.mark.parametrize(("provider", "status", "body", "kind"), REFUSED)
async def test_a_documented_error_has_its_kind(
    provider: str, status: int, body: dict[str, Any], kind: str
) -> None:
    async with Loopback(refuse(status, body)) as server:
        info = (await ask(server, provider)).error_info
    assert info is not None
    assert (info.kind, info.status_code) == (kind, status)
    assert info.message == body.get("error", body.get("message"))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_document_is_sent_where_cohere_cites_it(transport: str) -> None:
    file = File(name="a.txt", media_type="text/plain", data=b"Cats purr.")
    asked = [Message("user", [file, TextPart("What do cats do?")])]
    async with Loopback(answer("cohere-v2", "They purr.")) as server:
        last = await ask(server, "cohere", messages=asked, transport=transport)
    assert last.type is EventType.MESSAGE_COMPLETE
    assert last.start is not None
    assert last.start.warnings == ()
    data = {"title": "a.txt", "text": "Cats purr."}
    assert server.requests[0].body["documents"] == [{"id": "doc_0", "data": data}]
    assert server.requests[0].path == "/v2/chat"


async def test_own_fields_go_into_the_body() -> None:
    options = {
        "ollama": {"keep_alive": "1h", "options": {"num_ctx": 4096}},
        "cohere": {"safety_mode": "NONE"},
    }
    for provider, wanted in options.items():
        async with Loopback(answer(APIS[provider])) as server:
            await ask(server, provider, provider_options=options, temperature=0.1)
        body = server.requests[0].body
        assert {name: body[name] for name in wanted if name != "options"} == {
            name: value for name, value in wanted.items() if name != "options"
        }
        if provider == "ollama":
            assert body["options"] == {"temperature": 0.1, "num_ctx": 4096}
