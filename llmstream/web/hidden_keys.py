"""Hides keys that clients write where none belongs, in a path or in place of a model's name, from logs."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[key]"
_VENDORS_KEY = re.compile(
    r"\b(sk-|sk_|gsk_|xai-|pplx-|hf_|r8_|ghp_|glpat-|AKIA|AIza|eyJ)(?=[\w.=+~-]*\d)[\w.=+~-]{8,}",
    re.ASCII,
)
"""How the keys of model vendors begin, those of clouds and code hosts, and JSON web tokens."""
_MIXED = re.compile(r"(?=.*\d)(?=.*[A-Za-z]).{16,}", re.DOTALL)
"""Letters and digits, as many as the shortest key that a server takes."""


def hide_keys(text: str) -> str:
    """The text without what looks like a vendor's key."""
    return _VENDORS_KEY.sub(HIDDEN, text)


class ShownPath:
    """A path for a log. Where the server has it, ids are shown; elsewhere nothing that may be a key is."""

    def __init__(self, paths: Iterable[str]) -> None:
        from starlette.routing import compile_path  # errors are rendered where it isn't installed

        self._known = [compile_path(path)[0] for path in paths]

    def __call__(self, path: str) -> str:
        """The path, with `[key]` in place of each."""
        if any(pattern.match(path) for pattern in self._known):
            return hide_keys(path)
        parts = [HIDDEN if _MIXED.fullmatch(part) else part for part in path.split("/")]
        return hide_keys("/".join(parts))
