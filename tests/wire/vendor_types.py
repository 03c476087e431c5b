"""A body's messages against the types in the vendor's own package."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

_HERE = frozenset({"openai-chat", "openai-responses", "anthropic-messages"})


@cache
def _adapter(format: str) -> Any:
    pydantic = pytest.importorskip("pydantic")
    if format == "openai-chat":
        chat = pytest.importorskip("openai.types.chat")
        return pydantic.TypeAdapter(list[chat.ChatCompletionMessageParam])
    if format == "openai-responses":
        responses = pytest.importorskip("openai.types.responses")
        return pydantic.TypeAdapter(responses.ResponseInputParam)
    beta = pytest.importorskip("anthropic.types.beta")
    return pydantic.TypeAdapter(list[beta.BetaMessageParam])


def check_types(body: dict[str, Any], format: str) -> None:
    """Raise unless the vendor's types take the messages. Those of packages in the lane `sdk` are asked there.

    Amazon's are a model of the service, in botocore.
    """
    if format == "bedrock-converse":
        check_converse(body)
    if format not in _HERE:
        return
    messages = deepcopy(body["input"] if format == "openai-responses" else body["messages"])
    if format == "openai-responses":
        messages = [item for item in messages if not _is_the_providers(item)]
        _fill_in(messages)
    if format == "openai-chat":
        _without_others_words(messages)
    if format == "anthropic-messages" and "claude" not in body["model"]:
        _sign(messages)
    _force(_adapter(format).validate_python(messages))


def check_converse(body: dict[str, Any]) -> None:
    """Raise unless botocore's model of the service takes the body."""
    if find_spec("botocore") is None:
        return
    validate = pytest.importorskip("botocore.validate")
    # What came over HTTP has the model in its path.
    asked = {"modelId": "any", **{name: body[name] for name in body if name != "stream"}}
    report = validate.ParamValidator().validate(asked, _converse_shape())
    assert not report.has_errors(), report.generate_report()


@cache
def _converse_shape() -> Any:
    session = pytest.importorskip("botocore.session").get_session()
    model = session.get_service_model("bedrock-runtime")
    return model.operation_model("ConverseStream").input_shape


def check_gemini(body: dict[str, Any]) -> None:
    """Raise unless google-genai's types take the body."""
    types = pytest.importorskip("google.genai.types")
    kinds = {
        "contents": list[types.Content],
        "systemInstruction": types.Content,
        "tools": list[types.Tool],
        "toolConfig": types.ToolConfig,
        "generationConfig": types.GenerationConfig,
    }
    for name, kind in kinds.items():
        if name in body:
            _take(kind, body[name])


def check_cohere(body: dict[str, Any]) -> None:
    """Raise unless cohere's types take the body, with nothing that they don't know."""
    types = pytest.importorskip("cohere.types")
    roles = {
        "system": types.SystemChatMessageV2,
        "user": types.UserChatMessageV2,
        "assistant": types.AssistantChatMessageV2,
        "tool": types.ToolChatMessageV2,
    }
    for each in body["messages"]:
        read = roles[each["role"]].model_validate(each)
        assert read.role == each["role"]
        assert read.model_extra in (None, {})
    for tool in body.get("tools", ()):
        types.ToolV2.model_validate(tool)
    if "response_format" in body:
        _take(types.ResponseFormatV2, body["response_format"])


def check_ollama(body: dict[str, Any]) -> None:
    """Raise unless ollama's types take the body."""
    ollama = pytest.importorskip("ollama")
    for each in body["messages"]:
        ollama.Message.model_validate({**each, "images": None})  # else it opens files of that name
    options = ollama.Options.model_validate(body.get("options", {}))
    assert options.model_dump(exclude_none=True).keys() <= body.get("options", {}).keys()


def check_interactions(body: dict[str, Any]) -> None:
    """Raise unless google-genai's types take the body, with no step, content or tool that they don't know."""
    pytest.importorskip("google.genai")
    from google.genai._gaos.types import interactions

    read = interactions.CreateModelInteraction.model_validate(body)
    assert "UNKNOWN" not in str(read.model_dump())
    taken = read.model_dump(by_alias=True, exclude_none=True)
    assert not body.keys() - taken.keys()


BY_PACKAGE = {
    "gemini-generate": check_gemini,
    "gemini-interactions": check_interactions,
    "cohere-v2": check_cohere,
    "ollama-native": check_ollama,
}
"""The checks of formats whose types are in a package of the lane `sdk`."""


def _take(kind: Any, value: Any) -> None:
    pytest.importorskip("pydantic").TypeAdapter(kind).validate_python(value)


def _is_the_providers(item: dict[str, Any]) -> bool:
    """Items of tools that the provider ran go back as they came, whatever the package's types know of them."""
    kind = str(item.get("type"))
    return kind.endswith("_call") and kind not in ("function_call", "custom_tool_call")


def _without_others_words(messages: list[dict[str, Any]]) -> None:
    """Blocks that OpenAI doesn't have: those for addresses, and Mistral's for a file."""
    for message in messages:
        if isinstance(message["content"], list):
            message["content"] = [part for part in message["content"] if not _is_others(part)]


def _is_others(part: dict[str, Any]) -> bool:
    kind = part["type"]
    return (kind.endswith("_url") and kind != "image_url") or not isinstance(
        part.get(kind), dict | str
    )


def _fill_in(value: Any) -> None:
    """What these types require and the API does not: `detail` has a default, an assistant's text needs no id."""
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, dict):
            continue
        if each.get("type") == "input_image":
            each.setdefault("detail", "auto")
        if each.get("type") == "output_text":
            each.setdefault("annotations", [])
        if each.get("role") == "assistant" and isinstance(each["content"], list):
            each.update({"id": "msg_1", "status": "completed"})
        _fill_in(each.get("content", each.get("output")))


def _sign(turns: list[Any]) -> None:
    """DeepSeek and Kimi want thinking that nobody signed; these types are Claude's."""
    for turn in turns:
        for block in turn["content"] if isinstance(turn["content"], list) else ():
            if block["type"] == "thinking":
                block.setdefault("signature", "")


def _force(value: Any) -> None:
    """Look at everything: an Iterable in these types is validated only as it is read."""
    if isinstance(value, dict):
        for each in value.values():
            _force(each)
    elif isinstance(value, list | tuple) or type(value).__name__ == "ValidatorIterator":
        for each in value:
            _force(each)


def flattened(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each thing that a body's messages say, in order, without cache marks; one form for a text and a list of one."""
    for item in body.get("contents") or ():
        yield from ((str(item["role"]), str(part)) for part in item["parts"])
    for item in body.get("messages") or body.get("input") or ():
        # Mistral's `prefix` is about this request: go on from the last message.
        rest = {key: value for key, value in item.items() if key not in ("content", "prefix")}
        content = item.get("content")
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        said = [plain for block in content or () if (plain := _without_marks(block))]
        if "messages" in body and set(rest) == {"role"}:
            yield from ((str(item["role"]), str(block)) for block in said)
        else:
            yield str(item.get("role")), str([_without_marks(rest), said])


def _without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_marks(each)
            for key, each in value.items()
            if key not in ("cache_control", "prompt_cache_breakpoint", "cachePoint")
        }
    return [_without_marks(each) for each in value] if isinstance(value, list) else value
