"""Answers that servers in the wild send: those of public reports, and neighbours of ours. Each is of a kind."""

from __future__ import annotations

from tests.wire.wild.chat_place_rows import chat_place_rows
from tests.wire.wild.chat_rows import DONE, chat_rows, chunk
from tests.wire.wild.cohere_call_rows import cohere_call_rows
from tests.wire.wild.cohere_rows import cohere_rows
from tests.wire.wild.converse_call_rows import converse_call_rows
from tests.wire.wild.converse_frame_rows import converse_frame_rows
from tests.wire.wild.converse_rows import converse_rows
from tests.wire.wild.gemini_call_rows import gemini_call_rows
from tests.wire.wild.gemini_frame_rows import gemini_frame_rows
from tests.wire.wild.gemini_rows import gemini_rows
from tests.wire.wild.late_seal_rows import late_seal_rows
from tests.wire.wild.messages_rows import messages_answer, messages_rows
from tests.wire.wild.ollama_rows import ollama_rows
from tests.wire.wild.responses_form_rows import responses_form_rows
from tests.wire.wild.responses_part_rows import responses_part_rows
from tests.wire.wild.responses_rows import responses_rows
from tests.wire.wild.retelling_rows import retelling_rows
from tests.wire.wild.row import Row, frames, reported
from tests.wire.wild.told_again_rows import told_again_rows
from tests.wire.wild.unfinished_rows import unfinished_rows
from tests.wire.wild.unusual_place_rows import unusual_place_rows
from tests.wire.wild.whole_message_rows import whole_message_rows


def frame_rows() -> list[Row]:
    """Neighbours in how frames come, whatever the format."""
    said, end = frames([chunk({"content": "Hi"})]), frames([chunk({}, "stop")])
    hi = {"text": "Hi", "finish": "stop"}
    lines = said.replace(b"\n\n", b"\n") + end.replace(b"\n\n", b"\n")
    between = {
        "a heartbeat of a number": b"event: heartbeat\ndata: 1717171717\n\n",
        "a ping in upper case": b"event: PING\ndata: pong\n\n",
        "a ping that looks like an error": b'event: ping\ndata: {"code": 0, "message": "alive"}\n\n',
        "an empty keep-alive": b"event: keep-alive\ndata: \n\n",
    }
    ends = {
        "an end of a word": b"event: end\ndata: bye\n\n",
        "an end of null": b"event: end\ndata: null\n\n",
        "[DONE] in quotes": b'data: "[DONE]"\n\n',
        "an end with [DONE] in quotes": b'event: end\ndata: "[DONE]"\n\n',
    }
    whole = messages_answer({"type": "text", "text": "Hi"})
    return [
        *(Row(name, "openai:m", said + data + end + DONE, hi) for name, data in between.items()),
        *(Row(name, "openai:m", said + end + data, hi) for name, data in ends.items()),
        Row("one line end per frame", "openai:m", lines + b"data: [DONE]\n", hi),
        Row("one line end per frame, no [DONE]", "openai:m", lines, hi),
        Row("one line end per frame, the last one cut", "openai:m", lines + b'data: {"choi', hi),
        Row("one line end per frame, named", "anthropic:m", whole.replace(b"\n\n", b"\n"), hi),
        Row(
            "a ping of words among blocks",
            "anthropic:m",
            whole.replace(
                b"event: message_delta", b"event: ping\ndata: words\n\nevent: message_delta"
            ),
            hi,
        ),
        Row("objects on bare lines", "openai:m", lines.replace(b"data: ", b""), hi),
    ]


def rows() -> list[Row]:
    """All of them."""
    return [
        *reported(),
        *chat_rows(),
        *chat_place_rows(),
        *frame_rows(),
        *messages_rows(),
        *responses_rows(),
        *retelling_rows(),
        *responses_form_rows(),
        *responses_part_rows(),
        *told_again_rows(),
        *unusual_place_rows(),
        *whole_message_rows(),
        *late_seal_rows(),
        *unfinished_rows(),
        *gemini_rows(),
        *gemini_call_rows(),
        *gemini_frame_rows(),
        *ollama_rows(),
        *cohere_rows(),
        *converse_rows(),
        *converse_call_rows(),
        *converse_frame_rows(),
        *cohere_call_rows(),
    ]
