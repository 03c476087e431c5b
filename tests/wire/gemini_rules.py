"""Gemini's documented rules for contents, and what breaks them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Body = dict[str, Any]
_KINDS = {
    *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
    *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
}
_BESIDE = {"thought", "thoughtSignature", "partMetadata", "mediaResolution", "videoMetadata"}
_MEMBERS = {
    "functionCall": {"id", "name", "args"},
    "functionResponse": {"id", "name", "response", "parts", "willContinue", "scheduling"},
    "inlineData": {"mimeType", "data", "displayName"},
    "fileData": {"mimeType", "fileUri", "displayName"},
}


def _parts(body: Body) -> Iterator[Any]:
    yield from body.get("systemInstruction", {}).get("parts", ())
    for content in body["contents"]:
        yield from content["parts"]


def _of_kind(body: Body, kind: str) -> list[Any]:
    return [part[kind] for part in _parts(body) if kind in part]


def called(body: Body) -> list[str]:
    """The ids of all calls."""
    return [call["id"] for call in _of_kind(body, "functionCall")]


def out_of_turn(body: Body) -> Iterator[Any]:
    """The user begins, and then they alternate."""
    roles = [content["role"] for content in body["contents"]]
    yield from (role for before, role in pairwise(roles) if role == before)
    yield from set(roles) - {"user", "model"}
    if roles[:1] != ["user"] or roles[-1:] != ["user"]:
        yield roles


def unknown(body: Body) -> Iterator[Any]:
    """A part is of one kind, and has no member that Google doesn't know."""
    for content in body["contents"]:
        yield from content.keys() - {"role", "parts"}
    for part in _parts(body):
        if len(part.keys() & _KINDS) != 1:
            yield part
        yield from part.keys() - _KINDS - _BESIDE
        for kind, known in _MEMBERS.items():
            yield from part.get(kind, {}).keys() - known


def empty(body: Body) -> Iterator[Any]:
    """No content without parts, no text without words, unless it carries a signature."""
    yield from (content for content in body["contents"] if not content["parts"])
    for part in _parts(body):
        if part.get("text") == "" and "thoughtSignature" not in part:
            yield part


def no_objects(body: Body) -> Iterator[Any]:
    """Arguments and results are objects."""
    for given in _of_kind(body, "functionCall"):
        if not isinstance(given["args"], dict):
            yield given
    for told in _of_kind(body, "functionResponse"):
        if not isinstance(told["response"], dict):
            yield told


def answered_elsewhere(body: Body) -> Iterator[Any]:
    """As many results as calls, in the turn that follows, each under its call's id and name."""
    turns = body["contents"]
    for turn, follower in zip(turns, [*turns[1:], {"parts": []}], strict=True):
        asked = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        told = [
            part["functionResponse"] for part in follower["parts"] if "functionResponse" in part
        ]
        pairs = ([(each["id"], each["name"]) for each in listed] for listed in (asked, told))
        calls, results = map(sorted, pairs)
        if turn["role"] == "model" and calls != results:
            yield calls, results


def unsigned_calls(body: Body) -> Iterator[Any]:
    """The first call of each step is signed."""
    for content in body["contents"]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and "thoughtSignature" not in first:
            yield first


def unreadable(body: Body) -> Iterator[Any]:
    """Data is base64 of a stated type; a link has an address."""
    for blob in _of_kind(body, "inlineData"):
        try:
            base64.b64decode(blob["data"], validate=True)
        except binascii.Error:
            yield blob
        if not blob.get("mimeType"):
            yield blob
    yield from (link for link in _of_kind(body, "fileData") if not link.get("fileUri"))
