"""Who really answered, and pictures that aren't finished: what a provider says on the way."""

from __future__ import annotations

import base64
import json
from typing import Any

from llmstream import EventType, File, StreamEvent
from llmstream.parts import load_part
from llmstream.wire import decoder

PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


def decoded(format: str, *payloads: dict[str, Any]) -> list[StreamEvent]:
    made = decoder(format)
    body = b"".join(f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads)
    return [*made.feed(body), *made.finish()]


def messages_answer(*blocks: dict[str, Any]) -> list[StreamEvent]:
    told: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        told.append({"type": "content_block_start", "index": index, "content_block": block})
        told.append({"type": "content_block_stop", "index": index})
    start = {"id": "m", "role": "assistant", "content": [], "model": "claude-a"}
    return decoded(
        "anthropic-messages",
        {"type": "message_start", "message": start},
        *told,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    )


FALLBACK = {
    "type": "fallback",
    "from": {"model": "claude-a"},
    "to": {"model": "claude-b"},
    "trigger": {"type": "refusal", "category": "cyber"},
}
TEXT = {"type": "text", "text": "Hello"}


def statuses(events: list[StreamEvent], kind: str) -> list[dict[str, Any]]:
    found = [event.status for event in events if event.status is not None]
    return [status.data or {} for status in found if status.kind == kind]


def test_a_model_that_anthropic_turned_to_is_named() -> None:
    events = messages_answer(FALLBACK, TEXT)
    (told,) = statuses(events, "routed")
    assert (told["from"], told["to"]) == ("claude-a", "claude-b")
    assert told["trigger"] == {"type": "refusal", "category": "cyber"}
    last = events[-1]
    assert last.start is not None
    assert last.message is not None
    assert last.start.model == last.message.model == "claude-b"
    (begun,) = [event.start for event in events if event.type is EventType.MESSAGE_START]
    assert begun is not None
    assert begun.model == "claude-b"


def test_one_that_it_turned_to_amid_the_answer_stands_at_the_end() -> None:
    events = messages_answer(TEXT, FALLBACK, TEXT)
    models = [event.start.model for event in events if event.start is not None]
    assert models == ["claude-a", "claude-b"]


def test_a_block_that_names_nobody_changes_nothing() -> None:
    for broken in ({**FALLBACK, "to": None}, {**FALLBACK, "to": {}}, {"type": "fallback"}):
        events = messages_answer(broken, TEXT)
        assert not statuses(events, "routed")
        assert events[-1].message is not None
        assert events[-1].message.model == "claude-a"


def test_a_broker_says_whom_it_asked() -> None:
    for provider, upstream in (("DeepInfra", "DeepInfra"), (None, None), ({"x": 1}, None)):
        chunk = {"id": "c", "model": "m", "provider": provider}
        choice = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
        events = decoded("openai-chat", {**chunk, "choices": [choice]})
        for event in (events[0], events[-1]):
            assert event.start is not None
            assert event.start.upstream == upstream
            assert StreamEvent.from_dict(event.to_dict()).start == event.start


def test_a_picture_that_isn_t_finished_is_shown() -> None:
    partial = {
        "type": "response.image_generation_call.partial_image",
        "item_id": "ig_1",
        "partial_image_index": 0,
        "partial_image_b64": base64.b64encode(PNG).decode(),
    }
    call = {"type": "image_generation_call", "id": "ig_1", "status": "completed"}
    done = {**call, "result": base64.b64encode(PNG + b"!").decode()}
    events = decoded(
        "openai-responses",
        {"type": "response.output_item.added", "output_index": 0, "item": call},
        partial,
        partial,
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {"id": "r", "status": "completed"}},
    )
    shown = [load_part(told["file"]) for told in statuses(events, "preview")]
    assert shown == [File(media_type="image/png", data=base64.b64encode(PNG).decode())] * 2
    (file,) = [event.file for event in events if event.file is not None]
    assert base64.b64decode(file.data or "") == PNG + b"!"
