"""Names within the package: one word, one idea."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "llmstream"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOUNS = {
    "testing": "where Starlette, Django and NumPy keep what helps tests",
    "framing": "the field's word for cutting bytes into frames",
    "ending": "the end of an answer, as one theme of the faults",
    "content_encoding": "the header's name, RFC 9110",
    "pricing": "the prices of a thing, as a word of trade",
    "reasoning": "what vendors call a model's thoughts",
    "fitting": "the fitting of a history to its target, as a tailor has one",
    "structured": "short for structured output, the vendors' word",
}
"""Module names that look like participles and are nouns, each with a reason."""
PARTICIPLES = {
    "begun",
    "given",
    "held",
    "kept",
    "known",
    "made",
    "raised",
    "shown",
    "told",
    "withheld",
}


def is_participle(module: str) -> bool:
    """By its last word, since the words before it only describe it: `rewritten_message` is a message."""
    last = module.rpartition("_")[2]
    return last in PARTICIPLES or re.fullmatch(r"\w{2,}(ing|ed)", last) is not None


def test_no_class_name_stands_twice():
    """A class's name, with or without an underscore, means one thing in the whole package."""
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert len(places) > 300  # the package was read
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


def test_modules_are_nouns():
    """No module is named by a participle or a gerund, and no exception is listed in vain."""
    names = {path.stem if path.stem != "__init__" else path.parent.name for path in MODULES}
    assert {name for name in names if is_participle(name)} == NOUNS.keys()


def test_a_module_says_first_what_it_is_and_not_what_it_answers():
    """The first line of a module's docstring names the thing: it is no question or clause that begins with "what"."""
    clauses = {"Does", "How", "What", "When", "Where", "Which", "Who", "Whoever", "Why"}
    for path in MODULES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, f"{path} has no docstring"
        assert text.split()[0] not in clauses, f"{path}: {text.splitlines()[0]}"
