"""Writes docs/events.md from the events' classes and an example of each: `python tests/events_page.py`."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script, the folder above is not on the path
    sys.path.insert(0, str(Path(__file__).parent.parent))

from llmstream.errors import ErrorInfo
from llmstream.events import grammar
from llmstream.events.types import (
    PAYLOADS,
    EventType,
    Retry,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    error,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)

PATH = Path(__file__).parents[1] / "docs" / "events.md"
HEAD = """# Events

Made from the classes in `llmstream/events/types.py`, with an example of each, by `python tests/events_page.py`.

`event.type` says which field is set; the others are None. `event.to_dict()` is the JSON that stands here, and
`StreamEvent.from_dict` reads it. Two properties are there on every event: `event.text`, the answer's text that it
brings (else empty), and `event.is_internal`, true for what only the provider reads.

## The order

"""
STARRED = """
`stream=False` yields exactly one event, the last. Its `text_delta` then has the whole text; None: there is none.
"""
WHEN = {
    EventType.MESSAGE_START: "Before the first piece of an attempt, never earlier: who answers, and what was "
    "dropped or changed of the request.",
    EventType.TEXT_DELTA: "For each piece of the answer's text.",
    EventType.REASONING_DELTA: "For each piece of reasoning that the provider shows.",
    EventType.REFUSAL_DELTA: "For each piece of a refusal, where the provider keeps refusals apart from the text.",
    EventType.TOOL_CALL_DELTA: "While a tool call is written. The first one of a call has its id and name.",
    EventType.TOOL_CALL: "When a tool call is whole, or was cut by the token limit (`complete` is then False).",
    EventType.TOOL_RESULT: "When a tool has answered that the provider ran, or that `run_tools` ran.",
    EventType.SOURCE: "When the answer cites something.",
    EventType.FILE: "When the model has made a file or an image.",
    EventType.STATUS: "Any time before the end. It may be ignored.",
    EventType.RETRY: "Before the wait for another attempt, and before a fallback is asked.",
    EventType.MESSAGE_COMPLETE: "Last, and only if the provider's own end came. The message can be appended to the "
    "history as it is.",
    EventType.ERROR: "Last, if the answer failed. What came before it stays.",
}
"""When each type of event comes."""
BESIDE = {
    EventType.MESSAGE_COMPLETE: (
        "finish_reason",
        "raw_finish_reason",
        "stop_details",
        "usage",
        "start",
        "messages",
    ),
    EventType.ERROR: ("error", "usage", "messages"),
}
"""Fields that are set beside the payload."""
EXAMPLES = {
    EventType.MESSAGE_START: StreamEvent(
        EventType.MESSAGE_START,
        start=Start("msg-1", "m-1", "openai", ("seed: dropped; the provider has no such option",)),
    ),
    EventType.TEXT_DELTA: text_delta("Hel"),
    EventType.REASONING_DELTA: reasoning_delta("Let me see."),
    EventType.REFUSAL_DELTA: refusal_delta("I can't"),
    EventType.TOOL_CALL_DELTA: StreamEvent(
        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(0, "call-1", "weather", '{"ci')
    ),
    EventType.TOOL_CALL: StreamEvent(
        EventType.TOOL_CALL,
        tool_call=ToolCall("call-1", "weather", '{"city": "Bern"}', {"city": "Bern"}),
    ),
    EventType.TOOL_RESULT: StreamEvent(
        EventType.TOOL_RESULT, tool_result=ToolResult("call-1", "sunny", "weather")
    ),
    EventType.SOURCE: StreamEvent(
        EventType.SOURCE, source=Source("1", "Bern", "https://example.com/bern", excerpt="sunny")
    ),
    EventType.FILE: StreamEvent(
        EventType.FILE, file=File(name="plot.png", url="https://example.com/plot.png")
    ),
    EventType.STATUS: StreamEvent(
        EventType.STATUS, status=Status("queued", "waiting for the rate limit")
    ),
    EventType.RETRY: StreamEvent(
        EventType.RETRY, retry=Retry(2, 3, 4.0, "rate limited", "rate_limit", "openai", "m-1")
    ),
    EventType.MESSAGE_COMPLETE: StreamEvent(
        EventType.MESSAGE_COMPLETE,
        start=Start("msg-1", "m-1", "openai"),
        message=Message("assistant", [TextPart("Hello")]),
        finish_reason=FinishReason.STOP,
        raw_finish_reason="stop",
        usage=Usage(7, 2),
    ),
    EventType.ERROR: error(ErrorInfo("truncated", "the answer was cut", provider="openai")),
}


def render() -> str:
    """The page."""
    return HEAD + _grammar() + STARRED + "".join(map(_section, EventType))


def _grammar() -> str:
    """The rules of the order, from the docstring of the module that enforces them."""
    lines = (grammar.__doc__ or "").splitlines()
    return "```\n" + "\n".join(line[4:] for line in lines if line.startswith("    ")) + "\n```\n"


def _section(kind: EventType) -> str:
    payload = PAYLOADS[kind]
    what = " ".join((inspect.getdoc(payload.type) or "").split())
    example = json.dumps(EXAMPLES[kind].to_dict(), ensure_ascii=False)
    return (
        f"\n## {kind.name}\n\n{WHEN[kind]}\n\n"
        f"`event.{payload.field}` is a `{payload.type.__name__}`: {what}\n\n"
        f"| field | type | what it says |\n|---|---|---|\n{_rows(payload.type)}"
        f"{_beside(kind)}\n```json\n{example}\n```\n"
    )


def _rows(cls: type[Any]) -> str:
    said = _said_of_fields(cls)
    return "".join(
        f"| `{field.name}` | `{_kind(field.type)}` | {said.get(field.name, '')} |\n"
        for field in fields(cls)
    )


def _beside(kind: EventType) -> str:
    if kind not in BESIDE:
        return ""
    said = _said_of_fields(StreamEvent)
    types = {field.name: _kind(field.type) for field in fields(StreamEvent)}
    rows = "".join(
        f"| `{name}` | `{types[name]}` | {said.get(name, '')} |\n" for name in BESIDE[kind]
    )
    return f"\nBeside it, on the event itself:\n\n| field | type | what it says |\n|---|---|---|\n{rows}"


def _kind(annotation: Any) -> str:
    return str(annotation).replace("|", "\\|")


def _said_of_fields(cls: type[Any]) -> dict[str, str]:
    """What the string below each field says."""
    assert is_dataclass(cls)
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    said = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_field = isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if is_field and is_text and isinstance(after.value.value, str):
            said[before.target.id] = " ".join(after.value.value.split()).replace("|", "\\|")
    return said


if __name__ == "__main__":
    PATH.write_text(render(), "utf-8")
