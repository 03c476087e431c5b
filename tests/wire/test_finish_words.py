"""Every documented finish word has its meaning: the lists come from the vendors, and their packages where installed."""

from __future__ import annotations

import gzip
import json
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.errors import ErrorKind
from llmstream.events.types import EventType
from llmstream.messages import FinishReason
from llmstream.wire.finish_words import FINISH_WORDS, read_finish_word, render_finish_word
from llmstream.wire.formats import FORMATS
from tests.recordings import FOLDER, NO_FOLDER
from tests.wire.vendor_words import FINISH

KINDS = frozenset(typing.get_args(ErrorKind))


def literals(annotation) -> set[str]:
    """The words of a Literal, wherever it stands in an annotation."""
    found = set()
    for part in typing.get_args(annotation):
        if isinstance(part, str):
            found.add(part)
        else:
            found |= literals(part)
    return found


def test_every_row_has_a_source_and_a_meaning() -> None:
    for row in FINISH_WORDS:
        assert row.source
        assert row.words
        assert isinstance(row.meaning, FinishReason) or row.meaning in KINDS


def test_no_format_has_a_word_twice() -> None:
    spelled = [(row.format, word) for row in FINISH_WORDS for word in row.words]
    assert len(spelled) == len(set(spelled))


@pytest.mark.parametrize("source", FINISH)
def test_no_listed_word_is_unmapped(source: str) -> None:
    """In every format, since gateways pass words on. "OTHER" alone says something in Gemini's format only."""
    words = set(FINISH[source].split())
    for format in FORMATS:
        meanings = {word: read_finish_word(word, format) for word in words - {"OTHER"}}
        assert not {None, FinishReason.OTHER} & set(meanings.values()), meanings


def test_no_word_of_openai_is_unmapped() -> None:
    from openai.types.chat.chat_completion_chunk import Choice
    from openai.types.completion_choice import CompletionChoice
    from openai.types.responses.response import IncompleteDetails, Response

    words = literals(Choice.model_fields["finish_reason"].annotation)
    words |= literals(CompletionChoice.model_fields["finish_reason"].annotation)
    words |= literals(IncompleteDetails.model_fields["reason"].annotation)
    words |= literals(Response.model_fields["status"].annotation) - {"queued", "in_progress"}
    assert len(words) >= 12
    for format in FORMATS:
        assert FinishReason.OTHER not in {read_finish_word(word, format) for word in words}


def test_no_word_of_anthropic_is_unmapped() -> None:
    from anthropic.types import StopReason
    from anthropic.types.beta import BetaStopReason

    words = literals(StopReason) | set(typing.get_args(StopReason))
    words |= set(typing.get_args(BetaStopReason))
    assert len(words) >= 8
    for format in FORMATS:
        assert FinishReason.OTHER not in {read_finish_word(word, format) for word in words}


def test_the_list_of_google_genai_is_whole() -> None:
    types = pytest.importorskip("google.genai.types")
    listed = set(FINISH["google-genai FinishReason"].split())
    assert {reason.value for reason in types.FinishReason} <= listed


def test_the_statuses_of_interactions_are_whole() -> None:
    pytest.importorskip("google.genai")
    from google.genai._gaos.types.interactions.interaction import InteractionStatus

    listed = set(FINISH["google-genai InteractionStatus"].split())
    assert literals(InteractionStatus) - listed == {"queued", "in_progress", "idle"}


def test_the_list_of_mistralai_is_whole() -> None:
    models = pytest.importorskip("mistralai.client.models")
    listed = set(FINISH["mistralai ChatCompletionChoice"].split())
    for choice in (models.ChatCompletionChoice, models.CompletionResponseStreamChoice):
        assert literals(choice.model_fields["finish_reason"].annotation) <= listed


def test_the_lists_of_cohere_are_whole() -> None:
    types = pytest.importorskip("cohere.types")
    for name in ("ChatFinishReason", "FinishReason"):
        assert literals(getattr(types, name)) <= set(FINISH[f"cohere {name}"].split())


def test_the_list_of_botocore_is_whole() -> None:
    botocore = pytest.importorskip("botocore")
    (model,) = Path(botocore.__file__).parent.glob("data/bedrock-runtime/*/service-2.json.gz")
    shapes = json.loads(gzip.decompress(model.read_bytes()))["shapes"]
    listed = set(FINISH["botocore bedrock-runtime StopReason"].split())
    assert set(shapes["StopReason"]["enum"]) <= listed


@pytest.mark.skipif(not FOLDER, reason=NO_FOLDER.kwargs["reason"])
def test_no_recorded_word_is_unmapped() -> None:
    field = re.compile(rb'"(?:finish_?reason|stop_?reason|done_reason)": ?"([^"]*)"', re.I)
    words = set()
    for path in Path(FOLDER or "").rglob("*"):
        if path.is_file():
            words |= {word.decode() for word in field.findall(path.read_bytes())}
    assert len(words) >= 12
    unmapped = {word for word in words if read_finish_word(word, "") is FinishReason.OTHER}
    assert unmapped == set()


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("STOP", FinishReason.STOP),
        ("Length", FinishReason.LENGTH),
        ("tool-calls", FinishReason.TOOL_CALLS),
        ("toolUse", FinishReason.TOOL_CALLS),
        ("content filter", FinishReason.CONTENT_FILTER),
        ("END_TURN", FinishReason.STOP),
        ("content_filter: RECITATION", FinishReason.CONTENT_FILTER),
        ("content_filter: NEW_IN_2027", FinishReason.CONTENT_FILTER),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "invalid_output"),
        ("a word of nobody", FinishReason.OTHER),
        ("new: word", FinishReason.OTHER),
        ("STOP!", FinishReason.OTHER),
        ("null", None),
        ("NULL", None),
        ("", None),
        ("  ", None),
    ],
)
def test_the_spelling_does_not_matter(word: str, meaning: object) -> None:
    for format in FORMATS:
        assert read_finish_word(word, format) == meaning


@given(st.text(max_size=30), st.sampled_from([*FORMATS, "", "gemini-generate"]))
def test_any_word_has_a_meaning(word: str, format: str) -> None:
    meaning = read_finish_word(word, format)
    assert meaning is None or isinstance(meaning, FinishReason) or meaning in KINDS
    assert meaning == read_finish_word(f" {word}\t", format)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("insufficient_quota", "quota"),
        ("RateLimitExceeded", "rate_limit"),
        ("context_length_exceeded", FinishReason.LENGTH),
        ("content_policy_violation", FinishReason.CONTENT_FILTER),
        ("1302", FinishReason.OTHER),
        ("unknown", FinishReason.UNKNOWN),
        ("hologram", FinishReason.OTHER),
    ],
)
def test_the_code_of_an_error_means_that_error(word: str, meaning: object) -> None:
    assert read_finish_word(word, "openai-chat") == meaning


def test_the_formats_own_words_count_first() -> None:
    """Gemini's OTHER is a failure; elsewhere "other" says nothing."""
    assert read_finish_word("OTHER", "gemini-generate") == "invalid_output"
    assert read_finish_word("OTHER", "openai-chat") is FinishReason.OTHER
    assert read_finish_word("error", "cohere-v2") == "server"


def test_an_answer_ends_in_words_of_its_format() -> None:
    """Another vendor's words don't reach the clients of a gateway, and words for failure never end an answer."""
    stop, other = FinishReason.STOP, FinishReason.OTHER
    assert render_finish_word("stop", stop, "openai-chat") == "stop"
    assert render_finish_word("end_turn", stop, "openai-chat") is None
    assert render_finish_word("stop", stop, "anthropic-messages") is None
    assert render_finish_word("brand_new", other, "openai-chat") == "brand_new"
    assert render_finish_word("brand_new", None, "openai-chat") is None
    assert render_finish_word("abort", other, "openai-chat") is None
    assert render_finish_word(None, other, "openai-chat") is None


# --- in an answer --------------------------------------------------------------------------------------------


def frame(payload) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


def ending_in(format: str, word: str, *, text: str = "Half") -> bytes:
    """An answer in a format that ends in a word."""
    if format == "openai-chat":
        frames = [
            {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]},
        ]
        return b"".join(map(frame, frames)) + b"data: [DONE]\n\n"
    if format == "anthropic-messages":
        delta = {"type": "text_delta", "text": text}
        frames = [
            {"type": "message_start", "message": {"id": "m", "model": "m", "content": []}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "message_delta", "delta": {"stop_reason": word}},
            {"type": "message_stop"},
        ]
        return b"".join(map(frame, frames))
    if format == "bedrock-converse":
        events = {
            "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}},
            "messageStop": {"stopReason": word},
        }
        framing = FORMATS[format].framing
        return b"".join(framing.frame(json.dumps(events[name]).encode(), name) for name in events)
    if format == "cohere-v2":
        said = {"delta": {"message": {"content": {"text": text}}}}
        frames = [
            {"type": "content-delta", "index": 0, **said},
            {"type": "message-end", "delta": {"finish_reason": word}},
        ]
        return b"".join(map(frame, frames))
    if format == "gemini-generate":
        frames = [
            {"candidates": [{"content": {"parts": [{"text": text}]}}]},
            {"candidates": [{"finishReason": word}]},
        ]
        return b"".join(map(frame, frames))
    if format == "gemini-interactions":
        frames = [
            {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": text}},
            {"event_type": "interaction.completed", "interaction": {"status": word}},
        ]
        return b"".join(map(frame, frames))
    if format == "ollama-native":
        message = {"role": "assistant", "content": text}
        lines = [{"message": message}, {"done": True, "done_reason": word}]
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    details = {"status": "incomplete", "incomplete_details": {"reason": word}}
    frames = [
        {"type": "response.output_text.delta", "output_index": 0, "delta": text},
        {"type": "response.incomplete", "response": details},
    ]
    return b"".join(map(frame, frames))


def last_event(format: str, body: bytes):
    decoder = FORMATS[format].make_decoder()
    return [*decoder.feed(body), *decoder.finish()][-1]


FAILURES = {
    "abort": "server",
    "ABORT": "server",
    "aborted": "server",
    "network_error": "server",
    "error": "server",
    "timeout": "server",
    "insufficient_system_resource": "overloaded",
    "INSUFFICIENT_SYSTEM_RESOURCE": "overloaded",
    "MALFORMED_FUNCTION_CALL": "invalid_output",
    "malformed_tool_use": "invalid_output",
    "modelUnloaded": "server",
    "overloaded_error": "overloaded",
    "rate_limit": "rate_limit",
    "server_error": "server",
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("word", FAILURES)
def test_a_word_for_failure_is_an_error(format: str, word: str) -> None:
    """With its kind, its code and its word; what had come is in `partial`."""
    event = last_event(format, ending_in(format, word))
    assert event.type is EventType.ERROR
    info = event.error_info
    assert info.kind == FAILURES[word]
    assert info.retryable
    assert info.code == word
    assert word in info.message
    assert info.partial.text == "Half"


MEANINGS = {
    "end_turn": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "stop": FinishReason.STOP,
    "COMPLETE": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "requires_action": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "length": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "max_messages": FinishReason.LENGTH,
    "incomplete": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "sensitive": FinishReason.CONTENT_FILTER,
    "content_filter": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
    "steered": FinishReason.PAUSE,
    "a word of nobody": FinishReason.OTHER,
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("word", MEANINGS)
def test_the_words_of_others_have_their_meaning(format: str, word: str) -> None:
    event = last_event(format, ending_in(format, word))
    assert event.finish_reason is MEANINGS[word]
    assert (event.raw_finish_reason or "").endswith(word)


def test_a_later_word_takes_an_earlier_ones_place() -> None:
    """A failure may be taken back, and a good end may turn out a failure."""

    def end(*words: str):
        frames = [
            frame({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": word}]})
            for word in words
        ]
        return last_event("openai-chat", b"".join(frames) + b"data: [DONE]\n\n")

    assert end("abort", "stop").finish_reason is FinishReason.STOP
    assert end("stop", "abort").error_info.kind == "server"
    assert end("stop", "null").finish_reason is FinishReason.STOP


def test_whom_openrouter_asked_says_more() -> None:
    """Its own "error" says little; the native word counts if it means failure too."""

    def end(native: object):
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": "error"}
        body = (
            frame({"choices": [{**choice, "native_finish_reason": native}]}) + b"data: [DONE]\n\n"
        )
        return last_event("openai-chat", body).error_info

    assert end("MALFORMED_FUNCTION_CALL").kind == "invalid_output"
    assert end("MALFORMED_FUNCTION_CALL").code == "MALFORMED_FUNCTION_CALL"
    for native in ("STOP", "a word of nobody", None, 7):
        assert (end(native).kind, end(native).code) == ("server", "error")


def test_a_failure_without_the_end_marker_is_one_too() -> None:
    """A server that aborts doesn't always say `[DONE]`."""
    body = ending_in("openai-chat", "abort").removesuffix(b"data: [DONE]\n\n")
    assert last_event("openai-chat", body).error_info.kind == "server"


def document_ending_in(format: str, word: str) -> bytes:
    """A whole JSON answer that ends in a word."""
    if format == "openai-chat":
        message = {"role": "assistant", "content": "Half"}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": word}]}
    elif format == "anthropic-messages":
        content = [{"type": "text", "text": "Half"}]
        body = {"type": "message", "content": content, "stop_reason": word}
    elif format == "bedrock-converse":
        body = {"output": {"message": {"content": [{"text": "Half"}]}}, "stopReason": word}
    elif format == "cohere-v2":
        body = {"message": {"content": [{"text": "Half"}]}, "finish_reason": word}
    elif format == "gemini-generate":
        body = {"candidates": [{"content": {"parts": [{"text": "Half"}]}, "finishReason": word}]}
    elif format == "gemini-interactions":
        step = {"type": "model_output", "content": [{"type": "text", "text": "Half"}]}
        body = {"object": "interaction", "steps": [step], "status": word}
    elif format == "ollama-native":
        message = {"role": "assistant", "content": "Half"}
        body = {"message": message, "done": True, "done_reason": word}
    else:
        part = {"type": "output_text", "text": "Half", "annotations": []}
        output = [{"type": "message", "content": [part]}]
        details = {"reason": word}
        body = {"output": output, "status": "incomplete", "incomplete_details": details}
    return json.dumps(body).encode()


@pytest.mark.parametrize("format", FORMATS)
def test_a_document_ends_in_words_too(format: str) -> None:
    """Servers that don't stream use the same words."""
    failed = last_event(format, document_ending_in(format, "abort")).error_info
    assert (failed.kind, failed.code, failed.partial.text) == ("server", "abort", "Half")
    ended = last_event(format, document_ending_in(format, "SENSITIVE"))
    assert ended.finish_reason is FinishReason.CONTENT_FILTER
    assert ended.message.text == "Half"
