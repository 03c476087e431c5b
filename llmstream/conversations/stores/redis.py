"""RedisStore: conversations in Redis, shared by any number of machines."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, cast

from llmstream.conversations.errors import AccessError, ConversationBusyError, StoreError
from llmstream.conversations.records import ConversationRecord, Owner, SessionRecord, Turn
from llmstream.conversations.stores.protocol import parse, parse_turns, render

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Leases run by the server's clock, so that machines whose clocks differ agree; TIME makes it work from Redis 5 on.
# KEYS of a conversation: 1 its record, 2 its turns (a list), 3 its lease (a hash: name, until in ms). ARGV[1]: the TTL.
# redis-py sends a script again where the connection broke before the reply, so each does the same the second time.
_HEAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep()
  if ARGV[1] ~= '0' then for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end end
end
local function held(name) return redis.call('HGET', KEYS[3], 'name') == name end
"""
_ADD = (
    _HEAD
    + """
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
for i = 3, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
keep()
"""
)
_ACQUIRE = (
    _HEAD
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'none' end
local lease = redis.call('HMGET', KEYS[3], 'name', 'until')
if lease[1] and lease[1] ~= ARGV[2] and tonumber(lease[2]) > now then return tonumber(lease[2]) - now end
redis.call('HSET', KEYS[3], 'name', ARGV[2], 'until', now + ARGV[3])
keep()
return redis.call('LRANGE', KEYS[2], 0, -1)
"""
)
_RENEW = (
    _HEAD
    + """
if not held(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[3], 'until', now + ARGV[3])
keep()
return 1
"""
)
_WRITE = (
    _HEAD
    + """
if not held(ARGV[2]) then return redis.call('LINDEX', KEYS[2], ARGV[3]) == ARGV[4] and 1 or 0 end
if redis.call('LLEN', KEYS[2]) == tonumber(ARGV[3]) then redis.call('RPUSH', KEYS[2], ARGV[4])
else redis.call('LSET', KEYS[2], ARGV[3], ARGV[4]) end
if ARGV[5] == '1' then redis.call('DEL', KEYS[3]) end
keep()
return 1
"""
)
_RELEASE = (
    _HEAD
    + """
if held(ARGV[2]) then redis.call('DEL', KEYS[3]) end
"""
)


MAKE = 'make RedisStore(redis.asyncio.from_url("redis://…"))'
"""What whoever has a URL must do: the connection stays theirs."""


class RedisStore:
    """Conversations on the server of `redis`, a `redis.asyncio.Redis` that you make and close.

    A turn is written by one script, so all of it is there or nothing. It is as safe as your Redis: with its default of
    writing to disk now and then, the server's crash may lose the last turns; `appendonly yes` with `appendfsync always`
    loses none. `ttl`: seconds after its last turn at which a conversation is forgotten, and after its beginning a
    session; None: never. `prefix` begins every key. Raises TypeError for what is no such client.
    """

    def __init__(
        self, redis: Redis, *, prefix: str = "llmstream:", ttl: float | None = None
    ) -> None:
        if not hasattr(redis, "register_script") or _is_blocking(
            redis
        ):  # a URL may hold a password: not repeated
            raise TypeError(
                f"redis must be a redis.asyncio.Redis, not {type(redis).__qualname__}: {MAKE}"
            )
        if ttl is not None and not ttl > 0:
            raise ValueError(f"ttl must be seconds, or None for no end, not {ttl!r}")
        self._redis = redis
        self._process = os.getpid()
        self._prefix = prefix
        self._ttl = 0 if ttl is None else max(1, round(ttl * 1000))
        scripts = {
            "add": _ADD,
            "acquire": _ACQUIRE,
            "renew": _RENEW,
            "write": _WRITE,
            "release": _RELEASE,
        }
        self._scripts = {name: redis.register_script(text) for name, text in scripts.items()}

    async def add_session(self, session: SessionRecord) -> None:
        """Keep a new session."""
        await self._ask(
            self._redis.set(self._session_key(session.id), render(session), px=self._ttl or None)
        )

    async def session(self, session_id: str) -> SessionRecord | None:
        """The session of this id, if there is one."""
        kept = await self._ask(self._redis.get(self._session_key(session_id)))
        return None if kept is None else parse(SessionRecord, kept)

    async def add_conversation(
        self, conversation: ConversationRecord, turns: Sequence[Turn] = ()
    ) -> None:
        """Keep a new conversation and its turns."""
        mine = self._owner_key(conversation.owner)
        # Listed first: cut off in between, the list names one that isn't there, which is no harm.
        await self._ask(self._redis.zadd(mine, {conversation.id: conversation.created}))
        await self._keep_listed(conversation.owner)
        await self._run(
            "add", conversation.id, render(conversation), *(render(turn) for turn in turns)
        )

    async def conversation(self, conversation_id: str) -> ConversationRecord | None:
        """The conversation of this id, if there is one."""
        kept = await self._ask(self._redis.get(self._keys(conversation_id)[0]))
        if kept is None:
            return None
        conversation = parse(ConversationRecord, kept)
        await self._keep_listed(conversation.owner)
        return conversation

    async def conversations(self, owner: Owner) -> list[ConversationRecord]:
        """All of one owner's, oldest first. Drops from the list those whose TTL is over."""
        mine = self._owner_key(owner)
        found = []
        for listed in await self._ask(self._redis.zrange(mine, 0, -1)):
            id = listed.decode() if isinstance(listed, bytes) else listed
            if (conversation := await self.conversation(id)) is not None:
                found.append(conversation)
            else:
                await self._ask(self._redis.zrem(mine, id))
        return found

    async def delete_conversation(self, conversation_id: str) -> None:
        """Forget it with all its turns."""
        if (conversation := await self.conversation(conversation_id)) is not None:
            await self._ask(self._redis.delete(*self._keys(conversation_id)))
            await self._ask(self._redis.zrem(self._owner_key(conversation.owner), conversation_id))

    async def turns(self, conversation_id: str) -> list[Turn]:
        """All turns in order."""
        return await parse_turns(
            await self._ask(self._redis.lrange(self._keys(conversation_id)[1], 0, -1))
        )

    async def acquire(self, conversation_id: str, lease: str, seconds: float) -> list[Turn]:
        """Take the lease, and give all turns."""
        given = await self._run("acquire", conversation_id, lease, round(seconds * 1000))
        if isinstance(given, int):
            raise ConversationBusyError(
                "another turn of this conversation is being answered", given / 1000
            )
        if not isinstance(given, list):
            raise AccessError
        return await parse_turns(given)

    async def renew(self, conversation_id: str, lease: str, seconds: float) -> bool:
        """Hold the lease on."""
        return bool(await self._run("renew", conversation_id, lease, round(seconds * 1000)))

    async def write(
        self, conversation_id: str, lease: str, position: int, turn: Turn, *, release: bool
    ) -> bool:
        """Store the turn, if the lease is held."""
        return bool(
            await self._run("write", conversation_id, lease, position, render(turn), int(release))
        )

    async def release(self, conversation_id: str, lease: str) -> None:
        """Let the lease go."""
        await self._run("release", conversation_id, lease)

    async def aclose(self) -> None:
        """Nothing: the connection is yours to close."""

    def _leave_parent(self) -> None:
        """In a forked child: on one connection two processes read each other's replies, which redis-py allows."""
        self._process = os.getpid()
        pool = getattr(self._redis, "connection_pool", None)  # a cluster has one for each node
        if pool is not None:
            _left.append(dict(vars(pool)))
            pool.reset()

    async def _keep_listed(self, owner: Owner) -> None:
        """Its list may be on another node than the conversation, whose turns therefore can't keep it."""
        if (
            self._ttl
        ):  # twice, because a turn ends some time after the conversation was looked up for it
            await self._ask(self._redis.pexpire(self._owner_key(owner), 2 * self._ttl))

    def _session_key(self, session_id: str) -> str:
        return f"{self._prefix}session:{session_id}"

    def _owner_key(self, owner: Owner) -> str:
        return f"{self._prefix}owner:{owner.key}"

    def _keys(self, conversation_id: str) -> tuple[str, str, str]:
        head = f"{self._prefix}{{{conversation_id}}}:"  # the braces put all three on one node of a cluster
        return f"{head}conversation", f"{head}turns", f"{head}lease"

    async def _run(self, script: str, conversation_id: str, *arguments: str | int) -> Any:
        run = self._scripts[script]
        return await self._ask(run(keys=self._keys(conversation_id), args=(self._ttl, *arguments)))

    async def _ask(self, reply: Any) -> Any:
        from redis.exceptions import RedisError

        if self._process != os.getpid():
            self._leave_parent()
        try:
            return await cast("Awaitable[Any]", reply)
        except (RedisError, OSError) as error:
            raise StoreError(
                f"Redis: {type(error).__name__}: {error}; is the server up, and is there room?"
            ) from None
        except RuntimeError as error:  # asyncio's own, of a connection that an earlier loop left
            raise StoreError(
                f"Redis: {error}; a client serves one event loop: make another for each"
            ) from None


_left: list[Any] = []
"""What pools held of a parent process. Closing it would disturb the connections that the parent still uses."""


def _is_blocking(redis: Any) -> bool:
    from redis import Redis, RedisCluster

    return isinstance(redis, Redis | RedisCluster)
