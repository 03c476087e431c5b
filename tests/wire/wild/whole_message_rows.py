"""Messages whose blocks stand where nobody expects them: in starts, stops and ends, alone or again."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.messages_rows import START, add, begin, message_end, messages, stop, tool
from tests.wire.wild.row import CALL, TWO, WHOLE, Frame, Row, called, frames
from tests.wire.wild.told_again_rows import document

SIGNATURE = "c2lnbmF0dXJl"
TEXT = {"type": "text", "text": "Hello"}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": SIGNATURE}
SEALED = {"type": "redacted_thinking", "data": "zz"}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "s",
    "content": [{"type": "web_search_result", "url": "https://a.example/", "title": "t"}],
}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
GET = {"type": "tool_use", "id": "t", "name": "get", "input": {"a": 1}}
BLOCKS = (THOUGHT, SEALED, SEARCH, RESULT, TEXT, IMAGE, GET)
ALL = {
    "text": "Hello",
    "reasoning": "hm",
    "files": 1,
    "calls": [{"name": "get", "input": {"a": 1}}],
    "all calls": 2,
    "finish": "tool_calls",
    "signatures": [SIGNATURE],
    "results": 1,
    "sealed": 1,
}
NOTHING = {"error": "protocol", "code": "not_understood"}


def row(name: str, *payloads: Frame, **expect: Any) -> Row:
    """An answer of just these events."""
    return Row(name, "anthropic:m", frames(payloads), expect)


def begun(*blocks: Frame) -> Frame:
    """A `message_start` with content."""
    return {**START, "message": {**START["message"], "content": list(blocks)}}


def ended(*blocks: Frame, place: str = "delta", **more: Any) -> list[Frame]:
    """How a message ends, with content in some place of its last events."""
    delta, end = message_end()
    content = {"content": list(blocks), **more}
    if place == "delta":
        delta = {**delta, "delta": {**delta["delta"], **content}}
    elif place == "message of message_delta":
        delta = {**delta, "message": content}
    elif place == "message of message_stop":
        end = {**end, "message": content}
    else:
        end = {**end, **content}
    return [delta, end]


PLACES = ("delta", "message of message_delta", "message of message_stop", "message_stop")


def places() -> list[Row]:
    """Every kind of block, in every place, alone and again."""
    told = [frame for i, block in enumerate(BLOCKS) for frame in (begin(i, **block), stop(i))]
    stops = [stop(i, content_block=block) for i, block in enumerate(BLOCKS)]
    again = [
        frame
        for i, block in enumerate(BLOCKS)
        for frame in (begin(i, **block), stop(i, content_block=block))
    ]
    message = {"type": "message", "id": "m", "model": "m", "content": list(BLOCKS)}
    whole = {**message, "stop_reason": "tool_use"}
    first = [begin(0, type="thinking", thinking=""), add(0, "thinking", "hm"), stop(0)]
    found = []
    for place in PLACES:
        end = ended(*BLOCKS, place=place)
        found += [
            row(f"all blocks alone in the {place}", START, *end, **ALL),
            row(f"all blocks again in the {place}", START, *told, *end, unread=[], **ALL),
        ]
        for count, block in enumerate(BLOCKS):
            rest = told[: 2 * count]
            name = f"all blocks from {block['type']} on in the {place}"
            found.append(row(name, START, *rest, *end, unread=[], **ALL))
    return [
        *found,
        row("all blocks in message_start", begun(*BLOCKS), *message_end(), **ALL),
        row("message_start, and all blocks again", begun(*BLOCKS), *told, *message_end(), **ALL),
        row("message_start, and one block again", begun(*BLOCKS), *first, *message_end(), **ALL),
        row("message_start twice", begun(*BLOCKS), begun(*BLOCKS), *message_end(), **ALL),
        row("a second message_start alone", START, begun(*BLOCKS), *message_end(), **ALL),
        row("a second message_start again", START, *told, begun(*BLOCKS), *message_end(), **ALL),
        row("all blocks alone in their stops", START, *stops, *message_end(), **ALL),
        row("all blocks again in their stops", START, *again, *message_end(), unread=[], **ALL),
        row("the message as an event", whole, **ALL),
        row("the message as an event, after all", START, *told, whole, unread=[], **ALL),
        row("the message as an event, then an end", message, *message_end("tool_use"), **ALL),
        document("whole: all blocks", "anthropic:m", whole, **ALL),
        document("whole: one block", "anthropic:m", {**message, "content": TEXT}, text="Hello"),
        document(
            "whole: a role and no type",
            "anthropic:m",
            {"role": "assistant", "content": [TEXT]},
            text="Hello",
        ),
        document(
            "whole: equal blocks",
            "anthropic:m",
            {"type": "message", "content": [IMAGE, IMAGE, TEXT, TEXT]},
            files=2,
            text="HelloHello",
        ),
    ]


def halves() -> list[Row]:
    """Blocks of which a part came."""
    text = [begin(0, type="text", text=""), add(0, "text", "Hello"), stop(0)]
    thought = [begin(0, type="thinking", thinking=""), add(0, "thinking", "h"), stop(0)]
    late = [begin(1, **TEXT), stop(1)]
    empty = [begin(0, **{**GET, "input": {}}), stop(0)]
    cited = {**TEXT, "citations": [{"type": "x", "url": "https://a.example/", "cited_text": "c"}]}
    signed = {"reasoning": "hm", "signatures": [SIGNATURE]}
    other = {**GET, "input": {"a": 2}}
    two = [begin(0, **GET), stop(0), begin(1, **other), stop(1)]
    return [
        row(
            "the end has two calls of one id again",
            START,
            *two,
            *ended(GET, other),
            unread=[],
            **TWO,
        ),
        row(
            "the end has more words",
            START,
            *text,
            *ended({**TEXT, "text": "Hello you"}),
            text="Hello you",
        ),
        row(
            "the end has a text more",
            START,
            *text,
            *ended(TEXT, {**TEXT, "text": "!"}),
            text="Hello!",
        ),
        row(
            "a second message_start has more",
            START,
            *text,
            begun({**TEXT, "text": "Hello!"}),
            *message_end(),
            text="Hello!",
        ),
        row(
            "the end has other words",
            START,
            *text,
            *ended({**TEXT, "text": "Bye"}),
            text="Hello",
            unread=["content.text"],
        ),
        row("the end has more thinking", START, *thought, *ended(THOUGHT), **signed),
        row(
            "the end has the signature",
            START,
            *thought[:1],
            add(0, "thinking", "hm"),
            *ended(THOUGHT),
            **signed,
        ),
        row(
            "the end has the signature, late",
            START,
            *thought[:1],
            add(0, "thinking", "hm"),
            stop(0),
            *late,
            *ended(THOUGHT, TEXT),
            **signed,
        ),
        messages(
            "the stop has the signature",
            *thought[:1],
            add(0, "thinking", "hm"),
            stop(0, content_block=THOUGHT),
            *late,
            **signed,
        ),
        messages(
            "the signature twice",
            begin(0, **THOUGHT),
            add(0, "signature", SIGNATURE),
            stop(0),
            *late,
            **signed,
        ),
        messages(
            "a signature in pieces",
            *thought[:1],
            add(0, "thinking", "hm"),
            add(0, "signature", SIGNATURE[:9]),
            add(0, "signature", SIGNATURE[9:]),
            stop(0),
            *late,
            **signed,
        ),
        row("the end has the input", START, *empty, *ended(GET), **CALL),
        row(
            "the end has the rest of the input",
            START,
            *empty[:1],
            add(0, "input_json", '{"a": '),
            *ended(GET),
            **CALL,
        ),
        row(
            "the end has another input",
            START,
            begin(0, **GET),
            stop(0),
            *ended({**GET, "input": {"a": 2}}),
            unread=["content.tool_use.input"],
            **CALL,
        ),
        row(
            "the end has a call more",
            START,
            begin(0, **GET),
            stop(0),
            *ended(GET, {**GET, "id": "u", "input": {"a": 2}}),
            **TWO,
        ),
        row(
            "the end has an equal call more",
            START,
            begin(0, **{**GET, "id": ""}),
            stop(0),
            *ended({**GET, "id": ""}, {**GET, "id": ""}),
            **called(("get", {"a": 1}), ("get", {"a": 1})),
        ),
        messages(
            "the stop has the rest of the input",
            *empty[:1],
            add(0, "input_json", '{"a": '),
            stop(0, content_block=GET),
            **CALL,
        ),
        messages(
            "the stop has another input",
            begin(0, **GET),
            add(0, "input_json", '{"a":2}'),
            stop(0, content_block=GET),
            unread=["content_block.input"],
            **called(("get", {"a": 2})),
        ),
        messages(
            "the stop has the name",
            *[begin(0, **{**GET, "name": "", "input": {}})],
            stop(0, content_block=GET),
            **CALL,
        ),
        messages(
            "the stop has the result",
            begin(0, **SEARCH),
            stop(0),
            begin(1, **{**RESULT, "content": []}),
            stop(1, content_block=RESULT),
            results=1,
            unread=[],
        ),
        messages(
            "the stop has the picture",
            begin(0, type="image", source={}),
            stop(0, content_block=IMAGE),
            files=1,
            unread=[],
        ),
        messages(
            "the stop has what is sealed",
            begin(0, **{**SEALED, "data": ""}),
            stop(0, content_block=SEALED),
            *late,
            sealed=1,
            unread=[],
        ),
        messages(
            "the stop has a citation",
            begin(0, type="text", text=""),
            add(0, "text", "Hello"),
            stop(0, content_block=cited),
            text="Hello",
            sources=1,
        ),
        row("the end has a citation", START, *text, *ended(cited), text="Hello", sources=1),
        row(
            "the end has a citation again",
            START,
            begin(0, **cited),
            stop(0),
            *ended(cited),
            text="Hello",
            sources=1,
        ),
        messages(
            "the stop of another type",
            begin(0, type="text", text=""),
            add(0, "text", "Hello"),
            stop(0, content_block=GET),
            **CALL | {"text": "Hello"},
        ),
        messages(
            "the stop has other words",
            begin(0, type="text", text=""),
            add(0, "text", "Hello"),
            stop(0, content_block={**TEXT, "text": "Bye"}),
            text="Hello",
            unread=["content_block.text"],
        ),
    ]


def others() -> list[Row]:
    """Names in pieces, members in other events, and what nobody understands."""
    pieces = (add(0, "input_json", '{"a"'), add(0, "input_json", ":1}"))
    event = {"type": "text", "text": "Hello", "snapshot": "Hello"}
    hologram = begin(0, type="hologram")
    shows = {"type": "content_block_delta", "index": 0, "delta": {"type": "h_delta", "shows": "me"}}
    untyped = {"type": "content_block_delta", "index": 0}
    delta, end = message_end()
    bare = {"type": "message_delta", "stop_reason": "max_tokens"}
    other = tool(name="set", input={"a": 1})
    return [
        messages("a name in pieces", tool(name="g"), tool(name="et"), *pieces, stop(0), **CALL),
        messages("a name that grows", tool(name="g"), tool(), *pieces, stop(0), **CALL),
        messages(
            "a name in pieces, without ids",
            tool(name="g", id=""),
            tool(name="et", id=""),
            *pieces,
            stop(0),
            **CALL,
        ),
        messages(
            "a name in pieces, the input in the last",
            tool(name="g"),
            tool(name="et", input={"a": 1}),
            stop(0),
            **CALL,
        ),
        messages(
            "a name in pieces around a ping",
            tool(name="g"),
            {"type": "ping"},
            tool(name="et"),
            *pieces,
            **CALL,
        ),
        messages("a name again after its input", tool(), *pieces, tool(), stop(0), **CALL),
        messages(
            "another name after an input",
            tool(input={"a": 1}),
            other,
            stop(0),
            **called(("get", {"a": 1}), ("set", {"a": 1})),
        ),
        messages(
            "input whole, and a placeholder in deltas",
            tool(input={"a": 1}),
            add(0, "input_json", "{}"),
            stop(0),
            **CALL,
        ),
        row(
            "why it ended beside the delta",
            START,
            begin(0, **TEXT),
            bare,
            end,
            text="Hello",
            finish="length",
        ),
        row(
            "why it ended in message_stop",
            START,
            begin(0, **TEXT),
            {**end, "message": {"stop_reason": "max_tokens"}},
            finish="length",
        ),
        row(
            "usage in message_stop",
            START,
            begin(0, **TEXT),
            {**end, "usage": {"output_tokens": 7}},
            usage={"output_tokens": 7},
        ),
        row(
            "words in place of a delta",
            START,
            begin(0, **TEXT),
            {**delta, "delta": "Bye"},
            {**end, "message": "Bye"},
            text="Hello",
            unread=["delta", "message"],
        ),
        row(
            "a message in a block's delta",
            START,
            begin(0, **TEXT),
            {**untyped, "delta": {"type": "text_delta", "text": "!"}, "message": {"content": "x"}},
            delta,
            end,
            text="Hello!",
            unread=["content_block_delta.message"],
        ),
        messages(
            "another member of a text's delta",
            {**untyped, "delta": {"type": "text_delta", "text": "Hello", "thinking": "hm"}},
            text="Hello",
            unread=["delta.thinking"],
        ),
        messages("a delta without a type", {**untyped, "delta": {"text": "Hello"}}, text="Hello"),
        messages(
            "a delta of input without a type",
            tool(),
            {**untyped, "delta": {"partial_json": WHOLE}},
            stop(0),
            **CALL,
        ),
        messages("an SDK's events alone", event, **NOTHING),
        messages("deltas of a block that nobody knows", hologram, shows, stop(0), **NOTHING),
        messages(
            "the stop of a block that nobody knows",
            hologram,
            stop(0, content_block={"type": "hologram", "shows": "me"}),
            **NOTHING,
        ),
        messages(
            "a picture without one",
            begin(0, type="image", source={"shows": "me"}),
            stop(0),
            **NOTHING,
        ),
    ]


def whole_message_rows() -> list[Row]:
    """All of them."""
    return [*places(), *halves(), *others()]
