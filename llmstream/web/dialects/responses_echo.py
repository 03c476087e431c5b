"""The members of a Responses answer that repeat its request. Clients' types ask for each, so a default stands in.

Source of the members and defaults: `openai.types.responses.Response` (openai 3.57) and `ResponseResource` of
https://www.openresponses.org/openapi/openapi.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.checks import check_type
from llmstream.errors import ErrorKind
from llmstream.web.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Repeated:
    """One member of the request that the answer repeats."""

    default: Any
    type: type[Any] | None = None
    """What it must be; None: the parser of the request has checked it."""
    one_of: tuple[str, ...] = ()


_REPEATED: Mapping[str, Repeated] = {
    "instructions": Repeated(None),
    "max_output_tokens": Repeated(None),
    "max_tool_calls": Repeated(None, int),
    "metadata": Repeated({}),
    "parallel_tool_calls": Repeated(True),
    "prompt_cache_key": Repeated(None, str),
    "safety_identifier": Repeated(None, str),
    "service_tier": Repeated("default"),
    "temperature": Repeated(1.0),
    "tool_choice": Repeated("auto"),
    "top_p": Repeated(1.0),
    "truncation": Repeated("disabled", str, ("auto", "disabled")),
}
_CONSTANT = {
    "background": False,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "store": False,
    "top_logprobs": 0,
}
"""What this server never does otherwise."""
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "json_schema": {"description": None, "strict": False},
}
_FUNCTION = {"description": None, "parameters": None, "strict": False}


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that asks for what this server can't do."""

    harmless: tuple[Any, ...]
    """The values that ask for nothing."""
    code: str
    message: str


_REFUSED: Mapping[str, Refused] = {
    "background": Refused(
        (None, False),
        "unsupported_value",
        "This server has no background mode: ask with stream instead.",
    ),
    "conversation": Refused(
        (None,),
        "unsupported_parameter",
        "This server keeps no conversations of the Responses API: send the whole input.",
    ),
    "previous_response_id": Refused(
        (None,),
        "previous_response_not_found",
        "Previous response with id {value} not found: this server keeps no responses. Send the whole input.",
    ),
    "prompt": Refused(
        (None,),
        "unsupported_parameter",
        "This server has no prompt templates: send instructions and input.",
    ),
}
"""OpenAI's own code where it has one (https://platform.openai.com/docs/guides/websocket-mode)."""


def check_refused(body: Mapping[str, Any]) -> None:
    """Raise RefusedError for a request that would be answered without what it asks for."""
    for name, rule in _REFUSED.items():
        value = body.get(name)
        if value not in rule.harmless:
            told = rule.message.format(value=repr(str(value)[:80]))
            raise refused(told, code=rule.code, param=name)
    _check_references(body.get("input"))


def refused(message: str, *, code: str, param: str, status: int = 400) -> RefusedError:
    """A request that is wrong in one parameter, in OpenAI's words."""
    kind: ErrorKind = "not_found" if status == 404 else "invalid_request"
    return RefusedError(status, kind, message, code=code, param=param)


def _check_references(items: Any) -> None:
    """Refuse names of items that nobody here knows. The message is OpenAI's own, which has no code."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and item.get("type") == "item_reference":
            name = repr(str(item.get("id"))[:80])
            told = (
                f"Item with id {name} not found. Items are not persisted when `store` is set to false. "
                "Set `store` to false, which makes clients send them whole."
            )
            raise refused(told, code="item_not_found", param="input", status=404)


def repeated(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the answer that repeat a request, which is read already.

    Raises TypeError or ValueError that name the place.
    """
    echo = {name: _value(name, rule, body.get(name)) for name, rule in _REPEATED.items()}
    if echo["service_tier"] == "auto":
        echo["service_tier"] = "default"
    echo["tools"] = [_tool(tool) for tool in body.get("tools") or ()]
    echo["text"] = _text(body.get("text") or {})
    echo["reasoning"] = {"effort": None, "summary": None, **(body.get("reasoning") or {})}
    return {**echo, **_CONSTANT}


def _value(name: str, rule: Repeated, value: Any) -> Any:
    if value is None:
        return rule.default
    if rule.type is not None:
        check_type(value, rule.type, f"{name} must be of type {rule.type.__name__}")
    if rule.one_of and value not in rule.one_of:
        raise ValueError(f"{name} must be one of {', '.join(rule.one_of)}, not {value[:50]!r}")
    return value


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_FUNCTION, **tool} if tool.get("type") == "function" else tool


def _text(text: Mapping[str, Any]) -> dict[str, Any]:
    wanted = text.get("format") or {"type": "text"}
    format = {**_FORMATS.get(wanted["type"], {}), **wanted}
    return {"verbosity": "medium", **text, "format": format}
