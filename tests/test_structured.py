"""Structured output: asked for in each vendor's way, shown while it grows, checked at its end."""

from __future__ import annotations

import asyncio
import enum
import json
import sys
import typing
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    create_model,
)
from typing_extensions import TypedDict

from llmstream import (
    ConfigurationError,
    ErrorInfo,
    EventType,
    LLMClient,
    LLMError,
    Message,
    Retry,
    Status,
    StreamEvent,
    Usage,
    catalogue,
    structured,
)
from llmstream.catalogue import ModelFacts
from llmstream.errors import InvalidOutputError
from llmstream.events.types import text_delta
from llmstream.messages import FinishReason, RefusalPart, ToolCall
from llmstream.pricing import Prices
from llmstream.providers import ProviderTraits, SchemaSupport, registry
from llmstream.providers.config import ProviderConfig
from llmstream.structured.answer_type import AnswerType, MismatchError
from llmstream.structured.json_in_prose import Preamble, json_texts
from llmstream.structured.json_schema_check import check
from llmstream.structured.modes import _choose
from llmstream.structured.schema import NotStrictError, is_recursive, strict_schema
from llmstream.testing import ScriptedProvider, VirtualClock
from tests.example_counts import examples
from tests.loopback import APIS, Loopback, answer

HI = [{"role": "user", "content": "a soup, please"}]


class Step(BaseModel):
    """One thing to do."""

    text: str = Field(description="What to do.")
    minutes: int | None = Field(default=None, ge=0)


class Recipe(BaseModel):
    title: str
    kind: Literal["soup", "cake"] = "soup"
    steps: list[Step] = []


SOUP = {
    "title": "Tomato soup",
    "kind": "soup",
    "steps": [{"text": "Boil.", "minutes": 5}, {"text": "Eat."}],
}
SOUP_TEXT = json.dumps(SOUP)


@dataclass
class Point:
    x: float
    y: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    points: list[Point] = field(default_factory=list)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Everything(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    when: date
    colour: Colour
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pair: tuple[int, int]
    scores: dict[str, float]
    note: str | None = None
    either: int | str = 0
    nested: Frozen | None = None
    renamed: str = Field(default="", alias="re-named")
    anything: Any = None


def chunks(text, size=5):
    return [text[at : at + size] for at in range(0, len(text), size)]


def client_of(*attempts, **options):
    return LLMClient(provider=ScriptedProvider(*attempts), clock=VirtualClock(), **options)


def ended(reason):
    return StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason)


async def stream_of(*items):
    for item in items:
        yield text_delta(item) if isinstance(item, str) else item
    yield ended(FinishReason.STOP)


async def grown(into, *items):
    """Every state as it was then: the value as JSON, and what was completed."""
    states = []
    async for part in structured.objects(stream_of(*items), into):
        states.append((json.loads(json.dumps(plain(part.value))), list(part.completed)))
    return states, part


def plain(value):
    """A typed value, whole or not, as JSON values; what has not come is left out."""
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in vars(value).items() if item is not None}
    if hasattr(value, "__dataclass_fields__"):
        return {
            name: plain(getattr(value, name))
            for name in value.__dataclass_fields__
            if getattr(value, name) is not None
        }
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return (
        value.isoformat()
        if isinstance(value, date)
        else value.value
        if isinstance(value, enum.Enum)
        else value
    )


# --- objects: what is shown while it comes --------------------------------------------------------------------


async def test_a_model_grows_and_is_checked_at_its_end():
    """Partial values are instances of the model; each part is announced when it is whole, and once."""
    states, last = await grown(Recipe, *chunks(SOUP_TEXT, 4))
    assert last.result == last.value == Recipe.model_validate(SOUP)
    assert states[0][0] == {}
    titles = [state["title"] for state, _ in states if "title" in state]
    assert titles[:3] == ["T", "Tomat", "Tomato so"]
    announced = [done for _, completed in states for done in completed]
    assert [done.path for done in announced] == [
        ("title",),
        ("kind",),
        ("steps", 0, "text"),
        ("steps", 0, "minutes"),
        ("steps", 0),
        ("steps", 1, "text"),
        ("steps", 1),
        ("steps",),
    ]
    assert announced[4].value == Step(text="Boil.", minutes=5)
    assert announced[-1].value == Recipe.model_validate(SOUP).steps


async def test_what_has_not_come_is_none_and_has_not_been_set():
    """A model under construction can be looked at and printed."""
    async for part in structured.objects(stream_of('{"title": "So', 'up"', "}"), Recipe):
        if part.result is None:
            assert isinstance(part.value, Recipe)
            assert part.value.steps is None
            assert part.value.model_fields_set == {"title"}
            assert repr(part.value) == f"Recipe(title={part.value.title!r}, kind=None, steps=None)"
    assert part.result == Recipe(title="Soup")


EVERYTHING = {
    "when": "2026-02-03",
    "colour": "red",
    "pet": {"kind": "dog", "tricks": ["sit"]},
    "pair": [1, 2],
    "scores": {"a": 1.5},
    "note": "n",
    "either": "text",
    "nested": {"name": "f", "points": [{"x": 1.0, "y": 2.0}]},
    "re-named": "r",
    "anything": {"deep": ["x", {}]},
}


async def test_every_kind_of_field():
    """Strict and frozen models, unions, enums, dates, tuples, dataclasses with slots, aliases, anything."""
    states, last = await grown(Everything, *chunks(json.dumps(EVERYTHING), 3))
    assert last.result == Everything.model_validate_json(json.dumps(EVERYTHING))
    announced = {done.path: done.value for _, completed in states for done in completed}
    assert announced["when",] == date(2026, 2, 3)
    assert announced["colour",] is Colour.RED
    assert announced["pet",] == Dog(kind="dog", tricks=["sit"])
    assert announced["pair",] == (1, 2)
    assert announced["nested", "points", 0] == Point(1.0, 2.0)
    assert announced["nested",] == Frozen("f", [Point(1.0, 2.0)])
    assert announced["re-named",] == "r"
    shown = [state for state, _ in states]
    assert {"when": "2026-02-03"}.items() <= shown[-2].items()
    assert all(state.get("when") in (None, "2026-02-03") for state in shown), (
        "a date is shown whole or not at all"
    )
    assert any(state.get("anything") == {"deep": ["x", {}]} for state in shown)


async def test_dataclasses_typed_dicts_and_schemas_grow_too():
    """A dataclass is an instance, a TypedDict a dict, a schema's value plain JSON."""
    text = '{"name": "line", "points": [{"x": 1, "y": 2}]}'
    states, last = await grown(Frozen, *chunks(text))
    assert last.result == Frozen("line", [Point(1, 2)])
    assert {"name": "line", "points": [{}]} in [state for state, _ in states]
    states, last = await grown(Movie, '{"title": "Al', 'ien", "year": 1979}')
    assert [state for state, _ in states] == [
        {"title": "Al"},
        {"title": "Alien", "year": 1979},
    ] * 1 + [last.result]
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
    }
    states, last = await grown(schema, '{"a": [1, 2', ", 3]}")
    assert [state for state, _ in states] == [{"a": [1]}, {"a": [1, 2, 3]}, {"a": [1, 2, 3]}]


@pytest.mark.parametrize(
    "alias",
    [own.TypeAliasType for own in (typing_extensions, typing) if hasattr(own, "TypeAliasType")],
)
async def test_a_type_with_a_name_grows_as_the_type_itself(alias):
    """From Python 3.12 on `type Steps = list[Step]` makes one of Python's own."""
    named = create_model("Named", title=alias("Title", str), steps=alias("Steps", list[Step]))
    plainly = create_model("Plainly", title=str, steps=list[Step])
    (states, last), (expected, _) = (
        await grown(named, *chunks(SOUP_TEXT)),
        await grown(plainly, *chunks(SOUP_TEXT)),
    )
    assert [state for state, _ in states] == [state for state, _ in expected]
    assert len(states) > 10
    assert last.result.steps == Recipe(**SOUP).steps


@pytest.mark.parametrize(
    "text", ['{"value": [{"text": "a"}]}', '[{"text": "a"}]', 'So:\n[{"text": "a"}]']
)
async def test_a_list_is_asked_for_inside_an_object(text):
    """Vendors take only objects: the wrapper is ours to add and to take away, and a model may leave it out."""
    states, last = await grown(list[Step], *chunks(text, 4))
    assert last.result == [Step(text="a")]
    assert states[-2][0] == [{"text": "a"}]
    assert [done.path for _, completed in states for done in completed] == [(0, "text"), (0,)]


@pytest.mark.parametrize(
    ("into", "text", "value"),
    [(int, '{"value": 3}', 3), (int, " 3 ", 3), (Colour, '"red"', Colour.RED)],
)
async def test_a_scalar_comes_at_the_end(into, text, value):
    """An answer that is one number is whole or nothing."""
    assert (await grown(into, *chunks(text, 1)))[1].result == value


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{SOUP_TEXT}\n```",
        f"```\n{SOUP_TEXT}\n```\nEnjoy {{your}} meal!",
        f"Here it is:\n\n  {json.dumps(SOUP, indent=2)}\n\nEnjoy!",
        f"Here {{it}} is:\r\n{SOUP_TEXT}",
    ],
)
async def test_fences_and_prose_are_passed_over(text):
    """What models put around the JSON is neither shown nor an error."""
    states, last = await grown(Recipe, *chunks(text, 3))
    assert last.result == Recipe.model_validate(SOUP)
    assert states[-2][0]["title"] == "Tomato soup"


def test_json_in_one_line_with_prose_is_found_at_the_end():
    """Where no line begins with it, the first brace does."""
    assert next(json_texts('It is {"a": 1}, I think')) == '{"a": 1}'
    assert list(json_texts("no JSON")) == ["no JSON"]


@given(st.text(st.sampled_from("a{[ \n`"), max_size=12), st.integers(1, 4))
def test_the_preamble_is_the_same_however_it_is_cut(text, size):
    """What is dropped doesn't depend on the pieces."""
    whole, cut = Preamble(), Preamble()
    assert "".join(cut.feed(piece) for piece in chunks(text, size)) == whole.feed(text)


texts = st.text(st.characters(codec="utf-8"), max_size=6)
steps = st.builds(Step, text=texts, minutes=st.none() | st.integers(0, 99))
recipes = st.builds(
    Recipe, title=texts, kind=st.sampled_from(["soup", "cake"]), steps=st.lists(steps, max_size=3)
)
nodes = st.deferred(lambda: st.builds(Node, name=texts, children=st.lists(nodes, max_size=2)))
pets = st.builds(Cat, kind=st.just("cat"), lives=st.integers(0, 9)) | st.builds(
    Dog, kind=st.just("dog"), tricks=st.lists(texts, max_size=2)
)
values = recipes | st.recursive(
    st.builds(Node, name=texts),
    lambda inner: st.builds(Node, name=texts, children=st.lists(inner, max_size=2)),
    max_leaves=4,
)


def prefix_of(part, whole):
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(key in whole and prefix_of(item, whole[key]) for key, item in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(part) <= len(whole) and all(map(prefix_of, part, whole))
    return part == whole or (
        isinstance(part, str) and isinstance(whole, str) and whole.startswith(part)
    )


@examples(1000)
@given(values)
def test_every_prefix_of_a_document_is_a_valid_partial_or_not_yet(value):
    """A thousand documents, character by character: an instance whose parts are prefixes of the final ones."""
    text = value.model_dump_json()
    final = json.loads(
        text, object_hook=lambda d: {key: item for key, item in d.items() if item is not None}
    )

    async def run():
        count = 0
        async for part in structured.objects(stream_of(*text), type(value)):
            count += 1
            assert isinstance(part.value, type(value))
            assert prefix_of(plain(part.value), final)
            for done in part.completed:
                assert (
                    not isinstance(done.value, BaseModel)
                    or type(done.value).model_validate(done.value.model_dump()) == done.value
                )
        assert part.result == value
        assert count == len(text) + 1, "one for each event from the first brace on, and the last"

    asyncio.run(run())


def lines_run(text, size):
    """Lines of our code that run to read `text` in pieces, its value looked at each time."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        name = frame.f_code.co_filename
        return trace if "llmstream/structured" in name or "partial_json" in name else None

    async def run():
        async for part in structured.objects(stream_of(*chunks(text, size)), Recipe):
            assert part.value is not None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        asyncio.run(run())
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("size", [4, 10**9])
def test_the_work_is_linear_in_the_elements(size):
    """Twice the elements take twice the lines, although every partial value is looked at."""

    def document(count):
        return json.dumps(
            {
                "title": "t",
                "steps": [{"text": f"step {100 + i}", "minutes": 10} for i in range(count)],
            }
        )

    lines_run(document(1), 4)  # what is made once for a type
    once, twice = (lines_run(document(count), size) for count in (200, 400))
    assert twice < 2.1 * once


@pytest.mark.parametrize("size", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_very_many_elements(size):
    """A long list of models, a hundred characters at a time."""
    text = json.dumps({"title": "t", "steps": [{"text": "s", "minutes": i} for i in range(size)]})
    count = 0
    async for part in structured.objects(stream_of(*chunks(text, 100)), Recipe):
        count += sum(len(done.path) == 2 for done in part.completed)
        assert part.value is not None
    assert count == size
    assert len(part.result.steps) == size


async def test_a_retry_that_discards_and_a_step_begin_anew():
    """The text before them is not part of the value; that before a seamless retry is."""
    retry = Retry(2, 3, 0.0, "r", "server", discard=True)
    events = ['{"title": "Stew', StreamEvent(EventType.RETRY, retry=retry), '{"title":', ' "Soup"}']
    states, last = await grown(Recipe, *events)
    assert [state.get("title") for state, _ in states] == ["Stew", None, "Soup", "Soup"]
    retry.discard = False
    assert (
        await grown(Recipe, '{"title": "S', StreamEvent(EventType.RETRY, retry=retry), 'oup"}')
    )[1].result.title == "Soup"
    step = StreamEvent(EventType.STATUS, status=Status("step"))
    assert (await grown(Recipe, "I look at {it}", step, SOUP_TEXT))[
        1
    ].result == Recipe.model_validate(SOUP)
    assert last.result == Recipe(title="Soup")


async def test_what_is_not_valid_is_an_error_that_has_the_text():
    """ValidationFailedError says what is wrong and where, and nothing of the answer is lost."""
    for text in (
        '{"title": "a", "steps": [{"minutes": -1}]}',
        '{"title": "a", "ste',
        "I can't.",
        "",
        "{a: 1}",
    ):
        with pytest.raises(structured.ValidationFailedError) as caught:
            await grown(Recipe, *chunks(text))
        assert caught.value.text == text
        assert isinstance(caught.value, InvalidOutputError)
        assert caught.value.info.code == "validation"
        assert caught.value.problems
    with pytest.raises(
        LLMError,
        match=r"no Recipe: steps.0.text: Field required; steps.0.minutes: Input should be greater",
    ):
        await grown(Recipe, '{"title": "a", "steps": [{"minutes": -1}]}')


async def test_an_error_of_the_stream_is_raised_as_it_is():
    """ERROR raises its own LLMError; a stream that stops is truncated; the source is closed."""
    client = client_of(['{"title": "S', ErrorInfo("quota", "no money")])
    with pytest.raises(LLMError, match="no money") as caught:
        async for _ in structured.objects(structured.ask(client, HI, Recipe), Recipe):
            pass
    assert caught.value.info.partial.text == '{"title": "S'
    events = stream_of(SOUP_TEXT)
    parts = structured.objects(events, Recipe)
    await anext(parts)
    await parts.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    with pytest.raises(TypeError, match="async iterable"):
        structured.objects([], Recipe)
    events = stream_of(SOUP_TEXT, "")
    await anext(events)
    await structured.objects(events, Recipe).aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(events)


# --- parse ----------------------------------------------------------------------------------------------------


async def test_parse_gives_the_value():
    """One call, one value; the messages stay as they were."""
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    provider = ScriptedProvider([SOUP_TEXT])
    recipe = await structured.parse(LLMClient(provider=provider), messages, Recipe, temperature=0)
    assert recipe == Recipe.model_validate(SOUP)
    assert messages == [{"role": "system", "content": "Be brief."}, *HI]
    (request,) = provider.requests
    assert request.temperature == 0
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[0].text.startswith("Be brief.\n\nAnswer with JSON alone")
    assert '"minutes"' in request.messages[0].text


async def test_a_repair_round_says_what_was_wrong():
    """The answer and its problems go back once; the second failure is final."""
    provider = ScriptedProvider(['{"title": 3}'], [SOUP_TEXT])
    assert await structured.parse(
        LLMClient(provider=provider), HI, Recipe, repair=True
    ) == Recipe.model_validate(SOUP)
    *_, answered, asked = provider.requests[1].messages
    assert (answered.role, answered.text) == ("assistant", '{"title": 3}')
    assert "title: Input should be a valid string" in asked.text
    for attempts, repair in ((['{"title": 3}'], False), (['{"title": 3}'], True)):
        client = client_of(attempts, ['{"title": 4}'], [SOUP_TEXT])
        with pytest.raises(structured.ValidationFailedError) as caught:
            await structured.parse(client, HI, Recipe, repair=repair)
        assert caught.value.text == ('{"title": 4}' if repair else '{"title": 3}')


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (['{"title": "a', ended(FinishReason.LENGTH)], "cut at max_tokens"),
        ([RefusalPart("I won't.")], "the model refused"),
        (["No.", ended(FinishReason.CONTENT_FILTER)], "ended with content_filter"),
    ],
)
async def test_what_stopped_the_answer_is_not_repaired(items, message):
    """A cut or a refusal would only come again."""
    provider = ScriptedProvider(items, [SOUP_TEXT])
    with pytest.raises(structured.ValidationFailedError, match=message) as caught:
        await structured.parse(LLMClient(provider=provider), HI, Recipe, repair=True)
    assert not caught.value.info.retryable
    assert len(provider.requests) == 1


async def test_parse_and_objects_give_usage_and_cost(monkeypatch):
    """Of all that was asked, also where it failed."""
    monkeypatch.setattr(catalogue, "_registered", {})
    catalogue.register("scripted:script", ModelFacts(prices=Prices("2", "10")))
    bad, good = ['{"title": 3}', Usage(1000, 100)], [SOUP_TEXT, Usage(2000, 200)]
    billed = [Usage(1000, 100, cost=Decimal("0.003")), Usage(2000, 200, cost=Decimal("0.006"))]
    usages: list[Usage] = []

    await structured.parse(client_of(good), HI, Recipe, on_usage=usages.append)
    assert usages == billed[1:]
    await structured.parse(client_of(bad, good), HI, Recipe, repair=True, on_usage=usages.append)
    assert usages[1] == Usage(2000, 200, attempts=tuple(billed), cost=Decimal("0.009"))
    with pytest.raises(structured.ValidationFailedError) as caught:
        await structured.parse(client_of(bad), HI, Recipe, on_usage=usages.append)
    assert usages[2] == caught.value.usage == billed[0]
    failed = [Usage(1000, 100), ErrorInfo("invalid_request")]
    with pytest.raises(LLMError):
        await structured.parse(client_of(failed), HI, Recipe, on_usage=usages.append)
    assert usages[3] == billed[0]
    with pytest.raises(LLMError):
        await structured.parse(
            client_of([ErrorInfo("invalid_request")]), HI, Recipe, on_usage=usages.append
        )
    assert len(usages) == 4

    events = structured.ask(client_of(good), HI, Recipe)
    partials = [partial async for partial in structured.objects(events, Recipe)]
    assert [partial.usage for partial in partials[:-1]] == [None] * (len(partials) - 1)
    assert partials[-1].usage == billed[1]


async def test_failures_before_the_end_are_retried():
    """Nothing is shown before the end, so an answer that is cut is asked for again."""
    client = client_of(['{"title', ErrorInfo("overloaded")], [SOUP_TEXT])
    assert (await structured.parse(client, HI, Recipe)).title == "Tomato soup"


CALL = ToolCall("call-1", "Recipe", SOUP_TEXT, input=SOUP)


def check_interactions(body, mode, wanted):
    if mode == "tool":
        (tool,) = body["tools"]
        assert (tool["name"], tool["parameters"]) == ("Recipe", wanted)
        choice = body["generation_config"]["tool_choice"]
        assert choice in ("any", {"allowed_tools": {"mode": "any", "tools": ["Recipe"]}})
    elif mode == "native":
        said = {"type": "text", "mime_type": "application/json", "schema": wanted}
        assert body["response_format"] == said


def check_gemini(body, mode, wanted):
    config = body.get("generationConfig", {})
    if mode == "tool":
        (declared,) = body["tools"][0]["functionDeclarations"]
        assert declared["parametersJsonSchema"] == wanted
        assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    elif mode == "instructions":
        assert '"minutes"' in json.dumps(body) or '\\"minutes\\"' in json.dumps(body)
        assert config == {"responseMimeType": "application/json"}
    else:
        assert config == {"responseMimeType": "application/json", "responseJsonSchema": wanted}


def check_converse(body, mode, wanted):
    if mode == "tool":
        (tool,) = body["toolConfig"]["tools"]
        assert tool["toolSpec"]["inputSchema"] == {"json": wanted}
        assert body["toolConfig"]["toolChoice"] == {"any": {}}
    elif mode == "native":
        schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        assert json.loads(schema["schema"]) == wanted
    else:  # chosen, too: not every model of Amazon's takes a schema
        assert "outputConfig" not in body
        assert json.dumps(wanted) in body["system"][0]["text"]


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("mode", ["native", "tool", "instructions", None])
async def test_each_vendor_is_asked_in_its_own_words(provider, mode):
    """The three formats, over real bytes, in every mode; native is what is chosen."""
    items = ["Here.", CALL] if mode == "tool" else [SOUP_TEXT]
    model = {"anthropic": "claude-sonnet-4-5"}.get(provider, "gpt-5-mini")
    async with (
        Loopback(answer(APIS[provider], *items)) as server,
        LLMClient(f"{provider}:{model}", api_key="k", base_url=server.url(provider)) as client,
    ):
        assert await structured.parse(client, HI, Recipe, mode=mode) == Recipe.model_validate(SOUP)
        states = [
            part
            async for part in structured.objects(
                structured.ask(client, HI, Recipe, mode=mode), Recipe
            )
        ]
    assert states[-1].result == Recipe.model_validate(SOUP)
    calls_are_whole = provider in ("gemini", "ollama") and mode == "tool"
    assert len(states) > (1 if calls_are_whole else 5)
    body = server.requests[0].body
    wanted = strict_schema(Recipe.model_json_schema())
    if provider == "gemini":
        check_gemini(body, mode, wanted)
    elif provider == "gemini-interactions":
        check_interactions(body, mode, wanted)
    elif provider == "bedrock":
        check_converse(body, mode, wanted)
    elif mode == "tool":
        (tool,) = body["tools"]
        tool = tool.get("function", tool)
        assert (tool["name"], tool.get("parameters", tool.get("input_schema"))) == (
            "Recipe",
            wanted,
        )
        if provider != "ollama":  # which lets nobody force a call
            assert body["tool_choice"] in ("required", "REQUIRED", {"type": "any"})
    elif mode == "instructions":
        assert '\\"minutes\\"' in json.dumps(body) or '"minutes"' in json.dumps(body)
        assert body.get("response_format") == (
            {"type": "json_object"} if provider in ("openai", "cohere") else None
        )
    elif provider == "ollama":
        assert body["format"] == wanted
    elif provider == "cohere":
        assert body["response_format"] == {"type": "json_object", "json_schema": wanted}
    else:
        sent = {
            "openai": lambda: body["response_format"]["json_schema"],
            "openai-responses": lambda: body["text"]["format"],
            "anthropic": lambda: body["output_config"]["format"],
        }[provider]()
        assert sent["schema"] == wanted
        assert sent.get("strict", True) is True


@pytest.mark.parametrize(
    ("model", "into", "options", "mode"),
    [
        ("openai:gpt-5-mini", Recipe, {}, "native"),
        ("openai:gpt-5-mini", dict[str, int], {}, "native"),
        ("groq:x", Recipe, {}, "native"),
        ("deepseek:x", Recipe, {}, "instructions"),  # it thinks, and then no call can be forced
        ("deepseek:x", Recipe, {"reasoning_effort": "low"}, "instructions"),
        ("deepseek:x", Recipe, {"reasoning_effort": "none"}, "tool"),
        ("deepseek:deepseek-chat", Recipe, {}, "tool"),
        ("deepseek:x", Recipe, {"tools": [{"name": "f"}]}, "instructions"),
        ("moonshot:x", Recipe, {}, "instructions"),
        ("anthropic:claude-opus-4-1", Recipe, {}, "native"),
        ("anthropic:claude-haiku-4-5-20251001", Recipe, {}, "native"),
        ("anthropic:claude-3-5-haiku-latest", Recipe, {}, "tool"),
        ("anthropic:claude-sonnet-4-20250514", Recipe, {}, "tool"),
        ("anthropic:claude-sonnet-4-20250514", Recipe, {"reasoning_effort": "low"}, "instructions"),
        ("anthropic:claude-sonnet-4-5", Node, {}, "tool"),
        ("anthropic:claude-sonnet-4-5", dict[str, int], {}, "tool"),
        ("simulator:echo", Recipe, {}, "instructions"),
    ],
)
def test_the_way_is_chosen_by_what_the_model_takes(model, into, options, mode):
    """The vendor table says who takes schemas and forced calls; Claude's models differ, and refuse what has no end."""
    name, model = registry.parse_model(model)
    provider = registry.create(ProviderConfig(name, api_key=None if name == "simulator" else "k"))
    assert _choose(provider.traits.schema_support(model), AnswerType(into), options) == mode


@pytest.mark.parametrize(
    ("support", "mode"),
    [(None, "instructions"), (SchemaSupport(native=True), "native")],
    ids=["silent", "native"],
)
async def test_a_third_partys_provider_says_what_it_takes(support, mode):
    """Who says nothing is asked in words; who says that it takes schemas gets one."""
    provider = ScriptedProvider([SOUP_TEXT])
    if support is not None:
        provider.traits = ProviderTraits(default_model="m", schemas=support)
    await structured.parse(LLMClient(provider=provider), HI, Recipe)
    (request,) = provider.requests
    assert (request.response_format is not None) == (mode == "native")
    assert (request.messages[0].role == "system") == (mode == "instructions")


async def test_a_tool_call_needs_the_message():
    """Without it the call would be lost in batch mode; that is said before anything is asked. A stream has it."""
    provider = ScriptedProvider([CALL], [SOUP_TEXT])
    client = LLMClient(provider=provider, keep_message=False)
    with pytest.raises(ConfigurationError, match="keep_message=False"):
        await structured.parse(client, HI, Recipe, mode="tool")
    assert not provider.requests
    parts = [
        part
        async for part in structured.objects(
            structured.ask(client, HI, Recipe, mode="tool"), Recipe
        )
    ]
    assert parts[-1].result == Recipe.model_validate(SOUP)
    assert await structured.parse(client, HI, Recipe) == Recipe.model_validate(SOUP)


@pytest.mark.parametrize(
    ("options", "problem", "message"),
    [
        (
            {"mode": "magic"},
            ValueError,
            "mode must be one of native, tool, instructions, not 'magic'",
        ),
        ({"response_format": "json"}, ValueError, "leave it out"),
        ({"mode": "tool", "tools": [{"name": "f"}]}, ValueError, "leave out tools"),
    ],
)
async def test_options_that_contradict_are_refused(options, problem, message):
    """Before any network, with what to do."""
    with pytest.raises(problem, match=message):
        await structured.parse(client_of([SOUP_TEXT]), HI, Recipe, **options)


class NoSchema:
    pass


class Holds(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    it: NoSchema


LOOP = {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}


@pytest.mark.parametrize(
    "into",
    [
        NoSchema,
        Holds,
        3,
        "Recipe",
        {"a": 1},
        {"$ref": "#/nowhere"},
        {"type": {1, 2}},
        {"properties": [1]},
        LOOP,
    ],
)
async def test_what_cannot_be_a_schema_says_what_to_give(into):
    """A TypeError before anything is sent, that names the type."""
    provider = ScriptedProvider([SOUP_TEXT])
    with pytest.raises(TypeError, match=r"Give a pydantic model|JSON schema"):
        await structured.parse(LLMClient(provider=provider), HI, into)
    assert not provider.requests


# --- schemas --------------------------------------------------------------------------------------------------

SHAPES = [Recipe, Frozen, Point, Movie, Node, list[Step], Colour, Cat | Dog]


def objects_in(schema):
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict) and "type" in schema:
            yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)


@pytest.mark.parametrize("into", SHAPES, ids=str)
def test_the_strict_form_is_what_vendors_take(into):
    """Every object closed, every property required, no keyword that is refused, no sibling of a reference."""
    strict = AnswerType(into).strict()
    assert strict["type"] == "object"
    for found in objects_in(strict):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    text = json.dumps(strict)
    for keyword in ("default", "minimum", "oneOf", "discriminator", "title"):
        assert f'"{keyword}": ' not in text.replace('"title": {', "")


def test_what_strict_mode_cannot_say_goes_into_the_description():
    """Limits and defaults are told, and checked at the end."""
    strict = strict_schema(Recipe.model_json_schema())
    assert strict["properties"]["kind"]["description"] == 'default: "soup"'
    minutes = strict["$defs"]["Step"]["properties"]["minutes"]
    assert minutes["anyOf"][0] == {"type": "integer", "description": "minimum: 0"}


@examples(200)
@given(recipes | pets)
def test_what_fits_a_type_fits_its_strict_form(value):
    """The strict form refuses nothing that the type writes, and its answers validate."""
    schema = type(value).model_json_schema()
    assert check(json.loads(value.model_dump_json()), strict_schema(schema)) == []
    assert check(json.loads(value.model_dump_json()), schema) == []


@pytest.mark.parametrize(
    "into", [dict[str, int], Everything, {"type": "object"}, {"type": "object", "not": {}}]
)
def test_what_has_no_strict_form_is_sent_as_it_is(into):
    """Open objects, tuples and anything: the schema is advice then."""
    target = AnswerType(into)
    assert target.strict() is None
    with pytest.raises(NotStrictError):
        strict_schema(target.schema)


def test_recursion_is_seen():
    """Anthropic takes no schema that contains itself."""
    assert is_recursive(Node.model_json_schema())
    assert is_recursive({"type": "object", "properties": {"a": {"$ref": "#"}}})
    assert not is_recursive(Recipe.model_json_schema())


@pytest.mark.parametrize(
    ("value", "schema", "problem"),
    [
        (1, {"type": "string"}, "the value: must be string"),
        (True, {"type": "integer"}, "the value: must be integer"),
        (1.0, {"type": "integer"}, None),
        (float("inf"), {"type": "integer"}, "the value: must be integer"),
        (None, {"type": ["string", "null"]}, None),
        ("c", {"enum": ["a", "b"]}, "must be one of ['a', 'b']"),
        (True, {"const": 1}, "must be 1"),
        ({"a": 1}, {"required": ["b"]}, "b: is missing"),
        ({"a": 1}, {"properties": {}, "additionalProperties": False}, "a: is not allowed"),
        (
            {"a": {"b": "x"}},
            {"additionalProperties": {"properties": {"b": {"type": "null"}}}},
            "a.b: must be null",
        ),
        ([1, "x"], {"items": {"type": "number"}}, "1: must be number"),
        ([1, "x"], {"prefixItems": [{"type": "number"}], "items": False}, "1: is not allowed"),
        ([1, 1], {"uniqueItems": True}, "breaks uniqueItems: True"),
        ([], {"minItems": 1}, "breaks minItems: 1"),
        ("abc", {"maxLength": 2}, "breaks maxLength: 2"),
        ("abc", {"pattern": "^b"}, "breaks pattern: '^b'"),
        ("abc", {"pattern": "(?<broken"}, None),
        (5, {"exclusiveMaximum": 5}, "breaks exclusiveMaximum: 5"),
        (7, {"multipleOf": 2}, "breaks multipleOf: 2"),
        (1, {"anyOf": [{"type": "null"}, {"type": "string"}]}, "fits none of anyOf"),
        (1, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "fits more than one of oneOf"),
        (1, {"allOf": [{"minimum": 2}]}, "breaks minimum: 2"),
        (
            [[1]],
            {
                "$ref": "#/$defs/a",
                "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}},
            },
            "0.0: must be array",
        ),
    ],
)
def test_a_schema_of_json_is_checked_too(value, schema, problem):
    """The keywords that models are given, each with the place of what breaks it."""
    problems = check(value, schema)
    assert (problem is None) == (not problems)
    if problem is not None:
        with pytest.raises(MismatchError) as caught:
            raise MismatchError(problems)
        assert problem in str(caught.value)


def test_what_is_nested_too_deeply_is_no_value():
    """A model that never stops opening brackets is told so, as any wrong answer is."""
    with pytest.raises(MismatchError, match="nested too deeply"):
        AnswerType({"type": "array", "items": {"$ref": "#"}}).parse("[" * 900 + "]" * 900)


@pytest.mark.parametrize("reference", ["#/nowhere", "http://else/where", "#/$defs/loop"])
def test_a_reference_that_leads_nowhere_is_refused(reference):
    """Also one that leads to itself."""
    schema = {"$ref": reference, "$defs": {"loop": {"$ref": "#/$defs/loop"}}}
    with pytest.raises(ValueError, match=r"\$ref"):
        check({}, schema)


def test_a_root_model_and_a_schema_without_a_type():
    """What is no object is wrapped, whatever says so."""
    assert AnswerType(RootModel[list[int]]).wrapped
    assert AnswerType({"enum": ["a", "b"]}).parse('{"value": "a"}') == "a"
    with pytest.raises(MismatchError, match="must be one of"):
        AnswerType({"enum": ["a", "b"]}).parse('{"value": "c"}')
    assert AnswerType(TypeAdapter(list[int]).json_schema()).parse("[1]") == [1]


def test_the_messages_of_a_failure_are_short():
    """Five problems are listed, the rest is counted; all are in `problems`."""
    steps = [{"minutes": i} for i in range(9)]
    event = StreamEvent(
        EventType.MESSAGE_COMPLETE,
        message=Message("assistant", json.dumps({"title": "", "steps": steps})),
    )
    with pytest.raises(structured.ValidationFailedError, match="; and 4 more") as caught:
        structured.partial_objects.finish(event, AnswerType(Recipe))
    assert len(caught.value.problems) == 9


def test_partial_is_a_value():
    """It can be printed."""
    assert repr(structured.Partial(result=3)) == "Partial(completed=[], result=3)"
    assert structured.Partial(result=3).value == 3


class Renamed(BaseModel):
    """Each way in which pydantic takes a field under another key."""

    a: str = Field(validation_alias=AliasChoices("first", "second", AliasPath("third")))
    b: str = Field(alias="bee")
    c: str = Field(validation_alias="see")
    d: str = Field(validation_alias=AliasChoices(AliasPath("deep", 0), "dee"))


@pytest.mark.parametrize("key", ["first", "second", "third"])
async def test_a_field_is_shown_under_every_key_that_it_may_have(key):
    """And announced when it is whole."""
    text = json.dumps({key: "one", "bee": "two", "see": "three", "dee": "four"})
    states, last = await grown(Renamed, *chunks(text, 3))
    assert last.result == Renamed.model_validate_json(text)
    assert states[-2][0] == {"a": "one", "b": "two", "c": "three", "d": "four"}
    assert [done.path for _, completed in states for done in completed] == [
        *((key,), ("bee",), ("see",), ("dee",))
    ]


class Cased(TypedDict):
    long_name: Annotated[str, Field(alias="longName")]


@dataclass
class Cast:
    long_name: Annotated[str, Field(alias="longName")]


@pytest.mark.parametrize("into", [Cased, Cast])
async def test_so_is_one_of_a_dataclass_or_a_typed_dict(into):
    states, last = await grown(into, *chunks('{"longName": "value"}', 4))
    assert plain(last.result) == {"long_name": "value"}
    assert {"long_name": "value"} in [state for state, _ in states]


class Measured(BaseModel):
    size: float


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("into", [Measured, dict[str, float], {"type": "object"}])
async def test_what_is_no_number_of_json_is_refused_streamed_and_whole(number, into):
    """One rule for both."""
    text = f'{{"size": {number}}}'
    with pytest.raises(structured.ValidationFailedError, match="not JSON"):
        await grown(into, *chunks(text, 4))
    with pytest.raises(structured.ValidationFailedError, match="not JSON"):
        await structured.parse(client_of([text]), HI, into)
    words = '{"name": "NaN and Infinity"}'
    assert (await grown({"type": "object"}, words))[1].result == {"name": "NaN and Infinity"}
