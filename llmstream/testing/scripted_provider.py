"""ScriptedProvider: a provider whose every attempt you write down."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent, error, text_delta
from llmstream.messages import ChatRequest, FinishReason
from llmstream.providers.provider import Call, ProviderTraits
from llmstream.providers.simulator_script import ScriptItem, script_events
from llmstream.providers.watchdog import closed


class ScriptedProvider:
    """Each argument is one attempt, a list of what comes: str, StreamEvent, ToolCall, Usage, FinishReason, ErrorInfo.

    A str is one TEXT_DELTA. Attempts beyond the last are errors.

    `requests` holds what was asked for, `closed` how many attempts were closed before their end.

        client = LLMClient(provider=ScriptedProvider([ErrorInfo("rate_limit")], ["Hel", "lo"]))
    """

    name = "scripted"
    traits = ProviderTraits(default_model="script")

    def __init__(self, *attempts: Sequence[ScriptItem]) -> None:
        self._attempts = list(attempts)
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self._closings = 0

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The next attempt of the script."""
        self.requests.append(request)
        number = len(self.requests)
        script: Sequence[ScriptItem] = [
            ErrorInfo(
                "internal",
                f"the script has {len(self._attempts)} attempts; this is number {number}",
            )
        ]
        if number <= len(self._attempts):
            script = self._attempts[number - 1]
        items = [*map(_as_event, script)]
        ended, closings = False, self._closings
        try:
            for event in script_events(items, id=f"script-{number}", model=request.model):
                if self._closings != closings:
                    event = error(closed())  # noqa: PLW2901
                if event.start is not None and event.start.provider is None:
                    event = replace(event, start=replace(event.start, provider=self.name))  # noqa: PLW2901
                ended = event.type in (EventType.MESSAGE_COMPLETE, EventType.ERROR)
                yield event
                if ended:
                    return
        finally:
            self.closed += not ended

    async def aclose(self) -> None:
        """End the streams that run."""
        self._closings += 1


def _as_event(item: ScriptItem) -> ScriptItem:
    # A string is one delta here, not words: the script says exactly what comes. (A FinishReason is a str, too.)
    return (
        text_delta(item) if isinstance(item, str) and not isinstance(item, FinishReason) else item
    )
