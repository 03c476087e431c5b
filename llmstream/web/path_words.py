"""The API that a path belongs to: its name in audits and metrics, and the words of its errors."""

from __future__ import annotations

from collections.abc import Sequence

from llmstream.web.dialects import (
    AnthropicMessages,
    Dialect,
    GeminiGenerate,
    OllamaChat,
    OpenAIChat,
    OpenAIResponses,
)
from llmstream.web.dialects.base import api_of, paths_of
from llmstream.web.dialects.gemini import COUNT, paths_of_models
from llmstream.web.dialects.ollama import UNDER
from llmstream.web.dialects.openai_responses import CompactedResponses
from llmstream.web.errors import render_error
from llmstream.web.ollama_endpoints import PATHS as OLLAMA_PATHS
from llmstream.web.path_table import PathTable
from llmstream.web.refusals import RenderError

_OWN_APIS = {
    "/chat": "native",
    "/streaming_chat": "native",
    "/api/chat/stream": "conversations",
    "/api/chat/stream-http": "conversations",
}
"""The names of APIs that aren't a dialect's, by their paths."""


def apis_of(dialects: Sequence[Dialect]) -> PathTable[str]:
    """The names of all APIs that ask a model, by their paths: a dialect's is its format's, or else made of its path."""
    named = {path: api_of(each) for each in dialects for path in paths_of(each)}
    compaction = {CompactedResponses.path: OpenAIResponses.format or ""}
    return PathTable({**_OWN_APIS, **named, **compaction})


class ErrorShapes:
    """How an error is written at a path: as the clients of its dialect expect it."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        shapes = {path: each.error for each in dialects for path in paths_of(each)}
        ollama = OllamaChat().error
        # Their clients also ask for what stands beside the one endpoint: `count_tokens`, `models` …
        below = (
            (AnthropicMessages.path, AnthropicMessages().error),
            ("/v1beta", GeminiGenerate().error),
            ("/v1/", OpenAIChat().error),
            (UNDER, ollama),
        )
        self._shapes: PathTable[RenderError] = PathTable(
            {
                **shapes,
                **dict.fromkeys(OLLAMA_PATHS, ollama),
                **dict.fromkeys(paths_of_models(COUNT), GeminiGenerate().error),
            },
            below,
        )

    def __call__(self, path: str) -> RenderError:
        """The writer of the errors at a path."""
        return self._shapes.find(path) or render_error
