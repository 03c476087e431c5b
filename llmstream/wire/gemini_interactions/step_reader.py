"""StepReader: the steps of an interaction and their deltas, as pieces of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

from llmstream.checks import as_object, as_text
from llmstream.events.types import StreamEvent
from llmstream.wire.framing.sse import SSE
from llmstream.wire.gemini_interactions import members
from llmstream.wire.gemini_interactions.citations import parse_citation
from llmstream.wire.gemini_interactions.open_step import OpenStep
from llmstream.wire.gemini_interactions.steps import (
    CALL,
    MEDIA,
    OTHER,
    OUTPUT,
    RAN,
    RESULT,
    THOUGHT,
    TOLD,
    family_of,
    parse_file,
)
from llmstream.wire.gemini_interactions.tool_steps import ToolSteps
from llmstream.wire.json_fields import as_count, as_string, listed, objects_in
from llmstream.wire.speech import Speech

_BY_MEMBER = (
    ("text", "text"),
    ("arguments", "arguments_delta"),
    ("content", "thought_summary"),
    ("annotations", "text_annotation_delta"),
    ("signature", "thought_signature"),
)
"""What a delta without a type is, by its members."""
_STEP_OF = {
    "arguments_delta": CALL,
    "function_call": CALL,
    "thought_summary": THOUGHT,
    "thought_signature": THOUGHT,
}
"""The step of a delta whose step never began."""
_Handler: TypeAlias = Callable[[Any, OpenStep, dict[str, Any]], None]


class StepReader(ToolSteps):
    """The part of the decoder that knows steps."""

    framing = SSE("text")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_index: dict[int | None, OpenStep] = {}
        self._steps: list[OpenStep] = []  # those that the model made, in order
        self._text_step: OpenStep | None = None  # whose text goes on
        self._told_before = 0  # characters of all other steps
        self._sound = Speech()
        self._sound_content: dict[str, Any] = {}
        self._step_error: Any = None

    # --- events --------------------------------------------------------------------------------------------

    def parse_start(self, payload: dict[str, Any]) -> None:
        """A step begins."""
        body = as_object(payload.get("step"))
        index = as_count(payload.get("index"))
        kind = as_text(body.get("type")) or OUTPUT
        known = self._by_index.get(index)
        is_told_again = known is not None and known.kind == kind and not known.done
        if not is_told_again:
            self._begin_step(kind, body, index)

    def parse_delta(self, payload: dict[str, Any]) -> None:
        """The next piece of a step: nearly every event."""
        delta = payload.get("delta")
        if delta is None:
            return
        text = delta.get("text")
        step = self._by_index.get(payload.get("index"))
        is_plain = step is not None and step is self._text_step and delta.keys() <= members.TEXT
        if is_plain and type(text) is str:
            if "event_id" in payload:
                self._text(text)  # what it can be resumed after is kept
            else:
                self._plain_text(text)
            return
        self._read_delta(delta, as_count(payload.get("index")))

    def _read_delta(self, delta: dict[str, Any], index: int | None) -> None:
        kind = as_text(delta.get("type")) or _kind_of(delta)
        step = self._by_index.get(index) or self._open_at(index, kind)
        if step.kind in members.EMPTY_STEPS:
            return
        handler = self._DELTAS.get(kind)
        if handler is not None:
            handler(self, step, delta)
            self._unread.look_over(f"{kind}.", delta, members.DELTAS.get(kind, delta))
        elif kind == step.kind:
            step.add(delta)
        else:
            self._unread.note(f"delta.{kind}", {**delta, "type": None})

    def parse_stop(self, payload: dict[str, Any]) -> None:
        """A step is over."""
        step = self._by_index.get(as_count(payload.get("index")))
        if step is not None:
            self._end_step(step)
            self._texts.end(step)

    def _open_at(self, index: int | None, kind: str) -> OpenStep:
        """The step of a delta that names none which began."""
        if index is None and self._steps:
            return self._steps[-1]
        is_tools = family_of(kind) in (RAN, TOLD)
        opened = kind if is_tools else _STEP_OF.get(kind, OUTPUT)
        return self._begin_step(opened, {"type": opened}, index)

    # --- steps ---------------------------------------------------------------------------------------------

    def _begin_step(self, kind: str, body: Mapping[str, Any], index: int | None) -> OpenStep:
        self._end_last()
        step = OpenStep(kind, body)
        self._by_index[index] = step
        if kind in members.EMPTY_STEPS:
            step.done = True
            return step
        self._steps.append(step)
        begin = self._BEGINNINGS.get(kind)
        if begin is not None:
            begin(self, step, step.body)
            self._unread.look_over(f"{kind}.", body, members.STEPS[kind])
        return step

    def _end_last(self) -> None:
        """Another step begins: only calls may go on beside it."""
        last = self._steps[-1] if self._steps else None
        if last is not None and last.kind != CALL:
            self._end_step(last)

    def _end_step(self, step: OpenStep) -> None:
        if not step.done:
            step.done = True
            self._ENDS[step.family](self, step)

    def _end_output(self, step: OpenStep) -> None:
        self._end_sound()
        self._cite(step, step.take_annotations())

    def _end_steps(self) -> None:
        for step in self._steps:
            self._end_step(step)
        self._end_sound()

    def _tell_rest(self, known: OpenStep, step: dict[str, Any]) -> None:
        """What a whole step has beyond what streamed of it."""
        tell = self._RESTS.get(known.kind)
        if tell is not None:
            tell(self, known, step)

    def _keep_step(self, step: OpenStep) -> None:
        """A step that is no part of an answer, or one that nobody knows: it goes back as it came."""
        is_known = step.kind == RESULT
        if not is_known:
            self._unread.note(f"steps.{step.kind}", {**step.body, "type": None})
        self._opaque(item=step.body, understood=is_known)

    # --- text, pictures, sound -----------------------------------------------------------------------------

    def _begin_output(self, step: OpenStep, body: Mapping[str, Any]) -> None:
        self._go_on(step)
        self._step_error = body.get("error") or self._step_error
        for content in listed(body.get("content")):
            self._parse_content(step, content)

    def _tell_rest_of_output(self, known: OpenStep, step: dict[str, Any]) -> None:
        self._step_error = step.get("error") or self._step_error
        contents = objects_in(step.get("content"))
        whole = "".join(as_text(content.get("text")) or "" for content in contents)
        rest = known.record.rest(whole)
        if rest is None:
            return  # other words have streamed
        self._parse_text(known, {"text": rest})
        for content in contents:
            self._parse_annotations(known, content)

    def _go_on(self, step: OpenStep) -> None:
        """The text that follows is of this step."""
        if step is self._text_step:
            return
        last, self._text_step = self._text_step, step
        if last is not None:
            self._told_before += last.record.size
        self._told_before -= step.record.size
        if not step.record:
            step.before = self._told_before
            step.record.part = self._texts.begin(step)
        self._record_text(step.record)

    def _parse_content(self, step: OpenStep, content: Any) -> None:
        """One content of a step: what a delta of its type says, too."""
        given = {"type": "text", "text": content} if isinstance(content, str) else content
        kind = as_text(given.get("type")) or _kind_of(given)
        if kind in MEDIA:
            self._add_file(given)
        elif kind == "text":
            self._parse_text(step, given)
            self._unread.look_over("text.", given, members.DELTAS[kind])
        else:
            self._unread.note(f"content.{kind}", {**given, "type": None})

    def _parse_text(self, step: OpenStep, delta: dict[str, Any]) -> None:
        text = delta.get("text")
        if step.kind == THOUGHT:
            self._think(step, text or "")
            return
        self._go_on(step)
        self._text(text or "")
        self._parse_annotations(step, delta)

    def _parse_annotations(self, step: OpenStep, delta: dict[str, Any]) -> None:
        given = objects_in(delta.get("annotations"))
        self._cite(step, step.annotate(given))

    def _cite(self, step: OpenStep, annotations: Iterable[Mapping[str, Any]]) -> None:
        for annotation in annotations:
            if annotation.get("type") not in members.NO_SOURCES:
                self._source(parse_citation(annotation, step.place_of))

    def _parse_media(self, step: OpenStep, delta: dict[str, Any]) -> None:
        """A file. Sound comes in pieces, each of which is base64 by itself."""
        if delta.get("type") != "audio" or not delta.get("data"):
            self._add_file(delta)
            return
        self._sound.add(as_string(delta["data"]))
        self._sound_content |= delta
        self._direct = False

    def _piece(self, event: StreamEvent) -> None:
        self._end_sound()
        super()._piece(event)

    def _end_sound(self) -> None:
        """Sound that came in pieces is one file."""
        sound = self._sound.take()
        if sound is not None:
            content, self._sound_content = self._sound_content, {}
            self._add_file({**content, "data": sound.data})

    def _add_file(self, content: Mapping[str, Any]) -> None:
        file = parse_file(content)
        if file is not None:
            self._file(file)
        else:
            self._unread.note(f"content.{content.get('type')}", {**content, "type": None})

    # --- thoughts ------------------------------------------------------------------------------------------

    def _begin_thought(self, step: OpenStep, body: Mapping[str, Any]) -> None:
        for content in listed(body.get("summary")):
            self._parse_summary(step, {"content": content})
        self._parse_signature(step, body)

    def _parse_summary(self, step: OpenStep, delta: Mapping[str, Any]) -> None:
        content = delta.get("content") or delta.get("text")
        given = {"text": content} if isinstance(content, str) else as_object(content)
        if as_text(given.get("type")) in MEDIA:
            self._opaque(item={"type": THOUGHT, "summary": [given]})  # a draft
        else:
            self._think(step, given.get("text") or "")

    def _think(self, step: OpenStep, text: str) -> None:
        self._reasoning(as_string(text))
        step.thinks = step.thinks or bool(text)

    def _parse_signature(self, step: OpenStep, delta: Mapping[str, Any]) -> None:
        step.signature = as_text(delta.get("signature")) or step.signature

    def _tell_rest_of_thought(self, known: OpenStep, step: dict[str, Any]) -> None:
        if not known.done:
            self._parse_signature(known, step)

    def _end_thought(self, step: OpenStep) -> None:
        """The signature is that of the whole thought."""
        if not step.signature:
            return
        if self._reasons and not step.thinks:  # the words are another thought's
            self._opaque(item={"type": THOUGHT, "signature": step.signature})
        else:
            self._opaque(signature=step.signature)

    _BEGINNINGS: ClassVar[Mapping[str, _Handler]] = {
        OUTPUT: _begin_output,
        THOUGHT: _begin_thought,
        CALL: ToolSteps.begin_call,
    }
    _ENDS: ClassVar[Mapping[str, Callable[[Any, OpenStep], None]]] = {
        OUTPUT: _end_output,
        THOUGHT: _end_thought,
        CALL: ToolSteps.end_call,
        RAN: ToolSteps.tell_ran,
        TOLD: ToolSteps.tell_result,
        OTHER: _keep_step,
    }
    _RESTS: ClassVar[Mapping[str, _Handler]] = {
        OUTPUT: _tell_rest_of_output,
        THOUGHT: _tell_rest_of_thought,
        CALL: ToolSteps.tell_rest_of_call,
    }
    _DELTAS: ClassVar[Mapping[str, _Handler]] = {
        "text": _parse_text,
        "text_annotation_delta": _parse_annotations,
        "arguments_delta": ToolSteps.parse_arguments_of,
        "function_call": ToolSteps.parse_arguments_of,
        "thought_summary": _parse_summary,
        "thought_signature": _parse_signature,
        **dict.fromkeys(MEDIA, _parse_media),
    }


def key_of(step: Mapping[str, Any]) -> tuple[str, str]:
    """What a step is known by: its type, and its id if it has one."""
    kind = as_text(step.get("type")) or OUTPUT
    return kind, as_text(step.get("id")) or as_text(step.get("call_id")) or ""


def _kind_of(said: Mapping[str, Any]) -> str:
    return next((kind for name, kind in _BY_MEMBER if said.get(name) is not None), "")
