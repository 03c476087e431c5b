"""One question and its answer: the events of one call, shown, timed, and judged by an exit code."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import stat
import time
import warnings
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Literal, TextIO

from llmstream.cli.screen import Keys, keys_unseen
from llmstream.cli.show import Show
from llmstream.cli.summary_line import Timing, closing_line
from llmstream.client import LLMClient
from llmstream.errors import ConfigurationError
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, StreamEvent, failure_of
from llmstream.messages import FinishReason, Message

OK, FAILED, USAGE, NOT_WHOLE, TRY_LATER, INTERRUPTED, READER_GONE = 0, 1, 2, 3, 75, 130, 141
TICK = 0.1
"""Seconds between two drawings."""
_CUT: dict[FinishReason | None, str] = {
    FinishReason.LENGTH: "the answer is not whole: it reached the token limit",
    FinishReason.CONTENT_FILTER: "the answer is not whole: the provider's filter stopped it",
    FinishReason.PAUSE: "the answer is not whole: the provider paused it",
}
_ADVICE = {
    "authentication": "; check the key; `llmstream models` shows which variables are read",
    "not_found": "; check the model's name and --base-url",
}
_SHOWN = (EventType.TEXT_DELTA, EventType.REFUSAL_DELTA)
_BESIDE = (
    EventType.MESSAGE_START,
    EventType.STATUS,
    EventType.RETRY,
    EventType.REASONING_DELTA,
    EventType.ERROR,
)
"""What is shown at once, even where the answer waits until it is whole."""
_NO_SIGNALS = (NotImplementedError, RuntimeError, AttributeError)
"""Raised where no handler can be set: on Windows, or outside the main thread."""
_PIECES = (*_SHOWN, EventType.REASONING_DELTA, EventType.TOOL_CALL_DELTA, EventType.TOOL_CALL)


When = Literal["streaming", "whole", "batch"]
"""Show the pieces as they come; show them when the answer is whole; show the one event of a batch call."""


class UsageError(Exception):
    """Wrong usage or configuration; the message says what to do. Exit code 2, no traceback."""


@dataclass(slots=True)
class CallOutcome:
    """How one call went, and what of its answer was shown, whether or not it became whole."""

    timing: Timing = field(default_factory=lambda: Timing(time.monotonic()))
    transcript: Transcript = field(default_factory=Transcript)
    last: StreamEvent | None = None

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.transcript.text

    @property
    def model(self) -> str:
        """`provider:model`, as far as the answer has said it."""
        start = self.transcript.start
        return ":".join(name for name in (start.provider, start.model) if name)

    @property
    def message(self) -> Message | None:
        """The whole answer, if it became one."""
        return self.last.message if self.last is not None else None

    @property
    def code(self) -> int:
        """The exit code."""
        if self.last is None:
            return INTERRUPTED
        if self.last.type is EventType.MESSAGE_COMPLETE:
            return NOT_WHOLE if self.last.finish_reason in _CUT else OK
        if self.text:
            return NOT_WHOLE
        info = failure_of(self.last)
        if info.kind in _ADVICE:
            return USAGE
        return TRY_LATER if info.retryable else FAILED

    def feed(self, event: StreamEvent) -> None:
        """Take note of an event."""
        if self.timing.first is None and event.type in _PIECES:
            self.timing.first = time.monotonic()
        self.transcript.add(event)
        if event.type in TERMINAL:
            self.timing.ended, self.last = time.monotonic(), event

    def forget(self) -> None:
        """Nothing of the answer was shown."""
        self.transcript = Transcript()

    def problem(self) -> str | None:
        """Why the answer is not whole or not there, for people."""
        if self.last is None:
            return "stopped"
        if self.last.type is EventType.MESSAGE_COMPLETE:
            return _CUT.get(self.last.finish_reason)
        info = failure_of(self.last)
        before = "the answer is not whole: " if self.text else ""
        tries = f" (after {info.attempts} attempts)" if info.attempts > 1 else ""
        return f"{before}{self.last.error}{tries}{_ADVICE.get(info.kind, '')}"

    def closing_line(self) -> str | None:
        """Tokens and times, where there was an answer."""
        if self.last is None or self.last.type is not EventType.MESSAGE_COMPLETE:
            return None
        return closing_line(self.model, self.last.usage, self.timing)


async def play(
    outcome: CallOutcome,
    client: LLMClient,
    messages: Sequence[Message],
    show: Show,
    when: When = "streaming",
) -> None:
    """Ask, and show the answer. Cancelling stops it and closes the connection.

    Raises UsageError for what the client refuses to send, BrokenPipeError as soon as nobody reads the answer.
    """
    show.wait("waiting")
    held: list[StreamEvent] = []
    with keys_unseen(show.out) as keys:
        async with (
            _ticking(show, keys),
            aclosing(client.chat_completion(messages, when != "batch")) as events,
        ):
            while True:
                try:
                    event: StreamEvent | None = await anext(events, None)
                except (ConfigurationError, TypeError, ValueError) as problem:
                    raise UsageError(str(problem)) from problem
                if event is None:
                    return
                outcome.feed(event)
                if when == "whole":
                    event = _hold(event, held, outcome, show)
                if event is not None:
                    show.event(event)


def _hold(
    event: StreamEvent, held: list[StreamEvent], outcome: CallOutcome, show: Show
) -> StreamEvent | None:
    """Keep back what belongs to the answer until it is whole; one that never becomes whole is not shown."""
    if event.type is EventType.MESSAGE_COMPLETE:
        for each in held:
            show.event(each)
    elif event.type not in _BESIDE:
        held.append(event)
        return None
    elif event.type is EventType.ERROR:
        outcome.forget()
    elif event.retry is not None and event.discards:
        held.clear()
        # Nothing on the screen starts again.
        return replace(event, retry=replace(event.retry, discard=False))
    return event


def model_for(model: str | None, base_url: str | None) -> str | None:
    """The model string that is meant: with only an address LLMSTREAM_MODEL's, or OpenAI's. None: the keys decide."""
    if model is None and base_url is not None:
        return os.environ.get("LLMSTREAM_MODEL") or "openai"
    return model


def open_client(model: str | None, base_url: str | None, show: Show) -> LLMClient:
    """The client for a model string; what it warns about is shown. Raises UsageError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            client = LLMClient(model_for(model, base_url), base_url=base_url)
        except (ConfigurationError, TypeError, ValueError) as problem:
            advice = "; `llmstream models` lists them" if "no key" in str(problem) else ""
            raise UsageError(
                str(problem).replace("pass api_key=", "give --model another one") + advice
            ) from problem
    for warning in caught:
        show.warn(str(warning.message))
    return client


@asynccontextmanager
async def _ticking(show: Show, keys: Keys) -> AsyncGenerator[None, None]:
    """Tick `show` meanwhile. What goes wrong there stops what runs here, and is raised."""
    loop, here = asyncio.get_running_loop(), asyncio.current_task()
    task = asyncio.create_task(_tick(show, here))
    with suppress(*_NO_SIGNALS):
        loop.add_signal_handler(signal.SIGTSTP, _suspend, show, keys)
        # Meanwhile a shell made the terminal its own.
        loop.add_signal_handler(signal.SIGCONT, keys.hide)
    try:
        yield
    finally:
        with suppress(*_NO_SIGNALS):
            loop.remove_signal_handler(signal.SIGTSTP)
            loop.remove_signal_handler(signal.SIGCONT)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _tick(show: Show, reading: asyncio.Task[object] | None) -> None:
    try:
        while True:
            await asyncio.sleep(TICK)
            show.tick()
            check_reader(show.out)
    except Exception:
        if reading is not None:
            reading.cancel()
        raise


def _suspend(show: Show, keys: Keys) -> None:
    show.pause()
    keys.restore()
    os.kill(os.getpid(), signal.SIGSTOP)


def check_reader(stream: TextIO) -> None:
    """Raise BrokenPipeError once a pipe's reader has closed it, without writing: a slow model is not waited for."""
    try:
        number = stream.fileno()
        if not stat.S_ISFIFO(os.fstat(number).st_mode) or not hasattr(select, "poll"):
            return
    except (OSError, ValueError):
        return
    poll = select.poll()
    poll.register(number, 0)
    if any(flags & (select.POLLERR | select.POLLHUP) for _, flags in poll.poll(0)):
        raise BrokenPipeError
