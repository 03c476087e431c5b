"""ServerStore: where a server that runs as a program keeps conversations, over all readings of its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.conversations.stores.limits import StoreLimits
from llmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from llmstream.conversations import ConversationClient, MemoryStore, SQLiteStore

    OwnStore: TypeAlias = MemoryStore | SQLiteStore


class ServerStore:
    """A SQLite file, or memory, which is there from the first conversation on. Raises ConfigurationError."""

    def __init__(self, path: str | None = None) -> None:
        self._store: OwnStore | None = None if path is None else _open_file(path)
        self._ttl: float | None = None
        self._limits = StoreLimits()

    def conversations(
        self, client: LLMClient
    ) -> ConversationClient | Callable[[], ConversationClient]:
        """What `create_app` takes, to have `client` answer: a function while there is no store."""
        make = partial(self._open, client)
        return make if self._store is None else make()

    def limit(self, ttl: float | None, limits: StoreLimits) -> None:
        """Keep as much as this from now on, for `ttl` seconds."""
        self._ttl, self._limits = ttl, limits
        if self._store is not None:
            self._store.ttl, self._store.limits = ttl, limits

    async def aclose(self) -> None:
        """Close it."""
        if self._store is not None:
            await self._store.aclose()

    def _open(self, client: LLMClient) -> ConversationClient:
        from llmstream.conversations import ConversationClient, MemoryStore

        if self._store is None:
            self._store = MemoryStore(ttl=self._ttl, limits=self._limits)
        return ConversationClient(client, store=self._store)


def _open_file(path: str) -> SQLiteStore:
    problem = (  # the path isn't repeated, since a URL may hold a password
        "--conversations takes the path of a SQLite file, not a URL; "
        "for Redis call create_app with a ConversationClient of your own"
    )
    require("://" not in path, problem, ConfigurationError)
    from llmstream.conversations import SQLiteStore

    return SQLiteStore(path)
