"""Cassette: a provider that records real answers, and plays them again without a network."""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Final

from llmstream.checks import as_object, as_text, require
from llmstream.clock import Clock
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import PIECES, StreamEvent, error
from llmstream.messages import ChatRequest
from llmstream.plain_values import dump, load
from llmstream.providers import registry
from llmstream.providers.config import ProviderConfig
from llmstream.providers.provider import Call, Provider, ProviderTraits, SchemaSupport, traits_of
from llmstream.providers.secrets import secret_headers, secret_parts
from llmstream.providers.watchdog import Watchdog, abortable
from llmstream.testing.request_match import (
    Redact,
    describe_request,
    differences,
    redact_texts,
    tell_differences,
)
from llmstream.testing.tape import Take, Tape, add_take, read_tape
from llmstream.wire.json_fields import present

_SECRET_VARIABLE: Final = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.I)
_SHORTEST: Final = 16
"""Characters of an environment variable's value that is taken for a key. A shorter one may be a word."""


class Cassette:
    """A provider that plays recorded answers, and records those that it doesn't have.

        client = LLMClient(provider=Cassette("tests/answers.json", record="openai:gpt-5-mini"))

    `path` is a JSON file, to be kept with the tests. A request that it holds is answered from it, without a network
    and without a key: one that has the same model, messages and options. Requests that are equal are answered in the
    order in which they were recorded, so a failure and its retry are played as they were; the last one's answer is
    played ever after. Any other request goes to `record`, a model string or a Provider object, and is added to the
    file when its answer has ended. Without `record` it raises ConfigurationError, which says how the request differs
    from the nearest that is recorded. To record anew, delete the file, or a recording in it.

    `speed` is how fast the answers are played: 1 as they came, 2 twice as fast, `math.inf`, the default, at once.
    The waits are the call's clock's.

    No header is recorded. Keys are written as `[key]`: the call's own headers' and those in the environment's
    variables wherever they stand in one piece, and what options and tools hold under a name such as `api_key`. `redact`
    is called with every text of a request and of an event before it is compared or written, to hide what else should
    not be in the file, or what changes from day to day.

    The file is replaced as a whole; several may record into it at once. The client closes the Provider object. Raises
    ConfigurationError for a file that isn't a cassette or is another provider's, OSError for one that can't be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        record: str | Provider | None = None,
        speed: float = math.inf,
        redact: Redact | None = None,
    ) -> None:
        _check_arguments(path, speed, redact)
        self._path = Path(path)
        self._speed = speed
        self._redact = redact
        self._keys = _keys_in_environment()
        self._flaw: ConfigurationError | None = None
        self._live, default = self._find_live(record)
        self._tape = self._read()
        self.name = self._find_name(record)
        self.traits: ProviderTraits = _traits(self._tape, self._live, default)
        self._known = [_canonical(take.request) for take in self._tape.takes]
        self._played: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._running: set[Watchdog] = set()

    def __repr__(self) -> str:
        return f"Cassette({os.fspath(self._path)!r})"

    async def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """The recorded answer, or a new one that is recorded."""
        redact = self._redactor(call.headers)
        asked = describe_request(request, redact)
        take = self._next(asked)
        events = (
            self._record(request, call, asked, redact) if take is None else self._play(take, call)
        )
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def aclose(self) -> None:
        """End the streams that run, and close the connections of the one that is recorded."""
        for running in [*self._running]:
            running.close()
        if self._live is not None:
            await self._live.aclose()

    # --- playing -------------------------------------------------------------------------------------------

    def _next(self, asked: dict[str, Any]) -> Take | None:
        """The recording to play; None: record one. Raises ConfigurationError where that can't be."""
        key = _canonical(asked)
        takes = [
            take for take, known in zip(self._tape.takes, self._known, strict=True) if known == key
        ]
        with self._lock:
            turn = self._played[key]
            self._played[key] += 1
        if turn < len(takes):
            return takes[turn]
        if self._live is not None:
            return None
        if takes:
            return takes[-1]
        raise self._flaw or ConfigurationError(self._unknown(asked))

    def _unknown(self, asked: dict[str, Any]) -> str:
        """The words for a request that isn't recorded."""
        count = len(self._tape.takes)
        problem = f"{self._path} has no recording of this request (it has {count} of others)"
        advice = 'to record it, pass record="provider:model"'
        found = [differences(take.request, asked) for take in self._tape.takes]
        if not found:
            return f"{problem}: {advice}"
        nearest = min(found, key=len)
        return f"{problem}; in the nearest, {tell_differences(nearest)}; {advice}"

    async def _play(self, take: Take, call: Call) -> AsyncGenerator[StreamEvent, None]:
        watchdog = Watchdog(call, self._running)
        passed = 0.0
        try:
            for data in take.events:
                await self._wait((data["at"] - passed) / self._speed, call, watchdog)
                passed = data["at"]
                if watchdog.expired is not None:
                    yield error(watchdog.error())
                    return
                event = StreamEvent.from_dict(data)
                if not call.include_raw:
                    event.raw = None
                if event.type in PIECES:
                    watchdog.piece()
                yield event
                if event.type in TERMINAL:
                    return
            if take.left:
                words = "the recording ends here, for its reader left: delete it to record the rest"
                yield error(ErrorInfo("truncated", words, retryable=False, code="recording"))
        finally:
            watchdog.stop()

    async def _wait(self, seconds: float, call: Call, watchdog: Watchdog) -> None:
        """Wait until an event has its moment, or one of the call's clocks runs out."""
        if seconds <= 0 or watchdog.expired is not None:
            return
        watchdog.waiting()
        try:
            await abortable(_sleep(call.clock, seconds), watchdog)
        except TimeoutError:
            if watchdog.expired is None:
                raise
        finally:
            watchdog.arrived()

    # --- recording -----------------------------------------------------------------------------------------

    async def _record(
        self, request: ChatRequest, call: Call, asked: dict[str, Any], redact: Redact
    ) -> AsyncGenerator[StreamEvent, None]:
        if self._live is None:
            return
        take = Take(asked, [], left=True)
        passed, now = 0.0, call.clock.time
        events = self._live.stream(request, call)
        try:
            while True:
                began = now()
                event = await anext(events, None)
                passed += now() - began
                if event is not None:
                    data = {"at": round(passed, 3), **event.to_dict()}
                    take.events.append(_as_json(redact_texts(data, redact)))
                if event is None or event.type in TERMINAL:
                    take.left = False
                    self._keep(request, take)
                if event is None:
                    return
                yield event
                if event.type in TERMINAL:
                    return
        except Exception:
            take.events.clear()  # arguments were wrong, or it is broken: nothing to play again
            raise
        finally:
            await events.aclose()
            if take.left and take.events:
                self._keep(request, take)

    def _keep(self, request: ChatRequest, take: Take) -> None:
        """Write a recording, with what has to be known of the provider when it is played."""
        traits = self.traits
        support = dump(traits.schema_support(request.model))
        about = {"schemas": support, "prefill": traits.takes_prefill(request)}
        head = present(
            provider=self.name,
            default_model=traits.default_model,
            format=traits.format,
            address=traits.address,
            models={request.model: about},
        )
        add_take(self._path, head, take)

    # --- making --------------------------------------------------------------------------------------------

    def _find_live(self, record: str | Provider | None) -> tuple[Provider | None, str | None]:
        """The provider to record, and its model. What stands in the way is kept until one is needed."""
        if record is None:
            return None, None
        if not isinstance(record, str):
            wanted = "record must be a model string or a Provider object"
            is_provider = hasattr(record, "stream") and not hasattr(record, "chat_completion")
            require(is_provider, f"{wanted}, not {type(record).__name__}", TypeError)
            return record, None
        name, model = registry.parse_model(record)
        try:
            return registry.create(ProviderConfig(name)), model
        except ConfigurationError as flaw:
            if not self._path.exists():
                raise
            self._flaw = flaw
            return None, model

    def _read(self) -> Tape:
        if self._path.exists():
            return read_tape(self._path)
        problem = f'there is no cassette {self._path}: pass record="provider:model" to make it'
        require(self._live is not None, problem, ConfigurationError)
        return Tape()

    def _find_name(self, record: str | Provider | None) -> str:
        """The provider's name: options and prices are keyed by it."""
        named = registry.parse_model(record)[0] if isinstance(record, str) else None
        live = named if self._live is None else self._live.name
        recorded = as_text(self._tape.head.get("provider"))
        is_same = live is None or recorded is None or live == recorded
        problem = f"{self._path} was recorded from {recorded}, not from {live}: use another file"
        require(is_same, problem, ConfigurationError)
        return live or recorded or "cassette"

    def _redactor(self, headers: Mapping[str, str]) -> Redact:
        keys = (*self._keys, *secret_parts(secret_headers(headers)))
        more = self._redact

        def redact(text: str) -> str:
            for key in keys:
                text = text.replace(key, "[key]")
            return text if more is None else more(text)

        return redact


@dataclass(frozen=True, kw_only=True)
class _CassetteTraits(ProviderTraits):
    """The traits of the provider that is or was recorded. Without it: as far as they are in the file."""

    live: ProviderTraits | None = None
    models: Mapping[str, Any] = field(default_factory=dict)

    def takes_prefill(self, request: ChatRequest) -> bool:
        """As the provider says, or said."""
        if self.live is not None:
            return self.live.takes_prefill(request)
        return as_object(self.models.get(request.model)).get("prefill") is True

    def schema_support(self, model: str) -> SchemaSupport:
        """As the provider says, or said."""
        if self.live is not None:
            return self.live.schema_support(model)
        known: SchemaSupport = load(
            SchemaSupport, as_object(as_object(self.models.get(model)).get("schemas"))
        )
        return known


def _traits(tape: Tape, live: Provider | None, default: str | None) -> _CassetteTraits:
    known = None if live is None else traits_of(live)
    head = tape.head if known is None else dump(known)
    return _CassetteTraits(
        default_model=default or as_text(head.get("default_model")),
        format=as_text(head.get("format")),
        address=as_text(head.get("address")),
        keeps_deadline=known is None or known.keeps_deadline,
        live=known,
        models=as_object(tape.head.get("models")),
    )


def _canonical(request: Mapping[str, Any]) -> str:
    return json.dumps(request, sort_keys=True)


def _as_json(value: Any) -> Any:
    """The value as it will be read; words in place of what isn't JSON, which a third party may have put there."""
    return json.loads(json.dumps(value, default=str, skipkeys=True))


def _keys_in_environment() -> tuple[str, ...]:
    found = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name)}
    long_enough = [value for value in found if len(value) >= _SHORTEST]
    return tuple(sorted(long_enough, key=len, reverse=True))


def _check_arguments(path: object, speed: object, redact: object) -> None:
    is_path = isinstance(path, (str, os.PathLike))
    require(is_path, f"path must be the path of a file, not {type(path).__name__}", TypeError)
    is_number = isinstance(speed, Real) and not isinstance(speed, bool)
    require(is_number, f"speed must be a number, not {speed!r}", TypeError)
    require(speed > 0, f"speed must be above 0, not {speed!r}")  # type: ignore[operator]
    is_function = redact is None or callable(redact)
    require(is_function, "redact must be a function that takes and returns a text", TypeError)


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
