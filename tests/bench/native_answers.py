"""Answers of vendors' own formats, as they really come: Gemini counts in each frame, Ollama says the time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llmstream.wire.framing.event_stream import EventStream

_STREAM = EventStream()
PATHS = {
    "gemini-generate": ":streamGenerateContent",
    "gemini-interactions": "/interactions",
    "bedrock-converse": "/converse-stream",
    "ollama-native": "/api/chat",
    "cohere-v2": "/v2/chat",
}
"""How the paths end that they are asked for at."""
CONTENT_TYPES = {
    "bedrock-converse": _STREAM.content_type,
    "ollama-native": "application/x-ndjson",
}
"""Those of formats that aren't server-sent events."""


def _json(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def _gemini(texts: list[str]) -> list[bytes]:
    def frame(text: str, count: int, **more: Any) -> bytes:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, **more, "index": 0}
        usage = {
            "promptTokenCount": 16,
            "candidatesTokenCount": count,
            "totalTokenCount": 16 + count,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 16}],
        }
        head = {"modelVersion": "gemini-3.8-flash", "responseId": "mKIraYG_M7KxvdIPq8fK-Qw"}
        payload = {"candidates": [candidate], "usageMetadata": usage, **head}
        return b"data: " + _json(payload) + b"\r\n\r\n"

    told = [frame(text, place) for place, text in enumerate(texts, 1)]
    return [*told, frame("", len(texts), finishReason="STOP")]


def _interactions(texts: list[str]) -> list[bytes]:
    def event(kind: str, **said: Any) -> bytes:
        return (
            f"event: {kind}\n".encode() + b"data: " + _json({**said, "event_type": kind}) + b"\n\n"
        )

    head = {
        "id": "v1_ChdGUVFJYXBXVUdLVEF4TjhQ",
        "object": "interaction",
        "model": "gemini-3.8-flash",
    }
    usage = {"total_input_tokens": 16, "total_output_tokens": len(texts)}
    return [
        event("interaction.created", interaction={**head, "status": "in_progress"}),
        event("step.start", index=0, step={"type": "model_output"}),
        *(event("step.delta", index=0, delta={"text": text, "type": "text"}) for text in texts),
        event("step.stop", index=0),
        event("interaction.completed", interaction={**head, "status": "completed", "usage": usage}),
        b"event: done\ndata: [DONE]\n\n",
    ]


def _converse(texts: list[str]) -> list[bytes]:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

    def event(name: str, place: int, **said: Any) -> bytes:
        return _STREAM.frame(_json({**said, "p": letters[: 1 + place % len(letters)]}), name)

    usage = {"inputTokens": 16, "outputTokens": len(texts), "totalTokens": 16 + len(texts)}
    return [
        event("messageStart", 3, role="assistant"),
        *(
            event("contentBlockDelta", place, contentBlockIndex=0, delta={"text": text})
            for place, text in enumerate(texts)
        ),
        event("contentBlockStop", 5, contentBlockIndex=0),
        event("messageStop", 7, stopReason="end_turn"),
        event("metadata", 9, usage=usage, metrics={"latencyMs": 812}),
    ]


def _ollama(texts: list[str]) -> list[bytes]:
    def line(text: str, place: int, **more: Any) -> bytes:
        created = f"2026-08-04T19:58:{20 + place // 1000 % 40}.{place % 1000:03}117Z"
        message = {"role": "assistant", "content": text}
        payload = {"model": "qwen3", "created_at": created, "message": message, "done": False}
        return _json(payload | more) + b"\n"

    counts = {"prompt_eval_count": 16, "eval_count": len(texts)}
    end = {"done": True, "done_reason": "stop", "total_duration": 1_200_345_678, **counts}
    told = [line(text, place) for place, text in enumerate(texts)]
    return [*told, line("", len(texts), **end)]


def _cohere(texts: list[str]) -> list[bytes]:
    def event(kind: str, **more: Any) -> bytes:
        return f"event: {kind}\n".encode() + b"data: " + _json({"type": kind, **more}) + b"\n\n"

    def said(**message: Any) -> dict[str, Any]:
        return {"message": message}

    begun = said(role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])
    tokens = {"input_tokens": 16, "output_tokens": len(texts)}
    usage = {"billed_units": tokens, "tokens": tokens, "cached_tokens": 0}
    block = {"type": "text", "text": ""}
    return [
        event("message-start", id="29f14a5a-11de-4cae-9800-25e4747408ea", delta=begun),
        event("content-start", index=0, delta=said(content=block)),
        *(event("content-delta", index=0, delta=said(content={"text": text})) for text in texts),
        event("content-end", index=0),
        event("message-end", delta={"finish_reason": "COMPLETE", "usage": usage}),
        b"data: [DONE]\n\n",
    ]


FRAMES: dict[str, Callable[[list[str]], list[bytes]]] = {
    "gemini-generate": _gemini,
    "gemini-interactions": _interactions,
    "bedrock-converse": _converse,
    "ollama-native": _ollama,
    "cohere-v2": _cohere,
}
"""The frames of an answer with these texts, by format."""
