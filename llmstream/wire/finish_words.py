"""Finish words: what each vendor's word for the end of an answer means, as one table with a source for each row.

Some words mean that the answer failed: their meaning is the kind of an ERROR. Upper case, hyphens and camel case don't
matter. A format's own rows count first, then those of all others, since gateways pass on the words of whom they ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llmstream.errors import ErrorKind
from llmstream.messages import FinishReason
from llmstream.wire.error_kinds import kind_of_code
from llmstream.wire.json_fields import snake_case

Meaning: TypeAlias = FinishReason | ErrorKind


@dataclass(frozen=True, slots=True)
class FinishWords:
    """One row: words of one vendor that mean the same."""

    format: str
    """The wire format that they belong to."""
    source: str
    """Where they are documented, or the report of who received them."""
    meaning: Meaning
    """A FinishReason, or the kind of the ERROR that the answer ends in."""
    words: tuple[str, ...]


def _row(format: str, source: str, meaning: Meaning, *words: str) -> FinishWords:
    return FinishWords(format, source, meaning, words)


_CHAT, _RESPONSES, _MESSAGES = "openai-chat", "openai-responses", "anthropic-messages"
_GEMINI, _BEDROCK, _COHERE = "gemini-generate", "bedrock-converse", "cohere-v2"
_OLLAMA, _INTERACTIONS = "ollama-native", "gemini-interactions"

_OPENAI = "platform.openai.com/docs/api-reference/chat/object"
_AI_SDK = "ai-sdk.dev/docs/reference/ai-sdk-core/generate-text (finishReason)"
_VLLM = "vllm-project/vllm v1/engine/__init__.py (FinishReason); vllm#57082"
_SGLANG = "sgl-project/sglang srt/managers/schedule_batch.py (BaseFinishReason)"
_TGI = "huggingface.co/docs/text-generation-inference (FinishReason)"
_TENSORRT = "NVIDIA/TensorRT-LLM executor/result.py (finish_reason)"
_LM_STUDIO = "lmstudio.ai/docs (LLMPredictionStopReason)"
_XAI = "docs.x.ai: xai_api chat.proto (FinishReason)"
_ZAI = "docs.z.ai/api-reference/llm/chat-completion (finish_reason)"
_MISTRAL = "mistralai ChatCompletionChoice, CompletionResponseStreamChoice"
_BAIDU = "cloud.baidu.com/doc/qianfan-api (finish_reason)"
_TITAN = "docs.aws.amazon.com/bedrock: Amazon Titan Text models (completionReason)"
_GEMINI_CHAT = "ai.google.dev/gemini-api/docs/openai; reports of `function_call_filter: …`"

_INCOMPLETE = "openai Response.incomplete_details.reason"
_STATUS = "openai ResponseStatus"
_THREADS = "openai beta.threads.Message.incomplete_details, Run.status"
_REALTIME = "openai RealtimeResponseStatus.reason"

_CLAUDE = "anthropic StopReason, BetaStopReason"
_GOOGLE = "google-genai FinishReason"
_GOOGLE_STATUS = "google-genai InteractionStatus"
_GOOGLE_BLOCKS = "google-genai BlockedReason"
_AWS = "botocore bedrock-runtime StopReason"
_COHERE_V2 = "cohere ChatFinishReason"
_COHERE_V1 = "cohere FinishReason"
_OLLAMA_API = "ollama/ollama llm/server.go (DoneReason)"

_STOP, _LENGTH = FinishReason.STOP, FinishReason.LENGTH
_CALLS, _FILTER = FinishReason.TOOL_CALLS, FinishReason.CONTENT_FILTER
_REFUSAL, _PAUSE = FinishReason.REFUSAL, FinishReason.PAUSE

FINISH_WORDS: tuple[FinishWords, ...] = (
    # --- chat completions: OpenAI, then the family ---
    _row(_CHAT, _OPENAI, _STOP, "stop"),
    _row(_CHAT, _OPENAI, _LENGTH, "length"),
    _row(_CHAT, _OPENAI, _CALLS, "tool_calls", "function_call"),
    _row(_CHAT, _OPENAI, _FILTER, "content_filter"),
    _row(_CHAT, "Ollama's and LM Studio's /v1, some versions", _STOP, "end"),
    _row(_CHAT, "docs.together.ai/reference/chat-completions", _STOP, "eos"),
    _row(_CHAT, _TGI, _STOP, "eos_token"),
    _row(_CHAT, _BAIDU, _STOP, "normal"),
    _row(_CHAT, _LM_STUDIO, _STOP, "eosFound", "stopStringFound"),
    _row(_CHAT, _LM_STUDIO, _LENGTH, "maxPredictedTokensReached", "contextLengthReached"),
    _row(_CHAT, _LM_STUDIO, "server", "modelUnloaded", "failed", "userStopped"),
    _row(_CHAT, _XAI, _STOP, "REASON_STOP"),
    _row(_CHAT, _XAI, _LENGTH, "REASON_MAX_LEN", "REASON_MAX_CONTEXT", "REASON_TIME_LIMIT"),
    _row(_CHAT, _XAI, _CALLS, "REASON_TOOL_CALLS"),
    _row(_CHAT, _XAI, FinishReason.UNKNOWN, "REASON_INVALID"),
    _row(_CHAT, _MISTRAL, _LENGTH, "model_length"),
    _row(_CHAT, "openrouter.ai/docs/api-reference/errors; " + _MISTRAL, "server", "error"),
    _row(_CHAT, _VLLM, "server", "abort"),
    _row(_CHAT, _VLLM, _LENGTH, "repetition"),
    _row(_CHAT, _SGLANG, "server", "aborted"),
    _row(_CHAT, _TENSORRT, "server", "cancelled", "timeout"),
    _row(_CHAT, "EricLBuehler/mistral.rs response.rs", "server", "canceled"),
    _row(_CHAT, _ZAI, _FILTER, "sensitive"),
    _row(_CHAT, _ZAI, _LENGTH, "model_context_window_exceeded"),
    _row(_CHAT, _ZAI, "server", "network_error"),
    _row(
        _CHAT,
        "api-docs.deepseek.com/api/create-chat-completion",
        "overloaded",
        "insufficient_system_resource",
    ),
    _row(_CHAT, _TITAN, _STOP, "FINISH", "FINISHED", "STOP_CRITERIA_MET"),
    _row(_CHAT, _GEMINI_CHAT, "invalid_output", "function_call_filter"),
    _row(_CHAT, _AI_SDK, FinishReason.OTHER, "other"),
    _row(_CHAT, _AI_SDK, FinishReason.UNKNOWN, "unknown"),
    # --- Responses: the status, or why it is incomplete ---
    _row(_RESPONSES, _STATUS, _STOP, "completed"),
    _row(_RESPONSES, _STATUS, _LENGTH, "incomplete"),
    _row(_RESPONSES, _STATUS, "server", "failed", "cancelled"),
    _row(_RESPONSES, _INCOMPLETE, _LENGTH, "max_output_tokens", "max_messages"),
    _row(_RESPONSES, _INCOMPLETE, _FILTER, "content_filter"),
    # A successor answers the queued input: what stands isn't the whole answer.
    _row(_RESPONSES, _INCOMPLETE, _PAUSE, "steered"),
    _row(_RESPONSES, _THREADS, _CALLS, "requires_action"),
    _row(_RESPONSES, _THREADS, _LENGTH, "max_completion_tokens", "max_prompt_tokens"),
    _row(_RESPONSES, _THREADS, "server", "run_cancelled", "run_expired", "run_failed", "expired"),
    _row(_RESPONSES, "openai RealtimeServerEvent `response.done` without a status", _STOP, "done"),
    _row(_RESPONSES, _REALTIME, "server", "turn_detected", "client_cancelled"),
    # --- Messages ---
    _row(_MESSAGES, _CLAUDE, _STOP, "end_turn", "stop_sequence"),
    _row(_MESSAGES, _CLAUDE, _LENGTH, "max_tokens", "model_context_window_exceeded"),
    _row(_MESSAGES, _CLAUDE, _CALLS, "tool_use"),
    _row(_MESSAGES, _CLAUDE, _REFUSAL, "refusal"),
    _row(_MESSAGES, _CLAUDE, _PAUSE, "pause_turn", "compaction"),
    # --- Google, Amazon, Cohere, Ollama ---
    _row(_GEMINI, _GOOGLE, _STOP, "STOP"),
    _row(_GEMINI, _GOOGLE, _LENGTH, "MAX_TOKENS"),
    _row(_GEMINI, _GOOGLE, _PAUSE, "CONTINUATION"),
    _row(_GEMINI, _GOOGLE, _FILTER, "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "SPII"),
    _row(_GEMINI, _GOOGLE, _FILTER, "PROHIBITED_CONTENT", "MODEL_ARMOR", "ESCALATION"),
    _row(_GEMINI, _GOOGLE, _FILTER, "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"),
    _row(_GEMINI, _GOOGLE, _FILTER, "IMAGE_RECITATION"),
    _row(_GEMINI, _GOOGLE_BLOCKS, _FILTER, "JAILBREAK", "BLOCKED_REASON_UNSPECIFIED"),
    _row(_GEMINI, _GOOGLE, "invalid_output", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"),
    _row(_GEMINI, _GOOGLE, "invalid_output", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"),
    _row(_GEMINI, _GOOGLE, "invalid_output", "OTHER", "IMAGE_OTHER", "NO_IMAGE"),
    _row(_GEMINI, _GOOGLE, "invalid_request", "MISSING_THOUGHT_SIGNATURE"),
    _row(_GEMINI, _GOOGLE, "permission", "PUP_LIMITED_DISABLED"),
    _row(_GEMINI, _GOOGLE, FinishReason.UNKNOWN, "FINISH_REASON_UNSPECIFIED"),
    _row(_INTERACTIONS, _GOOGLE_STATUS, _STOP, "completed"),
    _row(_INTERACTIONS, _GOOGLE_STATUS, _LENGTH, "incomplete"),
    _row(_INTERACTIONS, _GOOGLE_STATUS, _CALLS, "requires_action"),
    _row(_INTERACTIONS, _GOOGLE_STATUS, _PAUSE, "requires_continuation"),
    _row(_INTERACTIONS, _GOOGLE_STATUS, "server", "failed", "cancelled"),
    # What an agent may take is its own budget, which another attempt takes again.
    _row(_INTERACTIONS, _GOOGLE_STATUS, "quota", "budget_exceeded"),
    _row(_BEDROCK, _AWS, _STOP, "end_turn", "stop_sequence"),
    _row(_BEDROCK, _AWS, _LENGTH, "max_tokens", "model_context_window_exceeded"),
    _row(_BEDROCK, _AWS, _CALLS, "tool_use"),
    _row(_BEDROCK, _AWS, _FILTER, "guardrail_intervened", "content_filtered"),
    _row(_BEDROCK, _AWS, "invalid_output", "malformed_model_output", "malformed_tool_use"),
    _row(_COHERE, _COHERE_V2, _STOP, "COMPLETE", "STOP_SEQUENCE"),
    _row(_COHERE, _COHERE_V2, _LENGTH, "MAX_TOKENS"),
    _row(_COHERE, _COHERE_V2, _CALLS, "TOOL_CALL"),
    _row(_COHERE, _COHERE_V2, "server", "ERROR", "TIMEOUT"),
    _row(_COHERE, _COHERE_V1, _FILTER, "ERROR_TOXIC"),
    _row(_COHERE, _COHERE_V1, _LENGTH, "ERROR_LIMIT"),
    _row(_COHERE, _COHERE_V1, "server", "USER_CANCEL"),
    _row(_OLLAMA, _OLLAMA_API, _STOP, "stop", "load", "unload"),
    _row(_OLLAMA, _OLLAMA_API, _LENGTH, "length"),
)

UNFINISHED = frozenset({"", "null", "none", "not_finished"})
"""Words that say that more comes (docs.alibabacloud.com: DashScope's "null"; TensorRT-LLM)."""


_OF_FAILURES: dict[ErrorKind, FinishReason] = {
    "context_length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
"""Kinds of errors that are an end of an answer like any other."""


def _by_word(rows: tuple[FinishWords, ...]) -> dict[str, Meaning]:
    """The first row of a word counts."""
    found: dict[str, Meaning] = {}
    for row in rows:
        for word in row.words:
            found.setdefault(snake_case(word), row.meaning)
    return found


_OWN = {
    format: _by_word(tuple(row for row in FINISH_WORDS if row.format == format))
    for format in dict.fromkeys(row.format for row in FINISH_WORDS)
}
_ANY = _by_word(FINISH_WORDS)
_SPELLED = frozenset((row.format, word) for row in FINISH_WORDS for word in row.words)


def read_finish_word(word: str, format: str) -> Meaning | None:
    """What a word means in a format; None if it says that the answer goes on. OTHER if nobody documents it.

    Some gateways put the code of an error there: it means that error.

    Gemini's "content_filter: RECITATION" has two words: the second counts where it is known.
    """
    key = snake_case(word)
    if key in UNFINISHED:
        return None
    own = _OWN.get(format, {})
    candidates = (key, *reversed(_parts(word))) if ":" in word else (key,)
    for candidate in candidates:
        meaning = own.get(candidate) or _ANY.get(candidate)
        if meaning is not None:
            return meaning
    failure = None if key.isdecimal() else kind_of_code(key)
    return FinishReason.OTHER if failure is None else _OF_FAILURES.get(failure, failure)


def render_finish_word(raw: str | None, reason: FinishReason | None, format: str) -> str | None:
    """The provider's own word, where an answer in `format` may end in it; None where the reason says more.

    So is a word of the format itself, unless it means failure, and one that nobody documents.
    """
    if raw is None:
        return None
    meaning = read_finish_word(raw, format)
    is_own = (format, raw) in _SPELLED and isinstance(meaning, FinishReason)
    is_new = meaning is FinishReason.OTHER and reason is FinishReason.OTHER
    return raw if is_own or is_new else None


def _parts(word: str) -> list[str]:
    return [snake_case(part) for part in word.split(":")]
