"""Messages, tools and options in the shape that callers give them, which is that of OpenAI's chat completions.

`LLMClient` reads its arguments with these functions, and `request.py` the bodies that clients of a gateway send. They
raise TypeError or ValueError that name the place (`messages[3].content`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import is_
from typing import Any, TypeAlias, TypeGuard, TypeVar

from llmstream.cache_marks import Cache, check_cache, parse_cache
from llmstream.checks import require
from llmstream.media import checked, parse_media
from llmstream.message_keys import check_call_keys, check_message_keys, check_part_keys
from llmstream.messages import (
    ROLES,
    ChatRequest,
    File,
    HostedTool,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    ensure_json,
    parse_arguments,
    sequence_of,
)
from llmstream.options import NAMES, OPTIONS, unknown_option

T = TypeVar("T")

FORMAT = "openai-chat"
OURS = "llmstream"
"""The member of a reasoning detail that holds what a gateway of ours put there."""
_Shown = (TextPart, ImagePart, File)
_Bytes = (bytes, bytearray, memoryview)
_SHOWN = "a tool's result is text, JSON, or a list of TextPart, ImagePart and File"


def build_request(messages: Any, model: str, **options: Any) -> ChatRequest:
    """The request that a caller's arguments mean. `options` are those of `llmstream.options`."""
    read: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _READERS:
            raise TypeError(unknown_option(name))
        if value is not None:
            read[name] = _READERS[name](value)
    return ChatRequest(parse_messages(messages), model, **read, checked=True)


def take_request(request: ChatRequest, **beside: Any) -> ChatRequest:
    """A request that is ready. It is checked, unless `build_request` has made it.

    `beside` are arguments that were given with it. Raises TypeError if one isn't None.
    """
    given = [name for name, value in beside.items() if value is not None]
    if given:
        raise TypeError(f"{', '.join(given)}: a ChatRequest has its own; set it there")
    if request.checked:
        return request
    own = {name: getattr(request, name) for name in NAMES}
    checked = build_request(request.messages, request.model, **own)
    checked.format_options = _parse_keyed(request.format_options, "format_options", "wire format")
    return checked


def check_type(value: Any, kinds: type[Any] | tuple[type[Any], ...], problem: str) -> Any:
    """`value` if it is None or of these types (True is no number), else TypeError."""
    if value is None:
        return None
    is_flag_for_another = isinstance(value, bool) and kinds is not bool
    if is_flag_for_another or not isinstance(value, kinds):
        raise TypeError(f"{problem}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{problem}, not {value!r}")
    return value


def parse_messages(value: Any) -> list[Message]:
    """Messages from dicts in OpenAI's shape, or `Message` objects, or a mix."""
    if isinstance(value, (str, Mapping, Message)):
        example = '[{"role": "user", "content": "…"}]'
        raise TypeError(f"messages must be a list such as {example}, not {type(value).__name__}")
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"messages must be a list, not {type(value).__name__}")
    require(value, "messages is empty: give at least one message")
    return [
        _parse_plain(item) or _parse_message(item, f"messages[{index}]")
        for index, item in enumerate(value)
    ]


def _read_each(read: Callable[[Any, str], T], items: Any, where: str) -> list[T]:
    """Call `read` with each item of a list and its place, and yield the results."""
    given = enumerate(sequence_of(items, where))
    return [read(item, f"{where}[{index}]") for index, item in given]


def _parse_plain(value: Any) -> Message | None:
    """The common case on its own, because long histories consist of it: `{"role": …, "content": "…"}`."""
    if type(value) is dict and len(value) == 2:
        role, content = value.get("role"), value.get("content")
        if type(content) is str and content.isascii() and role in ("user", "assistant", "system"):
            return Message(role, [TextPart(content)])
    return None


def _parse_message(value: Any, where: str) -> Message:
    if isinstance(value, Message):
        return _check_message(value, where)
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict or a Message, not {type(value).__name__}")
    role = value.get("role")
    if role not in ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {role!r}")
    if "parts" in value:
        return _parse_dumped(value, where)
    check_message_keys(value, where)
    content = value.get("content")
    if role == "tool":
        return Message("tool", [_parse_tool_result(value, content, where)])
    parts = _parse_content(content, f"{where}.content")
    if role == "assistant":
        parts = [*_parse_reasoning(value), *parts, *_parse_assistant(value, where)]
    elif content is None:
        raise ValueError(f"{where}.content is missing")
    _mark_last(parts, parse_cache(value, where))
    return Message(
        role, parts, name=check_type(value.get("name"), str, f"{where}.name must be a string")
    )


def _parse_dumped(value: Mapping[str, Any], where: str) -> Message:
    """A message in the form of `Message.to_dict()`."""
    try:
        return _check_message(Message.from_dict(value), where)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ValueError(
            f"{where} is no message as Message.to_dict() writes them: {problem}"
        ) from None


def _check_message(message: Message, where: str) -> Message:
    if message.role not in ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {message.role!r}")
    parts = sequence_of(message.parts, f"{where}.parts")
    ready = _read_each(partial(_check_part, role=message.role), parts, f"{where}.parts")
    if all(map(is_, ready, parts)):
        return message
    return replace(message, parts=ready)


def _check_part(part: Part, where: str, *, role: str) -> Part:
    """The part as it can be sent. A model's own files are as they came: nothing that it sent may raise."""
    if type(part) is TextPart:
        _parse_text(part.text, where)
        check_cache(part.cache, where)
    elif isinstance(part, ImagePart):
        return checked(part, where)
    elif isinstance(part, File):
        return part if role == "assistant" else _as_image(checked(part, where))
    elif isinstance(part, ToolResult):
        return _check_result(part, where)
    elif not isinstance(part, Part):
        raise TypeError(f"{where} is a {type(part).__name__}; give TextPart, ImagePart, ToolCall …")
    return part


def _as_image(file: File) -> File | ImagePart:
    """A picture is an image to a model, whatever it was given as."""
    if not file.is_image:
        return file
    return ImagePart(file.url, file.data, file.media_type, cache=file.cache)


def _check_result(result: ToolResult, where: str) -> ToolResult:
    check_cache(result.cache, where)
    content = result.content
    if isinstance(content, _Bytes):
        raise TypeError(f"{where}: {_SHOWN}, not {type(content).__name__}")
    if isinstance(content, _Shown):
        content = [content]
    is_list = isinstance(content, list | tuple)
    if not is_list or not any(isinstance(item, (Part, *_Bytes)) for item in content):
        return result  # it is sent as JSON
    for item in content:
        if not isinstance(item, _Shown):
            raise TypeError(f"{where}: {_SHOWN}, not {type(item).__name__}")
    ready = _read_each(partial(_check_part, role="tool"), content, f"{where}.content")
    return replace(result, content=ready)


def _parse_text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{where}: text must be a string, not {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{where}: not valid Unicode (a lone surrogate at {error.start})"
            ) from None
    return text


def _parse_content(content: Any, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(_parse_text(content, where))]
    return _read_each(_parse_part, content, where)


def _parse_part(part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping):
        check_part_keys(part, where)
    cache = parse_cache(part, where) if kind is not None else None
    read = _PART_READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise ValueError(f"{where}.type must be text, image_url or file, not {kind!r}")
    return read(part, where, cache)


def _parse_text_part(part: Mapping[str, Any], where: str, cache: Cache | None) -> Part:
    return TextPart(_parse_text(part.get("text"), where), cache)


_PART_READERS: dict[str, Callable[[Mapping[str, Any], str, Cache | None], Part]] = {
    "text": _parse_text_part,
    "input_text": _parse_text_part,
    "output_text": _parse_text_part,
    "image_url": lambda part, where, cache: _parse_image(
        part.get("image_url"), f"{where}.image_url", cache
    ),
    "file": lambda part, where, cache: _parse_file(part.get("file"), f"{where}.file", cache),
    "refusal": lambda part, where, _: RefusalPart(_parse_text(part.get("refusal"), where)),
}
"""By the `type` of a part in a message's content."""


def _parse_image(image: Any, where: str, cache: Cache | None) -> ImagePart:
    if isinstance(image, str):
        image = {"url": image}
    image = _mapping(image, where)
    url, detail = image.get("url"), image.get("detail")
    require(url is not None, f"{where}.url is missing")
    return parse_media(ImagePart, where, url=url, detail=detail, cache=cache)


def _parse_file(file: Any, where: str, cache: Cache | None) -> File | ImagePart:
    file = _mapping(file, where)
    id, name, data = file.get("file_id"), file.get("filename"), file.get("file_data") or None
    return _as_image(parse_media(File, where, id=id, name=name, data=data, cache=cache))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict, not {type(value).__name__}")
    return value


def _mark_last(parts: list[Part], cache: Cache | None) -> None:
    """A mark on a message is one on its last part."""
    if cache is None or not parts:
        return
    last = parts[-1]
    if isinstance(last, (*_Shown, ToolCall)):
        last.cache = cache


def _parse_reasoning(value: Mapping[str, Any]) -> Iterator[Part]:
    given = sequence_of(value.get("reasoning_details") or (), "reasoning_details")
    details = [dict(detail) for detail in given if isinstance(detail, Mapping)]
    text = value.get("reasoning_content") or value.get("reasoning")
    signed: list[dict[str, Any]] = []
    for detail in details:
        if OURS in detail:  # a gateway of ours keeps it for a provider of another format
            yield ProviderPart(FORMAT, detail)
        else:
            signed.append(detail)
    if signed:
        yield _detailed_reasoning(signed, text)
    elif not details and _has_words(text):
        yield ReasoningPart(text)


def _has_words(text: Any) -> TypeGuard[str]:
    """A blank text stands where there was no reasoning."""
    return isinstance(text, str) and bool(text.strip())


def _detailed_reasoning(details: list[dict[str, Any]], text: Any) -> ReasoningPart:
    """Reasoning with what its host signed. The details go back whole and in order."""
    words = text if isinstance(text, str) else ""
    if not words.strip():
        told = [detail.get("text") or detail.get("summary") for detail in details]
        words = "".join(each for each in told if isinstance(each, str))
    signed = next((detail for detail in details if detail.get("signature")), {})
    data = {"format": FORMAT, "reasoning_details": details}
    return ReasoningPart(words, signed.get("signature"), signed.get("id"), FORMAT, data)


def _parse_assistant(value: Mapping[str, Any], where: str) -> Iterator[Part]:
    if refusal := value.get("refusal"):
        yield RefusalPart(_parse_text(refusal, f"{where}.refusal"))
    yield from _read_each(_parse_call, value.get("tool_calls") or (), f"{where}.tool_calls")


_CallKind: TypeAlias = tuple[str, str, str, dict[str, Any]]
_FUNCTION_CALL: _CallKind = ("function", "arguments", "JSON", {})
_CUSTOM_CALL: _CallKind = ("custom", "input", "text", {"type": "custom"})
"""The key of a call and that of its arguments, what those are, and what marks the call."""


def _parse_call(call: Any, where: str) -> ToolCall:
    """A function's call, or one of a custom tool, whose input is any text."""
    given = call if isinstance(call, Mapping) else {}
    custom, function = given.get("custom"), given.get("function")
    named = custom if isinstance(custom, Mapping) else function
    if not isinstance(named, Mapping) or not given.get("id") or not named.get("name"):
        raise ValueError(f"{where} needs an id and a function with a name")
    check_call_keys(given, where)
    is_custom = named is custom
    kind, field, form, marks = _CUSTOM_CALL if is_custom else _FUNCTION_CALL
    text = named.get(field) or ""
    if not isinstance(text, str):
        told = f"must be a string of {form}, not {type(text).__name__}"
        raise TypeError(f"{where}.{kind}.{field} {told}")
    parsed = parse_arguments(text)
    data = dict(marks)
    if given.get("extra_content"):
        data["extra_content"] = given["extra_content"]
    return ToolCall(
        given["id"],
        named["name"],
        text,
        input=parsed,
        complete=is_custom or parsed is not None,
        provider_data={"format": FORMAT, **data} if data else None,
        cache=parse_cache(given, where),
    )


def _parse_tool_result(value: Mapping[str, Any], content: Any, where: str) -> ToolResult:
    call_id = value.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise ValueError(
            f"{where}.tool_call_id is missing: name the call that this message answers"
        )
    result = ToolResult(call_id, cache=parse_cache(value, where))
    if isinstance(content, str):
        result.content = _parse_text(content, where)
        return result
    shown = _parse_content(content, f"{where}.content")
    require(all(isinstance(part, _Shown) for part in shown), f"{where}.content: {_SHOWN}")
    if len(shown) == 1 and isinstance(shown[0], TextPart):
        result.content, result.cache = shown[0].text, result.cache or shown[0].cache
    else:
        result.content = shown or ""
    return result


def parse_tools(value: Any) -> list[Tool | HostedTool]:
    """Tools from `Tool` objects or dicts: OpenAI's nested or flat form, or a provider's own hosted tool."""
    return _read_each(_parse_tool, value or (), "tools")


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    if isinstance(tool, Mapping):
        tool = _parse_tool_dict(tool, where)
    if isinstance(tool, HostedTool):
        return tool
    if not isinstance(tool, Tool):
        raise TypeError(f"{where} must be a Tool or a dict, not {type(tool).__name__}")
    if not isinstance(tool.parameters, dict):
        raise TypeError(f"{where} ({tool.name}): parameters must be a JSON schema as a dict")
    ensure_json(tool.parameters, f"{where} ({tool.name}): parameters")
    return tool


def _parse_tool_dict(given: Mapping[str, Any], where: str) -> Tool | HostedTool:
    if not _is_function(given):
        ensure_json(given, where)
        return HostedTool(dict(given))
    function = given.get("function", given)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: a function tool needs a name")
    tool = Tool(name, description=function.get("description"), strict=function.get("strict"))
    tool.cache = parse_cache(given, where) or parse_cache(function, where)
    tool.provider_data = _tool_fields(given, where)
    schema = function.get("parameters", function.get("input_schema"))
    if schema is not None:
        tool.parameters = schema
    return tool


def _is_function(tool: Mapping[str, Any]) -> bool:
    """Whether a tool's parameters are a schema. Anthropic's word for a function is `custom`."""
    kind = tool.get("type") or "function"
    return kind == "function" or (kind == "custom" and "input_schema" in tool)


_TOOL_FIELDS = frozenset(
    {
        *("type", "name", "description", "parameters", "strict", "function"),
        *("input_schema", "cache", "cache_control", "prompt_cache_breakpoint"),
    }
)


def _tool_fields(tool: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    """Further fields of a function, which are those of the format in whose shape it was given."""
    function = tool.get("function")
    if isinstance(function, Mapping):
        format, given = FORMAT, function
    else:
        format, given = "openai-responses", tool
        if "input_schema" in tool:
            format = "anthropic-messages"
    rest = {name: given[name] for name in given if name not in _TOOL_FIELDS}
    if not rest:
        return None
    ensure_json(rest, where)
    return {"format": format, **rest}


def parse_tool_choice(value: Any) -> ToolChoice | None:
    """`"auto"`, `"none"`, `"required"` (or `"any"`), a tool's name in OpenAI's dict, or a ToolChoice."""
    match value:
        case None | ToolChoice():
            return value
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case "any":  # Mistral and Anthropic say it so
            return ToolChoice("required")
        case Mapping():
            name = _mapping(value.get("function", value), "tool_choice.function").get("name")
            if isinstance(name, str):
                return ToolChoice("tool", name)
    raise ValueError(
        "tool_choice must be 'auto', 'none', 'required' or "
        f"{{'type': 'function', 'function': {{'name': …}}}}, not {value!r}"
    )


def parse_response_format(value: Any) -> ResponseFormat | None:
    """OpenAI's `response_format` dict, a bare JSON schema, `"json"`, or a ResponseFormat."""
    match value:
        case None | ResponseFormat():
            return value
        case "json" | {"type": "json_object"}:
            return ResponseFormat()
        case {"type": "text"}:
            return None
        case {"type": "json_schema"}:
            return _parse_named_schema(value)
        case {"type": "object" | "array"} | {"$ref": _} | {"anyOf": _}:
            ensure_json(value, "response_format")
            return ResponseFormat(dict(value))
    raise ValueError(
        "response_format must be {'type': 'json_object'}, {'type': 'json_schema', …} or a JSON schema, "
        f"not {value!r}"
    )


def _parse_named_schema(value: Mapping[str, Any]) -> ResponseFormat:
    where = "response_format.json_schema"
    named = _mapping(value.get("json_schema", value), where)
    schema = named.get("schema")
    require(isinstance(schema, dict), f"{where}.schema is missing")
    ensure_json(schema, "response_format")
    return ResponseFormat(schema, named.get("name") or "response", named.get("strict"))


def parse_stop(value: Any) -> list[str]:
    """One stop sequence or several."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [value]
    stops = list(sequence_of(value, "stop"))
    require(
        all(isinstance(stop, str) and stop for stop in stops),
        "stop must be a non-empty string, or a list of them",
        TypeError,
    )
    return stops


def _parse_metadata(value: Any) -> dict[str, str]:
    metadata = dict(check_type(value, Mapping, "metadata must map strings to strings") or {})
    require(
        all(isinstance(item, str) for pair in metadata.items() for item in pair),
        "metadata must map strings to strings",
        TypeError,
    )
    return metadata


def _parse_provider_options(value: Any) -> dict[str, dict[str, Any]]:
    return _parse_keyed(value, "provider_options", "provider")


def _parse_keyed(value: Any, what: str, key: str) -> dict[str, dict[str, Any]]:
    options = {}
    given = check_type(value, Mapping, f"{what} must be keyed by {key}") or {}
    for name, chosen in given.items():
        if not isinstance(chosen, Mapping):
            raise TypeError(f'{what} is keyed by {key}: {{"{name}": {{…}}}}')
        ensure_json(chosen, f"{what}[{name!r}]")
        options[name] = dict(chosen)
    return options


_READERS: dict[str, Callable[[Any], Any]] = {
    **{option.name: option.check for option in OPTIONS},
    "tools": parse_tools,
    "tool_choice": parse_tool_choice,
    "response_format": parse_response_format,
    "stop": parse_stop,
    "metadata": _parse_metadata,
    "provider_options": _parse_provider_options,
}
