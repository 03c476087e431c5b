"""How each library is asked: its own recommended async streaming loop, with its default settings.

An adapter opens a client once and gives a function `ask(model, messages, take)` that streams one answer and hands each
piece of its text to `take` (of its bytes, for the raw transports). Imports are inside, because a peer may be missing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import peers
from peers import KEY, Ask, Messages, Take


@dataclass(frozen=True)
class Adapter:
    """`open(root)` makes the client for a server; `packages` are what it needs, the first one its own."""

    name: str
    api: str
    packages: tuple[str, ...]
    open: Callable[[str], Awaitable[Ask]]
    module: str
    raw: bool = False
    """It hands over the body's bytes, not the text."""


def llmstream(
    provider: str, transport: str, *, observed: bool = False
) -> Callable[[str], Awaitable[Ask]]:
    async def opened(root: str) -> Ask:
        from llmstream import EventType, LLMClient
        from llmstream.observe import LogObserver
        from llmstream.wire.formats import FORMATS

        base_url = root + FORMATS[OURS[provider]].base_path
        observers = [LogObserver(logging.WARNING)] if observed else []
        client = LLMClient(
            f"{provider}:m",
            api_key=KEY,
            base_url=base_url,
            transport=transport,
            observers=observers,
        )

        async def ask(model: str, messages: Messages, take: Take) -> None:
            async for event in client.chat_completion(messages, model=model):
                if event.type == EventType.TEXT_DELTA:
                    take(event.text_delta.content)
                elif event.type == EventType.ERROR:
                    raise RuntimeError(event.error)

        return ask

    return opened


async def raw_httpx2(root: str) -> Ask:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx2.AsyncClient(timeout=None, limits=limits)

    async def ask(model: str, messages: Messages, take: Take) -> None:
        body = {"model": model, "messages": messages, "stream": True}
        async with client.stream("POST", f"{root}/v1/chat/completions", json=body) as response:
            async for data in response.aiter_raw():
                take(data)

    return ask


async def raw_aiohttp(root: str) -> Ask:
    import aiohttp

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()
    )

    async def ask(model: str, messages: Messages, take: Take) -> None:
        body = {"model": model, "messages": messages, "stream": True}
        async with session.post(f"{root}/v1/chat/completions", json=body) as response:
            async for data in response.content.iter_any():
                take(data)

    return ask


async def openai(root: str) -> Ask:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=KEY, base_url=f"{root}/v1")

    async def ask(model: str, messages: Any, take: Take) -> None:
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                take(chunk.choices[0].delta.content)

    return ask


async def openai_aiohttp(root: str) -> Ask:
    from openai import AsyncOpenAI, DefaultAioHttpClient

    client = AsyncOpenAI(api_key=KEY, base_url=f"{root}/v1", http_client=DefaultAioHttpClient())

    async def ask(model: str, messages: Any, take: Take) -> None:
        stream = await client.chat.completions.create(model=model, messages=messages, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                take(chunk.choices[0].delta.content)

    return ask


async def openai_responses(root: str) -> Ask:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=KEY, base_url=f"{root}/v1")

    async def ask(model: str, messages: Any, take: Take) -> None:
        stream = await client.responses.create(model=model, input=messages, stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                take(event.delta)

    return ask


async def anthropic(root: str) -> Ask:
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=KEY, base_url=root)

    async def ask(model: str, messages: Any, take: Take) -> None:
        stream = await client.messages.create(
            model=model, messages=messages, max_tokens=4096, stream=True
        )
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                take(event.delta.text)

    return ask


OURS = {
    "openai": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
    "gemini": "gemini-generate",
    "gemini-interactions": "gemini-interactions",
    "bedrock": "bedrock-converse",
    "ollama": "ollama-native",
    "cohere": "cohere-v2",
}
NATIVE = ("gemini", "gemini-interactions", "bedrock", "ollama", "cohere")
"""Providers that are counted alone: nobody else's client is timed beside them."""


def ours(provider: str, transport: str, *, observed: bool = False) -> Adapter:
    """Our client at this provider."""
    return Adapter(
        f"llmstream-{provider}-{transport}{'-log' if observed else ''}",
        OURS[provider],
        ("llmstream-core", transport, "anthropic" if provider == "anthropic" else "openai"),
        llmstream(provider, transport, observed=observed),
        "llmstream",
    )


PAIRS = [
    (provider, transport)
    for provider in OURS
    if provider not in NATIVE
    for transport in ("httpx2", "aiohttp")
]
ADAPTERS = {
    adapter.name: adapter
    for adapter in (
        *(ours(*pair) for pair in PAIRS),
        Adapter("raw-httpx2", "openai-chat", ("httpx2",), raw_httpx2, "httpx2", raw=True),
        Adapter("raw-aiohttp", "openai-chat", ("aiohttp",), raw_aiohttp, "aiohttp", raw=True),
        Adapter("openai", "openai-chat", ("openai", "httpx2"), openai, "openai"),
        Adapter("openai-aiohttp", "openai-chat", ("openai", "aiohttp"), openai_aiohttp, "openai"),
        Adapter(
            "openai-responses", "openai-responses", ("openai", "httpx2"), openai_responses, "openai"
        ),
        Adapter("anthropic", "anthropic-messages", ("anthropic", "httpx2"), anthropic, "anthropic"),
        Adapter("any-llm", "openai-chat", ("any-llm-sdk", "openai"), peers.any_llm, "any_llm"),
        Adapter(
            "mirascope", "openai-chat", ("mirascope", "openai"), peers.mirascope, "mirascope.llm"
        ),
        Adapter(
            "pydantic-ai",
            "openai-chat",
            ("pydantic-ai-slim", "openai"),
            peers.pydantic_ai,
            "pydantic_ai",
        ),
        Adapter(
            "langchain",
            "openai-chat",
            ("langchain-openai", "openai"),
            peers.langchain,
            "langchain_openai",
        ),
        Adapter("litellm", "openai-chat", ("litellm", "openai"), peers.litellm, "litellm"),
    )
}
OBSERVED = {adapter.name: adapter for adapter in (ours(*pair, observed=True) for pair in PAIRS)}
"""With the log observer, which writes its line. For `instructions.py` alone: it costs too little to be timed."""
COUNTED = {
    adapter.name: adapter
    for adapter in (ours(provider, name) for provider in NATIVE for name in ("httpx2", "aiohttp"))
}
"""Formats that `instructions.py` alone asks for."""
