"""Fallbacks: the models that are asked when the first has failed, and the failures after which they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, Never, get_args

from llmstream.checks import as_text, check_type, require
from llmstream.errors import ConfigurationError, ErrorInfo, ErrorKind
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import FinishReason
from llmstream.providers.secrets import check_headers, hide, hide_headers
from llmstream.providers.timeouts import UNSET, Timeouts
from llmstream.providers.url_checks import secret_in_url
from llmstream.retry import RetryPolicy

__all__ = ["DEFAULT_FALLBACK_ON", "Fallback"]

REFUSAL: Final = "refusal"
CONTENT_FILTER: Final = "content_filter"
DECLINES: Final = frozenset({REFUSAL, CONTENT_FILTER})
"""Causes that are an answer of their own. Another model is asked only while nothing was shown."""
CAUSES: Final = frozenset({*get_args(ErrorKind), REFUSAL})
"""Every word that `fallback_on` takes."""
DEFAULT_FALLBACK_ON: Final[frozenset[str]] = CAUSES - {"invalid_request", *DECLINES}
"""The causes after which a fallback is asked unless the client says otherwise: all but a request that is itself at
fault, a content filter and a refusal. Add one with `DEFAULT_FALLBACK_ON | {"refusal"}`."""


class Fallback:
    """A model to ask when the first has failed, with an address, a key and limits of its own.

    For the list `fallbacks`, beside model strings and Provider objects. `model` is `"provider:model"`. What isn't given
    is the provider's own, from the environment; nothing of the first model's travels here. `headers` go out with every
    request to it. `timeouts` changes the clocks that it names while this model is asked; `total` is the whole call's,
    so it can't be one of them. `retry` replaces the client's policy for it.

    Nothing shows the key and the headers' values. Raises TypeError, ValueError or ConfigurationError.
    """

    __slots__ = ("api_key", "base_url", "headers", "model", "retry", "timeouts")

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        **unknown: Never,
    ) -> None:
        # A traceback may show the locals of a frame that raises.
        names = list(unknown)
        unknown.clear()  # one may be a key
        api_key, headers = hide(api_key), hide_headers(headers)
        if (flaw := secret_in_url(base_url)) is not None:
            base_url = None
            raise ConfigurationError(flaw)
        if names:
            raise TypeError(_unknown_argument(names[0]))
        problem = 'Fallback needs a model string such as "anthropic:claude-sonnet-4-5", not '
        require(as_text(model), problem + _shown(model), TypeError)
        check_headers(check_type(headers, Mapping, "headers must map strings to strings") or {})
        _check_limits(timeouts, retry)
        self.model: Final = model
        self.base_url: Final = base_url
        self.api_key: Final[Any] = api_key
        """In a form that no repr, log or traceback shows."""
        self.headers: Final[Any] = headers
        self.timeouts: Final = timeouts
        self.retry: Final = retry

    def __repr__(self) -> str:
        # In the traceback of a wrong argument none of them is set.
        given = {name: getattr(self, name, None) for name in ("model", *_SETTINGS)}
        model = repr(given.pop("model"))
        named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"Fallback({', '.join([model, *named])})"

    @property
    def has_own_endpoint(self) -> bool:
        """Whether an address, a key or headers of its own set it apart from others of its provider."""
        return any(value is not None for value in (self.base_url, self.api_key, self.headers))


_SETTINGS: Final = ("base_url", "api_key", "headers", "timeouts", "retry")


def check_fallback_on(given: object) -> frozenset[str]:
    """The causes that a client gives. Raises TypeError or ValueError for what can't be one."""
    wanted = 'fallback_on must be a set of error kinds such as {"rate_limit", "refusal"}, not '
    is_collection = isinstance(given, Collection) and not isinstance(given, (str, bytes, Mapping))
    require(is_collection, wanted + _shown(given), TypeError)
    causes: Iterable[Any] = given  # type: ignore[assignment]  # that was checked
    return frozenset(map(_check_cause, causes))


def cause_of(info: ErrorInfo) -> str:
    """The word of `fallback_on` that a failure goes by."""
    is_refusal = (info.kind, info.code) == (CONTENT_FILTER, REFUSAL)
    return REFUSAL if is_refusal else info.kind


def declined(event: StreamEvent, *, refused: bool) -> ErrorInfo | None:
    """Why an event ends an answer that declines: in a refusal, or by a filter; None if it doesn't.

    `refused`: the words that came were a refusal.
    """
    if event.type is not EventType.MESSAGE_COMPLETE:
        return None
    if refused or event.finish_reason == FinishReason.REFUSAL:
        return ErrorInfo(CONTENT_FILTER, "the model refused to answer", code=REFUSAL)
    if event.finish_reason != FinishReason.CONTENT_FILTER:
        return None
    code = event.raw_finish_reason
    return ErrorInfo(CONTENT_FILTER, "the provider's filter stopped the answer", code=code)


# --- checks ------------------------------------------------------------------------------------------------


def _check_cause(given: Any) -> str:
    is_known = isinstance(given, str) and given in CAUSES
    require(is_known, f"fallback_on: {_shown(given)} isn't a cause{_advice(given, CAUSES)}")
    return str(given)


def _check_limits(timeouts: object, retry: object) -> None:
    is_policy = retry is None or isinstance(retry, RetryPolicy)
    advice = "retry must be a RetryPolicy such as RetryPolicy(max_attempts=5), not "
    require(is_policy, advice + _shown(retry), TypeError)
    if timeouts is None:
        return
    advice = "timeouts must be a Timeouts such as Timeouts(first_token=20), not "
    if not isinstance(timeouts, Timeouts):
        raise TypeError(advice + _shown(timeouts))
    problem = "timeouts.total is the whole call's clock: give it to LLMClient or to the call"
    require(timeouts.total is UNSET, problem)


def _unknown_argument(name: str) -> str:
    known = ("model", *_SETTINGS)
    return f"Fallback has no {name!r}{_advice(name, known)}"


def _advice(given: Any, known: Collection[str]) -> str:
    close = get_close_matches(given, known, 1) if isinstance(given, str) else []
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"


def _shown(value: object) -> str:
    """A wrong value, as an error shows it: of what may hold a key its type alone."""
    return repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
