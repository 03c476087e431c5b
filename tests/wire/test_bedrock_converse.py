"""Bedrock's Converse, decoded, encoded, rendered and parsed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from llmstream.errors import ErrorInfo
from llmstream.events.types import (
    EventType,
    Start,
    StreamEvent,
    error,
    opaque,
    reasoning_delta,
    text_delta,
)
from llmstream.messages import (
    ChatRequest,
    File,
    FinishReason,
    HostedTool,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    Source,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from llmstream.wire import encoder
from llmstream.wire.bedrock_converse.decode import ConverseDecoder
from llmstream.wire.bedrock_converse.encode import ConverseEncoder
from llmstream.wire.bedrock_converse.request import parse_request, render_request
from llmstream.wire.bedrock_converse.whole_answer import render_answer
from llmstream.wire.framing.event_stream import EventStream
from tests.grammar_check import check_calls, check_stream
from tests.recordings import (
    all_answers,
    bytewise,
    decode,
    each_count,
    random_cuts,
    recordings,
    sizes,
)
from tests.wire.vendor_types import check_converse

FORMAT = "bedrock-converse"
FRAMING = EventStream()
PNG = "iVBORw0KGgo="
START = ("messageStart", {"role": "assistant"})


def begin(index, **start):
    return ("contentBlockStart", {"contentBlockIndex": index, "start": start})


def delta(index, **said):
    return ("contentBlockDelta", {"contentBlockIndex": index, "delta": said, "p": "abc"})


def end(index):
    return ("contentBlockStop", {"contentBlockIndex": index, "p": "ab"})


def ending(reason="end_turn", **more):
    return ("messageStop", {"stopReason": reason, **more})


def metadata(**more):
    usage = {"inputTokens": 10, "outputTokens": 9, "totalTokens": 19}
    return ("metadata", {"usage": usage, "metrics": {"latencyMs": 12}, **more})


def exception(name, **said):
    return FRAMING.exception(json.dumps(said).encode(), name)


def body_of(*events):
    """The bytes of events; bytes go in as they are."""
    return b"".join(
        event
        if isinstance(event, bytes)
        else FRAMING.frame(json.dumps(event[1], ensure_ascii=False).encode(), event[0])
        for event in events
    )


def events_of(*events):
    return decode(ConverseDecoder, [body_of(*events)])


def whole(**message):
    document = {"output": {"message": {"role": "assistant", **message}}, "stopReason": "end_turn"}
    return decode(ConverseDecoder, [json.dumps(document).encode()])


def written(events):
    encoder = ConverseEncoder()
    return b"".join(encoder.feed(event) for event in events)


TEXT = (delta(0, text="Hel"), delta(0, text="lo"))
CALL = (
    begin(1, toolUse={"toolUseId": "tooluse_1", "name": "weather"}),
    delta(1, toolUse={"input": ""}),
    delta(1, toolUse={"input": '{"city": '}),
    delta(1, toolUse={"input": '"Oslo"}'}),
    end(1),
)
ANSWER = body_of(START, *TEXT, end(0), *CALL, ending("tool_use"), metadata())


def test_text_a_call_and_the_usage():
    events = decode(ConverseDecoder, [ANSWER])
    last = check_stream(events)
    check_calls(events)
    assert last.message.text == "Hello"
    assert [(c.id, c.name, c.input) for c in last.message.tool_calls] == [
        ("tooluse_1", "weather", {"city": "Oslo"})
    ]
    assert (last.finish_reason, last.raw_finish_reason) == (FinishReason.TOOL_CALLS, "tool_use")
    assert last.usage == Usage(10, 9)
    assert last.stop_details == {"metrics": {"latencyMs": 12}}
    assert last.start == Start()


def test_every_chunking_gives_the_same_events():
    whole = decode(ConverseDecoder, [ANSWER])
    assert decode(ConverseDecoder, bytewise(ANSWER)) == whole
    for at in sizes(len(ANSWER), 200):
        assert decode(ConverseDecoder, [ANSWER[:at], ANSWER[at:]]) == whole


def test_every_prefix_is_truncated_until_the_reason_has_come():
    """After it a cut costs the usage, and nothing else."""
    stop = ANSWER.index(body_of(ending("tool_use"))) + len(body_of(ending("tool_use")))
    for size in [*sizes(len(ANSWER), 200), stop - 1, stop]:
        last = check_stream(decode(ConverseDecoder, [ANSWER[:size]]))
        if size >= stop:
            assert (last.type, last.usage) == (EventType.MESSAGE_COMPLETE, None)
            assert last.message.text == "Hello"
        else:
            assert last.error_info.kind == "truncated"


def test_a_decoder_that_has_seen_the_reason_only_waits_for_the_end():
    reader = ConverseDecoder()
    reader.feed(body_of(START, *TEXT, end(0)))
    assert not reader.finishing
    reader.feed(body_of(ending()))
    assert reader.finishing
    assert not reader.ended


def test_reasoning_is_signed_redacted_or_neither():
    events = events_of(
        START,
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"signature": "si"}),
        delta(0, reasoningContent={"signature": "g1"}),
        end(0),
        delta(1, reasoningContent={"signature": "sig2"}),
        end(1),
        delta(2, reasoningContent={"redactedContent": base64.b64encode(b"abcd").decode()}),
        delta(2, reasoningContent={"redactedContent": base64.b64encode(b"efg").decode()}),
        end(2),
        delta(3, reasoningContent={"text": "Unsigned"}),
        end(3),
        delta(4, text="Yes"),
        end(4),
        ending(),
    )
    redacted = {"redactedContent": base64.b64encode(b"abcdefg").decode()}
    assert check_stream(events).message.parts == [
        ReasoningPart("Hm", "sig1", format=FORMAT),
        ReasoningPart("", "sig2", format=FORMAT),
        ProviderPart(FORMAT, {"reasoningContent": redacted}),
        ReasoningPart("Unsigned"),
        TextPart("Yes"),
    ]


def test_a_signature_without_the_end_of_its_block_is_kept():
    signed = delta(0, reasoningContent={"signature": "sig"})
    for after in ((delta(1, text="Hi"), ending()), (ending(),)):
        events = events_of(START, delta(0, reasoningContent={"text": "Hm"}), signed, *after)
        parts = check_stream(events).message.parts
        assert parts[0] == ReasoningPart("Hm", "sig", format=FORMAT)


def test_tools_that_amazon_runs_have_their_results():
    run = {"toolUseId": "t", "name": "nova_code_interpreter", "type": "server_tool_use"}
    result = {"toolUseId": "t", "type": "nova_code_interpreter_result", "status": "error"}
    events = events_of(
        START,
        begin(0, toolUse=run),
        delta(0, toolUse={"input": '{"snippet":"1"}'}),
        end(0),
        begin(1, toolResult=result),
        delta(1, toolResult=[{"text": "a"}]),
        delta(1, toolResult=[{"text": "b"}, {"json": {"exitCode": 1}}]),
        end(1),
        delta(2, text="So."),
        end(2),
        ending(),
    )
    last = check_stream(events)
    call, found, _ = last.message.parts
    assert (call.executed_by, call.input, call.complete) == ("provider", {"snippet": "1"}, True)
    assert found.content == [{"text": "ab"}, {"json": {"exitCode": 1}}]
    assert (found.name, found.is_error) == ("nova_code_interpreter", True)
    assert last.message.tool_calls == []
    assert last.finish_reason is FinishReason.STOP


@pytest.mark.parametrize(
    ("citation", "source"),
    [
        (
            {"location": {"web": {"url": "https://a.example", "domain": "a.example"}}},
            Source(title="a.example", url="https://a.example"),
        ),
        (
            {
                "title": "D",
                "sourceContent": [{"text": "quo"}, {"text": "te"}],
                "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
            },
            Source(title="D", excerpt="quote", start=1, end=2),
        ),
        (
            {"source": "https://b.example", "location": {"searchResultLocation": {"start": 0}}},
            Source(url="https://b.example", start=0),
        ),
        ({"location": None, "sourceContent": None}, Source()),
    ],
)
def test_citations_become_sources(citation, source):
    events = events_of(START, *TEXT, delta(0, citation=citation), end(0), ending())
    assert check_stream(events).message.sources == [source]


def test_cited_and_uncited_text_stay_apart():
    cite = delta(1, citation={"location": {"web": {"url": "https://a.example"}}})
    events = events_of(START, *TEXT, end(0), delta(1, text=" world"), cite, end(1), ending())
    texts = [part.text for part in check_stream(events).message.parts if part.type == "text"]
    assert texts == ["Hello", " world"]


def test_a_picture_comes_in_pieces():
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    events = events_of(
        START,
        begin(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": picture[:8]}}),
        delta(0, image={"source": {"bytes": picture[8:]}}),
        end(0),
        begin(1, image={"format": "png"}),
        delta(1, image={"source": {"s3Location": {"uri": "s3://bucket/a.png"}}}),
        end(1),
        ending(),
    )
    assert check_stream(events).message.parts == [
        File(media_type="image/png", data=picture),
        File(media_type="image/png", url="s3://bucket/a.png"),
    ]


def test_a_picture_that_failed_is_told():
    failed = delta(0, image={"error": {"message": "the policy forbids it"}})
    events = events_of(START, begin(0, image={"format": "png"}), failed, end(0), *TEXT, ending())
    (status,) = [e.status for e in events if e.status and e.status.kind == "unread"]
    assert status.data["members"] == ["image.error"]


def test_what_the_guardrail_and_the_router_did_is_told():
    trace = {
        "guardrail": {"actionReason": "Guardrail blocked."},
        "promptRouter": {"invokedModelId": "arn:aws:bedrock:x"},
    }
    events = events_of(
        START,
        *TEXT,
        end(0),
        ending("guardrail_intervened", additionalModelResponseFields={"stop_sequence": "END"}),
        metadata(trace=trace, serviceTier={"type": "flex"}),
    )
    last = check_stream(events)
    assert last.finish_reason is FinishReason.CONTENT_FILTER
    assert last.stop_details == {
        "additionalModelResponseFields": {"stop_sequence": "END"},
        "metrics": {"latencyMs": 12},
        "serviceTier": {"type": "flex"},
        "trace": trace,
    }
    (status,) = [event.status for event in events if event.status]
    assert (status.kind, status.data) == ("routed", {"model": "arn:aws:bedrock:x"})


def test_cached_input_is_counted_with_the_rest():
    usage = {
        "inputTokens": 4,
        "outputTokens": 2,
        "totalTokens": 36,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 10,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 10}],
    }
    last = events_of(START, *TEXT, ending(), ("metadata", {"usage": usage}))[-1]
    assert last.usage == Usage(34, 2, cache_read_tokens=20, cache_write_tokens=10)


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("throttlingException", {"message": "Too many tokens"}, "rate_limit"),
        ("serviceUnavailableException", {"message": "no capacity"}, "overloaded"),
        ("internalServerException", {"message": "sorry"}, "server"),
        ("validationException", {"message": "Input is too long"}, "context_length"),
        ("validationException", {"message": "no such member"}, "invalid_request"),
        ("modelStreamErrorException", {"message": "sorry"}, "server"),
        (
            "modelStreamErrorException",
            {"message": "sorry", "originalStatusCode": 429, "originalMessage": "slow down"},
            "rate_limit",
        ),
        (
            "modelStreamErrorException",
            {"message": "sorry", "originalStatusCode": 400, "originalMessage": "a bad image"},
            "invalid_request",
        ),
        ("accessDeniedException", {"message": "no access"}, "permission"),
        ("somethingNewException", {"Message": "hm"}, "server"),
    ],
)
@pytest.mark.parametrize("before", [(), (START,), (START, *TEXT)], ids=["first", "begun", "amid"])
def test_an_exception_ends_the_stream(name, said, kind, before):
    last = check_stream(events_of(*before, exception(name, **said), *TEXT, ending()))
    info = last.error_info
    assert (info.kind, info.code, info.status_code) == (kind, name, None)
    told = said.get("originalMessage") or said.get("message") or said["Message"]
    assert told in info.message


def test_a_wrong_checksum_is_a_protocol_error():
    body = body_of(START, *TEXT)
    changed = body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]
    last = check_stream(decode(ConverseDecoder, [changed, body_of(ending())]))
    assert last.error_info.kind == "protocol"
    assert "checksum" in last.error_info.message
    assert last.error_info.partial.text == "Hel"


def test_a_whole_answer():
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    cited = {"citations": [{"title": "D"}], "content": [{"text": "lo"}]}
    content = [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"text": "Hel"},
        {"citationsContent": cited},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        {"image": {"format": "png", "source": {"bytes": picture}}},
        {"guardContent": {"text": {"text": "x"}}},
    ]
    events = whole(content=content)
    last = check_stream(events)
    assert last.message.parts == [
        ReasoningPart("Hm", "sig", format=FORMAT),
        ProviderPart(FORMAT, {"reasoningContent": {"redactedContent": "AAAA"}}),
        TextPart("Hel"),
        TextPart("lo"),
        Source(title="D"),
        ToolCall("t", "f", '{"a":1}', {"a": 1}),
        File(media_type="image/png", data=picture),
        ProviderPart(FORMAT, {"guardContent": {"text": {"text": "x"}}}),
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"output": {"message": {"role": "assistant"}}},
        {"output": None, "stopReason": "end_turn"},
        {"message": "The provided model identifier is invalid."},
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}},
    ],
)
def test_another_document_is_not_an_answer(document):
    last = check_stream(decode(ConverseDecoder, [json.dumps(document).encode()]))
    assert last.error_info.kind == "wrong_body"


def test_a_frame_of_the_wrong_shape_is_a_protocol_error():
    for event in (
        begin(0, toolUse={"toolUseId": 1, "name": "f"}),
        begin(0, toolUse=5),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": 5}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": 5}),
        ("contentBlockDelta", {"contentBlockIndex": "0", "delta": {"text": "x"}}),
        delta(0, text=7),
        delta(0, reasoningContent={"text": 7}),
        delta(0, reasoningContent={"redactedContent": 7}),
    ):
        last = check_stream(events_of(START, event, ending()))
        assert last.error_info.kind == "protocol", event


@pytest.mark.parametrize("lose", ["name", "index", "wrapped"])
def test_events_that_lost_their_names_or_places_mean_the_same(lose):
    """As gateways pass them on."""

    def changed(event):
        name, payload = event
        if lose == "name":
            return ("", payload)
        if lose == "wrapped":
            return ("chunk", {name: payload})
        return (name, {key: payload[key] for key in payload if key != "contentBlockIndex"})

    events = [START, *TEXT, end(0), *CALL, ending("tool_use"), metadata()]
    assert events_of(*map(changed, events)) == decode(ConverseDecoder, [ANSWER])


def test_blocks_that_begin_twice_or_never_are_one_call():
    start = CALL[0]
    for events in ((start, *CALL), (*CALL[:2], start, *CALL[2:]), CALL[:-1]):
        last = check_stream(events_of(START, *events, ending("tool_use")))
        assert [(c.name, c.input) for c in last.message.tool_calls] == [
            ("weather", {"city": "Oslo"})
        ]


def test_arguments_without_a_call_are_an_error():
    last = check_stream(events_of(START, *CALL[2:], ending("tool_use")))
    assert last.error_info.kind == "invalid_output"


@pytest.mark.parametrize(
    ("arguments", "complete"), [('{"city": "O', False), ("", False), ('{"city": "Oslo"}', True)]
)
def test_a_call_at_the_token_limit_is_complete_only_with_whole_arguments(arguments, complete):
    events = events_of(
        START, CALL[0], delta(1, toolUse={"input": arguments}), end(1), ending("max_tokens")
    )
    call = events[-1].message.parts[0]
    assert (call.complete, call.input is not None) == (complete, complete)


def test_members_that_nobody_knows_are_named():
    events = events_of(
        START,
        delta(0, hologram={"x": "words"}),
        begin(1, hologram={"x": "words"}),
        *TEXT,
        ("novelty", {"words": "x"}),
        ending(novelty="words"),
    )
    (status,) = [event.status for event in events if event.status]
    assert status.data["members"] == [
        "delta.hologram",
        "start.hologram",
        "novelty",
        "messageStop.novelty",
    ]


def test_nulls_are_nothing():
    events = events_of(
        ("messageStart", {"role": None}),
        begin(0, toolUse=None),
        delta(0, text=None, toolUse=None, reasoningContent=None),
        delta(0, reasoningContent={"text": None, "signature": None}),
        *TEXT,
        ending(additionalModelResponseFields=None),
        ("metadata", {"usage": None, "metrics": None, "trace": None}),
    )
    last = check_stream(events)
    assert (last.message.parts, last.usage, last.stop_details) == ([TextPart("Hello")], None, None)


# --- out ---------------------------------------------------------------------------------------------------


def test_what_the_encoder_writes_is_read_again():
    events = decode(ConverseDecoder, [ANSWER])
    assert decode(ConverseDecoder, [written(events)]) == events


@pytest.mark.parametrize("kind", ["truncated", "connection"])
def test_only_a_cut_expresses_a_cut(kind):
    assert written([error(ErrorInfo(kind, "cut"))]) == b""


def test_opaque_data_before_the_start_is_written_after_it():
    signed = [reasoning_delta("Hm"), opaque(FORMAT, signature="s"), text_delta("Hi")]
    events = events_of(
        START, delta(0, reasoningContent={"signature": "s"}), end(0), *TEXT, ending()
    )
    assert events[0].is_internal
    assert decode(ConverseDecoder, [written(events)]) == events
    assert b"signature" in written([*decode(ConverseDecoder, [ANSWER])[:1], *signed])


def test_clients_of_messages_dont_hear_what_only_bedrock_says():
    """Their types know the details of a refusal alone."""
    feed = encoder("anthropic-messages").feed
    told = b"".join(map(feed, decode(ConverseDecoder, [ANSWER])))
    assert b"metrics" not in told
    assert b"message_stop" in told


# --- requests -----------------------------------------------------------------------------------------------

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
HI = [Message("user", "hi")]
PDF = b"%PDF-1.4 x"


def body(model=CLAUDE, messages=HI, **options):
    """What goes out, which botocore's model of the service takes, and the warnings."""
    rendered = render_request(ChatRequest(messages, model, **options))
    check_converse(rendered.body)
    return rendered.body, [warning.partition(":")[0] for warning in rendered.warnings]


def test_a_plain_question_is_no_more_than_that():
    asked, warned = body()
    turns = [{"role": "user", "content": [{"text": "hi"}]}]
    assert asked == {"modelId": CLAUDE, "messages": turns, "stream": True}
    assert warned == []


@pytest.mark.parametrize(
    ("model", "effort", "members"),
    [
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (CLAUDE, "none", {"thinking": {"type": "disabled"}}),
        ("anthropic.claude-opus-5-5-v1:0", "max", {"thinking": {"type": "adaptive"}}),
        (NOVA, "high", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA, "none", {"reasoningConfig": {"type": "disabled"}}),
        ("openai.gpt-oss-120b-1:0", "medium", {"reasoning_effort": "medium"}),
    ],
)
def test_each_model_is_told_in_its_own_words_how_long_to_think(model, effort, members):
    asked, warned = body(model, reasoning_effort=effort)
    assert asked["additionalModelRequestFields"] == members
    assert warned == []
    again = parse_request(asked)
    assert again.reasoning_effort == effort
    assert render_request(again).body == asked


def test_other_models_are_told_nothing_of_it():
    asked, warned = body("meta.llama3-3-70b-instruct-v1:0", reasoning_effort="low", top_k=3)
    assert "additionalModelRequestFields" not in asked
    assert warned == ["reasoning_effort", "top_k"]


def test_a_choice_counts_for_amazons_own_tools():
    tool = HostedTool({"type": "systemTool", "name": "nova_grounding"})
    asked, warned = body(NOVA, tools=[tool], tool_choice=ToolChoice("auto"))
    config = {"tools": [{"systemTool": {"name": "nova_grounding"}}], "toolChoice": {"auto": {}}}
    assert (asked["toolConfig"], warned) == (config, [])
    assert parse_request(asked).tools == [tool]


def test_calls_are_forbidden_by_leaving_the_tools_out_where_that_may_be():
    call = ToolCall("t", "f", "{}", {})
    history = [*HI, Message("assistant", [call]), Message("tool", [ToolResult("t", "5")])]
    none = {"tools": [Tool("f")], "tool_choice": ToolChoice("none")}
    for messages, sent in ((HI, False), (history, True)):
        asked, warned = body(messages=messages, **none)
        assert ("toolConfig" in asked, warned) == (sent, ["tool_choice"])


def test_a_history_with_calls_has_tools_whatever_the_request_says():
    call = ToolCall("t", "f", "{}", {})
    history = [*HI, Message("assistant", [call]), Message("tool", [ToolResult("t", "5")])]
    asked, warned = body(messages=history)
    (tool,) = asked["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], warned) == ("f", [])
    assert parse_request(asked).tools == []


def test_what_the_caller_sends_himself_counts_for_the_rules():
    own = {"bedrock": {"inferenceConfig": {"topP": 0.3}}}
    asked, warned = body(temperature=0.5, provider_options=own)
    assert (asked["inferenceConfig"], warned) == ({"topP": 0.3}, ["temperature"])


def test_documents_have_names_of_their_own_and_a_text_beside_them():
    file = File(name="my_file v1.2.pdf", data=PDF)
    asked, warned = body(messages=[Message("user", [file, file])])
    (turn,) = asked["messages"]
    text, first, second = turn["content"]
    assert text == {"text": "[Document]"}
    names = [block["document"]["name"] for block in (first, second)]
    assert (names, warned) == (["my-file v1-2", "my-file v1-2 2"], [])
    assert [part.type for part in parse_request(asked).messages[0].parts] == ["file", "file"]


def test_what_stands_in_s3_goes_by_its_address_and_other_addresses_dont():
    parts = [
        TextPart("x"),
        ImagePart("s3://b/x.png"),
        File(url="s3://b/x.mp4"),
        File(url="s3://b/x.csv", name="x"),
        File(url="https://a.example/x.pdf"),
        ImagePart("https://a.example/x.png"),
    ]
    asked, warned = body(messages=[Message("user", parts)])
    (turn,) = asked["messages"]
    assert [next(iter(block)) for block in turn["content"]] == [
        "text",
        "image",
        "video",
        "document",
    ]
    assert sorted(warned) == ["file", "image"]


@pytest.mark.parametrize(("model", "marked"), [(CLAUDE, True), (NOVA, True), ("meta.x", False)])
def test_a_mark_is_a_block_behind_its_part_where_the_model_takes_one(model, marked):
    history = [Message("system", [TextPart("s", "1h")]), Message("user", [TextPart("hi", "5m")])]
    asked, warned = body(model, history, tools=[Tool("f", cache="5m")])
    points = json.dumps(asked).count('"cachePoint"')
    assert (points, warned) == (3 if marked else 0, [])
    if marked:
        again = parse_request(asked)
        assert again.messages == history
        assert again.tools == [Tool("f", cache="5m")]


def test_five_marks_are_one_too_many():
    history = [Message("user", [TextPart(str(number), "5m") for number in range(5)])]
    asked, warned = body(messages=history)
    assert (json.dumps(asked).count('"cachePoint"'), warned) == (4, ["cache"])


def test_citations_go_back_with_their_text():
    citation = {"title": "D", "location": {"web": {"url": "https://a.example"}}}
    events = events_of(START, *TEXT, delta(0, citation=citation), end(0), ending())
    message = events[-1].message
    asked, _ = body(messages=[*HI, message, *HI])
    cited = {"content": [{"text": "Hello"}], "citations": [citation]}
    assert asked["messages"][1]["content"] == [{"citationsContent": cited}]
    parsed = parse_request(asked).messages[1]
    assert (parsed.text, parsed.sources) == ("Hello", message.sources)


@pytest.mark.parametrize(
    "block",
    [
        {"guardContent": {"text": {"text": "x"}}},
        {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
        {"document": {"name": "d", "format": "txt", "source": {"text": "x"}}},
        {
            "image": {
                "format": "png",
                "source": {"s3Location": {"uri": "s3://b", "bucketOwner": "1"}},
            }
        },
        {"cachePoint": {"type": "default"}},
    ],
)
def test_blocks_we_have_no_part_for_go_through(block):
    content = [block, {"text": "hi"}]
    asked = {"modelId": CLAUDE, "messages": [{"role": "user", "content": content}]}
    assert render_request(parse_request(asked)).body["messages"] == asked["messages"]


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"modelId": 5}, "modelId"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": []}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user", "content": "hi"}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": [{}]}]}, r"content\[0\]"),
        ({"messages": [{"role": "user", "content": [{"text": 5}]}]}, r"content\[0\].text"),
        ({"inferenceConfig": 5}, "inferenceConfig"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolSpec"),
        ({"outputConfig": {"textFormat": {}}}, "textFormat"),
    ],
)
def test_a_wrong_body_is_refused_by_its_place(wrong, place):
    good = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    with pytest.raises((TypeError, ValueError), match=place):
        parse_request({**good, **wrong})


# --- recordings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recording_gives_what_is_expected(recording):
    expect = recording.expect
    reader = ConverseDecoder()
    events = [*reader.feed(recording.body), *reader.finish()]
    last = check_stream(events)
    check_calls(events)
    assert last.type is EventType.MESSAGE_COMPLETE
    assert not any(event.status and event.status.kind == "unread" for event in events)
    message = last.message
    assert message.text == expect["text"]
    assert message.reasoning == (expect["reasoning"] or "")
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    assert [(c.id, c.name, c.arguments, c.input) for c in calls] == [
        (c["id"], c["name"], c["arguments"], c["arguments_json"]) for c in expect["tool_calls"]
    ]
    assert len(message.sources) == expect["citations_count"]
    assert last.raw_finish_reason == expect["finish_reason_raw"]
    usage = expect["usage_raw"]
    assert last.usage == Usage(usage["inputTokens"], usage["outputTokens"])
    assert reader.frames == expect["frames"]


@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recordings_events_survive_chunking_and_the_round_trip(recording):
    events = decode(ConverseDecoder, [recording.body])
    for seed in range(3):
        assert decode(ConverseDecoder, random_cuts(recording.body, seed)) == events
    if len(recording.body) < 60_000:
        assert decode(ConverseDecoder, bytewise(recording.body)) == events
    again = decode(ConverseDecoder, [written(events)])
    assert again == events


@pytest.mark.parametrize("case", all_answers(FORMAT))
def test_a_whole_answer_says_what_its_stream_says(case):
    """Rendered as one document and read again, it has the same parts, reason and usage."""
    if case is None:
        pytest.skip("no recordings")
    last = decode(ConverseDecoder, [case.body])[-1]
    if last.message is None:
        return
    read = decode(ConverseDecoder, [json.dumps(render_answer(last)).encode()])[-1]
    assert without_blanks(read.message) == without_blanks(last.message)
    assert (read.finish_reason, read.usage) == (last.finish_reason, last.usage)


def without_blanks(message):
    """The parts, whatever the blanks in arguments."""
    is_call = [isinstance(part, ToolCall) and part.complete for part in message.parts]
    parts = zip(message.parts, is_call, strict=True)
    return [replace(part, arguments="") if whole else part for part, whole in parts]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (TextPart("Hi"), {"text": "Hi"}),
        (
            ToolCall("t", "f", '{"a": 1}', {"a": 1}),
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        ),
        (ToolCall("t", "f", "", {}), {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}),
        (
            ReasoningPart("Hm", "c2ln", format=FORMAT),
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
        ),
        (
            ProviderPart(FORMAT, {"reasoningContent": {"redactedContent": "eA=="}}),
            {"reasoningContent": {"redactedContent": "eA=="}},
        ),
        (
            File(data=PNG, media_type="image/png"),
            {"image": {"format": "png", "source": {"bytes": PNG}}},
        ),
    ],
)
def test_each_part_of_a_whole_answer_is_a_block(part, block):
    message = Message("assistant", [part])
    event = StreamEvent(
        EventType.MESSAGE_COMPLETE, message=message, finish_reason=FinishReason.STOP
    )
    assert render_answer(event)["output"]["message"]["content"] == [block]


@each_count
@pytest.mark.parametrize("recording", recordings(FORMAT))
def test_a_recordings_prefixes_are_truncated(recording, count):
    body = recording.body
    text = recording.expect["text"]
    (own_end,) = [
        at + len(frame) for at, frame in _placed(FRAMING.split(body)) if b"messageStop" in frame
    ]
    for size in sizes(own_end, count):
        last = check_stream(decode(ConverseDecoder, [body[:size]]))
        assert last.error_info.kind == "truncated"
        if last.error_info.partial is not None:
            assert text.startswith(last.error_info.partial.text)


def _placed(frames):
    at = 0
    for frame in frames:
        yield at, frame
        at += len(frame)
