"""One answer on the terminal: plain text on stdout, everything else on stderr.

`Show` is the one interface; `MarkdownShow` (rich) and `JsonShow` (scripts) are its other forms. Feed it the events of
one call, `tick` it about ten times a second, and `end` it however the call ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TextIO

from llmstream.cli.screen import DIM, RED, Harmless, Region, can_draw, is_terminal, one_line, styled
from llmstream.events.transcript import Gathered
from llmstream.events.types import EventType, Retry, Start, StreamEvent
from llmstream.messages import File, Source, ToolCall, ToolResult

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REASONS = {
    "rate_limit": "rate limited",
    "server": "the server failed",
    "connection": "no connection",
    "timeout": "no answer in time",
    "truncated": "the answer was cut off",
    "protocol": "the answer was garbled",
    "wrong_body": "something else answered",
    "refusal": "the model refused to answer",
    "content_filter": "a filter stopped the answer",
}


class Show:
    """Text as it comes; notices, a spinner and the reasoning beside it."""

    def __init__(
        self, out: TextIO, err: TextIO, *, reasoning: bool = False, seen: set[str] | None = None
    ) -> None:
        self.out, self.err = out, err
        self._reasoning = reasoning
        self._seen = set() if seen is None else seen
        """Warnings that were shown before: a chat says each once."""
        self._harmless: Harmless | None = Harmless() if is_terminal(out) else None
        self._same_screen = is_terminal(out) and is_terminal(err)
        self._spinner = Spinner(Region(err)) if can_draw(err) else _NoSpinner()
        self._sources: Gathered[Source] = Gathered()
        self._out_open = self._err_open = False
        """Whether the last row has no line end yet."""

    # --- events --------------------------------------------------------------------------------------------

    def event(self, event: StreamEvent) -> None:
        """Show one event. What ended the answer is the caller's to say."""
        show = self._SHOWN.get(event.type)
        if event.text:
            self.text(event.text)
        elif show is not None:
            show(self, event)
        self._sources.add(event)

    def wait(self, label: str, seconds: float | None = None) -> None:
        """Spin until something comes; with `seconds`, count down. After text was shown there is nothing to spin for."""
        if not self._out_open:
            self._spinner.start(label, seconds)

    def tick(self) -> None:
        """Move what moves by itself."""
        self._spinner.draw()

    def pause(self) -> None:
        """Leave the terminal to others for a while; the next tick draws again."""
        self._spinner.hide()

    def text(self, text: str) -> None:
        """A piece of the answer."""
        self._quiet(self.out)
        shown = text if self._harmless is None else self._harmless.feed(text)
        self._out_open = _is_open(shown, self._out_open)
        self.out.write(shown)
        self.out.flush()

    def think(self, text: str) -> None:
        """A piece of the reasoning."""
        if not self._reasoning:
            self.wait("reasoning")
            return
        self._quiet(self.err)
        shown = Harmless().feed(text)
        self._err_open = _is_open(shown, self._err_open)
        self.err.write(styled(shown, DIM, self.err))
        self.err.flush()

    def retry(self, retry: Retry) -> None:
        """Another attempt: why, when, and what becomes of the text so far."""
        # Nothing else is tried again at the one that refused the request.
        if retry.kind == "invalid_request" and not retry.fallback:
            self.note("asking again without what the server refuses")
            self.wait("waiting")
            return
        why = _REASONS.get(retry.kind, retry.kind.replace("_", " "))
        when = f"retrying {_when(retry.delay)} (attempt {retry.attempt} of {retry.max_attempts})"
        if retry.fallback:
            when = f"asking {retry.provider}:{retry.model}"
        self.note(f"{why}, {when}")
        if retry.discard:
            self.note("the answer starts again:")
        self.wait(why if retry.fallback else f"{why}, retrying", retry.delay)

    def warn(self, text: str) -> None:
        """A warning, once."""
        if text not in self._seen:
            self._seen.add(text)
            self.note(text)

    def note(self, text: str, style: str = DIM) -> None:
        """One line beside the answer."""
        self._quiet(None)
        self.err.write(styled(one_line(text), style, self.err) + "\n")
        self.err.flush()

    def fail(self, text: str) -> None:
        """Report a failure."""
        self.note(text, RED)

    def end(self) -> None:
        """The answer is over: leave the terminal as it was, on a new line, and list the sources."""
        self._quiet(None)
        if self._out_open:  # in a pipe: a last line ends like any other
            self.out.write("\n")
            self._out_open = False
        self.out.flush()
        places = dict.fromkeys(
            (source.url or "", source.title or "") for source in self._sources.items
        )
        for number, (url, title) in enumerate(places, 1):
            self.note(f"[{number}] {title} {url}")
        self._sources = Gathered()

    # --- inside --------------------------------------------------------------------------------------------

    def _quiet(self, stream: TextIO | None) -> None:
        """Stop the spinner, and end the other stream's row where both are seen together. None: both streams' rows."""
        self._spinner.stop()
        is_other = stream is None or (self._same_screen and stream is not self.err)
        if self._err_open and is_other:
            self.err.write("\n\n" if stream is self.out else "\n")
            self._err_open = False
        if self._out_open and self._same_screen and stream is not self.out:
            self.out.write("\n")
            self.out.flush()
            self._out_open = False

    def _start(self, start: Start | None) -> None:
        for warning in start.warnings if start is not None else ():
            self.warn(warning)

    def _status(self, event: StreamEvent) -> None:
        if event.status is not None and event.status.message and not event.is_internal:
            self.wait(one_line(event.status.message))

    def _call(self, call: ToolCall) -> None:
        cut = "" if call.complete else " (cut off)"
        self.note(f"tool call: {call.name}({_short(call.arguments)}){cut}")

    def _result(self, result: ToolResult) -> None:
        word = "failed" if result.is_error else "gave"
        name = result.name or result.tool_call_id
        self.note(f"tool {name} {word} {_short(str(result.content))}")

    def _file(self, file: File) -> None:
        self.note(f"file: {file.name or file.url or file.media_type or file.id}")

    _SHOWN: ClassVar[Mapping[EventType, Callable[[Any, Any], None]]] = {
        EventType.REFUSAL_DELTA: lambda self, event: self.text(event.refusal_delta.content),
        EventType.REASONING_DELTA: lambda self, event: self.think(event.reasoning_delta.content),
        EventType.SOURCE: lambda self, event: self._sources.items.append(event.source),
        EventType.RETRY: lambda self, event: self.retry(event.retry),
        EventType.STATUS: _status,
        EventType.MESSAGE_START: lambda self, event: self._start(event.start),
        EventType.MESSAGE_COMPLETE: lambda self, event: self._start(event.start),
        EventType.TOOL_CALL: lambda self, event: self._call(event.tool_call),
        EventType.TOOL_RESULT: lambda self, event: self._result(event.tool_result),
        EventType.FILE: lambda self, event: self._file(event.file),
    }
    """How each type of event is shown that isn't text."""


class JsonShow(Show):
    """Every event as one line of JSON on stdout, at once. Nothing else is said, save what a person must mend."""

    def event(self, event: StreamEvent) -> None:
        """The event's `to_dict`; `StreamEvent.from_dict` reads it back."""
        self.out.write(json.dumps(event.to_dict(), allow_nan=False) + "\n")
        self.out.flush()

    def wait(self, label: str, seconds: float | None = None) -> None:
        """The events say it."""

    def warn(self, text: str) -> None:
        """The events say it."""


class Spinner:
    """One row that says what is waited for, and for how long already."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._label: str | None = None
        self._since = 0.0
        self._seconds: float | None = None

    def start(self, label: str, seconds: float | None) -> None:
        """Spin from now on."""
        if label != self._label or seconds is not None:
            self._label, self._seconds, self._since = label, seconds, time.monotonic()
            self.draw()

    def draw(self) -> None:
        """The next frame."""
        if self._label is None:
            return
        passed = time.monotonic() - self._since
        if self._seconds is not None:
            left = self._seconds - passed
            told = f" in {left:.0f} s" if left >= 0.5 else " now"
        else:
            told = f" {passed:.0f} s" if passed >= 1 else ""
        self._region.draw([f"{_FRAMES[int(passed * 10) % len(_FRAMES)]} {self._label}{told}"])

    def stop(self) -> None:
        """Take it away."""
        self._label = None
        self.hide()

    def hide(self) -> None:
        """Take it away until the next frame."""
        self._region.clear()


class _NoSpinner:
    """Stands for the spinner where nothing can be drawn."""

    def start(self, label: str, seconds: float | None) -> None:
        """Nothing."""

    def draw(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def hide(self) -> None:
        """Nothing."""


def _is_open(shown: str, before: bool) -> bool:  # noqa: FBT001  # a state, not a switch
    """Whether the last row has no line end yet, after this was shown."""
    return not shown.endswith("\n") if shown else before


def _when(delay: float) -> str:
    if delay < 0.05:
        return "at once"
    return f"in {delay:.1g} s" if delay < 1 else f"in {delay:.0f} s"


def _short(text: str, limit: int = 60) -> str:
    text = one_line(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
