"""guard: look at text before it leaves; replace some, or stop there."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import TypeAlias

from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.any_event import AnyEvent
from llmstream.events.flow import Flow, Upstream
from llmstream.events.types import TEXTS, StreamEvent
from llmstream.streams.rewrite import TextRewriter, rewrite
from llmstream.streams.transformer import Halt

_STOPPED = ErrorInfo("content_filter", "the guard stopped the answer", code="guard")
Edit: TypeAlias = tuple[int, int, str | None]
"""From where to where, and what to put there; None stops the stream before it."""
Check: TypeAlias = Callable[[str], Iterable[Edit]]


def guard(
    events: AsyncIterable[StreamEvent], check: Check, *, hold: int, keep_message: bool = True
) -> Flow[AnyEvent]:
    r"""Let `check` see all text that a person could read, with the last `hold` characters always held back.

    `check(text)` gives the edits to make: `(start, end, replacement)`, or `(start, end, None)` to stop there. A
    redactor: `lambda text: [(*m.span(), "[key]") for m in re.finditer(r"sk-\w{8,48}", text)]`, with `hold=64`. What
    fits into `hold` is found however it was cut, and once; give a pattern's repetitions a limit, or the longest match
    may be taken for a shorter one. `text` starts with up to `hold` characters already emitted, for context, so that
    `\b` is right.

    A stop ends the stream with ERROR (kind "content_filter", code "guard"; the partial is what had left), its source
    closed before that. The answer, reasoning and refusals are checked, each run of text on its own: other pieces (tool
    calls, sources) pass unchecked and end a run. Changed reasoning loses its signature. The rest is as in `transform`.
    Raises ValueError for a negative `hold`; an edit outside the text is one, too, and reaches the consumer.
    """
    require(hold >= 0, f"hold must be 0 or more characters, not {hold}")
    return rewrite(
        Upstream(events),
        TextRewriter(lambda: _Window(check, hold), TEXTS, keep_message=keep_message),
    )


class _Window:
    """A Transformer that holds text back, so that the check finds what came in several pieces."""

    def __init__(self, check: Check, hold: int) -> None:
        self._check = check
        self._hold = hold
        self._text = ""
        self._begin = 0  # where the text held back begins; before it stands what has left

    def feed(self, text: str) -> str:
        self._text += text
        return self._release(len(self._text) - self._hold)

    def finish(self) -> str:
        return self._release(len(self._text) + 1)  # beyond the end, where an edit may still insert

    def _release(self, until: int) -> str:
        """Release the text up to there, and every edit that begins before, to its end."""
        if until <= self._begin:
            return ""
        out: list[str] = []
        made: list[tuple[int, int]] = []
        at = self._begin
        for start, end, replacement in self._edits():
            if start >= until:
                break
            made.append((start, end))
            if start < at and end <= at:
                continue  # it was made before
            out.append(self._text[at:start])
            if replacement is None:
                raise Halt("".join(out), _STOPPED)
            out.append(replacement)
            at = end
        out.append(self._text[at:until])
        self._forget(max(at, until), made)
        return "".join(out)

    def _edits(self) -> list[Edit]:
        """The check's edits, in order: a check with several patterns returns the matches of each."""
        edits = sorted(self._check(self._text), key=_place)
        for start, end, _ in edits:
            if not 0 <= start <= end <= len(self._text):
                size = len(self._text)
                raise ValueError(
                    f"the check gave an edit from {start} to {end}, of {size} characters"
                )
        return edits

    def _forget(self, begin: int, made: list[tuple[int, int]]) -> None:
        """Keep the text held back from `begin` on, and up to `hold` characters before it."""
        first = max(0, begin - self._hold)
        # Half of an edit would look like another match to the next search.
        halved = [start for start, end in made if start < first < end]
        first = min(halved, default=first)
        self._text = self._text[first:]
        self._begin = begin - first


def _place(edit: Edit) -> tuple[int, int]:
    return edit[:2]
