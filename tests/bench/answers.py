"""The answers that the benchmark's server gives: what OpenAI and Anthropic send, frame by frame, with every field.

The text of an answer is a function of its number of deltas alone, so that a client can check what it got.
"""

from __future__ import annotations

import functools
import json
from itertools import cycle, islice
from typing import Any

import native_answers

SENTENCE = "The quick brown fox jumps over the lazy dog, and so it goes on for a while: one token after another ."
APIS = {
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "anthropic-messages": "/messages",
    **native_answers.PATHS,
}
"""Wire formats, and how the paths end that they are asked for at."""


def deltas(count: int) -> list[str]:
    """The pieces of an answer: one token each, most with their blank."""
    return [f" {word}" for word in islice(cycle(SENTENCE.split()), count)]


@functools.cache
def frames(api: str, count: int) -> list[bytes]:
    """An answer with so many text deltas, and what comes before and after them."""
    makers = {
        "openai-chat": _chat,
        "openai-responses": _responses,
        "anthropic-messages": _anthropic,
    }
    return {**makers, **native_answers.FRAMES}[api](deltas(count))


@functools.cache
def body(api: str, count: int) -> bytes:
    """All of it as it goes over HTTP: each frame a chunk of its own, as the vendors send them."""
    return b"".join([chunk(frame) for frame in frames(api, count)]) + b"0\r\n\r\n"


def chunk(frame: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(frame), frame)


def _sse(payload: Any, event: str | None = None) -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def _chat(texts: list[str]) -> list[bytes]:
    def frame(delta: Any, reason: str | None = None, usage: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        head = {
            "id": "chatcmpl-CQk9ZdWkTpvtqV3XcKQmO1sAsAc1r",
            "object": "chat.completion.chunk",
            "created": 1764000000,
            "model": "gpt-5-mini-2025-08-07",
            "service_tier": "default",
            "system_fingerprint": None,
        }
        return _sse({**head, "choices": [choice] if usage is None else [], "usage": usage})

    usage = {
        "prompt_tokens": 16,
        "completion_tokens": len(texts),
        "total_tokens": 16 + len(texts),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return [
        frame({"role": "assistant", "content": "", "refusal": None}),
        *(frame({"content": text}) for text in texts),
        frame({}, "stop"),
        frame({}, usage=usage),
        b"data: [DONE]\n\n",
    ]


def _anthropic(texts: list[str]) -> list[bytes]:
    def frame(type: str, **fields: Any) -> bytes:
        return _sse({"type": type, **fields}, type)

    usage = {
        "input_tokens": 16,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_01FGmwpHyhVL53CxVbrx6KCD",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "service_tier": "standard"},
    }
    return [
        frame("message_start", message=message),
        frame("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        frame("ping"),
        *(
            frame("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
            for text in texts
        ),
        frame("content_block_stop", index=0),
        frame(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={**usage, "output_tokens": len(texts)},
        ),
        frame("message_stop"),
    ]


def _responses(texts: list[str]) -> list[bytes]:
    numbers = iter(range(10**9))

    def frame(type: str, **fields: Any) -> bytes:
        return _sse(
            {"type": f"response.{type}", "sequence_number": next(numbers), **fields},
            f"response.{type}",
        )

    place = {
        "item_id": "msg_078b21da0e109d4800699cc4c88de08193a6aee635562aaba5",
        "output_index": 0,
        "content_index": 0,
    }
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    whole = {**part, "text": "".join(texts)}
    item = {
        "id": place["item_id"],
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    done = {**item, "status": "completed", "content": [whole]}
    answer = {
        "id": "resp_078b21da0e109d4800699cc4c6b1ac8193b47f01da738fad41",
        "object": "response",
        "created_at": 1764000000,
        "status": "in_progress",
        "model": "gpt-5-mini-2025-08-07",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "error": None,
        "usage": None,
        "metadata": {},
    }
    usage = {
        "input_tokens": 16,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(texts),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 16 + len(texts),
    }
    return [
        frame("created", response=answer),
        frame("in_progress", response=answer),
        frame("output_item.added", output_index=0, item=item),
        frame("content_part.added", **place, part=part),
        *(frame("output_text.delta", **place, delta=text, logprobs=[]) for text in texts),
        frame("output_text.done", **place, text=whole["text"], logprobs=[]),
        frame("content_part.done", **place, part=whole),
        frame("output_item.done", output_index=0, item=done),
        frame(
            "completed",
            response={**answer, "status": "completed", "output": [done], "usage": usage},
        ),
    ]
