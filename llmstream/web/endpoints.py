"""The app's own endpoints: `/chat` in both modes, and the simple ones around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from llmstream.checks import require, require_value
from llmstream.conversations import ChatContext, StreamingChatRequest
from llmstream.events.types import StreamEvent
from llmstream.message_reader import parse_messages
from llmstream.messages import ChatRequest, Message, TextPart
from llmstream.web.app_state import Service, invalid, refusal_of
from llmstream.web.limits import check_request
from llmstream.web.negotiation import Form, ResponseMode
from llmstream.web.request_body import parse_json, read_body, run_aside
from llmstream.web.responses import choose

B = TypeVar("B", bound=BaseModel)


def _check_unicode(text: str) -> str:
    """Half a surrogate pair, which JSON can write, has no bytes."""
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise ValueError(f"not valid Unicode (a lone surrogate at {problem.start})") from None
    return text


Text: TypeAlias = Annotated[str, AfterValidator(_check_unicode)]


class ChatBody(BaseModel):
    """The body of `POST /chat`: `messages` in OpenAI's shape, or a `prompt`; the others are chat_completion's options.

    With `session_id` and `token` the server keeps the conversation, and `prompt` (or the last message) is its next
    turn. Without them `conversation_id` is only the client's own name for it.

    Lists say what is wrong with their first item only: a body of junk would make as many errors as it has bytes.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    messages: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None
    prompt: str | None = None
    stream: StrictBool | None = None
    model: str | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    token: str | None = Field(default=None, repr=False)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    response_format: str | dict[str, Any] | None = None
    tools: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: StrictBool | None = None


class UserRequest(BaseModel):
    """The body of `POST /streaming_chat`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    request: Text


NOT_FOR_STRANGERS = frozenset({"metadata", "provider_options"})
"""Options that `POST /chat` doesn't take: what a provider keeps, and what nobody here could check."""
_TALK = frozenset(
    {"messages", "prompt", "stream", "model", "conversation_id", "session_id", "token"}
)
_KEPT = frozenset({"tools", "parallel_tool_calls"})
"""Options that a conversation kept by the server doesn't take: its tools are the server's."""


class Native:
    """The endpoints, over one Service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def chat(self, request: Request) -> Response:
        """`POST /chat`: one JSON document, or with `stream` the events as they come."""
        data = await read_body(request, self._service.limits)
        body = await run_aside(len(data), lambda: self._parse(data, ChatBody))
        choice = choose(request, flag=body.stream, default=ResponseMode.BATCH)
        is_streamed = choice.mode is ResponseMode.STREAM
        events: AsyncIterable[StreamEvent]
        if body.session_id is None:
            asked, warnings = await run_aside(len(data), lambda: self._read(body))
            events = self._service.events(asked, model=body.model, stream=is_streamed)
        else:
            make = partial(self._next_turn, body, stream=is_streamed)
            context, turn, warnings = await run_aside(len(data), make)
            self._service.admit_text(turn.query)
            conversations = await self._service.conversations.get()
            events = conversations.events(context, turn)
        return self._service.respond(request, events, choice, warnings=warnings)

    async def streaming_chat(self, request: Request) -> Response:
        """`POST /streaming_chat`: plain text from whichever handler the router finds."""
        data = await read_body(request, self._service.limits)
        body = await run_aside(len(data), lambda: self._parse(data, UserRequest))
        require(body.request.strip(), "Request cannot be empty.", invalid)
        choice = choose(request, offer=(Form.TEXT,))
        self._service.check_routed()
        self._service.admit_text(body.request)
        return self._service.respond(request, self._routed(body.request), choice)

    def _read(self, body: ChatBody) -> tuple[ChatRequest, list[str]]:
        has_one = (body.messages is None) != (body.prompt is None)
        require(has_one, "Give either messages or a prompt.", invalid)
        messages = _messages(body)
        options = {
            name: value
            for name in body.model_fields_set - _TALK
            if (value := getattr(body, name)) is not None
        }
        # A name that isn't on the list is a 404, whatever else is wrong.
        self._service.model(body.model)
        request = self._service.read(messages, options)
        return request, self._restrict(request)

    def _restrict(self, request: ChatRequest) -> list[str]:
        """Hold a request to what clients may ask for. Returns a warning for each change."""
        warnings = self._service.restrict(request)
        self._service.check_warnings(warnings)
        return warnings

    def _next_turn(
        self, body: ChatBody, *, stream: bool
    ) -> tuple[ChatContext, StreamingChatRequest, list[str]]:
        asked = _next_message(body)
        attached: list[Any] = [part for part in asked.parts if not isinstance(part, TextPart)]
        options = {name: getattr(body, name) for name in body.model_fields_set - _TALK}
        wrong = ", ".join(sorted(_KEPT & options.keys()))
        require(not wrong, f"{wrong}: not in a conversation that the server keeps.", invalid)
        bounded = ChatRequest(
            [asked], "", max_tokens=body.max_tokens, service_tier=body.service_tier
        )
        check_request(bounded, self._service.limits)
        warnings = self._restrict(bounded)
        options["max_tokens"] = bounded.max_tokens
        try:
            context = ChatContext(
                session_id=body.session_id or "",
                conversation_id=body.conversation_id,
                token=body.token or "",
            )
            require_value(context.conversation_id, "conversation_id is missing.", invalid)
            turn = StreamingChatRequest(
                query=asked.text,
                attachments=attached,
                model=self._service.model(body.model),
                stream=stream,
                **options,
            )
        except ValidationError as problem:
            raise refusal_of(problem) from None
        return context, turn, warnings

    async def _routed(self, text: str) -> AsyncGenerator[StreamEvent, None]:
        router = await self._service.router.get()
        async with aclosing(await router.route_request(text)) as events:
            async for event in events:
                yield event

    def _parse(self, data: bytes, model: type[B]) -> B:
        given = _object(parse_json(data, self._service.limits))
        # pydantic would list them all.
        for unknown in given.keys() - model.model_fields.keys():
            raise invalid(f"{unknown[:50]}: there is no such field.")
        try:
            return model.model_validate(given)
        except ValidationError as problem:
            raise refusal_of(problem) from None


def _messages(body: ChatBody) -> list[Any]:
    """The messages of a body, which may be a prompt. Raises RefusedError for a blank one."""
    if body.prompt is None:
        return body.messages or []
    require(body.prompt.strip(), "The prompt is empty.", invalid)
    return [{"role": "user", "content": body.prompt}]


def _next_message(body: ChatBody) -> Message:
    """The user's new message, where the server keeps the earlier ones."""
    try:
        last = parse_messages(_messages(body)[-1:])[-1]
    except (TypeError, ValueError) as problem:
        raise invalid(str(problem).replace("messages[0]", "the last message")) from None
    wanted = "Give a prompt, or messages of which the last is the user's."
    require(last.role == "user", wanted, invalid)
    return last


def _object(value: Any) -> dict[str, Any]:
    require(isinstance(value, dict), "The body must be a JSON object.", invalid)
    given: dict[str, Any] = value
    return given
