"""The parts of one message as the target takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from llmstream.cache_marks import BREAKPOINT, CONTROL
from llmstream.messages import (
    File,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    parse_arguments,
)
from llmstream.parts import Shown
from llmstream.provider_data import all_members
from llmstream.wire.fitting.labelled_text import (
    document,
    further_members,
    labelled,
    text_of,
)
from llmstream.wire.fitting.rules import Blank, HistoryRules, is_same_host
from llmstream.wire.fitting.tools import flat_name
from llmstream.wire.outbound import warn_once
from llmstream.wire.part_rules import LABELLED

FREEFORM = frozenset({"custom", "custom_tool_call"})
"""The types of calls whose arguments are any text, in OpenAI's two formats."""

SEALS = frozenset({"reasoning_details", "reasoning_opaque", "thinking_blocks"})
"""Where chat completions keep what their hosts signed."""

_WITHOUT_LOSS = frozenset({"citations", "annotations", CONTROL, BREAKPOINT})
"""Members that go without a warning where they aren't understood: the words say the same."""

Fitted = Iterable[Part]
"""What a part becomes: itself, another, or nothing."""


class PartFitting:
    """Fits the parts of one message."""

    def __init__(self, message: Message, rules: HistoryRules, warnings: list[str]) -> None:
        self._message = message
        self._rules = rules
        self._warnings = warnings
        self._same_host = is_same_host(rules, message.provider, message.model)
        self._is_assistant = message.role == "assistant"

    def parts(self) -> list[Part]:
        """The parts that go out, in their order."""
        self._name_foreign_members("message", self._message.provider_data)
        fitted: list[Part] = []
        for part in self._message.parts:
            fit = self._FITTERS.get(type(part))
            fitted += [part] if fit is None else fit(self, part)
        return fitted

    def _is_own(self, data: Mapping[str, Any]) -> bool:
        return data.get("format") == self._rules.format

    def _warn(self, warning: str) -> None:
        warn_once(self._warnings, warning)

    # --- texts and files -----------------------------------------------------------------------------------

    def _text(self, part: TextPart | RefusalPart) -> Fitted:
        takes_space = self._rules.blank is Blank.EMPTY
        says_something = bool(part.text if takes_space else part.text.strip())
        if says_something:
            self._name_foreign_members(part.type, part.provider_data)
            return (part,)
        is_alone = len(self._message.parts) == 1
        if takes_space and is_alone and not self._is_assistant:
            return (TextPart("", provider_data=part.provider_data),)  # a mark on nothing is refused
        self._name_lost_members(part)
        return ()

    def _name_lost_members(self, part: TextPart | RefusalPart) -> None:
        """A blank text is left out, and what stood beside it."""
        lost = all_members(part.provider_data or {}) - _WITHOUT_LOSS
        if isinstance(part, TextPart) and part.cache is not None:
            lost.add("cache")
        if lost:
            self._warn(f"{part.type}: a blank one is left out, and with it {_listed(lost)}")

    def _name_foreign_members(self, kind: str, data: Mapping[str, Any] | None) -> None:
        """What one format alone can say of a part is left out elsewhere."""
        if not data or self._is_own(data):
            return
        self._name_members(kind, all_members(data))

    def _name_members(self, kind: str, members: Iterable[str]) -> None:
        lost = set(members) - _WITHOUT_LOSS
        if lost:
            self._warn(f"{kind}: {self._rules.label} don't have {_listed(lost)}; left out")

    def _image(self, part: ImagePart) -> Fitted:
        if self._is_assistant:
            return self._file_of_assistant(part)
        return self._readable_image(part)

    def _readable_image(self, image: ImagePart) -> Fitted:
        self._name_foreign_members("image", image.provider_data)
        return () if self._is_refused(image) else (image,)

    def _is_refused(self, part: ImagePart | File) -> bool:
        """Whether the target doesn't take it; then a warning says why."""
        rules = self._rules
        problem = rules.parts.refusal(part, f"{rules.label} ({rules.host})")
        if problem is not None:
            self._warn(f"{part.type}: {problem}; left out")
        return problem is not None

    def _file(self, part: File) -> Fitted:
        return self._file_of_assistant(part) if self._is_assistant else self._readable((part,))

    def _file_of_assistant(self, part: ImagePart | File) -> Fitted:
        """Few targets take files from the assistant. The items of its own tools may hold them."""
        is_own = part.provider_data is None or self._is_own(part.provider_data)
        if self._rules.returned_files and self._same_host and is_own:
            return (part,)
        ran_tools = any(map(is_providers_call, self._message.parts))
        if not (self._rules.assistant_files and ran_tools):
            self._warn(f"file: {self._rules.label} take none from the assistant; left out")
        return ()

    def _readable(self, parts: Iterable[Part]) -> list[Part]:
        """The parts with each file as the target takes it, and without those that it refuses."""
        fitted: list[Part] = []
        for part in parts:
            if isinstance(part, File):
                fitted += self._readable_file(part)
            elif isinstance(part, ImagePart):
                fitted += self._readable_image(part)
            else:
                fitted.append(part)
        return fitted

    def _readable_file(self, file: File) -> Fitted:
        self._name_foreign_members("file", file.provider_data)
        if self._is_refused(file):
            return ()
        if self._rules.parts.form(file) == LABELLED:
            return (replace(document(file.name, text_of(file)), cache=file.cache),)
        return (file,)

    # --- calls and results ---------------------------------------------------------------------------------

    def _call(self, call: ToolCall) -> Fitted:
        if call.provider_data is None and call.executed_by == "caller":
            return (self._with_object(call, is_freeform=False),)  # the usual case, on its own
        data = call.provider_data or {}
        is_freeform = str(data.get("type")) in FREEFORM
        if call.executed_by == "provider":
            return self._of_provider(call, data, f"tool call: another provider ran {call.name}")
        if not self._is_own(data):
            self._name_foreign_members("tool call", data)
            flat = replace(call, name=flat_name(call), provider_data=None)
            return (self._with_object(flat, is_freeform=is_freeform),)
        if is_freeform and self._rules.freeform_calls:
            return (call,)
        if is_freeform:
            return (self._with_object(replace(call, provider_data=None), is_freeform=True),)
        if not (self._rules.call_data and self._same_host):
            self._warn(f"tool call: another provider signed {call.name}; its signature is left out")
            call = replace(call, provider_data=None)
        return (self._with_object(call, is_freeform=False),)

    def _of_provider(
        self, part: ToolCall | ToolResult, data: Mapping[str, Any], problem: str
    ) -> Fitted:
        """What a provider's own tool did goes back to that provider alone."""
        if self._is_own(data) and self._same_host:
            return (part,) if self._rules.hosted_calls else ()
        self._warn(f"{problem}; left out")
        return ()

    def _with_object(self, call: ToolCall, *, is_freeform: bool) -> ToolCall:
        """The call with arguments that are an object: many hosts refuse the whole history otherwise."""
        text = call.arguments.strip()
        if text and call.complete and call.input is not None:
            return call
        if is_freeform:
            return _with_input(call, {"input": call.arguments})
        if not text:
            return _with_input(call, call.input or {})
        given = parse_arguments(text)
        if given is not None:
            return replace(call, input=given)
        self._warn(
            f"tool call: the arguments of {call.name} were cut or aren't a JSON object; sent as {{}}"
        )
        return _with_input(call, {})

    def _result(self, result: ToolResult) -> Fitted:
        data = result.provider_data or {}
        if result.executed_by == "provider" or "item" in data:
            name = result.name or "a tool"
            problem = f"tool result: only another provider understands that of {name}"
            return self._of_provider(result, data, problem)
        self._name_foreign_members("tool result", data)
        if result.shown is None:
            return (result,)
        shown = [each for part in result.shown for each in self._fit_shown(part)]
        return (replace(result, content=shown or ""),)

    def _fit_shown(self, part: Shown) -> Fitted:
        """What a result shows."""
        if isinstance(part, ProviderPart):
            return self._opaque(part)
        if isinstance(part, File):
            return self._readable_file(part)
        if isinstance(part, ImagePart):
            return self._readable_image(part)
        self._name_foreign_members("text", part.provider_data)
        return (part,)

    # --- reasoning, and what only one provider understands -------------------------------------------------

    def _reasoning(self, part: ReasoningPart) -> Fitted:
        rules = self._rules
        data = part.provider_data or {}
        self._name_foreign_members("reasoning", data)
        is_own = rules.format in (part.format, data.get("format"))
        is_unsigned = not part.signature
        is_anybodys = part.format in (None, rules.format) and not rules.own_reasoning
        is_readable = is_unsigned and (is_anybodys or self._same_host)
        if is_readable and rules.unsigned_reasoning and part.text.strip():
            return (part if self._same_host else replace(part, provider_data=None),)
        is_kept = bool(SEALS & data.keys())  # whole, as its host told it
        returns = is_own and self._same_host
        if returns and rules.signed_reasoning and (is_kept or part.signature):
            return (part,)
        if is_unsigned and (part.format is None or not is_kept):
            if part.format == rules.format:
                self._warn(f"reasoning: {rules.label} take none that nobody signed; left out")
            return ()
        if returns:
            self._warn(f"reasoning: {rules.host} takes none back that is signed; left out")
            return ()
        self._warn("reasoning: another provider signed it; left out")
        return ()

    def _opaque(self, part: ProviderPart) -> Fitted:
        if part.format == self._rules.format and self._same_host:
            if self._rules.signed_reasoning or not _is_detail(part):
                return (part,)
            self._warn(f"reasoning: {self._rules.host} takes none back that is signed; left out")
            return ()
        said = labelled(part)
        if not said:
            named = [*part.data] if len(part.data) == 1 else ["a part"]
            kind = part.data.get("type", named[0])
            self._warn(f"{kind}: only another provider understands it; left out")
            return ()
        self._name_members(str(part.data.get("type")), further_members(part.data))
        return self._readable(said)

    def _source(self, source: Source) -> Fitted:
        is_foreign = self._is_own(source.provider_data or {}) and not self._same_host
        return (replace(source, provider_data=None) if is_foreign else source,)

    _FITTERS: ClassVar[Mapping[type[Any], Callable[[Any, Any], Fitted]]] = {
        TextPart: _text,
        RefusalPart: _text,
        ImagePart: _image,
        File: _file,
        ToolCall: _call,
        ToolResult: _result,
        ReasoningPart: _reasoning,
        ProviderPart: _opaque,
        Source: _source,
    }


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _with_input(call: ToolCall, value: dict[str, Any]) -> ToolCall:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return replace(call, arguments=text, input=value, complete=True)


def _is_detail(part: ProviderPart) -> bool:
    """Whether it is one of chat completions' `reasoning_details`."""
    return str(part.data.get("type")).startswith("reasoning.")


def is_providers_call(part: Part) -> bool:
    """Whether it is a call that the provider ran."""
    return isinstance(part, ToolCall) and part.executed_by == "provider"
