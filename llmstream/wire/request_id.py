"""The id that a provider gave a request: what its support asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final = (
    "x-request-id",  # OpenAI: platform.openai.com/docs/api-reference/debugging-requests
    "request-id",  # Anthropic: docs.anthropic.com/en/api/errors#request-id
    "apim-request-id",  # Azure, where a gateway of its own refuses
    "x-amzn-requestid",  # Amazon: docs.aws.amazon.com/bedrock/latest/APIReference
)
"""Of two the first counts. Names in lower case, since HTTP's have none."""
_LONGEST: Final = 200


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The id in the headers of an answer or a refusal (names in lower case). One that isn't plain text is none."""
    for name in _NAMES:
        value = headers.get(name)
        if value is not None and _is_plain(value):
            return value
    return None


def _is_plain(value: str) -> bool:
    return 0 < len(value) <= _LONGEST and value.isascii() and value.isprintable()
