"""Ends in the wild: finish words of every vendor, and errors in every place."""

from __future__ import annotations

from typing import Any

from llmstream.messages import FinishReason
from llmstream.testing.faults.wild.rows import (
    CHAT,
    DONE,
    MESSAGES,
    RESPONSES,
    chat,
    chunk,
    event,
    frame,
    frames,
    said,
    start,
    stopped,
    wild,
)

# --- finish words ------------------------------------------------------------------------------------------------


def _ending_in(word: str, text: str = "") -> dict[str, bytes]:
    """An answer that ends in a word, in every format."""
    begun = [event("output_text.delta", delta=text)] if text else []
    details = {"status": "incomplete", "incomplete_details": {"reason": word}}
    return {
        CHAT: chat(*([{"content": text}] if text else []), finish=word),
        RESPONSES: frames(*begun, {"type": "response.incomplete", "response": details}),
        MESSAGES: frames(*([start(), *said(text)] if text else []), *stopped(word)),
    }


_FAILURES = {
    "abort": ("server", "vLLM, SGLang"),
    "network_error": ("server", "Z.ai"),
    "error": ("server", "OpenRouter, Mistral"),
    "insufficient_system_resource": ("overloaded", "DeepSeek"),
    "MALFORMED_FUNCTION_CALL": ("invalid_output", "Gemini, through gateways"),
}
for _word, (_kind, _vendor) in _FAILURES.items():
    wild(
        f"finish-{_word.lower().replace('_', '-')}",
        f"After two words the answer ends in `{_word}` ({_vendor})",
        _ending_in(_word),
        _kind,
        words=2,
        code=_word,
    )
wild(
    "finish-abort-at-once",
    "The answer ends in `abort` before anything came",
    {CHAT: chat({}, finish="abort")},
    "server",
    code="abort",
)

_MEANINGS = {
    FinishReason.STOP: ("end_turn", "eos", "eos_token", "stop_sequence", "STOP", "COMPLETE"),
    FinishReason.LENGTH: ("max_tokens", "MAX_TOKENS", "model_context_window_exceeded"),
    FinishReason.CONTENT_FILTER: (
        *("sensitive", "content_filtered", "guardrail_intervened", "SAFETY"),
        "content_filter",
    ),
    FinishReason.TOOL_CALLS: ("tool_use", "TOOL_CALL", "requires_action"),
}
for _reason, _words in _MEANINGS.items():
    for _word in _words:
        _case = "" if _word.islower() else "-in-capitals"
        wild(
            f"finish-word-{_word.lower().replace('_', '-')}{_case}",
            f"The answer ends in the word `{_word}`",
            _ending_in(_word, "one two"),
            text="one two",
            finish_reason=_reason,
        )
for _word, _reason in {"max_messages": FinishReason.LENGTH, "steered": FinishReason.PAUSE}.items():
    wild(
        f"incomplete-{_word.replace('_', '-')}",
        f"The response is incomplete because of `{_word}`",
        {RESPONSES: _ending_in(_word, "one two")[RESPONSES]},
        text="one two",
        finish_reason=_reason,
    )

# --- errors in every place ---------------------------------------------------------------------------------------

_LIMITED = {"code": 429, "message": "Upstream rate limit"}
_PLACES: dict[str, tuple[str, Any, str]] = {
    "detail": ("`detail`", {"detail": "Rate limit reached"}, "rate_limit"),
    "type-and-message": (
        "`type` and `message`",
        {"type": "error", "message": "Overloaded"},
        "overloaded",
    ),
    "code-and-msg": ("`code` and `msg`", {"code": "1302", "msg": "too often"}, "rate_limit"),
    "errors": ("`errors[]`", {"errors": [{"code": "rate_limit_exceeded"}]}, "rate_limit"),
    "base-resp": (
        "`base_resp`",
        {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
        "rate_limit",
    ),
    "list": ("a list", [{"error": {"code": 503, "status": "UNAVAILABLE"}}], "overloaded"),
    "nested": ("an `error` within an `error`", {"error": {"error": _LIMITED}}, "rate_limit"),
}
for _name, (_place, _payload, _kind) in _PLACES.items():
    wild(
        f"error-in-{_name}",
        f"After two words an error comes in {_place}",
        dict.fromkeys((CHAT, RESPONSES, MESSAGES), frame(_payload)),
        _kind,
        words=2,
    )
wild(
    "error-by-name",
    "After two words an event is named `error`; its data are words in JSON",
    dict.fromkeys((CHAT, RESPONSES, MESSAGES), frame({"message": "Overloaded"}, "error")),
    "overloaded",
    words=2,
)
_FAILED = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": _LIMITED}
wild(
    "error-in-the-choice",
    "After two words a choice has an `error`",
    {CHAT: frames({"choices": [_FAILED]}) + DONE},
    "rate_limit",
    words=2,
)
wild(
    "error-in-the-delta",
    "After two words a delta has an `error`",
    {CHAT: frames(chunk({"error": _LIMITED})) + DONE},
    "rate_limit",
    words=2,
)
wild(
    "error-document-in-base-resp",
    "A document under 200 says in `base_resp` that the money is spent (MiniMax)",
    {CHAT: {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no balance"}}},
    "quota",
    code="1008",
)

# --- codes inside a stream ---------------------------------------------------------------------------------------

_CODES = {
    "invalid_prompt": "content_filter",
    "cyber_policy": "content_filter",
    "image_content_policy_violation": "content_filter",
    "invalid_image_url": "invalid_request",
    "failed_to_download_image": "invalid_request",
    "data_residency_mismatch": "invalid_request",
    "vector_store_timeout": "server",
    "rate_limit_exceeded": "rate_limit",
}
for _code, _kind in _CODES.items():
    _error = {"code": _code, "message": "m"}
    wild(
        f"failed-{_code.replace('_', '-')}",
        f"The response failed with the code `{_code}`",
        {
            RESPONSES: frames(
                {"type": "response.failed", "response": {"status": "failed", "error": _error}}
            )
        },
        _kind,
        code=_code,
    )
wild(
    "failed-in-status-details",
    "The response failed, and why stands in `status_details`",
    {
        RESPONSES: frames(
            {
                "type": "response.failed",
                "response": {
                    "status": "failed",
                    "status_details": {"error": {"code": "invalid_prompt"}},
                },
            }
        )
    },
    "content_filter",
    code="invalid_prompt",
)
_TYPES = {
    "overloaded": "overloaded",
    "model_overloaded_error": "overloaded",
    "model_rate_limited_error": "rate_limit",
    "session_rate_limited_error": "rate_limit",
    "skill_not_found_error": "not_found",
}
for _type, _kind in _TYPES.items():
    wild(
        f"error-{_type.replace('_', '-')}",
        f"An error of the type `{_type}` in the stream",
        {MESSAGES: frames({"type": "error", "error": {"type": _type, "message": "m"}})},
        _kind,
        code=_type,
    )
