"""Bedrock's Converse: bytes to events.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html. What real streams add
to it, all seen in recordings or public reports:

- Text and reasoning have no `contentBlockStart`; a block of citations may have no text. Each event is padded (`p`).
- `metadata`, with the usage, follows `messageStop`. Cached input isn't inside `inputTokens`: ours is the sum.
- Tools that Amazon runs (`server_tool_use`): the call like a tool's, the result in pieces of its own block.
- Reasoning that is signed, that is redacted, and that is neither (other models than Claude).
- An exception in place of an event. That of a model says its own status and message.
- Gateways that lose the names of events, or put each event into an object with its name.

An answer ends with `metadata`, or with the body after `messageStop`: a cut there costs what `metadata` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from llmstream.checks import as_object, as_text
from llmstream.events.types import EventType, Status, StreamEvent
from llmstream.wire.bedrock_converse import members
from llmstream.wire.bedrock_converse.block_decoder import ConverseBlockDecoder
from llmstream.wire.bedrock_converse.usage import parse_usage
from llmstream.wire.error_body import carries_error, is_error, parse_error
from llmstream.wire.event_decoder import KEEP_ALIVES
from llmstream.wire.framing.event_stream import ERROR
from llmstream.wire.json_fields import as_string, listed

_EXCEPTION = "Exception"
"""How the names of exceptions end."""


class ConverseDecoder(ConverseBlockDecoder):
    """One answer of Converse."""

    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        """One event, or an exception."""
        kind, said = (event, payload) if event in self._HANDLERS else _named(payload)
        handler = self._HANDLERS.get(kind)
        if isinstance(said.get(kind), dict):
            said = said[kind]  # a name, and an object with that name
        if event == ERROR or carries_error(payload):
            self._fail(parse_error(payload))
        elif handler is not None:
            self._is_known = True
            handler(self, said)
            known = members.EVENTS[kind]
            if not said.keys() <= known:
                self._unread.look_over(f"{kind}.", said, known)
        elif failure := _exception_in(payload, event):
            self._fail(parse_error(failure))
        elif is_error(payload):
            self._fail(parse_error(payload))
        elif event not in KEEP_ALIVES:
            self._unread.note(event or kind, payload)

    def parse_document(self, payload: dict[str, Any]) -> bool:
        """A whole answer."""
        message = as_object(as_object(payload.get("output")).get("message"))
        content = message.get("content")
        if not isinstance(content, list | dict):
            return False
        for block in listed(content):
            self._tell_block(block or {})
        self._unread.look_over("", payload, members.DOCUMENT)
        self._parse_stop(payload)
        self._complete()
        return True

    def _complete(self) -> None:
        if not self.ended:
            self._end_blocks()
        super()._complete()

    def _parse_start(self, message: Mapping[str, Any]) -> None:
        """The answer begins. All that is said is the role."""

    def _parse_stop(self, said: Mapping[str, Any]) -> None:
        """The answer ends."""
        self._end_blocks()
        self.finishing = True
        if said.get("stopReason"):
            self._finish_word(as_string(said["stopReason"]))
        self._describe(said)

    def _parse_metadata(self, said: Mapping[str, Any]) -> None:
        """The usage, and what else is said of an answer. Behind `messageStop` it is the last event."""
        self._describe(said)
        if self.finishing:
            self._complete()

    def _describe(self, said: Mapping[str, Any]) -> None:
        self._count(parse_usage(said.get("usage")))
        found = {name: said[name] for name in members.DETAILS if said.get(name)}
        if as_object(found.get("metrics")) == {"latencyMs": 0}:
            del found["metrics"]  # nobody measured it
        if found:
            self._stop_details = {**(self._stop_details or {}), **found}
        self._parse_route(as_object(found.get("trace")))

    def _parse_route(self, trace: Mapping[str, Any]) -> None:
        """Say which model a prompt router has chosen."""
        model = as_text(as_object(trace.get("promptRouter")).get("invokedModelId"))
        if model is not None:
            status = Status("routed", f"answered by {model}", {"model": model})
            self._out.append(StreamEvent(EventType.STATUS, status=status))

    _HANDLERS: ClassVar[Mapping[str, Callable[[Any, Mapping[str, Any]], None]]] = {
        "messageStart": _parse_start,
        "contentBlockStart": ConverseBlockDecoder.parse_block_start,
        "contentBlockDelta": ConverseBlockDecoder.parse_delta,
        "contentBlockStop": ConverseBlockDecoder.parse_block_stop,
        "messageStop": _parse_stop,
        "metadata": _parse_metadata,
    }


def _named(payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of an event that came without one, and what it says."""
    for name in members.EVENTS:
        if isinstance(payload.get(name), dict):
            return name, payload[name]
    if "type" in payload:
        return "", payload  # no event of Converse says what it is
    name = next((name for member, name in members.BY_MEMBER if member in payload), "")
    return name, payload


def _exception_in(payload: dict[str, Any], event: str) -> dict[str, Any]:
    """What an exception says that came as an event, or as a member of one; nothing, if none did."""
    if event.endswith(_EXCEPTION):
        return {"__type": event, **payload}
    for name, said in payload.items():
        if name.endswith(_EXCEPTION) and isinstance(said, dict):
            return {"__type": name, **said}
    return {}
