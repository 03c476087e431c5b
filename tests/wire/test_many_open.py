"""Answers with very many calls, blocks and items open at once: twice as many take twice the work, not four times."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest

from llmstream import EventType, LLMClient, StreamEvent, tools
from llmstream.arguments import build_request
from llmstream.events.builder import MessageBuilder
from llmstream.events.grammar import Guard
from llmstream.events.transcript import Transcript
from llmstream.events.types import Start, ToolCallDelta, text_delta
from llmstream.messages import FinishReason, Message, ToolCall, ToolResult
from llmstream.streams import map_text
from llmstream.streams.rewritten_message import RewrittenMessage
from llmstream.testing import ScriptedProvider
from llmstream.web.dialects import (
    AgUi,
    AiSdk,
    AnthropicMessages,
    Ask,
    GeminiStream,
    OllamaChat,
    OpenAIChat,
    OpenAIResponses,
)
from llmstream.web.dialects.ag_ui import Run
from llmstream.web.dialects.ai_sdk import UiReply
from llmstream.web.dialects.foreign_tool_calls import Withheld
from llmstream.wire import FORMATS, decoder, encoder
from llmstream.wire.object_end import ObjectEnd

FEW, MANY = 100, 200
"""A quadratic part of one bytecode for each pair would show."""


def work(function, *arguments):
    """Bytecodes that a call takes, and characters that functions are given: the same on every machine, however busy."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if event == "opcode":
            count += 1
        elif event == "call":
            count += sum(
                len(value) for value in frame.f_locals.values() if isinstance(value, str | bytes)
            )
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def frames(payloads):
    """Server-sent events."""
    return b"".join(b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads)


def chat(delta, reason=None):
    """One chunk."""
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def chat_call(index, **function):
    """A piece of a call."""
    return chat({"tool_calls": [{"index": index, "function": function}]})


def chat_calls(n):
    """All begin, then all go on, the last first."""
    calls = [
        {"index": i, "id": f"call_{i}", "function": {"name": "f", "arguments": '{"a"'}}
        for i in range(n)
    ]
    yield from (chat({"tool_calls": [call]}) for call in calls)
    yield from (chat_call(i, arguments=":1}") for i in reversed(range(n)))
    yield chat({}, "tool_calls")


def chat_names_again(n):
    """One call in many pieces, each with the name and none with an id, each a brace: whole or not?"""
    yield chat_call(0, name="f", arguments='{"a":"')
    yield from (chat_call(0, name="f", arguments="{}") for _ in range(n))
    yield chat_call(0, arguments='"}')
    yield chat({}, "tool_calls")


def chat_names_again_by_turns(n):
    """The same for two calls by turns."""
    yield from (chat_call(i, name=f"f{i}", arguments='{"a":"') for i in (0, 1))
    yield from (chat_call(i % 2, name=f"f{i % 2}", arguments="{}") for i in range(n))
    yield from (chat_call(i, arguments='"}') for i in (0, 1))
    yield chat({}, "tool_calls")


def item(i, **more):
    """A Responses call."""
    return {
        "type": "function_call",
        "id": f"fc_{i}",
        "call_id": f"call_{i}",
        "name": "f",
        "arguments": "",
        **more,
    }


def responses_calls(n):
    """All begin, all go on, all end, the last first."""
    yield {"type": "response.created", "response": {"id": "resp_1", "model": "m"}}
    yield from (
        {"type": "response.output_item.added", "output_index": i, "item": item(i)} for i in range(n)
    )
    for i in reversed(range(n)):
        yield {
            "type": "response.function_call_arguments.delta",
            "output_index": i,
            "delta": '{"a":1}',
        }
    for i in reversed(range(n)):
        done = item(i, arguments='{"a":1}', status="completed")
        yield {"type": "response.output_item.done", "output_index": i, "item": done}
    yield {
        "type": "response.completed",
        "response": {"id": "resp_1", "status": "completed", "output": []},
    }


def responses_items(n):
    """Messages that begin, say something by turns, and never end."""
    for i in range(n):
        yield {
            "type": "response.output_item.added",
            "output_index": i,
            "item": {"type": "message", "content": []},
        }
        place = {"output_index": i // 2, "content_index": i}
        yield {"type": "response.output_text.delta", **place, "delta": "a"}
        note = {"type": "url_citation", "url": f"https://x/{i}", "title": "x"}
        yield {"type": "response.output_text.annotation.added", **place, "annotation": note}
        yield {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": i,
            "delta": "b",
        }
    yield {
        "type": "response.completed",
        "response": {"id": "resp_1", "status": "completed", "output": []},
    }


def block(i, **start):
    """A block's start."""
    return {"type": "content_block_start", "index": i, "content_block": start}


def piece(i, **delta):
    """A block's next piece."""
    return {"type": "content_block_delta", "index": i, "delta": delta}


def messages_end(reason):
    """How an answer ends."""
    yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def messages_calls(n):
    """All begin, then all go on and end, the last first."""
    yield from (block(i, type="tool_use", id=f"toolu_{i}", name="f", input={}) for i in range(n))
    yield from (
        piece(i, type="input_json_delta", partial_json='{"a":1}') for i in reversed(range(n))
    )
    yield from ({"type": "content_block_stop", "index": i} for i in reversed(range(n)))
    yield from messages_end("tool_use")


def messages_blocks(n):
    """Blocks of every kind beside open calls; none ends."""
    for i in range(0, 4 * n, 4):
        yield block(i, type="tool_use", id=f"toolu_{i}", name="f", input={})
        yield block(i + 1, type="thinking", thinking="a")
        yield piece(i + 1, type="signature_delta", signature="s")
        yield block(i + 2, type="text", text="b")
        yield block(i + 3, type="odd", data="c")
    yield from messages_end("tool_use")


def messages_signatures(n):
    """Signatures of blocks that never began, and text that ends them all."""
    yield from (piece(i, type="signature_delta", signature="s") for i in range(n))
    yield from (block(i, type="text", text="b") for i in range(n))
    yield from messages_end("end_turn")


def messages_snapshot(n):
    """All blocks come again at the end, with their signatures."""
    thoughts = [{"type": "thinking", "thinking": f"thought {i} "} for i in range(n)]
    yield block(0, type="text", text="Hi")
    for i, thought in enumerate(thoughts):
        yield block(i + 1, **thought)
        yield {"type": "content_block_stop", "index": i + 1}
    signed = [{**thought, "signature": f"signature-{i}"} for i, thought in enumerate(thoughts)]
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "content": signed}}
    yield {"type": "message_stop"}


def chat_late_details(n):
    """All reasoning is signed at the end."""
    texts = [f"thought {i} " for i in range(n)]
    for text in texts:
        yield chat({"reasoning_content": text})
        yield chat({"content": "Hi"})
    details = [{"type": "reasoning.text", "text": text, "signature": text} for text in texts]
    yield chat({"reasoning_details": details})
    yield chat({}, "stop")


ANSWERS = [
    ("openai-chat", chat_late_details),
    ("anthropic-messages", messages_snapshot),
    ("openai-chat", chat_calls),
    ("openai-chat", chat_names_again),
    ("openai-chat", chat_names_again_by_turns),
    ("openai-responses", responses_calls),
    ("openai-responses", responses_items),
    ("anthropic-messages", messages_calls),
    ("anthropic-messages", messages_blocks),
    ("anthropic-messages", messages_signatures),
]


def decode(format, data):
    """All events."""
    reader = decoder(format)
    return [*reader.feed(data), *reader.finish()]


@pytest.mark.parametrize(
    ("format", "answer"), ANSWERS, ids=lambda value: getattr(value, "__name__", value)
)
def test_decoding_is_linear_in_what_is_open(format, answer):
    """32,000 open blocks of one format took 15 s."""
    few, many = (frames(answer(n)) for n in (FEW, MANY))
    assert decode(format, many)[-1].type is EventType.MESSAGE_COMPLETE
    decode(format, few)  # what is made once is made
    assert work(decode, format, many) < 2.1 * work(decode, format, few)


def test_words_of_usage_that_nobody_reads_are_not_kept():
    """They were copied with each frame that brought another."""
    reader = decoder("anthropic-messages")
    reader.feed(
        frames(
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": i, f"x{i}": 1}}
            for i in range(99)
        )
    )
    assert reader._counts._counts == {"output_tokens": 98}


def events(n, order):
    """Calls that are announced in order, written by turns, and become whole in some order; then their results."""
    ids = [f"call_{i}" for i in range(n)]
    yield StreamEvent(EventType.MESSAGE_START, start=Start("id", "model"))
    for i in range(n):
        delta = ToolCallDelta(i, ids[i], "mine" if i % 2 else "theirs", "")
        yield StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta)
        yield text_delta("a")
    for i in range(n):
        yield StreamEvent(
            EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(i, arguments="{}")
        )
    for i in order(range(n)):
        call = ToolCall(ids[i], "mine" if i % 2 else "theirs", "{}", input={})
        yield StreamEvent(EventType.TOOL_CALL, tool_call=call)
    for i in order(range(n)):
        yield StreamEvent(EventType.TOOL_RESULT, tool_result=ToolResult(ids[i], "x"))
    yield StreamEvent(
        EventType.MESSAGE_COMPLETE, start=Start(), finish_reason=FinishReason.TOOL_CALLS
    )


def ask():
    """A client that offered one of the two tools."""
    messages = [{"role": "user", "content": "x"}]
    request = build_request(messages, "m", tools=[tools.tool(lambda: "", name="mine")])
    return Ask(request, None, True)


def dialect_encoder(dialect, reply=None):
    """The encoder of one dialect's answer."""
    asked = ask()
    if reply is None:
        body: dict[str, Any] = {
            "model": "m",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}],
            "input": "x",
            "contents": "x",
            "alt": "sse",
        }
        asked = dialect.parse({**body, "stream": True})
    asked.reply = reply or asked.reply
    return dialect.encoder(asked).feed


def rewritten():
    """What operators keep of an answer."""
    kept = RewrittenMessage(lambda: None, (), keep_message=True)
    return kept.add


CONSUMERS = {
    "builder": lambda: MessageBuilder().add,
    "guard": lambda: Guard().feed,
    "transcript": lambda: Transcript().add,
    "withheld": lambda: Withheld(ask()).sift,
    "operators": rewritten,
    **{name: (lambda name=name: encoder(name).feed) for name in FORMATS},
    "chat dialect": lambda: dialect_encoder(OpenAIChat()),
    "responses dialect": lambda: dialect_encoder(OpenAIResponses()),
    "messages dialect": lambda: dialect_encoder(AnthropicMessages()),
    "gemini dialect": lambda: dialect_encoder(GeminiStream()),
    "ollama dialect": lambda: dialect_encoder(OllamaChat()),
    "ai sdk": lambda: dialect_encoder(AiSdk(), UiReply(None, True)),
    "ag-ui": lambda: dialect_encoder(AgUi(), Run("t", "r")),
}


@pytest.mark.parametrize(
    "order",
    [pytest.param(list, marks=pytest.mark.slow), reversed],
    ids=["in order", "last first"],
)
@pytest.mark.parametrize("name", CONSUMERS)
def test_taking_events_is_linear_in_what_is_open(name, order):
    """Whoever keeps calls finds each of them at once."""

    def take(given):
        feed = CONSUMERS[name]()
        for event in given:
            feed(event)

    few, many = ([*events(n, order)] for n in (FEW, MANY))
    take(few)
    assert work(take, many) < 2.1 * work(take, few)


async def test_running_tools_is_linear_in_the_calls():
    """Waiting for the next of many results looked at all of them."""

    async def say() -> str:
        await asyncio.sleep(0)
        return "x"

    async def run(n):
        calls = [ToolCall(f"call_{i}", "say", "{}", input={}) for i in range(n)]
        asked = StreamEvent(
            EventType.MESSAGE_COMPLETE,
            message=Message("assistant", [*calls]),
            finish_reason=FinishReason.TOOL_CALLS,
        )
        script = [
            [StreamEvent(EventType.MESSAGE_START), *(_whole(call) for call in calls), asked],
            ["done"],
        ]
        client = LLMClient(provider=ScriptedProvider(*script), model="m")
        running = tools.run_tools(client, [{"role": "user", "content": "x"}], [say], parallel=1)
        found = [event async for event in running]
        assert found[-1].type is EventType.MESSAGE_COMPLETE
        assert sum(event.tool_result is not None for event in found) == n

    def runs(n):
        asyncio.run(run(n))

    def measured(n):
        return work(runs, n)

    await asyncio.to_thread(runs, FEW)
    few, many = await asyncio.to_thread(measured, FEW), await asyncio.to_thread(measured, MANY)
    assert many < 2.1 * few


def _whole(call):
    return StreamEvent(EventType.TOOL_CALL, tool_call=call)


def test_an_operator_is_linear_too():
    """A whole operator over a stream."""

    async def take(given):
        async def source():
            for event in given:
                yield event

        return [event async for event in map_text(source(), str.upper)]

    def run(given):
        asyncio.run(take(given))

    few, many = ([*events(n, reversed)] for n in (FEW, MANY))
    run(few)
    assert work(run, many) < 2.1 * work(run, few)


def test_two_calls_with_one_id_end_one_after_the_other():
    """A third party's provider may do so; neither stays as cut."""
    builder = MessageBuilder()
    for index in (0, 1):
        delta = ToolCallDelta(index, "same", "f", "{}")
        builder.add(StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta))
    for left in (1, 0):
        builder.add(_whole(ToolCall("same", "f", "{}", input={})))
        assert sum(not call.complete for call in builder.partial().tool_calls) == left


@pytest.mark.parametrize(
    ("pieces", "ended"),
    [
        (['{"a":1}'], True),
        (['{"a":"}"'], False),
        (['{"a":"\\', '"}', '"}'], True),
        (['{"a":"\\', '\\"}'], True),
        (['{"a":"\\', "", '"}'], False),
        (["{[", "{}", "]"], False),
        (["{[", "{}", "]", "}"], True),
    ],
)
def test_the_end_of_an_object_is_found_however_it_is_cut(pieces, ended):
    """Brackets in strings don't count."""
    end = ObjectEnd()
    for each in pieces:
        end.feed(each)
    assert end.ended is ended
    by_letters = ObjectEnd()
    for letter in "".join(pieces):
        by_letters.feed(letter)
    assert by_letters.ended is ended
