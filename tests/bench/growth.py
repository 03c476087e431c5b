"""What large frames and long tool arguments cost the decoders alone, which must grow with their size and no faster.

    python tests/bench/growth.py

`cpu` is what it takes; `passed` counts the bytes that go from function to function, which is the same on every run:
code that joins or parses again what it had already would show there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from llmstream import EventType, StreamEvent
from llmstream.events.types import Start, ToolCallDelta, text_delta
from llmstream.messages import FinishReason, ToolCall
from llmstream.wire import decoder, encoder

READ = 16 * 1024
PIECE = 64
"""Characters of one delta of the arguments."""
FORMATS = ("openai-chat", "openai-responses", "anthropic-messages")
PACKAGE = str(Path(sys.modules["llmstream"].__file__ or "").parent)


def frame(format: str, size: int) -> tuple[list[bytes], int]:
    """An answer whose text is one delta of so many characters, in pieces as they are read."""
    return _reads(format, [text_delta("x" * size)], FinishReason.STOP), size


def arguments(format: str, size: int) -> tuple[list[bytes], int]:
    """An answer that is one tool call with arguments of so many characters, in many small deltas."""
    text = json.dumps({"lines": ["a line of text in a file"] * (size // 28)})
    deltas = [ToolCallDelta(0, arguments=text[i : i + PIECE]) for i in range(0, len(text), PIECE)]
    deltas[0].id, deltas[0].name = "call_1", "write_file"
    events = [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas]
    call = StreamEvent(EventType.TOOL_CALL, tool_call=ToolCall("call_1", "write_file", text))
    return _reads(format, [*events, call], FinishReason.TOOL_CALLS), len(text)


CASES = {"frame": frame, "arguments": arguments}


def cpu(format: str, pieces: list[bytes], size: int) -> float:
    """Seconds to decode."""
    began = time.process_time()
    _decode(format, pieces, size)
    return time.process_time() - began


def passed(format: str, pieces: list[bytes], size: int) -> int:
    """Bytes and characters given to the package's own functions as arguments."""
    total = 0

    def count(called: FrameType, event: str, _: Any) -> None:
        nonlocal total
        if event == "call" and called.f_code.co_filename.startswith(PACKAGE):
            given = called.f_code.co_varnames[: called.f_code.co_argcount]
            values = (called.f_locals.get(name) for name in given)
            total += sum(len(value) for value in values if isinstance(value, str | bytes))

    sys.setprofile(count)
    try:
        _decode(format, pieces, size)
    finally:
        sys.setprofile(None)
    return total


def _reads(format: str, events: list[StreamEvent], reason: FinishReason) -> list[bytes]:
    feed = encoder(format).feed
    start = StreamEvent(EventType.MESSAGE_START, start=Start("msg-1", "m-1"))
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason)
    data = b"".join(feed(event) for event in (start, *events, end))
    return [data[i : i + READ] for i in range(0, len(data), READ)]


def _decode(format: str, pieces: list[bytes], size: int) -> None:
    decoding = decoder(format, max_frame=64 * 1024 * 1024)
    events = [event for piece in pieces for event in decoding.feed(piece)] + decoding.finish()
    message = events[-1].message
    assert message is not None, events[-1]
    found = sum(len(call.arguments) for call in message.tool_calls) or len(message.text)
    assert found == size, (found, size)


def main() -> None:
    for format in FORMATS:
        for name, case in CASES.items():
            for size in (10**5, 10**6, 10**7):
                pieces, length = case(format, size)
                seconds, bytes_passed = cpu(format, pieces, length), passed(format, pieces, length)
                per_kib, per_byte = seconds / length * 1e6 * 1024, bytes_passed / length
                print(
                    f"{format:18} {name:9} {size:>10,}: {per_kib:7.2f} µs per KiB, {per_byte:.3f} passed per byte"
                )


if __name__ == "__main__":
    main()
