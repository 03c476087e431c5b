"""`provider_data`: what one wire format alone says of a part, a message or a tool, kept to go back to it.

It names its format. Beside the name stand notes of ours, which our code reads, and `members`: what the block said that
has no name here, in its own words. They stand apart, so that no client's member is ever taken for a note.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_FORMAT = "format"
_MEMBERS = "members"
MESSAGE_MEMBERS = "message_members"
"""The note that keeps with a part what its message said beside the content."""

REASONING_NOTES = ("summary", "content")
"""Responses' parts of reasoning, where they say more than its text."""

_OF_A_PART = frozenset({"type", "text"})


def keep(
    format: str, said: Mapping[str, Any], notes: Collection[str] = ()
) -> dict[str, Any] | None:
    """The `provider_data` for what a block said beside the usual; None if it said nothing.

    What `said` has under the names in `notes` are notes of ours.
    """
    if not said:
        return None
    data = {name: value for name, value in said.items() if name in notes}
    members = {name: value for name, value in said.items() if name not in notes}
    if members:
        data[_MEMBERS] = members
    return {_FORMAT: format, **data}


def own_notes(data: Mapping[str, Any] | None, format: str) -> dict[str, Any]:
    """The notes, if this format made them."""
    if data is None or data.get(_FORMAT) != format:
        return {}
    return {name: value for name, value in data.items() if name not in (_FORMAT, _MEMBERS)}


def own_members(data: Mapping[str, Any] | None, format: str) -> dict[str, Any]:
    """The members, if this format made them."""
    if data is None or data.get(_FORMAT) != format:
        return {}
    return dict(_mapping(data, _MEMBERS))


def own_data(data: Mapping[str, Any] | None, format: str) -> dict[str, Any]:
    """Both, where the notes are members of the block, too."""
    return {**own_notes(data, format), **own_members(data, format)}


def all_members(data: Mapping[str, Any]) -> set[str]:
    """The names of the members, whichever format made them: the block's, its message's, its own parts'."""
    noted = (data.get(name) for name in REASONING_NOTES)
    parts = [part for each in noted if isinstance(each, list) for part in each]
    inside = {name for part in parts if isinstance(part, Mapping) for name in part}
    beside = {*_mapping(data, _MEMBERS), *_mapping(data, MESSAGE_MEMBERS)}
    return beside | (inside - _OF_A_PART)


def _mapping(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in it. A client may have kept the data, and changed it."""
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
