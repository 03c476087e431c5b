"""Hosted tools: what a client's request has a provider do on the operator's account, beside answering.

A function is run by the client, and costs the operator nothing but tokens. A hosted tool is run by the provider: it is
paid for by the call, it may read the account's files, and `mcp` sends the conversation to whatever address the client
names. So a server refuses them all but for those that its operator named. The names are the providers' own types
without their versions, so `web_search` stands for `web_search_20250305`, for `web_search_preview` and for chat's
`web_search_options`. Google's tools have no type, but a member each: `google_search` stands for `{"googleSearch": {}}`,
too. A type or a member that nobody here knows counts as hosted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any, Final
from urllib.parse import urlsplit

from llmstream.checks import as_object, require
from llmstream.errors import ConfigurationError
from llmstream.messages import (
    ChatRequest,
    File,
    HostedTool,
    ImagePart,
    Message,
    ProviderPart,
    Source,
    Tool,
    ToolCall,
    ToolResult,
)
from llmstream.web.errors import RefusedError
from llmstream.wire.fitting.history import is_plain
from llmstream.wire.fitting.tools import GOOGLE_TOOLS

FILES: Final = "files"
"""The name for files of the operator's account, which a client names by an id or an address."""
PRIORITY: Final = "priority"
"""The name for faster answers at a higher price."""

_VERSION = re.compile(r"(_preview)?(_20\d\d_?\d\d_?\d\d)?$")
_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RUN_BY_CLIENTS: Final = frozenset(
    {
        # openai.types.chat.ChatCompletionToolUnionParam, openai.types.responses.ToolParam
        *("apply_patch", "computer", "computer_use", "custom", "function", "local_shell"),
        # https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview: client tools
        *("bash", "memory", "text_editor"),
        # google.genai.types.Tool: functions
        "function_declarations",
    }
)
"""Tools with a type of their own that the client runs itself."""
_PLACES: Final[Mapping[str, tuple[str, str, str]]] = {
    # openai.types.responses.FunctionShellToolParam
    "shell": ("environment", "type", "local"),
    # openai.types.responses.ToolSearchToolParam; its default is the provider
    "tool_search": ("execution", "", "client"),
}
"""Tools that run in either place, and the member that says that it is the client's."""
_SAME: Final = {"mcp_toolset": "mcp", "mcp_servers": "mcp"}
_OPTIONS: Final = {"web_search_options": "web_search"}
"""Members of a request that stand for a tool (https://platform.openai.com/docs/guides/tools-web-search)."""
_FAST: Final = frozenset({"fast", "priority"})
"""Values of `service_tier` and `speed` that cost more (https://openai.com/api-priority-processing)."""
_OFFERED: Final = frozenset({("openai-responses", "web_search")})
"""Tools that clients offer unasked, by format: Codex 0.171 has `web_search` in each request.

They are left out, with a warning, where nothing but functions would be called without them.
"""
_IDS: Final = ("file_id", "container_id")
_ADDRESSES: Final = ("fileUri", "uri", "url")
"""Members with the address of a file, in a provider's own data."""
_ANYBODY_S: Final = frozenset({"data", "http", "https"})
"""Schemes of files that need no account. `s3:` and `gs:` are read with the operator's rights."""
_FILES_API: Final = "generativelanguage.googleapis.com"
"""Where Google has the files of a key's account (https://ai.google.dev/api/files)."""


class HostedTools:
    """Those that clients may use. Raises ConfigurationError for what is no list of names."""

    def __init__(self, names: Collection[str] = ()) -> None:
        are_names = not isinstance(names, str) and all(map(_is_name, names))
        problem = f'hosted_tools must be a list of names such as ["web_search"], not {names!r}'
        require(are_names, problem, ConfigurationError)
        self._names = frozenset(map(family, names))

    def apply(self, request: ChatRequest, format: str | None = None) -> list[str]:
        """Take from a request what may be left out, with a warning each. Raises RefusedError for the rest.

        `format` is that of the client's words.
        """
        warnings = []
        for tool in [*request.tools]:
            if not isinstance(tool, HostedTool):
                continue
            for name in self._missing(hosted_in(tool.definition)):
                if not _is_offer(request, name, format):
                    raise _refused("tools", f"tools of type {name!r}", name)
                request.tools.remove(tool)
                warnings.append(f"tools: this server lets clients use no {name}; left out")
        # A message of plain text has neither tools nor files.
        others = [message for message in request.messages if not is_plain(message)]
        for definition in chain.from_iterable(map(_tools_in, others)):
            for name in self._missing(hosted_in(definition)):
                raise _refused("messages", f"tools of type {name!r}", name)
        if FILES not in self._names and any(map(_names_a_file, others)):
            raise _refused("messages", "files that are named by an id or lie in an account", FILES)
        self._check_options(request)
        return warnings

    def _check_options(self, request: ChatRequest) -> None:
        """Raise RefusedError for members that ask for more than was allowed."""
        for members in request.format_options.values():
            given = {option for option in _OPTIONS if members.get(option) is not None}
            for option in given:
                for name in self._missing([_OPTIONS[option]]):
                    raise _refused(option, option, name)
            self._check_price("speed", members.get("speed"))
        self._check_price("service_tier", request.service_tier)

    def _check_price(self, option: str, value: object) -> None:
        is_dear = isinstance(value, str) and value.lower() in _FAST
        if is_dear and PRIORITY not in self._names:
            raise _refused(option, f"{option} {value!r}", PRIORITY)

    def _missing(self, names: Collection[str] | Iterator[str]) -> list[str]:
        return [name for name in names if name not in self._names]


def family(kind: str) -> str:
    """A tool's type without its version, in lower case: Google writes `googleSearch` and `google_search`."""
    name = _in_words(_VERSION.sub("", kind))
    return _SAME.get(name, name)


def _in_words(name: str) -> str:
    return _NEXT_WORD.sub("_", name).lower()


_MEMBERS: Final = GOOGLE_TOOLS | set(map(_in_words, GOOGLE_TOOLS))
"""Members that are a tool each, whatever stands beside them."""


def hosted_in(definition: Mapping[str, Any]) -> Iterator[str]:
    """The names of the hosted tools that a definition stands for; of a namespace, those in it."""
    waiting = [definition]
    while waiting:
        tool = waiting.pop()
        if tool.get("type") == "namespace":
            waiting += map(as_object, _items(tool.get("tools")))
            continue
        for kind in _kinds(tool):
            if family(kind) not in _RUN_BY_CLIENTS and not _runs_at_client(kind, tool):
                yield family(kind)


def _kinds(definition: Mapping[str, Any]) -> list[str]:
    """The types that a definition has: its own, and the members that are tools themselves.

    One without a type or a name isn't a function, so each of its members counts.
    """
    members = [name for name in definition if name in _MEMBERS]
    kind = definition.get("type")
    if kind:
        return [str(kind), *members]
    is_function = "name" in definition or "function" in definition
    return ["function", *members] if is_function else [*definition]


def _runs_at_client(kind: str, definition: Mapping[str, Any]) -> bool:
    member, inner, place = _PLACES.get(kind, ("", "", ""))
    value = definition.get(member)
    found = as_object(value).get(inner) if inner else value
    return bool(place) and found == place


def _is_offer(request: ChatRequest, name: str, format: str | None) -> bool:
    """Whether the model may do without this tool: the client has functions beside it, and asks for none."""
    if (format, name) not in _OFFERED:
        return False
    options = request.format_options.get(format or "", {})
    is_free = request.tool_choice is None or request.tool_choice.mode in ("auto", "none")
    has_functions = any(isinstance(tool, Tool) for tool in request.tools)
    return is_free and has_functions and "tool_choice" not in options


def _tools_in(message: Message) -> Iterator[Mapping[str, Any]]:
    """The tools that its opaque items bring, as Responses' outcome of a search for tools does."""
    for part in message.parts:
        if isinstance(part, ProviderPart):
            item: Any = part.data
        else:
            item = as_object(getattr(part, "provider_data", None)).get("item")
        yield from map(as_object, _items(as_object(item).get("tools")))


def _names_a_file(message: Message) -> bool:
    """Whether it names a file or an item of the account."""
    parts = chain(message.parts, *map(_shown, message.parts))
    return _names_any(message.provider_data) or any(map(_is_named, parts))


def _shown(part: Any) -> list[Any]:
    return (part.shown or []) if isinstance(part, ToolResult) else []


def _is_named(part: Any) -> bool:
    if isinstance(part, File):
        return part.id is not None or _is_of_account(part.url)
    if isinstance(part, ImagePart) and _is_of_account(part.url):
        return True
    if isinstance(part, ProviderPart):
        return _names_any(part.data)
    data = getattr(part, "provider_data", None)
    if isinstance(part, ToolCall | ToolResult):
        # What a tool found names files, too, and goes back as it came.
        return _is_reference(data) or _is_reference(as_object(data).get("item"))
    return not isinstance(part, Source) and _names_any(data)


def _names_any(data: Mapping[str, Any] | None) -> bool:
    """Whether an object, or one within it, names a file, a container or an item."""
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            is_named = any(isinstance(value.get(name), str) for name in _IDS)
            is_placed = any(_is_of_account(value.get(name)) for name in _ADDRESSES)
            if is_named or is_placed or _is_reference(value):
                return True
            waiting += value.values()
        waiting += _items(value)
    return False


def _is_of_account(url: Any) -> bool:
    """Whether a file at this address is read with the rights of the operator's account."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return True
    return parts.scheme not in _ANYBODY_S or host == _FILES_API


def _is_reference(value: Any) -> bool:
    return as_object(value).get("type") == "item_reference"


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _refused(param: str, what: str, name: str) -> RefusedError:
    text = (
        f"{param}: this server hands on no {what[:80]}: leave it out, or ask its operator to allow "
        f"it, with --hosted-tool {name[:40]}."
    )
    return RefusedError(400, "invalid_request", text, code="unsupported_value", param=param)
