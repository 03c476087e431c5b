"""CallTable: the call that a piece of `tool_calls` belongs to. Servers disagree about numbering: content counts.

- A name that meets a call without one is that call's. A name without an id goes on with the call at its index until
  the arguments begin, unless it is the whole name, said again.
- An id that changes without a name is the same call's. With another name or with other arguments, one id at two
  indices means two calls; with the same, it is one that is told twice.
- Calls without ids are told apart by their indices, by their places in one list, and by arguments that are whole.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import parse_arguments
from llmstream.wire.object_end import ObjectEnd
from llmstream.wire.open_calls import NO_NAMES, OpenCall, content_of
from llmstream.wire.openai_chat import members
from llmstream.wire.unread import Unread

_ARGUMENTS = ("arguments", "parameters", "input")
"""Members with the arguments; the first that is there counts. The last two are other formats' words."""
_EXTRAS = ("extra_content", "provider_specific_fields")
_LEGACY = -1
"""The index of the one call of `function_call`, the form before tools."""
_MOST = 64
"""Calls of the other form that one is compared with."""


@dataclass(slots=True)
class CallPiece:
    """One entry of `tool_calls`."""

    id: str
    index: int | None
    name: str
    arguments: str
    is_custom: bool = False
    """A custom tool's, whose arguments are any text."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Members that go back as they came: Gemini's endpoint and LiteLLM put a thought's signature there."""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.id or self.name or self.arguments)


def parse_piece(entry: Mapping[str, Any]) -> CallPiece:
    """An entry of `tool_calls`, in any of its forms."""
    custom = entry.get("custom")
    said = custom or entry.get("function")
    if said is None and ("name" in entry or "arguments" in entry):
        said = entry  # flat, as in the Responses format
    said = said or {}
    names = ("input",) if custom else _ARGUMENTS
    arguments = next((said[name] for name in names if said.get(name) is not None), None)
    if not isinstance(arguments, str):  # an object, where others send its text
        arguments = "" if arguments is None else _compact(arguments)
    return CallPiece(
        id=as_text(entry.get("id")) or "",
        index=entry.get("index"),
        name=_name(said.get("name")),
        arguments=arguments,
        is_custom=bool(custom) or entry.get("type") == "custom",
        extra={name: value for name in _EXTRAS if (value := entry.get(name))},
    )


def parse_pieces(delta: Mapping[str, Any], unread: Unread) -> list[CallPiece]:
    """The pieces of calls in a delta. `function_call` may repeat what `tool_calls` says."""
    entries = _listed(delta.get("tool_calls") or [])
    entries = [entry for entry in entries if entry is not None]
    if function := delta.get("function_call"):
        entries.append({"index": _LEGACY, "function": function})
    for entry in entries:
        _look_over(entry, unread)
    return [parse_piece(entry) for entry in entries]


def _listed(entries: Any) -> list[Any]:
    """The entries of `tool_calls`, which may be one alone, or an object whose keys are their numbers."""
    if not isinstance(entries, dict):
        return list(entries)
    if not all(key.isdecimal() and isinstance(entry, dict) for key, entry in entries.items()):
        return [entries]
    return [{"index": int(key), **entry} for key, entry in entries.items()]


def _look_over(entry: Mapping[str, Any], unread: Unread) -> None:
    """Note the members of an entry that nobody reads."""
    if not entry.keys() <= members.CALL:
        unread.look_over("tool_calls.", entry, members.CALL)
    for name in ("function", "custom"):
        function = entry.get(name)
        if isinstance(function, dict) and not function.keys() <= members.CALL:
            unread.look_over(f"tool_calls.{name}.", function, members.CALL)


class CallTable:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._by_id: dict[str, OpenCall] = {}  # the last call with this id
        self._first: dict[str, OpenCall] = {}  # the first one
        self._by_index: dict[int, OpenCall] = {}
        self._other_indices: set[int] = set()  # at which a call went on that began elsewhere
        self._last: OpenCall | None = None
        # By whether it came in `function_call`, and by name.
        self._by_form: defaultdict[tuple[bool, str], list[OpenCall]] = defaultdict(list)
        self._given: dict[OpenCall, str] = {}  # the ids that the server gave them
        self._whole: dict[OpenCall, _WholeArguments] = {}
        self._listed: set[OpenCall] = set()  # those with a piece in this list

    def begin_list(self) -> None:
        """A new list of pieces follows."""
        self._listed.clear()

    def find(self, piece: CallPiece) -> OpenCall | None:
        """The call that a piece goes on with; None: it begins one. The call learns its name and id."""
        call = self._find(piece)
        if call is None:
            return None
        self._listed.add(call)
        if piece.index is not None and piece.index not in self._by_index:
            self._by_index[piece.index] = call
            self._other_indices.add(piece.index)
        call.add_name(piece.name)
        if piece.id and not self._given[call]:
            self._remember_id(call, piece.id)
            if call.index is None:
                call.id = piece.id
        return call

    def add(self, piece: CallPiece, call: OpenCall) -> None:
        """A piece has begun a call."""
        place = len(self._given)
        call.freeform = piece.is_custom
        first = self._first.get(piece.id)
        if first is not None and first.name == piece.name:
            call.original = first
        else:
            call.twins = self._twins(piece)
        self._given[call] = ""
        self._remember_id(call, piece.id)
        self._by_form[piece.index == _LEGACY, piece.name].append(call)
        self._last = call
        self._listed.add(call)
        self._by_index[place if piece.index is None else piece.index] = call

    def _twins(self, piece: CallPiece) -> list[OpenCall]:
        """The calls of this name that came in the other form: before tools, there was `function_call`."""
        is_legacy = piece.index == _LEGACY
        return self._by_form[not is_legacy, piece.name][:_MOST]

    def going_on(self, pieces: list[CallPiece]) -> list[tuple[OpenCall, str]]:
        """The calls of a message that have come in part, and what it adds to their arguments."""
        found = []
        for place, piece in enumerate(pieces):
            call = self._told_at(place, piece)
            told = call.begun if call is not None else ""
            if call is not None and piece.arguments != told and piece.arguments.startswith(told):
                found.append((call, piece.arguments[len(told) :]))
        return found

    def other_arguments(self, pieces: list[CallPiece]) -> list[str]:
        """The arguments of a message's calls that have come in other words."""
        found = []
        for place, piece in enumerate(pieces):
            call = self._told_at(place, piece)
            told = call.begun if call is not None else ""
            is_same = content_of("", piece.arguments) == content_of("", told)
            if piece.arguments and not is_same and not piece.arguments.startswith(told):
                found.append(piece.arguments)
        return found

    def untold(self, pieces: list[CallPiece], *, streamed: bool) -> list[CallPiece]:
        """The calls of a message that haven't come. Where calls are `streamed`, those at their places are they."""
        begun = len(self._given) if streamed else 0
        return [piece for piece in pieces[begun:] if not self._has(piece)]

    def _told_at(self, place: int, piece: CallPiece) -> OpenCall | None:
        """The call at this place of a message, if it has that id, or that name and no other id."""
        call = next(islice(self._given, place, None), None)
        if call is None or piece.name != call.name:
            return None
        given = self._given[call]
        is_same = not (given and piece.id) or given == piece.id
        return call if is_same else None

    def _has(self, piece: CallPiece) -> bool:
        """Whether a call of a message has come before."""
        content = content_of(piece.name, piece.arguments)
        told = (content_of(call.name, call.arguments) for call in self._given)
        return piece.id in self._by_id or content in told

    def calls(self) -> Iterable[OpenCall]:
        """All of them."""
        return self._given

    def _remember_id(self, call: OpenCall, id: str) -> None:
        self._given[call] = id
        if id:
            self._by_id[id] = call
            self._first.setdefault(id, call)

    def _find(self, piece: CallPiece) -> OpenCall | None:
        at_place = self._last if piece.index is None else self._by_index.get(piece.index)
        by_id = self._by_id.get(piece.id)
        if at_place is not None and piece.id and self._given[at_place] == piece.id:
            by_id = at_place
        known = at_place if by_id is None else by_id
        if known is None:
            return None
        if not piece.name:
            is_moved = at_place is not known or piece.index in self._other_indices
            if self._tells_again(known, piece, is_moved=is_moved):
                piece.arguments = ""
            return known
        if self._begins_anew(known, piece):
            return None
        if not known.name:
            return known
        if by_id is None:
            return known if self._goes_on(known, piece) else None
        is_moved = piece.index is not None and at_place is not by_id
        if is_moved:
            return known if self._brings_arguments(known, piece) else None
        is_same = piece.name == known.name or not known.has_begun
        return known if is_same else None

    def _tells_again(self, known: OpenCall, piece: CallPiece, *, is_moved: bool) -> bool:
        """Whether a piece without a name tells arguments that are whole already."""
        if is_moved:
            return bool(piece.arguments) and self._is_whole(known)
        if not self._begins_anew(known, piece):
            return False
        is_by_id = bool(piece.id) and piece.id == self._given[known]
        return is_by_id or content_of("", piece.arguments) == content_of("", known.arguments)

    def _brings_arguments(self, known: OpenCall, piece: CallPiece) -> bool:
        """Whether these are the first arguments of a call of this id and name, at another index."""
        is_same = piece.name == known.name and known not in self._listed
        return is_same and bool(piece.arguments) and not known.has_begun

    def _goes_on(self, known: OpenCall, piece: CallPiece) -> bool:
        """Whether a name at the place of a call, without that call's id, is that call's."""
        if piece.id and self._given[known]:
            return False
        if known in self._listed:
            return False
        return piece.name == known.name or not known.has_begun

    def _begins_anew(self, known: OpenCall, piece: CallPiece) -> bool:
        """Whether these are arguments from their beginning, where the known call's are whole already."""
        begins = piece.arguments.startswith("{") and not known.is_retold(piece.arguments)
        is_its = not piece.id or piece.id == self._given[known]
        if not begins or (is_its and not known.has_left and known.grows_to(piece.arguments)):
            return False
        return self._is_whole(known)

    def _is_whole(self, call: OpenCall) -> bool:
        """Whether its arguments are an object already. Some hosts repeat the name with each of many pieces."""
        if call not in self._whole:
            self._whole[call] = _WholeArguments(call)
        return self._whole[call].look()


class _WholeArguments:
    """Whether the arguments of one call are an object with something in it, asked again as they come."""

    def __init__(self, call: OpenCall) -> None:
        self.call = call
        self._end = ObjectEnd()
        self._looked_at = 0
        self._is = False

    def look(self) -> bool:
        if self.call.is_retelling:
            return bool(parse_arguments(self.call.begun))
        if not self._end.ended:
            for chunk in self.call.chunks[self._looked_at :]:
                self._end.feed(chunk)
            self._looked_at = len(self.call.chunks)
            if self._end.ended:
                self._is = bool(parse_arguments("".join(self.call.chunks)))
        return self._is


def _name(value: Any) -> str:
    name = as_text(value) or ""
    return "" if name.strip() in NO_NAMES else name


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
