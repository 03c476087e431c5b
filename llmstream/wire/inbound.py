"""The inbound side that every format shares: a request's body, and what none of our names stands for."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from llmstream.checks import ensure_json
from llmstream.messages import ChatRequest


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
