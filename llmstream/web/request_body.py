"""Bodies of requests: read within their bounds, and parsed where that holds up nobody else.

1. A body comes whole, as UTF-8, within `body_timeout`, and has at most `max_body` bytes.
2. Its values are counted before it is parsed. A parser can't be interrupted: 8 MB of `[]` take it a second, in which no
   stream goes on, also if it runs in a thread.
3. What is left is parsed and checked in a thread if it has more than SMALL bytes. The event loop then gets its turn
   every few milliseconds. There is one thread for LARGE bodies and one for the others, which don't wait for those.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from llmstream.json_size import has_more_values
from llmstream.tasks import finish_within
from llmstream.web.errors import RefusedError
from llmstream.web.limits import Limits, check_size

T = TypeVar("T")
SMALL: Final = 64 * 1024
"""Bytes of a body that is read in the event loop. The worst (300 tiny images) takes 40 ms, nearly all less than one."""
LARGE: Final = 1024 * 1024
"""Bytes of a body that may take a second to read."""
_DIGITS: Final = 309
"""Digits of a whole number: those of the largest float. To read and to write a number of n digits takes n² steps."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """A request's body. Raises RefusedError, also for one that is too large, too slow or compressed.

    One that is too large is refused at once. `llmstream.web.server.HTTP` then takes a little of what is on its way, so
    that the client hears of it; other servers may take all of it.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError(
            415, "invalid_request", "Send the body as it is, without Content-Encoding."
        )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal():
        check_size(int(announced), limits.max_body)
    try:
        return await finish_within(limits.body_timeout, _receive(request.receive, limits.max_body))
    except TimeoutError:
        text = "The request took too long to arrive."
        raise RefusedError(408, "timeout", text, headers={"connection": "close"}) from None


async def _receive(receive: Receive, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        check_size(size, most)
        if not message.get("more_body", False):
            return b"".join(pieces)


def parse_json(data: bytes | str, limits: Limits) -> Any:
    """JSON from a client. Raises RefusedError."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        if limits.max_values is not None and has_more_values(text, limits.max_values):
            told = f"The body has too many values: no more than {limits.max_values} are allowed."
            raise RefusedError(413, "invalid_request", told)
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise RefusedError(400, "invalid_request", "The body is not JSON.") from None


async def run_aside(size: int, work: Callable[[], T]) -> T:
    """Do what takes time in proportion to the `size` of a body: in a thread, if that is large."""
    if size <= SMALL:
        return work()
    thread = _thread(os.getpid(), size > LARGE)
    # The work knows the request that is answered, and so what its key may do.
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(thread, context.run, work)


def _parse_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        told = f"The body has a number of more than {_DIGITS} digits."
        raise RefusedError(400, "invalid_request", told)
    return int(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_parse_int)


@lru_cache(maxsize=2)
def _thread(process: int, is_large: bool) -> ThreadPoolExecutor:  # noqa: FBT001, ARG001  # its key
    """The thread of a process. A process that was forked has none of the threads of before."""
    return ThreadPoolExecutor(1, thread_name_prefix="llmstream-bodies")
