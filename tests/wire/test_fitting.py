"""A history that any vendor takes: ids, answers, arguments, blanks, reasoning, system messages, files, tools, marks."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.arguments import build_request
from llmstream.messages import (
    ChatRequest,
    File,
    HostedTool,
    ImagePart,
    Message,
    ProviderPart,
    ReasoningPart,
    Source,
    TextPart,
    Tool,
    ToolCall,
    ToolResult,
)
from llmstream.providers.compatible import VENDORS
from llmstream.wire import decoder
from llmstream.wire.anthropic_messages.request import parse_request as parse_messages
from llmstream.wire.anthropic_messages.request import render_request as render_messages
from llmstream.wire.cohere_v2.request import render_request as render_cohere
from llmstream.wire.fitting.call_ids import CallIds
from llmstream.wire.fitting.rules import ANTHROPIC_ID, ANY_ID, ID_OF_40, ID_OF_64, MISTRAL_ID
from llmstream.wire.formats import FORMATS
from llmstream.wire.ollama_native.request import render_request as render_ollama
from llmstream.wire.openai_chat.request import ChatVariant
from llmstream.wire.openai_chat.request import parse_request as parse_chat
from llmstream.wire.openai_chat.request import render_request as render_chat
from llmstream.wire.openai_responses.request import ResponsesVariant
from llmstream.wire.openai_responses.request import parse_request as parse_responses
from llmstream.wire.openai_responses.request import render_request as render_responses

USER = Message("user", "hi")
RENDERERS = {
    "openai-chat": render_chat,
    "openai-responses": render_responses,
    "anthropic-messages": render_messages,
    "ollama-native": render_ollama,
    "cohere-v2": render_cohere,
}
each_format = pytest.mark.parametrize("format", sorted(RENDERERS))


def render(format: str, *messages: Message, model: str = "some-model", **options: Any) -> Any:
    return RENDERERS[format](ChatRequest(list(messages), model, **options))


def called(*ids: str, name: str = "get") -> Message:
    return Message("assistant", [ToolCall(id, name, "{}", {}) for id in ids])


def answered(*ids: str) -> Message:
    return Message("tool", [ToolResult(id, f"of {id}") for id in ids])


def course(body: dict[str, Any]) -> list[tuple[str, str]]:
    """What a body says, in order, in one shape for all formats: kinds and ids or texts."""
    found = []
    for item in body.get("messages") or body["input"]:
        kind = item.get("type", "message")
        if kind == "function_call":
            found.append(("call", item["call_id"]))
        elif kind == "function_call_output":
            found.append(("result", item["call_id"]))
        elif item.get("role") == "tool":
            found.append(("result", item["tool_call_id"]))
        else:
            found += _said(item)
            found += [("call", call["id"]) for call in item.get("tool_calls", ())]
    return found


def _said(item: dict[str, Any]) -> list[tuple[str, str]]:
    content = item.get("content", "")
    if isinstance(content, str):
        return [(item["role"], content)] if content or "tool_calls" not in item else []
    found = []
    for block in content or ():
        if block["type"] == "tool_use":
            found.append(("call", block["id"]))
        elif block["type"] == "tool_result":
            found.append(("result", block["tool_use_id"]))
        elif "text" in block:
            found.append((item["role"], block["text"]))
    return found


# --- ids --------------------------------------------------------------------------------------------------

FITTING = {
    ANY_ID: ["x", "functions.get:0", "ü" * 200],
    ID_OF_40: ["x" * 40, "functions.get_weather:0"],
    ID_OF_64: ["x" * 64],
    ANTHROPIC_ID: ["toolu_1", "a-b_C", "x" * 64],
    MISTRAL_ID: ["abcDEF123"],
}
UNFIT = {
    ANY_ID: [""],
    ID_OF_40: ["", "x" * 41],
    ID_OF_64: ["", "x" * 65],
    ANTHROPIC_ID: ["", "functions.get:0", "call ü", "x" * 65, "a|b", "a\n"],
    MISTRAL_ID: ["", "call_abc", "abcdefgh", "abcdefghij", "abcdefgh-"],
}
anything = st.text(max_size=80) | st.sampled_from(
    [id for ids in (*FITTING.values(), *UNFIT.values()) for id in ids]
)


@pytest.mark.parametrize(("rule", "id"), [(r, id) for r, ids in FITTING.items() for id in ids])
def test_an_id_that_fits_stays(rule, id):
    assert CallIds(rule).take(id) == id


@pytest.mark.parametrize(("rule", "id"), [(r, id) for r, ids in UNFIT.items() for id in ids])
def test_another_becomes_one_that_fits_and_always_the_same(rule, id):
    made = CallIds(rule).take(id)
    assert made != id
    assert rule.pattern.fullmatch(made)
    after_others = CallIds(rule)
    after_others.take("x" * 9)
    assert after_others.take(id) == made


@given(st.sampled_from(list(FITTING)), st.lists(anything, max_size=12))
def test_no_two_calls_have_one_id(rule, given_ids):
    ids = CallIds(rule)
    made = [ids.take(id) for id in given_ids]
    assert len(set(made)) == len(made)
    assert all(rule.pattern.fullmatch(id) for id in made)


def test_an_id_of_ours_that_somebody_else_has_is_not_given_twice():
    ids = CallIds(MISTRAL_ID)
    first = ids.take("call_1")
    assert ids.take(first) != first


@each_format
@pytest.mark.parametrize("id", ["", "functions.get:0", "x" * 200, "a b"])
def test_call_and_result_keep_together_for_a_whole_conversation(format, id):
    rounds = [USER, called(id, "b"), answered(id, "b"), USER, called(id), answered(id), USER]
    rendered = render(format, *rounds)
    ids = [id for kind, id in course(rendered.body) if kind in ("call", "result")]
    first, second, *results, third, last = ids
    assert results == [first, second]
    assert third == last
    assert len({first, second, third}) == 3
    earlier = render(format, *rounds[:4])
    assert course(rendered.body)[:6] == course(earlier.body)[:6]


# --- calls and their results ------------------------------------------------------------------------------

ONE, TWO = Message("user", "one"), Message("user", "two")
COURSES = {
    "a result twice": ([called("a"), answered("a"), answered("a")], ["call a", "result a"], 1),
    "a result without its call": ([ONE, answered("a"), TWO], ["user one", "user two"], 1),
    "before its call": ([answered("a"), called("a"), ONE], ["call a", "result a", "user one"], 0),
    "the user between": ([called("a"), ONE, answered("a")], ["call a", "result a", "user one"], 0),
    "another round between": (
        [called("a"), called("b"), answered("b"), answered("a")],
        ["call a", "result a", "call b", "result b"],
        0,
    ),
    "parallel, in another order": (
        [called("a", "b"), answered("b"), answered("a"), ONE],
        ["call a", "call b", "result b", "result a", "user one"],
        0,
    ),
    "nobody answered": ([called("a"), ONE], ["call a", "result a", "user one"], 1),
    "one of two answered": (
        [called("a", "b"), answered("b"), ONE],
        ["call a", "call b", "result b", "result a", "user one"],
        1,
    ),
    "a call that waits": ([ONE, called("a")], ["user one", "call a"], 0),
    "a result amid the user's words": (
        [called("a"), Message("user", [TextPart("one"), ToolResult("a", "1")])],
        ["call a", "result a", "user one"],
        0,
    ),
}


@each_format
@pytest.mark.parametrize("name", COURSES)
def test_each_result_stands_behind_its_call(format, name):
    history, expected, lost = COURSES[name]
    rendered = render(format, USER, *history)
    said = [f"{kind} {said}" for kind, said in course(rendered.body)]
    assert said == ["user hi", *expected]
    assert len(rendered.warnings) == lost


@each_format
def test_one_id_in_two_rounds_gives_each_call_its_own_result(format):
    rounds = [USER]
    for number in "12":
        rounds += [called("a"), Message("tool", [ToolResult("a", number)])]
    body = render(format, *rounds).body
    kinds = [kind for kind, _ in course(body)]
    assert kinds == ["user", "call", "result", "call", "result"]
    said = [said for kind, said in course(body) if kind != "user"]
    assert said[0] == said[1] == "a"
    assert said[2] == said[3] != "a"


def test_results_whose_calls_the_server_has_go_along():
    request = ChatRequest(
        [answered("a")],
        "gpt-5",
        provider_options={"openai-responses": {"previous_response_id": "r"}},
    )
    rendered = render_responses(request)
    assert course(rendered.body) == [("result", "a")]
    assert not rendered.warnings


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_so_do_those_of_a_body_that_was_read(name):
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    body = {"model": "gpt-5", "input": [output], name: "x"}
    sent = render_responses(parse_responses(body)).body
    assert (sent["input"], sent[name]) == ([output], "x")


def test_results_of_calls_that_are_only_referred_to_go_along():
    items = [
        {"type": "item_reference", "id": "fc_1"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ]
    request = parse_responses({"model": "gpt-5", "input": items})
    assert render_responses(request).body["input"] == items


# --- arguments --------------------------------------------------------------------------------------------


def arguments_of(format: str, body: dict[str, Any]) -> Any:
    item = (body.get("messages") or body["input"])[1]
    if "tool_calls" in item:
        return item["tool_calls"][0]["function"]["arguments"]
    return item["arguments"] if format == "openai-responses" else item["content"][0]["input"]


@each_format
@pytest.mark.parametrize(
    "text", ['{"a": ', "[1]", "null", '"x"', "5", "oops", "{'a': 1}", '{"a": NaN}']
)
def test_broken_arguments_are_an_object(format, text):
    call = ToolCall("a", "get", text, None, complete=False)
    rendered = render(format, USER, Message("assistant", [call]), answered("a"), USER)
    assert arguments_of(format, rendered.body) in ({}, "{}")
    assert [w.partition(":")[0] for w in rendered.warnings] == ["tool call"]
    assert call.arguments == text


@each_format
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (ToolCall("a", "get", '{ "a": 1 }', {"a": 1}), '{ "a": 1 }'),
        (ToolCall("a", "get", '{"a":1}'), '{"a":1}'),
        (ToolCall("a", "get", "", {"a": 1}), '{"a":1}'),
        (ToolCall("a", "get"), "{}"),
        (ToolCall("a", "get", " "), "{}"),
    ],
)
def test_right_arguments_stay_as_they_are(format, call, expected):
    rendered = render(format, USER, Message("assistant", [call]), answered("a"))
    found = arguments_of(format, rendered.body)
    assert found == (expected if isinstance(found, str) else {"a": 1} if "1" in expected else {})
    assert not rendered.warnings


CUSTOM = {"openai-chat": "custom", "openai-responses": "custom_tool_call"}


@pytest.mark.parametrize("made_by", CUSTOM)
@each_format
def test_a_custom_tools_text_is_kept(format, made_by):
    data = {"format": made_by, "type": CUSTOM[made_by]}
    call = ToolCall("a", "patch", "*** Begin", None, provider_data=data)
    rendered = render(format, USER, Message("assistant", [call]), answered("a"))
    assert not rendered.warnings
    item = (rendered.body.get("messages") or rendered.body["input"])[1]
    if format != made_by:
        assert arguments_of(format, rendered.body) in (
            {"input": "*** Begin"},
            '{"input":"*** Begin"}',
        )
    elif format == "openai-chat":
        assert item["tool_calls"][0]["custom"] == {"name": "patch", "input": "*** Begin"}
    else:
        assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin")


def test_a_custom_tools_call_in_a_dict_is_read():
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    request = build_request(messages, "m")
    assert render_chat(request).body["messages"] == messages
    assert not render_chat(request).warnings


# --- texts ------------------------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_an_assistants_message_that_says_nothing_is_left_out(format, blank):
    silent = Message("assistant", [TextPart(blank)])
    for message in (silent, Message("assistant", [])):
        rendered = render(format, ONE, message, TWO)
        assert "assistant" not in [kind for kind, _ in course(rendered.body)]
        assert not rendered.warnings


@each_format
def test_blank_texts_beside_others_are_left_out(format):
    message = Message("user", [TextPart(""), TextPart("one"), TextPart("")])
    assert course(render(format, message).body) == [("user", "one")]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("claude-sonnet-4-5", "So:"),
        ("claude-3-haiku-20240307", "So:"),
        ("claude-opus-4-6", "So: \n"),
    ],
)
def test_white_space_at_the_end_goes_where_the_model_refuses_it(model, said):
    message = Message("assistant", [TextPart(" a "), TextPart("So: \n")])
    for history in ([USER, message], [USER, message, USER]):
        body = render_messages(ChatRequest(history, model)).body
        assert course(body)[1:3] == [("assistant", " a "), ("assistant", said)]
    thought = Message(
        "assistant", [ReasoningPart("Hm. ", "s", format="anthropic-messages"), TextPart("a")]
    )
    body = render_messages(ChatRequest([USER, thought], model)).body
    assert body["messages"][1]["content"][0]["thinking"] == "Hm. "


# --- reasoning --------------------------------------------------------------------------------------------


def signed(format: str, text: str = "Hm.") -> ReasoningPart:
    return ReasoningPart(text, "sig", "r1", format)


@each_format
@pytest.mark.parametrize("made_by", sorted(RENDERERS))
def test_a_signature_goes_back_to_its_own_format_alone(format, made_by):
    message = Message("assistant", [signed(made_by), TextPart("a")])
    rendered = render(format, USER, message)
    takes_none = ("openai-chat", "ollama-native", "cohere-v2")  # OpenAI itself; two that sign none
    goes = format == made_by and format not in takes_none
    assert ("sig" in str(rendered.body)) is goes
    assert bool(rendered.warnings) is not goes


@pytest.mark.parametrize(
    ("made_by", "model", "goes"),
    [
        ("claude-opus-5-5", "claude-sonnet-5-5", True),
        ("anthropic.claude-opus-5-5-v1:0", "claude-opus-5-5", True),
        ("deepseek-v4-pro", "claude-opus-5-5", False),
        ("claude-opus-5-5", "deepseek-v4-pro", False),
        (None, "claude-opus-5-5", True),
    ],
)
def test_what_another_host_of_the_format_signed_does_not_go(made_by, model, goes):
    message = Message("assistant", [signed("anthropic-messages"), TextPart("a")], model=made_by)
    rendered = render_messages(ChatRequest([USER, message], model))
    assert ("sig" in str(rendered.body)) is goes
    assert bool(rendered.warnings) is not goes


@pytest.mark.parametrize(
    ("provider", "goes"), [("openai-responses", True), ("other", False), (None, True)]
)
def test_encrypted_reasoning_goes_to_the_provider_that_made_it(provider, goes):
    parts = [signed("openai-responses"), TextPart("a")]
    message = Message("assistant", parts, provider=provider, model="gpt-5")
    rendered = render_responses(ChatRequest([USER, message], "gpt-5"))
    assert ("sig" in str(rendered.body)) is goes
    assert bool(rendered.warnings) is not goes


DETAILS = [
    {"type": "reasoning.summary", "summary": "Hm.", "index": 0, "format": "x"},
    {"type": "reasoning.encrypted", "data": "abc", "id": "e1", "index": 1},
    {"type": "reasoning.new", "odd": True, "index": 2},
    {"type": "reasoning.text", "text": "So.", "signature": "s", "index": 3},
]


def test_reasoning_details_go_back_whole_and_in_order():
    given = {"role": "assistant", "content": "a", "reasoning_details": DETAILS}
    request = build_request([{"role": "user", "content": "hi"}, given], "some-model")
    assert request.messages[1].reasoning == "Hm.So."
    variant = VENDORS["openrouter"].variant
    assert render_chat(request, variant).body["messages"][1]["reasoning_details"] == DETAILS
    for name in ("mistral", "groq"):
        assert "reasoning" not in str(render_chat(request, VENDORS[name].variant).body["messages"])


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ([signed("openai-responses")], []),
        ([TextPart("a"), signed("openai-responses")], ["message"]),
        ([signed("openai-responses"), TextPart("")], []),
        (
            [signed("openai-responses"), signed("openai-responses"), TextPart("a")],
            ["reasoning", "message"],
        ),
        ([signed("openai-responses"), TextPart("a")], ["reasoning", "message"]),
        (
            [signed("openai-responses"), ToolCall("a", "get", "{}", {})],
            ["reasoning", "function_call"],
        ),
    ],
)
def test_reasoning_that_no_item_follows_is_left_out(parts, kinds):
    rendered = render_responses(ChatRequest([USER, Message("assistant", parts)], "gpt-5"))
    assert [item["type"] for item in rendered.body["input"][1:]] == kinds


def test_thinking_is_never_the_last_block():
    thought = Message("assistant", [TextPart("a"), signed("anthropic-messages")])
    rendered = render_messages(ChatRequest([USER, thought, USER], "claude-opus-4-6"))
    assert course(rendered.body)[1] == ("assistant", "a")
    assert "thinking" not in str(rendered.body["messages"])
    assert rendered.warnings


# --- the user begins ---

GREETING = Message("assistant", "Welcome!")
OPENED = [("user", "[The assistant begins.]"), ("assistant", "Welcome!"), ("user", "one")]


@pytest.mark.parametrize("name", ["gemini-compatible", "vllm", "llamacpp", "lmstudio"])
@pytest.mark.parametrize("leading", [[], [Message("system", "s")], [Message("developer", "s")]])
def test_a_host_that_wants_the_user_first_gets_it_so(name, leading):
    rendered = render_chat(ChatRequest([*leading, GREETING, ONE], "m"), VENDORS[name].variant)
    assert course(rendered.body)[len(leading) :] == OPENED
    assert not rendered.warnings


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-sonnet-4-5", "kimi-k3"])
@pytest.mark.parametrize("leading", [[], [Message("system", "s")], [answered("nobody's")]])
def test_so_does_anthropic(model, leading):
    rendered = render_messages(ChatRequest([*leading, GREETING, ONE], model))
    assert course(rendered.body) == OPENED
    assert [w.partition(":")[0] for w in rendered.warnings] in ([], ["tool result"])


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses"])
def test_others_get_the_assistant_s_words_first(format):
    assert course(render(format, GREETING, ONE).body) == OPENED[1:]


def test_a_conversation_that_the_user_begins_stays_so():
    rendered = render_messages(ChatRequest([ONE, GREETING, ONE], "claude-opus-5"))
    assert [kind for kind, _ in course(rendered.body)] == ["user", "assistant", "user"]


# --- system messages --------------------------------------------------------------------------------------

AMID = [Message("system", "s1"), ONE, Message("system", "s2"), TWO, Message("assistant", "a"), ONE]


@pytest.mark.parametrize("name", ["vllm", "llamacpp", "lmstudio"])
def test_a_host_whose_template_wants_it_gets_one_system_message_first(name):
    rendered = render_chat(ChatRequest(AMID, "qwen3"), VENDORS[name].variant)
    said = [
        ("system", "s1\n\ns2"),
        ("user", "one"),
        ("user", "two"),
        ("assistant", "a"),
        ("user", "one"),
    ]
    assert course(rendered.body) == said
    assert [w.partition(":")[0] for w in rendered.warnings] == ["system"]
    leading = [Message("system", "s1"), Message("developer", "s2"), ONE]
    rendered = render_chat(ChatRequest(leading, "qwen3"), VENDORS[name].variant)
    assert course(rendered.body) == [("system", "s1\n\ns2"), ("user", "one")]
    assert not rendered.warnings


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses"])
def test_openai_gets_them_where_they_stand(format):
    rendered = render(format, *AMID)
    assert [kind for kind, _ in course(rendered.body)][:3] == ["system", "user", "system"]
    assert not rendered.warnings


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_system_message_shows_is_shown_by_the_user_where_only_text_may_stand(name):
    """Nothing of it is lost, and the instructions stay the system's."""
    shown = ImagePart(data="iVBORw0KGgo=", media_type="image/png")
    history = [
        Message("system", [TextPart("Be kind."), shown]),
        Message("system", "Be brief."),
        ONE,
    ]
    rendered = FORMATS[name].render_request(ChatRequest(history, "any"))
    again = FORMATS[name].parse_request({**json.loads(json.dumps(rendered.body)), "model": "any"})
    holders = [message.role for message in again.messages if shown in message.parts]
    told = " ".join(message.text for message in again.messages if message.role == "system")
    assert re.findall(r"Be \w+\.", told) == ["Be kind.", "Be brief."]
    takes_it = name in ("openai-responses", "ollama-native")
    assert holders == ["system" if takes_it else "user"]
    assert [warning.partition(":")[0] for warning in rendered.warnings] == ["system"] * (
        not takes_it
    )


@pytest.mark.parametrize(
    "model", ["claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-fable-5"]
)
def test_newer_claudes_get_them_behind_a_user_s_turn(model):
    rendered = render_messages(ChatRequest(AMID, model))
    assert rendered.body["system"] == "s1"
    said = [("user", "one"), ("user", "two"), ("system", "s2"), ("assistant", "a"), ("user", "one")]
    assert course(rendered.body) == said
    assert not rendered.warnings


@pytest.mark.parametrize(
    "model", ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-4-5", "deepseek-v4"]
)
def test_others_get_them_apart(model):
    rendered = render_messages(ChatRequest(AMID, model))
    assert [block["text"] for block in rendered.body["system"]] == ["s1", "s2"]
    assert "system" not in [turn["role"] for turn in rendered.body["messages"]]
    assert [w.partition(":")[0] for w in rendered.warnings] == ["system"]


def test_a_system_message_without_a_user_s_turn_is_said_by_the_user():
    history = [
        ONE,
        Message("assistant", "a"),
        Message("system", "s"),
        Message("assistant", "b"),
        TWO,
    ]
    rendered = render_messages(ChatRequest(history, "claude-opus-4-8"))
    assert [turn["role"] for turn in rendered.body["messages"]] == ["user", "assistant"] * 2 + [
        "user"
    ]
    assert rendered.warnings


# --- documents --------------------------------------------------------------------------------------------

SEARCH = {
    "type": "search_result",
    "source": "https://a.example",
    "title": "A",
    "content": [{"type": "text", "text": "found"}],
}
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "said"},
    "title": "D",
    "context": "old",
    "citations": {"enabled": True},
}


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses"])
@pytest.mark.parametrize(
    ("block", "texts"),
    [
        (SEARCH, ["[Search result: A, https://a.example]\nfound"]),
        (DOCUMENT, ["old", "[Document: D]\nsaid"]),
    ],
)
def test_a_vendor_without_documents_gets_their_text(format, block, texts):
    body = {"model": "m", "messages": [{"role": "user", "content": [block]}]}
    request = parse_messages(body)
    rendered = RENDERERS[format](request)
    assert course(rendered.body) == [("user", text) for text in texts]
    assert not rendered.warnings
    assert render_messages(request).body["messages"] == body["messages"]


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses"])
def test_pictures_in_a_document_are_shown(format):
    inside = [{"type": "text", "text": "a"}, PICTURE]
    document = {"type": "document", "source": {"type": "content", "content": inside}}
    turns = [{"role": "user", "content": [document]}]
    rendered = RENDERERS[format](parse_messages({"model": "m", "max_tokens": 5, "messages": turns}))
    assert "[Document]\\na" in json.dumps(rendered.body)
    assert PICTURE["source"]["url"] in str(rendered.body)
    assert rendered.warnings == []


def test_a_text_file_is_text_to_chat_completions():
    file = File(data=base64.b64encode(b"a,b").decode(), media_type="text/csv", name="t.csv")
    body = render_chat(ChatRequest([Message("user", [file])], "m")).body
    assert course(body) == [("user", "[Document: t.csv]\na,b")]


@each_format
def test_what_only_another_format_understands_is_named(format):
    owner = "anthropic-messages" if format != "anthropic-messages" else "openai-responses"
    parts = [ProviderPart(owner, {"type": "compaction"}), TextPart("a")]
    rendered = render(format, USER, Message("assistant", parts))
    assert course(rendered.body)[1] == ("assistant", "a")
    assert rendered.warnings == ["compaction: only another provider understands it; left out"]


@each_format
def test_a_tool_that_another_provider_ran_is_named(format):
    owner = "anthropic-messages" if format != "anthropic-messages" else "openai-responses"
    data = {"format": owner, "type": "server_tool_use", "item": {"type": "web_search_call"}}
    call = ToolCall("s", "web_search", "{}", {}, executed_by="provider", provider_data=data)
    result = ToolResult("s", [], "web_search", executed_by="provider", provider_data=data)
    rendered = render(format, USER, Message("assistant", [call, result, TextPart("a")]), USER)
    assert "web_search" not in str(rendered.body)
    assert len(rendered.warnings) == 2


# --- tool results -----------------------------------------------------------------------------------------


def test_blocks_of_a_result_stay_apart():
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": content}
    turns = [("user", "hi"), ("assistant", [call]), ("user", [result])]
    body = {"model": "m", "messages": [{"role": role, "content": said} for role, said in turns]}
    request = parse_messages(body)
    assert render_messages(request).body["messages"] == body["messages"]
    assert render_chat(request).body["messages"][-1]["content"] == "a\n\nb"
    output = render_responses(request).body["input"][-1]["output"]
    assert [part["text"] for part in output] == ["a", "b"]


def test_blocks_of_a_result_that_only_one_format_has_go_back_to_it():
    content = [{"type": "tool_reference", "tool_name": "x"}, SEARCH]
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": content}
    turns = [("user", "hi"), ("assistant", [call]), ("user", [result])]
    body = {"model": "m", "messages": [{"role": role, "content": said} for role, said in turns]}
    request = parse_messages(body)
    assert render_messages(request).body["messages"] == body["messages"]
    said = render_chat(request).body["messages"][-1]["content"]
    assert said == "[Search result: A, https://a.example]\nfound"


def test_images_of_a_round_follow_all_its_results():
    image = ImagePart("https://a.example/x.png")
    results = Message("tool", [ToolResult("a", [image]), ToolResult("b", [TextPart("2"), image])])
    body = render_chat(ChatRequest([USER, called("a", "b"), results, USER], "m")).body
    assert [message["role"] for message in body["messages"]] == [
        *("user", "assistant", "tool", "tool", "user", "user")
    ]
    assert [part["type"] for part in body["messages"][4]["content"]] == ["image_url"] * 2


def test_a_result_with_parts_survives_storing():
    result = ToolResult("a", [TextPart("x", "5m"), ImagePart(data="aGk=", media_type="image/png")])
    stored = Message("tool", [result]).to_dict()
    assert Message.from_dict(stored) == Message("tool", [result])
    plain = Message("tool", [ToolResult("a", [{"type": "text", "text": "JSON of a tool"}])])
    assert Message.from_dict(plain.to_dict()) == plain


# --- what Responses keeps beside a text -------------------------------------------------------------------


def test_phase_caller_namespace_and_annotations_go_back():
    citation = {
        "type": "url_citation",
        "url": "https://a",
        "title": "A",
        "start_index": 0,
        "end_index": 1,
    }
    said = {"type": "output_text", "text": "b", "annotations": [citation]}
    refused = {"type": "refusal", "refusal": "c"}
    caller = {"type": "program", "caller_id": "p"}
    named = {"call_id": "c", "namespace": "crm", "caller": caller}
    items = [
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": "a", "phase": "commentary"},
        {
            "type": "message",
            "role": "assistant",
            "content": [said, refused],
            "phase": "final_answer",
        },
        {"type": "function_call", "name": "f", "arguments": "{}", **named},
        {"type": "function_call_output", "output": "1", **named},
    ]
    request = parse_responses({"model": "gpt-5", "input": items})
    assert render_responses(request).body["input"] == items
    assert render_chat(request).body["messages"][1]["content"] == "ab"
    call = render_chat(request).body["messages"][1]["tool_calls"][0]
    assert call["function"]["name"] == "crm__f"


def test_anthropic_s_default_caller_is_left_out():
    for caller, goes in (({"type": "direct"}, False), ({"type": "code_execution_20260120"}, True)):
        call = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": caller}
        messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]}]
        body = render_messages(parse_messages({"model": "m", "messages": messages})).body
        assert ("caller" in body["messages"][1]["content"][0]) is goes


def test_citations_go_back_whole_and_apart():
    cited = {"type": "web_search_result_location", "encrypted_index": "x", "url": "https://a"}
    content = [
        {"type": "text", "text": "See "},
        {"type": "text", "text": "this", "citations": [cited]},
        {"type": "text", "text": "."},
    ]
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}]
    request = parse_messages({"model": "m", "messages": messages})
    assert render_messages(request).body["messages"] == messages
    assert course(render_chat(request).body)[1] == ("assistant", "See this.")


TEXT_BLOCKS = [
    [("See ", 0), ("this", 1), (".", 0)],
    [("this", 2), (".", 0), (" More.", 0)],
    [("a", 1), ("b", 1), ("c", 0), ("d", 1)],
    [("a", 0), ("b", 0)],
]


@pytest.mark.parametrize("blocks", TEXT_BLOCKS)
@pytest.mark.parametrize("as_stream", [True, False])
def test_an_answer_s_text_blocks_go_back_whole_and_apart(blocks, as_stream):
    raw = {"type": "web_search_result_location", "encrypted_index": "x", "url": "https://a"}
    content = [
        {"type": "text", "text": text, **({"citations": [raw] * count} if count else {})}
        for text, count in blocks
    ]
    whole = {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    feed = decoder("anthropic-messages")
    frames = _streamed(whole) if as_stream else json.dumps(whole).encode()
    events = [*feed.feed(frames), *feed.finish()]
    answer = events[-1].message
    assert answer.text == "".join(text for text, _ in blocks)
    body = render_messages(ChatRequest([USER, answer, USER], "claude-opus-5-5")).body
    assert body["messages"][1]["content"] == content
    restored = Message.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert render_messages(ChatRequest([USER, restored, USER], "claude-opus-5-5")).body == body


def _streamed(whole: dict[str, Any]) -> bytes:
    """The events of an answer, as Anthropic sends them: citations before their text."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {**whole, "content": []}}]
    for index, block in enumerate(whole["content"]):
        place = {"index": index}
        deltas = [{"type": "citations_delta", "citation": c} for c in block.get("citations", ())]
        deltas.append({"type": "text_delta", "text": block["text"]})
        start = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", **place, "content_block": start})
        events += [{"type": "content_block_delta", **place, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", **place})
    events.append({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def test_an_answer_s_own_citations_go_back_with_their_text():
    raw = {"type": "web_search_result_location", "encrypted_index": "x", "url": "https://a"}
    source = Source(
        url="https://a", provider_data={"format": "anthropic-messages", "citation": raw}
    )
    parts = [TextPart("See "), source, source, TextPart("this."), ToolCall("c", "f", "{}", {})]
    message = Message("assistant", parts, provider="anthropic", model="claude-opus-5-5")
    body = render_messages(ChatRequest([USER, message], "claude-opus-5-5")).body
    said = body["messages"][1]["content"]
    assert [block.get("citations") for block in said] == [None, [raw, raw], None]
    other = render_messages(ChatRequest([USER, message], "deepseek-v4-pro")).body
    assert "encrypted_index" not in str(other)
    assert "encrypted_index" not in str(
        render_responses(ChatRequest([USER, message], "gpt-5")).body
    )


def test_an_answer_s_own_annotations_go_back_with_their_text():
    raw = {
        "type": "url_citation",
        "url": "https://a",
        "title": "A",
        "start_index": 0,
        "end_index": 4,
    }
    source = Source(
        url="https://a", provider_data={"format": "openai-responses", "annotation": raw}
    )
    message = Message("assistant", [TextPart("See "), source, TextPart("this."), source])
    body = render_responses(ChatRequest([USER, message], "gpt-5")).body
    said = {"type": "output_text", "text": "See this.", "annotations": [raw, raw]}
    assert body["input"][1]["content"] == [said]
    assert course(render_chat(ChatRequest([USER, message], "m")).body)[1] == (
        "assistant",
        "See this.",
    )


# --- tools ------------------------------------------------------------------------------------------------

ANTHROPIC_SEARCH = HostedTool({"type": "web_search_20250305", "name": "web_search"})
OPENAI_SEARCH = HostedTool({"type": "web_search"})
UNKNOWN = HostedTool({"type": "builtin_function", "function": {"name": "$web_search"}})


@pytest.mark.parametrize(
    ("tool", "goes_to"),
    [
        (ANTHROPIC_SEARCH, {"anthropic-messages"}),
        (OPENAI_SEARCH, {"openai-responses"}),
        (HostedTool({"type": "web_search_preview_2025_03_11"}), {"openai-responses"}),
        (HostedTool({"type": "mcp_toolset", "mcp_server_name": "x"}), {"anthropic-messages"}),
        (UNKNOWN, {"openai-chat", "openai-responses"}),
    ],
)
@each_format
def test_another_vendors_hosted_tool_is_left_out(format, tool, goes_to):
    rendered = render(format, USER, tools=[tool, Tool("f")])
    kinds = [each.get("type") for each in rendered.body["tools"]]
    assert (tool.definition["type"] in kinds) is (format in goes_to)
    assert bool(rendered.warnings) is (format not in goes_to)
    if format not in goes_to:
        assert "tools" not in render(format, USER, tools=[tool]).body


@pytest.mark.parametrize(
    ("name", "kind", "goes"),
    [
        ("groq", "code_interpreter", True),
        ("groq", "browser_search", True),
        ("zai", "web_search", True),
        ("moonshot", "builtin_function", True),
        ("mistral", "web_search", False),
        ("groq", "web_search_20250305", False),
    ],
)
def test_a_host_gets_its_own_hosted_tools(name, kind, goes):
    request = ChatRequest([USER], "m", tools=[HostedTool({"type": kind})])
    rendered = render_chat(request, VENDORS[name].variant)
    assert ("tools" in rendered.body) is goes
    assert bool(rendered.warnings) is not goes


def test_hosts_of_the_family_get_custom_tools_as_functions():
    tool = HostedTool({"type": "custom", "custom": {"name": "patch", "description": "Patch."}})
    call = ToolCall("a", "patch", "*** Begin", None)
    call.provider_data = {"format": "openai-chat", "type": "custom"}
    request = ChatRequest([USER, Message("assistant", [call]), answered("a")], "m", tools=[tool])
    own = render_chat(request).body
    assert own["tools"] == [tool.definition]
    assert own["messages"][1]["tool_calls"][0]["type"] == "custom"
    others = render_chat(request, VENDORS["groq"].variant)
    assert others.body["tools"][0]["function"]["name"] == "patch"
    function = others.body["messages"][1]["tool_calls"][0]["function"]
    assert function == {"name": "patch", "arguments": '{"input":"*** Begin"}'}
    assert [w.partition(":")[0] for w in others.warnings] == ["tools"]


NAMESPACE = {
    "type": "namespace",
    "name": "mcp__files__",
    "description": "Files.",
    "tools": [
        {
            "type": "function",
            "name": "read",
            "parameters": {"type": "object"},
            "description": "Read.",
        },
        {"type": "custom", "name": "patch", "description": "Patch."},
    ],
}


@each_format
def test_a_namespace_becomes_functions(format):
    request = parse_responses({"model": "m", "input": "hi", "tools": [NAMESPACE]})
    rendered = RENDERERS[format](request)
    if format == "openai-responses":
        assert rendered.body["tools"] == [NAMESPACE]
        return
    functions = [tool.get("function", tool) for tool in rendered.body["tools"]]
    assert [each["name"] for each in functions] == ["mcp__files__read", "mcp__files__patch"]
    assert rendered.warnings


@pytest.mark.parametrize("format", ["openai-chat", "anthropic-messages"])
def test_what_is_no_function_in_a_namespace_is_named(format):
    inner = [
        {"type": "function", "name": "find", "parameters": {"type": "object"}, "novel": 1},
        {"type": "web_search"},
        {"name": "plain"},
        {"type": "namespace", "name": "deep", "tools": [{"type": "function", "name": "x"}]},
        {"type": "function"},
    ]
    group = HostedTool({"type": "namespace", "name": "crm", "tools": inner})
    rendered = RENDERERS[format](ChatRequest([USER], "m", tools=[group]))
    sent = [tool.get("function", tool)["name"] for tool in rendered.body["tools"]]
    assert sent == ["crm__find", "crm__plain", "crm__deep__x"]
    told = " ".join(rendered.warnings)
    assert "web_search" in told
    assert "novel" in told


def test_names_in_a_long_namespace_stay_within_bounds_and_apart():
    tools = [{"type": "function", "name": f"{'x' * 60}{end}"} for end in "ab"]
    group = {"type": "namespace", "name": "n" * 30, "tools": tools}
    rendered = render_chat(ChatRequest([USER], "m", tools=[HostedTool(group)]))
    names = [tool["function"]["name"] for tool in rendered.body["tools"]]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)


@pytest.mark.parametrize(
    ("format", "tool"),
    [
        (
            "anthropic-messages",
            {
                "name": "f",
                "input_schema": {"type": "object"},
                "allowed_callers": ["direct"],
                "input_examples": [{}],
            },
        ),
        (
            "openai-responses",
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object"},
                "allowed_callers": ["programmatic"],
            },
        ),
        (
            "openai-chat",
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object"}, "odd": 1},
            },
        ),
    ],
)
def test_further_fields_of_a_tool_go_to_their_own_format(format, tool):
    request = build_request([{"role": "user", "content": "hi"}], "m", tools=[tool])
    rendered = RENDERERS[format](request)
    sent = rendered.body["tools"][0]
    assert (sent.get("function", sent).items()) >= (tool.get("function", tool).items())
    assert not rendered.warnings
    for other in RENDERERS.keys() - {format}:
        rendered = RENDERERS[other](request)
        assert [w.partition(":")[0] for w in rendered.warnings] == ["tools"]
        assert not re.search("allowed_callers|input_examples|odd", str(rendered.body))


# --- cache marks ------------------------------------------------------------------------------------------

MARKED = [
    Message("system", [TextPart("s", "1h")]),
    Message("user", [TextPart("a", "5m"), ImagePart("https://a.example/x.png", cache="5m")]),
]


def marks(value: Any) -> list[Any]:
    """All marks in a body, in order."""
    if isinstance(value, list):
        return [mark for each in value for mark in marks(each)]
    if not isinstance(value, dict):
        return []
    own = [value[word] for word in ("cache_control", "prompt_cache_breakpoint") if word in value]
    return own + [mark for each in value.values() for mark in marks(each)]


def test_anthropic_gets_marks_on_all_kinds_of_parts():
    file = File(data=base64.b64encode(b"%PDF-1").decode(), media_type="application/pdf", cache="1h")
    call = ToolCall("c", "get", "{}", {}, cache="5m")
    result = ToolResult("c", "1", cache="1h")
    for part, ttl in (
        (file, "1h"),
        (TextPart("x", "5m"), "5m"),
        (ImagePart("https://a", cache="5m"), "5m"),
    ):
        body = render_messages(ChatRequest([Message("user", [part])], "m")).body
        assert marks(body) == [{"type": "ephemeral", **({"ttl": ttl} if ttl == "1h" else {})}]
    history = [USER, Message("assistant", [call]), Message("tool", [result])]
    request = ChatRequest([*MARKED[:1], *history], "m", tools=[Tool("get", cache="1h")])
    rendered = render_messages(request)
    assert len(marks(rendered.body)) == 4
    assert marks(rendered.body["tools"]) == [{"type": "ephemeral", "ttl": "1h"}]
    assert not rendered.warnings


def test_more_marks_than_a_request_takes_lose_the_first():
    history = [Message("user", [TextPart(f"{n}", "5m") for n in range(6)])]
    for body in (
        render_messages(ChatRequest(history, "m")).body,
        render_chat(
            ChatRequest(history, "gpt-5.6"), ChatVariant(cache="prompt_cache_breakpoint")
        ).body,
        render_responses(ChatRequest(history, "gpt-5.6"), ResponsesVariant(cache_marks=True)).body,
    ):
        assert len(marks(body)) == 4
        said = (body.get("messages") or body["input"])[0]["content"]
        assert [part["text"] for part in said if marks(part)] == list("2345")


@pytest.mark.parametrize(
    ("model", "marked"), [("gpt-5.6", True), ("gpt-6-sol", True), ("gpt-5.5", False)]
)
def test_openai_gets_breakpoints_where_its_models_know_them(model, marked):
    for rendered in (
        render_chat(ChatRequest(MARKED, model), ChatVariant(cache="prompt_cache_breakpoint")),
        render_responses(ChatRequest(MARKED, model), ResponsesVariant(cache_marks=True)),
    ):
        explicit = {"mode": "explicit"}
        expected = [{**explicit, "ttl": "12h"}, explicit, explicit] if marked else []
        assert marks(rendered.body) == expected
        assert not rendered.warnings


@pytest.mark.parametrize("name", sorted(VENDORS.keys() - {"openrouter"}))
def test_a_host_that_caches_by_itself_gets_none_and_no_warning(name):
    rendered = render_chat(ChatRequest(MARKED, "m"), VENDORS[name].variant)
    assert not marks(rendered.body)
    assert not [each for each in rendered.warnings if not each.endswith("left out")]


def test_openrouter_gets_anthropic_s():
    rendered = render_chat(
        ChatRequest(MARKED, "anthropic/claude-opus-5-5"), VENDORS["openrouter"].variant
    )
    assert len(marks(rendered.body)) == 3


CONTROL = {"type": "ephemeral"}


def test_marks_in_dicts_are_read():
    """On parts, whole messages, calls, results and tools, in either vendor's word."""
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}, "cache_control": CONTROL}
    image = {
        "type": "image_url",
        "image_url": "https://a",
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }
    messages = [
        {"role": "system", "content": "s", "cache_control": {**CONTROL, "ttl": "1h"}},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a", "cache_control": CONTROL}, image],
        },
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1", "cache_control": CONTROL},
    ]
    tool = {"type": "function", "function": {"name": "f"}, "cache_control": CONTROL}
    request = build_request(messages, "m", tools=[tool])
    parts = [part for message in request.messages for part in message.parts]
    assert [getattr(part, "cache", None) for part in parts] == ["1h", "5m", "5m", "5m", "5m"]
    assert request.tools[0].cache == "5m"  # type: ignore[union-attr]


def test_a_mark_on_a_message_is_one_on_its_last_part():
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    marked = {"role": "assistant", "content": "a", "cache_control": CONTROL}
    messages = [
        {"role": "user", "content": "hi"},
        {**marked, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        marked,
    ]
    request = build_request(messages, "m")
    last = [message.parts[-1] for message in request.messages]
    assert [getattr(part, "cache", None) for part in last] == [None, "5m", None, "5m"]
    assert request.messages[1].parts[0] == TextPart("a")


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "f", "input_schema": {"type": "object"}, "type": "custom"},
        {"name": "f", "input_schema": {"type": "object"}, "type": None},
        {"name": "f", "input_schema": {"type": "object"}},
    ],
)
def test_anthropic_s_word_for_a_function_is_read(tool):
    assert build_request([USER], "m", tools=[tool]).tools == [Tool("f", {"type": "object"})]


@pytest.mark.parametrize(
    "parse", [parse_messages, parse_chat], ids=["anthropic-messages", "openai-chat"]
)
@pytest.mark.parametrize("control", [{"type": "forever"}, {"type": "ephemeral", "ttl": "2h"}, "5m"])
def test_a_mark_that_nobody_knows_is_named(parse, control):
    content = [{"type": "text", "text": "a", "cache_control": control}]
    with pytest.raises(ValueError, match=r"messages\[0\]\.content.*cache_control must be"):
        parse({"model": "m", "messages": [{"role": "user", "content": content}]})


def test_a_mark_of_ours_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"messages\[0\].*cache must be '5m' or '1h', not '2h'"):
        build_request([Message("user", [TextPart("a", "2h")])], "m")  # type: ignore[arg-type]


def test_what_anthropic_marked_survives_the_gateway():
    system = [{"type": "text", "text": "s", "cache_control": CONTROL}]
    tools = [
        {"name": "f", "input_schema": {"type": "object"}, "cache_control": {**CONTROL, "ttl": "1h"}}
    ]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": CONTROL}]}
    ]
    body = {"model": "m", "system": system, "tools": tools, "messages": messages}
    sent = render_messages(parse_messages(body)).body
    assert {key: sent[key] for key in body} == body


# --- members that nobody here has a name for ---

SCOPED = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}


@pytest.mark.parametrize(
    "further", [{"cache_control": SCOPED}, {"novel": {"a": 1}}, {"new": False}]
)
@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": "hi"},
        PICTURE,
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
    ],
)
def test_further_members_of_a_block_go_back_and_its_words_go_everywhere(block, further):
    given = [{"role": "user", "content": [{**block, **further}]}]
    request = parse_messages({"model": "claude-opus-5", "messages": given, "max_tokens": 9})
    rendered = render_messages(request)
    assert rendered.body["messages"] == given
    assert not rendered.warnings
    other = render_chat(request)
    words = {"text": "hi", "image": "https://a.example/x.png", "document": "d"}
    assert words[block["type"]] in str(other.body["messages"])
    assert "novel" not in str(other.body)


@pytest.mark.parametrize("further", [{"cache_control": SCOPED}, {"novel": 1}])
def test_so_they_do_on_tools_calls_results_thoughts_and_system(further):
    tool = {"name": "f", "input_schema": {"type": "object"}, **further}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    thought |= {} if "cache_control" in further else further
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}, **further}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1", **further}
    body = {
        "model": "claude-opus-5",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "s", **further}],
        "tools": [tool],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [thought, call]},
            {"role": "user", "content": [result]},
        ],
    }
    sent = render_messages(parse_messages(body)).body
    assert {name: sent[name] for name in body} == body


@pytest.mark.parametrize("format", ["openai-chat", "openai-responses"])
def test_a_member_that_only_one_format_has_is_named_elsewhere(format):
    blocks = [{"type": "text", "text": "hi", "novel": 1}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1", "newer": 2}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    messages = [
        {"role": "user", "content": blocks},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    request = parse_messages({"model": "m", "messages": messages})
    warnings = RENDERERS[format](request).warnings
    assert [w.partition(":")[0] for w in warnings] == ["text", "tool result"]
    assert "novel" in warnings[0]
    assert "newer" in warnings[1]


def test_a_mark_that_is_taken_away_takes_its_members_along():
    given = {"type": "text", "text": "hi", "cache_control": SCOPED}
    request = parse_messages({"model": "m", "messages": [{"role": "user", "content": [given]}]})
    request.messages[0].parts[0].cache = None
    assert "cache_control" not in str(render_messages(request).body)


@pytest.mark.parametrize(
    "further", [{"include_obfuscation": False}, {"continuous_usage_stats": True}]
)
@pytest.mark.parametrize("asked", [{}, {"include_usage": False}, {"include_usage": True}])
def test_further_stream_options_go_to_hosts_that_have_stream_options(further, asked):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    request = parse_chat({**body, "stream_options": {**asked, **further}})
    sent = render_chat(request)
    assert sent.body["stream_options"] == {"include_usage": True, **further}
    assert not sent.warnings
    refused = render_chat(request, VENDORS["mistral"].variant)
    assert "stream_options" not in refused.body
    name = next(iter(further))
    assert [w for w in refused.warnings if w.startswith("stream_options")]
    other = render_messages(request)
    assert [w for w in other.warnings if f"stream_options.{name}" in w]


def test_plain_stream_options_say_nothing_more():
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    for options in (None, {}, {"include_usage": True}):
        request = parse_chat({**body, "stream_options": options})
        assert not request.format_options
        assert not render_chat(request, VENDORS["mistral"].variant).warnings
    with pytest.raises(TypeError, match="stream_options"):
        parse_chat({**body, "stream_options": [1]})


@pytest.mark.parametrize("further", [{"novel": {"a": 1}}, {"new": False}])
def test_further_members_of_responses_texts_and_calls_go_back_and_are_named_elsewhere(further):
    items = [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "a", **further}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", **further, "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ]
    request = parse_responses({"model": "m", "input": items})
    rendered = render_responses(request)
    assert rendered.body["input"] == items
    assert not rendered.warnings
    for render_other in (render_chat, render_messages):
        warnings = render_other(request).warnings
        assert [w.partition(":")[0] for w in warnings] == ["text", "tool call"]


FURTHER_ITEMS = {
    "a user's message": (
        {"role": "user", "content": [{"type": "input_text", "text": "a"}], "novel": 1},
        "message",
    ),
    "a user's message that an image begins": (
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://a.b/c.png"},
                {"type": "input_text", "text": "a"},
            ],
            "novel": 1,
        },
        "message",
    ),
    "an answer": (
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}],
            "phase": "commentary",
            "novel": 1,
        },
        "text",
    ),
    "an image": (
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": "https://a.b/c.png", "novel": 1}],
        },
        "image",
    ),
    "a file": (
        {
            "role": "user",
            "content": [
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,YQ==",
                    "novel": 1,
                }
            ],
        },
        "file",
    ),
    "an image of which the server has the data": (
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://a.b/c.png", "file_id": "f"},
                {"type": "input_text", "text": "novel"},
            ],
        },
        "image",
    ),
    "reasoning": (
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e", "novel": 1},
        "reasoning",
    ),
    "a result": (
        {"type": "function_call_output", "call_id": "c", "output": "1", "novel": {"a": [1]}},
        "tool result",
    ),
}


def conversation_with(item):
    """A whole conversation of Responses' items around one of them."""
    item = {"type": "message", **item}
    asked = {"type": "message", "role": "user", "content": "q"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    if item["type"] == "function_call_output":
        return [asked, call, item]
    return [asked, item, call, result]


@pytest.mark.parametrize("name", FURTHER_ITEMS)
def test_further_members_of_responses_items_go_back_and_are_named_elsewhere(name):
    item, kind = FURTHER_ITEMS[name]
    items = conversation_with(item)
    request = parse_responses({"model": "m", "input": items})
    rendered = render_responses(request)
    found = rendered.body["input"]
    for each in (*found, *items):
        content = each.get("content")
        if isinstance(content, list) and len(content) == 1 and len(content[0]) == 2:
            each["content"] = content[0]["text"]
    assert found == items
    assert not rendered.warnings
    novel = "file_id" if "server" in name else "novel"
    for render_other in (render_chat, render_messages):
        warnings = render_other(request).warnings
        assert any(w.startswith(f"{kind}:") and novel in w for w in warnings), warnings


def test_a_text_and_its_message_may_have_the_same_further_member():
    part = {"type": "output_text", "text": "a", "novel": 1}
    item = {"type": "message", "role": "assistant", "content": [part], "novel": 2}
    items = conversation_with(item)
    assert render_responses(parse_responses({"model": "m", "input": items})).body["input"] == items


NOVEL_BLOCKS = {
    "thinking": {"type": "thinking", "thinking": "t", "novel": 1},
    "signed thinking": {"type": "thinking", "thinking": "t", "signature": "s", "novel": 1},
    "image": {"type": "image", "source": {"type": "url", "url": "https://a.b/c.png"}, "novel": 1},
    "document": {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "d"},
        "novel": 1,
    },
    "search result": {
        "type": "search_result",
        "title": "t",
        "source": "s",
        "content": [{"type": "text", "text": "x"}],
        "novel": 1,
    },
}


PLACES = [(name, False) for name in NOVEL_BLOCKS] + [
    (name, True) for name in NOVEL_BLOCKS if "thinking" not in name
]


@pytest.mark.parametrize(("name", "inside"), PLACES)
def test_further_members_of_blocks_are_named_in_other_formats(name, inside):
    block = NOVEL_BLOCKS[name]
    is_thinking = "thinking" in name
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [block] if inside else "1"}
    messages = [
        {"role": "user", "content": "q" if is_thinking or inside else [block]},
        {"role": "assistant", "content": [block, call] if is_thinking else [call]},
        {"role": "user", "content": [result]},
    ]
    request = parse_messages({"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": messages})
    own = render_messages(request)
    assert bool(own.warnings) is (name == "thinking")  # nobody signed it
    assert ("novel" in str(own.body)) is (name != "thinking")
    for render_other in (render_chat, render_responses):
        warnings = render_other(request).warnings
        assert any("novel" in warning for warning in warnings), warnings


def shown_by_a_tool(*shown):
    return [
        USER,
        Message("assistant", [ToolCall("c", "f", "{}", {})]),
        Message("tool", [ToolResult("c", list(shown))]),
    ]


ZIP = File(name="a.zip", media_type="application/zip", data="YQ==")
ELSEWHERE = File(media_type="application/pdf", url="https://a.b/c.pdf")
NOTHING = ProviderPart("openai-responses", {"type": "input_audio"})


@pytest.mark.parametrize("refused", [ZIP, ELSEWHERE, NOTHING, Source("s", url="https://a.b")])
@pytest.mark.parametrize("role", ["user", "system"])
def test_the_user_begins_though_nothing_is_left_of_its_first_message(refused, role):
    greeting = Message("assistant", [TextPart("hello")])
    lost = Message(role, [refused])
    request = ChatRequest([lost, greeting, USER], "claude-sonnet-4-5")
    rendered = [render_messages(request)]
    hosts = [row.variant for row in VENDORS.values() if row.variant.user_first]
    rendered += [render_chat(request, host) for host in hosts]
    assert len(rendered) > 3
    for each in rendered:
        messages = [turn for turn in each.body["messages"] if turn["role"] != "system"]
        assert messages[0]["role"] == "user"
        assert messages[0]["content"]


@pytest.mark.parametrize(("refused", "render"), [(ZIP, render_messages), (ELSEWHERE, render_chat)])
def test_a_refused_file_in_a_result_is_left_out_with_a_warning(refused, render):
    alone = render(ChatRequest(shown_by_a_tool(refused), "claude-sonnet-4-5"))
    beside = render(ChatRequest(shown_by_a_tool(TextPart("seen"), refused), "claude-sonnet-4-5"))
    for rendered in (alone, beside):
        assert [warning.partition(":")[0] for warning in rendered.warnings] == ["file"]
        assert len(rendered.body["messages"]) == 3
    assert "seen" in str(beside.body)


@pytest.mark.parametrize("value", [5, "x", [1], {"a": 1}])
def test_a_client_can_t_break_where_members_of_a_message_are_kept(value):
    block = {"text": "a", "message_members": value}
    asked = [{"role": "user", "content": [{"type": "input_text", **block}]}]
    blocks = [{"role": "user", "content": [{"type": "text", **block}]}]
    for request in (
        parse_responses({"model": "m", "input": asked}),
        parse_messages({"model": "m", "max_tokens": 5, "messages": blocks}),
    ):
        for render_any in (render_chat, render_messages, render_responses):
            assert render_any(request).body
