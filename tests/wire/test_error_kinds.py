"""The table of codes and words: every documented one has its kind, in bodies, in streams, and against the status."""

from __future__ import annotations

import gzip
import json
import re
import typing
from pathlib import Path

import pytest

from llmstream.errors import ErrorKind
from llmstream.events.types import EventType
from llmstream.wire.error_body import is_error, parse_error
from llmstream.wire.error_kinds import CODE_WORDS, CODES, MONEY, WORDS, is_known
from llmstream.wire.formats import FORMATS
from llmstream.wire.framing.sse import SSE
from llmstream.wire.json_fields import snake_case
from tests.wire.test_finish_words import frame, last_event, literals
from tests.wire.vendor_words import CODES_BY_PAGE, MINIMAX

KINDS = frozenset(typing.get_args(ErrorKind))


def kind_of(body, status=None) -> str:
    return parse_error(body, status=status).kind


def error(message="m", **fields):
    return {"error": {"message": message, **fields}}


def test_every_row_has_a_source_and_a_kind() -> None:
    for row in (*CODES, *CODE_WORDS, *WORDS, *MONEY):
        assert row.source
        assert row.kind in KINDS


def test_no_code_has_two_kinds() -> None:
    kinds: dict[str, set[str]] = {}
    for row in CODES:
        for code in row.codes:
            kinds.setdefault(snake_case(code), set()).add(row.kind)
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


# --- lists of others ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", CODES_BY_PAGE)
def test_no_listed_code_is_unmapped(page: str) -> None:
    """Each code of a vendor's page means what the page says, inside a stream too."""
    for kind, codes in CODES_BY_PAGE[page].items():
        found = {code: kind_of(error(code=code)) for code in codes.split()}
        assert set(found.values()) == {kind}, found


def test_no_code_of_openai_is_unmapped() -> None:
    """18 of these 21 codes were once taken for a failure of the server, and sent three times."""
    from openai.types.beta.threads.run import LastError
    from openai.types.responses import ResponseError

    codes = literals(ResponseError.model_fields["code"].annotation)
    codes |= set(typing.get_args(ResponseError.model_fields["code"].annotation))
    codes |= set(typing.get_args(LastError.model_fields["code"].annotation))
    assert len(codes) >= 21
    assert [code for code in codes if not is_known(code)] == []
    again = {code for code in codes if parse_error(error(code=code)).retryable}
    assert again == {"server_error", "rate_limit_exceeded", "vector_store_timeout"}


def test_no_type_of_anthropic_is_unmapped() -> None:
    from anthropic.types.shared import ErrorType

    types = typing.get_args(ErrorType)
    assert len(types) >= 9
    assert [type for type in types if not is_known(type)] == []


def test_no_detail_of_anthropic_takes_an_error_for_the_servers() -> None:
    """An `error_code` says more than the type beside it, or leaves the kind to the type."""
    import anthropic.types

    code = re.compile(r'error_code: Literal\["(\w+)"\]')
    files = Path(anthropic.types.__file__).parent.rglob("*error_details.py")
    codes = {found for file in files for found in code.findall(file.read_text("utf-8"))}
    assert len(codes) >= 100
    for detail in codes:
        fields = {"type": "invalid_request_error", "details": {"error_code": detail}}
        assert kind_of(error(**fields)) != "server", detail


def test_the_exceptions_of_botocore_are_all_known() -> None:
    botocore = pytest.importorskip("botocore")
    (model,) = Path(botocore.__file__).parent.glob("data/bedrock-runtime/*/service-2.json.gz")
    shapes = json.loads(gzip.decompress(model.read_bytes()))["shapes"]
    exceptions = [name for name, shape in shapes.items() if shape.get("exception")]
    assert [name for name in exceptions if not is_known(name)] == []


# --- words -------------------------------------------------------------------------------------------------------

MONEY_WORDS = [
    "Your account is suspended due to insufficient balance, please recharge your account",
    "Insufficient Balance",
    "Insufficient account balance",
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free requests per day",
    "This request requires more credits, or fewer max_tokens. You requested up to 8192 tokens",
    "Your team has either used all available credits or reached its monthly spending limit.",
    "Your newly created team doesn't have any credits yet.",
    "Insufficient balance or no resource package. Please recharge.",
    "Usage limit reached for 5 hour. Your limit will reset at 2026-12-01 10:00:00",
    "Credit limit exceeded, please navigate to the billing settings",
    "Sorry, your account balance is insufficient",
    "Access denied, please make sure your account is in good standing.",
    "The free tier of the model has been exhausted.",
    "Your prepayment credits are depleted. Please go to AI Studio.",
    "您的账户已欠费 请充值后重试",
    "余额不足或无可用资源包 请充值",
    "已达到 5 小时的使用上限 您的限额将在 10:00 重置",
    "you've reached your weekly usage limit",
    "Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys",
    "You have no remaining credits",
    "You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use it",
    "litellm.RateLimitError: You exceeded your current quota, please check your plan and billing details.",
]
"""As vendors word it; sources stand in the table."""


@pytest.mark.parametrize("words", MONEY_WORDS)
def test_money_is_quota_whatever_the_status(words: str) -> None:
    """One request, not three: no wait brings money."""
    for status in (None, 400, 401, 402, 403, 429, 500):
        info = parse_error(error(words), status=status)
        assert (info.kind, info.retryable) == ("quota", False), status
    assert kind_of(error(words, type="rate_limit_error"), 429) == "quota"
    assert kind_of(error(words, status="RESOURCE_EXHAUSTED"), 429) == "quota"


CONTEXT_WORDS = [
    "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
    "Input token length too long",
    "Prompt exceeds max length",
    "prompt token count of 140000 exceeds the limit of 128000",
    "Range of input length should be [1, 30720]",
    "Input is too long for requested model.",
    "too many tokens: size limit exceeded by 25836 tokens",
    "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "'max_tokens' is too large: 8000. This model's maximum context length is 8192 tokens",
    "invalid params, context window exceeds limit (2013)",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "the prompt is too long",
    "messages too long: 210000 tokens > 200000",
    "Total tokens of image and text exceed max message tokens.",
    "The prompt exceeds the model's maximum input length",
    "input tokens (20000) exceed limit 16000",
    "Model context limit exceeded",
]


@pytest.mark.parametrize("words", CONTEXT_WORDS)
def test_an_overflow_is_told_in_every_vendors_words(words: str) -> None:
    for status in (None, 400, 413, 422, 500):
        assert kind_of(error(words, type="invalid_request_error"), status) == "context_length"


@pytest.mark.parametrize(
    "words",
    [
        "Invalid 'messages[1].tool_calls[0].id': string too long. Expected maximum length 40",
        "Invalid 'x': string too long. Expected a string with maximum length 40, but got 53 instead.",
        "Invalid 'tools': array too long. Expected an array with maximum length 128",
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
        "`max_tokens` must be less than or equal to `8192`, the maximum value for this model",
        "max_completion_tokens is too large: 9. This model supports at most 8 completion tokens",
        "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens",
        "tools.0.custom.name: String should have at most 64 characters",
        "Too many strict tools (21). The maximum number of strict tools supported is 20.",
        "too many stop sequences: at most 4",
        "Temperature must be between 0 and 2, got 100",
        "The balance parameter must be a number",
        "messages: credit is not a role",
    ],
)
def test_what_only_looks_like_an_overflow_or_money_is_the_request(words: str) -> None:
    assert kind_of(error(words, type="invalid_request_error"), 400) == "invalid_request"
    assert kind_of(error(words, type="invalid_request_error")) == "invalid_request"


def test_googles_quota_is_a_rate_limit() -> None:
    """The words of OpenAI's spent money, but a limit per minute or day whose delay stands in the body."""
    words = (
        "You exceeded your current quota, please check your plan and billing details."
        " * Quota exceeded for metric: generativelanguage.googleapis.com/free_tier_requests"
    )
    assert kind_of(error(words, status="RESOURCE_EXHAUSTED", code=429), 429) == "rate_limit"
    assert kind_of(error(words, code=429)) == "rate_limit"


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (403, "x requires moderation on Anthropic. Your input was flagged", "content_filter"),
        (400, "Output blocked by content filtering policy", "content_filter"),
        (400, "Content Exists Risk", "content_filter"),
        (403, "Content violates usage guidelines. Failed check: SAFETY_CHECK", "content_filter"),
        (400, "The request was rejected because it was considered high risk", "content_filter"),
        (400, "Input data may contain inappropriate content.", "content_filter"),
        (500, "Anthropic is currently experiencing high demand", "overloaded"),
        (500, "Service tier capacity exceeded for this model.", "overloaded"),
        (400, "The server is busy, try again later", "overloaded"),
        (400, "Too many requests in the last minute", "rate_limit"),
        (500, "Limit of 20 requests per minute reached", "rate_limit"),
        (403, "The security token included in the request is expired", "authentication"),
        (400, "您当前使用该 API 的并发数过高 请降低并发", "rate_limit"),
        (400, "该模型当前访问量过大 请您稍后再试", "overloaded"),
        (400, "系统检测到输入或生成内容可能包含不安全或敏感内容", "content_filter"),
        (400, "Prompt 超长", "context_length"),
        (403, "no access to this model", "permission"),
        (404, "insufficient balance", "not_found"),
    ],
)
def test_words_say_more_than_most_statuses(status: int, words: str, kind: str) -> None:
    assert kind_of(error(words), status) == kind


# --- shapes ------------------------------------------------------------------------------------------------------

SHAPES = [
    ({"detail": "Rate limit reached"}, "rate_limit", None, "Rate limit reached"),
    ({"detail": {"message": "slow", "code": "rate_limited"}}, "rate_limit", "rate_limited", "slow"),
    ({"type": "error", "message": "Overloaded"}, "overloaded", None, "Overloaded"),
    ({"type": "overloaded_error", "message": "m"}, "overloaded", "overloaded_error", "m"),
    ({"code": "1302", "msg": "slow"}, "rate_limit", "1302", "slow"),
    ({"code": 1113, "msg": "no money", "success": False}, "quota", "1113", "no money"),
    ({"code": "Throttling.RateQuota", "message": "m"}, "rate_limit", "Throttling.RateQuota", "m"),
    ({"errors": [{"code": 10000, "message": "Authentication_error"}]}, "server", "10000", None),
    ({"errors": [{"code": "rate_limit_exceeded"}]}, "rate_limit", "rate_limit_exceeded", None),
    ({"errors": ["the server is busy"], "success": False}, "overloaded", None, "the server is busy"),
    ({"base_resp": {"status_code": 1008, "status_msg": "m"}, "choices": None}, "quota", "1008", "m"),
    ({"base_resp": {"status_code": 1002, "status_msg": "m"}}, "rate_limit", "1002", "m"),
    ({"base_resp": {"status_code": 1004, "status_msg": "m"}}, "authentication", "1004", "m"),
    ({"error": {"code": "1004", "message": "m"}}, "authentication", "1004", "m"),
    ({"object": "error", "message": "m", "code": "1300"}, "rate_limit", "1300", "m"),
    ({"object": "error", "message": "m", "code": 400}, "invalid_request", None, "m"),
    ({"error": "Too Many Requests", "message": "slow", "status": 429}, "rate_limit", "Too Many Requests", "slow"),
    ({"status": 503, "error": "Service Unavailable", "message": "m"}, "overloaded", "Service Unavailable", "m"),
    ({"statusCode": 429, "message": "m"}, "rate_limit", None, "m"),
    ({"__type": "com.amazon#ThrottlingException", "message": "m"}, "rate_limit", "ThrottlingException", "m"),
    ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, "server", None, None),
    ({"error": '{"error": {"code": "rate_limit_exceeded", "message": "m"}}'}, "rate_limit", "rate_limit_exceeded", "m"),
    ({"error": {"error": {"type": "overloaded_error", "message": "m"}}}, "overloaded", "overloaded_error", "m"),
    ({"error": {"innererror": {"code": "content_filter"}}}, "content_filter", "content_filter", None),
    ({"status": "error", "message": "rate limit"}, "rate_limit", None, "rate limit"),
    ({"Error": {"Code": "rate_limited", "Message": "m"}}, "rate_limit", "rate_limited", "m"),
    ({"ErrorMsg": {"Msg": "rate limit", "Code": 4001}}, "rate_limit", "4001", "rate limit"),
    ({"fault": {"faultstring": "Rate limit quota violation"}}, "rate_limit", None, "Rate limit quota violation"),
    ({"errors": {"message": "m", "code": "rate_limit_exceeded"}}, "rate_limit", "rate_limit_exceeded", "m"),
    ({"detail": [{"loc": ["body", "x"], "msg": "field required"}]}, "invalid_request", None, None),
    ({"error": True, "message": "the server is busy"}, "overloaded", None, "the server is busy"),
]  # fmt: skip
"""Body, kind, code (None: none), message (None: any)."""


@pytest.mark.parametrize(("body", "kind", "code", "message"), SHAPES)
def test_an_error_of_any_shape_is_read(body, kind: str, code, message) -> None:
    """In place of a chunk, as a document, as the body of an HTTP error, as text, in a list, as server-sent events."""
    assert is_error(body)
    text = json.dumps(body)
    for form in (
        body,
        [body],
        [{"choices": []}, body],
        text,
        f"[{text}]",
        f"\ufeff{text}",
        f"data: {text}\n\n",
        f"event: error\r\ndata: {text}\r\n\r\n",
        f": comment\n\ndata: {{}}\n\ndata: {text}\n\ndata: [DONE]\n\n",
    ):
        info = parse_error(form)
        assert (info.kind, info.code) == (kind, code), form
        assert message in (None, info.message)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("body", "kind", "code", "message"), SHAPES)
def test_an_error_of_any_shape_ends_a_stream(format: str, body, kind, code, message) -> None:
    """As a frame of its own, with or without a name, in a list, and as the whole body under 200."""
    framing = FORMATS[format].framing
    named = [b"event: error\n" + frame(body)] if isinstance(framing, SSE) else []
    for answer in (
        framing.frame(json.dumps(body).encode()),
        *named,
        framing.frame(json.dumps([body]).encode()),
        json.dumps(body).encode(),
        json.dumps([body], indent=1).encode(),
    ):
        event = last_event(format, answer)
        assert event.type is EventType.ERROR, answer
        assert (event.error_info.kind, event.error_info.code) == (kind, code), answer


@pytest.mark.parametrize(
    "format", [name for name, row in FORMATS.items() if isinstance(row.framing, SSE)]
)
@pytest.mark.parametrize(
    "payload",
    [
        {"message": "the server is busy"},
        {"text": "nobody knows this shape, and it is overloaded"},
        ["overloaded"],
        "overloaded",
    ],
)
def test_a_frame_named_error_is_one(format: str, payload) -> None:
    event = last_event(format, b"event: error\n" + frame(payload))
    assert event.error_info.kind == "overloaded"


@pytest.mark.parametrize(
    "payload",
    [
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
        {"base_resp": None},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"error": False},
        {"error": "none"},
        {"error": "OK"},
        {"error": 0},
        {"error": {"code": 0, "message": "ok"}},
        {"error": {"message": "", "type": None}},
        {"errors": []},
        {"errors": None},
        {"success": True, "errors": [], "messages": []},
        {"code": 0, "message": "Success", "sid": "1"},
        {"code": 200, "msg": "ok"},
        {"detail": None},
        {"type": "ping"},
        {"status": "queued", "message": "position 3"},
        {"status": [], "message": "x"},
    ],
)
def test_what_is_no_error_is_none(payload) -> None:
    """Some vendors send an empty error, or a code of success, with every chunk."""
    assert not is_error(payload)
    text = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    event = last_event("openai-chat", frame({**payload, **text}) + b"data: [DONE]\n\n")
    assert event.message.text == "Hi"


@pytest.mark.parametrize(
    ("choice", "kind", "code"),
    [
        ({"finish_reason": "error", "error": {"code": 429, "message": "m"}}, "rate_limit", None),
        ({"error": {"code": 502, "message": "m"}}, "server", None),
        ({"delta": {"error": {"type": "overloaded_error"}}}, "overloaded", "overloaded_error"),
        ({"delta": {"content": "", "error": "the server is busy"}}, "overloaded", None),
        ({"error": "insufficient balance"}, "quota", None),
        ({"finish_reason": "stop", "error": {"code": "1301", "message": "m"}}, "content_filter", "1301"),
    ],
)  # fmt: skip
def test_an_error_inside_a_choice_is_one(choice, kind: str, code) -> None:
    """The text before it is kept, and so are the counts beside it."""
    begun = {"choices": [{"index": 0, "delta": {"content": "Half"}, "finish_reason": None}]}
    failed = {"choices": [{"index": 0, "delta": {}, **choice}], "usage": {"prompt_tokens": 3}}
    event = last_event("openai-chat", frame(begun) + frame(failed) + b"data: [DONE]\n\n")
    assert event.error_info is not None
    assert (event.error_info.kind, event.error_info.code) == (kind, code)
    assert event.error_info.partial.text == "Half"
    assert event.usage.input_tokens == 3


@pytest.mark.parametrize("place", ["choice", "message", "document"])
@pytest.mark.parametrize("finish", ["error", "stop", None])
def test_an_error_inside_a_document_is_one(place: str, finish) -> None:
    """And nothing follows it, not even the end that its finish reason names."""
    told = {"error": {"code": 429, "message": "m"}}
    message = {"role": "assistant", "content": "Half", **(told if place == "message" else {})}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    choice |= told if place == "choice" else {}
    body = json.dumps({"choices": [choice], **(told if place == "document" else {})}).encode()
    decoder = FORMATS["openai-chat"].make_decoder()
    events = [*decoder.feed(body), *decoder.finish()]
    kinds = [event.error_info.kind for event in events if event.error_info is not None]
    assert kinds == ["rate_limit"]
    assert events[-1].type is EventType.ERROR


@pytest.mark.parametrize("nothing", [None, {}, "", {"code": 0, "message": "ok"}])
def test_an_empty_error_inside_a_choice_is_none(nothing) -> None:
    choice = {"index": 0, "delta": {"content": "Hi", "error": nothing}, "finish_reason": "stop"}
    body = frame({"choices": [{**choice, "error": nothing}]}) + b"data: [DONE]\n\n"
    assert last_event("openai-chat", body).message.text == "Hi"


@pytest.mark.parametrize(
    "payload",
    [
        {"response": {"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}},
        {"response": {"status": "failed"}, "error": {"code": "invalid_prompt", "message": "m"}},
        {
            "response": {
                "status": "failed",
                "status_details": {"type": "failed", "error": {"code": "invalid_prompt"}},
            }
        },
        {"response": {"error": {"code": "invalid_prompt", "message": "m"}}},
    ],
)
def test_a_failed_response_says_why_in_several_places(payload) -> None:
    for type in ("response.failed", "response.completed", "response.done"):
        event = last_event("openai-responses", frame({"type": type, **payload}))
        info = event.error_info
        assert (info.kind, info.code, info.retryable) == ("content_filter", "invalid_prompt", False)


@pytest.mark.parametrize("type", ["message_start", "message_delta", "message_stop"])
def test_an_error_beside_a_messages_event_is_one(type: str) -> None:
    event = last_event("anthropic-messages", frame({"type": type, **error(type="api_error")}))
    assert event.error_info.kind == "server"


def test_openrouter_tells_what_its_upstream_said() -> None:
    """`raw` has the words and the code; "Provider returned error" says nothing."""
    raw = {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}
    for told in (raw, json.dumps(raw), f"event: error\ndata: {json.dumps(raw)}\n\n"):
        body = error("Provider returned error", code=400, metadata={"raw": told})
        info = parse_error(body, status=400)
        assert info.kind == "context_length"
        assert info.message == "Provider returned error: prompt is too long: 9 > 8"
    body = error("No", code=403, metadata={"reasons": ["violence"], "flagged_input": "x"})
    assert kind_of(body, 403) == kind_of(body) == "content_filter"
    body = error("Provider returned error", code=429, metadata={"raw": "insufficient balance"})
    assert kind_of(body, 429) == "quota"


@pytest.mark.parametrize("kind", MINIMAX)
def test_minimax_has_numbers_of_its_own(kind: str) -> None:
    for code in MINIMAX[kind].split():
        for status_code in (int(code), code):
            body = {"choices": None, "base_resp": {"status_code": status_code, "status_msg": "m"}}
            info = parse_error(body)
            assert (info.kind, info.code) == (kind, code)


def test_minimax_says_an_overflow_in_words() -> None:
    told = {"status_code": 2013, "status_msg": "invalid params, context window exceeds limit"}
    assert kind_of({"base_resp": told}) == "context_length"
