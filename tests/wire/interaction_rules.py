"""The documented rules for the steps of an interaction, and what breaks them.

Source: https://ai.google.dev/api/interactions-api, google-genai's Step and Content.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

Body = dict[str, Any]
_RAN = {
    "type",
    "id",
    "call_id",
    "arguments",
    "result",
    "name",
    "server_name",
    "signature",
    "is_error",
}
_STEPS = {
    "user_input": {"type", "content"},
    "model_output": {"type", "content"},
    "thought": {"type", "summary", "signature"},
    "function_call": {"type", "id", "name", "arguments", "signature"},
    "function_result": {"type", "call_id", "name", "result", "is_error"},
    "google_search_call": _RAN,
    "google_search_result": _RAN,
    "code_execution_call": _RAN,
    "code_execution_result": _RAN,
}
_MEDIA = {"type", "mime_type", "data", "uri", "resolution", "channels", "sample_rate"}
_CONTENTS = {
    "text": {"type", "text", "annotations"},
    **dict.fromkeys(("image", "audio", "video", "document"), _MEDIA),
}


def _of_type(body: Body, kind: str) -> list[Any]:
    return [step for step in body["input"] if step["type"] == kind]


def _contents(body: Body) -> Iterator[Any]:
    for step in body["input"]:
        yield from step.get("content", ())
        yield from step.get("summary", ())
        result = step.get("result")
        if step["type"] == "function_result" and isinstance(result, list):
            yield from result


def called(body: Body) -> list[str]:
    """The ids of all calls."""
    return [step["id"] for step in _of_type(body, "function_call")]


def out_of_turn(body: Body) -> Iterator[Any]:
    """The user begins, and has the last word: a result, or an input."""
    kinds = [step["type"] for step in body["input"]]
    if kinds[:1] != ["user_input"] or kinds[-1] not in ("user_input", "function_result"):
        yield kinds


def unknown(body: Body) -> Iterator[Any]:
    """No type and no member that Google doesn't know."""
    for step in body["input"]:
        yield from step.keys() - _STEPS.get(step["type"], set())
    for content in _contents(body):
        yield from content.keys() - _CONTENTS.get(content["type"], set())


def empty(body: Body) -> Iterator[Any]:
    """No step without contents, no text without words, no thought without a signature."""
    for step in [*_of_type(body, "user_input"), *_of_type(body, "model_output")]:
        if not step["content"]:
            yield step
    yield from (content for content in _contents(body) if content.get("text") == "")
    yield from (step for step in _of_type(body, "thought") if not step.get("signature"))


def no_objects(body: Body) -> Iterator[Any]:
    """Arguments are objects; results are texts, objects or contents."""
    for step in _of_type(body, "function_call"):
        if not isinstance(step["arguments"], dict):
            yield step
    for step in _of_type(body, "function_result"):
        if not isinstance(step["result"], str | dict | list):
            yield step


def answered_elsewhere(body: Body) -> Iterator[Any]:
    """Each call has its result before the user or the model says something else."""
    waiting: dict[str, str] = {}
    told = False
    for step in [*body["input"], {"type": "user_input"}]:
        kind = step["type"]
        if kind == "function_result":
            told = True
            if waiting.pop(step["call_id"], None) != step.get("name"):
                yield step
        elif waiting and (told or kind == "user_input"):
            yield waiting
            waiting = {}
        if kind == "function_call":
            waiting[step["id"]] = step["name"]
            told = False


def unreadable(body: Body) -> Iterator[Any]:
    """Data is base64 of a stated type; a link has an address."""
    for content in _contents(body):
        if content["type"] == "text":
            continue
        try:
            base64.b64decode(content.get("data", ""), validate=True)
        except binascii.Error:
            yield content
        is_stated = content.get("mime_type") if "data" in content else content.get("uri")
        if not is_stated:
            yield content
