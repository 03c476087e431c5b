"""The tool calls of an Ollama answer: each comes whole, with its arguments as an object."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmstream.checks import as_object
from llmstream.wire.json_fields import as_string, listed
from llmstream.wire.ollama_native import members
from llmstream.wire.open_calls import OpenCall, as_name, content_of, may_become
from llmstream.wire.unread import Unread


@dataclass(frozen=True, slots=True)
class WholeCall:
    """One entry of `tool_calls`."""

    id: str
    """Empty before Ollama 0.12."""
    index: Any
    """Its place in the answer, from versions that say it."""
    name: str
    arguments: str

    @property
    def content(self) -> tuple[str, str]:
        """What it asks for."""
        return content_of(self.name, self.arguments)

    def is_also(self, call: WholeCall) -> bool:
        """Whether both have one name and id; one place, where only one of them has an id."""
        if call.name != self.name:
            return False
        if call.id and self.id:
            return self.id == call.id
        return type(call.index) is int and self.index == call.index


class CallLog:
    """The calls of one answer, so that none is told twice where a server repeats them."""

    def __init__(self) -> None:
        self._told: list[WholeCall] = []
        self.opened: list[OpenCall] = []
        """What became of them."""
        self._stamp = ""

    def note_time(self, created_at: Any) -> None:
        """The time of the answer's first line: the one thing by which two answers differ."""
        if not self._stamp and isinstance(created_at, str):
            self._stamp = re.sub(r"\D", "", created_at)

    def untold(self, calls: list[WholeCall], *, at_end: bool) -> dict[int, WholeCall]:
        """The calls that weren't told yet, or not whole, by their place; each with an id if that can be had.

        A list may begin with all calls so far. Alone they are told again only `at_end`: a model may ask for the same
        twice.
        """
        told = [call.content for call in self._told]
        given = [call.content for call in calls]
        is_longer = len(calls) > len(told) or at_end
        if told and is_longer and given[: len(told)] == told:
            calls = calls[len(told) :]
        found: dict[int, WholeCall] = {}
        for call in calls:
            if not self._is_told(call):
                place = self._place_of(call)
                known = self._told[place]
                found[place] = known if known.id else replace(known, id=self._id_at(place))
        return found

    def _place_of(self, call: WholeCall) -> int:
        """Where a call stands: in place of the one that it tells with more arguments, or behind all."""
        for place, (told, opened) in enumerate(zip(self._told, self.opened, strict=False)):
            if told.is_also(call) and not opened.has_left and may_become(opened, call.arguments):
                self._told[place] = replace(call, id=told.id)
                return place
        self._told.append(call)
        return len(self._told) - 1

    def _id_at(self, place: int) -> str:
        """An id from the time of the answer and the call's place in it."""
        return f"call_{self._stamp}_{place}" if self._stamp else ""

    def _is_told(self, call: WholeCall) -> bool:
        """Whether a call with the same id, or at the same place, asked for the same."""
        return any(told.is_also(call) and told.content == call.content for told in self._told)


def parse_calls(given: Any, unread: Unread) -> list[WholeCall]:
    """The calls of a message; of one that isn't in a list, too. TypeError makes the line a bad one."""
    if not given:
        return []
    return [_parse_call(call, unread) for call in listed(given) if call is not None]


def _parse_call(call: Mapping[str, Any], unread: Unread) -> WholeCall:
    function = as_object(call.get("function", call))
    unread.look_over("message.tool_calls.", call, members.CALL | members.FUNCTION)
    if function is not call:
        unread.look_over("message.tool_calls.function.", function, members.FUNCTION)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = _as_text(arguments)
    id = call.get("id")
    place = function.get("index")
    return WholeCall(as_string(id or ""), place, as_name(function.get("name")), arguments)


def _as_text(arguments: Any) -> str:
    if arguments is None:
        return "{}"
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
