"""ClientWriter: sends to one client, and watches whether the client still reads.

1. A client that leaves ends the writing at once, also while there is nothing to write: the writer is cancelled, and
   `run` returns only when the writer has closed what it reads from. After `unwatch()` nothing that the client does
   cancels the writer.
2. `send` waits while the client doesn't read, and so the model waits too. After `write_timeout` seconds the writer is
   cancelled and SlowClientError raised.
3. After `heartbeat` seconds in which nothing was sent, `send_heartbeat` is called; never in the middle of a `send`.
4. The event loop gets a turn before the writer has gone on for half a millisecond, even if it never waits for anything:
   servers drop what is sent to a client that has left, without an error. A writer that waited has given one already.

Timers cost nothing per event: one task sleeps until the next thing could be due, and then looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from starlette.types import Message, Send
from starlette.websockets import WebSocketDisconnect

from llmstream.log import get_logger
from llmstream.tasks import any_done
from llmstream.web.native_encoders import AbortedError

logger = get_logger("llmstream.web")
_LONGEST_TURN = 0.0005
"""Seconds that a writer may go on without a turn of the event loop."""
_TOO_SLOW = "the client did not read for too long"


class SlowClientError(Exception):
    """The client didn't read for too long. What was sent isn't whole, so the connection has to be cut."""


class UnsentError(Exception):
    """The server didn't send it, since the client has left. The writer can do nothing about it."""


class _Steps(Coroutine[Any, Any, None]):
    """A task's work that notes when each of its steps began: just before, the event loop had its turn."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self.began = time.monotonic()

    def send(self, value: Any) -> Any:
        """Go on."""
        self.began = time.monotonic()
        return self._work.send(value)

    def throw(self, *problem: Any) -> Any:
        """Go on with an exception."""
        self.began = time.monotonic()
        return self._work.throw(*problem)

    def close(self) -> None:
        """End it."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._work.__await__()


class ClientWriter:
    """Give `run` a coroutine that writes with `send`. Times are seconds; None: no limit, no heartbeat."""

    def __init__(
        self,
        send: Send,
        *,
        request_id: str,
        heartbeat: float | None,
        write_timeout: float | None,
    ) -> None:
        self._send, self._request_id = send, request_id
        self._heartbeat, self._write_timeout = heartbeat, write_timeout
        self._steps: _Steps | None = None
        self._last_sent = time.monotonic()
        self._sending_since: float | None = None
        self._heartbeat_sent: asyncio.Future[None] | None = None  # while one is on its way
        self._watched = True

    async def send(self, message: Message) -> None:
        """Send, when the client has room for it. Raises UnsentError, which the writer lets through."""
        if self._heartbeat_sent is not None:
            await self._heartbeat_sent
        self._sending_since = now = time.monotonic()
        try:
            await self._send(message)
        except Exception as problem:
            raise UnsentError from problem
        self._sending_since = None
        self._last_sent = now
        # After the end there is no turn: servers report a disconnect then.
        steps = self._steps
        if steps is None or not message.get("more_body", True):
            return
        if now - steps.began > _LONGEST_TURN:
            await asyncio.sleep(0)

    def unwatch(self) -> None:
        """Stop watching, and send no more heartbeats: the last event was read, and the application may clean up."""
        self._watched, self._heartbeat = False, None

    async def run(
        self,
        writing: Coroutine[Any, Any, None],
        left: Coroutine[Any, Any, None],
        send_heartbeat: Callable[[Send], Awaitable[None]],
    ) -> bool:
        """Write until the end (True), or until the client leaves, which is when `left` returns (False).

        `send_heartbeat` gets the server's own `send`, since `self.send` waits for it.
        Raises SlowClientError, and what the writer raised. Cancelled, it cancels the writer and waits for it.
        """
        self._steps = _Steps(writing)
        writer = asyncio.create_task(self._steps)
        leaving = asyncio.create_task(left)
        self._last_sent = time.monotonic()
        try:
            while not writer.done() and not (self._watched and leaving.done()):
                await self._wait(writer, leaving)
                if self._is_send_late():
                    raise SlowClientError(_TOO_SLOW)
                if self._is_heartbeat_due() and not writer.done() and not leaving.done():
                    await self._beat(send_heartbeat)
        finally:
            finished = writer.done()
            leaving.cancel()
            if not finished:
                writer.cancel()
                await asyncio.wait((writer,))
        if writer.cancelled():
            return False
        if not finished:
            self._log_unheard(writer.exception())
            return False
        return self._is_whole(writer)

    # --- inside ---------------------------------------------------------------------------------------------

    async def _wait(self, writer: asyncio.Task[None], leaving: asyncio.Task[None]) -> None:
        """Wait until one of them is done, or something could be due."""
        tasks = (writer,) if leaving.done() else (writer, leaving)
        await any_done(*tasks, seconds=self._seconds_until_due())

    def _is_whole(self, writer: asyncio.Task[None]) -> bool:
        """Whether the server took everything. Raises what the writer raised."""
        try:
            writer.result()
        except UnsentError as problem:
            cause = problem.__cause__
            if not isinstance(cause, OSError | WebSocketDisconnect):
                logger.warning(
                    "request %s: the server did not send", self._request_id, exc_info=cause
                )
            return False
        return True

    def _log_unheard(self, problem: BaseException | None) -> None:
        """Log what the writer raised when it was stopped: the client, who has left, doesn't see it."""
        if problem is None or isinstance(problem, UnsentError | AbortedError):
            return
        logger.error(
            "request %s: the events raised %s when the client had left",
            self._request_id,
            type(problem).__name__,
            exc_info=problem,
        )

    async def _beat(self, send_heartbeat: Callable[[Send], Awaitable[None]]) -> None:
        """Send a heartbeat, for which `send` waits. Raises SlowClientError."""
        sent = self._heartbeat_sent = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._write_timeout):
                await send_heartbeat(self._send)
        except TimeoutError:
            raise SlowClientError(_TOO_SLOW) from None
        except OSError:
            pass  # the client has left, as `left` is about to say
        finally:
            sent.set_result(None)  # only we cancel the writer that waits for it, and not now
            self._heartbeat_sent = None
            self._last_sent = time.monotonic()

    def _seconds_until_due(self) -> float | None:
        now = time.monotonic()
        due = []
        if self._write_timeout is not None:
            began = now if self._sending_since is None else self._sending_since
            due.append(began + self._write_timeout)
        if self._heartbeat is not None and self._sending_since is None:
            due.append(self._last_sent + self._heartbeat)
        return max(0.001, min(due) - now) if due else None

    def _is_send_late(self) -> bool:
        if self._sending_since is None or self._write_timeout is None:
            return False
        return time.monotonic() - self._sending_since >= self._write_timeout

    def _is_heartbeat_due(self) -> bool:
        if self._heartbeat is None or self._sending_since is not None:
            return False
        return time.monotonic() - self._last_sent >= self._heartbeat
