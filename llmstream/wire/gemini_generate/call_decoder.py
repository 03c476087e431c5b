"""GenerateCallDecoder: the caller's calls in an answer of generateContent. Of what is around them it knows nothing.

A call comes whole, in pieces, or again. Without an id each is a call of its own. Under one id it is the same one if it
asks for the same, or for more.
"""

from __future__ import annotations

from typing import Any

from llmstream.checks import as_object, as_text
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.framing.json_array import EventsOrArray
from llmstream.wire.gemini_generate import members
from llmstream.wire.gemini_generate.partial_args import BRACE, PartialArguments
from llmstream.wire.gemini_generate.parts import FORMAT, SIGNATURE
from llmstream.wire.json_fields import join_texts, present
from llmstream.wire.open_calls import (
    OpenCall,
    as_arguments,
    as_name,
    content_of,
    has_grown,
    may_become,
)


class GenerateCallDecoder(Decoder):
    """Calls that begin, go on and end, whatever they lack."""

    format = FORMAT
    framing = EventsOrArray()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._streamed: dict[OpenCall, PartialArguments] = {}  # calls whose arguments go on
        self._first_calls: dict[str, OpenCall] = {}  # by id
        self._last_calls: dict[str, OpenCall] = {}

    def parse_call(self, body: dict[str, Any], notes: dict[str, Any]) -> None:
        """One `functionCall`: a call, or what goes on with an earlier one. `notes` go back with it."""
        known = self._going_on(body) or self._told_again(body)
        if known is not None and not known.name:
            known.add_name(as_name(body.get("name")))
        call = known or self._begin_call(body)
        signature = as_text(body.get(SIGNATURE))
        self._note_call(call, {**notes, **present(**{SIGNATURE: signature})})
        goes_on = body.get("willContinue") is True
        if call in self._streamed or body.get("partialArgs") or goes_on:
            self._parse_pieces(call, body, goes_on=goes_on)
        else:
            self._add_arguments(call, body)
        if not body.keys() <= members.CALL:
            self._unread.look_over("functionCall.", body, members.CALL)

    def _going_on(self, body: dict[str, Any]) -> OpenCall | None:
        """The call that goes on, if this is more of it: without a name, or with its name and more pieces."""
        id, name = as_text(body.get("id")), as_name(body.get("name"))
        call = self._last_calls.get(id) if id else next(reversed(self._streamed), None)
        if call is None or call not in self._streamed:
            return None
        whole = as_object(body.get("args"))
        is_whole = bool(whole) and has_grown(self._streamed[call].whole, whole)
        is_more = name == call.name and (is_whole or bool(body.get("partialArgs")))
        return call if is_more or not (name and call.name) else None

    def _told_again(self, body: dict[str, Any]) -> OpenCall | None:
        """The call that this tells again, by its id; with more arguments, if it hasn't left."""
        call = self._last_calls.get(as_text(body.get("id")) or "")
        comes_in_pieces = bool(body.get("partialArgs") or body.get("willContinue"))
        if call is None or comes_in_pieces:
            return None
        name, arguments = as_name(body.get("name")), as_arguments(body.get("args"))
        if name and call.name not in ("", name):
            return None
        if not arguments or content_of(call.name, arguments) == content_of(
            call.name, call.arguments
        ):
            return call
        return call if not call.has_left and may_become(call, arguments) else None

    def _begin_call(self, body: dict[str, Any]) -> OpenCall:
        id = as_text(body.get("id")) or ""
        if not id:
            self._end_all_pieces()
        call = self._open_call(id, as_name(body.get("name")))
        if id:
            call.original = self._first_calls.get(id)
            self._first_calls.setdefault(id, call)
            self._last_calls[id] = call
        return call

    def _add_arguments(self, call: OpenCall, body: dict[str, Any]) -> None:
        """The arguments of a call, whole."""
        arguments = as_arguments(body.get("args"))
        is_again = content_of(call.name, arguments) == content_of(call.name, call.arguments)
        if not (call.has_begun and (is_again or not arguments)):
            self._call_delta(call, arguments, first=True, named=True)
        call.done = bool(call.name)

    def _parse_pieces(self, call: OpenCall, body: dict[str, Any], *, goes_on: bool) -> None:
        if call not in self._streamed:
            self._streamed[call] = PartialArguments()
            self._call_delta(call, BRACE, named=True)
        arguments = self._streamed[call]
        text = join_texts(map(arguments.add, body.get("partialArgs") or ()))
        self._call_delta(call, text, named=True)
        if body.get("args"):
            arguments.replace(body["args"])
        if not goes_on:
            self._end_pieces(call)

    def _end_pieces(self, call: OpenCall) -> None:
        """The arguments that came in pieces are all there."""
        arguments = self._streamed.pop(call)
        self._call_delta(call, arguments.end(), named=True)
        if not arguments.is_in_order:
            call.newer = as_arguments(arguments.whole)
        call.done = bool(call.name)

    def _end_all_pieces(self) -> None:
        """Another call begins: those before it are whole."""
        for call in list(self._streamed):
            self._end_pieces(call)

    def end_calls(self) -> None:
        """The answer ends. Nobody said that the last call is whole; those before it were followed by others."""
        for call in list(self._streamed)[:-1]:
            self._end_pieces(call)
