"""Chat completions whose words, files, sources and signatures stand where nobody expects them."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.chat_rows import chat, chunk, entry, piece
from tests.wire.wild.row import CALL, WHOLE, Frame, Row
from tests.wire.wild.told_again_rows import completion, shown

AUDIO = {"id": "a", "data": "AAA=", "transcript": "Hi"}
SPOKEN = {"text": "Hi", "files": 1, "unread": []}
URL = "https://a.example/"
HI = chunk({"content": "Hi"})
NOTHING = {"error": "protocol", "code": "not_understood"}


def choice(**more: Any) -> Frame:
    """A chunk whose choice has these members."""
    return {"choices": [{"index": 0, **more}]}


def part(**more: Any) -> Frame:
    """A chunk with one part of content."""
    return chunk({"content": [more]})


def block(thinking: str, signature: str | None = None) -> Frame:
    """A block of LiteLLM's thinking."""
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def media() -> list[Row]:
    """Speech, pictures and files."""
    file = {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}
    return [
        chat("speech as a part", part(type="output_audio", output_audio=AUDIO), **SPOKEN),
        chat("speech as a flat part", part(type="output_audio", **AUDIO), **SPOKEN),
        chat("speech as an input's part", part(type="input_audio", input_audio=AUDIO), **SPOKEN),
        chat("speech in a list", chunk({"audio": [AUDIO]}), **SPOKEN),
        chat("speech as base64", chunk({"audio": "AAA="}), files=1, text=""),
        chat("speech at an address", part(type="audio_url", audio_url={"url": URL}), files=1),
        chat("words of speech elsewhere", chunk({"audio": {"words": "Hi"}}), **NOTHING),
        chat(
            "speech again as a part of the message",
            chunk({"audio": AUDIO}),
            shown(content=[{"type": "output_audio", "output_audio": AUDIO}]),
            **SPOKEN,
        ),
        chat(
            "the message has the words of the speech",
            chunk({"audio": {"id": "a", "data": "AAA="}}),
            shown(audio=AUDIO),
            **SPOKEN,
        ),
        chat(
            "the message has the speech of the words",
            chunk({"audio": {"id": "a", "transcript": "Hi"}}),
            shown(audio=AUDIO),
            **SPOKEN,
        ),
        completion(
            "whole: speech as a part",
            message={"content": [{"type": "audio", "audio": AUDIO}]},
            **SPOKEN,
        ),
        chat("a file as a part", part(type="file", file=file), files=1),
        chat("a file by its id", part(type="file", file={"file_id": "f1"}), files=1),
        chat("a film", part(type="video_url", video_url=URL), files=1),
        chat("a picture without a list", chunk({"images": {"image_url": {"url": URL}}}), files=1),
        chat("a picture that nobody knows", chunk({"images": [{"shape": "round"}]}), **NOTHING),
    ]


def sources() -> list[Row]:
    """Citations in every form."""
    flat = {"type": "url_citation", "url": URL}
    nested = {"type": "url_citation", "url_citation": {"url": URL, "start_index": 0}}
    file = {"type": "file_citation", "file_citation": {"file_id": "f", "quote": "q"}}
    found = [{"url": URL, "title": "t"}]
    cited = {"provider_specific_fields": {"citation": {"url": URL, "cited_text": "q"}}}
    one = {"text": "Hi", "sources": 1, "unread": []}
    return [
        chat("a flat annotation", chunk({"content": "Hi", "annotations": [flat]}), **one),
        chat("an annotation of a file", chunk({"content": "Hi", "annotations": [file]}), **one),
        chat(
            "an annotation without a list", chunk({"content": "Hi", "annotations": nested}), **one
        ),
        chat(
            "an annotation again",
            chunk({"content": "Hi", "annotations": [nested]}),
            shown(content="Hi", annotations=[nested]),
            **one,
        ),
        chat(
            "the message has an annotation more",
            chunk({"content": "Hi", "annotations": [nested]}),
            shown(content="Hi", annotations=[nested, file]),
            sources=2,
        ),
        chat(
            "an annotation of words",
            chunk({"content": "Hi", "annotations": ["x"]}),
            text="Hi",
            unread=["annotations"],
        ),
        chat("search_results alone", chunk({"content": "Hi"}, search_results=found), **one),
        chat(
            "search_results again",
            HI,
            chunk({}, search_results=found, citations=[URL]),
            chunk({}, search_results=found),
            **one,
        ),
        chat("one citation without a list", chunk({"content": "Hi"}, citations=URL), **one),
        chat(
            "a citation without an address",
            chunk({"content": "Hi"}, citations=[{"doc": "x"}]),
            text="Hi",
            unread=["citations"],
        ),
        chat("a citation in a vendor's own words", HI, chunk(cited), **one),
        chat(
            "other words of a vendor's own",
            HI,
            chunk({"provider_specific_fields": {"found": ["x"]}}),
            text="Hi",
            unread=["provider_specific_fields.found"],
        ),
    ]


def words() -> list[Row]:
    """Texts, refusals and calls."""
    function = {"name": "get", "arguments": WHOLE}
    half, rest = {"name": "get", "arguments": '{"a"'}, {"arguments": ":1}"}
    both = {
        "tool_calls": [{"index": 0, "id": "x", "function": function}],
        "function_call": function,
    }
    halves = [
        chunk({"tool_calls": [{"index": 0, "id": "x", "function": half}], "function_call": half}),
        chunk({"tool_calls": [{"index": 0, "function": rest}], "function_call": rest}),
    ]
    empty = {"tool_calls": [{"index": 0}], "function_call": function}
    begun = piece(WHOLE, id="x", name="get")
    other = entry('{"a":2}', None, id="x", name="get")
    thought = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}]
    refused = [{"type": "refusal", "refusal": "No"}]
    return [
        chat(
            "the message has other arguments",
            begun,
            shown(tool_calls=[other]),
            unread=["message.tool_calls"],
            **CALL,
        ),
        chat("the message has the thinking", HI, shown(content=thought), text="Hi", reasoning="hm"),
        chat("the message has the refusal", HI, shown(content=refused), text="Hi", refusal="No"),
        chat(
            "a refusal again as a part",
            chunk({"refusal": "No"}),
            shown(content=refused),
            refusal="No",
        ),
        chat("a message that is a string", choice(message="Hello"), text="Hello"),
        chat("text beside a role", choice(delta={"role": "assistant"}, text="Hello"), text="Hello"),
        chat("text beside the same content", choice(delta={"content": "Hi"}, text="Hi"), text="Hi"),
        chat(
            "the message is each delta again",
            *(choice(delta={"content": text}, message={"content": text}) for text in "Hi!"),
            text="Hi!",
            unread=[],
        ),
        chat(
            "the message has more of a refusal",
            chunk({"refusal": "No"}),
            shown(refusal="No!"),
            refusal="No!",
        ),
        chat("a call in function_call, and an empty entry", chunk(empty), **CALL),
        chat("a call in both of one delta", chunk(both), **CALL),
        chat("a call in both of each delta", *halves, **CALL),
        completion("whole: a call in both", "tool_calls", message=both, **CALL),
    ]


def seals() -> list[Row]:
    """LiteLLM's signatures, and what is signed too late."""
    signed = {"text": "Hi", "reasoning": "hm", "signatures": ["sig"], "unread": []}
    named = {"reasoning_content": "hm"}
    blocks = {"thinking_blocks": [block("hm", "sig")]}
    fields = {"provider_specific_fields": blocks}
    pieces = [chunk({"reasoning_content": text, "thinking_blocks": [block(text)]}) for text in "hm"]
    end = chunk({"reasoning_content": "", "thinking_blocks": [block("", "sig")]})
    late = shown(content="Hi", **named, **blocks)
    return [
        chat("thinking signed in pieces", *pieces, end, HI, **signed),
        chat("thinking signed at once", chunk({**named, **blocks}), HI, **signed),
        chat("thinking signed in both places", chunk({**named, **blocks, **fields}), HI, **signed),
        chat("thinking signed in a vendor's own words", chunk({**named, **fields}), HI, **signed),
        chat("thinking in a vendor's own words alone", chunk(fields), HI, **signed),
        completion(
            "whole: thinking signed", message={"content": "Hi", **named, **blocks}, **signed
        ),
        chat("the message has the signature", chunk(named), late, **signed),
        chat("the message has the signature again", chunk({**named, **blocks}), HI, late, **signed),
        chat(
            "the message has the signature, late",
            chunk(named),
            HI,
            late,
            **signed,
        ),
        chat(
            "details that are words",
            chunk({"reasoning_details": ["hm"]}),
            HI,
            text="Hi",
            unread=["reasoning_details"],
        ),
        chat(
            "a seal that is no text",
            chunk({"reasoning_text": "hm", "reasoning_opaque": {"a": "b"}}),
            HI,
            reasoning="hm",
            unread=["reasoning_opaque"],
        ),
        chat(
            "a vendor's own words of a call",
            piece(WHOLE, id="x", name="get", provider_specific_fields={"thought_signature": "s"}),
            unread=[],
            **CALL,
        ),
        completion(
            "whole: a vendor's own words of a call",
            "tool_calls",
            message={
                "tool_calls": [
                    entry(WHOLE, id="x", name="get", provider_specific_fields={"s": "s"})
                ]
            },
            unread=[],
            **CALL,
        ),
    ]


def numbered(index: Any, content: str, **more: Any) -> Frame:
    """A chunk of another choice than the first."""
    return {"choices": [{"index": index, "delta": {"content": content}, **more}]}


def numbers() -> list[Row]:
    """Choices and calls that are counted in another way."""
    call = {"0": entry(WHOLE, None, id="x", name="get")}
    return [
        chat(
            "choices are counted from 1", numbered(1, "H"), numbered(1, "i"), text="Hi", unread=[]
        ),
        chat("a choice's number is a string", numbered("0", "Hi"), text="Hi", unread=[]),
        chat(
            "the second of two choices comes first",
            {"choices": [{"index": 1, "delta": {"role": "assistant"}}]},
            numbered(0, "Hi"),
            numbered(1, "Ho"),
            text="Hi",
        ),
        chat("calls are an object of numbers", chunk({"tool_calls": call}), **CALL),
        chat(
            "calls are an object of numbers, in pieces",
            chunk({"tool_calls": {"0": entry('{"a"', None, id="x", name="get")}}),
            chunk({"tool_calls": {"0": entry(":1}", None)}}),
            **CALL,
        ),
    ]


def chat_place_rows() -> list[Row]:
    """All of them."""
    return [*media(), *sources(), *words(), *seals(), *numbers()]
