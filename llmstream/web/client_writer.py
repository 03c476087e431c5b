"""ClientWriter: sends to one client, and watches whether the client still reads.

1. A client that leaves ends the writing at once, also while there is nothing to write: it is cancelled, and `run`
   returns only when the writing has closed what it reads from. After `unwatch()` nothing that the client does cancels
   it.
2. `send` waits while the client doesn't read, and so the model waits too. After `write_timeout` seconds the writing is
   cancelled and SlowClientError raised.
3. After `heartbeat` seconds in which nothing was sent, `send_heartbeat` is called; never in the middle of a `send`.
4. The event loop gets a turn before the writing has gone on for half a millisecond, even if it never waits for
   anything: servers drop what is sent to a client that has left, without an error. A writing that waited has given one
   already.

The writing runs in the task of whoever calls `run`, and timers cost nothing per event: one sleeps until the next thing
could be due, and then looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

from starlette.types import Message, Send
from starlette.websockets import WebSocketDisconnect

from llmstream.log import get_logger
from llmstream.tasks import stop
from llmstream.web.client_watch import Watch
from llmstream.web.native_encoders import AbortedError
from llmstream.web.piece_writer import piece_writer

logger = get_logger("llmstream.web")
_LONGEST_TURN = 0.0005
"""Seconds that a writer may go on without a turn of the event loop."""
_TOO_SLOW = "the client did not read for too long"


class SlowClientError(Exception):
    """The client didn't read for too long. What was sent isn't whole, so the connection has to be cut."""


class UnsentError(Exception):
    """The server didn't send it, since the client has left. The writer can do nothing about it."""


class _LeftError(Exception):
    """Why the writing was interrupted: the client has left."""


class _Steps:
    """Awaits work, and notes when each of its steps began: just before, the event loop had its turn."""

    __slots__ = ("_next", "_throw", "began", "close")

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        steps: Any = work.__await__()
        self._next, self._throw, self.close = steps.__next__, steps.throw, steps.close
        self.began = time.monotonic()

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self.began = time.monotonic()
        return self._next()

    def throw(self, *problem: Any) -> Any:
        """Go on with an exception."""
        self.began = time.monotonic()
        try:
            return self._throw(*problem)
        finally:
            del problem  # its traceback leads back to this frame


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
        self._write_piece = piece_writer(send)
        self._heartbeat, self._write_timeout = heartbeat, write_timeout
        self._steps: _Steps | None = None
        self._last_sent = time.monotonic()
        self._sending_since: float | None = None
        self._heartbeat_sent: asyncio.Future[None] | None = None  # while one is on its way
        self._watched = True
        # While `run` does.
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._interruption: Exception | None = None

    async def send(self, message: Message) -> None:
        """Send, when the client has room for it. Raises UnsentError, which the writing lets through."""
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

    def write(self, data: bytes) -> bool:
        """Send a piece of a body at once, if that is possible without a wait, and the event loop's turn isn't due.

        False: nothing was sent. Raises UnsentError.
        """
        steps, now = self._steps, time.monotonic()
        if self._write_piece is None or steps is None or self._heartbeat_sent is not None:
            return False
        if now - steps.began > _LONGEST_TURN:
            return False
        try:
            is_written = self._write_piece(data)
        except Exception as problem:
            raise UnsentError from problem
        if is_written:
            self._last_sent = now
        return is_written

    def unwatch(self) -> None:
        """Stop watching, and send no more heartbeats: the last event was read, and the application may clean up."""
        self._watched, self._heartbeat = False, None

    async def run(
        self,
        writing: Coroutine[Any, Any, None],
        watch: Watch | None,
        send_heartbeat: Callable[[Send], Awaitable[None]],
    ) -> bool:
        """Write until the end (True), or until the client leaves, as `watch` tells (False). None: nobody watches.

        `send_heartbeat` gets the server's own `send`, since `self.send` waits for it.
        Raises SlowClientError, and what the writing raised.
        """
        task = self._task = asyncio.current_task()
        others = (
            0 if task is None else task.cancelling()
        )  # others' cancellations aren't ours to take back
        self._steps = _Steps(writing)
        self._last_sent = time.monotonic()
        self._send_heartbeat = send_heartbeat
        unwatch = None if watch is None else watch(self._leave)
        self._set_timer()
        problem: BaseException | None = None
        try:
            await self._steps
        except BaseException as raised:  # noqa: BLE001  # it is raised below
            problem = raised
        finally:
            self._task = None
            if unwatch is not None:
                unwatch()
            await self._stop_timer()
            # Both lead back to this object, which then only the garbage collector could free.
            del self._send_heartbeat
            self._steps = None
        try:
            if self._interruption is not None:
                self._end_interruption(self._interruption, problem, task, others)
                return False
            if isinstance(problem, UnsentError):
                self._log_unsent(problem.__cause__)
                return False
            if problem is not None:
                raise problem
            return True
        finally:
            problem = None  # its traceback leads back to this frame, and so to all of the answer

    # --- inside ---------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """The client has left."""
        if self._watched:
            self._interrupt(_LeftError())

    def _interrupt(self, why: Exception) -> None:
        if self._task is not None and self._interruption is None:
            self._interruption = why
            self._task.cancel()

    def _end_interruption(
        self,
        why: Exception,
        problem: BaseException | None,
        task: asyncio.Task[Any] | None,
        others: int,
    ) -> None:
        """Take the cancellation back. Raises why it was, unless the client left, and what others cancelled."""
        if task is not None and task.uncancel() > others:
            raise asyncio.CancelledError
        if not isinstance(why, _LeftError):
            raise why
        if problem is not None and not isinstance(problem, asyncio.CancelledError):
            self._log_unheard(problem)

    def _log_unsent(self, cause: BaseException | None) -> None:
        if not isinstance(cause, OSError | WebSocketDisconnect):
            logger.warning("request %s: the server did not send", self._request_id, exc_info=cause)

    def _log_unheard(self, problem: BaseException) -> None:
        """Log what the writing raised when it was stopped: the client, who has left, doesn't see it."""
        if not isinstance(problem, Exception):
            raise problem
        if isinstance(problem, UnsentError | AbortedError):
            return
        logger.error(
            "request %s: the events raised %s when the client had left",
            self._request_id,
            type(problem).__name__,
            exc_info=problem,
        )

    # --- timers ---------------------------------------------------------------------------------------------

    def _end_beat(self, _: asyncio.Task[None]) -> None:
        self._beating = None
        self._set_timer()

    def _set_timer(self) -> None:
        seconds = self._seconds_until_due()
        if seconds is not None and self._task is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._look)

    async def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._beating is not None:
            await stop(self._beating)

    def _look(self) -> None:
        """Something could be due."""
        if self._is_send_late():
            self._interrupt(SlowClientError(_TOO_SLOW))
        elif self._is_heartbeat_due():
            self._heartbeat_sent = asyncio.get_running_loop().create_future()
            self._beating = asyncio.create_task(self._beat(self._heartbeat_sent))
            self._beating.add_done_callback(self._end_beat)
        else:
            self._set_timer()

    async def _beat(self, sent: asyncio.Future[None]) -> None:
        """Send a heartbeat, for which `send` waits."""
        try:
            async with asyncio.timeout(self._write_timeout):
                await self._send_heartbeat(self._send)
        except TimeoutError:
            self._interrupt(SlowClientError(_TOO_SLOW))
        except OSError:
            pass  # the client has left, as its watch is about to say
        except Exception as problem:  # noqa: BLE001  # it ends the writing
            self._interrupt(problem)
        finally:
            if not sent.done():  # it was cancelled together with the `send` that waits for it
                sent.set_result(None)
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
