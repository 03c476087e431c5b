"""Every dialect of the gateway before every format: what a client asks, and what the provider behind it gets and says.

    python tests/web/dialects/grid.py    # writes the table of docs/serving.md

`Speaker` is a client of one dialect that keeps its own history, in its own words. The three formats of providers are
spoken by LLMClient itself: the gateway is a provider for it. The SDKs' own clients are in the other tests here.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from llmstream import LLMClient, RetryPolicy
from llmstream.errors import LLMError
from llmstream.messages import ImagePart, Message, ReasoningPart, TextPart, ToolResult
from llmstream.wire.formats import FORMATS, format_of
from tests.web.serving import Client

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
FEATURES = {
    "text": "text",
    "tools": "two calls at once, and their results",
    "reasoning": "reasoning",
    "signed": "what a provider signed of its reasoning, sent back",
    "image": "an image",
    "schema": "structured output",
    "usage": "usage",
    "error": "errors, before and in the answer",
    "abort": "a client that leaves",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL: dict[str, Any] = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@dataclass
class Answer:
    """What a client made of an answer."""

    text: str = ""
    calls: dict[str, Any] = field(default_factory=dict)
    """Inputs by their call's id."""
    reasoning: str = ""
    usage: tuple[int | None, int | None] = (None, None)
    failed: str | None = None
    """The kind of the error that ended it."""


class Speaker(ABC):
    """A client of one dialect, with a history."""

    name: str
    lacks: frozenset[str] = frozenset()
    """Features that its clients have no words for."""
    whole = False
    """Whether an answer may come as one document."""

    @abstractmethod
    def user(self, text: str, *, image: bool = False) -> None:
        """Add a turn of the user's."""

    @abstractmethod
    def results(self, texts: dict[str, str]) -> None:
        """Add the results of the last answer's calls."""

    @abstractmethod
    async def ask(
        self,
        port: int,
        model: str,
        *,
        tools: bool = False,
        schema: bool = False,
        stream: bool = True,
    ) -> Answer:
        """Ask, and add the answer to the history."""

    @abstractmethod
    async def leave(self, port: int, model: str) -> None:
        """Ask, and leave after the first piece."""


class WireSpeaker(Speaker):
    """A client in the words of a provider's format."""

    whole = True

    def __init__(self, provider: str, lacks: frozenset[str] = frozenset()) -> None:
        self.name = provider
        self.lacks = lacks
        self._history: list[Message] = []

    def user(self, text: str, *, image: bool = False) -> None:
        picture = [ImagePart(data=PNG, media_type="image/png")] if image else []
        self._history.append(Message("user", [TextPart(text), *picture]))

    def results(self, texts: dict[str, str]) -> None:
        self._history.append(Message("tool", [ToolResult(id, text) for id, text in texts.items()]))

    def _client(self, port: int, model: str) -> LLMClient:
        url = f"http://127.0.0.1:{port}{format_of(self.name).base_path}"
        retry = RetryPolicy(max_attempts=1)
        return LLMClient(f"{self.name}:{model}", api_key="k", base_url=url, retry=retry)

    async def ask(
        self,
        port: int,
        model: str,
        *,
        tools: bool = False,
        schema: bool = False,
        stream: bool = True,
    ) -> Answer:
        options: dict[str, Any] = {"tools": [TOOL]} if tools else {}
        if schema:
            options["response_format"] = {"type": "json_schema", "schema": SCHEMA}
        async with self._client(port, model) as client:
            try:
                if stream:
                    async with client.stream(self._history, **options) as answer:
                        message = await answer.message()
                else:
                    message = await client.complete(self._history, **options)
            except LLMError as problem:
                return Answer(failed=problem.info.kind)
        self._history.append(message)
        usage = message.usage
        return Answer(
            message.text,
            {call.id: call.input for call in message.tool_calls},
            "".join(part.text for part in message.parts if isinstance(part, ReasoningPart)),
            (None, None) if usage is None else (usage.input_tokens, usage.output_tokens),
        )

    async def leave(self, port: int, model: str) -> None:
        async with self._client(port, model) as client, client.stream(self._history) as answer:
            async for event in answer:
                if event.text:
                    break


class UiSpeaker(Speaker):
    """A UI's client: JSON frames over SSE, read as its protocol says."""

    path: str
    lacks = frozenset({"schema"})

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []

    @abstractmethod
    def body(self, model: str, *, tools: bool) -> dict[str, Any]:
        """The request."""

    @abstractmethod
    def read(self, frames: list[dict[str, Any]]) -> Answer:
        """What the frames mean; the history gets the answer."""

    @abstractmethod
    def is_text(self, frame: dict[str, Any]) -> bool:
        """Whether a frame brings text."""

    async def _open(self, port: int, model: str, *, tools: bool = False) -> Client:
        body = json.dumps(self.body(model, tools=tools)).encode()
        client = await Client.ask(
            port,
            self.path,
            "POST",
            body,
            content_type="application/json",
            accept="text/event-stream",
        )
        await client.head()
        return client

    async def ask(
        self,
        port: int,
        model: str,
        *,
        tools: bool = False,
        schema: bool = False,
        stream: bool = True,
    ) -> Answer:
        client = await self._open(port, model, tools=tools)
        body = await client.body()
        client.leave()
        if client.status != 200:
            told = json.loads(body)
            return Answer(failed=told["code"])
        return self.read(_frames(body))

    async def leave(self, port: int, model: str) -> None:
        client = await self._open(port, model)
        seen = b""
        while not any(map(self.is_text, _frames(seen))):
            seen += await client.chunk()
        client.leave()


class AiSdkSpeaker(UiSpeaker):
    """What `useChat` posts and keeps."""

    name = "AI SDK"
    path = "/api/chat"

    def user(self, text: str, *, image: bool = False) -> None:
        file = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
        parts = [{"type": "text", "text": text}, *([file] if image else [])]
        self.history.append({"id": uuid4().hex, "role": "user", "parts": parts})

    def results(self, texts: dict[str, str]) -> None:
        for part in self.history[-1]["parts"]:
            if part.get("toolCallId") in texts:
                part |= {"state": "output-available", "output": texts[part["toolCallId"]]}

    def body(self, model: str, *, tools: bool) -> dict[str, Any]:
        named = {"weather": {"parameters": TOOL["parameters"]}} if tools else {}
        return {"id": "chat", "messages": self.history, "model": model, "tools": named}

    def is_text(self, frame: dict[str, Any]) -> bool:
        return frame["type"] == "text-delta"

    def read(self, frames: list[dict[str, Any]]) -> Answer:
        answer = Answer()
        parts: list[dict[str, Any]] = []
        opened: dict[str, dict[str, Any]] = {}
        for frame in frames:
            kind = frame["type"]
            if kind == "start-step":
                parts.append({"type": "step-start"})
            elif kind in ("text-start", "reasoning-start"):
                opened[frame["id"]] = {"type": kind.removesuffix("-start"), "text": ""}
                parts.append(opened[frame["id"]])
            elif kind in ("text-delta", "reasoning-delta"):
                opened[frame["id"]]["text"] += frame["delta"]
            elif kind in ("text-end", "reasoning-end"):
                told = {name: frame[name] for name in frame if name == "providerMetadata"}
                opened[frame["id"]] |= told
            elif kind == "tool-input-available":
                answer.calls[frame["toolCallId"]] = frame["input"]
                kept = {"type": f"tool-{frame['toolName']}", "toolCallId": frame["toolCallId"]}
                metadata = frame.get("providerMetadata")
                kept |= {"callProviderMetadata": metadata} if metadata else {}
                parts.append({**kept, "input": frame["input"], "state": "input-available"})
            elif kind == "error":
                answer.failed = frame["errorText"]
            usage = (frame.get("messageMetadata") or {}).get("usage")
            if usage:
                answer.usage = usage.get("inputTokens"), usage.get("outputTokens")
        answer.text = "".join(part["text"] for part in parts if part["type"] == "text")
        answer.reasoning = "".join(part["text"] for part in parts if part["type"] == "reasoning")
        self.history.append({"id": uuid4().hex, "role": "assistant", "parts": parts})
        return answer


class AgUiSpeaker(UiSpeaker):
    """What AG-UI's `HttpAgent` posts and keeps."""

    name = "AG-UI"
    path = "/agui"

    def user(self, text: str, *, image: bool = False) -> None:
        picture = {
            "type": "image",
            "source": {"type": "data", "value": PNG, "mimeType": "image/png"},
        }
        content = [{"type": "text", "text": text}, *([picture] if image else [])]
        self.history.append({"id": uuid4().hex, "role": "user", "content": content})

    def results(self, texts: dict[str, str]) -> None:
        for id, text in texts.items():
            named = {"id": uuid4().hex, "role": "tool", "toolCallId": id}
            self.history.append({**named, "content": text})

    def body(self, model: str, *, tools: bool) -> dict[str, Any]:
        return {
            "threadId": "t",
            "runId": uuid4().hex,
            "state": {},
            "messages": self.history,
            "tools": [{"description": "", **TOOL}] if tools else [],
            "context": [],
            "forwardedProps": {"model": model},
        }

    def is_text(self, frame: dict[str, Any]) -> bool:
        return frame["type"] == "TEXT_MESSAGE_CONTENT"

    def read(self, frames: list[dict[str, Any]]) -> Answer:
        answer = Answer()
        kept: dict[str, dict[str, Any]] = {}
        calls: dict[str, dict[str, Any]] = {}
        for frame in frames:
            kind = frame["type"]
            if kind in ("REASONING_MESSAGE_START", "TEXT_MESSAGE_START"):
                id, role = frame["messageId"], frame["role"]
                kept[id] = {"id": id, "role": role, "content": ""}
            elif kind in ("REASONING_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT"):
                kept[frame["messageId"]]["content"] += frame["delta"]
            elif kind == "TOOL_CALL_START":
                parent = frame["parentMessageId"]
                message = kept.setdefault(
                    parent, {"id": parent, "role": "assistant", "content": ""}
                )
                function = {"name": frame["toolCallName"], "arguments": ""}
                call = {"id": frame["toolCallId"], "type": "function", "function": function}
                message.setdefault("toolCalls", []).append(call)
                calls[call["id"]] = call
            elif kind == "TOOL_CALL_ARGS":
                calls[frame["toolCallId"]]["function"]["arguments"] += frame["delta"]
            elif kind == "REASONING_ENCRYPTED_VALUE":
                holder = kept if frame["subtype"] == "message" else calls
                holder[frame["entityId"]]["encryptedValue"] = frame["encryptedValue"]
            elif kind == "RUN_ERROR":
                answer.failed = frame["code"]
            for usage in frame.get("usage", ()):
                answer.usage = usage.get("inputTokens"), usage.get("outputTokens")
        self.history += kept.values()
        answer.calls = {id: json.loads(call["function"]["arguments"]) for id, call in calls.items()}
        said = {"reasoning": "", "assistant": ""}
        for message in kept.values():
            said[message["role"]] += message["content"]
        answer.text, answer.reasoning = said["assistant"], said["reasoning"]
        return answer


def _frames(body: bytes) -> list[dict[str, Any]]:
    """The whole frames that have come."""
    lines = body.decode(errors="ignore").split("\n\n")[:-1]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


SPEAKERS: dict[str, Callable[[], Speaker]] = {
    "chat completions": lambda: WireSpeaker("openai"),
    "Responses": lambda: WireSpeaker("openai-responses"),
    "Messages": lambda: WireSpeaker("anthropic"),
    "Gemini": lambda: WireSpeaker("gemini"),
    "Ollama": lambda: WireSpeaker("ollama", frozenset({"signed"})),
    "AI SDK": AiSdkSpeaker,
    "AG-UI": AgUiSpeaker,
}


def table() -> str:
    """What works, dialect by feature; each of them before every format."""
    formats = ", ".join(f"`{name}`" for name in FORMATS)
    head = f"| before each of {formats} | " + " | ".join(SPEAKERS) + " |"
    lines = [head, "|---|" + "---|" * len(SPEAKERS)]
    made = [make() for make in SPEAKERS.values()]
    for feature, title in FEATURES.items():
        cells = ["no words for it" if feature in speaker.lacks else "yes" for speaker in made]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


BEGIN, END = "<!-- made by tests/web/dialects/grid.py -->", "<!-- end -->"


def written(page: str) -> str:
    """The page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
