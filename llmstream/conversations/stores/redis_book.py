"""RedisBook: counts all that a RedisStore keeps of one kind, whoever adds at the same moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmstream.conversations.stores.limits import Total

Run = Callable[[Sequence[str], Sequence[str | int]], Awaitable[Any]]
"""Runs the script BOOK with these keys and arguments."""


class RedisBook:
    """The ids of one kind with their bytes. Redis counts, compares and writes in one step.

    `keys` are a sorted set of ids by their last use and, where bytes are counted, a hash of them and their sum.
    """

    def __init__(self, run: Run, keys: Sequence[str]) -> None:
        self._run, self._keys = run, keys

    async def enter(
        self,
        id: str,
        size: int,
        *,
        ttl: int,
        most: int | None = None,
        most_bytes: int | None = None,
        gone: Sequence[str] = (),
    ) -> Total | None:
        """Note `id` as used now, with `size` bytes, in place of those that are `gone`.

        `ttl` is in milliseconds, 0: none. Returns None, or without noting anything the total that would be too much.
        """
        limits = (-1 if limit is None else limit for limit in (most, most_bytes))
        refused = await self._run(self._keys, (ttl, *limits, id, size, *gone))
        return None if refused is None else Total(*refused)

    async def drop(self, *gone: str) -> None:
        """Forget ids."""
        await self._run(self._keys, (0, -1, -1, "", 0, *gone))
