"""Where a citation belongs is told in characters of the answer's text, however the server cut it into parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmstream.arguments import build_request
from llmstream.messages import Source
from llmstream.wire import decoder, encoder
from llmstream.wire.openai_responses.request import render_request

WORDS = ("Hello ", "World ", "again")


def citing(url: str, start: int, end: int) -> dict[str, Any]:
    span = {"start_index": start, "end_index": end}
    return {"type": "url_citation", "url": url, "title": "t", **span}


PARTS = [
    {"type": "output_text", "text": text, "annotations": [citing(f"https://{place}", 1, 4)]}
    for place, text in enumerate(WORDS)
]
PARTS[1]["annotations"] = []  # so that two texts come without a citation between them


def item(id: str, parts: list[Any], **more: Any) -> dict[str, Any]:
    said = {"type": "message", "id": id, "role": "assistant", "status": "completed"}
    return {**said, "content": parts, **more}


ANSWERS = {
    "parts of one item": [item("m", PARTS)],
    "items": [item(f"m{place}", [part]) for place, part in enumerate(PARTS)],
    "both": [item("m", PARTS[:2]), item("n", PARTS[2:])],
    "phases": [
        item("m", PARTS[:2], phase="commentary"),
        item("n", PARTS[2:], phase="final_answer"),
    ],
}


def frame(kind: str, **payload: Any) -> bytes:
    return f"data: {json.dumps({'type': kind, **payload})}\n\n".encode()


def end(items: list[Any]) -> bytes:
    response = {"id": "r", "model": "m", "status": "completed", "output": items}
    return frame("response.completed", response=response)


def streamed(items: list[Any], *, late: bool = False, begun: bool = True) -> bytes:
    """The events of an answer; `late`: annotations come behind the end of their text."""
    data = b""
    for index, each in enumerate(items):
        data += frame(
            "response.output_item.added", output_index=index, item={**each, "content": []}
        )
        for number, part in enumerate(each["content"]):
            place = {"item_id": each["id"], "output_index": index, "content_index": number}
            empty = {**part, "text": "", "annotations": []}
            told = b"".join(
                frame("response.output_text.annotation.added", **place, annotation=annotation)
                for annotation in part["annotations"]
            )
            done = frame("response.output_text.done", **place, text=part["text"])
            if begun:
                data += frame("response.content_part.added", **place, part=empty)
            for letter in part["text"]:
                data += frame("response.output_text.delta", **place, delta=letter)
            data += done + told if late else told + done
            data += frame("response.content_part.done", **place, part=part)
        data += frame("response.output_item.done", output_index=index, item=each)
    return data + end(items)


WAYS = {
    "streamed": streamed,
    "late": lambda items: streamed(items, late=True),
    "without a beginning": lambda items: streamed(items, begun=False),
    "whole": end,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("items", ANSWERS.values(), ids=list(ANSWERS))
def test_a_citation_names_its_words_in_the_whole_text(items, way):
    reader = decoder("openai-responses")
    events = [*reader.feed(way(items)), *reader.finish()]
    message = events[-1].message
    sources = [part for part in message.parts if isinstance(part, Source)]
    assert [message.text[source.start : source.end] for source in sources] == ["ell", "gai"]

    written = decoder("openai-responses")
    data = b"".join(map(encoder("openai-responses").feed, events))
    again = [*written.feed(data), *written.finish()][-1].message
    assert [part for part in again.parts if isinstance(part, Source)] == sources

    sent = render_request(build_request([message], "m")).body["input"]
    cited = [
        part["text"][told["start_index"] : told["end_index"]]
        for each in sent
        for part in each["content"]
        for told in part.get("annotations", ())
    ]
    assert cited == ["ell", "gai"]
