"""The outbound side that every format shares: what a rendered request is, and what an encoder does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, Protocol

from llmstream.events.types import StreamEvent
from llmstream.messages import TextPart, ToolCall, ToolResult, parse_arguments
from llmstream.wire.json_fields import compact


@dataclass(slots=True)
class Rendered:
    """A request body, and a sentence for every option that this format can't take or takes only in part."""

    body: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """What must go out beside this body."""

    def pass_on(self, options: Mapping[str, Mapping[str, Any]], format: str) -> None:
        """The request's `format_options`: those of this format are merged, a warning names each of another's."""
        for owner, members in options.items():
            if owner == format:
                self.merge(members)
            else:
                named = [each for item in members.items() for each in _names_of(*item)]
                self.warnings.extend(f"{name}: only {owner} has it; dropped" for name in named)

    def merge(self, options: Mapping[str, Any]) -> None:
        """The caller's `provider_options`, last: an object is merged into one that is there, anything else replaces."""
        for name, value in options.items():
            known = self.body.get(name)
            self.body[name] = (
                {**known, **value}
                if isinstance(known, dict) and isinstance(value, Mapping)
                else value
            )


def warn_once(warnings: list[str], warning: str) -> None:
    """Add a warning, unless it is there: what is lost in each of many messages is told once."""
    if warning not in warnings:
        warnings.append(warning)


_SHARED = (
    *("options", "output_config", "reasoning", "stream_options", "text"),
    *("generationConfig", "generation_config", "toolConfig"),
)
"""Objects of a body of which a part has a name of ours, so that only the rest is left over."""


def _names_of(member: str, value: Any) -> list[str]:
    if member in _SHARED and isinstance(value, Mapping):
        return [f"{member}.{name}" for name in value]
    return [member]


def input_of(call: ToolCall) -> dict[str, Any] | None:
    """What a call asks for, as an object; None if its arguments aren't one."""
    return parse_arguments(call.arguments) if call.input is None else call.input


def content_text(content: Any) -> str:
    """The content of a tool's result as text: JSON, unless it is a text already."""
    return content if isinstance(content, str) else compact(content)


def text_of_result(result: ToolResult) -> str:
    """A tool's result as one text, for a format in which what it shows stands elsewhere."""
    if result.shown is None:
        return content_text(result.content)
    texts = [part.text for part in result.shown if isinstance(part, TextPart)]
    return "\n\n".join(texts) or "The tool shows what follows."


def encode_json(text: str) -> bytes:
    """JSON as UTF-8, or frames of it, for clients that know more ends of a line than JSON does.

    Python's `str.splitlines`, and so httpx2's `iter_lines`, cuts at these three too; JSON escapes the others itself.
    Half a surrogate pair, which UTF-8 has no bytes for, is escaped as well.
    """
    if text.isascii():
        return text.encode()
    text = text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return text.encode("utf-8", "backslashreplace")


def json_writer(
    *, default: Callable[[Any], Any] | None = None, allow_nan: bool = True
) -> Callable[[Any], str]:
    """A writer of JSON without spaces, as `json.dumps` with these arguments, which makes one anew for each value.

    It raises TypeError for what is no JSON, ValueError for numbers that aren't allowed, and RecursionError for a value
    without end.
    """
    separators = item_end, key_end = ",", ":"
    encoder = json.JSONEncoder(
        ensure_ascii=False, separators=separators, default=default, allow_nan=allow_nan
    )
    make: Any = getattr(json.encoder, "c_make_encoder", None)  # only CPython has it
    if make is None:
        return encoder.encode
    # What JSONEncoder gives it, but for the search for circles, the first.
    write = make(
        None,
        encoder.default,
        encode_basestring,
        encoder.indent,
        key_end,
        item_end,
        encoder.sort_keys,
        encoder.skipkeys,
        allow_nan,
    )
    return lambda value: "".join(write(value, 0))


_write = json_writer()


def json_bytes(value: Any) -> bytes:
    """JSON without spaces, as `encode_json` has it."""
    return encode_json(_write(value))


class Encoder(Protocol):
    """Events to the bytes of one answer: the inverse of a Decoder, one per answer."""

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes for one event; empty for those that the format has no place for."""
        ...
