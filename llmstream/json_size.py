"""The size of JSON before it is parsed: a parser can't be interrupted, and some texts take it seconds."""

from __future__ import annotations

from typing import Final

MOST_VALUES: Final = 100_000
"""Values in a text of JSON that is parsed at once. They take about 20 ms; 8 MB of `[]` would take a second."""
_MARKS: Final = ",:[{"
"""Each value but the outermost comes behind one of these."""


def has_more_values(text: str, most: int) -> bool:
    """Whether JSON has more values than this. It takes time in proportion to the text, however it is made.

    Names of members count as well. Of what is no JSON, what stands before the mistake is counted.
    """
    if len(text) <= most or _marks(text) <= most:
        return False
    bare = text.replace("\\\\", "").replace('\\"', "")
    has_more_strings = bare.count('"') > 2 * most + 2
    return has_more_strings or _marks("".join(bare.split('"')[::2])) > most


def _marks(text: str) -> int:
    return sum(map(text.count, _MARKS))
