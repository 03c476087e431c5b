"""OpenAI's and Anthropic's own JavaScript clients against the gateway."""

from __future__ import annotations

import pytest

from tests.web.dialects.gateway import MODELS
from tests.web.dialects.node import Played, play

pytestmark = pytest.mark.sdk

WHOLE = (
    "text",
    "tools",
    "reasoning",
    "sources",
    "cited",
    "refusal",
    "length",
    "retry",
    "steps",
    "slow",
)
BROKEN = {"midway": "overloaded", "cut": "cut before", "restart": "interrupted"}


@pytest.fixture(scope="module")
def openai() -> Played:
    return play("openai.mjs", *WHOLE, *BROKEN, "refused", "stall", "models")


@pytest.fixture(scope="module")
def anthropic() -> Played:
    return play("anthropic.mjs", *WHOLE, *BROKEN, "refused", "stall")


def test_openai_reads_text_usage_and_reasoning(openai: Played) -> None:
    text = openai.seen["text"]
    assert (text["text"], text["finish"], text["usage"]["total_tokens"]) == (
        "Hello, wörld\u2028 \r\n\n🙂",
        "stop",
        10,
    )
    assert openai.seen["reasoning"]["reasoning"] == "Hm, thinking"
    assert openai.seen["refusal"]["added"]["refusal"] == "I can't help with that."
    assert openai.seen["length"]["finish"] == "length"


def test_openai_adds_up_the_stream_to_the_whole_answer(openai: Played) -> None:
    for name in ("text", "tools", "refusal", "retry", "slow", "cited"):
        added, whole = openai.seen[name]["added"], openai.seen[name]["whole"]
        for field in ("content", "refusal", "tool_calls", "annotations"):
            assert (added.get(field) or None) == (whole.get(field) or None), name
    (call,) = openai.seen["tools"]["whole"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Paris"}'}


@pytest.mark.parametrize("name", BROKEN)
def test_openai_sees_that_an_answer_broke_off(openai: Played, name: str) -> None:
    seen = openai.seen[name]
    assert (seen["text"], seen["finish"]) == ("Half an ", None)
    assert BROKEN[name] in seen["error"]["message"]


def test_openai_sees_http_errors_lists_models_and_leaves(openai: Played) -> None:
    error = openai.seen["refused"]["error"]
    assert (error["name"], error["status"]) == ("RateLimitError", 429)
    assert openai.seen["models"]["ids"] == MODELS
    assert openai.seen["stall"]["text"] == "Half an "
    assert openai.stall_closed


def test_anthropic_adds_up_the_stream_to_the_whole_answer(anthropic: Played) -> None:
    for name in set(WHOLE) - {"steps"}:
        added, whole = anthropic.seen[name]["added"], anthropic.seen[name]["whole"]
        for field in ("content", "stop_reason", "usage", "model", "role"):
            assert added[field] == whole[field], name
    assert anthropic.seen["tools"]["added"]["content"][1]["input"] == {"city": "Paris"}
    assert anthropic.seen["reasoning"]["added"]["content"][0]["signature"] == "c2ln"
    assert anthropic.seen["text"]["added"]["usage"]["input_tokens"] == 5


@pytest.mark.parametrize("name", BROKEN)
def test_anthropic_sees_that_an_answer_broke_off(anthropic: Played, name: str) -> None:
    seen = anthropic.seen[name]
    assert (seen["text"], seen.get("added")) == ("Half an ", None)
    assert BROKEN[name] in seen["error"]["message"]


def test_anthropic_sees_http_errors_and_leaves(anthropic: Played) -> None:
    error = anthropic.seen["refused"]["error"]
    assert (error["name"], error["status"], error["type"]) == (
        "RateLimitError",
        429,
        "rate_limit_error",
    )
    assert anthropic.seen["stall"]["error"]["name"] == "APIUserAbortError"
    assert anthropic.stall_closed
