"""`POST /api/chat`: the AI SDK's default path, and Ollama's only one. The body says whose a request is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstream.checks import as_object, require, sequence_of
from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.web.dialects.ai_sdk import AiSdk
from llmstream.web.dialects.base import Answer, Ask, Dialect
from llmstream.web.dialects.ollama import OllamaChat
from llmstream.web.dialects.request_checks import object_of

_NEITHER = (
    "whose request is it? Give messages with parts (the AI SDK), or a model and messages with role "
    "and content (Ollama); /ai/chat and /ollama/api/chat take one kind each"
)
_OF_OLLAMA = frozenset({"content", "images", "thinking", "tool_calls"})


@dataclass
class SharedChat:
    """Both dialects at one path. `Ask.dialect` says which of them answers.

    What is wrong before that is known is told in words that the clients of both show.
    """

    ai_sdk: Dialect = field(default_factory=AiSdk)
    ollama: Dialect = field(default_factory=OllamaChat)
    format: str | None = None
    path: str = "/api/chat"
    aliases: tuple[str, ...] = ()
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_alive: bytes = b""

    def parse(self, body: Any) -> Ask:
        """Read a request's JSON body. Raises ValueError or TypeError that name the place."""
        dialect = self._speaker(object_of(body))
        ask = dialect.parse(body)
        ask.dialect = dialect
        return ask

    def encoder(self, ask: Ask) -> Answer:
        """The encoder of one streamed answer."""
        return (ask.dialect or self.ai_sdk).encoder(ask)

    def document(self, ask: Ask, event: StreamEvent) -> Any:
        """The whole answer (a MESSAGE_COMPLETE) as one JSON document. Raises TypeError for the AI SDK."""
        return (ask.dialect or self.ai_sdk).document(ask, event)

    def error(self, info: ErrorInfo, request_id: str) -> Any:
        """The body of an HTTP error. Clients of both show its `error`."""
        return self.ai_sdk.error(info, request_id)

    def _speaker(self, body: Mapping[str, Any]) -> Dialect:
        given = [*map(as_object, sequence_of(body.get("messages") or (), "messages"))]
        is_empty_chat = not given and "id" in body  # only the AI SDK names its chats
        if is_empty_chat or any("parts" in message for message in given):
            return self.ai_sdk
        is_talk = any("role" in message and message.keys() & _OF_OLLAMA for message in given)
        is_ollama = "model" in body and (is_talk or not given)
        require(is_ollama, _NEITHER)
        return self.ollama


RESUMED = (AiSdk.path, SharedChat.path)
"""Below these the AI SDK asks for an answer to go on with."""
