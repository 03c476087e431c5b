"""RecentItems: the items of the last answers, for clients that name them instead of sending them again.

The AI SDK does so by default. It is a memory of this process, bounded and without a promise: an item that was
forgotten, or that another worker wrote, is a 404 in OpenAI's words. A client that says `store: false` sends its items.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from llmstream.web.app_state import Service
from llmstream.web.dialect_endpoints import Mounted
from llmstream.web.dialects import Ask
from llmstream.web.dialects.openai_responses import OpenAIResponses
from llmstream.web.limits import check_size

_MAX_SIZE = 32 * 1024 * 1024


class RecentItems:
    """`max_size` bounds the characters of all items, as JSON. The oldest are forgotten first."""

    def __init__(self, max_size: int = _MAX_SIZE) -> None:
        self._max_size = max_size
        self._items: OrderedDict[tuple[str, str], tuple[Mapping[str, Any], int]] = OrderedDict()
        self._size = 0

    def add(self, who: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Remember one client's items."""
        for item in items:
            id = item.get("id")
            if not isinstance(id, str):
                continue
            size = len(json.dumps(item, ensure_ascii=False, default=str))
            self._forget((who, id))
            self._items[who, id] = item, size
            self._size += size
        while self._size > self._max_size:
            self._forget(next(iter(self._items)))

    def resolved(self, who: str, items: Any, most: int) -> Any:
        """An input with the items in place of their names. What isn't known stays a name.

        Raises RefusedError where they have more characters than `most`: a name may stand in it any number of times.
        """
        if not isinstance(items, list):
            return items
        found = [self._found(who, item) for item in items]
        check_size(sum(size for _, size in found), most)
        return [item for item, _ in found]

    def _found(self, who: str, item: Any) -> tuple[Any, int]:
        """An item, and the size of one that was named."""
        if not isinstance(item, Mapping) or item.get("type") != "item_reference":
            return item, 0
        return self._items.get((who, str(item.get("id"))), (item, 0))

    def _forget(self, name: tuple[str, str]) -> None:
        _, size = self._items.pop(name, (None, 0))
        self._size -= size


class MountedResponses(Mounted):
    """A dialect of Responses over one Service, whose clients may name items of earlier answers."""

    def __init__(self, service: Service, dialect: OpenAIResponses, recent: RecentItems) -> None:
        super().__init__(service, dialect)
        self._recent = recent

    def parse(self, body: Any, who: str) -> Ask:
        """The call that a body of this client's stands for. Raises RefusedError."""
        if not isinstance(body, Mapping):
            return super().parse(body, who)
        most = self._service.limits.max_body
        resolved = self._recent.resolved(who, body.get("input"), most)
        ask = super().parse({**body, "input": resolved}, who)
        if body.get("store") is not False:
            ask.reply.keep = partial(self._recent.add, who)
        return ask
