"""The tools of a Responses request as its client knows them, whatever name they had at the provider.

Another format has neither namespaces nor custom tools: `wire/fitting/tools.py` sends them as functions, a namespace's
under a joined name, a custom tool's with the one argument `input`. So a call of such a function is turned back here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import HostedTool, Tool, ToolCall
from llmstream.provider_data import keep
from llmstream.wire.fitting.tools import joined_name, members_of
from llmstream.wire.openai_responses.items import FORMAT

CUSTOM = "custom_tool_call"


class ClientTools:
    """One request's tools; also what of one answer is held back, so one for each answer."""

    def __init__(self, tools: Sequence[Tool | HostedTool]) -> None:
        self.custom: set[str] = set()
        """The names of custom tools, as the client has them."""
        self._known: dict[str, dict[str, Any]] = {}
        self._held: set[int] = set()
        for tool in tools:
            if isinstance(tool, HostedTool):
                self._add(tool.definition)

    def _add(self, definition: Mapping[str, Any]) -> None:
        namespace = str(definition.get("name") or "")
        if definition.get("type") == "custom":
            self._name("", definition)
        for member in members_of(definition):
            self._name(namespace, member)

    def _name(self, namespace: str, tool: Mapping[str, Any]) -> None:
        """Note what a call of the function that this tool became means."""
        name = str(tool.get("name") or "")
        known: dict[str, Any] = {"name": name}
        if namespace:
            known["namespace"] = namespace
        if tool.get("type") == "custom":
            known["type"] = CUSTOM
            self.custom.add(name)
        self._known[joined_name(namespace, name)] = known

    def restore(self, event: StreamEvent) -> Iterator[StreamEvent]:
        """The event with the client's own name of a tool. Deltas of a custom call wait: they may be JSON."""
        if event.tool_call is not None and event.type is EventType.TOOL_CALL:
            yield replace(event, tool_call=self._call(event.tool_call))
            return
        delta = event.tool_call_delta
        if delta is None:
            yield event
            return
        if delta.id:
            self._held.discard(delta.index)
        known = self._known.get(delta.name) if delta.id else None
        if known is not None and "type" in known:
            self._held.add(delta.index)
        if delta.index in self._held:
            return
        if known is not None:
            delta = replace(delta, name=known["name"], provider_data=_data(known))
            event = replace(event, tool_call_delta=delta)
        yield event

    def _call(self, call: ToolCall) -> ToolCall:
        data = call.provider_data or {}
        if call.executed_by == "provider" or data.get("format") == FORMAT:
            return call
        known = self._known.get(call.name, {"name": call.name})
        kept = {"llmstream": data} if data else {}
        arguments = _input_of(call) if "type" in known else call.arguments
        return replace(
            call,
            name=known["name"],
            arguments=arguments,
            provider_data=_data({**known, **kept}),
        )


def _data(known: Mapping[str, Any]) -> dict[str, Any] | None:
    said = {name: value for name, value in known.items() if name != "name"}
    return keep(FORMAT, said, {"type"})


def _input_of(call: ToolCall) -> str:
    """The text for a custom tool: the function's one argument, or all that was written if it isn't there."""
    given = (call.input or {}).get("input")
    return given if isinstance(given, str) else call.arguments
