"""Service: what all endpoints of an app share, from a client's words to the events that answer it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from llmstream.arguments import build_request
from llmstream.checks import require
from llmstream.client import LLMClient
from llmstream.errors import StrictError
from llmstream.events.flow import Batched
from llmstream.events.types import StreamEvent
from llmstream.limits.spend_limit import set_callers_limit
from llmstream.messages import ChatRequest, Message, TextPart, Usage
from llmstream.observe import on_left_usage
from llmstream.plain_values import amended
from llmstream.web.errors import SPENT, RefusedError
from llmstream.web.first_use import FirstUse
from llmstream.web.hosted_tools import HostedTools
from llmstream.web.key_limits import KeyRates
from llmstream.web.limits import Limits, check_request
from llmstream.web.native_encoders import Outgoing
from llmstream.web.negotiation import Choice
from llmstream.web.responses import respond
from llmstream.web.served_request import ServedRequest, current_request, without_keys
from llmstream.web.token_bound import bound_tokens

if TYPE_CHECKING:
    from pydantic import ValidationError

    from llmstream.conversations import ConversationClient
    from llmstream.router import Candidate, RouterWithDispatcher

_PATIENCE = 2.0
"""Seconds that a store may take to show that it is there."""


@dataclass(slots=True)
class Service:
    """A client, and how it may be used. `models` maps the names that may be asked for to the client's `model=`."""

    client: LLMClient
    models: Mapping[str, str | None]
    facts: Mapping[str, Candidate]
    """Context length and abilities of some of them."""
    limits: Limits
    conversations: FirstUse[ConversationClient]
    router: FirstUse[RouterWithDispatcher[Any]]
    heartbeat: float | None
    write_timeout: float | None
    tell_refusals: bool
    key_rates: KeyRates = field(default_factory=KeyRates)
    hosted: HostedTools = field(default_factory=HostedTools)
    ready: Callable[[], str | None] | None = None
    """Returns what else is missing before requests can be answered, None where nothing is."""
    started: float = field(default_factory=time.time)
    retired: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when another app takes the place of this one: connections that may last end with their answers."""

    def read(self, messages: Any, options: Mapping[str, Any]) -> ChatRequest:
        """The request that these messages and options mean. Raises RefusedError."""
        try:
            request = build_request(messages, "", **options)
        except (TypeError, ValueError) as problem:
            raise invalid(str(problem)) from None
        check_request(request, self.limits)
        return request

    def restrict(self, request: ChatRequest, format: str | None = None) -> list[str]:
        """Hold a client's request to what clients may ask for. Returns a warning for each change.

        `format` is that of the client's words. Raises RefusedError.
        """
        warnings = self.hosted.apply(request, format)
        return [*warnings, *bound_tokens(request, self.limits.max_tokens)]

    def check_warnings(self, warnings: Sequence[str]) -> None:
        """Refuse, under `strict`, a request that would be answered without some of it."""
        is_taken = not (warnings and self.client.strict)
        require(is_taken, f"strict: {'; '.join(warnings)}", invalid)

    def events(
        self,
        request: ChatRequest,
        *,
        model: str | None,
        stream: bool,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterable[StreamEvent]:
        """The answer to a request that was read, which is given its model.

        Raises RefusedError for a model that isn't on the list, and where the key's rate is used up. `headers` go to
        the provider of this model alone.
        """
        request.model = self.model(model) or ""
        self.admit(request)
        if type(self.client).chat_completion is not LLMClient.chat_completion:
            # A subclass of the user's, whose events may be others.
            if headers:
                return self.client.chat_completion(request, stream, headers=headers)
            return self.client.chat_completion(request, stream)
        return Batched(self.client.batches(request, stream, headers=headers or None))

    async def count(
        self, request: ChatRequest, *, model: str | None, headers: Mapping[str, str]
    ) -> Usage:
        """The tokens that a prompt would take. Raises RefusedError for a model that isn't on the list."""
        name = self.model(model)
        asked = amended(request, model=name or "")
        self.admit(ChatRequest([], "", max_tokens=0))
        try:
            return await self.client.count_tokens(asked, headers=headers)
        except StrictError as problem:
            raise invalid(str(problem)) from None

    async def missing(self) -> str | None:
        """The part that is missing before requests can be answered; None: nothing."""
        missing = self.ready() if self.ready is not None else None
        if missing is None and not await self._has_store():
            return "no store"
        return missing

    async def _has_store(self) -> bool:
        """Whether the store of the conversations can be read: asked for a session that nobody began, it says so."""
        conversations = self.conversations.made
        if conversations is None:
            return True  # it is opened for the first conversation
        from llmstream.conversations import AccessError, ChatContext, ConversationError

        nobody = secrets.token_hex(16)
        try:
            async with asyncio.timeout(_PATIENCE):
                await conversations.conversations(ChatContext(session_id=nobody, token=nobody))
        except AccessError:
            return True
        except (ConversationError, TimeoutError):
            return False
        return True

    def admit(self, asked: ChatRequest) -> None:
        """Reserve what a request will use of its key's rate, and have its calls count for the key's spend limit.

        Raises RefusedError where either is used up.
        """
        request = current_request()
        if request is None:
            return
        on_left_usage(request.note_left)
        self._limit_spending(request)
        if request.limits.rate is None or request.reservation is not None:
            return
        found = self.key_rates.admit(request.key or "", request.limits.rate, asked)
        if isinstance(found, int | float):
            text = "This key has used up its rate. Please try again later."
            wait = max(found, self.limits.retry_after)
            raise RefusedError(429, "rate_limit", text, retry_after=wait)
        request.reservation = found

    def _limit_spending(self, request: ServedRequest) -> None:
        limit = self.key_rates.spend_limit(request.key or "", request.limits.spend_limit)
        set_callers_limit(limit)
        if limit is not None and limit.spent >= limit.max_cost:
            raise RefusedError(SPENT.status, SPENT.kind, SPENT.text, retry_after=limit.retry_after)

    def admit_text(self, text: str) -> None:
        """The same for a text, of which the conversation or the router makes a request."""
        self.admit(ChatRequest([Message("user", [TextPart(text)])], ""))

    @property
    def allowed(self) -> Mapping[str, str | None]:
        """The models that the current request's key may ask for, by their names."""
        request = current_request()
        return self.models if request is None else request.limits.allowed(self.models)

    def check_routed(self) -> None:
        """Raise RefusedError where a router, not the client, would choose the model, and the key may not use all."""
        request = current_request()
        if request is not None and request.limits.models is not None:
            text = "This key may use some models only, and here the server chooses."
            raise RefusedError(403, "permission", text)

    def model(self, name: str | None) -> str | None:
        """The client's `model=` for a name. Raises RefusedError for one that isn't on the list for this key."""
        allowed = self.allowed
        if not allowed:
            raise RefusedError(403, "permission", "This key may use no model.")
        if name is None:
            name = next(iter(allowed))
        if name not in allowed:
            known = ", ".join(allowed)
            text = f"There is no model {without_keys(name)[:100]!r} here. There are: {known}"
            raise RefusedError(404, "not_found", text[:2000])
        request = current_request()
        if request is not None:
            request.model = name
        return self.models[name]

    def respond(
        self,
        request: Request,
        events: AsyncIterable[StreamEvent],
        choice: Choice,
        encoder: Outgoing | None = None,
        warnings: Sequence[str] = (),
    ) -> Response:
        """`llmstream.web.respond`, with this app's clocks and the request's id."""
        return respond(
            request,
            events,
            choice=choice,
            encoder=encoder,
            request_id=request.state.request_id,
            heartbeat=self.heartbeat,
            write_timeout=self.write_timeout,
            max_answer=self.limits.max_answer,
            warnings=warnings,
        )


def invalid(text: str) -> RefusedError:
    """A request that is wrong in itself."""
    return RefusedError(400, "invalid_request", without_keys(text[:2_000])[:500])


def refusal_of(problem: ValidationError) -> RefusedError:
    """The flaws of a body, by place, without the values that were given."""
    wrong = [
        f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}"
        for each in problem.errors(include_url=False, include_input=False, include_context=False)
    ]
    return invalid("; ".join(wrong[:5]))
