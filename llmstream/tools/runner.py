"""The calls of one answer, run side by side, each to a result: whatever goes wrong is a result too."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeAlias

from llmstream.checks import is_count, is_limit, require
from llmstream.clock import Clock
from llmstream.log import get_logger
from llmstream.messages import ToolCall, ToolResult
from llmstream.tasks import is_cancelled, stop, within
from llmstream.tools.function import ArgumentsError, FunctionTool

logger = get_logger("llmstream.tools")

Confirm: TypeAlias = Callable[[ToolCall], Awaitable[bool] | bool]
"""Called in the event loop: one that waits for a person is async."""


class CallRunner:
    """Runs calls: at most `parallel` at a time, each for at most `timeout` seconds (None: no limit) of `clock`."""

    def __init__(
        self,
        tools: Sequence[FunctionTool],
        clock: Clock,
        *,
        parallel: int,
        timeout: float | None,
        confirm: Confirm | None,
    ) -> None:
        require(
            is_count(parallel),
            f"parallel must be a whole number from 1 on, not {parallel!r}",
        )
        require(
            is_limit(timeout),
            f"timeout must be seconds, or None for no limit, not {timeout!r}",
        )
        self._tools = {tool.name: tool for tool in tools}
        require(
            len(self._tools) >= len(tools),
            f"two tools have one name: {', '.join(tool.name for tool in tools)}",
        )
        self._clock = clock
        self._slots = asyncio.Semaphore(parallel)
        self._timeout = timeout
        self._confirm = confirm
        self._asking = asyncio.Lock()

    async def run(self, calls: Sequence[ToolCall]) -> AsyncGenerator[tuple[int, ToolResult], None]:
        """The results as they come, each with the place of its call.

        When this is closed or cancelled, what still runs is cancelled and waited for.
        """
        order = {asyncio.ensure_future(self._run(call)): index for index, call in enumerate(calls)}
        done: asyncio.Queue[asyncio.Task[ToolResult]] = asyncio.Queue()
        for running in order:
            running.add_done_callback(done.put_nowait)
        try:
            for _ in order:
                # `asyncio.wait` would look at all tasks each time.
                task = await done.get()
                yield order[task], task.result()
        finally:
            await stop(*order)

    async def _run(self, call: ToolCall) -> ToolResult:
        async with self._slots:
            problem = self._objection(call)
            if problem is None and self._confirm is not None:
                problem = await self._ask(call, self._confirm)
            if problem is None:
                return await self._timed(self._tools[call.name], call)
        return ToolResult(call.id, problem, call.name, is_error=True)

    def _objection(self, call: ToolCall) -> str | None:
        """Why the call is not run."""
        if call.name not in self._tools:
            return f"There is no tool {call.name!r}. There are: {', '.join(self._tools) or 'none'}."
        if not call.complete:
            return "The arguments were cut or are no JSON object, so the tool was not run. Call it again."
        return None

    async def _ask(self, call: ToolCall, confirm: Confirm) -> str | None:
        try:
            async with self._asking:  # a person is asked one thing at a time
                said = confirm(call)
                # Only True allows it: a generator, say, is truthy too.
                allowed = await said if inspect.isawaitable(said) else said is True
        except Exception as error:  # no confirmation, whatever the reason
            logger.warning("confirm raised %s", type(error).__name__, exc_info=error)
            return f"The call could not be confirmed ({type(error).__name__}), so the tool was not run."
        return None if allowed else "The user declined this call, so the tool was not run."

    async def _timed(self, tool: FunctionTool, call: ToolCall) -> ToolResult:
        try:
            return await within(self._timeout, self._clock, _result(tool, call))
        except TimeoutError:
            told = f"The tool did not answer within {self._timeout:g} seconds and was stopped."
        return ToolResult(call.id, told, call.name, is_error=True)


async def _result(tool: FunctionTool, call: ToolCall) -> ToolResult:
    try:
        return ToolResult(call.id, await tool.run(call.arguments), call.name)
    except ArgumentsError as error:
        told = f"The arguments don't fit, so the tool was not run:\n{error}"
    except (Exception, SystemExit) as error:  # the model is told, and may do something else
        logger.info("the tool %s raised %s", call.name, type(error).__name__, exc_info=error)
        told = _describe(error)
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        told = "The tool was cancelled."  # by itself, not by us
    return ToolResult(call.id, told, call.name, is_error=True)


def _describe(error: BaseException) -> str:
    """Type and message. A traceback would tell the model, and whoever reads the chat, about the program."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  # an exception that can't be printed is still one
        message = ""
    return f"{type(error).__name__}: {message}".encode(errors="replace").decode()
