"""What real servers send: the rows are sound, a wrong answer is found, and a dozen of them are played to a client."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import pytest

from llmstream import LLMClient
from llmstream.events.types import EventType, StreamEvent, text_delta
from llmstream.messages import (
    File,
    FinishReason,
    Message,
    ReasoningPart,
    TextPart,
    ToolCall,
    Usage,
)
from llmstream.testing import FAULTS, FaultServer
from llmstream.testing.faults.expectation import Expected
from llmstream.wire.formats import FORMATS
from tests.conformance import cells, run

WILD = {name: fault for name, fault in FAULTS.items() if fault.theme == "wild"}
PLAYED = [
    "wild-finish-abort",
    "wild-finish-abort-at-once",
    "wild-finish-word-tool-use",
    "wild-error-in-code-and-msg",
    "wild-error-in-list",
    "wild-error-in-the-choice",
    "wild-error-document-in-base-resp",
    "wild-failed-invalid-prompt",
    "wild-money-zai-1308",
    "wild-openrouter-raw",
    "wild-body-of-events",
    "wild-delay-since-1970",
]


def test_the_rows_are_sound() -> None:
    assert len(WILD) >= 140
    for name, fault in WILD.items():
        assert name.startswith("wild-")
        assert set(fault.formats) <= set(FORMATS)
        assert fault.expect
        if fault.outcomes == ("complete",):
            assert fault.text is not None


def test_a_dozen_are_played() -> None:
    """All of them, over both transports, are in the lane of slow tests (test_conformance.py)."""
    todo = cells(PLAYED, ["httpx2"])
    assert asyncio.run(run(todo)) == []
    assert {(c.fault.name, c.api): c.problems for c in todo if c.problems} == {}


ANSWER = StreamEvent(
    EventType.MESSAGE_COMPLETE,
    message=Message(
        "assistant",
        [ReasoningPart("hm"), TextPart("one"), ToolCall("c", "get", '{"a":1}', {"a": 1}), File(url="data:,x")],
    ),
    finish_reason=FinishReason.STOP,
    usage=Usage(input_tokens=3, output_tokens=4),
)  # fmt: skip
RIGHT = {
    "calls": (("get", {"a": 1}),),
    "finish_reason": FinishReason.STOP,
    "reasoning": "hm",
    "files": 1,
    "input_tokens": 3,
    "output_tokens": 4,
}
WRONG = {
    "calls": (),
    "finish_reason": FinishReason.LENGTH,
    "reasoning": "",
    "files": 0,
    "input_tokens": 0,
    "output_tokens": 5,
    "no_output_tokens": True,
}


def test_a_right_answer_has_no_differences() -> None:
    assert Expected(**RIGHT).differences([ANSWER]) == []
    assert Expected().differences([ANSWER]) == []


@pytest.mark.parametrize("member", WRONG)
def test_each_difference_is_found(member: str) -> None:
    (problem,) = Expected(**{member: WRONG[member]}).differences([ANSWER])
    assert member.replace("_", " ").split()[-1] in problem.replace("_", " ")
    assert {field.name for field in fields(Expected)} == {*WRONG, "code"}


def test_the_code_of_an_error_is_compared() -> None:
    async def failed() -> list[StreamEvent]:
        async with FaultServer("wild-money-zai-1308") as server:
            url = server.url("openai")
            async with LLMClient("openai:m", api_key="k" * 12, base_url=url) as client:
                messages = [{"role": "user", "content": "hi"}]
                return [event async for event in client.chat_completion(messages)]

    events = asyncio.run(failed())
    assert WILD["wild-money-zai-1308"].expected.differences(events) == []
    assert Expected(code="1309").differences(events) == ["code is '1308', not '1309'"]


def test_the_events_of_a_provider_without_a_message_are_added_up() -> None:
    last = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
    assert Expected(calls=(), reasoning="", files=0).differences([text_delta("one"), last]) == []
    (problem,) = Expected(calls=(("get", {}),)).differences([text_delta("one"), last])
    assert problem.startswith("calls is ()")
