"""A call's arguments as one ChatRequest: its messages, and each option by the list in `llmstream.options`.

`LLMClient` reads its arguments with these functions, and `request.py` the bodies that clients of a gateway send. They
raise TypeError or ValueError that name the place (`messages[3].content`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from llmstream.checks import as_text, check_type, ensure_json, require, require_mapping, sequence_of
from llmstream.message_reader import parse_messages
from llmstream.messages import ChatRequest, ResponseFormat
from llmstream.options import NAMES, OPTIONS, unknown_option
from llmstream.tool_reader import parse_tool_choice, parse_tools


def build_request(messages: Any, model: str, **options: Any) -> ChatRequest:
    """The request that a caller's arguments mean. `options` are those of `llmstream.options`."""
    read: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _READERS:
            raise TypeError(unknown_option(name))
        if value is not None:
            read[name] = _READERS[name](value)
    return ChatRequest(parse_messages(messages), model, **read, checked=True)


def take_request(request: ChatRequest, **beside: Any) -> ChatRequest:
    """A request that is ready. It is checked, unless `build_request` has made it.

    `beside` are arguments that were given with it. Raises TypeError if one isn't None.
    """
    given = ", ".join(name for name, value in beside.items() if value is not None)
    require(not given, f"{given}: a ChatRequest has its own; set it there", TypeError)
    if request.checked:
        return request
    own = {name: getattr(request, name) for name in NAMES}
    checked = build_request(request.messages, request.model, **own)
    checked.format_options = _parse_keyed(request.format_options, "format_options", "wire format")
    return checked


def parse_response_format(value: Any) -> ResponseFormat | None:
    """OpenAI's `response_format` dict, a bare JSON schema, `"json"`, or a ResponseFormat."""
    match value:
        case None | ResponseFormat():
            return value
        case "json" | {"type": "json_object"}:
            return ResponseFormat()
        case {"type": "text"}:
            return None
        case {"type": "json_schema"}:
            return _parse_named_schema(value)
        case {"type": "object" | "array"} | {"$ref": _} | {"anyOf": _}:
            ensure_json(value, "response_format")
            return ResponseFormat(dict(value))
    raise ValueError(
        "response_format must be {'type': 'json_object'}, {'type': 'json_schema', …} or a JSON schema, "
        f"not {value!r}"
    )


def _parse_named_schema(value: Mapping[str, Any]) -> ResponseFormat:
    where = "response_format.json_schema"
    named = require_mapping(value.get("json_schema", value), where)
    schema = named.get("schema")
    require(isinstance(schema, dict), f"{where}.schema is missing")
    ensure_json(schema, "response_format")
    description = check_type(named.get("description"), str, f"{where}.description must be a string")
    name = named.get("name") or "response"
    return ResponseFormat(schema, name, named.get("strict"), description)


def parse_stop(value: Any) -> list[str]:
    """One stop sequence or several."""
    if value is None:
        return []
    stops = [value] if isinstance(value, str) else list(sequence_of(value, "stop"))
    problem = "stop must be a non-empty string, or a list of them"
    require(all(map(as_text, stops)), problem, TypeError)
    return stops


def _parse_metadata(value: Any) -> dict[str, str]:
    problem = "metadata must map strings to strings"
    metadata = dict(check_type(value, Mapping, problem) or {})
    words = chain.from_iterable(metadata.items())
    require(all(isinstance(word, str) for word in words), problem, TypeError)
    return metadata


def _parse_provider_options(value: Any) -> dict[str, dict[str, Any]]:
    return _parse_keyed(value, "provider_options", "provider")


def _parse_keyed(value: Any, what: str, key: str) -> dict[str, dict[str, Any]]:
    options = {}
    given = check_type(value, Mapping, f"{what} must be keyed by {key}") or {}
    for name, chosen in given.items():
        problem = f'{what} is keyed by {key}: {{"{name}": {{…}}}}'
        require(isinstance(chosen, Mapping), problem, TypeError)
        ensure_json(chosen, f"{what}[{name!r}]")
        options[name] = dict(chosen)
    return options


_READERS: dict[str, Callable[[Any], Any]] = {
    **{option.name: option.check for option in OPTIONS},
    "tools": parse_tools,
    "tool_choice": parse_tool_choice,
    "response_format": parse_response_format,
    "stop": parse_stop,
    "metadata": _parse_metadata,
    "provider_options": _parse_provider_options,
}
