"""The simulator: scripted answers, over real wire bytes in each format."""

from __future__ import annotations

import pytest

from llmstream import ErrorInfo, EventType, LLMClient, RetryPolicy, Source, ToolCall, Usage
from llmstream.messages import ReasoningPart
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import VirtualClock
from llmstream.wire import FORMATS

QUESTION = [{"role": "user", "content": "What is up?"}]
formats = pytest.mark.parametrize("format", list(FORMATS))


async def answers(provider, count=1, **options):
    clock = VirtualClock()
    client = LLMClient(provider=provider, clock=clock, **options)
    return [
        [event async for event in client.chat_completion(QUESTION)] for _ in range(count)
    ], clock


@formats
async def test_without_a_script_it_repeats_the_question_and_counts(format):
    (events,), clock = await answers(SimulatorProvider(format=format, pace=0.5))
    assert events[-1].message.text == "This is the simulator, not a model. You said: What is up?"
    assert events[-1].usage.output_tokens > 5
    assert [e.type for e in events].count(EventType.TEXT_DELTA) > 5
    assert clock.now == 0.5 * len(clock.sleeps)
    assert (events[0].start.provider, events[0].start.model) == ("simulator", "echo")


@formats
async def test_it_is_deterministic(format):
    first, _ = await answers(SimulatorProvider(format=format), 2)
    second, _ = await answers(SimulatorProvider(format=format), 2)
    assert first == second


@formats
async def test_a_script_plays_reasoning_text_sources_tools_and_usage(format):
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}', input={"city": "Oslo"})
    source = Source(title="A", url="https://a.example")
    script = [
        [ReasoningPart("Let me think.", "signed"), "Hello there.", source, call, Usage(5, 7)],
        ["Bye."],
    ]
    (first, second, third), _ = await answers(SimulatorProvider(script=script, format=format), 3)
    message = first[-1].message
    assert (message.reasoning, message.text) == ("Let me think.", "Hello there.")
    signs, cites = format not in ("ollama-native", "cohere-v2"), format != "ollama-native"
    signatures = [part.signature for part in message.parts if isinstance(part, ReasoningPart)]
    assert signatures == ["signed" if signs else None]
    assert [(c.id, c.name, c.input) for c in message.tool_calls] == [
        ("call_1", "weather", {"city": "Oslo"})
    ]
    sources = [("A", "https://a.example")] if cites else []
    assert [(s.title, s.url) for s in message.sources] == sources
    assert first[-1].finish_reason == "tool_calls"
    assert (first[-1].usage.input_tokens, first[-1].usage.output_tokens) == (5, 7)
    assert second[-1].message.text == third[-1].message.text == "Bye."


@formats
async def test_a_scripted_error_is_retried_before_text_and_told_after_it(format):
    script = [[ErrorInfo("overloaded", "busy")], ["Half", ErrorInfo("rate_limit", "slow down")]]
    (events,), _ = await answers(
        SimulatorProvider(script=script, format=format), retry=RetryPolicy(max_attempts=3)
    )
    kinds = [e.type for e in events]
    assert kinds == [
        EventType.RETRY,
        EventType.MESSAGE_START,
        EventType.TEXT_DELTA,
        EventType.ERROR,
    ]
    assert (events[-1].error_info.kind, events[-1].error_info.provider) == (
        "rate_limit",
        "simulator",
    )
    assert events[-1].error_info.partial.text == "Half"


@formats
@pytest.mark.parametrize("kind", ["timeout", "quota", "rate_limit"])
async def test_a_scripted_error_keeps_all_that_it_says(format, kind):
    script = [["Half", ErrorInfo(kind, "because", retry_after=7.0, status_code=429, code="c")]]
    (events,), _ = await answers(SimulatorProvider(script=script, format=format))
    info = events[-1].error_info
    assert (info.kind, info.retry_after, info.status_code, info.code) == (kind, 7.0, 429, "c")
    assert info.partial.text == "Half"


async def test_a_bug_in_the_script_is_no_truncation():
    def script(request):
        yield "Half"
        raise KeyError("oops")

    (events,), _ = await answers(SimulatorProvider(script=script))
    assert events[-1].error_info.kind == "internal"
    assert "KeyError" in events[-1].error


async def test_a_script_can_be_a_function_of_the_request():
    provider = SimulatorProvider(
        script=lambda request: [f"{request.model} got {len(request.messages)}"]
    )
    (events,), _ = await answers(provider, model="m-9")
    assert events[-1].message.text == "m-9 got 1"


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="openai-chat"):
        SimulatorProvider(format="carrier-pigeon")
