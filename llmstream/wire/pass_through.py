"""Members of a request without a name of ours that a gateway hands on to a provider of the same format.

Listed is what tunes the answer to one client. Not listed is what names other models (`models`, `fallbacks`), what
reaches into the account of the server (`container`, `conversation`, `previous_response_id`, `mcp_servers`), and what
changes the shape of the answer (`n`, `logprobs`). docs/serving.md has the same lists; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

SAMPLING = frozenset(
    {
        "allowed_token_ids",
        "bad_words",
        "dry_base",
        "dry_multiplier",
        "dynatemp_range",
        "ignore_eos",
        "length_penalty",
        "logit_bias",
        "min_p",
        "min_tokens",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "no_repeat_ngram_size",
        "random_seed",
        "repeat_last_n",
        "repeat_penalty",
        "repetition_penalty",
        "skip_special_tokens",
        "stop_token_ids",
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
}
"""By the name of the wire format. `temperature`, `service_tier` and the like have names of ours and always go."""
