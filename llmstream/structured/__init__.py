"""Answers as values: pydantic models, dataclasses, TypedDicts, other types, or JSON that follows a schema.

    recipe = await structured.parse(client, messages, Recipe)

    async for partial in structured.objects(structured.ask(client, messages, Recipe), Recipe):
        print(partial.value.title, partial.completed)

What a vendor is asked is chosen by what it is known to take: `native` (its own mode for JSON schemas), a `tool` whose
call is the answer, or `instructions` in the prompt. Whatever it answers is checked by pydantic.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, Unpack, overload

from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.errors import ErrorInfo, TruncatedError
from llmstream.events.any_event import AnyEvent
from llmstream.messages import Message, Usage
from llmstream.structured.answer_type import AnswerType
from llmstream.structured.growth import FieldComplete
from llmstream.structured.json_schema_check import describe
from llmstream.structured.modes import Mode, ask_again, start
from llmstream.structured.partial_objects import Partial, ValidationFailedError, finish, objects

T = TypeVar("T")


def ask(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    into: Any,
    *,
    mode: Mode | None = None,
    **options: Unpack[CallOptions],
) -> AsyncGenerator[AnyEvent, None]:
    """The events of a request for a value of type `into`, to be given to `objects`. Takes `chat_completion`'s options.

    `mode` overrides what is chosen for the model asked; with `fallbacks` at other vendors choose one that all take.
    Raises TypeError for a type without a JSON schema, and ValueError for options that contradict the mode, at once.
    """
    return start(client, messages, AnswerType(into), mode, options, stream=True)


@overload
async def parse(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    into: type[T],
    *,
    mode: Mode | None = None,
    repair: bool = False,
    on_usage: Callable[[Usage], object] | None = None,
    **options: Unpack[CallOptions],
) -> T: ...
@overload
async def parse(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    into: Any,
    *,
    mode: Mode | None = None,
    repair: bool = False,
    on_usage: Callable[[Usage], object] | None = None,
    **options: Unpack[CallOptions],
) -> Any: ...
async def parse(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    into: Any,
    *,
    mode: Mode | None = None,
    repair: bool = False,
    on_usage: Callable[[Usage], object] | None = None,
    **options: Unpack[CallOptions],
) -> Any:
    """The answer as a value of type `into`. Takes `chat_completion`'s options, and `ask`'s.

    With `repair=True` an answer that doesn't validate is sent back once, with what is wrong with it. Raises
    ValidationFailedError, which has the text, for an answer that is not the value; other LLMErrors as `complete` does.

    `on_usage` is called once, before the value is returned or an error is raised, with the tokens and the cost of all
    that was asked, both answers of a repair included: `usages = []` and `on_usage=usages.append`. Where no answer began
    it isn't called.
    """
    answer_type: AnswerType[Any] = AnswerType(into)
    usages: list[Usage] = []
    try:
        try:
            return await _parse(client, messages, answer_type, mode, options, usages=usages)
        except ValidationFailedError as failed:
            if not repair or not failed.info.retryable:
                raise
            messages = ask_again(messages, failed.text, describe(failed.problems))
        return await _parse(client, messages, answer_type, mode, options, usages=usages)
    finally:
        if on_usage is not None and usages:
            on_usage(_together(usages))


def _together(usages: Sequence[Usage]) -> Usage:
    """The usage of the last answer, with everything that was billed before it."""
    *earlier, last = usages
    if not earlier:
        return last
    return last.over(attempt for usage in usages for attempt in usage.attempts or (usage,))


async def _parse(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    answer_type: AnswerType[T],
    mode: Mode | None,
    options: CallOptions,
    *,
    usages: list[Usage],
) -> T:
    # In batch mode nothing is shown before the end, so every failure that may be retried is.
    async with aclosing(
        start(client, messages, answer_type, mode, options, stream=False)
    ) as events:
        async for event in events:
            usages += [] if event.usage is None else [event.usage]
            event.raise_for_error()
            return finish(event, answer_type)
    raise TruncatedError(ErrorInfo("truncated", "no answer came"))


__all__ = ["FieldComplete", "Mode", "Partial", "ValidationFailedError", "ask", "objects", "parse"]
