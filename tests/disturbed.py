"""An answer as its format documents it, and the same as servers in the wild might send it.

Indices, ids, dones, snapshots, the order of independent frames and the splitting of names and arguments are disturbed.
What the answer says isn't: both mean the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

Frame = dict[str, Any]
Below = Callable[[int], int]
"""Chooses a number below another."""

WORDS = ("a", "é", "\U0001f600", '"', "\\", "{}", " ", "null", "b\n")
NAMES = ("get", "get_weather", "f", "search-all")


@dataclass
class Call:
    """A call of the caller's."""

    name: str
    arguments: str


@dataclass
class Said:
    """What an answer says."""

    reasoning: str = ""
    text: str = ""
    calls: list[Call] = field(default_factory=list)


def draw(below: Below) -> Said:
    """Any answer that says something."""
    reasoning = _words(below) if below(2) else ""
    text = _words(below) if below(3) else ""
    calls = [Call(NAMES[below(len(NAMES))], _arguments(below, i)) for i in range(below(4))]
    return Said(reasoning, text if text or calls else "x", calls)


def _words(below: Below) -> str:
    return "w" + "".join(WORDS[below(len(WORDS))] for _ in range(1 + below(6)))


def _arguments(below: Below, number: int) -> str:
    if not below(5):
        return "{}"
    return json.dumps({"n": number, "v": _words(below)}, ensure_ascii=not below(2))


def cut(below: Below, text: str) -> list[str]:
    """The text in pieces, some of which may end within a character."""
    units = text.encode("utf-16-le", "surrogatepass")
    places = sorted({2 * below(len(units) // 2 + 1) for _ in range(below(4))} | {0, len(units)})
    return [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(places)]


def cut_arguments(below: Below, text: str) -> list[str]:
    """The same of a call's arguments. Each piece may tell again all that came before it."""
    pieces = cut(below, text)
    return pieces if below(4) else list(accumulate(pieces))


def sse(frames: list[Frame], end: bytes = b"") -> bytes:
    """The frames as server-sent events."""
    return b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames) + end


def merge(below: Below, *streams: list[Frame]) -> list[Frame]:
    """The frames of several streams by turns, each in its own order."""
    left = [list(stream) for stream in streams if stream]
    merged = []
    while left:
        stream = left[below(len(left))]
        merged.append(stream.pop(0))
        left = [stream for stream in left if stream]
    return merged


# --- chat completions --------------------------------------------------------------------------------------------


def chat(said: Said) -> bytes:
    """As it is documented."""
    frames = [_chunk({"role": "assistant", "content": ""})]
    frames += [_chunk({"reasoning_content": said.reasoning})] if said.reasoning else []
    frames += [_chunk({"content": said.text})] if said.text else []
    for index, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": call.arguments}
        entry = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        frames.append(_chunk({"tool_calls": [entry]}))
    return sse([*frames, _chunk({}, "stop")], b"data: [DONE]\n\n")


def disturbed_chat(said: Said, below: Below) -> bytes:
    """As it comes."""
    reasoning = ("reasoning_content", "reasoning", "reasoning_text")[below(3)]
    frames = [_chunk({reasoning: piece}) for piece in cut(below, said.reasoning)]
    frames += [_chunk({"content": piece}) for piece in cut(below, said.text)]
    calls = [_chat_call(call, i, below) for i, call in enumerate(said.calls)]
    frames += merge(below, *calls) if below(2) else [frame for call in calls for frame in call]
    if not below(3):
        frames.append({"choices": [], "usage": {"prompt_tokens": 1}})
    if said.text and not below(3):
        frames.append(_chunk({"tool_calls": [{"index": 99}]}))
    end = _chunk({}, ("stop", "tool_calls")[below(2)])
    if said.text and not below(3):
        end["choices"][0]["message"] = {"role": "assistant", "content": said.text}
    return sse([*frames, end], b"data: [DONE]\n\n" if below(2) else b"")


def _chunk(delta: Frame, reason: str | None = None) -> Frame:
    return {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def _chat_call(call: Call, index: int, below: Below) -> list[Frame]:
    """The pieces of one call: with its name whole, in pieces, late or each time; with or without an id."""
    id = {} if not below(4) else {"id": f"call_{index}"}
    arguments = cut_arguments(below, call.arguments)
    if not below(3):
        arguments.insert(0, "{}")
    way = below(4)
    if way == 0:
        named = [(call.name, ""), *(("", piece) for piece in arguments)]
    elif way == 1:
        half = 1 + below(max(1, len(call.name) - 1))
        named = [
            (call.name[:half], ""),
            (call.name[half:], ""),
            *(("", piece) for piece in arguments),
        ]
    elif way == 2:
        named = [*(("", piece) for piece in arguments), (call.name, "")]
    else:
        named = [(call.name, piece) for piece in arguments]
    again = below(2)
    entries = []
    for number, (name, piece) in enumerate(named):
        function = {"name": name or (None, "", "null")[below(3)], "arguments": piece}
        shown = id if number == 0 or again else {}
        entries.append({"index": index, **shown, "function": function})
    if id and not below(4):
        whole = {"name": call.name, "arguments": call.arguments}
        entries.append({"index": index + 50, **id, "function": whole})
    return [_chunk({"tool_calls": [entry]}) for entry in entries]


# --- Messages --------------------------------------------------------------------------------------------------


def messages(said: Said) -> bytes:
    """As it is documented."""
    blocks = []
    if said.reasoning:
        blocks.append(_block({"type": "thinking", "thinking": ""}, "thinking", [said.reasoning]))
    if said.text:
        blocks.append(_block({"type": "text", "text": ""}, "text", [said.text]))
    for number, call in enumerate(said.calls):
        start = {"type": "tool_use", "id": f"t{number}", "name": call.name, "input": {}}
        blocks.append(_block(start, "input_json", [call.arguments]))
    frames = [frame for index, block in enumerate(blocks) for frame in _placed(block, index)]
    return sse([_START, *frames, *_messages_end()])


_START = {
    "type": "message_start",
    "message": {"id": "m", "model": "m", "content": [], "usage": {"output_tokens": 1}},
}


def _messages_end() -> list[Frame]:
    return [
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ]


def _block(start: Frame, kind: str, pieces: list[str]) -> list[Frame]:
    name = {"input_json": "partial_json"}.get(kind, kind)
    deltas = [{"type": f"{kind}_delta", name: piece} for piece in pieces]
    return [
        {"type": "content_block_start", "content_block": start},
        *({"type": "content_block_delta", "delta": delta} for delta in deltas),
        {"type": "content_block_stop"},
    ]


def _placed(block: list[Frame], index: int) -> list[Frame]:
    return [{**frame, "index": index} for frame in block]


def disturbed_messages(said: Said, below: Below) -> bytes:
    """As it comes."""
    shown = (
        below(3) == 0
    )  # the whole message comes at its end, and perhaps brings some of the blocks alone
    blocks: list[list[Frame]] = []
    if said.reasoning:
        blocks.append(_prose("thinking", said.reasoning, below))
    if said.text:
        blocks.append(_prose("text", said.text, below))
    blocks = [block for block in blocks if not shown or below(3)]
    calls = [_tool_use(call, number, below) for number, call in enumerate(said.calls)]
    calls = [call for call in calls if not shown or below(3)]
    first = len(blocks)
    frames = [frame for index, block in enumerate(blocks) for frame in _placed(block, index)]
    placed = [_placed(call, first + number) for number, call in enumerate(calls)]
    frames += merge(below, *placed) if below(2) else [frame for call in placed for frame in call]
    if not below(3):
        frames.insert(below(len(frames) + 1), {"type": "ping"})
    end = _messages_end()
    if shown:
        message = {"content": _whole_blocks(said)}
        place = below(4)
        if place == 0:
            end[0] = {**end[0], "delta": {**end[0]["delta"], **message}}
        elif place == 1:
            end[-1] |= message
        elif place == 2:
            end[-1]["message"] = message
        else:
            frames.append({**_START, "message": {**_START["message"], **message}})
    return sse([_START, *frames, *end])


def _whole_blocks(said: Said) -> list[Frame]:
    blocks: list[Frame] = []
    if said.reasoning:
        blocks.append({"type": "thinking", "thinking": said.reasoning})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    for number, call in enumerate(said.calls):
        input = json.loads(call.arguments)
        blocks.append({"type": "tool_use", "id": f"t{number}", "name": call.name, "input": input})
    return blocks


def _prose(kind: str, text: str, below: Below) -> list[Frame]:
    """A text or thinking block: in deltas, whole in its start, or whole at its end; perhaps told again."""
    whole = {"type": kind, kind: text}
    empty = {"type": kind, kind: ""}
    way = below(3)
    if way == 0:
        block = _block(empty, kind, cut(below, text))
    elif way == 1:
        block = _block(whole, kind, [])
    else:
        block = _block(empty, kind, [])
    if way == 2 or not below(3):
        block[-1]["content_block"] = whole
    if not below(4):
        block.insert(1, block[0])
    return block


def _tool_use(call: Call, number: int, below: Below) -> list[Frame]:
    """A call's block: its input in deltas, in its start, in both, or at its end."""
    empty = {"type": "tool_use", "id": f"t{number}", "name": call.name, "input": {}}
    given: Any = json.loads(call.arguments) if below(2) else call.arguments
    whole = {**empty, "input": given}
    way = below(4)
    pieces = cut_arguments(below, call.arguments) if way < 2 else []
    block = _block(whole if way in (1, 2) else empty, "input_json", pieces)
    if way == 3 or not below(3):
        block[-1]["content_block"] = whole
    if not below(4):
        block.insert(1, block[0])
    if not below(4):
        half = below(len(call.name))
        rest = call.name[half if below(2) else 0 :]
        block[0] = {
            **block[0],
            "content_block": {**block[0]["content_block"], "name": call.name[:half]},
        }
        block.insert(1, {"type": "content_block_start", "content_block": {**empty, "name": rest}})
    return block


# --- Responses -------------------------------------------------------------------------------------------------


def responses(said: Said) -> bytes:
    """As it is documented."""
    items = _items(said)
    frames: list[Frame] = []
    for index, item in enumerate(items):
        frames.append(_event("output_item.added", index, item={**item, **_EMPTY[item["type"]]}))
        frames.append(_event("output_item.done", index, item=item))
    return sse([_CREATED, *frames, _completed(items)])


_CREATED = {"type": "response.created", "response": {"id": "r", "model": "m"}}
_EMPTY: dict[str, Frame] = {
    "message": {"content": []},
    "reasoning": {"content": []},
    "function_call": {"arguments": ""},
}
_DELTAS = {
    "message": "output_text",
    "reasoning": "reasoning_text",
    "function_call": "function_call_arguments",
}


def _completed(items: list[Frame]) -> Frame:
    response = {"id": "r", "model": "m", "status": "completed", "output": items}
    return {"type": "response.completed", "response": response}


def _event(kind: str, index: int, **more: Any) -> Frame:
    return {"type": f"response.{kind}", "output_index": index, **more}


def _items(said: Said) -> list[Frame]:
    items: list[Frame] = []
    if said.reasoning:
        part = {"type": "reasoning_text", "text": said.reasoning}
        items.append({"type": "reasoning", "id": "rs", "summary": [], "content": [part]})
    if said.text:
        part = {"type": "output_text", "text": said.text}
        items.append({"type": "message", "id": "msg", "role": "assistant", "content": [part]})
    for number, call in enumerate(said.calls):
        names = {"id": f"fc_{number}", "call_id": f"call_{number}", "name": call.name}
        items.append({"type": "function_call", **names, "arguments": call.arguments})
    return items


def disturbed_responses(said: Said, below: Below) -> bytes:
    """As it comes."""
    items = _items(said)
    shift = below(2)
    streams = [_item_frames(item, index, shift, below) for index, item in enumerate(items)]
    calls = [s for s, item in zip(streams, items, strict=True) if item["type"] == "function_call"]
    prose = [s for s, item in zip(streams, items, strict=True) if item["type"] != "function_call"]
    told = [frame for stream in prose for frame in stream]
    # With arguments of `{}` nothing but its numbers tells a call from one whose placeholder has come.
    may_merge = all(call.arguments != "{}" for call in said.calls)
    is_merged = may_merge and below(2)
    told += merge(below, *calls) if is_merged else [frame for call in calls for frame in call]
    shown = items if below(3) or not told else []
    if any(not stream for stream in streams):
        shown = items
    snapshot = [_formed(_renamed(item, below), below) for item in shown]
    return sse([_CREATED, *told, _completed(snapshot)])


def _renamed(item: Frame, below: Below) -> Frame:
    """The item under its ids, others, or none."""
    ids = ("id", "call_id") if "call_id" in item else ("id",)
    way = below(4)
    if way == 0:
        return item
    if way == 1:
        return {**item, "id": f"new_{item['id']}"}
    return {**item, **dict.fromkeys(ids, None if way == 2 else f"x_{item['id']}")}


def _item_frames(item: Frame, index: int, shift: int, below: Below) -> list[Frame]:
    """One item: in deltas, whole at its end, or not at all before the snapshot."""
    kind = item["type"]
    field, part = _whole_of(item)
    way = below(4)
    if way == 0:
        return []
    begun = below(len(part) + 1) if way > 1 and not below(3) else 0
    told_again = not below(2)
    added = _event("output_item.added", index, item=_filled(item, part[:begun]))
    frames = [added] if below(4) or begun or kind == "function_call" else []
    if way > 1:
        rest = part if told_again else part[begun:]
        frames += _delta_frames(item, rest, index, below, has_begun=begun > 0)
    if frames and frames[0] is added and not below(4):
        frames.insert(1, added)
    if way > 1 and below(2):
        frames.append(_event(f"{_DELTAS[kind]}.done", index + shift, **{field: part}))
    if way == 1:  # nothing but its numbering says whose these are
        frames.append(_event("output_item.done", index, item=_formed(item, below)))
    elif below(2):
        whole = _formed(_renamed(item, below), below)
        frames.append(_event("output_item.done", index + shift, item=whole))
    return frames


def _filled(item: Frame, text: str) -> Frame:
    """The item with this much of its text or arguments."""
    if item["type"] == "function_call":
        return {**item, "arguments": text}
    return {**item, "content": [{**item["content"][0], "text": text}] if text else []}


def _formed(item: Frame, below: Below) -> Frame:
    """The item in the form of another server: one part in place of a list, arguments by another name."""
    way = below(5)
    if item["type"] == "function_call":
        rest = {name: item[name] for name in item if name != "arguments"}
        name = ("arguments", "parameters", "input")[below(3)]
        given: Any = json.loads(item["arguments"]) if way == 0 else item["arguments"]
        return {**rest, name: given}
    (part,) = item["content"]
    forms: tuple[Any, ...] = (part, part["text"], [part["text"]], [{"text": part["text"]}], [part])
    return {**item, "content": forms[way]}


def _whole_of(item: Frame) -> tuple[str, str]:
    if item["type"] == "function_call":
        return "arguments", item["arguments"]
    return "text", item["content"][0]["text"]


def _delta_frames(
    item: Frame, whole: str, index: int, below: Below, *, has_begun: bool
) -> list[Frame]:
    kind = item["type"]
    is_all = whole == _whole_of(item)[1]
    is_call = kind == "function_call"
    pieces = cut_arguments(below, whole) if is_call and is_all else cut(below, whole)
    if not has_begun and kind == "function_call" and not below(3):
        pieces.insert(0, "{}")
    place = {"item_id": item["id"]} if below(2) else {}
    return [
        _event(f"{_DELTAS[kind]}.delta", index, content_index=number, delta=piece, **place)
        for number, piece in enumerate(pieces)
    ]


PAIRS: dict[str, tuple[Callable[[Said], bytes], Callable[[Said, Below], bytes]]] = {
    "openai-chat": (chat, disturbed_chat),
    "anthropic-messages": (messages, disturbed_messages),
    "openai-responses": (responses, disturbed_responses),
}
"""By format: an answer as documented, and as it comes."""
