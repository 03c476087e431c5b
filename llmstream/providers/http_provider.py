"""A provider over HTTP: it renders the request, its `Channel` sends it, its decoder reads the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from llmstream.checks import as_object, ensure_json, require
from llmstream.errors import ADAPTED, StrictError
from llmstream.events.types import StreamEvent, error
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.providers.answer_reader import AnswerReader
from llmstream.providers.api import API
from llmstream.providers.channel import Channel
from llmstream.providers.config import ProviderConfig
from llmstream.providers.event_batches import EventBatches
from llmstream.providers.exchange import Exchange, Outbound
from llmstream.providers.http.error_response import read_small
from llmstream.providers.http.exchange import HTTPRequest
from llmstream.providers.provider import Call, ProviderTraits
from llmstream.providers.url_checks import is_loopback
from llmstream.wire.answer_writer import NOT_UNDERSTOOD
from llmstream.wire.event_decoder import Decoder
from llmstream.wire.formats import find_format
from llmstream.wire.json_fields import as_count, parse_json
from llmstream.wire.outbound import Rendered
from llmstream.wire.pass_through import rate_limits_of
from llmstream.wire.refused_options import Lessons

logger = get_logger("llmstream.providers")


@dataclass(frozen=True, kw_only=True)
class LearnedTraits(ProviderTraits):
    """Traits that refusals may have corrected."""

    lessons: Lessons

    def takes_prefill(self, request: ChatRequest) -> bool:
        """Whether the model is known to take a prefill, and never refused one."""
        return self.lessons.takes_prefill(request.model) and self.knows_prefill(request)

    def knows_prefill(self, request: ChatRequest) -> bool:
        """Whether the model is known to take a prefill."""
        return self.prefill


def _public_address(url: str) -> str | None:
    return None if is_loopback(urlsplit(url).hostname or "localhost") else url


_AMAZON = "application/vnd.amazon.eventstream"
"""The media type in which Amazon sends another API's events, each in a message of its own."""


def _unwrap(decoder: Decoder) -> None:
    """Read such an answer, unless messages are what the format's answers come in."""
    from llmstream.wire.framing.event_stream import ChunkStream, EventStream

    if not isinstance(decoder.framing, EventStream):
        decoder.reframe(ChunkStream())


class HTTPProvider:
    """One API that answers with a stream. Subclasses say which, where in it, and in which format.

    `api`, `format` (a name in `wire.FORMATS`) and `render` are needed; `outbound` where the path isn't the format's.
    """

    api: API
    format: ClassVar[str]
    default_model: str | None = None
    names_model: ClassVar[bool] = True
    """Whether answers say which model made them; else it is the one that was asked."""
    count_member: ClassVar[str] = "input_tokens"
    """The member of a count's answer that has the number."""
    base_url = ""

    def __init__(self, config: ProviderConfig) -> None:
        self.name = config.name
        self._format = find_format(self.format)
        self._format.load()
        self.channel = Channel(config, self.api)
        self.base_url = self.channel.base_url
        self._lessons = Lessons()
        self.traits = self.make_traits(
            default_model=self.default_model,
            format=self.format,
            budget_key=self.channel.budget_key,
            address=_public_address(self.base_url),
            keeps_deadline=True,
            is_vendor=config.base_url is None and config.sdk_client is None,
            sdk_client=None if self.api.sdk is None else self.channel.sdk_client,
            lessons=self._lessons,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} can't be pickled or copied: it holds a key and connections"
        )

    # --- for subclasses ------------------------------------------------------------------------------------

    def render(self, request: ChatRequest, given: Mapping[str, str]) -> Rendered:
        """The request in this provider's format and variant; `given`: the caller's own headers, in lower case."""
        raise NotImplementedError

    def finish(self, rendered: Rendered, given: Mapping[str, str], sdk: Any) -> None:
        """Add what depends on the finished body, or on the SDK's client that sends it (None: the channel does)."""

    def outbound(self, request: ChatRequest, rendered: Rendered) -> Outbound:
        """Where the rendered request goes."""
        accept = self._format.framing.content_type
        return Outbound(self._format.path, rendered.body, headers=rendered.headers, accept=accept)

    def count_outbound(self, rendered: Rendered) -> Outbound | None:
        """The request that counts the tokens of a rendered one; None: there is none."""
        return None

    def sign(self, request: HTTPRequest) -> Awaitable[None] | None:
        """Change the whole request just before it is sent, for APIs that want a signature.

        It may return an awaitable, if that needs the network or the disk.
        """

    def make_traits(self, **traits: Any) -> ProviderTraits:
        """The traits of this provider. `traits` are those that all providers of this kind have."""
        return LearnedTraits(**traits)

    # --- Provider ------------------------------------------------------------------------------------------

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        return EventBatches(self._attempt(request, call))

    async def _attempt(
        self, request: ChatRequest, call: Call
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        if options := request.provider_options.get(self.name):
            ensure_json(options, f"provider_options[{self.name!r}]")
        exchange = self.channel.exchange(call, self.sign)
        body: Any = None
        try:
            rendered = self._prepare(request, call, exchange)
            try:
                response = await exchange.send(self.outbound(request, rendered))
            except Exception as problem:  # noqa: BLE001  # nothing foreign may reach the consumer
                info = exchange.explain(problem)
                if lesson := self._lessons.learn(
                    request.model, rendered.body, info, strict=call.strict
                ):
                    info = replace(info, message=lesson, retryable=True, code=ADAPTED)
                yield (error(info),)
                return
            self._lessons.answered(request.model)
            body = response.body()
            decoder = self._format.make_decoder(include_raw=call.include_raw, keep_message=False)
            decoder.start.provider, decoder.start.warnings = self.name, tuple(rendered.warnings)
            decoder.start.request_id = exchange.request_id
            if not self.names_model:
                decoder.start.model = request.model
            decoder.start.rate_limits = rate_limits_of(response.headers)
            if response.headers.get("content-type", "").startswith(_AMAZON):
                _unwrap(decoder)
            reader = AnswerReader(body, decoder, call, exchange.watchdog, response.abort)
            while not reader.done:
                events = await reader.read()
                if reader.done:
                    exchange.redact_event(events[-1])
                    self._log_unread(events[-1])
                if events:
                    yield events
        finally:
            await exchange.aclose()
            if body is not None:
                await body.aclose()

    async def count_tokens(self, request: ChatRequest, call: Call) -> int | None:
        """The tokens of the prompt, in the provider's own count; None: it has none, or the log says why."""
        exchange = self.channel.exchange(call, self.sign)
        try:
            outbound = self.count_outbound(self._prepare(request, call, exchange))
            if outbound is None:
                return None
            try:
                response = await exchange.send(outbound)
                body, _ = await read_small(response)
                document = parse_json(body)
            except Exception as problem:  # noqa: BLE001  # nothing foreign may reach the caller
                logger.warning("%s didn't count a prompt: %s", self.name, exchange.explain(problem))
                return None
        finally:
            await exchange.aclose()
        return as_count(as_object(document).get(self.count_member))

    def _log_unread(self, last: StreamEvent) -> None:
        """Show what wasn't understood to whoever can teach it to us. Keys are out of it, and it is escaped."""
        info = last.error_info
        if info is not None and info.code == NOT_UNDERSTOOD:
            logger.warning("%s sent an answer that isn't understood: %s", self.name, last.raw)

    def _prepare(self, request: ChatRequest, call: Call, exchange: Exchange) -> Rendered:
        """The request, as this host takes it. Raises StrictError for a change that `strict` doesn't allow."""
        given = exchange.given
        rendered = self.render(request, given)
        changed = [*rendered.warnings, *self._lessons.apply(request.model, rendered)]
        is_allowed = not (call.strict and changed)
        require(is_allowed, f"strict: {'; '.join(changed)}", StrictError)
        self.finish(rendered, given, exchange.sdk)
        return rendered

    async def aclose(self) -> None:
        """Close this loop's connections. A client that the user gave stays open."""
        await self.channel.aclose()
