"""Refusals in the wild: money, limits and overflows in every vendor's words, and delays wherever they stand."""

from __future__ import annotations

import json
import time
from typing import Any

from llmstream.testing.faults.catalogue import Fault, enter_fault
from llmstream.testing.faults.wild.rows import refused
from llmstream.testing.reply import Reply


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# --- money -------------------------------------------------------------------------------------------------------

_NO_MONEY = "Your account is suspended due to insufficient balance, please recharge"
for _status in (403, 429):
    refused(
        f"money-moonshot-{_status}",
        f"{_status}, `exceeded_current_quota_error` (Moonshot)",
        _status,
        _error(_NO_MONEY, type="exceeded_current_quota_error"),
        "quota",
        code="exceeded_current_quota_error",
    )
for _code, _words in {
    "1113": "Insufficient balance or no resource package. Please recharge.",
    "1308": "Usage limit reached for 5 hour. Your limit will reset at 2026-12-01 10:00:00",
    "1309": "Your plan has expired",
    "1310": "Weekly limit exhausted",
}.items():
    refused(
        f"money-zai-{_code}",
        f"429, code {_code} (Z.ai)",
        429,
        _error(_words, code=_code),
        "quota",
        code=_code,
    )
refused(
    "money-anthropic",
    "400, the credit balance is too low (Anthropic)",
    400,
    _error("Your credit balance is too low to access the API", type="invalid_request_error"),
    "quota",
)
refused(
    "money-openrouter-free-models",
    "429, `free-models-per-day` (OpenRouter)",
    429,
    _error("Rate limit exceeded: free-models-per-day. Add 10 credits", code=429),
    "quota",
)
refused(
    "money-xai",
    "429, the monthly spending limit is reached (xAI)",
    429,
    {"code": "Some resource has been exhausted", "error": "It reached its monthly spending limit."},
    "quota",
)
refused(
    "money-minimax",
    "200, `base_resp` with code 1008 (MiniMax)",
    200,
    {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    "quota",
    code="1008",
)

# --- other codes of these tables ---------------------------------------------------------------------------------

for _code, _kind in {
    "1002": "authentication",
    "1112": "permission",
    "1220": "permission",
    "1211": "not_found",
    "1301": "content_filter",
    "1302": "rate_limit",
    "1312": "overloaded",
}.items():
    refused(
        f"zai-{_code}",
        f"Code {_code} (Z.ai)",
        429 if _kind in ("rate_limit", "overloaded") else 400,
        _error("m", code=_code),
        _kind,
        code=_code,
    )
refused("zai-1234", "500, code 1234 (Z.ai)", 500, _error("m", code="1234"), "server", code="1234")
for _number, _kind in {
    1000: "server",
    1002: "rate_limit",
    1004: "authentication",
    1027: "content_filter",
    1039: "rate_limit",
    1041: "rate_limit",
}.items():
    refused(
        f"minimax-{_number}",
        f"200, `base_resp` with code {_number} (MiniMax)",
        200,
        {"choices": None, "base_resp": {"status_code": _number, "status_msg": "m"}},
        _kind,
        code=str(_number),
    )
refused(
    "moonshot-overloaded",
    "429, `engine_overloaded_error` (Moonshot)",
    429,
    _error("The engine is currently overloaded", type="engine_overloaded_error"),
    "overloaded",
    code="engine_overloaded_error",
)
refused(
    "openrouter-moderation",
    "403, `metadata.reasons` say why the input was refused (OpenRouter)",
    403,
    _error("No", code=403, metadata={"reasons": ["violence"], "flagged_input": "x"}),
    "content_filter",
)
refused(
    "openrouter-raw",
    "400, what the upstream said stands in `metadata.raw` (OpenRouter)",
    400,
    _error(
        "Provider returned error",
        code=400,
        metadata={"raw": json.dumps(_error("prompt is too long: 9 tokens > 8 maximum"))},
    ),
    "context_length",
)
refused(
    "aws-expired-token",
    "403, ExpiredTokenException (AWS)",
    403,
    {"message": "The security token included in the request is expired"},
    "authentication",
    headers={"x-amzn-errortype": "ExpiredTokenException:http://internal"},
    code="ExpiredTokenException",
)

# --- too long ----------------------------------------------------------------------------------------------------

_OVERFLOWS = {
    "xai": "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
    "moonshot": "Your request exceeded model token limit: 262144 (requested: 269030)",
    "zai": "Prompt exceeds max length",
    "copilot": "prompt token count of 140000 exceeds the limit of 128000",
    "alibaba": "Range of input length should be [1, 30720]",
    "qwen": "Input token length too long",
    "bedrock": "Input is too long for requested model.",
    "cohere": "too many tokens: size limit exceeded by 25836 tokens",
    "cerebras": "Please reduce the length. Current length is 9000 while limit is 8192",
}
for _vendor, _words in _OVERFLOWS.items():
    refused(
        f"overflow-{_vendor}",
        f"400, the prompt is too long, in the words of {_vendor}",
        400,
        _error(_words, type="invalid_request_error"),
        "context_length",
    )
refused(
    "overflow-mistral",
    "400, code 3051 (Mistral)",
    400,
    {"object": "error", "message": "too large", "type": "invalid_request_error", "code": "3051"},
    "context_length",
)
refused(
    "no-overflow",
    "400, a string is too long: no overflow",
    400,
    _error(
        "Invalid 'id': string too long. Expected a string with maximum length 40",
        type="invalid_request_error",
        code="string_above_max_length",
    ),
    "invalid_request",
    code="string_above_max_length",
)

# --- forms of bodies ---------------------------------------------------------------------------------------------

_LIMITED = _error("slow down", type="rate_limit_error")
refused(
    "body-of-events",
    "429, the body is a server-sent event",
    429,
    f"event: error\ndata: {json.dumps(_LIMITED)}\n\n".encode(),
    "rate_limit",
    headers={"content-type": "text/event-stream"},
    code="rate_limit_error",
)
refused(
    "body-in-a-list",
    "400, the error stands in a list (Google)",
    400,
    [{"error": {"code": 400, "message": "m", "details": [{"reason": "API_KEY_INVALID"}]}}],
    "authentication",
    code="API_KEY_INVALID",
)

# --- delays ------------------------------------------------------------------------------------------------------

_IN_BODIES: dict[str, tuple[str, Any]] = {
    "metadata": ("`metadata.retry_after_seconds`", {"metadata": {"retry_after_seconds": 3}}),
    "metadata-headers": ("`metadata.headers`", {"metadata": {"headers": {"Retry-After": "3"}}}),
    "words": ("words", {"message": "Rate limit reached. Please try again in 3.0s."}),
    "retry-info": ("Google's `retryDelay`", {"details": [{"retryDelay": "3s"}]}),
}
for _place, (_shown, _members) in _IN_BODIES.items():
    refused(
        f"delay-in-{_place}",
        f"429, the delay stands in {_shown}",
        429,
        {"error": {"message": "slow down", "code": 429, **_members}},
        "rate_limit",
        delay=(3.0, 3.3),
    )
for _name, _headers in {
    "with-a-unit": {"retry-after": "3s"},
    "in-milliseconds": {"retry-after": "3000ms"},
    "as-a-reset": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"},
}.items():
    refused(
        f"delay-{_name}",
        f"429, `{', '.join(f'{key}: {value}' for key, value in _headers.items())}`",
        429,
        _LIMITED,
        "rate_limit",
        headers=_headers,
        delay=(3.0, 3.3),
    )


async def _reset_since_1970(reply: Reply) -> None:
    moment = int((time.time() + 3) * 1000)
    await reply.whole(429, _LIMITED, {"x-ratelimit-reset": str(moment)})


enter_fault(
    Fault(
        "wild-delay-since-1970",
        "wild",
        "429, `X-RateLimit-Reset` in milliseconds since 1970",
        _reset_since_1970,
        ("rate_limit",),
        delay=(2.0, 3.3),
    )
)
