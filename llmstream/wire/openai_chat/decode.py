"""OpenAI chat completions, and the dialects of the compatible family: bytes to events.

Format: https://platform.openai.com/docs/api-reference/chat/streaming. What real servers add to it, all seen in
recordings:

- `choices` empty or missing (Azure's first chunk, usage chunks); id and model empty there.
- Usage on any chunk or on every one, cumulative, under `usage`, `x_groq.usage` or `choices[0].usage`: the last wins.
- `finish_reason` sent twice, early, or never; text after it. So nothing ends before `[DONE]` or the end of the body.
- `content` null, empty, or a list of parts (Mistral). The same reasoning under two names (counted once). The whole
  answer again in `message` beside `delta` (Perplexity, Writer): only `delta` is read.
- Tool deltas without index, with ids and names repeated or emptied, arguments null or whole.
- An `error` beside a normal chunk, after the finish reason (OpenRouter).
- Citations as a cumulative top-level list (Perplexity), or as `annotations` in the delta.
"""

from __future__ import annotations

import json
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.messages import FinishReason, Source, Usage
from llmstream.wire.decoding import Decoder, OpenCall
from llmstream.wire.error_body import parse_error

FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "end": FinishReason.STOP,  # some Ollama and LM Studio versions
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


class ChatDecoder(Decoder):
    """One chat completions answer; choice 0, if there are several."""

    format = "openai-chat"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_id: dict[str, OpenCall] = {}
        self._by_index: dict[int, OpenCall] = {}
        self._last_call: OpenCall | None = None
        self._sources: set[str] = set()

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One chunk."""
        choices = payload.get("choices")
        if choices:
            self._parse_choice(payload, choices)
        elif choices is None and "error" not in payload:
            payload = self._bare_error(payload)
        if usage := payload.get("usage"):
            self._usage = parse_usage(usage)
        elif (groq := payload.get("x_groq")) and groq.get("usage"):
            self._usage = parse_usage(groq["usage"])
        if citations := payload.get("citations"):
            self._parse_citations(citations, payload.get("search_results") or ())
        if payload.get("error"):
            self._fail(parse_error(payload))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A `chat.completion` object: its message is one large delta."""
        choices = payload.get("choices")
        if not isinstance(choices, list) or not choices or "message" not in choices[0]:
            return False
        self.parse_frame({**payload, "choices": [{**choices[0], "delta": choices[0]["message"]}]}, "")
        self._complete()
        return True

    def done_marker(self) -> None:
        """`[DONE]`: the provider's own end."""
        self._complete()

    def _complete(self) -> None:
        if self._raw_finish_reason == "error":  # Mistral, OpenRouter; usually an error object says more
            self._fail(ErrorInfo("invalid_output", "the provider ended the answer with finish_reason 'error'"))
        else:
            super()._complete()

    def _parse_choice(self, payload: dict[str, Any], choices: list[dict[str, Any]]) -> None:
        choice = choices[0]
        if choice.get("index"):
            return
        if not self._started:
            self.start.id = self.start.id or payload.get("id") or None
            self.start.model = self.start.model or payload.get("model") or None
        delta = choice.get("delta")
        if delta:
            self._parse_delta(delta)
        if reason := choice.get("finish_reason"):
            self._raw_finish_reason = reason
            self._finish_reason = FINISH_REASONS.get(reason, FinishReason.OTHER)
            self.finishing = True
        if usage := choice.get("usage"):  # Kimi
            self._usage = parse_usage(usage)

    def _parse_delta(self, delta: dict[str, Any]) -> None:
        if content := delta.get("content"):
            if not self._parse_reasoning(delta) and isinstance(content, str):
                self._text(content)
            else:
                self._parse_content(content)
        else:
            self._parse_reasoning(delta)
        if refusal := delta.get("refusal"):
            self._refusal(refusal)
        for call in delta.get("tool_calls") or ():
            self._parse_tool_call(call)
        for annotation in delta.get("annotations") or ():
            self._parse_annotation(annotation)

    def _parse_content(self, content: Any) -> None:
        if isinstance(content, str):
            self._text(content)
            return
        for part in content:
            if part.get("type") == "thinking":
                inner = part.get("thinking") or ()
                self._reasoning(inner if isinstance(inner, str) else "".join(p.get("text") or "" for p in inner))
            else:
                self._text(part.get("text") or "")

    def _parse_reasoning(self, delta: dict[str, Any]) -> bool:
        """The reasoning of a delta, from whichever field has it; False if there was none."""
        text = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if not text and not details:
            return False
        signed = {}
        readable = ""
        for detail in details or ():
            readable += detail.get("text") or detail.get("summary") or ""
            if detail.get("signature") or detail.get("data"):
                signed = detail
        self._reasoning(text or readable)
        if signed:
            self._opaque(signature=signed.get("signature") or signed.get("data"), id=signed.get("id"))
        return True

    def _parse_tool_call(self, delta: dict[str, Any]) -> None:
        function = delta.get("function") or {}
        call, is_new = self._call_for(delta, function.get("name") or "")
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):  # an object, where others send its text
            arguments = _compact(arguments)
        self._call_delta(call, arguments, first=is_new)

    def _call_for(self, delta: dict[str, Any], name: str) -> tuple[OpenCall, bool]:
        """Which call a delta belongs to: by id, then by index, then by position."""
        id, index = delta.get("id") or "", delta.get("index")
        known = self._by_id.get(id)
        at_index = self._by_index.get(index) if index is not None else None
        if known is not None and (index is None or at_index is known or not name):
            return known, False
        if not id or known is not None:
            if index is None and not name and self._last_call is not None:
                return self._last_call, False
            if at_index is not None:
                return at_index, False
        if known is not None:
            id = ""  # two calls under one id: the second gets one of its own
        call = self._open_call(id, name)
        self._last_call = call
        self._by_id[call.id] = call
        self._by_index[index if index is not None else call.index] = call
        return call, True

    def _parse_annotation(self, annotation: dict[str, Any]) -> None:
        if citation := annotation.get("url_citation"):
            self._source(
                Source(
                    title=citation.get("title"),
                    url=citation.get("url"),
                    excerpt=citation.get("content"),
                    start=citation.get("start_index"),
                    end=citation.get("end_index"),
                )
            )

    def _parse_citations(self, citations: list[Any], results: Any) -> None:
        for position, citation in enumerate(citations):
            url = citation if isinstance(citation, str) else citation.get("url")
            if not url or url in self._sources:
                continue
            self._sources.add(url)
            result = results[position] if position < len(results) else {}
            result = result if result.get("url") == url else {}
            self._source(Source(title=result.get("title"), url=url, excerpt=result.get("snippet")))

    def _bare_error(self, payload: dict[str, Any]) -> dict[str, Any]:
        """An error object in place of a chunk, without the `error` key (vLLM, Mistral)."""
        if payload.get("object") == "error" or ("message" in payload and "code" in payload):
            return {**payload, "error": payload}
        return payload


def parse_usage(usage: dict[str, Any]) -> Usage:
    """OpenAI's usage object, and the family's variants of it."""
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    cached = prompt.get("cached_tokens")
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cache_read_tokens=usage.get("prompt_cache_hit_tokens") if cached is None else cached,  # DeepSeek
        cache_write_tokens=prompt.get("cache_write_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
    )


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
