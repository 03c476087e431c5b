"""OpenAI Responses, and the servers that speak it: bytes to events.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. Rules, and what real servers add, all seen
in recordings or public reports:

- The end is `response.completed` or `.incomplete` (MESSAGE_COMPLETE; elsewhere also `.done` and `.requires_action`),
  `.failed`, `.cancelled` or `error` (ERROR; the first one counts). Nothing else ends the answer: a cut before it is
  `truncated`. `[DONE]` (OpenRouter) says nothing.
- The JSON `type` decides; `event:` lines may be absent (OpenRouter, Bedrock), and so may `output_index` on `.done`.
- Indices and ids disagree: item ids change from event to event (Copilot), each delta has the next `content_index`, an
  item's `.done` has another `output_index` (vLLM, LocalAI). What an item says counts (see `item_table.py`).
- Whatever streamed isn't told again by its `.done`, its part's, its item's or the terminal `response.output`. What
  stands in one of these alone is told.
- Items and parts come in many forms (`item_forms.py`), and may begin with words that their deltas repeat or go on with.
- A resumed stream starts mid-way: what it had sent before isn't told again.
- `encrypted_content` of a reasoning item's `.done` is its signature. A blank line joins parts of reasoning, if the
  server said where they begin or end; `reasoning_text` (DeepSeek, LM Studio, gpt-oss) and summaries are both reasoning.
- A custom tool's input is any text: its call is whole although the text is no JSON.
- A message's `phase` ("commentary", "final_answer") is kept with its text, also if it comes after it.
- `response.<item>.<phase>` of tools that the provider runs becomes STATUS(kind="progress"); their item becomes
  TOOL_CALL and what came of it (see `items.py`). Other items are opaque.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeAlias

from llmstream.checks import as_object
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.wire.echo import Echo
from llmstream.wire.error_body import is_error, parse_error
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import as_count
from llmstream.wire.openai_responses import members
from llmstream.wire.openai_responses.call_reader import CallReader
from llmstream.wire.openai_responses.item_content import PartContent, read_part
from llmstream.wire.openai_responses.item_forms import as_words, part_of, words_of
from llmstream.wire.openai_responses.item_table import Item
from llmstream.wire.openai_responses.items import FORMAT, is_provider_call
from llmstream.wire.openai_responses.media import parse_sound
from llmstream.wire.streamed_text import StreamedText
from llmstream.wire.usage_counts import read_counts, usage_of

_BEGINNINGS = frozenset({"response.created", "response.queued", "response.in_progress"})
_ANSWERS = ("output", "output_text")
"""Members of a response that hold its answer."""
_REASONS = ("finish_reason", "stop_reason")
"""Other formats' members with the word for the end."""
_WHOLE = frozenset({"completed", "done"})
_UNFINISHED = frozenset({"queued", "in_progress"})
_TEXTS = {
    "output_text": ("text", "text"),
    "text": ("text", "text"),  # Realtime, and below
    "audio.transcript": ("text", "transcript"),
    "audio_transcript": ("text", "transcript"),
    "output_audio_transcript": ("text", "transcript"),
    "refusal": ("refusal", "refusal"),
    "reasoning": ("reasoning", "text"),
    "reasoning_content": ("reasoning", "text"),
    "reasoning_text": ("reasoning", "text"),
    "reasoning_summary": ("reasoning", "text"),
    "reasoning_summary_text": ("reasoning", "text"),
}
"""By the name of their events: the texts of an item, and the member that has the whole at the end."""
_REASONING_PARTS = ("response.reasoning_part", "response.reasoning_summary_part")

_Handler: TypeAlias = Callable[[Any, dict[str, Any]], None]


class ResponsesDecoder(CallReader):
    """One answer of the Responses API."""

    framing = SSE("delta", ("sequence_number", "obfuscation"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._early: dict[str, Any] = {}  # what a response that goes on has of the answer

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("type") or event
        if not self._is_known:
            self._is_known = str(kind).startswith("response.")
            number = as_count(payload.get("sequence_number"))
            self._is_resumed = bool(number) and kind not in _BEGINNINGS
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, payload)
            known = self._KNOWN[kind]
            if not payload.keys() <= known:
                self._unread.look_over(f"{kind}.", payload, known)
        elif is_error(payload):
            self._fail(parse_error(payload))
        elif members.is_of_a_tool(str(kind)):
            self._keep_tool_piece(str(kind), payload)
        elif not (self._parse_progress(kind, payload) or kind in members.EMPTY_EVENTS):
            self._note_event(str(kind), payload)

    def _note_event(self, kind: str, payload: dict[str, Any]) -> None:
        """An event that nobody knows. Without a type it is named by its members."""
        unknown = members.without_names(payload)
        if kind:
            self._unread.note(kind, unknown)
        else:
            self._unread.look_over("", unknown, ())

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole `response` object, or the event that ends an answer."""
        inner = payload.get("response")
        response = inner if isinstance(inner, dict) else payload
        is_response = response.get("object") == "response"
        if not (is_response or response.get("output") or response.get("output_text")):
            return False
        if response.get("status") in _UNFINISHED:
            return False
        self._parse_end({**payload, "response": response})
        return self.ended

    # --- the response as a whole ---------------------------------------------------------------------------

    def _parse_response(self, payload: dict[str, Any]) -> None:
        response = payload.get("response")
        if not response:
            return
        self._unread.look_over("response.", response, members.RESPONSE)
        self._early |= {name: response[name] for name in _ANSWERS if response.get(name)}
        if not self._started:
            self.start.id = self.start.id or as_words(response.get("id")) or None
            self.start.model = self.start.model or as_words(response.get("model")) or None

    def _parse_end(self, payload: dict[str, Any]) -> None:
        self._parse_response(payload)
        response = payload.get("response") or payload
        self._count(usage_of(read_counts(response.get("usage") or payload.get("usage"))))
        whole = {**response, **self._early}
        self._parse_output(whole.get("output"))
        self._parse_output_text(whole)
        named = payload.get("type", "response.completed").rpartition(".")[2]
        status = response.get("status") or named
        if status in _UNFINISHED:  # a server that forgets to change it
            status = named
        failure = _find_error(payload, response)
        if failure or status in ("failed", "cancelled"):
            self._parse_failure(failure, status)
            return
        reason = _find_reason(response)
        raw = f"{status}:{reason}" if reason else str(status)
        claims_whole = str(status).lower() in _WHOLE and reason != "incomplete"
        if claims_whole and self._items.are_cut():
            reason, raw = "incomplete", f"{raw}:incomplete"
        self._finish_word(str(reason or status), raw=raw)
        if not (reason or status == "incomplete"):
            self._end_free_input()
        self._note_tool_pieces()
        self._add_previews()
        speech = self._speech.take()
        if speech is not None:
            self._file(speech)
        self._complete()

    def _parse_failure(self, failure: Any, status: str) -> None:
        if failure:
            self._fail(parse_error({"error": failure}))
        elif status == "cancelled":
            self._fail(
                ErrorInfo("server", "the response was cancelled", retryable=False, code=status)
            )
        else:
            self._fail(ErrorInfo("server", "the provider reported a failed response", code=status))

    def _parse_error(self, payload: dict[str, Any]) -> None:
        self._fail(parse_error(payload))

    def _parse_progress(self, kind: Any, payload: dict[str, Any]) -> bool:
        """A phase of a tool that the provider runs; False if the event is something else."""
        names = str(kind).split(".")
        if len(names) != 3 or not is_provider_call(names[1]):
            return False
        if names[2] == "partial_image":
            self._preview(payload.get("item_id"), payload.get("partial_image_b64"))
            return True
        data = {"format": FORMAT, "type": kind, "item_id": payload.get("item_id")}
        status = Status("progress", f"{names[1]} {names[2]}", data)
        self._out.append(StreamEvent(EventType.STATUS, status=status))
        return True

    # --- texts ---------------------------------------------------------------------------------------------

    def _parse_text(self, payload: dict[str, Any]) -> None:
        """`response.output_text.delta`: nearly every event."""
        delta = payload.get("delta")
        item = self._item(payload, "message")
        if not isinstance(delta, str) or item.text.echo is not None:
            self._parse_delta(payload, "text", "text")
            return
        self._go_on(item)
        self._plain_text(delta)

    def _parse_delta(self, payload: dict[str, Any], kind: str, member: str) -> None:
        delta = payload.get("delta")
        if delta is None:
            delta = payload.get(member)
        words = words_of(delta) if isinstance(delta, dict) else as_words(delta)
        if not words:
            self._unread.note(f"response.{kind}.delta", delta)
            return
        item = self._item(payload, _family_of(kind))
        text: StreamedText = getattr(item, kind)
        self._tell(kind, text.rest_of_delta(words), item)

    def _parse_text_done(self, payload: dict[str, Any], kind: str, member: str) -> None:
        words = words_of(payload.get(member)) or words_of(payload.get("delta"))
        self._end_part(PartContent(kind, words), payload)

    def _parse_annotation(self, payload: dict[str, Any]) -> None:
        item = self._item(payload, "message")
        start = item.starts.get(payload.get("content_index"))
        if start is None:  # the part never began: it is the last that has words
            streamed = next((part.size for part in reversed(item.text.parts[-2:]) if part), 0)
            start = self._end_of(item) - streamed
        for source in self._sources_in(payload.get("annotation")):
            self._cite(source, start, item)

    # --- parts ---------------------------------------------------------------------------------------------

    def _parse_part_added(self, payload: dict[str, Any], kind: str) -> None:
        part = read_part(part_of(payload.get("part") or {}, kind), self._unread)
        state = self._part_item(payload, part)
        if state is None:
            return
        text: StreamedText | None = getattr(state, part.kind, None)
        if part.kind == "text":
            state.starts[payload.get("content_index")] = self._end_of(state)
        if text is not None:
            text.end_part()
            rest = text.rest_of_part(part.text)
            self._tell(part.kind, rest, state)
            text.echo = Echo(rest) if rest else text.echo
        self._add_beside(part, state)

    def _parse_part_done(self, payload: dict[str, Any], kind: str) -> None:
        self._end_part(read_part(part_of(payload.get("part") or {}, kind), self._unread), payload)

    def _end_part(self, part: PartContent, payload: dict[str, Any]) -> None:
        """A content part is over: what it adds to its deltas."""
        state = self._part_item(payload, part)
        if state is None:
            return
        text: StreamedText | None = getattr(state, part.kind, None)
        if text is not None:
            self._tell(part.kind, text.rest_of_part(part.text), state)
            text.end_part()
        self._add_beside(part, state)

    def _add_beside(self, part: PartContent, state: Item) -> None:
        """What a part has beside its text."""
        self._add_files([part.file] if part.file else [], state)
        self._add_sounds([part.sound] if part.sound else [], state)
        if part.annotations:
            before = self._end_of(state) - len(part.text)
            self._add_annotations([(before, each) for each in part.annotations], state)

    def _part_item(self, payload: dict[str, Any], part: PartContent) -> Item | None:
        """The item of a part; None if its start wasn't seen, so that some of it may have been told."""
        if not part.kind:
            return None
        family = _family_of(part.kind)
        state = self._items.place(payload, family)
        if state is None and not (
            part.is_empty or self._is_resumed or self._has_told(part, family)
        ):
            state = self._item(payload, family)
        if state is None or state.whole:
            return state
        return state if getattr(state, part.kind, None) else None

    def _has_told(self, part: PartContent, family: str) -> bool:
        """Whether an item of this family has told the words of a part."""
        if not part.text:
            return False
        texts = [getattr(item, part.kind) for item in self._items.of(family)]
        return any(text.rest(part.text) == "" for text in texts)

    # --- speech --------------------------------------------------------------------------------------------

    def _parse_speech(self, payload: dict[str, Any]) -> None:
        self._speech.add(payload.get("delta"), payload.get("item_id"))
        self._spoken.add(self._items.place(payload, "message"))

    def _parse_speech_done(self, payload: dict[str, Any]) -> None:
        sound = parse_sound(payload)
        if sound is not None:
            self._add_sounds([sound], self._item(payload, "message"))

    _HANDLERS: ClassVar[dict[Any, _Handler]] = {
        "response.created": _parse_response,
        "response.queued": _parse_response,
        "response.in_progress": _parse_response,
        "response.completed": _parse_end,
        "response.incomplete": _parse_end,
        "response.failed": _parse_end,
        "response.cancelled": _parse_end,
        "response.done": _parse_end,
        "response.requires_action": _parse_end,
        "error": _parse_error,
        "response.output_item.added": CallReader.parse_added,
        "response.output_item.done": CallReader.parse_item_done,
        "response.content_part.added": partial(_parse_part_added, kind="output_text"),
        "response.content_part.done": partial(_parse_part_done, kind="output_text"),
        "response.output_text.annotation.added": _parse_annotation,
        "response.audio.delta": _parse_speech,
        "response.audio.done": _parse_speech_done,
        "response.output_audio.delta": _parse_speech,
        "response.output_audio.done": _parse_speech_done,
        "response.function_call_arguments.delta": CallReader.parse_arguments,
        "response.function_call_arguments.done": CallReader.parse_arguments_done,
        "response.custom_tool_call_input.delta": CallReader.parse_arguments,
        "response.custom_tool_call_input.done": CallReader.parse_arguments_done,
    }
    for _name in _REASONING_PARTS:
        _HANDLERS[f"{_name}.added"] = partial(_parse_part_added, kind="summary_text")
        _HANDLERS[f"{_name}.done"] = partial(_parse_part_done, kind="summary_text")
    for _name, (_kind, _member) in _TEXTS.items():
        _HANDLERS[f"response.{_name}.delta"] = partial(_parse_delta, kind=_kind, member=_member)
        _HANDLERS[f"response.{_name}.done"] = partial(_parse_text_done, kind=_kind, member=_member)
    _HANDLERS["response.output_text.delta"] = _parse_text
    _KNOWN: ClassVar[dict[Any, frozenset[str]]] = {
        kind: members.of_event(kind) for kind in _HANDLERS
    }


def _family_of(kind: str) -> str:
    """The family of the items that have such texts."""
    return "reasoning" if kind == "reasoning" else "message"


def _find_reason(response: dict[str, Any]) -> Any:
    """Why the answer ends where it does: beside the status, or in another format's member."""
    details = response.get("incomplete_details")
    named = details if isinstance(details, str) else as_object(details).get("reason")
    return named or next(filter(None, map(response.get, _REASONS)), None)


def _find_error(payload: dict[str, Any], response: dict[str, Any]) -> Any:
    """The error of a terminal event: in the response, beside it, or in its status's details (Realtime)."""
    detailed = as_object(response.get("status_details")).get("error")
    found = (response.get("error"), payload.get("error"), detailed, response.get("last_error"))
    return next(filter(None, found), None)
