"""The arguments of LLMClient and of its calls: their types, and the checks made before any network."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Never, TypedDict, cast

from llmstream.attempts import ON_INTERRUPT
from llmstream.checks import check_type, require, require_methods
from llmstream.fallback import Fallback
from llmstream.limits.limiter_guard import GuardedLimiter
from llmstream.limits.pauses import UNLIMITED
from llmstream.limits.protocols import Limiter
from llmstream.limits.spend_limit import SpendLimit
from llmstream.options import unknown_argument, unknown_option
from llmstream.providers.provider import Provider
from llmstream.providers.secrets import check_headers, hide_headers
from llmstream.providers.timeouts import Timeouts
from llmstream.retry import RetryPolicy

if TYPE_CHECKING:
    from random import Random

    from llmstream.attempts import OnInterrupt
    from llmstream.clock import Clock
    from llmstream.messages import HostedTool, ResponseFormat, Tool, ToolChoice
    from llmstream.middleware import Middleware
    from llmstream.observe import Observer
    from llmstream.providers.config import AllowHost


class ClientSettings(TypedDict, total=False):
    """The settings of `LLMClient`, but for its model."""

    provider: str | Provider | None
    api_key: str | None
    base_url: str | None
    sdk_client: Any
    retry: RetryPolicy
    timeouts: Timeouts
    fallbacks: Sequence[str | Fallback | Provider]
    fallback_on: Collection[str]
    on_interrupt: OnInterrupt
    limiter: Limiter | None
    spend_limit: SpendLimit | None
    observers: Sequence[Observer]
    middleware: Sequence[Middleware]
    transport: str | None
    headers: Mapping[str, str] | None
    include_raw: bool
    strict: bool
    keep_message: bool
    allow_insecure_http: bool
    allow_host: AllowHost | None
    clock: Clock | None
    rng: Random | None


class CallOptions(TypedDict, total=False):
    """The options of `stream` and `complete`, which are those of `chat_completion`."""

    model: str | None
    tools: Sequence[Tool | HostedTool | Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | ToolChoice | None
    parallel_tool_calls: bool | None
    response_format: str | Mapping[str, Any] | ResponseFormat | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    reasoning_effort: str | None
    verbosity: str | None
    service_tier: str | None
    metadata: Mapping[str, str] | None
    provider_options: Mapping[str, Mapping[str, Any]] | None
    timeouts: Timeouts | None
    headers: Mapping[str, str] | None
    fallbacks: Sequence[str | Fallback | Provider] | None


def checked_options(options: CallOptions) -> dict[str, Any]:
    """The options, with their secrets hidden from tracebacks. Raises TypeError for one that doesn't exist."""
    if "headers" in options:
        options["headers"] = hide_headers(options["headers"])
    given = cast("dict[str, Any]", options)
    unknown = given.keys() - CallOptions.__annotations__.keys()
    if unknown:
        given.clear()
        raise TypeError(unknown_option(min(unknown)))
    return given


def names_of(unknown: dict[str, Never]) -> list[str]:
    """The names of arguments that don't exist. Their values are let go: one may be a key."""
    names = list(unknown)
    unknown.clear()
    return names


def refuse_arguments(names: Sequence[str], known: Iterable[str]) -> None:
    """Raise TypeError for an argument of LLMClient that doesn't exist."""
    if names:
        raise TypeError(unknown_argument(names[0], known))


def refuse_unknown(unknown: dict[str, Never]) -> None:
    """Raise TypeError for an option that doesn't exist."""
    names = names_of(unknown)
    if names:
        raise TypeError(unknown_option(names[0]))


def check_policies(retry: object, timeouts: object, on_interrupt: object) -> None:
    """Raise TypeError or ValueError for what can't be a client's."""
    require(
        isinstance(retry, RetryPolicy),
        f"retry must be a RetryPolicy such as RetryPolicy(max_attempts=5), not {retry!r}",
        TypeError,
    )
    check_timeouts(timeouts)
    require(
        on_interrupt in ON_INTERRUPT,
        f"on_interrupt must be one of {', '.join(ON_INTERRUPT)}, not {on_interrupt!r}",
    )


def check_spend_limit(limit: object) -> SpendLimit | None:
    """The spend limit of a client. Raises TypeError for what isn't one."""
    problem = (
        f'spend_limit must be a llmstream.limits.SpendLimit such as SpendLimit("5"), not {limit!r}'
    )
    require(limit is None or isinstance(limit, SpendLimit), problem, TypeError)
    return cast("SpendLimit | None", limit)


def check_limiter(limiter: object) -> Limiter:
    """The limiter of a client, behind a guard. Raises TypeError for what isn't one."""
    if limiter is None:
        return UNLIMITED
    wanted = (
        "limiter must be an object such as LocalLimiter(Rate(requests=500)), or another "
        "llmstream.limits.Limiter"
    )
    require_methods(limiter, ("enter", "endpoint"), wanted)
    given = cast("Limiter", limiter)
    for method in (given.enter, given.endpoint):
        problem = f"a limiter is asked, not awaited: {method!r} must be def, not async def"
        require(not iscoroutinefunction(method), problem, TypeError)
    return GuardedLimiter(given)


def check_loop() -> None:
    """Raise TypeError outside asyncio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise TypeError(
            "llmstream runs on asyncio: call it in a coroutine of `asyncio.run(…)`, or of anyio's asyncio "
            "backend; from trio, use a thread with an asyncio loop of its own"
        ) from None


def check_call_headers(headers: object) -> None:
    """Raise TypeError or ConfigurationError for headers that can't be sent."""
    check_headers(check_type(headers, Mapping, "headers must map strings to strings") or {})


def check_timeouts(timeouts: object) -> None:
    """Raise TypeError for what isn't a Timeouts."""
    require(
        isinstance(timeouts, Timeouts),
        f"timeouts must be a Timeouts such as Timeouts(total=60), not {timeouts!r}",
        TypeError,
    )
