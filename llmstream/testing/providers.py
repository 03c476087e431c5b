"""check_provider: whether a provider keeps the rules, whatever its server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import ChatRequest, Message, TextPart
from llmstream.providers.provider import Call, Provider
from llmstream.providers.timeouts import Timeouts
from llmstream.testing.faults import FAULTS, Fault
from llmstream.testing.reply import ANSWER
from llmstream.testing.rules import broken_rules
from llmstream.testing.server import FaultServer
from llmstream.wire.formats import FORMATS

LIMITS = (0.2, 3.0)
"""Seconds of the clock that a fault is about. A busy machine may be slower than the first, and is asked again."""
LONG = 30.0
"""Seconds of the other clocks."""
PATIENT = Timeouts(connect=LONG, first_token=LONG, idle=LONG, progress=LONG)
SILENCE = 2 * LONG
"""Seconds without an event, or without the end of a stream, after which a provider hangs: its clocks should have run
out. However long it takes, a provider that goes on doesn't hang."""
AT_ONCE = 4.0
"""Seconds within which a connection must be let go. One that is leaked never is; a busy machine takes a second."""
MANY_EVENTS = 10_000
"""Events of one attempt after which a provider doesn't stop. No answer of a FaultServer has as many pieces."""
SIDE_BY_SIDE = 8


async def check_provider(
    make: Callable[[str], Provider],
    format: str,
    *,
    faults: Collection[str] | None = None,
    model: str = "m-1",
) -> None:
    """Raise AssertionError, listing every rule that the provider breaks.

        await check_provider(lambda base_url: MyProvider(base_url=base_url, api_key="any"), "openai-chat")

    `make` gets the base URL of a FaultServer (plain http, on this machine) and returns a provider for it. It is
    called once for each check, and the provider is closed after the check. `format` is the wire format that it
    speaks, a name in `wire.FORMATS`. `faults` are the ones to play; by default all that need no TLS.

    Checked: each attempt ends in exactly one terminal event that is true of it, after one request, with all the text
    that came before it, within the clocks of the Call. Nothing is raised. Streams can be closed, cancelled and run
    side by side. Closing the provider ends them. Every connection is let go.

    It takes some seconds. A provider may be slow: it hangs only after a minute without an event. ValueError for
    unknown formats and faults.
    """
    known = ", ".join(FORMATS)
    require(format in FORMATS, f"format must be one of {known}, not {format!r}")
    api = FORMATS[format].provider
    unknown = set(faults or ()) - set(FAULTS)
    if unknown:
        raise ValueError(f"there is no fault {min(unknown)!r}; llmstream.testing.FAULTS lists them")
    played = [FAULTS[name] for name in faults or FAULTS]
    checks: dict[str, Check] = {
        fault.name: partial(_Checked.fault, fault=fault)
        for fault in played
        if _concerns(fault, api)
    }
    checks |= OTHER_CHECKS
    before = asyncio.all_tasks()
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def problems(name: str, check: Check) -> list[str]:
        async with gate:
            return await _Checked(make, api, model).problems_of(name, check)

    found = await asyncio.gather(*(problems(name, check) for name, check in checks.items()))
    broken = [problem for some in found for problem in some]
    left = asyncio.all_tasks() - before
    if left:
        broken.append(f"at the end: {len(left)} tasks are still running")
    if broken:
        raise AssertionError("the provider breaks these rules:\n" + "\n".join(broken))


def _concerns(fault: Fault, api: str) -> bool:
    # The `total` clock is the client's; certificates are nothing that every provider can be told to trust.
    return api in fault.expect and fault.certificate is None and fault.clock != "total"


class _Checked:
    """One provider in one check, and what is wrong with it."""

    def __init__(self, make: Callable[[str], Provider], api: str, model: str) -> None:
        self._make = make
        self._api = api
        self._request = ChatRequest([Message("user", [TextPart("hi")])], model)
        self._silence = asyncio.timeout(SILENCE)
        self._problems: list[str] = []

    async def problems_of(self, name: str, check: Check) -> list[str]:
        """Run the check, and return each rule that is broken, after the check's name."""
        try:
            async with self._silence:
                self._goes_on()
                await check(self)
        except Exception as problem:  # noqa: BLE001  # that nothing is raised is the rule
            if self._silence.expired():
                self._wrong("hangs: it neither ends nor lets itself be closed")
            else:
                self._wrong(f"raises {type(problem).__name__}: {problem}")
        return [f"{name}: {problem}" for problem in self._problems]

    def _wrong(self, problem: str) -> None:
        self._problems.append(problem)

    def _goes_on(self) -> None:
        """Wait for the next event as long as for the first."""
        with suppress(RuntimeError):  # the check is over
            self._silence.reschedule(asyncio.get_running_loop().time() + SILENCE)

    async def _stream(
        self, provider: Provider, clocks: Timeouts = PATIENT
    ) -> AsyncGenerator[StreamEvent, None]:
        stream = provider.stream(self._request, Call(clocks))
        count = 0
        try:
            async for event in stream:
                self._goes_on()
                yield event
                count += 1
                if count == MANY_EVENTS:
                    self._wrong(f"doesn't stop: {count:,} events, and more")
                    return
        finally:
            self._goes_on()
            await stream.aclose()

    async def _let_go(self, waiting: Awaitable[float], problem: str) -> None:
        try:
            await waiting
        except TimeoutError:
            self._wrong(problem)

    async def fault(self, fault: Fault) -> None:
        """One attempt while the server plays `fault`, and the connections after it."""
        if fault.clock is None:
            await self._attempt(fault, PATIENT)
            return
        for limit in LIMITS:
            self._problems.clear()
            await self._attempt(fault, replace(PATIENT, **{fault.clock: limit}))
            if not self._problems:
                return

    async def _attempt(self, fault: Fault, clocks: Timeouts) -> None:
        async with FaultServer(fault.name) as server:
            provider = self._make(server.url(self._api))
            try:
                events = [event async for event in self._stream(provider, clocks)]
                self._problems += broken_rules(events)
                self._outcome(fault, events)
                if server.played != 1 and fault.stage != "listen":
                    self._wrong(f"{server.played} requests in one attempt")
                if not fault.lingers:
                    await self._let_go(server.idle(AT_ONCE), "the connection is held after the end")
            finally:
                await provider.aclose()
            await self._let_go(server.left(AT_ONCE), "aclose() leaves a connection open")

    def _outcome(self, fault: Fault, events: list[StreamEvent]) -> None:
        ends = [event for event in events if event.type in TERMINAL]
        if not ends:
            return  # said already
        outcome = _outcome_of(ends[0])
        expected = fault.expect[self._api]
        if outcome not in expected:
            self._wrong(f"ends in {outcome}, not {' or '.join(expected)} ({fault.description})")
            return
        if fault.expected is not None:
            self._problems += fault.expected.differences(events)
        text = "".join(event.text for event in events)
        before = " ".join(ANSWER.split()[: fault.words])
        wanted = fault.text if outcome == "complete" else before
        if fault.text is not None and text != wanted:
            self._wrong(f"delivers {text!r}, not {wanted!r}")
        self._clock(fault, ends[0].error_info)

    def _clock(self, fault: Fault, info: ErrorInfo | None) -> None:
        """Whether a timeout names the clock that the fault is about."""
        if info is None or info.kind != "timeout" or fault.clock is None:
            return
        if info.code != fault.clock:
            self._wrong(f"says that the clock {info.code} ran out, not {fault.clock}")

    async def closing(self) -> None:
        """Leaving a stream that goes on closes its connection, and not the provider."""
        async with FaultServer("endless-answer") as server:
            provider = self._make(server.url(self._api))
            try:
                stream = self._stream(provider)
                async for event in stream:
                    if event.text:
                        break
                await stream.aclose()
                await self._let_go(server.idle(AT_ONCE), "the connection outlives its stream")
                server.play("ok")
                await self._answers(provider)
            finally:
                await provider.aclose()
                await provider.aclose()  # twice is allowed

    async def closed_under(self) -> None:
        """Closing the provider ends a stream that waits, in an ERROR."""
        async with FaultServer("stall") as server:
            provider = self._make(server.url(self._api))
            stream = self._stream(provider)
            try:
                events = [await anext(stream)]
                while not events[-1].text:
                    events.append(await anext(stream))
                reading = asyncio.create_task(_rest(stream))
                await asyncio.sleep(0)
                await provider.aclose()
                async with asyncio.timeout(AT_ONCE):
                    events += await reading
                if events[-1].type is not EventType.ERROR:
                    self._wrong(f"it ends in {events[-1].type}, not in an ERROR")
                await self._let_go(server.left(AT_ONCE), "aclose() leaves a connection open")
            except TimeoutError:
                self._wrong("aclose() does not end it")
            finally:
                await stream.aclose()

    async def cancelling(self, fault: str) -> None:
        """Cancelling the one who reads closes the connection, and is not swallowed."""
        async with FaultServer(fault) as server:
            provider = self._make(server.url(self._api))
            try:
                task = asyncio.create_task(_rest(self._stream(provider)))
                with suppress(TimeoutError):
                    await server.busy(AT_ONCE)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                if not task.cancelled():
                    self._wrong("the cancellation is swallowed")
                await self._let_go(server.idle(AT_ONCE), "the connection outlives the one who read")
            finally:
                await provider.aclose()

    async def side_by_side(self) -> None:
        """Streams of one provider don't disturb each other."""
        async with FaultServer("one-byte-at-a-time") as server:
            provider = self._make(server.url(self._api))
            try:
                await asyncio.gather(*(self._answers(provider) for _ in range(3)))
            finally:
                await provider.aclose()

    async def _answers(self, provider: Provider) -> None:
        events = [event async for event in self._stream(provider)]
        text = "".join(event.text for event in events)
        if text != ANSWER or events[-1].type is not EventType.MESSAGE_COMPLETE:
            self._wrong(f"a good answer is not delivered: {text!r}, then {events[-1:]}")


def _outcome_of(end: StreamEvent) -> str:
    if end.type is EventType.MESSAGE_COMPLETE:
        return "complete"
    return end.error_info.kind if end.error_info else "no error_info"


Check: TypeAlias = Callable[[_Checked], Awaitable[None]]

OTHER_CHECKS: dict[str, Check] = {
    "closed early": _Checked.closing,
    "side by side": _Checked.side_by_side,
    "closed under a stream": _Checked.closed_under,
    "cancelled before the head": partial(_Checked.cancelling, fault="no-head"),
    "cancelled in a stall": partial(_Checked.cancelling, fault="stall"),
}
"""Checks beside the faults."""


async def _rest(stream: AsyncGenerator[StreamEvent, None]) -> list[StreamEvent]:
    return [event async for event in stream]
