"""Every fault of `llmstream.testing` in every API over every transport, and what LLMClient makes of it.

    python tests/conformance.py [--write docs/conformance.md] [--transport httpx2|aiohttp|both] [--only NAME …]

Prints or writes the table; ends with status 1 if one cell is wrong. A cell is right when the stream and the batch
call end in exactly one event of the expected kind, after the expected number of requests, with exactly the text that
was sent, within its limits; when nothing foreign was raised or left running; when the connection was closed or given
back; and when the next call on the same client succeeds. The garbage collector is off throughout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import gc
import inspect
import os
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from weakref import WeakSet

sys.path.insert(
    0, str(Path(__file__).parent.parent)
)  # run as a script, the tests' own modules are not to be found

from llmstream import EventType, LLMClient, RetryPolicy, StreamEvent, Timeouts
from llmstream.clock import LoopClock
from llmstream.providers import answer_reader
from llmstream.providers.http import error_response
from llmstream.providers.timeouts import DEFAULT_TIMEOUTS
from llmstream.testing import FAULTS, Fault, FaultServer
from llmstream.testing.certificates import ca_file, certificates
from llmstream.testing.faults import (
    body,
    connection,
    content,
    ending,
    frames,
    head,
    refusal,
    wild,
)
from llmstream.testing.reply import ANSWER
from llmstream.wire.formats import FORMATS
from tests.grammar_check import check_stream

THEMES = (frames, ending, content, body, head, refusal, connection, wild)
QUESTION = [{"role": "user", "content": "hi"}]
KEY = "sk-canary-1234567890"
LIMIT = 0.15
"""Seconds of the clock that a fault is about. The others are long, so that a slow machine can't make them run out."""
LONG = 6.0
HANGS = 60.0
"""Seconds after which a call is taken to hang; a busy machine needs ten for a fault that takes one."""
AT_ONCE = 1.0
"""Seconds within which a connection must have been let go."""
SIDE_BY_SIDE = 8

_own_tasks: contextvars.ContextVar[WeakSet[asyncio.Task[Any]]] = contextvars.ContextVar("own_tasks")


class SkippingClock(LoopClock):
    """Real time, except that waits between attempts end at once, as if they had been waited for."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def time(self) -> float:
        return time.monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        self._skipped += seconds
        await asyncio.sleep(0)


@dataclass
class Cell:
    """What came of one fault in one API over one transport."""

    fault: Fault
    api: str
    transport: str
    outcome: str = ""
    problems: list[str] = field(default_factory=list)


def transports() -> list[str]:
    """Those that this LLMClient has."""
    known = "transport" in inspect.signature(LLMClient.__init__).parameters
    return ["httpx2", "aiohttp"] if known else ["httpx2"]


def cells(names: Collection[str] = FAULTS, chosen: Sequence[str] = ()) -> list[Cell]:
    """All that are to be run."""
    return [
        Cell(fault, api, transport)
        for fault in FAULTS.values()
        if fault.name in names
        for api in fault.expect
        for transport in chosen or transports()
    ]


async def run(todo: Sequence[Cell]) -> list[str]:
    """Run the cells; what went wrong beside them is returned."""
    strays: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: strays.append(f"{context['message']}: {context.get('exception')!r}")
    )
    loop.set_task_factory(_make_task)
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(cell: Cell) -> None:
        async with gate:
            await run_cell(cell)

    with own_settings():
        await asyncio.gather(*(one(cell) for cell in todo if not cell.fault.alone))
        for cell in todo:
            if cell.fault.alone:
                await run_cell(cell)
    return strays


@contextmanager
def own_settings() -> Iterator[None]:
    """Trust the fault servers' certificate, shorten the two waits that nobody can set, and keep the collector off."""
    certificates()
    before = (
        os.environ.get("SSL_CERT_FILE"),
        answer_reader.FINISH_SILENCE,
        error_response.ERROR_BODY_SECONDS,
    )
    os.environ["SSL_CERT_FILE"] = str(ca_file(certificates()))
    answer_reader.FINISH_SILENCE, error_response.ERROR_BODY_SECONDS = LIMIT, LIMIT
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        answer_reader.FINISH_SILENCE, error_response.ERROR_BODY_SECONDS = before[1], before[2]
        os.environ.pop("SSL_CERT_FILE")
        if before[0] is not None:
            os.environ["SSL_CERT_FILE"] = before[0]


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Task[Any]:
    """A task that the cell it was started in remembers."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    if (own := _own_tasks.get(None)) is not None:
        own.add(task)
    return task


async def run_cell(cell: Cell) -> None:
    """The stream, then the batch call."""

    async def both() -> None:
        for batch in (False, True):
            own = WeakSet[asyncio.Task[Any]]()
            _own_tasks.set(own)
            try:
                async with asyncio.timeout(HANGS):
                    await Attempt(cell, batch=batch).run()
            except TimeoutError:
                cell.outcome = "hangs"
                cell.problems.append("hangs")
                break
            except Exception as problem:  # noqa: BLE001  # whatever it is, it is a wrong cell
                cell.problems.append(f"raises {type(problem).__name__}: {problem}")
            if left := [task for task in own if not task.done()]:
                cell.problems.append(f"leaves tasks running: {left}")

    await asyncio.create_task(both())


class Attempt:
    """One call of one cell, streamed or not."""

    def __init__(self, cell: Cell, *, batch: bool) -> None:
        self.cell = cell
        self.fault = cell.fault
        self.batch = batch

    def wrong(self, problem: str) -> None:
        self.cell.problems.append(f"{'batch' if self.batch else 'stream'}: {problem}")

    async def run(self) -> None:
        """Both calls, and what they leave behind."""
        async with FaultServer(self.fault.name) as server:
            client = self.client(server)
            if self.batch and self.answers:  # so that it is not its client's first request
                server.play("connection-close")
                await self.check_next(client)
                server.played = 0
                server.play(self.fault.name)
            began = time.monotonic()
            events = [
                event async for event in client.chat_completion(QUESTION, stream=not self.batch)
            ]
            self.check(events, server)
            if self.fault.clock is not None and time.monotonic() - began > LONG:
                self.wrong("its clock did not run")
            if not self.fault.lingers:
                await self.let_go(
                    server.idle(AT_ONCE), "an answer is still being read, or its connection held"
                )
            if self.answers:
                server.play("ok")
                await self.check_next(client)
            await client.aclose()
            await self.let_go(server.left(AT_ONCE), "a connection outlives its client")

    @property
    def answers(self) -> bool:
        """Whether the server can be asked for something else."""
        return self.fault.stage != "listen" and self.fault.certificate in (None, "trusted")

    def client(self, server: FaultServer) -> LLMClient:
        options: dict[str, Any] = (
            {"transport": self.cell.transport} if len(transports()) > 1 else {}
        )
        limits: dict[str, Any] = {
            "connect": LONG,
            "first_token": LONG,
            "idle": LONG,
            "progress": LONG,
        }
        if self.fault.clock is not None:
            limits[self.fault.clock] = LIMIT
        return LLMClient(
            f"{self.cell.api}:m-1",
            api_key=KEY,
            base_url=server.url(self.cell.api),
            timeouts=Timeouts(**limits),
            retry=RetryPolicy(),
            clock=SkippingClock(),
            rng=Random(1),
            **options,
        )

    async def let_go(self, waiting: Any, problem: str) -> None:
        try:
            await waiting
        except TimeoutError:
            self.wrong(problem)

    def check(self, events: list[StreamEvent], server: FaultServer) -> None:
        last = events[-1]
        if self.batch and len(events) != 1:
            self.wrong(f"{len(events)} events")
        if not self.batch:
            try:
                check_stream(events)
            except AssertionError as problem:
                self.wrong(f"breaks the grammar: {problem}")
        outcome = last.error_info.kind if last.error_info is not None else "complete"
        if outcome not in self.fault.expect[self.cell.api]:
            self.wrong(
                f"{outcome}, not {' or '.join(self.fault.expect[self.cell.api])}: {last.error}"
            )
        if outcome == "complete":
            self.check_text("".join(event.text for event in events), self.fault.text)
        else:
            self.check_error(events, outcome)
        if self.fault.expected is not None:
            for difference in self.fault.expected.differences(events):
                self.wrong(difference)
        attempts = self.fault.attempts(outcome, batch=self.batch)
        asked = (
            server.played
            if self.fault.certificate in (None, "trusted") and server.played
            else attempts
        )
        made = 1 if last.error_info is None else last.error_info.attempts
        if not made == asked == attempts:
            self.wrong(f"{asked} requests and {made} attempts, not {attempts}")
        if KEY in repr(events):
            self.wrong("shows the key")
        if not self.batch:
            self.cell.outcome = outcome if last.error_info is None else _shown(last.error_info)

    def check_error(self, events: list[StreamEvent], outcome: str) -> None:
        info: Any = events[-1].error_info
        words = " ".join(ANSWER.split()[: self.fault.words])
        if self.fault.text is not None:
            partial = info.partial.text if info.partial is not None else ""
            self.check_text(partial, words)
            if not self.batch:
                self.check_text("".join(event.text for event in events), words)
        if outcome == "timeout" and self.fault.clock is not None and info.code != self.fault.clock:
            self.wrong(f"the clock {info.code} ran out, not {self.fault.clock}")
        if info.provider != self.cell.api:
            self.wrong(f"blames {info.provider}")
        if self.fault.delay is not None:
            low, high = self.fault.delay
            for event in events:
                if event.retry is not None and not low <= event.retry.delay <= high:
                    self.wrong(f"waits {event.retry.delay:.2f} s, not {low} to {high}")

    def check_text(self, text: str, expected: str | None) -> None:
        if expected is not None and text != expected:
            self.wrong(f"text {text!r}, not {expected!r}")

    async def check_next(self, client: LLMClient) -> None:
        events = [
            event async for event in client.chat_completion(QUESTION, timeouts=DEFAULT_TIMEOUTS)
        ]
        if events[-1].type is not EventType.MESSAGE_COMPLETE or any(
            event.retry for event in events
        ):
            self.wrong(f"the next call: {events[-1].error or [e for e in events if e.retry]}")
        self.check_text("".join(event.text for event in events), ANSWER)


def _shown(info: Any) -> str:
    code = f" ({info.code})" if info.kind == "timeout" and info.status_code is None else ""
    return f"{info.kind}{code}" + (f" x{info.attempts}" if info.attempts > 1 else "")


# --- the page -------------------------------------------------------------------------------------------------

LEGEND = """# Conformance

What `LLMClient` makes of every fault in `llmstream.testing.FAULTS`: {faults} faults, {cells} cells, written by
`python tests/conformance.py --write docs/conformance.md` and checked by `tests/testing/test_conformance.py`.

A cell says how the stream ended: **complete**, or the kind of its ERROR; for a timeout which clock ran out; x3: after
three attempts. Each cell was also run with `stream=False`, and holds only if in both modes

- there was exactly one terminal event, of a kind that is true of the fault, after as many requests as that kind allows;
- the text is exactly what the server had sent before the fault, and the error's `partial` holds the same; so are calls,
  reasoning, files, finish reason, counts and the error's code where the fault names them;
- nothing foreign was raised, no key was shown, no task and no connection was left, with the garbage collector off;
- the next call on the same client succeeded.

A dash: the fault does not concern that API. **WRONG**: the cell fails one of these.

Play them against code of your own with `FaultServer("wild-finish-abort", …)`. What real servers send, by public
reports, has the theme `wild` in `FAULTS`, and `fault.expected.differences(events)` names what an answer got wrong.
"""


def page(done: Sequence[Cell]) -> str:
    """The table, in Markdown."""
    columns = [
        (row.provider, transport)
        for transport in dict.fromkeys(c.transport for c in done)
        for row in FORMATS.values()
    ]
    found = {(cell.fault.name, cell.api, cell.transport): cell for cell in done}
    named = list(dict.fromkeys(cell.fault.name for cell in done))
    lines = [LEGEND.format(faults=len(named), cells=len(done))]
    for module in THEMES:
        theme = module.__name__.rpartition(".")[2]
        rows = [FAULTS[name] for name in named if FAULTS[name].theme == theme]
        if not rows:
            continue
        title = (module.__doc__ or "").strip().rstrip(".").partition(":")[0]
        lines += [
            f"## {title}",
            "",
            "| fault | what the server does |" + _row(f"{a}, {t}" for a, t in columns),
        ]
        lines.append("|---|---|" + "---|" * len(columns))
        for fault in rows:
            outcomes = [_cell_text(found.get((fault.name, *column))) for column in columns]
            description = fault.description.replace("|", "\\|")
            lines.append(f"| `{fault.name}` | {description} |" + _row(outcomes))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(values: Any) -> str:
    return "".join(f" {value} |" for value in values)


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return f"**WRONG** {cell.outcome}" if cell.problems else cell.outcome


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the page there instead of printing it"
    )
    parser.add_argument("--transport", choices=("httpx2", "aiohttp", "both"), default="both")
    parser.add_argument(
        "--only",
        nargs="+",
        default=FAULTS,
        choices=FAULTS,
        metavar="FAULT",
        help="only these faults",
    )
    options = parser.parse_args()
    chosen = transports() if options.transport == "both" else [options.transport]
    if not set(chosen) <= set(transports()):
        parser.error(f"this LLMClient has no transport {options.transport!r}")
    warnings.simplefilter("error", ResourceWarning)
    todo = cells(options.only, chosen)
    before, began = _descriptors(), time.monotonic()
    strays = asyncio.run(run(todo))
    if (after := _descriptors()) > before + 2:
        strays.append(f"{after - before} file descriptors left open")
    text = page(todo)
    if options.write is not None:
        options.write.parent.mkdir(exist_ok=True)
        options.write.write_text(text)
    else:
        print(text)
    wrong = [cell for cell in todo if cell.problems]
    for cell in wrong:
        print(
            f"{cell.fault.name}, {cell.api}, {cell.transport}",
            *cell.problems,
            sep="\n    ",
            file=sys.stderr,
        )
    print(*strays, sep="\n", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"{len(todo)} cells, {len(wrong)} wrong, {seconds:.0f} s", file=sys.stderr)
    return 1 if wrong or strays else 0


def _descriptors() -> int:
    listed = Path("/proc/self/fd")
    return len(list(listed.iterdir())) if listed.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
