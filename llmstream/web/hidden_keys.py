"""Hides keys that clients write where none belongs, in a path or in place of a model's name, from logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from llmstream.web.keys import SHORTEST_KEY

HIDDEN: Final = "[key]"
LONGEST_PATH: Final = 1_000
"""Characters of a path that a log is given: the hashes of its words take time."""
_VENDORS_KEY = re.compile(
    r"\b(sk-|sk_|gsk_|xai-|pplx-|hf_|r8_|ghp_|glpat-|AKIA|AIza|eyJ)(?=[\w.=+~-]*\d)[\w.=+~-]{8,}",
    re.ASCII,
)
"""How the keys of model vendors begin, those of clouds and code hosts, and JSON web tokens."""
_MIXED = re.compile(r"(?=.*\d)(?=.*[A-Za-z]).{16,}", re.DOTALL)
"""Letters and digits, as many as the shortest key that a server takes."""
_WORD = re.compile(rf"[!-~]{{{SHORTEST_KEY},}}")
"""A key is a word of ASCII; one in a text may have something before it and after it."""
_PIECE = re.compile(r"[\w.~-]+|[^\w.~-]", re.ASCII)
_MOST_PIECES: Final = 15
"""Pieces of a word that are tried together: a key in Base64 seldom has more than seven slashes."""


def hide_keys(text: str) -> str:
    """The text without what looks like a vendor's key."""
    return _VENDORS_KEY.sub(HIDDEN, text)


class KeyHider:
    """Hides the keys of vendors in a text, and the words of which `is_key` is true: a server knows its own keys."""

    def __init__(self, is_key: Callable[[str], bool]) -> None:
        self._is_key = is_key

    def __call__(self, text: str) -> str:
        """The text, with `[key]` in place of each."""
        return hide_keys(_WORD.sub(self._hide_in_word, text))

    def _hide_in_word(self, found: re.Match[str]) -> str:
        word = found[0]
        for part in {word, *word.split("/")}:
            if self._is_key(part):
                word = word.replace(part, HIDDEN)
        pieces = _PIECE.findall(word)
        shown: list[str] = []
        while pieces:
            length = self._key_length(pieces)
            shown.append(HIDDEN if length else pieces[0])
            del pieces[: length or 1]
        return "".join(shown)

    def _key_length(self, pieces: list[str]) -> int:
        """How many of the first pieces are a key; 0 where none begins here."""
        for length in range(min(len(pieces), _MOST_PIECES), 0, -1):
            word = "".join(pieces[:length])
            if len(word) >= SHORTEST_KEY and self._is_key(word):
                return length
        return 0


class ShownPath:
    """A path for a log. Where the server has it, ids are shown; elsewhere nothing that may be a key is."""

    def __init__(self, paths: Iterable[str], hide: Callable[[str], str] = hide_keys) -> None:
        from starlette.routing import compile_path  # errors are rendered where it isn't installed

        self._known = [compile_path(path)[0] for path in paths]
        self._hide = hide

    def __call__(self, path: str, given: str = "") -> str:
        """The path, with `[key]` in place of each. `given` is the key that the request came with."""
        path = path[:LONGEST_PATH]
        if len(given) >= SHORTEST_KEY // 2:  # a shorter one may be a word of the path
            path = path.replace(given, HIDDEN)
        if any(pattern.match(path) for pattern in self._known):
            return self._hide(path)
        parts = [HIDDEN if _MIXED.fullmatch(part) else part for part in self._hide(path).split("/")]
        return "/".join(parts)
