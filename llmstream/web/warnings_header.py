"""The header that names what of a request was not handed on to the provider."""

from __future__ import annotations

import re
from collections.abc import Iterable

WARNINGS = "x-llmstream-warnings"
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_LONGEST = 200
_MOST = 3500
"""Characters of one warning, and of all: clients and proxies bound the size of a head."""


def warnings_header(warnings: Iterable[str]) -> bytes:
    """The warnings as one line, parted by " | ". What a client wrote stands in them, so nothing but ASCII goes out."""
    lines = [_UNPRINTABLE.sub("?", warning)[:_LONGEST] for warning in warnings]
    told = " | ".join(lines)
    return (told if len(told) <= _MOST else f"{told[:_MOST]} ...").encode()
