"""The inbound side that every format shares: a request's body, and what none of our names stands for."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from llmstream.messages import ChatRequest, ensure_json, sequence_of


def model_of(body: Mapping[str, Any]) -> str:
    """The model that a body names. Raises ValueError if it names none."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("model: name the model as a string")
    return model


def rest_of(body: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """The members that have a value and no name of ours."""
    return {key: value for key, value in body.items() if key not in known and value is not None}


def keep_rest(request: ChatRequest, rest: dict[str, Any], format: str) -> None:
    """Keep those members as `format_options`. Raises ValueError if they aren't JSON."""
    if rest:
        ensure_json(rest, "the body")
        request.format_options = {format: rest}


def items_at(value: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The items of a list, each with its place. Raises TypeError for what isn't a list."""
    return ((item, f"{where}[{index}]") for index, item in enumerate(sequence_of(value, where)))


def check_unicode(text: str, where: str) -> str:
    """`text`, if UTF-8 has bytes for it. Raises ValueError for half a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        told = f"{where}: not valid Unicode (a lone surrogate at {error.start})"
        raise ValueError(told) from None
    return text
