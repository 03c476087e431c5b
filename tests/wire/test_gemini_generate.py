"""Gemini generateContent, decoded and encoded."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
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
from llmstream.wire.gemini_generate.decode import GenerateDecoder
from llmstream.wire.gemini_generate.encode import GenerateEncoder
from llmstream.wire.gemini_generate.partial_args import PartialArguments, parse_path
from tests import strategies
from tests.example_counts import examples
from tests.grammar_check import check_calls, check_stream
from tests.recordings import (
    bytewise,
    decode,
    each_count,
    random_cuts,
    recordings,
    sizes,
    two_way,
)

FORMAT = "gemini-generate"


def chunk(*parts, finish=None, usage=None, **candidate):
    """A frame with these parts."""
    if parts:
        candidate["content"] = {"parts": list(parts), "role": "model"}
    if finish:
        candidate["finishReason"] = finish
    frame = {"candidates": [{**candidate, "index": 0}], "modelVersion": "g-3", "responseId": "r1"}
    return frame if usage is None else {**frame, "usageMetadata": usage}


def text(words, **more):
    return {"text": words, **more}


def call(name, **body):
    return {"functionCall": {"name": name, **body}}


def sse(*payloads, end=b"\r\n"):
    return b"".join(b"data: " + json.dumps(each).encode() + end + end for each in payloads)


def events_of(*payloads):
    return decode(GenerateDecoder, [sse(*payloads)])


def last_of(*payloads):
    last = check_stream(events_of(*payloads))
    check_calls(events_of(*payloads))
    return last


def written(events):
    encoder = GenerateEncoder()
    return b"".join(encoder.feed(event) for event in events)


ANSWER = sse(
    chunk(text("Hm", thought=True), usage={"promptTokenCount": 9, "thoughtsTokenCount": 4}),
    chunk(text("Hel")),
    chunk(text("lo")),
    chunk(
        call("weather", args={"city": "Oslo"}) | {"thoughtSignature": "c2ln"},
        finish="STOP",
        usage={"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 4},
    ),
)


def test_thoughts_text_and_a_call_with_its_signature():
    events = decode(GenerateDecoder, [ANSWER])
    last = check_stream(events)
    check_calls(events)
    assert (last.message.reasoning, last.message.text) == ("Hm", "Hello")
    (made,) = last.message.tool_calls
    assert (made.name, made.input) == ("weather", {"city": "Oslo"})
    assert made.provider_data == {"format": FORMAT, "thoughtSignature": "c2ln"}
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.TOOL_CALLS, "STOP")
    assert last.usage == Usage(9, 9, reasoning_tokens=4)
    assert last.start == Start("r1", "g-3")


def test_every_chunking_gives_the_same_events():
    whole = decode(GenerateDecoder, [ANSWER])
    assert decode(GenerateDecoder, bytewise(ANSWER)) == whole
    for pieces in two_way(ANSWER):
        assert decode(GenerateDecoder, pieces) == whole


def test_every_prefix_is_truncated_with_all_complete_text():
    seen = set()
    for size in range(len(ANSWER.rstrip(b"\r\n"))):
        last = check_stream(decode(GenerateDecoder, [ANSWER[:size]]))
        assert last.error_info.kind == "truncated"
        seen.add(last.error_info.partial.text if last.error_info.partial else "")
    assert seen == {"", "Hel", "Hello"}


def in_array(body, between=b"\n,\r\n"):
    items = [line[6:] for line in body.split(b"\r\n") if line.startswith(b"data: ")]
    return b"[" + between.join(items) + b"\n]\n"


@pytest.mark.parametrize("between", [b",", b"\n,\r\n", b"\r\n,\r\n\r\n"])
def test_a_json_array_is_read_while_it_comes(between):
    body = in_array(ANSWER, between)
    whole = decode(GenerateDecoder, [ANSWER])
    for pieces in ([body], bytewise(body), [b"\xef\xbb\xbf  ", body]):
        assert decode(GenerateDecoder, pieces) == whole
    decoder = GenerateDecoder()
    first = body.index(b"lo") - 20
    assert "".join(event.text for event in decoder.feed(body[:first])) == "Hel"
    for size in range(body.rindex(b"}")):
        assert decode(GenerateDecoder, [body[:size]])[-1].error_info.kind == "truncated"


def test_a_whole_document_is_an_answer():
    document = json.dumps(chunk(text("Hi"), call("f"), finish="STOP"), indent=1).encode()
    last = check_stream(decode(GenerateDecoder, bytewise(document)))
    assert (last.message.text, last.message.tool_calls[0].input) == ("Hi", {})


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: [body]], ids=["alone", "listed"])
@pytest.mark.parametrize("before", [b"", sse(chunk(text("Hi")))], ids=["at once", "amid"])
def test_a_bare_error_is_that_error(wrap, before):
    body = {"error": {"code": 429, "message": "Slow", "status": "RESOURCE_EXHAUSTED"}}
    bare = json.dumps(wrap(body), indent=2).encode()
    last = check_stream(decode(GenerateDecoder, bytewise(before + bare)))
    assert (last.error_info.kind, last.error_info.message) == ("rate_limit", "Slow")


# --- how an answer ends -----------------------------------------------------------------------------------

WORDS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(
        [
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "SPII",
            "PROHIBITED_CONTENT",
            "MODEL_ARMOR",
            "ESCALATION",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ],
        "content_filter",
    ),
    "FINISH_REASON_UNSPECIFIED": "unknown",
    "SOMETHING_NEW": "other",
}
FAILURES = {
    **dict.fromkeys(
        [
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MALFORMED_RESPONSE",
            "OTHER",
            "IMAGE_OTHER",
            "NO_IMAGE",
        ],
        "invalid_output",
    ),
    "MISSING_THOUGHT_SIGNATURE": "invalid_request",
    "PUP_LIMITED_DISABLED": "permission",
}
BLOCKS = [
    "SAFETY",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
    "JAILBREAK",
    "BLOCKED_REASON_UNSPECIFIED",
    "A_NEW_ONE",
]


@pytest.mark.parametrize(("word", "reason"), WORDS.items())
def test_finish_reasons(word, reason):
    last = last_of(chunk(text("Hi")), chunk(finish=word))
    assert (last.finish_reason, last.raw_finish_reason) == (reason, word)
    again = decode(GenerateDecoder, [written([last])])[-1]
    assert (again.finish_reason, again.raw_finish_reason) == (reason, word)


@pytest.mark.parametrize(("word", "kind"), FAILURES.items())
def test_finish_reasons_that_mean_failure(word, kind):
    last = last_of(chunk(text("Hi")), chunk(finish=word, finishMessage="because of x"))
    assert (last.error_info.kind, last.error_info.code) == (kind, word)
    assert "because of x" in last.error_info.message


@pytest.mark.parametrize("word", BLOCKS)
def test_a_blocked_prompt_is_a_filtered_answer(word):
    feedback = {"blockReason": word, "safetyRatings": [{"category": "X", "blocked": True}]}
    last = last_of({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": 3}})
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.CONTENT_FILTER, word)
    assert last.stop_details == feedback
    assert last.usage == Usage(3)
    assert decode(GenerateDecoder, [written([last])])[-1] == last


def test_ratings_of_a_prompt_that_passed_mean_nothing():
    last = last_of(
        {"promptFeedback": {"safetyRatings": [{"category": "X"}]}, **chunk(text("Hi"))},
        chunk(finish="STOP"),
    )
    assert (last.finish_reason, last.stop_details) == (FinishReason.STOP, None)


def test_text_after_a_finish_reason_counts_and_so_does_the_last_reason():
    events = events_of(
        chunk(text("a"), finish="STOP"), chunk(text("b")), chunk(finish="MAX_TOKENS")
    )
    last = check_stream(events)
    assert (last.message.text, last.finish_reason) == ("ab", FinishReason.LENGTH)


def test_a_pause_keeps_the_last_token():
    last = last_of(
        chunk(text("a"), continuationToken="b2xk"),
        chunk(text("b"), finish="CONTINUATION", continuationToken="bmV3"),
    )
    assert last.finish_reason is FinishReason.PAUSE
    assert last.message.parts == [
        TextPart("ab"),
        ProviderPart(FORMAT, {"continuationToken": "bmV3"}),
    ]


def test_a_token_of_an_answer_that_ended_is_not_kept():
    last = last_of(chunk(text("a"), continuationToken="b2xk"), chunk(finish="STOP"))
    assert last.message.parts == [TextPart("a")]


@pytest.mark.parametrize(
    "end",
    [
        chunk(finish="STOP"),
        {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {}, "finishReason": "STOP", "index": 0}]},
        {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}]},
    ],
)
def test_an_answer_may_end_without_content(end):
    assert last_of(chunk(text("Hi")), end).message.text == "Hi"
    assert last_of(end).message.parts == []


# --- parts ------------------------------------------------------------------------------------------------


def test_a_signature_stays_where_it_stood():
    last = last_of(
        chunk(text("Hm", thought=True)),
        chunk(text("", thoughtSignature="YQ==")),
        chunk(text("Why", thought=True, thoughtSignature="Yg==")),
        chunk(text("So")),
        chunk(text("", thoughtSignature="Yw=="), finish="STOP"),
    )
    assert last.message.parts == [
        ReasoningPart("Hm"),
        ProviderPart(FORMAT, {"text": "", "thoughtSignature": "YQ=="}),
        ReasoningPart("Why", "Yg==", format=FORMAT),
        TextPart("So"),
        ReasoningPart("", "Yw==", format=FORMAT),
    ]


def test_calls_with_ids_without_and_twice():
    last = last_of(
        chunk(call("f", args={"a": 1}), call("f", args={"a": 1})),
        chunk(call("g", id="x", args={"b": 2})),
        chunk(call("g", id="x", args={"b": 2})),
        chunk(call("g", id="x", args={"b": 3})),
        chunk(call("now"), finish="STOP"),
    )
    made = last.message.tool_calls
    assert [(each.name, each.input) for each in made] == [
        ("f", {"a": 1}),
        ("f", {"a": 1}),
        ("g", {"b": 2}),
        ("g", {"b": 3}),
        ("now", {}),
    ]
    assert len({each.id for each in made}) == 5
    assert made[2].id == "x"


def test_a_call_without_a_name_is_none():
    last = last_of(chunk({"functionCall": {"args": {"a": 1}}}), chunk(finish="STOP"))
    assert last.error_info.kind == "invalid_output"
    last = last_of(chunk(text("Hi"), {"functionCall": {}}), chunk(finish="STOP"))
    assert (last.finish_reason, last.message.parts) == (FinishReason.STOP, [TextPart("Hi")])


def streamed(*pieces, name="f"):
    """The frames of a call whose arguments come in pieces."""
    frames = [chunk(call(name, willContinue=True))]
    frames += [
        chunk({"functionCall": {"partialArgs": [piece], "willContinue": True}}) for piece in pieces
    ]
    return [*frames, chunk({"functionCall": {}})]


def piece(path, **value):
    return {"jsonPath": path, **value}


def test_arguments_in_pieces_are_written_while_they_come():
    frames = streamed(
        piece("$.a", stringValue='x"', willContinue=True),
        piece("$.a", stringValue="y", willContinue=True),
        piece("$.a", stringValue=""),
        piece("$.b[0].c", numberValue=1),
        piece("$.b[0].d", boolValue=True),
        piece("$.b[1].c", nullValue="NULL_VALUE"),
        piece("$.e", stringValue="z"),
    )
    events = events_of(*frames, chunk(finish="STOP"))
    last = check_stream(events)
    check_calls(events)
    wanted = {"a": 'x"y', "b": [{"c": 1, "d": True}, {"c": None}], "e": "z"}
    assert last.message.tool_calls[0].input == wanted
    deltas = [event.tool_call_delta.arguments for event in events if event.tool_call_delta]
    assert len(list(filter(None, deltas))) >= len(frames) - 2
    assert "".join(deltas) == json.dumps(wanted, separators=(",", ":"))


def test_arguments_out_of_order_are_right_in_the_end():
    frames = streamed(
        piece("$.a.b", stringValue="x"),
        piece("$.c", numberValue=2),
        piece("$.a.d", stringValue="y"),
    )
    last = last_of(*frames, chunk(finish="STOP"))
    assert last.message.tool_calls[0].input == {"a": {"b": "x", "d": "y"}, "c": 2}


def test_a_call_whose_pieces_never_ended_is_cut():
    frames = streamed(piece("$.a", stringValue="x"))[:-1]
    for kept in (frames, frames[:1]):
        for word in ("STOP", "MAX_TOKENS"):
            (made,) = last_of(*kept, chunk(finish=word)).message.tool_calls
            assert (made.complete, made.input) == (False, None)


def test_calls_in_pieces_may_follow_one_another():
    frames = [
        *streamed(piece("$.a", numberValue=1)),
        *streamed(piece("$.a", numberValue=2), name="g"),
        *streamed(name="h"),
        chunk(call("i", args={"x": 1})),
    ]
    last = last_of(*frames, chunk(finish="STOP"))
    made = [(each.name, each.input) for each in last.message.tool_calls]
    assert made == [("f", {"a": 1}), ("g", {"a": 2}), ("h", {}), ("i", {"x": 1})]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=4), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, min_size=1, max_size=4), st.data())
def test_arguments_of_any_shape_come_in_pieces(wanted, data):
    """Split in order, their text is that of the object; in any order, the object is the same."""
    from llmstream.wire.gemini_generate.partial_args import split_arguments

    compact = json.dumps(wanted, ensure_ascii=False, separators=(",", ":"))
    pieces = split_arguments(compact)
    arguments = PartialArguments()
    written = "{" + "".join(map(arguments.add, pieces)) + arguments.end()
    assert (json.loads(written), arguments.is_in_order) == (wanted, True)
    mixed = PartialArguments()
    for each in data.draw(st.permutations(pieces)):
        mixed.add(each)
    assert mixed.whole == wanted


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$.a.b", ["a", "b"]),
        ("$.a[10][2].c", ["a", 10, 2, "c"]),
        ("$['a b']['it\\'s'][0]", ["a b", "it's", 0]),
        ('$["x.y"]', ["x.y"]),
        ("a.b", ["a", "b"]),
    ],
)
def test_paths(path, steps):
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "path", ["$.", "$..a", "$[", "$.a[*]", "$", "$[0]", "$.a[999999999]", "$" + ".a" * 200]
)
def test_a_path_that_leads_nowhere_is_a_protocol_error(path):
    last = last_of(*streamed(piece(path, stringValue="x")))
    assert last.error_info.kind == "protocol"


def test_code_that_google_ran_and_what_came_of_it():
    code = {"language": "PYTHON", "code": "print(1)"}
    frames = (
        chunk({"executableCode": code, "thoughtSignature": "YQ=="}),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}}),
        chunk({"executableCode": {**code, "id": "e1"}}),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "e1"}}),
        chunk(text("1"), finish="STOP"),
    )
    last = last_of(*frames)
    first, failed, second, told, _ = last.message.parts
    assert (first.name, first.input, first.executed_by) == ("code_execution", code, "provider")
    assert (failed.tool_call_id, failed.content, failed.is_error) == (first.id, "no", True)
    assert (second.id, told.tool_call_id, told.content) == ("e1", "e1", "1\n")
    assert last.message.tool_calls == []
    assert last.finish_reason is FinishReason.STOP


def test_tools_that_google_runs():
    search = {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}}
    found = {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"y": "z"}}
    last = last_of(
        chunk({"toolCall": search}, {"toolResponse": found}), chunk(text("1"), finish="STOP")
    )
    made, told, _ = last.message.parts
    assert (made.name, made.id, made.input) == ("google_search_web", "s1", {"queries": ["x"]})
    assert (told.name, told.tool_call_id, told.content) == ("google_search_web", "s1", {"y": "z"})
    assert made.executed_by == told.executed_by == "provider"


PNG = b64encode(b"\x89PNG\r\n\x1a\n123").decode()


def test_pictures_and_links_are_files():
    last = last_of(
        chunk({"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "YQ=="}),
        chunk({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a/b"}}, finish="STOP"),
    )
    picture, film = last.message.parts
    assert (picture.media_type, picture.data) == ("image/png", PNG)
    assert picture.provider_data == {"format": FORMAT, "thoughtSignature": "YQ=="}
    assert (film.media_type, film.url) == ("video/mp4", "gs://a/b")


def test_speech_in_pieces_is_one_file():
    sound = {"mimeType": "audio/L16;codec=pcm;rate=24000"}
    pieces = [b64encode(each).decode() for each in (b"ab", b"cdef", b"g")]
    frames = [chunk({"inlineData": {**sound, "data": each}}) for each in pieces]
    last = last_of(*frames, chunk(text("x")), chunk(finish="STOP"))
    speech, words = last.message.parts
    assert (speech.data, words) == (b64encode(b"abcdefg").decode(), TextPart("x"))
    assert speech.media_type.lower().startswith("audio/l16;codec=pcm")


def test_a_draft_of_a_picture_is_no_part_of_the_answer():
    draft = {"inlineData": {"mimeType": "image/png", "data": PNG}, "thought": True}
    last = last_of(chunk(draft), chunk(text("x"), finish="STOP"))
    assert last.message.parts == [ProviderPart(FORMAT, draft), TextPart("x")]


def test_what_nobody_knows_is_told_and_goes_back():
    hologram = {"hologram": {"x": "y"}}
    events = events_of(chunk(text("a"), hologram), chunk(finish="STOP"))
    assert check_stream(events).message.parts[1] == ProviderPart(FORMAT, hologram)
    assert [e.status.data["members"] for e in events if e.status and e.status.kind == "unread"] == [
        ["parts.hologram"]
    ]
    last = last_of(chunk(hologram), chunk(finish="STOP"))
    assert (last.error_info.kind, last.error_info.code) == ("protocol", "not_understood")


# --- sources ----------------------------------------------------------------------------------------------

WEB = [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://b.example"}}]


def support(start, end, *places, **more):
    segment = {"startIndex": start, "endIndex": end, **more}
    return {"segment": segment, "groundingChunkIndices": list(places)}


def sources_of(*frames):
    return last_of(*frames).message.sources


def test_places_of_sources_are_characters_though_google_counts_bytes():
    grounding = {"groundingChunks": WEB, "groundingSupports": [support(7, 12, 0, 1)]}
    found = sources_of(
        chunk(text("Grüß ")),
        chunk(text("Gott!"), groundingMetadata=grounding, finish="STOP"),
    )
    assert [(each.url, each.start, each.end) for each in found] == [
        ("https://a.example", 5, 10),
        ("https://b.example", 5, 10),
    ]


def test_the_words_of_a_segment_count_more_than_its_place():
    grounding = {"groundingChunks": WEB[:1], "groundingSupports": [support(0, 3, 0, text="two")]}
    found = sources_of(chunk(text("one two"), groundingMetadata=grounding, finish="STOP"))
    assert [(each.start, each.end) for each in found] == [(4, 7)]


def test_a_source_is_told_once_and_one_that_nothing_rests_on_too():
    grounding = {"groundingChunks": WEB, "groundingSupports": [support(0, 2, 0)]}
    frame = chunk(text("Hi"), groundingMetadata=grounding)
    found = sources_of(frame, chunk(groundingMetadata=grounding, finish="STOP"))
    assert found == [
        Source(title="A", url="https://a.example", start=0, end=2),
        Source(url="https://b.example"),
    ]


def test_a_citation_may_come_before_its_text():
    cited = {"citationSources": [{"startIndex": 2, "endIndex": 6, "uri": "https://a.example"}]}
    found = sources_of(
        chunk(text("ü"), citationMetadata=cited), chunk(text("berall")), chunk(finish="STOP")
    )
    assert found == [Source(url="https://a.example", start=1, end=5)]


def test_what_was_retrieved_is_an_excerpt():
    chunk_of = {"retrievedContext": {"text": "Paris is", "title": "T", "documentName": "d/1"}}
    scored = {**support(0, 2, 0), "confidenceScores": [0.5]}
    grounding = {"groundingChunks": [chunk_of], "groundingSupports": [scored]}
    (found,) = sources_of(chunk(text("Hi"), groundingMetadata=grounding, finish="STOP"))
    assert found == Source("d/1", "T", None, 0.5, "Paris is", 0, 2)


# --- usage ------------------------------------------------------------------------------------------------


def test_usage_adds_thoughts_and_tools_and_overlays_field_by_field():
    last = last_of(
        chunk(
            text("a"),
            usage={"promptTokenCount": 5, "cachedContentTokenCount": 2, "candidatesTokenCount": 1},
        ),
        chunk(text("b"), usage={"thoughtsTokenCount": 7, "candidatesTokenCount": None}),
        chunk(finish="STOP", usage={"candidatesTokenCount": 3, "toolUsePromptTokenCount": 10}),
    )
    assert last.usage == Usage(15, 10, 2, reasoning_tokens=7)


def test_counts_by_modality_stand_in_for_a_total():
    details = [{"modality": "TEXT", "tokenCount": 3}, {"modality": "IMAGE", "tokenCount": 258}]
    last = last_of(chunk(text("a"), finish="STOP", usage={"promptTokensDetails": details}))
    assert last.usage == Usage(261, input_by_modality={"text": 3, "image": 258})


# --- frames as others send them ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        [{"response": chunk(text("Hi"), finish="STOP"), "traceId": "t"}],
        [
            {
                "candidates": [{"content": {"parts": [text("Hi")]}, "finish_reason": "STOP"}],
                "model_version": "g-3",
                "response_id": "r1",
                "usage_metadata": {"prompt_token_count": 3},
            }
        ],
        [{"candidates": [{"content": {"parts": "Hi"}, "finishReason": "STOP"}]}],
        [{"candidates": [{"content": "Hi", "finishReason": "STOP"}]}],
        [chunk(text("Hi"), finish="stop")],
        [
            {
                "candidates": [
                    {"content": {"parts": [text("Hi")]}, "index": 0, "finishReason": "STOP"},
                    {"content": {"parts": [text("No")]}, "index": 1, "finishReason": "STOP"},
                ]
            }
        ],
        [{"candidates": []}, {"candidates": None}, chunk(text("Hi")), chunk(finish="STOP")],
        [chunk(text("Hi")), {"usageMetadata": None, "candidates": [{"finishReason": "STOP"}]}],
    ],
)
def test_frames_of_proxies_are_read(frames):
    events = events_of(*frames)
    assert check_stream(events).message.text == "Hi"
    assert not any(event.status for event in events)


def test_a_done_marker_of_a_proxy_ends_a_finished_answer_only():
    body = sse(chunk(text("Hi"), finish="STOP")) + b"data: [DONE]\n\n"
    assert decode(GenerateDecoder, [body])[-1].finish_reason is FinishReason.STOP
    body = sse(chunk(text("Hi"))) + b"data: [DONE]\n\n"
    assert decode(GenerateDecoder, [body])[-1].error_info.kind == "truncated"


FRAGMENTS = st.recursive(
    strategies.json_values,
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                "candidates",
                "content",
                "parts",
                "text",
                "thought",
                "thoughtSignature",
                "functionCall",
                "name",
                "args",
                "id",
                "partialArgs",
                "jsonPath",
                "stringValue",
                "willContinue",
                "executableCode",
                "codeExecutionResult",
                "inlineData",
                "mimeType",
                "data",
                "groundingMetadata",
                "groundingChunks",
                "groundingSupports",
                "segment",
                "endIndex",
                "usageMetadata",
                "promptFeedback",
                "blockReason",
                "finishReason",
                "citationMetadata",
                "citations",
                "response",
                "toolCall",
            ]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=4,
    ),
    max_leaves=12,
)


@given(st.lists(FRAGMENTS, max_size=4))
@examples(200)
def test_frames_of_any_content_never_raise(frames):
    check_stream(decode(GenerateDecoder, [sse(*frames, end=b"\n")]))


@given(
    st.lists(
        FRAGMENTS.map(lambda part: {"candidates": [{"content": {"parts": [part]}}]}), max_size=4
    )
)
def test_parts_of_any_content_never_raise(frames):
    check_stream(decode(GenerateDecoder, [sse(*frames, chunk(finish="STOP"), end=b"\n")]))


@given(st.binary(max_size=200), st.sampled_from([b"", b"[", b"data: ", b'[{"candidates":']))
def test_any_bytes_never_raise(data, begin):
    whole = decode(GenerateDecoder, [begin + data])
    check_stream(whole)
    assert decode(GenerateDecoder, bytewise(begin + data)) == whole


# --- out and in again --------------------------------------------------------------------------------------

some = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
signatures = st.sampled_from(["YQ==", "c2lnbmF0dXJl"])


@st.composite
def piece_events(draw):
    kind = draw(
        st.sampled_from(["text", "thoughts", "signed", "call", "ran", "file", "source", "item"])
    )
    if kind == "text":
        return [text_delta(each) for each in draw(st.lists(some, min_size=1, max_size=3))]
    if kind == "thoughts":
        return [reasoning_delta(each) for each in draw(st.lists(some, min_size=1, max_size=3))]
    if kind == "signed":
        return [reasoning_delta(draw(some)), opaque(FORMAT, signature=draw(signatures))]
    if kind == "file":
        file = File(media_type="image/png", data=PNG)
        return [StreamEvent(EventType.FILE, file=file)]
    if kind == "source":
        found = draw(strategies.names)
        return [StreamEvent(EventType.SOURCE, source=Source(title=found, url=f"https://{found}"))]
    if kind == "item":
        signed = {"text": "", "thoughtSignature": draw(signatures)}
        return [reasoning_delta(draw(some)), opaque(FORMAT, item=signed)]
    return (kind, draw(st.none() | strategies.objects), draw(st.none() | signatures))


def numbered(drawn):
    """Calls get their id and index, in order."""
    events, calls, ran = [], 0, 0
    for each in drawn:
        if isinstance(each, list):
            events += each
            continue
        kind, given_, signature = each
        data = {"format": FORMAT} | ({"thoughtSignature": signature} if signature else {})
        arguments = (
            "" if given_ is None else json.dumps(given_, ensure_ascii=False, separators=(",", ":"))
        )
        made = ToolCall(f"c{len(events)}", "f", arguments, input=given_ or {})
        if kind == "ran":
            made.id, made.name, made.executed_by = f"s{ran}", "url_context", "provider"
            made.provider_data = {
                **data,
                "type": "toolCall",
                "id": made.id,
                "toolType": "URL_CONTEXT",
            }
            ran += 1
        else:
            made.provider_data = data if signature else None
            # `{}` might be a placeholder, so it is told when the call is.
            written = ["", arguments] if arguments == "{}" else [arguments]
            deltas = [ToolCallDelta(calls, made.id, "f", written[0], made.provider_data)]
            deltas += [ToolCallDelta(calls, arguments=each) for each in written[1:]]
            events += [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=d) for d in deltas]
            calls += 1
        events.append(StreamEvent(EventType.TOOL_CALL, tool_call=made))
    return events


def is_source(piece):
    """Whether a piece, as `piece_events` draws it, is a source."""
    return isinstance(piece, list) and getattr(piece[0], "source", None) is not None


@st.composite
def answers(draw):
    """The events of an answer as the decoder returns them."""
    from llmstream.events.grammar import Guard

    drawn = draw(st.lists(piece_events(), max_size=5))
    # Gemini tells all its sources again and again, so that equal ones are one.
    once = [each for n, each in enumerate(drawn) if not is_source(each) or each not in drawn[:n]]
    pieces = numbered(once)
    called = any(e.tool_call and e.tool_call.executed_by == "caller" for e in pieces)
    reason = FinishReason.TOOL_CALLS if called else FinishReason.STOP
    counts = st.integers(0, 1000)
    usage = draw(
        st.none()
        | st.builds(
            lambda prompt, cached, out, thought: Usage(
                prompt, out + (thought or 0), cached, reasoning_tokens=thought
            ),
            counts,
            st.none() | counts,
            counts,
            st.none() | counts,
        )
    )
    start = Start(draw(st.none() | some), draw(st.none() | some))
    end = StreamEvent(
        EventType.MESSAGE_COMPLETE, finish_reason=reason, raw_finish_reason="STOP", usage=usage
    )
    guard = Guard()
    begun = [StreamEvent(EventType.MESSAGE_START, start=start), *pieces, end]
    return [event for each in begun for event in guard.feed(each)]


@given(answers())
@examples(200)
def test_decoding_what_was_encoded_gives_the_same_events(events):
    assert decode(GenerateDecoder, [written(events)]) == events


@given(answers())
def test_a_batch_event_comes_out_as_if_it_had_been_streamed(events):
    again = check_stream(decode(GenerateDecoder, [written(events[-1:])]))
    assert again.message == events[-1].message


@pytest.mark.parametrize(
    "kind",
    [
        "authentication",
        "permission",
        "not_found",
        "invalid_request",
        "context_length",
        "content_filter",
        "quota",
        "rate_limit",
        "overloaded",
        "server",
        "tool_use_failed",
    ],
)
@pytest.mark.parametrize("code", [None, "some_code"])
def test_the_kind_of_an_error_survives(kind, code):
    told = error(ErrorInfo(kind, "because", code=code))
    last = decode(GenerateDecoder, [written([told])])[-1]
    assert (last.error_info.kind, last.error_info.message) == (kind, "because")


@pytest.mark.parametrize("kind", ["truncated", "connection"])
def test_a_cut_is_written_as_one(kind):
    events = [*decode(GenerateDecoder, [ANSWER])[:3], error(ErrorInfo(kind))]
    assert decode(GenerateDecoder, [written(events)])[-1].error_info.kind == "truncated"


@pytest.mark.parametrize(
    ("arguments", "begun"),
    [("", ""), ('{"a": "x', '"x'), ('{"a": [1, 2', "[1"), ("no json", ""), ('{"a": {"b": tr', "")],
)
def test_a_cut_call_stays_cut(arguments, begun):
    made = ToolCall("c", "f", arguments or "{", complete=False)
    message = Message("assistant", [made])
    told = StreamEvent(
        EventType.MESSAGE_COMPLETE, message=message, finish_reason=FinishReason.LENGTH
    )
    (again,) = decode(GenerateDecoder, [written([told])])[-1].message.tool_calls
    assert (again.id, again.name, again.complete, again.input) == ("c", "f", False, None)
    assert begun in again.arguments


def test_foreign_sources_and_results_have_a_place_or_none():
    """Places of another format's sources are told in bytes."""
    events = [
        StreamEvent(EventType.MESSAGE_START, start=Start()),
        text_delta("Grüß Gott"),
        StreamEvent(EventType.SOURCE, source=Source("i", "T", "https://a", 0.5, "ex", 5, 9)),
        StreamEvent(
            EventType.TOOL_RESULT, tool_result=ToolResult("x", "y", executed_by="provider")
        ),
        StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP),
    ]
    last = check_stream(decode(GenerateDecoder, [written(events)]))
    assert last.message.sources == [Source("i", "T", "https://a", 0.5, "ex", 5, 9)]


# --- recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", recordings("gemini"))
def test_a_recording_gives_what_is_expected(recording):
    expect = recording.expect
    events = decode(GenerateDecoder, [recording.body])
    last = check_stream(events)
    check_calls(events)
    assert not any(event.status and event.status.kind == "unread" for event in events)
    if expect["error"]:
        assert last.error_info.kind == "not_found"
        assert last.error_info.message == expect["error"]["message"]
        return
    message = last.message
    assert (message.text, message.reasoning) == (expect["text"], expect["reasoning"] or "")
    assert [(c.name, c.input or {}) for c in message.tool_calls] == recording.calls
    given_ids = [
        (c.id, made["id"]) for c, made in zip(message.tool_calls, expect["tool_calls"], strict=True)
    ]
    assert all(ours == theirs for ours, theirs in given_ids if theirs is not None)
    assert last.raw_finish_reason == (expect["finish_reason_raw"] or expect.get("block_reason"))
    cited = {
        json.dumps(each.provider_data["citation"].get("chunk", id(each)))
        for each in message.sources
    }
    assert len(cited) == expect["citations_count"]
    check_usage(last.usage, expect["usage_raw"] or {})
    assert signatures_in(message) == expect.get("signatures_count", signatures_in(message))


def check_usage(usage, raw):
    if not raw:
        assert usage is None
        return
    prompt, tools = raw.get("promptTokenCount"), raw.get("toolUsePromptTokenCount") or 0
    assert usage.input_tokens == (None if prompt is None else prompt + tools)
    thoughts = raw.get("thoughtsTokenCount")
    assert usage.reasoning_tokens == thoughts
    if "candidatesTokenCount" in raw:
        assert usage.output_tokens == raw["candidatesTokenCount"] + (thoughts or 0)


def signatures_in(message):
    held = [(getattr(part, "provider_data", None) or {}) for part in message.parts]
    beside = sum("thoughtSignature" in data for data in held)
    alone = sum(isinstance(p, ReasoningPart) and bool(p.signature) for p in message.parts)
    return beside + alone + sum(isinstance(p, ProviderPart) for p in message.parts)


@pytest.mark.parametrize("recording", recordings("gemini"))
def test_a_recordings_events_survive_chunking_and_the_round_trip(recording):
    events = decode(GenerateDecoder, [recording.body])
    for seed in range(3):
        assert decode(GenerateDecoder, random_cuts(recording.body, seed)) == events
    if len(recording.body) < 60_000:
        assert decode(GenerateDecoder, bytewise(recording.body)) == events
    again = decode(GenerateDecoder, [written(events)])
    assert together(again)[:-1] == together(events)[:-1]
    assert again[-1].message == events[-1].message


def together(events):
    """The events with the deltas of each call as one: its arguments are written whole."""
    joined = []
    for event in events:
        delta = event.tool_call_delta
        before = joined[-1].tool_call_delta if joined else None
        if delta is not None and before is not None and before.index == delta.index:
            arguments = before.arguments + delta.arguments
            joined[-1] = replace(joined[-1], tool_call_delta=replace(before, arguments=arguments))
        else:
            joined.append(event)
    return joined


@each_count
@pytest.mark.parametrize("recording", recordings("gemini"))
def test_a_recordings_prefixes_are_truncated(recording, count):
    body = recording.body
    ends = [body.find(name) for name in (b'"finishReason"', b'"blockReason"', b'"error"')]
    own_end = min(end for end in ends if end >= 0)  # older models say STOP on every chunk
    for size in sizes(own_end, count):
        last = check_stream(decode(GenerateDecoder, [body[:size]]))
        assert last.error_info.kind == "truncated"
        if last.error_info.partial is not None:
            assert recording.expect["text"].startswith(last.error_info.partial.text)
