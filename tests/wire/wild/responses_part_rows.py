"""Responses whose items and parts say late or early what they are: phases, beginnings, speech, pictures."""

from __future__ import annotations

from typing import Any

from tests.wire.wild.responses_form_rows import (
    ADDED,
    BEGUN,
    DONE,
    HELLO,
    HM,
    OBJECT,
    PIECES,
    part_event,
)
from tests.wire.wild.responses_rows import asked, completed, event, responses, said, text_pieces
from tests.wire.wild.row import Frame, Row
from tests.wire.wild.told_again_rows import RESPONSE, document


def summary(*texts: str, **more: Any) -> Frame:
    """A reasoning item with a summary."""
    parts = [{"type": "summary_text", "text": text} for text in texts]
    return {"type": "reasoning", "id": "r1", "summary": parts, **more}


def reasoned(delta: str) -> Frame:
    """A delta of the first reasoning item."""
    return event("reasoning_summary_text.delta", 0, item_id="r1", delta=delta)


def phases() -> list[Row]:
    """The phase of a message stands only in its end, or only in the snapshot."""
    second = [event(ADDED, 1, item=said("", id="m2")), *text_pieces("Bye", index=1, item_id="m2")]
    both = [said(id="m1", phase="commentary"), said("Bye", id="m2", phase="final_answer")]
    nameless = [said(phase="commentary"), said("Bye", phase="final_answer")]
    plain = [event(DONE, 0, item=said(id="m1")), event(DONE, 1, item=said("Bye", id="m2"))]
    one = {"text": "Hello", "phases": ["commentary"]}
    two = {"text": "HelloBye", "phases": ["commentary", "final_answer"]}
    again = event(ADDED, 0, item=said("", id="m1", phase="commentary"))
    between = [
        event(DONE, 1, item=asked(call_id="c1")),
        event(ADDED, 2, item=said("", id="m2")),
        *text_pieces("Bye", index=2, item_id="m2"),
    ]
    return [
        responses("phase in item.done", BEGUN, *PIECES, event(DONE, 0, item=both[0]), **one),
        responses("phase in the snapshot", BEGUN, *PIECES, completed(both[0]), **one),
        responses(
            "phase in the snapshot, not in item.done",
            BEGUN,
            *PIECES,
            plain[0],
            completed(both[0]),
            **one,
        ),
        responses("phase when the item begins again", BEGUN, *PIECES, again, **one),
        responses("phase of a text that stands in item.done", event(DONE, 0, item=both[0]), **one),
        responses(
            "phases in each item.done",
            BEGUN,
            *PIECES,
            event(DONE, 0, item=both[0]),
            *second,
            event(DONE, 1, item=both[1]),
            **two,
        ),
        responses(
            "phases in item.done at the end",
            BEGUN,
            *PIECES,
            *second,
            *(event(DONE, i, item=item) for i, item in enumerate(both)),
            **two,
        ),
        responses("phases in the snapshot", BEGUN, *PIECES, *second, completed(*both), **two),
        responses(
            "phases in a snapshot without ids", BEGUN, *PIECES, *second, completed(*nameless), **two
        ),
        responses(
            "phases in the snapshot after their items",
            BEGUN,
            *PIECES,
            *second,
            *plain,
            completed(*both),
            **two,
        ),
        responses(
            "phases of messages by turns",
            BEGUN,
            PIECES[0],
            second[0],
            *text_pieces("By", index=1, item_id="m2"),
            PIECES[1],
            *text_pieces("e", index=1, item_id="m2"),
            completed(*both),
            **two,
        ),
        responses(
            "phases with a call between",
            BEGUN,
            *PIECES,
            *between,
            completed(both[0], asked(call_id="c1"), both[1]),
            **two,
        ),
        responses(
            "only one of two has a phase",
            BEGUN,
            *PIECES,
            *second,
            completed(both[0], said("Bye")),
            text="HelloBye",
            phases=["commentary", None],
        ),
        responses(
            "phase after half a character",
            BEGUN,
            *text_pieces("a\ud83d", item_id="m1"),
            event(DONE, 0, item=said("a\ud83d", id="m1", phase="commentary")),
            phases=["commentary"],
        ),
    ]


def beginnings() -> list[Row]:
    """Words in the beginning of an item or a part, with and without deltas that repeat them."""
    told, part = said("Hel", id="m1"), {"type": "output_text", "text": "Hel"}
    starts = {
        "an item": [event(ADDED, 0, item=told)],
        "a part": [BEGUN, part_event("added", part)],
        "an item and its part": [event(ADDED, 0, item=told), part_event("added", part)],
    }
    rows = []
    for name, start in starts.items():
        rest = [PIECES[1], event("output_text.done", 0, item_id="m1", text="Hello")]
        ends = [event(DONE, 0, item=said(id="m1")), completed(said(id="m1"))]
        rows += [
            responses(f"{name} begins with words", *start, PIECES[1], **HELLO),
            responses(f"{name} begins with words and ends", *start, *rest, *ends, **HELLO),
            responses(f"{name} begins with words that come again", *start, *PIECES, **HELLO),
            responses(
                f"{name} begins with words that come again in pieces",
                *start,
                *text_pieces("H", "el", "lo", item_id="m1"),
                *ends,
                **HELLO,
            ),
        ]
    hello = event(DONE, 1, item=said())
    part = event("reasoning_summary_part.added", 0, part={"type": "summary_text", "text": "hm"})
    so = {"reasoning": "hm, so", "text": "Hello"}
    whole = event(DONE, 0, item=summary("hm, so"))
    rows += [
        responses("reasoning at its beginning", event(ADDED, 0, item=summary("hm")), hello, **HM),
        responses(
            "reasoning begins",
            event(ADDED, 0, item=summary("hm")),
            reasoned(", so"),
            whole,
            hello,
            **so,
        ),
        responses(
            "reasoning begins again",
            event(ADDED, 0, item=summary("hm")),
            reasoned("h"),
            reasoned("m"),
            hello,
            **HM,
        ),
        responses(
            "a part of reasoning begins",
            event(ADDED, 0, item=summary()),
            part,
            reasoned(", so"),
            whole,
            hello,
            **so,
        ),
        responses(
            "words of an item before the next one",
            event(ADDED, 0, item=said("Hello ", id="m1")),
            event(ADDED, 1, item=said("", id="m2")),
            *text_pieces("you", index=1, item_id="m2"),
            text="Hello you",
        ),
        responses(
            "item.done without words, then the snapshot",
            event(DONE, 0, item=said("", id="m1")),
            completed(said(id="m1")),
            **HELLO,
        ),
        responses(
            "item.done without words, then a part",
            BEGUN,
            event(DONE, 0, item=said("", id="m1")),
            part_event("done", OBJECT),
            **HELLO,
        ),
        responses(
            "item.done of half the words",
            BEGUN,
            event(DONE, 0, item=said("Hel", id="m1")),
            completed(said(id="m1")),
            **HELLO,
        ),
        responses(
            "never begun, the rest at its end",
            PIECES[0],
            event(DONE, 0, item=said(id="m1")),
            **HELLO,
        ),
        responses(
            "streamed as content, with another summary",
            event("reasoning_text.delta", 0, delta="full", item_id="r1"),
            event(
                DONE, 0, item=summary("hm", content=[{"type": "reasoning_text", "text": "full"}])
            ),
            hello,
            reasoning="full\n\nhm",
        ),
    ]
    return rows


def halves_after_a_beginning() -> list[Row]:
    """Characters cut in two, after a beginning that might have come again."""
    begun = event(ADDED, 0, item=said("a", id="m1"))
    halves = text_pieces("ab\ud83d", "\ude00", item_id="m1")
    return [responses("halves after a beginning", begun, *halves, text="ab😀", unread=[])]


def media() -> list[Row]:
    """Speech and pictures that stand in parts, and pictures that were never finished."""
    sound = {"type": "output_audio", "data": "AAA=", "transcript": "Hello"}
    spoken = said(id="m1", content=[sound])
    inner = {"type": "output_audio", "input_audio": {"data": "AAA="}, "transcript": "Hello"}
    streamed = [
        event("output_audio.delta", 0, item_id="m1", delta="AAA="),
        event("output_audio_transcript.delta", 0, item_id="m1", delta="Hello"),
    ]
    picture = {"type": "output_image", "image_url": "https://example.com/a.png"}
    shown = said(id="m1", content=[picture])
    drawing = {"type": "image_generation_call", "id": "ig", "status": "completed"}
    early = event("image_generation_call.partial_image", 0, item_id="ig", partial_image_b64="QQ==")
    told = {"text": "Hello", "files": 1, "unread": []}
    file = {"files": 1, "unread": []}
    forms = (
        {"data": "QQ=="},
        {"b64_json": "QQ=="},
        {"image_url": {"url": "data:image/png;base64,QQ=="}},
    )
    results: tuple[Any, ...] = ("QQ==", ["QQ=="], {"b64_json": "QQ=="}, "https://example.com/a.png")
    return [
        responses("speech of an item", event(DONE, 0, item=spoken), **told),
        responses("speech of an inner object", event(DONE, 0, item=said(content=[inner])), **told),
        responses("speech of a part", BEGUN, part_event("done", sound), **told),
        responses(
            "speech everywhere",
            BEGUN,
            part_event("done", sound),
            event(DONE, 0, item=spoken),
            completed(spoken),
            **told,
        ),
        responses(
            "speech that streamed",
            BEGUN,
            *streamed,
            part_event("done", sound),
            completed(spoken),
            **told,
        ),
        document(
            "whole: speech",
            "openai-responses:m",
            {**RESPONSE, "status": "completed", "output": [spoken]},
            **told,
        ),
        responses("a picture of a part", BEGUN, part_event("done", picture), **file),
        responses("a picture of a part that begins", BEGUN, part_event("added", picture), **file),
        responses(
            "a picture of a part and its item",
            BEGUN,
            part_event("done", picture),
            event(DONE, 0, item=shown),
            completed(shown),
            **file,
        ),
        *(
            responses(
                f"a picture as {[*form]}",
                completed(said(content=[{"type": "output_image", **form}])),
                **file,
            )
            for form in forms
        ),
        *(
            responses(
                f"a drawing as {result!r}",
                event(DONE, 0, item={**drawing, "result": result}),
                **file,
            )
            for result in results
        ),
        responses("a drawing that wasn't finished", early, **file),
        responses(
            "a drawing after its preview",
            early,
            event(DONE, 0, item={**drawing, "result": "QUJD"}),
            **file,
        ),
        responses(
            "a drawing that failed",
            early,
            event(DONE, 0, item={**drawing, "status": "failed"}),
            files=0,
        ),
    ]


def citations() -> list[Row]:
    """One citation in place of a list, in parts that begin, and of types that nobody knows."""
    cited = {"type": "url_citation", "url": "https://example.com/a", "title": "A"}
    odd = {"type": "hologram", "shows": "me"}
    told = {"text": "Hello", "sources": 1, "unread": []}

    def item(annotations: Any) -> Frame:
        return said(id="m1", content=[{**OBJECT, "annotations": annotations}])

    begins = part_event("added", {"type": "output_text", "text": "", "annotations": [cited]})
    streamed = event("output_text.annotation.added", 0, item_id="m1", annotation=[cited])
    return [
        responses("one citation", event(DONE, 0, item=item(cited)), **told),
        responses(
            "a citation of a part that begins",
            BEGUN,
            begins,
            *PIECES,
            completed(item([cited])),
            **told,
        ),
        responses(
            "a list for a citation", BEGUN, *PIECES, streamed, completed(item([cited])), **told
        ),
        responses(
            "an unknown citation",
            completed(item([odd])),
            text="Hello",
            unread=["annotation.hologram"],
        ),
    ]


def unknown() -> list[Row]:
    """Parts and items that nobody knows, wherever they stand."""
    odd = {"type": "hologram", "shows": "me"}
    hello = event(DONE, 1, item=said())
    nothing = {"error": "protocol", "code": "not_understood"}
    told = {"text": "Hello", "unread": ["content.hologram"]}
    return [
        responses("an unknown part that begins", BEGUN, part_event("added", odd), **nothing),
        responses("an unknown part that ends", BEGUN, part_event("done", odd), hello, **told),
        responses(
            "an unknown part of a summary",
            event(DONE, 0, item={"type": "reasoning", "summary": [odd]}),
            hello,
            **told,
        ),
        responses(
            "an unknown item that begins",
            event(ADDED, 0, item=odd),
            hello,
            text="Hello",
            unread=["output.hologram"],
        ),
        responses(
            "calls beside the content", completed(said("", tool_calls=[{"name": "get"}])), **nothing
        ),
    ]


def responses_part_rows() -> list[Row]:
    """All of them."""
    return [
        *phases(),
        *beginnings(),
        *halves_after_a_beginning(),
        *media(),
        *citations(),
        *unknown(),
    ]
