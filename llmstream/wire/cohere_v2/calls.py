"""The tool calls of a Cohere answer: which call a piece goes on with, whatever its index, id and name lack.

- A piece without an index, or at one where no call began, goes on with the last call.
- A start at the index of a call that is over begins another, and so does one with another id.
- A name and an id may come late, or again. An id that changes without a name is the same call's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.checks import as_object
from llmstream.wire.cohere_v2 import members
from llmstream.wire.json_fields import as_string
from llmstream.wire.open_calls import OpenCall, as_arguments, as_name, content_of
from llmstream.wire.unread import Unread


@dataclass(frozen=True, slots=True)
class CohereCall:
    """One object of `tool_calls`: a call, or a piece of one."""

    id: str
    name: str
    arguments: str

    @property
    def content(self) -> tuple[str, str]:
        """What a whole call asks for."""
        return content_of(self.name, self.arguments)


def parse_call(given: Mapping[str, Any], unread: Unread) -> CohereCall:
    """A call in any of its forms. TypeError makes its frame a bad one."""
    function = as_object(given.get("function", given))
    unread.look_over("tool_calls.", given, members.CALL | members.FUNCTION)
    unread.look_over("tool_calls.function.", function, members.FUNCTION | members.CALL)
    return CohereCall(
        as_string(given.get("id") or ""),
        as_name(function.get("name")),
        as_arguments(function.get("arguments")),
    )


class CohereCalls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self.all: dict[OpenCall, str] = {}
        """Each in its order, and the id that Cohere gave it."""
        self._by_index: dict[Any, OpenCall] = {}
        self._first: dict[str, OpenCall] = {}  # by id
        self._latest: OpenCall | None = None

    def at(self, index: Any) -> OpenCall | None:
        """The call at an index; the last one, if none is there."""
        return self._by_index.get(_key(index), self._latest)

    def find(self, index: Any, piece: CohereCall, *, starts: bool) -> OpenCall | None:
        """The call that a piece goes on with; None: it begins one. The call learns its name and id."""
        call = (
            self._by_index.get(_key(index))
            if starts and _key(index) is not None
            else self.at(index)
        )
        if call is None or self._is_another(call, piece, starts=starts):
            return None
        if call.index is None:
            call.add_name(piece.name)
            call.id = call.id or piece.id
        self.all[call] = self.all[call] or piece.id
        return call

    def add(self, index: Any, piece: CohereCall, call: OpenCall) -> None:
        """A call has begun with this piece. One whose id is known may be that one again."""
        self.all[call] = piece.id
        self._by_index[_key(index)] = self._latest = call
        if piece.id:
            call.original = self._first.get(piece.id)
            self._first.setdefault(piece.id, call)

    def _is_another(self, call: OpenCall, piece: CohereCall, *, starts: bool) -> bool:
        own = self.all[call]
        if piece.id and own:
            has_changed = piece.id != own and bool(starts or piece.name)
            return has_changed or (starts and call.done)
        return starts and (call.done or bool(piece.name and call.is_whole()))


def _key(index: Any) -> Any:
    return index if type(index) is int else None
