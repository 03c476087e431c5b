"""RedisStore: conversations in Redis, shared by any number of machines."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, cast

from llmstream.checks import require
from llmstream.conversations.errors import AccessError, ConversationBusyError, StoreError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores import redis_scripts
from llmstream.conversations.stores.limits import (
    Kept,
    StoreLimits,
    Total,
    check_ttl,
    is_question,
    size_of,
)
from llmstream.conversations.stores.protocol import BUSY, parse, parse_turns, render, render_turns
from llmstream.conversations.stores.redis_book import RedisBook
from llmstream.conversations.stores.redis_errors import ADVICE, NOEVICTION, explain
from llmstream.log import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

logger = get_logger("llmstream.conversations")

_MOST_WATCHED = 1000
"""Leases of others that are remembered: enough for all who wait at one moment."""
MAKE = 'make RedisStore(redis.asyncio.from_url("redis://…"))'
"""What whoever has a URL must do: the connection stays theirs."""


class RedisStore:
    """Conversations on the server of `redis`, a `redis.asyncio.Redis` that you make and close.

    A turn is written by one script, so all of it is there or nothing. It is as safe as your Redis:
    with its default of writing to disk now and then, the server's crash may lose the last turns;
    `appendonly yes` with `appendfsync always` loses none. Set `maxmemory-policy noeviction`: with any
    other, a full server deletes whole conversations, never a part of one.

    `ttl` and `limits` are told in `llmstream.conversations.stores.limits`; they may be set anew at any
    time. Give a store its limits from the beginning: what was added without any isn't counted in all.
    `prefix` begins every key. Leases run by time that passed: a server's clock
    that is set ends none, and one whose program died is free as long after the first question for it
    as it would have run. Raises TypeError for what is no such client.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        prefix: str = "llmstream:",
        ttl: float | None = None,
        limits: StoreLimits = StoreLimits(),  # noqa: B008  # frozen
    ) -> None:
        # A URL may hold a password, so it isn't repeated.
        require(
            hasattr(redis, "register_script") and not _is_blocking(redis),
            f"redis must be a redis.asyncio.Redis, not {type(redis).__qualname__}: {MAKE}",
            TypeError,
        )
        self.ttl = check_ttl(ttl)
        self.limits = limits
        self._redis = redis
        self._process = os.getpid()
        self._prefix = prefix
        self._watched: dict[str, tuple[str, float]] = {}
        scripts = {
            "add": redis_scripts.ADD,
            "acquire": redis_scripts.ACQUIRE,
            "renew": redis_scripts.RENEW,
            "write": redis_scripts.WRITE,
            "release": redis_scripts.RELEASE,
            "book": redis_scripts.BOOK,
        }
        self._scripts = {name: redis.register_script(text) for name, text in scripts.items()}
        names = ("used", "sizes", "size")
        self._sessions = RedisBook(self._book, [self._all_key("sessions")])
        self._conversations = RedisBook(self._book, [self._all_key(name) for name in names])

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session. Raises StoreFullError."""
        mine = self._sessions_key(session.owner)
        await self._forget_old_sessions(mine)
        await self._enter_session(session.id, mine)
        # Listed first: cut off in between, the list names one that isn't there, which does no harm.
        await self._ask(self._redis.zadd(mine, {session.id: time.time()}))
        if self._ttl:
            await self._ask(self._redis.pexpire(mine, self._ttl))
        await self._ask(
            self._redis.set(self._session_key(session.id), render(session), px=self._ttl or None)
        )
        if self.limits.sessions is not None:
            surplus = await self._ask(self._redis.zrange(mine, 0, -self.limits.sessions - 1))
            await self._delete_sessions(mine, surplus)

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        kept = await self._ask(self._redis.get(self._session_key(session_id)))
        return None if kept is None else parse(SessionRecord, kept)

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns. Raises ConversationLimitError or StoreFullError."""
        record, texts = render(conversation), await render_turns(turns)
        size = size_of(record) + sum(map(size_of, texts))
        self.limits.check_question(len(texts) - 1, 0)
        await self._enter(conversation.owner, Kept(conversation.id, inf, size, bool(texts)))
        # Listed first: cut off in between, the list names one that isn't there, which does no harm.
        await self._list(conversation)
        unfinished = _unfinished(turns[-1]) if turns else ""
        await self._run("add", conversation.id, record, unfinished, *texts)
        await self._forget_surplus(conversation.owner)

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        kept = await self._ask(self._redis.hget(self._key(conversation_id), "data"))
        if kept is None:
            return None
        conversation = parse(ConversationRecord, kept)
        await self._list(conversation)
        return conversation

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first. Drops from the list those that are gone."""
        mine = self._owner_key(owner)
        found = []
        for listed in await self._ask(self._redis.zrange(mine, 0, -1)):
            id = _text(listed)
            conversation = await self.conversation(id)
            if conversation is not None:
                found.append(conversation)
                continue
            await self._ask(self._redis.zrem(mine, id))
            if not self._ttl:
                logger.warning("a conversation is listed, but gone: %s", NOEVICTION)
        return found

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns."""
        conversation = await self.conversation(conversation_id)
        if conversation is not None:
            await self._delete(conversation.owner, conversation_id)

    async def delete_owner(self, owner: Owner) -> int:
        """Forget all sessions and conversations of an owner."""
        sessions = self._sessions_key(owner)
        await self._delete_sessions(sessions, await self._ask(self._redis.zrange(sessions, 0, -1)))
        listed = await self._ask(self._redis.zrange(self._owner_key(owner), 0, -1))
        deleted = [await self._delete(owner, _text(id)) for id in listed]
        # One that was looked up at that moment is listed again.
        await self._ask(self._redis.delete(self._owner_key(owner)))
        return sum(deleted)

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        kept = await self._ask(self._redis.hgetall(self._key(conversation_id)))
        return await parse_turns(_turns({_text(name): value for name, value in kept.items()}))

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""
        held, since = self._watched.pop(conversation_id, ("", 0.0))
        watched = round((time.monotonic() - since) * 1000)
        length = round(seconds * 1000)
        given = await self._run("acquire", conversation_id, lease, length, held, watched)
        if given is None:
            raise AccessError
        if isinstance(given[0], int):
            rest, holder = given[0], _text(given[1])
            self._watch(conversation_id, holder, since if holder == held else time.monotonic())
            raise ConversationBusyError(BUSY, rest / 1000)
        pairs = zip(given[::2], given[1::2], strict=True)
        return await parse_turns(_turns({_text(name): value for name, value in pairs}))

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        return bool(await self._run("renew", conversation_id, lease, round(seconds * 1000)))

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held. Raises ConversationLimitError or StoreFullError."""
        (text,) = await render_turns([turn])
        owner = None
        if is_question(turn):
            self.limits.check_question(position, size_of(text))
            owner = await self._enter_turn(conversation_id, position, text)
        given = (lease, position, text, turn.id, _unfinished(turn), int(release))
        size = await self._run("write", conversation_id, *given)
        await self._note_size(conversation_id, size or await self._size(conversation_id))
        if owner is not None:
            await self._forget_surplus(owner)
        return bool(size)

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go."""
        await self._run("release", conversation_id, lease)

    async def aclose(self) -> None:
        """Nothing: the connection is yours to close."""

    # --- limits ------------------------------------------------------------------------------------------

    async def _enter_session(self, id: str, mine: str) -> None:
        """Count a session among all. Raises StoreFullError. `mine` is the list of its owner's."""
        most, own = self.limits.all_sessions, self.limits.sessions
        if most is None:
            return
        refused = await self._sessions.enter(id, 0, ttl=self._ttl, most=most)
        if refused is not None and own is not None:
            going = [*map(_text, await self._ask(self._redis.zrange(mine, 0, -own)))]
            refused = await self._sessions.enter(id, 0, ttl=self._ttl, most=most, gone=going)
        if refused is not None:
            self.limits.check_sessions(refused.number - 1)

    async def _enter_turn(self, conversation_id: str, position: int, text: str) -> Owner | None:
        """Make room for a question, as `_enter` does. Returns the conversation's owner, if there is anything to do."""
        if not self.limits.count_conversations:
            return None
        key = self._key(conversation_id)
        data, size = await self._ask(self._redis.hmget(key, ["data", "size"]))
        if data is None:  # deleted meanwhile, which the write says
            return None
        before = await self._ask(self._redis.hstrlen(key, str(position)))
        grown = int(size or 0) + size_of(text) - before
        owner = parse(ConversationRecord, data).owner
        await self._enter(owner, Kept(conversation_id, inf, grown, is_used=True))
        return owner

    async def _enter(self, owner: Owner, new: Kept) -> None:
        """Count `new` among all, before it is written. Raises ConversationLimitError or StoreFullError.

        Whoever writes at the same moment is counted as well. A full store has room for whose own surplus goes.
        """
        self.limits.check_size(new.size)
        if not self.limits.count_all:
            return
        refused = await self._try(new)
        if refused is not None:
            surplus = self.limits.surplus(await self._kept_of(owner), new)
            refused = await self._try(new, surplus) if surplus else refused
        if refused is not None:
            self.limits.check_total(refused)

    async def _try(self, new: Kept, gone: Sequence[Kept] = ()) -> Total | None:
        limits, ids = self.limits, [kept.id for kept in gone]
        most, most_bytes = limits.all_conversations, limits.all_bytes
        return await self._conversations.enter(
            new.id, new.size, ttl=self._ttl, most=most, most_bytes=most_bytes, gone=ids
        )

    async def _forget_surplus(self, owner: Owner) -> None:
        """Forget what is too much of an owner's, now that the new is there: two who write see each other's."""
        if not self.limits.count_owner:
            return
        mine = await self._kept_of(owner)
        if not mine:
            return
        # By the server's time, so all who look agree.
        last = max(mine, key=lambda kept: (kept.used, kept.id))
        for kept in self.limits.surplus(mine, last):
            await self._delete(owner, kept.id)

    async def _kept_of(self, owner: Owner) -> list[Kept]:
        """The conversations of an owner, as limits count them."""
        ids = [
            _text(id) for id in await self._ask(self._redis.zrange(self._owner_key(owner), 0, -1))
        ]
        pipeline = self._redis.pipeline(transaction=False)
        for id in ids:
            pipeline.hmget(self._key(id), ["used", "size", "count"])
        found = await self._ask(pipeline.execute()) if ids else []
        kept = zip(ids, found, strict=True)
        return [
            Kept(id, float(used), int(size or 0), int(count or 0) > 0)
            for id, (used, size, count) in kept
            if used is not None
        ]

    async def _size(self, conversation_id: str) -> int:
        """The bytes of a conversation; 0 where it is gone."""
        return int(await self._ask(self._redis.hget(self._key(conversation_id), "size")) or 0)

    async def _note_size(self, conversation_id: str, size: int) -> None:
        """Count the bytes that a conversation has now; 0 where it is gone."""
        if not self.limits.count_all:
            return
        if size:
            await self._conversations.enter(conversation_id, size, ttl=self._ttl)
        else:
            await self._conversations.drop(conversation_id)

    async def _book(self, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        return await self._ask(self._scripts["book"](keys=keys, args=arguments))

    async def _delete(self, owner: Owner, conversation_id: str) -> bool:
        """Forget a conversation; returns whether it was there."""
        # Off the list first, which takes one on again that is used meanwhile.
        await self._ask(self._redis.zrem(self._owner_key(owner), conversation_id))
        deleted = await self._ask(self._redis.delete(self._key(conversation_id)))
        if self.limits.count_all:
            await self._conversations.drop(conversation_id)
        return bool(deleted)

    async def _delete_sessions(self, mine: str, ids: Sequence[str | bytes]) -> None:
        """Forget sessions of an owner, whose list is at `mine`."""
        for id in map(_text, ids):
            await self._ask(self._redis.delete(self._session_key(id)))
            await self._sessions.drop(id)
            await self._ask(self._redis.zrem(mine, id))

    async def _forget_old_sessions(self, mine: str) -> None:
        """Drop from an owner's list the sessions that the server has forgotten by now."""
        if self.ttl is not None and self.limits.sessions is not None:
            oldest = time.time() - self.ttl
            await self._ask(self._redis.zremrangebyscore(mine, "-inf", oldest))

    # --- inside ------------------------------------------------------------------------------------------

    @property
    def _ttl(self) -> int:
        """In milliseconds; 0: none."""
        return 0 if self.ttl is None else max(1, round(self.ttl * 1000))

    def _leave_parent(self) -> None:
        """In a forked child: on one connection two processes read each other's replies, which redis-py allows."""
        self._process = os.getpid()
        pool = getattr(self._redis, "connection_pool", None)  # a cluster has one for each node
        if pool is not None:
            _left.append(dict(vars(pool)))
            pool.reset()

    def _watch(self, conversation_id: str, held: str, since: float) -> None:
        """Remember since when another's lease has stood unrenewed, by a clock that nobody sets."""
        self._watched[conversation_id] = held, since
        if len(self._watched) > _MOST_WATCHED:
            del self._watched[next(iter(self._watched))]

    async def _list(self, conversation: ConversationRecord) -> None:
        """Its owner's list may be on another node, evicted by itself, and isn't kept by its turns."""
        mine = self._owner_key(conversation.owner)
        await self._ask(self._redis.zadd(mine, {conversation.id: conversation.created}))
        if self._ttl:
            # Twice, because a turn ends some time after the conversation was looked up for it.
            await self._ask(self._redis.pexpire(mine, 2 * self._ttl))

    def _session_key(self, session_id: str) -> str:
        return f"{self._prefix}session:{session_id}"

    def _sessions_key(self, owner: Owner) -> str:
        return f"{self._prefix}sessions:{owner.key}"

    def _all_key(self, name: str) -> str:
        # In braces, so that a cluster has all of them on one node.
        return f"{self._prefix}{{all}}:{name}"

    def _owner_key(self, owner: Owner) -> str:
        return f"{self._prefix}owner:{owner.key}"

    def _key(self, conversation_id: str) -> str:
        return f"{self._prefix}conversation:{conversation_id}"

    async def _run(self, script: str, conversation_id: str, *arguments: str | int) -> Any:
        run = self._scripts[script]
        key = self._key(conversation_id)
        return await self._ask(run(keys=[key], args=(self._ttl, *arguments)))

    async def _ask(self, reply: Any) -> Any:
        from redis.exceptions import ChildDeadlockedError, RedisClusterException, RedisError

        if self._process != os.getpid():
            self._leave_parent()
        try:
            return await cast("Awaitable[Any]", reply)
        # ValueError: an id or a reply that isn't text
        except (RedisError, RedisClusterException, OSError, ValueError) as error:
            raise explain(error) from None
        # RuntimeError: asyncio's own, of a connection that an earlier loop left
        except (RuntimeError, ChildDeadlockedError) as error:
            raise StoreError(
                f"Redis: {error}; a client serves one event loop: make another for each"
            ) from None


def _text(value: str | bytes) -> str:
    """A name, from a client that decodes or from one that doesn't."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _unfinished(turn: Turn) -> str:
    """The id by which a turn is known that may still be answered, else nothing."""
    return "" if turn.state == "complete" else turn.id


def _turns(fields: dict[str, Any]) -> list[Any]:
    """The turns of a conversation's hash, as they are stored. Raises StoreError where some are gone."""
    if not fields:
        return []
    try:
        return [fields[str(position)] for position in range(int(fields["count"]))]
    except (LookupError, ValueError):
        raise StoreError(ADVICE["MISSING"]) from None


_left: list[Any] = []
"""What pools held of a parent process. Closing it would disturb the connections that the parent still uses."""


def _is_blocking(redis: Any) -> bool:
    from redis import Redis, RedisCluster

    return isinstance(redis, Redis | RedisCluster)
