"""Tools: functions that a model may call, and the loop that runs them in one stream."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import sys
import threading
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    Message,
    RetryPolicy,
    StreamEvent,
    Usage,
)
from llmstream.events.types import ToolCallDelta
from llmstream.messages import (
    File,
    FinishReason,
    HostedTool,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llmstream.providers.simulator import SimulatorProvider
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.tools import ArgumentsError, FunctionTool, run_tools, tool
from llmstream.tools.function import render_result
from llmstream.tools.loop import run_rounds
from tests.grammar_check import check_stream
from tests.loopback import APIS, Loopback, answer, cut
from tests.patience import PATIENCE
from tests.recordings import all_answers

HI = [{"role": "user", "content": "what's the weather?"}]


# --- checking a stream of several answers -------------------------------------------------------------------


def check_steps(events: list[StreamEvent]) -> StreamEvent:
    """Assert that each answer is legal for itself, with its step as its end; gives the terminal event."""
    answers: list[list[StreamEvent]] = [[]]
    for event in events:
        answers[-1].append(event)
        if event.status is not None and event.status.kind == "step":
            answers.append([])
    billed: list[Usage] = []
    new: list[Message] = []
    for steps, own in enumerate(answers, 1):
        results = [
            e.tool_result
            for e in own
            if e.tool_result is not None and e.tool_result.executed_by == "caller"
        ]
        stream = [
            event for event in own if event.tool_result is None or event.tool_result not in results
        ]
        end = stream[-1]
        if steps < len(answers):
            assert end.status.data == {"round": steps}
            stream[-1] = replace(end, type=EventType.MESSAGE_COMPLETE, status=None)
            calls = [call.id for call in end.message.tool_calls]
            assert sorted(result.tool_call_id for result in results) == sorted(calls), (
                "every call has its result"
            )
            new.append(end.message)
            if results:
                new.append(
                    Message(
                        "tool", sorted(results, key=lambda result: calls.index(result.tool_call_id))
                    )
                )
        else:
            assert not results, "results in the last answer"
            if end.message is not None:
                stream[-1] = replace(end, usage=end.message.usage)
                new.append(end.message)
        check_stream(stream)
        if end.message is not None and end.message.usage is not None:
            billed += end.message.usage.attempts or [end.message.usage]
    assert events[-1].messages == new
    if len(answers) > 1 and billed:
        listed = list(events[-1].usage.attempts)
        assert (listed if events[-1].message is not None else listed[: len(billed)]) == billed
    return events[-1]


async def collect(client, tools, messages=HI, **options):
    return [event async for event in run_tools(client, messages, tools, **options)]


def results_of(events):
    return {
        event.tool_result.tool_call_id: event.tool_result
        for event in events
        if event.tool_result is not None
    }


def call(id, name, **arguments):
    return ToolCall(id, name, json.dumps(arguments), input=arguments)


def client_of(*attempts, **options):
    options = {"clock": VirtualClock(), "retry": RetryPolicy(max_attempts=1), **options}
    return LLMClient(provider=ScriptedProvider(*attempts), **options)


@tool
async def weather(city: str, days: int = 1) -> str:
    """The weather in a city.

    Args:
        city: Its name.
        days: How many days ahead.
    """
    return f"{city}: sun for {days} days"


def add(a: float, b: float) -> float:
    """The sum of two numbers."""
    return a + b


# --- a tool made of a function --------------------------------------------------------------------------------


def test_a_function_becomes_a_tool():
    """Name, description, parameters and their descriptions, required ones and defaults."""
    assert isinstance(weather, Tool)
    assert weather.name == "weather"
    assert weather.description == "The weather in a city."
    assert weather.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name."},
            "days": {"type": "integer", "description": "How many days ahead.", "default": 1},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


async def test_the_decorated_function_can_still_be_called():
    """For those who call it, nothing has changed."""
    assert await weather("Rome", days=2) == "Rome: sun for 2 days"
    assert tool(add)(1, 2) == 3
    assert tool(tool(add), name="plus").name == "plus"


def numpy_style(size: int):
    """Do it.

    Parameters
    ----------
    size : int
        How large.
    """


def sphinx_style(size: int):
    """Do it.

    :param size: How large.
    """


def annotated(size: Annotated[int, Field(description="How large.", ge=1)]):
    """Do it."""


@pytest.mark.parametrize("function", [numpy_style, sphinx_style, annotated])
def test_docstrings_of_other_styles(function):
    """NumPy's, Sphinx's, or a Field in the annotation."""
    made = tool(function)
    assert made.description == "Do it."
    assert made.parameters["properties"]["size"]["description"] == "How large."


class Query(BaseModel):
    text: str
    limit: int = Field(default=10, le=100)


@dataclass
class Place:
    name: str
    zoom: float = 1.0


async def test_parameters_of_every_kind():
    """Models, dataclasses, literals, unions, and names that a model class could not have as fields."""

    def look(
        query: Query,
        place: Place,
        *,
        mode: Literal["a", "b"],
        schema: str | None = None,
        _hidden: int = 3,
    ) -> Any:
        return [type(query).__name__, place.zoom, mode, schema, _hidden]

    made = tool(look)
    assert made.parameters["properties"]["schema"]["default"] is None
    arguments = {"query": {"text": "t"}, "place": {"name": "p", "zoom": 2}, "mode": "a"}
    assert await made.run(json.dumps(arguments)) == '["Query",2.0,"a",null,3]'


async def test_methods_partials_and_objects_are_functions_too():
    """What can be called and has a name, or is given one."""

    class Shop:
        def price(self, item: str) -> int:
            return len(item)

        async def __call__(self, item: str) -> str:
            return item.upper()

    assert await tool(Shop().price).run('{"item": "tea"}') == "3"
    assert await tool(Shop(), name="shop").run('{"item": "tea"}') == "TEA"
    assert await tool(functools.partial(add, b=2), name="add_two").run('{"a": 1}') == "3.0"
    rome = tool(lambda: weather("Rome"), name="rome", parameters={})
    for nothing in ("", " ", "{}", "null"):  # Llama says it so
        assert await rome.run(nothing) == "Rome: sun for 1 days"


async def test_a_schema_in_place_of_the_signature():
    """The function gets the properties as keywords, checked by the schema."""
    numbers = {
        "n": {"type": "integer", "minimum": 1},
        "more": {"properties": {"more": {"$ref": "#/properties/more"}}},
    }
    schema = {"type": "object", "properties": numbers, "required": ["n"]}
    made = tool(lambda **given: given, name="take", description="Takes.", parameters=schema)
    assert (made.parameters, made.description) == (schema, "Takes.")
    assert await made.run('{"n": 2}') == '{"n":2}'
    for arguments, problem in [
        ("{}", "n: is missing"),
        ('{"n": 0}', "breaks minimum"),
        ("[", "not JSON"),
        ('{"n": 1, "more": ' + '{"more": ' * 900 + "{}" + "}" * 901, "too deeply"),
        ("[]", "object"),
    ]:
        with pytest.raises(ArgumentsError, match=problem):
            await made.run(arguments)


def test_a_strict_tool_has_the_strict_form():
    """What is sent is what vendors can enforce; what is checked is what the function takes."""
    made = tool(weather, name="weather", strict=True)
    assert made.strict
    assert made.parameters["required"] == ["city", "days"]
    assert made.parse('{"city": "Rome"}') == {"city": "Rome"}
    with pytest.raises(ValueError, match="tool f can't be strict"):
        tool(
            lambda: 0,
            name="f",
            strict=True,
            parameters={"type": "object", "additionalProperties": {"type": "string"}},
        )


async def test_a_function_that_is_not_async_runs_in_a_thread():
    """It doesn't hold the loop up."""
    here = threading.get_ident()

    def where() -> bool:
        return threading.get_ident() != here

    assert await tool(where).run("{}") == "true"


async def test_threads_are_not_the_loops_own():
    """More calls may block at once than the loop's pool has threads, and none waits for another's end."""
    together = threading.Barrier(40)

    def meet(n: int) -> int:
        together.wait(timeout=PATIENCE)
        return n

    calls = [call(f"c{n}", "meet", n=n) for n in range(40)]
    events = await collect(client_of(calls, ["Done."]), [meet], parallel=40, timeout=None)
    assert sorted(int(result.content) for result in results_of(events).values()) == [*range(40)]


def test_a_thread_that_hangs_does_not_hold_up_the_end_of_the_program():
    """`asyncio.run` returns while it still hangs."""
    end, ended = threading.Event(), threading.Event()

    def hang() -> None:
        end.wait(PATIENCE)
        ended.set()

    events = asyncio.run(collect(client_of([call("c1", "hang")], ["Done."]), [hang], timeout=1))
    assert (
        results_of(events)["c1"].content
        == "The tool did not answer within 1 seconds and was stopped."
    )
    assert not ended.is_set()
    end.set()
    assert ended.wait(PATIENCE)


async def test_a_generator_is_read_in_its_thread():
    """A list for the model, and work that doesn't hold the loop up."""
    here = threading.get_ident()

    def lines() -> Any:
        yield threading.get_ident() == here
        yield "b"

    assert await tool(lines).run("") == '[false,"b"]'


async def test_an_async_generator_is_read_to_its_end():
    """A list, too; and cancelling the tool closes it."""
    closed = asyncio.Event()

    async def pages(*, hang: bool = False) -> Any:
        try:
            yield "a"
            if hang:
                await asyncio.Event().wait()
            yield "b"
        finally:
            closed.set()

    assert await tool(pages).run("") == '["a","b"]'
    closed.clear()
    reading = asyncio.ensure_future(tool(pages).run('{"hang": true}'))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not closed.is_set()
    reading.cancel()
    await asyncio.wait([reading])
    assert closed.is_set()


class Unknown:
    pass


def untyped(city):
    pass


def rest(*cities: str):
    pass


def keywords(**cities: str):
    pass


def positional(city: str, /):
    pass


def opaque(it: Unknown):
    pass


def field_as_default(size: int = Field(ge=1)):
    pass


def forward(it: Nowhere):  # noqa: F821
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (untyped, r"tool untyped: parameter 'city' has no type.*write city: str"),
        (rest, r"tool rest: the model gives arguments by name, which \*cities"),
        (keywords, r"which \*\*cities: .*can't take; write the parameters out"),
        (positional, "which city: .*can't take"),
        (
            opaque,
            r"tool opaque: parameter 'it' can't be <class .*Unknown'>: .*Give a pydantic model",
        ),
        (
            field_as_default,
            r"parameter 'size' has a Field as its default.*write size: Annotated\[…, Field",
        ),
        (forward, "tool forward: its signature can't be read: name 'Nowhere' is not defined"),
        (3, "a tool is made of a function, not of 3"),
    ],
)
def test_what_the_model_cannot_be_told_about_is_refused(function, message):
    """A TypeError when the tool is made, that says what to write."""
    with pytest.raises(TypeError, match=message):
        tool(function)


@pytest.mark.parametrize(
    ("options", "problem", "message"),
    [
        ({"name": "two words"}, ValueError, "no vendor takes the tool name 'two words'"),
        ({}, ValueError, "no vendor takes the tool name '<lambda>': give name="),
        ({"name": "f", "parameters": {"type": "array"}}, TypeError, "a JSON schema of an object"),
        (
            {"name": "f", "parameters": {"properties": {1}}},
            TypeError,
            "no JSON schema that can be sent",
        ),
        ({"name": "f", "parameters": {"$ref": "#/x"}}, TypeError, "names nothing"),
    ],
)
def test_names_and_schemas_that_no_vendor_takes_are_refused(options, problem, message):
    """At once, and not as the vendor's 400."""
    with pytest.raises(problem, match=message):
        tool(lambda: 0, **options)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as is", "as is"),
        (None, "null"),
        ([1, {"a": True}], '[1,{"a":true}]'),
        (Query(text="é"), '{"text":"é","limit":10}'),
        (Place("p"), '{"name":"p","zoom":1.0}'),
        (float("nan"), '"NaN"'),
        ("half \ud800", "half ?"),
    ],
)
def test_results_are_text_or_json(result, text):
    """What the model reads of them."""
    assert render_result(result) == text


@pytest.mark.parametrize("result", [b"\x89PNG", Unknown(), File(data="eA=="), [Unknown()]])
def test_other_results_are_refused(result):
    """An image is no text; say so instead of sending its bytes."""
    with pytest.raises(
        TypeError, match="return text, JSON values, a dataclass or a pydantic model"
    ):
        render_result(result)


@given(
    st.text(max_size=8)
    | st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3).map(
        json.dumps
    )
)
def test_any_arguments_fit_or_are_refused(arguments):
    """Whatever a model writes, it is a dict for the function or an ArgumentsError."""
    for made in (
        weather,
        tool(add, name="f", parameters={"properties": {"a": {"type": "integer"}}}),
    ):
        with contextlib.suppress(ArgumentsError):
            assert isinstance(made.parse(arguments), dict)


# --- run_tools: one stream ------------------------------------------------------------------------------------


async def test_the_rounds_are_one_stream():
    """Calls, their results, a step; the last answer ends it, with the new messages and all that was billed."""
    messages = [*HI]
    provider = ScriptedProvider(
        [TextPart("Let me look."), call("c1", "weather", city="Rome"), Usage(10, 5)],
        [TextPart("Sun!"), Usage(20, 2)],
    )
    events = await collect(LLMClient(provider=provider), [weather, add], messages, temperature=0.5)
    last = check_steps(events)
    assert [str(event.type) for event in events if event.tool_call_delta is None] == [
        "message_start",
        "text_delta",
        "text_delta",
        "text_delta",
        "tool_call",
        "tool_result",
        "status",
        "message_start",
        "text_delta",
        "message_complete",
    ]
    assert messages == HI
    assert [message.role for message in last.messages] == ["assistant", "tool", "assistant"]
    assert last.messages[1].parts == [ToolResult("c1", "Rome: sun for 1 days", "weather")]
    assert last.usage == Usage(20, 2, attempts=(Usage(10, 5), Usage(20, 2)))
    assert last.message.usage == Usage(20, 2)
    first, second = provider.requests
    assert [given.name for given in first.tools] == ["weather", "add"]
    assert second.messages[1:] == last.messages[:2]
    assert first.temperature == second.temperature == 0.5


async def test_an_answer_without_calls_is_the_stream_it_always_was():
    """No tool wanted, nothing added but `messages`."""
    client = client_of(["Hi.", Usage(1, 1)])
    events = await collect(client, [])
    assert check_steps(events).messages == [events[-1].message]
    assert events[-1].usage == Usage(1, 1)


def whole(made):
    """A call whose arguments come in one piece."""
    return [
        StreamEvent(
            EventType.TOOL_CALL_DELTA,
            tool_call_delta=ToolCallDelta(0, made.id, made.name, made.arguments),
        ),
        StreamEvent(EventType.TOOL_CALL, tool_call=made),
    ]


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("arguments", ["streamed", "whole", "none"])
async def test_all_three_formats_over_real_bytes(provider, arguments):
    """Two parallel calls, or one that comes whole, or one without arguments; and their results on the wire."""
    format = APIS[provider]

    @tool
    def now() -> str:
        """The time."""
        return "noon"

    calls = {
        "streamed": [call("c1", "weather", city="Rome"), call("c2", "add", a=1, b=2)],
        "whole": whole(call("c1", "weather", city="Rome")),
        "none": [ToolCall("c1", "now", "", input={})],
    }[arguments]
    handlers = answer(format, "Wait.", *calls, Usage(9, 3)), answer(format, "Sun.", Usage(12, 1))
    async with (
        Loopback(*handlers) as server,
        LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client,
    ):
        events = await collect(client, [weather, add, now])
    last = check_steps(events)
    assert last.finish_reason is FinishReason.STOP
    wanted = {
        "streamed": ["Rome: sun for 1 days", "3.0"],
        "whole": ["Rome: sun for 1 days"],
        "none": ["noon"],
    }
    assert sorted(part.content for part in last.messages[1].parts) == sorted(wanted[arguments])
    sent = json.dumps(server.requests[1].body)
    assert all(text in sent for text in wanted[arguments])
    assert len(last.usage.attempts) == 2


AMAZONS = {"nova_code_interpreter", "nova_grounding"}
"""Tools that Amazon runs. What a recording is to mean lists their calls beside the caller's."""


def to_run(recording):
    """The calls that are the caller's to run: names and arguments."""
    return [call for call in recording.calls if call[0] not in AMAZONS]


RECORDED = [
    pytest.param(provider, *found.values, id=f"{found.id}", marks=found.marks)
    for provider, format in APIS.items()
    for found in all_answers(format)
    if to_run(found.values[0])
]


@pytest.mark.parametrize(("provider", "recording"), RECORDED)
async def test_the_calls_that_real_models_made(provider, recording):
    """Every answer of the corpus, and every recorded one, that calls tools: each call is run once, as it was meant,
    and its result goes back.

    None is run of an answer that was cut, nor a call whose arguments are no object; the model is told of the latter.
    """
    wanted = to_run(recording)
    ran = []

    def take(name):
        async def run(**given: Any) -> str:
            ran.append((name, given))
            return f"result of {name}"

        return tool(run, name=name, description="Recorded.", parameters={})

    async def play(request, reply):
        await reply.head()
        await reply.send(recording.body)
        await reply.end()

    names = dict.fromkeys(name for name, _ in wanted)
    async with (
        Loopback(play, answer(APIS[provider], "Done.")) as server,
        LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client,
    ):
        events = await collect(client, [take(name) for name in names])
    last = check_steps(events)
    if last.finish_reason is FinishReason.LENGTH:
        assert not ran
        assert len(server.requests) == 1
        return
    assert last.message.text == "Done."
    results = [result for result in results_of(events).values() if result.executed_by == "caller"]
    assert [result.name for result in results] == [name for name, _ in wanted]
    assert ran == [(name, arguments) for name, arguments in wanted if arguments is not None]
    sent = json.dumps(server.requests[1].body)
    assert all(f"result of {name}" in sent for name, _ in ran)


@pytest.mark.parametrize("provider", APIS)
async def test_a_call_cut_by_length_is_not_run(provider):
    """Not the one that was cut, nor the one before it: the answer ends, and says why."""
    ran = []
    cut_call = ToolCall("c2", "note", '{"text": "long', complete=False)
    items = [call("c1", "note", text="a"), cut_call, FinishReason.LENGTH]
    async with (
        Loopback(answer(APIS[provider], *items)) as server,
        LLMClient(f"{provider}:m", api_key="k", base_url=server.url(provider)) as client,
    ):

        def note(text: str) -> None:
            ran.append(text)

        last = check_steps(await collect(client, [note]))
    assert (last.type, last.finish_reason) == (EventType.MESSAGE_COMPLETE, FinishReason.LENGTH)
    wanted = [True] if provider == "ollama" else [True, False]  # its calls are objects
    assert [made.complete for made in last.message.tool_calls] == wanted
    assert not ran
    assert len(server.requests) == 1


@pytest.mark.parametrize("provider", APIS)
async def test_a_stream_cut_after_a_call_runs_nothing(provider):
    """A call of an answer that never ended may not be all the model wanted."""
    ran = []

    async def note(text: str) -> None:
        ran.append(text)

    handler = cut(
        APIS[provider], 6, call("c1", "note", text="a"), "and then some more text that is cut"
    )
    async with (
        Loopback(handler) as server,
        LLMClient(
            f"{provider}:m",
            api_key="k",
            base_url=server.url(provider),
            retry=RetryPolicy(max_attempts=1),
        ) as client,
    ):
        last = check_steps(await collect(client, [note]))
    assert last.error_info.kind == "truncated"
    assert not ran


async def test_what_goes_wrong_with_a_call_is_told_to_the_model():
    """An unknown tool, one that raises, arguments that don't fit or were cut, a result that is no text."""

    def broken(what: str) -> None:
        raise KeyError(what)

    class UnprintableError(Exception):
        def __str__(self):
            raise RuntimeError

    async def worse() -> None:
        raise UnprintableError

    async def picture() -> bytes:
        return b"\x89PNG"

    def nothing() -> str:
        return next(iter([]))  # no future takes a StopIteration

    calls = [
        call("c1", "wether", city="Rome"),
        call("c2", "broken", what="it"),
        call("c3", "weather", city=3, day=1),
        ToolCall("c4", "weather", '{"city": Rome}', complete=False),
        call("c5", "picture"),
        call("c6", "worse"),
        call("c7", "nothing"),
    ]
    provider = ScriptedProvider(calls, ["I see."])
    events = await collect(
        LLMClient(provider=provider), [weather, broken, picture, worse, nothing], timeout=None
    )
    check_steps(events)
    results = results_of(events)
    assert all(result.is_error for result in results.values())
    told = {id: result.content for id, result in results.items()}
    assert (
        told["c1"]
        == "There is no tool 'wether'. There are: weather, broken, picture, worse, nothing."
    )
    assert told["c2"] == "KeyError: 'it'"
    assert told["c3"].endswith(
        "\ncity: Input should be a valid string\nday: Extra inputs are not permitted"
    )
    assert "were cut or are no JSON object" in told["c4"]
    assert told["c5"].startswith("TypeError: the tool returned a bytes; return text")
    assert told["c6"] == "UnprintableError: "
    assert told["c7"] == "RuntimeError: coroutine raised StopIteration"
    assert not any("Traceback" in text for text in told.values())
    assert [part.tool_call_id for part in provider.requests[1].messages[-1].parts] == [
        f"c{n}" for n in range(1, 8)
    ]


@pytest.mark.parametrize("tool", ["threaded", "awaited"])
async def test_a_tool_that_exits_ends_its_call_alone(tool):
    """A command line that doesn't parse its arguments, say: the model is told, and the program goes on."""

    def threaded() -> None:
        argparse.ArgumentParser().exit(2)

    async def awaited() -> None:
        sys.exit(2)

    events = await collect(
        client_of([call("c1", tool)], ["I see."]), [threaded, awaited], timeout=None
    )
    assert check_steps(events).message.text == "I see."
    (result,) = results_of(events).values()
    assert result.is_error
    assert "SystemExit" in result.content


async def test_results_come_as_the_tools_finish():
    """Side by side: the quick one is shown first; the message to the model keeps the order of the calls."""
    quick = asyncio.Event()

    async def slow() -> str:
        await quick.wait()
        return "slow"

    async def fast() -> str:
        return "fast"

    client = client_of([call("c1", "slow"), call("c2", "fast")], ["Done."])
    shown = []
    async with contextlib.aclosing(run_tools(client, HI, [slow, fast])) as events:
        async for event in events:
            if event.tool_result is not None:
                shown.append(event.tool_result.content)
                quick.set()
    assert shown == ["fast", "slow"]
    assert [part.content for part in event.messages[1].parts] == ["slow", "fast"]


async def test_no_more_than_so_many_run_at_a_time():
    """`parallel` is the limit, and it is used."""
    running = most = 0

    async def work(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    calls = [call(f"c{n}", "work", n=n) for n in range(10)]
    check_steps(await collect(client_of(calls, ["Done."]), [work], parallel=3))
    assert most == 3


async def test_a_tool_that_hangs_is_stopped():
    """After `timeout` seconds the model is told, and the tool has been cancelled."""
    ended = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("hang")

    clock = VirtualClock()
    client = client_of(
        [call("c1", "hang"), call("c2", "weather", city="Rome")], ["Done."], clock=clock
    )
    events = await collect(client, [hang, weather], timeout=30)
    check_steps(events)
    assert (
        results_of(events)["c1"].content
        == "The tool did not answer within 30 seconds and was stopped."
    )
    assert results_of(events)["c2"].content == "Rome: sun for 1 days"
    assert (ended, clock.now) == (["hang"], 30.0)


async def test_a_tool_may_cancel_itself():
    """That is its result, not the end of the program."""

    async def gone() -> None:
        raise asyncio.CancelledError

    for timeout in (None, 5.0):
        events = await collect(client_of([call("c1", "gone")], ["Done."]), [gone], timeout=timeout)
        check_steps(events)
        assert results_of(events)["c1"].content == "The tool was cancelled."


@pytest.mark.parametrize("limit", [None, 60.0])
async def test_cancelling_in_the_middle_of_a_tool_cancels_and_waits_for_it(limit):
    """Nothing goes on behind one's back, and no ERROR is made of it."""
    begun, ended = asyncio.Event(), []

    async def work(n: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # cleaning up takes a moment
            ended.append(n)

    client = client_of([call("c1", "work", n=1), call("c2", "work", n=2), call("c3", "work", n=3)])
    task = asyncio.create_task(collect(client, [work], parallel=2, timeout=limit))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [1, 2]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_at_any_turn_leaves_nothing():
    """While it asks, runs, waits, cleans up, or hands out: every tool that began has ended, and no task is left."""
    for turn in itertools.count():
        begun, ended = [], []

        async def work(n: int, begun=begun, ended=ended) -> None:
            begun.append(n)
            try:
                await asyncio.sleep(0)
            finally:
                ended.append(n)

        calls = [call("c1", "work", n=1), call("c2", "work", n=2), call("c3", "work", n=3)]
        made = tool(functools.partial(work), name="work", parameters={})
        task = asyncio.create_task(collect(client_of(calls, ["Done."]), [made], parallel=2))
        for _ in range(turn):
            await asyncio.sleep(0)
        over = task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert sorted(ended) == sorted(begun), turn
        assert asyncio.all_tasks() == {asyncio.current_task()}, turn
        if over:
            assert len(ended) == 3
            return


async def test_closing_the_stream_stops_everything():
    """While tools run, and while the model answers."""
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    provider = ScriptedProvider(
        [call("c1", "work"), call("c2", "weather", city="Rome")], ["a", "b"]
    )
    events = run_tools(
        LLMClient(provider=provider, clock=VirtualClock()), HI, [work, weather], timeout=None
    )
    async for event in events:
        if event.tool_result is not None:
            break
    await events.aclose()
    assert ended == ["work"]
    events = run_tools(LLMClient(provider=ScriptedProvider(["a", "b"])), HI, [])
    await anext(events)
    await events.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_rounds_are_bounded():
    """The last answer allowed is not followed by calls: ERROR, with what came and all rounds before it."""
    ran = []

    async def again(n: int) -> int:
        ran.append(n)
        return n

    attempts = [[call(f"c{n}", "again", n=n), Usage(n, 1)] for n in range(5)]
    events = await collect(client_of(*attempts), [again], max_rounds=3)
    last = check_steps(events)
    assert (last.error_info.kind, last.error_info.code, last.error_info.retryable) == (
        "invalid_output",
        "max_rounds",
        False,
    )
    assert last.error_info.partial.tool_calls == [call("c2", "again", n=2)]
    assert [message.role for message in last.messages] == ["assistant", "tool", "assistant", "tool"]
    assert ran == [0, 1]
    assert last.usage == Usage(2, 1, attempts=(Usage(0, 1), Usage(1, 1), Usage(2, 1)))


async def test_an_error_in_a_later_round_has_the_rounds_before_it():
    """Nothing that was paid for is lost."""
    client = client_of(
        [call("c1", "weather", city="Rome"), Usage(3, 1)],
        ["The wea", ErrorInfo("quota", "no money")],
    )
    last = check_steps(await collect(client, [weather]))
    assert last.error_info.kind == "quota"
    assert last.error_info.partial.text == "The wea"
    assert [message.role for message in last.messages] == ["assistant", "tool"]
    whole, cut = last.usage.attempts
    assert whole == Usage(3, 1)
    assert (cut.output_tokens, cut.estimated) == (2, True)


async def test_retries_within_a_round_are_part_of_the_stream():
    """RETRY is announced as ever; what a failed attempt cost is listed."""
    client = client_of(
        [call("c1", "weather", city="Rome"), Usage(3, 1)],
        [ErrorInfo("overloaded")],
        ["Sun.", Usage(5, 1)],
        retry=RetryPolicy(max_attempts=2),
    )
    events = await collect(client, [weather])
    assert check_steps(events).message.text == "Sun."
    assert [event.retry.attempt for event in events if event.retry is not None] == [2]


async def test_who_shows_nothing_before_the_end_has_every_failure_retried():
    """Each answer comes when it is whole, as the stream that it would have been."""
    script = [
        ReasoningPart("hm", "s", format="f"),
        "Let me see.",
        call("c1", "weather", city="Rome"),
        Usage(3, 1),
    ]
    lost = [
        ["It is", ErrorInfo("truncated")],
        [call("c0", "weather", city="Oslo"), ErrorInfo("server")],
    ]
    for attempts in [script, ["Sun."]], [*lost, script, *lost, ["Sun."]]:
        client = client_of(*attempts, retry=RetryPolicy(max_attempts=3))
        limits = {"max_rounds": 3, "confirm": None}
        events = [
            event async for event in run_rounds(client, HI, [weather], {}, stream=False, **limits)
        ]
        assert check_steps(events).message.text == "Sun."
        assert [event.tool_call.id for event in events if event.tool_call is not None] == ["c1"]
        assert "".join(event.text for event in events) == "Let me see.Sun."
        assert [message.role for message in events[-1].messages] == [
            "assistant",
            "tool",
            "assistant",
        ]
    lasting = client_of(
        script, *[[*"Su", ErrorInfo("server", "gone")]] * 2, retry=RetryPolicy(max_attempts=2)
    )
    last = [
        event async for event in run_rounds(lasting, HI, [weather], {}, stream=False, **limits)
    ][-1]
    assert last.error_info.partial.text == "Su"
    assert [message.role for message in last.messages] == ["assistant", "tool"]


async def test_calls_that_the_provider_ran_are_left_alone():
    """A search of its own has its result already; a pause is answered by sending it all back."""
    searched = ToolCall("s1", "web_search", "{}", input={}, executed_by="provider")
    found = StreamEvent(
        EventType.TOOL_RESULT, tool_result=ToolResult("s1", [1], executed_by="provider")
    )
    paused = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.PAUSE)
    provider = ScriptedProvider([searched, found, paused], ["Found."])
    search = HostedTool({"type": "web_search"})
    events = await collect(LLMClient(provider=provider), [search, {"type": "web_fetch"}, weather])
    last = check_steps(events)
    assert [message.role for message in last.messages] == ["assistant", "assistant"]
    assert provider.requests[1].messages[1].parts == [searched, found.tool_result]
    assert provider.requests[0].tools[:2] == [search, HostedTool({"type": "web_fetch"})]


async def test_a_forced_call_is_forced_once():
    """Else the model could never come to an end."""
    for choice in ("required", ToolChoice("tool", "weather")):
        provider = ScriptedProvider(
            [call("c1", "weather", city="Rome")], [call("c2", "weather", city="Pisa")], ["Sun."]
        )
        await collect(LLMClient(provider=provider), [weather], tool_choice=choice)
        first, *others = [
            request.tool_choice and request.tool_choice.mode for request in provider.requests
        ]
        assert first in ("required", "tool")
        assert others == [None, None]


async def test_a_choice_of_none_is_kept():
    """Only what forces a call is dropped after the first answer."""
    paused = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.PAUSE)
    for choice in ("none", ToolChoice("none")):
        provider = ScriptedProvider(["Wait.", paused], ["Sun."])
        await collect(LLMClient(provider=provider), [weather], tool_choice=choice)
        assert [request.tool_choice for request in provider.requests] == [ToolChoice("none")] * 2


async def test_two_calls_of_one_id_keep_their_results():
    """A provider of one's own may give one id twice; neither result takes the other's place."""
    provider = ScriptedProvider(
        [call("c1", "weather", city="Rome"), call("c1", "weather", city="Pisa")], ["Sun."]
    )
    events = await collect(LLMClient(provider=provider), [weather])
    told = ["Rome: sun for 1 days", "Pisa: sun for 1 days"]
    assert [part.content for part in events[-1].messages[1].parts] == told
    assert [part.content for part in provider.requests[1].messages[-1].parts] == told


async def test_a_call_may_need_consent():
    """`confirm` is asked for one call at a time; what it refuses or fails at is not run."""
    asked, asking = [], 0

    async def confirm(made: ToolCall) -> bool:
        nonlocal asking
        asking += 1
        assert asking == 1
        await asyncio.sleep(0)
        asking -= 1
        asked.append(made.id)
        if made.id == "c3":
            raise OSError("no terminal")
        return made.id == "c1"

    calls = [call(f"c{n}", "weather", city="Rome") for n in (1, 2, 3)]
    events = await collect(client_of(calls, ["Done."]), [weather], confirm=confirm)
    check_steps(events)
    results = results_of(events)
    assert asked == ["c1", "c2", "c3"]
    assert [results[id].is_error for id in asked] == [False, True, True]
    assert results["c2"].content == "The user declined this call, so the tool was not run."
    assert "could not be confirmed (OSError)" in results["c3"].content


async def test_consent_may_be_given_without_waiting():
    """A rule that needs nobody's answer is a plain function."""
    calls = [call("c1", "weather", city="Rome"), call("c2", "add", a=1, b=2)]
    events = await collect(
        client_of(calls, ["Done."]), [weather, add], confirm=lambda made: made.name == "weather"
    )
    results = results_of(events)
    assert results["c1"].content == "Rome: sun for 1 days"
    assert results["c2"].content == "The user declined this call, so the tool was not run."

    def odd(made: ToolCall) -> Any:
        yield True

    events = await collect(client_of(calls, ["Done."]), [weather, add], confirm=odd)
    assert all(result.is_error for result in results_of(events).values())


async def test_the_simulator_calls_tools_too():
    """The way to try one's tools without a model."""

    def script(request):
        if request.messages[-1].role == "user":
            return [call("c1", "weather", city="Rome")]
        return [f"It says: {request.messages[-1].parts[0].content}"]

    for format in APIS.values():
        client = LLMClient(provider=SimulatorProvider(script=script, format=format, pace=0))
        last = check_steps(await collect(client, [weather]))
        assert last.message.text == "It says: Rome: sun for 1 days"


@pytest.mark.parametrize(
    ("options", "problem", "message"),
    [
        ({"tools": [3]}, TypeError, r"tools\[0\] can't be run: give a function"),
        ({"tools": [Tool("f")]}, TypeError, r"tools\[0\] can't be run"),
        ({"tools": [{"name": "f"}]}, TypeError, r"tools\[0\] can't be run"),
        ({"tools": weather}, TypeError, "tools must be a list"),
        ({"tools": [weather, weather]}, ValueError, "two tools have one name: weather, weather"),
        ({"tools": [untyped]}, TypeError, "has no type"),
        ({"max_rounds": 0}, ValueError, "max_rounds must be a whole number from 1 on, not 0"),
        ({"parallel": True}, ValueError, "parallel must be a whole number"),
        ({"timeout": 0}, ValueError, "timeout must be seconds, or None"),
        ({"messages": "hi"}, TypeError, "messages must be a list, not str"),
        ({"messages": []}, ValueError, "messages is empty"),
        ({"stream": False}, TypeError, "run_tools always streams"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number"),
    ],
)
async def test_wrong_arguments_raise_before_any_network(options, problem, message):
    """With what to do."""
    provider = ScriptedProvider(["never"])
    options = {"messages": HI, "tools": [], **options}
    with pytest.raises(problem, match=message):
        await anext(run_tools(LLMClient(provider=provider), **options))
    assert not provider.requests


async def test_a_client_that_keeps_no_message_cannot_go_on():
    """It would have nothing to send back."""
    with pytest.raises(ConfigurationError, match="keep_message=False"):
        await anext(run_tools(client_of(["a"], keep_message=False), HI, []))


def test_a_tool_can_be_printed_and_compared():
    """It is a value like the Tool it is."""
    assert repr(weather).startswith("FunctionTool(name='weather', parameters={")
    assert weather == replace(weather)
    assert isinstance(weather, FunctionTool)
