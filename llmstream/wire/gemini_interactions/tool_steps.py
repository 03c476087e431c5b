"""ToolSteps: calls of the caller's and their arguments, and the tools that Google runs, as pieces of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstream.checks import as_text
from llmstream.messages import parse_arguments
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.gemini_interactions.open_step import OpenStep
from llmstream.wire.gemini_interactions.steps import FORMAT, parse_ran, parse_result
from llmstream.wire.open_calls import as_arguments, as_name


class ToolSteps(Decoder):
    """The part of the decoder that knows the steps of tools."""

    format = FORMAT

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._last_ran = ""  # the id of the last call that Google ran

    def begin_call(self, step: OpenStep, body: Mapping[str, Any]) -> None:
        """A call begins, with its name as a rule."""
        step.begun = _given_arguments(body)
        call = step.call = self._open_call(as_text(body.get("id")), as_name(body.get("name")))
        self._sign_call(step, body)
        self._call_delta(call, "", named=bool(call.name))

    def _sign_call(self, step: OpenStep, said: Mapping[str, Any]) -> None:
        """Some servers sign the call, not the thought before it."""
        signature = as_text(said.get("signature"))
        if signature and step.call is not None:
            self._note_call(step.call, {"signature": signature})

    def parse_arguments_of(self, step: OpenStep, delta: dict[str, Any]) -> None:
        """The next characters of a call's arguments."""
        call = step.call
        if call is None:  # one that Google runs
            step.add_arguments(delta.get("arguments"))
            return
        call.name = call.name or as_name(delta.get("name"))
        call.id = call.id or as_text(delta.get("id")) or ""
        arguments = as_arguments(delta.get("arguments"))
        if step.begun and arguments:
            arguments, step.begun = _after(step.begun, arguments), ""
        self._call_delta(call, arguments, named=bool(call.name))
        self._sign_call(step, delta)

    def end_call(self, step: OpenStep) -> None:
        """A call is over: its arguments are those that it began with, if none have streamed."""
        call = step.call
        if call is not None:
            self._call_delta(call, step.begun, named=bool(call.name))
            call.done = bool(call.name)

    def tell_rest_of_call(self, known: OpenStep, step: dict[str, Any]) -> None:
        """A whole call: its arguments, if it had none before."""
        call = known.call
        if call is not None and not (call.has_begun or call.has_left or known.begun):
            call.name = call.name or as_name(step.get("name"))
            self._call_delta(call, _given_arguments(step), named=bool(call.name))

    def tell_ran(self, step: OpenStep) -> None:
        """A call of a tool that Google ran. Its arguments may have streamed as a text."""
        arguments = step.body.get("arguments")
        if isinstance(arguments, str):
            step.body["arguments"] = parse_arguments(arguments) or {}
        told = parse_ran(step.body, as_text(step.body.get("id")) or "")
        call = self._open_call(told.id, told.name, by_provider=True)
        call.provider_data = told.provider_data
        self._call_delta(call, told.arguments)
        call.done = True
        self._last_ran = call.id

    def tell_result(self, step: OpenStep) -> None:
        """What came of it. One without an id is of the last call."""
        last = self._last_ran or f"{step.kind}_{self.start.id or ''}"
        self._tool_result(parse_result(step.body, as_text(step.body.get("call_id")) or last))


def _given_arguments(step: Mapping[str, Any]) -> str:
    """The arguments that a step says; `{}` says nothing."""
    given = step.get("arguments")
    return as_arguments(given) if given else ""


def _after(begun: str, arguments: str) -> str:
    """The first streamed arguments of a call that began with some: they tell those again, replace them or go on."""
    tells_again = begun.startswith(arguments) or arguments.startswith(begun)
    if tells_again or parse_arguments(begun) is not None:
        return arguments
    return begun + arguments
