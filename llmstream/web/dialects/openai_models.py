"""`GET /v1/models`: the models a client may ask for, for pickers and checks.

One document that OpenAI's and Anthropic's clients both read: their shapes share no field that they fill differently.
Formats: https://platform.openai.com/docs/api-reference/models, https://docs.anthropic.com/en/api/models-list.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any


def models_document(models: Iterable[str], *, created: float = 0) -> dict[str, Any]:
    """The list. `created` is in seconds since 1970; nobody knows it of a model, so the server's start will do."""
    listed = [model_document(model, created=created) for model in models]
    ends = (
        {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
        if listed
        else {"first_id": None, "last_id": None}
    )
    return {"object": "list", "data": listed, "has_more": False, **ends}


def model_document(model: str, *, created: float = 0) -> dict[str, Any]:
    """One model: an entry of the list, and the answer to `GET /v1/models/{model}`."""
    provider, colon, _ = model.partition(":")
    return {
        "id": model,
        "object": "model",
        "created": int(created),
        "owned_by": provider if colon else "llmstream",
        "type": "model",
        "display_name": model,
        "created_at": datetime.fromtimestamp(int(created), UTC).isoformat().replace("+00:00", "Z"),
    }
