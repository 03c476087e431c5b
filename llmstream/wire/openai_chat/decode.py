"""OpenAI chat completions, and the dialects of the compatible family: bytes to events.

Format: https://platform.openai.com/docs/api-reference/chat/streaming. What real servers add to it, all seen in
recordings:

- `choices` empty or missing (Azure's first chunk, usage chunks); id and model empty there.
- Usage on any chunk or on every one, cumulative, under `usage`, `x_groq.usage` or `choices[0].usage`: the last wins.
- `finish_reason` sent twice, early, or never; text after it. So nothing ends before `[DONE]` or the end of the body.
- `content` null, empty, or a list of parts (Mistral). The same reasoning under two names (counted once). The whole
  answer again in `message` beside `delta` (Perplexity, Writer): only `delta` is read.
- Tool deltas without index, with ids and names repeated or emptied, arguments null or whole.
- An `error` beside a normal chunk, after the finish reason (OpenRouter), in its choice or in its delta.
- Citations as a cumulative top-level list (Perplexity), or as `annotations` in the delta.
"""

from __future__ import annotations

import json
from typing import Any

from llmstream.messages import Source, Usage, parse_arguments
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count, as_text
from llmstream.wire.object_end import ObjectEnd
from llmstream.wire.open_calls import OpenCall


class ChatDecoder(Decoder):
    """One chat completions answer; choice 0, if there are several."""

    format = "openai-chat"
    framing = SSE("content", ("obfuscation",))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_id: dict[str, OpenCall] = {}
        self._by_index: dict[int, OpenCall] = {}
        self._last_call: OpenCall | None = None
        # By the call's index, for the calls that `_is_whole` was asked about.
        self._whole: dict[int, _WholeArguments] = {}
        self._sources: set[str] = set()
        self._choice_error: Any = None  # what stands in a choice or its delta

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One chunk."""
        choices = payload.get("choices")
        if choices:
            self._parse_choice(payload, choices)
        if usage := payload.get("usage"):
            self._usage = parse_usage(usage)
        elif isinstance(groq := payload.get("x_groq"), dict) and groq.get("usage"):
            self._usage = parse_usage(groq["usage"])
        if isinstance(citations := payload.get("citations"), list):
            self._parse_citations(citations, payload.get("search_results"))
        if carries_error(payload) or (not choices and is_error(payload)):
            self._fail(parse_error(payload))
        elif self._choice_error and carries_error(told := {"error": self._choice_error}):
            self._fail(parse_error(told))

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A `chat.completion` object: its message is one large delta."""
        choices = payload.get("choices")
        if not isinstance(choices, list) or not choices or "message" not in choices[0]:
            return False
        self.parse_frame(
            {**payload, "choices": [{**choices[0], "delta": choices[0]["message"]}]}, ""
        )
        self._complete()
        return True

    def done_marker(self) -> None:
        """`[DONE]`: the provider's own end."""
        self._complete()

    def _parse_choice(self, payload: dict[str, Any], choices: list[dict[str, Any]]) -> None:
        choice = choices[0]
        if choice.get("index"):
            return
        if not self._started:
            self.start.id = self.start.id or as_text(payload.get("id"))
            self.start.model = self.start.model or as_text(payload.get("model"))
        delta = choice.get("delta")
        if delta:
            self._parse_delta(delta)
        reason = choice.get("finish_reason")
        if reason and isinstance(reason, str):
            native = choice.get("native_finish_reason")
            self.finishing |= self._finish_word(reason, native=native)
        if usage := choice.get("usage"):  # Kimi
            self._usage = parse_usage(usage)
        if "error" in choice:
            self._choice_error = choice["error"]

    def _parse_delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if type(content) is str and len(delta) == 1 + ("role" in delta):
            self._plain_text(content)  # nearly every delta: there is nothing else to look for
            return
        if content:
            if not self._parse_reasoning(delta) and isinstance(content, str):
                self._text(content)
            else:
                self._parse_content(content)
        else:
            self._parse_reasoning(delta)
        if refusal := delta.get("refusal"):
            self._refusal(refusal)
        self._choice_error = delta.get("error")
        for call in delta.get("tool_calls") or ():
            self._parse_tool_call(call)
        if function := delta.get("function_call"):  # the form before tools
            self._parse_tool_call({"index": 0, "function": function})
        for annotation in delta.get("annotations") or ():
            self._parse_annotation(annotation)

    def _parse_content(self, content: Any) -> None:
        if isinstance(content, str):
            self._text(content)
            return
        for part in content:
            if part.get("type") == "thinking":
                inner = part.get("thinking") or ()
                self._reasoning(
                    inner if isinstance(inner, str) else "".join(p.get("text") or "" for p in inner)
                )
            else:
                self._text(part.get("text") or "")

    def _parse_reasoning(self, delta: dict[str, Any]) -> bool:
        """The reasoning of a delta, from whichever field has it; False if there was none."""
        text = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if not text and not details:
            return False
        details = [detail for detail in details or () if isinstance(detail, dict)]
        self._reasoning(
            text or "".join(detail.get("text") or detail.get("summary") or "" for detail in details)
        )
        for detail in details:
            if detail.get("data"):  # encrypted: nothing to read, but wanted back
                self._opaque(item=detail)
            elif signature := as_text(detail.get("signature")):
                self._opaque(signature=signature, id=as_text(detail.get("id")))
        return True

    def _parse_tool_call(self, delta: dict[str, Any]) -> None:
        function = delta.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):  # an object, where others send its text
            arguments = _compact(arguments)
        id, name = as_text(delta.get("id")) or "", as_text(function.get("name")) or ""
        call = self._known_call(id, delta.get("index"), name, arguments)
        if call is not None:
            self._call_delta(call, arguments)
            return
        call = self._last_call = self._open_call("" if id in self._by_id else id, name)
        # Gemini's compatible endpoint puts a thought's signature here.
        if extra := delta.get("extra_content"):
            call.provider_data = {"format": self.format, "extra_content": extra}
        self._by_id[call.id] = call
        index = delta.get("index")
        self._by_index[call.index if index is None else index] = call
        self._call_delta(call, arguments, first=True)

    def _known_call(self, id: str, index: int | None, name: str, arguments: str) -> OpenCall | None:
        """The call that a delta goes on with: by id, then by index, then by position. None: it begins one.

        A name that is not the known call's own begins another, whatever the index; an id that changes without a name
        does not. Calls without ids, each whole at the same index, are told apart by their arguments.
        """
        by_id = self._by_id.get(id)
        at_place = self._last_call if index is None else self._by_index.get(index)
        known = at_place if by_id is None else by_id
        if known is None or not name:
            return known
        if name != known.name:
            return None
        if by_id is not None:
            # Its id at another index: two calls under one id.
            moved = index is not None and at_place is not known
            return None if moved else known
        if id:
            return None
        if arguments.startswith("{") and self._is_whole(known):
            return None
        return known

    def _is_whole(self, call: OpenCall) -> bool:
        """Whether its arguments are an object already. Some hosts repeat the name with each of many pieces."""
        if call.index not in self._whole:
            self._whole[call.index] = _WholeArguments(call)
        return self._whole[call.index].look()

    def _parse_annotation(self, annotation: dict[str, Any]) -> None:
        citation = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(citation, dict):
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
        found = (
            {r.get("url"): r for r in results if isinstance(r, dict)}
            if isinstance(results, list)
            else {}
        )
        for citation in citations:
            url = as_text(citation.get("url") if isinstance(citation, dict) else citation)
            if url is not None and url not in self._sources:
                self._sources.add(url)
                result = found.get(url, {})
                self._source(
                    Source(title=result.get("title"), url=url, excerpt=result.get("snippet"))
                )


class _WholeArguments:
    """Whether the arguments of one call are an object with something in it, asked again as they come."""

    def __init__(self, call: OpenCall) -> None:
        self.call = call
        self._end = ObjectEnd()
        self._looked_at = 0
        self._is = False

    def look(self) -> bool:
        if not self._end.ended:
            for chunk in self.call.chunks[self._looked_at :]:
                self._end.feed(chunk)
            self._looked_at = len(self.call.chunks)
            if self._end.ended:
                self._is = bool(parse_arguments("".join(self.call.chunks)))
        return self._is


def parse_usage(usage: dict[str, Any]) -> Usage:
    """OpenAI's usage object, and the family's variants of it."""
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    cached = prompt.get("cached_tokens")
    return Usage(
        input_tokens=as_count(usage.get("prompt_tokens")),
        output_tokens=as_count(usage.get("completion_tokens")),
        # DeepSeek has a field of its own for cached tokens.
        cache_read_tokens=as_count(
            usage.get("prompt_cache_hit_tokens") if cached is None else cached
        ),
        cache_write_tokens=as_count(prompt.get("cache_write_tokens")),
        reasoning_tokens=as_count(completion.get("reasoning_tokens")),
    )


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
