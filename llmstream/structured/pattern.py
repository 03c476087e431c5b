"""A schema's `pattern`, matched in time that is linear in the text.

Python's `re` backtracks: an innocent pattern and 60 kB of text can take a minute, in which nothing else runs. So the
engine is that of pydantic, Rust's `regex` (https://docs.rs/regex/latest/regex/#syntax). It has no look-around and no
backreferences, and large counts make it slow as well: the time grows with the pattern's states times the text.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from llmstream.checks import require
from llmstream.log import get_logger

logger = get_logger("llmstream.tools")

MAX_STATES = 10_000
"""Places of a pattern that is checked, each count written out: `a{1,50}` has 50."""
_COUNT = re.compile(r"\{\s*+([0-9]*+)\s*+(?:,\s*+([0-9]*+)\s*+)?\}")
_CLASS = r"\[\^?\]?(?:\\.|[^\]\\])*+(?:\]|\Z)"
_TOKENS = re.compile(rf"{_COUNT.pattern}|{_CLASS}|\\.|.", re.S)
_SPACED = re.compile(r"\(\?[a-zA-Z-]*x")
"""A flag that JSON Schema doesn't have, under which spaces may stand before a count."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_validator", "states")

    def __init__(self, source: str) -> None:
        """Raises ValueError for a pattern that can't be checked, with the reason."""
        require(not _SPACED.search(source), "the flag x isn't supported")
        self.states = _count_states(source) if len(source) <= MAX_STATES else MAX_STATES + 1
        """What one byte of text may cost at worst."""
        require(self.states <= MAX_STATES, f"it has more than {MAX_STATES} states")
        schema = core_schema.str_schema(pattern=source, regex_engine="rust-regex")
        try:
            self._validator = SchemaValidator(schema)
        except SchemaError as error:
            raise ValueError(_reason(error)) from None

    def occurs(self, text: bytes) -> bool:
        """Whether the pattern matches anywhere in `text`, which is UTF-8."""
        return self._validator.isinstance_python(text)


@lru_cache(maxsize=128)
def compile_pattern(source: str) -> Pattern | None:
    """The pattern, or None, with a line in the log, where it can't be checked."""
    try:
        return Pattern(source)
    except ValueError as error:
        logger.warning("the pattern %s of a JSON schema is not checked: %s", source[:100], error)
        return None


def _count_states(source: str) -> int:
    """At most how many states the pattern has, roughly: one for each character, times the counts around it."""
    totals = [0]
    last = 0  # what a count that follows would repeat
    for token in _TOKENS.finditer(source):
        text = token[0]
        count = _COUNT.fullmatch(text)
        if count is not None:
            # Longer numbers are an error to the engine.
            copies = max(1, int((count[2] or count[1])[:9] or 1))
            totals[-1] += last * (copies - 1)
            last *= copies
        elif text == "(":
            totals.append(0)
        elif text == ")" and len(totals) > 1:
            last = totals.pop() + 1
            totals[-1] += last
        elif text not in ("*", "+", "?"):
            last = 1
            totals[-1] += 1
    return sum(totals)


def _reason(error: SchemaError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    found = next((line for line in lines if line.startswith("error: ")), lines[-1])
    return found.removeprefix("error: ").removeprefix("SchemaError: ")
