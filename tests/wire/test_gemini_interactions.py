"""Google's Interactions: bytes to events, events to bytes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import Guard
from llmstream.events.types import (
    EventType,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    text_delta,
)
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    ProviderPart,
    ReasoningPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
)
from llmstream.wire.gemini_interactions.decode import InteractionsDecoder
from llmstream.wire.gemini_interactions.encode import InteractionsEncoder
from tests import recordings, strategies
from tests.example_counts import examples
from tests.grammar_check import check_calls, check_stream

FORMAT = "gemini-interactions"
HEAD = {"id": "v1_x", "status": "in_progress", "object": "interaction", "model": "gemini-3.8-flash"}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def event(kind: str, **said: Any) -> dict[str, Any]:
    return {**said, "event_type": kind}


CREATED = event("interaction.created", interaction=HEAD)


def end(status: str = "completed", **more: Any) -> dict[str, Any]:
    return event("interaction.completed", interaction={**HEAD, "status": status, **more})


def start(index: int | None, type: str, **step: Any) -> dict[str, Any]:
    return event("step.start", index=index, step={"type": type, **step})


def delta(index: int | None, type: str | None = None, **said: Any) -> dict[str, Any]:
    typed = {"type": type} if type is not None else {}
    return event("step.delta", index=index, delta={**typed, **said})


def stop(index: int, **more: Any) -> dict[str, Any]:
    return event("step.stop", index=index, **more)


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    told = [delta(index, "text", text=piece) for piece in pieces]
    return [start(index, "model_output"), *told, stop(index)]


def call(index: int, *pieces: str, **step: Any) -> list[dict[str, Any]]:
    begun = start(index, "function_call", **{"id": "c1", "name": "look", "arguments": {}, **step})
    told = [delta(index, "arguments_delta", arguments=piece) for piece in pieces]
    return [begun, *told, stop(index)]


def sse(*payloads: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (each["event_type"].encode(), json.dumps(each).encode())
        for each in payloads
    )


DONE = b"event: done\ndata: [DONE]\n\n"


def decode(*pieces: bytes) -> list[StreamEvent]:
    return recordings.decode(InteractionsDecoder, pieces)


def answer(*payloads: dict[str, Any]) -> list[StreamEvent]:
    """The events of these payloads: legal, and the same byte by byte."""
    data = sse(CREATED, *payloads) + DONE
    events = decode(data)
    assert decode(*recordings.bytewise(data)) == events
    check_stream(events)
    check_calls(events)
    return events


def message(*payloads: dict[str, Any]) -> Message:
    last = answer(*payloads)[-1]
    assert last.type is EventType.MESSAGE_COMPLETE, last.error
    assert last.message is not None
    return last.message


def failure(*payloads: dict[str, Any]) -> ErrorInfo:
    last = answer(*payloads)[-1]
    assert last.error_info is not None
    return last.error_info


def document(*steps: dict[str, Any], **said: Any) -> list[StreamEvent]:
    whole = {**HEAD, "status": "completed", "steps": list(steps), **said}
    events = decode(json.dumps(whole).encode())
    check_stream(events)
    return events


def unread(events: list[StreamEvent]) -> list[str]:
    return [
        name
        for each in events
        if each.status is not None and each.status.kind == "unread"
        for name in (each.status.data or {})["members"]
    ]


SEARCH = [
    start(0, "google_search_call", id="s1", signature=""),
    delta(0, "google_search_call", signature="S", arguments={"queries": ["peaks"]}),
    stop(0),
    start(1, "google_search_result", call_id="s1", signature=""),
    delta(1, "google_search_result", signature="T", result=[{"search_suggestions": "x"}]),
    stop(1),
]
THOUGHT = [
    start(2, "thought"),
    delta(2, "thought_summary", content={"type": "text", "text": "Hm."}),
    delta(2, "thought_signature", signature="U"),
    stop(2),
]
USAGE = {
    "total_input_tokens": 100,
    "total_tool_use_tokens": 38,
    "total_output_tokens": 20,
    "total_thought_tokens": 141,
    "total_cached_tokens": 7,
}


def test_steps_become_pieces_in_their_order() -> None:
    arguments = '{"at": "Elbrus"}'
    told = [
        *SEARCH,
        *THOUGHT,
        *text(3, "Let me ", "look."),
        *call(4, *arguments[:5], arguments[5:]),
    ]
    made = message(*told, end("requires_action", usage=USAGE))
    ran, result, thought, words, asked = made.parts
    assert isinstance(ran, ToolCall)
    assert isinstance(result, ToolResult)
    assert (ran.name, ran.id, ran.executed_by) == ("google_search", "s1", "provider")
    assert ran.input == {"queries": ["peaks"]}
    assert (result.tool_call_id, result.content) == ("s1", [{"search_suggestions": "x"}])
    assert thought == ReasoningPart("Hm.", "U", format=FORMAT)
    assert words == TextPart("Let me look.")
    assert asked == ToolCall("c1", "look", arguments, {"at": "Elbrus"})
    assert (made.id, made.model) == ("v1_x", "gemini-3.8-flash")
    assert made.finish_reason is FinishReason.TOOL_CALLS
    assert made.usage == Usage(138, 161, cache_read_tokens=7, reasoning_tokens=141)


def test_a_prefix_of_an_answer_is_truncated() -> None:
    """Wherever it is cut before its own end, and with what it had until then."""
    data = sse(CREATED, *SEARCH, *THOUGHT, *text(3, "Grüße ", "aus 日本"), *call(4, '{"a":', "1}"))
    whole = decode(data + sse(end("requires_action")))
    for size in range(0, len(data), 17):  # the corpus has every one
        events = decode(data[:size])
        last = check_stream(events)
        assert last.error_info is not None
        assert last.error_info.kind == "truncated"
        seen = [each for each in events[:-1] if each.tool_call_delta is None]
        assert seen == [each for each in whole if each.tool_call_delta is None][: len(seen)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", FinishReason.STOP),
        ("incomplete", FinishReason.LENGTH),
        ("requires_action", FinishReason.TOOL_CALLS),
        ("requires_continuation", FinishReason.PAUSE),
        ("novelty", FinishReason.OTHER),
        ("in_progress", FinishReason.STOP),
        ("", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
def test_each_status_has_its_meaning(status: Any, reason: FinishReason) -> None:
    """One that says that more comes was forgotten: the event's own name counts."""
    assert message(*text(0, "Hi"), end(status)).finish_reason is reason
    events = document(
        {"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}, status=status
    )
    if status != "in_progress" and status:
        assert events[-1].finish_reason is reason


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        ("failed", "server", True),
        ("cancelled", "server", False),
        ("budget_exceeded", "quota", False),
    ],
)
def test_a_status_may_be_a_failure(status: str, kind: str, *, retryable: bool) -> None:
    update = event("interaction.status_update", interaction_id="v1_x", status=status)
    named = event(f"interaction.{status}", interaction={**HEAD, "status": status})
    for last in ([end(status)], [update], [update, end(status)], [named]):
        info = failure(*text(0, "Half"), *last)
        assert (info.kind, info.retryable, info.code) == (kind, retryable, status)


def test_a_failed_interaction_says_why() -> None:
    why = [{"code": "rate_limit_exceeded", "message": "slow down"}]
    info = failure(*text(0, "Half"), end("failed", errors=why))
    assert (info.kind, info.message) == ("rate_limit", "slow down")
    fault = {"code": 8, "message": "Resource has been exhausted"}
    info = failure(start(0, "model_output", error=fault), stop(0), end("failed"))
    assert info.message == "Resource has been exhausted"
    last = answer(*text(0, "Half"), end("incomplete", errors=why))[-1]
    assert last.stop_details == {"error": why[0]}


def test_an_error_ends_the_answer() -> None:
    said = {"code": "gateway_timeout", "message": "Deadline expired"}
    info = failure(*text(0, "Half"), event("error", error=said, event_id="e9"), end())
    assert (info.kind, info.code, info.message) == ("server", "gateway_timeout", "Deadline expired")
    for bare in (json.dumps({"error": said}), json.dumps([{"error": {"status": "UNAVAILABLE"}}])):
        (only,) = decode(bare.encode())
        assert only.type is EventType.ERROR


@pytest.mark.parametrize("status", ["completed", "requires_action", "incomplete"])
def test_a_final_status_ends_an_answer_after_which_nothing_comes(status: str) -> None:
    update = event("interaction.status_update", interaction_id="v1_x", status=status, usage=USAGE)
    data = sse(CREATED, *text(0, "Hi"), update)
    for body in (data, data + DONE):
        last = decode(body)[-1]
        assert last.type is EventType.MESSAGE_COMPLETE
        assert last.raw_finish_reason == status
        assert last.usage is not None
    assert message(*text(0, "Hi"), update, end("incomplete")).finish_reason is FinishReason.LENGTH


def test_a_paused_answer_has_its_token() -> None:
    paused = end("requires_continuation", continuation_token="tok")
    update = event(
        "interaction.status_update", interaction_id="v1_x", status="requires_continuation"
    )
    for last in (paused, {**update, "continuation_token": "tok"}):
        made = message(*text(0, "Half"), last)
        assert made.finish_reason is FinishReason.PAUSE
        assert made.parts[-1] == ProviderPart(FORMAT, {"continuation_token": "tok"})
    assert message(*text(0, "Hi"), end(continuation_token="tok")).parts == [TextPart("Hi")]


def test_a_step_may_begin_with_its_content() -> None:
    thought = {"signature": "", "summary": [{"type": "text", "text": "Evaluating. "}]}
    told = [
        start(0, "thought", **thought),
        delta(0, "thought_summary", content={"text": "Done."}),
        delta(0, "thought_signature", signature="S"),
        stop(0),
        start(1, "model_output", content=[{"type": "text", "text": "Based on "}]),
        delta(1, text="that."),
        stop(1),
    ]
    made = message(*told, end())
    assert made.parts == [
        ReasoningPart("Evaluating. Done.", "S", format=FORMAT),
        TextPart("Based on that."),
    ]


@pytest.mark.parametrize(
    ("pieces", "begun", "arguments"),
    [
        ([], {}, ""),
        ([], {"a": 1}, '{"a":1}'),
        (['{"a"', ":1}"], {}, '{"a":1}'),
        (['{"a":2}'], {"a": 1}, '{"a":2}'),
        (['{"a":1}'], {"a": 1}, '{"a":1}'),
        ([""], {}, ""),
        ([{"a": 1}], {}, '{"a":1}'),
        ([None], None, ""),
        (['{"a":', None, "1}"], None, '{"a":1}'),
    ],
)
def test_arguments_come_in_pieces_whole_or_not_at_all(
    pieces: Any, begun: Any, arguments: str
) -> None:
    (made,) = message(*call(0, *pieces, arguments=begun), end("requires_action")).tool_calls
    assert (made.arguments, made.complete) == (arguments, True)


def test_calls_are_told_apart_by_their_steps() -> None:
    first, second = call(0, '{"a":', "1}"), call(1, '{"b":', "2}", id="c2", name="find")
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2], first[3], second[3]]
    for told in ([*first, *second], mixed):
        made = message(*told, end("requires_action")).tool_calls
        assert [(each.id, each.name, each.input) for each in made] == [
            ("c1", "look", {"a": 1}),
            ("c2", "find", {"b": 2}),
        ]


def test_calls_without_ids_get_some() -> None:
    told = [*call(0, "{}", id=None), *call(1, "{}", id="", name="find")]
    made = message(*told, end("requires_action")).tool_calls
    assert [each.name for each in made] == ["look", "find"]
    assert len({each.id for each in made}) == 2


def test_a_cut_call_is_incomplete() -> None:
    (made,) = message(*call(0, '{"a": "b')[:-1], end("incomplete")).tool_calls
    assert (made.complete, made.input) == (False, None)


def test_a_signature_of_a_call_goes_back_with_it() -> None:
    (made,) = message(*call(0, "{}", signature="S"), end("requires_action")).tool_calls
    assert made.provider_data == {"format": FORMAT, "signature": "S"}


def test_a_thought_without_words_is_its_signature() -> None:
    silent = [start(0, "thought"), delta(0, "thought_signature", signature="S"), stop(0)]
    made = message(*silent, *text(1, "Hi"), end())
    assert made.parts == [ReasoningPart("", "S", format=FORMAT), TextPart("Hi")]
    told = [*THOUGHT, start(3, "thought", signature="V"), stop(3), *text(4, "Hi"), end()]
    thoughts = [part for part in message(*told).parts if isinstance(part, ReasoningPart)]
    assert [thought.signature for thought in thoughts] == ["U", "V"]


def test_places_of_sources_are_characters_though_google_counts_bytes() -> None:
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A"}
    place = {**cited, "start_index": 0, "end_index": 9}
    late = {
        "type": "place_citation",
        "place_id": "p",
        "name": "P",
        "start_index": 2,
        "end_index": 40,
    }
    file = {
        "type": "file_citation",
        "document_uri": "https://d.example",
        "file_name": "d.pdf",
        "page_number": 3,
    }
    noise = [{"type": "speech_metadata", "speaker": "x"}, {"type": "word_info", "text": "x"}]
    told = [
        *text(0, "Vorher. "),
        start(1, "model_output"),
        delta(1, "text", text="日本"),
        delta(1, "text_annotation_delta", annotations=[place, late, *noise]),
        delta(1, "text", text="の"),
        delta(1, "text_annotation_delta", annotations=[place, file]),
        stop(1),
    ]
    events = answer(*told, end())
    assert unread(events) == []
    made = events[-1].message
    assert made is not None
    assert [(each.title, each.url, each.id, each.start, each.end) for each in made.sources] == [
        ("d.pdf", "https://d.example", None, None, None),
        ("A", "https://a.example", None, 8, 11),
        ("P", None, "p", 8, 42),
    ]
    assert made.sources[1].provider_data == {"format": FORMAT, "citation": place}


@given(st.lists(strategies.some, min_size=1, max_size=4), st.data())
def test_any_place_in_bytes_is_one_in_characters(texts: list[str], data: Any) -> None:
    """However the text streamed, behind other text or not, in short pieces or beyond one block."""
    texts = [each * data.draw(st.sampled_from([1, 700])) for each in texts]
    whole = "".join(texts)
    start_at = data.draw(st.integers(0, len(whole)))
    end_at = data.draw(st.integers(start_at, len(whole)))
    before = data.draw(st.sampled_from(["", "Vor. "]))
    place = {
        "type": "url_citation",
        "url": "https://a.example",
        "start_index": len(whole[:start_at].encode()),
        "end_index": len(whole[:end_at].encode()),
    }
    told = [*(text(0, before) if before else []), start(1, "model_output")]
    told += [delta(1, "text", text=each) for each in texts]
    told.insert(len(told) - 1, delta(1, "text_annotation_delta", annotations=[place]))
    last = decode(sse(*told, end()))[-1]
    assert last.message is not None
    (source,) = last.message.sources
    assert (source.start, source.end) == (len(before) + start_at, len(before) + end_at)


def test_pictures_and_sound_are_files() -> None:
    pcm = {"mime_type": "audio/l16", "sample_rate": 24000}
    told = [
        start(0, "model_output"),
        delta(0, "text", text="See: "),
        delta(0, "image", data=PNG, mime_type="image/png"),
        delta(0, "audio", data=base64.b64encode(b"ab").decode(), **pcm),
        delta(0, "audio", data=base64.b64encode(b"cd").decode(), **pcm),
        delta(0, "text", text="and hear."),
        delta(0, "video", uri="https://v.example/v", mime_type="video/mp4", resolution="low"),
        delta(0, "document", data=base64.b64encode(b"a,b").decode(), mime_type="text/csv"),
        stop(0),
    ]
    _, picture, sound, words, film, table = message(*told, end()).parts
    assert isinstance(picture, File)
    assert isinstance(sound, File)
    assert isinstance(film, File)
    assert isinstance(table, File)
    assert (picture.media_type, picture.data) == ("image/png", PNG)
    assert base64.b64decode(sound.data or "") == b"abcd"
    assert sound.provider_data == {"format": FORMAT, "members": {"sample_rate": 24000}}
    assert words == TextPart("and hear.")
    assert (film.url, film.media_type) == ("https://v.example/v", "video/mp4")
    assert table.media_type == "text/csv"


@pytest.mark.parametrize(
    "kind",
    [
        *("code_execution", "google_maps", "url_context", "file_search", "retrieval"),
        *("mcp_server_tool", "processing", "tool_search"),
    ],
)
def test_tools_that_google_runs_are_calls_and_results(kind: str) -> None:
    """Each goes back as it came."""
    told = [
        start(0, f"{kind}_call", id="s1", arguments={}),
        delta(0, f"{kind}_call", arguments={"code": "1+1"}, signature="S"),
        stop(0),
        start(1, f"{kind}_result", call_id="s1"),
        delta(1, f"{kind}_result", result="2", is_error=True),
        stop(1),
    ]
    events = answer(*told, *text(2, "Two."), end())
    assert unread(events) == []
    ran, result = [each.tool_call or each.tool_result for each in events[1:3]]
    assert isinstance(ran, ToolCall)
    assert isinstance(result, ToolResult)
    assert (ran.name, ran.input, ran.executed_by) == (kind, {"code": "1+1"}, "provider")
    assert (result.tool_call_id, result.content, result.is_error) == ("s1", "2", True)
    assert ran.provider_data == {
        "format": FORMAT,
        "step": {
            "type": f"{kind}_call",
            "id": "s1",
            "arguments": {"code": "1+1"},
            "signature": "S",
        },
    }


def test_a_servers_tool_may_have_its_arguments_in_pieces() -> None:
    named = {"name": "look", "server_name": "s"}
    told = [
        start(0, "mcp_server_tool_call", id="s1", arguments={}, **named),
        delta(0, "arguments_delta", arguments='{"a":'),
        delta(0, "arguments_delta", arguments="1}"),
        stop(0),
    ]
    (ran,) = message(*told, end()).parts
    assert isinstance(ran, ToolCall)
    assert (ran.name, ran.input) == ("look", {"a": 1})
    assert (ran.provider_data or {})["step"]["arguments"] == {"a": 1}


def test_what_the_user_said_is_no_answer() -> None:
    """A stored interaction that is streamed again tells it, too."""
    asked = [start(0, "user_input", content=[]), delta(0, "text", text="What?"), stop(0)]
    events = answer(*asked, *text(1, "Hi"), end())
    assert "".join(event.text for event in events) == "Hi"


def test_steps_of_the_end_are_known_by_their_ids() -> None:
    """What wasn't streamed is told, wherever it stands among what was."""
    calls = [
        {"type": "function_call", "id": id, "name": "look", "arguments": {"of": id}}
        for id in ("c1", "c2", "c3")
    ]
    streamed = call(0, '{"of":"c2"}', id="c2")
    opened = call(1, id="c3")[:1]
    made = message(*streamed, *opened, end("requires_action", steps=calls))
    assert sorted((each.id, each.arguments) for each in made.tool_calls) == [
        (id, f'{{"of":"{id}"}}') for id in ("c1", "c2", "c3")
    ]


def test_what_streamed_is_not_told_again_at_the_end() -> None:
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "What?"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "Hello you"}]},
        {"type": "function_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
    ]
    for told in ([], text(0, "Hello"), [*text(0, "Hel", "lo you"), *call(1, '{"a":1}')]):
        made = message(*told, end("requires_action", steps=steps))
        assert made.text == "Hello you"
        assert [each.input for each in made.tool_calls] == [{"a": 1}]
    assert message(*text(0, "Other"), end(steps=steps[:2])).text == "Other"


def test_a_whole_interaction_is_read() -> None:
    place = {"type": "url_citation", "url": "https://a.example", "start_index": 0, "end_index": 2}
    sound = {"type": "audio", "data": base64.b64encode(b"RIFF").decode(), "mime_type": "audio/wav"}
    steps: list[dict[str, Any]] = [
        {"type": "user_input", "content": [{"type": "text", "text": "What?"}]},
        {"type": "thought", "summary": [{"type": "text", "text": "Hm."}], "signature": "S"},
        {"type": "google_search_call", "id": "s1", "arguments": {"queries": ["q"]}},
        {"type": "google_search_result", "call_id": "s1", "result": []},
        {
            "type": "model_output",
            "content": [{"type": "text", "text": "Hi", "annotations": [place]}, sound],
        },
        {"type": "function_call", "id": "c1", "name": "look", "arguments": {"a": 1}},
    ]
    events = document(
        *steps, status="requires_action", usage=USAGE, created="now", service_tier="flex"
    )
    assert unread(events) == []
    last = events[-1]
    assert last.message is not None
    kinds = [type(part).__name__ for part in last.message.parts]
    assert kinds == [
        "ReasoningPart",
        "ToolCall",
        "ToolResult",
        "TextPart",
        "Source",
        "File",
        "ToolCall",
    ]
    assert last.finish_reason is FinishReason.TOOL_CALLS
    assert last.usage == Usage(138, 161, cache_read_tokens=7, reasoning_tokens=141)


def test_a_whole_interaction_is_what_its_stream_is() -> None:
    """Texts of several steps among them."""
    steps = [
        {"type": "model_output", "content": [{"type": "text", "text": words}]}
        for words in ("One. ", "Two. ", "Three.")
    ]
    streamed = message(*text(0, "One. "), *text(1, "Two. "), *text(2, "Three."), end())
    whole = document(*steps)[-1].message
    assert whole is not None
    assert whole.parts == streamed.parts


def test_a_whole_interaction_may_have_its_text_alone() -> None:
    body = {**HEAD, "status": "completed", "output_text": "Hi"}
    (_, told, last) = decode(json.dumps(body).encode())
    assert told.text == "Hi"
    assert last.type is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_interaction_that_goes_on_is_no_answer(status: str) -> None:
    (only,) = decode(json.dumps({**HEAD, "status": status, "steps": []}).encode())
    assert only.error_info is not None
    assert only.error_info.kind == "wrong_body"


def test_an_event_after_which_a_cut_stream_goes_on_is_kept() -> None:
    told = [delta(0, "text", text=piece, event_id=None) for piece in "abc"]
    numbered = [{**each, "event_id": f"e{number}"} for number, each in enumerate(told)]
    data = sse(CREATED, start(0, "model_output"), *numbered)
    *_, status, last = decode(data)
    assert last.error_info is not None
    assert last.error_info.kind == "truncated"
    assert status.status == Status(
        "resumable",
        "the interaction v1_x can be resumed after event e2",
        {"format": FORMAT, "interaction_id": "v1_x", "event_id": "e2"},
    )
    assert "".join(each.text for each in decode(data)) == "abc"
    whole = decode(data + sse(end()))
    assert all(each.status is None for each in whole)


def test_a_stream_may_begin_in_its_middle() -> None:
    """One that was resumed: its steps began before."""
    told = [
        delta(3, "text", text="lo"),
        stop(3),
        delta(4, "thought_summary", content={"text": "Hm."}),
        stop(4),
    ]
    events = decode(sse(*told, end()))
    last = check_stream(events)
    assert last.message is not None
    assert (last.message.text, last.message.reasoning) == ("lo", "Hm.")


@pytest.mark.parametrize(
    "payload",
    [
        event("step.delta", index=0, delta=5),
        event("step.delta", index=0, delta={"type": "text", "text": 5}),
        event("step.delta", index=0, delta={"type": "audio", "data": "abcde"}),
        event("step.start", index=0, step={"type": "function_call", "name": 5}),
    ],
)
def test_a_member_of_another_type_is_a_protocol_error(payload: dict[str, Any]) -> None:
    assert failure(payload, end()).kind == "protocol"


@pytest.mark.parametrize(
    "payload",
    [
        event("step.delta", index=0, delta=None),
        event("step.delta", index=0, delta={}),
        delta(0, "text", text=None),
        delta(0, "text", text="", annotations=None),
        delta(0, "thought_summary", content=None),
        delta(0, "thought_signature", signature=None),
        delta(0, "text_annotation_delta", annotations=None),
        event("interaction.status_update", status=None),
        event("interaction.created", interaction=None),
        event("step.start", index=0, step=None),
        event("step.stop", index=None),
        event("ping"),
    ],
)
def test_an_event_may_say_nothing(payload: dict[str, Any]) -> None:
    events = answer(payload, *text(9, "Hi"), end())
    assert unread(events) == []
    assert events[-1].type is EventType.MESSAGE_COMPLETE
    assert events[-1].message is not None
    assert events[-1].message.text == "Hi"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (event("interaction.novelty", hologram="x"), "interaction.novelty"),
        (delta(0, "hologram", x="y"), "delta.hologram"),
        (delta(0, "text", text="a", hologram="x"), "text.hologram"),
        (start(1, "hologram", x="y"), "steps.hologram"),
        (start(1, "model_output", content=[{"type": "hologram", "x": "y"}]), "content.hologram"),
        (
            event("interaction.created", interaction={**HEAD, "hologram": "x"}),
            "interaction.hologram",
        ),
        (event("content.delta", delta={"text": "x"}), "content.delta"),
    ],
)
def test_what_is_not_understood_is_named(payload: dict[str, Any], name: str) -> None:
    events = answer(start(0, "model_output"), payload, delta(0, "text", text="Hi"), end())
    assert unread(events) == [name]


# --- events to bytes -------------------------------------------------------------------------------------------


def encode(events: list[StreamEvent]) -> bytes:
    encoder = InteractionsEncoder()
    return b"".join([encoder.feed(each) for each in events])


signatures = st.text("abcdef", min_size=1, max_size=5)


@st.composite
def pieces(draw: Any) -> Any:
    kinds = ["text", "thoughts", "signed", "seal", "call", "ran", "file", "sound", "source"]
    kind = draw(st.sampled_from(kinds))
    some = st.lists(strategies.some, min_size=1, max_size=3)
    if kind == "text":
        return [text_delta(each) for each in draw(some)]
    if kind == "thoughts":
        return [*map(reasoning_delta, draw(some)), opaque(FORMAT, signature=draw(signatures))]
    if kind == "signed":
        return [opaque(FORMAT, signature=draw(signatures))]
    if kind == "seal":
        item = {"type": "function_result", "call_id": "f", "result": draw(strategies.names)}
        return [text_delta("x"), opaque(FORMAT, item=item)]
    if kind in ("file", "sound"):
        media_type = "image/png" if kind == "file" else "audio/wav"
        made = File(media_type=media_type, data=PNG if kind == "file" else "UklGRg==")
        return [StreamEvent(EventType.FILE, file=made)]
    if kind == "source":
        found = draw(strategies.names)
        return [StreamEvent(EventType.SOURCE, source=Source(title=found, url=f"https://{found}"))]
    return kind, draw(strategies.objects), draw(st.none() | signatures)


def numbered(drawn: list[Any]) -> list[StreamEvent]:
    """Calls get their id and index, in order. A source is about all text so far."""
    events: list[StreamEvent] = []
    calls = told = 0
    for each in drawn:
        if isinstance(each, list):
            for one in each:
                told += len(one.text or "")
                if one.source is not None and told:
                    one.source.start, one.source.end = told - 1, told
            events += each
            continue
        kind, value, signature = each
        arguments = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
        if kind == "ran":
            step = {"type": "url_context_call", "id": f"s{len(events)}", "arguments": value}
            data = {"format": FORMAT, "step": step}
            arguments = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            made = ToolCall(step["id"], "url_context", arguments, value, True, "provider", data)
            events.append(StreamEvent(EventType.TOOL_CALL, tool_call=made))
            continue
        data = {"format": FORMAT, "signature": signature} if signature else None
        made = ToolCall(f"c{len(events)}", "f", arguments, value, provider_data=data)
        first = ToolCallDelta(calls, made.id, "f", "", data)
        deltas = [first, *([ToolCallDelta(calls, arguments=arguments)] if arguments else [])]
        events += [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=one) for one in deltas]
        events.append(StreamEvent(EventType.TOOL_CALL, tool_call=made))
        calls += 1
    return events


def is_source(drawn: Any) -> bool:
    return isinstance(drawn, list) and drawn[0].source is not None


@st.composite
def answers(draw: Any) -> list[StreamEvent]:
    """The events of an answer as the decoder returns them."""
    drawn = draw(st.lists(pieces(), max_size=6))
    # An annotation that comes again is told once.
    made = numbered(
        [each for n, each in enumerate(drawn) if not is_source(each) or each not in drawn[:n]]
    )
    called = any(e.tool_call and e.tool_call.executed_by == "caller" for e in made)
    reason, word = FinishReason.STOP, "completed"
    if called:
        reason, word = FinishReason.TOOL_CALLS, "requires_action"
    counts = st.integers(0, 1000)
    usage = draw(st.none() | st.builds(Usage, counts, counts, st.none() | counts))
    begun = Start(draw(st.none() | strategies.some), draw(st.none() | strategies.some))
    last = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=reason, raw_finish_reason=word, usage=usage
    )
    guard = Guard()
    told = [StreamEvent(EventType.MESSAGE_START, start=begun), *made, last]
    return [each for one in told for each in guard.feed(one)]


@given(answers())
@examples(60)
def test_events_survive_the_wire(events: list[StreamEvent]) -> None:
    """Encoded and decoded, every stream that the format can express is the same."""
    assert decode(encode(events)) == events


@pytest.mark.slow
@given(answers())
def test_a_whole_message_encodes_as_an_answer(events: list[StreamEvent]) -> None:
    again = decode(encode(events[-1:]))
    check_stream(again)
    got, wanted = again[-1].message, events[-1].message
    assert got is not None
    assert wanted is not None
    assert got.parts == wanted.parts
    assert again[-1].finish_reason == events[-1].finish_reason


@pytest.mark.parametrize("kind", strategies.KINDS)
@pytest.mark.parametrize("code", [None, "some_code"])
def test_an_error_survives_the_wire(kind: Any, code: str | None) -> None:
    (last,) = decode(encode([error(ErrorInfo(kind, "what happened", code=code))]))
    assert last.error_info is not None
    ours = ("timeout", "protocol", "frame_too_large", "wrong_body", "redirect", "internal")
    if kind in ("truncated", "connection"):
        assert last.error_info.kind == "truncated"
        return
    assert last.error_info.message == "what happened"
    assert kind in ours or last.error_info.kind == kind


def test_the_usage_of_a_failed_answer_is_said() -> None:
    failed = error(ErrorInfo("overloaded", "no room"))
    failed.usage = Usage(3, 4)
    last = decode(encode([StreamEvent(EventType.MESSAGE_START, start=Start()), failed]))[-1]
    assert last.usage == Usage(3, 4)


def test_what_the_format_has_no_place_for_is_left_out() -> None:
    own = ToolCall("a", "search", "{}", executed_by="provider")
    for each in (
        StreamEvent(EventType.STATUS, status=Status("queued", "third")),
        StreamEvent(EventType.FILE, file=File(name="x")),
        StreamEvent(EventType.TOOL_CALL, tool_call=own),
        opaque("anthropic-messages", signature="s"),
    ):
        assert encode([each]) == b""


def test_a_citation_goes_to_the_text_that_it_is_about() -> None:
    source = Source(title="A", url="https://a.example", start=1, end=2)
    events = [
        StreamEvent(EventType.MESSAGE_START, start=Start("i")),
        text_delta("日本"),
        reasoning_delta("Hm."),
        opaque(FORMAT, signature="s"),
        StreamEvent(EventType.SOURCE, source=source),
    ]
    frames = [json.loads(line[6:]) for line in encode(events).splitlines() if line[:5] == b"data:"]
    assert frames[-1] == delta(
        0,
        "text_annotation_delta",
        annotations=[
            {
                "type": "url_citation",
                "url": "https://a.example",
                "title": "A",
                "start_index": 3,
                "end_index": 6,
            }
        ],
    )
