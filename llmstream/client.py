"""LLMClient: one call, any provider, a stream that can be trusted.

The client decides: it retries, waits, announces, and enforces the grammar of `llmstream.events.grammar` on whatever a
provider yields. One attempt is the provider's; everything between attempts is in `attempts`.

It is a long file because LLMClient's two signatures name every setting and every option.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from random import Random, SystemRandom
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
    Never,
    Self,
    Unpack,
)
from weakref import WeakSet

from llmstream.answer_stream import Stream
from llmstream.arguments import build_request, take_request
from llmstream.attempts import Attempts, OnInterrupt, Rules
from llmstream.checks import require, require_value
from llmstream.client_arguments import (
    CallOptions,
    check_call_headers,
    check_limiter,
    check_loop,
    check_policies,
    check_spend_limit,
    check_timeouts,
    checked_options,
    names_of,
    refuse_arguments,
    refuse_unknown,
)
from llmstream.client_providers import Providers, find_own
from llmstream.clock import Clock, LoopClock
from llmstream.errors import ConfigurationError
from llmstream.events.any_event import narrow
from llmstream.events.grammar import Guard
from llmstream.events.relay import Relay
from llmstream.events.types import EventType, StreamEvent
from llmstream.events.unfold import as_batch
from llmstream.fallback import DEFAULT_FALLBACK_ON, Fallback, check_fallback_on
from llmstream.limits.protocols import Limiter
from llmstream.limits.spend_limit import SpendLimit, limits_of_call
from llmstream.log import get_logger
from llmstream.messages import ChatRequest, Message
from llmstream.middleware import Middleware, MiddlewareRun, check_middleware
from llmstream.observe import Observation, Observer, check_observers, new_call
from llmstream.options import NAMES, OF_THE_CALL
from llmstream.plain_values import amended
from llmstream.providers.config import AllowHost
from llmstream.providers.provider import Call, Provider, traits_of
from llmstream.providers.secrets import hide, hide_headers
from llmstream.providers.timeouts import Timeouts
from llmstream.providers.url_checks import secret_in_url
from llmstream.retry import RetryPolicy
from llmstream.targets import Target
from llmstream.token_count import count_prompt

if TYPE_CHECKING:
    from llmstream.call_bill import CallBill
    from llmstream.messages import HostedTool, ResponseFormat, Tool, ToolChoice, Usage

__all__ = ["CallOptions", "LLMClient", "Stream"]

logger = get_logger("llmstream.client")
_OPTIONS = frozenset({"model", *NAMES, *OF_THE_CALL})


class _Prepared(NamedTuple):
    """One call, ready to begin."""

    targets: Sequence[Target]
    request: ChatRequest
    call: Call
    streaming: bool
    observation: Observation | None


class LLMClient:
    """Talks to one model, or to any that `model=` names per call. Keep one: it is expensive to make.

    `model` is `"provider:model"`; without it, `LLMSTREAM_MODEL`, else the first provider with a key in the environment,
    else the local model, else the simulator (the last two say so loudly). `provider` is a name or a Provider object.
    `api_key`, `base_url`, `headers` and `sdk_client` belong to this model alone and never travel to another. Without
    `api_key` the provider's variable in the environment is read, and its key goes to `base_url`, whatever that is.
    `transport` is "httpx2" or "aiohttp" (the extra `aiohttp`; cheaper with many streams); None: `LLMSTREAM_TRANSPORT`,
    else httpx2. `allow_host(host, address)` is asked before each connection and may refuse it with False; where users
    choose `base_url`, give `llmstream.providers.public_hosts_only`.
    `fallbacks` are asked in order when the model fails: model strings, which use their own environment, `Fallback`
    objects, or Provider objects, which the client closes. `fallback_on` are the failures after which they are: kinds of
    errors, "refusal" and "content_filter"; these two only as long as nothing was shown. By default it is every kind but
    "invalid_request" and "content_filter".
    `on_interrupt` says what happens when an answer is cut after part of it was shown: "error"; "restart", announced by
    RETRY with `discard=True`; or "continue" from where it stopped, as well as it can.
    `limiter` decides when each attempt may be made, such as a `llmstream.limits.LocalLimiter`.
    `spend_limit` is the most that all calls together may cost, a `llmstream.limits.SpendLimit`.
    `observers` are told what becomes of each call (`llmstream.observe`). `middleware` runs around each call, the first
    of the list outermost (`llmstream.middleware`).
    `strict=True` raises where an option would be dropped. `include_raw=True` puts the provider's frames on the events.
    `keep_message=False` is for endless streams: `message` stays None and memory flat. `clock` and `rng` are for tests.

    Not for two threads at once; may be used in several event loops, one after another. Close it with `aclose()`, or
    `async with`; `asyncio.run` also ends its connections.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        provider: str | Provider | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        sdk_client: Any = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # frozen
        timeouts: Timeouts = Timeouts(),  # noqa: B008  # frozen
        fallbacks: Sequence[str | Fallback | Provider] = (),
        fallback_on: Collection[str] = DEFAULT_FALLBACK_ON,
        on_interrupt: OnInterrupt = "error",
        limiter: Limiter | None = None,
        spend_limit: SpendLimit | None = None,
        observers: Sequence[Observer] = (),
        middleware: Sequence[Middleware] = (),
        transport: str | None = None,
        headers: Mapping[str, str] | None = None,
        include_raw: bool = False,
        strict: bool = False,
        keep_message: bool = True,
        allow_insecure_http: bool = False,
        allow_host: AllowHost | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
        **unknown: Never,
    ) -> None:
        # A traceback may show the locals of a frame that raises.
        names = names_of(unknown)
        api_key, headers = hide(api_key), hide_headers(headers)
        if (flaw := secret_in_url(base_url)) is not None:
            base_url = None
            raise ConfigurationError(flaw)
        refuse_arguments(names, signature(LLMClient).parameters)
        self._calls: WeakSet[Attempts | MiddlewareRun] = WeakSet()
        check_policies(retry, timeouts, on_interrupt)
        self._retry = retry
        self._fallback_on = check_fallback_on(fallback_on)
        self._timeouts = timeouts.resolved()
        self._on_interrupt: OnInterrupt = on_interrupt
        self._limiter = check_limiter(limiter)
        self._spend_limit = check_spend_limit(spend_limit)
        self._observers = check_observers(observers)
        self._middleware = check_middleware(middleware)
        self._include_raw = include_raw
        self.strict: Final = strict
        self.keep_message: Final = keep_message
        self.clock: Final[Clock] = clock or LoopClock()
        self._rng = rng or SystemRandom()  # has no state that forked workers would share
        settings = _without_none(
            api_key=api_key,
            base_url=base_url,
            headers=headers,
            sdk_client=sdk_client,
            transport=transport,
            allow_host=allow_host,
        )
        settings["allow_insecure_http"] = allow_insecure_http
        own, self._warnings = find_own(provider, model, settings, strict=strict)
        self._provider, self._model = own.provider, own.model
        self._providers = Providers(
            own, transport, allow_host, allow_insecure_http=allow_insecure_http
        )
        self._fallbacks = self._providers.fallbacks(fallbacks)

    def __repr__(self) -> str:
        provider = getattr(self, "_provider", None)  # None in the traceback of a wrong argument
        return (
            f"LLMClient({provider.name}:{self._model})" if provider is not None else "LLMClient()"
        )

    def __reduce__(self) -> Any:
        raise TypeError("LLMClient can't be pickled or copied: it holds keys and connections")

    @narrow
    async def chat_completion(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        stream: bool = True,  # noqa: FBT001, FBT002  # the user's own signature
        *,
        model: str | None = None,
        tools: Sequence[Tool | HostedTool | Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | ToolChoice | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: str | Mapping[str, Any] | ResponseFormat | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        frequency_penalty: float | None = None,
        presence_penalty: float | None = None,
        max_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        reasoning_effort: str | None = None,
        verbosity: str | None = None,
        service_tier: str | None = None,
        metadata: Mapping[str, str] | None = None,
        provider_options: Mapping[str, Mapping[str, Any]] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        fallbacks: Sequence[str | Fallback | Provider] | None = None,
        **unknown: Never,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Ask the model. Yields deltas and one terminal event; with `stream=False` only the terminal event.

        `messages` are dicts in OpenAI's shape, or `Message` objects; or a ChatRequest, which holds the options too (its
        `model` is what `model=` would be, or "" for the client's own). In batch mode MESSAGE_COMPLETE carries the whole
        text in `text_delta`, and a refusal's words in `refusal_delta`. RETRY and STATUS go to the log, and every
        retryable failure is retried.

        Raises TypeError, ValueError or ConfigurationError for wrong arguments, at the first step and before any
        network. Everything else is an ERROR event. To stop early use `client.stream()` or `contextlib.aclosing`:
        the connection closes when the generator is closed or dropped.
        """
        check_loop()
        headers = hide_headers(headers)
        refuse_unknown(unknown)
        # Read from `locals()`, so that each option is spelled once.
        options = {
            name: value
            for name, value in [*locals().items()]
            if value is not None and name in _OPTIONS
        }
        run = self._begin(messages, streaming=stream, **options)
        try:
            while (step := await run.next_step()) is not None:
                while not step.is_over:
                    events = await step.advance()
                    for event in events if stream else self._whole(events):
                        if not step.timed_here:
                            yield event
                            continue
                        held = self.clock.time()
                        yield event
                        run.exclude(self.clock.time() - held)
        finally:
            await run.aclose()

    async def batches(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        stream: bool = True,  # noqa: FBT001, FBT002  # as in `chat_completion`
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[Sequence[StreamEvent], None]:
        """The events of `chat_completion`, where those that may leave at one time come together.

        For servers: what arrived in one read is then sent in one write. A batch is never empty. Takes the options of
        `chat_completion`; raises and closes as it does.
        """
        check_loop()
        run = self._begin(messages, streaming=stream, **checked_options(options))
        try:
            while (step := await run.next_step()) is not None:
                while not step.is_over:
                    events = await step.advance()
                    batch = tuple(events if stream else self._whole(events))
                    if not batch:
                        continue
                    if not step.timed_here:
                        yield batch
                        continue
                    held = self.clock.time()
                    yield batch
                    run.exclude(self.clock.time() - held)
        finally:
            await run.aclose()

    def stream(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        **options: Unpack[CallOptions],
    ) -> Stream:
        """The same call as a context manager: `async with client.stream(…) as stream: async for event in stream`.

        Takes `chat_completion`'s options. Leaving the block closes the connection, however it is left.
        """
        return Stream(self.chat_completion(messages, **checked_options(options)))

    async def complete(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        **options: Unpack[CallOptions],
    ) -> Message:
        """The whole answer as a Message. Takes `chat_completion`'s options; raises LLMError."""
        checked = checked_options(options)
        async with Stream(self.chat_completion(messages, stream=False, **checked)) as stream:
            return await stream.message()

    async def count_tokens(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        **options: Unpack[CallOptions],
    ) -> Usage:
        """The tokens that a prompt would take, as `input_tokens`; takes `chat_completion`'s options.

        The provider's own count where it has one (Anthropic, OpenAI's Responses): one request, without retries. Else,
        and where that fails, an estimate: `estimated` is True then, and the log has the failure.
        """
        checked = checked_options(options)
        timeouts, headers, _ = (
            checked.pop(name, None) for name in ("timeouts", "headers", "fallbacks")
        )
        targets, request = self._read(messages, fallbacks=(), **checked)
        return await count_prompt(targets[0], request, self._call(timeouts, headers))

    def target(self, model: str | None) -> Target:
        """The target of a call with this `model=`. Only `"provider:model"` leaves the client's own provider."""
        return self._providers.target(model)

    def targets(
        self, model: str | None, fallbacks: Sequence[str | Fallback | Provider] | None = None
    ) -> Sequence[Target]:
        """The targets of such a call, in their order. `fallbacks`: those given with the call, None for the client's."""
        others = self._fallbacks if fallbacks is None else self._providers.fallbacks(fallbacks)
        return (self.target(model), *others)

    def get_client(self) -> Any:
        """The vendor SDK's own async client, for what this library doesn't do. Raises ConfigurationError if none."""
        make = traits_of(self._provider).sdk_client
        problem = f"provider {self._provider.name} is not built on a vendor's SDK"
        return require_value(make, problem, ConfigurationError)()

    async def aclose(self) -> None:
        """Close the connections of this event loop; streams that still run end in an ERROR with the code "closed".

        An `sdk_client` that you gave stays open.
        """
        for run in [*self._calls]:
            run.abandon()
        await self._providers.aclose(self._fallbacks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- inside --------------------------------------------------------------------------------------------

    def _read(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        *,
        model: str | None = None,
        fallbacks: Sequence[str | Fallback | Provider] | None = None,
        **options: Any,
    ) -> tuple[Sequence[Target], ChatRequest]:
        """The targets and the request of a call. The arguments are read here, or a ChatRequest is taken as it is."""
        if not isinstance(messages, ChatRequest):
            targets = self.targets(model, fallbacks)
            return targets, build_request(messages, targets[0].model, **options)
        request = take_request(messages, model=model, **options)
        targets = self.targets(request.model or None, fallbacks)
        asked = targets[0].model
        return targets, request if request.model == asked else amended(request, model=asked)

    def _call(self, timeouts: Timeouts | None, headers: Mapping[str, str] | None) -> Call:
        check_call_headers(headers)
        if timeouts is not None:
            check_timeouts(timeouts)
        timeouts = self._timeouts if timeouts is None else timeouts.over(self._timeouts)
        deadline = None if timeouts.total is None else self.clock.time() + timeouts.total
        return Call(timeouts, deadline, headers or {}, self._include_raw, self.strict, self.clock)

    def _begin(
        self,
        messages: Sequence[Message | Mapping[str, Any]] | ChatRequest,
        *,
        streaming: bool,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Attempts | MiddlewareRun:
        """A call that is ready to begin. Raises for wrong arguments."""
        targets, request = self._read(messages, **options)
        self._providers.check_owners(request.provider_options, targets)
        prepared = _Prepared(
            targets,
            request,
            self._call(timeouts, headers),
            streaming,
            self._observe(targets[0], request, streaming=streaming),
        )
        make = self._run_middleware if self._middleware else self._attempts
        run = make(prepared)
        self._calls.add(run)
        return run

    def _observe(
        self, target: Target, request: ChatRequest, *, streaming: bool
    ) -> Observation | None:
        if not self._observers:
            return None
        name, began = target.provider.name, self.clock.time()
        call = new_call(name, target.model, request, streaming=streaming, began=began)
        return Observation(self._observers, call, self.clock, is_direct=not self._middleware)

    def _attempts(self, prepared: _Prepared, headers: Mapping[str, str] | None = None) -> Attempts:
        """`headers`: the caller's own, where the call's differ."""
        targets, request, call, streaming, observation = prepared
        guard = Guard(
            keep_message=self.keep_message or not streaming,
            warnings=self._warnings if targets[0].provider is self._provider else (),
        )
        announced = streaming or bool(self._middleware)
        rules = Rules(
            self._retry,
            self._fallback_on,
            self._on_interrupt,
            streaming,
            announced,
            self._rng,
            self._limiter,
            call.headers if headers is None else headers,
        )
        return Attempts(
            targets,
            request,
            call,
            guard,
            rules,
            observation=observation,
            bill=self._bill(request),
        )

    def _bill(self, request: ChatRequest) -> CallBill | None:
        """The money of a call; None: nobody limits it."""
        limits = limits_of_call(self._spend_limit)
        if not limits:
            return None
        from llmstream.call_bill import CallBill  # it reads prices, for which others don't pay

        return CallBill(limits, request)

    def _run_middleware(self, prepared: _Prepared) -> MiddlewareRun:
        targets, request, call, streaming, observation = prepared
        provider, model = targets[0].provider, targets[0].model
        name = model if provider is self._provider else f"{provider.name}:{model}"

        def ask(changed: ChatRequest) -> Attempts:
            """The attempts for a request that middleware may have changed."""
            require(
                isinstance(changed, ChatRequest),
                f"next takes a ChatRequest, not {type(changed).__name__}",
                TypeError,
            )
            checked = take_request(amended(changed, checked=False))
            check_call_headers(call.headers)  # a middleware may have set them
            first = targets[0] if checked.model == name else self.target(checked.model or None)
            self._providers.check_owners(checked.provider_options, [first, *targets])
            # The caller gave the call's headers for the other provider.
            own = call if first.provider is provider else replace(call, headers={})
            others = (first, *targets[1:])
            changed_call = prepared._replace(targets=others, request=checked, call=own)
            return self._attempts(changed_call, call.headers)

        relay = Relay(
            keep_message=self.keep_message or not streaming,
            final_calls=streaming,
            on_first_piece=None if observation is None else observation.first_piece,
        )
        shown = amended(request, model=name)
        return MiddlewareRun(
            self._middleware, shown, call, ask, relay=relay, observation=observation
        )

    def _whole(self, events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """Of these events the one that batch mode yields: the terminal one. STATUS goes to the log."""
        for event in events:
            if event.type is EventType.MESSAGE_COMPLETE:
                whole = as_batch(event, event.message)
                yield whole if self.keep_message else amended(whole, message=None)
            elif event.type is EventType.ERROR:
                yield event
            elif event.status is not None:
                logger.info("status: %s %s", event.status.kind, event.status.message)


def _without_none(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
