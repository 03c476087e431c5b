"""Responses in forms that nobody documents: one part in place of a list, a text in place of a part, other names."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.responses_rows import completed, event, responses, said, text_pieces
from tests.wire.wild.row import CALL, Frame, Row
from tests.wire.wild.told_again_rows import RESPONSE, document

ADDED, DONE = "output_item.added", "output_item.done"
HELLO = {"text": "Hello", "finish": "stop", "unread": []}
HM = {"reasoning": "hm", "text": "Hello"}
BEGUN = event(ADDED, 0, item=said("", id="m1"))
PIECES = text_pieces("Hel", "lo", item_id="m1")
OBJECT = {"type": "output_text", "text": "Hello"}
ARGUMENTS = "function_call_arguments"


def part_event(kind: str, part: Any, **more: Any) -> Frame:
    """A content part of the first message begins or ends."""
    return event(f"content_part.{kind}", 0, item_id="m1", part=part, **more)


def call_item(**more: Any) -> Frame:
    """The item of a call whose arguments stand elsewhere."""
    return {"type": "function_call", "name": "get", "id": "f1", "call_id": "c1", **more}


def contents() -> list[Row]:
    """Content as an object or a text, in place of a list."""
    whole = {**RESPONSE, "status": "completed"}
    forms = {
        "an object": OBJECT,
        "a text": "Hello",
        "texts": ["Hel", "lo"],
        "a part without a type": [{"text": "Hello"}],
    }
    rows = []
    for name, content in forms.items():
        item = said(id="m1", content=content)
        rows += [
            responses(f"content as {name}", event(DONE, 0, item=item), **HELLO),
            responses(f"content as {name}, streamed", BEGUN, *PIECES, completed(item), **HELLO),
            responses(f"content as {name} at the beginning", event(ADDED, 0, item=item), **HELLO),
            document(f"whole: content as {name}", "openai-responses:m", {**whole, "output": item}),
        ]
    places = {
        "output as a text": "Hello",
        "output as an item": said(),
        "a text for an item": ["Hello"],
    }
    for name, output in places.items():
        answer = {**whole, "output": output}
        rows += [
            responses(name, completed(output=output), **HELLO),
            document(f"whole: {name}", "openai-responses:m", answer, **HELLO),
        ]
    rows += [
        responses(f"{kind} of a text", BEGUN, part_event(kind, "Hello"), **HELLO)
        for kind in ("added", "done")
    ]
    one = {"type": "summary_text", "text": "hm"}
    rows += [
        responses(
            f"reasoning with {member} as an object",
            event(DONE, 0, item={"type": "reasoning", member: one}),
            event(DONE, 1, item=said()),
            **HM,
        )
        for member in ("summary", "content")
    ]
    rows += [
        responses(
            "an item without a type", completed({"role": "assistant", "content": "Hello"}), **HELLO
        ),
        responses("a refusal beside the content", completed(said("", refusal="No")), refusal="No"),
        responses(
            "reasoning_content of a message",
            completed(said(reasoning_content="hm")),
            unread=[],
            **HM,
        ),
        responses(
            "a refusal's words in `text`",
            completed(said("", content=[{"type": "refusal", "text": "No"}])),
            refusal="No",
        ),
    ]
    return rows


def places() -> list[Row]:
    """The answer beside the output, and in responses that go on."""
    whole = {**RESPONSE, "status": "completed"}
    options = {"format": {"type": "text"}, "verbosity": "low"}
    going_on = {"type": "response.in_progress", "response": {"output": [said()]}}
    half = {"type": "response.in_progress", "response": {"output": [said("Hel")]}}
    event_of = {"type": "response.completed", "response": {**whole, "output": [said()]}}
    return [
        responses("text of the response", completed(text="Hello"), **HELLO),
        responses("text of the response again", *PIECES, completed(text="Hello"), **HELLO),
        responses("options for text", completed(said(), text=options), **HELLO),
        responses("text of the response as an object", completed(text={"value": "Hello"}), **HELLO),
        responses("output_text as an object", completed(output_text={"text": "Hello"}), **HELLO),
        document("whole: text", "openai-responses:m", {**whole, "text": "Hello"}, **HELLO),
        document("whole: no object", "openai-responses:m", {"output_text": "Hello"}, **HELLO),
        document("whole: the last event", "openai-responses:m", event_of, **HELLO),
        document(
            "whole: wrapped", "openai-responses:m", {"response": event_of["response"]}, **HELLO
        ),
        responses(
            "finish_reason",
            completed(said(), finish_reason="length"),
            text="Hello",
            finish="length",
        ),
        responses(
            "stop_reason",
            completed(said(), stop_reason="max_tokens"),
            text="Hello",
            finish="length",
        ),
        responses(
            "stop_reason of a whole answer", completed(said(), stop_reason="end_turn"), **HELLO
        ),
        responses("finish_reason of a failure", completed(finish_reason="abort"), error="server"),
        responses("details as a list", completed(said(), incomplete_details=["x"]), **HELLO),
        responses("the output of a response that goes on", going_on, **HELLO),
        responses("an output that grows", half, going_on, **HELLO),
        responses("an output that came before", going_on, completed(said()), **HELLO),
        responses(
            "an end without a response",
            {"type": "response.completed", "output": [said()], "status": "completed"},
            **HELLO,
        ),
    ]


def arguments() -> list[Row]:
    """A call's arguments under other names, as objects, and in its beginning."""
    begun = event(ADDED, 0, item=call_item(arguments=""))
    rows = []
    for member in ("parameters", "input", "arguments"):
        for value in ({"a": 1}, '{"a":1}'):
            given = {member: value}
            kind = type(value).__name__
            item = call_item(**given)
            end = event(f"{ARGUMENTS}.done", 0, item_id="f1", **given)
            delta = event(f"{ARGUMENTS}.delta", 0, item_id="f1", **given)
            ways = {
                "item.done": [event(DONE, 0, item=item)],
                "the snapshot": [completed(item)],
                "item.added": [event(ADDED, 0, item=item)],
                "arguments.done": [begun, end],
                "arguments.delta": [begun, delta],
            }
            rows += [
                responses(f"{member} as {kind} in {name}", *frames, unread=[], **CALL)
                for name, frames in ways.items()
            ]
    function = {"name": "get", "arguments": '{"a":1}'}
    wrapped = {"type": "function_call", "call_id": "c1", "function": function}
    half = event(ADDED, 0, item=call_item(arguments='{"a"'))
    rest = event(f"{ARGUMENTS}.delta", 0, item_id="f1", delta=":1}")
    whole = event(DONE, 0, item=call_item(arguments='{"a":1}'))
    named = event(f"{ARGUMENTS}.delta", 0, item_id="f1", delta='{"a":1}', name="get")
    nameless = event(ADDED, 0, item=call_item(arguments="", name=""))
    short = event(ADDED, 0, item=call_item(arguments="", name="ge"))
    delta = event(f"{ARGUMENTS}.delta", 0, item_id="f1", delta={"a": 1})
    pieces = [event(f"{ARGUMENTS}.delta", 0, item_id="f1", delta=text) for text in ('{"a"', ":1}")]
    return [
        *rows,
        responses("name and arguments in `function`", event(DONE, 0, item=wrapped), **CALL),
        responses(
            "a call of another type",
            event(DONE, 0, item=call_item(arguments='{"a":1}', type="tool_call")),
            **CALL,
        ),
        responses("a delta that is an object", begun, delta, **CALL),
        responses("half the arguments at the beginning", half, rest, **CALL),
        responses("half the arguments at the beginning, and all", half, rest, whole, **CALL),
        responses("half the arguments at the beginning, again", half, *pieces, whole, **CALL),
        responses("half the arguments at the beginning, all at the end", half, whole, **CALL),
        responses("the name in the delta", nameless, named, **CALL),
        responses("a name that grows", short, begun, *pieces, **CALL),
        responses("a name that grows at the end", short, *pieces, whole, **CALL),
    ]


def custom_calls() -> list[Row]:
    """Calls of custom tools, whose input is any text."""
    item = {"type": "custom_tool_call", "id": "f1", "call_id": "c1", "name": "sh"}
    name = "custom_tool_call_input"
    begun = event(ADDED, 0, item={**item, "input": ""})
    pieces = [event(f"{name}.delta", 0, item_id="f1", delta=text) for text in ("ls ", "-l")]
    expect = {"calls": [{"name": "sh", "arguments": "ls -l", "complete": True}]}
    done = event(f"{name}.done", 0, item_id="f1", input="ls -l")
    ways: dict[str, list[Frame]] = {
        "deltas alone": [begun, *pieces],
        "input.done": [begun, *pieces, done],
        "input.done alone": [begun, done],
        "its beginning": [event(ADDED, 0, item={**item, "input": "ls -l"})],
        "its beginning, and deltas": [event(ADDED, 0, item={**item, "input": "ls "}), pieces[1]],
        "`arguments`": [event(DONE, 0, item={**item, "arguments": "ls -l"})],
    }
    return [responses(f"custom: {way}", *frames, **expect) for way, frames in ways.items()]


def text_events() -> list[Row]:
    """Events of texts under other names, and their words in other members."""
    hello = event(DONE, 1, item=said())
    names = ("reasoning", "reasoning_content", "reasoning_summary", "reasoning_text")
    rows = [
        responses(f"{name}.{end}", event(f"{name}.{end}", 0, **{member: "hm"}), hello, **HM)
        for name in names
        for end, member in (("delta", "delta"), ("done", "text"))
    ]
    forms = {
        "text.delta": event("text.delta", 0, delta="Hello"),
        "text.done": event("text.done", 0, text="Hello"),
        "a delta in `text`": event("output_text.delta", 0, text="Hello"),
        "a delta as an object": event("output_text.delta", 0, delta={"text": "Hello"}),
        "a done as an object": event("output_text.done", 0, text={"value": "Hello"}),
        "a done in `delta`": event("output_text.done", 0, delta="Hello"),
        "output_audio_transcript.done": event("output_audio_transcript.done", transcript="Hello"),
        "audio.transcript.done": event("audio.transcript.done", transcript="Hello"),
    }
    rows += [responses(name, frame, **HELLO) for name, frame in forms.items()]
    return [
        *rows,
        responses(
            "refusal.delta in `refusal`", event("refusal.delta", 0, refusal="No"), refusal="No"
        ),
        responses(
            "a delta that nobody reads",
            BEGUN,
            *PIECES,
            event("output_text.delta", 0, delta={"x": "y"}),
            text="Hello",
            unread=["response.text.delta"],
        ),
    ]


def responses_form_rows() -> list[Row]:
    """All of them."""
    return [
        *contents(),
        *places(),
        *arguments(),
        *custom_calls(),
        *text_events(),
    ]
