"""A history as its target takes it. See `rules.py` for what a target can say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmstream.messages import (
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
from llmstream.wire.fitting.answers import Arrangement
from llmstream.wire.fitting.call_ids import CallIds
from llmstream.wire.fitting.labelled_text import document, is_text, labelled, text_of
from llmstream.wire.fitting.rules import Blank, HistoryRules, is_same_host
from llmstream.wire.fitting.system import place_system
from llmstream.wire.fitting.tools import flat_name
from llmstream.wire.reasoning import BLANK

FREEFORM = frozenset({"custom", "custom_tool_call"})
"""The types of calls whose arguments are any text, in OpenAI's two formats."""


@dataclass(slots=True)
class FittedHistory:
    """The messages to render, one by one, and a sentence for each thing that was lost or changed."""

    messages: list[Message]
    warnings: list[str] = field(default_factory=list)


def fit_history(history: Sequence[Message], rules: HistoryRules) -> FittedHistory:
    """The history as the target takes it. It leaves the caller's messages as they are."""
    warnings: list[str] = []
    fitting = _PartFitting(rules, warnings)
    fitted = [each for each in map(fitting.message, history) if each is not None]
    ids = CallIds(rules.ids)
    arranged = Arrangement(fitted, ids, warnings, keeps_orphans=rules.keeps_orphans)
    placed = place_system(list(arranged.messages()), rules, warnings)
    return FittedHistory(placed, warnings)


def is_plain(message: Message) -> bool:
    """Whether a message is one text and nothing else: the usual case, which has a short way of its own."""
    if len(message.parts) != 1 or message.name is not None:
        return False
    part = message.parts[0]
    return type(part) is TextPart and part.cache is None and part.provider_data is None


class _PartFitting:
    """Fits the parts of one message after the other."""

    def __init__(self, rules: HistoryRules, warnings: list[str]) -> None:
        self._rules = rules
        self._warnings = warnings

    def message(self, message: Message) -> Message | None:
        """The message with the parts that the target takes; None if nothing is left of it."""
        rules = self._rules
        is_assistant = message.role == "assistant"
        if is_plain(message) and not (is_assistant and (rules.owed or rules.trims_last_text)):
            return None if self._is_left_out(message) else message
        same_host = is_same_host(rules, message.provider, message.model)
        parts = list(self._parts(message, same_host=same_host))
        if is_assistant:
            parts = self._finish_assistant(parts)
        if not parts:
            return None if message.parts or is_assistant else message
        if len(parts) == len(message.parts) and all(map(_is_same, parts, message.parts)):
            return message
        return replace(message, parts=parts)

    def _is_left_out(self, message: Message) -> bool:
        """Whether a message of one text says nothing. A user's empty message stays where the target takes it."""
        text: str = message.parts[0].text  # type: ignore[union-attr]  # it is plain
        if text and not text.isspace():
            return False
        return message.role == "assistant" or self._rules.blank is Blank.SPACE

    # --- one part ------------------------------------------------------------------------------------------

    def _parts(self, message: Message, *, same_host: bool) -> Iterator[Part]:
        is_assistant = message.role == "assistant"
        alone = len(message.parts) == 1 and not is_assistant
        for part in message.parts:
            if isinstance(part, TextPart | RefusalPart):
                if self._says_something(part.text):
                    yield part
                elif alone and self._rules.blank is Blank.EMPTY:
                    yield TextPart("")  # a mark on nothing is refused
            elif isinstance(part, ToolCall):
                yield from self._call(part, same_host=same_host)
            elif isinstance(part, ToolResult):
                yield from self._result(part, same_host=same_host)
            elif isinstance(part, ReasoningPart):
                yield from self._reasoning(part, same_host=same_host)
            elif isinstance(part, ProviderPart):
                yield from self._provider_part(part, same_host=same_host)
            elif isinstance(part, ImagePart | File) and is_assistant:
                self._refuse_file(message)
            elif isinstance(part, File):
                yield self._file(part)
            else:
                yield part

    def _refuse_file(self, message: Message) -> None:
        """No target takes files from the assistant; the items of its own tools may hold them."""
        ran_tools = any(map(_is_providers, message.parts))
        if not (self._rules.assistant_files and ran_tools):
            self._warn(f"file: {self._rules.label} take none from the assistant; left out")

    def _says_something(self, text: str) -> bool:
        return bool(text.strip() if self._rules.blank is Blank.SPACE else text)

    def _call(self, call: ToolCall, *, same_host: bool) -> Iterator[ToolCall]:
        data = call.provider_data or {}
        is_own = data.get("format") == self._rules.format
        is_freeform = str(data.get("type")) in FREEFORM
        if call.executed_by == "provider":
            if is_own and same_host:
                yield from [call] if self._rules.hosted_calls else ()
            else:
                self._warn(f"tool call: another provider ran {call.name}; left out")
            return
        if data and not is_own:
            call = replace(call, name=flat_name(call), provider_data=None)
        elif is_freeform:
            yield call
            return
        elif data and not (self._rules.call_data and same_host):
            self._warn(f"tool call: another provider signed {call.name}; its signature is left out")
            call = replace(call, provider_data=None)
        yield self._with_object(call, is_freeform=is_freeform)

    def _with_object(self, call: ToolCall, *, is_freeform: bool) -> ToolCall:
        """The call with arguments that are an object: many hosts refuse the whole history otherwise."""
        text = call.arguments
        if call.complete and call.input is not None and text.strip():
            return call
        if is_freeform:
            return _with_input(call, {"input": text})
        given = parse_arguments(text) if text.strip() or call.input is None else call.input
        if given is None:
            self._warn(
                f"tool call: the arguments of {call.name} were cut or aren't a JSON object; sent as {{}}"
            )
            return _with_input(call, {})
        return replace(call, input=given) if text.strip() else _with_input(call, given)

    def _result(self, result: ToolResult, *, same_host: bool) -> Iterator[ToolResult]:
        data = result.provider_data or {}
        is_own = data.get("format") == self._rules.format and same_host
        if result.executed_by == "provider" or "item" in data:
            if is_own:
                yield from [result] if self._rules.hosted_calls else ()
            else:
                name = result.name or "a tool"
                self._warn(
                    f"tool result: only another provider understands that of {name}; left out"
                )
            return
        shown = result.shown
        if shown is None:
            yield result
            return
        fitted = [self._file(part) if isinstance(part, File) else part for part in shown]
        yield replace(result, content=fitted)

    def _reasoning(self, part: ReasoningPart, *, same_host: bool) -> Iterator[ReasoningPart]:
        rules = self._rules
        is_own = part.format == rules.format
        is_readable = part.signature is None and part.format in (None, rules.format)
        if is_readable and rules.unsigned_reasoning and part.text.strip():
            yield part if same_host else replace(part, provider_data=None)
        elif part.signature is None and part.provider_data is None:
            return
        elif not (is_own and same_host):
            self._warn("reasoning: another provider signed it; left out")
        elif rules.signed_reasoning:
            yield part

    def _provider_part(self, part: ProviderPart, *, same_host: bool) -> Iterator[Part]:
        rules = self._rules
        if part.format == rules.format and same_host:
            if rules.signed_reasoning or not _is_detail(part):
                yield part
            return
        said = labelled(part)
        if said is None:
            kind = part.data.get("type", "a part")
            self._warn(f"{kind}: only another provider understands it; left out")
        else:
            yield self._file(said) if isinstance(said, File) else said

    def _file(self, file: File) -> Part:
        if self._rules.text_as_file or not is_text(file):
            return file
        return replace(document(file.name, text_of(file)), cache=file.cache)

    # --- the assistant's messages --------------------------------------------------------------------------

    def _finish_assistant(self, parts: list[Part]) -> list[Part]:
        if self._rules.reasoning_leads:
            parts = self._without_dangling(parts)
        if not _holds_something(parts):
            return []
        if self._rules.trims_last_text:
            parts = _trimmed(parts)
        return [ReasoningPart(BLANK), *parts] if self._owes_reasoning(parts) else parts

    def _without_dangling(self, parts: list[Part]) -> list[Part]:
        """Leave out reasoning that no item follows. What followed the first of two was empty, and is lost."""
        kept: list[Part] = []
        follower: Part | None = None
        for part in reversed(parts):
            if _is_thinking(part):
                alone = follower is None
                paired = follower is not None and not _is_thinking(follower)
                if alone or (self._rules.reasoning_pairs and not paired):
                    self._warn("reasoning: nothing follows it; left out")
                    continue
            kept.append(part)
            if not _is_source(part):
                follower = part
        kept.reverse()
        return kept

    def _owes_reasoning(self, parts: list[Part]) -> bool:
        owed = self._rules.owed
        if owed is None or any(map(_is_readable_reasoning, parts)):
            return False
        return owed == "always" or any(map(_is_callers, parts))

    def _warn(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.append(warning)


def _is_same(one: Part, other: Part) -> bool:
    return one is other


def _is_source(part: Part) -> bool:
    return part.type == "source"


def _is_thinking(part: Part) -> bool:
    """Whether it is reasoning, be it readable or not."""
    if isinstance(part, ProviderPart):
        return part.data.get("type") == "redacted_thinking"
    return isinstance(part, ReasoningPart)


def _is_detail(part: ProviderPart) -> bool:
    """Whether it is one of chat completions' `reasoning_details`."""
    return str(part.data.get("type")).startswith("reasoning.")


def _is_providers(part: Part) -> bool:
    return isinstance(part, ToolCall) and part.executed_by == "provider"


def _is_callers(part: Part) -> bool:
    return isinstance(part, ToolCall) and part.executed_by == "caller"


def _is_readable_reasoning(part: Part) -> bool:
    return isinstance(part, ReasoningPart) and part.signature is None and bool(part.text.strip())


def _holds_something(parts: list[Part]) -> bool:
    """Whether a message is worth sending: the hosts refuse an assistant's message that says and does nothing."""
    for part in parts:
        if isinstance(part, TextPart | RefusalPart):
            if part.text.strip():
                return True
        elif not _is_source(part):
            return True
    return False


def _trimmed(parts: list[Part]) -> list[Part]:
    """The parts without white space at the end of the last one, if that is text."""
    last = parts[-1]
    if not isinstance(last, TextPart) or last.text == last.text.rstrip():
        return parts
    return [*parts[:-1], replace(last, text=last.text.rstrip())]


def _with_input(call: ToolCall, value: dict[str, Any]) -> ToolCall:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return replace(call, arguments=text, input=value, complete=True)
