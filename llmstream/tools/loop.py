"""run_tools: ask, run what the model calls, tell it the results, ask again; all in one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias, Unpack, cast

from llmstream.arguments import build_request
from llmstream.checks import is_count, require, sequence_of
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, Status, StreamEvent, error
from llmstream.events.unfold import unfold
from llmstream.messages import (
    ChatRequest,
    FinishReason,
    HostedTool,
    Message,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from llmstream.options import OF_THE_CALL
from llmstream.providers.secrets import hide_headers
from llmstream.tool_reader import parse_tools
from llmstream.tools.function import FunctionTool, tool
from llmstream.tools.runner import CallRunner, Confirm

Given: TypeAlias = Callable[..., Any] | FunctionTool | HostedTool | Mapping[str, Any]

_CUT = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.REFUSAL})
"""Ends after which no call is run: the answer is not what the model meant to say."""


def run_tools(  # type: ignore[misc]  # `tools` is ours, the other options pass through
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    tools: Sequence[Given],
    *,
    max_rounds: int = 10,
    parallel: int = 8,
    timeout: float | None = 60.0,
    confirm: Confirm | None = None,
    **options: Unpack[CallOptions],  # pyright: ignore[reportGeneralTypeIssues]  # likewise
) -> AsyncGenerator[AnyEvent, None]:
    """Ask the model, run the tools it calls, and go on until it answers without a call: one stream, one end.

    Takes `chat_completion`'s options. `tools` are functions, what `tool()` made of them, or hosted tools, which the
    provider runs. Every answer but the last ends in STATUS(kind="step"), with `message`, `usage` and `finish_reason`;
    before it stand the TOOL_RESULTs, as the tools finish. The terminal event's `messages` are the new messages of all
    rounds, to be appended to the conversation; its `usage` is that of the last answer, and `usage.attempts` lists all.

    `max_rounds` bounds the answers: when the last of them still calls tools, these are not run, and the stream ends in
    ERROR(kind="invalid_output", code="max_rounds"). At most `parallel` tools run at a time, each for `timeout` seconds
    (None: no limit). `confirm(call)` is asked before each call, one at a time, and may refuse it with False. What goes
    wrong with a call (an unknown tool, arguments that don't fit, an exception, the timeout) is told to the model as
    TOOL_RESULT(is_error=True): the exception's type and message, never a traceback. A call whose arguments were cut is
    never run; after an answer that was cut (finish_reason LENGTH …) none is, and the stream ends with it. A forced
    `tool_choice` holds for the first answer alone.

    Raises TypeError, ValueError or ConfigurationError for wrong arguments, before any network. Closing the generator or
    cancelling the task cancels the tools that run and waits for them; a function that is not async runs in a thread,
    which can't be stopped, and ends with the function or the program.
    """
    return run_rounds(
        client,
        messages,
        tools,
        cast("CallOptions", options),
        stream=True,
        max_rounds=max_rounds,
        parallel=parallel,
        timeout=timeout,
        confirm=confirm,
    )


@narrow
async def run_rounds(
    client: LLMClient,
    messages: Sequence[Message | Mapping[str, Any]],
    tools: Sequence[Given],
    options: CallOptions,
    *,
    stream: bool,
    max_rounds: int,
    confirm: Confirm | None,
    parallel: int = 8,
    timeout: float | None = 60.0,  # noqa: ASYNC109  # of each tool, not of this
) -> AsyncGenerator[StreamEvent, None]:
    """The events of `run_tools`. With `stream=False`, for callers that show nothing early, each answer comes whole.

    It is asked for in batch mode then, where every failure that may be retried is.
    """
    if "headers" in options:  # a traceback may show the locals of a frame that raises
        options["headers"] = hide_headers(options["headers"])
    known = read_tools(tools)
    run = _ToolRounds(client, messages, known, options, max_rounds, stream=stream)
    own = [tool for tool in known if isinstance(tool, FunctionTool)]
    calls = CallRunner(own, client.clock, parallel=parallel, timeout=timeout, confirm=confirm)
    while True:
        async with aclosing(run.ask()) as events:
            async for event in events:
                if not run.ends(event):
                    yield event
        if (last := run.last()) is not None:
            yield last
            return
        async with aclosing(calls.run(run.calls)) as results:
            async for place, result in results:
                run.results[place] = result
                yield StreamEvent(EventType.TOOL_RESULT, tool_result=result)
        yield run.step()


class _ToolRounds:
    """The state between the rounds."""

    def __init__(
        self,
        client: LLMClient,
        messages: Sequence[Message | Mapping[str, Any]],
        tools: Sequence[FunctionTool | HostedTool],
        options: CallOptions,
        max_rounds: int,
        *,
        stream: bool,
    ) -> None:
        require(
            is_count(max_rounds),
            f"max_rounds must be a whole number from 1 on, not {max_rounds!r}",
        )
        require(
            isinstance(messages, list | tuple),
            f"messages must be a list, not {type(messages).__name__}",
            TypeError,
        )
        require(
            "stream" not in options,
            "run_tools always streams: leave out stream=, and read its last event alone if you like",
            TypeError,
        )
        # It would only fail after the first answer.
        require(
            client.keep_message,
            "run_tools sends the answers back: make the client without keep_message=False",
            ConfigurationError,
        )
        self._client = client
        self._messages = messages
        self._options: dict[str, Any] = {**options, "tools": tools}
        self._of_each_call = {
            name: self._options.pop(name) for name in OF_THE_CALL if name in self._options
        }
        self._request: ChatRequest | None = None
        self._max_rounds = max_rounds
        self._stream = stream
        self._rounds = 0
        self._ended = StreamEvent(EventType.ERROR)
        self._billed: list[Usage] = []
        self._new: list[Message] = []
        self.results: dict[int, ToolResult] = {}
        """Of this round, by the places of their calls: ids may come twice."""

    def ask(self) -> AsyncGenerator[StreamEvent, None]:
        """The next answer."""
        self._rounds += 1
        request = self._next_request()
        events = self._client.chat_completion(request, self._stream, **self._of_each_call)
        return events if self._stream else _unfold(events)

    def _next_request(self) -> ChatRequest:
        """The arguments are read in the first round; later ones add the messages that are new."""
        if self._request is None:
            model = self._options.pop("model", None)
            self._client.target(model)  # raises for a model that isn't one
            self._request = build_request(self._messages, model or "", **self._options)
            return self._request
        asked = replace(self._request, messages=[*self._request.messages, *self._new])
        choice = asked.tool_choice
        if choice is not None and choice.mode in ("required", "tool"):
            asked.tool_choice = None  # it would force a call in every round
        return asked

    def ends(self, event: StreamEvent) -> bool:
        """Whether the answer ends with this event, which is then kept back."""
        if event.type in TERMINAL:
            self._ended = event
        return event is self._ended

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that the answer wants to be run."""
        message = self._ended.message
        return (
            message.tool_calls
            if message is not None and self._ended.finish_reason not in _CUT
            else []
        )

    def last(self) -> StreamEvent | None:
        """The terminal event of all, if the answer is the last."""
        ended = self._ended
        if ended.type is EventType.ERROR or not (
            self.calls or ended.finish_reason is FinishReason.PAUSE
        ):
            return self._finish(ended)
        if self._rounds < self._max_rounds:
            return None
        told = (
            f"the model wants to go on after answer {self._rounds}, the last that max_rounds allows"
        )
        info = ErrorInfo(
            "invalid_output", told, retryable=False, code="max_rounds", partial=ended.message
        )
        info.provider = ended.start.provider if ended.start is not None else None
        return self._finish(replace(error(info), usage=ended.usage))

    def step(self) -> StreamEvent:
        """The end of a round: its messages are part of the conversation now."""
        ended = self._ended
        self._new += [ended.message] if ended.message is not None else []
        if results := [self.results[place] for place in sorted(self.results)]:
            self._new.append(Message("tool", [*results]))
        self._bill(ended.usage)
        self.results = {}
        told = f"answer {self._rounds} of at most {self._max_rounds}; tools run: {len(results)}"
        return replace(
            ended, type=EventType.STATUS, status=Status("step", told, {"round": self._rounds})
        )

    def _finish(self, event: StreamEvent) -> StreamEvent:
        usage = event.usage
        if self._billed:
            self._bill(usage)
            usage = (usage or Usage()).over(self._billed)
        if event.message is not None:
            self._new.append(event.message)
        return replace(event, usage=usage, messages=self._new)

    def _bill(self, usage: Usage | None) -> None:
        if usage is not None:
            self._billed += usage.attempts or (usage,)


async def _unfold(events: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
    """A whole answer as a stream, so that who records it has it while the tools run."""
    async with aclosing(events):
        async for event in events:
            if event.message is not None:
                yield StreamEvent(EventType.MESSAGE_START, start=event.start)
                for piece in unfold(event.message):
                    yield piece
            yield replace(event, text_delta=None, refusal_delta=None)


def read_tools(tools: Sequence[Given]) -> list[FunctionTool | HostedTool]:
    """The tools that were given as functions or in other forms. Raises TypeError or ValueError."""
    return [
        _parse_tool(given, f"tools[{index}]")
        for index, given in enumerate(sequence_of(tools, "tools"))
    ]


def _parse_tool(given: Given, where: str) -> FunctionTool | HostedTool:
    if isinstance(given, FunctionTool | HostedTool):
        return given
    if isinstance(given, Mapping):
        (parsed,) = parse_tools([given])
        if isinstance(parsed, HostedTool):
            return parsed
    if isinstance(given, Tool | Mapping) or not callable(given):
        raise TypeError(
            f"{where} can't be run: give a function, tool(function, parameters={{…}}) or a hosted tool"
        )
    return tool(given)
