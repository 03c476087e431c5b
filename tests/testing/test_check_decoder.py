"""check_decoder: our own decoders keep its rules, and it finds those that don't."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.messages import FinishReason, ReasoningPart, ToolCall, Usage
from llmstream.testing import Received, Reply, check_decoder
from llmstream.wire import FORMATS, decoder
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.openai_chat.decode import ChatDecoder
from tests.lanes import every_format


def bodies(format: str) -> list[bytes]:
    reply = Reply(None, None, Received(FORMATS[format].path, {}, None, 1))  # type: ignore[arg-type]
    call = ToolCall("call-1", "weather", '{"city": "Zürich", "days": [1, 2]}')
    return [
        b"".join(reply.frames),
        b"".join(reply.script(ReasoningPart("Hm, so."), "Hello, 世界", call, Usage(3, 4))),
        reply.error_frame(),
        json.dumps(reply.document(), ensure_ascii=False).encode(),
    ]


@pytest.mark.parametrize("format", every_format())
def test_our_decoders_keep_the_rules(format: str) -> None:
    check_decoder(lambda: decoder(format), bodies(format))


def test_a_call_whose_index_changes_is_one_call() -> None:
    body = bodies("openai-responses")[1]
    place = body.index(b'"output_index":2,"item":{"id":"fc_')
    changed = body[:place] + body[place:].replace(b'"output_index":2', b'"output_index":9', 1)
    events = [*(reading := decoder("openai-responses")).feed(changed), *reading.finish()]
    assert [event.tool_call.id for event in events if event.tool_call] == ["call-1"]


class CompletesAtEOF(ChatDecoder):
    def finish(self) -> list[StreamEvent]:
        if not self.ended:
            self._out = []
            self._finish_reason = FinishReason.STOP
            self._complete()
            return self._out
        return []


class Raises(ChatDecoder):
    def parse_frame(self, payload: dict[str, Any], event: str) -> None:
        try:
            super().parse_frame(payload, event)
        except TypeError:
            raise AssertionError("not a choice") from None


class LosesASplit(ChatDecoder):
    """Each piece is taken for whole frames."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        return super().feed(data if data.endswith(b"\n\n") else data + b"\n\n")


class ForgetsItsEnd(ChatDecoder):
    def finish(self) -> list[StreamEvent]:
        return [event for event in super().finish() if event.type is not EventType.ERROR]


class EndsTwice(ChatDecoder):
    def finish(self) -> list[StreamEvent]:
        return [
            *super().finish(),
            StreamEvent(EventType.ERROR, error="twice", error_info=ErrorInfo("truncated")),
        ]


class AddsUpToLess(ChatDecoder):
    def feed(self, data: bytes) -> list[StreamEvent]:
        events = super().feed(data)
        for event in events:
            if event.message is not None:
                event.message.parts.pop()
        return events


class SaysNothing(ChatDecoder):
    def feed(self, data: bytes) -> list[StreamEvent]:
        return [text_delta("") if event.text else event for event in super().feed(data)]


class IsQuadratic(ChatDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.all = b""

    def feed(self, data: bytes) -> list[StreamEvent]:
        self.all += data
        self.all.count(b"[DONE]\n\n ")
        return super().feed(data)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (CompletesAtEOF, "although neither the end nor a finish reason had come"),
        (Raises, "mutated: raises AssertionError: not a choice"),
        (LosesASplit, "other events when split into bytes"),
        (ForgetsItsEnd, "cut: (no terminal event|nothing was yielded)"),
        (EndsTwice, "error follows the terminal event message_complete"),
        (AddsUpToLess, "the events' text is not the message's"),
        (SaysNothing, "text_delta whose content is ''"),
        (IsQuadratic, "not linear"),
    ],
)
def test_a_decoder_that_breaks_a_rule_is_found(make: Callable[[], Decoder], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        check_decoder(make, bodies("openai-chat")[:1], mutations=200 if make is Raises else 10)
