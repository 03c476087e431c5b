"""Ollama's own API, `/api/chat` and `/api/generate`: bytes to events.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. Each line is a JSON object. What real servers add to it,
all seen in recordings or in Ollama's own types:

- Calls come whole, each in a line of its own or several in one, with arguments as an object, and before the end.
  Older versions give them no id, no `index`, or neither.
- The finish reason stays "stop" when tools were called. Versions before 2024 sent none.
- `prompt_eval_count` is missing where the whole prompt was in the cache.
- An error after the head is the line `{"error": "…"}`, at any time. In place of a stream it is the whole body.
- The last line may hold the whole answer: then it is the only one, or it repeats what came before.
- Models of pictures say how far they are (`completed`, `total`), and then have an `image`.

The end is `"done": true`, and nothing else.
"""

from __future__ import annotations

from typing import Any

from llmstream.checks import as_text
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.messages import File, Usage
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.ndjson import NDJSON
from llmstream.wire.json_fields import as_count
from llmstream.wire.ollama_native import members
from llmstream.wire.ollama_native.calls import CallLog, WholeCall, parse_calls
from llmstream.wire.text_record import TextRecord

FORMAT = "ollama-native"
_PLAIN = frozenset({"content", "role"})
"""Members of the message in nearly every line."""
_PLAIN_LINE = frozenset({"model", "created_at", "message", "done"})


class OllamaDecoder(Decoder):
    """One answer of `/api/chat` or of `/api/generate`."""

    format = FORMAT
    framing = NDJSON("content", ("created_at",))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._log = CallLog()
        self._thoughts = TextRecord()
        self._pictures: set[int] = set()  # hashes of those that were read

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One line."""
        message, done = payload.get("message"), payload.get("done")
        if type(message) is dict and not done and payload.keys() <= _PLAIN_LINE:
            content = message.get("content")
            if type(content) is str and message.keys() <= _PLAIN:
                self._parse_head(payload)
                self._plain_text(content)  # nearly every line: there is nothing else to look for
                return
        if carries_error(payload) or (isinstance(message, str) and is_error(payload)):
            self._fail(parse_error(payload))
        elif self._is_line(payload):
            self._parse_line(payload, message)
        elif is_error(payload):
            self._fail(parse_error(payload))
        elif payload.get("type") not in members.NO_ANSWERS:
            self._unread.look_over("", payload, members.LINE)

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole answer, as `"stream": false` brings it: one line that says that it is done.

        Without that it is the first line of a stream, which was cut right behind it.
        """
        if not self._is_line(payload):
            return False
        self.parse_frame(payload, "")
        if not self.ended:
            self._fail_cut()
        return True

    # --- lines ---------------------------------------------------------------------------------------------

    def _is_line(self, payload: dict[str, Any]) -> bool:
        """Whether it is one of this format: nearly any member may be left out."""
        places = ("message", "response", "done", "completed")
        return any(payload.get(place) is not None for place in places)

    def _parse_line(self, payload: dict[str, Any], message: Any) -> None:
        self._parse_head(payload)
        done = payload.get("done") is True
        if message is not None:
            self._parse_message(message, done=done)
        if payload.get("response") is not None or payload.get("thinking"):
            words = {"content": payload.get("response"), "thinking": payload.get("thinking")}
            self._parse_words(words, done=done)
        if image := payload.get("image"):
            self._picture(image)
        if payload.get("total"):
            self._tell_progress(payload)
        self._unread.look_over("", payload, members.LINE)
        self._add_usage(payload)
        if reason := payload.get("done_reason"):
            self._finish_word(reason)
        if done:
            self._complete()

    def _parse_head(self, payload: dict[str, Any]) -> None:
        self._is_known = True
        if not self._started:
            self._log.note_time(payload.get("created_at"))
            self.start.id = self.start.id or as_text(payload.get("id"))
            self.start.model = self.start.model or as_text(payload.get("model"))

    def _parse_message(self, message: dict[str, Any], *, done: bool) -> None:
        self._parse_words(message, done=done)
        for image in message.get("images") or ():
            self._picture(image)
        calls = parse_calls(message.get("tool_calls"), self._unread)
        for place, call in self._log.untold(calls, at_end=done).items():
            self._add_call(place, call)
        self._unread.look_over("message.", message, members.MESSAGE)

    def _add_call(self, place: int, call: WholeCall) -> None:
        """A call, or more of one: it leaves with what comes next, for it may be told again with more in it."""
        opened = self._log.opened
        if place == len(opened):
            opened.append(self._open_call(call.id, call.name))
        self._call_delta(opened[place], call.arguments, first=True, named=True)
        opened[place].done = True

    def _parse_words(self, message: dict[str, Any], *, done: bool) -> None:
        """The reasoning and the text of a line; the last one may tell all of it again."""
        thinking, content = message.get("thinking") or "", message.get("content") or ""
        if thinking and not (done and self._thoughts.says(thinking)):
            self._thoughts.chunks.append(self._reasoning(thinking))
        if content and not (done and self._record.says(content)):
            self._text(content)

    def _picture(self, data: Any) -> None:
        seen = hash(data)
        if data and seen not in self._pictures:
            self._pictures.add(seen)
            self._file(File(data=data))

    def _tell_progress(self, payload: dict[str, Any]) -> None:
        """How far a model of pictures is."""
        steps = {name: as_count(payload.get(name)) for name in ("completed", "total")}
        told = f"step {steps['completed'] or 0} of {steps['total']}"
        self._out.append(StreamEvent(EventType.STATUS, status=Status("progress", told, steps)))

    def _add_usage(self, payload: dict[str, Any]) -> None:
        asked, said = (
            as_count(payload.get("prompt_eval_count")),
            as_count(payload.get("eval_count")),
        )
        if asked is not None or said is not None:
            self._count(Usage(asked, said))
