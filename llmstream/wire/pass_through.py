"""Members and headers without a name of ours that a gateway hands on to and from a provider of the same format.

Of a request's members it is those that tune the answer to one client. It isn't those that name other models (`models`,
`fallbacks`), that reach into the server's account (`container`, `conversation`, `previous_response_id`, `mcp_servers`),
or that change the shape of the answer (`n`, `logprobs`). Of the headers it is the client's choice of API version, and
the provider's rate limits. docs/serving.md has the same lists; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

SAMPLING = frozenset(
    {
        "dry_base",
        "dry_multiplier",
        "dynatemp_range",
        "length_penalty",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "no_repeat_ngram_size",
        "random_seed",
        "repeat_last_n",
        "repeat_penalty",
        "repetition_penalty",
        "top_a",
        "typical_p",
        "xtc_probability",
        "xtc_threshold",
    }
)
"""Ways to choose the next word, of vLLM, SGLang, llama.cpp, OpenRouter and Mistral. They only tune the answer."""

PASSED: Mapping[str, frozenset[str]] = {
    "openai-chat": SAMPLING
    | {
        "allowed_token_ids",
        "bad_words",
        "ignore_eos",
        "min_tokens",
        "skip_special_tokens",
        "stop_token_ids",
        "logit_bias",
        "cache_control",
        "chat_template_kwargs",
        "enable_thinking",
        "grammar",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "include_reasoning",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "prompt_mode",
        "reasoning",
        "reasoning_format",
        "reasoning_split",
        "safe_prompt",
        "safety_identifier",
        "store",
        "stream_options",
        "structured_outputs",
        "thinking",
        "thinking_budget",
        "user",
        "web_search_options",
    },
    "openai-responses": frozenset(
        {
            "client_metadata",
            "context_management",
            "include",
            "max_tool_calls",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning",
            "safety_identifier",
            "stream_options",
            "text",
            "tool_choice",
            "truncation",
            "user",
        }
    ),
    "anthropic-messages": frozenset(
        {
            "cache_control",
            "compaction",
            "context_management",
            "diagnostics",
            "inference_geo",
            "output_config",
            "speed",
            "thinking",
        }
    ),
    "gemini-generate": frozenset(
        {
            "continuationToken",
            "generationConfig.imageConfig",
            "generationConfig.mediaResolution",
            "generationConfig.responseMimeType",
            "generationConfig.responseModalities",
            "generationConfig.speechConfig",
            "generationConfig.thinkingConfig",
            "safetySettings",
            "toolConfig.functionCallingConfig",
            "toolConfig.includeServerSideToolInvocations",
        }
    ),
    "ollama-native": frozenset(
        {
            "options.min_p",
            "options.mirostat",
            "options.mirostat_eta",
            "options.mirostat_tau",
            "options.penalize_newline",
            "options.repeat_last_n",
            "options.repeat_penalty",
            "options.tfs_z",
            "options.typical_p",
            "shift",
            "truncate",
        }
    ),
}
"""By the name of the wire format; `options.min_p` stands in the object `options`.

`temperature`, `service_tier` and the like have names of ours and always go. Of Ollama's options those are missing that
take the memory of its machine (`num_ctx`, `num_gpu`, `keep_alive`).
"""

REQUEST_HEADERS: Mapping[str, tuple[str, ...]] = {
    "anthropic-messages": ("anthropic-version", "anthropic-beta"),
}
"""A client's own headers that go to the provider unchanged (https://code.claude.com/docs/en/llm-gateway-protocol)."""
UNTOLD_HEADERS = frozenset({"anthropic-version"})
"""Every client of the format sends them, and to a provider of another format they say nothing."""
RATE_LIMITS: Mapping[str, str] = {
    "openai-chat": "x-ratelimit-",
    "openai-responses": "x-ratelimit-",
    "anthropic-messages": "anthropic-ratelimit-",
}
"""How the names of a provider's headers begin that go back to the client."""
_FURTHER = (
    "ratelimit",  # recorded: huggingface, mistral
    "x-ratelimitbysize-",  # recorded: mistral
    "x-trial-endpoint-call-",  # docs.cohere.com/docs/rate-limits
    "x-endpoint-monthly-call-",
)
"""How the names of other vendors' rate limits begin."""
_PREFIXES = (*sorted(set(RATE_LIMITS.values())), *_FURTHER)
_MOST = 32
_LONGEST = 200


def rate_limits_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The rate limits among the headers of a provider's answer. Bounded, since they come from elsewhere."""
    found = {}
    for name, value in headers.items():
        key = name.lower()
        if key.startswith(_PREFIXES) and len(key) <= _LONGEST and _is_plain(value):
            found[key] = value
    return found if len(found) <= _MOST else dict(islice(found.items(), _MOST))


def _is_plain(value: str) -> bool:
    return len(value) <= _LONGEST and value.isascii() and value.isprintable()
