"""The members of Ollama's answers that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

from llmstream.wire.event_decoder import KEEP_ALIVES

_READ_OF_LINE = frozenset(
    {
        "completed",  # steps of a picture that is being made, of `total`
        "done",
        "done_reason",
        "error",
        "eval_count",
        "id",  # of gateways: Ollama's own answers have none
        "image",
        "message",
        "model",
        "prompt_eval_count",
        "response",
        "thinking",
        "total",
    }
)
_EMPTY_OF_LINE = frozenset(
    {
        "context",  # the tokens so far, which /api/generate took back before there was /api/chat
        "created_at",
        "logprobs",
        "object",
        "remote_host",  # the cloud that answers
        "remote_model",
    }
)
_READ_OF_MESSAGE = frozenset({"content", "images", "thinking", "tool_calls"})
_EMPTY_OF_MESSAGE = frozenset({"name", "role", "tool_call_id", "tool_name"})

LINE = _READ_OF_LINE | _EMPTY_OF_LINE
MESSAGE = _READ_OF_MESSAGE | _EMPTY_OF_MESSAGE
CALL = frozenset({"function", "id", "type"})
FUNCTION = frozenset({"arguments", "description", "index", "name"})
NO_ANSWERS = KEEP_ALIVES
"""Types of lines that mean nothing."""
