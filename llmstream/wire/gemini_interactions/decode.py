"""Google's Interactions: bytes to events.

Format: https://ai.google.dev/gemini-api/docs/streaming and https://ai.google.dev/api/interactions-api. Rules, and what
the documentation's streams and google-genai's types show:

- An interaction is steps; each begins with `step.start`, goes on with deltas, and ends with `step.stop`.
- A step may begin with content, of which its deltas go on. A call begins with `{}` as arguments, which means nothing.
- A delta may lack its `type` (deep research does): then its members tell it.
- A thought's signature is its last delta. Its summary is reasoning.
- Places of annotations are bytes of their step's text.
- `interaction.completed` has no steps, but its type allows them: what wasn't streamed is told then.
- `event_id` is what a stored interaction can be resumed after. A STATUS names it where the stream is cut.
- `continuation_token` with `requires_continuation`: the same request with this token goes on.

The end is `interaction.completed`. A final status in `interaction.status_update` ends an answer after which nothing
comes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

from llmstream.checks import as_object, as_text
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import FinishReason
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES
from llmstream.wire.gemini_interactions import members
from llmstream.wire.gemini_interactions.open_step import OpenStep
from llmstream.wire.gemini_interactions.step_reader import StepReader, key_of
from llmstream.wire.gemini_interactions.steps import CONTINUATION, FORMAT, OUTPUT
from llmstream.wire.gemini_interactions.usage import read_counts, usage_of
from llmstream.wire.json_fields import first_text, listed, objects_in, present

_COMPLETED = "completed"
_UNFINISHED = frozenset({"queued", "in_progress", "idle"})
_IDS, _MODELS = ("id", "interaction_id"), ("model", "agent")
_CANCELLED = "cancelled"
_FAILED = frozenset({"failed", "budget_exceeded", _CANCELLED})
_CUTS = frozenset({"truncated", "connection", "timeout"})
"""Kinds of failure after which a stored interaction goes on without us."""
RESUMABLE = "resumable"
"""The kind of STATUS that says after which event."""
_Handler: TypeAlias = Callable[[Any, dict[str, Any]], None]


class InteractionsDecoder(StepReader):
    """One answer of the Interactions API."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._counts: dict[str, Any] = {}
        self._continuation: str | None = None
        self._event_id: str | None = None

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event."""
        kind = payload.get("event_type") or event
        self._event_id = as_text(payload.get("event_id")) or self._event_id
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            self._is_known = True
            handler(self, payload)
            if not payload.keys() <= members.EVENT:
                self._unread.look_over(f"{kind}.", payload, members.EVENT)
        elif carries_error(payload) or kind == "error" or is_error(payload):
            self._fail(parse_error(payload))
        elif kind not in KEEP_ALIVES:
            self._unread.note(str(kind or "event"), {**payload, "event_type": None})

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole interaction."""
        inner = payload.get("interaction")
        interaction = inner if isinstance(inner, dict) else payload
        status = as_text(interaction.get("status"))
        is_interaction = interaction.get("object") == "interaction" or "steps" in interaction
        is_answer = is_interaction or bool(interaction.get("output_text"))
        if not is_answer or status in _UNFINISHED:
            return False
        self._end(interaction, status or _COMPLETED)
        return True

    def done_marker(self) -> None:
        """`[DONE]`: it ends nothing that a status hasn't ended."""
        if self.finishing:
            self._complete()

    # --- the interaction as a whole ------------------------------------------------------------------------

    def _parse_head(self, payload: dict[str, Any]) -> None:
        self._parse_interaction(as_object(payload.get("interaction")))

    def _parse_interaction(self, said: Mapping[str, Any]) -> None:
        self._note_head(id=first_text(said, _IDS), model=first_text(said, _MODELS))
        self._note_progress(said)
        self._unread.look_over("interaction.", said, members.INTERACTION)

    def _note_head(self, **said: str | None) -> None:
        """What MESSAGE_START says, as long as it hasn't left."""
        for name, value in present(**said).items():
            if not self._started:
                setattr(self.start, name, value)

    def _note_progress(self, said: Mapping[str, Any]) -> None:
        self._add_usage(said.get("usage"))
        self._continuation = as_text(said.get(CONTINUATION)) or self._continuation

    def _parse_status(self, payload: dict[str, Any]) -> None:
        """A status by itself. A final one is the end, unless more comes."""
        self._note_progress(payload)
        self._note_head(id=first_text(payload, _IDS))
        status = as_text(payload.get("status"))
        if status is not None and status not in _UNFINISHED:
            self.finishing |= self._finish_word(status)

    def _parse_delta_event(self, payload: dict[str, Any]) -> None:
        self.parse_delta(payload)
        if "metadata" in payload:
            self._add_usage(as_object(payload["metadata"]).get("total_usage"))

    def _parse_stop_event(self, payload: dict[str, Any]) -> None:
        self.parse_stop(payload)
        self._add_usage(payload.get("usage"))

    def _add_usage(self, usage: Any) -> None:
        if usage:
            self._counts |= read_counts(usage)
            self._usage = usage_of(self._counts)

    def _parse_end(self, payload: dict[str, Any]) -> None:
        interaction = as_object(payload.get("interaction"))
        named = str(payload.get("event_type") or _COMPLETED).rpartition(".")[2]
        given = map(as_text, (interaction.get("status"), self._raw_finish_reason, named))
        final = (status for status in given if status is not None and status not in _UNFINISHED)
        self._end(interaction, next(final, _COMPLETED))

    def _end(self, interaction: Mapping[str, Any], status: str) -> None:
        self._parse_interaction(interaction)
        self._tell_steps(objects_in(interaction.get("steps")))
        self._tell_output_text(as_text(interaction.get("output_text")))
        failure = next(filter(None, self._errors_in(interaction)), None)
        if failure and status in _FAILED:
            self._fail(parse_error({"error": failure}))
            return
        if failure:
            self._stop_details = {"error": failure}
        self._finish_word(status)
        self._complete()

    def _errors_in(self, interaction: Mapping[str, Any]) -> Iterator[Any]:
        for name in ("error", "errors"):
            yield from listed(interaction.get(name))
        yield self._step_error

    def _tell_steps(self, given: list[dict[str, Any]]) -> None:
        """The steps of a whole interaction: what wasn't streamed. They are known by their ids, else by their order."""
        told: defaultdict[tuple[str, str], deque[OpenStep]] = defaultdict(deque)
        for known in self._steps:
            told[key_of(known.body)].append(known)
        for step in given:
            waiting = told[key_of(step)]
            if waiting:
                self._tell_rest(waiting.popleft(), step)
            else:
                whole = self._begin_step(key_of(step)[0], step, None)
                self._end_step(whole)
                self._texts.end(whole)

    def _tell_output_text(self, whole: str | None) -> None:
        """The text of the last step, which a server may give alone."""
        if whole is not None and not any(step.record for step in self._steps):
            self._parse_text(self._begin_step(OUTPUT, {"type": OUTPUT}, None), {"text": whole})

    # --- the end -------------------------------------------------------------------------------------------

    def _complete(self) -> None:
        if self.ended:
            return
        self._end_steps()
        if self._finish_reason is FinishReason.PAUSE and self._continuation is not None:
            self._opaque(item={CONTINUATION: self._continuation})
        if self._failure is not None and self._raw_finish_reason == _CANCELLED:
            told = "the interaction was cancelled"
            self._fail(ErrorInfo("server", told, retryable=False, code=_CANCELLED))
            return
        super()._complete()

    def _fail(self, info: ErrorInfo) -> None:
        if not self.ended and self._event_id is not None and info.kind in _CUTS:
            self._tell_resumable()
        super()._fail(info)

    def _tell_resumable(self) -> None:
        data = {"format": FORMAT, "interaction_id": self.start.id, "event_id": self._event_id}
        told = f"the interaction {self.start.id} can be resumed after event {self._event_id}"
        status = Status(RESUMABLE, told, data)
        self._out.append(StreamEvent(EventType.STATUS, status=status))

    _HANDLERS: ClassVar[Mapping[Any, _Handler]] = {
        "interaction.created": _parse_head,
        "interaction.queued": _parse_head,
        "interaction.in_progress": _parse_head,
        "interaction.idle": _parse_head,
        "interaction.status_update": _parse_status,
        "interaction.completed": _parse_end,
        "interaction.requires_action": _parse_end,
        "interaction.requires_continuation": _parse_end,
        "interaction.incomplete": _parse_end,
        "interaction.failed": _parse_end,
        "interaction.cancelled": _parse_end,
        "interaction.budget_exceeded": _parse_end,
        "step.start": StepReader.parse_start,
        "step.delta": _parse_delta_event,
        "step.stop": _parse_stop_event,
    }
