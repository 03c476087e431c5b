"""Events to bytes: the native protocol, in four forms.

Every form carries the one JSON of an event, `StreamEvent.to_dict()`, whose grammar is in `llmstream.events.grammar`.

- **SSE** (`text/event-stream`; WHATWG HTML, section 9.2). Each event is one frame without an `event:` name, so that
  EventSource's `onmessage` sees them all:

      id: 3
      data: {"type":"text_delta","text_delta":{"content":"Hel"}}

  `id` counts from 1; that of the terminal event ends in `-end`, and a request whose Last-Event-ID does is answered with
  204, so that EventSource, which asks again after every end, stops. The first frame has a `retry:` (milliseconds).
  Comments (`: ping`) are heartbeats. Every end of a line is escaped, Unicode's too, so that no text can break a frame.
- **NDJSON** (`application/x-ndjson`): a line of JSON for each event. A heartbeat is a STATUS of the kind `ping`.
- **Text** (`text/plain`): the words of the answer and nothing else. It has no way to say that something went wrong, or
  to take a word back: AbortedError then, upon which the connection is to be cut.
- **JSON** (`application/json`): the MESSAGE_COMPLETE with the whole text in `text_delta`, as in batch mode.

STATUS of the kind `opaque` is for providers and leaves in none of them. RETRY and ERROR must have gone through
`llmstream.web.errors` before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Protocol

from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Gathered, Standing, Transcript
from llmstream.events.types import EventType, Status, StreamEvent, TextDelta, words
from llmstream.events.unfold import as_batch
from llmstream.messages import Message
from llmstream.web.negotiation import MEDIA_TYPES, Form
from llmstream.wire.outbound import encode_json, json_writer

_TEXT = EventType.TEXT_DELTA
LAST = "-end"
"""The end of the last event's id."""
_NONE: Mapping[str, str] = MappingProxyType({})


class AbortedError(Exception):
    """Raised to cut the connection: the answer so far must not look whole, and nothing can be added to say so."""


class Outgoing(Protocol):
    """One streamed answer's encoder, and the label of what it makes."""

    @property
    def content_type(self) -> str:
        """The media type of its bytes."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers of the answer."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """Bytes that may stand between two feeds and mean nothing; empty where nothing does."""
        ...

    @property
    def ended(self) -> bool:
        """Nothing that follows will be sent, so the model may stop, even before its end."""
        ...

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that have no place."""
        ...


class SseEncoder:
    """Server-sent events. `reconnect` is the time after which EventSource asks again, in seconds."""

    content_type = MEDIA_TYPES[Form.SSE][0]
    headers = _NONE
    keep_alive = b": ping\n\n"
    ended = False

    def __init__(self, *, reconnect: float = 3.0) -> None:
        self._count = 0
        self._head = f"retry: {round(reconnect * 1000)}\n"

    def feed(self, event: StreamEvent) -> bytes:
        """One frame."""
        if event.type is _TEXT and event.text_delta is not None and event.raw is None:
            head, self._head = self._head, ""
            self._count += 1
            return encode_json(f"{head}id: {self._count}\ndata: {_text_json(event.text_delta)}\n\n")
        return (
            b"" if event.is_internal else self.frame(event.to_dict(), last=event.type in TERMINAL)
        )

    def frame(self, value: Any, *, last: bool) -> bytes:
        """The next frame, with this as its JSON."""
        head, self._head = self._head, ""
        self._count += 1
        end = LAST if last else ""
        return f"{head}id: {self._count}{end}\ndata: ".encode() + render_json(value) + b"\n\n"


def _text_json(delta: TextDelta) -> str:
    """The JSON of nearly every event, in a twentieth of the time."""
    part = f',"part":{delta.part}' if delta.part else ""
    return f'{{"type":"text_delta","text_delta":{{"content":{encode_basestring(delta.content)}{part}}}}}'


class NdjsonEncoder:
    """A line of JSON for each event."""

    content_type = MEDIA_TYPES[Form.NDJSON][0]
    headers = _NONE
    keep_alive = b'{"type":"status","status":{"kind":"ping"}}\n'
    ended = False

    def feed(self, event: StreamEvent) -> bytes:
        """One line."""
        if event.type is _TEXT and event.text_delta is not None and event.raw is None:
            return encode_json(f"{_text_json(event.text_delta)}\n")
        return b"" if event.is_internal else render_json(event.to_dict()) + b"\n"


class TextEncoder:
    """The words alone, refusals too. `whole`: all of them, at the end."""

    content_type = f"{MEDIA_TYPES[Form.TEXT][0]}; charset=utf-8"
    headers = _NONE
    keep_alive = b""
    ended = False

    def __init__(self, *, whole: bool = False) -> None:
        self._sent = Standing(0)  # events with words
        self._whole: Gathered[bytes] | None = Gathered() if whole else None

    def feed(self, event: StreamEvent) -> bytes:
        """The words of one event. Raises AbortedError."""
        if event.type is EventType.ERROR:
            raise AbortedError("the answer failed")
        encoded = words(event).encode("utf-8", "replace")
        if self._whole is None:
            return self._stream(event, encoded)
        if encoded:
            self._whole.items.append(encoded)
        self._whole.add(event)
        is_end = event.type is EventType.MESSAGE_COMPLETE
        return b"".join(self._whole.items) if is_end else b""

    def _stream(self, event: StreamEvent, encoded: bytes) -> bytes:
        if encoded:
            self._sent.value += 1
        elif event.discards and self._sent.is_revocable:
            raise AbortedError("the answer begins again")
        else:
            self._sent.add(event)
        return encoded


class JsonEncoder:
    """One document, once the answer is whole. It is the event of batch mode."""

    content_type = MEDIA_TYPES[Form.JSON][0]
    headers = _NONE
    keep_alive = b""
    ended = False

    def __init__(self) -> None:
        self._transcript = Transcript()

    def feed(self, event: StreamEvent) -> bytes:
        """The document for MESSAGE_COMPLETE; nothing for what came before."""
        if event.type is EventType.MESSAGE_COMPLETE:
            return render_json(self._whole(event).to_dict())
        self._transcript.add(event)
        return b""

    def _whole(self, event: StreamEvent) -> StreamEvent:
        if words(event):  # it was asked for in batch mode
            return event
        return as_batch(event, event.message or Message("assistant", self._transcript.parts))


_ENCODERS: dict[Form, type[SseEncoder | NdjsonEncoder | JsonEncoder]] = {
    Form.SSE: SseEncoder,
    Form.NDJSON: NdjsonEncoder,
    Form.JSON: JsonEncoder,
}


def outgoing(form: Form, *, whole: bool = False) -> Outgoing:
    """A new encoder of this form; `whole`: text comes in one piece."""
    return TextEncoder(whole=whole) if form is Form.TEXT else _ENCODERS[form]()


def gap(last_event_id: str) -> StreamEvent:
    """The note before the answer to a client that asks to go on from an event, which isn't possible."""
    text = "What was missed can't be sent again; the answer begins anew."
    return StreamEvent(
        EventType.STATUS, status=Status("gap", text, {"last_event_id": last_event_id})
    )


def render_json(value: Any, *, default: Callable[[Any], Any] | None = None) -> bytes:
    """JSON in UTF-8, without spaces, for what may hold any text; `default` as in `json.dumps`.

    NaN and the infinities, which JSON has no word for, are null.
    """
    write = _strict_writer(default)
    try:
        text = write(value)
    except ValueError:
        text = write(json.loads(json.dumps(value, default=default), parse_constant=lambda _: None))
    return encode_json(text)


@cache
def _strict_writer(default: Callable[[Any], Any] | None) -> Callable[[Any], str]:
    return json_writer(default=default, allow_nan=False)
