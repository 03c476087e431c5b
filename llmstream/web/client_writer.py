"""Outlet: one client's end of an answer, watched while somebody writes to it.

1. A client that leaves ends the writing at once, also while there is nothing to write: the writer is cancelled, and
   `run` is over only when the writer has closed what it reads from. After `unwatch()` nothing that the client does
   cancels the writer.
2. `send` waits while the client does not read, which is what holds the model up. When it waits for longer than
   `write_timeout` seconds, the writer is cancelled and SlowClientError raised.
3. After `heartbeat` seconds without a word, `beat` may send something; never in the middle of a `send`.
4. Twice in a millisecond the event loop gets its turn even if the writer never waits for anything, since servers
   swallow what is sent to a client that has gone.

Timers cost nothing per event: one task sleeps until the next thing could be due, and then looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocketDisconnect

from llmstream.log import get_logger
from llmstream.web.native_encoders import AbortedError

logger = get_logger("llmstream.web")
_BREATH = 0.0005
"""Seconds that a writer may go on without a turn of the event loop."""


class SlowClientError(Exception):
    """The client did not read for too long; what was sent is not whole, so the connection is to be cut."""


class UnsentError(Exception):
    """The server did not take it, since the client has gone: nothing that the writer can do anything about."""


class Outlet:
    """Give it to `run` a coroutine that writes with `send`. Times are seconds; None: no limit, no heartbeat."""

    def __init__(
        self,
        send: Send,
        *,
        request_id: str,
        heartbeat: float | None,
        write_timeout: float | None,
        beat: Callable[[], Awaitable[None]],
    ) -> None:
        self._send, self._request_id = send, request_id
        self._heartbeat, self._write_timeout, self._beat = heartbeat, write_timeout, beat
        self._last = self._breath = time.monotonic()
        self._since: float | None = None  # when the send began that is under way
        self._beating: asyncio.Future[None] | None = None
        self._watched = True

    async def send(self, message: Message) -> None:
        """Send, when the client has room for it. Raises UnsentError, which the writer lets through."""
        if self._beating is not None:
            await self._beating
        self._since = now = time.monotonic()
        try:
            await self._send(message)
        except Exception as problem:
            raise UnsentError from problem
        self._since = None
        self._last = now
        if now - self._breath > _BREATH and message.get(
            "more_body", True
        ):  # after the end servers say "disconnect"
            self._breath = now
            await asyncio.sleep(0)

    def unwatch(self) -> None:
        """The last event was read. The application may now clean up at its leisure, and no heartbeat is due."""
        self._watched, self._heartbeat = False, None

    async def run(
        self, writing: Coroutine[Any, Any, None], left: Coroutine[Any, Any, None]
    ) -> bool:
        """Write until the end, or until the client has gone, which is when `left` returns; True if it was the end.

        Raises SlowClientError, and what the writer raised. Cancelled, it cancels the writer and waits for it.
        """
        writer, leaving = asyncio.create_task(writing), asyncio.create_task(left)
        self._last = time.monotonic()
        try:
            while not writer.done() and not (self._watched and leaving.done()):
                waited = (writer,) if leaving.done() else (writer, leaving)
                await asyncio.wait(
                    waited, timeout=self._rest(), return_when=asyncio.FIRST_COMPLETED
                )
                if self._too_slow():
                    raise SlowClientError("the client did not read for too long")
                if self._silent() and not writer.done() and not leaving.done():
                    await self._pulse()
        finally:
            leaving.cancel()
            ended = writer.done()
            writer.cancel()
            await asyncio.wait((writer, leaving))
        if writer.cancelled():
            return False
        if not ended:
            self._log_unheard(writer.exception())
            return False
        try:
            writer.result()
        except UnsentError as problem:
            if not isinstance(problem.__cause__, OSError | WebSocketDisconnect):
                logger.warning(
                    "request %s: the server did not send",
                    self._request_id,
                    exc_info=problem.__cause__,
                )
            return False
        return True

    def _log_unheard(self, problem: BaseException | None) -> None:
        """Log what the writer raised when it was stopped: the client, who has left, is not told."""
        if problem is not None and not isinstance(problem, UnsentError | AbortedError):
            told = "request %s: the events raised %s when the client had left"
            logger.error(told, self._request_id, type(problem).__name__, exc_info=problem)

    async def _pulse(self) -> None:
        self._beating = asyncio.get_running_loop().create_future()
        try:
            if self._write_timeout is None:
                await self._beat()
            else:
                async with asyncio.timeout(self._write_timeout):
                    await self._beat()
        except TimeoutError:
            raise SlowClientError("the client did not read for too long") from None
        except OSError:
            pass  # the client has gone, as `left` is about to say
        finally:
            self._beating.set_result(
                None
            )  # only we cancel the writer that waits for it, and not now
            self._beating = None
            self._last = time.monotonic()

    def _rest(self) -> float | None:
        """Seconds until something could be due."""
        now = time.monotonic()
        rests = []
        if self._write_timeout is not None:
            began = now if self._since is None else self._since
            rests.append(began + self._write_timeout - now)
        if self._heartbeat is not None and self._since is None:
            rests.append(self._last + self._heartbeat - now)
        return max(0.001, min(rests)) if rests else None

    def _too_slow(self) -> bool:
        since = self._since
        return (
            since is not None
            and self._write_timeout is not None
            and time.monotonic() - since >= self._write_timeout
        )

    def _silent(self) -> bool:
        return (
            self._heartbeat is not None
            and self._since is None
            and time.monotonic() - self._last >= self._heartbeat
        )


async def http_client_left(receive: Receive) -> None:
    """Over when the client of an HTTP request has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
