"""Messages in the shape that callers give them, which is that of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import is_
from typing import Any, TypeAlias, TypeGuard

from llmstream.cache_marks import Cache, check_cache, parse_cache
from llmstream.checks import (
    as_object,
    as_text,
    check_type,
    check_unicode,
    items_at,
    require,
    require_mapping,
    require_type,
    require_value,
    sequence_of,
)
from llmstream.media import checked, is_address, parse_media
from llmstream.message_keys import check_call_keys, check_message_keys, check_part_keys
from llmstream.messages import (
    ROLES,
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.parts import SHOWN

FORMAT = "openai-chat"
_REASONING = ("reasoning_content", "reasoning", "reasoning_text")
"""Where hosts keep the text of a message's reasoning."""
OURS = "llmstream"
"""The member of a reasoning detail that holds what a gateway of ours put there."""
_ROLE_NAMES = ", ".join(ROLES)
_SOUNDS = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}
"""Names of formats that aren't the second half of their type."""
_TYPE_OF_KIND = {"audio_url": "audio/*", "video_url": "video/*", "document_url": "application/pdf"}
"""What a part says of the type of its file."""
_Shown = (TextPart, ImagePart, File)
_Bytes = (bytes, bytearray, memoryview)
_SHOWN = "a tool's result is text, JSON, or a list of TextPart, ImagePart and File"


def parse_messages(value: Any) -> list[Message]:
    """Messages from dicts in OpenAI's shape, or `Message` objects, or a mix."""
    if isinstance(value, (str, Mapping, Message)):
        example = '[{"role": "user", "content": "…"}]'
        raise TypeError(f"messages must be a list such as {example}, not {type(value).__name__}")
    sequence_of(value, "messages")
    require(value, "messages is empty: give at least one message")
    return [
        _parse_plain(item) or _parse_message(item, f"messages[{index}]")
        for index, item in enumerate(value)
    ]


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
    role: Any = value.get("role")
    _check_role(role, where)
    if "parts" in value:
        return _parse_dumped(value, where)
    check_message_keys(value, where)
    if role == "tool":
        return Message("tool", [_parse_tool_result(value, where)])
    parts = _parse_content(value.get("content"), f"{where}.content")
    if role == "assistant":
        parts = [*_parse_reasoning(value), *parts, *_parse_assistant(value, where)]
    else:
        require(value.get("content") is not None, f"{where}.content is missing")
    _mark_last(parts, parse_cache(value, where))
    name = check_type(value.get("name"), str, f"{where}.name must be a string")
    return Message(role, parts, name=name)


def _check_role(role: Any, where: str) -> None:
    require(role in ROLES, f"{where}.role must be one of {_ROLE_NAMES}, not {role!r}")


def _parse_dumped(value: Mapping[str, Any], where: str) -> Message:
    """A message in the form of `Message.to_dict()`."""
    try:
        return _check_message(Message.from_dict(value), where)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        told = f"{where} isn't a message as Message.to_dict() writes it: {problem}"
        raise ValueError(told) from None


def _check_message(message: Message, where: str) -> Message:
    _check_role(message.role, where)
    given = items_at(message.parts, f"{where}.parts")
    ready = [_check_part(part, place, role=message.role) for part, place in given]
    if all(map(is_, ready, message.parts)):
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
    return ImagePart(
        file.url, file.data, file.media_type, cache=file.cache, provider_data=file.provider_data
    )


def _check_result(result: ToolResult, where: str) -> ToolResult:
    check_cache(result.cache, where)
    content = result.content
    is_binary = isinstance(content, _Bytes)
    require(not is_binary, f"{where}: {_SHOWN}, not {type(content).__name__}", TypeError)
    if isinstance(content, _Shown):
        content = [content]
    is_list = isinstance(content, list | tuple)
    if not is_list or not any(isinstance(item, (Part, *_Bytes)) for item in content):
        return result  # it is sent as JSON
    foreign = [type(item).__name__ for item in content if not isinstance(item, SHOWN)]
    if foreign:
        raise TypeError(f"{where}: {_SHOWN}, not {foreign[0]}")
    given = items_at(content, f"{where}.content")
    ready = [_check_part(part, place, role="tool") for part, place in given]
    return replace(result, content=ready)


def _parse_text(text: Any, where: str) -> str:
    return check_unicode(require_type(text, str, f"{where}: text must be a string"), where)


def _parse_content(content: Any, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(_parse_text(content, where))]
    return [_parse_part(part, place) for part, place in items_at(content, where)]


def _parse_part(part: Any, where: str) -> Part:
    given = as_object(part)
    check_part_keys(given, where)
    kind = given.get("type")
    problem = f"{where}.type must be text, image_url, input_audio, video_url or file, not {kind!r}"
    read = require_value(_PART_READERS.get(str(kind)), problem)
    return read(given, where, parse_cache(given, where))


def _parse_text_part(part: Mapping[str, Any], where: str, cache: Cache | None) -> Part:
    return TextPart(_parse_text(part.get("text"), where), cache)


def _parse_address(part: Mapping[str, Any], where: str, cache: Cache | None) -> Part:
    """A file by its address, which may be a data URL: `audio_url`, `video_url` and their like."""
    kind = part["type"]
    given = part.get(kind)
    url = as_object(given).get("url") if isinstance(given, Mapping) else given
    require(url is not None, f"{where}.{kind}.url is missing")
    name = part.get("document_name")
    type_of_kind = _TYPE_OF_KIND.get(kind)
    is_data = isinstance(url, str) and url[:5].lower() == "data:"
    media_type = None if is_data else type_of_kind
    file = parse_media(File, where, url=url, name=name, media_type=media_type, cache=cache)
    return _as_image(file)


def _parse_sound(sound: Any, where: str, cache: Cache | None) -> Part:
    """OpenAI's `{"data": base64, "format": "wav"}`; at other hosts an address, or a text that is one or the other."""
    given = sound if isinstance(sound, Mapping) else {"data": sound}
    data, form = given.get("data"), given.get("format")
    check_type(form, str, f"{where}.format must be a string such as 'wav', not {form!r}")
    named = {"url" if is_address(data) else "data": data}
    is_data_url = isinstance(data, str) and data[:5].lower() == "data:"
    media_type = None if is_data_url else _SOUNDS.get(str(form), f"audio/{form}" if form else None)
    return parse_media(File, where, media_type=media_type, cache=cache, **named)


def _parse_image(image: Any, where: str, cache: Cache | None) -> ImagePart:
    if isinstance(image, str):
        image = {"url": image}
    image = require_mapping(image, where)
    url, detail = image.get("url"), image.get("detail")
    require(url is not None, f"{where}.url is missing")
    return parse_media(ImagePart, where, url=url, detail=detail, cache=cache)


def _parse_file(part: Mapping[str, Any], where: str, cache: Cache | None) -> File | ImagePart:
    """A file of OpenAI's; OpenRouter's data may be an address, and Mistral's id stands beside the type."""
    is_beside = "file" not in part and part.get("file_id") is not None
    where = where if is_beside else f"{where}.file"
    file = part if is_beside else require_mapping(part.get("file"), where)
    id, name, data = file.get("file_id"), file.get("filename"), file.get("file_data") or None
    place = "url" if is_address(data) else "data"
    given = {"id": id, "name": name, place: data}
    return _as_image(parse_media(File, where, cache=cache, **given))


_PART_READERS: dict[str, Callable[[Mapping[str, Any], str, Cache | None], Part]] = {
    "text": _parse_text_part,
    "input_text": _parse_text_part,
    "output_text": _parse_text_part,
    "image_url": lambda part, where, cache: _parse_image(
        part.get("image_url"), f"{where}.image_url", cache
    ),
    "file": _parse_file,
    "input_audio": lambda part, where, cache: _parse_sound(
        part.get("input_audio"), f"{where}.input_audio", cache
    ),
    "audio_url": _parse_address,
    "video_url": _parse_address,
    "file_url": _parse_address,
    "document_url": _parse_address,
    "refusal": lambda part, where, _: RefusalPart(_parse_text(part.get("refusal"), where)),
}
"""By the `type` of a part in a message's content."""


def _mark_last(parts: list[Part], cache: Cache | None) -> None:
    """A mark on a message is one on its last part."""
    if cache is None or not parts:
        return
    last = parts[-1]
    if isinstance(last, (*_Shown, ToolCall)):
        last.cache = cache


def _parse_reasoning(value: Mapping[str, Any]) -> Iterator[Part]:
    details = _objects_in(value, "reasoning_details")
    text = next(filter(None, map(value.get, _REASONING)), None)
    # A gateway of ours keeps those for a provider of another format.
    yield from (ProviderPart(FORMAT, detail) for detail in details if OURS in detail)
    seals = {
        "reasoning_details": [detail for detail in details if OURS not in detail],
        "thinking_blocks": _objects_in(value, "thinking_blocks"),
        "reasoning_opaque": as_text(value.get("reasoning_opaque")),
    }
    seals = {name: seal for name, seal in seals.items() if seal}
    if seals:
        yield _sealed_reasoning(seals, text)
    elif not details and _has_words(text):
        yield ReasoningPart(text)


def _objects_in(message: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in one of its lists."""
    given = sequence_of(message.get(name) or (), name)
    return [dict(each) for each in given if isinstance(each, Mapping)]


def _has_words(text: Any) -> TypeGuard[str]:
    """A blank text stands where there was no reasoning."""
    return isinstance(text, str) and bool(text.strip())


def _sealed_reasoning(seals: dict[str, Any], text: Any) -> ReasoningPart:
    """Reasoning with what its host signed, which goes back whole and in order."""
    details, blocks = seals.get("reasoning_details", []), seals.get("thinking_blocks", [])
    words = text
    if not _has_words(text):
        told = [detail.get("text") or detail.get("summary") for detail in details]
        told = told or [block.get("thinking") for block in blocks]
        words = "".join(each for each in told if isinstance(each, str))
    signed: dict[str, Any] = next(
        (each for each in (*details, *blocks) if each.get("signature")), {}
    )
    data = {"format": FORMAT, **seals}
    return ReasoningPart(words, signed.get("signature"), signed.get("id"), FORMAT, data)


def _parse_assistant(value: Mapping[str, Any], where: str) -> Iterator[Part]:
    if refusal := value.get("refusal"):
        yield RefusalPart(_parse_text(refusal, f"{where}.refusal"))
    for call, place in items_at(value.get("tool_calls") or (), f"{where}.tool_calls"):
        yield _parse_call(call, place)


_CallKind: TypeAlias = tuple[str, str, str, dict[str, Any]]
_FUNCTION_CALL: _CallKind = ("function", "arguments", "JSON", {})
_CUSTOM_CALL: _CallKind = ("custom", "input", "text", {"type": "custom"})
"""The key of a call and that of its arguments, what those are, and what marks the call."""


def _parse_call(call: Any, where: str) -> ToolCall:
    """A function's call, or one of a custom tool, whose input is any text."""
    given = as_object(call)
    is_custom = isinstance(given.get("custom"), Mapping)
    kind, field, form, marks = _CUSTOM_CALL if is_custom else _FUNCTION_CALL
    named = as_object(given.get(kind))
    require(
        given.get("id") and named.get("name"), f"{where} needs an id and a function with a name"
    )
    check_call_keys(given, where)
    wanted = f"{where}.{kind}.{field} must be a string of {form}"
    text = require_type(named.get(field) or "", str, wanted)
    parsed = parse_arguments(text)
    extra = given.get("extra_content")
    data = {**marks, "extra_content": extra} if extra else marks
    return ToolCall(
        given["id"],
        named["name"],
        text,
        input=parsed,
        complete=is_custom or parsed is not None,
        provider_data={"format": FORMAT, **data} if data else None,
        cache=parse_cache(given, where),
    )


def _parse_tool_result(value: Mapping[str, Any], where: str) -> ToolResult:
    problem = f"{where}.tool_call_id is missing: name the call that this message answers"
    call_id = require_value(as_text(value.get("tool_call_id")), problem)
    result = ToolResult(call_id, cache=parse_cache(value, where))
    shown = _parse_content(value.get("content"), f"{where}.content")
    require(all(isinstance(part, _Shown) for part in shown), f"{where}.content: {_SHOWN}")
    match shown:
        case [TextPart(text=text, cache=cache)]:
            result.content, result.cache = text, result.cache or cache
        case _:
            result.content = shown or ""
    return result
