"""The same as `disturbed.py` for vendors' own formats: Gemini, Converse, Ollama, Cohere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from llmstream.wire.framing.event_stream import EventStream
from tests.disturbed import Below, Call, Frame, Said, cut, cut_arguments, merge, sse

# --- Gemini ------------------------------------------------------------------------------------------------------


def gemini(said: Said) -> bytes:
    """As it is documented."""
    parts: list[Frame] = [{"text": said.reasoning, "thought": True}] if said.reasoning else []
    parts += [{"text": said.text}] if said.text else []
    for call in said.calls:
        parts.append({"functionCall": {"name": call.name, "args": json.loads(call.arguments)}})
    return sse([*(_chunk(part) for part in parts), _chunk(finish="STOP")])


def disturbed_gemini(said: Said, below: Below) -> bytes:
    """As it comes."""
    frames = [_chunk({"text": text, "thought": True}) for text in cut(below, said.reasoning)]
    frames += [_chunk({"text": text}) for text in cut(below, said.text)]
    has_ids = below(2) == 1
    calls = [_gemini_call(call, i if has_ids else None, below) for i, call in enumerate(said.calls)]
    frames += merge(below, *calls) if has_ids and below(2) else [f for call in calls for f in call]
    for extra in ({"usageMetadata": {}}, {"candidates": []}, {"candidates": [None]}):
        if not below(4):
            frames.insert(below(len(frames) + 1), extra)
    if not below(3):
        frames.insert(below(len(frames) + 1), _chunk(finish="STOP"))
    frames.append(_chunk(finish="STOP"))
    if not below(3):
        frames = [_snaky(frame) for frame in frames]
    if not below(3):
        return json.dumps(frames, indent=below(2)).encode()
    return sse(frames).replace(b"\n", b"\r\n" if below(2) else b"\n")


def _chunk(*parts: Frame, finish: str | None = None) -> Frame:
    candidate: Frame = {"content": {"parts": list(parts)}} if parts else {}
    return {"candidates": [{**candidate, "finishReason": finish}]}


def _snaky(value: Any) -> Any:
    """Names with underscores, as a proxy writes them that dumps the SDK's objects."""
    if isinstance(value, list):
        return [_snaky(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {"functionCall": "function_call", "partialArgs": "partial_args"}
    named |= {"jsonPath": "json_path", "willContinue": "will_continue"}
    named |= {"stringValue": "string_value", "numberValue": "number_value"}
    named |= {"finishReason": "finish_reason", "usageMetadata": "usage_metadata"}
    return {
        named.get(name, name): each if name == "args" else _snaky(each)
        for name, each in value.items()
    }


def _gemini_call(call: Call, number: int | None, below: Below) -> list[Frame]:
    """A call: whole, told again or grown by its id, or in pieces."""
    id = {} if number is None else {"id": f"c{number}"}
    whole = json.loads(call.arguments)
    way = below(3)
    if way == 0:
        bodies = [{"name": call.name, "willContinue": True}, *_pieces(whole, below)]
        return [_chunk({"functionCall": {**id, **body}}) for body in (*bodies, {})]
    given: Any = whole if way == 1 else call.arguments
    frame = _chunk({"functionCall": {**id, "name": call.name, "args": given}})
    if not id:
        return [frame]
    beginnings = [{**whole, "v": whole["v"][:1]}, {}] if "v" in whole else []
    earlier = beginnings[below(3) : 1 + below(2)] if below(2) else []
    told = [_chunk({"functionCall": {**id, "name": call.name, "args": each}}) for each in earlier]
    return [frame] * (1 + below(2)) if not told else [_joined(told[:1], frame)]


def _joined(before: list[Frame], frame: Frame) -> Frame:
    """Frames as one, so that none of another call comes between them."""
    parts = [
        part for each in (*before, frame) for part in each["candidates"][0]["content"]["parts"]
    ]
    return _chunk(*parts)


def _pieces(whole: Frame, below: Below) -> list[Frame]:
    pieces: list[Frame] = []
    for name, value in whole.items():
        path = {"jsonPath": f"$.{name}"}
        if not isinstance(value, str):
            pieces.append({"partialArgs": [{**path, "numberValue": value}]})
            continue
        texts = cut(below, value) or [""]
        for text, following in pairwise([*texts, None]):
            more = {} if following is None else {"willContinue": True}
            pieces.append({"partialArgs": [{**path, "stringValue": text, **more}]})
    return [{**piece, "willContinue": True} for piece in pieces]


# --- Converse ----------------------------------------------------------------------------------------------------

_STREAM = EventStream()
_Event = tuple[str, Frame]
_TOLD: tuple[_Event, ...] = (("messageStop", {"stopReason": "end_turn"}), ("metadata", {}))


def converse(said: Said) -> bytes:
    """As it is documented."""
    blocks: list[list[_Event]] = []
    if said.reasoning:
        blocks.append([_delta(0, reasoningContent={"text": said.reasoning}), _stop(0)])
    if said.text:
        blocks.append([_delta(len(blocks), text=said.text), _stop(len(blocks))])
    for call in said.calls:
        index = len(blocks)
        tool = {"toolUseId": f"t{index}", "name": call.name}
        pieces = [_delta(index, toolUse={"input": call.arguments})]
        blocks.append([_start(index, tool), *pieces, _stop(index)])
    return _events([event for block in blocks for event in block])


def disturbed_converse(said: Said, below: Below) -> bytes:
    """As it comes."""
    prose: list[list[_Event]] = []
    for kind, text in (("reasoningContent", said.reasoning), ("text", said.text)):
        if text:
            prose.append(_converse_prose(kind, text, len(prose), below))
    calls = [_converse_call(call, len(prose) + i, below) for i, call in enumerate(said.calls)]
    events = [event for block in prose for event in block]
    events += merge(below, *calls) if below(2) else [event for call in calls for event in call]
    if not below(3):
        events.insert(below(len(events) + 1), ("ping", {}))
    return _events(events, below(4))


def _converse_prose(kind: str, text: str, index: int, below: Below) -> list[_Event]:
    given = [{"text": each} if kind == "reasoningContent" else each for each in cut(below, text)]
    events = [_delta(index, **{kind: each}) for each in given]
    if below(2):
        events.insert(0, ("contentBlockStart", {"contentBlockIndex": index, "start": {}}))
    return [*events, _stop(index)] if below(2) else events


def _converse_call(call: Call, index: int, below: Below) -> list[_Event]:
    """A call's block: its input in deltas, in its start, or in both."""
    tool: Frame = {"toolUseId": f"t{index}", "name": call.name}
    whole: Any = json.loads(call.arguments) if below(2) else call.arguments
    way = below(3)
    pieces = [] if way == 0 else cut_arguments(below, call.arguments)
    first = {**tool, "input": whole} if way < 2 else tool
    events = [_start(index, first), *(_delta(index, toolUse={"input": each}) for each in pieces)]
    if not below(4):
        half = below(len(call.name))
        rest = call.name[half if below(2) else 0 :]
        events[:1] = [
            _start(index, {**first, "name": call.name[:half]}),
            _start(index, {**first, "name": rest}),
        ]
    return [*events, _stop(index)] if below(3) else events


def _start(index: int, tool: Frame) -> _Event:
    return ("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": tool}})


def _delta(index: int, **delta: Any) -> _Event:
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def _stop(index: int) -> _Event:
    return ("contentBlockStop", {"contentBlockIndex": index})


def _events(events: list[_Event], way: int = 0) -> bytes:
    """The bytes: as Amazon frames them, without names, wrapped in their names, or as server-sent events."""
    told = [*events, *_TOLD]
    if way == 3:
        return sse([{name: payload} for name, payload in told])
    named = [(name, {name: payload} if way == 2 else payload) for name, payload in told]
    frames = (_STREAM.frame(json.dumps(said).encode(), "" if way else name) for name, said in named)
    return b"".join(frames)


# --- Ollama ------------------------------------------------------------------------------------------------------


def ollama(said: Said) -> bytes:
    """As it is documented."""
    words = [("thinking", said.reasoning), ("content", said.text)]
    lines = [{"content": "", name: text} for name, text in words if text]
    for index, call in enumerate(said.calls):
        function = {"index": index, "name": call.name, "arguments": json.loads(call.arguments)}
        lines.append({"content": "", "tool_calls": [{"id": f"c{index}", "function": function}]})
    return _lines([{"message": line} for line in lines])


def disturbed_ollama(said: Said, below: Below) -> bytes:
    """As it comes."""
    lines = [{"thinking": text} for text in cut(below, said.reasoning)]
    lines += [{"content": text} for text in cut(below, said.text)]
    way = below(3)
    entries = [_ollama_call(call, i, way, below) for i, call in enumerate(said.calls)]
    if entries and below(2):
        lines.append({"content": None, "tool_calls": entries})
    else:
        for call, entry in zip(said.calls, entries, strict=True):
            grows = way < 2 and call.arguments != "{}" and not below(3)
            lines += [{"tool_calls": [_emptied(entry)]}] if grows else []
            lines += [{"tool_calls": entry if below(2) else [entry]}]
    last: Frame = {}
    if not below(3):
        last = {"content": said.text, "thinking": said.reasoning, "tool_calls": entries}
    frames: list[Frame] = [{"message": line} for line in lines]
    if not below(3):
        frames.insert(below(len(frames) + 1), {"message": None})
    return _lines(frames, last, is_sse=not below(3))


def _ollama_call(call: Call, number: int, way: int, below: Below) -> Frame:
    """A call with an id, with a place, or with neither; its arguments an object or a text."""
    whole: Any = json.loads(call.arguments) if below(2) else call.arguments
    function = {"name": call.name, "arguments": whole}
    if way == 0:
        return {"id": f"c{number}", "function": function}
    return {"function": {**function, "index": number} if way == 1 else function}


def _emptied(entry: Frame) -> Frame:
    return {**entry, "function": {**entry["function"], "arguments": {}}}


def _lines(frames: Iterable[Frame], last: Frame | None = None, *, is_sse: bool = False) -> bytes:
    end = {"message": last or {"content": ""}, "done": True, "done_reason": "stop"}
    told = [{"model": "m", "done": False, **frame} for frame in frames]
    if is_sse:
        return sse([*told, end])
    return b"".join(json.dumps(frame).encode() + b"\n" for frame in (*told, end))


# --- Cohere ------------------------------------------------------------------------------------------------------


def cohere(said: Said) -> bytes:
    """As it is documented."""
    frames: list[Frame] = []
    words = [("thinking", said.reasoning), ("text", said.text)]
    for index, (kind, text) in enumerate(words):
        if text:
            frames.append(_said("content-start", index, content={"type": kind, kind: ""}))
            frames.append(_said("content-delta", index, content={kind: text}))
            frames.append({"type": "content-end", "index": index})
    for index, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        frames.append(
            _said("tool-call-start", index, tool_calls={"id": f"c{index}", "function": function})
        )
        frames.append(
            _said("tool-call-delta", index, tool_calls={"function": {"arguments": call.arguments}})
        )
        frames.append({"type": "tool-call-end", "index": index})
    return sse([{"type": "message-start"}, *frames, _ended()])


def disturbed_cohere(said: Said, below: Below) -> bytes:
    """As it comes."""
    frames: list[Frame] = []
    for index, (kind, text) in enumerate((("thinking", said.reasoning), ("text", said.text))):
        frames += _cohere_prose(kind, text, index, below) if text else []
    calls = [_cohere_call(call, i, below) for i, call in enumerate(said.calls)]
    is_shown = not below(3)
    if is_shown:
        calls = [call for call in calls if below(3)]
    frames += merge(below, *calls) if below(2) else [frame for call in calls for frame in call]
    return sse([{"type": "message-start"}, *frames, _ended(_whole(said) if is_shown else None)])


def _cohere_prose(kind: str, text: str, index: int, below: Below) -> list[Frame]:
    """A block: in deltas, or whole in its start, which may come twice; with its start and end or without."""
    if not below(3):
        start = _said("content-start", index, content={"type": kind, kind: text})
        return [start] * (1 + below(2))
    frames = [_said("content-delta", index, content={kind: each}) for each in cut(below, text)]
    if below(2):
        frames.insert(0, _said("content-start", index, content={"type": kind, kind: ""}))
    return [*frames, {"type": "content-end", "index": index}] if below(2) else frames


def _cohere_call(call: Call, index: int, below: Below) -> list[Frame]:
    """A call: its arguments in its start, in deltas, or in both; its name whole, in pieces or late."""
    whole: Any = json.loads(call.arguments) if not below(3) else call.arguments
    way = below(4)
    given = (whole, whole, "{}", "")[way]
    pieces = [] if way == 0 else cut_arguments(below, call.arguments)
    half = below(len(call.name)) if not below(3) else len(call.name)
    id = f"c{index}"
    function = {"name": call.name[:half], "arguments": given if half == len(call.name) else ""}
    frames = [_said("tool-call-start", index, tool_calls={"id": id, "function": function})]
    if half < len(call.name):
        rest = {"name": call.name[half if below(2) else 0 :], "arguments": given}
        frames.append(_said("tool-call-start", index, tool_calls={"id": id, "function": rest}))
    frames += [
        _said("tool-call-delta", index, tool_calls={"function": {"arguments": each}})
        for each in pieces
    ]
    return [*frames, {"type": "tool-call-end", "index": index}] if below(3) else frames


def _whole(said: Said) -> Frame:
    words = (("thinking", said.reasoning), ("text", said.text))
    content = [{"type": kind, kind: text} for kind, text in words if text]
    calls = [
        {"id": f"c{i}", "function": {"name": call.name, "arguments": call.arguments}}
        for i, call in enumerate(said.calls)
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def _said(kind: str, index: int, **message: Any) -> Frame:
    return {"type": kind, "index": index, "delta": {"message": message}}


def _ended(message: Frame | None = None) -> Frame:
    more = {} if message is None else {"message": message}
    return {"type": "message-end", "delta": {"finish_reason": "COMPLETE", **more}}


# --- Interactions ------------------------------------------------------------------------------------------------


def interactions(said: Said) -> bytes:
    """As it is documented."""
    steps: list[list[Frame]] = []
    if said.reasoning:
        summary = _step_delta(
            0, "thought_summary", content={"type": "text", "text": said.reasoning}
        )
        steps.append([_step("start", 0, step={"type": "thought"}), summary])
    if said.text:
        index = len(steps)
        words = _step_delta(index, "text", text=said.text)
        steps.append([_step("start", index, step={"type": "model_output"}), words])
    for call in said.calls:
        index = len(steps)
        begun = {"type": "function_call", "id": f"c{index}", "name": call.name, "arguments": {}}
        pieces = _step_delta(index, "arguments_delta", arguments=call.arguments)
        steps.append([_step("start", index, step=begun), pieces])
    frames = [each for index, step in enumerate(steps) for each in (*step, _step("stop", index))]
    return sse([*frames, _interaction("completed", status="completed")])


def disturbed_interactions(said: Said, below: Below) -> bytes:
    """As it comes."""
    prose: list[list[Frame]] = []
    for kind, text in (("thought", said.reasoning), ("model_output", said.text)):
        if text:
            prose.append(_interaction_prose(kind, text, len(prose), below))
    calls = [_interaction_call(call, len(prose) + i, below) for i, call in enumerate(said.calls)]
    is_shown = not below(3)
    if is_shown:
        calls = [call for call in calls if below(3)]
    frames = [frame for step in prose for frame in step]
    frames += merge(below, *calls) if below(2) else [frame for call in calls for frame in call]
    progress = {"event_type": "interaction.status_update", "status": "in_progress"}
    for extra in (progress, {"event_type": "ping"}, _step("delta", 0, delta=None)):
        if not below(4):
            frames.insert(below(len(frames) + 1), extra)
    shown = {"steps": _steps_of(said)} if is_shown else {}
    status = ("completed", "in_progress", "requires_action")[below(3)]
    frames.append(_interaction("completed", status=status, **shown))
    return sse(frames, b"event: done\ndata: [DONE]\n\n" if below(2) else b"")


def _interaction_prose(kind: str, text: str, index: int, below: Below) -> list[Frame]:
    """A step: its words in its start, in deltas, or in both; with its stop or without, its start twice."""
    pieces = cut(below, text)
    begun = pieces.pop(0) if not below(3) and _is_whole(pieces[0]) else ""
    names = {"thought": "summary", "model_output": "content"}
    content = [{"type": "text", "text": begun}] if begun else []
    start = _step("start", index, step={"type": kind, names[kind]: content})
    frames = [start] * (1 + below(2))
    has_types = below(2) == 1
    for piece in pieces:
        if kind == "model_output":
            said: Frame = {"type": "text", "text": piece}
        else:
            said = {"type": "thought_summary", "content": {"type": "text", "text": piece}}
        if not has_types:
            del said["type"]
        frames.append(_step("delta", index, delta=said))
    return [*frames, _step("stop", index)] if below(2) else frames


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _interaction_call(call: Call, index: int, below: Below) -> list[Frame]:
    """A call: its arguments in its start, in deltas, or in both; its name in its start or with its arguments."""
    way = below(3)
    given = {} if way == 0 else json.loads(call.arguments)
    pieces = [] if way == 1 else cut_arguments(below, call.arguments)
    is_late = way == 0 and not below(3)
    named = {} if is_late else {"name": call.name}
    begun = {"type": "function_call", "id": f"c{index}", "arguments": given, **named}
    frames = [_step("start", index, step=begun)] * (1 + below(2))
    later = {"name": call.name} if is_late else {}
    kind = "function_call" if is_late else "arguments_delta"
    frames += [_step_delta(index, kind, arguments=piece, **later) for piece in pieces]
    return [*frames, _step("stop", index)] if below(3) else frames


def _steps_of(said: Said) -> list[Frame]:
    """The whole answer, as a stored interaction has it."""
    asked = {"type": "user_input", "content": [{"type": "text", "text": "?"}]}
    words = [{"type": "text", "text": text} for text in (said.reasoning, said.text)]
    steps: list[Frame] = [asked]
    steps += [{"type": "thought", "summary": [words[0]]}] if said.reasoning else []
    steps += [{"type": "model_output", "content": [words[1]]}] if said.text else []
    first = len(steps) - 1
    for index, call in enumerate(said.calls, first):
        body = {"type": "function_call", "id": f"c{index}", "name": call.name}
        steps.append({**body, "arguments": json.loads(call.arguments)})
    return steps


def _step(kind: str, index: int, **said: Any) -> Frame:
    return {"event_type": f"step.{kind}", "index": index, **said}


def _step_delta(index: int, type: str, **said: Any) -> Frame:
    return _step("delta", index, delta={"type": type, **said})


def _interaction(kind: str, **said: Any) -> Frame:
    return {"event_type": f"interaction.{kind}", "interaction": {"id": "i", **said}}


PAIRS = {
    "gemini-generate": (gemini, disturbed_gemini),
    "bedrock-converse": (converse, disturbed_converse),
    "ollama-native": (ollama, disturbed_ollama),
    "cohere-v2": (cohere, disturbed_cohere),
    "gemini-interactions": (interactions, disturbed_interactions),
}
"""By format: an answer as it is documented, and as it comes."""
