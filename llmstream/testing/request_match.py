"""Requests as a Cassette compares them: as JSON without secrets, and how two of them differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from itertools import chain
from typing import Any, Final

from llmstream.messages import ChatRequest, HostedTool, Message, Tool
from llmstream.plain_values import dump
from llmstream.wire.json_fields import present

Redact = Callable[[str], str]

_SETTINGS: Final = ("tools", "provider_options", "format_options")
"""Fields that may hold a key of somebody's, under a name that says so."""
_SECRET_NAME: Final = re.compile(r"key|auth|token|secret|password|cookie|credential", re.I)
_LONGEST_DATA: Final = 200
"""Characters of a file or an image that stand in a cassette; of a longer one its digest does."""
_MOST_TOLD: Final = 5
"""Differences that an error names."""
_WINDOW: Final = 40
"""Characters of a text that it shows."""
_ABSENT: Final = object()


def describe_request(request: ChatRequest, redact: Redact) -> dict[str, Any]:
    """The JSON by which a request is known again: its model, messages and options.

    What an earlier answer has used is left out, for it changes with the prices. Data of files and images is told by its
    digest.
    """
    told = dump(request)
    told.pop("checked", None)
    told["messages"] = [*map(_described_message, request.messages)]
    told["tools"] = [*map(_definition, request.tools)]
    told["tool_choice"] = _dumped(request.tool_choice)
    told["response_format"] = _dumped(request.response_format)
    told |= {name: change_texts(told.get(name), _without_secret) for name in _SETTINGS}
    known = {name: value for name, value in told.items() if value}
    described: dict[str, Any] = redact_texts(change_texts(known, _without_data), redact)
    return described


def change_texts(value: Any, change: Callable[[str, str], str], name: str = "") -> Any:
    """A JSON value with each of its texts changed. `change` is given the text, and the name that it stands under."""
    if isinstance(value, str):
        return change(value, name)
    if isinstance(value, Mapping):
        return {str(key): change_texts(item, change, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [change_texts(item, change, name) for item in value]
    return value


def redact_texts(value: Any, redact: Redact) -> Any:
    """A JSON value with each of its texts redacted."""
    return change_texts(value, lambda text, _: redact(text))


def differences(recorded: Any, asked: Any, where: str = "") -> list[str]:
    """How two requests differ, in words, each with its place."""
    one, other = _members(recorded), _members(asked)
    if one is None or other is None:
        return [] if recorded == asked else [_difference(recorded, asked, where.lstrip("."))]
    names = dict.fromkeys([*one, *other])
    found = [
        differences(one.get(name, _ABSENT), other.get(name, _ABSENT), where + name)
        for name in names
    ]
    return [*chain.from_iterable(found)]


def tell_differences(found: Sequence[str]) -> str:
    """The first of them, as the end of a sentence."""
    told = [*found[:_MOST_TOLD], f"{len(found) - _MOST_TOLD} more"]
    return "; ".join(told[: len(found)] if len(found) <= _MOST_TOLD else told)


# --- inside ------------------------------------------------------------------------------------------------


def _described_message(message: Message) -> dict[str, Any]:
    told = message.to_dict()
    told.pop("usage", None)
    return told


def _definition(tool: Tool | HostedTool) -> Any:
    """A tool as the model is told of it, without the function that it may have."""
    if isinstance(tool, HostedTool):
        return tool.definition
    given = {each.name: getattr(tool, each.name) for each in fields(Tool)}
    return present(**given)


def _dumped(value: Any) -> Any:
    return None if value is None else dump(value)


def _without_data(text: str, name: str) -> str:
    """A text, or the digest of one that is long and no text."""
    is_data = name == "data" or text.startswith("data:")
    if not is_data or len(text) <= _LONGEST_DATA:
        return text
    return f"sha256 {sha256(text.encode()).hexdigest()[:16]} of {len(text)} characters"


def _without_secret(text: str, name: str) -> str:
    return "[key]" if _SECRET_NAME.search(name) else text


def _members(value: Any) -> dict[str, Any] | None:
    """The members of an object or a list, by what follows in a path; None for other values."""
    if isinstance(value, dict):
        return {f".{name}": item for name, item in value.items()}
    if isinstance(value, list):
        return {f"[{index}]": item for index, item in enumerate(value)}
    return None


def _difference(recorded: Any, asked: Any, where: str) -> str:
    if recorded is _ABSENT:
        return f"{where} is {_shown(asked, 0)}, and isn't recorded"
    if asked is _ABSENT:
        return f"{where} isn't asked, and {_shown(recorded, 0)} is recorded"
    begin = _first_difference(recorded, asked) - _WINDOW // 2
    return f"{where} is {_shown(asked, begin)}, and {_shown(recorded, begin)} is recorded"


def _first_difference(one: Any, other: Any) -> int:
    """The place in two texts from which on they differ; 0 for other values."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0
    pairs = zip(one, other, strict=False)
    length = min(len(one), len(other))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), length)


def _shown(value: Any, begin: int) -> str:
    """A value in few words: of a long text the part from `begin` on."""
    text = value if isinstance(value, str) else repr(value)
    begin = max(begin, 0)
    cut = text[begin : begin + _WINDOW]
    before = "…" if begin else ""
    after = "…" if begin + _WINDOW < len(text) else ""
    shown = f"{before}{cut}{after}"
    return repr(shown) if isinstance(value, str) else shown
