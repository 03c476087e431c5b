"""Opaque data in an imported conversation: only what answers bring, and nothing that becomes a system message.

A message keeps what one wire format alone understands, and it goes back to that format as it came. In a document from
elsewhere such data may be anything: an item of Responses may call itself a developer's message, or name an item of the
operator's account. So what is imported may hold the kinds that our decoders make, and no `role`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from llmstream.checks import as_object, require
from llmstream.messages import ChatRequest, Message, Part, ProviderPart, TextPart, ToolResult
from llmstream.provider_data import MESSAGE_MEMBERS
from llmstream.wire.anthropic_messages.members import OPAQUE_BLOCKS
from llmstream.wire.formats import FORMATS, Format
from llmstream.wire.gemini_interactions.steps import is_ran_call, is_ran_result
from llmstream.wire.openai_responses.items import is_provider_call, is_provider_result
from llmstream.wire.openai_responses.members import OPAQUE_ITEMS

_KINDS: Final[Mapping[str, frozenset[str]]] = {
    # one that names a file of the account isn't taken
    "anthropic-messages": OPAQUE_BLOCKS - {"container_upload"},
    # one that names an item of the account isn't taken
    "openai-responses": OPAQUE_ITEMS - {"item_reference"},
    "gemini-interactions": frozenset({"function_result", "thought"}),
}
"""Types of the parts that only their format understands, by format. Parts without a type have members."""
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "bedrock-converse": frozenset({"reasoningContent"}),
    "gemini-generate": frozenset(
        {"continuationToken", "inlineData", "text", "thought", "thoughtSignature"}
    ),
    "gemini-interactions": frozenset({"continuation_token"}),
}
_CALLS: Final = frozenset(
    {"custom_tool_call", "function_call", "mcp_tool_use", "server_tool_use", "tool_use"}
)
"""Types that the data of a call names; that of a result ends in `_tool_result`."""


_RAN: Final[Mapping[str, Callable[[str], bool]]] = {
    "item": lambda kind: is_provider_call(kind) or is_provider_result(kind),
    "step": lambda kind: is_ran_call(kind) or is_ran_result(kind),
}
"""Members of a part's data that hold a call which the provider ran, or what came of it, and whether a type is one."""
_OPERATORS: Final = frozenset({"developer", "system"})
"""Roles in whose name only the operator speaks."""


def check_opaque(messages: Sequence[Message]) -> None:
    """Raise ValueError for data that no answer brings, or with which a turn of these messages couldn't be sent.

    Renderers raise other exceptions where such data isn't what they expect.
    """
    formats: set[str] = set()
    for data in chain.from_iterable(map(_data_in, messages)):
        if isinstance(data, ProviderPart):
            _check_provider_part(data)
            formats.add(data.format)
        else:
            _check_data(data)
            formats.add(str(data.get("format")))
    for format in sorted(formats & FORMATS.keys()):
        _check_rendered(FORMATS[format], messages)


def _check_rendered(format: Format, messages: Sequence[Message]) -> None:
    """Check what these messages become: nothing in them is the operator's."""
    if format.render is None:
        return
    asked = [*messages, Message("user", [TextPart("?")])]
    body = format.render_request(ChatRequest(asked, "any")).body
    lists = (value for value in body.values() if isinstance(value, list))
    for item in chain.from_iterable(lists):
        role = as_object(item).get("role")
        require(role not in _OPERATORS, f"a message of role {role!r} stands in opaque data")


def _data_in(message: Message) -> Iterator[ProviderPart | Mapping[str, Any]]:
    """All that a message has of opaque data."""
    if message.provider_data is not None:
        yield message.provider_data
    for part in message.parts:
        yield from _data_of(part)


def _data_of(part: Part) -> Iterator[ProviderPart | Mapping[str, Any]]:
    if isinstance(part, ProviderPart):
        yield part
        return
    data = getattr(part, "provider_data", None)
    if data is not None:
        yield data
    for shown in (part.shown or ()) if isinstance(part, ToolResult) else ():
        yield from _data_of(shown)


def _check_provider_part(part: ProviderPart) -> None:
    kind, known = part.data.get("type"), _MEMBERS.get(part.format, frozenset())
    is_known = (
        kind in _KINDS.get(part.format, ()) if "type" in part.data else part.data.keys() <= known
    )
    require(
        is_known and part.data and "role" not in part.data,
        f"a provider's part of type {str(kind)[:50]!r} for {part.format[:50]!r} is none that answers bring",
    )


def _check_data(data: Mapping[str, Any]) -> None:
    """Check what a format keeps with a part: its notes, and the objects in which they are."""
    objects = [data, *_inner(data)]
    require(not any("role" in each for each in objects), "provider_data has no role")
    if data.get("format") in _KINDS:
        _check_types(data)


def _check_types(data: Mapping[str, Any]) -> None:
    """Check the data of a format in which a type says what a part, or an item, is."""
    kind = str(data.get("type", "tool_use"))
    require(
        kind in _CALLS or kind.endswith("_tool_result"),
        f"provider_data of type {kind[:50]!r} is none that answers bring",
    )
    require(
        not any("type" in as_object(data.get(name)) for name in ("members", MESSAGE_MEMBERS)),
        "members of provider_data have no type",
    )
    for name, is_ran in _RAN.items():
        if data.get(name) is None:
            continue
        kind = str(as_object(data[name]).get("type"))
        require(
            is_ran(kind),
            f"provider_data whose {name} is of type {kind[:50]!r} is none that answers bring",
        )


def _inner(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("members", MESSAGE_MEMBERS, *_RAN):
        yield as_object(data.get(name))
