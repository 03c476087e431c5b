"""The members of chat completions that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
"""

from __future__ import annotations

_READ_OF_CHUNK = frozenset(
    {
        "base_resp",
        "choices",
        "citations",
        "error",
        "id",
        "model",
        "search_results",
        "usage",
        "x_groq",
    }
)
_EMPTY_OF_CHUNK = frozenset(
    {
        "copilot_usage",
        "created",
        "created_at",
        "generationId",  # Vercel
        "moderation",
        "object",
        "obfuscation",
        "kv_transfer_params",  # vLLM
        "metadata",  # SGLang
        "nvext",  # NVIDIA
        "p",  # Mistral's padding
        "prompt_filter_results",  # Azure
        "provider",
        "request_id",  # Z.ai
        "service_tier",
        "stream_options",  # LiteLLM
        "system_fingerprint",
    }
)
_READ_OF_CHOICE = frozenset(
    {"delta", "error", "finish_reason", "index", "message", "text", "usage"}
)
_EMPTY_OF_CHOICE = frozenset(
    {"content_filter_results", "logprobs", "native_finish_reason", "stop_reason"}
)
_READ_OF_DELTA = frozenset(
    {
        "annotations",
        "audio",
        "content",
        "error",
        "function_call",
        "images",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "reasoning_opaque",
        "reasoning_text",
        "refusal",
        "thinking",
        "thinking_blocks",
        "tool_calls",
    }
)
_EMPTY_OF_DELTA = frozenset(
    {
        "channel",  # Groq: which of gpt-oss's channels it is, told by the member too
        "executed_tools",  # Groq: what its own tools did, which the text tells
        "name",
        "provider_specific_fields",  # LiteLLM: what other members say, but for thinking and citations
        "provider_metadata",  # Vercel
        "role",
    }
)

CALL = frozenset(
    {
        "arguments",
        "custom",
        "extra_content",
        "function",
        "id",
        "index",
        "input",
        "name",
        "parameters",
        "provider_specific_fields",  # LiteLLM
        "type",
    }
)
"""Members of an entry of `tool_calls`, and of the function in it."""

AUDIO = frozenset({"data", "expires_at", "format", "id", "index", "transcript", "type"})
"""Members of speech."""

FIELDS = frozenset(
    {
        "citation",
        "citations",
        "native_finish_reason",
        "reasoning",
        "reasoning_content",
        "refusal",
        "thinking_blocks",
    }
)
"""Members of LiteLLM's `provider_specific_fields`."""

SEALS = frozenset(
    {"provider_specific_fields", "reasoning_details", "reasoning_opaque", "thinking_blocks"}
)
"""Members with what a host signed or encrypted."""

USUAL_OF_CHUNK = frozenset(
    {
        *("choices", "created", "id", "model", "object", "obfuscation", "service_tier"),
        *("system_fingerprint", "usage"),
    }
)
"""Members of nearly every chunk; OpenAI's have no others."""
USUAL_OF_CHOICE = frozenset({"delta", "finish_reason", "index", "logprobs"})
"""Likewise of a choice."""

CHUNK = _READ_OF_CHUNK | _EMPTY_OF_CHUNK
CHOICE = _READ_OF_CHOICE | _EMPTY_OF_CHOICE
DELTA = _READ_OF_DELTA | _EMPTY_OF_DELTA
