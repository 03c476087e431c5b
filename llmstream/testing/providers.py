"""check_provider: whether a provider keeps the rules, whatever its server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import ChatRequest, Message, TextPart
from llmstream.providers.provider import Call, Provider
from llmstream.providers.timeouts import Timeouts
from llmstream.testing.faults import FAULTS, Fault
from llmstream.testing.reply import ANSWER
from llmstream.testing.rules import broken_rules
from llmstream.testing.server import FaultServer
from llmstream.wire.formats import FORMATS

LIMIT = 0.2
"""Seconds of the clock that a fault is about."""
LONG = 10.0
"""Seconds of the others, and of a whole attempt."""
AT_ONCE = 4.0
"""Seconds within which a connection must be let go. One that is leaked never is; a busy machine takes a second."""
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

    `make` gets the base URL of a FaultServer (plain http, on this machine) and returns a provider for it; it is
    called once for each check, and the provider is closed after it. `format` is the wire format that it speaks, a
    name in `wire.FORMATS`. `faults` are the ones to play; by default all that
    need no TLS. Checked: each ends in exactly one terminal event that is true of it, after exactly one attempt,
    with all the text that came before it, within the clocks of the Call; nothing is raised; streams can be closed,
    cancelled and run side by side; closing the provider ends them; every connection is let go. Takes some seconds.
    ValueError for unknown formats and faults.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, not {format!r}")
    api = FORMATS[format].provider
    unknown = set(faults or ()) - set(FAULTS)
    if unknown:
        raise ValueError(f"there is no fault {min(unknown)!r}; llmstream.testing.FAULTS lists them")
    check = _ProviderCheck(make, api, model)
    before = asyncio.all_tasks()
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(name: str, checking: Awaitable[None]) -> None:
        async with gate:
            try:
                async with asyncio.timeout(2 * LONG):
                    await checking
            except TimeoutError:
                check.wrong(name, "hangs: it neither ends nor lets itself be closed")
            except Exception as problem:  # noqa: BLE001  # that nothing is raised is the rule
                check.wrong(name, f"raises {type(problem).__name__}: {problem}")

    played = [FAULTS[name] for name in faults or FAULTS]
    cases = [(fault.name, check.fault(fault)) for fault in played if _concerns(fault, api)]
    cases += [("closed early", check.closing()), ("side by side", check.side_by_side())]
    cases.append(("closed under a stream", check.closed_under()))
    cases += [("cancelled", check.cancelling(fault)) for fault in ("no-head", "stall")]
    await asyncio.gather(*(one(name, case) for name, case in cases))
    left = asyncio.all_tasks() - before
    if left:
        check.wrong("at the end", f"{len(left)} tasks are still running")
    if check.problems:
        raise AssertionError("the provider breaks these rules:\n" + "\n".join(check.problems))


def _concerns(fault: Fault, api: str) -> bool:
    # The `total` clock is the client's; certificates are nothing that every provider can be told to trust.
    return api in fault.expect and fault.certificate is None and fault.clock != "total"


class _ProviderCheck:
    """What is wrong with one provider."""

    def __init__(self, make: Callable[[str], Provider], api: str, model: str) -> None:
        self._make = make
        self._api = api
        self._request = ChatRequest([Message("user", [TextPart("hi")])], model)
        self.problems: list[str] = []

    def wrong(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")

    def _stream(
        self, provider: Provider, clock: str | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        limits = {
            name: LIMIT if name == clock else LONG
            for name in ("connect", "first_token", "idle", "progress")
        }
        return provider.stream(self._request, Call(Timeouts(**limits)))

    async def _let_go(self, waiting: Awaitable[float], where: str, problem: str) -> None:
        try:
            await waiting
        except TimeoutError:
            self.wrong(where, problem)

    async def fault(self, fault: Fault) -> None:
        """One attempt while the server plays `fault`, and a good one after it."""
        async with FaultServer(fault.name) as server:
            provider = self._make(server.url(self._api))
            try:
                events = [event async for event in self._stream(provider, fault.clock)]
                for problem in broken_rules(events):
                    self.wrong(fault.name, problem)
                self._outcome(fault, events)
                if server.played != 1 and fault.stage != "listen":
                    self.wrong(fault.name, f"{server.played} requests in one attempt")
                if not fault.lingers:
                    await self._let_go(
                        server.idle(AT_ONCE), fault.name, "the connection is held after the end"
                    )
            finally:
                await provider.aclose()
            await self._let_go(
                server.left(AT_ONCE), fault.name, "aclose() leaves a connection open"
            )

    def _outcome(self, fault: Fault, events: list[StreamEvent]) -> None:
        ends = [
            event for event in events if event.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR)
        ]
        if not ends:
            return  # said already
        info = ends[0].error_info
        outcome = (
            "complete"
            if ends[0].type is EventType.MESSAGE_COMPLETE
            else info.kind
            if info
            else "no error_info"
        )
        expected = fault.expect[self._api]
        if outcome not in expected:
            self.wrong(
                fault.name, f"ends in {outcome}, not {' or '.join(expected)} ({fault.description})"
            )
            return
        if fault.text is not None:
            text = "".join(event.text for event in events)
            wanted = (
                fault.text if outcome == "complete" else " ".join(ANSWER.split()[: fault.words])
            )
            if text != wanted:
                self.wrong(fault.name, f"delivers {text!r}, not {wanted!r}")
        if outcome == "timeout" and info is not None and fault.clock not in (None, info.code):
            self.wrong(fault.name, f"says that the clock {info.code} ran out, not {fault.clock}")

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
                await self._let_go(
                    server.idle(AT_ONCE), "closed early", "the connection outlives its stream"
                )
                server.play("ok")
                await self._answers("closed early", provider)
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
                    self.wrong(
                        "closed under a stream", f"it ends in {events[-1].type}, not in an ERROR"
                    )
                await self._let_go(
                    server.left(AT_ONCE),
                    "closed under a stream",
                    "aclose() leaves a connection open",
                )
            except TimeoutError:
                self.wrong("closed under a stream", "aclose() does not end it")
            finally:
                await stream.aclose()

    async def cancelling(self, fault: str) -> None:
        """Cancelling the one who reads closes the connection, and is not swallowed."""
        async with FaultServer(fault) as server:
            provider = self._make(server.url(self._api))

            async def read() -> None:
                async for _ in self._stream(provider):
                    pass

            try:
                task = asyncio.create_task(read())
                with suppress(TimeoutError):
                    await server.busy(AT_ONCE)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                if not task.cancelled():
                    self.wrong("cancelled", "the cancellation is swallowed")
                await self._let_go(
                    server.idle(AT_ONCE), "cancelled", "the connection outlives the one who read"
                )
            finally:
                await provider.aclose()

    async def side_by_side(self) -> None:
        """Streams of one provider don't disturb each other."""
        async with FaultServer("one-byte-at-a-time") as server:
            provider = self._make(server.url(self._api))
            try:
                await asyncio.gather(*(self._answers("side by side", provider) for _ in range(3)))
            finally:
                await provider.aclose()

    async def _answers(self, where: str, provider: Provider) -> None:
        events = [event async for event in self._stream(provider)]
        text = "".join(event.text for event in events)
        if text != ANSWER or events[-1].type is not EventType.MESSAGE_COMPLETE:
            self.wrong(where, f"a good answer is not delivered: {text!r}, then {events[-1:]}")


async def _rest(stream: AsyncGenerator[StreamEvent, None]) -> list[StreamEvent]:
    return [event async for event in stream]
