"""The heaviest bodies that clients may send, by shape and by the path that they are posted to."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
Content = str | list[Any]


def chat(content: Content, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def responses(content: Content, **more: Any) -> dict[str, Any]:
    if isinstance(content, list):
        content = [{**part, "type": f"input_{part['type']}"} for part in content]
    return {"model": "m", "input": [{"role": "user", "content": content}], **more}


def messages(content: Content, **more: Any) -> dict[str, Any]:
    return {**chat(content, **more), "max_tokens": 100}


def ai_sdk(content: Content, **more: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"messages": [{"role": "user", "parts": parts}], **more}


def ag_ui(content: Content, **more: Any) -> dict[str, Any]:
    asked = {"id": "1", "role": "user", "content": content}
    return {"threadId": "t", "runId": "r", "messages": [asked], **more}


def native(content: Content, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **more}


ASKING: dict[str, Callable[..., dict[str, Any]]] = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": messages,
    "/v1/messages/count_tokens": messages,
    "/api/chat": ai_sdk,
    "/agui": ag_ui,
    "/chat": native,
}


def schema(properties: int) -> dict[str, Any]:
    named = {f"p{number}": {"type": "string"} for number in range(properties)}
    return {"type": "object", "properties": named}


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        inner = {"type": "object", "properties": {"a": inner}}
    return inner


def tool(path: str, number: int, parameters: Any) -> dict[str, Any]:
    name = f"t{number}"
    if path.startswith("/v1/messages"):
        return {"name": name, "input_schema": parameters}
    if path == "/v1/responses":
        return {"type": "function", "name": name, "parameters": parameters}
    if path == "/agui":
        return {"name": name, "description": "", "parameters": parameters}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def calls(path: str, number: int, arguments: str) -> dict[str, Any]:
    """A history in which one answer made so many calls."""
    ids = [f"c{each}" for each in range(number)]
    parsed = json.loads(arguments)
    if path.startswith("/v1/messages"):
        made = [{"type": "tool_use", "id": id, "name": "t", "input": parsed} for id in ids]
        done = [{"type": "tool_result", "tool_use_id": id, "content": "r"} for id in ids]
        asked = messages("hi")
        asked["messages"] += [
            {"role": "assistant", "content": made},
            {"role": "user", "content": done},
        ]
        return asked
    if path == "/v1/responses":
        asked = responses("hi")
        call = {"type": "function_call", "name": "t", "arguments": arguments}
        asked["input"] += [{**call, "call_id": id} for id in ids]
        done = {"type": "function_call_output", "output": "r"}
        asked["input"] += [{**done, "call_id": id} for id in ids]
        return asked
    if path == "/api/chat":
        part = {"type": "tool-t", "state": "output-available", "input": parsed, "output": "r"}
        asked = ai_sdk("hi")
        asked["messages"] += [
            {"role": "assistant", "parts": [{**part, "toolCallId": id} for id in ids]},
            *ai_sdk("go on")["messages"],
        ]
        return asked
    function = {"name": "t", "arguments": arguments}
    made = [{"id": id, "type": "function", "function": function} for id in ids]
    done = [{"role": "tool", "tool_call_id": id, "content": "r"} for id in ids]
    asked = ASKING[path]("hi")
    answer = {
        "role": "assistant",
        "content": "",
        "tool_calls" if path != "/agui" else "toolCalls": made,
    }
    if path == "/agui":
        answer["id"] = "2"
        done = [{"id": f"r{id}", "role": "tool", "toolCallId": id, "content": "r"} for id in ids]
    asked["messages"] += [answer, *done]
    return asked


def turns(path: str, number: int, text: str = "hi") -> dict[str, Any]:
    asked = ASKING[path](text)
    key = "input" if "input" in asked else "messages"
    (first,) = asked[key]
    listed = []
    for each in range(number):
        role = "user" if each % 2 == 0 else "assistant"
        turn = {**first, "role": role}
        if "id" in turn:
            turn["id"] = str(each)
        listed.append(turn)
    return {**asked, key: listed}


def image(path: str, data: bytes) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    if path.startswith("/v1/messages"):
        source = {"type": "base64", "media_type": "image/png", "data": text}
        return {"type": "image", "source": source}
    url = f"data:image/png;base64,{text}"
    if path == "/v1/responses":
        return {"type": "image", "image_url": url}
    if path == "/api/chat":
        return {"type": "file", "mediaType": "image/png", "url": url}
    if path == "/agui":
        return {"type": "binary", "mimeType": "image/png", "url": url}
    return {"type": "image_url", "image_url": {"url": url}}


def filled(make: Callable[[int], Any], marks: int, size: int) -> Any:
    """The body with as many of something as there is room for: `marks` are the commas, colons and brackets."""
    few, more = make(1), make(101)
    each = max(1, marks_of(more) - marks_of(few))
    by_marks = (marks - marks_of(few)) * 100 // each
    by_size = (size - len(encoded(few))) * 99 // (len(encoded(more)) - len(encoded(few)))
    return make(1 + max(0, min(by_marks, by_size)))


def marks_of(body: Any) -> int:
    """The commas, colons and brackets that stand outside of its texts."""
    bare = re.sub(r'"(\\.|[^"\\])*"', "", json.dumps(body))
    return sum(map(bare.count, ",:[{"))


def shapes(path: str, size: int = 8 * 1024 * 1024, marks: int = 100_000) -> dict[str, Any]:
    """Bodies of nearly `size` bytes, or with nearly so many `marks`, by name; bytes or what becomes JSON."""
    ask = ASKING[path]
    room = size - 1_000
    text = {"type": "text", "text": "x"}

    def fill(make: Callable[[int], Any]) -> Any:
        return filled(make, marks, room)

    return {
        "one long text": ask("x" * room),
        "a long text of lines": ask("\n" * (room // 2)),
        "a long text of quotes": ask('"' * (room // 2)),
        "a long text of other letters": json.dumps(
            ask("é" * (room // 2)), ensure_ascii=False
        ).encode(),
        "a long text of emojis": json.dumps(ask("😀" * (room // 4)), ensure_ascii=False).encode(),
        "a long text, escaped": ask("é" * (room // 6)),
        "messages": fill(lambda n: turns(path, min(n, 1_000))),
        "too many messages": fill(lambda n: turns(path, n)),
        "long messages": turns(path, 1_000, "x" * max(1, room // 1_000 - 100)),
        "parts": fill(lambda n: ask([text] * min(n, 5_000))),
        "too many parts": fill(lambda n: ask([text] * n)),
        "long parts": ask([{"type": "text", "text": "é" * 120}] * (room // 800)),
        "images": fill(lambda n: ask([image(path, PIXEL)] * min(n, 5_000))),
        "one image": ask([image(path, PIXEL + b"x" * (room * 3 // 4 - 200))]),
        "tools": fill(lambda n: ask("hi", tools=[tool(path, k, {}) for k in range(min(n, 1_000))])),
        "too many tools": fill(lambda n: ask("hi", tools=[tool(path, k, {}) for k in range(n)])),
        "a large schema": fill(lambda n: ask("hi", tools=[tool(path, 0, schema(n))])),
        "a deep schema": ask("hi", tools=[tool(path, 0, deep(300))]),
        "tools of large schemas": fill(
            lambda n: ask("hi", tools=[tool(path, each, schema(n // 100)) for each in range(100)])
        ),
        "a schema of numbers": fill(
            lambda n: ask("hi", tools=[tool(path, 0, {"enum": [1.5] * n})])
        ),
        "numbers of many digits": ask(
            "hi", tools=[tool(path, 0, {"enum": [int("9" * 300)] * (room // 303)})]
        ),
        "calls": fill(lambda n: calls(path, n, "{}")),
        "one call of many values": fill(
            lambda n: calls(path, 1, json.dumps({"a": [[]] * min(n, marks // 2 - 5)}))
        ),
        "one call of too many values": calls(path, 1, json.dumps({"a": [[]] * (room // 4)})),
        "one call of a long text": calls(path, 1, json.dumps({"a": "x" * room})),
        "one call of a long text of lines": calls(path, 1, json.dumps({"a": "\n" * (room // 4)})),
        "members that nobody knows": fill(
            lambda n: ask("hi", **{f"k{number}": 1 for number in range(n)})
        ),
        "a member of a long name": ask("hi", **{"x" * room: 1}),
        "a member of many values": fill(
            lambda n: ask("hi", logit_bias={str(k): 1 for k in range(n)})
        ),
        "a format of many properties": fill(
            lambda n: ask(
                "hi",
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": schema(n)},
                },
            )
        ),
        "a model of a long name": ask("hi") | {"model": "m" * room},
        "many values in a wrong place": fill(lambda n: ask("hi") | {"messages": {"a": [[]] * n}}),
    }


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
