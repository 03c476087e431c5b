"""Finish words and error codes as vendors list them: copied from their packages and pages, for tests of our tables.

`test_finish_words.py` and `test_error_kinds.py` hold the tables against these lists, and the lists against the packages
where those are installed.
"""

from __future__ import annotations

FINISH = {
    "google-genai FinishReason": (
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION LANGUAGE OTHER BLOCKLIST PROHIBITED_CONTENT SPII"
        " MALFORMED_FUNCTION_CALL IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_OTHER NO_IMAGE IMAGE_RECITATION"
        " UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE MALFORMED_RESPONSE ESCALATION"
        " PUP_LIMITED_DISABLED CONTINUATION MODEL_ARMOR"
    ),
    "google-genai InteractionStatus": (
        "requires_action completed failed cancelled incomplete budget_exceeded requires_continuation"
    ),
    "mistralai ChatCompletionChoice": "stop length model_length error tool_calls",
    "cohere ChatFinishReason": "COMPLETE STOP_SEQUENCE MAX_TOKENS TOOL_CALL ERROR TIMEOUT",
    "cohere FinishReason": "COMPLETE STOP_SEQUENCE ERROR ERROR_TOXIC ERROR_LIMIT USER_CANCEL MAX_TOKENS TIMEOUT",
    "botocore bedrock-runtime StopReason": (
        "end_turn tool_use max_tokens stop_sequence guardrail_intervened content_filtered malformed_model_output"
        " malformed_tool_use model_context_window_exceeded"
    ),
    "docs.z.ai/api-reference/llm/chat-completion": (
        "stop tool_calls length sensitive model_context_window_exceeded network_error"
    ),
    "api-docs.deepseek.com/api/create-chat-completion": (
        "stop length content_filter tool_calls insufficient_system_resource"
    ),
    "platform.moonshot.ai/docs/api/chat": "stop length tool_calls content_filter",
    "platform.minimax.io/docs/api-reference/text-chat": "stop length tool_calls content_filter",
    "help.aliyun.com/model-studio (DashScope)": "stop length tool_calls",
    "docs.together.ai/reference/chat-completions": "stop eos length tool_calls function_call",
    "console.groq.com/docs/api-reference": "stop length tool_calls function_call",
    "openrouter.ai/docs/api-reference/overview": "tool_calls stop length content_filter error",
    "docs.x.ai chat.proto FinishReason": (
        "REASON_INVALID REASON_MAX_LEN REASON_MAX_CONTEXT REASON_STOP REASON_TOOL_CALLS REASON_TIME_LIMIT"
    ),
    "docs.perplexity.ai/api-reference/chat-completions-post": "stop length",
    "cloud.baidu.com/doc/qianfan-api": "normal stop length content_filter function_call tool_calls",
    "cloud.tencent.com/document/product/1729 (Hunyuan)": "stop sensitive tool_calls",
    "vllm-project/vllm v1/engine/__init__.py": "stop length abort error repetition",
    "sgl-project/sglang srt/managers/schedule_batch.py": "stop length abort tool_calls",
    "huggingface.co/docs/text-generation-inference": "length eos_token stop_sequence",
    "NVIDIA/TensorRT-LLM executor/result.py": "stop length timeout cancelled",
    "EricLBuehler/mistral.rs": "stop length tool_calls canceled",
    "lmstudio.ai/docs LLMPredictionStopReason": (
        "userStopped modelUnloaded failed eosFound stopStringFound toolCalls maxPredictedTokensReached"
        " contextLengthReached"
    ),
    "ollama/ollama llm/server.go": "stop length load unload",
    "docs.aws.amazon.com/bedrock, Titan Text": (
        "FINISHED LENGTH CONTENT_FILTERED STOP_CRITERIA_MET FINISH"
    ),
    "ai-sdk.dev finishReason": "stop length content-filter tool-calls error",
}
"""Words by the package or page that lists them. None of them may be OTHER."""

CODES_BY_PAGE: dict[str, dict[str, str]] = {
    "platform.openai.com/docs/guides/error-codes; openai ResponseError": {
        "authentication": "invalid_api_key",
        "quota": "insufficient_quota billing_hard_limit_reached",
        "rate_limit": "rate_limit_exceeded",
        "context_length": "context_length_exceeded",
        "not_found": "model_not_found previous_response_not_found",
        "overloaded": "service_unavailable slow_down engine_overloaded",
        "content_filter": (
            "invalid_prompt bio_policy misalignment_policy_violation image_content_policy_violation cyber_policy"
            " cyber_policy_violation moderation_blocked content_policy_violation content_filter"
        ),
        "invalid_request": (
            "data_residency_mismatch invalid_image invalid_image_format invalid_base64_image invalid_image_url"
            " image_too_large image_too_small image_parse_error invalid_image_mode image_file_too_large"
            " unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found"
            " string_above_max_length invalid_value unsupported_value unknown_parameter missing_required_parameter"
        ),
        "server": "server_error vector_store_timeout",
    },
    "docs.claude.com/en/api/errors; anthropic ErrorType": {
        "authentication": "authentication_error",
        "permission": "permission_error",
        "not_found": "not_found_error skill_not_found_error",
        "context_length": "request_too_large prompt_too_long",
        "quota": "billing_error enforced_spend_limit_reached contract_spend_limit_reached",
        "rate_limit": "rate_limit_error model_rate_limited_error session_rate_limited_error",
        "overloaded": "overloaded_error overloaded model_overloaded_error",
        "server": "api_error timeout_error",
        "invalid_request": "invalid_request_error",
    },
    "cloud.google.com/apis/design/errors (google.rpc.Code)": {
        "invalid_request": "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE ALREADY_EXISTS UNIMPLEMENTED",
        "authentication": "UNAUTHENTICATED API_KEY_INVALID",
        "permission": "PERMISSION_DENIED",
        "not_found": "NOT_FOUND",
        "rate_limit": "RESOURCE_EXHAUSTED",
        "overloaded": "UNAVAILABLE",
        "server": "INTERNAL UNKNOWN ABORTED CANCELLED DEADLINE_EXCEEDED DATA_LOSS",
    },
    "ai.google.dev/gemini-api/docs/api-errors": {
        "invalid_request": (
            "invalid_request failed_precondition out_of_range parameter_unknown already_exists unimplemented"
            " missing_thought_signature"
        ),
        "authentication": "authentication",
        "permission": "permission_denied",
        "not_found": "not_found model_not_found",
        "quota": "payment_required quota_exceeded",
        "rate_limit": "rate_limit_exceeded too_many_requests",
        "overloaded": "service_unavailable",
        "server": "aborted cancelled api_error deadline_exceeded gateway_timeout",
        "content_filter": (
            "safety recitation language prohibited_content spii blocklist image_safety image_prohibited_content"
            " image_recitation content_blocked"
        ),
        "invalid_output": (
            "malformed_function_call malformed_tool_call unexpected_tool_call no_image too_many_tool_calls image_other"
        ),
    },
    "docs.aws.amazon.com/bedrock CommonErrors; botocore bedrock-runtime": {
        "authentication": (
            "ExpiredTokenException UnrecognizedClientException InvalidClientTokenId IncompleteSignature"
            " MissingAuthenticationToken RequestExpired InvalidSignatureException"
        ),
        "permission": "AccessDeniedException NotAuthorized",
        "not_found": "ResourceNotFoundException",
        "quota": "ServiceQuotaExceededException",
        "rate_limit": "ThrottlingException",
        "overloaded": "ServiceUnavailableException ModelNotReadyException",
        "server": (
            "InternalServerException ModelErrorException ModelStreamErrorException"
            " ConflictException"
        ),
        "timeout": "ModelTimeoutException",
        "invalid_request": "ValidationException",
    },
    "docs.z.ai/api-reference/api-code; docs.bigmodel.cn/cn/api/api-code": {
        "authentication": "1000 1001 1002 1003 1004",
        "permission": "1110 1111 1112 1121 1220",
        "quota": "1113 1304 1308 1309 1310 1311 1313 1314 1315 1316 1317 1318 1319 1320 1321",
        "not_found": "1211 1221 1222",
        "invalid_request": "1210 1212 1213 1214 1215 1231",
        "server": "1120 1230 1234",
        "context_length": "1261",
        "content_filter": "1301",
        "rate_limit": "1302 1303 1305",
        "overloaded": "1312",
    },
    "platform.moonshot.ai/docs/api/chat": {
        "quota": "exceeded_current_quota_error",
        "overloaded": "engine_overloaded_error",
        "rate_limit": "rate_limit_reached_error",
        "content_filter": "content_filter",
        "authentication": "invalid_authentication_error incorrect_api_key_error",
        "permission": "permission_denied_error",
        "not_found": "resource_not_found_error",
        "invalid_request": "invalid_request_error",
    },
    "docs.mistral.ai/api": {
        "rate_limit": "rate_limited",
        "overloaded": "service_tier_capacity_exceeded",
        "not_found": "invalid_model",
    },
    "console.groq.com/docs/errors": {
        "tool_use_failed": "tool_use_failed",
        "invalid_output": "json_validate_failed output_parse_failed",
        "not_found": "model_decommissioned",
    },
    "help.aliyun.com/zh/model-studio/error-code": {
        "authentication": "InvalidApiKey invalid_api_key",
        "quota": "Arrearage AllocationQuota.FreeTierOnly",
        "rate_limit": "Throttling Throttling.RateQuota Throttling.AllocationQuota limit_requests",
        "content_filter": "DataInspectionFailed data_inspection_failed",
        "permission": "AccessDenied AccessDenied.Unpurchased Model.AccessDenied",
        "not_found": "ModelNotFound model_not_found",
        "invalid_request": "InvalidParameter invalid_parameter_error",
    },
    "volcengine.com/docs/82379/1299023": {
        "quota": "AccountOverdueError QuotaExceeded",
        "rate_limit": (
            "RateLimitExceeded.EndpointRPMExceeded ModelAccountRpmRateLimitExceeded RequestBurstTooFast"
        ),
        "overloaded": "ServerOverloaded",
        "content_filter": "SensitiveContentDetected InputTextSensitiveContentDetected",
        "authentication": "AuthenticationError",
    },
    "docs.litellm.ai/docs/exception_mapping": {
        "rate_limit": "RateLimitError throttling_error",
        "context_length": "ContextWindowExceededError",
        "content_filter": "ContentPolicyViolationError",
        "authentication": "AuthenticationError auth_error",
        "not_found": "NotFoundError",
        "permission": "PermissionDeniedError team_model_access_denied",
        "invalid_request": "BadRequestError",
        "overloaded": "ServiceUnavailableError",
        "quota": "budget_exceeded",
        "server": "InternalServerError",
    },
    "ggml-org/llama.cpp tools/server": {
        "context_length": "exceed_context_size_error",
        "overloaded": "unavailable_error",
        "authentication": "authentication_error",
        "server": "server_error",
    },
    "docs.github.com/github-models; Copilot": {
        "context_length": "model_max_prompt_tokens_exceeded tokens_limit_reached",
        "not_found": "unknown_model",
        "quota": "quota_exceeded",
    },
}
"""Codes by the page that lists them, and by the kind that it describes. MiniMax's stand in `base_resp`, below."""

MINIMAX = {
    "server": "1000 1001 1024 1033",
    "rate_limit": "1002 1039 1041",
    "authentication": "1004 2049",
    "quota": "1008",
    "content_filter": "1026 1027",
    "invalid_request": "2013 1042",
}
"""platform.minimax.io/docs/api-reference/errorcode"""
