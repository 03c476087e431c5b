"""Error kinds: what vendors' codes and words mean, as one table with a source for each row.

A code decides first. Then come words of the message, then the HTTP status: 400 may mean a wrong key, an unknown model
or a prompt that is too long. Vague codes ("invalid_request_error") only count where nothing else does. Words of money
count more than a rate limit: many vendors send 429 for both, and no wait brings money.

It is a long file because it is one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmstream.errors import ErrorKind
from llmstream.wire.json_fields import snake_case


@dataclass(frozen=True, slots=True)
class Codes:
    """One row: codes and types of one vendor that mean the same.

    MiniMax's and Mistral's numbers stand behind their names ("minimax/1008"): plain ones are Z.ai's and SiliconFlow's.
    """

    kind: ErrorKind
    source: str
    codes: tuple[str, ...]
    vague: bool = False
    """The message, then the status, may know better."""


@dataclass(frozen=True, slots=True)
class Words:
    """One row: words that say the kind, in a message or in a code that no row lists."""

    kind: ErrorKind
    source: str
    pattern: str
    """A regular expression; compiled by the first error, so that programs without one don't wait for it."""
    unless: str = ""
    """Words beside which these mean nothing."""

    def match(self, text: str) -> bool:
        """Whether they stand in a text, in upper or lower case."""
        if not re.search(self.pattern, text, re.I):
            return False
        return not self.unless or not re.search(self.unless, text, re.I)


def _codes(kind: ErrorKind, source: str, codes: str, *, vague: bool = False) -> Codes:
    return Codes(kind, source, tuple(codes.split()), vague)


def _words(kind: ErrorKind, source: str, *patterns: str, unless: str = "") -> Words:
    return Words(kind, source, "|".join(patterns), unless)


_OPENAI = "platform.openai.com/docs/guides/error-codes"
_RESPONSES = "openai ResponseError.code"
_ANTHROPIC = "docs.claude.com/en/api/errors; anthropic ErrorType"
_ANTHROPIC_DETAILS = "anthropic ErrorDetails (error_code)"
_ANTHROPIC_STREAM = "anthropic beta.sessions (error types in a stream)"
_GOOGLE = "cloud.google.com/apis/design/errors; google.rpc.Code"
_INTERACTIONS = "ai.google.dev/gemini-api/docs/api-errors"
_AWS = "docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html"
_BEDROCK = "botocore bedrock-runtime (ConverseStream errors)"
_AZURE = "learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter"
_GITHUB = "docs.github.com/github-models; copilot-api reports"
_ZAI = "docs.z.ai/api-reference/api-code; docs.bigmodel.cn/cn/api/api-code"
_MINIMAX = "platform.minimax.io/docs/api-reference/errorcode"
_MOONSHOT = "platform.moonshot.ai/docs/api/chat (errors)"
_MISTRAL = "docs.mistral.ai/api (errors); recorded: mistral-chat"
_GROQ = "console.groq.com/docs/errors; recorded: groq-chat"
_DEEPSEEK = "api-docs.deepseek.com/quick_start/error_codes"
_ALIBABA = "help.aliyun.com/zh/model-studio/error-code"
_VOLCENGINE = "volcengine.com/docs/82379/1299023 (error codes)"
_BAIDU = "cloud.baidu.com/doc/qianfan-api (error codes)"
_SILICONFLOW = "docs.siliconflow.com (error codes)"
_XAI = "docs.x.ai/docs/key-information/debugging"
_TOGETHER = "docs.together.ai/docs/error-codes"
_OPENROUTER = "openrouter.ai/docs/api-reference/errors"
_COHERE = "docs.cohere.com/reference/errors"
_LITELLM = "docs.litellm.ai/docs/exception_mapping"
_CODEX = "openai/codex codex-rs api errors (usage_limit_reached)"
_LLAMACPP = "ggml-org/llama.cpp tools/server (error types)"
_VLLM = "vllm-project/vllm entrypoints/openai (ErrorResponse)"
_TGI = "huggingface.co/docs/text-generation-inference (error_type)"
_OLLAMA = "ollama/ollama server/routes.go, api/types.go (AuthorizationError)"
_CEREBRAS = "inference-docs.cerebras.ai/support/error"
_SPELLING = "how vendors spell such codes"

CODES: tuple[Codes, ...] = (
    # --- who asks ---
    _codes("authentication", _OPENAI, "invalid_api_key incorrect_api_key account_deactivated"),
    _codes("authentication", _ANTHROPIC, "authentication_error"),
    _codes("authentication", _GOOGLE, "UNAUTHENTICATED API_KEY_INVALID API_KEY_EXPIRED"),
    _codes("authentication", _INTERACTIONS, "authentication"),
    _codes("authentication", _AWS, "UnrecognizedClientException ExpiredTokenException"),
    _codes("authentication", _AWS, "ExpiredToken InvalidSignatureException InvalidClientTokenId"),
    _codes("authentication", _AWS, "IncompleteSignature MissingAuthenticationToken RequestExpired"),
    _codes("authentication", _AWS, "SignatureDoesNotMatch IncompleteSignatureException"),
    _codes("authentication", _AWS, "MissingAuthenticationTokenException"),
    _codes("authentication", _ZAI, "1000 1001 1002 1003 1004"),
    _codes("authentication", _MINIMAX, "minimax/1004 minimax/2049"),
    _codes("authentication", _MOONSHOT, "invalid_authentication_error incorrect_api_key_error"),
    _codes("authentication", _ALIBABA, "InvalidApiKey invalid_api-key"),
    _codes("authentication", _SPELLING, "unauthorized invalid_token token_expired"),
    _codes("permission", _ANTHROPIC, "permission_error"),
    _codes("permission", _ANTHROPIC_DETAILS, "workspace_policy_violation organization_on_hold"),
    _codes("permission", _GOOGLE, "PERMISSION_DENIED SERVICE_DISABLED"),
    _codes("permission", _AWS, "AccessDeniedException NotAuthorized OptInRequired"),
    _codes("permission", _OPENAI, "unsupported_country_region_territory insufficient_permissions"),
    _codes("permission", _ZAI, "1110 1111 1112 1121 1220 1300"),
    _codes("permission", _MINIMAX, "minimax/2042"),
    _codes("permission", _MOONSHOT, "permission_denied_error"),
    _codes("permission", _ALIBABA, "AccessDenied.Unpurchased Model.AccessDenied"),
    _codes("permission", _SPELLING, "forbidden access_denied"),
    # --- what is asked for ---
    _codes("not_found", _OPENAI, "model_not_found"),
    _codes("not_found", _ANTHROPIC, "not_found_error"),
    _codes("not_found", _ANTHROPIC_STREAM, "skill_not_found_error"),
    _codes("not_found", _GOOGLE, "NOT_FOUND"),
    _codes("not_found", _AWS, "ResourceNotFoundException"),
    _codes("not_found", _AZURE, "DeploymentNotFound"),
    _codes("not_found", _MISTRAL, "invalid_model mistral/1500"),
    _codes("not_found", _GROQ, "model_decommissioned"),
    _codes("not_found", _ZAI, "1211 1221 1222"),
    _codes("not_found", _MOONSHOT, "resource_not_found_error"),
    _codes("not_found", _ALIBABA, "ModelNotFound model_not_supported"),
    _codes("not_found", _GITHUB, "unknown_model unavailable_model"),
    _codes("not_found", _TOGETHER, "model_not_available"),
    # --- too long ---
    _codes("context_length", _OPENAI, "context_length_exceeded"),
    _codes("context_length", _ANTHROPIC, "request_too_large"),
    _codes("context_length", _ANTHROPIC_DETAILS, "prompt_too_long"),
    _codes("context_length", _ANTHROPIC_DETAILS, "request_body_too_large_after_decoding"),
    _codes("context_length", _LLAMACPP, "exceed_context_size_error"),
    _codes("context_length", _COHERE, "TOO_MANY_TOKENS"),
    _codes("context_length", _ZAI, "1261"),
    _codes("context_length", _MISTRAL, "mistral/3051"),
    _codes("context_length", _GITHUB, "model_max_prompt_tokens_exceeded tokens_limit_reached"),
    _codes("context_length", _BAIDU, "tokens_too_long characters_too_long"),
    _codes("context_length", _SPELLING, "context_window_exceeded context_overflow input_too_long"),
    # --- filters ---
    _codes("content_filter", _OPENAI, "content_filter content_policy_violation"),
    _codes("content_filter", "openai BetaResponse (moderation_blocked)", "moderation_blocked"),
    _codes("content_filter", _RESPONSES, "invalid_prompt bio_policy misalignment_policy_violation"),
    _codes("content_filter", _RESPONSES, "image_content_policy_violation"),
    _codes("content_filter", "reports of gpt-5.x-codex", "cyber_policy cyber_policy_violation"),
    _codes("content_filter", _AZURE, "ResponsibleAIPolicyViolation"),
    _codes("content_filter", _ALIBABA, "DataInspectionFailed data_inspection_failed"),
    _codes("content_filter", _ZAI, "1301"),
    _codes("content_filter", _MINIMAX, "minimax/1026 minimax/1027"),
    _codes("content_filter", _VOLCENGINE, "SensitiveContentDetected"),
    _codes("content_filter", _INTERACTIONS, "safety recitation language prohibited_content spii"),
    _codes("content_filter", _INTERACTIONS, "blocklist image_safety image_prohibited_content"),
    _codes("content_filter", _INTERACTIONS, "image_recitation content_blocked"),
    # --- money ---
    _codes("quota", _OPENAI, "insufficient_quota billing_hard_limit_reached billing_not_active"),
    _codes("quota", _ANTHROPIC, "billing_error"),
    _codes("quota", _ANTHROPIC_DETAILS, "enforced_spend_limit_reached ramp_limit_exceeded"),
    _codes("quota", _ANTHROPIC_DETAILS, "contract_spend_limit_reached user_profile_not_billable"),
    _codes("quota", _ANTHROPIC_DETAILS, "linked_organization_spend_limit_reached"),
    _codes("quota", _ANTHROPIC_DETAILS, "linked_organization_billing_unavailable"),
    _codes("quota", _AWS, "ServiceQuotaExceededException"),
    _codes("quota", _GITHUB, "quota_exceeded"),
    _codes("quota", _MOONSHOT, "exceeded_current_quota_error"),
    _codes("quota", _ZAI, "1113 1304 1308 1309 1310 1311 1313"),
    _codes("quota", _ZAI, "1314 1315 1316 1317 1318 1319 1320"),
    _codes("quota", _ZAI, "1321"),
    _codes("quota", _MINIMAX, "minimax/1008 minimax/2056 insufficient_balance_error"),
    _codes("quota", _ALIBABA, "Arrearage AllocationQuota.FreeTierOnly"),
    _codes("quota", _VOLCENGINE, "AccountOverdueError QuotaExceeded"),
    _codes("quota", _SILICONFLOW, "30001"),
    _codes("quota", _TOGETHER, "credit_limit"),
    _codes("quota", _LITELLM, "budget_exceeded"),
    _codes("quota", _CODEX, "usage_limit_reached usage_not_included"),
    _codes("quota", _SPELLING, "payment_required insufficient_credits insufficient_funds"),
    # --- too often ---
    _codes("rate_limit", _OPENAI, "rate_limit_exceeded"),
    _codes("rate_limit", _ANTHROPIC, "rate_limit_error"),
    _codes("rate_limit", _ANTHROPIC_STREAM, "model_rate_limited_error session_rate_limited_error"),
    _codes("rate_limit", _GOOGLE, "RESOURCE_EXHAUSTED"),
    _codes("rate_limit", _AWS, "ThrottlingException TooManyRequestsException"),
    _codes("rate_limit", _ZAI, "1302 1303 1305"),
    _codes("rate_limit", _MINIMAX, "minimax/1002 minimax/1039 minimax/1041 minimax/2045"),
    _codes("rate_limit", _MOONSHOT, "rate_limit_reached_error"),
    _codes("rate_limit", _MISTRAL, "rate_limited mistral/1300"),
    _codes("rate_limit", _ALIBABA, "Throttling limit_requests limit_burst_rate"),
    _codes("rate_limit", _VOLCENGINE, "RequestBurstTooFast SetLimitExceeded"),
    _codes("rate_limit", _SPELLING, "too_many_requests"),
    # --- no room ---
    _codes("overloaded", _OPENAI, "service_unavailable slow_down engine_overloaded"),
    _codes("overloaded", _ANTHROPIC, "overloaded_error"),
    _codes("overloaded", _ANTHROPIC_STREAM, "overloaded model_overloaded_error"),
    _codes("overloaded", _GOOGLE, "UNAVAILABLE"),
    _codes("overloaded", _BEDROCK, "ServiceUnavailableException ModelNotReadyException"),
    _codes("overloaded", _ZAI, "1312"),
    _codes("overloaded", _MOONSHOT, "engine_overloaded_error"),
    _codes("overloaded", _MISTRAL, "service_tier_capacity_exceeded mistral/3505"),
    _codes("overloaded", _VOLCENGINE, "ServerOverloaded"),
    _codes("overloaded", _LLAMACPP, "unavailable_error"),
    _codes("overloaded", _SILICONFLOW, "50603 50505"),
    _codes("overloaded", _DEEPSEEK, "insufficient_system_resource"),
    # --- its own failure ---
    _codes("server", _OPENAI, "internal_error"),
    _codes("server", _RESPONSES, "vector_store_timeout"),
    _codes("server", _ANTHROPIC, "timeout_error"),
    _codes("server", _GOOGLE, "DEADLINE_EXCEEDED DATA_LOSS"),
    _codes("server", _BEDROCK, "InternalServerException ModelStreamErrorException"),
    _codes("server", _BEDROCK, "ModelErrorException"),
    _codes("timeout", _BEDROCK, "ModelTimeoutException"),
    _codes("server", _ZAI, "1120 1230 1234"),
    _codes("server", _MINIMAX, "minimax/1000 minimax/1001 minimax/1024 minimax/1033"),
    _codes("server", _ALIBABA, "RequestTimeOut InternalError.Algo"),
    _codes("tool_use_failed", _GROQ, "tool_use_failed"),
    _codes("invalid_output", _GROQ, "json_validate_failed output_parse_failed"),
    _codes("invalid_output", _INTERACTIONS, "malformed_function_call malformed_tool_call"),
    _codes("invalid_output", _INTERACTIONS, "unexpected_tool_call too_many_tool_calls"),
    _codes("invalid_output", _INTERACTIONS, "no_image image_other"),
    # --- the request ---
    _codes("invalid_request", _INTERACTIONS, "missing_thought_signature"),
    _codes("invalid_request", _INTERACTIONS, "parameter_unknown", vague=True),
    _codes("invalid_request", _OPENAI, "string_above_max_length array_above_max_length"),
    _codes("invalid_request", _OPENAI, "unsupported_parameter unsupported_value", vague=True),
    _codes("invalid_request", _OPENAI, "unknown_parameter invalid_value invalid_type", vague=True),
    _codes("invalid_request", _OPENAI, "missing_required_parameter", vague=True),
    _codes("invalid_request", _OPENAI, "integer_above_max_value empty_array", vague=True),
    _codes("invalid_request", _OPENAI, "integer_below_min_value", vague=True),
    _codes("invalid_request", _OPENAI, "decimal_above_max_value", vague=True),
    _codes("invalid_request", _OPENAI, "decimal_below_min_value", vague=True),
    _codes("invalid_request", _RESPONSES, "data_residency_mismatch invalid_image"),
    _codes("invalid_request", _RESPONSES, "invalid_image_format invalid_base64_image"),
    _codes("invalid_request", _RESPONSES, "invalid_image_url image_too_large image_too_small"),
    _codes("invalid_request", _RESPONSES, "image_parse_error invalid_image_mode"),
    _codes("invalid_request", _RESPONSES, "image_file_too_large unsupported_image_media_type"),
    _codes("invalid_request", _RESPONSES, "empty_image_file failed_to_download_image"),
    _codes("invalid_request", _RESPONSES, "image_file_not_found"),
    _codes("invalid_request", _ZAI, "1210 1212 1213 1214 1215 1231"),
    _codes("invalid_request", _MINIMAX, "minimax/1042"),
    # --- what says little ---
    _codes("server", _OPENAI, "server_error", vague=True),
    _codes("server", _ANTHROPIC, "api_error conflict_error", vague=True),
    _codes("server", _GOOGLE, "INTERNAL UNKNOWN ABORTED CANCELLED", vague=True),
    _codes("server", _BEDROCK, "ConflictException", vague=True),
    _codes("server", _SPELLING, "bad_gateway gateway_timeout internal_server_error", vague=True),
    _codes("invalid_request", _OPENAI, "invalid_request_error invalid_request", vague=True),
    _codes("invalid_request", _GOOGLE, "INVALID_ARGUMENT FAILED_PRECONDITION", vague=True),
    _codes("invalid_request", _GOOGLE, "OUT_OF_RANGE UNIMPLEMENTED ALREADY_EXISTS", vague=True),
    _codes("invalid_request", _BEDROCK, "ValidationException", vague=True),
    _codes("invalid_request", _VLLM, "BadRequestError bad_request", vague=True),
    _codes("invalid_request", _TGI, "validation", vague=True),
    _codes("invalid_request", _MINIMAX, "minimax/2013", vague=True),
    _codes("invalid_request", _ALIBABA, "InvalidParameter invalid_parameter_error", vague=True),
    _codes("invalid_request", _ANTHROPIC, "memory_path_conflict_error", vague=True),
    _codes("invalid_request", _ANTHROPIC, "memory_precondition_failed_error", vague=True),
)

_TOO_MANY = r"(?:more|longer|larger|greater) than|exceed\w*|over|beyond"

CODE_WORDS: tuple[Words, ...] = (
    _words(
        "quota", _SPELLING, r"insufficient_(?:quota|balance|credit|fund)", r"spend(?:ing)?_limit"
    ),
    _words("authentication", _SPELLING, r"^auth(?:entication)?_|invalid_api_key"),
    _words("permission", _SPELLING, r"access_denied|permission_denied|forbidden"),
    _words("quota", _SPELLING, r"balance_(?:not_enough|insufficient)", r"arrear|overdue|no_credit"),
    _words("rate_limit", _SPELLING, r"rate_?limit|throttl|too_many_requests"),
    _words("rate_limit", _VOLCENGINE, r"(?:rpm|tpm|qps|ipm)_?(?:limit|exceed)"),
    _words("overloaded", _SPELLING, r"overload|capacity_exceeded|(?:server|system)_busy"),
    _words("content_filter", _SPELLING, r"(?:cyber|bio|usage|safety)_policy|content_policy"),
    _words("content_filter", _VOLCENGINE, r"sensitive_content|content_(?:filter|moderation)"),
    _words("context_length", _SPELLING, r"context_(?:length|window|size)"),
    _words("not_found", _SPELLING, r"_not_found$"),
)
"""Words in codes that no row lists."""

_CONTEXT_WORDS = (
    _words(
        "context_length",
        "recorded: the family; " + _VLLM,
        r"context (?:length|window|size|limit)",
        r"input tokens (?:\(\d+\) )?exceed",
        r"too long: \d+ tokens",
        r"prompt (?:is )?too long",
        r"too many (?:input )?tokens",
        r"maximum number of tokens",
        r"exceed\w{0,3} .{0,30}context",
    ),
    _words("context_length", "cline#3120 (xAI)", r"maximum prompt length"),
    _words("context_length", "kimi-cli#2011 (Moonshot)", r"exceeded model token limit"),
    _words("context_length", _ZAI, r"prompt exceeds? (?:the )?max\w* length"),
    _words(
        "context_length",
        "copilot-api reports; " + _GITHUB,
        rf"(?:prompt|input) token count (?:of \d+ )?(?:{_TOO_MANY})",
        r"request body too large for .{0,60}model",
    ),
    _words(
        "context_length",
        _ALIBABA + "; Qwen",
        r"range of input length should be",
        r"input (?:token )?length (?:is )?too long",
        rf"input (?:token )?length .{{0,20}}(?:{_TOO_MANY})",
    ),
    _words("context_length", _BEDROCK, r"input is too long"),
    _words("context_length", _CEREBRAS, r"current length is \d+ while limit is \d+"),
    _words("context_length", _MISTRAL, r"prompt contains \d+ tokens .{0,40}too large"),
    _words(
        "context_length",
        _TGI,
        r"`?inputs`? (?:tokens )?(?:\+ `?max_new_tokens`? )?must (?:be <=|have less than) \d+",
    ),
    _words("context_length", _VLLM, r"prompt .{0,30}longer than the maximum model length"),
    _words(
        "context_length",
        _VOLCENGINE,
        r"exceeds? (?:the )?(?:model's )?max(?:imum)? (?:input|prompt|message) (?:length|tokens)",
    ),
    _words("context_length", _BAIDU, r"prompt tokens too long|max input characters"),
    _words("context_length", _ZAI, r"prompt ?超长|超(?:过|出)(?:了)?(?:模型)?最大(?:长度|上下文)"),
    _words("context_length", "recorded: ollama-cloud-chat", r"exceeded max context"),
)

WORDS: tuple[Words, ...] = (
    # --- not what they look like ---
    _words(
        "invalid_request",
        "litellm#17343; " + _OPENAI,
        r"(?:string|array) too long\. expected",
        r"too many (?:properties|stop sequences)",
    ),
    _words(
        "invalid_request",
        _OPENAI + "; " + _GROQ,
        r"max_(?:completion_|output_|new_)?tokens\b.{0,60}(?:too large|less than or equal|at most)",
        unless=r"context length|inputs?\b|prompt",
    ),
    # --- too long ---
    *_CONTEXT_WORDS,
    # --- who asks, what for ---
    _words(
        "authentication",
        "recorded: gemini, xai, perplexity",
        r"(?:incorrect|invalid|missing|not valid).{0,20}api[ _-]?key",
        r"api key not valid",
    ),
    _words(
        "authentication",
        "fastapi.tiangolo.com: fastapi.security; " + _BAIDU,
        r"not authenticated|invalid authentication credentials",
        r"access token (?:is )?(?:invalid|expired)|(?:invalid|expired) access token",
    ),
    _words("authentication", _OLLAMA, r"^\s*unauthorized\s*$"),
    _words("authentication", _AWS, r"security token .{0,40}(?:invalid|expired)"),
    _words(
        "not_found",
        "recorded: openai, cohere, bedrock, deepseek",
        r"model.{0,80}(?:does not exist|not found|was removed)",
        r"(?:invalid|unknown) model",
        r"model identifier is invalid",
        r"supported api model names are",
    ),
    # --- filters ---
    _words("content_filter", _OPENROUTER, r"requires moderation|input was flagged"),
    _words(
        "content_filter",
        _AZURE + "; docs.claude.com/en/api/errors",
        r"content (?:management|filtering|moderation) policy",
        r"blocked by .{0,30}content filter",
    ),
    _words("content_filter", _XAI, r"content violates .{0,30}guidelines"),
    _words("content_filter", "DeepSeek-V3#570", r"content exists risk"),
    _words("content_filter", _MOONSHOT, r"considered high risk"),
    _words("content_filter", _ALIBABA, r"may contain inappropriate content"),
    _words("content_filter", _ZAI, r"unsafe or sensitive content|不安全或敏感内容"),
    _words("content_filter", _MINIMAX, r"new_sensitive|(?:input|output) .{0,10}sensitive"),
    # --- no room, too often ---
    _words(
        "overloaded",
        _ANTHROPIC + "; " + _MISTRAL,
        r"overloaded",
        r"(?:service tier|flex tier|model) .{0,10}capacity exceeded",
        r"(?:server|system|service)(?: is)?(?: too| currently)? busy",
        r"(?:experiencing|due to) .{0,10}high (?:demand|load|traffic)",
    ),
    _words(
        "rate_limit",
        _OPENAI + "; the family",
        r"rate.?limit",
        r"too many requests",
        r"(?:requests|tokens) per (?:second|minute|hour|day)",
    ),
    _words("rate_limit", _ZAI, r"并发数过高|频率过高|流量限制"),
    _words("overloaded", _ZAI, r"访问量过大"),
)
"""Words of messages, the first that fits counts. Those of money stand apart."""

MONEY: tuple[Words, ...] = (
    _words(
        "quota",
        _ANTHROPIC + "; " + _DEEPSEEK,
        r"credit balance is too low",
        r"insufficient[ _](?:account )?(?:balance|credits?|funds|quota)",
    ),
    _words("quota", "opencode#24462; " + _MOONSHOT, r"(?:please |account.{0,20}|and )recharge"),
    _words("quota", _ZAI, r"余额不足|欠费|请充值|使用上限|套餐已到期"),
    _words("quota", _ZAI, r"no resource package|account .{0,20}in arrears|usage limit reached for"),
    _words("quota", _OPENROUTER, r"free-models-per-(?:day|month)|requires more credits"),
    _words("quota", _OPENROUTER, r"key limit exceeded"),
    _words("quota", "docs.ollama.com/cloud; Kimi", r"reached your .{0,20}usage limit"),
    _words("quota", _XAI, r"used all available credits|spending limit|doesn't have any credits"),
    _words("quota", "ai.google.dev/gemini-api/docs/billing", r"(?:prepay\w*|prepaid) credits"),
    _words("quota", _TOGETHER, r"credit limit exceeded|(?:out of|no remaining) credits"),
    _words("quota", _SILICONFLOW + "; " + _BAIDU, r"balance (?:is )?(?:insufficient|not enough)"),
    _words("quota", "huggingface.co/docs/inference-providers/pricing", r"monthly included credits"),
    _words("quota", _ALIBABA, r"overdue.payment|account is in good standing"),
    _words("quota", _ALIBABA, r"free (?:tier|quota) of .{0,40}(?:exhausted|used up)"),
    _words(
        "quota",
        _OPENAI,
        r"exceeded your current quota, please check your plan and billing",
        unless=r"quota exceeded for metric|ai\.google\.dev",
    ),
    _words("quota", "docs.cohere.com/docs/rate-limits", r"limited to \d+ api calls ?/ ?month"),
    _words("quota", _GITHUB, r"exceeded your (?:monthly|premium request) (?:quota|allowance)"),
)
"""Words that mean money, whatever the status says. They beat a rate limit too."""

STATUSES: dict[int, ErrorKind] = {
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "context_length",
    429: "rate_limit",
    498: "overloaded",  # Groq's flex tier
    503: "overloaded",
    529: "overloaded",
}
_FIRM = frozenset({401, 402, 404, 429})
"""Statuses that say more than the words of a message, except those of money."""


_MAY_BE_MONEY = frozenset({None, "rate_limit", "permission"})
"""What a code may say although the words say that it is about money."""
_OF_REQUEST = re.compile(r"(?:invalid|unsupported|missing|unknown)_(?!response|output)")
"""How codes begin that find fault with the request (OpenAI's invalid_value, unsupported_value …)."""


def _by_code(rows: Iterable[Codes]) -> dict[str, ErrorKind]:
    return {snake_case(code): row.kind for row in rows for code in row.codes}


_PRECISE = _by_code(row for row in CODES if not row.vague)
_VAGUE = _by_code(row for row in CODES if row.vague)


def classify(codes: Iterable[str], message: str, status: int | None) -> ErrorKind:
    """The kind of an error: of its codes, the most specific first, its words, and its status, if it has one."""
    keys = [key for code in codes for key in _keys(code)]
    by_code = _kind_of_codes(keys)
    if by_code in _MAY_BE_MONEY and status != 404 and _match(MONEY, message):
        return "quota"
    return by_code or _kind_of_message(message, status) or _kind_of_status(status) or _guess(keys)


def is_known(code: str) -> bool:
    """Whether a row lists this code, or a number with its vendor."""
    return any(key in _PRECISE or key in _VAGUE for key in _keys(code))


def kind_of_code(code: str) -> ErrorKind | None:
    """What a code means by itself; None if it is no error's."""
    keys = _keys(code)
    precise = _kind_of_codes(keys)
    if precise is not None:
        return precise
    return next((_VAGUE[key] for key in keys if key in _VAGUE), None)


def _keys(code: str) -> list[str]:
    """A code as the table has it, and without the word that many end in."""
    key = snake_case(code)
    return [key, *(key.removesuffix(end) for end in ("_error", "_exception") if key.endswith(end))]


def _kind_of_codes(keys: list[str]) -> ErrorKind | None:
    for key in keys:
        if key in _PRECISE:
            return _PRECISE[key]
    unknown = [key for key in keys if key not in _VAGUE]
    return next((kind for key in unknown if (kind := _match(CODE_WORDS, key))), None)


def _kind_of_message(message: str, status: int | None) -> ErrorKind | None:
    return None if status in _FIRM else _match(WORDS, message)


def _kind_of_status(status: int | None) -> ErrorKind | None:
    if status is None:
        return None
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return "redirect"
    if status < 200:
        return "protocol"
    return "server" if status >= 500 else "invalid_request"


def _guess(keys: list[str]) -> ErrorKind:
    """The kind of an error that came inside a stream, where nothing but vague codes says anything."""
    for key in keys:
        if key in _VAGUE:
            return _VAGUE[key]
    return "invalid_request" if any(map(_OF_REQUEST.match, keys)) else "server"


def _match(rows: Iterable[Words], text: str) -> ErrorKind | None:
    """The kind of the first row whose words stand in a text."""
    return next((row.kind for row in rows if row.match(text)), None)
