"""AWS event streams: binary messages to frames, and back.

Format: https://smithy.io/2.0/aws/amazon-eventstream.html. Each message has a prelude (its length, the length of its
headers, a CRC of both), headers, a payload, and a CRC of all before it. Rules:

- `:event-type` is the frame's name, the payload its data. An exception becomes a frame named `error` whose data has
  its class as `__type`, as the errors of AWS's other JSON protocols have.
- A CRC or a length that is wrong ends the body: nobody can tell where the next message begins.
- A body, or the rest of one, that begins with another byte than a message does is text: a JSON document, a proxy's
  page, server-sent events that a gateway made. It is cut as `SSEFramer` cuts it.

Linear in the input: a message in many pieces is joined once. Bounded by `max_frame` bytes a message.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct, pack
from typing import NamedTuple
from zlib import crc32

from llmstream.wire.framing.framer import MAX_FRAME, BrokenFrame, Frame
from llmstream.wire.framing.sse import SSEFramer
from llmstream.wire.framing.text_frames import TextTemplate
from llmstream.wire.json_fields import parse_json

_PRELUDE = Struct(">III")
_LENGTHS = Struct(">II")
_CRC = Struct(">I")
_BEGIN = _PRELUDE.size
_LEAST = _BEGIN + _CRC.size
_LARGEST_FIRST = 1
"""The first byte of a message of less than 32 MB. No message is longer, and no text begins with a lower one."""

_STRING = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, by its type; those of the types 6 and 7 stand before it."""
_JSON = "application/json"
ERROR = "error"
"""The name of a frame that reports a failure."""
CHUNK = "chunk"
"""The event of InvokeModelWithResponseStream: `{"bytes": …}`, in base64."""


class StreamMessage(NamedTuple):
    """One message: its headers of text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamFramer:
    """Feed it the body in any pieces; it returns the frames completed so far."""

    __slots__ = (
        "_headers",
        "_is_over",
        "_max",
        "_need",
        "_pending",
        "_pending_size",
        "_raw_headers",
        "_template",
        "_text",
        "oversized",
    )

    def __init__(self, *, max_frame: int = MAX_FRAME, template: TextTemplate | None = None) -> None:
        self._max = max_frame
        self._pending: list[bytes] = []  # pieces of the unfinished message
        self._pending_size = 0
        self._need = 1  # bytes that tell more than those that are there
        self._text: SSEFramer | None = None  # what comes is no message
        self._is_over = False  # a message was broken
        self._raw_headers = b""  # those of the last message
        self._headers: Mapping[str, str] = {}
        self._template = template
        self.oversized = False

    def feed(self, data: bytes) -> Iterator[Frame | str]:
        """The frames that `data` completes, to be taken before the next call. They are cut one by one."""
        if self._is_over or not data:
            return
        if self._pending:
            self._pending.append(data)
            self._pending_size += len(data)
            if self._pending_size < self._need:
                return
            data = b"".join(self._pending)
            self._pending.clear()
        at = 0
        if self._text is None:
            while frame := self._next(data, at):
                at += self._need
                yield frame
        if self._text is not None:
            yield from self._text.feed(data[at:])
            self.oversized = self._text.oversized
            return
        self._pending_size = len(data) - at
        if self._pending_size and not self._is_over:
            self._pending.append(data[at:])

    def finish(self) -> list[Frame]:
        """The body is over: what text leaves unfinished. A message that was cut is nothing."""
        if self._text is None or self._is_over:
            return []
        found = self._text.finish()
        self.oversized = self._text.oversized
        return found

    def learn(self, frame: Frame, text: str) -> None:
        """`frame`, the last one taken, meant `text` and nothing else."""
        if self._template is None or self._text is not None:
            return
        self._template.learn(self._raw_headers, frame.data, text)
        if not self._template.wanted:
            self._template = None

    def _next(self, data: bytes, at: int) -> Frame | str | None:
        """The frame of the message that begins here; None if it isn't whole. `_need` is its size then."""
        size = len(data) - at
        self._need = _BEGIN
        if not size or self._is_over:
            return None
        if data[at] > _LARGEST_FIRST:
            self._text = SSEFramer(max_frame=self._max)
            return None
        if size < _BEGIN:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(data, at)
        flaw = _flaw_of_prelude(data, at, total, headers, checksum)
        if flaw:
            return self._break(flaw, data[at : at + _BEGIN])
        if total > self._max:
            self._is_over = self.oversized = True
            return None
        self._need = total
        if size < total:
            return None
        end = at + total - _CRC.size
        if crc32(data[at:end]) != _CRC.unpack_from(data, end)[0]:
            return self._break("the checksum of a message is wrong", data[at + _BEGIN : end])
        return self._frame_of(data[at + _BEGIN : end], headers)

    def _frame_of(self, block: bytes, size: int) -> Frame | str:
        """The frame of a message's headers, which are so many bytes, and its payload."""
        if self._template is not None:
            text = self._template.text(block)
            if text is not None:
                return text
        raw = block[:size]
        if raw != self._raw_headers:
            try:
                self._headers = dict(_headers_in(raw))
            except (IndexError, UnicodeDecodeError):
                return self._break("the headers of a message can't be read", raw)
            self._raw_headers = raw
        return _frame(StreamMessage(self._headers, block[size:]))

    def _break(self, flaw: str, data: bytes) -> BrokenFrame:
        """Nothing after this is read."""
        self._is_over = True
        return BrokenFrame("", data, stray=True, flaw=flaw)


class ChunkFramer(EventStreamFramer):
    """The framer of a body whose events are another API's, each wrapped into a `chunk` event."""

    __slots__ = ()

    def _frame_of(self, block: bytes, size: int) -> Frame | str:
        frame = super()._frame_of(block, size)
        if not isinstance(frame, Frame) or frame.event != CHUNK:
            return frame
        wrapped = _object_in(frame.data).get("bytes")
        try:
            return Frame("", b64decode(wrapped if isinstance(wrapped, str) else "", validate=True))
        except ValueError:
            return self._break("the bytes of a chunk aren't base64", frame.data)


def _flaw_of_prelude(data: bytes, at: int, total: int, size: int, checksum: int) -> str:
    """What is wrong with a message's first bytes; empty if nothing is."""
    if crc32(data[at : at + _LENGTHS.size]) != checksum:
        return "the checksum of a message's length is wrong"
    return "" if total >= size + _LEAST else "a message is shorter than its headers"


def _headers_in(raw: bytes) -> Iterator[tuple[str, str]]:
    """The headers whose values are text. Raises for those that can't be read."""
    at = 0
    while at < len(raw):
        start = at + 1
        name_end = start + raw[at]
        name, kind = raw[start:name_end].decode(), raw[name_end]
        at = name_end + 1
        size = _SIZES.get(kind)
        if size is None:
            size = int.from_bytes(raw[at : at + 2])
            at += 2
        if at + size > len(raw):
            raise IndexError
        if kind == _STRING:
            yield name, raw[at : at + size].decode()
        at += size


def _frame(message: StreamMessage) -> Frame:
    """A message as a frame."""
    headers, payload = message
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return Frame(headers.get(":event-type", ""), payload)
    told = _object_in(payload)
    failure = headers.get(":exception-type") or headers.get(":error-code") or kind
    told.setdefault("message", headers.get(":error-message", ""))
    return Frame(ERROR, json.dumps({"__type": failure, **told}).encode())


def _object_in(payload: bytes) -> dict[str, object]:
    """What an exception says of itself. A text becomes its message."""
    try:
        told = parse_json(payload)
    except ValueError:
        text = payload.decode("utf-8", "replace")
        return {"message": text} if text else {}
    return told if isinstance(told, dict) else {"message": str(told)}


def encode_message(message: StreamMessage) -> bytes:
    """The bytes of a message."""
    return _encode(_headers_of(message.headers), message.payload)


def _encode(headers: bytes, payload: bytes) -> bytes:
    body = _head(headers, len(payload)) + headers + payload
    return body + _CRC.pack(crc32(body))


def _head(headers: bytes, size: int) -> bytes:
    """The prelude of a message with these headers, and a payload of this size."""
    lengths = _LENGTHS.pack(len(headers) + size + _LEAST, len(headers))
    return lengths + _CRC.pack(crc32(lengths))


def _headers_of(headers: Mapping[str, str]) -> bytes:
    return b"".join(_header(name, value) for name, value in headers.items())


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return pack(f">B{len(name)}sBH", len(name), name.encode(), _STRING, len(text)) + text


@dataclass(frozen=True, slots=True)
class EventStream:
    """The framing of formats whose answers are AWS event streams.

    `text_member` and `free_members` are as in SSE.
    """

    text_member: str | None = None
    free_members: tuple[str, ...] = ()
    content_type: str = "application/vnd.amazon.eventstream"

    @property
    def keep_alive(self) -> bytes:
        """An event that means nothing; there are no comments."""
        return self.frame(b"{}", "ping")

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> EventStreamFramer:
        """A framer for one body."""
        template = None
        if shortcuts and self.text_member is not None:
            template = TextTemplate(self.text_member, self.free_members)
        return EventStreamFramer(max_frame=max_frame, template=template)

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one event."""
        return encode_message(
            StreamMessage(
                {":event-type": event, ":content-type": _JSON, ":message-type": "event"}, data
            )
        )

    def exception(self, data: bytes, name: str) -> bytes:
        """The bytes of an exception of this class."""
        return encode_message(
            StreamMessage(
                {":exception-type": name, ":content-type": _JSON, ":message-type": "exception"},
                data,
            )
        )

    def reframe(self, frame: bytes, data: bytes) -> bytes:
        """The message with another payload."""
        _, size = _LENGTHS.unpack_from(frame)
        return _encode(frame[_BEGIN : _BEGIN + size], data)

    def begin(self, size: int) -> bytes:
        """The first bytes of a message whose payload has this size, which doesn't come with them."""
        raw = _headers_of({":event-type": "chunk"})
        return _head(raw, size) + raw

    def unframe(self, frame: bytes) -> bytes:
        """The payload of one message."""
        _, size = _LENGTHS.unpack_from(frame)
        return frame[_BEGIN + size : -_CRC.size]

    def split(self, body: bytes) -> list[bytes]:
        """The messages of a body that is right."""
        found = []
        while body:
            (total, _) = _LENGTHS.unpack_from(body)
            found.append(body[:total])
            body = body[total:]
        return found


@dataclass(frozen=True, slots=True)
class ChunkStream(EventStream):
    """The framing of another API's events through Amazon: those of Claude, for the SDK's client for Bedrock."""

    def framer(self, *, max_frame: int = MAX_FRAME, shortcuts: bool = True) -> ChunkFramer:
        """A framer for one body."""
        return ChunkFramer(max_frame=max_frame)

    def frame(self, data: bytes, event: str = "") -> bytes:
        """The bytes of one event, wrapped."""
        wrapped = json.dumps({"bytes": b64encode(data).decode(), "p": "abc"})
        return encode_message(
            StreamMessage({":event-type": CHUNK, ":message-type": "event"}, wrapped.encode())
        )

    def unframe(self, frame: bytes) -> bytes:
        """The data of one event."""
        wrapped = _object_in(EventStream.unframe(self, frame))
        return b64decode(str(wrapped.get("bytes", "")))
