"""Neighbours of the reports in the Responses format, a few for each kind."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.row import CALL, EQUAL, TWO, WHOLE, Frame, Row, called, frames

CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}


def completed(*output: Frame, **more: Any) -> Frame:
    """The terminal event."""
    response = {"id": "resp_1", "model": "m", "status": "completed", "output": [*output], **more}
    return {"type": "response.completed", "response": response}


def event(kind: str, index: int | None = None, **more: Any) -> Frame:
    """Any event."""
    place = {} if index is None else {"output_index": index}
    return {"type": f"response.{kind}", **place, **more}


def said(text: str = "Hello", **more: Any) -> Frame:
    """A message item."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": "assistant", "content": [part] if text else [], **more}


def asked(arguments: Any = WHOLE, **more: Any) -> Frame:
    """A call item."""
    return {"type": "function_call", "name": "get", "arguments": arguments, **more}


def thought(*texts: str, **more: Any) -> Frame:
    """A reasoning item."""
    parts = [{"type": "reasoning_text", "text": text} for text in texts]
    return {"type": "reasoning", "content": parts, "summary": [], **more}


def responses(name: str, *payloads: Frame, **expect: Any) -> Row:
    """An answer of the Responses API: these events, and the end if they have none."""
    ended = bool(payloads) and payloads[-1]["type"] == "response.completed"
    shown = [CREATED, *payloads, *([] if ended else [completed()])]
    return Row(name, "openai-responses:m", frames(shown), expect)


def text_pieces(*texts: str, index: int = 0, **more: Any) -> list[Frame]:
    """Deltas of a text."""
    return [event("output_text.delta", index, delta=text, **more) for text in texts]


def responses_rows() -> list[Row]:
    """Neighbours in the Responses format."""
    added, item_done = "output_item.added", "output_item.done"
    begun = event(added, 0, item=said("", id="m1"))
    pieces = text_pieces("Hel", "lo", item_id="m1", content_index=0)
    text_done = event("output_text.done", 0, text="Hello", content_index=0)
    part_done = event("content_part.done", 0, part={"type": "output_text", "text": "Hello"})
    call = event(added, 0, item=asked("", id="f1", call_id="c1"))
    args = [
        event("function_call_arguments.delta", 0, delta=d, item_id="f1") for d in ('{"a"', ":1}")
    ]
    second = event(added, 1, item=asked("", id="f2", call_id="c2"))
    other = [
        event("function_call_arguments.delta", 1, delta=d, item_id="f2") for d in ('{"a"', ":2}")
    ]
    think = [
        event("reasoning_text.delta", 0, delta=d, content_index=i)
        for i, d in enumerate(("hm", ", ", "so"))
    ]
    reasoning = event(added, 0, item=thought(id="r1"))
    hello = {"text": "Hello", "finish": "stop"}
    return [
        # text: once, wherever it is told
        responses(
            "dones at the next index",
            begun,
            *pieces,
            {**text_done, "output_index": 1},
            event(item_done, 1, item=said()),
            completed(said()),
            **hello,
        ),
        responses(
            "ids null in dones",
            begun,
            *pieces,
            {**text_done, "item_id": None},
            event(item_done, 0, item=said(id=None)),
            completed(said(id=None)),
            **hello,
        ),
        responses(
            "ids new everywhere",
            begun,
            *text_pieces("Hel", item_id="x"),
            *text_pieces("lo", item_id="y"),
            event(item_done, 0, item=said(id="z")),
            completed(said(id="w")),
            **hello,
        ),
        responses(
            "added twice",
            begun,
            begun,
            *pieces,
            event(item_done, 0, item=said()),
            completed(said()),
            **hello,
        ),
        responses(
            "added twice amid the text",
            begun,
            pieces[0],
            begun,
            pieces[1],
            event(item_done, 0, item=said()),
            completed(said()),
            **hello,
        ),
        responses(
            "never added",
            *pieces,
            text_done,
            part_done,
            event(item_done, 0, item=said()),
            completed(said()),
            **hello,
        ),
        responses("never added, no deltas", text_done, completed(said()), **hello),
        responses("item done alone", event(item_done, 0, item=said()), **hello),
        responses(
            "item done twice",
            event(item_done, 0, item=said()),
            event(item_done, 1, item=said()),
            completed(said()),
            **hello,
        ),
        responses("the snapshot alone", completed(said()), **hello),
        responses(
            "a snapshot of text parts",
            completed({"type": "message", "content": [{"type": "text", "text": "Hello"}]}),
            **hello,
        ),
        responses(
            "a snapshot of a string", completed({"type": "message", "content": "Hello"}), **hello
        ),
        responses(
            "the end of the text in the done",
            begun,
            pieces[0],
            text_done,
            event(item_done, 0, item=said()),
            **hello,
        ),
        responses(
            "the end of the text in the snapshot", begun, pieces[0], completed(said()), **hello
        ),
        responses(
            "a second part in the item",
            begun,
            *pieces,
            event(
                item_done,
                0,
                item={"type": "message", "content": [*said()["content"], *said("!")["content"]]},
            ),
            text="Hello!",
        ),
        responses(
            "a second message in the snapshot",
            begun,
            *pieces,
            event(item_done, 0, item=said(id="m1")),
            completed(said(id="m1"), said("!", id="m2")),
            text="Hello!",
        ),
        responses(
            "two messages at index 0",
            begun,
            *pieces,
            event(item_done, 0, item=said(id="m1")),
            event(added, 0, item=said("", id="m2")),
            *text_pieces("!", item_id="m2"),
            event(item_done, 0, item=said("!", id="m2")),
            text="Hello!",
        ),
        responses(
            "one snapshot of two messages",
            begun,
            *pieces,
            event(added, 1, item=said("", id="m2")),
            *text_pieces("!", index=1),
            completed(said("Hello!")),
            text="Hello!",
        ),
        responses(
            "a refusal told again",
            event(added, 0, item=said("")),
            event("refusal.delta", 0, delta="No"),
            event("refusal.done", 1, refusal="No"),
            event(
                item_done,
                2,
                item={"type": "message", "content": [{"type": "refusal", "refusal": "No"}]},
            ),
            text="",
            finish="refusal",
            refusal="No",
        ),
        # reasoning
        responses(
            "reasoning with other indices",
            reasoning,
            *think,
            event("reasoning_text.done", 0, content_index=7, text="hm, so"),
            event(item_done, 0, item=thought("hm, so", id="r1")),
            begun | {"output_index": 1},
            *text_pieces("Hello", index=1),
            completed(thought("hm, so"), said()),
            reasoning="hm, so",
            text="Hello",
        ),
        responses(
            "reasoning told at the end",
            reasoning,
            *think,
            begun | {"output_index": 1},
            *text_pieces("Hello", index=1),
            event("reasoning_text.done", 2, text="hm, so"),
            event(item_done, 2, item=thought("hm, so", id="r9")),
            completed(said(), thought("hm, so")),
            reasoning="hm, so",
            text="Hello",
        ),
        responses(
            "reasoning in the snapshot alone",
            begun,
            *pieces,
            completed(thought("hm"), said()),
            reasoning="hm",
            text="Hello",
        ),
        responses(
            "reasoning parts",
            reasoning,
            *(
                frame
                for i, d in enumerate("ab")
                for frame in (
                    event("reasoning_summary_part.added", 0, summary_index=i, part={}),
                    event("reasoning_summary_text.delta", 0, delta=d, summary_index=i),
                    event("reasoning_summary_text.done", 0, text=d, summary_index=i),
                )
            ),
            event(
                item_done, 0, item={"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}]}
            ),
            reasoning="a\n\nb",
            text="",
        ),
        responses(
            "streamed as content, told as a summary",
            reasoning,
            *think,
            event(item_done, 0, item={"type": "reasoning", "summary": [{"text": "hm, so"}]}),
            reasoning="hm, so",
        ),
        # calls
        responses(
            "a call's ids change",
            call,
            *args,
            event(item_done, 0, item=asked(id="n", call_id="c1")),
            completed(asked(id="o", call_id="c1")),
            **CALL,
        ),
        responses(
            "a call's done at the next index, no ids",
            call,
            *args,
            event("function_call_arguments.done", 1, arguments=WHOLE),
            event(item_done, 1, item=asked()),
            completed(asked()),
            **CALL,
        ),
        responses(
            "two calls, dones one later",
            call,
            second,
            *args,
            *other,
            event(item_done, 1, item=asked()),
            event(item_done, 2, item=asked('{"a":2}')),
            completed(asked(), asked('{"a":2}')),
            **TWO,
        ),
        responses(
            "two calls at index 0",
            call,
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            {**second, "output_index": 0},
            *({**frame, "output_index": 0} for frame in other),
            event(item_done, 0, item=asked('{"a":2}', id="f2", call_id="c2")),
            **TWO,
        ),
        responses(
            "equal calls in the snapshot",
            completed(asked(call_id="c1"), asked(call_id="c2")),
            **EQUAL,
        ),
        responses(
            "equal calls, streamed",
            call,
            second,
            *args,
            *({**frame, "output_index": 1, "item_id": "f2"} for frame in args),
            event(item_done, 0, item=asked()),
            event(item_done, 1, item=asked()),
            completed(asked(), asked()),
            **EQUAL,
        ),
        responses(
            "a call added twice",
            call,
            call,
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "a call's name in its done",
            event(added, 0, item=asked("", id="f1", call_id="c1", name="")),
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "arguments before the call",
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "a placeholder before the arguments",
            call,
            event("function_call_arguments.delta", 0, delta="{}"),
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "a placeholder in arguments.done",
            call,
            event("function_call_arguments.done", 0, arguments="{}"),
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "arguments at the call's start alone",
            event(added, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "arguments at the start and in deltas",
            event(added, 0, item=asked(id="f1", call_id="c1")),
            *args,
            event(item_done, 0, item=asked(id="f1", call_id="c1")),
            **CALL,
        ),
        responses(
            "arguments as an object",
            event(item_done, 0, item=asked(call_id="c1", arguments={"a": 1})),
            **CALL,
        ),
        responses(
            "a call without a name",
            begun,
            *pieces,
            event(item_done, 1, item=asked(name="")),
            text="Hello",
            calls=[],
            finish="stop",
        ),
        responses(
            "nothing but a call without a name",
            event(item_done, 0, item=asked(name="")),
            error="invalid_output",
        ),
        responses(
            "arguments.done of one call at another's index",
            call,
            second,
            *args,
            event("function_call_arguments.done", 1, arguments=WHOLE),
            *other,
            event("function_call_arguments.done", 2, arguments='{"a":2}'),
            **TWO,
        ),
        responses(
            "three equal calls, one of which was told before",
            event(item_done, 1, item=asked("{}", id="f2", call_id="c2")),
            completed(*(asked("{}", id=f"f{i}", call_id=f"c{i}") for i in (1, 2, 3))),
            **called(("get", {}), ("get", {}), ("get", {})),
        ),
        responses(
            "three equal calls, one of which is still open",
            event(added, 1, item=asked("", id="f2", call_id="c2")),
            event("function_call_arguments.delta", 1, delta="{}"),
            completed(*(asked("{}", id=f"f{i}", call_id=f"c{i}") for i in (1, 2, 3))),
            **called(("get", {}), ("get", {}), ("get", {})),
        ),
        # what nobody understands, halves, usage
        responses(
            "an event that nobody knows",
            event("hologram.delta", 0, delta="me"),
            error="protocol",
            code="not_understood",
        ),
        responses(
            "an item that nobody knows",
            event(item_done, 0, item={"type": "hologram", "shows": "me"}),
            error="protocol",
            code="not_understood",
        ),
        responses(
            "a part that nobody knows",
            begun,
            *pieces,
            event(
                item_done,
                0,
                item={
                    "type": "message",
                    "content": [*said()["content"], {"type": "hologram", "shows": "me"}],
                },
            ),
            text="Hello",
            unread=["content.hologram"],
        ),
        responses(
            "a member that nobody knows",
            begun,
            *text_pieces("Hello", mood="good"),
            text="Hello",
            unread=["response.output_text.delta.mood"],
        ),
        responses(
            "halves of a character",
            begun,
            *text_pieces("\ud83d", "\ude00"),
            completed(said("😀")),
            text="😀",
        ),
        responses(
            "halves in arguments",
            call,
            *(
                event("function_call_arguments.delta", 0, delta=d)
                for d in ('{"a":"\ud83d', '\ude00"}')
            ),
            event(item_done, 0, item=asked('{"a":"😀"}', id="f1")),
            **called(("get", {"a": "😀"})),
        ),
        responses(
            "counts below zero",
            begun,
            *pieces,
            completed(usage={"input_tokens": 3.0, "output_tokens": -1}),
            usage={"input_tokens": 3, "output_tokens": None},
        ),
        responses(
            "speech",
            event("audio.delta", delta="AAA="),
            event("audio.transcript.delta", delta="Hello"),
            text="Hello",
            files=1,
        ),
    ]
