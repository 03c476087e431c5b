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
