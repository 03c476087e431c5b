"""JSON within an answer's prose: models put it in a code fence, and words around it, though asked not to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_START = re.compile(r"^[ \t]*([{\[])", re.MULTILINE)
_FENCED = re.compile(r"```\w*[ \t]*\n(.*?)```", re.DOTALL)
_MOST = 5  # places that are tried: prose has braces too


def json_texts(text: str) -> Iterator[str]:
    """The texts that may be meant, best first: what is valid JSON, and at last the answer itself."""
    candidates = [text.strip(), *(match[1].strip() for match in _FENCED.finditer(text))]
    for candidate in candidates[: _MOST + 1]:
        if _is_json(candidate):
            yield candidate
    starts = [match.start(1) for match in _START.finditer(text)][:_MOST]
    if (brace := text.find("{")) >= 0:
        starts.append(brace)
    decoder = json.JSONDecoder()
    for start in starts:
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield text[start:end]
    yield text[starts[0] :].strip() if starts else text.strip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class Preamble:
    """Drops what stands before the JSON, as it comes: it begins where a line begins with a brace or a bracket."""

    def __init__(self) -> None:
        self._blank = True  # nothing but blanks since the line began
        self.over = False
        """The JSON has begun."""

    def feed(self, text: str) -> str:
        """The part of `text` that belongs to the JSON."""
        if self.over:
            return text
        first, *lines = text.split("\n")
        at = 0
        for index, line in enumerate((first, *lines)):
            self._blank = self._blank or index > 0
            inner = line.lstrip(" \t\r")
            if self._blank and inner[:1] in ("{", "["):
                self.over = True
                return text[at + len(line) - len(inner) :]
            self._blank = self._blank and not inner
            at += len(line) + 1
        return ""
