"""The router of an app that was given none: everything goes to one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from llmstream.client import LLMClient
from llmstream.events.types import StreamEvent
from llmstream.router import Dispatcher, RouterWithDispatcher, Routes


class _Anything(Routes):
    """The only route."""

    ANSWER = "answer", "Anything"
    NOT_DEFINED = "not_defined"


def catch_all_router(
    client: LLMClient, model: str | None, max_tokens: int | None
) -> RouterWithDispatcher[Any]:
    """A router that has `model` answer every request with at most `max_tokens`."""
    dispatcher = Dispatcher(_Anything)

    async def always(_: str) -> _Anything:
        return _Anything.ANSWER

    @dispatcher.handler(_Anything.ANSWER)
    def answer(text: str) -> AsyncGenerator[StreamEvent, None]:
        messages = [{"role": "user", "content": text}]
        return client.chat_completion(messages, model=model, max_tokens=max_tokens)

    return RouterWithDispatcher(_Anything, [always], dispatcher)
