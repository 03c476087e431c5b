"""How the peers are asked, over chat completions; see `adapters.py`. Each keeps its client, where it has one."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any

Take = Callable[[Any], object]
Messages = list[dict[str, str]]
Ask = Callable[[str, Messages, Take], Awaitable[None]]
KEY = "sk-benchmark"


async def any_llm(root: str) -> Ask:
    from any_llm import AnyLLM

    client = AnyLLM.create("openai", api_key=KEY, api_base=f"{root}/v1")

    async def ask(model: str, messages: Any, take: Take) -> None:
        async for chunk in await client.acompletion(model, messages, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                take(chunk.choices[0].delta.content)

    return ask


async def litellm(root: str) -> Ask:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches one at its import
    import litellm

    async def ask(model: str, messages: Messages, take: Take) -> None:
        stream = await litellm.acompletion(
            model=f"openai/{model}",
            messages=messages,
            api_base=f"{root}/v1",
            api_key=KEY,
            stream=True,
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                take(chunk.choices[0].delta.content)

    return ask


async def langchain(root: str) -> Ask:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="m", api_key=KEY, base_url=f"{root}/v1")

    async def ask(model: str, messages: Messages, take: Take) -> None:
        async for chunk in chat.astream(messages, model=model):
            if chunk.content:
                take(chunk.content)

    return ask


async def mirascope(root: str) -> Ask:
    from mirascope import llm

    llm.register_provider("openai", api_key=KEY, base_url=f"{root}/v1")

    @functools.cache
    def conversation(count: int, text: str, last: str) -> list[Any]:
        """Its own form, as its users keep it."""
        said = [
            llm.messages.assistant(text, model_id=None, provider_id=None),
            llm.messages.user(text),
        ]
        return [*(said[(i + 1) % 2] for i in range(count - 1)), llm.messages.user(last)]

    async def ask(model: str, messages: Messages, take: Take) -> None:
        sent = conversation(len(messages), messages[0]["content"], messages[-1]["content"])
        response = await llm.model(f"openai/{model}:completions").stream_async(sent)
        async for chunk in response.chunk_stream():
            if chunk.type == "text_chunk":
                take(chunk.delta)

    return ask


async def pydantic_ai(root: str) -> Ask:
    from pydantic_ai import (
        ModelRequest,
        ModelResponse,
        PartDeltaEvent,
        PartStartEvent,
        TextPart,
        TextPartDelta,
    )
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(api_key=KEY, base_url=f"{root}/v1")

    @functools.cache
    def conversation(count: int, text: str, last: str) -> list[Any]:
        """Its own form, as its users keep it."""
        said = [ModelRequest.user_text_prompt(text), ModelResponse([TextPart(text)])]
        return [*(said[i % 2] for i in range(count - 1)), ModelRequest.user_text_prompt(last)]

    @functools.cache
    def named(model: str) -> OpenAIChatModel:
        return OpenAIChatModel(model, provider=provider)

    async def ask(model: str, messages: Messages, take: Take) -> None:
        sent = conversation(len(messages), messages[0]["content"], messages[-1]["content"])
        async with model_request_stream(named(model), sent) as stream:
            async for event in stream:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    take(event.part.content)
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    take(event.delta.content_delta)

    return ask
