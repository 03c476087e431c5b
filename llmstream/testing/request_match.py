"""Requests as a Cassette compares them: as JSON without secrets, and how two of them differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any, Final

from llmstream.messages import ChatRequest, HostedTool, Tool
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
    told["messages"] = [message.to_dict() for message in request.messages]
    for message in told["messages"]:
        message.pop("usage", None)
    if request.tools:
        told["tools"] = [*map(_definition, request.tools)]
    for name in _SETTINGS:
        if name in told:
            told[name] = _without_secrets(_plain(told[name]))
    known: dict[str, Any] = redact_strings(_plain(told), redact)
    return known


def redact_strings(value: Any, redact: Redact) -> Any:
    """A JSON value with every string redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redact_strings(item, redact) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_strings(item, redact) for item in value]
    return value


def differences(recorded: Any, asked: Any, where: str = "") -> list[str]:
    """How two requests differ, in words, each with its place."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        names = dict.fromkeys([*recorded, *asked])
        pairs = [
            (recorded.get(name, _ABSENT), asked.get(name, _ABSENT), f"{where}.{name}".lstrip("."))
            for name in names
        ]
    elif isinstance(recorded, list) and isinstance(asked, list):
        pairs = list(_pairs(recorded, asked, where))
    else:
        return [] if recorded == asked else [_difference(recorded, asked, where)]
    return [each for one, other, place in pairs for each in differences(one, other, place)]


def tell_differences(found: Sequence[str]) -> str:
    """The first of them, as the end of a sentence."""
    more = len(found) - _MOST_TOLD
    told = [*found[:_MOST_TOLD], *([f"{more} more"] if more > 0 else [])]
    return "; ".join(told)


# --- inside ------------------------------------------------------------------------------------------------


def _definition(tool: Tool | HostedTool) -> Any:
    """A tool as the model is told of it, without the function that it may have."""
    if isinstance(tool, HostedTool):
        return tool.definition
    given = {each.name: getattr(tool, each.name) for each in fields(Tool)}
    return present(**given)


def _plain(value: Any, name: str = "") -> Any:
    """A value of a request as JSON."""
    if isinstance(value, str):
        is_data = name == "data" or value.startswith("data:")
        is_long = len(value) > _LONGEST_DATA
        return _digest(value) if is_data and is_long else value
    if is_dataclass(value) and not isinstance(value, type):
        value = dump(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _digest(data: str) -> str:
    return f"sha256 {sha256(data.encode()).hexdigest()[:16]} of {len(data)} characters"


def _without_secrets(value: Any, name: str = "") -> Any:
    """Settings in which the texts under a secret's name are hidden."""
    if isinstance(value, str) and _SECRET_NAME.search(name):
        return "[key]"
    if isinstance(value, dict):
        return {key: _without_secrets(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, name) for item in value]
    return value


def _pairs(recorded: list[Any], asked: list[Any], where: str) -> Iterator[tuple[Any, Any, str]]:
    for index in range(max(len(recorded), len(asked))):
        one = recorded[index] if index < len(recorded) else _ABSENT
        other = asked[index] if index < len(asked) else _ABSENT
        yield one, other, f"{where}[{index}]"


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
