"""One turn: under the lease, from the question to the stored answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from llmstream.arguments import build_request
from llmstream.catalogue import facts_of, list_read
from llmstream.client import LLMClient
from llmstream.client_arguments import CallOptions
from llmstream.conversations.context import ContextPolicy
from llmstream.conversations.documents import cite
from llmstream.conversations.history import TurnPlace, build_messages, place_turn, replay_turn
from llmstream.conversations.lease import Lease, OldLeases
from llmstream.conversations.models import ConversationRequest
from llmstream.conversations.records import ConversationRecord, Turn
from llmstream.conversations.shielded_tasks import Background
from llmstream.conversations.stores.protocol import Store
from llmstream.errors import ConfigurationError, ErrorInfo
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.grammar import TERMINAL
from llmstream.events.transcript import Transcript
from llmstream.events.types import EventType, StreamEvent, error, failure_of
from llmstream.events.unfold import as_batch
from llmstream.log import get_logger
from llmstream.messages import FinishReason, Message, Source
from llmstream.token_estimate import estimate_tools

if TYPE_CHECKING:
    from llmstream.tools import Confirm

logger = get_logger("llmstream.conversations")


@dataclass(slots=True)
class Settings:
    """The settings that all turns of a ConversationClient share."""

    client: LLMClient
    store: Store
    policy: ContextPolicy
    tools: Sequence[Callable[..., Any] | Any]
    confirm: Confirm | None
    max_rounds: int
    lease: float
    wait: float
    background: Background = field(default_factory=Background)
    old_leases: OldLeases = field(default_factory=OldLeases)

    def lease_for(self, conversation_id: str) -> Lease:
        """The lease of a conversation, to be entered."""
        return Lease(
            self.store,
            conversation_id,
            self.client.clock,
            self.background,
            self.old_leases,
            seconds=self.lease,
            wait=self.wait,
        )

    async def room_for(self, request: ConversationRequest) -> int | None:
        """The tokens of messages for which the model has room; None where nobody knows, or the policy has its own."""
        if self.policy.max_tokens is not None:
            return None
        try:
            target = self.client.target(request.model)
        except ConfigurationError:  # the call raises it
            return None
        await list_read()
        facts = facts_of(target.provider, target.model)
        if facts is None or facts.context is None:
            return None
        taken = (request.max_tokens or 0) + self._tools_size()
        return max(facts.context - taken, 0)

    def _tools_size(self) -> int:
        """About how many tokens the descriptions of the tools take."""
        if not self.tools:
            return 0
        from llmstream.tools.loop import read_tools

        return estimate_tools(read_tools(self.tools))

    def ask(
        self, messages: list[Message], options: dict[str, Any], *, stream: bool
    ) -> AsyncGenerator[AnyEvent, None]:
        """The model's answer; with tools, all its rounds, as a stream in any case."""
        if not self.tools:
            model = options.pop("model", "")
            return self.client.chat_completion(build_request(messages, model, **options), stream)
        from llmstream.tools.loop import run_rounds

        limits: dict[str, Any] = {"max_rounds": self.max_rounds, "confirm": self.confirm}
        return run_rounds(
            self.client, messages, self.tools, cast("CallOptions", options), stream=stream, **limits
        )


class TurnRun:
    """Answers one request. `turn` is known from the first event on."""

    def __init__(
        self, settings: Settings, conversation: ConversationRecord, request: ConversationRequest
    ) -> None:
        self._settings = settings
        self.request = request
        self.conversation = conversation
        self.turn: Turn | None = None

    @narrow
    async def events(self, *, stream: bool) -> AsyncGenerator[StreamEvent, None]:
        """The answer's events; its last one leaves when the turn is stored. With `stream=False` only that one.

        Raises ConversationError, and for wrong options what `chat_completion` raises. However it is left, the model is
        stopped first, and then what had come is stored as partial.
        """
        async with self._settings.lease_for(self.conversation.id) as lease:
            place = place_turn(lease.turns, self.request)
            self.turn = place.turn
            if place.turn.state == "complete":
                for event in replay_turn(place.turn, stream=stream):
                    yield event
                return
            room = await self._settings.room_for(self.request)
            history = build_messages(self.conversation.system, place)
            messages = self._settings.policy.trim(history, room)
            await _close_abandoned(lease, place)
            await lease.write(place.position, place.turn)
            transcript = Transcript()
            # Stored only if the client breaks its promise of an end.
            ended = error(ErrorInfo("internal", "the client's stream had no end"))
            try:
                async with aclosing(
                    self._settings.ask(messages, self.request.options(), stream=stream)
                ) as events:
                    async for event in events:
                        if event.type in TERMINAL:
                            ended = event
                            break
                        transcript.add(event)
                        if stream:
                            yield event
            except BaseException as problem:
                await self._store_partial(lease, place, transcript, problem)
                raise
            last, cited = self._finish(ended, place, stream=stream)
            await lease.write(place.position, self.turn, last=True)
            if stream:
                for source in cited:
                    yield StreamEvent(EventType.SOURCE, source=source)
            yield last

    def _finish(
        self, event: StreamEvent, place: TurnPlace, *, stream: bool
    ) -> tuple[StreamEvent, list[Source]]:
        """The terminal event as it leaves, and the documents it cites; `turn` is set to what is stored of it."""
        turn = place.turn
        if event.type is EventType.ERROR:
            self.turn = _failed(turn, event)
            return event, []
        message = event.message or Message("assistant")
        earlier = (event.messages or ())[:-1]
        said = "\n".join(each.text for each in (*earlier, message) if each.role == "assistant")
        refused = event.finish_reason is FinishReason.REFUSAL or bool(message.refusal)
        cited = [*cite(turn.documents, said, refused=refused).values()]
        message = replace(message, parts=[*message.parts, *cited])
        messages = [*earlier, message]
        self.turn = replace(turn, state="complete", messages=[turn.question, *messages], error=None)
        last = as_batch(event, None if stream else message)
        return replace(last, message=message, messages=event.messages and messages), cited

    async def _store_partial(
        self, lease: Lease, place: TurnPlace, transcript: Transcript, reason: BaseException
    ) -> None:
        """The reader left, or an argument was wrong: keep what had come. Never raises in place of `reason`."""
        info = (
            ErrorInfo("invalid_request", type(reason).__name__)
            if isinstance(reason, Exception)
            else None
        )
        self.turn = _partial(place.turn, transcript.messages(), info)
        try:
            await lease.write(place.position, self.turn, last=True)
        except Exception as problem:  # whatever it is, `reason` is what its caller waits for
            logger.warning(
                "a partial answer could not be stored: %s", type(problem).__name__, exc_info=problem
            )


def _failed(turn: Turn, event: StreamEvent) -> Turn:
    """A turn that ended in an ERROR, with the rounds before it and what came of the last one."""
    info = failure_of(event)
    came = [*(event.messages or ())]
    if info.partial is not None and info.partial.parts:
        came.append(info.partial)
    return _partial(turn, came, info)


def _partial(turn: Turn, new: list[Message], info: ErrorInfo | None) -> Turn:
    """A turn that failed. What had come of it earlier stays unless more has come now."""
    messages = [turn.question, *new] if new else turn.messages
    return replace(
        turn, state="partial", messages=messages, error=info and replace(info, partial=None)
    )


async def _close_abandoned(lease: Lease, place: TurnPlace) -> None:
    """Store that the turn before this one is over: its program died."""
    for position, turn in enumerate(lease.turns[: place.position]):
        if turn.state == "open":
            await lease.write(position, place.before[position])
