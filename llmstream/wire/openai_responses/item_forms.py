"""Output items as servers write them, in the form that is documented: one place that knows the other forms.

- The content of an item is a list of parts. Others send one part, or its text alone; so with the list of items.
- A text is a string. Others send `{"value": …}`, as the Assistants API does, or `{"text": …}`.
- A call has its arguments as text. Others send an object, under the names of other formats (`parameters`, `input`), or
  put both name and arguments into `function`, as chat completions do.
- A type may be missing, or another format's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_object
from llmstream.wire.json_fields import compact, listed

CUSTOM = "custom_tool_call"
CALLS = {"function_call": "arguments", CUSTOM: "input"}
"""The types of the caller's calls, and the member with the arguments."""
_TYPES = {"tool_call": "function_call", "tool_use": "function_call", "function": "function_call"}
"""Other formats' words for the types of items."""
_ARGUMENTS = ("arguments", "input", "parameters")
"""Members with a call's arguments."""
_EMPTY = ("", "{}")
_FUNCTIONS = ("function", "custom")
"""Members with a call's name and arguments, in chat completions."""
_CONTENT = ("content", "output_text", "text")
"""Members with the content of a message; the last two are convenience members of SDKs."""
_NOTHING: Mapping[str, Any] = {}
_WORDS = ("value", "text", "content")
"""Members of a text that is an object."""


def items_of(output: Any) -> list[dict[str, Any]]:
    """The items of a response."""
    return [item_of(item) for item in filled_items(output)]


def item_of(item: Any) -> dict[str, Any]:
    """One item. Raises TypeError for what can't be one."""
    if isinstance(item, str):
        item = {"type": "message", "content": item}
    if not isinstance(item, dict):
        raise TypeError("an item must be an object")
    kind = item.get("type") or _likely_type(item)
    if not isinstance(kind, str):
        raise TypeError("an item's type must be a string")
    kind = _TYPES.get(kind, kind)
    if kind in CALLS:
        return _call(kind, item)
    if kind == "message":
        return _message(item)
    return item if item.get("type") == kind else {**item, "type": kind}


def parts_of(content: Any, kind: str) -> list[dict[str, Any]]:
    """The parts of an item's content; those that are mere texts get the type `kind`."""
    return [part_of(part, kind) for part in filled_items(content)]


def part_of(part: Any, kind: str) -> dict[str, Any]:
    """One part. Raises TypeError for what can't be one."""
    if isinstance(part, str):
        return {"type": kind, "text": part}
    if not isinstance(part, dict):
        raise TypeError("a part must be an object")
    return part if part.get("type") else {**part, "type": kind}


def words_of(value: Any) -> str:
    """A text, in whichever form; empty for what isn't one."""
    if isinstance(value, dict):
        value = next((value[name] for name in _WORDS if isinstance(value.get(name), str)), "")
    return value if isinstance(value, str) else ""


def as_words(value: Any) -> str:
    """A member that holds words, or null; TypeError makes its frame a bad one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def as_arguments(value: Any) -> str:
    """Arguments as text, which some servers send as an object. PHP writes an empty one as a list."""
    return compact(value or {}) if isinstance(value, (dict, list)) else as_words(value)


def arguments_in(members: Mapping[str, Any]) -> str:
    """The arguments that stand in one of the members which may hold them."""
    given = [as_arguments(members[name]) for name in _ARGUMENTS if members.get(name) is not None]
    return next((one for one in given if one not in _EMPTY), given[0] if given else "")


def filled_items(value: Any) -> list[Any]:
    """The items of a list, or one value in place of it. Nulls and empty texts are left out."""
    return [one for one in listed(value) if one not in (None, "")]


def _likely_type(item: Mapping[str, Any]) -> Any:
    """The type of an item that doesn't say it."""
    if "name" in item or "call_id" in item:
        return "function_call"
    if "summary" in item or "encrypted_content" in item:
        return "reasoning"
    return "message" if any(name in item for name in ("role", *_CONTENT)) else item.get("type")


def _call(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    member = CALLS[kind]
    if item.get("type") == kind and isinstance(item.get(member), str) and item[member]:
        return item
    wrapped = next(filter(None, (as_object(item.get(name)) for name in _FUNCTIONS)), _NOTHING)
    rest = {name: item[name] for name in item if name not in (*_ARGUMENTS, *_FUNCTIONS)}
    arguments = arguments_in(item) or arguments_in(wrapped)
    name = item.get("name") or wrapped.get("name")
    return {**rest, "type": kind, "name": name, member: arguments}


def _message(item: dict[str, Any]) -> dict[str, Any]:
    given = [name for name in _CONTENT if item.get(name)]
    parts = parts_of(item[given[0]], "output_text") if given else []
    text = "".join(words_of(part.get("text")) for part in parts)
    again = {name for name in given[1:] if words_of(item[name]) == text}
    rest = {name: item[name] for name in item if name not in {*given[:1], *again}}
    return {**rest, "type": "message", "content": parts}
