"""Client watches: how a writer hears that its client has left.

A watch is called with what is to be done then, and returns what ends it. Servers say it in a message, for which a task
has to wait. `llmstream serve` does without: its connections know, and a task costs more than a piece of an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from starlette.types import Receive, Scope

Stop: TypeAlias = Callable[[], object]
Watch: TypeAlias = Callable[[Callable[[], None]], Stop]
WATCH = "llmstream.watch"
"""The name of a connection's own watch in a request's state: it is given `receive`, and returns a Watch or None."""


def by_listening(listen: Callable[[], Coroutine[Any, Any, None]]) -> Watch:
    """The watch of a client that has left when `listen` returns."""

    def watch(leave: Callable[[], None]) -> Stop:
        listening = asyncio.create_task(listen())
        listening.add_done_callback(lambda task: None if task.cancelled() else leave())
        return listening.cancel

    return watch


def of_request(scope: Scope, receive: Receive) -> Watch:
    """The watch of an HTTP request's client: its connection's own, where nobody came between it and `receive`."""
    find = (scope.get("state") or {}).get(WATCH)
    own: Watch | None = None if find is None else find(receive)
    return own or by_listening(partial(_disconnect, receive))


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
