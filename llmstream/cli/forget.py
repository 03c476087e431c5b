"""`llmstream forget`: deletes all that a user has in the file of `llmstream serve --conversations`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from llmstream.checks import require, require_value
from llmstream.cli.arguments import Options
from llmstream.cli.turn import UsageError
from llmstream.conversations import SQLiteStore, StoreError
from llmstream.conversations.records import Owner

_USAGE = """forget takes a name, and the file:
  llmstream forget NAME --conversations chats.db   deletes the sessions and conversations of a key's holder"""


def forget(options: Options) -> int:
    """Delete a user's sessions and conversations. A server may be at work with the file. Raises UsageError."""
    try:
        from llmstream.web.conversation_endpoints import PLACE
    except ImportError as problem:
        raise UsageError(
            f'forget needs the extra "server": pip install "llmstream-core[server]" ({problem})'
        ) from problem
    _, *names = options.words
    require(len(names) == 1, _USAGE, UsageError)
    path = require_value(options.conversations, _USAGE, UsageError)
    require(Path(path).is_file(), f"there is no file {path!r}; nothing was deleted", UsageError)
    (name,) = names
    try:
        count = asyncio.run(_delete(path, Owner(user_id=name, **PLACE)))
    except StoreError as problem:
        raise UsageError(str(problem)) from None
    sys.stderr.write(f"{count} conversations of {name} are deleted, and their sessions\n")
    return 0


async def _delete(path: str, owner: Owner) -> int:
    store = SQLiteStore(path)
    try:
        return await store.delete_owner(owner)
    finally:
        await store.aclose()
