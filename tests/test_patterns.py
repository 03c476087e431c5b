"""Our own patterns meet texts of models, hosts and users: none takes time that grows faster than the text."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from itertools import product

import pytest

import llmstream
from llmstream.wire import error_kinds

SIZE = 5_000
"""Characters. A quadratic pattern takes seconds for each text of this size, a linear one a millisecond."""
UNITS = [
    *' \t-|`#*=:.[{(<"\\\n\r0a',
    "1,",
    "[1,",
    "- ",
    "| - ",
    "a/",
    "1s ",
    "<a",
    "```\n",
    "max of ",
    "exceed",
]
UNITS += [
    "stream ",
    "retry in 1s ",
    "invalid ",
    "unsupported value x ",
    "security token ",
    "last message ",
    "max_tokens ",
    "prompt token count of 1 ",
    "input length ",
    "insufficient account ",
    "account ",
    "ratelimit",
]
AROUND = [
    ("", ""),
    ("", " !"),
    ("--- ", "x"),
    ("[1", "x"),
    ("stream", "x"),
    ("exceed ", "x"),
    ("```", "x"),
]
MATCHED = (
    "llmstream.cli.",
    "media._MEDIA_TYPE",
    "chunked_reader._HEADER",
    "request._NO_REASONING",
    "registry.",
)
"""Where they are held against the beginning of a line or name alone."""


def patterns():
    """Those of all modules, by name."""
    found = {}
    for module in pkgutil.walk_packages(llmstream.__path__, "llmstream."):
        if not module.name.endswith("__main__"):
            collect(found, module.name, vars(importlib.import_module(module.name)))
    return found | words()


def words():
    """Those of the table of errors, which are compiled when they are needed."""
    rows = (*error_kinds.CODE_WORDS, *error_kinds.WORDS, *error_kinds.MONEY)
    texts = {text for row in rows for text in (row.pattern, row.unless) if text}
    return {f"error_kinds: {text}": re.compile(text, re.I) for text in texts}


def collect(found, name, value, depth=0):
    """Also from tables of them."""
    if isinstance(value, re.Pattern):
        if value not in found.values():
            found[name] = value
    elif depth < 4 and isinstance(value, dict):
        for key, inner in [*value.items()]:
            collect(found, f"{name}.{key}", inner, depth + 1)
    elif depth < 4 and isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            collect(found, f"{name}.{index}", inner, depth + 1)


def try_all():
    """Each against each text; says which before it tries it."""
    for name, pattern in patterns().items():
        look = pattern.match if any(part in name for part in MATCHED) else pattern.search
        for unit, (before, after) in product(UNITS, AROUND):
            text = before + unit * (SIZE // len(unit)) + after
            print(name, repr(before), repr(unit), repr(after), flush=True)
            look(text.encode() if isinstance(pattern.pattern, bytes) else text)
    print("done")


@pytest.mark.slow
def test_no_pattern_of_ours_backtracks_over_a_long_text():
    """The rule of a table did over a line of spaces. In a process of its own: `re` can't be interrupted."""
    try:
        done = subprocess.run(
            [sys.executable, __file__], capture_output=True, text=True, timeout=110, check=True
        )
        told = done.stdout
    except subprocess.TimeoutExpired as hung:
        told = (hung.stdout or b"").decode()
    assert told.splitlines()[-1] == "done"
    assert told.count("\n") > 40 * len(UNITS) * len(AROUND), "the patterns were found"


if __name__ == "__main__":
    try_all()
