"""What a model's text is held against may be anybody's schema: no pair of them keeps the program from its work."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstream import tools
from llmstream.structured.answer_type import AnswerType, MismatchError
from llmstream.structured.json_schema_check import MAX_STEPS, _Check, check
from llmstream.structured.pattern import MAX_STATES, _count_states, compile_pattern
from llmstream.structured.schema import NotStrictError, is_recursive, strict_schema
from llmstream.tools.function import ArgumentsError

TREE = {
    "$defs": {
        "tree": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"left": {"$ref": "#/$defs/tree"}, "op": {"const": "+"}},
                },
                {
                    "type": "object",
                    "properties": {"left": {"$ref": "#/$defs/tree"}, "op": {"const": "*"}},
                },
                {"type": "number"},
            ]
        }
    },
    "$ref": "#/$defs/tree",
}
BOTH = {
    "$defs": {"list": {"allOf": [{"type": "array", "items": {"$ref": "#/$defs/list"}}] * 2}},
    "$ref": "#/$defs/list",
}
ONE = {**TREE, "$defs": {"tree": {"oneOf": TREE["$defs"]["tree"]["anyOf"]}}}
UNIQUE = {
    "$defs": {"list": {"uniqueItems": True, "items": {"$ref": "#/$defs/list"}}},
    "$ref": "#/$defs/list",
}


def tree(depth, leaf):
    """A tree whose levels all fit the second choice alone."""
    value = leaf
    for _ in range(depth):
        value = {"left": value, "op": "*"}
    return value


def nested(depth, inner):
    """Lists in lists."""
    value = inner
    for _ in range(depth):
        value = [value]
    return value


def chain(length, **siblings):
    """Definitions that each name the next one twice."""
    steps = {
        f"d{i}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{i + 1}", **siblings} for name in "ab"},
        }
        for i in range(length)
    }
    return {"$defs": {**steps, f"d{length}": {"type": "string"}}, "$ref": "#/$defs/d0"}


FITS, BROKEN, TOO_MUCH = "fits", "is broken", "is too much"

HOSTILE = {
    "nested repetition": ("a" * 60_000 + "!", {"pattern": r"^(\w+\s?)*$"}, BROKEN),
    "alternatives that overlap": ("a" * 60_000 + "!", {"pattern": r"^(a|aa)+$"}, BROKEN),
    "two repetitions": ("x" * 60_000, {"pattern": r"x*x*x*x*y"}, BROKEN),
    "an address": (
        "a@" * 30_000,
        {"pattern": r"^([a-z0-9_.-]+)+@([a-z0-9.-]+)+\.[a-z]{2,}$"},
        BROKEN,
    ),
    "large counts": ("a" * 60_000, {"pattern": "(?:a{0,1000}){0,9}b"}, TOO_MUCH),
    "larger counts": ("a" * 60_000, {"pattern": "(?:a{0,1000}){0,40}b"}, FITS),  # not checked
    "counts with spaces": ("a" * 60_000, {"pattern": "(?:a{ 0 , 1000 }){0,40}b"}, FITS),
    "counts behind a flag": ("a" * 60_000, {"pattern": "(?x)(?:a {0,1000}) {0,40}b"}, FITS),
    "look-ahead": ("a" * 60_000, {"pattern": "(?=(a+)+$)(a+)+!"}, FITS),
    "a back reference": ("a" * 60_000, {"pattern": r"(a+)+\1b"}, FITS),
    "brackets without end": ("a", {"pattern": "[" * 500_000}, FITS),
    "many texts": (["a" * 100] * 5_000, {"items": {"pattern": "(?:a{0,1000}){0,9}b"}}, TOO_MUCH),
    "many names": (
        {f"{i:0100}": 1 for i in range(5_000)},
        {"patternProperties": {"(?:0{0,1000}){0,9}b": False}},
        TOO_MUCH,
    ),
    "anyOf, fits": (tree(100, 1), TREE, FITS),
    "anyOf, fits not": (tree(100, "x"), TREE, BROKEN),
    "oneOf, fits": (tree(100, 1), ONE, FITS),
    "allOf, fits": (nested(100, []), BOTH, FITS),
    "allOf, fits not": (nested(100, [1]), BOTH, BROKEN),
    "many choices": ([1] * 1_000, {"items": {"anyOf": [{"type": "string"}] * 10_000}}, TOO_MUCH),
    "a large enum": (
        [f"x{i}" for i in range(10_000)],
        {"items": {"enum": [f"y{i}" for i in range(100_000)]}},
        TOO_MUCH,
    ),
    "an enum of numbers": (
        list(range(10_000)),
        {"items": {"enum": [*range(10**6, 10**6 + 10**5)]}},
        TOO_MUCH,
    ),
    "numbers of one hash": ([i * (2**61 - 1) for i in range(60_000)], {"uniqueItems": True}, FITS),
    "lists in unique lists": (nested(100, [*range(50_000)]), UNIQUE, TOO_MUCH),
    "a long text in unique lists": (nested(150, ["x" * 1_000_000, 1]), UNIQUE, TOO_MUCH),
    "many required": (
        [{}] * 50_000,
        {"items": {"required": [f"x{i}" for i in range(100_000)]}},
        BROKEN,
    ),
    "many keywords": (
        [1] * 100_000,
        {
            "$defs": {"a": {f"x{i}": i for i in range(100_000)}},
            "items": {"$ref": "#/$defs/a", "title": ""},
        },
        TOO_MUCH,
    ),
    "many patterns in turn": (
        ["a"] * 100,
        {"items": {"allOf": [{"pattern": f"^a|b{i}"} for i in range(200)]}},
        FITS,
    ),
    "many factors": ([1e300] * 100_000, {"items": {"multipleOf": 1e-300}}, TOO_MUCH),
    "a huge multiple": (10**4_299, {"multipleOf": 0.1}, FITS),
    "a tiny factor": (1e308, {"multipleOf": 5e-324}, FITS),
}

DEAR = {
    "patterns that are all new": (
        ["a"],
        {"items": {"allOf": [{"pattern": rf"(?i)\w{{80}}|a{i}*"} for i in range(200)]}},
        TOO_MUCH,
    ),
    "an enum of lists": (
        [[1] * 700 + [each % 140] for each in range(1_400)],
        {"items": {"enum": [[1] * 700 + [each] for each in range(139, -1, -1)]}},
        TOO_MUCH,
    ),
    "a choice of nested lists": (
        [[[1] * 700 + [each % 140]] for each in range(1_400)],
        {"items": {"anyOf": [{"const": [[1] * 700 + [each]]} for each in range(139, -1, -1)]}},
        TOO_MUCH,
    ),
}
"""More of them, each of which uses up the whole budget."""
ALL = {"core": HOSTILE, "dear": DEAR}


def outcome(value, schema):
    """What becomes of a model's answer."""
    rest = {name: part for name, part in schema.items() if name != "$defs"}
    target = AnswerType({"allOf": [rest], "$defs": schema.get("$defs", {})})
    try:
        target.parse(json.dumps({"value": value}))
    except MismatchError as error:
        return TOO_MUCH if "to be checked" in str(error) else BROKEN
    return FITS


@pytest.mark.parametrize("which", ["core", pytest.param("dear", marks=pytest.mark.slow)])
def test_no_schema_freezes_the_program(which):
    """Each pair took minutes or for ever; in a process of its own, for an engine that hangs can't be interrupted."""
    done = subprocess.run(
        [sys.executable, __file__, which],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert json.loads(done.stdout) == {
        name: expected for name, (_, _, expected) in ALL[which].items()
    }


@pytest.mark.parametrize(("schema", "value"), [(TREE, 1), (TREE, "x"), (BOTH, []), (ONE, "x")])
def test_a_recursive_schema_takes_steps_by_the_level(schema, value):
    """Twice the levels, twice the steps: not twice the steps for each level."""

    def steps(depth):
        checking = _Check(schema)
        list(
            checking.problems(
                nested(depth, value) if schema is BOTH else tree(depth, value), schema, ()
            )
        )
        return MAX_STEPS - checking._left

    assert steps(40) < 2.2 * steps(20)


def test_the_first_choice_that_fits_is_the_last_that_is_looked_at():
    """The others cost nothing; `oneOf` stops at the second."""
    for name, looked_at in (("anyOf", 2), ("oneOf", 3)):
        checking = _Check({})
        list(checking.problems(1, {name: [{"type": "integer"}] * 1_000}, ()))
        assert MAX_STEPS - checking._left == looked_at


def test_ordinary_answers_are_within_the_budget():
    """More than a model writes in one answer."""
    row = {"id": 1, "name": "Ada Lovelace", "born": "1815-12-10", "died": None, "tags": ["maths"]}
    properties = {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "maxLength": 80},
        "born": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "died": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"enum": ["maths", "poetry"]}, "uniqueItems": True},
    }
    table = {
        "type": "array",
        "items": {"type": "object", "properties": properties, "additionalProperties": False},
    }
    assert check([row] * 1, table) == []
    assert check([dict(row) for _ in range(8_000)], table) == []
    assert check([*range(150_000)], {"items": {"type": "integer"}}) == []
    assert check("word " * 50_000, {"pattern": r"^(\w+\s?)*$"}) == []


def test_the_model_is_told_that_it_asks_too_much():
    """So that it may send less; nothing else comes of it."""
    told = tools.tool(
        lambda text: text,
        name="say",
        parameters={"properties": {"text": {"pattern": "(a{0,900}){0,9}b"}}},
    )
    assert told.parse('{"text": "aab"}') == {"text": "aab"}
    with pytest.raises(ArgumentsError, match="too large or too complex to be checked"):
        told.parse(json.dumps({"text": "a" * 60_000}))
    with pytest.raises(ArgumentsError, match="not JSON"):
        told.parse('{"text": %s}' % ("1" * 1_000_000))


@pytest.mark.parametrize(
    ("value", "schema", "problem"),
    [
        ("xab", {"pattern": "a"}, None),  # anywhere
        ("ab\n", {"pattern": "b$"}, "breaks pattern"),  # as ECMA-262 has it, not Python
        ("a/b-c", {"pattern": r"^a\/b\-\w$"}, None),
        ("\ud83d!", {"pattern": "!$"}, None),  # half a character
        ("q", {"pattern": "(?=q)x"}, None),
        (0.3, {"multipleOf": 0.1}, None),
        (0.35, {"multipleOf": 0.1}, "breaks multipleOf"),
        (10**400, {"multipleOf": 7}, "breaks multipleOf"),
        (float("nan"), {"multipleOf": 0.1}, None),
        (1, {"multipleOf": 0}, None),
        ([1, 1.0], {"uniqueItems": True}, "breaks uniqueItems"),
        ([1, True, "1", [1], {"1": 1}], {"uniqueItems": True}, None),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], {"uniqueItems": True}, "breaks uniqueItems"),
        ({"x-a": "b"}, {"patternProperties": {"^x-": {"type": "integer"}}}, "x-a: must be integer"),
        (
            {"x-a": 1},
            {"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
            None,
        ),
        (
            {"y": 1},
            {"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
            "y: is not allowed",
        ),
        ({"y": 1}, {"patternProperties": {"(?=x)": False}, "additionalProperties": False}, None),
        (
            {"a": 1},
            {"properties": {"a": True}, "patternProperties": {"a": {"type": "null"}}},
            "a: must be null",
        ),
        ([1, [2.0]], {"const": [1, [2]]}, None),
        ([1, True], {"const": [1, 1]}, "must be [1, 1]"),
        ({"a": 1, "b": {}}, {"enum": [1, {"b": {}, "a": 1}]}, None),
        (True, {"enum": [1]}, "must be one of"),
        ("b", {"enum": ("a", "b")}, None),
        (7, {"enum": [*range(100, 100_000)]}, "101, 102"),
    ],
)
def test_keywords_mean_what_json_schema_says(value, schema, problem):
    """A pattern that can't be checked limits nothing, and nothing is additional for sure beside one."""
    problems = check(value, schema)
    assert (problem is None) == (not problems)
    if problem is not None:
        text = str(MismatchError(problems))
        assert problem in text
        assert len(text) < 1_000  # however long the enum is


@pytest.mark.parametrize(
    "keyword",
    [
        "type",
        "enum",
        "required",
        "anyOf",
        "oneOf",
        "allOf",
        "items",
        "prefixItems",
        "pattern",
        "patternProperties",
        "uniqueItems",
        "minLength",
        "multipleOf",
    ],
)
@given(
    limit=st.sampled_from([None, 5, True, "x", {}, {"a": 1}, [], [5, None, {}], [[1]]]),
    value=st.sampled_from([1, "x", [1], {"a": 1}, None]),
)
def test_a_keyword_without_sense_raises_nothing(keyword, limit, value):
    """It came from a stranger's server; the model's answer isn't to blame."""
    check(value, {keyword: limit})


def test_a_schema_that_leads_to_itself_is_refused():
    """When the tool or the target is made, and so is a reference that is no text."""
    with pytest.raises(TypeError, match=r"\$ref 5 names nothing"):
        tools.tool(lambda: "", name="odd", parameters={"$ref": 5})
    with pytest.raises(TypeError, match="nested too deeply"):
        AnswerType({"anyOf": [{"$ref": "#"}]})


def test_the_log_names_a_pattern_that_is_not_checked(caplog):
    """Once, when the tool is made; in one line, whatever the pattern holds."""
    parameters = {"properties": {"pattern": {"type": "string", "pattern": "(?!once)\n\x1b[31m"}}}
    compile_pattern.cache_clear()
    with caplog.at_level(logging.WARNING, "llmstream"):
        made = tools.tool(lambda pattern: pattern, name="find", parameters=parameters)
        made.parse('{"pattern": "x"}')
        AnswerType(parameters).parse('{"pattern": "x"}')
    (record,) = caplog.records
    assert record.getMessage().startswith(
        r"the pattern (?!once)\n\x1b[31m of a JSON schema is not checked: look-around"
    )


@pytest.mark.parametrize(
    ("source", "states"),
    [
        ("abc", 3),
        ("a{5}", 5),
        ("a{2,7}", 7),
        ("a{ 2 , 7 }", 7),
        ("(ab{3}){4}", 20),
        (r"\{5}", 3),
        ("[a{9}]{2}", 2),
        ("a{5,}*", 5),
    ],
)
def test_counts_multiply_the_states(source, states):
    """They are what makes an engine without backtracking slow."""
    assert _count_states(source) == states
    assert compile_pattern(source) is not None
    assert compile_pattern(f"(?:{source}){{{MAX_STATES}}}") is None


def test_a_strict_form_does_not_double_with_each_level():
    """References with something beside them are copied."""
    assert strict_schema(chain(8, description="x"))["type"] == "object"
    with pytest.raises(NotStrictError, match="more than"):
        strict_schema(chain(60, description="x"))
    assert strict_schema(chain(60))["type"] == "object"
    assert not is_recursive(chain(20_000))
    assert is_recursive({"$defs": {**chain(2_000)["$defs"], "d2000": {"$ref": "#/$defs/d1000"}}})
    deep = {"type": "object", "properties": {}}
    for _ in range(900):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(NotStrictError, match="too deeply"):
        strict_schema(deep)


if __name__ == "__main__":
    logging.disable()
    print(
        json.dumps(
            {name: outcome(value, schema) for name, (value, schema, _) in ALL[sys.argv[1]].items()}
        )
    )
