"""OpenAI's own Python client, and its types, against the Responses dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import CompactedResponse, Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

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
    FinishReason,
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolChoice,
)
from llmstream.web.dialects import OpenAIResponses
from llmstream.web.errors import RefusedError
from llmstream.web.recent_items import RecentItems
from llmstream.wire import decoder
from tests import strategies as s
from tests.web.dialects.gateway import Gateway
from tests.web.dialects.legal import Legal, legal_streams

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ASKED = {"model": "m", "input": "hi", "stream": True}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
GROUP = {
    "type": "namespace",
    "name": "agents",
    "description": "Agents.",
    "tools": [
        {"type": "function", "name": "close", "description": "", "parameters": {}, "strict": False}
    ],
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "A patch."}
CODES = frozenset({"context_length_exceeded", "insufficient_quota"})
"""Codes of a failed response that Codex knows and the client's types don't."""
ODD = '"type": "redacted_thinking"'
"""An item of a Responses provider that the client's types don't know; it goes on as it came."""
START = StreamEvent(EventType.MESSAGE_START, start=Start("i", "m"))


def dialect() -> OpenAIResponses:
    return OpenAIResponses(now=lambda: 1_800_000_000.5, new_id=lambda: "x")


def streamed(events: list[StreamEvent], **body: Any) -> list[dict[str, Any]]:
    """The payloads of a streamed answer."""
    made = dialect()
    encoder = made.encoder(made.parse({**ASKED, **body}))
    data = b"".join(encoder.feed(event) for event in events)
    frames = [frame.partition(b"\ndata: ") for frame in data.split(b"\n\n") if frame]
    payloads = [json.loads(data) for _, _, data in frames]
    assert [f"event: {each['type']}".encode() for each in payloads] == [name for name, *_ in frames]
    return payloads


def document(event: StreamEvent, **body: Any) -> dict[str, Any]:
    """A whole answer."""
    made = dialect()
    return json.loads(json.dumps(made.document(made.parse({**ASKED, **body}), event), default=str))


def completed(*parts: Any, **fields: Any) -> StreamEvent:
    message = Message("assistant", list(parts))
    return StreamEvent(EventType.MESSAGE_COMPLETE, message=message, **fields)


def check_official(payload: dict[str, Any]) -> None:
    """Raise for what the client's types don't allow, strictly."""
    if ODD in json.dumps(payload):
        return
    response = payload.get("response") or {}
    if response.get("error"):
        assert (
            response["error"]["code"]
            in {"server_error", "rate_limit_exceeded", "invalid_prompt"} | CODES
        )
        payload = {**payload, "response": {**response, "error": None}}
    EVENT.validate_json(json.dumps(payload), strict=True)


@given(legal_streams())
def test_events_are_the_official_ones(legal: Legal) -> None:
    payloads = streamed(legal.events)
    for payload in payloads:
        check_official(payload)
    assert [each["sequence_number"] for each in payloads] == [*range(len(payloads))]
    kinds = [each["type"] for each in payloads]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    ends = {"response.completed", "response.incomplete", "response.failed"}
    assert [kind for kind in kinds if kind in ends] == kinds[-1:]
    failed = kinds[-1] == "response.failed"
    assert failed == (legal.events[-1].type is EventType.ERROR or legal.torn or legal.lost)
    check_items(payloads)
    if ODD in json.dumps(payloads):
        return  # our decoder would name it
    data = b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in payloads)
    reader = decoder("openai-responses")
    read = [*reader.feed(data), *reader.finish()]
    assert (read[-1].type is EventType.ERROR) == failed
    if not failed:
        assert read[-1].message is not None
        assert sorted(read[-1].message.text + read[-1].message.refusal) == sorted(legal.text)


def check_items(payloads: list[dict[str, Any]]) -> None:
    """Each item keeps its id and its type from the first event that names it to the whole response."""
    added: dict[int, tuple[str, str]] = {}
    done: dict[int, dict[str, Any]] = {}
    for each in payloads:
        index = each.get("output_index")
        if each["type"] == "response.output_item.added":
            added[index] = each["item"].get("id"), each["item"]["type"]
        elif each["type"] == "response.output_item.done":
            assert (each["item"].get("id"), each["item"]["type"]) == added[index]
            done[index] = each["item"]
        elif "item_id" in each:
            assert each["item_id"] == added[index][0]
    if payloads[-1]["type"] != "response.failed":
        assert payloads[-1]["response"]["output"] == [done[index] for index in sorted(added)]
    ids = [id for id, _ in added.values() if id is not None]
    assert len({*ids}) == len(ids)


@given(s.messages, st.sampled_from(list(FinishReason)), s.or_none(s.usages))
def test_documents_are_the_official_ones(message: Message, reason: Any, usage: Any) -> None:
    message.parts = [part for part in message.parts if part.type not in ("provider", "tool_result")]
    event = StreamEvent(
        EventType.MESSAGE_COMPLETE, message=message, finish_reason=reason, usage=usage
    )
    answer = Response.model_validate_json(json.dumps(document(event)), strict=True)
    assert answer.output_text == message.text
    spoken = completed(*message.parts, finish_reason=reason, usage=usage)
    *_, last = streamed([spoken])
    assert last["response"] == document(event)


# --- what the answer says ---------------------------------------------------------------------------------------


def test_an_answer_repeats_its_request_and_has_the_defaults_elsewhere() -> None:
    plain = document(completed(TextPart("x")))
    assert (plain["temperature"], plain["top_p"], plain["truncation"]) == (1.0, 1.0, "disabled")
    assert plain["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    assert plain["reasoning"] == {"effort": None, "summary": None}
    assert (plain["store"], plain["background"], plain["tools"]) == (False, False, [])
    assert (plain["created_at"], plain["completed_at"]) == (1_800_000_000, 1_800_000_000)
    given = {
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "temperature": 0.5,
        "tool_choice": {"type": "function", "name": "weather"},
        "top_p": 0.25,
        "truncation": "auto",
    }
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    told = document(
        completed(TextPart("x")),
        **given,
        reasoning={"effort": "low", "summary": "auto"},
        text={"format": schema, "verbosity": "low"},
        tools=[WEATHER, GROUP],
    )
    assert {name: told[name] for name in given} == given
    assert told["reasoning"] == {"effort": "low", "summary": "auto"}
    assert told["text"] == {"format": {"description": None, **schema}, "verbosity": "low"}
    assert told["tools"] == [{**WEATHER, "description": None, "strict": False}, GROUP]
    Response.model_validate_json(json.dumps(told), strict=True)


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.TOOL_CALLS, "completed", None),
        (FinishReason.UNKNOWN, "completed", None),
        (FinishReason.OTHER, "completed", None),
        (FinishReason.LENGTH, "incomplete", "max_output_tokens"),
        (FinishReason.PAUSE, "incomplete", "max_output_tokens"),
        (FinishReason.CONTENT_FILTER, "incomplete", "content_filter"),
        (FinishReason.REFUSAL, "incomplete", "content_filter"),
    ],
)
def test_why_an_answer_ends(reason: FinishReason, status: str, why: str | None) -> None:
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason, raw_finish_reason="x")
    for answer in (
        document(completed(TextPart("Half"), finish_reason=reason, raw_finish_reason="x")),
        streamed([START, text_delta("Half"), end])[-1]["response"],
    ):
        assert answer["status"] == status
        assert answer["incomplete_details"] == (None if why is None else {"reason": why})
        assert (answer["completed_at"] is None) == (status == "incomplete")
        assert answer["output"][0]["status"] == status


def test_a_refusal_in_words_is_an_answer() -> None:
    refused = completed(RefusalPart("No."), finish_reason=FinishReason.REFUSAL)
    answer = document(refused)
    assert answer["status"] == "completed"
    assert answer["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(
    ("kind", "code", "failed"),
    [
        ("context_length", "context_length_exceeded", "context_length_exceeded"),
        ("rate_limit", "rate_limit_exceeded", "rate_limit_exceeded"),
        ("content_filter", "content_filter", "invalid_prompt"),
        ("overloaded", None, "server_error"),
        ("server", None, "server_error"),
    ],
)
def test_a_failure_has_the_codes_that_clients_look_for(kind, code, failed) -> None:
    info = ErrorInfo(kind, "It did not work.", request_id="r")
    body = dialect().error(info, "r")["error"]
    assert (body["code"], body["request_id"]) == (code, "r")
    told = ("This model's maximum context length is" in body["message"]) == (
        kind == "context_length"
    )
    assert told
    for before in ([], [START, text_delta("Half")]):
        *_, event, last = streamed([*before, error(info)])
        check_official(last)
        assert (event["code"], event["message"], event["error"]) == (code, body["message"], body)
        assert last["response"]["error"] == {"code": failed, "message": body["message"]}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_allowed_tools_are_those_that_a_provider_gets(mode: str) -> None:
    other = {**WEATHER, "name": "other"}
    choice = {
        "type": "allowed_tools",
        "mode": mode,
        "tools": [{"type": "function", "name": "other"}],
    }
    body = {"tools": [WEATHER, other, GROUP], "tool_choice": choice}
    request = dialect().parse({**ASKED, **body}).request
    assert [tool.name for tool in request.tools] == ["other"]
    assert request.tool_choice == ToolChoice(mode)
    told = document(completed(TextPart("x")), **body)
    assert (told["tool_choice"], len(told["tools"])) == (choice, 3)
    Response.model_validate_json(json.dumps(told), strict=True)
    unknown = {**choice, "tools": [{"type": "function", "name": "nobody"}]}
    with pytest.raises(ValueError, match=r"^tool_choice: allowed_tools names 'nobody'"):
        dialect().parse({**ASKED, **body, "tool_choice": unknown})


@pytest.mark.parametrize(
    ("kind", "word"),
    [("auto", "auto"), ("none", "none"), ("any", "required"), ("required", "required")],
)
def test_a_choice_in_another_api_s_shape_is_a_word(kind: str, word: str) -> None:
    body = {"tools": [WEATHER], "tool_choice": {"type": kind}}
    request = dialect().parse({**ASKED, **body}).request
    assert (request.tool_choice, request.format_options) == (ToolChoice(word), {})
    assert document(completed(TextPart("x")), **body)["tool_choice"] == word


# --- tools under the client's names -----------------------------------------------------------------------------


def called(name: str, arguments: str, *, stream: bool = True, **fields: Any) -> list[StreamEvent]:
    call = ToolCall("c", name, arguments, json.loads(arguments), **fields)
    deltas = [ToolCallDelta(0, "c", name), ToolCallDelta(0, arguments=arguments)]
    told = [StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta) for delta in deltas]
    whole = StreamEvent(EventType.TOOL_CALL, tool_call=call)
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.TOOL_CALLS)
    return [START, *(told if stream else ()), whole, end]


@pytest.mark.parametrize("stream", [True, False])
def test_a_function_that_stands_for_a_tool_in_a_namespace_is_that_tool(stream) -> None:
    payloads = streamed(called("agents__close", '{"id": 1}', stream=stream), tools=[GROUP])
    check_items(payloads)
    for payload in payloads:
        check_official(payload)
    added = next(each for each in payloads if each["type"] == "response.output_item.added")
    (item,) = payloads[-1]["response"]["output"]
    for each in (added["item"], item):
        assert (each["type"], each["namespace"], each["name"], each["call_id"]) == (
            "function_call",
            "agents",
            "close",
            "c",
        )
    assert item["arguments"] == '{"id": 1}'


@pytest.mark.parametrize("stream", [True, False])
def test_a_function_that_stands_for_a_custom_tool_is_that_tool(stream) -> None:
    arguments = json.dumps({"input": '*** Begin Patch\n"ü"'})
    group = {**GROUP, "tools": [PATCH]}
    for name, tools in (("apply_patch", [PATCH]), ("agents__apply_patch", [group])):
        payloads = streamed(called(name, arguments, stream=stream), tools=tools)
        check_items(payloads)
        for payload in payloads:
            check_official(payload)
        (item,) = payloads[-1]["response"]["output"]
        assert (item["type"], item["name"]) == ("custom_tool_call", "apply_patch")
        assert item["input"] == '*** Begin Patch\n"ü"'
        assert item.get("namespace") == (None if name == "apply_patch" else "agents")


def test_a_responses_provider_s_own_calls_stay_as_they_came() -> None:
    own = {"format": "openai-responses", "members": {"namespace": "agents"}}
    events = called("close", "{}", provider_data=own)
    (item,) = streamed(events, tools=[GROUP])[-1]["response"]["output"]
    assert (item["namespace"], item["name"], item["type"]) == ("agents", "close", "function_call")
    own = {"format": "openai-responses", "type": "custom_tool_call"}
    events = called("apply_patch", '{"input": 1}', provider_data=own)
    payloads = streamed(events, tools=[PATCH])
    check_items(payloads)
    (item,) = payloads[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", '{"input": 1}')


def test_a_custom_call_without_the_one_argument_is_all_that_was_written() -> None:
    for arguments in ('{"input": 5}', "{}", '{"patch": "x"}'):
        (item,) = streamed(called("apply_patch", arguments), tools=[PATCH])[-1]["response"][
            "output"
        ]
        assert item["input"] == arguments


# --- what a provider wants back ---------------------------------------------------------------------------------


def sent_back(*events: StreamEvent) -> list[Any]:
    """The parts that a next request has, after its client kept the answer's items."""
    end = StreamEvent(EventType.MESSAGE_COMPLETE)
    items = streamed([START, *events, end])[-1]["response"]["output"]
    ask = dialect().parse({**ASKED, "input": [{"role": "user", "content": "hi"}, *items]})
    return ask.request.messages[1].parts


@pytest.mark.parametrize("format", ["anthropic-messages", "openai-responses", "openai-chat"])
def test_reasoning_goes_back_to_whoever_signed_it(format: str) -> None:
    kept = opaque(format, signature="c2ln", id="rs_theirs")
    assert sent_back(reasoning_delta("Hm"), kept, text_delta("Yes."))[0] == ReasoningPart(
        "Hm", "c2ln", "rs_theirs", format
    )
    assert sent_back(kept)[0] == ReasoningPart("", "c2ln", "rs_theirs", format)


def test_an_item_that_only_its_provider_understands_goes_back_as_it_came() -> None:
    item = {"type": "redacted_thinking", "data": "x"}
    parts = sent_back(opaque("anthropic-messages", item=item), text_delta("Yes."))
    assert parts[0] == ProviderPart("anthropic-messages", item)


def test_what_a_call_s_provider_wants_back_goes_with_the_call() -> None:
    data = {"format": "openai-chat", "extra_content": {"google": {"thought_signature": "s"}}}
    call = ToolCall("c", "weather", "{}", {}, provider_data=data)
    (part,) = sent_back(StreamEvent(EventType.TOOL_CALL, tool_call=call))
    assert (part.name, part.provider_data) == ("weather", data)


@pytest.mark.parametrize(
    "sealed", ["llmstream:", "llmstream:!", "llmstream:bnVsbA==", "llmstream:W10="]
)
def test_a_broken_seal_is_no_signature(sealed: str) -> None:
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": sealed}
    ask = dialect().parse({**ASKED, "input": [{"role": "user", "content": "hi"}, item]})
    (part,) = ask.request.messages[1].parts
    assert (part.signature, part.format) == (None, None)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"background": True}, "unsupported_value", "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"previous_response_id": ""}, "previous_response_not_found", "previous_response_id"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
        ({"conversation": {"id": "conv_1"}}, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "unsupported_parameter", "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "item_not_found", "input"),
    ],
)
def test_what_only_a_server_that_keeps_answers_can_do_is_refused(given, code, param) -> None:
    with pytest.raises(RefusedError) as problem:
        dialect().parse({**ASKED, **given})
    assert (problem.value.info.code, problem.value.info.param) == (code, param)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"model": None}, "model"),
        ({"truncation": "some"}, "truncation"),
        ({"truncation": 5}, "truncation"),
        ({"max_tool_calls": "2"}, "max_tool_calls"),
        ({"max_tool_calls": True}, "max_tool_calls"),
        ({"prompt_cache_key": 5}, "prompt_cache_key"),
        ({"store": "yes"}, "store"),
        ({"tools": [5]}, "tools"),
        ({"tools": 5}, "tools"),
        ({"text": 5}, "text"),
        ({"text": {"format": {}}}, "text.format"),
        ({"text": {"format": 5}}, "text.format"),
        ({"reasoning": "low"}, "reasoning"),
        ({"instructions": 5}, "instructions"),
        ({"metadata": 5}, "metadata"),
        ({"stream": "yes"}, "stream"),
        ({"input": 5}, "input"),
        ({"input": [{"type": "message", "role": "robot", "content": "x"}]}, "input[0].role"),
    ],
)
def test_a_member_of_the_wrong_kind_is_named(given: dict[str, Any], place: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{place.replace('[', '.')[:6]}"):
        dialect().parse({**ASKED, **given})


def test_answers_are_never_kept_and_clients_are_told() -> None:
    made = dialect()
    told = "store: this server keeps no answers; treated as false"
    default, asked = made.parse(ASKED), made.parse({**ASKED, "store": True})
    assert (default.warnings, default.notes) == ((), (told,))
    assert (asked.warnings, asked.notes) == ((told,), ())
    never = made.parse({**ASKED, "store": False})
    assert (never.warnings, never.notes) == ((), ())
    assert all(each.request.format_options == {} for each in (default, asked, never))


# --- compaction -------------------------------------------------------------------------------------------------

TRIGGER = {"type": "compaction_trigger"}
USER: Any = [{"role": "user", "content": "and?"}]
TALK = [
    {"role": "user", "content": "Launch on Tuesday."},
    {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "rain"},
]


def test_a_compaction_is_one_item_whatever_the_model_says() -> None:
    call = ToolCall("c", "weather", "{}", {})
    events = [
        START,
        reasoning_delta("Hm"),
        text_delta("They launch "),
        StreamEvent(EventType.TOOL_CALL, tool_call=call),
        text_delta("on Tuesday."),
        StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP),
    ]
    payloads = streamed(events, input=[*TALK, TRIGGER], tools=[WEATHER])
    check_items(payloads)
    for payload in payloads:
        check_official(payload)
    (item,) = payloads[-1]["response"]["output"]
    assert item["type"] == "compaction"
    answer = document(completed(TextPart("They launch on Tuesday.")), input=[*TALK, TRIGGER])
    (whole,) = answer["output"]
    assert whole["encrypted_content"] == item["encrypted_content"]
    ask = dialect().parse({**ASKED, "input": [item, {"role": "user", "content": "When?"}]})
    summary, asked = ask.request.messages
    assert (summary.role, asked.text) == ("user", "When?")
    assert summary.text.endswith("They launch on Tuesday.")


def test_the_model_is_asked_for_a_summary_and_for_nothing_else() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    body = {"tools": [WEATHER], "tool_choice": "required", "text": {"format": schema}}
    request = dialect().parse({**ASKED, "input": [*TALK, TRIGGER], **body}).request
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user"]
    assert "Summarise" in request.messages[-1].text
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.response_format) == ("none", None)
    assert dialect().parse({**ASKED, "input": [*TALK, TRIGGER]}).request.tool_choice is None


def test_a_summary_that_wasn_t_written_is_a_failure() -> None:
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
    payloads = streamed([START, text_delta(" "), end], input=[*TALK, TRIGGER])
    assert payloads[-1]["type"] == "response.failed"
    with pytest.raises(RefusedError, match="no summary"):
        document(completed(), input=[*TALK, TRIGGER])


def test_summaries_of_other_servers_go_on_and_changed_ones_are_refused() -> None:
    theirs = {"type": "compaction", "id": "cmp", "encrypted_content": "gAAAA"}
    ask = dialect().parse({**ASKED, "input": [theirs, {"role": "user", "content": "hi"}]})
    assert ask.request.messages[0].parts == [ProviderPart("openai-responses", theirs)]
    for changed in ("llmstream:", "llmstream:e30=", "llmstream:eyJzdW1tYXJ5IjogNX0="):
        item = {**theirs, "encrypted_content": changed}
        with pytest.raises(ValueError, match=r"^input\[0\]\.encrypted_content"):
            dialect().parse({**ASKED, "input": [item]})
    for input in ([TRIGGER, *TALK], [TRIGGER, TRIGGER]):
        with pytest.raises(ValueError, match=r"^input\[0\]"):
            dialect().parse({**ASKED, "input": input})
    with pytest.raises(ValueError, match="input is empty"):
        dialect().parse({**ASKED, "input": [TRIGGER]})


async def test_the_client_compacts_and_goes_on(client, gateway) -> None:
    given: Any = [*TALK, {"role": "user", "content": [{"type": "input_text", "text": "Go."}]}]
    compacted = await client.responses.compact(model="text", input=given)
    CompactedResponse.model_validate(
        compacted.model_dump(exclude={"output"}, warnings=False) | {"output": []}, strict=True
    )
    *users, item = compacted.output
    assert [each.content[0].text for each in users] == ["Launch on Tuesday.", "Go."]
    assert item.type == "compaction"
    assert compacted.usage.total_tokens == 10
    items = [each.model_dump(exclude_none=True, warnings=False) for each in compacted.output]
    await client.responses.create(model="text", input=[*items, {"role": "user", "content": "On."}])
    asked = [message.text for message in gateway.asks[-1].messages]
    assert (asked[:2], asked[3]) == (["Launch on Tuesday.", "Go."], "On.")
    assert "Hello, wörld" in asked[2]
    short = await client.responses.compact(model="text", input="Launch on Tuesday.")
    assert [each.type for each in short.output] == ["message", "compaction"]
    for wrong in ({"input": []}, {"input": [5]}, {"previous_response_id": "resp_1"}):
        with pytest.raises(openai.BadRequestError):
            await client.responses.compact(**{"model": "text", "input": "hi", **wrong})


# --- the client -------------------------------------------------------------------------------------------------


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    made = openai.AsyncOpenAI(api_key="k", base_url=f"{gateway.url}/v1", max_retries=0)
    async with made:
        yield made


class Weather(BaseModel):
    city: str


async def read(client: openai.AsyncOpenAI, model: str, **options: Any) -> Any:
    """The client's own sum of a stream."""
    async with client.responses.stream(model=model, input="hi", **options) as stream:
        return await stream.get_final_response()


async def test_the_client_adds_up_the_stream_to_the_whole_answer(client) -> None:
    for model in ("text", "tools", "reasoning", "refusal", "cited", "retry"):
        added = await read(client, model, tools=[WEATHER])
        whole = await client.responses.create(model=model, input="hi", tools=[WEATHER])
        Response.model_validate(whole.model_dump(), strict=True)
        assert added.output_text == whole.output_text, model
        assert (added.status, added.incomplete_details) == (whole.status, whole.incomplete_details)
        assert [item.type for item in added.output] == [item.type for item in whole.output], model


async def test_text_usage_and_calls(client) -> None:
    text = await read(client, "text")
    assert (text.output_text, text.status) == ("Hello, wörld\u2028 \r\n\n🙂", "completed")
    usage = text.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 3, 10)
    assert usage.input_tokens_details.cached_tokens == 2
    assert usage.output_tokens_details.reasoning_tokens == 1
    tools = await read(client, "tools", tools=[WEATHER])
    call = tools.output[1]
    assert (call.type, call.call_id, call.arguments) == (
        "function_call",
        "call-1",
        '{"city":"Paris"}',
    )


async def test_structured_output_is_parsed(client) -> None:
    with pytest.raises(ValueError, match="Hello"):
        await client.responses.parse(model="text", input="hi", text_format=Weather)
    answer = await client.responses.parse(model="json", input="hi", text_format=Weather)
    assert answer.output_parsed == Weather(city="Paris")
    assert answer.text.format.type == "json_schema"


@pytest.mark.parametrize(
    ("model", "told"),
    [("midway", "overloaded"), ("cut", "cut before"), ("restart", "interrupted")],
)
async def test_an_answer_that_breaks_off_raises(client, model, told) -> None:
    stream = await client.responses.create(model=model, input="hi", stream=True)
    kinds = []

    async def read_all() -> None:
        kinds.extend([event.type async for event in stream])

    with pytest.raises(openai.APIError, match=told):
        await read_all()
    assert "response.completed" not in kinds


async def test_a_kept_response_is_nothing_that_is_here(client) -> None:
    with pytest.raises(openai.NotFoundError) as problem:
        await client.responses.retrieve("resp_1")
    assert problem.value.code == "no_such_path"
    assert problem.value.message.count("/v1/responses,") == 1


async def test_http_errors_are_openai_s(client) -> None:
    with pytest.raises(openai.RateLimitError):
        await client.responses.create(model="refused", input="hi")
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="nobody", input="hi")
    with pytest.raises(openai.BadRequestError) as problem:
        await client.responses.create(model="text", input="hi", previous_response_id="resp_1")
    assert (problem.value.code, problem.value.param, problem.value.type) == (
        "previous_response_not_found",
        "previous_response_id",
        "invalid_request_error",
    )
    with pytest.raises(openai.BadRequestError) as problem:
        await client.responses.create(model="text", input="hi", background=True)
    assert (problem.value.code, problem.value.param) == ("unsupported_value", "background")


async def test_the_head_says_that_nothing_is_kept(client) -> None:
    for store, told in ((None, True), (True, True), (False, False)):
        options = {} if store is None else {"store": store}
        answer = await client.responses.with_raw_response.create(
            model="text", input="hi", **options
        )
        assert ("store" in answer.headers.get("x-llmstream-warnings", "")) == told
        assert answer.parse().store is False


# --- items by name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_items_of_the_last_answers_may_be_named(client, gateway, stream) -> None:
    for model in ("reasoning", "tools"):
        if stream:
            answer = await read(client, model, tools=[WEATHER])
        else:
            answer = await client.responses.create(model=model, input="hi", tools=[WEATHER])
        named = [{"type": "item_reference", "id": item.id} for item in answer.output]
        result = {"type": "function_call_output", "call_id": "call-1", "output": "sunny"}
        tools = [result] if model == "tools" else []
        await client.responses.create(model="text", input=[*named, *tools, *USER])
        given = [part for message in gateway.asks[-1].messages for part in message.parts]
        if model == "reasoning":
            assert given[0] == ReasoningPart("Hm, thinking", "c2ln", None, "anthropic-messages")
        else:
            assert (given[0].text, given[1].name) == ("Let me look.", "weather")


async def test_items_that_were_not_to_be_kept_have_no_name(client) -> None:
    answer = await client.responses.create(model="text", input="hi", store=False)
    for id in (answer.output[0].id, "msg_unknown", None):
        named: Any = {"type": "item_reference", "id": id}
        with pytest.raises(openai.NotFoundError, match="not persisted") as problem:
            await client.responses.create(model="text", input=[named, *USER])
        assert (problem.value.code, problem.value.param) == ("item_not_found", "input")


def test_what_is_remembered_is_bounded_and_each_client_s_own() -> None:
    recent = RecentItems(max_size=1000)
    items = [{"id": f"msg_{number}", "text": "x" * 200} for number in range(10)]
    for item in items:
        recent.add("me", [item])
    names = [{"type": "item_reference", "id": item["id"]} for item in items]
    known = [item for item in recent.resolved("me", names, 5_000) if "text" in item]
    assert known == items[-len(known) :]
    assert 2 < len(known) < 5
    assert recent.resolved("you", names, 5_000) == names
    recent.add("me", [{"id": "msg_9", "text": "y"}, {"id": "big", "text": "x" * 2000}])
    assert recent.resolved("me", names, 5_000) == names
