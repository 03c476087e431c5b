"""Neighbours of the reports in chat completions, a few for each kind."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.row import CALL, EQUAL, TWO, WHOLE, Frame, Row, called, frames

DONE = b"data: [DONE]\n\n"


def chunk(delta: Any, reason: str | None = None, **more: Any) -> Frame:
    """One chunk of choice 0."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "model": "m", "choices": [choice], **more}


def piece(arguments: str | None = None, index: int | None = 0, **more: Any) -> Frame:
    """A chunk with one piece of a call. `name` belongs to the function, all else to the entry."""
    return chunk({"tool_calls": [entry(arguments, index, **more)]})


def entry(arguments: str | None = None, index: int | None = 0, **more: Any) -> Frame:
    """One entry of `tool_calls`."""
    function = {"name": more.pop("name")} if "name" in more else {}
    if arguments is not None:
        function["arguments"] = arguments
    place = {} if index is None else {"index": index}
    return {**place, "function": function, **more}


def chat(name: str, *payloads: Frame, reason: str | None = "stop", **expect: Any) -> Row:
    """An answer of chat completions: these chunks, and their end."""
    end = [chunk({}, reason)] if reason else []
    return Row(name, "openai:m", frames([*payloads, *end]) + DONE, expect)


def chat_rows() -> list[Row]:
    """Neighbours in chat completions."""
    return [
        # names late, in pieces, or none
        chat(
            "name after two pieces",
            piece('{"a"', id="x"),
            piece(":"),
            piece("1}", name="get"),
            **CALL,
        ),
        chat("name alone at the end", piece(WHOLE, id="x"), piece(name="get"), **CALL),
        chat("name without any id, late", piece('{"a":'), piece("1}", name="get"), **CALL),
        chat(
            "name in three pieces",
            piece("", id="x", name="g"),
            piece(name="e"),
            piece(WHOLE, name="t"),
            **CALL,
        ),
        chat(
            "name in pieces, no index",
            piece("", None, id="x", name="g"),
            piece(WHOLE, None, name="et"),
            **CALL,
        ),
        chat(
            "name in pieces with its id each time",
            piece("", id="x", name="ge"),
            piece(WHOLE, id="x", name="t"),
            **CALL,
        ),
        chat(
            'name "null" at first', piece("", id="x", name="null"), piece(WHOLE, name="get"), **CALL
        ),
        chat('name "" at first', piece("", id="x", name=""), piece(WHOLE, name="get"), **CALL),
        chat('name "null" again', piece("", id="x", name="get"), piece(WHOLE, name="null"), **CALL),
        chat(
            "name and id on every delta",
            *(piece(a, id="x", name="get") for a in ('{"a"', ":", "1}")),
            **CALL,
        ),
        chat("id after the name", piece("", name="get"), piece(WHOLE, id="x"), **CALL),
        chat("id in pieces", piece("", id="call_", name="get"), piece(WHOLE, id="77"), **CALL),
        chat(
            "names of two calls by turns",
            piece("", 0, id="x", name="g"),
            piece("", 1, id="y", name="s"),
            piece("", 0, name="et"),
            piece("", 1, name="et"),
            piece("{}", 0),
            piece("{}", 1),
            **called(("get", {}), ("set", {})),
        ),
        # placeholders
        chat(
            "placeholder with blanks",
            piece("{ }", id="x", name="get"),
            piece('{"a"'),
            piece(":1}"),
            **CALL,
        ),
        chat(
            "placeholder in pieces",
            piece("{", id="x", name="get"),
            piece("}"),
            piece(WHOLE),
            **CALL,
        ),
        chat("placeholder and arguments in one", piece("{}" + WHOLE, id="x", name="get"), **CALL),
        chat(
            "two placeholders", piece("{}", id="x", name="get"), piece("{}"), piece(WHOLE), **CALL
        ),
        chat(
            "placeholder as an object",
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "x", "function": {"name": "get", "arguments": {}}}
                    ]
                }
            ),
            piece(WHOLE),
            **CALL,
        ),
        chat(
            "placeholder, then text",
            piece("{}", id="x", name="get"),
            chunk({"content": "Hi"}),
            piece(WHOLE),
            **CALL | {"text": "Hi"},
        ),
        chat("no arguments at all", piece("{}", id="x", name="get"), **called(("get", {}))),
        chat(
            "no arguments, in pieces",
            piece("{", id="x", name="get"),
            piece("}"),
            **called(("get", {})),
        ),
        chat(
            "half a character after a placeholder",
            piece("{}", id="x", name="get"),
            piece('{"a":"\ud83d'),
            piece('\ude00"}'),
            **called(("get", {"a": "😀"})),
        ),
        # phantoms
        chat(
            "empty tool_calls entry",
            chunk({"content": "Hi", "tool_calls": [{}]}),
            text="Hi",
            calls=[],
            finish="stop",
        ),
        chat(
            "entry with an id alone",
            chunk({"content": "Hi", "tool_calls": [{"index": 0, "id": "x"}]}),
            text="Hi",
            calls=[],
            finish="stop",
        ),
        chat(
            "arguments without a name",
            chunk({"content": "Hi"}),
            piece(WHOLE, id="x"),
            reason="tool_calls",
            text="Hi",
            calls=[],
            finish="tool_calls",
        ),
        chat(
            "nothing but a nameless call",
            piece(WHOLE, id="x"),
            reason="tool_calls",
            error="invalid_output",
            calls=[],
        ),
        chat(
            "a nameless call after reasoning",
            chunk({"reasoning": "hm"}),
            piece(WHOLE, id="x"),
            error="invalid_output",
            reasoning="hm",
        ),
        chat(
            "a real call and a phantom",
            piece(WHOLE, id="x", name="get"),
            piece("", 1, id="y"),
            **CALL,
        ),
        chat(
            "empty function_call and nothing else",
            chunk({"function_call": {"name": "", "arguments": ""}}),
            error="invalid_output",
        ),
        # custom tools
        chat(
            "custom input that is JSON",
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "x",
                            "type": "custom",
                            "custom": {"name": "py", "input": "{}"},
                        }
                    ]
                }
            ),
            calls=[{"name": "py", "arguments": "{}", "complete": True}],
        ),
        chat(
            "custom input cut by the limit",
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "x",
                            "type": "custom",
                            "custom": {"name": "py", "input": "pr"},
                        }
                    ]
                }
            ),
            reason="length",
            calls=[{"name": "py", "arguments": "pr", "complete": False}],
        ),
        chat(
            "custom name late",
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "x", "type": "custom", "custom": {"input": "a"}}
                    ]
                }
            ),
            chunk({"tool_calls": [{"index": 0, "custom": {"name": "py", "input": "b"}}]}),
            calls=[{"name": "py", "arguments": "ab"}],
        ),
        # equal calls, one id at two indices
        chat(
            "equal calls, no index",
            chunk({"tool_calls": [entry(WHOLE, None, name="get")] * 2}),
            **EQUAL,
        ),
        chat(
            "equal calls at one index",
            chunk({"tool_calls": [entry(WHOLE, name="get")] * 2}),
            **EQUAL,
        ),
        chat(
            "equal calls without arguments",
            chunk({"tool_calls": [entry("{}", None, name="get")] * 2}),
            **called(("get", {}), ("get", {})),
        ),
        chat(
            "equal calls at two indices",
            chunk({"tool_calls": [entry(WHOLE, 0, name="get"), entry(WHOLE, 1, name="get")]}),
            **EQUAL,
        ),
        chat(
            "one id at two indices, no name",
            piece("", 0, id="x", name="get"),
            piece(WHOLE, 1, id="x"),
            **CALL,
        ),
        chat(
            "one id at two indices, the same again",
            piece(WHOLE, 0, id="x", name="get"),
            piece(WHOLE, 1, id="x", name="get"),
            **CALL,
        ),
        chat(
            "one id at two indices, the same with blanks",
            piece(WHOLE, 0, id="x", name="get"),
            piece('{"a": 1}', 1, id="x", name="get"),
            **CALL,
        ),
        chat(
            "one id at two indices, the same in pieces",
            piece(WHOLE, 0, id="x", name="get"),
            piece('{"a"', 1, id="x", name="get"),
            piece(":1}", 1, id="x"),
            **CALL,
        ),
        chat(
            "one id at two indices, another name",
            piece(WHOLE, 0, id="x", name="get"),
            piece(WHOLE, 1, id="x", name="set"),
            **called(("get", {"a": 1}), ("set", {"a": 1})),
        ),
        chat(
            "one id at two indices, others in pieces",
            piece(WHOLE, 0, id="x", name="get"),
            piece('{"a"', 1, id="x", name="get"),
            piece(":2}", 1),
            **TWO,
        ),
        chat(
            "one id at three indices",
            *(piece(f'{{"a":{a}}}', i, id="x", name="get") for i, a in enumerate((1, 2, 1))),
            **TWO,
        ),
        # answers in another place
        chat(
            "message without delta, in pieces",
            *(
                {"choices": [{"index": 0, "message": {"content": text}}]}
                for text in ("Hel", "Hello", "Hello!")
            ),
            text="Hello!",
        ),
        chat(
            "message whose pieces are deltas",
            *(
                {"choices": [{"index": 0, "message": {"content": text}}]}
                for text in ("Hel", "lo", "!")
            ),
            text="Hello!",
        ),
        chat(
            "message with a call",
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {"tool_calls": [entry(WHOLE, None, id="x", name="get")]},
                    }
                ]
            },
            **CALL,
        ),
        chat(
            "message with reasoning",
            {"choices": [{"message": {"reasoning_content": "hm", "content": "Hi"}}]},
            text="Hi",
            reasoning="hm",
        ),
        chat(
            "message after its deltas",
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}),
            {"choices": [{"index": 0, "message": {"content": "Hello"}}]},
            text="Hello",
        ),
        chat(
            "text of the older API",
            {"choices": [{"index": 0, "text": "Hel"}]},
            {"choices": [{"index": 0, "text": "lo"}]},
            text="Hello",
        ),
        chat("delta that is a string", chunk("Hello"), text="Hello"),
        chat("content as one part", chunk({"content": {"type": "text", "text": "Hi"}}), text="Hi"),
        chat("content as strings", chunk({"content": ["H", "i"]}), text="Hi"),
        chat(
            "content of output_text parts",
            chunk({"content": [{"type": "output_text", "text": "Hi"}]}),
            text="Hi",
        ),
        chat(
            "a picture as a content part",
            chunk(
                {
                    "content": [
                        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}
                    ]
                }
            ),
            files=1,
        ),
        chat(
            "the same picture twice",
            *[chunk({"images": [{"image_url": "data:image/png;base64,iVBORw0KGgo="}]})] * 2,
            files=1,
        ),
        chat(
            "speech and its words",
            chunk({"audio": {"id": "a", "transcript": "Hel"}}),
            chunk({"audio": {"data": "AAA="}}),
            chunk({"audio": {"data": "AQ==", "transcript": "lo"}}),
            text="Hello",
            files=1,
        ),
        chat(
            "Copilot's reasoning",
            chunk({"reasoning_text": "hm"}),
            chunk({"reasoning_opaque": "zz"}),
            chunk({"content": "Hi"}),
            text="Hi",
            reasoning="hm",
        ),
        chat(
            "choices of one index",
            {
                "choices": [
                    {"index": 0, "delta": {"content": "H"}},
                    {"index": 0, "delta": {"content": "i"}},
                ]
            },
            text="Hi",
        ),
        chat(
            "second answer first",
            {
                "choices": [
                    {"index": 1, "delta": {"content": "Two"}},
                    {"index": 0, "delta": {"content": "One"}},
                ]
            },
            text="One",
        ),
        # what nobody understands
        chat(
            "nothing understood",
            chunk({"answer": "Hello"}),
            error="protocol",
            code="not_understood",
        ),
        chat(
            "nothing understood, no reason",
            {"response": "Hello"},
            reason=None,
            error="protocol",
            code="not_understood",
        ),
        chat(
            "unknown content parts alone",
            chunk({"content": [{"type": "hologram", "of": "me"}]}),
            error="protocol",
            code="not_understood",
        ),
        chat(
            "another choice alone",
            {"choices": [{"index": 3, "delta": {"content": "Hi"}}]},
            text="Hi",
        ),
        chat(
            "one member unread",
            chunk({"content": "Hi", "mood": "good"}),
            text="Hi",
            unread=["delta.mood"],
        ),
        chat(
            "two members unread",
            chunk({"content": "Hi"}, weather={"now": "rain"}),
            {"choices": [{"index": 0, "delta": {}, "aside": ["x"]}]},
            text="Hi",
            unread=["choices.aside", "weather"],
        ),
        chat(
            "numbers and empty members",
            chunk(
                {
                    "content": "Hi",
                    "score": 0.5,
                    "is_last": True,
                    "note": "",
                    "notes": [],
                    "token_ids": [1, 2],
                }
            ),
            text="Hi",
            unread=[],
        ),
        # usage
        chat(
            "counts on different chunks",
            chunk({"content": "Hi"}, usage={"prompt_tokens": 3}),
            chunk({}, usage={"completion_tokens": 4}),
            usage={"input_tokens": 3, "output_tokens": 4},
        ),
        chat(
            "whole floats",
            chunk({"content": "Hi"}, usage={"prompt_tokens": 3.0, "completion_tokens": 4.0}),
            usage={"input_tokens": 3, "output_tokens": 4},
        ),
        chat(
            "negative counts",
            chunk({"content": "Hi"}, usage={"prompt_tokens": 3, "completion_tokens": 4}),
            chunk({}, usage={"prompt_tokens": -1, "completion_tokens": -1}),
            usage={"input_tokens": 3, "output_tokens": 4},
        ),
        chat(
            "xAI's count",
            chunk(
                {"content": "Hi"},
                usage={
                    "prompt_tokens": 3,
                    "completion_tokens": 2,
                    "total_tokens": 205,
                    "completion_tokens_details": {"reasoning_tokens": 200},
                },
            ),
            usage={"input_tokens": 3, "output_tokens": 202, "reasoning_tokens": 200},
        ),
        chat(
            "OpenAI's count",
            chunk(
                {"content": "Hi"},
                usage={
                    "prompt_tokens": 3,
                    "completion_tokens": 202,
                    "total_tokens": 205,
                    "completion_tokens_details": {"reasoning_tokens": 200},
                },
            ),
            usage={"output_tokens": 202},
        ),
        # halves of characters
        chat(
            "halves around a usage chunk",
            chunk({"content": "\ud83d"}),
            {"choices": [], "usage": {"prompt_tokens": 1}},
            chunk({"content": "\ude00"}),
            text="😀",
        ),
        chat(
            "halves of the reasoning",
            chunk({"reasoning": "a\ud83d"}),
            chunk({"reasoning": "\ude00b"}),
            text="",
            reasoning="a😀b",
        ),
        chat(
            "a half without its other",
            chunk({"content": "a\ud83d"}),
            chunk({"content": "b"}),
            text="a�b",
        ),
        chat("a half at the end", chunk({"content": "a\ud83d"}), text="a�"),
        chat(
            "halves in arguments",
            piece('{"a":"\ud83d', id="x", name="get"),
            piece('\ude00"}'),
            **called(("get", {"a": "😀"})),
        ),
        chat(
            "halves of two parts by turns",
            chunk({"reasoning": "\ud83d"}),
            chunk({"content": "a"}),
            text="a",
            reasoning="�",
        ),
    ]
