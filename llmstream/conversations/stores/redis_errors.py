"""Errors of Redis in words: what happened, and what to do about this very failure."""

from __future__ import annotations

import re

from llmstream.conversations.errors import StoreError

_SERVER = "is the server up, and can it be reached from here?"
_CLUSTER = "the server is a node of a cluster: make a redis.asyncio.RedisCluster"
_REPLICA = (
    "this server is a replica, perhaps since a failover: connect to the primary, through Sentinel or "
    "your provider's address for writes"
)
_STARTING = "the server is starting or without its primary: try again in a moment"
_TOO_MANY = "it takes no more connections: raise the limit (maxclients, max_connections) or share one client"
_CREDENTIALS = "check the user name and the password of your Redis client"

NOEVICTION = (
    "set maxmemory-policy to noeviction, since any other policy deletes conversations where the "
    "memory is full"
)
"""What keeps Redis from forgetting."""

ADVICE = {
    # the first word of a server's error: https://github.com/redis/redis/blob/7.4/src/server.c (createSharedObjects)
    "WRONGTYPE": "another program uses the same keys: choose another prefix=",
    "MISSING": f"Redis has lost turns of this conversation: {NOEVICTION}",
    "READONLY": _REPLICA,
    "OOM": "the server's memory is full: raise maxmemory, delete something, or give RedisStore a ttl=",
    "LOADING": _STARTING,
    "MASTERDOWN": _STARTING,
    "TRYAGAIN": _STARTING,
    "BUSY": "a script of another program blocks the server: end it with SCRIPT KILL",
    "MISCONF": "the server can't write to its disk: make room there, or see the server's log",
    "NOREPLICAS": "too few replicas are connected for min-replicas-to-write: see to them",
    "UNKILLABLE": "a script of another program blocks the server: restart it",
    # src/cluster.c (getNodeByQuery)
    "MOVED": _CLUSTER,
    "ASK": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": "the cluster is without some of its nodes: see CLUSTER INFO, or try again in a moment",
    # src/acl.c, src/networking.c
    "NOAUTH": _CREDENTIALS,
    "WRONGPASS": _CREDENTIALS,
    "NOPERM": (
        "the user needs read and write on the keys of prefix=, and EVALSHA, EVAL, SCRIPT, GET, SET, "
        "DEL, the hash and sorted-set commands"
    ),
    "DENIED": "the server is in protected mode: set a password, or bind it to this machine alone",
}
"""What to do, by the word with which the server begins its error."""

_BY_CLASS = {
    # redis-py cuts the word off some errors and gives them a class of their own
    "ReadOnlyError": _REPLICA,
    "OutOfMemoryError": ADVICE["OOM"],
    "BusyLoadingError": _STARTING,
    "MasterDownError": _STARTING,
    "TryAgainError": _STARTING,
    "ClusterDownError": ADVICE["CLUSTERDOWN"],
    "MovedError": _CLUSTER,
    "AskError": _CLUSTER,
    "ClusterCrossSlotError": _CLUSTER,
    "SlotNotCoveredError": ADVICE["CLUSTERDOWN"],
    "RedisClusterException": ADVICE["CLUSTERDOWN"],
    "AuthenticationError": _CREDENTIALS,
    "AuthenticationWrongNumberOfArgsError": _CREDENTIALS,
    "AuthorizationError": _CREDENTIALS,
    "NoPermissionError": ADVICE["NOPERM"],
    "MaxConnectionsError": _TOO_MANY,
}


_BY_WORDS = (
    (re.compile("max number of clients|too many connections", re.IGNORECASE), _TOO_MANY),
    (
        re.compile("unknown (?:redis )?command", re.IGNORECASE),
        "the server must have scripts (EVAL) and hashes, as every Redis and Valkey has",
    ),
)


def explain(error: Exception) -> StoreError:
    """The error in words: what happened, and what to do."""
    name = type(error).__name__
    told = str(error) or "no details"
    return StoreError(f"Redis: {name}: {told}; {_find_advice(error, name, told)}")


def _find_advice(error: Exception, name: str, told: str) -> str:
    if name in _BY_CLASS:
        return _BY_CLASS[name]
    # A script's error has the word in front, or behind its own: "ERR Error running script … -OOM command …"
    found = [word for word in re.split(r"[-:\s]+", told) if word in ADVICE]
    if found:
        return ADVICE[found[0]]
    for pattern, advice in _BY_WORDS:
        if pattern.search(told):
            return advice
    if isinstance(error, OSError) or name in ("ConnectionError", "TimeoutError"):
        return _SERVER
    return "this is unexpected: see the server's log"
