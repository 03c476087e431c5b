"""Gemini generateContent: bytes to events.

Format: https://ai.google.dev/api/generate-content. Each frame is a whole GenerateContentResponse, whose parts go on
with the answer. What real streams add to it, all seen in recordings, the SDK's types or public reports:

- Usage stands on nearly every frame and counts all so far; the last number counts.
- A finish reason may come twice: STOP stands beside code that is yet to run, and ends nothing. Later text counts.
- A signature stands beside a call, beside text, or alone in an empty text; each goes back where it stood.
- A call without id, without arguments, or with arguments in pieces (`partialArgs`), which an empty call closes.
- A call that comes again under its id: as it was, with more arguments, or with its signature alone.
- A blocked prompt has `promptFeedback` and no candidate. A candidate may lack its content, or that its parts.
- Tools that Google runs: code, and `toolCall` with `toolResponse`. Speech in pieces, each a part of its own.
- `continuationToken` with CONTINUATION: the same request with this token goes on.
- The same objects in a JSON array, or one object alone; errors as a bare object; names with underscores.

The end is a clean end of the body after a finish reason or a block reason.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object, as_text
from llmstream.errors import ErrorInfo
from llmstream.messages import File, FinishReason
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.gemini_generate import members
from llmstream.wire.gemini_generate.call_decoder import GenerateCallDecoder
from llmstream.wire.gemini_generate.parts import (
    CODE,
    RAN,
    SIGNATURE,
    TOLD,
    beside,
    parse_file,
    parse_result,
    part_data,
    ran_arguments,
    ran_data,
    ran_name,
)
from llmstream.wire.gemini_generate.sources import Grounding
from llmstream.wire.gemini_generate.usage import UsageTally
from llmstream.wire.json_fields import as_string, listed, present
from llmstream.wire.open_calls import OpenCall

_SPEECH = ("audio/l16", "audio/pcm")
"""Types of sound without a header, which comes in pieces."""
CONTINUATION = "continuationToken"


class GenerateDecoder(GenerateCallDecoder):
    """One answer of generateContent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._candidate: int | None = None  # the index of the one that is the answer
        self._tally = UsageTally()
        self._grounding = Grounding()
        self._prose: list[str] = []  # all text, for the places of sources
        self._ran: OpenCall | None = None  # the last call that Google ran
        self._is_running = False  # it is the last part of the candidate that is being read
        self._speech: list[bytes] = []
        self._speech_part: Mapping[str, Any] = {}
        self._continuation: str | None = None
        self._finish_message = ""
        self._is_blocked = False  # the prompt is

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One GenerateContentResponse."""
        given = payload
        if not payload.keys() <= members.CHUNK:
            payload = _plainly(payload)
        candidates, feedback = payload.get("candidates"), payload.get("promptFeedback")
        usage = as_object(payload.get("usageMetadata"))
        holds_answer = bool(candidates or feedback or usage)
        if carries_error(payload) or (not holds_answer and is_error(given)):
            self._fail(parse_error(given))
            return
        self._is_known = self._is_known or holds_answer
        if not self._started:
            self.start.id = self.start.id or as_text(payload.get("responseId"))
            self.start.model = self.start.model or as_text(payload.get("modelVersion"))
        if usage:
            self._tally.add(usage)
        for candidate in listed(candidates):
            if candidate is not None:
                self._parse_candidate(candidate)
        if feedback:
            self._parse_feedback(feedback)
        if not payload.keys() <= members.CHUNK:
            self._unread.look_over("", payload, members.CHUNK)

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole answer: its parts are those of one large frame."""
        if not _plainly(payload).keys() & {"candidates", "promptFeedback"}:
            return False
        self.parse_frame(payload, "")
        self._complete()
        return True

    def done_marker(self) -> None:
        """`[DONE]`, which some proxies send: it ends nothing that Google's own words don't end."""
        if self.finishing:
            self._complete()

    def _emit_end(self, reason: FinishReason) -> None:
        self._usage = self._tally.usage()
        super()._emit_end(reason)

    def _fail(self, info: ErrorInfo) -> None:
        self._usage = self._tally.usage()
        super()._fail(info)

    def _complete(self) -> None:
        if self.ended:
            return
        self._end_speech()
        self.end_calls()
        for source in self._grounding.rest("".join(self._prose)):
            self._source(source)
        if self._finish_reason is FinishReason.PAUSE and self._continuation is not None:
            self._opaque(item={CONTINUATION: self._continuation})
        if self._failure is not None and self._finish_message:
            kind, word = self._failure
            told = f"the provider ended the answer with {word}: {self._finish_message}"
            self._fail(ErrorInfo(kind, told, code=word))
            return
        super()._complete()

    # --- what stands around the parts ----------------------------------------------------------------------

    def _parse_candidate(self, candidate: dict[str, Any]) -> None:
        if not candidate.keys() <= members.CANDIDATE:
            candidate = members.plainly(candidate, members.CANDIDATE)
        index = candidate.get("index") or 0
        if self._candidate is None and (candidate.get("content") or candidate.get("finishReason")):
            self._candidate = index
        if index != self._candidate and self._candidate is not None:
            return  # another answer to the same request
        content = candidate.get("content")
        self._is_running = False
        if content:
            self._parse_content(content)
        if candidate.keys() & _AFTER_TEXT:
            for source in self._grounding.sources(candidate, "".join(self._prose)):
                self._end_speech()
                self._source(source)
        self._continuation = as_text(candidate.get(CONTINUATION)) or self._continuation
        reason = candidate.get("finishReason")
        if reason and not self._is_blocked:
            is_over = self._finish_word(as_string(reason))
            awaits_result = self._is_running and self._finish_reason is FinishReason.STOP
            self.finishing = self.finishing or (is_over and not awaits_result)
            self._parse_stop(candidate)
        if not candidate.keys() <= members.CANDIDATE:
            self._unread.look_over("candidates.", candidate, members.CANDIDATE)

    def _parse_stop(self, candidate: dict[str, Any]) -> None:
        """What is said beside the finish reason. Ratings matter where the answer was filtered."""
        message = as_text(candidate.get("finishMessage"))
        self._finish_message = message or ""
        is_filtered = self._finish_reason is FinishReason.CONTENT_FILTER
        ratings = candidate.get("safetyRatings") if is_filtered else None
        self._stop_details = present(finishMessage=message, safetyRatings=ratings or None) or None

    def _parse_feedback(self, feedback: dict[str, Any]) -> None:
        """What is said of the prompt. If it was blocked, that is the answer."""
        reason = as_text(feedback.get("blockReason"))
        if reason is not None:
            self._finish_reason, self._raw_finish_reason = FinishReason.CONTENT_FILTER, reason
            self._failure, self._stop_details = None, dict(feedback)
            self.finishing = self._is_blocked = True
        if not feedback.keys() <= members.FEEDBACK:
            self._unread.look_over("promptFeedback.", feedback, members.FEEDBACK)

    def _parse_content(self, content: dict[str, Any]) -> None:
        if not isinstance(content, dict):
            content = {"parts": content}  # a text alone, or parts alone
        parts = content.get("parts") or ()
        parts = parts if isinstance(parts, list | tuple) else [parts]
        for part in parts:
            self._is_running = False
            if part is not None:
                self._parse_part({"text": part} if isinstance(part, str) else part)
        if not content.keys() <= members.CONTENT:
            self._unread.look_over("content.", content, members.CONTENT)

    # --- parts ---------------------------------------------------------------------------------------------

    def _parse_part(self, part: dict[str, Any]) -> None:
        text = part.get("text")
        if text and part.keys() <= members.PLAIN:
            self._parse_words(text, is_thought=bool(part.get("thought")))  # nearly every part
            return
        if not part.keys() <= members.PART:
            part = members.plainly(part, members.PART)
        kinds = [name for name in self._PARTS if part.get(name) is not None]
        if text and len(kinds) > 1:  # the signature is that of the other
            self._parse_words(text, is_thought=bool(part.get("thought")))
        for kind in kinds[:1]:
            self._PARTS[kind](self, kind, part)
        if not kinds:
            self._parse_other(part)
        elif not part.keys() <= members.PART:
            self._unread.look_over("parts.", part, members.PART)

    def _parse_words(self, text: str, *, is_thought: bool) -> None:
        self._end_speech()
        if is_thought:
            self._reasoning(as_string(text))
        else:
            self._prose.append(as_string(text))
            self._text(text)

    def _parse_text(self, kind: str, part: dict[str, Any]) -> None:
        """A text, and its signature. That of an empty text is a part of its own."""
        text, is_thought = part[kind], bool(part.get("thought"))
        if text:
            self._parse_words(text, is_thought=is_thought)
        signature = as_text(part.get(SIGNATURE))
        if signature is None:
            return
        if self._reasons and not is_thought:
            self._opaque(item={"text": "", SIGNATURE: signature})  # it isn't the reasoning's
        else:
            self._opaque(signature=signature)

    def _parse_other(self, part: dict[str, Any]) -> None:
        """A part with a signature alone, or one that nobody knows: it goes back as it came."""
        if not part.keys() - members.BESIDE:
            thought = part.get("thought")
            if isinstance(thought, str):  # the words stand where a flag should
                self._parse_text("text", {**part, "text": thought})
            elif part.get(SIGNATURE):
                self._parse_text("text", {**part, "text": ""})
            return
        known = part.keys() <= members.BESIDE | {"text"}
        self._opaque(item=part, understood=known)
        if not known:
            self._unread.look_over("parts.", part, members.BESIDE)

    def _parse_file(self, kind: str, part: dict[str, Any]) -> None:
        if part.get("thought"):
            self._opaque(item=part)  # a draft, which is no part of the answer
            return
        media_type = as_text(as_object(part[kind]).get("mimeType")) or ""
        if kind == "inlineData" and media_type.lower().startswith(_SPEECH):
            self._speech.append(b64decode(part[kind]["data"]))
            self._speech_part = {**self._speech_part, **part}
            return
        self._end_speech()
        file = parse_file(part)
        if file is not None:
            self._file(file)
        elif part[kind]:
            self._unread.note(f"parts.{kind}", part[kind])

    def _end_speech(self) -> None:
        """Speech that came in pieces is one file."""
        if not self._speech:
            return
        pieces, part = self._speech, self._speech_part
        self._speech, self._speech_part = [], {}
        blob = part["inlineData"]
        named = {"name": blob.get("displayName"), "media_type": blob["mimeType"]}
        self._file(File(data=b"".join(pieces), provider_data=part_data(part), **named))

    # --- calls ---------------------------------------------------------------------------------------------

    def _parse_call(self, kind: str, part: dict[str, Any]) -> None:
        """Calls of the caller's, or what goes on with earlier ones."""
        self._end_speech()
        for body in listed(part[kind]):
            self.parse_call(body, beside(part))

    def _parse_ran(self, kind: str, part: dict[str, Any]) -> None:
        """A call of a tool that Google runs."""
        self._end_speech()
        body = part[kind]
        id = as_text(body.get("id"))
        call = self._open_call(id, ran_name(kind, body), by_provider=True)
        call.provider_data = ran_data(kind, part)
        self._call_delta(call, ran_arguments(kind, body))
        call.done = True
        self._ran = call
        self._is_running = True

    def _parse_told(self, kind: str, part: dict[str, Any]) -> None:
        """What came of it. One without an id is of the last call."""
        self._end_speech()
        id = as_text(part[kind].get("id"))
        last = self._ran.id if self._ran is not None else f"{CODE}_{self.start.id or ''}"
        self._tool_result(parse_result(kind, part, id or last))

    _PARTS: ClassVar[Mapping[str, Callable[[Any, str, dict[str, Any]], None]]] = {
        "functionCall": _parse_call,
        **dict.fromkeys(RAN, _parse_ran),
        **dict.fromkeys(TOLD, _parse_told),
        "inlineData": _parse_file,
        "fileData": _parse_file,
        "text": _parse_text,
    }


_AFTER_TEXT = frozenset({"groundingMetadata", "citationMetadata"})


def _plainly(payload: dict[str, Any]) -> dict[str, Any]:
    """A frame under Google's own names. Code Assist wraps it in `response`."""
    inner = payload.get("response")
    if isinstance(inner, dict) and "candidates" not in payload:
        payload = inner
    return payload if payload.keys() <= members.CHUNK else members.camel_case(payload)
