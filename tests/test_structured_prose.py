"""One right value among prose, footnotes, drafts, fences and thoughts: the same one, streamed and whole."""

from __future__ import annotations

import asyncio
import enum
import json
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from llmstream import EventType, LLMClient, StreamEvent, TextDelta, structured
from llmstream.structured.json_in_prose import json_texts
from llmstream.testing import ScriptedProvider
from tests.example_counts import examples

QUESTION = [{"role": "user", "content": "hi"}]


class Step(BaseModel):
    text: str
    minutes: int | None = None


class Colour(enum.StrEnum):
    RED = "red"
    DARK_BLUE = "dark blue"


@dataclass
class Point:
    x: int
    y: int


class Place(TypedDict):
    name: str
    tags: list[str]


words = st.text(st.sampled_from('ab [1]{}":\n<think>é`'), max_size=12)
numbers = st.integers(-999, 999)
points = st.builds(Point, numbers, numbers)
steps = st.builds(Step, text=words, minutes=st.none() | numbers)
TYPES = [
    (Step, steps),
    (Point, points),
    (Place, st.fixed_dictionaries({"name": words, "tags": st.lists(words, max_size=2)})),
    (list[int], st.lists(numbers, max_size=4)),
    (list[list[int]], st.lists(st.lists(numbers, max_size=2), min_size=1, max_size=3)),
    (list[Step], st.lists(steps, min_size=1, max_size=2)),
    (dict[str, int], st.dictionaries(words, numbers, min_size=1, max_size=2)),
    (int, numbers),
    (float, st.floats(-1e6, 1e6)),
    (bool, st.booleans()),
    (Colour, st.sampled_from(Colour)),
    (Literal["yes", "no"], st.sampled_from(["yes", "no"])),
    (date, st.dates()),
]
BEFORE = [
    "Sure!",
    "[1] says so:",
    "As [1] and [2, 3] show,",
    "I {really} thought [about] it.",
    "```python\nprint([x for x in {}])\n```",
    "- first\n- second",
    "It isn't {'a': 1}.",
    "> quoted (see [4]).",
]
AFTER = [
    "Enjoy {your} meal!",
    "[1]: https://example.com/a",
    "[1] The source, p. 3",
    "[^1]: A note.",
    "Sources: [1]",
    "See [2].",
    "I used [1, 2] for that.",
    "Ask me {anything} else!",
    "- [1](https://example.com)",
]


@st.composite
def answers(draw):
    """A type, its value, and an answer that has it."""
    into, values = draw(st.sampled_from(TYPES))
    value = draw(values)

    def put(value):
        """Its JSON, as models write it."""
        plain = to_jsonable_python(value)
        is_wrapped = not isinstance(plain, dict) or into == dict[str, int]
        forms = [plain, {"value": plain}] if is_wrapped and into != dict[str, int] else [plain]
        text = json.dumps(
            draw(st.sampled_from(forms)),
            indent=draw(st.sampled_from([None, 2])),
            ensure_ascii=draw(st.booleans()),
        )
        frames = [
            "{}",
            "Sure, here it is: {}",
            "```json\n{}\n```",
            "```\n{}\n```",
            "The answer:\n\n  {}",
            "**Answer:** {}",
        ]
        return draw(st.sampled_from(frames)).replace("{}", text)

    drafts = []
    if draw(st.booleans()):
        draft = put(draw(values))
        frames = [
            "<think>\n{}\n</think>",
            "Draft:\n{}",
            "My first idea was\n{}\nbut no.",
            "{}\n</think>",
        ]
        drafts = [draw(st.sampled_from(frames)).replace("{}", draft)]
    before = draw(st.lists(st.sampled_from(BEFORE), max_size=2))
    after = draw(st.lists(st.sampled_from(AFTER), max_size=2))
    between = draw(st.sampled_from(["\n", "\n\n", "\r\n"]))
    return into, value, between.join([*before, *drafts, put(value), *after])


async def streamed(into, text, size):
    async def events():
        for at in range(0, len(text), size):
            delta = TextDelta(text[at : at + size])
            yield StreamEvent(EventType.TEXT_DELTA, text_delta=delta)
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async for partial in structured.objects(events(), into):
        last = partial
    return last.result


async def whole(into, text):
    client = LLMClient(provider=ScriptedProvider([text]))
    return await structured.parse(client, QUESTION, into)


@examples(200)
@given(answers(), st.sampled_from([1, 7, 10_000]))
def test_the_right_value_is_found(answer, size):
    """However it is cut, and whole."""
    into, value, text = answer
    expected = TypeAdapter(into).validate_python(to_jsonable_python(value))
    assert asyncio.run(streamed(into, text, size)) == expected, text
    assert asyncio.run(whole(into, text)) == expected, text


@pytest.mark.parametrize(
    ("into", "text", "value"),
    [
        (list[int], "[1] says so:\n[4, 5]", [4, 5]),
        (list[int], "[4, 5]\n\nSources: [1]", [4, 5]),
        (list[int], "Sure, here it is: [1, 2, 3]", [1, 2, 3]),
        (list[int], "The answer is [1, 2, 3].", [1, 2, 3]),
        (list[int], "Draft: [1]\nFinal: [1, 2]", [1, 2]),
        (list[int], "<think>[7]</think>[8]", [8]),
        (list[int], "[7]</think>\nnothing more", [7]),
        (list[int], "[5]\n<think>or [6]: no</think>", [5]),
        (list[str], 'Two: ["a"]\nThree: ["a", "b"] (sorted)', ["a", "b"]),
        (Step, '{"text": "draft"}\nBetter:\n{"text": "final"}', Step(text="final")),
        (
            Step,
            '```json\n{"text": "draft"}\n```\nNo: {"text": "final"}, I think',
            Step(text="final"),
        ),
        (Step, '[1] says so:\n{"text": "</think>"}', Step(text="</think>")),
        (Step, '{"text": "a"}\n{"other": 1}', Step(text="a")),
        (int, "After some thought: -5", -5),
        (int, "- -5", -5),
        (int, "**42**.", 42),
        (int, "1. 42", 42),
        (int, "The answer is 42.", 42),
        (float, "3.5", 3.5),
        (float, "**-3.5**", -3.5),
        (float, "- 3.5e2", 350.0),
        (float, "It's = 2.25;", 2.25),
        (list[int], "[4, 5] [1]", [4, 5]),
        (list[int], "[4, 5][1][2]\n", [4, 5]),
        (list[int], "<answer>[4, 5]</answer>", [4, 5]),
        (list[int], "[4,5]\n\nReferences:\n[1] https://a.b\n[2] https://c.d", [4, 5]),
        (Step, '{"text": "a"}\n\nor as a list: [{"text": "z"}]', Step(text="a")),
        (Literal["yes", "no"], "Answer: yes", "yes"),
        (Literal["yes", "no"], 'The answer is "no".', "no"),
        (Literal["yes", "no"], "I'd say yes: it fits.\n\n**Final:** no", "no"),
        (Colour, "red", Colour.RED),
        (Colour, "  `dark blue`.\n", Colour.DARK_BLUE),
        (Colour, "<think>blue?</think>\nred", Colour.RED),
        (Colour | None, "red", Colour.RED),
        (Literal["yes", "no"], "'no'", "no"),
        (str, '"just this"', "just this"),
        # The numbers of sources, in prose, in lists and in other languages.
        (list[int], "[4, 5]\n\n[1], [2]", [4, 5]),
        (list[int], "[4, 5]\n\nSources:\n- [1]\n- [2]", [4, 5]),
        (list[int], "[4, 5]\n\n**References**\n\n[1] Smith\n[2]", [4, 5]),
        (list[int], "[4, 5]\n\nQuellen: [1]", [4, 5]),
        (list[int], "[4, 5]\n\n출처: [1]", [4, 5]),
        (list[int], "[4, 5]\n\n参考文献：[1]", [4, 5]),  # noqa: RUF001
        (list[int], "[4, 5]\n\nИсточники: [1]", [4, 5]),  # noqa: RUF001
        (list[int], "[4, 5] (see [1])", [4, 5]),
        (list[int], "The result [4, 5] comes from [1].", [4, 5]),
        (list[int], "The numbers are [4, 5] as shown in [2].", [4, 5]),
        (list[int], "```json\n[4, 5]\n``` [1]", [4, 5]),
        (list[int], "| answer |\n|---|\n| [4, 5] |\n\nsee [1]", [4, 5]),
        (list[int], "First: [1, 2]\nFinal: [3]", [3]),
        (list[int], "[4, 5]\n\n[1] (Smith 2020)", [4, 5]),
        (list[int], "[4, 5]\n\n[1] [2]", [4, 5]),
        (list[int], "[4]\n\nSources used: [1, 2]", [4]),
        (list[int], "[5] [1]", [5]),
        (list[int], "Answer: [5] (only one)", [5]),
        (list[int], "See [4, 5]", [4, 5]),
        (list[int], "[]\n\nNothing was found in [1].", []),
        (list[int], "The result is []. [1] has none.", []),
        # Thoughts in other tags, before the answer and behind it.
        (list[int], "[THINK][9][/THINK]\n[8]", [8]),
        (list[int], "[8]\n<analysis>or [9]</analysis>", [8]),
        (list[int], "[8]\n◁think▷or [9, 10]◁/think▷", [8]),
        (list[int], '[8]\n<think budget="3">[9]</think>', [8]),
        (int, "8\n<thinking>\n7\n</thinking>", 8),
        (int, "8\n<think>\n7\n</think>", 8),
        (Literal["yes", "no"], "yes\n<thinking>\nno\n</thinking>", "yes"),
        (Literal["yes", "no"], "<reasoning>no</reasoning>\nyes", "yes"),
        # Numbers and words as models write them.
        (int, "42 [1]", 42),
        (int, "The answer is 42 [1][2].", 42),
        (int, "The answer is 42 (see [1]).", 42),
        (int, "$42$", 42),
        (int, r"So it is \boxed{42}, as I said.", 42),
        (int, "<answer>42</answer>", 42),
        (int, "答案是：42。", 42),  # noqa: RUF001
        (int, "La respuesta es 42.", 42),
        (float, "≈ 3.14", 3.14),
        (bool, "The answer is True.", True),
        (bool, "Answer: FALSE", False),
        (int | None, "None", None),
        (Literal["yes", "no"], "Yes.", "yes"),
        (Literal["yes", "no"], "yes [1]", "yes"),
        (Literal["yes", "no"], "“yes”", "yes"),
        (Literal["yes", "no"], "<answer>yes</answer>", "yes"),
        (Literal["a", "A"], "A", "A"),
        (Literal["yes", "no"], '{"value": "Yes"}', "yes"),
        (Literal["yes", "no"], 'I say:\n"NO"', "no"),
        (Literal["yes", "no"], '<think>{"value": "No"}</think>\n{"value": "Yes"}', "yes"),
        (Colour, "Dark blue", Colour.DARK_BLUE),
    ],
)
async def test_the_value_of(into, text, value):
    """Cases by hand."""
    assert await whole(into, text) == value
    assert await streamed(into, text, 3) == value


@pytest.mark.parametrize(
    ("into", "text"),
    [
        (list[int], '{"value": [1, 2], "val'),
        (list[int], "[[1, 2], [3"),
        (list[int], "[[1, 2], [3, x], [4, 5]]"),
        (Step, '{"steps": [{"text": "a"}], "title": tru'),
        (Step, '[{"text": "a"}, {"text": "b'),
        (Colour, "redder"),
        (Colour, "red or dark blue"),
        (Colour, "The answer is red or dark blue."),
        (int, "about 42 or so"),
        (int, "{count: 42}"),
        (int, ".5"),
        (Literal["no", "yes"], "<thinking>is it\nno\n</thinking>\nperhaps"),
        (Literal["no", "No"], "NO"),
        (str, "no JSON at all"),
    ],
)
async def test_half_an_answer_is_none(into, text):
    """A part of what was cut or is broken isn't the value."""
    with pytest.raises(structured.ValidationFailedError):
        await whole(into, text)
    with pytest.raises(structured.ValidationFailedError):
        await streamed(into, text, 2)


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{",
        "[[1,",
        '{"a":',
        pytest.param("[1]", marks=pytest.mark.slow),
        "{}\n",
        "<think>",
        "</think>",
        "[x ",
        '"',
        "[1,x]",
        "a: 1\n",
        "[1]</think>",
        "[THINK]",
        "42 [1]",
        "[1], ",
        "(",
        pytest.param("[1]" + " " * 200 + "x\n", marks=pytest.mark.slow),
        "Sources:\n",
        "<a>",
    ],
)
def test_finding_is_linear(piece):
    """Nothing that a model may repeat takes more than its length."""
    for text in (piece * 20_000, piece * 20_000 + "\n[1, 2]"):
        assert len(list(json_texts(text))) <= 100


async def test_a_later_value_is_shown_as_it_grows():
    """It takes the place of the draft."""
    texts = ["Draft:\n", '{"text": "dr', 'aft"}\nBetter:\n{"text"', ': "fi', 'nal"}\n']

    async def events():
        for text in texts:
            yield StreamEvent(EventType.TEXT_DELTA, text_delta=TextDelta(text))
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    shown = [partial.value.text async for partial in structured.objects(events(), Step)]
    assert shown == ["dr", None, "fi", "final", "final"]
