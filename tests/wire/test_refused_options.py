"""What a refused request teaches, from the words that real hosts use."""

from __future__ import annotations

import time
from typing import Any

import pytest

from llmstream.arguments import build_request
from llmstream.messages import Message
from llmstream.wire.error_body import parse_error
from llmstream.wire.openai_chat.request import render_request
from llmstream.wire.outbound import Rendered
from llmstream.wire.refusal_words import ALWAYS, HERE, STREAMING, refusal_of, refuses_streaming
from llmstream.wire.refused_options import (
    DEVELOPER,
    NESTED,
    OPTIONAL,
    OTHER_NAME,
    Lesson,
    Lessons,
    learn,
)

SENT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.2,
    "top_p": 0.9,
    "seed": 1,
    "max_tokens": 5,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "response_format": {"type": "json_object"},
    "tools": [],
    "tool_choice": "auto",
    "stop": ["x"],
}


def taught(
    message: Any, *, status: int = 400, sent: dict[str, Any] = SENT, **fields: Any
) -> Lesson | None:
    return learn(sent, parse_error({"error": {"message": message, **fields}}, status=status))


@pytest.mark.parametrize(
    ("message", "fields", "lesson"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            {
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            },
            Lesson("max_tokens", "max_completion_tokens"),
        ),
        (
            "Unsupported value: 'temperature' does not support 0.2 here. Only the default (1) value is supported.",
            {"type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"},
            Lesson("temperature"),
        ),
        (
            "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
            {
                "type": "invalid_request_error",
                "param": "messages[0].role",
                "code": "unsupported_value",
            },
            Lesson(DEVELOPER, "system"),
        ),
        (
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "stream_options"],
                        "msg": "Extra inputs are not ok",
                    }
                ]
            },
            {},
            Lesson("stream_options"),
        ),
        (
            "Unrecognized request argument supplied: parallel_tool_calls",
            {},
            Lesson("parallel_tool_calls"),
        ),
        ('json: unknown field "seed"', {}, Lesson("seed")),
        ("property 'metadata' is unsupported", {}, Lesson("metadata")),
        ("This model doesn't support reasoning_effort", {}, Lesson("reasoning_effort")),
        (
            "Model grok-4-latest does not support parameter reasoningEffort.",
            {},
            Lesson("reasoning_effort"),
        ),
        (
            'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
            {},
            Lesson("seed"),
        ),
        ("Extra inputs are not permitted, field: 'top_p', value: 0.9", {}, Lesson("top_p")),
        (
            "temperature: Extra inputs are not permitted",
            {"type": "invalid_request_error"},
            Lesson("temperature"),
        ),
        (
            "`top_p` is deprecated for this model.",
            {"type": "invalid_request_error"},
            Lesson("top_p"),
        ),
        ("Unsupported parameter", {"param": "stream_options"}, Lesson("stream_options")),
        (
            "messages[0].role: unknown variant `developer`, expected one of `system`, `user`",
            {},
            Lesson(DEVELOPER, "system"),
        ),
        (
            "developer is not one of ['system', 'user'] - 'messages.['0].role'",
            {},
            Lesson(DEVELOPER, "system"),
        ),
        (
            "Invalid value: 'developer'. Supported values are: 'system', 'user'.",
            {},
            Lesson(DEVELOPER, "system"),
        ),
    ],
)
def test_an_option_refused_is_learned(message: Any, fields: dict[str, Any], lesson: Lesson) -> None:
    assert taught(message, **fields) == lesson
    assert taught(message, status=422, **fields) == lesson


@pytest.mark.parametrize(
    "message",
    [
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
        "max_tokens must be at most 4096",
        "Unsupported value: 'reasoning_effort' does not support 'minimal'. Supported values are: 'low', 'high'.",
        "tools are not supported by this model",
        "response_format is not supported by this model",
        "Thinking mode does not support this tool_choice",
        "unsupported: stop",
        "unknown field 'logit_bias'",
        "max_tokens_to_sample is not supported",
        "temperature is too hot",
        "Invalid schema for response_format 'w': In context=('properties', 'temperature'), 'oneOf' is not permitted.",
        "frequency_penalty is not supported. Supported parameters: temperature, top_p",
        "Unsupported parameter: logit_bias. Allowed: temperature, seed",
        "image input is not supported by this model at temperature 0.2",
        "your message mentions seed which is forbidden content",
        "Function tools with reasoning_effort are not supported for gpt-5.6. Set reasoning_effort to 'none'.",
        "tool_choice 'required' is not supported when reasoning is enabled",
        "max_tokens=5000 is not supported: this model supports up to 4096 completion tokens",
        "max_tokens 9000 is not allowed, the limit is 8192",
        "the developer of this prompt should know better",
        "messages.1.metadata: Extra inputs are not permitted",
        "temperature is only allowed up to 1 when thinking is enabled",
        "tools are only allowed when tool_choice is set",
        "max_tokens is only supported when stream is enabled",
        "response_format cannot be used with tools",
        "stop cannot be used with seed",
        "Function tools with reasoning_effort are only supported with /v1/responses.",
        "the word seed is only allowed in the garden",
        "You cannot use tools with seed",
        "temperature requires a number to be set between 0 and 2",
        "max_tokens must be set when thinking is enabled",
        "Only one of `tools` and `response_format` may be set",
    ],
)
def test_what_is_for_the_caller_to_mend_teaches_nothing(message: str) -> None:
    assert taught(message) is None


@pytest.mark.parametrize(
    ("message", "option"),
    [
        ("The 'metadata' parameter is only allowed when 'store' is enabled.", "metadata"),
        (
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are set.",
            "parallel_tool_calls",
        ),
        (
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
            "temperature",
        ),
        ("`temperature` and `top_p` are not supported together", "top_p"),
        (
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
            "top_p",
        ),
        ("temperature is not supported when reasoning_effort is set", "temperature"),
        ("seed cannot be used with parallel_tool_calls", "seed"),
        ("top_p can't be set when temperature is set", "top_p"),
        ("'seed' is incompatible with streaming", "seed"),
        ("stream_options is only valid if stream is true", "stream_options"),
        ("reasoningEffort is only supported with grok-3-mini", "reasoning_effort"),
        (
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
            "top_p",
        ),
        ("parallel_tool_calls requires 'tools' to be specified", "parallel_tool_calls"),
        ("You may not set the parameter `seed` when `store` is true", "seed"),
        ("Only one of `temperature` or `top_p` can be used", "top_p"),
    ],
)
def test_an_option_that_is_unwanted_beside_others_is_left_out_there(message, option):
    """The lesson is for requests with the same fields: beside others the option may be welcome."""
    lesson = taught(message)
    assert lesson is not None
    assert (lesson.option, lesson.instead) == (option, None)
    rendered = Rendered(dict(SENT))
    assert lesson.apply(rendered)
    assert option not in rendered.body
    assert [each.partition(":")[0] for each in rendered.warnings] == [option]
    otherwise = Rendered({**SENT, "store": True})
    assert not lesson.apply(otherwise)
    assert otherwise.body == {**SENT, "store": True}


@pytest.mark.parametrize("form", ALWAYS, ids=lambda form: form.example)
def test_each_form_of_a_refusal_finds_its_example(form):
    assert refusal_of(form.example, "seed") == "always"
    assert refusal_of(form.example.replace("seed", "seeds"), "seed") is None


@pytest.mark.parametrize("form", HERE, ids=lambda form: form.example)
def test_each_form_of_a_condition_finds_its_example(form):
    assert refusal_of(form.example, "seed") == "here"
    assert refusal_of(form.example.replace("seed", "seeds"), "seed") is None


@pytest.mark.parametrize("form", STREAMING, ids=lambda form: form.example)
def test_each_form_of_no_streaming_finds_its_example(form):
    assert refuses_streaming(form.example)


@pytest.mark.parametrize(
    "unit",
    [
        "a ",
        "seed ",
        "seed and ",
        "seed can only be set ",
        "unsupported value seed ",
        "extra input ",
    ],
)
def test_long_words_of_a_host_are_read_in_time(unit):
    """A pattern whose time grows with the square of the text would take minutes."""
    began = time.process_time()
    assert refusal_of(unit * (100_000 // len(unit)), "seed") is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "message",
    [
        "Streaming is not supported for this model.",
        "This model does not support streaming.",
        "stream is not allowed",
        "stream: unsupported",
        "Stream mode is currently not available",
        "Streaming responses are not implemented",
        # OpenAI of o1, and to organizations that have not been verified
        "Unsupported value: 'stream' does not support true with this model. Supported values are: false.",
        "Unsupported value: 'stream' does not support true with this model. Only the default (false) is taken.",
        "Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings",
        "stream=true is not supported for this model",
        "Unknown parameter: stream",
        "stream must be false",
        "This endpoint only supports non-streaming requests",
        "Streaming is disabled",
        "The model is unsupported for streaming.",
        "Tool calling is not supported in streaming mode",
    ],
)
def test_a_host_that_does_not_stream_is_asked_for_the_whole(message: str) -> None:
    for status in (400, 405, 422, 501):
        lesson = taught(message, status=status)
        assert lesson == Lesson("stream")
    lesson.apply(rendered := Rendered(dict(SENT)))
    assert not {"stream", "stream_options"} & rendered.body.keys()
    assert rendered.warnings == [
        "stream: refused by the provider; asked for the whole answer at once"
    ]
    assert taught(message, status=500) is None
    assert taught("the stream of requests is too fast") is None
    lesson = taught("stream_options is only allowed when stream is enabled")
    assert lesson is not None
    assert lesson.option == "stream_options"


def test_only_a_refused_request_teaches() -> None:
    for status in (401, 404, 429, 500):
        assert taught("'temperature' is not supported", status=status) is None
    assert (
        learn(SENT, parse_error({"error": {"message": "'temperature' is not supported"}})) is None
    )


def test_an_option_that_was_not_sent_teaches_nothing() -> None:
    assert taught("'temperature' is not supported", sent={"model": "m", "messages": []}) is None
    assert (
        taught(
            "role 'developer' is not supported",
            sent={"messages": [{"role": "user", "content": ""}]},
        )
        is None
    )


def test_a_host_that_refuses_both_names_of_an_option_is_asked_no_third_time() -> None:
    first = taught("max_tokens is not supported")
    assert first is not None
    rendered = Rendered(dict(SENT))
    first.apply(rendered)
    info = parse_error({"error": {"message": "max_completion_tokens is not supported"}}, status=400)
    assert learn(rendered.body, info, [first]) is None


@pytest.mark.parametrize("option", sorted({*OPTIONAL, *OTHER_NAME}))
def test_a_lesson_mends_the_body_and_says_so_only_where_it_concerns_it(option: str) -> None:
    lesson = Lesson(option, OTHER_NAME.get(option))
    rendered = Rendered({"model": "m", option: 3})
    lesson.apply(rendered)
    assert option not in rendered.body
    assert rendered.body.get(OTHER_NAME.get(option, "")) == (3 if option in OTHER_NAME else None)
    named = NESTED[option].option if option in NESTED else option
    assert [warning.partition(":")[0] for warning in rendered.warnings] == [named]
    untouched = Rendered({"model": "m"})
    lesson.apply(untouched)
    assert untouched == Rendered({"model": "m"})


def test_the_developer_becomes_the_system_in_the_body_alone() -> None:
    request = build_request(
        [Message("developer", "be brief"), {"role": "user", "content": "hi"}], "m"
    )
    rendered = render_request(request)
    Lesson(DEVELOPER, "system").apply(rendered)
    assert [message["role"] for message in rendered.body["messages"]] == ["system", "user"]
    assert request.messages[0].role == "developer"
    assert rendered.warnings == ["role developer: refused by the provider; sent as system"]


def test_a_lesson_that_did_not_help_is_forgotten_and_one_that_did_is_kept() -> None:
    lessons = Lessons()
    refusal = parse_error({"error": {"message": "'temperature' is not supported"}}, status=400)
    assert lessons.learn("m", SENT, refusal, strict=False) == str(Lesson("temperature"))
    other = parse_error({"error": {"message": "a schema is wrong"}}, status=400)
    assert lessons.learn("m", {}, other, strict=False) is None
    assert lessons.apply("m", kept := Rendered({"temperature": 1})) == []
    assert kept.body == {"temperature": 1}
    lessons.learn("m", SENT, refusal, strict=False)
    lessons.answered("m")
    lessons.learn("m", {}, other, strict=False)
    assert lessons.apply("m", mended := Rendered({"temperature": 1})) == [
        str(Lesson("temperature"))
    ]
    assert mended.body == {}
    assert lessons.apply("n", Rendered({"temperature": 1})) == []


def test_strict_learns_only_what_the_caller_never_sees() -> None:
    lessons = Lessons()
    for option in ("temperature", "stream_options", "max_tokens"):
        refusal = parse_error({"error": {"message": f"Unknown parameter: {option}"}}, status=400)
        assert (lessons.learn("m", SENT, refusal, strict=True) is None) == (option == "temperature")
    rendered = Rendered({"stream_options": 1, "max_tokens": 5, "max_completion_tokens": 9})
    assert lessons.apply("m", rendered) == []
    assert rendered.body == {"max_completion_tokens": 9}  # what stood there was the caller's
