"""OpenAI chat completions and its dialects: bytes to events, events to bytes, requests both ways."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
    Status,
    StreamEvent,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.message_reader import FORMAT
from llmstream.messages import (
    ChatRequest,
    File,
    FinishReason,
    HostedTool,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    Source,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    parse_arguments,
)
from llmstream.wire.fitting.tools import names_of
from llmstream.wire.openai_chat.decode import ChatDecoder
from llmstream.wire.openai_chat.encode import ChatEncoder
from llmstream.wire.openai_chat.request import ChatVariant, parse_request, render_request
from tests import recordings, strategies
from tests.grammar_check import add_up, check_calls, check_stream

DONE = b"data: [DONE]\n\n"
WORDS = {
    "stop": FinishReason.STOP,
    "end": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "a word of nobody": FinishReason.OTHER,
}
"""Words of this format, which an encoder may write too, and one that nobody documents."""


def decode(*pieces):
    return recordings.decode(ChatDecoder, pieces)


def encode(events):
    encoder = ChatEncoder()
    return b"".join([encoder.feed(event) for event in events])


def chunk(delta=None, finish_reason=None, **more):
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish_reason}
    return {"id": "c1", "model": "m", "choices": [choice], **more}


def sse(*payloads, done=True):
    frames = [
        f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode() for payload in payloads
    ]
    return b"".join(frames) + (DONE if done else b"")


def answer(*payloads, done=True):
    """The events of these chunks, legal and the same whole and byte by byte."""
    data = sse(*payloads, done=done)
    events = decode(data)
    assert decode(*recordings.bytewise(data)) == events
    check_stream(events)
    check_calls(events)
    return events


def message(*payloads, done=True):
    last = answer(*payloads, done=done)[-1]
    assert last.type is EventType.MESSAGE_COMPLETE
    return last.message


def tool_delta(arguments=None, **fields):
    function = {
        key: value
        for key, value in (("name", fields.pop("name", None)), ("arguments", arguments))
        if value
    }
    return chunk({"tool_calls": [{**fields, "function": function}]})


# --- the recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", recordings.sampled(recordings.recordings("openai-chat")))
def test_a_recording_means_what_it_says(recording):
    """Every recorded answer decodes to its text, reasoning, calls, citations, usage, reason or error, however cut."""
    body, expect = recording.body, recording.expect
    events = decode(body)
    if len(body) < 60_000:
        assert decode(*recordings.bytewise(body)) == events
    for seed in range(5):
        assert decode(*recordings.random_cuts(body, seed)) == events
    last = check_stream(events)
    check_calls(events)
    assert (last.type is EventType.ERROR) == bool(expect["error"])
    got = last.message or last.error_info.partial or Message("assistant")
    assert got.text == (expect["text"] or "")
    assert got.reasoning == (expect["reasoning"] or "")
    assert got.refusal == (expect["refusal"] or "")
    compare_calls(got, expect, last)
    assert sum(event.type is EventType.SOURCE for event in events) == expect["citations_count"]
    usage = expect["usage_raw"]
    assert bool(last.usage) == bool(usage)
    if usage:
        counts = (usage.get("prompt_tokens"), output_tokens(usage))
        assert (last.usage.input_tokens, last.usage.output_tokens) == counts
    assert not any(event.status and event.status.kind == "unread" for event in events)
    if expect["error"]:
        assert expect["error"]["message"][:900] in last.error
    else:
        assert last.raw_finish_reason == expect["finish_reason_raw"]


def output_tokens(usage):
    """xAI's count of the answer leaves the reasoning out; its total tells."""
    prompt, output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if reasoning and usage.get("total_tokens") == prompt + output + reasoning:
        return output + reasoning
    return output


def compare_calls(got, expect, last):
    assert len(got.tool_calls) == len(expect["tool_calls"])
    for call, wanted in zip(got.tool_calls, expect["tool_calls"], strict=True):
        assert call.name == wanted["name"]
        assert not wanted["id"] or call.id == wanted["id"]
        assert call.arguments == wanted["arguments"]
        if not wanted["arguments"] and last.finish_reason is FinishReason.LENGTH:
            assert (
                not call.complete
            )  # nothing came before the limit: not the same as "no arguments"
        else:
            assert call.input == (wanted["arguments_json"] if wanted["arguments"] else {})
            assert call.complete == (call.input is not None)


def own_end(body):
    """How many bytes it takes until the provider's own end: a finish reason of choice 0, or `[DONE]`."""
    position = 0
    for line in body.split(b"\n"):
        data = line.strip().removeprefix(b"data:").strip()
        if data == b"[DONE]":
            break
        if line.startswith(b"data:"):
            choices = json.loads(data).get("choices") or [{}]
            if choices[0].get("finish_reason") and not choices[0].get("index"):
                break
        position += len(line) + 1
    return position + len(line.rstrip())


@recordings.each_count
@pytest.mark.parametrize("recording", recordings.sampled(recordings.recordings("openai-chat")))
def test_a_recording_cut_before_its_end_is_truncated(recording, count):
    """Every prefix that lacks the provider's own end is ERROR(truncated), with all complete text before it."""
    body = recording.body
    if recording.expect["error"]:
        return  # its end is the error
    end = own_end(body)
    whole = "".join(event.text for event in decode(body))
    whole_frames = ChatDecoder(keep_message=False)
    fed, came = 0, ""
    for size in recordings.sizes(end, count):
        came += "".join(event.text for event in whole_frames.feed(body[fed:size]))
        fed = size
        decoder = ChatDecoder(keep_message=False)
        events = [*decoder.feed(body[:size]), *decoder.finish()]
        last = events[-1]
        assert last.type is EventType.ERROR
        assert last.error_info.kind == "truncated"
        text = "".join(
            [event.text_delta.content for event in events if event.text_delta is not None]
        )
        assert text.startswith(came)
        assert whole.startswith(text)
    assert decode(body[:end])[-1].type is EventType.MESSAGE_COMPLETE


@pytest.mark.parametrize("recording", recordings.recordings("openai-chat"))
def test_a_recordings_events_survive_the_wire(recording):
    """Decoded, encoded and decoded again, every recorded answer gives the same events but for its cost."""
    events = recordings.unpriced(decode(recording.body))
    again = decode(encode(events))
    if events[-1].type is EventType.ERROR:
        last, other = events.pop(), again.pop()
        assert other.error_info.kind == last.error_info.kind
        assert other.error_info.message == last.error_info.message
        assert other.error_info.partial == last.error_info.partial
    assert again == events


# --- the quirks, in bytes of our own ---------------------------------------------------------------------------


def test_an_ordinary_answer():
    """Role chunk, text, finish reason, usage, `[DONE]`."""
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    start, first, second, last = answer(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        {"id": "c1", "model": "m", "choices": [], "usage": usage},
    )
    assert start.start == Start("c1", "m")
    assert (first, second) == (text_delta("Hel"), text_delta("lo"))
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.STOP, "stop")
    assert last.usage == Usage(7, 2, cache_read_tokens=4)
    assert last.message.parts == [TextPart("Hello")]


def test_a_first_chunk_without_choices_names_nothing():
    """Quirk 11: Azure's first chunk has empty id and model; they are taken from the first real one."""
    first = {
        "id": "",
        "model": "",
        "object": "",
        "choices": [],
        "prompt_filter_results": [{"index": 0}],
    }
    assert answer(first, chunk({"content": "a"}), chunk({}, "stop"))[0].start == Start("c1", "m")


def test_chunks_without_choices_are_no_end():
    """Quirk 12: a usage chunk's `choices` are empty, or missing."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    for last in (
        {"choices": [], "usage": usage},
        {"usage": usage},
        {"choices": None, "usage": usage},
    ):
        assert answer(chunk({"content": "a"}), chunk({}, "stop"), last)[-1].usage == Usage(1, 2)


def test_the_last_usage_wins():
    """Quirk 13: usage on every chunk is cumulative, and may be null; under `x_groq` or in the choice too."""
    events = answer(
        chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
        chunk({"content": "b"}, usage=None),
        chunk({}, "stop", usage={"prompt_tokens": 5, "completion_tokens": 2}),
    )
    assert events[-1].usage == Usage(5, 2)
    groq = chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 5, "completion_tokens": 3}})
    assert answer(chunk({"content": "a"}), groq)[-1].usage == Usage(5, 3)
    kimi = chunk({"content": "a"}, "stop")
    kimi["choices"][0]["usage"] = {"prompt_tokens": 5, "completion_tokens": 4}
    assert answer(kimi)[-1].usage == Usage(5, 4)


def test_no_usage_is_none():
    """What was not reported is None, not 0."""
    assert answer(chunk({"content": "a"}, "stop"))[-1].usage is None
    assert answer(chunk({"content": "a"}, "stop", usage={"prompt_tokens": 3}))[-1].usage == Usage(3)


def test_reasoning_and_cache_counts_are_read():
    """Details of usage, under OpenAI's names and DeepSeek's."""
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    assert answer(chunk({"content": "a"}, "stop", usage=usage))[-1].usage == Usage(
        9, 8, reasoning_tokens=6
    )
    usage = {"prompt_tokens": 9, "prompt_cache_hit_tokens": 5, "prompt_tokens_details": None}
    assert answer(chunk({"content": "a"}, "stop", usage=usage))[-1].usage == Usage(
        9, cache_read_tokens=5
    )


@pytest.mark.parametrize("role", ["assistant", None])
def test_roles_are_no_content(role):
    """Quirk 14: a role alone, on every delta, or null, says nothing."""
    events = answer(
        chunk({"role": role}), chunk({"role": role, "content": "a"}), chunk({"role": role}, "stop")
    )
    assert [event.text for event in events if event.text] == ["a"]


@pytest.mark.parametrize(
    "empty", [{"content": None}, {"content": ""}, {}, {"refusal": ""}, {"tool_calls": None}]
)
def test_empty_fields_say_nothing(empty):
    """Quirk 15: null or empty content, refusal and tool_calls make no event, and no refusal."""
    last = answer(
        chunk(empty),
        chunk({"content": "a", **({} if "content" in empty else empty)}),
        chunk(empty, "stop"),
    )[-1]
    assert last.message.parts == [TextPart("a")]
    assert last.finish_reason is FinishReason.STOP


def test_content_may_be_a_list_of_parts():
    """Quirk 16: Mistral mixes lists of thinking and text with plain strings."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    got = message(
        chunk({"content": [thinking]}),
        chunk({"content": [{"type": "text", "text": "14"}]}),
        chunk({"content": "4"}, "stop"),
    )
    assert got.parts == [ReasoningPart("hm"), TextPart("144")]


@pytest.mark.parametrize(
    "index", [{}, {"index": None}, {"index": 1}], ids=["missing", "null", "from one"]
)
def test_a_call_needs_no_index_from_zero(index):
    """Quirk 17: without index, or with one that skips, a call is told by its id, and counted from 0."""
    first = {"id": "a", "name": "f", **index}
    got = answer(tool_delta('{"x"', **first), tool_delta(": 1}", **index), chunk({}, "tool_calls"))
    assert got[1].tool_call_delta == ToolCallDelta(0, "a", "f", '{"x"')
    assert got[-1].message.tool_calls == [ToolCall("a", "f", '{"x": 1}', input={"x": 1})]


def test_two_calls_without_index_are_told_by_id():
    """Quirk 17: two whole calls in one list, without any index."""
    calls = [{"id": id, "function": {"name": "f", "arguments": "{}"}} for id in "ab"]
    assert [call.id for call in message(chunk({"tool_calls": calls}, "tool_calls")).tool_calls] == [
        "a",
        "b",
    ]


def test_interleaved_calls_are_told_by_index():
    """Pieces of two calls in turn each go to their own."""
    got = message(
        tool_delta(index=0, id="a", name="f"),
        tool_delta(index=1, id="b", name="g"),
        tool_delta('{"x":', index=0),
        tool_delta('{"y":', index=1),
        tool_delta("1}", index=0),
        tool_delta("2}", index=1),
        chunk({}, "tool_calls"),
    )
    assert [(call.id, call.name, call.input) for call in got.tool_calls] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {"y": 2}),
    ]


@pytest.mark.parametrize(
    ("arguments", "text", "value"),
    [
        (None, "", {}),
        ("", "", {}),
        ("{}", "{}", {}),
        ('{"x": "é"}', '{"x": "é"}', {"x": "é"}),
        ({"x": 1}, '{"x":1}', {"x": 1}),
    ],
)
def test_arguments_may_come_whole_null_empty_or_as_an_object(arguments, text, value):
    """Quirk 18: whatever their form, `arguments` is text and `input` the object."""
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}
    got = message(chunk({"tool_calls": [call]}), chunk({}, "tool_calls"))
    assert got.tool_calls == [ToolCall("a", "f", text, input=value)]


@pytest.mark.parametrize(
    "again",
    [{"id": ""}, {"id": "a"}, {"id": "a", "name": "f"}, {"id": "", "name": ""}, {"id": None}],
)
def test_a_repeated_or_emptied_id_is_the_same_call(again):
    """Quirk 19: id and name on later deltas, whole or empty, neither begin a call nor add to its name."""
    got = message(
        tool_delta('{"x":', index=0, id="a", name="f"),
        tool_delta("1}", index=0, **again),
        chunk({}, "tool_calls"),
    )
    assert got.tool_calls == [ToolCall("a", "f", '{"x":1}', input={"x": 1})]


def test_calls_without_ids_get_stable_ones():
    """Quirk 19: the same bytes give the same ids, one for each call."""
    calls = [{"index": index, "function": {"name": "f", "arguments": "{}"}} for index in (0, 1)]
    ids = [call.id for call in message(chunk({"tool_calls": calls}, "tool_calls")).tool_calls]
    assert ids == [
        call.id for call in message(chunk({"tool_calls": calls}, "tool_calls")).tool_calls
    ]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]},
        {
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}],
        },
        {"reasoning": "hm", "reasoning_content": "hm", "content": ""},
    ],
    ids="+".join,
)
def test_reasoning_under_any_name_is_counted_once(delta):
    """Quirk 20: the same reasoning in two fields of one delta is one piece."""
    got = message(chunk(delta), chunk({"content": "a"}, "stop"))
    assert (got.reasoning, got.text) == ("hm", "a")
    assert details_of(got.parts[0]) == delta.get("reasoning_details")


def details_of(part):
    """The provider's own details that go back with a part."""
    return (part.provider_data or {}).get("reasoning_details")


def test_reasoning_and_text_in_one_delta_keep_their_order():
    """Reasoning comes before the text of the same delta."""
    got = message(chunk({"content": "a", "reasoning": "hm"}, "stop"))
    assert got.parts == [ReasoningPart("hm"), TextPart("a")]


def test_a_signature_signs_the_reasoning_before_it():
    """Quirk 20: a signature in the details is kept with the reasoning, to be sent back."""
    signed = {"reasoning_details": [{"type": "reasoning.text", "signature": "zz", "id": "r1"}]}
    got = message(chunk({"reasoning": "hm"}), chunk(signed), chunk({"content": "a"}, "stop"))
    data = {"format": "openai-chat", **signed}
    assert got.parts == [ReasoningPart("hm", "zz", "r1", "openai-chat", data), TextPart("a")]


def test_encrypted_reasoning_is_kept_whole():
    """Quirk 20: what nobody can read goes back to its provider as it came."""
    detail = {"type": "reasoning.encrypted", "data": "zz", "id": "r1", "index": 0}
    got = message(
        chunk({"reasoning": "hm"}),
        chunk({"reasoning_details": [detail]}),
        chunk({"content": "a"}, "stop"),
    )
    data = {"format": "openai-chat", "reasoning_details": [detail]}
    reasoning = ReasoningPart("hm", format="openai-chat", provider_data=data)
    assert got.parts == [reasoning, TextPart("a")]


def test_done_without_a_reason_is_unknown():
    """Quirk 21: `[DONE]` after a piece completes with UNKNOWN; without any piece it was truncated."""
    last = answer(chunk({"content": "a"}))[-1]
    assert (last.type, last.finish_reason, last.raw_finish_reason) == (
        EventType.MESSAGE_COMPLETE,
        FinishReason.UNKNOWN,
        None,
    )
    assert answer(chunk({"role": "assistant"}))[-1].error_info.kind == "truncated"
    assert answer()[-1].error_info.kind == "truncated"


def test_a_finish_reason_completes_without_done():
    """Quirks 4 and 21: the reason and a clean end are an end; text after the reason still counts."""
    data = sse(chunk({"content": "a"}, "stop"), chunk({"content": "b"}), done=False)
    decoder = ChatDecoder()
    events = decoder.feed(data)
    assert decoder.finishing
    assert not decoder.ended
    (last,) = decoder.finish()
    assert events[-1] == text_delta("b")
    assert last.message.text == "ab"


def test_the_last_finish_reason_wins():
    """Quirk 21: sent twice or changed, the later one is it; null says nothing."""
    last = answer(chunk({"content": "a"}, "stop"), chunk({}, "length"), chunk({}, None))[-1]
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.LENGTH, "length")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [*WORDS.items(), ("eos", FinishReason.STOP), ("STOP!", FinishReason.OTHER)],
)
def test_every_reason_has_its_word(raw, reason):
    """Known words are translated, unknown ones are OTHER; the provider's own word stays."""
    last = answer(chunk({"content": "a"}, raw))[-1]
    assert (last.finish_reason, last.raw_finish_reason) == (reason, raw)


def test_stop_after_a_call_means_tool_calls():
    """Some hosts say "stop" although a tool was called."""
    last = answer(tool_delta("{}", index=0, id="a", name="f"), chunk({}, "stop"))[-1]
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.TOOL_CALLS, "stop")


def test_message_beside_delta_is_not_read_twice():
    """Quirk 22: Perplexity and Writer repeat the whole text in `message`."""
    both = chunk({"content": "a"}, "stop")
    both["choices"][0]["message"] = {"role": "assistant", "content": "a"}
    assert message(both).text == "a"


def test_only_choice_zero_is_read():
    """Quirk 23: of several interleaved choices, the first is the answer."""
    other = chunk({"content": "z"}, "length")
    other["choices"][0]["index"] = 1
    last = answer(other, chunk({"content": "a"}), other, chunk({}, "stop"), other)[-1]
    assert (last.message.text, last.finish_reason) == ("a", FinishReason.STOP)


def test_a_refusal_is_its_own_part():
    """Quirk 24: `delta.refusal` is no text, and "stop" after it means REFUSAL."""
    events = answer(chunk({"refusal": "I "}), chunk({"refusal": "won't"}), chunk({}, "stop"))
    assert events[1:3] == [refusal_delta("I "), refusal_delta("won't")]
    assert events[-1].message.parts == [RefusalPart("I won't")]
    assert (events[-1].finish_reason, events[-1].message.text) == (FinishReason.REFUSAL, "")


def test_unknown_fields_are_ignored():
    """Quirk 25: extra keys anywhere change nothing."""
    plain = answer(chunk({"content": "a"}, "stop"))
    extra = chunk(
        {"content": "a", "x": []},
        "stop",
        service_tier="",
        timings={"a": 1},
        cost=None,
        obfuscation="zzz",
    )
    extra["choices"][0]["native_finish_reason"] = "END"
    assert answer(extra) == plain


def test_citations_come_as_annotations_or_as_a_growing_list():
    """Quirk 25: annotations in the delta, or Perplexity's cumulative list, each url once."""
    citation = {
        "url": "https://a.example",
        "title": "A",
        "content": "x",
        "start_index": 1,
        "end_index": 2,
    }
    got = message(
        chunk(
            {"content": "a", "annotations": [{"type": "url_citation", "url_citation": citation}]},
            "stop",
        )
    )
    assert got.sources == [Source(title="A", url="https://a.example", excerpt="x", start=1, end=2)]
    urls = ["https://a.example", "https://b.example"]
    results = [{"url": urls[0], "title": "A", "snippet": "x"}]
    got = message(
        chunk({"content": "a"}, citations=urls[:1], search_results=results),
        chunk({"content": "b"}, "stop", citations=urls, search_results=results),
    )
    assert got.sources == [Source(title="A", url=urls[0], excerpt="x"), Source(url=urls[1])]


@pytest.mark.parametrize(
    "failed",
    [
        {"error": {"message": "no sense", "code": "tool_use_failed", "status_code": 400}},
        chunk({"content": ""}, "error", error={"message": "no sense", "code": "tool_use_failed"}),
        {"object": "error", "message": "no sense", "code": "tool_use_failed"},
        {"message": "no sense", "code": "tool_use_failed", "type": "x"},
    ],
    ids=["alone", "beside a chunk", "vLLM", "bare"],
)
def test_an_error_wins(failed):
    """An error in any shape ends the answer, after a finish reason too, with what had come."""
    for before in ([chunk({"content": "a"})], [chunk({"content": "a"}, "stop")]):
        last = answer(*before, failed)[-1]
        assert (last.error_info.kind, last.error_info.message) == ("tool_use_failed", "no sense")
        assert last.error_info.partial.text == "a"


def test_a_finish_reason_error_is_no_answer():
    """A provider that ends its answer with the word "error" failed."""
    assert answer(chunk({"content": "a"}, "error"))[-1].error_info.kind == "server"


@pytest.mark.parametrize("arguments", ["", '{"x', "[1]", '"x"'])
def test_a_call_cut_by_the_limit_is_incomplete(arguments):
    """With "length" a call whose arguments are missing, cut or no object is marked incomplete."""
    got = message(
        tool_delta(index=0, id="a", name="f"), tool_delta(arguments, index=0), chunk({}, "length")
    )
    assert got.tool_calls == [ToolCall("a", "f", arguments, input=None, complete=False)]


def test_only_the_last_call_can_have_been_cut():
    """With "length" an earlier call without arguments is whole; arguments that parse are whole too."""
    got = message(
        tool_delta(index=0, id="a", name="f"),
        tool_delta('{"x":1}', index=1, id="b", name="g"),
        chunk({}, "length"),
    )
    assert [(call.id, call.complete, call.input) for call in got.tool_calls] == [
        ("a", True, {}),
        ("b", True, {"x": 1}),
    ]


def test_a_call_cut_by_the_network_appears_only_in_partial():
    """Without an end no TOOL_CALL leaves; `partial` shows what came."""
    events = answer(
        chunk({"content": "a"}), tool_delta('{"x', index=0, id="c", name="f"), done=False
    )
    assert not any(event.tool_call for event in events)
    assert events[-1].error_info.partial.parts == [
        TextPart("a"),
        ToolCall("c", "f", '{"x', complete=False),
    ]


def test_a_call_leaves_when_the_next_thing_begins():
    """A whole call need not wait for the end: the next piece lets it go, in order."""
    got = answer(
        tool_delta('{"x":1}', index=0, id="a", name="f"), chunk({"content": "b"}), chunk({}, "stop")
    )
    assert [str(event.type) for event in got] == [
        "message_start",
        "tool_call_delta",
        "tool_call",
        "text_delta",
        "message_complete",
    ]


def test_framing_quirks_do_not_matter():
    """Quirks 1 to 3: CRLF, comments, padding and a missing last blank line change nothing."""
    plain = sse(chunk({"content": "a\u2028b"}), chunk({}, "stop"))
    expected = decode(plain)
    assert decode(plain.replace(b"\n", b"\r\n")) == expected
    assert decode(b": PROCESSING\n\n" + plain.replace(b"\n\n", b"\n\n: ping\n\n")) == expected
    assert decode(plain.replace(b"data: ", b"data:").replace(b"}\n", b"}  \n")) == expected
    assert decode(plain.rstrip(b"\n")) == expected


# --- there and back ------------------------------------------------------------------------------------------

objects = st.dictionaries(strategies.text, strategies.json_values, min_size=1, max_size=3)
whole_usages = strategies.usages.filter(lambda usage: usage != Usage())
citations = st.builds(
    Source,
    title=st.none() | strategies.text,
    url=strategies.text,
    excerpt=st.none() | strategies.text,
    start=st.none() | strategies.counts,
    end=st.none() | strategies.counts,
)


def kept(details, **signed):
    """The provider's own details of the reasoning before them."""
    data = {"format": "openai-chat", "reasoning_details": details}
    return opaque("openai-chat", **signed, provider_data=data)


@st.composite
def signatures(draw):
    """Reasoning and its details, and a text that ends it."""
    said = draw(st.none() | strategies.some)
    text = {} if said is None else {"text": said}
    own_id, signature = draw(strategies.some), draw(strategies.some)
    signed = {"type": "reasoning.text", "index": 0, **text, "signature": signature, "id": own_id}
    sealed = {"type": "reasoning.encrypted", "data": draw(strategies.some), "index": 1}
    events = [] if said is None else [reasoning_delta(said)]
    if draw(st.booleans()):
        events.append(kept([signed, sealed], signature=signature, id=own_id))
    else:
        events.append(kept([sealed]))
    return [*events, text_delta(draw(strategies.some))]


plain_pieces = (
    st.builds(text_delta, strategies.some)
    | st.builds(reasoning_delta, strategies.some)
    | st.builds(refusal_delta, strategies.some)
    | st.builds(lambda source: StreamEvent(EventType.SOURCE, source=source), citations)
)
arguments = st.builds(
    lambda value, indent: json.dumps(value, indent=indent), objects, st.none() | st.just(1)
)


def call_events(index, id, name, text, cut, *, whole=True):
    """A call as the decoder gives it: announced, in pieces, whole."""
    cut = int(cut * len(text))
    deltas = [(id, name, text[:cut]), *([("", "", text[cut:])] if cut < len(text) else [])]
    if text[:cut].strip() == "{":  # it may be a placeholder's
        deltas = [(id, name, ""), ("", "", text[:cut]), ("", "", text[cut:])]
    parsed = parse_arguments(text) if whole else None
    call = ToolCall(id, name, text, input=parsed, complete=whole)
    return [
        *(
            StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(index, *delta))
            for delta in deltas
        ),
        StreamEvent(EventType.TOOL_CALL, tool_call=call),
    ]


@st.composite
def streams(draw):
    """Any answer that the format can express."""
    events, ids = [], []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            events += draw(plain_pieces.map(lambda piece: [piece]) | signatures())
        else:
            ids.append(draw(strategies.names.filter(lambda name: name not in ids)))
            fields = draw(st.tuples(strategies.names, arguments, st.floats(0, 1)))
            events += call_events(len(ids) - 1, ids[-1], *fields)
    if draw(st.booleans()):
        events += call_events(
            len(ids), "the last one", "f", '{"x": [1, 2', draw(st.floats(0, 1)), whole=False
        )
        ids.append("the last one")
    start = Start(draw(st.none() | strategies.some), draw(st.none() | strategies.some))
    first = next(
        (i for i, event in enumerate(events) if event.type is not EventType.STATUS), len(events)
    )
    pieces = len(events) - first
    words = st.sampled_from([*WORDS])
    raw = draw(words | st.none()) if pieces else draw(words)
    reason = FinishReason.UNKNOWN if raw is None else WORDS[raw]
    if reason is FinishReason.STOP and ids:
        reason = FinishReason.TOOL_CALLS
    elif reason is FinishReason.STOP and any(event.refusal_delta for event in events):
        reason = FinishReason.REFUSAL
    usage = draw(st.none() | whole_usages)
    whole = Message(
        "assistant",
        add_up(events),
        id=start.id,
        model=start.model,
        finish_reason=reason,
        usage=usage,
    )
    return [
        *events[:first],
        StreamEvent(EventType.MESSAGE_START, start=start),
        *events[first:],
        StreamEvent(
            EventType.MESSAGE_COMPLETE,
            start=start,
            message=whole,
            finish_reason=reason,
            raw_finish_reason=raw,
            usage=usage,
        ),
    ]


@given(streams())
def test_events_survive_the_wire(events):
    """Encoded and decoded, every stream that the format can express is the same."""
    check_stream(events)
    assert decode(encode(events)) == events


@given(streams())
def test_a_cut_stream_encodes_as_a_cut(events):
    """An answer that was truncated arrives as truncated, with the same pieces."""
    *pieces, _ = events
    again = decode(encode([*pieces, error(ErrorInfo("truncated", "cut"))]))
    assert again[-1].error_info.kind == "truncated"
    shown = [
        event
        for event in pieces
        if event.type is not EventType.MESSAGE_START and not event.tool_call
    ]
    assert [
        e for e in again[:-1] if e.type is not EventType.MESSAGE_START and not e.tool_call
    ] == shown


@given(streams())
def test_a_whole_message_encodes_as_an_answer(events):
    """A batch answer, MESSAGE_COMPLETE alone, becomes a stream with the same message but for its signatures."""
    again = decode(encode(events[-1:]))
    check_stream(again)
    got, wanted = again[-1].message, events[-1].message
    assert (got.text, got.reasoning, got.refusal, got.sources) == (
        wanted.text,
        wanted.reasoning,
        wanted.refusal,
        wanted.sources,
    )
    assert [(call.id, call.arguments) for call in got.tool_calls] == [
        (call.id, call.arguments) for call in wanted.tool_calls
    ]
    assert again[-1].finish_reason == events[-1].finish_reason


NAMED = [
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
]


@pytest.mark.parametrize("kind", strategies.KINDS)
@pytest.mark.parametrize("code", [None, "some_code"])
def test_an_error_survives_the_wire(kind, code):
    """Every kind that providers name arrives as itself; a cut as a cut; our own kinds as some error, retryable."""
    (last,) = decode(encode([error(ErrorInfo(kind, "what happened", code=code))]))
    if kind in NAMED:
        assert (last.error_info.kind, last.error_info.message) == (kind, "what happened")
    elif kind in ("truncated", "connection"):
        assert last.error_info.kind == "truncated"
    else:
        assert last.error_info.message == "what happened"


def test_what_the_format_has_no_place_for_is_left_out():
    """STATUS, files and the provider's own tools write nothing."""
    own = ToolCall("a", "search", "{}", executed_by="provider")
    for event in (
        StreamEvent(EventType.STATUS, status=Status("queued", "third")),
        StreamEvent(EventType.FILE, file=File(name="x")),
        StreamEvent(EventType.TOOL_CALL, tool_call=own),
        opaque("anthropic-messages", signature="s"),
    ):
        assert encode([event]) == b""


# --- requests ------------------------------------------------------------------------------------------------

names = strategies.names
images = st.builds(
    ImagePart, url=st.just("https://a.example/x.png"), detail=st.none() | st.just("low")
) | st.builds(
    ImagePart, data=st.just("aGk="), media_type=st.sampled_from(["image/png", "image/webp"])
)
files = st.builds(File, id=strategies.some) | st.builds(
    File, name=strategies.some, media_type=st.just("application/pdf"), data=st.just("aGk=")
)

texts = st.builds(TextPart, strategies.some)
speakers = st.builds(
    lambda role, parts, name: [Message(role, parts, name=name)],
    st.sampled_from(["system", "developer"]),
    st.lists(texts, min_size=1, max_size=3),
    st.none() | names,
) | st.builds(
    lambda parts, name: [Message("user", parts, name=name)],
    st.lists(texts | images | files, min_size=1, max_size=3),
    st.none() | names,
)


@st.composite
def rounds(draw):
    """An assistant's turn in the order that the format gives it: text, refusal, calls; then the answers to them."""
    said = strategies.some.filter(str.strip)
    parts = [TextPart(text) for text in draw(st.lists(said, max_size=1))]
    parts += [RefusalPart(text) for text in draw(st.lists(said, max_size=1))]
    answers = []
    for name, text in draw(st.lists(st.tuples(names, arguments), max_size=2)):
        id = f"call_{draw(st.uuids())}"[:40]
        parts.append(ToolCall(id, name, text, input=parse_arguments(text)))
        answers.append(Message("tool", [ToolResult(id, draw(strategies.text))]))
    name = draw(st.none() | names)
    return [Message("assistant", parts or [TextPart("ok")], name=name), *answers]


tools = st.builds(
    Tool, names, objects, description=st.none() | strategies.text, strict=st.none() | st.booleans()
) | st.builds(
    HostedTool,
    st.fixed_dictionaries({"type": st.just("builtin")}, optional={"x": strategies.json_values}),
)
tool_choices = st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])) | st.builds(
    ToolChoice, st.just("tool"), names
)
shapes = st.just(ResponseFormat()) | st.builds(
    ResponseFormat,
    strategies.objects,
    name=names,
    strict=st.none() | st.booleans(),
    description=st.none() | names,
)
own_options = st.dictionaries(
    st.sampled_from(["logprobs", "user", "prompt_cache_key", "store"]),
    strategies.json_values.filter(lambda value: value is not None),
    min_size=1,
)
requests = st.builds(
    ChatRequest,
    messages=st.lists(speakers | rounds(), min_size=1, max_size=4).map(
        lambda turns: [message for turn in turns for message in turn]
    ),
    model=strategies.some,
    tools=st.lists(tools, max_size=2),
    tool_choice=st.none() | tool_choices,
    parallel_tool_calls=st.none() | st.booleans(),
    response_format=st.none() | shapes,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    frequency_penalty=st.none() | st.floats(-2, 2),
    presence_penalty=st.none() | st.floats(-2, 2),
    verbosity=st.none() | st.sampled_from(["low", "high"]),
    service_tier=st.none() | st.sampled_from(["auto", "default", "flex", "priority"]),
    max_tokens=st.none() | st.integers(1, 10**6),
    stop=st.lists(strategies.some, max_size=3),
    seed=st.none() | st.integers(0, 2**31),
    reasoning_effort=st.none() | st.sampled_from(["low", "high"]),
    metadata=st.dictionaries(names, strategies.text, max_size=2),
    format_options=st.just({}) | own_options.map(lambda options: {FORMAT: options}),
)


def as_openai_takes_it(request):
    """A choice of tools only beside tools, labels only beside `store`."""
    if not request.tools:
        request = replace(request, tool_choice=None, parallel_tool_calls=None)
    choice = request.tool_choice
    if choice is not None and choice.mode == "tool":
        named = [name for tool in request.tools for name in sorted(names_of(tool))]
        request.tool_choice = replace(choice, name=named[0]) if named else None
    if request.metadata:
        members = {**request.format_options.get(FORMAT, {}), "store": True}
        request = replace(request, format_options={FORMAT: members})
    return request


@given(requests.map(as_openai_takes_it))
def test_a_request_survives_the_wire(request):
    """Rendered, sent as JSON and parsed, every request that the format can express is the same."""
    rendered = render_request(request)
    assert rendered.warnings == []
    assert parse_request(json.loads(json.dumps(rendered.body))) == request


def ask(*messages, **options):
    return ChatRequest(messages=list(messages) or [Message("user", "hi")], model="m", **options)


def test_a_request_is_rendered_as_documented():
    """The body of a plain request, in OpenAI's own words."""
    assert render_request(ask(max_tokens=5, stop=["x"], reasoning_effort="low")).body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 5,
        "stop": ["x"],
        "reasoning_effort": "low",
    }


def test_a_dialect_changes_what_its_host_does_not_know():
    """Field names, the role `developer` and reasoning follow the variant; what can't be said is warned of."""
    asked = ask(
        Message("developer", "be brief"),
        Message("user", "hi"),
        max_tokens=5,
        reasoning_effort="low",
    )
    variant = ChatVariant(
        "host", max_tokens="max_tokens", stream_usage=False, developer_role=False, reasoning=None
    )
    rendered = render_request(asked, variant)
    assert rendered.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 5,
    }
    assert [warning.split(":")[0] for warning in rendered.warnings] == ["reasoning_effort"]
    assert render_request(asked, ChatVariant(reasoning="reasoning")).body["reasoning"] == {
        "effort": "low"
    }


def test_provider_options_are_merged_last_and_only_ones_own():
    """`provider_options` of this provider override; those of others are left alone."""
    options = {"openai": {"seed": 2, "stream_options": {"x": 1}}, "anthropic": {"top_k": 3}}
    body = render_request(ask(seed=1, provider_options=options)).body
    assert body["seed"] == 2
    assert body["stream_options"] == {"include_usage": True, "x": 1}
    assert "top_k" not in body


def test_another_providers_answer_can_be_sent():
    """A whole answer, reasoning and foreign parts included, renders to what chat completions takes."""
    foreign = Message(
        "assistant",
        [
            ReasoningPart("hm", "sig", format="anthropic-messages"),
            TextPart("a"),
            Source(url="https://a.example"),
            ToolCall("s1", "search", "{}", executed_by="provider"),
            ToolResult("s1", {"x": 1}, executed_by="provider"),
            TextPart("b"),
            ToolCall("c1", "f", "", input={}),
        ],
        id="x",
        usage=Usage(1, 2),
    )
    sent = render_request(ask(foreign, Message("tool", [ToolResult("c1", {"y": 2})]))).body[
        "messages"
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert sent == [
        {"role": "assistant", "content": "ab", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"y":2}'},
    ]


def test_several_results_in_one_message_become_several():
    """Chat completions wants one message for each tool's answer."""
    calls = Message("assistant", [ToolCall("a", "f", "{}", {}), ToolCall("b", "f", "{}", {})])
    results = Message("tool", [ToolResult("a", "1"), ToolResult("b", "2")])
    sent = render_request(ask(calls, results)).body["messages"]
    assert [message.get("tool_call_id") for message in sent] == [None, "a", "b"]


def test_a_file_by_url_is_warned_of():
    """What the format can't take is named, not dropped in silence."""
    rendered = render_request(
        ask(Message("user", [TextPart("see"), File(url="https://a.example/x.pdf")]))
    )
    assert len(rendered.warnings) == 1
    assert rendered.warnings[0].startswith("file:")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages is empty"),
        ({"model": "m", "messages": "hi"}, "list"),
        ({"model": "m", "messages": [5]}, r"messages\[0\]"),
        (
            {"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "bot"}]},
            r"messages\[1\]\.role",
        ),
        ({"model": "m", "messages": [{"role": "user"}]}, r"messages\[0\]\.content is missing"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            r"content\[0\]\.type",
        ),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "image_url",
        ),
        ({"model": "m", "messages": [{"role": "user", "content": "\ud800"}]}, "surrogate"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, r"messages\[0\]\.content"),
        ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, "tool_call_id"),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
            r"tool_calls\[0\]",
        ),
        ({"model": "m", "messages": [{"role": "assistant", "tool_calls": 5}]}, "tool_calls"),
    ],
)
def test_a_bad_request_names_the_place(body, problem):
    """What can't be read is a TypeError or ValueError that says where."""
    with pytest.raises((TypeError, ValueError), match=problem):
        parse_request(body)


def test_unknown_fields_become_format_options():
    """What we have no name for is passed on, not lost."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "logit_bias": {"5": 1},
        "stream": True,
    }
    assert parse_request(body).format_options == {FORMAT: {"logit_bias": {"5": 1}}}


def test_the_shapes_that_callers_use_are_understood():
    """Data URLs, input_text, an image as a string, `max_tokens`, flat tools and `any`."""
    body = {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "image_url", "image_url": "https://a.example/x.png"},
                    {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}},
                ],
            },
            {"role": "assistant", "content": "b", "reasoning_content": "hm"},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "1"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "description": "d"}],
        "tool_choice": "any",
        "max_tokens": 5,
        "stop": "x",
    }
    parsed = parse_request(body)
    assert [message.parts for message in parsed.messages] == [
        [
            TextPart("a"),
            ImagePart("https://a.example/x.png"),
            ImagePart(data="aGk=", media_type="image/webp"),
        ],
        [ReasoningPart("hm"), TextPart("b")],
        [ToolResult("c", "1")],
    ]
    assert parsed.tools == [Tool("f", {"type": "object"}, "d")]
    assert (parsed.tool_choice, parsed.max_tokens, parsed.stop) == (
        ToolChoice("required"),
        5,
        ["x"],
    )


def test_a_call_does_not_leave_before_its_arguments():
    """Blank arguments may still grow, even after another call began."""

    def calls(index, arguments, **more):
        return chunk(
            {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}}]}
        )

    got = message(
        calls(0, " ", name="f"),
        calls(1, '{"b":2}', name="g"),
        calls(0, '{"a":1}'),
        chunk({}, "tool_calls"),
    )
    assert [call.input for call in got.tool_calls] == [{"a": 1}, {"b": 2}]


def test_what_litellm_signed_is_kept_whole_and_in_order():
    """Its blocks go back as they came, whatever pieces they came in; so do a vendor's own words of a call."""
    sealed = {"type": "redacted_thinking", "data": "zz"}
    pieces = [
        {"type": "thinking", "thinking": "h", "signature": None},
        {"type": "thinking", "thinking": "m", "signature": None},
        {"type": "thinking", "thinking": "", "signature": "s1"},
        sealed,
        {"type": "thinking", "thinking": "so", "signature": "s2"},
    ]
    fields = {"thought_signature": "s3"}
    begun = {"index": 0, "id": "x", "function": {"name": "get", "arguments": "{}"}}
    later = {"index": 0, "provider_specific_fields": fields}
    deltas = [{"reasoning_content": p.get("thinking"), "thinking_blocks": [p]} for p in pieces]
    deltas += [{"tool_calls": [call]} for call in (begun, later)]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    message = ChatDecoder().feed(body + b"data: [DONE]\n\n")[-1].message
    reasoning, call = message.parts
    assert (reasoning.text, reasoning.signature) == ("hmso", "s1")
    first = {"type": "thinking", "thinking": "hm", "signature": "s1"}
    assert reasoning.provider_data["thinking_blocks"] == [first, sealed, pieces[-1]]
    assert call.provider_data["provider_specific_fields"] == fields
