"""Shapes beside OpenAI's own that clients post to chat completions, put into OpenAI's.

Cursor mixes three APIs in one request: `{"type": "auto"}`, Anthropic's `tool_use`, `tool_result` and `image` blocks,
Responses' `input_text` and `input_image`. OpenAI's own `allowed_tools` narrows the tools to some of them. A body with
`input` in place of `messages` is a Responses request as a whole, and isn't read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from llmstream.checks import as_object, as_text

_CHOICES = {"auto": "auto", "none": "none", "any": "required", "required": "required"}
"""The words for whether a tool is to be called, as `{"type": …}` has them."""


def in_openai_shape(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body as OpenAI's own clients would write it. What it doesn't know stays, for the parser to refuse."""
    shaped = dict(body)
    messages = body.get("messages")
    if isinstance(messages, list) and any(map(_is_mixed, messages)):
        shaped["messages"] = [*chain.from_iterable(map(_messages, messages))]
    return shaped | plain_choice(body) if "tool_choice" in body else shaped


def plain_choice(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members that say the same as an odd `tool_choice` in words that every provider knows; none for a plain one.

    Raises ValueError for allowed tools that aren't there.
    """
    choice = as_object(body.get("tool_choice"))
    kind = _kind(choice)
    if kind in _CHOICES:
        return {"tool_choice": _CHOICES[kind]}
    if kind == "allowed_tools":
        return _narrowed(body.get("tools"), as_object(choice.get("allowed_tools")) or choice)
    return {}


def _narrowed(tools: Any, allowed: Mapping[str, Any]) -> dict[str, Any]:
    """The tools that may be called, and whether one must be."""
    names = set(map(_name_of, _list(allowed.get("tools"))))
    kept = [tool for tool in _list(tools) if _name_of(tool) in names]
    unknown = names - set(map(_name_of, kept))
    if unknown:
        raise ValueError(
            f"tool_choice: allowed_tools names {min(unknown)!r}, which isn't among tools"
        )
    return {"tools": kept, "tool_choice": allowed.get("mode", "auto")}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name_of(tool: Any) -> str:
    named = as_object(tool)
    name = as_object(named.get("function")).get("name") or named.get("name")
    return name if isinstance(name, str) else str(named.get("type"))


def _is_mixed(message: Any) -> bool:
    """Whether parts of another API stand in it."""
    content = message.get("content") if isinstance(message, Mapping) else None
    return isinstance(content, list) and any(map(_is_foreign, content))


def _messages(message: Any) -> Iterator[Any]:
    """A message, and before it the results of tools that stand in it."""
    if not _is_mixed(message):
        yield message
        return
    content = message["content"]
    rest: list[Any] = []
    tools: dict[str, list[Mapping[str, Any]]] = {"tool_result": [], "tool_use": []}
    for part in content:
        tools.get(_kind(part), rest).append(part)
    yield from map(_result, tools["tool_result"])
    if tools["tool_use"]:
        earlier = message.get("tool_calls") or ()
        message = {**message, "tool_calls": [*earlier, *map(_call, tools["tool_use"])]}
    if rest or message.get("tool_calls"):
        yield {**message, "content": _content(rest) or None}


def _kind(part: Any) -> str:
    return as_text(as_object(part).get("type")) or ""


def _is_foreign(part: Any) -> bool:
    return _kind(part) in _FOREIGN


def _content(content: Any) -> Any:
    """Text, or parts in OpenAI's shape."""
    if not isinstance(content, list):
        return content
    return [*map(_part, content)]


def _part(part: Any) -> Any:
    shape = _PARTS.get(_kind(part))
    return part if shape is None else shape(part)


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": block.get("tool_use_id"),
        "content": _content(block.get("content") or ""),
    }


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    written = json.dumps(block.get("input") or {}, ensure_ascii=False, separators=(",", ":"))
    function = {"name": block.get("name"), "arguments": written}
    return {"id": block.get("id"), "type": "function", "function": function}


def _text(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**part, "type": "text"}


def _input_image(part: Mapping[str, Any]) -> dict[str, Any]:
    image = {"url": part.get("image_url")}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _input_file(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "file", "file": {name: part[name] for name in part if name != "type"}}


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    source = as_object(part.get("source"))
    url = source.get("url")
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    rest = {name: part[name] for name in part if name not in ("type", "source")}
    return {"type": "image_url", "image_url": {"url": url}, **rest}


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "input_text": _text,
    "output_text": _text,
    "input_image": _input_image,
    "input_file": _input_file,
    "image": _image,
}
"""Parts of other APIs, and how OpenAI's chat completions write them."""
_FOREIGN = frozenset({*_PARTS, "tool_use", "tool_result"})
