"""OpenAI chat completions requests, rendered and parsed.

This is also the shape in which callers give messages, tools and options as dicts, so `LLMClient` uses the `parse_*`
functions here. Format: https://platform.openai.com/docs/api-reference/chat/create. What the format can't carry:
reasoning of earlier turns (left out: history), results of tools the provider ran, and a file by URL (warned).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmstream.messages import (
    ROLES,
    ChatRequest,
    File,
    HostedTool,
    ImagePart,
    Message,
    Part,
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
from llmstream.wire.rendered import Rendered


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one host of the compatible family differs from OpenAI itself."""

    name: str = "openai"
    """The key in `provider_options`."""
    max_tokens: str = "max_completion_tokens"
    """The field for the output limit; most hosts but OpenAI know only `max_tokens`."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` is understood."""
    developer_role: bool = True
    """Whether the role `developer` is understood; else it is sent as `system`."""
    reasoning: str | None = "reasoning_effort"
    """`reasoning_effort`, or `reasoning` for an object with `effort` (OpenRouter); None: no such option."""


_PLAIN = ("temperature", "top_p", "seed", "parallel_tool_calls")
_KNOWN = frozenset(
    {
        *_PLAIN,
        "messages",
        "model",
        "tools",
        "tool_choice",
        "response_format",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "reasoning_effort",
        "metadata",
        "stream",
        "stream_options",
    }
)


# --- out --------------------------------------------------------------------------------------------------


def render_request(request: ChatRequest, dialect: Dialect = Dialect()) -> Rendered:
    """The body to post. Constant work per message."""
    warnings: list[str] = []
    messages: list[dict[str, Any]] = []
    for message in request.messages:
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is TextPart and message.name is None and message.role != "developer":
            messages.append({"role": message.role, "content": parts[0].text})
        else:
            _render_message(message, dialect, messages, warnings)
    body: dict[str, Any] = {"model": request.model, "messages": messages, "stream": True}
    if dialect.stream_usage:
        body["stream_options"] = {"include_usage": True}
    for name in _PLAIN:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.max_tokens is not None:
        body[dialect.max_tokens] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.metadata:
        body["metadata"] = request.metadata
    if request.tools:
        body["tools"] = [_render_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _render_tool_choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = _render_response_format(request.response_format)
    if request.reasoning_effort is not None:
        _render_reasoning(request.reasoning_effort, dialect, body, warnings)
    rendered = Rendered(body, warnings)
    rendered.merge(request.provider_options.get(dialect.name, {}))
    return rendered


def _render_reasoning(effort: str, dialect: Dialect, body: dict[str, Any], warnings: list[str]) -> None:
    if dialect.reasoning is None:
        warnings.append(f"reasoning_effort: not supported by {dialect.name}; dropped")
    elif dialect.reasoning == "reasoning":
        body["reasoning"] = {"effort": effort}
    else:
        body[dialect.reasoning] = effort


def _render_message(message: Message, dialect: Dialect, out: list[dict[str, Any]], warnings: list[str]) -> None:
    role: str = message.role
    if role == "developer" and not dialect.developer_role:
        role = "system"
    parts = message.parts
    rendered: dict[str, Any]
    if role == "assistant":
        rendered = _render_assistant(message)
    elif len(parts) == 1 and isinstance(parts[0], TextPart):
        rendered = {"role": role, "content": parts[0].text}
    else:
        out.extend(_render_tool_result(part) for part in parts if isinstance(part, ToolResult))
        content = [item for part in parts if (item := _render_part(part, warnings)) is not None]
        if not content and role == "tool":
            return
        rendered = {"role": role, "content": content}
    if message.name is not None:
        rendered["name"] = message.name
    out.append(rendered)


def _render_assistant(message: Message) -> dict[str, Any]:
    calls = message.tool_calls
    text = message.text
    rendered: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    if refusal := message.refusal:
        rendered["refusal"] = refusal
        rendered["content"] = text or None
    if calls:
        rendered["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in calls
        ]
    return rendered


def _render_tool_result(result: ToolResult) -> dict[str, Any]:
    content = result.content
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _render_part(part: Part, warnings: list[str]) -> dict[str, Any] | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image = {"url": part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, File):
        if part.url is not None:
            warnings.append("file: chat completions take no file by URL; left out")
            return None
        data = part.data and f"data:{part.media_type or 'application/octet-stream'};base64,{part.data}"
        fields = {"file_id": part.id, "filename": part.name, "file_data": data}
        return {"type": "file", "file": {key: value for key, value in fields.items() if value is not None}}
    return None


def _render_tool(tool: Tool | HostedTool) -> dict[str, Any]:
    if isinstance(tool, HostedTool):
        return tool.definition
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _render_tool_choice(choice: ToolChoice) -> Any:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _render_response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


# --- in ---------------------------------------------------------------------------------------------------


def parse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means. Raises TypeError or ValueError that name the place.

    Fields we have no name for become `provider_options["openai"]`.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("model: name the model as a string")
    rest = {key: value for key, value in body.items() if key not in _KNOWN}
    limit = body.get("max_completion_tokens")
    return ChatRequest(
        messages=parse_messages(body.get("messages")),
        model=model,
        tools=parse_tools(body.get("tools")),
        tool_choice=parse_tool_choice(body.get("tool_choice")),
        parallel_tool_calls=body.get("parallel_tool_calls"),
        response_format=parse_response_format(body.get("response_format")),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        max_tokens=body.get("max_tokens") if limit is None else limit,
        stop=parse_stop(body.get("stop")),
        seed=body.get("seed"),
        reasoning_effort=body.get("reasoning_effort"),
        metadata=dict(body.get("metadata") or {}),
        provider_options={"openai": rest} if rest else {},
    )


def parse_messages(value: Any) -> list[Message]:
    """Messages from dicts in OpenAI's shape, or `Message` objects, or a mix."""
    if isinstance(value, (str, Mapping, Message)):
        example = '[{"role": "user", "content": "…"}]'
        raise TypeError(f"messages must be a list such as {example}, not {type(value).__name__}")
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"messages must be a list, not {type(value).__name__}")
    if not value:
        raise ValueError("messages is empty: give at least one message")
    return [_parse_plain(item) or _parse_message(item, f"messages[{index}]") for index, item in enumerate(value)]


def _parse_plain(value: Any) -> Message | None:
    """The common case on its own, because long histories consist of it: `{"role": …, "content": "…"}`."""
    if type(value) is dict and len(value) == 2:
        role, content = value.get("role"), value.get("content")
        if type(content) is str and content.isascii() and role in ("user", "assistant", "system"):
            return Message(role, [TextPart(content)])
    return None


def _parse_message(value: Any, where: str) -> Message:
    if isinstance(value, Message):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict or a Message, not {type(value).__name__}")
    role = value.get("role")
    if role not in ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {role!r}")
    if "parts" in value:
        return Message.from_dict(value)
    content = value.get("content")
    if role == "tool":
        return Message("tool", [_parse_tool_result(value, content, where)])
    parts = list(_parse_content(content, f"{where}.content"))
    if role == "assistant":
        parts = [*_parse_reasoning(value), *parts, *_parse_assistant(value, where)]
    elif content is None:
        raise ValueError(f"{where}.content is missing")
    return Message(role, parts, name=value.get("name"))


def _parse_text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{where}: text must be a string, not {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}: not valid Unicode (a lone surrogate at {error.start})") from None
    return text


def _parse_content(content: Any, where: str) -> Iterator[Part]:
    if content is None:
        return
    if isinstance(content, str):
        yield TextPart(_parse_text(content, where))
        return
    for index, part in enumerate(sequence_of(content, where)):
        yield _parse_part(part, f"{where}[{index}]")


def _parse_part(part: Any, where: str) -> Part:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("text", "input_text", "output_text"):
        return TextPart(_parse_text(part.get("text"), where))
    if kind == "image_url":
        image = part.get("image_url")
        url = image if isinstance(image, str) else (image or {}).get("url")
        if not isinstance(url, str):
            raise ValueError(f"{where}.image_url.url is missing")
        detail = image.get("detail") if isinstance(image, Mapping) else None
        media_type, data = _parse_data_url(url)
        return ImagePart(url if data is None else None, data, media_type, detail)
    if kind == "file":
        file = part.get("file") or {}
        media_type, data = _parse_data_url(file.get("file_data") or "")
        return File(id=file.get("file_id"), name=file.get("filename"), media_type=media_type, data=data)
    if kind == "refusal":
        return RefusalPart(_parse_text(part.get("refusal"), where))
    raise ValueError(f"{where}.type must be text, image_url or file, not {kind!r}")


def _parse_data_url(url: str) -> tuple[str | None, str | None]:
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:"):
        return None, None
    return head[5:], data


def _parse_reasoning(value: Mapping[str, Any]) -> Iterator[Part]:
    text = value.get("reasoning_content") or value.get("reasoning")
    if isinstance(text, str):
        yield ReasoningPart(text)


def _parse_assistant(value: Mapping[str, Any], where: str) -> Iterator[Part]:
    if refusal := value.get("refusal"):
        yield RefusalPart(_parse_text(refusal, f"{where}.refusal"))
    for index, call in enumerate(sequence_of(value.get("tool_calls") or (), f"{where}.tool_calls")):
        at = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not call.get("id") or not function.get("name"):
            raise ValueError(f"{at} needs an id and a function with a name")
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            raise TypeError(f"{at}.function.arguments must be a string of JSON, not {type(arguments).__name__}")
        parsed = parse_arguments(arguments)
        yield ToolCall(call["id"], function["name"], arguments, input=parsed, complete=parsed is not None)


def _parse_tool_result(value: Mapping[str, Any], content: Any, where: str) -> ToolResult:
    call_id = value.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise ValueError(f"{where}.tool_call_id is missing: name the call that this message answers")
    if isinstance(content, str):
        text = _parse_text(content, where)
    else:
        parts = _parse_content(content, f"{where}.content")
        text = "".join(part.text for part in parts if isinstance(part, TextPart))
    return ToolResult(call_id, text)


def parse_tools(value: Any) -> list[Tool | HostedTool]:
    """Tools from `Tool` objects or dicts: OpenAI's nested or flat form, or a provider's own hosted tool."""
    return [_parse_tool(tool, f"tools[{index}]") for index, tool in enumerate(sequence_of(value or (), "tools"))]


def _parse_tool(tool: Any, where: str) -> Tool | HostedTool:
    if isinstance(tool, Mapping):
        if tool.get("type", "function") != "function":
            ensure_json(tool, where)
            return HostedTool(dict(tool))
        function = tool.get("function", tool)
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not name:
            raise ValueError(f"{where}: a function tool needs a name")
        schema = function.get("parameters") or function.get("input_schema") or Tool("").parameters
        tool = Tool(name, schema, function.get("description"), function.get("strict"))
    if not isinstance(tool, (Tool, HostedTool)):
        raise TypeError(f"{where} must be a Tool or a dict, not {type(tool).__name__}")
    if isinstance(tool, Tool):
        if not isinstance(tool.parameters, dict):
            raise TypeError(f"{where} ({tool.name}): parameters must be a JSON schema as a dict")
        ensure_json(tool.parameters, f"{where} ({tool.name}): parameters")
    return tool


def parse_tool_choice(value: Any) -> ToolChoice | None:
    """`"auto"`, `"none"`, `"required"` (or `"any"`), a tool's name in OpenAI's dict, or a ToolChoice."""
    if value is None or isinstance(value, ToolChoice):
        return value
    if value in ("auto", "none", "required"):
        return ToolChoice(value)
    if value == "any":  # Mistral and Anthropic say it so
        return ToolChoice("required")
    if isinstance(value, Mapping):
        name = (value.get("function") or value).get("name")
        if isinstance(name, str):
            return ToolChoice("tool", name)
    raise ValueError(
        "tool_choice must be 'auto', 'none', 'required' or "
        f"{{'type': 'function', 'function': {{'name': …}}}}, not {value!r}"
    )


def parse_response_format(value: Any) -> ResponseFormat | None:
    """OpenAI's `response_format` dict, a bare JSON schema, `"json"`, or a ResponseFormat."""
    if value is None or isinstance(value, ResponseFormat):
        return value
    if value == "json":
        return ResponseFormat()
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat()
    if kind == "json_schema":
        inner = value.get("json_schema") or value
        if not isinstance(inner.get("schema"), dict):
            raise ValueError("response_format.json_schema.schema is missing")
        ensure_json(inner["schema"], "response_format")
        return ResponseFormat(inner["schema"], inner.get("name") or "response", inner.get("strict"))
    if isinstance(value, Mapping) and (kind in ("object", "array") or "$ref" in value or "anyOf" in value):
        ensure_json(value, "response_format")
        return ResponseFormat(dict(value))
    raise ValueError(
        "response_format must be {'type': 'json_object'}, {'type': 'json_schema', …} or a JSON schema, "
        f"not {value!r}"
    )


def parse_stop(value: Any) -> list[str]:
    """One stop sequence or several."""
    if value is None:
        return []
    stops = [value] if isinstance(value, str) else list(sequence_of(value, "stop"))
    if not all(isinstance(stop, str) and stop for stop in stops):
        raise TypeError("stop must be a non-empty string, or a list of them")
    return stops
