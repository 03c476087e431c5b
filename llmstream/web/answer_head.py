"""The answer's head: the options that were not handed on, and the provider's rate limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from llmstream.events.types import Start

WARNINGS = "x-llmstream-warnings"
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_LONGEST = 200
_MOST = 3500
"""Characters of one warning, and of all: clients and proxies bound the size of a head."""


class AnswerHead:
    """`warnings` are the server's own; the provider's rate limits go back if their names begin with `rate_limits`."""

    def __init__(self, warnings: Iterable[str] = (), rate_limits: str | None = None) -> None:
        self._warnings, self._prefix = tuple(warnings), rate_limits

    def of_start(self, start: Start) -> dict[str, str]:
        """The headers of an answer that has begun."""
        return self._headers(start.warnings, start.rate_limits)

    def of_failure(self, rate_limits: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request that failed before its answer."""
        return self._headers((), rate_limits)

    def _headers(self, warnings: Iterable[str], rate_limits: Mapping[str, str]) -> dict[str, str]:
        headers = {}
        told = dict.fromkeys((*self._warnings, *warnings))
        if told:
            headers[WARNINGS] = _one_line(told)
        if self._prefix is not None:
            prefix = self._prefix
            headers |= {
                name: value for name, value in rate_limits.items() if name.startswith(prefix)
            }
        return headers


def _one_line(warnings: Iterable[str]) -> str:
    """The warnings, parted by " | ". What a client wrote stands in them, so nothing but ASCII goes out."""
    told = " | ".join(_UNPRINTABLE.sub("?", warning)[:_LONGEST] for warning in warnings)
    return told if len(told) <= _MOST else f"{told[:_MOST]} ..."
