"""JSON as it grows: every prefix shows a prefix of the final value, in work that is linear."""

from __future__ import annotations

import json
import random
import sys
from functools import partial

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream.wire.partial_json import MAX_DEPTH, PartialJSON
from tests.example_counts import examples
from tests.strategies import json_values

finite = st.floats(allow_nan=False, allow_infinity=False)
documents = st.builds(
    lambda value, indent, plain: json.dumps(value, indent=indent, ensure_ascii=plain),
    json_values,
    st.none() | st.just(1),
    st.booleans(),
)


def read(text, cuts=()):
    """The whole value, fed in pieces."""
    parser = PartialJSON()
    begin = 0
    for end in [*cuts, len(text)]:
        parser.feed(text[begin:end])
        begin = end
    parser.finish()
    return parser.value


def is_prefix(part, whole):
    """Whether `part` is what of `whole` could have come: all but its last leaf is equal."""
    if isinstance(whole, dict) and isinstance(part, dict):
        keys = list(part)
        return keys == list(whole)[: len(keys)] and all(
            is_prefix(part[key], whole[key]) if key == keys[-1] else same(part[key], whole[key])
            for key in keys
        )
    if isinstance(whole, list) and isinstance(part, list):
        head, tail = part[:-1], part[-1:]
        return (
            all(map(same, head, whole))
            and len(part) <= len(whole)
            and all(is_prefix(item, whole[len(head)]) for item in tail)
        )
    if isinstance(whole, str) and isinstance(part, str):
        return whole.startswith(part)
    return same(part, whole)


def same(a, b):
    return json.dumps(a) == json.dumps(b)  # 1 is not True, and 1 is not 1.0


@examples(1000)
@given(documents)
def test_every_prefix_shows_a_prefix_of_the_final_value(text):
    """A thousand documents, each cut at every character: what is shown is what comes, or nothing yet."""
    final = json.loads(text)
    parser = PartialJSON()
    for char in text:
        parser.feed(char)
        shown = json.loads(json.dumps(parser.value)) if parser.started else None
        assert not parser.started or is_prefix(shown, final)
    parser.finish()
    assert same(parser.value, final)


@given(documents, st.data())
def test_where_it_is_cut_makes_no_difference(text, data):
    """Any pieces give the value that one piece gives, and the same notices in the same order."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    assert same(read(text, cuts), json.loads(text))

    def notices(pieces):
        parser = PartialJSON()
        seen = []
        for piece in pieces:
            parser.feed(piece)
            seen += parser.completed
        parser.finish()
        return [(path, json.dumps(value)) for path, value in seen + parser.completed]

    assert notices(text) == notices([text])


@given(documents)
def test_every_value_is_announced_once_when_it_is_whole(text):
    """The notices are all values of the document, each after those inside it."""
    parser = PartialJSON()
    parser.feed(text)
    seen = parser.completed
    parser.finish()
    seen = [*seen, *parser.completed]

    def paths(value, path=()):
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for key, item in items:
            yield from paths(item, (*path, key))
        yield path, json.dumps(value)

    assert [(path, json.dumps(value)) for path, value in seen] == list(paths(json.loads(text)))


mutations = st.text(st.sampled_from('{}[]",:\\u0d8aDCntrue1-+.eE \n\x01'), max_size=14)


@examples(2000)
@given(
    mutations
    | st.tuples(documents, mutations, st.integers(0, 30)).map(
        lambda t: t[0][: t[2]] + t[1] + t[0][t[2] :]
    )
)
def test_the_same_documents_are_refused_as_by_jiter(text):
    """What pydantic would refuse is a ValueError with its place, and the rest is the same value."""
    try:
        expected = jiter.from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        with pytest.raises(ValueError, match=r"character \d+"):
            read(text, range(len(text)))
    else:
        assert same(read(text), expected)


def shown(text):
    parser = PartialJSON()
    parser.feed(text)
    return parser.value if parser.started else "not yet"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", "not yet"),
        (" ", "not yet"),
        ("{", {}),
        ('{"a', {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a":"', {"a": ""}),
        ('{"a":"b', {"a": "b"}),
        (r'{"a":"b\ud83d\ude', {"a": "b"}),
        ('{"a":1', {}),
        ('{"a":1,', {"a": 1}),
        ('{"a":1.5e3}', {"a": 1500.0}),
        ('{"a":tru', {}),
        ('{"a":true', {"a": True}),
        ("[1, [2", [1, []]),
        ("[1, [2 ", [1, [2]]),
        ('"abc', "abc"),
        ("12", "not yet"),
        ("12 ", 12),
    ],
)
def test_what_is_shown_of_it(text, value):
    """Strings grow, numbers wait for what follows them, words are whole, keys come with their value."""
    assert shown(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{1", "expected a key in quotes, not '1', at character 1"),
        ('{"a" 1', "expected a colon, not '1', at character 5"),
        ("[1 2", "expected a comma or the end of the list, not '2', at character 3"),
        ("{'a'", "expected a key in quotes"),
        ("nuts", "expected null, not 't', at character 2"),
        ("01,", "expected a number of at most 4300 digits, not ',', at character 2"),
        ("1" * 4301 + ",", "expected a number of at most 4300 digits, not ',', at character 4301"),
        ("NaN", "expected a value, not 'N', at character 0"),
        ('"a\nb"', "no control character"),
        (r'"\x"', "expected an escape, not 'x'"),
        (r'"\u12g', "expected four hexadecimal digits"),
        (r'"\ud800x', "the second half of a pair"),
        (r'"\udc00"', "the first half of a pair"),
        ("{} x", "expected nothing more, not 'x', at character 3"),
        ("[" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} levels at character {MAX_DEPTH}"),
    ],
)
def test_what_cannot_be_json_says_where(text, message):
    """However it is cut, the error names what was expected and the place."""
    for cuts in ((), range(len(text))):
        with pytest.raises(ValueError, match=message.replace("[", r"\[")):
            read(text, cuts)


def test_what_was_read_before_an_error_stays():
    """The value and the notices of a document that goes wrong are those before the place."""
    parser = PartialJSON()
    with pytest.raises(ValueError, match="character 9"):
        parser.feed('{"a": 1} }')
    assert (parser.value, parser.complete, [done.path for done in parser.completed]) == (
        {"a": 1},
        True,
        [("a",), ()],
    )


def test_a_document_that_stops_is_an_error():
    """`finish` tells a whole document from one that was cut."""
    for text in ("", "[1", '"a', "tr", "1.", '{"a":'):
        parser = PartialJSON()
        parser.feed(text)
        with pytest.raises(ValueError, match=r"character \d"):
            parser.finish()


def test_where_it_is():
    """`path` is the way to what is being written, `text` the string that grows."""
    parser = PartialJSON()
    parser.feed('{"a": [1, {"b": "x')
    assert (parser.path, parser.text) == (("a", 1, "b"), "x")
    parser.feed('"')
    assert (parser.path, parser.text) == (("a", 1), None)


def lines_run(work):
    """How many lines of the parser run: the same on every machine."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename.endswith("partial_json.py") else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("size", [1, 7, 10**9])
@pytest.mark.parametrize("make", ["objects", "string", "numbers", "spaces", "escapes"])
def test_the_work_is_linear_in_the_text(make, size):
    """Twice the document takes twice the lines, fed by one character, by a token's worth, or whole."""

    def document(count):
        rng = random.Random(0)
        return {
            "objects": lambda: json.dumps(
                [{"id": i, "name": f"n{rng.random()}", "tags": ["a", None]} for i in range(count)]
            ),
            "string": lambda: json.dumps("word " * count * 5),
            "numbers": lambda: json.dumps([10**9 + i for i in range(count * 3)]),
            "spaces": lambda: "[" + " \n" * count * 10 + "]",
            "escapes": lambda: json.dumps("\N{GRINNING FACE}\n" * count),
        }[make]()

    def work(text):
        parser = PartialJSON()
        for at in range(0, len(text), size):
            parser.feed(text[at : at + size])
            assert parser.path is not None
        parser.finish()

    once, twice = (lines_run(partial(work, document(count))) for count in (150, 300))
    assert twice < 2.3 * once


def test_a_hundred_thousand_elements():
    """A long list comes whole, a token at a time, with one notice for each element."""
    text = json.dumps(list(range(100_000)))
    parser = PartialJSON()
    seen = 0
    for at in range(0, len(text), 6):
        parser.feed(text[at : at + 6])
        seen += len(parser.completed)
        assert isinstance(parser.value, list) or at == 0
    parser.finish()
    assert (len(parser.value), seen) == (100_000, 100_001)
