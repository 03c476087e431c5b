"""A provider that needs nothing: it pretends to answer, deterministically, at a pace, over real wire bytes.

Its events are encoded in one of the wire formats and decoded by the real decoder, so that what a program sees is what
it will see from a vendor. Without a script it says so and repeats the question.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from llmstream import wire
from llmstream.checks import require
from llmstream.errors import ErrorInfo
from llmstream.events.types import StreamEvent
from llmstream.messages import ChatRequest, Usage
from llmstream.providers.answer_reader import AnswerReader
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import Call, ProviderTraits
from llmstream.providers.simulator_script import ScriptItem, script_events, words
from llmstream.providers.watchdog import Watchdog
from llmstream.wire.outbound import Encoder

Script: TypeAlias = Sequence[Sequence[ScriptItem]] | Callable[[ChatRequest], Iterable[ScriptItem]]


class SimulatorProvider:
    """Plays `script`: one list of items per request (the last one again and again), or a function of the request.

    `pace` is the seconds between pieces; `format` the wire format that the events travel in.
    """

    name = "simulator"
    default_model = "echo"
    traits = ProviderTraits(default_model=default_model, keeps_deadline=True)

    def __init__(
        self,
        config: ProviderConfig | None = None,
        *,
        script: Script | None = None,
        format: str = "openai-chat",
        pace: float = 0.03,
    ) -> None:
        known = ", ".join(wire.FORMATS)
        require(format in wire.FORMATS, f"format must be one of {known}, not {format!r}")
        if config is not None:
            config.refuse_endpoint()
            self.name = config.name
        self._script = script
        self._format = format
        self._pace = pace
        self._turn = 0
        self._open: set[Watchdog] = set()

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        decoder = wire.decoder(self._format, include_raw=call.include_raw, keep_message=False)
        decoder.start.provider, decoder.start.model = self.name, request.model
        events = script_events(
            self._items(request), id=f"sim-{self._turn}", model=request.model, format=self._format
        )
        watchdog = Watchdog(call, self._open)
        scripted: list[ErrorInfo] = []
        body = self._body(events, wire.encoder(self._format), call, scripted)
        try:
            reader = AnswerReader(body, decoder, call, watchdog)
            while not reader.done:
                for event in await reader.read():
                    if event.error_info is not None:
                        # A frame can't carry all of what was scripted (retry_after, a status): it is said as scripted.
                        told = (
                            replace(scripted[0], partial=event.error_info.partial)
                            if scripted
                            else event.error_info
                        )
                        event.error_info = replace(told, provider=self.name)
                        event.error = str(event.error_info)
                    yield event
        finally:
            watchdog.stop()
            await body.aclose()

    async def aclose(self) -> None:
        """End the streams that run."""
        for watchdog in [*self._open]:
            watchdog.close()

    def _items(self, request: ChatRequest) -> Iterable[ScriptItem]:
        script = self._script or _echo
        self._turn += 1
        if callable(script):
            return script(request)
        return script[min(self._turn, len(script)) - 1]

    async def _body(
        self, events: Iterable[StreamEvent], encoder: Encoder, call: Call, scripted: list[ErrorInfo]
    ) -> AsyncGenerator[bytes, None]:
        """The answer's bytes. How it fails, by the script or because of it, is left in `scripted`."""
        try:
            for event in events:
                if event.error_info is not None:
                    scripted.append(event.error_info)
                if data := encoder.feed(event):
                    if self._pace:
                        await call.clock.sleep(self._pace)
                    yield data
        except Exception as problem:  # noqa: BLE001  # a bug in the script must not look like the network's
            scripted.append(
                ErrorInfo("internal", f"the script raised {type(problem).__name__}: {problem}")
            )


def _echo(request: ChatRequest) -> Iterator[ScriptItem]:
    asked = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    answer = f"This is the simulator, not a model. You said: {asked}"
    yield answer
    prompt = sum(len(words(message.text)) for message in request.messages)
    yield Usage(input_tokens=prompt, output_tokens=len(words(answer)))
